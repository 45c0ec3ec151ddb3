//! What is planned in every situation, one case folder each.
//!
//! `tests/cases/plan/CASE/` holds, all optional but the third:
//! - `foreign/KIND.NAME.xml`: objects of someone else; `.inactive.xml` where they are not started. A volume says in
//!   `target/path` where it is.
//! - `import.yaml`: of which everything that is there is taken over.
//! - `before.yaml`: what was applied before. `drift/KIND.NAME.xml`: put over what is there since,  what runs
//!   stays as it is; an empty file removes the object, `stop` before its text stops it, and `undefine`
//!   leaves it transient. `guest.NAME.live.xml` is put
//!   over what a guest runs with.
//! - `interfaces`: which the host has, one a line: `br0 is there`, `br1 is not`.
//! - `capabilities.xml` and `machine.xml`: what the hypervisor tells of itself, and of any machine; `host-memory`: how many bytes the
//!   host has. `refused`: what libvirt says of definitions when it is asked, one a line: `web1 no such thing`.
//! - `unplugged`: NICs of running guests that hang on no bridge, one a line: `web1 eth0`.
//! - `between.yaml`: what was applied after that. `lost`: the state is gone since.
//! - `after.yaml`: the definition that is planned; without one, `destroy` is.
//! - `take-over`, `graceful`: as by that option.
//! - `replace`: the addresses of `--replace`. `restart-pending`: as by that option.
//! - `expected.txt`: the plan as the user reads it, its problems, and the steps in the order of one thread.
//!
//! A plan without errors is then executed, and the next plan has to be empty.
//! `UPDATE_GOLDENS=1 cargo test --test plan` writes `expected.txt` anew. Read the diff.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "common/laboratory.rs"]
mod laboratory;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use laboratory::Laboratory;
use miniascape::address::Kind;
use miniascape::desired;
use miniascape::diagnostic::SourceMap;
use miniascape::libvirt::Observe as _;
use miniascape::libvirt::fake::Activity;
use miniascape::libvirt::offers::HostMemory;
use miniascape::plan::{self, Phase, Plan};
use miniascape::state::store::Store;
use miniascape::template::Templates;
use miniascape::view::Color;
use miniascape::view::diagnostic::render;
use miniascape::view::plan::{Diff, Options, text};
use miniascape::xml::merge::overlay;
use miniascape::xml::tree::Element;

/// The files of a folder by name, sorted.
fn files(folder: &Path) -> Vec<(String, String)> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<(String, String)> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// Kind and name of `KIND.NAME.xml`; a volume's name is `POOL/VOLUME`, written with a `+`.
fn object(file: &str) -> (Kind, String) {
    let stem = file.strip_suffix(".xml").unwrap();
    let (kind, name) = stem.split_once('.').unwrap();
    let kind = Kind::ALL.into_iter().find(|k| k.as_str() == kind).unwrap();
    (kind, name.replace('+', "/"))
}

/// Takes over all of a definition that is there.
fn import(laboratory: &mut Laboratory, definition: &Path) {
    let lab = laboratory::read(definition).lab.unwrap();
    let scope = desired::scope(Some(&lab), laboratory.store.state());
    let observed = laboratory.fake.observe(&scope).unwrap();
    let (desired, _) = desired::build(&lab, &observed, &Templates::new(Vec::new()));
    let (adoption, problems) = plan::import_all(&desired, &observed, laboratory.store.state());
    assert!(!problems.has_errors(), "{problems:?}");
    for (address, entry) in &adoption.entries {
        laboratory.store.settle(address, Some(entry)).unwrap();
    }
}

fn prepare(case: &Path) -> Laboratory {
    let mut laboratory = Laboratory::new();
    for (file, text) in files(&case.join("foreign")) {
        let (kind, _) = object(&file);
        let activity = match file.ends_with(".inactive.xml") {
            true => Activity::Inactive,
            false => Activity::Active,
        };
        let xml = Element::parse(&text).unwrap();
        laboratory.fake.insert(kind, xml, activity);
    }
    let import = case.join("import.yaml");
    if import.exists() {
        self::import(&mut laboratory, &import);
    }
    let before = case.join("before.yaml");
    if before.exists() {
        laboratory.apply(&before);
    }
    let between = case.join("between.yaml");
    if between.exists() {
        laboratory.apply(&between);
    }
    if case.join("lost").exists() {
        laboratory.store = Store::in_memory(&laboratory.store.state().lab).0;
    }
    let named = |file: &str| fs::read_to_string(case.join(file)).unwrap_or_default();
    for guest in named("saved").lines() {
        laboratory.fake.save(guest);
    }
    for guest in named("snapshots").lines() {
        laboratory.fake.take_snapshot(guest);
    }
    for (file, text) in files(&case.join("drift")) {
        if let Some(guest) = file
            .strip_prefix("guest.")
            .and_then(|f| f.strip_suffix(".live.xml"))
        {
            let drift = Element::parse(&text).unwrap();
            let edit = |xml: &mut Element| overlay(xml, &drift);
            laboratory.fake.edit_running(guest, edit);
            continue;
        }
        let (kind, name) = object(&file);
        let mut text = text.trim();
        if text.is_empty() {
            laboratory.fake.remove(kind, &name);
        }
        if let Some(rest) = text.strip_prefix("undefine") {
            laboratory.fake.undefine(kind, &name);
            text = rest.trim();
        }
        if let Some(rest) = text.strip_prefix("stop") {
            laboratory.fake.switch(kind, &name, Activity::Inactive);
            text = rest.trim();
        }
        if !text.is_empty() {
            let drift = Element::parse(text).unwrap();
            let edit = |xml: &mut Element| overlay(xml, &drift);
            laboratory.fake.edit(kind, &name, edit);
        }
    }
    let unplugged = fs::read_to_string(case.join("unplugged")).unwrap_or_default();
    for (guest, nic) in unplugged.lines().filter_map(|line| line.split_once(' ')) {
        laboratory.fake.unplug(guest, nic);
    }
    let interfaces = fs::read_to_string(case.join("interfaces")).unwrap_or_default();
    for (name, is_there) in interfaces.lines().filter_map(|line| line.split_once(' ')) {
        let is_there = is_there == "is there";
        laboratory.fake.tell_interface(name, is_there);
    }
    if let (Ok(all), Ok(machine)) = (
        fs::read_to_string(case.join("capabilities.xml")),
        fs::read_to_string(case.join("machine.xml")),
    ) {
        let read = |text: String| Element::parse(&text).unwrap();
        laboratory.fake.tell_capabilities(read(all), read(machine));
    }
    if let Ok(bytes) = fs::read_to_string(case.join("host-memory")) {
        let most = HostMemory::Most(bytes.trim().parse().unwrap());
        laboratory.fake.tell_memory(most);
    }
    for (guest, message) in named("refused").lines().filter_map(|l| l.split_once(' ')) {
        laboratory.fake.refuse(guest, message);
    }
    laboratory
}

fn told(case: &Path, plan: &Plan, sources: &SourceMap) -> String {
    let options = Options {
        color: Color::Never,
        diff: Diff::Hidden,
    };
    let mut out = text(plan, &options);
    let problems = render(&plan.problems, sources, Color::Never);
    if !problems.is_empty() {
        let problems = problems.replace(&format!("{}/", case.display()), "");
        let _ = write!(out, "\n{}\n", problems.trim_end());
    }
    let mut out = out.replace(env!("CARGO_MANIFEST_DIR"), "ROOT");
    let mut heading = "\nsteps:\n";
    for node in plan.order().unwrap() {
        let change = &plan.changes[&node.address];
        let steps = match node.phase {
            Phase::Quiesce => &change.quiesce,
            Phase::Main => &change.steps,
        };
        for step in steps {
            let _ = writeln!(out, "{heading}  {}: {step}", node.address);
            heading = "";
        }
    }
    out
}

fn check(case: &Path) -> Result<(), String> {
    let mut laboratory = prepare(case);
    let after = Some(case.join("after.yaml")).filter(|path| path.exists());
    let replace = fs::read_to_string(case.join("replace")).unwrap_or_default();
    let options = plan::Options {
        replace: replace.lines().map(|line| line.parse().unwrap()).collect(),
        pending: match case.join("restart-pending").exists() {
            true => plan::PendingRestarts::Make,
            false => plan::PendingRestarts::Wait,
        },
        marked: match case.join("take-over").exists() {
            true => plan::Marked::TakenOver,
            false => plan::Marked::Shown,
        },
        farewell: match case.join("graceful").exists() {
            true => plan::Farewell::Graceful,
            false => plan::Farewell::ByWhatStays,
        },
        state_file: Some("/labs/shop/state/shop.toml".into()),
        ..plan::Options::default()
    };
    let (plan, sources) = laboratory.plan_with(after.as_deref(), &options);
    let actual = told(case, &plan, &sources);
    let golden = case.join("expected.txt");
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        fs::write(&golden, &actual).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    if expected != actual {
        return Err(format!("--- expected\n{expected}\n--- actual\n{actual}"));
    }
    if plan.problems.has_errors() {
        return Ok(());
    }
    let report = laboratory.run(&plan);
    if !report.failed.is_empty() {
        return Err(format!("the plan failed: {:#?}", report.failed));
    }
    let (again, sources) = laboratory.verify(after.as_deref());
    match again.is_empty() {
        true => Ok(()),
        false => Err(format!("planned again:\n{}", told(case, &again, &sources))),
    }
}

#[test]
fn plans_are_as_expected() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/plan");
    let mut cases: Vec<PathBuf> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert_eq!(cases.len(), 290, "a case comes or goes with this number");
    let mut failures = String::new();
    for case in cases {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let checked = std::panic::catch_unwind(|| check(&case));
        match checked {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => failures += &format!("== {name}\n{failure}\n"),
            Err(_) => failures += &format!("== {name}\npanicked, see above\n"),
        }
    }
    assert!(failures.is_empty(), "{failures}");
}
