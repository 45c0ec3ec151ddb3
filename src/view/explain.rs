//! A key of the definition in words, for 80 columns.

use std::fmt::Write as _;

use super::plan::GAP;
use super::{Color, Role, WIDTH};
use crate::lab::attributes::{Attribute, Object, Type};
use crate::lab::explain::{Explained, objects, takes, values};
use crate::lab::places;

/// How far all stands from the left.
const LEFT: usize = 2;

/// What stands at a path.
pub fn text(path: &str, explained: Explained, color: Color) -> String {
    let mut out = String::new();
    let of = match explained {
        Explained::Named(object) => {
            let _ = writeln!(
                out,
                "{}\n",
                color.paint(Role::Strong, heading(path, object))
            );
            return out + &keys(object);
        }
        Explained::Value(of) => {
            let _ = writeln!(out, "{}\n", color.paint(Role::Strong, path));
            write_told("takes", &takes(of), &mut out);
            return out;
        }
        Explained::Key(attribute) => {
            let _ = writeln!(out, "{}\n", color.paint(Role::Strong, path));
            key(attribute, &mut out);
            &attribute.takes
        }
    };
    for object in below(of) {
        let _ = writeln!(out, "\n{:LEFT$}Its keys:", "");
        out += &keys(object);
    }
    out
}

fn heading(path: &str, object: &Object) -> String {
    match path {
        "" => format!("The keys of {}", object.what),
        path => format!("{path}: {}", object.what),
    }
}

/// The maps of known keys that a key takes, or things under names.
fn below(of: &'static Type) -> Vec<&'static Object> {
    match values(of) {
        Some(value) => objects(value),
        None => objects(of),
    }
}

fn key(attribute: &Attribute, out: &mut String) {
    out.push_str(&wrapped(&attribute.sentence(), LEFT));
    out.push('\n');
    let default = match (attribute.needed, attribute.default) {
        (Some(_), _) => "none: it is needed".to_owned(),
        (None, "") => String::new(),
        (None, default) => default.to_owned(),
    };
    for (word, told) in [("takes", takes(&attribute.takes)), ("default", default)] {
        if !told.is_empty() {
            write_told(word, &told, out);
        }
    }
    for (paths, cost) in places::costs(attribute) {
        write_told("libvirt", &paths, out);
        write_told("change", &cost, out);
    }
}

fn write_told(word: &str, told: &str, out: &mut String) {
    let column = LEFT + "default".len() + GAP;
    let line = wrapped(told, column);
    let _ = write!(out, "{:LEFT$}{word}{}", "", &line[LEFT + word.len()..]);
}

/// A table of keys, each with what it does.
fn keys(object: &Object) -> String {
    let longest = object.keys.iter().map(|it| it.key.len()).max();
    let column = LEFT + longest.unwrap_or_default() + GAP;
    let mut out = String::new();
    for attribute in object.keys {
        let line = wrapped(&attribute.sentence(), column);
        let key = attribute.key;
        let _ = write!(out, "{:LEFT$}{key}{}", "", &line[LEFT + key.len()..]);
    }
    out
}

/// A text in lines of the width that begin at a column.
fn wrapped(text: &str, column: usize) -> String {
    let mut out = format!("{:column$}", "");
    let mut width = column;
    for (nth, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if nth > 0 && width + 1 + length > WIDTH {
            let _ = write!(out, "\n{:column$}", "");
            width = column;
        } else if nth > 0 {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += length;
    }
    out + "\n"
}
