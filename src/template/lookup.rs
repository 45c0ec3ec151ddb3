//! Variables, attributes and items, and what is said where there is none.

use minijinja::value::{Rest, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::modes;
use super::python::{Number, items, length, methods, pairs, repr};
use super::value::{
    Dict, Generator, Group, List, Namespace, Range, View, kind, list_items, tuple, tuple_items,
};
use super::{Undefined, python};
use crate::diagnostic::{names, nearest};

/// What a hint about a missing name says, beside the error's own text.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Hint(pub String);

/// Adds the functions that lookups are written as.
pub fn add_to(environment: &mut Environment<'static>) {
    environment.add_function("py__missing", || Value::UNDEFINED);
    environment.add_function("py__use", |state: &State, value: Value, text: &str| {
        used(state, value, text)
    });
    environment.add_function("py__need", |state: &State, value: Value, text: &str| {
        needed(state, value, text)
    });
    environment.add_function("py__at", |state: &State, args: Rest<Value>| {
        at(state, &args)
    });
    environment.add_function("py__use_at", |state: &State, args: Rest<Value>| {
        match at(state, &args)? {
            value if value.is_undefined() && is_strict(state) => Err(missing_in_path(state, &args)),
            value => Ok(value),
        }
    });
    environment.add_function("py__need_at", |state: &State, args: Rest<Value>| match at(
        state, &args,
    )? {
        value if value.is_undefined() => Err(missing_in_path(state, &args)),
        value => Ok(value),
    });
    environment.add_function("py__iter", iterable);
    environment.add_function("py__call", call);
    environment.add_function("py__invoke", invoke);
}

/// Whether the file whose code runs is strict about undefined values.
pub fn is_strict(state: &State) -> bool {
    modes::of(state) == Undefined::Strict
}

fn used(state: &State, value: Value, text: &str) -> Result<Value, Error> {
    match value.is_undefined() && is_strict(state) {
        true => Err(missing_name(state, text)),
        false => Ok(value),
    }
}

fn needed(state: &State, value: Value, text: &str) -> Result<Value, Error> {
    match value.is_undefined() {
        true => Err(missing_name(state, text)),
        false => Ok(value),
    }
}

/// What is inside a value under a key, as an attribute or as an item.
pub fn inside(value: &Value, key: &Value) -> Option<Value> {
    if let Some(dict) = value.downcast_object_ref::<Dict>() {
        return dict.get(key).filter(|_| python::hashable(key).is_ok());
    }
    if let Some(group) = value.downcast_object::<Group>()
        && key.as_str().is_some()
    {
        return minijinja::value::Object::get_value(&group, key);
    }
    let index = |length: usize| {
        let Some(Number::Integer(index)) = Number::of(key) else {
            return None;
        };
        let length = length as i128;
        usize::try_from(if index < 0 { index + length } else { index }).ok()
    };
    if let Some(list) = value.downcast_object_ref::<List>() {
        return list.read(|items| items.get(index(items.len())?).cloned());
    }
    if let Some(items) = list_items(value).or_else(|| tuple_items(value)) {
        return items.get(index(items.len())?).cloned();
    }
    if let Some(range) = value.downcast_object_ref::<Range>() {
        return range.at(index(range.len())?).map(Value::from);
    }
    if let Some(text) = value.as_str() {
        let at = index(text.chars().count())?;
        return text.chars().nth(at).map(Value::from);
    }
    let is_iterator = value.downcast_object_ref::<Generator>().is_some()
        || value.downcast_object_ref::<View>().is_some();
    if is_iterator || value.as_object().is_none() {
        return None;
    }
    let found = value
        .get_item(key)
        .ok()
        .filter(|found| !found.is_undefined())?;
    // A macro's arguments are a tuple in Jinja2.
    match key.as_str() == Some("arguments") && kind(value) == "a macro" {
        true => list_items(&found).map(tuple),
        false => Some(found),
    }
}

/// `args` are the value to begin with, its text and the keys. What is missing at the end is undefined, what is missing
/// before it an error.
fn at(state: &State, args: &[Value]) -> Result<Value, Error> {
    let [base, _, keys @ ..] = args else {
        return Ok(Value::UNDEFINED);
    };
    let mut value = base.clone();
    for key in keys {
        if value.is_undefined() {
            return Err(missing_in_path(state, args));
        }
        value = inside(&value, key).unwrap_or(Value::UNDEFINED);
    }
    Ok(value)
}

/// The error about the first of the keys that is not there.
fn missing_in_path(state: &State, args: &[Value]) -> Error {
    let [base, text, keys @ ..] = args else {
        return Error::from(ErrorKind::UndefinedError);
    };
    let text = text.as_str().unwrap_or("");
    match base.is_undefined() {
        true => missing_name(state, text),
        false => missing(text, base, keys),
    }
}

/// The error about the first of the keys that is not in a value.
pub fn missing(text: &str, base: &Value, keys: &[Value]) -> Error {
    let mut path = text.to_owned();
    let mut value = base.clone();
    for key in keys {
        match inside(&value, key).filter(|found| !found.is_undefined()) {
            Some(found) => value = found,
            None => return missing_key(&path, &value, key),
        }
        path.push_str(&step(key));
    }
    undefined(format!("`{path}` is undefined"), None)
}

/// A key as it is written behind a value.
fn step(key: &Value) -> String {
    match key.as_str() {
        Some(name) if is_name(name) => format!(".{name}"),
        _ => format!("[{}]", repr(key).unwrap_or_default()),
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

fn undefined(message: String, hint: Option<String>) -> Error {
    let error = Error::new(ErrorKind::UndefinedError, message);
    match hint {
        Some(hint) => error.with_source(Hint(hint)),
        None => error,
    }
}

fn missing_key(path: &str, value: &Value, key: &Value) -> Error {
    let namespace = value.downcast_object_ref::<Namespace>();
    let known: Vec<String> = namespace
        .map(Namespace::pairs)
        .or_else(|| pairs(value))
        .unwrap_or_default()
        .iter()
        .map(|(key, _)| match key.as_str() {
            Some(name) => name.to_owned(),
            None => repr(key).unwrap_or_default(),
        })
        .collect();
    let is_map = value.kind() == ValueKind::Map || namespace.is_some();
    let shown = match key.as_str() {
        Some(name) => format!("`{name}`"),
        None => format!("item {}", repr(key).unwrap_or_default()),
    };
    if !is_map {
        let what = match length(value) {
            Some(1) => format!("{} of length 1", kind(value)),
            Some(length) => format!("{} of length {length}", kind(value)),
            None => kind(value).to_owned(),
        };
        let is_key = value.kind() == ValueKind::String && key.as_str().is_some() && is_name(path);
        let hint = is_key.then(|| {
            format!("is it from a loop over a map, which gives its keys? then write `for key, {path} in MAP.items()`")
        });
        return undefined(format!("`{path}` is {what}: it has no {shown}"), hint);
    }
    if known.is_empty() {
        return undefined(format!("`{path}` has no {shown}: it is empty"), None);
    }
    let list: Vec<&str> = known.iter().map(String::as_str).collect();
    let has = format!("it has {}", names(&list));
    let near = key
        .as_str()
        .and_then(|name| nearest(name, list.iter().copied()));
    let hint = match near {
        Some(near) => format!("{near} {has}"),
        None => has,
    };
    undefined(format!("`{path}` has no {shown}"), Some(hint))
}

fn missing_name(state: &State, text: &str) -> Error {
    if !is_name(text) {
        return undefined(format!("`{text}` gives nothing"), None);
    }
    if state
        .lookup(text)
        .is_some_and(|value| !value.is_undefined())
    {
        return undefined(
            format!("`{text}` is not set in an imported template"),
            Some("import it `with context`, or hand it over as an argument".to_owned()),
        );
    }
    let variables = state.known_variables();
    let mut known: Vec<&str> = variables
        .iter()
        .map(AsRef::as_ref)
        .filter(|name| !name.starts_with("py__") && *name != text)
        .filter(|name| *name != "debug")
        .collect();
    let near = nearest(text, known.iter().copied());
    known.retain(|name| !super::globals::NAMES.contains(name));
    let hint = match (near, known.is_empty()) {
        (Some(near), _) => Some(near),
        (None, true) => None,
        (None, false) => Some(format!("there is {}", names(&known))),
    };
    undefined(format!("`{text}` is not set"), hint)
}

/// Refuses what cannot be gone over, by its name.
fn iterable(state: &State, value: Value, text: &str) -> Result<Value, Error> {
    // A loop asks for the length.
    if value.downcast_object_ref::<Generator>().is_some() {
        return Ok(List::value(items(state, &value)?));
    }
    match value.kind() {
        ValueKind::None | ValueKind::Bool | ValueKind::Number | ValueKind::Plain => {
            Err(python::refuse(format!(
                "`{text}` is {}: it cannot be gone over",
                kind(&value)
            )))
        }
        _ => Ok(value),
    }
}

/// `value.method(…)`.
fn call(state: &mut State, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let args = args.into_values();
    match args.as_slice() {
        [value, method, args @ ..] => {
            methods::call(state, value, method.as_str().unwrap_or(""), args)
        }
        _ => Err(Error::from(ErrorKind::MissingArgument)),
    }
}

/// `value(…)`.
fn invoke(state: &mut State, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let args = args.into_values();
    match args.as_slice() {
        [value, args @ ..] => value.call(state, args),
        _ => Err(Error::from(ErrorKind::MissingArgument)),
    }
}
