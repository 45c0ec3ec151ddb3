//! The addresses that guests have: what networks leased to them, and what the host met them with.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use virt::error::Error;
use virt::sys;

use super::connection::{Connection, is_daemon_here};
use super::host;
use super::observe::read_each;
use super::observed::{Addresses, Observed, ObservedGuest};
use super::raw::{self, Held};
use crate::xml::tree::Element;

/// A NIC of a guest that runs.
struct Nic {
    network: Option<String>,
    mac: String,
}

impl Connection {
    /// The addresses that are known of the NICs of these guests, by guest. Networks are asked once each; a guest for itself only where
    /// none of them knows one of its NICs, and the host is another. What cannot be told is not known.
    pub(super) fn addresses_of(
        &self,
        observed: &Observed,
        guests: &BTreeSet<&str>,
    ) -> BTreeMap<String, Addresses> {
        let nics: BTreeMap<&str, Vec<Nic>> = guests
            .iter()
            .filter_map(|name| Some((*name, nics(observed.guests.get(*name)?))))
            .collect();
        let networks: BTreeSet<&str> = nics
            .values()
            .flatten()
            .filter_map(|nic| nic.network.as_deref())
            .filter(|name| observed.networks.get(*name).is_some_and(|it| it.active))
            .collect();
        let networks = Vec::from_iter(networks);
        let leased = read_each(networks, |name| {
            Ok((name, self.leases(name).unwrap_or_default()))
        });
        let leased: BTreeMap<&str, Addresses> = leased.into_iter().flatten().collect();
        let of = |nic: &Nic| leased.get(nic.network.as_deref()?)?.get(&nic.mac).cloned();
        let mut known = BTreeMap::new();
        let mut unknown = Vec::new();
        for (name, nics) in &nics {
            let of = nics.iter().map(|nic| Some((nic.mac.clone(), of(nic)?)));
            let of: Vec<_> = of.collect();
            if of.iter().any(Option::is_none) {
                unknown.push(*name);
            }
            let of: Addresses = of.into_iter().flatten().collect();
            known.insert((*name).to_owned(), of);
        }
        let met: Addresses = match is_daemon_here(&observed.facts.uri) {
            // One look for all, which libvirt 9.0 cannot take with newer kernels ("wrong nlmsg len").
            true => by_mac(host::neighbours()),
            false => {
                let met = read_each(unknown, |name| Ok(self.met(name).unwrap_or_default()));
                met.into_iter().flatten().flatten().collect()
            }
        };
        for (name, nics) in &nics {
            let known: &mut Addresses = known.entry((*name).to_owned()).or_default();
            for nic in nics {
                if let Some(addresses) = met.get(&nic.mac) {
                    known
                        .entry(nic.mac.clone())
                        .or_insert_with(|| addresses.clone());
                }
            }
        }
        known
    }

    /// What a network leased.
    fn leases(&self, name: &str) -> Result<Addresses, Error> {
        let network = Held::new(self.connect.lookup_network_by_name(name)?);
        Ok(by_mac(raw::leases(&network)?))
    }

    /// What the host's table of neighbours has of a guest.
    fn met(&self, name: &str) -> Result<Addresses, Error> {
        let guest = Held::new(self.connect.lookup_domain_by_name(name)?);
        let nics = guest.interface_addresses(sys::VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP, 0)?;
        let all = nics.into_iter().flat_map(|nic| {
            let mac = nic.hwaddr.unwrap_or_default();
            let addresses = nic.addrs.into_iter();
            addresses.map(move |address| (mac.clone(), address.addr))
        });
        Ok(by_mac(all.collect()))
    }
}

/// The addresses of each MAC, without those that every NIC gives itself.
fn by_mac(told: Vec<(String, String)>) -> Addresses {
    let mut addresses = Addresses::new();
    for (mac, address) in told {
        match address.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) if address.is_unicast_link_local() => {}
            Ok(address) => {
                let of = addresses.entry(mac.to_lowercase()).or_default();
                of.insert(address);
            }
            Err(_) => {}
        }
    }
    addresses
}

/// The NICs of a guest, if it runs.
fn nics(guest: &ObservedGuest) -> Vec<Nic> {
    let live = guest.live_xml.as_ref().map(|xml| xml.tree());
    let of = |nic: &Element| {
        Some(Nic {
            network: nic.attribute_at("source", "network").map(str::to_owned),
            mac: nic.attribute_at("mac", "address")?.to_lowercase(),
        })
    };
    let devices = live.as_ref().and_then(|live| live.child("devices"));
    let nics = devices.into_iter();
    nics.flat_map(|devices| devices.children_named("interface"))
        .filter_map(of)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_that_somebody_gave() {
        let told = [
            ("52:54:00:AA:00:01", "10.0.0.5"),
            ("52:54:00:aa:00:01", "fe80::1"),
            ("52:54:00:aa:00:01", "fd00::5"),
            ("52:54:00:aa:00:02", "fe80::2"),
            ("52:54:00:aa:00:03", "no address"),
        ];
        let told = told.map(|(mac, address)| (mac.to_owned(), address.to_owned()));
        let addresses = by_mac(told.to_vec());
        let expected = ["10.0.0.5", "fd00::5"].map(|address| address.parse().unwrap());
        assert_eq!(
            addresses,
            Addresses::from([("52:54:00:aa:00:01".to_owned(), expected.into())])
        );
    }
}
