//! The journal: what happened since the state was last written whole, one JSON line a record.
//!
//! A record says what an entry is from then on, so reading the journal again over a state that
//! holds it already changes nothing.
//!
//! Before each record stands a sum of it and of the sum before, so that none can be changed, lost or doubled unseen. Version 1
//! had none.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::document::{check_lab, check_version};
use super::error::{StoreError, StoreErrorKind};
use super::file;
use super::{Entry, HypervisorId, State, Sums};
use crate::address::{Address, Name};
use crate::crash;
use crate::fingerprint::sha256;

/// The version of the format that is written.
const VERSION: u32 = 2;
/// How many digits a sum has.
const SUM: usize = 16;

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
pub(super) fn read(
    bytes: &[u8],
    lab: &Name,
    path: &Path,
    sums: Sums,
) -> Result<Vec<Record>, StoreError> {
    let mut reader = Reader {
        lab,
        path,
        sums,
        before: None,
    };
    let mut records = Vec::new();
    let mut lines = bytes
        .split_inclusive(|byte| *byte == b'\n')
        .enumerate()
        .peekable();
    while let Some((at, line)) = lines.next() {
        match reader.record(line, at) {
            Ok(record) => records.push(record),
            Err(_) if lines.peek().is_none() && reader.is_torn(line, at) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(records)
}

/// Reads line by line.
struct Reader<'a> {
    lab: &'a Name,
    path: &'a Path,
    sums: Sums,
    /// The sum of the line before; none where the journal has no sums.
    before: Option<String>,
}

impl Reader<'_> {
    fn record(&mut self, line: &[u8], at: usize) -> Result<Record, StoreError> {
        let damaged = |error: &dyn fmt::Display| {
            StoreError::new(
                StoreErrorKind::Damaged,
                self.path,
                format!("line {}: not a record of the journal: {error}", at + 1),
                "bring the line back, or remove it (what it says of a resource is then forgotten), \
                 take what is there with `miniascape state check --accept`, and run again; nothing was changed",
            )
        };
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let (sum, json) = match line.split_at_checked(SUM) {
            Some((sum, rest)) if !line.starts_with(b"{") => {
                (Some(sum), rest.strip_prefix(b" ").unwrap_or(rest))
            }
            Some(_) | None => (None, line),
        };
        if at == 0 {
            let head: Head = serde_json::from_slice(json).map_err(|error| damaged(&error))?;
            check_version(head.open.version, &[1, VERSION], self.path)?;
            check_lab(&head.open.lab, self.lab, self.path)?;
            self.before = (head.open.version == VERSION || sum.is_some()).then(String::new);
        }
        let record = serde_json::from_slice(json).map_err(|error| damaged(&error))?;
        if let Some(before) = &self.before {
            let right = link(before, json);
            if self.sums == Sums::Check && sum != Some(right.as_bytes()) {
                return Err(damaged(
                    &"its checksum is that of another text, or lines before it were lost or doubled",
                ));
            }
            self.before = Some(right);
        }
        Ok(record)
    }

    /// Whether a line that cannot be read looks as if its writing was broken off. A file system may also lengthen a file before it
    /// holds the bytes: they read as zeros.
    fn is_torn(&mut self, line: &[u8], at: usize) -> bool {
        match line {
            [.., b'\n'] => line.windows(2).any(|two| two == [0, 0]),
            [.., 0] => true,
            // One that is whole and has something else for its line break was changed afterwards.
            [record @ .., _] => self.record(record, at).is_err(),
            [] => true,
        }
    }
}

/// The sum of a record that stands after another.
fn link(before: &str, json: &[u8]) -> String {
    let mut sum = sha256(&[before.as_bytes(), json].concat());
    sum.truncate(SUM);
    sum
}

/// Appends to a journal. The file is made with the first record.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: Option<File>,
    /// The sum of the last record.
    sum: String,
    /// A record was written in part or may not be on the disk: whatever came after it could not be read again.
    broken: bool,
}

impl Journal {
    /// A journal that does not exist yet.
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            sum: String::new(),
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
        if let Some(file) = &mut self.file {
            let line = line(&mut self.sum, record)?;
            crash::torn(format_args!("journal, {record}: half written"), || {
                let _ = file.write_all(&line[..line.len() / 2]);
            });
            file.write_all(&line)?;
            crash::point(format_args!("journal, {record}: written"));
            return file.sync_data();
        }
        let open = Record::Open {
            version: VERSION,
            lab: lab.clone(),
        };
        self.sum.clear();
        let mut text = line(&mut self.sum, &open)?;
        text.extend(line(&mut self.sum, record)?);
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

/// A record as a line of the journal, after the sum of the one before.
fn line(sum: &mut String, record: &Record) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(record)?;
    *sum = link(sum, &json);
    Ok([sum.as_bytes(), b" ", &json, b"\n"].concat())
}

/// Makes what was created, renamed or removed beside a file outlive a crash.
pub(super) fn sync_directory_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) if directory.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}
