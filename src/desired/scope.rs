//! What is to be read of a hypervisor for a lab, and what is assumed where none is asked.

use std::collections::{BTreeMap, BTreeSet};

use super::adopt::{adopted, former_volumes};
use super::format::disk_file;
use super::moved;
use crate::address::{Kind, Name};
use crate::diagnostic::Diagnostics;
use crate::file::header::Header;
use crate::lab::digest::{self, Digests, Recorded};
use crate::lab::model::{DiskSource, DomainType, InterfaceSource, Lab};
use crate::libvirt::observed::{Facts, Observed, ObservedPool, trial_name};
use crate::libvirt::{DiskFile, Scope};
use crate::state::{State, Status};
use crate::xml::tree::Element;

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
            InterfaceSource::Network { .. }
            | InterfaceSource::Direct { .. }
            | InterfaceSource::User => None,
        }));
        let lab = adopted(lab, None, state);
        formats.extend(disk_files(&lab));
        volumes.extend(former_volumes(&lab));
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
pub fn hash_images(lab: &mut Lab, state: &State) -> (Digests, Diagnostics) {
    let (name, moves) = (lab.name.clone(), lab.moves.clone());
    let view = moved::view(&name, &moves, None, state);
    digest::fill(lab, &state.cache.digests, |address| {
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
