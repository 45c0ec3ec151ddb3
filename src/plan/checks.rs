//! What can only be checked against the hypervisor: what the lab refers to, who else uses what it changes.

use super::Change;
use super::context::Planner;
use super::definition::{hosts_own, overlaps, own_bridge, subnets};
use crate::address::Kind;
use crate::desired::{Desired, Detail, External};
use crate::diagnostic::{Diagnostic, Diagnostics, did_you_mean_of};
use crate::lab::resolve::reserved;
use crate::libvirt::observed::{Observed, ObservedNetwork};

/// External networks and pools have to be there, and active.
pub(super) fn externals(desired: &Desired, observed: &Observed, problems: &mut Diagnostics) {
    for (address, external) in &desired.external {
        let (active, names): (Option<bool>, Vec<&str>) = match address.kind {
            Kind::Network => (
                observed.networks.get(&external.name).map(|n| n.active),
                observed.networks.keys().map(String::as_str).collect(),
            ),
            Kind::Pool => (
                observed.pools.get(&external.name).map(|p| p.active),
                observed.pools.keys().map(String::as_str).collect(),
            ),
            Kind::Reservations | Kind::Image | Kind::Volume | Kind::Guest => continue,
        };
        let command = match address.kind {
            Kind::Pool => "pool",
            _ => "net",
        };
        let kind = address.kind;
        let uri = &observed.facts.uri;
        let name = &external.name;
        let problem = match active {
            Some(true) => {
                let network = observed.networks.get(name);
                let network = network.filter(|_| kind == Kind::Network);
                if let Some(network) = network {
                    external_addresses(external, network, problems);
                }
                continue;
            }
            Some(false) => Diagnostic::error(format!("the external {kind} `{name}` is not active"))
                .hint(format!("start it: virsh -c {uri} {command}-start {name}")),
            None => {
                let problem = Diagnostic::error(format!("there is no {kind} `{name}` on {uri}"));
                let all = format!("`virsh -c {uri} {command}-list --all` has all");
                match did_you_mean_of(name, names, &all) {
                    Some(hint) => problem.hint(hint),
                    None => problem.hint("leave out `external: true` to have it made"),
                }
            }
        };
        problems.push(problem.at(external.span));
    }
}

/// What guests have by `ip` on an external network has to be an address there, as far as the network has any.
fn external_addresses(external: &External, network: &ObservedNetwork, problems: &mut Diagnostics) {
    let name = &external.name;
    let subnets = hosts_own(&network.xml.tree());
    for (ip, guest) in &external.ips {
        let home = subnets.iter().find(|subnet| subnet.contains(ip));
        let listed: Vec<String> = subnets.iter().map(|net| net.trunc().to_string()).collect();
        let (what, hint) = match home {
            _ if subnets.is_empty() => continue,
            None => (
                format!("is outside of it: it is {}", listed.join(" and ")),
                "give an address inside, or plug the NIC into another network".to_owned(),
            ),
            Some(home) if home.addr() == *ip => (
                "is the host's own address there".to_owned(),
                format!("give another address of {}", home.trunc()),
            ),
            Some(home) => match reserved(home, *ip) {
                Some(why) => (
                    format!("is its {why}"),
                    format!("give another address of {}", home.trunc()),
                ),
                None => continue,
            },
        };
        problems.push(
            Diagnostic::error(format!("{ip} on the external network `{name}` {what}"))
                .at(*guest)
                .related(external.span, "the network")
                .hint(hint),
        );
    }
}

/// What is to be defined has to be a definition before anything is touched: a template can give something else than when it was
/// looked at first.
pub(super) fn definitions(planner: &mut Planner<'_>) {
    let is_none = |change: &&Change| {
        let mut steps = change.quiesce.iter().chain(&change.steps);
        steps.any(|step| {
            let definition = step.definition();
            definition.is_some_and(|(xml, element)| xml.tree().name != element)
        })
    };
    for change in planner.changes.values().filter(is_none) {
        planner.problems.push(
            Diagnostic::error(format!("{} cannot be defined: its template gives nothing any more", change.address))
                .hint("a template or what it reads changed while it was planned: run the same command again"),
        );
    }
}

/// An unprivileged libvirt can define networks, but not start them.
pub(super) fn privileges(desired: &Desired, observed: &Observed, problems: &mut Diagnostics) {
    if !observed.facts.unprivileged {
        return;
    }
    for resource in desired.resources.values() {
        match resource.detail {
            Detail::Network { .. } => problems.push(
                Diagnostic::error(format!(
                    "{} cannot be made on {}, which has no privileges to start networks",
                    resource.address, observed.facts.uri
                ))
                .at(resource.span)
                .hint("give guests a NIC with `user: true`, or connect to qemu:///system"),
            ),
            Detail::Reservations
            | Detail::Pool { .. }
            | Detail::Image { .. }
            | Detail::Volume { .. }
            | Detail::Guest { .. } => {}
        }
    }
}

/// A network of the lab may not share addresses or a bridge with a network of somebody else's.
pub(super) fn networks(desired: &Desired, planner: &mut Planner<'_>) {
    let ours: Vec<&str> = desired
        .resources
        .values()
        .filter(|resource| matches!(resource.detail, Detail::Network { .. }))
        .map(|resource| resource.name.as_str())
        .collect();
    let state = &planner.state.resources;
    let is_owned = |network: &ObservedNetwork| {
        state.values().any(|entry| entry.uuid == Some(network.uuid))
            || crate::libvirt::observed::owner(&network.xml.tree())
                .is_some_and(|(lab, _)| lab == desired.lab.as_str())
    };
    let strangers: Vec<(&String, &ObservedNetwork)> = planner
        .observed
        .networks
        .iter()
        .filter(|(name, network)| !ours.contains(&name.as_str()) && !is_owned(network))
        .collect();
    if strangers.is_empty() {
        return;
    }
    let mut problems = Vec::new();
    for resource in desired.resources.values() {
        if !matches!(resource.detail, Detail::Network { .. }) {
            continue;
        }
        let xml = resource.xml.tree();
        let ours = subnets(&xml);
        let bridge = own_bridge(&xml);
        for (name, stranger) in &strangers {
            let their_xml = stranger.xml.tree();
            for (our, their) in overlaps(&ours, &subnets(&their_xml)) {
                let text = format!(
                    "{} ({our}) overlaps with network `{name}` ({their}) on {}",
                    resource.address, planner.observed.facts.uri
                );
                let problem = if stranger.active {
                    Diagnostic::error(text)
                } else {
                    Diagnostic::warning(format!("{text}, which is not active"))
                };
                problems.push(
                    problem
                        .at(resource.span)
                        .hint("give one of them another `address`"),
                );
            }
            if bridge.is_some() && bridge == own_bridge(&their_xml) {
                problems.push(
                    Diagnostic::error(format!(
                        "the bridge of {}, `{}`, is taken by network `{name}`",
                        resource.address,
                        bridge.unwrap_or_default()
                    ))
                    .at(resource.span)
                    .hint("give it another `bridge`, or leave it out and libvirt chooses one"),
                );
            }
        }
    }
    for problem in problems {
        planner.problems.push(problem);
    }
}

/// libvirt has no two pools with one path; and a pool that moves would leave its volumes behind.
pub(super) fn pools(desired: &Desired, planner: &mut Planner<'_>) {
    let state = &planner.state.resources;
    let mut problems = Vec::new();
    for resource in desired.resources.values() {
        if !matches!(resource.detail, Detail::Pool { .. }) {
            continue;
        }
        let xml = resource.xml.tree();
        let Some(path) = xml.text_at("target/path") else {
            continue;
        };
        for (name, other) in &planner.observed.pools {
            let is_ours = state.values().any(|entry| entry.uuid == Some(other.uuid));
            let other_xml = other.xml.tree();
            let there = other_xml.text_at("target/path").unwrap_or_default();
            if *name != resource.name && !is_ours && there == path {
                let problem = Diagnostic::error(format!(
                    "the path of {}, `{path}`, is taken by pool `{name}` on {}",
                    resource.address, planner.observed.facts.uri
                ));
                problems.push(problem.at(resource.span).hint(format!(
                    "give it another `path`, or use that pool: `{{name: {name}, external: true}}`"
                )));
            }
            let holds = state
                .iter()
                .find(|(_, entry)| entry.pool.as_deref() == Some(name));
            // One that somebody put elsewhere only comes back.
            let moves =
                *name == resource.name && there != path && !planner.is_another_pool(name, None);
            if let Some((volume, _)) = holds.filter(|_| moves) {
                let problem = Diagnostic::error(format!(
                    "{} would move from `{there}` to `{path}`, and {volume} would be left behind",
                    resource.address
                ));
                problems.push(
                    problem
                        .at(resource.span)
                        .hint("add a pool for the new path, and move disks to it one by one"),
                );
            }
        }
    }
    for problem in problems {
        planner.problems.push(problem);
    }
}
