//! How the host comes to the names of guests: addresses for `/etc/hosts`, or whom to ask for which domain.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use crate::lab::model::{Guest, Lab, Network, NetworkMode};

/// A line of `/etc/hosts`.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Address {
    pub ip: IpAddr,
    /// The whole name first, as hosts(5) has it.
    pub names: Vec<String>,
}

/// Every address with a name in the lab: the guests', then what the networks' name servers know besides.
pub(super) fn addresses(lab: &Lab) -> Vec<Address> {
    let mut all: BTreeMap<IpAddr, Vec<String>> = BTreeMap::new();
    let mut add = |ip: IpAddr, name: &str| {
        let names = all.entry(ip).or_default();
        if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            names.push(name.to_owned());
        }
    };
    // A name leads to one of a guest's NICs: what other networks answer by it is for those who are on them.
    for guest in lab.guests.values() {
        let main = guest.main_nic(&lab.networks).map(|nic| &nic.key);
        for nic in guest.interfaces.iter().filter(|nic| nic.dns) {
            let network = lab.network_of(nic);
            let whole = |name: &str| match network {
                Some(network) if !name.contains('.') => network.qualified(name),
                Some(_) | None => name.to_owned(),
            };
            let mut names = Vec::new();
            if main == Some(&nic.key) {
                names.extend([guest.fqdn.clone(), guest.hostname.clone()]);
            } else if nic.hostname.is_none() {
                let other = whole(&guest.hostname);
                names.extend(Some(other).filter(|name| !is_guests(guest, name)));
            }
            if let Some(own) = &nic.hostname {
                names.extend([whole(own), own.clone()]);
            }
            for ip in &nic.ips {
                names.iter().for_each(|name| add(*ip, name));
            }
        }
    }
    for host in lab.networks.values().flat_map(|network| &network.dns.hosts) {
        let nics_of = |guest: &&Guest| {
            guest
                .interfaces
                .iter()
                .any(|nic| nic.ips.contains(&host.ip))
        };
        let guest = lab.guests.values().find(nics_of);
        for name in &host.names {
            if !guest.is_some_and(|guest| is_guests(guest, name)) {
                add(host.ip, name);
            }
        }
    }
    let lines = all.into_iter();
    lines.map(|(ip, names)| Address { ip, names }).collect()
}

/// Whether a name is the guest's own, and not that of one of its NICs.
fn is_guests(guest: &Guest, name: &str) -> bool {
    name.eq_ignore_ascii_case(&guest.fqdn) || name.eq_ignore_ascii_case(&guest.hostname)
}

/// A name server of a network.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Server<'a> {
    /// The network's name in libvirt.
    pub network: &'a str,
    /// Its bridge, where the definition names it.
    pub bridge: Option<&'a str>,
    /// Where the server listens.
    pub addresses: Vec<IpAddr>,
    /// The domains that it answers for, of addresses too (`in-addr.arpa`).
    pub domains: Vec<String>,
}

/// The name servers that know guests.
pub(super) fn servers(lab: &Lab) -> Vec<Server<'_>> {
    lab.networks.values().filter_map(server).collect()
}

fn server(network: &Network) -> Option<Server<'_>> {
    let domain = network.domain.as_ref()?;
    if network.external
        || network.mode == NetworkMode::Bridge
        || network.addresses.is_empty()
        || network.dns.enabled == Some(false)
    {
        return None;
    }
    let mut domains = vec![domain.clone()];
    domains.extend(network.addresses.iter().filter_map(reverse));
    Some(Server {
        network: &network.name,
        bridge: network.bridge.as_deref(),
        addresses: network.addresses.iter().map(IpNet::addr).collect(),
        domains,
    })
}

/// The domain of a subnet's addresses (RFC 1035, RFC 3596), where it has one of its own.
fn reverse(subnet: &IpNet) -> Option<String> {
    let prefix = usize::from(subnet.prefix_len());
    let (labels, bits, suffix): (Vec<String>, usize, &str) = match subnet.network() {
        IpAddr::V4(ip) => {
            let labels = ip.octets().map(|octet| octet.to_string());
            (labels.into(), 8, "in-addr.arpa")
        }
        IpAddr::V6(ip) => {
            let octets = ip.octets();
            let nibbles = octets.iter().flat_map(|octet| [octet >> 4, octet & 15]);
            let labels = nibbles.map(|nibble| format!("{nibble:x}"));
            (labels.collect(), 4, "ip6.arpa")
        }
    };
    if prefix == 0 || !prefix.is_multiple_of(bits) {
        return None;
    }
    let mut labels: Vec<&str> = labels[..prefix / bits].iter().map(String::as_str).collect();
    labels.reverse();
    Some(format!("{}.{suffix}", labels.join(".")))
}

#[cfg(test)]
mod tests {
    use super::reverse;

    #[test]
    fn subnets_have_reverse_domains() {
        for (subnet, domain) in [
            ("192.168.155.1/24", Some("155.168.192.in-addr.arpa")),
            ("10.1.2.3/8", Some("10.in-addr.arpa")),
            ("10.0.0.1/22", None),
            (
                "fd00:155::1/64",
                Some("0.0.0.0.0.0.0.0.5.5.1.0.0.0.d.f.ip6.arpa"),
            ),
        ] {
            assert_eq!(reverse(&subnet.parse().unwrap()).as_deref(), domain);
        }
    }
}
