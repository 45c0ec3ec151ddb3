//! Who may read the files of a state, and what is not taken for one.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::*;
use crate::state::store::StoreError;

/// All files that a state can have.
const FILES: [&str; 5] = [
    "shop.toml",
    ".shop.toml.next",
    "shop.journal",
    "shop.lock",
    ".shop.seen",
];

/// Goes once through all that is written, and gives the first error.
fn write_all(directory: &Path) -> Result<(), StoreError> {
    let (mut store, _) = Store::open(directory, &lab(), Access::Write)?;
    store.begin(&place())?;
    store.settle(&at("guest.a"), Some(&entry("a", Status::Applied)))?;
    let mut seen = Cache::default();
    seen.fingerprints.insert(7);
    store.remember(seen);
    store.finish()?;
    Ok(())
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn all_files_are_their_owners_alone_whenever_one_looks() {
    let dir = tempfile::tempdir().unwrap();
    let modes = || {
        let files = fs::read_dir(dir.path()).unwrap();
        files
            .map(|file| file.unwrap())
            .map(|file| (file.file_name(), mode(&file.path())))
            .collect::<Vec<_>>()
    };
    let (mut store, _) = write(dir.path());
    store.begin(&place()).unwrap();
    store
        .settle(&at("guest.a"), Some(&entry("a", Status::Applied)))
        .unwrap();
    let mut seen = Cache::default();
    seen.fingerprints.insert(7);
    store.remember(seen);
    assert_eq!(modes().len(), 3, "lock, journal, seen");
    assert!(
        modes().iter().all(|(_, mode)| *mode == 0o600),
        "{:?}",
        modes()
    );
    store.finish().unwrap();
    drop(store);
    assert_eq!(modes().len(), 2, "state, seen");
    assert!(
        modes().iter().all(|(_, mode)| *mode == 0o600),
        "{:?}",
        modes()
    );
}

#[test]
fn files_of_an_older_version_are_closed_to_others_with_the_next_write() {
    let dir = tempfile::tempdir().unwrap();
    write_all(dir.path()).unwrap();
    let open = |names: &[&str]| {
        for name in names {
            let path = dir.path().join(name);
            if !path.exists() {
                fs::write(&path, "").unwrap();
            }
            fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
        }
    };
    let files = ["shop.toml", ".shop.toml.next", "shop.lock", ".shop.seen"];
    open(&files);
    // What is as it should be is not written again, and closed all the same.
    write_all(dir.path()).unwrap();
    for name in ["shop.toml", ".shop.seen"] {
        assert_eq!(mode(&dir.path().join(name)), 0o600, "{name}");
    }
    open(&files);
    let (mut store, _) = write(dir.path());
    assert_eq!(mode(&dir.path().join("shop.lock")), 0o600);
    store.settle(&at("guest.a"), None).unwrap();
    store.finish().unwrap();
    assert_eq!(mode(&dir.path().join("shop.toml")), 0o600);
}

#[test]
fn no_link_is_followed_and_nothing_but_a_file_is_waited_for() {
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim");
    let make = |kind: &str, path: &Path| match kind {
        "link" => symlink(&victim, path).unwrap(),
        "dangling link" => symlink(outside.path().join("new"), path).unwrap(),
        "hard link" => fs::hard_link(&victim, path).unwrap(),
        "directory" => fs::create_dir(path).unwrap(),
        "socket" => drop(std::os::unix::net::UnixListener::bind(path).unwrap()),
        _ => {
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            let kind = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).unwrap();
        }
    };
    for kind in ["link", "dangling link", "directory", "socket", "fifo"] {
        for name in FILES {
            let dir = tempfile::tempdir().unwrap();
            fs::write(&victim, "precious").unwrap();
            write_all(dir.path()).unwrap();
            let path = dir.path().join(name);
            let _ = fs::remove_file(&path);
            make(kind, &path);
            let error = Store::open(dir.path(), &lab(), Access::Write).unwrap_err();
            let told = error.to_string();
            let what = match kind {
                "link" | "dangling link" => "it is a symbolic link",
                _ => "it is not a regular file",
            };
            assert!(told.contains(what), "{kind} {name}: {told}");
            assert!(told.contains(name), "{kind} {name}: {told}");
            assert!(error.hint.unwrap().contains("move away"), "{told}");
            assert!(path.symlink_metadata().is_ok(), "it is still there");
            assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        }
    }
    // A copy of a backup is no reason to refuse, as long as it is not written through.
    for name in FILES {
        let dir = tempfile::tempdir_in(outside.path()).unwrap();
        fs::write(&victim, "").unwrap();
        write_all(dir.path()).unwrap();
        let path = dir.path().join(name);
        let _ = fs::remove_file(&path);
        make("hard link", &path);
        let _ = write_all(dir.path());
        assert_eq!(fs::read(&victim).unwrap(), b"", "{name}");
    }
    assert!(!outside.path().join("new").exists());
}

#[test]
fn the_directory_of_a_state_may_be_a_link() {
    let dir = tempfile::tempdir().unwrap();
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    write_all(&link).unwrap();
    assert!(real.join("shop.toml").exists());
    assert_eq!(read(&link), read(&real));
}

#[test]
fn what_an_earlier_version_cached_of_images_is_kept() {
    let written = r#"{"by":"another","prints":[7],"volumes":{},"digests":{"/a.img":{"stamp":{"device":1,"inode":2,"size":3,"modified":4,"changed":5},"content":"sha256:00"}}}"#;
    let cache: crate::state::cache::Cache = serde_json::from_str(written).unwrap();
    assert_eq!(cache.digests.len(), 1);
    assert!(cache.has(7));
}
