//! A definition as written: every setting an option, every value with its place.
//!
//! Decoding goes on after a problem; what could not be decoded counts as not given, and the thing it
//! belongs to as flawed, so that `resolve` does not complain of its absence.

pub mod guest;
pub mod host;
pub mod install;
pub mod moved;
pub mod system;

use std::net::IpAddr;

use ipnet::IpNet;

use super::decode::{Decoder, Given, Spanned};
use super::model::{NetworkMode, VolumeFormat};
use super::yaml::{Node, Style, Value};
use crate::address::Name;
use crate::diagnostic::{Diagnostic, Diagnostics, Span};
use guest::GuestSpec;

/// A thing and the key it stands under.
#[derive(Debug, Clone)]
pub struct Named<T> {
    /// The key.
    pub key: Spanned<Name>,
    /// Something in it could not be decoded, and was reported.
    pub flawed: bool,
    /// The thing.
    pub spec: T,
}

/// A definition as written, its layers merged.
#[derive(Debug, Clone, Default)]
pub struct Spec {
    /// Name of the lab.
    pub lab: Given<Name>,
    /// The lab's name is given, if wrongly.
    pub lab_given: bool,
    /// Where the definition begins, or where its name is missing.
    pub begins: Option<Span>,
    /// Networks in the order written.
    pub networks: Vec<Named<NetworkSpec>>,
    /// Pools in the order written.
    pub pools: Vec<Named<PoolSpec>>,
    /// Images in the order written.
    pub images: Vec<Named<ImageSpec>>,
    /// Guests in the order written, each with what `common` and its groups give it.
    pub guests: Vec<Named<GuestSpec>>,
    /// What has another name now, in the order written.
    pub moved: Vec<moved::MoveSpec>,
    /// What the host is to have besides.
    pub host: host::HostSpec,
}

/// A network as written.
#[derive(Debug, Clone, Default)]
pub struct NetworkSpec {
    /// `name`
    pub name: Given<String>,
    /// `external`
    pub external: bool,
    /// `external.reservations`
    pub reservations: Given<bool>,
    /// `mode`
    pub mode: Given<NetworkMode>,
    /// `dev`
    pub dev: Given<String>,
    /// `bridge`
    pub bridge: Given<String>,
    /// `mtu`
    pub mtu: Given<u32>,
    /// `address`
    pub addresses: Vec<Spanned<IpNet>>,
    /// `domain`
    pub domain: Given<String>,
    /// `dhcp`
    pub dhcp: DhcpSpec,
    /// `dns`
    pub dns: DnsSpec,
    /// `autostart`
    pub autostart: Given<bool>,
    /// `lifecycle.prevent_destroy`
    pub prevent_destroy: Given<bool>,
    /// `xml`
    pub xml: Given<BlockText>,
}

/// `dhcp` of a network.
#[derive(Debug, Clone, Default)]
pub enum DhcpSpec {
    /// Not given: no range, and what the guests have by `ip`.
    #[default]
    Reservations,
    /// `false`: none.
    Off(Span),
    /// `true`: a range for each family of addresses.
    Derived(Span),
    /// Ranges.
    Ranges(Vec<RangeSpec>),
}

/// A range of addresses.
#[derive(Debug, Clone)]
pub struct RangeSpec {
    /// First address.
    pub start: Spanned<IpAddr>,
    /// Last address.
    pub end: Spanned<IpAddr>,
}

/// `dns` of a network.
#[derive(Debug, Clone, Default)]
pub struct DnsSpec {
    /// Where it is given.
    pub span: Option<Span>,
    /// `enabled`
    pub enabled: Given<bool>,
    /// `local_only`
    pub local_only: Given<bool>,
    /// `hosts`: each name with its addresses.
    pub hosts: Vec<(Spanned<String>, Vec<Spanned<IpAddr>>)>,
    /// `forwarders`
    pub forwarders: Vec<(Given<IpAddr>, Given<String>)>,
    /// `srv`
    pub srv: Vec<SrvSpec>,
    /// `txt`
    pub txt: Vec<(Spanned<String>, String)>,
}

/// An SRV record.
#[derive(Debug, Clone)]
pub struct SrvSpec {
    /// `service`
    pub service: Spanned<String>,
    /// `protocol`
    pub protocol: &'static str,
    /// `domain`
    pub domain: Given<String>,
    /// `target`
    pub target: Given<String>,
    /// `port`
    pub port: Given<u16>,
    /// `priority`
    pub priority: Given<u16>,
    /// `weight`
    pub weight: Given<u16>,
}

/// A pool as written.
#[derive(Debug, Clone, Default)]
pub struct PoolSpec {
    /// `name`
    pub name: Given<String>,
    /// `external`
    pub external: bool,
    /// `type`
    pub kind: Given<&'static str>,
    /// `path`
    pub path: Given<String>,
    /// `autostart`
    pub autostart: Given<bool>,
    /// `lifecycle.prevent_destroy`
    pub prevent_destroy: Given<bool>,
    /// `xml`
    pub xml: Given<BlockText>,
}

/// An image as written.
#[derive(Debug, Clone, Default)]
pub struct ImageSpec {
    /// `pool`
    pub pool: Given<Name>,
    /// `source`
    pub source: Given<String>,
    /// `format`
    pub format: Given<VolumeFormat>,
    /// `sha256`
    pub sha256: Given<String>,
    /// `lifecycle.prevent_destroy`
    pub prevent_destroy: Given<bool>,
}

/// A text in which places matter: an XML overlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockText {
    /// The text.
    pub text: String,
    /// How it was written.
    pub style: Style,
}

/// The formats of volumes.
pub(super) const FORMATS: [(&str, VolumeFormat); 2] =
    [("qcow2", VolumeFormat::Qcow2), ("raw", VolumeFormat::Raw)];

const MODES: [(&str, NetworkMode); 5] = [
    ("nat", NetworkMode::Nat),
    ("route", NetworkMode::Route),
    ("open", NetworkMode::Open),
    ("isolated", NetworkMode::Isolated),
    ("bridge", NetworkMode::Bridge),
];

/// libvirt's types of pools. <https://libvirt.org/storage.html>
const POOL_TYPES: [(&str, &str); 13] = [
    ("dir", "dir"),
    ("fs", "fs"),
    ("netfs", "netfs"),
    ("logical", "logical"),
    ("disk", "disk"),
    ("iscsi", "iscsi"),
    ("iscsi-direct", "iscsi-direct"),
    ("scsi", "scsi"),
    ("mpath", "mpath"),
    ("rbd", "rbd"),
    ("gluster", "gluster"),
    ("zfs", "zfs"),
    ("vstorage", "vstorage"),
];

/// Decodes a merged definition. Every problem is collected.
pub fn decode(root: &Node, problems: &mut Diagnostics) -> Spec {
    let mut d = Decoder::new(problems);
    let mut spec = Spec::default();
    let Some(mut fields) = d.fields(root, "a map with `lab`, `networks`, `guests` and so on")
    else {
        spec.lab_given = true;
        return spec;
    };
    spec.begins = Some(begins(root));
    if let Some(node) = fields.take("lab") {
        spec.lab_given = true;
        spec.lab = d.name(node);
    }
    if let Some(node) = fields.take("networks") {
        spec.networks = named(&mut d, node, "a map of networks", network);
    }
    if let Some(node) = fields.take("pools") {
        spec.pools = named(&mut d, node, "a map of pools", pool);
    }
    if let Some(node) = fields.take("images") {
        spec.images = named(&mut d, node, "a map of images", image);
    }
    let common = fields.take("common");
    let groups = fields.take("groups");
    spec.guests = guest::guests(&mut d, common, groups, fields.take("guests"));
    if let Some(node) = fields.take("moved") {
        spec.moved = moved::moves(&mut d, node);
    }
    if let Some(node) = fields.take("host") {
        spec.host = host::host(&mut d, node).unwrap_or_default();
    }
    fields.finish(&mut d, "a lab");
    spec
}

/// Where a definition says, or should say, how it is called.
fn begins(root: &Node) -> Span {
    let Value::Mapping(entries) = &root.value else {
        return root.span;
    };
    let null = entries.get_key_value("lab");
    let place = null.or_else(|| entries.first());
    place.map_or(root.span, |(key, _)| key.span)
}

/// Decodes a map of things under names.
pub(super) fn named<T: Default>(
    d: &mut Decoder<'_>,
    node: &Node,
    what: &str,
    mut decode: impl FnMut(&mut Decoder<'_>, &Node, Span) -> Option<T>,
) -> Vec<Named<T>> {
    let entries = d.entries(node, what);
    // A guest's settings are large: they are not to be moved each time that there are twice as many.
    let mut all = Vec::with_capacity(entries.len());
    for (key, node) in entries {
        let before = d.count();
        let name = d.key(key);
        let spec = decode(d, node, key.span).unwrap_or_default();
        if let Some(name) = name {
            all.push(Named {
                key: name,
                flawed: d.count() > before,
                spec,
            });
        }
    }
    all
}

fn network(d: &mut Decoder<'_>, node: &Node, _: Span) -> Option<NetworkSpec> {
    let mut fields = d.fields(node, "the settings of a network")?;
    let mut spec = NetworkSpec {
        name: fields.take("name").and_then(|n| d.text(n)),
        ..NetworkSpec::default()
    };
    (spec.external, spec.reservations) = match fields.take("external") {
        Some(node) if matches!(node.value, Value::Mapping(_)) => (true, reservations(d, node)),
        node => (external(d, node), None),
    };
    if spec.external {
        refuse_more(d, &fields, "network", &[]);
        return Some(spec);
    }
    spec.mode = fields.take("mode").and_then(|n| d.choice(n, &MODES));
    spec.dev = fields.take("dev").and_then(|n| d.text(n));
    spec.bridge = fields.take("bridge").and_then(|n| d.text(n));
    spec.mtu = fields.take("mtu").and_then(|n| mtu(d, n));
    if let Some(node) = fields.take("address") {
        spec.addresses = d.one_or_list(node, Decoder::subnet);
    }
    spec.domain = fields.take("domain").and_then(|n| d.text(n));
    if let Some(node) = fields.take("dhcp") {
        spec.dhcp = dhcp(d, node);
    }
    if let Some(node) = fields.take("dns") {
        spec.dns = dns(d, node).unwrap_or_default();
    }
    spec.autostart = fields.take("autostart").and_then(|n| d.boolean(n));
    spec.prevent_destroy = fields.take("lifecycle").and_then(|n| lifecycle(d, n));
    spec.xml = fields.take("xml").and_then(|n| block_text(d, n));
    fields.finish(d, "a network");
    Some(spec)
}

/// The MTU of a bridge or NIC. IPv4 needs 68 bytes (RFC 791); 65535 is what libvirt takes.
pub(super) fn mtu(d: &mut Decoder<'_>, node: &Node) -> Given<u32> {
    d.integer(node, 68, 65535)
}

fn external(d: &mut Decoder<'_>, node: Option<&Node>) -> bool {
    node.and_then(|n| d.boolean(n)).is_some_and(|e| e.value)
}

/// `external: {reservations: true}`
fn reservations(d: &mut Decoder<'_>, node: &Node) -> Given<bool> {
    let mut fields = d.fields(node, "`true`, or `{reservations: true}`")?;
    let reservations = fields.take("reservations").and_then(|n| d.boolean(n));
    fields.finish(d, "`external`");
    reservations
}

fn refuse_more(
    d: &mut Decoder<'_>,
    fields: &super::decode::Fields<'_>,
    what: &str,
    known: &[&str],
) {
    for key in fields.given() {
        let key_text = key.text.as_str();
        if !matches!(key_text, "name" | "external") && !known.contains(&key_text) {
            d.report(
                Diagnostic::error(format!(
                    "`{}` has no effect on an external {what}",
                    key.text
                ))
                .at(key.span)
                .hint(format!(
                    "remove it: an external {what} is only referred to, by its `name`"
                )),
            );
        }
    }
}

fn dhcp(d: &mut Decoder<'_>, node: &Node) -> DhcpSpec {
    match &node.value {
        Value::Scalar(..) => match d.boolean(node) {
            Some(on) if on.value => DhcpSpec::Derived(on.span),
            Some(off) => DhcpSpec::Off(off.span),
            None => DhcpSpec::Reservations,
        },
        Value::Sequence(items) => {
            DhcpSpec::Ranges(items.iter().filter_map(|item| range(d, item)).collect())
        }
        Value::Mapping(_) => DhcpSpec::Ranges(range(d, node).into_iter().collect()),
    }
}

fn range(d: &mut Decoder<'_>, node: &Node) -> Option<RangeSpec> {
    let mut fields = d.fields(node, "a range, `{start: …, end: …}`")?;
    let (start, end) = (fields.take("start"), fields.take("end"));
    if start.is_none() || end.is_none() {
        d.report(
            Diagnostic::error("a DHCP range needs `start` and `end`")
                .at(node.span)
                .hint("write both, or `dhcp: true` for a range that is derived"),
        );
    }
    let start = start.and_then(|n| d.ip(n));
    let end = end.and_then(|n| d.ip(n));
    fields.finish(d, "a DHCP range");
    Some(RangeSpec {
        start: start?,
        end: end?,
    })
}

fn dns(d: &mut Decoder<'_>, node: &Node) -> Option<DnsSpec> {
    let mut fields = d.fields(node, "the settings of a name server")?;
    let mut spec = DnsSpec {
        span: Some(node.span),
        enabled: fields.take("enabled").and_then(|n| d.boolean(n)),
        local_only: fields.take("local_only").and_then(|n| d.boolean(n)),
        ..DnsSpec::default()
    };
    if let Some(node) = fields.take("hosts") {
        for (key, node) in d.entries(node, "a map of names and addresses") {
            let ips = d.one_or_list(node, Decoder::ip);
            spec.hosts.push((spanned_key(key), ips));
        }
    }
    if let Some(node) = fields.take("forwarders") {
        for item in d.list(node, "a list of name servers") {
            spec.forwarders.extend(forwarder(d, item));
        }
    }
    if let Some(node) = fields.take("srv") {
        for item in d.list(node, "a list of SRV records") {
            spec.srv.extend(srv(d, item));
        }
    }
    if let Some(node) = fields.take("txt") {
        for (key, node) in d.entries(node, "a map of names and texts") {
            if let Some(text) = d.text(node) {
                spec.txt.push((spanned_key(key), text.value));
            }
        }
    }
    fields.finish(d, "`dns`");
    Some(spec)
}

fn spanned_key(key: &super::yaml::Key) -> Spanned<String> {
    Spanned {
        value: key.text.clone(),
        span: key.span,
    }
}

fn forwarder(d: &mut Decoder<'_>, node: &Node) -> Option<(Given<IpAddr>, Given<String>)> {
    if let Value::Scalar(..) = node.value {
        return Some((Some(d.ip(node)?), None));
    }
    let mut fields = d.fields(node, "an address, or `{domain: …, address: …}`")?;
    let address = fields.take("address").and_then(|n| d.ip(n));
    let domain = fields.take("domain").and_then(|n| d.text(n));
    if fields.given().next().is_none() {
        d.report(Diagnostic::error("a forwarder needs an `address` or a `domain`").at(node.span));
    }
    fields.finish(d, "a forwarder");
    Some((address, domain))
}

fn srv(d: &mut Decoder<'_>, node: &Node) -> Option<SrvSpec> {
    let mut fields = d.fields(
        node,
        "an SRV record, `{service: …, protocol: …, target: …}`",
    )?;
    let (service, protocol) = (fields.take("service"), fields.take("protocol"));
    if service.is_none() || protocol.is_none() {
        d.report(
            Diagnostic::error("an SRV record needs `service` and `protocol`")
                .at(node.span)
                .hint("write `service: ldap, protocol: tcp`"),
        );
    }
    let service = service.and_then(|n| d.text(n));
    let protocol = protocol.and_then(|n| d.choice(n, &[("tcp", "tcp"), ("udp", "udp")]));
    let domain = fields.take("domain").and_then(|n| d.text(n));
    let target = fields.take("target").and_then(|n| d.text(n));
    let port = fields.take("port").and_then(|n| d.integer(n, 1, u16::MAX));
    let priority = fields
        .take("priority")
        .and_then(|n| d.integer(n, 0, u16::MAX));
    let weight = fields
        .take("weight")
        .and_then(|n| d.integer(n, 0, u16::MAX));
    fields.finish(d, "an SRV record");
    Some(SrvSpec {
        service: service?,
        protocol: protocol?.value,
        domain,
        target,
        port,
        priority,
        weight,
    })
}

fn pool(d: &mut Decoder<'_>, node: &Node, _: Span) -> Option<PoolSpec> {
    let mut fields = d.fields(node, "the settings of a pool")?;
    let mut spec = PoolSpec {
        name: fields.take("name").and_then(|n| d.text(n)),
        external: external(d, fields.take("external")),
        ..PoolSpec::default()
    };
    // Where an external pool is, is for what is compiled without asking a hypervisor.
    spec.path = fields.take("path").and_then(|n| d.text(n));
    if spec.external {
        refuse_more(d, &fields, "pool", &["path"]);
        return Some(spec);
    }
    spec.kind = fields.take("type").and_then(|n| d.choice(n, &POOL_TYPES));
    spec.autostart = fields.take("autostart").and_then(|n| d.boolean(n));
    spec.prevent_destroy = fields.take("lifecycle").and_then(|n| lifecycle(d, n));
    spec.xml = fields.take("xml").and_then(|n| block_text(d, n));
    fields.finish(d, "a pool");
    Some(spec)
}

fn image(d: &mut Decoder<'_>, node: &Node, key: Span) -> Option<ImageSpec> {
    let mut fields = d.fields(node, "the settings of an image")?;
    let (pool, source) = (fields.take("pool"), fields.take("source"));
    for (setting, node) in [("pool", pool), ("source", source)] {
        if node.is_none() {
            d.report(
                Diagnostic::error(format!("an image needs `{setting}`"))
                    .at(key)
                    .hint("write `{pool: POOL, source: FILE}`"),
            );
        }
    }
    let spec = ImageSpec {
        pool: pool.and_then(|n| d.name(n)),
        source: source.and_then(|n| d.text(n)),
        format: fields.take("format").and_then(|n| d.choice(n, &FORMATS)),
        sha256: fields.take("sha256").and_then(|n| d.text(n)),
        prevent_destroy: fields.take("lifecycle").and_then(|n| lifecycle(d, n)),
    };
    fields.finish(d, "an image");
    Some(spec)
}

/// `lifecycle: {prevent_destroy: true}`
pub(super) fn lifecycle(d: &mut Decoder<'_>, node: &Node) -> Given<bool> {
    let mut fields = d.fields(node, "`{prevent_destroy: true}`")?;
    let prevent = fields.take("prevent_destroy").and_then(|n| d.boolean(n));
    fields.finish(d, "`lifecycle`");
    prevent
}

/// The text of an XML overlay.
pub(super) fn block_text(d: &mut Decoder<'_>, node: &Node) -> Given<BlockText> {
    match &node.value {
        Value::Scalar(text, style) => Some(Spanned {
            value: BlockText {
                text: text.clone(),
                style: *style,
            },
            span: node.span,
        }),
        Value::Sequence(_) | Value::Mapping(_) => {
            d.report(
                Diagnostic::error(format!("expected XML as text, found {}", node.describe()))
                    .at(node.span)
                    .hint("write `xml: |` and the XML on the lines below"),
            );
            None
        }
    }
}
