//! Puts guests through their template, and chooses what their definitions leave open.

use std::collections::BTreeSet;

use super::build::{Builder, Part};
use super::context::{DiskContext, GuestContext};
use super::format::{disk_file, format};
use super::{Chosen, Detail};
use crate::address::Address;
use crate::lab::model::install::Location;
use crate::lab::model::{
    Discard, Disk, DiskSource, DomainType, Firmware, Guest, InterfaceSource, VolumeFormat,
};
use crate::units::size;
use crate::xml::spelling;
use crate::xml::tree::Element;

impl Builder<'_> {
    pub(super) fn guest(&mut self, guest: &Guest) {
        let facts = &self.site.facts;
        let is_test = facts.driver.eq_ignore_ascii_case("test");
        let kind = guest.domain_type.or(facts.domain_type);
        let kind_name = match kind {
            _ if is_test => "test",
            Some(DomainType::Kvm) => "kvm",
            Some(DomainType::Qemu) | None => "qemu",
        };
        // The test driver knows one architecture, and no machines.
        let arch = match &guest.arch {
            _ if is_test => "i686",
            Some(arch) => arch,
            None => &facts.arch,
        };
        let machine = match &guest.machine {
            _ if is_test => None,
            Some(machine) => Some(machine.as_str()),
            None => default_machine(arch),
        };
        // TCG's default processor is too old for current distributions; with KVM the host's own is the fastest.
        let cpu_mode = match (&guest.cpu.mode, kind) {
            _ if is_test => None,
            (Some(mode), _) => Some(mode.as_str()),
            (None, Some(DomainType::Kvm)) => Some("host-passthrough"),
            (None, Some(DomainType::Qemu) | None) => Some("maximum"),
        };
        // Arm's machines have no firmware of their own, and nothing boots from a disk without one.
        let firmware = match guest.firmware {
            _ if is_test => None,
            Some(Firmware::Uefi) => Some("efi"),
            Some(Firmware::Bios) => None,
            None if arch == "aarch64" && guest.boot.kernel.is_none() && !has_loader(guest) => {
                Some("efi")
            }
            None => None,
        };
        let Some(disks) = self.disks(guest) else {
            return;
        };
        let context = GuestContext {
            lab: &self.lab.name,
            guest,
            r#type: kind_name,
            arch,
            machine,
            cpu_mode,
            firmware,
            spare_ports: has_pcie_ports(guest, machine),
            scsi_controller: !is_test && has_scsi(guest) && !names_scsi_controller(guest),
            disks,
            install: None,
        };
        let address = Address::guest(&guest.key);
        let install = match self.installation(guest, arch, &context) {
            Ok(install) => install,
            Err(problem) => return self.problem(&address, problem),
        };
        let detail = Detail::Guest {
            uuid: guest.uuid,
            autostart: guest.autostart,
            running: guest.running,
            shutdown_timeout: guest.shutdown_timeout,
            on_change: guest.on_change,
            chosen: chosen(guest),
            summary: summary(guest),
            install: install.map(Box::new),
        };
        let owner = self.owner(&address, &guest.name, &detail);
        let part = Part::Guest(guest.key.clone());
        let xml = self.definition(part, owner, "domain", &context, guest.xml.as_ref());
        let depends = self.guest_dependencies(guest);
        self.add(address, &guest.name, xml, depends, guest.lifecycle, detail);
    }

    /// A guest's disks; `None` where the format of one cannot be told.
    fn disks(&mut self, guest: &Guest) -> Option<Vec<DiskContext>> {
        let mut disks = Some(Vec::new());
        for disk in &guest.disks {
            let address = Address::volume(&guest.key, &disk.key);
            let seen = disk_file(self.lab, disk).and_then(|file| self.site.formats.get(&file));
            let (format, problem) = format(disk, seen.map(Option::as_ref));
            if let Some(problem) = problem {
                self.problem(&address, problem);
            }
            match (format, &mut disks) {
                (Some(format), Some(disks)) => disks.push(self.disk(disk, format)),
                (None, _) => disks = None,
                (Some(_), None) => {}
            }
        }
        disks
    }

    fn disk(&self, disk: &Disk, format: VolumeFormat) -> DiskContext {
        let mut context = DiskContext {
            key: disk.key.to_string(),
            device: disk.device,
            source_type: "file",
            path: None,
            pool: None,
            volume: None,
            format,
            cache: disk.cache.clone(),
            discard: disk.discard == Discard::Unmap,
            dev: disk.dev.clone(),
            bus: disk.bus.clone(),
            readonly: disk.readonly,
            shareable: disk.shareable,
            drive: disk.drive.clone(),
        };
        let in_pool = match &disk.source {
            DiskSource::Volume(volume) => Some((&volume.pool, volume.name.as_str())),
            DiskSource::Existing { pool, volume, .. } | DiskSource::Seed { pool, volume, .. } => {
                Some((pool, volume.as_str()))
            }
            DiskSource::Path { path } => {
                if path.starts_with("/dev/") {
                    context.source_type = "block";
                }
                context.path = Some(path.clone());
                None
            }
            DiskSource::Empty => None,
        };
        let Some((pool, name)) = in_pool else {
            return context;
        };
        // A path where there is one: AppArmor's helper cannot resolve `type='volume'`, and denies such disks.
        match self.path_of(pool, name) {
            Some(path) => {
                if self.pool_type(pool) == "logical" {
                    context.source_type = "block";
                }
                context.path = Some(path);
            }
            None => {
                context.source_type = "volume";
                context.pool = Some(self.pool_name(pool).to_owned());
                context.volume = Some(name.to_owned());
            }
        }
        context
    }

    fn guest_dependencies(&self, guest: &Guest) -> BTreeSet<Address> {
        let mut depends: BTreeSet<Address> = guest.depends_on.iter().map(Address::guest).collect();
        for nic in &guest.interfaces {
            match &nic.source {
                InterfaceSource::Network { network, .. } => {
                    let Some(network) = self.lab.networks.get(network) else {
                        continue;
                    };
                    if !network.external {
                        depends.insert(Address::network(&network.key));
                    } else if network
                        .dhcp_hosts
                        .iter()
                        .any(|host| host.guest == guest.key)
                    {
                        depends.insert(Address::reservations(&network.key));
                    }
                }
                InterfaceSource::Bridge { .. }
                | InterfaceSource::Direct { .. }
                | InterfaceSource::User => {}
            }
        }
        for disk in &guest.disks {
            match &disk.source {
                DiskSource::Volume(volume) => {
                    depends.insert(volume.address.clone());
                    depends.extend(self.owned_pool(&volume.pool));
                }
                DiskSource::Existing { pool, owner, .. } => {
                    depends.extend(self.owned_pool(pool));
                    depends.extend(owner.clone());
                }
                DiskSource::Seed { pool, address, .. } => {
                    depends.insert(address.clone());
                    depends.extend(self.owned_pool(pool));
                }
                DiskSource::Path { .. } | DiskSource::Empty => {}
            }
        }
        if let Some(Location::Volume { pool, volume }) = guest.install.as_ref().map(|i| &i.location)
        {
            depends.extend(self.owned_pool(pool));
            let images = self.lab.images.values();
            let medium = images.filter(|image| image.pool == *pool && image.name == *volume);
            depends.extend(medium.map(|image| Address::image(&image.key)));
        }
        depends
    }
}

/// What neither the definition nor its overlay says is chosen.
fn chosen(guest: &Guest) -> Chosen {
    let overlay = guest.xml.as_ref().map(|overlay| &overlay.tree);
    let says = |path: &str, attribute: &str| {
        overlay.is_some_and(|tree| tree.attribute_at(path, attribute).is_some())
    };
    Chosen {
        domain_type: guest.domain_type.is_none()
            && overlay.is_none_or(|tree| tree.attribute("type").is_none()),
        machine: guest.machine.is_none()
            && guest.arch.is_none()
            && !says("os/type", "machine")
            && !says("os/type", "arch"),
        cpu: guest.cpu.mode.is_none() && !says("cpu", "mode"),
        clock: guest.hardware.clock.offset.is_none() && !says("clock", "offset"),
        scsi_controller: !names_scsi_controller(guest),
        disks: guest
            .disks
            .iter()
            .filter(|disk| !disk.dev_is_given)
            .map(|disk| format!("ua-{}", disk.key))
            .collect(),
    }
}

fn default_machine(arch: &str) -> Option<&'static str> {
    match arch {
        "x86_64" | "i686" => Some("q35"),
        "aarch64" | "armv7l" | "riscv64" => Some("virt"),
        _ => None,
    }
}

/// The devices of the user's own XML that have a name.
fn own_devices<'a>(guest: &'a Guest, name: &'static str) -> impl Iterator<Item = &'a Element> {
    let overlay = guest.xml.as_ref().map(|overlay| &overlay.tree);
    let devices = overlay.and_then(|tree| tree.child("devices"));
    devices
        .into_iter()
        .flat_map(move |devices| devices.children_named(name))
}

/// Whether a guest has a disk on the SCSI bus.
fn has_scsi(guest: &Guest) -> bool {
    let mut own = own_devices(guest, "disk");
    guest.disks.iter().any(|disk| disk.bus == "scsi")
        || own.any(|disk| disk.attribute_at("target", "bus") == Some("scsi"))
}

/// Whether the user's own XML says of which model the guest's SCSI controller is.
fn names_scsi_controller(guest: &Guest) -> bool {
    own_devices(guest, "controller").any(|controller| {
        controller.attribute("type") == Some("scsi") && controller.attribute("model").is_some()
    })
}

/// Whether the user's own XML names a loader: libvirt chooses none then.
fn has_loader(guest: &Guest) -> bool {
    let overlay = guest.xml.as_ref().map(|overlay| &overlay.tree);
    overlay.is_some_and(|tree| tree.text_at("os/loader").is_some())
}

/// Whether a guest's devices are in PCIe ports, going by the name of its machine.
fn has_pcie_ports(guest: &Guest, machine: Option<&str>) -> bool {
    let overlay = guest.xml.as_ref().map(|overlay| &overlay.tree);
    let own = overlay.and_then(|tree| tree.attribute_at("os/type", "machine"));
    own.or(machine)
        .is_some_and(|machine| matches!(spelling::machine_family(machine), "q35" | "virt"))
}

/// `2 vcpus, 2 GiB, front 192.168.155.12`
fn summary(guest: &Guest) -> String {
    let plural = if guest.vcpus == 1 { "" } else { "s" };
    let mut parts = vec![format!("{} vcpu{plural}", guest.vcpus), size(guest.memory)];
    for nic in &guest.interfaces {
        let source = match &nic.source {
            InterfaceSource::Network { network, .. } => network.to_string(),
            InterfaceSource::Bridge { bridge } => bridge.clone(),
            InterfaceSource::Direct { dev, .. } => dev.clone(),
            InterfaceSource::User => "user".to_owned(),
        };
        let ips = nic.ips.iter().map(|ip| format!(" {ip}"));
        parts.push(format!("{source}{}", ips.collect::<String>()));
    }
    parts.extend(
        guest
            .install
            .iter()
            .map(|install| format!("installs {}", install.os.id)),
    );
    parts.join(", ")
}
