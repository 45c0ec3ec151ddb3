//! `host/setup.sh` and `host/teardown.sh` on a host: real libvirt, mounts, nginx, autofs and NFS exports.
//!
//! systemd, LIO and systemd-resolved cannot run here: stand-ins in `tests/sandbox/host_setup/bin/` do what matters of them
//! and keep a log.

pub mod host;

use std::fs;
use std::net::TcpStream;

use crate::lab::{Lab, inventory, tiny, virsh, virsh_xml};
use host::{Host, Systemd, both, define, get, get_until, how, iso, lab, restart_libvirt, same};

const LAB: &str = "lab: hosted
networks:
  front: {address: 192.168.155.1/24, domain: hosted.test, dhcp: true}
  back: {name: \"the back's\", address: 192.168.156.1/24, autostart: false}
pools:
  disks: {path: \"@DIR@/a pool's\"}
guests:
  web: {interfaces: {eth0: {network: front, ip: 192.168.155.11}}}
host:
  isos:
    tree: {path: \"@DIR@/a tree's.iso\", mount: \"/srv/content/a tree's\", @HOW@}
  serve: {listen: 192.168.155.1:8080}
  nfs: {exports: {/srv/content: {clients: 192.168.155.0/24}}}
  hosts: true
";

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_host_is_set_up_and_taken_back() {
    let host = Host::new();
    let lab = lab(LAB);
    let bytes = iso(&lab.path().join("a tree's.iso"), "tree");
    let (untouched, before) = (host.state(), inventory());

    let shown = host.script(&lab, "setup", &["--dry-run"]);
    assert!(
        shown.contains("would define network the back's\n"),
        "{shown}"
    );
    same(&host.state(), &untouched);
    assert_eq!(inventory(), before);

    let done = host.script(&lab, "setup", &[]);
    for line in shown.lines().filter_map(|line| line.strip_prefix("would ")) {
        assert!(done.contains(line), "{line} is not in {done}");
    }
    for (network, autostart) in [("front", "yes"), ("the back's", "no")] {
        let info = virsh(&["net-info", network]);
        assert!(info.contains("Active:         yes"), "{info}");
        assert!(
            info.contains(&format!("Autostart:      {autostart}")),
            "{info}"
        );
    }
    let info = virsh(&["pool-info", "disks"]);
    assert!(
        info.contains("running") && info.contains("Autostart:      yes"),
        "{info}"
    );
    assert!(lab.path().join("a pool's").is_dir());
    assert_eq!(
        get("192.168.155.1:8080", "/tree/images/vmlinuz"),
        ("200".to_owned(), bytes.clone())
    );
    let listing = get("192.168.155.1:8080", "/tree/").1;
    assert!(String::from_utf8(listing).unwrap().contains("images/"));
    assert_eq!(
        host.ok(&["getent", "hosts", "web"]),
        "192.168.155.11  web.hosted.test web\n"
    );
    let exported = host.ok(&["exportfs", "-v"]);
    assert!(
        exported.contains("/srv/content") && exported.contains("crossmnt"),
        "{exported}"
    );

    let (state, after) = (host.state(), inventory());
    let again = host.script(&lab, "setup", &[]);
    assert!(
        again.starts_with("Nothing to do") && again.lines().count() == 1,
        "{again}"
    );
    same(&host.state(), &state);
    assert_eq!(inventory(), after);

    changes_are_followed(&host, &lab, &bytes);
    running_guests_keep_their_network(&host, &lab);

    fs::write(lab.path().join("a pool's/volume"), "data").unwrap();
    let shown = host.script(&lab, "teardown", &["--dry-run"]);
    assert!(
        shown.contains("would undefine network the back's\n"),
        "{shown}"
    );
    host.script(&lab, "teardown", &[]);
    assert_eq!(inventory(), before);
    assert_eq!(
        fs::read_to_string(lab.path().join("a pool's/volume")).unwrap(),
        "data"
    );
    assert!(TcpStream::connect("192.168.155.1:8080").is_err());
    assert_eq!(host.ok(&["exportfs", "-v"]), "");
    let again = host.script(&lab, "teardown", &[]);
    assert!(again.starts_with("Nothing to do"), "{again}");
    same(&host.state(), &untouched);
}

/// Another definition: what is served changes, a network gets another name for a guest, the pool goes.
fn changes_are_followed(host: &Host, lab: &Lab, bytes: &[u8]) {
    let nginx = host.ok(&["cat", "/run/nginx.pid"]);
    let changed = LAB
        .replace("    tree:", "    other:")
        .replace("192.168.155.11", "192.168.155.12");
    define(lab, &changed);
    let done = host.script(lab, "setup", &[]);
    for line in [
        "update /etc/nginx/conf.d/miniascape-hosted.conf",
        "reload nginx",
        "define network front anew",
        "stop network front",
    ] {
        assert!(done.contains(line), "{line} is not in {done}");
    }
    assert!(!done.contains("back"), "{done}");
    let served = get_until("200", "192.168.155.1:8080", "/other/images/vmlinuz");
    assert!(served == bytes);
    get_until("404", "192.168.155.1:8080", "/tree/");
    assert_eq!(
        host.ok(&["cat", "/run/nginx.pid"]),
        nginx,
        "nginx was only reloaded"
    );
    assert_eq!(
        host.ok(&["getent", "hosts", "web"]),
        "192.168.155.12  web.hosted.test web\n"
    );
    let network = virsh(&["net-dumpxml", "front"]);
    assert!(
        network.contains("192.168.155.12") && !network.contains("192.168.155.11"),
        "{network}"
    );
    assert!(host.script(lab, "setup", &[]).starts_with("Nothing to do"));
}

/// A guest that runs: its network is neither restarted nor taken out.
fn running_guests_keep_their_network(host: &Host, lab: &Lab) {
    let tiny = tiny().display().to_string();
    virsh_xml(
        "create",
        &format!(
            "<domain type='qemu'><name>plugged</name><memory unit='MiB'>128</memory><os><type>hvm</type>\
             <kernel>{tiny}/vmlinuz</kernel><initrd>{tiny}/initrd.img</initrd></os>\
             <devices><interface type='network'><source network='front'/></interface></devices></domain>"
        ),
    );
    define(lab, LAB);
    let done = host.script(lab, "setup", &[]);
    assert!(done.contains("note: network front is in use"), "{done}");
    assert!(!done.contains("stop network"), "{done}");
    assert!(virsh(&["net-dumpxml", "front"]).contains("192.168.155.12"));
    let output = host.try_script(lab, "teardown", &[]);
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
    assert!(
        both(&output).contains("network front is in use: shut its guests down first"),
        "{}",
        both(&output)
    );
    assert!(virsh(&["net-info", "front"]).contains("Active:         yes"));
    virsh(&["destroy", "plugged"]);
    // What was taken back meanwhile comes again.
    host.script(lab, "setup", &[]);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn what_was_there_before_is_left_or_in_the_way() {
    let host = Host::new();
    let lab = lab("lab: hosted\nnetworks: {front: {address: 192.168.155.1/24}}\n");
    let before = inventory();

    // Another network of that name.
    virsh_xml("net-define", "<network><name>front</name></network>");
    let output = host.try_script(&lab, "setup", &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        both(&output).contains("give this one another name"),
        "{}",
        both(&output)
    );
    host.script(&lab, "teardown", &[]);
    virsh(&["net-undefine", "front"]);

    // The very network, made by apply.
    lab.ok(&["apply", "-y"]);
    let applied = inventory();
    assert!(host.script(&lab, "setup", &[]).starts_with("Nothing to do"));
    host.script(&lab, "teardown", &[]);
    assert_eq!(inventory(), applied);
    lab.destroy();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn what_is_missing_is_named_at_once_and_nothing_is_done() {
    let host = Host::new();
    let lab = lab(LAB);
    let (state, before) = (host.state(), inventory());
    // A host without most programs: only those of a bare system are found.
    let bare = lab.path().join("bin");
    fs::create_dir(&bare).unwrap();
    for tool in [
        "bash", "dirname", "readlink", "env", "cat", "mount", "umount", "sed", "grep", "find",
        "sort",
    ] {
        let found = host.ok(&["which", tool]);
        std::os::unix::fs::symlink(found.trim(), bare.join(tool)).unwrap();
    }
    let script = lab.path().join("work/host/setup.sh").display().to_string();
    let path = format!("PATH={}", bare.display());
    let output = host.run(&["env", &path, "bash", &script]);
    assert_eq!(output.status.code(), Some(1));
    let complaint = both(&output);
    for missing in [
        "virsh (package libvirt-client, on Debian libvirt-clients)",
        "nginx (package nginx)",
        "exportfs (package nfs-utils",
    ] {
        assert!(complaint.contains(missing), "{complaint}");
    }
    same(&host.state(), &state);
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn autofs_mounts_what_is_looked_at() {
    let host = Host::new();
    let lab = lab("lab: hosted
host:
  isos:
    plain: {path: \"@DIR@/plain.iso\", mount: /srv/content/plain, @HOW@}
    odd: {path: \"@DIR@/it's all & $HOME.iso\", mount: \"/srv/content/it's all & $HOME\", @HOW@}
  autofs:
    isos: true
    maps:
      /srv/indirect: {entries: {\"*\": {location: \":@DIR@/&.iso\", options: \"fstype=@TYPE@\"}}}
"
    .replace(
        "@TYPE@",
        if how().contains("fuse") {
            "fuse.fuseiso,allow_other"
        } else {
            "iso9660,loop"
        },
    )
    .as_str());
    let plain = iso(&lab.path().join("plain.iso"), "plain");
    let odd = iso(&lab.path().join("it's all & $HOME.iso"), "odd");
    let untouched = host.state();

    host.script(&lab, "setup", &[]);
    for (path, bytes) in [
        ("content/plain", &plain),
        ("content/it's all & $HOME", &odd),
        ("indirect/plain", &plain),
    ] {
        let read = host.run(&["cat", &format!("/srv/{path}/images/vmlinuz")]);
        assert_eq!(
            &read.stdout,
            bytes,
            "{path}: {}",
            String::from_utf8_lossy(&read.stderr)
        );
    }
    assert!(host.script(&lab, "setup", &[]).starts_with("Nothing to do"));
    host.script(&lab, "teardown", &[]);
    assert!(!host.run(&["pidof", "automount"]).status.success());
    same(&host.state(), &untouched);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn systemd_is_told_and_iscsi_and_names_are_set_up() {
    let host = Host::with_stubs();
    let lab = lab(
        "lab: hosted
networks:
  front: {bridge: br-front, address: 192.168.155.1/24, domain: hosted.test, dhcp: true}
  back: {address: 192.168.156.1/24, domain: back.test}
host:
  isos:
    tree: {path: \"@DIR@/a tree's.iso\", mount: \"/srv/content/a tree's\", @HOW@}
  serve: {listen: 192.168.155.1:8080}
  nfs: {exports: {/srv/content: {clients: \"*\"}}}
  iscsi:
    targets:
      iqn.2024-01.test.hosted:one:
        luns: {a: {path: /srv/iscsi/a.img, size: 1MiB}, b: {path: /srv/iscsi/b.img, size: 1MiB, readonly: true}}
        initiators: iqn.2024-01.test.hosted:web
        portals: 192.168.155.1
        chap: {userid: web, password_file: \"@DIR@/it's a secret\"}
      iqn.2024-01.test.hosted:two: {luns: {c: {path: /srv/iscsi/c.img, size: 1MiB}}, initiators: any}
  nested_kvm: true
  resolver: systemd-resolved
",
    );
    let bytes = iso(&lab.path().join("a tree's.iso"), "tree");
    fs::write(lab.path().join("it's a secret"), "pass \"word' $x\n").unwrap();
    let (untouched, before) = (host.state(), inventory());
    let _systemd = Systemd::pretend();

    host.script(&lab, "setup", &["--dry-run"]);
    only_asked(&host.log());
    same(&host.state(), &untouched);
    assert_eq!(inventory(), before);

    let done = host.script(&lab, "setup", &[]);
    assert!(!done.contains("pass \"word"), "{done}");
    let log = host.log();
    for line in [
        "systemctl daemon-reload",
        r"systemctl --quiet enable -- srv-content-a\x20tree\x27s.mount",
        "systemctl --quiet enable --now -- nginx",
        "systemctl --quiet enable --now -- nfs-server",
        "systemctl try-restart libvirtd.service virtnetworkd.service",
        "systemctl --quiet enable target.service",
        "resolvectl dns br-front 192.168.155.1",
        "resolvectl domain br-front ~hosted.test ~155.168.192.in-addr.arpa",
        "resolvectl default-route br-front false",
        "targetcli /iscsi create wwn=iqn.2024-01.test.hosted:one",
        "targetcli /iscsi/iqn.2024-01.test.hosted:one/tpg1/portals delete 0.0.0.0 3260",
        "targetcli saveconfig",
    ] {
        assert!(
            log.lines().any(|logged| logged == line),
            "{line} is not in\n{log}"
        );
    }
    assert!(!log.contains("pass \"word"), "{log}");
    assert_eq!(get("192.168.155.1:8080", "/tree/images/vmlinuz").1, bytes);
    let target = "/sys/kernel/config/target/iscsi/iqn.2024-01.test.hosted:one/tpgt_1";
    let auth = format!("{target}/acls/iqn.2024-01.test.hosted:web/auth/password");
    assert_eq!(host.ok(&["cat", &auth]), "pass \"word' $x");

    // libvirt itself calls the hook once it has found it.
    let hook = host.ok(&["cat", "/etc/libvirt/hooks/network.d/miniascape-hosted"]);
    assert!(
        hook.contains("'~back.test ~156.168.192.in-addr.arpa'"),
        "{hook}"
    );

    let state = host.state();
    assert!(host.script(&lab, "setup", &[]).starts_with("Nothing to do"));
    same(&host.state(), &state);
    only_asked(&host.log());

    a_changed_target_is_made_anew(&host, &lab);

    host.script(&lab, "teardown", &[]);
    let log = host.log();
    for line in [
        r"systemctl --quiet disable --now -- srv-content-a\x20tree\x27s.mount",
        "systemctl --quiet disable --now -- nginx",
        "systemctl --quiet disable --now -- nfs-server",
        "targetcli /iscsi delete iqn.2024-01.test.hosted:one",
        "targetcli /backstores/fileio delete hosted-b",
        "targetcli saveconfig",
    ] {
        assert!(
            log.lines().any(|logged| logged == line),
            "{line} is not in\n{log}"
        );
    }
    assert_eq!(
        host.ok(&["find", "/sys/kernel/config/target", "-mindepth", "3"]),
        ""
    );
    // The data stays, and so does its directory.
    let images = host.ok(&["ls", "/srv/iscsi"]);
    assert_eq!(images, "a.img\nb.img\nc.img\n");
    host.ok(&["rm", "-r", "/srv/iscsi"]);
    same(&host.state(), &untouched);
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn libvirt_calls_the_hook_when_a_network_starts() {
    let host = Host::with_stubs();
    let lab = lab("lab: hosted
networks: {front: {bridge: br-front, address: 192.168.155.1/24, domain: hosted.test}}
host: {resolver: systemd-resolved}
");
    let before = inventory();
    let done = host.script(&lab, "setup", &[]);
    // Without systemd nobody restarts it but us; the network that runs is told of all the same.
    assert!(done.contains("note: restart libvirtd"), "{done}");
    let told = "resolvectl dns br-front 192.168.155.1\n\
                resolvectl domain br-front ~hosted.test ~155.168.192.in-addr.arpa\n\
                resolvectl default-route br-front false\n";
    assert_eq!(host.log(), told);
    restart_libvirt(Some(&host));
    virsh(&["net-destroy", "front"]);
    virsh(&["net-start", "front"]);
    // It has told of the network that was active at its own start too.
    assert!(host.log().ends_with(told));

    host.script(&lab, "teardown", &[]);
    restart_libvirt(None);
    assert_eq!(inventory(), before);
}

/// Wants nothing in a log that changes anything.
fn only_asked(log: &str) {
    let asks = [" is-active ", " is-enabled ", " cat "];
    for line in log.lines() {
        assert!(asks.iter().any(|ask| line.contains(ask)), "{line}");
    }
}

/// One target changes and one goes: the others are not touched.
fn a_changed_target_is_made_anew(host: &Host, lab: &Lab) {
    let definition = fs::read_to_string(lab.path().join("lab.yaml")).unwrap();
    let other = definition
        .replace("portals: 192.168.155.1", "portals: 0.0.0.0")
        .replace("hosted:two", "hosted:three");
    define(lab, &other);
    let done = host.script(lab, "setup", &[]);
    for line in [
        "withdraw the iSCSI target iqn.2024-01.test.hosted:one",
        "offer the iSCSI target iqn.2024-01.test.hosted:one",
        "withdraw the iSCSI target iqn.2024-01.test.hosted:two",
        "offer the iSCSI target iqn.2024-01.test.hosted:three",
    ] {
        assert!(done.contains(line), "{line} is not in {done}");
    }
    let targets = host.ok(&["ls", "/sys/kernel/config/target/iscsi"]);
    assert_eq!(
        targets,
        "iqn.2024-01.test.hosted:one\niqn.2024-01.test.hosted:three\n"
    );
    host.log();
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn networks_of_others_reserve_addresses() {
    const LAB: &str = "lab: guest
networks:
  theirs: {external: {reservations: true}}
guests:
  web: {interfaces: {eth0: {network: theirs, mac: '52:54:00:00:00:11', ip: [192.168.155.11, 'fd00:155::11']}}}
  db: {interfaces: {eth0: {network: theirs, mac: '52:54:00:00:00:12', ip: 192.168.155.12}}}
";
    virsh_xml(
        "net-define",
        "<network><name>theirs</name><ip address='192.168.155.1' netmask='255.255.255.0'><dhcp>\
         <host mac='52:54:00:00:00:12' name='database' ip='192.168.155.12'/></dhcp></ip>\
         <ip family='ipv6' address='fd00:155::1' prefix='64'/></network>",
    );
    virsh(&["net-start", "theirs"]);
    let host = Host::new();
    let lab = lab(LAB);
    let (untouched, before) = (host.state(), inventory());
    host.script(&lab, "setup", &["--dry-run"]);
    assert_eq!(inventory(), before);
    let reserves = |side: &[&str], what: &str| {
        let xml = virsh(&[&["net-dumpxml", "theirs"], side].concat());
        assert!(xml.contains(what), "{what} is not in {xml}");
    };
    host.script(&lab, "setup", &[]);
    for side in [&[][..], &["--inactive"]] {
        reserves(
            side,
            "<host mac='52:54:00:00:00:11' name='web' ip='192.168.155.11'/>",
        );
        reserves(side, "<host name='web' ip='fd00:155::11'/>");
        reserves(side, "name='database'");
    }
    let again = host.script(&lab, "setup", &[]);
    assert!(again.starts_with("Nothing to do"), "{again}");

    // Another address, and back to what there was.
    lab.define(&LAB.replace("[192.168.155.11", "[192.168.155.13"));
    lab.ok(&["generate", "-w", "work"]);
    host.script(&lab, "setup", &[]);
    reserves(
        &[],
        "<host mac='52:54:00:00:00:11' name='web' ip='192.168.155.13'/>",
    );
    host.script(&lab, "teardown", &[]);
    assert_eq!(inventory(), before);
    same(&host.state(), &untouched);
    virsh(&["net-destroy", "theirs"]);
    virsh(&["net-undefine", "theirs"]);
}
