//! Overlays that others put over the disks of guests: external snapshots, as backup tools make them. What the guest wrote since is
//! in the overlay, so a disk over our volume is our disk: every change keeps it, and it goes where the volume goes.

use super::backing::backing;
use super::context::Planner;
use super::definition::key;
use super::definition::source_of;
use super::{Action, Change};
use crate::address::Address;
use crate::libvirt::observed::ObservedGuest;
use crate::step::{SeenFile, Step};
use crate::xml::merge::like;
use crate::xml::tree::Element;

const DEVICES: &str = "domain/devices";

/// Leaves those disks of a wanted definition as they are that have an overlay of what is wanted, and says which these are. Where the
/// volume is made anew, its overlays go.
pub(super) fn keep(
    planner: &Planner<'_>,
    guest: &Address,
    wanted: &mut Element,
    live: &ObservedGuest,
) -> Vec<String> {
    let paths = &planner.observed.paths;
    let defined = devices(&live.xml.tree());
    let running = live.live_xml.as_ref();
    let running = running.map_or_else(Vec::new, |xml| devices(&xml.tree()));
    let mut kept = Vec::new();
    let disks = wanted
        .child_mut("devices")
        .into_iter()
        .flat_map(|devices| &mut devices.children);
    for disk in disks.filter(|device| device.name == "disk") {
        let Some(there) = like(DEVICES, disk, &defined) else {
            continue;
        };
        let (Some(base), Some(top)) = (source_of(disk), source_of(there)) else {
            continue;
        };
        let runs = like(DEVICES, disk, &running).filter(|runs| source_of(runs) == Some(top));
        let key = key(disk).unwrap_or_default();
        let volume = format!("volume.{}.{key}", guest.name).parse();
        if volume.is_ok_and(|volume| planner.replaces(&volume)) {
            continue;
        }
        let told = [Some(there), runs].into_iter().flatten().flat_map(backing);
        let is_over = |file: &str| paths.is_same(file, base);
        if paths.is_same(top, base) || !told.chain(paths.bases(top)).any(is_over) {
            continue;
        }
        kept.push(format!("disks.{key} stays on its overlay {top}"));
        if let Some(kind) = there.attribute("type") {
            disk.set_attribute("type", kind);
        }
        if let (Some(format), Some(driver)) = (
            there.attribute_at("driver", "type"),
            disk.child_mut("driver"),
        ) {
            driver.set_attribute("type", format);
        }
        for part in ["source", "backingStore"] {
            let at = disk.children.iter().position(|child| child.name == part);
            disk.children.retain(|child| child.name != part);
            if let Some(child) = there.child(part) {
                let at = at.unwrap_or(disk.children.len()).min(disk.children.len());
                disk.children.insert(at, child.clone());
            }
        }
    }
    kept
}

/// What libvirt wrote down of the files beneath disks that get another file, or the same made anew: put among the trees that were
/// applied last, it goes. QEMU would open the new one with the old ones beneath, or with none: an overlay of an image without that.
pub(super) fn outdated(
    planner: &Planner<'_>,
    guest: &Address,
    live: &Element,
    wanted: &Element,
) -> Option<Element> {
    let wanted = devices(wanted);
    let is_made = |disk: &Element| {
        let key = key(disk)?;
        let volume: Address = format!("volume.{}.{key}", guest.name).parse().ok()?;
        planner.changes.get(&volume).map(makes_anew)
    };
    let outdated = devices(live).into_iter().filter_map(|mut disk| {
        let now = like(DEVICES, &disk, &wanted)?;
        let stays = source_of(now) == source_of(&disk) && is_made(now) != Some(true);
        if disk.child("backingStore").is_none() || now.child("backingStore").is_some() || stays {
            return None;
        }
        let kept = ["target", "alias", "backingStore"];
        disk.children
            .retain(|child| kept.contains(&child.name.as_str()));
        Some(disk)
    });
    let mut xml = Element::new("domain");
    let disks = &mut xml.child_or_insert("devices").children;
    disks.extend(outdated);
    (!disks.is_empty()).then_some(xml)
}

/// Whether a volume is another one after a change than before.
pub(super) fn makes_anew(change: &Change) -> bool {
    match change.action {
        Action::Create | Action::Replace => true,
        Action::None | Action::Update | Action::Delete | Action::Forget => false,
    }
}

/// The disks that somebody put on another file than was applied, and that would go back: after a block copy or pull what the guest
/// wrote since is there alone. Each is told with that file.
pub(super) fn goes_back(
    planner: &Planner<'_>,
    last: &[Element],
    live: &Element,
    wanted: &Element,
) -> Vec<String> {
    let paths = &planner.observed.paths;
    let there = devices(live);
    let last: Vec<Vec<Element>> = last.iter().map(devices).collect();
    let is_disk = |device: &&Element| {
        device.name == "disk" && matches!(device.attribute("device"), None | Some("disk"))
    };
    let back = devices(wanted);
    let back = back.iter().filter(is_disk).filter_map(|disk| {
        let (now, then) = (source_of(like(DEVICES, disk, &there)?)?, source_of(disk)?);
        let was_at = |path: &str| {
            let mut applied = last.iter().filter_map(|last| like(DEVICES, disk, last));
            applied.any(|disk| source_of(disk).is_some_and(|it| paths.is_same(it, path)))
        };
        // Of a run that broke off both may have been applied.
        let is_moved = !paths.is_same(now, then) && was_at(then) && !was_at(now);
        // An overlay that is not kept goes with its volume.
        let goes = is_moved && !planner.overlays_over(then).contains(&now);
        let key = key(disk).filter(|_| goes)?;
        Some(format!(
            "disks.{key} goes back from {now}, which stays with what was written there"
        ))
    });
    back.collect()
}

fn devices(guest: &Element) -> Vec<Element> {
    let devices = guest.child("devices");
    devices.map_or_else(Vec::new, |devices| devices.children.clone())
}

/// The steps that delete the overlays over a volume that goes, and what is said of them.
pub(super) fn removal(planner: &Planner<'_>, path: &str) -> (Vec<Step>, Vec<String>) {
    let paths = &planner.observed.paths;
    let (mut steps, mut notes) = (Vec::new(), Vec::new());
    for overlay in planner.overlays_over(path) {
        let mut volumes = planner.observed.volumes.iter();
        let volume = volumes.find(|(_, volume)| paths.is_same(&volume.path, overlay));
        let step = match (volume, paths.id(overlay)) {
            (Some(((pool, name), volume)), _) => Step::DeleteVolume {
                pool: planner.pool(pool),
                name: name.clone(),
                seen: Some(SeenFile {
                    path: volume.path.clone(),
                    id: volume.id,
                }),
            },
            (None, Some(id)) => Step::DeleteFile {
                seen: SeenFile {
                    path: overlay.to_owned(),
                    id: Some(id),
                },
            },
            (None, None) => {
                notes.push(format!(
                    "its overlay {overlay} stays, since it is in no pool"
                ));
                continue;
            }
        };
        notes.push(format!("its overlay {overlay} goes, too"));
        steps.push(step);
    }
    (steps, notes)
}
