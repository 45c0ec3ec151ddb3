//! What is there in place of what is not: where a name, an attribute or an item was looked for in vain.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Object, ValueKind};

use super::functions;
use super::value::{Dict, kind};
use crate::diagnostic::{names, nearest};

thread_local! {
    /// By what was looked for, the list or dictionary that lacked it last.
    static MISSED: RefCell<HashMap<Value, Value>> = RefCell::default();
}

/// More than these are forgotten.
const MOST: usize = 1000;

/// What was found under a key, and where that is nothing, remembers it. Most is looked for to see whether it is there, so
/// this is short.
pub fn recorded<T: Object + 'static>(
    found: Option<Value>,
    key: &Value,
    of: &Arc<T>,
) -> Option<Value> {
    if found.is_none() && key.as_object().is_none() {
        let container = Value::from_dyn_object(of.clone());
        // What is forgotten is dropped later: it may hold what records something here.
        let forgotten = MISSED.try_with(|missed| {
            let mut missed = missed.try_borrow_mut().ok()?;
            let all = (missed.len() > MOST).then(|| std::mem::take(&mut *missed));
            Some((missed.insert(key.clone(), container), all))
        });
        drop(forgotten);
    }
    found
}

/// Forgets all.
pub fn forget() {
    drop(MISSED.take());
}

/// The error about an expression that gives nothing, as minijinja describes it, with what is there instead: in the context,
/// or among the names that the template sets itself.
pub fn explain(expression: &str, context: &Value, set: &[&str]) -> (String, Option<String>) {
    match last_step(expression) {
        Some((base, key)) => missing_key(base, &key, set),
        None => missing_name(expression, context, set),
    }
}

/// `guest.name` as `guest` and `name`, `guests[3]` as `guests` and 3.
fn last_step(expression: &str) -> Option<(&str, Value)> {
    let Some(open) = expression.strip_suffix(']') else {
        let (base, name) = expression.rsplit_once('.')?;
        return Some((base, Value::from(name)));
    };
    let (base, key) = open.rsplit_once('[')?;
    let quotes = |quote| key.strip_prefix(quote)?.strip_suffix(quote);
    let key = match (quotes('\'').or(quotes('"')), key.parse::<i64>()) {
        (Some(text), _) => Value::from(text),
        (None, Ok(number)) => Value::from(number),
        (None, Err(_)) => Value::UNDEFINED,
    };
    Some((base, key))
}

fn missing_key(base: &str, key: &Value, set: &[&str]) -> (String, Option<String>) {
    let path = match base {
        "(...)" => "what is before it".to_owned(),
        base => format!("`{base}`"),
    };
    let what = match key.as_str() {
        Some(name) => format!("`{name}`"),
        None if key.is_undefined() => "such item".to_owned(),
        None => format!("item {key:?}"),
    };
    let without = format!("{path} has no {what}");
    let Some(container) = MISSED.with_borrow(|missed| missed.get(key).cloned()) else {
        let asks = "is it from a loop over a map, which gives its keys? then write";
        let hint = format!("{asks} `for key, {base} in MAP.items()`");
        return (without, set.contains(&base).then_some(hint));
    };
    if container.kind() != ValueKind::Map {
        let (length, kind) = (container.len().unwrap_or(0), kind(&container));
        let message = format!("{path} is {kind} of length {length}: it has no {what}");
        return (message, None);
    }
    let known = keys(&container);
    if known.is_empty() {
        return (format!("{without}: it is empty"), None);
    }
    let list: Vec<&str> = known.iter().map(String::as_str).collect();
    let has = format!("it has {}", names(&list));
    let near = nearest(key.as_str().unwrap_or(""), list.iter().copied());
    let hint = near.map_or(has.clone(), |near| format!("{near} {has}"));
    (without, Some(hint))
}

fn keys(container: &Value) -> Vec<String> {
    let pairs = container.downcast_object_ref::<Dict>().map(Dict::now);
    pairs
        .unwrap_or_default()
        .keys()
        .map(Value::to_string)
        .collect()
}

fn missing_name(name: &str, context: &Value, set: &[&str]) -> (String, Option<String>) {
    let mut known = keys(context);
    known.sort();
    let list: Vec<&str> = known.iter().map(String::as_str).collect();
    let more = set.iter().copied().chain(functions::NAMES.split(' '));
    let all = list.iter().copied().chain(more);
    let hint = match nearest(name, all.filter(|other| *other != name)) {
        None if list.is_empty() => None,
        None => Some(format!("there is {}", names(&list))),
        near => near,
    };
    (format!("`{name}` is not set"), hint)
}
