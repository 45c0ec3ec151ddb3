//! Files as they are to be in the work directory.

use std::collections::BTreeMap;

use super::path::RelativePath;
use crate::secret;

/// A file as it should be in the work directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedFile {
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Its permissions, from which the umask takes away.
    pub mode: u32,
}

/// All files, by their place in the work directory.
pub type Files = BTreeMap<RelativePath, GeneratedFile>;

/// Permissions of what everyone may read.
pub(super) const PLAIN: u32 = 0o644;

/// Permissions of what is run.
const PROGRAM: u32 = 0o755;

/// Permissions of what may hold the hashes of passwords.
pub(super) const SECRET: u32 = 0o600;

/// What of permissions is the owner's.
pub(super) const OWNERS: u32 = 0o700;

/// The permissions of a text: everyone may read it, or run it where it begins with `#!`; one with a password is its owner's alone.
pub(super) fn mode_of(text: &str) -> u32 {
    match (text.starts_with("#!"), secret::is_in(text)) {
        (true, false) => PROGRAM,
        (true, true) => PROGRAM & OWNERS,
        (false, false) => PLAIN,
        (false, true) => SECRET,
    }
}
