//! NICs: what they are plugged into, their MACs, and the addresses and names that networks give them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use sha2::{Digest, Sha256};

use super::names;
use super::networks::{reserved, same_family};
use super::system_network::is_static;
use super::{Referent, Resolver, value, value_or};
use crate::address::{Address, Name};
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::decode::{Given, Spanned};
use crate::lab::model::{
    Bandwidth, DhcpHost, DnsHost, Guest, Interface, InterfaceSource, Network, NetworkMode, Rate,
};
use crate::lab::written::Named;
use crate::lab::written::guest::{BandwidthSpec, GuestSpec, InterfaceSpec, RateSpec};

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
            if let (InterfaceSource::User, Some(ip)) = (&source, spec.ip.first()) {
                self.report(
                    Diagnostic::error("a NIC on `user` has no address of its own")
                        .at(ip.span)
                        .hint("remove `ip`: QEMU gives the guest 10.0.2.15"),
                );
            }
            self.check_families(&spec.ip);
            self.check_names_of_nic(spec);
            let bandwidth = self.bandwidth(&source, spec);
            self.check_port(&source, spec);
            let (ovs, filter) = (self.ovs(&spec.ovs), self.filter(spec.filter.as_ref()));
            interfaces.push(Interface {
                key: named.key.value.clone(),
                source,
                model: value_or(&spec.model, "virtio".to_owned()),
                mac: String::new(),
                ips: spec.ip.iter().map(|ip| ip.value).collect(),
                hostname: value(&spec.hostname),
                dns: value_or(&spec.dns, true),
                mtu: value(&spec.mtu),
                link: value(&spec.link),
                bandwidth,
                portgroup: value(&spec.portgroup),
                vlan: spec.vlan.iter().map(|tag| tag.value).collect(),
                ovs,
                filter,
                // libvirt leaves one out.
                queues: value(&spec.queues).filter(|count| *count > 1),
                boot: value(&spec.boot),
                trust_guest_rx_filters: value(&spec.trust_guest_rx_filters),
            });
        }
        interfaces
    }

    fn bandwidth(&mut self, source: &InterfaceSource, spec: &InterfaceSpec) -> Option<Bandwidth> {
        let first = spec.bandwidth.inbound.as_ref();
        let first = first.or(spec.bandwidth.outbound.as_ref())?;
        if *source == InterfaceSource::User {
            self.report(
                Diagnostic::error("a NIC on `user` has no `bandwidth`")
                    .at(first.span)
                    .hint("remove it, or plug the NIC into a network or bridge"),
            );
        }
        self.rates(&spec.bandwidth)
    }

    /// How fast something may be, if that is said.
    pub(super) fn rates(&mut self, spec: &BandwidthSpec) -> Option<Bandwidth> {
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
        let (inbound, outbound) = (rate(&spec.inbound), rate(&spec.outbound));
        (inbound.is_some() || outbound.is_some()).then_some(Bandwidth { inbound, outbound })
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

    /// What a NIC is called is what its addresses are called.
    fn check_names_of_nic(&mut self, spec: &InterfaceSpec) {
        if let Some(hostname) = &spec.hostname {
            self.check_domain(hostname, "a host name");
            if let Some(dns) = spec.dns.as_ref().filter(|dns| !dns.value) {
                self.report(
                    Diagnostic::error("a NIC without a name has a `hostname`")
                        .at(hostname.span)
                        .related(Some(dns.span), "no name is to lead to it")
                        .hint("remove `hostname` or `dns: false`"),
                );
            }
        }
        let hostname = spec.hostname.as_ref().map(|given| ("hostname", given.span));
        let dns = spec.dns.as_ref().filter(|dns| dns.value);
        let dns = dns.map(|given| ("dns: true", given.span));
        if let Some((key, span)) = hostname.or(dns).filter(|_| spec.ip.is_empty()) {
            self.report(
                Diagnostic::error(format!(
                    "`{key}` is about the NIC's address, and it has none"
                ))
                .at(span)
                .hint("give it an `ip`"),
            );
        }
    }

    fn interface_source(&mut self, named: &Named<InterfaceSpec>) -> Option<InterfaceSource> {
        let spec = &named.spec;
        let given: Vec<(&str, Span)> = [
            ("network", spec.network.as_ref().map(|network| network.span)),
            ("bridge", spec.bridge.as_ref().map(|bridge| bridge.span)),
            (
                "direct",
                spec.direct
                    .as_ref()
                    .and_then(|direct| Some(direct.dev.as_ref()?.span)),
            ),
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
                    .hint("give `network: NETWORK`, `bridge: BRIDGE`, `direct: DEVICE` or `user: true`"),
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
        if let Some(direct) = &spec.direct {
            let dev = direct.dev.as_ref()?;
            self.check_device_name(dev);
            return Some(InterfaceSource::Direct {
                dev: dev.value.clone(),
                mode: value_or(&direct.mode, "bridge").to_owned(),
            });
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
        let networks = self.lab.networks.iter();
        let own_names: BTreeMap<Name, Vec<DnsHost>> = networks
            .map(|(key, network)| (key.clone(), network.dns.hosts.clone()))
            .collect();
        let mut seen: BTreeMap<(String, IpAddr), Span> = BTreeMap::new();
        for named in guests {
            let Some(guest) = self.lab.guests.get(&named.key.value).cloned() else {
                continue;
            };
            for nic in &named.spec.interfaces {
                let interfaces = guest.interfaces.iter();
                let Some(interface) = interfaces.clone().find(|i| i.key == nic.key.value) else {
                    continue;
                };
                let segment = match &interface.source {
                    InterfaceSource::Network { network, .. } => format!("network {network}"),
                    InterfaceSource::Bridge { bridge } => format!("bridge {bridge}"),
                    InterfaceSource::Direct { dev, .. } => format!("device {dev}"),
                    InterfaceSource::User => continue,
                };
                let names = names::of_nic(&self.lab, &guest, interface);
                let own = match is_static(&named.spec.system.network) {
                    true => Own::System,
                    false if value_or(&nic.spec.dns, false) => Own::Named,
                    false => Own::None,
                };
                for ip in &nic.spec.ip {
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
                    let entry = Entry {
                        guest: &guest,
                        nic: interface,
                        names: &names,
                        ip,
                        own,
                    };
                    match &interface.source {
                        InterfaceSource::Network { network, .. } => {
                            let own_names = own_names.get(network).map_or(&[][..], Vec::as_slice);
                            self.enter(network, &entry, own_names);
                        }
                        InterfaceSource::Bridge { bridge } => self.not_reserved(
                            &entry,
                            &format!("who runs the bridge `{bridge}` gives out its addresses"),
                            &format!("have it reserved there for {}", interface.mac),
                        ),
                        InterfaceSource::Direct { dev, .. } => self.not_reserved(
                            &entry,
                            &format!("who runs the network behind `{dev}` gives out its addresses"),
                            &format!("have it reserved there for {}", interface.mac),
                        ),
                        InterfaceSource::User => {}
                    }
                }
            }
        }
        self.names_elsewhere();
        for network in self.lab.networks.values_mut() {
            network.dns.hosts.sort_by_key(|host| host.ip);
        }
    }

    /// Enters one address of a NIC into its network.
    fn enter(&mut self, key: &Name, entry: &Entry<'_>, own_names: &[DnsHost]) {
        if self.flawed_networks.contains(key) {
            return;
        }
        let Some(network) = self.lab.networks.get(key) else {
            return;
        };
        let (ip, span) = (entry.ip.value, entry.ip.span);
        // Others give out the addresses there.
        if network.mode == NetworkMode::Bridge {
            self.not_reserved(
                entry,
                &format!("who runs the bridge of the network `{key}` gives out its addresses"),
                &format!("have it reserved there for {}", entry.nic.mac),
            );
            return;
        }
        if network.external {
            if network.reserves {
                self.reserve(key, entry);
            } else if !self.reserved_by_others.contains(key) {
                self.not_reserved(
                    entry,
                    &format!("the network `{key}` is external"),
                    "write `external: {reservations: true}` in the network to have it made there, `reservations: false` where others make it",
                );
            }
            return;
        }
        if network.addresses.is_empty() && entry.own == Own::System {
            return;
        }
        let place = self.lab.places.get(&Address::network(key)).copied();
        let unserved = || match (network.reserves, entry.own) {
            (true, Own::None | Own::Named) => served_elsewhere(network, ip),
            (false, Own::None) => Some(not_served(network, ip)),
            (_, Own::System) | (false, Own::Named) => None,
        };
        if let Some(problem) = unfit(network, ip).or_else(unserved) {
            self.problems
                .push(problem.at(span).related(place, "the network"));
            return;
        }
        // A guest that knows its address asks no DHCP server, but others are to find it taken.
        let reserves = match entry.own {
            Own::None | Own::Named => network.reserves,
            Own::System => has_range(network, ip),
        };
        if network.answers() {
            if let Some(problem) = named_otherwise(own_names, entry, place) {
                self.problems.push(problem);
            }
            if let Some(network) = self.lab.networks.get_mut(key) {
                for name in entry.names {
                    names::name(network, ip, name);
                }
            }
        }
        if reserves {
            self.reserve(key, entry);
        }
    }

    fn reserve(&mut self, key: &Name, entry: &Entry<'_>) {
        let ip = entry.ip.value;
        let name = match ip {
            IpAddr::V4(_) if entry.names.contains(&entry.guest.hostname) => {
                Some(entry.guest.hostname.clone())
            }
            IpAddr::V4(_) => entry.names.first().cloned(),
            // DHCPv6 knows a host by the name that it says it has.
            IpAddr::V6(_) => Some(entry.guest.hostname.clone()),
        };
        if let Some(network) = self.lab.networks.get_mut(key) {
            network.dhcp_hosts.push(DhcpHost {
                guest: entry.guest.key.clone(),
                mac: entry.nic.mac.clone(),
                name,
                ip,
            });
        }
    }

    /// Says of an address that the lab does not see to it that the NIC gets it.
    fn not_reserved(&mut self, entry: &Entry<'_>, why: &str, way_out: &str) {
        if entry.own == Own::None {
            let ip = entry.ip.value;
            self.problems.push(
                Diagnostic::warning(format!("nothing here reserves {ip}: {why}"))
                    .at(entry.ip.span)
                    .hint(format!(
                        "{way_out}; `dns: true` beside `ip` says that the guest has the address by itself"
                    )),
            );
        }
    }
}

/// One address of a NIC.
struct Entry<'a> {
    guest: &'a Guest,
    nic: &'a Interface,
    names: &'a [String],
    ip: &'a Spanned<IpAddr>,
    own: Own,
}

/// What the definition says of how a guest comes to an address without DHCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    /// Nothing: it is to be reserved.
    None,
    /// `dns: true` is written beside it: where nobody reserves it, the name is all that is wanted.
    Named,
    /// `system: {network: static}`: it is written down in the system.
    System,
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

/// The network's own `dns.hosts` may not say otherwise of a guest's name.
fn named_otherwise(
    hosts: &[DnsHost],
    entry: &Entry<'_>,
    place: Option<Span>,
) -> Option<Diagnostic> {
    let (ip, guest) = (entry.ip.value, entry.guest);
    let is_own = |other| guest.interfaces.iter().any(|nic| nic.ips.contains(other));
    let has_guests_name = entry.names.contains(&guest.hostname);
    let same = |name: &&String| {
        let is = |other: &String| name.eq_ignore_ascii_case(other);
        entry.names.iter().any(is) || (has_guests_name && is(&guest.fqdn))
    };
    let (name, other) = hosts.iter().find_map(|host| {
        let name = host.names.iter().find(same)?;
        let taken = host.ip != ip && same_family(host.ip, ip) && !is_own(&host.ip);
        taken.then_some((name, host.ip))
    })?;
    Some(
        Diagnostic::error(format!("`{name}` is named twice: for {other} and for {ip}"))
            .at(entry.ip.span)
            .related(place, "the network, whose `dns.hosts` has it too")
            .hint("remove the name from `dns.hosts`: the guest brings it"),
    )
}

/// Whether the network has a DHCP range where the address is.
fn has_range(network: &Network, ip: IpAddr) -> bool {
    let mut homes = network.addresses.iter().filter(|net| net.contains(&ip));
    homes.any(|home| network.dhcp.iter().any(|range| home.contains(&range.start)))
}

fn not_served(network: &Network, ip: IpAddr) -> Diagnostic {
    let key = &network.key;
    Diagnostic::error(format!("the network `{key}` has no DHCP to give {ip} with")).hint(
        "remove `dhcp: false` from the network; in a guest that sets its address itself write `system: {network: static}`, or `dns: true` beside `ip` for the name alone",
    )
}

/// libvirt serves one subnet of a family (`Multiple IPv4 dhcp sections found`): that with the range, or the first with a reservation.
fn served_elsewhere(network: &Network, ip: IpAddr) -> Option<Diagnostic> {
    let key = &network.key;
    let is_here = |served: &IpAddr| {
        let mut homes = network.addresses.iter().filter(|net| net.contains(&ip));
        homes.any(|home| home.contains(served))
    };
    let ranges = network.dhcp.iter().map(|range| range.start);
    let hosts = network.dhcp_hosts.iter().map(|host| host.ip);
    let other = ranges
        .chain(hosts)
        .find(|served| same_family(*served, ip) && !is_here(served))?;
    let family = if ip.is_ipv4() { "IPv4" } else { "IPv6" };
    let mut nets = network.addresses.iter();
    let subnet = nets.find(|net| net.contains(&other))?.trunc();
    Some(
        Diagnostic::error(format!("{ip} cannot be given by DHCP: of {family}, `{key}` serves {subnet}"))
            .hint("libvirt has DHCP in one subnet of a network: give an address there, or write `system: {network: static}` in a guest that sets its address itself"),
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
