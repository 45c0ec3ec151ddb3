//! Asking libvirt ahead, while the definition is read: reading is waiting for libvirt, most of it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use super::connection::Connection;
use super::error::StepError;
use super::keepalive::Patience;
use super::port::{ErrorKind, HypervisorError};
use super::said::{Asked, Basics, Said};

/// A connection that is opened meanwhile, over which is asked what is there. Who does not want it any more drops it.
pub struct Ahead {
    begun: Receiver<Result<Arc<Connection>, HypervisorError>>,
}

impl Ahead {
    /// Connects and asks, on threads of their own.
    pub fn begin(uri: Option<String>, patience: Option<Patience>) -> Self {
        let (tell, begun) = channel();
        std::thread::spawn(move || {
            let connected = Connection::open_within(uri.as_deref(), patience).map(|connection| {
                *connection.asked.lock() = Some(connection.begin());
                Arc::new(connection)
            });
            // Nobody listens any more where the definition is wrong.
            let _ = tell.send(connected);
        });
        Self { begun }
    }

    /// The connection, as soon as there is one.
    pub fn connection(self) -> Result<Arc<Connection>, HypervisorError> {
        self.begun.recv().map_err(|_| broken().during("connect"))?
    }
}

impl Connection {
    /// Does not go by what was asked for ahead.
    pub fn ask_again(&self) {
        *self.asked.lock() = None;
    }

    /// Asks for all, on threads of their own.
    fn begin(&self) -> Asked {
        let (tell_basics, basics) = channel();
        let (tell_said, said) = channel();
        let (first, second) = (self.again(), self.again());
        std::thread::spawn(move || drop(tell_basics.send(first.basics())));
        std::thread::spawn(move || drop(tell_said.send(second.ask())));
        Asked { basics, said }
    }

    /// What comes first; the rest is asked for meanwhile.
    pub(super) fn asked_basics(&self) -> Result<Basics, StepError> {
        let asked = self.asked.lock().take();
        let Asked { basics, said } = asked.unwrap_or_else(|| self.begin());
        *self.rest.lock() = Some(said);
        basics.recv().map_err(|_| broken())?
    }

    /// The rest.
    pub(super) fn asked_rest(&self) -> Result<Said, StepError> {
        let rest = self.rest.lock().take();
        match rest {
            Some(rest) => rest.recv().map_err(|_| broken())?,
            None => self.ask(),
        }
    }
}

/// A thread ended without a word.
fn broken() -> StepError {
    StepError::Ours {
        kind: ErrorKind::Failed,
        message: "the thread that reads panicked".into(),
        hint: Some("this is a bug in miniascape".into()),
    }
}
