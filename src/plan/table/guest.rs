//! Guests.

use super::Row;
use crate::plan::Disruption::Live;

const NIC: &str = "`virDomainUpdateDevice`; the guest sees at most its link go down and up";
const MEDIUM: &str = "`virDomainUpdateDevice`; an error where the guest holds its drive locked";

/// What can be changed while a guest runs. What is not here restarts it: `restart`. So does what is here and cannot be done
/// with the guest as it is; the plan then says why.
///
/// A row of a device in whole is about adding and removing one, and not about what is inside.
pub const GUEST: &[Row] = &[
    Row {
        path: "domain/title",
        attribute: "`title`",
        class: Live,
        how: "`virDomainSetMetadata`",
    },
    Row {
        path: "domain/description",
        attribute: "`description`",
        class: Live,
        how: "`virDomainSetMetadata`",
    },
    Row {
        path: "domain/metadata",
        attribute: "metadata in `xml`",
        class: Live,
        how: "`virDomainSetMetadata`",
    },
    Row {
        path: "domain/currentMemory",
        attribute: "`memory`, up to the `max_memory` that it runs with",
        class: Live,
        how: "`virDomainSetMemory`; the guest's balloon driver gives or takes it, in its own time",
    },
    Row {
        path: "domain/vcpu@current",
        attribute: "`vcpus`, more, up to the `max_vcpus` that it runs with",
        class: Live,
        how: "`virDomainSetVcpus`; fewer restart it",
    },
    Row {
        path: "domain/devices/interface",
        attribute: "`interfaces.*`, added or removed",
        class: Live,
        how: "`virDomainAttachDevice` while there are free PCIe ports; `virDomainDetachDevice`, and the guest has to let go of it",
    },
    Row {
        path: "domain/devices/interface@type",
        attribute: "`interfaces.*`, from `network` to `bridge` and back",
        class: Live,
        how: NIC,
    },
    Row {
        path: "domain/devices/interface/source@network",
        attribute: "`interfaces.*.network`",
        class: Live,
        how: NIC,
    },
    Row {
        path: "domain/devices/interface/source@bridge",
        attribute: "`interfaces.*.bridge`",
        class: Live,
        how: NIC,
    },
    Row {
        path: "domain/devices/interface/link",
        attribute: "`interfaces.*.link`",
        class: Live,
        how: NIC,
    },
    Row {
        path: "domain/devices/interface/bandwidth",
        attribute: "`interfaces.*.bandwidth`",
        class: Live,
        how: NIC,
    },
    Row {
        path: "domain/devices/interface/filterref",
        attribute: "a NIC's filter in `xml`",
        class: Live,
        how: NIC,
    },
    Row {
        path: "domain/devices/disk",
        attribute: "`disks.*` on virtio, scsi or usb, added or removed",
        class: Live,
        how: "`virDomainAttachDevice` while there are free PCIe ports; `virDomainDetachDevice`, and the guest has to let go of it",
    },
    Row {
        path: "domain/devices/disk@type",
        attribute: "what the medium in a CD drive is, a file or a volume",
        class: Live,
        how: MEDIUM,
    },
    Row {
        path: "domain/devices/disk/source",
        attribute: "`disks.*.path`, `volume`: the medium in a CD drive",
        class: Live,
        how: MEDIUM,
    },
];
