//! What happens to an image or a volume.

pub(super) mod made;
pub(super) mod pool;
pub(super) mod sight;
pub(super) mod trial;
pub(super) mod volumes;

use std::sync::Arc;

use made::merge_lasting;
use trial::Old;
use volumes::{capacity, is_active, seen, sizes, volume_of};

use super::attribute::renamed;
use super::context::Planner;
use super::foreign::Foreign;
use super::history::{reason, reason_to_create};
use super::label;
use super::{Action, AttributeChange, Change, Disruption, Reason, Said};
use super::{overlay, users};
use crate::address::{Address, Kind};
use crate::desired::{Detail, Resource};
use crate::diagnostic::{Diagnostic, Severity};
use crate::fingerprint::sha256;
use crate::lab::attributes::Way;
use crate::lab::places;
use crate::libvirt::observed::ObservedVolume;
use crate::state::{Entry, Status};
use crate::step::{Content, Step};
use crate::units::size;
use crate::xml::document::Document;
use crate::xml::merge::Difference;
use crate::xml::tree::Element;

/// What an image is filled with, and what a guest was installed with, for the state to compare.
pub(super) fn content(detail: &Detail) -> Option<String> {
    match detail {
        Detail::Image {
            content: Content::File { expected, .. },
            ..
        } => expected.clone(),
        Detail::Image {
            content: Content::Bytes(bytes),
            ..
        } => Some(format!("sha256:{}", sha256(bytes))),
        Detail::Guest { install, .. } => install.as_ref().map(|install| install.answers.clone()),
        Detail::Network { .. }
        | Detail::Reservations
        | Detail::Pool { .. }
        | Detail::Volume { .. } => None,
    }
}

/// A content as it is told: `2 GiB`, or the beginning of the hash.
fn content_text(content: &str) -> Said {
    let bytes = content.strip_prefix("size:").and_then(|n| n.parse().ok());
    bytes.map_or_else(
        || content.chars().take(19).collect::<String>().into(),
        Said::Bytes,
    )
}

pub(super) fn image(planner: &mut Planner<'_>, resource: &Resource) -> Change {
    let Detail::Image {
        pool,
        content,
        size,
        also,
    } = &resource.detail
    else {
        return Change::unchanged(resource.address.clone(), None);
    };
    let entry = planner.entry(&resource.address);
    let record = planner.applied(resource, None, &resource.xml.tree());
    let mut steps = vec![
        Step::CreateVolume {
            pool: planner.pool(pool),
            xml: resource.xml.clone(),
        },
        Step::UploadVolume {
            pool: planner.pool(pool),
            name: resource.name.clone(),
            seen: None,
            content: content.clone(),
        },
    ];
    let summary = match content {
        Content::File { path, .. } => {
            // The whole path would tell more, and make lines as long as it is; the definition has it.
            let file = path.file_name().unwrap_or(path.as_os_str());
            format!("{} from {}", crate::units::size(*size), file.display())
        }
        Content::Bytes(_) => "seed for cloud-init".to_owned(),
    };
    let moved = entry.and_then(|entry| Some((entry, left_behind(planner, entry, resource, pool)?)));
    if let Some((entry, old)) = moved {
        return move_volume(planner, resource, entry, old, summary, steps, record);
    }
    if let Some(entry) = out_of_reach(planner, resource, pool) {
        return Change::unchanged(resource.address.clone(), Some(entry));
    }
    let Some(live) = volume_of(planner, pool, &resource.name) else {
        return Change {
            action: Action::Create,
            summary,
            reason: reason_to_create(entry),
            after_xml: Some(resource.xml.clone()),
            steps,
            ..Change::unchanged(resource.address.clone(), Some(record))
        };
    };
    let Some(entry) = entry else {
        planner.conflict(resource, None);
        return Change::unchanged(resource.address.clone(), None);
    };
    let unfinished = entry.status != Status::Applied;
    // An imported image has no recorded content: it is taken as it is. Of one that was uploaded long ago only the size is known.
    let changed = match entry.content.as_deref() {
        Some(old) if old.starts_with("size:") => old != format!("size:{size}"),
        // Where nobody looked into the file, it is taken to be the same.
        Some(old) => {
            let is_other = |new: &str| new != old && also.as_deref() != Some(old);
            record.content.as_deref().is_some_and(is_other)
        }
        None => false,
    };
    let asked_for = planner.replaces(&resource.address);
    if !unfinished && !changed && !asked_for {
        let content = record.content.clone().or_else(|| entry.content.clone());
        let record = Entry { content, ..record };
        return Change {
            foreign: Foreign::of_storage(Some(entry), &live.xml.tree(), &[]).left(),
            ..Change::unchanged(resource.address.clone(), Some(record))
        };
    }
    let is_seed = matches!(content, Content::Bytes(_));
    let delete = Step::DeleteVolume {
        pool: planner.pool(pool),
        name: resource.name.clone(),
        seen: Some(seen(live)),
    };
    // Written over, so that a run that ends in between leaves its guest all of its disks.
    let is_written_over = is_seed && capacity(&live.xml.tree()) == *size;
    match is_written_over {
        true => drop(steps.remove(0)),
        false => steps.insert(0, delete),
    }
    if (changed || asked_for) && resource.lifecycle.prevent_destroy {
        planner.protected(&resource.address, "replaced", resource.span);
    }
    // A guest heeds its seed once, so a changed one takes nothing from it.
    let (action, class, summary, notes) = match is_seed && !asked_for {
        true => (
            Action::Update,
            Way::WriteSeed.class(),
            String::new(),
            vec![heeded_once(resource)],
        ),
        false => (Action::Replace, Way::Upload.class(), summary, Vec::new()),
    };
    let mut change = Change {
        action,
        summary,
        notes,
        attributes: vec![AttributeChange {
            before: entry.content.as_deref().map(content_text),
            after: record.content.as_deref().map(content_text),
            note: unfinished.then(|| "an upload was not finished".into()),
            ..AttributeChange::new("source", "", "", class)
        }],
        disruption: Some(class),
        reason: match asked_for {
            true => Some(Reason::Requested),
            false => reason(Some(entry), &[]),
        },
        before_xml: Some(live.xml.clone()),
        after_xml: Some(resource.xml.clone()),
        steps,
        ..Change::unchanged(resource.address.clone(), Some(record))
    };
    if !is_written_over {
        let old = Old {
            pool,
            name: &resource.name,
            live,
        };
        trial::first(planner, &mut change, resource, &old, Some((content, *size)));
    }
    change
}

fn heeded_once(seed: &Resource) -> String {
    let guest = seed.address.disk().map(|(guest, _)| Address::guest(&guest));
    let guest = guest.map_or_else(String::new, |guest| format!(" `--replace {guest}`"));
    format!("cloud-init heeds it at the first boot of a fresh disk:{guest}")
}

/// Leaves a changed seed for later, since its guest runs: what is written then is told as pending.
pub(super) fn hold_back(change: &mut Change, entry: Option<&Entry>) {
    let pending = std::mem::take(&mut change.attributes);
    *change = Change {
        pending,
        ..Change::unchanged(change.address.clone(), entry.cloned())
    };
}

pub(super) fn volume(planner: &mut Planner<'_>, resource: &Resource) -> Change {
    let Detail::Volume { pool, image, .. } = &resource.detail else {
        return Change::unchanged(resource.address.clone(), None);
    };
    let entry = planner.entry(&resource.address);
    let record = planner.applied(resource, None, &resource.xml.tree());
    let create = Step::CreateVolume {
        pool: planner.pool(pool),
        xml: resource.xml.clone(),
    };
    let summary = volume_summary(&resource.xml.tree(), image.as_ref());
    let moved = entry.and_then(|entry| Some((entry, left_behind(planner, entry, resource, pool)?)));
    if let Some((entry, old)) = moved {
        return move_volume(planner, resource, entry, old, summary, vec![create], record);
    }
    if let Some(entry) = out_of_reach(planner, resource, pool) {
        return Change::unchanged(resource.address.clone(), Some(entry));
    }
    let Some(live) = volume_of(planner, pool, &resource.name) else {
        return Change {
            action: Action::Create,
            summary,
            reason: reason_to_create(entry),
            after_xml: Some(resource.xml.clone()),
            steps: vec![create],
            ..Change::unchanged(resource.address.clone(), Some(record))
        };
    };
    if entry.is_none() {
        planner.conflict(resource, None);
        return Change::unchanged(resource.address.clone(), None);
    }
    let (live_xml, wanted) = (live.xml.tree(), resource.xml.tree());
    let merged = merge_lasting(entry, &live_xml, &wanted, sizes(planner, pool));
    let pending = made::pending(entry, &live_xml, &wanted);
    let foreign = Foreign::of_storage(entry, &live_xml, &merged.differences).left();
    let asked_for = planner.replaces(&resource.address);
    if !merged.is_change() && !asked_for {
        return Change {
            entry: Some(match pending.is_empty() {
                true => record,
                false => with_applied(record, entry, |old| old.applied.clone()),
            }),
            pending,
            foreign,
            ..Change::unchanged(resource.address.clone(), None)
        };
    }
    let overlays = planner.overlays_over(&live.path).join(", ");
    if !overlays.is_empty() && !asked_for {
        planner.problems.push(
            Diagnostic::error(format!(
                "{} cannot change: a guest's disk is an overlay of it, {overlays}",
                resource.address
            ))
            .at(resource.span)
            .hint(format!(
                "what was written since is in the overlay: merge it into the volume first, with `virsh blockcommit … --active --pivot --base {}` or `virsh snapshot-delete`; or give both up with `--replace`",
                live.path
            )),
        );
        return Change::unchanged(resource.address.clone(), entry.cloned());
    }
    let (before, after) = (capacity(&live.xml.tree()), capacity(&resource.xml.tree()));
    let class = |difference: &Difference| volume_class(difference, before, after);
    let told = merged.differences.iter();
    let costs = told.map(class).max().unwrap_or(Disruption::Recreate);
    let only_grows = !asked_for && costs == Disruption::Live;
    let mut change = Change {
        reason: match asked_for {
            true => Some(Reason::Requested),
            false => reason(entry, &merged.differences),
        },
        before_xml: Some(live.xml.clone()),
        after_xml: Some(Document::from(&merged.target)),
        ..Change::unchanged(resource.address.clone(), Some(record))
    };
    if only_grows {
        change.action = Action::Update;
        change.disruption = Some(costs);
        change.attributes = label::attributes(&merged.differences, class);
        if !pending.is_empty() {
            change.entry = change.entry.map(|record| {
                let grown = |old: &Entry| Some(made::grown(old, &wanted)?.to_string().into());
                with_applied(record, entry, grown)
            });
        }
        change.pending = pending;
        change.foreign = foreign;
        change.steps = vec![Step::GrowVolume {
            pool: planner.pool(pool),
            name: resource.name.clone(),
            seen: Some(seen(live)),
            capacity: after,
            guest: users::running_disk(planner.observed, (pool, &resource.name), &live.path),
        }];
        return change;
    }
    if resource.lifecycle.prevent_destroy {
        planner.protected(&resource.address, "replaced", resource.span);
    }
    change.action = Action::Replace;
    change.summary = summary;
    change.disruption = Some(Disruption::Recreate);
    change.data_loss = Some(before);
    change.attributes = label::attributes(&merged.differences, |_| Disruption::Recreate);
    change.attributes.extend(pending);
    change.after_xml = Some(resource.xml.clone());
    (change.steps, change.notes) = overlay::removal(planner, &live.path);
    change.steps.push(Step::DeleteVolume {
        pool: planner.pool(pool),
        name: resource.name.clone(),
        seen: Some(seen(live)),
    });
    change.steps.push(create);
    let old = Old {
        pool,
        name: &resource.name,
        live,
    };
    trial::first(planner, &mut change, resource, &old, None);
    change
}

/// An entry that goes on telling what a volume was made with.
fn with_applied(
    record: Entry,
    entry: Option<&Entry>,
    made: impl FnOnce(&Entry) -> Option<Arc<str>>,
) -> Entry {
    Entry {
        applied: entry.and_then(made).or(record.applied),
        ..record
    }
}

/// The volume that was made for a disk which is now to have another, by name or pool; the state would forget it.
fn left_behind<'a>(
    planner: &Planner<'a>,
    entry: &Entry,
    resource: &Resource,
    pool: &str,
) -> Option<&'a ObservedVolume> {
    let old = entry.pool.as_deref()?;
    if planner.is_in_another_pool(entry) {
        return None;
    }
    // A pool that only has another name keeps what is in it.
    let renamed = planner.state.resources.iter().any(|(address, entry)| {
        let after = planner.changes.get(address).and_then(|c| c.entry.as_ref());
        address.kind == Kind::Pool
            && entry.name == old
            && after.is_some_and(|after| after.name == pool)
    });
    (entry.name != resource.name || (old != pool && !renamed))
        .then(|| volume_of(planner, old, &entry.name))
        .flatten()
}

fn move_volume(
    planner: &mut Planner<'_>,
    resource: &Resource,
    entry: &Entry,
    old: &ObservedVolume,
    summary: String,
    mut steps: Vec<Step>,
    record: Entry,
) -> Change {
    if resource.lifecycle.prevent_destroy {
        planner.protected(&resource.address, "replaced", resource.span);
    }
    let before = entry.pool.clone().unwrap_or_default();
    let after = record.pool.clone().unwrap_or_default();
    // What is there is not the lab's, but where a run that did not end made it.
    if entry.status == Status::Applied && volume_of(planner, &after, &resource.name).is_some() {
        planner.conflict(resource, None);
        return Change::unchanged(resource.address.clone(), Some(entry.clone()));
    }
    let class = Disruption::Recreate;
    let pool = || AttributeChange::new("pool", before.as_str(), after.as_str(), class);
    let name = || renamed(&entry.name, &resource.name, class);
    let pool = (before != after).then(pool);
    let name = (entry.name != resource.name).then(name);
    let attributes = pool.into_iter().chain(name);
    let delete = Step::DeleteVolume {
        pool: planner.pool(&before),
        name: entry.name.clone(),
        seen: Some(seen(old)),
    };
    // One that is to be kept stays where it is, and is the user's from now on.
    if !entry.keep {
        steps.insert(0, delete);
    }
    // An image is a copy of a file that the user has.
    let is_data = !entry.keep && resource.address.kind != Kind::Image;
    let mut change = Change {
        action: Action::Replace,
        summary,
        attributes: attributes.collect(),
        disruption: Some(Disruption::Recreate),
        data_loss: is_data.then(|| capacity(&old.xml.tree())),
        before_xml: Some(old.xml.clone()),
        after_xml: Some(resource.xml.clone()),
        steps,
        ..Change::unchanged(resource.address.clone(), Some(record))
    };
    if !entry.keep {
        let content = match &resource.detail {
            Detail::Image { content, size, .. } => Some((content, *size)),
            Detail::Network { .. }
            | Detail::Reservations
            | Detail::Pool { .. }
            | Detail::Volume { .. }
            | Detail::Guest { .. } => None,
        };
        let old = Old {
            pool: &before,
            name: &entry.name,
            live: old,
        };
        trial::first(planner, &mut change, resource, &old, content);
    }
    change
}

/// A volume's entry where it cannot be looked at: its pool is not active, or its name is another pool's now.
fn out_of_reach(planner: &mut Planner<'_>, resource: &Resource, pool: &str) -> Option<Entry> {
    let entry = planner.entry(&resource.address)?;
    if !planner.is_in_another_pool(entry) {
        return sight::hidden(planner, resource, pool);
    }
    // Of a pool of the lab's own that is told already.
    if planner.recorded_pool(pool).is_none() {
        let problem = elsewhere(&resource.address, entry, Severity::Error);
        planner.problems.push(problem.at(resource.span));
    }
    Some(entry.clone())
}

/// What a difference costs a volume whose capacity is `before` and to be `after`.
fn volume_class(difference: &Difference, before: u64, after: u64) -> Disruption {
    match places::way(&difference.path) {
        Way::Grow if after <= before => Way::ReplaceVolume.class(),
        way => way.class(),
    }
}

pub(super) fn delete_volume(planner: &Planner<'_>, address: &Address, entry: &Entry) -> Change {
    let pool = entry.pool.clone().unwrap_or_default();
    let delete = |seen| Step::DeleteVolume {
        pool: planner.pool(&pool),
        name: entry.name.clone(),
        seen,
    };
    if planner.observed.pools.contains_key(&pool) && !is_active(planner, &pool) {
        // It cannot be looked at, so what it was made as tells what is lost.
        return Change {
            action: Action::Delete,
            data_loss: match address.kind {
                Kind::Image => None,
                Kind::Network | Kind::Reservations | Kind::Pool | Kind::Volume | Kind::Guest => {
                    Some(sight::made_with(entry))
                }
            },
            steps: vec![
                Step::StartPool {
                    name: planner.pool(&pool),
                },
                delete(None),
            ],
            ..Change::unchanged(address.clone(), None)
        };
    }
    let Some(live) = volume_of(planner, &pool, &entry.name) else {
        return Change::forgotten(address.clone());
    };
    let lost = match address.kind {
        // An image is a copy of a file that the user has.
        Kind::Image => None,
        Kind::Network | Kind::Reservations | Kind::Pool | Kind::Volume | Kind::Guest => {
            Some(capacity(&live.xml.tree()))
        }
    };
    // Over images are the lab's own volumes, which go by themselves.
    let (mut steps, notes) = match address.kind {
        Kind::Image => (Vec::new(), Vec::new()),
        Kind::Network | Kind::Reservations | Kind::Pool | Kind::Volume | Kind::Guest => {
            overlay::removal(planner, &live.path)
        }
    };
    steps.push(delete(Some(seen(live))));
    Change {
        action: Action::Delete,
        summary: volume_summary(&live.xml.tree(), None),
        notes,
        data_loss: lost,
        before_xml: Some(live.xml.clone()),
        steps,
        ..Change::unchanged(address.clone(), None)
    }
}

/// Says that a volume's pool is not where the volume is.
pub(super) fn elsewhere(address: &Address, entry: &Entry, severity: Severity) -> Diagnostic {
    let pool = entry.pool.as_deref().unwrap_or_default();
    let text = format!(
        "{address} cannot be reached: since `{}` was made, somebody made another pool `{pool}`, or put it elsewhere",
        entry.name
    );
    let problem = match severity {
        Severity::Error => Diagnostic::error(text),
        Severity::Warning => Diagnostic::warning(format!("{text}; it stays")),
    };
    problem.hint("bring the pool back to where it was; if it is the same and was only defined anew, define it with the UUID that it had")
}

fn volume_summary(xml: &Element, image: Option<&Address>) -> String {
    let capacity = size(capacity(xml));
    match image {
        Some(image) => format!("{capacity} over {}", image.name),
        None => capacity,
    }
}
