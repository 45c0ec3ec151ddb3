//! One entry of an ISO 9660 directory, with what Rock Ridge says of it. Pure: bytes in, a value out, nothing trusted.

use super::Extent;

/// How often an entry's system area may go on elsewhere.
pub(super) const MOST_CONTINUATIONS: usize = 4;
/// The longest name or link that is put together; Linux has 255 and 4095.
const LONGEST: usize = 4096;

const DIRECTORY: u8 = 0x02;
const ASSOCIATED: u8 = 0x04;
const MORE_EXTENTS: u8 = 0x80;

/// Which names a directory's entries carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// ISO 9660's own: capitals, and a version number.
    Iso,
    /// UCS-2, in a tree of its own.
    Joliet,
    /// Rock Ridge's, in the system area of each entry.
    RockRidge {
        /// How many bytes of each system area belong to something else.
        skip: usize,
    },
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) name: String,
    block: u64,
    length: u64,
    flags: u8,
    /// Where a symbolic link leads.
    pub(super) link: Option<String>,
    /// The block of a directory that is kept elsewhere.
    pub(super) relocated: Option<u64>,
    /// Whether the content is stored with zisofs.
    pub(super) compressed: bool,
    /// Where the system area goes on: block, offset, length.
    pub(super) continues: Option<(u64, usize, usize)>,
    rock_ridge_name: String,
    link_is_whole: bool,
}

impl Record {
    /// Reads an entry; `None` where it is none.
    pub(super) fn parse(raw: &[u8], names: Names) -> Option<Self> {
        let name_length = usize::from(*raw.get(32)?);
        let name = raw.get(33..33 + name_length)?;
        let text = match (names, name) {
            // The directory itself, and the one above.
            (_, [0]) => ".".to_owned(),
            (_, [1]) => "..".to_owned(),
            (Names::Joliet, _) => {
                let units: Vec<u16> = name
                    .chunks_exact(2)
                    .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                    .collect();
                String::from_utf16_lossy(&units)
            }
            (Names::Iso | Names::RockRidge { .. }, _) => String::from_utf8_lossy(name).into_owned(),
        };
        let mut record = Self {
            name: text,
            // An extended attribute record comes before the content.
            block: u64::from(number(raw, 2)?) + u64::from(raw[1]),
            length: u64::from(number(raw, 10)?),
            flags: raw[25],
            link: None,
            relocated: None,
            compressed: false,
            continues: None,
            rock_ridge_name: String::new(),
            link_is_whole: true,
        };
        if let Names::RockRidge { skip } = names {
            // The name is filled up to an even end.
            let area = 33 + name_length + usize::from(name_length % 2 == 0) + skip;
            record.take_system_area(raw.get(area..).unwrap_or_default());
        }
        Some(record)
    }

    pub(super) fn is_directory(&self) -> bool {
        self.flags & DIRECTORY != 0 || self.relocated.is_some()
    }

    /// Whether more entries of this name hold the rest of the file.
    pub(super) fn is_split(&self) -> bool {
        self.flags & MORE_EXTENTS != 0
    }

    pub(super) fn extent(&self) -> Extent {
        Extent {
            block: self.block,
            length: self.length,
        }
    }

    /// Reads the fields that Rock Ridge has put behind the entry, or in a continuation of it.
    pub(super) fn take_system_area(&mut self, mut area: &[u8]) {
        while let [a, b, length, _version, ..] = *area {
            let length = usize::from(length);
            let Some(field) = area.get(4..length) else {
                return;
            };
            match &[a, b] {
                b"NM" => self.take_name(field),
                b"SL" => self.take_link(field),
                b"CL" => self.relocated = number(field, 0).map(u64::from),
                b"ZF" => self.compressed = true,
                b"CE" => {
                    if let (Some(block), Some(offset), Some(length)) =
                        (number(field, 0), number(field, 8), number(field, 16))
                    {
                        self.continues = Some((u64::from(block), offset as usize, length as usize));
                    }
                }
                b"ST" => return,
                _ => {}
            }
            area = &area[length..];
        }
    }

    fn take_name(&mut self, field: &[u8]) {
        // Flags 2 and 4 stand for `.` and `..`, which have their names already.
        if let [flags, name @ ..] = field
            && flags & 0b110 == 0
            && self.rock_ridge_name.len() + name.len() <= LONGEST
        {
            self.rock_ridge_name
                .push_str(&String::from_utf8_lossy(name));
            self.name.clone_from(&self.rock_ridge_name);
        }
    }

    /// Reads components of a link: each with flags, a length, and as many bytes.
    fn take_link(&mut self, field: &[u8]) {
        let mut rest = field.get(1..).unwrap_or_default();
        let mut link = self.link.take().unwrap_or_default();
        while let [flags, length, ..] = *rest {
            let end = 2 + usize::from(length);
            let Some(text) = rest.get(2..end) else {
                break;
            };
            if self.link_is_whole && !link.is_empty() && !link.ends_with('/') {
                link.push('/');
            }
            match flags & 0b1110 {
                0b0010 => link.push('.'),
                0b0100 => link.push_str(".."),
                0b1000 => "/".clone_into(&mut link),
                _ => link.push_str(&String::from_utf8_lossy(text)),
            }
            self.link_is_whole = flags & 1 == 0;
            rest = &rest[end..];
            if link.len() > LONGEST {
                break;
            }
        }
        self.link = Some(link);
    }
}

/// The entries of a directory, as bytes. An entry never crosses a block; what is left of a block is zeros.
pub(super) fn raw(directory: &[u8]) -> impl Iterator<Item = &[u8]> {
    directory.chunks(super::BLOCK as usize).flat_map(|block| {
        let mut rest = block;
        std::iter::from_fn(move || {
            let length = usize::from(*rest.first()?);
            // An entry that is longer than what is left: the end, as with a length of 0.
            if length == 0 || length > rest.len() {
                return None;
            }
            let (entry, after) = rest.split_at(length);
            rest = after;
            Some(entry)
        })
        .filter(|entry| entry.get(25).is_none_or(|flags| flags & ASSOCIATED == 0))
    })
}

/// Whether the root directory's own entry announces the System Use Sharing Protocol: then the bytes to skip in each entry.
pub(super) fn rock_ridge(root: &[u8]) -> Option<usize> {
    let own = raw(root).next()?;
    // The name is one byte, so the system area begins at 34. CD-ROM XA puts 14 bytes of its own before it.
    [34, 48]
        .into_iter()
        .find_map(|start| match own.get(start..)? {
            [b'S', b'P', 7, 1, 0xbe, 0xef, skip, ..] => Some(usize::from(*skip)),
            _ => None,
        })
}

/// Whether a name of ISO 9660 or of a careless copy is meant by another: without regard to capitals, to the version number,
/// to a dot at the end, and to what ISO 9660 writes as `_`.
pub(super) fn alike(found: &str, wanted: &str) -> bool {
    let found = found.split_once(';').map_or(found, |(name, _)| name);
    let plain = |name: &str| -> Vec<u8> {
        name.trim_end_matches('.')
            .bytes()
            .map(|byte| match byte.to_ascii_lowercase() {
                byte @ (b'a'..=b'z' | b'0'..=b'9' | b'.') => byte,
                _ => b'_',
            })
            .collect()
    };
    plain(found) == plain(wanted)
}

/// A number of 32 bits, which stands there little-endian first, then big-endian.
fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes(four.try_into().ok()?))
}
