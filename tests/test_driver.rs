//! The real binding, on libvirt's in-process test driver: no daemon, no root.
#![allow(
    clippy::unwrap_used,
    reason = "clippy lets only functions marked as tests unwrap, not what they call"
)]

use miniascape::libvirt::connection::Connection;
use miniascape::libvirt::fake::spelling::written;
use miniascape::libvirt::observed::Power;
use miniascape::libvirt::{
    ErrorKind, HypervisorError, Observe, Outcome, Perform, Scope, Unwatched,
};
use miniascape::step::{Named, Step};
use miniascape::xml::tree::Element;
use uuid::Uuid;

/// Of each object that a test makes.
const UUID: Uuid = uuid::uuid!("6d696e69-6173-5361-8070-650000000001");

fn connect() -> Connection {
    Connection::open(Some("test:///default")).unwrap()
}

fn xml(text: &str) -> Element {
    Element::parse(text).unwrap()
}

fn perform(connection: &Connection, step: Step) -> Result<Outcome, HypervisorError> {
    connection.perform(&step, &Unwatched)
}

fn done(connection: &Connection, step: Step) -> Outcome {
    perform(connection, step).unwrap()
}

fn scope(volumes: &[(&str, &str)]) -> Scope {
    let own = |(pool, name): &(&str, &str)| (pool.to_string(), name.to_string());
    Scope {
        volumes: volumes.iter().map(own).collect(),
        ..Scope::default()
    }
}

#[test]
fn facts_are_those_of_the_test_driver() {
    let facts = connect().observe(&Scope::default()).unwrap().facts;
    assert_eq!(facts.driver, "TEST");
    assert_eq!(facts.uri, "test:///default");
    assert!(facts.local && !facts.unprivileged);
}

#[test]
fn observing_twice_gives_the_same() {
    let connection = connect();
    // Only what the driver brings: the tests of a process share its hypervisor.
    let [one, two] = [0, 1].map(|_| {
        let seen = connection.observe(&Scope::default()).unwrap();
        let network = &seen.networks["default"];
        let pool = &seen.pools["default-pool"];
        let guest = &seen.guests["test"];
        format!("{:?} {network:?} {pool:?} {guest:?}", seen.facts)
    });
    assert_eq!(one, two);
}

#[test]
fn a_network_lives_and_goes() {
    let connection = connect();
    let name = || Named::new("front", UUID);
    let front = "<network><name>front</name><uuid>6d696e69-6173-5361-8070-650000000001</uuid>\
        <bridge name='virbr77'/><ip address='192.168.155.1' netmask='255.255.255.0'/></network>";
    done(
        &connection,
        Step::DefineNetwork {
            xml: xml(front).into(),
        },
    );
    for _ in 0..2 {
        done(&connection, Step::StartNetwork { name: name() });
    }
    done(
        &connection,
        Step::AutostartNetwork {
            name: name(),
            on: true,
        },
    );
    let seen = connection.observe(&Scope::default()).unwrap();
    let network = &seen.networks["front"];
    assert!(network.active && network.autostart && network.persistent);
    assert_eq!(
        network.xml.tree().attribute_at("ip", "address"),
        Some("192.168.155.1")
    );
    for _ in 0..2 {
        done(&connection, Step::StopNetwork { name: name() });
    }
    for _ in 0..2 {
        done(&connection, Step::UndefineNetwork { name: name() });
    }
    assert!(
        !connection
            .observe(&Scope::default())
            .unwrap()
            .networks
            .contains_key("front")
    );
}

/// Whether all that one element says stands in another one.
fn says(all: &Element, some: &Element) -> bool {
    let says_child = |some: &Element| all.children.iter().any(|all| says(all, some));
    (&some.name, &some.text) == (&all.name, &all.text)
        && some.attributes.iter().all(|it| all.attributes.contains(it))
        && some.children.iter().all(says_child)
}

/// What laws and plans are tested with is as libvirt does it.
#[test]
fn the_fake_writes_definitions_down_as_libvirt_does() {
    let connection = connect();
    let network = xml("<network connections='3'><name>odd</name><uuid>6d696e69-6173-5361-8070-650000000009</uuid>
        <forward mode='nat'/><bridge name='virbr79'/><mac address='52:54:00:AA:BB:0C'/><dns>
        <txt name='a' value='FD00:0::1'/>
        <srv service='a' protocol='tcp' domain='d' target='t' port='1' priority='0' weight='0'/>
        <host ip='FD00:0::5'><hostname>a</hostname></host></dns>
        <ip address='10.77.0.1' netmask='255.255.255.0'><dhcp><range start='10.77.0.7' end='10.77.0.9'/>
        <host mac='52:54:00:00:00:0A' name='a' ip='10.77.0.5'/></dhcp></ip>
        <route address='10.9.0.0' netmask='255.255.0.0' gateway='10.77.0.9'/></network>");
    let guest = xml("<domain type='test'><name>odd</name><uuid>6d696e69-6173-5361-8070-650000000009</uuid>
        <memory unit='mb'>513</memory><currentMemory unit='GiB'>1</currentMemory>
        <memtune><hard_limit unit='g'>1</hard_limit></memtune>
        <memoryBacking><hugepages><page size='2' unit='MiB'/></hugepages></memoryBacking>
        <vcpu cpuset='0,1,2,^1' current='4'>4</vcpu><cputune><vcpupin vcpu='0' cpuset='1,0'/></cputune>
        <numatune><memory mode='strict' placement='static' nodeset='0-0'/></numatune><os><type>hvm</type></os>
        <cpu mode='host-model'><numa><cell id='0' cpus='0,1,2,3' memory='1' unit='GiB'/></numa></cpu><devices>
        <interface type='network'><mac address='52:54:00:00:00:0A'/><source network='default'/></interface>
        </devices></domain>");
    let volume = xml(
        "<volume><name>odd</name><capacity unit='gb'>1</capacity><allocation>5</allocation><target><format type='raw'/></target></volume>",
    );
    let [network_step, guest_step] = [&network, &guest].map(|it| it.clone().into());
    done(&connection, Step::DefineNetwork { xml: network_step });
    done(&connection, Step::DefineGuest { xml: guest_step });
    let pool = &connection.observe(&Scope::default()).unwrap().pools["default-pool"];
    let create = Step::CreateVolume {
        pool: Named::new("default-pool", pool.uuid),
        xml: volume.clone().into(),
    };
    done(&connection, create);
    let odd = ("default-pool", "odd");
    let seen = connection.observe(&scope(&[odd])).unwrap();
    let volume_seen = &seen.volumes[&(odd.0.to_owned(), odd.1.to_owned())];
    for (there, given) in [
        (&seen.networks["odd"].xml, network),
        (&seen.guests["odd"].xml, guest),
        (&volume_seen.xml, volume),
    ] {
        let there = there.tree();
        assert!(
            says(&there, &written(&given)),
            "{there}\n{}",
            written(&given)
        );
    }
}

#[test]
fn a_pool_and_its_volumes_live_and_go() {
    let connection = connect();
    let name = || Named::new("shop", UUID);
    let pool = "<pool type='dir'><name>shop</name><uuid>6d696e69-6173-5361-8070-650000000001</uuid><target><path>/shop</path></target></pool>";
    done(
        &connection,
        Step::DefinePool {
            xml: xml(pool).into(),
        },
    );
    let asked = scope(&[("shop", "a.qcow2"), ("shop", "none"), ("nowhere", "a")]);
    assert!(connection.observe(&asked).unwrap().volumes.is_empty());
    for _ in 0..2 {
        done(&connection, Step::StartPool { name: name() });
    }
    let volume = "<volume><name>a.qcow2</name><capacity>1048576</capacity>\
        <target><format type='qcow2'/></target></volume>";
    let create = || Step::CreateVolume {
        pool: name(),
        xml: xml(volume).into(),
    };
    done(&connection, create());
    let error = perform(&connection, create()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Exists, "{error:?}");
    let seen = connection.observe(&asked).unwrap();
    assert_eq!(seen.volumes.len(), 1);
    assert_eq!(
        seen.volumes[&("shop".into(), "a.qcow2".into())].path,
        "/shop/a.qcow2"
    );
    assert!(seen.pools["shop"].active);
    for _ in 0..2 {
        done(
            &connection,
            Step::DeleteVolume {
                pool: name(),
                name: "a.qcow2".into(),
                seen: None,
            },
        );
    }
    for _ in 0..2 {
        done(&connection, Step::StopPool { name: name() });
    }
    for _ in 0..2 {
        done(&connection, Step::UndefinePool { name: name() });
    }
}

#[test]
fn a_guest_lives_and_goes() {
    let connection = connect();
    let uuid = uuid::uuid!("6d696e69-6173-5361-8070-650000000002");
    let name = || Named::new("web1", uuid);
    let guest = format!(
        "<domain type='test'><name>web1</name><uuid>{uuid}</uuid><memory unit='MiB'>64</memory>\
         <os><type>hvm</type></os></domain>"
    );
    let power = || connection.observe(&Scope::default()).unwrap().guests["web1"].power;
    done(
        &connection,
        Step::DefineGuest {
            xml: xml(&guest).into(),
        },
    );
    assert_eq!(power(), Power::Off);
    for _ in 0..2 {
        done(&connection, Step::StartGuest { name: name() });
    }
    let seen = connection.observe(&Scope::default()).unwrap();
    let web1 = &seen.guests["web1"];
    assert_eq!(
        (web1.power, web1.uuid, web1.persistent),
        (Power::Running, uuid, true)
    );
    assert!(web1.live_xml.is_some());
    assert_eq!(web1.xml.tree().text_at("memory"), Some("65536"));
    let running = perform(&connection, Step::UndefineGuest { name: name() }).unwrap_err();
    assert!(
        running.message.starts_with("undefine guest web1: "),
        "{running}"
    );
    for _ in 0..2 {
        let outcome = done(
            &connection,
            Step::ShutdownGuest {
                name: name(),
                timeout: 5,
            },
        );
        assert_eq!(outcome.note, None);
    }
    let other = perform(
        &connection,
        Step::UndefineGuest {
            name: Named::new("web1", Uuid::nil()),
        },
    );
    assert_eq!(other.unwrap_err().kind, ErrorKind::Exists);
    for _ in 0..2 {
        done(&connection, Step::UndefineGuest { name: name() });
    }
    done(
        &connection,
        Step::ShutdownGuest {
            name: name(),
            timeout: 1,
        },
    );
}

#[test]
fn errors_say_what_was_tried() {
    let connection = connect();
    let error = perform(
        &connection,
        Step::StartGuest {
            name: Named::new("nobody", Uuid::nil()),
        },
    )
    .unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert_eq!(
        error.message,
        "start guest nobody: there is no guest named nobody"
    );
    let error = perform(
        &connection,
        Step::DefineNetwork {
            xml: Element::new("pool").into(),
        },
    )
    .unwrap_err();
    assert!(error.message.starts_with("define network ?: "), "{error}");
    let unix = Connection::open(Some("qemu+unix:///system?socket=/nowhere/libvirt-sock"));
    let error = unix.err().unwrap();
    assert_eq!(error.kind, ErrorKind::Connection, "{error:?}");
    assert!(error.hint.is_some(), "{error:?}");
}
