//! What a definition means: every default filled in, every name resolved, every derivable value derived.
//!
//! `resolve` makes a [`Lab`] out of a `Spec`; templates see these structures as they serialise.

pub mod devices;
pub mod host;
pub mod install;
pub mod machine;
pub mod passed;
pub mod processor;
pub mod system;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use ipnet::IpNet;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::address::{Address, Name};
use crate::diagnostic::Span;
pub use crate::file::header::VolumeFormat;
use crate::lab::device_name;
use crate::lab::moves::Moves;
use crate::xml::tree::Element;
use devices::{Graphics, Input, Rng, Serial, Video, Vsock};
use install::{Install, Seed, UserFile, UserTemplate};
use passed::{Hostdev, Share};
use processor::{Cell, Cpu, Hugepages, Pin, Tuning};
use system::System;

/// A lab, as meant.
#[derive(Debug, Clone, Serialize)]
pub struct Lab {
    /// The name of the lab.
    pub name: Name,
    /// Its networks, the external ones too.
    pub networks: BTreeMap<Name, Network>,
    /// Its storage pools, the external ones too.
    pub pools: BTreeMap<Name, Pool>,
    /// Its images.
    pub images: BTreeMap<Name, Image>,
    /// Its guests.
    pub guests: BTreeMap<Name, Guest>,
    /// What the host is to have besides.
    pub host: host::Host,
    /// Which resources stood at another address before.
    #[serde(skip)]
    pub moves: Moves,
    /// What the user wrote where it could have been derived.
    #[serde(skip)]
    pub written: Written,
    /// Where each resource is defined, for problems found later. A volume's place is its disk's.
    #[serde(skip)]
    pub places: BTreeMap<Address, Span>,
}

/// What the user wrote where it could have been derived: it counts, whatever is there.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// Networks and pools with a `name`.
    pub names: BTreeSet<Address>,
    /// NICs with a `mac`, by guest and key.
    pub macs: BTreeSet<(Name, Name)>,
}

/// What keeps a resource from being deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Default)]
pub struct Lifecycle {
    /// Nothing may delete or replace the resource.
    pub prevent_destroy: bool,
}

/// How a network reaches the world. <https://libvirt.org/formatnetwork.html#connectivity>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// Guests reach out under the host's address.
    Nat,
    /// Guests are routed, without address translation.
    Route,
    /// Routed, and libvirt adds no firewall rules.
    Open,
    /// No way out.
    Isolated,
    /// The guests join a bridge that exists on the host.
    Bridge,
}

/// A network, with the entries that its guests bring.
#[derive(Debug, Clone, Serialize)]
pub struct Network {
    /// Its name in the lab.
    pub key: Name,
    /// Its name in libvirt.
    pub name: String,
    /// Referenced only: never created or deleted, nor changed but for reservations. All else below is then unset.
    pub external: bool,
    /// UUID in libvirt.
    pub uuid: Uuid,
    /// How it reaches the world.
    pub mode: NetworkMode,
    /// The host's device that traffic leaves by (`forward dev`).
    pub forward_dev: Option<String>,
    /// The bridge's name: one to make, or with mode `bridge` one that exists. Left to libvirt where unset.
    pub bridge: Option<String>,
    /// Whether the bridge is one of Open vSwitch.
    pub openvswitch: bool,
    /// MTU of the bridge in bytes.
    pub mtu: Option<u32>,
    /// How addresses are translated; `None` is libvirt's own way.
    pub nat: Option<Nat>,
    /// Subnets behind others of its hosts.
    pub routes: Vec<Route>,
    /// Kinds of connections that NICs can choose.
    pub portgroups: Vec<PortGroup>,
    /// The VLANs of its guests.
    pub vlan: Option<Vlan>,
    /// How much may go through it; `None` is as much as can.
    pub bandwidth: Option<Bandwidth>,
    /// The host's own addresses with their prefix lengths.
    pub addresses: Vec<IpNet>,
    /// The DNS domain of the guests.
    pub domain: Option<String>,
    /// The DHCP ranges, at most one for each address.
    pub dhcp: Vec<DhcpRange>,
    /// Seconds that an address is a guest's before it asks again, 0 for ever; `None` leaves it to dnsmasq.
    pub dhcp_lease: Option<u64>,
    /// Lines for dnsmasq's configuration.
    pub dhcp_options: Vec<String>,
    /// The directory of the host whose files are served by TFTP.
    pub tftp: Option<String>,
    /// What guests boot that boot from it.
    pub bootp: Option<Bootp>,
    /// Whether guests are given the addresses that they have by `ip`, with a range or without: not where `dhcp` is `false`, and on an
    /// external network where that is allowed.
    pub reserves: bool,
    /// The reservations, by guest, in the order of the guests' names.
    pub dhcp_hosts: Vec<DhcpHost>,
    /// What the network's name server answers.
    pub dns: Dns,
    /// Started when the host starts.
    pub autostart: bool,
    /// What keeps it from being deleted.
    pub lifecycle: Lifecycle,
    /// The user's own XML, merged last.
    #[serde(skip)]
    pub xml: Option<Overlay>,
}

/// How addresses are translated. <https://libvirt.org/formatnetwork.html#connectivity>
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Nat {
    /// The ports that connections get on the host, the first and the last.
    pub ports: Option<(u16, u16)>,
    /// The addresses that they get, the first and the last.
    pub addresses: Option<(Ipv4Addr, Ipv4Addr)>,
    /// IPv6 addresses are translated, too.
    pub ipv6: bool,
}

/// The way to a subnet behind a host. <https://libvirt.org/formatnetwork.html#static-routes>
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Route {
    /// `ipv4` or `ipv6`.
    pub family: &'static str,
    /// The subnet's first address.
    pub address: IpAddr,
    /// The length of its prefix.
    pub prefix: u8,
    /// The host on the network that leads there.
    pub via: IpAddr,
    /// Lower ones are taken first.
    pub metric: Option<u32>,
}

/// A kind of connection that NICs can choose. <https://libvirt.org/formatnetwork.html#portgroups>
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PortGroup {
    /// Its name.
    pub name: Name,
    /// It is for NICs that choose none.
    pub default: bool,
    /// The VLANs of its NICs.
    pub vlan: Option<Vlan>,
    /// How fast each of its NICs may be.
    pub bandwidth: Option<Bandwidth>,
}

/// VLANs. <https://libvirt.org/formatnetwork.html#setting-vlan-tag>
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Vlan {
    /// Their numbers.
    pub tags: Vec<u16>,
    /// The guest sees them.
    pub trunk: bool,
}

/// What guests boot that boot from a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bootp {
    /// The file, as the server knows it.
    pub file: String,
    /// The TFTP server that has it; `None` is the host.
    pub server: Option<IpAddr>,
}

/// A range of addresses to lease, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DhcpRange {
    /// First address.
    pub start: IpAddr,
    /// Last address.
    pub end: IpAddr,
}

/// An address that DHCP gives to one guest only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DhcpHost {
    /// The guest it is for.
    pub guest: Name,
    /// The NIC; DHCPv6 knows a host by its name instead.
    pub mac: String,
    /// The host name that DHCP hands out, where the NIC has one.
    pub name: Option<String>,
    /// The address.
    pub ip: IpAddr,
}

/// What the name server of a network answers. <https://libvirt.org/formatnetwork.html#addressing>
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Dns {
    /// Whether there is a name server at all; `None` leaves it to libvirt, which has one.
    pub enabled: Option<bool>,
    /// Names of the network's domain that it does not know are asked of nobody else.
    pub local_only: bool,
    /// Names for addresses: the lab's own and those of its guests, sorted by address.
    pub hosts: Vec<DnsHost>,
    /// Servers to ask, for one domain or for all.
    pub forwarders: Vec<DnsForwarder>,
    /// SRV records (RFC 2782).
    pub srv: Vec<DnsSrv>,
    /// TXT records, by name.
    pub txt: BTreeMap<String, String>,
}

/// The names of one address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DnsHost {
    /// The address.
    pub ip: IpAddr,
    /// The names, in the order written.
    pub names: Vec<String>,
}

/// A name server that questions are forwarded to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DnsForwarder {
    /// The server; without one, the host's own resolver answers for `domain`.
    pub address: Option<IpAddr>,
    /// Only questions for this domain.
    pub domain: Option<String>,
}

/// A service record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DnsSrv {
    /// The service, such as `ldap`.
    pub service: String,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The domain it is for; the network's where unset.
    pub domain: Option<String>,
    /// The host that serves it.
    pub target: Option<String>,
    /// Its port.
    pub port: Option<u16>,
    /// Lower is asked first.
    pub priority: Option<u16>,
    /// Share among equal priorities.
    pub weight: Option<u16>,
}

/// A storage pool. <https://libvirt.org/formatstorage.html#storage-pool-xml>
#[derive(Debug, Clone, Serialize)]
pub struct Pool {
    /// Its name in the lab.
    pub key: Name,
    /// Its name in libvirt.
    pub name: String,
    /// Referenced only: never created, changed or deleted.
    pub external: bool,
    /// UUID in libvirt.
    pub uuid: Uuid,
    /// libvirt's type of pool, `dir` unless the user's XML says otherwise.
    pub kind: String,
    /// The directory on the hypervisor; unset for external pools and types that have none.
    pub path: Option<String>,
    /// What it is made of.
    pub source: Option<PoolSource>,
    /// Started when the host starts.
    pub autostart: bool,
    /// What keeps it from being deleted.
    pub lifecycle: Lifecycle,
    /// The user's own XML, merged last.
    #[serde(skip)]
    pub xml: Option<Overlay>,
}

/// What a pool is made of. <https://libvirt.org/storage.html>
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PoolSource {
    /// The servers.
    pub hosts: Vec<PoolHost>,
    /// Devices of the hypervisor's host, or an iSCSI target.
    pub devices: Vec<String>,
    /// The directory that a server gives.
    pub dir: Option<String>,
    /// What it is called where it is.
    pub name: Option<String>,
    /// How it is laid out.
    pub format: Option<String>,
    /// As whom an iSCSI target is asked.
    pub initiator: Option<String>,
    /// How to log in.
    pub auth: Option<PoolAuth>,
}

/// A server that has a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolHost {
    /// Its name or address.
    pub name: String,
    /// Its port.
    pub port: Option<u16>,
}

/// How to log in to a server that has a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolAuth {
    /// `chap` or `ceph`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// As whom.
    pub username: String,
    /// `usage` or `uuid`, and that of libvirt's secret.
    pub secret: (&'static str, String),
}

/// Whether volumes in a pool of this type of libvirt's are files in a directory.
pub fn is_of_files(pool_type: &str) -> bool {
    matches!(pool_type, "dir" | "fs" | "netfs")
}

/// How much of its pool a volume takes when it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Allocation {
    /// What is written to it.
    Sparse,
    /// All that it may come to hold.
    Full,
}

/// A volume that is uploaded from a file.
#[derive(Debug, Clone, Serialize)]
pub struct Image {
    /// Its name in the lab.
    pub key: Name,
    /// The volume's name in libvirt.
    pub name: String,
    /// The pool it is put into.
    pub pool: Name,
    /// The local file, as an absolute path.
    pub source: PathBuf,
    /// The file's format, read from its first bytes unless given.
    pub format: VolumeFormat,
    /// Size of the disk inside, in bytes.
    pub capacity: u64,
    /// Size of the file, in bytes.
    pub file_size: u64,
    /// What the file's SHA-256 has to be, in lower-case hex.
    pub sha256: Option<String>,
    /// What the file holds, where it was looked at: `blocks:…` or `sha256:…`.
    #[serde(skip)]
    pub digest: Option<String>,
    /// What keeps it from being deleted.
    pub lifecycle: Lifecycle,
}

/// What runs a guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DomainType {
    /// The processor.
    Kvm,
    /// QEMU's emulation (TCG).
    Qemu,
}

/// What a guest boots from first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    /// SeaBIOS and the like.
    Bios,
    /// OVMF and the like, chosen by libvirt.
    Uefi,
}

/// A guest.
#[derive(Debug, Clone, Serialize)]
pub struct Guest {
    /// Its name in the lab.
    pub key: Name,
    /// Its name in libvirt.
    pub name: String,
    /// UUID in libvirt.
    pub uuid: Uuid,
    /// Host name: the first label of [`Guest::fqdn`].
    pub hostname: String,
    /// Host name with the domain of the guest's first network that has one.
    pub fqdn: String,
    /// A short text about it.
    pub title: Option<String>,
    /// A longer text about it.
    pub description: Option<String>,
    /// The groups it takes settings from, in order.
    pub groups: Vec<Name>,
    /// `None`: KVM where it works.
    pub domain_type: Option<DomainType>,
    /// Processor architecture; `None`: the host's.
    pub arch: Option<String>,
    /// Machine type; `None`: q35 or virt.
    pub machine: Option<String>,
    /// The processor as the guest sees it.
    pub cpu: Cpu,
    /// Number of virtual processors.
    pub vcpus: u32,
    /// Memory in bytes.
    pub memory: u64,
    /// Virtual processors that it can be given while it runs; at least [`Guest::vcpus`].
    pub max_vcpus: u32,
    /// Memory in bytes that it can be given while it runs; at least [`Guest::memory`].
    pub max_memory: u64,
    /// How many I/O threads it has.
    pub iothreads: Option<u32>,
    /// The huge pages that its memory is on.
    pub hugepages: Option<Hugepages>,
    /// Its NUMA nodes; none leaves it to libvirt.
    pub numa: Vec<Cell>,
    /// Where on the host it runs.
    pub pin: Pin,
    /// How much it may have of the host.
    pub tuning: Tuning,
    /// BIOS or UEFI; `None`: the machine's default.
    pub firmware: Option<Firmware>,
    /// Its TPM, clock, features and the like; templates see each as the guest's own.
    #[serde(flatten)]
    pub hardware: machine::Machine,
    /// What it boots.
    pub boot: Boot,
    /// Its disks, in the order written. Templates see `disks` by name, and `disk_list`.
    #[serde(flatten, serialize_with = "disks")]
    pub disks: Vec<Disk>,
    /// Its NICs, in the order written. Templates see `interfaces` by name, and `interface_list`.
    #[serde(flatten, serialize_with = "interfaces")]
    pub interfaces: Vec<Interface>,
    /// Its devices of the host, in the order written. Templates see `hostdevs` by name, and `hostdev_list`.
    #[serde(flatten, serialize_with = "hostdevs")]
    pub hostdevs: Vec<Hostdev>,
    /// Its directories of the host, in the order written. Templates see `shares` by name, and `share_list`.
    #[serde(flatten, serialize_with = "shares")]
    pub shares: Vec<Share>,
    /// Its screen.
    pub graphics: Option<Graphics>,
    /// Its serial port, which is its console.
    pub serial: Option<Serial>,
    /// Whether its agent has a channel.
    pub agent: bool,
    /// Where its randomness comes from.
    pub rng: Option<Rng>,
    /// Its video card.
    pub video: Option<Video>,
    /// Its input devices, beside libvirt's own.
    pub input: Vec<Input>,
    /// The model of its sound card.
    pub sound: Option<String>,
    /// A socket between it and the host.
    pub vsock: Option<Vsock>,
    /// Whether it is to run.
    pub running: bool,
    /// Started when the host starts.
    pub autostart: bool,
    /// Guests that are started before it and stopped after it.
    pub depends_on: BTreeSet<Name>,
    /// Seconds that a shutdown may take before the guest is stopped by force.
    pub shutdown_timeout: u64,
    /// What happens while it runs to changes that need a restart.
    pub on_change: OnChange,
    /// What keeps it from being deleted.
    pub lifecycle: Lifecycle,
    /// How it is set up inside.
    pub system: System,
    /// How its system is installed, if it is.
    pub install: Option<Install>,
    /// Its seed for cloud-init, if it has one.
    pub cloud_init: Option<Seed>,
    /// Files to be put into it.
    pub files: Vec<UserFile>,
    /// Templates for `generate`.
    pub templates: Vec<UserTemplate>,
    /// The user's own values, for templates.
    pub vars: serde_json::Map<String, serde_json::Value>,
    /// The user's own XML, merged last.
    #[serde(skip)]
    pub xml: Option<Overlay>,
}

fn disks<S: Serializer>(disks: &[Disk], serializer: S) -> Result<S::Ok, S::Error> {
    let by_name = ByName(disks, |disk| &disk.key);
    both(serializer, ("disks", by_name), ("disk_list", disks))
}

fn interfaces<S: Serializer>(nics: &[Interface], serializer: S) -> Result<S::Ok, S::Error> {
    let by_name = ByName(nics, |nic| &nic.key);
    both(
        serializer,
        ("interfaces", by_name),
        ("interface_list", nics),
    )
}

fn hostdevs<S: Serializer>(all: &[Hostdev], serializer: S) -> Result<S::Ok, S::Error> {
    let by_name = ByName(all, |hostdev| &hostdev.key);
    both(serializer, ("hostdevs", by_name), ("hostdev_list", all))
}

fn shares<S: Serializer>(all: &[Share], serializer: S) -> Result<S::Ok, S::Error> {
    let by_name = ByName(all, |share| &share.key);
    both(serializer, ("shares", by_name), ("share_list", all))
}

/// The addresses of a NIC, and `ip` as the definition has it: its only address, or the first of them.
fn ips<S: Serializer>(ips: &[IpAddr], serializer: S) -> Result<S::Ok, S::Error> {
    both(serializer, ("ip", ips.first()), ("ips", ips))
}

/// Writes a thing under two names, once in each form.
fn both<S: Serializer, A: Serialize, B: Serialize>(
    serializer: S,
    one: (&str, A),
    other: (&str, B),
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(2))?;
    map.serialize_entry(one.0, &one.1)?;
    map.serialize_entry(other.0, &other.1)?;
    map.end()
}

/// A list of things with names as a map, in the same order.
struct ByName<'a, T>(&'a [T], fn(&T) -> &Name);

impl<T: Serialize> Serialize for ByName<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|one| ((self.1)(one), one)))
    }
}

/// What happens to a running guest whose definition changes in what only a restart brings about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnChange {
    /// It is restarted.
    #[default]
    Restart,
    /// It is defined and comes into force with the next restart, whoever makes it.
    Defer,
}

/// What a guest boots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Boot {
    /// A kernel file on the hypervisor, booted directly.
    pub kernel: Option<String>,
    /// Its initial RAM disk.
    pub initrd: Option<String>,
    /// Its command line.
    pub cmdline: Option<String>,
    /// `hd`, `cdrom`, `network`, `fd`, tried in this order.
    pub order: Vec<String>,
}

/// A disk of a guest.
#[derive(Debug, Clone, Serialize)]
pub struct Disk {
    /// Its name within the guest; the alias is `ua-` and this.
    pub key: Name,
    /// `disk` or `cdrom`.
    pub device: DiskDevice,
    /// What it is made of.
    pub source: DiskSource,
    /// The device name, `vda` and so on.
    pub dev: String,
    /// Whether the device name is written, and not just the first free one.
    #[serde(skip)]
    pub dev_is_given: bool,
    /// `virtio`, `scsi`, `sata`, `ide`, `usb`.
    pub bus: String,
    /// QEMU's cache mode.
    pub cache: Option<String>,
    /// Format of the source: as written, or as the lab makes it. `None` is as the source itself says.
    pub format: Option<VolumeFormat>,
    /// The format in which a guest has had the same source before, where the lab does not make it.
    #[serde(skip)]
    pub attached: Option<VolumeFormat>,
    /// The guest cannot write.
    pub readonly: bool,
    /// Several guests may use it at once.
    pub shareable: bool,
    /// What becomes of space that the guest frees.
    pub discard: Discard,
    /// How it is driven.
    #[serde(flatten)]
    pub drive: Drive,
}

/// What becomes of space that a guest frees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Discard {
    /// It is given back.
    Unmap,
    /// It stays taken.
    Ignore,
}

/// How a disk is driven, as far as libvirt and QEMU do not choose. <https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms>
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Drive {
    /// `threads`, `native` or `io_uring`.
    pub io: Option<String>,
    /// The I/O thread that it is on, from one.
    pub iothread: Option<u32>,
    /// Its place among what the guest boots from.
    pub boot: Option<u32>,
    /// Its serial number.
    pub serial: Option<String>,
    /// How much it may do.
    pub limit: Option<Limit>,
}

/// How much a disk may do in a second. <https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms>
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// Bytes that are read.
    pub read: Option<u64>,
    /// Bytes that are written.
    pub write: Option<u64>,
    /// Bytes in both directions.
    pub total: Option<u64>,
    /// Reads.
    pub read_iops: Option<u64>,
    /// Writes.
    pub write_iops: Option<u64>,
    /// Both.
    pub iops: Option<u64>,
}

/// What a disk is to the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DiskDevice {
    /// A hard disk.
    Disk,
    /// A CD drive.
    Cdrom,
}

/// What a disk is made of.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum DiskSource {
    /// A volume that the lab makes.
    Volume(Volume),
    /// A volume that is there, or that is another guest's in this lab.
    Existing {
        /// The pool, by its name in the lab.
        pool: Name,
        /// The volume's name in libvirt.
        volume: String,
        /// The lab's own image or volume of that name, if it is one.
        #[serde(skip)]
        owner: Option<Address>,
    },
    /// A file or block device on the hypervisor.
    Path {
        /// Its absolute path.
        path: String,
    },
    /// The seed for cloud-init, a volume that the lab makes.
    Seed {
        /// Its address.
        address: Address,
        /// The pool, by its name in the lab.
        pool: Name,
        /// The volume's name in libvirt.
        volume: String,
    },
    /// Nothing: an empty CD drive.
    Empty,
}

/// A volume that the lab makes for a guest's disk.
#[derive(Debug, Clone, Serialize)]
pub struct Volume {
    /// Its address.
    pub address: Address,
    /// The pool, by its name in the lab.
    pub pool: Name,
    /// The volume's name in libvirt: `GUEST.DISK.FORMAT`.
    pub name: String,
    /// Format of the volume.
    pub format: VolumeFormat,
    /// Size in bytes.
    pub capacity: u64,
    /// How much of its pool it takes from the beginning.
    pub allocation: Allocation,
    /// The image it is a thin overlay of.
    pub image: Option<Name>,
    /// Neither `destroy` nor the disk's removal deletes it.
    pub keep: bool,
    /// What keeps it from being deleted.
    pub lifecycle: Lifecycle,
    /// The user's own XML for the volume, merged last.
    #[serde(skip)]
    pub xml: Option<Overlay>,
}

/// A NIC of a guest.
#[derive(Debug, Clone, Serialize)]
pub struct Interface {
    /// Its name within the guest; the alias is `ua-` and this.
    pub key: Name,
    /// What it is plugged into.
    pub source: InterfaceSource,
    /// Model of the card.
    pub model: String,
    /// MAC address in lower case.
    pub mac: String,
    /// The addresses reserved for it. Templates see the first as `ip`, too.
    #[serde(flatten, serialize_with = "ips")]
    pub ips: Vec<IpAddr>,
    /// A name of its own for them, beside the guest's.
    pub hostname: Option<String>,
    /// Whether they have a name.
    pub dns: bool,
    /// MTU in bytes.
    pub mtu: Option<u32>,
    /// Whether the cable is plugged in; `None` is libvirt's own, plugged in.
    pub link: Option<Link>,
    /// How fast it may be; `None` is as fast as it can.
    pub bandwidth: Option<Bandwidth>,
    /// The portgroup of its network.
    pub portgroup: Option<String>,
    /// The VLANs that it is in; several are a trunk.
    pub vlan: Vec<u16>,
    /// What is said of its port of Open vSwitch, where it is one.
    pub ovs: Option<Ovs>,
    /// The filter that its packets pass.
    pub filter: Option<Filter>,
    /// How many queues it has for each direction.
    pub queues: Option<u32>,
    /// Its place among what the guest boots from.
    pub boot: Option<u32>,
    /// Whether what the guest says of its addresses counts for the host's device.
    pub trust_guest_rx_filters: Option<bool>,
}

/// A port of Open vSwitch. <https://libvirt.org/formatdomain.html#bridge-to-lan>
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ovs {
    /// What Open vSwitch knows it by; `None` leaves it to libvirt.
    pub interface_id: Option<Uuid>,
    /// Its profile.
    pub profile: Option<String>,
}

/// A filter of packets. <https://libvirt.org/formatnwfilter.html>
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Filter {
    /// Its name in libvirt.
    pub name: String,
    /// Values of its variables, in the order written.
    pub parameters: Vec<(String, String)>,
}

/// How fast a NIC may be, from the guest's side. <https://libvirt.org/formatnetwork.html#quality-of-service>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bandwidth {
    /// What it receives.
    pub inbound: Option<Rate>,
    /// What it sends.
    pub outbound: Option<Rate>,
}

/// A limit in kilobytes a second, the unit of libvirt, which counts a thousand bytes as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rate {
    /// In the long run.
    pub average: u64,
    /// At most.
    pub peak: Option<u64>,
    /// Kilobytes that may go at peak speed at once.
    pub burst: Option<u64>,
}

/// State of a NIC's cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    /// Plugged in.
    Up,
    /// Unplugged.
    Down,
}

/// What a NIC is plugged into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum InterfaceSource {
    /// A network of the lab.
    Network {
        /// Its name in the lab.
        network: Name,
        /// Its name in libvirt.
        name: String,
    },
    /// A bridge of the host.
    Bridge {
        /// The bridge's name.
        bridge: String,
    },
    /// A device of the host, by macvtap.
    Direct {
        /// The device's name.
        dev: String,
        /// `bridge`, `vepa`, `private` or `passthrough`.
        mode: String,
    },
    /// QEMU's own user-mode network, which needs no privileges.
    User,
}

/// XML of the user's, to be merged into what a template gives.
#[derive(Debug, Clone)]
pub struct Overlay {
    /// The parsed XML.
    pub tree: Element,
    /// Where it stands.
    pub span: Option<Span>,
}

impl Lab {
    /// The network that a NIC is on.
    pub fn network_of(&self, nic: &Interface) -> Option<&Network> {
        match &nic.source {
            InterfaceSource::Network { network, .. } => self.networks.get(network),
            InterfaceSource::Bridge { .. }
            | InterfaceSource::Direct { .. }
            | InterfaceSource::User => None,
        }
    }

    /// Every volume that the lab makes, with the guest it is for.
    pub fn volumes(&self) -> impl Iterator<Item = (&Guest, &Volume)> {
        let guests = self.guests.values();
        guests.flat_map(|guest| guest.volumes().map(move |volume| (guest, volume)))
    }
}

impl Network {
    /// The whole name of a host on it.
    pub fn qualified(&self, hostname: &str) -> String {
        match &self.domain {
            Some(domain) => format!("{hostname}.{domain}"),
            None => hostname.to_owned(),
        }
    }

    /// Whether its name server is the lab's to tell what it answers.
    pub fn answers(&self) -> bool {
        !self.external && self.mode != NetworkMode::Bridge && self.dns.enabled != Some(false)
    }
}

impl Guest {
    /// The name by which its system knows the first disk that it may write to. The kernel counts for itself, virtio disks (`vda`…)
    /// and all others (`sda`…): `dev` says only in which order they are on their bus, and the buses are found one after the other.
    pub fn first_disk(&self) -> Option<String> {
        let prefix = |disk: &Disk| if disk.bus == "virtio" { "vd" } else { "sd" };
        let buses = ["virtio", "ide", "sata", "scsi", "usb"];
        let place = |disk: &Disk| {
            let bus = buses.iter().position(|bus| *bus == disk.bus);
            (bus, disk.dev.len(), disk.dev.clone())
        };
        let all = self.disks.iter();
        let disks = all.filter(|disk| disk.device == DiskDevice::Disk);
        let first = disks.clone().find(|disk| !disk.readonly)?;
        let before = disks.filter(|it| prefix(it) == prefix(first) && place(it) < place(first));
        let letters = device_name::letters(before.count());
        Some(format!("{}{letters}", prefix(first)))
    }

    /// The NIC that the guest's own name means: the first with an address and a name, before any other one that has no name of
    /// its own, and before that one whose network's domain is that of the guest's whole name.
    pub fn main_nic(&self, networks: &BTreeMap<Name, Network>) -> Option<&Interface> {
        let is_of_domain = |nic: &Interface| match &nic.source {
            InterfaceSource::Network { network, .. } => networks
                .get(network)
                .is_some_and(|network| network.qualified(&self.hostname) == self.fqdn),
            InterfaceSource::Bridge { .. }
            | InterfaceSource::Direct { .. }
            | InterfaceSource::User => false,
        };
        let named = self.interfaces.iter();
        named
            .filter(|nic| nic.dns && !nic.ips.is_empty())
            .min_by_key(|nic| (nic.hostname.is_some(), !is_of_domain(nic)))
    }

    /// The volumes that the lab makes for its disks.
    pub fn volumes(&self) -> impl Iterator<Item = &Volume> {
        self.disks.iter().filter_map(|disk| match &disk.source {
            DiskSource::Volume(volume) => Some(volume),
            DiskSource::Existing { .. }
            | DiskSource::Path { .. }
            | DiskSource::Seed { .. }
            | DiskSource::Empty => None,
        })
    }
}
