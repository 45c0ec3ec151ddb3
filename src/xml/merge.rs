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

mod difference;
mod identity;

use super::derived::Before;
use super::schema;
use super::spelling;
use super::tree::Element;
pub use difference::{Cause, Difference, Value};
pub use identity::{children_of, insert, like};
use identity::{join, match_children, nths};

/// What has to change, and what results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The live tree with the differences applied.
    pub target: Element,
    /// The differences, in the order of the wanted tree; removals after what stays.
    pub differences: Vec<Difference>,
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
        let mut unmarked = spelling::spelled(wanted);
        for mark in self.differences.iter().filter(|it| it.is_new_mark()) {
            mark.put(&mut unmarked, mark.before.as_ref());
        }
        unmarked
    }
}

/// Compares three ways. `last` are the trees that may have been applied: the last one with success and, after a run
/// that broke off, the attempt. All trees have the same root.
pub fn merge(last: &[Element], live: &Element, wanted: &Element) -> Merged {
    let last: Vec<Element> = last.iter().map(spelling::canonical).collect();
    let last: Vec<&Element> = last.iter().collect();
    let mut target = spelling::canonical(live);
    let wanted = spelling::spelled(wanted);
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
    *base = spelling::spelled(base);
    let overlay = spelling::spelled(overlay);
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
            let implied = || spelling::implied(&at, wanted).or(spelling::implied(&at, live));
            let is = before.as_deref().or_else(implied);
            if is.is_some_and(|is| spelling::same(&at, value, is)) {
                continue;
            }
            // What was implied last was applied, though the tree does not have it.
            let known: Vec<&str> = last
                .iter()
                .filter_map(|last| {
                    let implied = spelling::implied(&at, last).filter(|implied| implied == value);
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
        let changes = !wanted.text.is_empty() && !spelling::same(path, &wanted.text, &live.text);
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
        let nth_wanted = nths(&wanted.children);
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
                    self.nth.push(nth_wanted[i]);
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
                Some(_) if schema::is_container(&at) => {
                    let last: Vec<&Element> = last
                        .iter()
                        .filter_map(|last| last.child(&child.name))
                        .collect();
                    self.nothing(&at, &last, child, nth_of[k]);
                    // What others put into it stays, and so does it.
                    goes[k] = goes[k].filter(|_| child.children.is_empty());
                }
                Some(cause) => {
                    self.nth.push(nth_of[k]);
                    self.differ(at, Some(Value::Tree(child.clone())), None, cause, None);
                    self.nth.pop();
                }
                // libvirt's own element may hold a list that is the user's: `<dns>` with a stranger's host.
                None if is_free(k) && schema::holds_owned(&at) => {
                    self.nothing(&at, &[], child, nth_of[k]);
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
    fn nothing(&mut self, path: &str, last: &[&Element], live: &mut Element, nth: usize) {
        let nothing = Element::new(&live.name);
        let mut merger = Merger {
            within: self.within.clone(),
            nth: self.nth.clone(),
            ..Merger::new(self.known)
        };
        merger.enter(&nothing, nth);
        merger.element(path, last, live, &nothing);
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
                .any(|known| one.is_some_and(|one| spelling::same(&path, known, one)))
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

#[cfg(test)]
mod tests;
