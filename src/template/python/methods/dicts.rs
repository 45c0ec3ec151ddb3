//! Methods of dictionaries.

use std::sync::Arc;

use minijinja::{Error, ErrorKind, State, Value};

use crate::template::lookup::is_strict;
use crate::template::python::arguments::split;
use crate::template::python::{Arguments, afford_items, hashable, items, pairs, refuse, repr};
use crate::template::value::{Dict, View, ViewKind, list_items, tuple, tuple_items};

pub const METHODS: [&str; 11] = [
    "clear",
    "copy",
    "get",
    "items",
    "keys",
    "pop",
    "popitem",
    "setdefault",
    "update",
    "values",
    "iteritems",
];

/// Calls a method of a dictionary.
pub fn dict(
    state: &mut State,
    dict: &Arc<Dict>,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    let bind = |names: &'static [&'static str]| Arguments::bind(method, names, args);
    let view = |kind| {
        bind(&[])?;
        Ok(View::value(dict, kind))
    };
    match method {
        // Python 2 has both, and templates that are old enough use the second ones.
        "keys" | "iterkeys" | "viewkeys" => view(ViewKind::Keys),
        "values" | "itervalues" | "viewvalues" => view(ViewKind::Values),
        "items" | "iteritems" | "viewitems" => view(ViewKind::Items),
        "has_key" => {
            let arguments = bind(&["key"])?;
            Ok(Value::from(dict.get(arguments.required(0)?).is_some()))
        }
        "get" => {
            let arguments = bind(&["key", "default"])?;
            let key = key(state, &arguments)?;
            let default = || arguments.optional(1).cloned().unwrap_or(Value::from(()));
            Ok(dict.get(key).unwrap_or_else(default))
        }
        "setdefault" => {
            let arguments = bind(&["key", "default"])?;
            let key = key(state, &arguments)?.clone();
            let default = arguments.optional(1).cloned().unwrap_or(Value::from(()));
            Ok(dict.change(|map| map.entry(key).or_insert(default).clone()))
        }
        "pop" => {
            let arguments = bind(&["key", "default"])?;
            let key = key(state, &arguments)?;
            let taken = dict.change(|map| map.shift_remove(key));
            match taken.or_else(|| arguments.optional(1).cloned()) {
                Some(value) => Ok(value),
                None => Err(refuse(format!("there is no {} to pop", repr(key)?))),
            }
        }
        "popitem" => {
            bind(&[])?;
            match dict.change(|map| map.pop()) {
                Some((key, value)) => Ok(tuple(vec![key, value])),
                None => Err(refuse("there is nothing to pop: the dictionary is empty")),
            }
        }
        "update" => {
            update(state, dict, args)?;
            Ok(Value::from(()))
        }
        "copy" => {
            bind(&[])?;
            let copy = dict.pairs();
            afford_items(state, copy.len())?;
            Ok(Dict::value(copy.into_iter().collect()))
        }
        "clear" => {
            bind(&[])?;
            let dropped = dict.change(std::mem::take);
            drop(dropped);
            Ok(Value::from(()))
        }
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

fn key<'a>(state: &State, arguments: &'a Arguments) -> Result<&'a Value, Error> {
    let key = arguments.required(0)?;
    if key.is_undefined() && is_strict(state) {
        return Err(refuse("the key is undefined"));
    }
    hashable(key)?;
    Ok(key)
}

/// Takes over another dictionary, or pairs, and named arguments.
pub fn update(state: &State, dict: &Dict, args: &[Value]) -> Result<(), Error> {
    let (positional, named) = split(args)?;
    let more = match positional {
        [] => Vec::new(),
        [one] => match pairs(one) {
            Some(pairs) => pairs,
            None => items(state, one)?
                .iter()
                .map(
                    |item| match list_items(item).or_else(|| tuple_items(item)) {
                        Some(pair) => match <[Value; 2]>::try_from(pair) {
                            Ok([key, value]) => Ok((key, value)),
                            Err(items) => Err(refuse(format!(
                                "a dictionary is made of pairs, not of {} items",
                                items.len()
                            ))),
                        },
                        None => Err(refuse("a dictionary is made of pairs")),
                    },
                )
                .collect::<Result<_, _>>()?,
        },
        _ => return Err(refuse("a dictionary takes one other, and named values")),
    };
    afford_items(state, more.len().saturating_mul(2))?;
    for (key, _) in &more {
        hashable(key)?;
    }
    let named = named
        .into_iter()
        .map(|(name, value)| (Value::from(name), value));
    dict.change(|map| map.extend(more.into_iter().chain(named)));
    Ok(())
}
