//! What guests wrote is worth more than the definition: no change takes it, nor stops a guest for good.

use std::process::Command;

use crate::lab::{Lab, virsh};

/// The content of a file on a seed.
fn on_seed(lab: &Lab, file: &str) -> String {
    let seed = lab.path().join("pool/cloud1.seed.img");
    let output = Command::new("mtype")
        .arg("-i")
        .arg(seed)
        .arg(format!("::/{file}"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_changed_seed_is_written_when_its_guest_is_off() {
    let definition = |package: &str, memory: &str| {
        format!(
            "lab: seed
pools: {{seed: {{path: @DIR@/pool}}}}
guests:
  cloud1:
    memory: {memory}
    shutdown_timeout: 1s
    cloud_init: true
    disks: {{root: {{pool: seed, size: 8MiB}}}}
    system: {{packages: [{package}], root: {{ssh_keys: [ssh-ed25519 AAAA a@example]}}}}
"
        )
    };
    let lab = Lab::new(&definition("curl", "64MiB"));
    lab.apply(&[]);
    let id = virsh(&["domid", "cloud1"]);

    lab.define(&definition("vim", "64MiB"));
    let plan = lab.ok(&["plan", "--detailed-exitcode"]);
    assert!(plan.contains("written by the first apply"), "{plan}");
    lab.apply(&[]);
    assert_eq!(virsh(&["domid", "cloud1"]), id, "it ran on");
    assert!(on_seed(&lab, "user-data").contains("curl"));

    // What restarts it for another reason brings it along.
    lab.define(&definition("vim", "96MiB"));
    lab.apply(&[]);
    assert!(on_seed(&lab, "user-data").contains("vim"));
    assert!(virsh(&["list", "--name"]).contains("cloud1"));

    virsh(&["destroy", "cloud1"]);
    lab.define(&definition(&format!("a{}", "b".repeat(80_000)), "96MiB"));
    lab.apply(&[]);
    assert!(on_seed(&lab, "user-data").contains("abbb"), "a larger one");
    assert!(virsh(&["list", "--name"]).contains("cloud1"));
    lab.destroy();
}
