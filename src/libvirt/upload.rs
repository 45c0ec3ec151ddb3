//! Filling a volume: by a copy into its file where that is on this machine, else by stream, which works over a remote connection too.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::mpsc::{channel, sync_channel};

use rustix::fs::{Mode, OFlags};
use virt::storage_vol::StorageVol;
use virt::stream::Stream;
use virt::sys;

use super::aside::interruption;
use super::connection::{Connection, is_daemon_here};
use super::error::{NO_SPACE, StepError, is_unsupported};
use super::port::{ErrorKind, Filled, Monitor, Outcome};
use super::raw::{self, Held};
use crate::crash;
use crate::file::content::{Hashing, Method};
use crate::file::sparse::{Extent, extent};
use crate::file::stamp::Stamp;
use crate::step::{Content, Named};
use crate::xml::spelling;
use crate::xml::tree::Element;

/// Bytes read and sent at a time: libvirt's messages are about as long.
const CHUNK: usize = 1 << 18;
/// After how many bytes it is told how far it is.
const TELL: u64 = 1 << 20;
/// Chunks that may wait for their hash.
const QUEUE: usize = 16;
/// Bytes that are sent as fast as anything else is done with them. No holes are sent before them: what marks a file is there.
const LITTLE: u64 = 1 << 20;
/// Bytes by which a file is known again.
const MARK: usize = 32;

impl Connection {
    /// Fills a volume with a file or with bytes.
    pub(super) fn upload(
        &self,
        pool: &Named,
        name: &str,
        content: &Content,
        monitor: &dyn Monitor,
    ) -> Result<Outcome, StepError> {
        let (path, expected) = match content {
            Content::Bytes(bytes) => {
                let length = bytes.len() as u64;
                return self
                    .fill(pool, name, &bytes[..], length, name, monitor)
                    .map(|()| Outcome::default());
            }
            Content::File { path, expected } => (path, expected.as_deref()),
        };
        let stamp = Stamp::of(path);
        let volume = self.volume(pool, name, None)?;
        let filled = Source::open(path).and_then(|source| {
            let method = expected.and_then(Method::of).unwrap_or(Method::Blocks);
            let content = match self.here(&volume, source.length) {
                Some(target) => copy(&source, &target, method, name, monitor),
                None => self.send_file(&volume, &source, method, monitor),
            }?;
            is_expected(&source, expected, &content)?;
            Ok(content)
        });
        drop(volume);
        let content = self.whole(pool, name, filled)?;
        let filled = Filled {
            source: path.clone(),
            stamp,
            content,
        };
        Ok(Outcome {
            filled: Some(filled),
            ..Outcome::default()
        })
    }

    /// Makes sure that there is room for a volume once what is in its place is gone, and what it is to be filled with.
    pub(super) fn check_room(
        &self,
        pool: &Named,
        content: Option<&Content>,
        mut size: u64,
        frees: u64,
    ) -> Result<(), StepError> {
        if let Some(Content::File { path, .. }) = content {
            let source = Source::open(path)?;
            if source.length != size {
                return Err(source.changed());
            }
            // Its holes take none.
            size = size.min(source.takes);
        }
        let room = self.pool(pool)?.info()?.available.saturating_add(frees);
        match room >= size {
            true => Ok(()),
            false => {
                let (size, room) = crate::units::apart(size, room);
                Err(StepError::ours(format!(
                    "it takes {size}, and pool {pool} has room for {room}"
                )))
            }
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
    ) -> Result<(), StepError> {
        let volume = self.volume(pool, name, None)?;
        let sent = self.send(&volume, content, length, source, monitor);
        drop(volume);
        self.whole(pool, name, sent)
    }

    /// Has libvirt look at a volume that was filled, or deletes one that could not be. Where that fails too, as on a lost
    /// connection, the state has it as unfinished, and the next run deletes it.
    fn whole<T>(
        &self,
        pool: &Named,
        name: &str,
        filled: Result<T, StepError>,
    ) -> Result<T, StepError> {
        match filled {
            // libvirt refreshes the pool by itself after an upload, on a thread of its own: the capacity is right
            // only when it is done, so it is asked for here.
            Ok(filled) => self.refresh(pool).map(|()| filled),
            Err(error) => {
                let _ = self.delete_volume(pool, name, None);
                Err(error)
            }
        }
    }

    /// A volume's file, where it is on this machine and may be written to. That it is the one which libvirt writes to is not taken
    /// from its path, which may lead elsewhere for libvirt, in a container or behind a socket that is passed on: libvirt writes
    /// something into it that is to be read here. `None` otherwise, and for what is so little that a stream takes no longer.
    fn here(&self, volume: &StorageVol, length: u64) -> Option<File> {
        let is_near = self.connect.uri().is_ok_and(|uri| is_daemon_here(&uri));
        if length < LITTLE || !is_near {
            return None;
        }
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let target = rustix::fs::open(volume.path().ok()?, flags, Mode::empty()).ok()?;
        let target = File::from(target);
        if !target.metadata().ok()?.is_file() {
            return None;
        }
        let mut mark = [0; MARK];
        File::open("/dev/urandom")
            .and_then(|mut random| random.read_exact(&mut mark))
            .ok()?;
        let stream = Held::new(Stream::new(&self.connect, 0).ok()?);
        volume.upload(&stream, 0, MARK as u64, 0).ok()?;
        ended(&stream, send_whole(&stream, &mark)).ok()?;
        let mut seen = [0; MARK];
        target.read_exact_at(&mut seen, 0).ok()?;
        (seen == mark).then_some(target)
    }

    /// Sends a file, its holes as holes, and gives the hash of what was sent.
    fn send_file(
        &self,
        volume: &StorageVol,
        source: &Source<'_>,
        method: Method,
        monitor: &dyn Monitor,
    ) -> Result<String, StepError> {
        source.is_something()?;
        let total = source.length;
        let (stream, solid) = match self.sparse(volume, total)? {
            Some(sparse) => sparse,
            None => {
                let stream = Held::new(Stream::new(&self.connect, 0)?);
                volume.upload(&stream, 0, total, 0)?;
                (stream, total)
            }
        };
        let name = volume.name().unwrap_or_default();
        let sent = source.pass(solid, method, &name, monitor, |_, piece| match piece {
            Piece::Hole(length) => Ok(raw::send_hole(&stream, *length)?),
            Piece::Data(bytes) => send_whole(&stream, bytes),
        });
        ended(&stream, sent)
    }

    /// A stream that takes holes, and up to where there may be none: what is there already would show through them. `None` where
    /// libvirt knows none.
    fn sparse(
        &self,
        volume: &StorageVol,
        total: u64,
    ) -> Result<Option<(Held<Stream>, u64)>, StepError> {
        let xml = volume.xml_desc(0)?;
        let xml = Element::parse(&xml).map_err(|error| StepError::ours(error.to_string()))?;
        let xml = spelling::canonical(&xml);
        let bytes = |name| xml.text_at(name).and_then(|text| text.parse::<u64>().ok());
        let solid = match (bytes("allocation"), bytes("physical")) {
            (Some(0), _) => LITTLE,
            (_, Some(physical)) => physical.max(LITTLE),
            (_, None) => return Ok(None),
        };
        let stream = Held::new(Stream::new(&self.connect, 0)?);
        let flags = sys::VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM;
        match volume.upload(&stream, 0, total, flags) {
            Ok(()) => Ok(Some((stream, solid))),
            Err(error) if is_unsupported(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn send(
        &self,
        volume: &StorageVol,
        mut content: impl Read,
        total: u64,
        source: &str,
        monitor: &dyn Monitor,
    ) -> Result<(), StepError> {
        if total == 0 {
            // libvirt takes a length of 0 for "all there is room for".
            return Err(StepError::ours(format!("{source} is empty")));
        }
        let stream = Held::new(Stream::new(&self.connect, 0)?);
        volume.upload(&stream, 0, total, 0)?;
        let sent = (|| {
            let mut buffer = vec![0; 4 * CHUNK];
            let mut done = 0;
            monitor.moved(0, total);
            loop {
                if done > 0 {
                    let name = volume.name().unwrap_or_default();
                    crash::point(format_args!("fill volume {name}: on the way"));
                }
                if monitor.is_interrupted() {
                    return Err(interruption());
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
                false => Err(StepError::ours(format!(
                    "{source} changed while it was read"
                ))),
            }
        })();
        ended(&stream, sent)
    }
}

/// A local file that a volume is filled with.
struct Source<'a> {
    path: &'a Path,
    file: File,
    length: u64,
    /// How much room its data takes, in bytes.
    takes: u64,
}

/// What a part of a file is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Data,
    Hole,
}

/// What is on its way to be hashed.
enum Piece {
    Data(Vec<u8>),
    Hole(u64),
}

impl<'a> Source<'a> {
    fn open(path: &'a Path) -> Result<Self, StepError> {
        let opened = File::open(path).and_then(|file| {
            let about = file.metadata()?;
            Ok((file, about))
        });
        let (file, about) =
            opened.map_err(|error| unreadable(&path.display().to_string(), &error))?;
        Ok(Self {
            path,
            file,
            length: about.len(),
            takes: about.blocks().saturating_mul(512),
        })
    }

    /// libvirt takes a length of 0 for "all there is room for".
    fn is_something(&self) -> Result<(), StepError> {
        match self.length {
            0 => Err(StepError::ours(format!("{} is empty", self.path.display()))),
            _ => Ok(()),
        }
    }

    fn unreadable(&self, error: &std::io::Error) -> StepError {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => self.changed_meanwhile(),
            _ => unreadable(&self.path.display().to_string(), error),
        }
    }

    fn changed(&self) -> StepError {
        let told = self.path.display();
        StepError::Ours {
            kind: ErrorKind::Failed,
            message: format!("{told} changed since it was planned with"),
            hint: Some("run the same command again".into()),
        }
    }

    fn changed_meanwhile(&self) -> StepError {
        StepError::ours(format!("{} changed while it was read", self.path.display()))
    }

    /// Gives the file piece by piece with where each begins, and then the hash of all of them, which another thread makes meanwhile.
    /// There are no holes before `solid`.
    fn pass(
        &self,
        solid: u64,
        method: Method,
        volume: &str,
        monitor: &dyn Monitor,
        mut take: impl FnMut(u64, &Piece) -> Result<(), StepError>,
    ) -> Result<String, StepError> {
        std::thread::scope(|scope| {
            let (pieces, taken) = sync_channel(QUEUE);
            let (spare, spares) = channel();
            let hashing = scope.spawn(move || {
                let mut hashing = Hashing::new(method);
                for piece in taken {
                    match piece {
                        Piece::Hole(length) => hashing.zeros(length),
                        Piece::Data(bytes) => {
                            hashing.data(&bytes);
                            // Where nobody wants it any more, it is let go.
                            let _ = spare.send(bytes);
                        }
                    }
                }
                hashing.end()
            });
            self.each(solid, volume, monitor, |range, kind| {
                let begin = range.start;
                let piece = match kind {
                    Kind::Hole => Piece::Hole(range.end - begin),
                    Kind::Data => {
                        let mut bytes: Vec<u8> = spares.try_recv().unwrap_or_default();
                        self.read(range, &mut bytes)?;
                        Piece::Data(bytes)
                    }
                };
                take(begin, &piece)?;
                pieces.send(piece).map_err(|_| hash_failed())
            })?;
            drop(pieces);
            hashing.join().map_err(|_| hash_failed())
        })
    }

    fn read(&self, range: Range<u64>, bytes: &mut Vec<u8>) -> Result<(), StepError> {
        let length = usize::try_from(range.end - range.start).unwrap_or(CHUNK);
        bytes.resize(length, 0);
        self.file
            .read_exact_at(bytes, range.start)
            .map_err(|error| self.unreadable(&error))
    }

    /// Goes through the file in pieces of no more than [`CHUNK`], but for holes, which are given whole. There are none before `solid`.
    fn each(
        &self,
        solid: u64,
        volume: &str,
        monitor: &dyn Monitor,
        mut piece: impl FnMut(Range<u64>, Kind) -> Result<(), StepError>,
    ) -> Result<(), StepError> {
        let total = self.length;
        let (mut position, mut told) = (0, 0);
        monitor.moved(0, total);
        while position < total {
            let (end, is_hole) = match position < solid {
                true => (solid.min(total), false),
                false => match extent(&self.file, position, total) {
                    Ok(Extent::Data(range)) => (range.end, false),
                    Ok(Extent::Hole(range)) => (range.end, true),
                    Err(error) => return Err(self.unreadable(&error)),
                },
            };
            while position < end {
                if position >= told + TELL {
                    crash::point(format_args!("fill volume {volume}: on the way"));
                    if monitor.is_interrupted() {
                        return Err(interruption());
                    }
                    monitor.moved(position, total);
                    told = position;
                }
                let (next, kind) = match is_hole {
                    true => (end, Kind::Hole),
                    false => (end.min(position + CHUNK as u64), Kind::Data),
                };
                piece(position..next, kind)?;
                position = next;
            }
        }
        monitor.moved(total, total);
        match self.file.metadata() {
            Ok(about) if about.len() == total => Ok(()),
            Ok(_) => Err(self.changed_meanwhile()),
            Err(error) => Err(self.unreadable(&error)),
        }
    }
}

/// Copies a file into that of a volume, in the cheapest way that the file systems know, and gives the hash of what is there then. The
/// volume's file stays the one that libvirt made, with its owner, mode and label. What they do not share is read once, to be hashed and
/// written: to have the kernel copy it (copy_file_range(2)) and read it for the hash takes longer.
fn copy(
    source: &Source<'_>,
    target: &File,
    method: Method,
    volume: &str,
    monitor: &dyn Monitor,
) -> Result<String, StepError> {
    let unwritable = |error: std::io::Error| StepError::Ours {
        kind: ErrorKind::Failed,
        message: format!("cannot write to {volume}: {error}"),
        hint: (error.kind() == std::io::ErrorKind::StorageFull).then(|| NO_SPACE.to_owned()),
    };
    source.is_something()?;
    // What libvirt put there would show through holes. A file that was cut to nothing ext4 writes to the disk as it is closed, and waits.
    target
        .set_len(1)
        .and_then(|()| target.write_all_at(&[0], 0))
        .map_err(unwritable)?;
    if rustix::fs::ioctl_ficlone(target, &source.file).is_ok() {
        let shared = Source {
            file: target.try_clone().map_err(unwritable)?,
            ..*source
        };
        return shared.pass(0, method, volume, monitor, |_, _| Ok(()));
    }
    target.set_len(source.length).map_err(unwritable)?;
    source.pass(0, method, volume, monitor, |begin, piece| match piece {
        Piece::Hole(_) => Ok(()),
        Piece::Data(bytes) => target.write_all_at(bytes, begin).map_err(unwritable),
    })
}

fn hash_failed() -> StepError {
    StepError::ours("the thread that hashes ended")
}

fn unreadable(source: &str, error: &std::io::Error) -> StepError {
    StepError::ours(format!("cannot read {source}: {error}"))
}

/// Ends a stream that took all, and breaks one off that did not.
fn ended<T>(stream: &Stream, sent: Result<T, StepError>) -> Result<T, StepError> {
    match sent {
        Ok(sent) => {
            raw::finish(stream)?;
            Ok(sent)
        }
        Err(error) => {
            raw::abort(stream);
            Err(error)
        }
    }
}

/// Sends all of a chunk; libvirt may take less at a time.
fn send_whole(stream: &Stream, mut chunk: &[u8]) -> Result<(), StepError> {
    while !chunk.is_empty() {
        match usize::try_from(stream.send(chunk)?) {
            Ok(count) if count > 0 && count <= chunk.len() => chunk = &chunk[count..],
            Ok(_) | Err(_) => return Err(StepError::ours("libvirt takes no more data")),
        }
    }
    Ok(())
}

fn is_expected(source: &Source<'_>, expected: Option<&str>, actual: &str) -> Result<(), StepError> {
    let Some(expected) = expected.filter(|expected| !expected.eq_ignore_ascii_case(actual)) else {
        return Ok(());
    };
    match (expected.strip_prefix("sha256:"), actual.strip_prefix("sha256:")) {
        (Some(expected), Some(actual)) => Err(StepError::Ours {
            kind: ErrorKind::Failed,
            message: format!(
                "{} has the SHA-256 {actual}, not {expected}",
                source.path.display()
            ),
            hint: Some("get the file again, or correct `sha256` in the definition; if it was just built anew, run the same command again".into()),
        }),
        (_, _) => Err(source.changed()),
    }
}
