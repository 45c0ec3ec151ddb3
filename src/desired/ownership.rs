//! Name, UUID and mark: what proves whose an object is, and what no template or overlay can change.

use uuid::Uuid;

use super::Detail;
use crate::address::{Address, Kind, Name};
use crate::diagnostic::Diagnostic;
use crate::lab::model::Guest;
use crate::libvirt::observed::{InstallMark, mark_install};
use crate::xml::tree::Element;
use crate::xml::{merge, schema};

/// What proves whose an object is.
#[derive(Debug, Hash)]
pub(super) struct Owner {
    lab: Name,
    /// The resource.
    pub(super) address: Address,
    name: String,
    uuid: Option<Uuid>,
}

impl Owner {
    pub(super) fn new(lab: &Name, address: &Address, name: &str, detail: &Detail) -> Self {
        Self {
            lab: lab.clone(),
            address: address.clone(),
            name: name.to_owned(),
            uuid: uuid_of(detail),
        }
    }

    /// Name and UUID prove whose an object is, so neither a template nor an overlay can change them.
    pub(super) fn renamed_by_overlay(&self, xml: &Element) -> Option<Diagnostic> {
        let Self { address, name, .. } = self;
        let uuid = self.uuid.map(|uuid| uuid.to_string());
        let other = |element: &str, ours: Option<&str>| {
            xml.text_at(element)
                .filter(|theirs| Some(*theirs) != ours)
                .map(|theirs| (element.to_owned(), theirs.to_owned()))
        };
        let (element, value) =
            other("name", Some(name)).or_else(|| other("uuid", uuid.as_deref()))?;
        let problem = Diagnostic::error(format!(
            "the XML of {address} sets `<{element}>` to `{value}`, which miniascape derives"
        ));
        Some(match element.as_str() {
            "name" => problem.hint("use `name:` in the definition"),
            _ => problem.hint(
                "leave it out; an object with a UUID of its own is taken over with `miniascape import`",
            ),
        })
    }

    /// Puts in what proves whose an object is: whatever a template leaves out, ownership does not depend on it.
    pub(super) fn stamp(&self, xml: &mut Element) {
        identify(&self.name, self.uuid, xml);
        match self.address.kind {
            Kind::Network | Kind::Guest => mark(&self.lab, &self.address, xml),
            // libvirt drops the metadata of pools, and volumes have none.
            Kind::Reservations | Kind::Pool | Kind::Image | Kind::Volume => {}
        }
    }
}

fn uuid_of(detail: &Detail) -> Option<Uuid> {
    match detail {
        Detail::Network { uuid, .. } | Detail::Pool { uuid, .. } | Detail::Guest { uuid, .. } => {
            Some(*uuid)
        }
        Detail::Reservations | Detail::Image { .. } | Detail::Volume { .. } => None,
    }
}

/// The same for the definition that a guest has while it is installed, which says so.
pub(super) fn stamp_install(
    lab: &Name,
    address: &Address,
    guest: &Guest,
    install: &InstallMark,
    xml: &mut Element,
) {
    identify(&guest.name, Some(guest.uuid), xml);
    mark(lab, address, xml);
    mark_install(xml, install);
}

fn identify(name: &str, uuid: Option<Uuid>, xml: &mut Element) {
    name.clone_into(&mut xml.child_or_insert("name").text);
    if let Some(uuid) = uuid {
        xml.children.retain(|child| child.name != "uuid");
        let root = xml.name.clone();
        let uuid = Element::new("uuid").with_text(uuid.to_string());
        merge::insert(&root, xml, uuid);
    }
}

fn mark(lab: &Name, address: &Address, xml: &mut Element) {
    let mark = Element::new(schema::MARK)
        .with("xmlns:miniascape", schema::MARK_NAMESPACE)
        .with("lab", lab.as_str())
        .with("address", address.to_string());
    let metadata = xml.child_or_insert("metadata");
    metadata.children.retain(|child| child.name != schema::MARK);
    metadata.children.push(mark);
}
