//! Jinja2's syntax, written in minijinja's.
//!
//! minijinja reads Jinja2's statements, and its values and filters can be replaced; its operators, literals and lookups
//! cannot. So a template is read here by Jinja2's grammar, and each expression whose meaning differs in Python is written as
//! a call: `'%s' % a` becomes `py__product('%s', '%', a)`, `[a]` becomes `py__list([a])`, `guest.name` becomes
//! `py__at(guest, 'guest', 'name')`. The functions stand in [`operators`](super::operators) and
//! [`lookup`](super::lookup). What stays: text, comments, raw blocks, statements, and every line in its place, so that
//! minijinja's line numbers are the template's.

mod ast;
mod blocks;
mod cursor;
mod emit;
mod lexer;
mod names;
mod operand;
mod parser;
mod statement;

pub use statement::{Context, translate};

use super::Undefined;

/// Why a template cannot be read, with its line from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
}

impl SyntaxError {
    fn new(line: usize, message: impl Into<String>) -> Self {
        Self {
            line,
            message: message.into(),
        }
    }
}

/// How many of the first lines may hold `{# miniascape: … #}`.
const PRAGMA_LINES: usize = 5;

/// What a file asks for in a comment among its first lines: `{# miniascape: undefined=lenient #}`.
pub fn pragma(source: &str) -> Result<Option<Undefined>, SyntaxError> {
    for (index, line) in source.lines().take(PRAGMA_LINES).enumerate() {
        let Some((_, rest)) = line.split_once("{#") else {
            continue;
        };
        let Some((comment, _)) = rest.split_once("#}") else {
            continue;
        };
        let comment = comment.trim_matches(|c: char| c == '-' || c == '+' || c.is_whitespace());
        let Some(wish) = comment.strip_prefix("miniascape:") else {
            continue;
        };
        return match wish.replace(char::is_whitespace, "").as_str() {
            "undefined=lenient" => Ok(Some(Undefined::Lenient)),
            "undefined=strict" => Ok(Some(Undefined::Strict)),
            _ => Err(SyntaxError::new(
                index + 1,
                format!(
                    "`{}` is not known: write `undefined=lenient` or `undefined=strict`",
                    wish.trim()
                ),
            )),
        };
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_among_the_first_lines_asks_for_leniency() {
        let asks = |text| pragma(text).unwrap();
        assert_eq!(
            asks("{# miniascape: undefined=lenient #}\n"),
            Some(Undefined::Lenient)
        );
        assert_eq!(
            asks("#!/bin/sh\n{#- miniascape: undefined = strict -#}\n"),
            Some(Undefined::Strict)
        );
        assert_eq!(asks("{# another comment #}\n"), None);
        assert_eq!(asks("\n\n\n\n\n{# miniascape: undefined=lenient #}"), None);
        let error = pragma("\n{# miniascape: undefined=lax #}").unwrap_err();
        assert_eq!(error.line, 2);
    }
}
