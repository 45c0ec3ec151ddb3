//! Unattended installs with Debian's own installer: it is booted with answers, does what they say, and ends.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::daemon::{output, restart_if_it_hangs};
use crate::host_setup::host::{Host, how};
use crate::lab::{Lab, inventory, virsh};

/// The directory of `scripts/debian-installer`.
fn installer() -> PathBuf {
    PathBuf::from(std::env::var_os("DEBIAN_INSTALLER").expect(
        "DEBIAN_INSTALLER names the directory of scripts/debian-installer: run this by scripts/test",
    ))
}

/// Loads the driver for the disk, and says with which command the installer ends.
const WRITE: &str = "d-i preseed/early_command string \
    insmod /lib/modules/$(uname -r)/kernel/drivers/block/virtio_blk.ko; sleep 1; \
    echo {{ guest.key }} was here | dd of=/dev/{{ guest.disk_list[0].dev }} conv=sync; sync; \
    echo {{ done }} >/dev/ttyS0; poweroff -f\n";

/// An installer that powers off and did nothing. What it is to print stands in the answers, and is not printed.
const FAIL: &str =
    "# {{ done }}\nd-i preseed/early_command string echo no disk >/dev/ttyS0; poweroff -f\n";

/// A lab with one guest, and the template of its answers.
fn lab(answers: &str, timeout: &str) -> Lab {
    let lab = Lab::new("lab: empty");
    std::fs::write(lab.path().join("preseed.cfg.j2"), answers).unwrap();
    define(&lab, timeout);
    lab
}

fn define(lab: &Lab, timeout: &str) {
    lab.define(&format!(
        "lab: inst
pools: {{p: {{path: @DIR@/pool}}}}
guests:
  deb:
    memory: 512MiB
    running: false
    disks: {{root: {{pool: p, size: 64MiB, format: raw}}}}
    install:
      os: debian-12
      location: {{kernel: {0}/linux, initrd: {0}/initrd.gz}}
      template: preseed.cfg.j2
      timeout: {timeout}
",
        installer().display()
    ));
}

fn is_installed(lab: &Lab) {
    let disk = std::fs::read(lab.path().join("pool/deb.root.raw")).unwrap();
    assert!(disk.starts_with(b"deb was here\n"));
    let xml = virsh(&["dumpxml", "deb"]);
    for gone in ["<kernel>", "<initrd>", "<cmdline>", "<log ", "install-"] {
        assert!(!xml.contains(gone), "{gone} is still there: {xml}");
    }
    let pool = lab.path().join("pool");
    let files: Vec<_> = std::fs::read_dir(pool)
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .collect();
    assert_eq!(files, ["deb.root.raw"]);
}

/// Begins an apply, to be killed.
fn begin(lab: &Lab) -> Child {
    restart_if_it_hangs();
    Command::new(env!("CARGO_BIN_EXE_miniascape"))
        .args(["apply", "-y"])
        .current_dir(lab.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn kill(mut child: Child) {
    let _ = child.kill();
    child.wait().unwrap();
}

/// Waits until the guest is as told.
fn until(state: &str) {
    let begin = Instant::now();
    while virsh_state() != state {
        assert!(
            begin.elapsed() < Duration::from_secs(600),
            "the guest is {:?} and not {state}",
            virsh_state()
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn virsh_state() -> String {
    let output = output(Command::new("virsh").args(["domstate", "deb"]));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
#[ignore = "needs the sandbox"]
fn an_install_that_was_killed_goes_on() {
    let before = inventory();
    let lab = lab(WRITE, "20m");
    // While the installer is put into the pool.
    let child = begin(&lab);
    std::thread::sleep(Duration::from_millis(150));
    kill(child);
    // While it runs.
    let child = begin(&lab);
    until("running");
    std::thread::sleep(Duration::from_secs(5));
    kill(child);
    let plan = lab.plan();
    assert!(plan.to_string().contains("under way"), "{plan:#}");
    let process = || virsh(&["domid", "deb"]);
    let started = process();
    let child = begin(&lab);
    std::thread::sleep(Duration::from_secs(2));
    kill(child);
    assert_eq!(process(), started, "the installer was started twice");
    // And once more, until it has ended with nobody there to see it.
    until("shut off");
    assert!(lab.plan().to_string().contains("finished"));
    lab.apply(&[]);
    is_installed(&lab);

    // Once more, as asked for, and given up on the way.
    std::fs::remove_file(lab.path().join("preseed.cfg.j2")).unwrap();
    std::fs::write(
        lab.path().join("preseed.cfg.j2"),
        format!("# other\n{WRITE}"),
    )
    .unwrap();
    let plan = lab.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(plan.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&plan.stderr).contains("answers"));
    let refused = lab.fails(&["apply", "-y", "--replace", "guest.deb"]);
    assert!(refused.contains("--allow-data-loss guest.deb"), "{refused}");
    let mut child = Command::new(env!("CARGO_BIN_EXE_miniascape"))
        .args(["apply", "-y", "--replace", "guest.deb"])
        .args(["--allow-data-loss", "guest.deb"])
        .current_dir(lab.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    until("running");
    // SIGINT ends the waiting, not the installer.
    let pid = child.id().to_string();
    Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(virsh_state(), "running");
    lab.destroy();
    assert_eq!(inventory(), before);
    assert!(!lab.path().join("pool").exists());
}

#[test]
#[ignore = "needs the sandbox"]
fn an_install_that_failed_is_told_and_starts_over() {
    let before = inventory();
    let lab = lab(FAIL, "5s");
    let slow = lab.fails(&["apply", "-y"]);
    assert!(slow.contains("not done within 5 s"), "{slow}");
    assert_eq!(virsh_state(), "running");
    define(&lab, "20m");
    let failed = lab.fails(&["apply", "-y"]);
    for told in [
        "before it said that it was done",
        "no disk",
        "deb.install.log",
    ] {
        assert!(failed.contains(told), "{failed}");
    }
    assert!(lab.path().join("pool/deb.install.log").exists());
    assert!(lab.plan().to_string().contains("started over"));
    std::fs::write(lab.path().join("preseed.cfg.j2"), WRITE).unwrap();
    lab.apply(&[]);
    is_installed(&lab);
    lab.destroy();
    assert_eq!(inventory(), before);
}

/// Debian's tree as on a mirror, on a CD image.
fn iso(path: &Path) {
    let images =
        "dists/bookworm/main/installer-amd64/current/images/netboot/debian-installer/amd64";
    let graft = |name: &str| format!("{images}/{name}={}", installer().join(name).display());
    let output = Command::new("genisoimage")
        .args(["-quiet", "-D", "-R", "-J", "-graft-points", "-o"])
        .arg(path)
        .args([graft("linux"), graft("initrd.gz")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// The way that a lab goes with installs of its own: the host mounts a CD and serves it, `apply` fetches the installer from
/// there, and the built-in preseed runs the user's script.
#[test]
#[ignore = "needs the sandbox"]
fn debian_is_installed_from_what_the_host_serves() {
    let before = inventory();
    let host = Host::new();
    let lab = Lab::new("lab: empty");
    iso(&lab.path().join("debian.iso"));
    lab.define(
        &"lab: served
host:
  isos: {debian: {path: @DIR@/debian.iso, mount: /srv/debian, @HOW@}}
  serve: {listen: 127.0.0.1:8088}
pools: {p: {path: @DIR@/pool}}
guests:
  deb:
    memory: 512MiB
    running: false
    disks: {root: {pool: p, size: 64MiB, format: raw}}
    interfaces: {eth0: {user: true}}
    install: {os: debian-12, location: http://127.0.0.1:8088/debian/dists/bookworm, timeout: 20m}
    system:
      root: {ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVhc2lseS1yZXBsYWNlZC1ieS15b3VyLW93bi1r ada@example]}
      scripts:
        # In place of an install, which would need a mirror: what its end looks like.
        pre: |
          insmod /lib/modules/$(uname -r)/kernel/drivers/block/virtio_blk.ko
          sleep 1
          echo deb was here | dd of=/dev/vda conv=sync
          sync
          echo 'miniascape: deb is installed' >/dev/ttyS0
          poweroff -f
"
        .replace("@HOW@", how()),
    );
    lab.ok(&["generate", "-w", "work"]);
    host.script(&lab, "setup", &[]);
    // It made the pool, of which the state knows nothing.
    lab.ok(&["import", "--all"]);
    let child = begin(&lab);
    until("running");
    std::thread::sleep(Duration::from_secs(5));
    kill(child);
    lab.apply(&[]);
    is_installed(&lab);
    // The host's last: without its pool nobody sees the guest's disk, and it would stay the lab's.
    lab.destroy();
    host.script(&lab, "teardown", &[]);
    assert_eq!(inventory(), before);
}
