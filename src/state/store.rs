//! The files of a state: TOML, journal, lock.
//!
//! `<lab>.toml` is the state as of the last run that ended, written whole; `<lab>.journal` is what
//! happened since, and is there only during a run or after one that was killed; `<lab>.lock` is there
//! while a process changes the lab. A state is read as TOML with the journal played over it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;

use super::cache::{self, Cache};
pub use super::error::{StoreError, StoreErrorKind};
use super::file;
use super::journal::{Journal, Record, sync_directory_of};
pub use super::lock::Holder;
use super::lock::Lock;
use super::{Entry, HypervisorId, State, Sums, document, journal};
use crate::address::{Address, Name};
use crate::crash;

/// How often a reader looks again when a writer ends its run in between.
const READ_ATTEMPTS: usize = 10;

/// What a store is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing is written or locked, no directory is made.
    Read,
    /// The lab is locked until the store is dropped.
    Write,
}

/// Keeps the state of one lab, so that a crash at any instruction loses nothing.
///
/// A run is [`begin`](Store::begin), then for each resource [`intend`](Store::intend) before it is touched and
/// [`settle`](Store::settle) after, then [`finish`](Store::finish). A run that never finishes is
/// completed when the store is next opened.
#[derive(Debug)]
pub struct Store {
    state: State,
    backing: Backing,
}

#[derive(Debug)]
enum Backing {
    /// Dies with the process.
    Memory,
    /// Files that were read and stay as they are.
    ReadOnly(Paths),
    Files {
        paths: Paths,
        journal: Journal,
        /// Declared last of what matters: it is let go of when all files are closed.
        _lock: Lock,
    },
}

#[derive(Debug)]
struct Paths {
    toml: PathBuf,
    /// The next `toml` while it is being written. One name, so that a crash leaves one file at most.
    next: PathBuf,
    journal: PathBuf,
    lock: PathBuf,
    cache: PathBuf,
}

impl Paths {
    fn new(directory: &Path, lab: &Name) -> Self {
        Self {
            toml: directory.join(format!("{lab}.toml")),
            next: directory.join(format!(".{lab}.toml.next")),
            journal: directory.join(format!("{lab}.journal")),
            lock: directory.join(format!("{lab}.lock")),
            cache: directory.join(format!(".{lab}.seen")),
        }
    }
}

impl Store {
    /// Opens the state of a lab and gives it as it is, the journal of an unfinished run included.
    ///
    /// With [`Access::Write`] the directory is made, the lab is locked, and a journal is folded into the TOML
    /// at once. A lab without files has an empty state.
    pub fn open(directory: &Path, lab: &Name, access: Access) -> Result<(Self, State), StoreError> {
        let paths = Paths::new(directory, lab);
        let store = match access {
            Access::Read => {
                let (state, _) = read(&paths, lab, Sums::Check)?;
                Self {
                    state,
                    backing: Backing::ReadOnly(paths),
                }
            }
            Access::Write => Self::open_to_write(paths, directory, lab, Sums::Check)?,
        };
        let state = store.state.clone();
        Ok((store, state))
    }

    /// Whether a lab has a state there.
    pub fn exists(directory: &Path, lab: &Name) -> bool {
        let paths = Paths::new(directory, lab);
        [paths.toml, paths.journal]
            .iter()
            .any(|path| path.symlink_metadata().is_ok())
    }

    /// The labs that have a state there.
    pub fn labs(directory: &Path) -> Vec<String> {
        let files = fs::read_dir(directory).into_iter().flatten().flatten();
        let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
        let labs = names.filter_map(|name| name.strip_suffix(".toml").map(str::to_owned));
        let mut labs: Vec<String> = labs.filter(|lab| Name::new(lab.as_str()).is_ok()).collect();
        labs.sort();
        labs
    }

    /// The state as it is now, read anew where others may change it; `None` where nobody else can.
    pub fn reread(&self) -> Result<Option<State>, StoreError> {
        match &self.backing {
            Backing::Memory | Backing::Files { .. } => Ok(None),
            Backing::ReadOnly(paths) => {
                read(paths, &self.state.lab, Sums::Check).map(|(state, _)| Some(state))
            }
        }
    }

    /// Who else may be changing the lab.
    pub fn runner(&self) -> Option<Holder> {
        match &self.backing {
            Backing::Memory | Backing::Files { .. } => None,
            Backing::ReadOnly(paths) => Holder::of(&paths.lock),
        }
    }

    /// Takes the files of a lab as someone left them who changed them by hand, as far as they can be read, and writes them anew.
    pub fn accept(directory: &Path, lab: &Name) -> Result<State, StoreError> {
        let paths = Paths::new(directory, lab);
        let mut store = Self::open_to_write(paths, directory, lab, Sums::Ignore)?;
        store.finish()
    }

    fn open_to_write(
        paths: Paths,
        directory: &Path,
        lab: &Name,
        sums: Sums,
    ) -> Result<Self, StoreError> {
        fs::create_dir_all(directory)
            .map_err(|error| StoreError::io(directory, "make the state directory", &error))?;
        let lock = Lock::take(&paths.lock)?;
        file::remove_leftover(&paths.next)
            .map_err(|error| StoreError::io(&paths.next, "remove what a run left", &error))?;
        let (state, journaled) = read(&paths, lab, sums)?;
        let mut journal = Journal::new(paths.journal.clone());
        if journaled {
            write(&paths, &state)?;
            journal.remove()?;
        }
        Ok(Self {
            state,
            backing: Backing::Files {
                paths,
                journal,
                _lock: lock,
            },
        })
    }

    /// An empty state without files, for a hypervisor whose objects die with the process.
    pub fn in_memory(lab: &Name) -> (Self, State) {
        let state = State::new(lab.clone());
        let store = Self {
            state: state.clone(),
            backing: Backing::Memory,
        };
        (store, state)
    }

    /// Records that a run on this hypervisor begins.
    pub fn begin(&mut self, hypervisor: &HypervisorId) -> Result<(), StoreError> {
        self.record(Record::Begin {
            hypervisor: hypervisor.clone(),
        })
    }

    /// Records, in one, that resources have other addresses. Nothing is touched for it.
    pub fn readdress(&mut self, moves: &[(Address, Address)]) -> Result<(), StoreError> {
        if moves.is_empty() {
            return Ok(());
        }
        self.record(Record::Move {
            moves: moves.to_vec(),
        })
    }

    /// Records what is known of a resource if the process dies from here on. Comes before its first step;
    /// when it returns the record is on the disk.
    pub fn intend(&mut self, address: &Address, entry: &Entry) -> Result<(), StoreError> {
        self.record(Record::Intend {
            address: address.clone(),
            entry: entry.clone(),
        })
    }

    /// Records what a resource now is; `None` where it leaves the state.
    pub fn settle(&mut self, address: &Address, entry: Option<&Entry>) -> Result<(), StoreError> {
        self.record(Record::Settle {
            address: address.clone(),
            entry: entry.cloned(),
        })
    }

    /// Takes what a look showed of resources for which there is nothing to do, and gives the state.
    pub fn learn<'a>(
        &mut self,
        entries: impl Iterator<Item = (&'a Address, &'a Entry)>,
    ) -> Result<State, StoreError> {
        for (address, entry) in entries {
            self.state.resources.insert(address.clone(), entry.clone());
        }
        self.finish()
    }

    /// Writes the state whole, removes the journal, and gives the state. The lock stays until the store is dropped.
    pub fn finish(&mut self) -> Result<State, StoreError> {
        self.state.settle_place();
        match &mut self.backing {
            Backing::Memory => {}
            Backing::ReadOnly(paths) => return Err(misuse(&paths.toml)),
            Backing::Files { paths, journal, .. } => {
                write(paths, &self.state)?;
                journal.remove()?;
            }
        }
        Ok(self.state.clone())
    }

    /// Keeps what was seen when all was as it should be, for the next look. That it cannot be kept is no reason to fail.
    pub fn remember(&mut self, seen: Cache) {
        match &self.backing {
            Backing::Memory | Backing::ReadOnly(_) => {}
            Backing::Files { paths, .. } => cache::save(&paths.cache, seen),
        }
    }

    /// The file that the state is kept in, as an absolute path; none where it dies with the process.
    pub fn file(&self) -> Option<PathBuf> {
        let file = match &self.backing {
            Backing::Memory => return None,
            Backing::ReadOnly(paths) | Backing::Files { paths, .. } => &paths.toml,
        };
        Some(std::path::absolute(file).unwrap_or_else(|_| file.clone()))
    }

    /// The state as of the last record.
    pub fn state(&self) -> &State {
        &self.state
    }

    fn record(&mut self, record: Record) -> Result<(), StoreError> {
        match &mut self.backing {
            Backing::Memory => {}
            Backing::ReadOnly(paths) => return Err(misuse(&paths.toml)),
            Backing::Files { journal, .. } => journal.append(&self.state.lab, &record)?,
        }
        record.apply(&mut self.state);
        Ok(())
    }
}

fn misuse(path: &Path) -> StoreError {
    StoreError::new(
        StoreErrorKind::Misuse,
        path,
        "the state was opened for reading and is to be written",
        "this is a bug in miniascape",
    )
}

/// Reads TOML and journal as they belong together, and says whether there is a journal.
fn read(paths: &Paths, lab: &Name, sums: Sums) -> Result<(State, bool), StoreError> {
    let mut before = contents(&paths.toml)?;
    let mut journaled = None;
    for _ in 0..READ_ATTEMPTS {
        journaled = contents(&paths.journal)?;
        // A writer that ends its run replaces the TOML and then removes the journal; seen half by half,
        // that would be an old state or an old journal over a new one.
        let after = contents(&paths.toml)?;
        if before == after {
            break;
        }
        before = after;
    }
    let mut state = match &before {
        Some(bytes) => document::read(bytes, lab, &paths.toml, sums)?,
        None => State::new(lab.clone()),
    };
    if let Some(bytes) = &journaled {
        for record in journal::read(bytes, lab, &paths.journal, sums)? {
            record.apply(&mut state);
        }
    }
    state.settle_place();
    let seen = cache::load(&paths.cache)
        .map_err(|error| StoreError::io(&paths.cache, "read what was seen", &error))?;
    state.cache = Arc::new(seen);
    Ok((state, journaled.is_some()))
}

fn contents(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    file::read(path).map_err(|error| StoreError::io(path, "read the state", &error))
}

/// Writes the state whole: whoever reads sees the old one or the new one. One that is there already is only closed to others.
fn write(paths: &Paths, state: &State) -> Result<(), StoreError> {
    let text = document::write(state, &paths.toml)?;
    if contents(&paths.toml)?.is_some_and(|old| old == text.as_bytes()) {
        if let Ok(file) = file::open(&paths.toml, OFlags::RDONLY) {
            file::close_to_others(&file);
        }
        return Ok(());
    }
    replace(paths, text.as_bytes()).map_err(|error| {
        let _ = file::remove_leftover(&paths.next);
        StoreError::io(&paths.toml, "write the state", &error)
    })
}

fn replace(paths: &Paths, bytes: &[u8]) -> io::Result<()> {
    let mut file = file::create(&paths.next)?;
    crash::torn(format_args!("state: half written"), || {
        let _ = file.write_all(&bytes[..bytes.len() / 2]);
    });
    file.write_all(bytes)?;
    crash::point(format_args!("state: written"));
    file.sync_all()?;
    crash::point(format_args!("state: on the disk"));
    fs::rename(&paths.next, &paths.toml)?;
    crash::point(format_args!("state: in its place"));
    sync_directory_of(&paths.toml)
}
