//! How disks are driven, and what the ports of NICs do: set, changed and taken away again on guests that run and on some that are off.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use miniascape::xml::tree::Element;

use crate::lab::{self, Lab, device, domain, id, inventory, ip, virsh, virsh_xml};

/// A device of a guest that runs, by its key in the definition.
fn running(guest: &str, key: &str) -> Element {
    device(&lab::running(guest), key).unwrap()
}

const DISKS: &str = "
lab: driven
networks: {front: {address: 192.168.178.1/24}}
pools: {driven: {path: @DIR@/pool}}
common: {memory: 64MiB, shutdown_timeout: 0s}
guests:
";

fn disks(root: &str, guest: &str) -> String {
    let guest = |more: &str| {
        format!(
            "{{{guest}{more}disks: {{root: {{pool: driven, size: 8MiB{root}}}, cd: {{device: cdrom}}}}, \
             interfaces: {{eth0: {{network: front}}}}}}"
        )
    };
    let (on, off) = (guest(""), guest("running: false, "));
    format!("{DISKS}  on: {on}\n  off: {off}\n")
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn disks_are_driven_as_the_definition_says() {
    let before = inventory();
    let plain = disks("", "");
    let lab = Lab::new(&plain);
    lab.apply(&[]);
    let first = running("on", "root");
    assert_eq!(first.attribute_at("driver", "discard"), Some("unmap"));

    lab.define(&disks(
        ", serial: A-1 b, io: native, cache: none, iothread: 2, discard: ignore, limit: {total: 50MB, iops: 500}",
        "iothreads: 2, ",
    ));
    lab.apply(&[]);
    let root = running("on", "root");
    let driver = |attribute: &str| root.attribute_at("driver", attribute).unwrap_or("-");
    assert_eq!(
        ["io", "iothread", "discard"].map(driver),
        ["native", "2", "-"]
    );
    assert_eq!(root.text_at("serial"), Some("A-1 b"));
    assert_eq!(root.text_at("iotune/total_bytes_sec"), Some("50000000"));
    assert_eq!(root.text_at("iotune/total_iops_sec"), Some("500"));
    assert_eq!(domain("off").text_at("iothreads"), Some("2"));

    // libvirt says that it takes some of these while a guest runs, and does not.
    let was = id("on");
    lab.define(&disks(
        ", serial: A-2, io: threads, iothread: 1, limit: {read: 1MB, write_iops: 100}",
        "iothreads: 1, ",
    ));
    lab.apply(&[]);
    assert_ne!(id("on"), was);
    let iotune = running("on", "root").child("iotune").unwrap().clone();
    assert_eq!(iotune.children.len(), 2, "{iotune}");
    let was = id("on");
    lab.define(&disks(
        ", serial: A-2, io: threads, iothread: 1",
        "iothreads: 1, ",
    ));
    lab.apply(&[]);
    assert_ne!(id("on"), was);
    assert!(running("on", "root").child("iotune").is_none());

    lab.define(&plain);
    lab.apply(&[]);
    let again = running("on", "root");
    assert_eq!(again.child("driver"), first.child("driver"));
    assert!(again.child("serial").is_none());
    lab.destroy();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn devices_are_booted_in_an_order_of_their_own_or_by_their_kinds() {
    let lab = Lab::new(&disks("", ""));
    lab.apply(&[]);
    let own = disks(", boot: 2", "").replace("{network: front}", "{network: front, boot: 1}");
    let kinds = disks("", "boot: {order: [network, hd]}, ");
    let swapped = own
        .replace("boot: 2", "boot: 3")
        .replace("cdrom", "cdrom, boot: 2");
    for definition in [&own, &swapped, &kinds, &own, &disks("", "")] {
        lab.define(definition);
        lab.apply(&[]);
    }
    lab.define(&own);
    lab.apply(&[]);
    assert_eq!(
        running("on", "root").attribute_at("boot", "order"),
        Some("2")
    );
    assert_eq!(
        running("on", "eth0").attribute_at("boot", "order"),
        Some("1")
    );
    assert!(domain("on").find("os/boot").is_none());
    lab.destroy();
}

const PORTS: &str = "
lab: ports
networks:
  front:
    address: 192.168.178.1/24
    xml: <network><portgroup name='staff'/><portgroup name='guests'/></network>
common: {memory: 64MiB, shutdown_timeout: 0s}
guests:
";

fn ports(on: &str, off: &str) -> String {
    format!(
        "{PORTS}  on: {{interfaces: {{{on}}}}}\n  off: {{running: false, interfaces: {{{off}}}}}\n"
    )
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn ports_of_nics_do_what_the_definition_says() {
    let before = inventory();
    ip("link add br9 type bridge");
    ip("link set br9 up");
    for name in ["one", "two"] {
        virsh_xml(
            "nwfilter-define",
            &format!(
                "<filter name='{name}' chain='root'><rule action='accept' direction='inout'/></filter>"
            ),
        );
    }
    let plain = ports(
        "eth0: {network: front}, eth1: {bridge: br9}",
        "eth0: {network: front}, eth1: {bridge: br9}",
    );
    let lab = Lab::new(&plain);
    lab.apply(&[]);

    let rich = ports(
        "eth0: {network: front, portgroup: staff, queues: 2, trust_guest_rx_filters: true}, eth1: {direct: br9}",
        "eth0: {network: front, vlan: [5, 7], portgroup: staff}, eth1: {bridge: br9, ovs: true, vlan: 5}, eth2: {direct: br9}",
    );
    lab.define(&rich);
    lab.apply(&[]);
    let nic = running("on", "eth0");
    assert_eq!(nic.attribute("trustGuestRxFilters"), Some("yes"));
    assert_eq!(nic.attribute_at("driver", "queues"), Some("2"));
    assert_eq!(nic.attribute_at("source", "portgroup"), Some("staff"));
    let direct = running("on", "eth1");
    assert_eq!(direct.attribute_at("source", "mode"), Some("bridge"));
    assert_eq!(direct.attribute("type"), Some("direct"));

    let was = id("on");
    let other = ports(
        "eth0: {network: front, portgroup: guests, queues: 4, trust_guest_rx_filters: false}, eth1: {direct: {dev: br9, mode: vepa}}",
        "eth0: {network: front, vlan: 7}, eth1: {bridge: br9, ovs: {interface_id: f23068d2-d7e1-472d-9ec2-4e065297b7a7, profile: web}, \
         vlan: [5, 6]}, eth2: {direct: {dev: br9, mode: private}}",
    );
    lab.define(&other);
    lab.apply(&[]);
    assert_ne!(id("on"), was);
    let nic = running("on", "eth0");
    assert_eq!(nic.attribute("trustGuestRxFilters"), Some("no"));
    assert_eq!(nic.attribute_at("source", "portgroup"), Some("guests"));
    lab.define(&rich);
    lab.apply(&[]);
    lab.define(&plain);
    lab.apply(&[]);
    assert_eq!(running("on", "eth1").attribute("type"), Some("bridge"));

    lab.destroy();
    for name in ["one", "two"] {
        virsh(&["nwfilter-undefine", name]);
    }
    ip("link del br9");
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn filters_come_change_and_go_while_a_guest_runs() {
    for name in ["one", "two"] {
        virsh_xml(
            "nwfilter-define",
            &format!(
                "<filter name='{name}' chain='root'><rule action='accept' direction='inout'/></filter>"
            ),
        );
    }
    let with = |filter: &str| {
        let nics = format!("eth0: {{network: front{filter}}}");
        ports(&nics, &nics)
    };
    let lab = Lab::new(&with(""));
    lab.apply(&[]);
    let was = id("on");
    for (filter, parameters) in [
        (", filter: one", 0),
        (
            ", filter: {name: one, parameters: {IP: 192.168.178.9, MAC: '52:54:00:00:00:01'}}",
            2,
        ),
        (", filter: {name: one, parameters: {IP: 192.168.178.10}}", 1),
        (", filter: {name: two, parameters: {IP: 192.168.178.10}}", 1),
        ("", 0),
    ] {
        lab.define(&with(filter));
        lab.apply(&["--max-disruption", "live"]);
        let nic = running("on", "eth0");
        assert_eq!(nic.child("filterref").is_some(), !filter.is_empty());
        let there = nic.child("filterref").map_or(0, |it| it.children.len());
        assert_eq!(there, parameters, "{filter}");
    }
    assert_eq!(id("on"), was);
    lab.destroy();
}

/// The calls of `ovs-vsctl`, in whose place is a program that writes them down: ports of Open vSwitch on a plain bridge.
pub fn open_vswitch(directory: &Path) -> impl Fn() -> String + use<> {
    let (bin, log) = (directory.join("bin"), directory.join("ovs.log"));
    fs::create_dir(&bin).unwrap();
    let program = bin.join("ovs-vsctl");
    fs::write(
        &program,
        format!("#!/bin/sh\necho \"$@\" >>{}\n", log.display()),
    )
    .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mount = ["--bind", bin.to_str().unwrap(), "/usr/local/bin"];
    assert!(
        Command::new("mount")
            .args(mount)
            .status()
            .unwrap()
            .success()
    );
    move || fs::read_to_string(&log).unwrap_or_default()
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn vlans_of_open_vswitch_change_while_a_guest_runs() {
    ip("link add br9 type bridge");
    ip("link set br9 up");
    let with = |more: &str| {
        let nics = format!("eth0: {{bridge: br9, ovs: {more}}}");
        ports(&nics, &nics)
    };
    let lab = Lab::new(&with("true"));
    let calls = open_vswitch(lab.path());
    lab.apply(&[]);
    let was = id("on");
    for (more, told) in [
        ("true, vlan: 5", "tag=5"),
        ("true, vlan: [6, 7]", "trunk=6,7"),
        ("true, vlan: [7, 8]", "trunk=7,8"),
        ("true", ""),
    ] {
        lab.define(&with(more));
        lab.apply(&["--max-disruption", "live"]);
        let calls = calls();
        let last = calls.lines().last().unwrap();
        assert!(last.ends_with(told), "{last}");
    }
    assert_eq!(id("on"), was);
    // What the port is known by restarts the guest, and without it libvirt makes something up.
    lab.define(&with(
        "{interface_id: f23068d2-d7e1-472d-9ec2-4e065297b7a7, profile: web}",
    ));
    lab.apply(&[]);
    assert!(calls().contains("iface-id=\"f23068d2-d7e1-472d-9ec2-4e065297b7a7\""));
    assert_ne!(id("on"), was);
    lab.define(&with("true, vlan: 9"));
    lab.apply(&[]);
    lab.define(&ports("eth0: {bridge: br9}", "eth0: {bridge: br9}"));
    lab.apply(&[]);
    assert!(running("on", "eth0").child("virtualport").is_none());
    lab.destroy();
}
