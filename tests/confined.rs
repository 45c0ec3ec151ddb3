//! A lab that somebody else wrote reads nothing outside of its directory, by whatever way; the user can allow it more.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// What is in the file that is none of the lab's business.
const SECRET: &str = "root:s3cret";

/// Directories `lab` and `out` beside each other. `LAB` and `OUT` in texts are their paths; a text `-> PATH` is a link.
fn place(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    fs::create_dir_all(&out).unwrap();
    fs::write(out.join("secret"), SECRET).unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = text.replace("OUT", out.to_str().unwrap());
        match text.strip_prefix("-> ") {
            Some(target) => symlink(target, path).unwrap(),
            None => fs::write(path, text).unwrap(),
        }
    }
    dir
}

/// Runs the program in the lab's directory: its exit code, and all that it says.
fn run(dir: &TempDir, arguments: &[&str]) -> (i32, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_miniascape"))
        .current_dir(dir.path().join("lab"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = [out.stdout, out.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    (out.status.code().unwrap(), text)
}

const GUEST: &str = "lab: shop\npools: {p: {path: /p}}\ncommon: {memory: 4GiB, disks: {root: {pool: p, size: 9GiB}}}\n";

/// Each with the files that lead out, and whether the secret is text of the definition itself.
fn ways() -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let guest = |more: &str| {
        vec![(
            "lab/lab.yaml",
            format!("{GUEST}guests: {{g: {{{more}}}}}\n"),
        )]
    };
    let template = |text: &str| vec![("lab/lab.yaml.j2", format!("lab: shop\n# {text}\n"))];
    let beside = |mut files: Vec<(&'static str, String)>, path, text: &str| {
        files.push((path, text.to_owned()));
        files
    };
    vec![
        ("an include", template("{% include 'OUT/secret' %}")),
        (
            "an include by dots",
            template("{% include '../out/secret' %}"),
        ),
        (
            "an include that may be missing",
            template("{% include ['no', '../out/secret'] ignore missing %}"),
        ),
        ("a parent", template("{% extends '../out/secret' %}")),
        (
            "an import",
            template("{% import '../out/secret' as s %}{{ s }}"),
        ),
        (
            "an import of names",
            template("{% from '../out/secret' import s with context %}"),
        ),
        (
            "an included link",
            beside(
                template("{% include 'link' %}"),
                "lab/link",
                "-> ../out/secret",
            ),
        ),
        (
            "an included link to a directory",
            beside(
                template("{% include 'link/secret' %}"),
                "lab/link",
                "-> ../out",
            ),
        ),
        (
            "a definition that is a link",
            vec![("lab/lab.yaml", "-> ../out/secret".to_owned())],
        ),
        (
            "a layer that is a link",
            beside(guest(""), "lab/lab.d/a.yaml", "-> ../../out/secret"),
        ),
        (
            "settings that are a link",
            beside(guest(""), "lab/miniascape.toml", "-> ../out/secret"),
        ),
        (
            "settings with templates",
            beside(
                beside(guest(""), "lab/miniascape.toml", "templates = ['../out']"),
                "out/libvirt/domain.xml.j2",
                "<domain/>",
            ),
        ),
        (
            "templates that are a link",
            beside(
                beside(guest(""), "lab/templates", "-> ../out"),
                "out/libvirt/domain.xml.j2",
                SECRET,
            ),
        ),
        (
            "a template that is a link",
            beside(
                guest(""),
                "lab/templates/libvirt/domain.xml.j2",
                "-> ../../../out/secret",
            ),
        ),
        (
            "a template that includes",
            beside(
                guest(""),
                "lab/templates/libvirt/domain.xml.j2",
                "{% include 'OUT/secret' %}",
            ),
        ),
        (
            "a file",
            guest("cloud_init: true, files: {f: {src: OUT/secret, dst: /f}}"),
        ),
        (
            "a file by dots",
            guest("cloud_init: true, files: {f: {src: ../out/secret, dst: /f}}"),
        ),
        (
            "a text that includes",
            guest(
                "cloud_init: true, files: {f: {content: \"{% include 'OUT/secret' %}\", dst: /f}}",
            ),
        ),
        ("a seed", guest("cloud_init: {template: ../out/secret}")),
        (
            "answers",
            guest(
                "install: {os: debian-12, location: 'http://d.test/debian', template: OUT/secret}, interfaces: {eth0: {user: true}}",
            ),
        ),
    ]
}

#[test]
fn nothing_outside_of_the_labs_directory_is_read() {
    for (way, files) in ways() {
        let files: Vec<_> = files
            .iter()
            .map(|(name, text)| (*name, text.as_str()))
            .collect();
        let dir = place(&files);
        for arguments in [
            &["validate"][..],
            &["generate", "-w", "work"],
            &["plan", "-c", "test:///default"],
        ] {
            let (code, text) = run(&dir, arguments);
            assert_eq!(code, 1, "{way}: {arguments:?}: {text}");
            assert!(!text.contains("s3cret"), "{way}: {arguments:?}: {text}");
            assert!(
                text.contains("outside of the lab's directory"),
                "{way}: {text}"
            );
            let mends = text.contains("--include-path") || text.contains("--templates");
            assert!(mends, "{way}: {text}");
        }
        // What the user allows is read, and may well make no sense.
        let (_, text) = run(&dir, &["validate", "--include-path", "../out"]);
        assert!(
            !text.contains("outside of the lab's directory"),
            "{way}: {text}"
        );
    }
}

#[test]
fn templates_of_a_guest_are_the_labs() {
    let lab = format!("{GUEST}guests: {{g: {{templates: {{t: {{src: OUT/secret, dst: t}}}}}}}}\n");
    let dir = place(&[("lab/lab.yaml", &lab)]);
    let (code, text) = run(&dir, &["generate", "-w", "work"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("outside of the lab's directory"), "{text}");
    let (code, text) = run(
        &dir,
        &["generate", "-w", "work", "--include-path", "../out"],
    );
    assert_eq!(code, 0, "{text}");
    let work = dir.path().join("lab/work/g/t");
    assert_eq!(fs::read_to_string(work).unwrap().trim(), SECRET);
}

#[test]
fn what_the_user_names_is_read_and_what_lies_beside_it() {
    let dir = place(&[
        ("out/lab.yaml.j2", "{% include 'parts/p.j2' %}"),
        ("out/parts/p.j2", "lab: {{ name }}\n"),
        (
            "out/t/libvirt/pool.xml.j2",
            "{% include 'OUT/t/inner.j2' %}",
        ),
        (
            "out/t/inner.j2",
            "<pool type='dir'><name>{{ pool.name }}</name><target><path>/p</path></target></pool>",
        ),
        ("out/motd.j2", "{% include 'parts/p.j2' %}"),
        ("lab/lab.yaml", GUEST),
        ("lab/link.yaml", "-> ../out/secret"),
    ]);
    for named in [
        "../out/lab.yaml.j2",
        "../out",
        "../out/*.yaml.j2",
        "../o*/lab.yaml.j2",
    ] {
        let (code, text) = run(&dir, &["validate", "-C", named, "--var", "name=shop"]);
        assert_eq!(code, 0, "{named}: {text}");
    }
    let (code, text) = run(&dir, &["validate", "-t", "../out/t"]);
    assert_eq!(code, 0, "{text}");
    let values = ["--context-file", "../out/values.yaml"];
    fs::write(dir.path().join("out/values.yaml"), "name: shop\n").unwrap();
    let (code, text) = run(&dir, &[&["render", "../out/motd.j2"][..], &values].concat());
    assert_eq!((code, text.as_str()), (0, "lab: shop"));
    // A link in the lab is the lab's, whoever names it.
    let (code, text) = run(&dir, &["validate", "-C", "link.yaml"]);
    assert!(code == 1 && !text.contains("s3cret"), "{text}");
}

#[test]
fn only_regular_files_of_a_sane_size_are_read() {
    for name in [
        "lab.yaml",
        "lab.d/a.yaml",
        "miniascape.toml",
        "templates/libvirt/domain.xml.j2",
        "f",
    ] {
        let lab = format!(
            "{GUEST}guests: {{g: {{cloud_init: true, files: {{f: {{src: f, dst: /f}}}}}}}}\n"
        );
        let dir = place(&[("lab/lab.yaml", &lab), ("lab/f", "x")]);
        let path = dir.path().join("lab").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = fs::File::create(&path).unwrap();
        file.set_len(1 << 40).unwrap();
        let (code, text) = run(&dir, &["validate"]);
        assert!(
            code == 1 && text.contains("it is larger than 16 MiB"),
            "{name}: {text}"
        );
        fs::remove_file(&path).unwrap();
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let (_, text) = run(&dir, &["validate"]);
        assert!(!text.contains("panic"), "{name}: {text}");
    }
}
