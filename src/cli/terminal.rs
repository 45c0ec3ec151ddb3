//! The terminal that a run draws on.

use std::io::stderr;

use rustix::process::getpgrp;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

/// A terminal that does not show `^C` until this is dropped: that would move what changes in place a line down, and leave it there.
#[derive(Debug)]
pub(super) struct Unechoed {
    before: Termios,
}

impl Unechoed {
    /// `None` where there is no such terminal, or where it is not ours: who changes it from the background is stopped.
    pub fn begin() -> Option<Self> {
        let before = tcgetattr(stderr()).ok()?;
        let is_ours = tcgetpgrp(stderr()).is_ok_and(|group| group == getpgrp());
        if !is_ours || !before.local_modes.contains(LocalModes::ECHOCTL) {
            return None;
        }
        let mut changed = before.clone();
        changed.local_modes.remove(LocalModes::ECHOCTL);
        tcsetattr(stderr(), OptionalActions::Now, &changed).ok()?;
        Some(Self { before })
    }
}

impl Drop for Unechoed {
    fn drop(&mut self) {
        // From the background it would stop the process.
        if tcgetpgrp(stderr()).is_ok_and(|group| group == getpgrp()) {
            let _ = tcsetattr(stderr(), OptionalActions::Now, &self.before);
        }
    }
}
