//! Finds Jinja in files of a definition that are not called templates, and so are read as they stand.

use std::path::Path;

use crate::diagnostic::{Diagnostics, FileId, SourceMap, Span};

/// What Jinja's expressions, statements and comments begin and end with.
const MARKS: [(&str, &str); 3] = [("{{", "}}"), ("{%", "%}"), ("{#", "#}")];

/// Says how such a file is to be called.
pub fn hint(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).display();
    format!("call it {name}.j2: what ends in .j2 goes through Jinja first")
}

/// The Jinja that is behind what is wrong with a file's YAML, in a line at fault.
pub fn among(found: &Diagnostics, sources: &SourceMap, file: FileId) -> Option<Span> {
    let source = sources.file(file);
    if source.rendered || !found.has_errors() {
        return None;
    }
    let faults = found.sorted().into_iter().filter_map(|it| it.span);
    let mut lines = faults.map(|span| sources.line(file, sources.position(span).0));
    let (at, length) = lines.find_map(|(begin, end)| {
        let line = &source.text[begin..end];
        let (at, length) = first(line).or_else(|| statement(line))?;
        Some((begin + at, length))
    })?;
    Some(Span {
        file,
        start: at,
        end: at + length,
    })
}

/// Gives problems with values that are Jinja, such as `"{{ size }}"`, the hint that helps.
pub fn explain(problems: &mut Diagnostics, sources: &SourceMap) {
    problems.mend(|mut problem| {
        let jinja = problem.span.filter(|span| {
            let file = sources.file(span.file);
            let written = file.text.get(span.start..span.end);
            let is_template = file.rendered || file.path.extension().is_some_and(|it| it == "j2");
            !is_template && written.and_then(first).is_some()
        });
        if let Some(span) = jinja {
            problem.hint = Some(hint(sources.path(span)));
        }
        problem
    });
}

/// The first Jinja in a text: where it begins, and how long it is.
fn first(text: &str) -> Option<(usize, usize)> {
    let found = MARKS.iter().filter_map(|(begin, end)| {
        let at = text.find(begin)?;
        let length = text[at..].find(end)? + end.len();
        Some((at, length))
    });
    found.min()
}

/// The statement or comment that a line begins with: it may end in another.
fn statement(line: &str) -> Option<(usize, usize)> {
    let begins = line.trim_start();
    let is_one = ["{%", "{#"].iter().any(|mark| begins.starts_with(mark));
    is_one.then(|| (line.len() - begins.len(), begins.trim_end().len()))
}
