//! Every rule of the definition, one case folder each.
//!
//! `tests/cases/definition/CASE/` is a lab: `lab.yaml` and what else is needed, `config.txt` with one `-C` a line,
//! `vars.json` with the variables of `.j2` files. `expected.txt` holds the problems as the user reads them, or `ok`;
//! `lab.json`, where it is there, the lab as meant, without what is nothing. `UPDATE_GOLDENS=1 cargo test --test definition` writes them anew;
//! an empty `lab.json` is filled. Read the diff.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use miniascape::file::confined::Confined;
use miniascape::lab::{self, Definition, Source};
use miniascape::view::Color;
use miniascape::view::diagnostic::render;
use serde_json::Value;

fn cases() -> Vec<PathBuf> {
    // Relative, as how lists of places are broken into lines goes by the length of paths.
    let root = Path::new("tests/cases/definition");
    let mut cases: Vec<PathBuf> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort();
    cases
}

fn read(case: &Path) -> Definition {
    let lines = |name: &str| fs::read_to_string(case.join(name)).unwrap_or_default();
    let vars = lines("vars.json");
    lab::read(&Source {
        dir: case.to_owned(),
        config: lines("config.txt").lines().map(str::to_owned).collect(),
        vars: match vars.is_empty() {
            true => serde_json::Map::new(),
            false => serde_json::from_str(&vars).unwrap(),
        },
        system_dir: case.join("etc"),
        confined: Confined::default(),
    })
}

/// What the user reads, with the case's directory taken out.
fn rendered(case: &Path, definition: &Definition) -> String {
    let text = render(&definition.diagnostics, &definition.sources, Color::Never);
    let dir = case.to_string_lossy();
    let absolute = format!("{}/{dir}", env!("CARGO_MANIFEST_DIR"));
    let text = [&*absolute, &*dir].iter().fold(text, |text, dir| {
        text.replace(&format!("{dir}/"), "").replace(dir, "DIR")
    });
    let text = text.replace(env!("CARGO_MANIFEST_DIR"), "ROOT");
    match text.is_empty() {
        true => "ok\n".to_owned(),
        false => text,
    }
}

fn compare(path: &Path, actual: &str, failures: &mut Vec<String>) {
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        fs::write(path, actual).unwrap();
        return;
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    if expected != actual {
        failures.push(format!(
            "{}\n--- expected\n{expected}\n--- actual\n{actual}",
            path.display()
        ));
    }
}

/// A key that few labs give is to be seen in the goldens of those alone.
fn drop_nothings(value: &mut Value) {
    let is_nothing = |value: &Value| match value {
        Value::Null => true,
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    match value {
        Value::Object(all) => {
            all.values_mut().for_each(drop_nothings);
            all.retain(|_, value| !is_nothing(value));
        }
        Value::Array(all) => all.iter_mut().for_each(drop_nothings),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn cases_read_as_expected() {
    let mut failures = Vec::new();
    let cases = cases();
    assert_eq!(cases.len(), 231, "a case comes or goes with this number");
    for case in cases {
        let definition = read(&case);
        compare(
            &case.join("expected.txt"),
            &rendered(&case, &definition),
            &mut failures,
        );
        assert_eq!(
            definition.lab.is_none(),
            definition.diagnostics.has_errors(),
            "{}: a lab without errors, or errors without a lab",
            case.display()
        );
        let golden = case.join("lab.json");
        if golden.exists() {
            let root = env!("CARGO_MANIFEST_DIR");
            let mut lab = serde_json::to_value(&definition.lab).unwrap();
            drop_nothings(&mut lab);
            let lab = serde_json::to_string_pretty(&lab).unwrap() + "\n";
            compare(&golden, &lab.replace(root, "ROOT"), &mut failures);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Problems that no case folder can bring about: they are about files that cannot be read, and a value that YAML cannot hold.
const WITHOUT_CASE: [&str; 3] = [
    "cannot list {}",
    "cannot write this as YAML: {error}",
    "cannot read variables from {shown}: {why}",
];

#[test]
fn every_problem_has_a_case() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let summaries: BTreeSet<String> = cases()
        .iter()
        .flat_map(|case| {
            let diagnostics = read(case).diagnostics;
            let all = diagnostics.sorted();
            all.iter().map(|d| d.summary.clone()).collect::<Vec<_>>()
        })
        .collect();
    let mut patterns = BTreeSet::new();
    for entry in walkdir::WalkDir::new(root.join("src/lab")) {
        let path = entry.unwrap().into_path();
        if path.extension().is_some_and(|ending| ending == "rs") {
            patterns.extend(literals(&fs::read_to_string(path).unwrap()));
        }
    }
    assert!(
        patterns.len() > 80,
        "only {} problems were found in the source",
        patterns.len()
    );
    let missing: Vec<&String> = patterns
        .iter()
        .filter(|pattern| !WITHOUT_CASE.contains(&pattern.as_str()))
        .filter(|pattern| !summaries.iter().any(|summary| matches(pattern, summary)))
        .collect();
    assert!(missing.is_empty(), "no case brings about: {missing:#?}");
}

/// The texts of `Diagnostic::error("…")` and `Diagnostic::error(format!("…"` in a source file, and of warnings.
fn literals(source: &str) -> Vec<String> {
    let constructors = ["Diagnostic::error(", "Diagnostic::warning("];
    let parts = constructors
        .into_iter()
        .flat_map(|name| source.split(name).skip(1));
    parts
        .filter_map(|rest| {
            let rest = rest.trim_start();
            let rest = rest.strip_prefix("format!(").unwrap_or(rest).trim_start();
            let rest = rest.strip_prefix('"')?;
            Some(rest[..rest.find('"')?].to_owned())
        })
        .collect()
}

/// Whether a summary can come of a format string.
fn matches(pattern: &str, summary: &str) -> bool {
    let mut rest = summary;
    let mut pieces = pattern
        .split('{')
        .map(|piece| piece.split_once('}').map_or(piece, |p| p.1));
    let first = pieces.next().unwrap_or_default();
    let Some(after) = rest.strip_prefix(first) else {
        return false;
    };
    rest = after;
    pieces.all(|piece| match rest.find(piece) {
        Some(at) => {
            rest = &rest[at + piece.len()..];
            true
        }
        None => false,
    })
}

/// Reads a text as `lab.yaml` of a directory of its own, and renders what comes of it.
fn read_text(dir: &Path, text: &[u8]) -> Definition {
    fs::write(dir.join("lab.yaml"), text).unwrap();
    let definition = lab::read(&Source {
        dir: dir.to_owned(),
        config: Vec::new(),
        vars: serde_json::Map::new(),
        system_dir: dir.join("etc"),
        confined: Confined::default(),
    });
    render(&definition.diagnostics, &definition.sources, Color::Always);
    definition
}

fn definition_of(case: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/definition");
    fs::read_to_string(root.join(case).join("lab.yaml")).unwrap()
}

#[test]
fn truncated_definitions_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    for case in ["example", "everything", "system-everything"] {
        let text = definition_of(case);
        for end in 0..text.len() {
            read_text(dir.path(), &text.as_bytes()[..end]);
        }
    }
}

#[test]
fn mangled_definitions_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    let texts = ["everything", "system-everything"].map(|case| definition_of(case).into_bytes());
    // A linear congruential generator: the same mangling in every run.
    let mut seed = 1u64;
    let mut next = |below: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    let bytes = b"\t\n :-[]{}&*!|>'\"%@#,?<0a\xc3\xbc\xff~";
    for i in 0..2500 {
        let mut mangled = texts[i % texts.len()].clone();
        for _ in 0..=next(4) {
            let at = next(mangled.len());
            match next(3) {
                0 => mangled[at] = bytes[next(bytes.len())],
                1 => mangled.insert(at, bytes[next(bytes.len())]),
                _ => {
                    let end = (at + next(40)).min(mangled.len());
                    mangled.drain(at..end);
                }
            }
        }
        read_text(dir.path(), &mangled);
    }
}

#[test]
fn a_large_lab_is_read_in_reasonable_time() {
    use std::fmt::Write;
    let dir = tempfile::tempdir().unwrap();
    let mut text = String::from(
        "lab: large\nnetworks: {n: {address: 10.0.0.1/16, dhcp: true}}\npools: {p: {path: /p}}\n\
         common: {disks: {root: {pool: p, size: 1GiB}}}\nguests:\n",
    );
    for i in 0..1000 {
        let ip = format!("10.0.{}.{}", 1 + i / 200, 1 + i % 200);
        writeln!(
            text,
            "  g{i}: {{interfaces: {{eth0: {{network: n, ip: {ip}}}}}}}"
        )
        .unwrap();
    }
    let start = std::time::Instant::now();
    let definition = read_text(dir.path(), text.as_bytes());
    assert_eq!(definition.lab.unwrap().guests.len(), 1000);
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}

#[test]
fn var_files_are_yaml_maps() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vars.yaml");
    fs::write(
        &path,
        "base: &b {a: 1}\nmore: {<<: *b, yes: no, on: true}\n",
    )
    .unwrap();
    let read = |path: &Path| {
        let (mut sources, mut problems) = Default::default();
        let vars = lab::load::read_var_file(path, &mut sources, &mut problems);
        let vars = vars.map(|vars| serde_json::to_string(&vars).unwrap());
        vars.ok_or_else(|| render(&problems, &sources, Color::Never))
    };
    // What is merged comes first, the first source that has a key wins, and the order is that in which PyYAML gives it to Jinja2.
    let vars = read(&path);
    assert_eq!(
        vars.unwrap(),
        r#"{"base":{"a":1},"more":{"a":1,"yes":"no","on":true}}"#
    );
    let text = "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nall: {own: 0, <<: [*a, *b], x: 5}\n";
    fs::write(&path, text).unwrap();
    assert!(
        read(&path)
            .unwrap()
            .ends_with(r#""all":{"y":2,"z":4,"x":5,"own":0}}"#)
    );
    for (text, problem) in [
        ("- 1\n", "variables are a map, found a list"),
        ("a: .inf\n", "`.inf` is not a number to reckon with"),
        ("a: !mine 1\n", "the tag `!mine` means nothing here"),
        ("a: 1\na: 2\n", "`a` is given twice"),
    ] {
        fs::write(&path, text).unwrap();
        let told = read(&path).unwrap_err();
        assert!(told.contains(problem), "{told}");
        assert!(told.contains("vars.yaml:"), "{told}");
    }
    let told = read(&dir.path().join("none")).unwrap_err();
    assert!(told.contains("cannot read variables from"), "{told}");
}
