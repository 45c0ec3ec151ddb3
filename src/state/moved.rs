//! What a lab owns, under the addresses that it has now.

use std::collections::{BTreeMap, BTreeSet};

use super::{Entry, State};
use crate::address::{Address, Kind};
use crate::lab::moves::Moves;

/// What moves of a definition mean for a state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readdressing {
    /// The entries that get another address: before and after.
    pub moves: Vec<(Address, Address)>,
    /// Entries whose new address is taken: theirs, and it.
    pub clashes: Vec<(Address, Address)>,
}

impl State {
    /// What moves mean here. Applied once, they mean nothing any more.
    pub fn readdressing(&self, moves: &Moves) -> Readdressing {
        let mut found = Readdressing::default();
        if moves.is_empty() {
            return found;
        }
        let mut taken: BTreeSet<Address> = BTreeSet::new();
        let stays = |address: &Address| moves.target(address).is_none();
        for from in self.resources.keys() {
            let Some(to) = moves.target(from) else {
                continue;
            };
            let there = self.resources.contains_key(&to) && stays(&to);
            if there || !taken.insert(to.clone()) {
                found.clashes.push((from.clone(), to));
            } else {
                found.moves.push((from.clone(), to));
            }
        }
        found
    }

    /// Gives entries other addresses, wherever these are spoken of.
    pub(crate) fn readdress(&mut self, moves: &[(Address, Address)]) {
        let mut moved: Vec<(Address, Entry)> = Vec::new();
        for (from, to) in moves {
            if let Some(mut entry) = self.resources.remove(from) {
                // libvirt renames guests only. What another definition of the name would make anew is kept by this.
                entry.kept_name |= match to.kind {
                    Kind::Network | Kind::Pool => true,
                    Kind::Reservations | Kind::Image | Kind::Volume | Kind::Guest => false,
                };
                moved.push((to.clone(), entry));
            }
        }
        self.resources.extend(moved);
        let moves: BTreeMap<&Address, &Address> =
            moves.iter().map(|(from, to)| (from, to)).collect();
        for entry in self.resources.values_mut() {
            let now = |address: &Address| moves.get(address).map_or(address, |to| *to).clone();
            entry.depends_on = entry.depends_on.iter().map(now).collect();
        }
    }
}
