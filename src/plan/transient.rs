//! What runs and has no definition any more: someone undefined it meanwhile, or made it so.

use super::attribute::switched;
use super::{Action, AttributeChange, Beside, Change, Disruption};
use crate::address::Kind;
use crate::libvirt::observed::Observed;
use crate::step::Step;
use crate::xml::document::Document;

/// Defines an object that is transient as it is, before anything else is done with it: libvirt refuses much for one that is
/// transient, and one that is stopped is gone, with no one left to remove its UEFI variables or its directory.
pub(super) fn persist(change: &mut Change, observed: &Observed) {
    let before = change.before_xml.as_ref().map(Document::tree);
    let name = before
        .as_ref()
        .and_then(|xml| xml.text_at("name"))
        .or_else(|| change.entry.as_ref().map(|entry| entry.name.as_str()));
    let Some(name) = name else { return };
    let found = match change.address.kind {
        Kind::Network => observed.networks.get(name).map(|n| (n.persistent, &n.xml)),
        Kind::Pool => observed.pools.get(name).map(|p| (p.persistent, &p.xml)),
        Kind::Guest => observed.guests.get(name).map(|g| (g.persistent, &g.xml)),
        Kind::Reservations | Kind::Image | Kind::Volume => None,
    };
    let Some((false, xml)) = found else { return };
    let define = match change.address.kind {
        Kind::Network => Step::DefineNetwork { xml: xml.clone() },
        Kind::Pool => Step::DefinePool { xml: xml.clone() },
        Kind::Guest => Step::DefineGuest { xml: xml.clone() },
        Kind::Reservations | Kind::Image | Kind::Volume => return,
    };
    change.steps.insert(0, define);
    match change.action {
        Action::None => {
            change.action = Action::Update;
            change.before_xml = Some(xml.clone());
            change.after_xml = Some(xml.clone());
        }
        Action::Update => {}
        // These are told in one line.
        Action::Create | Action::Replace | Action::Delete | Action::Forget => return,
    }
    change.attributes.push(AttributeChange {
        note: Some("transient: made persistent again".into()),
        ..switched(Beside::Persistent, true)
    });
    change.disruption = change.disruption.max(Some(Disruption::Live));
}
