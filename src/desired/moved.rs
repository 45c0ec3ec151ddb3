//! A state under the addresses that a definition has now. With the state lost, what moved is known by its mark.

use std::borrow::Cow;
use std::collections::BTreeSet;

use uuid::Uuid;

use crate::address::{Address, Kind, Name};
use crate::lab::moves::Moves;
use crate::libvirt::observed::{Observed, owner};
use crate::state::{Entry, State};
use crate::xml::tree::Element;

/// A state with all moves made.
#[derive(Debug)]
pub struct View<'a> {
    /// What the lab owns.
    pub state: Cow<'a, State>,
    /// The entries that have another address in it than they are recorded with: before and after.
    pub moves: Vec<(Address, Address)>,
    /// What no state knows any more, and carries the mark of its old address: before and after.
    pub found: Vec<(Address, Address)>,
    /// All that no state knows any more, by its new address.
    pub recognised: Vec<Address>,
    /// Moves that cannot be made, since the lab owns both.
    pub clashes: Vec<(Address, Address)>,
}

/// Makes the moves of a lab. `observed` is `None` before anything was looked at.
pub fn view<'a>(
    lab: &Name,
    moves: &Moves,
    observed: Option<&Observed>,
    state: &'a State,
) -> View<'a> {
    let readdressing = state.readdressing(moves);
    let mut view = View {
        state: Cow::Borrowed(state),
        moves: readdressing.moves,
        found: Vec::new(),
        recognised: Vec::new(),
        clashes: readdressing.clashes,
    };
    if moves.is_empty() {
        return view;
    }
    if !view.moves.is_empty() {
        view.state.to_mut().readdress(&view.moves);
    }
    let targets: BTreeSet<Address> = moves.ends().collect();
    for to in targets {
        if view.state.resources.contains_key(&to) {
            continue;
        }
        let Some(observed) = observed else { continue };
        for from in moves.sources(&to) {
            if let Some((entry, marked)) = lost(lab, &from, &to, observed) {
                if marked == Marked::Before {
                    view.found.push((from, to.clone()));
                }
                view.recognised.push(to.clone());
                view.state.to_mut().resources.insert(to, entry);
                break;
            }
        }
    }
    view
}

/// Which address an object's mark names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marked {
    /// The old one.
    Before,
    /// The new one, or there is no mark: nothing tells that the move was not made.
    After,
}

/// What was at an address, as far as UUID and mark tell: the UUID is derived from the address that it was made at, and a
/// copy has another one.
fn lost(lab: &Name, from: &Address, to: &Address, observed: &Observed) -> Option<(Entry, Marked)> {
    let uuid = from.uuid(lab);
    let marked = |xml: &Element| {
        let (its_lab, address) = owner(xml)?;
        match address {
            _ if its_lab != lab.as_str() => None,
            address if address == from.to_string() => Some(Marked::Before),
            address if address == to.to_string() => Some(Marked::After),
            _ => None,
        }
    };
    let entry = |name: &str, uuid: Uuid| Entry {
        kept_name: to.kind != Kind::Guest,
        ..Entry::found(name, uuid)
    };
    match from.kind {
        Kind::Network => {
            let mut networks = observed.networks.iter();
            let (name, network) = networks.find(|(_, network)| network.uuid == uuid)?;
            Some((entry(name, uuid), marked(&network.xml.tree())?))
        }
        Kind::Guest => {
            let mut guests = observed.guests.iter();
            let (name, guest) = guests.find(|(_, guest)| guest.uuid == uuid)?;
            Some((entry(name, uuid), marked(&guest.xml.tree())?))
        }
        // Pools carry no mark.
        Kind::Pool => observed
            .pools
            .iter()
            .find(|(_, pool)| pool.uuid == uuid)
            .map(|(name, _)| (entry(name, uuid), Marked::After)),
        Kind::Reservations | Kind::Image | Kind::Volume => None,
    }
}
