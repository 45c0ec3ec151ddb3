//! Answers for the Debian installer: `debconf-set-selections -c` and shellcheck read them for every release, and the keys
//! are those that the installers ask for.

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

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use miniascape::desired::answers::AnswerFile;
use serde_json::json;

const MIRROR: &str = "http://deb.debian.org/debian/dists/bookworm/main/installer-amd64/";

/// The questions of the installers, with their types: `name type`, from the templates of the installer's packages in
/// Debian 12 and their documentation.
const QUESTIONS: &str = include_str!("cases/answers/d-i-questions.txt");

/// Questions and answers of a preseed, read as d-i does: lines are joined at a backslash.
fn selections(text: &str) -> Vec<(String, String, String, String)> {
    let joined = text.replace("\\\n", " ");
    joined
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| {
            let mut words = line.splitn(4, char::is_whitespace).map(str::to_owned);
            let mut word = || words.next().unwrap_or_default();
            (word(), word(), word(), word())
        })
        .collect()
}

/// `debconf-set-selections` with a database of its own: the machine's is root's, and serves one process at a time.
fn set_selections(directory: &Path) -> Command {
    let file = directory.join("debconf.conf");
    let place = directory.display();
    let drivers = format!(
        "Config: config\nTemplates: templates\n\nName: config\nDriver: File\nFilename: {place}/config.dat\n\n\
         Name: templates\nDriver: File\nFilename: {place}/templates.dat\n"
    );
    fs::write(&file, drivers).unwrap();
    let mut command = Command::new("debconf-set-selections");
    command.env("DEBCONF_SYSTEMRC", file);
    command
}

fn check(release: &str, os: &str, location: serde_json::Value) {
    let lab = variants::lab(&json!({"install": {"os": os, "location": location}}));
    let answers = variants::answers(&lab);
    let scripts = judge(release, &answers);
    assert_eq!((answers.len(), scripts), (64, 79));
}

/// Has answers checked.
fn judge(release: &str, answers: &[(String, Vec<AnswerFile>)]) -> usize {
    let directory = tempfile::tempdir().unwrap();
    let types: BTreeMap<&str, &str> = QUESTIONS
        .lines()
        .filter_map(|line| line.split_once(' '))
        .collect();
    let mut scripts = Vec::new();
    for (guest, files) in answers {
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names[0], "preseed.cfg", "{guest}");
        for file in files {
            let name = format!("{guest}.{}", file.name);
            fs::write(directory.path().join(&name), &file.text).unwrap();
            if file.name.ends_with(".sh") {
                scripts.push(name);
                assert!(
                    files[0].text.contains(&file.name),
                    "{guest}: {} is not run",
                    file.name
                );
            }
        }
        let mut seen = BTreeSet::new();
        for (owner, question, kind, value) in selections(&files[0].text) {
            let known = question.replace(|c: char| c.is_ascii_digit(), "0");
            let expected = types.get(known.as_str());
            assert_eq!(
                expected,
                Some(&kind.as_str()),
                "{guest}: {owner} {question}"
            );
            assert!(
                seen.insert(question.clone()),
                "{guest}: {question} is answered twice"
            );
            if kind == "boolean" {
                assert!(
                    matches!(value.as_str(), "true" | "false"),
                    "{guest}: {question} {value}"
                );
            }
        }
    }
    let valid = |names: &[&String]| {
        let files = names.iter().map(|name| format!("{name}.preseed.cfg"));
        let text: String = files
            .map(|name| fs::read_to_string(directory.path().join(name)).unwrap())
            .collect();
        let all = directory.path().join("all.cfg");
        fs::write(&all, text).unwrap();
        let complaint = checks::complaint(set_selections(directory.path()).arg("-c").arg(all));
        complaint
            .inspect(|text| println!("{names:?}: {text}"))
            .is_none()
    };
    // It reads lines: what it finds in no line of all files it finds in none of one.
    let guests: Vec<&String> = answers.iter().map(|(guest, _)| guest).collect();
    let valid = match valid(&guests) {
        true => guests.len(),
        false => guests.iter().filter(|guest| valid(&[guest])).count(),
    };
    println!("preseed {release}: {} files, {valid} valid", answers.len());
    assert_eq!(valid, answers.len());
    checks::shellcheck(directory.path(), &scripts);
    println!(
        "preseed {release}: {} scripts without findings",
        scripts.len()
    );
    scripts.len()
}

#[test]
fn debian_10() {
    check(
        "debian10",
        "debian10",
        json!(MIRROR.replace("bookworm", "buster")),
    );
}

#[test]
fn debian_11() {
    check(
        "debian11",
        "debian11",
        json!("https://mirror.shop.test:8443/debian/dists/bullseye/main/installer-amd64"),
    );
}

#[test]
fn examples_are_valid() {
    let labs = variants::examples();
    let mut answers: Vec<_> = labs.iter().flat_map(variants::answers).collect();
    answers.retain(|(_, files)| files[0].name == "preseed.cfg");
    assert_eq!(answers.len(), 1);
    assert_eq!(judge("examples", &answers), 1);
}

#[test]
fn debian_12() {
    check("debian12", "debian12", json!(MIRROR));
}

#[test]
fn debian_13() {
    check(
        "debian13",
        "debian13",
        json!({"pool": "isos", "volume": "debian-13.iso"}),
    );
}

#[test]
fn ubuntu_18_04() {
    check(
        "ubuntu18.04",
        "ubuntu18.04",
        json!("http://archive.ubuntu.com/ubuntu/dists/bionic/main/installer-amd64/"),
    );
}

#[test]
fn what_is_not_valid_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("preseed.cfg");
    fs::write(&file, "d-i netcfg/get_hostname\n").unwrap();
    assert!(checks::complaint(set_selections(directory.path()).arg("-c").arg(&file)).is_some());
}

#[test]
fn a_small_and_a_large_install_read_as_expected() {
    variants::golden("preseed");
}

/// Another disk layout stands as it was written, and nothing of ours answers the same.
#[test]
fn the_users_own_disk_layout_stands_as_it_is() {
    let text = "d-i partman-auto/method string crypto\nd-i partman-auto/expert_recipe string \\\n  boot-crypto :: \\\n    1000 1000 -1 ext4 .\n";
    let lab = variants::resolve(
        &json!({"lab": "own", "guests": {"a": {
            "interfaces": {"eth0": {"user": true}}, "disks": {"root": {"path": "/dev/vg/it"}},
            "system": {"storage": {"custom": text}},
            "install": {"os": "debian12", "location": MIRROR},
        }}})
        .to_string(),
    );
    let preseed = &variants::answers(&lab)[0].1[0].text;
    assert!(preseed.contains(text), "{preseed}");
    assert_eq!(preseed.matches("partman-auto/method").count(), 1);
    assert!(!preseed.contains("partman-auto/disk"));
}

/// The script is run, and what it writes are the texts of the definition.
#[test]
fn files_arrive_byte_for_byte() {
    let directory = tempfile::tempdir().unwrap();
    let texts = [
        "plain\n",
        "no line break",
        "\n",
        "",
        " EOF\nEOF\nEOF_\n",
        "\t\u{1}\u{7f}\u{85}\u{2028}\n\n",
        "it's \"$HOME\" `id` \\n ünïcode \u{1f600}\n",
    ];
    let files: serde_json::Map<String, serde_json::Value> = texts
        .iter()
        .enumerate()
        .map(|(number, text)| {
            let dst = format!("{}/a b/{number}", directory.path().display());
            (
                format!("f{number}"),
                json!({"content": text, "dst": dst, "mode": "0640"}),
            )
        })
        .collect();
    let definition = json!({"lab": "files", "guests": {"a": {
        "interfaces": {"eth0": {"user": true}}, "disks": {"root": {"path": "/dev/vg/it"}},
        "files": files,
        "system": {"serial_console": false},
        "install": {"os": "debian12", "location": MIRROR},
    }}});
    let lab = variants::resolve(&definition.to_string());
    let script = directory.path().join("late.sh");
    fs::write(&script, &variants::answers(&lab)[0].1[1].text).unwrap();
    assert_eq!(checks::complaint(Command::new("sh").arg(script)), None);
    for (number, text) in texts.iter().enumerate() {
        let file = directory.path().join("a b").join(number.to_string());
        assert_eq!(fs::read_to_string(file).unwrap(), *text);
    }
}
