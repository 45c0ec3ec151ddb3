//! What the first bytes of a file or block device say of the disk that is in it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use serde::Serialize;

/// How the bytes of a volume are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VolumeFormat {
    /// QEMU's copy-on-write format.
    Qcow2,
    /// Plain bytes.
    Raw,
}

impl VolumeFormat {
    /// libvirt's word for it, which is also the file name's ending.
    pub fn as_str(self) -> &'static str {
        match self {
            VolumeFormat::Qcow2 => "qcow2",
            VolumeFormat::Raw => "raw",
        }
    }
}

/// What a file says of the disk that is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// How it is laid out.
    pub format: Format,
    /// Size of the disk in bytes.
    pub capacity: u64,
    /// Size of the file in bytes; 0 of a device.
    pub file_size: u64,
    /// It is itself an overlay of another file.
    pub backed: bool,
}

/// How a disk's bytes are laid out, as far as anybody could tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// As one that guests can be given here.
    Known(VolumeFormat),
    /// As another one, by QEMU's name for it.
    Other(String),
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Known(format) => format.as_str(),
            Format::Other(name) => name,
        })
    }
}

/// What files of other formats than raw begin with, the place of it, and QEMU's name for them. What a guest may write itself
/// (LUKS, a file system, a CD's) is raw. <https://www.qemu.org/docs/master/system/qemu-block-drivers.html>
const MAGIC: &[(&str, usize, &[u8])] = &[
    ("qcow2", 0, b"QFI\xfb\0\0\0\x02"),
    ("qcow2", 0, b"QFI\xfb\0\0\0\x03"),
    ("qcow", 0, b"QFI\xfb"),
    ("qed", 0, b"QED\0"),
    ("vmdk", 0, b"KDMV"),
    ("vmdk", 0, b"COWD"),
    ("vmdk", 0, b"# Disk DescriptorFile"),
    ("vhdx", 0, b"vhdxfile"),
    ("vpc", 0, b"conectix"),
    ("parallels", 0, b"WithoutFreeSpace"),
    ("parallels", 0, b"WithouFreSpacExt"),
    ("vdi", 64, b"\x7f\x10\xda\xbe"),
];

/// As many bytes as tell.
const LENGTH: u64 = 68;

impl Header {
    /// Reads a file, or a block device. What is neither is not touched, and is an error.
    pub fn read(path: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        let kind = metadata.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Err(io::Error::other("it is not a file"));
        }
        let mut bytes = Vec::new();
        File::open(path)?.take(LENGTH).read_to_end(&mut bytes)?;
        Ok(Self::parse(&bytes, metadata.len()))
    }

    fn parse(bytes: &[u8], file_size: u64) -> Self {
        let number = |at: usize| {
            let bytes = bytes.get(at..at + 8)?.try_into().ok()?;
            Some(u64::from_be_bytes(bytes))
        };
        let found = MAGIC.iter().find(|(_, at, magic)| {
            let rest = bytes.get(*at..);
            rest.is_some_and(|rest| rest.starts_with(magic))
        });
        let format = Format::named(found.map_or("raw", |(name, _, _)| name));
        match (&format, number(8), number(24)) {
            (Format::Known(VolumeFormat::Qcow2), Some(backing), Some(capacity)) => Self {
                format,
                capacity,
                file_size,
                backed: backing != 0,
            },
            _ => Self {
                format,
                capacity: file_size,
                file_size,
                backed: false,
            },
        }
    }
}

/// The path of what a file is an overlay of, as its header has it; `None` where it is none, or cannot be read.
/// <https://www.qemu.org/docs/master/interop/qcow2.html>
pub fn base(path: &Path) -> Option<String> {
    const LONGEST: u64 = 1023;
    if !Header::read(path).ok()?.backed {
        return None;
    }
    let mut file = File::open(path).ok()?;
    let mut head = [0; 20];
    file.read_exact(&mut head).ok()?;
    let offset = u64::from_be_bytes(head[8..16].try_into().ok()?);
    let length = u32::from_be_bytes(head[16..20].try_into().ok()?);
    file.seek(SeekFrom::Start(offset)).ok()?;
    let mut name = String::new();
    file.take(u64::from(length).min(LONGEST))
        .read_to_string(&mut name)
        .ok()?;
    let named = match name.strip_prefix("json:") {
        Some(json) => file_named(&serde_json::from_str(json).ok()?)?,
        None => name.strip_prefix("file:").unwrap_or(&name).to_owned(),
    };
    // A relative path begins where the overlay is.
    Some(path.parent()?.join(named).to_string_lossy().into_owned())
}

/// The file in a block device's description as JSON.
fn file_named(device: &serde_json::Value) -> Option<String> {
    let names = ["filename", "file.filename", "file.file.filename"];
    let found = names.iter().find_map(|name| device.get(name)?.as_str());
    found
        .map(str::to_owned)
        .or_else(|| file_named(device.get("file")?))
}

impl Format {
    /// The format that QEMU calls so.
    fn named(name: &str) -> Self {
        match name {
            "raw" => Self::Known(VolumeFormat::Raw),
            "qcow2" => Self::Known(VolumeFormat::Qcow2),
            other => Self::Other(other.to_owned()),
        }
    }

    /// The format that libvirt gives a volume. Beside those of files it has names for what is in raw ones, and for partitions.
    pub fn of_volume(name: &str) -> Self {
        let is_layout = MAGIC.iter().any(|(known, _, _)| *known == name)
            || matches!(name, "bochs" | "cloop" | "dmg" | "vhd" | "ploop" | "cow");
        Self::named(if is_layout { name } else { "raw" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_the_format() {
        let at = |place: usize, magic: &[u8]| {
            let mut bytes = vec![0; 1024];
            bytes[place..place + magic.len()].copy_from_slice(magic);
            Header::parse(&bytes, 1024).format.to_string()
        };
        for (name, place, magic) in MAGIC {
            assert_eq!(at(*place, magic), *name);
        }
        for (place, magic) in [
            (0, &b"LUKS\xba\xbe\0\x02"[..]),
            (0, b"\xeb\x63\x90"),
            (8, b"QFI\xfb\0\0\0\x03"),
            (0, b"QFI"),
        ] {
            assert_eq!(at(place, magic), "raw");
        }
        assert_eq!(Header::parse(b"", 0).format.to_string(), "raw");
        assert_eq!(
            Header::parse(b"QFI\xfb\0\0\0\x03", 8).format.to_string(),
            "qcow2"
        );
    }

    #[test]
    fn what_libvirt_calls_a_volume_is_raw_where_it_speaks_of_what_is_in_it() {
        for (name, format) in [
            ("qcow2", "qcow2"),
            ("vmdk", "vmdk"),
            ("raw", "raw"),
            ("iso", "raw"),
            ("fat", "raw"),
            ("unknown", "raw"),
            ("linux-lvm", "raw"),
        ] {
            assert_eq!(Format::of_volume(name).to_string(), format);
        }
    }
}
