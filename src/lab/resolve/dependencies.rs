//! `depends_on`: the guests named are there, and no guest waits for itself.

use std::collections::{BTreeMap, BTreeSet};

use super::{Referent, Resolver};
use crate::address::Name;
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::decode::Spanned;
use crate::lab::written::Named;
use crate::lab::written::guest::GuestSpec;

type Edges<'a> = BTreeMap<&'a Name, &'a [Spanned<Name>]>;

impl Resolver<'_> {
    /// Checks what guests say they depend on.
    pub(super) fn dependencies(&mut self, specs: &[Named<GuestSpec>]) {
        for dependency in specs.iter().flat_map(|named| &named.spec.depends_on) {
            self.check_reference(Referent::Guest, dependency);
        }
        let edges: Edges<'_> = specs
            .iter()
            .map(|named| (&named.key.value, named.spec.depends_on.as_slice()))
            .collect();
        let mut done = BTreeSet::new();
        for start in edges.keys() {
            if let Some((cycle, place)) = cycle(start, &edges, &mut done) {
                let names: Vec<&str> = cycle.iter().map(|name| name.as_str()).collect();
                let problem = match names.as_slice() {
                    [alone] => format!("`{alone}` depends on itself"),
                    [first, ..] => format!(
                        "guests depend on each other: {} -> {first}",
                        names.join(" -> ")
                    ),
                    [] => continue,
                };
                self.report(
                    Diagnostic::error(problem)
                        .at(place)
                        .hint("remove one of these dependencies"),
                );
            }
        }
    }
}

/// The first cycle that is met from `start`, in the order of dependence, with the place of the
/// dependency that closes it. What is in `done` was searched. Without recursion: chains are long in large labs.
fn cycle<'a>(
    start: &'a Name,
    edges: &Edges<'a>,
    done: &mut BTreeSet<&'a Name>,
) -> Option<(Vec<&'a Name>, Span)> {
    if done.contains(start) {
        return None;
    }
    let mut path: Vec<(&'a Name, usize)> = vec![(start, 0)];
    let mut on_path = BTreeMap::from([(start, 0)]);
    let mut found = None;
    while let Some((guest, next)) = path.last_mut() {
        let guest = *guest;
        let targets = edges.get(guest).copied().unwrap_or_default();
        let Some(target) = targets.get(*next) else {
            done.insert(guest);
            on_path.remove(guest);
            path.pop();
            continue;
        };
        *next += 1;
        let Some((target_name, _)) = edges.get_key_value(&target.value) else {
            continue;
        };
        let target_name: &'a Name = target_name;
        if let Some(at) = on_path.get(target_name) {
            found.get_or_insert_with(|| {
                let names = path[*at..].iter().map(|(name, _)| *name).collect();
                (names, target.span)
            });
        } else if !done.contains(target_name) {
            on_path.insert(target_name, path.len());
            path.push((target_name, 0));
        }
    }
    found
}
