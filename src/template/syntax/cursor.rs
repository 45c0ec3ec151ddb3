//! The tokens of one tag, one after the other.

use super::SyntaxError;
use super::ast::{Expr, Node};
use super::lexer::{Lexeme, Token};

/// How deep the tree of an expression may be.
const DEEPEST: usize = 1000;

/// Where a node begins: its line and its place in the source.
pub type Start = (usize, usize);

/// A place among the tokens of a tag.
pub struct Cursor<'a> {
    source: &'a str,
    tokens: &'a [Lexeme],
    at: usize,
    /// The line of what comes after the last token.
    end_line: usize,
}

impl<'a> Cursor<'a> {
    /// Before the first token.
    pub fn new(source: &'a str, tokens: &'a [Lexeme], end_line: usize) -> Self {
        Self {
            source,
            tokens,
            at: 0,
            end_line,
        }
    }

    /// The token that comes next.
    pub fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at).map(|lexeme| &lexeme.token)
    }

    /// The token behind the next one.
    pub fn peek_after(&self) -> Option<&'a Token> {
        self.tokens.get(self.at + 1).map(|lexeme| &lexeme.token)
    }

    /// The line of the token that comes next.
    pub fn line(&self) -> usize {
        self.tokens.get(self.at).map_or(self.end_line, |l| l.line)
    }

    /// Takes the next token.
    pub fn next(&mut self) -> Option<&'a Lexeme> {
        let lexeme = self.tokens.get(self.at);
        self.at += 1;
        lexeme
    }

    /// Whether the next token is this mark.
    pub fn is_mark(&self, mark: &str) -> bool {
        matches!(self.peek(), Some(Token::Mark(m)) if *m == mark)
    }

    /// Whether the next token is this word.
    pub fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Name(name)) if name == word)
    }

    /// Takes this mark if it comes next.
    pub fn take_mark(&mut self, mark: &str) -> bool {
        let found = self.is_mark(mark);
        self.at += usize::from(found);
        found
    }

    /// Takes this word if it comes next.
    pub fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    /// Takes this mark, which must come next.
    pub fn expect_mark(&mut self, mark: &str) -> Result<(), SyntaxError> {
        match self.take_mark(mark) {
            true => Ok(()),
            false => Err(self.unexpected(&format!("`{mark}`"))),
        }
    }

    /// Takes a name, which must come next.
    pub fn expect_name(&mut self) -> Result<&'a str, SyntaxError> {
        match self.peek() {
            Some(Token::Name(name)) => {
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.unexpected("a name")),
        }
    }

    /// Refuses what comes next.
    pub fn unexpected(&self, expected: &str) -> SyntaxError {
        let found = match self.tokens.get(self.at) {
            Some(lexeme) => format!("`{}`", &self.source[lexeme.span.0..lexeme.span.1]),
            None => "the end of the tag".to_owned(),
        };
        SyntaxError::new(
            self.line(),
            format!("there is {found} where {expected} is expected"),
        )
    }

    /// Refuses anything that comes next.
    pub fn expect_end(&self) -> Result<(), SyntaxError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.unexpected("the end of the tag")),
        }
    }

    /// Goes over so many tokens.
    pub fn skip(&mut self, count: usize) {
        self.at += count;
    }

    /// Goes back by one token.
    pub fn back(&mut self) {
        self.at = self.at.saturating_sub(1);
    }

    /// Where the next token begins.
    pub fn start(&self) -> Start {
        let begin = self.tokens.get(self.at).map_or(0, |l| l.span.0);
        (self.line(), begin)
    }

    /// A node from a start up to here. What becomes too deep is refused, so that no recursion over it overflows the stack.
    pub fn node(&self, (line, begin): Start, kind: Expr) -> Result<Node, SyntaxError> {
        let end = match self.at {
            0 => begin,
            at => self.tokens.get(at - 1).map_or(begin, |l| l.span.1),
        };
        let depth = kind.depth();
        if depth > DEEPEST {
            return Err(SyntaxError::new(
                line,
                format!("this expression has more than {DEEPEST} parts in a row or in each other"),
            ));
        }
        Ok(Node {
            line,
            span: (begin, end.max(begin)),
            depth,
            kind,
        })
    }
}
