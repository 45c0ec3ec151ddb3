//! Attribute changes that all kinds have.

use super::{AttributeChange, Disruption};

/// The attribute change of an object that has another name now.
pub(super) fn renamed(old: &str, new: &str, disruption: Disruption) -> AttributeChange {
    AttributeChange::new("name", old, new, disruption)
}

/// The attribute change of a switch, `autostart` or `active`.
pub(super) fn switched(name: &str, on: bool) -> AttributeChange {
    AttributeChange::new(name, (!on).to_string(), on.to_string(), Disruption::Live)
}
