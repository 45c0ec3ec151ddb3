//! How a guest that is there becomes what is wanted.

use super::firmware;
use super::flags::Flags;
use super::live::{self, Balloon, Missing, Running};
use super::pending;
use super::running::is_hidden;
use super::tpm;
use super::wanted::{self, outdated_choices, wanted};
use crate::desired::Resource;
use crate::lab::model::OnChange;
use crate::libvirt::observed::{ObservedGuest, Power};
use crate::plan::attribute::switched;
use crate::plan::context::{PendingRestarts, Planner};
use crate::plan::foreign::Foreign;
use crate::plan::history::{last_trees, reason};
use crate::plan::label::{self, Cost};
use crate::plan::{
    Action, AttributeChange, Beside, Change, Disruption, PowerChange, Remark, overlay,
};
use crate::state::{Entry, Status};
use crate::step::{Named, Step};
use crate::xml::document::Document;
use crate::xml::merge::{Difference, Merged, merge};
use crate::xml::schema;
use crate::xml::tree::Element;

/// Whether a guest runs on with something that it is no longer defined with, until it restarts.
pub(in crate::plan) fn defers(change: &Change) -> bool {
    let waits = |attribute: &AttributeChange| attribute.note == Some(Remark::Deferred);
    !change.pending.is_empty() || change.attributes.iter().any(waits)
}

pub(in crate::plan) fn update(
    planner: &Planner<'_>,
    resource: &Resource,
    flags: &Flags,
    live: &ObservedGuest,
) -> Change {
    let entry = planner.entry(&resource.address);
    let mut last = last_trees(entry);
    let written = last.len();
    let mut wanted = wanted(planner.observed, &resource.xml.tree(), &flags.chosen, live);
    let scsi = wanted::keep_scsi_model(&mut wanted, &flags.chosen, &last, &live.xml.tree());
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
    let running = Running::of(live).filter(|_| flags.running);
    let during = running.as_ref().map(|running| {
        let foreign = running.foreign(entry, &wanted, &foreign);
        while_running(running, &merged, &foreign, &last, &wanted, unfinished)
    });
    let pending = pending::restarts_for(live, &merged.target);
    let needs = during.as_ref().is_some_and(|during| during.needs_restart);
    let lags =
        !pending.is_empty() || unfinished && during.as_ref().is_some_and(|d| !d.missing.is_empty());
    let restart = match (flags.on_change, makes_pending) {
        (OnChange::Defer, false) => false,
        (OnChange::Restart | OnChange::Defer, true) => needs || lags && running.is_some(),
        (OnChange::Restart, false) => needs,
    };

    let name = || Named::new(&resource.name, live.uuid);
    let active = live.power.is_active();
    let goes_down = active && (restart || !flags.running);
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
                wanted::with_all_ports(planner.observed, &resource.xml.tree(), &flags.chosen, live);
            wanted::keep_scsi_model(&mut all, &flags.chosen, &last, &live.xml.tree());
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
            timeout: flags.timeout,
        });
    } else if let (Some(running), Some(during)) = (&running, &during) {
        steps.extend(during.missing.steps(&name(), running));
    }
    let mut notes = kept;
    if merged.is_change() {
        notes.extend(tpm::left(&live.xml.tree(), &merged.target, live.uuid));
    }
    if let Some(outdated) = outdated {
        steps.push(outdated.step);
        notes.push(outdated.note);
    }
    if live.autostart != flags.autostart {
        attributes.push(switched(Beside::Autostart, flags.autostart));
        steps.push(Step::AutostartGuest {
            name: name(),
            on: flags.autostart,
        });
    }
    let comes_up = flags.running && (goes_down || live.power != Power::Running);
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
        Some(during) if !merged.is_change() => during.missing.live(),
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
pub(in crate::plan) fn changed_while_running(
    entry: &Entry,
    live: &ObservedGuest,
) -> Vec<AttributeChange> {
    let (Some(running), Some(applied)) = (Running::of(live), last_trees(Some(entry)).pop()) else {
        return Vec::new();
    };
    let defined = Foreign::of(Some(entry), &live.xml.tree(), &applied);
    let foreign = running.foreign(Some(entry), &applied, &defined);
    let last = std::slice::from_ref(&applied);
    let missing = running.missing(&foreign, last, &applied, Balloon::Left);
    let mut changes = label::attributes(&missing.live(), |_| Disruption::Live);
    let waits = pending::restarts(live).into_iter();
    changes.extend(waits.filter(|attribute| !entry.pending.contains(&attribute.name)));
    for change in &mut changes {
        std::mem::swap(&mut change.before, &mut change.after);
    }
    changes
}

/// What a change means to a guest that runs and goes on running.
struct During {
    /// What it runs without.
    missing: Missing,
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
    let missing = running.missing(foreign, last, wanted, balloon);
    let changes = merged
        .differences
        .iter()
        .zip(&costs)
        .any(|(difference, cost)| {
            cost.class == Disruption::Restart && !schema::is_mark(&difference.path)
        });
    let hides = merged.differences.iter().any(|it| is_hidden(it, wanted));
    During {
        needs_restart: (unfinished || changes) && missing.needs_restart() || hides,
        missing,
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
                note: Some(Remark::Deferred),
            },
        };
        let at = |difference: &Difference| merged.differences.iter().position(|d| d == difference);
        let mut attributes = label::attributes(&merged.differences, |difference| {
            at(difference).map_or_else(|| Cost::from(Disruption::Restart), &cost)
        });
        let shown: Vec<Difference> = self
            .missing
            .all()
            .filter(|(_, cost)| restart || cost.class == Disruption::Live)
            .map(|(difference, _)| difference.clone())
            .collect();
        let class = |difference: &Difference| {
            let found = self.missing.all().find(|(other, _)| *other == difference);
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

/// Moves a running guest's shutdown before what its dependencies undergo; a guest that has no change of its own is stopped
/// and started again. What it is defined as stays before that: what libvirt refuses does not cost it anything.
pub(in crate::plan) fn quiesce(change: &mut Change, name: &Named, timeout: u64) {
    // It comes up with all of its definition.
    change.steps.retain(|step| !live::is_for_running(step));
    change.pending.clear();
    for attribute in &mut change.attributes {
        attribute.note.take_if(|note| *note == Remark::Deferred);
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
