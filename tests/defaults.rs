//! What a row says that there is without its key is what there is: the key written out as it says makes the same lab.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::fs;

use miniascape::file::confined::Confined;
use miniascape::lab::attributes::{Attribute, Object};
use miniascape::lab::explain::{objects, values};
use miniascape::lab::written::LAB;
use miniascape::lab::{self, Source};
use miniascape::view::Color;
use miniascape::view::diagnostic::render;
use serde_json::{Value, json};

/// A lab in which everything has a name that can have one.
fn base() -> Value {
    json!({
        "lab": "defaults",
        "networks": {"n": {"address": "10.9.0.1/24", "domain": "n.test"}},
        "pools": {"p": {"path": "/pools/p"}},
        "images": {"i": {"pool": "p", "source": "i.raw"}},
        "host": {"isos": {"y": {"path": "/y.iso"}}},
        "guests": {"g": {
            "disks": {"d": {"pool": "p", "size": "1GiB"}},
            "interfaces": {"e": {"network": "n", "ip": "10.9.0.11"}},
        }},
    })
}

/// What a thing is called below a key.
fn name_below(key: &str) -> &'static str {
    match key {
        "networks" => "n",
        "pools" => "p",
        "images" => "i",
        "guests" => "g",
        "disks" => "d",
        "interfaces" => "e",
        "targets" => "iqn.2026-01.test:x",
        _ => "x",
    }
}

/// What a map has to have besides, by its key and the one above.
fn besides(above: &str, key: &str) -> Value {
    match (above, key) {
        ("repositories", _) => json!({"url": "https://x.test/debian", "suite": "x"}),
        (_, "install") => json!({"os": "debian-12", "location": "https://x.test/debian"}),
        ("files", _) => json!({"content": "a", "dst": "/a"}),
        ("isos", _) => json!({"path": "/x.iso"}),
        ("targets", _) => {
            json!({"luns": {"x": {"path": "/dev/x"}}, "initiators": "iqn.2026-01.test:y"})
        }
        (_, "graphics") => json!({"type": "spice"}),
        (_, "direct") => json!({"dev": "eth9"}),
        ("hostdevs", _) => json!({"pci": "0000:01:00.0"}),
        ("shares", _) => json!({"source": "/srv"}),
        ("luns", _) => json!({"path": "/dev/x"}),
        _ => json!({}),
    }
}

/// All keys, each with its path.
fn keys(
    object: &'static Object,
    path: &[String],
    found: &mut Vec<(Vec<String>, &'static Attribute)>,
) {
    for attribute in object.keys {
        // What guests share is theirs.
        if path.is_empty() && matches!(attribute.key, "common" | "groups") {
            continue;
        }
        let mut path = path.to_vec();
        path.push(attribute.key.to_owned());
        found.push((path.clone(), attribute));
        let below = values(&attribute.takes);
        if below.is_some() {
            path.push(name_below(attribute.key).to_owned());
        }
        for object in objects(below.unwrap_or(&attribute.takes)) {
            keys(object, &path, found);
        }
    }
}

/// The lab as meant, with this value at a path, or only the maps that lead to it; what is said where it is none.
fn meant(path: &[String], value: Option<&Value>) -> Result<Value, String> {
    let dir = tempfile::tempdir().unwrap();
    let mut lab = base();
    let (key, above) = path.split_last().unwrap();
    let mut at = &mut lab;
    let mut under = "";
    for part in above {
        if let ("direct", Value::Object(nic)) = (part.as_str(), &mut *at) {
            nic.remove("network");
        }
        at = &mut at[part];
        if at.is_null() {
            *at = besides(under, part);
        }
        under = part;
    }
    if let Some(value) = value {
        at[key] = value.clone();
    }
    fs::write(dir.path().join("i.raw"), [0; 512]).unwrap();
    fs::write(dir.path().join("lab.yaml"), lab.to_string()).unwrap();
    let definition = lab::read(&Source {
        dir: dir.path().to_owned(),
        config: Vec::new(),
        vars: serde_json::Map::new(),
        system_dir: dir.path().join("etc"),
        confined: Confined::default(),
    });
    let told = render(&definition.diagnostics, &definition.sources, Color::Never);
    let lab = definition
        .lab
        .filter(|_| !definition.diagnostics.has_errors());
    let shown = serde_json::to_string(&lab.ok_or(told)?).unwrap();
    let dir = dir.path().to_str().unwrap();
    Ok(serde_json::from_str(&shown.replace(dir, "DIR")).unwrap())
}

/// The value that a default stands for: what it says, or the default of another key of the same map.
fn value_of(default: &str, path: &[String], all: &[(Vec<String>, &Attribute)]) -> Option<Value> {
    let word = default.strip_prefix('`')?.strip_suffix('`')?;
    if word.contains('`') {
        return None;
    }
    let (_, above) = path.split_last().unwrap();
    let beside = all.iter().find(|(other, _)| {
        let (key, other) = other.split_last().unwrap();
        other == above && key == word
    });
    match beside {
        Some((path, attribute)) => value_of(attribute.default, path, all),
        None => Some(serde_yaml::from_str(word).unwrap()),
    }
}

/// Keys whose default the lab does not have: libvirt has the same, a template, or it is made of a name.
const ELSEWHERE: [&str; 7] = [
    "networks.n.dns.enabled",
    "guests.g.clock",
    "guests.g.clock.offset",
    "guests.g.interfaces.e.link",
    "guests.g.video.model",
    "guests.g.system.repositories.x.components",
    "host.isos.x.mount",
];

#[test]
fn a_key_that_says_its_default_changes_nothing() {
    let mut all = Vec::new();
    keys(&LAB, &[], &mut all);
    let (mut tried, mut told) = (0, Vec::new());
    let mut untried = Vec::new();
    for (path, attribute) in &all {
        let Some(value) = value_of(attribute.default, path, &all) else {
            continue;
        };
        let path_text = path.join(".");
        match (meant(path, None), meant(path, Some(&value))) {
            (Ok(without), Ok(with)) => {
                tried += 1;
                if without != with {
                    told.push(path_text);
                }
            }
            (without, with) => untried.push(format!(
                "{path_text}: {}{}",
                without.err().unwrap_or_default(),
                with.err().unwrap_or_default()
            )),
        }
    }
    assert!(untried.is_empty(), "{}", untried.join("\n"));
    assert_eq!(told, ELSEWHERE);
    assert_eq!(tried, 104);
}
