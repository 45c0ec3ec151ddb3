//! Makes a plan: one change for each resource of the lab and for each that the lab owns without defining it.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use uuid::Uuid;

use super::off::Farewell;
use super::overlay::Overlays;
use super::step::Named;
use super::{
    Action, Change, Plan, Reason, author, bridges, checks, foreign, guest, jobs, lost, moved,
    network, off, order, overlay, reservations, saved, seen, snapshots, storage, transient, users,
};
use crate::address::{Address, Kind, Name};
use crate::desired::moved::view;
use crate::desired::{Desired, Detail, Resource};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, Span};
use crate::libvirt::observed::Observed;
pub(super) use crate::libvirt::observed::owner;
use crate::state::{Entry, State, Status};
use crate::xml::document::Document;
use crate::xml::merge::{Cause, Difference};
use crate::xml::tree::Element;

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

/// Plans what makes the hypervisor hold what is desired. Pure: same input, same plan.
pub fn make(desired: &Desired, observed: &Observed, state: &State, options: &Options) -> Plan {
    let view = view(&desired.lab, &desired.moves, Some(observed), state);
    let mut planner = Planner::new(&desired.lab, observed, &view.state, options);
    planner.replace = replaced(desired, &options.replace);
    for resource in desired.resources.values() {
        let mut change = planner.resource(resource);
        transient::persist(&mut change, observed);
        author::name(&mut change, planner.entry(&resource.address));
        planner.changes.insert(resource.address.clone(), change);
    }
    checks::externals(desired, observed, &mut planner.problems);
    checks::privileges(desired, observed, &mut planner.problems);
    checks::networks(desired, &mut planner);
    bridges::check(desired, &mut planner);
    checks::pools(desired, &mut planner);
    if options.marked == Marked::Shown {
        for address in &view.recognised {
            let name = desired.resources.get(address).map_or("", |it| &it.name);
            let span = desired.resources.get(address).and_then(|it| it.span);
            planner.only_marked(address, name, span);
        }
    }
    moved::tell(&mut planner, desired, &view);
    planner.orphans(Some(Reason::Orphan));
    planner.finish(Some(desired), &view.moves, options)
}

/// What is made anew where this was asked for: with a guest also its disks, but for those that are kept.
fn replaced(desired: &Desired, asked_for: &BTreeSet<Address>) -> BTreeSet<Address> {
    let is_asked_for = |guest: Name| asked_for.contains(&Address::guest(&guest));
    let disks = desired.resources.iter().filter(|(address, resource)| {
        let kept = matches!(resource.detail, Detail::Volume { keep: true, .. });
        !kept && address.disk().is_some_and(|(guest, _)| is_asked_for(guest))
    });
    let disks = disks.map(|(address, _)| address.clone());
    disks.chain(asked_for.iter().cloned()).collect()
}

/// Plans the deletion of all that the lab owns.
pub fn destroy(lab: &Name, observed: &Observed, state: &State, options: &Options) -> Plan {
    let mut planner = Planner::new(lab, observed, state, options);
    planner.orphans(None);
    planner.finish(None, &[], options)
}

/// What the makers of the single changes share.
pub(super) struct Planner<'a> {
    pub lab: &'a Name,
    pub observed: &'a Observed,
    pub state: &'a State,
    options: &'a Options,
    /// What is made anew in any case.
    replace: BTreeSet<Address>,
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

    fn resource(&mut self, resource: &Resource) -> Change {
        let address = &resource.address;
        let seen = || seen::print_of(resource, self.observed, self.state);
        let seen = || seen().is_some_and(|print| self.state.seen.has(print));
        // What libvirt wrote down of a disk does not go with another one in its place.
        let has_other_disk = || {
            let mut disks = resource
                .depends_on
                .iter()
                .filter_map(|it| self.changes.get(it));
            disks.any(|it| it.address.kind == Kind::Volume && overlay::makes_anew(it))
        };
        if !self.replaces(address) && seen() && !has_other_disk() {
            return Change::unchanged(address.clone(), self.entry(address).cloned());
        }
        let mut change = match &resource.detail {
            Detail::Network { uuid, autostart } => {
                network::change(self, resource, *uuid, *autostart)
            }
            Detail::Reservations => reservations::change(self, resource),
            Detail::Pool { uuid, autostart } => {
                storage::pool::change(self, resource, *uuid, *autostart)
            }
            Detail::Image { .. } => storage::image(self, resource),
            Detail::Volume { .. } => storage::volume(self, resource),
            Detail::Guest { .. } => guest::change(self, resource),
        };
        self.take_note(&mut change);
        change
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
            .hint(lost::WAY_OUT),
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

    /// Has the state learn what an object has beside its definition, where nothing is done about the object. What is changed is
    /// looked at when that is done.
    fn take_note(&self, change: &mut Change) {
        let is_still = change.action == Action::None && change.steps.is_empty();
        if let Some(entry) = change.entry.take_if(|_| is_still) {
            let mut entry = foreign::looked_at(self, &change.address, entry);
            let pending = change.pending.iter().map(|it| it.name.clone());
            entry.pending = pending.collect();
            change.entry = Some(entry);
        }
    }

    /// Deletes what the lab owns and does not define: by the state, and by the mark where the state does not know.
    fn orphans(&mut self, reason: Option<Reason>) {
        let recorded = &self.state.resources;
        let uuids: BTreeSet<Uuid> = recorded.values().filter_map(|e| e.uuid).collect();
        let mut orphans: BTreeMap<Address, Entry> = BTreeMap::new();
        let mut recognised = BTreeSet::new();
        for (address, entry) in self.marked() {
            // A run that died may have left the mark of an address where it no longer is.
            let known = entry.uuid.is_some_and(|uuid| uuids.contains(&uuid));
            if !known && !recorded.contains_key(&address) {
                recognised.insert(address.clone());
                orphans.insert(address, entry);
            }
        }
        match self.options.marked {
            Marked::Shown => {
                lost::left(self, &recognised);
                orphans.clear();
                recognised.clear();
            }
            Marked::TakenOver => lost::state(self, &recognised),
        }
        orphans.retain(|address, _| !self.changes.contains_key(address));
        let recorded = recorded.iter();
        let left = recorded.filter(|(address, _)| !self.changes.contains_key(address));
        orphans.extend(left.map(|(address, entry)| (address.clone(), entry.clone())));
        let mut out_of_reach: BTreeSet<Address> = orphans
            .iter()
            .filter(|(_, entry)| self.is_in_another_pool(entry))
            .map(|(address, _)| address.clone())
            .collect();
        for address in &out_of_reach {
            let problem = storage::elsewhere(address, &orphans[address], Severity::Warning);
            self.problems.push(problem);
        }
        let others = orphans
            .iter()
            .filter(|(address, _)| !out_of_reach.contains(*address))
            .collect();
        out_of_reach.extend(storage::sight::out_of_sight(self, others, reason));
        let kept = kept(&orphans, &out_of_reach);
        for (address, entry) in orphans {
            let change = if kept.contains(&address) {
                Change::unchanged(address.clone(), Some(entry))
            } else {
                let change = self.delete(&address, &entry, reason);
                if recognised.contains(&address) {
                    lost::files(self, &address, &change);
                }
                change
            };
            self.changes.insert(address, change);
        }
    }

    fn delete(&mut self, address: &Address, entry: &Entry, reason: Option<Reason>) -> Change {
        let mut change = match address.kind {
            Kind::Network => network::delete(self, address, entry),
            Kind::Reservations => reservations::delete(self, address, entry),
            Kind::Pool => storage::pool::delete(self, address, entry),
            Kind::Image | Kind::Volume => storage::delete_volume(self, address, entry),
            Kind::Guest => guest::delete(self, address, entry),
        };
        transient::persist(&mut change, self.observed);
        change.reason = reason;
        if change.action == Action::Delete && entry.prevent_destroy {
            self.protected(address, "deleted", None);
        }
        change
    }

    /// Guests and networks that carry this lab's mark, and pools, with what can be known of them without a state.
    fn marked(&self) -> Vec<(Address, Entry)> {
        let entries = self.state.resources.values();
        let known: BTreeSet<Uuid> = entries.filter_map(|entry| entry.uuid).collect();
        let networks = self.observed.networks.iter();
        let guests = self.observed.guests.iter();
        // Pools carry no mark, but the UUID proves those whose name is that in the lab.
        let pools = self.observed.pools.iter().filter_map(|(name, pool)| {
            let address = Address::pool(&Name::new(name).ok()?);
            let derived = address.uuid(self.lab) == pool.uuid;
            derived.then(|| (address, Entry::found(name, pool.uuid)))
        });
        networks
            .map(|(name, network)| (name, network.uuid, &network.xml))
            .chain(guests.map(|(name, guest)| (name, guest.uuid, &guest.xml)))
            // What the state knows needs no mark.
            .filter(|(_, uuid, _)| !known.contains(uuid))
            .filter_map(|(name, uuid, xml)| {
                let (lab, address) = owner(&xml.tree())?;
                let address: Address = address.parse().ok()?;
                // The mark of a copy, as `virt-clone` makes them, proves nothing: the UUID does.
                let derived = lab == self.lab.as_str() && address.uuid(self.lab) == uuid;
                derived.then(|| (address, Entry::found(name, uuid)))
            })
            .chain(pools)
            .collect()
    }

    fn finish(
        mut self,
        desired: Option<&Desired>,
        moves: &[(Address, Address)],
        options: &Options,
    ) -> Plan {
        storage::trial::left(&mut self);
        users::check(&mut self);
        saved::discard(&mut self, desired);
        let does_nothing = |change: &Change| {
            !change.is_shown() && change.steps.is_empty() && change.quiesce.is_empty()
        };
        // What does nothing needs no order, which takes a while to find in a large lab.
        let edges = match self.changes.values().all(does_nothing) {
            true => BTreeSet::new(),
            false => {
                let handovers = desired.map(|desired| moved::handovers(desired, moves));
                order::edges(&mut self, desired, handovers.unwrap_or_default())
            }
        };
        checks::definitions(&mut self);
        jobs::tell(&mut self);
        snapshots::tell(&mut self);
        let mut plan = Plan {
            lab: self.lab.clone(),
            uri: self.observed.facts.uri.clone(),
            changes: self.changes,
            moves: moves.to_vec(),
            edges,
            problems: self.problems,
        };
        if !options.targets.is_empty() {
            order::limit(&mut plan, &options.targets);
        }
        if desired.is_none() && options.farewell == Farewell::ByWhatStays {
            off::at_once(&mut plan, self.observed);
        }
        jobs::check(&mut plan, desired, self.observed);
        if !plan.edges.is_empty()
            && let Err(cycle) = crate::graph::order(&plan)
        {
            plan.problems.push(
                Diagnostic::error(cycle.to_string())
                    .hint("apply in two runs: first take the old ones out of the definition, then add the new ones"),
            );
        }
        plan
    }
}

/// What stays when all of these go: volumes that are kept or cannot be reached, and the pools and images that they cannot be without.
fn kept(orphans: &BTreeMap<Address, Entry>, out_of_reach: &BTreeSet<Address>) -> BTreeSet<Address> {
    let mut kept: BTreeSet<Address> = BTreeSet::new();
    let mut open: Vec<&Address> = orphans
        .iter()
        .filter(|(address, entry)| entry.keep || out_of_reach.contains(address))
        .map(|(address, _)| address)
        .collect();
    while let Some(address) = open.pop() {
        if kept.insert(address.clone()) {
            open.extend(orphans.get(address).iter().flat_map(|e| &e.depends_on));
        }
    }
    kept
}

/// Whether a pool is where it was when it was applied last: the directory that we made is the one there.
fn same_path(old: &Entry, xml: &Element) -> bool {
    last_trees(Some(old))
        .iter()
        .all(|last| last.text_at("target/path") == xml.text_at("target/path"))
}

/// The trees that may have been applied: the last with success, and attempts that were not finished.
pub(super) fn last_trees(entry: Option<&Entry>) -> Vec<Element> {
    entry
        .into_iter()
        .flat_map(|entry| entry.applied.iter().chain(&entry.attempted))
        .filter_map(|text| Element::parse(text).ok())
        .collect()
}

/// Why an object is changed, as far as the differences and the state tell.
pub(super) fn reason(entry: Option<&Entry>, differences: &[Difference]) -> Option<Reason> {
    if entry.is_some_and(|entry| entry.status != Status::Applied) {
        return Some(Reason::Unfinished);
    }
    let mut told = differences
        .iter()
        .filter(|difference| !difference.is_new_mark())
        .peekable();
    let drift = told.peek().is_some() && told.all(|d| d.cause == Cause::Drift);
    drift.then_some(Reason::Drift)
}

/// Why an object that is not there is made.
pub(super) fn reason_to_create(entry: Option<&Entry>) -> Option<Reason> {
    match entry?.status {
        Status::Applied | Status::Changing => Some(Reason::Missing),
        Status::Creating => Some(Reason::Unfinished),
        Status::Deleting => None,
    }
}

#[cfg(test)]
mod tests;
