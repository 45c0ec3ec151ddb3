//! Host set-up: what is generated, checked with the programs that read it, and what the scripts do with it in a directory.
//!
//! `tests/cases/host/CASE/lab.yaml` is a lab; `files/` holds what is generated for it. `UPDATE_GOLDENS=1 cargo test --test
//! host` writes them anew. Read the diff.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

mod readers;
mod scripts;

#[path = "../common/scripts.rs"]
mod goldens;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use goldens::differences;
use miniascape::desired::contexts::Contexts;
use miniascape::file::confined::Confined;
use miniascape::generate::host;
use miniascape::lab::{self, Source};
use miniascape::template::Templates;
use miniascape::view::Color;
use miniascape::view::diagnostic::render;
use walkdir::WalkDir;

const CASES: [&str; 6] = [
    "autofs",
    "bare",
    "everything",
    "names",
    "nic-names",
    "own-files",
];

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases/host")
        .join(name)
}

/// Writes what is generated for a lab into a directory.
fn generate(definition: &Path, into: &Path) {
    let source = Source {
        dir: definition.to_owned(),
        config: Vec::new(),
        vars: serde_json::Map::new(),
        system_dir: definition.join("etc"),
        confined: Confined::default(),
    };
    let definition = lab::read(&source);
    let shown = render(&definition.diagnostics, &definition.sources, Color::Never);
    let lab = definition.lab.unwrap_or_else(|| panic!("{shown}"));
    let templates = Templates::new(vec![source.dir.clone()]);
    let files = host::files(&Contexts::new(&lab), &templates).unwrap();
    for (path, file) in files {
        let path = into.join(path.as_str());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &file.bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(file.mode)).unwrap();
    }
}

/// What is in a directory: each file with its mode and content, each link with its target.
fn tree(of: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let entries = WalkDir::new(of).into_iter().map(Result::unwrap);
    entries
        .filter(|entry| entry.path() != of)
        .map(|entry| {
            let path = entry.path();
            let metadata = fs::symlink_metadata(path).unwrap();
            let content = if metadata.is_symlink() {
                fs::read_link(path)
                    .unwrap()
                    .into_os_string()
                    .into_encoded_bytes()
            } else if metadata.is_file() {
                fs::read(path).unwrap()
            } else {
                Vec::new()
            };
            let relative = path.strip_prefix(of).unwrap().to_owned();
            (relative, (metadata.permissions().mode(), content))
        })
        .collect()
}

fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).output();
    output.unwrap_or_else(|error| panic!("{program}: {error}; scripts/setup installs it"))
}

fn text(output: &Output) -> String {
    let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// A case's files in a directory whose name is as odd as any.
struct Generated {
    directory: tempfile::TempDir,
}

impl Generated {
    fn new(name: &str) -> Self {
        Self::of(&case(name))
    }

    fn of(definition: &Path) -> Self {
        let directory = tempfile::Builder::new().prefix("it's a $work ").tempdir();
        let generated = Self {
            directory: directory.unwrap(),
        };
        generate(definition, generated.directory.path());
        generated
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }
}

/// The case whose scripts are kept whole. Of the others' there is how they differ, `setup.sh.diff`.
const WHOLE: &str = "bare";

/// What is kept of a case's files.
fn kept(name: &str) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let of = |name: &str| tree(Generated::new(name).directory.path());
    let mut kept = of(name);
    for script in ["host/setup.sh", "host/teardown.sh"].map(Path::new) {
        if name != WHOLE {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let (_, made) = kept.remove(script).unwrap();
            let told = differences(&text(&of(WHOLE)[script].1), &text(&made));
            kept.insert(script.with_extension("sh.diff"), (0o644, told.into_bytes()));
        }
    }
    kept
}

#[test]
fn files_are_as_expected() {
    for name in CASES {
        let made = kept(name);
        let golden = case(name).join("files");
        if std::env::var_os("UPDATE_GOLDENS").is_some() {
            let _ = fs::remove_dir_all(&golden);
            for (path, (mode, bytes)) in made.iter().filter(|(_, (_, bytes))| !bytes.is_empty()) {
                let path = golden.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, bytes).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
            }
        }
        let golden = tree(&golden);
        for path in made.keys().chain(golden.keys()) {
            // Git keeps of a mode only whether a file can be run.
            let (made, golden) = (made.get(path), golden.get(path));
            let runs = |file: Option<&(u32, Vec<u8>)>| file.map(|(mode, _)| mode & 0o100);
            let place = format!("{name}: {}", path.display());
            assert_eq!(runs(made), runs(golden), "{place}");
            let lines = |file: Option<&(u32, Vec<u8>)>| {
                let bytes = file.map(|(_, bytes)| bytes.clone()).unwrap_or_default();
                let text = String::from_utf8(bytes).unwrap();
                text.split('\n').map(str::to_owned).collect::<Vec<_>>()
            };
            let (made, golden) = (lines(made), lines(golden));
            for (number, (made, golden)) in made.iter().zip(&golden).enumerate() {
                assert_eq!(made, golden, "{place}:{}", number + 1);
            }
            assert_eq!(made.len(), golden.len(), "{place}");
        }
    }
}
