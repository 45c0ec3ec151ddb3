//! How the files of a state are opened: regular files only, never through a link, and nobody else's to read, since the XML in
//! them may hold passwords. Whoever can write into the directory gets nothing else written or waited for.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, fchmod, fstat, open as open_raw};
use rustix::io::Errno;

/// Opens a file; one that is made is its owner's alone from the start, and one that others may read or write is closed to them
/// where it is opened to be written.
pub(super) fn open(path: &Path, flags: OFlags) -> io::Result<File> {
    // Without NONBLOCK, a FIFO would be waited for.
    let always = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match open_raw(path, flags | always, Mode::RUSR | Mode::WUSR) {
        Ok(opened) => File::from(opened),
        Err(Errno::LOOP) if is_link(path) => return Err(in_the_way(LINK)),
        Err(Errno::NXIO | Errno::ISDIR) => return Err(in_the_way(NO_FILE)),
        Err(error) => return Err(error.into()),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(in_the_way(NO_FILE));
    }
    if flags.intersects(OFlags::WRONLY | OFlags::RDWR) {
        if metadata.nlink() > 1 {
            return Err(in_the_way("it has another name elsewhere (a hard link)"));
        }
        close_to_others(&file);
    }
    Ok(file)
}

/// What is in a file; `None` where there is none.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    match open(path, OFlags::RDONLY) {
        Ok(mut file) => file.read_to_end(&mut bytes).map(|_| Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes a file, in the place of one that a run which was killed may have left.
pub(super) fn create(path: &Path) -> io::Result<File> {
    remove_leftover(path)?;
    open(path, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)
}

/// Removes a file; none is fine, and what is no file stays.
pub(super) fn remove_leftover(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(old) if old.is_file() => fs::remove_file(path),
        Ok(old) if old.is_symlink() => Err(in_the_way(LINK)),
        Ok(_) => Err(in_the_way(NO_FILE)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Takes from everybody but the owner what an older version gave them. Only the owner can; for others it is as it was.
pub(super) fn close_to_others(file: &File) {
    let mode = fstat(file).map_or(Mode::empty(), |stat| Mode::from_raw_mode(stat.st_mode));
    if mode.intersects(Mode::RWXG | Mode::RWXO) {
        let _ = fchmod(file, mode & Mode::RWXU);
    }
}

/// Whether an error says that something else is in a file's place.
pub(super) fn is_in_the_way(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AlreadyExists
}

const LINK: &str =
    "it is a symbolic link, and none is followed here (the directory itself may be one)";
const NO_FILE: &str = "it is not a regular file";

fn in_the_way(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, what)
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink())
}
