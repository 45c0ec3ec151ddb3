//! What was seen when all was as it should be: it spares looking closely at what is still the same.
//!
//! It is kept beside the state, as `.LAB.seen`, and can be lost without harm: then everything is looked at closely.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::file;
use crate::file::stamp::Stamp;
use crate::fingerprint::sha256;
use crate::lab::digest::Digests;

/// How many digits the sum has that stands before all else in the file.
const SUM: usize = 64;

/// What was seen at the end of the last apply.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cache {
    /// The program that saw it: another may look otherwise at the same.
    pub by: String,
    /// Fingerprints of texts that were read, and of resources together with what was seen of them, for which there was nothing to do.
    #[serde(default, alias = "prints")]
    pub fingerprints: HashSet<u64>,
    /// Volumes by pool and name, with the file and what libvirt said of it.
    pub volumes: BTreeMap<String, BTreeMap<String, CachedVolume>>,
    /// What images were made of.
    pub digests: Digests,
}

/// A volume's file and what libvirt said of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedVolume {
    /// The file as it was before libvirt was asked.
    pub stamp: Stamp,
    /// libvirt's XML.
    pub xml: String,
}

impl Cache {
    /// Whether a fingerprint was seen.
    pub fn has(&self, fingerprint: u64) -> bool {
        self.fingerprints.contains(&fingerprint)
    }

    /// Whether something else was seen, by whichever program.
    pub fn is_other(&self, other: &Self) -> bool {
        fn seen(seen: &Cache) -> impl PartialEq + use<'_> {
            (&seen.fingerprints, &seen.volumes, &seen.digests)
        }
        seen(self) != seen(other)
    }

    /// What libvirt said of a volume, where its file is still as it was then.
    pub fn volume(&self, pool: &str, name: &str, stamp: Option<Stamp>) -> Option<&str> {
        let seen = self.volumes.get(pool)?.get(name)?;
        (Some(seen.stamp) == stamp).then_some(seen.xml.as_str())
    }
}

/// What was kept; nothing where there is none and where it cannot be read. What another program saw of libvirt is left out. Fails
/// only where something else is in its place.
pub(super) fn load(path: &Path) -> io::Result<Cache> {
    let bytes = match file::read(path) {
        Err(error) if file::is_in_the_way(&error) => return Err(error),
        bytes => bytes.ok().flatten().unwrap_or_default(),
    };
    // What was flipped on the disk would hide a difference; it counts for nothing, and so does what a crash tore.
    let kept = bytes
        .split_at_checked(SUM)
        .filter(|(sum, json)| *sum == sha256(json).as_bytes())
        .and_then(|(_, json)| serde_json::from_slice::<Cache>(json).ok());
    let seen = kept.unwrap_or_default();
    Ok(match seen.by == program() {
        true => seen,
        false => Cache {
            digests: seen.digests,
            ..Cache::default()
        },
    })
}

/// Keeps what was seen; where that is nothing, takes the file away.
pub(super) fn save(path: &Path, mut seen: Cache) {
    if seen == Cache::default() {
        let _ = fs::remove_file(path);
        return;
    }
    seen.by = program();
    if let Ok(json) = serde_json::to_vec(&seen) {
        let bytes = [sha256(&json).as_bytes(), &json].concat();
        let _ = file::create(path).and_then(|mut file| file.write_all(&bytes));
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
    fn of_a_volume_whose_file_has_changed_nothing_is_known() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::thread::sleep(crate::file::stamp::TICK * 2);
        let stamp = Stamp::of(file.path().to_str().unwrap()).unwrap();
        let mut seen = Cache::default();
        let xml = "<volume/>".to_owned();
        let volumes = seen.volumes.entry("pool".into()).or_default();
        volumes.insert("v".into(), CachedVolume { stamp, xml });
        assert_eq!(seen.volume("pool", "v", Some(stamp)), Some("<volume/>"));
        fs::write(file.path(), "x").unwrap();
        std::thread::sleep(crate::file::stamp::TICK * 2);
        let changed = Stamp::of(file.path()).unwrap();
        assert_eq!(seen.volume("pool", "v", Some(changed)), None);
        assert_eq!(seen.volume("pool", "v", None), None);
        assert_eq!(seen.volume("other", "v", Some(stamp)), None);
    }
}
