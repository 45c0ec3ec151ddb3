//! Which tags begin and end what, so that an end that is missing is named where it is missing.

use super::SyntaxError;
use super::lexer::{Tag, Token};
use crate::diagnostic::nearest;

/// Tags that have an end.
const BLOCKS: [&str; 9] = [
    "autoescape",
    "block",
    "call",
    "filter",
    "for",
    "if",
    "macro",
    "set",
    "with",
];

/// Tags that stand alone.
const SINGLE: [&str; 9] = [
    "break", "continue", "do", "elif", "else", "extends", "from", "import", "include",
];

/// How deep blocks may stand in each other. minijinja has each `elif` in the one before it.
const DEEPEST: usize = 1000;

/// The blocks that are open.
#[derive(Debug, Default)]
pub struct Blocks {
    open: Vec<Open>,
    depth: usize,
}

/// A block whose end has not come yet.
#[derive(Debug)]
struct Open {
    block: &'static str,
    /// The line it began in.
    line: usize,
    /// Itself and each `elif` of it.
    depth: usize,
}

impl Blocks {
    /// Takes note of a statement.
    pub fn tag(&mut self, keyword: &str, tag: &Tag) -> Result<(), SyntaxError> {
        let problem = |message: String| Err(SyntaxError::new(tag.line, message));
        if let Some(block) = BLOCKS.into_iter().find(|block| *block == keyword) {
            if block != "set" || is_set_block(tag) {
                self.open.push(Open {
                    block,
                    line: tag.line,
                    depth: 0,
                });
                return self.deeper(tag.line);
            }
            return Ok(());
        }
        if let Some(ended) = keyword.strip_prefix("end")
            && BLOCKS.contains(&ended)
        {
            let open = self.open.pop();
            self.depth -= open.as_ref().map_or(0, |open| open.depth);
            return match open {
                Some(Open { block, .. }) if block == ended => Ok(()),
                Some(Open { block, line, .. }) => problem(format!(
                    "there is `{keyword}` where `end{block}` is expected, of the `{block}` in line {line}"
                )),
                None => problem(format!("there is `{keyword}` without `{ended}`")),
            };
        }
        let within = self.open.last().map(|open| open.block);
        match keyword {
            "else" if !matches!(within, Some("if" | "for")) => {
                problem("there is `else` without `if` or `for`".to_owned())
            }
            "elif" if within != Some("if") => problem("there is `elif` without `if`".to_owned()),
            "elif" => self.deeper(tag.line),
            _ if SINGLE.contains(&keyword) => Ok(()),
            _ => {
                let ends: Vec<String> = BLOCKS.iter().map(|block| format!("end{block}")).collect();
                let known = BLOCKS.into_iter().chain(SINGLE).chain(["raw", "endraw"]);
                let near = nearest(keyword, known.chain(ends.iter().map(String::as_str)));
                let near = near.map(|near| format!("; {near}")).unwrap_or_default();
                problem(format!("there is no tag `{keyword}`{near}"))
            }
        }
    }

    fn deeper(&mut self, line: usize) -> Result<(), SyntaxError> {
        self.depth += 1;
        if let Some(open) = self.open.last_mut() {
            open.depth += 1;
        }
        match self.depth > DEEPEST {
            true => Err(SyntaxError::new(
                line,
                format!("more than {DEEPEST} blocks and `elif` are open here"),
            )),
            false => Ok(()),
        }
    }

    /// Refuses what is still open at the end of the template.
    pub fn end(&self) -> Result<(), SyntaxError> {
        match self.open.last() {
            None => Ok(()),
            Some(Open { block, line, .. }) => Err(SyntaxError::new(
                *line,
                format!("this `{block}` has no `end{block}`"),
            )),
        }
    }
}

/// `{% set x %}…{% endset %}`, and not `{% set x = 1 %}`.
fn is_set_block(tag: &Tag) -> bool {
    let mut depth = 0;
    !tag.tokens.iter().any(|lexeme| match lexeme.token {
        Token::Mark("(" | "[" | "{") => {
            depth += 1;
            false
        }
        Token::Mark(")" | "]" | "}") => {
            depth -= 1;
            false
        }
        Token::Mark("=") => depth == 0,
        _ => false,
    })
}
