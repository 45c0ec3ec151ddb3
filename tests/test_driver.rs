//! The real binding, on libvirt's in-process test driver: no daemon, no root.
#![allow(
    clippy::unwrap_used,
    reason = "clippy lets only functions marked as tests unwrap, not what they call"
)]

use miniascape::libvirt::connection::Connection;
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
