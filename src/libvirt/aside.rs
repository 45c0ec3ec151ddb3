//! Calls that may never come back. What asks a guest's QEMU something waits for its answer, and one that hangs gives none; libvirt
//! waits with it. So these are made on a thread of their own, which is left behind where nothing comes.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use virt::domain::Domain;
use virt::error::Error;

use super::connection::Connection;
use super::error::Trouble;
use super::perform::POLL;
use super::raw::Held;
use super::{ErrorKind, Monitor, Outcome, Unwatched};
use crate::step::Step;

/// How long QEMU may take for an answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long after a signal: what works comes to its end meanwhile.
const GRACE: Duration = Duration::from_secs(5);

/// Makes a call on a thread of its own.
pub(super) fn aside<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (tell, told) = channel();
    // Where nobody waits any more, nobody wants to know.
    std::thread::spawn(move || drop(tell.send(call())));
    told
}

/// Asks something of a guest's QEMU.
pub(super) fn asked<T: Send + 'static>(
    guest: &Domain,
    ask: impl FnOnce(&Domain) -> Result<T, Error> + Send + 'static,
) -> Receiver<Result<T, Error>> {
    let guest = Held::new(guest.clone());
    aside(move || ask(&guest))
}

/// Waits for what was asked.
pub(super) fn answer<T>(asked: &Receiver<Result<T, Error>>) -> Result<T, Trouble> {
    match asked.recv_timeout(PATIENCE) {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(unanswered(PATIENCE)),
    }
}

impl Connection {
    /// Does a step; one that asks a guest's QEMU is given up when that does not answer, and soon after a signal.
    pub(super) fn run_to_an_end(
        &self,
        step: &Step,
        monitor: &dyn Monitor,
    ) -> Result<Outcome, Trouble> {
        let (grace, patience) = match step {
            // Waits for the guest, and so is broken off like any waiting.
            Step::DetachDevice { timeout, .. } => {
                (Duration::ZERO, Duration::from_secs(*timeout) + PATIENCE)
            }
            Step::SetMemory { .. }
            | Step::SetVcpus { .. }
            | Step::UpdateDevice { .. }
            | Step::AttachDevice { .. }
            | Step::SetMetadata { .. }
            | Step::GrowVolume { guest: Some(_), .. } => (GRACE, PATIENCE),
            _ => return self.run(step, monitor),
        };
        let (connection, step) = (self.again(), step.clone());
        let done = aside(move || connection.run(&step, &Unwatched));
        let begin = Instant::now();
        let mut interrupted: Option<Instant> = None;
        loop {
            match done.recv_timeout(POLL) {
                Ok(done) => return done,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Trouble::ours("the step panicked"));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if monitor.is_interrupted()
                && interrupted.get_or_insert_with(Instant::now).elapsed() >= grace
            {
                return Err(interruption());
            }
            if begin.elapsed() >= patience {
                return Err(unanswered(patience));
            }
        }
    }
}

/// What ends a waiting.
pub(super) fn interruption() -> Trouble {
    Trouble::Ours {
        kind: ErrorKind::Interrupted,
        message: "interrupted".to_owned(),
        hint: None,
    }
}

fn unanswered(patience: Duration) -> Trouble {
    Trouble::Ours {
        kind: ErrorKind::Failed,
        message: format!(
            "the guest's QEMU did not answer within {} s",
            patience.as_secs()
        ),
        hint: Some(
            "if it hangs, stop the guest by force with `virsh destroy`, and apply again".to_owned(),
        ),
    }
}
