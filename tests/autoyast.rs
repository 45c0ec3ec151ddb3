//! AutoYaST profiles for every release, with every setting of a system: well-formed, and of known elements in known places.
//!
//! The schema that SUSE publishes is in its package yast2-schema, which only SUSE has. `tests/autoyast.rng` writes down
//! the part of it that our profiles use; elements that it does not name are errors.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

#[allow(dead_code, reason = "not every test uses all of it")]
#[path = "common/answers.rs"]
mod answers;
#[path = "common/golden.rs"]
mod golden;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use answers::{alone, examples, pairs, product, run, settings};
use miniascape::xml::tree::Element;

const STORAGE: &str = r#"  <partitioning config:type="list">
    <drive>
      <device>/dev/vda</device>
      <use>all</use>
    </drive>
  </partitioning>
"#;

/// The operating systems, the first of each line with the whole table.
const SYSTEMS: [&[&str]; 5] = [
    &["opensuse15.6", "opensuse15.5"],
    &["opensusetumbleweed"],
    &["sles15sp6", "sles15", "sled15sp6"],
    &["sles12sp5", "sled12sp5"],
    &["opensuse15.0"],
];

/// xmllint by the schema, to be given files.
fn xmllint() -> Command {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/autoyast.rng");
    let mut command = Command::new("xmllint");
    command
        .args(["--nonet", "--noout", "--relaxng"])
        .arg(schema);
    command
}

#[test]
fn every_setting_is_valid_for_every_release() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let settings = settings(STORAGE);
    let mut table = alone(&settings);
    table.extend(pairs(&settings));
    table.extend(product(
        &settings,
        &["storage", "network", "firewall", "selinux"],
    ));
    let mut scripts: BTreeMap<String, usize> = BTreeMap::new();
    for systems in SYSTEMS {
        let mut files = Vec::new();
        for (index, os) in systems.iter().enumerate() {
            let cases = if index == 0 { &table[..] } else { &table[..1] };
            for answer in answers::answers(os, cases) {
                let file = &answer.unattended.files[0];
                assert_eq!(file.name, "autoinst.xml");
                assert!(answer.unattended.done.is_some(), "{}", answer.name);
                let path = directory.join(format!("{os}-{}.xml", answer.name));
                fs::write(&path, &file.text).unwrap();
                files.push(path);
                for script in sources(&file.text) {
                    let script =
                        script.replace(&format!("{} is installed", answer.name), "it is installed");
                    let number = scripts.len();
                    scripts.entry(script).or_insert(number);
                }
            }
        }
        let count = files.len();
        run(xmllint().args(&files));
        println!("autoyast {}: {count} files, {count} valid", systems[0]);
    }
    let paths: Vec<PathBuf> = scripts
        .iter()
        .map(|(text, number)| {
            let path = directory.join(format!("{number}.sh"));
            fs::write(&path, text).unwrap();
            path
        })
        .collect();
    assert_eq!(paths.len(), 79);
    for path in &paths {
        run(Command::new("bash").arg("-n").arg(path));
    }
    run(Command::new("shellcheck").args(["-s", "sh"]).args(&paths));
    println!("scripts of autoyast: {} checked", paths.len());
}

#[test]
fn examples_are_valid() {
    let directory = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for answers in examples("autoinst.xml") {
        let path = directory.path().join(format!("{}.xml", files.len()));
        fs::write(&path, &answers.unattended.files[0].text).unwrap();
        files.push(path);
    }
    let count = files.len();
    run(xmllint().args(&files));
    assert_eq!(count, 1);
    println!("autoyast of the examples: {count} files, {count} valid");
}

#[test]
fn the_check_finds_what_is_wrong() {
    let plain = answers::answers("opensuse15.6", &alone(&settings(STORAGE))[..1]).remove(0);
    let text = &plain.unattended.files[0].text;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("wrong.xml");
    for (right, wrong) in [
        ("</profile>", ""),
        ("<hwclock>UTC</hwclock>", "<hwclok>UTC</hwclok>"),
        ("<use>all</use>", "<use>everything</use>"),
        (">false</confirm>", ">no</confirm>"),
    ] {
        assert!(text.contains(right), "{right}");
        fs::write(&path, text.replace(right, wrong)).unwrap();
        let output = xmllint().arg(&path).output().unwrap();
        assert!(!output.status.success(), "{wrong}");
    }
}

#[test]
fn a_script_that_fails_leaves_a_note_and_no_word_of_success() {
    let settings = settings(STORAGE);
    for (script, fails) in [("cat <<'END'\nx ]]> &\nEND\n", false), ("exit 3", true)] {
        let case = answers::Case {
            name: "web1".into(),
            guest: serde_json::json!({"system": {"scripts": {"post": script}}}),
        };
        let mut table = alone(&settings);
        table.truncate(1);
        table.push(case);
        let answers = answers::answers("opensuse15.6", &table).remove(1);
        assert_eq!(answers.name, "web1");
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| format!("{}/{path}", directory.path().display());
        let mut printed = String::new();
        for script in sources(&answers.unattended.files[0].text) {
            let script = script
                .replace("/tmp/", &at(""))
                .replace("/var/log/", &at(""))
                .replace("/dev/ttyS0", &at("console"));
            printed += &run(Command::new("sh").arg("-c").arg(script));
        }
        let console = fs::read_to_string(at("console")).unwrap();
        assert_eq!(console.contains("web1 is installed"), !fails, "{console}");
        assert_eq!(console.contains("ended with status 3"), fails, "{console}");
        assert_eq!(printed, if fails { "" } else { "x ]]> &\n" });
    }
}

#[test]
fn a_profile_reads_well() {
    answers::golden("suse", "autoinst.xml");
}

/// The texts of the scripts in a profile, as a parser of XML reads them.
fn sources(profile: &str) -> Vec<String> {
    let mut left = vec![Element::parse(profile).unwrap()];
    let mut sources = Vec::new();
    while let Some(element) = left.pop() {
        if element.name == "source" {
            sources.push(element.text + "\n");
        }
        left.extend(element.children.into_iter().rev());
    }
    sources
}
