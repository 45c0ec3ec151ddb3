//! Pools, volumes and images.

use super::Row;
use crate::plan::Disruption::{Live, Recreate};

const AT_FIRST: &str = "counts when it is made, and is left alone later";

/// Pools. What is in them is never touched.
pub const POOL: &[Row] = &[
    Row::new(
        "`path`",
        "pool/target/path",
        Live,
        "stopped, defined anew, started; files stay where they are. Refused while the lab has volumes in it",
    ),
    Row::new(
        "`name`",
        "pool/name",
        Recreate,
        "defined anew under the new name; the directory and what is in it stay",
    ),
    Row::new("`xml`", PASSING[0], Live, AT_FIRST),
    Row::new(
        "all else",
        "pool",
        Live,
        "stopped, defined anew, started. One whose stop would take it from running guests, as it is no plain directory, is only defined",
    ),
];

/// How a volume that is to be larger becomes so.
pub const GROWS: Row = Row::new(
    "`size`, larger",
    "volume/capacity",
    Live,
    "`virDomainBlockResize` where a guest runs on it, else `virStorageVolResize`",
);

/// How a volume that is to be smaller becomes so.
pub const SHRINKS: Row = Row::new("`size`, smaller", "volume/capacity", Recreate, ANEW);

const ANEW: &str = "deleted and made anew: its data is lost, which takes `--allow-data-loss`";

/// What only counts when a volume or a pool's directory is made. How much of a volume is allocated and who may open its file
/// changes with its use (libvirt gives the file to QEMU's user), and must never be a reason to make it anew; of a pool's
/// directory, libvirt tells what it has.
pub const PASSING: &[&str] = &[
    "pool/target/permissions",
    "volume/allocation",
    "volume/target/permissions",
    "volume/target/label",
    "volume/target/timestamps",
];

/// Disks that miniascape makes. What is not here makes them anew.
pub const VOLUME: &[Row] = &[
    GROWS,
    SHRINKS,
    Row::new("`format`", "volume/target/format", Recreate, ANEW),
    Row::new("`image`", "volume/backingStore", Recreate, ANEW),
    Row::new("`name`, `pool`", "volume/name", Recreate, ANEW),
    Row::new("`xml`", PASSING[1], Live, AT_FIRST),
    Row::new("`xml`", PASSING[2], Live, AT_FIRST),
    Row::new("`xml`", PASSING[3], Live, AT_FIRST),
    Row::new("`xml`", PASSING[4], Live, AT_FIRST),
];

/// How an image gets another content.
pub const CONTENT: Row = Row::new(
    "`source`, its content",
    "volume",
    Recreate,
    "deleted and uploaded anew; refused while a volume is based on it. It is a copy of your file: no data is lost",
);

/// How a seed for cloud-init gets another content.
pub const SEED: Row = Row::new(
    "`cloud_init`, `system`: what is in the seed",
    "volume",
    Live,
    "written over while the guest is off; where it runs it is pending, and is written by the first apply that finds it off or restarts \
     it for another reason. cloud-init heeds it at the first boot of a fresh disk: `--replace guest.NAME` makes that",
);

/// Images.
pub const IMAGE: &[Row] = &[
    CONTENT,
    SEED,
    Row::new(
        "`name`, `pool`, `format`",
        "volume/name",
        Recreate,
        "the old one is deleted, the new one uploaded",
    ),
];
