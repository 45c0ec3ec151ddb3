//! The network of a system, from its guest's NICs: what each gets by DHCP, and what is written down in the system.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Resolver;
use crate::diagnostic::Diagnostic;
use crate::lab::decode::Spanned;
use crate::lab::model::system::{Method, SystemNic};
use crate::lab::model::{Guest, Interface, Network, NetworkMode};
use crate::lab::written::Named;
use crate::lab::written::guest::GuestSpec;
use crate::lab::written::system::{AddressMethod, SystemNetworkSpec};

/// An address that is written down in a system, and what is known of its network.
struct Placed {
    address: IpNet,
    /// The host's own address there, where it routes.
    router: Option<IpAddr>,
    /// The same, where it answers for names.
    resolver: Option<IpAddr>,
}

impl Resolver<'_> {
    /// How the systems get the addresses of their NICs. MACs have to be known.
    pub(super) fn system_networks(&mut self, specs: &[Named<GuestSpec>]) {
        // Out of the lab meanwhile, so that problems can be noted.
        let mut guests = std::mem::take(&mut self.lab.guests);
        for named in specs {
            if let Some(guest) = guests.get_mut(&named.key.value) {
                guest.system.network = self.system_network(named, guest);
            }
        }
        self.lab.guests = guests;
    }

    fn system_network(&mut self, named: &Named<GuestSpec>, guest: &Guest) -> Vec<SystemNic> {
        let spec = &named.spec.system.network;
        if !is_static(spec) {
            self.without_static(spec);
        }
        let placed: Vec<Vec<Placed>> = guest
            .interfaces
            .iter()
            .map(|nic| self.placed(named, nic))
            .collect();
        let gateways = self.gateways(spec, &placed);
        let interfaces = guest.interfaces.iter().zip(&placed).zip(gateways);
        interfaces
            .map(|((nic, placed), gateways)| {
                let servers = match (placed.is_empty(), spec.nameservers.is_empty()) {
                    (true, _) => Vec::new(),
                    (false, true) => placed.iter().filter_map(|p| p.resolver).collect(),
                    (false, false) => spec.nameservers.iter().map(|s| s.value).collect(),
                };
                self.system_nic(nic, placed, gateways, servers)
            })
            .collect()
    }

    /// Says what has no effect since addresses come from DHCP.
    fn without_static(&mut self, spec: &SystemNetworkSpec) {
        let given = [
            ("gateway", spec.gateway.first().map(|given| given.span)),
            (
                "nameservers",
                spec.nameservers.first().map(|given| given.span),
            ),
            ("prefix", spec.prefix.as_ref().map(|given| given.span)),
        ];
        let first = given.into_iter().find_map(|(key, span)| Some((key, span?)));
        if let Some((key, span)) = first {
            self.report(
                Diagnostic::warning(format!(
                    "`{key}` does nothing where addresses come from DHCP"
                ))
                .at(span)
                .hint("write `method: static` beside it"),
            );
        }
    }

    /// The static addresses of a NIC.
    fn placed(&mut self, named: &Named<GuestSpec>, nic: &Interface) -> Vec<Placed> {
        let spec = &named.spec.system.network;
        let mut placed = Vec::new();
        if !is_static(spec) {
            return placed;
        }
        for ip in &nic.ips {
            let known = known(self.lab.network_of(nic));
            let home = known.and_then(|n| n.addresses.iter().find(|net| net.contains(ip)));
            let routes = known.is_some_and(|network| network.mode != NetworkMode::Isolated);
            let answers = known.is_some_and(|network| network.dns.enabled != Some(false));
            let own = home.map(IpNet::addr);
            let prefix = home.map(|home| home.prefix_len());
            let prefix = prefix.or(spec.prefix.as_ref().map(|prefix| prefix.value));
            match prefix.and_then(|prefix| IpNet::new(*ip, prefix).ok()) {
                Some(address) => placed.push(Placed {
                    address,
                    router: own.filter(|_| routes),
                    resolver: own.filter(|_| answers),
                }),
                None => self.without_prefix(named, nic, *ip),
            }
        }
        placed
    }

    fn without_prefix(&mut self, named: &Named<GuestSpec>, nic: &Interface, ip: IpAddr) {
        let spec = &named.spec.system.network;
        let written = named.spec.interfaces.iter();
        let place = written
            .filter(|written| written.key.value == nic.key)
            .flat_map(|written| &written.spec.ip)
            .find(|given| given.value == ip)
            .map(|given| given.span);
        let problem = match &spec.prefix {
            None => Diagnostic::error(format!(
                "{ip} is to be static, and the length of its network's prefix is not known"
            ))
            .at(place)
            .related(spec.method.as_ref().map(|method| method.span), "static")
            .hint("write `system: {network: {method: static, prefix: 24, gateway: …}}`"),
            Some(prefix) => Diagnostic::error(format!(
                "{ip} has no prefix of {} bits",
                prefix.value
            ))
            .at(prefix.span)
            .related(place, "the address")
            .hint("IPv4 has up to 32 bits; a lab's own network knows its prefix by its `address`"),
        };
        self.report(problem);
    }

    /// The gateways of each NIC. Two default routes of a family fight each other: there is one, on the NIC whose network the
    /// gateway is in; where none is given it is the host, on the first NIC whose network the host routes.
    fn gateways(&mut self, spec: &SystemNetworkSpec, placed: &[Vec<Placed>]) -> Vec<Vec<IpAddr>> {
        let mut gateways = vec![Vec::new(); placed.len()];
        for v4 in [true, false] {
            let of_family = |p: &&Placed| p.address.addr().is_ipv4() == v4;
            let given: Vec<&Spanned<IpAddr>> = spec
                .gateway
                .iter()
                .filter(|g| g.value.is_ipv4() == v4)
                .collect();
            if let [first, second, ..] = given[..] {
                self.report(
                    Diagnostic::error("a system has one gateway for IPv4 and one for IPv6")
                        .at(second.span)
                        .related(Some(first.span), "the other one of its family")
                        .hint("remove one"),
                );
            }
            let found = placed.iter().enumerate().find_map(|(i, placed)| {
                let mut placed = placed.iter().filter(of_family);
                match given.first() {
                    Some(given) => placed
                        .any(|p| p.address.contains(&given.value) || is_link_local(given.value))
                        .then_some((i, given.value)),
                    None => placed.find_map(|p| Some((i, p.router?))),
                }
            });
            match (found, given.first()) {
                (Some((i, gateway)), _) => gateways[i].push(gateway),
                (None, Some(given)) if placed.iter().flatten().any(|p| of_family(&p)) => self
                    .report(
                    Diagnostic::error(format!(
                        "no static address reaches the gateway {}",
                        given.value
                    ))
                    .at(given.span)
                    .hint("give the address of a router that is in the network of one of the NICs"),
                ),
                (None, _) => {}
            }
        }
        gateways
    }

    fn system_nic(
        &self,
        nic: &Interface,
        placed: &[Placed],
        gateways: Vec<IpAddr>,
        nameservers: Vec<IpAddr>,
    ) -> SystemNic {
        let network = self.lab.network_of(nic);
        let known = known(network);
        let method = |v4: bool| {
            let family = |net: &IpNet| net.addr().is_ipv4() == v4;
            if placed.iter().any(|placed| family(&placed.address)) {
                Method::Static
            } else if known.is_none_or(|network| network.addresses.iter().any(family)) {
                Method::Dhcp
            } else {
                Method::None
            }
        };
        SystemNic {
            key: nic.key.clone(),
            mac: nic.mac.clone(),
            ipv4: method(true),
            ipv6: method(false),
            addresses: placed.iter().map(|placed| placed.address).collect(),
            gateways,
            nameservers,
            domain: network.and_then(|network| network.domain.clone()),
            mtu: nic.mtu.or(network.and_then(|network| network.mtu)),
        }
    }
}

/// A network as far as it is the lab's own: what others make is not known, and may have everything.
fn known(network: Option<&Network>) -> Option<&Network> {
    network.filter(|network| !network.external && network.mode != NetworkMode::Bridge)
}

/// Routers of IPv6 announce themselves by such an address, which every network has.
fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

pub(super) fn is_static(spec: &SystemNetworkSpec) -> bool {
    let method = spec.method.as_ref().map(|method| method.value);
    method == Some(AddressMethod::Static)
}
