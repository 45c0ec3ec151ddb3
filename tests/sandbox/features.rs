//! Everything a definition can say, kept by a real libvirt: applied, taken away again, put back.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use crate::lab::{Lab, domain, inventory, virsh};

/// Networks and a pool with nothing special, and the guests with little.
const PLAIN: &str = "
lab: features
networks:
  front: {address: 192.168.157.1/24, domain: front.test, dhcp: true}
  back: {address: 192.168.158.1/24}
pools:
  features: {path: @DIR@/pool}
common: {memory: 64MiB, running: false, shutdown_timeout: 1s}
guests:
  devices:
    disks: {root: {pool: features, size: 8MiB}}
    interfaces: {eth0: {network: front}}
  tuned:
    disks: {root: {pool: features, size: 8MiB}}
    interfaces: {eth0: {network: front}}
  old.pc_1+x:
    hostname: old
    machine: pc
    disks: {root: {pool: features, size: 8MiB}}
";

/// The same with whatever there is.
const RICH: &str = "
lab: features
networks:
  front:
    address: [192.168.157.1/24, fd00:157::1/64]
    domain: other.test
    mtu: 1400
    bridge: featbr
    autostart: false
    dhcp: {start: 192.168.157.100, end: 192.168.157.200}
    dns:
      hosts: {ntp: 192.168.157.5, both: [192.168.157.6, 'fd00:157::6']}
      forwarders: [10.0.0.1, {domain: x.test, address: 10.0.0.2}]
      srv: [{service: ldap, protocol: tcp, target: ntp.other.test, port: 389}]
      txt: {info: 'a & b < c'}
    xml: |
      <network xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0'>
        <route address='192.168.222.0' netmask='255.255.255.0' gateway='192.168.157.2'/>
        <portgroup name='plain' default='yes'/>
        <dnsmasq:options><dnsmasq:option value='log-queries'/></dnsmasq:options>
      </network>
  back: {mode: isolated, address: 192.168.158.1/24, dns: {enabled: false}}
pools:
  features: {path: @DIR@/pool, autostart: false}
common: {memory: 64MiB, running: false, shutdown_timeout: 1s}
guests:
  devices:
    title: \"a & b < c ' ü\"
    description: \"two\\nlines\"
    autostart: true
    graphics: spice
    serial: {file: @DIR@/console.log}
    disks:
      root: {pool: features, size: 16MiB, cache: default}
      scsi: {pool: features, size: 4MiB, bus: scsi, cache: none, format: raw, shareable: true}
      sata: {pool: features, size: 4MiB, bus: sata}
      ro: {pool: features, size: 4MiB, bus: scsi, readonly: true}
      cd: {device: cdrom}
    interfaces:
      eth0: {network: front, model: e1000e, mtu: 1400, link: down, ip: 192.168.157.33}
      eth1: {user: true}
    xml: |
      <domain>
        <devices>
          <disk><target dev='vda'/><boot order='1'/><serial>ABC</serial></disk>
          <watchdog model='i6300esb' action='reset'/>
          <filesystem type='mount' accessmode='mapped'><source dir='@DIR@'/><target dir='share'/></filesystem>
          <hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0' bus='0' slot='5' function='0'/></source></hostdev>
          <vsock model='virtio'><cid auto='no' address='77'/></vsock>
          <input type='tablet' bus='usb'/>
          <sound model='ich9'/>
          <rng model='virtio'><rate bytes='1024' period='1000'/></rng>
        </devices>
      </domain>
  tuned:
    firmware: uefi
    vcpus: 4
    disks: {root: {pool: features, size: 8MiB}}
    interfaces: {eth0: {network: front}}
    xml: |
      <domain xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
        <maxMemory slots='4' unit='GiB'>1</maxMemory>
        <memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>
        <memtune><hard_limit unit='GiB'>1</hard_limit></memtune>
        <iothreads>2</iothreads>
        <cputune><shares>512</shares><vcpupin vcpu='0' cpuset='0,1'/></cputune>
        <os><smbios mode='sysinfo'/></os>
        <sysinfo type='smbios'><system><entry name='manufacturer'>M &amp; N</entry></system></sysinfo>
        <cpu><topology sockets='1' cores='2' threads='2'/><numa><cell id='0' cpus='0,1,2,3' memory='64' unit='MiB'/></numa></cpu>
        <clock offset='utc'><timer name='hpet' present='no'/></clock>
        <metadata><x:y xmlns:x='urn:x'>kept</x:y></metadata>
        <devices><disk><target dev='vda'/><driver iothread='1'/></disk></devices>
        <qemu:commandline><qemu:env name='FEATURE' value='a b'/></qemu:commandline>
      </domain>
  old.pc_1+x:
    hostname: old
    machine: pc
    graphics: {type: vnc, listen: 127.0.0.1}
    boot: {order: [network, hd]}
    cpu: {mode: custom, model: qemu64}
    disks:
      root: {pool: features, size: 8MiB}
      ide: {pool: features, size: 4MiB, bus: ide}
      usb: {pool: features, size: 4MiB, bus: usb}
    interfaces: {eth0: {network: back, model: rtl8139}, eth1: {network: back, model: e1000}}
";

#[test]
#[ignore = "needs scripts/sandbox"]
fn everything_is_kept_goes_again_and_comes_back() {
    let before = inventory();
    let lab = Lab::new(PLAIN);
    lab.apply(&[]);
    lab.define(RICH);
    lab.apply(&[]);
    // A disk that has grown does not shrink by itself.
    lab.define(&PLAIN.replacen("size: 8MiB", "size: 16MiB", 1));
    lab.apply(&[
        "--allow-data-loss",
        "volume.devices.scsi",
        "--allow-data-loss",
        "volume.devices.sata",
        "--allow-data-loss",
        "volume.devices.ro",
        "--allow-data-loss",
        "volume.old.pc_1+x.ide",
        "--allow-data-loss",
        "volume.old.pc_1+x.usb",
    ]);
    lab.define(RICH);
    lab.apply(&[]);
    lab.destroy();
    assert_eq!(inventory(), before);

    lab.apply(&[]);
    lab.destroy();
    assert_eq!(inventory(), before);
}

/// Networks with nothing special, one with a guest that runs.
const CONNECTED: &str = "
lab: connected
networks:
  front: {address: [192.168.159.1/24, 'fd00:159::1/64'], dhcp: true}
  lan: {mode: bridge, bridge: br-lan}
guests:
  on:
    memory: 64MiB
    shutdown_timeout: 1s
    interfaces: {eth0: {network: front, ip: 192.168.159.11}}
";

/// The same with all that connects them.
const CONNECTIONS: &str = "
lab: connected
networks:
  front:
    address: [192.168.159.1/24, 'fd00:159::1/64']
    dhcp: {start: 192.168.159.100, end: 192.168.159.200, lease: 12h, options: ['dhcp-option=option:ntp-server,192.168.159.1', log-queries]}
    nat: {ports: 2000-3000, addresses: 203.0.113.5, ipv6: true}
    routes: [{to: 10.77.0.0/16, via: 192.168.159.2, metric: 3}, {to: 'fd77::/64', via: 'fd00:159::2'}]
    portgroups:
      slow: {bandwidth: {inbound: 1MB, outbound: {average: 2MB, peak: 4MB, burst: 1MB}}}
      plain: {default: true}
    bandwidth: {inbound: {average: 10MB, peak: 20MB}, outbound: 10MB}
    tftp: /srv
    bootp: {file: pxelinux.0, server: 192.168.159.1}
  lan:
    mode: bridge
    bridge: br-lan
    openvswitch: true
    vlan: [42, 47]
    portgroups: {one: {vlan: 7}, all: {vlan: {tags: 9, trunk: true}}}
guests:
  on:
    memory: 64MiB
    shutdown_timeout: 1s
    interfaces: {eth0: {network: front, ip: 192.168.159.11}}
";

#[test]
#[ignore = "needs scripts/sandbox"]
fn networks_keep_how_they_are_connected() {
    let before = inventory();
    // Not every kernel has what limits bandwidth, and it is not to be tried here whether that works.
    let done = Command::new("sh")
        .args([
            "-c",
            "mount --bind /bin/true \"$(readlink -f \"$(command -v tc)\")\"",
        ])
        .status();
    assert!(done.unwrap().success(), "tc is not stood in for");
    let lab = Lab::new(CONNECTED);
    lab.apply(&[]);
    lab.define(CONNECTIONS);
    lab.apply(&[]);
    let config = fs::read_to_string("/var/lib/libvirt/dnsmasq/front.conf").unwrap();
    for line in [
        "tftp-root=/srv",
        "dhcp-boot=pxelinux.0,,192.168.159.1",
        "dhcp-range=192.168.159.100,192.168.159.200,255.255.255.0,43200s",
        "dhcp-option=option:ntp-server,192.168.159.1",
    ] {
        assert!(config.lines().any(|it| it == line), "{line}: {config}");
    }
    let changed = [
        ("lease: 12h", "lease: infinite"),
        ("2000-3000", "2000-4000"),
        ("203.0.113.5", "203.0.113.5-203.0.113.6"),
        ("metric: 3", "metric: 4"),
        ("inbound: 1MB", "inbound: 3MB"),
        ("average: 10MB", "average: 11MB"),
        ("{default: true}", "{}"),
        ("tftp: /srv", "tftp: /usr"),
        ("pxelinux.0", "other.0"),
        (", log-queries", ""),
        ("[42, 47]", "42"),
        ("vlan: 7", "vlan: 8"),
    ];
    let changed = changed
        .iter()
        .fold(CONNECTIONS.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        });
    for text in [&changed, CONNECTIONS, CONNECTED, CONNECTIONS] {
        lab.define(text);
        lab.apply(&[]);
    }
    lab.destroy();
    assert_eq!(inventory(), before);
}

/// A file system on a loop device is mounted, and pools that cannot be started here are defined as they are wanted.
#[test]
#[ignore = "needs scripts/sandbox"]
fn pools_keep_what_they_are_made_of() {
    let before = inventory();
    let lab = Lab::new(
        "lab: sources\npools: {part: {type: fs, path: @DIR@/mnt, source: {device: /dev/loop77, format: ext4}}}\n",
    );
    let prepare = "truncate -s 20M disk && mkfs.ext4 -q disk && { test -e /dev/loop77 || mknod /dev/loop77 b 7 77; } && losetup /dev/loop77 disk";
    let shell = |command: &str| {
        let mut shell = Command::new("sh");
        let done = shell.args(["-c", command]).current_dir(lab.path()).status();
        assert!(done.unwrap().success(), "{command}");
    };
    shell(prepare);
    lab.apply(&[]);
    lab.destroy();
    shell("losetup -d /dev/loop77");
    assert_eq!(inventory(), before);

    let text = |host: &str, usage: &str| {
        format!(
            "lab: sources
pools:
  nas: {{type: netfs, path: @DIR@/nas, source: {{host: {host}, dir: /srv/images, format: nfs}}}}
  vg: {{type: logical, source: {{name: none, device: [/dev/loop78, /dev/loop79]}}}}
  own: {{type: logical}}
  disk: {{type: disk, source: {{device: /dev/loop77, format: gpt}}}}
  san:
    type: iscsi
    source:
      host: {{name: 192.0.2.1, port: 3260}}
      device: iqn.2026-01.test:disks
      initiator: iqn.2026-01.test:host
      auth: {{username: me, secret: {{usage: {usage}}}}}
"
        )
    };
    let beside = ["active", "autostart"];
    for (host, usage) in [("192.0.2.1", "a"), ("192.0.2.2", "b"), ("192.0.2.1", "a")] {
        lab.define(&text(host, usage));
        lab.fails(&["apply", "-y"]);
        for pool in ["nas", "vg", "own", "disk", "san"] {
            let left = lab.attributes(&format!("pool.{pool}"));
            let left: Vec<&String> = left
                .iter()
                .filter(|it| !beside.contains(&it.as_str()))
                .collect();
            assert_eq!(left, [""; 0], "{pool}");
        }
    }
    lab.destroy();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_volume_made_anew_leaves_nothing_behind_and_stays_with_its_guest() {
    let text = |name: &str, format: &str| {
        format!(
            "lab: rename
pools: {{rename: {{path: @DIR@/pool}}}}
guests:
  one:
    name: {name}
    memory: 64MiB
    shutdown_timeout: 1s
    disks: {{data: {{pool: rename, size: 8MiB, format: {format}}}}}
"
        )
    };
    let lab = Lab::new(&text("one", "qcow2"));
    lab.apply(&[]);
    let files = || std::fs::read_dir(lab.path().join("pool")).unwrap().count();
    lab.define(&text("one", "raw"));
    let refusal = lab.fails(&["apply", "-y"]);
    let hint = "--allow-data-loss volume.one.data";
    assert!(refusal.contains(hint), "{refusal}");
    lab.apply(&["--allow-data-loss", "volume.one.data"]);
    assert_eq!(files(), 1);
    // A guest with another name keeps its disks.
    lab.define(&text("two", "raw"));
    lab.apply(&[]);
    assert_eq!(files(), 1);
    lab.destroy();
    assert!(!lab.path().join("pool").exists());
}

/// What was seen at the last apply spares looking; a template that changes since has its say all the same.
#[test]
#[ignore = "needs scripts/sandbox"]
fn a_template_that_changes_is_seen_after_everything_was() {
    let lab = Lab::new(PLAIN);
    lab.apply(&[]);
    let templates = lab.path().join("templates/libvirt");
    fs::create_dir_all(&templates).unwrap();
    for title in ["one", "two"] {
        let built_in = include_str!("../../templates/libvirt/domain.xml.j2");
        let titled = format!("<title>{title}</title>\n  <memory ");
        let text = built_in.replacen("<memory ", &titled, 1);
        fs::write(templates.join("domain.xml.j2"), text).unwrap();
        // Long enough that the file's time tells.
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(lab.attributes("guest.devices"), ["title"]);
        lab.apply(&[]);
    }
    lab.destroy();
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_password_is_told_nowhere_and_its_change_is_a_change() {
    let before = inventory();
    let with = |passwd: &str| {
        format!(
            "lab: passwd\nguests:\n  one:\n    running: false\n    memory: 16MiB\n    \
             xml: <domain><devices><graphics type='vnc' port='-1' passwd='{passwd}'/></devices></domain>\n"
        )
    };
    let quiet = |lab: &Lab, arguments: &[&str]| {
        let output = lab.run(arguments);
        let told = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        let told = told.concat();
        assert!(!told.contains("S3CRET"), "{arguments:?}: {told}");
        told
    };
    let lab = Lab::new(&with("S3CRET1"));
    quiet(&lab, &["plan", "--diff"]);
    quiet(&lab, &["apply", "-y", "--diff"]);
    lab.is_settled();
    lab.define(&with("S3CRET2"));
    for arguments in [&["plan"][..], &["plan", "--diff"], &["plan", "--json"]] {
        let told = quiet(&lab, arguments);
        assert!(told.contains("(hidden), changed"), "{told}");
    }
    let shown = lab.ok(&["plan", "--show-secrets", "--diff"]);
    for part in ["S3CRET1 -> S3CRET2", "passwd='S3CRET1'", "passwd='S3CRET2'"] {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
    quiet(&lab, &["apply", "-y", "--json"]);
    lab.is_settled();
    // What others made of it is as little told.
    let xml = virsh(&["dumpxml", "--security-info", "--inactive", "one"]);
    let file = lab.path().join("other.xml");
    fs::write(&file, xml.replace("S3CRET2", "S3CRET3")).unwrap();
    virsh(&["define", file.to_str().unwrap()]);
    for arguments in [&["--refresh-only"][..], &["--refresh-only", "--json"], &[]] {
        let told = quiet(&lab, &[&["plan"], arguments].concat());
        assert!(told.contains("(hidden), changed"), "{told}");
    }
    let state = fs::metadata(lab.path().join("state/passwd.toml")).unwrap();
    assert_eq!(state.permissions().mode() & 0o777, 0o600);
    lab.destroy();
    assert_eq!(inventory(), before);
}

const SCSI: &str = "
lab: scsi
pools: {scsi: {path: @DIR@/pool}}
common: {memory: 64MiB, shutdown_timeout: 0s}
guests:
  on:
    disks: {root: {pool: scsi, size: 8MiB, bus: scsi}}
  off:
    running: false
    disks: {root: {pool: scsi, size: 8MiB, bus: scsi}, cd: {device: cdrom, bus: scsi}}
";

/// The model of a guest's SCSI controller.
fn scsi_model(guest: &str) -> Option<String> {
    let guest = domain(guest);
    let devices = guest.child("devices").unwrap();
    let mut controllers = devices.children_named("controller");
    let scsi = controllers.find(|it| it.attribute("type") == Some("scsi"))?;
    scsi.attribute("model").map(str::to_owned)
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn scsi_is_virtio_scsi_and_guests_with_another_controller_keep_it() {
    let lab = Lab::new(SCSI);
    // As of old: libvirt chooses.
    let template = include_str!("../../templates/libvirt/domain.xml.j2");
    let old = template.replace("{%- if scsi_controller %}", "{%- if false %}");
    assert_ne!(old, template);
    let templates = lab.path().join("templates/libvirt");
    fs::create_dir_all(&templates).unwrap();
    fs::write(templates.join("domain.xml.j2"), old).unwrap();
    lab.apply(&[]);
    let models = || ["on", "off"].map(|guest| scsi_model(guest).unwrap());
    assert_eq!(models(), ["lsilogic", "lsilogic"]);
    let id = virsh(&["domid", "on"]);

    fs::remove_dir_all(templates).unwrap();
    lab.is_settled();
    let more = "  new: {running: false, disks: {root: {pool: scsi, size: 8MiB, bus: scsi}}}\n";
    lab.define(&(SCSI.to_owned() + more));
    lab.apply(&[]);
    assert_eq!(models(), ["lsilogic", "lsilogic"]);
    assert_eq!(scsi_model("new").as_deref(), Some("virtio-scsi"));
    lab.define(SCSI);
    lab.apply(&["--allow-data-loss", "volume.new.root"]);
    let described = SCSI.replace("common: {", "common: {description: new, ");
    lab.define(&described);
    let told = lab.apply(&[]);
    assert!(
        told.contains("its SCSI controller stays `lsilogic`"),
        "{told}"
    );
    assert_eq!(models(), ["lsilogic", "lsilogic"]);
    assert_eq!(virsh(&["domid", "on"]), id);

    let xml = "<domain><devices><controller type='scsi' index='0' model='virtio-scsi'/></devices></domain>";
    let with_xml = format!("common: {{xml: \"{xml}\", ");
    lab.define(&described.replace("common: {", &with_xml));
    lab.apply(&[]);
    assert_eq!(models(), ["virtio-scsi", "virtio-scsi"]);
    assert_ne!(virsh(&["domid", "on"]), id);
    lab.define(&described);
    lab.is_settled();

    lab.destroy();
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_scsi_controller_comes_with_its_first_disk_and_goes_with_its_last() {
    let with = |disk: &str| {
        format!(
            "lab: scsi\npools: {{scsi: {{path: @DIR@/pool}}}}\ncommon: {{memory: 64MiB, shutdown_timeout: 0s, disks: {{{disk}}}}}\n\
             guests: {{on: {{}}, off: {{running: false}}}}\n"
        )
    };
    let lab = Lab::new(&with(""));
    lab.apply(&[]);
    let models = || ["on", "off"].map(scsi_model);
    assert_eq!(models(), [None, None]);
    let one = "one: {pool: scsi, size: 8MiB, bus: scsi, keep: true}";
    lab.define(&with(one));
    lab.apply(&[]);
    let virtio = || Some("virtio-scsi".to_owned());
    assert_eq!(models(), [virtio(), virtio()]);
    let id = virsh(&["domid", "on"]);
    lab.define(&with(&format!(
        "{one}, two: {{pool: scsi, size: 8MiB, bus: scsi, keep: true}}"
    )));
    lab.apply(&["--max-disruption", "live"]);

    // Without disks it is no reason to restart a guest.
    lab.define(&with(""));
    let output = lab.run(&["plan"]);
    assert!(!String::from_utf8_lossy(&output.stdout).contains("restart"));
    lab.define(&with("").replace("on: {}", "on: {running: false}"));
    lab.apply(&[]);
    assert_eq!(models(), [None, None]);
    assert_ne!(virsh(&["domid", "on"]), id);
    lab.destroy();
}
