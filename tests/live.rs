//! Changes of a running guest that are broken off: whatever the run came to, the next one goes on without a restart.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "common/laboratory.rs"]
mod laboratory;

use std::path::{Path, PathBuf};

use laboratory::Laboratory;
use miniascape::plan::{Disruption, Options, PendingRestarts, Plan};

fn case(name: &str, file: &str) -> PathBuf {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/plan");
    cases.join(name).join(file)
}

fn steps(plan: &Plan) -> Vec<String> {
    let all = plan.changes.values().flat_map(|change| &change.steps);
    all.map(ToString::to_string).collect()
}

/// The steps that stop or start a guest.
fn restarts(laboratory: &Laboratory) -> Vec<String> {
    let mut done = laboratory.fake.performed();
    done.retain(|step| step.starts_with("shut down") || step.starts_with("start guest"));
    done
}

#[test]
fn a_change_that_breaks_off_goes_on_without_a_restart() {
    let mut broken_off = 0;
    for name in [
        "live-memory",
        "live-vcpus",
        "live-nic-network",
        "live-many-devices",
        "live-swap-devices",
        "live-texts",
    ] {
        let (before, after) = (case(name, "before.yaml"), case(name, "after.yaml"));
        for at in 1.. {
            let mut laboratory = Laboratory::new();
            laboratory.apply(&before);
            let running = restarts(&laboratory);
            let (plan, _) = laboratory.plan(Some(&after));
            if at > steps(&plan).len() {
                break;
            }
            laboratory.fake.fail_at(at);
            assert_eq!(laboratory.run(&plan).failed.len(), 1, "{name} at {at}");
            broken_off += 1;
            laboratory.apply(&after);
            let (again, _) = laboratory.plan(Some(&after));
            assert!(again.is_empty(), "{name} at {at}: {:?}", steps(&again));
            let late = again
                .changes
                .values()
                .any(|change| !change.pending.is_empty());
            assert!(!late, "{name} at {at} is pending");
            assert_eq!(restarts(&laboratory), running, "{name} at {at}");
        }
    }
    assert!(broken_off > 20, "{broken_off}");
}

#[test]
fn a_guest_that_holds_on_to_a_device_is_restarted_only_when_told() {
    let (before, after) = (
        case("interface-removed", "before.yaml"),
        case("interface-removed", "after.yaml"),
    );
    let mut laboratory = Laboratory::new();
    laboratory.apply(&before);
    laboratory.fake.deafen("web1");
    for _ in 0..2 {
        let (plan, _) = laboratory.plan(Some(&after));
        let guest = &plan.changes[&"guest.web1".parse().unwrap()];
        assert_eq!(guest.disruption, Some(Disruption::Live));
        let failed = laboratory.run(&plan).failed;
        assert!(
            failed[0].error.message.contains("did not let go"),
            "{failed:?}"
        );
    }
    assert_eq!(restarts(&laboratory), ["start guest web1"]);
    let options = Options {
        pending: PendingRestarts::Make,
        ..Options::default()
    };
    let (plan, _) = laboratory.plan_with(Some(&after), &options);
    let guest = &plan.changes[&"guest.web1".parse().unwrap()];
    assert_eq!(guest.disruption, Some(Disruption::Restart));
    assert_eq!(laboratory.run(&plan).failed, []);
    assert!(laboratory.plan(Some(&after)).0.is_empty());
}
