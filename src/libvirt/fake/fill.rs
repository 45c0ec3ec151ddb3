//! What libvirt fills in: definitions as they come back. After libvirt 9.0.0 with QEMU 7.2.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::spelling::written;
use crate::xml::tree::Element;

/// The host that every fake pretends to be.
pub(super) const HOST: Uuid = Uuid::from_u128(0x6661_6b65_0000_4000_8000_0000_0000_0001);

/// A definition with its UUID, in libvirt's spelling.
fn base(xml: &Element) -> Element {
    let mut xml = written(xml);
    let uuid = uuid_of(&xml).to_string();
    xml.child_or_insert("uuid").text = uuid;
    xml
}

fn default_attribute(element: &mut Element, name: &str, value: &str) {
    if element.attribute(name).is_none() {
        element.set_attribute(name, value);
    }
}

fn default_text(parent: &mut Element, name: &str, text: &str) {
    let element = parent.child_or_insert(name);
    if element.text.is_empty() {
        element.text = text.to_owned();
    }
}

/// A network: bridge, MAC. `bridges` are those in use, by network.
pub(super) fn network(xml: &Element, bridges: &[(String, String)]) -> Element {
    let mut xml = base(xml);
    let mode = xml
        .child("forward")
        .map(|forward| forward.attribute("mode").unwrap_or("nat").to_owned());
    if mode.as_deref() == Some("bridge") {
        return xml;
    }
    if mode.as_deref() == Some("nat") {
        xml.child_or_insert("forward").set_attribute("mode", "nat");
    }
    if let Some(forward) = xml
        .child_mut("forward")
        .filter(|_| mode.as_deref() != Some("nat"))
    {
        forward.children.retain(|child| child.name != "nat");
    }
    let name = xml.text_at("name").unwrap_or_default().to_owned();
    let free = (0..)
        .map(|n| format!("virbr{n}"))
        .find(|free| bridges.iter().all(|(_, used)| used != free))
        .unwrap_or_default();
    let bridge = xml.child_or_insert("bridge");
    default_attribute(bridge, "name", &free);
    default_attribute(bridge, "stp", "on");
    default_attribute(bridge, "delay", "0");
    let bridge = bridge.attribute("name").unwrap_or_default().to_owned();
    let mac = xml.child_or_insert("mac");
    default_attribute(mac, "address", &invented_mac(&format!("{name} {bridge}")));
    xml
}

/// What a network runs with: the definition and the ports of its address translation.
pub(super) fn running_network(xml: &Element) -> Element {
    let mut xml = xml.clone();
    if xml.attribute_at("forward", "mode") == Some("nat") {
        let forward = xml.child_or_insert("forward");
        let port = forward.child_or_insert("nat").child_or_insert("port");
        default_attribute(port, "start", "1024");
        default_attribute(port, "end", "65535");
    }
    xml
}

/// A MAC that libvirt would draw at random, here from a text, so that it is the same each time and another each time
/// that libvirt would draw another.
fn invented_mac(text: &str) -> String {
    let bytes = uuid::Uuid::new_v5(&HOST, text.as_bytes());
    let [a, b, c, ..] = bytes.as_bytes();
    format!("52:54:00:{a:02x}:{b:02x}:{c:02x}")
}

/// A pool: source, sizes, permissions.
pub(super) fn pool(xml: &Element) -> Element {
    let mut xml = base(xml);
    xml.child_or_insert("source");
    for size in ["capacity", "allocation", "available"] {
        let element = xml.child_or_insert(size);
        default_attribute(element, "unit", "bytes");
        if element.text.is_empty() {
            element.text = "0".to_owned();
        }
    }
    permissions(xml.child_or_insert("target"), "0711");
    xml
}

fn permissions(target: &mut Element, mode: &str) {
    let permissions = target.child_or_insert("permissions");
    default_text(permissions, "mode", mode);
    default_text(permissions, "owner", "0");
    default_text(permissions, "group", "0");
}

/// A volume: key, path, allocation, permissions.
pub(super) fn volume(xml: &Element, path: &str) -> Element {
    let mut xml = written(xml);
    xml.set_attribute("type", "file");
    default_text(&mut xml, "key", path);
    for (size, text) in [("allocation", "196616"), ("physical", "196616")] {
        default_attribute(xml.child_or_insert(size), "unit", "bytes");
        default_text(&mut xml, size, text);
    }
    let target = xml.child_or_insert("target");
    default_text(target, "path", path);
    default_attribute(target.child_or_insert("format"), "type", "raw");
    permissions(target, "0600");
    if target.attribute_at("format", "type") == Some("qcow2") {
        default_text(target, "compat", "1.1");
        default_text(target, "clusterSize", "65536");
        target.child_or_insert("features");
    }
    if let Some(backing) = xml.child_mut("backingStore") {
        permissions(backing, "0600");
    }
    xml
}

/// A guest: everything that QEMU needs to be told and the definition leaves open.
pub(super) fn guest(xml: &Element) -> Element {
    let mut xml = base(xml);
    xml.remove_attribute("id");
    default_attribute(&mut xml, "type", "qemu");
    if let Some(memory) = xml.child("memory").cloned() {
        let current = xml.child_or_insert("currentMemory");
        if current.text.is_empty() {
            *current = memory;
            current.name = "currentMemory".to_owned();
        }
    }
    default_text(&mut xml, "vcpu", "1");
    default_attribute(xml.child_or_insert("vcpu"), "placement", "static");
    let boots = xml
        .child("devices")
        .is_some_and(|d| d.children.iter().any(|c| c.child("boot").is_some()));
    let os = xml.child_or_insert("os");
    let kind = os.child_or_insert("type");
    default_attribute(kind, "arch", "x86_64");
    let machine = match kind.attribute("machine") {
        Some("q35") => "pc-q35-7.2".to_owned(),
        None | Some("pc") => "pc-i440fx-7.2".to_owned(),
        Some(other) => other.to_owned(),
    };
    kind.set_attribute("machine", &machine);
    if !boots {
        default_attribute(os.child_or_insert("boot"), "dev", "hd");
    }
    if let Some(cpu) = xml.child_mut("cpu") {
        default_attribute(cpu, "check", "none");
        if matches!(cpu.attribute("mode"), Some("host-passthrough" | "maximum")) {
            default_attribute(cpu, "migratable", "on");
        }
    }
    default_attribute(xml.child_or_insert("clock"), "offset", "utc");
    for (event, action) in [
        ("on_poweroff", "destroy"),
        ("on_reboot", "restart"),
        ("on_crash", "destroy"),
    ] {
        default_text(&mut xml, event, action);
    }
    devices(xml.child_or_insert("devices"), machine.contains("q35"));
    xml
}

fn devices(devices: &mut Element, is_q35: bool) {
    for device in &mut devices.children {
        let own = device
            .attribute_at("alias", "name")
            .is_some_and(|name| name.starts_with("ua-"));
        if !own {
            device.children.retain(|child| child.name != "alias");
        }
    }
    default_text(devices, "emulator", "/usr/bin/qemu-system-x86_64");
    serials(devices);
    add_missing(
        devices,
        "controller",
        ("type", "usb"),
        Element::new("controller")
            .with("type", "usb")
            .with("index", "0")
            .with("model", "qemu-xhci")
            .with("ports", "15"),
    );
    let root = if is_q35 { "pcie-root" } else { "pci-root" };
    add_missing(
        devices,
        "controller",
        ("type", "pci"),
        Element::new("controller")
            .with("type", "pci")
            .with("index", "0")
            .with("model", root),
    );
    if devices.child("channel").is_some() {
        let controller = Element::new("controller")
            .with("type", "virtio-serial")
            .with("index", "0");
        add_missing(devices, "controller", ("type", "virtio-serial"), controller);
    }
    for bus in ["mouse", "keyboard"] {
        let input = Element::new("input").with("type", bus).with("bus", "ps2");
        add_missing(devices, "input", ("type", bus), input);
    }
    let audio = Element::new("audio").with("id", "1").with("type", "none");
    add_missing(devices, "audio", ("id", "1"), audio);
    let balloon = Element::new("memballoon").with("model", "virtio");
    add_missing(devices, "memballoon", ("model", "virtio"), balloon);
    addresses(devices, is_q35);
}

fn add_missing(devices: &mut Element, name: &str, known_by: (&str, &str), device: Element) {
    let (attribute, value) = known_by;
    let there = devices
        .children_named(name)
        .any(|child| child.attribute(attribute) == Some(value));
    if !there {
        devices.children.push(device);
    }
}

/// The first serial port is the console too.
fn serials(devices: &mut Element) {
    let Some(serial) = devices.child_mut("serial") else {
        return;
    };
    let target = serial.child_or_insert("target");
    default_attribute(target, "type", "isa-serial");
    default_attribute(target, "port", "0");
    default_attribute(target.child_or_insert("model"), "name", "isa-serial");
    let mut console = serial.clone();
    console.name = "console".to_owned();
    console.children.retain(|child| child.name == "source");
    console.children.push(
        Element::new("target")
            .with("type", "serial")
            .with("port", "0"),
    );
    match devices.child_mut("console") {
        Some(there) => *there = console,
        None => devices.children.push(console),
    }
}

/// PCI controllers without a number get the next that is free; the root is 0.
fn number_ports(devices: &mut Element) {
    let mut next = 1;
    for controller in &mut devices.children {
        if controller.name != "controller" || controller.attribute("type") != Some("pci") {
            continue;
        }
        let is_root = matches!(
            controller.attribute("model"),
            Some("pcie-root" | "pci-root")
        );
        match controller.attribute("index") {
            Some(index) => next = index.parse().unwrap_or(next).max(next) + 1,
            None if is_root => controller.set_attribute("index", "0"),
            None => {
                controller.set_attribute("index", next.to_string());
                next += 1;
            }
        }
    }
}

/// Whether a device needs a place on the PCI bus.
pub(super) fn is_on_pci(device: &Element) -> bool {
    match device.name.as_str() {
        "disk" => device.attribute_at("target", "bus") == Some("virtio"),
        "interface" | "memballoon" | "rng" => true,
        "controller" => matches!(
            device.attribute("type"),
            Some("usb" | "virtio-serial" | "scsi")
        ),
        _ => false,
    }
}

/// Where a device stands that needs a place on the PCI bus; on q35 each has a port of its own.
fn addresses(devices: &mut Element, is_q35: bool) {
    number_ports(devices);
    let place = if is_q35 { "bus" } else { "slot" };
    let number = |text: &str| u32::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    let mut used: BTreeSet<u32> = devices
        .children
        .iter()
        .filter(|device| device.attribute_at("address", "type") == Some("pci"))
        .filter_map(|device| number(device.attribute_at("address", place)?))
        .collect();
    let first = if is_q35 { 1 } else { 3 };
    for device in &mut devices.children {
        if device.child("address").is_some() {
            continue;
        }
        if is_on_pci(device) {
            let Some(free) = (first..).find(|n| !used.contains(n)) else {
                continue;
            };
            used.insert(free);
            let (bus, slot) = if is_q35 { (free, 0) } else { (0, free) };
            device.children.push(
                Element::new("address")
                    .with("type", "pci")
                    .with("domain", "0x0000")
                    .with("bus", format!("0x{bus:02x}"))
                    .with("slot", format!("0x{slot:02x}"))
                    .with("function", "0x0"),
            );
        } else if device.name == "channel" {
            device.children.push(
                Element::new("address")
                    .with("type", "virtio-serial")
                    .with("controller", "0")
                    .with("bus", "0")
                    .with("port", "1"),
            );
        }
    }
    if is_q35 {
        // One port more than is used.
        for index in 1..=used.last().copied().unwrap_or(0) + 1 {
            let index = index.to_string();
            let there = devices.children_named("controller").any(|controller| {
                controller.attribute("type") == Some("pci")
                    && controller.attribute("index") == Some(&index)
            });
            if !there {
                devices.children.push(
                    Element::new("controller")
                        .with("type", "pci")
                        .with("index", index)
                        .with("model", "pcie-root-port"),
                );
            }
        }
    }
}

/// What a guest runs with: the definition and what exists only while it runs.
pub(super) fn running(xml: &Element) -> Element {
    let mut xml = xml.clone();
    xml.set_attribute("id", "1");
    // The balloon is empty until the guest's driver fills it.
    if let Some(memory) = xml.text_at("memory").map(str::to_owned) {
        xml.child_or_insert("currentMemory").text = memory;
    }
    if xml.attribute_at("vcpu", "current").is_some() && xml.child("vcpus").is_none() {
        let first = Element::new("vcpu").with("id", "0").with("enabled", "yes");
        xml.children
            .push(Element::new("vcpus").with_child(first.with("hotpluggable", "no")));
    }
    let guest = xml.text_at("name").unwrap_or_default().to_owned();
    let devices = &mut xml.child_or_insert("devices").children;
    let devices = devices.iter_mut().filter(|it| it.name != "emulator");
    for (at, device) in devices.enumerate() {
        plugged(device, &guest, at + 1);
    }
    xml.children.push(
        Element::new("seclabel")
            .with("type", "dynamic")
            .with("model", "dac")
            .with("relabel", "yes"),
    );
    xml
}

/// Gives a device what it has only while it is plugged in: `number` tells it from the guest's others.
pub(super) fn plugged(device: &mut Element, guest: &str, number: usize) {
    let name = device.name.clone();
    match name.as_str() {
        "interface" => {
            let target = device.child_or_insert("target");
            default_attribute(target, "dev", &format!("tap-{guest}-{number}"));
            if let Some(source) = device.child_mut("source")
                && source.attribute("network").is_some()
            {
                source.set_attribute("portid", format!("port-{number}"));
                source.set_attribute("bridge", "virbr0");
            }
        }
        "disk" => {
            if let Some(source) = device.child_mut("source") {
                source.set_attribute("index", "1");
                device.child_or_insert("backingStore");
            }
        }
        "serial" | "console" if device.attribute("type") == Some("pty") => {
            let source = device.child_or_insert("source");
            source.set_attribute("path", "/dev/pts/1");
        }
        _ => {}
    }
    if device.child("alias").is_none() {
        let alias = Element::new("alias").with("name", format!("{name}{number}"));
        device.children.push(alias);
    }
}

/// The UUID in a definition, or one that comes from its name, where libvirt would roll the dice.
pub(super) fn uuid_of(xml: &Element) -> Uuid {
    let given = xml.text_at("uuid").and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| {
        let name = format!("{} {}", xml.name, xml.text_at("name").unwrap_or_default());
        Uuid::new_v5(&HOST, name.as_bytes())
    })
}
