//! Filling a volume by stream, so that it works over a remote connection too.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};
use virt::storage_vol::StorageVol;
use virt::stream::Stream;

use super::connection::Connection;
use super::error::Trouble;
use super::raw::{self, Held};
use super::{ErrorKind, Monitor};
use crate::crash;
use crate::hash::hex;
use crate::plan::step::{Content, Named};

/// Bytes read and sent at a time.
const CHUNK: usize = 1 << 20;

impl Connection {
    /// Fills a volume with a file or with bytes.
    pub(super) fn upload(
        &self,
        pool: &Named,
        name: &str,
        content: &Content,
        monitor: &dyn Monitor,
    ) -> Result<(), Trouble> {
        let (source, sha256) = match content {
            Content::Bytes(bytes) => {
                return self.fill(pool, name, &bytes[..], bytes.len() as u64, name, monitor);
            }
            Content::File { path, sha256 } => (path, sha256),
        };
        let told = source.display().to_string();
        let opened = File::open(source).and_then(|file| {
            let length = file.metadata()?.len();
            Ok((file, length))
        });
        let (file, length) = match opened {
            Ok(opened) => opened,
            Err(error) => return self.unfilled(pool, name, unreadable(&told, &error)),
        };
        let mut hashing = Hashing {
            inner: file,
            hash: Sha256::new(),
        };
        self.fill(pool, name, &mut hashing, length, &told, monitor)?;
        match sha256 {
            Some(expected) => same_hash(source, expected, &hex(&hashing.hash.finalize()))
                .or_else(|trouble| self.unfilled(pool, name, trouble)),
            None => Ok(()),
        }
    }

    /// Makes sure that there is room for a volume once what is in its place is gone, and what it is to be filled with.
    pub(super) fn check_room(
        &self,
        pool: &Named,
        content: Option<&Content>,
        size: u64,
        frees: u64,
    ) -> Result<(), Trouble> {
        if let Some(Content::File { path, .. }) = content {
            let told = path.display().to_string();
            let length = File::open(path).and_then(|file| Ok(file.metadata()?.len()));
            let length = length.map_err(|error| unreadable(&told, &error))?;
            if length != size {
                return Err(Trouble::ours(format!(
                    "{told} changed since it was planned with"
                )));
            }
        }
        let room = self.pool(pool)?.info()?.available.saturating_add(frees);
        match room >= size {
            true => Ok(()),
            false => Err(Trouble::ours(format!(
                "it takes {}, and pool {pool} has room for {}",
                crate::size::size(size),
                crate::size::size(room)
            ))),
        }
    }

    /// Fills a volume with so many bytes, of what is told as `source`. Whatever fails, the volume is deleted: half an image
    /// must never be taken for a whole one.
    pub(super) fn fill(
        &self,
        pool: &Named,
        name: &str,
        content: impl Read,
        length: u64,
        source: &str,
        monitor: &dyn Monitor,
    ) -> Result<(), Trouble> {
        let volume = self.volume(pool, name, None)?;
        let sent = self.send(&volume, content, length, source, monitor);
        drop(volume);
        match sent {
            // libvirt refreshes the pool by itself after an upload, on a thread of its own: the capacity is right
            // only when it is done, so it is asked for here.
            Ok(()) => self.refresh(pool),
            Err(trouble) => self.unfilled(pool, name, trouble),
        }
    }

    /// Deletes a volume that could not be filled, and gives the reason. Where that fails too, as on a lost connection, the
    /// state has it as unfinished, and the next run deletes it.
    fn unfilled(&self, pool: &Named, name: &str, trouble: Trouble) -> Result<(), Trouble> {
        let _ = self.delete_volume(pool, name, None);
        Err(trouble)
    }

    fn send(
        &self,
        volume: &StorageVol,
        mut content: impl Read,
        total: u64,
        source: &str,
        monitor: &dyn Monitor,
    ) -> Result<(), Trouble> {
        if total == 0 {
            // libvirt takes a length of 0 for "all there is room for".
            return Err(Trouble::ours(format!("{source} is empty")));
        }
        let stream = Held::new(Stream::new(&self.connect, 0)?);
        volume.upload(&stream, 0, total, 0)?;
        let sent = (|| {
            let mut buffer = vec![0; CHUNK];
            let mut done = 0;
            monitor.moved(0, total);
            loop {
                if done > 0 {
                    let name = volume.name().unwrap_or_default();
                    crash::point(format_args!("fill volume {name}: on the way"));
                }
                let count = content
                    .read(&mut buffer)
                    .map_err(|error| unreadable(source, &error))?;
                if count == 0 {
                    break;
                }
                done += count as u64;
                if done > total {
                    break;
                }
                send_whole(&stream, &buffer[..count])?;
                monitor.moved(done, total);
            }
            match done == total {
                true => Ok(()),
                false => Err(Trouble::ours(format!("{source} changed while it was read"))),
            }
        })();
        match sent {
            Ok(()) => Ok(raw::finish(&stream)?),
            Err(trouble) => {
                raw::abort(&stream);
                Err(trouble)
            }
        }
    }
}

/// Hashes what is read through it.
struct Hashing<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        Ok(count)
    }
}

fn unreadable(source: &str, error: &std::io::Error) -> Trouble {
    Trouble::ours(format!("cannot read {source}: {error}"))
}

/// Sends all of a chunk; libvirt may take less at a time.
fn send_whole(stream: &Stream, mut chunk: &[u8]) -> Result<(), Trouble> {
    while !chunk.is_empty() {
        match usize::try_from(stream.send(chunk)?) {
            Ok(count) if count > 0 && count <= chunk.len() => chunk = &chunk[count..],
            Ok(_) | Err(_) => return Err(Trouble::ours("libvirt takes no more data")),
        }
    }
    Ok(())
}

fn same_hash(source: &Path, expected: &str, actual: &str) -> Result<(), Trouble> {
    if expected.eq_ignore_ascii_case(actual) {
        return Ok(());
    }
    Err(Trouble::Ours {
        kind: ErrorKind::Failed,
        message: format!(
            "{} has the SHA-256 {actual}, not {expected}",
            source.display()
        ),
        hint: Some("get the file again, or correct `sha256` in the definition; if it was just built anew, run the same command again".into()),
    })
}
