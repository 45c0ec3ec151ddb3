//! Compiles a lab into files that a host without miniascape can use.
//!
//! A lab and its templates give [`Files`]: the definitions that `apply` would give to libvirt, and scripts that give them
//! to it with `virsh` and `virt-install`. Nothing here looks at a hypervisor or writes; only [`workdir`] does I/O.

mod guest;
pub mod host;
pub mod path;
mod virt_install;
mod vmbuild;
pub mod workdir;

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::path::Path;

use minijinja::Value;

use crate::address::{Address, Kind, Name};
use crate::desired::contexts::Contexts;
use crate::desired::{self, Desired};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::lab::HOST;
use crate::lab::model::{Guest, Lab};
use crate::libvirt::observed::Observed;
use crate::plan::unfit;
use crate::secret;
use crate::template::Templates;

use host::HostError;
pub use path::RelativePath;
use workdir::Scope;

/// A file as it should be in the work directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedFile {
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Its permissions, from which the umask takes away.
    pub mode: u32,
}

/// All files, by their place in the work directory.
pub type Files = BTreeMap<RelativePath, GeneratedFile>;

/// What is compiled, and for what.
#[derive(Debug)]
pub struct Request<'a> {
    /// The lab.
    pub lab: &'a Lab,
    /// Its templates.
    pub templates: &'a Templates,
    /// What is assumed of the hypervisor.
    pub assumed: &'a Observed,
    /// The lab's directory as an absolute path. Scripts name what is in it relative to it, so that the same lab elsewhere
    /// gives the same files.
    pub root: &'a Path,
    /// For whom.
    pub selection: Selection,
}

/// For whom is compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// The host and all guests.
    All,
    /// These guests, and nothing for the host.
    Guests(BTreeSet<Name>),
}

impl Selection {
    /// The part of the work directory that is written.
    pub fn scope(&self) -> Scope {
        match self {
            Self::All => Scope::All,
            Self::Guests(guests) => Scope::Only(guests.iter().map(ToString::to_string).collect()),
        }
    }

    fn has(&self, guest: &Name) -> bool {
        match self {
            Self::All => true,
            Self::Guests(guests) => guests.contains(guest),
        }
    }
}

/// Compiles. The files are whole only where there is no error among the problems; they come all at once.
pub fn files(request: &Request<'_>) -> (Files, Diagnostics) {
    let (desired, mut problems) = desired::build(request.lab, request.assumed, request.templates);
    problems.extend(unfit::anywhere(&desired, &request.lab.places));
    let mut output = Output {
        lab: request.lab,
        files: Files::new(),
        problems,
    };
    if output.problems.has_errors() {
        return (output.files, output.problems);
    }
    let contexts = Contexts::new(request.lab);
    match request.selection {
        Selection::All => {
            host(&desired, &mut output);
            match host::files(&contexts, request.templates) {
                Ok(files) => output.host(files),
                Err(error) => output.problems.push(error.into()),
            }
        }
        Selection::Guests(_) => {}
    }
    for guest in request.lab.guests.values() {
        if request.selection.has(&guest.key) {
            guest::files(request, &desired, &contexts, guest, &mut output);
        }
    }
    output.check();
    (output.files, output.problems)
}

/// What templates see: for a guest all that any template of its sees, without one what the host's see. `dst` is where the
/// text goes.
pub fn context(request: &Request<'_>, guest: Option<&Guest>, dst: &str) -> (Value, Diagnostics) {
    let contexts = Contexts::new(request.lab);
    let Some(guest) = guest else {
        return (contexts.host(dst, Vec::new()), Diagnostics::default());
    };
    let (desired, mut problems) = desired::build(request.lab, request.assumed, request.templates);
    let context = guest::context(request, &desired, &contexts, guest, dst);
    let context = context.unwrap_or_else(|problem| {
        let place = request.lab.places.get(&Address::guest(&guest.key));
        problems.push(problem.at(place.copied()));
        Value::default()
    });
    (context, problems)
}

/// The definitions of networks and pools.
fn host(desired: &Desired, output: &mut Output<'_>) {
    for (address, resource) in &desired.resources {
        let directory = match address.kind {
            Kind::Network => "networks",
            Kind::Pool => "pools",
            Kind::Reservations | Kind::Image | Kind::Volume | Kind::Guest => continue,
        };
        let path = format!("{HOST}/{directory}/{}.xml", address.name);
        output.text(address, path, resource.xml.tree().to_string());
    }
}

/// Permissions of what everyone may read.
const PLAIN: u32 = 0o644;
/// Permissions of what is run.
const PROGRAM: u32 = 0o755;
/// Permissions of what may hold the hashes of passwords.
const SECRET: u32 = 0o600;
/// What of permissions is the owner's.
const OWNERS: u32 = 0o700;

/// The permissions of a text: everyone may read it, or run it where it begins with `#!`; one with a password is its owner's alone.
fn mode_of(text: &str) -> u32 {
    match (text.starts_with("#!"), secret::is_in(text)) {
        (true, false) => PROGRAM,
        (true, true) => PROGRAM & OWNERS,
        (false, false) => PLAIN,
        (false, true) => SECRET,
    }
}

/// The files so far, and what is wrong with them.
struct Output<'a> {
    lab: &'a Lab,
    files: Files,
    problems: Diagnostics,
}

impl Output<'_> {
    /// Adds a text.
    fn text(&mut self, of: &Address, path: String, text: String) {
        let mode = mode_of(&text);
        self.add(of, path, text.into_bytes(), mode);
    }

    /// Adds the files that set the host up, beside the definitions of networks and pools.
    fn host(&mut self, files: Files) {
        for (path, file) in files {
            match self.files.entry(path) {
                Entry::Vacant(place) => drop(place.insert(file)),
                Entry::Occupied(place) => {
                    let twice = HostError::Twice(place.key().clone());
                    self.problems.push(twice.into());
                }
            }
        }
    }

    /// Adds a file, once.
    fn add(&mut self, of: &Address, path: String, bytes: Vec<u8>, mode: u32) {
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

    fn report(&mut self, of: &Address, problem: Diagnostic) {
        self.problems
            .push(problem.at(self.lab.places.get(of).copied()));
    }

    /// Reports files that lie where others need a directory.
    fn check(&mut self) {
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
