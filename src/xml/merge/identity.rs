//! Which element of one tree is which of another, by what its keys say ([`schema::keys`]), and where a new one stands.

use std::borrow::Borrow;
use std::collections::HashMap;

use crate::xml::schema::{self, Strength};
use crate::xml::tree::Element;

/// Of each of some siblings, which of its name it is.
pub(super) fn nths(siblings: &[Element]) -> Vec<usize> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let names = siblings.iter().map(|it| it.name.as_str());
    let nth = |name| {
        let count = counts.entry(name).or_default();
        *count += 1;
        *count - 1
    };
    names.map(nth).collect()
}

pub(super) fn join(path: &str, name: &str) -> String {
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

pub(super) fn position_like(path: &str, wanted: &Element, among: &[Element]) -> Option<usize> {
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
pub(super) fn match_children<A: Borrow<Element>, B: Borrow<Element>>(
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
