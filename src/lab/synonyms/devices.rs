//! Guests' devices, as other tools call it.

use super::Table;

pub(super) const KEYS: Table = &[
    (
        "a disk",
        &[
            ("capacity disksize sizegb gb", "write `size: 10GiB`"),
            (
                "base baseimage backing backingfile backingstore from template clone basevolume",
                "write `image: IMAGE`, one of those under `images`",
            ),
            (
                "source file filename src iso url",
                "write `path: /FILE` for a file of the hypervisor, or `image: IMAGE` for one of those under `images`",
            ),
            ("type kind", "write `device: cdrom`, or `format: raw`"),
            ("interface controller driver diskbus", "write `bus: virtio`"),
            ("target devname devicename", "write `dev: vdb`"),
            ("storage storagepool datastore", "write `pool: POOL`"),
            ("shared share multiattach", "write `shareable: true`"),
            ("ro", "write `readonly: true`"),
            (
                "persistent preserve retain protected nodelete",
                "write `keep: true`",
            ),
            (
                "provisioning sparse preallocation preallocate thin thick",
                "write `allocation: sparse` or `allocation: full`",
            ),
            ("name", "the disk's key is its name"),
            (
                "bootorder bootindex bootable",
                "write `boot: 1` for the disk, or `boot: {order: [hd, network]}` for the guest",
            ),
            (
                "preventdestroy",
                "write `lifecycle: {prevent_destroy: true}`",
            ),
            (
                "iops iotune throttle bps qos ratelimit rate",
                "write `limit: {iops: 500, total: 50MB}`",
            ),
            ("aio iomode", "write `io: threads`, `native` or `io_uring`"),
            ("trim unmap", "write `discard: unmap` or `discard: ignore`"),
            ("serialnumber", "write `serial: NUMBER`"),
            (
                "wwn detectzeroes",
                "there is no key for it: say it in libvirt's words with the guest's `xml`",
            ),
            (
                "mountpoint mount filesystem fstype mkfs",
                "the system inside makes file systems and mounts them; a directory of the host is `shares: {NAME: /DIR}` of the guest",
            ),
        ],
    ),
    (
        "a NIC",
        &[
            ("macaddress hwaddr macaddr ethernet", "write `mac: MAC`"),
            (
                "ipaddress ipaddresses ipv4 ipv6 ip4 ip6 address addresses ips staticip fixedip",
                "write `ip: ADDRESS`, or `ip: [IPV4, IPV6]`",
            ),
            (
                "net networks source lan switch networkname",
                "write `network: NETWORK`",
            ),
            (
                "type driver adapter",
                "write `model: virtio`, and one of `network`, `bridge`, `direct` and `user: true`",
            ),
            ("name host dnsname", "write `hostname: NAME`"),
            (
                "gateway netmask prefix routes nameservers dnsservers gateway4",
                "write `system: {network: {method: static, gateway: ADDRESS}}` for the guest",
            ),
            (
                "dhcp dhcp4 bootproto",
                "the network has `dhcp`; `ip` is what the NIC gets by it",
            ),
            (
                "rate ratelimit limit speed qos",
                "write `bandwidth: {inbound: 10MB, outbound: 10MB}`",
            ),
            (
                "state connected linkstate",
                "write `link: up` or `link: down`",
            ),
            (
                "macvtap macvlan dev parent",
                "write `direct: DEVICE`, a device of the host",
            ),
            (
                "vlans tag vlanid vlantag trunk",
                "write `vlan: 5`, or a list",
            ),
            (
                "virtualport openvswitch",
                "write `ovs: true`, or `ovs: {interface_id: UUID}`",
            ),
            (
                "filterref nwfilter firewall",
                "write `filter: clean-traffic`, or `filter: {name: …, parameters: {IP: ADDRESS}}`",
            ),
            ("multiqueue", "write `queues: 4`"),
            ("bootorder bootindex", "write `boot: 1`"),
            (
                "target xml",
                "there is no key for it: say it in libvirt's words with the guest's `xml`",
            ),
        ],
    ),
    (
        "a host device",
        &[
            (
                "address source addr bdf slot device host hostaddress id hostpci name",
                "write `pci: \"0000:01:00.0\"`, or `usb: \"046d:c52b\"`",
            ),
            (
                "type vendor product vendorid productid bus domain function",
                "write `pci: \"0000:01:00.0\"`, or `usb: \"046d:c52b\"`, or `usb: {bus: 1, device: 4}`",
            ),
            ("startuppolicy", "write `optional: true`"),
            ("rombar romfile", "write `rom: false`, or `rom: /FILE`"),
            ("bootorder bootindex", "write `boot: 1`"),
            (
                "driver model multifunction xvga primarygpu pcie mdev teaming xml",
                "there is no key for it: say it in libvirt's words with the guest's `xml`",
            ),
        ],
    ),
    (
        "a share",
        &[
            (
                "path dir directory folder src host hostpath hostdir sourcedir sourcepath",
                "write `source: /DIR`, a directory of the host",
            ),
            (
                "tag mounttag targetdir targetpath name",
                "write `target: NAME`: the guest mounts it by that",
            ),
            (
                "mount mountpoint guest guestpath dst dest destination",
                "the guest mounts it where it likes, by its `target`: `mount -t virtiofs NAME /DIR`, or a line in its /etc/fstab",
            ),
            (
                "type kind fstype filesystem",
                "write `driver: virtiofs` or `driver: 9p`",
            ),
            ("ro", "write `readonly: true`"),
            (
                "accessmode securitymodel mode",
                "write `access: mapped`, with `driver: 9p`",
            ),
            (
                "cache queue xattr posix flock sandbox idmap binary fmode dmode xml",
                "there is no key for it: say it in libvirt's words with the guest's `xml`",
            ),
        ],
    ),
    (
        "`graphics`",
        &[
            ("address bind host listenaddress", "write `listen: ADDRESS`"),
            ("protocol kind", "write `type: vnc`"),
            (
                "copypaste spiceagent vdagent spicevmc agent",
                "write `clipboard: true`",
            ),
            (
                "video model vga resolution heads accel3d gl",
                "write `video: {…}` for the guest",
            ),
            (
                "port password passwd autoport websocket",
                "there is no key for it: say it in libvirt's words with the guest's `xml`",
            ),
        ],
    ),
    (
        "`video`",
        &[
            ("type card kind", "write `model: virtio`"),
            ("screens monitors outputs", "write `heads: 2`"),
            (
                "memory mem videoram vgamem ram",
                "write `vram: 64MiB`; what else of memory a model has is said in libvirt's words with the guest's `xml`",
            ),
            (
                "accel acceleration gl 3d virgl opengl accel2d",
                "write `accel3d: true`",
            ),
            ("res size x width xres", "write `resolution: 1920x1080`"),
        ],
    ),
    (
        "`rng`",
        &[
            (
                "backend device path model type",
                "write `source: /dev/urandom`",
            ),
            (
                "bytes bandwidth maxbytes limit",
                "write `rate: 64KiB`: a second",
            ),
        ],
    ),
    (
        "an input device",
        &[("model device kind name", "write `type: tablet`")],
    ),
];
