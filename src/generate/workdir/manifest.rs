//! What of a work directory is miniascape's: the paths it wrote, each with the hash of what it wrote.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::error::WorkDirError;
use crate::address::Name;
use crate::generate::RelativePath;

/// The manifest's name in the work directory.
pub const FILE: &str = ".miniascape-manifest.toml";

/// The version of the format that this program reads and writes.
const VERSION: u32 = 1;

/// What miniascape wrote into a work directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    version: u32,
    /// The lab that the files are of: another lab's are not taken for files that are not wanted any more.
    pub lab: Name,
    /// Directories that were made, to be removed once they are empty.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub directories: BTreeSet<RelativePath>,
    /// Files that were written, each with its SHA-256.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<RelativePath, String>,
    /// Files that are being written, each with the SHA-256 it will have. Only a run that was interrupted leaves any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pending: BTreeMap<RelativePath, String>,
}

/// The part of a manifest that every version has.
#[derive(Deserialize)]
struct Head {
    version: u32,
}

impl Manifest {
    /// The manifest of a directory that nothing was written into.
    pub fn new(lab: Name) -> Self {
        Self {
            version: VERSION,
            lab,
            directories: BTreeSet::new(),
            files: BTreeMap::new(),
            pending: BTreeMap::new(),
        }
    }

    /// Reads a manifest that was written for this lab.
    pub fn read(bytes: &[u8], lab: &Name) -> Result<Self, WorkDirError> {
        let damaged = |what: String| {
            WorkDirError::new(
                format!("{FILE} is not as miniascape wrote it: {what}"),
                "bring back the last good one, or remove it; files that are as they would be generated are then taken \
                 for miniascape's again, and those that are not are named",
            )
        };
        let text = std::str::from_utf8(bytes).map_err(|error| damaged(error.to_string()))?;
        let bad = |error: toml::de::Error| damaged(error.message().replace('\n', ", "));
        let head: Head = toml::from_str(text).map_err(bad)?;
        if head.version != VERSION {
            return Err(WorkDirError::new(
                format!(
                    "{FILE} has format version {}, and this miniascape reads {VERSION}",
                    head.version
                ),
                "use the miniascape that wrote it, or a newer one",
            ));
        }
        let manifest: Self = toml::from_str(text).map_err(bad)?;
        if manifest.lab != *lab {
            return Err(WorkDirError::new(
                format!(
                    "it holds the files of lab `{}`, not of `{lab}`",
                    manifest.lab
                ),
                "name another directory with `-w`, or remove this one",
            ));
        }
        Ok(manifest)
    }

    /// Writes a manifest: the same manifest gives the same bytes.
    pub fn write(&self) -> Result<String, WorkDirError> {
        let body = toml::to_string(self).map_err(|error| {
            WorkDirError::new(
                format!("{FILE} cannot be written as TOML: {error}"),
                "this is a bug in miniascape",
            )
        })?;
        Ok(format!(
            "# The files here that `miniascape generate` wrote, and removes when they are not wanted any more.\n\n{body}"
        ))
    }

    /// Whether something of this hash at the path is what miniascape wrote there.
    pub fn wrote(&self, path: &RelativePath, hash: &str) -> bool {
        [&self.files, &self.pending]
            .iter()
            .any(|hashes| hashes.get(path).is_some_and(|known| known == hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab(name: &str) -> Name {
        Name::new(name).unwrap()
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let mut manifest = Manifest::new(lab("shop"));
        let path = RelativePath::new("web 1/ks.cfg").unwrap();
        manifest.files.insert(path.clone(), "00ff".to_owned());
        manifest.directories.extend(path.parents());
        let text = manifest.write().unwrap();
        assert_eq!(
            text.lines().skip(2).collect::<Vec<_>>(),
            [
                "version = 1",
                "lab = \"shop\"",
                "directories = [\"web 1\"]",
                "",
                "[files]",
                "\"web 1/ks.cfg\" = \"00ff\"",
            ]
        );
        assert_eq!(
            Manifest::read(text.as_bytes(), &lab("shop")).unwrap(),
            manifest
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let read = |text: &str| Manifest::read(text.as_bytes(), &lab("shop")).unwrap_err();
        let error = read("version = 2\nlab = 'shop'\nnew = 1\n");
        assert!(error.what.contains("format version 2"), "{error}");
        let error = read("version = 1\nlab = 'other'\n");
        assert!(error.what.contains("of lab `other`"), "{error}");
        for damaged in [
            "",
            "version = 1",
            "<<<<<<< HEAD",
            "version = 1\nlab = 'shop'\n[files]\n'../../etc/passwd' = 'x'\n",
            "version = 1\nlab = 'shop'\ndirectories = ['/etc']\n",
        ] {
            let error = read(damaged);
            assert!(error.what.contains("not as miniascape wrote it"), "{error}");
        }
    }
}
