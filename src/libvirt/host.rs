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
/// Where it lists whom it met, with their addresses. <https://man7.org/linux/man-pages/man5/proc_pid_net.5.html>
const NEIGHBOURS: &str = "/proc/net/arp";
/// What it has of one that answered, `ATF_COM`.
const ANSWERED: u32 = 2;

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

/// The MACs and addresses of all that this machine met.
pub(super) fn neighbours() -> Vec<(String, String)> {
    neighbours_in(&fs::read_to_string(NEIGHBOURS).unwrap_or_default())
}

fn neighbours_in(table: &str) -> Vec<(String, String)> {
    let neighbour = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [address, _, flags, mac, ..] = words[..] else {
            return None;
        };
        let flags = u32::from_str_radix(flags.strip_prefix("0x")?, 16).ok()?;
        (flags & ANSWERED != 0).then(|| (mac.to_owned(), address.to_owned()))
    };
    table.lines().filter_map(neighbour).collect()
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

#[cfg(test)]
mod tests {
    use super::neighbours_in;

    #[test]
    fn neighbours_are_those_that_answered() {
        let table = "IP address       HW type     Flags       HW address            Mask     Device\n\
            192.168.61.118   0x1         0x2         52:54:00:69:71:26     *        br61\n\
            192.168.61.119   0x1         0x0         00:00:00:00:00:00     *        br61\n\
            192.168.61.120   0x1         0x6         52:54:00:69:71:27     *        br61\n";
        let of = |mac: &str, ip: &str| (mac.to_owned(), ip.to_owned());
        assert_eq!(
            neighbours_in(table),
            [
                of("52:54:00:69:71:26", "192.168.61.118"),
                of("52:54:00:69:71:27", "192.168.61.120"),
            ]
        );
    }
}
