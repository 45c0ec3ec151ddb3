//! Changing a guest while it runs. Its definition has the change already; a guest that is off meanwhile needs no more.

use std::time::{Duration, Instant};

use virt::domain::Domain;
use virt::error::{Error, ErrorNumber};
use virt::sys;

use super::connection::Connection;
use super::error::{StepError, is_missing};
use super::observe::parse;
use super::perform::POLL;
use super::port::ErrorKind;
use super::raw::Held;
use crate::step::{MetadataPart, Named};
use crate::xml::merge::like;
use crate::xml::tree::Element;

/// Where devices are.
const DEVICES: &str = "domain/devices";
/// When a guest is asked again for a device: one that was still booting did not hear.
const ASK_AGAIN: Duration = Duration::from_secs(10);

impl Connection {
    /// The guest, if it runs.
    fn running(&self, name: &Named) -> Result<Option<Held<Domain>>, StepError> {
        let guest = self.guest(name)?;
        let active = guest.is_active()?;
        Ok(active.then_some(guest))
    }

    pub(super) fn set_memory(&self, name: &Named, kib: u64) -> Result<(), StepError> {
        match self.running(name)? {
            Some(guest) => Ok(guest.set_memory_flags(kib, sys::VIR_DOMAIN_AFFECT_LIVE)?),
            None => Ok(()),
        }
    }

    pub(super) fn set_vcpus(&self, name: &Named, count: u32) -> Result<(), StepError> {
        match self.running(name)? {
            Some(guest) => Ok(guest.set_vcpus_flags(count, sys::VIR_DOMAIN_AFFECT_LIVE)?),
            None => Ok(()),
        }
    }

    pub(super) fn set_metadata(
        &self,
        name: &Named,
        part: &MetadataPart,
        value: Option<&str>,
    ) -> Result<(), StepError> {
        let Some(guest) = self.running(name)? else {
            return Ok(());
        };
        let (kind, key, uri) = match part {
            MetadataPart::Title => (sys::VIR_DOMAIN_METADATA_TITLE, None, None),
            MetadataPart::Description => (sys::VIR_DOMAIN_METADATA_DESCRIPTION, None, None),
            MetadataPart::Element { key, uri } => (
                sys::VIR_DOMAIN_METADATA_ELEMENT,
                Some(key.as_str()),
                Some(uri.as_str()),
            ),
        };
        let kind = i32::try_from(kind).map_err(|_| StepError::ours("no kind of metadata"))?;
        Ok(guest.set_metadata(kind, value, key, uri, sys::VIR_DOMAIN_AFFECT_LIVE)?)
    }

    pub(super) fn update_device(&self, name: &Named, xml: &Element) -> Result<(), StepError> {
        let Some(guest) = self.running(name)? else {
            return Ok(());
        };
        match guest.update_device_flags(&xml.to_string(), sys::VIR_DOMAIN_AFFECT_LIVE) {
            Err(error) if is_locked(&error) => Err(StepError::Ours {
                kind: ErrorKind::Failed,
                message: error.message().trim().to_owned(),
                hint: Some(
                    "the guest holds its drive locked: unmount and eject the medium inside, and apply again"
                        .to_owned(),
                ),
            }),
            result => Ok(result?),
        }
    }

    /// Plugs a device in where its definition has it, so that its place stays when the guest restarts; where that is taken,
    /// wherever there is room.
    pub(super) fn attach_device(&self, name: &Named, xml: &Element) -> Result<(), StepError> {
        let Some(guest) = self.running(name)? else {
            return Ok(());
        };
        let now = parse(&guest.xml_desc(sys::VIR_DOMAIN_XML_SECURE)?)?;
        if find(&now, xml).is_some() {
            return Ok(());
        }
        let flags = sys::VIR_DOMAIN_XML_INACTIVE | sys::VIR_DOMAIN_XML_SECURE;
        let defined = parse(&guest.xml_desc(flags)?)?;
        let attach = |xml: &Element| {
            guest.attach_device_flags(&xml.to_string(), sys::VIR_DOMAIN_AFFECT_LIVE)
        };
        let address = find(&defined, xml).and_then(|device| device.child("address"));
        if let (Some(address), None) = (address, xml.child("address"))
            && attach(&xml.clone().with_child(address.clone())).is_ok()
        {
            return Ok(());
        }
        Ok(attach(xml)?)
    }

    pub(super) fn detach_device(
        &self,
        name: &Named,
        xml: &Element,
        timeout: Duration,
    ) -> Result<(), StepError> {
        let Some(guest) = self.running(name)? else {
            return Ok(());
        };
        let begin = Instant::now();
        let mut asked: Option<Instant> = None;
        loop {
            let now = match guest.xml_desc(sys::VIR_DOMAIN_XML_SECURE) {
                Ok(now) => parse(&now)?,
                Err(error) if is_missing(&error) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            if find(&now, xml).is_none() || !guest.is_active()? {
                return Ok(());
            }
            if begin.elapsed() >= timeout {
                return Err(unanswered(name, timeout));
            }
            if asked.is_none_or(|when| when.elapsed() >= ASK_AGAIN) {
                asked = Some(Instant::now());
                match guest.detach_device_flags(&xml.to_string(), sys::VIR_DOMAIN_AFFECT_LIVE) {
                    Ok(()) => continue,
                    Err(error) if is_under_way(&error) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            std::thread::sleep(POLL.min(timeout.saturating_sub(begin.elapsed())));
        }
    }
}

/// The device of a guest that is the same as another.
fn find<'a>(guest: &'a Element, device: &Element) -> Option<&'a Element> {
    like(DEVICES, device, &guest.child("devices")?.children)
}

/// Whether the guest holds a CD in its drive.
fn is_locked(error: &Error) -> bool {
    let message = error.message();
    message.contains("locked") || message.contains("tray")
}

/// Whether a device went meanwhile, or is on its way out.
fn is_under_way(error: &Error) -> bool {
    error.code().is(ErrorNumber::DeviceMissing)
        || error.code().is(ErrorNumber::OperationInvalid)
        || error.message().contains("process of unplug")
}

fn unanswered(name: &Named, timeout: Duration) -> StepError {
    StepError::Ours {
        kind: ErrorKind::Failed,
        message: format!(
            "the guest did not let go of it within {} s",
            timeout.as_secs()
        ),
        hint: Some(format!(
            "it is out of the definition and goes with the next restart: apply again once {name} is up, or let \
             `miniascape apply --restart-pending` restart it"
        )),
    }
}
