//! A guest as written: `common`, then its groups in order, then its own settings, merged as trees.
//!
//! A later layer's `xml` replaces an earlier one's, as every text does.

use std::collections::BTreeMap;

use super::devices::{Graphics, Input, Rng, SerialPort, Socket, Sound, VideoSpec};
use super::install::{FileSpec, InstallSpec, Seed, TemplateSpec};
use super::machine::{
    ClockSpec, FeaturesSpec, PanicSpec, SecureBootSpec, SwitchOr, TpmSpec, WatchdogSpec,
};
use super::network::{Mtu, VlanTag};
use super::passed::{HostdevSpec, ShareSpec};
use super::processor::{CpuSpec, Hugepages, Numa, PinSpec, TuningSpec};
use super::storage::Formats;
use super::system::SystemSpec;
use super::{LifecycleSpec, Xml};
use crate::diagnostic::{Diagnostic, Span, did_you_mean_of};
use crate::lab::attributes::{
    Address, Attribute, Duration, Keys, Kind, Map, Name, Named, Nested, Object, OneOrList,
    Optional, Switch, Text, Type, Way, Whole, Word, at, has, kinds, named, object, text_of, words,
};
use crate::lab::decode::{Decoder, Given, Spanned};
use crate::lab::load;
use crate::lab::model::{Allocation, Discard, DiskDevice, DomainType, Firmware, Link, OnChange};
use crate::lab::yaml::{Entries, Key, Node, Value};

words! {
    /// Kinds of virtualization.
    DomainTypes: DomainType = ["kvm" => DomainType::Kvm, "qemu" => DomainType::Qemu];
    /// Kinds of firmware.
    Firmwares: Firmware = ["bios" => Firmware::Bios, "uefi" => Firmware::Uefi];
    /// What a guest boots from.
    BootDevices: &'static str = ["hd", "cdrom", "network", "fd"];
    /// What becomes of changes that a running guest cannot take over.
    OnChanges: OnChange = ["restart" => OnChange::Restart, "defer" => OnChange::Defer];
    /// What a disk is.
    DiskDevices: DiskDevice = ["disk" => DiskDevice::Disk, "cdrom" => DiskDevice::Cdrom];
    /// Buses of disks.
    Buses: &'static str = ["virtio", "scsi", "sata", "ide", "usb"];
    /// How much of its pool a volume takes.
    Allocations: Allocation = ["sparse" => Allocation::Sparse, "full" => Allocation::Full];
    /// QEMU's cache modes. <https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms>
    Caches: &'static str = ["default", "none", "writethrough", "writeback", "directsync", "unsafe"];
    /// What becomes of space that a guest frees.
    Discards: Discard = ["unmap" => Discard::Unmap, "ignore" => Discard::Ignore];
    /// How QEMU reads and writes.
    IoModes: &'static str = ["threads", "native", "io_uring"];
    /// How guests on one device of the host see each other. <https://libvirt.org/formatdomain.html#direct-attachment-to-physical-interface>
    DirectModes: &'static str = ["bridge", "vepa", "private", "passthrough"];
    /// Whether a NIC's cable is plugged in.
    Links: Link = ["up" => Link::Up, "down" => Link::Down];
}

kinds! {
    /// The memory of a guest in bytes.
    Memory: u64 = Type::Size, memory;
    /// The size of a disk in bytes.
    DiskSize: u64 = Type::Size, disk_size;
    /// Whether a NIC is on QEMU's own network; that it is not is as good as not given.
    UserNetwork: bool = Type::Boolean, user_network;
    /// Bytes a second.
    BytesPerSecond: u64 = Type::Size, bytes_per_second;
    /// Bytes a second of a disk.
    DiskRate: u64 = Type::Size, disk_rate;
}

/// What is to be said of a NIC that changes while it is plugged in.
const LINK: &str = "the guest sees at most its link go down and up";
/// The same of a disk's limits.
const LIMITS: &str = "`virDomainUpdateDevice` of libvirt 9 refuses other limits, and says of those that go that they are gone, and keeps them";
/// The same of a CD drive.
const MEDIUM: &str = "an error where the guest holds its drive locked";

object! {
    /// A guest as written.
    GuestSpec: "a guest" / "guests", "the settings of a guest" {
        /// Its name in libvirt.
        name: Text [default: "its key"],
        /// The groups whose settings it has; later ones win.
        group: OneOrList<Name>,
        /// The host name of the system inside.
        hostname: Text [default: "the first label of `fqdn`, or of the key"],
        /// The same with its domain.
        fqdn: Text [default: "`hostname` with the domain of its first network that has one"],
        /// A title in a few words.
        title: Text [xml: [at("domain/title").put_back().by(Way::SetMetadata)]],
        /// A description.
        description: Text [xml: [at("domain/description").put_back().by(Way::SetMetadata)]],
        /// Whether KVM or QEMU itself runs it.
        domain_type = "type": Word<DomainTypes> [default: "`kvm` where it works", xml: [at("domain@type")]],
        /// The architecture.
        arch: Text [default: "the host's", xml: [at("domain/os/type@arch")]],
        /// QEMU's machine type.
        machine: Text [default: "`q35` or `virt`", xml: [at("domain/os/type@machine")]],
        /// The processor: a mode, or a map.
        cpu: Nested<CpuSpec> [default: "`host-passthrough` with KVM, else `maximum`"],
        /// How many processors it has.
        vcpus: Whole<u32, 1, 4096> [default: "`1`", xml: [
            at("domain/vcpu@current")
                .by(Way::SetVcpus)
                .when("more, up to the `max_vcpus` that it runs with")
                .more("fewer restart it"),
        ]],
        /// How much memory it has, in whole MiB.
        memory: Memory [default: "`1GiB`", xml: [
            at("domain/currentMemory")
                .by(Way::SetMemory)
                .when("up to the `max_memory` that it runs with")
                .more("the guest's balloon driver gives or takes it, in its own time; beyond that it restarts"),
        ]],
        /// Up to here `vcpus` grows while it runs.
        max_vcpus: Whole<u32, 1, 4096> [default: "`vcpus`", xml: [at("domain/vcpu")]],
        /// Up to here `memory` changes while it runs.
        max_memory: Memory [default: "`memory`", xml: [at("domain/memory")]],
        /// How many I/O threads it has: a disk is on one by its `iothread`.
        iothreads: Whole<u32, 1, 1024> [xml: [at("domain/iothreads").put_back()], follows: ["domain/iothreadids"]],
        /// Its memory is on huge pages of the host, which have to be set aside there: `true` for those of the usual size, or a size such
        /// as `1GiB`.
        hugepages: Hugepages [default: "`false`", xml: [
            at("domain/memoryBacking/hugepages").put_back(),
            at("domain/memoryBacking/hugepages/page"),
            at("domain/memoryBacking/hugepages/page@size"),
        ]],
        /// Its NUMA nodes, in order.
        numa: Numa [default: "one, of all that it has", xml: [
            at("domain/cpu/numa").put_back(),
            at("domain/cpu/numa/cell").named("numa.*"),
        ], follows: ["domain/numatune/memnode"]],
        /// Where on the host it runs: `2-5` for its processors, or a map.
        pin: Nested<PinSpec> [default: "anywhere"],
        /// How much it may have of the host.
        tuning: Nested<TuningSpec>,
        /// The firmware.
        firmware: Word<Firmwares> [default: "`bios` on x86", xml: [at("domain/os@firmware").put_back()],
            follows: ["domain/os/firmware", "domain/os/loader", "domain/os/nvram", "domain/features/smm"]],
        /// It boots only what is signed, by UEFI: `true`, `false`, or a map.
        secure_boot: SwitchOr<SecureBootSpec> [default: "libvirt's choice", xml: [
            at("domain/os/firmware").says("given"),
            at("domain/os/firmware/feature").named("secure_boot.*").says("{@enabled}"),
            at("domain/os/firmware/feature@enabled").named("secure_boot.*"),
        ]],
        /// Its TPM: `true` is an emulated one, or a map.
        tpm: SwitchOr<TpmSpec> [default: "`false`", xml: [at("domain/devices/tpm").put_back().says("{@model} {backend@version} {backend@type}")]],
        /// Its clock: what it shows, or a map.
        clock: Nested<ClockSpec> [default: "`utc`", xml: [at("domain/clock").says("{@timezone|@offset}")]],
        /// Features of the machine.
        features: Nested<FeaturesSpec> [follows: [
            "domain/features/acpi",
            "domain/features/apic",
            "domain/features/pae",
            "domain/features/pmu",
            "domain/features/vmport",
            "domain/features/hap",
            "domain/features/hyperv",
            "domain/features/kvm",
        ]],
        /// A device by which it says that its kernel crashed: `true`, or a model.
        panic: SwitchOr<PanicSpec> [default: "`false`", xml: [at("domain/devices/panic").put_back().says("{@model}")]],
        /// A watchdog: `true`, what it does, or a map.
        watchdog: SwitchOr<WatchdogSpec> [default: "`false`", xml: [at("domain/devices/watchdog").put_back().says("{@model} {@action}")]],
        /// What it boots.
        boot: Nested<BootSpec>,
        /// Disks, by name.
        disks: Map<DiskSpec> [xml: [
            at("domain/devices/disk")
                .says("{target@dev} {source@file|source@dev|source@volume|@device}")
                .by(Way::Plug).whole()
                .when("on virtio, scsi or usb, added or removed"),
            at("domain/devices/disk/alias@name"),
        ]],
        /// NICs, by name.
        interfaces: Map<InterfaceSpec> [xml: [
            at("domain/devices/interface")
                .says("{source@network|source@bridge|source@dev|@type} {mac@address}")
                .by(Way::Plug).whole()
                .when("added or removed"),
            at("domain/devices/interface/alias@name"),
        ]],
        /// Devices of the host that it has to itself, by name.
        hostdevs: Map<HostdevSpec> [xml: [
            at("domain/devices/hostdev")
                .says("{@type} {source/address@uuid}")
                .by(Way::Plug).whole()
                .when("added or removed"),
            at("domain/devices/hostdev/alias@name"),
        ]],
        /// Directories of the host that it sees, by name.
        shares: Map<ShareSpec> [xml: [
            at("domain/devices/filesystem").says("{source@dir} {source@file} {target@dir}"),
            at("domain/devices/filesystem/alias@name"),
            at("domain/memoryBacking/source").named("memoryBacking.source").says("{@type}"),
            at("domain/memoryBacking/access").named("memoryBacking.access").says("{@mode}"),
        ]],
        /// Its display.
        graphics: Graphics [default: "`none`", xml: [at("domain/devices/graphics").put_back().says("{@type}")],
            follows: ["domain/devices/graphics/listen"]],
        /// Its serial port, which is its console: a terminal of the host, or a file there; `none`: it has neither.
        serial: SerialPort [default: "`pty`", xml: [
            at("domain/devices/serial").says("{@type}"),
            at("domain/devices/serial@type").named("serial.type"),
        ]],
        /// Its agent, qemu-guest-agent, can be talked to: by a channel.
        agent: Switch [default: "`true`", xml: [at("domain/devices/channel").named("channel").says("{@type} {target@name}")]],
        /// Its source of randomness: `true`, a device of the host, `builtin`, or a map; `false`: it has none.
        rng: Rng [default: "`/dev/urandom`", xml: [at("domain/devices/rng").put_back().says("{backend|backend@model}")]],
        /// Its video card: a model, or a map; `none`: a display without one.
        video: Optional<VideoSpec> [default: "`virtio` with `graphics`", xml: [
            at("domain/devices/video").put_back().says("{model@type}"),
        ]],
        /// Input devices beside the mouse and keyboard that libvirt gives a PC: with a tablet the pointer of a viewer is where the
        /// guest's is.
        input: OneOrList<Input> [default: "`none`", xml: [at("domain/devices/input").put_back().says("{@type} {@bus}")]],
        /// Its sound card, whose sound comes out of a SPICE display: `true` is `ich9`; `virtio` needs libvirt 10.4.
        sound: Sound [default: "`false`", xml: [
            at("domain/devices/sound").put_back().says("{@model}"),
            at("domain/devices/sound@model"),
        ]],
        /// A socket between it and the host, without a network: by a number of its own, or `true` for one that libvirt chooses.
        vsock: Socket [default: "`false`", xml: [
            at("domain/devices/vsock").put_back().says("{cid@address|cid@auto}"),
            at("domain/devices/vsock/cid@address"),
            at("domain/devices/vsock/cid@auto").named("vsock.auto"),
        ]],
        /// It runs; `false`: it is defined, and off.
        running: Switch [default: "`true`"],
        /// It starts with the host.
        autostart: Switch [default: "`false`"],
        /// Guests after which it starts, and before which it stops.
        depends_on: OneOrList<Name>,
        /// What may become of it.
        lifecycle: Nested<LifecycleSpec>,
        /// How long it has to shut down; then it is stopped by force.
        shutdown_timeout: Duration [default: "`2m`"],
        /// What needs a restart restarts it, or waits for one.
        on_change: Word<OnChanges> [default: "`restart`"],
        /// How it is set up inside.
        system: Nested<SystemSpec>,
        /// Has an installer put a system onto it, unattended.
        install: Optional<InstallSpec>,
        /// Gives it a disk with what cloud-init reads at the first start.
        cloud_init: Seed [xml: [at("volume").by(Way::WriteSeed)]],
        /// Files that the installer or cloud-init puts into it, by name.
        files: Map<FileSpec>,
        /// Templates that `generate` renders into its directory, by name.
        templates: Map<TemplateSpec>,
        /// Values of your own, for templates.
        vars: Variables,
        /// Merged into libvirt's XML.
        xml: Xml,
    }
}

object! {
    /// `boot` as written.
    BootSpec: "`boot`" / "boots", "`{kernel: …}` or `{order: […]}`" {
        /// A kernel that is booted directly; a file of the hypervisor.
        kernel: Text [xml: [at("domain/os/kernel").put_back()]],
        /// Its initrd.
        initrd: Text [xml: [at("domain/os/initrd").put_back()]],
        /// Its command line.
        cmdline: Text [xml: [at("domain/os/cmdline").put_back()]],
        /// What is tried to boot from, in order.
        order: OneOrList<Word<BootDevices>> [xml: [at("domain/os/boot").put_back().says("{@dev}"), at("domain/os/boot@dev")]],
    }
}

object! {
    /// A disk as written.
    DiskSpec: "a disk" / "disks", "the settings of a disk" {
        /// The pool of its volume; needed where the lab makes one. A disk has an `image`, a `size`, a `volume` or a `path`; a CD drive
        /// may be empty.
        pool: Name [default: "that of its image", xml: [at("domain/devices/disk/source@pool"), at("volume/name").named("name").by(Way::ReplaceVolume).when("also by another `pool`")]],
        /// The image that its volume is an overlay of; of a CD what is in the drive.
        image: Name [xml: [
            at("volume/backingStore").says("{path}").by(Way::ReplaceVolume).whole(),
            at("volume/backingStore/path").by(Way::ReplaceVolume),
            at("volume/backingStore/format").named("image.format").by(Way::ReplaceVolume),
            at("volume/backingStore/format@type").named("image.format"),
        ]],
        /// The size of its volume: at least the image's, without one an empty volume.
        size: DiskSize [default: "the image's, if it has one", xml: [
            at("volume/capacity").by(Way::Grow).when("larger"),
            at("volume/capacity").by(Way::ReplaceVolume).when("smaller"),
        ]],
        /// How its bytes are laid out.
        format: Word<Formats> [default: "`qcow2`; of what exists it is found out", xml: [
            at("domain/devices/disk/driver@type"),
            at("volume/target/format").by(Way::ReplaceVolume),
            at("volume/target/format@type"),
        ]],
        /// It takes what is written to it, or all its room when it is made.
        allocation: Word<Allocations> [default: "`sparse`"],
        /// A volume of `pool` that exists, or another guest's: `GUEST.DISK.FORMAT`.
        volume: Text [xml: [at("domain/devices/disk/source@volume")]],
        /// A file or block device of the hypervisor.
        path: Text [xml: [
            at("domain/devices/disk/source").put_back()
                .says("{@network|@bridge|@file|@dev|@volume}")
                .by(Way::UpdateDevice)
                .when("the medium in a CD drive")
                .more(MEDIUM),
            at("domain/devices/disk/source@file"),
            at("domain/devices/disk/source@dev"),
            at("domain/devices/disk@type").put_back()
                .named("disks.*.type")
                .by(Way::UpdateDevice)
                .when("the medium in a CD drive")
                .more(MEDIUM),
        ]],
        /// What the guest takes it for.
        device: Word<DiskDevices> [default: "`disk`", xml: [at("domain/devices/disk@device")]],
        /// The bus that it is on.
        bus: Word<Buses> [default: "`virtio`, of CDs `sata`", xml: [at("domain/devices/disk/target@bus")]],
        /// QEMU's cache mode.
        cache: Word<Caches> [default: "QEMU's", xml: [at("domain/devices/disk/driver@cache").put_back()]],
        /// Whether space that the guest frees is given back.
        discard: Word<Discards> [default: "`unmap` where the guest may write", xml: [
            at("domain/devices/disk/driver@discard").put_back().absent("ignore"),
        ]],
        /// How QEMU reads and writes; `native` takes a `cache` of `none` or `directsync`.
        io: Word<IoModes> [default: "QEMU's", xml: [at("domain/devices/disk/driver@io").put_back()]],
        /// The I/O thread that it is on, one of the guest's `iothreads`; bus virtio only.
        iothread: Whole<u32, 1, 1024> [xml: [at("domain/devices/disk/driver@iothread").put_back()]],
        /// When it is tried to boot from, among the guest's disks, NICs and host devices; instead of the guest's `boot.order`.
        boot: Whole<u32, 1, 65535> [xml: [at("domain/devices/disk/boot").put_back().says("{@order}"), at("domain/devices/disk/boot@order")]],
        /// Its serial number, by which the guest finds it under `/dev/disk/by-id`.
        serial: Text [xml: [at("domain/devices/disk/serial").put_back()]],
        /// How much it may do in a second.
        limit: Nested<LimitSpec> [xml: [
            at("domain/devices/disk/iotune").put_back().by(Way::RestartGuest).more(LIMITS),
        ]],
        /// Several guests may use it at once; raw only.
        shareable: Switch [default: "`false`", xml: [at("domain/devices/disk/shareable").put_back().says("true")]],
        /// The guest cannot write to it.
        readonly: Switch [default: "`false`; of CDs `true`", xml: [at("domain/devices/disk/readonly").put_back().says("true")]],
        /// Neither `destroy` nor leaving the definition deletes its volume.
        keep: Switch [default: "`false`"],
        /// Its device name, which orders the disks of a bus.
        dev: Text [default: "the first free one", xml: [at("domain/devices/disk/target@dev")]],
        /// What may become of its volume.
        lifecycle: Nested<LifecycleSpec>,
        /// Merged into the volume's XML.
        xml: Xml,
    }
}

object! {
    /// `limit` of a disk as written.
    LimitSpec: "`limit`" / "limits", "`{iops: …, total: …}`", after limits_a_disk {
        /// Bytes a second that are read.
        read: DiskRate [xml: [at("domain/devices/disk/iotune/read_bytes_sec")]],
        /// Bytes a second that are written.
        write: DiskRate [xml: [at("domain/devices/disk/iotune/write_bytes_sec")]],
        /// Bytes a second in both directions; instead of `read` and `write`.
        total: DiskRate [xml: [at("domain/devices/disk/iotune/total_bytes_sec")]],
        /// Reads a second.
        read_iops: Whole<u64, 1, MOST_OF_A_DISK> [xml: [at("domain/devices/disk/iotune/read_iops_sec")]],
        /// Writes a second.
        write_iops: Whole<u64, 1, MOST_OF_A_DISK> [xml: [at("domain/devices/disk/iotune/write_iops_sec")]],
        /// Reads and writes a second; instead of `read_iops` and `write_iops`.
        iops: Whole<u64, 1, MOST_OF_A_DISK> [xml: [at("domain/devices/disk/iotune/total_iops_sec")]],
    }
}

/// What QEMU takes as a limit of anything.
const MOST_OF_A_DISK: i64 = 1_000_000_000_000_000;

fn limits_a_disk(_: &mut LimitSpec, d: &mut Decoder<'_>, node: &Node, _: Span) {
    if !LimitSpec::OBJECT.keys.iter().any(|it| has(node, it.key)) {
        d.report(
            Diagnostic::error("`limit` limits nothing")
                .at(node.span)
                .hint("write `iops: 500`, `total: 50MB` or both: a second"),
        );
    }
}

object! {
    /// A NIC as written.
    InterfaceSpec: "a NIC" / "NICs", "the settings of a NIC" {
        /// The network that it is on. A NIC has this, a `bridge`, `direct`, or `user: true`.
        network: Name [xml: [
            at("domain/devices/interface/source").says("{@network|@bridge|@file|@dev|@volume}"),
            at("domain/devices/interface/source@network").by(Way::UpdateDevice).more(LINK),
            at("domain/devices/interface@type")
                .named("interfaces.*.type")
                .by(Way::UpdateDevice)
                .more(LINK)
                .when("from `network` to `bridge` and back"),
        ]],
        /// A bridge of the host, without a network of libvirt's.
        bridge: Text [xml: [at("domain/devices/interface/source@bridge").by(Way::UpdateDevice).more(LINK)]],
        /// A device of the host that it is on by macvtap, without a bridge: by its name, or `{dev: …, mode: …}`.
        direct: Optional<DirectSpec>,
        /// QEMU's own network, for qemu:///session, which may not make others.
        user: UserNetwork [default: "`false`"],
        /// What the guest takes it for.
        model: Text [default: "`virtio`", xml: [at("domain/devices/interface/model@type")]],
        /// Its MAC address.
        mac: Text [default: "derived", xml: [at("domain/devices/interface/mac@address")]],
        /// A DHCP reservation and a DNS name; one IPv4 and one IPv6 address.
        ip: OneOrList<Address>,
        /// A name of its own for `ip`.
        hostname: Text,
        /// `ip` has a name.
        dns: Switch [default: "`true`"],
        /// The MTU in bytes.
        mtu: Mtu [xml: [at("domain/devices/interface/mtu").put_back().says("{@size}"), at("domain/devices/interface/mtu@size")]],
        /// Whether its cable is plugged in.
        link: Word<Links> [default: "`up`", xml: [
            at("domain/devices/interface/link").put_back().says("{@state}").by(Way::UpdateDevice).more(LINK),
            at("domain/devices/interface/link@state"),
        ]],
        /// How fast it may be.
        bandwidth: Nested<BandwidthSpec> [xml: [
            at("domain/devices/interface/bandwidth").put_back().by(Way::UpdateDevice).more(LINK),
        ]],
        /// The portgroup of its network that it belongs to.
        portgroup: Text [default: "the network's default", xml: [at("domain/devices/interface/source@portgroup").put_back()]],
        /// The VLAN that it is in, or a list that it is a trunk of. On a port of Open vSwitch, or by `direct` in mode passthrough on a
        /// virtual function; on a plain bridge with libvirt 11 or newer.
        vlan: OneOrList<VlanTag> [default: "that of its portgroup", xml: [
            at("domain/devices/interface/vlan")
                .says("{tag@id}")
                .by(Way::UpdateDevice)
                .when("on a port of Open vSwitch")
                .more("elsewhere it restarts"),
            at("domain/devices/interface/vlan@trunk").named("interfaces.*.vlan.trunk"),
            at("domain/devices/interface/vlan/tag").says("{@id}"),
        ]],
        /// Its bridge is one of Open vSwitch: `true`, or a map.
        ovs: Ovs [default: "`false`", xml: [
            at("domain/devices/interface/virtualport").says("{@type}"),
            at("domain/devices/interface/virtualport@type"),
            at("domain/devices/interface/virtualport/parameters").says("{@interfaceid} {@profileid}"),
        ]],
        /// A filter of libvirt's that its packets pass: a name, or `{name: …, parameters: …}`.
        filter: Optional<FilterSpec> [xml: [
            at("domain/devices/interface/filterref").put_back().says("{@filter}").by(Way::UpdateDevice),
        ]],
        /// How many queues it has for each direction, at best one for each of `vcpus`; of model virtio.
        queues: Whole<u32, 1, 256> [default: "`1`", xml: [
            at("domain/devices/interface/driver@queues").put_back(),
            at("domain/devices/interface/driver").says("{@queues|@name}"),
        ]],
        /// When it is tried to boot from, among the guest's disks, NICs and host devices; instead of the guest's `boot.order`.
        boot: Whole<u32, 1, 65535> [xml: [
            at("domain/devices/interface/boot").put_back().says("{@order}"),
            at("domain/devices/interface/boot@order"),
        ]],
        /// What the guest says of its addresses counts for the host's device, too: for guests that change their MAC or listen to
        /// others; of model virtio.
        trust_guest_rx_filters: Switch [default: "the network's, or `false`", xml: [
            at("domain/devices/interface@trustGuestRxFilters"),
        ]],
    }
}

object! {
    /// `direct` of a NIC as written.
    DirectSpec: "`direct`" / "devices", "a device of the host such as `eth0`, or `{dev: …, mode: …}`", scalar dev(Text) {
        /// The device of the host.
        dev: Text [needed: "write `dev: eth0`, a device of the host", xml: [at("domain/devices/interface/source@dev")]],
        /// `bridge`: guests on it see each other; `vepa`: by way of the switch that it is plugged into; `private`: not at all;
        /// `passthrough`: the guest has it alone. The host itself sees its guests in none of them.
        mode: Word<DirectModes> [default: "`bridge`", xml: [at("domain/devices/interface/source@mode")]],
    }
}

object! {
    /// `ovs` of a NIC as a map.
    OvsSpec: "`ovs`" / "ports", "`true`, or `{interface_id: …, profile: …}`" {
        /// The UUID that Open vSwitch knows the port by.
        interface_id: Text [default: "made by libvirt", xml: [at("domain/devices/interface/virtualport/parameters@interfaceid")]],
        /// The port's profile there.
        profile: Text [xml: [at("domain/devices/interface/virtualport/parameters@profileid")]],
    }
}

/// Whether a NIC is a port of Open vSwitch, and what is said of it; that it is not is as good as not given.
#[derive(Debug)]
pub struct Ovs;

impl Kind for Ovs {
    type Field = Given<OvsSpec>;
    const TYPE: Type = Type::OneOf(&[Type::Boolean, OvsSpec::TYPE]);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        let value = match node.value {
            Value::Mapping(_) => OvsSpec::decode(d, node, node.span)?,
            Value::Scalar(..) | Value::Sequence(_) => {
                d.boolean(node).filter(|is| is.value)?;
                OvsSpec::default()
            }
        };
        let span = node.span;
        Some(Spanned { value, span })
    }
}

/// Names of variables with their values.
#[derive(Debug)]
pub struct Parameters;

impl Kind for Parameters {
    type Field = Vec<(Spanned<String>, Spanned<String>)>;
    const TYPE: Type = Type::Map(&Type::Text);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        let entries = d.entries(node, "a map of variables and values").into_iter();
        let read = entries.filter_map(|(key, node)| Some((text_of(key), d.text(node)?)));
        read.collect()
    }
}

object! {
    /// `filter` of a NIC as written.
    FilterSpec: "`filter`" / "filters", "a filter such as `clean-traffic`, or `{name: …, parameters: …}`", scalar name(Text) {
        /// Its name in libvirt.
        name: Text [needed: "write `name: clean-traffic`, or another of `virsh nwfilter-list`", xml: [
            at("domain/devices/interface/filterref@filter"),
        ]],
        /// Values of its variables, by their names.
        parameters: Parameters [xml: [
            at("domain/devices/interface/filterref/parameter").says("{@value}"),
            at("domain/devices/interface/filterref/parameter@value"),
        ]],
    }
}

object! {
    /// `bandwidth` of a NIC as written.
    BandwidthSpec: "`bandwidth`" / "bandwidths", "`{inbound: …, outbound: …}`", after limits_something {
        /// What the guest receives.
        inbound: Rate [xml: [at("domain/devices/interface/bandwidth/inbound")]],
        /// What it sends.
        outbound: Rate [xml: [at("domain/devices/interface/bandwidth/outbound")]],
    }
}

fn limits_something(_: &mut BandwidthSpec, d: &mut Decoder<'_>, node: &Node, _: Span) {
    if !has(node, "inbound") && !has(node, "outbound") {
        d.report(
            Diagnostic::error("`bandwidth` limits nothing")
                .at(node.span)
                .hint("write `inbound: 10MB`, `outbound: 10MB` or both: bytes a second"),
        );
    }
}

/// How fast a NIC may be in one direction, as written: bytes a second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateSpec {
    /// `average`
    pub average: Spanned<u64>,
    /// `peak`
    pub peak: Given<u64>,
    /// `burst`
    pub burst: Given<u64>,
}

object! {
    /// A rate as written.
    RateKeys: "a rate" / "rates", "a rate such as `10MB`, or `{average: …, peak: …, burst: …}`",
        scalar average(BytesPerSecond) {
        /// Bytes a second in the long run, which libvirt counts in kB.
        average: BytesPerSecond [needed: "`peak` and `burst` say how far it may be exceeded for a moment"],
        /// Bytes a second at most.
        peak: BytesPerSecond,
        /// Bytes at once at `peak`.
        burst: BytesPerSecond,
    }
}

/// A rate.
#[derive(Debug)]
pub struct Rate;

impl Kind for Rate {
    type Field = Given<RateSpec>;
    const TYPE: Type = RateKeys::TYPE;

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        let RateKeys {
            average,
            peak,
            burst,
        } = RateKeys::decode(d, node, node.span)?;
        Some(Spanned {
            value: RateSpec {
                average: average?,
                peak,
                burst,
            },
            span: node.span,
        })
    }
}

/// Values of the user's own.
#[derive(Debug)]
pub struct Variables;

impl Kind for Variables {
    type Field = serde_json::Map<String, serde_json::Value>;
    const TYPE: Type = Type::Map(&Type::Any);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        match load::free_form(node) {
            serde_json::Value::Object(vars) => vars,
            _ => {
                d.entries(node, "a map of variables");
                Self::Field::default()
            }
        }
    }
}

/// Decodes the guests over their groups and `common`. These are decoded by themselves too, so that
/// a problem is found in what no guest uses or every guest overrides.
pub fn guests(
    d: &mut Decoder<'_>,
    common: Option<&Node>,
    groups: Option<&Node>,
    guests: Option<&Node>,
) -> Vec<Named<GuestSpec>> {
    if let Some(node) = common {
        check_shared(d, node);
    }
    let mut group_nodes: BTreeMap<String, &Node> = BTreeMap::new();
    if let Some(node) = groups {
        for (key, node) in d.entries(node, "a map of groups") {
            d.key(key);
            check_shared(d, node);
            group_nodes.insert(key.text.clone(), node);
        }
    }
    let Some(node) = guests else {
        return Vec::new();
    };
    named(d, node, "a map of guests", |d, own, place| {
        let groups = own.given("group");
        let groups = groups.map(|node| d.one_or_list(node, Decoder::name));
        let mut merged = Node {
            value: Value::Mapping(Entries::new()),
            span: own.span,
        };
        if let Some(common) = common.filter(|node| is_map(node)) {
            merged.overlay(shared(common));
        }
        for group in groups.iter().flatten() {
            match group_nodes.get(group.value.as_str()) {
                Some(node) if is_map(node) => merged.overlay(shared(node)),
                Some(_) => {}
                None => {
                    let mut problem =
                        Diagnostic::error(format!("there is no group `{}`", group.value))
                            .at(group.span);
                    let known = group_nodes.keys().map(String::as_str);
                    let all = "all are under `groups`";
                    problem.hint = did_you_mean_of(group.value.as_str(), known, all)
                        .or(Some("define it under `groups`".into()));
                    d.report(problem);
                }
            }
        }
        merged.overlay(own.clone());
        GuestSpec::decode(d, &merged, place)
    })
}

/// What a guest cannot take from its group or from `common`: the first of its keys.
const OWN_KEYS: usize = 4;

/// What guests share, in `common` or a group: all keys of a guest but those that are its own.
#[derive(Debug)]
pub struct Shared;

impl Shared {
    const OBJECT: Object = Object {
        what: "settings for guests",
        keys: GuestSpec::OBJECT.keys.split_at(OWN_KEYS).1,
    };

    /// What `common` takes.
    pub const TYPE: Type = Type::Object(&Self::OBJECT);
}

/// What guests of a group share, by the group's name.
#[derive(Debug)]
pub struct Groups;

impl Groups {
    /// What `groups` takes.
    pub const TYPE: Type = Type::Map(&Shared::TYPE);
}

fn own_keys() -> impl Iterator<Item = &'static Attribute> {
    GuestSpec::OBJECT.keys.iter().take(OWN_KEYS)
}

/// A shared layer as far as a guest can take it.
fn shared(node: &Node) -> Node {
    let mut node = node.clone();
    if let Value::Mapping(entries) = &mut node.value {
        entries.retain(|key, _| own_keys().all(|own| own.key != key.text));
    }
    node
}

fn is_map(node: &Node) -> bool {
    matches!(node.value, Value::Mapping(_))
}

/// Decodes what guests share by itself, and says of what is a guest's own that it cannot be shared.
fn check_shared(d: &mut Decoder<'_>, node: &Node) {
    let Value::Mapping(entries) = &node.value else {
        d.fields(node, "settings for guests");
        return;
    };
    for own in own_keys() {
        if let Some((Key { span, .. }, _)) = entries.get_key_value(own.key) {
            d.report(
                Diagnostic::error(format!(
                    "`{}` is a guest's own and cannot be shared",
                    own.key
                ))
                .at(*span)
                .hint("give it to the guest"),
            );
        }
    }
    GuestSpec::decode(d, &shared(node), node.span);
}

fn user_network(d: &mut Decoder<'_>, node: &Node) -> Given<bool> {
    d.boolean(node).filter(|user| user.value)
}

fn memory(d: &mut Decoder<'_>, node: &Node) -> Given<u64> {
    const LEAST: u64 = 16 << 20;
    let size = d.size(node)?;
    let problem = if size.value < LEAST {
        "a guest needs at least 16 MiB of memory"
    } else if size.value % (1 << 20) != 0 {
        "memory is given in whole MiB"
    } else {
        return Some(size);
    };
    d.report(
        Diagnostic::error(problem)
            .at(size.span)
            .hint("write it in MiB or GiB: `512MiB`, `2GiB`"),
    );
    None
}

/// A disk is a whole number of sectors: `qemu-img` would round, and the plan would never be empty.
fn disk_size(d: &mut Decoder<'_>, node: &Node) -> Given<u64> {
    let size = d.size(node)?;
    if size.value != 0 && size.value % 512 == 0 {
        return Some(size);
    }
    d.report(
        Diagnostic::error("a disk is a whole number of 512-byte sectors, at least one")
            .at(size.span)
            .hint("write it in MiB or GiB"),
    );
    None
}

/// libvirt counts in kilobytes, in 32 bits where it hands them on to the kernel.
fn bytes_per_second(d: &mut Decoder<'_>, node: &Node) -> Given<u64> {
    let size = d.size(node)?;
    if (1000..=u64::from(u32::MAX) * 1000).contains(&size.value) {
        return Some(size);
    }
    d.report(
        Diagnostic::error("a rate is 1 kB to 4 TB")
            .at(size.span)
            .hint("write it in KB, MB or GB: `500KB`, `10MB`"),
    );
    None
}

/// QEMU takes no limit above that.
fn disk_rate(d: &mut Decoder<'_>, node: &Node) -> Given<u64> {
    let size = d.size(node)?;
    if (1..=MOST_OF_A_DISK.unsigned_abs()).contains(&size.value) {
        return Some(size);
    }
    d.report(
        Diagnostic::error("a limit is 1 byte to 1 PB a second")
            .at(size.span)
            .hint("write it in KB, MB or GB: `500KB`, `10MB`"),
    );
    None
}
