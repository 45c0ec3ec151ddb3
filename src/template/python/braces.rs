//! `'{:>8} {name}'.format(…)`.
//! <https://docs.python.org/3/library/string.html#format-string-syntax>

use minijinja::value::ValueKind;
use minijinja::{Error, State, Value};

use super::print::ascii;
use super::spec::{Spec, float_digits};
use super::{Number, afford, float_text, put, refuse, repr, text};
use crate::template::lookup;
use crate::template::value::kind;

/// Formats the arguments of `format`.
pub fn format(state: &State, pattern: &str, args: &[Value]) -> Result<String, Error> {
    afford(state, pattern.len())?;
    let (positional, named) = super::arguments::split(args)?;
    let mut formatter = Formatter {
        state,
        positional,
        named: &named,
        next: 0,
        numbered: false,
    };
    formatter.format(pattern, 0)
}

struct Formatter<'a> {
    state: &'a State<'a, 'a>,
    positional: &'a [Value],
    named: &'a [(String, Value)],
    next: usize,
    /// Whether a field has named its place.
    numbered: bool,
}

impl Formatter<'_> {
    fn format(&mut self, pattern: &str, depth: usize) -> Result<String, Error> {
        let mut out = String::with_capacity(pattern.len());
        let mut rest = pattern;
        while let Some(at) = rest.find(['{', '}']) {
            out.push_str(&rest[..at]);
            let mark = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(mark) {
                out.push_str(mark);
                rest = after;
                continue;
            }
            if mark == "}" {
                return Err(refuse("a single `}` stands in a format; write `}}`"));
            }
            let end =
                closing(rest).ok_or_else(|| refuse("a `{` in a format has no `}`; write `{{`"))?;
            let field = self.field(&rest[..end], depth)?;
            put(self.state, &mut out, &field)?;
            rest = &rest[end + 1..];
        }
        Ok(out + rest)
    }

    /// One field: `name.attribute[0]!r:>8`.
    fn field(&mut self, field: &str, depth: usize) -> Result<String, Error> {
        if depth > 1 {
            return Err(refuse("fields of a format are nested too deeply"));
        }
        let (field, spec) = field.split_once(':').unwrap_or((field, ""));
        let (path, conversion) = match field.split_once('!') {
            Some((path, conversion)) => (path, Some(conversion)),
            None => (field, None),
        };
        let value = self.value(path)?;
        if value.is_undefined() && lookup::is_strict(self.state) {
            return Err(refuse(format!("the value for `{{{path}}}` is undefined")));
        }
        let spec = match spec.contains('{') {
            true => self.format(spec, depth + 1)?,
            false => spec.to_owned(),
        };
        let value = match conversion {
            None => value,
            Some("s") => Value::from(text(&value)?),
            Some("r") => Value::from(repr(&value)?),
            Some("a") => Value::from(ascii(&value)?),
            Some(other) => {
                return Err(refuse(format!("a format has no conversion `!{other}`")));
            }
        };
        formatted(&value, &spec)
    }

    fn value(&mut self, path: &str) -> Result<Value, Error> {
        let end = path.find(['.', '[']).unwrap_or(path.len());
        let (first, mut rest) = path.split_at(end);
        let mut value = match first.parse::<usize>() {
            Ok(_) if self.next > 0 => return Err(mixed()),
            Ok(index) => {
                self.numbered = true;
                self.positional(index)?
            }
            Err(_) if first.is_empty() && self.numbered => return Err(mixed()),
            Err(_) if first.is_empty() => {
                self.next += 1;
                self.positional(self.next - 1)?
            }
            Err(_) => {
                let given = self.named.iter().find(|(name, _)| name == first);
                let (_, value) = given.ok_or_else(|| {
                    let names = self.named.iter().map(|(name, _)| name.as_str());
                    let near = crate::diagnostic::did_you_mean(first, names).unwrap_or_default();
                    refuse(format!("the format is not given `{first}`; {near}"))
                })?;
                value.clone()
            }
        };
        while !rest.is_empty() {
            let key;
            if let Some(after) = rest.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                key = Value::from(&after[..end]);
                rest = &after[end..];
            } else {
                let inside = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
                let (item, after) = inside.ok_or_else(|| refuse("a `[` in a format has no `]`"))?;
                key = match item.parse::<i64>() {
                    Ok(index) => Value::from(index),
                    Err(_) => Value::from(item),
                };
                rest = after;
            }
            value = lookup::inside(&value, &key)
                .ok_or_else(|| refuse(format!("`{path}` in a format: there is no {key}")))?;
        }
        Ok(value)
    }

    fn positional(&self, index: usize) -> Result<Value, Error> {
        self.positional.get(index).cloned().ok_or_else(|| {
            refuse(format!(
                "the format has more places than the {} values given to it",
                self.positional.len()
            ))
        })
    }
}

fn mixed() -> Error {
    refuse("fields of a format are either all numbered, or none of them is")
}

/// Where the brace ends that is open.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// `[[fill]align][sign][#][0][width][grouping][.precision][type]`.
fn parse(text: &str) -> Result<Spec, Error> {
    let wrong = || refuse(format!("`{text}` is no format specification"));
    let is_align = |c: &char| "<>=^".contains(*c);
    let mut spec = Spec::default();
    let mut rest = text;
    let mut characters = text.chars();
    let (first, second) = (characters.next(), characters.next());
    let mut filled = false;
    if let (Some(fill), Some(align)) = (first, second.filter(is_align)) {
        filled = true;
        spec.fill = fill;
        spec.align = Some(align);
        rest = &rest[fill.len_utf8() + 1..];
    } else if let Some(align) = first.filter(is_align) {
        spec.align = Some(align);
        rest = &rest[1..];
    }
    if let Some(sign) = rest.chars().next().filter(|c| "+- ".contains(*c)) {
        spec.sign = sign;
        rest = &rest[1..];
    }
    if let Some(after) = rest.strip_prefix('#') {
        spec.alternate = true;
        rest = after;
    }
    if let Some(after) = rest.strip_prefix('0') {
        if !filled {
            spec.fill = '0';
            spec.align = spec.align.or(Some('='));
        }
        rest = after;
    }
    let number = |rest: &mut &str| -> Result<Option<usize>, Error> {
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let digits = &rest[..end];
        *rest = &rest[end..];
        match digits {
            "" => Ok(None),
            digits => digits.parse().map(Some).map_err(|_| wrong()),
        }
    };
    spec.width = number(&mut rest)?.unwrap_or(0);
    if let Some(grouping) = rest.chars().next().filter(|c| ",_".contains(*c)) {
        spec.grouping = Some(grouping);
        rest = &rest[1..];
    }
    if let Some(after) = rest.strip_prefix('.') {
        rest = after;
        spec.precision = Some(number(&mut rest)?.ok_or_else(wrong)?);
    }
    let mut characters = rest.chars();
    spec.conversion = characters.next();
    if characters.next().is_some() {
        return Err(wrong());
    }
    spec.check()?;
    Ok(spec)
}

fn formatted(value: &Value, text_of_spec: &str) -> Result<String, Error> {
    if text_of_spec.is_empty() {
        return text(value);
    }
    let spec = parse(text_of_spec)?;
    let unknown = || refuse(format!("`{text_of_spec}` does not format {}", kind(value)));
    match (value.kind(), Number::of(value)) {
        (ValueKind::String | ValueKind::Undefined, _) => match spec.conversion {
            None | Some('s') if spec.align != Some('=') => Ok(spec.text(&text(value)?)),
            _ => Err(unknown()),
        },
        (_, Some(Number::Integer(number))) => match spec.conversion {
            None | Some('d' | 'n' | 'x' | 'X' | 'o' | 'b') if spec.precision.is_none() => {
                Ok(spec.integer(number))
            }
            Some('c') => {
                let character = u32::try_from(number).ok().and_then(char::from_u32);
                let character = character.ok_or_else(unknown)?;
                Ok(spec.number(false, "", &character.to_string()))
            }
            Some(_) => float(spec, number as f64).ok_or_else(unknown),
            None => Err(unknown()),
        },
        (_, Some(Number::Float(number))) => float(spec, number).ok_or_else(unknown),
        _ => Err(unknown()),
    }
}

fn float(spec: Spec, number: f64) -> Option<String> {
    let negative = number.is_sign_negative() && !number.is_nan();
    match spec.conversion {
        Some('e' | 'E' | 'f' | 'F' | 'g' | 'G') => Some(spec.float(number)),
        Some('n') => Some(
            Spec {
                conversion: Some('g'),
                ..spec
            }
            .float(number),
        ),
        Some('%') => {
            let precision = spec.precision.unwrap_or(6);
            let digits = float_digits(number.abs() * 100.0, 'f', precision, spec.alternate);
            Some(spec.float_text(negative, &(digits + "%")))
        }
        // Without a type, a float keeps a digit behind its point.
        None => {
            let digits = match spec.precision {
                None => float_text(number.abs()),
                Some(precision) => {
                    let digits = float_digits(number.abs(), 'g', precision, spec.alternate);
                    match digits.contains(['.', 'e', 'n', 'i']) {
                        true => digits,
                        false => digits + ".0",
                    }
                }
            };
            Some(spec.float_text(negative, &digits))
        }
        Some(_) => None,
    }
}
