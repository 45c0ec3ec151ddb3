//! What waits for what: the edges of a plan's graph.
//!
//! - What is made or changed waits for what it depends on.
//! - What is deleted waits for all that depended on it, as the state remembers.
//! - A guest whose dependency is replaced is shut down before that and started after it.
//! - A network whose addresses an orphan still holds waits until that is gone.

use std::collections::{BTreeMap, BTreeSet};

use super::build::Planner;
use super::step::Step;
use super::{Action, Change, Node, Phase, Plan, checks, guest};
use crate::address::{Address, Kind};
use crate::desired::{Desired, Detail};

/// The edges of all changes. Guests that have to be quiesced for a replacement get their steps here.
pub(super) fn edges(
    planner: &mut Planner<'_>,
    desired: Option<&Desired>,
    more: Vec<(Node, Node)>,
) -> BTreeSet<(Node, Node)> {
    let wanted = wanted_dependencies(desired);
    let last = last_dependencies(planner);
    quiesce_guests(planner, desired, &wanted);

    let mut edges = BTreeSet::new();
    for (address, dependencies) in &wanted {
        for dependency in dependencies {
            edges.insert((main(dependency), main(address)));
            edges.insert((quiesced(address), main(dependency)));
        }
    }
    for address in planner.changes.keys() {
        edges.insert((quiesced(address), main(address)));
    }
    for (dependent, dependencies) in &last {
        for address in dependencies.iter().filter(|address| *address != dependent) {
            let Some(change) = planner.changes.get(address) else {
                continue;
            };
            let replaced_under = change.action == Action::Replace
                && planner.changes.get(dependent).is_some_and(is_removed);
            if is_removed(change) || replaced_under {
                edges.insert((main(dependent), main(address)));
            }
        }
    }
    edges.extend(successions(planner));
    edges.extend(more);
    // Nodes that do nothing and nothing passes through are no use; those of changes stay, so that order passes on.
    edges.retain(|(before, after)| {
        planner.changes.contains_key(&before.address)
            && planner.changes.contains_key(&after.address)
            && (before.phase == Phase::Main || has_quiesce(planner, before))
    });
    edges
}

fn main(address: &Address) -> Node {
    Node {
        address: address.clone(),
        phase: Phase::Main,
    }
}

fn quiesced(address: &Address) -> Node {
    Node {
        address: address.clone(),
        phase: Phase::Quiesce,
    }
}

fn has_quiesce(planner: &Planner<'_>, node: &Node) -> bool {
    planner
        .changes
        .get(&node.address)
        .is_some_and(|change| !change.quiesce.is_empty())
}

fn is_removed(change: &Change) -> bool {
    match change.action {
        Action::Delete | Action::Forget => true,
        Action::None | Action::Create | Action::Update | Action::Replace => false,
    }
}

fn wanted_dependencies(desired: Option<&Desired>) -> BTreeMap<Address, BTreeSet<Address>> {
    desired
        .into_iter()
        .flat_map(|desired| desired.resources.values())
        .map(|resource| (resource.address.clone(), resource.depends_on.clone()))
        .collect()
}

/// What each resource depended on when it was applied last. Without a record a guest is taken to depend on every network
/// and volume, and a volume on every image and pool.
fn last_dependencies(planner: &Planner<'_>) -> BTreeMap<Address, BTreeSet<Address>> {
    planner
        .changes
        .keys()
        .map(|address| {
            let known = planner.entry(address).map(|entry| entry.depends_on.clone());
            let assumed = || {
                planner
                    .changes
                    .keys()
                    .filter(|other| other.kind < address.kind && address.kind == Kind::Guest)
                    .cloned()
                    .collect()
            };
            (address.clone(), known.unwrap_or_else(assumed))
        })
        .collect()
}

fn quiesce_guests(
    planner: &mut Planner<'_>,
    desired: Option<&Desired>,
    wanted: &BTreeMap<Address, BTreeSet<Address>>,
) {
    let replaced: BTreeSet<&Address> = planner
        .changes
        .values()
        .filter(|change| change.action == Action::Replace && change.address.kind != Kind::Guest)
        .map(|change| &change.address)
        .collect();
    let resources = desired.into_iter().flat_map(|d| d.resources.values());
    let concerned: Vec<(Address, String, u64)> = resources
        .filter_map(|resource| match &resource.detail {
            Detail::Guest {
                shutdown_timeout, ..
            } => Some((resource, *shutdown_timeout)),
            Detail::Network { .. }
            | Detail::Pool { .. }
            | Detail::Image { .. }
            | Detail::Volume { .. } => None,
        })
        .filter(|(resource, _)| {
            let depends = wanted.get(&resource.address);
            depends.is_some_and(|set| set.iter().any(|d| replaced.contains(d)))
        })
        .filter_map(|(resource, timeout)| {
            // One that is to have another name still runs under the old one.
            let entry = planner.entry(&resource.address);
            let name = entry.map_or(&resource.name, |entry| &entry.name);
            let live = planner.observed.guests.get(name);
            live.filter(|live| live.power.is_active())?;
            Some((resource.address.clone(), name.clone(), timeout))
        })
        .collect();
    for (address, name, timeout) in concerned {
        let Some(change) = planner.changes.get_mut(&address) else {
            continue;
        };
        let shuts_down = |step: &Step| matches!(step, Step::ShutdownGuest { .. });
        let concerned = match change.action {
            Action::None | Action::Update => true,
            Action::Replace => change.steps.iter().any(shuts_down),
            Action::Create | Action::Delete | Action::Forget => false,
        };
        if concerned {
            guest::quiesce(change, &name, timeout);
            grow_offline(planner, &name);
        }
    }
}

/// Disks of a guest that is shut down before they grow are not grown through it.
fn grow_offline(planner: &mut Planner<'_>, name: &str) {
    let steps = planner.changes.values_mut().flat_map(|c| &mut c.steps);
    for step in steps {
        if let Step::GrowVolume { guest, .. } = step
            && guest.as_ref().is_some_and(|(user, _)| user == name)
        {
            *guest = None;
        }
    }
}

/// New networks wait for old ones of ours that hold the same addresses or bridge, new pools for those of the same path.
fn successions(planner: &Planner<'_>) -> Vec<(Node, Node)> {
    let leaving = || planner.changes.values().filter(|c| is_removed(c));
    let coming = || {
        planner
            .changes
            .values()
            .filter(|c| c.action == Action::Create)
    };
    let clash = |old: &Change, new: &Change| -> bool {
        let (Some(before), Some(after)) = (&old.before_xml, &new.after_xml) else {
            return false;
        };
        if old.address.kind != new.address.kind {
            return false;
        }
        match old.address.kind {
            Kind::Network => {
                !checks::overlaps(&checks::subnets(before), &checks::subnets(after)).is_empty()
            }
            Kind::Pool => before.text_at("target/path") == after.text_at("target/path"),
            Kind::Guest => before.text_at("name") == after.text_at("name"),
            Kind::Image | Kind::Volume => same_volume(old, new),
        }
    };
    leaving()
        .flat_map(|old| coming().map(move |new| (old, new)))
        .filter(|(old, new)| clash(old, new))
        .map(|(old, new)| (main(&old.address), main(&new.address)))
        .collect()
}

fn same_volume(old: &Change, new: &Change) -> bool {
    let deleted = old.steps.iter().find_map(|step| match step {
        Step::DeleteVolume { pool, name } => Some((pool.as_str(), name.as_str())),
        _ => None,
    });
    let created = new.steps.iter().find_map(|step| match step {
        Step::CreateVolume { pool, xml } => Some((pool.as_str(), xml.text_at("name")?)),
        _ => None,
    });
    deleted.is_some() && deleted == created
}

/// Limits a plan to some resources and all that has to come before them.
pub(super) fn limit(plan: &mut Plan, targets: &BTreeSet<Address>) {
    let mut wanted: BTreeSet<Address> = BTreeSet::new();
    let mut open: Vec<Address> = targets.iter().cloned().collect();
    while let Some(address) = open.pop() {
        if !wanted.insert(address.clone()) {
            continue;
        }
        let before = plan
            .edges
            .iter()
            .filter(|(_, after)| after.address == address)
            .map(|(before, _)| before.address.clone());
        open.extend(before);
    }
    plan.changes.retain(|address, _| wanted.contains(address));
    plan.edges.retain(|(before, after)| {
        wanted.contains(&before.address) && wanted.contains(&after.address)
    });
}
