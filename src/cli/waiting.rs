//! Says what is waited for where it takes long.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::Common;
use super::output::say;

/// What goes without a word until then.
const SHORT: Duration = Duration::from_secs(3);

/// A waiting for a hypervisor, which ends when this is dropped.
pub struct Waiting {
    _ends: Sender<()>,
}

/// Whom commands wait for.
#[derive(Debug, Clone)]
pub struct Whom {
    name: String,
    quiet: bool,
}

impl Whom {
    /// The hypervisor of a URI, or the one that libvirt chooses.
    pub fn new(common: &Common, uri: Option<&str>) -> Self {
        Self {
            name: uri.map_or_else(|| "libvirt".to_owned(), |uri| format!("libvirt at {uri}")),
            quiet: common.quiet,
        }
    }

    /// Begins to wait.
    pub fn wait(&self) -> Waiting {
        let (ends, end) = channel();
        let whom = self.clone();
        std::thread::spawn(move || {
            let long = end.recv_timeout(SHORT) == Err(RecvTimeoutError::Timeout);
            if long && !whom.quiet {
                say(&format!("waiting for {} to answer…", whom.name));
            }
        });
        Waiting { _ends: ends }
    }
}
