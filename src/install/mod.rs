//! What an unattended install is made of: the operating system, the installer's kernel and initrd, the answer file's way in.
//!
//! Nothing here knows libvirt or the command line: `plan` and `execute` build upon it.

mod exact;
pub mod initrd;
pub mod media;
pub mod os;
pub mod seed;
