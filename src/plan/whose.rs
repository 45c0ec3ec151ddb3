//! Whose the parts of an object are that its definition does not say: the lab's, where a key or a template has a default for them,
//! others', or libvirt's own.
//!
//! libvirt fills in much, and nothing tells that from what somebody put there, but that it was there at the end of the last
//! apply. So that is recorded ([`beside`]), and what is not as recorded was changed since ([`changed`]). What becomes of it goes
//! by the keys and [`PARTS`].

use std::collections::BTreeMap;
use std::fmt::Write as _;

use parking_lot::Mutex;

use crate::lab::places;
use crate::xml::merge::{Cause, Difference, children_of, merge, overlay};
use crate::xml::schema;
use crate::xml::spelling;
use crate::xml::tree::Element;

/// Who decides about a part of an object that its definition does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The definition has a word for it, so that to say nothing means the default. It is put back.
    Lab,
    /// It is shown and left.
    Others,
    /// It comes and goes with how the object is used.
    Libvirt,
}

/// Some parts of objects, and whose they are.
#[derive(Debug, Clone, Copy)]
struct Part {
    /// What it is in the definition, or in plain words.
    what: &'static str,
    /// Where it is in libvirt's XML; `*` is any element, `@*` any attribute. All below it is meant, too.
    paths: &'static [&'static str],
    /// Whose it is.
    whose: Whose,
}

const fn others(what: &'static str, paths: &'static [&'static str]) -> Part {
    Part {
        what,
        paths,
        whose: Whose::Others,
    }
}

const fn libvirt(what: &'static str, paths: &'static [&'static str]) -> Part {
    Part {
        what,
        paths,
        whose: Whose::Libvirt,
    }
}

/// Whose is what beside the definition's keys, of which each says that it is the lab's. The longest path counts, and what no path
/// holds is others'. Elements that are added to lists which are the user's alone ([`schema::is_owned`]) are the lab's.
///
/// Sources: <https://libvirt.org/formatdomain.html>, <https://libvirt.org/formatnetwork.html>,
/// <https://libvirt.org/formatstorage.html>.
const PARTS: &[Part] = &[
    // Newer versions of libvirt spell out more of these, in definitions that are there already.
    others(
        "how else firmware, media, graphics and video cards are given",
        &[
            "domain/os/loader@*",
            "domain/os/nvram@*",
            "domain/os/firmware/*",
            "domain/devices/disk/source@*",
            "domain/devices/disk/source/*",
            "domain/devices/graphics@*",
            "domain/devices/graphics/*",
            "domain/devices/video/*",
        ],
    ),
    others("QEMU's own command line", &["domain/qemu:commandline"]),
    others(
        "`on_poweroff` and its kin",
        &[
            "domain/on_poweroff",
            "domain/on_reboot",
            "domain/on_crash",
            "domain/on_lockfailure",
        ],
    ),
    // libvirt tells there how far a guest set a clock that it may set.
    others("the clock", &["domain/clock"]),
    others(
        "how else a disk is driven",
        &[
            "domain/devices/disk/driver",
            "domain/devices/disk/transient",
        ],
    ),
    others(
        "how else a NIC is driven",
        &["domain/devices/interface/driver"],
    ),
    others(
        "channels, consoles and serial ports",
        &[
            "domain/devices/channel",
            "domain/devices/console",
            "domain/devices/serial",
        ],
    ),
    others("where sound goes", &["domain/devices/audio"]),
    others("how else processors are shared out", &["domain/cputune"]),
    others("what else backs the memory", &["domain/memoryBacking"]),
    others(
        "how else machine and processor are",
        &["domain/features", "domain/cpu"],
    ),
    others("metadata", &["domain/metadata", "network/metadata"]),
    libvirt(
        "addresses, names and namespaces that things are told by",
        &[
            "domain/devices/*/address",
            "domain/devices/*/alias",
            "domain@xmlns:qemu",
            "network@xmlns:dnsmasq",
            "pool/name",
            "pool/uuid",
        ],
    ),
    libvirt(
        "controllers, and the profile that an emulated TPM began with",
        &[
            "domain/devices/controller",
            "domain/devices/tpm/backend/profile",
        ],
    ),
    libvirt(
        "the chain of files below a disk, and copies under way",
        &[
            "domain/devices/disk/backingStore",
            "domain/devices/disk/mirror",
            "domain/devices/disk/source@index",
            "domain/devices/disk/target@tray",
        ],
    ),
    libvirt(
        "each processor by itself, and its resources",
        &["domain/vcpus", "domain/resource"],
    ),
    others(
        "how else a network is forwarded",
        &["network/forward@*", "network/forward/*"],
    ),
    others("how a bridge is driven", &["network/bridge", "network/mac"]),
    others(
        "who may open a pool's directory",
        &["pool/target/permissions"],
    ),
    libvirt(
        "how full a pool is",
        &["pool/capacity", "pool/allocation", "pool/available"],
    ),
    others(
        "what a volume is: its size, format and base",
        &[
            "volume/capacity",
            "volume/target/format",
            "volume/backingStore/path",
            "volume/backingStore/format",
        ],
    ),
    others(
        "who may open a volume's file",
        &["volume/target/permissions/mode"],
    ),
    libvirt(
        "how a volume was made, how much of it is written, and to whom its file belongs: libvirt learns that late, and gives the \
         file to QEMU's user",
        &["volume"],
    ),
];

/// All parts, by their keys or in plain words, and whose each is.
pub fn parts() -> impl Iterator<Item = (&'static str, Whose)> {
    let keys = places::put_back().iter();
    let keys = keys.map(|(key, _)| (key.as_str(), Whose::Lab));
    keys.chain(PARTS.iter().map(|part| (part.what, part.whose)))
}

fn paths() -> impl Iterator<Item = (&'static str, Whose)> {
    let parts = PARTS.iter();
    let parts = parts.flat_map(|part| part.paths.iter().map(|path| (*path, part.whose)));
    let keys = places::put_back().iter();
    let keys = keys.flat_map(|(_, paths)| paths.iter().map(|path| (*path, Whose::Lab)));
    parts.chain(keys)
}

/// Whose a part is, by its path. Objects have the same paths again and again.
fn whose(path: &str) -> Whose {
    static KNOWN: Mutex<BTreeMap<String, Whose>> = Mutex::new(BTreeMap::new());
    if let Some(known) = KNOWN.lock().get(path) {
        return *known;
    }
    let found = find(path);
    KNOWN.lock().insert(path.to_owned(), found);
    found
}

fn find(path: &str) -> Whose {
    if schema::is_owned(path) {
        return Whose::Lab;
    }
    paths()
        .filter(|(above, _)| holds(above, path))
        .max_by_key(|(above, _)| above.len())
        .map_or(Whose::Others, |(_, whose)| whose)
}

/// Whether a path is that of a part, or below it.
fn holds(part: &str, path: &str) -> bool {
    let is_end = |rest: &str| rest.is_empty() || rest.starts_with(['/', '@']);
    let Some((before, after)) = part.split_once('*') else {
        return path.strip_prefix(part).is_some_and(is_end);
    };
    let Some(any) = path.strip_prefix(before) else {
        return false;
    };
    let rest = any.find(['/', '@']).map_or("", |end| &any[end..]);
    rest.strip_prefix(after).is_some_and(is_end)
}

/// Whether an element, as far as it is told by itself, is libvirt's own.
fn is_libvirts(path: &str, element: &Element) -> bool {
    // It stands for the first serial port.
    let is_serial = |console: &Element| {
        console
            .attribute_at("target", "type")
            .is_none_or(|kind| kind == "serial")
    };
    // Those of a machine itself, which libvirt tells of or not, as its version is.
    let is_built_in = match (path, element.attribute("model")) {
        ("domain/devices/watchdog", Some(model)) => model == "itco",
        ("domain/devices/panic", Some(model)) => matches!(model, "pseries" | "s390"),
        ("domain/devices/input", _) => element.attribute("bus") == Some("ps2"),
        ("domain/devices/console", _) => is_serial(element),
        _ => false,
    };
    whose(path) == Whose::Libvirt || is_built_in
}

/// Whether it is a name that the lab gave a device, by which it is told.
fn is_given(element: &Element) -> bool {
    let name = element.attribute("name");
    element.name == "alias" && name.is_some_and(|name| name.starts_with("ua-"))
}

/// The parts below a path: the rest of the path of each, and whose it is.
fn below(path: &str) -> impl Iterator<Item = (&'static str, Whose)> {
    let below = paths().filter_map(move |(part, whose)| Some((part.strip_prefix(path)?, whose)));
    below.filter(|(rest, _)| rest.starts_with(['/', '@']))
}

/// Whether the table speaks of an element below a path.
fn has_parts(path: &str) -> bool {
    below(path).any(|(rest, _)| rest.starts_with('/'))
}

/// Whether something below a path is the lab's.
fn has_labs(path: &str) -> bool {
    below(path).any(|(_, whose)| whose == Whose::Lab)
}

/// What an object has beside what `said` says of it, without what comes and goes by itself. Elements of lists are whole, so that they
/// can be told apart: with what is said, it is the object again.
pub fn beside(live: &Element, said: Option<&Element>) -> Element {
    let mut live = spelling::canonical(live);
    let said = said.map(spelling::canonical);
    let path = live.name.clone();
    keep_beside(&path, &mut live, said.as_ref());
    live
}

/// Whether anything of an element is not said; what is said is taken out.
fn keep_beside(path: &str, element: &mut Element, said: Option<&Element>) -> bool {
    if is_given(element) {
        element.attributes.retain(|(name, _)| name == "name");
        element.children.clear();
        return said.is_none();
    }
    let is_own = is_libvirts(path, element);
    if schema::is_mark(path) || is_own && !has_parts(path) {
        return false;
    }
    let whole = element.clone();
    if is_own {
        element.text.clear();
    }
    element
        .attributes
        .retain(|(name, _)| whose(&format!("{path}@{name}")) != Whose::Libvirt);
    let is_text_said = element.text.is_empty() || said.is_some_and(|said| !said.text.is_empty());
    let is_said = |name: &str| said.is_some_and(|said| said.attribute(name).is_some());
    let mut beside = said.is_none() && !is_own
        || !is_text_said
        || element.attributes.iter().any(|(name, _)| !is_said(name));
    let matched = said.map(|said| children_of(path, element, said));
    let names: Vec<String> = element.children.iter().map(|it| it.name.clone()).collect();
    let mut at = 0;
    element.children.retain_mut(|child| {
        let path = format!("{path}/{}", child.name);
        let like = names.iter().filter(|name| **name == child.name);
        // Of what only its order tells apart, all stay.
        let has_key = schema::keys(&path)
            .iter()
            .any(|key| key.of(child).is_some());
        let is_told = has_key || like.count() == 1;
        let said = matched.as_ref().and_then(|matched| matched[at]);
        at += 1;
        let kept = keep_beside(&path, child, said.filter(|_| is_told));
        beside |= kept;
        kept
    });
    if beside && said.is_some() && !schema::keys(path).is_empty() {
        *element = whole;
        keep_beside(path, element, None);
    }
    beside
}

/// What of an object is not as it was, as differences that lead back. `was` is what it had beside what `said` says. What one of
/// `definitions` says is left out: they are compared with the object for themselves.
pub fn changed(
    was: &Element,
    said: Option<&Element>,
    live: &Element,
    definitions: &[&Element],
) -> Vec<Difference> {
    let is = beside(live, None);
    // What was recorded may have been others' then, and libvirt's own now.
    let was = beside(was, None);
    let was = match said.map(|said| beside(said, None)) {
        Some(mut said) => {
            overlay(&mut said, &was);
            said
        }
        None => was,
    };
    let definitions: Vec<Element> = definitions.iter().map(|it| beside(it, None)).collect();
    let is_apart = |path: &str| {
        schema::holds_owned(path) && !schema::is_owned(path)
            || whose(path) != Whose::Lab && has_labs(path)
    };
    let back = merge(std::slice::from_ref(&is), &is, &was).differences;
    let apart = back
        .into_iter()
        .flat_map(|difference| difference.taken_apart(&is_apart));
    let is_foreign = |difference: &Difference| {
        let path = &difference.path;
        let of = match difference.before {
            Some(_) => &is,
            None => &was,
        };
        let is_said = || definitions.iter().any(|it| difference.is_said_by(it, of));
        // Of what is added to the user's lists a comparison with what is wanted tells.
        let is_told = schema::is_mark(path) || schema::is_owned(path);
        !is_told && whose(path) != Whose::Libvirt && !is_said()
    };
    apart
        .filter(is_foreign)
        .map(|difference| Difference {
            cause: Cause::Drift,
            last: None,
            ..difference
        })
        .collect()
}

/// Puts back what has changed.
pub fn put_back(live: &mut Element, changed: &[Difference]) {
    // What goes is told by its place, until another goes before it.
    let (stays, goes): (Vec<_>, Vec<_>) = changed.iter().partition(|it| it.after.is_some());
    for difference in stays.into_iter().chain(goes.into_iter().rev()) {
        difference.put(live, difference.after.as_ref());
    }
}

/// Whether a difference comes and goes by itself.
pub fn is_by_itself(difference: &Difference) -> bool {
    whose(&difference.path) == Whose::Libvirt
}

/// Whether a difference is put back.
pub fn is_put_back(difference: &Difference) -> bool {
    whose(&difference.path) == Whose::Lab
}

/// The table as Markdown, with what it goes without saying.
pub fn markdown() -> String {
    let mut text =
        String::from("| what | in libvirt's XML | what others change |\n|---|---|---|\n");
    let mut row = |what: &str, paths: &[&str], whose: Whose| {
        let becomes = match whose {
            Whose::Lab => "is put back",
            Whose::Others => "is shown and left",
            Whose::Libvirt => "is libvirt's own",
        };
        let paths: Vec<String> = paths.iter().map(|path| format!("`{path}`")).collect();
        let _ = writeln!(text, "| {what} | {} | {becomes} |", paths.join(", "));
    };
    row("what the definition or a template says", &[], Whose::Lab);
    row("what is added to these lists", schema::OWNED, Whose::Lab);
    for (key, paths) in places::put_back() {
        row(&format!("`{key}`"), paths, Whose::Lab);
    }
    for part in PARTS {
        row(part.what, part.paths, part.whose);
    }
    row("all else", &[], Whose::Others);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xml(text: &str) -> Element {
        Element::parse(text).unwrap()
    }

    fn devices(text: &str) -> Element {
        xml(&format!("<domain><devices>{text}</devices></domain>"))
    }

    /// What differs, and the object with all of it put back.
    fn changed_back(said: &Element, was: &Element, is: &Element) -> (Vec<String>, Element) {
        let beside = beside(was, Some(said));
        let changed = changed(&beside, Some(said), is, &[said]);
        let mut back = is.clone();
        put_back(&mut back, &changed);
        (changed.into_iter().map(|it| it.path).collect(), back)
    }

    #[test]
    fn the_longest_path_says_whose_it_is() {
        for (path, owner) in [
            ("domain/os/kernel", Whose::Lab),
            ("domain/os@firmware", Whose::Lab),
            ("domain/os@other", Whose::Others),
            ("domain/devices/disk", Whose::Lab),
            ("domain/devices/disk/driver@cache", Whose::Lab),
            ("domain/devices/disk/driver@queues", Whose::Others),
            ("domain/devices/graphics", Whose::Lab),
            ("domain/devices/graphics/listen@address", Whose::Lab),
            ("domain/devices/graphics@listen", Whose::Lab),
            ("domain/devices/graphics@port", Whose::Others),
            ("domain/devices/video/model@blob", Whose::Others),
            ("domain/devices/rng/address@slot", Whose::Libvirt),
            ("volume/allocation", Whose::Libvirt),
            ("volume/target/format@type", Whose::Others),
            ("domain/anything", Whose::Others),
        ] {
            assert_eq!(whose(path), owner, "{path}");
        }
    }

    #[test]
    fn what_became_libvirts_own_since_it_was_recorded_is_no_difference() {
        let said = devices("");
        let live = devices(
            "<input type='mouse' bus='ps2'/><input type='keyboard' bus='ps2'/><watchdog model='itco' action='reset'/>",
        );
        for is in [&live, &devices("")] {
            assert_eq!(changed(&live, Some(&said), is, &[&said]), []);
        }
    }

    #[test]
    fn an_element_comes_back_with_what_is_the_labs_in_it() {
        let nic = |more: &str| {
            let text = format!(
                "<interface type='user'><mac address='52:54:00:00:00:01'/>{more}</interface>"
            );
            devices(&text)
        };
        let (said, was) = (nic(""), nic("<driver name='vhost' queues='4'/>"));
        let (paths, back) = changed_back(&said, &was, &nic(""));
        assert_eq!(paths.len(), 2, "{paths:?}");
        assert_eq!(back, was);
    }

    #[test]
    fn only_what_is_not_said_is_recorded() {
        let said = devices("<disk><target dev='vda'/></disk><rng model='virtio'/>");
        let live = devices(
            "<disk><target dev='vda'/><address slot='1'/></disk><rng model='virtio'><rate bytes='1'/></rng>\
             <controller type='usb'/><memballoon/>",
        );
        let expected = devices("<rng model='virtio'><rate bytes='1'/></rng><memballoon/>");
        assert_eq!(beside(&live, Some(&said)), expected);
    }

    #[test]
    fn of_what_its_order_alone_tells_the_right_one_goes() {
        let said = devices("<video><model type='virtio'/></video>");
        let was = devices("<video><model type='virtio' heads='1'/><address slot='1'/></video>");
        let more = devices(
            "<video><model type='virtio' heads='1'/><address slot='1'/></video>\
             <video><model type='qxl'/><address slot='2'/></video>",
        );
        let (paths, back) = changed_back(&said, &was, &more);
        assert_eq!(paths, ["domain/devices/video"]);
        assert_eq!(back, was);

        let os = |boot: &str| xml(&format!("<domain><os>{boot}</os></domain>"));
        let was = os("<boot dev='hd'/><boot dev='network'/>");
        let is = os("<boot dev='hd'/><boot dev='cdrom'/><boot dev='fd'/>");
        let (paths, back) = changed_back(&os(""), &was, &is);
        assert_eq!(paths, ["domain/os/boot@dev", "domain/os/boot"]);
        assert_eq!(back, was);
    }

    #[test]
    fn what_the_definition_says_is_told_by_the_definition() {
        let said = devices("<disk><target dev='vda'/></disk><rng/>");
        let live = devices("<disk><target dev='vdb'/></disk>");
        let (paths, _) = changed_back(&said, &said, &live);
        assert_eq!(paths, [""; 0]);
    }
}
