//! The lab itself, and pools and images in it, as other tools call it.

use super::Table;

pub(super) const KEYS: Table = &[
    (
        "a lab",
        &[
            ("name labname project", "write `lab: NAME`"),
            (
                "vms vm guest domains domain machines virtualmachines instances nodes servers",
                "write `guests: {NAME: {…}}`",
            ),
            ("network nets net subnets", "write `networks: {NAME: {…}}`"),
            (
                "pool storage storagepools storagepool datastores",
                "write `pools: {NAME: {path: /DIR}}`",
            ),
            (
                "volumes volume disks disk",
                "a volume is a disk of a guest: `guests: {NAME: {disks: {data: {pool: POOL, size: 10GiB}}}}`",
            ),
            (
                "image baseimages boxes",
                "write `images: {NAME: {pool: POOL, source: FILE}}`",
            ),
            (
                "defaults default globals global all base shared",
                "write `common: {…}`: what all guests begin with",
            ),
            (
                "group profiles roles flavors",
                "write `groups: {NAME: {…}}`",
            ),
            (
                "vars variables variable locals",
                "guests have `vars`, in `common` for all; variables of lab.yaml.j2 are in `[vars]` of miniascape.toml",
            ),
            (
                "uri connect connection hypervisor provider libvirturi",
                "write `connect = \"qemu:///system\"` into miniascape.toml, or give `-c URI`",
            ),
            (
                "include includes import imports files",
                "files below lab.d/ are read, too; `-C PATH` names others",
            ),
            ("version apiversion schema kind", "leave it out"),
            (
                "moves renamed rename",
                "write `moved: [{from: guest.OLD, to: guest.NEW}]`",
            ),
        ],
    ),
    (
        "a pool",
        &[
            (
                "target dir directory location targetpath folder",
                "write `path: /DIR`",
            ),
            ("kind pooltype", "write `type: dir`"),
            (
                "device devices host hosts server format initiator auth export volumegroup vg",
                "write `source: {host: …, dir: …}`: what it is made of",
            ),
            ("existing", "write `external: true`"),
        ],
    ),
    (
        "`source`",
        &[
            (
                "devices path disk disks target iqn",
                "write `device: /dev/vdb`, or a list",
            ),
            ("hosts server servers monitors", "write `host: HOST`"),
            ("directory export share", "write `dir: /DIR`"),
            ("vg volumegroup zpool volume pool", "write `name: NAME`"),
            (
                "adapter",
                "there is no key for it: say it in libvirt's words with the pool's `xml`",
            ),
        ],
    ),
    (
        "an image",
        &[
            (
                "url path file src location filename",
                "write `source: FILE`, a local file",
            ),
            ("checksum sha256sum hash digest sha", "write `sha256: HASH`"),
            ("type", "write `format: qcow2`"),
            ("storage storagepool", "write `pool: POOL`"),
            ("name", "the image's key is its name"),
            ("size capacity", "the guest's disk has `size`"),
        ],
    ),
];
