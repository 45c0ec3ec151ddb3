//! The machine of a guest beside its processors, memory and devices, as written: how safely it boots, its TPM, its clock, its features, and
//! what looks after it.

use crate::diagnostic::Span;
use crate::lab::attributes::{
    Keys, Kind, Nested, Switch, Text, Type, Whole, Word, at, kinds, object, words,
};
use crate::lab::decode::{Decoder, Given, Spanned};
use crate::lab::yaml::{Node, Style, Value};

words! {
    /// Versions of the TPM.
    TpmVersions: &'static str = ["2.0", "1.2"];
    /// How a guest talks to its TPM.
    TpmModels: &'static str = ["crb", "tis", "spapr"];
    /// What a TPM is made of.
    TpmBackends: &'static str = ["emulator", "passthrough"];
    /// What becomes of ticks of the RTC that a guest missed. <https://libvirt.org/formatdomain.html#time-keeping>
    RtcPolicies: &'static str = ["delay", "catchup"];
    /// The same of the PIT.
    PitPolicies: &'static str = ["delay", "catchup", "discard"];
    /// Devices by which a guest says that its kernel crashed.
    PanicModels: &'static str = ["isa", "hyperv", "pvpanic", "pseries", "s390"];
    /// Watchdogs.
    WatchdogModels: &'static str = ["i6300esb", "ib700", "diag288", "itco"];
    /// What a watchdog does.
    WatchdogActions: &'static str = ["reset", "shutdown", "poweroff", "pause", "none", "dump", "inject-nmi"];
}

kinds! {
    /// How often a guest asks for a lock before it gives way; `false` is never.
    Spinlocks: Option<u32> = Type::OneOf(&[Type::Boolean, Type::Integer(FEWEST_SPINS, MOST_SPINS)]), spinlocks;
}

/// Tries for a lock until a guest gives way, as virt-install has it for Windows.
pub const SPINLOCKS: u32 = 8191;
/// libvirt takes no fewer.
const FEWEST_SPINS: i64 = 4095;
/// Those are a number of 32 bits.
const MOST_SPINS: i64 = u32::MAX as i64;

/// Something that is wished for, with what is said of it, or not.
#[derive(Debug, Clone)]
pub enum Wish<T> {
    /// `false`
    Off,
    /// `true`, or what is said of it.
    On(T),
}

/// `true`, `false`, or something that says more than `true`.
#[derive(Debug)]
pub struct SwitchOr<T>(std::marker::PhantomData<T>);

impl<T: Keys> Kind for SwitchOr<T> {
    type Field = Given<Wish<T>>;
    const TYPE: Type = Type::OneOf(&[Type::Boolean, T::TYPE]);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        // A word of older YAML that is meant as one.
        let is_meant = |text: &str| matches!(text, "yes" | "no" | "on" | "off");
        if matches!(&node.value, Value::Scalar(text, Style::Plain) if is_meant(text)) {
            d.boolean(node);
            return None;
        }
        let value = match node.switch() {
            Some(true) => Wish::On(T::default()),
            Some(false) => Wish::Off,
            None => Wish::On(T::decode(d, node, node.span)?),
        };
        let span = node.span;
        Some(Spanned { value, span })
    }
}

/// What is said of something that is wished for, and where.
pub fn wished<T>(given: &Given<Wish<T>>) -> Option<(&T, Span)> {
    match given {
        Some(Spanned {
            value: Wish::On(spec),
            span,
        }) => Some((spec, *span)),
        Some(Spanned {
            value: Wish::Off, ..
        })
        | None => None,
    }
}

fn spinlocks(d: &mut Decoder<'_>, node: &Node) -> Given<Option<u32>> {
    if let Some(is_on) = node.switch() {
        return Some(Spanned {
            value: is_on.then_some(SPINLOCKS),
            span: node.span,
        });
    }
    let count = Whole::<u32, FEWEST_SPINS, MOST_SPINS>::decode(d, node)?;
    Some(Spanned {
        value: Some(count.value),
        span: count.span,
    })
}

object! {
    /// `secure_boot` as a map.
    SecureBootSpec: "`secure_boot`" / "ways to boot", "`true`, `false` or `{keys: false}`" {
        /// The firmware knows Microsoft's keys, by which most systems are signed; `false`: it knows none, and boots whatever there is
        /// until it is given some.
        keys: Switch [default: "`true`"],
    }
}

object! {
    /// `tpm` as a map.
    TpmSpec: "`tpm`" / "TPMs", "`true`, `false` or `{version: 2.0, model: crb}`" {
        /// Its version.
        version: Word<TpmVersions> [default: "`2.0`", xml: [at("domain/devices/tpm/backend@version")]],
        /// How the guest talks to it.
        model: Word<TpmModels> [default: "`crb`; `tis` on Arm and of version 1.2, `spapr` on POWER", xml: [at("domain/devices/tpm@model")]],
        /// swtpm, or a TPM of the host.
        backend: Word<TpmBackends> [default: "`emulator`", xml: [at("domain/devices/tpm/backend@type")]],
        /// The host's, which one guest alone can have.
        device: Text [default: "`/dev/tpm0` of `backend: passthrough`", xml: [
            at("domain/devices/tpm/backend/device").says("{@path}"),
            at("domain/devices/tpm/backend/device@path"),
        ]],
        /// Neither `destroy` nor leaving the definition deletes what it holds.
        keep: Switch [default: "`false`", xml: [at("domain/devices/tpm/backend@persistent_state")]],
    }
}

object! {
    /// `clock` as written.
    ClockSpec: "`clock`" / "clocks", "`utc`, `localtime`, a time zone or `{offset: …, timers: …}`", scalar offset(Text) {
        /// What the guest's clock shows: `utc`, `localtime` (the host's), or a time zone.
        offset: Text [default: "`utc`", xml: [
            at("domain/clock@offset"),
            at("domain/clock@timezone").named("clock.offset"),
        ]],
        /// Timers of the machine.
        timers: Nested<TimersSpec> [xml: [
            at("domain/clock/timer").named("clock.timers.*").says("{@tickpolicy|@present|@frequency}"),
            at("domain/clock/timer@tickpolicy").named("clock.timers.*"),
            at("domain/clock/timer@present").named("clock.timers.*"),
            at("domain/clock/timer@frequency").named("clock.timers.*"),
        ]],
    }
}

object! {
    /// `timers` of a clock as written.
    TimersSpec: "`timers`" / "timers", "`{rtc: catchup, hpet: false}`" {
        /// The real-time clock, whose ticks that the guest missed come later (`delay`), or all at once (`catchup`).
        rtc: Word<RtcPolicies> [default: "QEMU's"],
        /// The oldest timer, whose ticks may be dropped (`discard`), too.
        pit: Word<PitPolicies> [default: "QEMU's"],
        /// The guest has a high precision event timer.
        hpet: Switch [default: "QEMU's"],
        /// The clock of KVM's guests.
        kvmclock: Switch [default: "QEMU's"],
        /// The clock of Hyper-V's guests.
        hypervclock: Switch [default: "`true` with `features.hyperv`"],
        /// How many times a second the time stamp counter counts; where the host's can be scaled, or is just as fast.
        tsc: Whole<u64, 1, 1_000_000_000_000> [default: "the host's"],
    }
}

object! {
    /// `features` as written.
    FeaturesSpec: "`features`" / "features", "`{hyperv: true, smm: true}`" {
        /// ACPI, without which no guest hears that it is to shut down.
        acpi: Switch [default: "`true`", xml: [at("domain/features/acpi").says("true")]],
        /// The interrupt controller of x86.
        apic: Switch [default: "`true` on x86", xml: [at("domain/features/apic").says("true")]],
        /// Physical addresses of more than 32 bits, of x86 with 32 bits.
        pae: Switch [default: "`false`", xml: [at("domain/features/pae").says("true")]],
        /// Counters of the processor.
        pmu: Switch [default: "QEMU's", xml: [at("domain/features/pmu").says("{@state}"), at("domain/features/pmu@state")]],
        /// VMware's port, which is for its mouse.
        vmport: Switch [default: "QEMU's", xml: [at("domain/features/vmport").says("{@state}"), at("domain/features/vmport@state")]],
        /// System management mode, of `machine: q35`.
        smm: Switch [default: "as the firmware needs it", xml: [at("domain/features/smm").says("{@state}"), at("domain/features/smm@state")]],
        /// The processor's own page tables of guests.
        hap: Switch [default: "where there is such", xml: [at("domain/features/hap").says("{@state}"), at("domain/features/hap@state")]],
        /// What Windows takes from Hyper-V: `true` is all that it works better with, a map says what is otherwise. With KVM.
        hyperv: SwitchOr<HypervSpec> [default: "`false`", xml: [at("domain/features/hyperv").says("true")]],
        /// What Linux takes from KVM.
        kvm: Nested<KvmSpec> [xml: [at("domain/features/kvm").says("true")]],
    }
}

object! {
    /// `hyperv` as a map.
    HypervSpec: "`hyperv`" / "features", "`true`, `false` or `{vendor_id: …}`" {
        /// No watchdogs inside.
        relaxed: Switch [default: "`true`", xml: [at("domain/features/hyperv/relaxed").says("true")]],
        /// A faster interrupt controller.
        vapic: Switch [default: "`true`", xml: [at("domain/features/hyperv/vapic").says("true")]],
        /// After so many tries for a lock the guest gives way.
        spinlocks: Spinlocks [default: "`8191`", xml: [
            at("domain/features/hyperv/spinlocks").says("{@retries}"),
            at("domain/features/hyperv/spinlocks@retries"),
            at("domain/features/hyperv/spinlocks@state").named("features.hyperv.spinlocks.state"),
        ]],
        /// Processors have numbers.
        vpindex: Switch [default: "`true`", xml: [at("domain/features/hyperv/vpindex").says("true")]],
        /// The time that a processor ran.
        runtime: Switch [default: "`true`", xml: [at("domain/features/hyperv/runtime").says("true")]],
        /// Interrupts that are messages; needs `vpindex`.
        synic: Switch [default: "`true`", xml: [at("domain/features/hyperv/synic").says("true")]],
        /// Timers; needs `synic` and the timer `hypervclock`.
        stimer: Switch [default: "`true`", xml: [at("domain/features/hyperv/stimer").says("true")]],
        /// How fast processor and interrupt controller are.
        frequencies: Switch [default: "`true`", xml: [at("domain/features/hyperv/frequencies").says("true")]],
        /// Other processors are told of changed page tables by the host; needs `vpindex`.
        tlbflush: Switch [default: "`true`", xml: [at("domain/features/hyperv/tlbflush").says("true")]],
        /// Processors interrupt each other by the host; needs `vpindex`.
        ipi: Switch [default: "`true`", xml: [at("domain/features/hyperv/ipi").says("true")]],
        /// The guest resets itself by a register.
        reset: Switch [default: "`false`", xml: [at("domain/features/hyperv/reset").says("true")]],
        /// Clocks of guests within the guest are told that it moved.
        reenlightenment: Switch [default: "`false`", xml: [at("domain/features/hyperv/reenlightenment").says("true")]],
        /// Faster guests within the guest, of Intel's processors; needs `vapic`.
        evmcs: Switch [default: "`false`", xml: [at("domain/features/hyperv/evmcs").says("true")]],
        /// The maker that the guest sees: up to 12 characters.
        vendor_id: Text [xml: [
            at("domain/features/hyperv/vendor_id").says("{@value}"),
            at("domain/features/hyperv/vendor_id@value"),
            at("domain/features/hyperv/vendor_id@state").named("features.hyperv.vendor_id.state"),
        ]],
    }
}

object! {
    /// `kvm` of the features as written.
    KvmSpec: "`kvm`" / "features", "`{hidden: true}`" {
        /// The guest does not see that it is KVM's.
        hidden: Switch [default: "`false`", xml: [at("domain/features/kvm/hidden").says("{@state}"), at("domain/features/kvm/hidden@state")]],
        /// Its processors have those of the host alone.
        hint_dedicated: Switch [default: "`false`", xml: [
            at("domain/features/kvm/hint-dedicated").says("{@state}"),
            at("domain/features/kvm/hint-dedicated@state"),
        ]],
        /// It waits for work by itself for a moment, before the host does.
        poll_control: Switch [default: "`false`", xml: [
            at("domain/features/kvm/poll-control").says("{@state}"),
            at("domain/features/kvm/poll-control@state"),
        ]],
    }
}

object! {
    /// `panic` as written.
    PanicSpec: "`panic`" / "panic devices", "`true`, `false` or a model such as `isa`", scalar model(Word<PanicModels>) {
        /// Its model; `pvpanic` with libvirt 9.1 or newer.
        model: Word<PanicModels> [default: "`isa` on x86, `pvpanic` on Arm, `pseries` on POWER, `s390` on s390x"],
    }
}

object! {
    /// `watchdog` as written.
    WatchdogSpec: "`watchdog`" / "watchdogs", "`true`, `false`, an action such as `reset`, or `{model: …, action: …}`",
        scalar action(Word<WatchdogActions>) {
        /// Its model; `itco`, with libvirt 9.1 or newer, is what each `q35` has; `ib700` is for `machine: pc`.
        model: Word<WatchdogModels> [default: "`i6300esb`, on s390x `diag288`"],
        /// What it does when the guest does not answer; `none` is nothing.
        action: Word<WatchdogActions> [default: "`reset`", xml: [at("domain/devices/watchdog@action")]],
    }
}
