//! What cloud-init reads, and Ubuntu's installer through it: cloud-init's own schema (deprecated keys are mistakes),
//! `netplan generate`, the rules of autoinstall and shellcheck, for every release.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

#[path = "common/checks.rs"]
mod checks;
#[path = "common/golden.rs"]
mod golden;
#[path = "common/variants.rs"]
mod variants;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use miniascape::desired::answers::AnswerFile;
use serde_json::{Value, json};

/// A guest and its files.
type Answers = (String, Vec<AnswerFile>);

fn target(path: &str) -> std::path::PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target")
        .join(path);
    assert!(
        path.exists(),
        "there is no {}: run scripts/setup",
        path.display()
    );
    path
}

fn validate(directory: &Path) -> Output {
    Command::new(target("venv/bin/python"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/cloud_init.py"))
        .arg(directory)
        .arg(target("validators"))
        .output()
        .unwrap()
}

/// Has all answers judged; prints and returns the counts, by kind: files and valid ones.
fn check(title: &str, more: Value) -> BTreeMap<String, (usize, usize)> {
    let answers = variants::answers(&variants::lab(&more));
    let counts = judge(title, &answers);
    assert_eq!(answers.len(), 64);
    counts
}

/// Has answers checked; gives by kind of file how many there are, and how many are valid. Scripts in them are a kind, too.
fn judge(title: &str, answers: &[Answers]) -> BTreeMap<String, (usize, usize)> {
    let directory = tempfile::tempdir().unwrap();
    for (guest, files) in answers {
        for file in files {
            fs::write(
                directory.path().join(format!("{guest}.{}", file.name)),
                &file.text,
            )
            .unwrap();
        }
    }
    let output = validate(directory.path());
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    let last = text.lines().last().unwrap();
    let mut counts: BTreeMap<String, (usize, usize)> = serde_json::from_str(last).unwrap();
    for (kind, (files, valid)) in &counts {
        println!("{title}: {kind}: {files} files, {valid} valid");
        assert_eq!(files, valid, "{text}");
    }
    assert_eq!(counts["user-data"].0, answers.len());
    let mut scripts: Vec<String> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".sh"))
        .collect();
    scripts.sort();
    checks::shellcheck(directory.path(), &scripts);
    println!("{title}: {} scripts without findings", scripts.len());
    counts.insert("scripts".to_owned(), (scripts.len(), scripts.len()));
    counts
}

fn autoinstall(os: &str) {
    let counts = check(
        os,
        json!({"install": {"os": os, "location": {"pool": "isos", "volume": "ubuntu.iso"}}}),
    );
    assert_eq!(counts["autoinstall"], counts["user-data"]);
    let (networks, scripts) = (counts["autoinstall network"], counts["scripts"]);
    assert_eq!((networks.0, scripts.0), (55, 316));
}

#[test]
fn ubuntu_20_04() {
    autoinstall("ubuntu20.04");
}

#[test]
fn ubuntu_22_04() {
    autoinstall("ubuntu22.04");
}

#[test]
fn ubuntu_24_04() {
    autoinstall("ubuntu24.04");
}

#[test]
fn ubuntu_26_04() {
    autoinstall("ubuntu26.04");
}

#[test]
fn examples_are_valid() {
    let labs = variants::examples();
    let answers: Vec<Answers> = labs
        .iter()
        .flat_map(variants::answers)
        .filter(|(_, files)| files[0].name == "user-data")
        .collect();
    let counts = judge("examples", &answers);
    assert_eq!((counts["user-data"], counts["scripts"]), ((2, 2), (5, 5)));
}

#[test]
fn cloud_images() {
    let counts = check("cloud-init", json!({"cloud_init": {"pool": "isos"}}));
    assert_eq!(counts["scripts"].0, 182);
    assert_eq!(counts["network-config"], counts["user-data"]);
}

/// The validators find what is wrong: a misspelt and a deprecated key, a bad card, a bad autoinstall.
#[test]
fn what_is_not_valid_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    for guest in ["deprecated", "network", "storage", "twice", "wrong"] {
        write(
            &format!("{guest}.meta-data"),
            "instance-id: a\nlocal-hostname: a\n",
        );
    }
    write("deprecated.user-data", "#cloud-config\napt_update: true\n");
    write("network.user-data", "#cloud-config\nhostname: a\n");
    write(
        "network.network-config",
        "version: 2\nethernets: {a: {dhcp4: true, addresses: [1.2.3]}}\n",
    );
    write(
        "storage.user-data",
        "#cloud-config\nautoinstall: {version: 1, storage: {layout: {name: big}}, user-data: {hostname: a}}\n",
    );
    write("twice.user-data", "#cloud-config\nhostname: a\n");
    write("wrong.user-data", "#cloud-config\nusers: 7\n");
    let text = String::from_utf8(validate(directory.path()).stdout).unwrap();
    for (guest, kind) in [
        ("deprecated", "user-data"),
        ("network", "network-config"),
        ("storage", "autoinstall"),
        ("wrong", "user-data"),
    ] {
        assert!(
            text.contains(&format!("{guest}: {kind}: ")),
            "{guest}: {text}"
        );
    }
    assert!(!text.contains("twice: user-data"), "{text}");
    write(
        "twice.user-data",
        "#cloud-config\nhostname: a\nhostname: b\n",
    );
    let output = validate(directory.path());
    assert!(!output.status.success());
}

/// The command that administrators have reads the same.
#[test]
fn the_command_of_cloud_init_is_content() {
    let packages = target("validators").join("usr/lib/python3/dist-packages");
    let lab = variants::lab(&json!({"cloud_init": {"pool": "isos"}}));
    let directory = tempfile::tempdir().unwrap();
    for (guest, files) in variants::answers(&lab).into_iter().rev().take(2) {
        let file = directory.path().join(guest);
        fs::write(&file, &files[0].text).unwrap();
        let output = Command::new(target("venv/bin/python"))
            .args(["-m", "cloudinit.cmd.main", "schema", "--config-file"])
            .arg(&file)
            .env("PYTHONPATH", &packages)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.starts_with("Valid"),
            "{text}"
        );
    }
}

#[test]
fn installs_read_as_expected() {
    variants::golden("autoinstall");
}

#[test]
fn cloud_configs_read_as_expected() {
    variants::golden("cloud-init");
}

/// What a reader of YAML gets are the texts of the definition.
#[test]
fn texts_arrive_as_they_were_written() {
    let lab = variants::lab(&json!({"cloud_init": {"pool": "isos"}}));
    let mut compared = 0;
    for (guest, files) in variants::answers(&lab) {
        let document: Value = serde_yaml::from_str(&files[0].text).unwrap();
        let system = &lab.guests[guest.as_str()].system;
        let commands = document["runcmd"].as_array().cloned().unwrap_or_default();
        let scripts: Vec<&str> = commands
            .iter()
            .filter_map(|words| words[2].as_str())
            .collect();
        for script in &system.scripts.post {
            let found = scripts
                .iter()
                .any(|text| text.trim_end() == script.trim_end());
            assert!(found, "{guest}: {script:?} is not in {scripts:?}");
            compared += 1;
        }
        for (number, user) in system.users.iter().enumerate() {
            let found = &document["users"][number + 1];
            assert_eq!(found["gecos"].as_str(), user.gecos.as_deref(), "{guest}");
            assert_eq!(
                found["hashed_passwd"].as_str(),
                user.password.as_deref(),
                "{guest}"
            );
            compared += 1;
        }
    }
    assert!(compared > 50, "{compared}");
}
