//! Filters of numbers.

use minijinja::{Error, State, Value};

use super::{Call, Filter, defined, needed};
use crate::template::python::{Number, refuse};
use crate::template::value::kind;

pub const FILTERS: &[(&str, Filter)] = &[
    ("int", int),
    ("float", float),
    ("abs", abs),
    ("round", round),
    ("filesizeformat", filesizeformat),
];

fn number(value: &Value, filter: &str) -> Result<Number, Error> {
    needed(value)?;
    Number::of(value)
        .ok_or_else(|| refuse(format!("`{filter}` takes a number, not {}", kind(value))))
}

fn int(_: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    let arguments = call.bind(&["default", "base"])?;
    needed(value)?;
    let base = arguments.size_or(1, 10)?;
    let whole = |number: f64| {
        (number.is_finite() && number.abs() < i128::MAX as f64)
            .then(|| Number::Integer(number.trunc() as i128))
    };
    let found = match (value.as_str(), Number::of(value)) {
        (Some(text), _) => integer(text, base)
            .map(Number::Integer)
            .or_else(|| whole(decimal(text)?)),
        (None, Some(Number::Float(number))) => whole(number),
        (None, number) => number,
    };
    Ok(match found {
        Some(number) => number.value(),
        None => arguments.optional(0).cloned().unwrap_or(Value::from(0)),
    })
}

/// An integer as Python reads it from a string.
fn integer(text: &str, base: usize) -> Option<i128> {
    let text = text.trim();
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = text.to_ascii_lowercase();
    let prefixed = [("0x", 16), ("0o", 8), ("0b", 2)]
        .into_iter()
        .find(|(prefix, of)| lower.starts_with(prefix) && (base == *of || base == 0));
    let (digits, base) = match prefixed {
        Some((prefix, of)) => (&lower[prefix.len()..], of),
        None if base == 0 => (lower.as_str(), 10),
        None => (lower.as_str(), base),
    };
    let digits = without_underscores(digits)?;
    if !(2..=36).contains(&base) {
        return None;
    }
    let value = i128::from_str_radix(&digits, u32::try_from(base).ok()?).ok()?;
    Some(if negative { -value } else { value })
}

/// Underscores may stand between digits.
fn without_underscores(digits: &str) -> Option<String> {
    let misplaced =
        digits.starts_with(['_', '+', '-']) || digits.ends_with('_') || digits.contains("__");
    (!digits.is_empty() && !misplaced).then(|| digits.replace('_', ""))
}

/// A float as Python reads it from a string.
fn decimal(text: &str) -> Option<f64> {
    let text = text.trim();
    let bare = text.strip_prefix(['-', '+']).unwrap_or(text);
    without_underscores(bare)?;
    text.replace('_', "").parse().ok()
}

fn float(_: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    let arguments = call.bind(&["default"])?;
    needed(value)?;
    let found = match (value.as_str(), Number::of(value)) {
        (Some(text), _) => decimal(text),
        (None, number) => number.map(Number::float),
    };
    Ok(match found {
        Some(number) => Value::from(number),
        None => arguments.optional(0).cloned().unwrap_or(Value::from(0.0)),
    })
}

fn abs(_: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    call.bind(&[])?;
    Ok(match number(value, "abs")? {
        Number::Integer(number) => Number::Integer(number.saturating_abs()).value(),
        Number::Float(number) => Value::from(number.abs()),
    })
}

fn round(_: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    let arguments = call.bind(&["precision", "method"])?;
    let number = number(value, "round")?;
    let precision = arguments.integer(0)?.unwrap_or(0).clamp(-400, 400);
    let precision = i32::try_from(precision).unwrap_or(0);
    let factor = 10f64.powi(precision);
    let method = arguments.text_or(1, "common")?;
    Ok(match (method.as_str(), number) {
        ("ceil", number) => Value::from((number.float() * factor).ceil() / factor),
        ("floor", number) => Value::from((number.float() * factor).floor() / factor),
        ("common", Number::Integer(number)) => {
            let digits = u32::try_from(-precision).unwrap_or(0);
            Number::Integer(round_integer(number, digits)).value()
        }
        ("common", Number::Float(number)) if !number.is_finite() => Value::from(number),
        ("common", Number::Float(number)) => match usize::try_from(precision) {
            // Rust rounds the exact value, half to even, as Python does.
            Ok(digits) => Value::from(format!("{number:.digits$}").parse().unwrap_or(number)),
            Err(_) => {
                let unit = 10f64.powi(-precision);
                Value::from((number / unit).round_ties_even() * unit)
            }
        },
        (other, _) => {
            return Err(refuse(format!(
                "`round` rounds by `common`, `ceil` or `floor`, not by `{other}`"
            )));
        }
    })
}

/// To tens, hundreds and so on, half to even.
fn round_integer(number: i128, digits: u32) -> i128 {
    let Some(unit) = 10i128.checked_pow(digits) else {
        return 0;
    };
    let rest = number.rem_euclid(unit);
    let down = number - rest;
    let up = match (rest * 2).cmp(&unit) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => (down / unit) % 2 != 0,
    };
    if up { down + unit } else { down }
}

fn filesizeformat(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    let arguments = call.bind(&["binary"])?;
    defined(state, value, "the size")?;
    let size = match value.as_str() {
        Some(text) => decimal(text),
        None => Number::of(value).map(Number::float),
    };
    let size = size.ok_or_else(|| {
        refuse(format!(
            "`filesizeformat` takes a number, not {}",
            kind(value)
        ))
    })?;
    let (base, units) = match arguments.flag(0) {
        true => (
            1024f64,
            ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"],
        ),
        false => (1000f64, ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"]),
    };
    if size == 1.0 {
        return Ok(Value::from("1 Byte"));
    }
    if size < base {
        return Ok(Value::from(format!("{} Bytes", size.trunc())));
    }
    let mut unit = base;
    for (index, name) in units.iter().enumerate() {
        unit *= base;
        if size < unit || index + 1 == units.len() {
            return Ok(Value::from(format!("{:.1} {name}", base * size / unit)));
        }
    }
    Ok(Value::from(""))
}
