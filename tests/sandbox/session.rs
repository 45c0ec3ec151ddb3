//! `qemu:///session`, without privileges.

use std::process::{Command, Output};

use crate::lab::{Lab, success};

const LAB: &str = "lab: session
pools: {session: {path: @DIR@/pool}}
guests:
  one:
    memory: 128MiB
    shutdown_timeout: 60s
    boot: {kernel: @TINY@/vmlinuz, initrd: @TINY@/initrd.img, cmdline: console=ttyS0}
    disks: {data: {pool: session, size: 16MiB}}
    interfaces: {eth0: {user: true}}
";

/// Runs a program as an ordinary user whose home is the lab's directory.
fn unprivileged(lab: &Lab, program: &str, arguments: &[&str]) -> Output {
    let home = lab.path().display().to_string();
    Command::new("setpriv")
        .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"])
        .arg(program)
        .args(arguments)
        .current_dir(lab.path())
        .env("HOME", &home)
        .env("XDG_RUNTIME_DIR", format!("{home}/run"))
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("XDG_CACHE_HOME")
        .env_remove("LIBVIRT_DEFAULT_URI")
        .output()
        .unwrap()
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_lab_lives_without_privileges() {
    let lab = Lab::new(LAB);
    let home = lab.path().display().to_string();
    std::fs::create_dir(lab.path().join("run")).unwrap();
    // The user has to reach the program, the kernel and its home.
    let binary = lab.path().join("miniascape");
    std::fs::copy(env!("CARGO_BIN_EXE_miniascape"), &binary).unwrap();
    for file in ["vmlinuz", "initrd.img"] {
        std::fs::copy(crate::lab::tiny().join(file), lab.path().join(file)).unwrap();
    }
    lab.define(&LAB.replace("@TINY@", "@DIR@"));
    let owned = Command::new("chown")
        .args(["-R", "nobody:nogroup", &home])
        .output()
        .unwrap();
    success(&owned, &["chown"]);

    let binary = binary.display().to_string();
    let run = |arguments: &[&str]| {
        let mut all = vec!["-c", "qemu:///session"];
        all.extend(arguments);
        success(&unprivileged(&lab, &binary, &all), arguments)
    };
    run(&["apply", "-y"]);
    run(&["plan", "--detailed-exitcode"]);
    let listed = unprivileged(&lab, "virsh", &["-c", "qemu:///session", "list", "--name"]);
    assert_eq!(success(&listed, &["virsh list"]).trim(), "one");
    run(&["destroy", "-y"]);
    let listed = unprivileged(
        &lab,
        "virsh",
        &["-c", "qemu:///session", "list", "--all", "--name"],
    );
    assert_eq!(success(&listed, &["virsh list"]).trim(), "");
    // The session's daemon ends by itself when it has been idle; its directory goes before that.
}
