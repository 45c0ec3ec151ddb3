//! What the makers of the single changes share: the lab, what is there, the state, and what is planned so far.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use uuid::Uuid;

use super::Change;
use super::backing::Overlays;
use super::history::last_trees;
use super::off::Farewell;
use crate::address::Name;
use crate::address::{Address, Kind};
use crate::desired::Resource;
use crate::diagnostic::{Diagnostic, Diagnostics, Span};
use crate::libvirt::observed::{Observed, owner};
use crate::state::{Entry, State};
use crate::step::Named;
use crate::xml::document::Document;
use crate::xml::tree::Element;

/// What to do about objects that are the lab's by their mark alone.
pub(super) const WAY_OUT: &str = "another directory may have a lab of this name: work there, or give this one another `lab`. If this \
                                  lab's state was lost, bring it back, or have all that is marked taken over with `--take-over`; \
                                  `miniascape import --all` takes over what the definition names, volumes included";

/// What a plan is limited to.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// These resources, and what they depend on; all where it is empty.
    pub targets: BTreeSet<Address>,
    /// These are made anew, whether or not they differ; a guest with the disks that the lab makes for it.
    pub replace: BTreeSet<Address>,
    /// What becomes of guests that do not run with their definition yet.
    pub pending: PendingRestarts,
    /// What becomes of objects that carry the lab's mark and are not in its state.
    pub marked: Marked,
    /// How guests stop that `destroy` deletes.
    pub farewell: Farewell,
    /// Where the lab's state was looked for. It decides nothing: who wonders why an object is not the lab's is told.
    pub state_file: Option<PathBuf>,
}

/// What becomes of guests that do not run with their definition yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PendingRestarts {
    /// They are shown and run on.
    #[default]
    Wait,
    /// They are restarted, and what would be deferred is not.
    Make,
}

/// What becomes of objects that carry the lab's mark, or the UUID that is derived for it, and are not in its state. A lab of the same
/// name in another directory makes just such, and so does a lab whose state was lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Marked {
    /// They are shown, and stay as they are.
    #[default]
    Shown,
    /// They are the lab's.
    TakenOver,
}

/// What the makers of the single changes share.
pub(super) struct Planner<'a> {
    pub lab: &'a Name,
    pub observed: &'a Observed,
    pub state: &'a State,
    pub options: &'a Options,
    /// What is made anew in any case.
    pub replace: BTreeSet<Address>,
    /// What is over volumes; looked for where one is to go or to change.
    overlays: OnceCell<Overlays>,
    pub changes: BTreeMap<Address, Change>,
    pub problems: Diagnostics,
}

/// What stands under a resource's name or UUID.
pub(super) enum Found<'a, T> {
    /// Nothing.
    Absent,
    /// An object of ours.
    Ours(&'a T),
    /// An object of ours, under the name that it had before.
    Renamed(String, &'a T),
    /// Somebody else's object; the problem is noted.
    Foreign,
}

/// What ownership looks at, alike for networks, pools and guests.
pub(super) trait Object {
    fn uuid(&self) -> Uuid;
    fn xml(&self) -> &Document;
}

impl Object for crate::libvirt::observed::ObservedNetwork {
    fn uuid(&self) -> Uuid {
        self.uuid
    }
    fn xml(&self) -> &Document {
        &self.xml
    }
}

impl Object for crate::libvirt::observed::ObservedPool {
    fn uuid(&self) -> Uuid {
        self.uuid
    }
    fn xml(&self) -> &Document {
        &self.xml
    }
}

impl Object for crate::libvirt::observed::ObservedGuest {
    fn uuid(&self) -> Uuid {
        self.uuid
    }
    fn xml(&self) -> &Document {
        &self.xml
    }
}

impl<'a> Planner<'a> {
    pub fn new(
        lab: &'a Name,
        observed: &'a Observed,
        state: &'a State,
        options: &'a Options,
    ) -> Self {
        Self {
            lab,
            options,
            replace: BTreeSet::new(),
            overlays: OnceCell::new(),
            observed,
            state,
            changes: BTreeMap::new(),
            problems: Diagnostics::default(),
        }
    }

    /// Whether a resource is to be made anew in any case.
    pub fn replaces(&self, address: &Address) -> bool {
        self.replace.contains(address)
    }

    /// The overlays that guests have over a file, the uppermost first.
    pub fn overlays_over(&self, path: &str) -> Vec<&str> {
        let guests = || {
            self.state
                .resources
                .values()
                .filter_map(|entry| entry.uuid)
                .collect()
        };
        let overlays = || Overlays::of(self.observed, &guests());
        let overlays = self.overlays.get_or_init(overlays);
        overlays.over(&self.observed.paths, path)
    }

    /// What becomes of guests that do not run with their definition yet.
    pub fn pending_restarts(&self) -> PendingRestarts {
        self.options.pending
    }

    /// The state's entry for an address.
    pub fn entry(&self, address: &Address) -> Option<&'a Entry> {
        self.state.resources.get(address)
    }

    /// Finds the object of a resource among those of its kind and says whose it is.
    pub fn find<T: Object>(
        &mut self,
        resource: &Resource,
        uuid: Uuid,
        objects: &'a BTreeMap<String, T>,
    ) -> Found<'a, T> {
        let entry = self.entry(&resource.address);
        let is_known = entry.is_some() || self.options.marked == Marked::TakenOver;
        let is_ours = |object: &T| {
            let known = entry.and_then(|entry| entry.uuid) == Some(object.uuid())
                || (object.uuid() == uuid && self.is_unmoved(&resource.address, object));
            known && self.is_not_anothers(&object.xml().tree())
        };
        // With the state lost, the mark under the right name tells an adopted object, whose UUID is its own.
        let is_marked = |object: &T| {
            owner(&object.xml().tree()).is_some_and(|(lab, address)| {
                lab == self.lab.as_str() && address == resource.address.to_string()
            })
        };
        if let Some(object) = objects.get(&resource.name) {
            if is_ours(object) || is_marked(object) {
                return match is_known {
                    true => Found::Ours(object),
                    false => {
                        self.only_marked(&resource.address, &resource.name, resource.span);
                        Found::Foreign
                    }
                };
            }
            self.conflict(resource, owner(&object.xml().tree()));
            return Found::Foreign;
        }
        match objects.iter().find(|(_, object)| is_ours(object)) {
            Some((name, object)) if is_known => Found::Renamed(name.clone(), object),
            Some((name, _)) => {
                self.only_marked(&resource.address, name, resource.span);
                Found::Foreign
            }
            None => Found::Absent,
        }
    }

    /// Whether an object that has the UUID derived for an address was not moved to another one.
    fn is_unmoved<T: Object>(&self, address: &Address, object: &T) -> bool {
        let marked =
            owner(&object.xml().tree()).is_none_or(|(_, marked)| marked == address.to_string());
        let mut others = self.state.resources.iter();
        marked
            && !others.any(|(other, entry)| other != address && entry.uuid == Some(object.uuid()))
    }

    /// The UUID for an object that is made: the derived one, or where one that moved has that, another that is derived.
    pub fn fresh<T: Object>(
        &self,
        address: &Address,
        uuid: Uuid,
        objects: &BTreeMap<String, T>,
    ) -> Uuid {
        let taken = |uuid: Uuid| {
            let recorded = |(other, entry): (&Address, &Entry)| {
                other.kind == address.kind && other != address && entry.uuid == Some(uuid)
            };
            objects.values().any(|object| object.uuid() == uuid)
                || self.state.resources.iter().any(recorded)
        };
        let more = (2..).map(|number| address.another_uuid(self.lab, number));
        std::iter::once(uuid)
            .chain(more)
            .find(|uuid| !taken(*uuid))
            .unwrap_or(uuid)
    }

    /// The object that an entry speaks of, under its name or under one that it was given since.
    pub fn owned<T: Object>(
        &self,
        entry: &Entry,
        objects: &'a BTreeMap<String, T>,
    ) -> Option<(&'a str, &'a T)> {
        let is_it = |object: &T| {
            Some(object.uuid()) == entry.uuid && self.is_not_anothers(&object.xml().tree())
        };
        let named = objects.get_key_value(&entry.name);
        named
            .filter(|(_, object)| is_it(object))
            .or_else(|| objects.iter().find(|(_, object)| is_it(object)))
            .map(|(name, object)| (name.as_str(), object))
    }

    /// Whether no other lab has put its mark on an object: one that another lab adopted is left to it.
    pub fn is_not_anothers(&self, xml: &Element) -> bool {
        owner(xml).is_none_or(|(lab, _)| lab == self.lab.as_str())
    }

    /// A pool by its name: as it is, or as it will be, or was.
    pub fn pool(&self, name: &str) -> Named {
        let there = self.observed.pools.get(name).map(|pool| pool.uuid);
        let planned = || {
            let pools = self.changes.range(..Address::first(Kind::Image)).rev();
            let mut pools = pools.take_while(|(address, _)| address.kind == Kind::Pool);
            pools.find_map(|(_, change)| {
                change
                    .entry
                    .as_ref()
                    .filter(|entry| entry.name == name)?
                    .uuid
            })
        };
        let recorded = || self.recorded_pool(name)?.uuid;
        // Of what nobody knows there is none; should one come, it is another's.
        let uuid = there.or_else(planned).or_else(recorded).unwrap_or_default();
        Named::new(name, uuid)
    }

    /// Notes that an object which is not ours has the name that a resource wants.
    pub fn conflict(&mut self, resource: &Resource, owner: Option<(String, String)>) {
        let address = &resource.address;
        let anothers = owner.is_some();
        let whose = match owner {
            Some((lab, owner)) => format!("it is `{owner}` of lab `{lab}`"),
            None => "and this lab did not make it".to_owned(),
        };
        let way_out = match address.kind {
            _ if anothers => "give this one another `name`".to_owned(),
            Kind::Network | Kind::Pool => format!(
                "take it over with `miniascape import {address}`, use it as it is with `external: true`, or give this one another `name`"
            ),
            Kind::Reservations | Kind::Guest => format!(
                "take it over with `miniascape import {address}`, or give this one another `name`"
            ),
            Kind::Image | Kind::Volume => format!(
                "take it over with `miniascape import {address}`, or give this one another name or `pool`"
            ),
        };
        self.problems.push(
            Diagnostic::error(format!(
                "{} {} `{}` exists on {}, {whose}",
                if address.kind == Kind::Image {
                    "an"
                } else {
                    "a"
                },
                address.kind,
                resource.name,
                self.observed.facts.uri
            ))
            .at(resource.span)
            .label(format!("wanted by {address}"))
            .note(self.where_the_state_is().filter(|_| !anothers))
            .hint(way_out),
        );
    }

    /// Notes that an object which a resource would change is the lab's by its mark alone.
    pub fn only_marked(&mut self, address: &Address, name: &str, span: Option<Span>) {
        self.problems.push(
            Diagnostic::error(format!(
                "{} `{name}` on {} is marked as {address} of this lab, whose state does not know it",
                address.kind, self.observed.facts.uri
            ))
            .at(span)
            .note(self.where_the_state_is())
            .hint(WAY_OUT),
        );
    }

    /// Whether the pool of a volume is another one than it was made in, which only has its name.
    pub fn is_in_another_pool(&self, entry: &Entry) -> bool {
        let pool = entry.pool.as_deref().unwrap_or_default();
        self.is_another_pool(pool, entry.pool_uuid)
    }

    /// Whether a pool is another one than that of its name which the lab had, or which had a UUID; or is the same, and somebody put
    /// it over another directory.
    pub fn is_another_pool(&self, name: &str, uuid: Option<Uuid>) -> bool {
        let Some(there) = self.observed.pools.get(name) else {
            return false;
        };
        let Some(recorded) = self.recorded_pool(name) else {
            return uuid.is_some_and(|uuid| uuid != there.uuid);
        };
        let path = |xml: &Element| xml.text_at("target/path").map(str::to_owned);
        let here = path(&there.xml.tree());
        let last = last_trees(Some(recorded));
        recorded.uuid.is_some_and(|uuid| uuid != there.uuid)
            || !last.is_empty() && last.iter().all(|last| path(last) != here)
    }

    /// A pool of the lab's, by its name in libvirt.
    pub fn recorded_pool(&self, name: &str) -> Option<&'a Entry> {
        let pools = self
            .state
            .resources
            .range(..Address::first(Kind::Image))
            .rev();
        let mut pools = pools.take_while(|(address, _)| address.kind == Kind::Pool);
        pools
            .find(|(_, entry)| entry.name == name)
            .map(|(_, entry)| entry)
    }

    /// Says where it was looked up what the lab made: that a command runs in another directory than the last is why most
    /// objects seem to be others'.
    fn where_the_state_is(&self) -> Option<String> {
        let file = self.options.state_file.as_ref()?.display();
        let found = match self.state.hypervisor {
            Some(_) => "",
            None => ", which is not there",
        };
        Some(format!(
            "what this lab made is recorded in {file}{found}; with `--chdir` or `--state` it is looked up elsewhere"
        ))
    }

    /// Notes that a resource which may not be deleted would be.
    pub fn protected(&mut self, resource: &Address, what: &str, span: Option<Span>) {
        self.problems.push(
            Diagnostic::error(format!(
                "{resource} would be {what}, and `lifecycle.prevent_destroy` forbids it"
            ))
            .at(span)
            .hint("set `prevent_destroy: false`, apply that, and try again"),
        );
    }
}
