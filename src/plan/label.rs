//! Differences of XML in the user's words: the attribute's name in the definition, values in the definition's units.

mod bandwidth;
mod hostdev;
mod network;
mod processor;

use super::{AttributeChange, Disruption, Remark, Said};
use crate::lab::places::{self, Known};
use crate::xml::merge::{Cause, Difference, Value};
use crate::xml::spelling;
use crate::xml::tree::Element;

/// What a change of one attribute costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cost {
    /// Its class.
    pub class: Disruption,
    /// Why it is that class, or what else is to be said.
    pub note: Option<Remark>,
}

impl From<Disruption> for Cost {
    fn from(class: Disruption) -> Self {
        Self { class, note: None }
    }
}

/// Turns differences into attribute changes: marks are left out, memory is said once, and what leaves and comes under one
/// name is one change. `class` says what each costs.
pub fn attributes<C: Into<Cost>>(
    differences: &[Difference],
    class: impl Fn(&Difference) -> C,
) -> Vec<AttributeChange> {
    let mut changes: Vec<AttributeChange> = Vec::new();
    for difference in differences {
        if difference.is_new_mark() || is_repetition(difference, differences) {
            continue;
        }
        let Cost { class, note } = class(difference).into();
        let (mut before, mut after) = values(difference, differences);
        if let Some(absent) = places::known(&difference.path).and_then(|it| it.place.absent) {
            before.get_or_insert_with(|| absent.into());
            after.get_or_insert_with(|| absent.into());
        }
        let change = AttributeChange {
            name: name(difference),
            before,
            after,
            disruption: class,
            note,
            beside: None,
            cause: Some(difference.cause),
            last: (difference.cause == Cause::Both)
                .then(|| difference.last.as_ref().map(|v| value(difference, v)))
                .flatten(),
        };
        let counterpart = changes.iter_mut().find(|other| {
            other.name == change.name
                && ((other.before.is_none() && change.after.is_none())
                    || (other.after.is_none() && change.before.is_none()))
        });
        match counterpart {
            Some(other) => {
                other.before = other.before.take().or(change.before);
                other.after = other.after.take().or(change.after);
                other.disruption = other.disruption.max(change.disruption);
                other.note = other.note.take().or(change.note);
                other.cause = other
                    .cause
                    .zip(change.cause)
                    .map(|(one, another)| one.and(another));
            }
            None => changes.push(change),
        }
    }
    changes.retain(|change| change.before != change.after);
    changes
}

/// The maximum memory follows the memory: it is said only where it changes by itself. Units follow their number, and namespaces what is
/// in them.
fn is_repetition(difference: &Difference, all: &[Difference]) -> bool {
    fn both(difference: &Difference) -> (&Option<Value>, &Option<Value>) {
        (&difference.before, &difference.after)
    }
    match difference.path.as_str() {
        "domain/memory" => all
            .iter()
            .any(|d| d.path == "domain/currentMemory" && both(d) == both(difference)),
        path => path.ends_with("@unit") || path.contains("@xmlns:"),
    }
}

/// The values of a difference in the user's units.
fn values(difference: &Difference, all: &[Difference]) -> (Option<Said>, Option<Said>) {
    let told = |v: &Option<Value>| v.as_ref().map(|v| value(difference, v));
    let (before, after) = (told(&difference.before), told(&difference.after));
    if difference.path != "domain/vcpu@current" {
        return (before, after);
    }
    // Where no number is given, the guest has all that it could have.
    let maximum = all.iter().find(|d| d.path == "domain/vcpu");
    let wanted = difference
        .within
        .last()
        .map(|vcpu| vcpu.text.as_str().into());
    let most_before = maximum.map_or_else(|| wanted.clone(), |d| told(&d.before));
    (before.or(most_before), after.or(wanted))
}

fn name(difference: &Difference) -> String {
    if difference.path == "domain/vcpu" {
        // Without a maximum of its own the number is the maximum.
        let vcpu = difference.within.last();
        let has_maximum = vcpu.is_some_and(|vcpu| vcpu.attribute("current").is_some());
        return if has_maximum { "max_vcpus" } else { "vcpus" }.to_owned();
    }
    let known = places::known(&difference.path).and_then(Known::name);
    match known {
        Some(name) => match list_item(difference) {
            Some(item) => {
                // An item of a list's element: both are named, from the outside in.
                let outer = difference.within.iter().find_map(item_name);
                let outer = outer.filter(|_| name.matches('*').count() > 1);
                let name = outer.map_or_else(|| name.to_owned(), |it| name.replacen('*', &it, 1));
                name.replace('*', &item)
            }
            None => name.to_owned(),
        },
        None => own_path(difference),
    }
}

/// The name of the list's element that a difference is in or that it is about.
fn list_item(difference: &Difference) -> Option<String> {
    let own = difference.tree();
    if difference.path == "network/dns/host/hostname" {
        return own.map(|hostname| hostname.text.clone());
    }
    own.into_iter()
        .chain(difference.within.iter().rev())
        .find_map(item_name)
}

fn item_name(element: &Element) -> Option<String> {
    let attribute = |name: &str| element.attribute(name);
    let name = match element.name.as_str() {
        "disk" => alias(element).or_else(|| element.attribute_at("target", "dev")),
        "interface" => alias(element)
            .or_else(|| element.attribute_at("mac", "address"))
            .or_else(|| attribute("type")),
        "hostdev" => alias(element).or_else(|| attribute("type")),
        "filesystem" => alias(element).or_else(|| element.attribute_at("target", "dir")),
        "host" if element.child("hostname").is_some() => {
            let names: Vec<&str> = element
                .children_named("hostname")
                .map(|name| name.text.as_str())
                .collect();
            return Some(names.join(","));
        }
        "host" => attribute("name").or(attribute("ip")),
        "route" => return network::subnet(element),
        "txt" | "timer" => attribute("name"),
        "srv" => attribute("service"),
        "portgroup" | "parameter" | "feature" => attribute("name"),
        "vcpupin" => attribute("vcpu"),
        "iothreadpin" => attribute("iothread"),
        "cell" => attribute("id"),
        "memnode" => attribute("cellid"),
        _ => None,
    };
    name.map(str::to_owned)
}

fn alias(element: &Element) -> Option<&str> {
    element.attribute_at("alias", "name")?.strip_prefix("ua-")
}

/// The path of a place that the definition has no word for: below the root and `devices`, each list element with its name.
fn own_path(difference: &Difference) -> String {
    let mut path = difference.path.split('/').skip(1).peekable();
    let mut within = difference.within.iter();
    let mut parts = Vec::new();
    while let Some(part) = path.next() {
        let plain = part.split('@').next().unwrap_or(part);
        let element = within.next();
        let named = element
            .filter(|element| element.name == plain)
            .and_then(item_name);
        match named {
            // These have their place in the definition.
            Some(item) if matches!(plain, "disk" | "interface" | "portgroup") => {
                let rest = part.strip_prefix(plain).unwrap_or_default();
                parts.push(format!("{plain}s.{item}{rest}"));
            }
            Some(item) => parts.push(format!("{part}[{item}]")),
            None if part == "devices" && path.peek().is_some() => {}
            None => parts.push(part.to_owned()),
        }
    }
    if parts.is_empty() {
        return difference.path.clone();
    }
    parts.join(".").replace('@', ".")
}

fn value(difference: &Difference, value: &Value) -> Said {
    let path = difference.path.as_str();
    let number = match value {
        Value::Text(text) => text,
        Value::Tree(tree) => &tree.text,
    };
    match (spelling::bytes(path, number), value) {
        (Some(bytes), _) => Said::Bytes(bytes),
        (None, Value::Text(text)) if path.ends_with("/alias@name") => {
            text.strip_prefix("ua-").unwrap_or(text).into()
        }
        (None, Value::Text(text)) => {
            let words = bandwidth::text(path, text).or_else(|| network::text(path, text));
            let words = words.or_else(|| processor::text(path, text));
            words.unwrap_or_else(|| text.clone()).into()
        }
        (None, Value::Tree(tree)) => element(difference, tree).into(),
    }
}

/// An element in one line: the words that matter to the user where we know them, else its XML.
fn element(difference: &Difference, tree: &Element) -> String {
    match difference.path.as_str() {
        "network/dns/host/hostname" => {
            let host = difference.within.last();
            let ip = host.and_then(|host| host.attribute("ip"));
            return ip.unwrap_or_default().to_owned();
        }
        path if path.ends_with("/bandwidth") => return bandwidth::all(tree),
        path if path.ends_with("/bandwidth/inbound") || path.ends_with("/bandwidth/outbound") => {
            return bandwidth::rate(tree);
        }
        _ => {}
    }
    let words = match difference.path.as_str() {
        "domain/devices/hostdev" => hostdev::device(tree),
        "domain/devices/hostdev/source/address" => hostdev::pci(tree),
        path => network::element(path, tree).or_else(|| processor::element(path, tree)),
    };
    if let Some(words) = words {
        return words;
    }
    if tree.attribute_at("target", "name") == Some("org.qemu.guest_agent.0") {
        return "for the guest agent".to_owned();
    }
    let known = places::known(&difference.path);
    if let Some((known, pattern)) = known.and_then(|it| Some((it, it.place.says?)))
        && let Some(words) = in_words(pattern, tree, known.has_key())
    {
        return words;
    }
    if !tree.text.is_empty() && tree.attributes.is_empty() {
        return tree.text.trim().to_owned();
    }
    if difference.path.starts_with("domain/features/") && tree == &Element::new(&*tree.name) {
        return "on".to_owned();
    }
    one_line(tree)
}

/// What a pattern of [`Place::says`](crate::lab::attributes::Place::says) makes of an element. `None` where it has none of that; and
/// where there is more to it, unless it is a key's: the rest then has keys of its own.
fn in_words(pattern: &str, tree: &Element, has_key: bool) -> Option<String> {
    let mut told = false;
    let mut word = |word: &str| {
        let mut text = String::new();
        for part in word.split_inclusive('}') {
            let (before, choices) = part.split_once('{').unwrap_or((part, ""));
            text.push_str(before);
            let mut choices = choices.trim_end_matches('}').split('|');
            if let Some(value) = choices.find_map(|choice| value_at(choice, tree)) {
                told = true;
                text.push_str(value);
            }
        }
        text
    };
    let words: Vec<String> = pattern.split(' ').map(&mut word).collect();
    let words: Vec<String> = words.into_iter().filter(|it| !it.is_empty()).collect();
    let words = words.join(" ");
    if has_key {
        return Some(words);
    }
    let names: Vec<&str> = pattern.split(['{', '}']).collect();
    let is_told = |child: &Element| {
        let holds = |part: &&str| {
            let rest = part.strip_prefix(child.name.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '@']))
        };
        matches!(child.name.as_str(), "address" | "alias") || names.iter().any(holds)
    };
    (told && tree.children.iter().all(is_told)).then_some(words)
}

/// `child/child@attribute`, `@attribute`, or `child/child` for its text.
fn value_at<'a>(part: &str, tree: &'a Element) -> Option<&'a str> {
    let value = match part.split_once('@') {
        Some(("", attribute)) => tree.attribute(attribute),
        Some((path, attribute)) => tree.attribute_at(path, attribute),
        None => tree.text_at(part),
    };
    value.filter(|value| !value.is_empty())
}

fn one_line(tree: &Element) -> String {
    const SHOWN: usize = 60;
    let text: String = tree.to_string().lines().map(str::trim).collect();
    if text.chars().count() <= SHOWN {
        return text;
    }
    text.chars().take(SHOWN - 1).chain(['…']).collect()
}
