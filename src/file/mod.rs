//! Files of this machine: what they hold, where and which they are, and which may be read.

pub mod confined;
pub mod content;
pub mod header;
pub mod place;
pub mod sparse;
pub mod stamp;
