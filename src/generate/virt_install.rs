//! The command line of `virt-install` for an answers install: man virt-install(1).
//!
//! What it defines is only what the installer runs on. Afterwards the guest gets its own definition, so that it ends as
//! `apply` makes it; what the installer sees has to be the same: firmware, TPM, clock and features, disks and their names and serial
//! numbers, NICs with their MACs, and where they are plugged in. I/O threads, limits and the order in which devices are booted come with
//! the guest's own, and so do shares and devices of the host: virt-install looks those up on the machine it runs on, where a dry run may
//! be elsewhere.

mod machine;
mod option;

use serde::Serialize;

use self::option::{by_place, joined};
use super::path::LocalPath;
use super::request::Request;
use crate::address::Name;
use crate::desired::answers::{Answers, Delivery};
use crate::desired::{Detail, Resource};
use crate::install::media::{Arch, SeenAs, usual_places};
use crate::lab::device_name;
use crate::lab::model::devices::Serial;
use crate::lab::model::install::{Install, Location};
use crate::lab::model::{
    Disk, DiskDevice, DiskSource, Guest, Interface, InterfaceSource, Lab, Link,
};
use crate::step::StagePart;
use crate::xml::tree::Element;

/// A call of `virt-install`.
#[derive(Debug, Serialize)]
pub(super) struct VirtInstall<'a> {
    /// Operating systems by libosinfo's ids, the best first: the one that is known there is named.
    osinfo: Vec<String>,
    /// Options with their values, in order.
    options: Vec<Vec<String>>,
    disks: Vec<DiskOption>,
    location: LocationOption<'a>,
    /// Answer files for the root of the initrd.
    inject: Vec<&'a str>,
    /// The volume that the answers are on while it is installed.
    seed: Option<SeedVolume<'a>>,
    cmdline: &'a str,
    /// Minutes that it may take.
    minutes: u64,
}

/// A volume labelled `CIDATA`.
#[derive(Debug, Serialize)]
struct SeedVolume<'a> {
    pool: &'a str,
    name: String,
    /// Its size in bytes.
    size: usize,
    /// The option that makes it a disk.
    option: String,
}

/// A disk. A dry run can come before its volume.
#[derive(Debug, Serialize)]
struct DiskOption {
    /// The option where it is there.
    there: String,
    /// The volume it is, as pool and name.
    volume: Option<(String, String)>,
    /// The option for a volume that is not there.
    absent: Option<String>,
}

/// Where the installer is.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum LocationOption<'a> {
    /// A URL.
    Url { url: &'a str, boot: Option<String> },
    /// An ISO image.
    Iso {
        path: LocalPath,
        boot: Option<String>,
    },
    /// A directory, with the places that kernel and initrd can be in.
    Tree { path: LocalPath, places: Vec<Boot> },
    /// An ISO image in a volume.
    Volume {
        pool: &'a str,
        volume: &'a str,
        boot: Option<String>,
    },
    /// Kernel and initrd.
    Kernel {
        kernel: LocalPath,
        initrd: LocalPath,
    },
}

/// Kernel and initrd on a medium.
#[derive(Debug, Serialize)]
struct Boot {
    kernel: String,
    /// Both, as part of an option.
    option: String,
}

impl Boot {
    fn new(kernel: String, initrd: &str) -> Self {
        let option = joined(&[("kernel", &kernel), ("initrd", initrd)]);
        Self { kernel, option }
    }
}

impl<'a> VirtInstall<'a> {
    /// What installs a guest that is to have this definition.
    pub fn new(
        request: &Request<'a>,
        guest: &'a Guest,
        install: &'a Install,
        answers: &'a Answers,
        resource: &'a Resource,
    ) -> Self {
        let lab = request.lab;
        Self {
            osinfo: install.os.osinfo_candidates(),
            options: options(guest, &resource.xml.tree()),
            disks: guest
                .disks
                .iter()
                .map(|disk| disk_option(disk, lab))
                .collect(),
            location: location(request, install, &resource.xml.tree()),
            inject: match answers.delivery {
                Delivery::Initrd => {
                    let files = answers.files.iter();
                    files.map(|file| file.name.as_str()).collect()
                }
                Delivery::Seed => Vec::new(),
            },
            seed: seed(guest, resource),
            cmdline: &answers.cmdline,
            minutes: install.timeout.div_ceil(60),
        }
    }

    /// Whether the installer is a file of the lab's.
    pub fn uses_lab_dir(&self) -> bool {
        match &self.location {
            LocationOption::Url { .. } | LocationOption::Volume { .. } => false,
            LocationOption::Iso { path, .. } | LocationOption::Tree { path, .. } => path.in_lab,
            LocationOption::Kernel { kernel, initrd } => kernel.in_lab || initrd.in_lab,
        }
    }
}

/// Where the installer is, and where on it kernel and initrd are: `virt-install` itself knows fewer media.
fn location<'a>(request: &Request<'a>, install: &'a Install, xml: &Element) -> LocationOption<'a> {
    let arch: Option<Arch> = xml
        .attribute_at("os/type", "arch")
        .and_then(|arch| arch.parse().ok());
    let places = |seen_as| {
        arch.map(|arch| usual_places(&install.os, arch, seen_as))
            .unwrap_or_default()
    };
    let on_disc = || {
        let (kernel, initrd) = places(SeenAs::Disc).into_iter().next()?;
        Some(Boot::new(kernel, &initrd).option)
    };
    let local = |path: &str| LocalPath::new(path.as_ref(), request.root);
    match &install.location {
        Location::Url { url } => LocationOption::Url {
            url,
            boot: below(url, &places(SeenAs::Tree)).map(|boot| boot.option),
        },
        Location::Iso { path } => LocationOption::Iso {
            path: LocalPath::new(path, request.root),
            boot: on_disc(),
        },
        Location::Tree { path } => LocationOption::Tree {
            path: LocalPath::new(path, request.root),
            places: places(SeenAs::Tree)
                .into_iter()
                .map(|(kernel, initrd)| Boot::new(kernel, &initrd))
                .collect(),
        },
        Location::Volume { pool, volume } => LocationOption::Volume {
            pool: pool_name(request.lab, pool),
            volume,
            boot: on_disc(),
        },
        // A URL is in no directory: it is given as it is.
        Location::Kernel { kernel, initrd } => LocationOption::Kernel {
            kernel: local(kernel),
            initrd: local(initrd),
        },
    }
}

/// Kernel and initrd below a URL: in the place that goes on where the URL ends, else in the best one.
fn below(url: &str, places: &[(String, String)]) -> Option<Boot> {
    let url: Vec<&str> = url.split('/').filter(|part| !part.is_empty()).collect();
    let shared = |place: &str| {
        let parts: Vec<&str> = place.split('/').collect();
        (0..parts.len())
            .rev()
            .find(|count| url.ends_with(&parts[..*count]))
            .unwrap_or(0)
    };
    let rest = |place: &str, count: usize| {
        let parts: Vec<&str> = place.split('/').skip(count).collect();
        parts.join("/")
    };
    let mut best: Option<(usize, &(String, String))> = None;
    for place in places {
        let count = shared(&place.0);
        if best.is_none_or(|(most, _)| count > most) {
            best = Some((count, place));
        }
    }
    let (count, (kernel, initrd)) = best?;
    Some(Boot::new(rest(kernel, count), &rest(initrd, count)))
}

fn seed<'a>(guest: &Guest, resource: &'a Resource) -> Option<SeedVolume<'a>> {
    let Detail::Guest { install, .. } = &resource.detail else {
        return None;
    };
    let install = install.as_ref()?;
    let stage = &install.stage;
    let name = StagePart::Seed.volume(&guest.name);
    let volume = format!("{}/{name}", install.pool);
    let dev = device_name::last("vd", guest.disks.iter().map(|disk| disk.dev.as_str()));
    Some(SeedVolume {
        pool: &install.pool,
        size: stage.seed.as_ref()?.len(),
        option: joined(&[
            ("vol", &volume),
            ("bus", "virtio"),
            ("target.dev", &dev),
            ("readonly", "on"),
        ]),
        name,
    })
}

/// What does not depend on the state of anything.
fn options(guest: &Guest, xml: &Element) -> Vec<Vec<String>> {
    const MIB: u64 = 1 << 20;
    let mut all: Vec<Vec<String>> = Vec::new();
    let mut add = |option: &str, value: String| all.push(vec![option.to_owned(), value]);
    if let Some(kind) = xml.attribute("type") {
        add("--virt-type", kind.to_owned());
    }
    if let Some(arch) = xml.attribute_at("os/type", "arch") {
        add("--arch", arch.to_owned());
    }
    if let Some(machine) = xml.attribute_at("os/type", "machine") {
        add("--machine", machine.to_owned());
    }
    for (option, value) in machine::options(xml) {
        add(option, value);
    }
    if let Some(mode) = xml.attribute_at("cpu", "mode") {
        let mut parts = vec![("mode", mode)];
        parts.extend(xml.text_at("cpu/model").map(|model| ("model", model)));
        // The system that is installed may be one that does not start with all of them.
        let cpu = xml.child("cpu").into_iter();
        let features = cpu.flat_map(|cpu| cpu.children_named("feature"));
        parts.extend(
            features.filter_map(|it| Some((it.attribute("policy")?, it.attribute("name")?))),
        );
        add("--cpu", joined(&parts));
    }
    add(
        "--vcpus",
        match guest.max_vcpus == guest.vcpus {
            true => guest.vcpus.to_string(),
            false => format!("{},maxvcpus={}", guest.vcpus, guest.max_vcpus),
        },
    );
    let memory = guest.memory.div_ceil(MIB);
    add(
        "--memory",
        match guest.max_memory == guest.memory {
            true => memory.to_string(),
            false => format!("{memory},maxmemory={}", guest.max_memory.div_ceil(MIB)),
        },
    );
    for nic in &guest.interfaces {
        add("--network", network(nic));
    }
    if guest.interfaces.is_empty() {
        add("--network", "none".to_owned());
    }
    match &guest.graphics {
        Some(graphics) => {
            let mut parts = vec![("type", graphics.kind.as_str())];
            parts.extend(graphics.listen.as_deref().map(|listen| ("listen", listen)));
            add("--graphics", joined(&parts));
        }
        None => add("--graphics", "none".to_owned()),
    }
    match &guest.serial {
        Some(Serial::Pty) => add("--serial", "pty".to_owned()),
        Some(Serial::File { path }) => add(
            "--serial",
            joined(&[("type", "file"), ("source.path", path)]),
        ),
        // A console would be a serial port.
        None => add("--console", "none".to_owned()),
    }
    if !guest.agent {
        add("--channel", "none".to_owned());
    }
    if guest.rng.is_none() {
        add("--rng", "none".to_owned());
    }
    if let Some(video) = &guest.video {
        add("--video", joined(&[("model.type", &video.model)]));
    }
    for input in &guest.input {
        let mut parts = vec![("type", input.kind.as_str())];
        parts.extend(input.bus.as_deref().map(|bus| ("bus", bus)));
        add("--input", joined(&parts));
    }
    all
}

fn network(nic: &Interface) -> String {
    let mtu = nic.mtu.map(|mtu| mtu.to_string());
    let mut parts = match &nic.source {
        InterfaceSource::Network { name, .. } => vec![("network", name.as_str())],
        InterfaceSource::Bridge { bridge } => vec![("bridge", bridge.as_str())],
        InterfaceSource::Direct { dev, mode } => {
            vec![("type", "direct"), ("source", dev), ("source.mode", mode)]
        }
        InterfaceSource::User => vec![("type", "user")],
    };
    parts.extend(nic.portgroup.as_deref().map(|it| ("source.portgroup", it)));
    parts.extend([("mac", nic.mac.as_str()), ("model", &nic.model)]);
    parts.extend(mtu.as_deref().map(|mtu| ("mtu.size", mtu)));
    match nic.link {
        Some(Link::Down) => parts.push(("link.state", "down")),
        Some(Link::Up) | None => {}
    }
    let port = port(nic);
    parts.extend(
        port.iter()
            .map(|(key, value)| (key.as_str(), value.as_str())),
    );
    joined(&parts)
}

/// What a NIC's port does, without which the installer may not reach what it fetches. virt-install has words for some of it, and
/// takes all else by its place in the XML.
fn port(nic: &Interface) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut add = |key: &str, value: &str| all.push((key.to_owned(), value.to_owned()));
    if let Some(ovs) = &nic.ovs {
        add("virtualport.type", "openvswitch");
        if let Some(id) = ovs.interface_id {
            add("virtualport.parameters.interfaceid", &id.to_string());
        }
        if let Some(profile) = &ovs.profile {
            add("virtualport.parameters.profileid", profile);
        }
    }
    if let Some(trusts) = nic.trust_guest_rx_filters {
        add("trustGuestRxFilters", if trusts { "yes" } else { "no" });
    }
    if let Some(queues) = nic.queues {
        add("driver.queues", &queues.to_string());
    }
    let mut places: Vec<(String, String)> = Vec::new();
    if nic.vlan.len() > 1 {
        places.push(("./vlan/@trunk".to_owned(), "yes".to_owned()));
    }
    let tags = nic.vlan.iter().enumerate();
    places.extend(tags.map(|(i, tag)| (format!("./vlan/tag[{}]/@id", i + 1), tag.to_string())));
    if let Some(filter) = &nic.filter {
        add("filterref.filter", &filter.name);
        let parameters = filter.parameters.iter();
        places.extend(parameters.map(|(name, value)| {
            let place = format!("./filterref/parameter[@name='{name}']/@value");
            (place, value.clone())
        }));
    }
    all.extend(by_place(places));
    all
}

fn disk_option(disk: &Disk, lab: &Lab) -> DiskOption {
    let mut more = vec![("bus", disk.bus.as_str()), ("target.dev", &disk.dev)];
    if disk.device == DiskDevice::Cdrom {
        more.insert(0, ("device", "cdrom"));
    }
    more.extend(disk.cache.as_deref().map(|cache| ("driver.cache", cache)));
    more.extend(disk.drive.io.as_deref().map(|io| ("driver.io", io)));
    more.extend(disk.drive.serial.as_deref().map(|it| ("serial", it)));
    if disk.readonly {
        more.push(("readonly", "on"));
    }
    if disk.shareable {
        more.push(("shareable", "on"));
    }
    let with = |first: &[(&str, &str)]| joined(&[first, &more].concat());
    let in_pool = |pool: &str, volume: &str, absent: Option<String>| DiskOption {
        there: with(&[("vol", &format!("{pool}/{volume}"))]),
        volume: Some((pool.to_owned(), volume.to_owned())),
        absent,
    };
    match &disk.source {
        DiskSource::Volume(volume) => {
            const GIB: u64 = 1 << 30;
            let pool = pool_name(lab, &volume.pool);
            let size = volume.capacity.div_ceil(GIB).to_string();
            let format = volume.format.as_str();
            let new = with(&[("pool", pool), ("size", &size), ("format", format)]);
            in_pool(pool, &volume.name, Some(new))
        }
        DiskSource::Existing { pool, volume, .. } | DiskSource::Seed { pool, volume, .. } => {
            in_pool(pool_name(lab, pool), volume, None)
        }
        DiskSource::Path { path } => DiskOption {
            there: with(&[("path", path)]),
            volume: None,
            absent: None,
        },
        DiskSource::Empty => DiskOption {
            there: with(&[]),
            volume: None,
            absent: None,
        },
    }
}

/// A pool's name in libvirt.
fn pool_name<'a>(lab: &'a Lab, key: &Name) -> &'a str {
    lab.pools.get(key).map_or("", |pool| pool.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::{below, usual_places};
    use crate::install::media::{Arch, SeenAs};
    use crate::install::os::Os;

    #[test]
    fn kernels_are_looked_for_from_where_a_url_ends() {
        let kernel = |os: &str, url: &str| {
            let places = usual_places(&Os::parse(os).unwrap(), Arch::X86_64, SeenAs::Tree);
            below(url, &places).unwrap().kernel
        };
        let netboot = "current/images/netboot/debian-installer/amd64/linux";
        let mirror = "http://deb.debian.org/debian";
        for (url, expected) in [
            (
                mirror,
                format!("dists/bookworm/main/installer-amd64/{netboot}"),
            ),
            (
                "http://deb.debian.org/debian/dists/bookworm",
                format!("main/installer-amd64/{netboot}"),
            ),
            (
                "http://deb.debian.org/debian/dists/bookworm/main/installer-amd64",
                netboot.to_owned(),
            ),
        ] {
            assert_eq!(kernel("debian12", url), expected, "{url}");
        }
        assert_eq!(
            kernel("fedora42", "https://example.org/os"),
            "images/pxeboot/vmlinuz"
        );
        assert_eq!(
            kernel("fedora42", "https://example.org/images/pxeboot"),
            "vmlinuz"
        );
        assert_eq!(
            kernel("ubuntu24.04", "http://host/ubuntu"),
            "casper/vmlinuz"
        );
        assert_eq!(
            kernel("ubuntu24.04", "http://host/24.04/netboot"),
            "amd64/linux"
        );
        assert!(below("http://x", &[]).is_none());
    }
}
