//! Labs in directories of their own, and what `generate` makes of them.

#![allow(dead_code, reason = "not every test needs all of it")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

pub const WORKDIR: &str = "miniascape-workdir";
pub const MANIFEST: &str = ".miniascape-manifest.toml";

/// A lab in a directory of its own.
pub struct Lab(pub TempDir);

/// What a run of the program gave.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Run {
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    #[track_caller]
    pub fn fails(self, texts: &[&str]) {
        let run = self.exits(1);
        for text in texts {
            assert!(run.err.contains(text), "no `{text}` in {run:#?}");
        }
    }
}

impl Lab {
    pub fn new(definition: &str) -> Self {
        let lab = Self(tempfile::tempdir().unwrap());
        lab.put("lab.yaml", definition);
        lab
    }

    /// A copy of a case, with the image that is made here since it is no text.
    pub fn of(case: &str) -> Self {
        let lab = Self(tempfile::tempdir().unwrap());
        let from = cases().join(case);
        for (path, bytes) in tree(&from) {
            if !path.starts_with("expected/") {
                lab.put(&path, bytes);
            }
        }
        lab.put("tiny.qcow2", qcow2());
        lab
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn put(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(WORKDIR).join(path)).unwrap()
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        let output: Output = Command::new(env!("CARGO_BIN_EXE_miniascape"))
            .args(arguments)
            .current_dir(self.path())
            .env_remove("MINIASCAPE_DOMAIN_TYPE")
            .output()
            .unwrap();
        Run {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    pub fn generate(&self, arguments: &[&str]) -> String {
        let all: Vec<&str> = ["generate"].iter().chain(arguments).copied().collect();
        self.run(&all).exits(0).out
    }

    pub fn tree(&self) -> BTreeMap<String, Vec<u8>> {
        tree(&self.path().join(WORKDIR))
    }
}

pub fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/generate")
}

/// A qcow2 file without content: a header of version 3, for a disk of 16 MiB.
pub fn qcow2() -> Vec<u8> {
    let mut header = b"QFI\xfb".to_vec();
    header.extend(3u32.to_be_bytes());
    header.extend(0u64.to_be_bytes());
    header.extend(0u32.to_be_bytes());
    header.extend(16u32.to_be_bytes());
    header.extend((16u64 << 20).to_be_bytes());
    header.resize(104, 0);
    header[100..104].copy_from_slice(&104u32.to_be_bytes());
    header
}

/// All files below a directory.
pub fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    walkdir::WalkDir::new(root)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let path = entry.path().strip_prefix(root).unwrap();
            (path.display().to_string(), fs::read(entry.path()).unwrap())
        })
        .collect()
}

pub fn shown(tree: &BTreeMap<String, Vec<u8>>) -> BTreeMap<&str, String> {
    let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
    tree.iter()
        .map(|(path, bytes)| (path.as_str(), text(bytes)))
        .collect()
}
