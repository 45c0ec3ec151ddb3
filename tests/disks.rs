//! Every installer is told the disk by the name that the guest's kernel gives it, whatever libvirt calls it.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use miniascape::desired::answers;
use miniascape::desired::contexts::Contexts;
use miniascape::file::confined::Confined;
use miniascape::lab::{self, Source};
use miniascape::template::Templates;
use serde_json::{Value, json};

/// The answers of each installer for a guest with these disks, of which it takes the first that can be written.
fn answers(disks: &Value) -> Vec<(String, String)> {
    let guests: serde_json::Map<String, Value> =
        ["fedora-42", "debian-12", "ubuntu-24.04", "opensuse15.6"]
            .into_iter()
            .map(|os| {
                let guest = json!({"install": {"os": os, "location": "/srv/some.iso"}});
                (os.to_owned(), guest)
            })
            .collect();
    let lab = json!({
        "lab": "shop",
        "pools": {"p": {"path": "/p"}},
        "common": {
            "memory": "4GiB", "disks": disks, "interfaces": {"eth0": {"user": true}},
            "system": {"root": {"ssh_keys": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGRvbid0IHVzZSB0aGlzIGtleSBhbnl3aGVyZSE a@b"}},
        },
        "guests": guests,
    });
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("lab.yaml"), lab.to_string()).unwrap();
    let definition = lab::read(&Source {
        dir: dir.path().to_owned(),
        config: Vec::new(),
        vars: serde_json::Map::new(),
        system_dir: "/nowhere".into(),
        confined: Confined::default(),
    });
    let lab = definition
        .lab
        .unwrap_or_else(|| panic!("{:?}", definition.diagnostics));
    let (contexts, templates) = (Contexts::new(&lab), Templates::new(Vec::new()));
    let answers = lab.guests.values().map(|guest| {
        let install = answers::of(&contexts, &templates, guest).unwrap();
        (
            guest.key.to_string(),
            install.unwrap().files[0].text.clone(),
        )
    });
    answers.collect()
}

#[test]
fn the_disk_is_named_as_the_kernel_names_it() {
    let size = |more: Value| {
        let mut disk = json!({"pool": "p", "size": "9GiB"});
        disk.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        disk
    };
    let many: serde_json::Map<String, Value> = (0..30)
        .map(|n| (format!("d{n:02}"), size(json!({"readonly": n < 28}))))
        .collect();
    for (disks, name) in [
        (json!({"b": size(json!({}))}), "vda"),
        (json!({"b": size(json!({"dev": "vdb"}))}), "vda"),
        (json!({"b": size(json!({"dev": "vdzz"}))}), "vda"),
        (
            json!({"b": size(json!({"dev": "sdc", "bus": "sata"}))}),
            "sda",
        ),
        (
            json!({"b": size(json!({"dev": "sdc", "bus": "scsi"}))}),
            "sda",
        ),
        (
            json!({"b": size(json!({"dev": "hdb", "bus": "ide"}))}),
            "sda",
        ),
        (
            json!({"b": size(json!({"dev": "vdc"})), "c": size(json!({"dev": "vdb"}))}),
            "vdb",
        ),
        (
            json!({"b": size(json!({"dev": "vdaa"})), "c": size(json!({"dev": "vdz"}))}),
            "vdb",
        ),
        (
            json!({"b": size(json!({})), "c": size(json!({"dev": "vda"}))}),
            "vdb",
        ),
        (
            json!({"b": size(json!({"dev": "vdb"})), "a": size(json!({"dev": "vda", "readonly": true}))}),
            "vdb",
        ),
        (
            json!({"a": size(json!({"readonly": true})), "b": size(json!({}))}),
            "vdb",
        ),
        (
            json!({"a": {"device": "cdrom"}, "b": size(json!({"bus": "sata"}))}),
            "sda",
        ),
        (
            json!({"b": size(json!({"bus": "scsi"})), "c": size(json!({"bus": "sata"}))}),
            "sdb",
        ),
        (
            json!({"b": size(json!({"bus": "usb"})), "c": size(json!({"bus": "scsi"}))}),
            "sdb",
        ),
        (
            json!({"b": size(json!({"bus": "sata"})), "c": size(json!({}))}),
            "sda",
        ),
        (json!(many), "vdac"),
    ] {
        for (guest, text) in answers(&disks) {
            let expected = match guest.as_str() {
                "fedora-42" => vec![
                    format!("ignoredisk --only-use={name}\n"),
                    format!("--drives={name}\n"),
                ],
                "debian-12" => vec![
                    format!("d-i partman-auto/disk string /dev/{name}\n"),
                    format!("d-i grub-installer/bootdev string /dev/{name}\n"),
                ],
                "ubuntu-24.04" => vec![format!("path: \"/dev/{name}\"\n")],
                _ => vec![format!("<device>/dev/{name}</device>\n")],
            };
            for expected in expected {
                assert!(
                    text.contains(&expected),
                    "{guest} with {disks}: no `{expected}` in\n{text}"
                );
            }
        }
    }
}
