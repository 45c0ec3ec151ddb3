//! Reading an operating system's name.

use super::releases::{self, DEBIAN, NUMBERED, ROLLING, UBUNTU};
use super::{Distro, Os, OsError};
use crate::diagnostic::did_you_mean;

/// For those who wrote something else.
const SUPPORTED: &str = "miniascape installs Fedora (fedora42), RHEL (rhel9.4) and its kin (centos-stream9, almalinux9, rocky9, ol9), \
     Debian (debian12), Ubuntu (ubuntu24.04), openSUSE (opensuse15.6, opensusetumbleweed) and SLE (sles15sp6); any other with a `template` of your own";

/// Numbers as written after the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Release {
    major: u32,
    minor: Option<u32>,
    /// Whether a third number follows, as in 7.9.2009.
    point: bool,
    /// Whether the minor number was written as a service pack.
    service_pack: bool,
}

pub(super) fn parse(written: &str) -> Result<Os, OsError> {
    let plain = plain(written);
    if let Some((_, distro, id)) = ROLLING.iter().find(|(name, ..)| *name == plain) {
        return Ok(os(*distro, (*id).into(), Os::ROLLING, None));
    }
    if let Some(os) = by_codename(&plain) {
        return Ok(os);
    }
    let digits = plain.find(|c: char| c.is_ascii_digit());
    let (name, numbers) = plain.split_at(digits.unwrap_or(plain.len()));
    // `centos9-stream` is how CentOS names its own images.
    let (name, numbers) = match numbers.strip_suffix("stream") {
        Some(numbers) if name == "centos" => ("centosstream", numbers),
        _ => (name, numbers),
    };
    // libosinfo's "a release of this that I do not know"; with a number it still says what we need.
    let bare = name.strip_suffix("unknown").unwrap_or(name);
    let Some((_, distro)) = NUMBERED.iter().find(|(known, _)| *known == bare) else {
        return Err(unknown(written, name, numbers));
    };
    if numbers.is_empty() {
        return Err(without_release(written, *distro));
    }
    match release(numbers.strip_suffix("unknown").unwrap_or(numbers)) {
        Some(release) => numbered(*distro, release, written),
        None => Err(no_such(written, *distro)),
    }
}

fn by_codename(plain: &str) -> Option<Os> {
    if let Some((major, _)) = DEBIAN
        .iter()
        .find(|(_, name)| plain.strip_prefix("debian") == Some(name))
    {
        return Some(os(Distro::Debian, format!("debian{major}"), *major, None));
    }
    let (major, minor, _) = UBUNTU
        .iter()
        .find(|(.., name)| plain.strip_prefix("ubuntu") == Some(name))?;
    let id = format!("ubuntu{major}.{minor:02}");
    Some(os(Distro::Ubuntu, id, *major, Some(*minor)))
}

/// Reads `9`, `9.4`, `7.9.2009`, `15sp6`.
fn release(numbers: &str) -> Option<Release> {
    // Not more than four digits: u32's own parser would also take a sign.
    let number = |text: &str| {
        (!text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit()))
            .then(|| text.parse::<u32>().ok())
            .flatten()
    };
    if let Some((major, minor)) = numbers.split_once("sp") {
        return Some(Release {
            major: number(major)?,
            minor: Some(number(minor)?),
            point: false,
            service_pack: true,
        });
    }
    let mut parts = numbers.split('.');
    let major = number(parts.next()?)?;
    let minor = parts
        .next()
        .map(number)
        .map_or(Some(None), |n| n.map(Some))?;
    let point = parts
        .next()
        .map(number)
        .map_or(Some(false), |n| n.map(|_| true))?;
    parts.next().is_none().then_some(Release {
        major,
        minor,
        point,
        service_pack: false,
    })
}

/// Checks the numbers against how the distribution counts, and names the id.
fn numbered(distro: Distro, release: Release, written: &str) -> Result<Os, OsError> {
    let Release { major, minor, .. } = release;
    // CentOS beyond 8 is the Stream; nothing else it can mean.
    let distro = match distro {
        Distro::CentOs if major > 8 => Distro::CentOsStream,
        other => other,
    };
    let (oldest, newest, last_minor) = releases::bounds(distro);
    let sle = matches!(distro, Distro::Sles | Distro::Sled);
    let points = matches!(distro, Distro::Ubuntu | Distro::CentOs);
    if major < oldest {
        return Err(OsError {
            summary: format!(
                "`{written}` is too old: miniascape installs {} from {oldest} on",
                distro.title()
            ),
            hint: Some("use an image of it for the guest's disk instead of `install`, or a `template` of your own for its answers".into()),
        });
    }
    if major > newest
        || minor.is_some_and(|minor| minor > last_minor)
        || release.point && !points
        || release.service_pack && !sle
        || distro == Distro::CentOsStream && minor.is_some()
        // Leap 42 came before 15.
        || distro == Distro::OpenSuse && (17..42).contains(&major)
    {
        return Err(no_such(written, distro));
    }
    if major >= 16 && (sle || distro == Distro::OpenSuse && major < 42) {
        return Err(OsError {
            summary: format!("`{written}` is installed by Agama, which miniascape writes no answers for"),
            hint: Some("use its cloud image for the guest's disk instead of `install`, the release before, or a `template` of your own for its answers".into()),
        });
    }
    let id = match (distro, minor) {
        (Distro::Fedora, None) => format!("fedora{major}"),
        (Distro::Rhel, Some(minor)) => format!("rhel{major}.{minor}"),
        (Distro::Rhel, None) => format!("rhel{major}-unknown"),
        (Distro::CentOs, _) => format!("centos{major}"),
        (Distro::CentOsStream, _) => format!("centos-stream{major}"),
        (Distro::AlmaLinux, _) => format!("almalinux{major}"),
        (Distro::Rocky, _) => format!("rocky{major}"),
        (Distro::Oracle, Some(minor)) => format!("ol{major}.{minor}"),
        (Distro::Oracle, None) => format!("ol{major}-unknown"),
        (Distro::Debian, _) => format!("debian{major}"),
        (Distro::Ubuntu, Some(minor @ (4 | 10))) => format!("ubuntu{major}.{minor:02}"),
        (Distro::OpenSuse, Some(minor)) => format!("opensuse{major}.{minor}"),
        (Distro::Ubuntu | Distro::OpenSuse, None) => return Err(without_release(written, distro)),
        (Distro::Sles | Distro::Sled, _) => {
            // Since 15 server and desktop are one product to libosinfo.
            let name = match distro {
                _ if major >= 15 => "sle",
                Distro::Sled => "sled",
                _ => "sles",
            };
            match minor {
                None | Some(0) => format!("{name}{major}"),
                Some(pack) => format!("{name}{major}sp{pack}"),
            }
        }
        (Distro::Fedora | Distro::Ubuntu | Distro::Tumbleweed | Distro::Other, _) => {
            return Err(no_such(written, distro));
        }
    };
    Ok(os(distro, id, major, minor))
}

fn os(distro: Distro, id: String, major: u32, minor: Option<u32>) -> Os {
    Os {
        id,
        distro,
        family: distro.family(),
        major,
        minor,
        told: None,
    }
}

/// What can be told of a name that is not to be refused.
pub(super) fn any(written: &str) -> Result<Os, OsError> {
    let known = parse(written);
    let id = written.trim().to_lowercase().replace(' ', "-");
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    if known.is_ok() || id.is_empty() || !id.chars().all(is_plain) {
        return known;
    }
    let plain = plain(written);
    let digits = plain.find(|c: char| c.is_ascii_digit());
    let (name, numbers) = plain.split_at(digits.unwrap_or(plain.len()));
    let release = release(numbers);
    // Without a number it is the newest that is meant.
    let major = release.map_or(Os::ROLLING, |release| release.major);
    let minor = release.and_then(|release| release.minor);
    let bare = name.strip_suffix("unknown").unwrap_or(name);
    Ok(match NUMBERED.iter().find(|(known, _)| *known == bare) {
        Some((_, distro)) => os(*distro, plain.clone(), major, minor),
        None => os(Distro::Other, id, major, minor),
    })
}

/// A name in lower case, without what stands between its parts.
fn plain(written: &str) -> String {
    let lower = written.trim().to_lowercase();
    lower
        .chars()
        .filter(|c| !matches!(c, '-' | '_' | ' '))
        .collect()
}

fn unknown(written: &str, name: &str, numbers: &str) -> OsError {
    // A slip is in the name: the numbers are kept, if they make sense with it.
    let names = NUMBERED
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| name.len() > 2);
    let near = did_you_mean(name, names)
        .and_then(|hint| {
            Some(
                hint.strip_prefix("did you mean `")?
                    .strip_suffix("`?")?
                    .to_owned(),
            )
        })
        .map(|name| format!("{name}{numbers}"))
        .filter(|near| parse(near).is_ok());
    OsError {
        summary: format!("`{written}` is no operating system that miniascape installs"),
        hint: Some(match near {
            Some(near) => format!("did you mean `{near}`? {SUPPORTED}"),
            None => SUPPORTED.into(),
        }),
    }
}

fn without_release(written: &str, distro: Distro) -> OsError {
    OsError {
        summary: format!("`{written}` does not say which release"),
        hint: Some(format!("write it as in `{}`", releases::example(distro))),
    }
}

fn no_such(written: &str, distro: Distro) -> OsError {
    OsError {
        summary: format!("`{written}` is no release of {}", distro.title()),
        hint: Some(format!("write it as in `{}`", releases::example(distro))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Family, Installer};
    use super::*;

    #[test]
    fn names_are_read_as_people_write_them() {
        for (written, id, major, minor) in [
            ("fedora42", "fedora42", 42, None),
            ("fedora-42", "fedora42", 42, None),
            (" Fedora 42 ", "fedora42", 42, None),
            ("f41", "fedora41", 41, None),
            ("fedora-rawhide", "fedora-rawhide", Os::ROLLING, None),
            ("rhel9.4", "rhel9.4", 9, Some(4)),
            ("RHEL-9.4", "rhel9.4", 9, Some(4)),
            ("rhel-9", "rhel9-unknown", 9, None),
            ("rhel9-unknown", "rhel9-unknown", 9, None),
            ("rhel8.10", "rhel8.10", 8, Some(10)),
            ("rhel7.9", "rhel7.9", 7, Some(9)),
            ("centos7", "centos7", 7, None),
            ("centos7.9.2009", "centos7", 7, Some(9)),
            ("centos7.0", "centos7", 7, Some(0)),
            ("centos8", "centos8", 8, None),
            ("centos-stream8", "centos-stream8", 8, None),
            ("centos-stream-9", "centos-stream9", 9, None),
            ("centos9-stream", "centos-stream9", 9, None),
            ("centos-10", "centos-stream10", 10, None),
            ("almalinux9", "almalinux9", 9, None),
            ("alma-9.4", "almalinux9", 9, Some(4)),
            ("rocky9", "rocky9", 9, None),
            ("rocky9-unknown", "rocky9", 9, None),
            ("rockylinux8.10", "rocky8", 8, Some(10)),
            ("ol9.4", "ol9.4", 9, Some(4)),
            ("oraclelinux8", "ol8-unknown", 8, None),
            ("debian12", "debian12", 12, None),
            ("debian-13", "debian13", 13, None),
            ("debian12.5", "debian12", 12, Some(5)),
            ("debianbookworm", "debian12", 12, None),
            ("debian-trixie", "debian13", 13, None),
            ("debiantesting", "debiantesting", Os::ROLLING, None),
            ("debian-sid", "debianunstable", Os::ROLLING, None),
            ("ubuntu24.04", "ubuntu24.04", 24, Some(4)),
            ("ubuntu-24.04", "ubuntu24.04", 24, Some(4)),
            ("ubuntu22.04.5", "ubuntu22.04", 22, Some(4)),
            ("ubuntu24.10", "ubuntu24.10", 24, Some(10)),
            ("ubuntunoble", "ubuntu24.04", 24, Some(4)),
            ("ubuntu18.04", "ubuntu18.04", 18, Some(4)),
            ("opensuse15.6", "opensuse15.6", 15, Some(6)),
            ("opensuse-leap-15.6", "opensuse15.6", 15, Some(6)),
            ("opensuse42.3", "opensuse42.3", 42, Some(3)),
            (
                "opensusetumbleweed",
                "opensusetumbleweed",
                Os::ROLLING,
                None,
            ),
            ("sles15sp6", "sle15sp6", 15, Some(6)),
            ("sles-15-sp6", "sle15sp6", 15, Some(6)),
            ("sles15.6", "sle15sp6", 15, Some(6)),
            ("sle15", "sle15", 15, None),
            ("sled15sp5", "sle15sp5", 15, Some(5)),
            ("sled12sp5", "sled12sp5", 12, Some(5)),
            ("sles12sp5", "sles12sp5", 12, Some(5)),
        ] {
            let os = parse(written).unwrap_or_else(|e| panic!("{written}: {e}"));
            assert_eq!(
                (os.id.as_str(), os.major, os.minor),
                (id, major, minor),
                "{written}"
            );
            assert_eq!(os.family, os.distro.family());
            assert_eq!(
                parse(&os.id).unwrap().id,
                os.id,
                "an id of ours reads as itself"
            );
        }
    }

    #[test]
    fn what_follows_from_the_name() {
        use {Family as F, Installer as I};
        for (written, family, installer, syntax, codename) in [
            ("fedora42", F::Fedora, I::Kickstart, Some("F42"), None),
            ("rawhide", F::Fedora, I::Kickstart, Some("DEVEL"), None),
            ("rhel10", F::Rhel, I::Kickstart, Some("RHEL10"), None),
            ("centos7", F::Rhel, I::Kickstart, Some("RHEL7"), None),
            ("centos-stream9", F::Rhel, I::Kickstart, Some("RHEL9"), None),
            ("alma8", F::Rhel, I::Kickstart, Some("RHEL8"), None),
            ("rocky9.4", F::Rhel, I::Kickstart, Some("RHEL9"), None),
            ("ol8", F::Rhel, I::Kickstart, Some("RHEL8"), None),
            ("debian12", F::Debian, I::Preseed, None, Some("bookworm")),
            ("debian-sid", F::Debian, I::Preseed, None, Some("sid")),
            ("debian29", F::Debian, I::Preseed, None, None),
            ("ubuntu18.04", F::Ubuntu, I::Preseed, None, Some("bionic")),
            ("ubuntu19.10", F::Ubuntu, I::Preseed, None, Some("eoan")),
            (
                "ubuntu20.04",
                F::Ubuntu,
                I::Autoinstall,
                None,
                Some("focal"),
            ),
            (
                "ubuntu24.04",
                F::Ubuntu,
                I::Autoinstall,
                None,
                Some("noble"),
            ),
            ("opensuse15.6", F::Suse, I::Autoyast, None, None),
            ("tumbleweed", F::Suse, I::Autoyast, None, None),
            ("sled15sp6", F::Suse, I::Autoyast, None, None),
        ] {
            let os = parse(written).unwrap();
            assert_eq!(
                (os.family, os.installer()),
                (family, installer),
                "{written}"
            );
            assert_eq!(os.pykickstart().as_deref(), syntax, "{written}");
            assert_eq!(os.codename(), codename, "{written}");
        }
    }

    #[test]
    fn with_answers_of_ones_own_any_name_will_do() {
        use {Family as F, Installer as I};
        for (written, id, family, major, installer) in [
            ("fedora42", "fedora42", F::Fedora, 42, I::Kickstart),
            ("Fedora-18", "fedora18", F::Fedora, 18, I::Kickstart),
            ("rhel6.10", "rhel6.10", F::Rhel, 6, I::Kickstart),
            ("debian7", "debian7", F::Debian, 7, I::Preseed),
            ("ubuntu12.04", "ubuntu12.04", F::Ubuntu, 12, I::Preseed),
            ("ubuntu", "ubuntu", F::Ubuntu, Os::ROLLING, I::Autoinstall),
            ("sles16.0", "sles16.0", F::Suse, 16, I::Other),
            ("leap-16.0", "leap16.0", F::Suse, 16, I::Other),
            ("opensuse13.2", "opensuse13.2", F::Suse, 13, I::Autoyast),
            ("NixOS 24.05", "nixos-24.05", F::Other, 24, I::Other),
            (
                "fedora-coreos-stable",
                "fedora-coreos-stable",
                F::Other,
                Os::ROLLING,
                I::Other,
            ),
            ("win11", "win11", F::Other, 11, I::Other),
        ] {
            let os = any(written).unwrap();
            assert_eq!(
                (os.id.as_str(), os.family, os.major, os.installer()),
                (id, family, major, installer),
                "{written}"
            );
            assert_eq!(os.osinfo_candidates()[0], id);
        }
        for written in ["", " ", "a;b", "a\nb", "$(id)"] {
            any(written).unwrap_err();
        }
    }

    #[test]
    fn what_cannot_be_meant_is_said_with_a_way_out() {
        for (written, summary, hint) in [
            (
                "fedora",
                "`fedora` does not say which release",
                "`fedora42`",
            ),
            ("fedora-unknown", "does not say which release", "`fedora42`"),
            (
                "rhel-unknown",
                "does not say which release",
                "`rhel9.4` or `rhel9`",
            ),
            ("ubuntu24", "does not say which release", "`ubuntu24.04` or"),
            ("opensuse15", "does not say which release", "`opensuse15.6`"),
            ("fedora420", "is no release of Fedora", "`fedora42`"),
            ("fedora41.1", "is no release of Fedora", "`fedora42`"),
            ("rhel99", "is no release of RHEL", "`rhel9.4`"),
            ("rhel-9-4", "is no release of RHEL", "`rhel9.4`"),
            ("rhel9.4.1", "is no release of RHEL", "`rhel9.4`"),
            ("rhel9sp1", "is no release of RHEL", "`rhel9.4`"),
            ("rhel9.", "is no release of RHEL", "`rhel9.4`"),
            ("debian99999999999", "is no release of Debian", "`debian12`"),
            (
                "debian+12",
                "is no operating system",
                "miniascape installs Fedora",
            ),
            ("ubuntu24.05", "is no release of Ubuntu", "`ubuntu24.04`"),
            (
                "centos-stream9.4",
                "is no release of CentOS Stream",
                "`centos-stream9`",
            ),
            (
                "opensuse20.1",
                "is no release of openSUSE Leap",
                "`opensuse15.6`",
            ),
            (
                "rhel6.10",
                "is too old: miniascape installs RHEL from 7 on",
                "image",
            ),
            (
                "rhel5.11",
                "is too old: miniascape installs RHEL from 7 on",
                "image",
            ),
            (
                "ubuntu12.04.5",
                "is too old: miniascape installs Ubuntu from 14 on",
                "image",
            ),
            ("debian3.1", "is too old", "image"),
            ("opensuse13.2", "is too old", "image"),
            ("sles16.0", "is installed by Agama", "image"),
            ("leap16.0", "is installed by Agama", "image"),
            (
                "fedroa41",
                "`fedroa41` is no operating system",
                "did you mean `fedora41`? miniascape installs",
            ),
            (
                "debain-12",
                "is no operating system",
                "did you mean `debian12`?",
            ),
            (
                "ubunutu24.04",
                "is no operating system",
                "did you mean `ubuntu24.04`?",
            ),
            (
                "fedora-coreos-stable",
                "is no operating system",
                "miniascape installs Fedora (fedora42)",
            ),
            (
                "win11",
                "is no operating system",
                "miniascape installs Fedora (fedora42)",
            ),
            (
                "42",
                "is no operating system",
                "miniascape installs Fedora (fedora42)",
            ),
            (
                "",
                "`` is no operating system",
                "miniascape installs Fedora (fedora42)",
            ),
        ] {
            let error = parse(written).unwrap_err();
            assert!(
                error.summary.contains(summary),
                "{written}: {}",
                error.summary
            );
            let said = error.hint.unwrap();
            assert!(said.contains(hint), "{written}: {said}");
        }
    }
}
