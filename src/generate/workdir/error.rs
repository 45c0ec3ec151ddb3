//! Why a work directory could not be read or written.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::generate::RelativePath;

/// Says why a work directory could not be read or written, and how to mend it.
#[derive(Debug, thiserror::Error)]
#[error("{}: {what}", directory.display())]
pub struct WorkDirError {
    /// The work directory.
    pub directory: PathBuf,
    /// What is wrong: a lowercase fragment.
    pub what: String,
    /// How to mend it.
    pub hint: String,
}

/// Why a file cannot be written where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// Something is there that miniascape did not write.
    Foreign(RelativePath),
    /// A directory is there that does not go away.
    Directory(RelativePath),
    /// What is there is no directory, and files belong into it.
    NoDirectory(RelativePath),
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign(path) => write!(f, "{path} is there, and miniascape did not write it"),
            Self::Directory(path) => write!(f, "{path} is a directory, and a file is to be there"),
            Self::NoDirectory(path) => write!(
                f,
                "{path} is no directory (links are not followed), and files are to be in it"
            ),
        }
    }
}

impl WorkDirError {
    /// A failure with a way to mend it; the directory is put in later.
    pub(super) fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            directory: PathBuf::new(),
            what: what.into(),
            hint: hint.into(),
        }
    }

    /// All that is in the way, at once.
    pub(super) fn in_the_way(obstacles: &[Obstacle]) -> Self {
        let lines: Vec<String> = obstacles.iter().map(|one| format!("\n  {one}")).collect();
        Self::new(
            format!(
                "something is in the way, and nothing was written:{}",
                lines.concat()
            ),
            "move these away, or name another directory with `-w`",
        )
    }

    /// What the file system refused; `doing` reads after "failed to": `write web1/ks.cfg`.
    pub(super) fn io(doing: impl fmt::Display, error: &io::Error) -> Self {
        let hint = match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "run as a user who may read and write there, or name another directory with `-w`"
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "make room and run again: the next run mends what this one left"
            }
            _ => "run again once the cause is mended: the next run mends what this one left",
        };
        Self::new(format!("failed to {doing}: {error}"), hint)
    }

    /// The same, of this directory.
    pub(super) fn of(mut self, directory: &Path) -> Self {
        directory.clone_into(&mut self.directory);
        self
    }
}
