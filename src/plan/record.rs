//! What the state records of a resource: before it is touched, between steps, and once it is applied.

use std::collections::BTreeSet;
use std::sync::Arc;

use uuid::Uuid;

use super::context::Planner;
use super::history::last_trees;
use super::storage;
use super::{Action, Change, Checkpoint, Phase};
use crate::desired::{Detail, Resource};
use crate::state::{Entry, Status};
use crate::step::Step;
use crate::xml::tree::Element;

impl Planner<'_> {
    /// The entry that the state holds once a resource is applied.
    pub fn applied(&self, resource: &Resource, uuid: Option<Uuid>, xml: &Element) -> Entry {
        let old = self.entry(&resource.address);
        let keep = match &resource.detail {
            Detail::Volume { keep, .. } => *keep,
            Detail::Network { .. }
            | Detail::Reservations
            | Detail::Pool { .. }
            | Detail::Image { .. }
            | Detail::Guest { .. } => false,
        };
        let shutdown_timeout = match &resource.detail {
            Detail::Guest {
                shutdown_timeout, ..
            } => Some(*shutdown_timeout),
            Detail::Network { .. }
            | Detail::Reservations
            | Detail::Pool { .. }
            | Detail::Image { .. }
            | Detail::Volume { .. } => None,
        };
        let switches = match &resource.detail {
            Detail::Network { autostart, .. } | Detail::Pool { autostart, .. } => {
                Some((true, *autostart))
            }
            Detail::Guest {
                autostart, running, ..
            } => Some((*running, *autostart)),
            Detail::Reservations | Detail::Image { .. } | Detail::Volume { .. } => None,
        };
        let written = match &resource.detail {
            Detail::Guest { chosen, .. } => chosen.written(xml),
            Detail::Network { .. }
            | Detail::Reservations
            | Detail::Pool { .. }
            | Detail::Image { .. }
            | Detail::Volume { .. } => BTreeSet::new(),
        };
        Entry {
            name: resource.name.clone(),
            uuid,
            pool: resource.pool().map(str::to_owned),
            pool_uuid: resource.pool().map(|pool| self.pool(pool).uuid),
            status: Status::Applied,
            keep,
            prevent_destroy: resource.lifecycle.prevent_destroy,
            content: storage::content(&resource.detail),
            made_directory: old.is_some_and(|old| old.made_directory && same_path(old, xml)),
            place: storage::sight::place(self, resource),
            shutdown_timeout,
            depends_on: resource.depends_on.clone(),
            applied: Some(xml.to_string().into()),
            attempted: Vec::new(),
            beside: None,
            pending: BTreeSet::new(),
            written,
            staged: None,
            kept_name: old.is_some_and(|old| old.kept_name && old.name == resource.name),
            active: switches.map(|(active, _)| active),
            autostart: switches.map(|(_, autostart)| autostart),
        }
    }
}

/// Whether a pool is where it was when it was applied last: the directory that we made is the one there.
fn same_path(old: &Entry, xml: &Element) -> bool {
    last_trees(Some(old))
        .iter()
        .all(|last| last.text_at("target/path") == xml.text_at("target/path"))
}

/// Says of a change what the state records while it is made, given what it records now.
pub fn while_made(change: &mut Change, before: Option<&Entry>) {
    let has_directory = before.is_some_and(|entry| entry.made_directory);
    if let Some(entry) = change.entry.as_mut().filter(|_| has_directory) {
        let leaves = |step: &Step| matches!(step, Step::DeletePoolDirectory { .. });
        entry.made_directory |= match change.action {
            // What is made anew is in a directory of its own.
            Action::Replace => false,
            Action::Update => !change.steps.iter().any(leaves),
            Action::None | Action::Create | Action::Delete | Action::Forget => true,
        };
    }
    if change.quiesce.is_empty() && change.steps.is_empty() {
        return;
    }
    change.forgets_strangers = change.action == Action::Create && change.quiesce.is_empty();
    let Some(after) = &change.entry else {
        change.intent = before.cloned().map(deleting);
        return;
    };
    let mut intent = Entry {
        made_directory: has_directory,
        staged: staged(change).or_else(|| before?.staged.clone()),
        // Earlier attempts may have left parts of themselves in the object; they are known until a run has removed them.
        attempted: before.map_or_else(Vec::new, |entry| entry.attempted.clone()),
        ..after.clone()
    };
    match change.action {
        Action::Delete | Action::Forget => {
            change.intent = Some(deleting(before.unwrap_or(after).clone()));
            return;
        }
        Action::Create => {
            intent.status = Status::Creating;
            intent.applied = None;
        }
        Action::None | Action::Update | Action::Replace => {
            intent.status = Status::Changing;
            intent.applied = before.and_then(|entry| entry.applied.clone());
        }
    }
    let attempt = after.applied.clone();
    let is_new = |attempt: &Arc<str>| !intent.attempted.contains(attempt);
    let attempt = attempt.filter(is_new);
    intent.attempted.extend(attempt);
    // What is replaced is known by its old name and pool until it is gone.
    if let (Some(before), Some((phase, step))) = (before, end_of_old(change))
        && (&before.name, &before.pool) != (&after.name, &after.pool)
    {
        let entry = intent.clone();
        change.checkpoints = vec![Checkpoint { phase, step, entry }];
        intent.name.clone_from(&before.name);
        intent.pool.clone_from(&before.pool);
    }
    change.intent = Some(intent);
}

fn deleting(entry: Entry) -> Entry {
    Entry {
        status: Status::Deleting,
        ..entry
    }
}

/// The pool that a guest's installer is put into.
fn staged(change: &Change) -> Option<String> {
    let mut steps = change.quiesce.iter().chain(&change.steps);
    steps.find_map(|step| match step {
        Step::StageInstall { pool, .. } => Some(pool.name.clone()),
        _ => None,
    })
}

/// The step that ends what the state knows by another name: it removes what a replacement replaces, or renames.
fn end_of_old(change: &Change) -> Option<(Phase, usize)> {
    let ends = |step: &Step| match step {
        Step::DeleteVolume { .. }
        | Step::UndefineGuest { .. }
        | Step::UndefineNetwork { .. }
        | Step::UndefinePool { .. } => change.action == Action::Replace,
        Step::RenameGuest { .. } => true,
        _ => false,
    };
    let at = |steps: &[Step]| steps.iter().position(ends);
    let quiesce = at(&change.quiesce).map(|at| (Phase::Quiesce, at));
    quiesce.or_else(|| at(&change.steps).map(|at| (Phase::Main, at)))
}
