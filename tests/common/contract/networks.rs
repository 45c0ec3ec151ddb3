//! Networks.

use miniascape::libvirt::ErrorKind;
use miniascape::step::{Named, NetworkSection, Side, Step, UpdateVerb};
use miniascape::xml::tree::Element;

use super::{Can, Script, Site, assert_holds, define, named, nat, xml};

pub const SCRIPTS: &[Script] = &[
    Script::new("a network lives and goes", &[], lives),
    Script::new("a network runs on as it started", &[Can::Apart], runs_on),
    Script::new("entries of a network come and go", &[], entries),
    Script::new("an entry is changed on one side", &[Can::Apart], sides),
    Script::new("hosts are known by any of their keys", &[], hosts),
    Script::new("a subnet is one network's", &[Can::Run], subnets),
    Script::new(
        "a network that runs outlives its definition",
        &[Can::Run],
        transient,
    ),
];

fn front() -> Named {
    named("front", 1)
}

fn start() -> Step {
    Step::StartNetwork { name: front() }
}

fn undefine() -> Step {
    Step::UndefineNetwork { name: front() }
}

fn lives(site: &Site) {
    let wanted = nat(&front(), 155, "<bridge name='virbr77'/>");
    site.done(define(&wanted));
    let seen = &site.observe().networks["front"];
    assert!(!seen.active && !seen.autostart && seen.persistent);
    assert!(seen.live_xml.is_none());
    assert_eq!(seen.uuid, front().uuid);
    assert_holds(&seen.xml.tree(), &wanted);
    site.twice(start());
    for on in [true, false] {
        let name = front();
        site.twice(Step::AutostartNetwork { name, on });
        let seen = &site.observe().networks["front"];
        assert!(seen.active && seen.autostart == on);
        assert_holds(&seen.live_xml.as_ref().unwrap().tree(), &wanted);
    }
    site.twice(Step::StopNetwork { name: front() });
    let seen = &site.observe().networks["front"];
    assert!(!seen.active && seen.live_xml.is_none());
    site.twice(undefine());
}

fn runs_on(site: &Site) {
    let (old, new) = (nat(&front(), 155, ""), nat(&front(), 156, ""));
    site.done(define(&old));
    site.done(start());
    site.done(define(&new));
    let seen = &site.observe().networks["front"];
    assert_holds(&seen.xml.tree(), &new);
    assert_holds(&seen.live_xml.as_ref().unwrap().tree(), &old);
    for (net, is_stopped) in [(&old, false), (&new, true)] {
        if is_stopped {
            site.done(Step::StopNetwork { name: front() });
        }
        let (name, xml) = (front(), net.into());
        site.done(Step::RestartNetwork { name, xml });
        let seen = &site.observe().networks["front"];
        assert_holds(&seen.xml.tree(), net);
        assert_holds(&seen.live_xml.as_ref().unwrap().tree(), net);
    }
    site.remove_network(&front());
}

/// An entry of each section, as it is and with something else in it, and the network it is put in.
fn of_section(section: NetworkSection) -> (Element, &'static str, &'static str) {
    let (entry, changed) = match section {
        NetworkSection::IpDhcpHost => (
            "<host mac='52:54:00:00:00:0a' name='a' ip='192.168.155.10'/>",
            "<host mac='52:54:00:00:00:0a' name='a' ip='192.168.155.11'/>",
        ),
        NetworkSection::IpDhcpRange => (
            "<range start='192.168.155.20' end='192.168.155.29'/>",
            "<range start='192.168.155.20' end='192.168.155.29'><lease expiry='60' unit='minutes'/></range>",
        ),
        NetworkSection::DnsHost => (
            "<host ip='192.168.155.9'><hostname>nine</hostname></host>",
            "<host ip='192.168.155.9'><hostname>neuf</hostname></host>",
        ),
        NetworkSection::DnsTxt => (
            "<txt name='note' value='one'/>",
            "<txt name='note' value='two'/>",
        ),
        NetworkSection::DnsSrv => (
            "<srv service='ldap' protocol='tcp' domain='a.test' target='b.test' port='389'/>",
            "<srv service='ldap' protocol='tcp' domain='a.test' target='b.test' port='390'/>",
        ),
        NetworkSection::Portgroup => (
            "<portgroup name='staff'/>",
            "<portgroup name='staff'><bandwidth><inbound average='1000'/></bandwidth></portgroup>",
        ),
        NetworkSection::ForwardInterface => ("<interface dev='lo'/>", "<interface dev='lo'/>"),
    };
    let Named { name, uuid } = front();
    let network = match section {
        // What names cards of the host has nothing else.
        NetworkSection::ForwardInterface => xml(&format!(
            "<network><name>{name}</name><uuid>{uuid}</uuid><forward mode='bridge'/></network>"
        )),
        _ => nat(&front(), 155, ""),
    };
    (network, entry, changed)
}

fn update(verb: UpdateVerb, side: Side, section: NetworkSection, entry: &str) -> Step {
    Step::UpdateNetwork {
        name: front(),
        side,
        verb,
        section,
        parent: match section {
            NetworkSection::IpDhcpHost | NetworkSection::IpDhcpRange => 0,
            _ => -1,
        },
        xml: xml(entry),
    }
}

/// The entries of a section.
fn listed(network: &Element, section: NetworkSection) -> Vec<Element> {
    let mut found = vec![network];
    for name in section.path().split('/').skip(1) {
        found = found
            .iter()
            .flat_map(|it| it.children_named(name))
            .collect();
    }
    found.into_iter().cloned().collect()
}

fn entries(site: &Site) {
    for section in NetworkSection::ALL {
        let (network, entry, changed) = of_section(section);
        let act = |verb, entry: &str| update(verb, Side::Running, section, entry);
        let running = || {
            let seen = &site.observe().networks["front"];
            listed(&seen.live_xml.as_ref().unwrap().tree(), section)
        };
        site.done(define(&network));
        site.done(start());
        let before = running();
        site.refused(act(UpdateVerb::Delete, entry), ErrorKind::Failed);
        site.refused(act(UpdateVerb::Modify, entry), ErrorKind::Failed);
        site.done(act(UpdateVerb::Add, entry));
        assert_eq!(running().len(), before.len() + 1);
        assert_holds(running().last().unwrap(), &xml(entry));
        site.refused(act(UpdateVerb::Add, entry), ErrorKind::Failed);
        // libvirt 9 refuses it of the others, and libvirt 11 does not: no plan asks for it.
        if section.modifies() {
            site.done(act(UpdateVerb::Modify, changed));
            assert_holds(running().last().unwrap(), &xml(changed));
        }
        assert_eq!(running().len(), before.len() + 1);
        let entry = if section.modifies() { changed } else { entry };
        site.done(act(UpdateVerb::Delete, entry));
        assert_eq!(running(), before);
        site.refused(act(UpdateVerb::Delete, entry), ErrorKind::Failed);
        site.remove_network(&front());
    }
}

fn sides(site: &Site) {
    let section = NetworkSection::DnsTxt;
    let (network, entry, _) = of_section(section);
    let add = |side| update(UpdateVerb::Add, side, section, entry);
    site.done(define(&network));
    site.refused(add(Side::Running), ErrorKind::Failed);
    site.done(start());
    let count = || {
        let seen = &site.observe().networks["front"];
        let live = seen.live_xml.as_ref().unwrap();
        (
            listed(&live.tree(), section).len(),
            listed(&seen.xml.tree(), section).len(),
        )
    };
    site.done(add(Side::Running));
    assert_eq!(count(), (1, 0));
    site.done(add(Side::Definition));
    assert_eq!(count(), (1, 1));
    site.done(update(UpdateVerb::Delete, Side::Running, section, entry));
    assert_eq!(count(), (0, 1));
    site.remove_network(&front());
}

fn hosts(site: &Site) {
    let act = |verb, entry| update(verb, Side::Running, NetworkSection::IpDhcpHost, entry);
    site.make_network(&front(), 155);
    site.done(act(
        UpdateVerb::Add,
        "<host mac='52:54:00:00:00:0a' name='a' ip='192.168.155.10'/>",
    ));
    for clash in [
        "<host mac='52:54:00:00:00:0a' name='b' ip='192.168.155.11'/>",
        "<host mac='52:54:00:00:00:0b' name='a' ip='192.168.155.11'/>",
        "<host mac='52:54:00:00:00:0b' name='b' ip='192.168.155.10'/>",
    ] {
        site.refused(act(UpdateVerb::Add, clash), ErrorKind::Failed);
    }
    let second = "<host mac='52:54:00:00:00:0b' name='b' ip='192.168.155.11'/>";
    site.done(act(UpdateVerb::Add, second));
    // All that is given has to fit.
    site.refused(
        act(
            UpdateVerb::Delete,
            "<host mac='52:54:00:00:00:0a' ip='192.168.155.11'/>",
        ),
        ErrorKind::Failed,
    );
    site.done(act(UpdateVerb::Delete, "<host mac='52:54:00:00:00:0a'/>"));
    // There is one <ip>.
    let Step::UpdateNetwork {
        name,
        side,
        verb,
        section,
        xml,
        ..
    } = act(UpdateVerb::Delete, second)
    else {
        unreachable!("it is an update")
    };
    let parent = 1;
    let elsewhere = Step::UpdateNetwork {
        name,
        side,
        verb,
        section,
        parent,
        xml,
    };
    site.refused(elsewhere, ErrorKind::Failed);
    site.remove_network(&front());
}

fn subnets(site: &Site) {
    let back = named("back", 2);
    site.make_network(&front(), 155);
    site.done(define(&nat(&back, 155, "")));
    let start = Step::StartNetwork { name: back.clone() };
    let said = site.refused(start, ErrorKind::Failed);
    assert!(said.contains("already in use"), "{said}");
    assert!(!site.observe().networks["back"].active);
    // One that does not come up again is as it was, and runs.
    let ours = nat(&front(), 155, "");
    site.done(define(&nat(&back, 156, "")));
    site.done(Step::StartNetwork { name: back.clone() });
    let (name, xml) = (front(), nat(&front(), 156, "").into());
    site.refused(Step::RestartNetwork { name, xml }, ErrorKind::Failed);
    let seen = &site.observe().networks["front"];
    assert_holds(&seen.xml.tree(), &ours);
    assert_holds(&seen.live_xml.as_ref().unwrap().tree(), &ours);
    // Nor can both have one bridge.
    let bridge = "<bridge name='virbr78'/>";
    site.done(define(&nat(&back, 156, bridge)));
    site.refused(define(&nat(&front(), 155, bridge)), ErrorKind::Failed);
    site.remove_network(&back);
    site.remove_network(&front());
}

fn transient(site: &Site) {
    site.make_network(&front(), 155);
    site.done(undefine());
    let seen = &site.observe().networks["front"];
    assert!(seen.active && !seen.persistent);
    site.refused(undefine(), ErrorKind::Failed);
    let name = front();
    site.refused(Step::AutostartNetwork { name, on: true }, ErrorKind::Failed);
    // Defined again, it is as before.
    site.done(define(&nat(&front(), 155, "")));
    assert!(site.observe().networks["front"].persistent);
    site.done(undefine());
    site.done(Step::StopNetwork { name: front() });
    assert!(!site.observe().networks.contains_key("front"));
}
