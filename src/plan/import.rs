//! Adoption: the lab takes over objects that are there.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::context::Object;
use super::foreign;
use crate::address::{Address, Kind};
use crate::desired::{Desired, Detail, Resource};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::libvirt::observed::Observed;
use crate::libvirt::observed::owner;
use crate::state::{Entry, State, Status};
use crate::xml::document::Document;

/// What adopting all of a lab comes to.
#[derive(Debug, Default)]
pub struct Adoption {
    /// What is taken over, in order.
    pub entries: Vec<(Address, Entry)>,
    /// What is the lab's already.
    pub known: Vec<Address>,
    /// What is not there.
    pub absent: Vec<Address>,
}

/// The object that stands for a resource.
struct Candidate<'a> {
    name: String,
    uuid: Option<Uuid>,
    xml: &'a Document,
}

/// The entry that makes the object under a resource's name the lab's. Nothing was applied to it yet, so the next plan
/// shows what truly differs, and libvirt's own is left alone.
pub fn import(
    desired: &Desired,
    observed: &Observed,
    state: &State,
    address: &Address,
) -> Result<Entry, Diagnostic> {
    let Some(resource) = desired.resources.get(address) else {
        let mut problem = Diagnostic::error(format!("there is no {address} in the definition"));
        problem.hint = address.meant(desired.resources.keys());
        return Err(problem);
    };
    let at = |problem: Diagnostic| problem.at(resource.span);
    if state.resources.contains_key(address) {
        return Err(at(Diagnostic::error(format!(
            "{address} is this lab's already"
        ))));
    }
    let Some(found) = by_name(resource, observed) else {
        return Err(at(Diagnostic::error(format!(
            "there is no {} `{}` on {} to take over",
            address.kind, resource.name, observed.facts.uri
        ))
        .hint("`miniascape apply` makes it")));
    };
    adopt(desired, resource, found)
}

/// The entries that make all of a lab's objects the lab's, as far as they are there: what carries its UUID or mark, and
/// otherwise what has its name. What belongs to another lab is a problem.
pub fn import_all(
    desired: &Desired,
    observed: &Observed,
    state: &State,
) -> (Adoption, Diagnostics) {
    let mut adoption = Adoption::default();
    let mut problems = Diagnostics::default();
    for (address, resource) in &desired.resources {
        if address.kind == Kind::Reservations {
            continue;
        }
        if state.resources.contains_key(address) {
            adoption.known.push(address.clone());
            continue;
        }
        let found = marked(desired, resource, observed).or_else(|| by_name(resource, observed));
        match found.map(|found| adopt(desired, resource, found)) {
            Some(Ok(entry)) => adoption.entries.push((address.clone(), entry)),
            Some(Err(problem)) => problems.push(problem),
            None => adoption.absent.push(address.clone()),
        }
    }
    (adoption, problems)
}

fn adopt(
    desired: &Desired,
    resource: &Resource,
    found: Candidate<'_>,
) -> Result<Entry, Diagnostic> {
    let Candidate { name, uuid, xml } = found;
    let kind = resource.address.kind;
    if let Some((lab, other)) = owner(&xml.tree()).filter(|(lab, _)| lab != desired.lab.as_str()) {
        return Err(Diagnostic::error(format!(
            "{kind} `{name}` belongs to lab `{lab}`, as `{other}`"
        ))
        .at(resource.span)
        .hint(format!(
            "take it out of lab `{lab}` first, or give this one another `name`"
        )));
    }
    let (keep, shutdown_timeout) = match &resource.detail {
        Detail::Volume { keep, .. } => (*keep, None),
        Detail::Guest {
            shutdown_timeout, ..
        } => (false, Some(*shutdown_timeout)),
        Detail::Network { .. }
        | Detail::Reservations
        | Detail::Pool { .. }
        | Detail::Image { .. } => (false, None),
    };
    Ok(Entry {
        staged: None,
        kept_name: false,
        active: None,
        autostart: None,
        name,
        uuid,
        pool: resource.pool().map(str::to_owned),
        pool_uuid: None,
        status: Status::Applied,
        keep,
        prevent_destroy: resource.lifecycle.prevent_destroy,
        content: None,
        made_directory: false,
        place: None,
        shutdown_timeout,
        depends_on: resource.depends_on.clone(),
        applied: None,
        attempted: Vec::new(),
        beside: Some(foreign::record(&xml.tree(), None).into()),
        pending: BTreeSet::new(),
        written: BTreeSet::new(),
    })
}

/// What has the resource's name.
fn by_name<'a>(resource: &Resource, observed: &'a Observed) -> Option<Candidate<'a>> {
    let name = &resource.name;
    fn of<T: Object>(object: &T) -> (Option<Uuid>, &Document) {
        (Some(object.uuid()), object.xml())
    }
    let (uuid, xml) = match &resource.detail {
        Detail::Network { .. } => observed.networks.get(name).map(of),
        // What is there is another's, and does as well.
        Detail::Reservations => None,
        Detail::Pool { .. } => observed.pools.get(name).map(of),
        Detail::Guest { .. } => observed.guests.get(name).map(of),
        Detail::Image { pool, .. } | Detail::Volume { pool, .. } => observed
            .volumes
            .get(&(pool.clone(), name.clone()))
            .map(|volume| (None, &volume.xml)),
    }?;
    Some(Candidate {
        name: name.clone(),
        uuid,
        xml,
    })
}

/// What carries the resource's UUID or mark, whatever its name. Volumes carry neither.
fn marked<'a>(
    desired: &Desired,
    resource: &Resource,
    observed: &'a Observed,
) -> Option<Candidate<'a>> {
    let mark = (desired.lab.to_string(), resource.address.to_string());
    fn first<'a, T: Object + 'a>(
        objects: impl Iterator<Item = (&'a String, &'a T)>,
        derived: Uuid,
        mark: &(String, String),
    ) -> Option<Candidate<'a>> {
        let is_ours = |object: &T| {
            object.uuid() == derived || owner(&object.xml().tree()).is_some_and(|own| own == *mark)
        };
        objects
            .filter(|(_, object)| is_ours(object))
            .map(|(name, object)| Candidate {
                name: name.clone(),
                uuid: Some(object.uuid()),
                xml: object.xml(),
            })
            .next()
    }
    match resource.detail {
        Detail::Network { uuid, .. } => first(observed.networks.iter(), uuid, &mark),
        Detail::Pool { uuid, .. } => first(observed.pools.iter(), uuid, &mark),
        Detail::Guest { uuid, .. } => first(observed.guests.iter(), uuid, &mark),
        Detail::Reservations | Detail::Image { .. } | Detail::Volume { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::address::Name;
    use crate::lab::model::Lifecycle;
    use crate::libvirt::observed::ObservedNetwork;
    use crate::xml::tree::Element;

    /// A network that is there: its name, its UUID, and the lab and address of its mark.
    type There<'a> = (&'a str, Uuid, Option<(&'a str, &'a str)>);

    /// A lab of some networks, and a hypervisor that has some.
    fn world(wanted: &[&str], there: &[There<'_>]) -> (Desired, Observed, State) {
        let lab = Name::new("lab").unwrap();
        let resource = |name: &&str| {
            let address: Address = format!("network.{name}").parse().unwrap();
            let resource = Resource {
                address: address.clone(),
                name: (*name).to_owned(),
                xml: Element::new("network").into(),
                depends_on: BTreeSet::new(),
                lifecycle: Lifecycle::default(),
                span: None,
                detail: Detail::Network {
                    uuid: address.uuid(&lab),
                    autostart: true,
                },
            };
            (address, resource)
        };
        let desired = Desired {
            lab: lab.clone(),
            resources: wanted.iter().map(resource).collect(),
            external: BTreeMap::new(),
            moves: crate::lab::moves::Moves::default(),
            answers: BTreeMap::new(),
        };
        let mut observed = Observed::default();
        for (name, uuid, mark) in there {
            let mark = mark.map_or(String::new(), |(lab, address)| {
                format!(
                    "<metadata><miniascape:resource xmlns:miniascape='urn:miniascape:1' lab='{lab}' \
                     address='{address}'/></metadata>"
                )
            });
            let network = ObservedNetwork {
                uuid: *uuid,
                active: true,
                autostart: true,
                persistent: true,
                xml: Element::parse(&format!("<network>{mark}</network>"))
                    .unwrap()
                    .into(),
                live_xml: None,
            };
            observed.networks.insert((*name).to_owned(), network);
        }
        (desired, observed, State::new(lab))
    }

    fn taken(adoption: &Adoption) -> Vec<(String, &str)> {
        let entries = adoption.entries.iter();
        entries
            .map(|(address, entry)| (address.to_string(), entry.name.as_str()))
            .collect()
    }

    #[test]
    fn all_is_found_by_uuid_then_mark_then_name() {
        let lab = Name::new("lab").unwrap();
        let derived = |name: &str| {
            format!("network.{name}")
                .parse::<Address>()
                .unwrap()
                .uuid(&lab)
        };
        let there = [
            ("renamed", derived("a"), None),
            ("a", Uuid::from_u128(1), None),
            ("marked", Uuid::from_u128(2), Some(("lab", "network.b"))),
            ("c", Uuid::from_u128(3), None),
        ];
        let (desired, observed, mut state) = world(&["a", "b", "c", "d", "e"], &there);
        let known: Address = "network.e".parse().unwrap();
        let entry = adopt(
            &desired,
            &desired.resources[&known],
            by_name(&desired.resources[&"network.c".parse().unwrap()], &observed).unwrap(),
        );
        state.resources.insert(known.clone(), entry.unwrap());
        let (adoption, problems) = import_all(&desired, &observed, &state);
        assert!(problems.is_empty());
        let expected = [
            ("network.a".to_owned(), "renamed"),
            ("network.b".to_owned(), "marked"),
            ("network.c".to_owned(), "c"),
        ];
        assert_eq!(taken(&adoption), expected);
        assert_eq!(adoption.known, [known]);
        assert_eq!(adoption.absent, ["network.d".parse().unwrap()]);
    }

    #[test]
    fn what_is_another_labs_is_named_and_all_of_it() {
        let there = [
            ("a", Uuid::from_u128(1), Some(("other", "network.x"))),
            ("b", Uuid::from_u128(2), Some(("other", "network.y"))),
        ];
        let (desired, observed, state) = world(&["a", "b"], &there);
        let (adoption, problems) = import_all(&desired, &observed, &state);
        assert!(adoption.entries.is_empty());
        let summaries: Vec<&str> = problems
            .sorted()
            .iter()
            .map(|p| p.summary.as_str())
            .collect();
        assert_eq!(
            summaries,
            [
                "network `a` belongs to lab `other`, as `network.x`",
                "network `b` belongs to lab `other`, as `network.y`",
            ]
        );
    }
}
