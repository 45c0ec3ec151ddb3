//! Networks as written.

use std::net::IpAddr;

use super::{LifecycleSpec, Xml};
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::attributes::{
    Address, ByText, Keys as _, Kind, Nested, OneOrList, Subnet, Switch, Text, Type, Way, Whole,
    Word, at, has, object, text_of, words,
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
        /// The DNS domain of its guests.
        domain: Text [xml: [at("network/domain").put_back().says("{@name}"), at("network/domain@name")]],
        /// `true` is a derived range, `false` no DHCP at all; or a range, or a list of ranges. Where it is not given, DHCP gives guests
        /// the `ip` that they have, and no one else any.
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

/// `dhcp`.
#[derive(Debug)]
pub struct Dhcp;

impl Kind for Dhcp {
    type Field = DhcpSpec;
    const TYPE: Type = Type::OneOf(&[Type::Boolean, Type::OneOrList(&RangeKeys::TYPE)]);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> DhcpSpec {
        let items = match &node.value {
            Value::Scalar(..) => {
                return match d.boolean(node) {
                    Some(on) if on.value => DhcpSpec::Derived(on.span),
                    Some(off) => DhcpSpec::Off(off.span),
                    None => DhcpSpec::Reservations,
                };
            }
            Value::Sequence(items) => items.as_slice(),
            Value::Mapping(_) => std::slice::from_ref(node),
        };
        let ranges = items.iter().filter_map(|item| {
            let RangeKeys { start, end } = RangeKeys::decode(d, item, item.span)?;
            Some(RangeSpec {
                start: start?,
                end: end?,
            })
        });
        DhcpSpec::Ranges(ranges.collect())
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
