//! Guests: what they are made of and how they run, as other tools call it.

use super::Table;

pub(super) const KEYS: Table = &[
    (
        "a guest",
        &[
            (
                "cpus cpucount cores vcpu ncpu ncpus numcpus processors processor smp corecount",
                "write `vcpus: 2`",
            ),
            ("maxcpus maxcpu", "write `max_vcpus: 4`"),
            (
                "sockets threads topology cputopology",
                "write `cpu: {topology: {sockets: 1, cores: 2, threads: 2}}`",
            ),
            (
                "cpufeature cpufeatures cpuflags flags",
                "write `cpu: {features: {vmx: true, avx: false}}`",
            ),
            (
                "nested nestedvirt nestedvirtualization",
                "write `cpu: host-passthrough`; `cpu: {features: {vmx: true}}`, on AMD `svm`, insists on it",
            ),
            (
                "numanodes numanode numacells numatopology",
                "write `numa: [{vcpus: 0-1, memory: 1GiB}, {vcpus: 2-3, memory: 1GiB}]`",
            ),
            (
                "hugepage largepages memorybacking",
                "write `hugepages: true`, or `hugepages: 1GiB`",
            ),
            (
                "cpupinning pinning pins cpuset affinity vcpupin vcpupins emulatorpin cputune numatune numamode",
                "write `pin: 2-5`, or `pin: {vcpus: {0: 2, 1: 3}, emulator: 0-1, memory: 0}`",
            ),
            (
                "cpulimit cpuunits cpushares cpuquota ioweight blkiotune memtune memorylimit hardlimit swap",
                "write `tuning: {cpu_limit: 1.5, cpu_shares: 2048, io_weight: 500, memory_limit: 4GiB}`",
            ),
            (
                "controllers qemuargs devices memballoon",
                "there is no key for it: say it in libvirt's words with `xml`",
            ),
            (
                "hostdev hostdevice hostdevices pci hostpci pcidevice pcidevices pcipassthrough passthrough vfio gpu gpus vgpu usb hostusb \
         usbdevice usbdevices",
                "write `hostdevs: {gpu: \"0000:01:00.0\", stick: \"046d:c52b\"}`: as `lspci -D` and `lsusb` tell them",
            ),
            (
                "filesystem filesystems share sharedfolder sharedfolders syncedfolder syncedfolders sharedfs sharedir sharedirs folder \
         folders mount mounts virtiofs virtiofsd 9p virtfs",
                "write `shares: {code: /DIR}`: a directory of the host, which the guest mounts as `code`",
            ),
            (
                "ram mem memorymb memorymib memorysize memsize ramsize currentmemory",
                "write `memory: 2GiB`",
            ),
            ("maxmem maxram", "write `max_memory: 4GiB`"),
            (
                "cpumodel cpumode cputype",
                "write `cpu: host-model`, or `cpu: {mode: custom, model: MODEL}`",
            ),
            ("machinetype chipset", "write `machine: q35`"),
            ("architecture", "write `arch: x86_64`"),
            (
                "hypervisor virttype domaintype provider accel kvm",
                "write `type: kvm` or `type: qemu`",
            ),
            (
                "uefi efi bios loader ovmf nvram efidisk efidisk0",
                "write `firmware: uefi` or `firmware: bios`",
            ),
            (
                "secureboot uefisecure secure smm loadersecure enrolledkeys preenrolledkeys",
                "write `secure_boot: true`",
            ),
            (
                "tpms tpmversion tpmmodel tpmtype tpmstate tpmstate0 vtpm swtpm tpm2",
                "write `tpm: true`, or `tpm: {version: 2.0, model: crb}`",
            ),
            (
                "rtc timers timer localtime clockoffset time utc tdf",
                "write `clock: localtime`, or `clock: {timers: {rtc: catchup, hpet: false}}`",
            ),
            (
                "feature acpi apic pae pmu vmport machinefeatures",
                "write `features: {acpi: true}`",
            ),
            (
                "hyperv hypervfeature hypervfeatures enlightenments viridian",
                "write `features: {hyperv: true}`",
            ),
            (
                "kvmhidden hidden hidekvm",
                "write `features: {kvm: {hidden: true}}`",
            ),
            (
                "watchdogs watchdogaction watchdogmodel",
                "write `watchdog: reset`",
            ),
            ("panics pvpanic paniconcrash", "write `panic: true`"),
            (
                "image baseimage box backingimage backingfile source clone clonefrom template",
                "write `disks: {root: {image: IMAGE}}`, with one of those under `images`",
            ),
            (
                "disk drives drive volumes volume storage blockdevices hdd rootdisk disksize size diskgb",
                "write `disks: {root: {pool: POOL, size: 10GiB}}`",
            ),
            (
                "pool storagepool",
                "write `disks: {root: {pool: POOL, size: 10GiB}}`",
            ),
            (
                "iso cdrom cdroms cd dvd",
                "write `disks: {cd: {device: cdrom, path: /DIR/FILE.iso}}`",
            ),
            (
                "nics nic network networks net nets networkinterfaces networkinterface interface ethernets vnics \
         networkadapters",
                "write `interfaces: {eth0: {network: NETWORK}}`",
            ),
            (
                "bridge bridges",
                "write `interfaces: {eth0: {bridge: BRIDGE}}`",
            ),
            (
                "ip ips ipaddress ipaddresses ipv4 ipv6 address addresses staticip",
                "write `interfaces: {eth0: {network: NETWORK, ip: ADDRESS}}`",
            ),
            (
                "mac macaddress hwaddr macaddr",
                "write `interfaces: {eth0: {network: NETWORK, mac: MAC}}`",
            ),
            ("host", "write `hostname: NAME`"),
            (
                "domain dnsname dnsdomain fullname",
                "write `fqdn: NAME.DOMAIN`, or give its network a `domain`",
            ),
            (
                "os ostype osvariant osinfo osname distro distribution location kickstart preseed autoinstall ks",
                "write `install: {os: debian12, location: URL or ISO}`",
            ),
            (
                "user users username account accounts login",
                "write `system: {users: {NAME: {…}}}`",
            ),
            (
                "sshkey sshkeys sshauthorizedkeys authorizedkeys publickey pubkey sshpublickey sshpubkey",
                "write `system: {users: {NAME: {ssh_keys: [KEY]}}}`, or `system: {root: {ssh_keys: [KEY]}}`",
            ),
            (
                "password passwd rootpassword rootpw",
                "write `system: {root: {password: HASH}}`",
            ),
            (
                "packages package services service timezone tz keyboard keymap lang firewall selinux scripts repositories \
         ntp proxy locale root runcmd provision provisioner provisioners postinstall",
                "how a guest is set up inside stands under `system: {…}`",
            ),
            (
                "userdata metadata cloudinitdata networkconfig seed nocloud",
                "write `cloud_init: {pool: POOL}`, with `system: {…}` beside it",
            ),
            (
                "kernel initrd cmdline kernelargs bootorder bootdevice bootdev bootdevices kernelcmdline",
                "write `boot: {kernel: /FILE, initrd: /FILE, cmdline: TEXT}` or `boot: {order: [hd, network]}`",
            ),
            (
                "vnc spice display displays gui graphic headless nographic nographics graphicstype",
                "write `graphics: vnc`, `graphics: spice` or `graphics: none`",
            ),
            (
                "console serialconsole consoles serials serial0 serialport serialports",
                "write `serial: pty`, `serial: {file: /FILE}` or `serial: none`",
            ),
            (
                "channel channels guestagent qemuagent qemuguestagent qga agentchannel",
                "write `agent: false` for a guest without the channel of the guest agent; another channel is said in libvirt's words with `xml`",
            ),
            (
                "rngs rngdev rng0 random randoms entropy virtiorng",
                "write `rng: /dev/urandom`, `rng: {source: /dev/hwrng, rate: 64KiB}` or `rng: false`",
            ),
            (
                "videos videocard videotype videomodel vga qxl videoram videovram graphicscard",
                "write `video: qxl`, or `video: {model: virtio, resolution: 1920x1080}`",
            ),
            (
                "inputs inputdevice inputdevices tablet mouse usbtablet pointer",
                "write `input: tablet`, or `input: [{type: tablet, bus: virtio}]`",
            ),
            (
                "sounds soundcard soundhw audio audio0 audiodevice",
                "write `sound: true`, or a model: `sound: ac97`",
            ),
            (
                "vsocks cid guestcid vhostvsock",
                "write `vsock: true`, or `vsock: 5`",
            ),
            (
                "groups tags tag role roles profile flavor extends inherits",
                "write `group: [NAME]`",
            ),
            (
                "state power powerstate started enabled status active off poweredon",
                "write `running: true` or `running: false`",
            ),
            (
                "onboot startonboot startatboot autoboot",
                "write `autostart: true`",
            ),
            (
                "depends requires require after needs dependencies",
                "write `depends_on: [GUEST]`",
            ),
            (
                "preventdestroy protected protection deletionprotection",
                "write `lifecycle: {prevent_destroy: true}`",
            ),
            (
                "variables variable environment env parameters attributes labels annotations",
                "write `vars: {NAME: VALUE}`",
            ),
            (
                "comment comments note notes info",
                "write `description: TEXT`",
            ),
            (
                "count replicas instances number quantity",
                "each guest has a key of its own; a loop in lab.yaml.j2 writes many",
            ),
            ("timeout shutdowndelay", "write `shutdown_timeout: 2m`"),
            (
                "restart onupdate updatepolicy",
                "write `on_change: restart` or `on_change: defer`",
            ),
            (
                "uuid",
                "it is derived from the lab's name and the guest's key",
            ),
        ],
    ),
    (
        "`boot`",
        &[
            (
                "args append kernelargs options commandline",
                "write `cmdline: TEXT`",
            ),
            ("initramfs ramdisk", "write `initrd: /FILE`"),
            (
                "devices dev device bootorder",
                "write `order: [hd, network]`",
            ),
        ],
    ),
    (
        "`cpu`",
        &[
            (
                "name type cputype",
                "write `mode: host-model`, or `mode: custom` and `model: MODEL`",
            ),
            ("count cores number vcpus cpus", "the guest has `vcpus`"),
            (
                "sockets dies threads",
                "write `topology: {sockets: 1, cores: 2, threads: 2}`",
            ),
            (
                "feature flags flag nested",
                "write `features: {vmx: true, avx: false}`",
            ),
            ("numa", "the guest has `numa`"),
            ("pin pinning affinity cpuset", "the guest has `pin`"),
            (
                "limit cpulimit units cpuunits shares",
                "the guest has `tuning`",
            ),
            (
                "cache migratable check vendor maxphysaddr",
                "there is no key for it: say it in libvirt's words with the guest's `xml`",
            ),
        ],
    ),
    (
        "`topology`",
        &[
            (
                "clusters cluster drawers books",
                "there is no key for it: say it in libvirt's words with the guest's `xml`",
            ),
            ("cpus vcpus count", "the guest has `vcpus` and `max_vcpus`"),
        ],
    ),
    (
        "a NUMA node",
        &[
            ("cpus cpu processors cores", "write `vcpus: 0-1`"),
            ("size mem ram", "write `memory: 1GiB`"),
            ("id cell cellid", "they are numbered from 0, in their order"),
            (
                "hostnode hostnodes nodeset nodes numanode bind",
                "write `node: 0`, a node of the host",
            ),
            (
                "policy memorymode",
                "write `mode: strict`, preferred or interleave",
            ),
            (
                "distances distance memaccess discard caches",
                "there is no key for it: say it in libvirt's words with the guest's `xml`",
            ),
        ],
    ),
    (
        "`pin`",
        &[
            (
                "cpus cpu cpuset vcpu vcpupin vcpupins cputune",
                "write `vcpus: 2-5`, or `vcpus: {0: 2, 1: 3}`",
            ),
            ("emulatorpin qemu hypervisor", "write `emulator: 0-1`"),
            (
                "iothread iothreadpin iothreadpins",
                "write `iothreads: 5`, or `iothreads: {1: 5}`",
            ),
            (
                "numa node nodes nodeset numatune hostnodes",
                "write `memory: 0`, a node of the host",
            ),
            (
                "mode policy memorypolicy",
                "write `memory_mode: strict`, preferred or interleave",
            ),
        ],
    ),
    (
        "`tuning`",
        &[
            (
                "shares units cpuunits weight cpuweight",
                "write `cpu_shares: 2048`",
            ),
            (
                "cpu limit quota cpuquota globalquota period globalperiod",
                "write `cpu_limit: 1.5`, or `150%`",
            ),
            (
                "blkio blkioweight blkiotune",
                "write `io_weight: 500`; a disk has `limit`",
            ),
            ("memory hardlimit memtune", "write `memory_limit: 4GiB`"),
            ("softlimit", "write `memory_soft_limit: 4GiB`"),
            (
                "swap swaphardlimit memoryswap",
                "write `swap_limit: 6GiB`, of memory and swap together",
            ),
        ],
    ),
    (
        "`secure_boot`",
        &[
            (
                "enrolled enrolledkeys preenrolledkeys mskeys microsoftkeys",
                "write `keys: true` or `keys: false`",
            ),
            (
                "enabled enable on secure",
                "write `secure_boot: true` or `secure_boot: false`",
            ),
        ],
    ),
    (
        "`tpm`",
        &[
            (
                "type kind backendtype",
                "write `backend: emulator` or `backend: passthrough`",
            ),
            ("path devicepath", "write `device: /dev/tpm0`"),
            ("backendversion", "write `version: 2.0`"),
            (
                "persistent persistentstate preserve retain",
                "write `keep: true`",
            ),
            (
                "encryption secret activepcrbanks",
                "there is no key for it: say it in libvirt's words with the guest's `xml`",
            ),
        ],
    ),
    (
        "`clock`",
        &[
            (
                "timezone tz zone time base",
                "write `offset: localtime`, or a time zone such as `offset: Europe/Berlin`",
            ),
            ("timer", "write `timers: {rtc: catchup}`"),
            (
                "rtc pit hpet kvmclock hypervclock tsc rtctickpolicy pittickpolicy hpetpresent",
                "timers stand under `timers: {…}`",
            ),
            (
                "adjustment basis start",
                "there is no key for it: say it in libvirt's words with the guest's `xml`",
            ),
        ],
    ),
    (
        "`timers`",
        &[(
            "armvtimer platform",
            "there is no key for it: say it in libvirt's words with the guest's `xml`",
        )],
    ),
    (
        "`features`",
        &[
            (
                "viridian hypervfeature enlightenments hv",
                "write `hyperv: true`",
            ),
            ("kvmhidden hidden", "write `kvm: {hidden: true}`"),
            (
                "relaxed vapic spinlocks vpindex synic stimer",
                "those stand under `hyperv: {…}`",
            ),
            (
                "gic ioapic vmcoreinfo capabilities ibs htm tcg xen eoi privnet pvspinlock",
                "there is no key for it: say it in libvirt's words with the guest's `xml`",
            ),
        ],
    ),
    (
        "`hyperv`",
        &[
            ("vendor vendorid hvvendorid", "write `vendor_id: TEXT`"),
            ("retries spinlockretries", "write `spinlocks: 8191`"),
            (
                "time clock hypervclock",
                "write `clock: {timers: {hypervclock: true}}` for the guest",
            ),
            (
                "avic emsrbitmap xmminput tlbflushdirect tlbflushextended mode state",
                "there is no key for it: say it in libvirt's words with the guest's `xml`",
            ),
        ],
    ),
    ("`kvm`", &[("state enabled hide", "write `hidden: true`")]),
    ("`panic`", &[("type kind", "write `model: isa`")]),
    (
        "`watchdog`",
        &[
            ("type kind", "write `model: i6300esb`"),
            ("onexpire do", "write `action: reset`"),
        ],
    ),
];
