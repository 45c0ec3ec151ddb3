//! The files so far, and what is wrong with them.

use std::collections::BTreeSet;
use std::collections::btree_map::Entry;

use super::files::{Files, GeneratedFile, mode_of};
use super::path::RelativePath;
use crate::address::{Address, Name};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::lab::model::Lab;

/// The files so far, and what is wrong with them.
pub(super) struct Output<'a> {
    pub lab: &'a Lab,
    pub files: Files,
    pub problems: Diagnostics,
}

impl Output<'_> {
    /// Adds a text.
    pub fn text(&mut self, of: &Address, path: String, text: String) {
        let mode = mode_of(&text);
        self.add(of, path, text.into_bytes(), mode);
    }

    /// Adds the files that set the host up, beside the definitions of networks and pools; gives those that are there already.
    pub fn host(&mut self, files: Files) -> Vec<RelativePath> {
        let mut twice = Vec::new();
        for (path, file) in files {
            match self.files.entry(path) {
                Entry::Vacant(place) => drop(place.insert(file)),
                Entry::Occupied(place) => twice.push(place.key().clone()),
            }
        }
        twice
    }

    /// Adds a file, once.
    pub fn add(&mut self, of: &Address, path: String, bytes: Vec<u8>, mode: u32) {
        let path = match RelativePath::new(path) {
            Ok(path) => path,
            Err(error) => {
                let problem =
                    Diagnostic::error(format!("{of} gives a file that cannot be: {error}"));
                return self.report(of, problem.hint("give it another `dst`"));
            }
        };
        if self.files.contains_key(&path) {
            let problem = Diagnostic::error(format!("two files are written to {path}"));
            return self.report(
                of,
                problem.hint("give the one in `templates` another `dst`"),
            );
        }
        self.files.insert(path, GeneratedFile { bytes, mode });
    }

    pub fn report(&mut self, of: &Address, problem: Diagnostic) {
        self.problems
            .push(problem.at(self.lab.places.get(of).copied()));
    }

    /// Reports files that lie where others need a directory.
    pub fn check(&mut self) {
        let clashes: BTreeSet<RelativePath> = self
            .files
            .keys()
            .flat_map(RelativePath::parents)
            .filter(|parent| self.files.contains_key(parent))
            .collect();
        for path in clashes {
            let guest = Name::new(path.top()).ok();
            let place = guest.and_then(|guest| self.lab.places.get(&Address::guest(&guest)));
            self.problems.push(
                Diagnostic::error(format!("{path} is to be a file and a directory"))
                    .at(place.copied())
                    .hint("give the one in `templates` another `dst`"),
            );
        }
    }
}
