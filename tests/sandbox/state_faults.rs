//! A state that cannot be read or written, and one that is lost: what is said, and that nothing was done.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fake_installer::{self, Ends};
use crate::lab::{Lab, inventory, run_in, virsh};
use crate::under_way::UnderWay;

/// One of each kind; nothing runs.
const LAB: &str = "lab: faults
networks: {faults: {mode: isolated, address: 192.168.172.1/24}}
pools: {faults: {path: @DIR@/pool}}
guests:
  one:
    running: false
    memory: 16MiB
    disks: {root: {pool: faults, size: 1MiB}, data: {pool: faults, size: 1MiB}}
    interfaces: {eth0: {network: faults}}
";

/// What is said has all of this.
fn says(told: &str, parts: &[&str]) {
    for part in parts {
        assert!(told.contains(part), "{part:?} is not said:\n{told}");
    }
    println!("{told}");
}

fn state(lab: &Lab) -> PathBuf {
    lab.path().join("state/faults.toml")
}

/// Mounts over a directory, until the value is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn tmpfs(directory: &Path, options: &str) -> Self {
        std::fs::create_dir_all(directory).unwrap();
        mount(&["-t", "tmpfs", "-o", options, "faults"], directory);
        Self(directory.to_owned())
    }

    fn read_only(directory: &Path) -> Self {
        let path = directory.display().to_string();
        mount(&["--bind", &path], directory);
        mount(&["-o", "remount,bind,ro"], directory);
        Self(directory.to_owned())
    }
}

fn mount(arguments: &[&str], directory: &Path) {
    let mounted = Command::new("mount")
        .args(arguments)
        .arg(directory)
        .status();
    assert!(mounted.unwrap().success());
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_state_that_is_not_as_written_is_refused_and_left_alone() {
    let before = inventory();
    let lab = Lab::new(LAB);
    lab.apply(&[]);
    let applied = inventory();
    let good = std::fs::read_to_string(state(&lab)).unwrap();
    let cut = good.find("[resources.\"pool.faults\"]").unwrap();
    let restore = "bring back the last good version, for instance with `git checkout`";
    for (bad, what, hint) in [
        (
            good[..cut].to_owned(),
            "the last line, `# end`, is missing: the state was cut short",
            restore,
        ),
        (
            good[..cut + 5].to_owned(),
            "the state is not as written",
            restore,
        ),
        (String::new(), "the state is empty", restore),
        (
            "\u{1}garbage".to_owned(),
            "line 1: the state is not as written",
            restore,
        ),
        (
            good.replace("status = \"applied\"", "status = \"grown\""),
            "unknown variant `grown`",
            restore,
        ),
        (
            good.replacen("one.root.qcow2", "one.r00t.qcow2", 1),
            "its checksum is that of another text",
            "take it as it is with `miniascape state check --accept`",
        ),
        (
            format!("<<<<<<< HEAD\n{good}"),
            "line 1: the state has conflict markers of a merge",
            "resolve the merge",
        ),
        (
            good.replace("version = 1", "version = 7"),
            "it has format version 7, this miniascape reads 1",
            "use the miniascape that wrote it, or a newer one",
        ),
        (
            good.replace("lab = \"faults\"", "lab = \"other\""),
            "it is the state of lab `other`, not of `faults`",
            "put it back under its name",
        ),
    ] {
        std::fs::write(state(&lab), &bad).unwrap();
        for command in [
            &["plan"][..],
            &["apply", "-y"],
            &["destroy", "-y"],
            &["status"],
        ] {
            let told = lab.fails(command);
            says(&told, &["state/faults.toml: ", what, hint]);
        }
        assert_eq!(std::fs::read_to_string(state(&lab)).unwrap(), bad);
        assert_eq!(inventory(), applied);
    }
    std::fs::write(state(&lab), b"\xff\xfe").unwrap();
    says(
        &lab.fails(&["plan"]),
        &["the state is not text (UTF-8)", restore],
    );

    std::fs::write(state(&lab), &good).unwrap();
    lab.is_settled();
    // A journal, too, and one of a newer version.
    let journal = lab.path().join("state/faults.journal");
    let open = "{\"open\":{\"version\":1,\"lab\":\"faults\"}}\n";
    std::fs::write(&journal, format!("{open}garbage\n{open}")).unwrap();
    says(
        &lab.fails(&["apply", "-y"]),
        &[
            "faults.journal: line 2: ",
            "bring the line back, or remove it",
        ],
    );
    std::fs::write(&journal, open.replace('1', "7")).unwrap();
    says(
        &lab.fails(&["apply", "-y"]),
        &["faults.journal: ", "format version 7"],
    );
    std::fs::remove_file(&journal).unwrap();
    lab.destroy();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_state_that_cannot_be_read_or_written_stops_everything() {
    let before = inventory();
    let lab = Lab::new(LAB);
    lab.apply(&[]);
    let applied = inventory();
    let toml = state(&lab);
    let good = std::fs::read(&toml).unwrap();
    let mend = "run as a user who may read and write there, or name another state directory with `--state`";

    // Root may read everything, unless it gave that up.
    std::fs::set_permissions(&toml, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    let without = "-dac_override,-dac_read_search";
    let output = Command::new("setpriv")
        .args(["--bounding-set", without, "--inh-caps", without])
        .args([env!("CARGO_BIN_EXE_miniascape"), "plan"])
        .current_dir(lab.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    says(
        &told,
        &["failed to read the state: Permission denied", mend],
    );

    std::fs::remove_file(&toml).unwrap();
    std::fs::create_dir(&toml).unwrap();
    for command in [&["plan"][..], &["apply", "-y"], &["destroy", "-y"]] {
        let told = lab.fails(command);
        says(
            &told,
            &[
                "state/faults.toml: failed to read the state: ",
                "move away what is in the place of the state",
            ],
        );
    }
    std::fs::remove_dir(&toml).unwrap();
    std::fs::write(&toml, &good).unwrap();

    // Links in the directory lead nowhere.
    let victim = lab.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    for name in [
        "faults.lock",
        "faults.journal",
        ".faults.toml.next",
        ".faults.seen",
    ] {
        let link = lab.path().join("state").join(name);
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink("../victim", &link).unwrap();
        for command in [&["apply", "-y"][..], &["destroy", "-y"]] {
            says(
                &lab.fails(command),
                &[
                    name,
                    "it is a symbolic link",
                    "move away what is in the place",
                ],
            );
        }
        std::fs::remove_file(&link).unwrap();
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    }
    assert_eq!(inventory(), applied);

    // To look takes no writing.
    let mounted = Mounted::read_only(&lab.path().join("state"));
    lab.is_settled();
    lab.ok(&["status"]);
    for command in [&["apply", "-y"][..], &["destroy", "-y"]] {
        says(
            &lab.fails(command),
            &["state", "Read-only file system", mend],
        );
    }
    drop(mounted);
    assert_eq!(inventory(), applied);

    let file = lab.path().join("file");
    std::fs::write(&file, "").unwrap();
    says(
        &lab.fails(&["apply", "-y", "--state", "file"]),
        &[
            "file: failed to make the state directory",
            "move away what is in the place",
        ],
    );
    lab.destroy();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_full_disk_stops_the_run_and_loses_nothing() {
    let before = inventory();
    let mend = "make room and run again: what was recorded so far is kept";
    // Room for the lock and part of the journal; later for the journal, and not for the state beside it.
    let mut full_in_mid_run = false;
    for pages in 2..=6 {
        let lab = Lab::new(LAB);
        let directory = lab.path().join("state");
        let _mounted = Mounted::tmpfs(&directory, &format!("size={}k", 4 * pages));
        let first = lab.run(&["apply", "-y"]);
        if first.status.success() {
            assert!(pages > 3, "nothing was too small");
        } else {
            assert_eq!(first.status.code(), Some(1));
            let told = String::from_utf8_lossy(&first.stderr);
            says(&told, &["state/faults.", "No space left on device", mend]);
            assert!(!told.contains("panicked"), "{told}");
            // What could not be done is told beside why.
            full_in_mid_run |= told.contains("faults.journal: ") && told.contains("not done: ");
            let told = lab.fails(&["apply", "-y"]);
            says(&told, &["state/faults.", "No space left on device", mend]);
        }
        mount(&["-o", "remount,size=1m"], &directory);
        lab.apply(&[]);
        lab.destroy();
        assert_eq!(inventory(), before, "{pages} pages");
        assert!(!lab.path().join("pool").exists(), "{pages} pages");
    }
    assert!(full_in_mid_run);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn two_applies_at_once_are_told_of_each_other() {
    let before = inventory();
    let lab = Lab::new(&format!(
        "{LAB}    install: {{os: debian-12, location: {{kernel: @DIR@/never.kernel, initrd: @DIR@/never.initrd}}, template: preseed.cfg.j2}}\n"
    ));
    fake_installer::write(lab.path(), "never", Ends::Never);
    std::fs::write(lab.path().join("preseed.cfg.j2"), "# {{ done }}\n").unwrap();
    let mut first = UnderWay::apply(&lab, &[]);
    first.until("wait for the install");
    let holder = format!("another miniascape (pid {} on ", first.id());
    for command in [&["apply", "-y"][..], &["destroy", "-y"]] {
        let told = lab.fails(command);
        says(
            &told,
            &[
                "state/faults.lock: ",
                &holder,
                "is changing this lab",
                "wait until it is done, or end it; the lock goes with the process",
            ],
        );
    }
    lab.ok(&["plan"]);
    lab.ok(&["status"]);
    first.signal("INT");
    assert_eq!(first.end().code, Some(130));
    lab.destroy();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_lost_state_loses_no_data() {
    let before = inventory();
    let lab = Lab::new(LAB);
    lab.apply(&[]);
    let applied = inventory();
    let lose = || std::fs::remove_dir_all(lab.path().join("state")).unwrap();
    lose();
    // Guests, networks and pools are known by their marks and UUIDs; volumes carry none.
    for command in [&["plan"][..], &["apply", "-y"]] {
        let output = run_in(lab.path(), command);
        assert_eq!(output.status.code(), Some(1));
        let told = String::from_utf8_lossy(&output.stderr);
        says(
            &told,
            &[
                "one.root.qcow2",
                "one.data.qcow2",
                "miniascape import volume.one.root",
                "miniascape import volume.one.data",
                "miniascape import --all",
            ],
        );
        assert!(!told.contains("`faults` exists"), "{told}");
    }
    assert_eq!(inventory(), applied);
    lab.ok(&["import", "--all"]);
    lab.is_settled();
    assert_eq!(inventory(), applied);

    // Whoever destroys it all the same is told what stays.
    lose();
    lab.destroy();
    assert_eq!(inventory(), applied, "another directory may own it");
    let output = run_in(lab.path(), &["destroy", "-y", "--take-over"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    says(
        &told,
        &[
            "one.root.qcow2",
            "one.data.qcow2",
            "miniascape import --all",
        ],
    );
    assert!(lab.path().join("pool/one.data.qcow2").exists());
    for file in ["one.root.qcow2", "one.data.qcow2"] {
        assert!(!virsh(&["pool-list", "--all", "--name"]).contains("faults"));
        std::fs::remove_file(lab.path().join("pool").join(file)).unwrap();
    }
    assert_eq!(inventory(), before);
}
