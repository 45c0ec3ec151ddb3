//! Guests that are changed while they run. Their definition stays as it is, and a guest that is off needs nothing.

use miniascape::libvirt::{ErrorKind, Outcome};
use miniascape::step::{MetadataPart, Named, Step};
use miniascape::xml::tree::Element;

use super::guests::{disk, nic};
use super::{Can, Script, Site, create_volume, devices, named, xml};

pub const SCRIPTS: &[Script] = &[
    Script::new(
        "memory and processors stay within their maximum",
        &[],
        sizes,
    ),
    Script::new("labels are put on and taken off", &[], labels),
    Script::new("disks come and go", &[Can::Change, Can::Files], disks),
    Script::new(
        "a NIC comes where there is room",
        &[Can::Change, Can::Run],
        nics,
    ),
    Script::new(
        "a device is changed in what can be",
        &[Can::Change, Can::Run, Can::Files],
        changed,
    ),
    Script::new(
        "a device comes where its definition has it",
        &[Can::Change, Can::Run],
        place,
    ),
    Script::new(
        "a NIC is plugged in where its network is",
        &[Can::Run],
        plugged,
    ),
    Script::new(
        "a device waits for its guest to let go",
        &[Can::Change, Can::Run],
        deaf,
    ),
];

fn web() -> Named {
    named("web", 21)
}

fn net() -> Named {
    named("front", 1)
}

fn pool() -> Named {
    named("shop", 11)
}

fn attach(device: &str) -> Step {
    let xml = xml(device);
    Step::AttachDevice { guest: web(), xml }
}

fn detach(device: &str) -> Step {
    Step::DetachDevice {
        guest: web(),
        xml: xml(device),
        timeout: 1,
    }
}

/// The names of devices that a guest runs with, and of those in its definition.
fn both(site: &Site) -> (Vec<String>, Vec<String>) {
    let (live, definition) = site.both(&web());
    let names = |guest| devices(guest).into_iter().collect();
    (names(&live), names(&definition))
}

/// How many processors a guest has.
fn vcpus(guest: &Element) -> Option<&str> {
    guest
        .attribute_at("vcpu", "current")
        .or(guest.text_at("vcpu"))
}

fn sizes(site: &Site) {
    let guest = web;
    let memory = |kib| Step::SetMemory {
        guest: guest(),
        kib,
    };
    let vcpus_are = |count| Step::SetVcpus {
        guest: guest(),
        count,
    };
    site.done(site.define_guest(&web(), "<vcpu current='1'>2</vcpu>"));
    let before = site.guest(&web()).xml;
    // It is off, so what its definition says is all there is.
    for step in [memory(1_048_576), vcpus_are(9)] {
        assert_eq!(site.done(step), Outcome::default());
    }
    site.start(&web());
    site.refused(memory(131_072), ErrorKind::Failed);
    site.done(memory(65_536));
    site.refused(vcpus_are(3), ErrorKind::Failed);
    let (live, _) = site.both(&web());
    assert_eq!(live.text_at("currentMemory"), Some("65536"));
    assert_eq!(vcpus(&live), Some("1"));
    site.twice(vcpus_are(2));
    let (live, _) = site.both(&web());
    assert_eq!((vcpus(&live), live.text_at("vcpu")), (Some("2"), Some("2")));
    assert_eq!(site.guest(&web()).xml, before);
    site.remove_guest(&web());
}

fn labels(site: &Site) {
    let set = |part: &MetadataPart, value: Option<&str>| Step::SetMetadata {
        guest: web(),
        part: part.clone(),
        value: value.map(str::to_owned),
    };
    let element = MetadataPart::Element {
        key: "note".to_owned(),
        uri: "https://a.test/note".to_owned(),
    };
    site.done(site.define_guest(&web(), "<title>old</title>"));
    let before = site.guest(&web()).xml;
    site.done(set(&MetadataPart::Title, Some("new")));
    assert_eq!(site.guest(&web()).xml, before);
    site.start(&web());
    for (part, text, path) in [
        (&MetadataPart::Title, "new", "title"),
        (&MetadataPart::Description, "web server", "description"),
        (
            &element,
            "<text kind='a'>hello</text>",
            "metadata/note:text",
        ),
    ] {
        site.twice(set(part, Some(text)));
        let (live, _) = site.both(&web());
        let found = live
            .find(path)
            .unwrap_or_else(|| panic!("no {path}: {live}"));
        match part {
            MetadataPart::Element { uri, .. } => {
                assert_eq!(found.attribute("xmlns:note"), Some(uri.as_str()));
                assert_eq!(
                    (found.attribute("kind"), found.text.as_str()),
                    (Some("a"), "hello")
                );
            }
            _ => assert_eq!(found.text, text),
        }
        site.twice(set(part, None));
        let (live, _) = site.both(&web());
        assert!(live.find(path).is_none(), "{live}");
    }
    assert_eq!(site.guest(&web()).xml, before);
    site.remove_guest(&web());
}

fn disks(site: &Site) {
    site.make_pool(&pool());
    site.done(create_volume(&pool(), "data", "qcow2", ""));
    let path = |name| format!("{}/{name}", site.path(&pool()));
    let data = disk("data", &path("data"), ("sda", "usb"));
    site.done(site.define_guest(&web(), ""));
    for step in [attach(&data), detach(&data)] {
        assert_eq!(site.done(step), Outcome::default());
    }
    site.start(&web());
    let none = disk("none", &path("none"), ("sdb", "usb"));
    site.refused(attach(&none), ErrorKind::Failed);
    assert_eq!(both(site), (vec![], vec![]));
    site.twice(attach(&data));
    assert_eq!(both(site), (vec!["ua-data".to_owned()], vec![]));
    let (live, _) = site.both(&web());
    assert_eq!(
        live.attribute_at("devices/disk/source", "file"),
        Some(&*path("data"))
    );
    // Another disk of that name is another disk, and the name is taken.
    site.done(create_volume(&pool(), "more", "qcow2", ""));
    let more = |dev| disk("more", &path("more"), (dev, "usb"));
    let said = site.refused(attach(&more("sda")), ErrorKind::Failed);
    assert!(said.contains("'sda'"), "{said}");
    site.done(attach(&more("sdb")));
    site.done(detach(&more("sdb")));
    // A USB port asks no guest.
    (site.deafen)("web");
    site.twice(detach(&data));
    assert_eq!(both(site), (vec![], vec![]));
    site.remove_guest(&web());
    site.remove_pool(&pool(), &["data", "more"]);
}

fn nics(site: &Site) {
    site.done(site.define_guest(&web(), ""));
    site.start(&web());
    let [eth0, other] = ["eth0", "other"].map(|name| nic(name, &net()));
    site.refused(attach(&eth0), ErrorKind::NotFound);
    site.done(super::define(&super::nat(&net(), 155, "")));
    site.refused(attach(&eth0), ErrorKind::Failed);
    site.done(Step::StartNetwork { name: net() });
    site.twice(attach(&eth0));
    assert_eq!(both(site), (vec!["ua-eth0".to_owned()], vec![]));
    let (live, _) = site.both(&web());
    for (path, attribute) in [("target", "dev"), ("source", "bridge"), ("address", "bus")] {
        let path = format!("devices/interface/{path}");
        assert!(live.attribute_at(&path, attribute).is_some(), "{path}");
    }
    // A PCIe machine that runs has the ports it has.
    let said = site.refused(attach(&other), ErrorKind::Failed);
    assert!(said.contains("No more available PCI slots"), "{said}");
    site.remove_guest(&web());
    site.remove_network(&net());
}

fn changed(site: &Site) {
    let update = |device: &str| {
        let xml = xml(device);
        Step::UpdateDevice { guest: web(), xml }
    };
    site.make_network(&net(), 155);
    site.make_pool(&pool());
    for name in ["one", "two"] {
        site.done(create_volume(&pool(), name, "raw", ""));
    }
    let cd = |name: &str| {
        let path = format!("{}/{name}", site.path(&pool()));
        format!(
            "<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='{path}'/>\
             <target dev='sda' bus='sata'/><readonly/><alias name='ua-cd'/></disk>"
        )
    };
    let eth0 = nic("eth0", &net());
    let with = |more: &str| eth0.replace("</interface>", &format!("{more}</interface>"));
    site.done(site.define_guest(&web(), &format!("<devices>{eth0}{}</devices>", cd("one"))));
    let before = site.guest(&web()).xml;
    assert_eq!(
        site.done(update(&with("<link state='down'/>"))),
        Outcome::default()
    );
    site.start(&web());
    let seen = |path: &str, attribute: &str| {
        let (live, _) = site.both(&web());
        live.attribute_at(path, attribute).map(str::to_owned)
    };
    for state in ["down", "up"] {
        site.twice(update(&with(&format!("<link state='{state}'/>"))));
        assert_eq!(
            seen("devices/interface/link", "state").as_deref(),
            Some(state)
        );
        assert!(seen("devices/interface/target", "dev").is_some());
    }
    site.refused(update(&eth0.replace("virtio", "e1000")), ErrorKind::Failed);
    site.refused(update(&nic("other", &net())), ErrorKind::Failed);
    site.twice(update(&cd("two")));
    assert!(
        seen("devices/disk/source", "file")
            .unwrap()
            .ends_with("/two")
    );
    site.refused(update(&cd("three")), ErrorKind::Failed);
    assert!(
        seen("devices/disk/source", "file")
            .unwrap()
            .ends_with("/two")
    );
    assert_eq!(site.guest(&web()).xml, before);
    site.remove_guest(&web());
    site.remove_pool(&pool(), &["one", "two"]);
    site.remove_network(&net());
}

fn deaf(site: &Site) {
    site.make_network(&net(), 155);
    let eth0 = nic("eth0", &net());
    let more = format!("<vcpu current='1'>2</vcpu><devices>{eth0}</devices>");
    site.done(site.define_guest(&web(), &more));
    site.start(&web());
    (site.deafen)("web");
    let said = site.refused(detach(&eth0), ErrorKind::Failed);
    assert!(said.contains("did not let go"), "{said}");
    assert_eq!(both(site).0, ["ua-eth0"]);
    let vcpus_are = |count| Step::SetVcpus {
        guest: web(),
        count,
    };
    site.done(vcpus_are(2));
    site.refused(vcpus_are(1), ErrorKind::Failed);
    site.remove_guest(&web());
    site.remove_network(&net());
}

fn place(site: &Site) {
    site.make_network(&net(), 155);
    let ports: String = (1..=6)
        .map(|index| format!("<controller type='pci' index='{index}' model='pcie-root-port'/>"))
        .collect();
    let root = "<controller type='pci' index='0' model='pcie-root'/>";
    site.done(site.define_guest(&web(), &format!("<devices>{root}{ports}</devices>")));
    site.start(&web());
    let eth0 = xml(&nic("eth0", &net()));
    let address =
        xml("<address type='pci' domain='0x0000' bus='0x06' slot='0x00' function='0x0'/>");
    let mut definition = (*site.guest(&web()).xml.tree()).clone();
    let devices = &mut definition.child_mut("devices").unwrap().children;
    devices.push(eth0.clone().with_child(address.clone()));
    site.done(Step::DefineGuest {
        xml: definition.into(),
    });
    site.done(Step::AttachDevice {
        guest: web(),
        xml: eth0,
    });
    let (live, definition) = site.both(&web());
    for guest in [&live, &definition] {
        assert_eq!(guest.find("devices/interface/address"), Some(&address));
    }
    site.remove_guest(&web());
    site.remove_network(&net());
}

fn plugged(site: &Site) {
    let eth0 = nic("eth0", &net());
    site.make_network(&net(), 155);
    site.done(site.define_guest(&web(), &format!("<devices>{eth0}</devices>")));
    site.start(&web());
    let tap = || {
        let (live, _) = site.both(&web());
        let tap = live.attribute_at("devices/interface/target", "dev");
        tap.unwrap().to_owned()
    };
    let is_loose = || site.observe().loose_taps.contains(&tap());
    assert!(!is_loose());
    let (name, xml) = (net(), super::nat(&net(), 156, "").into());
    assert_eq!(
        site.done(Step::RestartNetwork { name, xml }),
        Outcome::default()
    );
    assert!(!is_loose());
    assert_eq!(Vec::from_iter(site.observe().networks.keys()), ["front"]);
    site.done(Step::StopNetwork { name: net() });
    assert!(is_loose());
    site.twice(Step::StartNetwork { name: net() });
    assert!(!is_loose());
    // What hangs where it is to hang stays there.
    let nics = vec![("web".to_owned(), "52:54:00:00:00:04".to_owned())];
    let network = net().name;
    site.twice(Step::PlugIn { network, nics });
    assert!(!is_loose());
    site.remove_guest(&web());
    site.remove_network(&net());
}
