//! The port to the hypervisor: two verbs, [`Hypervisor::observe`] and [`Hypervisor::perform`].
//!
//! Behind it is libvirt ([`connection`]) or a model in memory ([`fake`]). The `virt` crate is used
//! in this folder and nowhere else.

mod addresses;
pub mod ahead;
mod aside;
mod bridge;
pub mod connection;
mod error;
pub mod fake;
pub mod files;
mod guest;
mod host;
mod hotplug;
mod install;
pub mod job;
pub mod keepalive;
mod kvm;
mod observe;
pub mod observed;
pub mod offers;
mod perform;
mod ranges;
mod raw;
mod replug;
mod ssh;
mod upload;

pub use addresses::Addresses;
pub use bridge::left_on_host;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::file::stamp::Stamp;
use crate::step::Step;
use observed::Observed;

/// A hypervisor that can be looked at and told what to do.
pub trait Hypervisor: Send + Sync {
    /// Reads what is there. Changes nothing.
    fn observe(&self, scope: &Scope) -> Result<Observed, HypervisorError>;

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

/// What [`Hypervisor::observe`] reads beyond all networks, pools and guests.
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

/// A disk's file or device, as a definition names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskFile {
    /// By its path.
    Path(String),
    /// By its pool and its name in that.
    Volume(String, String),
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
