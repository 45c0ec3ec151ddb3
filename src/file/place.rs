//! Where a directory of this machine is: on which file system, and where that is mounted.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Where a directory is, or would be if it were made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Whether the directory is there.
    pub there: bool,
    /// Where the file system is mounted that it is on.
    pub mount: String,
    /// What is mounted there: `ext4 /dev/sdb1`, `nfs4 server:/export`.
    pub file_system: String,
}

impl Place {
    /// The place of a directory. `None` where that cannot be told: it may not be looked at, or its server does not answer.
    pub fn of(directory: &str) -> Option<Self> {
        let there = match fs::metadata(directory) {
            Ok(found) => found.is_dir(),
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(_) => return None,
        };
        let mut ancestors = Path::new(directory).ancestors();
        let real = ancestors.find_map(|ancestor| ancestor.canonicalize().ok())?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let (mount, file_system) = holding(&mounts, &real)?;
        Some(Self {
            there,
            mount,
            file_system,
        })
    }

    /// How it is kept and told.
    pub fn describe(&self) -> String {
        format!("{} on {}", self.file_system, self.mount)
    }
}

/// The mount that a path is on, and what is mounted there: of several at one place the last hides the others.
/// proc_pid_mountinfo(5)
fn holding(mounts: &str, path: &Path) -> Option<(String, String)> {
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        let root = unescaped(fields.nth(3)?);
        let mount = unescaped(fields.next()?);
        let (_, rest) = line.split_once(" - ")?;
        let mut rest = rest.split(' ');
        let (kind, source) = (rest.next()?, unescaped(rest.next()?));
        let part = if root == "/" {
            String::new()
        } else {
            format!(" {root}")
        };
        Some((mount, format!("{kind} {source}{part}")))
    });
    mounts
        .filter(|(mount, _)| path.starts_with(PathBuf::from(mount)))
        .max_by_key(|(mount, _)| mount.trim_end_matches('/').len())
}

/// A field as the kernel writes it, with blanks and the like as `\040`.
fn unescaped(field: &str) -> String {
    let mut parts = field.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part
            .get(..3)
            .and_then(|code| u8::from_str_radix(code, 8).ok());
        match code {
            Some(code) => {
                text.push(char::from(code));
                text.push_str(&part[3..]);
            }
            None => {
                text.push('\\');
                text.push_str(part);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_and_last_mount_holds_a_path() {
        let mounts = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
            21 20 0:30 / /mnt/a\\040b rw shared:1 - tmpfs none rw\n\
            22 20 0:31 / /mnt/nfs rw - nfs4 host:/old rw\n\
            23 22 0:32 / /mnt/nfs rw - nfs4 host:/new rw\n\
            24 20 8:2 /@home /home rw - btrfs /dev/sdb rw\n";
        let on = |path: &str| {
            let (mount, file_system) = holding(mounts, Path::new(path)).unwrap();
            format!("{file_system} on {mount}")
        };
        assert_eq!(on("/mnt/a b/c"), "tmpfs none on /mnt/a b");
        assert_eq!(on("/mnt/nfs"), "nfs4 host:/new on /mnt/nfs");
        assert_eq!(on("/mnt/nfsx"), "ext4 /dev/sda1 on /");
        assert_eq!(on("/home/x"), "btrfs /dev/sdb /@home on /home");
    }

    #[test]
    fn a_directory_that_is_not_there_has_the_place_where_it_would_be() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().display().to_string();
        let there = Place::of(&path).unwrap();
        let inside = Place::of(&format!("{path}/x/y")).unwrap();
        assert!(there.there && !inside.there);
        assert_eq!(there.describe(), inside.describe());
    }
}
