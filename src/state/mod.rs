//! What a lab owns and what was last applied to it. The values are here, the files in [`store`].

pub mod cache;
mod document;
mod error;
mod file;
mod journal;
mod lock;
mod moved;
pub mod store;
#[cfg(test)]
mod tests;

pub use moved::Readdressing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::address::{Address, Kind, Name};
use cache::Cache;

/// The version of the format that this program reads and writes.
pub const FORMAT_VERSION: u32 = 1;

/// What a lab owns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Version of the format.
    pub version: u32,
    /// The lab.
    pub lab: Name,
    /// Where its objects are; `None` before the first apply.
    pub hypervisor: Option<HypervisorId>,
    /// What it owns.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resources: BTreeMap<Address, Entry>,
    /// What was seen when all was as it should be; no part of the state's file.
    #[serde(skip)]
    pub cache: Arc<Cache>,
}

/// Tells one hypervisor from another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HypervisorId {
    /// The URI at the last apply, for messages.
    pub uri: String,
    /// The host's UUID, which decides.
    pub host_uuid: Option<Uuid>,
}

/// One resource that a lab owns.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Name in libvirt.
    pub name: String,
    /// UUID in libvirt; volumes have none.
    pub uuid: Option<Uuid>,
    /// A volume's pool, by its name in libvirt.
    pub pool: Option<String>,
    /// That pool's UUID: another pool of its name is not the one that the volume is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool_uuid: Option<Uuid>,
    /// How far it is.
    pub status: Status,
    /// Never deleted by us.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep: bool,
    /// May not be deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prevent_destroy: bool,
    /// What an image was filled with: `sha256:…` where the definition gives it, else `blocks:…` ([`Method`](crate::file::content::Method)); of
    /// older versions `sha256:…` throughout, or `size:…` in bytes.
    #[serde(default)]
    pub content: Option<String>,
    /// We made the pool's directory.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub made_directory: bool,
    /// Where a pool's directory was: `ext4 /dev/sdb1 on /srv`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Seconds a guest's shutdown may take, for when its definition is gone.
    pub shutdown_timeout: Option<u64>,
    /// What it needs, so that deletion knows the order when the definition is gone.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub depends_on: BTreeSet<Address>,
    /// The XML that was last applied with success.
    pub applied: Option<Arc<str>>,
    /// The XML of attempts that were not finished: what of them is not wanted goes, as with `applied`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempted: Vec<Arc<str>>,
    /// What libvirt and others had put into the object beside that, when the last apply ended or it was taken over. Where that is
    /// not known, nothing tells what came later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Arc<str>>,
    /// What a guest that ran waited for with its next restart then, by name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub pending: BTreeSet<String>,
    /// A network or pool that came from another address, and has the name in libvirt that it had there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kept_name: bool,
    /// Whether a network, pool or guest was to run when it was applied last; unknown of what was only taken over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// Whether it was to start with the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autostart: Option<bool>,
    /// What of a guest the user wrote that is chosen where nobody writes it ([`crate::desired::Chosen::written`]): what is not
    /// written any more goes back to the default.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub written: BTreeSet<String>,
    /// The pool in which a guest's installer was put, until it is taken out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged: Option<String>,
}

/// How far a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Being created: it may be there, in part or not at all.
    Creating,
    /// Being changed.
    Changing,
    /// Being deleted.
    Deleting,
    /// As applied.
    Applied,
}

/// Whether the sums in the files have to be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sums {
    /// What is not as it was written is refused.
    Check,
    /// What someone changed by hand is taken, as far as it can be read.
    Ignore,
}

impl Entry {
    /// The entry of an object that is known by its mark alone.
    pub fn found(name: &str, uuid: Uuid) -> Self {
        Self {
            name: name.to_owned(),
            uuid: Some(uuid),
            pool: None,
            pool_uuid: None,
            status: Status::Applied,
            keep: false,
            prevent_destroy: false,
            content: None,
            made_directory: false,
            place: None,
            shutdown_timeout: None,
            depends_on: BTreeSet::new(),
            applied: None,
            attempted: Vec::new(),
            beside: None,
            pending: BTreeSet::new(),
            written: BTreeSet::new(),
            staged: None,
            kept_name: false,
            active: None,
            autostart: None,
        }
    }
}

impl State {
    /// The state of a lab that was never applied.
    pub fn new(lab: Name) -> Self {
        Self {
            version: FORMAT_VERSION,
            lab,
            hypervisor: None,
            resources: BTreeMap::new(),
            cache: Arc::default(),
        }
    }

    /// The state during a run of somebody else's: what was read before a look at the hypervisor, and after it. What the look saw is
    /// in one of them, since a run records what it will make before, and that something is gone after.
    pub fn with_earlier(mut self, before: &State) -> Self {
        fn object(entry: &Entry) -> (Option<Uuid>, Option<(&str, &str)>) {
            let volume = entry.pool.as_deref().map(|pool| (pool, &*entry.name));
            (entry.uuid, volume)
        }
        let known: BTreeSet<_> = self.resources.values().map(object).collect();
        // One that only got another address is not there twice.
        let gone: Vec<(Address, Entry)> = (before.resources.iter())
            .filter(|(address, _)| !self.resources.contains_key(address))
            .filter(|(_, entry)| !known.contains(&object(entry)))
            .map(|(address, entry)| (address.clone(), entry.clone()))
            .collect();
        self.resources.extend(gone);
        self.hypervisor = self.hypervisor.or_else(|| before.hypervisor.clone());
        // The look went by these.
        self.cache = before.cache.clone();
        self
    }

    /// Whether the lab owns the same, at the same place.
    pub fn owns_as(&self, other: &State) -> bool {
        (&self.hypervisor, &self.resources) == (&other.hypervisor, &other.resources)
    }

    /// What of it no run was at, neither now nor before, nor in between.
    pub fn left_alone_since(&self, before: &State) -> State {
        let is_alone = |address: &Address, entry: &mut Entry| {
            entry.status == Status::Applied && before.resources.get(address) == Some(entry)
        };
        let mut alone = self.clone();
        alone.resources.retain(is_alone);
        alone.cache = before.cache.clone();
        alone
    }

    /// Whether networks and pools, which others are on and in, are recorded alike in both.
    pub fn same_grounds(&self, other: &State) -> bool {
        fn grounds(state: &State) -> impl Iterator<Item = (&Address, &Entry)> {
            let all = state.resources.iter();
            all.filter(|(address, _)| matches!(address.kind, Kind::Network | Kind::Pool))
        }
        grounds(self).eq(grounds(other))
    }

    /// Forgets where the objects were once none is left, so that the lab can be applied elsewhere.
    fn settle_place(&mut self) {
        if self.resources.is_empty() {
            self.hypervisor = None;
        }
    }
}
