//! Which files of guests' disks are overlays of which.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::definition::source_of;
use crate::libvirt::files::{File, Files};
use crate::libvirt::observed::Observed;
use crate::xml::tree::Element;

/// What libvirt says that a disk is an overlay of, from top to bottom.
pub(super) fn backing(disk: &Element) -> impl Iterator<Item = &str> {
    let stores = std::iter::successors(disk.child("backingStore"), |store| {
        store.child("backingStore")
    });
    stores.filter_map(source_of)
}

/// The overlays over each file that guests of the lab have as a disk, the uppermost first. Those of others are users of it.
#[derive(Debug, Default)]
pub struct Overlays(BTreeMap<File, BTreeSet<Vec<String>>>);

impl Overlays {
    /// Looks for them in the guests with these UUIDs.
    pub fn of(observed: &Observed, ours: &BTreeSet<Uuid>) -> Self {
        let mut found = Self::default();
        let guests = observed.guests.values();
        for guest in guests.filter(|guest| ours.contains(&guest.uuid)) {
            for xml in std::iter::once(&guest.xml).chain(&guest.live_xml) {
                let xml = xml.tree();
                let devices = xml.child("devices").into_iter();
                for disk in devices.flat_map(|devices| devices.children_named("disk")) {
                    found.add(disk, &observed.paths);
                }
            }
        }
        found
    }

    fn add(&mut self, disk: &Element, paths: &Files) {
        let Some(top) = source_of(disk) else { return };
        let told: Vec<&str> = backing(disk).collect();
        let chain: Vec<&str> = match told.is_empty() {
            true => paths.bases(top).collect(),
            false => told,
        };
        let mut above = vec![top.to_owned()];
        for base in chain {
            let over = self.0.entry(paths.file(base)).or_default();
            over.insert(above.clone());
            above.push(base.to_owned());
        }
    }

    /// The overlays over a file.
    pub fn over(&self, paths: &Files, path: &str) -> Vec<&str> {
        let mut all = Vec::new();
        for overlay in self
            .0
            .get(&paths.file(path))
            .into_iter()
            .flatten()
            .flatten()
        {
            if !all.contains(&overlay.as_str()) {
                all.push(overlay);
            }
        }
        all
    }
}
