//! Problems of a definition as text: what is wrong, the place, the line with a caret, and how to mend it.

use std::collections::BTreeMap;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use super::Color;
use super::plain::{in_place, one_line, plain};
use crate::diagnostic::{Diagnostic, Diagnostics, FileId, Severity, SourceMap, Span};
use crate::secret::{cross_out, hide};

/// Renders problems in the order of their places, each followed by a blank line; empty where there are none.
pub fn render(diagnostics: &Diagnostics, sources: &SourceMap, color: Color) -> String {
    let renderer = match color {
        Color::Never => Renderer::plain(),
        Color::Always => Renderer::styled(),
    };
    let mut text = String::new();
    let mut shown = BTreeMap::new();
    for diagnostic in diagnostics.sorted() {
        for span in places(diagnostic) {
            let file = || in_place(&cross_out(&sources.file(span.file).text)).into_owned();
            shown.entry(span.file).or_insert_with(file);
        }
    }
    for diagnostic in diagnostics.sorted() {
        text.push_str(&renderer.render(&[group(diagnostic, sources, &shown)]));
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

fn group<'a>(diagnostic: &Diagnostic, sources: &SourceMap, shown: &'a Shown) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = level
        .primary_title(told(&diagnostic.summary))
        .elements(snippets(diagnostic, sources, shown));
    if places(diagnostic).any(|span| sources.file(span.file).rendered) {
        group =
            group.element(Level::NOTE.message("the line is of the text that the template gives"));
    }
    if let Some(note) = &diagnostic.note {
        group = group.element(Level::NOTE.message(told(note)));
    }
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.message(told(hint)));
    }
    group
}

/// What is said of a problem, which can have values, names of files and libvirt's words in it.
fn told(text: &str) -> String {
    plain(&hide(text)).into_owned()
}

/// One snippet for each file that has a place, the file at fault first.
fn snippets<'a>(
    diagnostic: &Diagnostic,
    sources: &SourceMap,
    shown: &'a Shown,
) -> Vec<Snippet<'a, Annotation<'a>>> {
    let mut files: Vec<(FileId, Vec<Annotation<'a>>)> = Vec::new();
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
        let annotation = kind.span(first_line(sources, span)).label(label.map(told));
        match files.iter_mut().find(|(file, _)| *file == span.file) {
            Some((_, annotations)) => annotations.push(annotation),
            None => files.push((span.file, vec![annotation])),
        }
    }
    files
        .into_iter()
        .map(|(id, annotations)| {
            let file = sources.file(id);
            let text = shown.get(&id).map_or("", String::as_str);
            Snippet::source(text)
                .path(one_line(&file.path.to_string_lossy()).into_owned())
                .annotations(annotations)
        })
        .collect()
}

/// The part of a place that is on its first line: where a value spans many, its beginning says enough.
fn first_line(sources: &SourceMap, span: Span) -> std::ops::Range<usize> {
    let text = &sources.file(span.file).text;
    let boundary = |at: usize| {
        let at = at.min(text.len());
        (0..=at)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0)
    };
    let start = boundary(span.start);
    let end = boundary(span.end).max(start);
    let line = text[start..end]
        .find(['\n', '\r'])
        .map_or(end, |at| start + at);
    start..line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::SourceFile;

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
