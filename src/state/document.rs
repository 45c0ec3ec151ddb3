//! The state as a TOML document: made to be read, and kept in git.
//!
//! At its end stands the sum of what is before, in a comment, which an older miniascape reads over. That there is one is said in
//! the second line, so that a document that lost its sum is not taken for one that never had any.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::error::{StoreError, StoreErrorKind};
use super::{Entry, FORMAT_VERSION, State, Sums};
use crate::address::{Address, Name};
use crate::fingerprint::sha256;

/// The last line of every document. TOML that is cut between two tables is still TOML, with resources
/// missing; without this line such a loss would go unseen.
const END: &str = "# end";
/// The second line of a document with a sum.
const SUMMED: &str = "# After a change by hand: miniascape state check --accept";
/// What stands before the sum.
const SUM: &str = "# sha256 ";

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
    let text = format!(
        "# What lab {lab} owns and what was last applied to it. Written by miniascape.\n{SUMMED}\n\n{body}\n"
    );
    let sum = sha256(text.as_bytes());
    Ok(text + SUM + &sum + "\n" + END + "\n")
}

/// Reads a document that was written for this lab.
pub(super) fn read(bytes: &[u8], lab: &Name, path: &Path, sums: Sums) -> Result<State, StoreError> {
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
            "resolve the merge: one side describes what is on the hypervisor; \
             then take it with `miniascape state check --accept`",
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
    check_version(head.version, &[FORMAT_VERSION], path)?;
    check_lab(&head.lab, lab, path)?;
    let state = match in_pieces(text) {
        Some(state) => state,
        None => toml::from_str(text).map_err(bad)?,
    };
    if text.trim_end().lines().next_back() != Some(END) {
        return Err(damaged(
            format!("the last line, `{END}`, is missing: the state was cut short"),
            RESTORE,
        ));
    }
    if sums == Sums::Check && !is_as_written(text) {
        return Err(damaged(
            "the state is not as miniascape wrote it: its checksum is that of another text".into(),
            "bring back the last good version, for instance with `git checkout`; \
             if it was changed by hand on purpose, look at it once more, \
             and take it as it is with `miniascape state check --accept`",
        ));
    }
    Ok(state)
}

/// Whether a document has the sum that it says, or none as those of older versions.
fn is_as_written(text: &str) -> bool {
    let summed = text
        .strip_suffix(&format!("\n{END}\n"))
        .and_then(|text| text.rsplit_once('\n'))
        .and_then(|(_, last)| last.strip_prefix(SUM));
    match summed {
        Some(sum) => {
            let before = text.len() - (SUM.len() + sum.len() + END.len() + 2);
            sha256(&text.as_bytes()[..before]) == sum
        }
        None => text.lines().nth(1) != Some(SUMMED),
    }
}

/// Some resources of a document.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Piece {
    resources: BTreeMap<Address, Entry>,
}

/// Reads a document table by table, which takes a tenth of the memory, and half the time. `None` where it is not as
/// [`write`] has it, or has something wrong, so that it has to be read as a whole.
///
/// A text of several lines may have one that looks like the start of a table; but then what stands before it is no whole document.
fn in_pieces(text: &str) -> Option<State> {
    const TABLE: &str = "\n[resources.";
    let mut starts = text.match_indices(TABLE).map(|(at, _)| at + 1);
    let mut start = starts.next()?;
    let mut state: State = toml::from_str(&text[..start]).ok()?;
    for end in starts.chain([text.len()]) {
        let piece: Piece = toml::from_str(&text[start..end]).ok()?;
        for (address, entry) in piece.resources {
            if state.resources.insert(address, entry).is_some() {
                return None;
            }
        }
        start = end;
    }
    Some(state)
}

/// Refuses a version that this program does not know.
pub(super) fn check_version(version: u32, known: &[u32], path: &Path) -> Result<(), StoreError> {
    if known.contains(&version) {
        return Ok(());
    }
    let known: Vec<String> = known.iter().map(u32::to_string).collect();
    Err(StoreError::new(
        StoreErrorKind::Version,
        path,
        format!(
            "it has format version {version}, this miniascape reads {}",
            known.join(" and ")
        ),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Status;

    #[test]
    fn in_pieces_it_is_the_same_as_in_one() {
        let lab = Name::new("x").unwrap();
        let mut state = State::new(lab.clone());
        for applied in [
            "<a/>\n",
            "<a>\n[resources.\"guest.g9\"]\nname = 'x'\n</a>\n",
            "'\"\"\"\n",
        ] {
            let name = format!("g{}", state.resources.len());
            let entry = Entry {
                status: Status::Creating,
                applied: Some(applied.into()),
                ..Entry::found(&name, uuid::Uuid::nil())
            };
            state
                .resources
                .insert(format!("guest.{name}").parse().unwrap(), entry);
            let text = write(&state, Path::new("x.toml")).unwrap();
            let whole: State = toml::from_str(&text).unwrap();
            assert_eq!(whole, state);
            assert_eq!(
                read(text.as_bytes(), &lab, Path::new("x.toml"), Sums::Check).unwrap(),
                state
            );
            // What looks like a table in a text is the one thing that it cannot be taken apart at.
            let pieces = in_pieces(&text);
            assert_eq!(pieces.is_some(), !text.contains("g9"));
            assert!(pieces.is_none_or(|pieces| pieces == state));
        }
    }

    #[test]
    fn a_table_that_is_there_twice_is_refused() {
        let lab = Name::new("x").unwrap();
        let mut state = State::new(lab.clone());
        let entry = Entry::found("g", uuid::Uuid::nil());
        state.resources.insert("guest.g".parse().unwrap(), entry);
        let text = write(&state, Path::new("x.toml")).unwrap();
        let table = &text[text.find("[resources").unwrap()..text.find(SUM).unwrap()];
        let twice = text.replace(SUM, &format!("{table}\n{SUM}"));
        let error = read(twice.as_bytes(), &lab, Path::new("x.toml"), Sums::Check).unwrap_err();
        assert!(error.to_string().contains("duplicate"), "{error}");
    }
}
