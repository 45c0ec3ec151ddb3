//! Guests that change while they run, and changes that wait for a restart.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use miniascape::xml::tree::Element;

use crate::guests::{answers, get, uptime};
use crate::lab::{Lab, domain, id, ip, running, virsh};

/// Two networks, a pool, and guests that boot in seconds. `GUESTS` stands for them.
const LAB: &str = "
lab: live
networks:
  front: {address: 192.168.176.1/24, dhcp: true}
  back: {address: 192.168.177.1/24, dhcp: true}
pools:
  live: {path: @DIR@/pool}
common:
  boot: {kernel: @TINY@/vmlinuz, initrd: @TINY@/initrd.img, cmdline: console=ttyS0 quiet}
  shutdown_timeout: 60s
guests:
";

fn lab(guests: &str) -> String {
    LAB.to_owned() + guests
}

/// The devices with names of ours, with their place on the bus.
fn places(xml: &Element) -> BTreeMap<String, String> {
    let devices = &xml.child("devices").unwrap().children;
    devices
        .iter()
        .filter_map(|device| {
            let alias = device.attribute_at("alias", "name")?;
            let address = device.child("address").map(Element::to_string);
            let own = alias.starts_with("ua-");
            own.then(|| (alias.to_owned(), address.unwrap_or_default()))
        })
        .collect()
}

fn wait_for(what: &str, done: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(90);
    while !done() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// What the plan says of one guest.
fn planned(lab: &Lab, address: &str, key: &str) -> serde_json::Value {
    let plan = lab.plan();
    let changes = plan["changes"].as_array().unwrap();
    let change = changes.iter().find(|change| change["address"] == address);
    change.unwrap()[key].clone()
}

#[test]
#[ignore = "runs in scripts/sandbox"]
fn a_running_guest_takes_over_what_it_can() {
    let ip = "192.168.176.11";
    let definition = |more: &str, memory: &str, vcpus: u32, interfaces: &str, disks: &str| {
        lab(&format!(
            "  web:\n    memory: {memory}\n    max_memory: 384MiB\n    vcpus: {vcpus}\n    max_vcpus: 2\n    \
             interfaces: {{{interfaces}}}\n    disks: {{{disks}}}\n{more}"
        ))
    };
    let eth0 = format!("eth0: {{network: front, ip: {ip}}}");
    let disk = |name: &str| format!("{name}: {{pool: live, size: 8MiB}}");
    let root = disk("root");
    let lab = Lab::new(&definition(
        "",
        "192MiB",
        1,
        &eth0,
        &format!("{root}, cd: {{device: cdrom}}"),
    ));
    std::fs::write(lab.path().join("a.iso"), vec![0; 1 << 20]).unwrap();
    lab.apply(&[]);
    answers(ip);
    let (booted, domid) = (uptime(ip), id("web"));

    // Several devices at once, memory, a processor, a medium, a title.
    let nics = (1..=4).map(|n| format!("eth{n}: {{network: back}}"));
    let interfaces = [eth0.clone()]
        .into_iter()
        .chain(nics)
        .collect::<Vec<_>>()
        .join(", ");
    let cd = "cd: {device: cdrom, path: @DIR@/a.iso}";
    lab.define(&definition(
        "    title: changed\n",
        "256MiB",
        2,
        &interfaces,
        &format!("{root}, {cd}, {}, {}", disk("a"), disk("b")),
    ));
    assert_eq!(planned(&lab, "guest.web", "disruption"), "live");
    lab.apply(&["--max-disruption", "live"]);
    let live = running("web");
    assert_eq!(live.text_at("title"), Some("changed"));
    assert_eq!(live.attribute_at("vcpu", "current").unwrap_or("2"), "2");
    let media = |live: &Element| {
        let disks = live.child("devices").unwrap().children_named("disk");
        let sources = disks.filter_map(|disk| disk.attribute_at("source", "file"));
        sources.filter(|file| file.ends_with(".iso")).count()
    };
    assert_eq!(media(&live), 1);
    let (now, defined) = (places(&live), places(&domain("web")));
    assert_eq!(now.len(), 5 + 4, "{now:?}");
    assert_eq!(
        now, defined,
        "devices stay in their places when the guest restarts"
    );
    // The guest itself sees its NICs and gives memory back.
    wait_for("the guest uses its new NICs", || {
        virsh(&["net-dhcp-leases", "back"]).matches("ipv4").count() == 4
    });
    wait_for("the guest has 256 MiB", || {
        running("web").text_at("currentMemory") == Some("262144")
    });

    // Devices that go, one that moves, and an empty drive.
    lab.define(&definition(
        "",
        "192MiB",
        2,
        &format!("{eth0}, eth1: {{network: front}}, eth3: {{network: back}}"),
        &format!("{root}, cd: {{device: cdrom}}, {}", disk("b")),
    ));
    lab.apply(&[
        "--max-disruption",
        "live",
        "--allow-data-loss",
        "volume.web.a",
    ]);
    let live = running("web");
    let left: Vec<String> = places(&live).into_keys().collect();
    assert_eq!(
        left,
        ["ua-b", "ua-cd", "ua-eth0", "ua-eth1", "ua-eth3", "ua-root"]
    );
    assert_eq!((media(&live), live.text_at("title")), (0, None));

    // The cable, out and in again; pulled by someone else, it is drift.
    let link = |state: &str| {
        definition(
            "",
            "192MiB",
            2,
            &format!("eth0: {{network: front, ip: {ip}, link: {state}}}"),
            &format!("{root}, cd: {{device: cdrom}}"),
        )
    };
    lab.define(&link("down"));
    lab.apply(&[
        "--max-disruption",
        "live",
        "--allow-data-loss",
        "volume.web.b",
    ]);
    assert_eq!(get(ip.parse().unwrap(), "/"), None);
    lab.define(&link("up"));
    lab.apply(&["--max-disruption", "live"]);
    answers(ip);
    let mac = domain("web");
    let mac = mac
        .attribute_at("devices/interface/mac", "address")
        .unwrap();
    virsh(&["domif-setlink", "web", mac, "down"]);
    assert_eq!(planned(&lab, "guest.web", "reason"), "drift");
    lab.apply(&["--max-disruption", "live"]);
    answers(ip);

    assert!(uptime(ip) > booted, "the guest was restarted");
    assert_eq!(id("web"), domid);
    assert_eq!(
        planned(&lab, "guest.web", "pending_restart"),
        serde_json::json!([])
    );
    lab.destroy();
}

#[test]
#[ignore = "runs in scripts/sandbox"]
fn deferred_changes_wait_for_their_restart() {
    let definition = |memory: &str| {
        lab(&format!(
            "  app: {{on_change: defer, memory: {memory}, depends_on: [db], interfaces: {{eth0: {{network: front, ip: 192.168.176.12}}}}}}\n  \
             db: {{on_change: defer, memory: {memory}, interfaces: {{eth0: {{network: front, ip: 192.168.176.13}}}}}}\n"
        ))
    };
    let lab = Lab::new(&definition("160MiB"));
    lab.apply(&[]);
    let ips = ["192.168.176.12", "192.168.176.13"];
    ips.iter().for_each(|ip| answers(ip));
    let before = (id("app"), id("db"));

    lab.define(&definition("192MiB"));
    let plan = lab.ok(&["plan"]);
    assert!(plan.contains("(restart deferred)"), "{plan}");
    lab.apply(&["--max-disruption", "live"]);
    assert_eq!((id("app"), id("db")), before);
    let plan = lab.ok(&["plan", "--detailed-exitcode"]);
    assert!(
        plan.contains("Nothing to do") && plan.contains("Pending restart"),
        "{plan}"
    );
    let status = lab.ok(&["status"]);
    assert_eq!(
        status.matches("pending restart: memory").count(),
        2,
        "{status}"
    );
    assert_eq!(
        planned(&lab, "guest.db", "pending_restart")[0]["after"],
        "192 MiB"
    );

    lab.apply(&["--restart-pending"]);
    assert!(
        id("db") > before.1 && id("app") > id("db"),
        "db restarts first"
    );
    assert!(!lab.ok(&["plan"]).contains("Pending"));
    ips.iter().for_each(|ip| answers(ip));
    lab.destroy();
}

/// A guest without an operating system never lets go of anything.
#[test]
#[ignore = "runs in scripts/sandbox"]
fn a_guest_that_does_not_answer_is_not_restarted_unannounced() {
    let definition = |interfaces: &str| {
        format!(
            "lab: live\nnetworks:\n  front: {{address: 192.168.176.1/24}}\nguests:\n  web: {{memory: 64MiB, \
             shutdown_timeout: 1s, interfaces: {{{interfaces}}}}}\n"
        )
    };
    let lab = Lab::new(&definition(
        "eth0: {network: front}, eth1: {network: front}",
    ));
    lab.apply(&[]);
    let domid = id("web");
    lab.define(&definition("eth0: {network: front}"));
    let errors = lab.fails(&["apply", "-y"]);
    assert!(errors.contains("did not let go"), "{errors}");
    assert!(errors.contains("--restart-pending"), "{errors}");
    assert_eq!(id("web"), domid);
    assert!(!places(&domain("web")).contains_key("ua-eth1"));
    lab.apply(&["--restart-pending"]);
    assert!(id("web") > domid);
    assert!(!places(&running("web")).contains_key("ua-eth1"));
    lab.destroy();
}

/// What libvirt fills in when guests start is nothing that waits for a restart.
#[test]
#[ignore = "runs in scripts/sandbox"]
fn what_libvirt_fills_in_is_not_pending() {
    ip("link add br-live type bridge");
    ip("link set br-live up");
    let lab = Lab::new(
        "
lab: live
networks:
  front: {address: 192.168.176.1/24, mtu: 1400}
  lan: {mode: bridge, bridge: br-live}
pools:
  live: {path: @DIR@/pool}
common: {memory: 128MiB, shutdown_timeout: 1s}
guests:
  plain: {interfaces: {eth0: {network: lan}, eth1: {bridge: br-live}, eth2: {user: true}}}
  old:
    machine: pc
    graphics: vnc
    max_vcpus: 4
    interfaces: {eth0: {network: front, model: e1000}}
  uefi:
    firmware: uefi
    memory: 256MiB
    max_memory: 512MiB
    disks: {root: {pool: live, size: 8MiB}}
  rich:
    cpu: {model: qemu64}
    graphics: spice
    serial: {file: @DIR@/console.log}
    disks:
      root: {pool: live, size: 8MiB}
      scsi: {pool: live, size: 8MiB, bus: scsi}
      sata: {pool: live, size: 8MiB, bus: sata, format: raw}
      cd: {device: cdrom}
    interfaces: {eth0: {network: front, mtu: 1300, link: down}}
    xml: |
      <domain>
        <iothreads>1</iothreads>
        <cputune><shares>512</shares></cputune>
        <devices>
          <watchdog model='i6300esb' action='reset'/>
          <filesystem type='mount' accessmode='mapped'><source dir='@DIR@'/><target dir='share'/></filesystem>
          <sound model='ich9'/>
          <input type='tablet' bus='usb'/>
          <memballoon model='virtio'><stats period='5'/></memballoon>
        </devices>
      </domain>
",
    );
    lab.apply(&[]);
    let plan = lab.ok(&["plan"]);
    assert!(!plan.contains("Pending"), "{plan}");
    // From a network of the host's to one of libvirt's and back.
    for network in ["front", "lan"] {
        let text = std::fs::read_to_string(lab.path().join("lab.yaml")).unwrap();
        let begin = text.find("plain: {interfaces: {eth0: {network: ").unwrap();
        let at = begin + "plain: {interfaces: {eth0: {network: ".len();
        let end = at + text[at..].find('}').unwrap();
        lab.define(&format!("{}{network}{}", &text[..at], &text[end..]));
        lab.apply(&["--max-disruption", "live"]);
        let plan = lab.ok(&["plan"]);
        assert!(!plan.contains("Pending"), "{plan}");
    }
    lab.destroy();
    ip("link del br-live");
}
