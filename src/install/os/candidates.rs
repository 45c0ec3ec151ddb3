//! Which ids of libosinfo stand in for a release that the machine's osinfo-db does not know.

use super::{Distro, Os};

/// What libosinfo calls any Linux of a time, newest first. `generic` is virt-install's own.
const ANY_LINUX: [&str; 6] = [
    "linux2024",
    "linux2022",
    "linux2020",
    "linux2018",
    "linux2016",
    "generic",
];

/// Ubuntu's long-term releases that are in every osinfo-db of the last years, newest first.
const UBUNTU_LTS: [(u32, u32); 7] = [
    (26, 4),
    (24, 4),
    (22, 4),
    (20, 4),
    (18, 4),
    (16, 4),
    (14, 4),
];

/// The ids in the order of preference. `rhel-unknown`, `rocky-unknown` and `sle-unknown` are left out: they know no devices,
/// so that a guest would get emulated IDE disks.
pub(super) fn of(os: &Os) -> Vec<String> {
    let mut ids = vec![os.id.clone()];
    match os.distro {
        Distro::Fedora => ids.extend(["fedora-unknown".into(), "fedora-rawhide".into()]),
        Distro::Rhel
        | Distro::CentOs
        | Distro::CentOsStream
        | Distro::AlmaLinux
        | Distro::Rocky
        | Distro::Oracle => {
            match (os.distro, os.minor) {
                // A minor release that has an id is nearer than the major one's.
                (Distro::Rocky, Some(minor)) => {
                    ids.insert(0, format!("rocky{}.{minor}", os.major));
                }
                (Distro::CentOs, _) => ids.push(format!("centos{}.0", os.major)),
                (Distro::Oracle, _) => ids.push(format!("ol{}-unknown", os.major)),
                _ => {}
            }
            if os.distro == Distro::Rocky {
                ids.push(format!("rocky{}-unknown", os.major));
            }
            ids.extend(
                (7..=os.major)
                    .rev()
                    .map(|major| format!("rhel{major}-unknown")),
            );
        }
        Distro::Debian => {
            // What follows the newest that is known; then those before.
            ids.push("debiantesting".into());
            ids.extend(
                (9..os.major.min(14))
                    .rev()
                    .map(|major| format!("debian{major}")),
            );
        }
        Distro::Ubuntu => ids.extend(
            UBUNTU_LTS
                .iter()
                .filter(|(major, minor)| (*major, Some(*minor)) < (os.major, os.minor))
                .map(|(major, minor)| format!("ubuntu{major}.{minor:02}")),
        ),
        Distro::OpenSuse => {
            ids.extend(
                (0..os.minor.unwrap_or(0))
                    .rev()
                    .map(|minor| format!("opensuse{}.{minor}", os.major)),
            );
            ids.push("opensuse-unknown".into());
        }
        Distro::Tumbleweed => ids.extend(["opensuse-factory".into(), "opensuse-unknown".into()]),
        Distro::Sles | Distro::Sled => {
            let base = os
                .id
                .split("sp")
                .next()
                .unwrap_or(&os.id)
                .trim_end_matches("-unknown");
            ids.extend([format!("{base}-unknown"), base.into()]);
        }
        Distro::Other => {}
    }
    ids.extend(ANY_LINUX.map(String::from));
    let mut seen = std::collections::HashSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    ids
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn chain(written: &str) -> Vec<String> {
        let mut ids = Os::parse(written).unwrap().osinfo_candidates();
        let generic = ids.split_off(ids.len() - ANY_LINUX.len());
        assert_eq!(generic, ANY_LINUX);
        ids
    }

    #[test]
    fn the_nearest_come_first() {
        for (written, ids) in [
            ("fedora42", "fedora42 fedora-unknown fedora-rawhide"),
            (
                "rhel9.4",
                "rhel9.4 rhel9-unknown rhel8-unknown rhel7-unknown",
            ),
            ("rhel-8", "rhel8-unknown rhel7-unknown"),
            (
                "almalinux10",
                "almalinux10 rhel10-unknown rhel9-unknown rhel8-unknown rhel7-unknown",
            ),
            (
                "centos-stream9",
                "centos-stream9 rhel9-unknown rhel8-unknown rhel7-unknown",
            ),
            ("centos7", "centos7 centos7.0 rhel7-unknown"),
            (
                "rocky8.6",
                "rocky8.6 rocky8 rocky8-unknown rhel8-unknown rhel7-unknown",
            ),
            ("ol8.10", "ol8.10 ol8-unknown rhel8-unknown rhel7-unknown"),
            (
                "debian12",
                "debian12 debiantesting debian11 debian10 debian9",
            ),
            (
                "ubuntu24.10",
                "ubuntu24.10 ubuntu24.04 ubuntu22.04 ubuntu20.04 ubuntu18.04 ubuntu16.04 ubuntu14.04",
            ),
            (
                "ubuntu20.04",
                "ubuntu20.04 ubuntu18.04 ubuntu16.04 ubuntu14.04",
            ),
            (
                "opensuse15.2",
                "opensuse15.2 opensuse15.1 opensuse15.0 opensuse-unknown",
            ),
            (
                "tumbleweed",
                "opensusetumbleweed opensuse-factory opensuse-unknown",
            ),
            ("sles15sp6", "sle15sp6 sle15-unknown sle15"),
            ("sled12-sp5", "sled12sp5 sled12-unknown sled12"),
        ] {
            assert_eq!(chain(written).join(" "), ids, "{written}");
        }
    }

    /// The short ids of this machine's osinfo-db, which comes with virt-install.
    fn known_here() -> BTreeSet<String> {
        let mut known = BTreeSet::new();
        for entry in walkdir::WalkDir::new("/usr/share/osinfo/os") {
            let entry = entry.expect("osinfo-db is installed: run scripts/setup");
            if entry.file_type().is_file() {
                let text = std::fs::read_to_string(entry.path()).unwrap();
                for part in text.split("<short-id>").skip(1) {
                    known.insert(part.split('<').next().unwrap().to_owned());
                }
            }
        }
        known
    }

    #[test]
    fn an_old_osinfo_db_knows_a_near_one_of_any_release() {
        let known = known_here();
        for written in [
            "fedora42",
            "fedora99",
            "rawhide",
            "rhel7.9",
            "rhel8",
            "rhel9.6",
            "rhel10",
            "centos7",
            "centos8",
            "centos-stream10",
            "alma9",
            "alma10",
            "rocky9.5",
            "rocky10",
            "ol9",
            "ol10",
            "debian12",
            "debian14",
            "sid",
            "ubuntu22.04",
            "ubuntu24.04",
            "ubuntu26.04",
            "opensuse15.6",
            "tumbleweed",
            "sles15sp7",
            "sled15",
            "sles12sp5",
        ] {
            let near = chain(written);
            let found = near.iter().find(|id| known.contains(*id));
            let distro = Os::parse(written).unwrap().distro;
            assert!(found.is_some(), "{written}: none of {near:?} is known");
            if matches!(distro, Distro::Fedora | Distro::Debian | Distro::Ubuntu) {
                let name = distro.title().to_lowercase();
                assert!(found.unwrap().starts_with(&name), "{written}: {found:?}");
            }
        }
    }
}
