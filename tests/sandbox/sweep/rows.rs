//! What is made, changed and taken out again. `@N@` is a number of the row's own, `@DIR@` the lab's directory, `@TINY@` that of a
//! guest which boots.

/// What is set: what for people, the one value, and another; as the inside of a map in YAML.
pub type Row = (&'static str, &'static str, &'static str);

/// Keys of guests.
pub const GUESTS: &[Row] = &[
    (
        "machine, with what is on its bus alone",
        "machine: pc, xml: \"<domain><devices><watchdog model='ib700' action='reset'/></devices></domain>\"",
        "xml: \"<domain><devices><watchdog model='i6300esb' action='reset'/></devices></domain>\"",
    ),
    ("title", "title: a", "title: b"),
    (
        "shares",
        "shares: {code: @DIR@}",
        "shares: {code: {source: @DIR@/pool, target: files, driver: 9p, access: mapped, readonly: true}}",
    ),
    ("description", "description: a", "description: b"),
    ("vcpus", "vcpus: 2", "vcpus: 3"),
    ("max_vcpus", "max_vcpus: 2", "max_vcpus: 3"),
    ("memory", "memory: 40MiB", "memory: 48MiB"),
    ("max_memory", "max_memory: 64MiB", "max_memory: 96MiB"),
    ("machine", "machine: pc", "machine: q35"),
    (
        "cpu",
        "cpu: {mode: custom, model: qemu64}",
        "cpu: {mode: custom, model: Nehalem}",
    ),
    ("cpu mode", "cpu: maximum", "cpu: host-model"),
    ("firmware", "firmware: uefi", "firmware: bios"),
    (
        "boot.order",
        "boot: {order: [network]}",
        "boot: {order: [cdrom, hd]}",
    ),
    (
        "boot.kernel",
        "boot: {kernel: @TINY@/vmlinuz, initrd: @TINY@/initrd.img, cmdline: a}",
        "boot: {kernel: @TINY@/vmlinuz}",
    ),
    ("graphics", "graphics: vnc", "graphics: spice"),
    (
        "graphics.listen",
        "graphics: {type: vnc, listen: 0.0.0.0}",
        "graphics: {type: vnc, listen: 127.0.0.2}",
    ),
    (
        "graphics.listen back to none",
        "graphics: {type: spice, listen: 0.0.0.0}",
        "graphics: spice",
    ),
    (
        "serial",
        "serial: {file: @DIR@/a.log}",
        "serial: {file: @DIR@/b.log}",
    ),
    ("serial, none", "serial: none", "serial: pty"),
    ("agent", "agent: false", "agent: true"),
    (
        "rng",
        "rng: {source: builtin, rate: 64KiB}",
        "rng: /dev/random",
    ),
    ("rng, none", "rng: false", "rng: {rate: 1KiB}"),
    (
        "video",
        "graphics: vnc, video: {model: qxl, heads: 2, vram: 32MiB}",
        "graphics: vnc, video: {model: vga, vram: 8MiB, resolution: 1280x720}",
    ),
    (
        "video, none",
        "graphics: vnc, video: none",
        "graphics: spice, video: {heads: 4, resolution: 1920x1080}",
    ),
    (
        "video without a display",
        "video: bochs",
        "video: {model: ramfb}",
    ),
    (
        "input",
        "input: tablet",
        "input: [{type: tablet, bus: virtio}, {type: keyboard, bus: usb}]",
    ),
    ("sound", "sound: true", "sound: usb"),
    (
        "sound of a display",
        "graphics: {type: spice, clipboard: true}, sound: ac97",
        "graphics: vnc, sound: ac97",
    ),
    ("vsock", "vsock: 30@N@", "vsock: true"),
    ("hostname", "hostname: one", "hostname: other"),
    ("fqdn", "fqdn: first.sweep.test", "fqdn: second.sweep.test"),
    ("autostart", "autostart: true", "autostart: false"),
    (
        "disks.bus scsi",
        "disks: {root: {bus: scsi}}",
        "disks: {root: {bus: sata}}",
    ),
    (
        "disks.bus usb",
        "disks: {root: {bus: usb}}",
        "disks: {root: {bus: scsi}}",
    ),
    (
        "disks.dev",
        "disks: {root: {dev: vdc}}",
        "disks: {root: {dev: vde}}",
    ),
    (
        "disks.dev of a scsi disk",
        "disks: {root: {bus: scsi, dev: sdc}}",
        "disks: {root: {bus: scsi, dev: sdh}}",
    ),
    (
        "disks.cache",
        "disks: {root: {cache: none}}",
        "disks: {root: {cache: unsafe}}",
    ),
    (
        "disks.readonly",
        "disks: {root: {readonly: true}}",
        "disks: {root: {readonly: false}}",
    ),
    (
        "disks.shareable",
        "disks: {plain: {pool: store, size: 1MiB, format: raw, shareable: true}}",
        "disks: {plain: {pool: store, size: 1MiB, format: raw}}",
    ),
    (
        "disks.path",
        "disks: {cd: {path: @DIR@/one}}",
        "disks: {cd: {path: @DIR@/other}}",
    ),
    (
        "disks.device",
        "disks: {more: {path: @DIR@/more, device: cdrom, bus: scsi}}",
        "disks: {more: {path: @DIR@/more, format: raw, bus: scsi}}",
    ),
    (
        "disks, more",
        "disks: {more: {pool: store, size: 1MiB}}",
        "disks: {more: {pool: store, size: 2MiB}, most: {pool: store, size: 1MiB, bus: scsi}}",
    ),
    (
        "interfaces.network",
        "interfaces: {eth0: {network: back}}",
        "interfaces: {eth0: {network: front}}",
    ),
    (
        "interfaces.ip",
        "interfaces: {eth0: {ip: 192.168.161.@N@}}",
        "interfaces: {eth0: {ip: 192.168.161.1@N@}}",
    ),
    (
        "interfaces.hostname",
        "interfaces: {eth0: {ip: 192.168.161.@N@, hostname: nic-@N@}}",
        "interfaces: {eth0: {ip: 192.168.161.@N@, hostname: card-@N@}}",
    ),
    (
        "interfaces.dns",
        "interfaces: {eth0: {ip: 192.168.161.@N@, dns: false}}",
        "interfaces: {eth0: {ip: 192.168.161.@N@, dns: true}}",
    ),
    (
        "interfaces.bridge",
        "interfaces: {eth0: {network: null, bridge: sweep-br}}",
        "interfaces: {eth0: {network: null, user: true}}",
    ),
    (
        "interfaces.model",
        "interfaces: {eth0: {model: e1000e}}",
        "interfaces: {eth0: {model: rtl8139}}",
    ),
    (
        "interfaces.mac",
        "interfaces: {eth0: {mac: '52:54:00:00:@N@:01'}}",
        "interfaces: {eth0: {mac: '52:54:00:00:@N@:02'}}",
    ),
    (
        "interfaces.mtu",
        "interfaces: {eth0: {mtu: 1400}}",
        "interfaces: {eth0: {mtu: 1300}}",
    ),
    (
        "interfaces.link",
        "interfaces: {eth0: {link: down}}",
        "interfaces: {eth0: {link: up}}",
    ),
    (
        "interfaces.bandwidth",
        "interfaces: {eth0: {bandwidth: {inbound: 10MB}}}",
        "interfaces: {eth0: {bandwidth: {outbound: {average: 5MB, peak: 10MB, burst: 1MB}}}}",
    ),
    (
        "interfaces, more",
        "interfaces: {eth1: {network: back}}",
        "interfaces: {eth1: {network: front}, eth2: {network: back, model: e1000e}}",
    ),
    (
        "interfaces, fewer",
        "interfaces: {eth0: null}",
        "interfaces: {eth0: null, eth1: {network: back}}",
    ),
];

/// What else libvirt knows of a domain, given as `xml`.
pub const DOMAIN: &[Row] = &[
    (
        "watchdog",
        "<devices><watchdog model='i6300esb' action='reset'/></devices>",
        "<devices><watchdog model='i6300esb' action='poweroff'/></devices>",
    ),
    (
        "video",
        "<devices><graphics type='vnc' autoport='yes'/><video><model type='qxl'/></video></devices>",
        "<devices><graphics type='vnc' autoport='yes'/><video><model type='vga' vram='8192'/></video></devices>",
    ),
    (
        "port of graphics",
        "<devices><graphics type='vnc' port='59@N@' autoport='no'/></devices>",
        "<devices><graphics type='vnc' autoport='yes'/></devices>",
    ),
    (
        "listen of graphics",
        "<devices><graphics type='vnc' autoport='yes'><listen type='address' address='0.0.0.0'/></graphics></devices>",
        "<devices><graphics type='vnc'><listen type='socket' socket='@DIR@/@N@.vnc'/></graphics></devices>",
    ),
    (
        "sound",
        "<devices><sound model='ich9'/></devices>",
        "<devices><sound model='ac97'/></devices>",
    ),
    (
        "input",
        "<devices><input type='tablet' bus='usb'/></devices>",
        "<devices><input type='keyboard' bus='virtio'/></devices>",
    ),
    (
        "controller",
        "<devices><controller type='usb' index='0' model='nec-xhci'/></devices>",
        "<devices><controller type='usb' index='0' model='qemu-xhci' ports='8'/></devices>",
    ),
    (
        "scsi controller",
        "<devices><controller type='scsi' index='0' model='virtio-scsi'/></devices>",
        "<devices><controller type='scsi' index='0' model='lsilogic'/></devices>",
    ),
    (
        "channel",
        "<devices><channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel><graphics type='spice' autoport='yes'/></devices>",
        "<devices><channel type='unix'><target type='virtio' name='com.redhat.spice.0'/></channel></devices>",
    ),
    (
        "serial",
        "<devices><serial type='pty'><target port='1'/></serial></devices>",
        "<devices><serial type='tcp'><source mode='bind' host='127.0.0.1' service='60@N@'/><protocol type='raw'/><target port='1'/></serial></devices>",
    ),
    (
        "console",
        "<devices><console type='pty'><target type='virtio' port='0'/></console></devices>",
        "<devices><console type='file'><source path='@DIR@/@N@.console'/><target type='virtio' port='0'/></console></devices>",
    ),
    (
        "rng",
        "<devices><rng model='virtio'><rate bytes='1024'/><backend model='random'>/dev/random</backend></rng></devices>",
        "<devices><rng model='virtio'><backend model='builtin'/></rng></devices>",
    ),
    (
        "memballoon",
        "<devices><memballoon model='none'/></devices>",
        "<devices><memballoon model='virtio' autodeflate='on'/></devices>",
    ),
    (
        "panic",
        "<devices><panic model='isa'/></devices>",
        "<devices><panic model='hyperv'/></devices>",
    ),
    (
        "vsock",
        "<devices><vsock model='virtio'><cid auto='no' address='10@N@'/></vsock></devices>",
        "<devices><vsock model='virtio'><cid auto='no' address='20@N@'/></vsock></devices>",
    ),
    (
        "iommu",
        "<features><ioapic driver='qemu'/></features><devices><iommu model='intel'><driver intremap='on'/></iommu></devices>",
        "<devices><iommu model='virtio'/></devices>",
    ),
    (
        "shmem",
        "<devices><shmem name='sweep@N@'><model type='ivshmem-plain'/><size unit='M'>1</size></shmem></devices>",
        "<devices><shmem name='swept@N@'><model type='ivshmem-plain'/><size unit='M'>2</size></shmem></devices>",
    ),
    (
        "filesystem",
        "<devices><filesystem type='mount' accessmode='mapped'><source dir='@DIR@'/><target dir='lab'/></filesystem></devices>",
        "<devices><filesystem type='mount'><source dir='@DIR@/pool'/><target dir='lab'/><readonly/></filesystem></devices>",
    ),
    (
        "redirdev",
        "<devices><redirdev bus='usb' type='spicevmc'/><graphics type='spice' autoport='yes'/></devices>",
        "<devices><redirdev bus='usb' type='tcp'><source mode='bind' host='127.0.0.1' service='61@N@'/></redirdev></devices>",
    ),
    (
        "disk's limits, serial and driver",
        "<devices><disk><alias name='ua-root'/><driver name='qemu' io='threads'/><iotune><total_iops_sec>5</total_iops_sec></iotune><serial>a</serial></disk></devices>",
        "<devices><disk><alias name='ua-root'/><driver name='qemu' queues='2'/><iotune><read_bytes_sec>100000</read_bytes_sec></iotune></disk></devices>",
    ),
    (
        "model of a disk",
        "<devices><disk model='virtio-transitional'><alias name='ua-root'/></disk></devices>",
        "<devices><disk model='virtio-non-transitional'><alias name='ua-root'/></disk></devices>",
    ),
    (
        "driver and filter of a NIC",
        "<devices><interface><alias name='ua-eth0'/><driver name='qemu' queues='2'/></interface></devices>",
        "<devices><interface><alias name='ua-eth0'/><filterref filter='sweep'/></interface></devices>",
    ),
    (
        "boot order by device",
        "<devices><disk><alias name='ua-root'/><boot order='1'/></disk></devices>",
        "<devices><interface><alias name='ua-eth0'/><boot order='1'/></interface><disk><alias name='ua-root'/><boot order='2'/></disk></devices>",
    ),
    (
        "topology",
        "<vcpu>4</vcpu><cpu><topology sockets='1' cores='2' threads='2'/></cpu>",
        "<vcpu>2</vcpu><cpu><topology sockets='2' cores='1' threads='1'/></cpu>",
    ),
    (
        "cpu",
        "<cpu mode='custom' match='exact'><model>qemu64</model><feature policy='disable' name='svm'/></cpu>",
        "<cpu mode='maximum'/>",
    ),
    (
        "numa",
        "<vcpu>2</vcpu><cpu><numa><cell id='0' cpus='0' memory='16384'/><cell id='1' cpus='1' memory='16384'/></numa></cpu>",
        "<vcpu>2</vcpu><cpu><numa><cell id='0' cpus='0-1' memory='32768'/></numa></cpu>",
    ),
    (
        "vcpu",
        "<vcpu cpuset='0'>1</vcpu>",
        "<vcpu cpuset='1' current='1'>2</vcpu>",
    ),
    (
        "cputune",
        "<cputune><shares>512</shares></cputune>",
        "<cputune><vcpupin vcpu='0' cpuset='0'/></cputune>",
    ),
    (
        "numatune",
        "<numatune><memory mode='strict' nodeset='0'/></numatune>",
        "<numatune><memory mode='preferred' nodeset='0'/></numatune>",
    ),
    (
        "iothreads",
        "<iothreads>1</iothreads>",
        "<iothreads>2</iothreads>",
    ),
    (
        "memoryBacking",
        "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>",
        "<memoryBacking><nosharepages/></memoryBacking>",
    ),
    (
        "blkiotune",
        "<blkiotune><weight>800</weight></blkiotune>",
        "<blkiotune><weight>700</weight></blkiotune>",
    ),
    (
        "memtune",
        "<memtune><soft_limit unit='GiB'>4</soft_limit></memtune>",
        "<memtune><soft_limit unit='GiB'>2</soft_limit></memtune>",
    ),
    (
        "sysinfo",
        "<os><smbios mode='sysinfo'/></os><sysinfo type='smbios'><system><entry name='serial'>a</entry></system></sysinfo>",
        "<os><smbios mode='sysinfo'/></os><sysinfo type='smbios'><bios><entry name='vendor'>b</entry></bios></sysinfo>",
    ),
    (
        "os",
        "<os><bootmenu enable='yes' timeout='3000'/></os>",
        "<os><bios useserial='yes'/></os>",
    ),
    (
        "firmware features",
        "<os firmware='efi'><firmware><feature enabled='no' name='enrolled-keys'/></firmware></os>",
        "<os firmware='efi'><firmware><feature enabled='no' name='secure-boot'/></firmware></os>",
    ),
    (
        "loader",
        "<os><loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader><nvram template='/usr/share/OVMF/OVMF_VARS_4M.fd'/></os>",
        "<os><loader type='rom'>/usr/share/seabios/bios-256k.bin</loader></os>",
    ),
    (
        "clock",
        "<clock offset='localtime'><timer name='rtc' tickpolicy='catchup'/></clock>",
        "<clock offset='variable' adjustment='60' basis='utc'/>",
    ),
    (
        "features",
        "<features><pae/><hap state='off'/><vmcoreinfo state='on'/></features>",
        "<features><pmu state='off'/><apic eoi='on'/></features>",
    ),
    (
        "hyperv",
        "<features><hyperv mode='custom'><relaxed state='on'/><vapic state='on'/></hyperv></features>",
        "<features><hyperv><spinlocks state='on' retries='8191'/></hyperv></features>",
    ),
    (
        "on_*",
        "<on_poweroff>restart</on_poweroff>",
        "<on_reboot>destroy</on_reboot><on_crash>preserve</on_crash>",
    ),
    (
        "pm",
        "<pm><suspend-to-mem enabled='yes'/></pm>",
        "<pm><suspend-to-disk enabled='no'/></pm>",
    ),
    (
        "perf",
        "<perf><event name='cmt' enabled='no'/></perf>",
        "<perf><event name='mbmt' enabled='no'/></perf>",
    ),
    (
        "genid",
        "<genid>3e2ef3f2-d0f6-4c1c-9c63-2c8b8f9d5e01</genid>",
        "<genid>3e2ef3f2-d0f6-4c1c-9c63-2c8b8f9d5e02</genid>",
    ),
    (
        "metadata",
        "<metadata><a:b xmlns:a='urn:a'>1</a:b></metadata>",
        "<metadata><a:b xmlns:a='urn:a'>2</a:b></metadata>",
    ),
    (
        "seclabel",
        "<seclabel type='none' model='dac'/>",
        "<seclabel type='static' model='dac' relabel='no'><label>+0:+0</label></seclabel>",
    ),
    (
        "QEMU's command line",
        "<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><qemu:arg value='-global'/><qemu:arg value='ICH9-LPC.disable_s3=1'/></qemu:commandline>",
        "<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><qemu:env name='A' value='b'/></qemu:commandline>",
    ),
];

/// Keys of networks; `xml` among them.
pub const NETWORKS: &[Row] = &[
    ("mode", "mode: route", "mode: isolated"),
    ("mode open", "mode: open", "mode: nat"),
    (
        "address",
        "address: 10.@N@.7.1/24",
        "address: [10.@N@.8.1/25, 'fd00:@N@::1/64']",
    ),
    ("domain", "domain: a.test", "domain: b.test"),
    (
        "dhcp",
        "dhcp: true",
        "dhcp: {start: 10.@N@.0.20, end: 10.@N@.0.30}",
    ),
    (
        "dns.enabled",
        "dns: {enabled: false}",
        "dns: {enabled: true}",
    ),
    (
        "dns.hosts",
        "dns: {hosts: {a: 10.@N@.0.5}}",
        "dns: {hosts: {b: 10.@N@.0.5, c: [10.@N@.0.6]}}",
    ),
    (
        "dns.local_only",
        "domain: a.test, dns: {local_only: false}",
        "domain: a.test, dns: {local_only: true}",
    ),
    (
        "dns.forwarders",
        "dns: {forwarders: [10.@N@.0.9]}",
        "dns: {forwarders: [{domain: corp.test, address: 10.@N@.0.9}]}",
    ),
    (
        "dns.srv",
        "dns: {srv: [{service: ldap, protocol: tcp, domain: a.test, target: ldap.a.test, port: 389}]}",
        "dns: {srv: [{service: ldap, protocol: tcp, domain: a.test, target: ldap.a.test, port: 390, priority: 1, weight: 2}]}",
    ),
    (
        "dns.txt",
        "dns: {txt: {hello: a}}",
        "dns: {txt: {hello: b, more: c}}",
    ),
    (
        "dev",
        "mode: nat, dev: sweep-up0",
        "mode: nat, dev: sweep-up1",
    ),
    (
        "dev of a route",
        "mode: route, dev: sweep-up0",
        "mode: nat, dev: sweep-up0",
    ),
    ("bridge", "bridge: sweep-a@N@", "bridge: sweep-b@N@"),
    ("mtu", "mtu: 1400", "mtu: 1300"),
    ("autostart", "autostart: false", "autostart: true"),
    (
        "ports of the address translation",
        "xml: \"<network><forward><nat><port start='2000' end='3000'/></nat></forward></network>\"",
        "xml: \"<network><forward><nat ipv6='yes'/></forward></network>\"",
    ),
    (
        "forward with a card",
        "xml: \"<network><forward mode='nat'><interface dev='sweep-up0'/></forward></network>\"",
        "xml: \"<network><forward mode='route'><interface dev='sweep-up1'/></forward></network>\"",
    ),
    (
        "bridge in XML",
        "xml: \"<network><bridge stp='off' delay='2'/></network>\"",
        "xml: \"<network><bridge macTableManager='kernel'/></network>\"",
    ),
    (
        "mac",
        "xml: \"<network><mac address='52:55:00:01:@N@:01'/></network>\"",
        "xml: \"<network><mac address='52:55:00:01:@N@:02'/></network>\"",
    ),
    (
        "route",
        "xml: \"<network><route address='10.9.@N@.0' prefix='24' gateway='10.@N@.0.9'/></network>\"",
        "xml: \"<network><route address='10.9.@N@.0' prefix='24' gateway='10.@N@.0.8' metric='3'/></network>\"",
    ),
    (
        "port group",
        "xml: \"<network><portgroup name='a' default='yes'/></network>\"",
        "xml: \"<network><portgroup name='a'/><portgroup name='b' default='yes'/></network>\"",
    ),
    (
        "dnsmasq's options",
        "xml: \"<network><dnsmasq:options xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0'><dnsmasq:option value='log-queries'/></dnsmasq:options></network>\"",
        "xml: \"<network><dnsmasq:options xmlns:dnsmasq='http://libvirt.org/schemas/network/dnsmasq/1.0'><dnsmasq:option value='no-negcache'/></dnsmasq:options></network>\"",
    ),
    (
        "more TXT records",
        "xml: \"<network><dns><txt name='more' value='text'/></dns></network>\"",
        "xml: \"<network><dns forwardPlainNames='no'><txt name='more' value='words'/></dns></network>\"",
    ),
    (
        "tftp and bootp",
        "xml: \"<network><ip address='10.@N@.0.1'><tftp root='@DIR@'/><dhcp><range start='10.@N@.0.20' end='10.@N@.0.30'/><bootp file='a'/></dhcp></ip></network>\"",
        "xml: \"<network><ip address='10.@N@.0.1'><dhcp><range start='10.@N@.0.20' end='10.@N@.0.31'><lease expiry='24' unit='hours'/></range></dhcp></ip></network>\"",
    ),
    (
        "isolation of ports",
        "xml: \"<network><port isolated='yes'/></network>\"",
        "xml: \"<network><port isolated='no'/></network>\"",
    ),
    (
        "title, description and metadata of a network",
        "xml: \"<network><metadata><a:b xmlns:a='urn:a'>1</a:b></metadata></network>\"",
        "xml: \"<network><metadata><a:b xmlns:a='urn:a'>2</a:b></metadata></network>\"",
    ),
    (
        "IPv6 between guests",
        "xml: \"<network ipv6='yes'/>\"",
        "xml: \"<network trustGuestRxFilters='yes'/>\"",
    ),
];

/// Keys of pools.
pub const POOLS: &[Row] = &[
    ("path of a pool", "path: @DIR@/a@N@", "path: @DIR@/b@N@"),
    ("autostart of a pool", "autostart: false", "autostart: true"),
];

/// Keys of a disk that its volume is made by.
pub const VOLUMES: &[Row] = &[
    ("size", "size: 2MiB", "size: 3MiB"),
    ("format", "format: raw", "format: qcow2"),
    ("allocation", "allocation: full", "allocation: sparse"),
    ("image", "image: one", "image: other"),
    (
        "xml of a volume",
        "xml: \"<volume><target><features><lazy_refcounts/></features></target></volume>\"",
        "xml: \"<volume><target><clusterSize unit='KiB'>128</clusterSize></target></volume>\"",
    ),
];

/// What runs on few machines: a kernel without traffic control, or without sockets to guests, starts none of it.
pub const OFF: &[&str] = &["interfaces.bandwidth", "vsock"];
