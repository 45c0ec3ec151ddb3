//! YAML as a tree whose every node knows its place, and the merging of such trees.
//!
//! Aliases are expanded and `<<` is merged here; what is left is scalars, sequences and mappings.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use indexmap::{IndexMap, IndexSet};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

use crate::diagnostic::{Diagnostic, Diagnostics, FileId, Span};

/// Nodes of one file with all its aliases expanded; beyond this it is not a lab but a bomb.
const MAX_NODES: usize = 100_000;

/// Nesting beyond this is refused: no definition is near it, and recursion must end.
const MAX_DEPTH: usize = 64;

/// A value and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it stands; of a value that is an alias, where its anchor stands.
    pub span: Span,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text as it is meant, and how it was written.
    Scalar(String, Style),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order written; no key comes twice.
    Mapping(Entries),
}

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Bare: it may be a number, a boolean or null.
    Plain,
    /// In quotes, or tagged `!!str`: a text whatever it looks like.
    Quoted,
    /// A block after `|` or `>`.
    Block,
}

/// What a bare scalar is as a boolean (YAML 1.2, core schema: <https://yaml.org/spec/1.2.2/#103-core-schema>).
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// What a bare scalar is as a number, of any base that YAML has had. Digits behind a zero are a text: a phone number, a mode.
pub fn number(text: &str) -> Option<serde_json::Number> {
    let (sign, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (&text[..1], digits),
        None => ("", text),
    };
    let is_decimal = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if digits.len() > 1 && digits.starts_with('0') && is_decimal(digits) {
        return None;
    }
    let base = [("0x", 16), ("0o", 8), ("0b", 2)].into_iter();
    let mut base = base.filter_map(|(prefix, base)| Some((digits.strip_prefix(prefix)?, base)));
    if let Some((digits, base)) = base.next() {
        let is_signed = digits.starts_with(['+', '-']);
        let number = u64::from_str_radix(digits, base).ok();
        let number = number.filter(|_| !is_signed)?;
        return match sign {
            "-" => Some(0_i64.checked_sub_unsigned(number)?.into()),
            _ => Some(number.into()),
        };
    }
    // What is too large is no number to reckon with.
    let is_float = digits.starts_with(|c: char| c == '.' || c.is_ascii_digit())
        && digits.contains(|c: char| c.is_ascii_digit())
        && !is_decimal(digits);
    if let Ok(number) = text.parse::<u64>() {
        return Some(number.into());
    }
    if let Ok(number) = text.parse::<i64>() {
        return Some(number.into());
    }
    let float = is_float.then(|| text.parse::<f64>().ok()).flatten()?;
    serde_json::Number::from_f64(float)
}

/// Whether a bare scalar is an infinite number, or none at all.
pub fn is_no_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN")
}

/// The entries of a mapping.
pub type Entries = IndexMap<Key, Node>;

/// A key of a mapping and its place, which makes no other key of it.
#[derive(Debug, Clone)]
pub struct Key {
    /// The key.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl Node {
    /// Whether it is null: bare nothing, `~` or `null` (YAML 1.2, core schema).
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(text, Style::Plain)
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// `true` or `false`, where it is that and no text.
    pub fn switch(&self) -> Option<bool> {
        match &self.value {
            Value::Scalar(text, Style::Plain) => boolean(text),
            Value::Scalar(..) | Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }

    /// What it is, in the user's words, for "expected …, found …".
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Sequence(_) => "a list".into(),
            Value::Mapping(_) => "a map".into(),
            Value::Scalar(..) if self.is_null() => "nothing".into(),
            Value::Scalar(text, _) => {
                let line = text.lines().next().unwrap_or_default();
                match line.char_indices().nth(40) {
                    Some((cut, _)) => format!("`{}…`", &line[..cut]),
                    None => format!("`{line}`"),
                }
            }
        }
    }

    /// The value of a key, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Mapping(entries) => entries.get(key),
            Value::Scalar(..) | Value::Sequence(_) => None,
        }
    }

    /// The same of a key that is not null, which is as good as not given.
    pub fn given(&self, key: &str) -> Option<&Node> {
        self.get(key).filter(|value| !value.is_null())
    }

    /// Puts a later layer over this one: mappings merge deeply, everything else replaces.
    /// A null replaces too and stays, so that it also removes what a group or `common` gives.
    pub fn overlay(&mut self, later: Node) {
        match (&mut self.value, later.value) {
            (Value::Mapping(base), Value::Mapping(over)) => {
                for (key, value) in over {
                    match base.get_mut(key.text.as_str()) {
                        Some(old) => old.overlay(value),
                        None => {
                            base.insert(key, value);
                        }
                    }
                }
            }
            (value, other) => {
                *value = other;
                self.span = later.span;
            }
        }
    }
}

/// Reads one document. `None` where it cannot be read at all; an empty file is an empty mapping.
pub fn parse(file: FileId, text: &str, problems: &mut Diagnostics) -> Option<Node> {
    let builder = Builder {
        file,
        text,
        offsets: text.char_indices().map(|(offset, _)| offset).collect(),
        open: Vec::new(),
        anchors: BTreeMap::new(),
        nodes: 0,
        root: None,
        problems,
    };
    match builder.read() {
        Ok(root) => root,
        Err(problem) => {
            problems.push(*problem);
            None
        }
    }
}

/// A mapping or sequence whose end has not come yet.
struct Open {
    anchor: usize,
    start: usize,
    nodes_before: usize,
    items: Items,
}

enum Items {
    Sequence(Vec<Node>),
    Mapping {
        entries: Entries,
        key: Option<Key>,
        merges: Vec<Node>,
    },
}

struct Anchor {
    node: Node,
    nodes: usize,
    depth: usize,
}

struct Builder<'a> {
    file: FileId,
    text: &'a str,
    /// The byte at which each character begins: the parser counts characters.
    offsets: Vec<usize>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Anchor>,
    nodes: usize,
    root: Option<Node>,
    problems: &'a mut Diagnostics,
}

type Outcome<T> = Result<T, Box<Diagnostic>>;

impl Builder<'_> {
    fn read(mut self) -> Outcome<Option<Node>> {
        let text = self.text;
        let mut documents = 0;
        for event in Parser::new_from_str(text) {
            let (event, place) =
                event.map_err(|error| self.syntax(error.marker(), error.info()))?;
            let (start, end) = (self.byte(&place.start), self.byte(&place.end));
            match event {
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents > 1 {
                        return Err(Diagnostic::error("there is a second document in this file")
                            .at(self.span(start, end))
                            .hint("put it into a file of its own")
                            .into());
                    }
                }
                Event::Alias(id) => {
                    let span = self.span(start, end);
                    let Some(anchor) = self.anchors.get(&id) else {
                        return Err(
                            Diagnostic::error("this alias refers to what it is a part of")
                                .at(span)
                                .hint("an anchor can be used after its value has ended")
                                .into(),
                        );
                    };
                    let (node, nodes, depth) = (anchor.node.clone(), anchor.nodes, anchor.depth);
                    self.check_depth(self.open.len() + depth, span)?;
                    self.count(nodes, span)?;
                    self.place(node);
                }
                Event::Scalar(value, style, anchor, tag) => {
                    let span = self.span(start, end);
                    self.count(1, span)?;
                    let style = match style {
                        ScalarStyle::Plain => Style::Plain,
                        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                    };
                    let style = match self.check_tag(tag.as_deref(), span) {
                        Tagged::Text if style == Style::Plain => Style::Quoted,
                        Tagged::Text | Tagged::AsWritten => style,
                    };
                    let node = Node {
                        value: Value::Scalar(value.into_owned(), style),
                        span,
                    };
                    self.remember(anchor, &node, 1);
                    self.place(node);
                }
                Event::SequenceStart(anchor, tag) => {
                    self.check_tag_of(tag.as_deref(), self.span(start, end), "a list");
                    self.begin(anchor, start, Items::Sequence(Vec::new()))?;
                }
                Event::MappingStart(anchor, tag) => {
                    self.check_tag_of(tag.as_deref(), self.span(start, end), "a map");
                    let items = Items::Mapping {
                        entries: Entries::new(),
                        key: None,
                        merges: Vec::new(),
                    };
                    self.begin(anchor, start, items)?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.end(end),
            }
        }
        let end = self.span(0, 0);
        let root = self.root.filter(|node| !node.is_null());
        Ok(Some(root.unwrap_or(Node {
            value: Value::Mapping(Entries::new()),
            span: end,
        })))
    }

    fn begin(&mut self, anchor: usize, start: usize, items: Items) -> Outcome<()> {
        let span = self.span(start, start);
        self.check_depth(self.open.len() + 1, span)?;
        self.open.push(Open {
            anchor,
            start,
            nodes_before: self.nodes,
            items,
        });
        self.count(1, span)
    }

    fn end(&mut self, end: usize) {
        let Some(open) = self.open.pop() else { return };
        let value = match open.items {
            Items::Sequence(items) => Value::Sequence(items),
            Items::Mapping {
                entries, merges, ..
            } => Value::Mapping(self.merge(entries, merges)),
        };
        let node = Node {
            value,
            span: self.span(open.start, end),
        };
        self.remember(open.anchor, &node, self.nodes - open.nodes_before);
        self.place(node);
    }

    /// Puts a finished node where it belongs: as a key, a value, an item or the root.
    fn place(&mut self, node: Node) {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        match &mut open.items {
            Items::Sequence(items) => items.push(node),
            Items::Mapping {
                entries,
                key,
                merges,
            } => match key.take() {
                None => {
                    let text = match &node.value {
                        Value::Scalar(text, _) if !text.is_empty() => text.clone(),
                        Value::Scalar(..) | Value::Sequence(_) | Value::Mapping(_) => {
                            self.problems.push(
                                Diagnostic::error(format!(
                                    "expected a name as key, found {}",
                                    node.describe()
                                ))
                                .at(node.span),
                            );
                            String::new()
                        }
                    };
                    let span = node.span;
                    *key = Some(Key { text, span });
                }
                // Its key was reported.
                Some(written) if written.text.is_empty() => {}
                Some(written) if written.text == "<<" => merges.push(node),
                Some(written) => match entries.get_key_value(written.text.as_str()) {
                    Some((first, _)) => self.problems.push(
                        Diagnostic::error(format!("`{}` is given twice", written.text))
                            .at(written.span)
                            .label("here again")
                            .related(Some(first.span), "first given here")
                            .hint("remove one of them, or put both into one map"),
                    ),
                    None => {
                        let mut node = node;
                        if node.span.start == node.span.end {
                            node.span = written.span;
                        }
                        entries.insert(written, node);
                    }
                },
            },
        }
    }

    /// Fills in what `<<` brings: that comes first, and the first source that has a key wins, but the mapping's own keys win over all.
    /// The order is PyYAML's, for those who render the same with Jinja2.
    fn merge(&mut self, own: Entries, merges: Vec<Node>) -> Entries {
        if merges.is_empty() {
            return own;
        }
        let sources = merges.into_iter().flat_map(|source| match source.value {
            Value::Sequence(items) => items,
            Value::Mapping(_) | Value::Scalar(..) => vec![source],
        });
        let (mut maps, mut others) = (Vec::new(), Vec::new());
        for source in sources {
            match source.value {
                Value::Mapping(entries) => maps.push(entries),
                Value::Scalar(..) | Value::Sequence(_) => others.push(source),
            }
        }
        for other in others {
            let problem = format!("`<<` merges maps, found {}", other.describe());
            let problem = Diagnostic::error(problem).at(other.span);
            self.problems.push(problem.hint("write `<<: *ANCHOR`"));
        }
        let order: IndexSet<Key> = maps.iter().rev().flat_map(Entries::keys).cloned().collect();
        let mut first = Entries::new();
        for (key, value) in maps.into_iter().flatten() {
            first.entry(key).or_insert(value);
        }
        let merged = order.iter().filter_map(|key| first.swap_remove_entry(key));
        over(merged.collect(), own)
    }

    fn remember(&mut self, anchor: usize, node: &Node, nodes: usize) {
        if anchor != 0 {
            let anchored = Anchor {
                node: node.clone(),
                nodes,
                depth: depth(node),
            };
            self.anchors.insert(anchor, anchored);
        }
    }

    fn check_tag(&mut self, tag: Option<&Tag>, span: Span) -> Tagged {
        match tag {
            None => Tagged::AsWritten,
            Some(tag) if format!("{}{}", tag.handle, tag.suffix) == STR => Tagged::Text,
            Some(tag) => {
                let handle = match tag.handle.as_str() {
                    CORE => "!!",
                    handle => handle,
                };
                let tag = format!("{handle}{}", tag.suffix);
                self.problems.push(
                    Diagnostic::error(format!("the tag `{tag}` means nothing here"))
                        .at(span)
                        .hint("remove it; only `!!str` is known"),
                );
                Tagged::AsWritten
            }
        }
    }

    /// The same for a list or a map, which no tag can be for.
    fn check_tag_of(&mut self, tag: Option<&Tag>, span: Span, what: &str) {
        match self.check_tag(tag, span) {
            Tagged::Text => self.problems.push(
                Diagnostic::error(format!(
                    "`!!str` makes a text of a value, and this is {what}"
                ))
                .at(span)
                .hint("remove it"),
            ),
            Tagged::AsWritten => {}
        }
    }

    fn check_depth(&self, depth: usize, span: Span) -> Outcome<()> {
        if depth <= MAX_DEPTH {
            return Ok(());
        }
        Err(
            Diagnostic::error(format!("nested more than {MAX_DEPTH} levels deep"))
                .at(span)
                .hint("a definition needs no more than ten")
                .into(),
        )
    }

    fn count(&mut self, nodes: usize, span: Span) -> Outcome<()> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        Err(Diagnostic::error(format!(
            "with its aliases expanded, this file has more than {MAX_NODES} values"
        ))
        .at(span)
        .hint("use `common` and `groups` for what many guests share")
        .into())
    }

    fn syntax(&self, marker: &Marker, info: &str) -> Box<Diagnostic> {
        let start = self.byte(marker);
        let width = self.text[start..].chars().next().map_or(0, char::len_utf8);
        let line_start = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line = self.text[line_start..].lines().next().unwrap_or_default();
        let problem = Diagnostic::error("this is not YAML")
            .at(self.span(start, start + width))
            .label(info);
        let indent = &line[..line.len() - line.trim_start().len()];
        match indent.find('\t') {
            Some(at) => problem
                .at(self.span(line_start + at, line_start + at + 1))
                .hint("indent with spaces: YAML allows no tabs there")
                .into(),
            None => problem.into(),
        }
    }

    fn byte(&self, marker: &Marker) -> usize {
        let at = self.offsets.get(marker.index());
        at.copied().unwrap_or(self.text.len())
    }

    /// A span without the white space that the parser counts in at the end of plain and block values.
    fn span(&self, start: usize, end: usize) -> Span {
        let end = end.max(start);
        let end = start + self.text[start..end].trim_end().len();
        Span {
            file: self.file,
            start,
            end,
        }
    }
}

/// What core tags begin with.
const CORE: &str = "tag:yaml.org,2002:";
/// The tag that makes a text of what looks like something else.
const STR: &str = "tag:yaml.org,2002:str";

enum Tagged {
    AsWritten,
    Text,
}

fn depth(node: &Node) -> usize {
    match &node.value {
        Value::Scalar(..) => 0,
        Value::Sequence(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Mapping(entries) => 1 + entries.values().map(depth).max().unwrap_or(0),
    }
}

/// One mapping's entries over another's, at the other's places, and then what that has not.
fn over(under: Entries, own: Entries) -> Entries {
    let entry = |(key, node): (Key, Node)| (key.clone(), Some((key, node)));
    let mut own: IndexMap<Key, Option<(Key, Node)>> = own.into_iter().map(entry).collect();
    let mut all = Entries::with_capacity(under.len() + own.len());
    for (key, node) in under {
        let entry = own.get_mut(&key).and_then(Option::take);
        let (key, node) = entry.unwrap_or((key, node));
        all.insert(key, node);
    }
    all.extend(own.into_values().flatten());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_what_serde_yaml_takes_for_numbers() {
        for text in [
            "0",
            "1",
            "-1",
            "+1",
            "007",
            "0x1F",
            "-0x1f",
            "0o17",
            "0b101",
            "0x",
            "0x-1",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775809",
            "-9223372036854775808",
            "1.5",
            ".5",
            "5.",
            "-.5",
            "+.5",
            "1e3",
            "1E-3",
            "1.5e+3",
            "1_000",
            "0.",
            "00.5",
            "1e999",
            "e3",
            ".",
            "-",
            "",
            "1a",
            "12:30",
            ".inf",
            "-.inf",
            ".nan",
            "inf",
            "nan",
            "infinity",
            "1 2",
            "0o8",
            "0b2",
            "+0x1",
            "0X1F",
            "-0",
            "1e",
            "--1",
            "+-1",
        ] {
            let theirs: serde_json::Value = serde_yaml::from_str(text).unwrap_or_default();
            assert_eq!(number(text), theirs.as_number().cloned(), "{text}");
        }
    }
}
