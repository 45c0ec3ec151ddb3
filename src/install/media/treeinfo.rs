//! `.treeinfo`, in which Anaconda's and SUSE's trees say where their kernel and initrd are.
//!
//! The format is an ini file; its sections are those of `productmd` and of the older `lorax`.

use super::checksum::Checksum;
use super::known::Pair;
use super::{Arch, is_inside};

/// What a `.treeinfo` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Treeinfo {
    /// Here they are.
    Pair(Pair),
    /// The tree is of another architecture.
    OtherArch(String),
    /// The file names no kernel and initrd, or is none of this kind.
    Silent,
}

/// Reads the file. Garbage is [`Treeinfo::Silent`]: servers may answer anything for a name they do not have.
pub(super) fn parse(text: &str, arch: Arch) -> Treeinfo {
    let section = format!("images-{}", arch.as_str());
    // The section of the architecture is better than the general one.
    let images = pair(text, &section);
    if let Some(pair) = images {
        return Treeinfo::Pair(pair);
    }
    match value(text, "general", "arch").or_else(|| value(text, "tree", "arch")) {
        Some(other) if other != arch.as_str() => Treeinfo::OtherArch(other.to_owned()),
        _ => pair(text, "general").map_or(Treeinfo::Silent, Treeinfo::Pair),
    }
}

fn pair(text: &str, section: &str) -> Option<Pair> {
    let kernel = value(text, section, "kernel")?;
    let initrd = value(text, section, "initrd")?;
    // A path that leads out of the tree is no path of the tree.
    (is_inside(kernel) && is_inside(initrd)).then(|| Pair::new(kernel, initrd))
}

/// The checksum that the file has for a path of the tree.
pub(super) fn checksum(text: &str, path: &str) -> Option<Checksum> {
    Checksum::parse(value(text, "checksums", path)?)
}

/// The value of a key in a section.
fn value<'a>(text: &'a str, section: &str, key: &str) -> Option<&'a str> {
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            inside = name == section;
        } else if inside
            && let Some((name, value)) = line.split_once(['=', ':'])
            && name.trim_end().eq_ignore_ascii_case(key)
        {
            return Some(value.trim());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const CENTOS_STREAM: &str = "\
[checksums]
images/pxeboot/initrd.img = sha256:aa
images/pxeboot/vmlinuz = sha256:bb

[general]
; WARNING.0 = This section provides compatibility with pre-productmd treeinfos.
arch = x86_64
family = CentOS Stream
platforms = x86_64,xen
version = 9

[images-x86_64]
boot.iso = images/boot.iso
initrd = images/pxeboot/initrd.img
kernel = images/pxeboot/vmlinuz

[images-xen]
initrd = images/xen/initrd.img
kernel = images/xen/vmlinuz

[tree]
arch = x86_64
";

    #[test]
    fn the_section_of_the_architecture_tells() {
        assert_eq!(
            parse(CENTOS_STREAM, Arch::X86_64),
            Treeinfo::Pair(Pair::new(
                "images/pxeboot/vmlinuz",
                "images/pxeboot/initrd.img"
            ))
        );
        assert_eq!(
            parse(CENTOS_STREAM, Arch::Aarch64),
            Treeinfo::OtherArch("x86_64".into())
        );
        let old = "[general]\r\narch=x86_64\r\nKernel=isolinux/vmlinuz\r\ninitrd: isolinux/initrd.img\r\n";
        assert_eq!(
            parse(old, Arch::X86_64),
            Treeinfo::Pair(Pair::new("isolinux/vmlinuz", "isolinux/initrd.img"))
        );
    }

    #[test]
    fn what_tells_nothing_is_silent() {
        for text in [
            "",
            "<html><body>[general] not found</body></html>",
            "[general]\narch = x86_64\n",
            "[images-x86_64]\nkernel = images/pxeboot/vmlinuz\n",
            "[images-x86_64]\nkernel = ../../etc/passwd\ninitrd = a\n",
            "[images-x86_64]\nkernel = /etc/passwd\ninitrd = a\n",
            "[images-x86_64]\nkernel = \ninitrd = a\n",
        ] {
            assert_eq!(parse(text, Arch::X86_64), Treeinfo::Silent, "{text}");
        }
    }
}
