//! What libvirt should hold: a lab put through its templates, one resource for each object.

pub mod answers;
mod build;
mod context;
pub mod contexts;
mod format;
mod install;
mod kept;
pub mod moved;
mod ownership;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use uuid::Uuid;

pub use build::{Site, Sources, build, build_unseen, reserved};
pub use kept::kept;

use crate::address::{Address, Kind, Name};
use crate::diagnostic::{Diagnostics, Span};
use crate::file::header::Header;
use crate::lab::digest::{self, Digests, Recorded};
use crate::lab::model::{Disk, DiskSource, DomainType, InterfaceSource, Lab, Lifecycle, OnChange};
use crate::lab::moves::Moves;
use crate::libvirt::observed::{Facts, Observed, ObservedPool, trial_name};
use crate::libvirt::{DiskFile, Scope};
use crate::state::{State, Status};
use crate::step::{Content, Stage};
use crate::xml::document::Document;
use crate::xml::tree::Element;

/// What libvirt should hold. External resources are not in it.
#[derive(Debug)]
pub struct Desired {
    /// The lab.
    pub lab: Name,
    /// The resources by address.
    pub resources: BTreeMap<Address, Resource>,
    /// External networks and pools that are referenced: kind and name in libvirt, with the place of the definition.
    pub external: BTreeMap<Address, External>,
    /// Which resources stood at another address before.
    pub moves: Moves,
}

/// Something the lab refers to and does not own.
#[derive(Debug, Clone)]
pub struct External {
    /// Name in libvirt.
    pub name: String,
    /// Where it is defined.
    pub span: Option<Span>,
    /// The addresses that guests have on a network by `ip`, each with the guest's place.
    pub ips: Vec<(IpAddr, Option<Span>)>,
}

/// One object as libvirt should hold it.
#[derive(Debug)]
pub struct Resource {
    /// Its address.
    pub address: Address,
    /// Its name in libvirt.
    pub name: String,
    /// Its definition, with name, and for networks, pools and guests UUID and (not for pools) ownership metadata.
    pub xml: Document,
    /// What has to be there before it: resources of the lab that are not external.
    pub depends_on: BTreeSet<Address>,
    /// What keeps it from being deleted.
    pub lifecycle: Lifecycle,
    /// Where it is defined.
    pub span: Option<Span>,
    /// What differs by kind.
    pub detail: Detail,
}

impl Resource {
    /// The pool that an image or volume is in, by its name in libvirt.
    pub fn pool(&self) -> Option<&str> {
        match &self.detail {
            Detail::Image { pool, .. } | Detail::Volume { pool, .. } => Some(pool),
            Detail::Network { .. }
            | Detail::Reservations
            | Detail::Pool { .. }
            | Detail::Guest { .. } => None,
        }
    }
}

/// What differs by kind of resource.
#[derive(Debug, Clone)]
pub enum Detail {
    /// A network; it is to be active.
    Network {
        /// UUID in libvirt.
        uuid: Uuid,
        /// Started with the host.
        autostart: bool,
    },
    /// What an external network reserves for the lab's guests; its name is the network's.
    Reservations,
    /// A pool; it is to be active.
    Pool {
        /// UUID in libvirt.
        uuid: Uuid,
        /// Started with the host.
        autostart: bool,
    },
    /// A volume that is filled: an image, or a seed for cloud-init.
    Image {
        /// The pool's name in libvirt.
        pool: String,
        /// What it is filled with.
        content: Content,
        /// Its size in bytes.
        size: u64,
        /// What the state may have recorded for the same content.
        also: Option<String>,
    },
    /// A volume made empty or as an overlay.
    Volume {
        /// The pool's name in libvirt.
        pool: String,
        /// Never deleted by us.
        keep: bool,
        /// The image it is an overlay of.
        image: Option<Address>,
    },
    /// A guest.
    Guest {
        /// UUID in libvirt.
        uuid: Uuid,
        /// Started with the host.
        autostart: bool,
        /// Whether it is to run.
        running: bool,
        /// Seconds a shutdown may take.
        shutdown_timeout: u64,
        /// Whether what only a restart brings about restarts it, or waits for one.
        on_change: OnChange,
        /// What was chosen, not written: an existing guest keeps its own.
        chosen: Chosen,
        /// One line for the plan: `2 vcpus, 2 GiB, front 192.168.155.12`.
        summary: String,
        /// How its system is installed, if it is.
        install: Option<Box<Installation>>,
    },
}

/// How a guest's system is installed, in full.
#[derive(Debug, Clone)]
pub struct Installation {
    /// The guest's definition while it is installed: it boots the installer, and is off when that ends.
    pub xml: Element,
    /// The pool of the installer's volumes, by its name in libvirt.
    pub pool: String,
    /// What the installer is booted from.
    pub stage: Stage,
    /// What the installer prints when all is done.
    pub done: Option<String>,
    /// Seconds that it may take.
    pub timeout: u64,
    /// A hash of the answers: when it changes, the guest is not what the definition would install.
    pub answers: String,
}

/// Which parts of a guest's definition were chosen by miniascape and not by the user.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Chosen {
    /// The `type` of `<domain>`.
    pub domain_type: bool,
    /// The `arch` and `machine` of `<os><type>`.
    pub machine: bool,
    /// The mode of `<cpu>`.
    pub cpu: bool,
    /// The model of the SCSI controller.
    pub scsi_controller: bool,
    /// The device names of these disks, which are given by their alias.
    pub disks: BTreeSet<String>,
}

impl Chosen {
    /// What of this the user wrote in a definition, in the words of the state: `cpu`, and the alias of a disk for its device name.
    pub fn written(&self, xml: &Element) -> BTreeSet<String> {
        let parts = [
            ("type", self.domain_type),
            ("machine", self.machine),
            ("cpu", self.cpu),
        ];
        let parts = parts.into_iter().filter(|(_, chosen)| !chosen);
        let devices = xml.child("devices").into_iter();
        let disks = devices.flat_map(|devices| devices.children_named("disk"));
        let disks = disks.filter_map(|disk| disk.attribute_at("alias", "name"));
        parts
            .map(|(part, _)| part)
            .chain(disks.filter(|alias| !self.disks.contains(*alias)))
            .map(str::to_owned)
            .collect()
    }

    /// What of this was chosen before, too, and so stays as it is.
    pub fn but(mut self, written: &BTreeSet<String>) -> Self {
        self.domain_type &= !written.contains("type");
        self.machine &= !written.contains("machine");
        self.cpu &= !written.contains("cpu");
        self.disks.retain(|alias| !written.contains(alias));
        self
    }
}

/// The volumes to look at: those of the definition, where there is one, and those of the state.
pub fn scope(lab: Option<&Lab>, state: &State) -> Scope {
    let mut volumes = BTreeSet::new();
    let mut formats = BTreeSet::new();
    let mut interfaces = BTreeSet::new();
    if let Some(lab) = lab {
        let networks = lab.networks.values();
        interfaces.extend(networks.filter_map(|network| network.bridge.clone()));
        let nics = lab.guests.values().flat_map(|guest| &guest.interfaces);
        interfaces.extend(nics.filter_map(|nic| match &nic.source {
            InterfaceSource::Bridge { bridge } => Some(bridge.clone()),
            InterfaceSource::Network { .. } | InterfaceSource::User => None,
        }));
        let lab = kept(lab, None, state);
        formats.extend(disk_files(&lab));
        volumes.extend(kept::former_volumes(&lab));
        let pool_name = |key: &Name| lab.pools.get(key).map(|pool| pool.name.clone());
        let images = lab.images.values().map(|image| (&image.pool, &image.name));
        let own = lab
            .volumes()
            .map(|(_, volume)| (&volume.pool, &volume.name));
        let disks = lab.guests.values().flat_map(|guest| &guest.disks);
        let existing = disks.filter_map(|disk| match &disk.source {
            DiskSource::Existing { pool, volume, .. } | DiskSource::Seed { pool, volume, .. } => {
                Some((pool, volume))
            }
            DiskSource::Volume(_) | DiskSource::Path { .. } | DiskSource::Empty => None,
        });
        for (pool, name) in images.chain(own).chain(existing) {
            volumes.extend(pool_name(pool).map(|pool| (pool, name.clone())));
        }
    }
    for entry in state.resources.values() {
        if let Some(pool) = &entry.pool {
            volumes.insert((pool.clone(), entry.name.clone()));
            if entry.status != Status::Applied {
                volumes.insert((pool.clone(), trial_name(&entry.name)));
            }
        }
    }
    Scope {
        volumes,
        formats,
        interfaces,
        directories: directories(lab, state),
        ..Scope::default()
    }
}

/// Hashes the images that are there already, for what is not known of their files; gives what is known now.
pub fn look_into_images(lab: &mut Lab, state: &State) -> (Digests, Diagnostics) {
    let (name, moves) = (lab.name.clone(), lab.moves.clone());
    let view = moved::view(&name, &moves, None, state);
    digest::fill(lab, &state.seen.digests, |address| {
        let entry = view.state.resources.get(address);
        match entry.filter(|entry| entry.status == Status::Applied) {
            Some(entry) => entry
                .content
                .as_deref()
                .map_or(Recorded::Unhashed, Recorded::Content),
            None => Recorded::Not,
        }
    })
}

/// The directories of the lab's pools, by name in libvirt; of one that was applied, the one where its volumes are.
fn directories(lab: Option<&Lab>, state: &State) -> BTreeMap<String, String> {
    let pools = lab.iter().flat_map(|lab| lab.pools.values());
    let defined = pools
        .filter(|pool| !pool.external && pool.kind == "dir")
        .filter_map(|pool| Some((pool.name.clone(), pool.path.clone()?)));
    let entries = state.resources.iter();
    let applied = entries
        .filter(|(address, _)| address.kind == Kind::Pool)
        .filter_map(|(_, entry)| {
            let xml = Element::parse(entry.applied.as_ref()?).ok()?;
            let path = xml.text_at("target/path").map(str::to_owned);
            let path = path.filter(|_| xml.attribute("type") == Some("dir"));
            Some((entry.name.clone(), path?))
        });
    defined.chain(applied).collect()
}

/// What guests have that the lab does not make.
fn disk_files(lab: &Lab) -> impl Iterator<Item = DiskFile> {
    let disks = lab.guests.values().flat_map(|guest| &guest.disks);
    disks.filter_map(|disk| disk_file(lab, disk))
}

/// The file of a disk that the lab does not make.
fn disk_file(lab: &Lab, disk: &Disk) -> Option<DiskFile> {
    match &disk.source {
        DiskSource::Path { path } => Some(DiskFile::Path(path.clone())),
        DiskSource::Existing {
            pool,
            volume,
            owner: None,
        } => {
            let pool = &lab.pools.get(pool)?.name;
            Some(DiskFile::Volume(pool.clone(), volume.clone()))
        }
        DiskSource::Existing { owner: Some(_), .. }
        | DiskSource::Volume(_)
        | DiskSource::Seed { .. }
        | DiskSource::Empty => None,
    }
}

/// Whether what is made of a definition needs the formats of all disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Formats {
    /// It does.
    Needed,
    /// What only the hypervisor knows can wait.
    Open,
}

/// Assumes of external pools that they have a directory, where the definition does not say which: the hypervisor is asked later.
pub fn assume_pools(lab: &Lab, assumed: &mut Observed) {
    let open = lab.pools.values();
    for pool in open.filter(|pool| pool.external && pool.path.is_none()) {
        let path = Element::new("path").with_text("/");
        let xml = Element::new("pool")
            .with("type", "dir")
            .with_child(Element::new("target").with_child(path));
        assumed.pools.insert(
            pool.name.clone(),
            ObservedPool {
                uuid: pool.uuid,
                active: true,
                autostart: true,
                persistent: true,
                xml: xml.into(),
            },
        );
    }
}

/// What is assumed of a hypervisor where none is asked: an empty one with KVM, on this machine. Files that are not here are not
/// looked at; but where formats are `Needed`, nobody could tell them. A device is raw then, as most are.
pub fn assumed(lab: &Lab, need: Formats) -> Observed {
    let formats = disk_files(lab).filter_map(|file| {
        let path = match &file {
            DiskFile::Path(path) => Some(path.clone()),
            DiskFile::Volume(pool, name) => {
                let pool = lab.pools.values().find(|other| other.name == *pool);
                let directory = pool.and_then(|pool| pool.path.as_deref());
                directory.map(|directory| format!("{}/{name}", directory.trim_end_matches('/')))
            }
        };
        let header = path.as_deref().map(|path| Header::read(path.as_ref()));
        match (header, need) {
            (Some(Ok(header)), _) => Some((file, Some(header.format))),
            (_, Formats::Needed) if !path.is_some_and(|path| path.starts_with("/dev/")) => {
                Some((file, None))
            }
            (_, Formats::Needed | Formats::Open) => None,
        }
    });
    Observed {
        formats: formats.collect(),
        facts: Facts {
            uri: "qemu:///system".to_owned(),
            driver: "QEMU".to_owned(),
            arch: "x86_64".to_owned(),
            domain_type: Some(DomainType::Kvm),
            local: true,
            ..Facts::default()
        },
        ..Observed::default()
    }
}
