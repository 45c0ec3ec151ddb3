//! What is changed of a guest while it runs, and how: by the rows of its keys, and by what it runs with.

use std::collections::BTreeSet;

use super::running::{device_of, is_filled_in, seen, without_balloon};
use crate::lab::attributes::Way;
use crate::lab::places;
use crate::libvirt::observed::{ObservedGuest, Power};
use crate::plan::foreign::Foreign;
use crate::plan::label::Cost;
use crate::plan::{Disruption, Remark};
use crate::state::Entry;
use crate::step::{MetadataPart, Named, Step};
use crate::units::size;
use crate::xml::merge::{Difference, Merged, Value, like};
use crate::xml::schema::{self, Strength};
use crate::xml::spelling;
use crate::xml::tree::Element;

/// Seconds that a guest has to let go of a device.
const DETACH_TIMEOUT: u64 = 30;

/// A guest that runs.
pub(super) struct Running {
    /// What it runs with, as a definition would say it.
    xml: Element,
    power: Power,
}

/// What a running guest lacks of what is wanted.
pub(super) struct Missing {
    merged: Merged,
    /// What each of the differences costs.
    costs: Vec<Cost>,
}

impl Running {
    /// The guest, if it runs.
    pub(super) fn of(live: &ObservedGuest) -> Option<Self> {
        let xml = live.live_xml.as_ref().filter(|_| live.power.is_active())?;
        Some(Self {
            xml: spelling::canonical(&seen(&xml.tree())),
            power: live.power,
        })
    }

    /// What others changed of what runs and the lab puts back, where `defined` is what they changed of its definition.
    pub(super) fn foreign(
        &self,
        entry: Option<&Entry>,
        wanted: &Element,
        defined: &Foreign,
    ) -> Foreign {
        let running = Foreign::of(entry, &self.xml, wanted);
        defined.while_running(running, |difference| {
            // The limit of a port group is shown as that of its NICs.
            let is_limit = difference.path == "domain/devices/interface/bandwidth";
            is_live(difference) && !is_limit && !is_filled_in(difference, wanted)
        })
    }

    /// Compares what runs with what is wanted. `memory` says whether what the guest has of its memory is looked at: that is
    /// its balloon driver's to give and take, and no sign of a change.
    pub(super) fn missing(
        &self,
        foreign: &Foreign,
        last: &[Element],
        wanted: &Element,
        memory: Balloon,
    ) -> Missing {
        let mut merged = foreign.merge(last, &self.xml, wanted);
        merged.differences.retain(|difference| {
            !schema::is_mark(&difference.path) && !is_filled_in(difference, wanted)
        });
        if memory == Balloon::Left {
            without_balloon(&mut merged.differences);
        }
        let costs = self.costs(&merged.differences);
        Missing { merged, costs }
    }

    /// What each difference costs the guest as it runs.
    pub(super) fn costs(&self, differences: &[Difference]) -> Vec<Cost> {
        let mut ports = self.free_ports();
        let max = changed_maximum(differences);
        differences
            .iter()
            .map(|difference| {
                if !is_live(difference) {
                    return Cost::from(Disruption::Restart);
                }
                // Without a maximum of its own the memory is the maximum.
                let is_all = max.is_some() && max == difference.after;
                if places::way(&difference.path) == Way::SetMemory
                    && (is_all || self.is_above_maximum(difference))
                {
                    return Cost {
                        class: Disruption::Restart,
                        note: self.above_maximum(difference).map(Remark::Said),
                    };
                }
                match self.obstacle(difference, &mut ports) {
                    None => Cost::from(Disruption::Live),
                    Some(why) => Cost {
                        class: Disruption::Restart,
                        note: Some(Remark::Said(why)),
                    },
                }
            })
            .collect()
    }

    /// Why a difference that could be changed while guests run cannot be changed in this one.
    fn obstacle(&self, difference: &Difference, ports: &mut usize) -> Option<String> {
        if self.xml.attribute("type") == Some("test") {
            return match places::way(&difference.path) {
                Way::SetMetadata => None,
                _ => Some("the test driver changes nothing that runs".to_owned()),
            };
        }
        match places::way(&difference.path) {
            Way::SetMemory => {
                let model = self.xml.attribute_at("devices/memballoon", "model");
                let has_balloon = model.is_some_and(|model| model != "none");
                (!has_balloon).then(|| "it has no memory balloon".to_owned())
            }
            Way::SetVcpus => {
                let (now, most) = vcpus(&self.xml)?;
                let wanted = vcpus_after(difference)?;
                if wanted > most {
                    Some(format!("live maximum is {most}"))
                } else if wanted < now {
                    Some("fewer only by a restart".to_owned())
                } else {
                    None
                }
            }
            Way::Plug => {
                let device = device_of(difference)?;
                match difference.after {
                    Some(_) => self.cannot_attach(device, ports),
                    None => self.cannot_detach(device),
                }
            }
            Way::UpdateDevice if difference.path == "domain/devices/interface@type" => {
                let plain = |value: &Option<Value>| matches!(value, Some(Value::Text(kind)) if kind == "network" || kind == "bridge");
                let both = plain(&difference.before) && plain(&difference.after);
                (!both).then(|| "it is another kind of NIC".to_owned())
            }
            Way::UpdateDevice if difference.path.starts_with("domain/devices/interface/vlan") => {
                let now = difference.within.get(1).and_then(|nic| {
                    like("domain/devices", nic, &self.xml.child("devices")?.children)
                });
                let port = now.and_then(|nic| nic.attribute_at("virtualport", "type"));
                (port != Some("openvswitch")).then(|| "it is no port of Open vSwitch".to_owned())
            }
            _ => None,
        }
    }

    /// The memory in KiB that the guest can have while it runs.
    fn maximum(&self) -> Option<u64> {
        self.xml.text_at("memory")?.parse().ok()
    }

    fn is_above_maximum(&self, difference: &Difference) -> bool {
        let wanted = match &difference.after {
            Some(Value::Text(wanted)) => wanted.parse().ok(),
            Some(Value::Tree(_)) | None => None,
        };
        wanted
            .zip(self.maximum())
            .is_some_and(|(wanted, most): (u64, u64)| wanted > most)
    }

    /// What is said of memory above the maximum: where all of it is in use, the maximum is what stands before the arrow.
    fn above_maximum(&self, difference: &Difference) -> Option<String> {
        let most = self.maximum()?;
        let told = Some(Value::Text(most.to_string())) != difference.before;
        (told && self.is_above_maximum(difference))
            .then(|| format!("live maximum is {}", size(most.saturating_mul(1024))))
    }

    /// Whether a disk of the running guest is the same file, device or volume.
    fn has_source_of(&self, disk: &Element) -> bool {
        // By these a disk is known whatever its name is.
        let sources = schema::keys("domain/devices/disk").iter();
        let mut sources = sources.filter(|key| key.strength == Strength::Weak);
        let devices = self.xml.child("devices").into_iter();
        let there = devices.flat_map(|devices| devices.children_named("disk"));
        let there: Vec<&Element> = there.collect();
        sources.any(|key| {
            let wanted = key.of(disk);
            wanted.is_some() && there.iter().any(|there| key.of(there) == wanted)
        })
    }

    fn cannot_attach(&self, device: &Element, ports: &mut usize) -> Option<String> {
        if device.name == "disk" {
            if device
                .attribute("device")
                .is_some_and(|kind| kind != "disk")
            {
                return Some("a drive is not plugged in while it runs".to_owned());
            }
            if self.has_source_of(device) {
                return Some("it has this disk under another name".to_owned());
            }
            match device.attribute_at("target", "bus") {
                Some("virtio") => {}
                Some(bus @ ("scsi" | "usb")) => {
                    let there = self.controllers(bus).next().is_some();
                    return (!there).then(|| format!("it runs without a {bus} controller"));
                }
                bus => {
                    return Some(format!(
                        "{} disks are not plugged in while it runs",
                        bus.unwrap_or("such")
                    ));
                }
            }
        }
        if device.name == "hostdev" {
            match device.attribute("type") {
                Some("pci") => {}
                Some("usb") => {
                    let there = self.controllers("usb").next().is_some();
                    return (!there).then(|| "it runs without a usb controller".to_owned());
                }
                Some(_) | None => {
                    return Some("such a device is not plugged in while it runs".to_owned());
                }
            }
        }
        let model = device.attribute_at("model", "type").unwrap_or("virtio");
        if device.name == "interface"
            && self.is_pcie()
            && !(model.starts_with("virtio") || model == "e1000e")
        {
            return Some(format!("{model} fits into no PCIe port"));
        }
        match ports.checked_sub(1) {
            Some(left) => {
                *ports = left;
                None
            }
            None if self.is_pcie() => Some("no PCIe port is free".to_owned()),
            None => Some("its machine takes no devices while it runs".to_owned()),
        }
    }

    fn cannot_detach(&self, device: &Element) -> Option<String> {
        if self.power == Power::Paused {
            return Some("it is paused and cannot let go of it".to_owned());
        }
        if device.name == "disk" {
            let bus = device.attribute_at("target", "bus").unwrap_or_default();
            let is_disk = device.attribute("device").is_none_or(|kind| kind == "disk");
            if !is_disk || !matches!(bus, "virtio" | "scsi" | "usb") {
                return Some("it is not unplugged while it runs".to_owned());
            }
            if bus != "virtio" {
                return None;
            }
        }
        if device.name == "hostdev" {
            match device.attribute("type") {
                Some("pci") => {}
                Some("usb") => return None,
                Some(_) | None => return Some("it is not unplugged while it runs".to_owned()),
            }
        }
        let address = device.child("address");
        let bus = address.and_then(|address| number(address.attribute("bus")?));
        if self.is_pcie() && bus == Some(0) {
            return Some("it is built into the machine".to_owned());
        }
        if !self.is_pcie() && self.xml.find("features/acpi").is_none() {
            return Some("without ACPI it cannot be asked for it".to_owned());
        }
        None
    }

    fn controllers<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Element> {
        let devices = self.xml.child("devices").into_iter();
        devices
            .flat_map(|devices| devices.children_named("controller"))
            .filter(move |controller| controller.attribute("type") == Some(kind))
    }

    fn is_pcie(&self) -> bool {
        self.controllers("pci")
            .any(|controller| controller.attribute("model") == Some("pcie-root"))
    }

    /// How many PCI devices can still be plugged in.
    fn free_ports(&self) -> usize {
        let devices = self.xml.child("devices").map_or(&[][..], |d| &d.children);
        let taken = |part: &str| -> BTreeSet<u32> {
            devices
                .iter()
                .filter_map(|device| device.child("address"))
                .filter(|address| address.attribute("type") == Some("pci"))
                .filter(|address| part == "bus" || number_of(address, "bus") == Some(0))
                .filter_map(|address| number_of(address, part))
                .collect()
        };
        if self.is_pcie() {
            let taken = taken("bus");
            return self
                .controllers("pci")
                .filter(|controller| controller.attribute("model") == Some("pcie-root-port"))
                .filter_map(|controller| controller.attribute("index")?.parse().ok())
                .filter(|index| !taken.contains(index))
                .count();
        }
        let has_acpi = self.xml.find("features/acpi").is_some();
        let on_bus = self
            .controllers("pci")
            .any(|controller| controller.attribute("model") == Some("pci-root"));
        // Of 32 slots the first three are the machine's own.
        match on_bus && has_acpi {
            true => 29usize.saturating_sub(taken("slot").range(3..).count()),
            false => 0,
        }
    }
}

/// Whether the guest's own share of its memory is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Balloon {
    /// It is to be changed, or a run that was to change it did not end.
    Looked,
    /// It is what it is.
    Left,
}

impl Missing {
    /// Whether something is missing that only a restart brings about.
    pub(super) fn needs_restart(&self) -> bool {
        self.costs
            .iter()
            .any(|cost| cost.class == Disruption::Restart)
    }

    /// Whether nothing is missing.
    pub(super) fn is_empty(&self) -> bool {
        self.merged.differences.is_empty()
    }

    /// All that is missing, and what each of it costs.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Difference, &Cost)> {
        self.merged.differences.iter().zip(&self.costs)
    }

    /// What can be changed while the guest runs.
    pub(super) fn live(&self) -> Vec<Difference> {
        self.all()
            .filter(|(_, cost)| cost.class == Disruption::Live)
            .map(|(difference, _)| difference.clone())
            .collect()
    }

    /// The steps that change it: first what goes, which makes room, then what comes.
    pub(super) fn steps(&self, name: &Named, running: &Running) -> Vec<Step> {
        let mut steps = Vec::new();
        let guest = || name.clone();
        for difference in self.live() {
            let text = match &difference.after {
                Some(Value::Text(text)) => Some(text.clone()),
                Some(Value::Tree(tree)) => Some(tree.text.clone()),
                None => None,
            };
            let step = match places::way(&difference.path) {
                Way::SetMemory => {
                    text.and_then(|kib| kib.parse().ok())
                        .map(|kib| Step::SetMemory {
                            guest: guest(),
                            kib,
                        })
                }
                Way::SetVcpus => vcpus_after(&difference)
                    .filter(|count| vcpus(&running.xml).is_none_or(|(now, _)| now != *count))
                    .map(|count| Step::SetVcpus {
                        guest: guest(),
                        count,
                    }),
                Way::SetMetadata => {
                    self.metadata(&difference, text)
                        .map(|(part, value)| Step::SetMetadata {
                            guest: guest(),
                            part,
                            value,
                        })
                }
                Way::Plug => match (&difference.before, &difference.after) {
                    (_, Some(Value::Tree(device))) => Some(Step::AttachDevice {
                        guest: guest(),
                        xml: device.clone(),
                    }),
                    (Some(Value::Tree(device)), _) => Some(Step::DetachDevice {
                        guest: guest(),
                        xml: device.clone(),
                        timeout: DETACH_TIMEOUT,
                    }),
                    _ => None,
                },
                Way::UpdateDevice => {
                    self.updated(&difference, running)
                        .map(|xml| Step::UpdateDevice {
                            guest: guest(),
                            xml,
                        })
                }
                _ => None,
            };
            if let Some(step) = step.filter(|step| !steps.contains(step)) {
                steps.push(step);
            }
        }
        steps.sort_by_key(|step| match step {
            Step::DetachDevice { .. } => 0,
            Step::UpdateDevice { .. } => 1,
            Step::AttachDevice { .. } => 2,
            _ => 3,
        });
        steps
    }

    /// A device with all of its live changes, and otherwise as it runs: what an update leaves out reads as removed.
    fn updated(&self, difference: &Difference, running: &Running) -> Option<Element> {
        const DEVICES: &str = "domain/devices";
        let wanted = difference.within.get(1)?;
        let target = like(
            DEVICES,
            wanted,
            &self.merged.target.child("devices")?.children,
        )?;
        let now = like(DEVICES, wanted, &running.xml.child("devices")?.children)?;
        let mut device = now.clone();
        let parts = places::elements(&format!("{DEVICES}/{}", device.name), Way::UpdateDevice);
        if let Some(kind) = target.attribute("type") {
            device.set_attribute("type", kind);
        }
        device
            .children
            .retain(|child| !parts.contains(&child.name.as_str()));
        let new = target
            .children
            .iter()
            .filter(|child| parts.contains(&child.name.as_str()));
        device.children.extend(new.cloned());
        Some(device)
    }

    /// The title or description, or the element of the metadata that a difference is in: what tells it, and its text.
    fn metadata(
        &self,
        difference: &Difference,
        text: Option<String>,
    ) -> Option<(MetadataPart, Option<String>)> {
        match difference.path.as_str() {
            "domain/title" => return Some((MetadataPart::Title, text)),
            "domain/description" => return Some((MetadataPart::Description, text)),
            _ => {}
        }
        let element = difference.within.get(1).or_else(|| device_of(difference))?;
        let (key, name) = element.name.split_once(':')?;
        let uri = element.attribute(&format!("xmlns:{key}"))?.to_owned();
        let metadata = self.merged.target.child("metadata");
        let after = metadata.and_then(|metadata| metadata.child(&element.name));
        // libvirt puts the prefix in itself, and declares it for this element alone.
        let value = after.map(|after| {
            let mut after = after.clone();
            name.clone_into(&mut after.name);
            let declaration = format!("xmlns:{key}");
            after.remove_attribute(&declaration);
            for child in &mut after.children {
                if child.to_string().contains(&format!("{key}:")) {
                    child.set_attribute(&declaration, uri.clone());
                }
            }
            after.to_string()
        });
        let part = MetadataPart::Element {
            key: key.to_owned(),
            uri,
        };
        Some((part, value))
    }
}

/// Whether something is changed while guests run.
fn is_live(difference: &Difference) -> bool {
    let path = difference.path.as_str();
    // Only a drive has a medium that can be changed.
    let is_fixed = path.starts_with("domain/devices/disk")
        && places::way(path) == Way::UpdateDevice
        && !device_of(difference)
            .is_some_and(|disk| matches!(disk.attribute("device"), Some("cdrom" | "floppy")));
    places::way(path) != Way::RestartGuest && !is_fixed
}

/// What a guest runs with once its steps are done, as far as it uses networks and volumes.
pub(in crate::plan) fn left(live_xml: &Element, steps: &[Step]) -> Element {
    let mut xml = live_xml.clone();
    let Some(devices) = xml.child_mut("devices") else {
        return xml;
    };
    for step in steps {
        let (device, by) = match step {
            Step::DetachDevice { xml, .. } => (xml, None),
            Step::UpdateDevice { xml, .. } => (xml, Some(xml)),
            _ => continue,
        };
        let Some(now) = like("domain/devices", device, &devices.children).cloned() else {
            continue;
        };
        devices.children.retain(|other| *other != now);
        devices.children.extend(by.cloned());
    }
    xml
}

/// Whether a step is about a guest that runs, and nothing to do with one that is off.
pub(super) fn is_for_running(step: &Step) -> bool {
    matches!(
        step,
        Step::SetMemory { .. }
            | Step::SetVcpus { .. }
            | Step::UpdateDevice { .. }
            | Step::AttachDevice { .. }
            | Step::DetachDevice { .. }
            | Step::SetMetadata { .. }
            | Step::PlugIn { .. }
    )
}

/// The maximum of the memory, where it changes.
fn changed_maximum(differences: &[Difference]) -> Option<Value> {
    let maximum = differences
        .iter()
        .find(|difference| difference.path == "domain/memory")?;
    maximum.after.clone()
}

/// How many processors a guest has, and how many it could have.
fn vcpus(xml: &Element) -> Option<(u32, u32)> {
    let most = xml.text_at("vcpu")?.parse().ok()?;
    let now = xml.attribute_at("vcpu", "current");
    Some((now.map_or(Some(most), |now| now.parse().ok())?, most))
}

/// How many processors a guest is to have: without a number of its own, all.
fn vcpus_after(difference: &Difference) -> Option<u32> {
    match &difference.after {
        Some(Value::Text(text)) => text.parse().ok(),
        Some(Value::Tree(_)) => None,
        None => difference.within.last()?.text.parse().ok(),
    }
}

fn number_of(address: &Element, attribute: &str) -> Option<u32> {
    number(address.attribute(attribute)?)
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}
