//! Reading what a hypervisor holds. The cost is round trips: one list for each kind, then one XML for each object.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;

use parking_lot::Mutex;
use uuid::Uuid;
use virt::domain::{Domain, DomainState};
use virt::enumutil::RawEnum;
use virt::error::{Error, ErrorNumber};
use virt::storage_vol::StorageVol;
use virt::sys;

use super::connection::{Connection, if_there, is_daemon_here};
use super::error::{StepError, is_missing, is_unsupported};
use super::host;
use super::observed::{
    self, BlockJob, DiskFile, Observed, ObservedGuest, ObservedNetwork, ObservedPool,
    ObservedVolume, Power,
};
use super::port::{Others, Scope};
use super::raw::{self, Held};
use super::said::{Said, SaidGuest, SaidNetwork};
use crate::file::header::{Format, Header};
use crate::file::place::Place;
use crate::file::stamp::{FileId, Stamp};
use crate::state::cache::Cache;
use crate::xml::document::Document;
use crate::xml::tree::{Element, XmlError};

/// Threads that read at once: libvirt serves five requests of a connection at a time.
const READERS: usize = 4;

/// What libvirt keeps beside the definitions of which guests.
struct Kept {
    saved: BTreeSet<Uuid>,
    snapshots: BTreeSet<Uuid>,
}

impl Connection {
    /// Reads everything in scope. What vanishes meanwhile is absent; what was seen before is not looked into.
    pub(super) fn read_all(&self, scope: &Scope) -> Result<Observed, StepError> {
        let mut observed = self.read_pools(scope)?;
        let said = Said {
            networks: self.networks()?,
            guests: self.guests()?,
        };
        self.read(&mut observed, said)?;
        match scope.others {
            Others::Read => {
                let local = observed.facts.local;
                observed.find_files(&scope.volumes, local);
            }
            Others::Unread => {}
        }
        Ok(observed)
    }

    /// Begins with all pools and the volumes in scope; networks and guests are left out.
    fn read_pools(&self, scope: &Scope) -> Result<Observed, StepError> {
        let facts = self.facts()?;
        let pools = self.pools()?;
        // The test driver's files are nowhere.
        let local = facts.local && !facts.driver.eq_ignore_ascii_case("test");
        let paths = match local {
            true => paths(scope, &pools),
            false => BTreeMap::new(),
        };
        let places = paths.iter();
        let directories: BTreeMap<String, Place> = places
            .filter_map(|(name, path)| Some((name.clone(), Place::of(path)?)))
            .collect();
        let files = |(pool, name): &&(String, String)| {
            !pools.get(pool).is_some_and(|pool| pool.active)
                && paths.get(pool).is_some_and(|path| is_file(path, name))
        };
        let volumes = self.volumes(scope, local, (&paths, &directories))?;
        Ok(Observed {
            formats: self.formats(scope, local, &volumes)?,
            files: scope.volumes.iter().filter(files).cloned().collect(),
            directories,
            volumes,
            host_interfaces: self.host_interfaces(&scope.interfaces, &facts),
            facts,
            pools,
            ..Observed::default()
        })
    }

    /// Looks into networks and guests.
    fn read(
        &self,
        observed: &mut Observed,
        Said { networks, guests }: Said,
    ) -> Result<(), StepError> {
        let seen = self.cache();
        let read = |xml| document(xml, &seen);
        let networks = read_each(networks, |network| {
            let observed = ObservedNetwork {
                uuid: network.uuid,
                active: network.active,
                autostart: network.autostart,
                persistent: network.persistent,
                xml: read(network.xml)?,
                live_xml: network.live_xml.map(read).transpose()?,
            };
            Ok((network.name, observed))
        })?;
        let guests = read_each(guests, |guest| {
            let xml = read(guest.xml)?;
            // Definitions with an installer are never remembered.
            let install = match seen.has(xml.fingerprint()) {
                true => None,
                false => self.install_phase(&guest.domain, &xml.tree(), guest.power)?,
            };
            let live_xml = guest.live_xml.map(read).transpose()?;
            let observed = ObservedGuest {
                uuid: guest.uuid,
                power: guest.power,
                autostart: guest.autostart,
                persistent: guest.persistent,
                saved: guest.saved,
                snapshots: guest.snapshots,
                jobs: live_xml.as_ref().map(jobs).unwrap_or_default(),
                install,
                xml,
                live_xml,
            };
            Ok((guest.domain.name()?, observed))
        })?;
        observed.networks = networks.into_iter().collect();
        observed.guests = guests.into_iter().collect();
        // After the guests: the tap of one that is listed as running is there and plugged in.
        if is_daemon_here(&observed.facts.uri) {
            observed.loose_taps = host::loose_taps();
        }
        Ok(())
    }

    /// Looks at all networks and at some guests again.
    pub(super) fn read_some(
        &self,
        observed: &mut Observed,
        guests: &BTreeSet<String>,
    ) -> Result<(), StepError> {
        let names: Vec<&String> = guests.iter().collect();
        let kept = self.kept()?;
        let said = Said {
            networks: self.networks()?,
            guests: read_each(names, |name| self.guest_called(name, &kept))?
                .into_iter()
                .flatten()
                .collect(),
        };
        let mut others = std::mem::take(&mut observed.guests);
        others.retain(|name, _| !guests.contains(name));
        self.read(observed, said)?;
        observed.guests.append(&mut others);
        Ok(())
    }

    fn guest_called(&self, name: &str, kept: &Kept) -> Result<Option<SaidGuest>, StepError> {
        let Some(domain) = if_there(self.connect.lookup_domain_by_name(name))? else {
            return Ok(None);
        };
        let power = power_of(&domain)?;
        let (autostart, persistent) = (domain.autostart()?, domain.is_persistent()?);
        said(domain, power, (autostart, persistent), kept).map(Some)
    }

    /// The UUIDs of guests that a list has.
    fn uuids(&self, flags: u32) -> Result<BTreeSet<Uuid>, Error> {
        let list = Held::all(self.connect.list_all_domains(flags)?);
        list.iter().map(|domain| domain.uuid()).collect()
    }

    fn kept(&self) -> Result<Kept, Error> {
        let mut snapshots = self.uuids(sys::VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT)?;
        match self.uuids(sys::VIR_CONNECT_LIST_DOMAINS_HAS_CHECKPOINT) {
            Ok(mut checkpoints) => snapshots.append(&mut checkpoints),
            // It is older than checkpoints.
            Err(error) if is_unsupported(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(Kept {
            saved: self.uuids(sys::VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE)?,
            snapshots,
        })
    }

    fn networks(&self) -> Result<Vec<SaidNetwork>, StepError> {
        let uuids = |flags| -> Result<BTreeSet<Uuid>, Error> {
            let list = Held::all(self.connect.list_all_networks(flags)?);
            list.iter().map(|network| network.uuid()).collect()
        };
        let active = uuids(sys::VIR_CONNECT_LIST_NETWORKS_ACTIVE)?;
        let autostart = uuids(sys::VIR_CONNECT_LIST_NETWORKS_AUTOSTART)?;
        let persistent = uuids(sys::VIR_CONNECT_LIST_NETWORKS_PERSISTENT)?;
        let list = Held::all(self.connect.list_all_networks(0)?);
        read_each(list, |network| {
            let uuid = network.uuid()?;
            let active = active.contains(&uuid);
            Ok(SaidNetwork {
                name: network.name()?,
                uuid,
                active,
                autostart: autostart.contains(&uuid),
                persistent: persistent.contains(&uuid),
                xml: inactive_text(sys::VIR_NETWORK_XML_INACTIVE, |flags| {
                    network.xml_desc(flags)
                })?,
                live_xml: if active {
                    Some(network.xml_desc(0)?)
                } else {
                    None
                },
            })
        })
    }

    fn pools(&self) -> Result<BTreeMap<String, ObservedPool>, StepError> {
        let uuids = |flags| -> Result<BTreeSet<Uuid>, Error> {
            let list = Held::all(self.connect.list_all_storage_pools(flags)?);
            list.iter().map(|pool| pool.uuid()).collect()
        };
        let active = uuids(sys::VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE)?;
        let autostart = uuids(sys::VIR_CONNECT_LIST_STORAGE_POOLS_AUTOSTART)?;
        let persistent = uuids(sys::VIR_CONNECT_LIST_STORAGE_POOLS_PERSISTENT)?;
        let list = Held::all(self.connect.list_all_storage_pools(0)?);
        let pools = read_each(list, |pool| {
            let uuid = pool.uuid()?;
            let observed = ObservedPool {
                uuid,
                active: active.contains(&uuid),
                autostart: autostart.contains(&uuid),
                persistent: persistent.contains(&uuid),
                xml: inactive(sys::VIR_STORAGE_XML_INACTIVE, |flags| pool.xml_desc(flags))?.into(),
            };
            Ok((pool.name()?, observed))
        })?;
        Ok(pools.into_iter().collect())
    }

    /// Lists each pool in scope once, and reads only the volumes in scope: half of all reading time is volumes' XML. Where the
    /// others count, too, all of all pools. Where a volume's file is on this machine and still is as it was when its XML was
    /// read last, that is its XML.
    ///
    /// libvirt lists what was there when it looked last. It is made to look again where that is seen to be wrong, and where
    /// nobody can see; but not into a directory that is away, as it would stop the pool.
    fn volumes(
        &self,
        scope: &Scope,
        local: bool,
        (paths, directories): (&BTreeMap<String, String>, &BTreeMap<String, Place>),
    ) -> Result<BTreeMap<(String, String), ObservedVolume>, StepError> {
        let pools: BTreeSet<&str> = scope
            .volumes
            .iter()
            .map(|(pool, _)| pool.as_str())
            .collect();
        let all = match scope.others {
            Others::Read => true,
            Others::Unread => false,
        };
        if pools.is_empty() && !all {
            return Ok(BTreeMap::new());
        }
        let mut wanted: Vec<(String, String, Held<StorageVol>)> = Vec::new();
        let active = Held::all(
            self.connect
                .list_all_storage_pools(sys::VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE)?,
        );
        for pool in &active {
            let pool_name = pool.name()?;
            let is_asked_for = pools.contains(pool_name.as_str());
            if !is_asked_for && !all {
                continue;
            }
            if directories
                .get(&pool_name)
                .is_some_and(|place| !place.there)
            {
                continue;
            }
            let list = || match pool.list_all_volumes(0) {
                Ok(volumes) => Ok(Held::all(volumes)),
                Err(error) if is_gone(&error) => Ok(Vec::new()),
                Err(error) => Err(error),
            };
            let is_stale = |volumes: &[Held<StorageVol>]| {
                let path = paths.get(&pool_name)?;
                let listed: Result<BTreeSet<String>, Error> =
                    volumes.iter().map(|volume| volume.name()).collect();
                let listed = listed.ok()?;
                let mut asked_for = scope.volumes.iter().filter(|(pool, _)| *pool == pool_name);
                Some(asked_for.any(|(_, name)| listed.contains(name) != is_file(path, name)))
            };
            // A refresh is refused while the pool makes a volume: then the list has to do.
            let mut volumes = match is_asked_for && (all || !local) {
                true => {
                    let _ = pool.refresh(0);
                    list()?
                }
                false => list()?,
            };
            if local && is_asked_for && is_stale(&volumes) == Some(true) {
                let _ = pool.refresh(0);
                volumes = list()?;
            }
            for volume in volumes {
                let key = (pool_name.clone(), volume.name()?);
                if all || scope.volumes.contains(&key) {
                    wanted.push((key.0, key.1, volume));
                }
            }
        }
        let seen = self.cache();
        let volumes = read_each(wanted, |(pool, name, volume)| {
            // The key of a volume that is a file is its path, and was told with the list.
            let key = volume.key()?;
            let stamp = if local { Stamp::of(&key) } else { None };
            let id = |path: &str| local.then(|| FileId::of(path)).flatten();
            let found = match seen.volume(&pool, &name, stamp) {
                Some(xml) => ObservedVolume {
                    xml: document(xml.to_owned(), &seen)?,
                    id: id(&key),
                    path: key,
                    stamp,
                },
                None => {
                    let xml = document(volume.xml_desc(0)?, &Cache::default())?;
                    let path = xml.tree().text_at("target/path").map(str::to_owned);
                    let path = path.unwrap_or_default();
                    ObservedVolume {
                        stamp: stamp.filter(|_| path == key),
                        id: id(&path),
                        path,
                        xml,
                    }
                }
            };
            Ok(((pool, name), found))
        })?;
        Ok(volumes.into_iter().collect())
    }

    /// Finds out formats. The first bytes tell them where they can be read here, since libvirt may have looked long ago; else
    /// libvirt does.
    fn formats(
        &self,
        scope: &Scope,
        local: bool,
        volumes: &BTreeMap<(String, String), ObservedVolume>,
    ) -> Result<BTreeMap<DiskFile, Option<Format>>, StepError> {
        let mut formats = BTreeMap::new();
        for file in &scope.formats {
            let (path, volume) = match file {
                DiskFile::Path(path) => (Some(path), None),
                DiskFile::Volume(pool, name) => {
                    let volume = volumes.get(&(pool.clone(), name.clone()));
                    (volume.map(|volume| &volume.path), volume)
                }
            };
            let path = path.filter(|path| path.starts_with('/'));
            let header = path
                .filter(|_| local)
                .map(|path| Header::read(path.as_ref()));
            let format = match (header, volume, path) {
                (Some(Ok(header)), _, _) => Some(header.format),
                (_, Some(volume), _) => format_of(&volume.xml.tree()),
                (_, None, Some(path)) => {
                    let volume = if_there(self.connect.lookup_storage_vol_by_path(path));
                    match volume.ok().flatten() {
                        Some(volume) => format_of(&parse(&volume.xml_desc(0)?)?),
                        None => None,
                    }
                }
                (_, None, None) => None,
            };
            formats.insert(file.clone(), format);
        }
        Ok(formats)
    }

    /// What libvirt says of every guest.
    fn guests(&self) -> Result<Vec<SaidGuest>, StepError> {
        let autostart = self.uuids(sys::VIR_CONNECT_LIST_DOMAINS_AUTOSTART)?;
        // Of the two, the short list.
        let transient = self.uuids(sys::VIR_CONNECT_LIST_DOMAINS_TRANSIENT)?;
        let kept = self.kept()?;
        let states = match raw::all_states(&self.connect) {
            Ok(states) => states,
            // The test driver has no statistics: each guest is asked below.
            Err(error) if is_unsupported(&error) => BTreeMap::new(),
            Err(error) => return Err(error.into()),
        };
        let list = Held::all(self.connect.list_all_domains(0)?);
        read_each(list, |domain| {
            let uuid = domain.uuid()?;
            let power = match states.get(&uuid) {
                Some(state) => power(DomainState::from_raw(*state)),
                None => power_of(&domain)?,
            };
            let (autostart, transient) = (autostart.contains(&uuid), transient.contains(&uuid));
            said(domain, power, (autostart, !transient), &kept)
        })
    }
}

/// The directories of pools in scope: as libvirt has them, else as the lab has or had them.
fn paths(scope: &Scope, pools: &BTreeMap<String, ObservedPool>) -> BTreeMap<String, String> {
    let mut paths = scope.directories.clone();
    let asked_for = scope.volumes.iter().map(|(pool, _)| pool);
    for name in asked_for.chain(scope.directories.keys()) {
        let Some(pool) = pools.get(name) else {
            continue;
        };
        let xml = pool.xml.tree();
        match (xml.attribute("type"), xml.text_at("target/path")) {
            (Some("dir"), Some(path)) => paths.insert(name.clone(), path.to_owned()),
            (_, _) => paths.remove(name),
        };
    }
    paths
}

/// Whether a volume's file is there, as far as may be looked.
fn is_file(directory: &str, name: &str) -> bool {
    let path = format!("{}/{name}", directory.trim_end_matches('/'));
    !std::fs::metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

fn format_of(volume: &Element) -> Option<Format> {
    let name = volume.attribute_at("target/format", "type")?;
    Some(Format::of_volume(name))
}

/// Asks for a guest's XML.
fn said(
    domain: Held<Domain>,
    power: Power,
    (autostart, persistent): (bool, bool),
    kept: &Kept,
) -> Result<SaidGuest, StepError> {
    let uuid = domain.uuid()?;
    let live_xml = match power.is_active() {
        true => Some(domain.xml_desc(sys::VIR_DOMAIN_XML_SECURE)?),
        false => None,
    };
    Ok(SaidGuest {
        uuid,
        power,
        autostart,
        persistent,
        saved: power == Power::Off && kept.saved.contains(&uuid),
        snapshots: kept.snapshots.contains(&uuid),
        xml: domain.xml_desc(sys::VIR_DOMAIN_XML_INACTIVE | sys::VIR_DOMAIN_XML_SECURE)?,
        live_xml,
        domain,
    })
}

/// What one guest is doing.
pub(super) fn power_of(domain: &Domain) -> Result<Power, Error> {
    let (state, _) = raw::state(domain)?;
    Ok(power(DomainState::from_raw(state)))
}

/// libvirt's state in our words. What we do not know has a process.
fn power(state: Option<DomainState>) -> Power {
    match state {
        Some(DomainState::Paused | DomainState::PMSuspended) => Power::Paused,
        Some(DomainState::Shutoff) => Power::Off,
        Some(DomainState::Crashed) => Power::Crashed,
        Some(
            DomainState::NoState
            | DomainState::Running
            | DomainState::Blocked
            | DomainState::Shutdown,
        )
        | None => Power::Running,
    }
}

/// The inactive definition; the test driver has one definition only, and does not know the flag.
pub(super) fn inactive(
    flag: u32,
    read: impl Fn(u32) -> Result<String, Error>,
) -> Result<Element, StepError> {
    parse(&inactive_text(flag, read)?)
}

fn inactive_text(flag: u32, read: impl Fn(u32) -> Result<String, Error>) -> Result<String, Error> {
    match read(flag) {
        Err(error) if is_unsupported(&error) => read(0),
        xml => xml,
    }
}

/// The jobs on a running guest's disks that its XML tells of. Hardly ever are there any, and then it need not be looked into.
fn jobs(live_xml: &Document) -> BTreeMap<String, BlockJob> {
    match live_xml.text().contains("<mirror") {
        true => observed::told_by(&live_xml.tree()),
        false => BTreeMap::new(),
    }
}

/// Takes XML of libvirt's; what was not seen before is read now.
fn document(xml: String, seen: &Cache) -> Result<Document, StepError> {
    Document::parse(xml, |fingerprint| seen.has(fingerprint)).map_err(unreadable)
}

/// Reads XML of libvirt's.
pub(super) fn parse(xml: &str) -> Result<Element, StepError> {
    Element::parse(xml).map_err(unreadable)
}

fn unreadable(error: XmlError) -> StepError {
    StepError::ours(format!("libvirt's XML: {error}"))
}

/// Whether what was listed was removed since, or its pool stopped.
fn is_gone(error: &Error) -> bool {
    is_missing(error) || error.code().is(ErrorNumber::OperationInvalid)
}

/// Does something with each on a few threads; those that are gone meanwhile are left out.
pub(super) fn read_each<T: Send, R: Send>(
    items: Vec<T>,
    read: impl Fn(T) -> Result<R, StepError> + Sync,
) -> Result<Vec<R>, StepError> {
    let threads = READERS.min(items.len());
    let found = Mutex::new(Ok(Vec::with_capacity(items.len())));
    let items = Mutex::new(items.into_iter());
    let next = || items.lock().next();
    let work = || {
        while let Some(item) = next() {
            let one = read(item);
            let mut found = found.lock();
            match (one, &mut *found) {
                (_, Err(_)) => return,
                (Ok(one), Ok(all)) => all.push(one),
                (Err(StepError::Libvirt(error)), Ok(_)) if is_gone(&error) => {}
                (Err(error), Ok(_)) => {
                    *found = Err(error);
                    return;
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    found.into_inner()
}
