//! Snapshots and checkpoints of guests: libvirt keeps them beside the guest's definition, and what they are of is in its disks.

use std::collections::BTreeMap;

use super::Action;
use super::context::Planner;
use super::saved::guest_of;
use crate::address::{Address, Kind};
use crate::step::Named;

/// Says where they go, and where what they are of does.
pub(super) fn note(planner: &mut Planner<'_>) {
    let observed = planner.observed;
    if !observed.guests.values().any(|guest| guest.snapshots) {
        return;
    }
    let mut stay: BTreeMap<Address, Named> = BTreeMap::new();
    for change in planner.changes.values_mut() {
        let Some((name, live)) = guest_of(change, observed) else {
            continue;
        };
        match change.action {
            _ if !live.snapshots => {}
            Action::Delete | Action::Replace => {
                let note = "its snapshots and checkpoints go with it";
                change.notes.push(note.to_owned());
            }
            Action::None | Action::Create | Action::Update | Action::Forget => {
                stay.insert(change.address.clone(), name);
            }
        }
    }
    let changes = planner.changes.values_mut();
    let volumes = changes.filter(|change| change.address.kind == Kind::Volume);
    for change in volumes.filter(|change| change.action == Action::Replace) {
        let guest = change
            .address
            .disk()
            .map(|(guest, _)| Address::guest(&guest));
        if let Some(guest) = guest.and_then(|guest| stay.get(&guest)) {
            change.notes.push(format!(
                "snapshots and checkpoints of guest {guest} stay, and are of the disk as it was: see `virsh snapshot-list {guest}` and `virsh checkpoint-list {guest}`"
            ));
        }
    }
}
