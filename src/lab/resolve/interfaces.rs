//! NICs: what they are plugged into, their MACs, and the addresses and names that networks give them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use sha2::{Digest, Sha256};

use super::networks::{reserved, same_family};
use super::system_network::is_static;
use super::{Referent, Resolver, value, value_or};
use crate::address::Name;
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::decode::{Given, Spanned};
use crate::lab::model::{
    Bandwidth, DhcpHost, DnsHost, Interface, InterfaceSource, Network, NetworkMode, Rate,
};
use crate::lab::spec::Named;
use crate::lab::spec::guest::{GuestSpec, InterfaceSpec, RateSpec};
use crate::lab::spec::system::AddressMethod;

impl Resolver<'_> {
    /// Resolves a guest's NICs, without the MACs that are derived.
    pub(super) fn interfaces(&mut self, specs: &[Named<InterfaceSpec>]) -> Vec<Interface> {
        let mut interfaces = Vec::new();
        for named in specs {
            self.check_device_key(&named.key);
            let spec = &named.spec;
            let Some(source) = self.interface_source(named) else {
                continue;
            };
            if let Some(model) = spec.model.as_ref().filter(|model| !is_model(&model.value)) {
                self.report(
                    Diagnostic::error(format!("`{}` is not the model of a NIC", model.value))
                        .at(model.span)
                        .hint("write `virtio`, `e1000e`, `rtl8139` or another that QEMU has"),
                );
            }
            if let (InterfaceSource::User, Some(ip)) = (&source, spec.ips.first()) {
                self.report(
                    Diagnostic::error("a NIC on `user` has no address of its own")
                        .at(ip.span)
                        .hint("remove `ip`: QEMU gives the guest 10.0.2.15"),
                );
            }
            self.check_families(&spec.ips);
            let bandwidth = self.bandwidth(&source, spec);
            interfaces.push(Interface {
                key: named.key.value.clone(),
                source,
                model: value_or(&spec.model, "virtio".to_owned()),
                mac: String::new(),
                ips: spec.ips.iter().map(|ip| ip.value).collect(),
                mtu: value(&spec.mtu),
                link: value(&spec.link),
                bandwidth,
            });
        }
        interfaces
    }

    fn bandwidth(&mut self, source: &InterfaceSource, spec: &InterfaceSpec) -> Option<Bandwidth> {
        let first = spec.inbound.as_ref().or(spec.outbound.as_ref())?;
        if *source == InterfaceSource::User {
            self.report(
                Diagnostic::error("a NIC on `user` has no `bandwidth`")
                    .at(first.span)
                    .hint("remove it, or plug the NIC into a network or bridge"),
            );
        }
        let mut rate = |given: &Given<RateSpec>| {
            let rate = &given.as_ref()?.value;
            if let Some(peak) = rate.peak.as_ref().filter(|p| p.value < rate.average.value) {
                self.report(
                    Diagnostic::error("the peak is less than the average")
                        .at(peak.span)
                        .related(Some(rate.average.span), "the average")
                        .hint("a peak is what the average may be exceeded by for a moment"),
                );
            }
            let kilobytes = |size: &Spanned<u64>| size.value / 1000;
            Some(Rate {
                average: kilobytes(&rate.average),
                peak: rate.peak.as_ref().map(kilobytes),
                burst: rate.burst.as_ref().map(kilobytes),
            })
        };
        Some(Bandwidth {
            inbound: rate(&spec.inbound),
            outbound: rate(&spec.outbound),
        })
    }

    /// DHCP gives a NIC one address of a family.
    fn check_families(&mut self, ips: &[Spanned<IpAddr>]) {
        for (i, ip) in ips.iter().enumerate() {
            let other = ips[..i]
                .iter()
                .find(|other| same_family(other.value, ip.value));
            if let Some(other) = other {
                self.report(
                    Diagnostic::error("a NIC has one IPv4 and one IPv6 address")
                        .at(ip.span)
                        .related(Some(other.span), "the other one of its family")
                        .hint("remove one, or give the guest another NIC"),
                );
            }
        }
    }

    fn interface_source(&mut self, named: &Named<InterfaceSpec>) -> Option<InterfaceSource> {
        let spec = &named.spec;
        let given: Vec<(&str, Span)> = [
            ("network", spec.network.as_ref().map(|network| network.span)),
            ("bridge", spec.bridge.as_ref().map(|bridge| bridge.span)),
            ("user", spec.user.as_ref().map(|user| user.span)),
        ]
        .into_iter()
        .filter_map(|(key, span)| Some((key, span?)))
        .collect();
        match given.as_slice() {
            [] if named.flawed => return None,
            [] => {
                self.report(
                    Diagnostic::error(format!(
                        "the NIC `{}` is plugged into nothing",
                        named.key.value
                    ))
                    .at(named.key.span)
                    .hint("give `network: NETWORK`, `bridge: BRIDGE` or `user: true`"),
                );
                return None;
            }
            [_] => {}
            [(first, here), (second, there), ..] => {
                self.report(
                    Diagnostic::error(format!("a NIC is on `{first}` or `{second}`, not both"))
                        .at(*there)
                        .related(Some(*here), format!("`{first}` is given here"))
                        .hint("remove one; `null` removes what a group or `common` gives"),
                );
                return None;
            }
        }
        if let Some(network) = &spec.network {
            if !self.check_reference(Referent::Network, network) {
                return None;
            }
            let name = self.lab.networks.get(&network.value)?.name.clone();
            let network = network.value.clone();
            return Some(InterfaceSource::Network { network, name });
        }
        if let Some(bridge) = &spec.bridge {
            self.check_bridge_name(bridge);
            let bridge = bridge.value.clone();
            return Some(InterfaceSource::Bridge { bridge });
        }
        Some(InterfaceSource::User)
    }

    /// Checks the MACs that are given, and derives the others, past those that are taken.
    pub(super) fn macs(&mut self, specs: &[Named<GuestSpec>]) {
        let mut taken: BTreeMap<String, Span> = BTreeMap::new();
        let mut given: BTreeMap<(Name, Name), String> = BTreeMap::new();
        for guest in specs {
            for nic in &guest.spec.interfaces {
                let Some(mac) = &nic.spec.mac else { continue };
                let Some(text) = self.check_mac(mac) else {
                    continue;
                };
                match taken.get(&text) {
                    Some(first) => self.problems.push(
                        Diagnostic::error(format!("two NICs have the MAC address {text}"))
                            .at(mac.span)
                            .related(Some(*first), "the other one")
                            .hint("remove one `mac`: it is then derived"),
                    ),
                    None => {
                        taken.insert(text.clone(), mac.span);
                    }
                }
                given.insert((guest.key.value.clone(), nic.key.value.clone()), text);
            }
        }
        let mut taken: BTreeSet<String> = taken.into_keys().collect();
        let lab = &mut self.lab;
        for guest in lab.guests.values_mut() {
            for nic in &mut guest.interfaces {
                nic.mac = match given.get(&(guest.key.clone(), nic.key.clone())) {
                    Some(mac) => mac.clone(),
                    None => derive_mac(&lab.name, &guest.key, &nic.key, &taken),
                };
                taken.insert(nic.mac.clone());
            }
        }
    }

    fn check_mac(&mut self, mac: &Spanned<String>) -> Option<String> {
        let text = mac.value.to_ascii_lowercase();
        let octets: Vec<u8> = text
            .split(':')
            .filter(|part| part.len() == 2 && part.chars().all(|c| c.is_ascii_hexdigit()))
            .filter_map(|part| u8::from_str_radix(part, 16).ok())
            .collect();
        let (problem, hint) = match octets.as_slice() {
            octets if octets.len() != 6 || text.len() != 17 => (
                "is not a MAC address",
                "write it as `52:54:00:12:34:56`, or remove it: it is then derived",
            ),
            [0, 0, 0, 0, 0, 0] => ("is no address of a NIC", "remove it: it is then derived"),
            [first, ..] if first & 1 == 1 => (
                "is a multicast address",
                "the first two digits make an even number, as in `52:54:00:12:34:56`",
            ),
            _ => return Some(text),
        };
        self.report(
            Diagnostic::error(format!("`{}` {problem}", mac.value))
                .at(mac.span)
                .hint(hint),
        );
        None
    }

    /// Checks the addresses of NICs against their networks, and enters them there: reservations and names.
    pub(super) fn addresses(&mut self, specs: &[Named<GuestSpec>]) {
        let mut guests: Vec<&Named<GuestSpec>> = specs.iter().collect();
        guests.sort_by(|a, b| a.key.value.cmp(&b.key.value));
        let mut seen: BTreeMap<(String, IpAddr), Span> = BTreeMap::new();
        for named in guests {
            for nic in &named.spec.interfaces {
                let found = self.lab.guests.get(&named.key.value).and_then(|guest| {
                    let interface = guest.interfaces.iter().find(|i| i.key == nic.key.value)?;
                    Some((
                        guest.hostname.clone(),
                        guest.fqdn.clone(),
                        interface.clone(),
                    ))
                });
                let Some((hostname, fqdn, interface)) = found else {
                    continue;
                };
                let segment = match &interface.source {
                    InterfaceSource::Network { network, .. } => format!("network {network}"),
                    InterfaceSource::Bridge { bridge } => format!("bridge {bridge}"),
                    InterfaceSource::User => continue,
                };
                for ip in &nic.spec.ips {
                    if let Some(first) = seen.get(&(segment.clone(), ip.value)) {
                        let problem =
                            Diagnostic::error(format!("the address {} is given twice", ip.value))
                                .at(ip.span)
                                .related(Some(*first), "first given here")
                                .hint("give one NIC another address");
                        self.problems.push(problem);
                        continue;
                    }
                    seen.insert((segment.clone(), ip.value), ip.span);
                    if let InterfaceSource::Network { network, .. } = &interface.source {
                        let host = DhcpHost {
                            guest: named.key.value.clone(),
                            mac: interface.mac.clone(),
                            name: hostname.clone(),
                            ip: ip.value,
                        };
                        let method = match is_static(&named.spec.system.network) {
                            true => AddressMethod::Static,
                            false => AddressMethod::Dhcp,
                        };
                        self.enter(network, host, &fqdn, ip.span, method);
                    }
                }
            }
        }
        for network in self.lab.networks.values_mut() {
            network.dns.hosts.sort_by_key(|host| host.ip);
        }
    }

    /// Enters one address of a NIC into its network.
    fn enter(&mut self, key: &Name, host: DhcpHost, fqdn: &str, span: Span, method: AddressMethod) {
        if self.flawed_networks.contains(key) {
            return;
        }
        let Some(network) = self.lab.networks.get_mut(key) else {
            return;
        };
        // Others give out the addresses there.
        if network.external || network.mode == NetworkMode::Bridge {
            return;
        }
        let place = self
            .lab
            .places
            .get(&crate::address::Address::network(key))
            .copied();
        if network.addresses.is_empty() && method == AddressMethod::Static {
            return;
        }
        let served = is_served(network, host.ip);
        if let Some(problem) = unfit(network, host.ip).or_else(|| match (served, method) {
            (false, AddressMethod::Dhcp) => Some(not_served(network, host.ip)),
            (true, AddressMethod::Dhcp) | (_, AddressMethod::Static) => None,
        }) {
            self.problems
                .push(problem.at(span).related(place, "the network"));
            return;
        }
        if network.dns.enabled != Some(false) {
            let named_otherwise = network.dns.hosts.iter().find_map(|entry| {
                let same = |name: &&String| {
                    name.eq_ignore_ascii_case(&host.name) || name.eq_ignore_ascii_case(fqdn)
                };
                let name = entry.names.iter().find(same)?;
                let taken = entry.ip != host.ip && same_family(entry.ip, host.ip);
                let own = network
                    .dhcp_hosts
                    .iter()
                    .any(|h| h.guest == host.guest && h.ip == entry.ip);
                (taken && !own).then(|| (name.clone(), entry.ip))
            });
            if let Some((name, ip)) = named_otherwise {
                self.problems.push(
                    Diagnostic::error(format!(
                        "`{name}` is named twice: for {ip} and for {}",
                        host.ip
                    ))
                    .at(span)
                    .related(place, "the network, whose `dns.hosts` has it too")
                    .hint("remove the name from `dns.hosts`: the guest brings it"),
                );
            }
            match network
                .dns
                .hosts
                .iter_mut()
                .find(|entry| entry.ip == host.ip)
            {
                Some(entry) if entry.names.contains(&host.name) => {}
                Some(entry) => entry.names.push(host.name.clone()),
                None => network.dns.hosts.push(DnsHost {
                    ip: host.ip,
                    names: vec![host.name.clone()],
                }),
            }
        }
        // A guest that knows its address asks no DHCP server, but others are to find it taken.
        if served {
            network.dhcp_hosts.push(host);
        }
    }
}

/// Why a network cannot reserve an address.
fn unfit(network: &Network, ip: IpAddr) -> Option<Diagnostic> {
    let key = &network.key;
    let subnets: Vec<String> = network
        .addresses
        .iter()
        .map(|net| net.trunc().to_string())
        .collect();
    let Some(home) = network.addresses.iter().find(|net| net.contains(&ip)) else {
        return Some(match subnets.is_empty() {
            true => Diagnostic::error(format!("the network `{key}` has no addresses to give"))
                .hint("give the network an `address` and `dhcp`, or remove `ip`"),
            false => Diagnostic::error(format!("{ip} is outside the network `{key}`"))
                .label(format!("`{key}` is {}", subnets.join(" and ")))
                .hint("give an address inside, or plug the NIC into another network"),
        });
    };
    if home.addr() == ip {
        return Some(
            Diagnostic::error(format!("{ip} is the host's own address on `{key}`"))
                .hint(format!("give another address of {}", home.trunc())),
        );
    }
    if let Some(why) = reserved(home, ip) {
        return Some(
            Diagnostic::error(format!("{ip} is the {why} of `{key}`"))
                .hint(format!("give another address of {}", home.trunc())),
        );
    }
    None
}

/// Whether the network has DHCP where the address is.
fn is_served(network: &Network, ip: IpAddr) -> bool {
    let homes = network.addresses.iter().filter(|net| net.contains(&ip));
    homes
        .into_iter()
        .any(|home| network.dhcp.iter().any(|range| home.contains(&range.start)))
}

fn not_served(network: &Network, ip: IpAddr) -> Diagnostic {
    let key = &network.key;
    Diagnostic::error(format!("the network `{key}` has no DHCP to give {ip} with")).hint(
        "write `dhcp: true` in the network, or `system: {network: static}` in a guest that sets its address itself",
    )
}

/// What libvirt takes as a model.
fn is_model(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !text.is_empty() && text.chars().all(plain)
}

/// QEMU's prefix and three bytes of a hash; hashed again with a counter while it is taken.
pub(crate) fn derive_mac(
    lab: &Name,
    guest: &Name,
    interface: &Name,
    taken: &BTreeSet<String>,
) -> String {
    let mut counter = 0u32;
    loop {
        let text = match counter {
            0 => format!("{lab}/{guest}/{interface}"),
            _ => format!("{lab}/{guest}/{interface}/{counter}"),
        };
        let hash = Sha256::digest(text.as_bytes());
        let mac = format!("52:54:00:{:02x}:{:02x}:{:02x}", hash[0], hash[1], hash[2]);
        if !taken.contains(&mac) {
            return mac;
        }
        counter += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_that_is_taken_is_hashed_again() {
        let name = |text: &str| Name::new(text).unwrap();
        let (lab, guest, nic) = (name("shop"), name("web1"), name("eth0"));
        let first = derive_mac(&lab, &guest, &nic, &BTreeSet::new());
        let second = derive_mac(&lab, &guest, &nic, &BTreeSet::from([first.clone()]));
        assert_ne!(first, second);
        assert!(first.starts_with("52:54:00:") && second.starts_with("52:54:00:"));
        assert_eq!(first, derive_mac(&lab, &guest, &nic, &BTreeSet::new()));
    }
}
