//! What guests wrote is worth more than the definition: no change takes it, nor stops a guest for good.

use std::process::Command;

use crate::lab::{Lab, inventory, virsh, virsh_xml};

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

const SNAPSHOT: &str = "lab: snap
pools: {snap: {path: @DIR@/pool}}
guests:
  one: {memory: 64MiB, shutdown_timeout: 1s, disks: {root: {pool: snap, size: 8MiB}}}
";

#[test]
#[ignore = "needs scripts/sandbox"]
fn overlays_that_others_put_over_a_disk_stay_and_go_with_it() {
    let before = inventory();
    let lab = Lab::new(SNAPSHOT);
    lab.apply(&[]);
    let disk = || virsh(&["domblklist", "one", "--inactive"]);
    virsh(&["snapshot-create-as", "one", "first", "--disk-only"]);
    let id = virsh(&["domid", "one"]);
    let plan = lab.ok(&["plan", "--detailed-exitcode"]);
    assert!(plan.contains("disks.root stays on its overlay"), "{plan}");
    assert!(!plan.contains("Pending"), "{plan}");
    lab.apply(&[]);
    assert_eq!(virsh(&["domid", "one"]), id);

    // A change of something else keeps it, running and off; and so does one of the volume, which is refused.
    lab.define(&SNAPSHOT.replace("64MiB", "96MiB"));
    lab.apply(&[]);
    assert!(disk().contains("one.root.first"), "{}", disk());
    virsh(&["destroy", "one"]);
    lab.define(&SNAPSHOT.replace("memory: 64MiB", "memory: 80MiB, running: false"));
    let plan = lab.ok(&["plan"]);
    assert!(plan.contains("memory") && !plan.contains("path"), "{plan}");
    lab.apply(&[]);
    assert!(disk().contains("one.root.first"), "{}", disk());
    lab.define(SNAPSHOT);
    lab.apply(&[]);
    virsh(&["snapshot-create-as", "one", "second", "--disk-only"]);
    lab.is_settled();
    lab.define(&SNAPSHOT.replace("8MiB", "16MiB"));
    let refused = lab.fails(&["apply", "-y"]);
    assert!(
        refused.contains("is an overlay of it") && refused.contains("blockcommit"),
        "{refused}"
    );

    // Made anew as was asked for, they go; and with what goes.
    lab.define(SNAPSHOT);
    let overlay = |name: &str| lab.path().join(format!("pool/one.root.{name}")).exists();
    assert!(overlay("first") && overlay("second"));
    lab.apply(&["--replace", "guest.one", "--allow-data-loss", "guest.one"]);
    assert!(!overlay("first") && !overlay("second") && disk().contains("one.root.qcow2"));
    virsh(&["snapshot-create-as", "one", "third", "--disk-only"]);
    let destroyed = lab.ok(&["destroy", "-y"]);
    assert!(
        destroyed.contains("one.root.third goes, too"),
        "{destroyed}"
    );
    assert_eq!(inventory(), before);
    assert!(!lab.path().join("pool").exists());
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_disk_has_what_is_beneath_it_again() {
    let lab = Lab::new(
        "lab: chain
pools: {chain: {path: @DIR@/pool}}
images: {base: {pool: chain, source: @TINY@/tiny.qcow2}}
guests: {one: {memory: 64MiB, shutdown_timeout: 1s, disks: {root: {pool: chain, image: base}}}}
",
    );
    lab.apply(&[]);
    let at = |file: &str| lab.path().join(file).display().to_string();
    let stands_on_its_image = || {
        let xml = virsh(&["dumpxml", "one"]);
        let disk = &xml[xml.find("<disk").unwrap()..xml.find("</disk>").unwrap()];
        let files: Vec<&str> = disk
            .split("file='")
            .skip(1)
            .map(|rest| rest.split('\'').next().unwrap())
            .collect();
        assert_eq!(
            files,
            [at("pool/one.root.qcow2"), at("pool/base.qcow2")],
            "{disk}"
        );
    };
    let copy = |to: &str, more: &[&str]| {
        let to = at(to);
        let begin = [
            "blockcopy",
            "one",
            "vda",
            &to,
            "--transient-job",
            "--wait",
            "--pivot",
        ];
        virsh(&[&begin[..], more].concat());
        assert!(virsh(&["dumpxml", "one", "--inactive"]).contains("<backingStore/>"));
    };
    // libvirt writes down that there is nothing beneath a copy, which is no truth of what takes its place.
    copy("copy.qcow2", &[]);
    let refused = lab.fails(&["apply", "-y"]);
    assert!(refused.contains("--allow-data-loss guest.one"), "{refused}");
    lab.apply(&["--allow-data-loss", "guest.one"]);
    stands_on_its_image();

    let anew = [
        "--replace",
        "volume.one.root",
        "--allow-data-loss",
        "volume.one.root",
    ];
    copy("again.qcow2", &[]);
    copy("pool/one.root.qcow2", &["--reuse-external"]);
    lab.is_settled();
    lab.apply(&anew);
    stands_on_its_image();

    virsh(&[
        "snapshot-create-as",
        "one",
        "over",
        "--disk-only",
        "--no-metadata",
    ]);
    lab.is_settled();
    lab.apply(&anew);
    stands_on_its_image();
    lab.destroy();
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn who_uses_a_volume_is_found_however_it_is_spelt() {
    let lab = Lab::new(
        "lab: spelt
pools: {spelt: {path: @DIR@/link/pool}}
guests: {one: {running: false, memory: 64MiB, disks: {root: {pool: spelt, size: 8MiB}}}}
",
    );
    let at = |path: &str| lab.path().join(path).display().to_string();
    std::fs::create_dir(at("real")).unwrap();
    std::os::unix::fs::symlink(at("real"), at("link")).unwrap();
    lab.apply(&[]);
    let volume = at("real/pool/one.root.qcow2");
    let create = |over: &str, base: &str| {
        let made = Command::new("qemu-img")
            .args([
                "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, over,
            ])
            .status();
        assert!(made.unwrap().success());
    };
    // Outside of every pool, and relative.
    create(&at("over.qcow2"), "real/pool/../pool/one.root.qcow2");
    create(&at("more.qcow2"), &at("over.qcow2"));
    let disk = |path: &str| {
        format!(
            "<devices><disk type='file'><driver name='qemu' type='qcow2'/><source file='{path}'/><target dev='vda'/></disk></devices>"
        )
    };
    let stranger = |os: &str, devices: &str| {
        format!(
            "<domain type='qemu'><name>stranger</name><memory>65536</memory><os><type>hvm</type>{os}</os>{devices}</domain>"
        )
    };
    let users = [
        stranger("", &disk(&volume)),
        stranger("", &disk(&at("more.qcow2"))),
        stranger(
            &format!("<kernel>{}</kernel>", at("real/./pool/one.root.qcow2")),
            "",
        ),
    ];
    for user in users {
        virsh_xml("define", &user);
        let refused = lab.fails(&["destroy", "-y"]);
        assert!(refused.contains("guest stranger uses it"), "{refused}");
        // Nor where its pool is not active, and it cannot be looked at.
        virsh(&["pool-destroy", "spelt"]);
        let refused = lab.fails(&["destroy", "-y"]);
        assert!(refused.contains("guest stranger uses it"), "{refused}");
        virsh(&["pool-start", "spelt"]);
        assert!(std::path::Path::new(&volume).exists());
        virsh(&["undefine", "stranger"]);
    }
    lab.destroy();
    assert!(!std::path::Path::new(&volume).exists());
}
