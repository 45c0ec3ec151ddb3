//! What others leave behind while things run: it is seen, and mended without a disturbance.

use std::path::Path;

use crate::guests::answers;
use crate::lab::{Lab, fixtures, inventory, ip, virsh, virsh_xml};

const LAB: &str = "lab: reality
networks: {real: {address: 192.168.169.1/24, dhcp: {start: 192.168.169.100, end: 192.168.169.200}}}
pools: {real: {path: @DIR@/pool}}
common: {memory: 16MiB, shutdown_timeout: 1s}
guests:
  one:
    disks: {root: {pool: real, size: 1MiB}}
    interfaces: {eth0: {network: real, ip: 192.168.169.11}}
";

/// The process id in a file that libvirt keeps of something that runs.
fn pid(file: &str) -> String {
    std::fs::read_to_string(Path::new("/run/libvirt").join(file)).unwrap()
}

/// Leaves all of the lab's objects running and undefined.
fn make_transient() {
    virsh(&["net-undefine", "real"]);
    virsh(&["undefine", "one"]);
    // libvirt refuses to undefine a pool that is active.
    let pool = virsh(&["pool-dumpxml", "real"]);
    virsh(&["pool-destroy", "real"]);
    virsh(&["pool-undefine", "real"]);
    virsh_xml("pool-create", &pool);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn what_is_transient_is_made_persistent_again() {
    let before = inventory();
    let lab = Lab::new(LAB);
    lab.apply(&[]);
    let running = || ["qemu/one.pid", "network/real.pid"].map(pid);
    let were = running();
    make_transient();
    let plan = lab.ok(&["plan"]);
    let told = plan.matches("transient: made persistent again").count();
    assert_eq!(told, 3, "{plan}");
    let drift = lab.ok(&["plan", "--refresh-only"]);
    assert_eq!(drift.matches("true -> false").count(), 5, "{drift}");
    lab.apply(&["--max-disruption", "live"]);
    for (info, name) in [
        ("net-info", "real"),
        ("pool-info", "real"),
        ("dominfo", "one"),
    ] {
        let told = virsh(&[info, name]);
        let persistent = told.lines().find(|line| line.starts_with("Persistent"));
        assert!(persistent.unwrap().ends_with("yes"), "{told}");
    }
    assert_eq!(running(), were, "something was started anew");

    // One that is to be off, changed, or has another name does not get lost with its stop.
    for changed in [
        LAB.replace("  one:\n", "  one:\n    vcpus: 2\n"),
        LAB.replace("  one:\n", "  one:\n    name: two\n"),
        LAB.replace("  one:\n", "  one:\n    running: false\n"),
    ] {
        make_transient();
        lab.define(&changed);
        lab.apply(&[]);
        lab.define(LAB);
        lab.apply(&[]);
    }

    make_transient();
    lab.destroy();
    assert!(!lab.path().join("pool").exists());
    assert_eq!(inventory(), before);
}

/// What the taps of a guest hang on, by MAC; nothing is `-`.
fn taps(guest: &str) -> Vec<(String, String)> {
    let list = virsh(&["domiflist", guest]);
    let lines = list.lines().skip(2).filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let link = Path::new("/sys/class/net").join(words[0]).join("master");
            let master = std::fs::read_link(link).ok();
            let name = master.and_then(|m| Some(m.file_name()?.to_str()?.to_owned()));
            (words[4].to_owned(), name.unwrap_or_else(|| "-".to_owned()))
        })
        .collect()
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn nics_of_a_network_that_others_restarted_are_plugged_in_again() {
    let before = inventory();
    virsh_xml(
        "net-create",
        "<network><name>others</name><ip address='192.168.179.1' netmask='255.255.255.0'/></network>",
    );
    ip("link add br-host type bridge");
    let lab = Lab::new(
        "lab: plugs
networks:
  front: {address: 192.168.178.1/24, dhcp: {start: 192.168.178.100, end: 192.168.178.200}}
  others: {external: true}
guests:
  web:
    memory: 128MiB
    shutdown_timeout: 1s
    boot: {kernel: @TINY@/vmlinuz, initrd: @TINY@/initrd.img, cmdline: console=ttyS0 hostname=web}
    interfaces:
      eth0: {network: front, ip: 192.168.178.11}
      eth1: {network: others}
      eth2: {bridge: br-host}
      eth3: {network: others, link: down}
",
    );
    lab.apply(&[]);
    answers("192.168.178.11");
    let bridge = |network: &str| {
        let told = virsh(&["net-info", network]);
        let line = told.lines().find(|line| line.starts_with("Bridge"));
        line.unwrap().split_whitespace().last().unwrap().to_owned()
    };
    virsh_xml(
        "create",
        &format!(
            "<domain type='qemu'><name>stranger</name><memory unit='MiB'>16</memory><os><type>hvm</type></os><devices>\
             <interface type='bridge'><source bridge='{}'/></interface></devices></domain>",
            bridge("front")
        ),
    );
    lab.is_settled();
    let (were, kept) = (taps("web"), fixtures("web"));
    let stranger = taps("stranger");

    // One whose link is down on purpose alone is none that lacks anything.
    let down = virsh(&["domiflist", "web"]);
    let down = down.lines().nth(5).unwrap().split_whitespace().next();
    ip(&format!("link set {} nomaster", down.unwrap()));
    lab.is_settled();

    let restart = |network: &str| {
        let xml = virsh(&["net-dumpxml", network]);
        virsh(&["net-destroy", network]);
        match network {
            "others" => virsh_xml("net-create", &xml),
            _ => drop(virsh(&["net-start", network])),
        }
    };
    restart("front");
    restart("others");
    ip("link delete br-host");
    ip("link add br-host type bridge");
    assert!(taps("web").iter().all(|(_, on)| on == "-"));
    let plan = lab.ok(&["plan"]);
    assert!(plan.contains("- eth1, eth2"), "{plan}");
    assert!(
        plan.contains("web.eth0") && plan.contains("stranger."),
        "{plan}"
    );
    let drift = lab.ok(&["plan", "--refresh-only"]);
    assert!(drift.contains("+ eth0, eth1, eth2"), "{drift}");
    lab.apply(&["--max-disruption", "live"]);
    answers("192.168.178.11");
    let mut wanted = were.clone();
    wanted[3].1 = "-".to_owned();
    assert_eq!(taps("web"), wanted);
    assert_eq!(taps("stranger"), stranger);
    let link = virsh(&["domif-getlink", "web", &were[3].0]);
    assert!(link.trim().ends_with("down"), "{link}");
    assert_eq!(fixtures("web"), kept);
    assert!(!virsh(&["net-list", "--all", "--name"]).contains("parking"));

    virsh(&["destroy", "stranger"]);
    lab.destroy();
    virsh(&["net-destroy", "others"]);
    ip("link delete br-host");
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn bridges_of_the_host_are_known_before_anything_is_done() {
    let before = inventory();
    let base = "lab: bridges
networks:
  own: {address: 192.168.180.1/24, bridge: br-own}
  lan: {mode: bridge, bridge: br-lan}
guests:
  one: {running: false, memory: 16MiB, shutdown_timeout: 0s, interfaces: {eth0: {network: lan}}}
";
    let lab = Lab::new(base);
    ip("link add br-own type bridge");
    let told = lab.fails(&["apply", "-y"]);
    assert!(
        told.contains("bridge of network.own, `br-own`, is an interface"),
        "{told}"
    );
    assert!(
        told.contains("warning: ") && told.contains("no bridge `br-lan`"),
        "{told}"
    );
    assert!(
        told.contains("lab.yaml:3:3") && told.contains("lab.yaml:4:3"),
        "{told}"
    );
    assert_eq!(inventory(), before, "something was done");

    // A bridge that is another's is not there for one that wants to make it, and is for one that joins it.
    ip("link delete br-own");
    lab.apply(&[]);
    lab.define(&base.replace("running: false, ", ""));
    let told = lab.fails(&["plan"]);
    assert!(
        told.contains("error: ") && told.contains("no bridge `br-lan`"),
        "{told}"
    );
    ip("link add br-lan type bridge");
    lab.apply(&[]);
    lab.define(
        &base
            .replace("running: false, ", "")
            .replace("network: lan", "bridge: br-lan"),
    );
    lab.apply(&[]);

    // As a libvirtd leaves it that died.
    virsh(&["net-destroy", "own"]);
    ip("link add br-own type bridge");
    let told = lab.fails(&["plan"]);
    let command = told
        .split('`')
        .find(|quoted| quoted.starts_with("ip link delete"));
    ip(command.unwrap().strip_prefix("ip ").unwrap());
    lab.apply(&[]);
    lab.destroy();
    ip("link delete br-lan");
    assert_eq!(inventory(), before);
}
