//! Python's ways with values: how they print, compare, add up and are formatted.

mod arguments;
mod braces;
mod compare;
pub mod methods;
mod number;
mod percent;
mod print;
mod slice;
mod spec;

pub use arguments::Arguments;
pub use braces::format as format_braces;
pub use compare::{contains, hashable, order};
pub use number::{Number, float_text};
pub use percent::format as format_percent;
pub use print::{print, repr, text};
pub use slice::{bounds, slice};

use minijinja::{Error, ErrorKind, State, Value};

use super::value::{self, Dict, Generator};

/// The longest text that a template may make.
pub const LONGEST: usize = 64 << 20;

/// The longest list.
const MOST: usize = LONGEST / 8;

/// How many bytes or items cost as much as one instruction.
const PER_FUEL: usize = 64;

/// An error about something that a template does.
pub fn refuse(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

/// Counts work as steps of the template.
pub fn work(state: &State, size: usize) -> Result<(), Error> {
    state.consume_fuel((size / PER_FUEL) as u64)
}

/// Refuses a text that would be longer than any template needs, before it is made, and counts the work.
pub fn afford(state: &State, length: usize) -> Result<(), Error> {
    match length > LONGEST {
        true => Err(refuse(format!(
            "the text would be longer than {} MiB",
            LONGEST >> 20
        ))),
        false => work(state, length),
    }
}

/// The same for a list.
pub fn afford_items(state: &State, length: usize) -> Result<(), Error> {
    match length > MOST {
        true => Err(refuse(format!(
            "the list would be longer than {MOST} items"
        ))),
        false => work(state, length.saturating_mul(16)),
    }
}

/// Adds to a text, within the same bounds.
pub fn put(state: &State, out: &mut String, text: &str) -> Result<(), Error> {
    if out.len() + text.len() > LONGEST {
        afford(state, out.len() + text.len())?;
    }
    work(state, text.len())?;
    out.push_str(text);
    Ok(())
}

/// The items of anything that can be gone over, as Python's `list()`.
pub fn items(state: &State, value: &Value) -> Result<Vec<Value>, Error> {
    if value.is_none() {
        return Err(refuse("none cannot be gone over"));
    }
    let items = if let Some(generator) = value.downcast_object_ref::<Generator>() {
        generator.take_all()
    } else {
        let iter = value
            .try_iter()
            .map_err(|_| refuse(format!("{} cannot be gone over", value::kind(value))))?;
        if let Some(length) = value.len() {
            afford_items(state, length)?;
        }
        iter.checked().collect::<Result<_, _>>()?
    };
    work(state, items.len().saturating_mul(16))?;
    Ok(items)
}

/// The pairs of a dictionary, or of any other map.
pub fn pairs(value: &Value) -> Option<Vec<(Value, Value)>> {
    if let Some(dict) = value.downcast_object_ref::<Dict>() {
        return Some(dict.pairs());
    }
    let object = value.as_object()?;
    match object.repr() {
        minijinja::value::ObjectRepr::Map => Some(object.try_iter_pairs()?.collect()),
        _ => None,
    }
}

/// How many items there are, for what has a length.
pub fn length(value: &Value) -> Option<usize> {
    match value.as_str() {
        Some(text) => Some(text.chars().count()),
        None => value.len(),
    }
}
