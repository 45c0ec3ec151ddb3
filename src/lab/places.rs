//! Where the definition's keys are in libvirt's XML, and what a change of each costs: by the rows of the keys ([`written`](super::written)),
//! and for what only `xml` can say by [`OTHERS`].

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::LazyLock;

use super::attributes::{Attribute, Disruption, Keys as _, Object, Place, Way, at};
use super::explain;
use super::written::guest::{DiskSpec, GuestSpec};
use super::written::network::NetworkSpec;
use super::written::storage::{ImageSpec, PoolSpec};
use crate::xml::schema;

/// What only `xml` can say, as far as there is more to know of it than libvirt's schema ([`crate::xml::schema`]) tells.
const OTHERS: &[Place] = &[
    at("domain").by(Way::RestartGuest),
    at("domain/metadata")
        .named("metadata")
        .by(Way::SetMetadata),
    at("domain/metadata/miniascape:resource")
        .named("mark")
        .says("{@address} of lab {@lab}"),
    at("domain/devices/console").says("{@type} {target@type}"),
    at("domain/devices/controller").says("{@type} {@model}"),
    at("domain/devices/memballoon").says("{@model}"),
    at("network").by(Way::RestartNetwork),
    at("network/metadata")
        .named("metadata")
        .by(Way::DefineNetwork),
    at("network/metadata/miniascape:resource")
        .named("mark")
        .says("{@address} of lab {@lab}"),
    at("network/title").by(Way::DefineNetwork),
    at("network/description").by(Way::DefineNetwork),
    at("pool").by(Way::RestartPool).more(
        "one whose stop would take it from running guests, as it is no plain directory, is only defined",
    ),
    at("pool/target/permissions").by(Way::AtFirst),
    at("volume").by(Way::AtFirst).more(
        "libvirt cannot change it, and does not show all of it. What is wanted later is told as pending, until \
         `--replace volume.GUEST.DISK` makes it anew",
    ),
];

/// A place, and what it is in the definition.
#[derive(Debug)]
pub struct Known {
    /// The place.
    pub place: Place,
    /// The key's own path, with `*` for whatever the user calls it; `None` for what only `xml` can say.
    key: Option<String>,
}

impl Known {
    /// What it is called in plans; `None` where it has no name of its own.
    pub fn name(&self) -> Option<&str> {
        self.place.name.or(self.key.as_deref())
    }

    /// Whether it is a key's.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }
}

/// The keys of each kind, and the element that its XML begins with.
const KINDS: [(&str, &Object); 4] = [
    ("network", &NetworkSpec::OBJECT),
    ("domain", &GuestSpec::OBJECT),
    ("pool", &PoolSpec::OBJECT),
    ("volume", &DiskSpec::OBJECT),
];

/// All places: those of each kind's keys, and then what has none.
static ALL: LazyLock<Vec<Known>> = LazyLock::new(|| places().collect());

fn places() -> impl Iterator<Item = Known> {
    let keys = KINDS.iter().flat_map(|(root, object)| {
        let places = places_of(object).into_iter();
        places.filter(move |it| root_of(it.place.path) == *root)
    });
    let others = OTHERS.iter().map(|place| Known {
        place: *place,
        key: None,
    });
    keys.chain(others)
}

fn root_of(path: &str) -> &str {
    path.split(['/', '@']).next().unwrap_or(path)
}

/// An object's keys, and all below, each with its path.
fn attributes_of(object: &'static Object) -> Vec<(String, &'static Attribute)> {
    fn collect(
        object: &'static Object,
        prefix: &str,
        into: &mut Vec<(String, &'static Attribute)>,
    ) {
        for attribute in object.keys {
            let mut key = format!("{prefix}{}", attribute.key);
            let value = explain::values(&attribute.takes);
            if value.is_some() {
                key.push_str(".*");
            }
            into.push((key.clone(), attribute));
            for object in explain::objects(value.unwrap_or(&attribute.takes)) {
                collect(object, &format!("{key}."), into);
            }
        }
    }
    let mut all = Vec::new();
    collect(object, "", &mut all);
    all
}

/// The places of an object's keys, and of all below.
fn places_of(object: &'static Object) -> Vec<Known> {
    let all = attributes_of(object).into_iter();
    let places = all.flat_map(|(key, attribute)| {
        attribute.xml.iter().map(move |place| Known {
            place: *place,
            key: Some(key.clone()),
        })
    });
    places.collect()
}

/// What is known of exactly this path.
pub fn known(path: &str) -> Option<&'static Known> {
    ALL.iter().find(|it| it.place.path == path)
}

/// How a change at a path is made while the object is in use: as the nearest place at or above it says. A way of a whole
/// element says nothing of what is in it.
pub fn way(path: &str) -> Way {
    let holds = |it: &&Known| {
        let rest = path.strip_prefix(it.place.path);
        rest.is_some_and(|rest| match it.place.way {
            None => false,
            Some(_) if it.place.is_whole => rest.is_empty(),
            Some(_) => rest.is_empty() || rest.starts_with(['/', '@']),
        })
    };
    let nearest = ALL
        .iter()
        .filter(holds)
        .rev()
        .max_by_key(|it| it.place.path.len());
    nearest
        .and_then(|it| it.place.way)
        .unwrap_or(Way::RestartGuest)
}

/// Whether what is below a path is changed in ways of its own.
pub fn differs_below(path: &str) -> bool {
    ALL.iter().any(|it| {
        let rest = it.place.path.strip_prefix(path);
        it.place.way.is_some() && rest.is_some_and(|rest| rest.starts_with('/'))
    })
}

/// Keys of which nothing said means the default, each with the paths at which others' changes are put back.
pub fn put_back() -> &'static [(String, Vec<&'static str>)] {
    static KEYS: LazyLock<Vec<(String, Vec<&'static str>)>> = LazyLock::new(|| {
        let mut keys = Vec::new();
        for (root, object) in KINDS {
            for (key, attribute) in attributes_of(object) {
                let places = attribute.xml.iter().filter(|place| place.is_put_back);
                let paths = places.map(|place| place.path);
                let paths = paths.chain(attribute.follows.iter().copied());
                let paths: Vec<_> = paths.filter(|path| root_of(path) == root).collect();
                if !paths.is_empty() {
                    keys.push((key, paths));
                }
            }
        }
        keys
    });
    &KEYS
}

/// The names of the children of a device that are changed in a way, in whole or in part.
pub fn elements(device: &str, by: Way) -> Vec<&'static str> {
    let below = ALL.iter().filter(|it| it.place.way == Some(by));
    let below = below.filter_map(|it| it.place.path.strip_prefix(device)?.strip_prefix('/'));
    below
        .filter_map(|path| path.split(['/', '@']).next())
        .collect()
}

/// Places that change alike, and what that costs.
struct Row {
    name: Option<String>,
    paths: Vec<&'static str>,
    when: &'static str,
    class: Disruption,
    how: String,
}

/// Whether a place is to be told by itself: what is above it has no way of its own, and is no place of the same key.
fn is_told(known: &Known) -> bool {
    !ALL.iter().any(|above| {
        let rest = known.place.path.strip_prefix(above.place.path);
        let is_below = rest.is_some_and(|rest| rest.starts_with(['/', '@']));
        let is_root = !above.place.path.contains('/');
        let decides = !is_root && above.place.way.is_some() && !above.place.is_whole;
        is_below && (decides || above.key == known.key)
    })
}

/// Rows of places, the cheapest first; those of one name that change alike are one, and of a key that is changed in several ways
/// without a word of when, the cheapest counts.
fn rows(all: Vec<Known>) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let is_told = |it: &Known| it.place.way.is_some() || it.key.is_some() && is_told(it);
    for known in all.into_iter().filter(is_told) {
        let place = &known.place;
        let way = place.way.unwrap_or_else(|| way(place.path));
        let new = Row {
            name: known
                .key
                .clone()
                .map(|key| known.place.name.map_or(key, str::to_owned)),
            paths: vec![place.path],
            when: place.when,
            class: way.class(),
            how: place.how(way),
        };
        let of = |row: &Row| (row.name.clone(), row.when, row.class, row.how.clone());
        match rows.last_mut() {
            Some(row) if of(row) == of(&new) => row.paths.extend(new.paths),
            _ => rows.push(new),
        }
    }
    rows.sort_by_key(|row| row.class);
    let mut told = BTreeSet::new();
    rows.retain(|row| row.name.is_none() || !row.when.is_empty() || told.insert(row.name.clone()));
    rows
}

impl Row {
    fn paths(&self) -> String {
        let paths = self.paths.iter().map(|path| format!("`{path}`"));
        paths.collect::<Vec<_>>().join(", ")
    }
}

/// Where a key is in libvirt's XML, and what a change of it costs there: `live: …`.
pub fn costs(attribute: &Attribute) -> Vec<(String, String)> {
    let objects = KINDS.iter().map(|(_, object)| *object);
    let mut keys = objects.chain([&ImageSpec::OBJECT]).flat_map(attributes_of);
    let key = keys.find(|(_, it)| (it.key, it.doc) == (attribute.key, attribute.doc));
    let known = |place: &Place| Known {
        place: *place,
        key: key.as_ref().map(|(key, _)| key.clone()),
    };
    let rows = rows(attribute.xml.iter().map(known).collect()).into_iter();
    let told = rows.map(|row| {
        let when = match row.when {
            "" => String::new(),
            when => format!(" ({when})"),
        };
        (row.paths(), format!("{}{when}: {}", row.class, row.how))
    });
    told.collect()
}

/// What changes of a kind's keys cost, as Markdown: of a `network`, `domain`, `pool` or `volume`, or of an `image` and what else is a
/// volume, and no disk.
pub fn markdown(kind: &str) -> String {
    let all: Vec<Known> = match kind {
        "image" => {
            let all = [&ImageSpec::OBJECT, &GuestSpec::OBJECT];
            let all = all.into_iter().flat_map(places_of);
            let is_meant = |it: &Known| matches!(it.place.way, Some(Way::Upload | Way::WriteSeed));
            all.filter(is_meant).collect()
        }
        _ => places()
            .filter(|it| root_of(it.place.path) == kind)
            .filter(|it| !schema::is_mark(it.place.path))
            .collect(),
    };
    let mut rows = rows(all);
    rows.sort_by_key(|row| row.paths.contains(&kind));
    let mut text = String::from("| what | in libvirt's XML | class | how |\n|---|---|---|---|\n");
    for row in rows {
        let what = match &row.name {
            Some(name) => format!("`{name}`"),
            None if row.paths == [kind] => "all else".to_owned(),
            None => "`xml`".to_owned(),
        };
        let what = match row.when {
            "" => what,
            when => format!("{what}, {when}"),
        };
        let (paths, class, how) = (row.paths(), row.class, &row.how);
        let _ = writeln!(text, "| {what} | {paths} | {class} | {how} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_stands_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for known in ALL.iter() {
            let place = &known.place;
            assert!(seen.insert((place.path, place.when)), "{}", place.path);
        }
    }

    #[test]
    fn the_nearest_place_says_how() {
        assert_eq!(way("domain/currentMemory"), Way::SetMemory);
        assert_eq!(way("domain/devices/interface"), Way::Plug);
        assert_eq!(
            way("domain/devices/interface/link@state"),
            Way::UpdateDevice
        );
        assert_eq!(
            way("domain/devices/interface/model@type"),
            Way::RestartGuest
        );
        assert_eq!(way("network/ip/dhcp/host@name"), Way::UpdateNetwork);
        assert_eq!(way("network/ip@address"), Way::RestartNetwork);
        assert_eq!(way("pool/target/path"), Way::RestartPool);
        assert_eq!(way("volume/target/compat"), Way::AtFirst);
        assert_eq!(way("volume/capacity"), Way::Grow);
    }

    #[test]
    fn a_key_is_named_by_its_place_in_the_definition() {
        let name = |path: &str| known(path).and_then(Known::name);
        assert_eq!(
            name("domain/devices/disk/driver@cache"),
            Some("disks.*.cache")
        );
        assert_eq!(name("domain/devices/disk"), Some("disks.*"));
        assert_eq!(name("domain/cpu@mode"), Some("cpu.mode"));
        assert_eq!(name("network/dns/txt"), Some("dns.txt.*"));
        assert_eq!(name("volume/capacity"), Some("size"));
        assert_eq!(name("domain/devices/controller"), None);
    }
}
