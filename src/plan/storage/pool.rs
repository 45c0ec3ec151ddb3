//! What happens to a pool.

use uuid::Uuid;

use super::made::merge_lasting;
use super::sight;
use super::volumes::Sizes;
use crate::address::Address;
use crate::desired::Resource;
use crate::lab::places;
use crate::libvirt::observed::ObservedPool;
use crate::plan::attribute::{renamed, switched};
use crate::plan::context::{Found, Planner};
use crate::plan::definition::with_uuid;
use crate::plan::foreign::Foreign;
use crate::plan::history::{last_trees, reason, reason_to_create};
use crate::plan::{Action, AttributeChange, Beside, Change, Disruption, Reason, label, users};
use crate::state::Entry;
use crate::step::{Named, Step};
use crate::xml::document::Document;
use crate::xml::merge::Difference;
use crate::xml::tree::Element;

pub(in crate::plan) fn change(
    planner: &mut Planner<'_>,
    resource: &Resource,
    uuid: Uuid,
    autostart: bool,
) -> Change {
    sight::check(planner, resource);
    let pools = &planner.observed.pools;
    match planner.find(resource, uuid, pools) {
        Found::Foreign => Change::unchanged(resource.address.clone(), None),
        Found::Absent => {
            let uuid = planner.fresh(&resource.address, uuid, pools);
            create(planner, resource, uuid, autostart)
        }
        Found::Ours(live) if planner.replaces(&resource.address) => {
            let mut change = replace(planner, resource, &resource.name, live, autostart);
            change.reason = Some(Reason::Requested);
            change
        }
        Found::Ours(live) => update(planner, resource, live, autostart),
        Found::Renamed(old, live) => {
            let mut change = replace(planner, resource, &old, live, autostart);
            change.attributes = vec![renamed(&old, &resource.name, Disruption::Recreate)];
            change
        }
    }
}

/// Defines a pool anew: the directory and what is in it stay.
fn replace(
    planner: &mut Planner<'_>,
    resource: &Resource,
    old: &str,
    live: &ObservedPool,
    autostart: bool,
) -> Change {
    if resource.lifecycle.prevent_destroy && planner.replaces(&resource.address) {
        planner.protected(&resource.address, "replaced", resource.span);
    }
    let created = create(planner, resource, live.uuid, autostart);
    let mut change = created.replacing(&live.xml, None);
    let name = Named::new(old, live.uuid);
    let removal = [
        Step::StopPool { name: name.clone() },
        Step::UndefinePool { name },
    ];
    change.steps.splice(0..0, removal);
    change
}

fn create(planner: &Planner<'_>, resource: &Resource, uuid: Uuid, autostart: bool) -> Change {
    let xml = with_uuid(&resource.xml.tree(), uuid);
    let definition = Document::from(&xml);
    let name = Named::new(&resource.name, uuid);
    let mut steps = vec![
        Step::DefinePool {
            xml: definition.clone(),
        },
        Step::StartPool { name: name.clone() },
    ];
    if autostart {
        steps.push(Step::AutostartPool { name, on: true });
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

fn update(
    planner: &Planner<'_>,
    resource: &Resource,
    live: &ObservedPool,
    autostart: bool,
) -> Change {
    let entry = planner.entry(&resource.address);
    let wanted = with_uuid(&resource.xml.tree(), live.uuid);
    let merged = merge_lasting(entry, &live.xml.tree(), &wanted, Sizes::Exact);
    let name = Named::new(&resource.name, live.uuid);
    let mut steps = Vec::new();
    let mut attributes = Vec::new();
    let redefined = merged.is_change();
    let held_by = users::running_on(planner.observed, &name.name, live);
    // An active pool keeps its old definition until it is started again. A directory's files can be open meanwhile; of others
    // the stop takes away what guests run on, or fails since they do.
    let stops = redefined && live.active && (is_directory(&live.xml.tree()) || held_by.is_empty());
    let waits = redefined && live.active && !stops;
    if redefined {
        if stops {
            steps.push(Step::StopPool { name: name.clone() });
        }
        // The directory that we made does not stay behind; one that someone else moved the pool to is not ours.
        let last = last_trees(entry);
        let path = |xml: &Element| xml.text_at("target/path").map(str::to_owned);
        let is_where_applied = last.first().and_then(path) == path(&live.xml.tree());
        let moves = path(&merged.target) != path(&live.xml.tree());
        if moves && is_where_applied && entry.is_some_and(|entry| entry.made_directory) {
            steps.push(Step::DeletePoolDirectory { name: name.clone() });
        }
        steps.push(Step::DefinePool {
            xml: Document::from(&merged.target),
        });
        attributes = label::attributes(&merged.differences, class);
    }
    let is_empty = live.active && !stops && lacks_directory(planner, &resource.name);
    if is_empty {
        steps.push(Step::StopPool { name: name.clone() });
    }
    if stops || is_empty || !live.active {
        steps.push(Step::StartPool { name: name.clone() });
    }
    if !live.active {
        attributes.push(switched(Beside::Active, true));
    }
    if is_empty {
        let class = Disruption::Live;
        attributes.push(AttributeChange::new(
            "directory",
            "gone",
            "made anew",
            class,
        ));
    }
    if live.autostart != autostart {
        attributes.push(switched(Beside::Autostart, autostart));
        steps.push(Step::AutostartPool {
            name,
            on: autostart,
        });
    }
    let record = planner.applied(resource, Some(live.uuid), &wanted);
    let mut change = Change {
        foreign: Foreign::of_storage(entry, &live.xml.tree(), &merged.differences).left(),
        ..Change::unchanged(resource.address.clone(), Some(record))
    };
    if !steps.is_empty() {
        change.action = Action::Update;
        change.disruption = Some(Disruption::Live);
        change.reason = reason(entry, &merged.differences);
        change.attributes = attributes;
        if waits {
            let guests = Vec::from_iter(held_by).join(", ");
            change.notes = vec![format!(
                "comes into force when the pool is started again: {guests} cannot be without it"
            )];
        }
        change.before_xml = Some(live.xml.clone());
        change.after_xml = Some(if redefined {
            merged.target.into()
        } else {
            live.xml.clone()
        });
        change.steps = steps;
    }
    change
}

/// Whether a pool has no directory any more, of which libvirt may know nothing yet.
fn lacks_directory(planner: &Planner<'_>, pool: &str) -> bool {
    let place = planner.observed.directories.get(pool);
    place.is_some_and(|place| !place.there)
}

fn class(difference: &Difference) -> Disruption {
    places::way(&difference.path).class()
}

fn is_directory(pool: &Element) -> bool {
    pool.attribute("type") == Some("dir")
}

pub(in crate::plan) fn delete(planner: &Planner<'_>, address: &Address, entry: &Entry) -> Change {
    let Some((name, live)) = planner.owned(entry, &planner.observed.pools) else {
        return Change::forgotten(address.clone());
    };
    let name = || Named::new(name, live.uuid);
    let mut steps = vec![Step::StopPool { name: name() }];
    if entry.made_directory && !planner.is_another_pool(&entry.name, None) {
        steps.push(Step::DeletePoolDirectory { name: name() });
    }
    steps.push(Step::UndefinePool { name: name() });
    Change {
        action: Action::Delete,
        summary: summary(&live.xml.tree()),
        before_xml: Some(live.xml.clone()),
        steps,
        ..Change::unchanged(address.clone(), None)
    }
}

fn summary(xml: &Element) -> String {
    let kind = xml.attribute("type").unwrap_or_default();
    match xml.text_at("target/path") {
        Some(path) => format!("{kind} {path}"),
        None => kind.to_owned(),
    }
}
