//! libvirt's errors in the words of the port: what was tried, what libvirt says, how to mend it.

use virt::error::{Error, ErrorDomain, ErrorNumber};

use super::port::{ErrorKind, HypervisorError};
use super::ssh;
use crate::install::media::MediaError;
use crate::secret::hide;

/// What went wrong inside a step, before it is said which step it was.
#[derive(Debug)]
pub(super) enum StepError {
    /// libvirt refused.
    Libvirt(Error),
    /// We found it ourselves.
    Ours {
        kind: ErrorKind,
        message: String,
        hint: Option<String>,
    },
}

impl From<Error> for StepError {
    fn from(error: Error) -> Self {
        StepError::Libvirt(error)
    }
}

impl From<HypervisorError> for StepError {
    fn from(error: HypervisorError) -> Self {
        StepError::Ours {
            kind: error.kind,
            message: error.message,
            hint: error.hint,
        }
    }
}

impl From<MediaError> for StepError {
    fn from(error: MediaError) -> Self {
        StepError::Ours {
            kind: ErrorKind::Failed,
            message: error.message,
            hint: Some(error.hint),
        }
    }
}

impl StepError {
    /// A failure of no special kind that we found ourselves.
    pub(super) fn ours(message: impl Into<String>) -> Self {
        StepError::Ours {
            kind: ErrorKind::Failed,
            message: message.into(),
            hint: None,
        }
    }

    /// Says that an object is not there.
    pub(super) fn missing(what: &str, name: &str) -> Self {
        StepError::Ours {
            kind: ErrorKind::NotFound,
            message: format!("there is no {what} named {name}"),
            hint: Some("someone else removed it meanwhile: run plan again".into()),
        }
    }

    /// Whether the object that was asked for is not there.
    pub(super) fn is_missing(&self) -> bool {
        match self {
            StepError::Libvirt(error) => is_missing(error),
            StepError::Ours { kind, .. } => *kind == ErrorKind::NotFound,
        }
    }

    /// The error as the port gives it, with what was tried.
    pub(super) fn during(self, tried: &str) -> HypervisorError {
        match self {
            StepError::Libvirt(error) => translate(tried, &error),
            StepError::Ours {
                kind,
                message,
                hint,
            } => HypervisorError {
                kind,
                message: format!("{tried}: {}", hide(&message)),
                hint,
            },
        }
    }

    /// libvirt's words or ours.
    pub(super) fn message(&self) -> &str {
        match self {
            StepError::Libvirt(error) => error.message().trim(),
            StepError::Ours { message, .. } => message,
        }
    }
}

/// Puts a libvirt error into the words of the port.
pub(super) fn translate(tried: &str, error: &Error) -> HypervisorError {
    // QEMU's own words can have its arguments.
    let message = &*hide(error.message().trim());
    HypervisorError {
        kind: kind(error),
        message: format!("{tried}: {message}"),
        hint: ssh::hint(tried, message)
            .or_else(|| hint(error.code().unwrap_or(ErrorNumber::InternalError), message)),
    }
}

/// Whether the object that was asked for is not there.
pub(super) fn is_missing(error: &Error) -> bool {
    error.code().is_any(vec![
        ErrorNumber::NoDomain,
        ErrorNumber::NoNetwork,
        ErrorNumber::NoStoragePool,
        ErrorNumber::NoStorageVolume,
    ])
}

/// Whether a driver or an old libvirt does not know the flag that was passed.
pub(super) fn is_unsupported(error: &Error) -> bool {
    error.code().is_any(vec![
        ErrorNumber::NoSupport,
        ErrorNumber::ArgumentUnsupported,
        ErrorNumber::OperationUnsupported,
    ]) || (error.code().is(ErrorNumber::InvalidArg)
        && error.message().contains("unsupported flags"))
}

/// Whether libvirt could not read its own schema, and so said nothing about the definition.
pub(super) fn cannot_check(error: &Error) -> bool {
    error.message().contains("Unable to parse RNG")
}

/// Whether an object is held by something that ends by itself.
pub(super) fn is_busy(error: &Error) -> bool {
    let message = error.message();
    error.code().is(ErrorNumber::ResourceBusy)
        || message.contains("asynchronous jobs")
        || message.contains("still in use")
        || message.contains("still being allocated")
        || message.contains("being built")
}

/// Whether a connection that stood has broken off. QEMU's monitor is another matter: a guest that dies is no lost connection.
fn is_lost(message: &str) -> bool {
    let texts = [
        "client socket is closed",
        "End of file while reading data",
        "Broken pipe",
        "Connection reset by peer",
        "keepalive",
    ];
    !message.contains("monitor") && texts.iter().any(|text| message.contains(text))
}

fn kind(error: &Error) -> ErrorKind {
    let message = error.message();
    let transport = error.domain().is(ErrorDomain::Rpc) || error.domain().is(ErrorDomain::Remote);
    match error.code().unwrap_or(ErrorNumber::InternalError) {
        _ if is_lost(message) => ErrorKind::Connection,
        ErrorNumber::NoConnect | ErrorNumber::InvalidConn => ErrorKind::Connection,
        ErrorNumber::SystemError if transport && message.contains("onnect") => {
            if message.contains("Permission denied") {
                ErrorKind::Denied
            } else {
                ErrorKind::Connection
            }
        }
        ErrorNumber::AuthFailed
        | ErrorNumber::AuthCancelled
        | ErrorNumber::AuthUnavailable
        | ErrorNumber::AccessDenied
        | ErrorNumber::OperationDenied => ErrorKind::Denied,
        ErrorNumber::StorageVolExist | ErrorNumber::DomExist | ErrorNumber::NetworkExist => {
            ErrorKind::Exists
        }
        ErrorNumber::OperationFailed
            if ["already exists", "is already defined with uuid"]
                .iter()
                .any(|text| message.contains(text)) =>
        {
            ErrorKind::Exists
        }
        _ if is_missing(error) => ErrorKind::NotFound,
        _ => ErrorKind::Failed,
    }
}

/// What usually mends an error. libvirt has few codes and reuses them, so that its text decides too.
/// What helps where a file system is full.
pub(super) const NO_SPACE: &str =
    "free some space on the hypervisor, or put the pool on another file system";

fn hint(code: ErrorNumber, message: &str) -> Option<String> {
    let says = |text: &str| message.contains(text);
    let hint = match code {
        ErrorNumber::AuthFailed | ErrorNumber::AuthUnavailable | ErrorNumber::AuthCancelled => {
            "you may not manage this libvirt: join the group libvirt (and log in again), or use -c qemu:///session"
        }
        _ if says("Permission denied") && says("socket") => {
            "you may not use this libvirt: join the group libvirt (and log in again), or use -c qemu:///session"
        }
        _ if says("authentication unavailable") || says("polkit") => {
            "you may not manage this libvirt: join the group libvirt (and log in again), or use -c qemu:///session"
        }
        _ if says("Failed to connect socket") => {
            "is the daemon running there? start it with `systemctl start libvirtd` (or virtqemud.socket), or try -c test:///default"
        }
        _ if is_lost(message) => {
            "the connection to libvirt was lost: see that its daemon runs, then apply again"
        }
        _ if says("Address already in use") || says("address already in use") => {
            return Some(address_in_use(message));
        }
        _ if says("is already in use by interface") || says("already in use by host") => {
            "the host has this subnet on another interface: choose another address for the network"
        }
        _ if says("bridge name") && says("already in use") => {
            "another network or the host has this bridge: choose another name with `bridge`"
        }
        _ if says("KVM is not available")
            || says("invalid domain type")
            || says("/dev/kvm")
            || says("does not support virt type 'kvm'")
            || says("failed to initialize kvm")
            || says("kvm_buf_set_msrs") =>
        {
            "KVM does not work there: write `type: qemu` or set MINIASCAPE_DOMAIN_TYPE=qemu (slower), or load the module kvm_intel or kvm_amd"
        }
        _ if says("Storage source conflict") => {
            "another pool has this directory already: give this one another `path`, or refer to that pool as external"
        }
        _ if says("Failed to get \"write\" lock")
            || says("Failed to get shared \"write\" lock")
            || says("Is another process using the image") =>
        {
            "another guest or program has this disk open: stop it, or mark the disk `shareable` in every guest that uses it"
        }
        _ if says("No more available PCI slots") => {
            "the guest has no free PCI port for another device: restart it, or give it more pcie-root-port controllers through `xml`"
        }
        _ if says("Cannot access storage file")
            || says("Could not open") && says("Permission denied") =>
        {
            "QEMU's user cannot read this file: keep it in a pool such as one under /var/lib/libvirt/images, or let that user in (each directory above needs x)"
        }
        _ if says("Unable to find any firmware")
            || says("firmware") && says("auto-select")
            || says("Unable to find 'efi' firmware")
            || says("OVMF") =>
        {
            "UEFI firmware is not installed there: install the package ovmf (Debian) or edk2-ovmf (Fedora)"
        }
        ErrorNumber::NoNetwork => {
            "no such network on this hypervisor: define it under `networks`, or see `virsh net-list --all`"
        }
        ErrorNumber::NoStoragePool => {
            "no such pool on this hypervisor: define it under `pools`, or see `virsh pool-list --all`"
        }
        ErrorNumber::XmlInvalidSchema => {
            "libvirt does not know what this says: look at the resource's `xml` and at your own templates; `miniascape plan --diff` shows the whole"
        }
        ErrorNumber::ConfigUnsupported => {
            "this libvirt or QEMU cannot do that: look at the resource's settings and its `xml`"
        }
        ErrorNumber::StorageVolExist => {
            "something else made a volume of this name: remove it, or take it over with `miniascape import`"
        }
        _ if says("No space left on device") => NO_SPACE,
        _ if says("Cannot allocate memory") || says("cannot set up guest memory") => {
            "the hypervisor has too little memory free: stop guests or give this one less"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// How to free a network's address. Who has it can be the network's own dnsmasq, which a libvirtd that died while it started
/// the network left behind; libvirt tells with which file it calls that one, and no other has it.
fn address_in_use(message: &str) -> String {
    let file = message
        .split_once("--conf-file=")
        .and_then(|(_, rest)| rest.split_whitespace().next());
    match file {
        Some(file) => format!(
            "another DHCP or DNS server has this address (`ss -lnup` on that host shows it): stop it or choose another address; if it is this network's own dnsmasq, left behind by a libvirtd that died, end it there, as root, with `pkill -f conf-file={file}`, and apply again"
        ),
        None => "another DHCP or DNS server has this address: `ss -lnup` shows it; stop it or choose another address".to_owned(),
    }
}

/// What went wrong while it was read what is there.
pub(super) fn reading(error: StepError) -> HypervisorError {
    error.during("read what is there")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_failures_have_hints() {
        for (message, word) in [
            (
                "Failed to connect socket to '/var/run/libvirt/libvirt-sock': No such file or directory",
                "libvirtd",
            ),
            ("Cannot recv data: Connection reset by peer", "lost"),
            (
                "internal error: Storage source conflict with pool: 'a'",
                "path",
            ),
            ("internal error: No more available PCI slots", "PCI"),
            (
                "Cannot access storage file '/root/a' (as uid:64055, gid:64055): Permission denied",
                "pool",
            ),
            (
                "operation failed: Unable to find any firmware to satisfy 'efi'",
                "ovmf",
            ),
        ] {
            let hint = hint(ErrorNumber::InternalError, message).unwrap();
            assert!(hint.contains(word), "{message}: {hint}");
        }
        assert_eq!(hint(ErrorNumber::InternalError, "something new"), None);
    }

    #[test]
    fn a_dnsmasq_that_was_left_behind_is_named_by_its_file() {
        let says = |reason: &str| {
            let message = format!(
                "internal error: Child process (VIR_BRIDGE_NAME=virbr0 /usr/sbin/dnsmasq --conf-file=/var/lib/a.conf --leasefile-ro) unexpected exit status 2: \ndnsmasq: {reason}"
            );
            hint(ErrorNumber::InternalError, &message)
        };
        let reason = "failed to create listening socket for 192.168.171.1: Address already in use";
        let told = says(reason).unwrap();
        assert!(told.contains("`pkill -f conf-file=/var/lib/a.conf`"));
        assert!(says("unknown interface virbr0").is_none());
    }
}
