//! The examples are valid, and the smallest one can be applied without a daemon.
//!
//! `tests/sandbox/examples.rs` applies all of them to real QEMU.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// A qcow2 file without content: a header of version 3, for a disk of 16 MiB.
/// <https://www.qemu.org/docs/master/interop/qcow2.html>
fn qcow2() -> Vec<u8> {
    let mut header = b"QFI\xfb".to_vec();
    header.extend(3u32.to_be_bytes()); // version
    header.extend(0u64.to_be_bytes()); // no backing file …
    header.extend(0u32.to_be_bytes()); // … and no name of one
    header.extend(16u32.to_be_bytes()); // clusters of 64 KiB
    header.extend((16u64 << 20).to_be_bytes()); // size of the disk
    header.resize(104, 0);
    header[100..104].copy_from_slice(&104u32.to_be_bytes()); // length of the header
    header
}

/// What `scripts/tiny-guest` makes, as far as a definition looks at it.
fn tiny() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("tiny.qcow2"), qcow2()).unwrap();
    directory
}

fn miniascape(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_miniascape"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

fn success(arguments: &[&str]) -> String {
    let output = miniascape(arguments);
    assert!(
        output.status.success(),
        "{arguments:?}:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_example_is_valid_and_can_be_planned() {
    let tiny = tiny();
    let var = format!("tiny={}", tiny.path().display());
    let mut examples = Vec::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")).unwrap() {
        examples.push(entry.unwrap().file_name().into_string().unwrap());
    }
    examples.sort();
    assert_eq!(
        examples,
        [
            "cloud-init",
            "hello",
            "host-setup",
            "hypervisor",
            "install-debian",
            "install-fedora",
            "install-suse",
            "install-ubuntu",
            "pxe",
            "router",
            "shared-disk",
            "three-tier",
            "uefi",
            "vlans",
            "windows"
        ]
    );
    for example in examples {
        let directory = format!("examples/{example}");
        let output = miniascape(&["validate", "-C", &directory, "--var", &var]);
        let errors = String::from_utf8(output.stderr).unwrap();
        // No warnings either.
        assert_eq!((output.status.code(), errors.as_str()), (Some(0), ""));
        let plan = success(&[
            "plan",
            "-c",
            "test:///default",
            "-C",
            &directory,
            "--var",
            &var,
        ]);
        assert!(plan.starts_with(&format!("lab {example} on ")), "{plan}");
    }
}

#[test]
fn an_example_with_an_image_names_the_file_that_is_missing() {
    let output = miniascape(&["validate", "-C", "examples/uefi", "--var", "tiny=/nowhere"]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(errors.contains("/nowhere/tiny.qcow2"), "{errors}");
}

#[test]
fn the_first_look_needs_no_daemon_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state").display().to_string();
    let output = success(&[
        "apply",
        "-y",
        "-c",
        "test:///default",
        "-C",
        "examples/hello",
        "--state",
        &state,
    ]);
    assert!(output.contains("6 created"), "{output}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}
