//! Says what is waited for where it takes long.

use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use super::Common;
use super::run::kind;
use crate::view::progress::{Kind, waiting};

/// A waiting, which ends when this is dropped.
pub struct Waiting {
    /// The thread that tells of it, which ends when nobody holds the other end.
    telling: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Waiting {
    /// Begins to wait for what the text says.
    pub fn begin(kind: Kind, text: String) -> Self {
        let (ends, end) = channel();
        let thread = std::thread::spawn(move || waiting(kind, &text, &end));
        Self {
            telling: Some((ends, thread)),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some((ends, thread)) = self.telling.take() {
            drop(ends);
            // What comes next begins where its line was.
            let _ = thread.join();
        }
    }
}

/// Whom commands wait for.
#[derive(Debug, Clone)]
pub struct Whom {
    name: String,
    kind: Kind,
}

impl Whom {
    /// The hypervisor of a URI, or the one that libvirt chooses.
    pub fn new(common: &Common, uri: Option<&str>) -> Self {
        Self {
            name: uri.map_or_else(|| "libvirt".to_owned(), |uri| format!("libvirt at {uri}")),
            kind: kind(common.quiet),
        }
    }

    /// Begins to wait.
    pub fn wait(&self) -> Waiting {
        Waiting::begin(self.kind, format!("waiting for {} to answer…", self.name))
    }
}
