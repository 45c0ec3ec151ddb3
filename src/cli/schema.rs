//! `miniascape schema`

use super::Exit;
use super::output::{Failure, result};
use crate::lab::schema::schema;

pub(super) fn run() -> Result<Exit, Failure> {
    result(&format!("{:#}\n", schema()))?;
    Ok(Exit::Success)
}
