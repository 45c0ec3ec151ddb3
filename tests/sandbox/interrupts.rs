//! SIGINT and SIGTERM: what is under way is finished, nothing more is begun, and a second signal ends the run at once.

use std::time::Duration;

use crate::daemon::{Stopped, pid};
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
            "3 done, 2 not done.\nnot done: guest.three, guest.two\nInterrupted. ",
        ] {
            assert!(ended.told.contains(told), "{told}: {}", ended.told);
        }
        assert_eq!(running(), ["one"]);
        is_whole(&lab);
        let left = lab.actions();
        assert_eq!(
            left.keys().collect::<Vec<_>>(),
            ["guest.three", "guest.two"]
        );
        // Of the last step nothing remains.
        let mut apply = UnderWay::apply(&lab, &[]);
        apply.until("start guest three");
        apply.signal(signal);
        let ended = apply.end();
        assert_eq!(ended.code, Some(130), "{}", ended.told);
        let told = "\n2 done.\nInterrupted, when all was done.\n";
        assert!(ended.told.ends_with(told), "{}", ended.told);
        lab.is_settled();
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
        // Waiting for the guest would end with the first signal, a call that libvirt does not answer does not.
        let _stopped = Stopped::new(&pid());
        apply.signal(first);
        std::thread::sleep(Duration::from_secs(1));
        apply.signal(second);
        let ended = apply.end();
        assert_eq!(ended.code, Some(130), "{}", ended.told);
        for told in ["once more to stop at once", "\nstopped at once; "] {
            assert!(ended.told.contains(told), "{told}: {}", ended.told);
        }
        assert!(ended.after < Duration::from_secs(5), "{:?}", ended.after);
    }
    assert_eq!(running().len(), 3, "it was waited for");
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

/// QEMU that hangs answers nobody: neither the shutdown nor anything else that it is asked.
#[test]
#[ignore = "needs scripts/sandbox"]
fn a_guest_that_hangs_holds_nobody_up() {
    let before = inventory();
    let hung = || Stopped::new(&std::fs::read_to_string("/run/libvirt/qemu/three.pid").unwrap());
    let base = with_timeout("1h").replace("16MiB", "16MiB, max_memory: 32MiB");
    let lab = Lab::new(&base);
    lab.apply(&[]);
    for (changed, step) in [
        (
            base.replace("  three: {", "  three: {running: false, "),
            "shut down guest three",
        ),
        (
            base.replace("  three: {", "  three: {memory: 20MiB, "),
            "set the memory of",
        ),
    ] {
        lab.define(&changed);
        let _hung = hung();
        let mut apply = UnderWay::apply(&lab, &[]);
        apply.until(step);
        apply.signal("INT");
        let ended = apply.end();
        assert_eq!(ended.code, Some(130), "{}", ended.told);
        assert!(ended.after < Duration::from_secs(20), "{:?}", ended.after);
        // It can be looked at all the while.
        assert_eq!(lab.actions().len(), 1);
    }
    lab.define(&base);
    lab.apply(&[]);

    // As long as the guest may take, and no longer.
    let hung = hung();
    lab.define(
        &base
            .replace("1h", "2s")
            .replace("  three: {", "  three: {running: false, "),
    );
    let output = lab.run(&["apply", "-y"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(
        told.contains("did not shut down within 2 s and was stopped by force"),
        "{told}"
    );
    drop(hung);
    lab.is_settled();
    lab.define(&base.replace("1h", "0s"));
    lab.apply(&[]);
    lab.destroy();
    assert_eq!(inventory(), before);
}
