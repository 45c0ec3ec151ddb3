//! Differences of XML in the user's words: the attribute's name in the definition, values in the definition's units.

use super::{AttributeChange, Disruption, Said};
use crate::units::kilobytes;
use crate::xml::merge::{Cause, Difference, Value};
use crate::xml::schema;
use crate::xml::tree::Element;

/// What a change of one attribute costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    /// Its class.
    pub class: Disruption,
    /// Why it is that class, or what else is to be said.
    pub note: Option<String>,
}

impl From<Disruption> for Cost {
    fn from(class: Disruption) -> Self {
        Self { class, note: None }
    }
}

/// Turns differences into attribute changes: marks are left out, memory is said once, and what leaves and comes under one
/// name is one change. `class` says what each costs.
pub fn attributes<C: Into<Cost>>(
    differences: &[Difference],
    class: impl Fn(&Difference) -> C,
) -> Vec<AttributeChange> {
    let mut changes: Vec<AttributeChange> = Vec::new();
    for difference in differences {
        if difference.is_new_mark() || is_repetition(difference, differences) {
            continue;
        }
        let Cost { class, note } = class(difference).into();
        let (before, after) = values(difference, differences);
        let change = AttributeChange {
            name: name(difference),
            before,
            after,
            disruption: class,
            note,
            cause: Some(difference.cause),
            last: (difference.cause == Cause::Both)
                .then(|| difference.last.as_ref().map(|v| value(difference, v)))
                .flatten(),
        };
        let counterpart = changes.iter_mut().find(|other| {
            other.name == change.name
                && ((other.before.is_none() && change.after.is_none())
                    || (other.after.is_none() && change.before.is_none()))
        });
        match counterpart {
            Some(other) => {
                other.before = other.before.take().or(change.before);
                other.after = other.after.take().or(change.after);
                other.disruption = other.disruption.max(change.disruption);
                other.note = other.note.take().or(change.note);
                other.cause = other
                    .cause
                    .zip(change.cause)
                    .map(|(one, another)| one.and(another));
            }
            None => changes.push(change),
        }
    }
    for change in changes.iter_mut().filter(|change| change.name == "mode") {
        // A network without a way out has no word for it in XML.
        change.before.get_or_insert_with(|| "isolated".into());
        change.after.get_or_insert_with(|| "isolated".into());
    }
    changes.retain(|change| change.before != change.after);
    changes
}

/// The maximum memory follows the memory: it is said only where it changes by itself. Units follow their number.
fn is_repetition(difference: &Difference, all: &[Difference]) -> bool {
    fn both(difference: &Difference) -> (&Option<Value>, &Option<Value>) {
        (&difference.before, &difference.after)
    }
    match difference.path.as_str() {
        "domain/memory" => all
            .iter()
            .any(|d| d.path == "domain/currentMemory" && both(d) == both(difference)),
        path => path.ends_with("@unit"),
    }
}

/// The values of a difference in the user's units.
fn values(difference: &Difference, all: &[Difference]) -> (Option<Said>, Option<Said>) {
    let told = |v: &Option<Value>| v.as_ref().map(|v| value(difference, v));
    let (before, after) = (told(&difference.before), told(&difference.after));
    if difference.path != "domain/vcpu@current" {
        return (before, after);
    }
    // Where no number is given, the guest has all that it could have.
    let maximum = all.iter().find(|d| d.path == "domain/vcpu");
    let wanted = difference
        .within
        .last()
        .map(|vcpu| vcpu.text.as_str().into());
    let most_before = maximum.map_or_else(|| wanted.clone(), |d| told(&d.before));
    (before.or(most_before), after.or(wanted))
}

/// Names for places that the definition has a word for; a list's element is put in for `*`.
const NAMES: &[(&str, &str)] = &[
    ("domain@type", "type"),
    ("domain/metadata/miniascape:resource", "mark"),
    ("network/metadata/miniascape:resource", "mark"),
    ("domain/title", "title"),
    ("domain/description", "description"),
    ("domain/memory", "max_memory"),
    ("domain/currentMemory", "memory"),
    ("domain/vcpu@current", "vcpus"),
    ("domain/cpu@mode", "cpu.mode"),
    ("domain/cpu/model", "cpu.model"),
    ("domain/os@firmware", "firmware"),
    ("domain/os/type@arch", "arch"),
    ("domain/os/type@machine", "machine"),
    ("domain/os/kernel", "boot.kernel"),
    ("domain/os/initrd", "boot.initrd"),
    ("domain/os/cmdline", "boot.cmdline"),
    ("domain/os/boot", "boot.order"),
    ("domain/os/boot@dev", "boot.order"),
    ("domain/devices/disk", "disks.*"),
    ("domain/devices/disk/alias@name", "disks.*"),
    ("domain/devices/disk@device", "disks.*.device"),
    ("domain/devices/disk/driver@type", "disks.*.format"),
    ("domain/devices/disk/driver@cache", "disks.*.cache"),
    ("domain/devices/disk/source", "disks.*.path"),
    ("domain/devices/disk/source@file", "disks.*.path"),
    ("domain/devices/disk/source@dev", "disks.*.path"),
    ("domain/devices/disk/source@volume", "disks.*.volume"),
    ("domain/devices/disk/source@pool", "disks.*.pool"),
    ("domain/devices/disk/target@dev", "disks.*.dev"),
    ("domain/devices/disk/target@bus", "disks.*.bus"),
    ("domain/devices/disk/readonly", "disks.*.readonly"),
    ("domain/devices/disk/shareable", "disks.*.shareable"),
    ("domain/devices/interface", "interfaces.*"),
    ("domain/devices/interface/alias@name", "interfaces.*"),
    (
        "domain/devices/interface/source@network",
        "interfaces.*.network",
    ),
    (
        "domain/devices/interface/source@bridge",
        "interfaces.*.bridge",
    ),
    ("domain/devices/interface@type", "interfaces.*.type"),
    ("domain/devices/interface/source", "interfaces.*.network"),
    ("domain/devices/interface/mac@address", "interfaces.*.mac"),
    ("domain/devices/interface/model@type", "interfaces.*.model"),
    ("domain/devices/interface/mtu", "interfaces.*.mtu"),
    ("domain/devices/interface/mtu@size", "interfaces.*.mtu"),
    ("domain/devices/interface/link", "interfaces.*.link"),
    (
        "domain/devices/interface/bandwidth",
        "interfaces.*.bandwidth",
    ),
    (
        "domain/devices/interface/bandwidth/inbound",
        "interfaces.*.bandwidth.inbound",
    ),
    (
        "domain/devices/interface/bandwidth/outbound",
        "interfaces.*.bandwidth.outbound",
    ),
    ("domain/devices/interface/link@state", "interfaces.*.link"),
    ("domain/devices/graphics", "graphics"),
    ("domain/devices/graphics@type", "graphics.type"),
    ("domain/devices/graphics@listen", "graphics.listen"),
    ("domain/devices/serial", "serial"),
    ("domain/devices/serial@type", "serial.type"),
    ("domain/devices/serial/source@path", "serial.file"),
    ("network/forward", "mode"),
    ("network/forward@mode", "mode"),
    ("network/forward@dev", "dev"),
    ("network/bridge@name", "bridge"),
    ("network/mtu", "mtu"),
    ("network/mtu@size", "mtu"),
    ("network/domain", "domain"),
    ("network/domain@name", "domain"),
    ("network/domain@localOnly", "dns.local_only"),
    ("network/ip", "address"),
    ("network/ip@address", "address"),
    ("network/ip@prefix", "address.prefix"),
    ("network/ip/dhcp", "dhcp"),
    ("network/ip/dhcp/range", "dhcp.range"),
    ("network/ip/dhcp/host", "dhcp.hosts.*"),
    ("network/ip/dhcp/host@mac", "dhcp.hosts.*.mac"),
    ("network/ip/dhcp/host@ip", "dhcp.hosts.*.ip"),
    ("network/ip/dhcp/host@name", "dhcp.hosts.*.name"),
    ("network/dns/host", "dns.hosts.*"),
    ("network/dns/host/hostname", "dns.hosts.*"),
    ("network/dns/txt", "dns.txt.*"),
    ("network/dns/txt@value", "dns.txt.*"),
    ("network/dns/srv", "dns.srv.*"),
    ("network/dns/forwarder", "dns.forwarders"),
    ("network/portgroup", "portgroups.*"),
    ("network/portgroup@default", "portgroups.*.default"),
    ("pool/target/path", "path"),
    ("volume/capacity", "size"),
    ("volume/target/format@type", "format"),
    ("volume/backingStore/path", "image"),
    ("volume/backingStore", "image"),
    ("volume/backingStore/format@type", "image.format"),
];

fn name(difference: &Difference) -> String {
    if difference.path == "domain/vcpu" {
        // Without a maximum of its own the number is the maximum.
        let vcpu = difference.within.last();
        let has_maximum = vcpu.is_some_and(|vcpu| vcpu.attribute("current").is_some());
        return if has_maximum { "max_vcpus" } else { "vcpus" }.to_owned();
    }
    let known = NAMES
        .iter()
        .find(|(path, _)| *path == difference.path)
        .map(|(_, name)| *name);
    match known {
        Some(name) => match list_item(difference) {
            Some(item) => name.replace('*', &item),
            None => name.to_owned(),
        },
        None => own_path(difference),
    }
}

/// The name of the list's element that a difference is in or that it is about.
fn list_item(difference: &Difference) -> Option<String> {
    let own = difference.tree();
    if difference.path == "network/dns/host/hostname" {
        return own.map(|hostname| hostname.text.clone());
    }
    own.into_iter()
        .chain(difference.within.iter().rev())
        .find_map(item_name)
}

fn item_name(element: &Element) -> Option<String> {
    let attribute = |name: &str| element.attribute(name);
    let name = match element.name.as_str() {
        "disk" => alias(element).or_else(|| element.attribute_at("target", "dev")),
        "interface" => alias(element)
            .or_else(|| element.attribute_at("mac", "address"))
            .or_else(|| attribute("type")),
        "host" if element.child("hostname").is_some() => {
            let names: Vec<&str> = element
                .children_named("hostname")
                .map(|name| name.text.as_str())
                .collect();
            return Some(names.join(","));
        }
        "host" => attribute("name").or(attribute("ip")),
        "txt" => attribute("name"),
        "srv" => attribute("service"),
        "portgroup" => attribute("name"),
        _ => None,
    };
    name.map(str::to_owned)
}

fn alias(element: &Element) -> Option<&str> {
    element.attribute_at("alias", "name")?.strip_prefix("ua-")
}

/// The path of a place that the definition has no word for: below the root and `devices`, each list element with its name.
fn own_path(difference: &Difference) -> String {
    let mut path = difference.path.split('/').skip(1).peekable();
    let mut within = difference.within.iter();
    let mut parts = Vec::new();
    while let Some(part) = path.next() {
        let plain = part.split('@').next().unwrap_or(part);
        let element = within.next();
        let named = element
            .filter(|element| element.name == plain)
            .and_then(item_name);
        match named {
            // Disks and NICs have their place in the definition.
            Some(item) if matches!(plain, "disk" | "interface") => {
                let rest = part.strip_prefix(plain).unwrap_or_default();
                parts.push(format!("{plain}s.{item}{rest}"));
            }
            Some(item) => parts.push(format!("{part}[{item}]")),
            None if part == "devices" && path.peek().is_some() => {}
            None => parts.push(part.to_owned()),
        }
    }
    if parts.is_empty() {
        return difference.path.clone();
    }
    parts.join(".").replace('@', ".")
}

fn value(difference: &Difference, value: &Value) -> Said {
    let path = difference.path.as_str();
    let number = match value {
        Value::Text(text) => text,
        Value::Tree(tree) => &tree.text,
    };
    match (schema::bytes(path, number), value) {
        (Some(bytes), _) => Said::Bytes(bytes),
        (None, Value::Text(text)) if path.ends_with("/alias@name") => {
            text.strip_prefix("ua-").unwrap_or(text).into()
        }
        (None, Value::Text(text)) => rate_of(path, text).unwrap_or_else(|| text.clone()).into(),
        (None, Value::Tree(tree)) => element(difference, tree).into(),
    }
}

/// An element in one line: the words that matter to the user where we know them, else its XML.
fn element(difference: &Difference, tree: &Element) -> String {
    let attribute = |name: &str| tree.attribute(name).unwrap_or_default().to_owned();
    let of = |path: &str, name: &str| tree.attribute_at(path, name).unwrap_or_default().to_owned();
    let text = match difference.path.as_str() {
        "network/ip/dhcp/host" => format!("{} {}", attribute("mac"), attribute("ip")),
        "domain/metadata/miniascape:resource" | "network/metadata/miniascape:resource" => {
            format!("{} of lab {}", attribute("address"), attribute("lab"))
        }
        "network/ip/dhcp/range" => format!("{} - {}", attribute("start"), attribute("end")),
        "network/dns/host" => attribute("ip"),
        "network/dns/host/hostname" => difference
            .within
            .last()
            .and_then(|host| host.attribute("ip"))
            .unwrap_or_default()
            .to_owned(),
        "network/dns/txt" => attribute("value"),
        "network/dns/srv" => format!("{}:{}", attribute("target"), attribute("port")),
        "network/dns/forwarder" => format!("{} {}", attribute("domain"), attribute("addr")),
        "network/ip" => format!("{}/{}", attribute("address"), attribute("prefix")),
        "network/domain" => attribute("name"),
        "network/mtu" | "domain/devices/interface/mtu" => attribute("size"),
        "network/forward" => attribute("mode"),
        "domain/os/boot" => attribute("dev"),
        "volume/backingStore" => tree.text_at("path").unwrap_or_default().to_owned(),
        "domain/devices/interface/link" => attribute("state"),
        "domain/devices/interface/source" | "domain/devices/disk/source" => {
            ["network", "bridge", "file", "dev", "volume"]
                .into_iter()
                .map(attribute)
                .find(|value| !value.is_empty())
                .unwrap_or_default()
        }
        "domain/devices/interface/bandwidth" => {
            let rates: Vec<String> = tree.children.iter().map(rate).collect();
            rates.join(", ")
        }
        "domain/devices/interface/bandwidth/inbound"
        | "domain/devices/interface/bandwidth/outbound" => rate(tree),
        "domain/devices/disk/readonly" | "domain/devices/disk/shareable" => "true".to_owned(),
        "domain/devices/disk" => {
            let source = ["file", "dev", "volume"]
                .into_iter()
                .find_map(|name| tree.attribute_at("source", name));
            format!(
                "{} {}",
                of("target", "dev"),
                source.unwrap_or(&attribute("device"))
            )
        }
        "domain/devices/interface" => {
            let source = ["network", "bridge", "dev"]
                .into_iter()
                .find_map(|name| tree.attribute_at("source", name));
            format!(
                "{} {}",
                source.unwrap_or(&attribute("type")),
                of("mac", "address")
            )
        }
        "domain/devices/graphics" | "domain/devices/serial" => attribute("type"),
        _ if !tree.text.is_empty() && tree.attributes.is_empty() => tree.text.clone(),
        path if path.starts_with("domain/features/") && tree == &Element::new(&*tree.name) => {
            "on".to_owned()
        }
        path => {
            let device = path.strip_prefix("domain/devices/");
            let device = device.filter(|name| !name.contains('/'));
            device
                .and_then(|name| device_in_words(name, tree))
                .unwrap_or_else(|| one_line(tree))
        }
    };
    text.trim().to_owned()
}

/// What tells a device that the definition has no word for, where the rest is as good as nothing.
const DEVICES: &[(&str, &[&str])] = &[
    ("channel", &["@type", "target@name"]),
    ("console", &["@type", "target@type"]),
    ("controller", &["@type", "@model"]),
    ("filesystem", &["source@dir", "source@file", "target@dir"]),
    (
        "hostdev",
        &[
            "@type",
            "source/vendor@id",
            "source/product@id",
            "source/address@bus",
            "source/address@slot",
            "source/address@function",
            "source/address@uuid",
        ],
    ),
    ("input", &["@type", "@bus"]),
    ("memballoon", &["@model"]),
    ("rng", &["@model", "backend"]),
    ("sound", &["@model"]),
    ("tpm", &["@model", "backend@type"]),
    ("video", &["model@type"]),
    ("watchdog", &["@model", "@action"]),
];

/// A device in words: `i6300esb reset`. `None` where there is more to it.
fn device_in_words(name: &str, tree: &Element) -> Option<String> {
    let (_, parts) = DEVICES.iter().find(|(known, _)| *known == name)?;
    let is_told = |child: &Element| {
        let holds = |part: &&str| {
            let rest = part.strip_prefix(child.name.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '@']))
        };
        matches!(child.name.as_str(), "address" | "alias") || parts.iter().any(holds)
    };
    let of = |part: &&str| match part.split_once('@') {
        Some(("", attribute)) => tree.attribute(attribute),
        Some((path, attribute)) => tree.attribute_at(path, attribute),
        None => tree.text_at(part),
    };
    if tree.attribute_at("target", "name") == Some("org.qemu.guest_agent.0") {
        return Some("for the guest agent".to_owned());
    }
    let told: Vec<&str> = parts.iter().filter_map(of).collect();
    (!told.is_empty() && tree.children.iter().all(is_told)).then(|| told.join(" "))
}

/// `inbound 10 MB/s, peak 20 MB/s, burst 1 MB`
fn rate(tree: &Element) -> String {
    let told = |name: &str| limit(name, tree.attribute(name)?);
    let average = told("average").unwrap_or_default();
    let more = ["peak", "burst"]
        .into_iter()
        .filter_map(|name| Some(format!(", {name} {}", told(name)?)));
    format!("{} {average}{}", tree.name, more.collect::<String>())
}

/// One of the limits of a NIC's bandwidth.
fn limit(name: &str, text: &str) -> Option<String> {
    let amount = kilobytes(text.parse().ok()?);
    Some(match name {
        "burst" => amount,
        _ => amount + "/s",
    })
}

/// The same, where a path is that of one.
fn rate_of(path: &str, text: &str) -> Option<String> {
    let (holder, name) = path.split_once('@')?;
    let is_limit =
        holder.ends_with("/bandwidth/inbound") || holder.ends_with("/bandwidth/outbound");
    limit(name, text).filter(|_| is_limit)
}

fn one_line(tree: &Element) -> String {
    const SHOWN: usize = 60;
    let text: String = tree.to_string().lines().map(str::trim).collect();
    if text.chars().count() <= SHOWN {
        return text;
    }
    text.chars().take(SHOWN - 1).chain(['…']).collect()
}
