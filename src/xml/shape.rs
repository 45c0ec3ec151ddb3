//! What a definition of a guest or volume is like, apart from texts that say nothing of what libvirt takes: guests of one template
//! differ in these alone, and what libvirt says of one of them holds for all.

use std::hash::{Hash, Hasher};

use super::schema::MARK;
use super::tree::Element;
use crate::fingerprint::fingerprint;

/// What a text has to look like to be left out. Another one stays: libvirt may take it or not.
#[derive(Clone, Copy)]
enum Form {
    /// Letters, digits and `. _ + -`.
    Word,
    /// The same with `/`, from `/` on.
    Path,
    /// The address of one NIC, not of several.
    Mac,
    Uuid,
    Number,
    /// One line.
    Line,
}

/// What stands in the place of a text that is left out: nothing that can be in XML.
const LEFT_OUT: &str = "\0";

/// The texts that are left out, by path; an attribute behind `@`.
const TEXTS: &[(&str, Form)] = &[
    ("domain/name", Form::Word),
    ("domain/uuid", Form::Uuid),
    ("domain/title", Form::Line),
    ("domain/memory", Form::Number),
    ("domain/currentMemory", Form::Number),
    ("domain/os/kernel", Form::Path),
    ("domain/os/initrd", Form::Path),
    ("domain/os/cmdline", Form::Line),
    ("domain/os/nvram", Form::Path),
    ("domain/devices/disk/source@file", Form::Path),
    ("domain/devices/disk/source@dev", Form::Path),
    ("domain/devices/disk/source@volume", Form::Word),
    ("domain/devices/disk/serial", Form::Word),
    ("domain/devices/disk/alias@name", Form::Word),
    ("domain/devices/interface/alias@name", Form::Word),
    ("domain/devices/interface/mac@address", Form::Mac),
    ("domain/devices/interface/source@network", Form::Word),
    ("domain/devices/serial/source@path", Form::Path),
    ("domain/devices/serial/log@file", Form::Path),
    ("domain/devices/console/source@path", Form::Path),
    ("domain/devices/console/log@file", Form::Path),
    ("domain/devices/graphics@port", Form::Number),
    ("domain/devices/vsock/cid@address", Form::Number),
    ("volume/name", Form::Word),
    ("volume/capacity", Form::Number),
    ("volume/target/path", Form::Path),
    ("volume/backingStore/path", Form::Path),
];

/// What tells the shape of a definition from others. It is the same for the same shape with this program only.
pub fn of(definition: &Element) -> u64 {
    fingerprint(&Shape(definition))
}

/// A definition of which everything but the texts that are left out is hashed.
struct Shape<'a>(&'a Element);

impl Hash for Shape<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash(self.0, &mut String::new(), state);
    }
}

fn hash<H: Hasher>(element: &Element, path: &mut String, state: &mut H) {
    let above = path.len();
    if above > 0 {
        path.push('/');
    }
    path.push_str(&element.name);
    element.name.hash(state);
    left_out(path, &element.text).hash(state);
    // The mark is written by us alone.
    let attributes = match element.name.as_str() {
        MARK => &[],
        _ => element.attributes.as_slice(),
    };
    attributes.len().hash(state);
    let here = path.len();
    path.push('@');
    for (name, value) in attributes {
        path.push_str(name);
        name.hash(state);
        left_out(path, value).hash(state);
        path.truncate(here + 1);
    }
    path.truncate(here);
    element.children.len().hash(state);
    for child in &element.children {
        hash(child, path, state);
    }
    path.truncate(above);
}

/// A text, or what stands in its place.
fn left_out<'a>(path: &str, text: &'a str) -> &'a str {
    let mut texts = TEXTS.iter();
    match texts.any(|(free, form)| *free == path && form.fits(text)) {
        true => LEFT_OUT,
        false => text,
    }
}

impl Form {
    fn fits(self, text: &str) -> bool {
        let is_word = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
        match self {
            Form::Word => !text.is_empty() && text.chars().all(is_word),
            Form::Path => {
                text.len() > 1
                    && text.starts_with('/')
                    && text.chars().all(|c| c == '/' || is_word(c))
            }
            Form::Mac => {
                let bytes: Option<Vec<u8>> = text
                    .split(':')
                    .map(|byte| {
                        u8::from_str_radix(byte, 16)
                            .ok()
                            .filter(|_| byte.len() == 2)
                    })
                    .collect();
                bytes.is_some_and(|bytes| bytes.len() == 6 && bytes[0] & 1 == 0)
            }
            Form::Uuid => text.parse::<uuid::Uuid>().is_ok(),
            Form::Number => text.parse::<u64>().is_ok(),
            Form::Line => !text.is_empty() && !text.contains(char::is_control),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(name: &str, mac: &str, file: &str, more: &str) -> u64 {
        let text = format!(
            "<domain><name>{name}</name><memory>1</memory>\
             <metadata><miniascape:resource xmlns:miniascape='urn:miniascape:1' address='guest.{name}'/></metadata>\
             <devices><disk><source file='{file}'/></disk><interface><mac address='{mac}'/></interface>{more}</devices></domain>"
        );
        of(&Element::parse(&text).unwrap())
    }

    #[test]
    fn guests_of_one_template_have_one_shape() {
        let one = shape("web1", "52:54:00:00:00:01", "/srv/web1.qcow2", "");
        assert_eq!(
            one,
            shape("web2", "52:54:00:ab:CD:02", "/srv/pool/web2", "")
        );
    }

    #[test]
    fn what_libvirt_may_refuse_is_part_of_the_shape() {
        let (name, mac, file) = ("web1", "52:54:00:00:00:01", "/srv/web1.qcow2");
        let one = shape(name, mac, file, "");
        for other in [
            shape(name, mac, file, "<wachdog/>"),
            shape(name, mac, "srv/web1.qcow2", ""),
            shape(name, "53:54:00:00:00:01", file, ""),
            shape(name, "52:54:00:00:01", file, ""),
            shape("web 1", mac, file, ""),
            shape(name, mac, "", ""),
        ] {
            assert_ne!(one, other);
        }
        let watchdog =
            |model: &str| shape(name, mac, file, &format!("<watchdog model='{model}'/>"));
        assert_ne!(watchdog("i6300esb"), watchdog("i6300esp"));
    }
}
