//! What libvirt or QEMU would refuse of a guest's definition. It is told before anything is made, all of it at once; of guests that
//! stay as they are nothing is said.

mod anywhere;
mod flaw;
mod here;

use std::collections::BTreeMap;

use flaw::Flaw;

use super::{Change, Plan};
use crate::address::{Address, Kind};
use crate::desired::{Desired, Detail};
use crate::diagnostic::{Diagnostics, Span};
use crate::libvirt::observed::{Observed, ObservedGuest};
use crate::libvirt::offers::{Objection, Offers, Question};
use crate::secret::hide;
use crate::step::Step;
use crate::xml::document::Document;
use crate::xml::shape;
use crate::xml::spelling;
use crate::xml::tree::Element;

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
pub fn questions(plan: &Plan, observed: &Observed) -> BTreeMap<u64, Question> {
    let mut questions: BTreeMap<u64, Question> = BTreeMap::new();
    for change in plan.changes.values() {
        let Some(Definition { wanted, before }) = defined(change, observed) else {
            continue;
        };
        let tree = wanted.tree();
        let question = questions
            .entry(shape::of(&tree))
            .or_insert_with(|| Question {
                guests: Vec::new(),
                wanted: wanted.clone(),
                before: before.cloned(),
            });
        question
            .guests
            .push((change.address.clone(), memory(&tree)));
    }
    questions
}

/// Notes what the hypervisor would refuse of the definitions of a plan, by what it said to the [`questions`]. `places` tells where
/// resources are defined.
pub fn check(
    plan: &mut Plan,
    observed: &Observed,
    places: &BTreeMap<Address, Span>,
    (questions, offers): (&BTreeMap<u64, Question>, &Offers),
) {
    let mut problems = Vec::new();
    for (shape, question) in questions {
        let tree = question.wanted.tree();
        // As good as always there is nothing wrong, with any of a shape.
        let is_well = flaws(&tree, offers).is_empty();
        let refusal = offers.refusals.get(shape);
        for (address, bytes) in &question.guests {
            let too_much = here::memory(&tree, *bytes, offers).is_some();
            if is_well && refusal.is_none() && !too_much {
                continue;
            }
            let Some(change) = plan.changes.get(address) else {
                continue;
            };
            let found = found(change, observed, offers, refusal);
            problems.extend(found.iter().map(|flaw| flaw.problem(address, places)));
        }
    }
    for problem in problems {
        plan.problems.push(problem);
    }
}

/// What is wrong with what a change defines, and not with what is there.
fn found(
    change: &Change,
    observed: &Observed,
    offers: &Offers,
    refusal: Option<&Objection>,
) -> Vec<Flaw> {
    let Some(Definition { wanted, before }) = defined(change, observed) else {
        return Vec::new();
    };
    let is_off = change.entry.as_ref().and_then(|entry| entry.active) == Some(false);
    let all = |guest: &Element| {
        let mut flaws = flaws(guest, offers);
        // The host may have more when it is switched on.
        let memory = here::memory(guest, memory(guest), offers);
        flaws.extend(memory.map(|flaw| if is_off { flaw.maybe() } else { flaw }));
        flaws
    };
    let mut found = all(&wanted.tree());
    if let Some(before) = before {
        // What is so already works, or is not to be mended by this change.
        let before = all(&before.tree());
        found.retain(|flaw| !before.contains(flaw));
    }
    if let Some(refusal) = refusal.filter(|_| found.is_empty()) {
        const LOOK: &str = "look at its settings, its `xml` and your own templates; `miniascape plan --diff` shows the whole";
        found.push(match refusal {
            // It may be switched on where it can be.
            Objection::Start(said) if is_off => Flaw::of_guest(
                format!("libvirt cannot start {{guest}} here: {}", hide(said)),
                LOOK,
            )
            .maybe(),
            Objection::Schema(said) | Objection::Start(said) => {
                Flaw::of_guest(format!("libvirt refuses {{guest}}: {}", hide(said)), LOOK)
            }
        });
    }
    found
}

fn flaws(guest: &Element, offers: &Offers) -> Vec<Flaw> {
    let mut flaws = anywhere::flaws(guest);
    flaws.extend(here::flaws(guest, offers));
    flaws
}

/// The bytes of memory that a guest can have.
fn memory(guest: &Element) -> u64 {
    let memory = guest.child("memory").cloned().into_iter();
    let alone = Element {
        children: memory.collect(),
        ..Element::new(&guest.name)
    };
    let kib = spelling::canonical(&alone);
    let kib = kib.text_at("memory").and_then(|kib| kib.parse().ok());
    u64::saturating_mul(kib.unwrap_or(0), 1024)
}

/// What a change defines a guest as, and what that is defined as now; `None` where it stays as it is. Plans are shown without
/// passwords, so neither is taken from what is shown.
fn defined<'a>(change: &'a Change, observed: &'a Observed) -> Option<Definition<'a>> {
    if change.address.kind != Kind::Guest {
        return None;
    }
    let steps = change.quiesce.iter().chain(&change.steps);
    let (wanted, _) = steps.filter_map(Step::definition).next_back()?;
    let tree = wanted.tree();
    let uuid = tree.text_at("uuid").and_then(|uuid| uuid.parse().ok());
    let is_it = |guest: &&ObservedGuest| Some(guest.uuid) == uuid;
    let named = tree
        .text_at("name")
        .and_then(|name| observed.guests.get(name));
    let guest = named
        .filter(is_it)
        .or_else(|| observed.guests.values().find(is_it));
    let before = guest.map(|guest| &guest.xml);
    (before != Some(wanted)).then_some(Definition { wanted, before })
}

/// What a guest is to be defined as, and is now.
struct Definition<'a> {
    wanted: &'a Document,
    before: Option<&'a Document>,
}
