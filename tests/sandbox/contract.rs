//! The contract of the port on real libvirt with real QEMU.
//!
//! The same scripts run on the fake and on libvirt's test driver in `tests/contract.rs`.

use miniascape::libvirt::connection::Connection;

use crate::lab::{tiny, virsh};
use crate::suite::{Can, Site, run};

#[test]
#[ignore = "needs scripts/sandbox"]
fn libvirt_does_all() {
    tiny();
    let connection = Connection::open(None).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let site = Site {
        hypervisor: &connection,
        domain: ("qemu", "machine='q35'"),
        directory: directory.path().display().to_string(),
        can: &[Can::Files, Can::Apart, Can::Run, Can::Change, Can::Save],
        save: &|guest| drop(virsh(&["managedsave", guest])),
        // There is no system inside.
        deafen: &|_| (),
        copy: &|guest, file| match file {
            Some(file) => {
                let how = ["--format", "qcow2", "--transient-job"];
                virsh(&[&["blockcopy", guest, "vda", "--dest", file][..], &how].concat());
            }
            None => drop(virsh(&["blockjob", guest, "vda", "--abort"])),
        },
    };
    assert_eq!(run(&site), [""; 0]);
}
