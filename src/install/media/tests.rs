//! Media of every kind, as a caller sees them. What servers do is in `web::tests`.

use std::process::Command;

use super::*;

/// A tree with these files, each with its own path as content.
pub(super) fn tree(paths: &[&str]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for path in paths {
        write(directory.path(), path, path);
    }
    directory
}

fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn iso_of(from: &Path) -> tempfile::NamedTempFile {
    let image = tempfile::NamedTempFile::new().unwrap();
    let output = Command::new("genisoimage")
        .args(["-quiet", "-r", "-V", "DISC", "-o"])
        .arg(image.path())
        .arg(from)
        .output()
        .expect("genisoimage is installed: run scripts/setup");
    assert!(output.status.success());
    image
}

fn os(name: &str) -> Os {
    Os::parse(name).unwrap()
}

/// The paths that were found, and that the contents are theirs.
pub(super) fn read(files: BootFiles) -> [String; 2] {
    [files.kernel, files.initrd].map(|mut file| {
        let mut content = String::new();
        file.content.read_to_string(&mut content).unwrap();
        assert_eq!(content, file.path);
        assert_eq!(content.len() as u64, file.length);
        file.path
    })
}

const ANACONDA: [&str; 2] = ["images/pxeboot/vmlinuz", "images/pxeboot/initrd.img"];
const DISC: [&str; 2] = ["install.amd/vmlinuz", "install.amd/initrd.gz"];
const NET: [&str; 2] = [
    "debian-installer/amd64/linux",
    "debian-installer/amd64/initrd.gz",
];

#[test]
fn each_kind_of_medium_gives_its_kernel_and_initrd() {
    for (name, paths) in [
        ("fedora42", ANACONDA),
        ("rocky9", ["isolinux/vmlinuz", "isolinux/initrd.img"]),
        ("debian12", DISC),
        ("debian12", NET),
        ("ubuntu18.04", ["install/vmlinuz", "install/initrd.gz"]),
        ("ubuntu24.04", ["casper/vmlinuz", "casper/initrd"]),
        ("ubuntu22.04", ["casper/hwe-vmlinuz", "casper/hwe-initrd"]),
        (
            "opensuse15.6",
            ["boot/x86_64/loader/linux", "boot/x86_64/loader/initrd"],
        ),
    ] {
        let directory = tree(&paths);
        let image = iso_of(directory.path());
        let bytes = fs::read(image.path()).unwrap();
        for medium in [
            Medium::at(directory.path().to_str().unwrap()).unwrap(),
            Medium::at(image.path().to_str().unwrap()).unwrap(),
            Medium::Reader {
                name: "a volume".into(),
                source: Box::new(io::Cursor::new(bytes)),
            },
        ] {
            let media = Media::open(medium).unwrap();
            if let Some(label) = media.label() {
                assert_eq!(label, "DISC");
            }
            let files = media.kernel_and_initrd(&os(name), Arch::X86_64).unwrap();
            assert_eq!(read(files), paths, "{name}");
        }
    }
}

#[test]
fn treeinfo_is_believed_first() {
    let other = ["a kernel/vmlinuz", "an initrd/initrd.img"];
    let directory = tree(&[&ANACONDA[..], &other].concat());
    let info = "[images-x86_64]\nkernel = a kernel/vmlinuz\ninitrd = an initrd/initrd.img\n[tree]\narch = x86_64\n";
    write(directory.path(), ".treeinfo", info);
    let image = iso_of(directory.path());
    for path in [directory.path(), image.path()] {
        let media = Media::open(Medium::at(path.to_str().unwrap()).unwrap()).unwrap();
        let files = media
            .kernel_and_initrd(&os("fedora42"), Arch::X86_64)
            .unwrap();
        assert_eq!(read(files), other);
        let error = media
            .kernel_and_initrd(&os("fedora42"), Arch::Aarch64)
            .unwrap_err();
        assert!(
            error
                .message
                .ends_with("is a tree for x86_64, not for aarch64"),
            "{error}"
        );
    }
    // One that names files which are not there, as a half-made mirror has.
    fs::remove_dir_all(directory.path().join("an initrd")).unwrap();
    let media = Media::open(Medium::Tree(directory.path().to_owned())).unwrap();
    let files = media
        .kernel_and_initrd(&os("fedora42"), Arch::X86_64)
        .unwrap();
    assert_eq!(read(files), ANACONDA);
}

#[test]
fn debians_discs_and_trees_have_their_own_initrds() {
    let directory = tree(&[&DISC[..], &NET].concat());
    let image = iso_of(directory.path());
    for (medium, paths) in [
        (Medium::Tree(directory.path().to_owned()), NET),
        (Medium::Iso(image.path().to_owned()), DISC),
    ] {
        let media = Media::open(medium).unwrap();
        let files = media
            .kernel_and_initrd(&os("debian12"), Arch::X86_64)
            .unwrap();
        assert_eq!(read(files), paths);
    }
}

#[test]
fn what_is_not_found_is_listed_with_a_way_out() {
    let directory = tree(&[DISC[0], DISC[1], "images/pxeboot/vmlinuz"]);
    let media = Media::open(Medium::Tree(directory.path().to_owned())).unwrap();
    let error = media
        .kernel_and_initrd(&os("rhel9.4"), Arch::X86_64)
        .unwrap_err();
    assert_eq!(error.kind, MediaErrorKind::NothingFound);
    assert_eq!(
        error.message,
        format!(
            "no kernel and initrd for rhel9.4 (x86_64) in {}: it looks like a medium of Debian; looked for .treeinfo, \
             images/pxeboot/{{vmlinuz,initrd.img}}, isolinux/{{vmlinuz,initrd.img}}",
            directory.path().display()
        )
    );
    assert!(error.hint.contains("BaseOS/x86_64/os/"), "{}", error.hint);
    assert!(
        error.hint.ends_with("`location: {kernel: …, initrd: …}`"),
        "{}",
        error.hint
    );
}

#[test]
fn locations_that_are_none_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("text");
    fs::write(&text, "not an image").unwrap();
    let socket = directory.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let missing = directory.path().join("missing.iso");
    for (location, kind, hint) in [
        (
            missing.to_str().unwrap(),
            MediaErrorKind::Missing,
            "written right",
        ),
        (text.to_str().unwrap(), MediaErrorKind::NotIso, "(.iso)"),
        (
            socket.to_str().unwrap(),
            MediaErrorKind::Unsupported,
            "ISO image",
        ),
        (
            "ftp://mirror/tree",
            MediaErrorKind::Unsupported,
            "a web server serves",
        ),
        (
            "nfs://server/tree",
            MediaErrorKind::Unsupported,
            "a web server serves",
        ),
        (
            "http://mirror/disc.ISO",
            MediaErrorKind::Unsupported,
            "download it",
        ),
        (
            "http:///tree",
            MediaErrorKind::Unsupported,
            "http://host/path/",
        ),
        (
            "http://mirror/?tree=1",
            MediaErrorKind::Unsupported,
            "http://host/path/",
        ),
    ] {
        let error = Medium::at(location).and_then(Media::open).err().unwrap();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.hint.contains(hint), "{error}: {}", error.hint);
        assert!(error.message.contains(location), "{error}");
    }
    let error = Media::open(Medium::Url("http://me:secret@mirror/tree".into()))
        .err()
        .unwrap();
    assert_eq!(
        error.message,
        "http://***@mirror/tree has a user name in it, which would stand in plans and logs"
    );
    assert_eq!(
        "ppc64le".parse::<Arch>().unwrap_err().kind,
        MediaErrorKind::Unsupported
    );
}

#[test]
fn files_can_be_named_themselves() {
    let directory = tree(&["vmlinuz", "empty"]);
    let path = directory.path().join("vmlinuz");
    let mut file = BootFile::open(path.to_str().unwrap()).unwrap();
    let mut content = String::new();
    file.content.read_to_string(&mut content).unwrap();
    assert_eq!((content.as_str(), file.length), ("vmlinuz", 7));

    let empty = directory.path().join("empty");
    fs::write(&empty, "").unwrap();
    let sparse = directory.path().join("sparse");
    File::create(&sparse).unwrap().set_len(LARGEST + 1).unwrap();
    for (path, kind) in [
        (directory.path().join("nothing"), MediaErrorKind::Missing),
        (directory.path().to_owned(), MediaErrorKind::Missing),
        (empty, MediaErrorKind::Damaged),
        (sparse, MediaErrorKind::TooLarge),
    ] {
        let error = BootFile::open(path.to_str().unwrap()).unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_is_an_error() {
    let directory = tree(&["vmlinuz"]);
    let path = directory.path().join("vmlinuz");
    for (content, amount) in [("vml", "fewer"), ("vmlinuz and more", "more")] {
        fs::write(&path, "vmlinuz").unwrap();
        let mut file = BootFile::open(path.to_str().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        let error = file.content.read_to_end(&mut Vec::new()).unwrap_err();
        let expected = format!("{amount} bytes than the 7 that were announced");
        assert!(error.to_string().ends_with(&expected), "{error}");
    }
}
