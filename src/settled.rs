//! Spares comparing what is still as it was when there was nothing to do.
//!
//! A plan for a resource follows from the resource, the state's entry and the object alone. So where there was nothing to do for
//! a network, volume or guest, and none of the three has changed since, there is nothing to do: fingerprints of all three together are
//! kept ([`Cache`]), and what has such a fingerprint is settled: a plan needs not compare it.

use std::collections::{BTreeSet, HashSet};

use crate::address::Address;
use crate::desired::{Desired, Detail, Resource};
use crate::fingerprint::fingerprint;
use crate::libvirt::observed::{Observed, ObservedGuest, ObservedNetwork, ObservedVolume};
use crate::plan::{Change, Plan};
use crate::state::cache::{Cache, CachedVolume};
use crate::state::{Entry, State, Status};
use crate::xml::document::Document;

/// What is settled, going by what was kept before.
pub fn settled(
    desired: &Desired,
    observed: &Observed,
    state: &State,
    seen: &Cache,
) -> BTreeSet<Address> {
    let is_settled = |resource: &&Resource| {
        let fingerprint = fingerprint_of(resource, observed, state);
        fingerprint.is_some_and(|fingerprint| seen.has(fingerprint))
    };
    let settled = desired.resources.values().filter(is_settled);
    settled.map(|resource| resource.address.clone()).collect()
}

/// The fingerprint of a resource with all that its plan depends on; `None` where it is to be looked at closely in any case.
fn fingerprint_of(resource: &Resource, observed: &Observed, state: &State) -> Option<u64> {
    let entry = state.resources.get(&resource.address)?;
    let Resource {
        address,
        name,
        xml,
        depends_on,
        lifecycle,
        span: _,
        detail,
    } = resource;
    let ours = (
        address,
        name,
        xml.fingerprint(),
        depends_on,
        lifecycle,
        entry,
    );
    match detail {
        // A tap that hangs on nothing may belong to a NIC on it.
        Detail::Network { .. } if !observed.loose_taps.is_empty() => None,
        Detail::Network { uuid, autostart } => {
            let live = observed.networks.get(name)?;
            let ObservedNetwork {
                uuid: has,
                active,
                autostart: starts,
                persistent,
                xml,
                live_xml,
            } = live;
            let live = (
                has,
                active,
                starts,
                persistent,
                both(xml, live_xml.as_ref()),
            );
            Some(fingerprint(&(ours, uuid, autostart, live)))
        }
        Detail::Volume { pool, keep, image } => {
            // A pool that is not active shows none of its volumes, and what is known of it then is not its file.
            let live = observed.volumes.get(&(pool.clone(), name.clone()))?;
            let ObservedVolume {
                path,
                id: _,
                stamp: _,
                xml,
            } = live;
            Some(fingerprint(&(
                ours,
                pool,
                keep,
                image,
                path,
                xml.fingerprint(),
            )))
        }
        Detail::Guest {
            uuid,
            autostart,
            running,
            shutdown_timeout,
            on_change,
            chosen,
            summary: _,
            install: None,
        } => {
            let live = observed.guests.get(name)?;
            let ObservedGuest {
                uuid: has,
                power,
                autostart: starts,
                persistent,
                saved,
                // They only keep it from another name, and what has another name is looked at.
                snapshots: _,
                // What is under way on its disks shows in the live XML, or keeps it from nothing.
                jobs: _,
                install: None,
                xml,
                live_xml,
            } = live
            else {
                return None;
            };
            // Where a volume's file is, its pool tells.
            if xml.text().contains("type='volume'") {
                return None;
            }
            let text = live_xml.as_ref().map(Document::text).unwrap_or_default();
            if observed.loose_taps.iter().any(|tap| text.contains(tap)) {
                return None;
            }
            let flags = (
                uuid,
                autostart,
                running,
                shutdown_timeout,
                on_change,
                chosen,
            );
            let live = (
                has,
                power,
                starts,
                persistent,
                saved,
                both(xml, live_xml.as_ref()),
            );
            Some(fingerprint(&(ours, flags, live)))
        }
        // There are few of these, and more is looked at than they themselves.
        Detail::Reservations
        | Detail::Pool { .. }
        | Detail::Image { .. }
        | Detail::Guest { .. } => None,
    }
}

fn both(xml: &Document, live: Option<&Document>) -> (u64, Option<u64>) {
    (xml.fingerprint(), live.map(Document::fingerprint))
}

/// What is to be kept of a look: the fingerprints of what there was nothing to do for, and of the texts that were read for it.
pub fn keep(desired: &Desired, observed: &Observed, state: &State, plan: &Plan) -> Cache {
    let mut fingerprints = HashSet::new();
    for resource in desired.resources.values() {
        let change = plan.changes.get(&resource.address);
        let entry = state.resources.get(&resource.address);
        if change.is_some_and(|change| is_nothing(change, entry)) {
            fingerprints.extend(fingerprint_of(resource, observed, state));
            fingerprints.insert(resource.xml.fingerprint());
        }
    }
    let networks = observed.networks.values();
    fingerprints
        .extend(networks.flat_map(|network| texts(&network.xml, network.live_xml.as_ref())));
    // That a guest has no installer in its definition is told by that it was seen.
    let guests = observed
        .guests
        .values()
        .filter(|guest| guest.install.is_none());
    fingerprints.extend(guests.flat_map(|guest| texts(&guest.xml, guest.live_xml.as_ref())));
    let mut seen = Cache {
        fingerprints,
        ..Cache::default()
    };
    for ((pool, name), volume) in &observed.volumes {
        if let Some(stamp) = volume.stamp {
            seen.fingerprints.insert(volume.xml.fingerprint());
            let volume = CachedVolume {
                stamp,
                xml: volume.xml.text().into_owned(),
            };
            let pool = seen.volumes.entry(pool.clone()).or_default();
            pool.insert(name.clone(), volume);
        }
    }
    seen
}

fn texts(xml: &Document, live: Option<&Document>) -> impl Iterator<Item = u64> {
    [Some(xml.fingerprint()), live.map(Document::fingerprint)]
        .into_iter()
        .flatten()
}

/// Whether a change is none: nothing is done or said, and the state has nothing to learn but how libvirt spells what was
/// applied, `pc-q35-7.2` for `q35`.
fn is_nothing(change: &Change, entry: Option<&Entry>) -> bool {
    let but_spelling = |entry: &Entry| Entry {
        applied: None,
        ..entry.clone()
    };
    let entry = entry.map(but_spelling);
    let change = Change {
        entry: change.entry.as_ref().map(but_spelling),
        ..change.clone()
    };
    let settled = entry.as_ref().is_some_and(|e| e.status == Status::Applied);
    settled && change == Change::unchanged(change.address.clone(), entry)
}
