//! What others have under way on the disks of running guests, and what they keep of them: it is seen, and no change ends it unsaid.

use std::process::Command;

use crate::lab::{Lab, inventory, virsh};

const LAB: &str = "lab: jobs
pools: {jobs: {path: @DIR@/pool}}
guests:
  one:
    memory: 64MiB
    max_memory: 128MiB
    shutdown_timeout: 1s
    disks: {root: {pool: jobs, size: 24MiB}, data: {pool: jobs, size: 24MiB}}
";

/// The lab with disks that take a while to copy.
fn filled() -> Lab {
    let lab = Lab::new(&LAB.replace("memory: 64MiB", "running: false\n    memory: 64MiB"));
    lab.apply(&[]);
    for disk in ["root", "data"] {
        write(&lab, disk, "1");
    }
    lab.define(LAB);
    lab.apply(&[]);
    lab
}

fn write(lab: &Lab, disk: &str, pattern: &str) {
    let written = Command::new("qemu-io")
        .args(["-f", "qcow2", "-c", &format!("write -P {pattern} 0 20M")])
        .arg(lab.path().join(format!("pool/one.{disk}.qcow2")))
        .output()
        .unwrap();
    assert!(written.status.success(), "{written:?}");
}

/// What is under way on a disk.
fn job(disk: &str) -> String {
    virsh(&["blockjob", "one", disk, "--raw"])
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_job_on_a_disk_goes_on_through_every_change() {
    let before = inventory();
    let lab = filled();
    let id = virsh(&["domid", "one"]);
    let copy = lab.path().join("copy.qcow2").display().to_string();
    let jobs: [(&[&str], &str, &str); 2] = [
        (
            &[
                "blockcopy",
                "one",
                "vdb",
                &copy,
                "--transient-job",
                "--bandwidth",
                "1",
            ],
            "is being copied to",
            "Block Copy",
        ),
        (
            &["blockpull", "one", "vdb", "--bandwidth", "1"],
            "is being pulled into it",
            "Block Pull",
        ),
    ];
    let refuses = |definition: &str, arguments: &[&str], told: &str, what: &str| {
        lab.define(definition);
        let refused = lab.fails(&[&["apply", "-y"], arguments].concat());
        assert!(refused.contains(what), "{refused}");
        assert!(refused.contains(told), "{refused}");
        assert!(
            refused.contains("virsh blockjob one vdb --abort"),
            "{refused}"
        );
        assert_eq!(virsh(&["domid", "one"]), id);
    };
    let mut base = LAB.to_owned();
    for (begin, told, name) in jobs {
        if name == "Block Pull" {
            virsh(&[
                "snapshot-create-as",
                "one",
                "over",
                "--disk-only",
                "--no-metadata",
                "--diskspec",
                "vda,snapshot=no",
            ]);
        }
        virsh(begin);
        let goes_on = || assert!(job("vdb").contains(name), "{}", job("vdb"));
        let with = |old: &str, new: &str| base.replace(old, new);

        let bigger = with("max_memory: 128MiB", "max_memory: 160MiB");
        let renamed = with("  one:\n", "  two:\n") + "moved: [{from: guest.one, to: guest.two}]\n";
        let off = with("max_memory", "running: false\n    max_memory");
        let without = with(", data: {pool: jobs, size: 24MiB}", "");
        let anew = |what| ["--replace", what, "--allow-data-loss", what];
        refuses(&bigger, &[], told, "guest.one cannot be restarted now");
        refuses(&renamed, &[], told, "guest.two cannot be restarted now");
        refuses(&off, &[], told, "guest.one cannot be stopped now");
        refuses(
            &base,
            &anew("guest.one"),
            told,
            "guest.one cannot be replaced now",
        );
        refuses(
            &base,
            &anew("volume.one.root"),
            told,
            "guest.one cannot be restarted now",
        );
        refuses(
            &without,
            &["--allow-data-loss", "volume.one.data"],
            told,
            "guest.one cannot be changed now",
        );
        if name == "Block Copy" {
            // Of one with an overlay that is no matter of the job.
            let grown = with("24MiB}}", "32MiB}}");
            refuses(&grown, &[], told, "volume.one.data cannot be grown now");
        }
        goes_on();

        // What leaves it alone goes through.
        let live = with("memory: 64MiB", "memory: 72MiB");
        base = live.replace(
            "root: {pool: jobs, size: 24MiB}",
            "root: {pool: jobs, size: 32MiB}",
        );
        lab.define(&base);
        lab.apply(&[]);
        let bigger = base.replace("max_memory: 128MiB", "max_memory: 160MiB");
        lab.define(&bigger.replace("    max_memory", "    on_change: defer\n    max_memory"));
        lab.apply(&[]);
        refuses(
            &bigger,
            &["--restart-pending"],
            told,
            "guest.one cannot be restarted now",
        );
        lab.define(&base);
        lab.apply(&[]);
        goes_on();
        virsh(&["blockjob", "one", "vdb", "--abort"]);
        lab.is_settled();
    }

    virsh(&["blockcommit", "one", "vdb", "--active"]);
    let seen = lab.ok(&["plan", "--detailed-exitcode"]);
    let told = format!(
        "disks.data is being committed into {}",
        lab.path().join("pool/one.data.qcow2").display()
    );
    assert!(
        seen.split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .contains(&told),
        "{seen}"
    );
    let status = lab.ok(&["status"]);
    assert!(status.contains(&told), "{status}");
    assert!(status.contains("its overlay "), "{status}");

    let destroyed = lab.ok(&["destroy", "-y"]);
    assert!(destroyed.contains("which ends with it"), "{destroyed}");
    assert_eq!(inventory(), before);
    assert!(!lab.path().join("pool").exists());
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn checkpoints_stay_with_every_change_and_go_with_their_guest() {
    let before = inventory();
    // They are in the disk, whose format has to have room for them.
    let room = "xml: <volume><target><compat>1.1</compat></target></volume>";
    let definition = LAB.replace("24MiB}", &format!("8MiB, {room}}}"));
    let with = |old: &str, new: &str| definition.replace(old, new);
    let lab = Lab::new(&definition);
    lab.apply(&[]);
    let mut made = 0;
    let mut one_more = || {
        made += 1;
        virsh(&["checkpoint-create-as", "one", &format!("c{made}")]);
        let listed = virsh(&["checkpoint-list", "one", "--name"]);
        assert_eq!(listed.split_whitespace().count(), made, "{listed}");
        lab.is_settled();
    };
    one_more();
    // Live; with a restart; a disk that grows under its guest, and while that is off.
    let live = with("memory: 64MiB", "memory: 72MiB");
    let bigger = with("128MiB", "160MiB");
    let grown = bigger.replace(
        "data: {pool: jobs, size: 8MiB",
        "data: {pool: jobs, size: 16MiB",
    );
    let off = grown.replace("max_memory", "running: false\n    max_memory");
    let off = off.replace("size: 8MiB", "size: 12MiB");
    let on = off.replace("running: false\n    ", "");
    for change in [&live, &bigger, &grown] {
        lab.define(change);
        lab.apply(&[]);
        one_more();
    }
    lab.define(&off);
    lab.apply(&[]);
    lab.define(&on);
    lab.apply(&[]);
    one_more();

    // libvirt does not rename a guest that has any, which is known before anything is done.
    let id = virsh(&["domid", "one"]);
    lab.define(
        &(on.replace("  one:\n", "  two:\n") + "moved: [{from: guest.one, to: guest.two}]\n"),
    );
    for arguments in [&["plan"][..], &["apply", "-y"]] {
        let refused = lab.fails(arguments);
        assert!(refused.contains("virsh checkpoint-list one"), "{refused}");
    }
    assert_eq!(virsh(&["domid", "one"]), id);

    let told = |output: &str| output.split_whitespace().collect::<Vec<_>>().join(" ");
    lab.define(&on);
    let anew = |what| ["--replace", what, "--allow-data-loss", what];
    let applied = told(&lab.apply(&anew("volume.one.root")));
    assert!(applied.contains("are of the disk as it was"), "{applied}");
    one_more();
    let applied = lab.apply(&anew("guest.one"));
    assert!(
        applied.contains("snapshots and checkpoints go with it"),
        "{applied}"
    );
    assert_eq!(virsh(&["checkpoint-list", "one", "--name"]).trim(), "");
    virsh(&["checkpoint-create-as", "one", "last"]);
    let destroyed = lab.ok(&["destroy", "-y"]);
    assert!(
        destroyed.contains("snapshots and checkpoints go with it"),
        "{destroyed}"
    );
    assert_eq!(inventory(), before);
    let kept = std::fs::read_dir("/var/lib/libvirt/qemu/checkpoint").unwrap();
    assert_eq!(kept.count(), 0);
}
