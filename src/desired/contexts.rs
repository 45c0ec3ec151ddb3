//! What templates see: the guest, its networks, the whole lab. `docs/templates.md` describes it to users.
//!
//! A lab is put into minijinja's values once, and shared by all guests: it would be by far the largest part of each.

use std::collections::BTreeMap;

use minijinja::Value;
use minijinja::value::Serde;
use serde::Serialize;

use crate::lab::model::{Guest, InterfaceSource, Lab};

/// The values of a lab that templates see.
#[derive(Debug)]
pub struct Contexts<'a> {
    lab: &'a Lab,
    lab_value: Value,
    host: Value,
    guests: BTreeMap<&'a str, Value>,
    networks: BTreeMap<&'a str, Value>,
}

impl<'a> Contexts<'a> {
    /// Takes a lab as it is.
    pub fn new(lab: &'a Lab) -> Self {
        let guests: BTreeMap<&str, Value> = lab
            .guests
            .iter()
            .map(|(key, guest)| (key.as_str(), value(guest)))
            .collect();
        let networks: BTreeMap<&str, Value> = lab
            .networks
            .iter()
            .map(|(key, network)| (key.as_str(), value(network)))
            .collect();
        let host = value(&lab.host);
        let lab_value = Value::from_pairs([
            ("name", Value::from(lab.name.as_str())),
            ("networks", Value::from_pairs(networks.clone())),
            ("pools", value(&lab.pools)),
            ("images", value(&lab.images)),
            ("guests", Value::from_pairs(guests.clone())),
            ("host", host.clone()),
        ]);
        Self {
            lab,
            lab_value,
            host,
            guests,
            networks,
        }
    }

    /// What a template for a guest sees. `dst` is where the text goes, `more` what only this kind of template sees.
    pub fn guest(&self, guest: &Guest, dst: &str, more: Vec<(&'static str, Value)>) -> Value {
        let networks = guest.interfaces.iter().filter_map(|nic| match &nic.source {
            InterfaceSource::Network { network, .. } => {
                let value = self.networks.get(network.as_str())?;
                Some((network.as_str(), value.clone()))
            }
            InterfaceSource::Bridge { .. }
            | InterfaceSource::Direct { .. }
            | InterfaceSource::User => None,
        });
        let own = self.guests.get(guest.key.as_str()).cloned();
        let mut context = vec![
            ("guest", own.unwrap_or_else(|| value(guest))),
            ("networks", Value::from_pairs(networks)),
            ("vars", value(&guest.vars)),
        ];
        context.extend(more);
        // The lab last: it is long where all is printed.
        context.extend(self.common(dst));
        Value::from_pairs(context)
    }

    /// What a template for the host sees.
    pub fn host(&self, dst: &str, more: Vec<(&'static str, Value)>) -> Value {
        let mut context = self.common(dst);
        context.extend(more);
        Value::from_pairs(context)
    }

    /// The lab that is seen.
    pub fn lab(&self) -> &'a Lab {
        self.lab
    }

    fn common(&self, dst: &str) -> Vec<(&'static str, Value)> {
        vec![
            ("dst", Value::from(dst)),
            ("host", self.host.clone()),
            ("lab", self.lab_value.clone()),
        ]
    }
}

/// A value of ours as templates see it: as it serialises.
fn value<T: Serialize>(of: &T) -> Value {
    Value::from(Serde(of))
}
