//! The functions that every template has.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use indexmap::IndexMap;
use minijinja::value::{Object, ObjectRepr, Rest, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::python::{Arguments, Number, methods, refuse};
use super::value::{Dict, Namespace, Range, bury};

/// Their names.
pub const NAMES: [&str; 5] = ["cycler", "dict", "joiner", "namespace", "range"];

/// Adds them.
pub fn add_to(environment: &mut Environment<'static>) {
    environment.add_function("namespace", |state: &State, args: Rest<ValueOrKwargs>| {
        let dict = Dict::default();
        methods::update(state, &dict, &args.into_values())?;
        let mut values = IndexMap::new();
        for (key, value) in dict.pairs() {
            let name = key
                .as_str()
                .ok_or_else(|| refuse("the names of a namespace are strings"))?;
            values.insert(name.to_owned(), value);
        }
        Ok::<_, Error>(Namespace::value(values))
    });
    environment.add_function("dict", |state: &State, args: Rest<ValueOrKwargs>| {
        let dict = Dict::default();
        methods::update(state, &dict, &args.into_values())?;
        Ok::<_, Error>(Value::from_object(dict))
    });
    environment.add_function("range", range);
    environment.add_function("cycler", |items: Rest<Value>| match items.is_empty() {
        true => Err(refuse("`cycler` takes the values to choose from")),
        false => Ok(Value::from_object(Cycler {
            items: items.0,
            at: AtomicUsize::new(0),
        })),
    });
    environment.add_function("joiner", |args: Rest<ValueOrKwargs>| {
        let args = args.into_values();
        let arguments = Arguments::bind("joiner", &["sep"], &args)?;
        Ok::<_, Error>(Value::from_object(Joiner {
            separator: arguments.optional(0).cloned().unwrap_or(Value::from(", ")),
            used: AtomicBool::new(false),
        }))
    });
    // It prints all that minijinja holds, not what Jinja2's extension of this name prints.
    environment.remove_global("debug");
}

fn range(args: Rest<Value>) -> Result<Value, Error> {
    let numbers: Option<Vec<i64>> = args
        .iter()
        .map(|value| match Number::of(value) {
            Some(Number::Integer(number)) => i64::try_from(number).ok(),
            _ => None,
        })
        .collect();
    let (start, stop, step) = match numbers.as_deref() {
        Some([stop]) => (0, *stop, 1),
        Some([start, stop]) => (*start, *stop, 1),
        Some([_, _, 0]) => return Err(refuse("the step of `range` cannot be 0")),
        Some([start, stop, step]) => (*start, *stop, *step),
        _ => return Err(refuse("`range` takes one to three integers")),
    };
    Ok(Value::from_object(Range { start, stop, step }))
}

/// Values in turn, again and again.
#[derive(Debug)]
struct Cycler {
    items: Vec<Value>,
    at: AtomicUsize,
}

impl Drop for Cycler {
    fn drop(&mut self) {
        bury(std::mem::take(&mut self.items));
    }
}

impl Object for Cycler {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "current" => self.items.get(self.at.load(Ordering::Relaxed)).cloned(),
            "pos" => Some(Value::from(self.at.load(Ordering::Relaxed))),
            _ => None,
        }
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        match method {
            "next" => {
                Arguments::bind(method, &[], args)?;
                let at = self.at.load(Ordering::Relaxed);
                self.at
                    .store((at + 1) % self.items.len(), Ordering::Relaxed);
                Ok(self.items[at].clone())
            }
            "reset" => {
                Arguments::bind(method, &[], args)?;
                self.at.store(0, Ordering::Relaxed);
                Ok(Value::from(()))
            }
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<cycler>")
    }
}

/// Nothing at its first call, and a separator at all others.
#[derive(Debug)]
struct Joiner {
    separator: Value,
    used: AtomicBool,
}

impl Drop for Joiner {
    fn drop(&mut self) {
        bury([std::mem::take(&mut self.separator)]);
    }
}

impl Object for Joiner {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        Arguments::bind("joiner", &[], args)?;
        Ok(match self.used.swap(true, Ordering::Relaxed) {
            true => self.separator.clone(),
            false => Value::from(""),
        })
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<joiner>")
    }
}
