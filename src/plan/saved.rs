//! Guests that are off and whose memory is on disk (`virsh managedsave`): their next start goes on from there, with the definition
//! and the disks that they were saved with.

use std::collections::BTreeSet;

use super::context::Planner;
use super::{Action, AttributeChange, Change, Disruption};
use crate::address::{Address, Kind};
use crate::desired::Desired;
use crate::libvirt::observed::{Observed, ObservedGuest};
use crate::step::{Named, Step};
use crate::xml::merge::merge;
use crate::xml::schema;

/// Discards memory that does not go with what becomes of its guest: it would bring the old definition back into force, and know
/// disks that are no more.
pub(super) fn discard(planner: &mut Planner<'_>, desired: Option<&Desired>) {
    if !planner.observed.guests.values().any(|guest| guest.saved) {
        return;
    }
    let disks = |is_it: &dyn Fn(&Change) -> bool| -> BTreeSet<Address> {
        let changes = planner.changes.values();
        let disks = changes.filter(|it| matches!(it.address.kind, Kind::Image | Kind::Volume));
        let disks = disks.filter(|change| is_it(change));
        disks.map(|change| change.address.clone()).collect()
    };
    let replaced = disks(&|change| change.action == Action::Replace);
    let missing = disks(&|change| {
        change.action == Action::Create && planner.entry(&change.address).is_some()
    });
    for change in planner.changes.values_mut() {
        let Some((name, live)) = guest_of(change, planner.observed) else {
            continue;
        };
        if !live.saved {
            continue;
        }
        let resource = desired.and_then(|desired| desired.resources.get(&change.address));
        let has = |disks| resource.is_some_and(|it| !it.depends_on.is_disjoint(disks));
        let disks = match (has(&missing), has(&replaced)) {
            (true, _) => Disks::Missing,
            (false, true) => Disks::Replaced,
            (false, false) => Disks::Stay,
        };
        settle(change, &name, live, disks);
    }
}

/// What becomes of a guest's disks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Disks {
    Stay,
    /// One at least is made anew.
    Replaced,
    /// One at least is gone, and is made anew.
    Missing,
}

/// The guest that a change is about, as it is.
pub(super) fn guest_of<'a>(
    change: &Change,
    observed: &'a Observed,
) -> Option<(Named, &'a ObservedGuest)> {
    if change.address.kind != Kind::Guest {
        return None;
    }
    let before = change.before_xml.as_ref();
    let named = before.and_then(|xml| Named::of(&xml.tree()));
    let known = || {
        let entry = change.entry.as_ref()?;
        Some(Named::new(&entry.name, entry.uuid?))
    };
    let name = named.or_else(known)?;
    let live = observed.guests.get(&name.name)?;
    (live.uuid == name.uuid).then_some((name, live))
}

fn settle(change: &mut Change, name: &Named, live: &ObservedGuest, disks: Disks) {
    let other_disks = disks != Disks::Stay;
    let is_other = |step: &Step| match step {
        Step::DefineGuest { xml } => {
            let live = live.xml.tree();
            let merged = merge(std::slice::from_ref(&*live), &live, &xml.tree());
            // The names of its devices come into force with the next start from nothing.
            let mut differences = merged.differences.iter();
            differences.any(|difference| !schema::is_mark(&difference.path))
        }
        Step::SettleGuest { .. } => true,
        _ => false,
    };
    let starts = |step: &Step| matches!(step, Step::StartGuest { .. });
    match change.action {
        Action::Create | Action::Forget => return,
        Action::Delete | Action::Replace => {
            let note = "its saved memory goes with it";
            change.notes.push(note.to_owned());
            if change.action == Action::Delete {
                return;
            }
        }
        Action::None | Action::Update if other_disks || change.steps.iter().any(is_other) => {
            discards(change, live);
            // Without its disk it cannot be started.
            if disks != Disks::Missing {
                change.notes.push(format!(
                    "to keep its memory, start it, so that it goes on from there, and apply again: `virsh start {name}`"
                ));
            }
        }
        Action::None | Action::Update => {
            if change.steps.iter().any(starts) {
                let note = "goes on from its saved state";
                change.notes.push(note.to_owned());
            }
            return;
        }
    }
    // Before it has another definition or other disks: should the run end between the two, nothing would tell that the memory
    // does not go with them.
    let step = Step::DiscardSave { name: name.clone() };
    let defines = |step: &Step| {
        matches!(
            step,
            Step::DefineGuest { .. } | Step::SettleGuest { .. } | Step::UndefineGuest { .. }
        )
    };
    let at = |steps: &[Step]| steps.iter().position(defines);
    match (at(&change.quiesce), at(&change.steps)) {
        (Some(at), _) => change.quiesce.insert(at, step),
        (None, _) if other_disks => change.quiesce.push(step),
        (None, at) => change.steps.insert(at.unwrap_or(0), step),
    }
}

/// Shows that memory is discarded, which takes a consent as data does.
fn discards(change: &mut Change, live: &ObservedGuest) {
    let discarded =
        AttributeChange::new("saved memory", "discarded", "discarded", Disruption::Live);
    change.attributes.push(discarded);
    change.data_loss = change.data_loss.or(Some(0));
    change.disruption = change.disruption.max(Some(Disruption::Live));
    if change.action == Action::None {
        change.action = Action::Update;
        change.before_xml = Some(live.xml.clone());
        change.after_xml = Some(live.xml.clone());
    }
}
