//! The terminal that a run draws on: it does not show `^C` meanwhile, which would move what changes in place a line down, and leave it
//! there.

use std::io::stderr;

use parking_lot::{Mutex, MutexGuard};
use rustix::process::getpgrp;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

/// How the terminal was.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

fn before() -> MutexGuard<'static, Option<Termios>> {
    BEFORE.lock()
}

/// Whether it is ours to change: who does that from the background is stopped.
fn is_ours() -> bool {
    tcgetpgrp(stderr()).is_ok_and(|group| group == getpgrp())
}

/// Has it not show `^C`, where it does.
pub(super) fn hush() {
    let Ok(now) = tcgetattr(stderr()) else {
        return;
    };
    if !is_ours() || !now.local_modes.contains(LocalModes::ECHOCTL) {
        return;
    }
    let mut hushed = now.clone();
    hushed.local_modes.remove(LocalModes::ECHOCTL);
    *before() = Some(now);
    let _ = tcsetattr(stderr(), OptionalActions::Now, &hushed);
}

/// Makes it as it was. Whatever ends the process after [`hush`] does this first.
pub(super) fn restore() {
    if let Some(before) = before().take().filter(|_| is_ours()) {
        let _ = tcsetattr(stderr(), OptionalActions::Now, &before);
    }
}
