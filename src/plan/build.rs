//! Makes a plan: one change for each resource of the lab and for each that the lab owns without defining it.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::context::{Marked, Options, Planner};
use super::off::Farewell;
use super::{
    Action, Change, Plan, Reason, bridges, cause, checks, foreign, guest, jobs, moved, network,
    off, order, overlay, record, reservations, saved, snapshots, storage, transient, unmanaged,
    users,
};
use crate::address::{Address, Kind, Name};
use crate::desired::moved::view;
use crate::desired::{Desired, Detail, Resource};
use crate::diagnostic::{Diagnostic, Severity};
use crate::libvirt::observed::Observed;
pub(super) use crate::libvirt::observed::owner;
use crate::state::{Entry, State};

/// Plans what makes the hypervisor hold what is desired. Pure: same input, same plan.
pub fn make(desired: &Desired, observed: &Observed, state: &State, options: &Options) -> Plan {
    let view = view(&desired.lab, &desired.moves, Some(observed), state);
    let mut planner = Planner::new(&desired.lab, observed, &view.state, options);
    planner.replace = replaced(desired, &options.replace);
    for resource in desired.resources.values() {
        let mut change = planner.resource(resource);
        transient::persist(&mut change, observed);
        cause::find(&mut change, planner.entry(&resource.address));
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
    moved::settle(&mut planner, desired, &view);
    planner.orphans(Some(Reason::Orphan));
    planner.finish(Some(desired), &view.moves, options)
}

/// Plans what is left of a plan that was carried out, if it was limited then to the same resources: nothing, where all was kept as it
/// was made. What was asked for once is done.
pub fn verify(
    desired: &Desired,
    observed: &Observed,
    state: &State,
    targets: &BTreeSet<Address>,
) -> Plan {
    let options = Options {
        targets: targets.clone(),
        ..Options::default()
    };
    make(desired, observed, state, &options)
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

impl<'a> Planner<'a> {
    fn resource(&mut self, resource: &Resource) -> Change {
        let address = &resource.address;
        let is_settled = || self.observed.settled.contains(address);
        // What libvirt wrote down of a disk does not go with another one in its place.
        let has_other_disk = || {
            let mut disks = resource
                .depends_on
                .iter()
                .filter_map(|it| self.changes.get(it));
            disks.any(|it| it.address.kind == Kind::Volume && overlay::makes_anew(it))
        };
        if !self.replaces(address) && is_settled() && !has_other_disk() {
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
                unmanaged::left(self, &recognised);
                orphans.clear();
                recognised.clear();
            }
            Marked::TakenOver => unmanaged::state(self, &recognised),
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
                    unmanaged::files(self, &address, &change);
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
        jobs::note(&mut self);
        snapshots::note(&mut self);
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
        for change in plan.changes.values_mut() {
            let before = self.state.resources.get(&change.address);
            record::while_made(change, before);
        }
        if !plan.edges.is_empty()
            && let Err(cycle) = plan.order()
        {
            plan.problems.push(
                Diagnostic::error(cycle.to_string())
                    .hint("apply in two runs: first take the old ones out of the definition, then add the new ones"),
            );
        }
        plan
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

#[cfg(test)]
mod tests;
