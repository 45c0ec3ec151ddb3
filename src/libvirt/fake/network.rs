//! What the fake does with networks.

use ipnet::IpNet;

use super::{Model, Refusal, define, fill, get, get_mut, refuse};
use crate::libvirt::observed::parking_name;
use crate::step::{NetworkSection, Side, UpdateVerb};
use crate::xml::tree::Element;

impl Model {
    /// The bridges that networks have, by network.
    pub(super) fn bridges(&self) -> Vec<(String, String)> {
        let bridge = |xml: &Element| xml.attribute_at("bridge", "name").map(str::to_owned);
        self.networks
            .iter()
            .filter_map(|(name, object)| Some((name.clone(), bridge(&object.xml)?)))
            .collect()
    }

    pub(super) fn define_network(&mut self, xml: &Element) -> Result<(), Refusal> {
        let bridges = self.bridges();
        let name = xml.text_at("name").unwrap_or_default();
        let asked = xml.attribute_at("bridge", "name");
        if let Some((other, bridge)) = bridges
            .iter()
            .find(|(other, bridge)| other != name && Some(bridge.as_str()) == asked)
        {
            return refuse(format!(
                "bridge name '{bridge}' is already in use by network '{other}'"
            ));
        }
        define(
            &mut self.networks,
            "network",
            xml,
            fill::network(xml, &bridges),
        )
    }

    pub(super) fn start_network(&mut self, name: &str) -> Result<(), Refusal> {
        let object = get(&self.networks, "network", name)?;
        if object.live.is_some() {
            return Ok(());
        }
        let ours = subnets(&object.xml);
        for (other, object) in &self.networks {
            let theirs = object.live.as_ref().map(subnets).unwrap_or_default();
            let overlap = |a: &IpNet| theirs.iter().any(|b| a.contains(b) || b.contains(a));
            if ours.iter().any(overlap) {
                return refuse(format!(
                    "internal error: Network is already in use by interface of network '{other}'"
                ));
            }
        }
        let object = get_mut(&mut self.networks, "network", name)?;
        object.live = Some(fill::running_network(&object.xml));
        self.plug_in(name, |_, _| true);
        Ok(())
    }

    /// Plugs the NICs of some guests in that are on a network, or on a bridge of the host.
    pub(super) fn plug_in(&mut self, network: &str, which: impl Fn(&str, &str) -> bool) {
        let running = self.networks.get(network).and_then(|n| n.live.as_ref());
        let bridge = running.map_or(Some(network), |xml| xml.attribute_at("bridge", "name"));
        for (name, guest) in &self.guests {
            let devices = guest.live.as_ref().and_then(|live| live.child("devices"));
            let devices = devices.into_iter();
            for nic in devices.flat_map(|devices| devices.children_named("interface")) {
                let of = |element, name| nic.attribute_at(element, name).unwrap_or_default();
                let bridges = Some(of("source", "bridge")) == bridge;
                let here = bridges || of("source", "network") == network;
                if here && which(name, of("mac", "address")) {
                    self.loose_taps.remove(of("target", "dev"));
                }
            }
        }
    }

    /// Where the network does not start, it is as it was, and runs.
    pub(super) fn restart_network(&mut self, name: &str, xml: &Element) -> Result<(), Refusal> {
        let before = get(&self.networks, "network", name)?.xml.clone();
        self.define_network(xml)?;
        self.stop_network(name);
        self.networks.remove(&parking_name(name));
        self.start_network(name).inspect_err(|_| {
            let _ = self
                .define_network(&before)
                .and_then(|()| self.start_network(name));
        })
    }

    /// The taps of guests that are on it hang on nothing then.
    pub(super) fn stop_network(&mut self, name: &str) {
        let guests = self.guests.values();
        let running = guests.filter_map(|guest| guest.live.as_ref()?.child("devices"));
        let nics = running.flat_map(|devices| devices.children_named("interface"));
        let on_it = nics.filter(|nic| nic.attribute_at("source", "network") == Some(name));
        let taps = on_it.filter_map(|nic| nic.attribute_at("target", "dev"));
        self.loose_taps.extend(taps.map(str::to_owned));
        super::stop(&mut self.networks, name);
    }

    /// Removes a definition; one that is gone is fine. A network that runs goes when it stops.
    pub(super) fn undefine_network(&mut self, name: &str) -> Result<(), Refusal> {
        match self.networks.get_mut(name) {
            Some(object) if object.live.is_some() && !object.persistent => {
                refuse("can't undefine transient network")
            }
            Some(object) if object.live.is_some() => {
                object.persistent = false;
                object.autostart = false;
                Ok(())
            }
            Some(_) | None => {
                self.networks.remove(name);
                Ok(())
            }
        }
    }

    pub(super) fn update_network(
        &mut self,
        name: &str,
        side: Side,
        (verb, section, parent): (UpdateVerb, NetworkSection, i32),
        entry: &Element,
    ) -> Result<(), Refusal> {
        let object = get_mut(&mut self.networks, "network", name)?;
        let network = match (side, &mut object.live) {
            (Side::Definition, _) => &mut object.xml,
            (Side::Running, Some(running)) => running,
            (Side::Running, None) => {
                return refuse("Requested operation is not valid: network is not running");
            }
        };
        update(network, verb, section, parent, entry)
    }
}

/// The subnets that a network has addresses in.
fn subnets(xml: &Element) -> Vec<IpNet> {
    xml.children_named("ip")
        .filter_map(|ip| {
            let address = ip.attribute("address")?.parse().ok()?;
            let net = match ip.attribute("netmask") {
                Some(mask) => IpNet::with_netmask(address, mask.parse().ok()?).ok()?,
                None => IpNet::new(address, ip.attribute("prefix")?.parse().ok()?).ok()?,
            };
            Some(net.trunc())
        })
        .collect()
}

fn update(
    network: &mut Element,
    verb: UpdateVerb,
    section: NetworkSection,
    parent: i32,
    entry: &Element,
) -> Result<(), Refusal> {
    let holder = match section {
        NetworkSection::IpDhcpHost | NetworkSection::IpDhcpRange => {
            let mut ips = network.children.iter_mut().filter(|c| c.name == "ip");
            match ips.nth(usize::try_from(parent).unwrap_or(0)) {
                Some(ip) => ip.child_or_insert("dhcp"),
                None => return refuse("couldn't locate a matching ip element in the network"),
            }
        }
        NetworkSection::DnsHost | NetworkSection::DnsTxt | NetworkSection::DnsSrv => {
            network.child_or_insert("dns")
        }
        NetworkSection::ForwardInterface => network.child_or_insert("forward"),
        NetworkSection::Portgroup => network,
    };
    let item = entry.name.as_str();
    let matching: Vec<usize> = holder
        .children
        .iter()
        .enumerate()
        .filter(|(_, there)| there.name == item && matches(section, verb, there, entry))
        .map(|(at, _)| at)
        .collect();
    match (verb, matching.as_slice()) {
        (UpdateVerb::Add, []) => {
            let after = holder.children.iter().rposition(|c| c.name == item);
            let at = after.map_or(holder.children.len(), |at| at + 1);
            holder.children.insert(at, entry.clone());
        }
        (UpdateVerb::Add, _) => {
            return refuse(format!(
                "there is an existing {item} entry in the network that matches {entry}"
            ));
        }
        (UpdateVerb::Delete, [at]) => drop(holder.children.remove(*at)),
        (UpdateVerb::Modify, _) if !section.modifies() => {
            return refuse(format!("'modify' of {item} entries is not supported"));
        }
        (UpdateVerb::Modify, [at]) => holder.children[*at] = entry.clone(),
        (UpdateVerb::Delete | UpdateVerb::Modify, []) => {
            return refuse(format!("couldn't locate a matching {item} entry: {entry}"));
        }
        (UpdateVerb::Delete | UpdateVerb::Modify, _) => {
            return refuse(format!("multiple matching {item} entries: {entry}"));
        }
    }
    Ok(())
}

/// Whether libvirt takes an entry that is there for the one that is given.
fn matches(section: NetworkSection, verb: UpdateVerb, there: &Element, given: &Element) -> bool {
    let both = |name: &str| {
        let values = given.attribute(name).zip(there.attribute(name));
        values.is_some_and(|(given, there)| {
            given == there || name == "mac" && given.eq_ignore_ascii_case(there)
        })
    };
    let all = |names: &[&str]| {
        names
            .iter()
            .all(|name| there.attribute(name) == given.attribute(name))
    };
    match section {
        NetworkSection::IpDhcpHost => match verb {
            UpdateVerb::Add | UpdateVerb::Modify => both("mac") || both("ip") || both("name"),
            // Of what is deleted, all that is given has to fit.
            UpdateVerb::Delete => ["mac", "ip", "name"]
                .iter()
                .all(|name| given.attribute(name).is_none() || both(name)),
        },
        NetworkSection::IpDhcpRange => all(&["start", "end"]),
        NetworkSection::DnsHost => {
            let shares_name = || {
                given.children_named("hostname").any(|name| {
                    there
                        .children_named("hostname")
                        .any(|t| t.text == name.text)
                })
            };
            match verb {
                UpdateVerb::Add => both("ip"),
                UpdateVerb::Delete | UpdateVerb::Modify => both("ip") || shares_name(),
            }
        }
        NetworkSection::DnsTxt | NetworkSection::Portgroup => both("name"),
        NetworkSection::DnsSrv => all(&["service", "protocol", "domain", "target"]),
        NetworkSection::ForwardInterface => both("dev"),
    }
}
