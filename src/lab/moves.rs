//! Moves: which resources stand at another address in the definition than they did before.

use std::collections::{BTreeMap, BTreeSet};

use crate::address::{Address, Kind, Name};

/// The moves of a definition. A guest takes its volumes along, but for those that have a move of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moves {
    steps: BTreeMap<Address, Address>,
    /// The other way round.
    origins: BTreeMap<Address, Vec<Address>>,
    /// Where each step ends; `None` where it goes round in a circle.
    ends: BTreeMap<Address, Option<Address>>,
}

impl FromIterator<(Address, Address)> for Moves {
    /// From pairs of the address before and after; of several with one before, the last counts.
    fn from_iter<T: IntoIterator<Item = (Address, Address)>>(pairs: T) -> Self {
        let steps: BTreeMap<Address, Address> = pairs.into_iter().collect();
        let mut origins: BTreeMap<Address, Vec<Address>> = BTreeMap::new();
        for (from, to) in &steps {
            origins.entry(to.clone()).or_default().push(from.clone());
        }
        let mut moves = Self {
            steps,
            origins,
            ends: BTreeMap::new(),
        };
        let all: Vec<Address> = moves.steps.keys().cloned().collect();
        for from in all {
            let (path, end) = moves.follow(&from);
            let steps = path.into_iter().filter(|at| moves.steps.contains_key(at));
            let ends: Vec<_> = steps.map(|at| (at, end.clone())).collect();
            moves.ends.extend(ends);
        }
        moves
    }
}

impl Moves {
    /// Whether nothing moves.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The addresses at which moves that are written end; those that a guest takes along are not among them.
    pub fn ends(&self) -> impl Iterator<Item = Address> {
        self.ends.values().flatten().cloned()
    }

    /// The address that what was at this one has in the end; `None` where it stays, or goes round in a circle.
    pub fn target(&self, from: &Address) -> Option<Address> {
        self.next(from)?;
        self.follow(from).1
    }

    /// The way from an address to where it ends, as far as no end is known, and that end; none where it is a circle.
    fn follow(&self, from: &Address) -> (BTreeSet<Address>, Option<Address>) {
        let mut path = BTreeSet::new();
        let mut now = from.clone();
        loop {
            if let Some(end) = self.ends.get(&now) {
                return (path, end.clone());
            }
            let Some(next) = self.next(&now) else {
                return (path, Some(now));
            };
            if !path.insert(now) {
                return (path, None);
            }
            now = next;
        }
    }

    /// Whether one that starts here never arrives.
    pub fn is_circular(&self, from: &Address) -> bool {
        self.next(from).is_some() && self.target(from).is_none()
    }

    /// All addresses that a resource may have had before it came to this one, the nearest first.
    pub fn sources(&self, to: &Address) -> Vec<Address> {
        if self.next(to).is_some() {
            return Vec::new();
        }
        let mut found = self.before(to);
        let mut at = 0;
        while let Some(address) = found.get(at).cloned() {
            at += 1;
            found.extend(self.before(&address));
        }
        found
    }

    fn next(&self, address: &Address) -> Option<Address> {
        if let Some(to) = self.steps.get(address) {
            return Some(to.clone());
        }
        let (guest, disk) = address.disk()?;
        let guest = self.steps.get(&Address::guest(&guest))?;
        Some(Address::volume(&guest.own_name()?, &disk))
    }

    /// The addresses whose next one this is.
    fn before(&self, address: &Address) -> Vec<Address> {
        let origins = |of: &Address| self.origins.get(of).into_iter().flatten();
        let owner = address.disk();
        let of_guest = owner.iter().flat_map(|(guest, disk)| {
            let guests = origins(&Address::guest(guest));
            guests.filter_map(|from| Some(Address::volume(&from.own_name()?, disk)))
        });
        // A volume with a move of its own does not go with its guest.
        let of_guest = of_guest.filter(|from| !self.steps.contains_key(from));
        origins(address).cloned().chain(of_guest).collect()
    }
}

impl Address {
    /// The guest and the disk that a volume is for; `None` of what is no volume.
    pub fn disk(&self) -> Option<(Name, Name)> {
        // The names of guests may have dots, those of disks have none.
        let (guest, disk) = match self.kind {
            Kind::Volume => self.name.rsplit_once('.')?,
            Kind::Network | Kind::Reservations | Kind::Pool | Kind::Image | Kind::Guest => {
                return None;
            }
        };
        Some((Name::new(guest).ok()?, Name::new(disk).ok()?))
    }

    /// The name within its kind as a name of the definition; `None` of volumes, which have two.
    fn own_name(&self) -> Option<Name> {
        match self.kind {
            Kind::Volume => None,
            Kind::Network | Kind::Reservations | Kind::Pool | Kind::Image | Kind::Guest => {
                Name::new(&self.name).ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Address {
        text.parse().unwrap()
    }

    fn moves(pairs: &[(&str, &str)]) -> Moves {
        pairs.iter().map(|(from, to)| (at(from), at(to))).collect()
    }

    #[test]
    fn a_guest_takes_its_volumes_along() {
        let moves = moves(&[
            ("guest.web.1", "guest.app1"),
            ("guest.app1", "guest.app2"),
            ("volume.web.1.data", "volume.db1.data"),
        ]);
        let target = |from: &str| moves.target(&at(from)).map(|to| to.to_string());
        assert_eq!(target("guest.web.1").unwrap(), "guest.app2");
        assert_eq!(target("volume.web.1.root").unwrap(), "volume.app2.root");
        assert_eq!(target("volume.app1.root").unwrap(), "volume.app2.root");
        assert_eq!(target("volume.web.1.data").unwrap(), "volume.db1.data");
        assert_eq!(target("guest.app2"), None);
        assert_eq!(target("network.app1"), None);
        let sources = moves.sources(&at("volume.app2.root"));
        assert_eq!(sources, [at("volume.app1.root"), at("volume.web.1.root")]);
        assert_eq!(
            moves.sources(&at("volume.db1.data")),
            [at("volume.web.1.data")]
        );
    }

    #[test]
    fn circles_are_seen_through_guests_too() {
        let moves = moves(&[
            ("guest.a", "guest.b"),
            ("volume.b.root", "volume.a.root"),
            ("network.x", "network.y"),
            ("network.y", "network.x"),
        ]);
        assert!(moves.is_circular(&at("volume.b.root")));
        assert!(moves.is_circular(&at("network.x")));
        assert!(!moves.is_circular(&at("guest.a")));
        assert_eq!(moves.target(&at("network.y")), None);
    }
}
