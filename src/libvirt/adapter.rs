//! The port, on libvirt.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use super::aside::{PATIENCE, aside, interruption, unanswered};
use super::connection::Connection;
use super::error::{StepError, reading, translate};
use super::observed::{Addresses, Facts, Observed};
use super::offers::{Offers, Question};
use super::perform::POLL;
use super::port::{HypervisorError, Monitor, Observe, Outcome, Perform, Scope, Unwatched};
use crate::step::Step;

/// How long after a signal: what works comes to its end meanwhile.
const GRACE: Duration = Duration::from_secs(5);

impl Observe for Connection {
    fn uri(&self) -> Result<String, HypervisorError> {
        let uri = self.connect.uri();
        uri.map_err(|error| translate("ask for the connection's URI", &error))
    }

    fn observe(&self, scope: &Scope) -> Result<Observed, HypervisorError> {
        self.read_all(scope).map_err(reading)
    }

    fn observe_again(
        &self,
        observed: &mut Observed,
        guests: &BTreeSet<String>,
    ) -> Result<(), HypervisorError> {
        self.read_some(observed, guests).map_err(reading)
    }

    fn observe_jobs(
        &self,
        observed: &mut Observed,
        guests: &BTreeSet<String>,
    ) -> Result<bool, HypervisorError> {
        let asked = guests.iter().try_fold(false, |found, guest| {
            Ok(self.jobs_of(observed, guest)? || found)
        });
        asked.map_err(reading)
    }

    fn offers(
        &self,
        facts: &Facts,
        questions: &BTreeMap<u64, Question>,
    ) -> Result<Offers, HypervisorError> {
        self.ask_about(facts, questions).map_err(reading)
    }

    fn addresses(
        &self,
        observed: &Observed,
        guests: &BTreeSet<&str>,
    ) -> BTreeMap<String, Addresses> {
        self.addresses_of(observed, guests)
    }
}

impl Perform for Connection {
    fn perform(&self, step: &Step, monitor: &dyn Monitor) -> Result<Outcome, HypervisorError> {
        let does = |connection: &Self| connection.run_to_an_end(step, monitor);
        let done = match Busy::begin(&self.is_busy) {
            Some(_busy) => does(self),
            None => match self.other() {
                Some(other) => {
                    let done = does(&other);
                    self.free().push(other);
                    done
                }
                None => does(self),
            },
        };
        done.map_err(|error| error.during(&step.describe()))
    }
}

/// A step under way.
struct Busy<'a>(&'a AtomicBool);

impl<'a> Busy<'a> {
    /// Begins one, unless another is under way.
    fn begin(is_busy: &'a AtomicBool) -> Option<Self> {
        let was_busy = is_busy.swap(true, Ordering::Relaxed);
        (!was_busy).then_some(Self(is_busy))
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Connection {
    /// Does a step; one that asks a guest's QEMU is given up when that does not answer, and soon after a signal.
    fn run_to_an_end(&self, step: &Step, monitor: &dyn Monitor) -> Result<Outcome, StepError> {
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
                    return Err(StepError::ours("the step panicked"));
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
