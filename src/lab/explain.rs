//! The definition's keys told to people: one key, and the tables of docs/definition.md.

use std::fmt::Write as _;

use super::attributes::{Attribute, Object, Type};
use super::written::LAB;
use crate::diagnostic::did_you_mean_all;

/// What stands at a path of the definition.
#[derive(Debug, Clone, Copy)]
pub enum Explained {
    /// A key.
    Key(&'static Attribute),
    /// One of things that have names: the keys that each has.
    Named(&'static Object),
    /// One of values that have names.
    Value(&'static Type),
}

/// Why there is nothing at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// How far it leads to something.
    pub known: String,
    /// What is not there.
    pub part: String,
    /// What to write instead.
    pub hint: Option<String>,
}

/// Looks up a path such as `guests.*.disks.*.cache`. Whatever a thing is called, `*` stands for it; a name may have dots.
pub fn explain(path: &str) -> Result<Explained, Unknown> {
    let parts: Vec<&str> = path.split('.').collect();
    let mut at: &'static Type = &Type::Object(&LAB);
    let mut found = Explained::Named(&LAB);
    let mut next = 0;
    while let Some(part) = parts.get(next) {
        let key = key_of(at, part);
        (at, found, next) = match (key, values(at)) {
            (Some(key), _) => (&key.takes, Explained::Key(key), next + 1),
            (None, Some(of)) => {
                // A name goes on until something that is below what has it.
                let below = |part: &&str| key_of(of, part).is_some();
                let end = parts.iter().skip(next + 1).position(below);
                let named = match objects(of).first() {
                    Some(object) => Explained::Named(object),
                    None => Explained::Value(of),
                };
                let length = end.map_or(1, |end| end + 1);
                (of, named, next + length)
            }
            (None, None) => {
                let keys = objects(at).into_iter().flat_map(|it| it.keys);
                return Err(Unknown {
                    known: parts[..next].join("."),
                    part: (*part).to_owned(),
                    hint: did_you_mean_all(part, keys.map(|it| it.key)),
                });
            }
        };
    }
    Ok(found)
}

fn key_of(of: &Type, key: &str) -> Option<&'static Attribute> {
    let mut keys = objects(of).into_iter().flat_map(|it| it.keys);
    keys.find(|it| it.key == key)
}

/// The maps of known keys that a value can be.
pub fn objects(of: &Type) -> Vec<&'static Object> {
    match of {
        Type::Object(object) => vec![object],
        Type::OneOf(types) => types.iter().flat_map(objects).collect(),
        Type::OneOrList(item) | Type::List(item) => objects(item),
        Type::Any
        | Type::Text
        | Type::Xml
        | Type::Boolean
        | Type::Integer(..)
        | Type::Size
        | Type::Duration
        | Type::Name
        | Type::Address
        | Type::Subnet
        | Type::Word(_)
        | Type::Map(_) => Vec::new(),
    }
}

/// What a map has whose keys are the user's own.
pub fn values(of: &Type) -> Option<&'static Type> {
    match of {
        Type::Map(value) => Some(value),
        Type::OneOf(types) => types.iter().find_map(values),
        _ => None,
    }
}

/// What a key takes, in words.
pub fn takes(of: &Type) -> String {
    let choices = choices(of);
    match choices.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

fn choices(of: &Type) -> Vec<String> {
    let words = |words: &[&str]| words.iter().map(|word| format!("`{word}`")).collect();
    vec![match of {
        Type::Boolean => return words(&["true", "false"]),
        Type::Word(all) => return words(&all()),
        Type::OneOf(types) => return types.iter().flat_map(choices).collect(),
        Type::Any => "anything".to_owned(),
        Type::Text => "a text".to_owned(),
        Type::Xml => "XML".to_owned(),
        Type::Integer(least, most) => format!("{least} to {most}"),
        Type::Size => "a size".to_owned(),
        Type::Duration => "a duration".to_owned(),
        Type::Name => "a name".to_owned(),
        Type::Address => "an address".to_owned(),
        Type::Subnet => "an address with its prefix".to_owned(),
        Type::OneOrList(item) => format!("{}, or a list", takes(item)),
        Type::List(item) => format!("a list: {}", takes(item)),
        Type::Map(value) => format!("a map: {}", takes(value)),
        Type::Object(object) => keys(object),
    }]
}

/// `{mode: …, model: …}`, or the beginning of it.
fn keys(object: &Object) -> String {
    const SHOWN: usize = 4;
    let shown = object.keys.iter().take(SHOWN);
    let shown: Vec<String> = shown.map(|it| format!("{}: …", it.key)).collect();
    let more = if object.keys.len() > SHOWN {
        ", …"
    } else {
        ""
    };
    format!("`{{{}{more}}}`", shown.join(", "))
}

/// All keys as Markdown: a table for each map of known keys, in the order in which they are met.
pub fn markdown() -> String {
    let mut text = String::new();
    let mut open: Vec<(String, &'static Object)> = vec![(String::new(), &LAB)];
    while let Some((path, object)) = open.pop() {
        let place = match path.as_str() {
            "" => "The definition".to_owned(),
            path => format!("`{path}`"),
        };
        let _ = write!(
            text,
            "#### {place}\n\n| key | takes | default | |\n|---|---|---|---|\n"
        );
        let mut below = Vec::new();
        for attribute in object.keys {
            let of = format!("{path}.{}", attribute.key);
            let of = of.trim_start_matches('.').to_owned();
            below.extend(tables_below(&of, &attribute.takes));
            let default = match attribute.needed {
                Some(_) => "needed",
                None => attribute.default,
            };
            let _ = writeln!(
                text,
                "| `{}` | {} | {default} | {} |",
                attribute.key,
                takes(&attribute.takes),
                attribute.sentence(),
            );
        }
        text.push('\n');
        // What guests share has a guest's keys.
        below.retain(|(path, _)| path != "common" && path != "groups.*");
        open.extend(below.into_iter().rev());
    }
    text
}

fn tables_below(path: &str, of: &Type) -> Vec<(String, &'static Object)> {
    let mut below: Vec<_> = objects(of)
        .into_iter()
        .map(|it| (path.to_owned(), it))
        .collect();
    if let Some(value) = values(of) {
        below.extend(tables_below(&format!("{path}.*"), value));
    }
    below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_its_path() {
        let key = |path: &str| match explain(path) {
            Ok(Explained::Key(attribute)) => attribute.key,
            other => panic!("{path}: {other:?}"),
        };
        assert_eq!(key("guests.*.disks.*.cache"), "cache");
        assert_eq!(key("guests.web1.disks.root.cache"), "cache");
        assert_eq!(key("common.memory"), "memory");
        assert_eq!(key("networks.lan.dhcp.start"), "start");
        assert_eq!(key("networks.lan.dns.srv.port"), "port");
        assert_eq!(key("host.nfs.exports.*.clients"), "clients");
        assert!(matches!(explain("guests.*"), Ok(Explained::Named(it)) if it.what == "a guest"));
        let unknown = explain("guests.*.memry").unwrap_err();
        assert_eq!(unknown.known, "guests.*");
        assert_eq!(unknown.hint.as_deref(), Some("did you mean `memory`?"));
        assert!(explain("guests.*.memory.more").is_err());
        assert!(matches!(
            explain("guests.*.vars.role"),
            Ok(Explained::Value(Type::Any))
        ));
        assert_eq!(
            key("host.iscsi.targets.iqn.2024-01.test.shop:data.luns"),
            "luns"
        );
        assert_eq!(key("guests.web1.lan.memory"), "memory");
    }

    #[test]
    fn every_key_says_what_it_does() {
        let mut open = vec![&LAB];
        let mut count = 0;
        while let Some(object) = open.pop() {
            for attribute in object.keys {
                let sentence = attribute.sentence();
                assert!(sentence.ends_with('.'), "{}: {sentence}", attribute.key);
                let below = tables_below(attribute.key, &attribute.takes);
                open.extend(below.into_iter().map(|(_, it)| it));
                count += 1;
            }
        }
        assert!(count > 150, "{count}");
    }
}
