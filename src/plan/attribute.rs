//! Attribute changes that all kinds have.

use super::{AttributeChange, Disruption};

/// The attribute change of an object that has another name now.
pub(super) fn renamed(old: &str, new: &str, disruption: Disruption) -> AttributeChange {
    AttributeChange {
        name: "name".to_owned(),
        before: Some(old.into()),
        after: Some(new.into()),
        disruption,
        note: None,
        cause: None,
        last: None,
    }
}

/// The attribute change of a switch, `autostart` or `active`.
pub(super) fn switched(name: &str, on: bool) -> AttributeChange {
    AttributeChange {
        name: name.to_owned(),
        before: Some((!on).to_string().into()),
        after: Some(on.to_string().into()),
        disruption: Disruption::Live,
        note: None,
        cause: None,
        last: None,
    }
}
