//! `miniascape status`

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::output::{Failure, result};
use super::session::{Session, Warnings};
use super::{Common, Exit};
use crate::address::{Address, Kind};
use crate::desired::{Detail, Resource};
use crate::lab::model::Lab;
use crate::libvirt::Addresses;
use crate::libvirt::observed::{Observed, ObservedGuest, ObservedVolume, Power};
use crate::plan::{self, Overlays};
use crate::state::store::Access;
use crate::state::{Entry, State, Status};
use crate::view::Color;
use crate::view::status::{self, Row};
use crate::xml::merge::children_of;
use crate::xml::tree::Element;

pub(super) fn run(common: &Common, color: Color) -> Result<Exit, Failure> {
    let (session, mut live) = Session::open_live(common, Access::Read, Warnings::Left, color)?;
    let (observed, desired) = session.refresh(&mut live)?;
    let uuids = live.state.resources.values().filter_map(|entry| entry.uuid);
    let guests = desired.resources.values();
    let guests = guests.filter(|resource| resource.address.kind == Kind::Guest);
    let guests = guests.map(|resource| resource.name.as_str()).collect();
    let seen = Known {
        overlays: Overlays::of(&observed, &uuids.collect()),
        addresses: live.addresses(&observed, &guests),
        lab: &session.lab,
        state: &live.state,
        observed: &observed,
    };
    let mut rows: Vec<Row> = desired
        .resources
        .values()
        .map(|it| row(it, &seen))
        .collect();
    let orphans = live
        .state
        .resources
        .iter()
        .filter(|(address, _)| !desired.resources.contains_key(address));
    rows.extend(orphans.map(|(address, entry)| {
        let (state, detail) = match desired.moves.target(address) {
            Some(to) => ("moved", format!("{to} with the next apply")),
            None => ("orphan", "no longer defined".to_owned()),
        };
        Row {
            address: address.to_string(),
            state: state.to_owned(),
            details: named(address, &entry.name)
                .into_iter()
                .chain([detail])
                .collect(),
        }
    }));
    result(&status::text(&rows))?;
    Ok(Exit::Success)
}

/// What is known of a lab.
struct Known<'a> {
    lab: &'a Lab,
    state: &'a State,
    observed: &'a Observed,
    overlays: Overlays,
    addresses: BTreeMap<String, Addresses>,
}

fn row(resource: &Resource, seen: &Known<'_>) -> Row {
    let Resource { address, name, .. } = resource;
    let observed = seen.observed;
    let unfinished = seen.state.resources.get(address).and_then(unfinished);
    let (state, details) = match &resource.detail {
        Detail::Network { .. } => {
            let network = observed.networks.get(name);
            (network.map(|it| active(it.active)), named(address, name))
        }
        Detail::Reservations => {
            let network = observed.networks.get(name);
            let state = network.map(|network| match plan::reserves(network, resource) {
                true => "present",
                false => "missing",
            });
            (state, vec![format!("on network {name}")])
        }
        Detail::Pool { .. } => {
            let path = resource
                .xml
                .tree()
                .text_at("target/path")
                .map(str::to_owned);
            let pool = observed.pools.get(name);
            let details = named(address, name).into_iter().chain(path);
            (pool.map(|it| active(it.active)), details.collect())
        }
        Detail::Image { pool, .. } | Detail::Volume { pool, .. } => {
            match observed.volumes.get(&(pool.clone(), name.clone())) {
                Some(volume) => {
                    let state = match is_half(address, seen.state) {
                        true => "incomplete",
                        false => "present",
                    };
                    (Some(state), place(address, volume, seen))
                }
                None => (None, vec![format!("{name} in pool {pool}")]),
            }
        }
        Detail::Guest { .. } => {
            let guest = observed.guests.get(name);
            (guest.map(power), guest_details(resource, guest, seen))
        }
    };
    Row {
        address: address.to_string(),
        state: state.unwrap_or("missing").to_owned(),
        details: details.into_iter().chain(unfinished).collect(),
    }
}

/// An object's name in libvirt, where that is not its own.
fn named(address: &Address, name: &str) -> Vec<String> {
    match address.name == name {
        true => Vec::new(),
        false => vec![format!("named {name}")],
    }
}

/// Whether what is there of a volume may not be all of it. A volume that is only changed keeps what it has; an image is filled anew.
fn is_half(address: &Address, state: &State) -> bool {
    let status = state.resources.get(address).map(|entry| entry.status);
    match status {
        Some(Status::Creating) => true,
        Some(Status::Changing | Status::Deleting) => address.kind == Kind::Image,
        Some(Status::Applied) | None => false,
    }
}

/// What a run that goes on, or broke off, has not done yet.
fn unfinished(entry: &Entry) -> Option<String> {
    let what = match entry.status {
        Status::Creating => "creation",
        Status::Changing => "change",
        Status::Deleting => "deletion",
        Status::Applied => return None,
    };
    Some(format!("its {what} is not finished"))
}

/// What a guest is made of, the addresses of its NICs, and what waits or is under way.
fn guest_details(
    resource: &Resource,
    guest: Option<&ObservedGuest>,
    seen: &Known<'_>,
) -> Vec<String> {
    let xml = match guest {
        Some(guest) => guest.live_xml.as_ref().unwrap_or(&guest.xml).tree(),
        None => resource.xml.tree(),
    };
    let mut details = named(&resource.address, &resource.name);
    details.push(plan::summary(&xml));
    details.extend(nics(resource, &xml, guest, seen));
    let pending: Vec<String> = guest
        .into_iter()
        .flat_map(plan::pending_restarts)
        .map(|attribute| attribute.name)
        .collect();
    if !pending.is_empty() {
        details.push(format!("pending restart: {}", pending.join(", ")));
    }
    details.extend(guest.into_iter().flat_map(plan::jobs));
    details
}

/// The NICs of a guest with the addresses that are known, or else those that are defined.
fn nics(
    resource: &Resource,
    xml: &Element,
    guest: Option<&ObservedGuest>,
    seen: &Known<'_>,
) -> Vec<String> {
    let defined = resource.xml.tree();
    let (Some(devices), Some(ours)) = (xml.child("devices"), defined.child("devices")) else {
        return Vec::new();
    };
    let runs = guest.is_some_and(|guest| guest.power.is_active());
    let known = seen.addresses.get(&resource.name);
    let written = seen.lab.guests.get(resource.address.name.as_str());
    let same = children_of("domain/devices", devices, ours);
    let nics = devices.children.iter().zip(same);
    let nics = nics.filter(|(device, _)| device.name == "interface");
    nics.filter_map(|(nic, same)| {
        let mac = nic
            .attribute_at("mac", "address")
            .unwrap_or_default()
            .to_lowercase();
        let alias = same.and_then(|same| same.attribute_at("alias", "name"));
        let key = alias.and_then(|alias| alias.strip_prefix("ua-"));
        let interfaces = written.into_iter().flat_map(|guest| &guest.interfaces);
        let ips = interfaces
            .filter(|nic| key == Some(nic.key.as_str()))
            .flat_map(|nic| nic.ips.iter().copied())
            .collect();
        let known = known.and_then(|known| known.get(&mac)).cloned();
        let told = addresses(&known.unwrap_or_default(), &ips, runs)?;
        Some(format!("{} {told}", key.unwrap_or(&mac)))
    })
    .collect()
}

/// The addresses that a NIC is known to have, with those that are only defined told apart.
fn addresses(known: &BTreeSet<IpAddr>, defined: &BTreeSet<IpAddr>, runs: bool) -> Option<String> {
    let list =
        |all: &BTreeSet<IpAddr>| Vec::from_iter(all.iter().map(IpAddr::to_string)).join(", ");
    let missing = defined.difference(known).copied().collect::<BTreeSet<_>>();
    match (known.is_empty(), missing.is_empty()) {
        (true, true) => runs.then(|| "no address known".to_owned()),
        (true, false) if runs => Some(format!("{} (defined, not seen)", list(defined))),
        (true, false) => Some(format!("{} (defined)", list(defined))),
        (false, true) => Some(list(known)),
        (false, false) => Some(format!("{} (defined: {})", list(known), list(&missing))),
    }
}

/// Where a volume is, and what others put over it. Over an image are the lab's own volumes.
fn place(address: &Address, volume: &ObservedVolume, seen: &Known<'_>) -> Vec<String> {
    let over = match address.kind {
        Kind::Volume => seen.overlays.over(&seen.observed.paths, &volume.path),
        Kind::Network | Kind::Reservations | Kind::Pool | Kind::Image | Kind::Guest => Vec::new(),
    };
    let over = over.iter().map(|overlay| format!("its overlay {overlay}"));
    std::iter::once(volume.path.clone()).chain(over).collect()
}

fn active(on: bool) -> &'static str {
    if on { "active" } else { "inactive" }
}

fn power(guest: &ObservedGuest) -> &'static str {
    match guest.power {
        Power::Off if guest.saved => "saved",
        Power::Running => "running",
        Power::Paused => "paused",
        Power::Off => "off",
        Power::Crashed => "crashed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_told_from_what_is_only_defined() {
        let set = |all: &[&str]| all.iter().map(|ip| ip.parse().unwrap()).collect();
        let told = |known: &[&str], defined: &[&str], runs: bool| {
            addresses(&set(known), &set(defined), runs)
        };
        for (known, defined, runs, text) in [
            (&["10.0.0.5"][..], &["10.0.0.5"][..], true, "10.0.0.5"),
            (&["10.0.0.5"], &[], true, "10.0.0.5"),
            (
                &["10.0.0.5", "fd00::5"],
                &["10.0.0.5"],
                true,
                "10.0.0.5, fd00::5",
            ),
            (
                &["10.0.0.9"],
                &["10.0.0.5"],
                true,
                "10.0.0.9 (defined: 10.0.0.5)",
            ),
            (&[], &["10.0.0.5"], true, "10.0.0.5 (defined, not seen)"),
            (
                &[],
                &["10.0.0.5", "fd00::5"],
                false,
                "10.0.0.5, fd00::5 (defined)",
            ),
            (&[], &[], true, "no address known"),
        ] {
            assert_eq!(told(known, defined, runs).as_deref(), Some(text));
        }
        assert_eq!(told(&[], &[], false), None);
    }
}
