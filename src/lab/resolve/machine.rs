//! The machine of a guest beside its processors, memory and devices: what goes with its architecture, machine type and firmware, and what
//! libvirt or QEMU would refuse.

use super::{Resolver, is_absolute, value, value_or};
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::decode::Given;
use crate::lab::model::Firmware;
use crate::lab::model::machine::{
    Clock, Enlightenment, Features, Hyperv, KVM_ONLY, Machine, Offset, Panic, SecureBoot, State,
    Timer, Tpm, TpmBackend, Watchdog,
};
use crate::lab::written::guest::GuestSpec;
use crate::lab::written::machine::{
    ClockSpec, FeaturesSpec, HypervSpec, PanicSpec, SPINLOCKS, SecureBootSpec, TpmSpec,
    WatchdogSpec, Wish, wished,
};
use crate::xml::spelling::machine_family;

/// Hyper-V has room for no longer maker.
const MAX_VENDOR: usize = 12;
/// The device of a host's own TPM.
const HOST_TPM: &str = "/dev/tpm0";

/// Architectures that differ in what they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    X86,
    Arm,
    Power,
    S390,
    Other,
}

fn family(arch: &str) -> Family {
    match arch {
        "x86_64" | "i686" => Family::X86,
        "aarch64" | "armv7l" => Family::Arm,
        "ppc64" | "ppc64le" => Family::Power,
        "s390x" | "s390" => Family::S390,
        _ => Family::Other,
    }
}

/// Whether a guest is of x86, as far as is said.
pub(super) fn is_x86(spec: &GuestSpec) -> bool {
    let arch = spec.arch.as_ref();
    arch.is_none_or(|arch| family(&arch.value) == Family::X86)
}

/// The firmware that is meant: what boots only what is signed is UEFI.
pub(super) fn firmware(spec: &GuestSpec) -> Option<Firmware> {
    let implied = wished(&spec.secure_boot).map(|_| Firmware::Uefi);
    value(&spec.firmware).or(implied)
}

impl Resolver<'_> {
    /// The machine of a guest.
    pub(super) fn machine(&mut self, spec: &GuestSpec) -> Machine {
        self.check_acpi(spec);
        Machine {
            secure_boot: self.secure_boot(spec),
            tpm: self.tpm(spec),
            clock: self.clock(&spec.clock),
            features: self.features(spec),
            panic: self.panic(spec),
            watchdog: self.watchdog(spec),
        }
    }

    /// Says that something is for other architectures, where the guest's is given and none of these.
    fn check_arch(&mut self, spec: &GuestSpec, (what, span): (&str, Span), has: &[Family]) -> bool {
        let wrong = spec.arch.as_ref().filter(|arch| {
            let family = family(&arch.value);
            family != Family::Other && !has.contains(&family)
        });
        let Some(arch) = wrong else { return true };
        let names: Vec<&str> = has
            .iter()
            .filter_map(|family| match family {
                Family::X86 => Some("x86_64"),
                Family::Arm => Some("aarch64"),
                Family::Power => Some("ppc64le"),
                Family::S390 => Some("s390x"),
                Family::Other => None,
            })
            .collect();
        self.report(
            Diagnostic::error(format!("a guest of `{}` has no {what}", arch.value))
                .at(span)
                .related(Some(arch.span), "its architecture")
                .hint(format!(
                    "guests of {} have it: remove it, or write `false`",
                    names.join(", ")
                )),
        );
        false
    }

    fn secure_boot(&mut self, spec: &GuestSpec) -> Option<SecureBoot> {
        let given = spec.secure_boot.as_ref()?;
        let (keys, span) = match &given.value {
            // Nothing else has it.
            Wish::Off => {
                // Arm's machines boot by UEFI anyway.
                let arm = spec
                    .arch
                    .as_ref()
                    .filter(|it| family(&it.value) == Family::Arm);
                let is_uefi = match value(&spec.firmware) {
                    Some(firmware) => firmware == Firmware::Uefi,
                    None => arm.is_some() && spec.boot.kernel.is_none(),
                };
                return is_uefi.then_some(SecureBoot::Off);
            }
            Wish::On(SecureBootSpec { keys }) => (value_or(keys, true), given.span),
        };
        if let Some(firmware) = spec
            .firmware
            .as_ref()
            .filter(|firmware| firmware.value == Firmware::Bios)
        {
            self.report(
                Diagnostic::error("a BIOS has no secure boot")
                    .at(span)
                    .related(Some(firmware.span), "the firmware")
                    .hint("write `firmware: uefi`, or remove it: `secure_boot` means UEFI; or write `secure_boot: false`"),
            );
        }
        let has = [Family::X86, Family::Arm];
        if self.check_arch(spec, ("secure boot", span), &has)
            && let Some(machine) = &spec.machine
            && is_without_smm(&machine.value)
        {
            self.report(
                Diagnostic::error(format!(
                    "a machine of type `{}` has no secure boot",
                    machine.value
                ))
                .at(span)
                .related(Some(machine.span), "the machine")
                .hint("write `machine: q35`, or remove it"),
            );
        }
        if let Some(smm) = &spec.features.smm
            && !smm.value
            && is_x86(spec)
        {
            self.report(
                Diagnostic::error("secure boot needs `smm`")
                    .at(smm.span)
                    .related(Some(span), "secure boot is asked for here")
                    .hint("remove `smm: false`: libvirt switches it on as the firmware needs it"),
            );
        }
        Some(match keys {
            true => SecureBoot::Keys,
            false => SecureBoot::Empty,
        })
    }

    fn tpm(&mut self, spec: &GuestSpec) -> Option<Tpm> {
        let (tpm, span) = wished(&spec.tpm)?;
        let TpmSpec {
            version,
            model,
            backend,
            device,
            keep,
        } = tpm;
        self.check_arch(
            spec,
            ("TPM", span),
            &[Family::X86, Family::Arm, Family::Power],
        );
        let is_emulated = match value(backend) {
            Some(backend) => backend == "emulator",
            None => device.is_none(),
        };
        let number = value_or(version, "2.0");
        self.check_tpm_model(spec, tpm, number);
        let backend = if is_emulated {
            if let Some(device) = device {
                self.report(
                    Diagnostic::error("an emulated TPM is no device of the host")
                        .at(device.span)
                        .related(backend.as_ref().map(|it| it.span), "it is emulated")
                        .hint("remove `device`, or write `backend: passthrough`"),
                );
            }
            TpmBackend::Emulator {
                version: number,
                keep: value_or(keep, false),
            }
        } else {
            let not_ours = [
                ("version", version.as_ref().map(|it| it.span)),
                ("keep", keep.as_ref().map(|it| it.span)),
            ];
            for (key, span) in not_ours {
                if let Some(span) = span {
                    self.report(
                        Diagnostic::error(format!("`{key}` is for emulated TPMs"))
                            .at(span)
                            .related(
                                device
                                    .as_ref()
                                    .map(|it| it.span)
                                    .or(backend.as_ref().map(|it| it.span)),
                                "this one is the host's",
                            )
                            .hint(format!("remove `{key}`: it is the host's")),
                    );
                }
            }
            if let Some(device) = device.as_ref().filter(|it| !is_absolute(&it.value)) {
                self.report(
                    Diagnostic::error(format!("`{}` is not an absolute path", device.value))
                        .at(device.span)
                        .hint("write `device: /dev/tpm0`, or another device of the hypervisor"),
                );
            }
            TpmBackend::Passthrough {
                device: value_or(device, HOST_TPM.to_owned()),
            }
        };
        let by_version = match &backend {
            TpmBackend::Emulator { version, .. } => (*version == "1.2").then_some("tis"),
            // Its version is not known, and this one is for both.
            TpmBackend::Passthrough { .. } => Some("tis"),
        };
        let power = spec
            .arch
            .as_ref()
            .is_some_and(|arch| family(&arch.value) == Family::Power);
        Some(Tpm {
            model: value(model).or(by_version.filter(|_| !power)),
            backend,
        })
    }

    /// Not every model has each version, nor has each architecture all of them.
    fn check_tpm_model(&mut self, spec: &GuestSpec, tpm: &TpmSpec, version: &str) {
        let arch = spec
            .arch
            .as_ref()
            .map(|arch| (family(&arch.value), arch.span));
        let (of_old, older) = match (tpm.model.as_ref(), arch) {
            (Some(model), _) if model.value != "tis" => (Some(model.value), Some(model.span)),
            (_, Some((Family::Arm | Family::Power, span))) => {
                (Some("its architecture"), Some(span))
            }
            (Some(_) | None, Some(_) | None) => (None, None),
        };
        if let (Some(what), Some(given)) = (of_old, tpm.version.as_ref())
            && version == "1.2"
        {
            self.report(
                Diagnostic::error("a TPM of version 1.2 is of model `tis`, on x86")
                    .at(given.span)
                    .related(
                        older,
                        format!("this is `{what}`")
                            .replace("`its architecture`", "the architecture"),
                    )
                    .hint("write `version: 2.0`, or `model: tis` and no other `arch`"),
            );
        }
        let (Some(model), Some((family, place))) = (&tpm.model, arch) else {
            return;
        };
        let fits = match family {
            Family::Power => model.value == "spapr",
            Family::Arm => model.value == "tis",
            Family::X86 => model.value != "spapr",
            Family::S390 | Family::Other => true,
        };
        if !fits {
            self.report(
                Diagnostic::error(format!(
                    "a guest of this architecture has no TPM of model `{}`",
                    model.value
                ))
                .at(model.span)
                .related(Some(place), "its architecture")
                .hint("remove `model`: the right one is chosen"),
            );
        }
    }

    fn clock(&mut self, spec: &ClockSpec) -> Clock {
        let offset = spec
            .offset
            .as_ref()
            .map(|offset| match offset.value.as_str() {
                "localtime" => Offset::LocalTime,
                text if text.eq_ignore_ascii_case("utc") => Offset::Utc,
                zone => {
                    self.check_zone(offset);
                    let zone = zone.to_owned();
                    Offset::TimeZone { zone }
                }
            });
        let timers = &spec.timers;
        let presence = |given: &Given<bool>| {
            value(given).map(|on| ("present", if on { "yes" } else { "no" }.to_owned()))
        };
        let policy =
            |given: &Given<&'static str>| value(given).map(|it| ("tickpolicy", it.to_owned()));
        let all = [
            ("rtc", policy(&timers.rtc)),
            ("pit", policy(&timers.pit)),
            ("hpet", presence(&timers.hpet)),
            ("kvmclock", presence(&timers.kvmclock)),
            ("hypervclock", presence(&timers.hypervclock)),
            (
                "tsc",
                value(&timers.tsc).map(|hertz| ("frequency", hertz.to_string())),
            ),
        ];
        let said = all.into_iter().filter_map(|(name, said)| {
            let (attribute, value) = said?;
            Some(Timer {
                name,
                attribute,
                value,
            })
        });
        Clock {
            offset,
            timers: said.collect(),
        }
    }

    /// On x86 UEFI finds the machine by ACPI.
    fn check_acpi(&mut self, spec: &GuestSpec) {
        if let Some(acpi) = spec.features.acpi.as_ref().filter(|acpi| !acpi.value)
            && firmware(spec) == Some(Firmware::Uefi)
            && is_x86(spec)
        {
            let asked = spec.firmware.as_ref().map(|it| it.span);
            let asked = asked.or(spec.secure_boot.as_ref().map(|it| it.span));
            self.report(
                Diagnostic::error("UEFI needs `acpi`")
                    .at(acpi.span)
                    .related(asked, "it is asked for here")
                    .hint("remove `acpi: false`"),
            );
        }
    }

    fn features(&mut self, spec: &GuestSpec) -> Features {
        let FeaturesSpec {
            acpi,
            apic,
            pae,
            pmu,
            vmport,
            smm,
            hap,
            hyperv: _,
            kvm,
        } = &spec.features;
        for (what, given) in [
            ("APIC", apic),
            ("PAE", pae),
            ("`vmport`", vmport),
            ("`smm`", smm),
        ] {
            if let Some(given) = given.as_ref().filter(|it| it.value) {
                self.check_arch(spec, (what, given.span), &[Family::X86]);
            }
        }
        if let (Some(smm), Some(machine)) =
            (smm.as_ref().filter(|smm| smm.value), spec.machine.as_ref())
            && is_without_smm(&machine.value)
        {
            self.report(
                Diagnostic::error(format!(
                    "a machine of type `{}` has no `smm`",
                    machine.value
                ))
                .at(smm.span)
                .related(Some(machine.span), "the machine")
                .hint("write `machine: q35`, or remove `smm`"),
            );
        }
        Features {
            acpi: value(acpi).filter(|on| !on),
            apic: value(apic).filter(|on| !on),
            pae: value(pae).filter(|on| *on),
            // In the order of libvirt's.
            states: states([("hap", hap), ("pmu", pmu), ("vmport", vmport), ("smm", smm)]),
            hyperv: self.hyperv(spec),
            kvm: {
                let mut all = states([
                    ("hidden", &kvm.hidden),
                    ("hint-dedicated", &kvm.hint_dedicated),
                    ("poll-control", &kvm.poll_control),
                ]);
                all.retain(|feature| feature.on);
                all
            },
        }
    }

    /// What Windows takes from Hyper-V: what is not said is as Windows works best. What others need goes along with them.
    fn hyperv(&mut self, spec: &GuestSpec) -> Option<Hyperv> {
        let (hyperv, span) = wished(&spec.features.hyperv)?;
        self.check_arch(spec, ("`hyperv`", span), &[Family::X86]);
        let HypervSpec {
            relaxed,
            vapic,
            spinlocks,
            vpindex,
            runtime,
            synic,
            stimer,
            frequencies,
            tlbflush,
            ipi,
            reset,
            reenlightenment,
            evmcs,
            vendor_id,
        } = hyperv;
        // Each with its default, and what it needs.
        let table = [
            ("relaxed", relaxed, true, ""),
            ("vapic", vapic, true, ""),
            ("vpindex", vpindex, true, ""),
            ("runtime", runtime, true, ""),
            ("synic", synic, true, "vpindex"),
            ("stimer", stimer, true, "synic"),
            ("reset", reset, false, ""),
            ("frequencies", frequencies, true, ""),
            ("reenlightenment", reenlightenment, false, ""),
            ("tlbflush", tlbflush, true, "vpindex"),
            ("ipi", ipi, true, "vpindex"),
            ("evmcs", evmcs, false, "vapic"),
        ];
        let mut off: Vec<(&str, Option<Span>)> = Vec::new();
        let timer = &spec.clock.timers.hypervclock;
        if let Some(timer) = timer.as_ref().filter(|timer| !timer.value) {
            off.push(("hypervclock", Some(timer.span)));
        }
        let mut on = Vec::new();
        for (name, given, default, needs) in table {
            let needed = match name {
                "stimer" => [needs, "hypervclock"],
                _ => [needs, ""],
            };
            let missing = off.iter().find(|(name, _)| needed.contains(name)).copied();
            match (given, missing) {
                (Some(given), Some((other, place))) if given.value => {
                    self.report(
                        Diagnostic::error(format!("`{name}` needs `{other}`"))
                            .at(given.span)
                            .related(place, "it is switched off here")
                            .hint(format!(
                                "remove `{name}: true`, or what switches the other off"
                            )),
                    );
                }
                (given, missing) => {
                    let is_on = given.as_ref().map_or(default, |it| it.value) && missing.is_none();
                    if is_on {
                        on.push(Enlightenment {
                            name,
                            kvm_only: KVM_ONLY.contains(&name),
                        });
                    } else {
                        let place = given.as_ref().map(|it| it.span);
                        off.push((name, place.or(missing.and_then(|(_, place)| place))));
                    }
                }
            }
        }
        if let Some(vendor) = vendor_id
            && (vendor.value.is_empty()
                || vendor.value.chars().count() > MAX_VENDOR
                || vendor.value.contains(','))
        {
            self.report(
                Diagnostic::error(format!("`{}` cannot be Hyper-V's maker", vendor.value))
                    .at(vendor.span)
                    .hint("write 1 to 12 characters, none of them a comma"),
            );
        }
        Some(Hyperv {
            on,
            spinlocks: value_or(spinlocks, Some(SPINLOCKS)),
            vendor_id: value(vendor_id),
        })
    }

    fn panic(&mut self, spec: &GuestSpec) -> Option<Panic> {
        let (PanicSpec { model }, span) = wished(&spec.panic)?;
        if let Some(model) = model {
            let has = match model.value {
                "isa" | "hyperv" => [Family::X86].as_slice(),
                "pseries" => &[Family::Power],
                "s390" => &[Family::S390],
                // On PCI.
                _ => &[Family::X86, Family::Arm],
            };
            let what = format!("panic device `{}`", model.value);
            self.check_arch(spec, (&what, span), has);
        }
        Some(Panic {
            model: value(model),
        })
    }

    fn watchdog(&mut self, spec: &GuestSpec) -> Option<Watchdog> {
        let (WatchdogSpec { model, action }, span) = wished(&spec.watchdog)?;
        if let Some(model) = model {
            let has = match model.value {
                "diag288" => [Family::S390].as_slice(),
                "ib700" | "itco" => &[Family::X86],
                _ => &[Family::X86, Family::Arm, Family::Power],
            };
            let what = format!("watchdog `{}`", model.value);
            let machine = spec.machine.as_ref();
            if self.check_arch(spec, (&what, span), has)
                && model.value == "itco"
                && let Some(machine) = machine.filter(|it| is_without_smm(&it.value))
            {
                self.report(
                    Diagnostic::error(format!(
                        "a machine of type `{}` has no watchdog `itco`",
                        machine.value
                    ))
                    .at(model.span)
                    .related(Some(machine.span), "the machine")
                    .hint("write `machine: q35`, or `model: i6300esb`"),
                );
            }
        }
        Some(Watchdog {
            model: value(model),
            action: value_or(action, "reset"),
        })
    }
}

/// What is said of features that have a state.
fn states<const N: usize>(given: [(&'static str, &Given<bool>); N]) -> Vec<State> {
    let said = given.into_iter();
    said.filter_map(|(name, given)| {
        Some(State {
            name,
            on: value(given)?,
        })
    })
    .collect()
}

/// Whether a machine of x86 is known to be none with the chipset of q35, by which firmware is kept safe.
fn is_without_smm(machine: &str) -> bool {
    matches!(
        machine_family(machine),
        "pc" | "i440fx" | "isapc" | "microvm"
    )
}
