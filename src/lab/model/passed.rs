//! What a guest has of its host: devices that it has to itself, and directories that both see.

use std::fmt;

use serde::Serialize;

use crate::address::Name;

/// A device of the host. <https://libvirt.org/formatdomain.html#host-device-assignment>
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hostdev {
    /// Its name within the guest; the alias is `ua-` and this.
    pub key: Name,
    /// Which one it is.
    pub source: HostAddress,
    /// libvirt takes it from the host's driver, and gives it back.
    pub managed: bool,
    /// The guest starts without it where it is not there.
    pub optional: bool,
    /// Its ROM, where that is not its own.
    pub rom: Option<Rom>,
    /// Its place among what the guest boots from.
    pub boot: Option<u32>,
}

/// Which device of the host it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "type")]
pub enum HostAddress {
    /// A PCI device.
    #[serde(rename = "pci")]
    Pci {
        /// Its domain.
        domain: u16,
        /// Its bus.
        bus: u8,
        /// Its slot.
        slot: u8,
        /// Its function.
        function: u8,
    },
    /// A USB device by what it is.
    #[serde(rename = "usb")]
    UsbModel {
        /// Its vendor.
        vendor: u16,
        /// Its product.
        product: u16,
    },
    /// A USB device by where it is plugged in.
    #[serde(rename = "usb-port")]
    UsbPort {
        /// The bus.
        bus: u16,
        /// Its number there.
        device: u16,
    },
}

/// What is shown as a device's ROM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Rom {
    /// A file of the hypervisor.
    File(String),
    /// Nothing.
    Off,
}

/// A directory of the host that a guest sees. <https://libvirt.org/formatdomain.html#filesystems>
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Its name within the guest; the alias is `ua-` and this.
    pub key: Name,
    /// The directory, as an absolute path.
    pub source: String,
    /// The name by which the guest mounts it.
    pub target: String,
    /// How it gets there.
    pub driver: ShareDriver,
    /// The guest cannot write.
    pub readonly: bool,
    /// `passthrough`, `mapped` or `squash`.
    pub access: String,
}

/// How a directory of the host gets into a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum ShareDriver {
    /// virtiofsd on the host, which the guest shares its memory with.
    #[serde(rename = "virtiofs")]
    Virtiofs,
    /// QEMU itself, by the protocol of Plan 9.
    #[serde(rename = "9p")]
    NineP,
}

impl ShareDriver {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            ShareDriver::Virtiofs => "virtiofs",
            ShareDriver::NineP => "9p",
        }
    }

    /// How many bytes QEMU takes as a share's name.
    pub fn longest_target(self) -> usize {
        match self {
            ShareDriver::Virtiofs => 36,
            ShareDriver::NineP => 31,
        }
    }
}

impl HostAddress {
    /// A PCI device as `lspci` tells it, with its domain or without: `0000:01:00.0`, `01:00.0`. That of the host's own bridge, the first
    /// of all, libvirt takes for none.
    pub fn parse_pci(text: &str) -> Option<Self> {
        let (rest, function) = text.split_once('.')?;
        let (rest, slot) = rest.rsplit_once(':')?;
        let (domain, bus) = rest.split_once(':').unwrap_or(("0000", rest));
        let (domain, bus) = (hex(domain, 4)?, u8::try_from(hex(bus, 2)?).ok()?);
        let slot = u8::try_from(hex(slot, 2)?).ok().filter(|slot| *slot < 32)?;
        let function = u8::try_from(hex(function, 1)?).ok().filter(|it| *it < 8)?;
        ((domain, bus, slot) != (0, 0, 0)).then_some(HostAddress::Pci {
            domain,
            bus,
            slot,
            function,
        })
    }

    /// A USB device as `lsusb` tells it: `046d:c52b`.
    pub fn parse_usb(text: &str) -> Option<Self> {
        let (vendor, product) = text.split_once(':')?;
        let (vendor, product) = (hex(vendor, 4)?, hex(product, 4)?);
        (vendor != 0 && product != 0).then_some(HostAddress::UsbModel { vendor, product })
    }

    /// Whether it is a PCI device.
    pub fn is_pci(self) -> bool {
        match self {
            HostAddress::Pci { .. } => true,
            HostAddress::UsbModel { .. } | HostAddress::UsbPort { .. } => false,
        }
    }

    /// Whether there is one such device at most.
    pub fn is_one(self) -> bool {
        match self {
            HostAddress::Pci { .. } | HostAddress::UsbPort { .. } => true,
            HostAddress::UsbModel { .. } => false,
        }
    }
}

/// A number of so many hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<u16> {
    let is_plain = text.len() == digits && text.chars().all(|c| c.is_ascii_hexdigit());
    u16::from_str_radix(text, 16).ok().filter(|_| is_plain)
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostAddress::Pci {
                domain,
                bus,
                slot,
                function,
            } => write!(
                f,
                "the PCI device {domain:04x}:{bus:02x}:{slot:02x}.{function:x}"
            ),
            HostAddress::UsbModel { vendor, product } => {
                write!(f, "the USB device {vendor:04x}:{product:04x}")
            }
            HostAddress::UsbPort { bus, device } => {
                write!(f, "device {device} of USB bus {bus}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_as_lspci_and_lsusb_tell_them() {
        let shown = |text: &str| {
            let pci = HostAddress::parse_pci(text);
            let found = pci.or_else(|| HostAddress::parse_usb(text));
            found.map(|address| address.to_string())
        };
        for (text, device) in [
            ("0000:01:00.0", Some("the PCI device 0000:01:00.0")),
            ("0A:1f.7", Some("the PCI device 0000:0a:1f.7")),
            ("046D:c52b", Some("the USB device 046d:c52b")),
            ("0000:00:00.0", None),
            ("0000:00:00.1", None),
            ("0000:01:20.0", None),
            ("0000:01:00.8", None),
            ("1:0.0", None),
            ("+000:01:00.0", None),
            ("0000:c52b", None),
            ("46d:c52b", None),
            ("pci_0000_01_00_0", None),
            ("", None),
        ] {
            assert_eq!(shown(text).as_deref(), device, "{text}");
        }
    }
}
