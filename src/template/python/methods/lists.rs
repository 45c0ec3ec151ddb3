//! Methods of lists and tuples.

use std::cmp::Ordering;
use std::sync::Arc;

use minijinja::{Error, ErrorKind, State, Value};

use crate::template::python::{Arguments, afford_items, items, order, refuse, repr, work};
use crate::template::value::List;

pub const METHODS: [&str; 11] = [
    "append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse",
    "sort",
];

pub const TUPLE_METHODS: [&str; 2] = ["count", "index"];

/// Calls a method of a list.
pub fn list(
    state: &mut State,
    list: &Arc<List>,
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    let none = Ok(Value::from(()));
    let bind = |names: &'static [&'static str]| Arguments::bind(method, names, args);
    match method {
        "append" => {
            let item = bind(&["object"])?.required(0)?.clone();
            list.change(|items| items.push(item));
            none
        }
        "clear" => {
            bind(&[])?;
            let dropped = list.change(std::mem::take);
            drop(dropped);
            none
        }
        "copy" => {
            bind(&[])?;
            let copy = list.items();
            afford_items(state, copy.len())?;
            Ok(List::value(copy))
        }
        "extend" => {
            let more = items(state, bind(&["iterable"])?.required(0)?)?;
            afford_items(state, list.items().len() + more.len())?;
            list.change(|items| items.extend(more));
            none
        }
        "insert" => {
            let arguments = bind(&["index", "object"])?;
            let item = arguments.required(1)?.clone();
            let index = arguments.integer(0)?.unwrap_or(0);
            list.change(|items| {
                let at = place(index, items.len()).clamp(0, items.len() as i64);
                items.insert(usize::try_from(at).unwrap_or(0), item);
            });
            none
        }
        "pop" => {
            let index = bind(&["index"])?.integer(0)?.unwrap_or(-1);
            let taken = list.change(|items| {
                let at = usize::try_from(place(index, items.len())).ok()?;
                (at < items.len()).then(|| items.remove(at))
            });
            taken.ok_or_else(|| match list.items().len() {
                0 => refuse("there is nothing to pop: the list is empty"),
                length => refuse(format!("there is no item {index} to pop out of {length}")),
            })
        }
        "remove" => {
            let item = bind(&["value"])?.required(0)?.clone();
            let at = list.items().iter().position(|other| *other == item);
            let at = at.ok_or_else(|| not_in_list(&item))?;
            let dropped = list.change(|items| (at < items.len()).then(|| items.remove(at)));
            drop(dropped);
            none
        }
        "reverse" => {
            bind(&[])?;
            list.change(|items| items.reverse());
            none
        }
        "sort" => {
            let arguments = bind(&["reverse"])?;
            let mut items = list.items();
            sort(state, &mut items, arguments.flag(0), |_, item| {
                Ok(item.clone())
            })?;
            list.change(|old| *old = items);
            none
        }
        _ if TUPLE_METHODS.contains(&method) => {
            let items = list.items();
            tuple(state, &items, method, args)
        }
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

/// Calls a method that tuples have as well.
pub fn tuple(
    state: &mut State,
    items: &[Value],
    method: &str,
    args: &[Value],
) -> Result<Value, Error> {
    work(state, items.len())?;
    match method {
        "count" => {
            let arguments = Arguments::bind(method, &["value"], args)?;
            let item = arguments.required(0)?;
            Ok(Value::from(
                items.iter().filter(|other| *other == item).count(),
            ))
        }
        "index" => {
            let arguments = Arguments::bind(method, &["value", "start", "stop"], args)?;
            let item = arguments.required(0)?;
            let (start, stop) = (arguments.integer(1)?, arguments.integer(2)?);
            let bounds = crate::template::python::bounds(items.len(), start, stop);
            let (start, stop) = bounds.unwrap_or((0, 0));
            let at = (start..stop).find(|at| items[*at] == *item);
            at.map(Value::from).ok_or_else(|| not_in_list(item))
        }
        _ => Err(super::unknown(
            &crate::template::value::tuple(Vec::new()),
            method,
        )),
    }
}

fn not_in_list(item: &Value) -> Error {
    let item = repr(item).unwrap_or_default();
    refuse(format!("{item} is not in the list"))
}

fn place(index: i64, length: usize) -> i64 {
    match index < 0 {
        true => index.saturating_add(length as i64),
        false => index,
    }
}

/// Sorts by a key, and keeps the order of what is equal. Keys that have no order are refused.
pub fn sort(
    state: &mut State,
    items: &mut Vec<Value>,
    reverse: bool,
    key: impl Fn(&State, &Value) -> Result<Value, Error>,
) -> Result<(), Error> {
    work(state, items.len().saturating_mul(256))?;
    let mut keyed = Vec::with_capacity(items.len());
    for item in items.drain(..) {
        keyed.push((key(state, &item)?, item));
    }
    let mut problem = None;
    let mut compare = |left: &Value, right: &Value| match order(left, right) {
        Ok(ordering) => ordering.unwrap_or(Ordering::Equal),
        Err(error) => {
            problem.get_or_insert(error);
            Ordering::Equal
        }
    };
    match reverse {
        // Python reverses the comparison, not the result: equal items keep their order.
        true => keyed.sort_by(|(left, _), (right, _)| compare(right, left)),
        false => keyed.sort_by(|(left, _), (right, _)| compare(left, right)),
    }
    items.extend(keyed.into_iter().map(|(_, item)| item));
    match problem {
        Some(error) => Err(error),
        None => Ok(()),
    }
}
