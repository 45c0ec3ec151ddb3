//! What processors and memory are like, and where they are on the host: set, changed and taken away again on guests that run and on
//! some that are off. The sandbox has one node, no huge pages and no cgroups: what needs them is tried on guests that are off.

use crate::lab::{Lab, domain, id, inventory, running, virsh};

/// A lab of a guest that runs, and one that is off.
fn lab(on: &str, off: &str) -> String {
    let common = "vcpus: 4, memory: 64MiB, iothreads: 2, shutdown_timeout: 0s";
    format!(
        "lab: processor\ncommon: {{{common}}}\nguests:\n  on: {{{on}}}\n  off: {{running: false, {off}}}\n"
    )
}

/// Applies a definition, for which the guest that runs has to start anew.
fn restarts(lab: &Lab, definition: &str) {
    let was = id("on");
    lab.define(definition);
    lab.apply(&[]);
    assert_ne!(id("on"), was);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn processors_are_as_the_definition_says() {
    let before = inventory();
    let plain = lab("", "");
    let one = "cpu: {topology: {cores: 2}, features: {vmx: false, avx2: true}}, \
               numa: [{vcpus: 0-1, memory: 32MiB, node: 0}, {vcpus: [2, 3], memory: 32MiB}]";
    let two = "cpu: {topology: {sockets: 1, dies: 2, threads: 2}, features: {avx2: false, aes: optional}}, \
               numa: [{vcpus: \"0-3,^1\", memory: 48MiB}, {vcpus: 1, memory: 16MiB, node: 0, mode: preferred}]";
    let three = "cpu: {mode: custom, model: qemu64, features: [aes]}";

    let made = Lab::new(&lab(one, one));
    made.apply(&[]);
    let cpu = running("on").child("cpu").unwrap().clone();
    let topology = |name: &str| cpu.attribute_at("topology", name).unwrap();
    assert_eq!(
        ["sockets", "cores", "threads"].map(topology),
        ["2", "2", "1"]
    );
    assert_eq!(cpu.find("numa").unwrap().children.len(), 2);
    assert_eq!(
        running("on").attribute_at("numatune/memnode", "nodeset"),
        Some("0")
    );
    assert_eq!(cpu.children_named("feature").count(), 2, "{cpu}");
    made.destroy();
    assert_eq!(inventory(), before);

    let lab_of = |on: &str, off: &str| lab(on, off);
    let lab = Lab::new(&plain);
    lab.apply(&[]);
    for (on, off) in [(one, two), (two, one), (three, three), ("", one)] {
        restarts(&lab, &lab_of(on, off));
    }
    assert!(running("on").find("cpu/numa").is_none());
    assert!(domain("off").find("cpu/numa").is_some());
    lab.define(&plain);
    lab.apply(&[]);
    assert!(domain("off").find("cpu/feature").is_none());
    assert!(domain("off").child("numatune").is_none());
    lab.destroy();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn guests_are_where_the_definition_says() {
    let before = inventory();
    let one =
        "pin: {vcpus: {0: 0, 3: \"1,0\"}, emulator: \"0-1,^1\", iothreads: {2: [0, 1]}, memory: 0}";
    let two = "pin: {vcpus: [0, 1, 0-1], iothreads: 1, memory: 0, memory_mode: preferred}";
    let three = "pin: 0-1";
    let plain = lab("", "");
    let lab_of = |on: &str, off: &str| lab(on, off);
    let lab = Lab::new(&plain);
    lab.apply(&[]);
    for (on, off) in [(one, two), (two, one), (three, three)] {
        restarts(&lab, &lab_of(on, off));
    }
    let pins = running("on").child("cputune").unwrap().clone();
    assert_eq!(pins.children_named("vcpupin").count(), 4, "{pins}");
    let shown = virsh(&["vcpupin", "on"]);
    assert_eq!(shown.matches("0-1").count(), 4, "{shown}");
    assert!(running("on").child("numatune").is_none());
    restarts(&lab, &plain);
    assert!(running("on").child("cputune").is_none());
    assert!(domain("off").child("cputune").is_none());
    lab.destroy();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn guests_get_as_much_as_the_definition_says() {
    let before = inventory();
    // Without cgroups libvirt starts a guest with these, and does nothing about them.
    let soft = "tuning: {io_weight: 500, memory_soft_limit: 2GiB}";
    let one = "hugepages: true, tuning: {cpu_shares: 2048, cpu_limit: 1.5, memory_limit: 1GB, memory_soft_limit: 500MB, swap_limit: 2GiB}";
    let two = "hugepages: 2MiB, tuning: {cpu_shares: 512, cpu_limit: 33.3%, io_weight: 1000, memory_limit: 2GiB}";
    let three = "hugepages: 1GiB, memory: 2GiB";
    let plain = lab("", "");
    let lab_of = |on: &str, off: &str| lab(on, off);
    let lab = Lab::new(&plain);
    lab.apply(&[]);
    restarts(&lab, &lab_of(soft, one));
    assert_eq!(
        domain("off").text_at("cputune/global_quota"),
        Some("150000")
    );
    assert_eq!(domain("off").text_at("memtune/hard_limit"), Some("976563"));
    for off in [two, three, one] {
        lab.define(&lab_of(soft, off));
        lab.apply(&[]);
    }
    // What waits for a restart is known to wait.
    let was = id("on");
    lab.define(&lab_of("on_change: defer", ""));
    lab.apply(&[]);
    assert_eq!(id("on"), was);
    assert!(lab.ok(&["plan"]).contains("tuning.io_weight"));
    lab.apply(&["--restart-pending"]);
    assert_ne!(id("on"), was);
    let off = domain("off");
    for name in ["memoryBacking", "cputune", "memtune", "blkiotune"] {
        assert!(off.child(name).is_none(), "{off}");
    }
    lab.destroy();
    assert_eq!(inventory(), before);
}
