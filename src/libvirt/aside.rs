//! Calls that may never come back. What asks a guest's QEMU something waits for its answer, and one that hangs gives none; libvirt
//! waits with it. So these are made on a thread of their own, which is left behind where nothing comes.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use virt::domain::Domain;
use virt::error::Error;

use super::error::StepError;
use super::port::ErrorKind;
use super::raw::Held;

/// How long QEMU may take for an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

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
pub(super) fn answer<T>(asked: &Receiver<Result<T, Error>>) -> Result<T, StepError> {
    match asked.recv_timeout(PATIENCE) {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(unanswered(PATIENCE)),
    }
}

/// What ends a waiting.
pub(super) fn interruption() -> StepError {
    StepError::Ours {
        kind: ErrorKind::Interrupted,
        message: "interrupted".to_owned(),
        hint: None,
    }
}

/// Says that QEMU gave no answer.
pub(super) fn unanswered(patience: Duration) -> StepError {
    StepError::Ours {
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
