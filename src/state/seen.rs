//! What was seen when all was as it should be: it spares looking closely at what is still the same.
//!
//! It is kept beside the state, as `.LAB.seen`, and can be lost without harm: then everything is looked at closely.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// What was seen at the end of the last apply.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The program that saw it: another may look otherwise at the same.
    pub by: String,
    /// Prints of texts that were read, and of resources together with what was seen of them, for which there was nothing to do.
    pub prints: HashSet<u64>,
    /// Volumes by pool and name, with the file and what libvirt said of it.
    pub volumes: BTreeMap<String, BTreeMap<String, SeenVolume>>,
}

/// A volume's file and what libvirt said of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenVolume {
    /// The file as it was before libvirt was asked.
    pub stamp: Stamp,
    /// libvirt's XML.
    pub xml: String,
}

/// What changes with every change of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// Nanoseconds since 1970.
    modified: i64,
    changed: i64,
}

/// Two changes of a file can have one time within a tick of the kernel's clock, which is 10 ms at the most.
const TICK: Duration = Duration::from_millis(50);

impl Stamp {
    /// The stamp of a file on this machine; `None` where there is none that can be trusted: it is not there or may not be
    /// looked at, or it was changed this very moment.
    pub fn of(path: &str) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
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
}

impl Seen {
    /// Whether a print was seen.
    pub fn has(&self, print: u64) -> bool {
        self.prints.contains(&print)
    }

    /// Whether something else was seen, by whichever program.
    pub fn is_other(&self, other: &Self) -> bool {
        (&self.prints, &self.volumes) != (&other.prints, &other.volumes)
    }

    /// What libvirt said of a volume, where its file is still as it was then.
    pub fn volume(&self, pool: &str, name: &str, stamp: Option<Stamp>) -> Option<&str> {
        let seen = self.volumes.get(pool)?.get(name)?;
        (Some(seen.stamp) == stamp).then_some(seen.xml.as_str())
    }
}

/// What was kept; nothing where there is none, where it cannot be read, and where another program saw it.
pub(super) fn load(path: &Path) -> Seen {
    let kept = fs::read(path)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Seen>(&bytes).ok());
    kept.filter(|seen| seen.by == program()).unwrap_or_default()
}

/// Keeps what was seen; where that is nothing, takes the file away.
pub(super) fn save(path: &Path, mut seen: Seen) {
    if seen == Seen::default() {
        let _ = fs::remove_file(path);
        return;
    }
    seen.by = program();
    // Torn by a crash, it cannot be read, and is as good as none.
    if let Ok(bytes) = serde_json::to_vec(&seen) {
        let _ = fs::write(path, bytes);
    }
}

/// Names the program that runs: by its file, as the looks differ from build to build.
fn program() -> String {
    let file = std::env::current_exe()
        .and_then(fs::metadata)
        .and_then(|file| Ok((file.len(), file.modified()?)));
    format!("{} {:?}", env!("CARGO_PKG_VERSION"), file.ok())
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

    #[test]
    fn of_a_volume_whose_file_has_changed_nothing_is_known() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::thread::sleep(TICK * 2);
        let stamp = Stamp::of(file.path().to_str().unwrap()).unwrap();
        let mut seen = Seen::default();
        let xml = "<volume/>".to_owned();
        let volumes = seen.volumes.entry("pool".into()).or_default();
        volumes.insert("v".into(), SeenVolume { stamp, xml });
        assert_eq!(seen.volume("pool", "v", Some(stamp)), Some("<volume/>"));
        let changed = Stamp { size: 1, ..stamp };
        assert_eq!(seen.volume("pool", "v", Some(changed)), None);
        assert_eq!(seen.volume("pool", "v", None), None);
        assert_eq!(seen.volume("other", "v", Some(stamp)), None);
    }
}
