//! What the fake does with guests.

use super::hotplug::{has_device, is_device};
use super::{Model, Object, Refusal, define, fill, get, get_mut, refuse};
use crate::libvirt::ErrorKind;
use crate::libvirt::observed::{InstallPhase, install_mark};
use crate::step::{Stage, StagePart};
use crate::xml::tree::Element;

impl Model {
    pub(super) fn define_guest(&mut self, xml: &Element) -> Result<(), Refusal> {
        define(&mut self.guests, "domain", xml, fill::guest(xml))
    }

    pub(super) fn rename_guest(&mut self, from: &str, to: &str) -> Result<(), Refusal> {
        let object = get(&self.guests, "guest", from)?;
        if object.live.is_some() {
            return refuse("cannot rename active domain");
        }
        if object.saved.is_some() {
            return refuse("domain with a managed saved state can't be renamed");
        }
        if object.snapshots {
            return refuse("cannot rename domain with snapshots");
        }
        if self.guests.contains_key(to) {
            return refuse(format!("domain with name '{to}' already exists"));
        }
        if let Some(mut object) = self.guests.remove(from) {
            to.clone_into(&mut object.xml.child_or_insert("name").text);
            self.guests.insert(to.to_owned(), object);
        }
        Ok(())
    }

    pub(super) fn discard_save(&mut self, name: &str) -> Result<(), Refusal> {
        get_mut(&mut self.guests, "guest", name)?.saved = None;
        Ok(())
    }

    pub(super) fn start_guest(&mut self, name: &str) -> Result<(), Refusal> {
        let object = get(&self.guests, "guest", name)?;
        if object.live.is_some() {
            return Ok(());
        }
        self.can_start(&object.xml)?;
        let object = get_mut(&mut self.guests, "guest", name)?;
        let saved = object.saved.take();
        object.live = Some(saved.unwrap_or_else(|| fill::running(&object.xml)));
        let uuid = object.uuid;
        self.installed.remove(&uuid);
        Ok(())
    }

    /// What libvirt looks for when a guest starts, and only then: its networks and its files.
    pub(super) fn can_start(&self, xml: &Element) -> Result<(), Refusal> {
        let Some(devices) = xml.child("devices") else {
            return Ok(());
        };
        for nic in devices.children_named("interface") {
            let Some(name) = nic.attribute_at("source", "network") else {
                continue;
            };
            match self.networks.get(name) {
                Some(network) if network.live.is_some() => {}
                Some(_) => return refuse(format!("network '{name}' is not active")),
                None => {
                    let text = format!("Network not found: no network with matching name '{name}'");
                    return Err((ErrorKind::NotFound, text));
                }
            }
        }
        for disk in devices.children_named("disk") {
            let in_pool = || {
                let pool = disk.attribute_at("source", "pool")?;
                let volume = disk.attribute_at("source", "volume")?;
                Some(self.volume_path(pool, volume))
            };
            let path = match (disk.attribute_at("source", "file"), in_pool()) {
                (Some(path), _) => path.to_owned(),
                (None, Some(path)) => path?,
                (None, None) => continue,
            };
            if !self.files.contains_key(&path) {
                return refuse(format!(
                    "Cannot access storage file '{path}': No such file or directory"
                ));
            }
        }
        Ok(())
    }

    pub(super) fn stage_install(&mut self, pool: &str, stage: &Stage) -> Result<(), Refusal> {
        for part in StagePart::ALL {
            let name = part.volume(&stage.guest);
            self.delete_volume(pool, &name)?;
            if part == StagePart::Seed && stage.seed.is_none() {
                continue;
            }
            let xml = Element::new("volume")
                .with_child(Element::new("name").with_text(name))
                .with_child(Element::new("capacity").with_text("0"));
            self.create_volume(pool, &xml)?;
        }
        Ok(())
    }

    /// An installer takes no time, and is always done.
    pub(super) fn await_install(&mut self, name: &str) -> Result<(), Refusal> {
        let object = get_mut(&mut self.guests, "guest", name)?;
        object.live = None;
        let uuid = object.uuid;
        self.installed.insert(uuid);
        Ok(())
    }

    /// Defines what is wanted, with what was given to its devices since the install was defined, and what came beside them.
    pub(super) fn settle_guest(
        &mut self,
        install: &Element,
        wanted: &Element,
    ) -> Result<(), Refusal> {
        let name = wanted.text_at("name").unwrap_or_default();
        let now = &get(&self.guests, "guest", name)?.xml;
        let mut settled = wanted.clone();
        let devices = settled.child_or_insert("devices");
        for device in now.child("devices").map_or(&[][..], |it| &it.children) {
            let mut wanted = devices.children.iter_mut();
            if let Some(wanted) = wanted.find(|it| is_device(it, device)) {
                wanted.children.extend(device.child("address").cloned());
            } else if !has_device(install, device) {
                devices.children.push(device.clone());
            }
        }
        self.define_guest(&settled)
    }

    pub(super) fn install_phase(&self, guest: &Object) -> Option<InstallPhase> {
        install_mark(&guest.xml)?;
        Some(match (&guest.live, self.installed.contains(&guest.uuid)) {
            (Some(_), _) => InstallPhase::Running,
            (None, true) => InstallPhase::Done,
            (None, false) => InstallPhase::Stopped,
        })
    }

    pub(super) fn undefine_guest(&mut self, name: &str) -> Result<(), Refusal> {
        match self.guests.get(name) {
            Some(object) if object.live.is_some() => {
                refuse("it is running; it would stay without a definition")
            }
            Some(_) | None => {
                self.guests.remove(name);
                Ok(())
            }
        }
    }
}
