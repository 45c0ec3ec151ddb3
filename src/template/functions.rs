//! What templates call by name: functions, filters and tests, where minijinja has them otherwise than Jinja2.

use indexmap::IndexMap;
use minijinja::value::{Rest, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, State, Value, functions};
use minijinja_contrib::globals;

use super::methods;
use super::value::{self, Dict, List, hashable, kind, refuse};

/// The names of functions, for hints.
pub const NAMES: &str = "cycler dict joiner namespace range";

/// Arguments with and without names.
pub type Args = Rest<ValueOrKwargs>;

/// Adds the functions.
pub fn add_to(environment: &mut Environment<'static>) {
    environment.add_function("py__list", |items: Vec<Value>| List::value(items));
    environment.add_function("py__dict", |items: Vec<Value>| {
        let mut map = IndexMap::with_capacity(items.len() / 2);
        for pair in items.chunks_exact(2) {
            hashable(&pair[0])?;
            map.insert(pair[0].clone(), pair[1].clone());
        }
        Ok::<_, Error>(Dict::value(map))
    });
    environment.add_function("dict", |state: &mut State, args: Args| {
        dict(state, &args.into_values())
    });
    environment.add_function("namespace", |state: &mut State, args: Args| {
        functions::namespace(Some(dict(state, &args.into_values())?.into()))
    });
    environment.add_function("cycler", |state: &State, items: Rest<Value>| {
        // One in another would be dropped by recursion.
        if let Some(other) = items.iter().find(|item| item.kind() == ValueKind::Plain) {
            return Err(refuse(format!("`cycler` does not take {}", kind(other))));
        }
        let kept = items.iter().map(|item| value::kept(state, item.clone()));
        globals::cycler(kept.collect::<Result<_, Error>>()?)
    });
    environment.add_function("joiner", |sep: Option<Value>| {
        match sep.as_ref().filter(|sep| sep.as_str().is_none()) {
            Some(other) => Err(refuse(format!(
                "`joiner` takes a string, not {}",
                kind(other)
            ))),
            None => Ok(globals::joiner(sep)),
        }
    });
    // It prints all that minijinja holds, not what Jinja2's extension of this name prints.
    environment.remove_global("debug");
}

fn dict(state: &mut State, args: &[Value]) -> Result<Value, Error> {
    let value = Dict::value(IndexMap::new());
    if let Some(dict) = value.downcast_object_ref::<Dict>() {
        methods::update(state, dict, args)?;
    }
    Ok(value)
}
