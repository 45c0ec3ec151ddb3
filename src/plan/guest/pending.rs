//! What waits for a guest's next restart: the guest runs, and not with all of its definition.

use super::live::Running;
use super::running::{behind, is_tuned};
use crate::libvirt::observed::ObservedGuest;
use crate::plan::{AttributeChange, Disruption, label};
use crate::xml::merge::Difference;
use crate::xml::tree::Element;

/// The attributes of a running guest's definition, whoever wrote them there, that come into force with its next restart.
pub fn restarts(live: &ObservedGuest) -> Vec<AttributeChange> {
    restarts_for(live, &live.xml.tree())
}

/// The same, for the definition that the guest is to have.
pub(super) fn restarts_for(live: &ObservedGuest, definition: &Element) -> Vec<AttributeChange> {
    let Some(running) = Running::of(live) else {
        return Vec::new();
    };
    let differences = behind(live, definition);
    let costs = running.costs(&differences);
    let late: Vec<Difference> = differences
        .into_iter()
        .zip(costs)
        .filter(|(it, cost)| cost.class == Disruption::Restart || is_tuned(it))
        .map(|(difference, _)| difference)
        .collect();
    let mut attributes = label::attributes(&late, |_| Disruption::Restart);
    for attribute in &mut attributes {
        // Whoever is behind it: that was told when it was defined.
        attribute.cause = None;
        attribute.last = None;
    }
    attributes
}
