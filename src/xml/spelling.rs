//! Which spellings mean the same to libvirt, and which of them it keeps.
//!
//! Sources: <https://libvirt.org/formatdomain.html>, <https://libvirt.org/formatnetwork.html>,
//! <https://libvirt.org/formatstorage.html>.

use std::net::IpAddr;

use super::tree::Element;
use crate::number_set::NumberSet;
use crate::units;

/// Rewrites spellings that libvirt rewrites as well: units of memory and capacity, netmasks, and the case of MACs; and
/// leaves out what libvirt leaves out. The result means the same and can be given to libvirt.
pub fn canonical(element: &Element) -> Element {
    let mut tree = spelled(element);
    let name = tree.name.clone();
    omit(&mut tree, &name);
    tree
}

/// As [`canonical`], with everything said that was said: what is wanted is compared by what it says.
pub fn spelled(element: &Element) -> Element {
    let mut tree = element.clone();
    let name = tree.name.clone();
    rewrite(&mut tree, &name);
    tree
}

/// What libvirt takes an attribute for that is not there, and so leaves out where it has this value. The path ends in
/// `@attribute`.
pub fn implied<'a>(path: &str, element: &'a Element) -> Option<&'a str> {
    match path {
        "network/dns/srv@port" | "network/dns/srv@priority" | "network/dns/srv@weight" => Some("0"),
        "domain/vcpu@current" if !element.text.is_empty() => Some(&element.text),
        // Where no nodes are named, libvirt writes what it is.
        "domain/numatune/memory@placement" => Some("static"),
        // Newer versions write those that a processor is not made of, too.
        "domain/cpu/topology@dies" | "domain/cpu/topology@clusters" => Some("1"),
        _ => None,
    }
}

fn omit(element: &mut Element, path: &str) {
    let is_said = |(name, value): &(String, String)| {
        implied(&format!("{path}@{name}"), element) != Some(value.as_str())
    };
    if matches!(
        path,
        "network/dns/srv" | "domain/vcpu" | "domain/numatune/memory" | "domain/cpu/topology"
    ) {
        let said = element.attributes.iter().filter(|a| is_said(a)).cloned();
        element.attributes = said.collect();
    }
    for child in &mut element.children {
        let path = format!("{path}/{}", child.name);
        omit(child, &path);
    }
}

fn rewrite(element: &mut Element, path: &str) {
    match path {
        "domain" => lift_namespaces(element),
        "network" => {
            lift_namespaces(element);
            // A count of libvirt's.
            element.remove_attribute("connections");
        }
        "domain/cpu/numa/cell" => {
            let unit = element.attribute("unit").unwrap_or("KiB").to_owned();
            match element.attribute("memory").map(str::to_owned) {
                Some(memory) => {
                    if let Some(kib) = scale(&memory, &unit, "KiB") {
                        element.set_attribute("memory", kib);
                        element.set_attribute("unit", "KiB");
                    }
                }
                // A unit of nothing says nothing, and must not change what is there.
                None => drop(element.remove_attribute("unit")),
            }
        }
        "domain/memoryBacking/hugepages/page" => {
            let unit = element.attribute("unit").unwrap_or("KiB");
            if let Some(kib) = element
                .attribute("size")
                .and_then(|size| scale(size, unit, "KiB"))
            {
                element.set_attribute("size", kib);
                element.set_attribute("unit", "KiB");
            }
        }
        // Names like this are libvirt's to give: it takes them out of definitions.
        "domain/devices/interface" => element.children.retain(|child| {
            let taken = ["vnet", "vif", "macvtap", "macvlan"];
            let dev = child.attribute("dev").unwrap_or_default();
            child.name != "target" || !taken.iter().any(|prefix| dev.starts_with(prefix))
        }),
        "network/ip" | "network/route" | "domain/devices/interface/ip" => {
            let prefix = element
                .attribute("netmask")
                .and_then(|mask| mask.parse().ok())
                .and_then(|mask: IpAddr| ipnet::ip_mask_to_prefix(mask).ok());
            if let Some(prefix) = prefix {
                element.remove_attribute("netmask");
                element.set_attribute("prefix", prefix.to_string());
            }
        }
        "network/mac" | "domain/devices/interface/mac" => lower(element, "address"),
        "network/ip/dhcp/host" => lower(element, "mac"),
        _ => {
            if let Some(unit) = unit(path) {
                rewrite_unit(element, unit);
            }
        }
    }
    if path.starts_with("domain/") && !path.starts_with("domain/metadata") {
        for (name, value) in &mut element.attributes {
            if matches!(name.as_str(), "cpuset" | "nodeset" | "cpus")
                && let Some(set) = NumberSet::parse(value)
            {
                *value = set.to_string();
            }
        }
    }
    for child in &mut element.children {
        let path = format!("{path}/{}", child.name);
        rewrite(child, &path);
    }
    if path == "domain" {
        clamp_memory(element);
    }
}

/// A guest has at most its maximum of memory, whatever else it says.
fn clamp_memory(domain: &mut Element) {
    let kib = |name: &str| -> Option<u64> { domain.text_at(name)?.parse().ok() };
    if let (Some(now), Some(most)) = (kib("currentMemory"), kib("memory"))
        && now > most
        && let Some(current) = domain.child_mut("currentMemory")
    {
        current.text = most.to_string();
    }
}

/// libvirt declares the namespaces of what is not its own, `qemu:commandline`, at the root. (In metadata they stay.)
fn lift_namespaces(root: &mut Element) {
    let mut lifted = Vec::new();
    let own = root.children.iter_mut();
    for child in own.filter(|child| child.name != "metadata") {
        let (namespaces, others) = std::mem::take(&mut child.attributes)
            .into_iter()
            .partition(|(name, _)| name.starts_with("xmlns:"));
        child.attributes = others;
        lifted.extend::<Vec<_>>(namespaces);
    }
    for (name, value) in lifted {
        root.set_attribute(&name, value);
    }
}

fn lower(element: &mut Element, attribute: &str) {
    if let Some(value) = element.attribute(attribute) {
        let value = value.to_lowercase();
        element.set_attribute(attribute, value);
    }
}

/// The unit in which libvirt has the number at a path, and which it takes where none is given.
fn unit(path: &str) -> Option<&'static str> {
    match path {
        "domain/memory" | "domain/currentMemory" | "domain/maxMemory" => Some("KiB"),
        "domain/devices/memory/target/size"
        | "domain/devices/memory/target/block"
        | "domain/devices/memory/target/requested"
        | "domain/devices/memory/target/current"
        | "domain/devices/memory/target/label/size" => Some("KiB"),
        "domain/cpu/numa/cell@memory" | "domain/memoryBacking/hugepages/page@size" => Some("KiB"),
        "volume/capacity" | "volume/allocation" => Some("bytes"),
        "domain/devices/video/model@vram" => Some("KiB"),
        "domain/devices/rng/rate@bytes" => Some("bytes"),
        _ if path.starts_with("domain/memtune/") => Some("KiB"),
        _ => None,
    }
}

/// How many bytes the number at a path says, as [`canonical`] leaves it.
pub fn bytes(path: &str, number: &str) -> Option<u64> {
    let bytes = number
        .parse::<u128>()
        .ok()?
        .checked_mul(u128::from(units::factor(unit(path)?)?))?;
    u64::try_from(bytes).ok()
}

fn rewrite_unit(element: &mut Element, unit: &str) {
    if element.text.is_empty() {
        // As above.
        element.remove_attribute("unit");
        return;
    }
    let given = element.attribute("unit").unwrap_or(unit);
    if let Some(text) = scale(&element.text, given, unit) {
        element.text = text;
        element.set_attribute("unit", unit);
    }
}

/// Converts a number between libvirt's units, rounding up as libvirt does. `None` for what is not a number or unit.
fn scale(number: &str, from: &str, to: &str) -> Option<String> {
    let number = number.trim().parse::<u128>().ok()?;
    let bytes = number.checked_mul(u128::from(units::factor(from)?))?;
    Some(bytes.div_ceil(u128::from(units::factor(to)?)).to_string())
}

/// Whether what is wanted and what is live mean the same at a path that ends in `@attribute` or, for a text, in the
/// element's name.
pub fn same(path: &str, wanted: &str, live: &str) -> bool {
    if wanted == live {
        return true;
    }
    match path {
        "domain/os/type@machine" => is_machine(wanted, live),
        "domain/uuid"
        | "domain/genid"
        | "domain/devices/hostdev/source/address@uuid"
        | "network/uuid"
        | "pool/uuid" => wanted.eq_ignore_ascii_case(live),
        "pool/target/permissions/mode" | "volume/target/permissions/mode" => {
            wanted.trim_start_matches('0') == live.trim_start_matches('0')
        }
        // libvirt counts them as they come, and its own for the first serial port among them.
        "domain/devices/console/target@port" => true,
        "domain/clock@adjustment" => wanted.strip_prefix('+') == Some(live),
        "domain/launchSecurity/policy" => same_hex(wanted, live),
        // These are the user's words, whatever they look like.
        _ if !path.contains('@') || path.ends_with("@value") => false,
        _ => match (wanted.parse::<IpAddr>(), live.parse::<IpAddr>()) {
            (Ok(wanted), Ok(live)) => wanted == live,
            _ => same_number(wanted, live),
        },
    }
}

/// Whether `live` is the versioned machine type that the alias `wanted` stands for.
fn is_machine(wanted: &str, live: &str) -> bool {
    match wanted {
        "pc" => live.starts_with("pc-i440fx-"),
        alias => [format!("pc-{alias}-"), format!("{alias}-")]
            .iter()
            .any(|prefix| live.starts_with(prefix.as_str())),
    }
}

/// What machines of one kind have in common: `q35` of `pc-q35-7.2` and `pc-q35-noble`.
pub fn machine_family(machine: &str) -> &str {
    if machine == "pc" {
        return "i440fx";
    }
    let kind = machine.strip_prefix("pc-").unwrap_or(machine);
    kind.split('-').next().unwrap_or(kind)
}

/// Addresses of devices are written `3`, `0x3` and `0x03`; only where one is in hex do numbers compare by value.
fn same_number(wanted: &str, live: &str) -> bool {
    match (hex(wanted), hex(live)) {
        (Some(wanted), Some(live)) => wanted == live,
        (Some(wanted), None) => live.parse() == Ok(wanted),
        (None, Some(live)) => wanted.parse() == Ok(live),
        (None, None) => false,
    }
}

/// What libvirt reads in hex, with or without `0x`, and writes with it.
fn same_hex(wanted: &str, live: &str) -> bool {
    let number = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    number(wanted).is_some_and(|wanted| number(live) == Some(wanted))
}

/// A number in hex, with its `0x`.
pub(super) fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_spellings_become_libvirts() {
        let tree = Element::parse(
            "<domain><memory unit='gib'>1</memory><currentMemory unit='Byte'>1025</currentMemory></domain>",
        )
        .unwrap();
        let tree = canonical(&tree);
        assert_eq!(tree.text_at("memory"), Some("1048576"));
        assert_eq!(tree.attribute_at("memory", "unit"), Some("KiB"));
        assert_eq!(tree.text_at("currentMemory"), Some("2"));

        let net =
            Element::parse("<network><ip address='10.0.0.1' netmask='255.255.255.0'/></network>");
        let net = canonical(&net.unwrap());
        assert_eq!(net.attribute_at("ip", "prefix"), Some("24"));
        assert_eq!(net.attribute_at("ip", "netmask"), None);
    }

    #[test]
    fn values_that_mean_the_same() {
        assert!(same("domain/os/type@machine", "q35", "pc-q35-7.2"));
        assert!(same("domain/os/type@machine", "pc", "pc-i440fx-9.0"));
        assert!(!same("domain/os/type@machine", "q35", "pc-i440fx-9.0"));
        assert!(same("x@slot", "0x03", "3"));
        assert!(same("network/ip@address", "fd00:0::1", "fd00::1"));
        assert!(!same("x@slot", "3", "03"));
        assert!(same("domain/launchSecurity/policy", "3", "0x0003"));
        assert!(same("domain/launchSecurity/policy", "0x10", "0x0010"));
        assert!(!same("domain/launchSecurity/policy", "0x3", "0x0007"));
        assert!(same("pool/target/permissions/mode", "755", "0755"));
        assert!(same("domain/clock@adjustment", "+3600", "3600"));
        assert!(same(
            "domain/devices/hostdev/source/address@uuid",
            "C2-AB",
            "c2-ab"
        ));
        // A text record, and any text, is what it says.
        assert!(!same("network/dns/txt@value", "1", "0x1"));
        assert!(!same("domain/title", "fd00:0::1", "fd00::1"));
    }

    fn canonical_of(text: &str) -> Element {
        canonical(&Element::parse(text).unwrap())
    }

    #[test]
    fn spellings_that_libvirt_rewrites_are_its_own() {
        for (written, kept) in [
            (
                "<domain><vcpu cpuset='0,1,2,^1' current='4'>4</vcpu></domain>",
                "<domain><vcpu cpuset='0,2'>4</vcpu></domain>",
            ),
            (
                "<domain><cputune><vcpupin vcpu='0' cpuset='1,0'/></cputune></domain>",
                "<domain><cputune><vcpupin vcpu='0' cpuset='0-1'/></cputune></domain>",
            ),
            (
                "<domain><numatune><memory mode='strict' placement='static' nodeset='0-0'/></numatune></domain>",
                "<domain><numatune><memory mode='strict' nodeset='0'/></numatune></domain>",
            ),
            (
                "<domain><memoryBacking><hugepages><page size='2' unit='MiB'/></hugepages></memoryBacking></domain>",
                "<domain><memoryBacking><hugepages><page size='2048' unit='KiB'/></hugepages></memoryBacking></domain>",
            ),
            (
                "<domain><devices><memory><target><size unit='MiB'>1</size><node>0</node></target></memory></devices></domain>",
                "<domain><devices><memory><target><size unit='KiB'>1024</size><node>0</node></target></memory></devices></domain>",
            ),
            (
                "<domain><devices><interface><target dev='vnet7'/></interface><interface><target dev='tap1'/></interface></devices></domain>",
                "<domain><devices><interface/><interface><target dev='tap1'/></interface></devices></domain>",
            ),
            (
                "<domain><metadata><a:b xmlns:a='urn:a'/></metadata><qemu:commandline xmlns:qemu='urn:q'/></domain>",
                "<domain xmlns:qemu='urn:q'><metadata><a:b xmlns:a='urn:a'/></metadata><qemu:commandline/></domain>",
            ),
            (
                "<network connections='5'><d:options xmlns:d='urn:d'/><dns><srv service='a' priority='0'/></dns></network>",
                "<network xmlns:d='urn:d'><d:options/><dns><srv service='a'/></dns></network>",
            ),
        ] {
            assert_eq!(canonical_of(written), Element::parse(kept).unwrap());
            assert_eq!(canonical_of(kept), Element::parse(kept).unwrap());
        }
    }

    #[test]
    fn numbers_that_are_too_large_are_left_to_libvirt() {
        let most = u128::MAX;
        let text = format!("<domain><memory unit='KiB'>{most}</memory></domain>");
        assert_eq!(canonical_of(&text), Element::parse(&text).unwrap());
    }
}
