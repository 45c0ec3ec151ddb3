//! Putting files into an installer's initrd, as its last part.
//!
//! The kernel unpacks every archive that an initrd holds, one after the other, so that files are added by appending an
//! archive of them: in the `newc` format, uncompressed, at an offset that is a multiple of 4 (`buffer-format` in the
//! kernel's documentation). What was before need not be understood, be it gzip, xz or zstd. Only lz4, as Ubuntu 20.04's live
//! server has it, knows no end and hides what follows; that installer gets a seed volume.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Cursor, Read};

use thiserror::Error;

use super::exact::Exactly;

/// What archives and file contents are aligned to.
const ALIGNMENT: u64 = 4;
/// What `cpio` fills an archive up to.
const BLOCK: usize = 512;
/// The kernel's limit of a path.
const NAME_MAX: usize = 4095;
const DIRECTORY: u32 = 0o040_755;
const REGULAR: u32 = 0o100_000;

/// A file that the installer shall find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitrdFile {
    /// Its path below the initrd's root: `preseed.cfg`, `hooks/early.sh`. A directory on the way becomes root's, 0755; it
    /// must not be one that the installer has as a symbolic link (`bin`, `lib` and the like), since the kernel would put the
    /// directory in the link's place.
    pub name: String,
    /// What is in it.
    pub content: Vec<u8>,
    /// Its permissions: 0o644, 0o755.
    pub mode: u32,
}

impl InitrdFile {
    /// A file that all may read and only root may write.
    pub fn new(name: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            content: content.into(),
            mode: 0o644,
        }
    }
}

/// A file that no initrd can hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InitrdError {
    /// The name leads elsewhere or nowhere.
    #[error("`{0}` is no path inside an initrd: write it without a leading `/`, `.` and `..`")]
    Name(String),
    /// Two files of one name, or a file where another needs a directory.
    #[error("two files for the initrd want the path `{0}`")]
    Twice(String),
    /// The format has 32 bits for a length.
    #[error("`{0}` is larger than 4 GiB, which an initrd cannot hold")]
    TooLarge(String),
}

/// Makes an archive of files, to be appended to an initrd. The same files give the same bytes, in whatever order: the owner
/// is root, the time 1970, inodes are counted from 0 in the order of the names. It is what
/// `cpio -o -H newc --reproducible -R 0:0` writes of files of that time.
///
/// # Errors
/// A name that is no path inside the initrd, two files of one name, a file of 4 GiB or more.
pub fn archive(files: &[InitrdFile]) -> Result<Vec<u8>, InitrdError> {
    let mut named: BTreeMap<&str, &InitrdFile> = BTreeMap::new();
    let mut directories: BTreeSet<&str> = BTreeSet::new();
    for file in files {
        let name = file.name.as_str();
        if !is_inside(name) {
            return Err(InitrdError::Name(name.to_owned()));
        }
        if named.insert(name, file).is_some() {
            return Err(InitrdError::Twice(name.to_owned()));
        }
        directories.extend(name.match_indices('/').map(|(at, _)| &name[..at]));
    }
    if let Some(both) = directories.iter().find(|name| named.contains_key(*name)) {
        return Err(InitrdError::Twice((*both).to_owned()));
    }

    let mut bytes = Vec::new();
    // A directory sorts before what is in it, since its name is a beginning of theirs.
    let names: BTreeSet<&str> = named.keys().copied().chain(directories).collect();
    for (inode, name) in (0..).zip(names) {
        match named.get(name) {
            None => entry(&mut bytes, name, inode, DIRECTORY, 2, &[])?,
            Some(file) => {
                let mode = REGULAR | file.mode & 0o7777;
                entry(&mut bytes, name, inode, mode, 1, &file.content)?;
            }
        }
    }
    entry(&mut bytes, "TRAILER!!!", 0, 0, 1, &[])?;
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    Ok(bytes)
}

/// Whether a name is a plain relative path.
fn is_inside(name: &str) -> bool {
    name.len() <= NAME_MAX
        && !name.contains('\0')
        && name != "TRAILER!!!"
        && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// Writes one entry: the magic, thirteen numbers of eight hexadecimal digits, the name, the content.
fn entry(
    bytes: &mut Vec<u8>,
    name: &str,
    inode: u32,
    mode: u32,
    links: u32,
    content: &[u8],
) -> Result<(), InitrdError> {
    let length =
        u32::try_from(content.len()).map_err(|_| InitrdError::TooLarge(name.to_owned()))?;
    // At most NAME_MAX and the zero that ends it.
    let name_length = name.len() as u32 + 1;
    bytes.extend_from_slice(b"070701");
    // Owner, group and time are 0; so are the devices' numbers and the checksum, which this variant does not use.
    for number in [
        inode,
        mode,
        0,
        0,
        links,
        0,
        length,
        0,
        0,
        0,
        0,
        name_length,
        0,
    ] {
        bytes.extend_from_slice(format!("{number:08X}").as_bytes());
    }
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(0);
    align(bytes);
    bytes.extend_from_slice(content);
    align(bytes);
    Ok(())
}

fn align(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT as usize), 0);
}

/// An initrd with an archive appended, read as a stream.
///
/// Reading fails where the original is shorter or longer than was said: its length decides where the archive begins.
#[derive(Debug)]
pub struct InitrdWith<R> {
    original: Exactly<R>,
    rest: Cursor<Vec<u8>>,
}

impl<R: Read> InitrdWith<R> {
    /// Appends what [`archive`] gave to an initrd of `length` bytes.
    pub fn new(original: R, length: u64, archive: Vec<u8>) -> Self {
        let padding = length.next_multiple_of(ALIGNMENT) - length;
        let mut rest = vec![0; padding as usize];
        rest.extend(archive);
        Self {
            original: Exactly::new("the initrd", length, original),
            rest: Cursor::new(rest),
        }
    }

    /// How many bytes can be read in all.
    pub fn total_len(&self) -> u64 {
        self.original.length() + self.rest.get_ref().len() as u64
    }
}

impl<R: Read> Read for InitrdWith<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.rest.position() > 0 {
            return self.rest.read(buffer);
        }
        match self.original.read(buffer)? {
            0 => self.rest.read(buffer),
            count => Ok(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    fn files() -> Vec<InitrdFile> {
        vec![
            InitrdFile::new("preseed.cfg", "d-i preseed/early_command string poweroff\n"),
            InitrdFile {
                mode: 0o755,
                ..InitrdFile::new("lab/hooks/early.sh", "#!/bin/sh\n")
            },
            InitrdFile::new("lab/empty", ""),
            InitrdFile::new("lab.d", "sorts between a directory and what is in it"),
        ]
    }

    /// Runs a program on a standard input.
    fn run(
        program: &str,
        arguments: &[&str],
        directory: &std::path::Path,
        input: &[u8],
    ) -> Vec<u8> {
        let mut child = Command::new(program)
            .args(arguments)
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("{program}: {e}"));
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        // On a thread of its own: a program that writes before it has read all must not wait for us.
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        assert!(output.status.success(), "{program} {arguments:?}");
        output.stdout
    }

    #[test]
    fn cpio_lists_what_was_put_in() {
        let directory = tempfile::tempdir().unwrap();
        let listed = run(
            "cpio",
            &["-it"],
            directory.path(),
            &archive(&files()).unwrap(),
        );
        assert_eq!(
            String::from_utf8(listed).unwrap(),
            "lab\nlab.d\nlab/empty\nlab/hooks\nlab/hooks/early.sh\npreseed.cfg\n"
        );
    }

    #[test]
    fn the_bytes_are_those_of_gnu_cpio() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        for file in files() {
            let path = directory.path().join(&file.name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &file.content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(file.mode)).unwrap();
        }
        let names = [
            "lab",
            "lab.d",
            "lab/empty",
            "lab/hooks",
            "lab/hooks/early.sh",
            "preseed.cfg",
        ];
        for name in names {
            let path = directory.path().join(name);
            if path.is_dir() {
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
        // Last, for a file put into a directory changes the directory's time.
        for name in names {
            let time = std::time::SystemTime::UNIX_EPOCH;
            let file = std::fs::File::open(directory.path().join(name)).unwrap();
            file.set_modified(time).unwrap();
        }
        let mut theirs = run(
            "cpio",
            &["-o", "-H", "newc", "--reproducible", "-R", "0:0"],
            directory.path(),
            (names.join("\n") + "\n").as_bytes(),
        );
        let mut shuffled = files();
        shuffled.reverse();
        let ours = archive(&shuffled).unwrap();
        // How many links a directory has is the file system's own idea.
        for name in ["lab", "lab/hooks"] {
            let name = format!("{name}\0");
            let at = ours
                .windows(name.len())
                .position(|w| w == name.as_bytes())
                .unwrap();
            theirs[at - 72..at - 64].copy_from_slice(b"00000002");
        }
        assert_eq!(String::from_utf8(ours), String::from_utf8(theirs));
    }

    #[test]
    fn an_initrd_goes_on_where_it_ended() {
        let directory = tempfile::tempdir().unwrap();
        let added = archive(&files()).unwrap();
        for original in ["", "1", "12", "123", "1234", "12345"] {
            let length = original.len() as u64;
            let mut with = InitrdWith::new(original.as_bytes(), length, added.clone());
            let total = with.total_len();
            let mut bytes = Vec::new();
            with.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes.len() as u64, total);
            let begins = bytes.len() - added.len();
            assert_eq!(
                begins % 4,
                0,
                "the kernel takes an archive only at a multiple of 4"
            );
            assert!(begins < original.len() + 4);
            assert_eq!(&bytes[..original.len()], original.as_bytes());
            assert!(bytes[original.len()..begins].iter().all(|byte| *byte == 0));
            let content = run(
                "cpio",
                &["-i", "--to-stdout", "preseed.cfg"],
                directory.path(),
                &bytes[begins..],
            );
            assert_eq!(content, files()[0].content);
        }
    }

    #[test]
    fn an_original_of_another_length_is_an_error() {
        for (length, message) in [
            (
                4,
                "the initrd has more bytes than the 4 that were announced",
            ),
            (
                6,
                "the initrd has fewer bytes than the 6 that were announced",
            ),
        ] {
            let mut with = InitrdWith::new(&b"12345"[..], length, Vec::new());
            let error = with.read_to_end(&mut Vec::new()).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "./a",
            "a/",
            "a\0b",
            "TRAILER!!!",
        ] {
            assert_eq!(
                archive(&[InitrdFile::new(name, "")]),
                Err(InitrdError::Name(name.into())),
                "{name:?}"
            );
        }
        for (names, twice) in [
            (["a", "a"], "a"),
            (["a", "a/b"], "a"),
            (["a/b/c", "a/b"], "a/b"),
        ] {
            let files = names.map(|name| InitrdFile::new(name, ""));
            assert_eq!(archive(&files), Err(InitrdError::Twice(twice.into())));
        }
    }
}
