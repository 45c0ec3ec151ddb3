//! The state as a TOML document: made to be read, and kept in git.

use serde::Deserialize;
use std::path::Path;

use super::error::{StoreError, StoreErrorKind};
use super::{FORMAT_VERSION, State};
use crate::address::Name;

/// The last line of every document. TOML that is cut between two tables is still TOML, with resources
/// missing; without this line such a loss would go unseen.
const END: &str = "# end";

/// The part of a document that every version has.
#[derive(Deserialize)]
struct Head {
    version: u32,
    lab: String,
}

/// Writes a state: the same state gives the same bytes.
pub(super) fn write(state: &State, path: &Path) -> Result<String, StoreError> {
    let body = toml::to_string_pretty(state).map_err(|error| {
        StoreError::new(
            StoreErrorKind::Misuse,
            path,
            format!("the state cannot be written as TOML: {error}"),
            "this is a bug in miniascape; the file is left as it was",
        )
    })?;
    let lab = &state.lab;
    Ok(format!(
        "# What lab {lab} owns and what was last applied to it. Written by miniascape.\n\n{body}\n{END}\n"
    ))
}

/// Reads a document that was written for this lab.
pub(super) fn read(bytes: &[u8], lab: &Name, path: &Path) -> Result<State, StoreError> {
    let damaged = |what: String, hint: &str| {
        StoreError::new(StoreErrorKind::Damaged, path, what, hint.to_owned())
    };
    const RESTORE: &str = "bring back the last good version, for instance with `git checkout`; \
                           the file is left as it is";
    let text = std::str::from_utf8(bytes)
        .map_err(|_| damaged("the state is not text (UTF-8)".into(), RESTORE))?;
    if text.trim().is_empty() {
        return Err(damaged("the state is empty".into(), RESTORE));
    }
    let conflict = |line: &str| line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ");
    if let Some(at) = text.lines().position(conflict) {
        return Err(damaged(
            format!("line {}: the state has conflict markers of a merge", at + 1),
            "resolve the merge: one side describes what is on the hypervisor",
        ));
    }
    let bad = |error: toml::de::Error| {
        let place = error.span().map_or(String::new(), |span| {
            let before = text.as_bytes().iter().take(span.start);
            let line = before.filter(|byte| **byte == b'\n').count() + 1;
            format!("line {line}: ")
        });
        let message = error.message().replace('\n', ", ");
        damaged(
            format!("{place}the state is not as written: {message}"),
            RESTORE,
        )
    };
    // Only what stands before the first table: a large state takes a while to read, and is read once.
    let head = text.find("\n[").map_or(text, |end| &text[..end]);
    let head: Head = toml::from_str(head).map_err(bad)?;
    check_version(head.version, path)?;
    check_lab(&head.lab, lab, path)?;
    let state: State = toml::from_str(text).map_err(bad)?;
    if text.trim_end().lines().next_back() != Some(END) {
        return Err(damaged(
            format!("the last line, `{END}`, is missing: the state was cut short"),
            RESTORE,
        ));
    }
    Ok(state)
}

/// Refuses a version that this program does not know.
pub(super) fn check_version(version: u32, path: &Path) -> Result<(), StoreError> {
    if version == FORMAT_VERSION {
        return Ok(());
    }
    Err(StoreError::new(
        StoreErrorKind::Version,
        path,
        format!("it has format version {version}, this miniascape reads {FORMAT_VERSION}"),
        "use the miniascape that wrote it, or a newer one",
    ))
}

/// Refuses the state of another lab.
pub(super) fn check_lab(written: &str, lab: &Name, path: &Path) -> Result<(), StoreError> {
    if written == lab.as_str() {
        return Ok(());
    }
    Err(StoreError::new(
        StoreErrorKind::OtherLab,
        path,
        format!("it is the state of lab `{written}`, not of `{lab}`"),
        "a file is named for its lab: put it back under its name, or use another state directory with `--state`",
    ))
}
