//! Who uses what goes: nothing is deleted under a guest, a volume or an image that needs it, whoever's they are.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::context::Planner;
use super::definition::{hangs_on, own_bridge, source_of};
use super::{Action, Change, PowerChange, guest};
use crate::address::Kind;
use crate::diagnostic::Diagnostic;
use crate::libvirt::files::{File, named_in};
use crate::libvirt::observed::{Observed, ObservedPool};
use crate::step::Named;
use crate::xml::document::Document;
use crate::xml::tree::Element;

/// Notes each deletion of something that is in use and stays so.
pub(super) fn check(planner: &mut Planner<'_>) {
    let guests = LazyCell::new(|| guests_after(planner));
    let overlays = LazyCell::new(|| overlays(planner.observed));
    let gone: BTreeSet<(&str, &str)> = planner
        .changes
        .values()
        .flat_map(Change::deleted_volumes)
        .collect();
    let uses = LazyCell::new(|| Uses::of(&guests, planner.observed, &gone));
    let changes = planner.changes.values();
    let deferring: BTreeSet<String> = changes
        .filter(|change| change.address.kind == Kind::Guest && guest::defers(change))
        .filter_map(|change| Some(format!("guest {}", change.entry.as_ref()?.name)))
        .collect();
    let mut problems = Vec::new();
    for change in planner.changes.values() {
        let users: BTreeSet<String> = match change.address.kind {
            Kind::Network if change.action == Action::Delete => network_users(change, &guests),
            Kind::Pool if change.action == Action::Delete => pool_users(change, &guests),
            Kind::Image | Kind::Volume => change
                .deleted_volumes()
                .flat_map(|volume| {
                    volume_users(planner, change, volume, (&guests, &uses), &overlays, &gone)
                })
                .collect(),
            Kind::Network | Kind::Reservations | Kind::Pool | Kind::Guest => continue,
        };
        if users.is_empty() {
            continue;
        }
        let what = match change.action {
            Action::Replace => "replaced",
            Action::None | Action::Create | Action::Update | Action::Delete | Action::Forget => {
                "deleted"
            }
        };
        let uses = if users.len() == 1 { "uses" } else { "use" };
        let hint = match users.is_subset(&deferring) {
            true => {
                "what lets go of it waits for a restart: `apply --restart-pending` makes that and this"
            }
            false => hint_for(change),
        };
        let users = Vec::from_iter(users).join(", ");
        problems.push(
            Diagnostic::error(format!(
                "{} cannot be {what}: {users} {uses} it",
                change.address
            ))
            .hint(hint),
        );
    }
    for problem in problems {
        planner.problems.push(problem);
    }
}

fn hint_for(change: &Change) -> &'static str {
    match (change.address.kind, change.action) {
        (Kind::Image, Action::Replace) => {
            "an image with overlays stays as it is: give the new one another name, and move guests to it one by one"
        }
        _ => "take it away from there first",
    }
}

/// A definition that is in force once the plan is carried out, and whose guest it is.
struct Definition {
    guest: String,
    /// Whether it is one of the lab's, which are stopped before a volume of theirs is replaced.
    is_ours: bool,
    xml: Arc<Element>,
}

/// What guests are defined as and run with after the plan: of ours the new, of others what they have.
fn guests_after(planner: &Planner<'_>) -> Vec<Definition> {
    let ours = || {
        let changes = planner.changes.values();
        changes.filter(|change| change.address.kind == Kind::Guest)
    };
    // By name in libvirt, so that a guest which is deleted is not seen as somebody else's.
    let touched: BTreeMap<String, &Change> = ours()
        .filter_map(|change| {
            let xml = change.before_xml.as_ref()?.tree();
            Some((xml.text_at("name")?.to_owned(), change))
        })
        .collect();
    let untouched: BTreeSet<&str> = ours()
        .filter_map(|change| change.entry.as_ref())
        .map(|entry| entry.name.as_str())
        .collect();
    let mut definitions = Vec::new();
    for (name, guest) in &planner.observed.guests {
        let change = touched.get(name);
        let mut add = |xml: Arc<Element>| {
            definitions.push(Definition {
                guest: name.clone(),
                is_ours: untouched.contains(name.as_str()),
                xml,
            });
        };
        if change.is_none() {
            add(guest.xml.tree());
        }
        if let Some(xml) = &guest.live_xml
            && change.is_none_or(|change| runs_on(change))
        {
            // What is unplugged before is no longer in use.
            add(match change {
                Some(change) => Arc::new(guest::left(&xml.tree(), &change.steps)),
                None => xml.tree(),
            });
        }
    }
    definitions.extend(ours().filter_map(|change| {
        let xml = change.after_xml.as_ref()?.tree();
        Some(Definition {
            guest: xml.text_at("name")?.to_owned(),
            is_ours: true,
            xml,
        })
    }));
    definitions
}

/// Which guests use a volume: by its file, however they spell its path or what of theirs is an overlay of it; or by pool and name.
#[derive(Default)]
struct Uses {
    files: BTreeMap<File, BTreeSet<usize>>,
    names: BTreeMap<(String, String), BTreeSet<usize>>,
}

impl Uses {
    fn of(guests: &[Definition], observed: &Observed, gone: &BTreeSet<(&str, &str)>) -> Self {
        let paths = &observed.paths;
        let going: BTreeSet<File> = gone
            .iter()
            .filter_map(|(pool, name)| {
                observed
                    .volumes
                    .get(&((*pool).to_owned(), (*name).to_owned()))
            })
            .map(|volume| paths.file(&volume.path))
            .collect();
        let mut uses = Self::default();
        for (at, guest) in guests.iter().enumerate() {
            for path in named_in(&guest.xml) {
                for path in std::iter::once(path).chain(paths.bases(path)) {
                    let file = paths.file(path);
                    // What an overlay needs that goes itself is no longer needed by way of it.
                    let ends = going.contains(&file);
                    uses.files.entry(file).or_default().insert(at);
                    if ends {
                        break;
                    }
                }
            }
            let devices = guest.xml.child("devices").into_iter();
            let sources = devices
                .flat_map(|devices| devices.children_named("disk"))
                .filter_map(|disk| disk.child("source"));
            for source in sources {
                if let (Some(pool), Some(volume)) =
                    (source.attribute("pool"), source.attribute("volume"))
                {
                    let name = (pool.to_owned(), volume.to_owned());
                    uses.names.entry(name).or_default().insert(at);
                }
            }
        }
        uses
    }

    /// The guests by their place in the list that this was made of.
    fn users(&self, file: Option<&File>, name: &(String, String)) -> impl Iterator<Item = usize> {
        let by_file = file.and_then(|file| self.files.get(file));
        let by_name = self.names.get(name);
        by_file.into_iter().chain(by_name).flatten().copied()
    }
}

/// The volumes, by pool and name, that are overlays of each file.
type Overlays<'a> = BTreeMap<File, BTreeSet<(&'a str, &'a str)>>;

fn overlays(observed: &Observed) -> Overlays<'_> {
    let mut overlays = Overlays::new();
    for ((pool, name), volume) in &observed.volumes {
        for base in observed.paths.bases(&volume.path) {
            let over = overlays.entry(observed.paths.file(base)).or_default();
            over.insert((pool, name));
        }
    }
    overlays
}

/// Whether a guest that runs goes on with all that it has.
fn runs_on(change: &Change) -> bool {
    let stays = match change.action {
        Action::None | Action::Update => true,
        Action::Create | Action::Replace | Action::Delete | Action::Forget => false,
    };
    let goes_down = match change.power {
        Some(PowerChange::Stop | PowerChange::SwitchOff | PowerChange::Restart) => true,
        Some(PowerChange::Start | PowerChange::Resume) | None => false,
    };
    stays && !goes_down
}

fn network_users(change: &Change, guests: &[Definition]) -> BTreeSet<String> {
    let Some(xml) = change.before_xml.as_ref().map(Document::tree) else {
        return BTreeSet::new();
    };
    let name = xml.text_at("name");
    let bridge = own_bridge(&xml);
    users_of(guests, |guest| {
        let nics = guest.xml.child("devices").into_iter();
        nics.flat_map(|devices| devices.children_named("interface"))
            .any(|nic| name.is_some_and(|name| hangs_on(nic, name, bridge)))
    })
}

fn pool_users(change: &Change, guests: &[Definition]) -> BTreeSet<String> {
    let xml = change.before_xml.as_ref().map(Document::tree);
    let name = xml.as_ref().and_then(|xml| xml.text_at("name"));
    users_of(guests, |guest| {
        let mut disks = guest.xml.child("devices").into_iter();
        name.is_some() && disks.any(|devices| any(devices, &|e| e.attribute("pool") == name))
    })
}

/// Who uses a volume that goes. The lab's own guests do not count where it is replaced: they are shut down meanwhile.
fn volume_users(
    planner: &Planner<'_>,
    change: &Change,
    (pool, name): (&str, &str),
    (guests, uses): (&[Definition], &Uses),
    overlays: &Overlays<'_>,
    gone: &BTreeSet<(&str, &str)>,
) -> BTreeSet<String> {
    let key = (pool.to_owned(), name.to_owned());
    // In a pool that is not active it cannot be seen, but its place is known.
    let path = planner.observed.place_of(pool, name);
    let path = path.as_deref().filter(|path| !path.is_empty());
    let file = path.map(|path| planner.observed.paths.file(path));
    let is_stopped = matches!(change.action, Action::Replace | Action::Update)
        && change.address.kind == Kind::Volume;
    let mut users: BTreeSet<String> = uses
        .users(file.as_ref(), &key)
        .map(|at| &guests[at])
        .filter(|guest| !(is_stopped && guest.is_ours))
        .map(|guest| format!("guest {}", guest.guest))
        .collect();
    let overlays = file
        .and_then(|file| overlays.get(&file))
        .into_iter()
        .flatten();
    let overlays = overlays.filter(|overlay| !gone.contains(overlay));
    users.extend(overlays.map(|(pool, name)| format!("volume {pool}/{name}")));
    users
}

/// Whether an element is the source of a disk that names a volume by its pool.
fn names_volume(source: &Element, pool: &str, name: &str) -> bool {
    source.attribute("pool") == Some(pool) && source.attribute("volume") == Some(name)
}

/// The running guest that has a volume as a disk, with the disk's device name.
pub(super) fn running_disk(
    observed: &Observed,
    (pool, name): (&str, &str),
    path: &str,
) -> Option<(Named, String)> {
    let is_it = |disk: &&Element| {
        let by_name = disk
            .child("source")
            .is_some_and(|s| names_volume(s, pool, name));
        by_name || source_of(disk).is_some_and(|other| observed.paths.is_same(other, path))
    };
    observed.guests.iter().find_map(|(guest, seen)| {
        let xml = seen.live_xml.as_ref()?.tree();
        let disk = xml.child("devices")?.children_named("disk").find(is_it)?;
        Some((
            Named::new(guest, seen.uuid),
            disk.attribute_at("target", "dev")?.to_owned(),
        ))
    })
}

/// The guests that run on a pool's volumes, by the pool's name or by where it is.
pub(super) fn running_on(observed: &Observed, name: &str, pool: &ObservedPool) -> BTreeSet<String> {
    let xml = pool.xml.tree();
    let path = xml
        .text_at("target/path")
        .map(|path| path.trim_end_matches('/'));
    let is_in = |value: &str| {
        let rest = path.and_then(|path| value.strip_prefix(path));
        rest.is_some_and(|rest| rest.starts_with('/'))
    };
    let is_used = |element: &Element| {
        element.attribute("pool") == Some(name)
            || element.attributes.iter().any(|(_, value)| is_in(value))
    };
    let guests = observed.guests.iter().filter(|(_, guest)| {
        let xml = guest.live_xml.as_ref().map(Document::tree);
        let devices = xml.as_ref().and_then(|xml| xml.child("devices"));
        devices.is_some_and(|devices| any(devices, &is_used))
    });
    guests.map(|(name, _)| format!("guest {name}")).collect()
}

fn users_of(guests: &[Definition], uses: impl Fn(&Definition) -> bool) -> BTreeSet<String> {
    let users = guests.iter().filter(|guest| uses(guest));
    users
        .map(|guest| format!("guest {}", guest.guest))
        .collect()
}

/// Whether an element or one below it is such.
fn any(element: &Element, is_such: &impl Fn(&Element) -> bool) -> bool {
    is_such(element) || element.children.iter().any(|child| any(child, is_such))
}
