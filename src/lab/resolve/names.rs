//! What the name servers of networks are told of guests: which of a guest's NICs its own name means, and what the others are called.

use std::net::IpAddr;

use super::Resolver;
use crate::lab::model::{DnsHost, Guest, Interface, InterfaceSource, Lab, Network};

/// The names that an address of a NIC has on its network.
pub(super) fn of_nic(lab: &Lab, guest: &Guest, nic: &Interface) -> Vec<String> {
    let mut names: Vec<String> = nic.hostname.iter().cloned().collect();
    let is_main = guest
        .main_nic(&lab.networks)
        .is_some_and(|main| main.key == nic.key);
    // Each name server answers with what can be reached on its own network, and with one address.
    let is_first = || {
        let on_it = |other: &&Interface| {
            other.source == nic.source && has_guests_name(other) && !other.ips.is_empty()
        };
        let first = guest.interfaces.iter().find(on_it);
        first.is_some_and(|first| first.key == nic.key)
    };
    if nic.dns && (is_main || is_first()) {
        names.push(guest.hostname.clone());
    }
    // The whole name follows from the guest's on a network of its domain, where there is one.
    let qualifies = |other: &Interface| {
        let network = lab.network_of(other);
        (has_guests_name(other) || other.key == nic.key)
            && network.is_some_and(|network| network.qualified(&guest.hostname) == guest.fqdn)
    };
    if is_main && guest.fqdn != guest.hostname && !guest.interfaces.iter().any(qualifies) {
        names.push(guest.fqdn.clone());
    }
    names.dedup();
    names
}

/// Whether the guest's own name is for this NIC, too.
fn has_guests_name(nic: &Interface) -> bool {
    nic.dns && nic.hostname.is_none()
}

impl Resolver<'_> {
    /// A network on which a guest is called otherwise, or nothing, and whose domain makes the guest's whole name, answers for that
    /// as the others of this domain do: else the first that asks by DHCP under this name would get it.
    pub(super) fn names_elsewhere(&mut self) {
        let mut entries = Vec::new();
        for guest in self.lab.guests.values() {
            let Some(main) = guest.main_nic(&self.lab.networks) else {
                continue;
            };
            for nic in &guest.interfaces {
                let InterfaceSource::Network { network: key, .. } = &nic.source else {
                    continue;
                };
                let on_it = |other: &&Interface| other.source == nic.source;
                let is_named_here = guest.interfaces.iter().filter(on_it).any(has_guests_name);
                if main.source != nic.source && !is_named_here {
                    let names = (guest.hostname.clone(), guest.fqdn.clone());
                    entries.push((key.clone(), names, main.ips.clone()));
                }
            }
        }
        for (key, (hostname, fqdn), ips) in entries {
            let Some(network) = self.lab.networks.get_mut(&key) else {
                continue;
            };
            let answers = network.answers() && network.qualified(&hostname) == fqdn;
            let hosts = &network.dns.hosts;
            if answers && !hosts.iter().any(|host| host.names.contains(&hostname)) {
                for ip in ips {
                    name(network, ip, &hostname);
                }
            }
        }
    }
}

/// Gives an address one more name.
pub(super) fn name(network: &mut Network, ip: IpAddr, name: &str) {
    let hosts = &mut network.dns.hosts;
    match hosts.iter_mut().find(|entry| entry.ip == ip) {
        Some(entry) if entry.names.iter().any(|there| there == name) => {}
        Some(entry) => entry.names.push(name.to_owned()),
        None => hosts.push(DnsHost {
            ip,
            names: vec![name.to_owned()],
        }),
    }
}
