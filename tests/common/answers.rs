//! Labs whose guests go through every setting of a system, for the tests of answer files.
//!
//! [`settings`] lists what each key can be. A guest of a table has one value of some keys: alone, in all pairs, in a product.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use miniascape::desired::answers;
use miniascape::desired::contexts::Contexts;
use miniascape::file::confined::Confined;
use miniascape::install::os::Os;
use miniascape::lab::{self, Source};
use miniascape::template::Templates;
use miniascape::view::Color;
use miniascape::view::diagnostic::render;
use serde_json::{Value, json};

use super::golden;

/// A hash of the kind that `openssl passwd -6` makes.
pub const HASH: &str = "$6$Zq0dXvO2b1$8h3TbD2yQ6rJcYkM1nE5sLw9xGfPzA7uVtRiNoBqC4e";

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGk0ZCI6IkxvcmVtIGlwc3VtIGRvbG9y ada #1@home";

/// What one key of a guest can be: names and values, which are merged over the plain guest.
pub struct Setting {
    pub key: &'static str,
    pub values: Vec<(&'static str, Value)>,
}

/// A guest of a table.
pub struct Case {
    pub name: String,
    pub guest: Value,
}

/// The answers of one guest.
pub struct Answers {
    pub name: String,
    pub os: Os,
    /// The guest as templates see it.
    pub guest: Value,
    pub unattended: answers::Answers,
}

/// Every setting with every value. `storage` is a layout in the installer's own words.
pub fn settings(storage: &str) -> Vec<Setting> {
    let system = |key: &'static str, values: Vec<(&'static str, Value)>| Setting {
        key,
        values: values
            .into_iter()
            .map(|(name, value)| (name, json!({"system": {key: value}})))
            .collect(),
    };
    let ada = json!({"gecos": "Ada O'Hara", "uid": 1500, "shell": "/bin/bash", "password": HASH,
        "groups": ["wheel", "lab", "users"], "ssh_keys": [KEY, "ssh-rsa AAAAB3NzaC1yc2E= b"], "sudo": true});
    let bob =
        json!({"groups": ["lab"], "sudo": "ALL=(ALL) /usr/bin/systemctl restart *, !/bin/sh"});
    let repository = json!({"url": "https://repo.test/extra/$releasever/#x", "key": "https://repo.test/key.asc"});
    vec![
        system("lang", vec![("german", json!("de_DE.UTF-8"))]),
        system(
            "keyboard",
            vec![
                ("layout", json!("de")),
                ("variant", json!({"layout": "de", "variant": "nodeadkeys"})),
            ],
        ),
        system("timezone", vec![("zone", json!("Europe/Berlin"))]),
        system(
            "ntp",
            vec![
                ("one", json!("ntp.test")),
                ("two", json!(["ntp1.test", "192.0.2.123"])),
            ],
        ),
        system(
            "root",
            vec![
                ("password", json!({"password": HASH})),
                ("keys", json!({"ssh_keys": KEY})),
                (
                    "both",
                    json!({"password": HASH, "ssh_keys": [KEY, "ecdsa-sha2-nistp256 AAAAE2Vj"]}),
                ),
            ],
        ),
        system(
            "users",
            vec![
                ("plain", json!({"bob": {}})),
                ("full", json!({"ada": ada})),
                ("two", json!({"bob": bob, "ada": ada})),
            ],
        ),
        system(
            "packages",
            vec![
                ("add", json!(["vim-enhanced", "gcc-c++", "tmux"])),
                ("group", json!({"add": ["@development", "git"]})),
                (
                    "remove",
                    json!({"add": ["git"], "remove": ["plymouth", "nano"]}),
                ),
            ],
        ),
        system(
            "services",
            vec![
                ("enable", json!({"enable": ["chronyd", "getty@tty2"]})),
                ("disable", json!({"disable": "postfix"})),
                (
                    "both",
                    json!({"enable": "chronyd", "disable": ["postfix", "cups"]}),
                ),
            ],
        ),
        system(
            "firewall",
            vec![
                ("on", json!(true)),
                ("off", json!(false)),
                (
                    "open",
                    json!({"services": ["ssh", "http"], "ports": ["8080", "53/udp"]}),
                ),
            ],
        ),
        system(
            "selinux",
            vec![
                ("enforcing", json!("enforcing")),
                ("permissive", json!("permissive")),
                ("disabled", json!("disabled")),
            ],
        ),
        system(
            "storage",
            vec![
                ("auto", json!("auto")),
                ("lvm", json!("lvm")),
                ("custom", json!({"custom": storage})),
            ],
        ),
        system(
            "repositories",
            vec![
                ("key", json!({"extra_1": repository})),
                (
                    "two",
                    json!({"extra": repository, "plain": {"url": "http://192.0.2.9/r?a=b&c=%3Cd%3E"}}),
                ),
            ],
        ),
        system("proxy", vec![("proxy", json!("http://proxy.test:3128/"))]),
        network(),
        system(
            "scripts",
            vec![
                ("pre", json!({"pre": "echo before\n"})),
                (
                    "post",
                    json!({"post": ["#!/bin/bash\nset -eu\necho 'a & b' \"<c>\"\n", "echo ']]>'"]}),
                ),
                (
                    "end",
                    json!({"pre": "cat <<END\nEND_\nEND\n", "post": "cat <<'END'\nx\nEND\n"}),
                ),
                (
                    "percent",
                    json!({"pre": "cat <<EOF\n%end\nEOF\n", "post": "printf '%s\\n' \\\n %include \\\n%post\n"}),
                ),
                (
                    "words",
                    json!({"post": "#!/usr/bin/env bash\necho \"$0\"\n"}),
                ),
            ],
        ),
        system("kdump", vec![("on", json!(true)), ("off", json!(false))]),
        system("serial_console", vec![("off", json!(false))]),
        system(
            "finish",
            vec![
                ("reboot", json!("reboot")),
                ("poweroff", json!("poweroff")),
                ("halt", json!("halt")),
            ],
        ),
        Setting {
            key: "files",
            values: vec![
                (
                    "one",
                    json!({"files": {"motd": {"content": "Hello {{ guest.fqdn }}\n", "dst": "/etc/motd"}}}),
                ),
                (
                    "odd",
                    json!({"files": {
                        "key": {"content": "secret", "dst": "/srv/a b/c", "mode": "0600", "owner": "root:lab"},
                        "empty": {"content": "", "dst": "/etc/empty"},
                    }}),
                ),
            ],
        },
        Setting {
            key: "disks",
            values: vec![
                (
                    "scsi",
                    json!({"disks": {"cd": {"device": "cdrom", "path": "/srv/x.iso", "bus": "sata"},
                    "root": {"bus": "scsi"}}}),
                ),
                (
                    "second",
                    json!({"disks": {"data": {"pool": "p", "size": "1GiB"}}}),
                ),
            ],
        },
        Setting {
            key: "location",
            values: vec![
                (
                    "iso",
                    json!({"install": {"location": "/srv/isos/some.iso"}}),
                ),
                (
                    "kernel",
                    json!({"install": {"location": {"kernel": "/srv/vmlinuz", "initrd": "/srv/initrd"},
                    "url": "http://192.0.2.2/tree"}}),
                ),
                (
                    "offline",
                    json!({"install": {"location": "/srv/isos/some.iso"}, "interfaces": null}),
                ),
                (
                    "other",
                    json!({"install": {"url": "https://mirror.test/it&s#1"}}),
                ),
            ],
        },
    ]
}

/// Networks of the lab: `front` has IPv4, `dual` both, `six` IPv6, `quiet` no address.
fn network() -> Setting {
    let nics =
        |system: Value, nics: Value| json!({"system": {"network": system}, "interfaces": nics});
    Setting {
        key: "network",
        values: vec![
            (
                "dhcp",
                nics(json!("dhcp"), json!({"eth0": {"network": "dual"}})),
            ),
            (
                "static",
                nics(
                    json!("static"),
                    json!({"eth0": {"network": "front", "ip": "10.0.0.IP", "mtu": 1400}}),
                ),
            ),
            (
                "dual",
                nics(
                    json!({"method": "static", "nameservers": ["9.9.9.9", "2620:fe::fe"]}),
                    json!({"eth0": {"network": "dual", "ip": ["10.1.0.IP", "fd00::IP"]}}),
                ),
            ),
            (
                "six",
                nics(
                    json!("static"),
                    json!({"eth0": {"network": "six", "ip": "fd01::IP"}}),
                ),
            ),
            (
                "several",
                nics(
                    json!({"method": "static", "prefix": 16, "gateway": "172.16.0.1"}),
                    json!({"eth0": {"network": null, "bridge": "br0", "ip": "172.16.0.IP"},
                    "eth1": {"network": "front"}, "eth2": {"network": "quiet"}}),
                ),
            ),
        ],
    }
}

/// Every value alone, and the plain guest.
pub fn alone(settings: &[Setting]) -> Vec<Case> {
    let plain = Case {
        name: "plain".into(),
        guest: json!({}),
    };
    let values = settings.iter().flat_map(|setting| {
        setting.values.iter().map(|(name, value)| Case {
            name: format!("{}-{name}", setting.key).replace('_', "-"),
            guest: value.clone(),
        })
    });
    std::iter::once(plain).chain(values).collect()
}

/// Every combination of the values of some settings.
pub fn product(settings: &[Setting], keys: &[&str]) -> Vec<Case> {
    let chosen = settings
        .iter()
        .filter(|setting| keys.contains(&setting.key));
    let mut cases = vec![Case {
        name: "product".into(),
        guest: json!({}),
    }];
    for setting in chosen {
        cases = cases
            .iter()
            .flat_map(|case| {
                setting.values.iter().map(|(name, value)| {
                    let mut guest = case.guest.clone();
                    merge(&mut guest, value);
                    Case {
                        name: format!("{}-{name}", case.name),
                        guest,
                    }
                })
            })
            .collect();
    }
    cases
}

/// Guests with a value of every setting, such that each two values of two settings are together in one of them.
pub fn pairs(settings: &[Setting]) -> Vec<Case> {
    let mut left: BTreeSet<[(usize, usize); 2]> = BTreeSet::new();
    for (i, one) in settings.iter().enumerate() {
        for (j, other) in settings.iter().enumerate().skip(i + 1) {
            for a in 0..one.values.len() {
                left.extend((0..other.values.len()).map(|b| [(i, a), (j, b)]));
            }
        }
    }
    let mut cases = Vec::new();
    while let Some(seed) = left.first().copied() {
        let mut row: Vec<Option<usize>> = vec![None; settings.len()];
        seed.iter()
            .for_each(|(key, value)| row[*key] = Some(*value));
        for key in 0..settings.len() {
            if row[key].is_some() {
                continue;
            }
            // The value that brings the most pairs which no guest has yet.
            row[key] = (0..settings[key].values.len()).max_by_key(|value| {
                let news = row.iter().enumerate().filter(|(other, chosen)| {
                    let mut pair = [(key, *value), (*other, chosen.unwrap_or(usize::MAX))];
                    pair.sort();
                    left.contains(&pair)
                });
                (news.count(), usize::MAX - value)
            });
        }
        let row: Vec<usize> = row.into_iter().map(Option::unwrap).collect();
        left.retain(|pair| !pair.iter().all(|(key, value)| row[*key] == *value));
        let mut guest = json!({});
        for (setting, value) in settings.iter().zip(&row) {
            merge(&mut guest, &setting.values[*value].1);
        }
        cases.push(Case {
            name: format!("pairs-{:03}", cases.len()),
            guest,
        });
    }
    cases
}

/// The answers of every guest of a table that is installed with an operating system.
pub fn answers(os: &str, cases: &[Case]) -> Vec<Answers> {
    let dir = tempfile::tempdir().unwrap();
    let mut guests = serde_json::Map::new();
    for (index, case) in cases.iter().enumerate() {
        let mut guest = json!({
            "memory": "2GiB",
            "disks": {"root": {"pool": "p", "size": "10GiB"}},
            "interfaces": {"eth0": {"network": "front"}},
            "install": {"os": os, "location": "http://192.0.2.1/tree/"},
        });
        merge(&mut guest, &case.guest);
        let text = guest.to_string();
        // An address of its own, in both families: 10.0.0.0/16 is the host's.
        let text = text.replace(
            ".0.IP",
            &format!(".{}.{}", 1 + index / 200, 1 + index % 200),
        );
        let text = text.replace("::IP", &format!("::{:x}", 16 + index));
        guests.insert(case.name.clone(), serde_json::from_str(&text).unwrap());
    }
    let definition = json!({
        "lab": "table",
        "pools": {"p": {"path": "/srv/p"}},
        "networks": {
            "front": {"mode": "nat", "address": "10.0.0.1/16", "domain": "front.test", "dhcp": {"start": "10.0.250.1", "end": "10.0.250.9"}},
            "dual": {"mode": "nat", "address": ["10.1.0.1/16", "fd00::1/64"], "domain": "dual.test"},
            "six": {"mode": "route", "address": "fd01::1/64"},
            "quiet": {"mode": "isolated"},
        },
        "guests": guests,
    });
    std::fs::write(dir.path().join("lab.yaml"), definition.to_string()).unwrap();
    install(dir.path())
}

/// The answers of all guests of a lab that are installed.
pub fn install(dir: &Path) -> Vec<Answers> {
    let definition = lab::read(&Source {
        dir: dir.to_owned(),
        config: Vec::new(),
        vars: serde_json::Map::new(),
        system_dir: dir.join("etc"),
        confined: Confined::default(),
    });
    let complain = |problems| render(problems, &definition.sources, Color::Never);
    let lab = definition
        .lab
        .as_ref()
        .unwrap_or_else(|| panic!("{}", complain(&definition.diagnostics)));
    let contexts = Contexts::new(lab);
    let templates = Templates::new(Vec::new());
    let answers = lab.guests.values().filter_map(|guest| {
        let unattended = answers::of(&contexts, &templates, guest)
            .unwrap_or_else(|problem| panic!("{}: {problem:?}", guest.key));
        unattended.map(|unattended| Answers {
            name: guest.key.to_string(),
            os: guest.install.as_ref().unwrap().os.clone(),
            guest: serde_json::to_value(guest).unwrap(),
            unattended,
        })
    });
    answers.collect()
}

/// The answers of the guests of all examples, those whose main file has this name.
pub fn examples(file: &str) -> Vec<Answers> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut directories: Vec<_> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    directories.sort();
    // The others may need an image, which is not in the repository.
    directories.retain(|directory| {
        let text = std::fs::read_to_string(directory.join("lab.yaml"));
        text.is_ok_and(|text| text.contains("install:"))
    });
    assert_eq!(directories.len(), 4, "{directories:?}");
    directories
        .iter()
        .flat_map(|directory| install(directory))
        .filter(|answers| answers.unattended.files[0].name == file)
        .collect()
}

/// Compares the answers of a case's lab with the files beside it. The main file of each guest is called `file`.
pub fn golden(case: &str, file: &str) {
    let all = install(&golden::case(case));
    let made = all.into_iter().map(|mut answers| {
        let answer = answers.unattended.files.remove(0);
        assert_eq!(answer.name, file);
        (format!("{}.{file}", answers.name), answer.text)
    });
    golden::compare(case, &made.collect());
}

/// Runs a command that has to succeed, and gives what it prints.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    out
}

/// Merges maps deeply; everything else replaces, `null` removes.
fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                if value.is_null() {
                    base.remove(key);
                } else {
                    merge(base.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
        }
        (base, over) => *base = over.clone(),
    }
}
