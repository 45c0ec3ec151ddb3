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

#[test]
#[ignore = "needs scripts/sandbox"]
fn what_is_made_anew_is_named_and_agreed_to() {
    let definition = "lab: anew
networks: {anew: {address: 192.168.158.1/24}}
pools: {anew: {path: @DIR@/pool}}
guests:
  one:
    memory: 64MiB
    shutdown_timeout: 1s
    disks: {root: {pool: anew, size: 1MiB, format: raw}, data: {pool: anew, size: 1MiB, format: raw, keep: true}}
    interfaces: {eth0: {network: anew}}
";
    let lab = Lab::new(definition);
    lab.apply(&[]);
    let file = |disk: &str| lab.path().join(format!("pool/one.{disk}.raw"));
    let write = |disk: &str| {
        let mut bytes = vec![0; 1 << 20];
        bytes[..3].copy_from_slice(b"old");
        std::fs::write(file(disk), bytes).unwrap();
    };
    let is_old = |disk: &str| std::fs::read(file(disk)).unwrap().starts_with(b"old");
    write("root");
    write("data");

    for unknown in ["guest.none", "volume.one.rot"] {
        let refused = lab.fails(&["apply", "-y", "--replace", unknown]);
        assert!(refused.contains("to replace"), "{refused}");
    }
    let replace = ["--replace", "guest.one"];
    let refused = lab.fails(&[&["apply", "-y"], &replace[..]].concat());
    assert!(
        refused.contains("add --allow-data-loss guest.one;"),
        "{refused}"
    );
    assert!(is_old("root") && is_old("data"));
    let id = virsh(&["domid", "one"]);
    lab.apply(&[&replace[..], &["--allow-data-loss", "guest.*"]].concat());
    assert_ne!(virsh(&["domid", "one"]), id);
    assert!(!is_old("root") && is_old("data"));

    // A network or pool is made anew under the guests, too.
    let id = virsh(&["domid", "one"]);
    lab.apply(&["--replace", "network.anew"]);
    assert_eq!(virsh(&["domid", "one"]), id);

    // What libvirt refuses is found out before anything goes.
    lab.define(&definition.replace(
        "    memory: 64MiB",
        "    memory: 64MiB\n    machine: nonsuch",
    ));
    lab.fails(
        &[
            &["apply", "-y"],
            &replace[..],
            &["--allow-data-loss", "guest.one"],
        ]
        .concat(),
    );
    assert_eq!(virsh(&["domid", "one"]), id);

    lab.define(&definition.replace(
        "    memory: 64MiB",
        "    memory: 64MiB\n    lifecycle: {prevent_destroy: true}",
    ));
    lab.apply(&[]);
    let refused = lab.fails(
        &[
            &["apply", "-y"],
            &replace[..],
            &["--allow-data-loss", "guest.one"],
        ]
        .concat(),
    );
    assert!(refused.contains("prevent_destroy"), "{refused}");
    lab.define(definition);
    lab.apply(&[]);
    lab.destroy();
}
