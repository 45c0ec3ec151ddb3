//! The directory that generated files are written into. The only I/O of `generate`.
//!
//! A manifest says which files are miniascape's. What it does not name is not touched: where such a file is in the way,
//! nothing at all is written. A file that it names is miniascape's own: one that someone changed by hand is written anew,
//! and said so; one that is not wanted any more is removed, unless someone changed it. A file that is exactly as it
//! should be is miniascape's even where the manifest was lost.
//!
//! Files are written beside their place, synced and renamed. Before anything is touched the manifest says what will be
//! there, so that a run can end at any instruction: the next one mends it.

mod compare;
mod directory;
mod error;
mod manifest;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use compare::{Action, OnDisk, compare, passing, passing_manifest};
pub use compare::{Change, Comparison, Edited};
use directory::{AtPath, Depth, Directory, Locked, sync_parent};
pub use error::WorkDirError;
pub use manifest::FILE as MANIFEST;
use manifest::Manifest;

use super::{Files, GeneratedFile, RelativePath};
use crate::address::Name;

/// Which part of a work directory is generated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All of it.
    All,
    /// These directories at its top, such as a guest's.
    Only(BTreeSet<String>),
}

impl Scope {
    /// Whether a path is in that part.
    pub fn contains(&self, path: &RelativePath) -> bool {
        match self {
            Self::All => true,
            Self::Only(tops) => tops.contains(path.top()),
        }
    }
}

/// What a work directory is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing is written or made.
    Read,
    /// It is made if need be, and locked until it is closed.
    Write,
}

/// A work directory.
#[derive(Debug)]
pub struct WorkDir {
    path: PathBuf,
    lab: Name,
    /// `None` where there is no such directory, and nothing is to be written.
    directory: Option<Directory>,
}

impl WorkDir {
    /// Opens the work directory of a lab.
    pub fn open(path: &Path, lab: &Name, access: Access) -> Result<Self, WorkDirError> {
        Self::open_directory(path, access)
            .map(|directory| Self {
                path: path.to_owned(),
                lab: lab.clone(),
                directory,
            })
            .map_err(|error| error.of(path))
    }

    fn open_directory(path: &Path, access: Access) -> Result<Option<Directory>, WorkDirError> {
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotADirectory | std::io::ErrorKind::AlreadyExists => {
                WorkDirError::new(
                    "it is no directory",
                    "name another one with `-w`, or move away what is there",
                )
            }
            _ => WorkDirError::io("open the work directory", &error),
        };
        let opened = Directory::open(path).map_err(failed)?;
        match (access, opened) {
            (Access::Read, opened) => Ok(opened),
            (Access::Write, Some(opened)) => match opened.lock() {
                Locked::Taken => Ok(Some(opened)),
                Locked::Busy => Err(WorkDirError::new(
                    "another miniascape is writing into it",
                    "wait until it has ended",
                )),
            },
            (Access::Write, None) => {
                std::fs::create_dir_all(path).map_err(failed)?;
                sync_parent(path);
                let opened = Directory::open(path).map_err(failed)?;
                if let Some(opened) = &opened
                    && opened.lock() == Locked::Busy
                {
                    return Err(WorkDirError::new(
                        "another miniascape is writing into it",
                        "wait until it has ended",
                    ));
                }
                Ok(opened)
            }
        }
    }

    /// What differs from the wanted files; all that is in the way is one error. Nothing is written.
    ///
    /// `wanted` holds files in `scope` only; what is not in it is left as it is.
    pub fn compare(&self, wanted: &Files, scope: &Scope) -> Result<Comparison, WorkDirError> {
        self.compared(wanted, scope)
            .map_err(|error| error.of(&self.path))
    }

    fn compared(&self, wanted: &Files, scope: &Scope) -> Result<Comparison, WorkDirError> {
        let manifest = self.manifest()?;
        let fresh = Manifest::new(self.lab.clone());
        let known = manifest.as_ref().unwrap_or(&fresh);
        let paths: BTreeSet<&RelativePath> = wanted
            .keys()
            .chain(known.files.keys())
            .chain(known.pending.keys())
            .filter(|path| scope.contains(path))
            .collect();
        let parents: BTreeSet<RelativePath> =
            wanted.keys().flat_map(RelativePath::parents).collect();
        // Only a directory that may go is looked into: others can hold much that is not ours.
        let old = known.directories.difference(&parents);
        let mut directories = self.find(old, Depth::All)?;
        directories.extend(self.find(parents.iter(), Depth::Itself)?);
        let seen = OnDisk {
            files: self.find(paths.into_iter(), Depth::All)?,
            directories,
        };
        compare(manifest.as_ref(), &fresh, wanted, scope, &seen)
    }

    fn manifest(&self) -> Result<Option<Manifest>, WorkDirError> {
        let Some(directory) = &self.directory else {
            return Ok(None);
        };
        let file = directory
            .read(MANIFEST)
            .map_err(|error| WorkDirError::io(format_args!("read {MANIFEST}"), &error))?;
        file.map(|file| Manifest::read(&file.bytes, &self.lab))
            .transpose()
    }

    fn find<'a>(
        &self,
        paths: impl Iterator<Item = &'a RelativePath>,
        depth: Depth,
    ) -> Result<BTreeMap<RelativePath, AtPath>, WorkDirError> {
        let Some(directory) = &self.directory else {
            return Ok(BTreeMap::new());
        };
        paths
            .map(|path| {
                let found = directory
                    .find(path, depth)
                    .map_err(|error| WorkDirError::io(format_args!("read {path}"), &error))?;
                Ok((path.clone(), found))
            })
            .collect()
    }

    /// Makes the directory hold the wanted files. What was compared must be from this very opening, so that nobody else
    /// wrote since.
    pub fn write(&self, wanted: &Files, comparison: &Comparison) -> Result<(), WorkDirError> {
        for (done, action) in comparison.actions.iter().enumerate() {
            if let Err(error) = self.perform(action, wanted) {
                self.tidy(&comparison.actions[..=done]);
                return Err(error.of(&self.path));
            }
        }
        Ok(())
    }

    /// Takes away what is staged and will not be placed. What this does not reach, the next run does.
    fn tidy(&self, done: &[Action]) {
        let Some(directory) = &self.directory else {
            return;
        };
        for action in done {
            if let Action::Stage(path) = action {
                let _ = directory.remove(&passing(path));
            }
        }
        let _ = directory.remove(&passing_manifest());
    }

    fn perform(&self, action: &Action, wanted: &Files) -> Result<(), WorkDirError> {
        let Some(directory) = &self.directory else {
            return Err(WorkDirError::new(
                "it was opened for reading and is to be written",
                "this is a bug in miniascape",
            ));
        };
        let (done, what) = match action {
            Action::Clean(path) => (directory.remove(path), format!("remove {path}")),
            Action::Record(manifest) => {
                let file = GeneratedFile {
                    bytes: manifest.write()?.into_bytes(),
                    mode: 0o644,
                };
                let next = passing_manifest();
                let done = directory
                    .remove(&next)
                    .and_then(|()| directory.create(&next, &file))
                    .and_then(|()| directory.sync_files(std::slice::from_ref(&next)))
                    .and_then(|()| directory.rename(&next, MANIFEST))
                    .and_then(|()| directory.sync(""));
                (done, format!("write {MANIFEST}"))
            }
            Action::Remove(path) => (directory.remove(path.as_str()), format!("remove {path}")),
            Action::RemoveDirectory(path) => (
                directory.remove_empty(path.as_str()),
                format!("remove {path}"),
            ),
            Action::MakeDirectory(path) => (directory.make(path.as_str()), format!("make {path}")),
            Action::Stage(path) => {
                let done = match wanted.get(path) {
                    Some(file) => directory.create(&passing(path), file),
                    None => Ok(()),
                };
                (done, format!("write {path}"))
            }
            Action::SyncStaged(paths) => {
                let paths: Vec<String> = paths.iter().map(passing).collect();
                (directory.sync_files(&paths), "write to the disk".to_owned())
            }
            Action::Place(path) => (
                directory.rename(&passing(path), path.as_str()),
                format!("write {path}"),
            ),
            Action::Sync(path) => (directory.sync(path), format!("write {path}")),
        };
        done.map_err(|error| WorkDirError::io(what, &error))
    }
}
