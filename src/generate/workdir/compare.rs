//! What differs between the files that are wanted and those that are there, and what mends it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::Scope;
use super::directory::AtPath;
use super::error::{Obstacle, WorkDirError};
use super::manifest::{self, Manifest};
use crate::fingerprint::sha256;
use crate::generate::{Files, GeneratedFile, RelativePath};

/// What becomes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is made.
    New,
    /// It is written anew.
    Changed {
        /// What is in it now; `None` where that is no file.
        before: Option<GeneratedFile>,
        /// Whether someone changed it since it was written.
        edited: Edited,
    },
    /// It is as it should be, and is not touched.
    Unchanged,
    /// It is not wanted any more.
    Removed {
        /// What is in it now.
        before: GeneratedFile,
    },
    /// It is not wanted any more, and stays, since someone changed it.
    Left,
}

/// Whether a file is as miniascape wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edited {
    /// Someone changed it.
    ByHand,
    /// It is as it was written.
    No,
}

/// One thing to do in the work directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Remove what a run that was interrupted left half written.
    Clean(String),
    /// Write this manifest.
    Record(Manifest),
    /// Remove a file.
    Remove(RelativePath),
    /// Remove a directory that is empty by now.
    RemoveDirectory(RelativePath),
    /// Make a directory.
    MakeDirectory(RelativePath),
    /// Write a wanted file under its passing name.
    Stage(RelativePath),
    /// Bring what is staged to the disk.
    SyncStaged(Vec<RelativePath>),
    /// Give a staged file its name.
    Place(RelativePath),
    /// Make the names in a directory durable; the empty one is the work directory.
    Sync(String),
}

/// What differs, and what mends it.
#[derive(Debug)]
pub struct Comparison {
    /// What becomes of each file, by path.
    pub changes: BTreeMap<RelativePath, Change>,
    pub(super) actions: Vec<Action>,
}

impl Comparison {
    /// Whether every file is as it should be.
    pub fn is_up_to_date(&self) -> bool {
        self.changes
            .values()
            .all(|change| matches!(change, Change::Unchanged))
    }
}

/// What stands on the disk, as far as it matters.
pub(super) struct OnDisk {
    /// What is at each path that is wanted or in the manifest.
    pub files: BTreeMap<RelativePath, AtPath>,
    /// The directories of the manifest, and those above wanted files.
    pub directories: BTreeMap<RelativePath, AtPath>,
}

/// Compares; fails with all that is in the way.
pub(super) fn compare(
    manifest: Option<&Manifest>,
    fresh: &Manifest,
    wanted: &Files,
    scope: &Scope,
    seen: &OnDisk,
) -> Result<Comparison, WorkDirError> {
    let known = manifest.unwrap_or(fresh);
    let unwanted: BTreeSet<&RelativePath> = known
        .files
        .keys()
        .chain(known.pending.keys())
        .filter(|path| scope.contains(path) && !wanted.contains_key(*path))
        .collect();
    let mut changes = BTreeMap::new();
    for path in &unwanted {
        match seen.files.get(*path) {
            Some(AtPath::File(file)) if known.wrote(path, &sha256(&file.bytes)) => {
                let before = file.clone();
                changes.insert((*path).clone(), Change::Removed { before });
            }
            // A path that was only pending is the user's, if anyone's.
            Some(AtPath::File(_) | AtPath::Directory(_) | AtPath::Other)
                if known.files.contains_key(*path) =>
            {
                changes.insert((*path).clone(), Change::Left);
            }
            Some(_) | None => {}
        }
    }
    let going: BTreeSet<String> = changes
        .iter()
        .filter(|(_, change)| matches!(change, Change::Removed { .. }))
        .map(|(path, _)| path.to_string())
        .chain(known.directories.iter().map(ToString::to_string))
        .collect();
    let goes = |below: &[String]| below.iter().all(|path| going.contains(path));

    let mut obstacles = Vec::new();
    for (path, file) in wanted {
        let found = seen.files.get(path).unwrap_or(&AtPath::Nothing);
        match look(known, path, file, found, &goes, &going) {
            Ok(change) => {
                changes.insert(path.clone(), change);
            }
            Err(obstacle) if obstacles.contains(&obstacle) => {}
            Err(obstacle) => obstacles.push(obstacle),
        }
    }
    if !obstacles.is_empty() {
        return Err(WorkDirError::in_the_way(&obstacles));
    }
    let actions = actions(manifest, known, wanted, scope, seen, &changes);
    Ok(Comparison { changes, actions })
}

/// What becomes of a wanted file.
fn look(
    known: &Manifest,
    path: &RelativePath,
    wanted: &GeneratedFile,
    found: &AtPath,
    goes: &dyn Fn(&[String]) -> bool,
    going: &BTreeSet<String>,
) -> Result<Change, Obstacle> {
    let ours = known.files.contains_key(path);
    match found {
        AtPath::Nothing => Ok(Change::New),
        AtPath::File(file) if file.bytes == wanted.bytes && fits(file.mode, wanted.mode) => {
            Ok(Change::Unchanged)
        }
        AtPath::File(file) => {
            let edited = match known.wrote(path, &sha256(&file.bytes)) {
                true => Edited::No,
                false => Edited::ByHand,
            };
            // What is in it is ours even where the manifest was lost: only its permissions differ.
            if ours || edited == Edited::No || file.bytes == wanted.bytes {
                let before = Some(file.clone());
                Ok(Change::Changed { before, edited })
            } else {
                Err(Obstacle::Foreign(path.clone()))
            }
        }
        AtPath::Directory(below) if known.directories.contains(path) && goes(below) => {
            Ok(Change::New)
        }
        AtPath::Directory(_) => Err(Obstacle::Directory(path.clone())),
        AtPath::Other if ours => Ok(Change::Changed {
            before: None,
            edited: Edited::ByHand,
        }),
        AtPath::Other => Err(Obstacle::Foreign(path.clone())),
        AtPath::Blocked(at) if going.contains(at.as_str()) => Ok(Change::New),
        AtPath::Blocked(at) => Err(Obstacle::NoDirectory(at.clone())),
    }
}

/// Whether permissions are those wanted, less what a umask takes away.
fn fits(found: u32, wanted: u32) -> bool {
    const OWNERS: u32 = 0o700;
    found & !wanted == 0 && found & OWNERS == wanted & OWNERS
}

/// What mends the differences, in an order in which a run can end anywhere: before anything is touched, the manifest
/// says what will be.
fn actions(
    manifest: Option<&Manifest>,
    known: &Manifest,
    wanted: &Files,
    scope: &Scope,
    seen: &OnDisk,
    changes: &BTreeMap<RelativePath, Change>,
) -> Vec<Action> {
    let of = |wants: fn(&Change) -> bool| {
        let chosen = changes.iter().filter(move |(_, change)| wants(change));
        chosen.map(|(path, _)| path.clone())
    };
    let written: Vec<RelativePath> =
        of(|change| matches!(change, Change::New | Change::Changed { .. })).collect();
    let removed: Vec<RelativePath> =
        of(|change| matches!(change, Change::Removed { .. })).collect();

    let mut last = known.clone();
    last.files.retain(|path, _| !scope.contains(path));
    last.pending.retain(|path, _| !scope.contains(path));
    let hashes = wanted
        .iter()
        .map(|(path, file)| (path.clone(), sha256(&file.bytes)));
    last.files.extend(hashes);
    let needed: BTreeSet<RelativePath> = last
        .files
        .keys()
        .chain(last.pending.keys())
        .flat_map(RelativePath::parents)
        .collect();
    let absent =
        |path: &RelativePath| !matches!(seen.directories.get(path), Some(AtPath::Directory(_)));
    let made: Vec<RelativePath> = needed.iter().filter(|path| absent(path)).cloned().collect();
    // A directory with something else in it stays on record, to go when that has gone.
    let given_up: Vec<RelativePath> = known
        .directories
        .iter()
        .filter(|path| !needed.contains(*path) && scope.contains(path))
        .cloned()
        .collect();
    let gone: BTreeSet<&str> = removed
        .iter()
        .chain(&given_up)
        .map(RelativePath::as_str)
        .collect();
    last.directories.extend(made.iter().cloned());
    last.directories.retain(|path| {
        !given_up.contains(path)
            || matches!(seen.directories.get(path), Some(AtPath::Directory(below))
                if !below.iter().all(|path| gone.contains(path.as_str())))
    });

    let mut first = known.clone();
    first.directories.extend(made.iter().cloned());
    for path in &written {
        let wanted = wanted.get(path).map(|file| sha256(&file.bytes));
        first
            .pending
            .extend(wanted.map(|hash| (path.clone(), hash)));
    }

    let mut actions = Vec::new();
    actions.extend(
        known
            .pending
            .keys()
            .map(|path| Action::Clean(passing(path))),
    );
    let work = !written.is_empty() || !removed.is_empty();
    if work {
        actions.push(Action::Record(first));
    }
    actions.extend(removed.iter().cloned().map(Action::Remove));
    actions.extend(given_up.iter().rev().cloned().map(Action::RemoveDirectory));
    actions.extend(made.into_iter().map(Action::MakeDirectory));
    actions.extend(written.iter().cloned().map(Action::Stage));
    if !written.is_empty() {
        actions.push(Action::SyncStaged(written.clone()));
    }
    actions.extend(written.iter().cloned().map(Action::Place));
    let touched = written.iter().chain(&removed).chain(&given_up);
    let touched: BTreeSet<String> = touched
        .flat_map(RelativePath::parents)
        .map(String::from)
        .collect();
    actions.extend(touched.into_iter().map(Action::Sync));
    if work || manifest != Some(&last) {
        actions.push(Action::Record(last));
    }
    actions
}

/// The name under which a file is written, beside the place it belongs to. It follows from the path, so that a run that
/// was interrupted leaves one at most, and the next one knows it.
pub(super) fn passing(path: &RelativePath) -> String {
    const LENGTH: usize = 16;
    let name = format!(
        ".miniascape-{}",
        &sha256(path.as_str().as_bytes())[..LENGTH]
    );
    match path.parent() {
        Some(parent) => format!("{parent}/{name}"),
        None => name,
    }
}

/// The passing name of the manifest itself.
pub(super) fn passing_manifest() -> String {
    format!("{}.next", manifest::FILE)
}
