//! Lists, dictionaries and their like as Python has them: shared, and changed in place.
//!
//! minijinja's own sequences and maps never change, so templates get these instead: [`own`] turns a context into them, and
//! literals, operators, methods and filters make them.

mod dict;
mod generator;
mod group;
mod late;
mod list;
mod namespace;
mod nesting;
mod range;

pub use dict::{Dict, View, ViewKind};
pub use generator::Generator;
pub use group::Group;
pub use list::List;
pub use namespace::Namespace;
pub use nesting::bury;
pub use range::Range;

use minijinja::value::{Tuple, ValueKind};
use minijinja::{Error, Value};

use super::python;

/// A value whose lists and maps, at any depth, are [`List`]s and [`Dict`]s that nobody else holds.
pub fn own(value: &Value) -> Value {
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => List::copy(value.clone()),
        ValueKind::Map => Dict::copy(value.clone()),
        _ => value.clone(),
    }
}

/// The items of a list; `None` for anything else, as for a tuple.
pub fn list_items(value: &Value) -> Option<Vec<Value>> {
    if let Some(list) = value.downcast_object_ref::<List>() {
        return Some(list.items());
    }
    // A list that minijinja made, as a macro's arguments.
    value.downcast_object_ref::<Vec<Value>>().cloned()
}

/// The items of a tuple; `None` for anything else.
pub fn tuple_items(value: &Value) -> Option<Vec<Value>> {
    if let Some(group) = value.downcast_object_ref::<Group>() {
        return Some(group.items().to_vec());
    }
    value
        .downcast_object_ref::<Tuple>()
        .map(|tuple| tuple.to_vec())
}

/// A tuple. One that is nested too deeply is an invalid value, which [`valid`] refuses.
pub fn tuple(items: Vec<Value>) -> Value {
    match nesting::is_bounded(&items) {
        true => Value::from(Tuple::from(items)),
        false => Value::from(too_deep()),
    }
}

fn too_deep() -> Error {
    python::refuse("this value is nested too deeply")
}

/// Refuses a value that could not be made.
pub fn valid(value: Value) -> Result<Value, Error> {
    match value.kind() {
        ValueKind::Invalid => Err(too_deep()),
        _ => Ok(value),
    }
}

/// What the value is, in a word for the reader, with its article.
pub fn kind(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::Undefined => "undefined",
        ValueKind::None => "none",
        ValueKind::Bool => "a boolean",
        ValueKind::Number if value.is_integer() => "an integer",
        ValueKind::Number => "a float",
        ValueKind::String | ValueKind::Bytes => "a string",
        ValueKind::Map if value.downcast_object_ref::<Dict>().is_some() => "a dictionary",
        ValueKind::Map if value.to_string().starts_with("<macro ") => "a macro",
        ValueKind::Map => "an object",
        ValueKind::Seq if tuple_items(value).is_some() => "a tuple",
        ValueKind::Seq if value.downcast_object_ref::<Range>().is_some() => "a range",
        ValueKind::Seq => "a list",
        ValueKind::Iterable => "an iterator",
        ValueKind::Plain if value.downcast_object_ref::<Namespace>().is_some() => "a namespace",
        _ => "an object",
    }
}
