//! Ways of looking.

use std::collections::BTreeSet;

use miniascape::libvirt::observed::Power;
use miniascape::step::Named;

use super::{Script, Site, named};

pub const SCRIPTS: &[Script] = &[
    Script::new("a hypervisor says who it is", &[], facts),
    Script::new("a later look sees what is named", &[], later),
    Script::new("nothing is under way where nothing was begun", &[], at_rest),
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
