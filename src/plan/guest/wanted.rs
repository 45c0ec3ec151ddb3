//! What is wanted of a guest that is there: the definition's XML, with what nobody wrote left as it is.

use std::collections::{BTreeMap, BTreeSet};

use crate::desired::Chosen;
use crate::lab::device_name::free;
use crate::lab::model::machine::KVM_ONLY;
use crate::libvirt::observed::{Observed, ObservedGuest};
use crate::plan::definition::with_uuid;
use crate::xml::merge::children_of;
use crate::xml::tree::Element;

/// The model of SCSI controllers that new guests get.
const SCSI_MODEL: &str = "virtio-scsi";

/// What is wanted of a guest that is there: what miniascape chose, and nobody wrote, stays as it is.
pub(in crate::plan) fn wanted(
    observed: &Observed,
    xml: &Element,
    chosen: &Chosen,
    live: &ObservedGuest,
) -> Element {
    let mut wanted = with_all_ports(observed, xml, chosen, live);
    keep_ports(&mut wanted, &live.xml.tree());
    wanted
}

/// The same with all PCIe ports that a new guest has: a guest that stops anyway gets them along with that.
pub(super) fn with_all_ports(
    observed: &Observed,
    xml: &Element,
    chosen: &Chosen,
    live: &ObservedGuest,
) -> Element {
    let live_xml = live.xml.tree();
    let mut wanted = with_uuid(xml, live.uuid);
    let mut keeps_cpu = chosen.cpu;
    if chosen.domain_type {
        let kvm_is_gone =
            live_xml.attribute("type") == Some("kvm") && wanted.attribute("type") == Some("qemu");
        match live_xml.attribute("type") {
            // What cannot run does not stay, nor does the processor that went with it.
            Some(_) if kvm_is_gone => keeps_cpu = false,
            Some(kind) => {
                wanted.set_attribute("type", kind);
                if kind == "qemu" {
                    drop_kvm_only(&mut wanted);
                }
            }
            None => {}
        }
    }
    let keep = |wanted: &mut Element, attribute: &str| {
        let now = live_xml.attribute_at("os/type", attribute);
        let os_type = wanted.child_mut("os").and_then(|os| os.child_mut("type"));
        if let (Some(now), Some(os_type)) = (now, os_type) {
            os_type.set_attribute(attribute, now);
        }
    };
    if chosen.machine {
        keep(&mut wanted, "machine");
        keep(&mut wanted, "arch");
    }
    if chosen.clock {
        keep_clock(&mut wanted, &live_xml);
    }
    if keeps_cpu {
        keep_cpu(&mut wanted, &live_xml);
    }
    keep_sources(&mut wanted, &live_xml, observed);
    keep_device_names(&mut wanted, &live_xml, &chosen.disks);
    wanted
}

/// What the template leaves out of guests without KVM.
fn drop_kvm_only(wanted: &mut Element) {
    let features = wanted.child_mut("features");
    if let Some(hyperv) = features.and_then(|it| it.child_mut("hyperv")) {
        let stays = |it: &Element| !KVM_ONLY.contains(&it.name.as_str());
        hyperv.children.retain(stays);
    }
}

/// What a clock shows stays where nobody said it, though there are timers.
fn keep_clock(wanted: &mut Element, live: &Element) {
    if let (Some(clock), Some(live)) = (wanted.child_mut("clock"), live.child("clock")) {
        clock.attributes.clone_from(&live.attributes);
    }
}

/// A guest that libvirt gave another SCSI controller keeps that as long as disks are on it: its system may boot from one, and have no
/// driver for another. What was applied with a model goes with it. Gives what is to be said of it.
pub(in crate::plan) fn keep_scsi_model(
    wanted: &mut Element,
    chosen: &Chosen,
    last: &[Element],
    live: &Element,
) -> Option<String> {
    let model = |guest| scsi_controller(guest).and_then(|it| it.attribute("model"));
    let on_scsi = |disk: &Element| disk.attribute_at("target", "bus") == Some("scsi");
    let now = model(live).filter(|now| *now != SCSI_MODEL)?;
    let is_libvirts = chosen.scsi_controller && last.iter().all(|last| model(last).is_none());
    let mut disks = live.child("devices")?.children_named("disk");
    if !is_libvirts || !disks.any(on_scsi) {
        return None;
    }
    let devices = &mut wanted.child_mut("devices")?.children;
    let controller = devices
        .iter_mut()
        .find(|device| is_scsi_controller(device))?;
    controller.remove_attribute("model");
    Some(format!(
        "its SCSI controller stays `{now}`; a new guest gets `{SCSI_MODEL}`, and so does this one if its `xml` says so"
    ))
}

/// A guest's first SCSI controller.
fn scsi_controller(guest: &Element) -> Option<&Element> {
    let devices = &guest.child("devices")?.children;
    devices.iter().find(|device| is_scsi_controller(device))
}

fn is_scsi_controller(device: &Element) -> bool {
    device.name == "controller"
        && device.attribute("type") == Some("scsi")
        && device.attribute("index").is_none_or(|index| index == "0")
}

/// The mode of the processor stays, with the model that it is about; what else an overlay says of `<cpu>` is wanted.
fn keep_cpu(wanted: &mut Element, live: &Element) {
    let Some(cpu) = wanted.child_mut("cpu") else {
        return;
    };
    let Some(live) = live.child("cpu") else {
        // A guest with libvirt's default processor keeps that, too. Features are those of a mode.
        if cpu.child("feature").is_none() {
            cpu.remove_attribute("mode");
        }
        if cpu.attributes.is_empty() && cpu.children.is_empty() {
            wanted.children.retain(|child| child.name != "cpu");
        }
        return;
    };
    for attribute in ["mode", "match"] {
        if let Some(value) = live.attribute(attribute) {
            cpu.set_attribute(attribute, value);
        }
    }
    if cpu.child("model").is_none() {
        cpu.children.extend(live.child("model").cloned());
    }
}

/// A disk that is the volume which the definition says, or its file, keeps how that is said.
fn keep_sources(wanted: &mut Element, live: &Element, observed: &Observed) {
    let path_of = |disk: &Element| {
        let source = disk.child("source")?;
        let of = |name: &str| source.attribute(name);
        let volume = of("pool").zip(of("volume"));
        match volume {
            Some((pool, volume)) => observed.place_of(pool, volume),
            None => of("file").or(of("dev")).map(str::to_owned),
        }
    };
    let live = live.child("devices").into_iter();
    let there: Vec<(String, &Element)> = live
        .flat_map(|devices| devices.children_named("disk"))
        .filter_map(|disk| Some((path_of(disk)?, disk)))
        .collect();
    let devices = wanted.child_mut("devices").into_iter();
    let disks = devices.flat_map(|devices| &mut devices.children);
    for disk in disks.filter(|device| device.name == "disk") {
        let path = path_of(disk);
        let same = there.iter().find(|(other, _)| Some(other) == path.as_ref());
        let Some((_, now)) =
            same.filter(|(_, now)| now.attribute("type") != disk.attribute("type"))
        else {
            continue;
        };
        if let (Some(kind), Some(source)) = (now.attribute("type"), now.child("source")) {
            disk.set_attribute("type", kind);
            let wanted = disk.child_or_insert("source");
            for name in ["file", "dev", "pool", "volume"] {
                wanted.remove_attribute(name);
                if let Some(value) = source.attribute(name) {
                    wanted.set_attribute(name, value);
                }
            }
        }
    }
}

/// A disk keeps the device name that it was given when others come or go before it. `chosen` are the aliases of those that may
/// have any.
fn keep_device_names(wanted: &mut Element, live: &Element, chosen: &BTreeSet<String>) {
    let alias = |disk: &Element| disk.attribute_at("alias", "name").map(str::to_owned);
    let is_chosen = |disk: &Element| alias(disk).is_some_and(|alias| chosen.contains(&alias));
    let target = |disk: &Element| {
        let of = |name: &str| disk.attribute_at("target", name).map(str::to_owned);
        Some((of("bus")?, of("dev")?))
    };
    let there: BTreeMap<String, (String, String)> = {
        let (Some(ours), Some(theirs)) = (wanted.child("devices"), live.child("devices")) else {
            return;
        };
        let same = children_of("domain/devices", ours, theirs);
        let disks = ours.children.iter().zip(same);
        disks
            .filter(|(device, _)| device.name == "disk")
            .filter_map(|(disk, now)| Some((alias(disk)?, target(now?)?)))
            .collect()
    };
    let Some(devices) = wanted.child_mut("devices") else {
        return;
    };
    let mut disks: Vec<&mut Element> = devices
        .children
        .iter_mut()
        .filter(|device| device.name == "disk")
        .collect();
    let given = disks.iter().filter(|disk| !is_chosen(disk));
    let mut taken: BTreeSet<String> = given.filter_map(|disk| Some(target(disk)?.1)).collect();
    disks.retain(|disk| is_chosen(disk));
    // Those that are there first, so that what is new goes where there is room.
    let (kept, new): (Vec<_>, Vec<_>) = disks.into_iter().partition(|disk| {
        let now = alias(disk).and_then(|alias| there.get(&alias));
        let same_bus = now.map(|(bus, _)| bus) == target(disk).map(|(bus, _)| bus).as_ref();
        now.is_some() && same_bus
    });
    for disk in kept.into_iter().chain(new) {
        let Some((bus, derived)) = target(disk) else {
            continue;
        };
        let now = alias(disk)
            .and_then(|alias| there.get(&alias))
            .filter(|(now, dev)| *now == bus && !taken.contains(dev));
        let dev = match now {
            Some((_, dev)) => dev.clone(),
            None if !taken.contains(&derived) => derived,
            None => {
                let prefix: String = derived.chars().take(2).collect();
                free(&prefix, |name| taken.contains(name))
            }
        };
        if let Some(target) = disk.child_mut("target") {
            target.set_attribute("dev", &dev);
        }
        taken.insert(dev);
    }
}

/// Whether a guest's devices are in PCIe ports.
pub(super) fn has_ports(live: &Element) -> bool {
    let devices = live.child("devices").into_iter();
    let mut controllers = devices.flat_map(|devices| devices.children_named("controller"));
    controllers.any(|controller| controller.attribute("model") == Some("pcie-root"))
}

/// Ports that are only there for later are no reason to restart a guest: it keeps those it has.
fn keep_ports(wanted: &mut Element, live: &Element) {
    let model = |controller: &Element| match controller.name.as_str() {
        "controller" if controller.attribute("type") == Some("pci") => {
            controller.attribute("model").map(str::to_owned)
        }
        _ => None,
    };
    let live = live.child("devices").map_or(&[][..], |d| &d.children);
    let mut there: Vec<String> = live.iter().filter_map(model).collect();
    let Some(devices) = wanted.child_mut("devices") else {
        return;
    };
    devices.children.retain(|device| {
        let Some(model) = model(device) else {
            return true;
        };
        let found = there.iter().position(|other| *other == model);
        if let Some(at) = found {
            there.remove(at);
        }
        // One of which more is written is the user's.
        let is_plain = matches!(model.as_str(), "pcie-root" | "pcie-root-port")
            && device.attributes.len() == 2
            && device.children.is_empty();
        found.is_some() || !is_plain
    });
}

/// What libvirt chose and what the definition now rules out: put among the trees that were applied last, it goes.
pub(super) fn outdated_choices(live: &Element, wanted: &Element) -> Option<Element> {
    let devices = |tree: &Element| {
        tree.child("devices")
            .map_or(&[][..], |d| &d.children)
            .to_vec()
    };
    let mut outdated = Element::new("domain");
    // The order of boot devices is told either way, not both.
    let by_device = devices(wanted).iter().any(|d| d.child("boot").is_some());
    if by_device
        && wanted.find("os/boot").is_none()
        && let Some(os) = live.child("os")
    {
        let boot = os.children_named("boot").cloned();
        outdated.child_or_insert("os").children.extend(boot);
    }
    // Without a number of its own a guest has as many processors as it can have.
    if let (Some(vcpu), Some(current)) =
        (wanted.child("vcpu"), live.attribute_at("vcpu", "current"))
    {
        let all = vcpu.attribute("current").is_none();
        if all && current != vcpu.text {
            let vcpu = outdated.child_or_insert("vcpu");
            vcpu.set_attribute("current", current);
        }
        // What libvirt says of each goes by the old number.
        if wanted.child("vcpus").is_none() && vcpu.attribute("current") != Some(current) {
            outdated.children.extend(live.child("vcpus").cloned());
        }
    }
    (!outdated.children.is_empty()).then_some(outdated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::merge::merge;

    fn xml(text: &str) -> Element {
        Element::parse(text).unwrap()
    }

    fn merged(last: &str, live: &str, wanted: &str) -> Element {
        let (live, wanted) = (xml(live), xml(wanted));
        let mut last = vec![xml(last)];
        last.extend(outdated_choices(&live, &wanted));
        merge(&last, &live, &wanted).target
    }

    #[test]
    fn a_chosen_processor_keeps_its_mode_and_takes_the_rest() {
        let mut wanted = xml("<domain><cpu mode='maximum'><topology cores='2'/></cpu></domain>");
        let live =
            xml("<domain><cpu mode='custom' check='none'><model>core2duo</model></cpu></domain>");
        keep_cpu(&mut wanted, &live);
        let expected = xml(
            "<domain><cpu mode='custom'><topology cores='2'/><model>core2duo</model></cpu></domain>",
        );
        assert_eq!(wanted, expected);

        let mut wanted = xml("<domain><cpu mode='maximum'/></domain>");
        keep_cpu(&mut wanted, &xml("<domain/>"));
        assert_eq!(wanted, xml("<domain/>"));
    }

    #[test]
    fn boot_order_by_device_replaces_libvirts_own() {
        let live = "<domain><os><type>hvm</type><boot dev='hd'/></os><devices><disk><target dev='vda'/></disk></devices></domain>";
        let wanted = "<domain><os><type>hvm</type></os><devices><disk><target dev='vda'/><boot order='1'/></disk></devices></domain>";
        let target = merged("<domain/>", live, wanted);
        assert!(target.find("os/boot").is_none());
        assert!(target.find("devices/disk/boot").is_some());
    }
}
