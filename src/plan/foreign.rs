//! What others changed in an object since the last apply, where its definition says nothing of it: what the definition has a word
//! for is put back, the rest is shown and left.

use super::context::Planner;
use super::history::last_trees;
use super::{AttributeChange, Disruption, label};
use crate::address::{Address, Kind};
use crate::plan::whose;
use crate::state::{Entry, Status};
use crate::xml::merge::{Difference, Merged, like, merge};
use crate::xml::tree::Element;

/// What others changed, as differences that lead back.
#[derive(Default)]
pub(super) struct Foreign {
    /// The lab's to put back.
    back: Vec<Difference>,
    /// Left as it is.
    left: Vec<Difference>,
}

impl Foreign {
    /// Compares a network or guest with how it was at the end of the last apply.
    pub fn of(entry: Option<&Entry>, live: &Element, wanted: &Element) -> Self {
        let last = last_trees(entry);
        // Of what the definition says, or said, it is known what is to become.
        let definitions: Vec<&Element> = last.iter().chain([wanted]).collect();
        let is_dropped = |difference: &Difference| {
            let was = last.iter().any(|last| difference.holder(last).is_some());
            was && difference.holder(wanted).is_none()
        };
        let (back, left) = changed(entry, live, &definitions)
            .into_iter()
            .filter(|difference| !is_dropped(difference))
            .map(|difference| named(difference, wanted))
            .partition(whose::is_put_back);
        Self { back, left }
    }

    /// The same for what a network runs with, which libvirt spells out: only of what is put back.
    pub fn of_running(entry: Option<&Entry>, running: &Element, wanted: &Element) -> Self {
        Self {
            left: Vec::new(),
            ..Self::of(entry, running, wanted)
        }
    }

    /// The same for a pool or volume, with what is done about it. Nothing more is.
    pub fn of_storage(entry: Option<&Entry>, live: &Element, done: &[Difference]) -> Self {
        let told = |difference: &Difference| done.iter().any(|other| other.path == difference.path);
        let mut left = changed(entry, live, &[]);
        left.retain(|difference| !told(difference));
        Self {
            back: Vec::new(),
            left,
        }
    }

    /// What is put back of a guest that runs: what it was given and can be taken while it runs, and with what else it was started
    /// again. What it lacks of its definition may have waited for its next start all the time.
    pub fn while_running(&self, mut running: Self, is_live: impl Fn(&Difference) -> bool) -> Self {
        running.back.retain(|difference| {
            difference.before.is_some() && is_live(difference) || self.back.contains(difference)
        });
        running
    }

    /// Compares three ways ([`merge`]), with what is put back among the differences.
    pub fn merge(&self, last: &[Element], live: &Element, wanted: &Element) -> Merged {
        let mut merged = merge(last, &self.put_back(live), wanted);
        merged.differences.extend(self.back.iter().cloned());
        merged
    }

    /// An object as it is without what others changed and the lab puts back.
    pub fn put_back(&self, live: &Element) -> Element {
        let mut live = live.clone();
        whose::put_back(&mut live, &self.back);
        live
    }

    /// What is left as it is: how it was, and how it is.
    pub fn left(&self) -> Vec<AttributeChange> {
        turned(&self.left)
    }

    /// All that others changed: how it was, and how it is.
    pub fn all(&self) -> Vec<AttributeChange> {
        turned(&[self.back.as_slice(), &self.left].concat())
    }
}

/// A difference in a device that has not its name yet, as one of a guest that was only taken over, under that name.
fn named(mut difference: Difference, wanted: &Element) -> Difference {
    const DEVICES: &str = "domain/devices";
    let devices = wanted
        .child("devices")
        .filter(|_| difference.path.starts_with(DEVICES));
    let device = difference.within.get_mut(1);
    if let Some((device, devices)) = device.zip(devices)
        && let Some(ours) = like(DEVICES, device, &devices.children)
        && let Some(alias) = ours.child("alias")
    {
        device.children.retain(|child| child.name != "alias");
        device.children.push(alias.clone());
    }
    difference
}

fn turned(differences: &[Difference]) -> Vec<AttributeChange> {
    let mut changes = label::attributes(differences, |_| Disruption::Live);
    for change in &mut changes {
        std::mem::swap(&mut change.before, &mut change.after);
        change.cause = None;
    }
    changes
}

/// What changed since the last apply. Where a change did not end, nothing tells others' from that.
fn changed(entry: Option<&Entry>, live: &Element, definitions: &[&Element]) -> Vec<Difference> {
    let recorded = entry.filter(|entry| entry.status == Status::Applied);
    let was = recorded.and_then(|entry| Element::parse(entry.beside.as_deref()?).ok());
    let Some(was) = was else {
        return Vec::new();
    };
    let last = last_trees(recorded);
    whose::changed(&was, said(live, last.first()), live, definitions)
}

/// What is to be recorded of an object, so that it is seen what others change.
pub(super) fn record(live: &Element, applied: Option<&str>) -> String {
    let applied = applied.and_then(|text| Element::parse(text).ok());
    whose::beside(live, said(live, applied.as_ref())).to_string()
}

/// What need not be recorded, as it was applied. Of pools and volumes all is: not all that was applied is compared.
fn said<'a>(live: &Element, applied: Option<&'a Element>) -> Option<&'a Element> {
    applied.filter(|_| !matches!(live.name.as_str(), "pool" | "volume"))
}

/// An entry that knows what its object has beside what was applied, as far as that can be seen.
pub(super) fn looked_at(planner: &Planner<'_>, address: &Address, mut entry: Entry) -> Entry {
    let observed = planner.observed;
    let live = match address.kind {
        Kind::Network => planner
            .owned(&entry, &observed.networks)
            .map(|(_, it)| it.xml.tree()),
        // Of the network nothing else is the lab's.
        Kind::Reservations => None,
        Kind::Pool => planner
            .owned(&entry, &observed.pools)
            .map(|(_, it)| it.xml.tree()),
        Kind::Guest => planner
            .owned(&entry, &observed.guests)
            .map(|(_, it)| it.xml.tree()),
        Kind::Image | Kind::Volume => {
            let key = (entry.pool.clone().unwrap_or_default(), entry.name.clone());
            observed.volumes.get(&key).map(|it| it.xml.tree())
        }
    };
    if let Some(live) = live.filter(|_| !planner.is_in_another_pool(&entry)) {
        entry.beside = Some(record(&live, entry.applied.as_deref()).into());
    }
    entry
}
