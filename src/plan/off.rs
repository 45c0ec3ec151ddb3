//! How guests stop that `destroy` deletes: at once where all that they write to goes with them, else when they have written it.

use std::collections::BTreeSet;

use super::{Action, Plan, PowerChange};
use crate::address::Kind;
use crate::libvirt::observed::Observed;
use crate::step::Step;
use crate::xml::tree::Element;

/// How guests stop that `destroy` deletes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Farewell {
    /// Those are switched off at once of which nothing stays that they write to.
    #[default]
    ByWhatStays,
    /// All are asked to shut down.
    Graceful,
}

/// Has guests switched off at once that are deleted with all that they write to, and tells of the others what stays.
pub(super) fn at_once(plan: &mut Plan, observed: &Observed) {
    let going = Going::of(plan, observed);
    for (address, change) in &mut plan.changes {
        let stops = change.action == Action::Delete && change.power == Some(PowerChange::Stop);
        let name = change.before_xml.as_ref().map(|xml| xml.tree());
        let name = name.as_ref().and_then(|xml| xml.text_at("name"));
        let live = name.and_then(|name| observed.guests.get(name));
        let Some(live) = live.filter(|_| stops && address.kind == Kind::Guest) else {
            continue;
        };
        let xml = live.live_xml.as_ref().unwrap_or(&live.xml).tree();
        if let Some(what) = outlives(&xml, &going) {
            change
                .notes
                .push(format!("not switched off at once: {what} stays"));
            continue;
        }
        change.power = Some(PowerChange::SwitchOff);
        for step in change.quiesce.iter_mut().chain(&mut change.steps) {
            if let Step::ShutdownGuest { timeout, .. } = step {
                *timeout = 0;
            }
        }
    }
}

/// The files that go.
struct Going<'a> {
    observed: &'a Observed,
    paths: BTreeSet<String>,
    volumes: BTreeSet<(String, String)>,
}

impl<'a> Going<'a> {
    fn of(plan: &Plan, observed: &'a Observed) -> Self {
        let mut going = Self {
            observed,
            paths: BTreeSet::new(),
            volumes: BTreeSet::new(),
        };
        for step in plan.changes.values().flat_map(|change| &change.steps) {
            match step {
                Step::DeleteVolume { pool, name, seen } => {
                    let seen = seen.as_ref().map(|seen| seen.path.clone());
                    let path = seen.or_else(|| observed.place_of(&pool.name, name));
                    going.paths.extend(path);
                    going.volumes.insert((pool.name.clone(), name.clone()));
                }
                Step::DeleteFile { seen } => drop(going.paths.insert(seen.path.clone())),
                _ => {}
            }
        }
        going
    }

    fn has(&self, path: &str) -> bool {
        let mut paths = self.paths.iter();
        self.paths.contains(path) || paths.any(|going| self.observed.paths.is_same(going, path))
    }
}

/// What a guest may write to that stays when it goes, in a few words.
fn outlives(guest: &Element, going: &Going<'_>) -> Option<String> {
    // What QEMU was given beside libvirt's definition, nobody here knows.
    let mut own = guest.children.iter();
    if own.any(|child| child.name == "commandline" || child.name.ends_with(":commandline")) {
        return Some("what QEMU's own arguments name".to_owned());
    }
    let devices = guest.child("devices")?;
    devices.children.iter().find_map(|device| {
        let reads_only = device.child("readonly").is_some();
        match device.name.as_str() {
            "disk" if reads_only || device.attribute("device") == Some("cdrom") => None,
            "disk" => disk(device, going),
            "filesystem" if !reads_only => {
                let source = device.attribute_at("source", "dir");
                Some(source.unwrap_or("a file system of the host's").to_owned())
            }
            "memory" => device.text_at("source/path").map(str::to_owned),
            "hostdev" => Some("a device of the host's".to_owned()),
            _ => None,
        }
    })
}

fn disk(disk: &Element, going: &Going<'_>) -> Option<String> {
    let source = disk.child("source")?;
    if let (Some(pool), Some(volume)) = (source.attribute("pool"), source.attribute("volume")) {
        let known = (pool.to_owned(), volume.to_owned());
        return (!going.volumes.contains(&known)).then(|| format!("{volume} of pool {pool}"));
    }
    match source.attribute("file").or(source.attribute("dev")) {
        Some(path) => (!going.has(path)).then(|| path.to_owned()),
        None if source.attributes.is_empty() => None,
        None => {
            let dev = disk.attribute_at("target", "dev").unwrap_or_default();
            Some(format!("what is on disk {dev}"))
        }
    }
}
