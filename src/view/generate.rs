//! What `generate` does to a work directory, as text.

use std::fmt::Write as _;
use std::path::Path;

use similar::TextDiff;

use super::plain::{one_line, plain};
use super::{Color, Role};
use crate::generate::workdir::{Change, Comparison, Edited};
use crate::generate::{Files, GeneratedFile};
use crate::secret::{Secrets, hide_both};

/// Remarks stand in one column, as long as paths are not longer than this.
const WIDEST: usize = 48;

/// Whether it was done, or would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// The files were written.
    Done,
    /// Nothing was written.
    Would,
}

/// A line for each file that is not as before.
pub fn lines(comparison: &Comparison, color: Color) -> String {
    let shown = comparison.changes.iter().filter_map(|(path, change)| {
        let (role, sign, remark) = match change {
            Change::New => (Role::Added, '+', ""),
            Change::Changed { edited, .. } => match edited {
                Edited::No => (Role::Changed, '~', ""),
                Edited::ByHand => (Role::Changed, '~', "was changed by hand"),
            },
            Change::Removed { .. } => (Role::Removed, '-', ""),
            Change::Left => (
                Role::Strong,
                '!',
                "stays: it was changed by hand, and is not generated any more",
            ),
            Change::Unchanged => return None,
        };
        Some((one_line(path.as_str()), role, sign, remark))
    });
    let shown: Vec<_> = shown.collect();
    let column = shown
        .iter()
        .filter(|(_, _, _, remark)| !remark.is_empty())
        .map(|(path, ..)| path.chars().count())
        .filter(|width| *width <= WIDEST)
        .max()
        .unwrap_or_default();
    let mut out = String::new();
    for (path, role, sign, remark) in shown {
        let sign = color.paint(role, sign);
        let _ = match remark {
            "" => writeln!(out, "{sign} {path}"),
            remark => writeln!(out, "{sign} {path:column$}  {remark}"),
        };
    }
    out
}

/// What changes in the files, as `diff -u` shows it.
pub fn diff(comparison: &Comparison, wanted: &Files, color: Color, secrets: Secrets) -> String {
    let mut out = String::new();
    for (path, change) in &comparison.changes {
        let after = wanted.get(path);
        let (before, after) = match change {
            Change::New => (None, after),
            Change::Changed { before, .. } => (before.as_ref(), after),
            Change::Removed { before } => (Some(before), None),
            Change::Left | Change::Unchanged => continue,
        };
        file(&mut out, path.as_str(), (before, after), color, secrets);
    }
    out
}

fn file(
    out: &mut String,
    path: &str,
    (before, after): (Option<&GeneratedFile>, Option<&GeneratedFile>),
    color: Color,
    secrets: Secrets,
) {
    let path = one_line(path);
    let name = |side: &str, file: Option<&GeneratedFile>| match file {
        Some(_) => format!("{side}/{path}"),
        None => "/dev/null".to_owned(),
    };
    let (from, to) = (name("a", before), name("b", after));
    if let (Some(before), Some(after)) = (before, after)
        && before.bytes == after.bytes
    {
        let _ = writeln!(
            out,
            "permissions of {path}: {:o} -> {:o}",
            before.mode, after.mode
        );
        return;
    }
    let text = |file: Option<&GeneratedFile>| match file {
        Some(file) => String::from_utf8(file.bytes.clone()).ok(),
        None => Some(String::new()),
    };
    let (Some(before), Some(after)) = (text(before), text(after)) else {
        let _ = writeln!(out, "Binary files {from} and {to} differ");
        return;
    };
    let (before, after) = match secrets {
        Secrets::Hidden => hide_both(&before, &after),
        Secrets::Shown => (before, after),
    };
    let diff = TextDiff::from_lines(&before, &after);
    let hunks = diff
        .unified_diff()
        .context_radius(3)
        .header(&from, &to)
        .to_string();
    for line in plain(&hunks).lines() {
        let role = match line.chars().next() {
            _ if line.starts_with("--- ") || line.starts_with("+++ ") => Some(Role::Strong),
            Some('+') => Some(Role::Added),
            Some('-') => Some(Role::Removed),
            Some('@') => Some(Role::Quiet),
            _ => None,
        };
        let _ = match role {
            Some(role) => writeln!(out, "{}", color.paint(role, line)),
            None => writeln!(out, "{line}"),
        };
    }
}

/// How many files became what, and where.
pub fn summary(comparison: &Comparison, directory: &Path, mood: Mood) -> String {
    let mut counts = [0; 5];
    for change in comparison.changes.values() {
        let at = match change {
            Change::New => 0,
            Change::Changed { .. } => 1,
            Change::Unchanged => 2,
            Change::Removed { .. } => 3,
            Change::Left => 4,
        };
        counts[at] += 1;
    }
    let [new, changed, unchanged, removed, left] = counts;
    let what = match mood {
        Mood::Done => "Generated",
        Mood::Would if comparison.is_up_to_date() => "Up to date",
        Mood::Would => "Out of date",
    };
    let left = match left {
        0 => String::new(),
        left => format!(", {left} left"),
    };
    format!(
        "{what}: {new} new, {changed} changed, {unchanged} unchanged, {removed} removed{left} in {}\n",
        one_line(&directory.to_string_lossy())
    )
}
