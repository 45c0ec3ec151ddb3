//! What an external network reserves for the lab's guests: all of that network which is the lab's.
//!
//! The state has the entries that were made, and of attempts those that may have been. An entry is known by its NIC's MAC; of IPv6,
//! where libvirt has none, by its name. What others have made stays as it is: where it gives a guest what the definition says, it
//! does as well, and where it is in the way, the plan is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::context::Planner;
use super::definition::hosts_own;
use super::history::last_trees;
use super::{Action, AttributeChange, Change, Disruption, Reason};
use crate::address::{Address, Kind};
use crate::desired::Resource;
use crate::diagnostic::Diagnostic;
use crate::libvirt::observed::ObservedNetwork;
use crate::state::{Entry, Status};
use crate::step::{Named, NetworkSection, Side, Step, UpdateVerb};
use crate::xml::document::Document;
use crate::xml::merge::Cause;
use crate::xml::spelling;
use crate::xml::tree::Element;

/// An entry, `<host mac= name= ip=/>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Host {
    ip: Option<IpAddr>,
    name: Option<String>,
    mac: Option<String>,
}

impl Host {
    fn of(element: &Element) -> Self {
        let attribute = |name| element.attribute(name).map(str::to_owned);
        Self {
            mac: attribute("mac"),
            name: attribute("name"),
            ip: element.attribute("ip").and_then(|ip| ip.parse().ok()),
        }
    }

    fn element(&self) -> Element {
        let ip = self.ip.map(|ip| ip.to_string());
        let mut element = Element::new("host");
        for (name, value) in [("mac", &self.mac), ("name", &self.name), ("ip", &ip)] {
            if let Some(value) = value {
                element.set_attribute(name, value);
            }
        }
        element
    }

    /// Whether both are for one NIC.
    fn is_for_the_same(&self, other: &Self) -> bool {
        self.mac == other.mac && (self.mac.is_some() || self.name == other.name)
    }

    /// Whether it gives a NIC the same, whatever it is called.
    fn does_as_well(&self, other: &Self) -> bool {
        self.is_for_the_same(other) && self.ip == other.ip
    }

    /// Whether libvirt takes no two such in one subnet.
    fn is_in_the_way(&self, other: &Self) -> bool {
        let same = |one: &Option<String>, two: &Option<String>| one.is_some() && one == two;
        same(&self.mac, &other.mac)
            || same(&self.name, &other.name)
            || (self.ip.is_some() && self.ip == other.ip)
    }

    /// `52:54:00:1f:22:03 192.168.122.12`
    fn describe(&self) -> String {
        let ip = self.ip.map(|ip| ip.to_string());
        let parts = [self.mac.clone(), ip];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// What it is called in a plan.
    fn label(&self) -> String {
        let ip = self.ip.map(|ip| ip.to_string());
        format!(
            "dhcp.hosts.{}",
            self.name.clone().or(ip).unwrap_or_default()
        )
    }
}

/// The entries of a network, each with the number of its `<ip>`.
fn hosts(network: &Element) -> Vec<(usize, Host)> {
    let network = spelling::canonical(network);
    let ips = network.children_named("ip").enumerate();
    ips.flat_map(|(at, ip)| {
        let dhcp = ip.child("dhcp").into_iter();
        dhcp.flat_map(|dhcp| dhcp.children_named("host"))
            .map(move |host| (at, Host::of(host)))
            .collect::<Vec<_>>()
    })
    .collect()
}

fn document(hosts: impl IntoIterator<Item = Host>) -> Document {
    let dhcp = hosts.into_iter().fold(Element::new("dhcp"), |dhcp, host| {
        dhcp.with_child(host.element())
    });
    Element::new("network")
        .with_child(Element::new("ip").with_child(dhcp))
        .into()
}

/// What the lab made, or may have.
fn ours(entry: Option<&Entry>) -> BTreeSet<Host> {
    let trees = last_trees(entry);
    let hosts = trees.iter().flat_map(hosts);
    hosts.map(|(_, host)| host).collect()
}

fn wanted(resource: &Resource) -> Vec<Host> {
    let hosts = hosts(&resource.xml.tree());
    hosts.into_iter().map(|(_, host)| host).collect()
}

/// What there is of a network to be changed: its definition, and what runs.
fn sides(network: &ObservedNetwork) -> Vec<(Side, Element)> {
    let definition = network
        .persistent
        .then_some((Side::Definition, &network.xml));
    let running = network.live_xml.as_ref().unwrap_or(&network.xml);
    let running = network.active.then_some((Side::Running, running));
    let sides = definition.into_iter().chain(running);
    sides
        .map(|(side, xml)| (side, Element::clone(&xml.tree())))
        .collect()
}

/// What is to be done about one side.
#[derive(Default)]
struct Work {
    gone: Vec<(usize, Host)>,
    new: Vec<(usize, Host)>,
    /// What others have that does as well.
    by_others: BTreeSet<Host>,
    /// What is in the way, and of what.
    conflicts: Vec<(Host, Host)>,
}

impl Work {
    fn of(network: &Element, wanted: &[Host], ours: &BTreeSet<Host>) -> Self {
        let there = hosts(network);
        let homes = hosts_own(network);
        let is_ours = |host: &Host| ours.iter().any(|our| our.is_for_the_same(host));
        let mut work = Self::default();
        for host in wanted {
            let is_home = |ip: &IpAddr| homes.iter().position(|home| home.contains(ip));
            // That there is none is told where all addresses are looked at.
            let Some(home) = host.ip.as_ref().and_then(is_home) else {
                continue;
            };
            let alike: Vec<&(usize, Host)> = there
                .iter()
                .filter(|(at, there)| *at == home && there.is_in_the_way(host))
                .collect();
            let others = || {
                alike
                    .iter()
                    .map(|(_, there)| there)
                    .filter(|it| !is_ours(it))
            };
            if others().any(|there| there.does_as_well(host)) {
                work.by_others.insert(host.clone());
            } else if let Some(other) = others().next() {
                work.conflicts.push((other.clone(), host.clone()));
            } else if !alike.iter().any(|(_, there)| there == host) {
                work.gone.extend(alike.into_iter().cloned());
                work.new.push((home, host.clone()));
            }
        }
        // Another one for the NIC is somebody else's by now.
        let is_left = |(_, host): &&(usize, Host)| {
            ours.contains(host) && !wanted.iter().any(|it| it.is_for_the_same(host))
        };
        work.gone.extend(there.iter().filter(is_left).cloned());
        work.gone.sort();
        work.gone.dedup();
        work
    }

    /// Deletions first: what goes is in the way of what comes.
    fn steps(&self, name: &Named, side: Side) -> Vec<Step> {
        let step = |verb, (parent, host): &(usize, Host)| Step::UpdateNetwork {
            name: name.clone(),
            side,
            verb,
            section: NetworkSection::IpDhcpHost,
            parent: i32::try_from(*parent).unwrap_or(-1),
            xml: host.element(),
        };
        let gone = self.gone.iter().map(|it| step(UpdateVerb::Delete, it));
        gone.chain(self.new.iter().map(|it| step(UpdateVerb::Add, it)))
            .collect()
    }
}

/// Looks at all of a network.
fn work(network: &ObservedNetwork, wanted: &[Host], ours: &BTreeSet<Host>) -> Vec<(Side, Work)> {
    sides(network)
        .into_iter()
        .map(|(side, xml)| (side, Work::of(&xml, wanted, ours)))
        .collect()
}

pub(super) fn change(planner: &mut Planner<'_>, resource: &Resource) -> Change {
    let address = &resource.address;
    let entry = planner.entry(address);
    let Some(network) = planner.observed.networks.get(&resource.name) else {
        // That it has to be there is told where all that is external is looked at.
        return Change::unchanged(address.clone(), entry.cloned());
    };
    let moved = entry.filter(|entry| entry.name != resource.name);
    // What the lab made there under another key is its own, too, and what of that is not wanted goes along.
    let recorded = planner.state.resources.iter();
    let ours: BTreeSet<Host> = recorded
        .filter(|(other, entry)| is_for(other, entry, &resource.name))
        .flat_map(|(_, entry)| ours(Some(entry)))
        .collect();
    let wanted = wanted(resource);
    let work = work(network, &wanted, &ours);
    refuse(planner, resource, network, &work);
    let by_others: BTreeSet<&Host> = work.iter().flat_map(|(_, work)| &work.by_others).collect();
    let made = wanted.iter().filter(|host| !by_others.contains(host));
    let made = document(made.cloned());
    let name = Named::new(&resource.name, network.uuid);
    let mut steps: Vec<Step> = moved.map_or_else(Vec::new, |entry| removal(planner, entry));
    steps.extend(
        work.iter()
            .flat_map(|(side, work)| work.steps(&name, *side)),
    );
    let applied = planner.applied(resource, None, &made.tree());
    let mut change = Change::unchanged(address.clone(), Some(applied));
    if steps.is_empty() {
        return change;
    }
    change.steps = steps;
    change.before_xml = Some(document(ours.iter().cloned()));
    change.after_xml = Some(made);
    match entry {
        None => {
            change.action = Action::Create;
            change.summary = summary(&wanted);
        }
        Some(entry) => {
            change.action = Action::Update;
            change.disruption = Some(Disruption::Live);
            change.attributes = attributes(&work, entry);
            change.reason = (entry.status != Status::Applied).then_some(Reason::Unfinished);
            let drifted = |attribute: &AttributeChange| attribute.cause == Some(Cause::Drift);
            if change.reason.is_none()
                && !change.attributes.is_empty()
                && change.attributes.iter().all(drifted)
            {
                change.reason = Some(Reason::Drift);
            }
        }
    }
    change
}

/// Whether a resource is what a network reserves.
fn is_for(address: &Address, entry: &Entry, network: &str) -> bool {
    address.kind == Kind::Reservations && entry.name == network
}

/// Notes what keeps the network from what is wanted of it.
fn refuse(
    planner: &mut Planner<'_>,
    resource: &Resource,
    network: &ObservedNetwork,
    work: &[(Side, Work)],
) {
    let name = &resource.name;
    let conflicts = work.iter().flat_map(|(_, work)| &work.conflicts);
    let conflicts: BTreeSet<&(Host, Host)> = conflicts.collect();
    for (other, host) in conflicts {
        let called = other.name.as_ref().map(|name| format!(" {name}"));
        planner.problems.push(
            Diagnostic::error(format!(
                "the external network `{name}` has a reservation in the way of {}, which this lab did not make: {}{}",
                host.describe(),
                other.describe(),
                called.unwrap_or_default(),
            ))
            .at(resource.span)
            .hint(format!(
                "give the guest another `ip`; or take that one away: virsh -c {} net-update {name} delete ip-dhcp-host \"{}\" --live --config",
                planner.observed.facts.uri,
                other.element().to_string().trim().replace('"', "'"),
            )),
        );
    }
    let xml = network.xml.tree();
    let homes = hosts_own(&xml);
    if homes.is_empty() {
        planner.problems.push(
            Diagnostic::error(format!(
                "the external network `{name}` has no addresses to reserve any of"
            ))
            .at(resource.span)
            .hint("write `external: {reservations: false}`: whoever gives out addresses there reserves them"),
        );
    }
    let served: Vec<usize> = spelling::canonical(&xml)
        .children_named("ip")
        .enumerate()
        .filter(|(_, ip)| {
            ip.child("dhcp")
                .is_some_and(|dhcp| !dhcp.children.is_empty())
        })
        .map(|(at, _)| at)
        .collect();
    for host in wanted(resource) {
        let Some(ip) = host.ip else { continue };
        let Some(home) = homes.iter().position(|home| home.contains(&ip)) else {
            continue;
        };
        let other = served.iter().find(|at| {
            **at != home
                && homes
                    .get(**at)
                    .is_some_and(|net| net.addr().is_ipv4() == ip.is_ipv4())
        });
        if let Some(other) = other.and_then(|at| homes.get(*at)) {
            planner.problems.push(
                Diagnostic::error(format!(
                    "the external network `{name}` cannot reserve {ip}: it gives addresses of {}",
                    other.trunc()
                ))
                .at(resource.span)
                .hint("libvirt has DHCP in one subnet of a network: give the guest an `ip` there"),
            );
        }
    }
}

/// What changes, over both sides.
fn attributes(work: &[(Side, Work)], entry: &Entry) -> Vec<AttributeChange> {
    let recorded: BTreeSet<Host> = match entry.status {
        Status::Applied => ours(Some(entry)),
        Status::Creating | Status::Changing | Status::Deleting => BTreeSet::new(),
    };
    let mut changes: BTreeMap<String, (Option<&Host>, Option<&Host>)> = BTreeMap::new();
    for (_, work) in work {
        for (_, host) in &work.gone {
            changes.entry(host.label()).or_default().0 = Some(host);
        }
        for (_, host) in &work.new {
            changes.entry(host.label()).or_default().1 = Some(host);
        }
    }
    let changes = changes.into_iter();
    changes
        .map(|(name, (before, after))| {
            let is_drift = after.is_some_and(|host| recorded.contains(host));
            AttributeChange {
                name,
                before: before.map(|host| host.describe().into()),
                after: after.map(|host| host.describe().into()),
                disruption: Disruption::Live,
                note: None,
                beside: None,
                cause: Some(match is_drift {
                    true => Cause::Drift,
                    false => Cause::Definition,
                }),
                last: None,
            }
        })
        .collect()
}

/// `web1 192.168.122.50, web2 192.168.122.51`
fn summary(hosts: &[Host]) -> String {
    let hosts = hosts.iter().map(|host| {
        let ip = host.ip.map(|ip| ip.to_string()).unwrap_or_default();
        match &host.name {
            Some(name) => format!("{name} {ip}"),
            None => ip,
        }
    });
    hosts.collect::<Vec<_>>().join(", ")
}

/// Takes out of a network what the lab made there, as far as nobody changed it.
fn removal(planner: &Planner<'_>, entry: &Entry) -> Vec<Step> {
    let Some(network) = planner.observed.networks.get(&entry.name) else {
        return Vec::new();
    };
    let name = Named::new(&entry.name, network.uuid);
    let work = work(network, &[], &ours(Some(entry)));
    work.iter()
        .flat_map(|(side, work)| work.steps(&name, *side))
        .collect()
}

pub(super) fn delete(planner: &Planner<'_>, address: &Address, entry: &Entry) -> Change {
    let mut changes = planner.changes.values();
    let is_taken_over = changes.any(|change| {
        let entry_after = change.entry.as_ref();
        entry_after.is_some_and(|after| is_for(&change.address, after, &entry.name))
    });
    let steps = removal(planner, entry);
    if is_taken_over || steps.is_empty() {
        return Change::forgotten(address.clone());
    }
    let ours: Vec<Host> = ours(Some(entry)).into_iter().collect();
    Change {
        action: Action::Delete,
        summary: summary(&ours),
        before_xml: Some(document(ours)),
        steps,
        ..Change::unchanged(address.clone(), None)
    }
}

/// What others did to what was reserved; `None` where the network is gone.
pub(super) fn drift(planner: &Planner<'_>, entry: &Entry) -> Option<Vec<AttributeChange>> {
    let network = planner.observed.networks.get(&entry.name)?;
    let mut found: BTreeMap<String, AttributeChange> = BTreeMap::new();
    for (_, xml) in sides(network) {
        let there = hosts(&xml);
        for host in ours(Some(entry)) {
            if there.iter().any(|(_, there)| *there == host) {
                continue;
            }
            let now = there.iter().find(|(_, there)| there.is_for_the_same(&host));
            found.insert(
                host.label(),
                AttributeChange {
                    after: now.map(|(_, now)| now.describe().into()),
                    ..AttributeChange::new(host.label(), host.describe(), "", Disruption::Live)
                },
            );
        }
    }
    Some(found.into_values().collect())
}

/// Whether a network has all that is to be reserved there, whoever made it.
pub fn reserves(network: &ObservedNetwork, resource: &Resource) -> bool {
    let wanted = wanted(resource);
    sides(network).iter().all(|(_, xml)| {
        let there = hosts(xml);
        let is_there = |host: &Host| there.iter().any(|(_, there)| there.does_as_well(host));
        wanted.iter().all(is_there)
    })
}
