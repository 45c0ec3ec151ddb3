//! The unattended install of a guest: it boots its installer, is waited for, and then gets its final definition.
//!
//! What tells how far an install is stands in libvirt and not in the state: the mark in the guest's definition, whether it
//! runs, and what its installer printed. So a run that was killed, on whatever machine, is taken up where it is.

use super::context::Planner;
use super::definition::source_of;
use super::definition::with_uuid;
use super::guest::{Flags, wanted};
use super::history::last_trees;
use super::{Action, AttributeChange, Change, Disruption, PowerChange, Reason, storage};
use crate::step::{Named, StagePart, Step};
use uuid::Uuid;

use crate::address::Address;
use crate::desired::{Installation, Resource};
use crate::diagnostic::Diagnostic;
use crate::libvirt::observed::{InstallPhase, ObservedGuest, install_mark};
use crate::state::Entry;
use crate::xml::merge::merge;
use crate::xml::tree::Element;

/// The definitions of a guest during and after its install.
struct Definitions {
    install: Element,
    after: Element,
}

/// The steps that install a guest which is not there.
pub(super) fn first(
    planner: &Planner<'_>,
    resource: &Resource,
    flags: &Flags,
    install: &Installation,
) -> Vec<Step> {
    let definitions = Definitions {
        install: with_uuid(&install.xml, flags.uuid),
        after: with_uuid(&resource.xml.tree(), flags.uuid),
    };
    let place = Installed::new(planner, resource, flags.uuid, install);
    let mut steps = begin(&place, install, definitions.install.clone());
    steps.extend(end(&place, flags, install, definitions));
    steps
}

/// What an install works on.
struct Installed {
    guest: Named,
    pool: Named,
}

impl Installed {
    fn new(planner: &Planner<'_>, resource: &Resource, uuid: Uuid, install: &Installation) -> Self {
        Self {
            guest: Named::new(&resource.name, uuid),
            pool: planner.pool(&install.pool),
        }
    }
}

/// Fetches the installer, and boots it with a definition.
fn begin(place: &Installed, install: &Installation, xml: Element) -> Vec<Step> {
    let name = place.guest.clone();
    vec![
        Step::StageInstall {
            pool: place.pool.clone(),
            stage: Box::new(install.stage.clone()),
        },
        Step::DefineGuest { xml: xml.into() },
        Step::StartGuest { name },
    ]
}

/// Waits for the installer, and makes the guest what it is to be.
fn end(
    place: &Installed,
    flags: &Flags,
    install: &Installation,
    definitions: Definitions,
) -> Vec<Step> {
    let name = place.guest.clone();
    let mut steps = vec![
        Step::AwaitInstall {
            name: name.clone(),
            pool: place.pool.clone(),
            done: install.done.clone(),
            timeout: install.timeout,
        },
        Step::SettleGuest {
            install: definitions.install.into(),
            wanted: definitions.after.into(),
        },
    ];
    let seed = install.stage.seed.is_some();
    let there = |part: &StagePart| *part != StagePart::Seed || seed;
    steps.extend(unstage(
        &place.pool,
        &name.name,
        StagePart::ALL.into_iter().filter(there),
    ));
    if flags.autostart {
        steps.push(Step::AutostartGuest {
            name: name.clone(),
            on: true,
        });
    }
    if flags.running {
        steps.push(Step::StartGuest { name });
    }
    steps
}

/// Deletes what an installer was booted from.
fn unstage(pool: &Named, guest: &str, parts: impl Iterator<Item = StagePart>) -> Vec<Step> {
    parts
        .map(|part| Step::DeleteVolume {
            pool: pool.clone(),
            name: part.volume(guest),
            seen: None,
        })
        .collect()
}

/// What an install that was begun and not ended leaves beside the guest.
pub(super) fn leftovers(
    planner: &Planner<'_>,
    live: Option<&ObservedGuest>,
    entry: &Entry,
) -> Vec<Step> {
    let marked = live
        .and_then(|live| install_mark(&live.xml.tree()))
        .map(|mark| mark.pool);
    let pool = marked.or_else(|| entry.staged.clone());
    pool.map_or_else(Vec::new, |pool| left_in(planner, &pool, &entry.name))
}

/// Deletes what an install may have left in a pool; one that only has that pool's name is left alone.
fn left_in(planner: &Planner<'_>, pool: &str, guest: &str) -> Vec<Step> {
    match planner.is_another_pool(pool, None) {
        true => Vec::new(),
        false => unstage(&planner.pool(pool), guest, StagePart::ALL.into_iter()),
    }
}

/// Adds the removal of what an install left that came to its end but for that.
pub(super) fn clean_up(planner: &Planner<'_>, change: &mut Change) {
    let Some(entry) = planner.entry(&change.address) else {
        return;
    };
    let Some(pool) = &entry.staged else { return };
    change.steps.extend(left_in(planner, pool, &entry.name));
    if change.action == Action::None {
        change.action = Action::Update;
        change.attributes = vec![attribute("done", "cleaned up")];
        change.disruption = Some(Disruption::Live);
    }
    change.reason = Some(Reason::Unfinished);
}

/// The line of a plan about an install.
fn attribute(before: &str, after: &str) -> AttributeChange {
    AttributeChange::new("install", before, after, Disruption::Live)
}

/// Goes on with an install that is under way, or starts it over where it stopped; `None` where none is.
pub(super) fn resume(
    planner: &mut Planner<'_>,
    resource: &Resource,
    flags: &Flags,
    install: Option<&Installation>,
    live: &ObservedGuest,
) -> Option<Change> {
    let phase = live.install?;
    let Some(install) = install else {
        planner.problems.push(
            Diagnostic::error(format!("{} is being installed, and no longer has `install`", resource.address))
                .at(resource.span)
                .hint("write `install` again until that is over; or take the guest out, apply, and put it in again"),
        );
        return Some(Change::unchanged(
            resource.address.clone(),
            planner.entry(&resource.address).cloned(),
        ));
    };
    let place = Installed::new(planner, resource, live.uuid, install);
    let (steps, how) = match phase {
        InstallPhase::Running => {
            let definitions = definitions(planner, resource, flags, install, live);
            (
                end(&place, flags, install, definitions),
                ("under way", "finished"),
            )
        }
        InstallPhase::Done => {
            let definitions = definitions(planner, resource, flags, install, live);
            (
                end(&place, flags, install, definitions),
                ("done", "finished"),
            )
        }
        InstallPhase::Stopped => (
            again(planner, resource, flags, install, live),
            ("stopped", "started over"),
        ),
    };
    let mut change = changed(planner, resource, live, steps, how);
    change.action = Action::Update;
    change.reason = Some(Reason::Unfinished);
    change.disruption = Some(Disruption::Live);
    change.power = flags.running.then_some(PowerChange::Start);
    Some(change)
}

/// Installs a guest that is there once more, as was asked for. The disks that the lab made for it are made anew before; on others
/// that it has, the installer may overwrite what is there.
pub(super) fn replace(
    planner: &mut Planner<'_>,
    resource: &Resource,
    flags: &Flags,
    install: &Installation,
    live: &ObservedGuest,
) -> Change {
    let mut steps = again(planner, resource, flags, install, live);
    // What cannot be fetched costs a guest nothing, nor its disks; but one that is being installed is booted from what comes anew.
    let fetched_first = match live.install {
        None => vec![steps.remove(0)],
        Some(_) => Vec::new(),
    };
    if live.power.is_active() {
        let name = Named::new(&resource.name, live.uuid);
        // An installer does not listen.
        let timeout = live.install.map_or(flags.timeout, |_| 0);
        steps.insert(0, Step::ShutdownGuest { name, timeout });
    }
    let left = disks_that_stay(planner, resource);
    let how = match left.is_empty() {
        true => ("done", "done anew"),
        false => ("done", "done anew, over what is on the disks that stay"),
    };
    let mut change = changed(planner, resource, live, steps, how);
    change.quiesce = fetched_first;
    change.data_loss = (!left.is_empty()).then(|| left.iter().map(|disk| disk.size).sum());
    for disk in left {
        change.notes.push(format!(
            "{} stays, and the installer may overwrite it",
            disk.name
        ));
        if disk.is_protected {
            planner.protected(&disk.address, "overwritten by an installer", resource.span);
        }
    }
    change
}

/// A disk that a guest keeps when it is made anew.
struct Left {
    address: Address,
    name: String,
    /// In bytes, where it is known.
    size: u64,
    is_protected: bool,
}

/// The disks of a guest that can be written to, and are not made anew with it.
fn disks_that_stay(planner: &Planner<'_>, resource: &Resource) -> Vec<Left> {
    let xml = resource.xml.tree();
    let disks = xml
        .child("devices")
        .into_iter()
        .flat_map(|devices| devices.children_named("disk"));
    disks
        .filter(|disk| {
            matches!(disk.attribute("device"), None | Some("disk"))
                && disk.child("readonly").is_none()
        })
        .filter_map(|disk| {
            let key = disk.attribute_at("alias", "name")?.strip_prefix("ua-")?;
            let address: Address = format!("volume.{}.{key}", resource.address.name)
                .parse()
                .ok()?;
            if planner.replaces(&address) {
                return None;
            }
            let path = source_of(disk)?.to_owned();
            let mut volumes = planner.observed.volumes.values();
            let size = volumes
                .find(|volume| volume.path == path)
                .map_or(0, storage::volumes::size_of);
            let entry = planner.entry(&address);
            Some(Left {
                name: path,
                size,
                is_protected: entry.is_some_and(|entry| entry.prevent_destroy),
                address,
            })
        })
        .collect()
}

/// Installs over what is there: the definition is changed and not made anew, so that addresses and MACs stay.
fn again(
    planner: &Planner<'_>,
    resource: &Resource,
    flags: &Flags,
    install: &Installation,
    live: &ObservedGuest,
) -> Vec<Step> {
    let definitions = definitions(planner, resource, flags, install, live);
    let last = last_trees(planner.entry(&resource.address));
    let xml = merge(&last, &live.xml.tree(), &definitions.install).target;
    let place = Installed::new(planner, resource, live.uuid, install);
    let mut steps = begin(&place, install, xml);
    steps.extend(end(&place, flags, install, definitions));
    steps
}

fn definitions(
    planner: &Planner<'_>,
    resource: &Resource,
    flags: &Flags,
    install: &Installation,
    live: &ObservedGuest,
) -> Definitions {
    let of = |xml: &Element| wanted(planner.observed, xml, &flags.chosen, live);
    Definitions {
        install: of(&install.xml),
        after: of(&resource.xml.tree()),
    }
}

fn changed(
    planner: &Planner<'_>,
    resource: &Resource,
    live: &ObservedGuest,
    steps: Vec<Step>,
    (before, after): (&str, &str),
) -> Change {
    let record = planner.applied(
        resource,
        Some(live.uuid),
        &with_uuid(&resource.xml.tree(), live.uuid),
    );
    Change {
        attributes: vec![attribute(before, after)],
        before_xml: Some(live.xml.clone()),
        after_xml: Some(resource.xml.clone()),
        steps,
        ..Change::unchanged(resource.address.clone(), Some(record))
    }
}

/// Reports answers that changed since a guest was installed with them. The state keeps those that it was installed with.
pub(super) fn compare_answers(
    planner: &mut Planner<'_>,
    resource: &Resource,
    install: &Installation,
    change: &mut Change,
) {
    let Some(entry) = &mut change.entry else {
        return;
    };
    let before = planner
        .entry(&resource.address)
        .and_then(|e| e.content.clone());
    let Some(before) = before else { return };
    if before != install.answers {
        planner
            .problems
            .push(answers_changed(&resource.address).at(resource.span));
    }
    entry.content = Some(before);
}

fn answers_changed(address: &Address) -> Diagnostic {
    Diagnostic::warning(format!("the answers for the install of {address} changed since it was installed"))
        .hint(format!("nothing is done about it; `miniascape apply --replace {address}` installs it anew, on fresh disks"))
}
