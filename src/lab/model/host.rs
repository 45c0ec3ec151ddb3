//! What the hypervisor's host is to have beside networks and pools: the `host` section, as meant.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::install::{UserFile, UserTemplate};
use crate::address::Name;

/// What is to be set up on the host. Nothing of it, by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Host {
    /// The ISO images that are mounted, by name.
    pub isos: BTreeMap<Name, Iso>,
    /// The web server's site.
    pub serve: Option<Serve>,
    /// What is exported by NFS.
    pub nfs: Nfs,
    /// What autofs mounts.
    pub autofs: Autofs,
    /// What is offered by iSCSI.
    pub iscsi: Iscsi,
    /// Guests of the host's can be hypervisors themselves.
    pub nested_kvm: bool,
    /// The guests' names stand in `/etc/hosts`.
    pub hosts: bool,
    /// What asks the networks' name servers for the guests' names.
    pub resolver: Option<Resolver>,
    /// Files of the user's, to be put onto it.
    pub files: Vec<UserFile>,
    /// Templates for `generate`.
    pub templates: Vec<UserTemplate>,
}

/// An ISO image and where its files are seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Iso {
    /// Its name, which is also its path on the web server.
    pub key: Name,
    /// The image: an absolute path on the host.
    pub path: String,
    /// The directory it is mounted at: an absolute path, `/srv/miniascape/LAB/KEY` unless given.
    pub mount: String,
    /// The name of its mount unit, which systemd derives from `mount`. systemd.mount(5)
    pub unit: String,
    /// The type of its file system; found out by the kernel where unset.
    pub fstype: Option<String>,
    /// Options of the mount.
    pub options: Vec<String>,
}

/// A site of a web server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Serve {
    /// The web server.
    pub with: WebServer,
    /// Where it listens; at least one, none twice.
    pub listen: Vec<Listen>,
    /// The names it goes by, for several sites at one address.
    pub server_names: Vec<String>,
    /// Directories that are served beside the ISO images, by their name in the URL.
    pub paths: BTreeMap<Name, String>,
}

/// A web server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WebServer {
    /// <https://nginx.org/en/docs/>
    Nginx,
    /// Apache, which Debian calls apache2. <https://httpd.apache.org/docs/2.4/>
    Httpd,
}

/// A socket address to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listen {
    /// The address; `None` is every one that the host has.
    pub address: Option<std::net::IpAddr>,
    /// The TCP port.
    pub port: u16,
}

impl fmt::Display for Listen {
    /// Writes `ADDRESS:PORT`, or `PORT` alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => std::net::SocketAddr::new(address, self.port).fmt(f),
            None => self.port.fmt(f),
        }
    }
}

impl Serialize for Listen {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What is exported by NFS. exports(5)
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Nfs {
    /// The directories, in the order of their paths.
    pub exports: Vec<Export>,
}

/// A directory that is exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Export {
    /// The directory: an absolute path on the host.
    pub path: String,
    /// Who may mount it: host names, wildcards, addresses, subnets, `@netgroup`. At least one.
    pub clients: Vec<ExportClient>,
}

/// A client of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportClient {
    /// Who it is.
    pub client: String,
    /// The options for it.
    pub options: Vec<String>,
}

/// What autofs mounts. autofs(5), auto.master(5)
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Autofs {
    /// The ISO images are mounted when they are looked at, instead of by mount units.
    pub isos: bool,
    /// Seconds without use after which something is unmounted; autofs's own where unset.
    pub timeout: Option<u64>,
    /// The user's own maps, in the order of their mount points.
    pub maps: Vec<AutofsMap>,
}

/// A map of autofs's: indirect, or direct where the mount point is `/-`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AutofsMap {
    /// The directory that the keys appear in: an absolute path, or `/-`.
    pub mount: String,
    /// Options that all entries have.
    pub options: Vec<String>,
    /// Seconds without use after which an entry is unmounted.
    pub timeout: Option<u64>,
    /// What is mounted, by key: a name, or in a direct map an absolute path.
    pub entries: BTreeMap<String, AutofsEntry>,
}

/// An entry of a map of autofs's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AutofsEntry {
    /// Options of the mount.
    pub options: Vec<String>,
    /// What is mounted: `server:/path`, or `:/dev/sdb1` for what is local.
    pub location: String,
}

/// What is offered by iSCSI, through Linux's own target (LIO). targetcli(8)
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Iscsi {
    /// The targets, in the order of their names.
    pub targets: Vec<IscsiTarget>,
}

/// An iSCSI target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IscsiTarget {
    /// Its name: an IQN (RFC 7143), in lower case.
    pub iqn: String,
    /// Its logical units, in the order of their numbers.
    pub luns: Vec<Lun>,
    /// Who may log in.
    pub initiators: Initiators,
    /// Where it listens.
    pub portals: Vec<Portal>,
    /// What an initiator proves itself with.
    pub chap: Option<Chap>,
}

/// Where a target listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Portal {
    /// The address of the host.
    pub ip: std::net::IpAddr,
    /// The TCP port.
    pub port: u16,
}

/// A logical unit of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lun {
    /// Its name in the target.
    pub key: Name,
    /// Its number.
    pub lun: u16,
    /// The name of its backstore on the host, one for all labs: `LAB-…`.
    pub backstore: String,
    /// What it is made of.
    pub kind: LunKind,
    /// The file or block device: an absolute path on the host.
    pub path: String,
    /// Size in bytes of a file that is to be made; unset where the file is there.
    pub size: Option<u64>,
    /// Initiators cannot write.
    pub readonly: bool,
}

/// What a logical unit is made of: LIO's kinds of backstores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LunKind {
    /// A file.
    Fileio,
    /// A block device.
    Block,
}

/// Who may log in to a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", content = "iqns", rename_all = "lowercase")]
pub enum Initiators {
    /// Everyone who reaches it.
    Any,
    /// These, by their names.
    Only(Vec<String>),
}

/// Authentication by CHAP (RFC 1994).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chap {
    /// The user's name.
    pub userid: String,
    /// A file on the host whose first line is the password, so that no definition holds it.
    pub password_file: String,
}

/// What asks the networks' name servers for the guests' names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Resolver {
    /// systemd-resolved, told by a hook of libvirt's when a network starts. resolvectl(1)
    #[serde(rename = "systemd-resolved")]
    SystemdResolved,
    /// The dnsmasq that NetworkManager runs. NetworkManager.conf(5)
    NetworkManager,
    /// A dnsmasq of the host's own. dnsmasq(8)
    #[serde(rename = "dnsmasq")]
    Dnsmasq,
}
