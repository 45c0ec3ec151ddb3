//! Changing a network while it runs.

use crate::lab::attributes::Way;
use crate::lab::places;
use crate::libvirt::observed::{Observed, parking_name};
use crate::plan::Disruption;
use crate::plan::definition::hangs_on;
use crate::step::{Named, NetworkSection, Side, Step, UpdateVerb};
use crate::xml::document::Document;
use crate::xml::merge::Difference;
use crate::xml::spelling;
use crate::xml::tree::Element;

/// How long libvirt takes for one reservation on a running network, in milliseconds: it writes all of the network's firewall
/// rules anew each time, by some 19 processes.
const RESERVATION_MS: usize = 350;
/// From how many reservations on a network without running guests is restarted rather than updated. A restart takes some 430 ms
/// for any number; for two reservations it is not yet worth to take the name server away.
const RESTART_FROM: usize = 3;

/// What a difference costs where the network runs.
pub(super) fn class(difference: &Difference) -> Disruption {
    places::way(&difference.path).class()
}

/// Whether a difference concerns what runs: marks and texts do not, they are the definition's alone.
pub(super) fn is_running(difference: &Difference) -> bool {
    places::way(&difference.path) != Way::DefineNetwork
}

/// How a running network comes to have what is wanted.
pub(super) enum Strategy {
    /// By these updates, in order.
    InPlace(Vec<Step>),
    /// By a restart that costs what the table says.
    Restart,
    /// By a restart that no one notices, since it is faster than that many reservations and no guest runs on the network.
    RestartUnnoticed(usize),
}

/// Finds how a running network comes to the target, whose differences are given.
pub(super) fn strategy(
    name: &Named,
    running: &Element,
    target: &Element,
    differences: &[Difference],
    users: &[String],
) -> Strategy {
    if differences.iter().any(|d| class(d) > Disruption::Live) {
        return Strategy::Restart;
    }
    let Some(updates) = updates(name, running, target) else {
        return Strategy::Restart;
    };
    match reservations(&updates) {
        many if many >= RESTART_FROM && users.is_empty() => Strategy::RestartUnnoticed(many),
        _ => Strategy::InPlace(updates),
    }
}

fn reservations(updates: &[Step]) -> usize {
    let is_reservation = |step: &&Step| {
        matches!(
            step,
            Step::UpdateNetwork {
                section: NetworkSection::IpDhcpHost,
                ..
            }
        )
    };
    updates.iter().filter(is_reservation).count()
}

/// What is to be said about how a running network is changed.
pub(super) fn notes(
    strategy: &Strategy,
    differences: &[Difference],
    users: &[String],
) -> Vec<String> {
    let touches = |path: &str| differences.iter().any(|d| d.path.starts_with(path));
    let mut notes = Vec::new();
    match strategy {
        Strategy::InPlace(updates) => {
            let many = reservations(updates);
            if many >= RESTART_FROM {
                let seconds = (many * RESERVATION_MS).div_ceil(1000);
                notes.push(format!(
                    "{many} reservations one by one, some {seconds} s: guests run on it"
                ));
            }
            if touches(NetworkSection::Portgroup.path()) && !users.is_empty() {
                notes.push(
                    "guests that run take another port group when they are plugged in again".into(),
                );
            }
        }
        Strategy::RestartUnnoticed(many) => notes.push(format!(
            "{many} reservations by one restart: no guest runs on it"
        )),
        Strategy::Restart if users.is_empty() => notes.push("no guest runs on it".into()),
        Strategy::Restart => {
            notes.push(format!("NICs plugged in again: {}", users.join(", ")));
            if touches("network/mtu") {
                notes.push("guests that run keep the MTU of their NICs until they restart".into());
            }
        }
    }
    notes
}

/// What is to be said where a bridge gets another name that guests know it by: those that run are moved, the definitions of
/// strangers are not ours to change.
pub(super) fn lost_bridge(
    observed: &Observed,
    differences: &[Difference],
    bridge: Option<&str>,
) -> Option<String> {
    let bridge = bridge?;
    let changes = |difference: &Difference| difference.path == "network/bridge@name";
    if !differences.iter().any(changes) {
        return None;
    }
    let names_it = |nic: &Element| hangs_on(nic, "", Some(bridge));
    let guests = observed.guests.iter().filter(|(_, guest)| {
        let xml = guest.xml.tree();
        xml.child("devices")
            .is_some_and(|devices| devices.children_named("interface").any(names_it))
    });
    let guests: Vec<&str> = guests.map(|(name, _)| name.as_str()).collect();
    (!guests.is_empty()).then(|| {
        format!(
            "defined with a NIC on the bridge {bridge}, which goes: {}",
            guests.join(", ")
        )
    })
}

/// The guests that run with a NIC on a network, whoever's they are: by the network's name, by its bridge, or left parked.
pub(super) fn running_users(observed: &Observed, name: &str, bridge: Option<&str>) -> Vec<String> {
    let parking = parking_name(name);
    let is_on = |nic: &Element| hangs_on(nic, name, bridge) || hangs_on(nic, &parking, None);
    let guests = observed.guests.iter().filter(|(_, guest)| {
        let xml = guest.live_xml.as_ref().map(Document::tree);
        let devices = xml.as_ref().and_then(|xml| xml.child("devices"));
        devices.is_some_and(|devices| devices.children_named("interface").any(is_on))
    });
    guests.map(|(name, _)| name.clone()).collect()
}

/// The updates that turn a running network into the target: deletions first, since libvirt refuses what is there already.
/// `None` where libvirt would refuse one.
fn updates(name: &Named, running: &Element, target: &Element) -> Option<Vec<Step>> {
    let running = spelling::canonical(running);
    let (mut deletes, mut modifies, mut adds) = (Vec::new(), Vec::new(), Vec::new());
    for section in NetworkSection::ALL {
        if places::way(section.path()) != Way::UpdateNetwork {
            continue;
        }
        let before = lists(&running, section);
        let after = lists(target, section);
        for parent in 0..before.len().max(after.len()) {
            let step = |verb, xml| Step::UpdateNetwork {
                name: name.clone(),
                side: Side::Running,
                verb,
                section,
                parent: i32::try_from(parent).unwrap_or(-1),
                xml,
            };
            let list = |lists: &[Vec<Element>]| lists.get(parent).cloned().unwrap_or_default();
            let change = ListChange::of(section, &list(&before), &list(&after))?;
            deletes.extend(change.gone.into_iter().map(|mut xml| {
                // libvirt finds a DNS entry by its address or any of its names, and wants to find just one.
                if section == NetworkSection::DnsHost {
                    xml.children.clear();
                }
                step(UpdateVerb::Delete, xml)
            }));
            let modified = change.modified.into_iter();
            modifies.extend(modified.map(|xml| step(UpdateVerb::Modify, xml)));
            adds.extend(change.new.into_iter().map(|xml| step(UpdateVerb::Add, xml)));
        }
    }
    deletes.append(&mut modifies);
    deletes.append(&mut adds);
    Some(deletes)
}

/// What happens to one list of entries.
struct ListChange {
    gone: Vec<Element>,
    modified: Vec<Element>,
    new: Vec<Element>,
}

impl ListChange {
    /// `None` where libvirt would take a new entry for one that stays.
    fn of(section: NetworkSection, before: &[Element], after: &[Element]) -> Option<Self> {
        let mut gone: Vec<Element> = before
            .iter()
            .filter(|e| !after.contains(e))
            .cloned()
            .collect();
        let mut new = Vec::new();
        let mut modified = Vec::new();
        for entry in after.iter().filter(|entry| !before.contains(entry)) {
            let alike: Vec<&Element> = before
                .iter()
                .filter(|there| are_one(section, there, entry))
                .collect();
            // What stays is in the way, also of an entry that replaces another.
            if alike
                .iter()
                .any(|there| !gone.contains(there) && after.contains(there))
            {
                return None;
            }
            match alike.as_slice() {
                [one] if section.modifies() => {
                    let at = gone.iter().position(|gone| gone == *one);
                    match at {
                        Some(at) => {
                            gone.remove(at);
                            modified.push(entry.clone());
                        }
                        // Another entry has replaced it already.
                        None => return None,
                    }
                }
                _ => new.push(entry.clone()),
            }
        }
        // There is one default among port groups: the old one has to give it up first.
        modified.sort_by_key(|entry| entry.attribute("default") == Some("yes"));
        Some(Self {
            gone,
            modified,
            new,
        })
    }
}

/// Whether libvirt takes two entries of a section for one.
fn are_one(section: NetworkSection, one: &Element, other: &Element) -> bool {
    let share = |name: &&str| {
        one.attribute(name)
            .is_some_and(|value| other.attribute(name) == Some(value))
    };
    match section {
        NetworkSection::IpDhcpHost => ["mac", "ip", "name"].iter().any(share),
        NetworkSection::Portgroup => share(&"name"),
        // Of these only the same entry is in the way, and it is deleted first.
        NetworkSection::IpDhcpRange
        | NetworkSection::DnsHost
        | NetworkSection::DnsTxt
        | NetworkSection::DnsSrv
        | NetworkSection::ForwardInterface => false,
    }
}

/// The entries of a section, for each parent element that may hold some (several `<ip>`).
fn lists(network: &Element, section: NetworkSection) -> Vec<Vec<Element>> {
    fn below(tree: &Element, path: &[&str]) -> Vec<Vec<Element>> {
        match path {
            [] => Vec::new(),
            [item] => vec![tree.children_named(item).cloned().collect()],
            ["ip", rest @ ..] => tree
                .children_named("ip")
                .map(|ip| below(ip, rest).concat())
                .collect(),
            [first, rest @ ..] => match tree.child(first) {
                Some(child) => below(child, rest),
                None => vec![Vec::new()],
            },
        }
    }
    let path: Vec<&str> = section.path().split('/').skip(1).collect();
    below(network, &path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(running: &str, target: &str) -> Option<Vec<String>> {
        let xml = |text: &str| Element::parse(text).unwrap();
        let steps = updates(
            &Named::new("n", Default::default()),
            &xml(running),
            &xml(target),
        )?;
        Some(steps.iter().map(Step::describe).collect())
    }

    fn hosts(hosts: &[(&str, &str, &str)]) -> String {
        let hosts: String = hosts
            .iter()
            .map(|(mac, name, ip)| format!("<host mac='{mac}' name='{name}' ip='{ip}'/>"))
            .collect();
        format!("<network><ip><dhcp>{hosts}</dhcp></ip></network>")
    }

    #[test]
    fn a_reservation_that_changes_is_modified() {
        let steps = update(
            &hosts(&[("a", "x", "1"), ("b", "y", "2")]),
            &hosts(&[("a", "x", "3"), ("b", "y", "2")]),
        );
        assert_eq!(steps.unwrap(), ["modify DHCP host x in network n"]);
    }

    #[test]
    fn reservations_that_swap_go_and_come() {
        let steps = update(
            &hosts(&[("a", "x", "1"), ("b", "y", "2")]),
            &hosts(&[("a", "x", "2"), ("b", "y", "1")]),
        );
        assert_eq!(
            steps.unwrap(),
            [
                "delete DHCP host x from network n",
                "delete DHCP host y from network n",
                "add DHCP host x to network n",
                "add DHCP host y to network n"
            ]
        );
    }

    #[test]
    fn a_reservation_that_shares_its_name_with_one_that_stays_is_not_for_libvirt() {
        let steps = update(
            &hosts(&[("a", "x", "1")]),
            &hosts(&[("a", "x", "1"), ("b", "x", "2")]),
        );
        assert_eq!(steps, None);
        // Two that come for one that goes.
        let steps = update(
            &hosts(&[("a", "x", "1")]),
            &hosts(&[("a", "y", "2"), ("b", "x", "3")]),
        );
        assert_eq!(steps, None);
    }

    #[test]
    fn the_default_port_group_is_given_up_before_it_is_taken() {
        let group = |a: &str, b: &str| {
            format!("<network><portgroup name='a' {a}/><portgroup name='b' {b}/></network>")
        };
        let steps = update(&group("", "default='yes'"), &group("default='yes'", ""));
        assert_eq!(
            steps.unwrap(),
            [
                "modify port group b in network n",
                "modify port group a in network n"
            ]
        );
    }

    #[test]
    fn every_section_but_the_hosts_own_interfaces_is_live() {
        for section in NetworkSection::ALL {
            let expected = match section {
                NetworkSection::ForwardInterface => Way::RestartNetwork,
                _ => Way::UpdateNetwork,
            };
            assert_eq!(places::way(section.path()), expected, "{section:?}");
        }
    }
}
