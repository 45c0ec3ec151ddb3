//! `miniascape status`

use super::output::{Failure, result};
use super::session::Session;
use super::{Common, Exit};
use crate::address::Address;
use crate::desired::{Detail, Resource};
use crate::libvirt::observed::{Observed, ObservedGuest, Power};
use crate::plan;
use crate::state::store::Access;
use crate::view::Color;
use crate::view::status::{self, Row};

pub(super) fn run(common: &Common, color: Color) -> Result<Exit, Failure> {
    let (session, mut live) = Session::open_live(common, Access::Read, color)?;
    let (observed, desired) = session.look(&mut live)?;
    let mut rows: Vec<Row> = desired
        .resources
        .values()
        .map(|resource| row(resource, &observed))
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

fn row(resource: &Resource, observed: &Observed) -> Row {
    let (state, detail) = match &resource.detail {
        Detail::Network { .. } => (
            observed
                .networks
                .get(&resource.name)
                .map(|n| active(n.active)),
            String::new(),
        ),
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
                volume.map(|volume| volume.path.clone()).unwrap_or_default(),
            )
        }
        Detail::Guest { summary, .. } => {
            let guest = observed.guests.get(&resource.name);
            let pending: Vec<String> = guest
                .into_iter()
                .flat_map(plan::pending_restarts)
                .map(|attribute| attribute.name)
                .collect();
            let detail = match pending.is_empty() {
                true => summary.clone(),
                false => format!("{summary}; pending restart: {}", pending.join(", ")),
            };
            (guest.map(power), detail)
        }
    };
    Row {
        address: Address::to_string(&resource.address),
        name: resource.name.clone(),
        state: state.unwrap_or("missing").to_owned(),
        detail,
    }
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
