//! The JSON Schema takes every definition that is one, and none with a key that there is not, by an independent validator
//! (`tests/python`, installed by `scripts/setup`).

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use miniascape::lab::schema::schema;
use serde_json::{Value, json};

/// The definitions of examples and cases.
fn definitions() -> BTreeMap<String, Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeMap::new();
    for directory in [
        "examples",
        "tests/cases/plan",
        "tests/cases/generate",
        "tests/cases/definition",
    ] {
        for file in walkdir::WalkDir::new(root.join(directory)) {
            let file = file.unwrap();
            if file.path().extension().is_none_or(|end| end != "yaml") {
                continue;
            }
            // Most cases of definitions are none.
            let is_case = directory == "tests/cases/definition";
            if is_case && !file.path().with_file_name("lab.json").exists() {
                continue;
            }
            let text = fs::read_to_string(file.path()).unwrap();
            let mut value: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
            value.apply_merge().unwrap();
            let name = file.path().strip_prefix(root).unwrap();
            let value = serde_json::to_value(value).unwrap();
            found.insert(name.display().to_string(), value);
        }
    }
    found
}

/// The same definition with a key that there is not, in each place where keys are known.
fn misspelt(definition: &Value) -> Vec<Value> {
    let mut places = vec![String::new()];
    for kind in ["networks", "pools", "images", "guests", "groups"] {
        let things = definition.get(kind).and_then(Value::as_object);
        for (name, thing) in things.into_iter().flatten() {
            let place = format!("/{kind}/{name}");
            for below in ["disks", "interfaces", "users", "files"] {
                let things = thing.get(below).and_then(Value::as_object);
                let names = things.into_iter().flatten().map(|(name, _)| name);
                places.extend(names.map(|name| format!("{place}/{below}/{name}")));
            }
            for below in ["system", "install", "cpu", "boot", "lifecycle"] {
                if thing.get(below).is_some_and(Value::is_object) {
                    places.push(format!("{place}/{below}"));
                }
            }
            places.push(place);
        }
    }
    let broken = places.into_iter().filter_map(|place| {
        let mut definition = definition.clone();
        let map = definition.pointer_mut(&place)?.as_object_mut()?;
        map.insert("nonsense".to_owned(), json!(1));
        Some(definition)
    });
    broken.collect()
}

#[test]
fn what_is_a_definition_is_one_by_the_schema() {
    let valid = definitions();
    assert!(valid.len() > 400, "{}", valid.len());
    let mut refused = BTreeMap::new();
    for (name, definition) in &valid {
        for (nth, broken) in misspelt(definition).into_iter().enumerate() {
            refused.insert(format!("{name}, {nth}"), broken);
        }
    }
    assert!(refused.len() > 1500, "{}", refused.len());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut judge = Command::new(root.join("target/venv/bin/python"))
        .arg(root.join("tests/python/schema.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{error}; run scripts/setup"));
    let given = json!({"schema": schema(), "valid": valid, "refused": refused});
    let mut stdin = judge.stdin.take().unwrap();
    stdin.write_all(given.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = judge.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}
