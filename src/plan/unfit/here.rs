//! What this hypervisor has not, by its capabilities. Where it does not tell, nothing is wrong.

use std::collections::BTreeSet;

use super::anywhere::{bus, devices, disks};
use super::flaw::Flaw;
use crate::diagnostic::{did_you_mean_of, names};
use crate::libvirt::offers::{HostMemory, Machine, Offers};
use crate::units::apart;
use crate::xml::tree::Element;

pub(super) fn flaws(guest: &Element, offers: &Offers) -> Vec<Flaw> {
    let machine = Machine::of(guest);
    let mut flaws = Vec::new();
    // Without the machine nothing else can be told.
    if let Some(capabilities) = &offers.capabilities
        && let Some(flaw) = missing(&machine, capabilities)
    {
        flaws.push(flaw);
        return flaws;
    }
    let Some(has) = offers.machines.get(&machine) else {
        return flaws;
    };
    firmware(guest, has, &mut flaws);
    processors(guest, &machine, has, &mut flaws);
    drives(guest, &machine, has, &mut flaws);
    cards(guest, has, &mut flaws);
    shares(guest, has, offers, &mut flaws);
    host_devices(guest, has, &mut flaws);
    flaws
}

/// Devices that are chosen by a word: what they are called, their element, the path and attribute of the word, and the list of
/// domain capabilities that it is in.
const CARDS: [(&str, &str, &str, &str, &str); 6] = [
    ("video card", "video", "model", "type", "modelType"),
    ("display", "graphics", "", "type", "type"),
    ("TPM", "tpm", "", "model", "model"),
    ("TPM", "tpm", "backend", "type", "backendModel"),
    (
        "TPM of version",
        "tpm",
        "backend",
        "version",
        "backendVersion",
    ),
    ("panic device", "panic", "", "model", "model"),
];

fn cards(guest: &Element, has: &Element, flaws: &mut Vec<Flaw>) {
    for (what, element, child, attribute, list) in CARDS {
        let Some(there) = values(has, &format!("devices/{element}"), list) else {
            continue;
        };
        let wanted = devices(guest).iter().filter(|it| it.name == element);
        let wanted = wanted.filter_map(|it| match child {
            "" => it.attribute(attribute),
            _ => it.attribute_at(child, attribute),
        });
        // No card at all is had everywhere.
        for wanted in wanted.filter(|it| *it != "none" && !there.contains(it)) {
            let hint = match (what, wanted) {
                ("TPM", "emulator") => {
                    "install swtpm and swtpm-tools there, or take `tpm` out of the definition"
                        .to_owned()
                }
                (_, _) if there.is_empty() => "take it out of the definition".to_owned(),
                (_, _) => format!("it has {}", names(&there)),
            };
            flaws.push(Flaw::of_guest(
                format!("this hypervisor has no {what} `{wanted}`, as {{guest}} does"),
                hint,
            ));
        }
    }
}

/// libvirt refuses a PCI device of the host when the guest starts, after it was stopped for it.
fn host_devices(guest: &Element, has: &Element, flaws: &mut Vec<Flaw>) {
    let mut wanted = devices(guest).iter().filter(|it| it.name == "hostdev");
    let wants_pci = wanted.any(|it| it.attribute("type") == Some("pci"));
    let there = values(has, "devices/hostdev", "pciBackend");
    if wants_pci && there.is_some_and(|there| there.is_empty()) {
        let flaw = Flaw::of_guest(
            "this hypervisor passes no PCI devices on, as {guest} is to have one",
            "switch its IOMMU on (VT-d or AMD-Vi in its firmware, for Intel `intel_iommu=on` on its kernel's command line), and load the module vfio-pci",
        );
        // A guest that is off can have it already.
        flaws.push(flaw.maybe());
    }
}

/// Directories of the host get into a guest by what its QEMU has, and virtiofsd is a program beside it.
fn shares(guest: &Element, has: &Element, offers: &Offers, flaws: &mut Vec<Flaw>) {
    const NINE_P: &str = "path";
    let shares = || devices(guest).iter().filter(|it| it.name == "filesystem");
    fn driver(share: &Element) -> &str {
        share.attribute_at("driver", "type").unwrap_or(NINE_P)
    }
    let needs_it = |share: &Element| driver(share) == "virtiofs" && share.child("binary").is_none();
    if offers.virtiofsd == Some(false) && shares().any(needs_it) {
        let flaw = Flaw::of_guest(
            "there is no virtiofsd here, without which {guest} cannot start with its `shares`",
            "install virtiofsd: a package of its own, in Debian 12 a part of qemu-system-common",
        );
        // libvirt may look where this does not.
        flaws.push(flaw.maybe());
    }
    let Some(there) = values(has, "devices/filesystem", "driverType") else {
        return;
    };
    let word = |driver| match driver {
        NINE_P => "9p",
        other => other,
    };
    // `handle` is no more, and was no key's.
    let known = there.iter().filter(|it| **it != "handle");
    let known: Vec<&str> = known.map(|it| word(it)).collect();
    // It is told once of all that are alike.
    let wanted: BTreeSet<&str> = shares().map(driver).collect();
    for driver in wanted.into_iter().filter(|it| !there.contains(it)) {
        let driver = word(driver);
        flaws.push(Flaw::of_guest(
            format!("this hypervisor has no shares by {driver}, as {{guest}} does"),
            match known.is_empty() {
                true => "leave out its `shares`".to_owned(),
                false => format!("write `driver: {}` for them", known.join("` or `driver: ")),
            },
        ));
    }
}

/// The values of a list in domain capabilities: none where they say that there is no such device, `None` where they say nothing.
fn values<'a>(has: &'a Element, path: &str, list: &str) -> Option<Vec<&'a str>> {
    let device = has.find(path)?;
    if device.attribute("supported") == Some("no") {
        return Some(Vec::new());
    }
    let mut lists = device.children_named("enum");
    let list = lists.find(|it| it.attribute("name") == Some(list))?;
    let values = list.children_named("value");
    Some(values.map(|value| value.text.as_str()).collect())
}

/// Says of an architecture, machine or type of guest that is missing.
fn missing(machine: &Machine, capabilities: &Element) -> Option<Flaw> {
    let guests = capabilities.children_named("guest");
    let arches: Vec<&Element> = guests.filter_map(|guest| guest.child("arch")).collect();
    let known: Vec<&str> = arches.iter().filter_map(|a| a.attribute("name")).collect();
    let wanted = machine.arch.as_deref()?;
    let Some(arch) = arches.iter().find(|a| a.attribute("name") == Some(wanted)) else {
        // A QEMU of one's own may be another.
        return machine.emulator.is_none().then(|| {
            Flaw::of_guest(
                format!("this hypervisor cannot run {{guest}}, whose `arch` is `{wanted}`"),
                match known.is_empty() {
                    true => "install QEMU there".to_owned(),
                    false => format!("install QEMU for it there; there is {}", names(&known)),
                },
            )
        });
    };
    let emulator = arch.text_at("emulator");
    if machine.emulator.is_some() && machine.emulator.as_deref() != emulator {
        return None;
    }
    let mut types = arch.children_named("domain");
    if let Some(wanted) = machine.domain_type.as_deref()
        && types.all(|domain| domain.attribute("type") != Some(wanted))
    {
        return Some(Flaw::of_guest(
            format!("this hypervisor has no guests of type `{wanted}`, as {{guest}} is"),
            "write `type: qemu` (slower), or load the module kvm_intel or kvm_amd there",
        ));
    }
    let wanted = machine.machine.as_deref()?;
    let of_types = arch.children_named("domain");
    let machines: Vec<&Element> = arch
        .children_named("machine")
        .chain(of_types.flat_map(|domain| domain.children_named("machine")))
        .collect();
    let is_it = |it: &&Element| it.text == wanted || it.attribute("canonical") == Some(wanted);
    if machines.is_empty() || machines.iter().any(is_it) {
        return None;
    }
    let candidates = machines.iter().map(|it| it.text.as_str());
    Some(Flaw::of_guest(
        format!("this hypervisor has no machine `{wanted}`, as {{guest}} is"),
        did_you_mean_of(wanted, candidates, "`virsh capabilities` has all").unwrap_or_default(),
    ))
}

fn firmware(guest: &Element, has: &Element, flaws: &mut Vec<Flaw>) {
    if let Some(wanted) = guest.attribute_at("os", "firmware")
        && let Some(there) = values(has, "os", "firmware")
        && !there.contains(&wanted)
    {
        flaws.push(Flaw::of_guest(
            format!("this hypervisor has no `{wanted}` firmware for {{guest}}"),
            "install the package ovmf (Debian) or edk2-ovmf (Fedora) there, for Arm qemu-efi-aarch64 or edk2-aarch64; or remove `firmware: uefi`",
        ));
        return;
    }
    let features = guest.find("os/firmware").into_iter();
    let mut features = features.flat_map(|it| it.children_named("feature"));
    let is_secure = features.any(|it| {
        let says = |name| it.attribute(name);
        (says("name"), says("enabled")) == (Some("secure-boot"), Some("yes"))
    });
    if is_secure
        && let Some(there) = values(has, "os/loader", "secure")
        && !there.contains(&"yes")
    {
        flaws.push(Flaw::of_guest(
            "this hypervisor has no firmware with secure boot for {guest}",
            "install a newer ovmf (Debian) or edk2-ovmf (Fedora) there; guests of x86 are of `machine: q35` for it. Or write `secure_boot: false`",
        ));
    }
}

fn processors(guest: &Element, machine: &Machine, has: &Element, flaws: &mut Vec<Flaw>) {
    let most = has.attribute_at("vcpu", "max").and_then(|n| n.parse().ok());
    let vcpus = guest.text_at("vcpu").and_then(|n| n.parse::<u64>().ok());
    if let (Some(most), Some(vcpus)) = (most, vcpus)
        && vcpus > most
    {
        flaws.push(Flaw::of_guest(
            format!("{{guest}} has {vcpus} processors, and its machine takes {most}"),
            "give it fewer `vcpus` or `max_vcpus`",
        ));
    }
    let kind = machine.domain_type.as_deref().unwrap_or_default();
    let Some(cpu) = guest.child("cpu") else {
        return;
    };
    let mode = cpu.attribute("mode").unwrap_or("custom");
    let modes = has.child("cpu").into_iter();
    let mut modes = modes.flat_map(|cpu| cpu.children_named("mode"));
    let Some(known) = modes.find(|it| it.attribute("name") == Some(mode)) else {
        return;
    };
    if known.attribute("supported") == Some("no") {
        flaws.push(Flaw::of_guest(
            format!("guests of type `{kind}` have no CPU of mode `{mode}` here, as {{guest}} does"),
            "write `cpu: {mode: maximum}`, or leave `cpu` out",
        ));
        return;
    }
    let Some(wanted) = cpu.text_at("model").filter(|_| mode == "custom") else {
        return;
    };
    let models: Vec<&Element> = known.children_named("model").collect();
    match models.iter().find(|model| model.text == wanted) {
        None if models.is_empty() => {}
        None => flaws.push(Flaw::of_guest(
            format!("this hypervisor has no CPU `{wanted}`, as {{guest}} does"),
            did_you_mean_of(
                wanted,
                models.iter().map(|model| model.text.as_str()),
                "`virsh domcapabilities` has all",
            )
            .unwrap_or_default(),
        )),
        // An emulated one does without what it has not.
        Some(model) if kind == "kvm" && model.attribute("usable") == Some("no") => flaws.push(
            Flaw::of_guest(
                format!("the host's processor is not known to do as `{wanted}`, as {{guest}} is to have"),
                "choose an older model, or `cpu: {mode: host-model}`; or switch off in `xml` what it lacks",
            )
            .maybe(),
        ),
        Some(_) => {}
    }
}

fn drives(guest: &Element, machine: &Machine, has: &Element, flaws: &mut Vec<Flaw>) {
    let Some(there) = values(has, "devices/disk", "bus").filter(|there| !there.is_empty()) else {
        return;
    };
    let kind = machine.machine.as_deref().unwrap_or("this");
    for disk in disks(guest) {
        // Of IDE is told wherever it can be known.
        if let Some(wanted) = bus(disk)
            && !there.contains(&wanted)
            && !super::anywhere::is_told_of(guest, wanted)
        {
            flaws.push(Flaw::of_disk(
                disk,
                format!("a machine of type `{kind}` has no disks on the bus `{wanted}` here"),
                format!("it has {}", names(&there)),
            ));
        }
    }
}

/// A guest that is given more than the host has cannot start. Several that have more together can: they take it as they use it.
pub(super) fn memory(guest: &Element, wanted: u64, offers: &Offers) -> Option<Flaw> {
    let host = offers.memory?;
    let (most, and_swap) = match host {
        HostMemory::Most(bytes) => (bytes, " with swap"),
        HostMemory::WithoutSwap(bytes) => (bytes, ""),
    };
    // What is in huge pages or a file is counted otherwise.
    if wanted <= most || guest.child("memoryBacking").is_some() {
        return None;
    }
    let (wanted, most) = apart(wanted, most);
    let flaw = Flaw::of_guest(
        format!("{{guest}} has {wanted} of memory, and the host has {most}{and_swap}"),
        "give it less `memory` or `max_memory`: it could not start",
    );
    Some(match host {
        HostMemory::Most(_) => flaw,
        HostMemory::WithoutSwap(_) => flaw.maybe(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_by_what_the_hypervisor_has() {
        let xml = |text: &str| Element::parse(text).unwrap();
        let guest = xml(
            "<domain><devices><filesystem><driver type='virtiofs'/></filesystem><filesystem/><filesystem/>\
             <filesystem><driver type='virtiofs'/><binary path='/usr/libexec/virtiofsd'/></filesystem></devices></domain>",
        );
        let told = |drivers: &str, virtiofsd| {
            let has = xml(&format!(
                "<domainCapabilities><devices><filesystem supported='yes'><enum name='driverType'>{drivers}</enum></filesystem></devices></domainCapabilities>"
            ));
            let offers = Offers {
                virtiofsd,
                ..Offers::default()
            };
            let mut flaws = Vec::new();
            shares(&guest, &has, &offers, &mut flaws);
            let told = flaws.into_iter().map(|it| it.hint);
            told.collect::<Vec<_>>()
        };
        let (path, virtiofs) = ("<value>path</value>", "<value>virtiofs</value>");
        let all = format!("{path}<value>handle</value>{virtiofs}");
        assert_eq!(told(&all, Some(true)), [""; 0]);
        assert_eq!(told(&all, None), [""; 0]);
        assert_eq!(told(&all, Some(false)).len(), 1);
        assert_eq!(told(virtiofs, None), ["write `driver: virtiofs` for them"]);
        assert_eq!(told(path, None), ["write `driver: 9p` for them"]);
        assert_eq!(told("", None), ["leave out its `shares`"; 2]);
    }
}
