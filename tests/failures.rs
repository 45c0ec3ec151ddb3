//! Whatever step fails: one more run brings the lab where it was to be, and a destroy leaves nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "common/laboratory.rs"]
mod laboratory;

use std::path::{Path, PathBuf};

use laboratory::Laboratory;
use miniascape::address::Kind;
use miniascape::execute::Report;
use miniascape::libvirt::fake::Activity;
use miniascape::plan::Plan;
use miniascape::view::Color;
use miniascape::view::plan::{Diff, Options, text};
use miniascape::xml::tree::Element;

/// Nothing but a network of somebody else's, with a reservation.
fn world() -> Laboratory {
    let laboratory = Laboratory::new();
    let office = "<network><name>office</name><bridge name='office0'/><ip address='192.168.158.1' prefix='24'><dhcp>\
                  <host mac='52:54:00:99:00:01' name='stranger' ip='192.168.158.5'/></dhcp></ip></network>";
    let office = Element::parse(office).unwrap();
    laboratory
        .fake
        .insert(Kind::Network, office, Activity::Active);
    laboratory
}

fn definition(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases/failures")
        .join(name)
}

fn shown(plan: &Plan) -> String {
    let options = Options {
        color: Color::Never,
        diff: Diff::Hidden,
    };
    text(plan, &options)
}

fn steps(plan: &Plan) -> usize {
    let changes = plan.changes.values();
    changes.map(|c| c.quiesce.len() + c.steps.len()).sum()
}

/// Each change that does something is in exactly one list of the report.
fn partition(plan: &Plan, report: &Report) {
    let mut told: Vec<String> = Vec::new();
    told.extend(report.done.iter().map(ToString::to_string));
    told.extend(report.failed.iter().map(|f| f.address.to_string()));
    told.extend(report.skipped.iter().map(|(a, _)| a.to_string()));
    told.extend(report.not_started.iter().map(ToString::to_string));
    told.sort();
    let mut once = told.clone();
    once.dedup();
    assert_eq!(told, once);
    for change in plan.changes.values().filter(|change| change.is_shown()) {
        let address = change.address.to_string();
        assert!(told.contains(&address), "{address} is in no list");
    }
}

/// When the lab is destroyed.
#[derive(Clone, Copy, PartialEq)]
enum GivenUp {
    /// Straight after the failure.
    AtOnce,
    /// After one more run has brought it where it was to be.
    Mended,
}

/// Applies `before` undisturbed; then lets each step of the way to `after` (or of a destroy) fail in turn, `count` in all.
fn fail_everywhere(before: Option<&Path>, after: Option<&Path>, given_up: GivenUp, count: usize) {
    let prepared = || {
        let mut laboratory = world();
        if let Some(before) = before {
            laboratory.apply(before);
        }
        laboratory
    };
    let all = steps(&prepared().plan(after).0);
    assert_eq!(all, count);
    let mut wanted = prepared();
    let (plan, _) = wanted.plan(after);
    wanted.run(&plan);
    let wanted = wanted.fake.snapshot();
    for n in 1..=all {
        let mut laboratory = prepared();
        let (plan, _) = laboratory.plan(after);
        laboratory.fake.fail_at(n);
        let report = laboratory.run(&plan);
        let [failure] = report.failed.as_slice() else {
            panic!("step {n} did not fail: {report:#?}");
        };
        let at = format!("step {n}, {}", failure.step);
        partition(&plan, &report);

        if given_up == GivenUp::AtOnce {
            gone(&mut laboratory, &at);
            continue;
        }
        let (again, _) = laboratory.plan(after);
        assert!(!again.problems.has_errors(), "{at}: {:#?}", again.problems);
        assert!(!again.is_empty(), "{at}: nothing is left to do");
        let report = laboratory.run(&again);
        assert_eq!(report.failed, [], "{at}\n{}", shown(&again));
        let (settled, _) = laboratory.plan(after);
        assert!(settled.is_empty(), "{at}\n{}", shown(&settled));
        if after.is_none() {
            assert_eq!(laboratory.fake.snapshot(), wanted, "{at}");
        }

        gone(&mut laboratory, &at);
    }
}

/// Destroys everything, and wants nothing to be left.
fn gone(laboratory: &mut Laboratory, at: &str) {
    let (destroy, _) = laboratory.plan(None);
    let report = laboratory.run(&destroy);
    assert_eq!(report.failed, [], "{at}");
    let initial = world().fake.snapshot();
    assert_eq!(laboratory.fake.snapshot(), initial, "{at}");
    assert!(laboratory.store.state().resources.is_empty(), "{at}");
}

#[test]
fn creation() {
    let after = definition("one.yaml");
    for given_up in [GivenUp::AtOnce, GivenUp::Mended] {
        fail_everywhere(None, Some(&after), given_up, 33);
    }
}

#[test]
fn update() {
    let (before, after) = (definition("one.yaml"), definition("two.yaml"));
    for given_up in [GivenUp::AtOnce, GivenUp::Mended] {
        fail_everywhere(Some(&before), Some(&after), given_up, 19);
    }
}

#[test]
fn destruction() {
    let before = definition("one.yaml");
    fail_everywhere(Some(&before), None, GivenUp::Mended, 22);
}

#[test]
fn reservations() {
    let (before, after) = (
        definition("reserved.yaml"),
        definition("reserved-anew.yaml"),
    );
    for given_up in [GivenUp::AtOnce, GivenUp::Mended] {
        fail_everywhere(None, Some(&before), given_up, 12);
        fail_everywhere(Some(&before), Some(&after), given_up, 16);
    }
    fail_everywhere(Some(&before), None, GivenUp::Mended, 12);
}

/// The process dies after a step and before that is recorded.
#[test]
fn reservations_that_were_not_recorded() {
    let (before, after) = (
        definition("reserved.yaml"),
        definition("reserved-anew.yaml"),
    );
    for (before, after, count) in [(None, &before, 12), (Some(&before), &after, 16)] {
        let prepared = || {
            let mut laboratory = world();
            if let Some(before) = before {
                laboratory.apply(before);
            }
            laboratory
        };
        let all = steps(&prepared().plan(Some(after)).0);
        assert_eq!(all, count);
        for n in 1..=all {
            for given_up in [GivenUp::AtOnce, GivenUp::Mended] {
                let mut laboratory = prepared();
                let (plan, _) = laboratory.plan(Some(after));
                laboratory.fake.fail_after(n);
                laboratory.run(&plan);
                let at = format!("after step {n}");
                if given_up == GivenUp::Mended {
                    let (again, _) = laboratory.plan(Some(after));
                    let report = laboratory.run(&again);
                    assert_eq!(report.failed, [], "{at}\n{}", shown(&again));
                    let (settled, _) = laboratory.plan(Some(after));
                    assert!(settled.is_empty(), "{at}\n{}", shown(&settled));
                }
                gone(&mut laboratory, &at);
            }
        }
    }
}

#[test]
fn renaming() {
    let (before, after) = (definition("one.yaml"), definition("moved.yaml"));
    fail_everywhere(Some(&before), Some(&after), GivenUp::Mended, 29);
}

/// The process dies after a step and before that is recorded.
#[test]
fn renaming_that_was_not_recorded() {
    let (before, after) = (definition("one.yaml"), definition("moved.yaml"));
    let prepared = || {
        let mut laboratory = world();
        laboratory.apply(&before);
        laboratory
    };
    let all = steps(&prepared().plan(Some(&after)).0);
    assert_eq!(all, 29);
    for n in 1..=all {
        for given_up in [GivenUp::AtOnce, GivenUp::Mended] {
            let mut laboratory = prepared();
            let (plan, _) = laboratory.plan(Some(&after));
            laboratory.fake.fail_after(n);
            let report = laboratory.run(&plan);
            let [failure] = report.failed.as_slice() else {
                panic!("step {n} did not fail: {report:#?}");
            };
            let at = format!("step {n}, {}", failure.step);
            if given_up == GivenUp::Mended {
                let (again, _) = laboratory.plan(Some(&after));
                assert!(!again.problems.has_errors(), "{at}: {:#?}", again.problems);
                let report = laboratory.run(&again);
                assert_eq!(report.failed, [], "{at}\n{}", shown(&again));
                let (settled, _) = laboratory.plan(Some(&after));
                assert!(settled.is_empty(), "{at}\n{}", shown(&settled));
                let performed = laboratory.fake.performed();
                let data = ["root", "data", "more", "base"].map(|disk| {
                    performed
                        .iter()
                        .any(|step| step.starts_with("delete volume") && step.contains(disk))
                });
                assert_eq!(data, [false; 4], "{at}: {performed:#?}");
            }
            gone(&mut laboratory, &at);
        }
    }
}
