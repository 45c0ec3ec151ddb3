//! Operands: literals, names and brackets, with what stands directly behind them.

use super::SyntaxError;
use super::ast::{Argument, Expr, Key, Node};
use super::cursor::Start;
use super::lexer::Token;
use super::parser::Parser;

impl Parser<'_> {
    /// A sign takes what is behind it with its attributes and calls, but without its filters.
    pub(super) fn signed(&mut self) -> Result<Node, SyntaxError> {
        let start = self.start();
        let mut signs = Vec::new();
        while let Some(Token::Mark(sign @ ("-" | "+"))) = self.peek() {
            self.skip(1);
            signs.push(*sign);
        }
        let inner = self.start();
        let node = self.primary()?;
        let mut node = self.postfix(inner, node)?;
        for sign in signs.into_iter().rev() {
            node = self.node(start, Expr::Sign(sign, Box::new(node)))?;
        }
        Ok(node)
    }

    pub(super) fn primary(&mut self) -> Result<Node, SyntaxError> {
        let start = self.start();
        let Some(token) = self.peek() else {
            return Err(self.unexpected("an expression"));
        };
        self.skip(1);
        let kind = match token {
            Token::Name(name) => match name.as_str() {
                "true" | "True" => Expr::Literal("true".to_owned()),
                "false" | "False" => Expr::Literal("false".to_owned()),
                "none" | "None" => Expr::Literal("none".to_owned()),
                "and" | "or" | "not" | "if" | "else" | "in" | "is" => {
                    self.back();
                    return Err(self.unexpected("an expression"));
                }
                _ => Expr::Name(name.clone()),
            },
            Token::Text(text) => {
                let mut text = text.clone();
                while let Some(Token::Text(more)) = self.peek() {
                    text.push_str(more);
                    self.skip(1);
                }
                Expr::Text(text)
            }
            Token::Integer(number) | Token::Float(number) => Expr::Literal(number.clone()),
            Token::Mark("(") if self.take_mark(")") => Expr::Tuple(Vec::new()),
            Token::Mark("(") => {
                let inner = self.tuple()?;
                self.expect_mark(")")?;
                return self.node(start, inner.kind);
            }
            Token::Mark("[") => Expr::List(self.items("]", Self::expression)?),
            Token::Mark("{") => Expr::Dict(self.items("}", |parser| {
                let key = parser.expression()?;
                parser.expect_mark(":")?;
                Ok((key, parser.expression()?))
            })?),
            Token::Mark(_) => {
                self.back();
                return Err(self.unexpected("an expression"));
            }
        };
        self.node(start, kind)
    }

    fn items<T>(
        &mut self,
        close: &str,
        item: fn(&mut Self) -> Result<T, SyntaxError>,
    ) -> Result<Vec<T>, SyntaxError> {
        let mut items = Vec::new();
        while !self.take_mark(close) {
            if !items.is_empty() {
                self.expect_mark(",")?;
                if self.take_mark(close) {
                    break;
                }
            }
            items.push(item(self)?);
        }
        Ok(items)
    }

    pub(super) fn postfix(&mut self, start: Start, node: Node) -> Result<Node, SyntaxError> {
        let mut node = node;
        loop {
            if self.take_mark(".") {
                let key = match self.peek() {
                    Some(Token::Name(name)) => {
                        self.skip(1);
                        Key::Attribute(name.clone())
                    }
                    Some(Token::Integer(number)) => {
                        let start = self.start();
                        self.skip(1);
                        Key::Item(self.node(start, Expr::Literal(number.clone()))?)
                    }
                    _ => return Err(self.unexpected("a name or a number")),
                };
                node = self.inside(start, node, key)?;
            } else if self.take_mark("[") {
                node = self.subscript(start, node)?;
            } else if self.is_mark("(") {
                let arguments = self.arguments()?;
                node = self.node(start, Expr::Call(Box::new(node), arguments))?;
            } else {
                return Ok(node);
            }
        }
    }

    fn inside(&self, start: Start, node: Node, key: Key) -> Result<Node, SyntaxError> {
        let kind = match node.kind {
            Expr::At(base, mut keys) => {
                keys.push(key);
                Expr::At(base, keys)
            }
            _ => Expr::At(Box::new(node), vec![key]),
        };
        self.node(start, kind)
    }

    fn subscript(&mut self, start: Start, node: Node) -> Result<Node, SyntaxError> {
        let mut parts = [None, None, None];
        let mut part = 0;
        loop {
            if self.take_mark("]") {
                break;
            }
            if self.take_mark(":") {
                part += 1;
                if part > 2 {
                    return Err(self.unexpected("`]`"));
                }
                continue;
            }
            if parts[part].is_some() {
                return Err(self.unexpected("`]`"));
            }
            parts[part] = Some(match part {
                0 => self.tuple()?,
                _ => self.expression()?,
            });
        }
        match (part, parts) {
            (0, [Some(item), _, _]) => self.inside(start, node, Key::Item(item)),
            (0, _) => {
                self.back();
                Err(self.unexpected("an expression"))
            }
            (_, parts) => self.node(start, Expr::Slice(Box::new(node), Box::new(parts))),
        }
    }

    /// The arguments of a call, with their parentheses.
    pub fn arguments(&mut self) -> Result<Vec<Argument>, SyntaxError> {
        self.expect_mark("(")?;
        self.items(")", |parser| {
            if parser.take_mark("**") {
                return Ok(Argument::SpreadNamed(parser.expression()?));
            }
            if parser.take_mark("*") {
                return Ok(Argument::Spread(parser.expression()?));
            }
            match (parser.peek(), parser.peek_after()) {
                (Some(Token::Name(name)), Some(Token::Mark("="))) => {
                    parser.skip(2);
                    Ok(Argument::Named(name.clone(), parser.expression()?))
                }
                _ => Ok(Argument::Positional(parser.expression()?)),
            }
        })
    }
}
