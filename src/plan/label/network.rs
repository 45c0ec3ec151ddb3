//! What networks have, in one line each.

use super::bandwidth;
use crate::xml::tree::Element;

/// An element of a network; `None` where a pattern of its place says more.
pub(super) fn element(path: &str, tree: &Element) -> Option<String> {
    match path {
        "network/forward/nat" => Some(nat(tree)),
        "network/portgroup" => Some(port_group(tree)),
        "network/ip/dhcp/range/lease" | "network/ip/dhcp/host/lease" => {
            Some(lease(tree.attribute("expiry")?))
        }
        "network/dnsmasq:options" => {
            let lines = tree.children.iter().filter_map(|it| it.attribute("value"));
            Some(lines.collect::<Vec<_>>().join("; "))
        }
        _ if path.ends_with("/vlan") => Some(vlans(tree)),
        _ => None,
    }
}

/// An attribute of a network's, where it is not to be told as it is.
pub(super) fn text(path: &str, text: &str) -> Option<String> {
    path.ends_with("/lease@expiry").then(|| lease(text))
}

/// The subnet of a route.
pub(super) fn subnet(route: &Element) -> Option<String> {
    let (address, prefix) = (route.attribute("address")?, route.attribute("prefix"));
    Some(prefix.map_or_else(|| address.to_owned(), |it| format!("{address}/{it}")))
}

/// `203.0.113.5 - 203.0.113.6, ports 2000 - 3000, IPv6 too`
fn nat(tree: &Element) -> String {
    let between = |name: &str| {
        let (start, end) = (
            tree.attribute_at(name, "start")?,
            tree.attribute_at(name, "end"),
        );
        Some(
            end.filter(|it| *it != start)
                .map_or_else(|| start.to_owned(), |end| format!("{start} - {end}")),
        )
    };
    let ports = between("port").map(|ports| format!("ports {ports}"));
    let ipv6 = (tree.attribute("ipv6") == Some("yes")).then(|| "IPv6 too".to_owned());
    let told: Vec<String> = between("address")
        .into_iter()
        .chain(ports)
        .chain(ipv6)
        .collect();
    told.join(", ")
}

/// `default, VLAN 42, inbound 10 MB/s`
fn port_group(tree: &Element) -> String {
    let default = (tree.attribute("default") == Some("yes")).then(|| "default".to_owned());
    let more = tree.children.iter().map(|child| match child.name.as_str() {
        "vlan" => format!("VLAN {}", vlans(child)),
        "bandwidth" => bandwidth::all(child),
        name => name.to_owned(),
    });
    match default.into_iter().chain(more).collect::<Vec<_>>() {
        told if told.is_empty() => "plain".to_owned(),
        told => told.join(", "),
    }
}

/// `42, 43, trunk`
fn vlans(tree: &Element) -> String {
    let tags = tree
        .children_named("tag")
        .filter_map(|tag| tag.attribute("id"));
    let trunk = (tree.attribute("trunk") == Some("yes")).then_some("trunk");
    tags.chain(trunk).collect::<Vec<_>>().join(", ")
}

/// A lease as it would be written.
fn lease(seconds: &str) -> String {
    let Ok(number) = seconds.parse::<u64>() else {
        return seconds.to_owned();
    };
    match number {
        0 => "infinite".to_owned(),
        _ if number % 3600 == 0 => format!("{}h", number / 3600),
        _ if number % 60 == 0 => format!("{}m", number / 60),
        _ => format!("{number}s"),
    }
}
