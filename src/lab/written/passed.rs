//! What a guest has of its host, as written: devices that it has to itself, and directories that both see.

use crate::diagnostic::Diagnostic;
use crate::lab::attributes::{
    Keys as _, Kind, Switch, Text, Type, Whole, Word, at, kinds, object, words,
};
use crate::lab::decode::{Decoder, Given, Spanned};
use crate::lab::model::passed::{HostAddress, ShareDriver};
use crate::lab::yaml::{Node, Value};

words! {
    /// How a directory of the host gets into a guest.
    ShareDrivers: ShareDriver = ["virtiofs" => ShareDriver::Virtiofs, "9p" => ShareDriver::NineP];
    /// Whose files are that a guest makes. <https://libvirt.org/formatdomain.html#filesystems>
    ShareAccess: &'static str = ["passthrough", "mapped", "squash"];
}

kinds! {
    /// A PCI device by its address.
    PciAddress: HostAddress = Type::Text, pci;
    /// A device in one word.
    AnyAddress: HostAddress = Type::Text, any;
}

object! {
    /// A device of the host as written.
    HostdevSpec: "a host device" / "host devices", "a device such as `0000:01:00.0` or `046d:c52b`, or `{pci: …}` or `{usb: …}`",
        scalar pci(AnyAddress) {
        /// The address of a PCI device, as `lspci -D` tells it. A host device has this or `usb`.
        pci: PciAddress [xml: [
            at("domain/devices/hostdev/source")
                .says("{address@domain}:{address@bus}:{address@slot}.{address@function} {vendor@id}:{product@id}"),
            at("domain/devices/hostdev/source/address").says("{@domain} {@bus} {@slot|@device} {@function}"),
            at("domain/devices/hostdev/source/address@domain").named("hostdevs.*.domain"),
            at("domain/devices/hostdev/source/address@bus").named("hostdevs.*.bus"),
            at("domain/devices/hostdev/source/address@slot").named("hostdevs.*.slot"),
            at("domain/devices/hostdev/source/address@function").named("hostdevs.*.function"),
            at("domain/devices/hostdev@type").named("hostdevs.*.type"),
        ]],
        /// The vendor and product of a USB device, as `lsusb` tells them, or `{bus: …, device: …}` for the one that is plugged in there.
        usb: UsbAddress [xml: [
            at("domain/devices/hostdev/source/vendor").named("hostdevs.*.usb.vendor").says("{@id}"),
            at("domain/devices/hostdev/source/vendor@id").named("hostdevs.*.usb.vendor"),
            at("domain/devices/hostdev/source/product").named("hostdevs.*.usb.product").says("{@id}"),
            at("domain/devices/hostdev/source/product@id").named("hostdevs.*.usb.product"),
        ]],
        /// libvirt takes a PCI device from the host's driver while the guest has it, and gives it back.
        managed: Switch [default: "`true`", xml: [at("domain/devices/hostdev@managed")]],
        /// The guest starts without a USB device that is not there.
        optional: Switch [default: "`false`", xml: [
            at("domain/devices/hostdev/source@startupPolicy").put_back().named("hostdevs.*.optional"),
        ]],
        /// What is shown to the guest as the PCI device's ROM: a file of the hypervisor, or `false` for none.
        rom: Rom [default: "the device's own", xml: [
            at("domain/devices/hostdev/rom").put_back().says("{@file} {@bar}"),
            at("domain/devices/hostdev/rom@file"),
            at("domain/devices/hostdev/rom@bar").named("hostdevs.*.rom.bar"),
        ]],
        /// When it is tried to boot from, among the guest's disks, NICs and host devices; instead of the guest's `boot.order`.
        boot: Whole<u32, 1, 65535> [xml: [
            at("domain/devices/hostdev/boot").put_back().says("{@order}"),
            at("domain/devices/hostdev/boot@order"),
        ]],
    }
}

object! {
    /// `usb` of a host device as a map.
    UsbSpec: "`usb`" / "USB devices", "a vendor and product such as `046d:c52b`, or `{bus: …, device: …}`" {
        /// The bus that it is plugged into, as `lsusb` counts.
        bus: Whole<u16, 1, 999> [needed: "write `bus: 1`, as `lsusb` tells it"],
        /// Its number there, another one each time that it is plugged in.
        device: Whole<u16, 1, 127> [needed: "write `device: 4`, as `lsusb` tells it", xml: [
            at("domain/devices/hostdev/source/address@device"),
        ]],
    }
}

object! {
    /// A directory of the host as written.
    ShareSpec: "a share" / "shares", "a directory such as `/srv/code`, or `{source: …}`", scalar source(Text) {
        /// The directory: of the hypervisor's, or a relative one beside the definition. Nothing that is done to a guest touches it.
        source: Text [needed: "write `source: /srv/code`, a directory of the host", xml: [
            at("domain/devices/filesystem/source").says("{@dir|@file}"),
            at("domain/devices/filesystem/source@dir"),
        ]],
        /// The name by which the guest mounts it: `mount -t virtiofs code /mnt`.
        target: Text [default: "its key", xml: [at("domain/devices/filesystem/target@dir")]],
        /// How it gets there: `virtiofs` is fast, and the guest's memory is then shared with the host's virtiofsd; `9p` is QEMU's own,
        /// and not everywhere.
        driver: Word<ShareDrivers> [default: "`virtiofs`", xml: [
            at("domain/devices/filesystem/driver").put_back().says("{@type}").absent("9p"),
            at("domain/devices/filesystem/driver@type"),
        ]],
        /// The guest cannot write to it; with `virtiofs` from libvirt 11 and virtiofsd 1.13 on.
        readonly: Switch [default: "`false`", xml: [at("domain/devices/filesystem/readonly").put_back().says("true")]],
        /// `passthrough`: the guest's users are the host's by their numbers; `mapped`: files are QEMU's, and what the guest sees of
        /// owners and modes is noted beside them; `squash`: as passthrough, and what is not allowed is passed over. The last two by 9p alone.
        access: Word<ShareAccess> [default: "`passthrough`", xml: [at("domain/devices/filesystem@accessmode")]],
    }
}

/// A USB device: by what it is, or by where it is plugged in.
#[derive(Debug)]
pub struct UsbAddress;

impl Kind for UsbAddress {
    type Field = Given<HostAddress>;
    const TYPE: Type = Type::OneOf(&[Type::Text, UsbSpec::TYPE]);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        let Value::Mapping(_) = node.value else {
            return address(d, node, HostAddress::parse_usb, NO_USB);
        };
        let UsbSpec { bus, device } = UsbSpec::decode(d, node, node.span)?;
        let value = HostAddress::UsbPort {
            bus: bus?.value,
            device: device?.value,
        };
        let span = node.span;
        Some(Spanned { value, span })
    }
}

/// The ROM of a device: a file, or `None` for none at all; that it has its own is as good as not given.
#[derive(Debug)]
pub struct Rom;

impl Kind for Rom {
    type Field = Given<Option<String>>;
    const TYPE: Type = Type::OneOf(&[Type::Boolean, Type::Text]);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        let value = match node.switch().is_some() {
            true => d.boolean(node).filter(|is| !is.value).map(|_| None)?,
            false => Some(d.text(node)?.value),
        };
        let span = node.span;
        Some(Spanned { value, span })
    }
}

const NO_PCI: (&str, &str) = (
    "address of a PCI device",
    "write it as `lspci -D` does: `0000:01:00.0`",
);
const NO_USB: (&str, &str) = (
    "vendor and product of a USB device",
    "write them as `lsusb` does: `046d:c52b`; or where it is plugged in: `{bus: 1, device: 4}`",
);
const NOTHING: (&str, &str) = (
    "device of the host",
    "write a PCI device as `lspci -D` does, `0000:01:00.0`, and a USB device as `lsusb` does, `046d:c52b`",
);

fn pci(d: &mut Decoder<'_>, node: &Node) -> Given<HostAddress> {
    address(d, node, HostAddress::parse_pci, NO_PCI)
}

fn any(d: &mut Decoder<'_>, node: &Node) -> Given<HostAddress> {
    let parse = |text: &str| HostAddress::parse_pci(text).or_else(|| HostAddress::parse_usb(text));
    address(d, node, parse, NOTHING)
}

fn address(
    d: &mut Decoder<'_>,
    node: &Node,
    parse: impl Fn(&str) -> Option<HostAddress>,
    (what, hint): (&str, &str),
) -> Given<HostAddress> {
    let text = d.text(node)?;
    let span = text.span;
    if let Some(value) = parse(&text.value) {
        return Some(Spanned { value, span });
    }
    d.report(
        Diagnostic::error(format!("`{}` is no {what}", text.value))
            .at(span)
            .hint(hint),
    );
    None
}
