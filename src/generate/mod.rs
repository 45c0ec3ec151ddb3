//! Compiles a lab into files that a host without miniascape can use.
//!
//! A lab and its templates give [`Files`]: the definitions that `apply` would give to libvirt, and scripts that give them
//! to it with `virsh` and `virt-install`. Nothing here looks at a hypervisor or writes; only [`workdir`] does I/O.

mod compile;
mod files;
mod guest;
pub mod host;
mod output;
pub mod path;
mod request;
mod virt_install;
mod vmbuild;
pub mod workdir;

pub use compile::{context, files};
pub use files::{Files, GeneratedFile};
pub use path::RelativePath;
pub use request::{Request, Selection};
