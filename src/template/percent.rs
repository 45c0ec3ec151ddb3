//! `'%s-%02d' % (a, b)` and `'{:>8}'.format(a)`: minijinja's formatting, with what it lacks of Python's.
//! <https://docs.python.org/3/library/stdtypes.html#printf-style-string-formatting>

use minijinja::formatting::{FormatStyle, format};
use minijinja::value::{Tuple, ValueKind};
use minijinja::{Error, State, UndefinedBehavior, Value};

use super::value::{Dict, List, afford, kind, refuse, repr, text};
use crate::diagnostic::did_you_mean;

/// The widest that a value is made, and the most digits that it gets.
const WIDEST: usize = 10_000;

/// `left % right`, of strings and of numbers.
pub fn percent(state: &mut State, left: &Value, right: &Value) -> Result<Value, Error> {
    defined(state, right)?;
    if let Some(pattern) = left.as_str() {
        return printf(state, pattern, right).map(Value::from);
    }
    let by_zero = || refuse("nothing is divided by 0");
    if is_integer(left) && is_integer(right) {
        let (left, right) = (
            i128::try_from(left.clone())?,
            i128::try_from(right.clone())?,
        );
        let rest = left.checked_rem(right).ok_or_else(by_zero)?;
        let turns = rest != 0 && (rest < 0) != (right < 0);
        return Ok(Value::from(if turns { rest + right } else { rest }));
    }
    match (f64::try_from(left.clone()), f64::try_from(right.clone())) {
        (Ok(_), Ok(0.0)) => Err(by_zero()),
        (Ok(left), Ok(right)) => {
            let rest = left % right;
            let turns = rest != 0.0 && (rest < 0.0) != (right < 0.0);
            Ok(Value::from(if turns { rest + right } else { rest }))
        }
        _ => {
            let (left, right) = (kind(left), kind(right));
            Err(refuse(format!("`%` does not take {left} and {right}")))
        }
    }
}

fn is_integer(value: &Value) -> bool {
    value.is_integer() || value.kind() == ValueKind::Bool
}

/// Refuses an undefined value where the template is strict, as minijinja does.
pub fn defined(state: &State, value: &Value) -> Result<(), Error> {
    match value.is_undefined() && state.undefined_behavior() == UndefinedBehavior::Strict {
        true => value.get_attr("").map(drop),
        false => Ok(()),
    }
}

/// Formats a value, a tuple of them, or the values of a dictionary by their names.
pub fn printf(state: &mut State, pattern: &str, values: &Value) -> Result<String, Error> {
    let positional: Vec<Value> = match values.downcast_object_ref::<Tuple>() {
        Some(tuple) => tuple.to_vec(),
        None => vec![values.clone()],
    };
    let mut left = positional.iter();
    let is_list = values.downcast_object_ref::<List>().is_some();
    let mut all_used = is_list || values.kind() == ValueKind::Map;
    let few = || refuse("the format has more places than there are values");
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        rest = after;
        let mut name = None;
        if let Some(after) = rest.strip_prefix('(') {
            let key = after.split_once(')');
            let (key, after) = key.ok_or_else(|| refuse("`%(` in a format has no `)`"))?;
            (name, rest) = (Some(key), after);
        }
        // Flags, a width and a precision: numbers, or `*` that takes one.
        let mut spec = String::from("%");
        let flag = |c: &char| "-+ #.*0123456789".contains(*c);
        while let Some(c) = rest.chars().next().filter(flag) {
            rest = &rest[1..];
            if c != '*' {
                spec.push(c);
                continue;
            }
            let number = i64::try_from(left.next().ok_or_else(few)?.clone());
            let number = number.map_err(|_| refuse("`*` takes an integer"))?;
            let least = if spec.ends_with('.') { 0 } else { i64::MIN };
            spec += &number.max(least).to_string();
        }
        afford_spec(&spec)?;
        rest = rest.trim_start_matches(['h', 'l', 'L']);
        let middle = || refuse("the format ends in the middle of a `%`");
        let conversion = rest.chars().next().ok_or_else(middle)?;
        rest = &rest[conversion.len_utf8()..];
        let value = match name {
            _ if conversion == '%' => {
                out.push('%');
                continue;
            }
            Some(name) => {
                all_used = true;
                named(values, name)?
            }
            None => left.next().ok_or_else(few)?.clone(),
        };
        defined(state, &value)?;
        out += &converted(&spec, conversion, value)?;
        afford(state, out.len())?;
    }
    out.push_str(rest);
    match left.next().is_none() || all_used {
        true => Ok(out),
        false => Err(refuse("there are more values than the format has places")),
    }
}

fn converted(spec: &str, conversion: char, value: Value) -> Result<String, Error> {
    let written = |conversion: char, value| {
        format(
            FormatStyle::Printf,
            &format!("{spec}{conversion}"),
            &[value],
        )
    };
    let wanted = match conversion {
        's' => return written('s', text(&value)?.into()),
        'r' => return written('s', repr(&value).into()),
        'a' => return written('s', ascii(&repr(&value)).replace("\\u00", "\\x").into()),
        'x' | 'X' | 'o' if !is_integer(&value) => "an integer",
        'd' | 'i' | 'u' | 'e' | 'E' | 'f' | 'F' | 'g' | 'G'
            if !value.is_number() && !is_integer(&value) =>
        {
            "a number"
        }
        _ => "",
    };
    if !wanted.is_empty() {
        let kind = kind(&value);
        return Err(refuse(format!(
            "`%{conversion}` takes {wanted}, not {kind}"
        )));
    }
    match (conversion, spec.split_once('.')) {
        // A precision is the least number of an integer's digits.
        ('d' | 'i' | 'u' | 'x' | 'X' | 'o', Some((spec, digits))) => {
            let text = converted("%", conversion, value)?;
            let (sign, number) = text.split_at(usize::from(text.starts_with('-')));
            let digits = digits.parse::<usize>().unwrap_or(0);
            let zeros = "0".repeat(digits.saturating_sub(number.len()));
            let width = spec.trim_start_matches(['%', '-', '+', ' ', '#', '0']);
            let left = if spec.contains('-') { "-" } else { "" };
            converted(
                &format!("%{left}{width}"),
                's',
                format!("{sign}{zeros}{number}").into(),
            )
        }
        ('d' | 'i' | 'u', None) if !is_integer(&value) => {
            written('d', Value::from(f64::try_from(value)?.trunc() as i128))
        }
        ('i' | 'u', None) => written('d', value),
        _ => written(conversion, value),
    }
}

fn named(values: &Value, name: &str) -> Result<Value, Error> {
    let Some(dict) = values.downcast_object_ref::<Dict>() else {
        let kind = kind(values);
        return Err(refuse(format!(
            "`%({name})` takes a dictionary, not {kind}"
        )));
    };
    dict.get(&Value::from(name)).ok_or_else(|| {
        let keys = dict.now();
        let near = did_you_mean(name, keys.keys().filter_map(Value::as_str));
        refuse(format!(
            "the dictionary has no `{name}`; {}",
            near.unwrap_or_default()
        ))
    })
}

/// `pattern.format(…)`.
pub fn braces(state: &mut State, pattern: &str, args: &[Value]) -> Result<String, Error> {
    for part in pattern.split('{').skip(1) {
        afford_spec(part.split('}').next().unwrap_or(""))?;
    }
    args.iter().try_for_each(|value| defined(state, value))?;
    let text = format(FormatStyle::StrFormat, pattern, args)?;
    afford(state, text.len())?;
    Ok(text)
}

/// Refuses widths and precisions that make a text of any length.
fn afford_spec(spec: &str) -> Result<(), Error> {
    let numbers = spec
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty());
    let fits = |digits: &str| digits.parse::<usize>().is_ok_and(|number| number <= WIDEST);
    match numbers.into_iter().all(fits) {
        true => Ok(()),
        false => Err(refuse(format!(
            "a value is at most {WIDEST} characters wide"
        ))),
    }
}

/// A text with all but ASCII escaped, as JSON has it, and nearly as `ascii()` does in Python.
pub fn ascii(text: &str) -> String {
    let code = |unit: &mut u16| format!("\\u{unit:04x}");
    let escaped = |c: char| match c.is_ascii() {
        true => c.to_string(),
        false => c.encode_utf16(&mut [0; 2]).iter_mut().map(code).collect(),
    };
    text.chars().map(escaped).collect()
}
