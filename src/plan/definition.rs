//! What libvirt's definitions say, of all kinds: bridges, addresses, files of disks.

use ipnet::IpNet;
use uuid::Uuid;

use crate::xml::spelling;
use crate::xml::tree::Element;

/// Gives a definition the UUID that its object has, which is another than the derived one if the object was adopted.
pub(super) fn with_uuid(xml: &Element, uuid: Uuid) -> Element {
    let mut xml = xml.clone();
    if let Some(element) = xml.child_mut("uuid") {
        element.text = uuid.to_string();
    }
    xml
}

/// The bridge that a network makes for itself.
pub(super) fn own_bridge(xml: &Element) -> Option<&str> {
    let joins = xml.attribute_at("forward", "mode") == Some("bridge");
    xml.attribute_at("bridge", "name").filter(|_| !joins)
}

pub(super) fn subnets(xml: &Element) -> Vec<IpNet> {
    let own = hosts_own(xml).into_iter();
    own.map(|net| net.trunc()).collect()
}

/// The host's own addresses on a network, in the order of its `<ip>`.
pub(super) fn hosts_own(xml: &Element) -> Vec<IpNet> {
    spelling::canonical(xml)
        .children_named("ip")
        .filter_map(|ip| {
            let address = ip.attribute("address")?;
            let prefix = ip.attribute("prefix")?;
            format!("{address}/{prefix}").parse::<IpNet>().ok()
        })
        .collect()
}

pub(super) fn overlaps(ours: &[IpNet], theirs: &[IpNet]) -> Vec<(IpNet, IpNet)> {
    ours.iter()
        .flat_map(|our| theirs.iter().map(move |their| (*our, *their)))
        .filter(|(our, their)| our.contains(their) || their.contains(our))
        .collect()
}

/// Where a disk's data is: a path, or the name of a volume.
pub(super) fn source_of(disk: &Element) -> Option<&str> {
    ["file", "dev"]
        .into_iter()
        .find_map(|name| disk.attribute_at("source", name))
}

/// Whether a NIC is on a network, which it names itself or by its bridge.
pub(super) fn hangs_on(nic: &Element, network: &str, bridge: Option<&str>) -> bool {
    match nic.attribute("type") {
        Some("bridge") => bridge.is_some() && nic.attribute_at("source", "bridge") == bridge,
        Some(_) | None => nic.attribute_at("source", "network") == Some(network),
    }
}

/// A disk's name in the definition.
pub(super) fn key(disk: &Element) -> Option<String> {
    let alias = disk.attribute_at("alias", "name")?;
    alias.strip_prefix("ua-").map(str::to_owned)
}
