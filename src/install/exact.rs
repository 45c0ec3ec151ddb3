//! A reader that keeps what was promised of its length.

use std::io::{self, Read};

/// Reads exactly as many bytes as were announced, or fails: half a kernel must never be taken for a whole one.
#[derive(Debug)]
pub(super) struct Exactly<R> {
    inner: R,
    name: String,
    length: u64,
    seen: u64,
}

impl<R: Read> Exactly<R> {
    /// Wraps a reader that shall give `length` bytes. `name` is for the message.
    pub(super) fn new(name: impl Into<String>, length: u64, inner: R) -> Self {
        Self {
            inner,
            name: name.into(),
            length,
            seen: 0,
        }
    }

    /// How many bytes there are.
    pub(super) fn length(&self) -> u64 {
        self.length
    }
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = self.inner.read(buffer)?;
        self.seen += count as u64;
        let amount = if self.seen > self.length {
            "more"
        } else if count == 0 && self.seen < self.length {
            "fewer"
        } else {
            return Ok(count);
        };
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "{} has {amount} bytes than the {} that were announced",
                self.name, self.length
            ),
        ))
    }
}
