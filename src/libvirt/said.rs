//! What libvirt says of what is there, not yet looked into.

use uuid::Uuid;
use virt::domain::Domain;

use super::observed::Power;
use super::raw::Held;

/// What libvirt says of networks and guests, not yet looked into.
pub(super) struct Said {
    pub networks: Vec<SaidNetwork>,
    pub guests: Vec<SaidGuest>,
}

pub(super) struct SaidNetwork {
    pub name: String,
    pub uuid: Uuid,
    pub active: bool,
    pub autostart: bool,
    pub persistent: bool,
    pub xml: String,
    pub live_xml: Option<String>,
}

pub(super) struct SaidGuest {
    pub domain: Held<Domain>,
    pub uuid: Uuid,
    pub power: Power,
    pub autostart: bool,
    pub persistent: bool,
    pub saved: bool,
    pub snapshots: bool,
    pub xml: String,
    pub live_xml: Option<String>,
}
