//! Small volumes that carry answers to an installer, found by their label.
//!
//! cloud-init's NoCloud data source (and with it Ubuntu's autoinstall) reads `user-data`, `meta-data` and `network-config` from
//! a FAT or ISO 9660 file system labelled `CIDATA`; Anaconda and YaST read `ks.cfg` and `autoinst.xml` from one labelled
//! `OEMDRV`. FAT is made here: it is small, and the installers' kernels all have it.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Write};

use fatfs::{Date, DateTime, FileSystem, FormatVolumeOptions, FsOptions, Time, TimeProvider};
use thiserror::Error;

use crate::units::apart;

/// What a volume's size is a multiple of, so that it stays the same where a file grows a little.
const STEP: u64 = 64 << 10;
/// Beyond this the file system would want another layout, and nobody's answers are as long.
const LARGEST: u64 = 8 << 20;
/// What the root directory has room for, with long names.
const MOST_FILES: usize = 64;
const LONGEST_NAME: usize = 64;
/// Same files, same bytes: the number that other tools take from the clock.
const VOLUME_ID: u32 = 0x6d61_7363;

/// By what an installer finds a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// cloud-init's NoCloud data source, and Ubuntu's autoinstall.
    Cidata,
    /// Driver disks, from which Anaconda takes `ks.cfg` and YaST `autoinst.xml`.
    Oemdrv,
}

impl Label {
    /// The label as `blkid` shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Label::Cidata => "CIDATA",
            Label::Oemdrv => "OEMDRV",
        }
    }

    /// Filled up as FAT wants it.
    fn padded(self) -> [u8; 11] {
        let mut label = [b' '; 11];
        for (to, from) in label.iter_mut().zip(self.as_str().bytes()) {
            *to = from;
        }
        label
    }
}

/// Files that no seed volume can hold.
#[derive(Debug, Error)]
pub enum SeedError {
    /// The name is empty, too long, or has a character that FAT has not.
    #[error(
        "`{0}` is no file name for a seed volume: letters, digits, `.`, `-` and `_`, at most {LONGEST_NAME}"
    )]
    Name(String),
    /// FAT does not tell capitals from small letters.
    #[error("two files of a seed volume are named `{0}`, but for capitals")]
    Twice(String),
    /// More files than the volume is laid out for.
    #[error("a seed volume holds at most {MOST_FILES} files, not {0}")]
    Many(usize),
    /// More bytes than the volume is laid out for.
    #[error("a seed volume holds at most {}, not {}", apart(LARGEST, *.0).0, apart(LARGEST, *.0).1)]
    Large(u64),
    /// The file system could not be made; a bug, since it is made in memory.
    #[error("cannot make a seed volume: {0}")]
    Io(#[from] io::Error),
}

/// Makes a volume of files: a whole FAT file system without partitions. The same files give the same bytes: the time is
/// 1980, FAT's first, and the volume's number is fixed. The size is a multiple of 64 KiB.
///
/// # Errors
/// A name that is none on FAT, too many files, or too large ones.
pub fn volume(label: Label, files: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>, SeedError> {
    check(files)?;
    let size = size_for(files.values().map(|content| content.len() as u64))?;
    let mut bytes = vec![0; size as usize];

    fatfs::format_volume(
        Cursor::new(&mut bytes[..]),
        FormatVolumeOptions::new()
            .bytes_per_cluster(cluster_for(size))
            .volume_id(VOLUME_ID)
            .volume_label(label.padded()),
    )?;
    let options = FsOptions::new().time_provider(&NO_CLOCK);
    let system = FileSystem::new(Cursor::new(&mut bytes[..]), options)?;
    {
        let root = system.root_dir();
        for (name, content) in files {
            let mut file = root.create_file(name)?;
            file.write_all(content)?;
            file.flush()?;
        }
    }
    system.unmount()?;
    Ok(bytes)
}

fn check(files: &BTreeMap<String, Vec<u8>>) -> Result<(), SeedError> {
    if files.len() > MOST_FILES {
        return Err(SeedError::Many(files.len()));
    }
    let mut seen = std::collections::BTreeSet::new();
    for name in files.keys() {
        let plain = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
        // FAT drops dots at the end.
        if !plain || name.is_empty() || name.len() > LONGEST_NAME || name.ends_with('.') {
            return Err(SeedError::Name(name.clone()));
        }
        if !seen.insert(name.to_ascii_lowercase()) {
            return Err(SeedError::Twice(name.clone()));
        }
    }
    Ok(())
}

/// The size of a volume for contents of these lengths.
fn size_for(lengths: impl Iterator<Item = u64> + Clone) -> Result<u64, SeedError> {
    let total: u64 = lengths.clone().sum();
    if total > LARGEST {
        return Err(SeedError::Large(total));
    }
    // Boot sector, root directory (16 KiB), and two tables of at most 4084 numbers with 12 bits each.
    let overhead = 32 << 10;
    let within = |cluster: u64| {
        let data: u64 = lengths
            .clone()
            .map(|length| length.next_multiple_of(cluster))
            .sum();
        (overhead + data).next_multiple_of(STEP)
    };
    let small = within(u64::from(SMALL_CLUSTER));
    Ok(match cluster_for(small) {
        SMALL_CLUSTER => small,
        larger => within(u64::from(larger)),
    })
}

const SMALL_CLUSTER: u32 = 512;

/// FAT with 12 bits counts some 4000 clusters.
fn cluster_for(size: u64) -> u32 {
    if size <= 1 << 20 { SMALL_CLUSTER } else { 4096 }
}

/// FAT's first day, whatever the day is.
#[derive(Debug)]
struct NoClock;

static NO_CLOCK: NoClock = NoClock;

impl TimeProvider for NoClock {
    fn get_current_date(&self) -> Date {
        Date {
            year: 1980,
            month: 1,
            day: 1,
        }
    }

    fn get_current_date_time(&self) -> DateTime {
        DateTime {
            date: self.get_current_date(),
            time: Time {
                hour: 0,
                min: 0,
                sec: 0,
                millis: 0,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::path::Path;
    use std::process::Command;

    use super::*;

    fn files(contents: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        contents
            .iter()
            .map(|(name, content)| ((*name).to_owned(), content.as_bytes().to_vec()))
            .collect()
    }

    fn usual() -> BTreeMap<String, Vec<u8>> {
        files(&[
            ("user-data", "#cloud-config\nhostname: web1\n"),
            ("meta-data", "instance-id: web1\n"),
            ("network-config", "version: 2\n"),
        ])
    }

    fn output(program: &str, arguments: &[&str], volume: &Path) -> String {
        let output = Command::new(program)
            .args(arguments)
            .arg(volume)
            .output()
            .unwrap_or_else(|e| panic!("{program}, which scripts/setup installs: {e}"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{program}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }

    #[test]
    fn what_was_put_in_is_read_back() {
        let mut contents = usual();
        contents.insert("empty".into(), Vec::new());
        contents.insert(
            "long-file.name_with.all-that-is-allowed".into(),
            vec![7; 300_000],
        );
        let bytes = volume(Label::Cidata, &contents).unwrap();
        let system = FileSystem::new(Cursor::new(bytes), FsOptions::new()).unwrap();
        assert_eq!(system.volume_label(), "CIDATA");
        let mut read = BTreeMap::new();
        for entry in system.root_dir().iter() {
            let entry = entry.unwrap();
            let mut content = Vec::new();
            entry.to_file().read_to_end(&mut content).unwrap();
            read.insert(entry.file_name(), content);
        }
        assert_eq!(read, contents);
    }

    #[test]
    fn other_tools_find_a_sound_file_system() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("seed.img");
        for (label, large) in [
            (Label::Cidata, 0),
            (Label::Oemdrv, 100_000),
            (Label::Cidata, 1 << 20),
            (Label::Cidata, (8 << 20) - 1000),
        ] {
            let mut contents = usual();
            contents.insert("vendor-data".into(), vec![b'#'; large]);
            std::fs::write(&path, volume(label, &contents).unwrap()).unwrap();
            let known = output("blkid", &["-p", "-o", "export"], &path);
            for line in [
                "TYPE=vfat",
                &format!("LABEL={}", label.as_str()),
                "UUID=6D61-7363",
            ] {
                assert!(known.lines().any(|l| l == line), "{line} is not in {known}");
            }
            output("fsck.fat", &["-n", "-v"], &path);
            let listed = output("mdir", &["-/", "-b", "-i"], &path);
            for name in contents.keys() {
                assert!(
                    listed.contains(&format!("::/{name}\n")),
                    "{name} is not in {listed}"
                );
            }
        }
    }

    #[test]
    fn the_bytes_never_change() {
        let digest = |contents: &BTreeMap<String, Vec<u8>>| {
            let bytes = volume(Label::Cidata, contents).unwrap();
            (bytes.len(), crate::fingerprint::sha256(&bytes))
        };
        // A new one means that every guest's seed is made anew: only on purpose.
        assert_eq!(
            digest(&usual()),
            (
                64 << 10,
                "5e98b2b745cd583138309de75049e39f6b1cda0bab4c791d88bd8f80f69ebdf5".into()
            )
        );
    }

    #[test]
    fn as_small_as_is_sensible() {
        for (large, size) in [(1000, 64), (31_000, 64), (32_000, 128), (900_000, 960)] {
            let mut contents = usual();
            contents.insert("vendor-data".into(), vec![b'#'; large]);
            let bytes = volume(Label::Cidata, &contents).unwrap();
            assert_eq!(bytes.len(), size << 10, "{large}");
        }
    }

    #[test]
    fn every_length_has_room() {
        let lengths = (0..200_000).step_by(1009);
        let around_the_larger_clusters = (940_000..1_060_000).step_by(2003);
        for length in lengths.chain(around_the_larger_clusters).chain([LARGEST]) {
            let contents = BTreeMap::from([("a".to_owned(), vec![0; length as usize])]);
            let made = volume(Label::Cidata, &contents);
            assert!(made.is_ok(), "{length}: {made:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for name in ["", "a/b", "a b", "näme", "a.", ".", "x:y", &"n".repeat(65)] {
            let error = volume(Label::Cidata, &files(&[(name, "")])).unwrap_err();
            assert!(matches!(error, SeedError::Name(_)), "{name:?}: {error}");
        }
        let error = volume(Label::Cidata, &files(&[("a", ""), ("A", "")])).unwrap_err();
        assert!(matches!(error, SeedError::Twice(_)), "{error}");
        let most: BTreeMap<_, _> = (0..64)
            .map(|n| (format!("{n:0>64}"), vec![1; 600]))
            .collect();
        assert!(volume(Label::Cidata, &most).is_ok());
        let more: BTreeMap<_, _> = (0..65).map(|n| (format!("f{n}"), Vec::new())).collect();
        assert!(matches!(
            volume(Label::Cidata, &more),
            Err(SeedError::Many(65))
        ));
        let large = BTreeMap::from([("a".to_owned(), vec![0; (8 << 20) + 1])]);
        assert!(matches!(
            volume(Label::Cidata, &large),
            Err(SeedError::Large(_))
        ));
    }
}
