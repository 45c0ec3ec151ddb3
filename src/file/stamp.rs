//! What tells whether a file is the same, and as it was, without reading it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

/// Which file something is, however its path is spelt: through symbolic links, `..`, or another mount of the same directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The file that a path leads to on this machine; `None` where there is none.
    pub fn of(path: impl AsRef<Path>) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        Some(Self {
            device: file.dev(),
            inode: file.ino(),
        })
    }
}

/// What changes with every change of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// Nanoseconds since 1970.
    modified: i64,
    changed: i64,
}

/// Two changes of a file can have one time within a tick of the kernel's clock, which is 10 ms at the most.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// More files than these are not gone over.
const MOST_FILES: usize = 1000;

impl Stamp {
    /// The stamp of a file on this machine; `None` where there is none that can be trusted: it is not there or may not be
    /// looked at, or it was changed this very moment.
    pub fn of(path: impl AsRef<Path>) -> Option<Self> {
        let file = fs::metadata(path).ok().filter(|file| file.is_file())?;
        let nanoseconds = |seconds: i64, rest: i64| seconds.wrapping_mul(1_000_000_000) + rest;
        let stamp = Self {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            modified: nanoseconds(file.mtime(), file.mtime_nsec()),
            changed: nanoseconds(file.ctime(), file.ctime_nsec()),
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        let changed = Duration::from_nanos(u64::try_from(stamp.changed).ok()?);
        (changed + TICK < now).then_some(stamp)
    }

    /// The files below each of the directories that are there, with their stamps; `None` where one of them has none, or where
    /// there are more than [`MOST_FILES`].
    pub fn below(directories: &[PathBuf]) -> Option<Vec<(PathBuf, Self)>> {
        let mut stamps = Vec::new();
        for directory in directories.iter().filter(|directory| directory.exists()) {
            let files = WalkDir::new(directory).follow_links(true);
            for entry in files.sort_by_file_name() {
                let entry = entry.ok()?;
                if entry.file_type().is_dir() {
                    continue;
                }
                stamps.push((entry.path().to_owned(), Self::of(entry.path())?));
                if stamps.len() > MOST_FILES {
                    return None;
                }
            }
        }
        Some(stamps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_changes_with_the_file_and_is_not_taken_of_one_that_just_changed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        assert_eq!(Stamp::of(path), None);
        std::thread::sleep(TICK * 2);
        let before = Stamp::of(path).unwrap();
        assert_eq!(Stamp::of(path), Some(before));
        std::fs::write(path, "x").unwrap();
        std::thread::sleep(TICK * 2);
        assert_ne!(Stamp::of(path), Some(before));
        assert_eq!(Stamp::of("/nowhere"), None);
    }
}
