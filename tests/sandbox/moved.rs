//! Renames on real libvirt: what has another name is the same object, and nothing of it goes.

use std::net::IpAddr;

use miniascape::xml::tree::Element;

use crate::guests::{answers, resolve};
use crate::lab::{Lab, domain, fixtures, inventory, kept, running, virsh};

const BEFORE: &str = "lab: moved
networks:
  front: {address: 192.168.181.1/24, domain: moved.test, dhcp: true}
pools: {shop: {path: @DIR@/pool}}
images: {tiny: {pool: shop, source: @TINY@/tiny.qcow2}}
guests:
  web1:
    memory: 192MiB
    shutdown_timeout: 60s
    disks: {root: {pool: shop, image: tiny}, data: {pool: shop, size: 16MiB, format: raw}}
    interfaces: {eth0: {network: front, ip: 192.168.181.11}}
  off1:
    memory: 128MiB
    running: false
    autostart: true
    firmware: uefi
    disks: {root: {pool: shop, size: 16MiB}}
    interfaces: {eth0: {network: front, ip: 192.168.181.12}}
";

const MOVED: &str = "moved:
  - {from: network.front, to: network.lan}
  - {from: pool.shop, to: pool.store}
  - {from: image.tiny, to: image.small}
  - {from: guest.web1, to: guest.app1}
  - {from: guest.off1, to: guest.spare1}
";

fn after() -> String {
    let renamed = BEFORE
        .replace("front", "lan")
        .replace("shop", "store")
        .replace("images: {tiny:", "images: {small:")
        .replace("image: tiny}", "image: small}")
        .replace("web1", "app1")
        .replace("off1", "spare1");
    renamed + MOVED
}

/// A guest's mark.
fn marked(xml: &Element) -> String {
    let mark = xml.find("metadata/miniascape:resource").unwrap();
    mark.attribute("address").unwrap().to_owned()
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn what_has_another_name_is_the_same_object() {
    let before = inventory();
    let lab = Lab::new(BEFORE);
    lab.apply(&[]);
    let web: IpAddr = "192.168.181.11".parse().unwrap();
    answers(&web.to_string());
    let (guest, spare) = (fixtures("web1"), fixtures("off1"));
    let network = virsh(&["net-uuid", "front"]);
    // What is on a disk tells whether it is still the one.
    let data = lab.path().join("pool/web1.data.raw");
    let mut content = std::fs::read(&data).unwrap();
    content[..5].copy_from_slice(b"hello");
    std::fs::write(&data, &content).unwrap();

    lab.define(&after());
    let plan = lab.ok(&["plan"]);
    assert!(plan.contains("renamed from guest.web1"), "{plan}");
    assert!(plan.contains("libvirt cannot rename it"), "{plan}");
    assert!(
        !plan.contains("to create") && !plan.contains("to delete"),
        "{plan}"
    );
    lab.apply(&["--max-disruption", "restart"]);
    assert_eq!(
        virsh(&["list", "--all", "--name"]).trim(),
        "app1\nspare1".trim()
    );
    kept(&guest, &fixtures("app1"), &[]);
    kept(&spare, &fixtures("spare1"), &[]);
    assert_eq!(marked(&domain("app1")), "guest.app1");
    assert_eq!(virsh(&["net-uuid", "front"]), network);
    assert_eq!(virsh(&["domstate", "app1"]).trim(), "running");
    answers(&web.to_string());
    let address = resolve("192.168.181.1", "app1.moved.test").map(IpAddr::from);
    assert_eq!(address, Some(web));
    assert!(std::fs::read(&data).unwrap().starts_with(b"hello"));
    // UEFI variables stay in the file that they were in.
    let nvram = domain("spare1").text_at("os/nvram").unwrap().to_owned();
    assert!(nvram.ends_with("/off1_VARS.fd"), "{nvram}");
    assert!(
        virsh(&["dominfo", "spare1"]).contains("enable"),
        "autostart is lost"
    );

    // An entry that was done has no effect, and can go.
    lab.define(&after().replace(MOVED, ""));
    lab.is_settled();

    // Another name in libvirt only: the same guest, too.
    lab.define(&after().replace("  app1:\n", "  app1:\n    name: www\n"));
    lab.apply(&[]);
    kept(&guest, &fixtures("www"), &[]);
    answers(&web.to_string());

    // A new guest of the old name is another one.
    let again = "  web1:\n    memory: 128MiB\n    running: false\n    disks: {root: {pool: store, image: small}}\n    interfaces: {eth0: {network: lan, ip: 192.168.181.13}}\n";
    let named = after()
        .replace(MOVED, "")
        .replace("  app1:\n", "  app1:\n    name: www\n");
    lab.define(&(named + again));
    lab.apply(&[]);
    let new = fixtures("web1");
    assert_ne!(new["uuid"], guest["uuid"]);
    assert_ne!(new["interface ua-eth0"], guest["interface ua-eth0"]);
    lab.destroy();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn uefi_variables_survive_a_rename() {
    let before = inventory();
    let uefi = BEFORE.replace(
        "    running: false\n    autostart: true\n    firmware: uefi\n",
        "    firmware: uefi\n    shutdown_timeout: 1s\n",
    );
    let lab = Lab::new(&uefi);
    lab.apply(&[]);
    let live = |name: &str| running(name).text_at("os/nvram").unwrap().to_owned();
    let file = live("off1");
    lab.define(
        &(uefi.replace("off1", "spare1") + "moved: [{from: guest.off1, to: guest.spare1}]\n"),
    );
    lab.apply(&[]);
    assert_eq!(live("spare1"), file);
    lab.destroy();
    assert_eq!(inventory(), before);
    assert!(!std::path::Path::new(&file).exists(), "{file} is left");
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn with_the_state_lost_the_old_name_is_known() {
    let before = inventory();
    let lab = Lab::new(BEFORE);
    lab.apply(&[]);
    let guest = fixtures("web1");
    std::fs::remove_file(lab.path().join("state/moved.toml")).unwrap();
    lab.define(&after());
    let errors = lab.fails(&["plan"]);
    assert!(
        errors.contains("miniascape import volume.app1.root"),
        "{errors}"
    );
    let volumes = [
        "volume.app1.root",
        "volume.app1.data",
        "volume.spare1.root",
        "image.small",
    ];
    lab.ok(&[&["import"], &volumes[..]].concat());
    let errors = lab.fails(&["plan"]);
    assert!(errors.contains("--take-over"), "{errors}");
    lab.apply(&["--take-over"]);
    kept(&guest, &fixtures("app1"), &[]);
    lab.destroy();
    // Nobody knows any more that the directory of the pool was made by us.
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn only_what_others_changed_is_shown() {
    let lab = Lab::new(BEFORE);
    lab.apply(&[]);
    let nothing = lab.ok(&["plan", "--refresh-only", "--detailed-exitcode"]);
    assert!(
        nothing.starts_with("Nothing was changed by others"),
        "{nothing}"
    );
    virsh(&["setmaxmem", "off1", "256M", "--config"]);
    virsh(&["autostart", "--disable", "off1"]);
    virsh(&["destroy", "web1"]);
    lab.define(&BEFORE.replace("memory: 128MiB", "memory: 512MiB"));
    let output = lab.run(&["plan", "--refresh-only", "--detailed-exitcode"]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        told.contains("-> 256 MiB") && !told.contains("512"),
        "{told}"
    );
    assert!(told.contains("power              running -> off"), "{told}");
    assert!(told.contains("autostart          true -> false"), "{told}");
    let plan = lab.ok(&["plan"]);
    assert!(plan.contains("drift"), "{plan}");
    lab.apply(&[]);
    lab.destroy();
}
