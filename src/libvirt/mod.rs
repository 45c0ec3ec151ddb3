//! The hypervisor: the [`port`], and behind it libvirt ([`connection`]) or a model in memory ([`fake`]). The `virt` crate is used
//! in this folder and nowhere else.

mod adapter;
mod addresses;
mod aside;
mod bridge;
mod capabilities;
pub mod connection;
mod error;
pub mod fake;
pub mod files;
mod guest;
mod host;
mod hotplug;
mod install;
mod job;
pub mod keepalive;
mod kvm;
mod observe;
pub mod observed;
pub mod offers;
mod perform;
mod port;
mod ranges;
mod raw;
mod replug;
mod said;
mod ssh;
mod upload;

pub use bridge::left_on_host;
pub use observed::{Addresses, BlockJob, DiskFile};
pub use port::{
    ErrorKind, Filled, Hypervisor, HypervisorError, Monitor, Observe, Others, Outcome, Perform,
    Scope, Unwatched,
};
