//! Attribute changes that all kinds have.

use super::{AttributeChange, Beside, Disruption};

/// The attribute change of something beside the definition.
fn beside(what: Beside, before: &str, after: &str, disruption: Disruption) -> AttributeChange {
    AttributeChange {
        beside: Some(what),
        ..AttributeChange::new(what.as_str(), before, after, disruption)
    }
}

/// The attribute change of an object that has another name now.
pub(super) fn renamed(old: &str, new: &str, disruption: Disruption) -> AttributeChange {
    beside(Beside::Name, old, new, disruption)
}

/// The attribute change of a switch.
pub(super) fn switched(what: Beside, on: bool) -> AttributeChange {
    let (before, after) = ((!on).to_string(), on.to_string());
    beside(what, &before, &after, Disruption::Live)
}
