//! Differences between XML trees, three ways: what was applied last, what is live, what is wanted now.
//!
//! The rules, in full:
//! - what is wanted and not live is added or changed;
//! - what was applied last and is not wanted any more is removed;
//! - what is only live stays, except in lists that are the user's ([`schema::is_owned`]): it is libvirt's own, or others put
//!   it there, which `plan::whose` tells apart.
//!
//! The target is the live tree with just these differences applied, so that addresses, MACs and all that others
//! set survive; but what libvirt derived from what changes is derived anew ([`super::derived`]). Elements of a list are matched by identity ([`schema::keys`]).

use std::borrow::Borrow;

use super::derived::Before;
use super::schema::{self, Strength};
use super::tree::Element;

/// What has to change, and what results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The live tree with the differences applied.
    pub target: Element,
    /// The differences, in the order of the wanted tree; removals after what stays.
    pub differences: Vec<Difference>,
}

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

    /// Has a tree hold `value` in the place that this is about, or nothing. One that has not the elements around it stays as it is.
    pub fn put(&self, tree: &mut Element, value: Option<&Value>) {
        let mut path = tree.name.clone();
        let mut holder = tree;
        for (depth, element) in self.within.iter().enumerate() {
            let Some(at) = self.position(&path, depth, element, &holder.children) else {
                return;
            };
            path = join(&path, &element.name);
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

impl Merged {
    /// Whether anything differs but for marks of miniascape's own that were never put in.
    pub fn is_change(&self) -> bool {
        self.differences
            .iter()
            .any(|difference| !difference.is_new_mark())
    }

    /// What is wanted, without the marks that are not put in where nothing else changes.
    pub fn unmarked(&self, wanted: &Element) -> Element {
        let mut unmarked = schema::spelled(wanted);
        for mark in self.differences.iter().filter(|it| it.is_new_mark()) {
            mark.put(&mut unmarked, mark.before.as_ref());
        }
        unmarked
    }
}

/// Compares three ways. `last` are the trees that may have been applied: the last one with success and, after a run
/// that broke off, the attempt. All trees have the same root.
pub fn merge(last: &[Element], live: &Element, wanted: &Element) -> Merged {
    let last: Vec<Element> = last.iter().map(schema::canonical).collect();
    let last: Vec<&Element> = last.iter().collect();
    let mut target = schema::canonical(live);
    let wanted = schema::spelled(wanted);
    let mut merger = Merger::new(!last.is_empty());
    merger.element(&wanted.name, &last, &mut target, &wanted);
    Merged {
        target,
        differences: merger.differences,
    }
}

/// Puts a user's XML over what a template gave: its attributes and texts win, its elements are merged into those they
/// are identical with, or added. The result is in libvirt's spelling, so that a unit or netmask of the one is never taken
/// for the other's.
pub fn overlay(base: &mut Element, overlay: &Element) {
    *base = schema::spelled(base);
    let overlay = schema::spelled(overlay);
    // An overlay never removes, so it is a merge with nothing applied before; lists that are the user's alone must
    // stay, so the base's elements are not looked at as drift.
    overlay_at(&overlay.name, base, &overlay);
}

fn overlay_at(path: &str, base: &mut Element, overlay: &Element) {
    let before = Before::of(path, base);
    for (name, value) in &overlay.attributes {
        base.set_attribute(name, value.clone());
    }
    if !overlay.text.is_empty() {
        base.text.clone_from(&overlay.text);
        base.children.clear();
    }
    if !overlay.children.is_empty() {
        base.text.clear();
    }
    let matches = match_children(path, &overlay.children, &base.children);
    let mut added = Vec::new();
    for (child, matched) in overlay.children.iter().zip(matches) {
        match matched {
            Some(at) => overlay_at(&join(path, &child.name), &mut base.children[at], child),
            None => added.push(child.clone()),
        }
    }
    // Only now: what is put in moves what was matched.
    for child in added {
        insert(path, base, child);
    }
    // What a template says of a device is of its kind; what a key says stays, and contradicts where it does.
    if path.starts_with("domain/devices/") {
        before.renew(path, base, overlay);
    }
}

struct Merger<'a> {
    /// Whether it is known what was applied last. Without that, nothing is anyone's drift.
    known: bool,
    differences: Vec<Difference>,
    within: Vec<&'a Element>,
    nth: Vec<usize>,
}

impl<'a> Merger<'a> {
    fn new(known: bool) -> Self {
        Self {
            known,
            differences: Vec::new(),
            within: Vec::new(),
            nth: Vec::new(),
        }
    }

    fn element(&mut self, path: &str, last: &[&Element], live: &mut Element, wanted: &'a Element) {
        let before = Before::of(path, live);
        let count = self.differences.len();
        self.attributes(path, last, live, wanted);
        self.text(path, last, live, wanted);
        self.children(path, last, live, wanted);
        if self.differences.len() > count {
            before.renew(path, live, wanted);
        }
    }

    fn attributes(&mut self, path: &str, last: &[&Element], live: &mut Element, wanted: &Element) {
        for (name, value) in &wanted.attributes {
            let at = format!("{path}@{name}");
            let before = live.attribute(name).map(str::to_owned);
            let implied = || schema::implied(&at, wanted).or(schema::implied(&at, live));
            let is = before.as_deref().or_else(implied);
            if is.is_some_and(|is| schema::same(&at, value, is)) {
                continue;
            }
            // What was implied last was applied, though the tree does not have it.
            let known: Vec<&str> = last
                .iter()
                .filter_map(|last| {
                    let implied = schema::implied(&at, last).filter(|implied| implied == value);
                    last.attribute(name).or(implied)
                })
                .collect();
            self.value(at, &known, before.as_deref(), Some(value));
            live.set_attribute(name, value.clone());
        }
        let gone = last.iter().flat_map(|last| &last.attributes);
        for (name, _) in gone.filter(|(name, _)| wanted.attribute(name).is_none()) {
            if let Some(before) = live.remove_attribute(name) {
                let known: Vec<&str> = last.iter().filter_map(|l| l.attribute(name)).collect();
                self.value(format!("{path}@{name}"), &known, Some(&before), None);
            }
        }
    }

    fn text(&mut self, path: &str, last: &[&Element], live: &mut Element, wanted: &Element) {
        let was_set = last.iter().any(|last| !last.text.is_empty());
        // An element has a text or children, never both.
        let is_replaced = !wanted.children.is_empty();
        let goes = wanted.text.is_empty() && (was_set || is_replaced) && !live.text.is_empty();
        let changes = !wanted.text.is_empty() && !schema::same(path, &wanted.text, &live.text);
        if !goes && !changes {
            return;
        }
        let given = |text: &'_ str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let known: Vec<String> = last.iter().filter_map(|last| given(&last.text)).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let (before, after) = (given(&live.text), given(&wanted.text));
        self.value(path.to_owned(), &known, before.as_deref(), after.as_deref());
        live.text.clone_from(&wanted.text);
    }

    fn children(&mut self, path: &str, last: &[&Element], live: &mut Element, wanted: &'a Element) {
        let to_live = match_children(path, &wanted.children, &live.children);
        // For each last tree: which child of it belongs to which wanted child, and which are wanted no more.
        let to_last: Vec<Vec<Option<usize>>> = last
            .iter()
            .map(|last| match_children(path, &wanted.children, &last.children))
            .collect();
        let nth_of = nths(&live.children);
        let mut added = Vec::new();
        for (i, child) in wanted.children.iter().enumerate() {
            let at = join(path, &child.name);
            let last: Vec<&Element> = last
                .iter()
                .zip(&to_last)
                .filter_map(|(last, matched)| matched[i].map(|k| &last.children[k]))
                .collect();
            match to_live[i] {
                Some(k) => {
                    self.enter(child, nth_of[k]);
                    self.element(&at, &last, &mut live.children[k], child);
                    self.leave();
                }
                // What it holds is told for itself.
                None if schema::is_container(&at) => {
                    let mut empty = Element::new(&child.name);
                    self.enter(child, 0);
                    self.element(&at, &last, &mut empty, child);
                    self.leave();
                    added.push(empty);
                }
                None => {
                    let cause = match last.as_slice() {
                        [] => Cause::Definition,
                        last if last.iter().any(|last| say_the_same(&at, last, child)) => {
                            Cause::Drift
                        }
                        // It was another one, and that is gone as well.
                        _ => Cause::Both,
                    };
                    self.nth.push(nths(&wanted.children)[i]);
                    self.differ(at, None, Some(Value::Tree(child.clone())), cause, None);
                    self.nth.pop();
                    added.push(child.clone());
                }
            }
        }

        // What goes: elements of a last tree that are wanted no more, and strangers in lists that are the user's.
        let mut goes: Vec<Option<Cause>> = vec![None; live.children.len()];
        let is_free = |k: usize| !to_live.contains(&Some(k));
        let free: Vec<usize> = (0..goes.len()).filter(|k| is_free(*k)).collect();
        for (last, matched) in last.iter().zip(&to_last) {
            let dropped = last.children.iter().enumerate();
            let dropped = dropped.filter(|(k, _)| !matched.contains(&Some(*k)));
            let dropped: Vec<&Element> = dropped.map(|(_, child)| child).collect();
            let candidates: Vec<&Element> = free.iter().map(|k| &live.children[*k]).collect();
            let matched = match_children(path, &dropped, &candidates);
            for (old, at) in dropped.iter().zip(matched) {
                if let Some(at) = at {
                    let is_as_applied = is_as(&join(path, &old.name), old, candidates[at]);
                    goes[free[at]] = Some(match is_as_applied {
                        true => Cause::Definition,
                        false => Cause::Both,
                    });
                }
            }
        }
        for (k, child) in live.children.iter_mut().enumerate() {
            let at = join(path, &child.name);
            let makes_way = schema::is_owned(&at) || !wanted.text.is_empty();
            if is_free(k) && goes[k].is_none() && makes_way {
                goes[k] = Some(match self.known {
                    true => Cause::Drift,
                    false => Cause::Definition,
                });
            }
            match goes[k] {
                Some(cause) => {
                    self.nth.push(nth_of[k]);
                    self.differ(at, Some(Value::Tree(child.clone())), None, cause, None);
                    self.nth.pop();
                }
                // libvirt's own element may hold a list that is the user's: `<dns>` with a stranger's host.
                None if is_free(k) && schema::holds_owned(&at) => {
                    self.nothing(&at, child, nth_of[k]);
                }
                None => {}
            }
        }
        let mut index = 0;
        live.children.retain(|_| {
            index += 1;
            goes[index - 1].is_none()
        });
        for child in added {
            insert(path, live, child);
        }
        if schema::is_ordered(path) {
            let order = match_children(path, &live.children, &wanted.children);
            let children = std::mem::take(&mut live.children).into_iter();
            let mut children: Vec<_> = order.into_iter().zip(children).collect();
            children.sort_by_key(|(place, _)| place.unwrap_or(usize::MAX));
            live.children = children.into_iter().map(|(_, child)| child).collect();
        }
    }

    /// Compares an element of which nothing is wanted.
    fn nothing(&mut self, path: &str, live: &mut Element, nth: usize) {
        let nothing = Element::new(&live.name);
        let mut merger = Merger {
            within: self.within.clone(),
            nth: self.nth.clone(),
            ..Merger::new(self.known)
        };
        merger.enter(&nothing, nth);
        merger.element(path, &[], live, &nothing);
        self.differences.append(&mut merger.differences);
    }

    fn enter(&mut self, element: &'a Element, nth: usize) {
        self.within.push(element);
        self.nth.push(nth);
    }

    fn leave(&mut self) {
        self.within.pop();
        self.nth.pop();
    }

    /// Notes a difference of one value. `known` are those that may have been applied last.
    fn value(&mut self, path: String, known: &[&str], before: Option<&str>, after: Option<&str>) {
        let is = |one: Option<&str>| {
            known
                .iter()
                .any(|known| one.is_some_and(|one| schema::same(&path, known, one)))
        };
        let cause = match known {
            // libvirt may have filled it in: nothing tells that anyone else did.
            [] => Cause::Definition,
            _ if is(after) => Cause::Drift,
            _ if is(before) => Cause::Definition,
            _ => Cause::Both,
        };
        let text = |text: &str| Value::Text(text.to_owned());
        let last = match known {
            [only] => Some(text(only)),
            _ => None,
        };
        self.differ(path, before.map(text), after.map(text), cause, last);
    }

    fn differ(
        &mut self,
        path: String,
        before: Option<Value>,
        after: Option<Value>,
        cause: Cause,
        last: Option<Value>,
    ) {
        self.differences.push(Difference {
            last,
            path,
            within: self.within.iter().copied().cloned().collect(),
            nth: self.nth.clone(),
            before,
            after,
            cause,
        });
    }
}

/// Whether a live element still is as it was applied, whatever libvirt filled in.
fn is_as(path: &str, applied: &Element, live: &Element) -> bool {
    let mut merger = Merger::new(true);
    merger.element(path, &[], &mut live.clone(), applied);
    merger.differences.is_empty()
}

/// Whether two elements at a path say the same, in whatever order they say it.
pub fn say_the_same(path: &str, one: &Element, other: &Element) -> bool {
    let says_all = |there: &Element, wanted: &Element| {
        let mut merger = Merger::new(false);
        merger.element(path, &[], &mut there.clone(), wanted);
        merger.differences.is_empty()
    };
    says_all(one, other) && says_all(other, one)
}

/// Of each of some siblings, which of its name it is.
fn nths(siblings: &[Element]) -> Vec<usize> {
    let like = |at: usize| {
        let before = siblings[..at].iter();
        before.filter(|it| it.name == siblings[at].name).count()
    };
    (0..siblings.len()).map(like).collect()
}

fn join(path: &str, name: &str) -> String {
    format!("{path}/{name}")
}

/// Puts an element into its parent, which is at the path: behind the last of its name, else where the schema has it
/// ([`schema::rank`]), else at the end.
pub fn insert(path: &str, parent: &mut Element, child: Element) {
    let siblings = &parent.children;
    let behind_its_like = || {
        let last = siblings.iter().rposition(|s| s.name == child.name)?;
        Some(last + 1)
    };
    let by_rank = || {
        let rank = schema::rank(&join(path, &child.name))?;
        siblings.iter().position(|sibling| {
            schema::rank(&join(path, &sibling.name)).is_some_and(|other| other > rank)
        })
    };
    let at = behind_its_like().or_else(by_rank).unwrap_or(siblings.len());
    parent.children.insert(at, child);
}

/// The one of some elements that is the same as `wanted` by identity; all are children of the element at `path`.
pub fn like<'a>(path: &str, wanted: &Element, among: &'a [Element]) -> Option<&'a Element> {
    among.get(position_like(path, wanted, among)?)
}

fn position_like(path: &str, wanted: &Element, among: &[Element]) -> Option<usize> {
    let matched = match_children(path, std::slice::from_ref(wanted), among);
    matched.into_iter().flatten().next()
}

/// For each child of an element at `path`, the child of the other element that is the same by identity.
pub fn children_of<'a>(path: &str, of: &Element, other: &'a Element) -> Vec<Option<&'a Element>> {
    let matched = match_children(path, &of.children, &other.children);
    let child = |at: Option<usize>| at.map(|at| &other.children[at]);
    matched.into_iter().map(child).collect()
}

/// For each of `ours`, the index of the one of `theirs` that is the same by identity; no index is given twice.
fn match_children<A: Borrow<Element>, B: Borrow<Element>>(
    path: &str,
    ours: &[A],
    theirs: &[B],
) -> Vec<Option<usize>> {
    let mut matched: Vec<Option<usize>> = vec![None; ours.len()];
    let mut taken = vec![false; theirs.len()];
    let mut names: Vec<&str> = ours.iter().map(|it| it.borrow().name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let keys = schema::keys(&join(path, name));
        let ours = named(name, keys, ours);
        let theirs = named(name, keys, theirs);
        for pass in 0..=keys.len() {
            for (i, our) in &ours {
                if matched[*i].is_some() {
                    continue;
                }
                let mut free = theirs.iter().filter(|(k, _)| !taken[*k]);
                if let Some((k, _)) = free.find(|(_, their)| is_same(keys, pass, our, their)) {
                    matched[*i] = Some(*k);
                    taken[*k] = true;
                }
            }
        }
    }
    matched
}

/// The elements of a name, each by its index and with what its keys say.
fn named<E: Borrow<Element>>(
    name: &str,
    keys: &[schema::Key],
    all: &[E],
) -> Vec<(usize, Vec<Option<String>>)> {
    let all = all.iter().map(E::borrow).enumerate();
    let all = all.filter(|(_, element)| element.name == name);
    all.map(|(at, element)| (at, keys.iter().map(|key| key.of(element)).collect()))
        .collect()
}

/// Whether two elements of one name are the same by the key of a pass; behind all keys, if neither has any of them.
fn is_same(
    keys: &[schema::Key],
    pass: usize,
    our: &[Option<String>],
    their: &[Option<String>],
) -> bool {
    let Some(key) = keys.get(pass) else {
        return our.iter().chain(their).all(Option::is_none);
    };
    let is_equal = our[pass].is_some() && our[pass] == their[pass];
    let contradicts = || {
        let mut earlier = keys[..pass].iter().zip(our.iter().zip(their));
        earlier.any(|(key, both)| {
            key.strength == Strength::Strong && matches!(both, (Some(a), Some(b)) if a != b)
        })
    };
    match key.strength {
        Strength::Strong => is_equal && !contradicts(),
        Strength::Weak => is_equal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xml(text: &str) -> Element {
        Element::parse(text).unwrap()
    }

    fn paths(merged: &Merged) -> Vec<&str> {
        merged.differences.iter().map(|d| d.path.as_str()).collect()
    }

    const LIVE: &str = "<domain type='kvm'>
        <name>web1</name>
        <memory unit='KiB'>1048576</memory>
        <vcpu placement='static'>1</vcpu>
        <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type><boot dev='hd'/></os>
        <devices>
          <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/a'/><target dev='vda' bus='virtio'/><alias name='ua-root'/><address type='pci' slot='0x04'/></disk>
          <controller type='usb' index='0' model='qemu-xhci'/>
          <controller type='pci' index='0' model='pcie-root'/>
          <interface type='network'><mac address='52:54:00:aa:bb:cc'/><source network='front'/><model type='virtio'/><alias name='ua-eth0'/></interface>
          <memballoon model='virtio'/>
        </devices>
      </domain>";
    const WANTED: &str = "<domain type='kvm'>
        <name>web1</name>
        <memory unit='GiB'>1</memory>
        <vcpu>1</vcpu>
        <os><type arch='x86_64' machine='q35'>hvm</type></os>
        <devices>
          <interface type='network'><mac address='52:54:00:AA:BB:CC'/><source network='front'/><model type='virtio'/><alias name='ua-eth0'/></interface>
          <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/a'/><target dev='vda' bus='virtio'/><alias name='ua-root'/></disk>
        </devices>
      </domain>";

    #[test]
    fn what_libvirt_fills_in_is_no_difference() {
        for last in [vec![], vec![xml(WANTED)]] {
            let merged = merge(&last, &xml(LIVE), &xml(WANTED));
            assert_eq!(paths(&merged), [""; 0]);
            assert_eq!(merged.target, schema::canonical(&xml(LIVE)));
        }
    }

    #[test]
    fn what_is_wanted_is_changed_in_place() {
        let wanted = WANTED
            .replace("unit='GiB'>1<", "unit='GiB'>2<")
            .replace("type='qcow2'/>", "type='qcow2' cache='none'/>");
        let merged = merge(&[xml(WANTED)], &xml(LIVE), &xml(&wanted));
        assert_eq!(
            paths(&merged),
            ["domain/memory", "domain/devices/disk/driver@cache"]
        );
        assert!(
            merged
                .differences
                .iter()
                .all(|d| d.cause == Cause::Definition)
        );
        let disk = merged.target.find("devices/disk").unwrap();
        assert_eq!(disk.attribute_at("address", "slot"), Some("0x04"));
        assert_eq!(disk.attribute_at("driver", "cache"), Some("none"));
        let again = merge(&[xml(&wanted)], &merged.target, &xml(&wanted));
        assert!(again.differences.is_empty());
    }

    #[test]
    fn what_was_applied_and_is_not_wanted_goes() {
        let last = WANTED.replace(
            "</devices>",
            "<watchdog model='i6300esb' action='reset'/></devices>",
        );
        let live = LIVE.replace(
            "</devices>",
            "<watchdog model='i6300esb' action='reset'/></devices>",
        );
        let merged = merge(&[xml(&last)], &xml(&live), &xml(WANTED));
        assert_eq!(paths(&merged), ["domain/devices/watchdog"]);
        assert!(merged.target.find("devices/watchdog").is_none());
        assert!(
            merge(&[xml(WANTED)], &xml(&live), &xml(WANTED))
                .differences
                .is_empty(),
            "what someone else added outside of the user's lists stays"
        );
    }

    #[test]
    fn strangers_in_the_users_lists_are_drift() {
        let live = LIVE.replace(
            "</devices>",
            "<disk type='file' device='disk'><source file='/b'/><target dev='vdb' bus='virtio'/></disk></devices>",
        );
        let merged = merge(&[xml(WANTED)], &xml(&live), &xml(WANTED));
        assert_eq!(paths(&merged), ["domain/devices/disk"]);
        assert_eq!(merged.differences[0].cause, Cause::Drift);
        assert_eq!(merged.target, schema::canonical(&xml(LIVE)));
    }

    #[test]
    fn strangers_are_found_in_elements_that_the_definition_has_not() {
        let live =
            xml("<network><dns><host ip='10.0.0.9'><hostname>x</hostname></host></dns></network>");
        let merged = merge(&[], &live, &xml("<network/>"));
        assert_eq!(paths(&merged), ["network/dns/host"]);
    }

    #[test]
    fn drift_of_a_value_is_told_from_a_change_of_the_definition() {
        let live = LIVE.replace(">1048576<", ">2097152<");
        let merged = merge(&[xml(WANTED)], &xml(&live), &xml(WANTED));
        assert_eq!(merged.differences[0].cause, Cause::Drift);
    }

    #[test]
    fn a_change_by_both_is_told_with_what_was_applied() {
        let live = LIVE.replace(">1048576<", ">2097152<");
        let wanted = WANTED.replace("unit='GiB'>1<", "unit='GiB'>4<");
        let merged = merge(&[xml(WANTED)], &xml(&live), &xml(&wanted));
        assert_eq!(merged.differences[0].cause, Cause::Both);
        assert_eq!(
            merged.differences[0].last,
            Some(Value::Text("1048576".into()))
        );

        // Elements that were changed or removed by someone, and then by the definition.
        let host = |ip: &str| {
            format!("<network><dns><host ip='{ip}'><hostname>x</hostname></host></dns></network>")
        };
        let none = "<network><dns/></network>";
        let cause = |last: &str, live: &str, wanted: &str| {
            let merged = merge(&[xml(last)], &xml(live), &xml(wanted));
            let causes = merged.differences.iter().map(|difference| difference.cause);
            causes.reduce(Cause::and).unwrap()
        };
        let txt =
            |value: &str| format!("<network><dns><txt name='a' value='{value}'/></dns></network>");
        assert_eq!(cause(&txt("1"), none, &txt("1")), Cause::Drift);
        assert_eq!(cause(&txt("1"), none, &txt("2")), Cause::Both);
        assert_eq!(cause(&txt("1"), &txt("2"), none), Cause::Both);
        assert_eq!(cause(&txt("1"), &txt("1"), none), Cause::Definition);
        assert_eq!(
            cause(&host("10.0.0.1"), none, &host("10.0.0.1")),
            Cause::Drift
        );
    }

    #[test]
    fn reservations_match_by_any_of_their_keys() {
        let net = |host: &str| {
            xml(&format!(
                "<network><ip address='10.0.0.1' prefix='24'><dhcp>{host}</dhcp></ip></network>"
            ))
        };
        let live = net("<host mac='52:54:00:00:00:01' name='a' ip='10.0.0.5'/>");
        let wanted = net("<host mac='52:54:00:00:00:02' name='a' ip='10.0.0.5'/>");
        let merged = merge(&[], &live, &wanted);
        assert_eq!(paths(&merged), ["network/ip/dhcp/host@mac"]);
    }

    #[test]
    fn what_is_added_to_a_guest_stands_where_libvirt_has_it() {
        let mut base = xml(WANTED);
        overlay(
            &mut base,
            &xml("<domain><iothreads>2</iothreads><memoryBacking/><x/><cputune/></domain>"),
        );
        let names: Vec<&str> = base.children.iter().map(|c| c.name.as_str()).collect();
        let order = [
            "name",
            "memory",
            "memoryBacking",
            "vcpu",
            "iothreads",
            "cputune",
            "os",
            "devices",
            "x",
        ];
        assert_eq!(names, order);
        assert_eq!(
            merge(&[], &xml(WANTED), &base).target,
            schema::canonical(&base)
        );
    }

    #[test]
    fn what_an_overlay_adds_does_not_shift_what_it_changes() {
        let mut base = xml(
            "<domain><devices><disk><target dev='vda'/></disk><interface><alias name='ua-e'/></interface></devices></domain>",
        );
        let text = "<domain><devices><disk><target dev='vdb'/></disk><interface><alias name='ua-e'/><boot order='1'/></interface></devices></domain>";
        overlay(&mut base, &xml(text));
        let expected = "<domain><devices><disk><target dev='vda'/></disk><disk><target dev='vdb'/></disk><interface><alias name='ua-e'/><boot order='1'/></interface></devices></domain>";
        assert_eq!(base, xml(expected));
    }

    #[test]
    fn overlays_are_merged_by_identity_and_never_remove() {
        let mut base = xml(WANTED);
        overlay(
            &mut base,
            &xml(
                "<domain><memory unit='MiB'>64</memory><devices><disk><target dev='vda'/><iotune><read_iops_sec>5</read_iops_sec></iotune></disk><watchdog model='i6300esb'/></devices></domain>",
            ),
        );
        assert_eq!(base.text_at("memory"), Some("65536"));
        assert_eq!(base.text_at("devices/disk/iotune/read_iops_sec"), Some("5"));
        assert_eq!(
            base.find("devices").unwrap().children_named("disk").count(),
            1
        );
        assert!(base.find("devices/watchdog").is_some());
        assert!(base.find("devices/interface").is_some());
    }

    #[test]
    fn what_an_overlay_adds_does_not_move_what_it_changes() {
        let mut base = xml(
            "<domain><devices><disk><target dev='vda'/></disk><serial type='pty'/><rng/></devices></domain>",
        );
        let more = "<domain><devices><disk><target dev='vdb'/></disk><serial type='file'/></devices></domain>";
        overlay(&mut base, &xml(more));
        let merged = "<domain><devices><disk><target dev='vda'/></disk><disk><target dev='vdb'/></disk>\
                      <serial type='file'/><rng/></devices></domain>";
        assert_eq!(base, xml(merged));
    }

    #[test]
    fn what_is_put_in_stands_where_libvirt_has_it() {
        let mut base =
            xml("<domain><name>a</name><memory>1</memory><vcpu>1</vcpu><os/><devices/></domain>");
        let more = "<domain><genid/><numatune/><memoryBacking/><x:y/><on_crash>destroy</on_crash></domain>";
        overlay(&mut base, &xml(more));
        let merged = "<domain><name>a</name><genid/><memory unit='KiB'>1</memory><memoryBacking/><vcpu>1</vcpu>\
                      <numatune/><os/><on_crash>destroy</on_crash><devices/><x:y/></domain>";
        assert_eq!(base, xml(merged));
    }

    #[test]
    fn consoles_and_ports_are_not_taken_for_libvirts_own() {
        let mut base = xml(
            "<domain><devices><serial type='pty'><target port='0'/></serial></devices></domain>",
        );
        let more = "<domain><devices><serial type='unix'><target port='1'/></serial>\
                    <console type='pty'><target type='virtio' port='0'/></console></devices></domain>";
        overlay(&mut base, &xml(more));
        let ports = base.find("devices").unwrap().children_named("serial");
        assert_eq!(ports.count(), 2);
        let live = xml("<domain><devices>\
             <serial type='pty'><target type='isa-serial' port='0'/></serial>\
             <serial type='unix'><target type='isa-serial' port='1'/></serial>\
             <console type='pty'><target type='serial' port='0'/></console>\
             <console type='pty'><target type='virtio' port='0'/></console></devices></domain>");
        assert_eq!(paths(&merge(&[], &live, &base)), Vec::<&str>::new());
        let panic = xml("<domain><devices><panic/></devices></domain>");
        let live = xml("<domain><devices><panic model='isa'/></devices></domain>");
        assert_eq!(paths(&merge(&[], &live, &panic)), Vec::<&str>::new());
    }

    #[test]
    fn what_libvirt_takes_for_granted_is_still_the_users_word() {
        let vcpu = |text: &str| xml(&format!("<domain>{text}</domain>"));
        let wanted = vcpu("<vcpu current='4'>4</vcpu>");
        let merged = merge(
            std::slice::from_ref(&wanted),
            &vcpu("<vcpu>4</vcpu>"),
            &wanted,
        );
        assert_eq!(paths(&merged), [""; 0]);
        let merged = merge(
            std::slice::from_ref(&wanted),
            &vcpu("<vcpu current='2'>4</vcpu>"),
            &wanted,
        );
        assert_eq!(paths(&merged), ["domain/vcpu@current"]);
        assert_eq!(merged.differences[0].cause, Cause::Drift);

        let srv = |port: &str| {
            xml(&format!(
                "<network><dns><srv service='a' protocol='tcp' {port}/></dns></network>"
            ))
        };
        let merged = merge(&[], &srv("port='389'"), &srv("port='0'"));
        assert_eq!(paths(&merged), ["network/dns/srv@port"]);
        assert_eq!(paths(&merge(&[], &srv(""), &srv("port='0'"))), [""; 0]);
    }

    #[test]
    fn an_element_has_a_text_or_children_but_never_both() {
        let (text, children) = (xml("<a><b>t</b></a>"), xml("<a><b><c/></b></a>"));
        for (live, wanted) in [(&text, &children), (&children, &text)] {
            assert_eq!(&merge(&[], live, wanted).target, wanted);
            let mut base = live.clone();
            overlay(&mut base, wanted);
            assert_eq!(&base, wanted);
        }
    }

    #[test]
    fn a_number_of_an_overlay_does_not_get_the_units_of_what_was_there() {
        let mut base = xml("<domain><memory unit='GiB'>1</memory></domain>");
        overlay(&mut base, &xml("<domain><memory>65536</memory></domain>"));
        assert_eq!(
            base,
            xml("<domain><memory unit='KiB'>65536</memory></domain>")
        );
        let mut base = xml("<network><ip address='10.0.0.1' prefix='24'/></network>");
        overlay(
            &mut base,
            &xml("<network><ip address='10.0.0.1' netmask='255.255.0.0'/></network>"),
        );
        assert_eq!(base.attribute_at("ip", "prefix"), Some("16"));
    }

    #[test]
    fn what_has_none_of_its_keys_is_found_again() {
        for device in [
            "<disk type='file'><source file='/a'/></disk>",
            "<hostdev type='scsi'><source><adapter name='scsi_host0'/><address bus='0' target='0' unit='1'/></source></hostdev>",
        ] {
            let wanted = xml(&format!("<domain><devices>{device}</devices></domain>"));
            assert_eq!(paths(&merge(&[], &wanted, &wanted)), [""; 0]);
        }
    }

    #[test]
    fn devices_are_told_whoever_named_them() {
        // libvirt names devices of a running guest, other tools do, too.
        let devices = [
            "<disk><source file='/a'/><target dev='vda'/><alias name='virtio-disk0'/></disk>",
            "<disk><source file='/a'/><target dev='sdb'/><alias name='ua-box-volume-0'/></disk>",
            "<interface><mac address='52:54:00:aa:bb:cc'/><alias name='net0'/></interface>",
            "<interface><mac address='52:54:00:aa:bb:cc'/><alias name='ua-net-0'/></interface>",
        ];
        let ours = xml("<domain><devices>\
             <disk><source file='/a'/><target dev='vda'/><alias name='ua-root'/></disk>\
             <interface><mac address='52:54:00:AA:BB:CC'/><alias name='ua-eth0'/></interface></devices></domain>");
        for device in devices {
            let live = xml(&format!("<domain><devices>{device}</devices></domain>"));
            let devices = |tree: &Element| tree.child("devices").unwrap().children.clone();
            let live = devices(&schema::canonical(&live));
            let ours = devices(&schema::canonical(&ours));
            let same = ours.iter().find(|it| it.name == live[0].name).unwrap();
            assert!(like("domain/devices", same, &live).is_some(), "{device}");
        }
        // A disk of another file in the same place is another, where both have a name.
        let other = "<disk><source file='/b'/><target dev='vda'/><alias name='ua-data'/></disk>";
        let other = [Element::parse(other).unwrap()];
        let root = &ours.child("devices").unwrap().children[0];
        assert!(like("domain/devices", root, &other).is_none());
    }

    #[test]
    fn the_file_tells_a_disk_before_its_place() {
        let disk = |file: &str, dev: &str, more: &str| {
            format!("<disk><source file='{file}'/><target dev='{dev}'/>{more}</disk>")
        };
        let guest = |disks: &[String]| {
            xml(&format!(
                "<domain><devices>{}</devices></domain>",
                disks.concat()
            ))
        };
        let live = guest(&[disk("/b", "vda", ""), disk("/a", "vdb", "")]);
        let wanted = guest(&[
            disk("/a", "vda", "<alias name='ua-root'/>"),
            disk("/b", "vdb", ""),
        ]);
        let merged = merge(&[], &live, &wanted);
        let told: Vec<&str> = paths(&merged);
        let dev = "domain/devices/disk/target@dev";
        assert_eq!(told, [dev, "domain/devices/disk/alias", dev]);
    }

    #[test]
    fn names_that_differ_in_case_are_two() {
        let groups = |names: [&str; 2]| {
            let [a, b] = names.map(|name| format!("<portgroup name='{name}'/>"));
            xml(&format!("<network>{a}{b}</network>"))
        };
        let merged = merge(&[], &groups(["a", "A"]), &groups(["A", "a"]));
        assert_eq!(paths(&merged), [""; 0]);
    }

    #[test]
    fn what_was_applied_in_another_order_was_applied() {
        let net = |inside: &str| xml(&format!("<network>{inside}</network>"));
        let last = net("<route address='10.2.0.0' prefix='24'/>");
        let wanted = net("<route prefix='24' address='10.2.0.0'/>");
        let merged = merge(&[last], &net(""), &wanted);
        assert_eq!(merged.differences[0].cause, Cause::Drift);
    }
}
