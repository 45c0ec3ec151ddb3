//! Expressions by Jinja2's grammar.

use std::ops::{Deref, DerefMut};

use super::SyntaxError;
use super::ast::{Argument, Chain, Expr, Node};
use super::cursor::{Cursor, Start};
use super::lexer::{Lexeme, Token};

/// How deep brackets may stand in each other: minijinja's own limit is met by what they become.
pub const DEPTH: usize = 40;

const COMPARISONS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];

/// Reads the expressions of one tag.
pub struct Parser<'a> {
    cursor: Cursor<'a>,
    depth: usize,
}

impl<'a> Deref for Parser<'a> {
    type Target = Cursor<'a>;

    fn deref(&self) -> &Cursor<'a> {
        &self.cursor
    }
}

impl DerefMut for Parser<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.cursor
    }
}

impl<'a> Parser<'a> {
    /// A parser before the first token.
    pub fn new(source: &'a str, tokens: &'a [Lexeme], end_line: usize) -> Self {
        Self {
            cursor: Cursor::new(source, tokens, end_line),
            depth: 0,
        }
    }

    /// One expression, or several with commas: a tuple.
    pub fn tuple(&mut self) -> Result<Node, SyntaxError> {
        self.tuple_of(Self::expression)
    }

    /// The same without a condition, which `for … in … if` keeps for itself.
    pub fn tuple_without_condition(&mut self) -> Result<Node, SyntaxError> {
        self.tuple_of(Self::or)
    }

    fn tuple_of(
        &mut self,
        item: fn(&mut Self) -> Result<Node, SyntaxError>,
    ) -> Result<Node, SyntaxError> {
        let start = self.start();
        let first = item(self)?;
        if !self.is_mark(",") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.take_mark(",") {
            if self.peek().is_none() || self.is_mark(")") {
                break;
            }
            items.push(item(self)?);
        }
        self.node(start, Expr::Tuple(items))
    }

    /// One expression.
    pub fn expression(&mut self) -> Result<Node, SyntaxError> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(SyntaxError::new(
                self.line(),
                "this expression is nested too deeply",
            ));
        }
        let start = self.start();
        let mut node = self.or()?;
        while self.take_word("if") {
            let test = self.or()?;
            let otherwise = match self.take_word("else") {
                true => Some(Box::new(self.expression()?)),
                false => None,
            };
            let kind = Expr::If(Box::new(test), Box::new(node), otherwise);
            node = self.node(start, kind)?;
        }
        self.depth -= 1;
        Ok(node)
    }

    fn or(&mut self) -> Result<Node, SyntaxError> {
        self.logic("or", Self::and)
    }

    fn and(&mut self) -> Result<Node, SyntaxError> {
        self.logic("and", Self::not)
    }

    fn logic(
        &mut self,
        word: &'static str,
        next: fn(&mut Self) -> Result<Node, SyntaxError>,
    ) -> Result<Node, SyntaxError> {
        let start = self.start();
        let first = next(self)?;
        if !self.is_word(word) {
            return Ok(first);
        }
        let mut all = vec![first];
        while self.take_word(word) {
            all.push(next(self)?);
        }
        self.node(start, Expr::Logic(word, all))
    }

    fn not(&mut self) -> Result<Node, SyntaxError> {
        let start = self.start();
        let mut nots = 0;
        while self.take_word("not") {
            nots += 1;
        }
        let mut node = self.compare()?;
        // An even number of them still makes a boolean of the value.
        for _ in 0..if nots > 2 { 2 - nots % 2 } else { nots } {
            node = self.node(start, Expr::Not(Box::new(node)))?;
        }
        Ok(node)
    }

    fn compare(&mut self) -> Result<Node, SyntaxError> {
        let start = self.start();
        let first = self.sum()?;
        let mut rest = Vec::new();
        loop {
            let operator = match (self.peek(), self.peek_after()) {
                (Some(Token::Mark(mark)), _) if COMPARISONS.contains(mark) => mark,
                (Some(Token::Name(word)), _) if word == "in" => "in",
                (Some(Token::Name(not)), Some(Token::Name(word)))
                    if not == "not" && word == "in" =>
                {
                    self.skip(1);
                    "not in"
                }
                _ => break,
            };
            self.skip(1);
            rest.push((operator, self.sum()?));
        }
        self.chained(start, Chain::Compare, first, rest)
    }

    fn chained(
        &self,
        start: Start,
        chain: Chain,
        first: Node,
        rest: Vec<(&'static str, Node)>,
    ) -> Result<Node, SyntaxError> {
        match rest.is_empty() {
            true => Ok(first),
            false => self.node(start, Expr::Chain(chain, Box::new(first), rest)),
        }
    }

    fn chain(
        &mut self,
        chain: Chain,
        operators: &[&str],
        next: fn(&mut Self) -> Result<Node, SyntaxError>,
    ) -> Result<Node, SyntaxError> {
        let start = self.start();
        let first = next(self)?;
        let mut rest = Vec::new();
        while let Some(Token::Mark(mark)) = self.peek()
            && operators.contains(mark)
        {
            self.skip(1);
            rest.push((*mark, next(self)?));
        }
        self.chained(start, chain, first, rest)
    }

    fn sum(&mut self) -> Result<Node, SyntaxError> {
        self.chain(Chain::Sum, &["+", "-"], Self::join)
    }

    fn join(&mut self) -> Result<Node, SyntaxError> {
        self.chain(Chain::Join, &["~"], Self::product)
    }

    fn product(&mut self) -> Result<Node, SyntaxError> {
        self.chain(Chain::Product, &["*", "/", "//", "%"], Self::power)
    }

    fn power(&mut self) -> Result<Node, SyntaxError> {
        self.chain(Chain::Power, &["**"], Self::filtered)
    }

    fn filtered(&mut self) -> Result<Node, SyntaxError> {
        let start = self.start();
        let node = self.signed()?;
        self.filters(start, node)
    }

    /// The filters and tests behind a value.
    fn filters(&mut self, start: Start, node: Node) -> Result<Node, SyntaxError> {
        let mut node = node;
        loop {
            if self.take_mark("|") {
                let (name, arguments) = self.filter()?;
                node = self.node(start, Expr::Filter(Some(Box::new(node)), name, arguments))?;
            } else if self.take_word("is") {
                let negated = self.take_word("not");
                let name = self.expect_name()?.to_owned();
                let arguments = self.test_arguments()?;
                node = self.node(start, Expr::Test(Box::new(node), name, arguments))?;
                if negated {
                    node = self.node(start, Expr::Not(Box::new(node)))?;
                }
            } else if self.is_mark("(") {
                let arguments = self.arguments()?;
                node = self.node(start, Expr::Call(Box::new(node), arguments))?;
            } else {
                return Ok(node);
            }
        }
    }

    fn filter(&mut self) -> Result<(String, Vec<Argument>), SyntaxError> {
        let name = self.expect_name()?.to_owned();
        let arguments = match self.is_mark("(") {
            true => self.arguments()?,
            false => Vec::new(),
        };
        Ok((name, arguments))
    }

    /// The filters of `{% filter a|b %}` and `{% set x | a %}`.
    pub fn filter_chain(&mut self) -> Result<Node, SyntaxError> {
        let start = self.start();
        let (name, arguments) = self.filter()?;
        let node = self.node(start, Expr::Filter(None, name, arguments))?;
        self.filters(start, node)
    }

    /// A test's argument may stand without parentheses: `is divisibleby 3`.
    fn test_arguments(&mut self) -> Result<Vec<Argument>, SyntaxError> {
        if self.is_mark("(") {
            return self.arguments();
        }
        if self.is_word("is") {
            return Err(SyntaxError::new(
                self.line(),
                "a test cannot follow a test; put parentheses around the first",
            ));
        }
        let begins = match self.peek() {
            Some(Token::Name(word)) => !matches!(
                word.as_str(),
                "else" | "or" | "and" | "if" | "in" | "is" | "not" | "recursive"
            ),
            Some(Token::Text(_) | Token::Integer(_) | Token::Float(_)) => true,
            Some(Token::Mark(mark)) => matches!(*mark, "[" | "{"),
            None => false,
        };
        if !begins {
            return Ok(Vec::new());
        }
        let start = self.start();
        let node = self.primary()?;
        Ok(vec![Argument::Positional(self.postfix(start, node)?)])
    }
}

#[cfg(test)]
mod tests {
    use super::super::lexer::tokens;
    use super::*;

    fn parse(text: &str) -> Result<Expr, SyntaxError> {
        let tokens = tokens(text)?;
        let mut parser = Parser::new(text, &tokens, 1);
        let node = parser.tuple()?;
        parser.expect_end()?;
        Ok(node.kind)
    }

    #[test]
    fn the_percent_sign_binds_like_a_product_and_weaker_than_a_filter() {
        let Expr::Chain(Chain::Sum, left, rest) = parse("'%s' % a|upper + 'x'").unwrap() else {
            panic!("not a sum");
        };
        assert_eq!(rest.len(), 1);
        let Expr::Chain(Chain::Product, _, rest) = left.kind else {
            panic!("not a product");
        };
        assert!(matches!(&rest[..], [("%", node)] if matches!(&node.kind, Expr::Filter(..))));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let problem = |text| parse(text).unwrap_err().message;
        assert_eq!(
            problem("a b"),
            "there is `b` where the end of the tag is expected"
        );
        assert_eq!(
            problem("1 +"),
            "there is the end of the tag where an expression is expected"
        );
        assert_eq!(
            problem("a[]"),
            "there is `]` where an expression is expected"
        );
        let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
        assert_eq!(problem(&deep), "this expression is nested too deeply");
        assert!(parse(&format!("{}1", "-".repeat(5000))).is_err());
        assert!(parse(&format!("{}1", "not ".repeat(5000))).is_ok());
    }
}
