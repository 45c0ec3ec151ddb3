//! By what the elements of libvirt's lists are told apart, and which values mean the same: said here by hand for all that
//! [`crate::trees`] makes, without the tables that the merge goes by.

use miniascape::libvirt::fake::spelling;
use miniascape::xml::tree::Element;

/// The names that an element of a list can be known by, the best one first. A name is of parts, `CHILD@ATTRIBUTE` or a text; behind
/// `=` is what counts where a part is not there. `-` is a name that all have: they are told apart by their order.
const NAMES: &[(&str, &[&str])] = &[
    (
        "domain/devices/disk",
        &["alias@name", "source@file", "target@dev"],
    ),
    (
        "domain/devices/interface",
        &[
            "alias@name",
            "mac@address",
            "source@network",
            "source@bridge",
            "@type",
        ],
    ),
    (
        "domain/devices/hostdev",
        &[
            "alias@name",
            "source/address@domain=0 source/address@bus source/address@slot source/address@function",
            "source/address@bus source/address@device",
            "source/vendor@id source/product@id",
        ],
    ),
    ("domain/devices/filesystem", &["alias@name", "target@dir"]),
    (
        "domain/devices/controller",
        &["alias@name", "@type @index", "@type @model", "@type"],
    ),
    ("domain/devices/serial", &["alias@name", "target@port", "-"]),
    (
        "domain/devices/console",
        &[
            "alias@name",
            "target@type=serial target@port",
            "target@type=serial",
        ],
    ),
    (
        "domain/devices/channel",
        &["alias@name", "target@name", "@type target@type"],
    ),
    ("domain/devices/graphics", &["@type"]),
    ("domain/devices/sound", &["alias@name", "@model"]),
    ("domain/devices/panic", &["alias@name", "@model", "-"]),
    (
        "domain/devices/memory",
        &["alias@name", "target/address@base", "@model"],
    ),
    ("domain/cpu/feature", &["@name"]),
    ("domain/cpu/numa/cell", &["@id", "-"]),
    ("domain/clock/timer", &["@name"]),
    ("domain/cputune/vcpupin", &["@vcpu"]),
    ("domain/qemu:commandline/qemu:env", &["@name"]),
    ("network/ip", &["@address", "@family=ipv4"]),
    ("network/ip/dhcp/host", &["@mac", "@id", "@ip", "@name"]),
    ("network/ip/dhcp/range", &["@start @end"]),
    ("network/dns/host", &["@ip"]),
    ("network/dns/host/hostname", &["text"]),
    (
        "network/dns/forwarder",
        &["@addr @domain=", "@domain", "@addr"],
    ),
    ("network/dns/txt", &["@name"]),
    (
        "network/dns/srv",
        &["@service @protocol @domain= @target=", "@service @protocol"],
    ),
    ("network/portgroup", &["@name"]),
    ("network/route", &["@address @prefix="]),
    ("network/forward/interface", &["@dev"]),
    ("network/forward/nat/address", &["@start"]),
];

/// Lists in which an element that changed its best name is known by another.
const KNOWN_BY_MORE: [&str; 5] = [
    "domain/devices/disk",
    "domain/devices/interface",
    "domain/devices/console",
    "network/ip",
    "network/ip/dhcp/host",
];

/// Values that mean the same wherever they stand.
const SAME: &[&[&str]] = &[
    &["0", "0x0", "0x0000"],
    &["1", "0x1", "0x01"],
    &["2", "0x02"],
    &["3", "0x3"],
    &["16", "0x10"],
    &["256", "0x100"],
    &["fd00::1", "FD00:0::1", "fd00:0::1"],
    &["fd00::5", "FD00:0::5"],
    &["52:54:00:00:00:0a", "52:54:00:00:00:0A"],
];

/// What goes without saying in trees of libvirt's.
const UNSAID: &[(&str, &str)] = &[
    ("network/dns/srv@port", "0"),
    ("network/dns/srv@priority", "0"),
    ("domain/numatune/memory@placement", "static"),
];

/// The names that the elements at a path can be known by.
pub fn names(path: &str) -> &'static [&'static str] {
    let row = NAMES.iter().find(|(of, _)| *of == path);
    row.map_or(&[], |(_, names)| names)
}

/// Whether an element at a path that has another of its best name may still be the same.
pub fn is_known_by_more(path: &str) -> bool {
    KNOWN_BY_MORE.contains(&path)
}

/// What an element is called by one of its names; `None` where it has not all of its parts.
pub fn called(name: &str, element: &Element) -> Option<String> {
    let part = |part: &str| {
        let (part, unsaid) = match part.split_once('=') {
            Some((part, unsaid)) => (part, Some(unsaid)),
            None => (part, None),
        };
        let value = match part.split_once('@') {
            None if part == "text" => Some(element.text.as_str()),
            None => Some(""),
            Some(("", attribute)) => element.attribute(attribute),
            Some((child, attribute)) => element.attribute_at(child, attribute),
        };
        // A device's name is its user's, or libvirt's, which is another with each start.
        let value = value.filter(|it| part != "alias@name" || it.starts_with("ua-"));
        Some(meaning(value.or(unsaid)?).to_owned())
    };
    let parts: Option<Vec<String>> = name.split(' ').map(part).collect();
    Some(parts?.join(" "))
}

/// One value for all that mean the same.
fn meaning(value: &str) -> &str {
    let same = SAME.iter().find(|same| same.contains(&value));
    same.map_or(value, |same| same[0])
}

/// Whether what is there is what is wanted, at a path that ends in `@ATTRIBUTE` or at a text; both are of trees that are plain.
fn is_same(path: &str, wanted: &str, there: &str) -> bool {
    wanted == there
        || match path {
            "domain/os/type@machine" => (wanted, there) == ("q35", "pc-q35-7.2"),
            "domain/clock@adjustment" => (wanted, there) == ("+1", "1"),
            "domain/uuid" => wanted.eq_ignore_ascii_case(there),
            "domain/devices/console/target@port" => true,
            // `0x1` is the same as any of them, and they are two.
            _ if path.contains('@') && !path.ends_with("@value") => {
                matches!((wanted, there), ("01", "1") | ("1", "01"))
            }
            _ => false,
        }
}

/// A tree as it is compared: as libvirt writes it, with one value for all that mean the same, and the lengths of prefixes for masks.
pub fn plain(tree: &Element) -> Element {
    simple(spelling::spelled(tree))
}

fn simple(mut tree: Element) -> Element {
    simplify(&mut tree);
    tree
}

fn simplify(element: &mut Element) {
    let words = |name: &str| name == "value";
    for (_, value) in element
        .attributes
        .iter_mut()
        .filter(|(name, _)| !words(name))
    {
        *value = meaning(value).to_owned();
    }
    if element.name == "ip" && element.attribute("netmask") == Some("255.255.255.0") {
        element.remove_attribute("netmask");
        element.set_attribute("prefix", "24");
    }
    element.children.iter_mut().for_each(simplify);
}

/// Whether a tree, which is as libvirt writes it, has all that is wanted: each attribute and text, and for each element one that has
/// all of it.
pub fn has(tree: &Element, wanted: &Element) -> bool {
    has_at(&wanted.name, &simple(tree.clone()), &plain(wanted))
}

fn has_at(path: &str, tree: &Element, wanted: &Element) -> bool {
    let attribute = |(name, value): &(String, String)| {
        let at = format!("{path}@{name}");
        let unsaid = || match at.as_str() {
            "domain/vcpu@current" => Some(tree.text.as_str()),
            _ => UNSAID.iter().find(|(of, _)| *of == at).map(|(_, it)| *it),
        };
        let there = tree.attribute(name).or_else(unsaid);
        there.is_some_and(|there| is_same(&at, value, there))
    };
    let child = |child: &Element| {
        let at = format!("{path}/{}", child.name);
        tree.children_named(&child.name)
            .any(|there| has_at(&at, there, child))
    };
    wanted.attributes.iter().all(attribute)
        && (wanted.text.is_empty() || is_same(path, &wanted.text, &tree.text))
        && wanted.children.iter().all(child)
}
