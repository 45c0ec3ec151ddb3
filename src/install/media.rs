//! An installation medium, and the kernel and initrd that are found on it.
//!
//! A medium is a tree on a web server, a local directory, or an ISO image: a local file, or anything that can be read and
//! sought in, such as a volume of which ranges are downloaded. Never more is read than what leads to the two files.

mod checksum;
mod error;
mod iso;
mod known;
mod treeinfo;
mod web;

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::exact::Exactly;
use super::os::Os;
use checksum::Verified;
use iso::Iso;
use known::Pair;
use treeinfo::Treeinfo;
use web::{Verdict, Web};

pub use error::{Kind as MediaErrorKind, MediaError};
pub use iso::Source;
pub use known::Kind as SeenAs;

/// The largest kernel or initrd. Those of live servers have some 100 MiB.
pub const LARGEST: u64 = 512 << 20;
/// How much is read of a file that says something in text.
const SMALL: u64 = 1 << 20;

/// The architecture of the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
}

impl Arch {
    /// Its name in libvirt and in `.treeinfo`.
    pub fn as_str(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64",
            Arch::Aarch64 => "aarch64",
        }
    }
}

impl FromStr for Arch {
    type Err = MediaError;

    fn from_str(name: &str) -> Result<Self, MediaError> {
        match name {
            "x86_64" => Ok(Arch::X86_64),
            "aarch64" => Ok(Arch::Aarch64),
            _ => Err(MediaError::new(
                MediaErrorKind::Unsupported,
                format!("where installers for {name} keep their kernels is not known"),
                BY_NAME,
            )),
        }
    }
}

/// Where kernel and initrd of a system's installer usually are on a medium, as paths from its root, best first: for scripts
/// that are written where the medium cannot be seen.
pub fn usual_places(os: &Os, arch: Arch, seen_as: SeenAs) -> Vec<(String, String)> {
    known::pairs(os, arch, seen_as)
        .into_iter()
        .map(|pair| (pair.kernel, pair.initrd))
        .collect()
}

/// Where an installation comes from.
pub enum Medium {
    /// A tree on a web server: http or https.
    Url(String),
    /// A local directory that holds a tree.
    Tree(PathBuf),
    /// A local ISO image, or a device with one in it.
    Iso(PathBuf),
    /// An ISO image that is read by ranges.
    Reader {
        /// What messages call it.
        name: String,
        /// The image. It is sought and read in small pieces, and must know its end.
        source: Box<dyn Source>,
    },
}

impl Medium {
    /// Tells by its look and by the file system what a location is: a URL, a directory or an image. Relative paths are the
    /// caller's to resolve.
    ///
    /// # Errors
    /// A protocol that is not spoken here, a path where there is nothing, or neither a file nor a directory.
    pub fn at(location: &str) -> Result<Self, MediaError> {
        if web::is_url(location) {
            return match location.to_ascii_lowercase().ends_with(".iso") {
                false => Ok(Medium::Url(location.to_owned())),
                true => Err(MediaError::new(
                    MediaErrorKind::Unsupported,
                    format!("{location} is an image, not an install tree"),
                    "download it and name the file, or serve what is on it",
                )),
            };
        }
        let path = Path::new(location);
        let kind = fs::metadata(path)
            .map_err(|error| unreadable(path, &error))?
            .file_type();
        if kind.is_dir() {
            Ok(Medium::Tree(path.to_owned()))
        } else if is_readable(&kind) {
            Ok(Medium::Iso(path.to_owned()))
        } else {
            Err(MediaError::new(
                MediaErrorKind::Unsupported,
                format!("{location} is neither a file nor a directory"),
                "name an ISO image, a directory with an install tree, or a URL of one",
            ))
        }
    }
}

impl fmt::Debug for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Medium::Url(url) => f.debug_tuple("Url").field(url).finish(),
            Medium::Tree(path) => f.debug_tuple("Tree").field(path).finish(),
            Medium::Iso(path) => f.debug_tuple("Iso").field(path).finish(),
            Medium::Reader { name, .. } => f.debug_tuple("Reader").field(name).finish(),
        }
    }
}

/// A medium that was opened.
pub struct Media {
    name: String,
    opened: Opened,
}

enum Opened {
    Web(Web),
    Tree(PathBuf),
    Iso(Iso),
}

/// A file that was found on a medium and not yet opened.
enum MediumFile {
    Web(web::WebEntry),
    File(PathBuf, u64),
    Iso(iso::IsoEntry),
}

impl MediumFile {
    fn length(&self) -> Option<u64> {
        match self {
            MediumFile::Web(found) => found.length,
            MediumFile::File(_, length) => Some(*length),
            MediumFile::Iso(found) => Some(found.length()),
        }
    }
}

/// A kernel and the initrd that goes with it.
#[derive(Debug)]
pub struct BootFiles {
    /// The kernel.
    pub kernel: BootFile,
    /// The initrd.
    pub initrd: BootFile,
}

/// A kernel or initrd, ready to be read once.
pub struct BootFile {
    /// Where it is: a path from the medium's root, a local path, or a URL.
    pub path: String,
    /// How many bytes it has; at least one, at most [`LARGEST`].
    pub length: u64,
    /// Its bytes. Reading fails where they are not as many as `length` says, or not those of the tree's checksum. A file on a web server is requested at the
    /// first read.
    pub content: Box<dyn Read + Send>,
}

impl fmt::Debug for BootFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BootFile")
            .field("path", &self.path)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

impl BootFile {
    /// Opens a kernel or initrd that the definition names itself: a local path, or a URL.
    ///
    /// # Errors
    /// It is not there, cannot be read, is empty or too large.
    pub fn open(place: &str) -> Result<Self, MediaError> {
        let (opened, found) = if web::is_url(place) {
            let (directory, file) = place.rsplit_once('/').unwrap_or((place, ""));
            let web = Web::new(directory)?;
            let found = web.find(file)?.map(MediumFile::Web);
            (Opened::Web(web), found)
        } else {
            let found = file(Path::new(place))?;
            (Opened::Tree(PathBuf::new()), found)
        };
        let media = Media {
            name: place.to_owned(),
            opened,
        };
        match found {
            Some(found) => media.boot_file(place, found, ""),
            None => Err(MediaError::new(
                MediaErrorKind::Missing,
                format!("there is no file {place}"),
                "see that it is written right",
            )),
        }
    }
}

/// What always helps.
const BY_NAME: &str = "name the two files: `location: {kernel: …, initrd: …}`";

impl Media {
    /// Opens a medium. Of a tree on a web server nothing is fetched yet; an ISO image must be one.
    ///
    /// # Errors
    /// It is not there, cannot be read, or is no medium of this kind.
    pub fn open(medium: Medium) -> Result<Self, MediaError> {
        let (name, opened) = match medium {
            Medium::Url(url) => {
                let web = Web::new(&url)?;
                (url, Opened::Web(web))
            }
            Medium::Tree(path) => (path.display().to_string(), Opened::Tree(path)),
            Medium::Iso(path) => {
                let name = path.display().to_string();
                let file = File::open(&path).map_err(|error| unreadable(&path, &error))?;
                let iso = Iso::open(name.clone(), Box::new(file))?;
                (name, Opened::Iso(iso))
            }
            Medium::Reader { name, source } => {
                let iso = Iso::open(name.clone(), source)?;
                (name, Opened::Iso(iso))
            }
        };
        Ok(Self { name, opened })
    }

    /// The name in an ISO image, by which Anaconda finds it: `inst.stage2=hd:LABEL=…`.
    pub fn label(&self) -> Option<&str> {
        match &self.opened {
            Opened::Iso(iso) => Some(iso.label()),
            Opened::Web(_) | Opened::Tree(_) => None,
        }
    }

    /// Finds the kernel and initrd of a system's installer: where `.treeinfo` says, else where its distribution keeps them.
    /// They are held to the checksums in it.
    ///
    /// # Errors
    /// The medium cannot be read, is of another architecture, or has no such files; then the error lists what was looked for.
    pub fn kernel_and_initrd(&self, os: &Os, arch: Arch) -> Result<BootFiles, MediaError> {
        let mut places = Vec::new();
        let mut info = String::new();
        for name in [".treeinfo", "treeinfo"] {
            let Some(text) = self.small(name)? else {
                continue;
            };
            match treeinfo::parse(&text, arch) {
                Treeinfo::Pair(pair) => places.push(pair),
                Treeinfo::Silent => {}
                Treeinfo::OtherArch(other) => {
                    return Err(MediaError::new(
                        MediaErrorKind::NothingFound,
                        format!(
                            "{} is a tree for {other}, not for {}",
                            self.name,
                            arch.as_str()
                        ),
                        "name the tree of the guest's architecture",
                    ));
                }
            }
            info = text;
            break;
        }
        let kind = match self.opened {
            Opened::Iso(_) => known::Kind::Disc,
            Opened::Web(_) | Opened::Tree(_) => known::Kind::Tree,
        };
        for pair in known::pairs(os, arch, kind) {
            if !places.contains(&pair) {
                places.push(pair);
            }
        }
        for pair in &places {
            if let (Some(kernel), Some(initrd)) = self.both(pair)? {
                return Ok(BootFiles {
                    kernel: self.boot_file(&pair.kernel, kernel, &info)?,
                    initrd: self.boot_file(&pair.initrd, initrd, &info)?,
                });
            }
        }
        Err(self.nothing_found(os, arch, &places))
    }

    /// Looks for a kernel, and where there is one for its initrd.
    fn both(&self, pair: &Pair) -> Result<(Option<MediumFile>, Option<MediumFile>), MediaError> {
        match self.find(&pair.kernel)? {
            None => Ok((None, None)),
            kernel => Ok((kernel, self.find(&pair.initrd)?)),
        }
    }

    fn nothing_found(&self, os: &Os, arch: Arch, places: &[Pair]) -> MediaError {
        let looks_like = known::signs(arch)
            .into_iter()
            .filter(|(_, pair)| !places.contains(pair))
            .find(|(_, pair)| matches!(self.both(pair), Ok((Some(_), Some(_)))))
            .map(|(family, _)| family);
        let verdict = match &self.opened {
            Opened::Web(web) => web.verdict(),
            Opened::Tree(_) | Opened::Iso(_) => Verdict::There,
        };
        let remark = match (looks_like, verdict) {
            (Some(family), _) => format!("it looks like a medium of {family}; "),
            (None, Verdict::Missing) => "the server has no such directory; ".to_owned(),
            (None, Verdict::Forbidden) => "the server forbids some of it (403); ".to_owned(),
            (None, Verdict::There) => String::new(),
        };
        let looked = std::iter::once(".treeinfo".to_owned());
        let looked: Vec<String> = looked.chain(places.iter().map(Pair::to_string)).collect();
        MediaError::new(
            MediaErrorKind::NothingFound,
            format!(
                "no kernel and initrd for {os} ({}) in {}: {remark}looked for {}",
                arch.as_str(),
                self.name,
                looked.join(", ")
            ),
            format!(
                "a location for {os} is {}; or {BY_NAME}",
                known::example(os)
            ),
        )
    }

    fn find(&self, path: &str) -> Result<Option<MediumFile>, MediaError> {
        match &self.opened {
            Opened::Web(web) => Ok(web.find(path)?.map(MediumFile::Web)),
            Opened::Tree(root) => file(&root.join(path)),
            Opened::Iso(iso) => Ok(iso.find(path)?.map(MediumFile::Iso)),
        }
    }

    /// Reads the beginning of a small text, if it is there.
    fn small(&self, path: &str) -> Result<Option<String>, MediaError> {
        let found = match &self.opened {
            Opened::Web(web) => return web.small(path),
            Opened::Tree(_) | Opened::Iso(_) => self.find(path)?,
        };
        let Some(found) = found else {
            return Ok(None);
        };
        let (_, content) = self.content(found)?;
        let mut bytes = Vec::new();
        content
            .take(SMALL)
            .read_to_end(&mut bytes)
            .map_err(|error| self.broken(path, &error))?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Opens a kernel or initrd. What `.treeinfo` has as its checksum is checked when it is read.
    fn boot_file(
        &self,
        path: &str,
        found: MediumFile,
        treeinfo: &str,
    ) -> Result<BootFile, MediaError> {
        let wrong_size = |length: u64| {
            if length == 0 {
                return Err(MediaError::new(
                    MediaErrorKind::Damaged,
                    format!("{path} in {} is empty", self.name),
                    "get the medium again",
                ));
            }
            if length > LARGEST {
                let (length, most) = crate::units::apart(length, LARGEST);
                return Err(MediaError::new(
                    MediaErrorKind::TooLarge,
                    format!(
                        "{path} in {} has {length}, more than any kernel or initrd ({most})",
                        self.name,
                    ),
                    "see that the location is that of an installer",
                ));
            }
            Ok(())
        };
        if let Some(length) = found.length() {
            wrong_size(length)?;
        }
        let (length, content) = self.content(found)?;
        wrong_size(length)?;
        let content = Exactly::new(path, length, content);
        Ok(BootFile {
            path: path.to_owned(),
            length,
            content: match treeinfo::checksum(treeinfo, path) {
                None => Box::new(content),
                Some(checksum) => {
                    let name = format!("{path} in {}", self.name);
                    Box::new(Verified::new(name, length, checksum, content))
                }
            },
        })
    }

    fn content(&self, found: MediumFile) -> Result<(u64, Box<dyn Read + Send>), MediaError> {
        match (found, &self.opened) {
            (MediumFile::Web(found), Opened::Web(web)) => web.open(found),
            (MediumFile::Iso(found), Opened::Iso(iso)) => {
                Ok((found.length(), Box::new(iso.read(found))))
            }
            (MediumFile::File(path, length), _) => {
                let file = File::open(&path).map_err(|error| unreadable(&path, &error))?;
                Ok((length, Box::new(file)))
            }
            (MediumFile::Web(_) | MediumFile::Iso(_), _) => Err(MediaError::new(
                MediaErrorKind::Damaged,
                "a file of one medium was looked for on another",
                "this is a bug in miniascape",
            )),
        }
    }

    fn broken(&self, path: &str, error: &io::Error) -> MediaError {
        MediaError::new(
            MediaErrorKind::Unreadable,
            format!("cannot read {path} in {}: {error}", self.name),
            "see that the medium is whole and may be read",
        )
    }
}

/// A local file, if there is one at that path.
fn file(path: &Path) -> Result<Option<MediumFile>, MediaError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {
            Ok(Some(MediumFile::File(path.to_owned(), metadata.len())))
        }
        Ok(_) => Ok(None),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(None),
            _ => Err(unreadable(path, &error)),
        },
    }
}

/// Whether a file of that kind can be read and sought in: an image, or a drive.
fn is_readable(kind: &fs::FileType) -> bool {
    use std::os::unix::fs::FileTypeExt;
    kind.is_file() || kind.is_block_device()
}

/// Whether a path stays below where it begins.
fn is_inside(path: &str) -> bool {
    !path.is_empty() && !path.starts_with('/') && path.split('/').all(|part| part != "..")
}

fn unreadable(path: &Path, error: &io::Error) -> MediaError {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => MediaError::new(
            MediaErrorKind::Missing,
            format!("there is no {path}"),
            "see that it is written right; a path is relative to the lab's directory",
        ),
        _ => MediaError::new(
            MediaErrorKind::Unreadable,
            format!("cannot read {path}: {error}"),
            "see that this user may read it",
        ),
    }
}

#[cfg(test)]
mod tests;
