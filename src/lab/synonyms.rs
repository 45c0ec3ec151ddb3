//! How other tools call what a definition has: what to write instead.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The answer to keys that are none: where they stand, the words, without `_`, `-` and capitals, and the answer.
const KEYS: &[(&str, &str, &str)] = &[
    ("a lab", "name labname project", "write `lab: NAME`"),
    (
        "a lab",
        "vms vm guest domains domain machines virtualmachines instances nodes servers",
        "write `guests: {NAME: {…}}`",
    ),
    (
        "a lab",
        "network nets net subnets",
        "write `networks: {NAME: {…}}`",
    ),
    (
        "a lab",
        "pool storage storagepools storagepool datastores",
        "write `pools: {NAME: {path: /DIR}}`",
    ),
    (
        "a lab",
        "volumes volume disks disk",
        "a volume is a disk of a guest: `guests: {NAME: {disks: {data: {pool: POOL, size: 10GiB}}}}`",
    ),
    (
        "a lab",
        "image baseimages boxes",
        "write `images: {NAME: {pool: POOL, source: FILE}}`",
    ),
    (
        "a lab",
        "defaults default globals global all base shared",
        "write `common: {…}`: what all guests begin with",
    ),
    (
        "a lab",
        "group profiles roles flavors",
        "write `groups: {NAME: {…}}`",
    ),
    (
        "a lab",
        "vars variables variable locals",
        "guests have `vars`, in `common` for all; variables of lab.yaml.j2 are in `[vars]` of miniascape.toml",
    ),
    (
        "a lab",
        "uri connect connection hypervisor provider libvirturi",
        "write `connect = \"qemu:///system\"` into miniascape.toml, or give `-c URI`",
    ),
    (
        "a lab",
        "include includes import imports files",
        "files below lab.d/ are read, too; `-C PATH` names others",
    ),
    ("a lab", "version apiversion schema kind", "leave it out"),
    (
        "a lab",
        "moves renamed rename",
        "write `moved: [{from: guest.OLD, to: guest.NEW}]`",
    ),
    //
    (
        "a guest",
        "cpus cpucount cores vcpu ncpu ncpus numcpus processors processor smp corecount",
        "write `vcpus: 2`",
    ),
    ("a guest", "maxcpus maxcpu", "write `max_vcpus: 4`"),
    (
        "a guest",
        "sockets threads topology cputopology",
        "write `cpu: {topology: {sockets: 1, cores: 2, threads: 2}}`",
    ),
    (
        "a guest",
        "cpufeature cpufeatures cpuflags flags",
        "write `cpu: {features: {vmx: true, avx: false}}`",
    ),
    (
        "a guest",
        "nested nestedvirt nestedvirtualization",
        "write `cpu: host-passthrough`; `cpu: {features: {vmx: true}}`, on AMD `svm`, insists on it",
    ),
    (
        "a guest",
        "numanodes numanode numacells numatopology",
        "write `numa: [{vcpus: 0-1, memory: 1GiB}, {vcpus: 2-3, memory: 1GiB}]`",
    ),
    (
        "a guest",
        "hugepage largepages memorybacking",
        "write `hugepages: true`, or `hugepages: 1GiB`",
    ),
    (
        "a guest",
        "cpupinning pinning pins cpuset affinity vcpupin vcpupins emulatorpin cputune numatune numamode",
        "write `pin: 2-5`, or `pin: {vcpus: {0: 2, 1: 3}, emulator: 0-1, memory: 0}`",
    ),
    (
        "a guest",
        "cpulimit cpuunits cpushares cpuquota ioweight blkiotune memtune memorylimit hardlimit swap",
        "write `tuning: {cpu_limit: 1.5, cpu_shares: 2048, io_weight: 500, memory_limit: 4GiB}`",
    ),
    (
        "a guest",
        "controllers qemuargs devices memballoon",
        "there is no key for it: say it in libvirt's words with `xml`",
    ),
    (
        "a guest",
        "hostdev hostdevice hostdevices pci hostpci pcidevice pcidevices pcipassthrough passthrough vfio gpu gpus vgpu usb hostusb \
         usbdevice usbdevices",
        "write `hostdevs: {gpu: \"0000:01:00.0\", stick: \"046d:c52b\"}`: as `lspci -D` and `lsusb` tell them",
    ),
    (
        "a guest",
        "filesystem filesystems share sharedfolder sharedfolders syncedfolder syncedfolders sharedfs sharedir sharedirs folder \
         folders mount mounts virtiofs virtiofsd 9p virtfs",
        "write `shares: {code: /DIR}`: a directory of the host, which the guest mounts as `code`",
    ),
    (
        "a guest",
        "ram mem memorymb memorymib memorysize memsize ramsize currentmemory",
        "write `memory: 2GiB`",
    ),
    ("a guest", "maxmem maxram", "write `max_memory: 4GiB`"),
    (
        "a guest",
        "cpumodel cpumode cputype",
        "write `cpu: host-model`, or `cpu: {mode: custom, model: MODEL}`",
    ),
    ("a guest", "machinetype chipset", "write `machine: q35`"),
    ("a guest", "architecture", "write `arch: x86_64`"),
    (
        "a guest",
        "hypervisor virttype domaintype provider accel kvm",
        "write `type: kvm` or `type: qemu`",
    ),
    (
        "a guest",
        "uefi efi bios loader ovmf nvram efidisk efidisk0",
        "write `firmware: uefi` or `firmware: bios`",
    ),
    (
        "a guest",
        "secureboot uefisecure secure smm loadersecure enrolledkeys preenrolledkeys",
        "write `secure_boot: true`",
    ),
    (
        "a guest",
        "tpms tpmversion tpmmodel tpmtype tpmstate tpmstate0 vtpm swtpm tpm2",
        "write `tpm: true`, or `tpm: {version: 2.0, model: crb}`",
    ),
    (
        "a guest",
        "rtc timers timer localtime clockoffset time utc tdf",
        "write `clock: localtime`, or `clock: {timers: {rtc: catchup, hpet: false}}`",
    ),
    (
        "a guest",
        "feature acpi apic pae pmu vmport machinefeatures",
        "write `features: {acpi: true}`",
    ),
    (
        "a guest",
        "hyperv hypervfeature hypervfeatures enlightenments viridian",
        "write `features: {hyperv: true}`",
    ),
    (
        "a guest",
        "kvmhidden hidden hidekvm",
        "write `features: {kvm: {hidden: true}}`",
    ),
    (
        "a guest",
        "watchdogs watchdogaction watchdogmodel",
        "write `watchdog: reset`",
    ),
    (
        "a guest",
        "panics pvpanic paniconcrash",
        "write `panic: true`",
    ),
    (
        "a guest",
        "image baseimage box backingimage backingfile source clone clonefrom template",
        "write `disks: {root: {image: IMAGE}}`, with one of those under `images`",
    ),
    (
        "a guest",
        "disk drives drive volumes volume storage blockdevices hdd rootdisk disksize size diskgb",
        "write `disks: {root: {pool: POOL, size: 10GiB}}`",
    ),
    (
        "a guest",
        "pool storagepool",
        "write `disks: {root: {pool: POOL, size: 10GiB}}`",
    ),
    (
        "a guest",
        "iso cdrom cdroms cd dvd",
        "write `disks: {cd: {device: cdrom, path: /DIR/FILE.iso}}`",
    ),
    (
        "a guest",
        "nics nic network networks net nets networkinterfaces networkinterface interface ethernets vnics \
         networkadapters",
        "write `interfaces: {eth0: {network: NETWORK}}`",
    ),
    (
        "a guest",
        "bridge bridges",
        "write `interfaces: {eth0: {bridge: BRIDGE}}`",
    ),
    (
        "a guest",
        "ip ips ipaddress ipaddresses ipv4 ipv6 address addresses staticip",
        "write `interfaces: {eth0: {network: NETWORK, ip: ADDRESS}}`",
    ),
    (
        "a guest",
        "mac macaddress hwaddr macaddr",
        "write `interfaces: {eth0: {network: NETWORK, mac: MAC}}`",
    ),
    ("a guest", "host", "write `hostname: NAME`"),
    (
        "a guest",
        "domain dnsname dnsdomain fullname",
        "write `fqdn: NAME.DOMAIN`, or give its network a `domain`",
    ),
    (
        "a guest",
        "os ostype osvariant osinfo osname distro distribution location kickstart preseed autoinstall ks",
        "write `install: {os: debian12, location: URL or ISO}`",
    ),
    (
        "a guest",
        "user users username account accounts login",
        "write `system: {users: {NAME: {…}}}`",
    ),
    (
        "a guest",
        "sshkey sshkeys sshauthorizedkeys authorizedkeys publickey pubkey sshpublickey sshpubkey",
        "write `system: {users: {NAME: {ssh_keys: [KEY]}}}`, or `system: {root: {ssh_keys: [KEY]}}`",
    ),
    (
        "a guest",
        "password passwd rootpassword rootpw",
        "write `system: {root: {password: HASH}}`",
    ),
    (
        "a guest",
        "packages package services service timezone tz keyboard keymap lang firewall selinux scripts repositories \
         ntp proxy locale root runcmd provision provisioner provisioners postinstall",
        "how a guest is set up inside stands under `system: {…}`",
    ),
    (
        "a guest",
        "userdata metadata cloudinitdata networkconfig seed nocloud",
        "write `cloud_init: {pool: POOL}`, with `system: {…}` beside it",
    ),
    (
        "a guest",
        "kernel initrd cmdline kernelargs bootorder bootdevice bootdev bootdevices kernelcmdline",
        "write `boot: {kernel: /FILE, initrd: /FILE, cmdline: TEXT}` or `boot: {order: [hd, network]}`",
    ),
    (
        "a guest",
        "vnc spice display displays gui graphic headless nographic nographics graphicstype",
        "write `graphics: vnc`, `graphics: spice` or `graphics: none`",
    ),
    (
        "a guest",
        "console serialconsole consoles serials serial0 serialport serialports",
        "write `serial: pty`, `serial: {file: /FILE}` or `serial: none`",
    ),
    (
        "a guest",
        "channel channels guestagent qemuagent qemuguestagent qga agentchannel",
        "write `agent: false` for a guest without the channel of the guest agent; another channel is said in libvirt's words with `xml`",
    ),
    (
        "a guest",
        "rngs rngdev rng0 random randoms entropy virtiorng",
        "write `rng: /dev/urandom`, `rng: {source: /dev/hwrng, rate: 64KiB}` or `rng: false`",
    ),
    (
        "a guest",
        "videos videocard videotype videomodel vga qxl videoram videovram graphicscard",
        "write `video: qxl`, or `video: {model: virtio, resolution: 1920x1080}`",
    ),
    (
        "a guest",
        "inputs inputdevice inputdevices tablet mouse usbtablet pointer",
        "write `input: tablet`, or `input: [{type: tablet, bus: virtio}]`",
    ),
    (
        "a guest",
        "sounds soundcard soundhw audio audio0 audiodevice",
        "write `sound: true`, or a model: `sound: ac97`",
    ),
    (
        "a guest",
        "vsocks cid guestcid vhostvsock",
        "write `vsock: true`, or `vsock: 5`",
    ),
    (
        "a guest",
        "groups tags tag role roles profile flavor extends inherits",
        "write `group: [NAME]`",
    ),
    (
        "a guest",
        "state power powerstate started enabled status active off poweredon",
        "write `running: true` or `running: false`",
    ),
    (
        "a guest",
        "onboot startonboot startatboot autoboot",
        "write `autostart: true`",
    ),
    (
        "a guest",
        "depends requires require after needs dependencies",
        "write `depends_on: [GUEST]`",
    ),
    (
        "a guest",
        "preventdestroy protected protection deletionprotection",
        "write `lifecycle: {prevent_destroy: true}`",
    ),
    (
        "a guest",
        "variables variable environment env parameters attributes labels annotations",
        "write `vars: {NAME: VALUE}`",
    ),
    (
        "a guest",
        "comment comments note notes info",
        "write `description: TEXT`",
    ),
    (
        "a guest",
        "count replicas instances number quantity",
        "each guest has a key of its own; a loop in lab.yaml.j2 writes many",
    ),
    (
        "a guest",
        "timeout shutdowndelay",
        "write `shutdown_timeout: 2m`",
    ),
    (
        "a guest",
        "restart onupdate updatepolicy",
        "write `on_change: restart` or `on_change: defer`",
    ),
    (
        "a guest",
        "uuid",
        "it is derived from the lab's name and the guest's key",
    ),
    //
    (
        "a disk",
        "capacity disksize sizegb gb",
        "write `size: 10GiB`",
    ),
    (
        "a disk",
        "base baseimage backing backingfile backingstore from template clone basevolume",
        "write `image: IMAGE`, one of those under `images`",
    ),
    (
        "a disk",
        "source file filename src iso url",
        "write `path: /FILE` for a file of the hypervisor, or `image: IMAGE` for one of those under `images`",
    ),
    (
        "a disk",
        "type kind",
        "write `device: cdrom`, or `format: raw`",
    ),
    (
        "a disk",
        "interface controller driver diskbus",
        "write `bus: virtio`",
    ),
    ("a disk", "target devname devicename", "write `dev: vdb`"),
    (
        "a disk",
        "storage storagepool datastore",
        "write `pool: POOL`",
    ),
    (
        "a disk",
        "shared share multiattach",
        "write `shareable: true`",
    ),
    ("a disk", "ro", "write `readonly: true`"),
    (
        "a disk",
        "persistent preserve retain protected nodelete",
        "write `keep: true`",
    ),
    (
        "a disk",
        "provisioning sparse preallocation preallocate thin thick",
        "write `allocation: sparse` or `allocation: full`",
    ),
    ("a disk", "name", "the disk's key is its name"),
    (
        "a disk",
        "bootorder bootindex bootable",
        "write `boot: 1` for the disk, or `boot: {order: [hd, network]}` for the guest",
    ),
    (
        "a disk",
        "preventdestroy",
        "write `lifecycle: {prevent_destroy: true}`",
    ),
    (
        "a disk",
        "iops iotune throttle bps qos ratelimit rate",
        "write `limit: {iops: 500, total: 50MB}`",
    ),
    (
        "a disk",
        "aio iomode",
        "write `io: threads`, `native` or `io_uring`",
    ),
    (
        "a disk",
        "trim unmap",
        "write `discard: unmap` or `discard: ignore`",
    ),
    ("a disk", "serialnumber", "write `serial: NUMBER`"),
    (
        "a disk",
        "wwn detectzeroes",
        "there is no key for it: say it in libvirt's words with the guest's `xml`",
    ),
    (
        "a disk",
        "mountpoint mount filesystem fstype mkfs",
        "the system inside makes file systems and mounts them; a directory of the host is `shares: {NAME: /DIR}` of the guest",
    ),
    //
    (
        "a NIC",
        "macaddress hwaddr macaddr ethernet",
        "write `mac: MAC`",
    ),
    (
        "a NIC",
        "ipaddress ipaddresses ipv4 ipv6 ip4 ip6 address addresses ips staticip fixedip",
        "write `ip: ADDRESS`, or `ip: [IPV4, IPV6]`",
    ),
    (
        "a NIC",
        "net networks source lan switch networkname",
        "write `network: NETWORK`",
    ),
    (
        "a NIC",
        "type driver adapter",
        "write `model: virtio`, and one of `network`, `bridge`, `direct` and `user: true`",
    ),
    ("a NIC", "name host dnsname", "write `hostname: NAME`"),
    (
        "a NIC",
        "gateway netmask prefix routes nameservers dnsservers gateway4",
        "write `system: {network: {method: static, gateway: ADDRESS}}` for the guest",
    ),
    (
        "a NIC",
        "dhcp dhcp4 bootproto",
        "the network has `dhcp`; `ip` is what the NIC gets by it",
    ),
    (
        "a NIC",
        "rate ratelimit limit speed qos",
        "write `bandwidth: {inbound: 10MB, outbound: 10MB}`",
    ),
    (
        "a NIC",
        "state connected linkstate",
        "write `link: up` or `link: down`",
    ),
    (
        "a NIC",
        "macvtap macvlan dev parent",
        "write `direct: DEVICE`, a device of the host",
    ),
    (
        "a NIC",
        "vlans tag vlanid vlantag trunk",
        "write `vlan: 5`, or a list",
    ),
    (
        "a NIC",
        "virtualport openvswitch",
        "write `ovs: true`, or `ovs: {interface_id: UUID}`",
    ),
    (
        "a NIC",
        "filterref nwfilter firewall",
        "write `filter: clean-traffic`, or `filter: {name: …, parameters: {IP: ADDRESS}}`",
    ),
    ("a NIC", "multiqueue", "write `queues: 4`"),
    ("a NIC", "bootorder bootindex", "write `boot: 1`"),
    (
        "a NIC",
        "target xml",
        "there is no key for it: say it in libvirt's words with the guest's `xml`",
    ),
    //
    (
        "a host device",
        "address source addr bdf slot device host hostaddress id hostpci name",
        "write `pci: \"0000:01:00.0\"`, or `usb: \"046d:c52b\"`",
    ),
    (
        "a host device",
        "type vendor product vendorid productid bus domain function",
        "write `pci: \"0000:01:00.0\"`, or `usb: \"046d:c52b\"`, or `usb: {bus: 1, device: 4}`",
    ),
    ("a host device", "startuppolicy", "write `optional: true`"),
    (
        "a host device",
        "rombar romfile",
        "write `rom: false`, or `rom: /FILE`",
    ),
    ("a host device", "bootorder bootindex", "write `boot: 1`"),
    (
        "a host device",
        "driver model multifunction xvga primarygpu pcie mdev teaming xml",
        "there is no key for it: say it in libvirt's words with the guest's `xml`",
    ),
    //
    (
        "a share",
        "path dir directory folder src host hostpath hostdir sourcedir sourcepath",
        "write `source: /DIR`, a directory of the host",
    ),
    (
        "a share",
        "tag mounttag targetdir targetpath name",
        "write `target: NAME`: the guest mounts it by that",
    ),
    (
        "a share",
        "mount mountpoint guest guestpath dst dest destination",
        "the guest mounts it where it likes, by its `target`: `mount -t virtiofs NAME /DIR`, or a line in its /etc/fstab",
    ),
    (
        "a share",
        "type kind fstype filesystem",
        "write `driver: virtiofs` or `driver: 9p`",
    ),
    ("a share", "ro", "write `readonly: true`"),
    (
        "a share",
        "accessmode securitymodel mode",
        "write `access: mapped`, with `driver: 9p`",
    ),
    (
        "a share",
        "cache queue xattr posix flock sandbox idmap binary fmode dmode xml",
        "there is no key for it: say it in libvirt's words with the guest's `xml`",
    ),
    //
    (
        "a network",
        "dhcprange range ranges dhcpranges dhcpstart dhcpend dhcppool ippool",
        "write `dhcp: {start: ADDRESS, end: ADDRESS}`, or `dhcp: true` for a range that is derived",
    ),
    (
        "a network",
        "subnet subnets cidr ip ips iprange network networks addresses ipv4 ipv6 gateway netmask prefix \
         networkaddress range4 hostip",
        "write `address: 192.168.155.1/24`: the host's own, with the length of the prefix",
    ),
    (
        "a network",
        "type forward forwardmode kind isolated forwarding",
        "write `mode: nat`, or route, open, isolated, bridge",
    ),
    (
        "a network",
        "dnsdomain domainname search searchdomain",
        "write `domain: DOMAIN`",
    ),
    (
        "a network",
        "interface device uplink parent physdev forwarddev nic",
        "write `dev: DEVICE`",
    ),
    (
        "a network",
        "nameserver nameservers dnsservers dnsserver forwarders resolvers",
        "write `dns: {forwarders: [ADDRESS]}`",
    ),
    (
        "a network",
        "hosts dnshosts records",
        "write `dns: {hosts: {NAME: ADDRESS}}`",
    ),
    ("a network", "bridgename", "write `bridge: NAME`"),
    ("a network", "existing", "write `external: true`"),
    (
        "a network",
        "reservations dhcphosts leases staticleases",
        "each guest's `ip` is reserved: `interfaces: {eth0: {network: NETWORK, ip: ADDRESS}}`",
    ),
    (
        "a network",
        "vlans vlanid tag",
        "write `vlan: 42`, or a list of VLANs",
    ),
    (
        "a network",
        "portgroup profiles",
        "write `portgroups: {NAME: {vlan: 42}}`",
    ),
    (
        "a network",
        "route staticroute staticroutes",
        "write `routes: [{to: 10.0.0.0/8, via: ADDRESS}]`",
    ),
    (
        "a network",
        "qos limit rate",
        "write `bandwidth: {inbound: 10MB, outbound: 10MB}`",
    ),
    (
        "a network",
        "dhcpoptions dhcpoption dnsmasq dnsmasqoptions options",
        "write `dhcp: {options: [LINE]}`, lines of dnsmasq's configuration",
    ),
    (
        "a network",
        "lease leasetime dhcplease dhcpleasetime",
        "write `dhcp: {lease: 12h}`",
    ),
    (
        "a network",
        "pxe netboot bootfile boot tftproot tftpboot",
        "write `tftp: /DIR` and `bootp: FILE`",
    ),
    (
        "a network",
        "ovs virtualport vswitch",
        "write `openvswitch: true`, with mode bridge",
    ),
    (
        "a network",
        "masquerade snat natports portrange",
        "write `nat: {ports: START-END, addresses: START-END}`",
    ),
    (
        "a network",
        "stp",
        "there is no key for it: say it in libvirt's words with `xml`",
    ),
    ("a network", "onboot active", "write `autostart: true`"),
    //
    (
        "a pool",
        "target dir directory location targetpath folder",
        "write `path: /DIR`",
    ),
    ("a pool", "kind pooltype", "write `type: dir`"),
    (
        "a pool",
        "device devices host hosts server format initiator auth export volumegroup vg",
        "write `source: {host: …, dir: …}`: what it is made of",
    ),
    (
        "`source`",
        "devices path disk disks target iqn",
        "write `device: /dev/vdb`, or a list",
    ),
    (
        "`source`",
        "hosts server servers monitors",
        "write `host: HOST`",
    ),
    ("`source`", "directory export share", "write `dir: /DIR`"),
    (
        "`source`",
        "vg volumegroup zpool volume pool",
        "write `name: NAME`",
    ),
    (
        "`source`",
        "adapter",
        "there is no key for it: say it in libvirt's words with the pool's `xml`",
    ),
    ("a pool", "existing", "write `external: true`"),
    //
    (
        "an image",
        "url path file src location filename",
        "write `source: FILE`, a local file",
    ),
    (
        "an image",
        "checksum sha256sum hash digest sha",
        "write `sha256: HASH`",
    ),
    ("an image", "type", "write `format: qcow2`"),
    ("an image", "storage storagepool", "write `pool: POOL`"),
    ("an image", "name", "the image's key is its name"),
    ("an image", "size capacity", "the guest's disk has `size`"),
    //
    (
        "a DHCP range",
        "from begin first low min",
        "write `start: ADDRESS`",
    ),
    (
        "`dhcp`",
        "from begin first low min",
        "write `start: ADDRESS`",
    ),
    (
        "a DHCP range",
        "to last stop high max",
        "write `end: ADDRESS`",
    ),
    ("`dhcp`", "to last stop high max", "write `end: ADDRESS`"),
    (
        "`dns`",
        "records host entries names a addresses",
        "write `hosts: {NAME: ADDRESS}`",
    ),
    (
        "`dns`",
        "servers upstream upstreams nameservers forwarder resolvers",
        "write `forwarders: [ADDRESS]`",
    ),
    ("`dns`", "domain", "the network has `domain`"),
    (
        "`boot`",
        "args append kernelargs options commandline",
        "write `cmdline: TEXT`",
    ),
    ("`boot`", "initramfs ramdisk", "write `initrd: /FILE`"),
    (
        "`boot`",
        "devices dev device bootorder",
        "write `order: [hd, network]`",
    ),
    (
        "`graphics`",
        "address bind host listenaddress",
        "write `listen: ADDRESS`",
    ),
    ("`graphics`", "protocol kind", "write `type: vnc`"),
    (
        "`graphics`",
        "copypaste spiceagent vdagent spicevmc agent",
        "write `clipboard: true`",
    ),
    (
        "`graphics`",
        "video model vga resolution heads accel3d gl",
        "write `video: {…}` for the guest",
    ),
    (
        "`graphics`",
        "port password passwd autoport websocket",
        "there is no key for it: say it in libvirt's words with the guest's `xml`",
    ),
    ("`video`", "type card kind", "write `model: virtio`"),
    ("`video`", "screens monitors outputs", "write `heads: 2`"),
    (
        "`video`",
        "memory mem videoram vgamem ram",
        "write `vram: 64MiB`; what else of memory a model has is said in libvirt's words with the guest's `xml`",
    ),
    (
        "`video`",
        "accel acceleration gl 3d virgl opengl accel2d",
        "write `accel3d: true`",
    ),
    (
        "`video`",
        "res size x width xres",
        "write `resolution: 1920x1080`",
    ),
    (
        "`rng`",
        "backend device path model type",
        "write `source: /dev/urandom`",
    ),
    (
        "`rng`",
        "bytes bandwidth maxbytes limit",
        "write `rate: 64KiB`: a second",
    ),
    (
        "an input device",
        "model device kind name",
        "write `type: tablet`",
    ),
    (
        "`cpu`",
        "name type cputype",
        "write `mode: host-model`, or `mode: custom` and `model: MODEL`",
    ),
    (
        "`cpu`",
        "count cores number vcpus cpus",
        "the guest has `vcpus`",
    ),
    (
        "`cpu`",
        "sockets dies threads",
        "write `topology: {sockets: 1, cores: 2, threads: 2}`",
    ),
    (
        "`cpu`",
        "feature flags flag nested",
        "write `features: {vmx: true, avx: false}`",
    ),
    ("`cpu`", "numa", "the guest has `numa`"),
    (
        "`cpu`",
        "pin pinning affinity cpuset",
        "the guest has `pin`",
    ),
    (
        "`cpu`",
        "limit cpulimit units cpuunits shares",
        "the guest has `tuning`",
    ),
    (
        "`cpu`",
        "cache migratable check vendor maxphysaddr",
        "there is no key for it: say it in libvirt's words with the guest's `xml`",
    ),
    (
        "`topology`",
        "clusters cluster drawers books",
        "there is no key for it: say it in libvirt's words with the guest's `xml`",
    ),
    (
        "`topology`",
        "cpus vcpus count",
        "the guest has `vcpus` and `max_vcpus`",
    ),
    (
        "a NUMA node",
        "cpus cpu processors cores",
        "write `vcpus: 0-1`",
    ),
    ("a NUMA node", "size mem ram", "write `memory: 1GiB`"),
    (
        "a NUMA node",
        "id cell cellid",
        "they are numbered from 0, in their order",
    ),
    (
        "a NUMA node",
        "hostnode hostnodes nodeset nodes numanode bind",
        "write `node: 0`, a node of the host",
    ),
    (
        "a NUMA node",
        "policy memorymode",
        "write `mode: strict`, preferred or interleave",
    ),
    (
        "a NUMA node",
        "distances distance memaccess discard caches",
        "there is no key for it: say it in libvirt's words with the guest's `xml`",
    ),
    (
        "`pin`",
        "cpus cpu cpuset vcpu vcpupin vcpupins cputune",
        "write `vcpus: 2-5`, or `vcpus: {0: 2, 1: 3}`",
    ),
    (
        "`pin`",
        "emulatorpin qemu hypervisor",
        "write `emulator: 0-1`",
    ),
    (
        "`pin`",
        "iothread iothreadpin iothreadpins",
        "write `iothreads: 5`, or `iothreads: {1: 5}`",
    ),
    (
        "`pin`",
        "numa node nodes nodeset numatune hostnodes",
        "write `memory: 0`, a node of the host",
    ),
    (
        "`pin`",
        "mode policy memorypolicy",
        "write `memory_mode: strict`, preferred or interleave",
    ),
    (
        "`tuning`",
        "shares units cpuunits weight cpuweight",
        "write `cpu_shares: 2048`",
    ),
    (
        "`tuning`",
        "cpu limit quota cpuquota globalquota period globalperiod",
        "write `cpu_limit: 1.5`, or `150%`",
    ),
    (
        "`tuning`",
        "blkio blkioweight blkiotune",
        "write `io_weight: 500`; a disk has `limit`",
    ),
    (
        "`tuning`",
        "memory hardlimit memtune",
        "write `memory_limit: 4GiB`",
    ),
    ("`tuning`", "softlimit", "write `memory_soft_limit: 4GiB`"),
    (
        "`tuning`",
        "swap swaphardlimit memoryswap",
        "write `swap_limit: 6GiB`, of memory and swap together",
    ),
    //
    (
        "`secure_boot`",
        "enrolled enrolledkeys preenrolledkeys mskeys microsoftkeys",
        "write `keys: true` or `keys: false`",
    ),
    (
        "`secure_boot`",
        "enabled enable on secure",
        "write `secure_boot: true` or `secure_boot: false`",
    ),
    (
        "`tpm`",
        "type kind backendtype",
        "write `backend: emulator` or `backend: passthrough`",
    ),
    ("`tpm`", "path devicepath", "write `device: /dev/tpm0`"),
    ("`tpm`", "backendversion", "write `version: 2.0`"),
    (
        "`tpm`",
        "persistent persistentstate preserve retain",
        "write `keep: true`",
    ),
    (
        "`tpm`",
        "encryption secret activepcrbanks",
        "there is no key for it: say it in libvirt's words with the guest's `xml`",
    ),
    (
        "`clock`",
        "timezone tz zone time base",
        "write `offset: localtime`, or a time zone such as `offset: Europe/Berlin`",
    ),
    ("`clock`", "timer", "write `timers: {rtc: catchup}`"),
    (
        "`clock`",
        "rtc pit hpet kvmclock hypervclock tsc rtctickpolicy pittickpolicy hpetpresent",
        "timers stand under `timers: {…}`",
    ),
    (
        "`clock`",
        "adjustment basis start",
        "there is no key for it: say it in libvirt's words with the guest's `xml`",
    ),
    (
        "`timers`",
        "armvtimer platform",
        "there is no key for it: say it in libvirt's words with the guest's `xml`",
    ),
    (
        "`features`",
        "viridian hypervfeature enlightenments hv",
        "write `hyperv: true`",
    ),
    (
        "`features`",
        "kvmhidden hidden",
        "write `kvm: {hidden: true}`",
    ),
    (
        "`features`",
        "relaxed vapic spinlocks vpindex synic stimer",
        "those stand under `hyperv: {…}`",
    ),
    (
        "`features`",
        "gic ioapic vmcoreinfo capabilities ibs htm tcg xen eoi privnet pvspinlock",
        "there is no key for it: say it in libvirt's words with the guest's `xml`",
    ),
    (
        "`hyperv`",
        "vendor vendorid hvvendorid",
        "write `vendor_id: TEXT`",
    ),
    (
        "`hyperv`",
        "retries spinlockretries",
        "write `spinlocks: 8191`",
    ),
    (
        "`hyperv`",
        "time clock hypervclock",
        "write `clock: {timers: {hypervclock: true}}` for the guest",
    ),
    (
        "`hyperv`",
        "avic emsrbitmap xmminput tlbflushdirect tlbflushextended mode state",
        "there is no key for it: say it in libvirt's words with the guest's `xml`",
    ),
    ("`kvm`", "state enabled hide", "write `hidden: true`"),
    ("`panic`", "type kind", "write `model: isa`"),
    ("`watchdog`", "type kind", "write `model: i6300esb`"),
    ("`watchdog`", "onexpire do", "write `action: reset`"),
    //
    ("`system`", "locale language", "write `lang: en_US.UTF-8`"),
    ("`system`", "tz zone", "write `timezone: Europe/Berlin`"),
    (
        "`system`",
        "keymap layout keyboardlayout",
        "write `keyboard: us`",
    ),
    ("`system`", "user accounts", "write `users: {NAME: {…}}`"),
    (
        "`system`",
        "sshkey sshkeys sshauthorizedkeys authorizedkeys publickey",
        "write `users: {NAME: {ssh_keys: [KEY]}}`, or `root: {ssh_keys: [KEY]}`",
    ),
    (
        "`system`",
        "password rootpassword rootpw passwd",
        "write `root: {password: HASH}`",
    ),
    (
        "`system`",
        "repos repo",
        "write `repositories: {NAME: {url: URL}}`",
    ),
    (
        "`system`",
        "partitions partitioning disks disk lvm",
        "write `storage: lvm`, or `storage: {custom: TEXT}`",
    ),
    (
        "`system`",
        "post pre run runcmd commands script postinstall",
        "write `scripts: {post: [COMMAND]}`",
    ),
    (
        "`system`",
        "ntpservers chrony timeservers",
        "write `ntp: [SERVER]`",
    ),
    (
        "`system`",
        "hostname fqdn",
        "the guest has `hostname` and `fqdn`",
    ),
    ("`system`", "files writefiles", "the guest has `files`"),
    (
        "`system`",
        "reboot poweroff afterinstall",
        "write `finish: reboot` or `finish: poweroff`",
    ),
    (
        "`root`",
        "sshkey key keys authorizedkeys sshauthorizedkeys publickey",
        "write `ssh_keys: [KEY]`",
    ),
    (
        "`root`",
        "passwd hash passwordhash hashedpasswd",
        "write `password: HASH`",
    ),
    (
        "a user",
        "sshkey key keys authorizedkeys sshauthorizedkeys publickey",
        "write `ssh_keys: [KEY]`",
    ),
    (
        "a user",
        "passwd hash passwordhash hashedpasswd",
        "write `password: HASH`",
    ),
    ("a user", "comment fullname realname", "write `gecos: TEXT`"),
    ("a user", "id userid", "write `uid: NUMBER`"),
    ("a user", "admin wheel sudoer sudoers", "write `sudo: true`"),
    ("a user", "name", "the user's key is the name"),
    ("`packages`", "install present", "write `add: [NAME]`"),
    ("`packages`", "absent uninstall", "write `remove: [NAME]`"),
    ("`services`", "start", "write `enable: [NAME]`"),
    ("`services`", "stop mask", "write `disable: [NAME]`"),
    (
        "`network` of a system",
        "bootproto type",
        "write `method: static` or `method: dhcp`",
    ),
    (
        "`network` of a system",
        "dns dnsservers",
        "write `nameservers: [ADDRESS]`",
    ),
    ("`network` of a system", "netmask", "write `prefix: 24`"),
    (
        "`network` of a system",
        "ip address addresses",
        "the NIC has `ip`",
    ),
    (
        "`install`",
        "iso tree mirror source image cdrom media",
        "write `location: URL or ISO`",
    ),
    (
        "`install`",
        "distro variant osvariant name version ostype",
        "write `os: debian12`",
    ),
    (
        "`install`",
        "kickstart preseed answers answerfile ks autoinstall userdata autoyast",
        "they are made from `system`; a file of your own is `template: FILE.j2`",
    ),
    (
        "`install`",
        "kernelargs extraargs append args",
        "write `cmdline: TEXT`",
    ),
    (
        "`install`",
        "packages users timezone lang storage scripts",
        "that stands under `system: {…}`",
    ),
    ("a file", "source from", "write `src: FILE`"),
    (
        "a file",
        "dest destination path target to",
        "write `dst: /FILE`",
    ),
    ("a file", "contents text body data", "write `content: TEXT`"),
    (
        "a file",
        "permissions perms chmod",
        "write `mode: \"0644\"`",
    ),
    ("a file", "user group", "write `owner: USER:GROUP`"),
    ("a template", "source from file", "write `src: FILE.j2`"),
    (
        "a template",
        "dest destination path target to",
        "write `dst: FILE`",
    ),
    (
        "a package repository",
        "baseurl uri mirror",
        "write `url: URL`",
    ),
    ("a package repository", "gpgkey keyurl", "write `key: URL`"),
    (
        "`host`",
        "iso images",
        "write `isos: {NAME: {path: /FILE}}`",
    ),
    (
        "`host`",
        "http web httpd nginx webserver",
        "write `serve: {with: nginx}`",
    ),
    (
        "`host`",
        "exports",
        "write `nfs: {exports: {/DIR: {clients: [CLIENT]}}}`",
    ),
    (
        "`host`",
        "nested nestedvirtualization",
        "write `nested_kvm: true`",
    ),
];

/// What other tools, or the makers, call a value that a definition names otherwise: the words, and the values that are meant.
/// Those count that can be given at the place.
const VALUES: &[(&str, &[&str])] = &[
    (
        "host native passthrough hostcpu",
        &["host-passthrough", "host-model"],
    ),
    ("max", &["maximum"]),
    ("efi ovmf edk2 aavmf uefisecure", &["uefi"]),
    ("tpmcrb", &["crb"]),
    ("tpmtis", &["tis"]),
    ("tpmspapr", &["spapr"]),
    ("2 v2 v2.0", &["2.0"]),
    ("1 v1 v1.2", &["1.2"]),
    ("swtpm emulated", &["emulator"]),
    ("host", &["passthrough"]),
    ("merge", &["delay"]),
    ("i6300", &["i6300esb"]),
    ("legacy seabios pcbios csm", &["bios"]),
    ("virtioscsi lsi lsilogic sas", &["scsi"]),
    ("virtioblk virtblk vd virtiopci blk", &["virtio"]),
    ("ahci sat esata", &["sata"]),
    ("nvme", &["virtio", "scsi"]),
    ("pata atapi hd", &["ide"]),
    ("masquerade masq snat", &["nat"]),
    ("routed router", &["route"]),
    ("private internal hostonly none closed", &["isolated"]),
    ("bridged br", &["bridge"]),
    ("cd dvd iso optical cdroms", &["cdrom"]),
    ("hdd disk harddisk drive", &["hd", "disk"]),
    ("pxe net lan nic", &["network"]),
    ("floppy", &["fd"]),
    ("img bin iso", &["raw"]),
    ("qcow qed", &["qcow2"]),
    ("directory folder local file", &["dir"]),
    ("lvm vg volumegroup", &["logical"]),
    ("nfs cifs", &["netfs"]),
    ("filesystem mount partition", &["fs"]),
    ("ceph", &["rbd"]),
    ("virtiofsd vhostuserfs", &["virtiofs"]),
    ("virtio9p plan9 path p9", &["9p"]),
    ("tcg emulation emulated software", &["qemu"]),
    ("hvm hardware accelerated", &["kvm"]),
    ("thin", &["sparse"]),
    ("thick preallocated falloc metadata", &["full"]),
    ("never later postpone", &["defer"]),
    ("now always immediate", &["restart"]),
    ("yes on true connected plugged", &["up"]),
    ("no off false disconnected unplugged", &["down"]),
    ("qxl", &["spice"]),
    ("headless nographic no false off", &["none"]),
    ("yes on", &["true"]),
    ("no off none", &["false"]),
    ("virtiovga virtiogpu virtiogl virgl", &["virtio"]),
    ("std stdvga", &["vga"]),
    ("usbtablet", &["tablet"]),
    ("hda intelhda ichhda ich9intelhda", &["ich9", "ich6"]),
    ("urandom", &["/dev/urandom"]),
    ("random", &["/dev/random"]),
    ("hwrng", &["/dev/hwrng"]),
    ("apache apache2", &["httpd"]),
    ("resolved", &["systemd-resolved"]),
    ("permit", &["permissive"]),
    ("off", &["disabled"]),
    ("shutdown off stop", &["poweroff"]),
    ("restart", &["reboot"]),
    ("manual fixed", &["static"]),
    ("auto automatic", &["dhcp"]),
];

/// A word as the tables have it.
fn plain(word: &str) -> String {
    word.replace(['_', '-', ' '], "").to_lowercase()
}

/// What to write for a key that is none there. `what` says whose it would be: `a network`.
pub fn key(what: &str, written: &str) -> Option<&'static str> {
    static ANSWERS: LazyLock<BTreeMap<(&str, &str), &str>> = LazyLock::new(|| {
        let words = KEYS.iter().flat_map(|(what, words, answer)| {
            words
                .split_whitespace()
                .map(move |word| ((*what, word), *answer))
        });
        words.collect()
    });
    ANSWERS.get(&(what, &*plain(written))).copied()
}

/// Those of the values which a word means.
pub fn values<'a>(written: &str, known: &[&'a str]) -> Vec<&'a str> {
    let written = plain(written);
    let spelled: Vec<&str> = known
        .iter()
        .filter(|value| plain(value) == written)
        .copied()
        .collect();
    if !spelled.is_empty() {
        return spelled;
    }
    let meant = VALUES
        .iter()
        .filter(|(words, _)| words.split_whitespace().any(|word| word == written))
        .flat_map(|(_, meant)| *meant);
    let meant: Vec<&str> = meant.copied().collect();
    let known = known.iter().filter(|value| meant.contains(value));
    known.copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_has_one_answer_at_its_place() {
        let mut seen = std::collections::BTreeSet::new();
        for (what, words, _) in KEYS {
            for word in words.split_whitespace() {
                assert_eq!(plain(word), word);
                assert!(seen.insert((what, word)), "{what}: {word} has two answers");
            }
        }
        for word in VALUES
            .iter()
            .flat_map(|(words, _)| words.split_whitespace())
        {
            assert_eq!(plain(word), word);
        }
    }

    #[test]
    fn values_are_those_that_can_be_given() {
        let modes = ["nat", "route", "isolated"];
        assert_eq!(values("NAT", &modes), ["nat"]);
        assert_eq!(values("host-only", &modes), ["isolated"]);
        assert_eq!(values("bridged", &modes), Vec::<&str>::new());
        let cpus = ["host-passthrough", "host-model", "maximum", "custom"];
        assert_eq!(values("host", &cpus), ["host-passthrough", "host-model"]);
    }
}
