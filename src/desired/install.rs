//! What a guest's system comes from: the definition that boots its installer, and the seed for cloud-init.

use std::collections::{BTreeMap, BTreeSet};

use super::build::{Builder, Part};
use super::context::{DiskContext, GuestContext, InstallContext, VolumeContext, VolumeView};
use super::ownership::stamp_install;
use super::{Detail, Installation};
use crate::address::{Address, Name};
use crate::desired::answers::{AnswerFile, Answers, Delivery};
use crate::diagnostic::Diagnostic;
use crate::fingerprint::sha256;
use crate::install::seed::{self, Label};
use crate::lab::device_name;
use crate::lab::model::install::{Install, Location};
use crate::lab::model::{
    Allocation, DiskDevice, DiskSource, Drive, Guest, Lifecycle, VolumeFormat, is_of_files,
};
use crate::libvirt::observed::InstallMark;
use crate::step::{Content, Stage, StagePart};

impl Builder<'_> {
    /// How a guest is installed. `context` is that of its definition.
    pub(super) fn installation(
        &mut self,
        guest: &Guest,
        arch: &str,
        context: &GuestContext<'_>,
    ) -> Result<Option<Installation>, Diagnostic> {
        let Some(install) = &guest.install else {
            return Ok(None);
        };
        let Some(answers) = self.answers(guest)? else {
            return Ok(None);
        };
        let pool = self.stage_pool(guest)?;
        let path = |part: StagePart| {
            self.path_of(pool, &part.volume(&guest.name))
                .unwrap_or_default()
        };
        let mut disks = context.disks.clone();
        if let Some(cd) = self.cd(install) {
            disks.push(DiskContext {
                dev: device_name::free("sd", |name| disks.iter().any(|disk| disk.dev == name)),
                ..cd
            });
        }
        let seed = match answers.delivery {
            Delivery::Initrd => None,
            Delivery::Seed => Some(volume(&answers.files)?),
        };
        if seed.is_some() {
            disks.push(DiskContext {
                device: DiskDevice::Disk,
                path: Some(path(StagePart::Seed)),
                dev: device_name::last("vd", disks.iter().map(|disk| disk.dev.as_str())),
                bus: "virtio".to_owned(),
                ..drive("install-seed")
            });
        }
        let context = GuestContext {
            disks,
            install: Some(InstallContext {
                kernel: path(StagePart::Kernel),
                initrd: path(StagePart::Initrd),
                cmdline: answers.cmdline.clone(),
                log: path(StagePart::Log),
            }),
            ..context.clone()
        };
        let address = Address::guest(&guest.key);
        let mut xml = self
            .render(&address, "domain", &context, guest.xml.as_ref())?
            .read(&address)?;
        let pool = self.pool_name(pool).to_owned();
        let mark = InstallMark {
            pool: pool.clone(),
            done: answers.done.clone(),
        };
        stamp_install(&self.lab.name, &address, guest, &mark, &mut xml);
        let text: String = answers
            .files
            .iter()
            .map(|file| format!("{}\0{}\0", file.name, file.text))
            .collect();
        Ok(Some(Installation {
            xml,
            pool,
            stage: Stage {
                guest: guest.name.clone(),
                location: install.location.clone(),
                location_pool: match &install.location {
                    Location::Volume { pool, .. } => Some(self.pool_name(pool).to_owned()),
                    Location::Url { .. }
                    | Location::Iso { .. }
                    | Location::Tree { .. }
                    | Location::Kernel { .. } => None,
                },
                os: install.os.clone(),
                arch: arch.to_owned(),
                inject: match answers.delivery {
                    Delivery::Initrd => answers
                        .files
                        .into_iter()
                        .map(|file| (file.name, file.text))
                        .collect(),
                    Delivery::Seed => Vec::new(),
                },
                seed: seed.map(Into::into),
            },
            done: answers.done,
            timeout: install.timeout,
            answers: format!("sha256:{}", sha256(text.as_bytes())),
        }))
    }

    /// The pool that the installer's kernel and initrd are put into: a guest is told of them by path.
    fn stage_pool<'g>(&self, guest: &'g Guest) -> Result<&'g Name, Diagnostic> {
        let mut pools = guest.disks.iter().filter_map(|disk| match &disk.source {
            DiskSource::Volume(volume) => Some(&volume.pool),
            DiskSource::Existing { pool, .. } => Some(pool),
            DiskSource::Path { .. } | DiskSource::Seed { .. } | DiskSource::Empty => None,
        });
        pools
            .find(|pool| is_of_files(self.pool_type(pool)))
            .ok_or_else(|| {
                Diagnostic::error(format!(
                    "guest.{} has no disk in a pool of files, which the installer's kernel could be put beside",
                    guest.key
                ))
                .hint("give it a disk in a pool of type dir, fs or netfs")
            })
    }

    /// The drive with the installer's CD, where there is one.
    fn cd(&self, install: &Install) -> Option<DiskContext> {
        let path = match &install.location {
            Location::Iso { path } => path.to_string_lossy().into_owned(),
            Location::Volume { pool, volume } => {
                return Some(match self.path_of(pool, volume) {
                    Some(path) => DiskContext {
                        path: Some(path),
                        ..drive("install-cd")
                    },
                    None => DiskContext {
                        source_type: "volume",
                        pool: Some(self.pool_name(pool).to_owned()),
                        volume: Some(volume.clone()),
                        ..drive("install-cd")
                    },
                });
            }
            Location::Url { .. } | Location::Tree { .. } | Location::Kernel { .. } => return None,
        };
        Some(DiskContext {
            path: Some(path),
            ..drive("install-cd")
        })
    }

    /// The volume that is a guest's seed for cloud-init.
    pub(super) fn seed(&mut self, guest: &Guest) {
        let (Some(seed), Some(address)) = (&guest.cloud_init, seed_address(guest)) else {
            return;
        };
        let answers = self.answers(guest);
        let volume = |answers: Answers| volume(&answers.files);
        let bytes = match answers.and_then(|answers| answers.map(volume).transpose()) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return,
            // Its own address is not in the definition.
            Err(problem) => return self.problem(&Address::guest(&guest.key), problem),
        };
        let size = bytes.len() as u64;
        let context = VolumeContext {
            lab: &self.lab.name,
            volume: VolumeView {
                name: &seed.volume,
                capacity: size,
                format: VolumeFormat::Raw,
                allocation: self.allocation(
                    &seed.pool,
                    VolumeFormat::Raw,
                    size,
                    Allocation::Sparse,
                ),
                backing: None,
            },
        };
        let detail = Detail::Image {
            pool: self.pool_name(&seed.pool).to_owned(),
            content: Content::Bytes(bytes.into()),
            size,
            also: None,
        };
        let owner = self.owner(&address, &seed.volume, &detail);
        let part = Part::Seed(guest.key.clone());
        let xml = self.definition(part, owner, "volume", &context, None);
        let depends: BTreeSet<Address> = self.owned_pool(&seed.pool);
        self.add(
            address,
            &seed.volume,
            xml,
            depends,
            Lifecycle::default(),
            detail,
        );
    }
}

fn seed_address(guest: &Guest) -> Option<Address> {
    guest.disks.iter().find_map(|disk| match &disk.source {
        DiskSource::Seed { address, .. } => Some(address.clone()),
        DiskSource::Volume(_)
        | DiskSource::Existing { .. }
        | DiskSource::Path { .. }
        | DiskSource::Empty => None,
    })
}

/// A volume with files that a guest looks for by its label.
fn volume(files: &[AnswerFile]) -> Result<Vec<u8>, Diagnostic> {
    let files: BTreeMap<String, Vec<u8>> = files
        .iter()
        .map(|file| (file.name.clone(), file.text.clone().into_bytes()))
        .collect();
    seed::volume(Label::Cidata, &files).map_err(|error| Diagnostic::error(error.to_string()))
}

/// A drive that only an installer has.
fn drive(key: &'static str) -> DiskContext {
    DiskContext {
        key: key.to_owned(),
        device: DiskDevice::Cdrom,
        source_type: "file",
        path: None,
        pool: None,
        volume: None,
        format: VolumeFormat::Raw,
        cache: None,
        discard: false,
        dev: String::new(),
        bus: "sata".to_owned(),
        readonly: true,
        shareable: false,
        drive: Drive::default(),
    }
}
