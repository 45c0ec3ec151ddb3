//! Problems of a definition as text: what is wrong, the place, the line with a caret, and how to mend it.

pub(super) mod alike;

use std::collections::BTreeMap;
use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use super::Color;
use super::plain::{in_place, one_line, plain};
use crate::diagnostic::{Diagnostic, Diagnostics, FileId, Severity, SourceMap, Span};
use crate::secret::{cross_out, hide};

/// Renders problems in the order of their places, each followed by a blank line; empty where there are none. One that many places
/// have is told once, with up to a hundred of them.
pub fn render(diagnostics: &Diagnostics, sources: &SourceMap, color: Color) -> String {
    let renderer = match color {
        Color::Never => Renderer::plain(),
        Color::Always => Renderer::styled(),
    };
    let mut text = String::new();
    let mut shown = Shown::new();
    for span in diagnostics.sorted().into_iter().flat_map(places) {
        let file = || in_place(&cross_out(&sources.file(span.file).text)).into_owned();
        shown.entry(span.file).or_insert_with(file);
    }
    for (diagnostic, others) in alike::groups(diagnostics.sorted()) {
        let extracts = extracts(diagnostic, sources);
        let others = alike::told(diagnostic, &others, sources);
        let group = group(diagnostic, others, &extracts, sources, &shown);
        let mut problem = renderer.render(&[group]);
        for (wrong, right) in extracts
            .iter()
            .filter_map(|extract| extract.places(sources))
        {
            problem = problem.replacen(&wrong, &right, 1);
        }
        text.push_str(&problem);
        text.push_str("\n\n");
    }
    text
}

/// The texts of files as they are shown, in which secrets are crossed out.
type Shown = BTreeMap<FileId, String>;

/// All places of a problem.
fn places(diagnostic: &Diagnostic) -> impl Iterator<Item = &Span> {
    let related = diagnostic.related.iter().map(|(span, _)| span);
    diagnostic.span.iter().chain(related)
}

/// What is said of a problem, which can have values, names of files and libvirt's words in it.
fn told(text: &str) -> String {
    plain(&hide(text)).into_owned()
}

fn group<'a>(
    diagnostic: &Diagnostic,
    others: Option<String>,
    extracts: &[Extract<'_>],
    sources: &SourceMap,
    shown: &'a Shown,
) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = level.primary_title(told(&diagnostic.summary)).elements(
        extracts
            .iter()
            .map(|extract| extract.snippet(sources, shown)),
    );
    if places(diagnostic).any(|span| sources.file(span.file).rendered) {
        group =
            group.element(Level::NOTE.message("the line is of the text that the template gives"));
    }
    if let Some(others) = others {
        group = group.element(Level::NOTE.message(told(&others)));
    }
    if let Some(note) = &diagnostic.note {
        group = group.element(Level::NOTE.message(told(note)));
    }
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.message(told(hint)));
    }
    group
}

/// One extract for places that are near each other, what is at fault first.
fn extracts<'a>(diagnostic: &'a Diagnostic, sources: &'a SourceMap) -> Vec<Extract<'a>> {
    let mut extracts: Vec<Extract<'a>> = Vec::new();
    let main = diagnostic
        .span
        .map(|span| (span, AnnotationKind::Primary, diagnostic.label.as_deref()));
    let related = diagnostic
        .related
        .iter()
        // What two guests take from one group is at fault and related at one place.
        .filter(|(span, _)| Some(*span) != diagnostic.span)
        .map(|(span, text)| (*span, AnnotationKind::Context, Some(text.as_str())));
    for (span, kind, label) in main.into_iter().chain(related) {
        let place = first_line(sources, span);
        let text = &sources.file(span.file).text;
        let near = |extract: &&mut Extract<'_>| {
            extract.file == span.file && are_near(text, &extract.place, &place)
        };
        let mark = Mark {
            place: place.clone(),
            kind,
            label,
        };
        match extracts.iter_mut().find(near) {
            Some(extract) => {
                extract.place.start = extract.place.start.min(place.start);
                extract.place.end = extract.place.end.max(place.end);
                extract.marks.push(mark);
            }
            None => extracts.push(Extract {
                file: span.file,
                place,
                marks: vec![mark],
            }),
        }
    }
    extracts
}

/// What is shown between two places in one piece, in bytes.
const NEAR: usize = 4000;
/// The same where both are in one line, and what is shown of a line around a place: more than any terminal has columns.
const NEAR_IN_LINE: usize = 200;

fn are_near(text: &str, one: &Range<usize>, other: &Range<usize>) -> bool {
    let gap = one.end.min(other.end)..one.start.max(other.start);
    let length = gap.len();
    length <= NEAR_IN_LINE || length <= NEAR && text.as_bytes()[gap].contains(&b'\n')
}

/// A part of a file with the places that are marked in it. Renderers go over all of the text that they are given, so that it is
/// no more than is shown: thousands of problems may be in one line.
struct Extract<'a> {
    file: FileId,
    /// All of the marks'.
    place: Range<usize>,
    marks: Vec<Mark<'a>>,
}

struct Mark<'a> {
    place: Range<usize>,
    kind: AnnotationKind,
    label: Option<&'a str>,
}

impl Extract<'_> {
    /// The part of the text that is shown, as it is.
    fn shown(&self, sources: &SourceMap) -> Range<usize> {
        let text = &sources.file(self.file).text;
        let line = |at| sources.line(self.file, sources.position(self.span(at)).0);
        let begin = line(self.place.start).0;
        let end = line(self.place.end).1;
        let begin = begin.max(self.place.start.saturating_sub(NEAR_IN_LINE));
        let end = end.min(self.place.end + NEAR_IN_LINE);
        boundary(text, begin)..boundary(text, end)
    }

    fn span(&self, at: usize) -> Span {
        Span {
            file: self.file,
            start: at,
            end: at,
        }
    }

    fn snippet<'s>(&self, sources: &SourceMap, texts: &'s Shown) -> Snippet<'s, Annotation<'s>> {
        let file = sources.file(self.file);
        let shown = self.shown(sources);
        let text = texts.get(&self.file).map_or("", String::as_str);
        let marks = self.marks.iter().map(|mark| {
            let place = mark.place.start - shown.start..mark.place.end - shown.start;
            mark.kind.span(place).label(mark.label.map(told))
        });
        Snippet::source(&text[shown.clone()])
            .line_start(sources.position(self.span(shown.start)).0)
            .path(one_line(&file.path.to_string_lossy()).into_owned())
            .annotations(marks)
    }

    /// The place as a renderer names it that does not know what was cut off its line, and the place as it is.
    fn places(&self, sources: &SourceMap) -> Option<(String, String)> {
        let first = self
            .marks
            .iter()
            .min_by_key(|mark| (mark.kind != AnnotationKind::Primary, mark.place.start))?;
        let (line, column) = sources.position(self.span(first.place.start));
        let shown = sources.position(self.span(self.shown(sources).start));
        let path = sources.file(self.file).path.to_string_lossy();
        let path = one_line(&path);
        let place = |column| format!("{path}:{line}:{column}");
        (shown.0 == line && shown.1 > 1).then(|| (place(column + 1 - shown.1), place(column)))
    }
}

/// The part of a place that is on its first line: where a value spans many, its beginning says enough.
fn first_line(sources: &SourceMap, span: Span) -> Range<usize> {
    let text = &sources.file(span.file).text;
    let start = boundary(text, span.start);
    let end = boundary(text, span.end).max(start);
    let line = text[start..end]
        .find(['\n', '\r'])
        .map_or(end, |at| start + at);
    start..line
}

/// The last place up to this one where a character begins.
fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::SourceFile;

    #[test]
    fn of_a_long_line_the_part_around_the_place_is_shown_and_its_own_column() {
        let mut sources = SourceMap::default();
        let (before, after) = ("ü: 1, ".repeat(1000), ", ä: 2".repeat(1000));
        let file = sources.add(SourceFile {
            path: "lab.yaml".into(),
            text: format!("lab: x\n{{{before}bad{after}}}\nlast: 1\n"),
            rendered: false,
        });
        let span = |start, end| Span { file, start, end };
        let bad = 8 + before.len();
        let mut problems = Diagnostics::default();
        let places = |end| {
            Diagnostic::error("wrong")
                .at(span(bad, bad + 3))
                .label("here")
                .related(Some(span(8, end)), "far in the line")
                .related(Some(span(bad + 10, bad + 11)), "near")
        };
        problems.push(places(9));
        let text = render(&problems, &sources, Color::Never);
        for expected in ["--> lab.yaml:2:6002", "::: lab.yaml:2:2", "here", "near"] {
            assert!(text.contains(expected), "no {expected} in {text}");
        }
        let longest = text.lines().map(|line| line.chars().count()).max();
        assert!(longest.unwrap() < 250, "{text}");
    }

    #[test]
    fn colour_adds_nothing_that_the_text_lacks() {
        let mut sources = SourceMap::default();
        let file = sources.add(SourceFile {
            path: "lab.yaml".into(),
            text: "lab: shöp\n".into(),
            rendered: false,
        });
        let mut problems = Diagnostics::default();
        // A place beyond the text, and one within a character: rendered all the same.
        let span = |start, end| Span { file, start, end };
        problems.push(
            Diagnostic::error("wrong")
                .at(span(5, 9))
                .hint("write it right"),
        );
        problems.push(Diagnostic::warning("odd").at(span(8, 99)).label("here"));
        problems.push(Diagnostic::error("beyond").at(span(50, 99)));
        problems.push(Diagnostic::error("nowhere"));
        let plain = render(&problems, &sources, Color::Never);
        let mut coloured = render(&problems, &sources, Color::Always);
        assert!(coloured.contains('\u{1b}'));
        while let Some(start) = coloured.find('\u{1b}') {
            let end = start + coloured[start..].find('m').unwrap();
            coloured.replace_range(start..=end, "");
        }
        assert_eq!(coloured, plain);
        for text in [
            "error: wrong",
            "--> lab.yaml:1:6",
            "help: write it right",
            "error: nowhere",
        ] {
            assert!(plain.contains(text), "{plain}");
        }
    }
}
