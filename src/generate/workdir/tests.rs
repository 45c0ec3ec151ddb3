//! What a work directory becomes, on a real file system.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

use super::*;

struct Work {
    directory: tempfile::TempDir,
}

fn lab() -> Name {
    Name::new("shop").unwrap()
}

/// Files from `path=content`; one whose content begins with `#!` is a program.
fn files(list: &[&str]) -> Files {
    let one = |text: &&str| {
        let (path, content) = text.split_once('=').unwrap();
        let mode = if content.starts_with("#!") {
            0o755
        } else {
            0o644
        };
        let bytes = content.as_bytes().to_vec();
        (
            RelativePath::new(path).unwrap(),
            GeneratedFile { bytes, mode },
        )
    };
    list.iter().map(one).collect()
}

fn only(tops: &[&str]) -> Scope {
    Scope::Only(tops.iter().map(|top| (*top).to_owned()).collect())
}

impl Work {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("out")
    }

    fn at(&self, path: &str) -> PathBuf {
        self.path().join(path)
    }

    fn put(&self, path: &str, text: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), text).unwrap();
    }

    fn open(&self, access: Access) -> WorkDir {
        WorkDir::open(&self.path(), &lab(), access).unwrap()
    }

    /// Generates, and gives what was done: `+ path`, `~ path`, `- path`, `! path`, with `*` where it was edited.
    fn generate_in(&self, list: &[&str], scope: &Scope) -> Vec<String> {
        let work = self.open(Access::Write);
        let files = files(list);
        let comparison = work.compare(&files, scope).unwrap();
        work.write(&files, &comparison).unwrap();
        told(&comparison)
    }

    fn generate(&self, list: &[&str]) -> Vec<String> {
        self.generate_in(list, &Scope::All)
    }

    fn refused(&self, list: &[&str]) -> String {
        let before = self.tree();
        let work = self.open(Access::Write);
        let error = work.compare(&files(list), &Scope::All).unwrap_err();
        assert_eq!(self.tree(), before, "refused, and nothing was touched");
        error.to_string()
    }

    /// Every path but the manifest: directories end in `/`, files with their content.
    fn tree(&self) -> Vec<String> {
        let all = walkdir::WalkDir::new(self.path())
            .min_depth(1)
            .sort_by_file_name();
        all.into_iter()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                let path = entry.path().strip_prefix(self.path()).unwrap();
                let path = path.display().to_string();
                match entry.file_type() {
                    kind if kind.is_dir() => format!("{path}/"),
                    kind if kind.is_symlink() => format!("{path}@"),
                    _ => format!("{path}={}", fs::read_to_string(entry.path()).unwrap()),
                }
            })
            .filter(|line| !line.starts_with(MANIFEST))
            .collect()
    }

    fn manifest(&self) -> String {
        fs::read_to_string(self.at(MANIFEST)).unwrap()
    }
}

fn told(comparison: &Comparison) -> Vec<String> {
    let told = comparison.changes.iter().filter_map(|(path, change)| {
        Some(match change {
            Change::New => format!("+ {path}"),
            Change::Changed { edited, .. } => match edited {
                Edited::ByHand => format!("~ {path} *"),
                Edited::No => format!("~ {path}"),
            },
            Change::Unchanged => return None,
            Change::Removed { .. } => format!("- {path}"),
            Change::Left => format!("! {path}"),
        })
    });
    told.collect()
}

#[test]
fn files_come_change_and_go_with_their_directories() {
    let work = Work::new();
    assert_eq!(
        work.generate(&["a/x=1", "b/sub/y=#!2", "b/z=3"]),
        ["+ a/x", "+ b/sub/y", "+ b/z"]
    );
    assert_eq!(
        work.tree(),
        ["a/", "a/x=1", "b/", "b/sub/", "b/sub/y=#!2", "b/z=3"]
    );
    let mode = |path: &str| fs::metadata(work.at(path)).unwrap().mode() & 0o700;
    assert_eq!((mode("a/x"), mode("b/sub/y")), (0o600, 0o700));

    assert_eq!(
        work.generate(&["a/x=2", "b/z=3", "c/n=4"]),
        ["~ a/x", "- b/sub/y", "+ c/n"]
    );
    assert_eq!(work.tree(), ["a/", "a/x=2", "b/", "b/z=3", "c/", "c/n=4"]);
    assert_eq!(work.generate(&[]), ["- a/x", "- b/z", "- c/n"]);
    assert!(work.tree().is_empty());
}

#[test]
fn what_is_as_it_should_be_is_not_touched() {
    let work = Work::new();
    work.generate(&["a/x=1", "a/y=1"]);
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let age = |path: &str| {
        let file = fs::File::options()
            .append(true)
            .open(work.at(path))
            .unwrap();
        file.set_modified(then).unwrap();
    };
    age("a/x");
    age("a/y");
    age(MANIFEST);
    let inode = fs::metadata(work.at("a/x")).unwrap().ino();
    assert!(work.generate(&["a/x=1", "a/y=1"]).is_empty());
    let modified = |path: &str| fs::metadata(work.at(path)).unwrap().modified().unwrap();
    assert_eq!(modified("a/x"), then);
    assert_eq!(modified(MANIFEST), then);
    assert_eq!(work.generate(&["a/x=1", "a/y=2"]), ["~ a/y"]);
    assert_eq!(modified("a/x"), then);
    assert_eq!(fs::metadata(work.at("a/x")).unwrap().ino(), inode);
    assert_ne!(modified("a/y"), then);
}

#[test]
fn edits_are_overwritten_where_wanted_and_kept_where_not() {
    let work = Work::new();
    work.generate(&["a/x=1", "a/y=1", "a/z=1"]);
    work.put("a/x", "mine");
    work.put("a/y", "mine");
    fs::remove_file(work.at("a/z")).unwrap();
    // The edited one that is wanted, one that is not, and one that the user deleted.
    assert_eq!(
        work.generate(&["a/x=1", "a/z=1"]),
        ["~ a/x *", "! a/y", "+ a/z"]
    );
    assert_eq!(work.tree(), ["a/", "a/x=1", "a/y=mine", "a/z=1"]);
    // What was left is the user's from then on, with its directory.
    assert!(!work.manifest().contains("a/y"));
    assert_eq!(work.generate(&[]), ["- a/x", "- a/z"]);
    assert_eq!(work.tree(), ["a/", "a/y=mine"]);
    assert!(
        work.refused(&["a/y=1"])
            .contains("a/y is there, and miniascape did not write it")
    );
    // The directory was ours, and goes once it is empty.
    fs::remove_file(work.at("a/y")).unwrap();
    assert!(work.generate(&[]).is_empty());
    assert!(work.tree().is_empty());
}

#[test]
fn permissions_are_part_of_a_file() {
    let work = Work::new();
    work.generate(&["a/run=#!1", "a/x=1"]);
    let set = |path: &str, mode| {
        fs::set_permissions(work.at(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    // Less for group and others is what a umask does.
    set("a/x", 0o600);
    assert!(work.generate(&["a/run=#!1", "a/x=1"]).is_empty());
    set("a/run", 0o644);
    set("a/x", 0o666);
    assert_eq!(work.generate(&["a/run=#!1", "a/x=1"]), ["~ a/run", "~ a/x"]);
    assert_eq!(
        fs::metadata(work.at("a/run")).unwrap().mode() & 0o700,
        0o700
    );
    assert_eq!(fs::metadata(work.at("a/x")).unwrap().mode() & 0o022, 0);
}

#[test]
fn foreign_files_are_all_named_and_nothing_is_touched() {
    let work = Work::new();
    work.put("a/x", "foreign");
    work.put("b", "a file where a directory is to be");
    work.put("c/y/z", "a directory where a file is to be");
    work.put("d/other", "not in the way");
    let error = work.refused(&["a/x=1", "b/x=1", "b/y=1", "c/y=1", "d/x=1"]);
    let lines: Vec<&str> = error.lines().skip(1).map(str::trim).collect();
    assert_eq!(
        lines,
        [
            "a/x is there, and miniascape did not write it",
            "b is no directory (links are not followed), and files are to be in it",
            "c/y is a directory, and a file is to be there",
        ]
    );
    assert_eq!(work.generate(&["d/x=1"]), ["+ d/x"]);
    assert_eq!(work.generate(&[]), ["- d/x"]);
    assert!(work.at("d/other").exists() && work.at("a/x").exists());
}

#[test]
fn a_lost_manifest_is_made_up_for() {
    let work = Work::new();
    work.generate(&["a/x=1", "a/y=1"]);
    fs::remove_file(work.at(MANIFEST)).unwrap();
    assert!(work.generate(&["a/x=1", "a/y=1"]).is_empty());
    assert_eq!(work.generate(&["a/x=1"]), ["- a/y"]);
}

#[test]
fn a_file_becomes_a_directory_and_back() {
    let work = Work::new();
    work.generate(&["a/conf=1"]);
    assert_eq!(
        work.generate(&["a/conf/x=1", "a/conf/y=1"]),
        ["- a/conf", "+ a/conf/x", "+ a/conf/y"]
    );
    assert_eq!(
        work.generate(&["a/conf=1"]),
        ["+ a/conf", "- a/conf/x", "- a/conf/y"]
    );
    assert_eq!(work.tree(), ["a/", "a/conf=1"]);
    // Not where something of the user's is in it.
    work.generate(&["a/conf/x=1"]);
    work.put("a/conf/mine", "1");
    assert!(
        work.refused(&["a/conf=1"])
            .contains("a/conf is a directory")
    );
}

#[test]
fn links_are_not_followed() {
    let work = Work::new();
    let outside = work.directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("x"), "outside").unwrap();
    fs::create_dir(work.path()).unwrap();
    symlink(&outside, work.at("a")).unwrap();
    assert!(
        work.refused(&["a/x=1"])
            .contains("a is no directory (links are not followed)")
    );

    // A file of ours that someone made a link of: the link is replaced, not what it points to.
    work.generate(&["b/x=1", "b/y=1"]);
    for name in ["b/x", "b/y"] {
        fs::remove_file(work.at(name)).unwrap();
        symlink(outside.join("x"), work.at(name)).unwrap();
    }
    assert_eq!(work.generate(&["b/x=1"]), ["~ b/x *", "! b/y"]);
    assert_eq!(fs::read_to_string(work.at("b/x")).unwrap(), "1");
    assert!(fs::symlink_metadata(work.at("b/x")).unwrap().is_file());

    // A directory of ours that is a link now: nothing is removed through it.
    work.generate(&["c/x=1"]);
    fs::remove_dir_all(work.at("c")).unwrap();
    symlink(&outside, work.at("c")).unwrap();
    work.generate(&[]);
    assert_eq!(fs::read_to_string(outside.join("x")).unwrap(), "outside");
    // A link to a foreign file is in the way like one.
    symlink(outside.join("x"), work.at("d")).unwrap();
    assert!(work.refused(&["d=1"]).contains("d is there"));
}

#[test]
fn the_work_directory_itself_may_be_a_link() {
    let work = Work::new();
    let real = work.directory.path().join("real");
    fs::create_dir(&real).unwrap();
    symlink(&real, work.path()).unwrap();
    assert_eq!(work.generate(&["a/x=1"]), ["+ a/x"]);
    assert!(real.join("a/x").exists());
}

#[test]
fn part_of_it_leaves_the_rest() {
    let work = Work::new();
    work.generate(&["a/x=1", "a/old=1", "b/x=1", "host/x=1"]);
    assert_eq!(
        work.generate_in(&["a/x=2", "a/new=1"], &only(&["a"])),
        ["+ a/new", "- a/old", "~ a/x"]
    );
    assert_eq!(
        work.tree(),
        ["a/", "a/new=1", "a/x=2", "b/", "b/x=1", "host/", "host/x=1"]
    );
    // What was left out is still known as ours.
    assert_eq!(work.generate(&["a/x=2", "a/new=1"]), ["- b/x", "- host/x"]);
    assert_eq!(work.tree(), ["a/", "a/new=1", "a/x=2"]);
}

#[test]
fn reading_writes_nothing() {
    let work = Work::new();
    let compared = work
        .open(Access::Read)
        .compare(&files(&["a/x=1"]), &Scope::All);
    assert_eq!(told(&compared.unwrap()), ["+ a/x"]);
    assert!(!work.path().exists());
    work.generate(&["a/x=1"]);
    let compared = work
        .open(Access::Read)
        .compare(&files(&["a/x=2"]), &Scope::All);
    let compared = compared.unwrap();
    let Some(Change::Changed { before, .. }) = compared.changes.values().next() else {
        panic!("{compared:?}");
    };
    assert_eq!(before.as_ref().unwrap().bytes, b"1");
    assert_eq!(work.tree(), ["a/", "a/x=1"]);
}

#[test]
fn one_writes_at_a_time() {
    let work = Work::new();
    let first = work.open(Access::Write);
    let error = WorkDir::open(&work.path(), &lab(), Access::Write).unwrap_err();
    assert!(error.what.contains("another miniascape"), "{error}");
    // Looking is always possible.
    work.open(Access::Read);
    drop(first);
    work.open(Access::Write);
}

#[test]
fn what_is_no_directory_or_another_labs_is_refused() {
    let work = Work::new();
    fs::write(work.path(), "a file").unwrap();
    for access in [Access::Read, Access::Write] {
        let error = WorkDir::open(&work.path(), &lab(), access).unwrap_err();
        assert!(error.what.contains("no directory"), "{error}");
    }
    fs::remove_file(work.path()).unwrap();
    work.generate(&["a/x=1"]);
    let other = WorkDir::open(&work.path(), &Name::new("other").unwrap(), Access::Write).unwrap();
    let error = other.compare(&files(&[]), &Scope::All).unwrap_err();
    assert!(
        error.to_string().contains("of lab `shop`, not of `other`"),
        "{error}"
    );
}

/// Every way that one run can follow another, stopped before each of its actions and in the middle of each writing.
#[test]
fn a_run_that_was_interrupted_is_mended_by_the_next() {
    let before = ["a/x=1", "a/y=1", "b/old=1", "c/conf=1", "d/sub/x=1", "e=1"];
    let after = [
        "a/x=2",
        "a/y=1",
        "a/new=1",
        "c/conf/x=1",
        "d/sub=1",
        "f/g/h=#!1",
    ];
    let straight = Work::new();
    straight.generate(&after);
    let expected = straight.tree();
    let mut stop = 0;
    loop {
        let work = Work::new();
        work.generate(&before);
        work.put("a/mine", "mine");
        let directory = work.open(Access::Write);
        let wanted = files(&after);
        let comparison = directory.compare(&wanted, &Scope::All).unwrap();
        let Some(next) = comparison.actions.get(stop) else {
            break;
        };
        for action in &comparison.actions[..stop] {
            directory.perform(action, &wanted).unwrap();
        }
        match next {
            Action::Stage(path) => fs::write(work.at(&passing(path)), "ha").unwrap(),
            Action::Record(_) => fs::write(work.at(&passing_manifest()), "ver").unwrap(),
            _ => {}
        }
        drop(directory);
        // Another definition may come next: everything is known and can go. Or the same, which completes it.
        for then in [&after[..], &[]] {
            work.generate(then);
            let mut expected: Vec<String> = match then.is_empty() {
                true => vec!["a/".to_owned()],
                false => expected.clone(),
            };
            expected.push("a/mine=mine".to_owned());
            expected.sort();
            let mut tree = work.tree();
            tree.sort();
            assert_eq!(tree, expected, "stopped before action {stop}, {next:?}");
            assert!(!work.manifest().contains("pending"));
            assert!(work.generate(then).is_empty());
        }
        stop += 1;
    }
    assert!(stop > 20, "only {stop} actions");
}

/// The same, and the definition goes back to what it was.
#[test]
fn an_interrupted_run_can_be_taken_back() {
    let (before, after) = (["a/x=1", "b/y=1"], ["a/x=2", "a/z=1", "c/y=1"]);
    for stop in 0.. {
        let work = Work::new();
        work.generate(&before);
        let expected = work.tree();
        let directory = work.open(Access::Write);
        let wanted = files(&after);
        let comparison = directory.compare(&wanted, &Scope::All).unwrap();
        if stop > comparison.actions.len() {
            break;
        }
        for action in &comparison.actions[..stop] {
            directory.perform(action, &wanted).unwrap();
        }
        drop(directory);
        let done = work.generate(&before);
        assert_eq!(work.tree(), expected, "after {stop} actions: {done:?}");
        assert!(done.iter().all(|line| !line.ends_with('*')), "{done:?}");
    }
}

#[test]
fn a_path_that_was_only_pending_is_not_ours() {
    let work = Work::new();
    let directory = work.open(Access::Write);
    let wanted = files(&["a/x=1"]);
    let comparison = directory.compare(&wanted, &Scope::All).unwrap();
    directory.perform(&comparison.actions[0], &wanted).unwrap();
    drop(directory);
    assert!(work.manifest().contains("[pending]"));
    work.put("a/x", "mine");
    assert!(work.refused(&["a/x=1"]).contains("a/x is there"));
    work.generate(&[]);
    assert_eq!(work.tree(), ["a/", "a/x=mine"]);
}

#[test]
fn a_full_disk_leaves_nothing_behind() {
    let work = Work::new();
    work.generate(&["a/x=1"]);
    let directory = work.open(Access::Write);
    let wanted = files(&["a/x=2", "b/y=1"]);
    let mut comparison = directory.compare(&wanted, &Scope::All).unwrap();
    // A rename to a place that is not there stands for any refusal.
    comparison
        .actions
        .retain(|action| !matches!(action, Action::MakeDirectory(_)));
    let error = directory.write(&wanted, &comparison).unwrap_err();
    assert!(error.to_string().contains("failed to write b/y"), "{error}");
    drop(directory);
    assert_eq!(work.tree(), ["a/", "a/x=1"]);
    assert_eq!(work.generate(&["a/x=2", "b/y=1"]), ["~ a/x", "+ b/y"]);
}
