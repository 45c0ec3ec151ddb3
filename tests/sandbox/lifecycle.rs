//! A lab's whole life: applied, changed in small steps, taken away.

use crate::guests::{serves, uptime};
use crate::lab::{Lab, domain, fixtures, inventory, kept, virsh, virsh_xml};

const NETWORKS: &str = "
lab: shop
networks:
  front:
    address: 192.168.155.1/24
    domain: front.test
    dhcp: {start: 192.168.155.100, end: 192.168.155.200}
    dns: {hosts: {ntp: 192.168.155.5}}
  back:
    mode: isolated
    address: 192.168.156.1/24
    domain: back.test
    dhcp: {start: 192.168.156.100, end: 192.168.156.200}
pools:
  shop: {path: @DIR@/pool}
images:
  tiny: {pool: shop, source: @TINY@/tiny.qcow2}
common:
  memory: 192MiB
  shutdown_timeout: 60s
";

const GROUPS: &str = "
groups:
  front:
    disks: {root: {pool: shop, image: tiny}}
    interfaces: {eth0: {network: front}}
  back:
    disks: {root: {pool: shop, image: tiny}}
    interfaces: {eth0: {network: back}}
";

const GUESTS: &str = "
guests:
  web1: {group: front, interfaces: {eth0: {ip: 192.168.155.11}}}
  web2: {group: front, interfaces: {eth0: {ip: 192.168.155.12}}}
  db1:
    group: back
    disks: {data: {pool: shop, size: 32MiB}}
    interfaces: {eth0: {ip: 192.168.156.21}}
  db2:
    group: back
    depends_on: [db1]
    interfaces: {eth0: {ip: 192.168.156.22}}
";

fn definition(guests: &str) -> String {
    format!("{NETWORKS}{GROUPS}{guests}")
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_lab_is_applied_changed_and_taken_away() {
    virsh_xml(
        "net-define",
        "<network><name>stranger</name><ip address='192.168.160.1' netmask='255.255.255.0'/></network>",
    );
    virsh_xml(
        "define",
        "<domain type='qemu'><name>stranger</name><memory unit='MiB'>64</memory><os><type>hvm</type></os></domain>",
    );
    let before = inventory();
    let lab = Lab::new(&definition(GUESTS));

    lab.apply(&[]);
    serves("192.168.155.1", "web1.front.test", "192.168.155.11");
    serves("192.168.155.1", "web2.front.test", "192.168.155.12");
    serves("192.168.156.1", "db1.back.test", "192.168.156.21");
    serves("192.168.156.1", "db2.back.test", "192.168.156.22");
    assert_eq!(
        lab.ok(&["apply", "-y"]).lines().count(),
        1,
        "a second apply only says that there is nothing to do"
    );

    // Memory: one guest restarts, and nothing else is touched.
    let devices = fixtures("web1");
    let web2_up = uptime("192.168.155.12");
    let guests = GUESTS.replace(
        "web1: {group: front,",
        "web1: {group: front, memory: 224MiB,",
    );
    lab.define(&definition(&guests));
    assert_eq!(lab.actions(), map(&[("guest.web1", "update")]));
    assert_eq!(lab.attributes("guest.web1"), ["memory"]);
    lab.apply(&[]);
    assert_eq!(domain("web1").text_at("memory"), Some("229376"));
    kept(&devices, &fixtures("web1"), &[]);
    serves("192.168.155.1", "web1.front.test", "192.168.155.11");
    assert!(uptime("192.168.155.12") > web2_up, "web2 was restarted");

    // A NIC more, with a reservation on the other network, whose running guests keep theirs.
    let db1_up = uptime("192.168.156.21");
    let guests = guests.replace(
        "web2: {group: front, interfaces: {eth0: {ip: 192.168.155.12}}}",
        "web2: {group: front, interfaces: {eth0: {ip: 192.168.155.12}, eth1: {network: back, ip: 192.168.156.12}}}",
    );
    let devices = fixtures("web2");
    lab.define(&definition(&guests));
    assert_eq!(
        lab.actions(),
        map(&[("guest.web2", "update"), ("network.back", "update")])
    );
    assert_eq!(lab.attributes("guest.web2"), ["interfaces.eth1"]);
    lab.apply(&[]);
    kept(&devices, &fixtures("web2"), &[]);
    serves("192.168.155.1", "web2.front.test", "192.168.155.12");
    serves("192.168.156.1", "web2.back.test", "192.168.156.12");
    assert!(uptime("192.168.156.21") > db1_up, "db1 was restarted");

    // A disk less: its data goes only when that is asked for by name.
    let guests = guests.replace("    disks: {data: {pool: shop, size: 32MiB}}\n", "");
    let devices = fixtures("db1");
    lab.define(&definition(&guests));
    assert_eq!(
        lab.actions(),
        map(&[("guest.db1", "update"), ("volume.db1.data", "delete")])
    );
    assert_eq!(lab.attributes("guest.db1"), ["disks.data"]);
    let refusal = lab.fails(&["apply", "-y"]);
    assert!(
        refusal.contains("--allow-data-loss volume.db1.data"),
        "{refusal}"
    );
    lab.apply(&["--allow-data-loss", "volume.db1.data"]);
    kept(&devices, &fixtures("db1"), &["disk ua-data"]);
    serves("192.168.156.1", "db1.back.test", "192.168.156.21");

    // A guest more and one less; the network's reservations follow without a restart.
    let web1_up = uptime("192.168.155.11");
    let guests = guests.replace(
        "  web2: {group: front, interfaces: {eth0: {ip: 192.168.155.12}, eth1: {network: back, ip: 192.168.156.12}}}",
        "  web3: {group: front, interfaces: {eth0: {ip: 192.168.155.13}}}",
    );
    lab.define(&definition(&guests));
    assert_eq!(
        lab.actions(),
        map(&[
            ("guest.web2", "delete"),
            ("guest.web3", "create"),
            ("network.back", "update"),
            ("network.front", "update"),
            ("volume.web2.root", "delete"),
            ("volume.web3.root", "create"),
        ])
    );
    lab.apply(&["--allow-data-loss", "volume.web2.root"]);
    serves("192.168.155.1", "web3.front.test", "192.168.155.13");
    assert!(uptime("192.168.155.11") > web1_up, "web1 was restarted");

    // A network restarts for what it cannot take over while it runs; its guests keep running and get their link back.
    let db2_up = uptime("192.168.156.22");
    lab.define(&definition(&guests).replace("domain: back.test", "domain: rear.test"));
    assert_eq!(lab.actions(), map(&[("network.back", "update")]));
    let plan = lab.ok(&["plan"]);
    assert!(plan.contains("relink"), "{plan}");
    lab.apply(&[]);
    serves("192.168.156.1", "db2.rear.test", "192.168.156.22");
    assert!(uptime("192.168.156.22") > db2_up, "db2 was restarted");

    lab.destroy();
    assert_eq!(inventory(), before);
    assert!(
        !lab.path().join("pool").exists(),
        "the pool's directory is gone"
    );
    virsh(&["net-undefine", "stranger"]);
    virsh(&["undefine", "stranger"]);
}

fn map(pairs: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(address, action)| ((*address).to_owned(), (*action).to_owned()))
        .collect()
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_volume_grows_while_its_guest_runs() {
    let text = |size: &str| {
        format!(
            "lab: grow
pools: {{grow: {{path: @DIR@/pool}}}}
guests:
  one:
    memory: 128MiB
    boot: {{kernel: @TINY@/vmlinuz, initrd: @TINY@/initrd.img, cmdline: console=ttyS0}}
    disks: {{data: {{pool: grow, size: {size}}}}}
"
        )
    };
    let lab = Lab::new(&text("32MiB"));
    lab.apply(&[]);
    lab.define(&text("64MiB"));
    assert_eq!(lab.actions(), map(&[("volume.one.data", "update")]));
    lab.apply(&[]);
    let info = virsh(&["domblkinfo", "one", "vda"]);
    assert!(info.contains("67108864"), "{info}");

    lab.define(&text("16MiB"));
    assert_eq!(lab.attributes("volume.one.data"), ["size"]);
    let refusal = lab.fails(&["apply", "-y"]);
    assert!(
        refusal.contains("--allow-data-loss volume.one.data"),
        "{refusal}"
    );
    lab.apply(&["--allow-data-loss", "volume.one.data"]);
    assert_eq!(virsh(&["domstate", "one"]).trim(), "running");
    lab.destroy();
}
