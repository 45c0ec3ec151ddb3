//! `set`, also of a namespace's attributes.

use super::Translator;
use crate::template::syntax::SyntaxError;
use crate::template::syntax::emit::Check;
use crate::template::syntax::lexer::Token;
use crate::template::syntax::parser::Parser;

/// An attribute of a namespace that is set by way of a variable.
pub struct AttributeSet {
    namespace: String,
    attribute: String,
    variable: String,
}

impl Translator<'_> {
    /// `{% set a = 1 %}`, `{% set a %}` and `{% set namespace.a = 1 %}`.
    pub(super) fn set(&mut self, parser: &mut Parser) -> Result<(), SyntaxError> {
        let attributes = self.set_targets(parser)?;
        if parser.take_mark("=") {
            let value = parser.tuple()?;
            self.out.word("= ");
            self.out.expression(&value, Check::Pass);
            self.set_attributes(&attributes);
            return Ok(());
        }
        if parser.take_mark("|") {
            let filters = parser.filter_chain()?;
            self.out.word("| ");
            self.out.expression(&filters, Check::Pass);
        }
        self.sets.push(attributes);
        Ok(())
    }

    /// Writes what is set. Attributes of namespaces go by way of variables of their own.
    fn set_targets(&mut self, parser: &mut Parser) -> Result<Vec<AttributeSet>, SyntaxError> {
        let mut attributes: Vec<AttributeSet> = Vec::new();
        while let Some(token) = parser
            .peek()
            .filter(|t| !matches!(t, Token::Mark("=" | "|")))
        {
            if let (Token::Name(namespace), Some(Token::Mark("."))) = (token, parser.peek_after()) {
                self.out.catch_up(parser.line());
                parser.skip(2);
                let set = AttributeSet {
                    namespace: namespace.clone(),
                    attribute: parser.expect_name()?.to_owned(),
                    variable: format!("py__set{}", attributes.len()),
                };
                self.out.word(&set.variable);
                self.out.word(" ");
                attributes.push(set);
            } else if let Some(lexeme) = parser.next() {
                self.lexeme(lexeme);
            }
        }
        Ok(attributes)
    }

    /// Hands what was set on to the namespaces.
    pub(super) fn set_attributes(&mut self, attributes: &[AttributeSet]) {
        for set in attributes {
            self.out.word(" %}{% do py__set(");
            self.out.word(&set.namespace);
            self.out.word(", ");
            self.out.string(&set.namespace);
            self.out.word(", ");
            self.out.string(&set.attribute);
            self.out.word(", ");
            self.out.word(&set.variable);
            self.out.word(")");
        }
    }
}
