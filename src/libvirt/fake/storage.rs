//! What the fake does with pools and volumes.

use std::collections::{BTreeMap, BTreeSet};

use super::{Model, Refusal, define, fill, get, get_mut, refuse};
use crate::file::content::{Method, content_of};
use crate::file::header::Format;
use crate::file::place::Place;
use crate::file::stamp::Stamp;
use crate::lab::model::is_of_files;
use crate::libvirt::{DiskFile, ErrorKind, Filled, Monitor, Outcome, Scope};
use crate::step::{Content, Named};
use crate::xml::tree::Element;

impl Model {
    pub(super) fn define_pool(&mut self, xml: &Element) -> Result<(), Refusal> {
        let name = xml.text_at("name").unwrap_or_default();
        // Of other types libvirt compares the sources.
        let path = |xml: &Element| {
            let is_directory = matches!(xml.attribute("type"), None | Some("dir"));
            let path = xml.text_at("target/path").filter(|_| is_directory);
            path.map(str::to_owned)
        };
        let wanted = path(xml);
        let other = self.pools.iter().find(|(other, object)| {
            other.as_str() != name && wanted.is_some() && path(&object.xml) == wanted
        });
        if let Some((other, _)) = other {
            return refuse(format!("Storage source conflict with pool: '{other}'"));
        }
        define(&mut self.pools, "pool", xml, fill::pool(xml))
    }

    pub(super) fn start_pool(&mut self, name: &str, monitor: &dyn Monitor) -> Result<(), Refusal> {
        let object = get_mut(&mut self.pools, "pool", name)?;
        if object.live.is_some() {
            return Ok(());
        }
        let directory = object.xml.text_at("target/path").unwrap_or_default();
        let is_of_files = object.xml.attribute("type").is_none_or(is_of_files);
        if is_of_files && !self.directories.contains(directory) {
            monitor
                .makes_directory()
                .map_err(|error| (error.kind, error.message))?;
            self.directories.insert(directory.to_owned());
        }
        object.live = Some(object.xml.clone());
        Ok(())
    }

    pub(super) fn delete_pool_directory(&mut self, name: &str) -> Result<Outcome, Refusal> {
        let Some(object) = self.pools.get(name) else {
            return Ok(Outcome::default());
        };
        if object.live.is_some() {
            return refuse(format!("storage pool '{name}' is still active"));
        }
        let directory = object.xml.text_at("target/path").unwrap_or_default();
        if self.files.keys().any(|path| is_in(path, directory)) {
            return Ok(Outcome::noted(format!(
                "the directory of pool {name} is kept, it is not empty"
            )));
        }
        self.directories.remove(directory);
        Ok(Outcome::default())
    }

    /// Where a volume of a pool is, or would be.
    pub(super) fn volume_path(&self, pool: &str, name: &str) -> Result<String, Refusal> {
        let Some(live) = &get(&self.pools, "pool", pool)?.live else {
            return refuse(format!("storage pool '{pool}' is not active"));
        };
        let directory = live.text_at("target/path").unwrap_or_default();
        Ok(format!("{}/{name}", directory.trim_end_matches('/')))
    }

    /// All volumes of active pools, by pool and name.
    pub(super) fn all_volumes(&self) -> Vec<(String, String)> {
        let pools = self.pools.iter().filter_map(|(name, pool)| {
            let directory = pool.live.as_ref()?.text_at("target/path")?;
            Some((name, directory.trim_end_matches('/')))
        });
        pools
            .flat_map(|(pool, directory)| {
                let files = self.files.keys().filter(move |path| is_in(path, directory));
                files.filter_map(move |path| {
                    Some((pool.clone(), path.rsplit_once('/')?.1.to_owned()))
                })
            })
            .collect()
    }

    /// The path of a pool, also of one that is not active or not there.
    fn directory(&self, scope: &Scope, pool: &str) -> Option<String> {
        let path = match self.pools.get(pool) {
            Some(pool) => pool.xml.text_at("target/path").map(str::to_owned),
            None => scope.directories.get(pool).cloned(),
        };
        Some(path?.trim_end_matches('/').to_owned())
    }

    /// Where the directories of pools are. There is one file system.
    pub(super) fn places(&self, scope: &Scope) -> BTreeMap<String, Place> {
        let place = |pool: &String| {
            let path = self.directory(scope, pool)?;
            let place = Place {
                there: self.directories.contains(&path),
                mount: "/".to_owned(),
                file_system: "fake".to_owned(),
            };
            Some((pool.clone(), place))
        };
        scope.directories.keys().filter_map(place).collect()
    }

    /// The files of volumes whose pool is not active.
    pub(super) fn files_beside(&self, scope: &Scope) -> BTreeSet<(String, String)> {
        let is_beside = |(pool, name): &&(String, String)| {
            let path = self.directory(scope, pool);
            let path = path.map(|path| format!("{path}/{name}"));
            self.volume_path(pool, name).is_err()
                && path.is_some_and(|path| self.files.contains_key(&path))
        };
        scope.volumes.iter().filter(is_beside).cloned().collect()
    }

    /// The formats that are asked for.
    pub(super) fn formats(&self, scope: &Scope) -> BTreeMap<DiskFile, Option<Format>> {
        let format = |file: &DiskFile| {
            let path = match file {
                DiskFile::Path(path) => path.clone(),
                DiskFile::Volume(pool, name) => self.volume_path(pool, name).ok()?,
            };
            let name = self
                .files
                .get(&path)?
                .attribute_at("target/format", "type")?;
            Some(Format::of_volume(name))
        };
        let files = scope.formats.iter();
        files.map(|file| (file.clone(), format(file))).collect()
    }

    /// The path of a volume that tests name as `POOL/VOLUME`.
    pub(super) fn file_named(&self, name: &str) -> Option<String> {
        let (pool, volume) = name.split_once('/')?;
        self.volume_path(pool, volume).ok()
    }

    pub(super) fn create_volume(&mut self, pool: &str, xml: &Element) -> Result<(), Refusal> {
        let name = xml.text_at("name").unwrap_or_default();
        let path = self.volume_path(pool, name)?;
        if self.files.contains_key(&path) {
            return Err((
                ErrorKind::Exists,
                format!("storage volume '{name}' exists already"),
            ));
        }
        if let Some(backing) = xml.text_at("backingStore/path")
            && !self.files.contains_key(backing)
        {
            return refuse(format!(
                "Could not open backing file '{backing}': No such file or directory"
            ));
        }
        self.files.insert(path.clone(), fill::volume(xml, &path));
        Ok(())
    }

    pub(super) fn upload_volume(
        &mut self,
        pool: &str,
        name: &str,
        content: &Content,
        monitor: &dyn Monitor,
    ) -> Result<Outcome, Refusal> {
        let path = self.existing(pool, name)?;
        let (source, expected) = match content {
            Content::Bytes(bytes) => {
                monitor.moved(bytes.len() as u64, bytes.len() as u64);
                return Ok(Outcome::default());
            }
            Content::File { path, expected } => (path, expected),
        };
        let read = || {
            let size = std::fs::metadata(source)?.len();
            let method = expected.as_deref().and_then(Method::of);
            let content = content_of(source, method.unwrap_or(Method::Blocks))?;
            Ok((size, content))
        };
        let read: std::io::Result<(u64, String)> = read();
        match read {
            Ok((_, content)) if expected.as_ref().is_some_and(|it| *it != content) => {
                self.files.remove(&path);
                refuse(format!("{} has the SHA-256 {content}", source.display()))
            }
            Ok((size, content)) => {
                monitor.moved(size, size);
                let filled = Filled {
                    source: source.clone(),
                    stamp: Stamp::of(source),
                    content,
                };
                Ok(Outcome {
                    filled: Some(filled),
                    ..Outcome::default()
                })
            }
            Err(error) => {
                self.files.remove(&path);
                refuse(format!("{}: {error}", source.display()))
            }
        }
    }

    pub(super) fn grow_volume(
        &mut self,
        pool: &str,
        name: &str,
        capacity: u64,
        guest: Option<&(Named, String)>,
    ) -> Result<(), Refusal> {
        let path = self.existing(pool, name)?;
        let users: Vec<&String> = self
            .guests
            .iter()
            .filter(|(_, object)| object.live.as_ref().is_some_and(|xml| uses(xml, &path)))
            .map(|(name, _)| name)
            .collect();
        match guest {
            Some((guest, disk)) => {
                let Some(live) = &get(&self.guests, "guest", &guest.name)?.live else {
                    return refuse("Requested operation is not valid: domain is not running");
                };
                let is_disk = |element: &&Element| {
                    element.attribute_at("target", "dev") == Some(disk)
                        && (element.attribute_at("source", "file") == Some(path.as_str())
                            || element.attribute_at("source", "volume") == Some(name))
                };
                let mut disks = live.child("devices").into_iter();
                if !disks.any(|devices| devices.children_named("disk").any(|d| is_disk(&d))) {
                    return refuse(format!("invalid argument: invalid path: {disk}"));
                }
            }
            None if users.is_empty() => {}
            None => {
                return refuse(format!(
                    "Failed to get \"write\" lock. Is another process using the image [{path}]?"
                ));
            }
        }
        if let Some(xml) = self.files.get_mut(&path) {
            let element = xml.child_or_insert("capacity");
            let before: u64 = element.text.parse().unwrap_or_default();
            element.text = capacity.max(before).to_string();
        }
        Ok(())
    }

    pub(super) fn delete_volume(&mut self, pool: &str, name: &str) -> Result<(), Refusal> {
        if self.pools.contains_key(pool) {
            let path = self.volume_path(pool, name)?;
            self.files.remove(&path);
        }
        Ok(())
    }

    fn existing(&self, pool: &str, name: &str) -> Result<String, Refusal> {
        let path = self.volume_path(pool, name)?;
        if self.files.contains_key(&path) {
            Ok(path)
        } else {
            Err(super::missing("volume", name))
        }
    }
}

fn is_in(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory)
        .is_some_and(|rest| rest.starts_with('/'))
}

fn uses(guest: &Element, path: &str) -> bool {
    guest.child("devices").is_some_and(|devices| {
        devices
            .children_named("disk")
            .any(|disk| disk.attribute_at("source", "file") == Some(path))
    })
}
