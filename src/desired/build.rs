//! Puts a lab through its templates.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::answers::{self, Answers};
use super::contexts::Contexts;
use super::{Desired, Detail, External, Resource};
use crate::address::{Address, Name};
use crate::diagnostic::{Diagnostic, Diagnostics, Span};
use crate::file::header::Format;
use crate::lab::model::{Guest, Interface, InterfaceSource, Lab, Lifecycle};
use crate::libvirt::DiskFile;
use crate::libvirt::observed::{Facts, Observed, ObservedPool};
use crate::state::cache::Cache;
use crate::template::Templates;
use crate::xml::document::Document;
use crate::xml::tree::Element;

/// What the definitions of a lab are made of.
pub struct Sources {
    /// The lab.
    pub lab: Arc<Lab>,
    /// Where it is to be.
    pub site: Site,
    /// Its templates.
    pub templates: Arc<Templates>,
}

/// What the definitions of a lab depend on of a hypervisor.
#[derive(Debug, Clone)]
pub struct Site {
    pub(super) facts: Facts,
    /// Type and directory of pools, by name in libvirt.
    pub(super) pools: BTreeMap<String, (Option<String>, Option<String>)>,
    /// Where volumes are, by pool and name.
    pub(super) volumes: BTreeMap<(String, String), String>,
    /// Formats of what the lab does not make.
    pub(super) formats: BTreeMap<DiskFile, Option<Format>>,
}

impl From<&Observed> for Site {
    fn from(observed: &Observed) -> Self {
        let pool = |(name, pool): (&String, &ObservedPool)| {
            let kind = pool.xml.tree().attribute("type").map(str::to_owned);
            (name.clone(), (kind, pool.directory()))
        };
        let volumes = observed.volumes.iter();
        Self {
            facts: observed.facts.clone(),
            pools: observed.pools.iter().map(pool).collect(),
            volumes: volumes
                .map(|(key, volume)| (key.clone(), volume.path.clone()))
                .collect(),
            formats: observed.formats.clone(),
        }
    }
}

/// Puts a lab through its templates. What a template, an overlay or the hypervisor makes impossible comes back as
/// problems, all at once; the resources concerned are then left out.
pub fn build(lab: &Lab, observed: &Observed, templates: &Templates) -> (Desired, Diagnostics) {
    let site = Site::from(observed);
    Builder::new(lab, &site, templates, None).build()
}

/// The same; but what comes of the same as when it was seen is put through its template only if somebody looks into it.
pub fn build_uncached(sources: &Arc<Sources>, seen: &Cache) -> (Desired, Diagnostics) {
    let Sources {
        lab,
        site,
        templates,
    } = &**sources;
    Builder::new(lab, site, templates, Some((sources, seen))).build()
}

/// What one definition is made of: which maker of [`Builder`] makes it, and of which part of the lab.
#[derive(Debug, Clone)]
pub(super) enum Part {
    Network(Name),
    Pool(Name),
    Image(Name),
    /// What an external network reserves.
    Reservations(Name),
    /// A disk's volume, by its guest.
    Volume(Name, Address),
    /// A guest's seed for cloud-init.
    Seed(Name),
    Guest(Name),
}

impl Sources {
    /// A definition that has been made before, made again by the same maker. `None` if it cannot be any more: a template is
    /// another one since.
    pub(super) fn definition(&self, part: &Part, address: &Address) -> Option<Element> {
        let mut builder = Builder::new(&self.lab, &self.site, &self.templates, None);
        builder.make(part);
        let made = builder.resources.remove(address)?;
        Some(Element::clone(&made.xml.tree()))
    }
}

/// All parts of a lab of which definitions are made.
fn parts(lab: &Lab) -> Vec<Part> {
    let reserving = lab.networks.iter().filter(|(_, network)| network.external);
    let reserving = reserving.filter(|(_, network)| !network.dhcp_hosts.is_empty());
    let networks = lab.networks.iter().filter(|(_, network)| !network.external);
    let pools = lab.pools.iter().filter(|(_, pool)| !pool.external);
    let guests = lab.guests.iter();
    let seeded = guests
        .clone()
        .filter(|(_, guest)| guest.cloud_init.is_some());
    let volumes = guests.clone().flat_map(|(key, guest)| {
        let volumes = guest.volumes();
        volumes.map(|volume| Part::Volume(key.clone(), volume.address.clone()))
    });
    networks
        .map(|(key, _)| Part::Network(key.clone()))
        .chain(reserving.map(|(key, _)| Part::Reservations(key.clone())))
        .chain(pools.map(|(key, _)| Part::Pool(key.clone())))
        .chain(lab.images.keys().cloned().map(Part::Image))
        .chain(volumes)
        .chain(seeded.map(|(key, _)| Part::Seed(key.clone())))
        .chain(guests.map(|(key, _)| Part::Guest(key.clone())))
        .collect()
}

fn externals(lab: &Lab) -> BTreeMap<Address, External> {
    let networks = lab.networks.values().filter(|network| network.external);
    let pools = lab.pools.values().filter(|pool| pool.external);
    networks
        .map(|network| (Address::network(&network.key), &network.name))
        .chain(pools.map(|pool| (Address::pool(&pool.key), &pool.name)))
        .map(|(address, name)| {
            let external = External {
                name: name.clone(),
                span: lab.places.get(&address).copied(),
                ips: ips_on(lab, &address),
            };
            (address, external)
        })
        .collect()
}

/// The addresses of guests on an external network.
fn ips_on(lab: &Lab, address: &Address) -> Vec<(IpAddr, Option<Span>)> {
    let is_on = |nic: &&Interface| match &nic.source {
        InterfaceSource::Network { network: key, .. } => Address::network(key) == *address,
        InterfaceSource::Bridge { .. } | InterfaceSource::Direct { .. } | InterfaceSource::User => {
            false
        }
    };
    let guests = lab.guests.values();
    guests
        .flat_map(|guest| {
            let place = lab.places.get(&Address::guest(&guest.key)).copied();
            let ips = guest
                .interfaces
                .iter()
                .filter(is_on)
                .flat_map(|nic| &nic.ips);
            ips.map(move |ip| (*ip, place))
        })
        .collect()
}

pub(super) struct Builder<'a> {
    pub(super) lab: &'a Lab,
    pub(super) site: &'a Site,
    pub(super) templates: &'a Templates,
    /// What it is all made of once more, where it is looked into, and what was seen before.
    pub(super) memory: Option<(&'a Arc<Sources>, &'a Cache)>,
    pub(super) resources: BTreeMap<Address, Resource>,
    pub(super) problems: Diagnostics,
    answers: BTreeMap<Name, Answers>,
    /// What templates of answers see; most labs have none.
    contexts: OnceCell<Contexts<'a>>,
}

impl<'a> Builder<'a> {
    fn new(
        lab: &'a Lab,
        site: &'a Site,
        templates: &'a Templates,
        memory: Option<(&'a Arc<Sources>, &'a Cache)>,
    ) -> Self {
        Self {
            lab,
            site,
            templates,
            memory,
            resources: BTreeMap::new(),
            problems: Diagnostics::default(),
            answers: BTreeMap::new(),
            contexts: OnceCell::new(),
        }
    }

    fn build(mut self) -> (Desired, Diagnostics) {
        let lab = self.lab;
        for part in parts(lab) {
            self.make(&part);
        }
        let desired = Desired {
            lab: lab.name.clone(),
            resources: self.resources,
            external: externals(lab),
            moves: lab.moves.clone(),
            answers: self.answers,
        };
        (desired, self.problems)
    }

    fn make(&mut self, part: &Part) {
        let lab = self.lab;
        let guest = |key| lab.guests.get(key).into_iter();
        match part {
            Part::Network(key) => lab
                .networks
                .get(key)
                .into_iter()
                .for_each(|it| self.network(it)),
            Part::Reservations(key) => lab
                .networks
                .get(key)
                .into_iter()
                .for_each(|it| self.reservations(it)),
            Part::Pool(key) => lab.pools.get(key).into_iter().for_each(|it| self.pool(it)),
            Part::Image(key) => lab
                .images
                .get(key)
                .into_iter()
                .for_each(|it| self.image(it)),
            Part::Volume(key, address) => guest(key)
                .flat_map(Guest::volumes)
                .filter(|volume| volume.address == *address)
                .for_each(|volume| self.volume(volume, key)),
            Part::Seed(key) => guest(key).for_each(|it| self.seed(it)),
            Part::Guest(key) => guest(key).for_each(|it| self.guest(it)),
        }
    }

    /// The answers of a guest. They are kept only where they are asked for: who plans has them in what is made of them.
    pub(super) fn answers(&mut self, guest: &Guest) -> Result<Option<Answers>, Diagnostic> {
        let contexts = self.contexts.get_or_init(|| Contexts::new(self.lab));
        let answers = answers::of(contexts, self.templates, guest)?;
        if let (None, Some(answers)) = (self.memory, &answers) {
            self.answers.insert(guest.key.clone(), answers.clone());
        }
        Ok(answers)
    }

    pub(super) fn add(
        &mut self,
        address: Address,
        name: &str,
        xml: Result<Document, Diagnostic>,
        depends_on: BTreeSet<Address>,
        lifecycle: Lifecycle,
        detail: Detail,
    ) {
        let xml = match xml {
            Ok(xml) => xml,
            Err(problem) => return self.problem(&address, problem),
        };
        let resource = Resource {
            span: self.lab.places.get(&address).copied(),
            name: name.to_owned(),
            xml,
            depends_on,
            lifecycle,
            detail,
            address: address.clone(),
        };
        self.resources.insert(address, resource);
    }

    pub(super) fn problem(&mut self, address: &Address, problem: Diagnostic) {
        self.problems
            .push(problem.at(self.lab.places.get(address).copied()));
    }
}
