//! Ways of looking.

use std::collections::{BTreeMap, BTreeSet};

use miniascape::address::{Address, Name};
use miniascape::libvirt::observed::Power;
use miniascape::libvirt::offers::Question;
use miniascape::step::{Named, Step};

use super::guests::disk;
use super::{Can, Script, Site, create_volume, named};

pub const SCRIPTS: &[Script] = &[
    Script::new("a hypervisor says who it is", &[], facts),
    Script::new("a later look sees what is named", &[], later),
    Script::new("nothing is under way where nothing was begun", &[], at_rest),
    Script::new(
        "a disk that is copied is told",
        &[Can::Change, Can::Files],
        copied,
    ),
    Script::new("a good definition is not objected to", &[], good),
];

fn web() -> Named {
    named("web", 21)
}

fn facts(site: &Site) {
    let facts = site.observe().facts;
    assert_eq!(site.hypervisor.uri().unwrap(), facts.uri);
    assert!(facts.local && !facts.unprivileged);
    assert_eq!(facts, site.observe().facts);
}

fn later(site: &Site) {
    let (net, [gone, other, new]) = (
        named("front", 1),
        [22, 23, 24].map(|end| named(&format!("g{end}"), end)),
    );
    for guest in [&web(), &gone, &other] {
        site.done(site.define_guest(guest, ""));
    }
    let mut seen = site.observe();
    for guest in [&web(), &other] {
        site.start(guest);
    }
    site.remove_guest(&gone);
    site.done(site.define_guest(&new, ""));
    site.make_network(&net, 155);
    let names: BTreeSet<String> = [web(), gone, new.clone()].map(|guest| guest.name).into();
    site.hypervisor.observe_again(&mut seen, &names).unwrap();
    let power = |name: &str| seen.guests.get(name).map(|guest| guest.power);
    assert_eq!(power("web"), Some(Power::Running));
    assert_eq!(power("g22"), None);
    assert_eq!(power("g23"), Some(Power::Off), "nobody asked for it");
    assert_eq!(power("g24"), Some(Power::Off));
    assert!(seen.networks["front"].active);
    for guest in [&web(), &other, &new] {
        site.remove_guest(guest);
    }
    site.remove_network(&net);
}

fn at_rest(site: &Site) {
    let name = web().name;
    site.done(site.define_guest(&web(), ""));
    site.start(&web());
    let mut seen = site.observe();
    let guests = [name.clone()].into();
    assert!(!site.hypervisor.observe_jobs(&mut seen, &guests).unwrap());
    assert!(seen.guests[&name].jobs.is_empty());
    let addresses = site.hypervisor.addresses(&seen, &[name.as_str()].into());
    assert!(
        addresses.values().all(|of_nics| of_nics.is_empty()),
        "{addresses:?}"
    );
    site.remove_guest(&web());
    // One that went meanwhile is no failure.
    assert!(!site.hypervisor.observe_jobs(&mut seen, &guests).unwrap());
}

fn copied(site: &Site) {
    let shop = named("shop", 11);
    site.make_pool(&shop);
    site.done(create_volume(&shop, "root", "qcow2", ""));
    let root = format!("{}/root", site.path(&shop));
    let root = disk("root", &root, ("vda", "virtio"));
    site.done(site.define_guest(&web(), &format!("<devices>{root}</devices>")));
    site.start(&web());
    let copy = format!("{}/copy", site.directory);
    (site.copy)("web", Some(&copy));
    let mut seen = site.observe();
    let jobs = seen.guests["web"].jobs.clone();
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    // It is known already.
    let guests = ["web".to_owned()].into();
    assert!(!site.hypervisor.observe_jobs(&mut seen, &guests).unwrap());
    assert_eq!(seen.guests["web"].jobs, jobs);
    (site.copy)("web", None);
    assert!(site.guest(&web()).jobs.is_empty());
    site.remove_guest(&web());
    site.remove_pool(&shop, &["root"]);
}

fn good(site: &Site) {
    let Step::DefineGuest { xml } = site.define_guest(&web(), "") else {
        unreachable!("it defines a guest")
    };
    let question = Question {
        guests: vec![(Address::guest(&Name::new("web").unwrap()), 64 << 20)],
        wanted: xml,
        before: None,
    };
    let facts = site.observe().facts;
    let offers = site
        .hypervisor
        .offers(&facts, &BTreeMap::from([(1, question)]));
    let offers = offers.unwrap();
    assert!(offers.refusals.is_empty(), "{:?}", offers.refusals);
    assert!(offers.machines.len() <= 1, "nothing else was asked about");
}
