//! What waits for what: the edges of a plan's graph.
//!
//! - What is made or changed waits for what it depends on.
//! - What is deleted waits for all that depended on it, as the state remembers.
//! - A guest whose dependency is replaced is shut down before that, once it is known that it can be, and started after it; its seed
//!   waits until it is off.
//! - A network whose addresses an orphan still holds waits until that is gone.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::context::Planner;
use super::definition;
use super::{Action, Change, Node, Phase, Plan, guest, storage};
use crate::address::{Address, Kind};
use crate::desired::{Desired, Detail};
use crate::state::Entry;
use crate::step::{Named, Step};
use crate::xml::tree::Element;

/// The edges of all changes. Guests that have to be quiesced for a replacement get their steps here.
pub(super) fn edges(
    planner: &mut Planner<'_>,
    desired: Option<&Desired>,
    more: Vec<(Node, Node)>,
) -> BTreeSet<(Node, Node)> {
    let wanted = wanted_dependencies(desired);
    quiesce_guests(planner, desired, &wanted);

    let mut edges = BTreeSet::new();
    for (address, dependencies) in &wanted {
        for dependency in *dependencies {
            edges.insert((main(dependency), main(address)));
            edges.insert((quiesced(address), main(dependency)));
            // Whether a volume can be made anew is found out before its guest is stopped.
            if matches!(dependency.kind, Kind::Image | Kind::Volume) {
                edges.insert((quiesced(dependency), quiesced(address)));
            }
        }
    }
    for address in planner.changes.keys() {
        edges.insert((quiesced(address), main(address)));
    }
    edges.extend(departures(planner));
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
    Node::new(address, Phase::Main)
}

fn quiesced(address: &Address) -> Node {
    Node::new(address, Phase::Quiesce)
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

fn wanted_dependencies(desired: Option<&Desired>) -> BTreeMap<&Address, &BTreeSet<Address>> {
    desired
        .into_iter()
        .flat_map(|desired| desired.resources.values())
        .map(|resource| (&resource.address, &resource.depends_on))
        .collect()
}

/// What goes, or is made anew while what depended on it goes, waits for all that depended on it when it was applied last.
/// Without a record a guest is taken to have depended on everything that is no guest.
fn departures(planner: &Planner<'_>) -> Vec<(Node, Node)> {
    let leaving: BTreeMap<&Address, &Change> = planner
        .changes
        .iter()
        .filter(|(_, change)| is_removed(change) || change.action == Action::Replace)
        .collect();
    let mut edges = Vec::new();
    for (dependent, dependency_of) in &planner.changes {
        let dependencies: Vec<&Address> = match planner.entry(dependent) {
            // After a run that did not end, what it is in may be no more what it depends on.
            Some(entry) => entry
                .depends_on
                .iter()
                .chain(pool_of(planner, entry))
                .collect(),
            None if dependent.kind == Kind::Guest => leaving
                .keys()
                .copied()
                .filter(|other| other.kind < Kind::Guest)
                .collect(),
            None => continue,
        };
        for address in dependencies.into_iter().filter(|it| *it != dependent) {
            let goes_before = leaving
                .get(address)
                .is_some_and(|change| is_removed(change) || is_removed(dependency_of));
            if goes_before {
                edges.push((main(dependent), main(address)));
            }
        }
    }
    edges
}

/// The pool that a volume was in last.
fn pool_of<'a>(planner: &Planner<'a>, volume: &Entry) -> Option<&'a Address> {
    let mut recorded = planner.state.resources.iter();
    let is_it = |(address, entry): &(&Address, &Entry)| {
        address.kind == Kind::Pool && Some(&entry.name) == volume.pool.as_ref()
    };
    recorded.find(is_it).map(|(address, _)| address)
}

fn quiesce_guests(
    planner: &mut Planner<'_>,
    desired: Option<&Desired>,
    wanted: &BTreeMap<&Address, &BTreeSet<Address>>,
) {
    let replaced: BTreeSet<Address> = planner
        .changes
        .values()
        .filter(|change| change.action == Action::Replace && change.address.kind != Kind::Guest)
        // What restarts under its guests takes nothing from them.
        .filter(|change| !change.steps.iter().any(restarts))
        .map(|change| change.address.clone())
        .collect();
    let seeds: BTreeSet<Address> = planner
        .changes
        .values()
        .filter(|change| change.action == Action::Update && change.steps.iter().any(fills))
        .map(|change| change.address.clone())
        .collect();
    let resources = desired.into_iter().flat_map(|d| d.resources.values());
    for resource in resources {
        let Detail::Guest {
            shutdown_timeout, ..
        } = resource.detail
        else {
            continue;
        };
        let Some(depends) = wanted.get(&resource.address) else {
            continue;
        };
        // One that is to have another name still runs under the old one.
        let entry = planner.entry(&resource.address);
        let name = entry.map_or(&resource.name, |entry| &entry.name);
        let live = planner.observed.guests.get(name);
        let Some(live) = live.filter(|live| live.power.is_active() || live.saved) else {
            continue;
        };
        let name = Named::new(name, live.uuid);
        let Some(change) = planner.changes.get_mut(&resource.address) else {
            continue;
        };
        if live.saved {
            let discards = |step: &Step| matches!(step, Step::DiscardSave { .. });
            // One that goes on from where it was saved knows its seed.
            if !change.quiesce.iter().chain(&change.steps).any(discards) {
                hold_back(planner, depends.intersection(&seeds));
            }
            continue;
        }
        let shuts_down = |step: &Step| matches!(step, Step::ShutdownGuest { .. });
        let stays = match change.action {
            Action::None | Action::Update => true,
            Action::Replace => change.steps.iter().any(shuts_down),
            Action::Create | Action::Delete | Action::Forget => false,
        };
        let is_replaced = !depends.is_disjoint(&replaced);
        let goes_down = is_replaced || change.steps.iter().any(shuts_down);
        if stays && (is_replaced || goes_down && !depends.is_disjoint(&seeds)) {
            guest::quiesce(change, &name, shutdown_timeout);
            grow_offline(planner, &name);
        } else if !goes_down {
            hold_back(planner, depends.intersection(&seeds));
        }
    }
}

/// Leaves seeds as they are for now.
fn hold_back<'a>(planner: &mut Planner<'_>, seeds: impl Iterator<Item = &'a Address>) {
    for seed in seeds {
        let entry = planner.entry(seed);
        if let Some(change) = planner.changes.get_mut(seed) {
            storage::hold_back(change, entry);
        }
    }
}

fn restarts(step: &Step) -> bool {
    matches!(step, Step::RestartNetwork { .. })
}

/// Whether a step gives a volume another content.
fn fills(step: &Step) -> bool {
    matches!(step, Step::UploadVolume { .. })
}

/// Disks of a guest that is shut down before they grow are not grown through it.
fn grow_offline(planner: &mut Planner<'_>, name: &Named) {
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
    let changes = || planner.changes.values();
    let comes = |change: &&Change| change.action == Action::Create;
    // Finding out where something is takes a look into its definition.
    if !changes().any(is_removed) || !changes().any(|change| comes(&change)) {
        return Vec::new();
    }
    let leaving: Vec<(&Address, Claim)> = changes()
        .filter(|change| is_removed(change))
        .filter_map(|change| Some((&change.address, Claim::left_by(change)?)))
        .collect();
    let coming: Vec<(&Address, Claim)> = changes()
        .filter(comes)
        .filter_map(|change| Some((&change.address, Claim::taken_by(change)?)))
        .collect();
    leaving
        .iter()
        .flat_map(|old| coming.iter().map(move |new| (old, new)))
        .filter(|((_, old), (_, new))| old.clashes_with(new))
        .map(|((old, _), (new, _))| (main(old), main(new)))
        .collect()
}

/// What an object has that no two can have at once.
enum Claim {
    Subnets(Vec<IpNet>),
    Directory(Option<String>),
    Guest(Option<String>),
    Volume(String, String),
}

impl Claim {
    fn left_by(change: &Change) -> Option<Self> {
        let before = change.before_xml.as_ref()?.tree();
        Self::of(change.address.kind, &before).or_else(|| {
            change.steps.iter().find_map(|step| match step {
                Step::DeleteVolume { pool, name, .. } => {
                    Some(Self::Volume(pool.name.clone(), name.clone()))
                }
                _ => None,
            })
        })
    }

    fn taken_by(change: &Change) -> Option<Self> {
        let after = change.after_xml.as_ref()?.tree();
        Self::of(change.address.kind, &after).or_else(|| {
            change.steps.iter().find_map(|step| match step {
                Step::CreateVolume { pool, .. } => {
                    let name = after.text_at("name")?.to_owned();
                    Some(Self::Volume(pool.name.clone(), name))
                }
                _ => None,
            })
        })
    }

    /// Where something is by its definition, which does not tell a volume's pool.
    fn of(kind: Kind, xml: &Element) -> Option<Self> {
        let text = |path| xml.text_at(path).map(str::to_owned);
        match kind {
            Kind::Network => Some(Self::Subnets(definition::subnets(xml))),
            Kind::Pool => Some(Self::Directory(text("target/path"))),
            Kind::Guest => Some(Self::Guest(text("name"))),
            Kind::Reservations | Kind::Image | Kind::Volume => None,
        }
    }

    fn clashes_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Subnets(old), Self::Subnets(new)) => !definition::overlaps(old, new).is_empty(),
            (Self::Directory(old), Self::Directory(new)) => old == new,
            (Self::Guest(old), Self::Guest(new)) => old == new,
            (Self::Volume(pool, name), Self::Volume(other_pool, other_name)) => {
                (pool, name) == (other_pool, other_name)
            }
            _ => false,
        }
    }
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
