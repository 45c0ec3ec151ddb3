//! How disks are driven: QEMU's modes, threads and limits, and the order in which a guest's devices are booted.

use std::collections::BTreeMap;

use super::{Resolver, value, value_or};
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::decode::Given;
use crate::lab::model::{Discard, Disk, DiskDevice, Drive, Limit};
use crate::lab::written::guest::{DiskSpec, GuestSpec, LimitSpec};

/// Whether space that a guest frees on a disk is given back.
pub(super) fn discard(spec: &DiskSpec, device: DiskDevice, readonly: bool) -> Discard {
    let default = match device == DiskDevice::Disk && !readonly {
        true => Discard::Unmap,
        false => Discard::Ignore,
    };
    value_or(&spec.discard, default)
}

/// How a disk is driven.
pub(super) fn drive(spec: &DiskSpec) -> Drive {
    Drive {
        io: spec.io.as_ref().map(|io| io.value.to_owned()),
        iothread: value(&spec.iothread),
        boot: value(&spec.boot),
        serial: value(&spec.serial),
        limit: limit(&spec.limit),
    }
}

fn limit(spec: &LimitSpec) -> Option<Limit> {
    let limit = Limit {
        read: value(&spec.read),
        write: value(&spec.write),
        total: value(&spec.total),
        read_iops: value(&spec.read_iops),
        write_iops: value(&spec.write_iops),
        iops: value(&spec.iops),
    };
    (limit != Limit::default()).then_some(limit)
}

impl Resolver<'_> {
    /// Checks how a disk is driven. `iothreads` is how many the guest has.
    pub(super) fn check_drive(&mut self, spec: &DiskSpec, disk: &Disk, iothreads: &Given<u32>) {
        if let Some(discard) = &spec.discard
            && discard.value == Discard::Unmap
            && disk.readonly
        {
            self.report(
                Diagnostic::error(
                    "a disk that the guest cannot write to has no space to give back",
                )
                .at(discard.span)
                .related(spec.readonly.as_ref().map(|it| it.span), "it is read-only")
                .hint("remove `discard`"),
            );
        }
        if let Some(io) = spec.io.as_ref().filter(|io| io.value == "native") {
            let cache = spec.cache.as_ref();
            if !cache.is_some_and(|cache| matches!(cache.value, "none" | "directsync")) {
                self.report(
                    Diagnostic::error("`io: native` needs a disk that the host does not cache")
                        .at(io.span)
                        .related(cache.map(|cache| cache.span), "how it is cached")
                        .hint("write `cache: none`, or `cache: directsync`"),
                );
            }
        }
        self.check_iothread(spec, disk, iothreads);
        self.check_serial(spec, disk);
        self.check_limit(&spec.limit);
    }

    fn check_iothread(&mut self, spec: &DiskSpec, disk: &Disk, iothreads: &Given<u32>) {
        let Some(iothread) = &spec.iothread else {
            return;
        };
        if disk.bus != "virtio" {
            self.report(
                Diagnostic::error(format!(
                    "a disk on the bus `{}` has no I/O thread",
                    disk.bus
                ))
                .at(iothread.span)
                .related(spec.bus.as_ref().map(|bus| bus.span), "its bus")
                .hint("remove `iothread`, or put the disk on the bus `virtio`"),
            );
        }
        let count = iothreads.as_ref().map_or(0, |count| count.value);
        if iothread.value > count {
            let problem = match count {
                0 => "the guest has no I/O threads".to_owned(),
                1 => "the guest has one I/O thread".to_owned(),
                count => format!("the guest has {count} I/O threads"),
            };
            self.report(
                Diagnostic::error(problem)
                    .at(iothread.span)
                    .related(
                        iothreads.as_ref().map(|count| count.span),
                        "how many it has",
                    )
                    .hint(format!(
                        "write `iothreads: {}` for the guest",
                        iothread.value
                    )),
            );
        }
    }

    /// libvirt refuses what is not safe on QEMU's command line, and QEMU cuts off what is too long.
    fn check_serial(&mut self, spec: &DiskSpec, disk: &Disk) {
        let Some(serial) = &spec.serial else { return };
        let most = match disk.bus.as_str() {
            "scsi" | "usb" => 36,
            _ => 20,
        };
        let text = serial.value.as_str();
        let is_safe =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+' | ' ');
        let (problem, hint) = if text.is_empty()
            || text.trim() != text
            || !text.chars().all(is_safe)
        {
            let problem = format!("`{text}` cannot be a serial number");
            (
                problem,
                "write letters, digits, `_`, `-`, `.`, `+`, and blanks between them",
            )
        } else if text.len() > most {
            let count = text.len();
            let problem = format!(
                "the serial number `{text}` has {count} characters, and on the bus `{}` there is room for {most}",
                disk.bus
            );
            (
                problem,
                "write a shorter one: the guest would see its beginning",
            )
        } else {
            return;
        };
        self.report(Diagnostic::error(problem).at(serial.span).hint(hint));
    }

    /// What is limited together is not limited by itself, too.
    fn check_limit(&mut self, spec: &LimitSpec) {
        let mut check = |(all, together): (&str, &Given<u64>), alone: [(&str, &Given<u64>); 2]| {
            let Some(together) = together else { return };
            for (key, given) in alone {
                if let Some(given) = given {
                    self.report(
                        Diagnostic::error(format!("`{key}` and `{all}` are limited at once"))
                            .at(given.span)
                            .related(Some(together.span), format!("`{all}` is given here"))
                            .hint("remove one: libvirt takes one limit for both directions, or one for each"),
                    );
                }
            }
        };
        check(
            ("total", &spec.total),
            [("read", &spec.read), ("write", &spec.write)],
        );
        check(
            ("iops", &spec.iops),
            [
                ("read_iops", &spec.read_iops),
                ("write_iops", &spec.write_iops),
            ],
        );
    }

    /// Devices are booted in an order of their own, or by their kinds.
    pub(super) fn check_boot(&mut self, spec: &GuestSpec) {
        let disks = spec.disks.iter().map(|disk| &disk.spec.boot);
        let nics = spec.interfaces.iter().map(|nic| &nic.spec.boot);
        let hostdevs = spec.hostdevs.iter().map(|it| &it.spec.boot);
        let orders: Vec<_> = disks.chain(nics).chain(hostdevs).flatten().collect();
        if let (Some(kinds), Some(device)) = (spec.boot.order.first(), orders.first()) {
            self.report(
                Diagnostic::error("a guest has `boot.order`, or devices with `boot`, not both")
                    .at(kinds.span)
                    .related(Some(device.span), "a device with `boot`")
                    .hint("remove one; `null` removes what a group or `common` gives"),
            );
        }
        let mut seen: BTreeMap<u32, Span> = BTreeMap::new();
        for order in orders {
            if let Some(first) = seen.get(&order.value) {
                self.report(
                    Diagnostic::error(format!(
                        "two devices are to be booted as number {}",
                        order.value
                    ))
                    .at(order.span)
                    .related(Some(*first), "the other one")
                    .hint("give each a number of its own"),
                );
                continue;
            }
            seen.insert(order.value, order.span);
        }
    }
}
