//! Problems of a definition, with their place in a file: collected all at once, never printed here.

use std::fmt;
use std::path::{Path, PathBuf};

use indexmap::IndexSet;

/// Names a file of a [`SourceMap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(usize);

/// A place in a file of the definition: byte offsets, `start <= end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// Where it begins.
    pub start: usize,
    /// Where it ends; what is at `end` is outside.
    pub end: usize,
}

/// One text that places point into. Of a `.j2` file it is the rendered text.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// The path as the user would write it.
    pub path: PathBuf,
    /// The whole text.
    pub text: String,
    /// Whether the text came out of a template, so that its lines are not the file's.
    pub rendered: bool,
}

/// The texts that a definition was read from.
#[derive(Debug, Clone, Default)]
pub struct SourceMap {
    files: Vec<(SourceFile, Index)>,
}

/// What finds lines and columns without going over the whole text.
#[derive(Debug, Clone)]
struct Index {
    /// Where each line begins.
    lines: Vec<usize>,
    /// How many characters begin before each [`STRIDE`] bytes.
    characters: Vec<usize>,
}

const STRIDE: usize = 1024;

impl Index {
    fn of(text: &str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        let counts = text.as_bytes().chunks(STRIDE).scan(0, |before, chunk| {
            let count = *before;
            *before += begun(chunk);
            Some(count)
        });
        Self {
            lines: std::iter::once(0).chain(ends).collect(),
            characters: counts.collect(),
        }
    }

    /// How many characters begin before a byte.
    fn characters(&self, text: &str, at: usize) -> usize {
        let stride = (at / STRIDE).min(self.characters.len().saturating_sub(1));
        let before = self.characters.get(stride).copied().unwrap_or(0);
        before + begun(&text.as_bytes()[stride * STRIDE..at])
    }
}

/// How many characters begin in a piece of UTF-8.
fn begun(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

impl SourceMap {
    /// Adds a text and gives its name.
    pub fn add(&mut self, file: SourceFile) -> FileId {
        let index = Index::of(&file.text);
        self.files.push((file, index));
        FileId(self.files.len() - 1)
    }

    /// The file of that name.
    pub fn file(&self, id: FileId) -> &SourceFile {
        &self.files[id.0].0
    }

    /// The path of the file that a place is in.
    pub fn path(&self, span: Span) -> &Path {
        &self.file(span.file).path
    }

    /// The line and column of a place's beginning, both from 1; columns count characters.
    pub fn position(&self, span: Span) -> (usize, usize) {
        let (file, index) = &self.files[span.file.0];
        let mut start = span.start.min(file.text.len());
        while !file.text.is_char_boundary(start) {
            start -= 1;
        }
        let line = index.lines.partition_point(|begin| *begin <= start);
        let characters = |at| index.characters(&file.text, at);
        (
            line,
            characters(start) - characters(index.lines[line - 1]) + 1,
        )
    }

    /// Where the line with that number begins and ends, without its line break.
    pub fn line(&self, file: FileId, line: usize) -> (usize, usize) {
        let (file, index) = &self.files[file.0];
        let begin = index.lines.get(line - 1).copied();
        let begin = begin.unwrap_or(file.text.len());
        let end = index
            .lines
            .get(line)
            .map_or(file.text.len(), |next| next - 1);
        let line = file.text[begin..end].trim_end_matches('\r');
        (begin, begin + line.len())
    }
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing can be planned.
    Error,
    /// Worth saying; planning goes on.
    Warning,
}

/// One problem: what is wrong, where, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong: one line, lower case, no full stop.
    pub summary: String,
    /// Where; `None` where no single place is at fault.
    pub span: Option<Span>,
    /// What stands at the caret, if that adds something.
    pub label: Option<String>,
    /// Other places that matter, each with what it is.
    pub related: Vec<(Span, String)>,
    /// What helps to find its cause.
    pub note: Option<String>,
    /// How to mend it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A problem that stops the plan.
    pub fn error(summary: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            summary: summary.into(),
            span: None,
            label: None,
            related: Vec::new(),
            note: None,
            hint: None,
        }
    }

    /// A problem that is only said.
    pub fn warning(summary: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(summary)
        }
    }

    /// The same, at a place.
    pub fn at(mut self, span: impl Into<Option<Span>>) -> Self {
        self.span = span.into();
        self
    }

    /// The same, with a text at the caret.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The same, with another place that matters.
    pub fn related(mut self, span: Option<Span>, text: impl Into<String>) -> Self {
        if let Some(span) = span {
            self.related.push((span, text.into()));
        }
        self
    }

    /// The same, with what helps to find its cause.
    pub fn note(mut self, note: impl Into<Option<String>>) -> Self {
        self.note = note.into();
        self
    }

    /// The same, with a way to mend it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The problems found so far.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    all: IndexSet<Diagnostic>,
}

impl Diagnostics {
    /// Adds one; one that was said already is not said twice.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.all.insert(diagnostic);
    }

    /// Adds those of another stage.
    pub fn extend(&mut self, others: Diagnostics) {
        for diagnostic in others.all {
            self.push(diagnostic);
        }
    }

    /// Changes each.
    pub fn mend(&mut self, change: impl FnMut(Diagnostic) -> Diagnostic) {
        self.all = std::mem::take(&mut self.all)
            .into_iter()
            .map(change)
            .collect();
    }

    /// Whether anything stops the plan.
    pub fn has_errors(&self) -> bool {
        self.all.iter().any(|d| d.severity == Severity::Error)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether nothing was found at all.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All of them, in the order of their places: files as read, then lines; those without a place last.
    pub fn sorted(&self) -> Vec<&Diagnostic> {
        let mut all: Vec<&Diagnostic> = self.all.iter().collect();
        all.sort_by_key(|d| (d.span.is_none(), d.span));
        all
    }
}

/// How many candidates are looked at, so that thousands of names that are not there do not take for ever among thousands.
const LOOKED_AT: usize = 1000;

/// The candidate that is spelled most like `written`, if one is near.
pub fn near<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // `dependsOn` and `max-memory` are `depends_on` and `max_memory`.
    let plain = |text: &str| text.replace(['_', '-'], "").to_lowercase();
    let (as_written, plainly) = (written, plain(written));
    // A swap or slip of one letter is near even in short words, which the other measure does not see.
    let slip =
        |candidate: &str| candidate.len() > 2 && strsim::osa_distance(as_written, candidate) <= 1;
    let score = |candidate: &str| match plain(candidate) == plainly {
        true => 2.0,
        false => strsim::jaro_winkler(as_written, candidate),
    };
    candidates
        .into_iter()
        .take(LOOKED_AT)
        .map(|candidate| (score(candidate), candidate))
        .filter(|(score, candidate)| *score > 0.75 || slip(candidate))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// A hint that names the candidate which is spelled most like `written`, or lists them where none is near.
pub fn did_you_mean<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    did_you_mean_or(written, candidates, |all| {
        format!("there is {}", names(all))
    })
}

/// The same, and where to find those that a long list leaves out.
pub fn did_you_mean_of<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    all_are: &str,
) -> Option<String> {
    did_you_mean_or(written, candidates, |all| match all.len() > LISTED {
        true => format!("there is {}: {all_are}", names(all)),
        false => format!("there is {}", names(all)),
    })
}

/// The same, and all of a long list, in lines of their own.
pub fn did_you_mean_all<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    did_you_mean_or(written, candidates, |all| match all.len() > LISTED {
        true => {
            let quoted: Vec<String> = all.iter().map(|name| format!("`{name}`")).collect();
            listed("there is", &quoted, 0, HINT)
        }
        false => format!("there is {}", names(all)),
    })
}

fn did_you_mean_or<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    list: impl FnOnce(&[&str]) -> String,
) -> Option<String> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    match near(written, candidates.iter().copied()) {
        Some(name) => Some(format!("did you mean `{name}`?")),
        None if candidates.is_empty() => None,
        None => Some(list(&candidates)),
    }
}

/// The same as [`did_you_mean`], but nothing where none is near.
pub fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    near(written, candidates).map(|name| format!("did you mean `{name}`?"))
}

/// Names as `a`, `b` and `c`; a long list is cut.
pub fn names(names: &[&str]) -> String {
    List(names, "and").to_string()
}

/// Names as `a`, `b` or `c`; a long list is cut.
pub fn one_of(names: &[&str]) -> String {
    List(names, "or").to_string()
}

/// How long a line of a hint or note gets, so that it fits into 80 columns with what stands before it.
pub const HINT: usize = 68;
/// How many names are listed at most.
const LISTED: usize = 10;

/// Writes names as `a`, `b` and `c`, or with another word than `and`; a long list is cut.
struct List<'a>(&'a [&'a str], &'static str);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(LISTED)];
        for (i, name) in shown.iter().enumerate() {
            match i {
                0 => {}
                _ if i + 1 == self.0.len() => write!(f, " {} ", self.1)?,
                _ => write!(f, ", ")?,
            }
            write!(f, "`{name}`")?;
        }
        match self.0.len() - shown.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// How many of a list are named at most.
const NAMED: usize = 100;

/// A list after its heading, in lines of no more than so many columns; all but the first are indented.
pub fn listed(heading: &str, items: &[impl fmt::Display], indent: usize, columns: usize) -> String {
    let mut words: Vec<String> = items.iter().take(NAMED).map(ToString::to_string).collect();
    let last = words.len().saturating_sub(1);
    for word in &mut words[..last] {
        word.push(',');
    }
    if let more @ 1.. = items.len() - words.len() {
        words.push(format!("and {more} more"));
    }
    let mut text = heading.to_owned();
    let mut column = heading.chars().count();
    for word in words {
        let width = word.chars().count();
        match column + 1 + width <= columns {
            true => {
                text.push(' ');
                column += 1 + width;
            }
            false => {
                text.push('\n');
                text.extend(std::iter::repeat_n(' ', indent));
                column = indent + width;
            }
        }
        text.push_str(&word);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_name_the_nearest_or_list_all() {
        assert_eq!(
            did_you_mean("memroy", ["memory", "vcpus"]).unwrap(),
            "did you mean `memory`?"
        );
        assert_eq!(
            did_you_mean("zzz", ["a", "b", "c"]).unwrap(),
            "there is `a`, `b` and `c`"
        );
        assert_eq!(
            did_you_mean("wbe", ["web", "database"]).unwrap(),
            "did you mean `web`?"
        );
        assert_eq!(did_you_mean("zzz", []), None);
        assert_eq!(
            did_you_mean("dependsOn", ["description", "depends_on"]).unwrap(),
            "did you mean `depends_on`?"
        );
        assert_eq!(
            did_you_mean("MEMORY", ["max_memory", "memory"]).unwrap(),
            "did you mean `memory`?"
        );
        let many = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
        assert_eq!(
            did_you_mean_of("zzz", many, "see there").unwrap(),
            "there is `a`, `b`, `c`, `d`, `e`, `f`, `g`, `h`, `i`, `j` and 2 more: see there"
        );
        assert_eq!(
            did_you_mean_of("zzz", ["a"], "see there").unwrap(),
            "there is `a`"
        );
    }

    #[test]
    fn positions_count_lines_and_characters() {
        let mut sources = SourceMap::default();
        let file = sources.add(SourceFile {
            path: "lab.yaml".into(),
            text: "a: ü\nbä: 1\n".into(),
            rendered: false,
        });
        let span = Span {
            file,
            start: 9,
            end: 10,
        };
        assert_eq!(sources.position(span), (2, 3));
    }
}
