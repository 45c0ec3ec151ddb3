//! A guest's devices beside disks and NICs.

use serde::Serialize;

/// A guest's screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Graphics {
    /// `vnc` or `spice`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The address to listen on; libvirt's default is loopback.
    pub listen: Option<String>,
    /// Whether viewer and guest share the clipboard.
    pub clipboard: bool,
}

/// Where a guest's serial console goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Serial {
    /// A terminal: `virsh console`.
    Pty,
    /// A file on the hypervisor.
    File {
        /// Its absolute path.
        path: String,
    },
}

/// Where a guest's randomness comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rng {
    /// A device of the host's, or `builtin`.
    pub source: String,
    /// Bytes that it gives in a second at most.
    pub rate: Option<u64>,
}

/// A guest's video card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Video {
    /// Its model in libvirt; `none` keeps libvirt from adding one.
    pub model: String,
    /// How many screens it has at most.
    pub heads: Option<u32>,
    /// Its memory in bytes.
    pub vram: Option<u64>,
    /// Width and height in pixels that it begins with.
    pub resolution: Option<(u32, u32)>,
    /// Whether the host's graphics card draws for it.
    pub accel3d: bool,
}

/// An input device of a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Input {
    /// `tablet`, `keyboard` or `mouse`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `usb` or `virtio`; `None`: what the architecture has.
    pub bus: Option<String>,
}

/// A socket between a guest and the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Vsock {
    /// The number that the guest is known by; `None`: one that libvirt chooses at each start.
    pub cid: Option<u32>,
}
