//! What happens to a guest.

mod firmware;
mod live;
mod pending;
mod running;
mod wanted;

pub(super) use firmware::{is_uefi, variables};
pub(super) use live::left;
pub use pending::restarts as pending_restarts;
pub(super) use wanted::wanted;

use uuid::Uuid;

use live::{Balloon, Lack, Running};
use running::is_hidden;
use wanted::outdated_choices;

use super::build::{Found, PendingRestarts, Planner, last_trees, reason, reason_to_create};
use super::foreign::Foreign;
use super::label::Cost;
use super::network::{renamed, switched, with_uuid};
use super::step::{Named, Step};
use super::{
    Action, AttributeChange, Change, Disruption, PowerChange, Reason, install, label, moved,
    overlay, unplugged,
};
use crate::address::Address;
use crate::desired::{Chosen, Detail, Installation, Resource};
use crate::lab::model::OnChange;
use crate::libvirt::observed::{ObservedGuest, Power};
use crate::size::size;
use crate::state::{Entry, Status};
use crate::xml::document::Document;
use crate::xml::merge::{Difference, Merged, merge};
use crate::xml::schema;
use crate::xml::tree::Element;

/// What is said of a change that waits for the guest's next restart.
const DEFERRED: &str = "restart deferred";

/// Whether a guest runs on with something that it is no longer defined with, until it restarts.
pub(super) fn defers(change: &Change) -> bool {
    let waits = |attribute: &AttributeChange| attribute.note.as_deref() == Some(DEFERRED);
    !change.pending.is_empty() || change.attributes.iter().any(waits)
}

/// Seconds that a shutdown may take where nothing else is known.
const SHUTDOWN_TIMEOUT: u64 = 120;

/// What is wanted of a guest beside its definition.
pub(super) struct Wish {
    pub uuid: Uuid,
    pub autostart: bool,
    pub running: bool,
    pub timeout: u64,
    pub on_change: OnChange,
    pub chosen: Chosen,
}

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
    let wish = Wish {
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
    match planner.find(resource, wish.uuid, guests) {
        Found::Foreign => Change::unchanged(resource.address.clone(), None),
        Found::Absent => {
            let wish = Wish {
                uuid: planner.fresh(&resource.address, wish.uuid, guests),
                ..wish
            };
            create(planner, resource, &wish, install.as_deref(), summary)
        }
        Found::Ours(live) if planner.replaces(&resource.address) => replace(
            planner,
            resource,
            &wish,
            install.as_deref(),
            (&resource.name, live),
            summary,
        ),
        Found::Ours(live) => {
            let install = install.as_deref();
            let resumed = install::resume(planner, resource, &wish, install, live);
            resumed.unwrap_or_else(|| {
                let mut change = update(planner, resource, &wish, live);
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
            moved::rename(planner, resource, &wish, install, (&old, live))
        }
        Found::Renamed(old, live) => {
            let mut change = replace(planner, resource, &wish, None, (&old, live), summary);
            change.attributes = vec![renamed(&old, &resource.name, Disruption::Recreate)];
            change
        }
    }
}

/// Makes a guest anew, as was asked for. What libvirt would refuse is found out before anything goes.
fn replace(
    planner: &mut Planner<'_>,
    resource: &Resource,
    wish: &Wish,
    install: Option<&Installation>,
    (name, live): (&str, &ObservedGuest),
    summary: &str,
) -> Change {
    if resource.lifecycle.prevent_destroy {
        planner.protected(&resource.address, "replaced", resource.span);
    }
    let change = match install {
        Some(install) => install::replace(planner, resource, wish, install, live),
        None => {
            let wish = Wish {
                uuid: live.uuid,
                chosen: wish.chosen.clone(),
                ..*wish
            };
            let mut change = create(planner, resource, &wish, None, summary);
            if name == resource.name {
                change.quiesce.extend(change.steps.first().cloned());
            }
            change.steps.splice(0..0, removal(name, live, wish.timeout));
            change
        }
    };
    change.replacing(&live.xml, Some(Reason::Requested))
}

fn create(
    planner: &Planner<'_>,
    resource: &Resource,
    wish: &Wish,
    install: Option<&Installation>,
    summary: &str,
) -> Change {
    let xml = with_uuid(&resource.xml.tree(), wish.uuid);
    let definition = Document::from(&xml);
    let name = || Named::new(&resource.name, wish.uuid);
    let mut steps = Vec::new();
    match install {
        Some(install) => steps.extend(install::first(planner, resource, wish, install)),
        None => {
            steps.push(Step::DefineGuest {
                xml: definition.clone(),
            });
            if wish.autostart {
                steps.push(Step::AutostartGuest {
                    name: name(),
                    on: true,
                });
            }
            if wish.running {
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
            Some(planner.applied(resource, Some(wish.uuid), &xml)),
        )
    }
}

pub(super) fn update(
    planner: &Planner<'_>,
    resource: &Resource,
    wish: &Wish,
    live: &ObservedGuest,
) -> Change {
    let entry = planner.entry(&resource.address);
    let mut last = last_trees(entry);
    let written = last.len();
    let mut wanted = wanted(planner.observed, &resource.xml.tree(), &wish.chosen, live);
    let scsi = wanted::keep_scsi_model(&mut wanted, &wish.chosen, &last, &live.xml.tree());
    let kept = overlay::keep(planner, &resource.address, &mut wanted, live);
    let back = overlay::goes_back(planner, &last, &live.xml.tree(), &wanted);
    let foreign = Foreign::of(entry, &live.xml.tree(), &wanted);
    let own = foreign.put_back(&live.xml.tree());
    last.extend(outdated_choices(&own, &wanted));
    let address = &resource.address;
    last.extend(overlay::outdated(
        planner,
        address,
        &live.xml.tree(),
        &wanted,
    ));
    let mut merged = foreign.merge(&last, &live.xml.tree(), &wanted);
    let unfinished = entry.is_some_and(|entry| entry.status != Status::Applied);
    let makes_pending = planner.pending_restarts() == PendingRestarts::Make;
    let running = Running::of(live).filter(|_| wish.running);
    let during = running.as_ref().map(|running| {
        let foreign = running.foreign(entry, &wanted, &foreign);
        while_running(running, &merged, &foreign, &last, &wanted, unfinished)
    });
    let pending = pending::restarts_for(live, &merged.target);
    let needs = during.as_ref().is_some_and(|during| during.needs_restart);
    let lags =
        !pending.is_empty() || unfinished && during.as_ref().is_some_and(|d| !d.lack.is_empty());
    let restart = match (wish.on_change, makes_pending) {
        (OnChange::Defer, false) => false,
        (OnChange::Restart | OnChange::Defer, true) => needs || lags && running.is_some(),
        (OnChange::Restart, false) => needs,
    };

    let name = || Named::new(&resource.name, live.uuid);
    let active = live.power.is_active();
    let goes_down = active && (restart || !wish.running);
    let mut attributes = match &during {
        Some(during) => during.attributes(&merged, restart),
        None => label::attributes(&merged.differences, |_| match active {
            true => Disruption::Restart,
            false => Disruption::Live,
        }),
    };
    if restart && makes_pending {
        let known = |told: &AttributeChange| attributes.iter().any(|a| a.name == told.name);
        let more: Vec<_> = pending
            .iter()
            .filter(|told| !known(told))
            .cloned()
            .collect();
        attributes.extend(more);
    }
    let mut steps = Vec::new();
    // Defined first: what libvirt refuses does not cost a running guest anything. Should the run end before the rest, the
    // entry is unfinished, and the next plan looks at what the guest runs with.
    if merged.is_change() {
        if (goes_down || !active) && wanted::has_ports(&live.xml.tree()) {
            let mut all =
                wanted::with_all_ports(planner.observed, &resource.xml.tree(), &wish.chosen, live);
            wanted::keep_scsi_model(&mut all, &wish.chosen, &last, &live.xml.tree());
            overlay::keep(planner, &resource.address, &mut all, live);
            merged.target = merge(&last, &own, &all).target;
        }
        steps.push(Step::DefineGuest {
            xml: Document::from(&merged.target),
        });
    }
    let outdated = || {
        let name = (resource.name.as_str(), live);
        firmware::outdated(planner, name, &last[..written], &wanted, &merged.target)
    };
    let outdated = (goes_down || !active).then(outdated).flatten();
    if goes_down {
        steps.push(Step::ShutdownGuest {
            name: name(),
            timeout: wish.timeout,
        });
    } else if let (Some(running), Some(during)) = (&running, &during) {
        steps.extend(during.lack.steps(&name(), running));
    }
    let mut notes = kept;
    if let Some(outdated) = outdated {
        steps.push(outdated.step);
        notes.push(outdated.note);
    }
    if live.autostart != wish.autostart {
        attributes.push(switched("autostart", wish.autostart));
        steps.push(Step::AutostartGuest {
            name: name(),
            on: wish.autostart,
        });
    }
    let comes_up = wish.running && (goes_down || live.power != Power::Running);
    if comes_up {
        steps.push(Step::StartGuest { name: name() });
    }
    let recorded = match steps.is_empty() {
        true => &merged.unmarked(&wanted),
        false => &wanted,
    };
    let record = planner.applied(resource, Some(live.uuid), recorded);
    let mut change = Change {
        notes,
        foreign: foreign.left(),
        ..Change::unchanged(resource.address.clone(), Some(record))
    };
    if !goes_down {
        change.pending = pending;
        let told = |late: &AttributeChange| attributes.iter().any(|a| a.name == late.name);
        change.pending.retain(|late| !told(late));
    }
    if steps.is_empty() {
        return change;
    }
    // Marks are no reason for a change, but go along with one.
    if !merged.is_change() && !merged.differences.is_empty() {
        steps.insert(
            0,
            Step::DefineGuest {
                xml: Document::from(&merged.target),
            },
        );
    }
    change.action = Action::Update;
    change.notes.extend(scsi);
    change.data_loss = (!back.is_empty()).then_some(0);
    change.notes.extend(back);
    change.power = match (goes_down, comes_up) {
        (true, true) => Some(PowerChange::Restart),
        (true, false) => Some(PowerChange::Stop),
        (false, true) if live.power == Power::Paused => Some(PowerChange::Resume),
        (false, true) => Some(PowerChange::Start),
        (false, false) => None,
    };
    let attribute_class = attributes.iter().map(|a| a.disruption).max();
    let power_class = if goes_down {
        Disruption::Restart
    } else {
        Disruption::Live
    };
    change.disruption = Some(attribute_class.map_or(power_class, |class| class.max(power_class)));
    let told = match &during {
        Some(during) if !merged.is_change() => during.lack.live(),
        Some(_) | None => merged.differences.clone(),
    };
    change.reason = reason(entry, &told);
    change.attributes = attributes;
    change.before_xml = Some(live.xml.clone());
    change.after_xml = Some(if merged.is_change() {
        merged.target.into()
    } else {
        live.xml.clone()
    });
    change.steps = steps;
    change
}

/// What others changed of a running guest, and not of its definition, since it was applied: from what was, to what is. What waited
/// for a restart then is no one's change.
pub(super) fn changed_while_running(entry: &Entry, live: &ObservedGuest) -> Vec<AttributeChange> {
    let (Some(running), Some(applied)) = (Running::of(live), last_trees(Some(entry)).pop()) else {
        return Vec::new();
    };
    let defined = Foreign::of(Some(entry), &live.xml.tree(), &applied);
    let foreign = running.foreign(Some(entry), &applied, &defined);
    let last = std::slice::from_ref(&applied);
    let lack = running.lack(&foreign, last, &applied, Balloon::Left);
    let mut changes = label::attributes(&lack.live(), |_| Disruption::Live);
    let waits = pending_restarts(live).into_iter();
    changes.extend(waits.filter(|attribute| !entry.pending.contains(&attribute.name)));
    for change in &mut changes {
        std::mem::swap(&mut change.before, &mut change.after);
    }
    changes
}

/// What a change means to a guest that runs and goes on running.
struct During {
    /// What it runs without.
    lack: Lack,
    /// What the differences of its definition cost it.
    costs: Vec<Cost>,
    /// Whether its definition changes in something that it cannot take over while it runs, and it does not run with that
    /// already.
    needs_restart: bool,
}

/// Compares what runs with what is wanted. A definition that someone else changed and that never came into force is put
/// right without a restart. After a run that broke off, what the guest runs with decides alone: it may have been defined and
/// not restarted.
fn while_running(
    running: &Running,
    merged: &Merged,
    foreign: &Foreign,
    last: &[Element],
    wanted: &Element,
    unfinished: bool,
) -> During {
    let costs = running.costs(&merged.differences);
    let is_memory = |difference: &Difference| difference.path == "domain/currentMemory";
    let balloon = if unfinished || merged.differences.iter().any(is_memory) {
        Balloon::Looked
    } else {
        Balloon::Left
    };
    let lack = running.lack(foreign, last, wanted, balloon);
    let changes = merged
        .differences
        .iter()
        .zip(&costs)
        .any(|(difference, cost)| {
            cost.class == Disruption::Restart && !schema::is_mark(&difference.path)
        });
    let hides = merged.differences.iter().any(|it| is_hidden(it, wanted));
    During {
        needs_restart: (unfinished || changes) && lack.needs_restart() || hides,
        lack,
        costs,
    }
}

impl During {
    /// The attributes that change: those of the definition, and what someone changed while the guest ran.
    fn attributes(&self, merged: &Merged, restart: bool) -> Vec<AttributeChange> {
        let cost = |at: usize| match &self.costs[at] {
            cost if restart || cost.class == Disruption::Live => cost.clone(),
            // It runs with that already, or it goes on without.
            _ if !self.needs_restart => Cost::from(Disruption::Live),
            _ => Cost {
                class: Disruption::Live,
                note: Some(DEFERRED.to_owned()),
            },
        };
        let at = |difference: &Difference| merged.differences.iter().position(|d| d == difference);
        let mut attributes = label::attributes(&merged.differences, |difference| {
            at(difference).map_or_else(|| Cost::from(Disruption::Restart), &cost)
        });
        let shown: Vec<Difference> = self
            .lack
            .all()
            .filter(|(_, cost)| restart || cost.class == Disruption::Live)
            .map(|(difference, _)| difference.clone())
            .collect();
        let class = |difference: &Difference| {
            let found = self.lack.all().find(|(other, _)| *other == difference);
            found.map_or_else(|| Cost::from(Disruption::Restart), |(_, cost)| cost.clone())
        };
        for attribute in label::attributes(&shown, class) {
            if !attributes.iter().any(|known| known.name == attribute.name) {
                attributes.push(attribute);
            }
        }
        attributes
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
        power: live.power.is_active().then_some(PowerChange::Stop),
        before_xml: Some(live.xml.clone()),
        steps,
        ..Change::unchanged(address.clone(), None)
    }
}

/// One line of a guest that is known by its XML alone: `2 vcpus, 2 GiB`.
pub fn summary(xml: &Element) -> String {
    let xml = schema::canonical(xml);
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

/// Moves a running guest's shutdown before what its dependencies undergo; a guest that has no change of its own is stopped
/// and started again. What it is defined as stays before that: what libvirt refuses does not cost it anything.
pub(super) fn quiesce(change: &mut Change, name: &Named, timeout: u64) {
    // It comes up with all of its definition.
    change.steps.retain(|step| !live::is_for_running(step));
    change.pending.clear();
    for attribute in &mut change.attributes {
        attribute.note.take_if(|note| note == DEFERRED);
    }
    // One that is transient would be gone.
    let as_it_is = |step: &Step| matches!(step, Step::DefineGuest { xml } if Some(xml) == change.before_xml.as_ref());
    if change.steps.first().is_some_and(as_it_is) {
        change.quiesce.push(change.steps.remove(0));
    }
    let shutdown = |step: &Step| matches!(step, Step::ShutdownGuest { .. });
    if let Some(at) = change.steps.iter().position(shutdown) {
        change.quiesce.extend(change.steps.drain(..=at));
        return;
    }
    let defines = |step: &Step| matches!(step, Step::DefineGuest { .. });
    if change.steps.first().is_some_and(defines) {
        change.quiesce.push(change.steps.remove(0));
    }
    change.quiesce.push(Step::ShutdownGuest {
        name: name.clone(),
        timeout,
    });
    change.steps.push(Step::StartGuest { name: name.clone() });
    change.action = Action::Update;
    change.power = Some(PowerChange::Restart);
    change.disruption = change.disruption.max(Some(Disruption::Restart));
}
