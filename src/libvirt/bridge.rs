//! Ways out for a network whose bridge is there before it starts.
//!
//! libvirt looks for a free bridge name and takes it in two steps. Networks that are defined at the same moment can get the
//! same one, and only one of them ever starts. Within a process networks are defined one at a time; this is for two
//! processes, such as the applies of two labs, or one and what libvirt still does for another that was killed.
//!
//! And a libvirtd that died while it started a network left the bridge behind and forgot it. Some libvirt (11.3) removes it as
//! the next start fails, so that the one after goes; else nothing but the host's own tools can.

use virt::network::Network;
use virt::sys;

use super::connection::Connection;
use super::error::StepError;
use super::observe::inactive;
use super::port::ErrorKind;
use crate::step::Named;
use crate::xml::tree::Element;

/// What libvirt says of a bridge that exists.
const TAKEN: &str = "error creating bridge interface";
/// What libvirt says of a subnet that the host has, before the interface.
const IN_USE: &str = "Network is already in use by interface ";
/// How often another bridge is asked for: somebody else may do the same at the same time.
const ATTEMPTS: usize = 5;

impl Connection {
    /// Starts an inactive network. Where another has the bridge that libvirt chose for it, libvirt is made to choose again.
    pub(super) fn create_network(&self, name: &Named) -> Result<(), StepError> {
        let mut started = self.network(name)?.create();
        for attempt in 0..ATTEMPTS {
            let Err(error) = &started else { break };
            let message = error.message();
            if !message.contains(IN_USE) && !message.contains(TAKEN) {
                break;
            }
            let network = self.network(name)?;
            if network.is_active()? {
                break;
            }
            let xml = inactive(sys::VIR_NETWORK_XML_INACTIVE, |flags| {
                network.xml_desc(flags)
            })?;
            if let Some(error) = forgotten(message, &xml, &name.name) {
                if attempt > 0 {
                    return Err(error);
                }
                started = network.create();
                continue;
            }
            let Some(xml) = without_chosen_bridge(xml) else {
                break;
            };
            self.define_network(&xml.into())?;
            started = self.network(name)?.create();
        }
        Ok(started?)
    }

    /// Starts a transient network whose bridge has a name that nobody else gives: one that is there was left behind.
    pub(super) fn create_transient_network(
        &self,
        xml: &str,
        bridge: &str,
    ) -> Result<Network, StepError> {
        let is_there = |error: &virt::error::Error| error.message().contains(TAKEN);
        let mut started = self.connect.create_network_xml(xml);
        if started.as_ref().is_err_and(is_there) {
            started = self.connect.create_network_xml(xml);
        }
        started.map_err(|error| match is_there(&error) {
            // It serves nothing, so that there is no dnsmasq of it.
            true => left_behind(error.message(), &format!("`ip link delete {bridge}`")),
            false => error.into(),
        })
    }
}

/// A bridge of the network's name that has its subnet, and is no active network's.
fn forgotten(message: &str, network: &Element, name: &str) -> Option<StepError> {
    let bridge = network.attribute_at("bridge", "name")?;
    let (_, interface) = message.split_once(IN_USE)?;
    (interface.trim() == bridge).then(|| left_behind(message, &left_on_host(bridge, name)))
}

/// How what a network has on the host is removed: its bridge, and the dnsmasq that serves on it. The other's file is where
/// distributions have it.
pub fn left_on_host(bridge: &str, network: &str) -> String {
    format!(
        "`ip link delete {bridge}` and, if it is there, its dnsmasq with `pkill -f conf-file=/var/lib/libvirt/dnsmasq/{network}.conf`"
    )
}

fn left_behind(message: &str, removal: &str) -> StepError {
    StepError::Ours {
        kind: ErrorKind::Failed,
        message: message.trim().to_owned(),
        hint: Some(format!(
            "a libvirtd that died while it started this network left its bridge behind: remove it on that host, as root, with {removal}, and apply again"
        )),
    }
}

/// The network without its bridge's name; `None` where the name is not one of those that libvirt chooses.
fn without_chosen_bridge(mut network: Element) -> Option<Element> {
    let bridge = network.child_mut("bridge")?;
    let number = bridge.attribute("name")?.strip_prefix("virbr")?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    bridge.remove_attribute("name");
    Some(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_that_was_left_behind_is_told_from_anothers() {
        let network = Element::parse("<network><bridge name='virbr1'/></network>").unwrap();
        let is_forgotten = |interface: &str| {
            let message = format!("internal error: {IN_USE}{interface}");
            forgotten(&message, &network, "front").is_some()
        };
        assert!(is_forgotten("virbr1"));
        let told = left_on_host("virbr1", "front");
        assert!(told.contains("`ip link delete virbr1`"), "{told}");
        let file = "/var/lib/libvirt/dnsmasq/front.conf";
        assert!(
            told.contains(&format!("`pkill -f conf-file={file}`")),
            "{told}"
        );
        assert!(!is_forgotten("virbr10"));
        assert!(!is_forgotten("eth0"));
    }

    #[test]
    fn only_what_libvirt_chose_is_chosen_again() {
        let with = |name: &str| {
            let text = format!("<network><bridge name='{name}' stp='on'/></network>");
            without_chosen_bridge(Element::parse(&text).unwrap())
        };
        let without = Element::parse("<network><bridge stp='on'/></network>").unwrap();
        assert_eq!(with("virbr12"), Some(without));
        for given in ["virbr", "virbr1x", "br0"] {
            assert_eq!(with(given), None);
        }
    }
}
