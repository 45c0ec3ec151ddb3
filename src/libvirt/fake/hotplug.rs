//! What the fake does with guests that run.

use super::{Model, Refusal, fill, get, get_mut, refuse};
use crate::step::MetadataPart;
use crate::xml::tree::Element;

/// What a NIC or disk can be given while it is plugged in, and what its place stands in.
const CHANGEABLE: [&str; 6] = [
    "source",
    "link",
    "bandwidth",
    "filterref",
    "target",
    "backingStore",
];

impl Model {
    /// What a guest runs with; `None` where it is off.
    fn live_guest(&mut self, name: &str) -> Result<Option<&mut Element>, Refusal> {
        Ok(get_mut(&mut self.guests, "guest", name)?.live.as_mut())
    }

    pub(super) fn set_memory(&mut self, name: &str, kib: u64) -> Result<(), Refusal> {
        let Some(live) = self.live_guest(name)? else {
            return Ok(());
        };
        let most = live.text_at("memory").and_then(|most| most.parse().ok());
        if most.is_none_or(|most: u64| kib > most) {
            return refuse("cannot set memory higher than max memory");
        }
        live.child_or_insert("currentMemory").text = kib.to_string();
        Ok(())
    }

    pub(super) fn set_vcpus(&mut self, name: &str, count: u32) -> Result<(), Refusal> {
        let Some(live) = self.live_guest(name)? else {
            return Ok(());
        };
        let most: u32 = live
            .text_at("vcpu")
            .and_then(|most| most.parse().ok())
            .unwrap_or(1);
        let now = live
            .attribute_at("vcpu", "current")
            .and_then(|now| now.parse().ok());
        if count > most {
            return refuse(
                "requested vcpus is greater than max allowable vcpus for the live domain",
            );
        }
        if count < now.unwrap_or(most) {
            return refuse("vcpu unplug request timed out");
        }
        live.child_or_insert("vcpu")
            .set_attribute("current", count.to_string());
        Ok(())
    }

    pub(super) fn set_metadata(
        &mut self,
        name: &str,
        part: &MetadataPart,
        value: Option<&str>,
    ) -> Result<(), Refusal> {
        let Some(live) = self.live_guest(name)? else {
            return Ok(());
        };
        let simple = match part {
            MetadataPart::Title => "title",
            MetadataPart::Description => "description",
            MetadataPart::Element { key, uri } => {
                let metadata = live.child_or_insert("metadata");
                let prefix = format!("{key}:");
                metadata
                    .children
                    .retain(|child| !child.name.starts_with(&prefix));
                if let Some(mut element) = value.and_then(|text| Element::parse(text).ok()) {
                    element.name = format!("{prefix}{}", element.name);
                    element.set_attribute(&format!("xmlns:{key}"), uri.clone());
                    metadata.children.push(element);
                }
                return Ok(());
            }
        };
        live.children.retain(|child| child.name != simple);
        if let Some(value) = value {
            live.children.push(Element::new(simple).with_text(value));
        }
        Ok(())
    }

    pub(super) fn update_device(&mut self, name: &str, xml: &Element) -> Result<(), Refusal> {
        if get(&self.guests, "guest", name)?.live.is_none() {
            return Ok(());
        }
        self.can_plug(xml)?;
        let Some(live) = self.live_guest(name)? else {
            return Ok(());
        };
        let devices = &mut live.child_or_insert("devices").children;
        let Some(now) = devices.iter().find(|it| is_device(xml, it)).cloned() else {
            return refuse("device not found");
        };
        let is_ovs = now.attribute_at("virtualport", "type") == Some("openvswitch");
        let rest = |device: &Element| {
            let mut rest = device.children.clone();
            // A place that is not given stays.
            rest.retain(|child| {
                let name = child.name.as_str();
                let changes = CHANGEABLE.contains(&name) || is_ovs && name == "vlan";
                !changes && (name != "address" || xml.child(name).is_some())
            });
            rest.sort_by_key(ToString::to_string);
            rest
        };
        if rest(&now) != rest(xml) {
            return refuse(format!(
                "cannot modify this of a device: {now} is to be {xml}"
            ));
        }
        let places = devices.iter_mut().enumerate();
        for (at, device) in places.filter(|(_, device)| **device == now) {
            *device = xml.clone();
            for name in ["target", "address"] {
                if let (Some(child), None) = (now.child(name), device.child(name)) {
                    device.children.push(child.clone());
                }
            }
            fill::plugged(device, name, at);
        }
        Ok(())
    }

    /// Where the definition has it, if there is room.
    pub(super) fn attach_device(&mut self, name: &str, xml: &Element) -> Result<(), Refusal> {
        let guest = get(&self.guests, "guest", name)?;
        if guest.live.is_none() {
            return Ok(());
        }
        let defined = guest.xml.child("devices");
        let defined = defined.and_then(|it| {
            let device = it.children.iter().find(|it| is_device(xml, it))?;
            device.child("address")
        });
        let wanted = xml.child("address").or(defined).and_then(bus);
        self.can_plug(xml)?;
        let Some(live) = self.live_guest(name)? else {
            return Ok(());
        };
        let devices = live.child_or_insert("devices");
        let alias = |device: &Element| device.attribute_at("alias", "name").map(str::to_owned);
        let has_its_name = |it: &Element| alias(xml).is_none() || alias(xml) == alias(it);
        let mut same = devices.children.iter().filter(|it| is_device(xml, it));
        if same.any(has_its_name) {
            return Ok(());
        }
        let dev = xml.attribute_at("target", "dev");
        let is_taken = |disk: &Element| dev.is_some() && disk.attribute_at("target", "dev") == dev;
        if devices.children_named(&xml.name).any(is_taken) {
            return refuse(format!("target '{}' duplicated", dev.unwrap_or_default()));
        }
        let mut plugged = xml.clone();
        fill::plugged(&mut plugged, name, devices.children.len());
        if !fill::is_on_pci(xml) {
            devices.children.push(plugged);
            return Ok(());
        }
        let addresses = devices.children.iter().filter_map(|it| it.child("address"));
        let taken: Vec<u32> = addresses.filter_map(bus).collect();
        let ports = devices.children_named("controller");
        let free: Vec<u32> = ports
            .filter(|port| port.attribute("model") == Some("pcie-root-port"))
            .filter_map(|port| port.attribute("index")?.parse().ok())
            .filter(|index| !taken.contains(index))
            .collect();
        let wanted = wanted.filter(|wanted| free.contains(wanted));
        let Some(free) = wanted.or(free.first().copied()) else {
            return refuse("internal error: No more available PCI slots");
        };
        let address = Element::new("address")
            .with("type", "pci")
            .with("domain", "0x0000")
            .with("bus", format!("0x{free:02x}"))
            .with("slot", "0x00")
            .with("function", "0x0");
        plugged.children.retain(|child| child.name != "address");
        devices.children.push(plugged.with_child(address));
        Ok(())
    }

    pub(super) fn detach_device(&mut self, name: &str, xml: &Element) -> Result<(), Refusal> {
        let deaf = self.deaf.contains(name);
        let Some(live) = self.live_guest(name)? else {
            return Ok(());
        };
        let devices = &mut live.child_or_insert("devices").children;
        let Some(found) = devices.iter().position(|it| is_device(xml, it)) else {
            return Ok(());
        };
        if deaf && fill::is_on_pci(&devices[found]) {
            return refuse("the guest did not let go of it within 30 s");
        }
        devices.remove(found);
        Ok(())
    }

    /// A device needs its network and its file as a guest that starts does.
    fn can_plug(&self, device: &Element) -> Result<(), Refusal> {
        let devices = Element::new("devices").with_child(device.clone());
        self.can_start(&Element::new("domain").with_child(devices))
    }
}

/// Whether libvirt takes a device that is there for the one that is given: a disk by its target, a NIC by its MAC, any other by
/// its name or else by all that is said of it.
pub(super) fn is_device(given: &Element, there: &Element) -> bool {
    let by = |child, attribute| {
        let value = given.attribute_at(child, attribute);
        value.is_some_and(|it| Some(it) == there.attribute_at(child, attribute))
    };
    let is_named = given
        .attribute_at("alias", "name")
        .is_some_and(|it| it.starts_with("ua-"));
    given.name == there.name
        && match given.name.as_str() {
            "disk" => by("target", "dev"),
            "interface" => by("mac", "address"),
            _ if is_named => by("alias", "name"),
            _ => says(there, given),
        }
}

/// Whether a guest has a device.
pub(super) fn has_device(guest: &Element, device: &Element) -> bool {
    let devices = guest.child("devices").into_iter();
    devices
        .flat_map(|it| &it.children)
        .any(|it| is_device(it, device))
}

/// Whether all that one element says stands in another one.
fn says(all: &Element, some: &Element) -> bool {
    some.name == all.name
        && (some.text.is_empty() || some.text == all.text)
        && some.attributes.iter().all(|it| all.attributes.contains(it))
        && some
            .children
            .iter()
            .all(|it| all.children.iter().any(|all| says(all, it)))
}

/// The bus that an address has.
fn bus(address: &Element) -> Option<u32> {
    u32::from_str_radix(address.attribute("bus")?.trim_start_matches("0x"), 16).ok()
}
