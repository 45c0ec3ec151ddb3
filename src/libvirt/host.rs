//! What is known of the host's own network interfaces, and what only this machine itself tells: libvirt does not know what became
//! of a tap after it was made.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use virt::error::ErrorNumber;
use virt::interface::Interface;

use super::connection::{Connection, is_daemon_here};
use super::error::is_unsupported;
use super::observed::Facts;
use super::raw::Held;

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

impl Connection {
    /// Whether the host has these interfaces. Where libvirt cannot tell and is on this machine, this looks for itself.
    pub(super) fn host_interfaces(
        &self,
        names: &BTreeSet<String>,
        facts: &Facts,
    ) -> BTreeMap<String, bool> {
        let is_there = |name: &String| match self
            .connect
            .lookup_interface_by_name(name)
            .map(Held::<Interface>::new)
        {
            Ok(_) => Some(true),
            Err(error) if error.code().is(ErrorNumber::NoInterface) => Some(false),
            Err(error) if is_unsupported(&error) && is_daemon_here(&facts.uri) => {
                Some(Path::new(INTERFACES).join(name).exists())
            }
            Err(_) => None,
        };
        // The test driver has no host.
        let names = names.iter().filter(|_| facts.driver != "TEST");
        names
            .filter_map(|name| Some((name.clone(), is_there(name)?)))
            .collect()
    }
}
