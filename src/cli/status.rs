//! `miniascape status`

use super::output::{Failure, result};
use super::session::Session;
use super::{Common, Exit};
use crate::address::{Address, Kind};
use crate::desired::{Detail, Resource};
use crate::libvirt::observed::{Observed, ObservedGuest, ObservedVolume, Power};
use crate::plan::{self, Overlays};
use crate::state::store::Access;
use crate::view::Color;
use crate::view::status::{self, Row};

pub(super) fn run(common: &Common, color: Color) -> Result<Exit, Failure> {
    let (session, mut live) = Session::open_live(common, Access::Read, color)?;
    let (observed, desired) = session.look(&mut live)?;
    let uuids = live.state.resources.values().filter_map(|entry| entry.uuid);
    let overlays = Overlays::of(&observed, &uuids.collect());
    let mut rows: Vec<Row> = desired
        .resources
        .values()
        .map(|resource| row(resource, &observed, &overlays))
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
            name: entry.name.clone(),
            state: state.to_owned(),
            detail,
        }
    }));
    result(&status::text(&rows))?;
    Ok(Exit::Success)
}

fn row(resource: &Resource, observed: &Observed, overlays: &Overlays) -> Row {
    let (state, detail) = match &resource.detail {
        Detail::Network { .. } => (
            observed
                .networks
                .get(&resource.name)
                .map(|n| active(n.active)),
            String::new(),
        ),
        Detail::Reservations => {
            let network = observed.networks.get(&resource.name);
            (
                network.map(|network| match plan::reserves(network, resource) {
                    true => "present",
                    false => "missing",
                }),
                format!("on network {}", resource.name),
            )
        }
        Detail::Pool { .. } => (
            observed.pools.get(&resource.name).map(|p| active(p.active)),
            resource
                .xml
                .tree()
                .text_at("target/path")
                .unwrap_or_default()
                .to_owned(),
        ),
        Detail::Image { pool, .. } | Detail::Volume { pool, .. } => {
            let volume = observed.volumes.get(&(pool.clone(), resource.name.clone()));
            (
                volume.map(|_| "present"),
                volume
                    .map(|volume| place(&resource.address, volume, observed, overlays))
                    .unwrap_or_default(),
            )
        }
        Detail::Guest { summary, .. } => {
            let guest = observed.guests.get(&resource.name);
            let pending: Vec<String> = guest
                .into_iter()
                .flat_map(plan::pending_restarts)
                .map(|attribute| attribute.name)
                .collect();
            let pending = match pending.is_empty() {
                true => None,
                false => Some(format!("pending restart: {}", pending.join(", "))),
            };
            let said = std::iter::once(summary.clone()).chain(pending);
            let said = said.chain(guest.into_iter().flat_map(plan::jobs));
            (guest.map(power), Vec::from_iter(said).join("; "))
        }
    };
    Row {
        address: Address::to_string(&resource.address),
        name: resource.name.clone(),
        state: state.unwrap_or("missing").to_owned(),
        detail,
    }
}

/// Where a volume is, and what others put over it. Over an image are the lab's own volumes.
fn place(
    address: &Address,
    volume: &ObservedVolume,
    observed: &Observed,
    overlays: &Overlays,
) -> String {
    let over = match address.kind {
        Kind::Volume => overlays.over(&observed.paths, &volume.path),
        Kind::Network | Kind::Reservations | Kind::Pool | Kind::Image | Kind::Guest => Vec::new(),
    };
    let over = over
        .iter()
        .map(|overlay| format!("; its overlay {overlay}"));
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
