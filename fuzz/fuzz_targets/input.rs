//! How one input holds several texts, and definitions that are read from them.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use miniascape::file::confined::Confined;
use miniascape::lab::{self, Source};
use miniascape::view::Color;
use miniascape::view::diagnostic::render;
use tempfile::TempDir;

/// A line with only this ends a text and begins the next.
const BETWEEN: &[u8] = b"\n%%\n";

/// The texts of an input, at most this many.
pub fn texts(input: &[u8], most: usize) -> Vec<&[u8]> {
    let mut texts = Vec::new();
    let mut rest = input;
    while texts.len() + 1 < most {
        let Some(at) = rest
            .windows(BETWEEN.len())
            .position(|window| window == BETWEEN)
        else {
            break;
        };
        texts.push(&rest[..at]);
        rest = &rest[at + BETWEEN.len()..];
    }
    texts.push(rest);
    texts
}

/// The directory of this process.
pub fn directory() -> &'static Path {
    static DIRECTORY: LazyLock<TempDir> = LazyLock::new(|| TempDir::new().unwrap());
    DIRECTORY.path()
}

/// Reads a definition of up to three files with this ending. All that it complains of has a place, and can be shown.
pub fn definition(input: &[u8], ending: &str) {
    let texts = texts(input, 3);
    let config: Vec<String> = (0..texts.len()).map(|n| format!("{n}.{ending}")).collect();
    for (name, text) in config.iter().zip(texts) {
        fs::write(directory().join(name), text).unwrap();
    }
    let vars =
        serde_json::json!({"image": "tiny.raw", "size": "1GiB", "n": 3, "names": ["a", "b"]});
    let read = lab::read(&Source {
        dir: directory().to_owned(),
        config,
        vars: vars.as_object().unwrap().clone(),
        system_dir: "/nowhere".into(),
        confined: Confined::default(),
    });
    for problem in read.diagnostics.sorted() {
        // What cannot be read at all is named, and what is nowhere has no place.
        let is_named = problem.summary.contains(&format!(".{ending}"));
        assert!(
            problem.span.is_some() || is_named || problem.summary == "the lab has no name",
            "it has no place: {problem:?}"
        );
    }
    assert!(
        read.lab.is_some() || read.diagnostics.has_errors(),
        "no lab, and no word why"
    );
    render(&read.diagnostics, &read.sources, Color::Never);
}
