//! The file system below one directory. Every name is looked up from the directory above it, and links are not
//! followed, so that nothing outside is read or written whatever someone puts in here meanwhile.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags, flock, fsync, mkdirat, open, openat,
    renameat, statat, unlinkat,
};
use rustix::io::Errno;

use crate::generate::{GeneratedFile, RelativePath};

/// How deep directories are looked into; what is nested deeper is nobody's work directory.
const MAX_DEPTH: usize = 64;

/// Threads that wait for the disk at once.
const SYNCERS: usize = 8;

/// A directory that is open.
#[derive(Debug)]
pub(super) struct Directory {
    root: OwnedFd,
}

impl Drop for Directory {
    /// Closing alone would leave the lock to a process that was forked meanwhile, until that has closed its copy too.
    fn drop(&mut self) {
        let _ = flock(&self.root, FlockOperation::Unlock);
    }
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AtPath {
    /// Nothing.
    Nothing,
    /// A file.
    File(GeneratedFile),
    /// A directory, with the paths of all that is below, as far as was asked.
    Directory(Vec<String>),
    /// A link, a device and the like.
    Other,
    /// Something on the way to it is no directory.
    Blocked(RelativePath),
}

/// How far a directory is looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Not at all.
    Itself,
    /// To the bottom.
    All,
}

/// Whether someone else is writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Locked {
    /// The directory is ours until it is closed.
    Taken,
    /// Another process has it.
    Busy,
}

impl Directory {
    /// Opens a directory; `None` where there is none. That path may be a link: it is what the user named.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match open(path, flags, Mode::empty()) {
            Ok(root) => Ok(Some(Self { root })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps other processes from writing, until the directory is closed.
    pub fn lock(&self) -> Locked {
        match flock(&self.root, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Locked::Busy,
            // Network file systems cannot lock a directory. Two runs at once are rare, and the next one mends.
            Ok(()) | Err(_) => Locked::Taken,
        }
    }

    /// What is at a path.
    pub fn find(&self, path: &RelativePath, depth: Depth) -> io::Result<AtPath> {
        for parent in path.parents() {
            match self.kind(parent.as_str())? {
                None => return Ok(AtPath::Nothing),
                Some(FileType::Directory) => {}
                Some(_) => return Ok(AtPath::Blocked(parent)),
            }
        }
        match self.kind(path.as_str())? {
            None => Ok(AtPath::Nothing),
            Some(FileType::RegularFile) => match self.read(path.as_str())? {
                Some(file) => Ok(AtPath::File(file)),
                None => Ok(AtPath::Nothing),
            },
            Some(FileType::Directory) => {
                let mut below = Vec::new();
                match depth {
                    Depth::Itself => {}
                    Depth::All => self.list(path.as_str(), MAX_DEPTH, &mut below)?,
                }
                Ok(AtPath::Directory(below))
            }
            Some(_) => Ok(AtPath::Other),
        }
    }

    /// A file of the directory; `None` where there is none.
    pub fn read(&self, path: &str) -> io::Result<Option<GeneratedFile>> {
        // A FIFO that came here since would otherwise be waited for.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = self.below(path, |parent, name| {
            openat(parent, name, flags, Mode::empty())
        });
        let mut file = match opened {
            Ok(opened) => File::from(opened),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mode = rustix::fs::fstat(&file)?.st_mode & 0o777;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(Some(GeneratedFile { bytes, mode }))
    }

    /// Makes a directory; one that is there already is fine.
    pub fn make(&self, path: &str) -> io::Result<()> {
        match self.below(path, |parent, name| {
            mkdirat(parent, name, Mode::from_raw_mode(0o777))
        }) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes a new file; the umask takes away from its mode.
    pub fn create(&self, path: &str, file: &GeneratedFile) -> io::Result<()> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(file.mode);
        let opened = self.below(path, |parent, name| openat(parent, name, flags, mode))?;
        let mut opened = File::from(opened);
        opened.write_all(&file.bytes)
    }

    /// Brings files to the disk. One after the other they would each wait for the file system's journal.
    pub fn sync_files(&self, paths: &[String]) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let sync = |path: &String| -> io::Result<()> {
            let opened = self.below(path, |parent, name| {
                openat(parent, name, flags, Mode::empty())
            })?;
            Ok(fsync(&opened)?)
        };
        let share = paths.len().div_ceil(SYNCERS).max(1);
        std::thread::scope(|scope| {
            let threads: Vec<_> = paths
                .chunks(share)
                .map(|some| scope.spawn(|| some.iter().try_for_each(sync)))
                .collect();
            threads.into_iter().try_for_each(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
            })
        })
    }

    /// Puts one file in the place of another of the same directory.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (_, name) = split(to);
        Ok(self.below(from, |parent, from| renameat(parent, from, parent, name))?)
    }

    /// Removes a file or a link; one that is gone is fine.
    pub fn remove(&self, path: &str) -> io::Result<()> {
        match self.below(path, |parent, name| {
            unlinkat(parent, name, AtFlags::empty())
        }) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a directory unless something is in it.
    pub fn remove_empty(&self, path: &str) -> io::Result<()> {
        match self.below(path, |parent, name| {
            unlinkat(parent, name, AtFlags::REMOVEDIR)
        }) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR | Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes sure that the names in a directory are on the disk; the empty path is the root.
    pub fn sync(&self, path: &str) -> io::Result<()> {
        match self.walk(path) {
            Ok(opened) => match fsync(&opened) {
                // Some network and shared file systems cannot sync a directory.
                Ok(()) | Err(Errno::INVAL | Errno::NOTSUP) => Ok(()),
                Err(error) => Err(error.into()),
            },
            // It was removed: the one above is synced too.
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Everything below a directory, in order; names that are not text are shown as well as can be.
    fn list(&self, path: &str, depth: usize, all: &mut Vec<String>) -> io::Result<()> {
        let opened = match self.walk(path) {
            Ok(opened) => opened,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let mut names = Vec::new();
        for entry in Dir::read_from(&opened)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort();
        for name in names {
            let path = format!("{path}/{name}");
            all.push(path.clone());
            if depth > 0 && self.kind(&path)? == Some(FileType::Directory) {
                self.list(&path, depth - 1, all)?;
            }
        }
        Ok(())
    }

    /// What sort of thing is at a path; `None` where there is nothing.
    fn kind(&self, path: &str) -> io::Result<Option<FileType>> {
        let stat = self.below(path, |parent, name| {
            statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        });
        match stat {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Does something with the last name of a path, in the directory above it.
    fn below<T>(
        &self,
        path: &str,
        work: impl FnOnce(&OwnedFd, &str) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let (parent, name) = split(path);
        work(&self.walk(parent)?, name)
    }

    /// Opens a directory below, name by name.
    fn walk(&self, path: &str) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut opened = openat(&self.root, ".", flags, Mode::empty())?;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            opened = openat(&opened, name, flags, Mode::empty())?;
        }
        Ok(opened)
    }
}

/// Makes the names in a directory that is not open durable, as far as the file system lets us.
pub(super) fn sync_parent(path: &Path) {
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return,
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if let Ok(opened) = openat(CWD, parent, flags, Mode::empty()) {
        // Only the name of the work directory itself is at stake, and the next run makes it again.
        let _ = fsync(&opened);
    }
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}
