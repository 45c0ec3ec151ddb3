//! How a network is connected: translation of addresses, routes, VLANs, port groups, and what is booted from it.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use super::{Resolver, is_absolute, value, value_or};
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::decode::{Given, Spanned};
use crate::lab::model::{Bootp, Nat, Network, NetworkMode, PortGroup, Route, Vlan};
use crate::lab::written::Named;
use crate::lab::written::network::{BootpSpec, Leases, NatSpec, NetworkSpec, RouteSpec, VlanSpec};

impl Resolver<'_> {
    /// What a network has of all this, with its problems.
    pub(super) fn connections(&mut self, named: &Named<NetworkSpec>, network: &mut Network) {
        let spec = &named.spec;
        network.nat = spec.nat.as_ref().map(|nat| self.nat(nat, spec));
        let routes = spec.routes.iter();
        network.routes = routes.filter_map(|it| self.route(it, named)).collect();
        network.openvswitch = value_or(&spec.openvswitch, false);
        let is_bridge = network.mode == NetworkMode::Bridge;
        if let Some(given) = spec
            .openvswitch
            .as_ref()
            .filter(|it| it.value && !is_bridge)
        {
            self.only_in("openvswitch", given.span, NetworkMode::Bridge);
        }
        network.vlan = self.vlan(spec.vlan.as_ref(), is_bridge);
        network.bandwidth = self.rates(&spec.bandwidth);
        network.portgroups = self.port_groups(spec, is_bridge);
        self.check_network_boot(spec, is_bridge);
        network.bootp = spec.bootp.as_ref().and_then(boot);
    }

    fn only_in(&mut self, key: &str, place: Span, mode: NetworkMode) {
        let (mode, hint) = match mode {
            NetworkMode::Bridge => ("bridge", "remove it, or write `mode: bridge, bridge: NAME`"),
            NetworkMode::Nat | NetworkMode::Route | NetworkMode::Open | NetworkMode::Isolated => {
                ("nat", "remove it, or write `mode: nat`")
            }
        };
        self.report(
            Diagnostic::error(format!("`{key}` goes with the mode `{mode}` only"))
                .at(place)
                .hint(hint),
        );
    }

    fn nat(&mut self, nat: &NatSpec, spec: &NetworkSpec) -> Nat {
        let text = |it: &Given<String>| it.as_ref().map(|it| it.span);
        let first = text(&nat.ports).or(text(&nat.addresses));
        let first = first.or(nat.ipv6.as_ref().map(|it| it.span));
        if let Some(place) = first
            && value_or(&spec.mode, NetworkMode::Nat) != NetworkMode::Nat
        {
            self.only_in("nat", place, NetworkMode::Nat);
        }
        if let Some(ipv6) = nat.ipv6.as_ref().filter(|it| it.value)
            && !spec.address.is_empty()
            && !spec.address.iter().any(|it| it.value.addr().is_ipv6())
        {
            self.report(
                Diagnostic::error("there are no IPv6 addresses to translate")
                    .at(ipv6.span)
                    .hint("give the network one, `address: [192.168.155.1/24, \"fd00:155::1/64\"]`, or remove `ipv6`"),
            );
        }
        let ports = nat.ports.as_ref();
        let addresses = nat.addresses.as_ref();
        Nat {
            ports: ports
                .and_then(|it| self.span_of(it, "ports", "1024-65535", |port: &u16| *port > 0)),
            addresses: addresses.and_then(|it| {
                self.span_of(
                    it,
                    "IPv4 addresses",
                    "192.0.2.10-192.0.2.19",
                    |_: &Ipv4Addr| true,
                )
            }),
            ipv6: value_or(&nat.ipv6, false),
        }
    }

    /// The first and the last of what is written as `FIRST-LAST`, or as the only one.
    fn span_of<T: FromStr + Ord + Copy>(
        &mut self,
        written: &Spanned<String>,
        what: &str,
        example: &str,
        is_one: impl Fn(&T) -> bool,
    ) -> Option<(T, T)> {
        let (first, last) = written
            .value
            .split_once('-')
            .unwrap_or((&written.value, &written.value));
        let one = |text: &str| text.trim().parse().ok().filter(&is_one);
        let span = one(first).zip(one(last));
        let problem = match span {
            None => format!("`{}` is no span of {what}", written.value),
            Some((first, last)) if first > last => {
                format!("the span of {what} ends before it starts")
            }
            Some(_) => return span,
        };
        let hint = format!("write `{example}`");
        self.report(Diagnostic::error(problem).at(written.span).hint(hint));
        None
    }

    fn route(&mut self, spec: &RouteSpec, named: &Named<NetworkSpec>) -> Option<Route> {
        let (to, via) = (spec.to.as_ref()?, spec.via.as_ref()?);
        if to.value.trunc() != to.value {
            self.report(
                Diagnostic::error(format!("{} is no subnet", to.value))
                    .at(to.span)
                    .hint(format!("write `to: {}`", to.value.trunc())),
            );
        }
        let addresses = &named.spec.address;
        let of_family = to.value.addr().is_ipv4() == via.value.is_ipv4();
        let is_bridge = value_or(&named.spec.mode, NetworkMode::Nat) == NetworkMode::Bridge;
        if !of_family {
            self.report(
                Diagnostic::error(format!("{} does not lead to {}", via.value, to.value))
                    .at(via.span)
                    .related(Some(to.span), "the subnet")
                    .hint("both are IPv4, or both are IPv6"),
            );
        } else if !named.flawed && !is_bridge {
            let home = addresses.iter().find(|it| it.value.contains(&via.value));
            match home {
                None => {
                    let nets = addresses.iter().map(|it| it.value.trunc().to_string());
                    let nets = nets.collect::<Vec<_>>().join(" and ");
                    let problem = match nets.as_str() {
                        "" => "a route needs the network's address".to_owned(),
                        nets => format!("{} is outside {nets}", via.value),
                    };
                    self.report(
                        Diagnostic::error(problem)
                            .at(via.span)
                            .related(addresses.first().map(|it| it.span), "the network's address")
                            .hint("a route leads by a host on the network"),
                    );
                }
                Some(home) if home.value.addr() == via.value => self.report(
                    Diagnostic::error(format!("{} is the host itself", via.value))
                        .at(via.span)
                        .related(Some(home.span), "the host's own address")
                        .hint("give the address of the guest that leads there"),
                ),
                Some(_) => {}
            }
        }
        Some(Route {
            family: if to.value.addr().is_ipv4() {
                "ipv4"
            } else {
                "ipv6"
            },
            address: to.value.network(),
            prefix: to.value.prefix_len(),
            via: via.value,
            metric: value(&spec.metric),
        })
    }

    fn vlan(&mut self, spec: Option<&VlanSpec>, is_bridge: bool) -> Option<Vlan> {
        let spec = spec?;
        let first = spec.tags.first()?;
        if !is_bridge {
            self.only_in("vlan", first.span, NetworkMode::Bridge);
        }
        self.check_tags(&spec.tags);
        let several = spec.tags.len() > 1;
        if let Some(trunk) = spec.trunk.as_ref().filter(|it| !it.value && several) {
            self.report(
                Diagnostic::error("several VLANs are a trunk")
                    .at(trunk.span)
                    .related(Some(first.span), "the VLANs")
                    .hint("remove `trunk: false`, or give one VLAN alone"),
            );
        }
        Some(Vlan {
            tags: spec.tags.iter().map(|tag| tag.value).collect(),
            trunk: several || value_or(&spec.trunk, false),
        })
    }

    fn port_groups(&mut self, spec: &NetworkSpec, is_bridge: bool) -> Vec<PortGroup> {
        let mut groups = Vec::new();
        let mut first: Option<Span> = None;
        for named in &spec.portgroups {
            let group = &named.spec;
            if let Some(default) = group.default.as_ref().filter(|it| it.value) {
                match first {
                    Some(other) => self.report(
                        Diagnostic::error("two port groups are the default")
                            .at(default.span)
                            .related(Some(other), "the other one")
                            .hint("NICs that choose none get one of them: remove `default` from the other"),
                    ),
                    None => first = Some(default.span),
                }
            }
            if named.key.value.as_str().contains('+') {
                self.report(
                    Diagnostic::error(format!(
                        "a port group cannot be called `{}`",
                        named.key.value
                    ))
                    .at(named.key.span)
                    .hint("libvirt takes letters, digits and `_.-`"),
                );
            }
            groups.push(PortGroup {
                name: named.key.value.clone(),
                default: value_or(&group.default, false),
                vlan: self.vlan(group.vlan.as_ref(), is_bridge),
                bandwidth: self.rates(&group.bandwidth),
            });
        }
        groups
    }

    fn check_network_boot(&mut self, spec: &NetworkSpec, is_bridge: bool) {
        if let Some(root) = spec.tftp.as_ref().filter(|it| !is_absolute(&it.value)) {
            self.report(
                Diagnostic::error(format!("`{}` is not an absolute path", root.value))
                    .at(root.span)
                    .hint("the directory is on the hypervisor's host: write it from `/` on"),
            );
        }
        let file = spec.bootp.as_ref().and_then(|it| it.file.as_ref());
        let has_ipv4 = spec.address.iter().any(|it| it.value.addr().is_ipv4());
        for (key, given) in [("tftp", spec.tftp.as_ref()), ("bootp", file)] {
            if let Some(given) = given.filter(|_| !has_ipv4 && !is_bridge) {
                self.report(
                    Diagnostic::error(format!("`{key}` needs an IPv4 address of the network"))
                        .at(given.span)
                        .hint("write `address: 192.168.155.1/24` in the network, or remove it"),
                );
            }
        }
        if let (Some(file), Leases::Off(off)) = (file, &spec.dhcp.leases) {
            self.report(
                Diagnostic::error("without DHCP nobody is told what to boot")
                    .at(file.span)
                    .related(Some(*off), "there is none")
                    .hint("remove `bootp`, or `dhcp: false`"),
            );
        }
        for option in &spec.dhcp.options {
            if option.value.trim().is_empty() || option.value.contains(['\n', '\r']) {
                self.report(
                    Diagnostic::error("an option of dnsmasq is one line")
                        .at(option.span)
                        .hint("write each as a text of the list"),
                );
            }
        }
        let server = spec.bootp.as_ref().and_then(|it| it.server.as_ref());
        if let Some(server) = server.filter(|it| it.value.is_ipv6()) {
            self.report(
                Diagnostic::error("guests boot by IPv4")
                    .at(server.span)
                    .hint("give the IPv4 address of the TFTP server"),
            );
        }
    }
}

impl Resolver<'_> {
    /// Warns of networks that guests are to boot from, and that tell nobody: libvirt's dnsmasq does that where it gives IPv4 addresses.
    pub(super) fn boots_somebody(&mut self, networks: &[Named<NetworkSpec>]) {
        for named in networks {
            let Some(network) = self.lab.networks.get(&named.key.value) else {
                continue;
            };
            let gives = network.dhcp.iter().any(|range| range.start.is_ipv4())
                || network.dhcp_hosts.iter().any(|host| host.ip.is_ipv4());
            let spec = &named.spec;
            let place = spec.tftp.as_ref().map(|it| it.span);
            let file = spec.bootp.as_ref().and_then(|it| it.file.as_ref());
            let Some(place) = place.or(file.map(|it| it.span)) else {
                continue;
            };
            if !gives && network.mode != NetworkMode::Bridge && !network.external {
                self.report(
                    Diagnostic::warning("nobody boots from this network: it gives no addresses")
                        .at(place)
                        .hint("write `dhcp: true`, or give its guests an `ip`"),
                );
            }
        }
    }
}

fn boot(spec: &BootpSpec) -> Option<Bootp> {
    Some(Bootp {
        file: value(&spec.file)?,
        server: spec.server.as_ref().map(|it: &Spanned<IpAddr>| it.value),
    })
}
