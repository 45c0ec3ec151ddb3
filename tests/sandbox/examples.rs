//! The published examples work as they stand.

use std::fs;
use std::path::Path;

use crate::devices::open_vswitch;
use crate::guests::answers;
use crate::lab::{inventory, ip, run_in, success, tiny, virsh};

/// What is changed of an example, so that it runs without hardware virtualization on a machine that sets nothing aside for it: all of
/// these, one after the other.
fn changes(example: &str) -> &'static [&'static str] {
    match example {
        // There are no huge pages and no cgroups.
        "hypervisor" => &[
            "guests: {inner: {running: false}}",
            "guests: {inner: {hugepages: null, tuning: null}}",
        ],
        _ => &[""],
    }
}

/// Makes what an example takes for granted of its host. Gives the variables that it gets.
fn prepare(example: &str, directory: &Path) -> Vec<String> {
    let mut files = tiny();
    match example {
        "windows" => {
            for medium in ["win11.iso", "virtio-win.iso"] {
                fs::write(directory.join(medium), vec![0; 1 << 20]).unwrap();
            }
        }
        "vlans" => {
            ip("link add ovsbr0 type bridge");
            ip("link add uplink0 type bridge");
            ip("link set uplink0 up");
            drop(open_vswitch(directory));
        }
        "pxe" => {
            for file in ["vmlinuz", "initrd.img"] {
                fs::copy(files.join(file), directory.join(file)).unwrap();
            }
            fs::copy("examples/pxe/boot.ipxe", directory.join("boot.ipxe")).unwrap();
            files = directory.to_owned();
        }
        _ => {}
    }
    vec![
        format!("tiny={}", files.display()),
        format!("media={}", directory.display()),
        "uplink=uplink0".to_owned(),
    ]
}

/// Sees to it that an example does what it is for.
fn works(example: &str) {
    match example {
        // By its firmware from the network, both of them.
        "pxe" => {
            answers("192.168.173.11");
            answers_by_lease("bare");
        }
        "windows" => {
            let xml = virsh(&["dumpxml", "win11"]);
            for part in [
                "secure='yes'",
                "tpm-crb",
                "<relaxed state='on'/>",
                "spicevmc",
            ] {
                assert!(xml.contains(part), "{part}\n{xml}");
            }
        }
        _ => {}
    }
}

fn answers_by_lease(guest: &str) {
    let leases = virsh(&["domifaddr", guest]);
    let address = leases
        .split_whitespace()
        .find_map(|it| it.strip_suffix("/24"));
    answers(address.unwrap());
}

/// Takes away what was made for an example.
fn clear(example: &str) {
    if example == "vlans" {
        ip("link del ovsbr0");
        ip("link del uplink0");
    }
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn every_example_applies_is_settled_and_goes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut examples: Vec<String> = fs::read_dir(root.join("examples"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    examples.sort();
    assert_eq!(examples.len(), 15, "{examples:?}");
    let before = inventory();
    for example in examples {
        eprintln!("example {example}");
        let state = tempfile::tempdir().unwrap();
        let directory = format!("examples/{example}");
        let change = state.path().join("change.yaml").display().to_string();
        let vars = prepare(&example, state.path());
        let state_path = state.path().join("state").display().to_string();
        let run = |arguments: &[&str]| {
            let mut all = arguments.to_vec();
            all.extend(["-C", &directory, "-C", &change, "--state", &state_path]);
            all.extend(vars.iter().flat_map(|var| ["--var", var]));
            run_in(root, &all)
        };
        for text in changes(&example) {
            fs::write(&change, format!("{text}\n")).unwrap();
            if example.starts_with("install-") {
                // There is no mirror in the sandbox; what they install with is checked by its own program elsewhere.
                success(&run(&["plan"]), &["plan", &example]);
                continue;
            }
            success(&run(&["apply", "-y"]), &["apply", &example]);
            let plan = run(&["plan", "--detailed-exitcode"]);
            success(&plan, &["plan", &example]);
            works(&example);
        }
        // Guests that have only begun to boot do not hear that they are to shut down.
        let guests = virsh(&["list", "--name"]);
        for guest in guests.lines().filter(|name| !name.is_empty()) {
            virsh(&["destroy", guest]);
        }
        if !example.starts_with("install-") {
            success(&run(&["destroy", "-y"]), &["destroy", &example]);
        }
        clear(&example);
        assert_eq!(inventory(), before, "{example}");
    }
}
