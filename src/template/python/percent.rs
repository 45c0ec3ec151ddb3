//! `'%s-%02d' % (a, b)`.
//! <https://docs.python.org/3/library/stdtypes.html#printf-style-string-formatting>

use minijinja::value::ValueKind;
use minijinja::{Error, State, Value};

use super::print::ascii;
use super::spec::Spec;
use super::{Number, afford, put, refuse, repr, text};
use crate::template::lookup::is_strict;
use crate::template::value::{Dict, kind, list_items, tuple_items};

/// Formats a value, a tuple of them, or the values of a dictionary by their names.
pub fn format(state: &State, pattern: &str, values: &Value) -> Result<String, Error> {
    afford(state, pattern.len())?;
    let mut formatter = Formatter {
        values,
        positional: match tuple_items(values) {
            Some(items) => items,
            None => vec![values.clone()],
        },
        taken: 0,
        state,
        strict: is_strict(state),
        out: String::with_capacity(pattern.len()),
    };
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('%') {
        put(state, &mut formatter.out, before)?;
        rest = formatter.conversion(after)?;
    }
    formatter.out.push_str(rest);
    let is_mapping = values.downcast_object_ref::<Dict>().is_some() || list_items(values).is_some();
    if formatter.taken < formatter.positional.len() && !is_mapping {
        return Err(refuse(format!(
            "the format {pattern:?} has {} and is given {}",
            plural(formatter.taken, "place"),
            plural(formatter.positional.len(), "value"),
        )));
    }
    Ok(formatter.out)
}

fn plural(count: usize, what: &str) -> String {
    match count {
        1 => format!("one {what}"),
        _ => format!("{count} {what}s"),
    }
}

struct Formatter<'a, 't, 'e> {
    values: &'a Value,
    positional: Vec<Value>,
    taken: usize,
    state: &'a State<'t, 'e>,
    strict: bool,
    out: String,
}

impl Formatter<'_, '_, '_> {
    fn next_value(&mut self) -> Result<Value, Error> {
        let value = self.positional.get(self.taken).cloned();
        self.taken += 1;
        value.ok_or_else(|| {
            let given = plural(self.positional.len(), "value");
            refuse(format!(
                "the format has more places than the {given} given to it"
            ))
        })
    }

    fn named(&mut self, name: &str) -> Result<Value, Error> {
        let Some(dict) = self.values.downcast_object_ref::<Dict>() else {
            return Err(refuse(format!(
                "`%({name})` takes a dictionary, not {}",
                kind(self.values)
            )));
        };
        // The dictionary counts as used.
        self.taken = self.positional.len();
        dict.get(&Value::from(name)).ok_or_else(|| {
            let keys = dict.pairs();
            let keys = keys.iter().filter_map(|(key, _)| key.as_str());
            let near = crate::diagnostic::did_you_mean(name, keys).unwrap_or_default();
            refuse(format!("the dictionary has no `{name}`; {near}"))
        })
    }

    fn star(&mut self) -> Result<i64, Error> {
        let value = self.next_value()?;
        match Number::of(&value) {
            Some(Number::Integer(number)) => {
                i64::try_from(number).map_err(|_| refuse("this width is too large"))
            }
            _ => Err(refuse(format!(
                "`*` takes an integer, not {}",
                kind(&value)
            ))),
        }
    }

    /// One conversion, whose `%` is taken; gives what comes after it.
    fn conversion<'p>(&mut self, pattern: &'p str) -> Result<&'p str, Error> {
        let mut rest = pattern;
        let mut name = None;
        if let Some(after) = rest.strip_prefix('(') {
            let end = closing(after).ok_or_else(|| refuse("`%(` in a format has no `)`"))?;
            name = Some(&after[..end]);
            rest = &after[end + 1..];
        }
        let mut spec = Spec::default();
        let (mut left, mut zero) = (false, false);
        while let Some(flag) = rest.chars().next().filter(|c| "-+ #0".contains(*c)) {
            match flag {
                '-' => left = true,
                '0' => zero = true,
                '#' => spec.alternate = true,
                '+' => spec.sign = '+',
                _ if spec.sign == '+' => {}
                _ => spec.sign = ' ',
            }
            rest = &rest[1..];
        }
        if let Some(after) = rest.strip_prefix('*') {
            let width = self.star()?;
            left |= width < 0;
            spec.width = usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX);
            rest = after;
        } else {
            (spec.width, rest) = digits(rest)?;
        }
        if let Some(after) = rest.strip_prefix('.') {
            let precision;
            if let Some(after) = after.strip_prefix('*') {
                precision = usize::try_from(self.star()?.max(0)).unwrap_or(usize::MAX);
                rest = after;
            } else {
                (precision, rest) = digits(after)?;
            }
            spec.precision = Some(precision);
        }
        rest = rest.trim_start_matches(['h', 'l', 'L']);
        let Some(conversion) = rest.chars().next() else {
            return Err(refuse("the format ends in the middle of a `%`"));
        };
        spec.check()?;
        spec.align = Some(if left { '<' } else { '>' });
        if conversion == '%' {
            self.out.push('%');
            return Ok(&rest[1..]);
        }
        let value = match name {
            Some(name) => self.named(name)?,
            None => self.next_value()?,
        };
        if value.is_undefined() && self.strict {
            let place = self.taken;
            return Err(refuse(format!("value {place} of the format is undefined")));
        }
        let text = converted(conversion, spec, zero && !left, &value)?;
        put(self.state, &mut self.out, &text)?;
        Ok(&rest[conversion.len_utf8()..])
    }
}

/// Where the parenthesis ends that is open.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return Some(at),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn digits(text: &str) -> Result<(usize, &str), Error> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number = match &text[..end] {
        "" => 0,
        digits => digits
            .parse()
            .map_err(|_| refuse("a number in this format is too large"))?,
    };
    Ok((number, &text[end..]))
}

fn converted(conversion: char, spec: Spec, zero: bool, value: &Value) -> Result<String, Error> {
    let mut spec = spec;
    let wanted = |wanted: &str| {
        refuse(format!(
            "`%{conversion}` takes {wanted}, not {}",
            kind(value)
        ))
    };
    if zero && !matches!(conversion, 's' | 'r' | 'a' | 'c') {
        spec.fill = '0';
        spec.align = Some('=');
    }
    match conversion {
        's' => Ok(spec.text(&text(value)?)),
        'r' => Ok(spec.text(&repr(value)?)),
        'a' => Ok(spec.text(&ascii(value)?)),
        'c' => {
            let character = match (value.as_str(), Number::of(value)) {
                (Some(text), _) if text.chars().count() == 1 => text.to_owned(),
                (None, Some(Number::Integer(code))) => u32::try_from(code)
                    .ok()
                    .and_then(char::from_u32)
                    .map(String::from)
                    .ok_or_else(|| wanted("the number of a character"))?,
                _ => return Err(wanted("one character or its number")),
            };
            spec.precision = None;
            Ok(spec.text(&character))
        }
        'd' | 'i' | 'u' => {
            let number = match Number::of(value) {
                Some(Number::Integer(number)) => number,
                Some(Number::Float(number)) if number.is_finite() => number.trunc() as i128,
                _ => return Err(wanted("a number")),
            };
            spec.conversion = Some('d');
            Ok(integer(spec, number))
        }
        'x' | 'X' | 'o' => match Number::of(value) {
            Some(Number::Integer(number)) => {
                spec.conversion = Some(conversion);
                Ok(integer(spec, number))
            }
            _ => Err(wanted("an integer")),
        },
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => match Number::of(value) {
            Some(number) if value.kind() != ValueKind::String => {
                spec.conversion = Some(conversion);
                Ok(spec.float(number.float()))
            }
            _ => Err(wanted("a number")),
        },
        _ => Err(refuse(format!(
            "a format has no conversion `%{conversion}`"
        ))),
    }
}

/// A precision is the least number of an integer's digits.
fn integer(spec: Spec, number: i128) -> String {
    let Some(least) = spec.precision else {
        return spec.integer(number);
    };
    let plain = Spec {
        conversion: spec.conversion,
        ..Spec::default()
    };
    let digits = plain.integer(i128::try_from(number.unsigned_abs()).unwrap_or(i128::MAX));
    let prefix = match spec.conversion {
        Some('x') if spec.alternate => "0x",
        Some('X') if spec.alternate => "0X",
        Some('o') if spec.alternate => "0o",
        _ => "",
    };
    let zeros = "0".repeat(least.saturating_sub(digits.len()));
    spec.number(number < 0, prefix, &(zeros + &digits))
}
