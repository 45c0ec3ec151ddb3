//! What a hypervisor can be had for guests, and the questions about that.

use std::collections::BTreeMap;

use crate::address::Address;
use crate::xml::document::Document;
use crate::xml::tree::Element;

/// A definition that libvirt is asked about, for all of its shape.
#[derive(Debug, Clone)]
pub struct Question {
    /// The guests that are to have such a definition, and how many bytes of memory each has in it.
    pub guests: Vec<(Address, u64)>,
    /// The definition.
    pub wanted: Document,
    /// What the guest is defined as now: what libvirt says of that as well is not the new one's fault.
    pub before: Option<Document>,
}

/// What domain capabilities are of. What is not given is as libvirt chooses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Machine {
    /// The `type` of `<domain>`.
    pub domain_type: Option<String>,
    /// The architecture.
    pub arch: Option<String>,
    /// The machine type.
    pub machine: Option<String>,
    /// The path of QEMU's binary.
    pub emulator: Option<String>,
}

impl Machine {
    /// That of a guest.
    pub fn of(guest: &Element) -> Self {
        let attribute = |name| guest.attribute_at("os/type", name).map(str::to_owned);
        Self {
            domain_type: guest.attribute("type").map(str::to_owned),
            arch: attribute("arch"),
            machine: attribute("machine"),
            emulator: guest.text_at("devices/emulator").map(str::to_owned),
        }
    }
}

/// What a hypervisor has for guests, as far as it tells.
#[derive(Debug, Clone, Default)]
pub struct Offers {
    /// Its capabilities. <https://libvirt.org/formatcaps.html>
    pub capabilities: Option<Element>,
    /// The capabilities of each machine that was asked about, where libvirt has such.
    /// <https://libvirt.org/formatdomaincaps.html>
    pub machines: BTreeMap<Machine, Element>,
    /// The memory of the host.
    pub memory: Option<HostMemory>,
    /// Whether libvirt finds a virtiofsd there; `None` where nobody can tell.
    pub virtiofsd: Option<bool>,
    /// What libvirt says of definitions that it does not take, by their shape.
    pub refusals: BTreeMap<u64, Objection>,
}

/// What libvirt says of a definition that it does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Objection {
    /// It is not by its schema, and cannot be defined.
    Schema(String),
    /// QEMU cannot be started by it; some of such can be defined.
    Start(String),
}

/// How much memory a host has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostMemory {
    /// So many bytes with swap: the kernel gives no process more.
    Most(u64),
    /// So many bytes, and swap that is not known.
    WithoutSwap(u64),
}
