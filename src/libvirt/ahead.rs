//! A look at libvirt that goes on while the definition is read: reading is waiting for libvirt, most of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use super::connection::Connection;
use super::error::Trouble;
use super::keepalive::Patience;
use super::observe::{Ground, Said};
use super::observed::Observed;
use super::{ErrorKind, HypervisorError, Scope};
use crate::state::seen::Seen;

/// What a look that has begun will bring. Who does not want it any more drops it.
pub struct Ahead {
    begun: Receiver<Result<(Arc<Connection>, Look), HypervisorError>>,
}

/// A look at libvirt that is under way.
pub struct Look {
    ground: Receiver<Result<Ground, Trouble>>,
    said: Receiver<Result<Said, Trouble>>,
}

impl Ahead {
    /// Connects and begins to look, on threads of their own.
    pub fn begin(uri: Option<String>, patience: Option<Patience>) -> Self {
        let (tell, begun) = channel();
        std::thread::spawn(move || {
            let connected = Connection::open_within(uri.as_deref(), patience).map(|connection| {
                let connection = Arc::new(connection);
                let look = connection.begin_to_look();
                (connection, look)
            });
            // Nobody listens any more where the definition is wrong.
            let _ = tell.send(connected);
        });
        Self { begun }
    }

    /// The connection, as soon as there is one, and what goes on over it.
    pub fn connection(self) -> Result<(Arc<Connection>, Look), HypervisorError> {
        self.begun.recv().map_err(|_| broken())?
    }
}

impl Connection {
    /// Begins to look, on threads of their own.
    pub fn begin_to_look(self: &Arc<Self>) -> Look {
        let (tell_ground, ground) = channel();
        let (tell_said, said) = channel();
        let (first, second) = (self.clone(), self.clone());
        std::thread::spawn(move || drop(tell_ground.send(first.ground())));
        std::thread::spawn(move || drop(tell_said.send(second.ask())));
        Look { ground, said }
    }

    /// What the definitions of a lab depend on, in scope; networks and guests are left out.
    pub fn first_look(
        &self,
        look: &Look,
        scope: &Scope,
        seen: &Seen,
    ) -> Result<Observed, HypervisorError> {
        let ground = look.ground.recv().map_err(|_| broken())?;
        ground
            .and_then(|ground| self.look_at_volumes(ground, scope, seen))
            .map_err(reading)
    }

    /// The rest.
    pub fn second_look(
        &self,
        look: &Look,
        observed: &mut Observed,
        seen: &Seen,
    ) -> Result<(), HypervisorError> {
        let said = look.said.recv().map_err(|_| broken())?;
        said.and_then(|said| self.look_at_rest(observed, said, seen))
            .map_err(reading)
    }
}

impl Connection {
    /// Looks at all networks and at these guests again; the rest is as it was observed.
    pub fn look_again(
        &self,
        observed: &mut Observed,
        guests: &BTreeSet<String>,
        seen: &Seen,
    ) -> Result<(), HypervisorError> {
        self.look_at_some(observed, guests, seen).map_err(reading)
    }
}

pub(super) fn reading(trouble: Trouble) -> HypervisorError {
    trouble.during("read what is there")
}

/// A thread ended without a word.
fn broken() -> HypervisorError {
    HypervisorError {
        kind: ErrorKind::Failed,
        message: "read what is there: the thread that reads panicked".into(),
        hint: Some("this is a bug in miniascape".into()),
    }
}
