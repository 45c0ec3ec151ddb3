//! Trees as libvirt's documents are, and some that are not: few names and values, so that they meet often.

use miniascape::libvirt::fake::spelling::written;
use miniascape::xml::tree::Element;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::names::{called, names};

type Tree = BoxedStrategy<Element>;
type List = BoxedStrategy<Vec<Element>>;

/// An attribute and the values it takes; one whose name begins with `!` is always there.
type Attribute = (&'static str, &'static [&'static str]);

/// What breaks out where quoting is wrong, and what libvirt spells in more than one way.
const ANY: &[&str] = &[
    "",
    "a",
    "b",
    "A",
    "1",
    "01",
    "0x1",
    "16",
    "0x10",
    "10.0.0.1",
    "fd00::1",
    "FD00:0::1",
    "a b",
    "&<>'\"",
    "ü",
    "a\nb",
    "a\tb",
    "\r",
    " x ",
];
const MACS: &[&str] = &[
    "52:54:00:00:00:01",
    "52:54:00:00:00:0A",
    "52:54:00:00:00:0a",
];
const SETS: &[&str] = &["0", "0-3", "0,1,2,^1", "1,0", "2-1"];
const ALIASES: &[&str] = &["ua-a", "ua-b", "ua-A", "net0"];

fn element(name: &'static str, attributes: &'static [Attribute], children: Vec<List>) -> Tree {
    let attributes: Vec<_> = attributes
        .iter()
        .map(|(name, values)| match name.strip_prefix('!') {
            Some(name) => select(*values).prop_map(move |v| Some((name, v))).boxed(),
            None => option::weighted(0.6, select(*values))
                .prop_map(move |value| value.map(|value| (*name, value)))
                .boxed(),
        })
        .collect();
    (attributes, children)
        .prop_map(move |(attributes, children)| {
            let mut element = Element::new(name);
            for (name, value) in attributes.into_iter().flatten() {
                element.set_attribute(name, value);
            }
            element.children = children.into_iter().flatten().collect();
            element
        })
        .boxed()
}

/// An element without children.
fn leaf(name: &'static str, attributes: &'static [Attribute]) -> Tree {
    element(name, attributes, Vec::new())
}

fn text(
    name: &'static str,
    attributes: &'static [Attribute],
    texts: &'static [&'static str],
) -> Tree {
    (leaf(name, attributes), select(texts))
        .prop_map(|(element, text)| element.with_text(text.trim()))
        .boxed()
}

fn some(tree: Tree) -> List {
    option::of(tree)
        .prop_map(|tree| tree.into_iter().collect())
        .boxed()
}

fn many(tree: Tree) -> List {
    vec(tree, 0..=3).boxed()
}

/// An element that is there mostly.
fn holder(name: &'static str, attributes: &'static [Attribute], children: Vec<List>) -> List {
    option::weighted(0.8, element(name, attributes, children))
        .prop_map(|tree| tree.into_iter().collect())
        .boxed()
}

fn alias() -> List {
    some(leaf("alias", &[("name", ALIASES)]))
}

/// Where a device of the host is: on PCI, on USB, or what it says it is.
fn device_of_the_host() -> List {
    let pci: &[Attribute] = &[
        ("domain", &["0x0000", "0"]),
        ("!bus", &["1", "0x01", "2"]),
        ("!slot", &["2", "0x02"]),
        ("!function", &["0x0", "1"]),
    ];
    let usb: &[Attribute] = &[("!bus", &["1", "2"]), ("!device", &["3", "0x3"])];
    let vendor = leaf("vendor", &[("!id", &["0x1234", "0x12AB"])]);
    let product = leaf("product", &[("!id", &["0x1234", "0xbeef"])]);
    prop_oneof![
        leaf("address", pci).prop_map(|address| vec![address]),
        leaf("address", usb).prop_map(|address| vec![address]),
        (vendor, product).prop_map(|(vendor, product)| vec![vendor, product]),
    ]
    .boxed()
}

fn devices() -> List {
    let pci = || {
        some(leaf(
            "address",
            &[
                ("type", &["pci"]),
                ("bus", &["0x01", "0x02"]),
                ("slot", &["0x0", "0"]),
            ],
        ))
    };
    holder(
        "devices",
        &[],
        vec![
            many(element(
                "disk",
                &[("type", &["file", "block"]), ("device", &["disk", "cdrom"])],
                vec![
                    some(leaf(
                        "driver",
                        &[("name", &["qemu"]), ("cache", &["none", "writeback"])],
                    )),
                    some(leaf("source", &[("file", &["/a", "/b"])])),
                    some(leaf(
                        "target",
                        &[
                            ("dev", &["vda", "vdb", "VDA"]),
                            ("bus", &["virtio", "sata"]),
                        ],
                    )),
                    alias(),
                    pci(),
                ],
            )),
            many(element(
                "interface",
                &[("type", &["network", "bridge"])],
                vec![
                    some(leaf("mac", &[("address", MACS)])),
                    some(leaf(
                        "source",
                        &[("network", &["front", "back"]), ("bridge", &["br0"])],
                    )),
                    some(leaf("target", &[("dev", &["vnet0", "tap0"])])),
                    some(leaf("model", &[("type", &["virtio", "e1000"])])),
                    alias(),
                    pci(),
                ],
            )),
            many(element(
                "hostdev",
                &[("type", &["pci", "usb", "scsi"])],
                vec![
                    some(element("source", &[], vec![device_of_the_host()])),
                    alias(),
                ],
            )),
            many(element(
                "filesystem",
                &[],
                vec![some(leaf("target", &[("dir", &["a", "b"])])), alias()],
            )),
            many(element(
                "controller",
                &[
                    ("!type", &["usb", "pci"]),
                    ("index", &["0", "1"]),
                    ("model", &["a", "b"]),
                ],
                vec![alias(), pci()],
            )),
            many(element(
                "serial",
                &[("type", &["pty", "unix"])],
                vec![
                    some(leaf(
                        "target",
                        &[("type", &["isa-serial"]), ("port", &["0", "1"])],
                    )),
                    alias(),
                ],
            )),
            many(element(
                "console",
                &[("type", &["pty", "unix"])],
                vec![
                    some(leaf(
                        "target",
                        &[("type", &["serial", "virtio"]), ("port", &["0", "1"])],
                    )),
                    alias(),
                ],
            )),
            many(element(
                "channel",
                &[("!type", &["unix"])],
                vec![
                    some(leaf(
                        "target",
                        &[("type", &["virtio"]), ("name", &["a.0", "b.0"])],
                    )),
                    alias(),
                ],
            )),
            many(leaf(
                "graphics",
                &[("!type", &["vnc", "spice"]), ("port", &["-1", "5900"])],
            )),
            many(element(
                "sound",
                &[("!model", &["ich9", "ac97"])],
                vec![alias()],
            )),
            many(leaf("rng", &[("model", &["virtio", "other"])])),
            some(leaf("memballoon", &[("model", &["virtio", "none"])])),
            many(element(
                "panic",
                &[("model", &["isa", "hyperv"])],
                vec![alias()],
            )),
            many(element(
                "memory",
                &[("model", &["dimm", "nvdimm"])],
                vec![
                    some(element(
                        "target",
                        &[],
                        vec![
                            some(text("size", &[("unit", &["KiB", "MiB"])], &["1", "1024"])),
                            some(leaf(
                                "address",
                                &[("type", &["dimm"]), ("base", &["0x100", "256"])],
                            )),
                        ],
                    )),
                    alias(),
                ],
            )),
        ],
    )
}

/// A guest.
pub fn domain() -> Tree {
    const UNITS: &[&str] = &["KiB", "MiB", "gib", "KB", "b", "bytes", "furlong"];
    const SIZES: &[&str] = &["1", "1024", "1048576", "", "many", "18446744073709551615"];
    element(
        "domain",
        &[("type", &["kvm", "qemu"]), ("xmlns:qemu", &["urn:q"])],
        vec![
            some(text("name", &[], &["web", "db"])),
            some(text(
                "uuid",
                &[],
                &[
                    "6d696e69-6173-5361-8070-65000000000a",
                    "6D696E69-6173-5361-8070-65000000000A",
                ],
            )),
            some(text("title", &[], ANY)),
            some(text("memory", &[("unit", UNITS)], SIZES)),
            some(text("currentMemory", &[("unit", UNITS)], SIZES)),
            some(text(
                "vcpu",
                &[
                    ("placement", &["static"]),
                    ("current", &["1", "2", "4"]),
                    ("cpuset", SETS),
                ],
                &["1", "2", "4"],
            )),
            holder(
                "metadata",
                &[],
                vec![some(leaf(
                    "miniascape:resource",
                    &[("lab", &["shop"]), ("address", &["guest.web"])],
                ))],
            ),
            holder(
                "os",
                &[],
                vec![
                    some(text(
                        "type",
                        &[
                            ("machine", &["q35", "pc-q35-7.2", "pc"]),
                            ("arch", &["x86_64"]),
                        ],
                        &["hvm"],
                    )),
                    many(leaf("boot", &[("dev", &["hd", "network", "cdrom"])])),
                ],
            ),
            holder(
                "features",
                &[],
                vec![
                    some(leaf("acpi", &[])),
                    some(leaf("apic", &[])),
                    some(leaf("smm", &[("state", &["on", "off"])])),
                ],
            ),
            holder(
                "cpu",
                &[("mode", &["host-model", "custom"])],
                vec![
                    many(leaf(
                        "feature",
                        &[
                            ("!name", &["aes", "vmx", "AES"]),
                            ("policy", &["require", "disable"]),
                        ],
                    )),
                    some(element(
                        "numa",
                        &[],
                        vec![many(leaf(
                            "cell",
                            &[
                                ("!id", &["0", "1"]),
                                ("cpus", SETS),
                                ("memory", &["1", "1024"]),
                                ("unit", UNITS),
                            ],
                        ))],
                    )),
                ],
            ),
            holder(
                "clock",
                &[
                    ("offset", &["utc", "localtime"]),
                    ("adjustment", &["+1", "1"]),
                ],
                vec![many(leaf(
                    "timer",
                    &[("!name", &["rtc", "pit"]), ("present", &["yes", "no"])],
                ))],
            ),
            holder(
                "cputune",
                &[],
                vec![many(leaf(
                    "vcpupin",
                    &[("!vcpu", &["0", "1"]), ("cpuset", SETS)],
                ))],
            ),
            holder(
                "numatune",
                &[],
                vec![some(leaf(
                    "memory",
                    &[
                        ("mode", &["strict"]),
                        ("placement", &["static", "auto"]),
                        ("nodeset", SETS),
                    ],
                ))],
            ),
            devices(),
            holder(
                "qemu:commandline",
                &[("xmlns:qemu", &["urn:q", "urn:other"])],
                vec![
                    many(leaf("qemu:arg", &[("value", &["-a", "-b"])])),
                    many(leaf(
                        "qemu:env",
                        &[("!name", &["A", "a"]), ("value", &["1", "2"])],
                    )),
                ],
            ),
        ],
    )
}

/// A network.
pub fn network() -> Tree {
    const NAMES: &[&str] = &["a", "b", "A"];
    element(
        "network",
        &[("connections", &["1"]), ("ipv6", &["yes", "no"])],
        vec![
            some(text("name", &[], &["front"])),
            holder(
                "forward",
                &[("mode", &["nat", "route"]), ("dev", &["eth0"])],
                vec![
                    many(leaf("interface", &[("dev", &["eth0", "eth1"])])),
                    some(element(
                        "nat",
                        &[],
                        vec![
                            some(leaf("port", &[("start", &["1024"]), ("end", &["65535"])])),
                            many(leaf(
                                "address",
                                &[("start", &["10.0.0.1", "10.0.0.2"]), ("end", &["10.0.0.3"])],
                            )),
                        ],
                    )),
                ],
            ),
            some(leaf(
                "bridge",
                &[("name", &["virbr0", "virbr1"]), ("stp", &["on", "off"])],
            )),
            some(leaf("mac", &[("address", MACS)])),
            some(leaf(
                "domain",
                &[("name", &["shop.test"]), ("localOnly", &["yes"])],
            )),
            holder(
                "dns",
                &[("enable", &["yes", "no"])],
                vec![
                    many(element(
                        "host",
                        &[("!ip", &["10.0.0.5", "10.0.0.6", "fd00::5", "FD00:0::5"])],
                        vec![many(text("hostname", &[], NAMES))],
                    )),
                    many(leaf("txt", &[("!name", NAMES), ("value", ANY)])),
                    many(leaf(
                        "srv",
                        &[
                            ("!service", &["ldap", "sip"]),
                            ("!protocol", &["tcp", "udp"]),
                            ("domain", &["shop.test"]),
                            ("target", &["a", "b"]),
                            ("port", &["0", "389"]),
                            ("priority", &["0", "1"]),
                        ],
                    )),
                    many(leaf(
                        "forwarder",
                        &[("!addr", &["10.0.0.8", "10.0.0.9"]), ("domain", NAMES)],
                    )),
                ],
            ),
            many(element(
                "ip",
                &[
                    ("family", &["ipv4", "ipv6"]),
                    (
                        "!address",
                        &["10.0.0.1", "10.1.0.1", "fd00::1", "fd00:0::1"],
                    ),
                    ("netmask", &["255.255.255.0", "255.0.255.0"]),
                    ("prefix", &["24", "16"]),
                ],
                vec![holder(
                    "dhcp",
                    &[],
                    vec![
                        many(leaf(
                            "range",
                            &[
                                ("!start", &["10.0.0.10", "10.0.0.20"]),
                                ("!end", &["10.0.0.30"]),
                            ],
                        )),
                        many(leaf(
                            "host",
                            &[
                                ("mac", MACS),
                                ("id", &["0:1", "0:2"]),
                                ("ip", &["10.0.0.5", "10.0.0.6", "fd00::5"]),
                                ("name", NAMES),
                            ],
                        )),
                    ],
                )],
            )),
            many(element(
                "portgroup",
                &[("!name", NAMES), ("default", &["yes", "no"])],
                vec![some(leaf("bandwidth", &[("x", ANY)]))],
            )),
            many(leaf(
                "route",
                &[
                    ("!address", &["10.2.0.0", "10.3.0.0"]),
                    ("prefix", &["24", "16"]),
                ],
            )),
            holder(
                "metadata",
                &[],
                vec![some(leaf(
                    "miniascape:resource",
                    &[("lab", &["shop"]), ("address", &["network.front"])],
                ))],
            ),
        ],
    )
}

/// Elements that no schema knows: children or a text.
pub fn stranger() -> Tree {
    let names = || select(&["a", "b", "c:d", "ü"][..]);
    let attributes = || vec((select(&["p", "q", "x:y"][..]), any_value()), 0..=3);
    let named =
        |(name, attributes, text, children): (&str, Vec<(&str, String)>, String, Vec<Element>)| {
            let mut element = Element::new(name);
            for (name, value) in attributes {
                element.set_attribute(name, value);
            }
            if children.is_empty() {
                element.text = text.trim().to_owned();
            }
            element.children = children;
            element
        };
    let leaf = (names(), attributes(), any_value(), Just(Vec::new())).prop_map(named);
    leaf.prop_recursive(4, 24, 4, move |inner| {
        (names(), attributes(), any_value(), vec(inner, 0..=4)).prop_map(named)
    })
    .prop_map(|mut root| {
        "root".clone_into(&mut root.name);
        root.text.clear();
        root
    })
    .boxed()
}

/// Mostly a value that means something to the tables, sometimes any text that XML can hold.
fn any_value() -> BoxedStrategy<String> {
    prop_oneof![
        2 => select(ANY).prop_map(str::to_owned),
        1 => "[\\t\\n\\r -~\u{85}\u{a0}-\u{d7ff}\u{e000}-\u{fffd}]{0,8}",
    ]
    .boxed()
}

/// Trees with the same root that know nothing of each other.
pub fn trees(count: usize) -> BoxedStrategy<Vec<Element>> {
    prop_oneof![
        3 => vec(domain(), count),
        3 => vec(network(), count),
        1 => vec(stranger(), count),
    ]
    .boxed()
}

/// What libvirt does not accept twice in a list.
#[derive(Clone, Copy)]
pub enum Double {
    /// The same by the best key that two have: a second NIC with an alias, but not a second one on a network.
    ByBestKey,
    /// The same by any key.
    ByAnyKey,
}

/// Leaves doubles out of each list. The result is in libvirt's spelling.
pub fn without(double: Double, tree: &Element) -> Element {
    let mut tree = written(tree);
    let root = tree.name.clone();
    thin(double, &root, &mut tree);
    tree
}

fn thin(double: Double, path: &str, element: &mut Element) {
    let mut kept: Vec<Element> = Vec::new();
    for mut child in std::mem::take(&mut element.children) {
        let at = format!("{path}/{}", child.name);
        let shares = |other: &Element| {
            let mut equal = names(&at)
                .iter()
                .filter_map(|name| Some(called(name, &child)? == called(name, other)?));
            match double {
                Double::ByBestKey => equal.next() == Some(true),
                Double::ByAnyKey => equal.any(|equal| equal),
            }
        };
        if kept
            .iter()
            .any(|other| other.name == child.name && shares(other))
        {
            continue;
        }
        thin(double, &at, &mut child);
        kept.push(child);
    }
    element.children = kept;
}
