//! What minijinja cannot be taught by callbacks, written so that it can.
//!
//! - `a % b` becomes `(a)|py__percent(b)`: strings are formatted with it, and minijinja has no hook for operators.
//! - `[a]` becomes `py__list([a])`, and `{a: b}` becomes `py__dict([a, b])`: lists and dictionaries that change.
//! - `include` gets a scope of its own, and `extends` the name of a parent that others may have as well.
//! - `do` takes any expression, and `+a` is `a`.
//! - a macro's default is set in its body where it uses other arguments.
//! - `set n.a = b` has `b` looked at, lest a namespace is put into itself.
//!
//! All else stays, and each line in its place, as minijinja names it. What cannot be read is left to minijinja, which says
//! what is wrong with it. Each character is looked at once.

use super::error::Problem;

/// How many operators, filters or subscripts are in a row, and `elif` in a template: minijinja recurses for each.
const ROW: usize = 1000;

/// How deep brackets are nested.
const DEPTH: usize = 100;

/// Rewrites a template. The source has `\n` as its only end of line.
pub fn rewrite(source: &str) -> Result<String, Problem> {
    let mut out = String::with_capacity(source.len() + source.len() / 8);
    let mut elifs = 0;
    let mut done = 0;
    while let Some((begin, tag)) = next_tag(source, done) {
        let problem = |at: usize, message: &str| {
            let line = source[..at].matches('\n').count() + 1;
            Err((line, message.to_owned()))
        };
        if let Err(Some(at)) = tag {
            return problem(at, "brackets are nested too deeply here");
        }
        let Ok((tokens, end)) = tag else {
            let (open, close) = match &source[begin..begin + 2] {
                "{{" => ("{{", "}}"),
                "{%" => ("{%", "%}"),
                _ => ("{#", "#}"),
            };
            match source[begin..].contains(close) {
                true => break,
                false => return problem(begin, &format!("this `{open}` has no end `{close}`")),
            }
        };
        let is_statement = source[begin..].starts_with("{%");
        elifs += usize::from(is_statement && tokens.first().is_some_and(|t| t.text == "elif"));
        if elifs >= ROW {
            return problem(begin, &format!("there are {ROW} or more `elif`"));
        }
        // minijinja divides by the number of what there is to choose from.
        let chooses = |four: &[Token]| match [four[0].text, four[1].text, four[2].text] {
            [".", "cycle", "("] => !matches!(four[3].text, ")" | "*"),
            _ => true,
        };
        if !tokens.windows(4).all(chooses) {
            return problem(begin, "`cycle` takes the values to choose from");
        }
        let inserted = match Writer::new(&tokens, is_statement).write() {
            Ok(inserted) => inserted,
            Err(at) => {
                let what = "operators, filters or subscripts in a row";
                return problem(at, &format!("there are more than {ROW} {what}"));
            }
        };
        for (token, inserted) in tokens.iter().zip(&inserted) {
            out.push_str(&source[done..token.at]);
            out.push_str(&inserted.before);
            match token.kind {
                _ if inserted.replaced => {}
                // Python leaves out what breaks a line in a string.
                Kind::Literal => out.push_str(&token.text.replace("\\\n", "")),
                _ => out.push_str(token.text),
            }
            done = token.at + token.text.len();
        }
        // Where there are no tokens, there is nothing to write.
        let behind = inserted.last().filter(|_| !tokens.is_empty());
        out.push_str(behind.map_or("", |last| &last.before));
        out.push_str(&source[done..end]);
        done = end;
    }
    out.push_str(&source[done..]);
    Ok(out)
}

/// The names that a template sets, as far as that can be seen: variables, macros, what loops go over.
pub fn names(source: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut done = 0;
    while let Some((_, Ok((tokens, end)))) = next_tag(source, done) {
        done = end;
        let first = tokens.first().map_or("", |token| token.text);
        if ["set", "for", "macro", "import", "from", "with", "call"].contains(&first) {
            let targets = tokens[1..].iter();
            let targets = targets.take_while(|t| !["=", "in"].contains(&t.text));
            names.extend(targets.filter(|t| t.kind == Kind::Name).map(|t| t.text));
        }
    }
    names
}

/// A tag's tokens, and where it ends; if it cannot be read, where it is nested too deeply for it.
type Tag<'a> = Result<(Vec<Token<'a>>, usize), Option<usize>>;

/// Where the next tag begins that is no comment or raw block, and the tag.
fn next_tag(source: &str, from: usize) -> Option<(usize, Tag<'_>)> {
    let mut from = from;
    loop {
        let bytes = source.as_bytes();
        let braces = source[from..].match_indices('{').map(|(at, _)| from + at);
        let mut tags = braces.filter(|at| matches!(bytes.get(at + 1), Some(b'{' | b'%' | b'#')));
        let begin = tags.next()?;
        let rest = &source[begin..];
        let verbatim = match rest.strip_prefix("{#") {
            Some(rest) => rest.find("#}").map(|end| end + 4),
            None => tag_named(rest, "raw").map(|length| length + end_of_raw(&rest[length..])),
        };
        match verbatim {
            Some(length) => from = begin + length,
            None => return Some((begin, tokens(source, begin))),
        }
    }
}

/// The length of `{% name %}` at the beginning of the text, with whatever whitespace control.
fn tag_named(text: &str, name: &str) -> Option<usize> {
    let rest = text.strip_prefix("{%")?;
    let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest).trim_start();
    let rest = rest.strip_prefix(name)?.trim_start();
    let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
    Some(text.len() - rest.strip_prefix("%}")?.len())
}

/// Where a raw block ends, or the text.
fn end_of_raw(text: &str) -> usize {
    let ends = text.match_indices("{%");
    let mut ends = ends.filter_map(|(at, _)| Some(at + tag_named(&text[at..], "endraw")?));
    ends.next().unwrap_or(text.len())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Name,
    /// A string or a number.
    Literal,
    /// An operator, a bracket or a mark.
    Mark,
}

#[derive(Debug, Clone, Copy)]
struct Token<'a> {
    kind: Kind,
    text: &'a str,
    at: usize,
}

/// The tag that begins here.
fn tokens(source: &str, begin: usize) -> Tag<'_> {
    let ends = match source.as_bytes()[begin + 1] {
        b'{' => ["}}", "-}}", "+}}"],
        b'%' => ["%}", "-%}", "+%}"],
        _ => return Err(None),
    };
    let mut at = begin + 2;
    at += usize::from(source[at..].starts_with(['-', '+']));
    let mut tokens = Vec::new();
    let mut depth = 0_usize;
    loop {
        let rest = source[at..].trim_start();
        at = source.len() - rest.len();
        if depth == 0
            && let Some(end) = ends.iter().find(|end| rest.starts_with(*end))
        {
            return Ok((tokens, at + end.len()));
        }
        let first = rest.chars().next().ok_or(None)?;
        let (kind, length) = match first {
            '\'' | '"' => (Kind::Literal, string(rest, first).ok_or(None)?),
            '0'..='9' => {
                let mut length = word_length(rest);
                let fraction = rest[length..].strip_prefix('.').map_or(0, word_length);
                if fraction > 0 && tokens.last().is_none_or(|t: &Token| t.text != ".") {
                    length += 1 + fraction;
                }
                if rest[..length].ends_with(['e', 'E']) && !rest.starts_with("0x") {
                    let exponent = rest[length..].strip_prefix(['+', '-']);
                    length += exponent.map_or(0, |after| 1 + word_length(after));
                }
                (Kind::Literal, length)
            }
            _ if word_length(rest) > 0 => (Kind::Name, word_length(rest)),
            _ => {
                let two = ["//", "**", "==", "!=", ">=", "<="];
                let length = match two.iter().any(|mark| rest.starts_with(mark)) {
                    true => 2,
                    false => first.len_utf8(),
                };
                (Kind::Mark, length)
            }
        };
        match first {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.checked_sub(1).ok_or(None)?,
            _ => {}
        }
        if depth > DEPTH {
            return Err(Some(at));
        }
        tokens.push(Token {
            kind,
            text: &rest[..length],
            at,
        });
        at += length;
    }
}

/// How many letters, digits and underscores a text begins with.
fn word_length(text: &str) -> usize {
    let ends = |c: char| !c.is_alphanumeric() && c != '_';
    text.find(ends).unwrap_or(text.len())
}

/// The length of a string with its quotes.
fn string(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    let mut end = text.char_indices().skip(1).filter(|(_, c)| {
        let ends = *c == quote && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.next().map(|(at, _)| at + 1)
}

/// What is written before a token.
#[derive(Debug, Default, Clone)]
struct Inserted {
    before: String,
    /// Whether the token itself is left out.
    replaced: bool,
}

/// Ends the call that a dictionary's literal becomes.
const DICT: &str = "])";

/// What is inside one pair of brackets.
#[derive(Debug, Default)]
struct Level {
    /// What to write behind the closing bracket, or in place of a dictionary's.
    close: &'static str,
    /// Where the product begins that is read: what stands left of a `%`.
    product: usize,
    /// Whether the right side of a `%` is read.
    right: bool,
    /// How many tokens were there without a comma or the like.
    row: usize,
}

struct Writer<'a> {
    tokens: &'a [Token<'a>],
    is_statement: bool,
    inserted: Vec<Inserted>,
    levels: Vec<Level>,
}

impl<'a> Writer<'a> {
    fn new(tokens: &'a [Token<'a>], is_statement: bool) -> Self {
        Self {
            tokens,
            is_statement,
            inserted: vec![Inserted::default(); tokens.len() + 1],
            levels: vec![Level::default()],
        }
    }

    fn text(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |token| token.text)
    }

    fn put(&mut self, at: usize, text: &str) {
        self.inserted[at].before.push_str(text);
    }

    fn level(&mut self) -> &mut Level {
        // There is one as long as brackets are closed that were opened, which `tokens` sees to.
        let last = self.levels.len() - 1;
        &mut self.levels[last]
    }

    /// The side of an operator ends before a token.
    fn ends(&mut self, at: usize) {
        if std::mem::take(&mut self.level().right) {
            self.put(at, ")");
        }
    }

    /// What comes is the beginning of a product.
    fn begins(&mut self, at: usize) {
        self.ends(at);
        self.level().product = at + 1;
    }

    /// Gives what is written before each token and at the end, or where a row is too long.
    fn write(mut self) -> Result<Vec<Inserted>, usize> {
        let end = self.tokens.len();
        // Whether the token before ends an operand.
        let mut operand = false;
        let first = usize::from(self.is_statement);
        self.level().product = first;
        for (at, token) in self.tokens.iter().enumerate().skip(first) {
            let before = if at > 0 { self.text(at - 1) } else { "" };
            match token.text {
                "(" | "[" | "{" => {
                    let (open, close) = match token.text {
                        "[" if !operand => ("py__list(", ")"),
                        "{" => ("py__dict([", DICT),
                        _ => ("", ""),
                    };
                    self.put(at, open);
                    self.inserted[at].replaced = close == DICT;
                    self.levels.push(Level {
                        close,
                        product: at + 1,
                        ..Level::default()
                    });
                    operand = false;
                }
                ")" | "]" | "}" => {
                    self.ends(at);
                    let level = self.levels.pop().unwrap_or_default();
                    self.inserted[at].replaced = level.close == DICT;
                    self.put(at + 1, level.close);
                    operand = true;
                }
                "%" if operand => {
                    self.ends(at);
                    let product = self.level().product;
                    self.inserted[product].before.insert(0, '(');
                    self.put(at, ")|py__percent(");
                    self.inserted[at].replaced = true;
                    self.level().right = true;
                    operand = false;
                }
                "*" | "/" | "//" if operand => {
                    self.ends(at);
                    operand = false;
                }
                "**" | "." | "|" | "is" => operand = false,
                // minijinja has no `+` before a number.
                "+" if !operand => self.inserted[at].replaced = true,
                "-" if !operand => {}
                "," | ":" | "=" => {
                    self.begins(at);
                    self.level().row = 0;
                    if token.text == ":" && self.level().close == DICT {
                        self.inserted[at].replaced = true;
                        self.put(at, ",");
                    }
                    operand = false;
                }
                _ if token.kind == Kind::Mark => {
                    self.begins(at);
                    operand = false;
                }
                // An attribute or a filter may have any name, and what follows a test is its argument.
                _ if matches!(before, "." | "|") => operand = true,
                _ if before == "is" => operand = false,
                _ if before == "not" && self.text(at.wrapping_sub(2)) == "is" => operand = false,
                "and" | "or" | "not" | "in" | "if" | "else" => {
                    self.begins(at);
                    operand = false;
                }
                _ => {
                    // A word of the statement: `as`, `recursive`, `ignore missing` and so on.
                    if operand && token.kind == Kind::Name {
                        self.begins(at);
                    }
                    operand = true;
                }
            }
            let level = self.level();
            level.row += 1;
            if level.row > 2 * ROW {
                return Err(token.at);
            }
        }
        self.ends(end);
        if self.is_statement {
            self.statement();
        }
        Ok(self.inserted)
    }

    /// What is written around a whole statement.
    fn statement(&mut self) {
        let end = self.tokens.len();
        match self.text(0) {
            "include" if end > 1 => {
                self.put(0, "with %}{% ");
                self.put(end, " %}{% endwith ");
            }
            "do" => {
                self.inserted[0].replaced = true;
                self.put(0, "set py__done =");
            }
            "extends" if end > 1 => {
                self.inserted[1].before.insert_str(0, "py__parent(");
                self.put(end, ")");
            }
            "macro" => self.defaults(),
            "set" => {
                let equals = self.tokens.iter().position(|token| token.text == "=");
                let equals = equals.filter(|at| (1..*at).any(|at| self.text(at) == "."));
                if let Some(at) = equals.filter(|at| at + 1 < end) {
                    self.inserted[at + 1].before.insert(0, '(');
                    self.put(end, ")|py__kept");
                }
            }
            _ => {}
        }
    }

    /// A macro's defaults that use arguments before them are set in its body: minijinja sets the last argument first.
    fn defaults(&mut self) {
        let (mut names, mut depth, mut from) = (Vec::new(), 0, 3);
        for at in 2..self.tokens.len() {
            match self.text(at) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth -= 1,
                _ => {}
            }
            if depth > 1 || (depth == 1 && self.text(at) != ",") {
                continue;
            }
            let name = self.text(from);
            let default = from + 2..at;
            let uses = default.clone().any(|at| names.contains(&self.text(at)));
            if uses && self.text(from + 1) == "=" {
                let mut text = String::new();
                for at in default {
                    let inserted = &mut self.inserted[at];
                    text += &std::mem::take(&mut inserted.before);
                    if !std::mem::replace(&mut inserted.replaced, true) {
                        text += self.tokens[at].text;
                    }
                    text.push(' ');
                }
                text += &std::mem::take(&mut self.inserted[at].before);
                self.put(at, "py__unset");
                let set = format!("{{% set {name} = {text} %}}{{% endif ");
                let set = format!(" %}}{{% if {name} is undefined %}}{set}");
                self.put(self.tokens.len(), &set);
            }
            names.push(name);
            from = at + 1;
        }
    }
}
