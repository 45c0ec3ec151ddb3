//! Passwords in texts: in libvirt's XML, in arguments of QEMU and of kernels, in files that answer an installer. What is shown
//! has something else in their place.
//!
//! What libvirt itself takes for secret (`VIR_DOMAIN_XML_SECURE`) are the passwords of displays and cookies of a disk's source; the
//! rest is where people put them. A reference to a secret, such as `<secret usage='…'/>`, is none.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// What stands in the place of a secret.
pub const HIDDEN: &str = "(hidden)";
/// The same, where it was another before.
const CHANGED: &str = "(hidden), changed";

/// Whether secrets are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// Something else stands in their place.
    Hidden,
    /// As they are.
    Shown,
}

/// How secrets are told: each first group that matched is one.
const PATTERNS: &[&str] = &[
    // passwd='…' of an element, password=… of an argument, inst.vncpassword=… of a kernel.
    r#"(?i)[\w.:-]*(?:passw|passphrase|secret|token)[\w.:-]*["']?\s*=\s*(?:'([^']+)|"([^"]+)|([^\s,;&"'<>]+))"#,
    // -object secret,id=…,data=…, as it is and as JSON, which is escaped in XML.
    r#"(?i)\bsecret,[^\s"'<>]*?\bdata=([^\s,"'<>&]+)"#,
    r#"(?i)(?:"|'|&quot;|&apos;)[\w.-]*(?:passw|passphrase|secret|token)[\w.-]*(?:"|'|&quot;|&apos;)\s*:\s*(?:"|&quot;)([^"&<>]+)"#,
    r#"(?i)(?:"|&quot;)secret(?:"|&quot;)[^<>]*?(?:"|&quot;)data(?:"|&quot;)\s*:\s*(?:"|&quot;)([^"&<>]+)"#,
    // Elements that are one by themselves.
    r"(?i)<(?:[\w-]+:)?(?:passwd|password|passphrase|secret|cookie)(?:\s[^<>]*)?>([^<]+)",
    // What a guest reads from its firmware's configuration or SMBIOS to be set up.
    r#"(?i)<entry\s+name=["']opt/[^"']*["']\s*>([^<]+)"#,
    r#"(?i)\bname=opt/[^\s,"'<>]*,string=([^\s"'<>]+)"#,
    r#"(?i)\bio\.systemd\.credential(?:\.binary)?:[^\s=<>"']+=([^\s<>"']+)"#,
    // Variables of QEMU's environment.
    r#"(?i)\bname=["'][^"']*(?:passw|secret|token)[^"']*["']\s+value=["']([^"']+)"#,
    // Hashes of passwords, crypt(5).
    r"(\$(?:1|2[abxy]?|5|6|7|y|gy|sha1|md5)\$[./A-Za-z0-9$=,-]{12,})",
    // USER:PASSWORD@HOST of an address.
    r#"://[^\s/@:'"<>]*:([^\s/@'"<>]+)@"#,
];
/// The same in YAML.
const KEYS: &str = r#"(?m)(?:^|[\s{,])["']?[\w-]*(?:password|passwd|passphrase)["']?:[ \t]+(?:'([^'\n]+)|"([^"\n]+)|([^\s,{}\[\]"'][^\n,{}]*))"#;

/// What an assignment says that is no secret.
const PLAIN: &[&str] = &[
    "!", "*", "on", "off", "yes", "no", "true", "false", "null", "~", HIDDEN,
];

static RULES: LazyLock<Vec<Regex>> = LazyLock::new(|| compiled(PATTERNS));
static YAML: LazyLock<Vec<Regex>> = LazyLock::new(|| compiled(&[PATTERNS, &[KEYS]].concat()));

fn compiled(patterns: &[&str]) -> Vec<Regex> {
    // A test looks at each.
    let patterns = patterns.iter();
    patterns
        .filter_map(|pattern| Regex::new(pattern).ok())
        .collect()
}

/// Where secrets are, in order, none in another.
fn places(text: &str, rules: &[Regex]) -> Vec<Range<usize>> {
    let mut all: Vec<Range<usize>> = Vec::new();
    for rule in rules {
        for found in rule.captures_iter(text) {
            let start = found.get(0).map_or(0, |whole| whole.start());
            let secret = found.iter().skip(1).flatten().next();
            let secret =
                secret.filter(|secret| !is_plain(&text[start..secret.start()], secret.as_str()));
            all.extend(secret.map(|secret| secret.range()));
        }
    }
    all.sort_by_key(|place| (place.start, std::cmp::Reverse(place.end)));
    let mut end = 0;
    all.retain(|place| {
        let is_first = place.start >= end;
        end = end.max(place.end);
        is_first
    });
    all
}

/// Whether what looks like an assignment of a password is that of something about it.
fn is_plain(before: &str, value: &str) -> bool {
    let key = before
        .trim_end_matches(['=', ':', '"', '\'', ' '])
        .to_ascii_lowercase();
    let about = ["validto", "file", "-secret"];
    PLAIN.contains(&value) || about.iter().any(|end| key.ends_with(end))
}

fn replaced(text: &str, rules: &[Regex], by: impl Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    for place in places(text, rules) {
        out.push_str(&text[end..place.start]);
        out.push_str(&by(&text[place.clone()]));
        end = place.end;
    }
    out + &text[end..]
}

/// Whether a text has a secret.
pub fn is_in(text: &str) -> bool {
    !places(text, &RULES).is_empty()
}

/// A text without the secrets in it.
pub fn hide(text: &str) -> Cow<'_, str> {
    match is_in(text) {
        true => Cow::Owned(replaced(text, &RULES, |_| HIDDEN.to_owned())),
        false => Cow::Borrowed(text),
    }
}

/// A text before and after a change, without the secrets. Where one is another than before, that can be seen.
pub fn hide_both(before: &str, after: &str) -> (String, String) {
    let known: BTreeSet<&str> = places(before, &RULES)
        .into_iter()
        .map(|place| &before[place])
        .collect();
    let now = |secret: &str| match known.is_empty() || known.contains(secret) {
        true => HIDDEN.to_owned(),
        false => CHANGED.to_owned(),
    };
    (hide(before).into_owned(), replaced(after, &RULES, now))
}

/// The value of an attribute before and after a change, likewise. `name` is the attribute's, as it is shown.
pub fn hide_values(name: &str, before: &mut Option<String>, after: &mut Option<String>) {
    let of = |value: &Option<String>| {
        let value = value.as_deref()?;
        Some(match is_name(name) {
            true => HIDDEN.to_owned(),
            false => hide(value).into_owned(),
        })
    };
    let (mut hidden_before, mut hidden_after) = (of(before), of(after));
    if hidden_before == hidden_after && before != after {
        hidden_after = hidden_after.map(|value| match value == HIDDEN {
            true => CHANGED.to_owned(),
            false => value + ", changed",
        });
    }
    std::mem::swap(before, &mut hidden_before);
    std::mem::swap(after, &mut hidden_after);
}

/// Whether all of an attribute's value is secret.
fn is_name(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    matches!(last, "passwd" | "password" | "passphrase" | "cookie")
        || matches!(name, "sysinfo.entry" | "qemu:commandline.qemu:env.value")
}

/// A text of a definition with its secrets crossed out, so that all else stays where it is.
pub fn cross_out(text: &str) -> String {
    replaced(text, &YAML, |secret| "*".repeat(secret.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_can_be_read() {
        assert_eq!(RULES.len(), PATTERNS.len());
        assert_eq!(YAML.len(), PATTERNS.len() + 1);
    }

    #[test]
    fn secrets_are_found_wherever_people_put_them() {
        for text in [
            "<graphics type='vnc' passwd='S3CRET' port='5900'/>",
            "<graphics type=\"spice\" passwd=\"S3CRET\"/>",
            "<graphics type='vnc' passwd='S3CRET lik…",
            "<auth type='chap' login='me' passwd='S3CRET'/>",
            "<cookies><cookie name='a'>S3CRET</cookie></cookies>",
            "<sysinfo type='fwcfg'><entry name='opt/com.coreos/config'>{S3CRET\n}</entry></sysinfo>",
            "<oemStrings><entry>io.systemd.credential:passwd.hashed-password.root=S3CRET</entry></oemStrings>",
            "<oemStrings><entry>io.systemd.credential.binary:vmm.notify=S3CRET</entry></oemStrings>",
            "<qemu:arg value='secret,id=sec0,data=S3CRET'/>",
            "<qemu:arg value='{&quot;qom-type&quot;:&quot;secret&quot;,&quot;id&quot;:&quot;s&quot;,&quot;data&quot;:&quot;S3CRET&quot;}'/>",
            "<qemu:arg value='user,password=S3CRET,x=y'/>",
            "<qemu:arg value='name=opt/a,string=S3CRET'/>",
            "<qemu:env name='VNC_PASSWORD' value='S3CRET'/>",
            "<cmdline>quiet inst.vncpassword=S3CRET ip=dhcp</cmdline>",
            "<app:login xmlns:app='urn:a' app:password='S3CRET'/>",
            "<x><password>S3CRET</password></x>",
            "{\"password\": \"S3CRET\"}",
            "https://me:S3CRET@example.org/tree",
            "rootpw --iscrypted $6$S3CRETS3CRET$0123456789abcdefg./",
            "token=S3CRET",
        ] {
            let hidden = hide(text);
            assert!(!hidden.contains("S3CRET"), "{hidden}");
            assert!(hidden.contains(HIDDEN), "{hidden}");
            assert_eq!(hide(&hidden), hidden, "once is enough");
        }
    }

    #[test]
    fn what_only_speaks_of_secrets_is_shown() {
        for text in [
            "<graphics type='vnc' passwdValidTo='2030-01-01T00:00:00'/>",
            "<auth username='me'><secret type='ceph' usage='shop'/></auth>",
            "<encryption format='luks'><secret type='passphrase' uuid='f52a81b2'/></encryption>",
            "<qemu:arg value='vnc,password=on,password-secret=sec0'/>",
            "local password='' directory",
            "IFS= read -r password <\"$3\" || true",
            "admin ALL=(ALL) NOPASSWD: ALL",
            "chap: {userid: shop, password_file: /etc/shop.chap}",
            "password_file=/etc/shop.chap",
            "authentication failed: wrong password: try again",
            "echo $1$2 $6",
            "https://example.org:8080/a@b",
        ] {
            assert_eq!(hide(text), text);
        }
        for text in [
            "password: null",
            "sudo: 'ALL=(ALL) NOPASSWD: ALL'",
            "lock_passwd: false",
        ] {
            assert_eq!(cross_out(text), text);
        }
    }

    #[test]
    fn what_is_crossed_out_keeps_its_place() {
        let text =
            "root: {password: hunter2, ü: 1}\n  passwd: 'sécret'\nxml: <graphics passwd='x'/>\n";
        let crossed = cross_out(text);
        assert_eq!(
            crossed,
            "root: {password: *******, ü: 1}\n  passwd: '*******'\nxml: <graphics passwd='*'/>\n"
        );
        assert_eq!(crossed.len(), text.len());
    }

    #[test]
    fn a_change_of_a_secret_is_seen() {
        let xml = |passwd: &str| format!("<graphics passwd='{passwd}'/>");
        let (before, after) = hide_both(&xml("one"), &xml("two"));
        assert_eq!(before, xml("(hidden)"));
        assert_eq!(after, xml("(hidden), changed"));
        assert_eq!(hide_both(&xml("one"), &xml("one")).1, xml("(hidden)"));
        assert_eq!(hide_both("", &xml("one")).1, xml("(hidden)"));

        let values = |name: &str, before: Option<&str>, after: Option<&str>| {
            let (mut before, mut after) = (before.map(str::to_owned), after.map(str::to_owned));
            hide_values(name, &mut before, &mut after);
            (before.unwrap_or_default(), after.unwrap_or_default())
        };
        let told = |before: &str, after: &str| (before.to_owned(), after.to_owned());
        assert_eq!(
            values("graphics.passwd", Some("a"), Some("b")),
            told("(hidden)", "(hidden), changed")
        );
        assert_eq!(
            values("graphics.passwd", None, Some("b")),
            told("", "(hidden)")
        );
        assert_eq!(
            values("boot.cmdline", Some("password=a"), Some("password=b")),
            told("password=(hidden)", "password=(hidden), changed")
        );
        assert_eq!(
            values("memory", Some("1 GiB"), Some("2 GiB")),
            told("1 GiB", "2 GiB")
        );
    }
}
