//! What libvirt or QEMU would refuse of a guest's definition. It is told before anything is made, all of it at once; of guests that
//! stay as they are nothing is said.

mod anywhere;
mod here;

use std::collections::BTreeMap;

use super::{Change, Plan};
use crate::address::{Address, Kind, Name};
use crate::desired::{Desired, Detail};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, Span};
use crate::libvirt::offers::{Offers, Question};
use crate::xml::document::Document;
use crate::xml::shape;
use crate::xml::tree::Element;

/// Something in a definition that does not work.
#[derive(Debug, PartialEq, Eq)]
struct Flaw {
    /// The disk at fault, by its alias; `None` where it is the guest.
    disk: Option<String>,
    severity: Severity,
    /// What does not work. The guest, where it says so at all, is called `{guest}`.
    summary: String,
    hint: String,
}

impl Flaw {
    fn of_guest(summary: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            disk: None,
            severity: Severity::Error,
            summary: summary.into(),
            hint: hint.into(),
        }
    }

    fn of_disk(disk: &Element, summary: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            disk: disk.attribute_at("alias", "name").map(str::to_owned),
            ..Self::of_guest(summary, hint)
        }
    }

    /// The same, where it may work after all.
    fn maybe(self) -> Self {
        Self {
            severity: Severity::Warning,
            ..self
        }
    }

    fn problem(&self, guest: &Address, places: &BTreeMap<Address, Span>) -> Diagnostic {
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

/// What no hypervisor takes of a lab's guests.
pub fn anywhere(desired: &Desired, places: &BTreeMap<Address, Span>) -> Diagnostics {
    let mut problems = Diagnostics::default();
    for resource in desired.resources.values() {
        if matches!(resource.detail, Detail::Guest { .. }) {
            for flaw in anywhere::flaws(&resource.xml.tree()) {
                problems.push(flaw.problem(&resource.address, places));
            }
        }
    }
    problems
}

/// What a hypervisor is to be asked before a plan is carried out: about one definition of each shape.
pub fn questions(plan: &Plan) -> BTreeMap<u64, Question> {
    let definitions = plan.changes.values().filter_map(defined);
    definitions
        .map(|(wanted, before)| {
            let question = Question {
                wanted: wanted.clone(),
                before: before.cloned(),
            };
            (shape::of(&wanted.tree()), question)
        })
        .collect()
}

/// Notes what the hypervisor would refuse of the definitions of a plan. `places` tells where resources are defined.
pub fn check(plan: &mut Plan, places: &BTreeMap<Address, Span>, offers: &Offers) {
    let mut problems = Vec::new();
    for change in plan.changes.values() {
        let Some((wanted, before)) = defined(change) else {
            continue;
        };
        let is_off = change.entry.as_ref().and_then(|entry| entry.active) == Some(false);
        let flaws = |guest: &Element| {
            let mut flaws = anywhere::flaws(guest);
            flaws.extend(here::flaws(guest, offers));
            // The host may have more when it is switched on.
            let memory = here::memory(guest, offers);
            flaws.extend(memory.map(|flaw| if is_off { flaw.maybe() } else { flaw }));
            flaws
        };
        let wanted = wanted.tree();
        let mut found = flaws(&wanted);
        if let Some(before) = before.filter(|_| !found.is_empty()) {
            // What is so already works, or is not to be mended by this change.
            let before = flaws(&before.tree());
            found.retain(|flaw| !before.contains(flaw));
        }
        if found.is_empty()
            && let Some(refusal) = offers.refusals.get(&shape::of(&wanted))
        {
            found.push(Flaw::of_guest(
                format!("libvirt refuses {{guest}}: {refusal}"),
                "look at its settings and its `xml`; `miniascape plan --diff` shows the whole",
            ));
        }
        problems.extend(
            found
                .iter()
                .map(|flaw| flaw.problem(&change.address, places)),
        );
    }
    for problem in problems {
        plan.problems.push(problem);
    }
}

/// What a change defines a guest as, and what it is defined as before; `None` where it stays as it is.
fn defined(change: &Change) -> Option<(&Document, Option<&Document>)> {
    if change.address.kind != Kind::Guest {
        return None;
    }
    let mut steps = change.quiesce.iter().chain(&change.steps);
    let first = steps.find_map(|step| step.definition())?.0;
    let wanted = change.after_xml.as_ref().unwrap_or(first);
    let before = change.before_xml.as_ref();
    (before != Some(wanted)).then_some((wanted, before))
}
