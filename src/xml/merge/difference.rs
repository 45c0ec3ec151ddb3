//! A difference between trees, and its place in them.

use super::identity::{insert, join, match_children, nths, position_like};
use crate::xml::schema;
use crate::xml::tree::Element;

/// One place where the live tree is not as wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where in the schema: `domain/devices/disk/driver@cache`; a text is at its element.
    pub path: String,
    /// The elements on the way there below the root, each as it is wanted (or, where it is to go, as it is live).
    pub within: Vec<Element>,
    /// Which of its name each of them is among its siblings, as it is live; the same of an element that comes or goes, where it
    /// is wanted or live. It counts where nothing but their order tells them apart.
    pub nth: Vec<usize>,
    /// What is there now.
    pub before: Option<Value>,
    /// What is to be there.
    pub after: Option<Value>,
    /// Who changed it.
    pub cause: Cause,
    /// What was applied last, where it was one value: for a change by both, what neither side has any more.
    pub last: Option<Value>,
}

impl Difference {
    /// Whether it is a mark of miniascape's own, and nobody took it out: it comes along with other changes. A device that has another
    /// name is given its own at once, before one comes that has it.
    pub fn is_new_mark(&self) -> bool {
        let renames = self.before.is_some() && self.path.ends_with("/alias@name");
        schema::is_mark(&self.path) && self.cause != Cause::Drift && !renames
    }

    /// The same in parts: an element that comes or goes as a whole is taken apart, down to where `is_apart` says that its parts are
    /// one thing.
    pub fn taken_apart(self, is_apart: &dyn Fn(&str) -> bool) -> Vec<Self> {
        let tree = match (&self.before, &self.after) {
            (Some(Value::Tree(tree)), None) | (None, Some(Value::Tree(tree))) => tree,
            _ => return vec![self],
        };
        if !is_apart(&self.path) {
            return vec![self];
        }
        let mut within = self.within.clone();
        within.push(Element {
            children: Vec::new(),
            ..tree.clone()
        });
        let part = |path: String, nth: &[usize], value: Value| {
            let comes = self.after.is_some();
            Self {
                path,
                within: within.clone(),
                nth: [&self.nth, nth].concat(),
                before: (!comes).then(|| value.clone()),
                after: comes.then_some(value),
                cause: self.cause,
                last: None,
            }
        };
        let path = &self.path;
        let text = |path: String, text: &String| part(path, &[], Value::Text(text.clone()));
        let attributes = tree.attributes.iter();
        let mut parts: Vec<Self> = attributes
            .map(|(name, value)| text(format!("{path}@{name}"), value))
            .collect();
        if !tree.text.is_empty() {
            parts.push(text(path.clone(), &tree.text));
        }
        for (child, nth) in tree.children.iter().zip(nths(&tree.children)) {
            let path = join(path, &child.name);
            let child = part(path, &[nth], Value::Tree(child.clone()));
            parts.extend(child.taken_apart(is_apart));
        }
        match parts.is_empty() {
            true => vec![self],
            false => parts,
        }
    }

    /// Whether a tree has something in the place that this is about. `of` is the tree in which it is, of the same root.
    pub fn is_said_by(&self, tree: &Element, of: &Element) -> bool {
        let Some(holder) = self.holder(tree) else {
            return false;
        };
        if let Some((_, attribute)) = self.path.split_once('@') {
            return holder.attribute(attribute).is_some();
        }
        let Some(element) = self.tree() else {
            return !holder.text.is_empty();
        };
        let Some(theirs) = self.holder(of).map(|holder| &holder.children) else {
            return false;
        };
        let at = self.position(self.parent(), self.within.len(), element, theirs);
        at.is_some() && match_children(self.parent(), &holder.children, theirs).contains(&at)
    }

    /// The element that comes or goes.
    pub fn tree(&self) -> Option<&Element> {
        let both = [&self.before, &self.after].into_iter().flatten();
        both.filter_map(|value| match value {
            Value::Tree(tree) => Some(tree),
            Value::Text(_) => None,
        })
        .next()
    }

    /// The element that this is in, in a tree of the same root.
    pub fn holder<'a>(&self, tree: &'a Element) -> Option<&'a Element> {
        let mut path = tree.name.clone();
        let mut holder = tree;
        for (depth, element) in self.within.iter().enumerate() {
            holder = &holder.children[self.position(&path, depth, element, &holder.children)?];
            path = join(&path, &element.name);
        }
        Some(holder)
    }

    /// Has a tree hold `value` in the place that this is about, or nothing. One that has not the elements around it stays as it is, but
    /// for elements of which there is one: they come along.
    pub fn put(&self, tree: &mut Element, value: Option<&Value>) {
        let mut path = tree.name.clone();
        let mut holder = tree;
        for (depth, element) in self.within.iter().enumerate() {
            let within = join(&path, &element.name);
            let mut at = self.position(&path, depth, element, &holder.children);
            if at.is_none() && value.is_some() && schema::keys(&within).is_empty() {
                insert(&path, holder, Element::new(&element.name));
                at = self.position(&path, depth, element, &holder.children);
            }
            let Some(at) = at else {
                return;
            };
            path = within;
            holder = &mut holder.children[at];
        }
        let attribute = self.path.split_once('@').map(|(_, attribute)| attribute);
        match (attribute, self.tree(), value) {
            (Some(attribute), _, Some(Value::Text(text))) => holder.set_attribute(attribute, text),
            (Some(attribute), ..) => drop(holder.remove_attribute(attribute)),
            (None, None, Some(Value::Text(text))) => holder.text.clone_from(text),
            (None, None, _) => holder.text.clear(),
            (None, Some(_), Some(Value::Tree(element))) => insert(&path, holder, element.clone()),
            (None, Some(element), _) => {
                let depth = self.within.len();
                if let Some(at) = self.position(&path, depth, element, &holder.children) {
                    holder.children.remove(at);
                }
            }
        }
    }

    /// Which of some elements is the one that is so deep on the way there.
    fn position(
        &self,
        path: &str,
        depth: usize,
        element: &Element,
        among: &[Element],
    ) -> Option<usize> {
        let keys = schema::keys(&join(path, &element.name));
        if keys.iter().any(|key| key.of(element).is_some()) {
            return position_like(path, element, among);
        }
        let all = among.iter().enumerate();
        let mut like = all.filter(|(_, other)| other.name == element.name);
        Some(like.nth(*self.nth.get(depth)?)?.0)
    }

    /// The path of the element that this is in.
    fn parent(&self) -> &str {
        let element = self.path.split('@').next().unwrap_or_default();
        element
            .rsplit_once('/')
            .map_or(element, |(parent, _)| parent)
    }
}

/// What stands at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// The value of an attribute or the text of an element.
    Text(String),
    /// A whole element that is added or removed.
    Tree(Element),
}

/// Who is behind a difference, as far as the last apply tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The definition changed; what is live is as applied last, or was never applied.
    Definition,
    /// The definition is as applied last: someone changed libvirt's side.
    Drift,
    /// Neither is as applied last: the definition changed, and someone changed libvirt's side to something else.
    Both,
}

impl Cause {
    /// What is behind two differences together.
    pub fn and(self, other: Self) -> Self {
        match self == other {
            true => self,
            false => Cause::Both,
        }
    }
}
