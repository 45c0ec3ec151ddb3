//! Networks: their addresses, ranges, names and bridges.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::{Resolver, lifecycle, value, value_or};
use crate::address::Address;
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::decode::{Given, Spanned};
use crate::lab::model::{DhcpRange, Dns, Network, NetworkMode};
use crate::lab::written::Named;
use crate::lab::written::network::{Leases, NetworkSpec, RangeSpec};

/// The most addresses that libvirt takes in one DHCP range.
const MAX_RANGE: u128 = 65_535;

impl Resolver<'_> {
    /// Resolves the networks, without what their guests bring.
    pub(super) fn networks(&mut self, specs: &[Named<NetworkSpec>]) {
        let mut names = Vec::new();
        for named in specs {
            let name = self.libvirt_name(&named.key, &named.spec.name);
            names.push(name.clone());
            let network = self.network(named, name.value);
            let address = Address::network(&named.key.value);
            self.lab.places.insert(address, named.key.span);
            if network.external {
                let reservations = Address::reservations(&named.key.value);
                self.lab.places.insert(reservations, named.key.span);
            }
            self.lab.networks.insert(named.key.value.clone(), network);
        }
        self.check_unique_names("network", &names);
        self.check_bridges(specs);
        self.check_overlaps(specs);
    }

    fn network(&mut self, named: &Named<NetworkSpec>, name: String) -> Network {
        let spec = &named.spec;
        let mode = value_or(&spec.mode, NetworkMode::Nat);
        let mut network = Network {
            key: named.key.value.clone(),
            name,
            external: spec.external.is,
            uuid: Address::network(&named.key.value).uuid(&self.lab.name),
            mode,
            forward_dev: value(&spec.dev),
            bridge: value(&spec.bridge),
            openvswitch: false,
            mtu: value(&spec.mtu),
            nat: None,
            routes: Vec::new(),
            portgroups: Vec::new(),
            vlan: None,
            bandwidth: None,
            addresses: spec.address.iter().map(|address| address.value).collect(),
            domain: value(&spec.domain),
            dhcp: Vec::new(),
            dhcp_lease: value(&spec.dhcp.lease),
            dhcp_options: spec
                .dhcp
                .options
                .iter()
                .map(|it| it.value.clone())
                .collect(),
            tftp: value(&spec.tftp),
            bootp: None,
            reserves: match spec.external.is {
                true => value_or(&spec.external.reservations, false),
                false => !matches!(spec.dhcp.leases, Leases::Off(_)),
            },
            dhcp_hosts: Vec::new(),
            dns: Dns::default(),
            autostart: value_or(&spec.autostart, true),
            lifecycle: lifecycle(&spec.lifecycle.prevent_destroy),
            xml: None,
        };
        if spec.external.is {
            return network;
        }
        self.check_mode(named, mode);
        if let Some(bridge) = &spec.bridge {
            self.check_bridge_name(bridge);
        }
        if let Some(domain) = &spec.domain {
            self.check_domain(domain, "a domain");
        }
        for address in &spec.address {
            self.check_host_address(address);
        }
        network.dhcp = match &spec.dhcp.leases {
            Leases::Reservations | Leases::Off(_) => Vec::new(),
            Leases::Derived(span) => self.derived_ranges(&spec.address, *span, named.flawed),
            Leases::Ranges(ranges) => self.ranges(ranges, &spec.address, named.flawed),
        };
        self.connections(named, &mut network);
        network.dns = self.dns(&spec.dns, spec.domain.is_some() || named.flawed);
        network.xml = self.overlay(&spec.xml, "network");
        network
    }

    /// What goes with a mode and what does not.
    fn check_mode(&mut self, named: &Named<NetworkSpec>, mode: NetworkMode) {
        let spec = &named.spec;
        let place = spec.mode.as_ref().map_or(named.key.span, |mode| mode.span);
        match mode {
            NetworkMode::Bridge => {
                let given = |text: &Given<String>| text.as_ref().map(|text| text.span);
                let unfit = [
                    ("address", spec.address.first().map(|a| a.span)),
                    ("dhcp", spec.dhcp.span),
                    (
                        "routes",
                        spec.routes
                            .first()
                            .and_then(|it| Some(it.to.as_ref()?.span)),
                    ),
                    ("tftp", given(&spec.tftp)),
                    ("bootp", spec.bootp.as_ref().and_then(|it| given(&it.file))),
                    ("dns", spec.dns.span),
                    ("domain", given(&spec.domain)),
                    ("dev", given(&spec.dev)),
                    ("mtu", spec.mtu.as_ref().map(|m| m.span)),
                ];
                for (key, span) in unfit {
                    if let Some(span) = span {
                        self.report(
                            Diagnostic::error(format!("`{key}` has no effect in mode `bridge`"))
                                .at(span)
                                .hint("remove it: who runs the bridge decides it"),
                        );
                    }
                }
                if spec.bridge.is_none() && !named.flawed {
                    self.report(
                        Diagnostic::error("mode `bridge` needs the bridge that guests join")
                            .at(place)
                            .hint("write `bridge: NAME` with a bridge that the host has"),
                    );
                }
            }
            NetworkMode::Isolated | NetworkMode::Open => {
                if let Some(dev) = &spec.dev {
                    self.report(
                        Diagnostic::error("`dev` goes with the modes `nat` and `route` only")
                            .at(dev.span)
                            .hint("remove it, or choose one of these modes"),
                    );
                }
            }
            NetworkMode::Nat | NetworkMode::Route => {}
        }
        let forwards = match mode {
            NetworkMode::Nat => Some("nat"),
            NetworkMode::Route => Some("route"),
            NetworkMode::Open => Some("open"),
            NetworkMode::Isolated | NetworkMode::Bridge => None,
        };
        if let Some(mode) = forwards
            && spec.address.is_empty()
            && !named.flawed
        {
            self.report(
                Diagnostic::error(format!("mode `{mode}` needs the network's address"))
                    .at(place)
                    .hint("write `address: 192.168.155.1/24`, or `mode: isolated`"),
            );
        }
    }

    /// The host's own address has to be one that a host can have.
    fn check_host_address(&mut self, address: &Spanned<IpNet>) {
        let ip = address.value.addr();
        if ip.is_loopback()
            || ip.is_multicast()
            || ip.is_unspecified()
            || address.value.prefix_len() == 0
        {
            self.report(
                Diagnostic::error(format!("no network has the address {}", address.value))
                    .at(address.span)
                    .hint("take a private subnet: `192.168.155.1/24`, `10.20.0.1/24`, `fd00:155::1/64`"),
            );
        } else if let Some(why) = reserved(&address.value, ip) {
            let net = address.value;
            let first = usable(&net).map(|(first, _)| first);
            self.report(
                Diagnostic::error(format!("{} is the {why} of {}", net.addr(), net.trunc()))
                    .at(address.span)
                    .hint(match first {
                        Some(first) => {
                            format!("give the host's own, `{first}/{}`", net.prefix_len())
                        }
                        None => "give an address that a host can have".into(),
                    }),
            );
        }
    }

    fn derived_ranges(
        &mut self,
        addresses: &[Spanned<IpNet>],
        span: Span,
        flawed: bool,
    ) -> Vec<DhcpRange> {
        let mut ranges: Vec<DhcpRange> = Vec::new();
        for address in addresses {
            if ranges
                .iter()
                .any(|range| same_family(range.start, address.value.addr()))
            {
                continue;
            }
            match derive_range(&address.value) {
                Some(range) => ranges.push(range),
                None => self.report(
                    Diagnostic::error(format!("{} has no room for a DHCP range", address.value))
                        .at(span)
                        .related(Some(address.span), "the network's address")
                        .hint("take a shorter prefix, or give `start` and `end`"),
                ),
            }
        }
        if addresses.is_empty() && !flawed {
            self.report(no_address(span));
        }
        ranges
    }

    fn ranges(
        &mut self,
        specs: &[RangeSpec],
        addresses: &[Spanned<IpNet>],
        flawed: bool,
    ) -> Vec<DhcpRange> {
        let mut seen: Vec<&RangeSpec> = Vec::new();
        for spec in specs {
            let start = spec.start.value;
            if let Some(first) = seen.iter().find(|s| same_family(s.start.value, start)) {
                self.report(
                    Diagnostic::error("a network has one DHCP range for each family of addresses")
                        .at(spec.start.span)
                        .related(Some(first.start.span), "the other one")
                        .hint("join the ranges, or remove one"),
                );
            } else if !flawed {
                self.check_range(spec, addresses);
            }
            seen.push(spec);
        }
        specs
            .iter()
            .map(|spec| DhcpRange {
                start: spec.start.value,
                end: spec.end.value,
            })
            .collect()
    }

    fn check_range(&mut self, range: &RangeSpec, addresses: &[Spanned<IpNet>]) {
        let (start, end) = (&range.start, &range.end);
        if addresses.is_empty() {
            self.report(no_address(start.span));
            return;
        }
        if !same_family(start.value, end.value) {
            self.report(
                Diagnostic::error(format!("a range cannot end at {}", end.value))
                    .at(end.span)
                    .related(Some(start.span), "it starts here")
                    .hint("both ends are IPv4, or both are IPv6: for dual stack give a list of two ranges"),
            );
            return;
        }
        let home = addresses
            .iter()
            .find(|a| a.value.contains(&start.value) || a.value.contains(&end.value));
        let within: Vec<String> = match home {
            Some(home) => vec![home.value.trunc().to_string()],
            None => addresses
                .iter()
                .map(|a| a.value.trunc().to_string())
                .collect(),
        };
        for bound in [start, end] {
            let why = match home {
                Some(home) if home.value.contains(&bound.value) => {
                    match reserved(&home.value, bound.value) {
                        Some(why) => {
                            format!("{} is the {why} of {}", bound.value, within.join(" and "))
                        }
                        None => continue,
                    }
                }
                Some(_) | None => format!("{} is outside {}", bound.value, within.join(" and ")),
            };
            let home = home.or(addresses.first());
            let mut problem = Diagnostic::error(why)
                .at(bound.span)
                .related(home.map(|home| home.span), "the network's address");
            problem.hint = home
                .and_then(|home| usable(&home.value))
                .map(|(first, last)| format!("a range here lies within {first} and {last}"));
            self.report(problem);
        }
        if start.value > end.value {
            self.report(
                Diagnostic::error(format!("the range ends before it starts: {}", end.value))
                    .at(end.span)
                    .hint(format!(
                        "write `start: {}, end: {}`",
                        end.value, start.value
                    )),
            );
            return;
        }
        for address in addresses {
            let gateway = address.value.addr();
            if same_family(gateway, start.value) && (start.value..=end.value).contains(&gateway) {
                self.report(
                    Diagnostic::error(format!("the DHCP range contains the host's own {gateway}"))
                        .at(start.span)
                        .related(Some(address.span), "the host's own address")
                        .hint("let the range begin behind it, or end before it"),
                );
            }
        }
        if number(end.value).saturating_sub(number(start.value)) >= MAX_RANGE {
            self.report(
                Diagnostic::error(format!(
                    "the DHCP range has more than {MAX_RANGE} addresses"
                ))
                .at(start.span)
                .hint("libvirt takes no larger one"),
            );
        }
    }

    /// One bridge cannot be made by two networks. Any number can join one that exists.
    fn check_bridges(&mut self, specs: &[Named<NetworkSpec>]) {
        let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
        for named in specs {
            let joins = named
                .spec
                .mode
                .as_ref()
                .is_some_and(|mode| mode.value == NetworkMode::Bridge);
            let Some(bridge) = named.spec.bridge.as_ref().filter(|_| !joins) else {
                continue;
            };
            match seen.get(bridge.value.as_str()) {
                Some(first) => {
                    let problem = Diagnostic::error(format!(
                        "two networks make the bridge `{}`",
                        bridge.value
                    ))
                    .at(bridge.span)
                    .related(Some(*first), "the other one")
                    .hint("give one of them another name, or none: libvirt finds one");
                    self.problems.push(problem);
                }
                None => {
                    seen.insert(&bridge.value, bridge.span);
                }
            }
        }
    }

    fn check_overlaps(&mut self, specs: &[Named<NetworkSpec>]) {
        let all = specs.iter().flat_map(|named| {
            let addresses = named.spec.address.iter();
            addresses.map(move |address| (named, address))
        });
        // By what the order of subnets says: one is within another, beside it, or around it.
        let mut seen: BTreeMap<IpNet, (&Named<NetworkSpec>, &Spanned<IpNet>)> = BTreeMap::new();
        for (named, address) in all {
            let net = address.value.trunc();
            let around = (0..=net.prefix_len())
                .filter_map(|length| seen.get(&IpNet::new(net.addr(), length).ok()?.trunc()));
            let within = seen.range(net..).map(|(_, first)| first);
            let overlapping = around.chain(within.take(1)).find(|(_, other)| {
                net.contains(&other.value.trunc()) || other.value.contains(&net)
            });
            if let Some((other, theirs)) = overlapping {
                let problem = Diagnostic::error(format!(
                    "the subnet {} of `{}` overlaps {} of `{}`",
                    address.value.trunc(),
                    named.key.value,
                    theirs.value.trunc(),
                    other.key.value,
                ))
                .at(address.span)
                .related(Some(theirs.span), "the other subnet")
                .hint("give one of them another subnet");
                self.problems.push(problem);
            }
            seen.entry(net).or_insert((named, address));
        }
    }
}

fn no_address(span: Span) -> Diagnostic {
    Diagnostic::error("DHCP needs the network's address")
        .at(span)
        .hint("write `address: 192.168.155.1/24` in the network, or remove `dhcp`")
}

pub(super) fn same_family(a: IpAddr, b: IpAddr) -> bool {
    a.is_ipv4() == b.is_ipv4()
}

/// Why no host can have an address of a subnet; `None` where one can.
/// A subnet of one or two addresses has none that is special (RFC 3021, RFC 6164).
pub(crate) fn reserved(net: &IpNet, ip: IpAddr) -> Option<&'static str> {
    let small = net.max_prefix_len() - net.prefix_len() < 2;
    match ip {
        _ if small => None,
        _ if ip == net.network() => Some(match ip {
            IpAddr::V4(_) => "network address",
            IpAddr::V6(_) => "subnet-router anycast address",
        }),
        IpAddr::V4(_) if ip == net.broadcast() => Some("broadcast address"),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

/// The first and last address that hosts can have.
fn usable(net: &IpNet) -> Option<(IpAddr, IpAddr)> {
    let mut hosts = net.hosts();
    match net {
        IpNet::V4(net) => {
            let first = hosts.next()?;
            let last = match net.prefix_len() {
                31 | 32 => u32::from(net.broadcast()),
                _ => u32::from(net.broadcast()) - 1,
            };
            Some((first, IpAddr::V4(Ipv4Addr::from(last))))
        }
        IpNet::V6(net) => {
            let first = u128::from(net.network()).saturating_add(1);
            Some((
                IpAddr::V6(Ipv6Addr::from(first)),
                IpAddr::V6(net.broadcast()),
            ))
        }
    }
}

/// The range that `dhcp: true` means: of IPv4 the upper half of the subnet, or the lower if the host's own
/// address is in the upper; of IPv6 the 256 addresses from `::100` on.
fn derive_range(address: &IpNet) -> Option<DhcpRange> {
    let own = number(address.addr());
    let network = number(address.network());
    let bits = address.max_prefix_len() - address.prefix_len();
    let (start, end) = match address {
        IpNet::V4(_) => {
            let half = 1u128 << bits.checked_sub(1).filter(|half| *half > 0)?;
            // No larger than libvirt takes.
            let most = half.min(MAX_RANGE) - 1;
            let upper = (
                network + half,
                network + half + most - u128::from(most + 1 == half),
            );
            let lower = (network + 1, network + most.min(half - 1));
            let taken = (upper.0..=upper.1).contains(&own);
            if taken { lower } else { upper }
        }
        IpNet::V6(_) if bits >= 10 => {
            let block = if own >= network + 0x100 && own < network + 0x200 {
                0x200
            } else {
                0x100
            };
            (network + block, network + block + 0xff)
        }
        IpNet::V6(_) => return None,
    };
    if start > end || (start..=end).contains(&own) {
        return None;
    }
    let ip = |number: u128| match address {
        IpNet::V4(_) => u32::try_from(number)
            .ok()
            .map(|n| IpAddr::V4(Ipv4Addr::from(n))),
        IpNet::V6(_) => Some(IpAddr::V6(Ipv6Addr::from(number))),
    };
    Some(DhcpRange {
        start: ip(start)?,
        end: ip(end)?,
    })
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_derived() {
        let derived = |net: &str| {
            derive_range(&net.parse().unwrap()).map(|r| format!("{} {}", r.start, r.end))
        };
        let is = |net: &str, range: &str| assert_eq!(derived(net).as_deref(), Some(range), "{net}");
        is("192.168.155.1/24", "192.168.155.128 192.168.155.254");
        is("192.168.155.254/24", "192.168.155.1 192.168.155.127");
        is("10.0.0.1/30", "10.0.0.2 10.0.0.2");
        is("10.0.0.2/30", "10.0.0.1 10.0.0.1");
        is("fd00::1/64", "fd00::100 fd00::1ff");
        is("fd00::100/64", "fd00::200 fd00::2ff");
        assert_eq!(derived("10.0.0.1/31"), None);
        assert_eq!(derived("10.0.0.1/32"), None);
        assert_eq!(derived("fd00::1/126"), None);
        for net in ["10.0.0.1/8", "0.0.0.1/0", "10.0.255.9/16"] {
            let range = derive_range(&net.parse().unwrap()).unwrap();
            assert!(number(range.end) - number(range.start) < MAX_RANGE, "{net}");
        }
    }
}
