//! What a template's statements say about names, without looking at its expressions.

use std::collections::BTreeSet;

use super::lexer::{Lexeme, Piece, Tag, TagKind, Token};

/// Names that every template has.
const GIVEN: [&str; 12] = [
    "loop",
    "self",
    "super",
    "caller",
    "varargs",
    "kwargs",
    "range",
    "dict",
    "namespace",
    "cycler",
    "joiner",
    "lipsum",
];

/// The names that a template sets somewhere: all words before a `=`, in the targets of loops, of imports and of macros.
pub fn own_names(pieces: &[Piece]) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = GIVEN.map(str::to_owned).into();
    for piece in pieces {
        let Piece::Tag(Tag {
            kind: TagKind::Statement,
            tokens,
            ..
        }) = piece
        else {
            continue;
        };
        let Some(Token::Name(keyword)) = tokens.first().map(|lexeme| &lexeme.token) else {
            continue;
        };
        let words = tokens[1..].iter().map(|lexeme| &lexeme.token);
        let is = |token: &Token, word: &str| matches!(token, Token::Name(name) if name == word);
        let targets: Vec<&Token> = match keyword.as_str() {
            "for" => words.take_while(|token| !is(token, "in")).collect(),
            "set" => words.take_while(|t| **t != Token::Mark("=")).collect(),
            "import" | "from" => words
                .skip_while(|t| !is(t, keyword_of_names(keyword)))
                .collect(),
            "macro" | "call" | "with" => words.collect(),
            _ => continue,
        };
        for token in targets {
            if let Token::Name(name) = token {
                names.insert(name.clone());
            }
        }
    }
    names
}

fn keyword_of_names(keyword: &str) -> &'static str {
    match keyword {
        "import" => "as",
        _ => "import",
    }
}

/// Whether the macro whose body this is speaks of `varargs` or `kwargs`.
pub fn takes_any(follows: &[Piece]) -> bool {
    let mut depth = 0;
    for piece in follows {
        let Piece::Tag(tag) = piece else {
            continue;
        };
        if tag.kind == TagKind::Statement
            && let Some(Token::Name(keyword)) = tag.tokens.first().map(|lexeme| &lexeme.token)
        {
            match keyword.as_str() {
                "macro" => depth += 1,
                "endmacro" if depth == 0 => return false,
                "endmacro" => depth -= 1,
                _ => {}
            }
        }
        let speaks = |lexeme: &Lexeme| matches!(&lexeme.token, Token::Name(name) if name == "varargs" || name == "kwargs");
        if depth == 0 && tag.tokens.iter().any(speaks) {
            return true;
        }
    }
    false
}
