//! What the words of an answer file may look like. They stand in lines among others, and in commands: nothing that could
//! end the line, a quotation or a command gets through.

use std::net::IpAddr;

use super::{Resolver, is_label};
use crate::diagnostic::Diagnostic;
use crate::lab::decode::{Given, Spanned};

/// One kind of word: what it is, which texts are one, how it is written.
pub(super) struct Shape {
    pub(super) what: &'static str,
    fits: fn(&str) -> bool,
    hint: &'static str,
}

/// Of glibc: `language[_territory][.charset][@modifier]`.
pub(super) const LOCALE: Shape = Shape {
    what: "a locale",
    fits: is_locale,
    hint: "write it as in `en_US.UTF-8` or `C.UTF-8`",
};

pub(super) const LAYOUT: Shape = Shape {
    what: "a keyboard layout",
    fits: |text| is_word(text, "_-"),
    hint: "write one of XKB's layouts, such as `us` or `de`; its variant is `{layout: de, variant: nodeadkeys}`",
};

pub(super) const VARIANT: Shape = Shape {
    what: "a variant of a keyboard",
    fits: |text| is_word(text, "_-"),
    hint: "write one of XKB's variants, such as `nodeadkeys` or `dvorak`",
};

pub(super) const ZONE: Shape = Shape {
    what: "a time zone",
    fits: |text| is_word(text, "_+-/") && !text.ends_with('/'),
    hint: "write it as in `Europe/Berlin`, or `UTC`",
};

pub(super) const TIME_SERVER: Shape = Shape {
    what: "a time server",
    fits: |text| {
        text.parse::<IpAddr>().is_ok() || text.len() <= 253 && text.split('.').all(is_label)
    },
    hint: "write a host's name or its address",
};

/// With versions and globs, as each package manager takes them.
pub(super) const PACKAGE: Shape = Shape {
    what: "a package",
    fits: |text| {
        let name = text.strip_prefix('@').unwrap_or(text);
        is_word(name.strip_prefix('^').unwrap_or(name), "._+:~^*=/-")
    },
    hint: "write its name alone, or `@GROUP`; what is to go is under `remove`",
};

/// The same of those that go, or a pattern of a shell's for them.
pub(super) const PACKAGES: Shape = Shape {
    what: "a package or a pattern for packages",
    fits: |text| {
        let name = text.strip_prefix('@').unwrap_or(text);
        let name = name.strip_prefix('^').unwrap_or(name);
        // Something of a name, lest all packages go.
        name.contains(|c: char| c.is_ascii_alphanumeric())
            && name.starts_with(|c: char| c.is_ascii_alphanumeric() || "*?[".contains(c))
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "._+:~^*?[]!=/-".contains(c))
    },
    hint: "write its name alone, `@GROUP`, or a pattern such as `\"*-firmware\"`",
};

/// Whether it is a pattern for packages, and no name.
pub(super) fn is_pattern(package: &str) -> bool {
    package.contains(['*', '?', '['])
}

/// systemd.unit(5), without what is escaped.
pub(super) const SERVICE: Shape = Shape {
    what: "a service",
    fits: |text| is_word(text, "._:@-"),
    hint: "write its unit's name, such as `sshd`",
};

pub(super) const FIREWALL_SERVICE: Shape = Shape {
    what: "a service of the firewall",
    fits: |text| is_word(text, "._-"),
    hint: "write its name as firewalld has it, such as `ssh` or `https`; a number goes into `ports`",
};

pub(super) const GROUP: Shape = Shape {
    what: "a group",
    fits: is_login_name,
    hint: "it has up to 32 lower-case letters, digits, `_` and `-`, and begins with a letter or `_`",
};

pub(super) const SHELL: Shape = Shape {
    what: "the path of a shell",
    fits: |text| {
        text.strip_prefix('/')
            .is_some_and(|rest| is_word(rest, "._+/-"))
    },
    hint: "write it from `/` on: `/bin/bash`",
};

/// sources.list(5). A flat repository's suite is a path that ends in `/`.
pub(super) const SUITE: Shape = Shape {
    what: "a suite",
    fits: |text| text == "./" || is_word(text, "._~+/-"),
    hint: "write it as in `bookworm`, or `./` for a repository without suites",
};

pub(super) const COMPONENT: Shape = Shape {
    what: "a component",
    fits: |text| is_word(text, "._~+/-"),
    hint: "write it as in `main`",
};

/// Of apt's files and of dnf's ids: apt does not read a file with another name.
pub(super) const REPOSITORY: Shape = Shape {
    what: "the name of a package repository",
    fits: |text| is_word(text, "._-"),
    hint: "it has letters, digits, `.`, `_` and `-`",
};

pub(super) const CMDLINE: Shape = Shape {
    what: "a kernel command line",
    fits: |text| !text.contains(char::is_control),
    hint: "write it in one line; a long one may be folded with `cmdline: >-`",
};

/// The areas of the tz database, and those of its older names that people write.
const AREAS: [&str; 16] = [
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Brazil",
    "Canada",
    "Chile",
    "Etc",
    "Europe",
    "Indian",
    "Mexico",
    "Pacific",
    "US",
];

/// Zones that have no area.
const BARE_ZONES: [&str; 12] = [
    "UTC", "GMT", "CET", "EET", "MET", "WET", "EST", "HST", "MST", "EST5EDT", "CST6CDT", "PST8PDT",
];

/// The methods of crypt(5).
const HASHES: [&str; 11] = [
    "y", "gy", "7", "2a", "2b", "2y", "6", "5", "sha1", "md5", "1",
];

impl Resolver<'_> {
    /// Checks a word; whether it is one.
    pub(super) fn check(&mut self, shape: &Shape, given: &Spanned<String>) -> bool {
        let fits = (shape.fits)(&given.value);
        if !fits {
            let what = shape.what;
            self.report(
                Diagnostic::error(format!("`{}` is not {what}", shown(&given.value)))
                    .at(given.span)
                    .hint(shape.hint),
            );
        }
        fits
    }

    /// Checks each word of a list.
    pub(super) fn check_all<'s>(
        &mut self,
        shape: &Shape,
        given: impl IntoIterator<Item = &'s Spanned<String>>,
    ) {
        for given in given {
            self.check(shape, given);
        }
    }

    /// Checks a time zone. The database is the guest's: of a name that looks odd only a warning is given.
    pub(super) fn check_zone(&mut self, given: &Spanned<String>) {
        if !self.check(&ZONE, given) {
            return;
        }
        let (area, city) = match given.value.split_once('/') {
            Some((area, city)) => (area, Some(city)),
            None => (given.value.as_str(), None),
        };
        let names = match city {
            Some(_) => &AREAS[..],
            None => &BARE_ZONES[..],
        };
        if names.contains(&area) {
            return;
        }
        let near = names
            .iter()
            .find(|name| name.eq_ignore_ascii_case(area) || strsim::osa_distance(name, area) == 1);
        let hint = match (near, city) {
            (Some(near), Some(city)) => format!("did you mean `{near}/{city}`?"),
            (Some(near), None) => format!("did you mean `{near}`?"),
            (None, _) => {
                "write it as in `Europe/Berlin`: `timedatectl list-timezones` has them all"
                    .to_owned()
            }
        };
        self.report(
            Diagnostic::warning(format!("`{}` does not look like a time zone", given.value))
                .at(given.span)
                .hint(hint),
        );
    }

    /// Checks a URL that installers are given; whether it is one. They know HTTP, HTTPS and FTP.
    pub(super) fn check_url(&mut self, what: &str, given: Option<&Spanned<String>>) -> bool {
        let Some(given) = given else { return true };
        let schemes = ["http://", "https://", "ftp://"];
        let rest = schemes.iter().find_map(|s| given.value.strip_prefix(s));
        // What RFC 3986 does not allow, and the apostrophe, with which a shell quotes. `$` is of repositories' variables.
        let odd = |c: char| !c.is_ascii_graphic() || "\"'\\`<>^{|}".contains(c);
        let whole = |rest: &str| !rest.is_empty() && !rest.starts_with('/') && !rest.contains(odd);
        let fits = rest.is_some_and(whole);
        if !fits {
            let hint = match (rest, given.value.starts_with("file://")) {
                (Some(_), _) => "a host follows `//`; what is special is written as in `%20`",
                (None, true) => {
                    "begin with `http://` or `https://`; in `location` a file of this machine is its path alone"
                }
                (None, false) => "begin with `http://` or `https://`",
            };
            self.report(
                Diagnostic::error(format!(
                    "`{}` is not the URL of {what}",
                    shown(&given.value)
                ))
                .at(given.span)
                .hint(hint),
            );
        }
        fits
    }

    /// Refuses a password that is not hashed (crypt(5)): the definition is in git, and files that are made of it lie about.
    pub(super) fn check_password(&mut self, given: &Given<String>) {
        let Some(given) = given else { return };
        let plain = |c: char| c.is_ascii_graphic() && !":\"'\\`!*;".contains(c);
        let hashed = given
            .value
            .strip_prefix('$')
            .and_then(|rest| rest.split_once('$'))
            .is_some_and(|(id, rest)| {
                HASHES.contains(&id) && rest.len() >= 20 && rest.chars().all(plain)
            });
        if !hashed {
            self.report(
                Diagnostic::error("a password is given as its hash, and this is none")
                    .at(given.span)
                    .hint("hash it with `openssl passwd -6` or `mkpasswd -m sha-512`, and write the result in single quotes"),
            );
        }
    }

    /// Checks public keys, and returns them without blanks around.
    pub(super) fn ssh_keys(&mut self, keys: &[Spanned<String>]) -> Vec<String> {
        for key in keys.iter().filter(|key| !is_public_key(key.value.trim())) {
            let hint = match key.value.contains("PRIVATE KEY") {
                true => {
                    "this is the private key, which stays where it is: write the line of its `.pub` file"
                }
                false => {
                    "write the line of a `.pub` file, such as `ssh-ed25519 AAAA… ada@home`, without quotes in its comment"
                }
            };
            self.report(
                Diagnostic::error("this is not a public key of SSH")
                    .at(key.span)
                    .hint(hint),
            );
        }
        keys.iter().map(|key| key.value.trim().to_owned()).collect()
    }
}

/// A text in one line, for a message about it.
pub(super) fn shown(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        match c.is_control() {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

/// Letters and digits, and from the second character on also those of `more`.
fn is_word(text: &str, more: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}

fn is_locale(text: &str) -> bool {
    let (text, modifier) = text.split_once('@').unwrap_or((text, "x"));
    let (text, charset) = text.split_once('.').unwrap_or((text, "x"));
    let (language, territory) = text.split_once('_').unwrap_or((text, "XX"));
    let all = |text: &str, fits: fn(char) -> bool| !text.is_empty() && text.chars().all(fits);
    let language = match language {
        "C" | "POSIX" => territory == "XX",
        _ => (2..=3).contains(&language.len()) && all(language, |c| c.is_ascii_lowercase()),
    };
    language
        && territory.len() == 2
        && all(territory, |c| c.is_ascii_uppercase())
        && is_word(charset, "-")
        && all(modifier, |c| c.is_ascii_alphanumeric())
}

/// What `useradd` and `groupadd` take everywhere.
pub(super) fn is_login_name(text: &str) -> bool {
    text.len() <= 32
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-'))
}

/// A line of sshd(8)'s `authorized_keys`, without options.
fn is_public_key(line: &str) -> bool {
    let odd = |c: char| c.is_control() || "\"'\\`$".contains(c);
    let mut words = line.split_whitespace();
    let (kind, key) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let known = ["ssh-", "ecdsa-", "sk-"]
        .iter()
        .any(|start| kind.starts_with(start));
    let base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    // The data begins with the length of the kind's name, which is less than 2^24: zero bits.
    known && !line.contains(odd) && key.starts_with("AAAA") && key.chars().all(base64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_ends_a_word_is_part_of_one() {
        let shapes = [
            LOCALE,
            LAYOUT,
            VARIANT,
            ZONE,
            TIME_SERVER,
            PACKAGE,
            SERVICE,
            FIREWALL_SERVICE,
            GROUP,
            SHELL,
            SUITE,
            COMPONENT,
            REPOSITORY,
        ];
        for shape in shapes {
            for good in [
                "en_US.UTF-8",
                "us",
                "UTC",
                "ntp",
                "vim",
                "ssh",
                "wheel",
                "/bin/sh",
                "main",
            ] {
                if !(shape.fits)(good) {
                    continue;
                }
                for odd in "\n\r\t \0\"'`$\\;|&<>(){}[]#!?,%\u{a0}ü".chars() {
                    for text in [
                        format!("{good}{odd}"),
                        format!("{odd}{good}"),
                        format!("{good}{odd}{good}"),
                    ] {
                        assert!(!(shape.fits)(&text), "{text:?} as {}", shape.what);
                    }
                }
            }
            for text in ["", "-x", "--x", " "] {
                assert!(!(shape.fits)(text), "{text:?} as {}", shape.what);
            }
        }
    }

    #[test]
    fn words_are_known() {
        let known: [(&Shape, &[&str]); 8] = [
            (
                &LOCALE,
                &[
                    "C",
                    "C.UTF-8",
                    "POSIX",
                    "de",
                    "de_DE",
                    "de_DE.UTF-8@euro",
                    "ca_ES@valencia",
                    "sr_RS.utf8",
                ],
            ),
            (
                &ZONE,
                &[
                    "Europe/Berlin",
                    "America/Argentina/Buenos_Aires",
                    "Etc/GMT+1",
                    "UTC",
                ],
            ),
            (
                &TIME_SERVER,
                &["0.pool.ntp.org", "10.0.0.1", "fd00::1", "ntp"],
            ),
            (
                &PACKAGE,
                &[
                    "@core",
                    "@^minimal-environment",
                    "g++",
                    "libc6:i386",
                    "vim=2:9.0-1",
                    "perl-*",
                    "7zip",
                ],
            ),
            (
                &SERVICE,
                &[
                    "sshd",
                    "getty@tty1.service",
                    "dbus-org.x.y",
                    "systemd-timesyncd",
                ],
            ),
            (&GROUP, &["wheel", "_ssh", "libvirt-qemu"]),
            (
                &SUITE,
                &["bookworm", "stable/updates", "./", "noble-security"],
            ),
            (&SHELL, &["/bin/bash", "/usr/bin/git-shell"]),
        ];
        for (shape, texts) in known {
            for text in texts {
                assert!((shape.fits)(text), "{text:?} as {}", shape.what);
            }
        }
        for text in ["english", "en-US", "EN_us", "en_US.", "en_", "@x", "C_US"] {
            assert!(!(LOCALE.fits)(text), "{text}");
        }
    }

    #[test]
    fn keys_are_told_from_what_is_none() {
        assert!(is_public_key(
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== ada@home and away"
        ));
        assert!(is_public_key("sk-ssh-ed25519@openssh.com AAAAGnNr"));
        for none in [
            "",
            "ssh-ed25519",
            "AAAAC3Nz",
            "ssh-rsa BBBB",
            "ssh-rsa AAAA\nssh-rsa AAAA",
            "ssh-rsa AAAA it's",
            "command=\"x\" ssh-rsa AAAA",
            "ssh-rsa AAAA $(x)",
        ] {
            assert!(!is_public_key(none), "{none:?}");
        }
    }
}
