//! Reading files out of an ISO 9660 image, whatever it is read from.
//!
//! Only what a path leads through is read: the descriptors, the directories on the way, the file. Names are Rock Ridge's where
//! the image has them, else Joliet's, else ISO 9660's own, and match without regard to capitals where none matches exactly.
//! An image may be cut short or hold garbage: every length is bounded and checked against the image's own, links and
//! continuations are counted.
//!
//! Sources: ECMA-119 (ISO 9660), the Joliet specification, SUSP and RRIP 1.12 (Rock Ridge).

mod record;

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use parking_lot::Mutex;

use super::error::{Kind, MediaError};
use record::{Names, Record};

/// The size of a logical block in every image there is.
const BLOCK: u64 = 2048;
/// Where the descriptors begin, and how many are looked at.
const FIRST_DESCRIPTOR: u64 = 16;
const MOST_DESCRIPTORS: u64 = 32;
/// Some ten thousand entries; the directories on the way to a kernel have some ten.
const LARGEST_DIRECTORY: u64 = 1 << 20;
/// As Linux counts symbolic links.
const MOST_LINKS: usize = 40;

/// What an image is read from: a file, or something that fetches the ranges it is asked for.
pub trait Source: Read + Seek + Send {}

impl<T: Read + Seek + Send> Source for T {}

/// An ISO 9660 image.
pub struct Iso {
    name: String,
    source: Arc<Mutex<Box<dyn Source>>>,
    length: u64,
    root: Extent,
    names: Names,
    label: String,
}

/// A run of bytes in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extent {
    block: u64,
    length: u64,
}

/// A file that was found in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IsoEntry {
    extent: Extent,
}

impl IsoEntry {
    /// The file's length in bytes.
    pub(super) fn length(self) -> u64 {
        self.extent.length
    }
}

impl Iso {
    /// Reads the descriptors of an image. `name` is for messages.
    pub(super) fn open(name: String, mut source: Box<dyn Source>) -> Result<Self, MediaError> {
        let length = source
            .seek(SeekFrom::End(0))
            .map_err(|error| unreadable(&name, &error))?;
        let mut iso = Self {
            name,
            source: Arc::new(Mutex::new(source)),
            length,
            root: Extent {
                block: 0,
                length: 0,
            },
            names: Names::Iso,
            label: String::new(),
        };
        let (primary, joliet) = iso.descriptors()?;
        iso.label = String::from_utf8_lossy(&primary[40..72])
            .trim_end()
            .to_owned();
        iso.root = iso.root_of(&primary)?;
        match (iso.rock_ridge()?, joliet) {
            (Some(skip), _) => iso.names = Names::RockRidge { skip },
            (None, Some(joliet)) => {
                iso.names = Names::Joliet;
                iso.root = iso.root_of(&joliet)?;
            }
            (None, None) => {}
        }
        Ok(iso)
    }

    /// The volume's name, by which Anaconda finds it (`inst.stage2=hd:LABEL=…`).
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// Finds a regular file by its path from the root, through symbolic links.
    pub(super) fn find(&self, path: &str) -> Result<Option<IsoEntry>, MediaError> {
        // What is still to be walked, the next part last.
        let mut ahead: Vec<String> = parts(path);
        // Where we are, and by which way, for `..`.
        let mut way = vec![self.root];
        let mut links = 0;
        while let Some(part) = ahead.pop() {
            match part.as_str() {
                "." => continue,
                ".." => {
                    if way.len() > 1 {
                        way.pop();
                    }
                    continue;
                }
                _ => {}
            }
            let here = *way.last().unwrap_or(&self.root);
            let Some(record) = self.entry(here, &part)? else {
                return Ok(None);
            };
            if let Some(target) = &record.link {
                links += 1;
                if links > MOST_LINKS {
                    return Err(self.damaged(format!("{path} goes through too many links")));
                }
                if target.starts_with('/') {
                    way.truncate(1);
                }
                ahead.extend(parts(target));
            } else if record.is_directory() {
                way.push(match record.relocated {
                    // A directory too deep for ISO 9660, kept elsewhere.
                    Some(block) => self.directory_at(block)?,
                    None => record.extent(),
                });
            } else if ahead.is_empty() {
                return self.regular(path, &record).map(Some);
            } else {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Reads a file that was found, from its beginning.
    pub(super) fn read(&self, found: IsoEntry) -> IsoFile {
        IsoFile {
            source: Arc::clone(&self.source),
            position: found.extent.block * BLOCK,
            remaining: found.extent.length,
        }
    }

    fn regular(&self, path: &str, record: &Record) -> Result<IsoEntry, MediaError> {
        if record.is_split() || record.compressed {
            return Err(MediaError::new(
                Kind::Unsupported,
                format!("{path} in {} is stored in parts or compressed", self.name),
                "take it out of the image, for instance by mounting that, and name it as `location: {kernel: …, initrd: …}`",
            ));
        }
        let extent = record.extent();
        self.within(extent, path)?;
        Ok(IsoEntry { extent })
    }

    /// The primary descriptor, and Joliet's where there is one.
    fn descriptors(&self) -> Result<(Vec<u8>, Option<Vec<u8>>), MediaError> {
        let mut primary = None;
        let mut joliet = None;
        for block in FIRST_DESCRIPTOR..FIRST_DESCRIPTOR + MOST_DESCRIPTORS {
            if (block + 1) * BLOCK > self.length {
                break;
            }
            let descriptor = self.bytes(Extent {
                block,
                length: BLOCK,
            })?;
            if &descriptor[1..6] != b"CD001" {
                break;
            }
            match descriptor[0] {
                1 if primary.is_none() => primary = Some(descriptor),
                // The escape sequences of UCS-2, levels 1 to 3.
                2 if matches!(&descriptor[88..91], b"%/@" | b"%/C" | b"%/E") => {
                    joliet = Some(descriptor);
                }
                255 => break,
                _ => {}
            }
        }
        match primary {
            Some(primary) => Ok((primary, joliet)),
            None => Err(self.no_iso()),
        }
    }

    fn root_of(&self, descriptor: &[u8]) -> Result<Extent, MediaError> {
        let block_size = u16::from_le_bytes([descriptor[128], descriptor[129]]);
        if u64::from(block_size) != BLOCK {
            return Err(self.damaged(format!("its blocks have {block_size} bytes, not {BLOCK}")));
        }
        match Record::parse(&descriptor[156..190], Names::Iso) {
            Some(root) if root.is_directory() => Ok(root.extent()),
            _ => Err(self.damaged("its root is no directory".into())),
        }
    }

    /// Whether the root says that Rock Ridge is used: then how many bytes to skip in each entry's system area.
    fn rock_ridge(&self) -> Result<Option<usize>, MediaError> {
        let directory = self.directory(self.root)?;
        Ok(record::rock_ridge(&directory))
    }

    /// The entry of that name: exactly so, or but for capitals and ISO 9660's version number.
    fn entry(&self, directory: Extent, name: &str) -> Result<Option<Record>, MediaError> {
        let bytes = self.directory(directory)?;
        let mut alike = None;
        for raw in record::raw(&bytes) {
            let Some(mut record) = Record::parse(raw, self.names) else {
                return Err(self.damaged("a directory holds garbage".into()));
            };
            // Some entries continue in another block.
            for _ in 0..record::MOST_CONTINUATIONS {
                let Some((block, offset, length)) = record.continues.take() else {
                    break;
                };
                let area = self.bytes(Extent {
                    block,
                    length: BLOCK,
                })?;
                let Some(area) = area.get(offset..offset.saturating_add(length)) else {
                    return Err(self.damaged("a directory entry continues nowhere".into()));
                };
                record.take_system_area(area);
            }
            if record.name == name {
                return Ok(Some(record));
            }
            if alike.is_none() && record::alike(&record.name, name) {
                alike = Some(record);
            }
        }
        Ok(alike)
    }

    /// A directory of which only the first block is known: its own entry tells the length.
    fn directory_at(&self, block: u64) -> Result<Extent, MediaError> {
        let first = self.bytes(Extent {
            block,
            length: BLOCK,
        })?;
        match record::raw(&first)
            .next()
            .and_then(|raw| Record::parse(raw, Names::Iso))
        {
            Some(own) if own.is_directory() => Ok(own.extent()),
            _ => Err(self.damaged("a relocated directory is none".into())),
        }
    }

    fn directory(&self, extent: Extent) -> Result<Vec<u8>, MediaError> {
        if extent.length > LARGEST_DIRECTORY {
            return Err(self.damaged(format!("a directory of {} bytes", extent.length)));
        }
        self.bytes(extent)
    }

    fn bytes(&self, extent: Extent) -> Result<Vec<u8>, MediaError> {
        self.within(extent, "a directory")?;
        let mut bytes = vec![0; extent.length as usize];
        let mut source = self.source.lock();
        source
            .seek(SeekFrom::Start(extent.block * BLOCK))
            .and_then(|_| source.read_exact(&mut bytes))
            .map_err(|error| unreadable(&self.name, &error))?;
        Ok(bytes)
    }

    fn within(&self, extent: Extent, what: &str) -> Result<(), MediaError> {
        // Blocks are counted with 32 bits: no overflow.
        let end = extent.block * BLOCK + extent.length;
        if end <= self.length {
            return Ok(());
        }
        Err(MediaError::new(
            Kind::Damaged,
            format!(
                "{} is cut short: {what} ends at byte {end}, the image at {}",
                self.name, self.length
            ),
            "get the image again, and compare its checksum with the published one",
        ))
    }

    fn damaged(&self, what: String) -> MediaError {
        MediaError::new(
            Kind::Damaged,
            format!("{} is damaged: {what}", self.name),
            "get the image again, and compare its checksum with the published one",
        )
    }

    fn no_iso(&self) -> MediaError {
        let mut start = Vec::new();
        let mut source = self.source.lock();
        let begin = source.seek(SeekFrom::Start(0)).and_then(|_| {
            // Through a reference, since `take` wants to own what it reads from.
            (&mut **source).take(6).read_to_end(&mut start)
        });
        let (what, hint) = match (begin, start.as_slice()) {
            (Ok(_), [b'Q', b'F', b'I', 0xfb, ..]) => (
                "a qcow2 image",
                "an installed disk needs no `install`: name it as the image of the guest's disk",
            ),
            (
                Ok(_),
                [0x1f, 0x8b, ..] | [0xfd, b'7', b'z', b'X', b'Z', ..] | [b'P', b'K', 3, 4, ..],
            ) => ("compressed", "unpack it first"),
            (Ok(_), [b'<', ..]) => (
                "a web page",
                "it was downloaded from a page about the image, not from the image's own address: get it again",
            ),
            _ => (
                "something else, or not whole",
                "name an installation image (.iso) or the directory it is mounted on",
            ),
        };
        MediaError::new(
            Kind::NotIso,
            format!("{} is no ISO 9660 image: it is {what}", self.name),
            hint,
        )
    }
}

/// A file of an image, read as a stream. Several can be read from one image by turns.
pub(super) struct IsoFile {
    source: Arc<Mutex<Box<dyn Source>>>,
    position: u64,
    remaining: u64,
}

impl Read for IsoFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.remaining).map_or(buffer.len(), |n| n.min(buffer.len()));
        if want == 0 {
            return Ok(0);
        }
        let mut source = self.source.lock();
        source.seek(SeekFrom::Start(self.position))?;
        let count = source.read(&mut buffer[..want])?;
        self.position += count as u64;
        self.remaining -= count as u64;
        Ok(count)
    }
}

fn parts(path: &str) -> Vec<String> {
    path.split('/')
        .rev()
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

fn unreadable(name: &str, error: &io::Error) -> MediaError {
    MediaError::new(
        Kind::Unreadable,
        format!("cannot read {name}: {error}"),
        "see that it is whole and may be read",
    )
}

#[cfg(test)]
mod tests;
