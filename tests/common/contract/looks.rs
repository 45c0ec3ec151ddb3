//! Ways of looking.

use std::collections::BTreeSet;

use miniascape::libvirt::observed::{Observed, Power};
use miniascape::step::Named;

use super::{Script, Site, create_volume, named, volumes};

pub const SCRIPTS: &[Script] = &[
    Script::new("a hypervisor says who it is", &[], facts),
    Script::new("a look in two parts is one look", &[], parts),
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

/// All that is observed, as text.
fn text(seen: &Observed) -> String {
    format!("{seen:#?}")
}

fn parts(site: &Site) {
    let (net, pool) = (named("front", 1), named("shop", 11));
    site.make_network(&net, 155);
    site.make_pool(&pool);
    site.done(create_volume(&pool, "a", "qcow2", ""));
    site.done(site.define_guest(&web(), ""));
    site.start(&web());
    let scope = volumes(&pool, &["a", "none"]);
    let whole = site.look(&scope);
    assert_eq!(text(&whole), text(&site.look(&scope)));
    let mut seen = site.hypervisor.observe_first(&scope).unwrap();
    assert!(seen.networks.is_empty() && seen.guests.is_empty());
    assert_eq!((seen.volumes.len(), seen.pools["shop"].active), (1, true));
    site.hypervisor.observe_rest(&mut seen).unwrap();
    assert_eq!(text(&seen), text(&whole));
    site.remove_guest(&web());
    site.remove_pool(&pool, &["a"]);
    site.remove_network(&net);
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
