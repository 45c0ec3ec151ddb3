//! What others changed since the last apply: what is live against what the state has, whatever the definition says now.

use std::collections::{BTreeMap, BTreeSet};

use super::context::Planner;
use super::foreign::Foreign;
use super::storage::made::merge_lasting;
use super::storage::sight::{self, Sight};
use super::storage::volumes::{Sizes, sizes};
use super::{
    AttributeChange, Beside, Disruption, Options, attribute, guest, label, reservations, unplugged,
};
use crate::address::{Address, Kind, Name};
use crate::libvirt::observed::{Observed, Power};
use crate::state::{Entry, State, Status};
use crate::xml::tree::Element;

/// What others did to what a lab owns.
#[derive(Debug, Clone)]
pub struct Drift {
    /// The lab.
    pub lab: Name,
    /// The hypervisor's URI.
    pub uri: String,
    /// Every resource of the state.
    pub resources: BTreeMap<Address, Drifted>,
}

/// What became of a resource since it was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drifted {
    /// Nothing that can be seen.
    No,
    /// Someone changed it: what was applied is `before`, what is there is `after`.
    Changed(Vec<AttributeChange>),
    /// Someone removed it.
    Gone,
    /// The last run did not end its change, so that nothing tells others' changes from it.
    Unfinished,
}

impl Drift {
    /// Whether others changed anything.
    pub fn is_empty(&self) -> bool {
        self.resources.values().all(|drifted| match drifted {
            Drifted::No | Drifted::Unfinished => true,
            Drifted::Changed(_) | Drifted::Gone => false,
        })
    }
}

/// Compares what is there with what was applied. Limited to `targets`, where there are any.
pub fn drift(observed: &Observed, state: &State, targets: &BTreeSet<Address>) -> Drift {
    let options = Options::default();
    let planner = Planner::new(&state.lab, observed, state, &options);
    let wanted = |address: &Address| targets.is_empty() || targets.contains(address);
    Drift {
        lab: state.lab.clone(),
        uri: observed.facts.uri.clone(),
        resources: state
            .resources
            .iter()
            .filter(|(address, _)| wanted(address))
            .map(|(address, entry)| (address.clone(), one(&planner, address, entry)))
            .collect(),
    }
}

fn one(planner: &Planner<'_>, address: &Address, entry: &Entry) -> Drifted {
    if entry.status != Status::Applied {
        return Drifted::Unfinished;
    }
    let found = match address.kind {
        Kind::Network => network(planner, entry),
        Kind::Reservations => reservations::drift(planner, entry),
        Kind::Pool => pool(planner, entry),
        Kind::Guest => guest(planner, entry),
        Kind::Image | Kind::Volume => match volume(planner, entry) {
            Existence::There(attributes) => Some(attributes),
            Existence::Absent => None,
            Existence::Hidden => return Drifted::No,
        },
    };
    match found {
        None => Drifted::Gone,
        Some(attributes) if attributes.is_empty() => Drifted::No,
        Some(attributes) => Drifted::Changed(attributes),
    }
}

fn network(planner: &Planner<'_>, entry: &Entry) -> Option<Vec<AttributeChange>> {
    let (name, live) = planner.owned(entry, &planner.observed.networks)?;
    let mut found = renamed(entry, name);
    found.extend(changed(entry, &live.xml.tree(), Sizes::Exact, Foreign::of));
    // Someone may have changed only what runs.
    let running = live
        .live_xml
        .as_ref()
        .map(|xml| changed(entry, &xml.tree(), Sizes::Exact, Foreign::of_running));
    add(&mut found, running.into_iter().flatten());
    found.extend(switched(Beside::Active, entry.active, live.active));
    found.extend(switched(Beside::Persistent, Some(true), live.persistent));
    found.extend(switched(Beside::Autostart, entry.autostart, live.autostart));
    Some(found)
}

fn pool(planner: &Planner<'_>, entry: &Entry) -> Option<Vec<AttributeChange>> {
    let (name, live) = planner.owned(entry, &planner.observed.pools)?;
    let mut found = renamed(entry, name);
    found.extend(changed(entry, &live.xml.tree(), Sizes::Exact, stored));
    found.extend(switched(Beside::Active, entry.active, live.active));
    found.extend(switched(Beside::Persistent, Some(true), live.persistent));
    found.extend(switched(Beside::Autostart, entry.autostart, live.autostart));
    Some(found)
}

fn guest(planner: &Planner<'_>, entry: &Entry) -> Option<Vec<AttributeChange>> {
    let (name, live) = planner.owned(entry, &planner.observed.guests)?;
    let mut found = renamed(entry, name);
    found.extend(changed(entry, &live.xml.tree(), Sizes::Exact, Foreign::of));
    add(&mut found, guest::changed_while_running(entry, live));
    found.extend(switched(Beside::Autostart, entry.autostart, live.autostart));
    found.extend(switched(Beside::Persistent, Some(true), live.persistent));
    found.extend(unplugged::by_others(planner.observed, name, live));
    let now = match live.power {
        Power::Running => "running",
        Power::Paused => "paused",
        Power::Off => "off",
        Power::Crashed => "crashed",
    };
    let applied = entry.active.map(|on| if on { "running" } else { "off" });
    found.extend(
        applied
            .filter(|applied| *applied != now)
            .map(|applied| attribute("power", applied, now)),
    );
    Some(found)
}

/// What is known of a volume.
enum Existence {
    There(Vec<AttributeChange>),
    Absent,
    /// Its pool does not run, so that no one can look.
    Hidden,
}

fn volume(planner: &Planner<'_>, entry: &Entry) -> Existence {
    let pool = entry.pool.clone().unwrap_or_default();
    let key = (pool, entry.name.clone());
    if let Some(live) = planner.observed.volumes.get(&key) {
        let sizes = sizes(planner, &key.0);
        return Existence::There(changed(entry, &live.xml.tree(), sizes, stored));
    }
    match sight::of(planner, &key.0, &key.1) {
        Sight::Hidden | Sight::OtherPlace => Existence::Hidden,
        Sight::Gone | Sight::NoDirectory => Existence::Absent,
    }
}

fn stored(entry: Option<&Entry>, live: &Element, _: &Element) -> Foreign {
    Foreign::of_storage(entry, live, &[])
}

/// What differs from the definition that was applied, and from what there was beside it, in others' direction.
fn changed(
    entry: &Entry,
    live: &Element,
    sizes: Sizes,
    beside: impl Fn(Option<&Entry>, &Element, &Element) -> Foreign,
) -> Vec<AttributeChange> {
    let applied = entry.applied.as_deref();
    let Some(mut applied) = applied.and_then(|text| Element::parse(text).ok()) else {
        return Vec::new();
    };
    // A network, pool or guest is told by its UUID, and its name is looked at for itself.
    if let (Some(name), Some(now)) = (applied.child_mut("name"), live.text_at("name")) {
        now.clone_into(&mut name.text);
    }
    let entry = Entry {
        applied: Some(applied.to_string().into()),
        attempted: Vec::new(),
        ..entry.clone()
    };
    let merged = merge_lasting(Some(&entry), live, &applied, sizes);
    let mut changes = label::attributes(&merged.differences, |_| Disruption::Live);
    for change in &mut changes {
        std::mem::swap(&mut change.before, &mut change.after);
    }
    add(&mut changes, beside(Some(&entry), live, &applied).all());
    changes
}

/// Adds what is not told yet.
fn add(found: &mut Vec<AttributeChange>, more: impl IntoIterator<Item = AttributeChange>) {
    for attribute in more {
        if !found.iter().any(|known| known.name == attribute.name) {
            found.push(attribute);
        }
    }
}

fn renamed(entry: &Entry, now: &str) -> Vec<AttributeChange> {
    match entry.name == now {
        true => Vec::new(),
        false => vec![attribute::renamed(&entry.name, now, Disruption::Live)],
    }
}

fn switched(what: Beside, applied: Option<bool>, now: bool) -> Option<AttributeChange> {
    applied?.ne(&now).then(|| attribute::switched(what, now))
}

fn attribute(name: &str, before: &str, after: &str) -> AttributeChange {
    AttributeChange::new(name, before, after, Disruption::Live)
}
