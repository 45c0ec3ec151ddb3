//! `setup.sh` and `teardown.sh` with a directory for a root: what they install, and that nothing of it stays.
//!
//! What they do to a running host is tested in the sandbox.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output};

use crate::{CASES, Generated, case, text, tree};

/// Runs a script from another directory, with a root.
fn script(generated: &Generated, name: &str, root: &Path, more: &[&str]) -> Output {
    Command::new("bash")
        .arg(generated.path(&format!("host/{name}.sh")))
        .arg("--root")
        .arg(root)
        .args(more)
        .current_dir("/")
        .env_remove("ROOT")
        .output()
        .unwrap()
}

/// Runs a script and wants it to succeed without a complaint; gives what it printed.
fn ok(generated: &Generated, name: &str, root: &Path, more: &[&str]) -> String {
    let output = script(generated, name, root, more);
    assert!(
        output.status.success(),
        "{name} {more:?}: {}",
        text(&output)
    );
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "",
        "{name} {more:?}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a script and wants it to fail; gives its complaints.
fn fails(generated: &Generated, name: &str, root: &Path, more: &[&str]) -> String {
    let output = script(generated, name, root, more);
    assert_eq!(output.status.code(), Some(1), "{name}: {}", text(&output));
    String::from_utf8(output.stderr).unwrap()
}

/// A root with an odd name and some files, in the way of what is installed and not.
struct Root(tempfile::TempDir);

impl Root {
    fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("it's a $root ").tempdir();
        Self(directory.unwrap())
    }

    fn lived_in(hosts: Option<&str>) -> Self {
        let root = Self::new();
        root.write("etc/nginx/conf.d/miniascape-shop.conf", "# mine\r\n\n");
        root.write("etc/nginx/nginx.conf", "events {}\n");
        fs::set_permissions(
            root.at("etc/nginx/conf.d/miniascape-shop.conf"),
            fs::Permissions::from_mode(0o640),
        )
        .unwrap();
        fs::create_dir_all(root.at("etc/exports.d")).unwrap();
        symlink(
            "/nowhere/at all",
            root.at("etc/exports.d/miniascape-shop.exports"),
        )
        .unwrap();
        if let Some(hosts) = hosts {
            root.write("etc/hosts", hosts);
            fs::set_permissions(root.at("etc/hosts"), fs::Permissions::from_mode(0o664)).unwrap();
        }
        root
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn at(&self, path: &str) -> std::path::PathBuf {
        self.path().join(path)
    }

    fn write(&self, path: &str, content: &str) {
        fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        fs::write(self.at(path), content).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

#[test]
fn a_root_is_as_it_was_after_teardown() {
    let hosts = [
        None,
        Some(""),
        Some("\n\n"),
        Some("127.0.0.1 localhost\n"),
        Some("127.0.0.1 localhost\r\n# it's \"all\" $mine \\ * ä\r\n\t"),
        Some(
            "127.0.0.1 localhost\n# BEGIN miniascape shop2: another\n1.2.3.4 a\n# END miniascape shop2",
        ),
    ];
    for name in CASES {
        let generated = Generated::new(name);
        for hosts in hosts {
            let root = Root::lived_in(hosts);
            let before = tree(root.path());
            let shown = ok(&generated, "setup", root.path(), &["--dry-run"]);
            assert_eq!(tree(root.path()), before, "a dry run changes nothing");

            let done = ok(&generated, "setup", root.path(), &[]);
            // What is said before is what is done after.
            let would: Vec<&str> = shown
                .lines()
                .filter_map(|line| line.strip_prefix("would "))
                .collect();
            let did: Vec<&str> = done.lines().collect();
            assert_eq!(would, did[..did.len() - 1], "{name}");
            for (path, (_, content)) in tree(&generated.path("host")) {
                let installed = root.path().join(&path);
                if path.starts_with("etc") && !content.is_empty() {
                    assert_eq!(fs::read(&installed).unwrap(), content, "{}", path.display());
                    assert!(!installed.is_symlink());
                }
            }

            let after = tree(root.path());
            let again = ok(&generated, "setup", root.path(), &[]);
            assert!(again.starts_with("Nothing to do"), "{again}");
            assert_eq!(again.lines().count(), 1, "{again}");
            assert_eq!(tree(root.path()), after, "a second run changes nothing");

            ok(&generated, "teardown", root.path(), &["--dry-run"]);
            assert_eq!(tree(root.path()), after, "a dry run changes nothing");
            ok(&generated, "teardown", root.path(), &[]);
            assert_eq!(tree(root.path()), before, "{name}");
            let again = ok(&generated, "teardown", root.path(), &[]);
            assert!(again.starts_with("Nothing to do"), "{again}");
            assert_eq!(tree(root.path()), before);
        }
    }
}

#[test]
fn the_names_are_a_block_of_their_own() {
    let generated = Generated::new("everything");
    let block = fs::read_to_string(generated.path("host/hosts")).unwrap();
    let root = Root::new();
    root.write("etc/hosts", "127.0.0.1 localhost\n");
    ok(&generated, "setup", root.path(), &[]);
    assert_eq!(
        root.read("etc/hosts"),
        format!("127.0.0.1 localhost\n{block}")
    );

    // Others write around it, and someone into it: it is mended where it is.
    let changed = block.replace("web.shop.test", "mine");
    root.write("etc/hosts", &format!("::1 a\n{changed}::2 b"));
    ok(&generated, "setup", root.path(), &[]);
    assert_eq!(root.read("etc/hosts"), format!("::1 a\n{block}::2 b"));
    ok(&generated, "teardown", root.path(), &[]);
    assert_eq!(root.read("etc/hosts"), "::1 a\n::2 b");

    // With an end that someone took away, nobody can tell where it ends.
    let endless = block.replace("# END", "#");
    root.write("etc/hosts", &endless);
    let complaint = fails(&generated, "setup", root.path(), &[]);
    assert!(complaint.contains("has lost its end"), "{complaint}");
    assert_eq!(root.read("etc/hosts"), endless);
}

#[test]
fn a_link_in_place_of_hosts_is_followed() {
    let generated = Generated::new("everything");
    let root = Root::new();
    root.write("data/hosts", "127.0.0.1 localhost");
    fs::create_dir(root.at("etc")).unwrap();
    symlink("../data/hosts", root.at("etc/hosts")).unwrap();
    let before = tree(root.path());
    ok(&generated, "setup", root.path(), &[]);
    assert!(root.at("etc/hosts").is_symlink());
    assert!(root.read("data/hosts").contains("web.shop.test"));
    ok(&generated, "teardown", root.path(), &[]);
    assert_eq!(tree(root.path()), before);
}

#[test]
fn what_was_changed_by_hand_is_not_lost() {
    let generated = Generated::new("everything");
    let root = Root::lived_in(None);
    let site = "etc/nginx/conf.d/miniascape-shop.conf";
    let kvm = "etc/modprobe.d/miniascape-shop-nested-kvm.conf";
    ok(&generated, "setup", root.path(), &[]);
    root.write(site, "# changed\n");
    let done = ok(&generated, "setup", root.path(), &[]);
    assert!(done.contains("which was changed since"), "{done}");
    let record = "var/lib/miniascape/host/shop";
    assert_eq!(
        root.read(&format!("{record}/changed/{site}")),
        "# changed\n"
    );
    assert_eq!(
        root.read(&format!("{record}/original/{site}")),
        "# mine\r\n\n"
    );

    root.write(site, "# changed again\n");
    let complaint = fails(&generated, "teardown", root.path(), &[]);
    assert!(
        complaint.contains(&format!("/{site} was changed since")),
        "{complaint}"
    );
    assert!(
        complaint.contains(&format!("{record}/original/{site}")),
        "{complaint}"
    );
    assert_eq!(root.read(site), "# changed again\n");
    // The rest is gone.
    assert!(!root.at(kvm).exists());

    fs::remove_file(root.at(site)).unwrap();
    let done = ok(&generated, "teardown", root.path(), &[]);
    assert_eq!(root.read(site), "# mine\r\n\n");
    assert!(done.contains("changed by hand"), "{done}");
    assert_eq!(
        root.read(&format!("{record}/changed/{site}")),
        "# changed\n"
    );
}

#[test]
fn a_lab_that_shrinks_takes_out_what_it_has_no_more() {
    let generated = Generated::new("everything");
    let root = Root::lived_in(Some("127.0.0.1 localhost\n"));
    let before = tree(root.path());
    ok(&generated, "setup", root.path(), &[]);

    let definition = tempfile::tempdir().unwrap();
    fs::write(
        definition.path().join("lab.yaml"),
        "lab: shop\nhost: {isos: {rhel-9: {path: /srv/iso/other.iso, mount: /srv/content/rhel-9}}}\n",
    )
    .unwrap();
    let smaller = Generated::of(definition.path());
    let done = ok(&smaller, "setup", root.path(), &[]);
    assert!(
        done.contains("put back /etc/nginx/conf.d/miniascape-shop.conf"),
        "{done}"
    );
    assert!(
        done.contains(r"update /etc/systemd/system/srv-content-rhel\x2d9.mount"),
        "{done}"
    );
    assert_eq!(root.read("etc/hosts"), "127.0.0.1 localhost\n");
    let left: Vec<_> = tree(&root.at("etc"))
        .into_iter()
        .filter(|(_, (mode, _))| mode & 0o170_000 == 0o100_000)
        .collect();
    assert_eq!(left.len(), 4, "{left:?}");
    assert!(ok(&smaller, "setup", root.path(), &[]).starts_with("Nothing to do"));

    ok(&smaller, "teardown", root.path(), &[]);
    assert_eq!(tree(root.path()), before);
}

#[test]
fn two_labs_do_not_disturb_each_other() {
    let (shop, other) = (Generated::new("everything"), Generated::new("names"));
    let root = Root::lived_in(Some("127.0.0.1 localhost"));
    let before = tree(root.path());
    ok(&shop, "setup", root.path(), &[]);
    let with_shop = tree(root.path());
    ok(&other, "setup", root.path(), &[]);
    ok(&other, "teardown", root.path(), &[]);
    assert_eq!(tree(root.path()), with_shop);
    ok(&other, "setup", root.path(), &[]);
    ok(&shop, "teardown", root.path(), &[]);
    assert!(root.at("etc/httpd/conf.d/miniascape-a+b.conf").exists());
    ok(&other, "teardown", root.path(), &[]);
    // Of directories that both needed, those are left that the first one had made while the second one was there.
    let files = |of: std::collections::BTreeMap<_, (u32, Vec<u8>)>| {
        let files = of
            .into_iter()
            .filter(|(_, (mode, _))| mode & 0o170_000 != 0o040_000);
        files.collect::<Vec<_>>()
    };
    assert_eq!(files(tree(root.path())), files(before));
}

#[test]
fn debian_has_apache_elsewhere() {
    let generated = Generated::new("names");
    let root = Root::new();
    fs::create_dir_all(root.at("etc/apache2/conf-enabled")).unwrap();
    let before = tree(root.path());
    ok(&generated, "setup", root.path(), &[]);
    assert!(
        root.at("etc/apache2/conf-enabled/miniascape-a+b.conf")
            .exists()
    );
    assert!(
        root.at("etc/systemd/system/apache2.service.d/miniascape-a+b.conf")
            .exists()
    );
    assert!(!root.at("etc/httpd").exists());
    assert!(ok(&generated, "setup", root.path(), &[]).starts_with("Nothing to do"));
    ok(&generated, "teardown", root.path(), &[]);
    assert_eq!(tree(root.path()), before);
}

#[test]
fn files_of_ones_own_have_their_mode_and_owner() {
    let generated = Generated::new("own-files");
    let root = Root::new();
    root.write("etc/fence_virt.conf", "theirs\n");
    let before = tree(root.path());
    let done = ok(&generated, "setup", root.path(), &[]);
    assert!(
        done.contains("replace /etc/fence_virt.conf, and keep what was there"),
        "{done}"
    );
    let is_root = fs::metadata(root.path()).unwrap().uid() == 0;
    for (path, mode) in [
        ("etc/fence_virt.conf", 0o640),
        ("etc/cluster/fence xvm.key", 0o600),
        ("usr/local/bin/lab-guests", 0o755),
        ("etc/nginx/conf.d/own.conf", 0o644),
    ] {
        let metadata = fs::metadata(root.at(path)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, mode, "{path}");
        let is_daemons = path == "etc/fence_virt.conf" && is_root;
        assert_eq!(metadata.uid() == 0, is_root && !is_daemons, "{path}");
        let source = generated.path(&format!("host/{path}"));
        assert_eq!(fs::read(root.at(path)).unwrap(), fs::read(source).unwrap());
    }
    // What is for whoever generated it stays there.
    assert!(generated.path("host/ansible/inventory").is_file());
    assert!(!root.at("ansible").exists());

    let mode = fs::Permissions::from_mode(0o666);
    fs::set_permissions(root.at("etc/cluster/fence xvm.key"), mode).unwrap();
    let again = ok(&generated, "setup", root.path(), &[]);
    assert!(
        again.contains("update /etc/cluster/fence xvm.key"),
        "{again}"
    );
    let metadata = fs::metadata(root.at("etc/cluster/fence xvm.key")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    ok(&generated, "teardown", root.path(), &[]);
    assert_eq!(tree(root.path()), before);

    if is_root {
        let definition = tempfile::tempdir().unwrap();
        fs::write(
            definition.path().join("lab.yaml"),
            "lab: own\nhost: {files: {a: {dst: /etc/a, content: a, owner: nobody-here}}}\n",
        )
        .unwrap();
        let stranger = Generated::of(definition.path());
        let complaint = fails(&stranger, "setup", root.path(), &[]);
        assert!(
            complaint
                .contains("/etc/a is for nobody-here:nobody-here, whom this host does not know"),
            "{complaint}"
        );
        assert!(!root.at("etc/a").exists());
        ok(&stranger, "teardown", root.path(), &[]);
        assert_eq!(tree(root.path()), before);
    }
}

/// Kills bash before its nth command.
const KILLER: &str = "set -T; n=0; trap '((++n < KILL_AT)) || kill -KILL $$' DEBUG\n";

#[test]
fn killed_anywhere_the_next_run_makes_up_for_it() {
    let generated = Generated::new("everything");
    let killer = tempfile::NamedTempFile::new().unwrap();
    fs::write(killer.path(), KILLER).unwrap();
    let killed = |name: &str, root: &Path, at: usize| {
        let output = Command::new("bash")
            .arg(generated.path(&format!("host/{name}.sh")))
            .arg("--root")
            .arg(root)
            .env("BASH_ENV", killer.path())
            .env("KILL_AT", at.to_string())
            .output()
            .unwrap();
        let killed = !output.status.success();
        assert!(
            !killed || output.status.code().is_none(),
            "{}",
            text(&output)
        );
        killed
    };
    let mut deaths = 0;
    // A prime step, so that loops are met at different places.
    for at in (7..).step_by(97) {
        let root = Root::lived_in(Some("127.0.0.1 localhost"));
        let before = tree(root.path());
        let died = killed("setup", root.path(), at);
        deaths += usize::from(died);
        if at % 2 == 0 {
            ok(&generated, "setup", root.path(), &[]);
            killed("teardown", root.path(), at / 2);
        }
        ok(&generated, "teardown", root.path(), &[]);
        let mut after = tree(root.path());
        // A directory whose making was not yet written down is left, empty.
        after.retain(|path, (mode, _)| before.contains_key(path) || *mode & 0o170_000 != 0o040_000);
        assert_eq!(after, before, "killed before command {at}");
        if !died {
            break;
        }
    }
    assert!(deaths >= 6, "killed {deaths} times");
}

#[test]
fn arguments_that_are_none_are_refused() {
    let generated = Generated::new("bare");
    let run = |arguments: &[&str]| {
        let output = Command::new("bash")
            .arg(generated.path("host/setup.sh"))
            .args(arguments)
            .output()
            .unwrap();
        (output.status.code(), text(&output))
    };
    assert_eq!(run(&["--root"]).0, Some(2));
    assert_eq!(run(&["--dry"]).0, Some(2));
    let (code, usage) = run(&["--help"]);
    assert_eq!(
        (code, usage.as_str()),
        (Some(0), "usage: setup.sh [--dry-run] [--root DIR]\n")
    );
    let (code, complaint) = run(&["--root", "/no such directory"]);
    assert_eq!(code, Some(1));
    assert!(complaint.contains("there is no directory"), "{complaint}");
}

#[test]
fn nothing_of_this_machine_is_in_the_scripts() {
    for name in CASES {
        let generated = Generated::new(name);
        for (path, (_, content)) in tree(&generated.path("host")) {
            let content = String::from_utf8(content).unwrap();
            assert!(
                !content.contains(env!("CARGO_MANIFEST_DIR")),
                "{}",
                path.display()
            );
            assert!(
                !content.contains(&*case(name).to_string_lossy()),
                "{}",
                path.display()
            );
        }
    }
}
