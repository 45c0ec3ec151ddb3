//! What is known of the distributions: their names, how they count, their codenames.

use super::Distro;

/// The ways to write a distribution's name before its number, in lower case and without dashes.
pub(super) const NUMBERED: [(&str, Distro); 22] = [
    ("fedora", Distro::Fedora),
    ("f", Distro::Fedora),
    ("rhel", Distro::Rhel),
    ("redhat", Distro::Rhel),
    ("centos", Distro::CentOs),
    ("centosstream", Distro::CentOsStream),
    ("almalinux", Distro::AlmaLinux),
    ("alma", Distro::AlmaLinux),
    ("rocky", Distro::Rocky),
    ("rockylinux", Distro::Rocky),
    ("ol", Distro::Oracle),
    ("oracle", Distro::Oracle),
    ("oraclelinux", Distro::Oracle),
    ("debian", Distro::Debian),
    ("ubuntu", Distro::Ubuntu),
    ("opensuse", Distro::OpenSuse),
    ("opensuseleap", Distro::OpenSuse),
    ("leap", Distro::OpenSuse),
    ("sle", Distro::Sles),
    ("sles", Distro::Sles),
    ("suse", Distro::Sles),
    ("sled", Distro::Sled),
];

/// The names without a number, with the id of libosinfo.
pub(super) const ROLLING: [(&str, Distro, &str); 8] = [
    ("fedorarawhide", Distro::Fedora, "fedora-rawhide"),
    ("rawhide", Distro::Fedora, "fedora-rawhide"),
    ("debiantesting", Distro::Debian, "debiantesting"),
    ("debianunstable", Distro::Debian, "debianunstable"),
    ("debiansid", Distro::Debian, "debianunstable"),
    ("sid", Distro::Debian, "debianunstable"),
    (
        "opensusetumbleweed",
        Distro::Tumbleweed,
        "opensusetumbleweed",
    ),
    ("tumbleweed", Distro::Tumbleweed, "opensusetumbleweed"),
];

/// Debian's releases.
pub(super) const DEBIAN: [(u32, &str); 8] = [
    (8, "jessie"),
    (9, "stretch"),
    (10, "buster"),
    (11, "bullseye"),
    (12, "bookworm"),
    (13, "trixie"),
    (14, "forky"),
    (15, "duke"),
];

/// Ubuntu's releases: year, month, and the first word of the codename.
pub(super) const UBUNTU: [(u32, u32, &str); 25] = [
    (14, 4, "trusty"),
    (14, 10, "utopic"),
    (15, 4, "vivid"),
    (15, 10, "wily"),
    (16, 4, "xenial"),
    (16, 10, "yakkety"),
    (17, 4, "zesty"),
    (17, 10, "artful"),
    (18, 4, "bionic"),
    (18, 10, "cosmic"),
    (19, 4, "disco"),
    (19, 10, "eoan"),
    (20, 4, "focal"),
    (20, 10, "groovy"),
    (21, 4, "hirsute"),
    (21, 10, "impish"),
    (22, 4, "jammy"),
    (22, 10, "kinetic"),
    (23, 4, "lunar"),
    (23, 10, "mantic"),
    (24, 4, "noble"),
    (24, 10, "oracular"),
    (25, 4, "plucky"),
    (25, 10, "questing"),
    (26, 4, "resolute"),
];

/// The oldest and newest major release, and the last minor one, that can be meant. The oldest are those that the templates
/// are written for; the others only tell slips of the finger.
pub(super) fn bounds(distro: Distro) -> (u32, u32, u32) {
    match distro {
        Distro::Fedora => (20, 99, 0),
        Distro::Rhel | Distro::Oracle => (7, 19, 10),
        Distro::CentOs => (7, 8, 9),
        Distro::CentOsStream => (8, 19, 0),
        Distro::AlmaLinux | Distro::Rocky => (8, 19, 10),
        Distro::Debian => (8, 29, 29),
        Distro::Ubuntu => (14, 49, 10),
        Distro::OpenSuse => (15, 42, 9),
        Distro::Tumbleweed | Distro::Other => (0, 0, 0),
        Distro::Sles | Distro::Sled => (12, 19, 9),
    }
}

/// How to write one of it, inside backticks.
pub(super) fn example(distro: Distro) -> &'static str {
    match distro {
        Distro::Fedora => "fedora42",
        Distro::Rhel => "rhel9.4` or `rhel9",
        Distro::CentOs | Distro::CentOsStream => "centos-stream9",
        Distro::AlmaLinux => "almalinux9",
        Distro::Rocky => "rocky9",
        Distro::Oracle => "ol9.4` or `ol9",
        Distro::Debian => "debian12",
        Distro::Ubuntu => "ubuntu24.04` or `ubuntunoble",
        Distro::OpenSuse | Distro::Tumbleweed => "opensuse15.6` or `opensusetumbleweed",
        Distro::Sles => "sles15sp6",
        Distro::Sled => "sled15sp6",
        Distro::Other => "NAME9",
    }
}
