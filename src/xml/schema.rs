//! All that is known of libvirt's schema: what tells the elements of a list apart, which lists are the user's alone, and which
//! marks are miniascape's own. Everything that is not in these tables is handled by the general rules of [`super::merge`]; which
//! spellings mean the same is told by [`super::spelling`].
//!
//! Paths are element names from the root on, `domain/devices/disk`.
//! Sources: <https://libvirt.org/formatdomain.html>, <https://libvirt.org/formatnetwork.html>,
//! <https://libvirt.org/formatstorage.html>.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::LazyLock;

use uuid::Uuid;

use super::spelling::hex;
use super::tree::Element;

/// Namespace and element of the mark that guests and networks carry.
pub const MARK: &str = "miniascape:resource";
/// Its namespace.
pub const MARK_NAMESPACE: &str = "urn:miniascape:1";
/// Path of the mark below the root.
const MARK_PATHS: [&str; 2] = [
    "domain/metadata/miniascape:resource",
    "network/metadata/miniascape:resource",
];

/// A way to tell the elements of a list apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Parts joined by `+`: `@attribute`, `child@attribute`, `text`, or `child/child` for that text.
    /// A part `@attribute=value` has `value` where the attribute is not there.
    parts: &'static str,
    /// How it relates to the keys before it.
    pub strength: Strength,
}

/// How a key relates to the keys before it in its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strength {
    /// Elements that differ in an earlier strong key, which both have, are not the same.
    Strong,
    /// Elements are the same by this key even if they differ in an earlier one.
    Weak,
}

const fn strong(parts: &'static str) -> Key {
    Key {
        parts,
        strength: Strength::Strong,
    }
}

const fn weak(parts: &'static str) -> Key {
    Key {
        parts,
        strength: Strength::Weak,
    }
}

/// The key of elements that no better one tells apart: by their order.
const ANY: &str = "@=";

/// What tells the elements of a list apart, the best key first. Elements of paths that are not here are told apart by
/// their name, and several of one name by their order.
const KEYS: &[(&str, &[Key])] = &[
    (
        "domain/devices/disk",
        &[
            strong("alias@name"),
            weak("source@file"),
            weak("source@dev"),
            weak("source@pool+source@volume"),
            strong("target@dev"),
        ],
    ),
    (
        "domain/devices/interface",
        &[
            strong("alias@name"),
            strong("mac@address"),
            strong("source@network"),
            strong("source@bridge"),
            strong("@type"),
            weak("mac@address"),
        ],
    ),
    (
        "domain/devices/filesystem",
        &[strong("alias@name"), strong("target@dir")],
    ),
    (
        "domain/devices/hostdev",
        &[
            strong("alias@name"),
            strong(
                "source/address@domain=0+source/address@bus+source/address@slot+source/address@function",
            ),
            strong("source/address@bus+source/address@device"),
            strong("source/vendor@id+source/product@id"),
            strong("source/address@uuid"),
            strong(
                "source/adapter@name+source/address@bus+source/address@target+source/address@unit",
            ),
            strong("source@protocol+source@name"),
            strong("source@wwpn"),
        ],
    ),
    (
        "domain/devices/controller",
        &[
            strong("alias@name"),
            strong("@type+@index"),
            strong("@type+@model"),
            strong("@type"),
        ],
    ),
    (
        "domain/devices/channel",
        &[
            strong("alias@name"),
            strong("target@name"),
            strong("@type+target@type"),
        ],
    ),
    // libvirt adds a console of its own for the first serial port, before all others.
    (
        "domain/devices/console",
        &[
            strong("alias@name"),
            strong("target@type=serial+target@port"),
            weak("target@type=serial"),
        ],
    ),
    ("domain/devices/graphics", &[strong("@type")]),
    (
        "domain/devices/input",
        &[strong("alias@name"), strong("@type+@bus"), strong("@type")],
    ),
    (
        "domain/devices/sound",
        &[strong("alias@name"), strong("@model")],
    ),
    ("domain/devices/audio", &[strong("@id"), strong("@type")]),
    (
        "domain/devices/panic",
        &[strong("alias@name"), strong("@model"), strong(ANY)],
    ),
    (
        "domain/devices/watchdog",
        &[strong("alias@name"), strong("@model"), strong(ANY)],
    ),
    (
        "domain/devices/serial",
        &[strong("alias@name"), strong("target@port"), strong(ANY)],
    ),
    ("domain/devices/shmem", &[strong("@name")]),
    (
        "domain/devices/memory",
        &[
            strong("alias@name"),
            strong("target/address@base"),
            strong("@model"),
        ],
    ),
    (
        "domain/devices/interface/filterref/parameter",
        &[strong("@name")],
    ),
    ("domain/devices/interface/vlan/tag", &[strong("@id")]),
    ("domain/devices/interface/ip", &[strong("@address")]),
    ("domain/devices/interface/route", &[strong("@address")]),
    ("domain/cpu/feature", &[strong("@name")]),
    ("domain/cpu/numa/cell", &[strong("@id"), strong(ANY)]),
    ("domain/clock/timer", &[strong("@name")]),
    ("domain/cputune/vcpupin", &[strong("@vcpu")]),
    ("domain/cputune/iothreadpin", &[strong("@iothread")]),
    ("domain/iothreadids/iothread", &[strong("@id")]),
    ("domain/vcpus/vcpu", &[strong("@id")]),
    ("domain/numatune/memnode", &[strong("@cellid")]),
    ("domain/blkiotune/device", &[strong("path")]),
    (
        "domain/memoryBacking/hugepages/page",
        &[strong("@size+@unit=KiB")],
    ),
    ("domain/sysinfo/system/entry", &[strong("@name")]),
    ("domain/sysinfo/bios/entry", &[strong("@name")]),
    ("domain/sysinfo/baseBoard/entry", &[strong("@name")]),
    ("domain/sysinfo/entry", &[strong("@name")]),
    ("domain/seclabel", &[strong("@model"), strong("@type")]),
    ("domain/os/firmware/feature", &[strong("@name")]),
    ("domain/qemu:commandline/qemu:env", &[strong("@name")]),
    ("network/ip", &[strong("@address"), weak("@family=ipv4")]),
    (
        "network/ip/dhcp/host",
        &[strong("@mac"), strong("@id"), weak("@ip"), weak("@name")],
    ),
    ("network/ip/dhcp/range", &[strong("@start+@end")]),
    ("network/dns/host", &[strong("@ip")]),
    ("network/dns/host/hostname", &[strong("text")]),
    (
        "network/dns/forwarder",
        &[strong("@addr+@domain="), strong("@domain"), strong("@addr")],
    ),
    ("network/dns/txt", &[strong("@name")]),
    (
        "network/dns/srv",
        &[
            strong("@service+@protocol+@domain=+@target="),
            strong("@service+@protocol"),
        ],
    ),
    ("network/portgroup", &[strong("@name")]),
    (
        "network/dnsmasq:options/dnsmasq:option",
        &[strong("@value")],
    ),
    ("network/portgroup/vlan/tag", &[strong("@id")]),
    ("network/vlan/tag", &[strong("@id")]),
    ("network/route", &[strong("@address+@prefix=")]),
    ("network/forward/interface", &[strong("@dev")]),
    ("network/forward/nat/address", &[strong("@start")]),
    ("volume/target/features/entry", &[strong("@name")]),
    ("pool/source/host", &[strong("@name")]),
    ("pool/source/device", &[strong("@path")]),
];

/// The order in which libvirt writes what is in a domain. Its schema allows any, but libxml2 refuses documents where two of the
/// schema's groups lie apart and interleave: `name` and `uuid` around `memory` and `memoryBacking`.
const DOMAIN_ORDER: &[&str] = &[
    "name",
    "uuid",
    "genid",
    "title",
    "description",
    "metadata",
    "maxMemory",
    "memory",
    "currentMemory",
    "blkiotune",
    "memtune",
    "memoryBacking",
    "vcpu",
    "vcpus",
    "iothreads",
    "iothreadids",
    "defaultiothread",
    "cputune",
    "numatune",
    "resource",
    "sysinfo",
    "bootloader",
    "bootloader_args",
    "os",
    "idmap",
    "features",
    "cpu",
    "clock",
    "on_poweroff",
    "on_reboot",
    "on_crash",
    "on_lockfailure",
    "pm",
    "perf",
    "devices",
    "seclabel",
    "keywrap",
    "launchSecurity",
];

/// Where an element belongs among its siblings, if that matters: behind those of a lower rank.
pub fn rank(path: &str) -> Option<usize> {
    let name = path.strip_prefix("domain/")?;
    DOMAIN_ORDER.iter().position(|known| *known == name)
}

/// Lists that are the user's: an element that neither the definition nor the last apply has was put there by someone
/// else and is taken out again. libvirt itself adds nothing to them.
pub const OWNED: &[&str] = &[
    "domain/devices/disk",
    "domain/devices/interface",
    "domain/devices/filesystem",
    "domain/devices/hostdev",
    "network/ip",
    "network/ip/dhcp/host",
    "network/ip/dhcp/range",
    "network/dns/host",
    "network/dns/host/hostname",
    "network/dns/txt",
    "network/dns/srv",
    "network/dns/forwarder",
    "network/route",
    "network/portgroup",
    "network/dnsmasq:options",
];

/// What tells the elements at a path apart.
pub fn keys(path: &str) -> &'static [Key] {
    static BY_PATH: LazyLock<HashMap<&str, &[Key]>> =
        LazyLock::new(|| KEYS.iter().copied().collect());
    BY_PATH.get(path).copied().unwrap_or_default()
}

/// Whether the elements at a path are the user's alone.
pub fn is_owned(path: &str) -> bool {
    OWNED.contains(&path)
}

/// Whether what is in an element stands in an order that means something: the first name of an address is what it is called.
pub fn is_ordered(path: &str) -> bool {
    path == "network/dns/host"
}

/// Whether there is a list that is the user's alone somewhere below a path.
pub fn holds_owned(path: &str) -> bool {
    OWNED.iter().any(|owned| {
        owned
            .strip_prefix(path)
            .is_some_and(|rest| rest.starts_with('/'))
    })
}

/// Whether an element is there for what it holds alone.
pub fn is_container(path: &str) -> bool {
    matches!(
        path,
        "domain/metadata"
            | "domain/memoryBacking"
            | "domain/blkiotune"
            | "domain/memtune"
            | "domain/cputune"
            | "domain/numatune"
            | "network/metadata"
    )
}

/// Whether an element or attribute only serves miniascape to find things again: it is put in along with other changes,
/// and is no reason for a change by itself.
pub fn is_mark(path: &str) -> bool {
    MARK_PATHS.iter().any(|mark| path.starts_with(mark))
        || path.ends_with("/alias")
        || path.ends_with("/alias@name")
}

impl Key {
    /// The value of the key for an element; `None` where a part is missing.
    pub fn of(&self, element: &Element) -> Option<String> {
        let parts: Option<Vec<String>> = self
            .parts
            .split('+')
            .map(|part| part_of(part, element))
            .collect();
        parts.map(|parts| parts.join(" "))
    }
}

fn part_of(part: &str, element: &Element) -> Option<String> {
    if part == "text" {
        return Some(element.text.clone());
    }
    let Some((path, attribute)) = part.split_once('@') else {
        return element.text_at(part).map(str::to_owned);
    };
    let (attribute, default) = match attribute.split_once('=') {
        Some((attribute, default)) => (attribute, Some(default)),
        None => (attribute, None),
    };
    let holder = if path.is_empty() {
        Some(element)
    } else {
        element.find(path)
    };
    // Other names than these are libvirt's, which gives them anew with each start.
    let is_name = |value: &&str| path != "alias" || value.starts_with("ua-");
    holder
        .and_then(|holder| holder.attribute(attribute))
        .filter(is_name)
        .or(default)
        .map(folded)
}

/// A key's value, the same for all that libvirt takes for the same: numbers in hex, addresses, UUIDs and MACs. Names
/// that differ in case are two.
fn folded(value: &str) -> String {
    if let Some(number) = hex(value) {
        return number.to_string();
    }
    if let Ok(address) = value.parse::<IpAddr>() {
        return address.to_string();
    }
    let is_mac = || {
        let mut pairs = value.split(':');
        pairs.clone().count() > 2 && pairs.all(|pair| u8::from_str_radix(pair, 16).is_ok())
    };
    if is_mac() || Uuid::try_parse(value).is_ok() {
        return value.to_lowercase();
    }
    value.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_stands_twice() {
        let mut paths: Vec<&str> = KEYS.iter().map(|(path, _)| *path).collect();
        let count = paths.len();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), count);
    }

    #[test]
    fn a_console_without_a_target_is_the_serial_one() {
        let of = |text: &str| keys("domain/devices/console")[2].of(&Element::parse(text).unwrap());
        let serial = of("<console type='pty'><target type='serial' port='0'/></console>");
        assert_eq!(of("<console type='pty'/>"), serial);
        let virtio = of("<console type='pty'><target type='virtio' port='1'/></console>");
        assert_ne!(virtio, serial);
    }

    #[test]
    fn keys_compare_numbers_by_value() {
        let key = |text: &str| {
            let hostdev = Element::parse(text).unwrap();
            keys("domain/devices/hostdev")[1].of(&hostdev)
        };
        assert_eq!(
            key("<hostdev><source><address bus='6' slot='0x02' function='0'/></source></hostdev>"),
            key(
                "<hostdev><source><address domain='0x0000' bus='0x06' slot='2' function='0x0'/></source></hostdev>"
            ),
        );
    }

    #[test]
    fn keys_compare_addresses_by_value() {
        let key = |text: &str| keys("network/dns/host")[0].of(&Element::parse(text).unwrap());
        assert_eq!(key("<host ip='FD00:0::5'/>"), key("<host ip='fd00::5'/>"));
    }
}
