//! Networks as written.

use std::net::IpAddr;

use super::guest::BandwidthSpec;
use super::{LifecycleSpec, Xml};
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::attributes::{
    Address, ByText, Duration, Keys as _, Kind, Map, Nested, OneOrList, Optional, Subnet, Switch,
    Text, Type, Way, Whole, Word, at, has, object, text_of, words,
};
use crate::lab::decode::{Decoder, Given, Spanned};
use crate::lab::model::NetworkMode;
use crate::lab::yaml::{Node, Value};

words! {
    /// The modes of networks.
    Modes: NetworkMode = ["nat" => NetworkMode::Nat, "route" => NetworkMode::Route, "open" => NetworkMode::Open, "isolated" => NetworkMode::Isolated, "bridge" => NetworkMode::Bridge];
}

/// The MTU of a bridge or NIC. IPv4 needs 68 bytes (RFC 791); 65535 is what libvirt takes.
pub type Mtu = Whole<u32, 68, 65535>;

/// What is to be said of what ports of Open vSwitch have.
const OVS_KEEPS: &str = "those on Open vSwitch stay as they are until their guests restart";

/// What is to be said of a network's MTU.
const GUESTS_KEEP: &str = "running guests keep the MTU of their NICs until they restart";

object! {
    /// A network as written.
    NetworkSpec: "a network" / "networks", "the settings of a network", before if_external {
        /// Its name in libvirt.
        name: Text [default: "its key", xml: [at("network/name").by(Way::ReplaceNetwork)]],
        /// It exists: it is referred to, and never created, changed or deleted. With `{reservations: true}` it gets reservations for
        /// guests that have an `ip`; with `{reservations: false}` others make them.
        external: External [default: "`false`"],
        /// How it reaches the world: with address translation, without, without libvirt's firewall rules either, not at all, or by
        /// a bridge that the host has.
        mode: Word<Modes> [default: "`nat`", xml: [
            at("network/forward").put_back().says("{@mode}").absent("isolated"),
            at("network/forward@mode").put_back(),
        ]],
        /// The device of the host by which alone it is left; modes nat and route.
        dev: Text [xml: [at("network/forward@dev").put_back()]],
        /// The name of the bridge, of up to 15 characters; in mode bridge one that the host has.
        bridge: Text [default: "chosen by libvirt", xml: [at("network/bridge@name").put_back()]],
        /// The MTU in bytes.
        mtu: Mtu [xml: [at("network/mtu").put_back().says("{@size}").more(GUESTS_KEEP), at("network/mtu@size").more(GUESTS_KEEP)]],
        /// The host's own address there, with the length of its prefix; several for dual stack.
        address: OneOrList<Subnet> [xml: [
            at("network/ip").says("{@address}/{@prefix}"),
            at("network/ip@address"),
            at("network/ip@prefix").named("address.prefix"),
        ]],
        /// How addresses are translated; mode nat.
        nat: Optional<NatSpec> [xml: [at("network/forward/nat")]],
        /// Subnets behind others of its hosts.
        routes: Routes [xml: [
            at("network/route").says("{@address}/{@prefix} via {@gateway}"),
            at("network/route@gateway").named("routes.*.via"),
            at("network/route@metric").named("routes.*.metric"),
        ]],
        /// Kinds of connections that guests' NICs can choose, by name.
        portgroups: Map<PortGroupSpec> [xml: [
            at("network/portgroup")
                .by(Way::UpdateNetwork)
                .more("NICs that are plugged in keep what they have until they are plugged in again"),
            at("network/portgroup/vlan").named("portgroups.*.vlan"),
            at("network/portgroup/vlan/tag").named("portgroups.*.vlan.tags").says("{@id}"),
            at("network/portgroup/bandwidth").named("portgroups.*.bandwidth"),
        ]],
        /// The VLAN of its guests, or several; mode bridge, with `openvswitch`, or without from libvirt 11.0 on.
        vlan: Optional<VlanSpec> [xml: [
            at("network/vlan").put_back().by(Way::RestartNetwork).more(OVS_KEEPS),
            at("network/vlan/tag").named("vlan.tags").says("{@id}"),
        ]],
        /// The bridge is one of Open vSwitch; mode bridge.
        openvswitch: Switch [default: "`false`", xml: [at("network/virtualport").put_back().says("{@type}").by(Way::RestartNetwork).more(OVS_KEEPS)]],
        /// How much may go through it, to and from all of its guests.
        bandwidth: Nested<BandwidthSpec> [xml: [at("network/bandwidth").put_back()]],
        /// The DNS domain of its guests.
        domain: Text [xml: [at("network/domain").put_back().says("{@name}"), at("network/domain@name")]],
        /// `true` is a derived range, `false` no DHCP at all; or a range, or a list of ranges; or a map with more. Where it is not
        /// given, DHCP gives guests the `ip` that they have, and no one else any.
        dhcp: Dhcp [xml: [
            at("network/ip/dhcp"),
            at("network/ip/dhcp/range")
                .named("dhcp.range")
                .says("{@start} - {@end}")
                .by(Way::UpdateNetwork)
                .more("dnsmasq restarts and keeps its leases"),
            at("network/ip/dhcp/host")
                .named("dhcp.hosts.*")
                .says("{@mac} {@ip}")
                .by(Way::UpdateNetwork)
                .more("dnsmasq goes on. By `ip` of guests' NICs. Three or more on a network that no guest runs on: one restart, which is faster"),
            at("network/ip/dhcp/host@mac").named("dhcp.hosts.*.mac"),
            at("network/ip/dhcp/host@ip").named("dhcp.hosts.*.ip"),
            at("network/ip/dhcp/host@name").named("dhcp.hosts.*.name"),
        ]],
        /// A directory of the hypervisor's host whose files it serves by TFTP. Needs an IPv4 address.
        tftp: Text [xml: [at("network/ip/tftp").put_back().says("{@root}"), at("network/ip/tftp@root")]],
        /// What guests boot that boot from it. Needs an IPv4 address.
        bootp: Optional<BootpSpec> [xml: [at("network/ip/dhcp/bootp").put_back().says("{@file} {@server}")]],
        /// Its name server.
        dns: Nested<DnsSpec>,
        /// It starts with the host.
        autostart: Switch [default: "`true`"],
        /// What may become of it.
        lifecycle: Nested<LifecycleSpec>,
        /// Merged into libvirt's XML.
        xml: Xml,
    }
}

/// Reads a network that exists: all else has no effect.
fn if_external(d: &mut Decoder<'_>, node: &Node, _: Span) -> Option<NetworkSpec> {
    let external = node.given("external")?;
    let is_meant = match &external.value {
        Value::Mapping(_) => true,
        Value::Scalar(text, _) => text.eq_ignore_ascii_case("true"),
        Value::Sequence(_) => false,
    };
    if !is_meant {
        return None;
    }
    let external = External::decode(d, external);
    if !external.is {
        return None;
    }
    let spec = NetworkSpec {
        name: node.given("name").and_then(|name| d.text(name)),
        external,
        ..NetworkSpec::default()
    };
    refuse_more(d, node, "network", &[]);
    Some(spec)
}

/// Says of what an external network or pool has besides that it has no effect.
pub(super) fn refuse_more(d: &mut Decoder<'_>, node: &Node, what: &str, known: &[&str]) {
    let Value::Mapping(entries) = &node.value else {
        return;
    };
    let given = entries.iter().filter(|(_, value)| !value.is_null());
    for (key, _) in given {
        let text = key.text.as_str();
        if !matches!(text, "name" | "external") && !known.contains(&text) {
            d.report(
                Diagnostic::error(format!("`{text}` has no effect on an external {what}"))
                    .at(key.span)
                    .hint(format!(
                        "remove it: an external {what} is only referred to, by its `name`"
                    )),
            );
        }
    }
}

/// Whether a network exists already, and who makes reservations there.
#[derive(Debug, Clone, Default)]
pub struct External {
    /// It does.
    pub is: bool,
    /// `external.reservations`
    pub reservations: Given<bool>,
}

object! {
    /// `external` as a map.
    ExternalSpec: "`external`" / "external networks", "`true`, or `{reservations: true}`" {
        /// The lab makes reservations there for its guests that have an `ip`; `false`: others do.
        reservations: Switch,
    }
}

impl Kind for External {
    type Field = Self;
    const TYPE: Type = Type::OneOf(&[Type::Boolean, ExternalSpec::TYPE]);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self {
        match node.value {
            Value::Mapping(_) => Self {
                is: true,
                reservations: Nested::<ExternalSpec>::decode(d, node).reservations,
            },
            Value::Scalar(..) | Value::Sequence(_) => Self {
                is: d.boolean(node).is_some_and(|external| external.value),
                reservations: None,
            },
        }
    }
}

/// `dhcp` of a network.
#[derive(Debug, Clone, Default)]
pub struct DhcpSpec {
    /// Who gets an address.
    pub leases: Leases,
    /// For how long, in seconds; 0 is for ever.
    pub lease: Given<u64>,
    /// What else its server is told.
    pub options: Vec<Spanned<String>>,
    /// Where it is given, if not as `false`.
    pub span: Option<Span>,
}

/// Who gets an address by DHCP.
#[derive(Debug, Clone, Default)]
pub enum Leases {
    /// Not given: no range, and what the guests have by `ip`.
    #[default]
    Reservations,
    /// `false`: nobody.
    Off(Span),
    /// `true`: all, of a range for each family of addresses.
    Derived(Span),
    /// All, of these ranges.
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

object! {
    /// A range of addresses as written.
    RangeKeys: "a DHCP range" / "DHCP ranges", "a range, `{start: …, end: …}`", after range_is_whole {
        /// Its first address. Needed.
        start: Address,
        /// Its last address. Needed.
        end: Address,
    }
}

fn range_is_whole(_: &mut RangeKeys, d: &mut Decoder<'_>, node: &Node, _: Span) {
    if !has(node, "start") || !has(node, "end") {
        d.report(
            Diagnostic::error("a DHCP range needs `start` and `end`")
                .at(node.span)
                .hint("write both, or `dhcp: true` for a range that is derived"),
        );
    }
}

object! {
    /// `dhcp` of a network as a map.
    DhcpKeys: "`dhcp`" / "DHCP settings", "a range, `{start: …, end: …}`", after dhcp_is_whole {
        /// The first address of its only range.
        start: Address,
        /// The last address of that.
        end: Address,
        /// `true` is a derived range; or a list of ranges. Without any range, DHCP gives guests the `ip` that they have.
        ranges: Ranges,
        /// How long an address is a guest's before it asks again, 2 minutes or more; `infinite` is for ever.
        lease: Lease [default: "`1h`, dnsmasq's", xml: [
            at("network/ip/dhcp/range/lease").put_back().named("dhcp.lease"),
            at("network/ip/dhcp/range/lease@expiry").named("dhcp.lease"),
            at("network/ip/dhcp/host/lease").put_back().named("dhcp.hosts.*.lease"),
            at("network/ip/dhcp/host/lease@expiry").named("dhcp.hosts.*.lease"),
        ]],
        /// Lines for dnsmasq's configuration file, as `dhcp-option=option:ntp-server,192.168.155.1`. libvirt takes them unseen.
        options: Options [xml: [
            at("network/dnsmasq:options"),
            at("network/dnsmasq:options/dnsmasq:option").says("{@value}"),
            at("network/dnsmasq:options/dnsmasq:option@value"),
        ]],
    }
}

fn dhcp_is_whole(spec: &mut DhcpKeys, d: &mut Decoder<'_>, node: &Node, _: Span) {
    let (start, end) = (has(node, "start"), has(node, "end"));
    if start != end || matches!(&node.value, Value::Mapping(keys) if keys.is_empty()) {
        d.report(
            Diagnostic::error("a DHCP range needs `start` and `end`")
                .at(node.span)
                .hint("write both, or `dhcp: true` for a range that is derived"),
        );
    }
    let both = spec.start.as_ref().zip(node.given("ranges"));
    if let Some((start, ranges)) = both {
        d.report(
            Diagnostic::error("`dhcp` has one range by `start` and `end`, or several by `ranges`")
                .at(ranges.span)
                .related(Some(start.span), "the one range")
                .hint("put it into the list"),
        );
    }
}

/// Ranges in a map, or whether one is derived.
#[derive(Debug)]
pub struct Ranges;

impl Kind for Ranges {
    type Field = Leases;
    const TYPE: Type = Type::OneOf(&[Type::Boolean, Type::List(&RangeKeys::TYPE)]);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Leases {
        if let Value::Scalar(..) = node.value {
            return match d.boolean(node) {
                Some(on) if on.value => Leases::Derived(on.span),
                Some(_) | None => Leases::Reservations,
            };
        }
        ranges(d, items_of(node))
    }
}

/// A list, or the only thing in it.
fn items_of(node: &Node) -> &[Node] {
    match &node.value {
        Value::Sequence(items) => items,
        Value::Scalar(..) | Value::Mapping(_) => std::slice::from_ref(node),
    }
}

fn ranges(d: &mut Decoder<'_>, items: &[Node]) -> Leases {
    let ranges = items.iter().filter_map(|item| {
        let RangeKeys { start, end } = RangeKeys::decode(d, item, item.span)?;
        Some(RangeSpec {
            start: start?,
            end: end?,
        })
    });
    Leases::Ranges(ranges.collect())
}

/// A time that an address is leased for, in seconds; 0 is for ever.
#[derive(Debug)]
pub struct Lease;

/// The word for a lease without an end.
const FOR_EVER: &str = "infinite";

impl Kind for Lease {
    type Field = Given<u64>;
    const TYPE: Type = Type::OneOf(&[Type::Duration, Type::Word(|| vec![FOR_EVER])]);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        if matches!(&node.value, Value::Scalar(text, _) if text == FOR_EVER) {
            return Some(Spanned {
                value: 0,
                span: node.span,
            });
        }
        let lease = Duration::decode(d, node)?;
        // What libvirt takes.
        if !(120..=u64::from(u32::MAX)).contains(&lease.value) {
            d.report(
                Diagnostic::error("a lease is for 2 minutes or more")
                    .at(lease.span)
                    .hint("write `2m` or `12h`, or `infinite`"),
            );
            return None;
        }
        Some(lease)
    }
}

/// A list of texts.
#[derive(Debug)]
pub struct Options;

impl Kind for Options {
    type Field = Vec<Spanned<String>>;
    const TYPE: Type = Type::List(&Type::Text);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        let items = d.list(node, "a list of lines for dnsmasq").iter();
        items.filter_map(|item| d.text(item)).collect()
    }
}

/// `dhcp`.
#[derive(Debug)]
pub struct Dhcp;

impl Kind for Dhcp {
    type Field = DhcpSpec;
    const TYPE: Type = Type::OneOf(&[Type::Boolean, Type::OneOrList(&DhcpKeys::TYPE)]);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> DhcpSpec {
        let mut spec = DhcpSpec {
            span: Some(node.span),
            ..DhcpSpec::default()
        };
        match &node.value {
            Value::Scalar(..) => match d.boolean(node) {
                Some(on) if on.value => spec.leases = Leases::Derived(on.span),
                Some(off) => {
                    spec.leases = Leases::Off(off.span);
                    spec.span = None;
                }
                None => {}
            },
            Value::Sequence(items) => spec.leases = ranges(d, items),
            Value::Mapping(_) => {
                let keys = DhcpKeys::decode(d, node, node.span).unwrap_or_default();
                spec.leases = match (keys.start, keys.end) {
                    (Some(start), Some(end)) => Leases::Ranges(vec![RangeSpec { start, end }]),
                    (Some(_), None) | (None, _) => keys.ranges,
                };
                spec.lease = keys.lease;
                spec.options = keys.options;
            }
        }
        spec
    }
}

object! {
    /// `bootp` of a network as written.
    BootpSpec: "`bootp`" / "boot servers", "a file, or `{file: …, server: …}`", scalar file(Text) {
        /// The file, as the server knows it.
        file: Text [needed: "write `file: pxelinux.0`", xml: [at("network/ip/dhcp/bootp@file")]],
        /// The address of the TFTP server that has it.
        server: Address [default: "the host", xml: [at("network/ip/dhcp/bootp@server")]],
    }
}

object! {
    /// `nat` of a network as written.
    NatSpec: "`nat`" / "translations", "`{ports: START-END, addresses: START-END, ipv6: true}`" {
        /// The ports that connections get on the host, from one to another.
        ports: Text [default: "1024 to 65535", xml: [
            at("network/forward/nat/port").says("{@start}-{@end}"),
            at("network/forward/nat/port@start").named("nat.ports.start"),
            at("network/forward/nat/port@end").named("nat.ports.end"),
        ]],
        /// The host's IPv4 addresses that they get, one, or from one to another.
        addresses: Text [default: "that of the device they leave by", xml: [
            at("network/forward/nat/address").says("{@start}-{@end}"),
            at("network/forward/nat/address@end").named("nat.addresses.end"),
        ]],
        /// IPv6 addresses are translated, too; else they are routed.
        ipv6: Switch [default: "`false`", xml: [at("network/forward/nat@ipv6")]],
    }
}

object! {
    /// A route as written.
    RouteSpec: "a route" / "routes", "a route, `{to: 10.0.0.0/8, via: 192.168.155.2}`" {
        /// The subnet.
        to: Subnet [needed: "write `to: 10.0.0.0/8`"],
        /// The host on the network that leads there.
        via: Address [needed: "write `via: ADDRESS`, that of a host on the network"],
        /// Lower ones are taken first.
        metric: Whole<u32, 1, 4_294_967_295>,
    }
}

/// A list of routes.
#[derive(Debug)]
pub struct Routes;

impl Kind for Routes {
    type Field = Vec<RouteSpec>;
    const TYPE: Type = Type::List(&RouteSpec::TYPE);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        let items = d.list(node, "a list of routes").iter();
        let routes = items.filter_map(|item| RouteSpec::decode(d, item, item.span));
        routes.collect()
    }
}

object! {
    /// A port group as written.
    PortGroupSpec: "a port group" / "port groups", "the settings of a port group" {
        /// It is for NICs that choose none.
        default: Switch [default: "`false`", xml: [at("network/portgroup@default")]],
        /// The VLAN of its NICs, or several; where the network can have a `vlan`.
        vlan: Optional<VlanSpec>,
        /// How fast each of its NICs may be.
        bandwidth: Nested<BandwidthSpec>,
    }
}

/// The number of a VLAN (IEEE 802.1Q).
pub type VlanTag = Whole<u16, 1, 4094>;

object! {
    /// VLANs as written.
    VlanSpec: "`vlan`" / "VLANs", "a VLAN's number, a list of them, or `{tags: …, trunk: true}`",
        short tags(OneOrList<VlanTag>) {
        /// The number of the VLAN, or several.
        tags: OneOrList<VlanTag> [needed: "write `tags: 42`"],
        /// The guest gets packets with the number on them. Several VLANs are always a trunk.
        trunk: Switch [default: "where there are several"],
    }
}

object! {
    /// `dns` of a network.
    DnsSpec: "`dns`" / "name servers", "the settings of a name server", after place_of_dns {
        /// There is a name server.
        enabled: Switch [default: "`true`", xml: [at("network/dns@enable").put_back()]],
        /// What it does not know of `domain` nobody else is asked for.
        local_only: Switch [default: "`true`", xml: [at("network/domain@localOnly")]],
        /// Names, each with its address or addresses. Guests with an `ip` are in it already.
        hosts: Hosts [xml: [
            at("network/dns/host").says("{@ip}").by(Way::UpdateNetwork).more("dnsmasq goes on"),
            at("network/dns/host/hostname"),
        ]],
        /// Whom to ask for all else, each an address, or of a domain alone.
        forwarders: Forwarders [default: "the host's resolver", xml: [
            at("network/dns/forwarder").says("{@domain} {@addr}"),
        ]],
        /// SRV records.
        srv: Srvs [xml: [
            at("network/dns/srv").named("dns.srv.*").says("{@target}:{@port}").by(Way::UpdateNetwork).more("dnsmasq restarts"),
        ]],
        /// TXT records, by name.
        txt: Txts [xml: [
            at("network/dns/txt").says("{@value}").by(Way::UpdateNetwork).more("dnsmasq restarts"),
            at("network/dns/txt@value"),
        ]],
    } with {
        /// Where it is given.
        span: Option<Span>,
    }
}

fn place_of_dns(spec: &mut DnsSpec, _: &mut Decoder<'_>, node: &Node, _: Span) {
    spec.span = Some(node.span);
}

/// Names with their addresses.
#[derive(Debug)]
pub struct Hosts;

impl Kind for Hosts {
    type Field = ByText<Vec<Spanned<IpAddr>>>;
    const TYPE: Type = Type::Map(&OneOrList::<Address>::TYPE);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        let entries = d.entries(node, "a map of names and addresses").into_iter();
        let hosts = entries.map(|(key, node)| (text_of(key), d.one_or_list(node, Decoder::ip)));
        hosts.collect()
    }
}

/// Names with their texts.
#[derive(Debug)]
pub struct Txts;

impl Kind for Txts {
    type Field = ByText<String>;
    const TYPE: Type = Type::Map(&Type::Text);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        let entries = d.entries(node, "a map of names and texts").into_iter();
        let texts = entries.filter_map(|(key, node)| Some((text_of(key), d.text(node)?.value)));
        texts.collect()
    }
}

object! {
    /// A name server that is asked, as written.
    ForwarderSpec: "a forwarder" / "forwarders", "an address, or `{domain: …, address: …}`",
        scalar address(Address), after forwarder_is_one {
        /// The address of the name server.
        address: Address,
        /// The domain that it alone is asked for.
        domain: Text,
    }
}

fn forwarder_is_one(_: &mut ForwarderSpec, d: &mut Decoder<'_>, node: &Node, _: Span) {
    if matches!(&node.value, Value::Mapping(entries) if entries.iter().all(|(_, value)| value.is_null()))
    {
        let problem = Diagnostic::error("a forwarder needs an `address` or a `domain`");
        d.report(problem.at(node.span));
    }
}

/// A list of name servers.
#[derive(Debug)]
pub struct Forwarders;

impl Kind for Forwarders {
    type Field = Vec<ForwarderSpec>;
    const TYPE: Type = Type::List(&ForwarderSpec::TYPE);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        let items = d.list(node, "a list of name servers").iter();
        let forwarders = items.filter_map(|item| ForwarderSpec::decode(d, item, item.span));
        forwarders
            .filter(|it| it.address.is_some() || it.domain.is_some())
            .collect()
    }
}

words! {
    /// The protocols of SRV records.
    Protocols: &'static str = ["tcp", "udp"];
}

object! {
    /// An SRV record as written (RFC 2782).
    SrvSpec: "an SRV record" / "SRV records", "an SRV record, `{service: …, protocol: …, target: …}`",
        after srv_is_whole {
        /// The service. Needed.
        service: Text,
        /// Its protocol. Needed.
        protocol: Word<Protocols>,
        /// The domain that it is of.
        domain: Text,
        /// The host that has it.
        target: Text,
        /// Its port there.
        port: Whole<u16, 1, 65535>,
        /// Its priority: lower ones are tried first.
        priority: Whole<u16, 0, 65535>,
        /// Its weight among those of one priority.
        weight: Whole<u16, 0, 65535>,
    }
}

fn srv_is_whole(_: &mut SrvSpec, d: &mut Decoder<'_>, node: &Node, _: Span) {
    if !has(node, "service") || !has(node, "protocol") {
        d.report(
            Diagnostic::error("an SRV record needs `service` and `protocol`")
                .at(node.span)
                .hint("write `service: ldap, protocol: tcp`"),
        );
    }
}

/// A list of SRV records.
#[derive(Debug)]
pub struct Srvs;

impl Kind for Srvs {
    type Field = Vec<SrvSpec>;
    const TYPE: Type = Type::List(&SrvSpec::TYPE);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        let items = d.list(node, "a list of SRV records").iter();
        let records = items.filter_map(|item| SrvSpec::decode(d, item, item.span));
        records
            .filter(|it| it.service.is_some() && it.protocol.is_some())
            .collect()
    }
}
