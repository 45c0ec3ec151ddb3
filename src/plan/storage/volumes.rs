//! Volumes as they are seen: which there are, and how large.

use crate::lab::model::is_of_files;
use crate::libvirt::observed::ObservedVolume;
use crate::plan::context::Planner;
use crate::step::SeenFile;
use crate::xml::spelling;
use crate::xml::tree::Element;

/// Whether a pool gives volumes just the size that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::plan) enum Sizes {
    /// It does, as directories do.
    Exact,
    /// It rounds up, to whole extents.
    Rounded,
}

/// Whether a pool gives volumes just the size that is asked for.
pub(in crate::plan) fn sizes(planner: &Planner<'_>, pool: &str) -> Sizes {
    let pool = planner.observed.pools.get(pool);
    let xml = pool.map(|pool| pool.xml.tree());
    match xml.as_ref().and_then(|xml| xml.attribute("type")) {
        Some(kind) if !is_of_files(kind) => Sizes::Rounded,
        None | Some(_) => Sizes::Exact,
    }
}

pub(super) fn is_active(planner: &Planner<'_>, pool: &str) -> bool {
    planner
        .observed
        .pools
        .get(pool)
        .is_some_and(|pool| pool.active)
}

pub(super) fn volume_of<'a>(
    planner: &Planner<'a>,
    pool: &str,
    name: &str,
) -> Option<&'a ObservedVolume> {
    planner
        .observed
        .volumes
        .get(&(pool.to_owned(), name.to_owned()))
}

/// What is to be there still when a step comes to a volume.
pub(super) fn seen(volume: &ObservedVolume) -> SeenFile {
    SeenFile {
        path: volume.path.clone(),
        id: volume.id,
    }
}

/// The capacity in bytes of a volume that is there.
pub(in crate::plan) fn size_of(volume: &ObservedVolume) -> u64 {
    capacity(&volume.xml.tree())
}

/// How much a volume takes of its pool, in bytes.
pub(super) fn allocation(xml: &Element) -> u64 {
    spelling::canonical(xml)
        .text_at("allocation")
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

/// A volume's capacity in bytes.
pub(super) fn capacity(xml: &Element) -> u64 {
    spelling::canonical(xml)
        .text_at("capacity")
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}
