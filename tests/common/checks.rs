//! Programs that judge generated files.

use std::path::Path;
use std::process::{Command, Stdio};

/// What a program says against its input, or nothing where it is content.
pub fn complaint(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}; run scripts/setup"));
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (!output.status.success() || !text.is_empty()).then(|| format!("{command:?}: {text}"))
}

/// Has shellcheck read scripts of `sh` as they lie in a directory.
pub fn shellcheck(directory: &Path, names: &[String]) {
    for names in names.chunks(200) {
        let mut command = Command::new("shellcheck");
        command
            .args(["--shell", "sh", "--"])
            .args(names)
            .current_dir(directory);
        let complaint = complaint(&mut command);
        assert!(complaint.is_none(), "{}", complaint.unwrap_or_default());
    }
}
