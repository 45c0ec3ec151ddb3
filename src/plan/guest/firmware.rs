//! The file of a UEFI guest's variables (NVRAM). libvirt makes it when the guest is first started, and deletes it only along with the
//! guest's definition: one that another firmware left would be that of the next.

use uuid::Uuid;

use crate::libvirt::observed::ObservedGuest;
use crate::plan::context::Planner;
use crate::step::{Named, Step};
use crate::xml::document::Document;
use crate::xml::merge::say_the_same;
use crate::xml::tree::Element;

/// Where libvirt has these files where it is not told.
const NVRAM: &str = "/var/lib/libvirt/qemu/nvram";

/// What becomes of the variables of a firmware that a guest no longer has.
pub(super) struct Outdated {
    /// Deletes them; the guest must be off.
    pub step: Step,
    /// That they go, for people.
    pub note: String,
}

/// The variables that a guest leaves which is to be as `wanted`, and so is defined as `target`. `last` are what it may have been
/// wanted as before.
pub(super) fn outdated(
    planner: &Planner<'_>,
    (name, live): (&str, &ObservedGuest),
    last: &[Element],
    wanted: &Element,
    target: &Element,
) -> Option<Outdated> {
    let (is, was) = (said(wanted), last.iter().map(said));
    let is_other = |was: Element| match &is {
        Some(is) => !say_the_same("domain/os", is, &was),
        None => true,
    };
    let changed = was.flatten().any(is_other);
    let defined = live.xml.tree();
    let running = live.live_xml.as_ref().map(Document::tree);
    let before = [Some(&defined), running.as_ref()];
    let left = !is_uefi(target) && before.into_iter().flatten().any(|it| is_uefi(it));
    let is_own = |tree: &Element| {
        tree.text_at("os/nvram")
            .is_some_and(|path| !path.is_empty())
    };
    if !(changed || left) || last.iter().chain([wanted]).any(is_own) {
        return None;
    }
    let path = variables(name, live, planner.observed.facts.unprivileged)?;
    let is_it = |xml: &Document| xml.tree().text_at("os/nvram") == Some(path.as_str());
    let mut others = planner
        .observed
        .guests
        .values()
        .filter(|other| other.uuid != live.uuid);
    if others.any(|other| is_it(&other.xml) || other.live_xml.as_ref().is_some_and(is_it)) {
        return None;
    }
    let loader = running.as_ref().and_then(|xml| xml.text_at("os/loader"));
    Some(Outdated {
        step: Step::DeleteVariables {
            guest: Named::new(name, live.uuid),
            xml: Document::from(&holder(name, live.uuid, target, loader, &path)),
        },
        note: format!("its UEFI variables are deleted: {path}"),
    })
}

/// Where a UEFI guest has its variables. `None` where it cannot be known.
pub(in crate::plan) fn variables(
    name: &str,
    live: &ObservedGuest,
    unprivileged: bool,
) -> Option<String> {
    let trees = [live.live_xml.as_ref(), Some(&live.xml)];
    let said = trees.into_iter().flatten().find_map(|xml| {
        let xml = xml.tree();
        xml.text_at("os/nvram")
            .filter(|path| !path.is_empty())
            .map(str::to_owned)
    });
    said.or_else(|| (!unprivileged).then(|| format!("{NVRAM}/{name}_VARS.fd")))
}

/// Whether a guest is booted by UEFI.
pub(in crate::plan) fn is_uefi(xml: &Element) -> bool {
    xml.attribute_at("os", "firmware") == Some("efi")
        || xml.attribute_at("os/loader", "type") == Some("pflash")
}

/// What a definition says of its UEFI firmware, where it has that.
fn said(xml: &Element) -> Option<Element> {
    let mut os = xml.child("os").filter(|_| is_uefi(xml))?.clone();
    os.children
        .retain(|part| part.name == "loader" || part.name == "firmware");
    Some(os)
}

/// A guest that is there only to be removed along with a file: libvirt has no other word for it.
fn holder(name: &str, uuid: Uuid, of: &Element, loader: Option<&str>, path: &str) -> Element {
    let mut os = Element::new("os");
    os.children.extend(of.find("os/type").cloned());
    let loader = Element::new("loader")
        .with("readonly", "yes")
        .with("type", "pflash")
        .with_text(loader.unwrap_or("/usr/share/OVMF/OVMF_CODE.fd"));
    Element::new("domain")
        .with("type", of.attribute("type").unwrap_or("qemu"))
        .with_child(Element::new("name").with_text(format!("miniascape-variables-{name}")))
        .with_child(Element::new("uuid").with_text(Uuid::new_v5(&uuid, b"variables").to_string()))
        .with_child(Element::new("memory").with_text("1024"))
        .with_child(
            os.with_child(loader)
                .with_child(Element::new("nvram").with_text(path)),
        )
        // Without it libvirt takes no UEFI.
        .with_child(Element::new("features").with_child(Element::new("acpi")))
}
