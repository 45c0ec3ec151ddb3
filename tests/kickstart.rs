//! Kickstart files for every release, with every setting of a system: pykickstart takes them without a warning, and reads in
//! them what the guest is to be. The scripts in them pass shellcheck.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

#[allow(dead_code, reason = "not every test uses all of it")]
#[path = "common/answers.rs"]
mod answers;
#[path = "common/golden.rs"]
mod golden;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use answers::{Answers, Setting, alone, examples, pairs, product, run, settings};
use serde_json::json;

const STORAGE: &str = "zerombr\nclearpart --all --initlabel\nreqpart\npart / --fstype=xfs --grow\nbootloader --append=\"quiet\"\n";

/// A directory of files by version of kickstart's syntax, and of the scripts in them.
struct Bench {
    files: PathBuf,
    scripts: PathBuf,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let bench = Self {
            files: directory.path().join("files"),
            scripts: directory.path().join("scripts"),
            _directory: directory,
        };
        fs::create_dir(&bench.files).unwrap();
        fs::create_dir(&bench.scripts).unwrap();
        bench
    }

    /// Adds a file to be checked, with the guest that is meant.
    fn add(&self, answers: &Answers) {
        let file = &answers.unattended.files[0];
        assert_eq!(file.name, "ks.cfg");
        assert!(answers.unattended.done.is_some(), "{}", answers.name);
        let place = self.files.join(answers.os.pykickstart().unwrap());
        fs::create_dir_all(&place).unwrap();
        let path = place.join(format!("{}-{}.cfg", answers.os, answers.name));
        fs::write(&path, &file.text).unwrap();
        fs::write(path.with_extension("json"), answers.guest.to_string()).unwrap();
    }

    fn check(&self) -> Command {
        let mut command = python();
        command.arg("check").args([&self.files, &self.scripts]);
        command
    }
}

fn python() -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/venv/bin/python");
    assert!(
        python.is_file(),
        "{} is missing: run scripts/setup",
        python.display()
    );
    let mut command = Command::new(python);
    command.arg(root.join("tests/python/kickstart.py"));
    command
}

/// The operating systems whose files are checked as a version of kickstart's syntax, the one with the whole table first.
fn systems(version: &str) -> Vec<String> {
    let names: &[&str] = match version {
        "RHEL7" => &["rhel7.9", "centos7", "ol7.9"],
        "RHEL8" => &["rhel8.10", "centos-stream8", "almalinux8", "rocky8", "ol8"],
        "RHEL9" => &["rhel9.4", "centos-stream9", "almalinux9", "rocky9", "ol9"],
        "RHEL10" => &[
            "rhel10.0",
            "centos-stream10",
            "almalinux10",
            "rocky10",
            "ol10",
        ],
        fedora => return vec![fedora.replace('F', "fedora")],
    };
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The settings of all installers, and those that not all can be told.
fn every_setting(storage: &str) -> Vec<Setting> {
    let mut settings = settings(storage);
    let packages = settings.iter_mut().find(|it| it.key == "packages").unwrap();
    for (name, value) in [
        (
            "patterns",
            json!({"add": ["git"], "remove": ["*-firmware", "l[!i]b?", "vim*"]}),
        ),
        (
            "missing",
            json!({"add": ["git", "nowhere"], "missing": "ignore"}),
        ),
    ] {
        let value = json!({"system": {"packages": value}});
        packages.values.push((name, value));
    }
    settings
}

#[test]
fn every_setting_is_valid_for_every_release() {
    let bench = Bench::new();
    let settings = every_setting(STORAGE);
    // `reqpart` came with Fedora 23.
    let old = every_setting(&STORAGE.replace("reqpart", "part /boot --size=500"));
    let settings_alone = alone(&old);
    let mut table = alone(&settings);
    table.extend(pairs(&settings));
    table.extend(product(&settings, &["storage", "network", "firewall"]));
    let versions = run(python().arg("versions"));
    let versions: Vec<&str> = versions.lines().collect();
    assert!(versions.contains(&"F20") && versions.contains(&"F26"));
    for (place, version) in versions.iter().enumerate() {
        // Every setting alone for each, and in pairs for RHEL and the newest of Fedora.
        let is_whole = version.starts_with("RHEL") || place + 3 >= versions.len();
        let each = if is_whole { &table } else { &settings_alone };
        for (index, os) in systems(version).iter().enumerate() {
            let cases = if index == 0 { &each[..] } else { &each[..1] };
            for answers in answers::answers(os, cases) {
                assert_eq!(answers.os.pykickstart().as_deref(), Some(*version));
                bench.add(&answers);
            }
        }
    }
    print!("{}", run(&mut bench.check()));
    let found: Vec<PathBuf> = walkdir::WalkDir::new(&bench.scripts)
        .sort_by_file_name()
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.is_file())
        .collect();
    assert_eq!(found.len(), 96);
    for shell in ["sh", "bash"] {
        let of_shell = || {
            found
                .iter()
                .filter(|path| path.extension().is_some_and(|ending| ending == shell))
        };
        for path in of_shell() {
            run(Command::new("bash").arg("-n").arg(path));
        }
        run(Command::new("shellcheck")
            .args(["-s", shell])
            .args(of_shell()));
        println!(
            "scripts of kickstart for {shell}: {} checked",
            of_shell().count()
        );
    }
}

#[test]
fn examples_are_valid() {
    let bench = Bench::new();
    let mut count = 0;
    for answers in examples("ks.cfg") {
        bench.add(&answers);
        count += 1;
    }
    print!("{}", run(&mut bench.check()));
    assert_eq!(count, 2);
    println!("kickstart of the examples: {count} files, {count} valid");
}

#[test]
fn the_check_finds_what_is_wrong() {
    let plain = || answers::answers("rhel9", &alone(&settings(STORAGE))[..1]).remove(0);
    let wrong: [(&str, &str, &str); 4] = [
        ("lang en_US.UTF-8\n", "lang\n", "lang"),
        ("reboot\n", "reboot\ninstall\n", "install"),
        (
            "timezone UTC --utc",
            "timezone Europe/Rome --utc",
            "timezone",
        ),
        (
            "%post --nochroot\n",
            "%post\ntrue\n%end\n%post --nochroot\n",
            "may fail",
        ),
    ];
    for (right, wrong, named) in wrong {
        let bench = Bench::new();
        let mut answers = plain();
        let text = &mut answers.unattended.files[0].text;
        assert!(text.contains(right), "{right}");
        *text = text.replace(right, wrong);
        bench.add(&answers);
        let output = bench.check().output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{wrong}");
        assert!(complaint.contains(named), "{complaint}");
    }
}

/// The bodies of the sections `%post`, but for the last, which speaks to the serial console.
fn posts(text: &str) -> Vec<String> {
    let sections = text.split("\n%post").skip(1);
    let mut bodies: Vec<String> = sections
        .map(|section| {
            let body = section.split_once('\n').unwrap().1;
            body.split("\n%end").next().unwrap().to_owned() + "\n"
        })
        .collect();
    bodies.pop();
    bodies
}

#[test]
fn scripts_come_through_as_they_are() {
    let settings = settings(STORAGE);
    let mut count = 0;
    for answers in answers::answers("fedora44", &alone(&settings)) {
        let wanted = answers.guest["system"]["scripts"]["post"].as_array();
        let bodies = posts(&answers.unattended.files[0].text);
        if !answers.name.starts_with("scripts-") {
            continue;
        }
        for (wanted, body) in wanted.unwrap().iter().zip(&bodies) {
            let wanted = wanted.as_str().unwrap();
            // Run by another shell, or from a file of another name, it would print another `$0`.
            let print = |script: &str| {
                let script = script.replace("echo \"$0\"", "echo \"$BASH\"");
                run(Command::new("bash").arg("-c").arg(script))
            };
            assert_eq!(print(wanted), print(body), "{}", answers.name);
            count += 1;
        }
    }
    assert_eq!(count, 5);
}

#[test]
fn files_arrive_with_their_mode_below_new_directories() {
    use std::os::unix::fs::PermissionsExt as _;
    let case = answers::Case {
        name: "web1".into(),
        guest: serde_json::json!({
            "system": {"users": {"ada": {"sudo": true}}},
            "files": {
                "key": {"content": "a 'b' $c\n%end\n", "dst": "/srv/a b/key", "mode": "0600"},
                "empty": {"content": "", "dst": "/etc/empty", "mode": "0755"},
            },
        }),
    };
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    // What only root may do, or what would look at this machine.
    for stub in ["chown", "visudo", "restorecon"] {
        let path = root.join(stub);
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let answers = answers::answers("rhel9", &[case]).remove(0);
    let setup = posts(&answers.unattended.files[0].text).remove(0);
    let shown = root.to_string_lossy();
    let setup = setup
        .replace("put /", &format!("put {shown}/"))
        .replace("put '/", &format!("put '{shown}/"));
    let path = std::env::var("PATH").unwrap();
    run(Command::new("sh")
        .arg("-c")
        .arg(setup)
        .env("PATH", format!("{shown}:{path}")));
    let read = |name: &str| {
        let path = root.join(name);
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        (mode, fs::read_to_string(path).unwrap())
    };
    assert_eq!(read("srv/a b/key"), (0o600, "a 'b' $c\n%end\n".into()));
    assert_eq!(read("etc/empty"), (0o755, String::new()));
    let rule = "ada ALL=(ALL) NOPASSWD: ALL\n".to_owned();
    assert_eq!(read("etc/sudoers.d/ada"), (0o440, rule));
}

#[test]
fn a_kickstart_reads_well() {
    answers::golden("redhat", "ks.cfg");
}
