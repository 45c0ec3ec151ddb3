//! Bridges against the host's interfaces: one that a network makes must not be there yet, one that guests join has to be.

use std::collections::BTreeSet;

use super::Change;
use super::context::Planner;
use super::definition::hangs_on;
use super::definition::own_bridge;
use crate::desired::{Desired, Detail, Resource};
use crate::diagnostic::Diagnostic;
use crate::libvirt::left_on_host;
use crate::state::Status;
use crate::step::Step;
use crate::xml::document::Document;
use crate::xml::tree::Element;

pub(super) fn check(desired: &Desired, planner: &mut Planner<'_>) {
    let interfaces = &planner.observed.host_interfaces;
    if interfaces.is_empty() {
        return;
    }
    let starts = |step: &Step| matches!(step, Step::StartGuest { .. });
    let changes = planner.changes.values();
    let starting: Vec<&Change> = changes
        .filter(|change| change.steps.iter().any(starts))
        .collect();
    let mut problems = Vec::new();
    let mut made = BTreeSet::new();
    let is_network = |resource: &&Resource| matches!(resource.detail, Detail::Network { .. });
    for resource in desired.resources.values().filter(is_network) {
        let xml = resource.xml.tree();
        // What libvirt chose for one that does not run.
        let live = planner.observed.networks.get(&resource.name);
        let live = live.map(|live| live.xml.tree());
        made.extend(live.as_deref().and_then(own_bridge).map(str::to_owned));
        if let Some(bridge) = own_bridge(&xml) {
            made.insert(bridge.to_owned());
            if interfaces.get(bridge) == Some(&true) {
                problems.extend(taken(planner, resource, bridge));
            }
        } else if let Some(bridge) = xml.attribute_at("bridge", "name")
            && interfaces.get(bridge) == Some(&false)
        {
            let is_on = |nic: &Element| hangs_on(nic, &resource.name, None);
            let is_needed = starting.iter().any(|change| {
                let xml = change.after_xml.as_ref().map(Document::tree);
                xml.is_some_and(|xml| nics(&xml).any(is_on))
            });
            problems.push(missing(planner, resource, bridge, is_needed));
        }
    }
    let absent: BTreeSet<&String> = interfaces
        .iter()
        .filter(|(bridge, there)| !**there && !made.contains(*bridge))
        .map(|(bridge, _)| bridge)
        .collect();
    for resource in desired.resources.values() {
        if absent.is_empty() || !matches!(resource.detail, Detail::Guest { .. }) {
            continue;
        }
        let xml = resource.xml.tree();
        let joins = |bridge: &str| nics(&xml).any(|nic| hangs_on(nic, "", Some(bridge)));
        for bridge in absent.iter().filter(|bridge| joins(bridge)) {
            let is_needed = starting
                .iter()
                .any(|change| change.address == resource.address);
            problems.push(missing(planner, resource, bridge, is_needed));
        }
    }
    for problem in problems {
        planner.problems.push(problem);
    }
}

/// The host has an interface of that name, and no network's it is.
fn taken(planner: &Planner<'_>, resource: &Resource, bridge: &str) -> Option<Diagnostic> {
    let mut networks = planner.observed.networks.values();
    let is_its = |xml: &Document| own_bridge(&xml.tree()) == Some(bridge);
    if networks.any(|network| network.live_xml.as_ref().is_some_and(is_its)) {
        return None;
    }
    // A run that is at the network, or was, may have made it.
    let entry = planner.entry(&resource.address);
    if entry.is_some_and(|entry| entry.status != Status::Applied) {
        return None;
    }
    let hint = match planner.observed.networks.contains_key(&resource.name) {
        true => format!(
            "if a libvirtd that died left it behind, remove it on that host, as root, with {}; else give the network another `bridge`",
            left_on_host(bridge, &resource.name)
        ),
        false => "give the network another `bridge`, or leave it out and libvirt chooses one; to join guests to the host's, write `mode: bridge`".to_owned(),
    };
    Some(
        Diagnostic::error(format!(
            "the bridge of {}, `{bridge}`, is an interface that the host of {} has already",
            resource.address, planner.observed.facts.uri
        ))
        .at(resource.span)
        .hint(hint),
    )
}

/// The host has no such bridge. It may come by the time that guests are started, but for those that this plan starts.
fn missing(
    planner: &Planner<'_>,
    resource: &Resource,
    bridge: &str,
    is_needed: bool,
) -> Diagnostic {
    let text = format!(
        "the host of {} has no bridge `{bridge}`, which {} is to join",
        planner.observed.facts.uri, resource.address
    );
    match is_needed {
        true => Diagnostic::error(text),
        false => Diagnostic::warning(format!("{text} when guests start")),
    }
    .at(resource.span)
    .hint("make it there, in the host's own network configuration or with `ip link add NAME type bridge`, or name one that is there")
}

fn nics(guest: &Element) -> impl Iterator<Item = &Element> {
    let devices = guest.child("devices").into_iter();
    devices.flat_map(|devices| devices.children_named("interface"))
}
