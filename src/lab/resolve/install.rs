//! How a guest's system gets there: its install, its seed for cloud-init, its files and templates.

use std::path::PathBuf;

use super::words::{CMDLINE, shown};
use super::{Referent, Resolver, is_absolute, value, value_or};
use crate::address::{Address, Name};
use crate::diagnostic::{Diagnostic, Span};
use crate::install::os::{Installer, Os};
use crate::lab::decode::Spanned;
use crate::lab::device_name;
use crate::lab::load;
use crate::lab::model::install::{Install, Location, Seed, answer_file};
use crate::lab::model::{Discard, Disk, DiskDevice, DiskSource, Drive, VolumeFormat};
use crate::lab::written::Named;
use crate::lab::written::guest::GuestSpec;
use crate::lab::written::install::{InstallSpec, LocationSpec, PartsSpec};

/// Seconds that an install may take where nothing is said: 45 minutes.
const TIMEOUT: u64 = 45 * 60;

/// The key of the disk that is a seed.
const SEED: &str = "seed";

impl Resolver<'_> {
    /// Resolves a guest's `install`.
    pub(super) fn install(&mut self, named: &Named<GuestSpec>, disks: &[Disk]) -> Option<Install> {
        let spec = named.spec.install.as_ref()?;
        let place = spec.span.unwrap_or(named.key.span);
        let os = self.os(spec, place, named.flawed);
        let location = self.location(spec, place, named.flawed);
        let url_fits = self.check_url("an install tree", spec.url.as_ref());
        self.check_all(&CMDLINE, &spec.cmdline);
        if let Some(timeout) = spec.timeout.as_ref().filter(|timeout| timeout.value == 0) {
            self.report(
                Diagnostic::error("an install takes some time")
                    .at(timeout.span)
                    .hint(
                        "write how long it may take, such as `timeout: 45m`, which is the default",
                    ),
            );
        }
        let installable = |disk: &Disk| disk.device == DiskDevice::Disk && !disk.readonly;
        if !named.flawed && !disks.iter().any(installable) {
            self.report(
                Diagnostic::error(format!("`{}` has no disk to install on", named.key.value))
                    .at(named.key.span)
                    .related(Some(place), "it is installed")
                    .hint("give it `disks: {root: {pool: POOL, size: 10GiB}}`"),
            );
        }
        for (key, given) in [
            (
                "boot.kernel",
                named.spec.boot.kernel.as_ref().map(|given| given.span),
            ),
            (
                "cloud_init",
                named.spec.cloud_init.as_ref().and_then(|given| given.span),
            ),
        ] {
            if let Some(span) = given {
                self.report(
                    Diagnostic::error(format!("a guest has `install` or `{key}`, not both"))
                        .at(span)
                        .related(Some(place), "it is installed")
                        .hint("remove one; `null` removes what a group or `common` gives"),
                );
            }
        }
        let (os, location) = (os?, location.filter(|_| url_fits)?);
        let installer = os.installer();
        let url = match (&spec.url, &location) {
            (Some(url), _) => Some(url.value.clone()),
            (None, Location::Url { url }) => Some(url.clone()),
            (None, _) => None,
        };
        if url.is_none() {
            self.check_packages_source(spec, installer, &location);
        }
        Some(Install {
            template: match &spec.template {
                Some(given) => self.template(given),
                None => built_in(installer)?.to_owned(),
            },
            os,
            installer,
            location,
            url: url.map(|url| url.trim_end_matches('/').to_owned()),
            cmdline: value(&spec.cmdline),
            timeout: value_or(&spec.timeout, TIMEOUT),
        })
    }

    /// A kernel with its initrd does not say where the packages are, and a directory of this machine is not seen by guests.
    fn check_packages_source(
        &mut self,
        spec: &InstallSpec,
        installer: Installer,
        location: &Location,
    ) {
        let cd = match location {
            Location::Url { .. } | Location::Iso { .. } | Location::Volume { .. } => true,
            Location::Tree { .. } | Location::Kernel { .. } => false,
        };
        // Debian's installer knows a mirror by itself; the others are told by their boot options.
        let (option, what) = match installer {
            Installer::Preseed | Installer::Other => return,
            Installer::Kickstart => ("inst.repo=", "an install tree"),
            Installer::Autoyast => ("install=", "an install tree"),
            Installer::Autoinstall => ("url=", "Ubuntu's ISO image"),
        };
        let told = spec
            .cmdline
            .as_ref()
            .is_some_and(|given| given.value.contains(option));
        if !cd && !told {
            self.report(
                Diagnostic::error("the installer is not told where its packages are")
                    .at(spec.location.as_ref().map(LocationSpec::span))
                    .hint(format!("write beside it `url: http://…` of {what}")),
            );
        }
    }

    fn os(&mut self, spec: &InstallSpec, place: Span, flawed: bool) -> Option<Os> {
        let Some(given) = &spec.os else {
            if !flawed {
                self.report(
                    Diagnostic::error("an install needs `os`")
                        .at(place)
                        .hint("write what is installed: `os: debian-12`, `os: fedora-42`"),
                );
            }
            return None;
        };
        let own = own_template(spec).is_some();
        if let (Some(installer), false) = (&spec.installer, own || flawed) {
            self.report(
                Diagnostic::error("`installer` says whose answers a `template` of your own has")
                    .at(installer.span)
                    .hint("write `template: FILE` beside it; without one `os` decides on the installer"),
            );
        }
        let os = match own {
            true => Os::any(&given.value),
            false => Os::parse(&given.value),
        };
        match os {
            Ok(os) => {
                let os = Os {
                    told: value(&spec.installer),
                    ..os
                };
                if !flawed {
                    self.check_told(spec, given, &os);
                }
                Some(os)
            }
            Err(error) => {
                let mut problem = Diagnostic::error(error.summary).at(given.span);
                problem.hint = error.hint;
                self.report(problem);
                None
            }
        }
    }

    /// Says where nothing leads an installer to its answers.
    fn check_told(&mut self, spec: &InstallSpec, given: &Spanned<String>, os: &Os) {
        if os.installer() != Installer::Other || spec.cmdline.is_some() {
            return;
        }
        let file = spec.template.as_ref().map(|template| &template.value);
        let file = answer_file(file.map_or("", String::as_str));
        let near = Os::parse(&given.value).err().and_then(|error| error.hint);
        let near = near.filter(|hint| hint.starts_with("did you mean"));
        let near = near.and_then(|hint| Some(hint.split_once('?')?.0.to_owned() + "? "));
        self.report(
            Diagnostic::warning(format!("the installer of {os} is not told where its answers are"))
                .at(given.span)
                .hint(format!(
                    "{}they are /{file} in its initrd: write the `cmdline` that names them, or `installer: kickstart`, `preseed`, `autoinstall` or `autoyast` if it is one",
                    near.unwrap_or_default()
                )),
        );
    }

    fn location(&mut self, spec: &InstallSpec, place: Span, flawed: bool) -> Option<Location> {
        match &spec.location {
            None => {
                if !flawed {
                    self.report(
                        Diagnostic::error("an install needs `location`")
                            .at(place)
                            .hint("write the URL of an install tree, or the path of an ISO image"),
                    );
                }
                None
            }
            Some(LocationSpec::Parts(parts)) => self.location_parts(parts, flawed),
            Some(LocationSpec::Text(text)) if text.value.contains("://") => {
                let url = text.value.trim_end_matches('/').to_owned();
                self.check_url("an install tree", Some(text))
                    .then_some(Location::Url { url })
            }
            Some(LocationSpec::Text(text)) => {
                let path = PathBuf::from(self.local(text));
                // It may be on another machine than the one that compiles: then its name decides.
                let iso = path.is_file()
                    || !path.is_dir() && text.value.to_ascii_lowercase().ends_with(".iso");
                Some(match iso {
                    true => Location::Iso { path },
                    false => Location::Tree { path },
                })
            }
        }
    }

    fn location_parts(&mut self, parts: &PartsSpec, flawed: bool) -> Option<Location> {
        match (&parts.pool, &parts.volume, &parts.kernel, &parts.initrd) {
            (Some(pool), Some(volume), None, None) => self
                .check_reference(Referent::Pool, pool)
                .then(|| Location::Volume {
                    pool: pool.value.clone(),
                    volume: volume.value.clone(),
                }),
            (None, None, Some(kernel), Some(initrd)) => Some(Location::Kernel {
                kernel: self.file_or_url(kernel),
                initrd: self.file_or_url(initrd),
            }),
            _ if flawed => None,
            _ => {
                self.report(
                    Diagnostic::error(
                        "a location is a volume in a pool, or a kernel with its initrd",
                    )
                    .at(parts.span)
                    .hint(
                        "write both of `{pool: …, volume: …}`, or both of `{kernel: …, initrd: …}`",
                    ),
                );
                None
            }
        }
    }

    fn file_or_url(&mut self, given: &Spanned<String>) -> String {
        if given.value.contains("://") {
            self.check_url("a kernel or initrd", Some(given));
            return given.value.clone();
        }
        self.local(given)
    }

    /// A path of this machine. An absolute one may be of another machine than the one that compiles.
    fn local(&mut self, given: &Spanned<String>) -> String {
        let path = load::absolute(self.sources, given.span, &given.value);
        let there = is_absolute(&given.value) || !given.value.is_empty() && path.exists();
        if !there || given.value.contains(char::is_control) {
            let text = shown(&given.value);
            self.report(
                Diagnostic::error(format!("there is no file or directory `{text}`"))
                    .at(given.span)
                    .hint("a relative path begins at the file of the definition; a URL at `http://` or `https://`"),
            );
        }
        path.to_string_lossy().into_owned()
    }

    /// A file beside the definition where there is one, otherwise a path in the search path.
    pub(super) fn template(&self, given: &Spanned<String>) -> String {
        let path = load::absolute(self.sources, given.span, &given.value);
        match path.is_file() {
            true => path.to_string_lossy().into_owned(),
            false => given.value.clone(),
        }
    }

    /// Resolves a guest's `cloud_init`, and adds its seed to the disks.
    pub(super) fn seed(
        &mut self,
        named: &Named<GuestSpec>,
        libvirt_name: &str,
        disks: &mut Vec<Disk>,
    ) -> Option<Seed> {
        let spec = named.spec.cloud_init.as_ref()?;
        let place = spec.span.unwrap_or(named.key.span);
        if let Some(disk) = named
            .spec
            .disks
            .iter()
            .find(|disk| disk.key.value.as_str() == SEED)
        {
            self.report(
                Diagnostic::error(format!(
                    "the disk `{SEED}` is the one that `cloud_init` adds"
                ))
                .at(disk.key.span)
                .related(Some(place), "it is asked for here")
                .hint("give the disk another name"),
            );
            return None;
        }
        if let Some(nic) = named
            .spec
            .interfaces
            .iter()
            .find(|nic| nic.key.value.as_str() == SEED)
        {
            self.report(
                Diagnostic::error(format!("a disk and a NIC are both named `{SEED}`"))
                    .at(nic.key.span)
                    .related(Some(place), "the disk is the one that `cloud_init` adds")
                    .hint("rename the NIC: both would have the same alias in libvirt"),
            );
        }
        let pool = match &spec.pool {
            Some(pool) => self
                .check_reference(Referent::Pool, pool)
                .then(|| pool.value.clone()),
            None => {
                // The pool of what exists may be one for CDs only: that of a disk of the lab's own comes first.
                let own = |disk: &Disk| match &disk.source {
                    DiskSource::Volume(volume) => Some(volume.pool.clone()),
                    DiskSource::Existing { .. } | DiskSource::Path { .. } => None,
                    DiskSource::Seed { .. } | DiskSource::Empty => None,
                };
                let other = |disk: &Disk| match &disk.source {
                    DiskSource::Existing { pool, .. } => Some(pool.clone()),
                    DiskSource::Volume(_) | DiskSource::Path { .. } => None,
                    DiskSource::Seed { .. } | DiskSource::Empty => None,
                };
                let pool = disks.iter().find_map(own);
                let pool = pool.or_else(|| disks.iter().find_map(other));
                if pool.is_none() && !named.flawed && disks.len() == named.spec.disks.len() {
                    self.report(
                        Diagnostic::error("the seed for cloud-init needs a pool")
                            .at(place)
                            .hint("write `cloud_init: {pool: POOL}`"),
                    );
                }
                pool
            }
        }?;
        let seed = Seed {
            volume: format!("{libvirt_name}.{SEED}.img"),
            template: match &spec.template {
                Some(given) => self.template(given),
                None => "cloud-init/user-data.j2".to_owned(),
            },
            pool,
        };
        disks.push(Disk {
            key: Name::new(SEED).ok()?,
            device: DiskDevice::Disk,
            source: DiskSource::Seed {
                pool: seed.pool.clone(),
                volume: seed.volume.clone(),
                address: Address::volume(&named.key.value, &Name::new(SEED).ok()?),
            },
            dev: device_name::last("vd", disks.iter().map(|disk| disk.dev.as_str())),
            dev_is_given: false,
            bus: "virtio".to_owned(),
            cache: None,
            format: Some(VolumeFormat::Raw),
            attached: None,
            readonly: true,
            shareable: false,
            discard: Discard::Ignore,
            drive: Drive::default(),
        });
        Some(seed)
    }
}

/// The template of the user's own that an install has.
pub(super) fn own_template(spec: &InstallSpec) -> Option<&Spanned<String>> {
    let all = [
        Installer::Kickstart,
        Installer::Preseed,
        Installer::Autoinstall,
        Installer::Autoyast,
    ];
    let is_own = |template: &&Spanned<String>| {
        let ours = all.into_iter().filter_map(built_in);
        !ours.into_iter().any(|ours| ours == template.value)
    };
    spec.template.as_ref().filter(is_own)
}

/// The answer file's template that is compiled in.
fn built_in(installer: Installer) -> Option<&'static str> {
    match installer {
        Installer::Kickstart => Some("autoinstall.d/ks.cfg.j2"),
        Installer::Preseed => Some("autoinstall.d/preseed.cfg.j2"),
        Installer::Autoinstall => Some("autoinstall.d/user-data.j2"),
        Installer::Autoyast => Some("autoinstall.d/autoinst.xml.j2"),
        Installer::Other => None,
    }
}
