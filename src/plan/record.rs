//! What the state records of a resource once it is applied.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::context::Planner;
use super::history::last_trees;
use super::storage;
use crate::desired::{Detail, Resource};
use crate::state::{Entry, Status};
use crate::xml::tree::Element;

impl Planner<'_> {
    /// The entry that the state holds once a resource is applied.
    pub fn applied(&self, resource: &Resource, uuid: Option<Uuid>, xml: &Element) -> Entry {
        let old = self.entry(&resource.address);
        let keep = match &resource.detail {
            Detail::Volume { keep, .. } => *keep,
            Detail::Network { .. }
            | Detail::Reservations
            | Detail::Pool { .. }
            | Detail::Image { .. }
            | Detail::Guest { .. } => false,
        };
        let shutdown_timeout = match &resource.detail {
            Detail::Guest {
                shutdown_timeout, ..
            } => Some(*shutdown_timeout),
            Detail::Network { .. }
            | Detail::Reservations
            | Detail::Pool { .. }
            | Detail::Image { .. }
            | Detail::Volume { .. } => None,
        };
        let switches = match &resource.detail {
            Detail::Network { autostart, .. } | Detail::Pool { autostart, .. } => {
                Some((true, *autostart))
            }
            Detail::Guest {
                autostart, running, ..
            } => Some((*running, *autostart)),
            Detail::Reservations | Detail::Image { .. } | Detail::Volume { .. } => None,
        };
        let written = match &resource.detail {
            Detail::Guest { chosen, .. } => chosen.written(xml),
            Detail::Network { .. }
            | Detail::Reservations
            | Detail::Pool { .. }
            | Detail::Image { .. }
            | Detail::Volume { .. } => BTreeSet::new(),
        };
        Entry {
            name: resource.name.clone(),
            uuid,
            pool: resource.pool().map(str::to_owned),
            pool_uuid: resource.pool().map(|pool| self.pool(pool).uuid),
            status: Status::Applied,
            keep,
            prevent_destroy: resource.lifecycle.prevent_destroy,
            content: storage::content(&resource.detail),
            made_directory: old.is_some_and(|old| old.made_directory && same_path(old, xml)),
            place: storage::sight::place(self, resource),
            shutdown_timeout,
            depends_on: resource.depends_on.clone(),
            applied: Some(xml.to_string().into()),
            attempted: Vec::new(),
            beside: None,
            pending: BTreeSet::new(),
            written,
            staged: None,
            kept_name: old.is_some_and(|old| old.kept_name && old.name == resource.name),
            active: switches.map(|(active, _)| active),
            autostart: switches.map(|(_, autostart)| autostart),
        }
    }
}

/// Whether a pool is where it was when it was applied last: the directory that we made is the one there.
fn same_path(old: &Entry, xml: &Element) -> bool {
    last_trees(Some(old))
        .iter()
        .all(|last| last.text_at("target/path") == xml.text_at("target/path"))
}
