//! The machine of a guest beside its processors, memory and devices.

use serde::Serialize;

/// Whether a guest's firmware boots only what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SecureBoot {
    /// Whatever there is.
    Off,
    /// By Microsoft's keys.
    Keys,
    /// By no keys yet.
    Empty,
}

/// A TPM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tpm {
    /// How the guest talks to it, in libvirt's words; `None`: by architecture.
    pub model: Option<&'static str>,
    /// What it is made of.
    #[serde(flatten)]
    pub backend: TpmBackend,
}

/// What a TPM is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "backend", rename_all = "lowercase")]
pub enum TpmBackend {
    /// swtpm.
    Emulator {
        /// The version that it has.
        version: &'static str,
        /// Whether what it holds stays when the guest goes.
        keep: bool,
    },
    /// The host's own.
    Passthrough {
        /// Its device.
        device: String,
    },
}

/// A clock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Clock {
    /// What it shows; `None`: UTC in a new guest, and what it is in one that is there.
    pub offset: Option<Offset>,
    /// Timers, each once.
    pub timers: Vec<Timer>,
}

/// What a clock shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Offset {
    /// UTC.
    Utc,
    /// The host's local time.
    LocalTime,
    /// The time of a zone.
    TimeZone {
        /// Its name.
        zone: String,
    },
}

/// A timer of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Timer {
    /// libvirt's name of it.
    pub name: &'static str,
    /// libvirt's attribute for what is said of it.
    pub attribute: &'static str,
    /// What is said.
    pub value: String,
}

/// Features of the machine; `None` leaves each to its default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Features {
    /// `false`: without ACPI.
    pub acpi: Option<bool>,
    /// `false`: without the APIC of x86.
    pub apic: Option<bool>,
    /// `true`: with PAE.
    pub pae: Option<bool>,
    /// What has a state in libvirt: libvirt's name, and whether it is on.
    pub states: Vec<State>,
    /// What Windows takes from Hyper-V, if anything.
    pub hyperv: Option<Hyperv>,
    /// What Linux takes from KVM, as far as it is on.
    pub kvm: Vec<State>,
}

/// A feature with a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct State {
    /// libvirt's name of it.
    pub name: &'static str,
    /// Whether it is on.
    pub on: bool,
}

/// Hyper-V's features.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hyperv {
    /// Those that are on.
    pub on: Vec<Enlightenment>,
    /// After how many tries for a lock the guest gives way.
    pub spinlocks: Option<u32>,
    /// The maker that the guest sees.
    pub vendor_id: Option<String>,
}

/// Features of Hyper-V's that are KVM's work: QEMU does not start with them alone, or they count for nothing.
pub const KVM_ONLY: [&str; 6] = ["vpindex", "synic", "stimer", "tlbflush", "ipi", "evmcs"];

/// A feature of Hyper-V's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Enlightenment {
    /// libvirt's name of it.
    pub name: &'static str,
    /// Whether it is one of [`KVM_ONLY`].
    pub kvm_only: bool,
}

/// A panic device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Panic {
    /// Its model; `None`: by architecture.
    pub model: Option<&'static str>,
}

/// A watchdog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Watchdog {
    /// Its model; `None`: by architecture.
    pub model: Option<&'static str>,
    /// What it does.
    pub action: &'static str,
}

/// The machine of a guest beside its processors, memory and devices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Whether it boots only what is signed; `None`: libvirt's choice.
    pub secure_boot: Option<SecureBoot>,
    /// Its TPM.
    pub tpm: Option<Tpm>,
    /// Its clock.
    pub clock: Clock,
    /// Its features.
    pub features: Features,
    /// Its panic device.
    pub panic: Option<Panic>,
    /// Its watchdog.
    pub watchdog: Option<Watchdog>,
}
