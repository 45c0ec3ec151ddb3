//! `moved`: what had another name before. What is wrong with it is found here, as far as the definition tells.

use std::collections::{BTreeMap, BTreeSet};

use super::Resolver;
use crate::address::{Address, Kind};
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::moves::Moves;
use crate::lab::written::moved::MoveSpec;

impl Resolver<'_> {
    /// Resolves the moves, once all that they can lead to is known.
    pub(super) fn moved(&mut self, specs: &[MoveSpec]) {
        let defined = self.addresses_defined();
        let external = self.addresses_external();
        let moves: Moves = specs
            .iter()
            .map(|spec| (spec.from.value.clone(), spec.to.value.clone()))
            .collect();
        self.moved_twice(specs);
        for MoveSpec { from, to } in specs {
            let problem = if from.value.kind != to.value.kind {
                let (before, after) = (from.value.kind, to.value.kind);
                Some(
                    Diagnostic::error(format!("what moves stays a {before}"))
                        .at(to.span)
                        .related(Some(from.span), "from here")
                        .hint(format!(
                            "`{after}` is another kind: both begin with the same word"
                        )),
                )
            } else if from.value == to.value {
                Some(
                    Diagnostic::error(format!("{} moves to itself", from.value))
                        .at(to.span)
                        .hint("remove this entry"),
                )
            } else if moves.is_circular(&from.value) {
                Some(
                    Diagnostic::error(format!("the moves of {} go round in a circle", from.value))
                        .at(from.span)
                        .hint("where two change their names with each other, apply in two runs, by way of a third name"),
                )
            } else if defined.contains(&from.value) {
                let place = self.lab.places.get(&from.value).copied();
                Some(
                    Diagnostic::error(format!("{} has moved, and is still defined", from.value))
                        .at(from.span)
                        .related(place, "defined here")
                        .hint("remove the definition if it has another name now; else remove this entry"),
                )
            } else {
                // Of a chain only the end has to be there, and it is told once.
                let ends = moves.target(&to.value).is_none();
                let unknown = ends && !defined.contains(&to.value);
                let is_external = external.contains(&to.value);
                unknown.then(|| match is_external {
                    true => Diagnostic::error(format!("{} is external", to.value))
                        .at(to.span)
                        .hint("what is external is not the lab's: remove this entry"),
                    false => unknown_target(&to.value, to.span, &defined),
                })
            };
            if let Some(problem) = problem {
                self.report(problem);
            }
        }
        self.lab.moves = moves;
    }

    /// Each address moves once, and takes in one.
    fn moved_twice(&mut self, specs: &[MoveSpec]) {
        let mut from: BTreeMap<&Address, Span> = BTreeMap::new();
        let mut to: BTreeMap<&Address, Span> = BTreeMap::new();
        let mut problems = Vec::new();
        for spec in specs {
            for (seen, at, what) in [
                (&mut from, &spec.from, "moves twice"),
                (&mut to, &spec.to, "takes in two"),
            ] {
                match seen.get(&at.value) {
                    Some(first) => problems.push(
                        Diagnostic::error(format!("{} {what}", at.value))
                            .at(at.span)
                            .related(Some(*first), "the other one")
                            .hint("remove one of the two entries"),
                    ),
                    None => {
                        seen.insert(&at.value, at.span);
                    }
                }
            }
        }
        for problem in problems {
            self.report(problem);
        }
    }

    /// What the lab makes.
    fn addresses_defined(&self) -> BTreeSet<Address> {
        let lab = &self.lab;
        let networks = lab.networks.values().filter(|network| !network.external);
        let pools = lab.pools.values().filter(|pool| !pool.external);
        // Where something is wrong with an image or a disk, its key counts all the same.
        let images = self.image_keys.iter().map(Address::image);
        let disks = lab.places.keys().filter(|at| at.kind == Kind::Volume);
        networks
            .map(|network| Address::network(&network.key))
            .chain(pools.map(|pool| Address::pool(&pool.key)))
            .chain(images)
            .chain(disks.cloned())
            .chain(lab.guests.keys().map(Address::guest))
            .collect()
    }

    fn addresses_external(&self) -> BTreeSet<Address> {
        let networks = self.lab.networks.values().filter(|n| n.external);
        let pools = self.lab.pools.values().filter(|pool| pool.external);
        networks
            .map(|network| Address::network(&network.key))
            .chain(pools.map(|pool| Address::pool(&pool.key)))
            .collect()
    }
}

fn unknown_target(to: &Address, span: Span, defined: &BTreeSet<Address>) -> Diagnostic {
    let mut problem = Diagnostic::error(format!("there is no {to}")).at(span);
    problem.hint = to
        .meant(defined)
        .or_else(|| Some("`to` is what it is called now".to_owned()));
    problem
}
