//! Resources that have another name now. libvirt renames guests that are off; networks, pools and volumes keep the name that
//! they have there, and only what the lab calls them changes.

use std::collections::BTreeMap;

use super::context::Planner;
use super::guest::{self, Flags};
use super::{Action, AttributeChange, Change, Disruption, Node, Phase, PowerChange, install};
use crate::address::{Address, Kind};
use crate::desired::moved::View;
use crate::desired::{Desired, Installation, Resource};
use crate::diagnostic::Diagnostic;
use crate::libvirt::observed::{ObservedGuest, Power};
use crate::step::{Named, Step};
use crate::xml::document::Document;
use crate::xml::tree::Element;
use crate::xml::{merge, schema};

/// Gives a guest another name, and with that all that else differs. One that runs is shut down and started for it.
pub(super) fn rename(
    planner: &mut Planner<'_>,
    resource: &Resource,
    flags: &Flags,
    install: Option<&Installation>,
    (old, live): (&str, &ObservedGuest),
) -> Change {
    if live.install.is_some() {
        planner.problems.push(
            Diagnostic::error(format!(
                "{} is being installed under the name `{old}`, and cannot be renamed meanwhile",
                resource.address
            ))
            .at(resource.span)
            .hint("let the install come to its end under the old name first"),
        );
        let entry = planner.entry(&resource.address).cloned();
        return Change::unchanged(resource.address.clone(), entry);
    }
    let held = [
        (
            live.saved,
            "its memory is saved",
            format!(
                "start it, so that it goes on from where it was saved; or give that up: `virsh managedsave-remove {old}`"
            ),
        ),
        (
            live.snapshots,
            "it has snapshots or checkpoints",
            format!(
                "see `virsh snapshot-list {old}` and `virsh checkpoint-list {old}`, and delete them there; or keep the name `{old}`"
            ),
        ),
    ];
    let held: Vec<_> = held.into_iter().filter(|(holds, ..)| *holds).collect();
    if !held.is_empty() {
        for (_, why, hint) in held {
            planner.problems.push(
                Diagnostic::error(format!(
                    "{} is called `{old}`, and libvirt cannot rename it: {why}",
                    resource.address
                ))
                .at(resource.span)
                .hint(hint),
            );
        }
        let entry = planner.entry(&resource.address).cloned();
        return Change::unchanged(resource.address.clone(), entry);
    }
    // Planned as for one that is off already and has its new name: what could be changed while it runs need not be.
    let after = ObservedGuest {
        power: Power::Off,
        live_xml: None,
        uuid: live.uuid,
        autostart: live.autostart,
        persistent: live.persistent,
        saved: live.saved,
        snapshots: live.snapshots,
        jobs: BTreeMap::new(),
        install: live.install,
        xml: named(&live.xml.tree(), &resource.name).into(),
    };
    let mut change = guest::update(planner, resource, flags, &after);
    install::clean_up(planner, &mut change);
    if let Some(install) = install {
        install::compare_answers(planner, resource, install, &mut change);
    }
    let defined = change
        .steps
        .iter()
        .position(|step| matches!(step, Step::DefineGuest { .. }));
    let xml = match defined.map(|at| change.steps.remove(at)) {
        Some(Step::DefineGuest { xml }) => xml,
        Some(_) | None => after.xml.clone(),
    };
    let mut xml = Element::clone(&xml.tree());
    mark(&mut xml, &resource.address);
    let forgets = !keep_nvram(&mut xml, old, live, planner.observed.facts.unprivileged);
    change.after_xml = Some(Document::from(&xml));

    // Defined first, under the old name: what libvirt refuses does not cost a running guest anything.
    let xml = named(&xml, old);
    let mut steps = Vec::new();
    if xml != *live.xml.tree() {
        steps.push(Step::DefineGuest { xml: xml.into() });
    }
    let active = live.power.is_active();
    if active {
        steps.push(Step::ShutdownGuest {
            name: Named::new(old, live.uuid),
            timeout: flags.timeout,
        });
    }
    steps.push(Step::RenameGuest {
        from: Named::new(old, live.uuid),
        to: resource.name.clone(),
    });
    steps.append(&mut change.steps);
    change.steps = steps;
    let class = match active {
        true => Disruption::Restart,
        false => Disruption::Live,
    };
    change.attributes.insert(
        0,
        AttributeChange {
            note: forgets.then(|| "UEFI starts with new variables".into()),
            ..super::attribute::renamed(old, &resource.name, class)
        },
    );
    for attribute in &mut change.attributes {
        attribute.disruption = attribute.disruption.max(class);
    }
    change.action = Action::Update;
    change.disruption = change.disruption.max(Some(class));
    change.power = match (active, flags.running) {
        (true, true) => Some(PowerChange::Restart),
        (true, false) => Some(PowerChange::Stop),
        (false, true) => Some(PowerChange::Start),
        (false, false) => None,
    };
    change.before_xml = Some(live.xml.clone());
    change
}

/// Tells with each change where the resource comes from, and gives what has a mark its new one.
pub(super) fn settle(planner: &mut Planner<'_>, desired: &Desired, view: &View<'_>) {
    for (from, to) in &view.clashes {
        let place = desired.resources.get(to).and_then(|r| r.span);
        planner.problems.push(
            Diagnostic::error(format!("{from} cannot become {to}: this lab has both"))
                .at(place)
                .hint(format!(
                    "if they are two, take the entry out of `moved`; if one takes the other's place, delete that first: `miniascape destroy --target {to}`"
                )),
        );
    }
    for (from, to) in view.moves.iter().chain(&view.found) {
        let (Some(resource), Some(change)) =
            (desired.resources.get(to), planner.changes.get_mut(to))
        else {
            continue;
        };
        match change.action {
            Action::None | Action::Update => {}
            Action::Replace => {
                change.moved_from = Some(from.clone());
                change.summary = [&*change.summary, &format!("renamed from {from}")].join(", ");
                continue;
            }
            // It is not there: there is nothing that was renamed.
            Action::Create | Action::Delete | Action::Forget => continue,
        }
        change.moved_from = Some(from.clone());
        change.action = Action::Update;
        change.disruption = change.disruption.max(Some(Disruption::Live));
        change.summary = format!("renamed from {from}");
        if let Some(name) = keeps_name(from, resource) {
            change.attributes.insert(0, name);
        }
        if let Some(step) = remark(resource, change, planner.observed) {
            change.steps.insert(0, step);
        }
    }
}

/// The line about a name that says how the resource was called, and stays.
fn keeps_name(from: &Address, resource: &Resource) -> Option<AttributeChange> {
    let to = &resource.address;
    let stem = |name: &str| name.rsplit_once('.').map(|(stem, _)| stem.to_owned());
    let old = match to.kind {
        Kind::Guest | Kind::Reservations => return None,
        Kind::Network | Kind::Pool => resource.name == from.name,
        Kind::Image | Kind::Volume => stem(&resource.name)? == from.name,
    };
    old.then(|| AttributeChange {
        note: Some("libvirt cannot rename it".into()),
        ..super::attribute::renamed(&resource.name, &resource.name, Disruption::Live)
    })
}

/// The step that puts the new address into an object's mark, where no other step does.
fn remark(
    resource: &Resource,
    change: &Change,
    observed: &crate::libvirt::observed::Observed,
) -> Option<Step> {
    let defines = |step: &Step| {
        matches!(
            step,
            Step::DefineNetwork { .. } | Step::RestartNetwork { .. } | Step::DefineGuest { .. }
        )
    };
    if change.steps.iter().any(defines) {
        return None;
    }
    let marked = |xml: &Element| {
        let mut after = xml.clone();
        mark(&mut after, &resource.address);
        (after != *xml).then(|| Document::from(after))
    };
    match resource.address.kind {
        Kind::Network => {
            let live = observed.networks.get(&resource.name)?;
            Some(Step::DefineNetwork {
                xml: marked(&live.xml.tree())?,
            })
        }
        Kind::Guest => {
            let live = observed.guests.get(&resource.name)?;
            Some(Step::DefineGuest {
                xml: marked(&live.xml.tree())?,
            })
        }
        Kind::Reservations | Kind::Pool | Kind::Image | Kind::Volume => None,
    }
}

/// A volume that goes from one guest to another is let go by the one before the other has it.
pub(super) fn handovers(desired: &Desired, view_moves: &[(Address, Address)]) -> Vec<(Node, Node)> {
    let guest = |volume: &Address| Some(Address::guest(&volume.disk()?.0));
    let main = |address: Address| Node {
        address,
        phase: Phase::Main,
    };
    view_moves
        .iter()
        .filter_map(|(from, to)| {
            let before = guest(from)?;
            let before = desired.moves.target(&before).unwrap_or(before);
            Some((before, guest(to)?))
        })
        .filter(|(before, after)| before != after)
        .map(|(before, after)| (main(before), main(after)))
        .collect()
}

fn named(xml: &Element, name: &str) -> Element {
    let mut xml = xml.clone();
    name.clone_into(&mut xml.child_or_insert("name").text);
    xml
}

/// Puts an address into the mark that is there.
fn mark(xml: &mut Element, address: &Address) {
    let mark = xml
        .child_mut("metadata")
        .and_then(|metadata| metadata.child_mut(schema::MARK));
    if let Some(mark) = mark {
        mark.set_attribute("address", address.to_string());
    }
}

/// Names the file of a UEFI guest's variables, which libvirt would else make anew under the guest's new name (seen with
/// 9.0.0). `false` where it cannot be known.
fn keep_nvram(xml: &mut Element, old: &str, live: &ObservedGuest, unprivileged: bool) -> bool {
    let is_uefi = guest::is_uefi(xml);
    let Some(os) = xml.child_mut("os").filter(|_| is_uefi) else {
        return true;
    };
    if os.text_at("nvram").is_some_and(|path| !path.is_empty()) {
        return true;
    }
    let Some(path) = guest::variables(old, live, unprivileged) else {
        return false;
    };
    match os.child_mut("nvram") {
        Some(nvram) => nvram.text = path,
        None => merge::insert("domain/os", os, Element::new("nvram").with_text(path)),
    }
    true
}
