//! What libvirt should hold: a lab put through its templates, one resource for each object.

pub mod answers;
mod build;
mod context;
pub mod contexts;
mod format;
mod install;
mod kept;
pub mod moved;
mod ownership;
mod resource;
mod scope;

pub use build::{Site, Sources, build, build_unseen, reserved};
pub use kept::kept;
pub use resource::{Chosen, Desired, Detail, External, Installation, Resource};
pub use scope::{Formats, assume_pools, assumed, look_into_images, scope};
