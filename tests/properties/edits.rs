//! Edits of a lab, applied one after the other.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use miniascape::address::Address;
use miniascape::diagnostic::Severity;
use miniascape::execute::Report;
use miniascape::libvirt::Observe;
use miniascape::plan::Plan;
use miniascape::view::Color;
use miniascape::view::plan::{Diff, Options, text};
use miniascape::xml::tree::Element;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::cases;
use crate::laboratory::Laboratory;
use crate::labs::{Lab, edited};
use crate::order::sorted;

/// The labs as files.
struct Files {
    directory: tempfile::TempDir,
}

impl Files {
    fn new(labs: &[Lab]) -> Self {
        let files = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        for (n, lab) in labs.iter().enumerate() {
            fs::write(files.path(n), lab.definition()).unwrap();
        }
        files
    }

    fn path(&self, n: usize) -> PathBuf {
        self.directory.path().join(format!("{n}.yaml"))
    }
}

/// A laboratory, and the names of all volumes that were ever to be kept.
struct Trial {
    laboratory: Laboratory,
    kept: BTreeSet<String>,
}

impl Trial {
    fn new() -> Self {
        Self {
            laboratory: Laboratory::new(),
            kept: BTreeSet::new(),
        }
    }

    fn run(&mut self, plan: &Plan) -> Report {
        let report = self.laboratory.run(plan);
        let entries = self.laboratory.store.state().resources.values();
        let kept = entries
            .filter(|entry| entry.keep)
            .map(|entry| entry.name.clone());
        self.kept.extend(kept);
        report
    }
}

/// The plan, or `None` where it is refused as it has to be.
fn plan(trial: &Trial, definition: Option<&Path>) -> Option<Plan> {
    let (plan, _) = trial.laboratory.plan(definition);
    let refusals: Vec<String> = plan
        .problems
        .sorted()
        .into_iter()
        .filter(|problem| problem.severity == Severity::Error)
        .map(|problem| format!("{problem:?}"))
        .collect();
    for refusal in &refusals {
        let has_to_be = ["prevent_destroy", "apply in two runs", "would move from"];
        // What is kept holds its image, and a file that was left where it was is the lab's no more.
        let is_of_kept = trial.kept.iter().any(|name| {
            refusal.contains(&format!("`{name}` exists on"))
                || refusal.contains(name) && refusal.contains("cannot be replaced: ")
        });
        assert!(
            is_of_kept || has_to_be.iter().any(|reason| refusal.contains(reason)),
            "{refusal}"
        );
    }
    refusals.is_empty().then_some(plan)
}

fn shown(plan: &Plan) -> String {
    let options = Options {
        color: Color::Never,
        diff: Diff::Shown,
    };
    text(plan, &options)
}

/// Applies, and wants the next plan to be empty. Says whether it was done, or refused.
fn apply(trial: &mut Trial, definition: &Path) -> bool {
    let Some(first) = plan(trial, Some(definition)) else {
        return false;
    };
    let report = trial.run(&first);
    assert_eq!(report.failed, [], "{}", shown(&first));
    assert_eq!(report.skipped, []);
    let (again, _) = trial.laboratory.plan(Some(definition));
    assert!(
        again.is_empty(),
        "{}after this, again:\n{}",
        shown(&first),
        shown(&again)
    );
    true
}

/// Lets a step of the way there fail.
fn fail(trial: &mut Trial, definition: &Path, at: Index) {
    let Some(plan) = plan(trial, Some(definition)) else {
        return;
    };
    let steps: usize = plan
        .changes
        .values()
        .map(|c| c.quiesce.len() + c.steps.len())
        .sum();
    if steps == 0 {
        return;
    }
    trial.laboratory.fake.fail_at(at.index(steps) + 1);
    let report = trial.run(&plan);
    assert_eq!(report.failed.len(), 1, "{}", shown(&plan));
}

/// What a hypervisor holds of a lab, without what was chosen by what was there before: bridges, MACs, places and names of
/// disks where none are written, and the controllers for them. Volumes and directories are those in the lab's pools.
fn held(laboratory: &Laboratory) -> BTreeSet<String> {
    let snapshot = laboratory.fake.snapshot();
    let files = snapshot
        .lines()
        .filter(|line| line.starts_with("file ") || line.starts_with("directory "));
    let mut held: BTreeSet<String> = files.map(str::to_owned).collect();
    let observed = laboratory.fake.observe(&Default::default()).unwrap();
    let canonical = |xml: &Element| {
        let mut xml = xml.clone();
        for child in &mut xml.children {
            match child.name.as_str() {
                "bridge" => drop(child.remove_attribute("name")),
                "mac" => drop(child.remove_attribute("address")),
                "devices" => {
                    child.children.retain(|device| device.name != "controller");
                    for device in &mut child.children {
                        if device.name == "disk" {
                            device.child_or_insert("target").remove_attribute("dev");
                        }
                        device
                            .children
                            .retain(|c| c.name != "address" || c.attribute("type") != Some("pci"));
                    }
                }
                _ => {}
            }
        }
        sorted(&xml)
    };
    for (name, it) in &observed.networks {
        held.insert(format!(
            "network {name} {} {} {}",
            it.active,
            it.autostart,
            canonical(&it.xml.tree())
        ));
    }
    for (name, it) in &observed.pools {
        held.insert(format!(
            "pool {name} {} {} {}",
            it.active,
            it.autostart,
            canonical(&it.xml.tree())
        ));
    }
    for (name, it) in &observed.guests {
        held.insert(format!(
            "guest {name} {:?} {} {}",
            it.power,
            it.autostart,
            canonical(&it.xml.tree())
        ));
    }
    held
}

/// What is left of what an earlier lab had since it said `keep`: the only thing that may be there in addition.
///
/// Of a volume that was kept when its disk went to another pool, only the file is left.
fn is_kept(held: &str, kept: &BTreeSet<&Address>, trial: &Trial) -> bool {
    let resources = &trial.laboratory.store.state().resources;
    let by_state = kept.iter().any(|address| {
        let entry = &resources[*address];
        let path = || {
            let xml = Element::parse(entry.applied.as_ref()?).ok()?;
            xml.text_at("target/path").map(str::to_owned)
        };
        held.starts_with(&format!("pool {} ", entry.name))
            || held.starts_with("file ") && held.ends_with(&format!("/{}", entry.name))
            || held
                .strip_prefix("directory ")
                .is_some_and(|held| Some(held.to_owned()) == path())
    });
    let is_file = |held: &str| {
        trial
            .kept
            .iter()
            .any(|name| held.ends_with(&format!("/{name}")))
    };
    let holds_one = |directory: &str| {
        let snapshot = trial.laboratory.fake.snapshot();
        let mut files = snapshot
            .lines()
            .filter_map(|line| line.strip_prefix("file "));
        files.any(|file| file.starts_with(&format!("{directory}/")) && is_file(file))
    };
    by_state
        || held.strip_prefix("file ").is_some_and(is_file)
        || held.strip_prefix("directory ").is_some_and(holds_one)
}

/// Compares with what applying the last lab alone gives.
fn compare(trial: &Trial, last: &Path) {
    let mut alone = Trial::new();
    assert!(apply(&mut alone, last), "a new lab is refused");
    let (there, wanted) = (held(&trial.laboratory), held(&alone.laboratory));
    if let Some(missing) = wanted.difference(&there).next() {
        let name: Vec<&str> = missing.split(' ').take(2).collect();
        let instead = there.iter().find(|held| held.starts_with(&name.join(" ")));
        panic!("wanted {missing}\nfound {instead:?}");
    }
    let state = &trial.laboratory.store.state().resources;
    let known = &alone.laboratory.store.state().resources;
    let kept: BTreeSet<&Address> = state
        .keys()
        .filter(|address| !known.contains_key(address))
        .collect();
    for more in there.difference(&wanted) {
        assert!(is_kept(more, &kept, trial), "left over: {more}");
    }
}

/// Destroys all, and wants nothing to be left but what is kept.
fn destroy(trial: &mut Trial) {
    let Some(destroy) = plan(trial, None) else {
        return;
    };
    let report = trial.run(&destroy);
    assert_eq!(report.failed, [], "{}", shown(&destroy));
    let initial = held(&Laboratory::new());
    let kept: BTreeSet<&Address> = trial.laboratory.store.state().resources.keys().collect();
    for more in held(&trial.laboratory).difference(&initial) {
        assert!(is_kept(more, &kept, trial), "left over: {more}");
    }
}

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn edits_end_where_the_last_alone_would(labs in edited(2..=4)) {
        let files = Files::new(&labs);
        let mut trial = Trial::new();
        let mut done = false;
        for n in 0..labs.len() {
            done = apply(&mut trial, &files.path(n));
        }
        if done {
            compare(&trial, &files.path(labs.len() - 1));
        }
        destroy(&mut trial);
    }

    #[test]
    fn edits_that_fail_half_way_end_there_too(labs in edited(1..=3), at in proptest::collection::vec(any::<Index>(), 3)) {
        let files = Files::new(&labs);
        let mut trial = Trial::new();
        for (n, at) in (0..labs.len()).zip(at) {
            fail(&mut trial, &files.path(n), at);
        }
        let last = files.path(labs.len() - 1);
        if apply(&mut trial, &last) {
            compare(&trial, &last);
        }
        destroy(&mut trial);
    }
}
