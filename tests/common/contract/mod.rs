//! What the port does, in scripts that are run on all that is behind it: the fake, libvirt's test driver, and libvirt with QEMU.
//!
//! So what plans are tested against on the fake is what libvirt does. A script performs steps and looks; it does not know which
//! hypervisor it is on. What one cannot do is declared by its [`Site`], and a script that needs it is not run there.

mod guests;
mod live;
mod looks;
mod networks;
mod pools;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use miniascape::libvirt::observed::{Observed, ObservedGuest};
use miniascape::libvirt::{ErrorKind, Hypervisor, Outcome, Scope, Unwatched};
use miniascape::step::{Named, Step};
use miniascape::xml::tree::Element;
use uuid::Uuid;

/// A hypervisor that the scripts are run on, and what it is like.
pub struct Site<'a> {
    pub hypervisor: &'a dyn Hypervisor,
    /// What guests are defined with: their type, and the attributes of `<os><type>`.
    pub domain: (&'static str, &'static str),
    /// Where pools are made.
    pub directory: String,
    pub can: &'static [Can],
    /// Saves a guest that runs behind the port's back, as `virsh managedsave` does.
    pub save: &'a dyn Fn(&str),
    /// Sees to it that a guest never answers when it is asked for a device. One without a system inside never does.
    pub deafen: &'a dyn Fn(&str),
    /// Begins a copy of the first disk of a guest that runs into a file behind the port's back, or ends it where none is given.
    pub copy: &'a dyn Fn(&str, Option<&str>),
}

/// What not all hypervisors can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Can {
    /// Pools have directories, and volumes are files in them.
    Files,
    /// What a network or pool runs with is apart from its definition.
    Apart,
    /// What runs needs what it is made of: networks their subnet, guests their networks and files.
    Run,
    /// Guests are changed while they run.
    Change,
    /// Others can save a guest.
    Save,
}

/// Steps, and what is observed and refused.
pub struct Script {
    pub name: &'static str,
    needs: &'static [Can],
    run: fn(&Site),
}

impl Script {
    const fn new(name: &'static str, needs: &'static [Can], run: fn(&Site)) -> Self {
        Self { name, needs, run }
    }
}

/// All scripts.
pub fn scripts() -> impl Iterator<Item = &'static Script> {
    [
        networks::SCRIPTS,
        pools::SCRIPTS,
        guests::SCRIPTS,
        live::SCRIPTS,
        looks::SCRIPTS,
    ]
    .into_iter()
    .flatten()
}

/// Runs each script that the site can run, and gives the names of the others. Each leaves things as they were.
pub fn run(site: &Site) -> Vec<&'static str> {
    let mut left_out = Vec::new();
    let mut failed = Vec::new();
    for script in scripts() {
        if !script.needs.iter().all(|need| site.can.contains(need)) {
            left_out.push(script.name);
            continue;
        }
        println!("{}", script.name);
        let run = || {
            let before = site.names();
            (script.run)(site);
            assert_eq!(site.names(), before, "something is left");
        };
        // The others tell more; what is said of each stands above.
        if catch_unwind(AssertUnwindSafe(run)).is_err() {
            failed.push(script.name);
        }
    }
    assert!(failed.is_empty(), "failed: {failed:#?}");
    left_out
}

impl Site<'_> {
    /// Performs a step that is done.
    #[track_caller]
    fn done(&self, step: Step) -> Outcome {
        let done = self.hypervisor.perform(&step, &Unwatched);
        done.unwrap_or_else(|error| panic!("{step}: {error:?}"))
    }

    /// Performs a step twice, of which the second finds all as it is to be.
    #[track_caller]
    fn twice(&self, step: Step) {
        self.done(step.clone());
        assert_eq!(self.done(step), Outcome::default());
    }

    /// Performs a step that is refused. Gives why.
    #[track_caller]
    fn refused(&self, step: Step, kind: ErrorKind) -> String {
        match self.hypervisor.perform(&step, &Unwatched) {
            Ok(outcome) => panic!("{step}: it is to be refused, and gave {outcome:?}"),
            Err(error) => {
                assert_eq!(error.kind, kind, "{error:?}");
                let begin = format!("{step}: ");
                assert!(error.message.starts_with(&begin), "{error:?}");
                error.message[begin.len()..].to_owned()
            }
        }
    }

    #[track_caller]
    fn observe(&self) -> Observed {
        self.look(&Scope::default())
    }

    #[track_caller]
    fn look(&self, scope: &Scope) -> Observed {
        self.hypervisor.observe(scope).unwrap()
    }

    #[track_caller]
    fn guest(&self, guest: &Named) -> ObservedGuest {
        let found = self.observe().guests.remove(&guest.name);
        found.unwrap_or_else(|| panic!("there is no guest {guest}"))
    }

    /// What a guest runs with, and its definition.
    #[track_caller]
    fn both(&self, guest: &Named) -> (Element, Element) {
        let guest = self.guest(guest);
        let live = guest.live_xml.expect("it runs");
        ((*live.tree()).clone(), (*guest.xml.tree()).clone())
    }

    /// The names of all that there is.
    fn names(&self) -> Vec<String> {
        let there = self.observe();
        let kinds = [
            Vec::from_iter(there.networks.keys()),
            Vec::from_iter(there.pools.keys()),
            Vec::from_iter(there.guests.keys()),
        ];
        kinds.concat().into_iter().cloned().collect()
    }

    fn define_guest(&self, guest: &Named, more: &str) -> Step {
        let ((kind, machine), Named { name, uuid }) = (self.domain, guest);
        let xml = xml(&format!(
            "<domain type='{kind}'><name>{name}</name><uuid>{uuid}</uuid><memory unit='KiB'>65536</memory>\
             <os><type {machine}>hvm</type></os>{more}</domain>"
        ));
        Step::DefineGuest { xml: xml.into() }
    }

    /// Where a pool's directory is.
    fn path(&self, pool: &Named) -> String {
        format!("{}/{pool}", self.directory)
    }

    /// Makes a pool and starts it.
    #[track_caller]
    fn make_pool(&self, pool: &Named) {
        self.done(self.define_pool(pool));
        self.done(Step::StartPool { name: pool.clone() });
    }

    fn define_pool(&self, pool: &Named) -> Step {
        let (Named { name, uuid }, path) = (pool, self.path(pool));
        let xml = xml(&format!(
            "<pool type='dir'><name>{name}</name><uuid>{uuid}</uuid><target><path>{path}</path></target></pool>"
        ));
        Step::DefinePool { xml: xml.into() }
    }

    /// Removes a pool with these volumes and its directory.
    #[track_caller]
    fn remove_pool(&self, pool: &Named, volumes: &[&str]) {
        for name in volumes {
            self.done(delete_volume(pool, name));
        }
        let name = || pool.clone();
        self.done(Step::StopPool { name: name() });
        if self.can.contains(&Can::Files) {
            self.done(Step::DeletePoolDirectory { name: name() });
        }
        self.done(Step::UndefinePool { name: name() });
    }

    #[track_caller]
    fn make_network(&self, network: &Named, third: u8) {
        self.done(define(&nat(network, third, "")));
        let name = network.clone();
        self.done(Step::StartNetwork { name });
    }

    #[track_caller]
    fn remove_network(&self, network: &Named) {
        let name = || network.clone();
        self.done(Step::StopNetwork { name: name() });
        self.done(Step::UndefineNetwork { name: name() });
    }

    /// Starts a guest.
    #[track_caller]
    fn start(&self, guest: &Named) {
        let name = guest.clone();
        self.done(Step::StartGuest { name });
    }

    /// Switches a guest off.
    #[track_caller]
    fn switch_off(&self, guest: &Named) {
        let step = Step::ShutdownGuest {
            name: guest.clone(),
            timeout: 0,
        };
        assert_eq!(self.done(step), Outcome::default());
    }

    /// Switches a guest off and removes it.
    #[track_caller]
    fn remove_guest(&self, guest: &Named) {
        self.switch_off(guest);
        let name = guest.clone();
        self.done(Step::UndefineGuest { name });
    }
}

fn xml(text: &str) -> Element {
    Element::parse(text).unwrap()
}

/// An object of ours by its name and the end of its UUID.
fn named(name: &str, end: u32) -> Named {
    let uuid = 0x6d69_6e69_6173_5361_8070_6500_0000_0000 + u128::from(end);
    Named::new(name, Uuid::from_u128(uuid))
}

fn define(network: &Element) -> Step {
    let xml = network.into();
    Step::DefineNetwork { xml }
}

/// A network with address translation and addresses to give; `more` is what it has beside.
fn nat(network: &Named, third: u8, more: &str) -> Element {
    let Named { name, uuid } = network;
    xml(&format!(
        "<network><name>{name}</name><uuid>{uuid}</uuid><forward mode='nat'/>{more}\
         <ip address='192.168.{third}.1' prefix='24'><dhcp>\
         <range start='192.168.{third}.100' end='192.168.{third}.199'/></dhcp></ip></network>"
    ))
}

/// A volume of 1 MiB; `more` is what it has beside.
fn create_volume(pool: &Named, name: &str, format: &str, more: &str) -> Step {
    let xml = xml(&format!(
        "<volume><name>{name}</name><capacity unit='bytes'>1048576</capacity>\
         <target><format type='{format}'/></target>{more}</volume>"
    ));
    let pool = pool.clone();
    Step::CreateVolume {
        pool,
        xml: xml.into(),
    }
}

fn delete_volume(pool: &Named, name: &str) -> Step {
    Step::DeleteVolume {
        pool: pool.clone(),
        name: name.to_owned(),
        seen: None,
    }
}

fn volumes(pool: &Named, names: &[&str]) -> Scope {
    let key = |name: &&str| (pool.name.clone(), (*name).to_owned());
    Scope {
        volumes: names.iter().map(key).collect(),
        ..Scope::default()
    }
}

/// Asserts that all that an element has is in another, in the same words.
#[track_caller]
fn assert_holds(there: &Element, wanted: &Element) {
    let lacks = lacks(there, wanted);
    assert!(lacks.is_none(), "{}\nis not in\n{there}", lacks.unwrap());
}

/// What an element has and another has not: elements are looked for among those of their name.
fn lacks(there: &Element, wanted: &Element) -> Option<String> {
    let lacks_attribute = |(name, value): &&(String, String)| there.attribute(name) != Some(value);
    if wanted.text != there.text || wanted.attributes.iter().any(|it| lacks_attribute(&it)) {
        return Some(wanted.to_string());
    }
    let mut children = wanted.children.iter();
    let is_there = |child: &Element| {
        let mut among = there.children_named(&child.name);
        among.any(|there| lacks(there, child).is_none())
    };
    children
        .find(|child| !is_there(child))
        .map(|child| child.to_string())
}

/// The aliases of a guest's devices that a definition gave them.
fn devices(guest: &Element) -> BTreeSet<String> {
    let devices = guest.child("devices").into_iter();
    let alias = |device: &Element| Some(device.attribute_at("alias", "name")?.to_owned());
    let all = devices.flat_map(|devices| devices.children.iter().filter_map(alias));
    all.filter(|alias| alias.starts_with("ua-")).collect()
}
