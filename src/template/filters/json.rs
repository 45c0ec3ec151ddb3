//! `tojson` and `pprint`.

use minijinja::value::ValueKind;
use minijinja::{Error, State, Value};

use super::pretty::pretty;
use super::{Call, Filter};
use crate::template::python::{LONGEST, Number, afford, float_text, order, pairs, refuse};
use crate::template::value::{Generator, View, kind, list_items, tuple_items};

pub const FILTERS: &[(&str, Filter)] = &[("tojson", tojson), ("pprint", pprint)];

/// How deep a value is written.
const DEPTH: usize = 60;

fn pprint(_: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    call.bind(&[])?;
    Ok(Value::from(pretty(value)?))
}

/// JSON with its keys sorted, and with what HTML would read escaped.
fn tojson(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    let arguments = call.bind(&["indent"])?;
    let indent = match arguments.some(0).and_then(Value::as_str) {
        Some(by) => Some(by.to_owned()),
        None => match arguments.integer(0)? {
            Some(width) => {
                let width = usize::try_from(width.max(0)).unwrap_or(usize::MAX);
                afford(state, width)?;
                Some(" ".repeat(width))
            }
            None => None,
        },
    };
    let mut writer = Writer {
        out: String::new(),
        indent,
    };
    writer.value(value, 0)?;
    afford(state, writer.out.len())?;
    Ok(Value::from_safe_string(writer.out))
}

struct Writer {
    out: String,
    indent: Option<String>,
}

impl Writer {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > DEPTH || self.out.len() > LONGEST {
            return Err(refuse(
                "this value is too large or nested too deeply for JSON",
            ));
        }
        match value.kind() {
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool if value.is_true() => self.out.push_str("true"),
            ValueKind::Bool => self.out.push_str("false"),
            ValueKind::Number => self.out.push_str(&number(value)),
            ValueKind::String => self.string(value.as_str().unwrap_or("")),
            _ => return self.container(value, depth),
        }
        Ok(())
    }

    fn container(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        let iterates = value.downcast_object_ref::<View>().is_some()
            || value.downcast_object_ref::<Generator>().is_some();
        if let Some(items) = list_items(value).or_else(|| tuple_items(value)) {
            self.out.push('[');
            for (index, item) in items.iter().enumerate() {
                self.separate(index, depth);
                self.value(item, depth + 1)?;
            }
            self.close(']', items.is_empty(), depth);
            return Ok(());
        }
        match pairs(value).filter(|_| !iterates) {
            Some(mut pairs) => {
                self.out.push('{');
                let mut problem = None;
                pairs.sort_by(|(left, _), (right, _)| match order(left, right) {
                    Ok(ordering) => ordering.unwrap_or(std::cmp::Ordering::Equal),
                    Err(error) => {
                        problem.get_or_insert(error);
                        std::cmp::Ordering::Equal
                    }
                });
                if let Some(error) = problem {
                    return Err(error);
                }
                for (index, (key, value)) in pairs.iter().enumerate() {
                    self.separate(index, depth);
                    self.key(key)?;
                    self.out.push_str(": ");
                    self.value(value, depth + 1)?;
                }
                self.close('}', pairs.is_empty(), depth);
                Ok(())
            }
            None => Err(refuse(format!("{} cannot be written as JSON", kind(value)))),
        }
    }

    fn key(&mut self, key: &Value) -> Result<(), Error> {
        let text = match key.kind() {
            ValueKind::String => key.as_str().unwrap_or("").to_owned(),
            ValueKind::None => "null".to_owned(),
            ValueKind::Bool => key.is_true().to_string(),
            ValueKind::Number => number(key),
            _ => return Err(refuse(format!("{} cannot be a key in JSON", kind(key)))),
        };
        self.string(&text);
        Ok(())
    }

    fn separate(&mut self, index: usize, depth: usize) {
        if index > 0 {
            self.out.push(',');
        }
        match &self.indent {
            Some(indent) => {
                self.out.push('\n');
                self.out.push_str(&indent.repeat(depth + 1));
            }
            None => self.out.push_str(if index > 0 { " " } else { "" }),
        }
    }

    fn close(&mut self, bracket: char, is_empty: bool, depth: usize) {
        if let (Some(indent), false) = (&self.indent, is_empty) {
            self.out.push('\n');
            self.out.push_str(&indent.repeat(depth));
        }
        self.out.push(bracket);
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\x08' => self.out.push_str("\\b"),
                '\x0c' => self.out.push_str("\\f"),
                '<' | '>' | '&' | '\'' => self.code(u32::from(c)),
                ' '..='~' => self.out.push(c),
                c => {
                    let mut units = [0; 2];
                    for unit in c.encode_utf16(&mut units) {
                        self.code(u32::from(*unit));
                    }
                }
            }
        }
        self.out.push('"');
    }

    fn code(&mut self, unit: u32) {
        self.out.push_str(&format!("\\u{unit:04x}"));
    }
}

fn number(value: &Value) -> String {
    match Number::of(value) {
        Some(Number::Float(number)) if number.is_nan() => "NaN".to_owned(),
        Some(Number::Float(number)) if number.is_infinite() => if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned(),
        Some(Number::Float(number)) => float_text(number),
        _ => value.to_string(),
    }
}
