//! The port, on libvirt: opening a connection, and what it is connected to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use virt::connect::Connect;
use virt::error::Error;

use super::aside::aside;
use super::error::{StepError, translate};
use super::keepalive::{self, Patience};
use super::kvm::{self, Kvm};
use super::observed::Facts;
use super::port::{ErrorKind, HypervisorError};
use super::raw::Held;
use super::ssh;
use crate::lab::model::DomainType;
use crate::state::cache::Cache;
use crate::xml::tree::Element;

/// A connection to libvirt. It serves any number of threads at once.
///
/// libvirt works on five requests of a connection at a time and lets the rest wait, and the start or stop of a guest takes it
/// long; and before 10.4 a thread may crash where several share a connection that breaks off
/// (CVE-2024-4418, <https://security.libvirt.org/2024/0004.html>). So where libvirt is on this machine, each step that goes on beside
/// others has a connection of its own.
pub struct Connection {
    pub(super) connect: Held<Connect>,
    /// How long libvirt may leave everything unanswered.
    patience: Option<Patience>,
    /// A step is under way.
    pub(super) is_busy: AtomicBool,
    /// Connections that steps went over while this one was busy, and that are free again.
    free: Mutex<Vec<Connection>>,
    /// libvirt allowed no more of them.
    pub(super) is_alone: AtomicBool,
    /// What was seen before.
    cache: Mutex<Arc<Cache>>,
}

impl Connection {
    /// Opens a connection; without a URI libvirt chooses: `LIBVIRT_DEFAULT_URI`, its configuration, then what it finds.
    pub fn open(uri: Option<&str>) -> Result<Self, HypervisorError> {
        Self::open_within(uri, None)
    }

    /// The same, to a libvirt that may leave everything unanswered no longer than this. After that the connection is lost.
    pub fn open_within(
        uri: Option<&str>,
        patience: Option<Patience>,
    ) -> Result<Self, HypervisorError> {
        // libvirt prints every error to stderr unless told not to; ours carry them.
        virt::error::clear_error_callback();
        let tried = match uri {
            Some(uri) => format!("connect to {uri}"),
            None => "connect to libvirt".to_owned(),
        };
        let Some(patience) = patience else {
            let connected = Connect::open(uri).map(Held::new);
            return connected
                .map(|connect| Self::new(connect, None))
                .map_err(|error| refused(&tried, &error));
        };
        keepalive::start(&patience);
        let uri = uri.map(str::to_owned);
        let opened = aside(move || Connect::open(uri.as_deref()).map(Held::new));
        let connect = opened
            .recv_timeout(patience.limit)
            .map_err(|_| silent(&tried, patience.limit))?
            .map_err(|error| refused(&tried, &error))?;
        keepalive::watch(&connect, &patience);
        Ok(Self::new(connect, Some(patience)))
    }

    /// Begins to open one, on a thread of its own. Who does not want it any more drops what this gives.
    pub fn begin(
        uri: Option<String>,
        patience: Option<Patience>,
    ) -> impl FnOnce() -> Result<Self, HypervisorError> {
        let opening = std::thread::spawn(move || Self::open_within(uri.as_deref(), patience));
        move || {
            let broken = |_| {
                let thread = StepError::ours("the thread that connects panicked");
                thread.during("connect")
            };
            opening.join().map_err(broken)?
        }
    }

    fn new(connect: Held<Connect>, patience: Option<Patience>) -> Self {
        Self {
            connect,
            patience,
            is_busy: AtomicBool::new(false),
            free: Mutex::default(),
            is_alone: AtomicBool::new(false),
            cache: Mutex::default(),
        }
    }

    /// What the hypervisor is.
    pub(super) fn facts(&self) -> Result<Facts, StepError> {
        let uri = self.connect.uri()?;
        let driver = self.connect.driver_type()?;
        let capabilities = Element::parse(&self.connect.capabilities()?)
            .map_err(|error| StepError::ours(format!("libvirt's capabilities: {error}")))?;
        let arch = capabilities
            .text_at("host/cpu/arch")
            .unwrap_or(std::env::consts::ARCH)
            .to_owned();
        let unprivileged = is_session(&uri);
        let local = is_local(&uri);
        let domain_type = match forced_type()? {
            Some(forced) => Some(forced),
            None => domain_type(&capabilities, &arch, || match kvm::check() {
                _ if !local => true,
                Kvm::Works => true,
                Kvm::Broken => false,
                // The system's QEMU runs as another user, who may open it.
                Kvm::Denied => !unprivileged,
            }),
        };
        Ok(Facts {
            host_uuid: capabilities
                .text_at("host/uuid")
                .and_then(|text| text.parse().ok()),
            uri,
            driver,
            arch,
            domain_type,
            unprivileged,
            local,
        })
    }

    /// Does not look again into what was seen before. All that is in a cache goes by content, so an older one only spares less.
    pub fn set_cache(&self, seen: Arc<Cache>) {
        *self.cache.lock() = seen;
    }

    pub(super) fn cache(&self) -> Arc<Cache> {
        self.cache.lock().clone()
    }

    /// The same connection once more, for a thread that may outlive this one.
    pub(super) fn again(&self) -> Self {
        Self::new(Held::new((*self.connect).clone()), self.patience.clone())
    }

    /// Another connection to the same libvirt. `None` where libvirt is elsewhere, which may ask for a password each time, or allows
    /// no more connections: then the steps share this one.
    pub(super) fn other(&self) -> Option<Connection> {
        if let Some(free) = self.free().pop() {
            return Some(free);
        }
        let uri = self.connect.uri().ok().filter(|uri| is_daemon_here(uri))?;
        if self.is_alone.load(Ordering::Relaxed) {
            return None;
        }
        let other = Self::open_within(Some(&uri), self.patience.clone()).ok();
        self.is_alone.fetch_or(other.is_none(), Ordering::Relaxed);
        other
    }

    pub(super) fn free(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.free.lock()
    }
}

fn refused(tried: &str, error: &Error) -> HypervisorError {
    let mut error = translate(tried, error);
    if error.kind == ErrorKind::Failed {
        error.kind = ErrorKind::Connection;
    }
    error
}

/// Whoever accepted the connection says nothing.
fn silent(tried: &str, patience: Duration) -> HypervisorError {
    HypervisorError {
        kind: ErrorKind::Connection,
        message: format!("{tried}: no answer within {} s", patience.as_secs()),
        hint: ssh::silent(tried).or(Some(
            "something listens there and says nothing: see that the daemon is well, and restart it if it hangs (`systemctl restart libvirtd`, which leaves guests running); give one that is slow, or that asks for a password, more time with `--timeout`"
                .into(),
        )),
    }
}

/// Makes an object that is not there `None`.
pub(super) fn if_there<T: super::raw::Release>(
    found: Result<T, Error>,
) -> Result<Option<Held<T>>, Error> {
    match found {
        Ok(handle) => Ok(Some(Held::new(handle))),
        Err(error) if super::error::is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The type that `MINIASCAPE_DOMAIN_TYPE` asks for, for guests that do not name one.
pub fn domain_type_asked_for() -> Result<Option<DomainType>, HypervisorError> {
    forced_type().map_err(|error| error.during("choose a domain type"))
}

/// The type that `MINIASCAPE_DOMAIN_TYPE` asks for.
fn forced_type() -> Result<Option<DomainType>, StepError> {
    match std::env::var("MINIASCAPE_DOMAIN_TYPE").as_deref() {
        Ok("kvm") => Ok(Some(DomainType::Kvm)),
        Ok("qemu") => Ok(Some(DomainType::Qemu)),
        Ok("") | Err(std::env::VarError::NotPresent) => Ok(None),
        Ok(other) => Err(bad_type(other)),
        Err(std::env::VarError::NotUnicode(_)) => Err(bad_type("(not text)")),
    }
}

fn bad_type(value: &str) -> StepError {
    StepError::Ours {
        kind: ErrorKind::Failed,
        message: format!("MINIASCAPE_DOMAIN_TYPE is `{value}`, which is no domain type"),
        hint: Some("set it to `kvm` or `qemu`, or unset it".into()),
    }
}

/// The type for guests of the host's architecture.
fn domain_type(
    capabilities: &Element,
    arch: &str,
    kvm_works: impl FnOnce() -> bool,
) -> Option<DomainType> {
    let offers = |wanted: &str| {
        capabilities
            .children_named("guest")
            .filter_map(|guest| guest.child("arch"))
            .filter(|element| element.attribute("name") == Some(arch))
            .flat_map(|element| element.children_named("domain"))
            .any(|domain| domain.attribute("type") == Some(wanted))
    };
    if offers("kvm") && kvm_works() {
        Some(DomainType::Kvm)
    } else if offers("qemu") {
        Some(DomainType::Qemu)
    } else {
        None
    }
}

/// Scheme, host and path of a URI, the query left out.
fn parts(uri: &str) -> (&str, &str, &str) {
    let uri = uri.split(['?', '#']).next().unwrap_or(uri);
    let (scheme, rest) = uri.split_once("://").unwrap_or((uri, ""));
    let (host, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    (scheme, host, path)
}

fn is_session(uri: &str) -> bool {
    parts(uri).2 == "/session"
}

fn is_local(uri: &str) -> bool {
    let (scheme, host, _) = parts(uri);
    host.is_empty()
        && scheme
            .split_once('+')
            .is_none_or(|(_, transport)| transport == "unix")
}

/// Whether connections of one URI are to one daemon on this machine: each to the test driver is a world of its own.
pub(super) fn is_daemon_here(uri: &str) -> bool {
    is_local(uri) && !parts(uri).0.starts_with("test")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_tell_where_and_as_whom() {
        assert!(is_local("qemu:///system") && !is_session("qemu:///system"));
        assert!(
            is_local("qemu+unix:///session?socket=/a")
                && is_session("qemu+unix:///session?socket=/a")
        );
        assert!(!is_local("qemu+ssh://root@host/system"));
        assert!(!is_local("qemu://host/system"));
        assert!(is_daemon_here("qemu:///system"));
        assert!(!is_daemon_here("test:///default") && !is_daemon_here("qemu+ssh://host/system"));
    }

    #[test]
    fn kvm_is_chosen_only_where_it_works() {
        let both = Element::parse(
            "<capabilities><guest><arch name='i686'><domain type='qemu'/></arch></guest>\
             <guest><arch name='x86_64'><domain type='qemu'/><domain type='kvm'/></arch></guest></capabilities>",
        )
        .unwrap();
        assert_eq!(domain_type(&both, "x86_64", || true), Some(DomainType::Kvm));
        assert_eq!(
            domain_type(&both, "x86_64", || false),
            Some(DomainType::Qemu)
        );
        assert_eq!(domain_type(&both, "i686", || true), Some(DomainType::Qemu));
        assert_eq!(
            domain_type(&Element::new("capabilities"), "x86_64", || true),
            None
        );
    }
}
