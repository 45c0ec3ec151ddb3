//! Doing a step: one `match`, and beneath it what each kind of object asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use uuid::Uuid;
use virt::domain::Domain;
use virt::error::{Error, ErrorNumber};
use virt::network::Network;
use virt::storage_pool::StoragePool;
use virt::storage_vol::StorageVol;
use virt::sys;

use super::connection::{Connection, if_there, is_daemon_here};
use super::error::{StepError, cannot_check, is_busy, is_missing, is_unsupported};
use super::observe::inactive;
use super::port::{ErrorKind, Monitor, Outcome};
use super::raw::{self, Held, Release};
use crate::address::Kind;
use crate::crash;
use crate::file::stamp::FileId;
use crate::lab::model::{VolumeFormat, is_of_files};
use crate::step::{Named, NetworkSection, SeenFile, Side, Step, UpdateVerb};
use crate::xml::document::Document;
use crate::xml::shape;
use crate::xml::spelling;
use crate::xml::tree::Element;

/// How long a pool that is busy with other volumes is waited for.
const BUSY: Duration = Duration::from_secs(60);
/// How long what is busy is left alone.
pub(super) const POLL: Duration = Duration::from_millis(200);
/// The kinds of definitions that libvirt has checked at least once; held while it does so for the first time.
static CHECKED: Mutex<BTreeSet<Kind>> = Mutex::new(BTreeSet::new());
/// The shapes of definitions that were to be checked.
static SHAPES: Mutex<BTreeMap<(Kind, u64), Checked>> = Mutex::new(BTreeMap::new());

/// Whether a definition of some shape is checked; held while it is done.
pub(super) type Checked = Arc<Mutex<bool>>;

impl Connection {
    /// Does one step.
    pub(super) fn run(&self, step: &Step, monitor: &dyn Monitor) -> Result<Outcome, StepError> {
        let done = |()| Outcome::default();
        match step {
            Step::DefineNetwork { xml } => self.define_network(xml).map(done),
            Step::StartNetwork { name } => self.start_network_and_replug(name),
            Step::StopNetwork { name } => self.stop_network(name).map(done),
            Step::UndefineNetwork { name } => {
                self.remove_parking(&name.name)?;
                match self.find_network(name)? {
                    Some(network) => gone_is_fine(network.undefine()).map(done),
                    None => Ok(Outcome::default()),
                }
            }
            Step::AutostartNetwork { name, on } => {
                Ok(done(self.network(name)?.set_autostart(*on)?))
            }
            Step::UpdateNetwork {
                name,
                side,
                verb,
                section,
                parent,
                xml,
            } => {
                self.network(name)?.update(
                    update_command(*verb),
                    update_section(*section),
                    *parent,
                    &xml.to_string(),
                    update_side(*side),
                )?;
                Ok(Outcome::default())
            }
            Step::RestartNetwork { name, xml } => self.restart_network(name, xml),
            Step::PlugIn { network, nics } => self.plug_in(network, nics),
            Step::DefinePool { xml } => self.define_pool(xml).map(done),
            Step::StartPool { name } => self.start_pool(name, monitor).map(done),
            Step::StopPool { name } => match self.find_pool(name)? {
                Some(pool) if pool.is_active()? => match pool.destroy() {
                    Err(_) if !pool.is_active().unwrap_or(false) => Ok(Outcome::default()),
                    result => gone_is_fine(result).map(done),
                },
                Some(_) | None => Ok(Outcome::default()),
            },
            Step::DeletePoolDirectory { name } => self.delete_pool_directory(name),
            Step::UndefinePool { name } => match self.find_pool(name)? {
                Some(pool) => gone_is_fine(pool.undefine()).map(done),
                None => Ok(Outcome::default()),
            },
            Step::AutostartPool { name, on } => Ok(done(self.pool(name)?.set_autostart(*on)?)),
            Step::CreateVolume { pool, xml } => self.create_volume(pool, xml).map(done),
            Step::CheckRoom {
                pool,
                content,
                size,
                frees,
            } => self
                .check_room(pool, content.as_ref(), *size, *frees)
                .map(done),
            Step::TryVolume { pool, xml } => self.try_volume(pool, xml).map(done),
            Step::UploadVolume {
                pool,
                name,
                seen,
                content,
            } => {
                self.volume(pool, name, seen.as_ref())?;
                self.upload(pool, name, content, monitor)
            }
            Step::GrowVolume {
                pool,
                name,
                seen,
                capacity,
                guest,
            } => {
                let volume = self.volume(pool, name, seen.as_ref())?;
                self.grow_volume(pool, &volume, *capacity, guest.as_ref())
                    .map(done)
            }
            Step::DeleteVolume { pool, name, seen } => {
                self.delete_volume(pool, name, seen.as_ref()).map(done)
            }
            Step::DeleteFile { seen } => delete_file(seen).map(done),
            Step::DefineGuest { xml } => self.define_guest(xml).map(done),
            Step::RenameGuest { from, to } => self.rename_guest(from, to).map(done),
            Step::DiscardSave { name } => self.discard_save(name).map(done),
            Step::StartGuest { name } => self.start_guest(name).map(done),
            Step::ShutdownGuest { name, timeout } => {
                self.shutdown_guest(name, Duration::from_secs(*timeout), monitor)
            }
            Step::StageInstall { pool, stage } => {
                self.stage_install(pool, stage, monitor).map(done)
            }
            Step::AwaitInstall {
                name,
                pool,
                done: said,
                timeout,
            } => {
                let timeout = Duration::from_secs(*timeout);
                self.await_install(name, pool, said.as_deref(), timeout, monitor)
                    .map(done)
            }
            Step::SettleGuest { install, wanted } => {
                self.settle_guest(&install.tree(), &wanted.tree()).map(done)
            }
            Step::UndefineGuest { name } => self.undefine_guest(name).map(done),
            Step::DeleteVariables { guest, xml } => self.delete_variables(guest, xml).map(done),
            Step::SetMemory { guest, kib } => self.set_memory(guest, *kib).map(done),
            Step::SetVcpus { guest, count } => self.set_vcpus(guest, *count).map(done),
            Step::UpdateDevice { guest, xml } => self.update_device(guest, xml).map(done),
            Step::AttachDevice { guest, xml } => self.attach_device(guest, xml).map(done),
            Step::DetachDevice {
                guest,
                xml,
                timeout,
            } => {
                let timeout = Duration::from_secs(*timeout);
                self.detach_device(guest, xml, timeout).map(done)
            }
            Step::SetMetadata { guest, part, value } => {
                self.set_metadata(guest, part, value.as_deref()).map(done)
            }
            Step::AutostartGuest { name, on } => Ok(done(self.guest(name)?.set_autostart(*on)?)),
        }
    }

    fn find_network(&self, network: &Named) -> Result<Option<Held<Network>>, StepError> {
        meant(
            "network",
            network,
            self.connect.lookup_network_by_uuid(network.uuid),
            || self.connect.lookup_network_by_name(&network.name),
        )
    }

    pub(super) fn network(&self, network: &Named) -> Result<Held<Network>, StepError> {
        self.find_network(network)?
            .ok_or_else(|| StepError::missing("network", &network.name))
    }

    fn find_pool(&self, pool: &Named) -> Result<Option<Held<StoragePool>>, StepError> {
        meant(
            "pool",
            pool,
            self.connect.lookup_storage_pool_by_uuid(pool.uuid),
            || self.connect.lookup_storage_pool_by_name(&pool.name),
        )
    }

    pub(super) fn pool(&self, pool: &Named) -> Result<Held<StoragePool>, StepError> {
        self.find_pool(pool)?
            .ok_or_else(|| StepError::missing("pool", &pool.name))
    }

    pub(super) fn volume(
        &self,
        pool: &Named,
        name: &str,
        seen: Option<&SeenFile>,
    ) -> Result<Held<StorageVol>, StepError> {
        let volume = find_volume(&*self.pool(pool)?, name)?
            .ok_or_else(|| StepError::missing("volume", name))?;
        is_as_seen(&volume, seen)?;
        Ok(volume)
    }

    /// A volume by names alone, for who only reads it.
    pub(super) fn volume_to_read(
        &self,
        pool: &str,
        name: &str,
    ) -> Result<Held<StorageVol>, StepError> {
        let found = if_there(self.connect.lookup_storage_pool_by_name(pool))?;
        let pool = found.ok_or_else(|| StepError::missing("pool", pool))?;
        find_volume(&pool, name)?.ok_or_else(|| StepError::missing("volume", name))
    }

    pub(super) fn find_guest(&self, guest: &Named) -> Result<Option<Held<Domain>>, StepError> {
        meant(
            "guest",
            guest,
            self.connect.lookup_domain_by_uuid(guest.uuid),
            || self.connect.lookup_domain_by_name(&guest.name),
        )
    }

    pub(super) fn guest(&self, guest: &Named) -> Result<Held<Domain>, StepError> {
        self.find_guest(guest)?
            .ok_or_else(|| StepError::missing("guest", &guest.name))
    }

    /// Defines a network, checked against libvirt's schema where this libvirt can.
    pub(super) fn define_network(&self, xml: &Document) -> Result<(), StepError> {
        let _alone = defining();
        let (tree, xml) = (xml.tree(), &xml.text());
        let flag = sys::VIR_NETWORK_DEFINE_VALIDATE;
        validated(Kind::Network, &tree, flag, |flags| {
            raw::define_network(&self.connect, xml, flags).map(drop)
        })
        .or_else(|error| match error {
            // Drivers of old have only the call without flags.
            error if is_unsupported(&error) => self
                .connect
                .define_network_xml(xml)
                .map(|network| drop(Held::new(network))),
            error => Err(error),
        })
        .map_err(StepError::from)
    }

    pub(super) fn start_network(&self, name: &Named) -> Result<(), StepError> {
        let network = self.network(name)?;
        if network.is_active()? {
            return Ok(());
        }
        match self.create_network(name) {
            Err(_) if network.is_active().unwrap_or(false) => Ok(()),
            result => result,
        }
    }

    pub(super) fn stop_network(&self, name: &Named) -> Result<(), StepError> {
        match self.find_network(name)? {
            Some(network) if network.is_active()? => match network.destroy() {
                Err(_) if !network.is_active().unwrap_or(true) => Ok(()),
                result => gone_is_fine(result),
            },
            Some(_) | None => Ok(()),
        }
    }

    fn define_pool(&self, xml: &Document) -> Result<(), StepError> {
        let (tree, xml) = (xml.tree(), &xml.text());
        let flag = sys::VIR_STORAGE_POOL_DEFINE_VALIDATE;
        validated(Kind::Pool, &tree, flag, |flags| {
            self.connect
                .define_storage_pool_xml(xml, flags)
                .map(|pool| drop(Held::new(pool)))
        })
        .map_err(StepError::from)
    }

    /// Starts a pool; only if that fails and its target is a directory that is not there, makes the directory and tries again, so
    /// that one that was there is never taken for ours. Building with no flags makes no more than that: it formats no device.
    fn start_pool(&self, name: &Named, monitor: &dyn Monitor) -> Result<(), StepError> {
        let pool = self.pool(name)?;
        if pool.is_active()? {
            return Ok(());
        }
        let Err(error) = pool.create(sys::VIR_STORAGE_POOL_CREATE_NORMAL) else {
            return Ok(());
        };
        let errno = raw::last_errno();
        if pool.is_active()? {
            return Ok(());
        }
        let xml = inactive(sys::VIR_STORAGE_XML_INACTIVE, |flags| pool.xml_desc(flags))?;
        if !self.lacks_directory(&xml, &error, errno) {
            return Err(error.into());
        }
        monitor.makes_directory()?;
        pool.build(sys::VIR_STORAGE_POOL_BUILD_NEW)?;
        crash::point(format_args!("start pool {name}: its directory is made"));
        if let Err(error) = pool.create(sys::VIR_STORAGE_POOL_CREATE_NORMAL) {
            // It is empty, or this fails, and the first error counts.
            let _ = pool.delete(sys::VIR_STORAGE_POOL_DELETE_NORMAL);
            return Err(error.into());
        }
        Ok(())
    }

    /// Whether a pool could not be started since its directory is not there. What is to be mounted there fails with the words of
    /// `mount`, which are the host's language; on this machine it can be looked at.
    fn lacks_directory(&self, xml: &Element, error: &Error, errno: Option<i32>) -> bool {
        /// `errno` of a path that is not there.
        const ENOENT: i32 = 2;
        let is_here = || self.connect.uri().is_ok_and(|uri| is_daemon_here(&uri));
        let is_gone = |path: &str| {
            std::fs::metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
        };
        match xml.attribute("type") {
            Some("dir") => errno == Some(ENOENT),
            Some(kind) if !is_of_files(kind) => false,
            None | Some(_) if is_here() => xml.text_at("target/path").is_some_and(is_gone),
            None | Some(_) => {
                let said = error.message();
                said.contains("mount point") && said.contains("does not exist")
            }
        }
    }

    /// Removes a pool's directory; libvirt uses `rmdir`, which leaves one alone that is not empty.
    fn delete_pool_directory(&self, name: &Named) -> Result<Outcome, StepError> {
        /// `errno` of a path that is not there, a directory that exists, and one that is not empty.
        const ENOENT: i32 = 2;
        const EEXIST: i32 = 17;
        const ENOTEMPTY: i32 = 39;
        let Some(pool) = self.find_pool(name)? else {
            return Ok(Outcome::default());
        };
        match pool.delete(sys::VIR_STORAGE_POOL_DELETE_NORMAL) {
            Ok(()) => Ok(Outcome::default()),
            Err(error) => match raw::last_errno() {
                Some(ENOENT) => Ok(Outcome::default()),
                Some(ENOTEMPTY | EEXIST) => Ok(Outcome::noted(format!(
                    "the directory of pool {name} is kept, it is not empty"
                ))),
                Some(_) | None => Err(error.into()),
            },
        }
    }

    /// Makes a volume. libvirt may still list one whose file is gone: then it has to look again.
    pub(super) fn create_volume(&self, pool: &Named, xml: &Document) -> Result<(), StepError> {
        let there = self.pool(pool)?;
        let (tree, xml) = (xml.tree(), &xml.text());
        let made = made_with(&tree);
        let flag = sys::VIR_STORAGE_VOL_CREATE_VALIDATE;
        let create = || {
            validated(Kind::Volume, &tree, flag, |flags| {
                StorageVol::create_xml(&there, xml, flags | made)
                    .map(|volume| drop(Held::new(volume)))
            })
        };
        match create() {
            Err(error) if error.code().is(ErrorNumber::StorageVolExist) => {
                self.refresh(pool)?;
                Ok(create()?)
            }
            result => Ok(result?),
        }
    }

    /// Has a volume made, and deletes it again; and so one that a run left which was killed.
    fn try_volume(&self, pool: &Named, xml: &Document) -> Result<(), StepError> {
        let tree = xml.tree();
        let name = tree.text_at("name").unwrap_or_default();
        let make = || self.create_volume(pool, xml);
        match make() {
            Err(StepError::Libvirt(error)) if error.code().is(ErrorNumber::StorageVolExist) => {
                self.delete_volume(pool, name, None)?;
                make()
            }
            made => made,
        }?;
        crash::point(format_args!("try volume {name}: it is made"));
        self.delete_volume(pool, name, None)
    }

    fn grow_volume(
        &self,
        pool: &Named,
        volume: &StorageVol,
        capacity: u64,
        guest: Option<&(Named, String)>,
    ) -> Result<(), StepError> {
        match guest {
            Some((guest, disk)) => {
                self.guest(guest)?.block_resize(
                    disk,
                    capacity,
                    sys::VIR_DOMAIN_BLOCK_RESIZE_BYTES,
                )?;
                self.refresh(pool)
            }
            None if volume.info()?.capacity >= capacity => Ok(()),
            None => Ok(patiently(|| volume.resize(capacity, 0))?),
        }
    }

    /// Makes a pool look at its files again; waits while it makes or copies a volume, as libvirt refuses then.
    pub(super) fn refresh(&self, pool: &Named) -> Result<(), StepError> {
        let pool = self.pool(pool)?;
        Ok(patiently(|| pool.refresh(0))?)
    }

    pub(super) fn delete_volume(
        &self,
        pool: &Named,
        name: &str,
        seen: Option<&SeenFile>,
    ) -> Result<(), StepError> {
        let Some(pool) = self.find_pool(pool)? else {
            return Ok(());
        };
        let mut volume = find_volume(&pool, name)?;
        if volume.is_none() {
            // A volume may be out of sight for a moment while its pool is refreshed.
            std::thread::sleep(Duration::from_millis(100));
            volume = find_volume(&pool, name)?;
        }
        match volume {
            Some(volume) => {
                is_as_seen(&volume, seen)?;
                gone_is_fine(patiently(|| volume.delete(0)))
            }
            None => Ok(()),
        }
    }
}

/// To be held while a network is defined: libvirt looks for a free bridge name and takes it in two steps, so that of networks
/// that are defined at once two can get the same one, and the second never starts.
pub(super) fn defining() -> MutexGuard<'static, ()> {
    static DEFINING: Mutex<()> = Mutex::new(());
    DEFINING.lock()
}

/// Defines with the flag that has libvirt check the XML against its schema, and without it where libvirt cannot check, or has checked
/// one of the same shape: of guests and volumes of one template that is one, and of a guest's definition the check is nearly all that
/// it costs. What goes in unchecked is compared after it was applied, as all is.
///
/// libxml2 fills a table of its own when a process checks for the first time. Two threads that both do so leave it broken until
/// that process ends (seen with 2.9.14: "Error type 'dateTime' is not exported"). So the first check of each kind is made alone:
/// each kind, since there may be a daemon for each.
pub(super) fn validated(
    kind: Kind,
    xml: &Element,
    flag: u32,
    define: impl Fn(u32) -> Result<(), Error>,
) -> Result<(), Error> {
    let shape = checked(kind, shape::of(xml));
    let mut is_checked = shape.lock();
    if *is_checked {
        drop(is_checked);
        return define(0);
    }
    match alone_at_first(kind, || define(flag)) {
        // libvirt 9.0 checks a volume and then does not know the flag. Another client may have broken the table.
        Err(error) if is_unsupported(&error) || cannot_check(&error) => {
            *is_checked = true;
            drop(is_checked);
            define(0)
        }
        result => {
            *is_checked = result.is_ok();
            result
        }
    }
}

/// Whether a shape is checked.
pub(super) fn checked(kind: Kind, shape: u64) -> Checked {
    SHAPES.lock().entry((kind, shape)).or_default().clone()
}

/// Has libvirt check something of a kind: alone, if it is the first.
pub(super) fn alone_at_first<T>(kind: Kind, check: impl FnOnce() -> T) -> T {
    let mut checked = CHECKED.lock();
    let first = checked.insert(kind).then_some(checked);
    let result = check();
    drop(first);
    result
}

/// An object by its UUID, if it has the name that was meant; one that has the name and another UUID is somebody else's.
fn meant<T: Known>(
    kind: &str,
    object: &Named,
    by_uuid: Result<T, Error>,
    by_name: impl FnOnce() -> Result<T, Error>,
) -> Result<Option<Held<T>>, StepError> {
    let Named { name, uuid } = object;
    let refused = |message: String| StepError::Ours {
        kind: ErrorKind::Exists,
        message,
        hint: Some(
            "somebody changed it meanwhile, and it stays as it is: run plan again".to_owned(),
        ),
    };
    if let Some(found) = if_there(by_uuid)? {
        let now = found.name()?;
        return match now == *name {
            true => Ok(Some(found)),
            false => Err(refused(format!(
                "the {kind} that was meant by {name} is called {now} now"
            ))),
        };
    }
    match if_there(by_name())? {
        None => Ok(None),
        Some(other) => Err(refused(format!(
            "the {kind} of that name has the UUID {}, not {uuid}: it is another than the {name} that was meant",
            other.uuid()?
        ))),
    }
}

/// A handle that knows the object's name and UUID without asking.
trait Known: Release {
    fn name(&self) -> Result<String, Error>;
    fn uuid(&self) -> Result<Uuid, Error>;
}

macro_rules! known {
    ($($handle:ty),* $(,)?) => {$(
        impl Known for $handle {
            fn name(&self) -> Result<String, Error> {
                self.name()
            }
            fn uuid(&self) -> Result<Uuid, Error> {
                self.uuid()
            }
        }
    )*};
}

known! { Domain, Network, StoragePool }

/// Deletes a file of this machine's.
fn delete_file(seen: &SeenFile) -> Result<(), StepError> {
    let path = &seen.path;
    if FileId::of(path).is_none() {
        return Ok(());
    }
    is_the_file(path, seen)?;
    std::fs::remove_file(path).map_err(|error| StepError::ours(error.to_string()))
}

/// Refuses a volume whose file is another than was seen.
fn is_as_seen(volume: &StorageVol, seen: Option<&SeenFile>) -> Result<(), StepError> {
    match seen {
        Some(seen) => is_the_file(&volume.path()?, seen),
        None => Ok(()),
    }
}

fn is_the_file(path: &str, seen: &SeenFile) -> Result<(), StepError> {
    let is_same = seen.id.is_none_or(|id| FileId::of(path) == Some(id));
    match path == seen.path && is_same {
        true => Ok(()),
        false => Err(StepError::Ours {
            kind: ErrorKind::Exists,
            message: format!(
                "{path} is another file than the {} that was meant",
                seen.path
            ),
            hint: Some(
                "somebody made it anew meanwhile, and it stays as it is: run plan again".to_owned(),
            ),
        }),
    }
}

/// With which flag a volume is made: QEMU's images take no room in advance, unless libvirt is asked for it beside the definition.
fn made_with(xml: &Element) -> u32 {
    let xml = spelling::canonical(xml);
    let size = |name| xml.text_at(name).and_then(|it| it.parse::<u64>().ok());
    let is_qcow2 = xml.attribute_at("target/format", "type") == Some(VolumeFormat::Qcow2.as_str());
    match is_qcow2 && size("allocation").is_some_and(|it| Some(it) >= size("capacity")) {
        true => sys::VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA,
        false => 0,
    }
}

fn find_volume(pool: &StoragePool, name: &str) -> Result<Option<Held<StorageVol>>, Error> {
    if_there(pool.lookup_storage_vol_by_name(name))
}

/// Takes an object that went meanwhile for removed.
pub(super) fn gone_is_fine(result: Result<(), Error>) -> Result<(), StepError> {
    match result {
        Err(error) if is_missing(&error) => Ok(()),
        result => Ok(result?),
    }
}

/// Tries again while the object is busy with something that ends.
fn patiently(call: impl Fn() -> Result<(), Error>) -> Result<(), Error> {
    let begin = Instant::now();
    loop {
        match call() {
            Err(error) if is_busy(&error) && begin.elapsed() < BUSY => {
                std::thread::sleep(POLL);
            }
            result => return result,
        }
    }
}

fn update_command(verb: UpdateVerb) -> sys::virNetworkUpdateCommand {
    match verb {
        UpdateVerb::Add => sys::VIR_NETWORK_UPDATE_COMMAND_ADD_LAST,
        UpdateVerb::Delete => sys::VIR_NETWORK_UPDATE_COMMAND_DELETE,
        UpdateVerb::Modify => sys::VIR_NETWORK_UPDATE_COMMAND_MODIFY,
    }
}

fn update_side(side: Side) -> sys::virNetworkUpdateFlags {
    match side {
        Side::Running => sys::VIR_NETWORK_UPDATE_AFFECT_LIVE,
        Side::Definition => sys::VIR_NETWORK_UPDATE_AFFECT_CONFIG,
    }
}

fn update_section(section: NetworkSection) -> sys::virNetworkUpdateSection {
    match section {
        NetworkSection::IpDhcpHost => sys::VIR_NETWORK_SECTION_IP_DHCP_HOST,
        NetworkSection::IpDhcpRange => sys::VIR_NETWORK_SECTION_IP_DHCP_RANGE,
        NetworkSection::DnsHost => sys::VIR_NETWORK_SECTION_DNS_HOST,
        NetworkSection::DnsTxt => sys::VIR_NETWORK_SECTION_DNS_TXT,
        NetworkSection::DnsSrv => sys::VIR_NETWORK_SECTION_DNS_SRV,
        NetworkSection::Portgroup => sys::VIR_NETWORK_SECTION_PORTGROUP,
        NetworkSection::ForwardInterface => sys::VIR_NETWORK_SECTION_FORWARD_INTERFACE,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn named(name: &str) -> Element {
        Element::new("domain").with_child(Element::new("name").with_text(name))
    }

    #[test]
    fn the_first_check_of_a_kind_is_made_alone() {
        let said = Mutex::new(Vec::new());
        let say = |what: &'static str| said.lock().push(what);
        let (begun, wait) = channel();
        std::thread::scope(|scope| {
            // A kind that no other test of this process has libvirt check.
            scope.spawn(|| {
                validated(Kind::Image, &Element::new("first"), 1, |_| {
                    begun.send(()).unwrap();
                    std::thread::sleep(Duration::from_millis(50));
                    say("first");
                    Ok(())
                })
            });
            wait.recv().unwrap();
            validated(Kind::Image, &Element::new("second"), 1, |_| {
                say("second");
                Ok(())
            })
            .unwrap();
        });
        assert_eq!(*said.lock(), ["first", "second"]);
    }

    #[test]
    fn one_of_a_shape_is_checked_and_the_others_wait_for_it() {
        let flags = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for name in ["web1", "web2", "web3"] {
                let flags = &flags;
                scope.spawn(move || {
                    validated(Kind::Guest, &named(name), 1, |flag| {
                        std::thread::sleep(Duration::from_millis(20));
                        flags.lock().push(flag);
                        Ok(())
                    })
                });
            }
        });
        assert_eq!(*flags.lock(), [1, 0, 0]);
    }

    #[test]
    fn a_shape_that_is_refused_is_checked_again() {
        let other = |name: &str| named(name).with_child(Element::new("wachdog"));
        for name in ["web1", "web2"] {
            let refused = validated(Kind::Guest, &other(name), 1, |flag| {
                assert_eq!(flag, 1);
                virt::connect::Connect::open(Some("test:///nonsuch")).map(drop)
            });
            assert!(refused.is_err());
        }
    }
}
