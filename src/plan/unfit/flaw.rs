//! Something in a definition that does not work.

use std::collections::BTreeMap;

use crate::address::{Address, Name};
use crate::diagnostic::{Diagnostic, Severity, Span};
use crate::xml::tree::Element;

/// Something in a definition that does not work.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    /// The disk at fault, by its alias; `None` where it is the guest.
    pub(super) disk: Option<String>,
    pub(super) severity: Severity,
    /// What does not work. The guest, where it says so at all, is called `{guest}`.
    pub(super) summary: String,
    pub(super) hint: String,
}

impl Flaw {
    pub(super) fn of_guest(summary: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            disk: None,
            severity: Severity::Error,
            summary: summary.into(),
            hint: hint.into(),
        }
    }

    pub(super) fn of_disk(
        disk: &Element,
        summary: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            disk: disk.attribute_at("alias", "name").map(str::to_owned),
            ..Self::of_guest(summary, hint)
        }
    }

    /// The same, where it may work after all.
    pub(super) fn maybe(self) -> Self {
        Self {
            severity: Severity::Warning,
            ..self
        }
    }

    pub(super) fn problem(&self, guest: &Address, places: &BTreeMap<Address, Span>) -> Diagnostic {
        let disk = self.disk.as_deref().and_then(|disk| {
            let key = Name::new(disk.strip_prefix("ua-")?).ok()?;
            let guest = Name::new(&guest.name).ok()?;
            places.get(&Address::volume(&guest, &key))
        });
        let problem = Diagnostic {
            severity: self.severity,
            ..Diagnostic::error(self.summary.replace("{guest}", &guest.to_string()))
        };
        problem
            .at(disk.or_else(|| places.get(guest)).copied())
            .hint(&self.hint)
    }
}
