//! Puts a lab through its templates.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;

use super::context::{
    Backing, DiskContext, GuestContext, HostContext, IpContext, NetworkContext, PoolContext,
    VolumeContext, VolumeView,
};
use super::format::disk_file;
use super::format::format;
use super::ownership::Owner;
use super::{Chosen, Desired, Detail, External, Resource};
use crate::address::{Address, Kind, Name};
use crate::desired::answers::{self, Answers};
use crate::desired::contexts::Contexts;
use crate::diagnostic::{Diagnostic, Diagnostics, Span};
use crate::file::header::Format;
use crate::fingerprint::fingerprint;
use crate::lab::model::install::Location;
use crate::lab::model::{
    Allocation, DhcpHost, Discard, Disk, DiskSource, DomainType, Firmware, Guest, Image, Interface,
    InterfaceSource, Lab, Lifecycle, Network, Overlay, Pool, Volume, VolumeFormat, is_of_files,
};
use crate::libvirt::DiskFile;
use crate::libvirt::observed::{Facts, Observed, ObservedPool};
use crate::state::cache::Cache;
use crate::step::Content;
use crate::template::Templates;
use crate::units::size;
use crate::xml::document::Document;
use crate::xml::merge;
use crate::xml::schema;
use crate::xml::tree::Element;

/// What the definitions of a lab are made of.
pub struct Sources {
    /// The lab.
    pub lab: Arc<Lab>,
    /// Where it is to be.
    pub site: Site,
    /// Its templates.
    pub templates: Arc<Templates>,
}

/// What the definitions of a lab depend on of a hypervisor.
#[derive(Debug, Clone)]
pub struct Site {
    facts: Facts,
    /// Type and directory of pools, by name in libvirt.
    pools: BTreeMap<String, (Option<String>, Option<String>)>,
    /// Where volumes are, by pool and name.
    volumes: BTreeMap<(String, String), String>,
    /// Formats of what the lab does not make.
    formats: BTreeMap<DiskFile, Option<Format>>,
}

impl From<&Observed> for Site {
    fn from(observed: &Observed) -> Self {
        let pool = |(name, pool): (&String, &ObservedPool)| {
            let kind = pool.xml.tree().attribute("type").map(str::to_owned);
            (name.clone(), (kind, pool.directory()))
        };
        let volumes = observed.volumes.iter();
        Self {
            facts: observed.facts.clone(),
            pools: observed.pools.iter().map(pool).collect(),
            volumes: volumes
                .map(|(key, volume)| (key.clone(), volume.path.clone()))
                .collect(),
            formats: observed.formats.clone(),
        }
    }
}

/// Puts a lab through its templates. What a template, an overlay or the hypervisor makes impossible comes back as
/// problems, all at once; the resources concerned are then left out.
pub fn build(lab: &Lab, observed: &Observed, templates: &Templates) -> (Desired, Diagnostics) {
    let site = Site::from(observed);
    Builder::new(lab, &site, templates, None).build()
}

/// The same; but what comes of the same as when it was seen is put through its template only if somebody looks into it.
pub fn build_uncached(sources: &Arc<Sources>, seen: &Cache) -> (Desired, Diagnostics) {
    let Sources {
        lab,
        site,
        templates,
    } = &**sources;
    Builder::new(lab, site, templates, Some((sources, seen))).build()
}

/// What one definition is made of: which maker of [`Builder`] makes it, and of which part of the lab.
#[derive(Debug, Clone)]
pub(super) enum Part {
    Network(Name),
    Pool(Name),
    Image(Name),
    /// What an external network reserves.
    Reservations(Name),
    /// A disk's volume, by its guest.
    Volume(Name, Address),
    /// A guest's seed for cloud-init.
    Seed(Name),
    Guest(Name),
}

impl Sources {
    /// A definition that has been made before, made again by the same maker. `None` if it cannot be any more: a template is
    /// another one since.
    fn definition(&self, part: &Part, address: &Address) -> Option<Element> {
        let mut builder = Builder::new(&self.lab, &self.site, &self.templates, None);
        builder.make(part);
        let made = builder.resources.remove(address)?;
        Some(Element::clone(&made.xml.tree()))
    }
}

/// All parts of a lab of which definitions are made.
fn parts(lab: &Lab) -> Vec<Part> {
    let reserving = lab.networks.iter().filter(|(_, network)| network.external);
    let reserving = reserving.filter(|(_, network)| !network.dhcp_hosts.is_empty());
    let networks = lab.networks.iter().filter(|(_, network)| !network.external);
    let pools = lab.pools.iter().filter(|(_, pool)| !pool.external);
    let guests = lab.guests.iter();
    let seeded = guests
        .clone()
        .filter(|(_, guest)| guest.cloud_init.is_some());
    let volumes = guests.clone().flat_map(|(key, guest)| {
        let volumes = guest.volumes();
        volumes.map(|volume| Part::Volume(key.clone(), volume.address.clone()))
    });
    networks
        .map(|(key, _)| Part::Network(key.clone()))
        .chain(reserving.map(|(key, _)| Part::Reservations(key.clone())))
        .chain(pools.map(|(key, _)| Part::Pool(key.clone())))
        .chain(lab.images.keys().cloned().map(Part::Image))
        .chain(volumes)
        .chain(seeded.map(|(key, _)| Part::Seed(key.clone())))
        .chain(guests.map(|(key, _)| Part::Guest(key.clone())))
        .collect()
}

fn externals(lab: &Lab) -> BTreeMap<Address, External> {
    let networks = lab.networks.values().filter(|network| network.external);
    let pools = lab.pools.values().filter(|pool| pool.external);
    networks
        .map(|network| (Address::network(&network.key), &network.name))
        .chain(pools.map(|pool| (Address::pool(&pool.key), &pool.name)))
        .map(|(address, name)| {
            let external = External {
                name: name.clone(),
                span: lab.places.get(&address).copied(),
                ips: ips_on(lab, &address),
            };
            (address, external)
        })
        .collect()
}

/// The addresses of guests on an external network.
fn ips_on(lab: &Lab, address: &Address) -> Vec<(IpAddr, Option<Span>)> {
    let is_on = |nic: &&Interface| match &nic.source {
        InterfaceSource::Network { network: key, .. } => Address::network(key) == *address,
        InterfaceSource::Bridge { .. } | InterfaceSource::Direct { .. } | InterfaceSource::User => {
            false
        }
    };
    let guests = lab.guests.values();
    guests
        .flat_map(|guest| {
            let place = lab.places.get(&Address::guest(&guest.key)).copied();
            let ips = guest
                .interfaces
                .iter()
                .filter(is_on)
                .flat_map(|nic| &nic.ips);
            ips.map(move |ip| (*ip, place))
        })
        .collect()
}

pub(super) struct Builder<'a> {
    pub(super) lab: &'a Lab,
    site: &'a Site,
    pub(super) templates: &'a Templates,
    /// What it is all made of once more, where it is looked into, and what was seen before.
    memory: Option<(&'a Arc<Sources>, &'a Cache)>,
    resources: BTreeMap<Address, Resource>,
    problems: Diagnostics,
    answers: BTreeMap<Name, Answers>,
    /// What templates of answers see; most labs have none.
    contexts: OnceCell<Contexts<'a>>,
}

impl<'a> Builder<'a> {
    fn new(
        lab: &'a Lab,
        site: &'a Site,
        templates: &'a Templates,
        memory: Option<(&'a Arc<Sources>, &'a Cache)>,
    ) -> Self {
        Self {
            lab,
            site,
            templates,
            memory,
            resources: BTreeMap::new(),
            problems: Diagnostics::default(),
            answers: BTreeMap::new(),
            contexts: OnceCell::new(),
        }
    }

    fn build(mut self) -> (Desired, Diagnostics) {
        let lab = self.lab;
        for part in parts(lab) {
            self.make(&part);
        }
        let desired = Desired {
            lab: lab.name.clone(),
            resources: self.resources,
            external: externals(lab),
            moves: lab.moves.clone(),
            answers: self.answers,
        };
        (desired, self.problems)
    }

    fn make(&mut self, part: &Part) {
        let lab = self.lab;
        let guest = |key| lab.guests.get(key).into_iter();
        match part {
            Part::Network(key) => lab
                .networks
                .get(key)
                .into_iter()
                .for_each(|it| self.network(it)),
            Part::Reservations(key) => lab
                .networks
                .get(key)
                .into_iter()
                .for_each(|it| self.reservations(it)),
            Part::Pool(key) => lab.pools.get(key).into_iter().for_each(|it| self.pool(it)),
            Part::Image(key) => lab
                .images
                .get(key)
                .into_iter()
                .for_each(|it| self.image(it)),
            Part::Volume(key, address) => guest(key)
                .flat_map(Guest::volumes)
                .filter(|volume| volume.address == *address)
                .for_each(|volume| self.volume(volume, key)),
            Part::Seed(key) => guest(key).for_each(|it| self.seed(it)),
            Part::Guest(key) => guest(key).for_each(|it| self.guest(it)),
        }
    }

    /// The answers of a guest. They are kept only where they are asked for: who plans has them in what is made of them.
    pub(super) fn answers(&mut self, guest: &Guest) -> Result<Option<Answers>, Diagnostic> {
        let contexts = self.contexts.get_or_init(|| Contexts::new(self.lab));
        let answers = answers::of(contexts, self.templates, guest)?;
        if let (None, Some(answers)) = (self.memory, &answers) {
            self.answers.insert(guest.key.clone(), answers.clone());
        }
        Ok(answers)
    }

    fn network(&mut self, network: &Network) {
        let families = |ip: IpAddr| if ip.is_ipv4() { "ipv4" } else { "ipv6" };
        let ips = network.addresses.iter().map(|address| {
            let family = families(address.addr());
            IpContext {
                family,
                address: address.addr(),
                prefix: address.prefix_len(),
                ranges: network
                    .dhcp
                    .iter()
                    .filter(|range| address.contains(&range.start))
                    .collect(),
                hosts: reservations(
                    network
                        .dhcp_hosts
                        .iter()
                        .filter(|host| address.contains(&host.ip)),
                ),
                tftp: None,
                bootp: None,
            }
        });
        let mut ips: Vec<IpContext<'_>> = ips.collect();
        let first = |ip: &&mut IpContext<'_>| ip.ranges.is_empty() && ip.hosts.is_empty();
        let boots = ips.iter_mut().filter(|ip| ip.address.is_ipv4());
        if let Some(ip) = boots.min_by_key(first) {
            ip.tftp = network.tftp.as_deref();
            ip.bootp = network.bootp.as_ref();
        }
        let context = NetworkContext {
            lab: &self.lab.name,
            network,
            ips,
        };
        let address = Address::network(&network.key);
        let detail = Detail::Network {
            uuid: network.uuid,
            autostart: network.autostart,
        };
        let owner = self.owner(&address, &network.name, &detail);
        let part = Part::Network(network.key.clone());
        let xml = self.definition(part, owner, "network", &context, network.xml.as_ref());
        self.add(
            address,
            &network.name,
            xml,
            BTreeSet::new(),
            network.lifecycle,
            detail,
        );
    }

    /// What an external network is to reserve: no template is asked about what is not the lab's.
    fn reservations(&mut self, network: &Network) {
        let hosts = reserved(network).into_iter();
        let dhcp = hosts.fold(Element::new("dhcp"), Element::with_child);
        let xml = Element::new("network").with_child(Element::new("ip").with_child(dhcp));
        self.add(
            Address::reservations(&network.key),
            &network.name,
            Ok(xml.into()),
            BTreeSet::new(),
            network.lifecycle,
            Detail::Reservations,
        );
    }

    fn pool(&mut self, pool: &Pool) {
        let context = PoolContext {
            lab: &self.lab.name,
            pool,
        };
        let address = Address::pool(&pool.key);
        let detail = Detail::Pool {
            uuid: pool.uuid,
            autostart: pool.autostart,
        };
        let owner = self.owner(&address, &pool.name, &detail);
        let part = Part::Pool(pool.key.clone());
        let xml = self.definition(part, owner, "pool", &context, pool.xml.as_ref());
        self.add(
            address,
            &pool.name,
            xml,
            BTreeSet::new(),
            pool.lifecycle,
            detail,
        );
    }

    fn image(&mut self, image: &Image) {
        let context = VolumeContext {
            lab: &self.lab.name,
            volume: VolumeView {
                name: &image.name,
                capacity: image.capacity,
                format: image.format,
                allocation: self.allocation(
                    &image.pool,
                    image.format,
                    image.capacity,
                    Allocation::Sparse,
                ),
                backing: None,
            },
        };
        let address = Address::image(&image.key);
        let detail = Detail::Image {
            pool: self.pool_name(&image.pool).to_owned(),
            content: Content::File {
                path: image.source.clone(),
                expected: match &image.sha256 {
                    Some(sha256) => Some(format!("sha256:{sha256}")),
                    None => image.digest.clone(),
                },
            },
            size: image.file_size,
            also: image.digest.clone(),
        };
        let owner = self.owner(&address, &image.name, &detail);
        let part = Part::Image(image.key.clone());
        let xml = self.definition(part, owner, "volume", &context, None);
        let depends = self.owned_pool(&image.pool);
        self.add(address, &image.name, xml, depends, image.lifecycle, detail);
    }

    fn volume(&mut self, volume: &Volume, guest: &Name) {
        let image = volume
            .image
            .as_ref()
            .and_then(|key| self.lab.images.get(key));
        let backing = image.map(|image| Backing {
            path: self.path_of(&image.pool, &image.name).unwrap_or_default(),
            format: image.format,
        });
        if backing
            .as_ref()
            .is_some_and(|backing| backing.path.is_empty())
        {
            let problem = Diagnostic::error(format!(
                "{} cannot be an overlay: where the image is in its pool is not known",
                volume.address
            ));
            self.problem(
                &volume.address,
                problem.hint(
                    "overlays need an image in a pool of type dir, fs, netfs or logical; of an external one give the \
                     `path` where no hypervisor is asked",
                ),
            );
            return;
        }
        let context = VolumeContext {
            lab: &self.lab.name,
            volume: VolumeView {
                name: &volume.name,
                capacity: volume.capacity,
                format: volume.format,
                allocation: self.allocation(
                    &volume.pool,
                    volume.format,
                    volume.capacity,
                    volume.allocation,
                ),
                backing,
            },
        };
        let image = image.map(|image| Address::image(&image.key));
        let mut depends = self.owned_pool(&volume.pool);
        depends.extend(image.clone());
        let detail = Detail::Volume {
            pool: self.pool_name(&volume.pool).to_owned(),
            keep: volume.keep,
            image,
        };
        let owner = self.owner(&volume.address, &volume.name, &detail);
        let part = Part::Volume(guest.clone(), volume.address.clone());
        let xml = self.definition(part, owner, "volume", &context, volume.xml.as_ref());
        self.add(
            volume.address.clone(),
            &volume.name,
            xml,
            depends,
            volume.lifecycle,
            detail,
        );
    }

    fn guest(&mut self, guest: &Guest) {
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

    /// The pool as a dependency, unless it is external.
    pub(super) fn owned_pool(&self, key: &Name) -> BTreeSet<Address> {
        let pool = self.lab.pools.get(key).filter(|pool| !pool.external);
        pool.map(|pool| Address::pool(&pool.key))
            .into_iter()
            .collect()
    }

    pub(super) fn pool_name<'b>(&'b self, key: &'b Name) -> &'b str {
        self.lab
            .pools
            .get(key)
            .map_or(key.as_str(), |pool| pool.name.as_str())
    }

    pub(super) fn pool_type(&self, key: &Name) -> &str {
        match self.lab.pools.get(key) {
            Some(pool) if !pool.external => &pool.kind,
            _ => {
                let (kind, _) = self.seen_pool(key).unwrap_or((None, None));
                kind.unwrap_or("dir")
            }
        }
    }

    /// What a volume takes of its pool when it is made, where libvirt is to be told. Left to itself it gives a raw one all at once;
    /// where volumes are no files, one that takes less than all is another kind of volume.
    pub(super) fn allocation(
        &self,
        pool: &Name,
        format: VolumeFormat,
        capacity: u64,
        allocation: Allocation,
    ) -> Option<u64> {
        let definition = self.lab.pools.get(pool)?;
        let kind = match definition.external {
            true => self.seen_pool(pool).and_then(|(kind, _)| kind),
            false => Some(definition.kind.as_str()),
        };
        match (allocation, format) {
            (Allocation::Full, _) => Some(capacity),
            (Allocation::Sparse, VolumeFormat::Raw) => kind.filter(|it| is_of_files(it)).map(|_| 0),
            (Allocation::Sparse, VolumeFormat::Qcow2) => None,
        }
    }

    /// Type and directory of a pool that is there.
    fn seen_pool(&self, key: &Name) -> Option<(Option<&str>, Option<&str>)> {
        let pool = self.lab.pools.get(key)?;
        let (kind, directory) = self.site.pools.get(&pool.name)?;
        Some((kind.as_deref(), directory.as_deref()))
    }

    /// Where a volume is on the hypervisor: where it was seen, else in its pool's directory.
    pub(super) fn path_of(&self, pool: &Name, name: &str) -> Option<String> {
        let definition = self.lab.pools.get(pool)?;
        let key = (definition.name.clone(), name.to_owned());
        if let Some(path) = self.site.volumes.get(&key) {
            return Some(path.clone());
        }
        let observed = || self.seen_pool(pool)?.1.map(str::to_owned);
        let written = directory(definition);
        let directory = match definition.external {
            // What is not ours is where it is seen, whatever was written for when it is not.
            true => observed().or(written)?,
            false => written.or_else(observed)?,
        };
        Some(format!("{}/{name}", directory.trim_end_matches('/')))
    }

    /// Renders a template. What it gives is read where that is needed.
    pub(super) fn render<C: Serialize>(
        &self,
        address: &Address,
        template: &'static str,
        context: &C,
        overlay: Option<&Overlay>,
    ) -> Result<Draft, Diagnostic> {
        let text = self
            .templates
            .render(&file(template), context)
            .map_err(|error| error.diagnostic(&format!("for {address}")))?;
        Ok(Draft {
            template,
            text,
            overlay: overlay.map(|overlay| overlay.tree.clone()),
        })
    }

    pub(super) fn owner(&self, address: &Address, name: &str, detail: &Detail) -> Owner {
        Owner::new(&self.lab.name, address, name, detail)
    }

    /// Makes a definition, with name, UUID and mark. One that comes of the same as when it was seen is made when it is looked into.
    pub(super) fn definition<C: Serialize>(
        &self,
        part: Part,
        owner: Owner,
        template: &'static str,
        context: &C,
        overlay: Option<&Overlay>,
    ) -> Result<Document, Diagnostic> {
        let inputs = || {
            let (sources, seen) = self.memory?;
            // There are few pools and images, and they are looked into in any case.
            if matches!(owner.address.kind, Kind::Pool | Kind::Image) {
                return None;
            }
            let templates = self.templates.fingerprint()?;
            let context = serde_json::to_vec(context).ok()?;
            let overlay = overlay.map(|overlay| &overlay.tree);
            let fingerprint = fingerprint(&(templates, template, &context, overlay, &owner));
            Some((sources, seen, fingerprint))
        };
        let inputs = inputs();
        if let Some((sources, seen, fingerprint)) = inputs
            && seen.has(fingerprint)
        {
            let (sources, address) = (sources.clone(), owner.address);
            let again = move || sources.definition(&part, &address);
            return Ok(Document::made(fingerprint, again));
        }
        let draft = self.render(&owner.address, template, context, overlay)?;
        let mut xml = draft.read(&owner.address)?;
        if let Some(problem) = owner.renamed_by_overlay(&xml) {
            return Err(problem);
        }
        owner.stamp(&mut xml);
        let fingerprint = match inputs {
            Some((_, _, fingerprint)) if !self.templates.reads_elsewhere() => fingerprint,
            // A file from elsewhere may be another one the next time.
            Some(_) | None => fingerprint(&(&draft, &owner)),
        };
        Ok(Document::read(fingerprint, &xml))
    }

    pub(super) fn add(
        &mut self,
        address: Address,
        name: &str,
        xml: Result<Document, Diagnostic>,
        depends_on: BTreeSet<Address>,
        lifecycle: Lifecycle,
        detail: Detail,
    ) {
        let xml = match xml {
            Ok(xml) => xml,
            Err(problem) => return self.problem(&address, problem),
        };
        let resource = Resource {
            span: self.lab.places.get(&address).copied(),
            name: name.to_owned(),
            xml,
            depends_on,
            lifecycle,
            detail,
            address: address.clone(),
        };
        self.resources.insert(address, resource);
    }

    pub(super) fn problem(&mut self, address: &Address, problem: Diagnostic) {
        self.problems
            .push(problem.at(self.lab.places.get(address).copied()));
    }
}

/// What a template gave, and what the user lays over it.
#[derive(Debug, Hash)]
pub(super) struct Draft {
    template: &'static str,
    text: String,
    overlay: Option<Element>,
}

impl Draft {
    /// Reads and overlays.
    pub(super) fn read(&self, address: &Address) -> Result<Element, Diagnostic> {
        let Self { template, text, .. } = self;
        let name = file(template);
        let mut xml = Element::parse(text).map_err(|error| {
            let line = text[..error.offset.min(text.len())].matches('\n').count();
            let shown = text.lines().nth(line).unwrap_or_default().trim();
            Diagnostic::error(format!(
                "template {name} gives XML that cannot be read: {error}"
            ))
            .label(format!("for {address}"))
            .hint(format!("line {} of what it gives is `{shown}`", line + 1))
        })?;
        if xml.name != *template {
            return Err(Diagnostic::error(format!(
                "template {name} gives `<{}>` where `<{template}>` belongs",
                xml.name
            ))
            .label(format!("for {address}"))
            .hint("the copy of it that is found first in the template path counts"));
        }
        if let Some(overlay) = &self.overlay {
            merge::overlay(&mut xml, overlay);
        }
        Ok(xml)
    }
}

/// Where a pool's volumes are by its definition: its `path`, what its own XML says, and of a volume group what libvirt makes of its
/// name.
fn directory(pool: &Pool) -> Option<String> {
    let own = pool.xml.as_ref().map(|overlay| &overlay.tree);
    let said = |path: &str| own.and_then(|tree| tree.text_at(path)).map(str::to_owned);
    let named = || pool.source.as_ref().and_then(|source| source.name.clone());
    let group = said("source/name").or_else(named);
    let group = || group.unwrap_or_else(|| pool.name.clone());
    let of_group = || (pool.kind == "logical").then(|| format!("/dev/{}", group()));
    let of_xml = || said("target/path");
    pool.path.clone().or_else(of_xml).or_else(of_group)
}

fn file(template: &str) -> String {
    format!("libvirt/{template}.xml.j2")
}

fn reservations<'a>(hosts: impl Iterator<Item = &'a DhcpHost>) -> Vec<HostContext<'a>> {
    let mut named = BTreeSet::new();
    hosts
        .map(|host| HostContext {
            mac: &host.mac,
            // DHCPv6 tells hosts apart by name alone.
            name: host
                .name
                .as_deref()
                .filter(|name| named.insert(*name) || host.ip.is_ipv6()),
            ip: host.ip,
        })
        .collect()
}

/// What an external network is to reserve, as libvirt has it.
pub fn reserved(network: &Network) -> Vec<Element> {
    let hosts = reservations(network.dhcp_hosts.iter()).into_iter();
    hosts
        .map(|host| {
            let mut element = Element::new("host");
            if host.ip.is_ipv4() {
                element.set_attribute("mac", host.mac);
            }
            if let Some(name) = host.name {
                element.set_attribute("name", name);
            }
            element.set_attribute("ip", host.ip.to_string());
            element
        })
        .collect()
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
        .is_some_and(|machine| matches!(schema::machine_family(machine), "q35" | "virt"))
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
