//! Filters that choose and change items, and what stands in for what is missing.

use minijinja::{Error, ErrorKind, State, Value};

use super::{Attribute, Call, Filter, defined, needed};
use crate::template::python::{Arguments, items, refuse};
use crate::template::value::{Dict, Generator, List};

pub const FILTERS: &[(&str, Filter)] = &[
    ("map", map),
    ("select", select),
    ("reject", reject),
    ("selectattr", selectattr),
    ("rejectattr", rejectattr),
    ("attr", attr),
    ("default", default),
    ("d", default),
];

fn map(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    let mut mapped = Vec::new();
    match call.args {
        // As in Jinja2: nothing for what is none or 0, too.
        [_, ..] if !value.is_true() => {}
        // Only names: `attribute=` and `default=`.
        [named] if named.is_kwargs() => {
            let arguments = Arguments::bind("map", &["attribute", "default"], call.args)?;
            let attribute = Attribute::new(Some(arguments.required(0)?), arguments.some(1))?;
            for item in items(state, value)? {
                mapped.push(attribute.of(&item)?);
            }
        }
        [filter, rest @ ..] => {
            let name = filter
                .as_str()
                .ok_or_else(|| refuse("`map` takes the name of a filter"))?;
            for item in items(state, value)? {
                if !matches!(name, "default" | "d") {
                    defined(state, &item, "an item")?;
                }
                let args: Vec<Value> = std::iter::once(item).chain(rest.iter().cloned()).collect();
                let changed = state.apply_filter(name, &args);
                mapped.push(changed.map_err(|error| with_name(error, "filter", name))?);
            }
        }
        [] => return Err(refuse("`map` needs a filter or an `attribute`")),
    }
    Ok(Generator::value("sync_do_map", mapped))
}

/// The error about a filter or a test that is not there has no name in it where it is called by its name.
fn with_name(error: Error, what: &str, name: &str) -> Error {
    match error.kind() {
        ErrorKind::UnknownFilter | ErrorKind::UnknownTest => {
            Error::new(error.kind(), format!("{what} {name} is unknown"))
        }
        _ => error,
    }
}

fn select(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    chosen(state, value, None, call.args, true)
        .map(|items| Generator::value("sync_do_select", items))
}

fn reject(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    chosen(state, value, None, call.args, false)
        .map(|items| Generator::value("sync_do_reject", items))
}

fn selectattr(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    let (attribute, args) = attribute_of(call)?;
    chosen(state, value, Some(&attribute), args, true)
        .map(|items| Generator::value("sync_do_selectattr", items))
}

fn rejectattr(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    let (attribute, args) = attribute_of(call)?;
    chosen(state, value, Some(&attribute), args, false)
        .map(|items| Generator::value("sync_do_rejectattr", items))
}

fn attribute_of<'a>(call: &'a Call) -> Result<(Attribute, &'a [Value]), Error> {
    match call.args {
        [attribute, args @ ..] if !attribute.is_kwargs() => {
            Ok((Attribute::new(Some(attribute), None)?, args))
        }
        _ => Err(refuse(format!("`{}` needs an attribute", call.name))),
    }
}

/// The items that pass a test, or those that do not.
fn chosen(
    state: &mut State,
    value: &Value,
    attribute: Option<&Attribute>,
    args: &[Value],
    wanted: bool,
) -> Result<Vec<Value>, Error> {
    let mut chosen = Vec::new();
    if !value.is_true() {
        return Ok(chosen);
    }
    for item in items(state, value)? {
        let tested = match attribute {
            Some(attribute) => attribute.of(&item)?,
            None => item.clone(),
        };
        let passes = match args {
            [] => {
                defined(state, &tested, "an item's attribute")?;
                tested.is_true()
            }
            [test, rest @ ..] => {
                let test = test
                    .as_str()
                    .ok_or_else(|| refuse("a test is given by its name"))?;
                let args: Vec<Value> = std::iter::once(tested)
                    .chain(rest.iter().cloned())
                    .collect();
                let passes = state.perform_test(test, &args);
                passes.map_err(|error| with_name(error, "test", test))?
            }
        };
        if passes == wanted {
            chosen.push(item);
        }
    }
    Ok(chosen)
}

/// An attribute and never an item, of which only minijinja's own objects have any.
fn attr(_: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    let name = call.bind(&["name"])?.string(0)?;
    needed(value)?;
    let has_items = value.downcast_object_ref::<Dict>().is_some()
        || value.downcast_object_ref::<List>().is_some();
    Ok(match has_items {
        true => Value::UNDEFINED,
        false => {
            crate::template::lookup::inside(value, &Value::from(name)).unwrap_or(Value::UNDEFINED)
        }
    })
}

fn default(_: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    let arguments = call.bind(&["default_value", "boolean"])?;
    Ok(
        match value.is_undefined() || (arguments.flag(1) && !value.is_true()) {
            true => arguments.optional(0).cloned().unwrap_or(Value::from("")),
            false => value.clone(),
        },
    )
}
