//! Addresses: how a lab names its resources, and the names they are made of.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::diagnostic::{names, near};

/// The namespace of every UUID that miniascape derives (RFC 9562, version 5).
const NAMESPACE: Uuid = Uuid::from_u128(0x6d69_6e69_6173_5361_8070_6500_0000_0001);

/// Names one thing of a definition: letters, digits and `. _ + -`, beginning with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Says that a text is not a [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name consists of letters, digits and `. _ + -`, begins with a letter or digit, and has at most 63 characters"
)]
pub struct InvalidName;

impl Name {
    /// Checks a text and makes it a name.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
        let text = text.into();
        let ok = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-');
        let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if starts && text.len() <= 63 && text.chars().all(ok) {
            Ok(Self(text))
        } else {
            Err(InvalidName)
        }
    }

    /// The text of the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for Name {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        Self::new(text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The kinds of resources, in the order in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A libvirt network.
    Network,
    /// What the lab has a network that is not its own reserve for guests.
    Reservations,
    /// A storage pool.
    Pool,
    /// A volume uploaded from a file, which other volumes can be overlays of.
    Image,
    /// A disk of a guest that miniascape makes.
    Volume,
    /// A guest; libvirt calls it a domain.
    Guest,
}

impl Kind {
    /// Every kind, in order.
    pub const ALL: [Kind; 6] = [
        Kind::Network,
        Kind::Reservations,
        Kind::Pool,
        Kind::Image,
        Kind::Volume,
        Kind::Guest,
    ];

    /// The word that addresses begin with.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Network => "network",
            Kind::Reservations => "reservations",
            Kind::Pool => "pool",
            Kind::Image => "image",
            Kind::Volume => "volume",
            Kind::Guest => "guest",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Names a resource of a lab: `network.front`, `guest.web1`, `volume.web1.root`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    /// What sort of resource it is.
    pub kind: Kind,
    /// The name within its kind; for a volume `GUEST.DISK`.
    pub name: String,
}

/// Says that a text is not an [`Address`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address such as `network.front`, `guest.web1` or `volume.web1.root`")]
pub struct InvalidAddress(String);

impl Address {
    /// What comes before every address of a kind, to look for those among sorted ones.
    pub fn first(kind: Kind) -> Self {
        Self::of(kind, "")
    }

    /// The address of a network of the lab.
    pub fn network(name: &Name) -> Self {
        Self::of(Kind::Network, name.as_str())
    }

    /// The address of the reservations on an external network.
    pub fn reservations(network: &Name) -> Self {
        Self::of(Kind::Reservations, network.as_str())
    }

    /// The address of a storage pool of the lab.
    pub fn pool(name: &Name) -> Self {
        Self::of(Kind::Pool, name.as_str())
    }

    /// The address of an image of the lab.
    pub fn image(name: &Name) -> Self {
        Self::of(Kind::Image, name.as_str())
    }

    /// The address of the volume that is a guest's disk.
    pub fn volume(guest: &Name, disk: &Name) -> Self {
        Self::of(Kind::Volume, &format!("{guest}.{disk}"))
    }

    /// The address of a guest of the lab.
    pub fn guest(name: &Name) -> Self {
        Self::of(Kind::Guest, name.as_str())
    }

    fn of(kind: Kind, name: &str) -> Self {
        Self {
            kind,
            name: name.to_owned(),
        }
    }

    /// The UUID that the resource at this address has in libvirt: version 5 from lab and address,
    /// so that defining it twice is the same as once, and that it proves whose the object is.
    pub fn uuid(&self, lab: &Name) -> Uuid {
        Uuid::new_v5(&NAMESPACE, format!("{lab}/{self}").as_bytes())
    }

    /// The UUID of a resource that is made here while one that was made here before has moved; `number` counts from 2.
    pub fn another_uuid(&self, lab: &Name, number: u32) -> Uuid {
        Uuid::new_v5(&NAMESPACE, format!("{lab}/{self}/{number}").as_bytes())
    }
}

impl Address {
    /// A hint for an address that is none of these: the one of its kind that is spelled alike, or those that there are.
    pub fn meant<'a>(&self, known: impl IntoIterator<Item = &'a Address>) -> Option<String> {
        let known = known
            .into_iter()
            .filter(|address| address.kind == self.kind);
        let known: Vec<&Address> = known.collect();
        if let Some(name) = near(&self.name, known.iter().map(|it| &*it.name)) {
            return Some(format!("did you mean `{}.{name}`?", self.kind));
        }
        let known: Vec<String> = known.iter().map(ToString::to_string).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        (!known.is_empty()).then(|| format!("there is {}", names(&known)))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}", self.kind.as_str(), self.name))
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let invalid = || InvalidAddress(text.to_owned());
        let (kind, name) = text.split_once('.').ok_or_else(invalid)?;
        let kind = Kind::ALL
            .into_iter()
            .find(|k| k.as_str() == kind)
            .ok_or_else(invalid)?;
        let parts_ok = match kind {
            Kind::Volume => name
                .split_once('.')
                .is_some_and(|(guest, disk)| Name::new(guest).is_ok() && Name::new(disk).is_ok()),
            Kind::Network | Kind::Reservations | Kind::Pool | Kind::Image | Kind::Guest => {
                Name::new(name).is_ok()
            }
        };
        if parts_ok {
            Ok(Self::of(kind, name))
        } else {
            Err(invalid())
        }
    }
}

impl TryFrom<String> for Address {
    type Error = InvalidAddress;

    fn try_from(text: String) -> Result<Self, InvalidAddress> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["web1", "debian-12", "a.b_c+d", "9"] {
            assert!(Name::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", ".a", "a b", "ü", "a/b", &"x".repeat(64)] {
            assert_eq!(Name::new(bad), Err(InvalidName), "{bad}");
        }
    }

    #[test]
    fn addresses_are_read_and_written() {
        for text in [
            "network.front",
            "volume.web1.root",
            "volume.a.b.root",
            "guest.web.1",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for bad in ["front", "host.a", "volume.web1", "guest.", "guest.a b"] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_meant_is_of_the_same_kind_and_spelled_alike() {
        let known = ["guest.web", "guest.db", "network.mail"].map(|it| it.parse().unwrap());
        let meant = |text: &str| text.parse::<Address>().unwrap().meant(&known);
        assert_eq!(meant("guest.wbe").unwrap(), "did you mean `guest.web`?");
        let all = "there is `guest.web` and `guest.db`";
        assert_eq!(meant("guest.mail").unwrap(), all);
        assert_eq!(meant("pool.web"), None);
    }

    #[test]
    fn uuids_are_derived_from_lab_and_address() {
        let lab = Name::new("shop").unwrap();
        let web: Address = "guest.web1".parse().unwrap();
        assert_eq!(web.uuid(&lab), web.uuid(&lab));
        assert_ne!(web.uuid(&lab), web.uuid(&Name::new("shop2").unwrap()));
        assert_eq!(web.uuid(&lab).get_version_num(), 5);
    }
}
