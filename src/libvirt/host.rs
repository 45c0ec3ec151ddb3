//! What this machine itself tells of its network: libvirt does not know what became of a tap after it was made.

use std::collections::BTreeSet;
use std::fs;

/// Where the kernel lists network interfaces. <https://docs.kernel.org/networking/netdevices.html>
const INTERFACES: &str = "/sys/class/net";

/// Every tap that hangs on no bridge.
pub(super) fn loose_taps() -> BTreeSet<String> {
    let entries = fs::read_dir(INTERFACES).into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            let has = |name: &str| entry.path().join(name).symlink_metadata().is_ok();
            has("tun_flags") && !has("master")
        })
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}
