//! Power is part of the definition: it is enforced, gracefully where the guest listens, by force where it does not.

use crate::guests::answers;
use crate::lab::{Lab, inventory, virsh};

const ONE: &str = "lab: power
networks:
  power: {address: 192.168.159.1/24, dhcp: {start: 192.168.159.100, end: 192.168.159.200}}
pools: {power: {path: @DIR@/pool}}
guests:
  one:
    memory: 128MiB
    shutdown_timeout: 60s
    boot: {kernel: @TINY@/vmlinuz, initrd: @TINY@/initrd.img, cmdline: console=ttyS0 hostname=one}
    serial: {file: @DIR@/console.log}
    disks: {data: {pool: power, size: 16MiB}}
    interfaces: {eth0: {network: power, ip: 192.168.159.11}}
";

fn state() -> String {
    virsh(&["domstate", "one"]).trim().to_owned()
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn power_is_enforced() {
    let before = inventory();
    let lab = Lab::new(ONE);
    lab.apply(&[]);
    answers("192.168.159.11");
    let console = std::fs::read_to_string(lab.path().join("console.log")).unwrap();
    assert!(console.contains("tiny-guest one ready"), "{console}");

    virsh(&["destroy", "one"]);
    let plan = lab.ok(&["plan"]);
    assert!(plan.contains("1 to start"), "{plan}");
    lab.apply(&[]);
    assert_eq!(state(), "running");

    // A network that somebody stopped comes back, and the guest that ran on gets its link back.
    answers("192.168.159.11");
    virsh(&["net-destroy", "power"]);
    lab.apply(&[]);
    answers("192.168.159.11");

    virsh(&["suspend", "one"]);
    lab.apply(&[]);
    assert_eq!(state(), "running");
    answers("192.168.159.11");

    lab.define(&ONE.replace(
        "    memory: 128MiB\n",
        "    memory: 128MiB\n    running: false\n",
    ));
    let plan = lab.ok(&["plan"]);
    assert!(plan.contains("1 to stop"), "{plan}");
    lab.apply(&[]);
    assert_eq!(state(), "shut off");
    lab.destroy();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_guest_that_does_not_listen_is_stopped_by_force_and_all_that_is_its_goes() {
    let before = inventory();
    let deaf = ONE
        .replace("shutdown_timeout: 60s", "shutdown_timeout: 2s")
        .replace("    boot: {kernel: @TINY@/vmlinuz, initrd: @TINY@/initrd.img, cmdline: console=ttyS0 hostname=one}\n", "");
    let lab = Lab::new(&deaf);
    lab.apply(&[]);
    virsh(&["snapshot-create-as", "one", "first"]);
    virsh(&["managedsave", "one"]);
    lab.destroy();
    assert_eq!(inventory(), before);

    lab.apply(&[]);
    lab.destroy();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn killed_in_the_middle_the_next_apply_finishes() {
    let before = inventory();
    // A guest that has only begun to boot does not hear that it is to shut down.
    let lab = Lab::new(&ONE.replace("shutdown_timeout: 60s", "shutdown_timeout: 0s"));
    // At moments spread over the run; each time the process dies without a chance to tidy up.
    for milliseconds in [30, 60, 90, 120, 200, 400, 800] {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_miniascape"))
            .args(["apply", "-y"])
            .current_dir(lab.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        let _ = child.kill();
        child.wait().unwrap();
        lab.apply(&[]);
        lab.destroy();
        assert_eq!(inventory(), before, "killed after {milliseconds} ms");
    }
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn what_was_saved_goes_on_unless_its_loss_is_allowed() {
    let before = inventory();
    let lab = Lab::new(ONE);
    lab.apply(&[]);
    answers("192.168.159.11");
    let how = || virsh(&["domstate", "one", "--reason"]).trim().to_owned();

    virsh(&["managedsave", "one"]);
    let status = lab.ok(&["status"]);
    let row = status.lines().find(|line| line.starts_with("guest.one"));
    assert!(row.unwrap().contains("saved"), "{status}");
    let plan = lab.ok(&["plan"]);
    assert!(plan.contains("goes on from its saved state"), "{plan}");
    lab.apply(&[]);
    assert_eq!(how(), "running (restored)");
    answers("192.168.159.11");

    let changed = ONE.replace("memory: 128MiB", "memory: 160MiB");
    virsh(&["managedsave", "one"]);
    lab.define(&changed);
    let plan = lab.ok(&["plan"]);
    assert!(plan.contains("saved memory       discarded"), "{plan}");
    let refused = lab.fails(&["apply", "-y"]);
    assert!(
        refused.contains("--allow-data-loss guest.one; to keep a guest's saved memory, start it"),
        "{refused}"
    );
    assert_eq!(how(), "shut off (saved)");
    lab.apply(&["--allow-data-loss", "guest.one"]);
    assert_eq!(how(), "running (booted)");

    // One that has gone on has nothing to lose.
    virsh(&["managedsave", "one"]);
    virsh(&["start", "one"]);
    lab.define(ONE);
    assert!(!lab.ok(&["plan"]).contains("saved memory"));

    let renamed =
        changed.replace("  one:\n", "  two:\n") + "moved: [{from: guest.one, to: guest.two}]\n";
    lab.define(&renamed);
    virsh(&["snapshot-create-as", "one", "first"]);
    virsh(&["managedsave", "one"]);
    let refused = lab.fails(&["plan"]);
    assert!(refused.contains("its memory is saved"), "{refused}");
    assert!(refused.contains("it has snapshots"), "{refused}");
    virsh(&["managedsave-remove", "one"]);
    virsh(&["snapshot-delete", "one", "first"]);
    lab.apply(&[]);
    assert_eq!(virsh(&["domstate", "two"]).trim(), "running");

    virsh(&["managedsave", "two"]);
    lab.destroy();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn destroy_waits_only_for_what_stays() {
    let before = inventory();
    // It does not listen: there is nothing that it could boot.
    let lab = Lab::new(
        "lab: quick
pools: {quick: {path: @DIR@/pool}}
guests:
  one: {memory: 64MiB, shutdown_timeout: 3s, disks: {root: {pool: quick, size: 1MiB}}}
",
    );
    let timed = |arguments: &[&str]| {
        let begin = std::time::Instant::now();
        let output = lab.run(arguments);
        let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{told}");
        (begin.elapsed().as_secs() >= 3, told)
    };
    lab.apply(&[]);
    let (waited, told) = timed(&["destroy", "-y"]);
    assert!(!waited && told.contains("switched off"), "{told}");
    lab.apply(&[]);
    let (waited, told) = timed(&["destroy", "-y", "--graceful"]);
    assert!(waited && told.contains("shut down"), "{told}");

    // A file of others; it stays, and so does what was written to it.
    let file = lab.path().join("theirs.img");
    std::fs::write(&file, vec![0; 1 << 20]).unwrap();
    let disk = format!("more: {{path: {}, format: raw}}", file.display());
    lab.define(
        &std::fs::read_to_string(lab.path().join("lab.yaml"))
            .unwrap()
            .replace("disks: {", &format!("disks: {{{disk}, ")),
    );
    lab.apply(&[]);
    let (waited, told) = timed(&["destroy", "-y"]);
    let stays = format!("not switched off at once: {} stays", file.display());
    assert!(waited && told.contains(&stays), "{told}");
    assert!(file.exists());
    assert_eq!(inventory(), before);
}
