//! `miniascape validate`

use super::output::{Failure, result};
use super::session::{Session, Warnings};
use super::{Common, Exit};
use crate::desired::{self, Formats};
use crate::plan;
use crate::state::State;
use crate::view::Color;

pub(super) fn run(common: &Common, color: Color) -> Result<Exit, Failure> {
    let session = Session::open(common, Warnings::Told, color)?;
    let nothing = State::new(session.lab.name.clone());
    let mut assumed = desired::assumed(&session.lab, Formats::Open);
    desired::assume_pools(&session.lab, &mut assumed);
    let desired = session.desired(&assumed, &nothing)?;
    let lab = &session.lab;
    session.check(&plan::unfit::anywhere(&desired, &lab.places))?;
    let count = |number: usize, noun: &str| {
        let plural = if number == 1 { "" } else { "s" };
        format!("{number} {noun}{plural}")
    };
    result(&format!(
        "Lab {} is valid: {}, {}, {}, {}, {}.\n",
        lab.name,
        count(lab.networks.len(), "network"),
        count(lab.pools.len(), "pool"),
        count(lab.images.len(), "image"),
        count(lab.volumes().count(), "volume"),
        count(lab.guests.len(), "guest"),
    ))?;
    Ok(Exit::Success)
}
