//! libvirt's XML as trees, and what is known of its schema. Pure.

pub mod derived;
pub mod document;
pub mod merge;
pub mod schema;
pub mod shape;
pub mod spelling;
pub mod tree;
