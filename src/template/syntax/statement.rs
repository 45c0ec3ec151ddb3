//! Statements written for minijinja.

mod import;
mod set;

use indexmap::IndexSet;
use set::AttributeSet;

use super::SyntaxError;
use super::ast::{Expr, Node};
use super::blocks::Blocks;
use super::emit::{Check, Emitter};
use super::lexer::{self, Lexeme, Piece, Tag, TagKind, Token};
use super::names::{own_names, takes_any};
use super::parser::Parser;
use crate::template::Undefined;

/// What a template sees of the one that asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// All its variables, as an include does.
    Shared,
    /// None of them, as an import does without `with context`.
    Isolated,
}

/// Writes a template for minijinja.
pub fn translate(
    source: &str,
    undefined: Undefined,
    context: Context,
) -> Result<String, SyntaxError> {
    // minijinja counts lines as Jinja2 does after this.
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let pieces = lexer::pieces(&source)?;
    let own = match context {
        Context::Shared => None,
        Context::Isolated => Some(own_names(&pieces)),
    };
    let mut translator = Translator {
        source: &source,
        out: Emitter::new(&source, undefined, own.as_ref()),
        macros: Vec::new(),
        sets: Vec::new(),
        blocks: Blocks::default(),
    };
    for (index, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Verbatim(text) => translator.out.verbatim(text),
            Piece::Tag(tag) => {
                let follows = &pieces[index + 1..];
                translator.tag(tag, follows)?;
            }
        }
    }
    translator.blocks.end()?;
    Ok(translator.out.finish())
}

/// The arguments of a macro.
#[derive(Default)]
struct Signature {
    names: IndexSet<String>,
    /// Those that are made up of others where they are not given.
    late: Vec<(String, Node)>,
}

/// A macro that takes any arguments, whose end is still to come.
struct Variadic {
    name: String,
    arguments: IndexSet<String>,
}

struct Translator<'a> {
    source: &'a str,
    out: Emitter<'a>,
    /// The macros that are open.
    macros: Vec<Option<Variadic>>,
    /// What the `set` blocks that are open set.
    sets: Vec<Vec<AttributeSet>>,
    blocks: Blocks,
}

impl Translator<'_> {
    fn tag(&mut self, tag: &Tag, follows: &[Piece]) -> Result<(), SyntaxError> {
        let mut parser = Parser::new(self.source, &tag.tokens, tag.end_line);
        self.out.catch_up(tag.line);
        self.out.word(&tag.open);
        self.out.word(" ");
        match tag.kind {
            TagKind::Print => {
                let node = parser.tuple()?;
                self.out.expression(&node, Check::Use);
            }
            TagKind::Statement => self.statement(&mut parser, tag, follows)?,
        }
        parser.expect_end()?;
        self.out.catch_up(tag.end_line);
        self.out.word(" ");
        self.out.word(&tag.close);
        Ok(())
    }

    fn statement(
        &mut self,
        parser: &mut Parser,
        tag: &Tag,
        follows: &[Piece],
    ) -> Result<(), SyntaxError> {
        let keyword = parser.expect_name()?;
        self.blocks.tag(keyword, tag)?;
        if !matches!(keyword, "include" | "with") {
            self.out.word(keyword);
            self.out.word(" ");
        }
        match keyword {
            "if" | "elif" => {
                let node = parser.tuple()?;
                self.out.expression(&node, Check::Use);
            }
            "for" => self.for_loop(parser)?,
            "set" => self.set(parser)?,
            "with" => self.with(parser)?,
            "do" => {
                let node = parser.tuple()?;
                self.out.word("py__drop(");
                self.out.expression(&node, Check::Pass);
                self.out.word(")");
            }
            "include" => self.include(parser)?,
            "import" | "from" => self.import(keyword, parser)?,
            // minijinja would go on for ever where templates extend each other in a circle.
            "extends" => {
                let node = parser.expression()?;
                self.out.word("py__parent(");
                self.out.expression(&node, Check::Use);
                self.out.word(")");
            }
            "autoescape" => {
                let node = parser.expression()?;
                self.out.expression(&node, Check::Use);
            }
            "macro" => self.macro_block(parser, follows)?,
            "endmacro" => {
                self.rest(parser);
                if let Some(Some(variadic)) = self.macros.pop() {
                    self.variadic(&variadic);
                }
            }
            "endset" => {
                self.rest(parser);
                let attributes = self.sets.pop().unwrap_or_default();
                self.set_attributes(&attributes);
            }
            "call" => self.call_block(parser)?,
            "filter" => {
                let node = parser.filter_chain()?;
                self.out.expression(&node, Check::Pass);
            }
            // What ends a block or stands in the middle of one, and `block` itself.
            _ => self.rest(parser),
        }
        Ok(())
    }

    fn lexeme(&mut self, lexeme: &Lexeme) {
        self.out.catch_up(lexeme.line);
        let source = self.source;
        self.out.word(&source[lexeme.span.0..lexeme.span.1]);
        self.out.word(" ");
    }

    /// Writes the tokens that are left as they are.
    fn rest(&mut self, parser: &mut Parser) {
        while parser.peek().is_some() {
            if let Some(lexeme) = parser.next() {
                self.lexeme(lexeme);
            }
        }
    }

    /// Writes the tokens of what is assigned to, until one of these.
    fn targets(&mut self, parser: &mut Parser, until: fn(&Token) -> bool) {
        while parser.peek().is_some_and(|token| !until(token)) {
            if let Some(lexeme) = parser.next() {
                self.lexeme(lexeme);
            }
        }
    }

    fn for_loop(&mut self, parser: &mut Parser) -> Result<(), SyntaxError> {
        self.targets(parser, |t| matches!(t, Token::Name(name) if name == "in"));
        if !parser.take_word("in") {
            return Err(parser.unexpected("`in`"));
        }
        self.out.word("in ");
        let items = parser.tuple_without_condition()?;
        self.out.iterable(&items);
        if parser.take_word("if") {
            let test = parser.expression()?;
            self.out.word(" if ");
            self.out.expression(&test, Check::Use);
        }
        if parser.take_word("recursive") {
            self.out.word(" recursive");
        }
        Ok(())
    }

    /// All values are of the scope outside, as in Jinja2: `with a = b, b = a` swaps them.
    fn with(&mut self, parser: &mut Parser) -> Result<(), SyntaxError> {
        let mut targets = Vec::new();
        let mut values = Vec::new();
        while parser.peek().is_some() {
            if !targets.is_empty() {
                parser.expect_mark(",")?;
            }
            let mut target = Vec::new();
            while !parser.is_mark("=") {
                match parser.next() {
                    Some(lexeme) => target.push(lexeme),
                    None => return Err(parser.unexpected("`=`")),
                }
            }
            parser.expect_mark("=")?;
            targets.push(target);
            values.push(parser.expression()?);
        }
        self.out.word("with ");
        let several = targets.len() > 1;
        self.out.word(if several { "(" } else { "" });
        for (index, target) in targets.iter().enumerate() {
            self.out.word(if index > 0 { ", " } else { "" });
            for lexeme in target {
                let source = self.source;
                self.out.word(&source[lexeme.span.0..lexeme.span.1]);
            }
        }
        self.out.word(if several { ") = (" } else { "" });
        self.out.word(if targets.len() == 1 { " = " } else { "" });
        for (index, value) in values.iter().enumerate() {
            self.out.word(if index > 0 { ", " } else { "" });
            self.out.expression(value, Check::Pass);
        }
        self.out.word(if several { ")" } else { "" });
        Ok(())
    }

    /// Writes `(a, b=1)` without its end, and gives the arguments.
    fn signature(&mut self, parser: &mut Parser) -> Result<Signature, SyntaxError> {
        let mut signature = Signature::default();
        parser.expect_mark("(")?;
        self.out.word("(");
        while !parser.take_mark(")") {
            if !signature.names.is_empty() {
                parser.expect_mark(",")?;
                if parser.take_mark(")") {
                    break;
                }
                self.out.word(", ");
            }
            self.out.catch_up(parser.line());
            let name = parser.expect_name()?.to_owned();
            self.out.word(&name);
            if parser.take_mark("=") {
                let value = parser.expression()?;
                self.out.word("=");
                // minijinja has no other argument yet where it makes this one up.
                match value.mentions(&signature.names) {
                    true => {
                        self.out.word("py__missing()");
                        signature.late.push((name.clone(), value));
                    }
                    false => self.out.expression(&value, Check::Pass),
                }
            }
            signature.names.insert(name);
        }
        Ok(signature)
    }

    /// Sets the arguments whose defaults take other arguments, in the first tags of the body.
    fn late_arguments(&mut self, late: &[(String, Node)]) {
        for (name, value) in late {
            self.out.word(" %}{% set ");
            self.out.word(name);
            self.out.word(" = (");
            self.out.expression(value, Check::Pass);
            self.out.word(" if ");
            self.out.word(name);
            self.out.word(" is undefined else ");
            self.out.word(name);
            self.out.word(")");
        }
    }

    fn macro_block(&mut self, parser: &mut Parser, follows: &[Piece]) -> Result<(), SyntaxError> {
        let name = parser.expect_name()?.to_owned();
        self.out.word(&name);
        let signature = self.signature(parser)?;
        let variadic = takes_any(follows);
        if variadic {
            let first = signature.names.is_empty();
            self.out.word(if first { "" } else { ", " });
            self.out.word("varargs=(), kwargs=py__dict([])");
        }
        self.out.word(")");
        self.late_arguments(&signature.late);
        let arguments = signature.names;
        self.macros
            .push(variadic.then_some(Variadic { name, arguments }));
        Ok(())
    }

    /// Puts what takes any arguments around the macro that has them as two.
    fn variadic(&mut self, variadic: &Variadic) {
        self.out.word("%}{% set ");
        self.out.word(&variadic.name);
        self.out.word(" = py__variadic(");
        self.out.word(&variadic.name);
        self.out.word(", [");
        for argument in &variadic.arguments {
            self.out.string(argument);
            self.out.word(", ");
        }
        self.out.word("])");
    }

    fn call_block(&mut self, parser: &mut Parser) -> Result<(), SyntaxError> {
        let mut late = Vec::new();
        if parser.is_mark("(") {
            let signature = self.signature(parser)?;
            self.out.word(") ");
            late = signature.late;
        }
        let line = parser.line();
        let node = parser.expression()?;
        match node.kind {
            Expr::Call(..) => self.out.expression(&node, Check::Pass),
            _ => return Err(SyntaxError::new(line, "`call` takes the call of a macro")),
        }
        self.late_arguments(&late);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lenient(text: &str) -> String {
        translate(text, Undefined::Lenient, Context::Shared).unwrap()
    }

    #[test]
    fn expressions_become_calls_and_text_stays() {
        assert_eq!(
            lenient("%pre {{ '%s' % g.ip }} {# {{ #}"),
            "%pre {{ py__product(\"%s\", \"%\", py__at(g, \"g\", \"ip\")) }} {# {{ #}"
        );
        assert_eq!(
            lenient("{%- set l = [1, 'a'] -%}"),
            "{%- set l = py__list([1, \"a\"]) -%}"
        );
    }

    #[test]
    fn strict_files_check_what_they_use() {
        let strict = |text| translate(text, Undefined::Strict, Context::Shared).unwrap();
        assert_eq!(strict("{{ a }}"), "{{ py__use(a, \"a\") }}");
        assert_eq!(strict("{{ a|d }}"), "{{ py__use(a|d, \"a|d\") }}");
        assert_eq!(strict("{{ f(a) }}"), "{{ f(a) }}");
        assert_eq!(
            strict("{% if a is defined %}{% endif %}"),
            "{% if (a is defined) %}{% endif  %}"
        );
    }

    #[test]
    fn lines_stay_in_their_place() {
        let text = "a\n{% set d = {\n 'k': [1,\n  2],\n} %}\n{{ x\n }}\nb";
        let out = lenient(text);
        assert_eq!(out.matches('\n').count(), text.matches('\n').count());
        let line = |what: &str| out.lines().position(|line| line.contains(what));
        assert_eq!(line("2])"), Some(3));
        assert_eq!(line("x"), Some(5));
    }

    #[test]
    fn an_isolated_template_sees_only_its_own_names() {
        let text = "{% macro m(a) %}{{ a }}{{ b }}{% endmacro %}";
        let out = translate(text, Undefined::Lenient, Context::Isolated).unwrap();
        assert_eq!(
            out,
            "{% macro m(a) %}{{ a }}{{ py__missing() }}{% endmacro  %}"
        );
    }

    #[test]
    fn an_import_takes_names_and_nothing_else() {
        for text in [
            "{% import 'm' as a.b %}",
            "{% import 'm' as a(1) %}",
            "{% import 'm' %}",
            "{% from 'm' import a + b %}",
            "{% from 'm' %}",
            "{% from 'm' import a with %}",
        ] {
            let read = translate(text, Undefined::Strict, Context::Shared);
            assert!(read.is_err(), "{text}: {read:?}");
        }
        assert_eq!(
            lenient("{% from 'm' import a as b, c with context %}"),
            "{% from \"m\" import a as b, c %}"
        );
    }

    #[test]
    fn unknown_tags_are_named_with_what_is_near() {
        let error = translate("\n{% ednif %}", Undefined::Strict, Context::Shared).unwrap_err();
        assert_eq!(error.line, 2);
        assert_eq!(
            error.message,
            "there is no tag `ednif`; did you mean `endif`?"
        );
    }

    #[test]
    fn blocks_without_an_end_and_ends_without_a_block_are_named() {
        let problem = |text| {
            let error = translate(text, Undefined::Strict, Context::Shared).unwrap_err();
            (error.line, error.message)
        };
        let expected = |line, message: &str| (line, message.to_owned());
        assert_eq!(
            problem("\n{% if a %}\n{% set b %}\n{% endset %}\n"),
            expected(2, "this `if` has no `endif`")
        );
        assert_eq!(
            problem("{% for a in b %}\n{% endif %}"),
            expected(
                2,
                "there is `endif` where `endfor` is expected, of the `for` in line 1"
            )
        );
        assert_eq!(
            problem("{% set a = 1 %}{% endset %}"),
            expected(1, "there is `endset` without `set`")
        );
        assert_eq!(
            problem("{% else %}"),
            expected(1, "there is `else` without `if` or `for`")
        );
    }
}
