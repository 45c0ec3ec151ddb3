//! What others change, kind by kind: whose it is stands in `xml::whose`, and nothing is unseen.

use std::fs;
use std::process::Command;

use miniascape::plan::whose::{self, Whose};
use miniascape::xml::tree::Element;
use serde_json::Value;

use crate::daemon::output;
use crate::lab::{Lab, inventory, virsh, virsh_xml};

const LAB: &str = "lab: drift
networks:
  front: {mode: isolated, address: 192.168.167.1/24, dhcp: {start: 192.168.167.100, end: 192.168.167.200}}
  out: {mode: nat, address: 192.168.168.1/24, domain: drift.test}
  lan: {mode: bridge, bridge: br-drift}
pools: {store: {path: @DIR@/pool}}
common: {memory: 32MiB, shutdown_timeout: 1s, graphics: {type: vnc}}
guests:
  off:
    running: false
    disks: {root: {pool: store, size: 1MiB}, cd: {device: cdrom}, plain: {pool: store, size: 1MiB, format: raw}}
    interfaces: {eth0: {network: front}}
  bare:
    running: false
    graphics: null
    iothreads: 2
    disks: {first: {pool: store, size: 1MiB, boot: 1}, other: {pool: store, size: 1MiB}}
    interfaces: {eth0: {network: front}}
    hostdevs: {gpu: \"0000:01:00.0\", stick: \"046d:c52b\"}
    shares: {code: {source: /srv, driver: 9p}}
  on:
    disks: {root: {pool: store, size: 1MiB}, cd: {device: cdrom}, plain: {pool: store, size: 1MiB, format: raw}}
    interfaces: {eth0: {network: front, ip: 192.168.167.11}}
";

/// What somebody does.
enum Deed {
    /// To the definition of a guest: in front of the first, the second is put in.
    Define(&'static str, &'static str),
    /// To that of a guest without graphics.
    Bare(&'static str, &'static str),
    /// To that of a guest, the first becomes the second.
    Change(&'static str, &'static str),
    /// To the definition of the guest that runs, which is started again with it.
    Restart(&'static str, &'static str),
    /// To what the guest `on` runs with, and not to its definition, by a command of virsh.
    Live(&'static [&'static str]),
    /// To the definition of a network: in front of the first, the second is put in.
    Network(&'static str, &'static str, &'static str),
    /// To that of a network or the pool: the first becomes the second.
    Redefine(&'static str, &'static str, &'static str),
    /// To a volume, by a command of the shell in the directory of its pool.
    File(&'static str, &'static str),
}
use Deed::{Bare, Change, Define, File, Live, Network, Redefine, Restart};

const DEVICES: &str = "</devices>";
const DISK: &str = "<target dev='vda' bus='virtio'/>";
const MARK: &str = "<metadata>\n    <miniascape:resource xmlns:miniascape=\"urn:miniascape:1\" lab=\"drift\" address=\"@ADDRESS@\"/>";
const CPU: &str = "<cpu mode='maximum' check='none'/>";
const NIC: &str = "<model type='virtio'/>\n      <alias name='ua-eth0'/>";

const MADE: &str = "how a volume was made, how much of it is written, and to whom its file belongs: libvirt learns that late, and gives \
                    the file to QEMU's user";

/// What the definition or a template says, or what is in a list that is the lab's.
const SAID: &str = "what is said";

/// What the table does not speak of.
const ELSE: &str = "all else";

/// Each kind, with the part of the table that it belongs to.
const KINDS: &[(&str, Deed)] = &[
    ("title", Define("<memory ", "<title>a</title>")),
    (
        "description",
        Define("<memory ", "<description>a</description>"),
    ),
    (
        "boot.kernel, boot.initrd, boot.cmdline",
        Define(
            "<boot dev='hd'/>",
            "<kernel>/bin/true</kernel><initrd>/bin/true</initrd><cmdline>a</cmdline>",
        ),
    ),
    (
        "boot.order",
        Define("<boot dev='hd'/>", "<boot dev='network'/>"),
    ),
    (
        "firmware",
        Define(
            "<boot dev='hd'/>",
            "<loader readonly='yes' type='rom'>/usr/share/bios.bin</loader>",
        ),
    ),
    ("firmware", Change("<os>", "<os firmware='efi'>")),
    ("disks.*.readonly", Define(DISK, "<readonly/>")),
    (
        "disks.*.shareable",
        Define("<target dev='vdb' bus='virtio'/>", "<shareable/>"),
    ),
    (
        "disks.*.cache",
        Define(
            " discard='unmap'/>\n      <source file='@DIR@/pool/@GUEST@.root",
            " cache='unsafe'",
        ),
    ),
    (
        "disks.*.path",
        Define(
            "<target dev='sda' bus='sata'/>",
            "<source file='@DIR@/medium'/>",
        ),
    ),
    (
        "disks.*.path",
        Live(&[
            "change-media",
            "on",
            "sda",
            "@DIR@/medium",
            "--insert",
            "--live",
        ]),
    ),
    ("interfaces.*.mtu", Define(NIC, "<mtu size='1400'/>")),
    ("interfaces.*.link", Define(NIC, "<link state='down'/>")),
    (
        "interfaces.*.link",
        Live(&["domif-setlink", "on", "@MAC@", "down"]),
    ),
    (
        "interfaces.*.bandwidth",
        Define(NIC, "<bandwidth><inbound average='100'/></bandwidth>"),
    ),
    (
        "hostdevs.*.rom",
        Bare("<alias name='ua-gpu'/>", "<rom bar='off'/>"),
    ),
    (
        "hostdevs.*.boot",
        Bare("<alias name='ua-gpu'/>", "<boot order='7'/>"),
    ),
    (
        "hostdevs.*.optional",
        Bare(">\n        <vendor", " startupPolicy='optional'"),
    ),
    (
        "shares.*.driver",
        Bare("<source dir='/srv'/>", "<driver type='path'/>"),
    ),
    (
        "shares.*.readonly",
        Bare("<alias name='ua-code'/>", "<readonly/>"),
    ),
    (
        "graphics",
        Bare(DEVICES, "<graphics type='vnc' autoport='yes'/>"),
    ),
    (
        "graphics, graphics.listen",
        Change(
            "<listen type='address'/>",
            "<listen type='address' address='0.0.0.0'/>",
        ),
    ),
    (
        "video",
        Bare(DEVICES, "<video><model type='virtio'/></video>"),
    ),
    ("video.heads", Change("heads='1'", "heads='2'")),
    (
        "video.vram",
        Change(
            "<model type='virtio' heads='1'",
            "<model type='virtio' vram='8192' heads='1'",
        ),
    ),
    (
        "video.resolution",
        Change(
            "<model type='virtio' heads='1' primary='yes'/>",
            "<model type='virtio' heads='1' primary='yes'><resolution x='800' y='600'/></model>",
        ),
    ),
    (
        "video.accel3d",
        Change(
            "<model type='virtio' heads='1' primary='yes'/>",
            "<model type='virtio' heads='1' primary='yes'><acceleration accel3d='yes'/></model>",
        ),
    ),
    (
        "vsock",
        Define(DEVICES, "<vsock model='virtio'><cid auto='yes'/></vsock>"),
    ),
    (
        "graphics, graphics.listen",
        Restart(
            "<listen type='address'/>",
            "<listen type='address' address='0.0.0.0'/>",
        ),
    ),
    (
        "boot.order",
        Restart("<boot dev='hd'/>", "<boot dev='network'/>"),
    ),
    (
        "disks.*.cache",
        Restart(
            "<driver name='qemu' type='qcow2'",
            "<driver name='qemu' type='qcow2' cache='unsafe'",
        ),
    ),
    (
        "watchdog",
        Restart(
            DEVICES,
            "<watchdog model='i6300esb' action='reset'/></devices>",
        ),
    ),
    (
        SAID,
        Define(
            DEVICES,
            "<disk type='file' device='disk'><source file='@DIR@/medium'/><target dev='vdx' bus='virtio'/></disk>",
        ),
    ),
    (
        SAID,
        Define(
            DEVICES,
            "<interface type='network'><source network='front'/></interface>",
        ),
    ),
    (
        SAID,
        Define(
            DEVICES,
            "<filesystem type='mount'><source dir='@DIR@'/><target dir='lab'/></filesystem>",
        ),
    ),
    (SAID, Change(">/dev/urandom", ">/dev/random")),
    (
        "how else firmware, media, graphics and video cards are given",
        Change("autoport='yes'", "autoport='yes' keymap='de'"),
    ),
    (
        "how else firmware, media, graphics and video cards are given",
        Change(
            "primary='yes'/>\n",
            "primary='yes'/>\n      <driver ats='on'/>\n",
        ),
    ),
    (
        "QEMU's own command line",
        Define(
            "</domain>",
            "<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><qemu:arg value='-snapshot'/></qemu:commandline>",
        ),
    ),
    (
        "`on_poweroff` and its kin",
        Change("<on_poweroff>destroy", "<on_poweroff>restart"),
    ),
    (
        "`on_poweroff` and its kin",
        Change("<on_reboot>restart", "<on_reboot>destroy"),
    ),
    (
        "`on_poweroff` and its kin",
        Change("<on_crash>destroy", "<on_crash>preserve"),
    ),
    (
        "the clock",
        Change("<clock offset='utc'", "<clock offset='localtime'"),
    ),
    (
        "disks.*.limit",
        Define(DISK, "<iotune><total_iops_sec>5</total_iops_sec></iotune>"),
    ),
    ("disks.*.serial", Define(DISK, "<serial>a</serial>")),
    (
        "disks.*.discard",
        Change(
            " discard='unmap'/>\n      <source file='@DIR@/pool/@GUEST@.root",
            "/>\n      <source file='@DIR@/pool/@GUEST@.root",
        ),
    ),
    (
        "disks.*.iothread",
        Bare(" discard='unmap'/>", " iothread='1'"),
    ),
    (
        "disks.*.boot",
        Bare("<alias name='ua-other'/>", "<boot order='5'/>"),
    ),
    (
        "interfaces.*.boot",
        Bare("<alias name='ua-eth0'/>", "<boot order='6'/>"),
    ),
    (
        "interfaces.*.portgroup",
        Change(
            "<source network='front'/>",
            "<source network='front' portgroup='a'/>",
        ),
    ),
    (
        "disks.*.io",
        Define(
            " discard='unmap'/>\n      <source file='@DIR@/pool/@GUEST@.root",
            " io='threads'",
        ),
    ),
    ("how else a disk is driven", Define(DISK, "<transient/>")),
    (
        "interfaces.*.filter",
        Define(NIC, "<filterref filter='clean-traffic'/>"),
    ),
    (
        "how else a NIC is driven",
        Define(NIC, "<driver name='qemu' txmode='iothread'/>"),
    ),
    ("interfaces.*.queues", Define(NIC, "<driver queues='2'/>")),
    (
        "rng",
        Define(
            DEVICES,
            "<rng model='virtio'><backend model='builtin'/></rng>",
        ),
    ),
    (
        "channels, consoles and serial ports",
        Live(&["attach-device", "on", "@DIR@/channel.xml", "--live"]),
    ),
    (
        "watchdog",
        Define(DEVICES, "<watchdog model='i6300esb' action='reset'/>"),
    ),
    (
        "tpm",
        Define(
            DEVICES,
            "<tpm model='tpm-tis'><backend type='passthrough'><device path='/dev/tpm0'/></backend></tpm>",
        ),
    ),
    (
        "channels, consoles and serial ports",
        Define(
            DEVICES,
            "<channel type='pty'><target type='virtio' name='a'/></channel>",
        ),
    ),
    (
        "channels, consoles and serial ports",
        Define(DEVICES, "<serial type='pty'><target port='1'/></serial>"),
    ),
    (
        "channels, consoles and serial ports",
        Define(
            DEVICES,
            "<console type='pty'><target type='virtio' port='1'/></console>",
        ),
    ),
    ("input", Define(DEVICES, "<input type='tablet' bus='usb'/>")),
    ("sound", Define(DEVICES, "<sound model='ich9'/>")),
    (
        "where sound goes",
        Change("<audio id='1' type='none'/>", "<audio id='1' type='oss'/>"),
    ),
    (
        "how else processors are shared out",
        Define("<os>", "<cputune><period>200000</period></cputune>"),
    ),
    (
        "tuning.cpu_shares, tuning.cpu_limit",
        Define(
            "<os>",
            "<cputune><shares>512</shares><global_quota>50000</global_quota></cputune>",
        ),
    ),
    (
        "tuning.io_weight",
        Define("<os>", "<blkiotune><weight>800</weight></blkiotune>"),
    ),
    (
        "tuning.memory_limit, tuning.memory_soft_limit, tuning.swap_limit",
        Define(
            "<vcpu ",
            "<memtune><hard_limit unit='GiB'>1</hard_limit><soft_limit unit='GiB'>1</soft_limit>\
             <swap_hard_limit unit='GiB'>2</swap_hard_limit></memtune>",
        ),
    ),
    (
        "pin.vcpus.*, pin.emulator",
        Define(
            "<os>",
            "<cputune><vcpupin vcpu='0' cpuset='0'/><emulatorpin cpuset='0'/></cputune>",
        ),
    ),
    (
        "pin.iothreads.*",
        Bare(
            "<os>",
            "<cputune><iothreadpin iothread='1' cpuset='0'/></cputune>",
        ),
    ),
    (
        "pin.memory",
        Define(
            "<os>",
            "<numatune><memory mode='strict' nodeset='0'/></numatune>",
        ),
    ),
    (
        "hugepages",
        Define("<os>", "<memoryBacking><hugepages/></memoryBacking>"),
    ),
    (
        "cpu.topology",
        Change(
            CPU,
            "<cpu mode='maximum'><topology sockets='1' dies='1' cores='1' threads='1'/></cpu>",
        ),
    ),
    (
        "cpu.features.*",
        Change(
            CPU,
            "<cpu mode='maximum'><feature policy='disable' name='avx'/></cpu>",
        ),
    ),
    (
        "numa",
        Change(
            CPU,
            "<cpu mode='maximum'><numa><cell id='0' cpus='0' memory='32' unit='MiB'/></numa></cpu>",
        ),
    ),
    ("iothreads", Define("<os>", "<iothreads>2</iothreads>")),
    (
        "what else backs the memory",
        Define("<os>", "<memoryBacking><locked/></memoryBacking>"),
    ),
    ("features", Define("</features>", "<pae/>")),
    ("panic", Define(DEVICES, "<panic model='isa'/>")),
    (
        "how else machine and processor are",
        Define("</features>", "<ioapic driver='qemu'/>"),
    ),
    ("metadata", Define("</metadata>", "<a:b xmlns:a='urn:a'/>")),
    (SAID, Change(MARK, "<metadata>")),
    (
        "addresses, names and namespaces that things are told by",
        Change("bus='0x01' slot='0x00'", "bus='0x0e' slot='0x00'"),
    ),
    (
        "controllers, and the profile that an emulated TPM began with",
        Define(DEVICES, "<controller type='scsi' model='virtio-scsi'/>"),
    ),
    (
        "the chain of files below a disk, and copies under way",
        Define(DISK, "<backingStore/>"),
    ),
    (
        "each processor by itself, and its resources",
        Define(
            "<os>",
            "<vcpus><vcpu id='0' enabled='yes' hotpluggable='no'/></vcpus>",
        ),
    ),
    (
        "each processor by itself, and its resources",
        Define("<os>", "<resource><partition>/lab</partition></resource>"),
    ),
    (
        "mode, dev",
        Network("front", "<bridge ", "<forward mode='nat'/>"),
    ),
    (
        "mode, dev",
        Redefine("out", "<forward mode='nat'", "<forward mode='route'"),
    ),
    ("mtu", Network("front", "<ip ", "<mtu size='1400'/>")),
    (
        "domain",
        Network("front", "<ip ", "<domain name='a.test'/>"),
    ),
    (
        "bridge",
        Redefine("front", "<bridge name='", "<bridge name='x"),
    ),
    (
        "vlan, openvswitch",
        Network(
            "lan",
            "</network>",
            "<virtualport type='openvswitch'/><vlan><tag id='7'/></vlan>",
        ),
    ),
    ("tftp", Network("front", "<dhcp>", "<tftp root='/srv'/>")),
    ("bootp", Network("front", "</dhcp>", "<bootp file='a'/>")),
    (
        "dhcp.lease",
        Redefine(
            "front",
            "end='192.168.167.200'/>",
            "end='192.168.167.200'><lease expiry='5' unit='minutes'/></range>",
        ),
    ),
    ("dns.enabled", Network("out", "<ip ", "<dns enable='no'/>")),
    (
        SAID,
        Network(
            "out",
            "<ip ",
            "<dns><forwarder addr='192.168.167.9'/></dns>",
        ),
    ),
    (
        SAID,
        Network("out", "<ip ", "<dns><txt name='a' value='b'/></dns>"),
    ),
    (
        SAID,
        Network(
            "out",
            "<ip ",
            "<dns><host ip='192.168.167.9'><hostname>a</hostname></host></dns>",
        ),
    ),
    (
        SAID,
        Network("front", "</network>", "<portgroup name='a'/>"),
    ),
    (
        SAID,
        Network(
            "front",
            "</network>",
            "<route address='10.9.0.0' prefix='24' gateway='192.168.167.9'/>",
        ),
    ),
    (
        SAID,
        Network(
            "front",
            "</network>",
            "<dnsmasq:options xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0'><dnsmasq:option value='log-queries'/></dnsmasq:options>",
        ),
    ),
    (SAID, Redefine("front", MARK, "<metadata>")),
    (
        "metadata",
        Network("front", "</metadata>", "<a:b xmlns:a='urn:a'/>"),
    ),
    (
        "how else a network is forwarded",
        Redefine(
            "out",
            "<forward mode='nat'/>",
            "<forward mode='nat'><nat><port start='2000' end='3000'/></nat></forward>",
        ),
    ),
    (
        "how a bridge is driven",
        Redefine("front", "delay='0'", "delay='4'"),
    ),
    (
        "how a bridge is driven",
        Redefine("front", "<mac address='52:54:00", "<mac address='52:54:01"),
    ),
    (
        "bandwidth",
        Network(
            "front",
            "<ip ",
            "<bandwidth><inbound average='100'/></bandwidth>",
        ),
    ),
    (
        "who may open a pool's directory",
        Redefine("store", "<mode>0711", "<mode>0755"),
    ),
    (
        "how full a pool is",
        File("off.root.qcow2", "head -c 1M /dev/urandom >../more"),
    ),
    (
        "who may open a volume's file",
        File("off.root.qcow2", "chmod 666 off.root.qcow2"),
    ),
    (
        ELSE,
        Change("<memballoon model='virtio'", "<memballoon model='none'"),
    ),
    (
        ELSE,
        Define("<devices>", "<pm><suspend-to-disk enabled='yes'/></pm>"),
    ),
    (
        ELSE,
        Define("<devices>", "<seclabel type='none' model='dac'/>"),
    ),
    (ELSE, Redefine("out", "<network>", "<network ipv6='yes'>")),
    (MADE, File("off.root.qcow2", "chown 1:1 off.root.qcow2")),
    (
        MADE,
        File(
            "off.plain.raw",
            "dd if=/dev/urandom of=off.plain.raw bs=64k count=1 conv=notrunc",
        ),
    ),
    (
        "what a volume is: its size, format and base",
        File(
            "off.plain.raw",
            "dd if=off.root.qcow2 of=off.plain.raw bs=512 count=1 conv=notrunc",
        ),
    ),
];

/// What a plan does about a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Mended,
    Shown,
    Quiet,
}

impl Outcome {
    fn of(whose: Whose) -> Self {
        match whose {
            Whose::Lab => Outcome::Mended,
            Whose::Others => Outcome::Shown,
            Whose::Libvirt => Outcome::Quiet,
        }
    }
}

/// What a plan does about what was done to a resource. `--refresh-only` has to tell of it just where a plan does.
fn outcome(lab: &Lab, address: &str, deed: &Deed) -> Outcome {
    let is_it = |resource: &&Value| resource["address"] == *address;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let changes = list(&lab.plan()["changes"]);
    let change = changes.iter().find(is_it).cloned().unwrap_or_default();
    let has = |name: &str| !list(&change[name]).is_empty();
    let outcome = match change["action"].as_str() {
        Some(action) if action != "none" => Outcome::Mended,
        _ if has("foreign") => Outcome::Shown,
        _ if matches!(deed, Live(_)) && has("pending_restart") => Outcome::Shown,
        _ => Outcome::Quiet,
    };
    let drift = lab.ok(&["plan", "--refresh-only", "--json"]);
    let drift: Value = serde_json::from_str(&drift).unwrap();
    let is_told = list(&drift["resources"]).iter().any(|it| is_it(&it));
    assert_eq!(outcome != Outcome::Quiet, is_told, "{address}: {change:#}");
    outcome
}

/// An object of the lab: its address, and how libvirt is asked for it and given another.
struct Object {
    address: String,
    dump: Vec<&'static str>,
    define: &'static str,
}

impl Object {
    fn text(&self) -> String {
        virsh(&self.dump)
    }

    /// All of it but for what is libvirt's own.
    fn look(&self) -> Element {
        whose::beside(&Element::parse(&self.text()).unwrap(), None)
    }
}

fn is_other(was: &Element, is: &Element) -> bool {
    !whose::changed(was, None, is, &[]).is_empty()
}

/// What it is done to.
fn objects(deed: &Deed, whose: Whose) -> Vec<Object> {
    let object = |address: String, dump: &[&'static str], define| Object {
        address,
        dump: dump.to_vec(),
        define,
    };
    let guest = |name: &'static str| {
        object(
            format!("guest.{name}"),
            &["dumpxml", "--inactive", name],
            "define",
        )
    };
    match deed {
        Define(..) | Change(..) if whose == Whose::Lab => vec![guest("off"), guest("on")],
        // With the one that runs, it would wait for a restart besides.
        Define(..) | Change(..) => vec![guest("off")],
        Bare(..) => vec![guest("bare")],
        Restart(..) => vec![guest("on")],
        Live(_) => vec![object("guest.on".to_owned(), &["dumpxml", "on"], "define")],
        Redefine(name @ "store", ..) => {
            let dump = ["pool-dumpxml", "--inactive", name];
            vec![object(format!("pool.{name}"), &dump, "pool-define")]
        }
        Network(name, ..) | Redefine(name, ..) => {
            let dump = ["net-dumpxml", "--inactive", name];
            vec![object(format!("network.{name}"), &dump, "net-define")]
        }
        File(name, _) => {
            let disk = name.rsplit_once('.').unwrap().0;
            let dump = ["vol-dumpxml", name, "store"];
            vec![object(format!("volume.{disk}"), &dump, "vol-create")]
        }
    }
}

fn do_it(lab: &Lab, deed: &Deed, object: &Object) {
    let (_, name) = object.address.split_once('.').unwrap();
    let filled = |text: &str| {
        text.replace("@DIR@", lab.path().to_str().unwrap())
            .replace("@GUEST@", name)
            .replace("@ADDRESS@", &object.address)
    };
    let define = |from: &str, to: &str| {
        let (was, from) = (object.text(), filled(from));
        assert!(was.contains(&from), "there is no {from} in {was}");
        virsh_xml(object.define, &was.replacen(&from, &filled(to), 1));
    };
    match deed {
        Define(before, put) | Bare(before, put) | Network(_, before, put) => {
            define(before, &format!("{put}{before}"))
        }
        Change(from, to) | Redefine(_, from, to) => define(from, to),
        Restart(from, to) => {
            define(from, to);
            restart();
        }
        Live(command) => {
            let nics = virsh(&["domiflist", "on"]);
            let mac = nics.split_whitespace().find(|word| word.contains(':'));
            let filled = |part: &&str| filled(part).replace("@MAC@", mac.unwrap());
            let command: Vec<String> = command.iter().map(filled).collect();
            virsh(&command.iter().map(String::as_str).collect::<Vec<_>>());
        }
        File(_, command) => {
            let mut shell = Command::new("sh");
            shell
                .args(["-c", command])
                .current_dir(lab.path().join("pool"));
            assert!(output(&mut shell).status.success(), "{command}");
            virsh(&["pool-refresh", "store"]);
        }
    }
}

fn restart() {
    virsh(&["destroy", "on"]);
    virsh(&["start", "on"]);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn what_others_change_is_mended_or_shown_or_libvirts_own() {
    let before = inventory();
    let lab = Lab::new(LAB);
    fs::write(lab.path().join("medium"), vec![0; 1 << 20]).unwrap();
    let channel = "<channel type='pty'><target type='virtio' name='b'/></channel>";
    fs::write(lab.path().join("channel.xml"), channel).unwrap();
    lab.apply(&[]);

    let mut counts = [0; 3];
    let mut others: Vec<String> = Vec::new();
    let all: Vec<(&str, Whose)> = whose::parts().collect();
    for (part, deed) in KINDS {
        let parts: Vec<&str> = part.split(", ").collect();
        let of = |(known, whose): &(&str, Whose)| {
            (known == part || parts.contains(known)).then_some(*whose)
        };
        let whose = match all.iter().find_map(of) {
            Some(whose) => whose,
            None if *part == ELSE => Whose::Others,
            None => {
                assert_eq!(*part, SAID);
                Whose::Lab
            }
        };
        counts[whose as usize] += 1;
        for object in objects(deed, whose) {
            let (was, definition) = (object.look(), object.text());
            do_it(&lab, deed, &object);
            let is = object.look();
            let outcome = outcome(&lab, &object.address, deed);
            lab.apply(&[]);
            let now = object.look();
            let is_right = match whose {
                // A drive that had a medium knows its format.
                Whose::Lab if matches!(deed, Live(_)) => is_other(&is, &now),
                Whose::Lab => !is_other(&was, &now),
                Whose::Others => is_other(&was, &now) && !is_other(&is, &now),
                Whose::Libvirt => true,
            };
            if outcome != Outcome::of(whose) || !is_right {
                let left = whose::changed(&was, None, &now, &[]);
                let left: Vec<&str> = left.iter().map(|it| it.path.as_str()).collect();
                let address = &object.address;
                others.push(format!(
                    "{part}, {address}: {outcome:?}, right after: {is_right}, other than before: {left:?}"
                ));
            }
            // As it was, for the next one.
            let is_live = matches!(deed, Live(_) | Restart(..));
            let is_left = whose != Whose::Lab && !matches!(deed, File(..) | Live(_));
            if is_left {
                virsh_xml(object.define, &definition);
            }
            if is_live {
                restart();
            }
            if is_left || is_live {
                lab.ok(&["apply", "-y"]);
            }
        }
    }
    let [mended, shown, own] = counts;
    println!(
        "kinds: {}, mended: {mended}, shown: {shown}, libvirt's own: {own}, unseen: {}",
        KINDS.len(),
        others.len()
    );
    assert_eq!(others, [""; 0]);
    let is_tried = |part: &str| {
        let mut tried = KINDS.iter().map(|(tried, _)| tried);
        tried.any(|tried| *tried == part || tried.split(", ").any(|it| it == part))
    };
    let untried = all.iter().map(|(part, _)| *part).filter(|it| !is_tried(it));
    assert_eq!(untried.collect::<Vec<_>>(), [""; 0]);

    // What can be put back only without its data is shown, and waits for a consent.
    let root = objects(&File("off.root.qcow2", ""), Whose::Lab).remove(0);
    let over = File("off.root.qcow2", "head -c 1M /dev/zero >off.root.qcow2");
    do_it(&lab, &over, &root);
    assert_eq!(outcome(&lab, &root.address, &over), Outcome::Mended);
    let told = lab.ok(&["plan"]);
    assert!(told.contains("format             raw -> qcow2"), "{told}");
    let told = lab.fails(&["apply", "-y"]);
    assert!(told.contains("--allow-data-loss volume.off.root"), "{told}");
    lab.apply(&["--allow-data-loss", "volume.off.root"]);
    lab.destroy();
    assert_eq!(inventory(), before);
}
