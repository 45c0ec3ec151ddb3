//! What a person at a guest sees and hears, and what it talks to the host by: set, changed, declined and taken away again.

use std::fs;

use miniascape::xml::tree::Element;

use crate::fake_installer::{self, Ends};
use crate::lab::{Lab, domain, inventory, running, virsh};

const DEVICES: &str = "
lab: devices
networks: {front: {address: 192.168.179.1/24}}
pools: {devices: {path: @DIR@/pool}}
common: {memory: 64MiB, shutdown_timeout: 0s}
guests:
";

/// A guest that runs, and one that is off.
fn both(on: &str, off: &str) -> String {
    let more = "disks: {root: {pool: devices, size: 8MiB}}, interfaces: {eth0: {network: front}}";
    format!("{DEVICES}  on: {{{on}{more}}}\n  off: {{running: false, {off}{more}}}\n")
}

/// Devices of a kind, of the definition of the guest that is off or of what the other one runs with.
fn devices(guest: &str, kind: &str) -> Vec<Element> {
    let xml = match guest {
        "on" => running(guest),
        _ => domain(guest),
    };
    let all = &xml.child("devices").unwrap().children;
    all.iter().filter(|it| it.name == kind).cloned().collect()
}

/// One attribute of each device of a kind, in both guests.
fn said(kind: &str, child: &str, attribute: &str) -> [String; 2] {
    ["on", "off"].map(|guest| {
        let all = devices(guest, kind);
        let said = all.iter().map(|it| match child {
            "" => it.attribute(attribute),
            _ => it.attribute_at(child, attribute),
        });
        let said: Vec<&str> = said.map(|it| it.unwrap_or("-")).collect();
        said.join(" ")
    })
}

fn alike(text: &str) -> [String; 2] {
    [text.to_owned(), text.to_owned()]
}

/// What a plain guest gets from the template.
const DEFAULT: [&str; 4] = ["serial", "channel", "rng", "video"];

#[test]
#[ignore = "needs scripts/sandbox"]
fn every_device_that_a_plain_guest_gets_can_be_declined() {
    let before = inventory();
    let plain = both("graphics: vnc, ", "graphics: vnc, ");
    let declined = "graphics: vnc, serial: none, agent: false, rng: false, video: none, ";
    let declined = both(declined, declined);
    let lab = Lab::new(&plain);
    let holds_none = || {
        for kind in ["serial", "console", "channel", "rng"] {
            assert_eq!(said(kind, "", "type"), alike(""), "{kind}");
        }
        // libvirt puts one in where nothing says that there is none.
        assert_eq!(said("video", "model", "type"), alike("none"));
        let controllers = said("controller", "", "type");
        assert!(!controllers[0].contains("virtio-serial"), "{controllers:?}");
    };
    let holds_all = || {
        for kind in DEFAULT {
            for guest in ["on", "off"] {
                assert_eq!(devices(guest, kind).len(), 1, "{guest}: {kind}");
            }
        }
        assert_eq!(said("video", "model", "type"), alike("virtio"));
    };
    // What is there goes and comes again, and what is made at once is as good.
    lab.apply(&[]);
    holds_all();
    lab.define(&declined);
    lab.apply(&[]);
    holds_none();
    lab.define(&plain);
    lab.apply(&[]);
    holds_all();
    lab.destroy();
    lab.define(&declined);
    lab.apply(&[]);
    holds_none();
    let other = virsh(&["dumpxml", "--inactive", "on"]);
    let devices = Element::parse(&other)
        .unwrap()
        .child("devices")
        .unwrap()
        .clone();
    let own = [
        "emulator",
        "disk",
        "controller",
        "interface",
        "graphics",
        "video",
    ];
    let libvirts = ["input", "audio", "memballoon", "watchdog"];
    for device in &devices.children {
        let name = device.name.as_str();
        assert!(own.contains(&name) || libvirts.contains(&name), "{device}");
    }
    // Without a display there is no card.
    lab.define(&declined.replace("graphics: vnc", "graphics: none"));
    lab.apply(&[]);
    assert_eq!(said("video", "model", "type"), alike(""));
    lab.destroy();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn devices_are_as_the_definition_says() {
    let before = inventory();
    let plain = both("", "");
    let lab = Lab::new(&plain);
    lab.apply(&[]);
    let input = said("input", "", "bus");
    let first = "graphics: {type: spice, clipboard: true}, rng: {source: builtin, rate: 64KiB}, \
                 video: {model: qxl, heads: 2, vram: 32MiB, resolution: 1920x1080}, \
                 input: [tablet, {type: keyboard, bus: virtio}], sound: true, ";
    lab.define(&both(first, &format!("{first}vsock: 5, ")));
    lab.apply(&[]);
    let channels = "org.qemu.guest_agent.0 com.redhat.spice.0";
    assert_eq!(said("channel", "target", "name"), alike(channels));
    assert_eq!(said("rng", "backend", "model"), alike("builtin"));
    assert_eq!(said("rng", "rate", "bytes"), alike("65536"));
    assert_eq!(said("video", "model", "heads"), alike("2"));
    assert_eq!(said("video", "model", "vram"), alike("32768"));
    assert_eq!(said("video", "model/resolution", "x"), alike("1920"));
    assert_eq!(said("audio", "", "type"), alike("spice"));
    assert_eq!(said("sound", "", "model"), alike("ich9"));
    assert_eq!(
        devices("off", "vsock")[0].attribute_at("cid", "address"),
        Some("5")
    );

    // What libvirt derived from the one does not stand in the way of the other.
    for (one, kind, child, attribute, is) in [
        (
            "graphics: vnc, video: {model: vga, vram: 8MiB}, ",
            "video",
            "model",
            "vram",
            "8192",
        ),
        (
            "graphics: vnc, video: bochs, ",
            "video",
            "model",
            "type",
            "bochs",
        ),
        (
            "graphics: vnc, video: cirrus, ",
            "video",
            "model",
            "type",
            "cirrus",
        ),
        (
            "graphics: vnc, video: {heads: 4}, ",
            "video",
            "model",
            "heads",
            "4",
        ),
        ("graphics: vnc, ", "video", "model", "heads", "1"),
        (
            "graphics: spice, sound: ac97, ",
            "audio",
            "",
            "type",
            "spice",
        ),
        ("graphics: vnc, sound: usb, ", "audio", "", "type", "none"),
        ("video: ramfb, ", "video", "model", "type", "ramfb"),
        (
            "rng: /dev/random, input: {type: tablet, bus: virtio}, ",
            "rng",
            "backend",
            "model",
            "random",
        ),
        (
            "rng: {rate: 1KiB}, input: mouse, ",
            "rng",
            "rate",
            "bytes",
            "1024",
        ),
    ] {
        lab.define(&both(one, &format!("{one}vsock: true, ")));
        lab.apply(&[]);
        assert_eq!(said(kind, child, attribute), alike(is), "{one}");
        assert_eq!(
            devices("off", "vsock")[0].attribute_at("cid", "auto"),
            Some("yes")
        );
    }
    // The host has no card here that could draw for a guest.
    let drawn = "graphics: vnc, video: {accel3d: true}, ";
    lab.define(&both("", drawn));
    lab.apply(&[]);
    let shown: Vec<_> = devices("off", "graphics");
    let shown: Vec<_> = shown.iter().filter_map(|it| it.attribute("type")).collect();
    assert_eq!(shown, ["vnc", "egl-headless"]);

    lab.define(&plain);
    lab.apply(&[]);
    assert_eq!(said("input", "", "bus"), input);
    for kind in ["video", "sound", "vsock", "graphics"] {
        assert_eq!(said(kind, "", "type"), alike(""), "{kind}");
    }
    assert_eq!(said("rng", "backend", "model"), alike("random"));
    lab.destroy();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn an_installer_is_heard_by_a_port_that_its_guest_does_not_keep() {
    let lab = Lab::new(
        "lab: deaf
pools: {deaf: {path: @DIR@/pool}}
guests:
  new:
    memory: 64MiB
    running: false
    serial: none
    disks: {root: {pool: deaf, size: 1MiB}}
    install:
      os: debian-12
      location: {kernel: @DIR@/done.kernel, initrd: @DIR@/done.initrd}
      template: preseed.cfg.j2
      timeout: 2m
",
    );
    let said = Ends::Saying("\r\nminiascape: new is installed\r\n");
    fake_installer::write(lab.path(), "done", said);
    fs::write(lab.path().join("preseed.cfg.j2"), "# {{ done }}\n").unwrap();
    lab.apply(&[]);
    for kind in ["serial", "console"] {
        assert!(devices("new", kind).is_empty(), "{kind}");
    }
    lab.destroy();
}
