//! What libvirt should hold, as plain values.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use uuid::Uuid;

use crate::address::{Address, Name};
use crate::desired::answers::Answers;
use crate::diagnostic::Span;
use crate::lab::model::{Lifecycle, OnChange};
use crate::lab::moves::Moves;
use crate::step::{Content, Stage};
use crate::xml::document::Document;
use crate::xml::tree::Element;

/// What libvirt should hold. External resources are not in it.
#[derive(Debug)]
pub struct Desired {
    /// The lab.
    pub lab: Name,
    /// The resources by address.
    pub resources: BTreeMap<Address, Resource>,
    /// External networks and pools that are referenced: kind and name in libvirt, with the place of the definition.
    pub external: BTreeMap<Address, External>,
    /// Which resources stood at another address before.
    pub moves: Moves,
    /// The answers of guests, for whoever writes them into files: what is made with [`super::build`] has them.
    pub answers: BTreeMap<Name, Answers>,
}

/// Something the lab refers to and does not own.
#[derive(Debug, Clone)]
pub struct External {
    /// Name in libvirt.
    pub name: String,
    /// Where it is defined.
    pub span: Option<Span>,
    /// The addresses that guests have on a network by `ip`, each with the guest's place.
    pub ips: Vec<(IpAddr, Option<Span>)>,
}

/// One object as libvirt should hold it.
#[derive(Debug)]
pub struct Resource {
    /// Its address.
    pub address: Address,
    /// Its name in libvirt.
    pub name: String,
    /// Its definition, with name, and for networks, pools and guests UUID and (not for pools) ownership metadata.
    pub xml: Document,
    /// What has to be there before it: resources of the lab that are not external.
    pub depends_on: BTreeSet<Address>,
    /// What keeps it from being deleted.
    pub lifecycle: Lifecycle,
    /// Where it is defined.
    pub span: Option<Span>,
    /// What differs by kind.
    pub detail: Detail,
}

impl Resource {
    /// The pool that an image or volume is in, by its name in libvirt.
    pub fn pool(&self) -> Option<&str> {
        match &self.detail {
            Detail::Image { pool, .. } | Detail::Volume { pool, .. } => Some(pool),
            Detail::Network { .. }
            | Detail::Reservations
            | Detail::Pool { .. }
            | Detail::Guest { .. } => None,
        }
    }
}

/// What differs by kind of resource.
#[derive(Debug, Clone)]
pub enum Detail {
    /// A network; it is to be active.
    Network {
        /// UUID in libvirt.
        uuid: Uuid,
        /// Started with the host.
        autostart: bool,
    },
    /// What an external network reserves for the lab's guests; its name is the network's.
    Reservations,
    /// A pool; it is to be active.
    Pool {
        /// UUID in libvirt.
        uuid: Uuid,
        /// Started with the host.
        autostart: bool,
    },
    /// A volume that is filled: an image, or a seed for cloud-init.
    Image {
        /// The pool's name in libvirt.
        pool: String,
        /// What it is filled with.
        content: Content,
        /// Its size in bytes.
        size: u64,
        /// What the state may have recorded for the same content.
        also: Option<String>,
    },
    /// A volume made empty or as an overlay.
    Volume {
        /// The pool's name in libvirt.
        pool: String,
        /// Never deleted by us.
        keep: bool,
        /// The image it is an overlay of.
        image: Option<Address>,
    },
    /// A guest.
    Guest {
        /// UUID in libvirt.
        uuid: Uuid,
        /// Started with the host.
        autostart: bool,
        /// Whether it is to run.
        running: bool,
        /// Seconds a shutdown may take.
        shutdown_timeout: u64,
        /// Whether what only a restart brings about restarts it, or waits for one.
        on_change: OnChange,
        /// What was chosen, not written: an existing guest keeps its own.
        chosen: Chosen,
        /// One line for the plan: `2 vcpus, 2 GiB, front 192.168.155.12`.
        summary: String,
        /// How its system is installed, if it is.
        install: Option<Box<Installation>>,
    },
}

/// How a guest's system is installed, in full.
#[derive(Debug, Clone)]
pub struct Installation {
    /// The guest's definition while it is installed: it boots the installer, and is off when that ends.
    pub xml: Element,
    /// The pool of the installer's volumes, by its name in libvirt.
    pub pool: String,
    /// What the installer is booted from.
    pub stage: Stage,
    /// What the installer prints when all is done.
    pub done: Option<String>,
    /// Seconds that it may take.
    pub timeout: u64,
    /// A hash of the answers: when it changes, the guest is not what the definition would install.
    pub answers: String,
}

/// Which parts of a guest's definition were chosen by miniascape and not by the user.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Chosen {
    /// The `type` of `<domain>`.
    pub domain_type: bool,
    /// The `arch` and `machine` of `<os><type>`.
    pub machine: bool,
    /// The mode of `<cpu>`.
    pub cpu: bool,
    /// What the clock shows.
    pub clock: bool,
    /// The model of the SCSI controller.
    pub scsi_controller: bool,
    /// The device names of these disks, which are given by their alias.
    pub disks: BTreeSet<String>,
}

impl Chosen {
    /// What of this the user wrote in a definition, in the words of the state: `cpu`, and the alias of a disk for its device name.
    pub fn written(&self, xml: &Element) -> BTreeSet<String> {
        let parts = [
            ("type", self.domain_type),
            ("machine", self.machine),
            ("cpu", self.cpu),
            ("clock", self.clock),
        ];
        let parts = parts.into_iter().filter(|(_, chosen)| !chosen);
        let devices = xml.child("devices").into_iter();
        let disks = devices.flat_map(|devices| devices.children_named("disk"));
        let disks = disks.filter_map(|disk| disk.attribute_at("alias", "name"));
        parts
            .map(|(part, _)| part)
            .chain(disks.filter(|alias| !self.disks.contains(*alias)))
            .map(str::to_owned)
            .collect()
    }

    /// What of this was chosen before, too, and so stays as it is.
    pub fn but(mut self, written: &BTreeSet<String>) -> Self {
        self.domain_type &= !written.contains("type");
        self.machine &= !written.contains("machine");
        self.cpu &= !written.contains("cpu");
        self.clock &= !written.contains("clock");
        self.disks.retain(|alias| !written.contains(alias));
        self
    }
}
