//! How libvirt 9.0.0 writes down what it is given. Plans go by [`crate::xml::spelling`]; this is said without it, so that each is
//! tested with the other.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::xml::tree::Element;

/// A definition as it comes back.
pub fn written(xml: &Element) -> Element {
    let mut xml = spelled(xml);
    leave_out(&mut xml);
    xml
}

/// The same with all that goes without saying, where it was said.
pub fn spelled(xml: &Element) -> Element {
    let mut xml = xml.clone();
    spell(&mut xml, "");
    if xml.name == "domain" {
        let kib = |name: &str| xml.text_at(name)?.parse::<u64>().ok();
        if let (Some(most), Some(now)) = (kib("memory"), kib("currentMemory")) {
            xml.child_or_insert("currentMemory").text = now.min(most).to_string();
        }
    }
    // A namespace is declared at the root, but for those of metadata.
    let own = xml.children.iter_mut().filter(|it| it.name != "metadata");
    let is_space = |(name, _): &mut (String, String)| name.starts_with("xmlns:");
    let spaces = own.flat_map(|child| child.attributes.extract_if(.., is_space));
    for (name, uri) in spaces.collect::<Vec<_>>() {
        xml.set_attribute(&name, uri);
    }
    xml
}

fn spell(xml: &mut Element, parent: &str) {
    match (parent, xml.name.as_str()) {
        ("domain", "memory" | "currentMemory" | "maxMemory")
        | ("memtune", _)
        | ("target", "size" | "block" | "requested" | "current")
        | ("label", "size") => size(xml, "", "KiB"),
        ("volume", "capacity" | "allocation") => size(xml, "", "bytes"),
        ("numa", "cell") => size(xml, "memory", "KiB"),
        ("hugepages", "page") => size(xml, "size", "KiB"),
        ("", "network") => drop(xml.remove_attribute("connections")),
        ("network" | "interface", "mac") => {
            let values = xml.attributes.iter_mut();
            values.for_each(|(_, value)| value.make_ascii_lowercase());
        }
        ("devices", "interface") => xml.children.retain(|child| {
            let dev = child.attribute("dev").unwrap_or_default();
            let own = ["vnet", "vif", "macvtap", "macvlan"];
            child.name != "target" || !own.iter().any(|it| dev.starts_with(it))
        }),
        _ => {}
    }
    for (name, value) in &mut xml.attributes {
        let written = match name.as_str() {
            "cpuset" | "nodeset" | "cpus" => set(value),
            "address" | "ip" | "start" | "end" | "addr" | "gateway" => {
                let address = value.parse::<IpAddr>();
                address.ok().map(|address| address.to_string())
            }
            _ => None,
        };
        *value = written.unwrap_or_else(|| std::mem::take(value));
    }
    for child in &mut xml.children {
        spell(child, &xml.name);
    }
}

/// Writes a size in another unit, rounded up: an attribute's, or the text's where the attribute has no name.
fn size(xml: &mut Element, attribute: &str, unit: &str) {
    let number = match attribute {
        "" => Some(xml.text.as_str()).filter(|text| !text.is_empty()),
        _ => xml.attribute(attribute),
    };
    let Some(number) = number else {
        xml.remove_attribute("unit");
        return;
    };
    let given = xml.attribute("unit").unwrap_or(unit);
    let bytes = || number.parse::<u128>().ok()?.checked_mul(scale(given)?);
    if let (Some(bytes), Some(scale)) = (bytes(), scale(unit)) {
        let number = bytes.div_ceil(scale).to_string();
        match attribute {
            "" => xml.text = number,
            _ => xml.set_attribute(attribute, number),
        }
        xml.set_attribute("unit", unit);
    }
}

/// The bytes of a unit, as `virScaleInteger` reads it.
fn scale(unit: &str) -> Option<u128> {
    let unit = unit.to_lowercase();
    if matches!(unit.as_str(), "b" | "byte" | "bytes") {
        return Some(1);
    }
    let (letter, rest) = unit.split_at_checked(1)?;
    let step: u128 = match rest {
        "" | "ib" => 1024,
        "b" => 1000,
        _ => return None,
    };
    Some(step.pow("kmgtpe".find(letter)? as u32 + 1))
}

/// `0,1,2,^1` is `0,2`, and `1,0` is `0-1`.
fn set(text: &str) -> Option<String> {
    let mut all: BTreeSet<u32> = BTreeSet::new();
    let number = |text: &str| Some(u32::from(text.parse::<u16>().ok()?));
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match part.strip_prefix('^') {
            Some(not) => drop(all.remove(&number(not)?)),
            None if number(first)? > number(last)? => return None,
            None => all.extend(number(first)?..=number(last)?),
        }
    }
    let is_in = |number: &u32| all.contains(number);
    let starts = all
        .iter()
        .filter(|it| it.checked_sub(1).is_none_or(|before| !is_in(&before)));
    let ranges = starts.map(|first| match (*first..).take_while(is_in).last() {
        Some(last) if last > *first => format!("{first}-{last}"),
        _ => first.to_string(),
    });
    Some(ranges.collect::<Vec<_>>().join(","))
}

fn leave_out(xml: &mut Element) {
    let text = xml.text.clone();
    let goes: &[(&str, &str)] = match xml.name.as_str() {
        "srv" => &[("port", "0"), ("priority", "0"), ("weight", "0")],
        "vcpu" => &[("current", &text)],
        "memory" => &[("placement", "static")],
        _ => &[],
    };
    xml.attributes
        .retain(|(name, value)| !goes.contains(&(name, value)));
    xml.children.iter_mut().for_each(leave_out);
}
