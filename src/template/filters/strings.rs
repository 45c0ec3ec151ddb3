//! Filters of strings.

use minijinja::value::Kwargs;
use minijinja::{Error, State, Value};

use super::wrap::{Wrap, wrap};
use super::{Call, Filter, needed, text};
use crate::template::lookup::is_strict;
use crate::template::python::methods::{self, strings};
use crate::template::python::{self, Arguments, afford, format_percent, items, pairs, refuse};
use crate::template::value::{Dict, kind, list_items, tuple, tuple_items};

pub const FILTERS: &[(&str, Filter)] = &[
    ("upper", upper),
    ("lower", lower),
    ("title", title),
    ("capitalize", capitalize),
    ("trim", trim),
    ("replace", replace),
    ("center", center),
    ("string", string),
    ("format", format),
    ("indent", indent),
    ("truncate", truncate),
    ("wordwrap", wordwrap),
    ("wordcount", wordcount),
    ("striptags", striptags),
    ("escape", escaped),
    ("e", escaped),
    ("forceescape", forceescape),
    ("urlencode", urlencode),
    ("xmlattr", xmlattr),
];

/// Text with the characters that mean something in XML and HTML escaped, as MarkupSafe does it.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn upper(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    call.bind(&[])?;
    Ok(Value::from(text(state, value)?.to_uppercase()))
}

fn lower(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    call.bind(&[])?;
    Ok(Value::from(text(state, value)?.to_lowercase()))
}

/// A capital at the beginning of each word: after a space, a hyphen or an opening bracket.
fn title(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    call.bind(&[])?;
    let mut out = String::new();
    let mut begins = true;
    for c in text(state, value)?.chars() {
        let parts = c.is_whitespace() || "-({[<".contains(c);
        match begins && !parts {
            true => out.extend(c.to_uppercase()),
            false => out.extend(c.to_lowercase()),
        }
        begins = parts;
    }
    Ok(Value::from(out))
}

fn capitalize(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    call.bind(&[])?;
    Ok(Value::from(strings::capitalize(&text(state, value)?)))
}

fn trim(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    call.bind(&["chars"])?;
    let text = Value::from(text(state, value)?);
    methods::call(state, &text, "strip", call.args)
}

fn replace(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    let arguments = call.bind(&["old", "new", "count"])?;
    let old = text(state, arguments.required(0)?)?;
    let new = text(state, arguments.required(1)?)?;
    let most = arguments.integer(2)?.and_then(|n| usize::try_from(n).ok());
    let replaced = strings::replace(state, &text(state, value)?, &old, &new, most)?;
    Ok(Value::from(replaced))
}

fn center(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    let width = call.bind(&["width"])?.size_or(0, 80)?;
    let text = Value::from(text(state, value)?);
    methods::call(state, &text, "center", &[Value::from(width)])
}

fn string(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    call.bind(&[])?;
    match value.as_str() {
        Some(_) => Ok(value.clone()),
        None => Ok(Value::from(text(state, value)?)),
    }
}

fn format(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    let pattern = text(state, value)?;
    let values = match call.args {
        [named] if named.is_kwargs() => {
            let named = Kwargs::try_from(named.clone())?;
            let mut map = indexmap::IndexMap::new();
            for name in named.args() {
                map.insert(Value::from(name), named.peek(name)?);
            }
            Dict::value(map)
        }
        [.., last] if last.is_kwargs() => {
            return Err(refuse(
                "`format` takes values with names or without, not both",
            ));
        }
        args => tuple(args.to_vec()),
    };
    Ok(Value::from(format_percent(state, &pattern, &values)?))
}

fn indent(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    let arguments = call.bind(&["width", "first", "blank"])?;
    let Some(text) = value.as_str() else {
        return Err(refuse(format!(
            "`indent` takes a string, not {}",
            kind(value)
        )));
    };
    let by = match arguments.some(0).and_then(Value::as_str) {
        Some(by) => by.to_owned(),
        None => {
            let width = arguments.size_or(0, 4)?;
            afford(state, width)?;
            " ".repeat(width)
        }
    };
    let (first, blank) = (arguments.flag(1), arguments.flag(2));
    let lines = text.matches('\n').count() + 1;
    afford(
        state,
        lines.saturating_mul(by.len()).saturating_add(text.len()),
    )?;
    // As in Jinja2, a newline at the end is a last line that is empty.
    let lines = Value::from(format!("{text}\n"));
    let lines = methods::call(state, &lines, "splitlines", &[])?;
    let mut out = String::new();
    for (index, line) in list_items(&lines).unwrap_or_default().iter().enumerate() {
        let line = line.as_str().unwrap_or("");
        let wanted = match index {
            0 => first,
            _ => blank || !line.is_empty(),
        };
        out.push_str(if index > 0 { "\n" } else { "" });
        out.push_str(if wanted { &by } else { "" });
        out.push_str(line);
    }
    Ok(Value::from(out))
}

fn truncate(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    let arguments = call.bind(&["length", "killwords", "end", "leeway"])?;
    let text: Vec<char> = text(state, value)?.chars().collect();
    let length = arguments.size_or(0, 255)?;
    let end = arguments.text_or(2, "...")?;
    let leeway = arguments.size_or(3, 5)?;
    let Some(room) = length.checked_sub(end.chars().count()) else {
        return Err(refuse(format!(
            "`truncate` to {length} has no room for {end:?}"
        )));
    };
    if text.len() <= length.saturating_add(leeway) {
        return Ok(Value::from(text.into_iter().collect::<String>()));
    }
    let cut: String = text.into_iter().take(room).collect();
    let kept = match arguments.flag(1) {
        true => &cut,
        false => cut
            .rsplit_once(' ')
            .map_or(cut.as_str(), |(before, _)| before),
    };
    Ok(Value::from(format!("{kept}{end}")))
}

fn wordwrap(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    let arguments = call.bind(&[
        "width",
        "break_long_words",
        "wrapstring",
        "break_on_hyphens",
    ])?;
    needed(value)?;
    let text = text(state, value)?;
    let how = Wrap {
        width: arguments.size_or(0, 79)?,
        break_words: arguments.optional(1).is_none_or(Value::is_true),
        break_hyphens: arguments.optional(3).is_none_or(Value::is_true),
    };
    if how.width == 0 {
        return Err(refuse("`wordwrap` needs a width of at least 1"));
    }
    let between = arguments.string_or_none(2)?.unwrap_or("\n".to_owned());
    afford(state, text.len().saturating_mul(between.len() + 4))?;
    let lines = methods::call(state, &Value::from(text), "splitlines", &[])?;
    let lines: Vec<String> = list_items(&lines)
        .unwrap_or_default()
        .iter()
        .map(|line| wrap(line.as_str().unwrap_or(""), how).join(&between))
        .collect();
    Ok(Value::from(lines.join(&between)))
}

fn wordcount(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    call.bind(&[])?;
    let text = text(state, value)?;
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    Ok(Value::from(words.filter(|word| !word.is_empty()).count()))
}

fn striptags(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    call.bind(&[])?;
    let text = without(&text(state, value)?, "<!--", "-->");
    let text = without(&text, "<", ">");
    let words: Vec<&str> = text.split_whitespace().collect();
    Ok(Value::from(unescape(&words.join(" "))))
}

/// The text without what stands between two marks.
fn without(text: &str, open: &str, close: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(open) {
        let Some((_, after)) = after.split_once(close) else {
            break;
        };
        out.push_str(before);
        rest = after;
    }
    out + rest
}

/// Entities that templates and MarkupSafe write, as characters.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let entity = rest[1..].split_once(';').and_then(|(name, after)| {
            let character = match name {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "quot" => '"',
                "apos" => '\'',
                "nbsp" => '\u{a0}',
                _ => {
                    let code = name.strip_prefix('#')?;
                    let code = match code.strip_prefix(['x', 'X']) {
                        Some(hex) => u32::from_str_radix(hex, 16),
                        None => code.parse(),
                    };
                    char::from_u32(code.ok()?)?
                }
            };
            Some((character, after))
        });
        match entity {
            Some((character, after)) => {
                out.push(character);
                rest = after;
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out + rest
}

fn escaped(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    call.bind(&[])?;
    match value.is_safe() {
        true => Ok(value.clone()),
        false => Ok(Value::from_safe_string(escape(&text(state, value)?))),
    }
}

fn forceescape(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    call.bind(&[])?;
    Ok(Value::from_safe_string(escape(&text(state, value)?)))
}

fn urlencode(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    call.bind(&[])?;
    let pairs = match pairs(value) {
        Some(pairs) => pairs,
        None if value.as_object().is_none() => {
            return Ok(Value::from(quote(&text(state, value)?, "/")));
        }
        None => items(state, value)?
            .iter()
            .map(|item| {
                let pair = tuple_items(item).or_else(|| list_items(item));
                match pair.map(<[Value; 2]>::try_from) {
                    Some(Ok([key, value])) => Ok((key, value)),
                    _ => Err(refuse("`urlencode` takes a string, a dictionary or pairs")),
                }
            })
            .collect::<Result<_, _>>()?,
    };
    let mut parts = Vec::new();
    for (key, value) in &pairs {
        let key = quote(&text(state, key)?, "").replace("%20", "+");
        let value = quote(&text(state, value)?, "").replace("%20", "+");
        parts.push(format!("{key}={value}"));
    }
    Ok(Value::from(parts.join("&")))
}

fn quote(text: &str, safe: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let c = char::from(byte);
        match c.is_ascii_alphanumeric() || "_.-~".contains(c) || safe.contains(c) {
            true => out.push(c),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn xmlattr(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    let arguments: Arguments = call.bind(&["autospace"])?;
    let pairs = pairs(value)
        .ok_or_else(|| refuse(format!("`xmlattr` takes a dictionary, not {}", kind(value))))?;
    let mut out = String::new();
    for (key, value) in pairs {
        if value.is_none() || value.is_undefined() && !is_strict(state) {
            continue;
        }
        let key = python::text(&key)?;
        if key.contains(|c: char| c.is_whitespace() || "/>=".contains(c)) {
            return Err(refuse(format!(
                "{key:?} cannot be the name of an attribute"
            )));
        }
        let value = match value.is_safe() {
            true => text(state, &value)?,
            false => escape(&text(state, &value)?),
        };
        out.push_str(&format!(" {}=\"{value}\"", escape(&key)));
    }
    let spaced = arguments.optional(0).is_none_or(Value::is_true);
    let text = if spaced { &out } else { out.trim_start() };
    Ok(Value::from_safe_string(text.to_owned()))
}
