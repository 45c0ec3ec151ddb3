//! Addresses that arguments name, and what was meant by those that there are not.

use std::collections::{BTreeMap, BTreeSet};

use globset::Glob;

use super::output::Failure;
use crate::address::{Address, Kind};
use crate::diagnostic::{names, near, one_of};
use crate::lab::model::Lab;

/// How other tools call the kinds of resources.
const KINDS: [(Kind, &[&str]); 5] = [
    (
        Kind::Guest,
        &[
            "guests", "vm", "vms", "domain", "dom", "machine", "instance", "host", "node", "server",
        ],
    ),
    (Kind::Network, &["networks", "net", "nets", "subnet"]),
    (Kind::Volume, &["volumes", "vol", "disk", "disks", "drive"]),
    (Kind::Pool, &["pools", "storage", "datastore"]),
    (Kind::Image, &["images", "img", "box"]),
];

/// What arguments can name.
#[derive(Debug, Default)]
pub struct Known {
    /// Guests first, which are named most.
    addresses: Vec<Address>,
    /// The guests of each group.
    groups: BTreeMap<String, Vec<Address>>,
}

impl Known {
    /// Resources, such as those of a state.
    pub fn new<'a>(addresses: impl IntoIterator<Item = &'a Address>) -> Self {
        let all: BTreeSet<&Address> = addresses.into_iter().collect();
        let (guests, others): (Vec<&Address>, Vec<&Address>) =
            all.into_iter().partition(|it| it.kind == Kind::Guest);
        Self {
            addresses: guests.into_iter().chain(others).cloned().collect(),
            groups: BTreeMap::new(),
        }
    }

    /// The same, with the groups of a definition.
    pub fn with_groups(mut self, lab: &Lab) -> Self {
        for guest in lab.guests.values() {
            for group in &guest.groups {
                let guests = self.groups.entry(group.to_string()).or_default();
                guests.push(Address::guest(&guest.key));
            }
        }
        self
    }

    /// Reads addresses that an option names, which have to be there: a typo must not look like nothing to do.
    pub fn read(&self, words: &[String], purpose: &str) -> Result<Vec<Address>, Failure> {
        let read = words.iter().map(|word| match word.parse::<Address>() {
            Ok(address) => Ok(address),
            Err(_) => Err(Failure::Message(
                format!("`{word}` is not an address to {purpose}"),
                self.hint(word),
            )),
        });
        read.collect()
    }

    /// Checks that addresses are there.
    pub fn check<'a>(
        &self,
        named: impl IntoIterator<Item = &'a Address>,
        purpose: &str,
    ) -> Result<(), Failure> {
        let mut named = named.into_iter();
        match named.find(|address| !self.addresses.contains(address)) {
            None => Ok(()),
            Some(unknown) => Err(Failure::Message(
                format!("there is no {unknown} to {purpose}"),
                self.hint(&unknown.to_string()),
            )),
        }
    }

    /// What is meant by a word that is no address of these, or which there are.
    pub fn hint(&self, word: &str) -> Option<String> {
        let (kind, name) = match word.split_once('.') {
            Some((kind, name)) => (kind_of(kind), name),
            None => (None, word),
        };
        self.hint_of_address(kind, name, word)
            .or_else(|| self.hint_of_group(kind, name, word))
            .or_else(|| self.hint_of_pattern(word))
            .or_else(|| self.hint_of_slip(kind, name, word))
    }

    /// An address with that name, under another word for its kind or none.
    fn hint_of_address(&self, kind: Option<Kind>, name: &str, word: &str) -> Option<String> {
        let meant = self.addresses.iter().filter(|address| match kind {
            Some(kind) => address.kind == kind && address.name == name,
            None => address.name == word,
        });
        let meant: Vec<String> = meant.map(Address::to_string).collect();
        let meant: Vec<&str> = meant.iter().map(String::as_str).collect();
        (!meant.is_empty()).then(|| format!("did you mean {}?", one_of(&meant)))
    }

    fn hint_of_group(&self, kind: Option<Kind>, name: &str, word: &str) -> Option<String> {
        let group = match (kind, word.split_once('.')) {
            (Some(Kind::Guest), _) | (None, None) => name,
            (None, Some(("group" | "groups", group))) => group,
            (_, _) => return None,
        };
        let guests: Vec<String> = self
            .groups
            .get(group)?
            .iter()
            .map(Address::to_string)
            .collect();
        let guests: Vec<&str> = guests.iter().map(String::as_str).collect();
        Some(its_guests(group, &guests))
    }

    fn hint_of_pattern(&self, word: &str) -> Option<String> {
        let is_pattern = word.contains(['*', '?', '[']);
        let matcher = Glob::new(word)
            .ok()
            .filter(|_| is_pattern)?
            .compile_matcher();
        let meant = self.addresses.iter().map(Address::to_string);
        let meant: Vec<String> = meant.filter(|address| matcher.is_match(address)).collect();
        let meant: Vec<&str> = meant.iter().map(String::as_str).collect();
        let hint = "only `--allow-data-loss` takes patterns: name each of";
        (!meant.is_empty()).then(|| format!("{hint} {}", names(&meant)))
    }

    /// An address that is spelled alike; where there is none, all of the kind.
    fn hint_of_slip(&self, kind: Option<Kind>, name: &str, word: &str) -> Option<String> {
        let of_kind = |it: &&Address| kind.is_none_or(|kind| it.kind == kind);
        let mut candidates: Vec<&Address> = self.addresses.iter().filter(of_kind).collect();
        let by_name = near(name, candidates.iter().map(|it| &*it.name));
        if let Some(meant) = by_name.and_then(|name| candidates.iter().find(|it| it.name == name)) {
            return Some(format!("did you mean `{meant}`?"));
        }
        let all: Vec<String> = self.addresses.iter().map(Address::to_string).collect();
        if let Some(meant) = near(word, all.iter().map(String::as_str)).filter(|_| kind.is_none()) {
            return Some(format!("did you mean `{meant}`?"));
        }
        if candidates.is_empty() {
            candidates.extend(&self.addresses);
        }
        let there: Vec<String> = candidates.iter().map(ToString::to_string).collect();
        let there: Vec<&str> = there.iter().map(String::as_str).collect();
        (!there.is_empty()).then(|| {
            let there = names(&there);
            format!("there is {there}; `miniascape status` shows all")
        })
    }
}

/// The kind that a word means.
fn kind_of(word: &str) -> Option<Kind> {
    let word = word.to_lowercase();
    let own = Kind::ALL.into_iter().find(|kind| kind.as_str() == word);
    own.or_else(|| {
        let mut kinds = KINDS.iter();
        let found = kinds.find(|(_, words)| words.contains(&&*word));
        found.map(|(kind, _)| *kind)
    })
}

/// What to write for a group where a guest is wanted.
pub fn its_guests(group: &str, guests: &[&str]) -> String {
    format!("`{group}` is a group: name its guests, {}", names(guests))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        let addresses = [
            "network.front",
            "pool.web",
            "volume.web.root",
            "guest.web",
            "guest.db1",
            "guest.db2",
        ];
        let addresses: Vec<Address> = addresses.iter().map(|it| it.parse().unwrap()).collect();
        let mut known = Known::new(&addresses);
        let guests = known.addresses[..2].to_vec();
        known.groups.insert("data".to_owned(), guests);
        known
    }

    #[test]
    fn words_are_told_which_address_they_mean() {
        for (word, told) in [
            ("front", "did you mean `network.front`?"),
            ("web", "did you mean `guest.web` or `pool.web`?"),
            ("web.root", "did you mean `volume.web.root`?"),
            ("disk.web.root", "did you mean `volume.web.root`?"),
            ("vm.web", "did you mean `guest.web`?"),
            ("net.front", "did you mean `network.front`?"),
            ("guest.wbe", "did you mean `guest.web`?"),
            ("frnot", "did you mean `network.front`?"),
            (
                "data",
                "`data` is a group: name its guests, `guest.db1` and `guest.db2`",
            ),
            (
                "guest.data",
                "`data` is a group: name its guests, `guest.db1` and `guest.db2`",
            ),
            (
                "guest.db*",
                "only `--allow-data-loss` takes patterns: name each of `guest.db1` and `guest.db2`",
            ),
        ] {
            assert_eq!(known().hint(word).as_deref(), Some(told), "{word}");
        }
        let all = known().hint("xyzzy").unwrap();
        assert!(all.starts_with("there is `guest.db1`, `guest.db2`, `guest.web`, `network.front`"));
        assert!(all.ends_with("`miniascape status` shows all"), "{all}");
        // A name of another guest is no slip of this one's.
        assert_eq!(
            known().hint("guest.mail").as_deref(),
            Some(
                "there is `guest.db1`, `guest.db2` and `guest.web`; `miniascape status` shows all"
            )
        );
        assert_eq!(Known::default().hint("web"), None);
    }
}
