//! What counts only when a pool's directory or a volume is made.
//!
//! libvirt shows little of how a volume was made: of `<nocow/>` nothing, of a label what a security driver put there since. So only
//! what a volume is made anew for (all but [`Way::AtFirst`]) is compared with what libvirt shows. All else is compared with what was
//! asked for when it was made; where the definition asks for something else now, that is told, and nothing is done about it.

use super::super::history::last_trees;
use super::super::{AttributeChange, Disruption, label};
use super::volumes::{Sizes, allocation, capacity};
use crate::file::header::Format;
use crate::lab::attributes::Way;
use crate::lab::model::VolumeFormat;
use crate::lab::places;
use crate::state::Entry;
use crate::xml::merge::{Cause, Difference, Merged, Value, merge};
use crate::xml::spelling;
use crate::xml::tree::Element;

/// Compares a pool or volume with what is wanted, but for what only counts when it is made.
pub(in crate::plan) fn merge_lasting(
    entry: Option<&Entry>,
    live: &Element,
    wanted: &Element,
    sizes: Sizes,
) -> Merged {
    let mut wanted = wanted.clone();
    keep_lasting(&mut wanted);
    let mut last = last_trees(entry);
    last.iter_mut().for_each(keep_lasting);
    let mut merged = merge(&last, live, &wanted);
    merged
        .differences
        .retain(|difference| !comes_by_itself(difference, sizes));
    merged
}

/// Whether a difference comes of how a volume is used or kept, and would be found again in one that is made anew.
fn comes_by_itself(difference: &Difference, sizes: Sizes) -> bool {
    let (Some(Value::Text(live)), Some(Value::Text(wanted))) =
        (&difference.before, &difference.after)
    else {
        return false;
    };
    let is_drift = difference.cause == Cause::Drift;
    let bytes = |text: &str| text.parse::<u64>().unwrap_or_default();
    match difference.path.as_str() {
        // libvirt names what a guest put on a raw disk, be it a file system or the header of another format.
        "volume/target/format@type" => {
            let is_raw = Format::of_volume(live) == Format::Known(VolumeFormat::Raw);
            wanted == VolumeFormat::Raw.as_str() && (is_drift || is_raw)
        }
        "volume/capacity" => sizes == Sizes::Rounded && is_drift && bytes(live) > bytes(wanted),
        _ => false,
    }
}

/// Whether what is at the path of an element, or something below, is more than how the object is made.
fn lasts(path: &str) -> bool {
    places::way(path) != Way::AtFirst || places::differs_below(path)
}

/// Takes out what only counts when a pool's directory or a volume is made.
pub(in crate::plan) fn keep_lasting(tree: &mut Element) {
    fn keep(element: &mut Element, path: &str) {
        element.children.retain_mut(|child| {
            let path = format!("{path}/{}", child.name);
            keep(child, &path);
            lasts(&path)
        });
    }
    let root = tree.name.clone();
    keep(tree, &root);
    if root == "volume" {
        tree.attributes.clear();
    }
}

/// What is wanted of a volume that was not when it was made, and that it does not have: nothing but making it anew gives it that.
pub(super) fn pending(
    entry: Option<&Entry>,
    live: &Element,
    wanted: &Element,
) -> Vec<AttributeChange> {
    let last = last_trees(entry);
    if last.is_empty() {
        return Vec::new();
    }
    let mut differences = merge(&last, live, wanted).differences;
    differences.retain(|difference| {
        if is_default_since(difference, &last, wanted) {
            return false;
        }
        let path = difference.path.split('@').next().unwrap_or_default();
        !lasts(path) && difference.cause != Cause::Drift
    });
    label::attributes(&differences, |_| Disruption::Recreate)
}

/// Whether a volume lacks nothing but what is a default since it was made, or takes all of its room as it should, however much that
/// is by now.
fn is_default_since(difference: &Difference, last: &[Element], wanted: &Element) -> bool {
    let default = match difference.path.as_str() {
        "volume/allocation" => "0",
        "volume/target/compat" => "1.1",
        _ => return false,
    };
    let value = |tree: &Element| {
        let path = difference.path.strip_prefix("volume/")?;
        Some(spelling::canonical(tree).text_at(path)?.to_owned())
    };
    let is_since =
        value(wanted).as_deref() == Some(default) && last.iter().all(|it| value(it).is_none());
    is_since || (default == "0" && takes_all(wanted) && last.iter().all(takes_all))
}

/// Whether a volume takes all of its room of its pool when it is made.
pub(super) fn takes_all(tree: &Element) -> bool {
    let format = tree.attribute_at("target/format", "type");
    match spelling::canonical(tree).child("allocation") {
        Some(_) => allocation(tree) >= capacity(tree),
        None => format.is_none_or(|it| Format::of_volume(it) == Format::Known(VolumeFormat::Raw)),
    }
}

/// What a volume was made with, and has now: the size that it grew to.
pub(super) fn grown(entry: &Entry, wanted: &Element) -> Option<Element> {
    let mut made = spelling::canonical(&last_trees(Some(entry)).pop()?);
    let capacity = spelling::canonical(wanted);
    let capacity = capacity.child("capacity")?.clone();
    *made.child_or_insert("capacity") = capacity;
    Some(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(parts: &str) -> Element {
        let text = format!(
            "<volume type='file'><name>v</name><capacity>1</capacity><target>\
             <format type='qcow2'/>{parts}</target></volume>"
        );
        Element::parse(&text).unwrap()
    }

    #[test]
    fn how_a_volume_was_made_is_no_reason_to_lose_it() {
        let bare = volume("");
        for parts in [
            "<permissions><owner>0</owner><mode>600</mode></permissions>",
            "<label>a</label>",
            "<nocow/>",
            "<compat>0.10</compat>",
            "<features><lazy_refcounts/></features>",
            "<clusterSize unit='KiB'>2048</clusterSize>",
            "<encryption format='luks'><secret type='passphrase' usage='x'/></encryption>",
            "<timestamps><atime>1</atime></timestamps>",
            "<path>/elsewhere</path>",
        ] {
            let wanted = volume(parts);
            for (live, wanted) in [(&bare, &wanted), (&wanted, &bare)] {
                let merged = merge_lasting(None, live, wanted, Sizes::Exact);
                assert!(!merged.is_change(), "{parts}: {:?}", merged.differences);
            }
            let entry = |applied: &Element| Entry {
                applied: Some(applied.to_string().into()),
                ..Entry::found("v", uuid::Uuid::nil())
            };
            assert_eq!(
                pending(Some(&entry(&wanted)), &bare, &wanted),
                [],
                "{parts}"
            );
            assert_ne!(pending(Some(&entry(&bare)), &bare, &wanted), [], "{parts}");
            assert_eq!(
                pending(Some(&entry(&bare)), &wanted, &wanted),
                [],
                "{parts}"
            );
        }
        let mut kept = volume("<nocow/>");
        keep_lasting(&mut kept);
        assert!(kept.find("target/format").is_some() && kept.find("capacity").is_some());
    }

    #[test]
    fn a_default_is_told_of_no_volume_that_was_made_before_it() {
        let pending = |last: &str, wanted: &str| {
            let [last, wanted] = [last, wanted].map(|parts| {
                let text = format!(
                    "<volume><name>v</name><capacity unit='KiB'>4</capacity>{parts}</volume>"
                );
                Element::parse(&text).unwrap()
            });
            let entry = Entry {
                applied: Some(last.to_string().into()),
                ..Entry::found("v", uuid::Uuid::nil())
            };
            !pending(Some(&entry), &last, &wanted).is_empty()
        };
        let raw = |allocation: &str| format!("{allocation}<target><format type='raw'/></target>");
        let [old, sparse] = ["", "<allocation>0</allocation>"].map(raw);
        let full = raw("<allocation unit='bytes'>4096</allocation>");
        let larger = raw("<capacity>8192</capacity><allocation>8192</allocation>");
        assert!(!pending(&old, &sparse) && !pending(&old, &full) && !pending(&full, &old));
        assert!(pending(&sparse, &full) && pending(&full, &sparse));
        assert!(!pending(&full, &larger));
        let qcow2 = |compat: &str| format!("<target><format type='qcow2'/>{compat}</target>");
        let [old, new] = ["", "<compat>1.1</compat>"].map(qcow2);
        let older = qcow2("<compat>0.10</compat>");
        assert!(!pending(&old, &new));
        assert!(pending(&old, &older) && pending(&older, &new) && pending(&new, &older));
    }

    #[test]
    fn what_comes_by_itself_is_no_difference() {
        let made = |format: &str, capacity: &str| {
            Element::parse(&format!(
                "<volume><capacity>{capacity}</capacity><target><format type='{format}'/></target></volume>"
            ))
            .unwrap()
        };
        let changes = |applied: Option<&Element>, live: &Element, wanted: &Element, sizes| {
            let entry = Entry {
                applied: applied.map(|applied| applied.to_string().into()),
                ..Entry::found("v", uuid::Uuid::nil())
            };
            merge_lasting(Some(&entry), live, wanted, sizes).is_change()
        };
        let raw = made("raw", "5");
        for format in ["iso", "qcow2", "fat", "unknown", "vmdk"] {
            assert!(!changes(Some(&raw), &made(format, "5"), &raw, Sizes::Exact));
        }
        assert!(!changes(None, &made("iso", "5"), &raw, Sizes::Exact));
        let qcow2 = made("qcow2", "5");
        assert!(changes(Some(&qcow2), &qcow2, &raw, Sizes::Exact));
        assert!(changes(Some(&qcow2), &raw, &qcow2, Sizes::Exact));
        let larger = made("raw", "8");
        assert!(!changes(Some(&raw), &larger, &raw, Sizes::Rounded));
        assert!(changes(Some(&raw), &larger, &raw, Sizes::Exact));
        assert!(changes(Some(&larger), &larger, &raw, Sizes::Rounded));
    }
}
