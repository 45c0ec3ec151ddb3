//! Where each distribution keeps its installer's kernel and initrd, on discs and in trees.

use std::fmt;

use super::Arch;
use crate::install::os::{Distro, Family, Installer, Os};

/// A kernel and the initrd that goes with it, as paths from a medium's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) kernel: String,
    pub(super) initrd: String,
}

impl Pair {
    pub(super) fn new(kernel: impl Into<String>, initrd: impl Into<String>) -> Self {
        Self {
            kernel: kernel.into(),
            initrd: initrd.into(),
        }
    }

    fn within(directory: &str, kernel: &str, initrd: &str) -> Self {
        Self::new(
            format!("{directory}/{kernel}"),
            format!("{directory}/{initrd}"),
        )
    }
}

impl fmt::Display for Pair {
    /// As a shell would have it: `images/pxeboot/{vmlinuz,initrd.img}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kernel.rsplit_once('/'), self.initrd.rsplit_once('/')) {
            (Some((directory, kernel)), Some((same, initrd))) if directory == same => {
                write!(f, "{directory}/{{{kernel},{initrd}}}")
            }
            _ => write!(f, "{{{},{}}}", self.kernel, self.initrd),
        }
    }
}

/// Whether the installer will see the medium as a disc, or fetch over the network. Debian's installer has an initrd for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An image, which the guest gets as a CD.
    Disc,
    /// A directory or a URL.
    Tree,
}

/// The pairs to look for, best first.
pub(super) fn pairs(os: &Os, arch: Arch, kind: Kind) -> Vec<Pair> {
    match os.installer() {
        Installer::Kickstart => vec![
            Pair::within("images/pxeboot", "vmlinuz", "initrd.img"),
            Pair::within("isolinux", "vmlinuz", "initrd.img"),
        ],
        Installer::Preseed => debian_installer(os, arch, kind),
        Installer::Autoinstall => live_server(arch),
        Installer::Autoyast => suse(arch),
        // Agama is where YaST was.
        Installer::Other if os.family == Family::Suse => suse(arch),
        Installer::Other => Vec::new(),
    }
}

fn suse(arch: Arch) -> Vec<Pair> {
    match arch {
        Arch::X86_64 => vec![
            Pair::within("boot/x86_64/loader", "linux", "initrd"),
            Pair::within("boot/x86_64", "linux", "initrd"),
        ],
        Arch::Aarch64 => vec![
            Pair::within("boot/aarch64", "linux", "initrd"),
            Pair::within("boot/aarch64/loader", "linux", "initrd"),
        ],
    }
}

/// One pair of each family's, to say what a medium is that has none of the expected ones.
pub(super) fn signs(arch: Arch) -> Vec<(&'static str, Pair)> {
    let yast = match arch {
        Arch::X86_64 => Pair::within("boot/x86_64/loader", "linux", "initrd"),
        Arch::Aarch64 => Pair::within("boot/aarch64", "linux", "initrd"),
    };
    vec![
        (
            "Fedora or RHEL and its kin",
            Pair::within("images/pxeboot", "vmlinuz", "initrd.img"),
        ),
        (
            "Debian",
            Pair::within(disc_directory(arch), "vmlinuz", "initrd.gz"),
        ),
        (
            "Ubuntu's live server",
            Pair::within("casper", "vmlinuz", "initrd"),
        ),
        ("SUSE", yast),
    ]
}

/// What a location of this system looks like.
pub(super) fn example(os: &Os) -> &'static str {
    match (os.family, os.distro) {
        (Family::Fedora, _) => {
            "the directory that holds `.treeinfo`, as in https://dl.fedoraproject.org/pub/fedora/linux/releases/42/Everything/x86_64/os/"
        }
        (Family::Rhel, _) => {
            "the directory that holds `.treeinfo`, as in https://mirror.stream.centos.org/9-stream/BaseOS/x86_64/os/"
        }
        (Family::Debian, _) => {
            "a mirror, as in http://deb.debian.org/debian/, or its netinst image"
        }
        (Family::Ubuntu, _) if os.installer() == Installer::Preseed => {
            "a mirror, as in http://archive.ubuntu.com/ubuntu/, or the alternate server image"
        }
        (Family::Ubuntu, _) => "the image of the live server",
        (Family::Other, _) => "one with a `.treeinfo`, which names its kernel and initrd",
        (Family::Suse, Distro::Tumbleweed) => {
            "the repository, as in https://download.opensuse.org/tumbleweed/repo/oss/"
        }
        (Family::Suse, _) => {
            "the repository, as in https://download.opensuse.org/distribution/leap/15.6/repo/oss/, or the full image"
        }
    }
}

/// Debian's name of an architecture.
fn debian_arch(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "amd64",
        Arch::Aarch64 => "arm64",
    }
}

fn disc_directory(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "install.amd",
        Arch::Aarch64 => "install.a64",
    }
}

fn debian_installer(os: &Os, arch: Arch, kind: Kind) -> Vec<Pair> {
    let name = if os.family == Family::Ubuntu {
        "ubuntu"
    } else {
        "debian"
    };
    let arch_name = debian_arch(arch);
    let netboot = format!("{name}-installer/{arch_name}");

    let mut net = Vec::new();
    // Below a mirror's root, below dists/CODENAME, below an installer's directory, and further in.
    for above in mirror_directories(os) {
        // Where Ubuntu 20.04 put it at last.
        let legacy = (os.family == Family::Ubuntu).then_some("current/legacy-images");
        for images in ["current/images"].into_iter().chain(legacy) {
            net.push(format!(
                "{above}main/installer-{arch_name}/{images}/netboot/{netboot}"
            ));
        }
    }
    for above in [
        "current/images/netboot/",
        "daily/netboot/",
        "install/netboot/",
        "netboot/",
        "",
    ] {
        net.push(format!("{above}{netboot}"));
    }
    let net: Vec<Pair> = net
        .iter()
        .map(|directory| Pair::within(directory, "linux", "initrd.gz"))
        .chain([Pair::new("linux", "initrd.gz")])
        .collect();
    let disc = [disc_directory(arch), "install"]
        .map(|directory| Pair::within(directory, "vmlinuz", "initrd.gz"));
    match kind {
        Kind::Disc => disc.into_iter().chain(net).collect(),
        Kind::Tree => net.into_iter().chain(disc).collect(),
    }
}

/// What may stand between a location and `main/installer-ARCH`.
fn mirror_directories(os: &Os) -> Vec<String> {
    let mut directories = Vec::new();
    if let Some(codename) = os.codename() {
        if os.family == Family::Ubuntu {
            // The installer is kept up to date there.
            directories.push(format!("dists/{codename}-updates/"));
        }
        directories.push(format!("dists/{codename}/"));
    }
    directories.push(String::new());
    directories
}

fn live_server(arch: Arch) -> Vec<Pair> {
    let arch = debian_arch(arch);
    vec![
        Pair::within("casper", "vmlinuz", "initrd"),
        Pair::within("casper", "hwe-vmlinuz", "hwe-initrd"),
        Pair::within("casper", "vmlinuz", "initrd.gz"),
        Pair::within("casper", "vmlinuz", "initrd.lz"),
        // The netboot archive, unpacked.
        Pair::within(arch, "linux", "initrd"),
        Pair::within(&format!("netboot/{arch}"), "linux", "initrd"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(os: &str, arch: Arch, kind: Kind) -> String {
        let pair = pairs(&Os::parse(os).unwrap(), arch, kind).remove(0);
        format!("{} {}", pair.kernel, pair.initrd)
    }

    #[test]
    fn each_installer_is_where_its_distribution_keeps_it() {
        use {Arch::*, Kind::*};
        for (os, arch, kind, pair) in [
            (
                "fedora42",
                X86_64,
                Disc,
                "images/pxeboot/vmlinuz images/pxeboot/initrd.img",
            ),
            (
                "rhel9.4",
                Aarch64,
                Tree,
                "images/pxeboot/vmlinuz images/pxeboot/initrd.img",
            ),
            (
                "debian12",
                X86_64,
                Disc,
                "install.amd/vmlinuz install.amd/initrd.gz",
            ),
            (
                "debian12",
                Aarch64,
                Disc,
                "install.a64/vmlinuz install.a64/initrd.gz",
            ),
            (
                "debian12",
                X86_64,
                Tree,
                "dists/bookworm/main/installer-amd64/current/images/netboot/debian-installer/amd64/linux \
                 dists/bookworm/main/installer-amd64/current/images/netboot/debian-installer/amd64/initrd.gz",
            ),
            (
                "ubuntu18.04",
                X86_64,
                Tree,
                "dists/bionic-updates/main/installer-amd64/current/images/netboot/ubuntu-installer/amd64/linux \
                 dists/bionic-updates/main/installer-amd64/current/images/netboot/ubuntu-installer/amd64/initrd.gz",
            ),
            ("ubuntu24.04", X86_64, Disc, "casper/vmlinuz casper/initrd"),
            (
                "opensuse15.6",
                X86_64,
                Disc,
                "boot/x86_64/loader/linux boot/x86_64/loader/initrd",
            ),
            (
                "sles15sp6",
                Aarch64,
                Disc,
                "boot/aarch64/linux boot/aarch64/initrd",
            ),
        ] {
            assert_eq!(first(os, arch, kind), pair, "{os}");
        }
    }

    #[test]
    fn of_a_system_that_nothing_is_known_of_no_place_is_guessed() {
        let pairs = |os: &str| pairs(&Os::any(os).unwrap(), Arch::X86_64, Kind::Tree);
        assert!(pairs("nixos24.05").is_empty());
        // Agama's is where YaST's was, whoever writes its answers.
        assert_eq!(pairs("sles16.0"), pairs("sles15sp6"));
        assert_eq!(pairs("fedora18"), pairs("fedora42"));
    }

    #[test]
    fn no_pair_is_looked_for_twice() {
        for os in [
            "fedora42",
            "debian12",
            "debian29",
            "ubuntu16.04",
            "ubuntu24.04",
            "sles12",
        ] {
            for kind in [Kind::Disc, Kind::Tree] {
                let all = pairs(&Os::parse(os).unwrap(), Arch::X86_64, kind);
                for (i, pair) in all.iter().enumerate() {
                    assert!(!all[..i].contains(pair), "{os}: {pair:?}");
                }
            }
        }
    }
}
