//! What the libvirt templates are given beside the lab's own models.

use std::net::IpAddr;

use serde::Serialize;

use crate::address::Name;
use crate::lab::model::{Bootp, DhcpRange, DiskDevice, Drive, Guest, Network, Pool, VolumeFormat};

#[derive(Debug, Serialize)]
pub(super) struct NetworkContext<'a> {
    pub lab: &'a Name,
    pub network: &'a Network,
    /// The network's addresses, each with the ranges and reservations of its family.
    pub ips: Vec<IpContext<'a>>,
}

#[derive(Debug, Serialize)]
pub(super) struct IpContext<'a> {
    pub family: &'static str,
    pub address: IpAddr,
    pub prefix: u8,
    pub ranges: Vec<&'a DhcpRange>,
    pub hosts: Vec<HostContext<'a>>,
    /// What guests find there that boot from the network: at the address that has DHCP.
    pub tftp: Option<&'a str>,
    pub bootp: Option<&'a Bootp>,
}

#[derive(Debug, Serialize)]
pub(super) struct HostContext<'a> {
    pub mac: &'a str,
    /// Only the first reservation of a name has it: libvirt takes two for the same.
    pub name: Option<&'a str>,
    pub ip: IpAddr,
}

#[derive(Debug, Serialize)]
pub(super) struct PoolContext<'a> {
    pub lab: &'a Name,
    pub pool: &'a Pool,
}

#[derive(Debug, Serialize)]
pub(super) struct VolumeContext<'a> {
    pub lab: &'a Name,
    pub volume: VolumeView<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct VolumeView<'a> {
    pub name: &'a str,
    pub capacity: u64,
    pub format: VolumeFormat,
    /// What it takes of its pool when it is made, in bytes, where libvirt is to be told.
    pub allocation: Option<u64>,
    pub backing: Option<Backing>,
}

#[derive(Debug, Serialize)]
pub(super) struct Backing {
    pub path: String,
    pub format: VolumeFormat,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct GuestContext<'a> {
    pub lab: &'a Name,
    pub guest: &'a Guest,
    /// The `type` of `<domain>`: `kvm`, `qemu` or `test`.
    pub r#type: &'a str,
    pub arch: &'a str,
    pub machine: Option<&'a str>,
    pub cpu_mode: Option<&'a str>,
    /// `efi`, or nothing for the machine's own.
    pub firmware: Option<&'a str>,
    /// Whether the machine plugs devices into PCIe ports, of which some are to be free.
    pub spare_ports: bool,
    /// Whether a disk is on the SCSI bus, and the user's own XML does not say of which model the controller is.
    pub scsi_controller: bool,
    pub disks: Vec<DiskContext>,
    /// The installer, in the definition that a guest has while it is installed.
    pub install: Option<InstallContext>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct InstallContext {
    pub kernel: String,
    pub initrd: String,
    pub cmdline: String,
    /// The file that the serial console is written to, too.
    pub log: String,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct DiskContext {
    pub key: String,
    pub device: DiskDevice,
    /// `file`, `block` or `volume`.
    pub source_type: &'static str,
    pub path: Option<String>,
    pub pool: Option<String>,
    pub volume: Option<String>,
    pub format: VolumeFormat,
    pub cache: Option<String>,
    /// Space that the guest frees is given back.
    pub discard: bool,
    pub dev: String,
    pub bus: String,
    pub readonly: bool,
    pub shareable: bool,
    /// How it is driven.
    #[serde(flatten)]
    pub drive: Drive,
}
