//! The port to a hypervisor: what it is looked at for, and told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::observed::{Addresses, DiskFile, Facts, Observed};
use super::offers::{Offers, Question};
use crate::file::stamp::Stamp;
use crate::step::Step;

/// A hypervisor that can be looked at and told what to do.
pub trait Hypervisor: Observe + Perform {}

impl<T: Observe + Perform> Hypervisor for T {}

/// Reads what is there, and changes nothing.
pub trait Observe: Send + Sync {
    /// Its URI, as it gives it itself.
    fn uri(&self) -> Result<String, HypervisorError>;

    /// All that is in scope.
    fn observe(&self, scope: &Scope) -> Result<Observed, HypervisorError>;

    /// All networks and these guests once more; the rest is as it was observed.
    fn observe_again(
        &self,
        observed: &mut Observed,
        guests: &BTreeSet<String>,
    ) -> Result<(), HypervisorError>;

    /// What is under way on the disks of these guests, which costs a call for each disk. Gives whether anything is that was not
    /// known.
    fn observe_jobs(
        &self,
        observed: &mut Observed,
        guests: &BTreeSet<String>,
    ) -> Result<bool, HypervisorError>;

    /// What it has for such definitions, by their shape.
    fn offers(
        &self,
        facts: &Facts,
        questions: &BTreeMap<u64, Question>,
    ) -> Result<Offers, HypervisorError>;

    /// The addresses that are known of the NICs of these guests, by guest.
    fn addresses(
        &self,
        observed: &Observed,
        guests: &BTreeSet<&str>,
    ) -> BTreeMap<String, Addresses>;
}

/// Does what it is told.
pub trait Perform: Send + Sync {
    /// Does one step. May be called from several threads at once.
    fn perform(&self, step: &Step, monitor: &dyn Monitor) -> Result<Outcome, HypervisorError>;
}

/// Is told how a step goes on.
pub trait Monitor: Sync {
    /// Data is moved: bytes done, and all bytes.
    fn moved(&self, done: u64, total: u64);

    /// A guest that is waited for printed this line last.
    fn says(&self, line: &str);

    /// Whether a step that only waits, or fills a volume, is to be broken off. Nothing is left of a volume that is half full.
    fn is_interrupted(&self) -> bool;

    /// Is told before a pool's directory is made that it will be: once it is there, nothing but this record tells that it is
    /// ours to remove. Where the record fails, no directory is made.
    fn makes_directory(&self) -> Result<(), HypervisorError>;
}

/// A monitor for whom it may concern: nobody.
#[derive(Debug, Clone, Copy)]
pub struct Unwatched;

impl Monitor for Unwatched {
    fn moved(&self, _: u64, _: u64) {}

    fn says(&self, _: &str) {}

    fn is_interrupted(&self) -> bool {
        false
    }

    fn makes_directory(&self) -> Result<(), HypervisorError> {
        Ok(())
    }
}

/// What [`Observe::observe`] reads beyond all networks, pools and guests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Volumes to read, as pool and volume name in libvirt; in pools that are not there or not active they are absent.
    pub volumes: BTreeSet<(String, String)>,
    /// Where the directories of pools are that the lab has or had, by the pool's name in libvirt.
    pub directories: BTreeMap<String, String>,
    /// What guests have that was made by others, and whose format is to be found out.
    pub formats: BTreeSet<DiskFile>,
    /// Interfaces of the host of which it is asked whether they are there.
    pub interfaces: BTreeSet<String>,
    /// Whether all others in active pools are read, too.
    pub others: Others,
}

/// Whether volumes are read that were not asked for. It takes time, and only who deletes a volume has to know whether one of
/// them is based on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Others {
    /// They are not.
    #[default]
    Unread,
    /// They are, and pools of volumes that were asked for look at their files again first: tools put overlays beside a file
    /// without telling libvirt.
    Read,
}

/// What a step brought to light.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Something worth telling that is no failure, such as a guest that had to be stopped by force.
    pub note: Option<String>,
    /// What a volume was filled with.
    pub filled: Option<Filled>,
}

impl Outcome {
    /// Nothing but something worth telling.
    pub fn noted(note: impl Into<Option<String>>) -> Self {
        Self {
            note: note.into(),
            filled: None,
        }
    }
}

/// What a volume was filled with from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// The file.
    pub source: PathBuf,
    /// The file as it was before it was read, where that can be told.
    pub stamp: Option<Stamp>,
    /// What the volume holds now: `sha256:…` or `blocks:…`.
    pub content: String,
}

/// Why the hypervisor did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HypervisorError {
    /// What sort of failure it is.
    pub kind: ErrorKind,
    /// What was tried and libvirt's own message: a lowercase fragment that reads after "failed to …".
    pub message: String,
    /// How to mend it, where that is known.
    pub hint: Option<String>,
}

/// The failures that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// There is no connection, or it was lost.
    Connection,
    /// The object is not there.
    NotFound,
    /// An object of that name is there already.
    Exists,
    /// The user may not do this.
    Denied,
    /// The run was interrupted while the step only waited: nothing failed.
    Interrupted,
    /// Anything else.
    Failed,
}
