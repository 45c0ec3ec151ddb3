//! Which value comes first, and which are in which.

use std::cmp::Ordering;

use minijinja::{Error, State, Value};

use super::{Number, refuse, work};
use crate::template::value::{Dict, Generator, List, Range, View, kind, list_items, tuple_items};

/// How deep lists are compared.
const DEPTH: usize = 60;

/// The order of two values, as `<` has it; `None` where a float is not a number. Python refuses to order values of
/// different kinds.
pub fn order(left: &Value, right: &Value) -> Result<Option<Ordering>, Error> {
    order_at(left, right, 0)
}

fn order_at(left: &Value, right: &Value, depth: usize) -> Result<Option<Ordering>, Error> {
    if let (Some(left), Some(right)) = (Number::of(left), Number::of(right)) {
        return Ok(match (left, right) {
            (Number::Integer(left), Number::Integer(right)) => Some(left.cmp(&right)),
            _ => left.float().partial_cmp(&right.float()),
        });
    }
    if let (Some(left), Some(right)) = (left.as_str(), right.as_str()) {
        return Ok(Some(left.cmp(right)));
    }
    let items = match (list_items(left), list_items(right)) {
        (Some(left), Some(right)) => Some((left, right)),
        _ => tuple_items(left).zip(tuple_items(right)),
    };
    let Some((lefts, rights)) = items.filter(|_| depth < DEPTH) else {
        return Err(refuse(format!(
            "{} and {} have no order",
            kind(left),
            kind(right)
        )));
    };
    for (left, right) in lefts.iter().zip(&rights) {
        if left != right {
            return order_at(left, right, depth + 1);
        }
    }
    Ok(Some(lefts.len().cmp(&rights.len())))
}

/// Refuses what Python takes for no key: lists and dictionaries, which can change.
pub fn hashable(value: &Value) -> Result<(), Error> {
    let mutable = value.downcast_object_ref::<List>().is_some()
        || value.downcast_object_ref::<Dict>().is_some()
        || list_items(value).is_some();
    if mutable {
        return Err(refuse(format!(
            "{} can change, so it cannot be a key",
            kind(value)
        )));
    }
    tuple_items(value)
        .into_iter()
        .flatten()
        .try_for_each(|item| hashable(&item))
}

/// Whether `item in container`.
pub fn contains(state: &State, container: &Value, item: &Value) -> Result<bool, Error> {
    if let Some(text) = container.as_str() {
        let Some(part) = item.as_str() else {
            return Err(refuse(format!(
                "{} is never in a string; turn it into one with `|string`",
                kind(item)
            )));
        };
        return Ok(text.contains(part));
    }
    if let Some(dict) = container.downcast_object_ref::<Dict>() {
        hashable(item)?;
        return Ok(dict.get(item).is_some());
    }
    if let Some(range) = container.downcast_object_ref::<Range>() {
        return Ok(match Number::of(item) {
            Some(Number::Integer(number)) => range.contains(number),
            Some(Number::Float(number)) => number.fract() == 0.0 && range.contains(number as i128),
            None => false,
        });
    }
    if let Some(generator) = container.downcast_object_ref::<Generator>() {
        while let Some(next) = generator.take() {
            if next == *item {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    let items = match container.downcast_object_ref::<View>() {
        Some(view) => view.items(),
        None => match list_items(container).or_else(|| tuple_items(container)) {
            Some(items) => items,
            None if container.is_none() => {
                return Err(refuse("nothing is in none: this is no list"));
            }
            None => super::items(state, container)?,
        },
    };
    work(state, items.len().saturating_mul(16))?;
    Ok(items.iter().any(|candidate| candidate == item))
}
