//! The system inside a guest, in words that every installer and cloud-init can be told.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use crate::address::Name;

/// How a guest is set up inside, whatever sets it up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct System {
    /// Locale, such as `en_US.UTF-8`.
    pub lang: String,
    /// Keyboard.
    pub keyboard: Keyboard,
    /// Zone of the tz database, such as `Europe/Berlin`.
    pub timezone: String,
    /// Time servers; none leaves it to the distribution.
    pub ntp: Vec<String>,
    /// The superuser.
    pub root: Root,
    /// Users, in the order written.
    pub users: Vec<User>,
    /// Packages.
    pub packages: Packages,
    /// Services that start with the system.
    pub services: Services,
    /// The firewall; `None` leaves it to the distribution.
    pub firewall: Option<Firewall>,
    /// SELinux; `None` leaves it to the distribution.
    pub selinux: Option<Selinux>,
    /// How the disks are laid out.
    pub storage: Storage,
    /// Package repositories beside the installer's own.
    pub repositories: Vec<Repository>,
    /// HTTP proxy for packages, as a URL.
    pub proxy: Option<String>,
    /// The guest's NICs as the system sees them.
    pub network: Vec<SystemNic>,
    /// The user's own scripts.
    pub scripts: Scripts,
    /// Whether a kernel that crashes writes a dump; `None` leaves it to the distribution.
    pub kdump: Option<bool>,
    /// Whether the installer and the system use the serial console.
    pub serial_console: bool,
    /// What the installer does at its end. `apply` takes any of them for the end.
    pub finish: Finish,
}

/// A keyboard, by the names of XKB.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Keyboard {
    /// Layout, such as `us`.
    pub layout: String,
    /// Variant, such as `nodeadkeys`.
    pub variant: Option<String>,
}

/// The superuser.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Root {
    /// Hash of the password (crypt(5)); without one the account is locked.
    pub password: Option<String>,
    /// Keys that may log in by SSH, in the form of `authorized_keys`.
    pub ssh_keys: Vec<String>,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// Login name.
    pub name: Name,
    /// The person's name, or what it is for.
    pub gecos: Option<String>,
    /// Numeric id; `None` leaves it to the system.
    pub uid: Option<u32>,
    /// Login shell; `None` leaves it to the system.
    pub shell: Option<String>,
    /// Hash of the password (crypt(5)); without one the password is locked.
    pub password: Option<String>,
    /// Further groups.
    pub groups: Vec<String>,
    /// Keys that may log in by SSH.
    pub ssh_keys: Vec<String>,
    /// A rule of sudoers(5) without the user, such as `ALL=(ALL) NOPASSWD: ALL`.
    pub sudo: Option<String>,
}

/// Packages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Packages {
    /// To install. With `@` before it, a group of packages (Red Hat), a pattern (SUSE) or a task (Debian).
    pub add: Vec<String>,
    /// To leave out or take away; patterns of a shell's, too.
    pub remove: Vec<String>,
    /// What becomes of those to install that are nowhere.
    pub missing: Missing,
}

/// What becomes of packages that are to be installed and are nowhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// The install fails, or asks.
    #[default]
    Fail,
    /// They are left out.
    Ignore,
}

/// Services, by the names of their units without `.service`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Services {
    /// Started with the system.
    pub enable: Vec<String>,
    /// Not started with the system.
    pub disable: Vec<String>,
}

/// The firewall. What is open is for incoming connections.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Firewall {
    /// Whether there is one.
    pub enabled: bool,
    /// Services that are open, such as `ssh`, by firewalld's names.
    pub services: Vec<String>,
    /// Ports that are open.
    pub ports: Vec<Port>,
}

/// A port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// `tcp` or `udp`.
    pub protocol: &'static str,
}

/// SELinux's mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Selinux {
    /// Denies.
    Enforcing,
    /// Only logs.
    Permissive,
    /// Off.
    Disabled,
}

/// How the disks are laid out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Storage {
    /// The whole first disk, in plain partitions.
    #[default]
    Auto,
    /// The whole first disk, as logical volumes.
    Lvm,
    /// In the installer's own words, which take the place of the template's.
    Custom {
        /// The text.
        text: String,
    },
}

/// A package repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repository {
    /// Its name in the lab, and in the system.
    pub name: Name,
    /// Where it is.
    pub url: String,
    /// URL of the key that signs it; without one signatures are not checked.
    pub key: Option<String>,
    /// Debian and Ubuntu: the suite, such as `bookworm`.
    pub suite: Option<String>,
    /// Debian and Ubuntu: the components.
    pub components: Vec<String>,
}

/// A NIC as the system sees it. It is known by its MAC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SystemNic {
    /// The NIC's name within the guest's definition.
    pub key: Name,
    /// MAC address in lower case.
    pub mac: String,
    /// Where its IPv4 address comes from.
    pub ipv4: Method,
    /// Where its IPv6 address comes from.
    pub ipv6: Method,
    /// Its static addresses with their prefix lengths.
    pub addresses: Vec<IpNet>,
    /// Gateways for static addresses, at most one of a family, on the first NIC that has one.
    pub gateways: Vec<IpAddr>,
    /// Name servers for static addresses.
    pub nameservers: Vec<IpAddr>,
    /// The domain of its network.
    pub domain: Option<String>,
    /// MTU in bytes.
    pub mtu: Option<u32>,
}

/// Where an address comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// From DHCP; for IPv6 from router advertisements and DHCP.
    Dhcp,
    /// Written down in the system.
    Static,
    /// There is none.
    None,
}

/// The user's own scripts, for `sh`, each as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Scripts {
    /// Run by the installer before it begins. cloud-init runs them first of its commands.
    pub pre: Vec<String>,
    /// Run in the installed system at the end.
    pub post: Vec<String>,
}

/// What the installer does at its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Finish {
    /// Restarts.
    #[default]
    Reboot,
    /// Powers off.
    Poweroff,
    /// Halts.
    Halt,
}
