//! What steps do to guests.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use virt::domain::Domain;
use virt::error::{Error, ErrorNumber};
use virt::sys;

use super::aside::{asked, interruption};
use super::connection::Connection;
use super::error::{StepError, is_missing, is_unsupported};
use super::observe::power_of;
use super::observed::Power;
use super::perform::{gone_is_fine, validated};
use super::port::{ErrorKind, Monitor, Outcome};
use super::raw::Held;
use crate::address::Kind;
use crate::step::Named;
use crate::xml::document::Document;

/// When the request is made again: a guest that was still booting did not hear the first.
const ASK_AGAIN: Duration = Duration::from_secs(10);

impl Connection {
    pub(super) fn define_guest(&self, xml: &Document) -> Result<(), StepError> {
        let (tree, xml) = (xml.tree(), &xml.text());
        let flag = sys::VIR_DOMAIN_DEFINE_VALIDATE;
        validated(Kind::Guest, &tree, flag, |flags| {
            self.connect
                .define_domain_xml_flags(xml, flags)
                .map(|domain| drop(Held::new(domain)))
        })
        .map_err(StepError::from)
    }

    pub(super) fn rename_guest(&self, from: &Named, to: &str) -> Result<(), StepError> {
        let guest = self.guest(from)?;
        guest.rename(to, 0).map_err(|error| {
            match guest.has_managed_save(0) {
                // libvirt does not rename what it has saved of a guest.
                Ok(true) => StepError::Ours {
                    kind: ErrorKind::Failed,
                    message: error.to_string(),
                    hint: Some(format!(
                        "start it, so that it goes on from where it was saved; or give that up: `virsh managedsave-remove {from}`"
                    )),
                },
                Ok(false) | Err(_) => error.into(),
            }
        })
    }

    pub(super) fn discard_save(&self, name: &Named) -> Result<(), StepError> {
        let guest = self.guest(name)?;
        if guest.has_managed_save(0)? {
            guest.managed_save_remove(0)?;
        }
        Ok(())
    }

    pub(super) fn start_guest(&self, name: &Named) -> Result<(), StepError> {
        let guest = self.guest(name)?;
        let started = match power_of(&guest)? {
            Power::Running => Ok(()),
            // One that went to sleep by itself has to be woken; libvirt refuses to resume it.
            Power::Paused => guest
                .resume()
                .or_else(|error| guest.pm_wakeup(0).map_err(|_| error)),
            Power::Crashed => {
                if guest.is_active()? {
                    guest.destroy()?;
                }
                guest.create()
            }
            Power::Off => guest.create(),
        };
        match started {
            Err(_) if power_of(&guest).is_ok_and(|power| power == Power::Running) => Ok(()),
            result => Ok(result?),
        }
    }

    pub(super) fn shutdown_guest(
        &self,
        name: &Named,
        timeout: Duration,
        monitor: &dyn Monitor,
    ) -> Result<Outcome, StepError> {
        let Some(guest) = self.find_guest(name)? else {
            return Ok(Outcome::default());
        };
        let begin = Instant::now();
        let mut asking: Option<(Instant, Receiver<Result<(), Error>>)> = None;
        loop {
            match power_of(&guest) {
                Ok(Power::Off) => return Ok(Outcome::default()),
                Ok(Power::Crashed) => {
                    force_off(&guest)?;
                    return Ok(Outcome::default());
                }
                Ok(Power::Paused | Power::Running) => {}
                Err(error) if is_missing(&error) => return Ok(Outcome::default()),
                Err(error) => return Err(error.into()),
            }
            if begin.elapsed() >= timeout {
                break;
            }
            if monitor.is_interrupted() {
                return Err(interruption());
            }
            let waited = begin.elapsed();
            let pause = pause(waited).min(timeout.saturating_sub(waited));
            let (when, answer) = asking.get_or_insert_with(|| (Instant::now(), asked(&guest, ask)));
            match answer.recv_timeout(pause) {
                // The next look comes at once: the test driver's guests stop within the call.
                Ok(Ok(())) => {}
                // It stopped meanwhile, is just starting or stopping, or does not answer somebody else: the next look tells.
                Ok(Err(error))
                    if error.code().is_any(vec![
                        ErrorNumber::OperationInvalid,
                        ErrorNumber::OperationTimeout,
                    ]) => {}
                Ok(Err(_)) if !guest.is_active().unwrap_or(true) => {}
                Ok(Err(error)) if is_missing(&error) => return Ok(Outcome::default()),
                Ok(Err(error)) if is_unsupported(&error) => break,
                Ok(Err(error)) => return Err(error.into()),
                Err(RecvTimeoutError::Timeout) => {}
                // It was asked and has answered.
                Err(RecvTimeoutError::Disconnected) if when.elapsed() >= ASK_AGAIN => asking = None,
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(pause),
            }
        }
        force_off(&guest)?;
        // Where no time was given, force was meant.
        Ok(Outcome::noted((!timeout.is_zero()).then(|| {
            format!(
                "guest {name} did not shut down within {} s and was stopped by force",
                timeout.as_secs()
            )
        })))
    }

    pub(super) fn delete_variables(&self, guest: &Named, xml: &Document) -> Result<(), StepError> {
        // They are in use.
        if self.guest(guest)?.is_active()? {
            return Err(StepError::ours("it is running"));
        }
        let holder = Named::of(&xml.tree()).ok_or_else(|| StepError::ours("it has no UUID"))?;
        self.define_guest(xml)?;
        self.undefine_guest(&holder)
    }

    pub(super) fn undefine_guest(&self, name: &Named) -> Result<(), StepError> {
        let Some(guest) = self.find_guest(name)? else {
            return Ok(());
        };
        if guest.is_active()? {
            return Err(StepError::ours(
                "it is running; it would stay without a definition",
            ));
        }
        let basic =
            sys::VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | sys::VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA;
        let more = basic | sys::VIR_DOMAIN_UNDEFINE_NVRAM;
        let checkpoints = more | sys::VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA;
        // From libvirt itself to drivers that know next to nothing. Without a word about it, what a TPM holds is deleted, but where
        // the definition says that it stays.
        for flags in [checkpoints, more, basic] {
            match guest.undefine_flags(flags) {
                Err(error) if is_unsupported(&error) => {}
                result => return gone_is_fine(result),
            }
        }
        gone_is_fine(guest.undefine())
    }
}

/// Asks a guest to shut down. One that stands still cannot hear.
fn ask(guest: &Domain) -> Result<(), Error> {
    if power_of(guest)? == Power::Paused && guest.resume().is_err() {
        let _ = guest.pm_wakeup(0);
    }
    guest.shutdown()
}

fn force_off(guest: &Domain) -> Result<(), StepError> {
    match guest.destroy() {
        Err(_) if !guest.is_active().unwrap_or(false) => Ok(()),
        result => gone_is_fine(result),
    }
}

/// How long until a guest that shuts down is looked at again: what took long may take a little longer.
fn pause(waited: Duration) -> Duration {
    (waited / 16).clamp(Duration::from_millis(10), Duration::from_millis(200))
}
