//! What `generate` compiles, and what it does to a work directory: the program as a process, without a hypervisor.
//!
//! `tests/cases/generate/CASE/` is a lab, and in `expected/` is its work directory.
//! `UPDATE_GOLDENS=1 cargo test --test generate` writes them anew. Read the diff.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

#[path = "common/compile.rs"]
mod compile;
#[path = "common/scripts.rs"]
mod scripts;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use compile::{Lab, MANIFEST, WORKDIR, cases, qcow2, shown, tree};
use scripts::differences;

/// The examples that are published, each with its lab after `generate`.
fn examples() -> Vec<(String, Lab)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut names: Vec<String> = fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let compiled = names.into_iter().map(|name| {
        let lab = Lab(tempfile::tempdir().unwrap());
        lab.put("tiny.qcow2", qcow2());
        for boot in ["vmlinuz", "initrd.img"] {
            lab.put(boot, "");
        }
        let example = root.join(&name);
        let tiny = format!("tiny={}", lab.path().display());
        lab.generate(&["-C", example.to_str().unwrap(), "--var", &tiny]);
        (name, lab)
    });
    compiled.collect()
}

/// The cases, each with its lab after `generate`.
fn compiled() -> Vec<(String, Lab)> {
    let mut names: Vec<String> = fs::read_dir(cases())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["installs", "seeds", "shop"]);
    let compiled = names.into_iter().map(|name| {
        let lab = Lab::of(&name);
        let run = lab.run(&["generate"]).exits(0);
        assert_eq!(run.err, "", "{name}");
        (name, lab)
    });
    compiled.collect()
}

/// The guests whose scripts are kept whole: one that is installed and one that is not. Of the others' there is how they differ,
/// `vmbuild.sh.diff`.
const WHOLE: [&str; 2] = ["installs/by-iso", "shop/web1"];

/// What is kept of a script of a guest in place of it, where that is something else.
fn kept(script: &str, whole: &[String; 2]) -> Option<String> {
    let is_install = |script: &str| script.contains("virt-install");
    let of_kind = whole
        .iter()
        .find(|it| is_install(it) == is_install(script))?;
    (of_kind != script).then(|| differences(of_kind, script))
}

#[test]
fn cases_compile_as_expected() {
    let compiled = compiled();
    let whole = WHOLE.map(|guest| {
        let (case, guest) = guest.split_once('/').unwrap();
        let (_, lab) = compiled.iter().find(|(name, _)| name == case).unwrap();
        lab.read(&format!("{guest}/vmbuild.sh"))
    });
    for (name, lab) in compiled {
        let golden = cases().join(&name).join("expected");
        let mut actual = lab.tree();
        for path in lab.tree().keys().filter(|it| it.ends_with("/vmbuild.sh")) {
            if let Some(differences) = kept(&lab.read(path), &whole) {
                actual.remove(path);
                actual.insert(format!("{path}.diff"), differences.into_bytes());
            }
        }
        // The manifest follows from the others, a seed is no text, and what sets hosts up has tests of its own.
        let elsewhere = [MANIFEST, "host/setup.sh", "host/teardown.sh"];
        actual
            .retain(|path, _| !elsewhere.contains(&path.as_str()) && !path.ends_with("/seed.img"));
        if std::env::var_os("UPDATE_GOLDENS").is_some() {
            drop(fs::remove_dir_all(&golden));
            for (path, bytes) in &actual {
                let path = golden.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            }
            continue;
        }
        let expected = tree(&golden);
        let paths = |tree: &BTreeMap<String, Vec<u8>>| tree.keys().cloned().collect::<Vec<_>>();
        assert_eq!(paths(&actual), paths(&expected), "{name}");
        for (path, text) in shown(&expected) {
            assert_eq!(shown(&actual)[path], text, "{name}/expected/{path}");
        }
    }
}

#[test]
fn scripts_are_run_and_answers_are_private() {
    for (name, lab) in compiled() {
        for path in lab.tree().keys() {
            let mode = lab.path().join(WORKDIR).join(path);
            let mode = fs::metadata(mode).unwrap().permissions().mode() & 0o777;
            let file = path.rsplit('/').next().unwrap();
            let wanted = match file {
                "ks.cfg" | "user-data" | "meta-data" | "network-config" | "seed.img" => 0o600,
                file if file.ends_with(".sh") => 0o700,
                _ => 0o600,
            };
            assert_eq!(mode & 0o700, wanted, "{name}: {path}");
            if file == "ks.cfg" || file == "seed.img" {
                assert_eq!(mode, 0o600, "{name}: {path}");
            }
        }
    }
}

#[test]
fn seeds_hold_the_answers() {
    let lab = Lab::of("seeds");
    lab.generate(&[]);
    for (guest, answers) in [
        ("cloud1", &["user-data", "meta-data", "network-config"][..]),
        ("ubuntu1", &["user-data", "meta-data"]),
    ] {
        let bytes = fs::read(lab.path().join(WORKDIR).join(guest).join("seed.img")).unwrap();
        let seed = String::from_utf8_lossy(&bytes).into_owned();
        assert!(seed.contains("CIDATA"), "{guest}");
        for name in answers {
            assert!(
                seed.contains(&lab.read(&format!("{guest}/{name}"))),
                "{guest}/{name}"
            );
        }
    }
}

#[test]
fn shellcheck_finds_nothing_in_any_script() {
    let mut scripts = Vec::new();
    let compiled: Vec<_> = compiled().into_iter().chain(examples()).collect();
    for (_, lab) in &compiled {
        let root = lab.path().join(WORKDIR);
        let names = lab.tree();
        // What sets hosts up has tests of its own.
        let is_guests = |path: &&String| path.ends_with(".sh") && !path.starts_with("host/");
        let names = names.keys().filter(is_guests);
        scripts.extend(names.map(|path| root.join(path)));
    }
    assert_eq!(scripts.len(), 40, "{scripts:?}");
    let output = Command::new("shellcheck").args(&scripts).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[test]
fn every_xml_is_valid_to_libvirt() {
    let mut count = 0;
    for (name, lab) in compiled().into_iter().chain(examples()) {
        let is_libvirts =
            |path: &&String| path.ends_with(".xml") && !path.ends_with("/autoinst.xml");
        for path in lab.tree().keys().filter(is_libvirts) {
            let file = lab.path().join(WORKDIR).join(path);
            let output = Command::new("virt-xml-validate")
                .arg(file)
                .output()
                .unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name}: {path}: {errors}");
            count += 1;
        }
    }
    assert_eq!(count, 119);
}

#[test]
fn the_same_lab_gives_the_same_bytes_wherever_it_is() {
    for (name, first) in compiled() {
        let second = Lab::of(&name);
        second.generate(&[]);
        let elsewhere = second.path().join("a/b");
        second.generate(&["-w", elsewhere.to_str().unwrap()]);
        assert_eq!(shown(&first.tree()), shown(&second.tree()), "{name}");
        assert_eq!(shown(&first.tree()), shown(&tree(&elsewhere)), "{name}");
    }
}

/// A site of this many guests, on some networks, each with a template of its own.
fn site(guests: usize) -> String {
    let mut text = String::from("lab: site\npools: {p: {path: /p}}\nnetworks:\n");
    for net in 0..5 {
        writeln!(
            text,
            "  n{net}: {{address: 10.{net}.0.1/16, dhcp: true, domain: n{net}.test}}"
        )
        .unwrap();
    }
    text.push_str(
        "common: {disks: {root: {pool: p, size: 1GiB}}, templates: {h: {src: templates/hosts.j2, dst: hosts}}}\nguests:\n",
    );
    for i in 0..guests {
        let net = i % 5;
        writeln!(
            text,
            "  g{i}:\n    interfaces: {{eth0: {{network: n{net}, ip: 10.{net}.1.{}}}}}\n    \
             install: {{os: fedora-42, location: http://n/, template: ks.j2}}",
            1 + i
        )
        .unwrap();
    }
    text
}

#[test]
fn a_site_of_50_guests_compiles_twice_the_same() {
    let compile = || {
        let lab = Lab::new(&site(50));
        for file in ["shop/templates/hosts.j2", "installs/ks.j2"] {
            let name = file.split_once('/').unwrap().1;
            lab.put(name, fs::read(cases().join(file)).unwrap());
        }
        let start = std::time::Instant::now();
        let out = lab.generate(&["-q"]);
        eprintln!("compiled in {:?}", start.elapsed());
        assert_eq!(
            out,
            "Generated: 258 new, 0 changed, 0 unchanged, 0 removed in miniascape-workdir\n"
        );
        lab
    };
    let (first, second) = (compile(), compile());
    assert!(first.tree() == second.tree());
    assert_eq!(
        second.generate(&[]),
        "Generated: 0 new, 0 changed, 258 unchanged, 0 removed in miniascape-workdir\n"
    );
}

const TWO: &str = "lab: two
networks: {n: {address: 192.168.155.1/24, domain: two.test}}
common: {interfaces: {eth0: {network: n}}}
guests:
  one: {}
  two: {running: false}
";

#[test]
fn a_work_directory_follows_the_definition() {
    let lab = Lab::new(TWO);
    assert_eq!(
        lab.generate(&[]),
        "+ host/networks/n.xml
+ host/setup.sh
+ host/teardown.sh
+ one/domain.xml
+ one/vmbuild.sh
+ two/domain.xml
+ two/vmbuild.sh
Generated: 7 new, 0 changed, 0 unchanged, 0 removed in miniascape-workdir
"
    );
    lab.put(
        "lab.yaml",
        TWO.replace("two: {running: false}", "three: {}"),
    );
    assert_eq!(
        lab.generate(&[]),
        "+ three/domain.xml
+ three/vmbuild.sh
- two/domain.xml
- two/vmbuild.sh
Generated: 2 new, 0 changed, 5 unchanged, 2 removed in miniascape-workdir
"
    );
    assert!(!lab.path().join(WORKDIR).join("two").exists());
    assert_eq!(
        lab.generate(&["-q"]),
        "Generated: 0 new, 0 changed, 7 unchanged, 0 removed in miniascape-workdir\n"
    );
}

#[test]
fn check_writes_nothing_and_says_whether_it_is_up_to_date() {
    let lab = Lab::new(TWO);
    let run = lab.run(&["generate", "--check"]).exits(2);
    assert!(run.out.ends_with(
        "Out of date: 7 new, 0 changed, 0 unchanged, 0 removed in miniascape-workdir\n"
    ));
    assert!(!lab.path().join(WORKDIR).exists());
    lab.generate(&[]);
    let run = lab.run(&["ge", "--check"]).exits(0);
    assert_eq!(
        run.out,
        "Up to date: 0 new, 0 changed, 7 unchanged, 0 removed in miniascape-workdir\n"
    );
    lab.put("lab.yaml", TWO.replace("running: false", "memory: 2GiB"));
    let before = lab.tree();
    let run = lab.run(&["ge", "--check", "one"]).exits(0);
    assert!(run.out.starts_with("Up to date: "), "{}", run.out);
    let run = lab.run(&["ge", "--check"]).exits(2);
    assert!(
        run.out
            .starts_with("~ two/domain.xml\n~ two/vmbuild.sh\nOut of date: "),
        "{}",
        run.out
    );
    assert!(lab.tree() == before);
}

#[test]
fn diff_shows_what_would_change() {
    let lab = Lab::new(TWO);
    lab.generate(&[]);
    lab.put(
        "lab.yaml",
        TWO.replace("one: {}", "one: {vcpus: 2}")
            .replace("  two: {running: false}\n", ""),
    );
    let before = lab.tree();
    let run = lab.run(&["generate", "--diff"]).exits(0);
    let changed = "--- a/one/domain.xml
+++ b/one/domain.xml
@@ -3,7 +3,7 @@
   <uuid>910ac5b5-42c6-5601-910c-772f86ceb334</uuid>
   <memory unit='KiB'>1048576</memory>
   <currentMemory unit='KiB'>1048576</currentMemory>
-  <vcpu>1</vcpu>
+  <vcpu>2</vcpu>
   <os>
     <type arch='x86_64' machine='q35'>hvm</type>
   </os>
--- a/two/domain.xml
+++ /dev/null
";
    assert!(run.out.starts_with(changed), "{}", run.out);
    assert!(run.out.ends_with(
        "Out of date: 0 new, 1 changed, 4 unchanged, 2 removed in miniascape-workdir\n"
    ));
    assert!(lab.tree() == before);
    lab.run(&["generate", "--diff", "--check"]).exits(2);
    lab.generate(&[]);
    assert_eq!(
        lab.generate(&["--diff", "--check"]),
        "Up to date: 0 new, 0 changed, 5 unchanged, 0 removed in miniascape-workdir\n"
    );
}

#[test]
fn guests_can_be_compiled_alone() {
    let lab = Lab::new(TWO);
    assert_eq!(
        lab.generate(&["two"]),
        "+ two/domain.xml
+ two/vmbuild.sh
Generated: 2 new, 0 changed, 0 unchanged, 0 removed in miniascape-workdir
"
    );
    lab.generate(&["one"]);
    assert_eq!(lab.tree().len(), 5, "two guests' files and the manifest");
    lab.run(&["generate", "onee"])
        .fails(&["there is no guest `onee` in lab two", "did you mean `one`?"]);
}

#[test]
fn what_someone_changed_is_said() {
    let lab = Lab::new(TWO);
    lab.generate(&[]);
    for path in ["one/domain.xml", "two/domain.xml"] {
        let file = lab.path().join(WORKDIR).join(path);
        fs::write(file, "mine").unwrap();
    }
    lab.put("lab.yaml", TWO.replace("  two: {running: false}\n", ""));
    assert_eq!(
        lab.generate(&[]),
        "~ one/domain.xml  was changed by hand
! two/domain.xml  stays: it was changed by hand, and is not generated any more
- two/vmbuild.sh
Generated: 0 new, 1 changed, 4 unchanged, 1 removed, 1 left in miniascape-workdir
"
    );
    assert_eq!(lab.read("two/domain.xml"), "mine");
    assert_ne!(lab.read("one/domain.xml"), "mine");
    lab.run(&["generate", "--check"]).exits(0);
}

#[test]
fn what_is_in_the_way_is_all_named_and_nothing_is_written() {
    let lab = Lab::new(TWO);
    lab.put("miniascape-workdir/one/domain.xml", "mine");
    lab.put("miniascape-workdir/two", "mine");
    lab.put("miniascape-workdir/three/notes", "mine");
    let before = lab.tree();
    lab.run(&["generate"]).fails(&[
        "miniascape-workdir: something is in the way, and nothing was written:",
        "one/domain.xml is there, and miniascape did not write it",
        "two is no directory",
        "name another directory with `-w`",
    ]);
    assert!(lab.tree() == before);
    lab.put(
        "miniascape-workdir/.miniascape-manifest.toml",
        "version = 1\nlab = 'other'\n",
    );
    lab.run(&["generate"])
        .fails(&["it holds the files of lab `other`, not of `two`"]);
    assert!(lab.read(MANIFEST).contains("other"));
}

#[test]
fn problems_of_all_guests_come_at_once() {
    let lab = Lab::new(
        "lab: bad
common: {templates: {t: {src: templates/t.j2, dst: t}}}
guests:
  one: {vars: {size: 1}}
  two: {templates: {t: {dst: domain.xml}}, vars: {size: 2}}
  three: {templates: {u: {src: templates/t.j2, dst: t/u}}, vars: {size: 3}}
  four: {}
",
    );
    lab.put(
        "templates/t.j2",
        "first\n{{ vars.size + 1 }} {{ gest.name }}\n",
    );
    lab.run(&["generate"]).fails(&[
        "lab.yaml:4:3",
        "t.j2:2: `gest` is not set",
        "`{{ vars.size + 1 }} {{ gest.name }}`",
        "guest.one",
        "did you mean `guest`?",
        "guest.four",
    ]);
    assert!(!lab.path().join(WORKDIR).exists());
    lab.put("templates/t.j2", "{{ vars.size }}\n");
    lab.put(
        "lab.yaml",
        fs::read_to_string(lab.path().join("lab.yaml"))
            .unwrap()
            .replace("four: {}", ""),
    );
    lab.run(&["generate"]).fails(&[
        "two files are written to two/domain.xml",
        "three/t is to be a file and a directory",
    ]);
}

#[test]
fn an_external_pool_that_is_nowhere_is_warned_of() {
    let definition = "lab: ext
pools: {p: {external: true}}
guests: {one: {disks: {root: {pool: p, size: 1GiB}}}}
";
    let lab = Lab::new(definition);
    let run = lab.run(&["generate"]).exits(0);
    assert!(
        run.err
            .contains("where the external pool `p` is, is not known here"),
        "{}",
        run.err
    );
    assert!(
        lab.read("one/domain.xml")
            .contains("<source pool='p' volume='one.root.qcow2'/>")
    );
    lab.put(
        "lab.yaml",
        definition.replace("external: true", "external: true, path: /pools/p"),
    );
    let run = lab.run(&["generate"]).exits(0);
    assert_eq!(run.err, "");
    assert!(
        lab.read("one/domain.xml")
            .contains("<source file='/pools/p/one.root.qcow2'/>")
    );
}

#[test]
fn an_install_that_halts_is_warned_of() {
    let lab = Lab::of("installs");
    let definition = fs::read_to_string(lab.path().join("lab.yaml")).unwrap();
    lab.put(
        "lab.yaml",
        definition.replace("common:\n", "common:\n  system: {finish: halt}\n"),
    );
    let run = lab.run(&["generate", "by-url"]).exits(0);
    assert!(
        run.err
            .contains("vmbuild.sh of guest.by-url does not see the end"),
        "{}",
        run.err
    );
}

#[test]
fn files_of_the_lab_are_found_from_elsewhere() {
    let lab = Lab::of("shop");
    let elsewhere = tempfile::tempdir().unwrap();
    let run = lab
        .run(&["generate", "-w", elsewhere.path().to_str().unwrap()])
        .exits(0);
    assert_eq!(
        run.err,
        format!(
            "note: scripts need files of the lab's: run them with LAB_DIR={}\n",
            lab.path().display()
        )
    );
}

#[test]
fn files_of_the_hosts_own_are_written_once_and_their_errors_are_named() {
    let lab = |files: &str| {
        let lab = Lab::new(&format!(
            "lab: shop\nnetworks: {{front: {{address: 10.1.0.1/24}}}}\nguests: {{web1: {{}}}}\nhost: {{hosts: true, {files}}}\n"
        ));
        lab.put(
            "names.j2",
            "{% for name in lab.guests %}{{ name }}{% endfor %}",
        );
        lab
    };
    let good = lab(
        "files: {a: {src: names.j2, dst: /srv/names, mode: 0600}}, templates: {b: {src: names.j2, dst: names}}",
    );
    good.generate(&[]);
    assert_eq!(good.read("host/srv/names"), "web1\n");
    assert_eq!(good.read("host/names"), "web1\n");
    let mode = |path: &str| {
        let path = good.path().join(WORKDIR).join(path);
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode("host/srv/names"), 0o600);
    assert_eq!(mode("host/names"), 0o644);
    assert!(good.read("host/setup.sh").contains("\n    srv/names\n"));
    // What template it is that is rendered on its own.
    let run = good.run(&["render", "names.j2"]).exits(0);
    assert_eq!(run.out, "web1");

    for (files, told) in [
        (
            "files: {a: {content: x, dst: /setup.sh}}",
            "two files are written to host/setup.sh",
        ),
        (
            "templates: {a: {src: names.j2, dst: hosts}}",
            "two files are written to host/hosts",
        ),
        (
            "templates: {a: {src: names.j2, dst: networks/front.xml}}",
            "two files are written to host/networks/front.xml",
        ),
        (
            "files: {a: {content: x, dst: /networks}}",
            "host/networks is to be a file and a directory",
        ),
        (
            "files: {a: {content: '{{ guest.name }}', dst: /a}}",
            "`guest` is not set: `{{ guest.name }}`, for host.files.a",
        ),
        (
            "templates: {a: {src: none.j2, dst: a}}",
            "there is no template `none.j2`, for host.templates.a",
        ),
    ] {
        let lab = lab(files);
        lab.run(&["generate"]).fails(&[told]);
        assert!(!lab.path().join(WORKDIR).join("host").exists(), "{files}");
    }
}
