//! Jobs on the disks of running guests: copies, commits and the like, which end with the guest or hold their disk. Somebody waits for
//! each, so what would end one is refused; but for a deletion, which takes all of the guest away, and says so.

use std::collections::{BTreeMap, BTreeSet};

use super::context::Planner;
use super::definition::key;
use super::definition::source_of;
use super::saved::guest_of;
use super::{Action, Change, Plan, PowerChange};
use crate::desired::Desired;
use crate::diagnostic::Diagnostic;
use crate::libvirt::BlockJob;
use crate::libvirt::observed::{Observed, ObservedGuest};
use crate::step::Step;
use crate::xml::document::Document;
use crate::xml::merge::like;
use crate::xml::tree::Element;

/// Says with each guest what is under way on its disks.
pub(super) fn note(planner: &mut Planner<'_>) {
    let observed = planner.observed;
    if observed.guests.values().all(|guest| guest.jobs.is_empty()) {
        return;
    }
    for change in planner.changes.values_mut() {
        let Some((_, live)) = guest_of(change, observed) else {
            continue;
        };
        let jobs = of(live);
        change.notes.extend(jobs.map(|job| match change.action {
            Action::Delete => format!("{job}, which ends with it"),
            Action::None | Action::Create | Action::Update | Action::Replace | Action::Forget => {
                job
            }
        }));
    }
}

/// What is under way on a guest's disks, each in a few words.
pub fn of(live: &ObservedGuest) -> impl Iterator<Item = String> {
    let jobs = live.jobs.iter();
    jobs.map(|(disk, job)| describe(live, disk, job))
}

/// Notes each change that would end a job, or that libvirt refuses as long as there is one.
pub(super) fn check(plan: &mut Plan, desired: Option<&Desired>, observed: &Observed) {
    let mut problems = Vec::new();
    let stays = |change: &&Change| change.action != Action::Delete;
    for change in plan.changes.values().filter(stays) {
        for ((guest, disk), what) in disturbed(change, observed) {
            let found = observed.guests.get(&guest);
            let Some((live, job)) = found.and_then(|live| Some((live, live.jobs.get(&disk)?)))
            else {
                continue;
            };
            let resource = desired.and_then(|desired| desired.resources.get(&change.address));
            problems.push(
                Diagnostic::error(format!(
                    "{} cannot be {what} now: {}",
                    change.address,
                    describe(live, &disk, job)
                ))
                .at(resource.and_then(|resource| resource.span))
                .hint(way_out(&guest, &disk, job)),
            );
        }
    }
    for problem in problems {
        plan.problems.push(problem);
    }
}

impl Plan {
    /// The running guests that a plan stops, or of which it unplugs, grows or redefines a disk. Whoever plans that has to have
    /// [asked](crate::libvirt::Observe::observe_jobs) what is under way on their disks.
    pub fn disturbs(&self, observed: &Observed) -> BTreeSet<String> {
        let changes = self.changes.values();
        let disks = changes.flat_map(|change| disturbed(change, observed));
        disks.map(|((guest, _), _)| guest).collect()
    }
}

/// The disks of running guests, by guest and device name, on which a change would end a job or be refused for it, and what is done.
fn disturbed(change: &Change, observed: &Observed) -> BTreeMap<(String, String), &'static str> {
    let mut disks = BTreeMap::new();
    let steps = || change.quiesce.iter().chain(&change.steps);
    for step in steps() {
        if let Step::GrowVolume {
            guest: Some((guest, disk)),
            ..
        } = step
        {
            disks.insert((guest.name.clone(), disk.clone()), "grown");
        }
    }
    let Some((name, live)) = guest_of(change, observed) else {
        return disks;
    };
    let Some(running) = live.live_xml.as_ref().map(Document::tree) else {
        return disks;
    };
    let mut add = |disk: &Element, what| {
        if let Some(device) = disk.attribute_at("target", "dev") {
            let key = (name.name.clone(), device.to_owned());
            disks.entry(key).or_insert(what);
        }
    };
    if steps().any(|step| matches!(step, Step::ShutdownGuest { .. })) {
        let what = match (change.action, change.power) {
            (Action::Replace, _) => "replaced",
            (_, Some(PowerChange::Stop | PowerChange::SwitchOff)) => "stopped",
            (_, _) => "restarted",
        };
        disks_of(&running).for_each(|disk| add(disk, what));
        return disks;
    }
    for step in steps() {
        match step {
            Step::DetachDevice { xml, .. } | Step::UpdateDevice { xml, .. }
                if xml.name == "disk" =>
            {
                add(xml, "changed");
            }
            // At its end a job puts the file that the disk has then into the definition, if it finds the disk as it was there.
            Step::DefineGuest { xml } => {
                let (before, after) = (live.xml.tree(), xml.tree());
                let after = after.child("devices").map_or(&[][..], |d| &d.children);
                let is_moved = |disk: &&Element| {
                    let now = like("domain/devices", disk, after);
                    now.is_none_or(|now| source_of(now) != source_of(disk))
                };
                let moved = disks_of(&before).filter(is_moved);
                moved.for_each(|disk| add(disk, "changed"));
            }
            _ => {}
        }
    }
    disks
}

fn disks_of(guest: &Element) -> impl Iterator<Item = &Element> {
    let devices = guest.child("devices").into_iter();
    devices.flat_map(|devices| devices.children_named("disk"))
}

/// `disks.root is being copied to /srv/copy.qcow2`
fn describe(live: &ObservedGuest, device: &str, job: &BlockJob) -> String {
    let xml = live.live_xml.as_ref().unwrap_or(&live.xml).tree();
    let is_it = |disk: &&Element| disk.attribute_at("target", "dev") == Some(device);
    let key = disks_of(&xml).find(is_it).and_then(key);
    let disk = key.map_or_else(
        || format!("its disk {device}"),
        |key| format!("disks.{key}"),
    );
    let path = |path: &Option<String>, before: &str| {
        let path = path.as_ref();
        path.map_or_else(String::new, |path| format!(" {before} {path}"))
    };
    match job {
        BlockJob::Copy(to) => format!("{disk} is being copied{}", path(to, "to")),
        BlockJob::ActiveCommit(to) => format!("{disk} is being committed{}", path(to, "into")),
        BlockJob::Commit => format!("what {disk} is based on is being committed"),
        BlockJob::Pull => format!("what {disk} is based on is being pulled into it"),
        BlockJob::Backup => format!("{disk} is being backed up"),
        BlockJob::Other => format!("a block job of {disk} is under way"),
    }
}

/// How a job comes to its end.
fn way_out(guest: &str, disk: &str, job: &BlockJob) -> String {
    let abort = format!("`virsh blockjob {guest} {disk} --abort`");
    match job {
        BlockJob::Copy(_) => format!(
            "once it is copied, `virsh blockjob {guest} {disk} --pivot` has the guest go on with the copy; {abort} has it stay where it is"
        ),
        BlockJob::ActiveCommit(_) => format!(
            "once it is committed, `virsh blockjob {guest} {disk} --pivot` ends it; {abort} gives it up"
        ),
        BlockJob::Commit | BlockJob::Pull | BlockJob::Other => {
            format!("wait until it is done; or give it up: {abort}")
        }
        BlockJob::Backup => {
            format!("wait until it is done; or give it up: `virsh domjobabort {guest}`")
        }
    }
}
