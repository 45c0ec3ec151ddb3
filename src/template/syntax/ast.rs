//! Expressions as Jinja2 reads them.

use indexmap::IndexSet;

/// An expression with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The line it begins in.
    pub line: usize,
    /// Where its text begins and ends in the source.
    pub span: (usize, usize),
    /// How deep minijinja's tree of it is at the most.
    pub depth: usize,
    /// What it is.
    pub kind: Expr,
}

impl Node {
    /// Whether it speaks of a variable of one of these names.
    pub fn mentions(&self, names: &IndexSet<String>) -> bool {
        let found = matches!(&self.kind, Expr::Name(name) if names.contains(name));
        found
            || self
                .kind
                .parts()
                .into_iter()
                .any(|part| part.mentions(names))
    }

    /// Whether there is a call in it.
    pub fn calls(&self) -> bool {
        matches!(&self.kind, Expr::Call(..)) || self.kind.parts().into_iter().any(Node::calls)
    }
}

impl Expr {
    /// How deep minijinja's tree of it is at the most: what stands in a row here can stand in each other there.
    pub fn depth(&self) -> usize {
        let parts = self.parts().into_iter().map(|part| part.depth).max();
        let own = match self {
            Expr::Logic(_, operands) => operands.len(),
            Expr::Chain(_, _, rest) => rest.len(),
            Expr::At(_, keys) => keys.len(),
            _ => 1,
        };
        own + parts.unwrap_or(0)
    }

    /// The expressions that it is made of.
    fn parts(&self) -> Vec<&Node> {
        match self {
            Expr::Text(_) | Expr::Literal(_) | Expr::Name(_) => Vec::new(),
            Expr::At(base, keys) => {
                let keys = keys.iter().filter_map(|key| match key {
                    Key::Attribute(_) => None,
                    Key::Item(node) => Some(node),
                });
                std::iter::once(&**base).chain(keys).collect()
            }
            Expr::Slice(base, parts) => std::iter::once(&**base)
                .chain(parts.iter().flatten())
                .collect(),
            Expr::Call(node, given) | Expr::Test(node, _, given) => std::iter::once(&**node)
                .chain(given.iter().map(Argument::node))
                .collect(),
            Expr::Filter(subject, _, given) => subject
                .as_deref()
                .into_iter()
                .chain(given.iter().map(Argument::node))
                .collect(),
            Expr::List(items) | Expr::Tuple(items) | Expr::Logic(_, items) => {
                items.iter().collect()
            }
            Expr::Dict(pairs) => pairs.iter().flat_map(|(key, value)| [key, value]).collect(),
            Expr::Chain(_, first, rest) => std::iter::once(&**first)
                .chain(rest.iter().map(|(_, node)| node))
                .collect(),
            Expr::Sign(_, operand) | Expr::Not(operand) => vec![operand],
            Expr::If(test, yes, no) => [&**test, &**yes].into_iter().chain(no.as_deref()).collect(),
        }
    }
}

/// What an expression can be.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// A string literal, or several next to each other.
    Text(String),
    /// An integer, a float, `true`, `false` or `none`, as minijinja writes it.
    Literal(String),
    /// A variable.
    Name(String),
    /// A value inside another one: `a.b`, `a[0]`, `a.b['c']`.
    At(Box<Node>, Vec<Key>),
    /// `a[start:stop:step]`.
    Slice(Box<Node>, Box<[Option<Node>; 3]>),
    /// `f(…)`, and `a.f(…)` where the last key is the method.
    Call(Box<Node>, Vec<Argument>),
    /// `a|f(…)`; without a subject in `{% filter %}`.
    Filter(Option<Box<Node>>, String, Vec<Argument>),
    /// `a is t(…)`.
    Test(Box<Node>, String, Vec<Argument>),
    /// `[…]`.
    List(Vec<Node>),
    /// `(…, …)`.
    Tuple(Vec<Node>),
    /// `{…: …}`.
    Dict(Vec<(Node, Node)>),
    /// Operators of one precedence, from the left: `a + b - c`.
    Chain(Chain, Box<Node>, Vec<(&'static str, Node)>),
    /// `-a` or `+a`.
    Sign(&'static str, Box<Node>),
    /// `not a`.
    Not(Box<Node>),
    /// `a and b and …`, or the same with `or`.
    Logic(&'static str, Vec<Node>),
    /// `a if test else b`.
    If(Box<Node>, Box<Node>, Option<Box<Node>>),
}

/// Operators of one precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chain {
    /// `==`, `<`, `in` and their like: `a < b < c` is `a < b and b < c`.
    Compare,
    /// `+` and `-`.
    Sum,
    /// `~`.
    Join,
    /// `*`, `/`, `//` and `%`.
    Product,
    /// `**`, from the left as in Jinja2.
    Power,
}

/// One step into a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Key {
    /// `.name`.
    Attribute(String),
    /// `[item]`, and `.0`.
    Item(Node),
}

/// One argument of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Argument {
    /// `a`.
    Positional(Node),
    /// `name=a`.
    Named(String, Node),
    /// `*a`.
    Spread(Node),
    /// `**a`.
    SpreadNamed(Node),
}

impl Argument {
    /// Its value.
    pub fn node(&self) -> &Node {
        match self {
            Self::Positional(node)
            | Self::Named(_, node)
            | Self::Spread(node)
            | Self::SpreadNamed(node) => node,
        }
    }
}
