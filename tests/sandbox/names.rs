//! Addresses and names that networks give to guests: without a range, by NIC, and on networks that are not the lab's.

use crate::guests::{answers, resolve, uptime};
use crate::lab::{Lab, inventory, virsh, virsh_xml};

const LAB: &str = "
lab: shop
networks:
  front:
    address: [192.168.155.1/24, 'fd00:155::1/64']
    domain: shop.test
    dns: {local_only: true}
  heart: {mode: isolated, address: 192.168.156.1/24, domain: shop.test}
  off: {mode: isolated, address: 192.168.157.1/24, dhcp: false}
pools:
  shop: {path: @DIR@/pool}
images:
  tiny: {pool: shop, source: @TINY@/tiny.qcow2}
common:
  memory: 192MiB
  shutdown_timeout: 60s
  disks: {root: {pool: shop, image: tiny}}
guests:
  a:
    interfaces:
      eth0: {network: heart, ip: 192.168.156.11, hostname: a-heart}
      eth1: {network: front, ip: [192.168.155.11, 'fd00:155::11']}
      eth2: {network: off, ip: 192.168.157.11, dns: true}
  9b:
    interfaces:
      eth0: {network: front, ip: 192.168.155.12}
      eth1: {network: heart, ip: 192.168.156.12, dns: false}
";

fn resolved(server: &str, name: &str) -> Option<String> {
    resolve(server, name).map(|ip| ip.to_string())
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn networks_without_a_range_give_addresses_and_names_by_nic() {
    let (front, heart, off) = ("192.168.155.1", "192.168.156.1", "192.168.157.1");
    let lab = Lab::new(LAB);
    lab.apply(&[]);
    for ip in ["192.168.155.11", "192.168.155.12"] {
        answers(ip);
    }
    for ip in ["192.168.156.11", "192.168.156.12"] {
        answers(ip);
    }
    let leases = virsh(&["net-dhcp-leases", "front"]);
    assert_eq!(leases.matches("ipv4").count(), 2, "{leases}");
    let is = |server, name, ip: Option<&str>| {
        assert_eq!(resolved(server, name).as_deref(), ip, "{name} at {server}");
    };
    is(front, "a.shop.test", Some("192.168.155.11"));
    is(heart, "a.shop.test", Some("192.168.155.11"));
    is(heart, "a-heart.shop.test", Some("192.168.156.11"));
    is(front, "9b.shop.test", Some("192.168.155.12"));
    is(heart, "9b.shop.test", Some("192.168.155.12"));
    is(off, "a", Some("192.168.157.11"));
    let network = virsh(&["net-dumpxml", "off"]);
    assert!(!network.contains("<dhcp>"), "{network}");

    // What the domain's name servers outside know can be asked for: a guest that runs goes on.
    let up = uptime("192.168.155.12");
    lab.define(&LAB.replace("local_only: true", "local_only: false"));
    assert_eq!(lab.attributes("network.front"), ["dns.local_only"]);
    lab.apply(&[]);
    let network = virsh(&["net-dumpxml", "front"]);
    assert!(network.contains("localOnly='no'"), "{network}");
    answers("192.168.155.12");
    assert!(uptime("192.168.155.12") > up, "9b was restarted");
    is(front, "9b.shop.test", Some("192.168.155.12"));
    lab.is_settled();
    lab.destroy();
}

const THEIRS: &str = "
<network><name>office</name><forward mode='nat'/><bridge name='office0'/><domain name='office.test' localOnly='yes'/>
<ip address='192.168.158.1' netmask='255.255.255.0'><dhcp><range start='192.168.158.100' end='192.168.158.200'/>
<host mac='52:54:00:99:00:01' name='stranger' ip='192.168.158.5'/></dhcp></ip>
<ip family='ipv6' address='fd00:158::1' prefix='64'/></network>";

const GUESTS: &str = "
lab: shop
networks:
  office: {external: {reservations: true}}
pools:
  shop: {path: @DIR@/pool}
images:
  tiny: {pool: shop, source: @TINY@/tiny.qcow2}
common:
  memory: 192MiB
  shutdown_timeout: 60s
  disks: {root: {pool: shop, image: tiny}}
guests:
  a: {interfaces: {eth0: {network: office, ip: [192.168.158.11, 'fd00:158::11']}}}
";

#[test]
#[ignore = "needs scripts/sandbox"]
fn an_external_network_reserves_what_it_may_and_nothing_is_left() {
    virsh_xml("net-define", THEIRS);
    virsh(&["net-start", "office"]);
    let before = inventory();
    let lab = Lab::new(GUESTS);
    lab.apply(&[]);
    answers("192.168.158.11");
    let leases = virsh(&["net-dhcp-leases", "office"]);
    assert!(leases.contains("192.168.158.11"), "{leases}");
    lab.is_settled();

    // Another address, while the guest runs; one that others take away comes back, on either side.
    let other = GUESTS.replace("[192.168.158.11,", "[192.168.158.12,");
    lab.define(&other);
    assert_eq!(lab.attributes("reservations.office"), ["dhcp.hosts.a"]);
    lab.apply(&[]);
    let mac = virsh(&["domiflist", "a"]);
    let mac = mac
        .split_whitespace()
        .find(|word| word.starts_with("52:54:00"))
        .unwrap();
    let host = format!("<host mac='{mac}' name='a' ip='192.168.158.12'/>");
    for side in ["--live", "--config"] {
        virsh(&[
            "net-update",
            "office",
            "delete",
            "ip-dhcp-host",
            &host,
            side,
        ]);
        assert_eq!(
            lab.attributes("reservations.office"),
            ["dhcp.hosts.a"],
            "{side}"
        );
        assert!(
            lab.ok(&["plan", "--refresh-only"]).contains("dhcp.hosts.a"),
            "{side}"
        );
        lab.apply(&[]);
        lab.is_settled();
    }

    // What others have in the way is told before anything is done.
    let stranger = other.replace("[192.168.158.12,", "[192.168.158.5,");
    lab.define(&stranger);
    assert!(lab.fails(&["apply", "-y"]).contains("52:54:00:99:00:01"));
    lab.define(&other.replace("192.168.158.12", "192.168.159.12"));
    assert!(lab.fails(&["plan"]).contains("is outside of it"));

    lab.define(&other);
    lab.destroy();
    assert_eq!(inventory(), before);
    virsh(&["net-destroy", "office"]);
    virsh(&["net-undefine", "office"]);
}
