//! What libvirt says of what is there, not yet looked into.

use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;

use uuid::Uuid;
use virt::domain::Domain;

use super::error::StepError;
use super::observed::{Facts, ObservedPool, Power};
use super::raw::Held;

/// What the definitions of a lab depend on beside the lab.
pub(super) struct Basics {
    pub facts: Facts,
    pub pools: BTreeMap<String, ObservedPool>,
}

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

/// What is asked for on threads of their own, from which it comes.
pub(super) struct Asked {
    pub basics: Receiver<Result<Basics, StepError>>,
    pub said: Receiver<Result<Said, StepError>>,
}
