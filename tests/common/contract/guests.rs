//! Guests, between their definition and their end.

use miniascape::libvirt::observed::{ObservedGuest, Power};
use miniascape::libvirt::{ErrorKind, Outcome};
use miniascape::step::{Content, MetadataPart, Named, NetworkSection, Side, Step, UpdateVerb};
use uuid::Uuid;

use super::{Can, Script, Site, assert_holds, create_volume, define, named, nat, xml};

pub const SCRIPTS: &[Script] = &[
    Script::new("a guest lives and goes", &[], lives),
    Script::new("a guest runs on as it started", &[], runs_on),
    Script::new("a guest is renamed while it is off", &[], renamed),
    Script::new(
        "a guest starts with its network and files",
        &[Can::Run, Can::Files],
        needs,
    ),
    Script::new(
        "a saved guest goes on as it was or boots",
        &[Can::Save],
        saved,
    ),
    Script::new("what is filled in stays", &[], filled_in),
    Script::new(
        "devices are filled in and stay",
        &[Can::Run],
        devices_filled_in,
    ),
    Script::new(
        "what was there for an install goes with it",
        &[Can::Run, Can::Files],
        settled,
    ),
    Script::new("a name and a UUID belong together", &[], belong_together),
    Script::new(
        "what has the name and is another is left alone",
        &[],
        strangers,
    ),
    Script::new("what is not there is gone or not found", &[], not_there),
];

fn web() -> Named {
    named("web", 21)
}

fn start() -> Step {
    Step::StartGuest { name: web() }
}

fn undefine() -> Step {
    Step::UndefineGuest { name: web() }
}

fn lives(site: &Site) {
    site.done(site.define_guest(&web(), ""));
    let seen = site.guest(&web());
    assert_eq!(
        (seen.power, seen.uuid, seen.live_xml),
        (Power::Off, web().uuid, None)
    );
    assert!(seen.persistent && !seen.autostart && !seen.saved && !seen.snapshots);
    assert!(seen.jobs.is_empty() && seen.install.is_none());
    site.twice(start());
    for on in [true, false] {
        let name = web();
        site.twice(Step::AutostartGuest { name, on });
        let seen = site.guest(&web());
        assert_eq!((seen.power, seen.autostart), (Power::Running, on));
        assert!(seen.live_xml.is_some() && seen.persistent);
    }
    let Step::DefineGuest { xml } = site.define_guest(&web(), "") else {
        unreachable!("it defines a guest")
    };
    for step in [undefine(), Step::DeleteVariables { guest: web(), xml }] {
        let said = site.refused(step, ErrorKind::Failed);
        assert!(said.contains("running"), "{said}");
    }
    let off = |timeout| Step::ShutdownGuest {
        name: web(),
        timeout,
    };
    // Where no time is given force is meant, and worth no word.
    site.twice(off(0));
    assert_eq!(site.guest(&web()).power, Power::Off);
    assert_eq!(site.done(off(5)), Outcome::default());
    site.twice(undefine());
    assert_eq!(site.done(off(5)), Outcome::default());
}

fn runs_on(site: &Site) {
    let of = |text: &str| {
        let more = format!(
            "<description>{text}</description><vcpu>{}</vcpu>",
            text.len()
        );
        site.define_guest(&web(), &more)
    };
    let says = |live, defined| {
        let (running, definition) = site.both(&web());
        for (xml, text) in [(running, live), (definition, defined)] {
            assert_eq!(xml.text_at("description"), Some(text));
            assert_eq!(xml.text_at("vcpu"), Some(text.len().to_string().as_str()));
        }
    };
    site.done(of("a"));
    site.done(start());
    says("a", "a");
    site.done(of("bb"));
    says("a", "bb");
    site.switch_off(&web());
    site.done(start());
    says("bb", "bb");
    site.remove_guest(&web());
}

fn renamed(site: &Site) {
    let rename = |from: &Named, to: &str| Step::RenameGuest {
        from: from.clone(),
        to: to.to_owned(),
    };
    let (other, now) = (named("other", 22), Named::new("www", web().uuid));
    site.done(site.define_guest(&web(), ""));
    site.done(site.define_guest(&other, ""));
    site.done(start());
    site.refused(rename(&web(), "www"), ErrorKind::Failed);
    site.switch_off(&web());
    site.refused(rename(&web(), "other"), ErrorKind::Failed);
    site.done(rename(&web(), "www"));
    let seen = site.guest(&now);
    assert_eq!((seen.uuid, seen.persistent), (web().uuid, true));
    assert_eq!(seen.xml.tree().text_at("name"), Some("www"));
    // What was meant by the old name is not taken for gone.
    for step in [start(), undefine()] {
        let said = site.refused(step, ErrorKind::Exists);
        assert!(said.contains("is called www now"), "{said}");
    }
    site.remove_guest(&now);
    site.remove_guest(&other);
}

/// A NIC on a network, with a name of ours.
pub fn nic(name: &str, network: &Named) -> String {
    let end = name.len();
    format!(
        "<interface type='network'><mac address='52:54:00:00:00:{end:02x}'/><source network='{network}'/>\
         <model type='virtio'/><alias name='ua-{name}'/></interface>"
    )
}

/// A disk with a name of ours.
pub fn disk(name: &str, path: &str, (dev, bus): (&str, &str)) -> String {
    format!(
        "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{path}'/>\
         <target dev='{dev}' bus='{bus}'/><alias name='ua-{name}'/></disk>"
    )
}

fn needs(site: &Site) {
    let (net, pool) = (named("front", 1), named("shop", 11));
    let file = format!("{}/root", site.path(&pool));
    let devices = nic("eth0", &net) + &disk("root", &file, ("vda", "virtio"));
    site.done(site.define_guest(&web(), &format!("<devices>{devices}</devices>")));
    site.refused(start(), ErrorKind::NotFound);
    site.done(define(&nat(&net, 155, "")));
    site.refused(start(), ErrorKind::Failed);
    site.done(Step::StartNetwork { name: net.clone() });
    site.make_pool(&pool);
    site.refused(start(), ErrorKind::Failed);
    assert_eq!(site.guest(&web()).power, Power::Off);
    site.done(create_volume(&pool, "root", "qcow2", ""));
    site.done(start());
    let (live, definition) = site.both(&web());
    let devices = xml(&format!("<devices>{devices}</devices>"));
    for xml in [&live, &definition] {
        assert_holds(xml.child("devices").unwrap(), &devices);
    }
    // A file that a guest runs on grows through the guest.
    let grow = |guest, capacity| Step::GrowVolume {
        pool: pool.clone(),
        name: "root".to_owned(),
        seen: None,
        capacity,
        guest,
    };
    let disk = |dev: &str| Some((web(), dev.to_owned()));
    site.refused(grow(None, 2_097_152), ErrorKind::Failed);
    site.refused(grow(disk("vdz"), 2_097_152), ErrorKind::Failed);
    site.done(grow(disk("vda"), 2_097_152));
    let seen = site.look(&super::volumes(&pool, &["root"]));
    let volume = seen.volumes.values().next().unwrap().xml.tree();
    assert_eq!(volume.text_at("capacity"), Some("2097152"));
    site.switch_off(&web());
    site.refused(grow(disk("vda"), 4_194_304), ErrorKind::Failed);
    // A disk can be named by its pool, too, which has to be active.
    let by_pool = "<disk type='volume' device='disk'><driver name='qemu' type='qcow2'/>\
        <source pool='shop' volume='root'/><target dev='vda' bus='virtio'/></disk>";
    site.done(site.define_guest(&web(), &format!("<devices>{by_pool}</devices>")));
    site.done(Step::StopPool { name: pool.clone() });
    site.refused(start(), ErrorKind::Failed);
    site.done(Step::StartPool { name: pool.clone() });
    site.done(start());
    site.remove_guest(&web());
    site.remove_pool(&pool, &["root"]);
    site.remove_network(&net);
}

fn saved(site: &Site) {
    let of = |text: &str| site.define_guest(&web(), &format!("<description>{text}</description>"));
    let says = |text| {
        let (live, _) = site.both(&web());
        assert_eq!(live.text_at("description"), Some(text));
    };
    let discard = || Step::DiscardSave { name: web() };
    site.done(of("old"));
    site.twice(discard());
    site.done(start());
    (site.save)("web");
    let seen = site.guest(&web());
    assert_eq!((seen.power, seen.saved), (Power::Off, true));
    let to = "www".to_owned();
    site.refused(Step::RenameGuest { from: web(), to }, ErrorKind::Failed);
    // It goes on as it was, whatever its definition is now.
    site.done(of("new"));
    site.done(start());
    assert!(!site.guest(&web()).saved);
    says("old");
    (site.save)("web");
    site.twice(discard());
    assert!(!site.guest(&web()).saved);
    site.done(start());
    says("new");
    (site.save)("web");
    site.twice(undefine());
}

/// Defines a guest as it is defined, which changes nothing, but for the order of its controllers: libvirt 9.0 puts those that it adds
/// at the end, and sorts what it is given.
fn defined_again(site: &Site) {
    let seen = site.guest(&web()).xml;
    site.done(Step::DefineGuest { xml: seen.clone() });
    let again = site.guest(&web()).xml;
    assert_holds(&again.tree(), &seen.tree());
    assert_holds(&seen.tree(), &again.tree());
}

fn filled_in(site: &Site) {
    site.done(site.define_guest(&web(), ""));
    let seen = site.guest(&web()).xml.tree();
    let machine = "<domain><name>web</name><memory unit='KiB'>65536</memory>\
        <currentMemory unit='KiB'>65536</currentMemory><vcpu placement='static'>1</vcpu>\
        <clock offset='utc'/><on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot>\
        <on_crash>destroy</on_crash></domain>";
    assert_holds(&seen, &xml(machine));
    defined_again(site);
    site.done(start());
    defined_again(site);
    site.remove_guest(&web());
    let net = nat(&named("front", 1), 155, "");
    site.done(define(&net));
    let seen = site.observe().networks.remove("front").unwrap().xml;
    let addresses =
        "<network><forward mode='nat'/><ip address='192.168.155.1' prefix='24'/></network>";
    assert_holds(&seen.tree(), &xml(addresses));
    site.done(Step::DefineNetwork { xml: seen.clone() });
    assert_eq!(site.observe().networks["front"].xml, seen);
    site.remove_network(&named("front", 1));
    let pool = named("shop", 11);
    site.done(site.define_pool(&pool));
    let seen = site.observe().pools.remove("shop").unwrap().xml;
    site.done(Step::DefinePool { xml: seen.clone() });
    assert_eq!(site.observe().pools["shop"].xml, seen);
    site.done(Step::UndefinePool { name: pool });
}

fn devices_filled_in(site: &Site) {
    let net = named("front", 1);
    site.done(define(&nat(&net, 155, "")));
    let seen = site.observe().networks.remove("front").unwrap().xml.tree();
    assert!(
        seen.attribute_at("bridge", "name")
            .is_some_and(|name| name.starts_with("virbr"))
    );
    assert!(
        seen.attribute_at("mac", "address")
            .is_some_and(|mac| mac.starts_with("52:54:00:"))
    );
    assert_holds(
        &seen,
        &xml("<network><bridge stp='on' delay='0'/></network>"),
    );
    site.done(Step::StartNetwork { name: net.clone() });
    let devices = nic("eth0", &net)
        + "<serial type='pty'/><channel type='unix'><target type='virtio' name='a.0'/></channel>";
    site.done(site.define_guest(&web(), &format!("<devices>{devices}</devices>")));
    let seen = site.guest(&web()).xml.tree();
    assert!(
        seen.attribute_at("os/type", "machine")
            .is_some_and(|name| name.starts_with("pc-q35-"))
    );
    let wanted = "<domain><os><boot dev='hd'/></os><devices><emulator>/usr/bin/qemu-system-x86_64</emulator>\
        <serial type='pty'><target type='isa-serial' port='0'><model name='isa-serial'/></target></serial>\
        <console type='pty'><target type='serial' port='0'/></console>\
        <channel type='unix'><address type='virtio-serial' controller='0' bus='0' port='1'/></channel>\
        <controller type='usb' index='0' model='qemu-xhci'/><controller type='pci' index='0' model='pcie-root'/>\
        <controller type='pci' model='pcie-root-port'/><controller type='virtio-serial' index='0'/>\
        <input type='mouse' bus='ps2'/><input type='keyboard' bus='ps2'/><audio id='1' type='none'/>\
        <memballoon model='virtio'/><interface><address type='pci' slot='0x00' function='0x0'/></interface>\
        </devices></domain>";
    assert_holds(&seen, &xml(wanted));
    defined_again(site);
    site.done(start());
    let (live, definition) = site.both(&web());
    assert_holds(&live, &xml(wanted));
    // What is there only while it runs.
    for (path, attribute) in [
        ("devices/interface/target", "dev"),
        ("devices/interface/source", "bridge"),
        ("devices/interface/source", "portid"),
        ("devices/serial/source", "path"),
        ("devices/controller/alias", "name"),
    ] {
        assert!(
            live.attribute_at(path, attribute).is_some(),
            "{path}@{attribute}"
        );
        assert!(
            definition.attribute_at(path, attribute).is_none(),
            "{path}@{attribute}"
        );
    }
    assert!(live.attribute("id").is_some() && definition.attribute("id").is_none());
    defined_again(site);
    // What a network runs with has more than its definition.
    let network = &site.observe().networks["front"];
    let ports = "<network><forward><nat><port start='1024' end='65535'/></nat></forward></network>";
    assert!(network.xml.tree().find("forward/nat").is_none());
    assert_holds(&network.live_xml.as_ref().unwrap().tree(), &xml(ports));
    site.remove_guest(&web());
    site.remove_network(&net);
}

/// Definitions of a network, pool and guest.
fn three(site: &Site, end: u32, names: [&str; 3]) -> [Step; 3] {
    let [net, pool, guest] = names.map(|name| named(name, end));
    let third = u8::try_from(150 + end % 50).unwrap();
    [
        define(&nat(&net, third, "")),
        site.define_pool(&pool),
        site.define_guest(&guest, ""),
    ]
}

/// Removes what was defined so, with any that was defined.
fn remove_three(site: &Site, end: u32, names: [&str; 3]) {
    let [net, pool, guest] = names.map(|name| named(name, end));
    site.done(Step::UndefineNetwork { name: net });
    site.done(Step::UndefinePool { name: pool });
    site.done(Step::UndefineGuest { name: guest });
}

fn settled(site: &Site) {
    let shop = named("shop", 11);
    site.make_pool(&shop);
    for name in ["root", "answers"] {
        site.done(create_volume(&shop, name, "qcow2", ""));
    }
    let at = |name: &str| format!("{}/{name}", site.path(&shop));
    let root = disk("root", &at("root"), ("vda", "virtio"));
    let answers = disk("answers", &at("answers"), ("vdb", "virtio"));
    let devices = |more: &str| format!("<devices>{root}{more}</devices>");
    let of = |more: &str| match site.define_guest(&web(), more) {
        Step::DefineGuest { xml } => xml,
        _ => unreachable!("it defines a guest"),
    };
    let install = of(&format!(
        "<on_reboot>destroy</on_reboot>{}",
        devices(&answers)
    ));
    let wanted = of(&devices(""));
    let xml = install.clone();
    site.done(Step::DefineGuest { xml });
    let place = |guest: &ObservedGuest| {
        let tree = guest.xml.tree();
        let mut disks = tree.child("devices").unwrap().children_named("disk");
        disks.next().unwrap().child("address").cloned()
    };
    let before = place(&site.guest(&web()));
    // What others put beside it while it was installed is theirs.
    let beside = "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>";
    let with = format!(
        "<on_reboot>destroy</on_reboot>{}",
        devices(&format!("{answers}{beside}"))
    );
    let xml = of(&with);
    site.done(Step::DefineGuest { xml });
    site.twice(Step::SettleGuest { install, wanted });
    let seen = site.guest(&web());
    assert_eq!(place(&seen), before);
    let tree = seen.xml.tree();
    assert_eq!(super::devices(&tree), ["ua-root".to_owned()].into());
    assert_ne!(tree.text_at("on_reboot"), Some("destroy"));
    assert!(tree.child("devices").unwrap().child("rng").is_some());
    site.remove_guest(&web());
    site.remove_pool(&shop, &["root", "answers"]);
}

fn belong_together(site: &Site) {
    let names = ["net", "pool", "guest"];
    for step in three(site, 31, names) {
        site.done(step);
    }
    for step in three(site, 32, names) {
        let said = site.refused(step, ErrorKind::Exists);
        assert!(said.contains(&named("", 31).uuid.to_string()), "{said}");
    }
    for step in three(site, 31, ["net2", "pool2", "guest2"]) {
        site.refused(step, ErrorKind::Exists);
    }
    // Without a UUID, the name alone is another object's, too.
    let nameless = [
        ("network", "net", ""),
        (
            "pool type='dir'",
            "pool",
            "<target><path>/contract/none</path></target>",
        ),
    ];
    for (root, name, more) in nameless {
        let end = root.split(' ').next().unwrap();
        let xml = xml(&format!("<{root}><name>{name}</name>{more}</{end}>")).into();
        let step = match end {
            "network" => Step::DefineNetwork { xml },
            _ => Step::DefinePool { xml },
        };
        site.refused(step, ErrorKind::Exists);
    }
    let there = site.observe();
    assert_eq!(there.networks["net"].uuid, named("", 31).uuid);
    assert!(!there.networks.contains_key("net2"));
    remove_three(site, 31, names);
}

/// Every step that names an object and nothing else that has to be there: those that need it, and those that are done without.
fn of_each(net: &Named, pool: &Named, guest: &Named) -> [Vec<Step>; 2] {
    let (net, pool, guest) = (|| net.clone(), || pool.clone(), || guest.clone());
    let device = || xml(&nic("eth0", &net()));
    let needs = vec![
        Step::StartNetwork { name: net() },
        Step::AutostartNetwork {
            name: net(),
            on: true,
        },
        Step::RestartNetwork {
            name: net(),
            xml: nat(&net(), 155, "").into(),
        },
        Step::StartPool { name: pool() },
        Step::AutostartPool {
            name: pool(),
            on: true,
        },
        create_volume(&pool(), "a", "raw", ""),
        Step::StartGuest { name: guest() },
        Step::AutostartGuest {
            name: guest(),
            on: true,
        },
        Step::RenameGuest {
            from: guest(),
            to: "else".to_owned(),
        },
        Step::DiscardSave { name: guest() },
        Step::SetMemory {
            guest: guest(),
            kib: 1024,
        },
        Step::SetVcpus {
            guest: guest(),
            count: 1,
        },
        Step::UpdateNetwork {
            name: net(),
            side: Side::Running,
            verb: UpdateVerb::Add,
            section: NetworkSection::DnsTxt,
            parent: -1,
            xml: xml("<txt name='a' value='b'/>"),
        },
        Step::CheckRoom {
            pool: pool(),
            content: None,
            size: 1,
            frees: 0,
        },
        Step::TryVolume {
            pool: pool(),
            xml: xml("<volume><name>a</name><capacity>1</capacity></volume>").into(),
        },
        Step::UploadVolume {
            pool: pool(),
            name: "a".to_owned(),
            seen: None,
            content: Content::Bytes(vec![0].into()),
        },
        Step::GrowVolume {
            pool: pool(),
            name: "a".to_owned(),
            seen: None,
            capacity: 1,
            guest: None,
        },
        Step::UpdateDevice {
            guest: guest(),
            xml: device(),
        },
        Step::AttachDevice {
            guest: guest(),
            xml: device(),
        },
        Step::DetachDevice {
            guest: guest(),
            xml: device(),
            timeout: 1,
        },
        Step::SetMetadata {
            guest: guest(),
            part: MetadataPart::Title,
            value: None,
        },
        Step::DeleteVariables {
            guest: guest(),
            xml: xml("<domain/>").into(),
        },
    ];
    let removes = vec![
        Step::StopNetwork { name: net() },
        Step::UndefineNetwork { name: net() },
        Step::StopPool { name: pool() },
        super::delete_volume(&pool(), "a"),
        Step::DeletePoolDirectory { name: pool() },
        Step::UndefinePool { name: pool() },
        Step::ShutdownGuest {
            name: guest(),
            timeout: 0,
        },
        Step::UndefineGuest { name: guest() },
    ];
    [needs, removes]
}

fn strangers(site: &Site) {
    let names = ["net", "pool", "guest"];
    for step in three(site, 31, names) {
        site.done(step);
    }
    let other = |name| Named::new(name, Uuid::from_u128(7));
    let [needs, removes] = of_each(&other("net"), &other("pool"), &other("guest"));
    for step in needs.into_iter().chain(removes) {
        let said = site.refused(step, ErrorKind::Exists);
        assert!(said.contains(&named("", 31).uuid.to_string()), "{said}");
    }
    remove_three(site, 31, names);
}

fn not_there(site: &Site) {
    let [net, pool, guest] = ["net", "pool", "guest"].map(|name| named(name, 33));
    let [needs, removes] = of_each(&net, &pool, &guest);
    for step in needs {
        let said = site.refused(step, ErrorKind::NotFound);
        assert!(said.starts_with("there is no "), "{said}");
    }
    for step in removes {
        assert_eq!(site.done(step), Outcome::default());
    }
    let network = net.name;
    site.done(Step::PlugIn {
        network,
        nics: Vec::new(),
    });
    // Nor is it where the definition is none.
    for step in [
        Step::DefineNetwork {
            xml: xml("<pool/>").into(),
        },
        Step::DefinePool {
            xml: xml("<network/>").into(),
        },
        Step::DefineGuest {
            xml: xml("<pool/>").into(),
        },
    ] {
        site.refused(step, ErrorKind::Failed);
    }
}
