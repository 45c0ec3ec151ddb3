//! The program as a process, in a directory with a lab.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// libvirt's test driver, with a guest `test`, a network `default` and a pool `default-pool`.
pub const TEST: [&str; 2] = ["-c", "test:///default"];
/// A lab of the examples.
pub const HELLO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/hello");

/// What a run of the program gave.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Run {
    /// Checks how it exited.
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// Checks that standard error has all these texts.
    pub fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.err.contains(text), "no `{text}` in {self:#?}");
        }
        self
    }

    /// Checks that it failed with these texts, and that nothing looks like a result.
    pub fn fails(self, texts: &[&str]) {
        let run = self.exits(1).says(texts);
        assert_eq!(run.out, "", "{run:#?}");
    }
}

/// A directory for a lab, removed at the end.
pub struct Lab(TempDir);

impl Lab {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let lab = Self(tempfile::tempdir().unwrap());
        for (path, text) in files {
            let path = lab.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        lab
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_miniascape"));
        command
            .args(arguments)
            .current_dir(self.path())
            .stdin(Stdio::null());
        for variable in [
            "CLICOLOR_FORCE",
            "COLUMNS",
            "LIBVIRT_DEFAULT_URI",
            "NO_COLOR",
            "RUST_BACKTRACE",
        ] {
            command.env_remove(variable);
        }
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        checked(self.command(arguments).output().unwrap())
    }

    /// Runs a command on the test driver.
    pub fn test(&self, arguments: &[&str]) -> Run {
        self.run(&[arguments, &TEST].concat())
    }
}

/// What it gave; nothing of it looks like a panic.
pub fn checked(output: Output) -> Run {
    let run = Run {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    for text in ["panicked", "RUST_BACKTRACE", "bug in miniascape"] {
        assert!(
            !run.out.contains(text) && !run.err.contains(text),
            "{run:#?}"
        );
    }
    run
}
