//! miniascape keeps a virtualization lab as text.
//!
//! Data flows one way; each stage is a plain value:
//!
//! ```text
//! files -> Spec -> Lab -> Desired ----.
//!          (as     (as    (resources,  \
//!          written) meant) their XML)   > differences -> Plan (Steps) -> execute -> State
//! live libvirt ----> Observed ---------/                    |               |
//! State (last applied) ---------------'                     view            view (Events)
//! ```
//!
//! Everything but four places is pure: [`lab::load`] (files), [`libvirt`] (the hypervisor),
//! [`state::store`] (the state) and [`template`] (template files).

pub mod address;
pub mod cli;
mod crash;
pub mod desired;
pub mod diagnostic;
pub mod execute;
pub mod file;
pub mod fingerprint;
pub mod generate;
pub mod graph;
pub mod install;
pub mod lab;
pub mod libvirt;
mod number_set;
pub mod plan;
pub mod secret;
pub mod settled;
pub mod state;
pub mod step;
pub mod template;
pub mod units;
pub mod view;
pub mod xml;
