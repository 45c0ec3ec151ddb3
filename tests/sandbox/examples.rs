//! The published examples work as they stand.

use std::path::Path;

use crate::lab::{inventory, run_in, success, tiny, virsh};

#[test]
#[ignore = "needs scripts/sandbox"]
fn every_example_applies_is_settled_and_goes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut examples: Vec<String> = std::fs::read_dir(root.join("examples"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    examples.sort();
    assert_eq!(examples.len(), 11, "{examples:?}");
    let before = inventory();
    for example in examples {
        eprintln!("example {example}");
        let state = tempfile::tempdir().unwrap();
        let directory = format!("examples/{example}");
        let var = format!("tiny={}", tiny().display());
        let state_path = state.path().display().to_string();
        let run = |arguments: &[&str]| {
            let mut all = arguments.to_vec();
            all.extend(["-C", &directory, "--state", &state_path, "--var", &var]);
            run_in(root, &all)
        };
        if example.starts_with("install-") {
            // There is no mirror in the sandbox; what they install with is checked by its own program elsewhere.
            success(&run(&["plan"]), &["plan", &example]);
            continue;
        }
        success(&run(&["apply", "-y"]), &["apply", &example]);
        let plan = run(&["plan", "--detailed-exitcode"]);
        success(&plan, &["plan", &example]);
        // Guests that have only begun to boot do not hear that they are to shut down.
        let guests = virsh(&["list", "--name"]);
        for guest in guests.lines().filter(|name| !name.is_empty()) {
            virsh(&["destroy", guest]);
        }
        success(&run(&["destroy", "-y"]), &["destroy", &example]);
        assert_eq!(inventory(), before, "{example}");
    }
}
