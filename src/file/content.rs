//! Hashes of what files hold, piece by piece: by SHA-256 (FIPS 180-4), or by blocks of which holes cost nothing.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::file::sparse::{Extent, extent};

/// How what a file holds is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// By SHA-256 over all bytes, as `sha256sum` does.
    Sha256,
    /// By BLAKE3 over the numbers and hashes of those blocks of 1 MiB that are not all zeros, and the length. It takes no longer than
    /// a copy; holes cost nothing, and are the same as zeros that were written.
    Blocks,
}

impl Method {
    /// The method of a hash as text.
    pub fn of(text: &str) -> Option<Self> {
        match text.split_once(':')?.0 {
            "sha256" => Some(Self::Sha256),
            "blocks" => Some(Self::Blocks),
            _ => None,
        }
    }
}

/// The length of a block.
const BLOCK: u64 = 1 << 20;

/// Hashes what a file holds, piece by piece.
#[derive(Debug)]
pub enum Hashing {
    /// By [`Method::Sha256`].
    Sha256(Sha256),
    /// By [`Method::Blocks`].
    Blocks(Box<Blocks>),
}

/// What was hashed of a file by blocks.
#[derive(Debug, Default)]
pub struct Blocks {
    /// Over the blocks' numbers and hashes.
    all: blake3::Hasher,
    /// Over the block that the length is in.
    block: blake3::Hasher,
    /// Something in that block is no zero.
    is_something: bool,
    length: u64,
}

impl Hashing {
    /// Begins.
    pub fn new(method: Method) -> Self {
        match method {
            Method::Sha256 => Self::Sha256(Sha256::new()),
            Method::Blocks => Self::Blocks(Box::default()),
        }
    }

    /// What comes next.
    pub fn data(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Blocks(blocks) => blocks.data(bytes),
        }
    }

    /// So many zeros come next.
    pub fn zeros(&mut self, mut count: u64) {
        static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
        while count > 0 {
            let mut left = count;
            if let Self::Blocks(blocks) = self {
                let whole = count - count % BLOCK;
                if blocks.length.is_multiple_of(BLOCK) && whole > 0 {
                    blocks.length += whole;
                    count -= whole;
                    continue;
                }
                left = left.min(BLOCK - blocks.length % BLOCK);
            }
            let piece = usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS.len());
            self.data(&ZEROS[..piece]);
            count -= piece as u64;
        }
    }

    /// The hash, `sha256:…` or `blocks:…` in lower-case hex.
    pub fn end(self) -> String {
        match self {
            Self::Sha256(hash) => format!("sha256:{}", crate::fingerprint::hex(&hash.finalize())),
            Self::Blocks(mut blocks) => {
                blocks.end_block();
                blocks.all.update(&blocks.length.to_le_bytes());
                format!("blocks:{}", blocks.all.finalize().to_hex())
            }
        }
    }
}

impl Blocks {
    fn data(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = usize::try_from(BLOCK - self.length % BLOCK).unwrap_or(usize::MAX);
            let (piece, rest) = bytes.split_at(room.min(bytes.len()));
            self.is_something = self.is_something || piece.iter().any(|byte| *byte != 0);
            self.block.update(piece);
            self.length += piece.len() as u64;
            bytes = rest;
            if self.length.is_multiple_of(BLOCK) {
                self.end_block();
            }
        }
    }

    fn end_block(&mut self) {
        if std::mem::take(&mut self.is_something) {
            let number = self.length.div_ceil(BLOCK);
            self.all.update(&number.to_le_bytes());
            self.all.update(self.block.finalize().as_bytes());
        }
        self.block.reset();
    }
}

/// The hash of what a file holds.
pub fn content_of(path: &Path, method: Method) -> io::Result<String> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut hashing = Hashing::new(method);
    let mut buffer = vec![0; 1 << 20];
    let mut position = 0;
    while position < length {
        let range = match extent(&file, position, length)? {
            Extent::Hole(range) => {
                hashing.zeros(range.end - range.start);
                position = range.end;
                continue;
            }
            Extent::Data(range) => range,
        };
        while position < range.end {
            let most = usize::try_from(range.end - position).unwrap_or(usize::MAX);
            let piece = &mut buffer[..most.min(1 << 20)];
            file.read_exact_at(piece, position)?;
            hashing.data(piece);
            position += piece.len() as u64;
        }
    }
    Ok(hashing.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_and_zeros_are_the_same_however_a_file_comes() {
        let mut whole = vec![0_u8; (3 << 20) + 7];
        whole[5] = 1;
        whole[(1 << 20) + 9] = 2;
        for method in [Method::Sha256, Method::Blocks] {
            let mut at_once = Hashing::new(method);
            at_once.data(&whole);
            let expected = at_once.end();
            assert_eq!(Method::of(&expected), Some(method));
            let mut in_pieces = Hashing::new(method);
            for piece in whole[..2 << 20].chunks(100_003) {
                in_pieces.data(piece);
            }
            in_pieces.zeros((1 << 20) + 7);
            assert_eq!(in_pieces.end(), expected);
            let file = tempfile::NamedTempFile::new().unwrap();
            file.as_file().set_len(whole.len() as u64).unwrap();
            for at in [5, (1 << 20) + 9] {
                file.as_file()
                    .write_all_at(&whole[at..=at], at as u64)
                    .unwrap();
            }
            assert_eq!(content_of(file.path(), method).unwrap(), expected);

            // A byte elsewhere, or more, is another content.
            let mut others = vec![whole.clone(), whole.clone(), whole[..3 << 20].to_vec()];
            others[0].swap(5, (2 << 20) + 5);
            others[1].push(0);
            for other in others {
                let mut hashing = Hashing::new(method);
                hashing.data(&other);
                assert_ne!(hashing.end(), expected);
            }
        }
        // Holes are not read, wherever they begin: this would take years.
        let mut huge = Hashing::new(Method::Blocks);
        huge.data(&[1; 4097]);
        huge.zeros(1 << 60);
        huge.data(&[1]);
        huge.end();
        let mut known = Hashing::new(Method::Sha256);
        known.data(b"abc");
        assert_eq!(
            known.end(),
            format!("sha256:{}", crate::fingerprint::sha256(b"abc"))
        );
    }
}
