//! The port, on a model in memory, for tests.
//!
//! It behaves as libvirt does where plans depend on it: a definition comes back with what libvirt fills in, running
//! objects keep what they started with, and what libvirt refuses is refused.

mod fill;
mod guest;
mod hotplug;
mod network;
pub mod spelling;
mod storage;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use parking_lot::{Mutex, MutexGuard};
use uuid::Uuid;

use super::files::Files;
use super::observed::{Addresses, told_by};
use super::observed::{
    Facts, Observed, ObservedGuest, ObservedNetwork, ObservedPool, ObservedVolume, Power,
};
use super::offers::{HostMemory, Machine, Objection, Offers, Question};
use super::port::{ErrorKind, HypervisorError, Monitor, Observe, Others, Outcome, Perform, Scope};
use crate::address::Kind;
use crate::lab::model::DomainType;
use crate::step::{Content, Named, Step};
use crate::xml::tree::Element;

/// How every fake is called.
const URI: &str = "fake:///system";

/// A hypervisor that is only a model in memory.
#[derive(Debug, Default)]
pub struct Fake {
    model: Mutex<Model>,
}

/// What the fake holds.
#[derive(Debug, Default)]
struct Model {
    networks: BTreeMap<String, Object>,
    pools: BTreeMap<String, Object>,
    guests: BTreeMap<String, Object>,
    /// Files by their path, with their definition as a volume. They outlive the pools that show them.
    files: BTreeMap<String, Element>,
    directories: BTreeSet<String>,
    /// Guests whose installer has ended well.
    installed: BTreeSet<Uuid>,
    /// Guests that never let go of a device.
    deaf: BTreeSet<String>,
    /// The taps of guests that run that hang on nothing.
    loose_taps: BTreeSet<String>,
    /// What is known of the host's interfaces.
    host_interfaces: BTreeMap<String, bool>,
    /// What it tells of itself: its capabilities, and the domain capabilities of whatever machine.
    capabilities: Option<(Element, Element)>,
    host_memory: Option<HostMemory>,
    /// What it says of guests' definitions, by their name.
    refused: BTreeMap<String, String>,
    performed: Vec<String>,
    /// How many calls to perform are still to be done before one fails.
    fail_after: Option<usize>,
    /// How many are to be done, the last of which says that it failed.
    fail_late: Option<usize>,
}

/// A network, pool or guest.
#[derive(Debug, Clone)]
struct Object {
    uuid: Uuid,
    /// The inactive definition.
    xml: Element,
    /// What it runs with; `None` where it is not active.
    live: Option<Element>,
    autostart: bool,
    /// Whether it outlives a stop.
    persistent: bool,
    /// What a guest ran with whose memory is on disk.
    saved: Option<Element>,
    snapshots: bool,
}

/// Why a step is refused: the kind, and what libvirt would say.
type Refusal = (ErrorKind, String);

fn refuse<T>(text: impl Into<String>) -> Result<T, Refusal> {
    Err((ErrorKind::Failed, text.into()))
}

impl Fake {
    /// An empty hypervisor. Of all directories only `/var/lib/libvirt/images` is there.
    pub fn new() -> Self {
        let fake = Self::default();
        fake.add_directory("/var/lib/libvirt/images");
        fake
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock()
    }

    /// Makes a directory, so that pools in it find it there.
    pub fn add_directory(&self, path: &str) {
        self.model().directories.insert(path.to_owned());
    }

    /// Lets the `n`-th step from now fail and do nothing; the first is 1.
    pub fn fail_at(&self, n: usize) {
        self.model().fail_after = n.checked_sub(1);
    }

    /// Unplugs a NIC of a running guest, which its MAC or its alias tells.
    pub fn unplug(&self, guest: &str, nic: &str) {
        let tap = format!("tap-{guest}-{nic}");
        self.edit_running(guest, |xml| {
            let devices = xml.child_or_insert("devices").children.iter_mut();
            let is_it = |device: &Element| {
                device.attribute_at("alias", "name") == Some(&format!("ua-{nic}"))
                    || device.attribute_at("mac", "address") == Some(nic)
            };
            for nic in devices.filter(|device| is_it(device)) {
                nic.child_or_insert("target").set_attribute("dev", &tap);
            }
        });
        self.model().loose_taps.insert(tap);
    }

    /// Tells whether the host has an interface.
    pub fn tell_interface(&self, name: &str, is_there: bool) {
        self.model()
            .host_interfaces
            .insert(name.to_owned(), is_there);
    }

    /// Tells what the hypervisor has: its capabilities, and the domain capabilities of whatever machine.
    pub fn tell_capabilities(&self, capabilities: Element, domain_capabilities: Element) {
        self.model().capabilities = Some((capabilities, domain_capabilities));
    }

    /// Tells how much memory the host has.
    pub fn tell_memory(&self, memory: HostMemory) {
        self.model().host_memory = Some(memory);
    }

    /// Lets libvirt refuse a guest's definitions where it is asked about them.
    pub fn refuse(&self, guest: &str, message: &str) {
        let refused = &mut self.model().refused;
        refused.insert(guest.to_owned(), message.to_owned());
    }

    /// Lets a guest not answer when it is asked for a device.
    pub fn deafen(&self, guest: &str) {
        self.model().deaf.insert(guest.to_owned());
    }

    /// Lets the `n`-th step from now be done and be told as failed: its end is not recorded, as if the process had died.
    pub fn fail_after(&self, n: usize) {
        self.model().fail_late = Some(n);
    }

    /// The steps that were done, in order, as they describe themselves.
    pub fn performed(&self) -> Vec<String> {
        self.model().performed.clone()
    }

    /// Changes an object's inactive definition behind the tool's back; one that is not there is left alone.
    /// A volume's name is `POOL/VOLUME`.
    pub fn edit(&self, kind: Kind, name: &str, change: impl FnOnce(&mut Element)) {
        let mut model = self.model();
        let path = model.file_named(name);
        let xml = match path.filter(|_| matches!(kind, Kind::Image | Kind::Volume)) {
            Some(path) => model.files.get_mut(&path),
            None => model.object(kind, name).map(|object| &mut object.xml),
        };
        if let Some(xml) = xml {
            change(xml);
        }
    }

    /// Changes what a guest runs with behind the tool's back, and not its definition; one that is off is left alone.
    pub fn edit_running(&self, guest: &str, change: impl FnOnce(&mut Element)) {
        let mut model = self.model();
        if let Some(live) = model
            .guests
            .get_mut(guest)
            .and_then(|guest| guest.live.as_mut())
        {
            change(live);
        }
    }

    /// Saves a guest behind the tool's back, as `virsh managedsave` does; one that is off is left alone.
    pub fn save(&self, guest: &str) {
        if let Some(guest) = self.model().guests.get_mut(guest) {
            guest.saved = guest.live.take();
        }
    }

    /// Takes a snapshot of a guest behind the tool's back.
    pub fn take_snapshot(&self, guest: &str) {
        if let Some(guest) = self.model().guests.get_mut(guest) {
            guest.snapshots = true;
        }
    }

    /// Removes an object behind the tool's back, running or not. A volume's name is `POOL/VOLUME`.
    pub fn remove(&self, kind: Kind, name: &str) {
        let mut model = self.model();
        if let Some(objects) = model.objects(kind) {
            objects.remove(name);
        } else if let Some(path) = model.file_named(name) {
            model.files.remove(&path);
        }
    }

    /// Puts in an object of someone else, without any check; a volume is put at its `target/path`.
    pub fn insert(&self, kind: Kind, xml: Element, activity: Activity) {
        let mut model = self.model();
        let name = xml.text_at("name").unwrap_or_default().to_owned();
        let object = |xml: Element, live: fn(&Element) -> Element| Object {
            uuid: fill::uuid_of(&xml),
            live: (activity == Activity::Active).then(|| live(&xml)),
            xml,
            autostart: false,
            persistent: true,
            saved: None,
            snapshots: false,
        };
        match kind {
            Kind::Network => {
                let xml = fill::network(&xml, &model.bridges());
                model
                    .networks
                    .insert(name, object(xml, fill::running_network));
            }
            Kind::Pool => {
                if let Some(path) = xml.text_at("target/path") {
                    model.directories.insert(path.to_owned());
                }
                let object = object(fill::pool(&xml), Element::clone);
                model.pools.insert(name, object);
            }
            Kind::Guest => {
                let object = object(fill::guest(&xml), fill::running);
                model.guests.insert(name, object);
            }
            Kind::Image | Kind::Volume => {
                let path = xml.text_at("target/path").unwrap_or(&name).to_owned();
                let xml = fill::volume(&xml, &path);
                model.files.insert(path, xml);
            }
            Kind::Reservations => {}
        }
    }

    /// Stops or starts an object behind the tool's back. Volumes are neither.
    pub fn switch(&self, kind: Kind, name: &str, activity: Activity) {
        let live: fn(&Element) -> Element = match kind {
            Kind::Network => fill::running_network,
            Kind::Guest => fill::running,
            Kind::Pool | Kind::Reservations | Kind::Image | Kind::Volume => Element::clone,
        };
        if let Some(object) = self.model().object(kind, name) {
            object.live = (activity == Activity::Active).then(|| live(&object.xml));
        }
    }

    /// Undefines an object that runs, behind the tool's back: it is transient then. Volumes have no definition.
    pub fn undefine(&self, kind: Kind, name: &str) {
        if let Some(object) = self.model().object(kind, name) {
            object.persistent = false;
            object.autostart = false;
        }
    }

    /// Everything as text; the same text where nothing differs.
    pub fn snapshot(&self) -> String {
        let model = self.model();
        let mut out = String::new();
        for (kind, objects) in [
            (Kind::Network, &model.networks),
            (Kind::Pool, &model.pools),
            (Kind::Guest, &model.guests),
        ] {
            for (name, object) in objects {
                let activity = match object.live {
                    Some(_) => "active",
                    None => "inactive",
                };
                let autostart = if object.autostart { ", autostart" } else { "" };
                let _ = writeln!(out, "{kind} {name}: {activity}{autostart}\n{}", object.xml);
                if let Some(live) = &object.live {
                    let _ = writeln!(out, "live:\n{live}");
                }
                if let Some(saved) = &object.saved {
                    let _ = writeln!(out, "saved:\n{saved}");
                }
            }
        }
        for (path, xml) in &model.files {
            let _ = writeln!(out, "file {path}\n{xml}");
        }
        for path in &model.directories {
            let _ = writeln!(out, "directory {path}");
        }
        out
    }
}

/// Whether an object is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// It is.
    Active,
    /// It is not.
    Inactive,
}

impl Observe for Fake {
    fn uri(&self) -> Result<String, HypervisorError> {
        Ok(URI.to_owned())
    }

    fn observe(&self, scope: &Scope) -> Result<Observed, HypervisorError> {
        Ok(self.model().observe(scope))
    }

    fn observe_again(
        &self,
        observed: &mut Observed,
        guests: &BTreeSet<String>,
    ) -> Result<(), HypervisorError> {
        let now = self.model().observe(&Scope::default());
        observed.networks = now.networks;
        observed.loose_taps = now.loose_taps;
        observed.guests.retain(|name, _| !guests.contains(name));
        let looked_at = now.guests.into_iter();
        observed
            .guests
            .extend(looked_at.filter(|(name, _)| guests.contains(name)));
        Ok(())
    }

    fn observe_jobs(
        &self,
        _: &mut Observed,
        _: &BTreeSet<String>,
    ) -> Result<bool, HypervisorError> {
        // Its live XML tells all that there are.
        Ok(false)
    }

    fn offers(
        &self,
        _: &Facts,
        questions: &BTreeMap<u64, Question>,
    ) -> Result<Offers, HypervisorError> {
        let model = self.model();
        let refused = |question: &Question| {
            let name = question.wanted.tree().text_at("name")?.to_owned();
            model.refused.get(&name).cloned().map(Objection::Start)
        };
        let refusals = questions.iter();
        let machines = questions.values().map(|it| Machine::of(&it.wanted.tree()));
        let of_machines = |machine| Some((machine, model.capabilities.as_ref()?.1.clone()));
        Ok(Offers {
            capabilities: model.capabilities.as_ref().map(|(all, _)| all.clone()),
            machines: machines.filter_map(of_machines).collect(),
            memory: model.host_memory,
            refusals: refusals
                .filter_map(|(shape, question)| Some((*shape, refused(question)?)))
                .collect(),
            virtiofsd: None,
        })
    }

    fn addresses(&self, _: &Observed, _: &BTreeSet<&str>) -> BTreeMap<String, Addresses> {
        BTreeMap::new()
    }
}

impl Perform for Fake {
    fn perform(&self, step: &Step, monitor: &dyn Monitor) -> Result<Outcome, HypervisorError> {
        let description = step.describe();
        let mut model = self.model();
        match model.fail_after {
            Some(0) => {
                model.fail_after = None;
                return Err(HypervisorError {
                    kind: ErrorKind::Failed,
                    message: format!("{description}: this step was to fail"),
                    hint: None,
                });
            }
            Some(left) => model.fail_after = Some(left - 1),
            None => {}
        }
        let done = model.perform(step, monitor);
        model.fail_late = model.fail_late.map(|left| left.saturating_sub(1));
        let done = match model.fail_late.take_if(|left| *left == 0) {
            Some(_) => done.and_then(|_| refuse("this step was to be taken for failed")),
            None => done,
        };
        done.inspect(|_| model.performed.push(description.clone()))
            .map_err(|(kind, text)| HypervisorError {
                kind,
                message: format!("{description}: {text}"),
                hint: None,
            })
    }
}

impl Model {
    /// The objects of a kind; volumes are files.
    fn objects(&mut self, kind: Kind) -> Option<&mut BTreeMap<String, Object>> {
        match kind {
            Kind::Network => Some(&mut self.networks),
            Kind::Pool => Some(&mut self.pools),
            Kind::Guest => Some(&mut self.guests),
            Kind::Reservations | Kind::Image | Kind::Volume => None,
        }
    }

    fn object(&mut self, kind: Kind, name: &str) -> Option<&mut Object> {
        self.objects(kind)?.get_mut(name)
    }

    fn observe(&self, scope: &Scope) -> Observed {
        let facts = Facts {
            uri: URI.to_owned(),
            host_uuid: Some(fill::HOST),
            driver: "QEMU".to_owned(),
            arch: "x86_64".to_owned(),
            domain_type: Some(DomainType::Qemu),
            unprivileged: false,
            local: true,
        };
        let network = |object: &Object| ObservedNetwork {
            uuid: object.uuid,
            active: object.live.is_some(),
            autostart: object.autostart,
            persistent: object.persistent,
            xml: object.xml.clone().into(),
            live_xml: object.live.clone().map(Into::into),
        };
        let pool = |object: &Object| ObservedPool {
            uuid: object.uuid,
            active: object.live.is_some(),
            autostart: object.autostart,
            persistent: object.persistent,
            xml: object.xml.clone().into(),
        };
        let guest = |object: &Object| ObservedGuest {
            uuid: object.uuid,
            power: match object.live {
                Some(_) => Power::Running,
                None => Power::Off,
            },
            autostart: object.autostart,
            persistent: object.persistent,
            saved: object.saved.is_some(),
            snapshots: object.snapshots,
            jobs: object.live.as_ref().map(told_by).unwrap_or_default(),
            install: self.install_phase(object),
            xml: object.xml.clone().into(),
            live_xml: object.live.clone().map(Into::into),
        };
        let others = match scope.others {
            Others::Read => self.all_volumes(),
            Others::Unread => Vec::new(),
        };
        let volumes = scope.volumes.iter().chain(&others);
        let volumes = volumes.filter_map(|(pool, name)| {
            let path = self.volume_path(pool, name).ok()?;
            let volume = ObservedVolume {
                xml: self.files.get(&path)?.clone().into(),
                id: None,
                stamp: None,
                path,
            };
            Some(((pool.clone(), name.clone()), volume))
        });
        let mut observed = Observed {
            facts,
            networks: each(&self.networks, network),
            pools: each(&self.pools, pool),
            volumes: volumes.collect(),
            formats: self.formats(scope),
            directories: self.places(scope),
            files: self.files_beside(scope),
            guests: each(&self.guests, guest),
            host_interfaces: (self.host_interfaces.clone().into_iter())
                .filter(|(name, _)| scope.interfaces.contains(name))
                .collect(),
            loose_taps: self.loose_taps.clone(),
            paths: Files::default(),
            settled: BTreeSet::new(),
        };
        match scope.others {
            Others::Read => observed.find_files(&scope.volumes, false),
            Others::Unread => {}
        }
        observed
    }

    /// Refuses what has the name of what is meant, or what is meant under another name.
    fn is_meant(&mut self, kind: Kind, object: &Named) -> Result<(), Refusal> {
        let Some(objects) = self.objects(kind) else {
            return Ok(());
        };
        let Named { name, uuid } = object;
        let is_it = |(_, object): &(&String, &Object)| object.uuid == *uuid;
        let other = match objects.iter().find(is_it) {
            Some((now, _)) if now == name => return Ok(()),
            Some((now, _)) => format!("the {kind} that was meant by {name} is called {now} now"),
            None => match objects.get(name) {
                Some(other) => format!(
                    "the {kind} of that name has the UUID {}, not {uuid}",
                    other.uuid
                ),
                None => return Ok(()),
            },
        };
        Err((ErrorKind::Exists, other))
    }

    fn perform(&mut self, step: &Step, monitor: &dyn Monitor) -> Result<Outcome, Refusal> {
        let done = |()| Outcome::default();
        for (kind, object) in step.objects() {
            self.is_meant(kind, object)?;
        }
        match step {
            Step::DefineNetwork { xml } => self.define_network(&xml.tree()).map(done),
            Step::StartNetwork { name } => self.start_network(&name.name).map(done),
            Step::StopNetwork { name } => {
                self.stop_network(&name.name);
                Ok(Outcome::default())
            }
            Step::UndefineNetwork { name } => self.undefine_network(&name.name).map(done),
            Step::AutostartNetwork { name, on } => {
                autostart(&mut self.networks, "network", &name.name, *on).map(done)
            }
            Step::UpdateNetwork {
                name,
                side,
                verb,
                section,
                parent,
                xml,
            } => self
                .update_network(&name.name, *side, (*verb, *section, *parent), xml)
                .map(done),
            Step::RestartNetwork { name, xml } => {
                self.restart_network(&name.name, &xml.tree()).map(done)
            }
            Step::PlugIn { network, nics } => {
                self.plug_in(network, |guest, mac| {
                    nics.contains(&(guest.to_owned(), mac.to_owned()))
                });
                Ok(Outcome::default())
            }
            Step::DefinePool { xml } => self.define_pool(&xml.tree()).map(done),
            Step::StartPool { name } => self.start_pool(&name.name, monitor).map(done),
            Step::StopPool { name } => {
                stop(&mut self.pools, &name.name);
                Ok(Outcome::default())
            }
            Step::DeletePoolDirectory { name } => self.delete_pool_directory(&name.name),
            Step::UndefinePool { name } => undefine(&mut self.pools, "pool", &name.name).map(done),
            Step::AutostartPool { name, on } => {
                autostart(&mut self.pools, "pool", &name.name, *on).map(done)
            }
            Step::CreateVolume { pool, xml } => {
                self.create_volume(&pool.name, &xml.tree()).map(done)
            }
            Step::CheckRoom { pool, content, .. } => {
                get(&self.pools, "pool", &pool.name)?;
                match content {
                    Some(Content::File { path, .. }) if !path.is_file() => {
                        refuse("it is not there")
                    }
                    Some(_) | None => Ok(Outcome::default()),
                }
            }
            Step::TryVolume { pool, xml } => {
                let xml = xml.tree();
                self.create_volume(&pool.name, &xml)?;
                let name = xml.text_at("name").unwrap_or_default();
                self.delete_volume(&pool.name, name).map(done)
            }
            Step::UploadVolume {
                pool,
                name,
                content,
                ..
            } => self.upload_volume(&pool.name, name, content, monitor),
            Step::GrowVolume {
                pool,
                name,
                capacity,
                guest,
                ..
            } => self
                .grow_volume(&pool.name, name, *capacity, guest.as_ref())
                .map(done),
            Step::DeleteVolume { pool, name, .. } => self.delete_volume(&pool.name, name).map(done),
            Step::DeleteFile { seen } => {
                self.files.remove(&seen.path);
                Ok(Outcome::default())
            }
            Step::DefineGuest { xml } => self.define_guest(&xml.tree()).map(done),
            Step::RenameGuest { from, to } => self.rename_guest(&from.name, to).map(done),
            Step::DiscardSave { name } => self.discard_save(&name.name).map(done),
            Step::StartGuest { name } => self.start_guest(&name.name).map(done),
            Step::ShutdownGuest { name, .. } => {
                stop(&mut self.guests, &name.name);
                Ok(Outcome::default())
            }
            Step::StageInstall { pool, stage } => self.stage_install(&pool.name, stage).map(done),
            Step::AwaitInstall { name, .. } => self.await_install(&name.name).map(done),
            Step::SettleGuest { install, wanted } => {
                self.settle_guest(&install.tree(), &wanted.tree()).map(done)
            }
            Step::UndefineGuest { name } => self.undefine_guest(&name.name).map(done),
            Step::DeleteVariables { guest, .. } => {
                match get(&self.guests, "guest", &guest.name)?.live {
                    Some(_) => refuse("it is running"),
                    None => Ok(Outcome::default()),
                }
            }
            Step::SetMemory { guest, kib } => self.set_memory(&guest.name, *kib).map(done),
            Step::SetVcpus { guest, count } => self.set_vcpus(&guest.name, *count).map(done),
            Step::UpdateDevice { guest, xml } => self.update_device(&guest.name, xml).map(done),
            Step::AttachDevice { guest, xml } => self.attach_device(&guest.name, xml).map(done),
            Step::DetachDevice { guest, xml, .. } => self.detach_device(&guest.name, xml).map(done),
            Step::SetMetadata { guest, part, value } => self
                .set_metadata(&guest.name, part, value.as_deref())
                .map(done),
            Step::AutostartGuest { name, on } => {
                autostart(&mut self.guests, "guest", &name.name, *on).map(done)
            }
        }
    }
}

fn each<T>(objects: &BTreeMap<String, Object>, of: impl Fn(&Object) -> T) -> BTreeMap<String, T> {
    objects
        .iter()
        .map(|(name, object)| (name.clone(), of(object)))
        .collect()
}

fn get<'a>(
    objects: &'a BTreeMap<String, Object>,
    kind: &str,
    name: &str,
) -> Result<&'a Object, Refusal> {
    objects.get(name).ok_or_else(|| missing(kind, name))
}

fn get_mut<'a>(
    objects: &'a mut BTreeMap<String, Object>,
    kind: &str,
    name: &str,
) -> Result<&'a mut Object, Refusal> {
    objects.get_mut(name).ok_or_else(|| missing(kind, name))
}

fn missing(kind: &str, name: &str) -> Refusal {
    (
        ErrorKind::NotFound,
        format!("there is no {kind} named {name}"),
    )
}

/// Says whether an object starts with the host, which one that is transient cannot.
fn autostart(
    objects: &mut BTreeMap<String, Object>,
    kind: &str,
    name: &str,
    on: bool,
) -> Result<(), Refusal> {
    let object = get_mut(objects, kind, name)?;
    if !object.persistent {
        return refuse(format!("cannot set autostart for transient {kind}"));
    }
    object.autostart = on;
    Ok(())
}

/// Puts a definition in, or refuses it since name and UUID do not belong together.
fn define(
    objects: &mut BTreeMap<String, Object>,
    kind: &str,
    given: &Element,
    filled: Element,
) -> Result<(), Refusal> {
    let Some(name) = filled.text_at("name").map(str::to_owned) else {
        return refuse(format!("the {kind} has no name"));
    };
    let has_uuid = given.text_at("uuid").is_some();
    let uuid = fill::uuid_of(&filled);
    if let Some(old) = objects
        .get(&name)
        .filter(|old| old.uuid != uuid || !has_uuid)
    {
        let text = format!(
            "{kind} '{name}' already exists with uuid {}",
            old.uuid.hyphenated()
        );
        return Err((ErrorKind::Exists, text));
    }
    if let Some((other, _)) = objects
        .iter()
        .find(|(other, object)| **other != name && object.uuid == uuid)
    {
        let text = format!("{kind} '{other}' is already defined with uuid {uuid}");
        return Err((ErrorKind::Exists, text));
    }
    match objects.get_mut(&name) {
        Some(object) => {
            object.xml = filled;
            object.persistent = true;
        }
        None => {
            let object = Object {
                uuid,
                xml: filled,
                live: None,
                autostart: false,
                persistent: true,
                saved: None,
                snapshots: false,
            };
            objects.insert(name, object);
        }
    }
    Ok(())
}

/// Stops an object; one that is inactive or gone is fine, and one that is transient is gone then.
fn stop(objects: &mut BTreeMap<String, Object>, name: &str) {
    if let Some(object) = objects.get_mut(name) {
        object.live = None;
        if !object.persistent {
            objects.remove(name);
        }
    }
}

/// Removes a definition; one that is gone is fine, one that is active is refused.
fn undefine(objects: &mut BTreeMap<String, Object>, kind: &str, name: &str) -> Result<(), Refusal> {
    match objects.get(name) {
        Some(object) if object.live.is_some() => refuse(format!("{kind} '{name}' is still active")),
        Some(_) | None => {
            objects.remove(name);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
