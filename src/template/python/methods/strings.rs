//! Methods of strings. What minijinja-contrib's pycompat has as Python has it is left to it.

use minijinja::{Error, ErrorKind, State, Value};

use crate::template::python::arguments::Arguments;
use crate::template::python::print::is_printable;
use crate::template::python::{afford, bounds, format_braces, items, put, refuse, text, work};
use crate::template::value::{List, kind, list_items, tuple, tuple_items};

pub const METHODS: [&str; 44] = [
    "capitalize",
    "casefold",
    "center",
    "count",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "upper",
    "zfill",
];

/// Calls a method of a string.
pub fn call(
    state: &mut State,
    value: &Value,
    s: &str,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    work(state, s.len())?;
    let bind = |names: &'static [&'static str]| Arguments::bind(method, names, args);
    let list = |parts: Vec<String>| List::value(parts.into_iter().map(Value::from).collect());
    let three = |parts: [&str; 3]| tuple(parts.map(Value::from).to_vec());
    Ok(match method {
        "strip" | "lstrip" | "rstrip" => {
            let characters = bind(&["chars"])?.string_or_none(0)?;
            Value::from(strip(s, method, characters.as_deref()))
        }
        "split" | "rsplit" => {
            let arguments = bind(&["sep", "maxsplit"])?;
            let separator = arguments.string_or_none(0)?;
            let most = arguments.integer(1)?.and_then(|n| usize::try_from(n).ok());
            let most = most.unwrap_or(usize::MAX);
            work(state, s.len().saturating_mul(16))?;
            list(match (separator.as_deref(), method) {
                (Some(""), _) => return Err(refuse("a string is not split at nothing")),
                (Some(at), "split") => strings(s.splitn(most.saturating_add(1), at)),
                (Some(at), _) => {
                    let mut parts = strings(s.rsplitn(most.saturating_add(1), at));
                    parts.reverse();
                    parts
                }
                (None, "split") => split_words(s, most),
                (None, _) => rsplit_words(s, most),
            })
        }
        "splitlines" => {
            let keep = bind(&["keepends"])?.flag(0);
            work(state, s.len().saturating_mul(16))?;
            list(lines(s, keep))
        }
        "partition" => {
            let at = bind(&["sep"])?.string(0)?;
            match s.split_once(&at) {
                _ if at.is_empty() => return Err(refuse("a string is not parted at nothing")),
                Some((before, after)) => three([before, &at, after]),
                None => three([s, "", ""]),
            }
        }
        "rpartition" => {
            let at = bind(&["sep"])?.string(0)?;
            match s.rsplit_once(&at) {
                _ if at.is_empty() => return Err(refuse("a string is not parted at nothing")),
                Some((before, after)) => three([before, &at, after]),
                None => three(["", "", s]),
            }
        }
        "startswith" | "endswith" => {
            let arguments = bind(&["prefix", "start", "end"])?;
            let part = part(s, &arguments)?;
            let wanted = arguments.required(0)?;
            let all = match wanted.as_str() {
                Some(_) => vec![wanted.clone()],
                None => tuple_items(wanted)
                    .or_else(|| list_items(wanted))
                    .ok_or_else(|| {
                        refuse(format!("`{method}` takes a string, not {}", kind(wanted)))
                    })?,
            };
            let fits = |affix: &Value| match (affix.as_str(), method) {
                (Some(affix), "startswith") => part.is_some_and(|part| part.starts_with(affix)),
                (Some(affix), _) => part.is_some_and(|part| part.ends_with(affix)),
                (None, _) => false,
            };
            Value::from(all.iter().any(fits))
        }
        "find" | "rfind" | "index" | "rindex" => {
            let arguments = bind(&["sub", "start", "end"])?;
            let wanted = arguments.string(0)?;
            let found = part(s, &arguments)?.and_then(|part| {
                let at = match method.starts_with('r') {
                    true => part.rfind(&wanted)?,
                    false => part.find(&wanted)?,
                };
                let before = part.as_ptr() as usize - s.as_ptr() as usize;
                Some(s[..before + at].chars().count())
            });
            match found {
                Some(at) => Value::from(at),
                None if method.ends_with("find") => Value::from(-1),
                None => return Err(refuse(format!("`{wanted}` is not in the string"))),
            }
        }
        "count" => {
            let arguments = bind(&["sub", "start", "end"])?;
            let wanted = arguments.string(0)?;
            Value::from(match part(s, &arguments)? {
                Some(part) => part.matches(&wanted).count(),
                None => 0,
            })
        }
        "replace" => {
            let arguments = bind(&["old", "new", "count"])?;
            let most = arguments.integer(2)?.and_then(|n| usize::try_from(n).ok());
            Value::from(replace(
                state,
                s,
                &arguments.string(0)?,
                &arguments.string(1)?,
                most,
            )?)
        }
        "join" => Value::from(join(state, s, bind(&["iterable"])?.required(0)?)?),
        "format" => Value::from(format_braces(state, s, args)?),
        "format_map" => {
            let mapping = bind(&["mapping"])?.required(0)?.clone();
            let pairs = crate::template::python::pairs(&mapping).unwrap_or_default();
            let named = pairs
                .iter()
                .filter_map(|(key, value)| Some((key.as_str()?, value.clone())));
            let named: minijinja::value::Kwargs = named.collect();
            Value::from(format_braces(state, s, &[Value::from(named)])?)
        }
        "ljust" | "rjust" | "center" | "zfill" => pad(state, s, method, args)?,
        "expandtabs" => {
            let size = bind(&["tabsize"])?.size_or(0, 8)?;
            let tabs = s.matches('\t').count();
            afford(state, tabs.saturating_mul(size).saturating_add(s.len()))?;
            Value::from(expand_tabs(s, size))
        }
        "removeprefix" => {
            let prefix = bind(&["prefix"])?.string(0)?;
            Value::from(s.strip_prefix(&prefix).unwrap_or(s))
        }
        "removesuffix" => {
            let suffix = bind(&["suffix"])?.string(0)?;
            Value::from(s.strip_suffix(&suffix).unwrap_or(s))
        }
        "title" => {
            bind(&[])?;
            Value::from(title(s))
        }
        "capitalize" => {
            bind(&[])?;
            Value::from(capitalize(s))
        }
        "swapcase" => {
            bind(&[])?;
            let swap = |c: char| match c.is_uppercase() {
                true => c.to_lowercase().to_string(),
                false => c.to_uppercase().to_string(),
            };
            Value::from(s.chars().map(swap).collect::<String>())
        }
        "casefold" => {
            bind(&[])?;
            Value::from(s.to_lowercase().replace('ß', "ss").replace('ς', "σ"))
        }
        "istitle" => {
            bind(&[])?;
            let cased = |c: char| c.is_uppercase() || c.is_lowercase();
            Value::from(s.chars().any(cased) && title(s) == s)
        }
        "isdecimal" | "isdigit" => {
            bind(&[])?;
            let digit = |c| is_decimal(c) || (method == "isdigit" && RAISED.contains(&c));
            Value::from(!s.is_empty() && s.chars().all(digit))
        }
        "isidentifier" => {
            bind(&[])?;
            let begins = |c: char| c.is_alphabetic() || c == '_';
            Value::from(s.starts_with(begins) && s.chars().all(|c| begins(c) || c.is_numeric()))
        }
        "isprintable" => {
            bind(&[])?;
            Value::from(s.chars().all(is_printable))
        }
        _ => match minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args)
        {
            Err(error) if error.kind() == ErrorKind::UnknownMethod => {
                return Err(super::unknown(value, method));
            }
            result => result?,
        },
    })
}

fn strings<'a>(parts: impl Iterator<Item = &'a str>) -> Vec<String> {
    parts.map(str::to_owned).collect()
}

fn strip<'s>(s: &'s str, method: &str, characters: Option<&str>) -> &'s str {
    let unwanted = |c: char| match characters {
        Some(characters) => characters.contains(c),
        None => c.is_whitespace() || ('\x1c'..='\x1f').contains(&c),
    };
    match method {
        "strip" => s.trim_matches(unwanted),
        "lstrip" => s.trim_start_matches(unwanted),
        _ => s.trim_end_matches(unwanted),
    }
}

fn split_words(s: &str, most: usize) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = s.trim_start();
    while !rest.is_empty() {
        let end = match parts.len() < most {
            true => rest.find(char::is_whitespace).unwrap_or(rest.len()),
            false => rest.len(),
        };
        parts.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    parts
}

fn rsplit_words(s: &str, most: usize) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = s.trim_end();
    while !rest.is_empty() {
        let begin = match parts.len() < most {
            true => rest
                .char_indices()
                .rev()
                .find(|(_, c)| c.is_whitespace())
                .map_or(0, |(at, c)| at + c.len_utf8()),
            false => 0,
        };
        parts.push(rest[begin..].to_owned());
        rest = rest[..begin].trim_end();
    }
    parts.reverse();
    parts
}

/// Lines as Python ends them: also at a carriage return, a form feed and their like.
fn lines(s: &str, keep: bool) -> Vec<String> {
    const ENDS: [char; 10] = [
        '\n', '\r', '\x0b', '\x0c', '\x1c', '\x1d', '\x1e', '\u{85}', '\u{2028}', '\u{2029}',
    ];
    let mut lines = Vec::new();
    let mut rest = s;
    while let Some(at) = rest.find(ENDS) {
        let length = match rest[at..].starts_with("\r\n") {
            true => 2,
            false => rest[at..].chars().next().map_or(1, char::len_utf8),
        };
        lines.push(rest[..if keep { at + length } else { at }].to_owned());
        rest = &rest[at + length..];
    }
    if !rest.is_empty() {
        lines.push(rest.to_owned());
    }
    lines
}

/// The part of a string between the arguments `start` and `end`; none where they are the wrong way round.
fn part<'s>(s: &'s str, arguments: &Arguments) -> Result<Option<&'s str>, Error> {
    let (start, end) = (arguments.integer(1)?, arguments.integer(2)?);
    if start.is_none() && end.is_none() {
        return Ok(Some(s));
    }
    let Some((start, end)) = bounds(s.chars().count(), start, end) else {
        return Ok(None);
    };
    let place = |index: usize| s.char_indices().nth(index).map_or(s.len(), |(at, _)| at);
    Ok(s.get(place(start)..place(end)))
}

/// Replaces at most so many, or all.
pub fn replace(
    state: &State,
    s: &str,
    old: &str,
    new: &str,
    most: Option<usize>,
) -> Result<String, Error> {
    let found = s.matches(old).count().min(most.unwrap_or(usize::MAX));
    afford(
        state,
        found.saturating_mul(new.len()).saturating_add(s.len()),
    )?;
    Ok(s.replacen(old, new, most.unwrap_or(usize::MAX)))
}

fn join(state: &State, separator: &str, values: &Value) -> Result<String, Error> {
    let values = items(state, values)?;
    let mut out = String::new();
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            put(state, &mut out, separator)?;
        }
        match value.as_str() {
            Some(text) => put(state, &mut out, text)?,
            None => {
                return Err(refuse(format!(
                    "`join` takes strings, and item {index} is {}; `|join` takes anything",
                    kind(value)
                )));
            }
        }
    }
    Ok(out)
}

fn pad(state: &State, s: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let names: &[&str] = match method {
        "zfill" => &["width"],
        _ => &["width", "fillchar"],
    };
    let arguments = Arguments::bind(method, names, args)?;
    arguments.required(0)?;
    let width = arguments.size_or(0, 0)?;
    let fill = match arguments.optional(1) {
        None => " ".to_owned(),
        Some(value) => text(value)?,
    };
    if fill.chars().count() != 1 {
        return Err(refuse(format!("`{method}` fills with one character")));
    }
    let missing = width.saturating_sub(s.chars().count());
    afford(state, missing.saturating_mul(fill.len()))?;
    let fill = |count: usize| fill.repeat(count);
    Ok(Value::from(match method {
        "ljust" => format!("{s}{}", fill(missing)),
        "rjust" => format!("{}{s}", fill(missing)),
        "zfill" => {
            let sign = s.len() - s.trim_start_matches(['+', '-']).len();
            let (sign, digits) = s.split_at(sign.min(1));
            format!("{sign}{}{digits}", "0".repeat(missing))
        }
        _ => {
            // Python puts the odd one to the left where the width is odd.
            let left = missing / 2 + (missing & width & 1);
            format!("{}{s}{}", fill(left), fill(missing - left))
        }
    }))
}

fn expand_tabs(s: &str, size: usize) -> String {
    let mut out = String::with_capacity(s.len());
    let mut column = 0;
    for c in s.chars() {
        match c {
            '\t' => {
                let width = if size == 0 { 0 } else { size - column % size };
                out.push_str(&" ".repeat(width));
                column += width;
            }
            c => {
                out.push(c);
                column = if matches!(c, '\n' | '\r') {
                    0
                } else {
                    column + 1
                };
            }
        }
    }
    out
}

/// Digits above and below the line.
const RAISED: [char; 20] = [
    '⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹', '₀', '₁', '₂', '₃', '₄', '₅', '₆', '₇', '₈',
    '₉',
];

/// The zeros of the scripts that have digits of their own.
const ZEROS: [u32; 24] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66,
    0xde6, 0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0xff10,
];

fn is_decimal(c: char) -> bool {
    ZEROS
        .iter()
        .any(|zero| (*zero..zero + 10).contains(&u32::from(c)))
}

/// A capital at the beginning of each run of letters.
fn title(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    let mut inside = false;
    for c in s.chars() {
        match inside {
            true => out.extend(c.to_lowercase()),
            false => out.extend(c.to_uppercase()),
        }
        inside = c.is_alphabetic();
    }
    out
}

/// A capital at the beginning and nowhere else.
pub fn capitalize(s: &str) -> String {
    let mut characters = s.chars();
    match characters.next() {
        Some(first) => first
            .to_uppercase()
            .chain(characters.flat_map(char::to_lowercase))
            .collect(),
        None => String::new(),
    }
}
