//! Statements that take other templates: `include`, `import` and `from`.

use super::Translator;
use crate::template::syntax::SyntaxError;
use crate::template::syntax::emit::Check;
use crate::template::syntax::parser::Parser;

impl Translator<'_> {
    /// What an included template sets stays in it: minijinja has it for that only in a scope of its own.
    pub(super) fn include(&mut self, parser: &mut Parser) -> Result<(), SyntaxError> {
        let name = parser.expression()?;
        self.out.word("with %}{% include ");
        self.out.expression(&name, Check::Use);
        self.out.word(" ");
        self.rest(parser);
        self.out.word("%}{% endwith");
        Ok(())
    }

    pub(super) fn import(&mut self, keyword: &str, parser: &mut Parser) -> Result<(), SyntaxError> {
        let template = parser.expression()?;
        let mut names = Vec::new();
        if keyword == "import" {
            self.expect_word(parser, "as")?;
            names.push((parser.expect_name()?, None));
        } else {
            self.expect_word(parser, "import")?;
            while parser.peek().is_some() && !at_context(parser) {
                if !names.is_empty() {
                    parser.expect_mark(",")?;
                    if parser.peek().is_none() || at_context(parser) {
                        break;
                    }
                }
                let name = parser.expect_name()?;
                let alias = match parser.take_word("as") {
                    true => Some(parser.expect_name()?),
                    false => None,
                };
                names.push((name, alias));
            }
        }
        let mut context = "without";
        if at_context(parser) {
            context = parser.expect_name()?;
            self.expect_word(parser, "context")?;
        }
        let shared = context == "with";
        self.out.word(if shared { "" } else { "py__isolated(" });
        self.out.expression(&template, Check::Use);
        self.out.word(if shared { " " } else { ") " });
        self.out.word(if keyword == "import" {
            "as "
        } else {
            "import "
        });
        for (index, (name, alias)) in names.iter().enumerate() {
            self.out.word(if index > 0 { ", " } else { "" });
            self.out.word(name);
            if let Some(alias) = alias {
                self.out.word(" as ");
                self.out.word(alias);
            }
        }
        Ok(())
    }

    fn expect_word(&self, parser: &mut Parser, word: &str) -> Result<(), SyntaxError> {
        match parser.take_word(word) {
            true => Ok(()),
            false => Err(parser.unexpected(&format!("`{word}`"))),
        }
    }
}

/// Whether `with context` or `without context` comes next.
fn at_context(parser: &Parser) -> bool {
    parser.is_word("with") || parser.is_word("without")
}
