//! SIGINT and SIGTERM: what is under way is finished, nothing more is begun, and a second signal ends the run at once.

use std::time::Duration;

use crate::lab::{Lab, inventory, virsh};
use crate::under_way::UnderWay;

/// Guests that listen to nothing, one after the other.
const LAB: &str = "lab: interrupted
pools: {interrupted: {path: @DIR@/pool}}
common: {memory: 16MiB, shutdown_timeout: @TIMEOUT@}
guests:
  one: {disks: {root: {pool: interrupted, size: 1MiB}}}
  two: {depends_on: [one]}
  three: {depends_on: [two]}
";

fn with_timeout(timeout: &str) -> String {
    LAB.replace("@TIMEOUT@", timeout)
}

fn running() -> Vec<String> {
    let names = virsh(&["list", "--name"]);
    names
        .lines()
        .filter(|n| !n.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The state is whole: no journal, no lock, no half of a file. What was seen counts for nothing.
fn is_whole(lab: &Lab) {
    let files = std::fs::read_dir(lab.path().join("state")).unwrap();
    let names: Vec<_> = files
        .map(|file| file.unwrap().file_name())
        .filter(|name| name != ".interrupted.seen")
        .collect();
    assert_eq!(names, ["interrupted.toml"]);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_signal_lets_what_is_under_way_finish_and_begins_nothing_more() {
    let before = inventory();
    for signal in ["INT", "TERM"] {
        let lab = Lab::new(&with_timeout("0s"));
        let mut apply = UnderWay::apply(&lab, &[]);
        apply.until("start guest one");
        apply.signal(signal);
        let ended = apply.end();
        assert_eq!(ended.code, Some(130), "{}", ended.told);
        for told in [
            "finishing what is under way",
            "Interrupted",
            "guest.two\n",
            "guest.three\n",
        ] {
            assert!(ended.told.contains(told), "{told}: {}", ended.told);
        }
        assert!(!ended.told.contains("guest.one\n"), "{}", ended.told);
        assert_eq!(running(), ["one"]);
        is_whole(&lab);
        let left = lab.actions();
        assert_eq!(
            left.keys().collect::<Vec<_>>(),
            ["guest.three", "guest.two"]
        );
        lab.apply(&[]);
        lab.destroy();
        assert_eq!(inventory(), before);
    }
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_second_signal_stops_at_once() {
    let before = inventory();
    let lab = Lab::new(&with_timeout("1h"));
    lab.apply(&[]);
    lab.define(&with_timeout("1h").replace("  three: {depends_on: [two]}\n", ""));
    for (first, second) in [("INT", "INT"), ("TERM", "INT")] {
        let mut apply = UnderWay::apply(&lab, &[]);
        apply.until("shut down guest three");
        apply.signal(first);
        std::thread::sleep(Duration::from_secs(1));
        apply.signal(second);
        let ended = apply.end();
        assert_eq!(ended.code, Some(130), "{}", ended.told);
        assert!(
            ended.told.contains("once more to stop at once"),
            "{}",
            ended.told
        );
        assert!(ended.after < Duration::from_secs(5), "{:?}", ended.after);
        assert_eq!(running().len(), 3, "it was waited for");
    }
    // What it was waiting for may come meanwhile.
    virsh(&["destroy", "three"]);
    lab.apply(&[]);
    is_whole(&lab);
    for guest in ["one", "two"] {
        virsh(&["destroy", guest]);
    }
    lab.destroy();
    assert_eq!(inventory(), before);
}
