//! Whose an object is: foreign ones are refused, adopted or left alone; ours are put right when others change them.

use std::process::Command;

use rustix::process::Signal;

use crate::lab::{Lab, domain, inventory, run_in, success, virsh, virsh_xml};
use crate::terminal::Terminal;

const FOREIGN: &str = "<network><name>front</name><forward mode='nat'/><bridge name='virbr9'/>
    <ip address='192.168.157.1' netmask='255.255.255.0'>
      <dhcp><range start='192.168.157.100' end='192.168.157.200'/></dhcp></ip></network>";

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_foreign_network_is_refused_and_can_be_adopted() {
    virsh_xml("net-define", FOREIGN);
    let before = inventory();
    let lab = Lab::new(
        "lab: own
networks:
  front: {address: 192.168.157.1/24, dhcp: {start: 192.168.157.100, end: 192.168.157.200}}
",
    );
    let refusal = lab.fails(&["plan"]);
    assert!(
        refusal.contains("lab.yaml:3:3") && refusal.contains("miniascape import network.front"),
        "{refusal}"
    );
    lab.fails(&["apply", "-y"]);
    lab.destroy();
    assert_eq!(inventory(), before, "refused, and nothing was touched");

    lab.ok(&["import", "network.front"]);
    assert_eq!(
        lab.attributes("network.front"),
        ["active", "autostart"],
        "only what truly differs"
    );
    let bridge = virsh(&["net-info", "front"]);
    lab.apply(&[]);
    assert!(bridge.contains("virbr9"));
    assert!(virsh(&["net-info", "front"]).contains("virbr9"));
    lab.destroy();
    assert!(!inventory().contains_key("network front"));
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn from_elsewhere_the_lab_is_told_where_its_state_was_looked_for() {
    let lab = Lab::new(
        "lab: own
pools: {own: {path: @DIR@/pool}}
guests: {idle: {running: false, memory: 16MiB, disks: {root: {pool: own, size: 1MiB}}}}
",
    );
    lab.apply(&[]);
    let elsewhere = tempfile::tempdir().unwrap();
    let file = lab.path().join("lab.yaml").display().to_string();
    let refused = run_in(elsewhere.path(), &["plan", "-C", &file]);
    assert_eq!(refused.status.code(), Some(1));
    let looked_at = elsewhere.path().join("state/own.toml");
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    let note = format!("recorded in {}, which is not there", looked_at.display());
    assert!(told.contains(&note), "{told}");

    let directory = lab.path().display().to_string();
    let there = run_in(
        elsewhere.path(),
        &["plan", "--detailed-exitcode", "--chdir", &directory],
    );
    success(&there, &["plan", "--chdir"]);
    lab.destroy();
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn subnets_of_others_are_seen() {
    virsh_xml("net-define", FOREIGN);
    virsh(&["net-start", "front"]);
    let lab = Lab::new("lab: own\nnetworks:\n  mine: {address: 192.168.157.129/25}\n");
    let refusal = lab.fails(&["plan"]);
    assert!(
        refusal.contains("overlaps with network `front`"),
        "{refusal}"
    );
    virsh(&["net-destroy", "front"]);
    virsh(&["net-undefine", "front"]);
}

const GUEST: &str = "lab: drift
networks:
  drift: {address: 192.168.158.1/24, domain: drift.test, dhcp: {start: 192.168.158.100, end: 192.168.158.200}}
pools: {drift: {path: @DIR@/pool}}
guests:
  one:
    memory: 128MiB
    running: false
    disks: {data: {pool: drift, size: 16MiB, keep: true}}
    interfaces: {eth0: {network: drift, ip: 192.168.158.11}}
";

#[test]
#[ignore = "needs scripts/sandbox"]
fn what_others_change_is_shown_as_drift_and_put_right() {
    let lab = Lab::new(GUEST);
    lab.apply(&[]);
    let plain = inventory();

    virsh(&["setmaxmem", "one", "262144", "--config"]);
    virsh(&["setmem", "one", "262144", "--config"]);
    virsh(&[
        "net-update",
        "drift",
        "add",
        "dns-host",
        "<host ip='192.168.158.99'><hostname>stranger</hostname></host>",
        "--live",
        "--config",
    ]);
    virsh(&["attach-disk", "one", "/dev/null", "vdz", "--config"]);
    assert_eq!(lab.attributes("guest.one"), ["memory", "disks.vdz"]);
    assert_eq!(lab.attributes("network.drift"), ["dns.hosts.stranger"]);
    let plan = lab.plan();
    for change in plan["changes"].as_array().unwrap() {
        if change["action"] != "none" {
            assert_eq!(change["reason"], "drift", "{change:#}");
        }
    }
    lab.apply(&[]);
    assert_eq!(inventory(), plain);

    // What is ours and gone is made again.
    virsh(&["undefine", "one"]);
    virsh(&["net-destroy", "drift"]);
    lab.apply(&[]);
    assert_eq!(inventory(), plain);

    // Without the state, guests and networks are known by UUID and mark, and left alone; a volume is kept and named.
    std::fs::remove_dir_all(lab.path().join("state")).unwrap();
    let refusal = lab.fails(&["plan"]);
    assert!(
        refusal.contains("miniascape import volume.one.data"),
        "{refusal}"
    );
    lab.ok(&["import", "volume.one.data"]);
    let refusal = lab.fails(&["apply", "-y"]);
    assert!(refusal.contains("marked as guest.one"), "{refusal}");
    lab.ok(&["import", "--all"]);
    lab.is_settled();

    // Volumes that are kept survive, and are the lab's when it comes back.
    lab.destroy();
    assert!(lab.path().join("pool/one.data.qcow2").exists());
    lab.apply(&[]);
    lab.define(&GUEST.replace(", keep: true", ""));
    lab.apply(&[]);
    lab.destroy();
    assert!(!lab.path().join("pool/one.data.qcow2").exists());
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_guest_made_by_hand_is_adopted_as_it_is() {
    virsh_xml(
        "define",
        "<domain type='qemu'><name>old</name><memory unit='MiB'>128</memory><vcpu>1</vcpu>
           <os><type machine='pc'>hvm</type></os>
           <devices><interface type='user'><mac address='52:54:00:12:34:56'/><model type='virtio'/></interface>
             <serial type='pty'/><watchdog model='i6300esb' action='reset'/>
             <tpm model='tpm-tis'><backend type='passthrough'><device path='/dev/tpm0'/></backend></tpm>
             <graphics type='vnc' autoport='yes' listen='0.0.0.0'/></devices></domain>",
    );
    let uuid = domain("old").text_at("uuid").unwrap().to_owned();
    let definition = "lab: adopt
guests:
  old:
    memory: 128MiB
    running: false
    interfaces: {eth0: {user: true}}
";
    let lab = Lab::new(definition);
    lab.fails(&["plan"]);
    lab.ok(&["import", "guest.old"]);
    // What it has beside the definition stays, however often that is applied, and changed.
    for memory in ["128MiB", "128MiB", "192MiB"] {
        lab.define(&definition.replace("128MiB", memory));
        lab.apply(&[]);
        let quiet = lab.ok(&["plan"]);
        assert!(
            quiet.contains("Nothing to do") && !quiet.contains("by others"),
            "{quiet}"
        );
        let devices = domain("old").child("devices").cloned().unwrap();
        for device in ["watchdog", "tpm", "graphics", "video"] {
            assert!(devices.child(device).is_some(), "{device}");
        }
    }
    let after = domain("old");
    assert_eq!(after.text_at("uuid"), Some(uuid.as_str()));
    assert_eq!(
        after
            .find("devices/interface")
            .unwrap()
            .attribute_at("mac", "address"),
        Some("52:54:00:12:34:56")
    );
    assert!(
        after
            .attribute_at("os/type", "machine")
            .unwrap()
            .starts_with("pc-i440fx"),
        "what nobody wrote stays"
    );
    lab.destroy();
    assert!(!inventory().contains_key("guest old"));
}

const SHOP: &str = "lab: shop
networks: {front: {mode: isolated, address: 192.168.167.1/24}}
pools: {shop: {path: @DIR@/pool}}
guests:
  one: {running: false, memory: 64MiB, disks: {root: {pool: shop, size: 8MiB}}, interfaces: {eth0: {network: front}}}
";

#[test]
#[ignore = "needs scripts/sandbox"]
fn what_came_while_the_question_stood_open_stays() {
    let lab = Lab::new(SHOP);
    lab.apply(&[]);
    let begin = |command: &str| {
        let mut asked = Command::new(env!("CARGO_BIN_EXE_miniascape"));
        let mut terminal = Terminal::start(asked.arg(command).current_dir(lab.path()));
        terminal.until("[y/N] ");
        terminal
    };
    let left = begin("destroy");
    left.signal(Signal::TERM);
    assert_eq!(left.ends().0, Some(130));
    let ask = |command: &str, between: &dyn Fn()| {
        let mut terminal = begin(command);
        between();
        terminal.says("y\n");
        terminal.ends()
    };
    let replaced = || {
        virsh(&["net-destroy", "front"]);
        virsh(&["net-undefine", "front"]);
        virsh_xml("net-define", "<network><name>front</name></network>");
    };
    let (code, told) = ask("destroy", &replaced);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("does not hold any more"), "{told}");
    assert!(virsh(&["net-info", "front"]).contains("front"));
    assert!(
        virsh(&["dominfo", "one"]).contains("one"),
        "nothing was done"
    );
    virsh(&["net-undefine", "front"]);
    lab.apply(&[]);

    // What changes and is nothing to the plan does not disturb it.
    let (code, told) = ask("destroy", &|| {
        virsh_xml("net-define", "<network><name>other</name></network>")
    });
    assert_eq!(code, Some(0), "{told}");
    virsh(&["net-undefine", "other"]);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_pool_that_only_has_the_name_is_not_the_labs_inside() {
    let lab = Lab::new(SHOP);
    lab.apply(&[]);
    virsh(&["pool-destroy", "shop"]);
    virsh(&["pool-undefine", "shop"]);
    let foreign = lab.path().join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    let precious = foreign.join("one.root.qcow2");
    std::fs::write(&precious, "precious").unwrap();
    let target = foreign.display().to_string();
    virsh(&["pool-define-as", "shop", "dir", "--target", &target]);
    virsh(&["pool-start", "shop"]);
    lab.fails(&["apply", "-y"]);
    let output = lab.run(&["destroy", "-y"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("volume.one.root"), "{told}");
    assert_eq!(std::fs::read(&precious).unwrap(), b"precious");

    // Once the lab's own is back, all of it goes.
    virsh(&["pool-destroy", "shop"]);
    virsh(&["pool-undefine", "shop"]);
    lab.apply(&[]);
    lab.destroy();
    assert!(!lab.path().join("pool").exists());
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_lab_of_the_same_name_elsewhere_is_left_alone() {
    let lab = Lab::new(SHOP);
    lab.apply(&[]);
    let second = Lab::new("lab: shop\nguests: {other: {running: false, memory: 64MiB}}\n");
    let applied = inventory();
    second.apply(&[]);
    second.destroy();
    assert_eq!(inventory(), applied);
    second.define("lab: shop\nguests: {one: {running: false, memory: 96MiB}}\n");
    let refused = second.fails(&["apply", "-y"]);
    assert!(refused.contains("--take-over"), "{refused}");
    assert_eq!(inventory(), applied);
    lab.is_settled();
    lab.destroy();
}
