//! The real binding on libvirt's in-process test driver, without daemon and root: what is its own. What it shares with all that is
//! behind the port is in `tests/contract.rs`.
#![allow(
    clippy::unwrap_used,
    reason = "clippy lets only functions marked as tests unwrap, not what they call"
)]

use miniascape::libvirt::connection::Connection;
use miniascape::libvirt::fake::spelling::written;
use miniascape::libvirt::{ErrorKind, Observe, Perform, Scope, Unwatched};
use miniascape::step::{Named, Step};
use miniascape::xml::tree::Element;

fn connect() -> Connection {
    Connection::open(Some("test:///default")).unwrap()
}

fn xml(text: &str) -> Element {
    Element::parse(text).unwrap()
}

fn done(connection: &Connection, step: Step) {
    connection.perform(&step, &Unwatched).unwrap();
}

#[test]
fn facts_are_those_of_the_test_driver() {
    let connection = connect();
    let seen = connection.observe(&Scope::default()).unwrap();
    assert_eq!(seen.facts.driver, "TEST");
    assert_eq!(seen.facts.uri, "test:///default");
    assert_eq!((seen.facts.host_uuid, seen.facts.domain_type), (None, None));
    // What it brings.
    assert!(seen.networks["default"].active && seen.pools["default-pool"].active);
    assert!(seen.guests["test"].live_xml.is_some());
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
    let scope = Scope {
        volumes: [(odd.0.to_owned(), odd.1.to_owned())].into(),
        ..Scope::default()
    };
    let seen = connection.observe(&scope).unwrap();
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
fn a_connection_that_cannot_be_had_says_how_to_mend_it() {
    let unix = Connection::open(Some("qemu+unix:///system?socket=/nowhere/libvirt-sock"));
    let error = unix.err().unwrap();
    assert_eq!(error.kind, ErrorKind::Connection, "{error:?}");
    assert!(error.hint.is_some(), "{error:?}");
}
