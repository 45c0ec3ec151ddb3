//! Expressions written for minijinja.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::ast::{Argument, Chain, Expr, Key, Node};
use crate::template::Undefined;

/// What becomes of an undefined value at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// It is handed on.
    Pass,
    /// It is used: an error in a strict file, nothing in a lenient one.
    Use,
    /// It is used in a way that no undefined value allows, as in a sum.
    Need,
}

/// Filters that take undefined values.
const FILTERS_OF_UNDEFINED: [&str; 4] = ["default", "d", "items", "pprint"];

/// Filters whose result can be undefined.
const FILTERS_TO_UNDEFINED: [&str; 8] = [
    "default", "d", "first", "last", "min", "max", "attr", "random",
];

/// Tests that take undefined values.
const TESTS_OF_UNDEFINED: [&str; 17] = [
    "sequence",
    "defined",
    "undefined",
    "none",
    "boolean",
    "true",
    "false",
    "integer",
    "float",
    "number",
    "string",
    "mapping",
    "callable",
    "sameas",
    "escaped",
    "filter",
    "test",
];

/// Writes expressions, and line ends where the source has them.
pub struct Emitter<'a> {
    source: &'a str,
    undefined: Undefined,
    /// The names that a template sets itself, where it must not see others.
    isolated: Option<&'a BTreeSet<String>>,
    text: String,
    line: usize,
}

impl<'a> Emitter<'a> {
    /// Nothing written yet.
    pub fn new(
        source: &'a str,
        undefined: Undefined,
        isolated: Option<&'a BTreeSet<String>>,
    ) -> Self {
        Self {
            source,
            undefined,
            isolated,
            text: String::with_capacity(source.len() * 2),
            line: 1,
        }
    }

    /// What was written.
    pub fn finish(self) -> String {
        self.text
    }

    /// Writes text of one line.
    pub fn word(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Writes text of the source.
    pub fn verbatim(&mut self, text: &str) {
        self.text.push_str(text);
        self.line += text.matches('\n').count();
    }

    /// Ends lines until what comes next stands in its own.
    pub fn catch_up(&mut self, line: usize) {
        while self.line < line {
            self.text.push('\n');
            self.line += 1;
        }
    }

    /// Writes a string literal.
    pub fn string(&mut self, text: &str) {
        self.text.push('"');
        for c in text.chars() {
            match c {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                c if c.is_control() => {
                    let _ = write!(self.text, "\\u{:04x}", u32::from(c));
                }
                c => self.text.push(c),
            }
        }
        self.text.push('"');
    }

    fn source_of(&mut self, node: &Node) {
        let text = &self.source[node.span.0..node.span.1];
        let words: Vec<&str> = text.split_whitespace().collect();
        self.string(&words.join(" "));
    }

    /// Writes an expression.
    pub fn expression(&mut self, node: &Node, check: Check) {
        let check = match (check, self.undefined) {
            (Check::Use, Undefined::Lenient) => Check::Pass,
            (check, _) => check,
        };
        self.catch_up(node.line);
        match &node.kind {
            Expr::Text(text) => self.string(text),
            Expr::Literal(text) => self.word(text),
            Expr::Name(name) => self.name(name, check),
            Expr::At(base, keys) => self.at(base, keys, check),
            Expr::Slice(base, parts) => {
                self.word("py__slice(");
                self.expression(base, Check::Need);
                for part in parts.iter() {
                    self.word(", ");
                    match part {
                        Some(part) => self.expression(part, Check::Use),
                        None => self.word("none"),
                    }
                }
                self.word(")");
            }
            Expr::Call(callee, arguments) => self.call(callee, arguments),
            Expr::Filter(..) => self.filter(node, check),
            Expr::Test(subject, name, arguments) => {
                let check = match TESTS_OF_UNDEFINED.contains(&name.as_str()) {
                    true => Check::Pass,
                    false => Check::Use,
                };
                self.word("(");
                self.expression(subject, check);
                self.word(" is ");
                self.word(name);
                self.arguments_in_parentheses(arguments);
                self.word(")");
            }
            Expr::List(items) => {
                self.word("py__list([");
                self.items(items.iter(), Check::Pass);
                self.word("])");
            }
            Expr::Tuple(items) => {
                self.word("py__tuple((");
                self.items(items.iter(), Check::Pass);
                self.word(if items.len() == 1 { ",))" } else { "))" });
            }
            Expr::Dict(pairs) => {
                self.word("py__dict([");
                for (key, value) in pairs {
                    self.expression(key, Check::Use);
                    self.word(", ");
                    self.expression(value, Check::Pass);
                    self.word(", ");
                }
                self.word("])");
            }
            Expr::Chain(Chain::Compare, first, rest)
                if rest.len() > 1 && !rest.iter().any(|(_, node)| node.calls()) =>
            {
                self.comparisons(first, rest);
            }
            Expr::Chain(chain, first, rest) => {
                let rest: Vec<_> = rest
                    .iter()
                    .map(|(operator, node)| (*operator, node))
                    .collect();
                self.chain(*chain, first, &rest);
            }
            Expr::Sign(sign, operand) => {
                self.word("py__sign('");
                self.word(sign);
                self.word("', ");
                self.expression(operand, Check::Need);
                self.word(")");
            }
            Expr::Not(operand) => {
                self.word("(not ");
                self.expression(operand, Check::Use);
                self.word(")");
            }
            Expr::Logic(word, operands) => {
                self.word("(");
                for (index, operand) in operands.iter().enumerate() {
                    if index > 0 {
                        self.word(" ");
                        self.word(word);
                        self.word(" ");
                    }
                    // The truth of all but the last decides; the last is only handed on.
                    let last = index + 1 == operands.len();
                    self.expression(operand, if last { check } else { Check::Use });
                }
                self.word(")");
            }
            Expr::If(test, yes, no) => {
                self.word("(");
                self.expression(yes, check);
                self.word(" if ");
                self.expression(test, Check::Use);
                if let Some(no) = no {
                    self.word(" else ");
                    self.expression(no, check);
                }
                self.word(")");
            }
        }
    }

    fn items<'n>(&mut self, items: impl Iterator<Item = &'n Node>, check: Check) {
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.word(", ");
            }
            self.expression(item, check);
        }
    }

    fn is_free(&self, name: &str) -> bool {
        self.isolated.is_some_and(|own| !own.contains(name))
    }

    /// A variable by itself, without a look at its value.
    fn variable(&mut self, name: &str) {
        match self.is_free(name) {
            true => self.word("py__missing()"),
            false => self.word(name),
        }
    }

    fn name(&mut self, name: &str, check: Check) {
        let function = match check {
            Check::Use => "py__use(",
            Check::Need => "py__need(",
            _ => return self.variable(name),
        };
        self.word(function);
        self.variable(name);
        self.word(", ");
        self.string(name);
        self.word(")");
    }

    fn at(&mut self, base: &Node, keys: &[Key], check: Check) {
        self.word(match check {
            Check::Pass => "py__at(",
            Check::Use => "py__use_at(",
            Check::Need => "py__need_at(",
        });
        self.expression(base, Check::Pass);
        self.word(", ");
        self.source_of(base);
        for key in keys {
            self.word(", ");
            match key {
                Key::Attribute(name) => self.string(name),
                Key::Item(node) => self.expression(node, Check::Use),
            }
        }
        self.word(")");
    }

    fn call(&mut self, callee: &Node, arguments: &[Argument]) {
        match &callee.kind {
            Expr::Name(name) if name == "loop" && arguments.len() == 1 => {
                self.word("loop(");
                if let [Argument::Positional(items)] = arguments {
                    self.iterable(items);
                }
                self.word(")");
            }
            Expr::Name(name) => {
                self.word(name);
                self.word("(");
                self.arguments(arguments);
                self.word(")");
            }
            Expr::At(base, keys) => match (&base.kind, keys.split_last()) {
                // A block by its name.
                (Expr::Name(name), Some((Key::Attribute(block), []))) if name == "self" => {
                    self.word("self.");
                    self.word(block);
                    self.word("()");
                }
                (_, Some((Key::Attribute(method), keys))) => {
                    self.word("py__call(");
                    match keys.is_empty() {
                        true => self.expression(base, Check::Need),
                        false => self.at(base, keys, Check::Need),
                    }
                    self.word(", ");
                    self.string(method);
                    self.more_arguments(arguments);
                    self.word(")");
                }
                _ => self.invoke(callee, arguments),
            },
            _ => self.invoke(callee, arguments),
        }
    }

    fn invoke(&mut self, callee: &Node, arguments: &[Argument]) {
        self.word("py__invoke(");
        self.expression(callee, Check::Need);
        self.more_arguments(arguments);
        self.word(")");
    }

    fn more_arguments(&mut self, arguments: &[Argument]) {
        if !arguments.is_empty() {
            self.word(", ");
            self.arguments(arguments);
        }
    }

    fn arguments_in_parentheses(&mut self, arguments: &[Argument]) {
        if !arguments.is_empty() {
            self.word("(");
            self.arguments(arguments);
            self.word(")");
        }
    }

    fn arguments(&mut self, arguments: &[Argument]) {
        for (index, argument) in arguments.iter().enumerate() {
            if index > 0 {
                self.word(", ");
            }
            match argument {
                Argument::Positional(node) => self.expression(node, Check::Pass),
                Argument::Named(name, node) => {
                    self.word(name);
                    self.word("=");
                    self.expression(node, Check::Pass);
                }
                Argument::Spread(node) => {
                    self.word("*");
                    self.iterable(node);
                }
                Argument::SpreadNamed(node) => {
                    self.word("**");
                    self.expression(node, Check::Use);
                }
            }
        }
    }

    /// Writes what is gone over, so that what cannot be is named.
    pub fn iterable(&mut self, node: &Node) {
        self.word("py__iter(");
        self.expression(node, Check::Use);
        self.word(", ");
        self.source_of(node);
        self.word(")");
    }

    fn filter(&mut self, node: &Node, check: Check) {
        let Expr::Filter(subject, name, arguments) = &node.kind else {
            return;
        };
        let checked = FILTERS_TO_UNDEFINED.contains(&name.as_str()) && self.check_result(check);
        if let Some(subject) = subject {
            let check = match FILTERS_OF_UNDEFINED.contains(&name.as_str()) {
                true => Check::Pass,
                false => Check::Use,
            };
            self.expression(subject, check);
            self.word("|");
        }
        self.word(name);
        self.arguments_in_parentheses(arguments);
        self.end_check(checked, node);
    }

    /// Begins a check of what comes next, if there is to be one.
    fn check_result(&mut self, check: Check) -> bool {
        match check {
            Check::Pass => return false,
            Check::Use => self.word("py__use("),
            Check::Need => self.word("py__need("),
        }
        true
    }

    fn end_check(&mut self, checked: bool, node: &Node) {
        if checked {
            self.word(", ");
            self.source_of(node);
            self.word(")");
        }
    }

    /// `a < b < c` as `a < b and b < c`, so that nothing is looked at after the first that is not so. Where a call is in
    /// the middle it is one comparison of all, which calls it once.
    fn comparisons(&mut self, first: &Node, rest: &[(&'static str, Node)]) {
        self.word("(");
        let mut left = first;
        for (index, (operator, right)) in rest.iter().enumerate() {
            if index > 0 {
                self.word(" and ");
            }
            self.chain(Chain::Compare, left, &[(*operator, right)]);
            left = right;
        }
        self.word(")");
    }

    fn chain(&mut self, chain: Chain, first: &Node, rest: &[(&'static str, &Node)]) {
        let orders = |operator: &str| matches!(operator, "<" | "<=" | ">" | ">=");
        let check = |before: Option<&str>, after: Option<&str>| match chain {
            Chain::Join => Check::Use,
            Chain::Compare if before.is_some_and(orders) || after.is_some_and(orders) => {
                Check::Need
            }
            Chain::Compare => Check::Use,
            // What is formatted may be undefined in a lenient file.
            Chain::Product if before == Some("%") => Check::Use,
            Chain::Sum | Chain::Product | Chain::Power => Check::Need,
        };
        self.word(match chain {
            Chain::Compare => "py__compare(",
            Chain::Sum => "py__sum(",
            Chain::Join => "py__join(",
            Chain::Product => "py__product(",
            Chain::Power => "py__power(",
        });
        self.expression(first, check(None, rest.first().map(|(o, _)| *o)));
        for (index, (operator, operand)) in rest.iter().enumerate() {
            self.word(", ");
            if !matches!(chain, Chain::Join | Chain::Power) {
                self.string(operator);
                self.word(", ");
            }
            let after = rest.get(index + 1).map(|(o, _)| *o);
            self.expression(operand, check(Some(operator), after));
        }
        self.word(")");
    }
}
