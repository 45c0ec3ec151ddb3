//! Puts pools, images and volumes through their templates, and tells where on the hypervisor they are.

use std::collections::BTreeSet;

use super::Detail;
use super::build::{Builder, Part};
use super::context::{Backing, PoolContext, VolumeContext, VolumeView};
use crate::address::{Address, Name};
use crate::diagnostic::Diagnostic;
use crate::lab::model::{Allocation, Image, Pool, Volume, VolumeFormat, is_of_files};
use crate::step::Content;

impl Builder<'_> {
    pub(super) fn pool(&mut self, pool: &Pool) {
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

    pub(super) fn image(&mut self, image: &Image) {
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

    pub(super) fn volume(&mut self, volume: &Volume, guest: &Name) {
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
