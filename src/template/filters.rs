//! Jinja2's filters, as Jinja2 has them.
//! <https://jinja.palletsprojects.com/en/stable/templates/#builtin-filters>

mod json;
mod numbers;
mod pretty;
mod select;
mod sequences;
mod strings;
mod wrap;

pub use strings::escape;

use minijinja::value::{Rest, ValueOrKwargs};
use minijinja::{Environment, Error, State, Value};

use super::lookup::{inside, is_strict, missing};
use super::python::{Arguments, Number, refuse};
use super::value::{kind, valid};

/// A filter: the value and then the arguments.
type Filter = fn(&mut State, &Value, &Call) -> Result<Value, Error>;

/// The arguments of a filter.
pub struct Call<'a> {
    name: &'static str,
    args: &'a [Value],
}

impl Call<'_> {
    fn bind(&self, names: &'static [&'static str]) -> Result<Arguments<'static>, Error> {
        Arguments::bind(self.name, names, self.args)
    }
}

/// Adds the filters.
pub fn add_to(environment: &mut Environment<'static>) {
    for (name, filter) in groups().into_iter().flatten().copied() {
        environment.add_filter(name, move |state: &mut State, args: Rest<ValueOrKwargs>| {
            let args = args.into_values();
            let (value, args) = args
                .split_first()
                .ok_or_else(|| refuse(format!("`{name}` has nothing to filter")))?;
            filter(state, value, &Call { name, args }).and_then(valid)
        });
    }
}

/// Their names, with those of minijinja's own that are left.
pub fn names() -> impl Iterator<Item = &'static str> {
    let ours = groups().into_iter().flatten().map(|(name, _)| *name);
    ours.chain(["quote", "safe", "bool", "chain", "lines", "split", "zip"])
}

fn groups() -> [&'static [(&'static str, Filter)]; 5] {
    [
        json::FILTERS,
        numbers::FILTERS,
        select::FILTERS,
        sequences::FILTERS,
        strings::FILTERS,
    ]
}

/// Refuses an undefined value where the file is strict.
fn defined(state: &State, value: &Value, what: &str) -> Result<(), Error> {
    match value.is_undefined() && is_strict(state) {
        true => Err(Error::new(
            minijinja::ErrorKind::UndefinedError,
            format!("{what} is undefined"),
        )),
        false => Ok(()),
    }
}

/// Refuses an undefined value in any file.
fn needed(value: &Value) -> Result<(), Error> {
    match value.is_undefined() {
        true => Err(Error::new(
            minijinja::ErrorKind::UndefinedError,
            "there is nothing to filter: the value is undefined",
        )),
        false => Ok(()),
    }
}

/// A value as text; an undefined one is none in a lenient file and an error in a strict one.
fn text(state: &State, value: &Value) -> Result<String, Error> {
    defined(state, value, "an item")?;
    super::python::text(value)
}

/// What `attribute=` names: `a.b`, or a number, or nothing at all.
struct Attribute {
    path: Vec<Value>,
    default: Option<Value>,
}

impl Attribute {
    fn new(attribute: Option<&Value>, default: Option<&Value>) -> Result<Self, Error> {
        let path = match attribute {
            None => Vec::new(),
            Some(attribute) => match (attribute.as_str(), Number::of(attribute)) {
                (Some(path), _) => path.split('.').map(step).collect(),
                (None, Some(Number::Integer(_))) => vec![attribute.clone()],
                _ => {
                    return Err(refuse(format!(
                        "an attribute is a name or a number, not {}",
                        kind(attribute)
                    )));
                }
            },
        };
        Ok(Self {
            path,
            default: default.cloned(),
        })
    }

    /// Several with commas between them, as `sort` takes them.
    fn several(attribute: Option<&Value>) -> Result<Vec<Self>, Error> {
        match attribute.and_then(Value::as_str) {
            Some(names) => names
                .split(',')
                .map(|name| Self::new(Some(&Value::from(name)), None))
                .collect(),
            None => Ok(vec![Self::new(attribute, None)?]),
        }
    }

    /// The attribute of an item, which it must have where the file is strict.
    fn used(&self, state: &State, item: &Value) -> Result<Value, Error> {
        let found = self.of(item)?;
        match found.is_undefined() && is_strict(state) {
            true if self.path.is_empty() => defined(state, &found, "an item").map(|()| found),
            true => Err(missing("item", item, &self.path)),
            false => Ok(found),
        }
    }

    /// The attribute of an item; undefined where it has none.
    fn of(&self, item: &Value) -> Result<Value, Error> {
        let mut value = item.clone();
        for key in &self.path {
            if value.is_undefined() {
                return Err(missing("item", item, &self.path));
            }
            value = match (inside(&value, key), &self.default) {
                (Some(found), _) if !found.is_undefined() => found,
                (_, Some(default)) => default.clone(),
                _ => Value::UNDEFINED,
            };
        }
        Ok(value)
    }
}

fn step(part: &str) -> Value {
    match part.parse::<i64>() {
        Ok(index) if part.bytes().all(|b| b.is_ascii_digit()) => Value::from(index),
        _ => Value::from(part),
    }
}

/// What strings are compared by where case does not matter.
fn without_case(value: Value) -> Value {
    match value.as_str() {
        Some(text) => Value::from(text.to_lowercase()),
        None => value,
    }
}
