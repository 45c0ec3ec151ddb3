//! What a hypervisor holds, as plain values.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use uuid::Uuid;

use super::files::{Files, named_in};
use crate::address::Address;
use crate::file::header::Format;
use crate::file::place::Place;
use crate::file::stamp::{FileId, Stamp};
use crate::lab::model::DomainType;
use crate::xml::document::Document;
use crate::xml::schema;
use crate::xml::tree::Element;

/// What a hypervisor holds, by name in libvirt.
#[derive(Debug, Default)]
pub struct Observed {
    /// What it is.
    pub facts: Facts,
    /// Every network.
    pub networks: BTreeMap<String, ObservedNetwork>,
    /// Every storage pool.
    pub pools: BTreeMap<String, ObservedPool>,
    /// The volumes that were asked for and are there, by pool and name.
    pub volumes: BTreeMap<(String, String), ObservedVolume>,
    /// Where the directories of pools are, as far as that can be looked at from here.
    pub directories: BTreeMap<String, Place>,
    /// Volumes that were asked for and are not to be had of libvirt, since their pool is not active, but whose files are there.
    pub files: BTreeSet<(String, String)>,
    /// The formats that were asked for: `None` where nobody could tell. What was not looked at is not in here.
    pub formats: BTreeMap<DiskFile, Option<Format>>,
    /// Every guest.
    pub guests: BTreeMap<String, ObservedGuest>,
    /// Which files guests and volumes name, where all was read (`Others::Read`).
    pub paths: Files,
    /// Of the interfaces in scope, whether the host has them; those are left out of which it cannot be known.
    pub host_interfaces: BTreeMap<String, bool>,
    /// The taps on this machine, by which NICs of guests are plugged in, that hang on no bridge. None are known of a libvirt that is
    /// elsewhere.
    pub loose_taps: BTreeSet<String>,
    /// What of the lab is known to be as it was when there was nothing to do for it.
    pub settled: BTreeSet<Address>,
}

/// What templates and plans must know of a hypervisor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// The URI as libvirt gives it.
    pub uri: String,
    /// The host's UUID; the test driver has none.
    pub host_uuid: Option<Uuid>,
    /// libvirt's driver: `QEMU`, `TEST`.
    pub driver: String,
    /// The host's architecture, `x86_64`.
    pub arch: String,
    /// The type for guests that do not name one. `None` where neither works, as on the test driver.
    pub domain_type: Option<DomainType>,
    /// Whether it is `qemu:///session` or the like.
    pub unprivileged: bool,
    /// Whether it runs on this machine.
    pub local: bool,
}

/// A network as it is.
#[derive(Debug)]
pub struct ObservedNetwork {
    /// Its UUID.
    pub uuid: Uuid,
    /// Whether it is started.
    pub active: bool,
    /// Whether it starts with the host.
    pub autostart: bool,
    /// Whether it outlives a stop.
    pub persistent: bool,
    /// Its inactive definition.
    pub xml: Document,
    /// What it runs with now, where it is started.
    pub live_xml: Option<Document>,
}

/// The name of the network that NICs of running guests are moved to for a moment, when theirs restarts. It is there only
/// meanwhile: one that is found was left by a run that was killed, maybe with NICs on it.
pub fn parking_name(network: &str) -> String {
    format!("miniascape-parking-{network}")
}

/// The name of the volume that libvirt is had make before another is replaced, to see whether it makes such a one. It is there only
/// meanwhile: one that is found was left by a run that was killed.
pub fn trial_name(volume: &str) -> String {
    format!("miniascape-trial-{volume}")
}

/// A pool as it is.
#[derive(Debug)]
pub struct ObservedPool {
    /// Its UUID.
    pub uuid: Uuid,
    /// Whether it is started.
    pub active: bool,
    /// Whether it starts with the host.
    pub autostart: bool,
    /// Whether it outlives a stop.
    pub persistent: bool,
    /// Its inactive definition.
    pub xml: Document,
}

/// A volume as it is.
#[derive(Debug)]
pub struct ObservedVolume {
    /// Where it is on the hypervisor.
    pub path: String,
    /// Which file it is, where that is on this machine.
    pub id: Option<FileId>,
    /// Its file as it was before libvirt was asked, where that is on this machine.
    pub stamp: Option<Stamp>,
    /// Its definition.
    pub xml: Document,
}

/// A guest as it is.
#[derive(Debug)]
pub struct ObservedGuest {
    /// Its UUID.
    pub uuid: Uuid,
    /// What it is doing.
    pub power: Power,
    /// Whether it starts with the host.
    pub autostart: bool,
    /// Whether it outlives a stop.
    pub persistent: bool,
    /// Whether it is off and its memory is on disk (`virsh managedsave`): its next start goes on from there, with the definition
    /// that it was saved with.
    pub saved: bool,
    /// Whether it has snapshots or checkpoints.
    pub snapshots: bool,
    /// What is under way on its disks, by their device names. Of the jobs that its live XML does not tell, those that were
    /// [asked for](super::Observe::observe_jobs).
    pub jobs: BTreeMap<String, BlockJob>,
    /// How far its install is; `None` where none is under way.
    pub install: Option<InstallPhase>,
    /// Its inactive definition, passwords included.
    pub xml: Document,
    /// What it runs with now, where it runs.
    pub live_xml: Option<Document>,
}

/// The lab and address in an object's mark.
pub fn owner(xml: &Element) -> Option<(String, String)> {
    let mark = xml.child("metadata")?.child(schema::MARK)?;
    Some((
        mark.attribute("lab")?.to_owned(),
        mark.attribute("address")?.to_owned(),
    ))
}

/// A disk's file or device, as a definition names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskFile {
    /// By its path.
    Path(String),
    /// By its pool and its name in that.
    Volume(String, String),
}

/// The addresses of NICs, by their MAC in lower case.
pub type Addresses = BTreeMap<String, BTreeSet<IpAddr>>;

/// What is under way on a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlockJob {
    /// It is copied, and what the guest writes goes to the copy, too. To which file, where it has a path.
    Copy(Option<String>),
    /// Its overlay is written into a file beneath, and so is what the guest writes. Into which, where it has a path.
    ActiveCommit(Option<String>),
    /// Files beneath it are made one.
    Commit,
    /// What it is based on is written into it.
    Pull,
    /// It is backed up.
    Backup,
    /// Something that this version does not know.
    Other,
}

/// The jobs that a guest's live XML tells of, by the disk's device name: those that write to two files.
pub fn told_by(live_xml: &Element) -> BTreeMap<String, BlockJob> {
    let devices = live_xml.child("devices").into_iter();
    let disks = devices.flat_map(|devices| devices.children_named("disk"));
    let jobs = disks.filter_map(|disk| {
        let mirror = disk.child("mirror")?;
        let path = |name| mirror.attribute_at("source", name).map(str::to_owned);
        let path = ["file", "dev", "name"].into_iter().find_map(path);
        let job = match mirror.attribute("job") {
            Some("active-commit") => BlockJob::ActiveCommit(path),
            Some(_) | None => BlockJob::Copy(path),
        };
        Some((disk.attribute_at("target", "dev")?.to_owned(), job))
    });
    jobs.collect()
}

/// How far the install of a guest is that has an installer in its definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstallPhase {
    /// The installer runs.
    Running,
    /// It has ended, and said that it was done.
    Done,
    /// It has not begun, or has stopped before it was done.
    Stopped,
}

/// What the mark of a guest says of its install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallMark {
    /// The pool of the installer's volumes.
    pub pool: String,
    /// What the installer prints when all is done, if that is how to know.
    pub done: Option<String>,
}

/// Reads a guest's definition for the mark of an install that is under way.
pub fn install_mark(xml: &Element) -> Option<InstallMark> {
    let mark = xml.child("metadata")?.child(schema::MARK)?;
    Some(InstallMark {
        pool: mark.attribute(INSTALL_POOL)?.to_owned(),
        done: mark.attribute(INSTALL_DONE).map(str::to_owned),
    })
}

/// Puts the mark of an install into a guest's definition.
pub fn mark_install(xml: &mut Element, mark: &InstallMark) {
    let Some(element) = xml
        .child_mut("metadata")
        .and_then(|m| m.child_mut(schema::MARK))
    else {
        return;
    };
    element.set_attribute(INSTALL_POOL, &mark.pool);
    if let Some(done) = &mark.done {
        element.set_attribute(INSTALL_DONE, done);
    }
}

/// The attributes of a guest's mark while it is installed.
const INSTALL_POOL: &str = "install-pool";
const INSTALL_DONE: &str = "install-done";

/// What a guest is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Power {
    /// It runs, or is being started or stopped.
    Running,
    /// It is held: its memory stays, its processors stand.
    Paused,
    /// It is off.
    Off,
    /// It is off since it crashed.
    Crashed,
}

impl Power {
    /// Whether a QEMU process holds its disks and memory.
    pub fn is_active(self) -> bool {
        match self {
            Power::Running | Power::Paused => true,
            Power::Off | Power::Crashed => false,
        }
    }
}

impl Observed {
    /// Looks at the files that guests and volumes name, those of volumes in pools that are not active included. `local` tells whether
    /// they are on this machine; elsewhere libvirt's volumes alone tell what is an overlay.
    pub fn find_files(&mut self, volumes: &BTreeSet<(String, String)>, local: bool) {
        let based = self.volumes.values().filter_map(|volume| {
            let base = volume.xml.tree().text_at("backingStore/path")?.to_owned();
            Some((volume.path.clone(), base))
        });
        let bases: BTreeMap<String, String> = based.collect();
        if !local {
            self.paths = Files::known(bases);
            return;
        }
        let out_of_sight = volumes
            .iter()
            .filter_map(|(pool, name)| self.place_of(pool, name));
        let mut named: BTreeSet<String> = out_of_sight.collect();
        named.extend(self.volumes.values().map(|volume| volume.path.clone()));
        for guest in self.guests.values() {
            for xml in std::iter::once(&guest.xml).chain(&guest.live_xml) {
                named.extend(named_in(&xml.tree()).map(str::to_owned));
            }
        }
        self.paths = Files::look(named, bases);
    }

    /// Where a volume is, or would be in its pool's directory.
    pub fn place_of(&self, pool: &str, name: &str) -> Option<String> {
        if let Some(volume) = self.volumes.get(&(pool.to_owned(), name.to_owned())) {
            return Some(volume.path.clone());
        }
        let directory = self.pools.get(pool)?.directory()?;
        Some(format!("{}/{name}", directory.trim_end_matches('/')))
    }
}

impl ObservedPool {
    /// The directory of a pool whose volumes are files or devices in one; `None` for other types.
    pub fn directory(&self) -> Option<String> {
        let xml = self.xml.tree();
        match xml.attribute("type")? {
            "dir" | "fs" | "netfs" | "logical" => xml.text_at("target/path").map(str::to_owned),
            _ => None,
        }
    }
}
