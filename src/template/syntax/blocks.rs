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

/// The blocks that are open, with the lines they began in.
#[derive(Debug, Default)]
pub struct Blocks(Vec<(&'static str, usize)>);

impl Blocks {
    /// Takes note of a statement.
    pub fn tag(&mut self, keyword: &str, tag: &Tag) -> Result<(), SyntaxError> {
        let problem = |message: String| Err(SyntaxError::new(tag.line, message));
        if let Some(block) = BLOCKS.into_iter().find(|block| *block == keyword) {
            if block != "set" || is_set_block(tag) {
                self.0.push((block, tag.line));
            }
            return Ok(());
        }
        if let Some(ended) = keyword.strip_prefix("end")
            && BLOCKS.contains(&ended)
        {
            return match self.0.pop() {
                Some((block, _)) if block == ended => Ok(()),
                Some((block, line)) => problem(format!(
                    "there is `{keyword}` where `end{block}` is expected, of the `{block}` in line {line}"
                )),
                None => problem(format!("there is `{keyword}` without `{ended}`")),
            };
        }
        let within = self.0.last().map(|(block, _)| *block);
        match keyword {
            "else" if !matches!(within, Some("if" | "for")) => {
                problem("there is `else` without `if` or `for`".to_owned())
            }
            "elif" if within != Some("if") => problem("there is `elif` without `if`".to_owned()),
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

    /// Refuses what is still open at the end of the template.
    pub fn end(&self) -> Result<(), SyntaxError> {
        match self.0.last() {
            None => Ok(()),
            Some((block, line)) => Err(SyntaxError::new(
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
