//! The store on real files, crashes included.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::store::{Access, Store, StoreError, StoreErrorKind};
use super::*;

fn lab() -> Name {
    Name::new("shop").unwrap()
}

fn at(text: &str) -> Address {
    text.parse().unwrap()
}

fn place() -> HypervisorId {
    HypervisorId {
        uri: "qemu:///system".into(),
        host_uuid: Some(Uuid::from_u128(7)),
    }
}

fn entry(name: &str, status: Status) -> Entry {
    Entry {
        name: name.into(),
        uuid: Some(Uuid::from_u128(1)),
        pool: None,
        pool_uuid: None,
        status,
        keep: false,
        content: None,
        prevent_destroy: false,
        made_directory: false,
        shutdown_timeout: Some(60),
        depends_on: BTreeSet::from([at("network.front")]),
        applied: (status == Status::Applied)
            .then(|| format!("<domain type='kvm'>\n  <name>{name}</name>\n</domain>\n").into()),
        attempted: Vec::new(),
        staged: None,
        kept_name: false,
        active: None,
        autostart: None,
    }
}

fn write(directory: &Path) -> (Store, State) {
    Store::open(directory, &lab(), Access::Write).unwrap()
}

fn read(directory: &Path) -> State {
    Store::open(directory, &lab(), Access::Read).unwrap().1
}

#[test]
fn the_document_is_readable_and_comes_back_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = write(dir.path());
    store.begin(&place()).unwrap();
    store
        .settle(&at("guest.web1"), Some(&entry("web1", Status::Applied)))
        .unwrap();
    let state = store.finish().unwrap();
    drop(store);
    let text = fs::read_to_string(dir.path().join("shop.toml")).unwrap();
    assert_eq!(
        text,
        "# What lab shop owns and what was last applied to it. Written by miniascape.

version = 1
lab = \"shop\"

[hypervisor]
uri = \"qemu:///system\"
host_uuid = \"00000000-0000-0000-0000-000000000007\"

[resources.\"guest.web1\"]
name = \"web1\"
uuid = \"00000000-0000-0000-0000-000000000001\"
status = \"applied\"
shutdown_timeout = 60
depends_on = [\"network.front\"]
applied = \"\"\"
<domain type='kvm'>
  <name>web1</name>
</domain>
\"\"\"

# end
"
    );
    assert_eq!(read(dir.path()), state);
    let names: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|f| f.unwrap().file_name())
        .collect();
    assert_eq!(names, ["shop.toml"], "journal and lock are gone");
}

#[test]
fn any_text_survives_the_document() {
    let dir = tempfile::tempdir().unwrap();
    let texts = [
        "",
        "\n",
        "'''",
        "a''''b\n",
        "\r\n",
        "\\",
        "\"\"\"",
        "\u{1}\u{7f}ü",
        "x\n'",
    ];
    let (mut store, _) = write(dir.path());
    for (i, text) in texts.iter().enumerate() {
        let mut entry = entry("x", Status::Applied);
        entry.applied = Some((*text).into());
        store
            .settle(&at(&format!("guest.g{i}")), Some(&entry))
            .unwrap();
    }
    let state = store.finish().unwrap();
    assert_eq!(read(dir.path()), state);
}

#[test]
fn a_crash_at_any_byte_of_the_journal_loses_no_whole_record() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("shop.journal");
    let (mut store, _) = write(dir.path());
    let mut states = vec![State::new(lab())];
    store.begin(&place()).unwrap();
    for name in ["a", "b"] {
        let address = at(&format!("guest.{name}"));
        store
            .intend(&address, &entry(name, Status::Creating))
            .unwrap();
        states.push(store.state().clone());
        store
            .settle(&address, Some(&entry(name, Status::Applied)))
            .unwrap();
        states.push(store.state().clone());
    }
    store.settle(&at("guest.a"), None).unwrap();
    states.push(store.state().clone());
    drop(store);
    let bytes = fs::read(&journal).unwrap();
    for cut in 0..=bytes.len() {
        for tail in [&b""[..], &b"\0\0\0"[..]] {
            let torn = [&bytes[..cut], tail].concat();
            fs::write(&journal, &torn).unwrap();
            let records = bytes[..cut]
                .split_inclusive(|b| *b == b'\n')
                .filter(|l| l.ends_with(b"\n"));
            // The first two lines, open and begin, set no resource.
            let whole = records.count().saturating_sub(2);
            let state = read(dir.path());
            let complete = states
                .get(whole + 1)
                .filter(|_| bytes.get(cut) == Some(&b'\n'));
            assert!(
                state == states[whole] || Some(&state) == complete,
                "cut at {cut}"
            );
            let (store, folded) = write(dir.path());
            assert_eq!(folded, state);
            assert!(!journal.exists());
            drop(store);
            assert_eq!(read(dir.path()), state);
            // The crash came between the TOML and the journal's removal: playing it again changes nothing.
            fs::write(&journal, &torn).unwrap();
            assert_eq!(read(dir.path()), state);
            fs::remove_file(dir.path().join("shop.toml")).unwrap();
        }
    }
}

#[test]
fn garbage_in_the_journal_names_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("shop.journal");
    let open = "{\"open\":{\"version\":1,\"lab\":\"shop\"}}\n";
    fs::write(&journal, format!("{open}nonsense\n{open}")).unwrap();
    let error = Store::open(dir.path(), &lab(), Access::Write).unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Damaged);
    assert!(
        error.to_string().contains("shop.journal: line 2: "),
        "{error}"
    );
    assert!(journal.exists());
    fs::write(&journal, open.replace('1', "2")).unwrap();
    let error = Store::open(dir.path(), &lab(), Access::Read).unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Version);
}

#[test]
fn a_damaged_document_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let toml = dir.path().join("shop.toml");
    let (mut store, _) = write(dir.path());
    for name in ["a", "b"] {
        store
            .settle(
                &at(&format!("guest.{name}")),
                Some(&entry(name, Status::Applied)),
            )
            .unwrap();
    }
    store.finish().unwrap();
    drop(store);
    let good = fs::read_to_string(&toml).unwrap();
    for cut in 0..good.trim_end().len() {
        fs::write(&toml, &good[..cut]).unwrap();
        let error = Store::open(dir.path(), &lab(), Access::Write).unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Damaged, "cut at {cut}: {error}");
        assert!(error.hint.is_some());
        assert_eq!(fs::read_to_string(&toml).unwrap(), good[..cut]);
    }
    for (bad, kind) in [
        (
            good.replace("version = 1", "version = 2\nnew = 1"),
            StoreErrorKind::Version,
        ),
        (
            good.replace("lab = \"shop\"", "lab = \"other\""),
            StoreErrorKind::OtherLab,
        ),
        (
            good.replace("name = \"a\"", "nmae = \"a\""),
            StoreErrorKind::Damaged,
        ),
        (format!("<<<<<<< HEAD\n{good}"), StoreErrorKind::Damaged),
    ] {
        fs::write(&toml, &bad).unwrap();
        let error = Store::open(dir.path(), &lab(), Access::Read).unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
    }
    fs::remove_file(&toml).unwrap();
    fs::create_dir(&toml).unwrap();
    let error = Store::open(dir.path(), &lab(), Access::Read).unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Io);
}

#[test]
fn a_record_costs_the_same_in_a_lab_of_ten_and_of_a_thousand() {
    let cost = |resources: usize| {
        let dir = tempfile::tempdir().unwrap();
        let (mut store, _) = write(dir.path());
        store.begin(&place()).unwrap();
        for n in 0..resources {
            let name = format!("g{n:04}");
            let address = at(&format!("guest.{name}"));
            store
                .settle(&address, Some(&entry(&name, Status::Applied)))
                .unwrap();
        }
        let written = || {
            let sizes = fs::read_dir(dir.path()).unwrap().map(|file| {
                let file = file.unwrap();
                (
                    file.file_name().into_string().unwrap(),
                    file.metadata().unwrap().len(),
                )
            });
            sizes.collect::<std::collections::BTreeMap<_, _>>()
        };
        let before = written();
        let address = at("guest.g0005");
        store
            .intend(&address, &entry("g0005", Status::Changing))
            .unwrap();
        store
            .settle(&address, Some(&entry("g0005", Status::Applied)))
            .unwrap();
        let after = written();
        // Only ever appended to; nothing else is written before the run ends.
        let names: Vec<_> = after.keys().collect();
        assert_eq!(names, ["shop.journal", "shop.lock"]);
        assert_eq!(after["shop.lock"], before["shop.lock"]);
        after["shop.journal"] - before["shop.journal"]
    };
    let (ten, thousand) = (cost(10), cost(1000));
    assert_eq!(ten, thousand);
    assert!((200..2000).contains(&ten), "{ten} bytes for two records");
}

#[test]
fn a_second_writer_learns_who_holds_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = write(dir.path());
    let error = Store::open(dir.path(), &lab(), Access::Write).unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Locked);
    let pid = format!("another miniascape (pid {} on ", std::process::id());
    assert!(error.what.starts_with(&pid), "{error}");
    read(dir.path());
    drop(store);
    write(dir.path());
}

#[test]
fn reading_makes_nothing_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("state");
    let (mut store, state) = Store::open(&missing, &lab(), Access::Read).unwrap();
    assert_eq!(state, State::new(lab()));
    assert_eq!(
        store.begin(&place()).unwrap_err().kind,
        StoreErrorKind::Misuse
    );
    assert!(!missing.exists());
}

#[test]
fn moves_are_one_record_that_outlives_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = write(dir.path());
    store.begin(&place()).unwrap();
    for address in ["network.front", "guest.web1"] {
        let entry = entry("x", Status::Applied);
        store.settle(&at(address), Some(&entry)).unwrap();
    }
    let before = store.state().clone();
    let moves = [
        (at("network.front"), at("network.lan")),
        (at("guest.web1"), at("guest.app1")),
    ];
    store.readdress(&moves).unwrap();
    let after = store.state().clone();
    drop(store);
    assert!(after.resources[&at("network.lan")].kept_name);
    let guest = &after.resources[&at("guest.app1")];
    assert!(!guest.kept_name);
    assert_eq!(guest.depends_on, BTreeSet::from([at("network.lan")]));
    assert_eq!(after.resources.len(), 2);
    // All of it or nothing, wherever the record was cut.
    let journal = dir.path().join("shop.journal");
    let bytes = fs::read(&journal).unwrap();
    let last = bytes[..bytes.len() - 1]
        .iter()
        .rposition(|b| *b == b'\n')
        .unwrap()
        + 1;
    for cut in last..bytes.len() - 1 {
        fs::write(&journal, &bytes[..cut]).unwrap();
        assert_eq!(read(dir.path()), before, "cut at {cut}");
    }
    fs::write(&journal, &bytes).unwrap();
    let (store, folded) = write(dir.path());
    assert_eq!(folded, after);
    drop(store);
    assert_eq!(read(dir.path()), after);
}

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
    let mut seen = Seen::default();
    seen.prints.insert(7);
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
    let mut seen = Seen::default();
    seen.prints.insert(7);
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
