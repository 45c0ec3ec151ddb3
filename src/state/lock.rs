//! The lock that lets one process at a time change a lab.
//!
//! It is an advisory `flock` on a file that says who holds it. The kernel lets go of it when the
//! process ends, however it ends; the text alone means nothing.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use super::error::{StoreError, StoreErrorKind};
use super::file;

/// How often a lock whose file was removed by its last holder is tried anew.
const ATTEMPTS: usize = 100;

/// Holds the lock until it is dropped; the file goes with it.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock, or says who holds it. Never waits.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let failed = |error: &io::Error| StoreError::io(path, "lock the state", error);
        for _ in 0..ATTEMPTS {
            let mut file =
                file::open(path, OFlags::RDWR | OFlags::CREATE).map_err(|error| failed(&error))?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Err(held(path, &mut file)),
                Err(error) => return Err(failed(&error.into())),
            }
            // The holder before removed the file between our opening and locking it:
            // what we hold is a lock that nobody else will look at.
            if !is_at(&file, path) {
                continue;
            }
            let lock = Self {
                file,
                path: path.to_owned(),
            };
            lock.sign().map_err(|error| failed(&error))?;
            return Ok(lock);
        }
        Err(busy(path, "another miniascape is changing this lab".into()))
    }

    fn sign(&self) -> io::Result<()> {
        let pid = std::process::id();
        let names = rustix::system::uname();
        let host = names.nodename().to_string_lossy();
        self.file.set_len(0)?;
        (&self.file).write_all(format!("pid {pid}\nhost {host}\n").as_bytes())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while it is still held, so that nobody's file but our own goes.
        if is_at(&self.file, &self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => ours.dev() == there.dev() && ours.ino() == there.ino(),
        (Ok(_) | Err(_), Err(_)) | (Err(_), Ok(_)) => false,
    }
}

/// Who has a lock, as far as its file tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pid: String,
    host: String,
}

impl Holder {
    /// The one that signed a lock's file.
    fn signed(file: &mut File) -> Option<Self> {
        let mut text = String::new();
        let _ = file.take(1024).read_to_string(&mut text);
        let field = |name: &str| {
            let mut lines = text.lines();
            lines.find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(' ')?.to_owned()))
        };
        Some(Self {
            pid: field("pid")?,
            host: field("host")?,
        })
    }

    /// Who may hold the lock, without taking it, which could be in the way of who wants it. One that was killed on this host is
    /// told from one that lives; of another host that cannot be known.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let holder = Self::signed(&mut file::open(path, OFlags::RDONLY).ok()?)?;
        (!holder.is_here() || holder.has_a_lock()).then_some(holder)
    }

    /// Whether it is a process of this host.
    pub fn is_here(&self) -> bool {
        rustix::system::uname().nodename().to_string_lossy() == self.host
    }

    fn has_a_lock(&self) -> bool {
        let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
        locks.lines().any(|line| {
            let mut fields = line.split_whitespace().skip(1);
            fields.next() == Some("FLOCK") && fields.nth(2) == Some(&self.pid)
        })
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {} on {}", self.pid, self.host)
    }
}

fn held(path: &Path, file: &mut File) -> StoreError {
    let holder = match Holder::signed(file) {
        Some(holder) => format!(" ({holder})"),
        // It has not signed yet.
        None => String::new(),
    };
    busy(
        path,
        format!("another miniascape{holder} is changing this lab"),
    )
}

fn busy(path: &Path, what: String) -> StoreError {
    StoreError::new(
        StoreErrorKind::Locked,
        path,
        what,
        "wait until it is done, or end it; the lock goes with the process",
    )
}
