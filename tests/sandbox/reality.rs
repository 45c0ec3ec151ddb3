//! What others leave behind while things run: it is seen, and mended without a disturbance.

use std::path::Path;

use crate::lab::{Lab, inventory, virsh, virsh_xml};

const LAB: &str = "lab: reality
networks: {real: {address: 192.168.169.1/24, dhcp: {start: 192.168.169.100, end: 192.168.169.200}}}
pools: {real: {path: @DIR@/pool}}
common: {memory: 16MiB, shutdown_timeout: 1s}
guests:
  one:
    disks: {root: {pool: real, size: 1MiB}}
    interfaces: {eth0: {network: real, ip: 192.168.169.11}}
";

/// The process id in a file that libvirt keeps of something that runs.
fn pid(file: &str) -> String {
    std::fs::read_to_string(Path::new("/run/libvirt").join(file)).unwrap()
}

/// Leaves all of the lab's objects running and undefined.
fn make_transient() {
    virsh(&["net-undefine", "real"]);
    virsh(&["undefine", "one"]);
    // libvirt refuses to undefine a pool that is active.
    let pool = virsh(&["pool-dumpxml", "real"]);
    virsh(&["pool-destroy", "real"]);
    virsh(&["pool-undefine", "real"]);
    virsh_xml("pool-create", &pool);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn what_is_transient_is_made_persistent_again() {
    let before = inventory();
    let lab = Lab::new(LAB);
    lab.apply(&[]);
    let running = || ["qemu/one.pid", "network/real.pid"].map(pid);
    let were = running();
    make_transient();
    let plan = lab.ok(&["plan"]);
    let told = plan.matches("transient: made persistent again").count();
    assert_eq!(told, 3, "{plan}");
    let drift = lab.ok(&["plan", "--refresh-only"]);
    assert_eq!(drift.matches("true -> false").count(), 5, "{drift}");
    lab.apply(&["--max-disruption", "live"]);
    for (info, name) in [
        ("net-info", "real"),
        ("pool-info", "real"),
        ("dominfo", "one"),
    ] {
        let told = virsh(&[info, name]);
        let persistent = told.lines().find(|line| line.starts_with("Persistent"));
        assert!(persistent.unwrap().ends_with("yes"), "{told}");
    }
    assert_eq!(running(), were, "something was started anew");

    // One that is to be off, changed, or has another name does not get lost with its stop.
    for changed in [
        LAB.replace("  one:\n", "  one:\n    vcpus: 2\n"),
        LAB.replace("  one:\n", "  one:\n    name: two\n"),
        LAB.replace("  one:\n", "  one:\n    running: false\n"),
    ] {
        make_transient();
        lab.define(&changed);
        lab.apply(&[]);
        lab.define(LAB);
        lab.apply(&[]);
    }

    make_transient();
    lab.destroy();
    assert!(!lab.path().join("pool").exists());
    assert_eq!(inventory(), before);
}
