//! What guests have of their host: directories that both see, and devices. Where there are no devices to give away, those that libvirt
//! finds are made up, as far as it looks.

use std::fs;
use std::process::Command;

use miniascape::xml::tree::Element;

use crate::guests::{answers, get};
use crate::lab::{self, Lab, device, domain, id, inventory, virsh};

/// A device of a guest that runs, by its key in the definition.
fn running(guest: &str, key: &str) -> Option<Element> {
    device(&lab::running(guest), key)
}

/// The same of a guest's definition.
fn defined(guest: &str, key: &str) -> Option<Element> {
    device(&domain(guest), key)
}

const COMMON: &str = "
lab: passed
networks: {front: {address: 192.168.179.1/24}}
common: {memory: 64MiB, shutdown_timeout: 0s, interfaces: {eth0: {network: front}}}
guests:
";

/// One guest that runs, and one that is off, with the same.
fn both(said: &str) -> String {
    format!(
        "{COMMON}  on: {{{said}}}\n  off: {{running: false{}{said}}}\n",
        match said {
            "" => "",
            _ => ", ",
        }
    )
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn shares_are_as_the_definition_says() {
    let before = inventory();
    let lab = Lab::new(&both(""));
    for directory in ["code", "data"] {
        fs::create_dir(lab.path().join(directory)).unwrap();
        fs::write(lab.path().join(directory).join("file"), directory).unwrap();
    }
    lab.apply(&[]);
    let plain = domain("on");
    assert!(plain.child("memoryBacking").is_none());

    let was = id("on");
    lab.define(&both(
        "shares: {code: code, old: {source: @DIR@/data, driver: 9p, readonly: true}}",
    ));
    lab.apply(&[]);
    assert_ne!(id("on"), was);
    for guest in ["on", "off"] {
        let code = defined(guest, "code").unwrap();
        assert_eq!(code.attribute_at("driver", "type"), Some("virtiofs"));
        assert_eq!(
            domain(guest).attribute_at("memoryBacking/source", "type"),
            Some("memfd")
        );
        assert!(defined(guest, "old").unwrap().child("readonly").is_some());
    }
    assert!(running("on", "code").unwrap().child("binary").is_some());

    // From one driver to the other, and all else that there is to change.
    for said in [
        "shares: {code: {source: code, driver: 9p, access: mapped, target: files}, old: data}",
        "shares: {code: {source: data, driver: 9p, access: squash}, old: {source: data, target: other}, new: code}",
        "shares: {code: {source: data, driver: 9p}}",
        "shares: {code: code}",
        "",
    ] {
        lab.define(&both(said));
        lab.apply(&[]);
    }
    assert_eq!(
        domain("on").child("devices").unwrap().children.len(),
        plain.child("devices").unwrap().children.len()
    );
    for guest in ["on", "off"] {
        assert!(domain(guest).child("memoryBacking").is_none());
    }
    lab.destroy();
    assert_eq!(
        fs::read_to_string(lab.path().join("code/file")).unwrap(),
        "code"
    );
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_guest_reads_and_the_host_writes_what_both_see() {
    let lab = Lab::new(
        "
lab: shared
networks: {front: {address: 192.168.179.1/24, dhcp: true}}
guests:
  tiny:
    memory: 256MiB
    boot: {kernel: @TINY@/vmlinuz, initrd: @TINY@/initrd.img, cmdline: \"console=ttyS0 shares=code\"}
    interfaces: {eth0: {network: front, ip: 192.168.179.11}}
    shares: {code: code, old: {source: code, driver: 9p}}
",
    );
    fs::create_dir(lab.path().join("code")).unwrap();
    fs::write(lab.path().join("code/hello"), "from the host").unwrap();
    lab.apply(&[]);
    answers("192.168.179.11");
    let address = "192.168.179.11".parse().unwrap();
    assert_eq!(
        get(address, "/code/hello").as_deref(),
        Some("from the host")
    );
    fs::write(lab.path().join("code/later"), "and again").unwrap();
    assert_eq!(get(address, "/code/later").as_deref(), Some("and again"));
    lab.destroy();
    assert!(lab.path().join("code/hello").exists());
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn devices_of_the_host_are_defined_as_the_definition_says() {
    let lab = Lab::new("");
    let off = |said: &str| format!("{COMMON}  off: {{running: false, {said}}}\n");
    fs::write(lab.path().join("rom"), "ROM").unwrap();
    for said in [
        "boot: {order: [hd]}",
        "hostdevs: {gpu: \"0000:01:00.0\", stick: \"046d:c52b\", key: {usb: {bus: 1, device: 4}}}",
        "hostdevs: {gpu: {pci: \"0000:02:1f.7\", managed: false, rom: rom, boot: 1}, stick: {usb: \"0403:6001\", optional: true, boot: 2}, \
         key: {usb: {bus: 2, device: 9}}}",
        // A device of another kind under the same name.
        "hostdevs: {gpu: \"046d:c52b\", stick: \"0000:01:00.0\", key: {usb: \"0403:6001\"}}",
        "hostdevs: {gpu: {pci: \"0000:01:00.0\", rom: false}, stick: {usb: {bus: 1, device: 4}}, key: \"0000:03:00.0\"}",
        "machine: pc, hostdevs: {gpu: {pci: \"0000:01:00.0\"}, stick: \"046d:c52b\"}",
        "",
    ] {
        lab.define(&off(said));
        lab.apply(&[]);
    }
    assert!(defined("off", "gpu").is_none());
    lab.destroy();
}

/// Has libvirt find USB devices: each by bus, number, vendor and product.
fn usb_devices(devices: &[(u32, u32, &str, &str)]) {
    fn run(command: &str) {
        let done = Command::new("sh").args(["-ec", command]).status();
        assert!(done.unwrap().success(), "{command}");
    }
    // The kernel makes no directories in its own file system, and those in the machine's are not for tests to make.
    run("for on in /sys/bus /dev; do \
             new=$(mktemp -d); mount -t tmpfs none $new; \
             for it in $on/*; do \
                 if [ -d $it ] && [ ! -L $it ]; then mkdir $new/${it##*/}; mount --rbind $it $new/${it##*/}; else cp -a $it $new/; fi; \
             done; \
             mount --rbind $new $on; \
         done; \
         mkdir -p /sys/bus/usb/devices");
    for (bus, number, vendor, product) in devices {
        run(&format!(
            "d=/sys/bus/usb/devices/{bus}-{number}; mkdir $d; echo {bus} >$d/busnum; echo {number} >$d/devnum; \
             echo {vendor} >$d/idVendor; echo {product} >$d/idProduct; \
             mkdir -p /dev/bus/usb/00{bus}; mknod /dev/bus/usb/00{bus}/00{number} c 1 3"
        ));
    }
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn usb_devices_come_and_go_while_a_guest_runs() {
    usb_devices(&[(1, 4, "046d", "c52b"), (1, 5, "0403", "6001")]);
    // QEMU takes none that is not real; of those that may be absent libvirt tells it nothing.
    const ONE: &str = "one: {usb: \"1234:5678\", optional: true}";
    const OTHER: &str = "other: {usb: \"1234:5679\", optional: true}";
    let on = |all: &[&str]| format!("{COMMON}  on: {{hostdevs: {{{}}}}}\n", all.join(", "));
    let lab = Lab::new(&on(&[ONE]));
    lab.apply(&[]);
    let was = id("on");
    for said in [&[ONE, OTHER][..], &[OTHER], &[], &[ONE, OTHER], &[]] {
        lab.define(&on(said));
        lab.apply(&["--max-disruption", "live"]);
        for device in [ONE, OTHER] {
            let key = device.split(':').next().unwrap();
            let is_there = said.contains(&device);
            assert_eq!(running("on", key).is_some(), is_there, "{key}: {said:?}");
            assert_eq!(defined("on", key).is_some(), is_there, "{key}: {said:?}");
        }
    }
    assert_eq!(id("on"), was);

    // What cannot be plugged in is told, and tried again, or no longer wanted.
    for (said, why) in [
        ("absent: \"1234:5678\"", "did not find usb device 1234:5678"),
        ("stick: \"046d:c52b\"", "host usb device"),
        ("port: {usb: {bus: 1, device: 5}}", "host usb device"),
        ("gpu: \"0000:00:01.0\"", "passthrough of host pci devices"),
    ] {
        lab.define(&on(&[said]));
        let told = lab.fails(&["apply", "-y"]).to_lowercase();
        assert!(told.contains(why), "{told}");
        let key = said.split(':').next().unwrap();
        assert_eq!(lab.attributes("guest.on"), [format!("hostdevs.{key}")]);
    }
    assert_eq!(id("on"), was);
    lab.define(&on(&[]));
    lab.apply(&[]);
    lab.destroy();
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn what_does_not_work_of_shares_is_told_beforehand() {
    let lab = Lab::new(&both("shares: {code: {source: /srv, readonly: true}}"));
    // From version 11 on libvirt can.
    let version = virsh(&["version", "--daemon"]);
    let number = version.split("Running against daemon: ").nth(1).unwrap();
    if number.split('.').next().unwrap().parse::<u32>().unwrap() < 11 {
        let told = lab.fails(&["plan"]);
        assert!(
            told.contains("virtiofs does not yet support read-only mode"),
            "{told}"
        );
    }
    lab.define(&both(
        "type: qemu, arch: x86_64, shares: {code: {source: \"@DIR@/none\"}}",
    ));
    let told = lab.fails(&["apply", "-y"]);
    assert!(told.contains("/none' does not exist"), "{told}");
    lab.ok(&["destroy", "-y"]);

    // The sandbox's own, and no longer than it.
    let hidden = ["-t", "tmpfs", "none", "/usr/share/qemu/vhost-user"];
    let done = Command::new("mount").args(hidden).status();
    assert!(done.unwrap().success());
    lab.define(&both("shares: {code: @DIR@}"));
    let output = lab.run(&["plan"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.contains("warning: there is no virtiofsd here"),
        "{told}"
    );
    let told = lab.fails(&["apply", "-y"]);
    assert!(
        told.contains("Unable to find a satisfying virtiofsd"),
        "{told}"
    );
    lab.ok(&["destroy", "-y"]);
}
