//! Templates give the same bytes as Jinja2 itself.
//!
//! `tests/cases/jinja/*.txt` hold the templates by theme. Each is rendered by Jinja2 (`tests/python`, installed by
//! `scripts/setup`) and by miniascape; what Jinja2 refuses, miniascape refuses as well. `tests/cases/jinja-lines/*.txt` hold one
//! template a line, and Jinja2 says which of them are refused. What is marked to differ does, for the reason that stands there.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use miniascape::template::{Templates, Undefined};
use serde::{Deserialize, Serialize};

/// One template with what it needs.
#[derive(Serialize)]
struct Case {
    name: String,
    /// By name; `main.j2` is rendered, the others are what it includes.
    files: BTreeMap<String, String>,
    context: serde_yaml::Value,
    lenient: bool,
    refused: bool,
    /// Why it is not as Jinja2 has it.
    differs: Option<String>,
}

/// What Jinja2 made of a case.
#[derive(Deserialize)]
struct Rendered {
    text: Option<String>,
    error: Option<String>,
}

/// A case begins with `==== NAME [flags]`, of which the last may be `differs: REASON`; its parts with `---- context` (YAML), `---- file NAME` and `---- template`.
/// A part's lines are its text; the empty line before the next case is not part of it.
fn cases(theme: &str, text: &str) -> Vec<Case> {
    text.split("==== ")
        .skip(1)
        .map(|case| {
            let (title, body) = case.split_once('\n').unwrap();
            let (name, flags) = match title.strip_suffix(']').and_then(|t| t.rsplit_once(" [")) {
                Some((name, flags)) => (name, flags),
                None => (title, ""),
            };
            let (flags, differs) = match flags.split_once("differs: ") {
                Some((flags, reason)) => (flags, Some(reason.to_owned())),
                None => (flags, None),
            };
            let mut files = BTreeMap::new();
            let mut context = serde_yaml::Value::Mapping(serde_yaml::Mapping::new());
            let body = body
                .strip_suffix("\n\n")
                .map_or(body.to_owned(), |b| format!("{b}\n"));
            for part in body.split("---- ").skip(1) {
                let (head, text) = part.split_once('\n').unwrap();
                match head.split_once(' ') {
                    None if head == "context" => context = serde_yaml::from_str(text).unwrap(),
                    None if head == "template" => {
                        let text = match flags.contains("no newline") {
                            true => text.strip_suffix('\n').unwrap(),
                            false => text,
                        };
                        files.insert("main.j2".to_owned(), text.to_owned());
                    }
                    Some(("file", name)) => {
                        files.insert(name.to_owned(), text.to_owned());
                    }
                    _ => panic!("{theme}: {name}: what is {head:?}?"),
                }
            }
            assert!(
                files.contains_key("main.j2"),
                "{theme}: {name}: no template"
            );
            Case {
                name: format!("{theme}: {name}"),
                files,
                context,
                lenient: flags.contains("lenient"),
                refused: flags.contains("refused"),
                differs,
            }
        })
        .collect()
}

fn by_jinja2(cases: &[Case]) -> Vec<Rendered> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut python = Command::new(top.join("target/venv/bin/python"))
        .arg(top.join("tests/python/jinja.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|why| panic!("Jinja2 is not installed, run scripts/setup: {why}"));
    let input = serde_json::to_vec(cases).unwrap();
    let mut stdin = python.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn by_us(case: &Case) -> Result<String, String> {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in &case.files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let undefined = match case.lenient {
        true => Undefined::Lenient,
        false => Undefined::Strict,
    };
    let templates = Templates::new(vec![directory.path().to_owned()]).undefined(undefined);
    templates
        .render("main.j2", &case.context)
        .map_err(|error| format!("{error} ({:?})", error.hint))
}

/// What went how.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    rendered: usize,
    refused: usize,
    differ: usize,
}

/// Counts what is as Jinja2 has it, and refuses what is not and does not say so.
fn compared(cases: &[Case], expected: Vec<Rendered>) -> Outcome {
    let mut outcome = Outcome::default();
    let mut wrong = String::new();
    for (case, expected) in cases.iter().zip(expected) {
        let ours = by_us(case);
        let same = match (&expected.text, &ours) {
            (Some(text), Ok(ours)) => text == ours,
            (None, Err(_)) => true,
            _ => false,
        };
        match (&case.differs, same) {
            (None, true) if ours.is_ok() => outcome.rendered += 1,
            (None, true) => outcome.refused += 1,
            (Some(_), false) => outcome.differ += 1,
            (reason, _) => {
                let theirs = expected.text.ok_or(expected.error);
                let name = &case.name;
                wrong +=
                    &format!("\n## {name} ({reason:?})\nJinja2: {theirs:?}\n    we: {ours:?}\n");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    outcome
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|ending| ending == "txt"))
        .collect();
    files.sort();
    files
}

fn stem(path: &Path) -> &str {
    path.file_stem().unwrap().to_str().unwrap()
}

#[test]
fn templates_give_the_same_bytes_as_jinja2() {
    let mut all = Vec::new();
    for path in files("tests/cases/jinja") {
        all.extend(cases(stem(&path), &fs::read_to_string(&path).unwrap()));
    }
    let expected = by_jinja2(&all);
    for (case, expected) in all.iter().zip(&expected) {
        let error = expected.error.as_deref();
        assert_eq!(case.refused, error.is_some(), "{}: {error:?}", case.name);
    }
    let counted = Outcome {
        rendered: 225,
        refused: 50,
        differ: 15,
    };
    assert_eq!(compared(&all, expected), counted);
}

#[test]
fn lines_are_rendered_or_refused_as_by_jinja2() {
    let context = "tests/cases/jinja-lines/context.yaml";
    let context = Path::new(env!("CARGO_MANIFEST_DIR")).join(context);
    let context: serde_yaml::Value =
        serde_yaml::from_str(&fs::read_to_string(context).unwrap()).unwrap();
    let mut all = Vec::new();
    for path in files("tests/cases/jinja-lines") {
        // What differs stands at the end, below its reason and in which way it is rendered so: strict, lenient or both.
        let mut differing: Option<(String, String)> = None;
        for line in fs::read_to_string(&path).unwrap().lines() {
            if let Some(title) = line.strip_prefix("==== differs when ") {
                let (how, reason) = title.split_once(": ").unwrap();
                differing = Some((how.to_owned(), reason.to_owned()));
                continue;
            }
            for lenient in [false, true] {
                let how = if lenient { "lenient" } else { "strict" };
                let differs = differing.as_ref().filter(|(when, _)| when.contains(how));
                all.push(Case {
                    name: format!("{}: {line} ({how})", stem(&path)),
                    files: BTreeMap::from([("main.j2".to_owned(), line.to_owned())]),
                    context: context.clone(),
                    lenient,
                    refused: false,
                    differs: differs.map(|(_, reason)| reason.clone()),
                });
            }
        }
    }
    let expected = by_jinja2(&all);
    let counted = Outcome {
        rendered: 314,
        refused: 207,
        differ: 101,
    };
    assert_eq!(compared(&all, expected), counted);
}
