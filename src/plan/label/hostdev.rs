//! Devices of the host.

use crate::xml::tree::Element;

/// A device as `lspci` or `lsusb` tell it: `pci 0000:01:00.0`, `usb 046d:c52b`, `usb bus 1 device 4`. `None` for one
/// of another kind.
pub(super) fn device(tree: &Element) -> Option<String> {
    let source = tree.child("source")?;
    let kind = tree.attribute("type")?;
    let place = match kind {
        "pci" => pci(source.child("address")?)?,
        "usb" => usb(source)?,
        _ => return None,
    };
    Some(format!("{kind} {place}"))
}

/// Where a PCI device is.
pub(super) fn pci(address: &Element) -> Option<String> {
    let part = |name, width| Some(digits(address.attribute(name)?, width));
    let domain = part("domain", 4).unwrap_or_else(|| "0000".to_owned());
    let (bus, slot) = (part("bus", 2)?, part("slot", 2)?);
    Some(format!("{domain}:{bus}:{slot}.{}", part("function", 1)?))
}

fn usb(source: &Element) -> Option<String> {
    if let (Some(vendor), Some(product)) = (
        source.attribute_at("vendor", "id"),
        source.attribute_at("product", "id"),
    ) {
        return Some(format!("{}:{}", digits(vendor, 4), digits(product, 4)));
    }
    let address = source.child("address")?;
    let (bus, device) = (address.attribute("bus")?, address.attribute("device")?);
    Some(format!("bus {bus} device {device}"))
}

/// A hexadecimal number as these tools write it.
fn digits(number: &str, width: usize) -> String {
    format!("{:0>width$}", number.trim_start_matches("0x"))
}
