//! Pools and images, with the look into the images' files.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use super::pool_source::place_of;
use super::{Referent, Resolver, is_absolute, lifecycle, value, value_or};
use crate::address::Address;
use crate::diagnostic::{Diagnostic, Span};
use crate::file::header::{Format, Header};
use crate::lab::load;
use crate::lab::model::{Disk, DiskSource, Guest, Image, Pool, VolumeFormat, is_of_files};
use crate::lab::written::Named;
use crate::lab::written::storage::{ImageSpec, PoolSpec};
use crate::xml::tree::Element;

impl Resolver<'_> {
    /// Resolves the pools.
    pub(super) fn pools(&mut self, specs: &[Named<PoolSpec>]) {
        let mut names = Vec::new();
        let mut paths: BTreeMap<String, Span> = BTreeMap::new();
        for named in specs {
            let name = self.libvirt_name(&named.key, &named.spec.name);
            names.push(name.clone());
            let pool = self.pool(named, name.value);
            if let (Some(path), Some(written)) = (&pool.path, &named.spec.path) {
                match paths.get(path) {
                    Some(first) => self.problems.push(
                        Diagnostic::error(format!("two pools have the path {path}"))
                            .at(written.span)
                            .related(Some(*first), "the other one")
                            .hint("give one of them another path, or use one pool for both"),
                    ),
                    None => {
                        paths.insert(path.clone(), written.span);
                    }
                }
            }
            let address = Address::pool(&named.key.value);
            self.lab.places.insert(address, named.key.span);
            self.lab.pools.insert(named.key.value.clone(), pool);
        }
        self.check_unique_names("pool", &names);
    }

    fn pool(&mut self, named: &Named<PoolSpec>, name: String) -> Pool {
        let spec = &named.spec;
        let kind = value_or(&spec.kind, "dir");
        let path = spec.path.as_ref().map(|path| {
            if !is_absolute(&path.value) {
                self.report(
                    Diagnostic::error(format!("`{}` is not an absolute path", path.value))
                        .at(path.span)
                        .hint("a pool's directory is on the hypervisor: write it from `/` on"),
                );
            }
            clean(&path.value)
        });
        if let Some(path) = &spec.path
            && !value_or(&spec.external, false)
            && matches!(kind, "rbd" | "gluster" | "iscsi-direct")
        {
            let problem = format!("`path` has no effect in a pool of type `{kind}`");
            let place = spec.kind.as_ref().map(|kind| kind.span);
            let problem = Diagnostic::error(problem).at(path.span);
            self.report(problem.related(place, "its type").hint("remove it"));
        }
        if !value_or(&spec.external, false) && !named.flawed {
            if kind == "dir" && path.is_none() {
                self.report(
                    Diagnostic::error("a pool of type `dir` needs `path`")
                        .at(named.key.span)
                        .hint(format!(
                            "write `path: /var/lib/libvirt/images/{}`, or `external: true` for one that exists",
                            named.key.value
                        )),
                );
            }
            let own = spec
                .xml
                .as_ref()
                .and_then(|xml| Element::parse(&xml.value.text).ok());
            let is_said = own
                .as_ref()
                .is_some_and(|xml| xml.text_at("target/path").is_some());
            let is_mounted = kind != "dir" && (is_of_files(kind) || kind == "vstorage");
            if is_mounted && path.is_none() && !is_said {
                self.report(
                    Diagnostic::error(format!("a pool of type `{kind}` needs `path`"))
                        .at(spec.kind.as_ref().map(|kind| kind.span))
                        .hint("write where its source is to be mounted; the directory is made"),
                );
            }
        }
        // What is made of XML of one's own alone is said there.
        let is_own = spec.xml.is_some() && spec.source.is_none();
        let is_made = !value_or(&spec.external, false) && !is_own;
        let mut source = self.pool_source(named, kind, is_own || named.flawed);
        if is_made && kind == "logical" {
            let source = source.get_or_insert_default();
            source.name.get_or_insert_with(|| name.clone());
        }
        let group = source.as_ref().and_then(|source| source.name.as_deref());
        let path = path.or_else(|| place_of(kind, group).filter(|_| is_made));
        Pool {
            key: named.key.value.clone(),
            name,
            external: value_or(&spec.external, false),
            uuid: Address::pool(&named.key.value).uuid(&self.lab.name),
            kind: kind.to_owned(),
            path,
            source,
            autostart: value_or(&spec.autostart, true),
            lifecycle: lifecycle(&spec.lifecycle.prevent_destroy),
            xml: self.overlay(&spec.xml, "pool"),
        }
    }

    /// Resolves the images: those of which something is wrong are left out, and their problems reported.
    pub(super) fn images(&mut self, specs: &[Named<ImageSpec>]) {
        for named in specs {
            let address = Address::image(&named.key.value);
            self.lab.places.insert(address, named.key.span);
            if let Some(image) = self.image(named) {
                self.lab.images.insert(named.key.value.clone(), image);
            }
        }
    }

    fn image(&mut self, named: &Named<ImageSpec>) -> Option<Image> {
        let spec = &named.spec;
        let pool = spec.pool.as_ref();
        let pool_known = pool.map(|pool| self.check_reference(Referent::Pool, pool));
        let sha256 = spec.sha256.as_ref().map(|sum| {
            if sum.value.len() != 64 || !sum.value.chars().all(|c| c.is_ascii_hexdigit()) {
                self.report(
                    Diagnostic::error("a SHA-256 has 64 hexadecimal digits")
                        .at(sum.span)
                        .label(format!("this has {} characters", sum.value.chars().count()))
                        .hint("`sha256sum FILE` prints it"),
                );
            }
            sum.value.to_ascii_lowercase()
        });
        let written = spec.source.as_ref()?;
        if written.value.contains("://") {
            self.report(
                Diagnostic::error("images from a URL are not supported yet")
                    .at(written.span)
                    .hint("download it first, and give the file's path"),
            );
            return None;
        }
        let source = load::absolute(self.sources, written.span, &written.value);
        let header = match Header::read(&source) {
            Ok(header) => header,
            Err(error) => {
                let why = match error.kind() {
                    ErrorKind::NotFound => "there is no such file".to_owned(),
                    _ => error.to_string(),
                };
                self.report(
                    Diagnostic::error(format!("cannot read the image {}: {why}", written.value))
                        .at(written.span)
                        .hint(format!("it is looked for at {}", source.display())),
                );
                return None;
            }
        };
        self.check_header(spec, &header);
        pool_known.filter(|known| *known)?;
        let format = match header.format {
            _ if spec.format.is_some() => value(&spec.format)?,
            Format::Known(format) => format,
            Format::Other(_) => return None,
        };
        Some(Image {
            key: named.key.value.clone(),
            name: format!("{}.{}", named.key.value, format.as_str()),
            pool: value(&spec.pool)?,
            source,
            format,
            capacity: match format {
                VolumeFormat::Qcow2 => header.capacity,
                VolumeFormat::Raw => header.file_size,
            },
            file_size: header.file_size,
            sha256,
            digest: None,
            lifecycle: lifecycle(&spec.lifecycle.prevent_destroy),
        })
    }

    fn check_header(&mut self, spec: &ImageSpec, header: &Header) {
        let place = spec.source.as_ref().map(|source| source.span);
        let is = &header.format;
        let read = "remove `format`: it is read from the file";
        match (&spec.format, is) {
            (None, Format::Known(_)) => {}
            (None, Format::Other(name)) => self.report(
                Diagnostic::error(format!("the image is in {name} format, which guests are not given here"))
                    .at(place)
                    .hint(format!("convert it: `qemu-img convert -f {name} -O qcow2 FILE NEW.qcow2`")),
            ),
            (Some(format), _) if Format::Known(format.value) == *is => {}
            (Some(format), _) => match format.value {
                VolumeFormat::Qcow2 => self.report(
                    Diagnostic::error("the image is not in qcow2 format")
                        .at(format.span)
                        .related(place, "this file")
                        .hint(read),
                ),
                // Nobody writes to it, so nothing is lost.
                VolumeFormat::Raw => self.report(
                    Diagnostic::warning(format!("the image is in {is} format: as raw, guests see its header and not the disk in it"))
                        .at(format.span)
                        .related(place, "this file")
                        .hint(read),
                ),
            },
        }
        if header.capacity == 0 {
            self.report(
                Diagnostic::error("the image is empty")
                    .at(place)
                    .hint("the disk in it has no bytes; was it downloaded whole?"),
            );
        }
        if header.backed {
            self.report(
                Diagnostic::error("the image is an overlay of another file")
                    .at(place)
                    .hint("make it whole: `qemu-img convert -O qcow2 FILE WHOLE.qcow2`"),
            );
        }
    }

    /// Volumes of one pool have names of their own, whether images or disks.
    pub(super) fn volume_names(&mut self) {
        let lab = &self.lab;
        let images = lab
            .images
            .values()
            .map(|image| (&image.pool, &image.name, Address::image(&image.key)));
        let volumes = lab
            .volumes()
            .map(|(_, volume)| (&volume.pool, &volume.name, volume.address.clone()));
        let mut seen: BTreeMap<(&str, &str), Address> = BTreeMap::new();
        let mut problems = Vec::new();
        for (pool, name, address) in images.chain(volumes) {
            let Some(pool) = lab.pools.get(pool) else {
                continue;
            };
            let place = lab.places.get(&address).copied();
            match seen.get(&(pool.name.as_str(), name.as_str())) {
                Some(first) => problems.push(
                    Diagnostic::error(format!(
                        "{first} and {address} would both be the volume `{name}` of pool `{}`",
                        pool.name
                    ))
                    .at(place)
                    .related(lab.places.get(first).copied(), "the other one")
                    .hint("rename one of them, or put one into another pool"),
                ),
                None => {
                    seen.insert((&pool.name, name), address);
                }
            }
        }
        for problem in problems {
            self.report(problem);
        }
    }

    /// Warns of what several guests write to without saying that they share it: only one of them can run at a time.
    pub(super) fn shared_disks(&mut self) {
        let mut users: BTreeMap<_, Vec<(&Guest, &Disk)>> = BTreeMap::new();
        for guest in self.lab.guests.values() {
            for disk in guest.disks.iter().filter(|disk| !disk.readonly) {
                let key = match &disk.source {
                    DiskSource::Volume(volume) => {
                        (Some(volume.pool.as_str()), volume.name.as_str())
                    }
                    DiskSource::Existing { pool, volume, .. } => {
                        (Some(pool.as_str()), volume.as_str())
                    }
                    DiskSource::Path { path } => (None, path.as_str()),
                    DiskSource::Seed { .. } | DiskSource::Empty => continue,
                };
                users.entry(key).or_default().push((guest, disk));
            }
        }
        let mut problems = Vec::new();
        for ((_, name), users) in users {
            let place = |guest: &Guest, disk: &Disk| {
                self.lab
                    .places
                    .get(&Address::volume(&guest.key, &disk.key))
                    .copied()
            };
            let selfish = users.iter().find(|(_, disk)| !disk.shareable);
            if let (Some((guest, disk)), [_, _, ..]) = (selfish, users.as_slice())
                && let Some((other, others)) = users
                    .iter()
                    .find(|(g, d)| (&g.key, &d.key) != (&guest.key, &disk.key))
            {
                problems.push(
                    Diagnostic::warning(format!(
                        "`{}` and `{}` both write to {name}, and cannot run at the same time",
                        guest.key, other.key
                    ))
                    .at(place(guest, disk))
                    .related(place(other, others), "the other disk")
                    .hint("write `shareable: true` (in raw format) or `readonly: true` at each"),
                );
            }
        }
        for problem in problems {
            self.report(problem);
        }
    }
}

/// A path without doubled or trailing slashes and `.`, so that two spellings compare equal; libvirt cleans it alike.
pub(super) fn clean(path: &str) -> String {
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    match is_absolute(path) {
        true => format!("/{}", parts.join("/")),
        false => parts.join("/"),
    }
}
