//! NICs of running guests that hang on no bridge: someone restarted the network under them. It shows neither in the guest nor in
//! the network.

use std::collections::BTreeSet;

use super::context::Planner;
use super::definition::hangs_on;
use super::definition::own_bridge;
use super::{Action, AttributeChange, Change, Disruption};
use crate::address::Kind;
use crate::libvirt::observed::{Observed, ObservedGuest};
use crate::step::Step;
use crate::xml::merge::Cause;
use crate::xml::tree::Element;

/// A NIC that is to be plugged in again.
struct Unplugged {
    guest: String,
    nic: Element,
}

/// Plugs the NICs of all running guests in that were on a running network, whoever's they are, as its restart would.
pub(super) fn from_network(
    change: &mut Change,
    observed: &Observed,
    name: &str,
    running: &Element,
) -> Option<Step> {
    let bridge = own_bridge(running);
    let guests = observed.guests.iter();
    let nics: Vec<Unplugged> = guests
        .flat_map(|(guest, live)| unplugged(observed, guest, live))
        .filter(|unplugged| hangs_on(&unplugged.nic, name, bridge))
        .collect();
    if nics.is_empty() {
        return None;
    }
    let name_of = |nic: &Unplugged| format!("{}.{}", nic.guest, nic.name());
    let names: Vec<String> = nics.iter().map(name_of).collect();
    change.attributes.push(attribute(&names));
    Some(plug_in(name, nics.iter()))
}

/// Plugs the NICs of a guest of the lab in that are on what is not the lab's: an external network, or a bridge of the host.
pub(super) fn from_others(planner: &Planner<'_>, change: &mut Change, live: &ObservedGuest) {
    let stops = |step: &Step| matches!(step, Step::ShutdownGuest { .. });
    match change.action {
        Action::None | Action::Update if !change.steps.iter().any(stops) => {}
        Action::None | Action::Update => return,
        Action::Create | Action::Replace | Action::Delete | Action::Forget => return,
    }
    let Some(name) = change.entry.as_ref().map(|entry| entry.name.clone()) else {
        return;
    };
    let is_the_labs = |nic: &Element| {
        let networks = planner.changes.values();
        let mut networks = networks.filter(|change| change.address.kind == Kind::Network);
        networks.any(|change| {
            let Some(network) = change.entry.as_ref().map(|entry| &entry.name) else {
                return false;
            };
            let live = planner.observed.networks.get(network);
            let xml = live.map(|live| live.live_xml.as_ref().unwrap_or(&live.xml).tree());
            hangs_on(nic, network, xml.as_deref().and_then(own_bridge))
        })
    };
    let mut nics = unplugged(planner.observed, &name, live);
    nics.retain(|unplugged| !is_the_labs(&unplugged.nic));
    if nics.is_empty() {
        return;
    }
    let names: Vec<String> = nics.iter().map(Unplugged::name).collect();
    change.attributes.push(attribute(&names));
    let places: BTreeSet<String> = nics
        .iter()
        .filter_map(|nic| place(&nic.nic))
        .map(str::to_owned)
        .collect();
    for network in places {
        let there = |unplugged: &&Unplugged| place(&unplugged.nic) == Some(&network);
        let step = plug_in(&network, nics.iter().filter(there));
        change.steps.push(step);
    }
    if change.action == Action::None {
        change.action = Action::Update;
        change.before_xml = Some(live.xml.clone());
        change.after_xml = Some(live.xml.clone());
    }
    change.disruption = change.disruption.max(Some(Disruption::Live));
}

/// The network or the host's bridge that a NIC names.
fn place(nic: &Element) -> Option<&str> {
    let names = ["network", "bridge"].into_iter();
    let mut found = names.filter_map(|name| nic.attribute_at("source", name));
    found.next()
}

/// The NICs of a guest that are on a network or bridge by their definition, and whose taps are not. One whose link its definition
/// has down stays as it is.
fn unplugged(observed: &Observed, name: &str, guest: &ObservedGuest) -> Vec<Unplugged> {
    let loose = &observed.loose_taps;
    let Some(running) = guest.live_xml.as_ref().filter(|_| !loose.is_empty()) else {
        return Vec::new();
    };
    let is_loose = |nic: &&Element| {
        let tap = nic.attribute_at("target", "dev");
        // What Open vSwitch forwards by itself is on no bridge of the kernel's.
        let is_ovs = nic.attribute_at("virtualport", "type") == Some("openvswitch");
        tap.is_some_and(|tap| loose.contains(tap)) && place(nic).is_some() && !is_ovs
    };
    let defined = || guest.xml.tree();
    let is_down_on_purpose = |nic: &&Element| {
        let same = |other: &&Element| {
            other.attribute_at("mac", "address") == nic.attribute_at("mac", "address")
        };
        let down = |nic: &Element| nic.attribute_at("link", "state") == Some("down");
        interfaces(&defined()).find(same).is_some_and(down)
    };
    interfaces(&running.tree())
        .filter(is_loose)
        .filter(|nic| !is_down_on_purpose(nic))
        .map(|nic| Unplugged {
            guest: name.to_owned(),
            nic: nic.clone(),
        })
        .collect()
}

fn interfaces(guest: &Element) -> impl Iterator<Item = &Element> {
    let devices = guest.child("devices").into_iter();
    devices.flat_map(|devices| devices.children_named("interface"))
}

/// What others unplugged of a guest.
pub(super) fn by_others(
    observed: &Observed,
    name: &str,
    guest: &ObservedGuest,
) -> Option<AttributeChange> {
    let nics = unplugged(observed, name, guest);
    let names: Vec<String> = nics.iter().map(Unplugged::name).collect();
    (!nics.is_empty()).then(|| AttributeChange {
        before: None,
        after: Some(names.join(", ").into()),
        note: None,
        cause: None,
        ..attribute(&names)
    })
}

/// Which NICs are plugged in.
fn attribute(nics: &[String]) -> AttributeChange {
    AttributeChange {
        after: None,
        note: Some("plugged in again".into()),
        cause: Some(Cause::Drift),
        ..AttributeChange::new("unplugged", nics.join(", "), "", Disruption::Live)
    }
}

fn plug_in<'a>(network: &str, nics: impl Iterator<Item = &'a Unplugged>) -> Step {
    Step::PlugIn {
        network: network.to_owned(),
        nics: nics.map(|nic| (nic.guest.clone(), nic.mac())).collect(),
    }
}

impl Unplugged {
    fn mac(&self) -> String {
        let mac = self.nic.attribute_at("mac", "address");
        mac.unwrap_or_default().to_owned()
    }

    /// Its name in the definition, or its MAC.
    fn name(&self) -> String {
        let alias = self.nic.attribute_at("alias", "name");
        let key = alias.and_then(|alias| alias.strip_prefix("ua-"));
        key.map_or_else(|| self.mac(), str::to_owned)
    }
}
