//! The contract of the port, on the fake and on libvirt's test driver; `tests/sandbox/contract.rs` has it on QEMU.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy lets only functions marked as tests unwrap, not what they call"
)]

#[path = "common/contract/mod.rs"]
mod contract;

use std::collections::BTreeSet;

use contract::{Can, Site, run, scripts};
use miniascape::libvirt::connection::Connection;
use miniascape::libvirt::fake::Fake;
use miniascape::xml::tree::Element;

#[test]
fn each_script_is_there_once() {
    let names: BTreeSet<&str> = scripts().map(|script| script.name).collect();
    assert_eq!((names.len(), scripts().count()), (41, 41));
}

#[test]
fn the_fake_does_all() {
    let fake = Fake::new();
    let site = Site {
        hypervisor: &fake,
        domain: ("qemu", "machine='q35'"),
        directory: "/contract".to_owned(),
        can: &[Can::Files, Can::Apart, Can::Run, Can::Change, Can::Save],
        save: &|guest| fake.save(guest),
        deafen: &|guest| fake.deafen(guest),
        copy: &|guest, file| {
            fake.edit_running(guest, |xml| {
                let disk = xml.child_or_insert("devices").child_mut("disk").unwrap();
                disk.children.retain(|child| child.name != "mirror");
                let mirror = |file: &str| {
                    let text = "<mirror type='file' job='copy'><format type='qcow2'/></mirror>";
                    let mut mirror = Element::parse(text).unwrap();
                    mirror.set_attribute("file", file);
                    mirror
                };
                disk.children.extend(file.map(mirror));
            });
        },
    };
    assert_eq!(run(&site), [""; 0]);
}

#[test]
fn the_test_driver_does_what_it_can() {
    let connection = Connection::open(Some("test:///default")).unwrap();
    let site = Site {
        hypervisor: &connection,
        domain: ("test", ""),
        directory: "/contract".to_owned(),
        can: &[],
        save: &|_| unreachable!("it has its own hypervisor in each process"),
        deafen: &|_| unreachable!("its guests have no devices"),
        copy: &|_, _| unreachable!("its guests have no devices"),
    };
    let left_out = [
        "a network runs on as it started",
        "an entry is changed on one side",
        "a subnet is one network's",
        "a network that runs outlives its definition",
        "a pool makes its directory and takes it away",
        "a pool runs on as it started",
        "a directory is one pool's",
        "a volume has the format that was asked for",
        "a volume grows and does not shrink",
        "a volume is filled whole or is not there",
        "volumes out of sight are known by their files",
        "a guest starts with its network and files",
        "a saved guest goes on as it was or boots",
        "devices are filled in and stay",
        "what was there for an install goes with it",
        "disks come and go",
        "a NIC comes where there is room",
        "a device is changed in what can be",
        "a device comes where its definition has it",
        "a NIC is plugged in where its network is",
        "a device waits for its guest to let go",
        "a disk that is copied is told",
    ];
    assert_eq!(run(&site), left_out);
}
