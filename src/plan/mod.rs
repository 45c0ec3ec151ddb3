//! The plan: what differs between what is desired and what is there, and the steps that mend it.

mod attribute;
mod backing;
mod bridges;
mod build;
mod cause;
mod change;
mod checks;
mod context;
mod definition;
pub mod drift;
mod foreign;
mod guest;
mod history;
mod import;
mod install;
mod jobs;
mod label;
mod moved;
mod network;
mod off;
mod order;
mod overlay;
mod record;
mod reservations;
mod saved;
mod schedule;
mod secrets;
mod snapshots;
mod storage;
mod transient;
pub mod unfit;
mod unmanaged;
mod unplugged;
mod users;
pub mod whose;

pub use backing::Overlays;
pub use build::{destroy, make, verify};
pub use change::{
    Action, AttributeChange, Beside, Change, Checkpoint, Disruption, Node, Phase, Plan,
    PowerChange, Reason, Remark, Said,
};
pub use context::{Marked, Options, PendingRestarts};
pub use guest::{pending_restarts, summary};
pub use import::{Adoption, import, import_all};
pub use jobs::of as jobs;
pub use off::Farewell;
pub use record::while_made;
pub use reservations::reserves;
pub use schedule::Cycle;
