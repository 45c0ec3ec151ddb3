//! Operating systems as people name them, and what follows from the name: the installer, the answer file, the osinfo id.
//!
//! The names are libosinfo's short ids (`fedora42`, `rhel9.4`, `ubuntu24.04`), and the ways of writing them that are common:
//! dashes, capitals, codenames, point releases that libosinfo does not tell apart.

mod candidates;
mod name;
mod releases;

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use thiserror::Error;

/// An operating system that can be installed unattended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Os {
    /// libosinfo's short id, the nearest where it has none of just this release: `rhel9.4`, `almalinux9`, `rhel9-unknown`.
    pub id: String,
    /// The distribution.
    pub distro: Distro,
    /// The distributions that are installed alike.
    pub family: Family,
    /// The release: 42 of Fedora 42, 24 of Ubuntu 24.04. [`Os::ROLLING`] where releases have no numbers, so that "at least
    /// release n" is true of them.
    pub major: u32,
    /// What follows: 4 of RHEL 9.4 and of Ubuntu 24.04, the service pack of SLE. `None` where it was not written.
    pub minor: Option<u32>,
    /// The installer, where the user says it.
    #[serde(skip)]
    pub told: Option<Installer>,
}

/// A distribution. Editions that are installed alike but differ in name or repositories are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Distro {
    /// Fedora.
    Fedora,
    /// Red Hat Enterprise Linux.
    Rhel,
    /// CentOS Linux 7 and 8.
    CentOs,
    /// CentOS Stream.
    CentOsStream,
    /// AlmaLinux.
    AlmaLinux,
    /// Rocky Linux.
    Rocky,
    /// Oracle Linux.
    Oracle,
    /// Debian.
    Debian,
    /// Ubuntu.
    Ubuntu,
    /// openSUSE Leap.
    OpenSuse,
    /// openSUSE Tumbleweed.
    Tumbleweed,
    /// SUSE Linux Enterprise Server.
    Sles,
    /// SUSE Linux Enterprise Desktop.
    Sled,
    /// One that nothing is known of.
    Other,
}

/// Distributions that share an installer and the names of their packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Fedora.
    Fedora,
    /// Red Hat Enterprise Linux and what is built from its sources.
    Rhel,
    /// Debian.
    Debian,
    /// Ubuntu.
    Ubuntu,
    /// openSUSE and SUSE Linux Enterprise.
    Suse,
    /// What nothing is known of.
    Other,
}

/// What reads the answer file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Installer {
    /// Anaconda's kickstart.
    Kickstart,
    /// The Debian installer's preseed.
    Preseed,
    /// Ubuntu's autoinstall (subiquity), which comes by cloud-init.
    Autoinstall,
    /// YaST's AutoYaST.
    Autoyast,
    /// Another one: it finds the user's own answers in its initrd, and is told of them by the user.
    Other,
}

/// A name that is no operating system, or none that can be installed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{summary}")]
pub struct OsError {
    /// What is wrong: one line, lower case, no full stop.
    pub summary: String,
    /// How to mend it.
    pub hint: Option<String>,
}

impl Os {
    /// The major release of a distribution that rolls: newer than any number.
    pub const ROLLING: u32 = 9999;

    /// Reads a name: a short id of libosinfo or a common way to write it.
    ///
    /// # Errors
    /// An unknown name (with the nearest known one), a name without the release, a release that does not exist, one that is
    /// too old for the templates, one whose installer reads none of the [`Installer`]s' files.
    pub fn parse(written: &str) -> Result<Self, OsError> {
        name::parse(written)
    }

    /// Reads a name that is not to be refused: the user brings answers of their own. What is not known of it, its installer has to be
    /// told by the user.
    ///
    /// # Errors
    /// Something that is no name at all.
    pub fn any(written: &str) -> Result<Self, OsError> {
        name::any(written)
    }

    /// Whether the distribution has no numbered releases: Fedora Rawhide, Debian testing and unstable, Tumbleweed.
    pub fn is_rolling(&self) -> bool {
        self.major == Self::ROLLING
    }

    /// What reads the answer file. Ubuntu has autoinstall since 20.04.
    pub fn installer(&self) -> Installer {
        if let Some(told) = self.told {
            return told;
        }
        match self.family {
            Family::Fedora | Family::Rhel => Installer::Kickstart,
            Family::Debian => Installer::Preseed,
            Family::Ubuntu if self.major < 20 => Installer::Preseed,
            Family::Ubuntu => Installer::Autoinstall,
            Family::Suse if self.has_agama() => Installer::Other,
            Family::Suse => Installer::Autoyast,
            Family::Other => Installer::Other,
        }
    }

    /// Whether Anaconda's boot options have no `inst.` before them yet: before Fedora 17, and RHEL 7.
    pub fn is_before_inst(&self) -> bool {
        match self.family {
            Family::Fedora => self.major < 17,
            Family::Rhel => self.major < 7,
            Family::Debian | Family::Ubuntu | Family::Suse | Family::Other => false,
        }
    }

    /// Whether it is installed by Agama, which came with 16 of SLE and Leap; Leap 42 came before 15.
    fn has_agama(&self) -> bool {
        match self.distro {
            Distro::Sles | Distro::Sled => self.major >= 16,
            Distro::OpenSuse => (16..42).contains(&self.major),
            _ => false,
        }
    }

    /// The name by which mirrors of Debian and Ubuntu know the release: `bookworm`, `noble`. `None` elsewhere, and where the
    /// release is newer than this program.
    pub fn codename(&self) -> Option<&'static str> {
        match self.distro {
            // Rolling: the mirrors' own names for them.
            Distro::Debian if self.id == "debiantesting" => Some("testing"),
            Distro::Debian if self.is_rolling() => Some("sid"),
            Distro::Debian => releases::DEBIAN
                .iter()
                .find(|(major, _)| *major == self.major)
                .map(|(_, name)| *name),
            Distro::Ubuntu => releases::UBUNTU
                .iter()
                .find(|(major, minor, _)| (*major, Some(*minor)) == (self.major, self.minor))
                .map(|(.., name)| *name),
            Distro::Fedora
            | Distro::Rhel
            | Distro::CentOs
            | Distro::CentOsStream
            | Distro::AlmaLinux
            | Distro::Rocky
            | Distro::Oracle
            | Distro::OpenSuse
            | Distro::Tumbleweed
            | Distro::Sles
            | Distro::Sled
            | Distro::Other => None,
        }
    }

    /// The version of kickstart's syntax as `ksvalidator --version` wants it: `F42`, `RHEL9`; `DEVEL` for Rawhide.
    /// `None` where the answer file is no kickstart.
    pub fn pykickstart(&self) -> Option<String> {
        match self.family {
            Family::Fedora if self.is_rolling() => Some("DEVEL".into()),
            Family::Fedora => Some(format!("F{}", self.major)),
            Family::Rhel => Some(format!("RHEL{}", self.major)),
            Family::Debian | Family::Ubuntu | Family::Suse | Family::Other => None,
        }
    }

    /// The ids to try as virt-install's `--osinfo`, best first: the machine's osinfo-db may be older than the release.
    ///
    /// Each tells of virtio devices at least. The last, `generic`, is always there, though virt-install does not list it.
    pub fn osinfo_candidates(&self) -> Vec<String> {
        candidates::of(self)
    }
}

impl FromStr for Os {
    type Err = OsError;

    fn from_str(written: &str) -> Result<Self, OsError> {
        Self::parse(written)
    }
}

impl fmt::Display for Os {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

impl Distro {
    /// The family that it is installed with.
    pub fn family(self) -> Family {
        match self {
            Distro::Fedora => Family::Fedora,
            Distro::Rhel
            | Distro::CentOs
            | Distro::CentOsStream
            | Distro::AlmaLinux
            | Distro::Rocky
            | Distro::Oracle => Family::Rhel,
            Distro::Debian => Family::Debian,
            Distro::Ubuntu => Family::Ubuntu,
            Distro::OpenSuse | Distro::Tumbleweed | Distro::Sles | Distro::Sled => Family::Suse,
            Distro::Other => Family::Other,
        }
    }

    /// Its name as people read it.
    pub fn title(self) -> &'static str {
        match self {
            Distro::Fedora => "Fedora",
            Distro::Rhel => "RHEL",
            Distro::CentOs => "CentOS",
            Distro::CentOsStream => "CentOS Stream",
            Distro::AlmaLinux => "AlmaLinux",
            Distro::Rocky => "Rocky Linux",
            Distro::Oracle => "Oracle Linux",
            Distro::Debian => "Debian",
            Distro::Ubuntu => "Ubuntu",
            Distro::OpenSuse => "openSUSE Leap",
            Distro::Tumbleweed => "openSUSE Tumbleweed",
            Distro::Sles => "SLES",
            Distro::Sled => "SLED",
            Distro::Other => "that system",
        }
    }
}
