//! What is made sure of before a volume is deleted that another is to replace: that libvirt makes the other, and that there is room.

use super::super::context::Planner;
use super::super::{Action, Change, Disruption, Reason};
use super::made::takes_all;
use super::volumes::{Sizes, allocation, capacity, seen, sizes, volume_of};
use crate::address::Address;
use crate::desired::Resource;
use crate::libvirt::observed::{ObservedVolume, trial_name};
use crate::state::Status;
use crate::step::{Content, Step};
use crate::xml::spelling;
use crate::xml::tree::Element;

/// A volume that is to go, by its pool and name.
pub(super) struct Old<'a> {
    pub pool: &'a str,
    pub name: &'a str,
    pub live: &'a ObservedVolume,
}

/// Puts that before all else that a replacement does; before the guests on it are stopped, unless it waits itself for what its new
/// volume needs. `content` is what that is filled with, and its size in bytes.
pub(super) fn first(
    planner: &Planner<'_>,
    change: &mut Change,
    resource: &Resource,
    old: &Old<'_>,
    content: Option<(&Content, u64)>,
) {
    let wanted = resource.xml.tree();
    let pool = resource.pool().unwrap_or(old.pool);
    let mut steps = Vec::new();
    let size = content.map_or_else(|| allocated(&wanted), |(_, size)| size);
    if size > 0 {
        steps.push(Step::CheckRoom {
            pool: planner.pool(pool),
            content: content.map(|(content, _)| content.clone()),
            size,
            frees: match is_beside(planner, pool, old.pool) {
                true => allocation(&old.live.xml.tree()),
                false => 0,
            },
        });
    }
    // Where volumes are no files, one of no size is another kind of volume, or there is none. It is made where the state tells the
    // next run to look for it, should this one end before it is deleted.
    let is_file = |pool| sizes(planner, pool) == Sizes::Exact;
    if is_file(pool) && is_file(old.pool) {
        steps.push(Step::TryVolume {
            pool: planner.pool(old.pool),
            xml: trial(&wanted, old.name).into(),
        });
    }
    let mut needs = resource.depends_on.iter();
    let waits = needs.any(|address| {
        let change = planner.changes.get(address);
        change.is_some_and(|change| change.action != Action::None)
    });
    match waits {
        true => drop(change.steps.splice(0..0, steps)),
        false => change.quiesce = steps,
    }
}

/// A volume like the one that is wanted, under a name of its own and with nothing in it.
fn trial(wanted: &Element, name: &str) -> Element {
    let mut xml = wanted.clone();
    xml.child_or_insert("name").text = trial_name(name);
    let allocation = xml.child_or_insert("allocation");
    allocation.attributes.clear();
    "0".clone_into(&mut allocation.text);
    xml
}

/// How much a new volume takes of its pool at once, in bytes: those that are no images of QEMU's take all.
fn allocated(wanted: &Element) -> u64 {
    let told = spelling::canonical(wanted).child("allocation").is_some();
    match wanted.find("target/encryption").is_some() {
        true => 0,
        false if told => allocation(wanted),
        false if takes_all(wanted) => capacity(wanted),
        false => 0,
    }
}

/// Whether what goes in one pool makes room in another, as far as it is known.
fn is_beside(planner: &Planner<'_>, pool: &str, other: &str) -> bool {
    let directories = &planner.observed.directories;
    match (directories.get(pool), directories.get(other)) {
        (Some(place), Some(other)) => place.file_system == other.file_system,
        (_, _) => true,
    }
}

/// Deletes what a run that was killed left of such a trial: the state has its volume as unfinished.
pub(in crate::plan) fn left(planner: &mut Planner<'_>) {
    let mut left: Vec<(Address, Step)> = Vec::new();
    for address in planner.changes.keys() {
        let entry = planner.entry(address);
        let unfinished = entry.filter(|entry| entry.status != Status::Applied);
        let Some((entry, pool)) = unfinished.and_then(|it| Some((it, it.pool.as_deref()?))) else {
            continue;
        };
        let name = trial_name(&entry.name);
        if let Some(live) = volume_of(planner, pool, &name) {
            let step = Step::DeleteVolume {
                pool: planner.pool(pool),
                name,
                seen: Some(seen(live)),
            };
            left.push((address.clone(), step));
        }
    }
    for (address, step) in left {
        let Some(change) = planner.changes.get_mut(&address) else {
            continue;
        };
        change.steps.push(step);
        match change.action {
            Action::None => {
                change.action = Action::Update;
                change.disruption = Some(Disruption::Live);
                change.reason = Some(Reason::Unfinished);
                change.notes.push("what was made to try it goes".to_owned());
            }
            Action::Create | Action::Update | Action::Replace | Action::Delete | Action::Forget => {
            }
        }
    }
}
