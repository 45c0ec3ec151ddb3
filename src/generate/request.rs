//! What is compiled, and for what.

use std::collections::BTreeSet;
use std::path::Path;

use super::workdir::Scope;
use crate::address::Name;
use crate::lab::model::Lab;
use crate::libvirt::observed::Observed;
use crate::template::Templates;

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

    pub(super) fn has(&self, guest: &Name) -> bool {
        match self {
            Self::All => true,
            Self::Guests(guests) => guests.contains(guest),
        }
    }
}
