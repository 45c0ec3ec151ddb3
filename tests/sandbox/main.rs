//! Real libvirt, real QEMU guests: run by `scripts/test` inside `scripts/sandbox`.
//!
//! Each test is ignored in a plain `cargo test`, which has no sandbox; asked for without one, it fails.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod guest_devices;
mod guests;
mod lab;
#[path = "../common/contract/mod.rs"]
mod suite;
#[path = "../common/terminal.rs"]
mod terminal;

mod away;
mod contract;
mod crash;
mod daemon;
mod data;
mod devices;
mod drift;
mod examples;
mod fake_installer;
mod features;
mod generate;
mod host_setup;
mod install;
mod interrupts;
mod jobs;
mod lifecycle;
mod live;
mod machine;
mod moved;
mod names;
mod ownership;
mod passed;
mod port;
mod power;
mod processor;
mod reality;
mod relink;
mod session;
mod state_faults;
mod status;
mod storage;
mod sweep;
mod trial;
mod under_way;
mod unfit;
