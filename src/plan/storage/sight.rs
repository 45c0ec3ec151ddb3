//! What can be said of volumes that libvirt does not show: gone, or only out of sight.
//!
//! A server that does not answer, a file system that is not mounted and a directory that was moved take their volumes away for a
//! while. What is out of sight stays the lab's, and nothing is made in its place.

use std::collections::BTreeSet;

use super::super::Reason;
use super::super::context::Planner;
use super::super::history::last_trees;
use super::volumes::{capacity, volume_of};
use crate::address::{Address, Kind};
use crate::desired::Resource;
use crate::diagnostic::Diagnostic;
use crate::file::place::Place;
use crate::state::Entry;

/// Why libvirt does not show a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::plan) enum Sight {
    /// Its pool is not active, and all is taken to be as recorded until it is.
    Hidden,
    /// It is not where it was.
    Gone,
    /// Nor is the directory that it was in.
    NoDirectory,
    /// Its directory is on another file system than it was.
    OtherPlace,
}

/// Where a volume is that libvirt does not show.
pub(in crate::plan) fn of(planner: &Planner<'_>, pool: &str, name: &str) -> Sight {
    let is_active = planner.observed.pools.get(pool).is_some_and(|p| p.active);
    let key = (pool.to_owned(), name.to_owned());
    let place = planner.observed.directories.get(pool);
    match place {
        Some(place) if is_elsewhere(planner, pool, place) => Sight::OtherPlace,
        Some(place) if !place.there => Sight::NoDirectory,
        Some(_) if planner.observed.files.contains(&key) => Sight::Hidden,
        None if !is_active => Sight::Hidden,
        Some(_) | None => Sight::Gone,
    }
}

/// The recorded images and volumes of a pool.
fn recorded<'a>(
    planner: &Planner<'a>,
    pool: &str,
) -> impl Iterator<Item = (&'a Address, &'a Entry)> {
    let entries = planner.state.resources.iter();
    entries.filter(move |(_, entry)| entry.pool.as_deref() == Some(pool))
}

/// Whether a pool's directory is on another file system than when it was applied last, with none of its volumes.
fn is_elsewhere(planner: &Planner<'_>, pool: &str, place: &Place) -> bool {
    let Some(before) = planner
        .recorded_pool(pool)
        .and_then(|entry| entry.place.as_deref())
    else {
        return false;
    };
    if before == place.describe() {
        return false;
    }
    let mut volumes = recorded(planner, pool).peekable();
    if volumes.peek().is_none() {
        // With nothing to miss, it only counts that what was mounted is not.
        let mount = before.rsplit_once(" on ").map_or("", |(_, mount)| mount);
        let outer = place.mount.trim_end_matches('/');
        return mount.strip_prefix(outer).is_some_and(|rest| rest.len() > 1);
    }
    volumes.all(|(_, entry)| {
        let key = (pool.to_owned(), entry.name.clone());
        !planner.observed.volumes.contains_key(&key) && !planner.observed.files.contains(&key)
    })
}

/// Refuses to fill a pool with empty volumes whose file system is not mounted, unless it is said of each that it is gone.
pub(super) fn check(planner: &mut Planner<'_>, resource: &Resource) {
    let pool = resource.name.as_str();
    let Some(place) = planner.observed.directories.get(pool) else {
        return;
    };
    let lost: Vec<&Address> = recorded(planner, pool)
        .map(|(address, _)| address)
        .collect();
    let all_given_up = !lost.is_empty() && lost.iter().all(|address| planner.replaces(address));
    if all_given_up || !is_elsewhere(planner, pool, place) {
        return;
    }
    let before = planner
        .recorded_pool(pool)
        .and_then(|entry| entry.place.clone());
    let lost = lost.iter().map(|address| format!(" --replace {address}"));
    let lost: String = lost.collect();
    let hint = match lost.is_empty() {
        true => "mount it; if it is to be here from now on, take the pool out of the definition, apply, and put it back".to_owned(),
        false => format!("mount it; if its volumes are gone for good, `miniascape apply{lost}` makes them anew"),
    };
    planner.problems.push(
        Diagnostic::error(format!(
            "{} is not where it was: it was on {}, and now it is on {}",
            resource.address,
            before.unwrap_or_default(),
            place.describe()
        ))
        .at(resource.span)
        .hint(hint),
    );
}

/// The volumes of these that can only be out of sight: they are the lab's until it can be seen that they are gone. It is said of each,
/// as an error where all is to go.
pub(in crate::plan) fn out_of_sight<'e>(
    planner: &mut Planner<'_>,
    orphans: Vec<(&'e Address, &'e Entry)>,
    reason: Option<Reason>,
) -> BTreeSet<Address> {
    let mut held = BTreeSet::new();
    for (address, entry) in orphans {
        let Some(pool) = entry.pool.as_deref().filter(|_| !entry.keep) else {
            continue;
        };
        if volume_of(planner, pool, &entry.name).is_some() {
            continue;
        }
        let is_defined = planner.observed.pools.contains_key(pool);
        let (why, hint) = match of(planner, pool, &entry.name) {
            Sight::Gone => continue,
            // It is started for this.
            Sight::Hidden if is_defined => continue,
            Sight::Hidden => (
                format!("its pool `{pool}` is not there"),
                "define the pool again, as `miniascape apply` does where the definition has it; or delete the file yourself".to_owned(),
            ),
            Sight::NoDirectory => (
                format!("the directory of its pool `{pool}` is not there"),
                "bring it back; if it is gone for good, make it with `mkdir`, and run the same command again".to_owned(),
            ),
            Sight::OtherPlace => (
                format!("the directory of its pool `{pool}` is on another file system than it was"),
                "mount what was there, and run the same command again".to_owned(),
            ),
        };
        let text = format!("{address} cannot be deleted: {why}, so nobody can see it");
        planner.problems.push(match reason {
            Some(_) => Diagnostic::warning(format!("{text}; it stays the lab's")).hint(hint),
            None => Diagnostic::error(text).hint(hint),
        });
        held.insert(address.clone());
    }
    held
}

/// Where a pool's directory is now, for the state: as it was where nobody can see it.
pub(in crate::plan) fn place(planner: &Planner<'_>, resource: &Resource) -> Option<String> {
    let is_pool = resource.address.kind == Kind::Pool;
    let places = &planner.observed.directories;
    match places.get(&resource.name).filter(|_| is_pool) {
        Some(place) => Some(place.describe()),
        None => planner.entry(&resource.address)?.place.clone(),
    }
}

/// What is lost where a volume is deleted unseen: what it was made with.
pub(super) fn made_with(entry: &Entry) -> u64 {
    last_trees(Some(entry)).pop().as_ref().map_or(0, capacity)
}

/// A volume's entry where it is out of sight, and taken to be as recorded.
pub(super) fn hidden(planner: &Planner<'_>, resource: &Resource, pool: &str) -> Option<Entry> {
    let entry = planner.entry(&resource.address)?;
    let is_seen = volume_of(planner, pool, &entry.name).is_some()
        || entry.status != crate::state::Status::Applied;
    let is_hidden = !is_seen && of(planner, pool, &entry.name) == Sight::Hidden;
    is_hidden.then(|| entry.clone())
}
