//! Images of two programs, cut short and garbled ones.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

/// A tree with what is hard about names: capitals, long ones, depth, links.
fn tree() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let write = |path: &str, content: &[u8]| {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    write("install.amd/vmlinuz", b"a kernel");
    write("install.amd/initrd.gz", &[7; 5000]);
    write("images/pxeboot/initrd.img", b"an initrd");
    write(DEEP, b"deep");
    write(&format!("long/{}", long_name()), b"long");
    write("empty", b"");
    for n in 0..200 {
        write(
            &format!("many/file-with-a-name-{n}"),
            n.to_string().as_bytes(),
        );
    }
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(target, directory.path().join(name)).unwrap();
    };
    link("install.amd", "current");
    link("../install.amd/./vmlinuz", "images/linux");
    link("/install.amd/vmlinuz", "images/absolute");
    link("around", "round");
    link("round", "around");
    link("nowhere", "dangling");
    directory
}

const DEEP: &str =
    "dists/bookworm/main/installer-amd64/current/images/netboot/debian-installer/amd64/linux";

/// Longer than one field of Rock Ridge, and than one entry.
fn long_name() -> String {
    format!("{}.img", "0123456789".repeat(24))
}

fn make(program: &str, arguments: &[&str]) -> Vec<u8> {
    let from = tree();
    make_from(program, arguments, from.path())
}

fn make_from(program: &str, arguments: &[&str], from: &Path) -> Vec<u8> {
    let to = tempfile::tempdir().unwrap();
    let image: PathBuf = to.path().join("image.iso");
    let output = Command::new(program)
        .args(arguments)
        .args(["-V", "Lab Disc 1", "-o"])
        .arg(&image)
        .arg(from)
        .output()
        .unwrap_or_else(|e| panic!("{program}, which scripts/setup installs: {e}"));
    assert!(
        output.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    std::fs::read(image).unwrap()
}

fn open(image: Vec<u8>) -> Result<Iso, MediaError> {
    Iso::open("test.iso".into(), Box::new(Cursor::new(image)))
}

type Content = Result<Option<Vec<u8>>, MediaError>;

/// The content of a file, or `None` where there is none.
fn content(iso: &Iso, path: &str) -> Content {
    let Some(found) = iso.find(path)? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    iso.read(found).read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, found.length());
    Ok(Some(bytes))
}

const GENISOIMAGE: &str = "genisoimage";
const XORRISO: &str = "xorrisofs";

#[test]
fn rock_ridge_names_and_links() {
    for (program, arguments) in [
        (GENISOIMAGE, &["-R"][..]),
        (GENISOIMAGE, &["-r", "-J", "-joliet-long"]),
        (GENISOIMAGE, &["-r", "-D"]),
        (XORRISO, &["-R"]),
        (XORRISO, &["-r", "-J", "-joliet-long"]),
    ] {
        let iso = open(make(program, arguments)).unwrap();
        assert_eq!(iso.label(), "Lab Disc 1");
        for (path, expected) in [
            ("install.amd/vmlinuz", &b"a kernel"[..]),
            ("/install.amd//vmlinuz", b"a kernel"),
            ("INSTALL.AMD/VMLINUZ", b"a kernel"),
            ("install.amd/initrd.gz", &[7; 5000]),
            ("images/pxeboot/initrd.img", b"an initrd"),
            (DEEP, b"deep"),
            (&format!("long/{}", long_name()), b"long"),
            ("many/file-with-a-name-199", b"199"),
            ("current/vmlinuz", b"a kernel"),
            ("images/linux", b"a kernel"),
            ("images/absolute", b"a kernel"),
            ("empty", b""),
        ] {
            let found = content(&iso, path).unwrap();
            assert_eq!(
                found.as_deref(),
                Some(expected),
                "{path} with {program} {arguments:?}"
            );
        }
        for path in [
            "install.amd",
            "nothing",
            "install.amd/vmlinuz/x",
            "dangling",
            "",
            "/",
            ".",
            "many/file-with-a-name-200",
        ] {
            assert_eq!(content(&iso, path), Ok(None), "{path}");
        }
        let error = content(&iso, "round").unwrap_err();
        assert!(error.message.contains("too many links"), "{error}");
    }
}

#[test]
fn joliet_names() {
    for (program, arguments) in [
        (GENISOIMAGE, &["-J", "-joliet-long"][..]),
        (XORRISO, &["-J", "-joliet-long", "--norock"]),
    ] {
        let iso = open(make(program, arguments)).unwrap();
        assert_eq!(iso.names, Names::Joliet, "{program}");
        for path in ["install.amd/vmlinuz", "Install.AMD/vmlinuz"] {
            assert_eq!(
                content(&iso, path).unwrap().unwrap(),
                b"a kernel",
                "{program}"
            );
        }
        assert_eq!(
            content(&iso, "many/file-with-a-name-199").unwrap().unwrap(),
            b"199"
        );
    }
}

#[test]
fn plain_names_match_but_for_capitals_and_versions() {
    let from = tempfile::tempdir().unwrap();
    let directory = from.path().join("casper");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("vmlinuz"), "a kernel").unwrap();
    std::fs::write(directory.join("hwe-init.gz"), "an initrd").unwrap();
    for (program, arguments) in [(GENISOIMAGE, &["-l"][..]), (XORRISO, &["-l", "--norock"])] {
        let iso = open(make_from(program, arguments, from.path())).unwrap();
        assert_eq!(iso.names, Names::Iso, "{program}");
        assert_eq!(
            content(&iso, "casper/vmlinuz").unwrap().unwrap(),
            b"a kernel"
        );
        assert_eq!(
            content(&iso, "casper/hwe-init.gz").unwrap().unwrap(),
            b"an initrd"
        );
        assert_eq!(content(&iso, "casper/vmlinu").unwrap(), None);
    }
}

/// Counts what is read of an image.
struct Counted {
    image: Cursor<Vec<u8>>,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.image.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl Seek for Counted {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.image.seek(to)
    }
}

#[test]
fn little_is_read_and_files_by_turns() {
    let from = tree();
    std::fs::write(from.path().join("packages"), vec![1; 20 << 20]).unwrap();
    let read = Arc::new(AtomicU64::new(0));
    let source = Counted {
        image: Cursor::new(make_from(GENISOIMAGE, &["-r"], from.path())),
        read: Arc::clone(&read),
    };
    let iso = Iso::open("test.iso".into(), Box::new(source)).unwrap();
    let kernel = iso.find("install.amd/vmlinuz").unwrap().unwrap();
    let initrd = iso.find("install.amd/initrd.gz").unwrap().unwrap();
    let before = read.load(Ordering::Relaxed);
    assert!(before < 100_000, "{before} bytes to find two files");

    let (mut kernel, mut initrd) = (iso.read(kernel), iso.read(initrd));
    drop(iso);
    let mut one = [0];
    let (mut first, mut second) = (Vec::new(), Vec::new());
    while initrd.read(&mut one).unwrap() > 0 {
        second.push(one[0]);
        if kernel.read(&mut one).unwrap() > 0 {
            first.push(one[0]);
        }
    }
    assert_eq!(
        (first.as_slice(), second.as_slice()),
        (&b"a kernel"[..], &[7; 5000][..])
    );
    assert_eq!(read.load(Ordering::Relaxed) - before, 5008);
}

#[test]
fn what_is_no_image_is_said() {
    for (bytes, what) in [
        (Vec::new(), "something else, or not whole"),
        (vec![0; 100_000], "something else, or not whole"),
        (b"QFI\xfb\0\0\0\x03".repeat(5000), "a qcow2 image"),
        (b"\x1f\x8b\x08\0\0\0\0\0".repeat(5000), "compressed"),
        (
            b"<!DOCTYPE html><html>not found</html>".to_vec(),
            "a web page",
        ),
    ] {
        let error = open(bytes).err().unwrap();
        assert_eq!(error.kind, Kind::NotIso);
        assert_eq!(
            error.message,
            format!("test.iso is no ISO 9660 image: it is {what}")
        );
    }
}

/// Walks an image as an install would.
fn walk(image: Vec<u8>) -> Result<Vec<Content>, MediaError> {
    let iso = open(image)?;
    Ok([
        "install.amd/initrd.gz",
        DEEP,
        "images/linux",
        &format!("long/{}", long_name()),
        "round",
    ]
    .into_iter()
    .map(|path| content(&iso, path))
    .collect())
}

#[test]
fn an_image_cut_short_never_gives_half_a_file() {
    let whole = make(GENISOIMAGE, &["-R"]);
    let complete = |image: &[u8]| {
        let iso = open(image.to_vec())?;
        content(&iso, "install.amd/initrd.gz")
    };
    assert_eq!(complete(&whole), Ok(Some(vec![7; 5000])));
    let mut told = 0;
    for end in (0..whole.len()).step_by(1024) {
        match complete(&whole[..end]) {
            Ok(content) => assert_eq!(content, Some(vec![7; 5000]), "{end}"),
            Err(error) => {
                told += 1;
                assert!(
                    matches!(error.kind, Kind::NotIso | Kind::Damaged),
                    "{error}"
                );
            }
        }
    }
    assert!(told > 30, "{told}");
}

#[test]
fn garbage_neither_panics_nor_hangs() {
    // xorshift: the same garbage each time.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for (program, arguments) in [
        (GENISOIMAGE, &["-R"][..]),
        (XORRISO, &["-R"]),
        (GENISOIMAGE, &["-J"]),
    ] {
        let whole = make(program, arguments);
        // Where descriptors and directories are, not the contents behind them; and there, what is not empty.
        let end = whole.len().min(96 * BLOCK as usize);
        let written: Vec<usize> = (16 * BLOCK as usize..end)
            .filter(|at| whole[*at] != 0)
            .collect();
        let sound = walk(whole.clone());
        let mut differ = 0;
        for _ in 0..500 {
            let mut image = whole.clone();
            for _ in 0..1 + random() % 160 {
                let at = written[random() as usize % written.len()];
                image[at] = match random() % 4 {
                    0 => 0,
                    1 => 0xff,
                    _ => random() as u8,
                };
            }
            differ += usize::from(walk(image) != sound);
        }
        assert!(
            differ > 50,
            "{program} {arguments:?}: {differ} images differ"
        );
    }
    // Noise that begins as an image does.
    for _ in 0..200 {
        let mut image: Vec<u8> = (0..64 * BLOCK).map(|_| random() as u8).collect();
        for (block, kind) in [(16, 1), (17, 2), (18, 255)] {
            let at = block * BLOCK as usize;
            image[at] = kind;
            image[at + 1..at + 6].copy_from_slice(b"CD001");
            image[at + 128..at + 130].copy_from_slice(&2048u16.to_le_bytes());
            image[at + 156..at + 190].copy_from_slice(&[0; 34]);
            image[at + 158] = 20 + (random() % 50) as u8;
            image[at + 167] = 8;
            image[at + 181] = 2;
        }
        drop(walk(image));
    }
}
