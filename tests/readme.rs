//! What the documentation shows is true: its commands exist, its definitions are valid, its JSON has the code's keys.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use miniascape::address::{Address, Name};
use miniascape::diagnostic::{Diagnostic, Diagnostics};
use miniascape::execute::Event;
use miniascape::libvirt::{ErrorKind, HypervisorError};
use miniascape::plan::drift::{Drift, Drifted};
use miniascape::plan::{Action, AttributeChange, Change, Disruption, Plan};
use miniascape::view::json;
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The contents of a page's code blocks in a language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in page.lines() {
        open = match (open, line.strip_prefix("```")) {
            (None, Some(opened)) if opened == language => Some(String::new()),
            // Blocks in other languages are gone through too, so that their end is not taken for a beginning.
            (None, Some(_)) => Some("\0".to_owned()),
            (None, None) => None,
            (Some(block), Some(_)) => {
                if !block.starts_with('\0') {
                    blocks.push(block);
                }
                None
            }
            (Some(block), None) => Some(format!("{block}{line}\n")),
        };
    }
    blocks
}

/// The arguments of every miniascape command in a page's `sh` blocks, without comments.
fn commands(page: &str) -> Vec<Vec<String>> {
    let blocks = blocks(page, "sh");
    let lines = blocks.iter().flat_map(|block| block.lines());
    lines
        .filter_map(|line| {
            let line = line.trim_start_matches("$ ").split(" #").next()?;
            let words: Vec<&str> = line.split_whitespace().collect();
            let at = words.iter().position(|word| *word == "miniascape")?;
            let arguments = words[at + 1..].iter();
            Some(arguments.map(|word| (*word).to_owned()).collect())
        })
        .collect()
}

fn miniascape(directory: &Path, arguments: &[String]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_miniascape"))
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap()
}

fn wanted(output: &Output, what: &str) {
    assert!(
        output.status.success(),
        "{what}:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn every_command_is_known() {
    let commands = commands(&page("README.md"));
    assert_eq!(commands.len(), 13, "{commands:?}");
    for arguments in commands {
        // Help wins over what a command would do, and still every option before it has to be known.
        let mut asked = arguments.clone();
        asked.push("--help".to_owned());
        wanted(&miniascape(root(), &asked), &arguments.join(" "));
    }
}

#[test]
fn an_unknown_command_would_be_found() {
    let asked = ["plan", "--no-such-option", "--help"].map(str::to_owned);
    assert!(!miniascape(root(), &asked).status.success());
}

#[test]
fn the_commands_on_the_test_driver_work() {
    let commands = commands(&page("README.md"));
    let on_test: Vec<_> = commands
        .iter()
        .filter(|arguments| arguments.iter().any(|word| word == "test:///default"))
        .collect();
    assert_eq!(on_test.len(), 1);
    for arguments in on_test {
        wanted(&miniascape(root(), arguments), &arguments.join(" "));
    }
}

/// A directory with what the definitions of the documentation name.
fn lab(definition: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let mut image = b"QFI\xfb\0\0\0\x03".to_vec();
    image.resize(104, 0);
    image[20..24].copy_from_slice(&16u32.to_be_bytes()); // clusters of 64 KiB
    image[24..32].copy_from_slice(&(16u64 << 20).to_be_bytes()); // size of the disk
    image[100..104].copy_from_slice(&104u32.to_be_bytes()); // length of the header
    write("tiny.qcow2", &image);
    write("images/debian-12.qcow2", &image);
    write("nixos.json.j2", b"{}");
    write("lab.yaml", definition.as_bytes());
    directory
}

fn valid(definition: &str) {
    let directory = lab(definition);
    let output = miniascape(directory.path(), &["validate".to_owned()]);
    wanted(&output, definition);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(errors, "", "{definition}");
}

#[test]
fn the_definition_of_the_tour_is_valid() {
    let definitions = blocks(&page("README.md"), "yaml");
    assert!(!definitions.is_empty());
    valid(&definitions[0]);
}

#[test]
fn every_key_is_documented_and_the_documented_keys_are_valid() {
    let page = page("docs/definition.md");
    let blocks = blocks(&page, "yaml");
    // A block that names a lab begins another definition; those that follow go on with it.
    let mut definitions: Vec<String> = Vec::new();
    for block in blocks.iter().filter(|block| !block.starts_with("# lab")) {
        match definitions.last_mut() {
            Some(definition) if !block.starts_with("lab: ") => definition.push_str(block),
            _ => definitions.push(block.clone()),
        }
    }
    definitions.iter().for_each(|definition| valid(definition));
    let definition = definitions.concat();

    let mut known = BTreeSet::new();
    known_in(&miniascape::lab::schema::schema(), &mut known);
    assert!(known.len() > 130, "{known:?}");
    let missing: Vec<&String> = known
        .iter()
        .filter(|key| !definition.contains(&format!("{key}:")))
        .collect();
    assert!(missing.is_empty(), "docs/definition.md lacks {missing:?}");
}

#[test]
fn every_setting_is_documented() {
    let page = page("docs/definition.md");
    let settings = blocks(&page, "toml").concat();
    let directory = lab("lab: settings\n");
    fs::write(directory.path().join("miniascape.toml"), &settings).unwrap();
    wanted(
        &miniascape(directory.path(), &["validate".to_owned()]),
        &settings,
    );
    for setting in ["connect", "state", "templates", "parallel", "[vars]"] {
        assert!(settings.contains(setting), "{setting}");
    }
}

/// The keys of everything in a value, as paths; the members of a list share one.
fn keys(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let path = format!("{path}.{key}");
                keys(value, &path, found);
                found.insert(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, path, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn keys_of(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    keys(value, "", &mut found);
    found
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

#[test]
fn the_documented_plan_has_the_keys_of_a_plan() {
    let mut problems = Diagnostics::default();
    problems.push(Diagnostic::error("they overlap").hint("move one"));
    let change = Change {
        action: Action::Update,
        attributes: vec![AttributeChange {
            name: "memory".to_owned(),
            before: None,
            after: None,
            disruption: Disruption::Restart,
            note: None,
            beside: None,
            cause: None,
            last: None,
        }],
        ..Change::unchanged(address("guest.db"), None)
    };
    let plan = json::plan(&Plan {
        lab: Name::new("shop").unwrap(),
        uri: "test:///default".to_owned(),
        changes: [(change.address.clone(), change)].into(),
        moves: Vec::new(),
        edges: BTreeSet::new(),
        problems,
    });
    let documented = blocks(&page("docs/json.md"), "json");
    let documented: Value = serde_json::from_str(&documented[0]).unwrap();
    assert_eq!(documented["format"], plan["format"]);
    assert_eq!(keys_of(&documented), keys_of(&plan));
}

#[test]
fn the_documented_events_have_the_keys_of_events() {
    let of = || address("guest.db");
    let text = || "words".to_owned();
    let events = [
        Event::Started { address: of() },
        Event::Step {
            address: of(),
            description: text(),
        },
        Event::Progress {
            address: of(),
            done: 1,
            total: 2,
        },
        Event::Note {
            address: of(),
            text: text(),
        },
        Event::Finished {
            address: of(),
            elapsed: Duration::from_secs(1),
        },
        Event::Failed {
            address: of(),
            description: text(),
            error: HypervisorError {
                kind: ErrorKind::Connection,
                message: text(),
                hint: None,
            },
        },
        Event::Skipped {
            address: of(),
            because: of(),
        },
    ];
    let documented = &blocks(&page("docs/json.md"), "json")[1];
    let documented: Vec<Value> = documented
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(documented.len(), events.len());
    for (documented, event) in documented.iter().zip(&events) {
        let event = json::event(event);
        assert_eq!(documented["event"], event["event"]);
        assert_eq!(documented["format"], event["format"]);
        assert_eq!(keys_of(documented), keys_of(&event));
    }
}

#[test]
fn the_documented_drift_has_the_keys_of_a_drift() {
    let attribute = AttributeChange {
        name: "power".to_owned(),
        before: None,
        after: None,
        disruption: Disruption::Live,
        note: None,
        beside: None,
        cause: None,
        last: None,
    };
    let drift = json::drift(&Drift {
        lab: Name::new("shop").unwrap(),
        uri: "test:///default".to_owned(),
        resources: [(address("guest.web"), Drifted::Changed(vec![attribute]))].into(),
    });
    let documented = &blocks(&page("docs/json.md"), "json")[2];
    let documented: Value = serde_json::from_str(documented).unwrap();
    assert_eq!(documented["format"], drift["format"]);
    assert_eq!(keys_of(&documented), keys_of(&drift));
}

#[test]
fn the_links_lead_somewhere() {
    for path in [
        "README.md",
        "CHANGELOG.md",
        "docs/definition.md",
        "docs/json.md",
    ] {
        let text = page(path);
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            if target.starts_with("https://") || target.starts_with('#') {
                continue;
            }
            let file = target.split('#').next().unwrap();
            let from: PathBuf = root().join(path);
            assert!(
                from.parent().unwrap().join(file).exists(),
                "{path}: {target}"
            );
        }
    }
}

/// All keys of a JSON Schema.
fn known_in(schema: &serde_json::Value, keys: &mut BTreeSet<String>) {
    let properties = schema.get("properties").and_then(|it| it.as_object());
    keys.extend(properties.into_iter().flatten().map(|(key, _)| key.clone()));
    let map = schema.as_object().into_iter().flatten();
    map.for_each(|(_, below)| known_in(below, keys));
}
