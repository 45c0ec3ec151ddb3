//! What an emulated TPM holds: keys, and with them disks that are encrypted by such. libvirt has it by the guest's UUID, so that it goes
//! along with another name; without the TPM it stays, and it is deleted with the guest's definition.

use uuid::Uuid;

use crate::libvirt::observed::ObservedGuest;
use crate::xml::tree::Element;

/// What is to be said where a guest goes, or is made anew.
pub(in crate::plan) fn goes(live: &ObservedGuest) -> Option<String> {
    let xml = live.xml.tree();
    let backend = emulated(&xml)?;
    let uuid = live.uuid;
    Some(match backend.attribute("persistent_state") {
        Some("yes") => format!("what its TPM holds stays on the host, for the UUID {uuid}"),
        Some(_) | None => {
            "what its TPM holds is deleted, keys of encrypted disks among it".to_owned()
        }
    })
}

/// What is to be said where a guest gets another TPM, or none.
pub(super) fn left(before: &Element, after: &Element, uuid: Uuid) -> Option<String> {
    let version = |xml| {
        Some(
            emulated(xml)?
                .attribute("version")
                .unwrap_or_default()
                .to_owned(),
        )
    };
    let was = version(before)?;
    (version(after).as_ref() != Some(&was)).then(|| {
        format!(
            "what its TPM {was} holds stays on the host, for the UUID {uuid}: a TPM {was} that it gets later has it again, and it is \
             deleted with a guest that has one"
        )
    })
}

fn emulated(xml: &Element) -> Option<&Element> {
    let backend = xml.find("devices/tpm/backend")?;
    (backend.attribute("type") == Some("emulator")).then_some(backend)
}
