//! The store on real files, crashes included.

mod files;

use std::fs;
use std::path::Path;

use super::store::{Access, Store, StoreErrorKind};
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
        place: None,
        shutdown_timeout: Some(60),
        depends_on: BTreeSet::from([at("network.front")]),
        applied: (status == Status::Applied)
            .then(|| format!("<domain type='kvm'>\n  <name>{name}</name>\n</domain>\n").into()),
        attempted: Vec::new(),
        beside: None,
        pending: BTreeSet::new(),
        written: BTreeSet::new(),
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
# After a change by hand: miniascape state check --accept

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

# sha256 b5a32e73c750996f7a90b2056ca4132d3c0a6a99217c8921e3d9403f242b466c
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
    fs::write(&journal, open.replace('1', "3")).unwrap();
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
    for cut in 0..good.len() {
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
fn who_reads_during_a_run_knows_what_is_there_before_or_after() {
    let dir = tempfile::tempdir().unwrap();
    let volume = |name: &str, status| Entry {
        uuid: None,
        pool: Some("shop".into()),
        ..entry(name, status)
    };
    let guest = |number| Entry {
        uuid: Some(Uuid::from_u128(number)),
        ..entry("web", Status::Applied)
    };
    let (mut run, _) = write(dir.path());
    run.begin(&place()).unwrap();
    let mut settle = |address: &str, entry: Option<&Entry>| run.settle(&at(address), entry);
    settle("volume.gone.root", Some(&volume("gone", Status::Deleting))).unwrap();
    settle("volume.new.root", Some(&volume("new", Status::Creating))).unwrap();
    settle("volume.old.root", Some(&volume("moved", Status::Applied))).unwrap();
    settle("guest.old", Some(&guest(1))).unwrap();
    let (reader, before) = Store::open(dir.path(), &lab(), Access::Read).unwrap();
    let unchanged = reader.reread().unwrap().unwrap();
    assert!(unchanged.owns_as(&before));

    settle("volume.gone.root", None).unwrap();
    settle("volume.new.root", Some(&volume("new", Status::Applied))).unwrap();
    settle("volume.next.root", Some(&volume("next", Status::Creating))).unwrap();
    let moves = [
        ("volume.old.root", "volume.app.root"),
        ("guest.old", "guest.app"),
    ];
    run.readdress(&moves.map(|(from, to)| (at(from), at(to))))
        .unwrap();
    let now = reader.reread().unwrap().unwrap();
    assert!(!now.owns_as(&before));
    let mut stays = now.clone();
    stays
        .resources
        .insert(at("guest.old"), before.resources[&at("guest.old")].clone());
    let alone = stays.left_alone_since(&before).resources;
    assert_eq!(alone.keys().collect::<Vec<_>>(), [&at("guest.old")]);
    let known: Vec<(String, Status)> = now
        .with_earlier(&before)
        .resources
        .into_iter()
        .map(|(address, entry)| (address.to_string(), entry.status))
        .collect();
    let expected = [
        ("volume.app.root", Status::Applied),
        ("volume.gone.root", Status::Deleting),
        ("volume.new.root", Status::Applied),
        ("volume.next.root", Status::Creating),
        ("guest.app", Status::Applied),
    ];
    assert_eq!(
        known,
        expected.map(|(address, status)| (address.to_owned(), status))
    );

    // The end of the run takes its journal away; where nothing is left, it is still known where what went was.
    let runner = reader.runner().unwrap();
    assert!(runner.is_here());
    assert!(
        runner
            .to_string()
            .starts_with(&format!("pid {} on ", std::process::id()))
    );
    run.finish().unwrap();
    drop(run);
    assert_eq!(reader.runner(), None);
    let ended = reader.reread().unwrap().unwrap();
    assert_eq!(ended.resources.len(), 4);
    let empty = State::new(lab()).with_earlier(&before);
    assert_eq!(empty.hypervisor, Some(place()));
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

/// A state with two guests, and one of them in its journal.
fn half_done(directory: &Path) -> State {
    let (mut store, _) = write(directory);
    store.begin(&place()).unwrap();
    for name in ["a", "b"] {
        let entry = entry(name, Status::Applied);
        store
            .settle(&at(&format!("guest.{name}")), Some(&entry))
            .unwrap();
    }
    store.finish().unwrap();
    let change = entry("b", Status::Changing);
    store.intend(&at("guest.b"), &change).unwrap();
    store.settle(&at("guest.a"), None).unwrap();
    store.state().clone()
}

#[test]
fn what_was_flipped_cut_or_doubled_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let state = half_done(dir.path());
    let refuses = |path: &Path, bytes: &[u8], what: &str| {
        fs::write(path, bytes).unwrap();
        match Store::open(dir.path(), &lab(), Access::Read) {
            Err(error) => assert!(error.hint.is_some(), "{what}: {error}"),
            Ok(_) => panic!("{what} in {} is taken", path.display()),
        }
    };
    for name in ["shop.toml", "shop.journal"] {
        let path = dir.path().join(name);
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            for bit in [0, 3, 5, 7] {
                let mut flipped = good.clone();
                flipped[at] ^= 1 << bit;
                refuses(&path, &flipped, &format!("bit {bit} of byte {at}"));
            }
        }
        let lines: Vec<&[u8]> = good.split_inclusive(|byte| *byte == b'\n').collect();
        for at in 0..lines.len() {
            let (before, after) = lines.split_at(at);
            let doubled = [before, &after[..1], after].concat().concat();
            refuses(&path, &doubled, &format!("line {at}, doubled,"));
            // A journal may end anywhere.
            if name == "shop.toml" || at + 1 < lines.len() {
                let cut = [before, &after[1..]].concat().concat();
                refuses(&path, &cut, &format!("the lack of line {at}"));
            }
        }
        refuses(&path, &good.repeat(2), "the whole, doubled,");
        fs::write(&path, &good).unwrap();
    }
    assert_eq!(read(dir.path()), state);
}

#[test]
fn what_older_versions_wrote_without_sums_is_read_and_gets_them() {
    let dir = tempfile::tempdir().unwrap();
    let state = half_done(dir.path());
    let (toml, journal) = (
        dir.path().join("shop.toml"),
        dir.path().join("shop.journal"),
    );
    let without_sums = |text: &str| {
        let lines = text
            .lines()
            .filter(|line| !line.starts_with("# sha256 ") && !line.starts_with("# After"));
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };
    let old = without_sums(&fs::read_to_string(&toml).unwrap());
    fs::write(&toml, &old).unwrap();
    let lines = fs::read_to_string(&journal)
        .unwrap()
        .replace("\"version\":2", "\"version\":1");
    let lines = lines
        .lines()
        .map(|line| format!("{}\n", &line[line.find('{').unwrap()..]));
    fs::write(&journal, lines.collect::<String>()).unwrap();
    assert_eq!(read(dir.path()), state);
    let (_, folded) = write(dir.path());
    assert_eq!(folded, state);
    let new = fs::read_to_string(&toml).unwrap();
    assert!(new.contains("\n# sha256 "), "{new}");
    fs::write(&toml, old).unwrap();
    write(dir.path()).0.finish().unwrap();
    assert!(fs::read_to_string(&toml).unwrap().contains("\n# sha256 "));
}

#[test]
fn a_change_by_hand_is_taken_where_someone_says_so() {
    let dir = tempfile::tempdir().unwrap();
    half_done(dir.path());
    let (toml, journal) = (
        dir.path().join("shop.toml"),
        dir.path().join("shop.journal"),
    );
    let edited = fs::read_to_string(&toml)
        .unwrap()
        .replace("shutdown_timeout = 60", "shutdown_timeout = 7");
    fs::write(&toml, edited).unwrap();
    let error = Store::open(dir.path(), &lab(), Access::Write).unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Damaged);
    assert!(
        error
            .hint
            .unwrap()
            .contains("miniascape state check --accept")
    );
    let lines = fs::read_to_string(&journal).unwrap();
    // What was to be done with guest.b is taken out of the journal's middle.
    let kept = lines.lines().filter(|line| !line.contains("intend"));
    fs::write(
        &journal,
        kept.map(|line| format!("{line}\n")).collect::<String>(),
    )
    .unwrap();
    let accepted = Store::accept(dir.path(), &lab()).unwrap();
    assert_eq!(accepted.resources.len(), 1);
    assert_eq!(accepted.resources[&at("guest.b")].shutdown_timeout, Some(7));
    assert!(!journal.exists());
    assert_eq!(read(dir.path()), accepted);
    // What cannot be read is not taken.
    fs::write(&toml, "version = 1\nlab = 'shop'\n").unwrap();
    let error = Store::accept(dir.path(), &lab()).unwrap_err();
    assert!(error.to_string().contains("cut short"), "{error}");
}

#[test]
fn the_lock_of_a_killed_run_names_nobody_who_lives() {
    let dir = tempfile::tempdir().unwrap();
    let lock = dir.path().join("shop.lock");
    fs::write(&lock, "pid 4294967295\nhost elsewhere\n").unwrap();
    let (reader, _) = Store::open(dir.path(), &lab(), Access::Read).unwrap();
    assert!(!reader.runner().unwrap().is_here());
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    fs::write(&lock, format!("pid 4294967295\nhost {host}\n")).unwrap();
    assert_eq!(reader.runner(), None);
}
