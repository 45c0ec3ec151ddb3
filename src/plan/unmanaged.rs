//! What is said where the state was lost: guests, networks and pools are recognised without it, volumes are not.

use std::collections::BTreeSet;

use super::context::{Planner, WAY_OUT};
use super::definition::source_of;
use super::{Action, Change};
use crate::address::{Address, Kind};
use crate::diagnostic::Diagnostic;
use crate::xml::document::Document;

/// Notes what carries the lab's mark, is neither in its state nor in its definition, and stays.
pub(super) fn left(planner: &mut Planner<'_>, recognised: &BTreeSet<Address>) {
    let left = recognised
        .iter()
        .filter(|address| !planner.changes.contains_key(address));
    let names: Vec<String> = left.map(ToString::to_string).collect();
    if names.is_empty() {
        return;
    }
    planner.problems.push(
        Diagnostic::warning(format!(
            "on {} these are marked as lab {}'s, which does not know them, and they stay: {}",
            planner.observed.facts.uri,
            planner.lab,
            names.join(", ")
        ))
        .hint(WAY_OUT),
    );
}

/// Notes that there are things of the lab of which an empty state knows nothing.
pub(super) fn state(planner: &mut Planner<'_>, recognised: &BTreeSet<Address>) {
    if recognised.is_empty() || !planner.state.resources.is_empty() {
        return;
    }
    let (lab, uri) = (planner.lab, &planner.observed.facts.uri);
    let names: Vec<String> = recognised.iter().map(ToString::to_string).collect();
    planner.problems.push(
        Diagnostic::warning(format!(
            "the state of lab {lab} is empty, and these are on {uri}: {}",
            names.join(", ")
        ))
        .hint("if it was lost, bring it back from where you keep it, or name its directory with `--state`; without it, `miniascape import --all` takes over all that the definition names, volumes included"),
    );
}

/// Notes which files stay of a guest that is deleted and that its mark alone makes ours: nothing proves that they are, too.
pub(super) fn files(planner: &mut Planner<'_>, address: &Address, change: &Change) {
    if address.kind != Kind::Guest || change.action != Action::Delete {
        return;
    }
    let before = change.before_xml.as_ref().map(Document::tree);
    let disks = before
        .iter()
        .filter_map(|xml| xml.child("devices"))
        .flat_map(|devices| devices.children_named("disk"))
        .filter(|disk| !matches!(disk.attribute("device"), Some("cdrom" | "floppy")));
    let files: Vec<&str> = disks.filter_map(source_of).collect();
    if files.is_empty() {
        return;
    }
    planner.problems.push(
        Diagnostic::warning(format!(
            "{address} is deleted, and its disks stay, since the state does not know them: {}",
            files.join(", ")
        ))
        .hint("to have them deleted, too, take them over first while the definition has the guest: `miniascape import --all`"),
    );
}
