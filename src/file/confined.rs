//! Which files a definition may have read into what it makes.
//!
//! A lab that somebody else wrote can be planned without reading what is none of its business: its definition, templates and
//! what they include lie in directories that the user chose, wherever symbolic links and `..` lead.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// The largest file that is read as a text.
const LARGEST: u64 = 16 << 20;

/// The directories whose files may be read.
#[derive(Debug, Clone, Default)]
pub struct Confined {
    /// Without symbolic links.
    directories: Vec<PathBuf>,
}

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It is in none of the directories.
    #[error("it lies outside of the lab's directory")]
    Outside,
    /// A directory, a device, a pipe.
    #[error("it is not a regular file")]
    NotAFile,
    /// Larger than any text that is meant.
    #[error("it is larger than {}", crate::units::size(LARGEST))]
    TooLarge,
    /// Not a text.
    #[error("byte {0} is not UTF-8")]
    NotUtf8(usize),
    /// The system does not let us.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Refusal {
    /// How to mend it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Outside => Some(
                "move it there, or allow the directory that it is in: `--include-path DIR`; a symbolic link counts as what it leads to",
            ),
            Self::NotAFile | Self::TooLarge | Self::NotUtf8(_) | Self::Io(_) => None,
        }
    }

    /// Whether there is no such file.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

impl Confined {
    /// To these directories, as far as they are there.
    pub fn to<P: AsRef<Path>>(directories: impl IntoIterator<Item = P>) -> Self {
        let mut confined = Self::default();
        confined.extend(directories);
        confined
    }

    /// To more directories.
    pub fn extend<P: AsRef<Path>>(&mut self, directories: impl IntoIterator<Item = P>) {
        for directory in directories {
            // The current one may be written as nothing.
            let path = Path::new(".").join(directory);
            self.directories.extend(path.canonicalize());
        }
    }

    /// Whether a path, or what it leads to, is in one of the directories.
    pub fn holds(&self, path: &Path) -> io::Result<bool> {
        let real = Path::new(".").join(path).canonicalize()?;
        Ok(self.directories.iter().any(|dir| real.starts_with(dir)))
    }

    /// Reads a text file, without a byte order mark.
    pub fn read(&self, path: &Path) -> Result<String, Refusal> {
        match self.holds(path)? {
            true => read(path),
            false => Err(Refusal::Outside),
        }
    }
}

/// Reads a text file wherever it is, without a byte order mark.
fn read(path: &Path) -> Result<String, Refusal> {
    // To open a pipe would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(Refusal::NotAFile);
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(LARGEST + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Refusal::TooLarge);
    }
    let text = String::from_utf8(bytes)
        .map_err(|error| Refusal::NotUtf8(error.utf8_error().valid_up_to()))?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// A path without `..` where that leads to the same file, as it does unless a symbolic link is in between.
pub fn shortened(path: &Path) -> PathBuf {
    let mut short = PathBuf::new();
    for part in path.components() {
        match (part, short.components().next_back()) {
            (Component::ParentDir, Some(Component::Normal(_))) => {
                short.pop();
            }
            (part, _) => short.push(part),
        }
    }
    match (short.canonicalize(), path.canonicalize()) {
        (Ok(one), Ok(other)) if one == other => short,
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_leads_out_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir_all(path("lab/in")).unwrap();
        fs::create_dir(path("lab-2")).unwrap();
        for name in ["lab/in/a", "lab-2/a", "a"] {
            fs::write(path(name), "\u{feff}text").unwrap();
        }
        symlink("../a", path("lab/link")).unwrap();
        symlink("..", path("lab/up")).unwrap();
        symlink("in/a", path("lab/inner")).unwrap();
        symlink("lab", path("other-name")).unwrap();
        let confined = Confined::to([path("other-name")]);
        for inside in ["lab/in/a", "lab/inner", "lab/in/../in/a", "lab/up/lab/in/a"] {
            assert_eq!(confined.read(&path(inside)).unwrap(), "text", "{inside}");
        }
        for outside in ["a", "lab/link", "lab/up/a", "lab/../a", "lab-2/a"] {
            let refused = confined.read(&path(outside)).unwrap_err();
            assert!(matches!(refused, Refusal::Outside), "{outside}");
        }
        assert!(confined.read(&path("lab/none")).unwrap_err().is_missing());
    }

    #[test]
    fn only_regular_files_of_a_text_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        symlink("/dev/zero", path("zero")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), 0o600.into()).unwrap();
        File::create(path("huge"))
            .unwrap()
            .set_len(LARGEST + 1)
            .unwrap();
        fs::write(path("bytes"), b"ab\xff").unwrap();
        let confined = Confined::to([directory.path(), Path::new("/dev")]);
        for (name, expected) in [
            ("zero", "it is not a regular file"),
            ("pipe", "it is not a regular file"),
            ("", "it is not a regular file"),
            ("huge", "it is larger than 16 MiB"),
            ("bytes", "byte 2 is not UTF-8"),
        ] {
            let refused = confined.read(&path(name)).unwrap_err();
            assert_eq!(refused.to_string(), expected, "{name}");
        }
    }
}
