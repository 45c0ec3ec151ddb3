//! What happens to a guest.

mod firmware;
mod flags;
mod live;
mod pending;
mod running;
mod tpm;
mod update;
mod wanted;

pub(super) use firmware::{is_uefi, variables};
pub(super) use flags::Flags;
pub(super) use live::left;
pub use pending::restarts as pending_restarts;
pub(super) use update::{changed_while_running, defers, quiesce, update};
pub(super) use wanted::wanted;

use super::attribute::renamed;
use super::context::{Found, Planner};
use super::definition::with_uuid;
use super::history::{last_trees, reason_to_create};
use super::{Action, Change, Disruption, PowerChange, Reason, install, moved, unplugged};
use crate::address::Address;
use crate::desired::{Detail, Installation, Resource};
use crate::libvirt::observed::ObservedGuest;
use crate::state::Entry;
use crate::step::{Named, Step};
use crate::units::size;
use crate::xml::document::Document;
use crate::xml::spelling;
use crate::xml::tree::Element;

/// Seconds that a shutdown may take where nothing else is known.
const SHUTDOWN_TIMEOUT: u64 = 120;

pub(super) fn change(planner: &mut Planner<'_>, resource: &Resource) -> Change {
    let Detail::Guest {
        uuid,
        autostart,
        running,
        shutdown_timeout,
        on_change,
        chosen,
        summary,
        install,
    } = &resource.detail
    else {
        return Change::unchanged(resource.address.clone(), None);
    };
    let flags = Flags {
        uuid: *uuid,
        autostart: *autostart,
        running: *running,
        timeout: *shutdown_timeout,
        on_change: *on_change,
        chosen: match planner.entry(&resource.address) {
            Some(entry) => chosen.clone().but(&entry.written),
            None => chosen.clone(),
        },
    };
    let guests = &planner.observed.guests;
    match planner.find(resource, flags.uuid, guests) {
        Found::Foreign => Change::unchanged(resource.address.clone(), None),
        Found::Absent => {
            let flags = Flags {
                uuid: planner.fresh(&resource.address, flags.uuid, guests),
                ..flags
            };
            create(planner, resource, &flags, install.as_deref(), summary)
        }
        Found::Ours(live) if planner.replaces(&resource.address) => replace(
            planner,
            resource,
            &flags,
            install.as_deref(),
            (&resource.name, live),
            summary,
        ),
        Found::Ours(live) => {
            let install = install.as_deref();
            let resumed = install::resume(planner, resource, &flags, install, live);
            resumed.unwrap_or_else(|| {
                let mut change = update(planner, resource, &flags, live);
                unplugged::from_others(planner, &mut change, live);
                install::clean_up(planner, &mut change);
                if let Some(install) = install {
                    install::compare_answers(planner, resource, install, &mut change);
                }
                change
            })
        }
        Found::Renamed(old, live) if !planner.replaces(&resource.address) => {
            let install = install.as_deref();
            moved::rename(planner, resource, &flags, install, (&old, live))
        }
        Found::Renamed(old, live) => {
            let mut change = replace(planner, resource, &flags, None, (&old, live), summary);
            change.attributes = vec![renamed(&old, &resource.name, Disruption::Recreate)];
            change
        }
    }
}

/// Makes a guest anew, as was asked for. What libvirt would refuse is found out before anything goes.
fn replace(
    planner: &mut Planner<'_>,
    resource: &Resource,
    flags: &Flags,
    install: Option<&Installation>,
    (name, live): (&str, &ObservedGuest),
    summary: &str,
) -> Change {
    if resource.lifecycle.prevent_destroy {
        planner.protected(&resource.address, "replaced", resource.span);
    }
    let mut change = match install {
        Some(install) => install::replace(planner, resource, flags, install, live),
        None => {
            let flags = Flags {
                uuid: live.uuid,
                chosen: flags.chosen.clone(),
                ..*flags
            };
            let mut change = create(planner, resource, &flags, None, summary);
            if name == resource.name {
                change.quiesce.extend(change.steps.first().cloned());
            }
            change
                .steps
                .splice(0..0, removal(name, live, flags.timeout));
            change
        }
    };
    change.notes.extend(tpm::goes(live));
    change.replacing(&live.xml, Some(Reason::Requested))
}

fn create(
    planner: &Planner<'_>,
    resource: &Resource,
    flags: &Flags,
    install: Option<&Installation>,
    summary: &str,
) -> Change {
    let xml = with_uuid(&resource.xml.tree(), flags.uuid);
    let definition = Document::from(&xml);
    let name = || Named::new(&resource.name, flags.uuid);
    let mut steps = Vec::new();
    match install {
        Some(install) => steps.extend(install::first(planner, resource, flags, install)),
        None => {
            steps.push(Step::DefineGuest {
                xml: definition.clone(),
            });
            if flags.autostart {
                steps.push(Step::AutostartGuest {
                    name: name(),
                    on: true,
                });
            }
            if flags.running {
                steps.push(Step::StartGuest { name: name() });
            }
        }
    }
    Change {
        action: Action::Create,
        summary: summary.to_owned(),
        reason: reason_to_create(planner.entry(&resource.address)),
        after_xml: Some(definition),
        steps,
        ..Change::unchanged(
            resource.address.clone(),
            Some(planner.applied(resource, Some(flags.uuid), &xml)),
        )
    }
}

fn removal(name: &str, live: &ObservedGuest, timeout: u64) -> Vec<Step> {
    let name = || Named::new(name, live.uuid);
    let mut steps = Vec::new();
    if live.power.is_active() {
        steps.push(Step::ShutdownGuest {
            name: name(),
            timeout,
        });
    }
    steps.push(Step::UndefineGuest { name: name() });
    steps
}

pub(super) fn delete(planner: &Planner<'_>, address: &Address, entry: &Entry) -> Change {
    let found = planner.owned(entry, &planner.observed.guests);
    let live = found.map(|(_, live)| live);
    let leftovers = install::leftovers(planner, live, entry);
    let Some((name, live)) = found else {
        if leftovers.is_empty() {
            return Change::forgotten(address.clone());
        }
        return Change {
            action: Action::Delete,
            summary: "what its installer was booted from".to_owned(),
            steps: leftovers,
            ..Change::unchanged(address.clone(), None)
        };
    };
    let timeout = match live.install {
        // An installer does not listen.
        Some(_) => 0,
        None => entry.shutdown_timeout.unwrap_or(SHUTDOWN_TIMEOUT),
    };
    let mut steps = removal(name, live, timeout);
    // What it has of another firmware's does not go with its definition.
    let defined = live.xml.tree();
    let outdated = || {
        let last = last_trees(Some(entry));
        firmware::outdated(planner, (name, live), &last, &defined, &defined)
    };
    let outdated = (!is_uefi(&defined)).then(outdated).flatten();
    let undefines = steps.len() - 1;
    steps.splice(undefines..undefines, outdated.map(|it| it.step));
    steps.extend(leftovers);
    Change {
        action: Action::Delete,
        summary: summary(&live.xml.tree()),
        notes: tpm::goes(live).into_iter().collect(),
        power: live.power.is_active().then_some(PowerChange::Stop),
        before_xml: Some(live.xml.clone()),
        steps,
        ..Change::unchanged(address.clone(), None)
    }
}

/// One line of a guest that is known by its XML alone: `2 vcpus, 2 GiB`.
pub fn summary(xml: &Element) -> String {
    let xml = spelling::canonical(xml);
    let most = xml.text_at("vcpu").unwrap_or("1");
    let vcpus = xml.attribute_at("vcpu", "current").unwrap_or(most);
    let memory = xml
        .text_at("currentMemory")
        .or_else(|| xml.text_at("memory"))
        .and_then(|kib| kib.parse::<u64>().ok())
        .map(|kib| size(kib.saturating_mul(1024)));
    let plural = if vcpus == "1" { "" } else { "s" };
    format!("{vcpus} vcpu{plural}, {}", memory.unwrap_or_default())
}
