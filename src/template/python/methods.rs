//! Python's methods of strings, lists, tuples and dictionaries.

mod dicts;
mod lists;
pub mod strings;

pub use dicts::{dict, update};
pub use lists::{list, sort};

use minijinja::{Error, ErrorKind, State, Value};

use super::refuse;
use crate::diagnostic::nearest;
use crate::template::value::{Dict, List, Range, kind, tuple_items, valid};

/// Calls a method of a value.
pub fn call(
    state: &mut State,
    value: &Value,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    found(state, value, method, args).and_then(valid)
}

fn found(state: &mut State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    if let Some(text) = value.as_str() {
        return strings::call(state, value, text, method, args);
    }
    if let Some(items) = tuple_items(value) {
        return lists::tuple(state, &items, method, args);
    }
    if let Some(range) = value.downcast_object_ref::<Range>() {
        let items = (0..range.len()).filter_map(|at| range.at(at));
        super::afford_items(state, range.len())?;
        let items: Vec<Value> = items.map(Value::from).collect();
        return lists::tuple(state, &items, method, args);
    }
    // minijinja divides by the number of arguments.
    if method == "cycle" && args.is_empty() && value.to_string().starts_with("<loop ") {
        return Err(refuse("`loop.cycle` takes the values to choose from"));
    }
    value
        .call_method(state, method, args)
        .map_err(|error| match error.kind() {
            ErrorKind::UnknownMethod => unknown(value, method),
            _ => error,
        })
}

/// The error about a method that is not there.
fn unknown(value: &Value, method: &str) -> Error {
    let known: &[&str] = match value {
        _ if value.as_str().is_some() => &strings::METHODS,
        _ if value.downcast_object_ref::<List>().is_some() => &lists::METHODS,
        _ if value.downcast_object_ref::<Dict>().is_some() => &dicts::METHODS,
        _ if tuple_items(value).is_some() => &lists::TUPLE_METHODS,
        _ => &[],
    };
    // What an imported template has are its macros.
    let own: Vec<String> = super::pairs(value)
        .unwrap_or_default()
        .iter()
        .filter_map(|(key, _)| key.as_str().map(str::to_owned))
        .collect();
    let all = known.iter().copied().chain(own.iter().map(String::as_str));
    let near = nearest(method, all);
    let near = near.map(|near| format!("; {near}")).unwrap_or_default();
    Error::new(
        ErrorKind::UnknownMethod,
        format!("{} has no method `{method}`{near}", kind(value)),
    )
}
