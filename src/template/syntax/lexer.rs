//! A template as pieces: text that stays as it is, and tags as tokens.

use super::SyntaxError;
use super::parser::DEPTH;

/// A piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece<'a> {
    /// Text, a comment or a raw block.
    Verbatim(&'a str),
    /// `{{ … }}` or `{% … %}`.
    Tag(Tag),
}

/// A tag.
#[derive(Debug, Clone, PartialEq)]
pub struct Tag {
    /// Which of the two.
    pub kind: TagKind,
    /// `{{`, `{%-` and so on.
    pub open: String,
    /// `}}`, `-%}` and so on.
    pub close: String,
    /// The line it begins in, from 1.
    pub line: usize,
    /// The line it ends in.
    pub end_line: usize,
    /// What is in it.
    pub tokens: Vec<Lexeme>,
}

/// The two kinds of tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagKind {
    /// `{{ … }}`.
    Print,
    /// `{% … %}`.
    Statement,
}

/// A token with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Lexeme {
    /// What it is.
    pub token: Token,
    /// Its line, from 1.
    pub line: usize,
    /// Where it begins and ends in the source.
    pub span: (usize, usize),
}

/// A token of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A name or a keyword.
    Name(String),
    /// A string, its escapes resolved.
    Text(String),
    /// An integer in decimal.
    Integer(String),
    /// A float.
    Float(String),
    /// An operator, a bracket or a mark.
    Mark(&'static str),
}

/// Longest first.
const MARKS: [&str; 28] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "*", "/", "%", ".", ",", ":", "~", "|", "=", ">",
    "<", "(", ")", "[", "]", "{", "}", ";", "@", "$",
];

/// Cuts a template into pieces. The source has `\n` as its only end of line.
pub fn pieces(source: &str) -> Result<Vec<Piece<'_>>, SyntaxError> {
    let mut lexer = Lexer {
        source,
        at: 0,
        line: 1,
    };
    let mut pieces = Vec::new();
    while lexer.at < source.len() {
        let start = lexer.at;
        let Some(begin) = lexer.find_tag() else {
            pieces.push(Piece::Verbatim(&source[start..]));
            break;
        };
        lexer.advance(begin);
        if source[begin..].starts_with("{#") {
            let line = lexer.line;
            let end = source[begin..]
                .find("#}")
                .ok_or_else(|| SyntaxError::new(line, "this comment has no end `#}`"))?;
            lexer.advance(begin + end + 2);
            pieces.push(Piece::Verbatim(&source[start..lexer.at]));
        } else if let Some(length) = tag_named(&source[begin..], "raw") {
            let line = lexer.line;
            let end = end_of_raw(source, begin + length)
                .ok_or_else(|| SyntaxError::new(line, "this `raw` has no `endraw`"))?;
            lexer.advance(end);
            pieces.push(Piece::Verbatim(&source[start..end]));
        } else {
            if start < begin {
                pieces.push(Piece::Verbatim(&source[start..begin]));
            }
            pieces.push(Piece::Tag(lexer.tag()?));
        }
    }
    Ok(pieces)
}

/// The tokens of an expression that stands alone.
#[cfg(test)]
pub fn tokens(source: &str) -> Result<Vec<Lexeme>, SyntaxError> {
    let mut lexer = Lexer {
        source,
        at: 0,
        line: 1,
    };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_space();
        if lexer.at == source.len() {
            return Ok(tokens);
        }
        tokens.push(lexer.token()?);
    }
}

/// The length of `{% name %}` at the beginning of the text, with whatever whitespace control.
fn tag_named(text: &str, name: &str) -> Option<usize> {
    let rest = text.strip_prefix("{%")?;
    let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest).trim_start();
    let rest = rest.strip_prefix(name)?.trim_start();
    let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
    let rest = rest.strip_prefix("%}")?;
    Some(text.len() - rest.len())
}

fn end_of_raw(source: &str, from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(found) = source[at..].find("{%") {
        at += found;
        if let Some(length) = tag_named(&source[at..], "endraw") {
            return Some(at + length);
        }
        at += 2;
    }
    None
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    line: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.source[self.at..]
    }

    fn advance(&mut self, to: usize) {
        self.line += self.source[self.at..to].matches('\n').count();
        self.at = to;
    }

    fn find_tag(&self) -> Option<usize> {
        let mut at = self.at;
        while let Some(found) = self.source[at..].find('{') {
            at += found;
            if matches!(self.source.as_bytes().get(at + 1), Some(b'{' | b'%' | b'#')) {
                return Some(at);
            }
            at += 1;
        }
        None
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        let space = rest.len() - rest.trim_start().len();
        self.advance(self.at + space);
    }

    fn tag(&mut self) -> Result<Tag, SyntaxError> {
        let line = self.line;
        let (kind, end, minus, plus) = match self.source.as_bytes()[self.at + 1] {
            b'{' => (TagKind::Print, "}}", "-}}", "+}}"),
            _ => (TagKind::Statement, "%}", "-%}", "+%}"),
        };
        let mut length = 2;
        if self.rest()[2..].starts_with(['-', '+']) {
            length += 1;
        }
        let open = self.rest()[..length].to_owned();
        self.advance(self.at + length);
        let mut tokens: Vec<Lexeme> = Vec::new();
        let mut open_brackets: Vec<&'static str> = Vec::new();
        loop {
            self.skip_space();
            if open_brackets.is_empty()
                && let Some(close) = [minus, plus, end]
                    .into_iter()
                    .find(|close| self.rest().starts_with(close))
            {
                self.advance(self.at + close.len());
                return Ok(Tag {
                    kind,
                    open,
                    close: close.to_owned(),
                    line,
                    end_line: self.line,
                    tokens,
                });
            }
            if self.at == self.source.len() {
                return Err(SyntaxError::new(
                    line,
                    format!("this `{open}` has no end `{end}`"),
                ));
            }
            let lexeme = self.token()?;
            if open_brackets.len() > DEPTH {
                return Err(SyntaxError::new(
                    lexeme.line,
                    "brackets are nested too deeply here",
                ));
            }
            match lexeme.token {
                Token::Mark("(") => open_brackets.push(")"),
                Token::Mark("[") => open_brackets.push("]"),
                Token::Mark("{") => open_brackets.push("}"),
                Token::Mark(close @ (")" | "]" | "}")) => {
                    let expected = open_brackets.pop();
                    if expected != Some(close) {
                        let expected = expected.unwrap_or(end);
                        return Err(SyntaxError::new(
                            lexeme.line,
                            format!("there is `{close}` where `{expected}` is expected"),
                        ));
                    }
                }
                _ => {}
            }
            tokens.push(lexeme);
        }
    }

    fn token(&mut self) -> Result<Lexeme, SyntaxError> {
        let (start, line) = (self.at, self.line);
        let first = self.rest().chars().next().unwrap_or(' ');
        let token = match first {
            '\'' | '"' => self.text(first)?,
            '0'..='9' => self.number()?,
            'a'..='z' | 'A'..='Z' | '_' => {
                let rest = self.rest();
                let end = rest
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(rest.len());
                let name = rest[..end].to_owned();
                self.advance(start + end);
                Token::Name(name)
            }
            _ => {
                let mark = MARKS
                    .into_iter()
                    .find(|mark| self.rest().starts_with(mark))
                    .ok_or_else(|| {
                        SyntaxError::new(line, format!("`{first}` has no meaning in a tag"))
                    })?;
                self.advance(start + mark.len());
                Token::Mark(mark)
            }
        };
        Ok(Lexeme {
            token,
            line,
            span: (start, self.at),
        })
    }

    fn text(&mut self, quote: char) -> Result<Token, SyntaxError> {
        let (start, line) = (self.at, self.line);
        let mut characters = self.source[start + 1..].char_indices();
        let mut escaped = false;
        let end = loop {
            match characters.next() {
                None => return Err(SyntaxError::new(line, "this string has no end")),
                Some((at, c)) if c == quote && !escaped => break start + 1 + at,
                Some((_, c)) => escaped = c == '\\' && !escaped,
            }
        };
        let text =
            unescape(&self.source[start + 1..end]).map_err(|why| SyntaxError::new(line, why))?;
        self.advance(end + 1);
        Ok(Token::Text(text))
    }

    /// Jinja2's numbers: `1_000`, `0x1f`, `0o17`, `0b11`, `1.5`, `1e3`.
    fn number(&mut self) -> Result<Token, SyntaxError> {
        let rest = self.rest();
        let digits = |from: usize, radix: u32| {
            rest[from..]
                .find(|c: char| !(c.is_digit(radix) || c == '_'))
                .map_or(rest.len(), |end| from + end)
        };
        let prefix = rest.get(..2).unwrap_or("").to_ascii_lowercase();
        let radix = match prefix.as_str() {
            "0x" => 16,
            "0o" => 8,
            "0b" => 2,
            _ => 10,
        };
        if radix != 10 {
            let end = digits(2, radix);
            let text = rest[2..end].replace('_', "");
            let value = u128::from_str_radix(&text, radix).map_err(|_| {
                SyntaxError::new(self.line, format!("`{}` is no number", &rest[..end]))
            })?;
            self.advance(self.at + end);
            return Ok(Token::Integer(value.to_string()));
        }
        let mut end = digits(0, 10);
        let mut float = false;
        let after_dot = self.source[..self.at].ends_with('.');
        let digit_at = |at: usize| rest[at..].starts_with(|c: char| c.is_ascii_digit());
        if !after_dot && rest[end..].starts_with('.') && digit_at(end + 1) {
            float = true;
            end = digits(end + 1, 10);
        }
        if !after_dot && rest[end..].starts_with(['e', 'E']) {
            let sign = usize::from(rest[end + 1..].starts_with(['+', '-']));
            if digit_at(end + 1 + sign) {
                float = true;
                end = digits(end + 1 + sign, 10);
            }
        }
        let text = rest[..end].trim_end_matches('_').replace('_', "");
        let token = match float {
            true => Token::Float(text),
            false => {
                let value: u128 = text.parse().map_err(|_| {
                    SyntaxError::new(self.line, format!("`{text}` is too large a number"))
                })?;
                Token::Integer(value.to_string())
            }
        };
        self.advance(self.at + end);
        Ok(token)
    }
}

/// Python's escapes. An unknown one stays as it is, as in Python.
fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let Some(escape) = characters.next() else {
            return Err("this string ends in a backslash".to_owned());
        };
        match escape {
            '\n' => {}
            '\\' | '\'' | '"' => out.push(escape),
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'a' => out.push('\x07'),
            'b' => out.push('\x08'),
            'f' => out.push('\x0c'),
            'v' => out.push('\x0b'),
            'x' | 'u' | 'U' => {
                let length = match escape {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let code: String = characters.by_ref().take(length).collect();
                let value = u32::from_str_radix(&code, 16)
                    .ok()
                    .filter(|_| code.len() == length)
                    .and_then(char::from_u32);
                out.push(value.ok_or_else(|| format!("`\\{escape}{code}` is no character"))?);
            }
            '0'..='7' => {
                let mut value = escape.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let mut ahead = characters.clone();
                    let Some(digit) = ahead.next().and_then(|c| c.to_digit(8)) else {
                        break;
                    };
                    value = value * 8 + digit;
                    characters = ahead;
                }
                out.push(char::from_u32(value).unwrap_or('\u{fffd}'));
            }
            other => {
                out.push('\\');
                out.push(other);
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_end_outside_brackets_and_strings() {
        let pieces =
            pieces("a {{ {'}}': {'b': 1}} }} {# {{ #} {% raw %}{{ x }}{% endraw %} b").unwrap();
        assert_eq!(pieces.len(), 5, "{pieces:?}");
        assert!(matches!(&pieces[1], Piece::Tag(tag) if tag.tokens.len() == 9));
        assert_eq!(pieces[3], Piece::Verbatim(" {% raw %}{{ x }}{% endraw %}"));
    }

    #[test]
    fn escapes_are_pythons() {
        assert_eq!(unescape(r"a\n\x41\u00e9\101\q\\").unwrap(), "a\nAéA\\q\\");
        assert_eq!(unescape("a\\\nb").unwrap(), "ab");
    }

    #[test]
    fn what_has_no_end_is_named_with_its_line() {
        let problem = |text| pieces(text).unwrap_err();
        assert_eq!(problem("\n{{ 'a }}").line, 2);
        assert_eq!(problem("{{ (1 }}").line, 1);
        assert_eq!(problem("\n\n{# x").line, 3);
        assert_eq!(problem("{% raw %}").message, "this `raw` has no `endraw`");
    }
}
