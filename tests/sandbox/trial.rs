//! What cannot be made costs nothing that is there: a volume that is to replace another is tried before that goes.

use std::process::Command;

use crate::lab::{Lab, inventory, virsh};

const LAB: &str = "lab: trial
pools: {trial: {path: @DIR@/pool}, other: {path: @DIR@/other}}
guests:
  one:
    memory: 64MiB
    shutdown_timeout: 1s
    disks: {root: {pool: trial, size: 4MiB, format: raw}}
";

const ANEW: [&str; 2] = ["--allow-data-loss", "volume.one.root"];

fn files(lab: &Lab, pool: &str) -> Vec<String> {
    let files = std::fs::read_dir(lab.path().join(pool)).unwrap();
    let mut files: Vec<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    files
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_disk_stays_whose_successor_cannot_be_made() {
    let lab = Lab::new(LAB);
    lab.apply(&[]);
    let id = virsh(&["domid", "one"]);
    let disk = lab.path().join("pool/one.root.raw");
    let mut content = b"what the guest wrote".to_vec();
    content.resize(4 << 20, 0);
    std::fs::write(&disk, &content).unwrap();

    let with = |to: &str| LAB.replace("pool: trial, size: 4MiB, format: raw", to);
    let odd = "xml: <volume><target><clusterSize unit='B'>3</clusterSize></target></volume>";
    let unknown = "xml: <volume><target><format type='nonsuch'/></target></volume>";
    for (definition, told) in [
        // What only qemu-img knows, what libvirt's schema forbids, and what there is no room for; in place and under another name.
        (
            with(&format!("pool: trial, size: 4MiB, {odd}")),
            "failed to try volume miniascape-trial-one.root.raw",
        ),
        (
            with(&format!("pool: other, size: 4MiB, format: raw, {unknown}")),
            "failed to try volume",
        ),
        (
            with("pool: other, size: 512TiB, format: raw, allocation: full"),
            "failed to look for room for 512 TiB in pool other",
        ),
    ] {
        lab.define(&definition);
        let failed = lab.fails(&[&["apply", "-y"], &ANEW[..]].concat());
        assert!(failed.contains(told), "{failed}");
        assert!(!failed.contains("shut down"), "{failed}");
        assert_eq!(virsh(&["domid", "one"]), id);
        assert!(std::fs::read(&disk).unwrap() == content);
        assert_eq!(files(&lab, "pool"), ["one.root.raw"]);
        lab.define(LAB);
        lab.apply(&[]);
        assert_eq!(virsh(&["domid", "one"]), id);
    }

    lab.define(&with("pool: other, size: 4MiB"));
    lab.apply(&ANEW);
    assert_eq!(files(&lab, "other"), ["one.root.qcow2"]);
    lab.destroy();
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_trial_that_was_broken_off_leaves_nothing() {
    let before = inventory();
    let over = LAB.replace("size: 4MiB, format: raw", "image: base")
        + "images: {base: {pool: trial, source: @TINY@/tiny.qcow2}}\n";
    let anew = over.replace("pool: trial, image", "pool: other, image");
    for next in ["the same", "the old", "none", "nothing"] {
        let lab = Lab::new(&over);
        lab.apply(&[]);
        let old = files(&lab, "pool");
        lab.define(&anew);
        let died = Command::new(env!("CARGO_BIN_EXE_miniascape"))
            .args(["apply", "-y"])
            .args(ANEW)
            .env(
                "MINIASCAPE_CRASH_AT",
                "try volume miniascape-trial-one.root.qcow2: it is made",
            )
            .current_dir(lab.path())
            .output()
            .unwrap();
        assert!(!died.status.success(), "{died:?}");
        assert!(files(&lab, "pool").contains(&"miniascape-trial-one.root.qcow2".to_owned()));
        match next {
            "the same" => {
                lab.apply(&ANEW);
                assert_eq!(files(&lab, "pool"), ["base.qcow2"]);
                assert_eq!(files(&lab, "other"), ["one.root.qcow2"]);
            }
            "the old" => {
                lab.define(&over);
                let plan = lab.ok(&["plan"]);
                assert!(plan.contains("what was made to try it goes"), "{plan}");
                lab.apply(&[]);
                assert_eq!(files(&lab, "pool"), old);
            }
            "none" => {
                lab.define("lab: trial\npools: {trial: {path: @DIR@/pool}}\n");
                lab.apply(&ANEW);
                assert_eq!(files(&lab, "pool"), [""; 0]);
            }
            _ => {}
        }
        lab.destroy();
        assert_eq!(inventory(), before, "{next}");
        assert!(!lab.path().join("pool").exists(), "{next}");
    }
}
