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

/// What only counts when a pool's directory is made: libvirt tells what it has.
pub const PASSING: &[&str] = &["pool/target/permissions"];

/// What a volume is made anew for. All else counts only when it is made: who may open its file changes with its use (libvirt gives
/// the file to QEMU's user), and much is not shown at all.
pub const LASTING: &[&str] = &[
    "volume/name",
    "volume/capacity",
    "volume/target/format",
    "volume/backingStore/path",
    "volume/backingStore/format",
];

/// Disks that miniascape makes.
pub const VOLUME: &[Row] = &[
    GROWS,
    SHRINKS,
    Row::new("`format`", "volume/target/format", Recreate, ANEW),
    Row::new("`image`", "volume/backingStore", Recreate, ANEW),
    Row::new("`name`, `pool`", "volume/name", Recreate, ANEW),
    Row::new(
        "`xml`, all else",
        "volume",
        Live,
        "counts when it is made: libvirt cannot change it, and does not show all of it. What is wanted later is told as pending, until \
         `--replace volume.GUEST.DISK` makes it anew",
    ),
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
