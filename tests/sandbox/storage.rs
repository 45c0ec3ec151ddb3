//! Deletes are checked against all that is there, and pools change without touching what is in them.

use std::process::Command;

use crate::lab::{Lab, inventory, virsh, virsh_xml};

const LAB: &str = "lab: store
pools: {store: {path: @DIR@/pool}}
images: {base: {pool: store, source: @TINY@/tiny.qcow2}}
guests:
  one:
    running: false
    memory: 64MiB
    disks: {root: {pool: store, image: base}, data: {pool: store, size: 8MiB}}
";

fn overlay(backing: &str, file: &str) {
    let made = Command::new("qemu-img")
        .args([
            "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", backing, file,
        ])
        .status()
        .unwrap();
    assert!(made.success());
}

fn stranger(name: &str, disk: &str) {
    virsh_xml(
        "define",
        &format!(
            "<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory>\
             <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>{disk}</devices></domain>"
        ),
    );
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn nothing_is_deleted_that_others_use() {
    let before = inventory();
    let lab = Lab::new(LAB);
    lab.apply(&[]);
    let ours = inventory();
    let dir = lab.path().display().to_string();
    let base = format!("{dir}/pool/base.qcow2");
    let data = format!("{dir}/pool/one.data.qcow2");
    let elsewhere = tempfile::tempdir().unwrap();
    let other = elsewhere.path().display().to_string();

    // Beside the image, unknown to libvirt until the pool is refreshed; and in a pool that is not the lab's.
    overlay(&base, &format!("{dir}/pool/unseen.qcow2"));
    overlay(&base, &format!("{other}/over.qcow2"));
    virsh(&["pool-create-as", "other", "dir", "--target", &other]);
    stranger(
        "named",
        "<disk type='volume' device='disk'><driver name='qemu' type='qcow2'/>\
         <source pool='store' volume='one.data.qcow2'/><target dev='vda' bus='virtio'/></disk>",
    );
    // One that runs on an overlay of the disk, which only its chain tells.
    overlay(&data, &format!("{other}/chain.img"));
    virsh_xml(
        "create",
        &format!(
            "<domain type='qemu'><name>chained</name><memory unit='MiB'>64</memory>\
             <os><type arch='x86_64' machine='q35'>hvm</type></os><devices><disk type='file' device='disk'>\
             <driver name='qemu' type='qcow2'/><source file='{other}/chain.img'/>\
             <target dev='vda' bus='virtio'/></disk></devices></domain>"
        ),
    );
    virsh(&["pool-destroy", "other"]);
    std::fs::rename(format!("{other}/chain.img"), format!("{other}/.chain.img")).unwrap();
    virsh(&["pool-create-as", "other", "dir", "--target", &other]);

    let refusal = lab.fails(&["destroy", "-y"]);
    for part in [
        "image.base cannot be deleted: volume other/over.qcow2, volume store/unseen.qcow2 use it",
        "volume.one.data cannot be deleted: guest chained, guest named",
        "pool.store cannot be deleted: guest named uses it",
        "Nothing was changed",
    ] {
        assert!(refusal.contains(part), "{part}: {refusal}");
    }
    // The same where only a part of the definition goes.
    lab.define(&LAB.replace(", data: {pool: store, size: 8MiB}", ""));
    let refusal = lab.fails(&["apply", "-y", "--allow-data-loss", "volume.one.data"]);
    assert!(
        refusal.contains("volume.one.data cannot be deleted: guest chained, guest named"),
        "{refusal}"
    );
    lab.define(&LAB.replace("size: 8MiB", "size: 4MiB"));
    let refusal = lab.fails(&["apply", "-y", "--allow-data-loss", "volume.one.data"]);
    assert!(
        refusal.contains("volume.one.data cannot be replaced: guest chained, guest named"),
        "{refusal}"
    );
    assert!(std::path::Path::new(&data).exists() && std::path::Path::new(&base).exists());

    virsh(&["destroy", "chained"]);
    virsh(&["undefine", "named"]);
    virsh(&["pool-destroy", "other"]);
    virsh(&["vol-delete", "--pool", "store", "unseen.qcow2"]);
    lab.define(LAB);
    lab.is_settled();
    assert_eq!(inventory(), ours);
    lab.destroy();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_pool_changes_and_its_files_stay() {
    let text = |path: &str, more: &str| {
        format!("lab: moves\npools: {{moves: {{path: '@DIR@/{path}'{more}}}}}\n")
    };
    let before = inventory();
    let lab = Lab::new(&text("old", ""));
    lab.apply(&[]);
    let kept = lab.path().join("old/kept.raw");
    std::fs::write(&kept, "data").unwrap();
    // Who may enter the directory counts when it is made, and is nobody's business later.
    let xml =
        ", xml: \"<pool><target><permissions><mode>0750</mode></permissions></target></pool>\"";
    lab.define(&text("old", xml));
    lab.is_settled();
    for path in ["new", "old"] {
        lab.define(&text(path, xml));
        let plan = lab.ok(&["plan"]);
        assert!(plan.contains("~ pool.moves"), "{plan}");
        lab.apply(&["--max-disruption", "live"]);
        assert_eq!(std::fs::read_to_string(&kept).unwrap(), "data");
    }
    assert!(virsh(&["vol-list", "moves"]).contains("kept.raw"));
    std::fs::remove_file(&kept).unwrap();
    lab.destroy();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_volume_grows_with_and_without_its_guest() {
    let text = |size: &str, running: bool| {
        format!(
            "lab: grows\npools: {{grows: {{path: @DIR@/pool}}}}\nguests:\n  one:\n    running: {running}\n    memory: 64MiB\n    \
             shutdown_timeout: 0s\n    disks: {{data: {{pool: grows, size: {size}}}}}\n"
        )
    };
    let lab = Lab::new(&text("8MiB", false));
    lab.apply(&[]);
    let capacity = || virsh(&["vol-info", "--bytes", "--pool", "grows", "one.data.qcow2"]);
    for (size, running, bytes) in [
        ("16MiB", false, "16777216"),
        ("16MiB", true, "16777216"),
        ("24MiB", true, "25165824"),
    ] {
        lab.define(&text(size, running));
        lab.apply(&["--max-disruption", "live"]);
        assert!(capacity().contains(bytes), "{}", capacity());
    }
    // A guest that names the volume by its pool runs on it just as well.
    lab.define(&text("24MiB", false));
    lab.apply(&[]);
    virsh_xml(
        "create",
        "<domain type='qemu'><name>stranger</name><memory unit='MiB'>64</memory>\
         <os><type arch='x86_64' machine='q35'>hvm</type></os><devices><disk type='volume' device='disk'>\
         <driver name='qemu' type='qcow2'/><source pool='grows' volume='one.data.qcow2'/>\
         <target dev='vda' bus='virtio'/></disk></devices></domain>",
    );
    lab.define(&text("32MiB", false));
    lab.apply(&["--max-disruption", "live"]);
    assert!(capacity().contains("33554432"), "{}", capacity());
    virsh(&["destroy", "stranger"]);
    lab.destroy();
}
