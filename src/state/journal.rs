//! The journal: what happened since the state was last written whole, one JSON line a record.
//!
//! A record says what an entry is from then on, so reading the journal again over a state that
//! holds it already changes nothing.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::document::{check_lab, check_version};
use super::error::{StoreError, StoreErrorKind};
use super::file;
use super::{Entry, FORMAT_VERSION, HypervisorId, State};
use crate::address::{Address, Name};
use crate::crash;

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Record {
    /// The first line of every journal.
    Open { version: u32, lab: Name },
    /// A run begins.
    Begin { hypervisor: HypervisorId },
    /// A resource is about to be touched.
    Intend { address: Address, entry: Entry },
    /// Resources have other addresses from here on: each before and after.
    Move { moves: Vec<(Address, Address)> },
    /// A resource is as given, or gone.
    Settle {
        address: Address,
        entry: Option<Entry>,
    },
}

/// The first line, as far as every version has it.
#[derive(Deserialize)]
struct Head {
    open: HeadOpen,
}

#[derive(Deserialize)]
struct HeadOpen {
    version: u32,
    lab: String,
}

impl Record {
    /// Puts what the record says into a state.
    pub(super) fn apply(self, state: &mut State) {
        match self {
            Record::Open { .. } => {}
            Record::Begin { hypervisor } => state.hypervisor = Some(hypervisor),
            Record::Intend { address, entry } => {
                state.resources.insert(address, entry);
            }
            Record::Move { moves } => state.readdress(&moves),
            Record::Settle { address, entry } => match entry {
                Some(entry) => {
                    state.resources.insert(address, entry);
                }
                None => {
                    state.resources.remove(&address);
                }
            },
        }
    }
}

/// What a record is about, in few words.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Record::Open { lab, .. } => write!(f, "open {lab}"),
            Record::Begin { .. } => f.write_str("begin"),
            Record::Intend { address, .. } => write!(f, "intend {address}"),
            Record::Move { moves } => {
                let moves: Vec<String> = moves.iter().map(|(_, to)| to.to_string()).collect();
                write!(f, "move {}", moves.join(" "))
            }
            Record::Settle { address, .. } => write!(f, "settle {address}"),
        }
    }
}

/// Reads a journal. The last line may be torn by a crash: its step was not begun, and it is ignored.
pub(super) fn read(bytes: &[u8], lab: &Name, path: &Path) -> Result<Vec<Record>, StoreError> {
    let mut records = Vec::new();
    let mut lines = bytes
        .split_inclusive(|byte| *byte == b'\n')
        .enumerate()
        .peekable();
    while let Some((at, line)) = lines.next() {
        let record = parse(line, at, lab, path);
        let last = lines.peek().is_none();
        // A file system may also lengthen a file before it holds the bytes: they read as zeros.
        let torn = last && (!line.ends_with(b"\n") || line.contains(&0));
        match record {
            Ok(record) => records.push(record),
            Err(_) if torn => {}
            Err(error) => return Err(error),
        }
    }
    Ok(records)
}

fn parse(line: &[u8], at: usize, lab: &Name, path: &Path) -> Result<Record, StoreError> {
    let damaged = |error: serde_json::Error| {
        StoreError::new(
            StoreErrorKind::Damaged,
            path,
            format!("line {}: not a record of the journal: {error}", at + 1),
            "bring the line back, or remove it (what it says of a resource is then forgotten), \
             and run again; nothing was changed",
        )
    };
    if at == 0 {
        let head: Head = serde_json::from_slice(line).map_err(damaged)?;
        check_version(head.open.version, path)?;
        check_lab(&head.open.lab, lab, path)?;
    }
    serde_json::from_slice(line).map_err(damaged)
}

/// Appends to a journal. The file is made with the first record.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: Option<File>,
    /// A record was written in part or may not be on the disk: whatever came after it could not be read again.
    broken: bool,
}

impl Journal {
    /// A journal that does not exist yet.
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            broken: false,
        }
    }

    /// Appends a record; when this returns it is on the disk.
    pub(super) fn append(&mut self, lab: &Name, record: &Record) -> Result<(), StoreError> {
        if self.broken {
            return Err(StoreError::new(
                StoreErrorKind::Io,
                &self.path,
                "an earlier record could not be written, so none can follow it",
                "mend what was said of it first, and run again",
            ));
        }
        self.broken = true;
        self.write(lab, record)
            .map_err(|error| StoreError::io(&self.path, "write the journal", &error))?;
        self.broken = false;
        Ok(())
    }

    fn write(&mut self, lab: &Name, record: &Record) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        if let Some(file) = &mut self.file {
            crash::torn(format_args!("journal, {record}: half written"), || {
                let _ = file.write_all(&line[..line.len() / 2]);
            });
            file.write_all(&line)?;
            crash::point(format_args!("journal, {record}: written"));
            return file.sync_data();
        }
        let open = Record::Open {
            version: FORMAT_VERSION,
            lab: lab.clone(),
        };
        let mut text = serde_json::to_vec(&open)?;
        text.push(b'\n');
        text.extend(line);
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL;
        let mut file = file::open(&self.path, flags)?;
        crash::point(format_args!("journal: made"));
        crash::torn(format_args!("journal, {record}: half written"), || {
            let _ = file.write_all(&text[..text.len() / 2]);
        });
        file.write_all(&text)?;
        crash::point(format_args!("journal, {record}: written"));
        file.sync_all()?;
        sync_directory_of(&self.path)?;
        self.file = Some(file);
        Ok(())
    }

    /// Removes the journal, once all of it is in the state.
    pub(super) fn remove(&mut self) -> Result<(), StoreError> {
        self.file = None;
        let removed = match fs::remove_file(&self.path) {
            Ok(()) => {
                crash::point(format_args!("journal: removed"));
                sync_directory_of(&self.path)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        removed.map_err(|error| StoreError::io(&self.path, "remove the journal", &error))?;
        self.broken = false;
        Ok(())
    }
}

/// Makes what was created, renamed or removed beside a file outlive a crash.
pub(super) fn sync_directory_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) if directory.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}
