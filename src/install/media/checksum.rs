//! Checksums of files as `.treeinfo` has them.

use std::io::{self, Read};

use sha2::digest::DynDigest;
use sha2::{Sha224, Sha256, Sha384, Sha512};

use super::error::{Kind, MediaError};
use crate::fingerprint::hex;

/// What a file must add up to.
pub(super) struct Checksum {
    name: &'static str,
    expected: String,
    state: Box<dyn DynDigest + Send>,
}

impl Checksum {
    /// Reads `sha256:0a1b…`. `None` where the algorithm proves nothing, as MD5 and SHA-1 of old trees, or is not known.
    pub(super) fn parse(written: &str) -> Option<Self> {
        let (algorithm, expected) = written.split_once(':')?;
        let (name, state): (_, Box<dyn DynDigest + Send>) =
            match algorithm.trim().to_ascii_lowercase().as_str() {
                "sha224" => ("SHA-224", Box::<Sha224>::default()),
                "sha256" => ("SHA-256", Box::<Sha256>::default()),
                "sha384" => ("SHA-384", Box::<Sha384>::default()),
                "sha512" => ("SHA-512", Box::<Sha512>::default()),
                _ => return None,
            };
        Some(Self {
            name,
            expected: expected.trim().to_ascii_lowercase(),
            state,
        })
    }
}

/// Reads a file, and fails at its last byte where it does not add up.
pub(super) struct Verified<R> {
    inner: R,
    name: String,
    left: u64,
    checksum: Checksum,
}

impl<R: Read> Verified<R> {
    /// Wraps a reader that gives `length` bytes. `name` is for the message.
    pub(super) fn new(name: String, length: u64, checksum: Checksum, inner: R) -> Self {
        Self {
            inner,
            name,
            left: length,
            checksum,
        }
    }
}

impl<R: Read> Read for Verified<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.checksum.state.update(&buffer[..count]);
        self.left = self.left.saturating_sub(count as u64);
        // Whoever knows the length may not read on to the end.
        if self.left > 0 || count == 0 {
            return Ok(count);
        }
        let found = hex(&self.checksum.state.finalize_reset());
        if found == self.checksum.expected {
            return Ok(count);
        }
        Err(io::Error::other(MediaError::new(
            Kind::Damaged,
            format!(
                "{} is another file than its .treeinfo says: {} is {found}, not {}",
                self.name, self.checksum.name, self.checksum.expected
            ),
            "get the medium again or name another mirror: it is damaged, or not all of it is up to date",
        )))
    }
}
