//! What happens to a network.

mod updates;

use uuid::Uuid;

use super::attribute::{renamed, switched};
use super::context::{Found, Planner};
use super::definition::own_bridge;
use super::definition::with_uuid;
use super::foreign::Foreign;
use super::history::{last_trees, reason, reason_to_create};
use super::label;
use super::unplugged;
use super::{Action, Beside, Change, Disruption, Reason};
use crate::address::Address;
use crate::desired::Resource;
use crate::lab::places;
use crate::libvirt::observed::{ObservedNetwork, parking_name};
use crate::state::Entry;
use crate::step::{Named, Step};
use crate::xml::document::Document;
use crate::xml::merge::Difference;
use crate::xml::spelling;
use crate::xml::tree::Element;
use updates::Strategy;

pub(super) fn change(
    planner: &mut Planner<'_>,
    resource: &Resource,
    uuid: Uuid,
    autostart: bool,
) -> Change {
    let networks = &planner.observed.networks;
    match planner.find(resource, uuid, networks) {
        Found::Foreign => Change::unchanged(resource.address.clone(), None),
        Found::Absent => {
            let uuid = planner.fresh(&resource.address, uuid, networks);
            create(planner, resource, uuid, autostart)
        }
        Found::Ours(live) if planner.replaces(&resource.address) => {
            if resource.lifecycle.prevent_destroy {
                planner.protected(&resource.address, "replaced", resource.span);
            }
            replace(planner, resource, live, autostart)
        }
        Found::Ours(live) => update(planner, resource, live, autostart),
        Found::Renamed(old, live) => {
            if resource.lifecycle.prevent_destroy {
                planner.protected(&resource.address, "replaced", resource.span);
            }
            let created = create(planner, resource, live.uuid, autostart);
            let mut change = created.replacing(&live.xml, None);
            change.attributes = vec![renamed(&old, &resource.name, Disruption::Recreate)];
            change.steps.splice(0..0, removal(&old, live));
            change
        }
    }
}

fn create(planner: &Planner<'_>, resource: &Resource, uuid: Uuid, autostart: bool) -> Change {
    let xml = with_uuid(&resource.xml.tree(), uuid);
    let definition = Document::from(&xml);
    let name = Named::new(&resource.name, uuid);
    let mut steps = vec![
        Step::DefineNetwork {
            xml: definition.clone(),
        },
        Step::StartNetwork { name: name.clone() },
    ];
    if autostart {
        steps.push(Step::AutostartNetwork { name, on: true });
    }
    Change {
        action: Action::Create,
        summary: summary(&xml),
        reason: reason_to_create(planner.entry(&resource.address)),
        after_xml: Some(definition),
        steps,
        ..Change::unchanged(
            resource.address.clone(),
            Some(planner.applied(resource, Some(uuid), &xml)),
        )
    }
}

/// Makes a network anew. Where it runs it restarts with nothing but what is wanted, so that its guests are only cut off for a
/// moment.
fn replace(
    planner: &Planner<'_>,
    resource: &Resource,
    live: &ObservedNetwork,
    autostart: bool,
) -> Change {
    let created = create(planner, resource, live.uuid, autostart);
    let mut change = created.replacing(&live.xml, Some(Reason::Requested));
    if !live.active {
        change.steps.splice(0..0, removal(&resource.name, live));
        return change;
    }
    let name = Named::new(&resource.name, live.uuid);
    let xml = Document::from(&with_uuid(&resource.xml.tree(), live.uuid));
    change.steps = vec![Step::RestartNetwork {
        name: name.clone(),
        xml,
    }];
    if live.autostart != autostart {
        let on = autostart;
        change.steps.push(Step::AutostartNetwork { name, on });
    }
    change
}

fn update(
    planner: &Planner<'_>,
    resource: &Resource,
    live: &ObservedNetwork,
    autostart: bool,
) -> Change {
    let entry = planner.entry(&resource.address);
    let wanted = with_uuid(&resource.xml.tree(), live.uuid);
    let mut last = last_trees(entry);
    let live_xml = live.xml.tree();
    last.extend(outdated_choices(&live_xml, &wanted));
    let merge = |live: &Element| {
        let foreign = Foreign::of_running(entry, live, &wanted);
        let mut merged = foreign.merge(&last, live, &wanted);
        merged.differences = taken_apart(merged.differences);
        merged
    };
    let merged = merge(&live_xml);
    // What runs is compared for itself: someone may have changed one side only, and a run may have died in between.
    let running_xml = live.live_xml.as_ref().map(Document::tree);
    let running = running_xml.as_deref().and_then(|running| {
        let mut merged = merge(running);
        merged.differences.retain(updates::is_running);
        (!merged.differences.is_empty()).then_some((running, merged))
    });
    let name = Named::new(&resource.name, live.uuid);
    let bridge = own_bridge(running_xml.as_deref().unwrap_or(&live_xml));
    let users = updates::running_users(planner.observed, &name.name, bridge);
    // A restart that was broken off may have left guests unplugged, which does not show in the network.
    let parking = planner.observed.networks.get(&parking_name(&name.name));
    let strategy = match &running {
        _ if live.active && parking.is_some() => Some(Strategy::Restart),
        Some((running, merged)) => Some(updates::strategy(
            &name,
            running,
            &merged.target,
            &merged.differences,
            &users,
        )),
        None => None,
    };
    let mut change = Change {
        foreign: Foreign::of(entry, &live_xml, &wanted).left(),
        ..Change::unchanged(
            resource.address.clone(),
            Some(planner.applied(resource, Some(live.uuid), &wanted)),
        )
    };
    let running_differences = running.as_ref().map_or(&[][..], |(_, m)| &m.differences);
    if let Some(strategy) = &strategy {
        change.notes = updates::notes(strategy, running_differences, &users);
        change.notes.extend(updates::lost_bridge(
            planner.observed,
            running_differences,
            bridge,
        ));
    }
    let class = match &strategy {
        Some(Strategy::Restart) => Disruption::Relink,
        Some(Strategy::InPlace(_) | Strategy::RestartUnnoticed(_)) | None => Disruption::Live,
    };
    let mut steps = Vec::new();
    let redefine = Step::DefineNetwork {
        xml: Document::from(&merged.target),
    };
    match strategy {
        // What could be changed in place comes along with the restart.
        Some(Strategy::Restart | Strategy::RestartUnnoticed(_)) => {
            steps.push(Step::RestartNetwork {
                name: name.clone(),
                xml: Document::from(&merged.target),
            })
        }
        Some(Strategy::InPlace(updates)) => {
            if merged.is_change() {
                steps.push(redefine.clone());
            }
            steps.extend(updates);
        }
        None if merged.is_change() => steps.push(redefine.clone()),
        None => {}
    }
    let differences = match &running {
        Some((_, running)) if !merged.is_change() => &running.differences,
        _ => &merged.differences,
    };
    if merged.is_change() || running.is_some() {
        // Where no single one costs as much, it is all of them together that do.
        let says_why = differences.iter().any(|d| updates::class(d) >= class);
        change.attributes = label::attributes(differences, |difference| match says_why {
            true => updates::class(difference).min(class),
            false => class,
        });
    }
    if !live.active {
        change.attributes.push(switched(Beside::Active, true));
        steps.push(Step::StartNetwork { name: name.clone() });
    }
    let restarts = |step: &Step| matches!(step, Step::RestartNetwork { .. });
    if let Some(running) = running_xml.filter(|_| !steps.iter().any(restarts)) {
        let step = unplugged::from_network(&mut change, planner.observed, &name.name, &running);
        steps.extend(step);
    }
    if live.autostart != autostart {
        change
            .attributes
            .push(switched(Beside::Autostart, autostart));
        steps.push(Step::AutostartNetwork {
            name,
            on: autostart,
        });
    }
    if steps.is_empty() {
        let unmarked = merged.unmarked(&wanted);
        change.entry = Some(planner.applied(resource, Some(live.uuid), &unmarked));
        return change;
    }
    let has_changed = merged.is_change();
    // Marks are no reason for a change, but go along with one.
    if !has_changed && !merged.differences.is_empty() {
        steps.insert(0, redefine);
    }
    change.action = Action::Update;
    change.disruption = Some(class);
    change.reason = match (parking, reason(entry, differences)) {
        (Some(_), None) => Some(Reason::Unfinished),
        (_, reason) => reason,
    };
    change.before_xml = Some(live.xml.clone());
    change.after_xml = Some(match has_changed {
        true => merged.target.into(),
        false => live.xml.clone(),
    });
    change.steps = steps;
    change
}

/// What is live and what the definition rules out by not having it: put among the trees that were applied last, it goes.
/// That is the way out of a network that is to be isolated, and what libvirt chose for a bridge of its own where the
/// definition now wants the host's.
fn outdated_choices(live: &Element, wanted: &Element) -> Option<Element> {
    let mut outdated = Element::new("network");
    if wanted.child("forward").is_none() {
        outdated.children.extend(live.child("forward").cloned());
    }
    if wanted.attribute_at("forward", "mode") == Some("bridge") {
        outdated.children.extend(live.child("mac").cloned());
        let bridge = outdated.child_or_insert("bridge");
        for attribute in ["stp", "delay"] {
            if let Some(value) = live.attribute_at("bridge", attribute) {
                bridge.set_attribute(attribute, value);
            }
        }
    }
    (!outdated.children.is_empty()).then_some(outdated)
}

fn removal(name: &str, live: &ObservedNetwork) -> Vec<Step> {
    let name = Named::new(name, live.uuid);
    vec![
        Step::StopNetwork { name: name.clone() },
        Step::UndefineNetwork { name },
    ]
}

pub(super) fn delete(planner: &Planner<'_>, address: &Address, entry: &Entry) -> Change {
    let Some((name, live)) = planner.owned(entry, &planner.observed.networks) else {
        return Change::forgotten(address.clone());
    };
    Change {
        action: Action::Delete,
        summary: summary(&live.xml.tree()),
        before_xml: Some(live.xml.clone()),
        steps: removal(name, live),
        ..Change::unchanged(address.clone(), None)
    }
}

/// One line: `192.168.155.1/24, nat, shop.test`.
fn summary(xml: &Element) -> String {
    let xml = spelling::canonical(xml);
    let addresses = xml.children_named("ip").filter_map(|ip| {
        let address = ip.attribute("address")?;
        Some(match ip.attribute("prefix") {
            Some(prefix) => format!("{address}/{prefix}"),
            None => address.to_owned(),
        })
    });
    let mode = match xml.child("forward") {
        Some(forward) => forward.attribute("mode").unwrap_or("nat").to_owned(),
        None => "isolated".to_owned(),
    };
    let domain = xml.attribute_at("domain", "name").map(str::to_owned);
    addresses
        .chain([mode])
        .chain(domain)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Differences so that each is changed in one way: an element that comes or goes as a whole is taken apart where its parts have ways
/// of their own. A network's first DNS host brings `<dns>` along, and is a DNS host all the same.
fn taken_apart(differences: Vec<Difference>) -> Vec<Difference> {
    let apart = differences.into_iter();
    apart
        .flat_map(|it| it.taken_apart(&places::differs_below))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::merge::merge;

    #[test]
    fn a_bridge_of_the_host_has_none_of_libvirts_settings() {
        let live = "<network><forward mode='nat'/><bridge name='virbr0' stp='on' delay='0'/><mac address='52:54:00:00:00:01'/></network>";
        let wanted = "<network><forward mode='bridge'/><bridge name='br0'/></network>";
        let (live, wanted) = (
            Element::parse(live).unwrap(),
            Element::parse(wanted).unwrap(),
        );
        let last: Vec<Element> = outdated_choices(&live, &wanted).into_iter().collect();
        assert_eq!(merge(&last, &live, &wanted).target, wanted);
        assert_eq!(outdated_choices(&wanted, &live), None);
    }

    #[test]
    fn an_isolated_network_has_no_way_out() {
        let live =
            Element::parse("<network><forward mode='nat'/><ip address='10.0.0.1'/></network>")
                .unwrap();
        let wanted = Element::parse("<network><ip address='10.0.0.1'/></network>").unwrap();
        let last: Vec<Element> = outdated_choices(&live, &wanted).into_iter().collect();
        assert_eq!(merge(&last, &live, &wanted).target, wanted);
    }
}
