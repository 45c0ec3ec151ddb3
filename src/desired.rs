//! What libvirt should hold: a lab put through its templates, one resource for each object.

mod adopt;
pub mod answers;
mod build;
mod context;
pub mod contexts;
mod definition;
mod format;
mod guest;
mod install;
pub mod moved;
mod network;
mod ownership;
mod resource;
mod scope;
mod storage;

pub use adopt::adopted;
pub use build::{Site, Sources, build, build_uncached};
pub use network::reserved;
pub use resource::{Chosen, Desired, Detail, External, Installation, Resource};
pub use scope::{Formats, assume_pools, assumed, hash_images, scope};
