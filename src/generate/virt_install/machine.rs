//! The machine that an installer sees: its firmware, TPM, clock and features. A system is put onto a disk by those that it finds.

use super::option::{Parts, by_place, joined};
use crate::xml::tree::Element;

/// Features of Hyper-V that virt-install 4 has words for; it takes all else by its place in the XML.
const KNOWN: [&str; 5] = ["relaxed", "vapic", "spinlocks", "synic", "reset"];

/// Options, each with its value.
pub(super) fn options(xml: &Element) -> Vec<(&'static str, String)> {
    let is_uefi = xml.attribute_at("os", "firmware") == Some("efi");
    let mut all = Vec::new();
    if is_uefi {
        all.push(("--boot", firmware(xml)));
    }
    all.extend(features(xml).map(|parts| ("--features", joined(&parts))));
    all.extend(clock(xml).map(|parts| ("--clock", joined(&parts))));
    match tpm(xml) {
        Some(parts) => all.push(("--tpm", joined(&parts))),
        // It would give one to what boots by UEFI.
        None if is_uefi => all.push(("--tpm", "none".to_owned())),
        None => {}
    }
    all
}

fn firmware(xml: &Element) -> String {
    let mut parts = vec![("firmware".to_owned(), "efi".to_owned())];
    let firmware = xml.find("os/firmware").into_iter();
    let features = firmware.flat_map(|it| it.children_named("feature"));
    for (i, feature) in features.enumerate() {
        for name in ["name", "enabled"] {
            let value = feature.attribute(name).unwrap_or_default();
            parts.push((format!("firmware.feature{i}.{name}"), value.to_owned()));
        }
    }
    joined(&parts)
}

/// All that is not as virt-install has it anyway.
fn features(xml: &Element) -> Option<Parts> {
    let features = xml.child("features")?;
    let mut parts = Parts::new();
    let mut places = Parts::new();
    // It gives ACPI and an APIC to what has a firmware for them.
    let arch = xml.attribute_at("os/type", "arch");
    let is_x86 = matches!(arch, Some("x86_64" | "i686"));
    for (name, is_usual) in [("acpi", true), ("apic", is_x86)] {
        if is_usual && features.child(name).is_none() {
            parts.push((name.to_owned(), "off".to_owned()));
        }
    }
    for feature in &features.children {
        match (feature.name.as_str(), feature.attribute("state")) {
            ("pae", _) => parts.push(("pae".to_owned(), "on".to_owned())),
            ("hap", Some("on")) => parts.push(("hap".to_owned(), "on".to_owned())),
            ("pmu" | "vmport" | "smm", Some(state)) => {
                parts.push((format!("{}.state", feature.name), state.to_owned()));
            }
            ("hyperv" | "kvm", _) => {
                for child in &feature.children {
                    for (attribute, value) in &child.attributes {
                        let (group, name) = (&feature.name, &child.name);
                        if group == "kvm" || KNOWN.contains(&name.as_str()) {
                            parts.push((format!("{group}.{name}.{attribute}"), value.clone()));
                        } else {
                            places.push((format!("./{group}/{name}/@{attribute}"), value.clone()));
                        }
                    }
                }
            }
            (_, _) => {}
        }
    }
    parts.extend(by_place(places));
    (!parts.is_empty()).then_some(parts)
}

fn clock(xml: &Element) -> Option<Parts> {
    let clock = xml.child("clock")?;
    let offset = clock.attribute("offset")?;
    let mut parts = vec![("offset".to_owned(), offset.to_owned())];
    for (i, timer) in clock.children_named("timer").enumerate() {
        let said = timer.attributes.iter();
        parts.extend(said.map(|(name, value)| (format!("timer{i}.{name}"), value.clone())));
    }
    let zone = clock.attribute("timezone");
    parts.extend(by_place(
        zone.map(|zone| ("./@timezone".to_owned(), zone.to_owned())),
    ));
    Some(parts)
}

fn tpm(xml: &Element) -> Option<Parts> {
    let tpm = xml.find("devices/tpm")?;
    let said = [
        ("model", tpm.attribute("model")),
        ("backend.type", tpm.attribute_at("backend", "type")),
        ("backend.version", tpm.attribute_at("backend", "version")),
        (
            "backend.persistent_state",
            tpm.attribute_at("backend", "persistent_state"),
        ),
        (
            "backend.device.path",
            tpm.attribute_at("backend/device", "path"),
        ),
    ];
    let said = said.into_iter();
    Some(
        said.filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
            .collect(),
    )
}
