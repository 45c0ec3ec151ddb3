//! What went wrong in a template, for the reader.

use std::error::Error as _;
use std::fmt::Write as _;

use minijinja::{Error, ErrorKind, Value};

use super::search::{Search, cleaned, shown};
use super::{FUEL, filters, functions, missing, rewrite};
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

/// What a hint says, beside the error's own text.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Hint(pub String);

/// Where a template cannot be read, by its line from 1, and why.
pub type Problem = (usize, String);

/// A template that cannot be read: what minijinja hands through from the loader.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", problem.1)]
pub struct Unreadable {
    /// Its name.
    pub template: String,
    /// Where and why.
    pub problem: Problem,
}

impl From<Unreadable> for Error {
    fn from(unreadable: Unreadable) -> Self {
        let message = unreadable.problem.1.clone();
        Error::new(ErrorKind::SyntaxError, message).with_source(unreadable)
    }
}

/// Where the texts of templates come from.
pub struct Source<'a> {
    /// By their names.
    pub search: &'a Search,
    /// The name of the one that was rendered.
    pub name: &'a str,
    /// Its text, where it is not in the search path.
    pub text: Option<&'a str>,
}

/// Explains an error, with what there was to be used in the context.
pub fn explain(error: &Error, source: &Source, context: &Value) -> TemplateError {
    let Source { search, name, text } = *source;
    // An error in an included template comes as the source of the error about the include.
    let mut chain = vec![error];
    let mut inner = error;
    while let Some(next) = inner.source().and_then(|source| source.downcast_ref()) {
        inner = next;
        chain.push(inner);
    }
    let source = inner.source();
    let (template, line) = match source.and_then(|source| source.downcast_ref::<Unreadable>()) {
        Some(Unreadable { template, problem }) => (template.as_str(), Some(problem.0)),
        None => (inner.name().unwrap_or(name), inner.line()),
    };
    let source = match text.filter(|_| shown(template) == shown(name)) {
        Some(text) => text.to_owned(),
        None => search.read(template).ok().flatten().unwrap_or_default(),
    };
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let source_line = line.and_then(|line| source.lines().nth(line.checked_sub(1)?));
    let (mut message, hint) = said(inner, search, &source, context);
    // Of those that asked for it, the one that is nearest.
    let place = |error: &&Error| Some((error.name()?.to_owned(), error.line()?));
    let mut places = chain.iter().rev().filter_map(place);
    let outside = places.find(|(outer, at)| *outer != template || Some(*at) != line);
    if let Some((outer, at)) = outside
        && shown(&outer) != shown(template)
    {
        let _ = write!(message, " (asked for by {}:{at})", shown(&outer));
    }
    TemplateError {
        template: shown(template).to_owned(),
        line,
        source_line: source_line.map(str::to_owned),
        message,
        hint,
    }
}

/// The expression that minijinja says is undefined: in `detail (`guest.name` is undefined, from line 1)`.
fn undefined(detail: &str) -> Option<&str> {
    let (before, _) = detail.rsplit_once("` is undefined")?;
    let at = before.find("(`").map_or(0, |at| at + 1);
    before[at..].strip_prefix('`')
}

/// Hints for what minijinja says, by how it begins.
const HINTS: [(&str, &str); 3] = [
    ("tried to use + operator", "`~` joins anything as text"),
    ("sequence has", "`|list` makes a list that can change"),
    ("iterator has", "`|list` makes a list that can change"),
];

/// What is wrong, and how to mend it.
fn said(error: &Error, search: &Search, source: &str, context: &Value) -> (String, Option<String>) {
    let detail = error.detail().map(cleaned);
    if let Some(expression) = detail.as_deref().and_then(undefined) {
        return missing::explain(expression, context, &rewrite::names(source));
    }
    let detail = detail.unwrap_or_else(|| error.kind().to_string());
    let hint = error.source().and_then(|source| source.downcast_ref());
    let known = HINTS.iter().find(|(begin, _)| detail.starts_with(begin));
    let known = known.map(|(_, hint)| hint.to_string());
    let hint = hint.map(|Hint(hint)| hint.clone()).or(known);
    let simple = |message: &str, hint: &str| (message.to_owned(), Some(hint.to_owned()));
    let unknown = |what: &str, known: &str| {
        let words = detail.split_whitespace();
        let mut names = words.filter(|word| !matches!(*word, "filter" | "test"));
        let name = names.next().unwrap_or("");
        let near = nearest(name, known.split_whitespace());
        (format!("there is no {what} `{name}`"), near)
    };
    match error.kind() {
        ErrorKind::OutOfFuel => simple(
            &format!("the template was stopped after {FUEL} steps"),
            "does a loop go on without end, or a text get too long?",
        ),
        ErrorKind::UnknownFilter => unknown("filter", filters::NAMES),
        ErrorKind::UnknownTest => unknown("test", filters::TESTS),
        ErrorKind::UnknownFunction => unknown("function or macro", functions::NAMES),
        ErrorKind::TemplateNotFound => {
            let all = search.names();
            let wanted = detail.split(['"', '\'']).nth(1).unwrap_or("");
            let near = nearest(wanted, all.iter().map(String::as_str));
            let directories = search.directories.iter();
            let directories: Vec<String> = directories.map(|d| d.display().to_string()).collect();
            let directories: Vec<&str> = directories.iter().map(String::as_str).collect();
            let mut looked = "it is looked for beside the file that asks for it".to_owned();
            if !directories.is_empty() {
                looked += &format!(" and in {}", names(&directories));
            }
            let message = match wanted.is_empty() || detail.contains("multiple") {
                true => detail,
                false => format!("there is no template `{wanted}`"),
            };
            (message, near.or(Some(looked)))
        }
        ErrorKind::InvalidOperation if detail == "recursion limit exceeded" => simple(
            "templates or macros ask for each other without end",
            "does a template include itself, or a macro call itself?",
        ),
        ErrorKind::SyntaxError if detail == "template exceeds maximum recursion limits" => simple(
            "blocks or expressions are nested too deeply here",
            "put what is inside into a macro or a file of its own",
        ),
        ErrorKind::InvalidOperation if detail.ends_with(" is not iterable") => {
            let of = error.range().zip(error.template_source());
            let of = of.and_then(|(range, source)| source.get(range));
            let of = of.map(|text| format!("`{text}`: ")).unwrap_or_default();
            (of + &detail, None)
        }
        ErrorKind::SyntaxError => (format!("syntax error: {detail}"), hint),
        ErrorKind::InvalidOperation | ErrorKind::UndefinedError | ErrorKind::UnknownMethod => {
            (detail, hint)
        }
        kind if detail == kind.to_string() => (detail, hint),
        kind => (format!("{kind}: {detail}"), hint),
    }
}
