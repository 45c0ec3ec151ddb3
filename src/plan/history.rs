//! What the state tells of an object: what was applied last, and why it is changed now.

use super::Reason;
use crate::state::{Entry, Status};
use crate::xml::merge::{Cause, Difference};
use crate::xml::tree::Element;

/// The trees that may have been applied: the last with success, and attempts that were not finished.
pub(super) fn last_trees(entry: Option<&Entry>) -> Vec<Element> {
    entry
        .into_iter()
        .flat_map(|entry| entry.applied.iter().chain(&entry.attempted))
        .filter_map(|text| Element::parse(text).ok())
        .collect()
}

/// Why an object is changed, as far as the differences and the state tell.
pub(super) fn reason(entry: Option<&Entry>, differences: &[Difference]) -> Option<Reason> {
    if entry.is_some_and(|entry| entry.status != Status::Applied) {
        return Some(Reason::Unfinished);
    }
    let mut told = differences
        .iter()
        .filter(|difference| !difference.is_new_mark())
        .peekable();
    let drift = told.peek().is_some() && told.all(|d| d.cause == Cause::Drift);
    drift.then_some(Reason::Drift)
}

/// Why an object that is not there is made.
pub(super) fn reason_to_create(entry: Option<&Entry>) -> Option<Reason> {
    match entry?.status {
        Status::Applied | Status::Changing => Some(Reason::Missing),
        Status::Creating => Some(Reason::Unfinished),
        Status::Deleting => None,
    }
}
