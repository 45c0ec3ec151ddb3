//! Values over several lines as Python's pprint shows them.
//! <https://docs.python.org/3/library/pprint.html>

use indexmap::IndexMap;
use minijinja::{Error, Value};

use crate::template::python::{order, refuse, repr};
use crate::template::value::{Dict, List, list_items, tuple, tuple_items, valid};

const WIDTH: usize = 80;

/// How deep a value is shown.
const DEPTH: usize = 60;

/// How many values it may hold.
const MOST: usize = 100_000;

/// The value in lines of 80 characters, dictionaries sorted by their keys.
pub fn pretty(value: &Value) -> Result<String, Error> {
    let mut out = String::new();
    format(&sorted(value, 0, &mut 0)?, 0, 0, 1, &mut out)?;
    Ok(out)
}

/// A copy whose dictionaries are sorted.
fn sorted(value: &Value, depth: usize, seen: &mut usize) -> Result<Value, Error> {
    *seen += 1;
    if depth > DEPTH || *seen > MOST {
        return Err(refuse(
            "this value is too large or nested too deeply to be shown",
        ));
    }
    let mut all = |items: Vec<Value>| {
        let items = items.iter().map(|item| sorted(item, depth + 1, seen));
        items.collect::<Result<Vec<_>, Error>>()
    };
    if let Some(items) = list_items(value) {
        return Ok(List::value(all(items)?));
    }
    if let Some(items) = tuple_items(value) {
        return valid(tuple(all(items)?));
    }
    let Some(dict) = value.downcast_object_ref::<Dict>() else {
        return Ok(value.clone());
    };
    let mut pairs = dict.pairs();
    pairs.sort_by(|(left, _), (right, _)| {
        let ordering = order(left, right).ok().flatten();
        ordering.unwrap_or_else(|| left.kind().cmp(&right.kind()))
    });
    let mut map = IndexMap::new();
    for (key, value) in pairs {
        map.insert(key, sorted(&value, depth + 1, seen)?);
    }
    Ok(Dict::value(map))
}

fn format(
    value: &Value,
    indent: usize,
    allowance: usize,
    level: usize,
    out: &mut String,
) -> Result<(), Error> {
    let line = repr(value)?;
    if line.chars().count() + indent + allowance <= WIDTH {
        out.push_str(&line);
        return Ok(());
    }
    let inner = indent + 1;
    let next = format!(",\n{}", " ".repeat(inner));
    if let Some(dict) = value.downcast_object_ref::<Dict>() {
        out.push('{');
        let pairs = dict.pairs();
        for (index, (key, value)) in pairs.iter().enumerate() {
            out.push_str(if index > 0 { &next } else { "" });
            let key = repr(key)?;
            out.push_str(&key);
            out.push_str(": ");
            let last = index + 1 == pairs.len();
            let allowance = if last { allowance + 1 } else { 1 };
            format(
                value,
                inner + key.chars().count() + 2,
                allowance,
                level + 1,
                out,
            )?;
        }
        out.push('}');
        return Ok(());
    }
    let (items, open, close) = match (list_items(value), tuple_items(value)) {
        (Some(items), _) => (items, "[", "]"),
        (None, Some(items)) if items.len() == 1 => (items, "(", ",)"),
        (None, Some(items)) => (items, "(", ")"),
        (None, None) => return text(value, &line, indent, allowance, level, out),
    };
    out.push_str(open);
    for (index, item) in items.iter().enumerate() {
        out.push_str(if index > 0 { &next } else { "" });
        let last = index + 1 == items.len();
        let allowance = if last { allowance + close.len() } else { 1 };
        format(item, inner, allowance, level + 1, out)?;
    }
    out.push_str(close);
    Ok(())
}

/// A long string in pieces that stand below each other.
fn text(
    value: &Value,
    line: &str,
    indent: usize,
    allowance: usize,
    level: usize,
    out: &mut String,
) -> Result<(), Error> {
    let Some(text) = value.as_str() else {
        out.push_str(line);
        return Ok(());
    };
    let bracket = usize::from(level == 1);
    let (indent, allowance) = (indent + bracket, allowance + bracket);
    let width = WIDTH.saturating_sub(indent);
    let shown = |text: &str| repr(&Value::from(text));
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut pieces = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let last_line = number + 1 == lines.len();
        let room = |last: bool| {
            if last {
                width.saturating_sub(allowance)
            } else {
                width
            }
        };
        if shown(line)?.chars().count() <= room(last_line) {
            pieces.push(shown(line)?);
            continue;
        }
        let words = words(line);
        let mut current = String::new();
        for (at, word) in words.iter().enumerate() {
            let candidate = format!("{current}{word}");
            let last = last_line && at + 1 == words.len();
            if shown(&candidate)?.chars().count() > room(last) {
                if !current.is_empty() {
                    pieces.push(shown(&current)?);
                }
                current = (*word).to_owned();
            } else {
                current = candidate;
            }
        }
        if !current.is_empty() {
            pieces.push(shown(&current)?);
        }
    }
    if pieces.len() == 1 {
        out.push_str(line);
        return Ok(());
    }
    out.push_str(if level == 1 { "(" } else { "" });
    out.push_str(&pieces.join(&format!("\n{}", " ".repeat(indent))));
    out.push_str(if level == 1 { ")" } else { "" });
    Ok(())
}

/// Words, each with the space behind it.
fn words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut space = false;
    for (at, c) in line.char_indices() {
        if space && !c.is_whitespace() {
            words.push(&line[start..at]);
            start = at;
        }
        space = c.is_whitespace();
    }
    words.push(&line[start..]);
    words
}
