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
pub mod confined;
pub mod context;
mod crash;
pub mod desired;
pub mod diagnostic;
pub mod execute;
pub mod generate;
pub mod graph;
pub mod hash;
pub mod header;
pub mod install;
pub mod lab;
pub mod libvirt;
pub mod moves;
pub mod place;
pub mod plan;
pub mod secret;
pub mod settings;
pub mod size;
pub mod sparse;
pub mod stamp;
pub mod state;
pub mod template;
pub mod unattended;
pub mod view;
pub mod xml;
