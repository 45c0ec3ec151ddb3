//! What `templates/guest/vmbuild.sh.j2` needs to know: what a guest is built of, in the order it is built.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use super::path::LocalPath;
use super::request::Request;
use super::virt_install::VirtInstall;
use crate::address::{Address, Name};
use crate::desired::{Desired, Detail, Resource};
use crate::diagnostic::Diagnostic;
use crate::lab::model::system::Finish;
use crate::lab::model::{DiskSource, Guest, Image, InterfaceSource};
use crate::step::Content;
use crate::xml::tree::Element;

/// The file with the bytes of a guest's seed.
pub(super) const SEED: &str = "seed.img";

/// The bytes of a guest's seed, if it has one: for cloud-init, or for its installer.
pub(super) fn seed<'a>(
    desired: &'a Desired,
    guest: &Guest,
    resource: &'a Resource,
) -> Option<&'a [u8]> {
    if let Detail::Guest {
        install: Some(install),
        ..
    } = &resource.detail
        && let Some(bytes) = &install.stage.seed
    {
        return Some(bytes);
    }
    guest.disks.iter().find_map(|disk| match &disk.source {
        DiskSource::Seed { address, .. } => match &desired.resources.get(address)?.detail {
            Detail::Image {
                content: Content::Bytes(bytes),
                ..
            } => Some(bytes.as_ref()),
            Detail::Image { .. }
            | Detail::Network { .. }
            | Detail::Reservations
            | Detail::Pool { .. }
            | Detail::Volume { .. }
            | Detail::Guest { .. } => None,
        },
        DiskSource::Volume(_)
        | DiskSource::Existing { .. }
        | DiskSource::Path { .. }
        | DiskSource::Empty => None,
    })
}

/// What a guest is built of.
#[derive(Debug, Serialize)]
pub(super) struct Build<'a> {
    /// Its name in libvirt.
    name: &'a str,
    uuid: Uuid,
    /// Names in libvirt of the networks that have to be active.
    networks: BTreeSet<&'a str>,
    /// Names in libvirt of the pools that have to be active.
    pools: BTreeSet<&'a str>,
    /// Volumes that are filled from files: images that its disks are made of, or are, and the seed for cloud-init.
    images: Vec<ImageStep<'a>>,
    volumes: Vec<VolumeStep<'a>>,
    /// Volumes of other guests that it uses.
    shared: Vec<Shared<'a>>,
    /// Where it is installed unattended.
    install: Option<VirtInstall<'a>>,
    autostart: bool,
    running: bool,
    /// Whether a file of the lab's is needed.
    uses_lab_dir: bool,
}

#[derive(Debug, Serialize)]
struct ImageStep<'a> {
    #[serde(skip)]
    address: Address,
    pool: &'a str,
    name: &'a str,
    /// The file with its definition.
    xml: String,
    source: LocalPath,
    sha256: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct VolumeStep<'a> {
    key: &'a Name,
    pool: &'a str,
    name: &'a str,
    /// The file with its definition.
    xml: String,
    #[serde(skip)]
    address: Address,
}

#[derive(Debug, Serialize)]
struct Shared<'a> {
    pool: &'a str,
    name: &'a str,
    /// The guest whose it is.
    guest: String,
}

impl<'a> Build<'a> {
    /// What a guest is built of.
    pub fn new(
        request: &Request<'a>,
        desired: &'a Desired,
        guest: &'a Guest,
        resource: &'a Resource,
    ) -> Self {
        let lab = request.lab;
        let pool_of = |key: &'a Name| lab.pools.get(key).map_or(key.as_str(), |pool| &pool.name);
        let mut pools = BTreeSet::new();
        let mut images: BTreeMap<&Name, &Image> = BTreeMap::new();
        let mut volumes = Vec::new();
        let mut shared = Vec::new();
        let mut seed = None;
        for disk in &guest.disks {
            match &disk.source {
                DiskSource::Volume(volume) => {
                    pools.insert(pool_of(&volume.pool));
                    let image = volume.image.as_ref().and_then(|key| lab.images.get(key));
                    images.extend(image.map(|image| (&image.key, image)));
                    volumes.push(VolumeStep {
                        key: &disk.key,
                        pool: pool_of(&volume.pool),
                        name: &volume.name,
                        xml: format!("volumes/{}.xml", disk.key),
                        address: volume.address.clone(),
                    });
                }
                DiskSource::Existing {
                    pool,
                    volume,
                    owner,
                } => {
                    pools.insert(pool_of(pool));
                    let image = lab
                        .images
                        .values()
                        .find(|image| owner.as_ref() == Some(&Address::image(&image.key)));
                    let other = lab.guests.values().find(|other| {
                        other.key != guest.key
                            && owner.as_ref().is_some_and(|owner| {
                                other
                                    .disks
                                    .iter()
                                    .any(|disk| *owner == Address::volume(&other.key, &disk.key))
                            })
                    });
                    images.extend(image.map(|image| (&image.key, image)));
                    shared.extend(other.map(|other| Shared {
                        pool: pool_of(pool),
                        name: volume,
                        guest: other.key.to_string(),
                    }));
                }
                DiskSource::Seed {
                    address,
                    pool,
                    volume,
                } => {
                    pools.insert(pool_of(pool));
                    seed = Some(ImageStep {
                        address: address.clone(),
                        pool: pool_of(pool),
                        name: volume,
                        xml: format!("volumes/{}.xml", disk.key),
                        source: LocalPath::beside(SEED),
                        sha256: None,
                    });
                }
                DiskSource::Path { .. } | DiskSource::Empty => {}
            }
        }
        pools.extend(images.values().map(|image| pool_of(&image.pool)));
        let networks = guest.interfaces.iter().filter_map(|nic| match &nic.source {
            InterfaceSource::Network { name, .. } => Some(name.as_str()),
            InterfaceSource::Bridge { .. }
            | InterfaceSource::Direct { .. }
            | InterfaceSource::User => None,
        });
        let images = images.into_values().map(|image| ImageStep {
            address: Address::image(&image.key),
            pool: pool_of(&image.pool),
            name: &image.name,
            xml: format!("images/{}.xml", image.key),
            source: LocalPath::new(&image.source, request.root),
            sha256: image.sha256.as_deref(),
        });
        let images: Vec<ImageStep<'_>> = images.chain(seed).collect();
        let install = guest.install.as_ref().zip(desired.answers.get(&guest.key));
        let install = install
            .map(|(install, answers)| VirtInstall::new(request, guest, install, answers, resource));
        Self {
            uses_lab_dir: images.iter().any(|image| image.source.in_lab)
                || install.as_ref().is_some_and(VirtInstall::uses_lab_dir),
            name: &guest.name,
            uuid: guest.uuid,
            networks: networks.collect(),
            pools,
            images,
            volumes,
            shared,
            install,
            autostart: guest.autostart,
            running: guest.running,
        }
        .known_to(desired)
    }

    /// Without what could not be defined.
    fn known_to(mut self, desired: &Desired) -> Self {
        let known = |address: &Address| desired.resources.contains_key(address);
        self.volumes.retain(|volume| known(&volume.address));
        self.images.retain(|image| known(&image.address));
        self
    }

    /// The definitions of its images and volumes, by file.
    pub fn definitions(&self, desired: &Desired) -> Vec<(String, Arc<Element>)> {
        let images = self
            .images
            .iter()
            .map(|image| (&image.xml, image.address.clone()));
        let volumes = self
            .volumes
            .iter()
            .map(|volume| (&volume.xml, volume.address.clone()));
        images
            .chain(volumes)
            .filter_map(|(path, address)| {
                Some((path.clone(), desired.resources.get(&address)?.xml.tree()))
            })
            .collect()
    }
}

/// What will not be as `apply` makes it.
pub(super) fn warnings(request: &Request<'_>, guest: &Guest) -> Vec<Diagnostic> {
    let mut pools = BTreeSet::new();
    for disk in &guest.disks {
        match &disk.source {
            DiskSource::Volume(volume) => pools.insert(&volume.pool),
            DiskSource::Existing { pool, .. } | DiskSource::Seed { pool, .. } => pools.insert(pool),
            DiskSource::Path { .. } | DiskSource::Empty => false,
        };
    }
    let nowhere = pools
        .into_iter()
        .filter_map(|key| request.lab.pools.get(key))
        .filter(|pool| pool.external && pool.path.is_none())
        .map(|pool| {
            Diagnostic::warning(format!(
                "where the external pool `{}` is, is not known here, and `plan` will want to write it into guest.{}",
                pool.key, guest.key
            ))
            .hint("write it: `{external: true, path: /var/lib/libvirt/images}`")
        });
    let endless = (guest.install.is_some() && guest.system.finish == Finish::Halt).then(|| {
        Diagnostic::warning(format!(
            "vmbuild.sh of guest.{} does not see the end of an install that ends with `finish: halt`",
            guest.key
        ))
        .hint("write `finish: poweroff`, or let `miniascape apply` install it")
    });
    nowhere.chain(endless).collect()
}
