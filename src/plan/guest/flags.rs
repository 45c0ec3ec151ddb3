//! What is wanted of a guest beside its definition.

use uuid::Uuid;

use crate::desired::Chosen;
use crate::lab::model::OnChange;

/// What is wanted of a guest beside its definition.
pub(in crate::plan) struct Flags {
    pub uuid: Uuid,
    pub autostart: bool,
    pub running: bool,
    pub timeout: u64,
    pub on_change: OnChange,
    pub chosen: Chosen,
}
