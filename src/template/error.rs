//! What went wrong in a template, for the reader.

use std::error::Error as _;
use std::fmt::Write as _;

use minijinja::{Error, ErrorKind};

use super::lookup::Hint;
use super::search::{Search, cleaned, shown};
use super::syntax::SyntaxError;
use super::{FUEL, filters, globals, predicates};
use crate::diagnostic::{Diagnostic, names, nearest};

/// Why a template gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub struct TemplateError {
    /// The template, as a path.
    pub template: String,
    /// The line in it, from 1.
    pub line: Option<usize>,
    /// The text of that line.
    pub source_line: Option<String>,
    /// What is wrong, in one line.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
}

impl TemplateError {
    /// The problem, with what the template was rendered for.
    pub fn diagnostic(self, what_for: &str) -> Diagnostic {
        let problem = Diagnostic::error(format!("in template {self}")).label(what_for);
        match self.hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }

    fn text(&self) -> String {
        let mut text = self.template.clone();
        if let Some(line) = self.line {
            let _ = write!(text, ":{line}");
        }
        let _ = write!(text, ": {}", self.message);
        if let Some(source) = &self.source_line {
            let _ = write!(text, ": `{}`", source.trim());
        }
        text
    }
}

/// A template that cannot be read: what minijinja hands through from the loader.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{error}")]
pub struct Unreadable {
    /// Its name.
    pub template: String,
    /// Where and why.
    pub error: SyntaxError,
}

impl From<Unreadable> for Error {
    fn from(problem: Unreadable) -> Self {
        Error::new(ErrorKind::SyntaxError, problem.error.message.clone()).with_source(problem)
    }
}

/// Explains an error. `text` is the template's own, where it is not in the search path.
pub fn explain(error: &Error, name: &str, text: Option<&str>, search: &Search) -> TemplateError {
    // An error in an included template comes as the source of the error about the include.
    let mut chain = vec![error];
    let mut inner = error;
    while let Some(next) = inner.source().and_then(|source| source.downcast_ref()) {
        inner = next;
        chain.push(inner);
    }
    let unreadable = inner
        .source()
        .and_then(|source| source.downcast_ref::<Unreadable>());
    let (template, line) = match unreadable {
        Some(problem) => (problem.template.as_str(), Some(problem.error.line)),
        None => (inner.name().unwrap_or(name), inner.line()),
    };
    let (mut message, hint) = said(inner, search);
    let place = |error: &Error| Some((error.name()?.to_owned(), error.line()?));
    let mut outside: Vec<(String, usize)> = chain.iter().rev().filter_map(|e| place(e)).collect();
    outside.dedup();
    outside.retain(|(outer, at)| outer != template || Some(*at) != line);
    if let Some((outer, at)) = outside.first()
        && shown(outer) != shown(template)
    {
        let _ = write!(message, " (asked for by {}:{at})", shown(outer));
    }
    let own = text.filter(|_| shown(template) == shown(name));
    let source = match own {
        Some(text) => Some(text.to_owned()),
        None => search.read(template).ok().flatten(),
    };
    let source_line = line.and_then(|line| {
        let source = source?.replace("\r\n", "\n").replace('\r', "\n");
        source.lines().nth(line.checked_sub(1)?).map(str::to_owned)
    });
    TemplateError {
        template: shown(template).to_owned(),
        line,
        source_line,
        message,
        hint,
    }
}

/// What is wrong, and how to mend it.
fn said(error: &Error, search: &Search) -> (String, Option<String>) {
    let detail = error.detail().map(cleaned);
    let hint = error
        .source()
        .and_then(|source| source.downcast_ref::<Hint>())
        .map(|hint| hint.0.clone());
    let detail = detail.unwrap_or_else(|| error.kind().to_string());
    let unknown = |what: &str, known: &mut dyn Iterator<Item = &'static str>| {
        let name = detail
            .split_whitespace()
            .find(|word| !matches!(*word, "filter" | "test"));
        let name = name.unwrap_or("");
        (format!("there is no {what} `{name}`"), nearest(name, known))
    };
    match error.kind() {
        ErrorKind::OutOfFuel => (
            format!("the template was stopped after {FUEL} steps"),
            Some("does a loop go on without end?".to_owned()),
        ),
        ErrorKind::UnknownFilter => unknown("filter", &mut filters::names()),
        ErrorKind::UnknownTest => unknown("test", &mut predicates::names()),
        ErrorKind::UnknownFunction => {
            unknown("function or macro", &mut globals::NAMES.iter().copied())
        }
        ErrorKind::TemplateNotFound => {
            let all = search.names();
            let wanted = detail.split(['"', '\'']).nth(1).unwrap_or("").to_owned();
            let near = nearest(&wanted, all.iter().map(String::as_str));
            let directories: Vec<String> = search
                .directories
                .iter()
                .map(|d| d.display().to_string())
                .collect();
            let directories: Vec<&str> = directories.iter().map(String::as_str).collect();
            let looked = match directories.is_empty() {
                true => "it is looked for beside the file that asks for it".to_owned(),
                false => format!(
                    "it is looked for beside the file that asks for it and in {}",
                    names(&directories)
                ),
            };
            let message = match wanted.is_empty() || detail.contains("multiple") {
                true => detail,
                false => format!("there is no template `{wanted}`"),
            };
            (message, near.or(Some(looked)))
        }
        ErrorKind::InvalidOperation if detail == "recursion limit exceeded" => (
            "templates or macros ask for each other without end".to_owned(),
            Some("does a template include itself, or a macro call itself?".to_owned()),
        ),
        ErrorKind::SyntaxError if detail == "template exceeds maximum recursion limits" => (
            "blocks or expressions are nested too deeply here".to_owned(),
            Some("put what is inside into a macro or a file of its own".to_owned()),
        ),
        ErrorKind::SyntaxError => (format!("syntax error: {detail}"), hint),
        ErrorKind::InvalidOperation | ErrorKind::UndefinedError | ErrorKind::UnknownMethod => {
            (detail, hint)
        }
        kind if detail == kind.to_string() => (detail, hint),
        kind => (format!("{kind}: {detail}"), hint),
    }
}
