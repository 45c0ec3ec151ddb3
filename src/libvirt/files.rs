//! Which files on the hypervisor the paths of definitions lead to, and what each is an overlay of.
//!
//! A path can be spelt in many ways: by symbolic links, `..`, another mount or pool of the same directory. Where libvirt is on this
//! machine, a file is known by what it is; elsewhere by its path without what does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::file::header;
use crate::file::stamp::FileId;
use crate::xml::tree::Element;

/// The longest chain of overlays that is followed: QEMU's own limit is 200.
const LONGEST: usize = 200;

/// Which files paths lead to.
#[derive(Debug, Default)]
pub struct Files {
    ids: BTreeMap<String, FileId>,
    /// What each is an overlay of, by path.
    bases: BTreeMap<String, String>,
}

/// One file, however its path is spelt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum File {
    /// As this machine knows it.
    Id(FileId),
    /// By its path, without `.`, `..` and doubled slashes.
    Path(String),
}

impl Files {
    /// Looks at files on this machine, and at what they are overlays of; `bases` are known already.
    pub fn look(mut open: BTreeSet<String>, bases: BTreeMap<String, String>) -> Self {
        let mut files = Self::known(bases);
        while let Some(path) = open.pop_first() {
            let Some(id) = FileId::of(&path) else {
                continue;
            };
            if files.ids.insert(path.clone(), id).is_some() {
                continue;
            }
            if let Some(base) = header::base(Path::new(&path)) {
                files.bases.insert(path, base.clone());
                open.insert(base);
            }
        }
        files
    }

    /// Files of which it is only known what they are overlays of.
    pub fn known(bases: BTreeMap<String, String>) -> Self {
        Self {
            bases,
            ..Self::default()
        }
    }

    /// The file that a path leads to.
    pub fn file(&self, path: &str) -> File {
        match self.ids.get(path) {
            Some(id) => File::Id(*id),
            None => File::Path(canonical(path)),
        }
    }

    /// Which file a path leads to on this machine.
    pub fn id(&self, path: &str) -> Option<FileId> {
        self.ids.get(path).copied()
    }

    /// Whether two paths lead to one file.
    pub fn is_same(&self, one: &str, other: &str) -> bool {
        one == other || self.file(one) == self.file(other)
    }

    /// What a file is an overlay of, and what that is one of in turn.
    pub fn bases<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a str> {
        let base = |path: &&'a str| self.bases.get(*path).map(String::as_str);
        std::iter::successors(base(&path), base).take(LONGEST)
    }
}

/// The paths that a guest's definition names: disks and what they are based on or copied to, kernels, firmware, variables.
pub fn named_in(guest: &Element) -> impl Iterator<Item = &str> {
    let mut open: Vec<&Element> = ["os", "devices"]
        .into_iter()
        .filter_map(|part| guest.child(part))
        .collect();
    let mut found = Vec::new();
    while let Some(element) = open.pop() {
        let values = element.attributes.iter().map(|(_, value)| value.as_str());
        let paths = values.chain([element.text.as_str()]);
        found.extend(paths.filter(|path| path.starts_with('/')));
        open.extend(&element.children);
    }
    found.into_iter()
}

/// A path without what does not count in it.
fn canonical(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_known_however_it_is_spelt() {
        let files = Files::default();
        assert!(files.is_same("/a//b/./c", "/a/x/../b/c"));
        assert!(!files.is_same("/a/b", "/a/b2"));
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        std::fs::write(path("one"), "x").unwrap();
        std::os::unix::fs::symlink(path("one"), path("link")).unwrap();
        let ids = ["one", "link"].map(|name| (path(name), FileId::of(path(name)).unwrap()));
        let files = Files {
            ids: ids.into(),
            ..Files::default()
        };
        assert!(files.is_same(&path("one"), &path("link")));
    }

    #[test]
    fn a_chain_that_goes_in_a_circle_ends() {
        let base = |over: &str, base: &str| (over.to_owned(), base.to_owned());
        let files = Files {
            bases: [base("/a", "/b"), base("/b", "/a"), base("/c", "/d")].into(),
            ..Files::default()
        };
        assert_eq!(files.bases("/a").count(), LONGEST);
        assert_eq!(files.bases("/c").collect::<Vec<_>>(), ["/d"]);
    }
}
