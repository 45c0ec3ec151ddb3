//! Disks of guests: what each is made of, its bus and its device name.

use std::collections::BTreeMap;

use super::drive;
use super::{Referent, Resolver, is_absolute, lifecycle, value, value_or};
use crate::address::{Address, Name};
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::decode::{Given, Spanned};
use crate::lab::device_name::letters;
use crate::lab::model::{Allocation, Disk, DiskDevice, DiskSource, Volume, VolumeFormat};
use crate::lab::written::Named;
use crate::lab::written::guest::DiskSpec;

/// Whose disks are resolved.
pub(super) struct Owner<'a> {
    pub(super) key: &'a Name,
    /// The name in libvirt.
    pub(super) name: &'a str,
    /// How many I/O threads it has.
    pub(super) iothreads: &'a Given<u32>,
}

impl Resolver<'_> {
    /// Resolves a guest's disks. Those of which something is wrong are left out, and their problems reported.
    pub(super) fn disks(&mut self, guest: &Owner<'_>, specs: &[Named<DiskSpec>]) -> Vec<Disk> {
        let devs = self.device_names(specs);
        let mut disks = Vec::new();
        for (named, dev) in specs.iter().zip(devs) {
            self.check_device_key(&named.key);
            let spec = &named.spec;
            let device = value_or(&spec.device, DiskDevice::Disk);
            let address = Address::volume(guest.key, &named.key.value);
            self.lab.places.insert(address, named.key.span);
            let Some((source, format)) = self.disk_source(guest, named, device) else {
                continue;
            };
            let readonly = value_or(&spec.readonly, device == DiskDevice::Cdrom);
            let disk = Disk {
                key: named.key.value.clone(),
                device,
                source,
                dev,
                dev_is_given: spec.dev.is_some(),
                bus: bus(spec).to_owned(),
                cache: spec.cache.as_ref().map(|cache| cache.value.to_owned()),
                format,
                attached: None,
                readonly,
                shareable: value_or(&spec.shareable, false),
                discard: drive::discard(spec, device, readonly),
                drive: drive::drive(spec),
            };
            self.check_disk(spec, &disk);
            self.check_drive(spec, &disk, guest.iothreads);
            disks.push(disk);
        }
        disks
    }

    fn check_disk(&mut self, spec: &DiskSpec, disk: &Disk) {
        if let Some(bus) = &spec.bus
            && disk.device == DiskDevice::Cdrom
            && bus.value == "virtio"
        {
            self.report(
                Diagnostic::error("there is no CD drive on the virtio bus")
                    .at(bus.span)
                    .hint("remove `bus`, or write `sata` or `scsi`"),
            );
        }
        if let Some(shareable) = &spec.shareable
            && shareable.value
            && disk.format == Some(VolumeFormat::Qcow2)
        {
            self.report(not_shared(Some(shareable.span)));
        }
        if let Some(readonly) = &spec.readonly
            && !readonly.value
            && disk.device == DiskDevice::Cdrom
        {
            self.report(
                Diagnostic::error("a CD is read-only")
                    .at(readonly.span)
                    .hint("remove `readonly: false`"),
            );
        }
        match &disk.source {
            DiskSource::Volume(_) | DiskSource::Seed { .. } => {}
            DiskSource::Existing { .. } | DiskSource::Path { .. } | DiskSource::Empty => {
                let unfit = [
                    (
                        "keep",
                        spec.keep.as_ref().filter(|k| k.value).map(|keep| keep.span),
                    ),
                    (
                        "allocation",
                        spec.allocation.as_ref().map(|allocation| allocation.span),
                    ),
                    (
                        "lifecycle",
                        spec.lifecycle
                            .prevent_destroy
                            .as_ref()
                            .map(|prevent| prevent.span),
                    ),
                    ("xml", spec.xml.as_ref().map(|xml| xml.span)),
                ];
                for (key, span) in unfit {
                    if let Some(span) = span {
                        self.report(
                            Diagnostic::error(format!(
                                "`{key}` goes with volumes that the lab makes"
                            ))
                            .at(span)
                            .hint("remove it: miniascape never deletes what it did not make"),
                        );
                    }
                }
            }
        }
    }

    /// What a disk is made of, and its format where that is known here. `path`, `volume`, and `image` or `size` exclude each
    /// other.
    fn disk_source(
        &mut self,
        guest: &Owner<'_>,
        named: &Named<DiskSpec>,
        device: DiskDevice,
    ) -> Option<(DiskSource, Option<VolumeFormat>)> {
        let spec = &named.spec;
        if self.contradictory(spec, device) {
            return None;
        }
        if let Some(path) = &spec.path {
            if !is_absolute(&path.value) {
                self.report(
                    Diagnostic::error(format!("`{}` is not an absolute path", path.value))
                        .at(path.span)
                        .hint("the file is on the hypervisor: write it from `/` on; a file of yours is an image"),
                );
            }
            let path = path.value.clone();
            return Some((DiskSource::Path { path }, value(&spec.format)));
        }
        if let Some(image) = &spec.image {
            return self.image_disk(guest, named, image, device);
        }
        if let Some(volume) = &spec.volume {
            let pool = self.disk_pool(named, &spec.pool)?;
            let volume = volume.value.clone();
            // Who owns it is known when all guests are.
            let owner = None;
            return Some((
                DiskSource::Existing {
                    pool,
                    volume,
                    owner,
                },
                value(&spec.format),
            ));
        }
        if let Some(size) = &spec.size {
            let pool = self.disk_pool(named, &spec.pool)?;
            let format = value_or(&spec.format, VolumeFormat::Qcow2);
            let volume = self.volume(guest, named, pool, format, size.value, None);
            return Some((DiskSource::Volume(volume), Some(format)));
        }
        match device {
            DiskDevice::Cdrom => Some((DiskSource::Empty, Some(VolumeFormat::Raw))),
            DiskDevice::Disk => {
                if !named.flawed {
                    self.report(
                        Diagnostic::error(format!(
                            "the disk `{}` is made of nothing",
                            named.key.value
                        ))
                        .at(named.key.span)
                        .hint("give `image`, `size`, `volume` or `path`"),
                    );
                }
                None
            }
        }
    }

    fn contradictory(&mut self, spec: &DiskSpec, device: DiskDevice) -> bool {
        fn place<T>(given: &Given<T>) -> Option<Span> {
            given.as_ref().map(|given| given.span)
        }
        let (path, volume) = (place(&spec.path), place(&spec.volume));
        let (image, size, pool) = (place(&spec.image), place(&spec.size), place(&spec.pool));
        let pairs = [
            ("path", path, "image", image),
            ("path", path, "volume", volume),
            ("path", path, "size", size),
            ("path", path, "pool", pool),
            ("volume", volume, "image", image),
            ("volume", volume, "size", size),
        ];
        let mut found = false;
        for (one, here, other, there) in pairs {
            if let (Some(here), Some(_)) = (here, there) {
                found = true;
                self.report(
                    Diagnostic::error(format!("a disk has `{one}` or `{other}`, not both"))
                        .at(here)
                        .related(there, format!("`{other}` is given here"))
                        .hint("remove one; `null` removes what a group or `common` gives"),
                );
            }
        }
        if let (DiskDevice::Cdrom, Some(size)) = (device, size) {
            found = true;
            self.report(
                Diagnostic::error("a CD drive has no size")
                    .at(size)
                    .hint("give `image`, `path` or `volume`, or nothing for an empty drive"),
            );
        }
        found
    }

    fn image_disk(
        &mut self,
        guest: &Owner<'_>,
        named: &Named<DiskSpec>,
        written: &Spanned<Name>,
        device: DiskDevice,
    ) -> Option<(DiskSource, Option<VolumeFormat>)> {
        let spec = &named.spec;
        let known = self.check_reference(Referent::Image, written);
        let pool = match &spec.pool {
            Some(pool) => self
                .check_reference(Referent::Pool, pool)
                .then(|| pool.value.clone()),
            None => self
                .lab
                .images
                .get(&written.value)
                .map(|image| image.pool.clone()),
        };
        let image = self
            .lab
            .images
            .get(&written.value)
            .filter(|_| known)?
            .clone();
        let pool = pool?;
        match device {
            DiskDevice::Cdrom => Some((
                DiskSource::Existing {
                    pool: image.pool,
                    volume: image.name,
                    owner: Some(Address::image(&image.key)),
                },
                Some(image.format),
            )),
            DiskDevice::Disk => {
                if let Some(format) = spec
                    .format
                    .as_ref()
                    .filter(|f| f.value == VolumeFormat::Raw)
                {
                    self.report(
                        Diagnostic::error("an overlay of an image is in qcow2 format")
                            .at(format.span)
                            .hint("remove `format`; the image itself may be raw"),
                    );
                }
                if let Some(allocation) = &spec.allocation
                    && allocation.value == Allocation::Full
                {
                    self.report(
                        Diagnostic::error("an overlay of an image takes what is written to it")
                            .at(allocation.span)
                            .hint("remove `allocation`: there is no other for a disk with `image`"),
                    );
                }
                let size = spec.size.as_ref().map(|size| size.value);
                if let Some(size) = spec
                    .size
                    .as_ref()
                    .filter(|size| size.value < image.capacity)
                {
                    let (_, has) = crate::units::apart(size.value, image.capacity);
                    let least = crate::units::exact(image.capacity.next_multiple_of(1 << 20));
                    let place = self.lab.places.get(&Address::image(&image.key)).copied();
                    self.report(
                        Diagnostic::error(format!(
                            "the disk is smaller than its image `{}`, which has {has}",
                            image.key
                        ))
                        .at(size.span)
                        .related(place, "the image")
                        .hint(format!("write {least} or more, or remove `size`")),
                    );
                }
                // Overlays are whole sectors, as `qemu-img` would make them.
                let capacity = size.unwrap_or(image.capacity.div_ceil(512).saturating_mul(512));
                let format = VolumeFormat::Qcow2;
                let volume = self.volume(guest, named, pool, format, capacity, Some(image.key));
                Some((DiskSource::Volume(volume), Some(format)))
            }
        }
    }

    fn volume(
        &mut self,
        guest: &Owner<'_>,
        named: &Named<DiskSpec>,
        pool: Name,
        format: VolumeFormat,
        capacity: u64,
        image: Option<Name>,
    ) -> Volume {
        let spec = &named.spec;
        Volume {
            address: Address::volume(guest.key, &named.key.value),
            pool,
            name: format!("{}.{}.{}", guest.name, named.key.value, format.as_str()),
            format,
            capacity,
            allocation: value_or(&spec.allocation, Allocation::Sparse),
            image,
            keep: value_or(&spec.keep, false),
            lifecycle: lifecycle(&spec.lifecycle.prevent_destroy),
            xml: self.overlay(&spec.xml, "volume"),
        }
    }

    fn disk_pool(&mut self, named: &Named<DiskSpec>, pool: &Given<Name>) -> Option<Name> {
        match pool {
            Some(pool) => self
                .check_reference(Referent::Pool, pool)
                .then(|| pool.value.clone()),
            None => {
                if !named.flawed {
                    self.report(
                        Diagnostic::error(format!("the disk `{}` has no pool", named.key.value))
                            .at(named.key.span)
                            .hint("write `pool: POOL`"),
                    );
                }
                None
            }
        }
    }

    /// A device's key becomes its alias in libvirt, `ua-KEY`, which takes fewer characters than a name has.
    pub(super) fn check_device_key(&mut self, key: &Spanned<Name>) {
        if key.value.as_str().contains(['.', '+']) {
            self.report(
                Diagnostic::error(format!("`{}` cannot be the name of a device", key.value))
                    .at(key.span)
                    .hint("devices are named with letters, digits, `_` and `-`"),
            );
        }
    }

    /// The device names: those given, and for the others the first free ones of their bus, in order.
    fn device_names(&mut self, specs: &[Named<DiskSpec>]) -> Vec<String> {
        let mut taken: BTreeMap<String, Span> = BTreeMap::new();
        for dev in specs
            .iter()
            .filter_map(|named| named.spec.dev.as_ref().map(|dev| (dev, &named.spec)))
        {
            let (dev, spec) = dev;
            let prefix = dev_prefix(bus(spec));
            let letters = dev.value.strip_prefix(prefix).unwrap_or_default();
            let plausible =
                matches!(letters.len(), 1..=3) && letters.chars().all(|c| c.is_ascii_lowercase());
            if !plausible {
                self.report(
                    Diagnostic::error(format!(
                        "`{}` is not a device on the bus `{}`",
                        dev.value,
                        bus(spec)
                    ))
                    .at(dev.span)
                    .hint(format!("write `{prefix}a` or the like, or remove `dev`")),
                );
            }
            match taken.get(&dev.value) {
                Some(first) => self.problems.push(
                    Diagnostic::error(format!("two disks are `{}`", dev.value))
                        .at(dev.span)
                        .related(Some(*first), "the other one")
                        .hint("remove one `dev`: a free one is found"),
                ),
                None => {
                    taken.insert(dev.value.clone(), dev.span);
                }
            }
        }
        let mut next: BTreeMap<&str, usize> = BTreeMap::new();
        let mut names = Vec::new();
        for named in specs {
            let prefix = dev_prefix(bus(&named.spec));
            names.push(match &named.spec.dev {
                Some(dev) => dev.value.clone(),
                None => {
                    let counter = next.entry(prefix).or_default();
                    loop {
                        let name = format!("{prefix}{}", letters(*counter));
                        *counter += 1;
                        if !taken.contains_key(&name) {
                            break name;
                        }
                    }
                }
            });
        }
        names
    }
}

fn bus(spec: &DiskSpec) -> &'static str {
    let cdrom = value(&spec.device) == Some(DiskDevice::Cdrom);
    value(&spec.bus).unwrap_or(if cdrom { "sata" } else { "virtio" })
}

fn dev_prefix(bus: &str) -> &'static str {
    match bus {
        "virtio" => "vd",
        "ide" => "hd",
        _ => "sd",
    }
}

/// That a disk is shared which cannot be.
pub(crate) fn not_shared(place: Option<Span>) -> Diagnostic {
    Diagnostic::error("a qcow2 disk cannot be shared by guests that run")
        .at(place)
        .hint("write `format: raw`: QEMU shares no other")
}
