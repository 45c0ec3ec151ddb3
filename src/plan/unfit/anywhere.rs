//! What no hypervisor takes, whatever it has.

use std::collections::BTreeMap;

use super::flaw::Flaw;
use crate::xml::spelling::machine_family;
use crate::xml::tree::Element;

/// IDE has two channels of two drives each.
const IDE_DRIVES: usize = 4;
/// A floppy controller has two drives.
const FLOPPY_DRIVES: usize = 2;

/// Machines without IDE, by their kind.
const WITHOUT_IDE: [&str; 5] = ["q35", "virt", "microvm", "pseries", "s390"];

/// The NICs that QEMU 10 has, for all architectures.
const NICS: &[&str] = &[
    "virtio",
    "virtio-transitional",
    "virtio-non-transitional",
    "e1000",
    "e1000-82544gc",
    "e1000-82545em",
    "e1000e",
    "igb",
    "rtl8139",
    "ne2k_pci",
    "ne2k_isa",
    "pcnet",
    "tulip",
    "i82550",
    "i82551",
    "i82557a",
    "i82557b",
    "i82557c",
    "i82558a",
    "i82558b",
    "i82559a",
    "i82559b",
    "i82559c",
    "i82559er",
    "i82562",
    "i82801",
    "vmxnet3",
    "usb-net",
    "spapr-vlan",
    "lan9118",
    "smc91c111",
    "rocker",
    "sungem",
    "sunhme",
];

pub(super) fn flaws(guest: &Element) -> Vec<Flaw> {
    // The test driver has no QEMU, and takes nearly everything.
    if guest.attribute("type") == Some("test") {
        return Vec::new();
    }
    let mut flaws = Vec::new();
    drives(guest, &mut flaws);
    firmware(guest, &mut flaws);
    processors(guest, &mut flaws);
    boot_order(guest, &mut flaws);
    nics(guest, &mut flaws);
    hyperv(guest, &mut flaws);
    flaws
}

pub(super) fn devices(guest: &Element) -> &[Element] {
    guest.child("devices").map_or(&[], |it| &it.children)
}

pub(super) fn disks(guest: &Element) -> impl Iterator<Item = &Element> {
    devices(guest).iter().filter(|device| device.name == "disk")
}

pub(super) fn bus(disk: &Element) -> Option<&str> {
    disk.attribute_at("target", "bus")
}

fn drives(guest: &Element, flaws: &mut Vec<Flaw>) {
    let machine = guest.attribute_at("os/type", "machine").unwrap_or_default();
    let has_no_ide = is_told_of(guest, "ide");
    let on = |wanted: &'static str| disks(guest).filter(move |disk| bus(disk) == Some(wanted));
    if has_no_ide {
        flaws.extend(on("ide").map(|disk| {
            Flaw::of_disk(
                disk,
                format!("a machine of type `{machine}` has no IDE bus"),
                "write `bus: sata` or `bus: scsi`; a guest with `machine: pc` has IDE",
            )
        }));
    }
    for (name, bus, most) in [("IDE", "ide", IDE_DRIVES), ("floppy", "fdc", FLOPPY_DRIVES)] {
        if bus == "ide" && has_no_ide {
            continue;
        }
        flaws.extend(on(bus).skip(most).map(|disk| {
            Flaw::of_disk(
                disk,
                format!("a guest has {most} {name} drives at most"),
                "put this one on another `bus`: `virtio`, `scsi` or `sata`",
            )
        }));
    }
    // QEMU's usb-storage wants a medium from the start; newer versions have usb-bot, which does not.
    let is_empty = |disk: &&Element| {
        let drive = disk.attribute("device");
        matches!(drive, Some("cdrom" | "floppy"))
            && disk.child("source").is_none()
            && disk.attribute("model") != Some("usb-bot")
    };
    flaws.extend(on("usb").filter(is_empty).map(|disk| {
        Flaw::of_disk(
            disk,
            "QEMU has no empty drive on the USB bus",
            "remove `bus`, or write `sata` or `scsi`; or give it `image`, `path` or `volume`",
        )
    }));
}

/// Whether it is told anywhere that a guest's machine has no such bus.
pub(super) fn is_told_of(guest: &Element, bus: &str) -> bool {
    let machine = guest.attribute_at("os/type", "machine");
    bus == "ide" && machine.is_some_and(is_without_ide)
}

/// Whether a machine is known to have no IDE bus.
fn is_without_ide(machine: &str) -> bool {
    WITHOUT_IDE.contains(&machine_family(machine))
}

fn firmware(guest: &Element, flaws: &mut Vec<Flaw>) {
    let Some(os) = guest.child("os") else {
        return;
    };
    let names_one = os.child("loader").is_some_and(|loader| {
        let says = |name| loader.attribute(name).is_some();
        !loader.text.is_empty() || says("type") || says("readonly")
    });
    if let Some(firmware) = os.attribute("firmware").filter(|_| names_one) {
        flaws.push(Flaw::of_guest(
            format!(
                "{{guest}} has a `<loader>`, and libvirt is to choose one for `{firmware}` firmware"
            ),
            "remove `firmware`, or the `<loader>` from `xml`",
        ));
    }
}

fn processors(guest: &Element, flaws: &mut Vec<Flaw>) {
    let Some(topology) = guest.find("cpu/topology") else {
        return;
    };
    let count = |name| topology.attribute(name).map_or(Some(1), |n| n.parse().ok());
    let counts = ["sockets", "dies", "clusters", "cores", "threads"].map(count);
    let product = counts
        .iter()
        .try_fold(1_u64, |product, count| product.checked_mul((*count)?));
    let vcpus = guest.text_at("vcpu").and_then(|n| n.parse::<u64>().ok());
    if let (Some(product), Some(vcpus)) = (product, vcpus)
        && product != vcpus
    {
        flaws.push(Flaw::of_guest(
            format!(
                "the topology of {{guest}} is one of {product} processors, and it has {vcpus} at most"
            ),
            format!(
                "write `max_vcpus: {product}`, or `vcpus: {product}`; or change `<topology>` in `xml`"
            ),
        ));
    }
}

fn boot_order(guest: &Element, flaws: &mut Vec<Flaw>) {
    let mut orders: BTreeMap<&str, usize> = BTreeMap::new();
    for device in devices(guest) {
        if let Some(order) = device.attribute_at("boot", "order") {
            *orders.entry(order).or_default() += 1;
        }
    }
    if !orders.is_empty() && guest.find("os/boot").is_some() {
        flaws.push(Flaw::of_guest(
            "{guest} has both `boot.order` and devices with `<boot order='…'/>`",
            "remove one of them: libvirt takes either",
        ));
    }
    for (order, _) in orders.iter().filter(|(_, count)| **count > 1) {
        flaws.push(Flaw::of_guest(
            format!("two devices of {{guest}} have `<boot order='{order}'/>`"),
            "give each an order of its own",
        ));
    }
}

/// libvirt hands on to QEMU whatever it is given for a model.
fn nics(guest: &Element, flaws: &mut Vec<Flaw>) {
    let nics = devices(guest).iter().filter(|it| it.name == "interface");
    let models = nics.filter_map(|nic| nic.attribute_at("model", "type"));
    let is_known = |model: &str| NICS.contains(&model) || model.starts_with("virtio-net-");
    flaws.extend(models.filter(|model| !is_known(model)).map(|model| {
        let nearest = crate::diagnostic::nearest(model, NICS.iter().copied());
        Flaw::of_guest(
            format!("QEMU is not known to have a NIC of model `{model}`, as {{guest}} does"),
            nearest.unwrap_or_else(|| {
                "usual ones are `virtio`, `e1000e`, `e1000` and `rtl8139`; `qemu-system-x86_64 -device help` lists all".to_owned()
            }),
        )
        .maybe()
    }));
}

/// Some of Hyper-V's features are KVM's work, and QEMU does not start with them alone.
fn hyperv(guest: &Element, flaws: &mut Vec<Flaw>) {
    if guest.attribute("type") != Some("qemu") {
        return;
    }
    let is_on = |name: &str| {
        let state = guest.attribute_at(&format!("features/hyperv/{name}"), "state");
        state == Some("on")
    };
    if let Some(name) = ["vpindex", "synic", "stimer"]
        .into_iter()
        .find(|it| is_on(it))
    {
        flaws.push(Flaw::of_guest(
            format!("{{guest}} runs without KVM, and QEMU has Hyper-V's `{name}` with KVM alone"),
            "write `type: kvm`; or take it out of the guest's `xml`, or out of `features.hyperv`",
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_with_ide_are_left_alone() {
        for machine in [
            "q35",
            "pc-q35-7.2",
            "virt",
            "virt-9.0",
            "microvm",
            "pseries-8.0",
        ] {
            assert!(is_without_ide(machine), "{machine}");
        }
        for machine in ["pc", "pc-i440fx-7.2", "isapc", "mac99", "", "virtual"] {
            assert!(!is_without_ide(machine), "{machine}");
        }
    }
}
