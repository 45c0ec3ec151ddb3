//! How other tools call what a definition has: what to write instead.

mod devices;
mod guest;
mod network;
mod storage;
mod system;

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The answers to keys that are none, by where they stand: the words, without `_`, `-` and capitals, and the answer.
type Table = &'static [(&'static str, &'static [(&'static str, &'static str)])];

const KEYS: [Table; 5] = [
    devices::KEYS,
    guest::KEYS,
    network::KEYS,
    storage::KEYS,
    system::KEYS,
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

/// All answers: where the words stand, the words, and the answer.
fn answers() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let places = KEYS.into_iter().flatten();
    places.flat_map(|(what, rows)| rows.iter().map(|(words, answer)| (*what, *words, *answer)))
}

/// A word as the tables have it.
fn plain(word: &str) -> String {
    word.replace(['_', '-', ' '], "").to_lowercase()
}

/// What to write for a key that is none there. `what` says whose it would be: `a network`.
pub fn key(what: &str, written: &str) -> Option<&'static str> {
    static ANSWERS: LazyLock<BTreeMap<(&str, &str), &str>> = LazyLock::new(|| {
        let words = answers().flat_map(|(what, words, answer)| {
            let words = words.split_whitespace();
            words.map(move |word| ((what, word), answer))
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
        for (what, words, _) in answers() {
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
