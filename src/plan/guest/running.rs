//! What a guest runs with, so that it can be compared: without what libvirt adds to a definition when it starts a guest.

use crate::libvirt::observed::ObservedGuest;
use crate::plan::whose;
use crate::xml::merge::{Cause, Difference, Value, merge};
use crate::xml::schema;
use crate::xml::tree::Element;

/// Parts of a running guest that are libvirt's to add, whole elements below the root.
const ADDED: [&str; 4] = [
    "domain/seclabel",
    "domain/resource",
    "domain/vcpus",
    "domain/metadata",
];

/// What libvirt adds nothing to, and others can change of what runs alone: `virsh blkdeviotune`, `schedinfo`, `update-device`. With `/`
/// at the end, it is what is below.
const TUNED: [&str; 6] = [
    "domain/blkiotune/",
    "domain/cputune/",
    "domain/memtune/",
    "domain/devices/disk/iotune",
    "domain/devices/disk/iotune/",
    "domain/devices/interface/filterref",
];

/// Whether somebody gave it to a guest that runs, beside its definition.
pub(super) fn is_tuned(difference: &Difference) -> bool {
    let path = difference.path.as_str();
    let is_it = |tuned: &&str| path == *tuned || tuned.ends_with('/') && path.starts_with(*tuned);
    difference.after.is_none() && TUNED.iter().any(is_it)
}

/// The live XML of a guest, as a definition would say it.
pub(super) fn seen(live_xml: &Element) -> Element {
    let mut xml = live_xml.clone();
    xml.remove_attribute("id");
    // What was to be found is now what was found.
    if let Some(os) = xml.child_mut("os")
        && os.attribute_at("loader", "type") == Some("pflash")
    {
        os.set_attribute("firmware", "efi");
    }
    let Some(devices) = xml.child_mut("devices") else {
        return xml;
    };
    for device in &mut devices.children {
        match device.name.as_str() {
            // A network with a bridge or card of the host shows what the NIC was given there.
            "interface" if device.attribute_at("source", "network").is_some() => {
                device.set_attribute("type", "network");
                if let Some(source) = device.child_mut("source") {
                    for attribute in ["portid", "bridge", "dev", "mode"] {
                        source.remove_attribute(attribute);
                    }
                }
            }
            "disk" => {
                if let Some(source) = device.child_mut("source") {
                    source.remove_attribute("index");
                }
                device.children.retain(|child| {
                    let empty = child.attributes.is_empty() && child.children.is_empty();
                    let is_chain = matches!(child.name.as_str(), "backingStore" | "mirror");
                    let is_empty_source = child.name == "source" && empty;
                    !is_chain && !is_empty_source
                });
            }
            _ => {}
        }
    }
    xml
}

/// Whether a difference between what runs and a definition is there since libvirt filled something in. `definition` is what
/// the differences lead to.
pub(super) fn is_filled_in(difference: &Difference, definition: &Element) -> bool {
    let path = difference.path.as_str();
    if path.starts_with("domain/vcpus") {
        // Each processor by itself; their number says it all.
        return true;
    }
    if let Some(part) = path.strip_prefix("domain/cpu") {
        // The host's processor is spelled out, and others get what QEMU made of them.
        let is_spelled_out = || part != "@mode" || is_text(&difference.before, "custom");
        return definition.attribute_at("cpu", "mode") == Some("host-model") && is_spelled_out()
            || ["@check", "@match", "/model@fallback", "/vendor", "/feature"]
                .iter()
                .any(|filled| part.starts_with(filled));
    }
    if path.starts_with("domain/os/loader") || path.starts_with("domain/os/nvram") {
        return definition.attribute_at("os", "firmware").is_some();
    }
    let Some(part) = path.strip_prefix("domain/devices/") else {
        return false;
    };
    let (device, within) = part.split_once(['/', '@']).unwrap_or((part, ""));
    let whole = device_of(difference);
    let is = |attribute: &str, value: &str| {
        whole.is_some_and(|device| device.attribute(attribute) == Some(value))
    };
    match device {
        // libvirt adds ports to a definition as its devices need them; a running guest has those that it was started with.
        "controller" if is("type", "pci") => true,
        // One that nothing is on any more is no reason to restart a guest: it goes with its next start.
        "controller" => is("type", "scsi") && difference.after.is_none() && within.is_empty(),
        // The chain that a disk has is written down where somebody made an overlay.
        "disk" if within.starts_with("backingStore") || within.starts_with("mirror") => true,
        // An empty drive has no format.
        "disk" if within == "driver@type" => is("device", "cdrom") || is("device", "floppy"),
        "graphics" => is("autoport", "yes") && matches!(within, "port" | "tlsPort" | "websocket"),
        // Where a device was plugged in while the guest runs, and where it is after the next start.
        _ => within == "address" || within.starts_with("address@"),
    }
}

fn is_text(value: &Option<Value>, text: &str) -> bool {
    matches!(value, Some(Value::Text(is)) if is == text)
}

/// Whether it is a change of the processor that a running guest does not show: the host's is spelled out, as any other may be.
pub(super) fn is_hidden(difference: &Difference, wanted: &Element) -> bool {
    difference.path.starts_with("domain/cpu")
        && difference.cause != Cause::Drift
        && is_filled_in(difference, wanted)
}

/// The device that a difference is in, or that it is about.
pub(super) fn device_of(difference: &Difference) -> Option<&Element> {
    difference.within.get(1).or_else(|| difference.tree())
}

/// What a running guest does not have of an inactive definition, or still has.
pub(super) fn behind(live: &ObservedGuest, definition: &Element) -> Vec<Difference> {
    let Some(live_xml) = &live.live_xml else {
        return Vec::new();
    };
    let running = seen(&live_xml.tree());
    let mut differences = merge(std::slice::from_ref(&running), &running, definition).differences;
    differences.retain(|difference| {
        // What only the running guest has counts as whole devices and whole settings: inside them libvirt adds much.
        let added = difference.after.is_none() && {
            let whole = matches!(difference.before, Some(Value::Tree(_)));
            let path = difference.path.as_str();
            let depth = path.matches('/').count();
            let holder = path.rsplit_once('/').map_or("", |(holder, _)| holder);
            let is_of_many = holder == "domain/devices" || schema::is_container(holder);
            let is_own = depth == 1 || (depth == 2 && is_of_many);
            (!whole || !is_own || ADDED.contains(&path)) && !is_tuned(difference)
        };
        !added && !whose::is_by_itself(difference) && !is_filled_in(difference, definition)
    });
    without_balloon(&mut differences);
    differences
}

/// Leaves out what a guest has of its memory, which is its balloon driver's to give and take; a guest that has no more than
/// it could have has all.
pub(super) fn without_balloon(differences: &mut Vec<Difference>) {
    let most = differences
        .iter()
        .find(|difference| difference.path == "domain/memory")
        .cloned();
    differences.retain_mut(|difference| {
        if difference.path != "domain/currentMemory" {
            return true;
        }
        match &most {
            Some(most) if most.after == difference.after => {
                difference.before.clone_from(&most.before);
                true
            }
            Some(_) | None => false,
        }
    });
}
