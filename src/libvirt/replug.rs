//! Restarting a network under its running guests.
//!
//! A network that stops takes its bridge along; once it is back, the taps of running guests hang on no bridge, and an
//! update of a NIC with what it already has does nothing. So each NIC is moved to a parking network and back: libvirt
//! puts the tap on the bridge again, and the guest's NIC is never unplugged.
//!
//! The parking network is there from before the network stops until all NICs are back. So it also tells the run after one
//! that was killed in between that there may be NICs to plug in ([`parking_name`]).

use parking_lot::Mutex;

use uuid::Uuid;
use virt::domain::Domain;
use virt::network::Network;
use virt::sys;

use super::aside::{answer, asked};
use super::connection::{Connection, if_there};
use super::error::{StepError, is_missing};
use super::observe::{inactive, parse};
use super::observed::parking_name;
use super::perform::defining;
use super::port::Outcome;
use super::raw::Held;
use crate::crash;
use crate::fingerprint::sha256;
use crate::step::Named;
use crate::xml::document::Document;
use crate::xml::tree::Element;

/// A parking network, which goes when this value does.
struct Parking {
    network: Held<Network>,
    place: Segment,
}

impl Drop for Parking {
    fn drop(&mut self) {
        // It is transient: stopping it removes it. Should that fail, the next restart removes it.
        let _ = self.network.destroy();
    }
}

/// What a NIC can hang on: a network, which some name by its bridge.
struct Segment {
    network: Named,
    bridge: Option<String>,
}

impl Segment {
    /// Where a network's NICs hang now, or would if it were started.
    fn of(network: &Network) -> Result<Self, StepError> {
        Ok(Self {
            network: Named::new(network.name()?, network.uuid()?),
            // One that only names devices of the host has none.
            bridge: network.bridge_name().ok(),
        })
    }

    fn holds(&self, nic: &Element) -> bool {
        let source = |name: &str| nic.attribute_at("source", name);
        // No bridge of the kernel takes a port of Open vSwitch, and that stays where it is: its switch is the host's.
        if nic.attribute_at("virtualport", "type") == Some("openvswitch") {
            return false;
        }
        match nic.attribute("type") {
            Some("bridge") => self.bridge.is_some() && source("bridge") == self.bridge.as_deref(),
            // One on a device of the host, by way of the network, is not on a bridge that goes.
            Some("network") => {
                source("network") == Some(&self.network.name) && source("dev").is_none()
            }
            Some(_) | None => false,
        }
    }

    /// A NIC as it is to be here: the live one, less what tells where it hangs now.
    fn put(&self, nic: &Element) -> Element {
        let is_by_bridge = nic.attribute("type") == Some("bridge");
        let mut nic = nic.clone();
        nic.children.retain(|child| child.name != "target");
        if let Some(source) = nic.child_mut("source") {
            source.remove_attribute("portid");
            match &self.bridge {
                Some(bridge) if is_by_bridge => source.set_attribute("bridge", bridge),
                Some(_) | None => {
                    source.remove_attribute("bridge");
                    source.set_attribute("network", &self.network.name);
                }
            }
        }
        nic
    }
}

/// The bridge of a network's parking network. It is named, since libvirt can give two processes the same bridge.
fn parking_bridge(network: &str) -> String {
    format!("park-{}", &sha256(network.as_bytes())[..10])
}

impl Connection {
    /// Stops a network, gives it its new definition, starts it, and plugs in the NICs of all running guests on it,
    /// whoever's they are. If it does not start, its old definition comes back.
    pub(super) fn restart_network(
        &self,
        name: &Named,
        xml: &Document,
    ) -> Result<Outcome, StepError> {
        let network = self.network(name)?;
        let before = inactive(sys::VIR_NETWORK_XML_INACTIVE, |flags| {
            network.xml_desc(flags)
        })?;
        let old = Segment::of(&network)?;
        self.define_network(xml)?;
        crash::point(format_args!("restart network {name}: defined"));
        let parking = self.parking_for(&old)?;
        let restarted = self.stop_network(name).and_then(|()| {
            crash::point(format_args!("restart network {name}: stopped"));
            self.start_network(name)
        });
        if restarted.is_err() {
            // The error that counts is the first one.
            let _ = self
                .define_network(&before.into())
                .and_then(|()| self.start_network(name));
        }
        crash::point(format_args!("restart network {name}: started"));
        let outcome = self.replug(&old, parking);
        restarted?;
        outcome
    }

    /// Starts a network and plugs in the NICs of running guests that were on it when it stopped, be it that somebody
    /// stopped it or that a restart was killed half-way.
    pub(super) fn start_network_and_replug(&self, name: &Named) -> Result<Outcome, StepError> {
        let network = self.network(name)?;
        if network.is_active()? {
            return Ok(Outcome::default());
        }
        let place = Segment::of(&network)?;
        let parking = self.parking_for(&place)?;
        self.start_network(name)?;
        self.replug(&place, parking)
    }

    /// Plugs these NICs in again, each a guest's name and a MAC. What is no network is a bridge of the host.
    pub(super) fn plug_in(
        &self,
        network: &str,
        nics: &[(String, String)],
    ) -> Result<Outcome, StepError> {
        /// One parking network serves all, and goes with the first that is done with it.
        static PARKED: Mutex<()> = Mutex::new(());
        let _alone = PARKED.lock();
        let home = match if_there(self.connect.lookup_network_by_name(network))? {
            Some(network) => Segment::of(&network)?,
            None => Segment {
                network: Named::new(network, Uuid::nil()),
                bridge: Some(network.to_owned()),
            },
        };
        let Some(parking) = self.parking_for(&home)? else {
            return Ok(Outcome::default());
        };
        let mut found = self.nics_on(&[&home, &parking.place])?;
        found.retain(|(guest, nic)| {
            let guest = guest.name().unwrap_or_default();
            let mac = nic.attribute_at("mac", "address").unwrap_or_default();
            nics.contains(&(guest, mac.to_owned()))
        });
        Ok(there_and_back(found, &parking.place, &home))
    }

    /// Removes the parking network that a killed run left of a network which goes.
    pub(super) fn remove_parking(&self, network: &str) -> Result<(), StepError> {
        self.left_parking(network).map(drop)
    }

    fn left_parking(&self, network: &str) -> Result<Option<Parking>, StepError> {
        let found = if_there(self.connect.lookup_network_by_name(&parking_name(network)))?;
        found
            .map(|network| {
                let place = Segment::of(&network)?;
                Ok(Parking { network, place })
            })
            .transpose()
    }

    /// The parking network for the NICs of a network: the one that a killed run left, with NICs on it perhaps, else a new one.
    /// `None` where no guest runs on the network.
    fn parking_for(&self, place: &Segment) -> Result<Option<Parking>, StepError> {
        if let Some(left) = self.left_parking(&place.network.name)? {
            return Ok(Some(left));
        }
        if self.nics_on(&[place])?.is_empty() {
            return Ok(None);
        }
        let bridge = parking_bridge(&place.network.name);
        let xml = Element::new("network")
            .with_child(Element::new("name").with_text(parking_name(&place.network.name)))
            .with_child(
                Element::new("bridge")
                    .with("name", &bridge)
                    .with("stp", "off")
                    .with("delay", "0"),
            )
            .with_child(Element::new("dns").with("enable", "no"));
        let _alone = defining();
        let network = Held::new(self.create_transient_network(&xml.to_string(), &bridge)?);
        let place = Segment::of(&network)?;
        Ok(Some(Parking { network, place }))
    }

    /// The NICs of running guests that hang at one of these places.
    fn nics_on(&self, places: &[&Segment]) -> Result<Vec<(Held<Domain>, Element)>, StepError> {
        let mut nics = Vec::new();
        for guest in Held::all(
            self.connect
                .list_all_domains(sys::VIR_CONNECT_LIST_DOMAINS_ACTIVE)?,
        ) {
            let xml = match guest.xml_desc(sys::VIR_DOMAIN_XML_SECURE) {
                Ok(xml) => parse(&xml)?,
                Err(error) if is_missing(&error) => continue,
                Err(error) => return Err(error.into()),
            };
            let Some(devices) = xml.child("devices") else {
                continue;
            };
            for nic in devices.children_named("interface") {
                if places.iter().any(|place| place.holds(nic)) {
                    nics.push((Held::new((*guest).clone()), nic.clone()));
                }
            }
        }
        Ok(nics)
    }

    /// Moves each NIC of a network that was started to the parking network and back, and notes which could not be.
    fn replug(&self, old: &Segment, parking: Option<Parking>) -> Result<Outcome, StepError> {
        let home = Segment::of(&*self.network(&old.network)?)?;
        let parking = match parking {
            Some(parking) => parking,
            // There was no NIC on it; one may have come in the last moment before it stopped.
            None => match self.parking_for(&home)? {
                Some(parking) => parking,
                None => return Ok(Outcome::default()),
            },
        };
        let nics = self.nics_on(&[old, &home, &parking.place])?;
        Ok(there_and_back(nics, &parking.place, &home))
    }
}

/// Moves each NIC to the parking network and to where it belongs, and notes which could not be.
fn there_and_back(
    nics: Vec<(Held<Domain>, Element)>,
    parking: &Segment,
    home: &Segment,
) -> Outcome {
    let mut failures = Vec::new();
    for (guest, nic) in nics {
        let update = |nic: &Element| {
            let nic = nic.to_string();
            answer(&asked(&guest, move |guest| {
                guest.update_device_flags(&nic, sys::VIR_DOMAIN_DEVICE_MODIFY_LIVE)
            }))
        };
        let mut parked = parking.put(&nic);
        if let Some(source) = parked.child_mut("source") {
            source.remove_attribute("portgroup");
        }
        // One at a time there and back, so that whoever kills this leaves at most one parked. Where parking fails,
        // the way back is tried all the same: it is right for one that was left parked.
        let parked = update(&parked);
        crash::point(format_args!(
            "restart network {}: a NIC is parked",
            home.network
        ));
        if let Err(error) = update(&home.put(&nic)).and(parked) {
            if error.is_missing() || !guest.is_active().unwrap_or(true) {
                continue;
            }
            let name = guest.name().unwrap_or_default();
            let mac = nic.attribute_at("mac", "address").unwrap_or("?");
            failures.push(format!("{mac} of guest {name} ({})", error.message()));
        }
    }
    Outcome::noted((!failures.is_empty()).then(|| {
        format!(
            "these could not be plugged in again and are cut off until they restart: {}",
            failures.join("; ")
        )
    }))
}
