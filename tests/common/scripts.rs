//! Goldens of long scripts that are mostly the same: one of a kind is kept whole, and of the others how they differ from it.

use similar::{ChangeTag, TextDiff};

/// How a script differs from the whole one: its own lines behind `+`, those it lacks behind `-`, and `...` where both are the
/// same. No numbers of lines, so that what changes in all scripts changes in the whole one alone.
pub fn differences(whole: &str, script: &str) -> String {
    let mut told = String::new();
    for change in TextDiff::from_lines(whole, script).iter_all_changes() {
        match change.tag() {
            ChangeTag::Equal if told.is_empty() || told.ends_with("...\n") => {}
            ChangeTag::Equal => told.push_str("...\n"),
            tag => told.push_str(&format!("{tag}{}", change.value())),
        }
    }
    told
}
