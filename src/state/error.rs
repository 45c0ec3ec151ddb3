//! Why the files of a state could not be read or written.

use std::io;
use std::path::{Path, PathBuf};

/// Says why the state could not be read or written: which file, what is wrong with it, how to mend it.
///
/// The file itself is never touched by what fails: a damaged state stays as it is, to be looked at.
#[derive(Debug, thiserror::Error)]
#[error("{}: {what}", path.display())]
pub struct StoreError {
    /// What sort of failure it is.
    pub kind: StoreErrorKind,
    /// The file or directory.
    pub path: PathBuf,
    /// What is wrong: a lowercase fragment.
    pub what: String,
    /// How to mend it.
    pub hint: Option<String>,
}

/// The failures of a state that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// Another process is changing the lab.
    Locked,
    /// A file is not what was once written: cut short, edited, in conflict.
    Damaged,
    /// A newer program wrote it.
    Version,
    /// It is another lab's.
    OtherLab,
    /// The file system refused.
    Io,
    /// The program used the store in a way it is not made for.
    Misuse,
}

impl StoreError {
    /// A failure with a way to mend it.
    pub(super) fn new(
        kind: StoreErrorKind,
        path: &Path,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            path: path.to_owned(),
            what: what.into(),
            hint: Some(hint.into()),
        }
    }

    /// What the file system refused; `doing` reads after "failed to": `write the state`.
    pub(super) fn io(path: &Path, doing: &str, error: &io::Error) -> Self {
        let hint = match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "run as a user who may read and write there, or name another state directory with `--state`"
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "make room and run again: what was recorded so far is kept"
            }
            io::ErrorKind::NotADirectory
            | io::ErrorKind::AlreadyExists
            | io::ErrorKind::IsADirectory => {
                "move away what is in the place of the state, or name another state directory with `--state`"
            }
            _ => "name another state directory with `--state` if this one cannot be used",
        };
        Self::new(
            StoreErrorKind::Io,
            path,
            format!("failed to {doing}: {error}"),
            hint,
        )
    }
}
