//! Puts networks through their template, and says what external ones are to reserve.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::Detail;
use super::build::{Builder, Part};
use super::context::{HostContext, IpContext, NetworkContext};
use crate::address::Address;
use crate::lab::model::{DhcpHost, Network};
use crate::xml::tree::Element;

impl Builder<'_> {
    pub(super) fn network(&mut self, network: &Network) {
        let families = |ip: IpAddr| if ip.is_ipv4() { "ipv4" } else { "ipv6" };
        let ips = network.addresses.iter().map(|address| {
            let family = families(address.addr());
            IpContext {
                family,
                address: address.addr(),
                prefix: address.prefix_len(),
                ranges: network
                    .dhcp
                    .iter()
                    .filter(|range| address.contains(&range.start))
                    .collect(),
                hosts: reservations(
                    network
                        .dhcp_hosts
                        .iter()
                        .filter(|host| address.contains(&host.ip)),
                ),
                tftp: None,
                bootp: None,
            }
        });
        let mut ips: Vec<IpContext<'_>> = ips.collect();
        let first = |ip: &&mut IpContext<'_>| ip.ranges.is_empty() && ip.hosts.is_empty();
        let boots = ips.iter_mut().filter(|ip| ip.address.is_ipv4());
        if let Some(ip) = boots.min_by_key(first) {
            ip.tftp = network.tftp.as_deref();
            ip.bootp = network.bootp.as_ref();
        }
        let context = NetworkContext {
            lab: &self.lab.name,
            network,
            ips,
        };
        let address = Address::network(&network.key);
        let detail = Detail::Network {
            uuid: network.uuid,
            autostart: network.autostart,
        };
        let owner = self.owner(&address, &network.name, &detail);
        let part = Part::Network(network.key.clone());
        let xml = self.definition(part, owner, "network", &context, network.xml.as_ref());
        self.add(
            address,
            &network.name,
            xml,
            BTreeSet::new(),
            network.lifecycle,
            detail,
        );
    }

    /// What an external network is to reserve: no template is asked about what is not the lab's.
    pub(super) fn reservations(&mut self, network: &Network) {
        let hosts = reserved(network).into_iter();
        let dhcp = hosts.fold(Element::new("dhcp"), Element::with_child);
        let xml = Element::new("network").with_child(Element::new("ip").with_child(dhcp));
        self.add(
            Address::reservations(&network.key),
            &network.name,
            Ok(xml.into()),
            BTreeSet::new(),
            network.lifecycle,
            Detail::Reservations,
        );
    }
}

fn reservations<'a>(hosts: impl Iterator<Item = &'a DhcpHost>) -> Vec<HostContext<'a>> {
    let mut named = BTreeSet::new();
    hosts
        .map(|host| HostContext {
            mac: &host.mac,
            // DHCPv6 tells hosts apart by name alone.
            name: host
                .name
                .as_deref()
                .filter(|name| named.insert(*name) || host.ip.is_ipv6()),
            ip: host.ip,
        })
        .collect()
}

/// What an external network is to reserve, as libvirt has it.
pub fn reserved(network: &Network) -> Vec<Element> {
    let hosts = reservations(network.dhcp_hosts.iter()).into_iter();
    hosts
        .map(|host| {
            let mut element = Element::new("host");
            if host.ip.is_ipv4() {
                element.set_attribute("mac", host.mac);
            }
            if let Some(name) = host.name {
                element.set_attribute("name", name);
            }
            element.set_attribute("ip", host.ip.to_string());
            element
        })
        .collect()
}
