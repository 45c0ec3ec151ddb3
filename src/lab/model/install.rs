//! How a guest's system gets there: an unattended install, a seed for cloud-init, files of the user's. The host has such files, too.

use std::path::PathBuf;

use serde::Serialize;

use crate::address::Name;
use crate::install::os::{Installer, Os};

/// An unattended install.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Install {
    /// What is installed.
    pub os: Os,
    /// The installer, which follows from the system.
    pub installer: Installer,
    /// Where the installer is.
    pub location: Location,
    /// The URL of the install tree that packages come from; with a CD there may be none.
    pub url: Option<String>,
    /// The template of the answer file: an absolute path, or one in the search path.
    pub template: String,
    /// More for the installer's kernel command line.
    pub cmdline: Option<String>,
    /// Seconds that an install may take.
    pub timeout: u64,
}

/// Where an installer is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Location {
    /// An install tree by HTTP or HTTPS.
    Url {
        /// Its URL.
        url: String,
    },
    /// An image of a CD on this machine, and for guests that read from it on the hypervisor by the same path.
    Iso {
        /// Its absolute path.
        path: PathBuf,
    },
    /// An install tree in a directory of this machine: kernel and initrd come from it, packages from where the answer
    /// file says.
    Tree {
        /// Its absolute path.
        path: PathBuf,
    },
    /// An image of a CD in a volume, which may be an image of the lab.
    Volume {
        /// The pool, by its name in the lab.
        pool: Name,
        /// The volume's name in libvirt.
        volume: String,
    },
    /// Kernel and initrd by themselves: files of this machine, or URLs.
    Kernel {
        /// The kernel.
        kernel: String,
        /// The initrd.
        initrd: String,
    },
}

/// A seed for cloud-init: a small volume, labelled `CIDATA`, that the guest has as a disk.
/// <https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html>
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seed {
    /// The pool it is in, by its name in the lab.
    pub pool: Name,
    /// The volume's name in libvirt.
    pub volume: String,
    /// The template of the user-data: an absolute path, or one in the search path.
    pub template: String,
}

/// A file of the user's, to be put into a guest or onto the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserFile {
    /// Its name in the lab.
    pub key: Name,
    /// Where its text comes from.
    pub source: FileSource,
    /// Where it goes there, as an absolute path.
    pub dst: String,
    /// Permissions, as four octal digits.
    pub mode: String,
    /// Owner, as `user:group`.
    pub owner: String,
}

/// Where a text comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum FileSource {
    /// A file beside the definition, rendered as a template.
    File {
        /// Its absolute path.
        path: PathBuf,
    },
    /// A text in the definition, rendered as a template.
    Inline {
        /// The text.
        content: String,
    },
}

/// A template whose rendering `generate` puts into a guest's directory, or the host's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserTemplate {
    /// Its name in the lab.
    pub key: Name,
    /// The template: an absolute path, or one in the search path.
    pub src: String,
    /// Where it goes, relative to that directory.
    pub dst: String,
}

/// What answers are called that the user's own template gives to an installer which nothing is known of: as the template.
pub fn answer_file(template: &str) -> &str {
    let file = template.rsplit('/').next().unwrap_or(template);
    file.strip_suffix(".j2").unwrap_or(file)
}
