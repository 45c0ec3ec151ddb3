//! Which problems are one: forty guests with the same misspelt key are one problem with forty places.

use std::collections::HashMap;
use std::path::Path;

use crate::address::Address;
use crate::diagnostic::{Diagnostic, HINT, Severity, SourceMap, Span, listed};

/// From how many on problems that are alike are told as one.
const MANY: usize = 3;
/// Stands for the name of what a problem is about.
const NAME: &str = "\0";

/// What problems that are one have in common: all but places, and the name of what each is about.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(in crate::view) struct Texts {
    severity: Severity,
    summary: String,
    label: Option<String>,
    /// With its place, where nothing says whose it is.
    related: Vec<(String, Option<Span>)>,
    note: Option<String>,
    hint: Option<String>,
}

/// Each problem with the others that say the same of something else, in the order given.
pub(super) fn groups(all: Vec<&Diagnostic>) -> Vec<(&Diagnostic, Vec<&Diagnostic>)> {
    let keys: Vec<Texts> = all.iter().map(|diagnostic| texts(diagnostic)).collect();
    let mut alike: HashMap<&Texts, Vec<&Diagnostic>> = HashMap::new();
    for (key, diagnostic) in keys.iter().zip(&all) {
        alike.entry(key).or_default().push(diagnostic);
    }
    let mut groups = Vec::new();
    for (key, diagnostic) in keys.iter().zip(all) {
        match alike.get(key).map(Vec::as_slice) {
            // The others are told with the first.
            Some([first, others @ ..]) if 1 + others.len() >= MANY => {
                if *first == diagnostic {
                    groups.push((diagnostic, others.to_vec()));
                }
            }
            Some(_) | None => groups.push((diagnostic, Vec::new())),
        }
    }
    groups
}

/// The resource that a problem is about: the first that it names.
fn subject(diagnostic: &Diagnostic) -> Option<Address> {
    let words = diagnostic.summary.split(' ');
    words
        .map(|word| word.trim_end_matches([',', ':', ';']))
        .find_map(|word| word.strip_suffix("'s").unwrap_or(word).parse().ok())
}

/// What a problem has in common with those that are the same.
pub(in crate::view) fn texts(diagnostic: &Diagnostic) -> Texts {
    let name = subject(diagnostic).map(|address| match address.disk() {
        Some((guest, _)) => guest.to_string(),
        None => address.name,
    });
    let text = |text: &str| match &name {
        Some(name) => without(text, name),
        None => text.to_owned(),
    };
    let maybe = |it: &Option<String>| it.as_deref().map(text);
    let related = diagnostic.related.iter();
    let related = related.map(|(span, it)| (text(it), name.is_none().then_some(*span)));
    Texts {
        severity: diagnostic.severity,
        summary: text(&diagnostic.summary),
        label: maybe(&diagnostic.label),
        related: related.collect(),
        note: maybe(&diagnostic.note),
        hint: maybe(&diagnostic.hint),
    }
}

/// A text with [`NAME`] wherever it has that name as a word.
fn without(text: &str, name: &str) -> String {
    let is_part = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-');
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for (at, _) in text.match_indices(name) {
        let end = at + name.len();
        if text[..at].ends_with(is_part) || text[end..].starts_with(is_part) || at < copied {
            continue;
        }
        out.push_str(&text[copied..at]);
        out.push_str(NAME);
        copied = end;
    }
    out.push_str(&text[copied..]);
    out
}

/// What and where the others are: `the same of 39 others: guest.web2 (lab.yaml:6:3), …`.
pub(super) fn told(
    first: &Diagnostic,
    others: &[&Diagnostic],
    sources: &SourceMap,
) -> Option<String> {
    if others.is_empty() {
        return None;
    }
    let mut path: Option<&Path> = None;
    let mut named: Vec<String> = Vec::new();
    for other in others {
        let place = other.span.filter(|_| other.span != first.span).map(|span| {
            let (line, column) = sources.position(span);
            let file = sources.path(span);
            match path.replace(file) == Some(file) {
                true => format!("{line}:{column}"),
                false => format!("{}:{line}:{column}", file.display()),
            }
        });
        named.push(match (subject(other), place) {
            (Some(address), Some(place)) => format!("{address} ({place})"),
            (Some(address), None) => address.to_string(),
            (None, Some(place)) => place,
            (None, None) => continue,
        });
    }
    let heading = format!("the same {} times more:", others.len());
    Some(listed(&heading, &named, 0, HINT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Diagnostics, SourceFile, Span};
    use crate::view::Color;

    fn sources(lines: usize) -> (SourceMap, impl Fn(usize) -> Span) {
        let mut sources = SourceMap::default();
        let file = sources.add(SourceFile {
            path: "lab.yaml".into(),
            text: "x: 1\n".repeat(lines),
            rendered: false,
        });
        let at = move |line: usize| Span {
            file,
            start: 5 * (line - 1),
            end: 5 * (line - 1) + 1,
        };
        (sources, at)
    }

    fn rendered(problems: Vec<Diagnostic>, sources: &SourceMap) -> String {
        let mut all = Diagnostics::default();
        problems.into_iter().for_each(|problem| all.push(problem));
        super::super::render(&all, sources, Color::Never)
    }

    #[test]
    fn one_problem_of_many_is_told_once_with_all_places() {
        let (sources, at) = sources(40);
        let problem = |line| {
            Diagnostic::error("unknown key `x`")
                .at(at(line))
                .hint("remove it")
        };
        let text = rendered((1..=40).map(problem).collect(), &sources);
        assert_eq!(text.matches("unknown key").count(), 1, "{text}");
        assert!(
            text.contains("the same 39 times more: lab.yaml:2:1, 3:1,"),
            "{text}"
        );
        assert!(text.contains("40:1\n"), "{text}");
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
    }

    #[test]
    fn what_only_another_name_tells_apart_is_one() {
        let (sources, at) = sources(9);
        let problem = |number: usize| {
            Diagnostic::warning(format!("guest.g{number} has no disk g{number}.qcow2"))
                .at(at(number))
                .hint(format!("give g{number} one"))
        };
        let text = rendered((1..=9).map(problem).collect(), &sources);
        assert_eq!(text.matches("has no disk").count(), 1, "{text}");
        assert!(
            text.contains("8 times more: guest.g2 (lab.yaml:2:1), guest.g3 (3:1)"),
            "{text}"
        );
    }

    #[test]
    fn what_differs_in_more_is_told_each_by_itself() {
        let (sources, at) = sources(4);
        let unlike = vec![
            Diagnostic::error("guest.a has 3").at(at(1)),
            Diagnostic::error("guest.b has 4").at(at(2)),
            Diagnostic::error("guest.c has 5").at(at(3)),
            Diagnostic::error("guest.ab has c.ab-x 3").at(at(4)),
            Diagnostic::warning("guest.d has 3").at(at(4)),
            Diagnostic::error("guest.e has 3").at(at(4)).hint("3"),
            Diagnostic::error("guest.f has 3")
                .at(at(4))
                .note("3".to_owned()),
        ];
        let text = rendered(unlike, &sources);
        assert_eq!(text.matches(" has ").count(), 7, "{text}");
        assert!(!text.contains("times more"), "{text}");
    }
}
