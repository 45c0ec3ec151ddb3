//! What a guest has of its host: devices and directories, as far as they can be had.

use std::collections::BTreeMap;

use super::{Resolver, is_absolute, value, value_or};
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::decode::{Given, Spanned};
use crate::lab::load;
use crate::lab::model::passed::{HostAddress, Hostdev, Rom, Share, ShareDriver};
use crate::lab::written::Named;
use crate::lab::written::guest::GuestSpec;
use crate::lab::written::passed::{HostdevSpec, ShareSpec};

/// How a share's users are the host's where nothing is said.
const PASSTHROUGH: &str = "passthrough";

impl Resolver<'_> {
    /// Resolves the devices that a guest has of its host.
    pub(super) fn hostdevs(
        &mut self,
        specs: &[Named<HostdevSpec>],
        arch: &Given<String>,
    ) -> Vec<Hostdev> {
        let mut all = Vec::new();
        let mut seen: BTreeMap<HostAddress, Span> = BTreeMap::new();
        for named in specs {
            self.check_device_key(&named.key);
            let spec = &named.spec;
            if let (Some(pci), Some(usb)) = (&spec.pci, &spec.usb) {
                self.report(
                    Diagnostic::error("a host device is a PCI or a USB device, not both")
                        .at(usb.span)
                        .related(Some(pci.span), "the PCI device")
                        .hint("remove one; `null` removes what a group or `common` gives"),
                );
            }
            let Some(source) = device(spec) else {
                if !named.flawed {
                    self.report(
                        Diagnostic::error(format!(
                            "the host device `{}` needs `pci` or `usb`",
                            named.key.value
                        ))
                        .at(named.key.span)
                        .hint("write `pci: \"0000:01:00.0\"`, as `lspci -D` tells it, or `usb: \"046d:c52b\"`, as `lsusb` does"),
                    );
                }
                continue;
            };
            if let Some(first) = seen.insert(source.value, source.span) {
                self.report(
                    Diagnostic::error(format!("a guest has {} twice", source.value))
                        .at(source.span)
                        .related(Some(first), "the first time")
                        .hint("remove one of them"),
                );
            }
            self.check_hostdev(spec, source.value);
            if !source.value.is_pci() {
                self.check_usb(arch, source.span);
            }
            let rom = spec.rom.as_ref().map(|rom| match &rom.value {
                None => Rom::Off,
                Some(file) => {
                    let file = Some(Spanned {
                        value: file.clone(),
                        span: rom.span,
                    });
                    Rom::File(self.boot_file(&file).unwrap_or_default())
                }
            });
            all.push(Hostdev {
                key: named.key.value.clone(),
                source: source.value,
                managed: value_or(&spec.managed, true),
                optional: value_or(&spec.optional, false),
                rom,
                boot: value(&spec.boot),
            });
        }
        all
    }

    /// libvirt refuses some of it, and forgets some.
    fn check_hostdev(&mut self, spec: &HostdevSpec, source: HostAddress) {
        let managed = spec.managed.as_ref().map(|it| ("managed", it.span));
        let optional = spec.optional.as_ref().filter(|it| it.value);
        let optional = optional.map(|it| ("optional", it.span));
        let rom = spec.rom.as_ref().map(|it| ("rom", it.span));
        let (kind, unfit): (_, &[_]) = match source.is_pci() {
            true => ("PCI", &[optional]),
            false => ("USB", &[managed, rom]),
        };
        for (key, span) in unfit.iter().flatten() {
            self.report(
                Diagnostic::error(format!("a {kind} device has no `{key}`"))
                    .at(*span)
                    .hint("remove it"),
            );
        }
    }

    /// Resolves the directories that a guest sees of its host.
    pub(super) fn shares(&mut self, specs: &[Named<ShareSpec>]) -> Vec<Share> {
        let mut all = Vec::new();
        let mut seen: BTreeMap<String, Span> = BTreeMap::new();
        for named in specs {
            self.check_device_key(&named.key);
            let spec = &named.spec;
            let driver = value_or(&spec.driver, ShareDriver::Virtiofs);
            let target = spec.target.clone().unwrap_or_else(|| Spanned {
                value: named.key.value.to_string(),
                span: named.key.span,
            });
            self.check_target(&target, driver);
            if let Some(first) = seen.insert(target.value.clone(), target.span) {
                self.report(
                    Diagnostic::error(format!("two shares are mounted as `{}`", target.value))
                        .at(target.span)
                        .related(Some(first), "the other one")
                        .hint("give one of them another `target`"),
                );
            }
            if let Some(access) = spec.access.as_ref().filter(|it| it.value != PASSTHROUGH)
                && driver == ShareDriver::Virtiofs
            {
                self.report(
                    Diagnostic::error(format!(
                        "a share by virtiofs has no `access: {}`",
                        access.value
                    ))
                    .at(access.span)
                    .related(spec.driver.as_ref().map(|it| it.span), "its driver")
                    .hint("remove it, or write `driver: 9p`"),
                );
            }
            let Some(source) = self.share_source(&spec.source) else {
                continue;
            };
            all.push(Share {
                key: named.key.value.clone(),
                source,
                target: target.value,
                driver,
                readonly: value_or(&spec.readonly, false),
                access: value_or(&spec.access, PASSTHROUGH).to_owned(),
            });
        }
        all
    }

    /// An absolute path is the hypervisor's, where nothing can be checked here; a relative one is beside the definition.
    fn share_source(&mut self, given: &Given<String>) -> Option<String> {
        let given = given.as_ref()?;
        if is_absolute(&given.value) {
            return Some(given.value.clone());
        }
        let path = load::absolute(self.sources, given.span, &given.value);
        if !path.is_dir() || given.value.is_empty() {
            self.report(
                Diagnostic::error(format!("there is no directory `{}`", given.value))
                    .at(given.span)
                    .hint(match given.value.starts_with('~') {
                        true => "`~` is nobody's home here: write the path from `/` on",
                        false => "a relative path begins at the file of the definition; one on the hypervisor at `/`",
                    }),
            );
        }
        Some(path.to_string_lossy().into_owned())
    }

    /// Mainframes have no USB.
    pub(super) fn check_usb(&mut self, arch: &Given<String>, device: Span) {
        if let Some(arch) = arch.as_ref().filter(|arch| arch.value == "s390x") {
            self.report(
                Diagnostic::error("a guest of `s390x` has no USB")
                    .at(device)
                    .related(Some(arch.span), "its architecture")
                    .hint("take the device out, or write `bus: virtio` for an input device"),
            );
        }
    }

    fn check_target(&mut self, target: &Spanned<String>, driver: ShareDriver) {
        let text = &target.value;
        let most = driver.longest_target();
        let problem =
            if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
                format!("`{}` cannot be the name of a share", text.escape_default())
            } else if text.len() > most {
                let (count, driver) = (text.len(), driver.as_str());
                format!("the name `{text}` of a share has {count} bytes, and {driver} takes {most}")
            } else {
                return;
            };
        self.report(
            Diagnostic::error(problem)
                .at(target.span)
                .hint("give it a short `target` without blanks: the guest mounts it by that, wherever it likes"),
        );
    }

    /// Devices of a guest are known by their keys, whatever they are.
    pub(super) fn check_device_names(&mut self, spec: &GuestSpec) {
        fn keys<'a, T>(
            what: &'static str,
            all: &'a [Named<T>],
        ) -> Vec<(&'static str, &'a Spanned<crate::address::Name>)> {
            all.iter().map(|named| (what, &named.key)).collect()
        }
        let all = [
            keys("disk", &spec.disks),
            keys("NIC", &spec.interfaces),
            keys("host device", &spec.hostdevs),
            keys("share", &spec.shares),
        ];
        let mut seen = BTreeMap::new();
        for (what, key) in all.into_iter().flatten() {
            match seen.get(&key.value) {
                Some((other, first)) if *other != what => self.report(
                    Diagnostic::error(format!(
                        "a {other} and a {what} are both named `{}`",
                        key.value
                    ))
                    .at(key.span)
                    .related(Some(*first), format!("the {other}"))
                    .hint("rename one: both would have the same alias in libvirt"),
                ),
                Some(_) => {}
                None => {
                    seen.insert(key.value.clone(), (what, key.span));
                }
            }
        }
    }

    /// A device of the host is one guest's at a time. Of USB devices by what they are, there may be several.
    pub(super) fn one_guest_each(&mut self, specs: &[Named<GuestSpec>]) {
        let mut seen: BTreeMap<HostAddress, (Span, String)> = BTreeMap::new();
        let running = specs.iter().filter(|it| value_or(&it.spec.running, true));
        for named in running {
            let guest = named.key.value.to_string();
            for source in named.spec.hostdevs.iter().filter_map(|it| device(&it.spec)) {
                if !source.value.is_one() {
                    continue;
                }
                match seen.get(&source.value) {
                    Some((first, other)) if *other != guest => self.report(
                        Diagnostic::error(format!(
                            "`{other}` and `{guest}` both run, and both have {}",
                            source.value
                        ))
                        .at(source.span)
                        .related(Some(*first), "the other one's")
                        .hint("give it to one of them, or write `running: false` for the other"),
                    ),
                    Some(_) => {}
                    None => {
                        seen.insert(source.value, (source.span, guest.clone()));
                    }
                }
            }
        }
    }
}

/// The device that is meant.
fn device(spec: &HostdevSpec) -> Option<&Spanned<HostAddress>> {
    spec.pci.as_ref().or(spec.usb.as_ref())
}
