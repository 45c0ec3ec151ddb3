//! Values as Python prints them.

use std::fmt;

use minijinja::value::ValueKind;
use minijinja::{Error, Value};

use super::{LONGEST, float_text, refuse};
use crate::template::value::{Namespace, View, ViewKind, list_items, tuple_items};

/// How deep a value is printed.
const DEPTH: usize = 60;

/// The value as `str()` gives it; nothing for an undefined one.
pub fn text(value: &Value) -> Result<String, Error> {
    match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None if value.is_undefined() => Ok(String::new()),
        None => repr(value),
    }
}

/// The value as `repr()` gives it.
pub fn repr(value: &Value) -> Result<String, Error> {
    let mut printer = Printer::default();
    printer
        .value(value, 0)
        .map_err(|TooMuch| refuse("this value is too large or nested too deeply to be printed"))?;
    Ok(printer.text)
}

/// The same, into what minijinja formats.
pub fn print(f: &mut fmt::Formatter<'_>, value: &Value) -> fmt::Result {
    let text = repr(value).map_err(|_| fmt::Error)?;
    f.write_str(&text)
}

struct TooMuch;

#[derive(Default)]
struct Printer {
    text: String,
}

impl Printer {
    fn put(&mut self, text: &str) -> Result<(), TooMuch> {
        self.text.push_str(text);
        match self.text.len() > LONGEST {
            true => Err(TooMuch),
            false => Ok(()),
        }
    }

    fn value(&mut self, value: &Value, depth: usize) -> Result<(), TooMuch> {
        if depth > DEPTH {
            return Err(TooMuch);
        }
        match value.kind() {
            ValueKind::Undefined => self.put("Undefined"),
            ValueKind::None => self.put("None"),
            ValueKind::Bool if value.is_true() => self.put("True"),
            ValueKind::Bool => self.put("False"),
            ValueKind::Number if value.is_integer() => self.put(&value.to_string()),
            ValueKind::Number => {
                let number = f64::try_from(value.clone()).unwrap_or(f64::NAN);
                self.put(&float_text(number))
            }
            ValueKind::String if value.is_safe() => {
                let text = quoted(value.as_str().unwrap_or(""));
                self.put(&format!("Markup({text})"))
            }
            ValueKind::String => self.put(&quoted(value.as_str().unwrap_or(""))),
            _ => self.container(value, depth),
        }
    }

    fn container(&mut self, value: &Value, depth: usize) -> Result<(), TooMuch> {
        if let Some(items) = list_items(value) {
            return self.items("[", &items, "]", depth);
        }
        if let Some(items) = tuple_items(value) {
            let close = if items.len() == 1 { ",)" } else { ")" };
            return self.items("(", &items, close, depth);
        }
        if let Some(view) = value.downcast_object_ref::<View>() {
            let name = match view.kind {
                ViewKind::Keys => "dict_keys([",
                ViewKind::Values => "dict_values([",
                ViewKind::Items => "dict_items([",
            };
            return self.items(name, &view.items(), "])", depth);
        }
        if let Some(namespace) = value.downcast_object_ref::<Namespace>() {
            self.put("<Namespace ")?;
            self.pairs(&namespace.pairs(), depth)?;
            return self.put(">");
        }
        // What minijinja makes itself prints itself.
        let is_dict = value.downcast_object_ref::<super::Dict>().is_some();
        match super::pairs(value).filter(|_| is_dict || value.is_kwargs()) {
            Some(pairs) => self.pairs(&pairs, depth),
            None => self.put(&value.to_string()),
        }
    }

    fn pairs(&mut self, pairs: &[(Value, Value)], depth: usize) -> Result<(), TooMuch> {
        self.put("{")?;
        for (index, (key, value)) in pairs.iter().enumerate() {
            self.put(if index > 0 { ", " } else { "" })?;
            self.value(key, depth + 1)?;
            self.put(": ")?;
            self.value(value, depth + 1)?;
        }
        self.put("}")
    }

    fn items(
        &mut self,
        open: &str,
        items: &[Value],
        close: &str,
        depth: usize,
    ) -> Result<(), TooMuch> {
        self.put(open)?;
        for (index, item) in items.iter().enumerate() {
            self.put(if index > 0 { ", " } else { "" })?;
            self.value(item, depth + 1)?;
        }
        self.put(close)
    }
}

/// A string with the quotes and escapes that Python chooses.
fn quoted(text: &str) -> String {
    let quote = match text.contains('\'') && !text.contains('"') {
        true => '"',
        false => '\'',
    };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if is_printable(c) => out.push(c),
            c => out.push_str(&escape(c)),
        }
    }
    out.push(quote);
    out
}

fn escape(c: char) -> String {
    match u32::from(c) {
        code @ 0..=0xff => format!("\\x{code:02x}"),
        code @ 0x100..=0xffff => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    }
}

/// The same with all that is not ASCII escaped, as `ascii()` gives it.
pub fn ascii(value: &Value) -> Result<String, Error> {
    let mut out = String::new();
    for c in repr(value)?.chars() {
        match c.is_ascii() {
            true => out.push(c),
            false => out.push_str(&escape(c)),
        }
    }
    Ok(out)
}

/// Whether Python prints a character as it is in `repr()`.
pub fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    // Rust escapes the same classes of characters, and a combining one only at the beginning.
    let pair = format!("a{c}");
    pair.escape_debug().nth(1) == Some(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_as_python_does() {
        assert_eq!(quoted("it's"), "\"it's\"");
        assert_eq!(
            quoted("a'\"\n\u{200b}\u{a0}é\u{301}\u{0}"),
            "'a\\'\"\\n\\u200b\\xa0é\u{301}\\x00'"
        );
    }
}
