//! Definitions with guests that differ in how they are set up: every value of every key by itself, and rows in which each
//! two values of two keys meet.

use std::collections::BTreeSet;
use std::fs;

use miniascape::desired::answers::{self, AnswerFile};
use miniascape::desired::contexts::Contexts;
use miniascape::diagnostic::Diagnostic;
use miniascape::file::confined::Confined;
use miniascape::lab::model::{Guest, Lab};
use miniascape::lab::{self, Definition, Source};
use miniascape::template::Templates;
use miniascape::view::Color;
use miniascape::view::diagnostic::render;
use serde_json::{Map, Value, json};

use super::golden;

/// A hash as `openssl passwd -6` prints it.
const HASH: &str = "$6$rounds=5000$saltsalt$Dr9FQ3l8sJ./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJf1nS0m3KeyThatIsOnlyForTests0000000000 ada@home";

/// What breaks out where quoting is wrong.
const NASTY: &str = "#!/bin/sh\n# it's \"quoted\": ünïcode, $HOME, `id`, \\n, 100 %\n\ncat <<EOF\n  - key: [a, {b}]\nEOF\nEOF_\n\ttab # end\n";

/// The keys of a guest that say how it is set up, each with values it can take.
fn keys() -> Vec<(&'static str, Vec<Value>)> {
    let nasty = NASTY.trim_end();
    vec![
        ("system.lang", vec![json!("de_DE.UTF-8"), json!("C.UTF-8")]),
        (
            "system.keyboard",
            vec![
                json!("gb"),
                json!({"layout": "de", "variant": "nodeadkeys"}),
            ],
        ),
        ("system.timezone", vec![json!("Europe/Berlin")]),
        (
            "system.ntp",
            vec![
                json!("ntp.shop.test"),
                json!(["192.168.155.5", "pool.ntp.org"]),
            ],
        ),
        (
            "system.root",
            vec![
                json!({"password": HASH}),
                json!({"ssh_keys": [KEY]}),
                json!({"password": HASH, "ssh_keys": [KEY, KEY]}),
            ],
        ),
        (
            "system.users",
            vec![
                json!({"ada": {}}),
                json!({
                    "ada": {"gecos": "Ada O'Lovelace & Söhne", "uid": 1200, "shell": "/bin/sh", "password": HASH,
                            "groups": ["sudo", "docker"], "ssh_keys": [KEY], "sudo": true},
                    "bob": {"sudo": "ALL=(postgres) /usr/bin/psql"},
                }),
            ],
        ),
        (
            "system.packages",
            vec![
                json!(["vim", "git"]),
                json!({"add": ["@web-server", "@standard", "chrony"], "remove": ["nano", "vim-tiny"]}),
                json!({"add": ["vim", "nowhere"], "remove": ["linux-headers-*", "lib[!a-c]?"], "missing": "ignore"}),
            ],
        ),
        (
            "system.services",
            vec![json!({"enable": ["ssh", "getty@tty2"], "disable": ["cron"]})],
        ),
        (
            "system.firewall",
            vec![
                json!(true),
                json!(false),
                json!({"services": ["ssh", "http"], "ports": [8080, "53/udp"]}),
            ],
        ),
        (
            "system.selinux",
            vec![json!("enforcing"), json!("permissive"), json!("disabled")],
        ),
        ("system.storage", vec![json!("lvm")]),
        (
            "system.repositories",
            vec![
                json!({"shop": {"url": "https://repo.shop.test/debian", "suite": "stable", "components": ["main", "extra"],
                                "key": "https://repo.shop.test/key.asc"}}),
                json!({"flat": {"url": "http://repo.shop.test/flat", "suite": "./"},
                       "shop": {"url": "http://repo.shop.test/a", "suite": "a", "key": "http://repo.shop.test/key.gpg"}}),
            ],
        ),
        ("system.proxy", vec![json!("http://proxy.shop.test:3128/")]),
        (
            "system.network",
            vec![
                json!("static"),
                json!({"method": "static", "nameservers": ["9.9.9.9", "2620:fe::fe"]}),
            ],
        ),
        (
            "system.scripts",
            vec![
                json!({"pre": "echo pre\n"}),
                json!({"post": "echo post\n"}),
                json!({"pre": [nasty, NASTY], "post": [NASTY, nasty, "\ttrue\n\n", "printf 'a\\rb\u{7f}\u{2028}'"]}),
            ],
        ),
        ("system.kdump", vec![json!(true), json!(false)]),
        ("system.serial_console", vec![json!(false)]),
        ("system.finish", vec![json!("poweroff"), json!("halt")]),
        (
            "interfaces",
            vec![
                json!({}),
                json!({"eth0": {"network": "dual", "ip": ["10.1.0.ROW", "fd00:1::ROW"]}}),
                json!({"lan": {"network": "front", "ip": "192.168.155.ROW"}, "six": {"network": "six"},
                       "quiet": {"network": "quiet"}, "b_r": {"bridge": "br0", "mtu": 9000}}),
            ],
        ),
        (
            "disks",
            vec![
                json!({"root": {"path": "/dev/vg/it", "bus": "sata"}}),
                json!({"cd": {"device": "cdrom", "path": "/srv/a.iso"}, "root": {"path": "/dev/vg/it"}}),
            ],
        ),
        (
            "files",
            vec![
                json!({"motd": {"content": "Welcome to {{ guest.fqdn }}: it's \"yours\"\n", "dst": "/etc/motd"}}),
                json!({
                    "end": {"content": "no line break", "dst": "/srv/a b/end", "mode": "0600", "owner": "ada:ada"},
                    "odd": {"content": " EOF\nEOF\n\r\t\u{1}\u{7f}\u{85}\u{2028}\n\n", "dst": "/srv/odd"},
                    "text": {"content": NASTY, "dst": "/usr/local/bin/text", "mode": "755", "owner": "ada"},
                }),
            ],
        ),
    ]
}

/// Which value each key takes; 0 is none.
type Row = Vec<usize>;

/// Nothing, each value by itself, and rows so that each two values meet. The same rows every time.
fn rows(counts: &[usize]) -> Vec<Row> {
    let none: Row = vec![0; counts.len()];
    let mut rows = vec![none.clone()];
    let mut missing: BTreeSet<(usize, usize, usize, usize)> = BTreeSet::new();
    for (key, count) in counts.iter().enumerate() {
        for value in 1..=*count {
            let mut row = none.clone();
            row[key] = value;
            rows.push(row);
            for (other, others) in counts.iter().enumerate().skip(key + 1) {
                missing.extend((1..=*others).map(|with| (key, value, other, with)));
            }
        }
    }
    while let Some(&(key, value, other, with)) = missing.first() {
        let mut row = none.clone();
        (row[key], row[other]) = (value, with);
        for next in (0..counts.len()).filter(|next| *next != key && *next != other) {
            // The value that meets most of what has not been met.
            let gain = |value: usize| {
                let meets = |(at, with): (usize, &usize)| {
                    let pair = if at < next {
                        (at, *with, next, value)
                    } else {
                        (next, value, at, *with)
                    };
                    *with > 0 && missing.contains(&pair)
                };
                row.iter()
                    .enumerate()
                    .filter(|(at, with)| meets((*at, with)))
                    .count()
            };
            row[next] = (1..=counts[next])
                .max_by_key(|value| (gain(*value), usize::MAX - value))
                .unwrap_or(0);
        }
        missing.retain(|(a, x, b, y)| row[*a] != *x || row[*b] != *y);
        rows.push(row);
    }
    rows
}

fn put(guest: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            guest.insert(path.to_owned(), value);
        }
        Some((section, key)) => {
            let section = guest.entry(section).or_insert_with(|| json!({}));
            section
                .as_object_mut()
                .unwrap()
                .insert(key.to_owned(), value);
        }
    }
}

/// A lab with one guest for each row; `more` is in all of them.
fn definition(more: &Value) -> Value {
    let keys = keys();
    let counts: Vec<usize> = keys.iter().map(|(_, values)| values.len()).collect();
    let mut guests = Map::new();
    for (number, row) in rows(&counts).iter().enumerate() {
        let mut guest = json!({
            "interfaces": {"eth0": {"network": "front", "ip": "192.168.155.ROW"}},
            "disks": {"root": {"path": "/dev/vg/it"}},
        });
        let guest = guest.as_object_mut().unwrap();
        for ((path, values), value) in keys.iter().zip(row) {
            if let Some(index) = value.checked_sub(1) {
                put(guest, path, values[index].clone());
            }
        }
        for (key, value) in more.as_object().unwrap() {
            put(guest, key, value.clone());
        }
        let text = Value::Object(guest.clone())
            .to_string()
            .replace("ROW", &(number + 2).to_string());
        guests.insert(
            format!("row-{number:03}"),
            serde_json::from_str(&text).unwrap(),
        );
    }
    json!({
        "lab": "rows",
        "networks": {
            "front": {"address": "192.168.155.1/24", "domain": "shop.test", "dhcp": {"start": "192.168.155.250", "end": "192.168.155.254"}},
            "dual": {"address": ["10.1.0.1/24", "fd00:1::1/64"], "mode": "route", "mtu": 9000, "domain": "dual.test", "dhcp": true},
            "six": {"address": "fd00:6::1/64", "mode": "isolated"},
            "quiet": {"mode": "isolated"},
        },
        "pools": {"isos": {"external": true}},
        "guests": guests,
    })
}

/// Resolves a definition; a problem in it is a mistake in the test.
pub fn resolve(text: &str) -> Lab {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("lab.yaml"), text).unwrap();
    let Definition {
        lab,
        sources,
        diagnostics,
    } = lab::read(&Source {
        dir: directory.path().to_owned(),
        config: Vec::new(),
        vars: Map::new(),
        system_dir: "/nowhere".into(),
        confined: Confined::default(),
    });
    let problems = render(&diagnostics, &sources, Color::Never);
    lab.filter(|_| !diagnostics.has_errors())
        .unwrap_or_else(|| panic!("{problems}"))
}

/// The published examples with guests that are installed, or set up by cloud-init.
pub fn examples() -> Vec<Lab> {
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("image.raw");
    fs::write(&image, [0; 512]).unwrap();
    let mut vars = Map::new();
    vars.insert("image".to_owned(), json!(image));
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let names = ["cloud-init", "install-debian", "install-ubuntu"];
    let labs = names.map(|name| {
        let definition = lab::read(&Source {
            dir: root.join(name),
            config: Vec::new(),
            vars: vars.clone(),
            system_dir: "/nowhere".into(),
            confined: Confined::default(),
        });
        definition.lab.unwrap_or_else(|| panic!("{name}"))
    });
    labs.into()
}

/// The lab of all rows, with `more` in each guest.
pub fn lab(more: &Value) -> Lab {
    let mut definition = definition(more);
    let guests = definition["guests"].as_object_mut();
    for guest in guests.into_iter().flat_map(|guests| guests.values_mut()) {
        let offline = guest["interfaces"].as_object().is_some_and(Map::is_empty);
        // Without a NIC the packages come from a CD.
        if offline && guest["install"].is_object() {
            guest["install"]["location"] = json!("/srv/installer.iso");
        }
    }
    let mut text = format!("{definition:#}");
    // Autoinstall knows tasks by the name that apt gives them.
    let os = more["install"]["os"].as_str().unwrap_or_default();
    if os.starts_with("ubuntu-2") || os.starts_with("ubuntu2") {
        for task in ["web-server", "standard"] {
            text = text.replace(&format!("@{task}"), &format!("{task}^"));
        }
    }
    resolve(&text)
}

/// The answer files of every guest: of its install, else of its seed.
pub fn answers(lab: &Lab) -> Vec<(String, Vec<AnswerFile>)> {
    let contexts = Contexts::new(lab);
    let templates = Templates::new(Vec::new());
    let render_one = |guest: &Guest| -> Result<_, Diagnostic> {
        let answers = answers::of(&contexts, &templates, guest)?;
        let says_so = answers.as_ref().is_some_and(|it| it.done.is_some());
        let key = &guest.key;
        assert_eq!(
            says_so,
            guest.install.is_some(),
            "{key} says when it is done"
        );
        Ok(answers.map_or_else(Vec::new, |answers| answers.files))
    };
    let name = |guest: &Guest| guest.key.to_string();
    lab.guests
        .values()
        .map(|guest| match render_one(guest) {
            Ok(files) => (name(guest), files),
            Err(problem) => panic!("{}: {problem:?}", guest.key),
        })
        .collect()
}

/// Compares all answers of a case's lab with the files beside it.
pub fn golden(case: &str) {
    let lab = resolve(&fs::read_to_string(golden::case(case).join("lab.yaml")).unwrap());
    let all = answers(&lab).into_iter();
    let made = all.flat_map(|(guest, files)| {
        let named = move |file: AnswerFile| (format!("{guest}.{}", file.name), file.text);
        files.into_iter().map(named)
    });
    golden::compare(case, &made.collect());
}
