//! The functions that operators and literals are written as.

use std::cmp::Ordering;
use std::sync::Arc;

use indexmap::IndexMap;
use minijinja::value::{Kwargs, Object, Rest};
use minijinja::{AutoEscape, Environment, Error, State, Value};

use super::filters::escape;
use super::python::{
    Number, afford, afford_items, contains, format_percent, hashable, order, put, refuse, slice,
    text,
};
use super::value::{Dict, List, Namespace, bury, kind, list_items, tuple, tuple_items, valid};

/// Adds the functions.
pub fn add_to(environment: &mut Environment<'static>) {
    environment.add_function("py__list", |items: &Value| {
        List::value(list_items(items).unwrap_or_default())
    });
    environment.add_function("py__tuple", |items: Value| {
        valid(tuple(tuple_items(&items).unwrap_or_default()))
    });
    environment.add_function("py__dict", |items: &Value| dict(items));
    environment.add_function("py__drop", |_: Value| Value::from(()));
    environment.add_function("py__sum", |state: &State, args: Rest<Value>| {
        chain(state, &args, sum)
    });
    environment.add_function("py__product", |state: &State, args: Rest<Value>| {
        chain(state, &args, product)
    });
    environment.add_function("py__power", |args: Rest<Value>| {
        let (first, rest) = args.split_first().ok_or_else(nothing)?;
        rest.iter()
            .try_fold(first.clone(), |left, right| numbers(&left, "**", right))
    });
    environment.add_function("py__join", |state: &State, args: Rest<Value>| {
        join(state, &args)
    });
    environment.add_function("py__compare", |state: &State, args: Rest<Value>| {
        compare(state, &args)
    });
    environment.add_function("py__sign", |sign: &str, value: Value| {
        let number = Number::of(&value)
            .ok_or_else(|| refuse(format!("`{sign}` takes a number, not {}", kind(&value))))?;
        match sign {
            "-" => Ok(match number {
                Number::Float(number) => Value::from(-number),
                number => Number::Integer(0).calculate("-", number)?.value(),
            }),
            _ => Ok(number.value()),
        }
    });
    environment.add_function(
        "py__slice",
        |state: &State, value: Value, start: Value, stop: Value, step: Value| {
            slice(state, &value, &[start, stop, step])
        },
    );
    environment.add_function(
        "py__set",
        |namespace: Value, text: &str, name: &str, value: Value| {
            match namespace.downcast_object_ref::<Namespace>() {
                Some(namespace) => namespace.set(name, value),
                None => {
                    return Err(refuse(format!(
                        "`{text}` is {}: only what `namespace()` gives has attributes to set",
                        kind(&namespace)
                    )));
                }
            }
            Ok(Value::from(()))
        },
    );
    environment.add_function("py__variadic", |inner: Value, names: Vec<String>| {
        Value::from_object(Variadic { inner, names })
    });
    environment.add_function("py__isolated", |state: &State, name: Value| {
        isolated(state, &name)
    });
}

fn nothing() -> Error {
    refuse("there is nothing to reckon with")
}

/// Marks the names of templates that are imported without context.
pub const ISOLATED: &str = "\u{1}";

fn isolated(state: &State, name: &Value) -> Result<Value, Error> {
    match name.as_str() {
        Some(name) => Ok(Value::from(format!("{name}{ISOLATED}"))),
        None => {
            // Of a list, the first that is there.
            let names = super::python::items(state, name)?;
            for name in &names {
                if let Some(name) = name.as_str()
                    && state.get_template(name).is_ok()
                {
                    return Ok(Value::from(format!("{name}{ISOLATED}")));
                }
            }
            Err(refuse("none of these templates is there"))
        }
    }
}

/// Keys and values in turn.
fn dict(items: &Value) -> Result<Value, Error> {
    let items = list_items(items).unwrap_or_default();
    let mut map = IndexMap::with_capacity(items.len() / 2);
    for pair in items.chunks_exact(2) {
        hashable(&pair[0])?;
        map.insert(pair[0].clone(), pair[1].clone());
    }
    Ok(Dict::value(map))
}

type Operation = fn(&State, &Value, &str, &Value) -> Result<Value, Error>;

/// A value, and then operators and values in turn, from the left.
fn chain(state: &State, args: &[Value], operation: Operation) -> Result<Value, Error> {
    let (first, rest) = args.split_first().ok_or_else(nothing)?;
    let mut left = first.clone();
    for pair in rest.chunks_exact(2) {
        left = operation(state, &left, pair[0].as_str().unwrap_or(""), &pair[1])?;
    }
    Ok(left)
}

fn numbers(left: &Value, operator: &str, right: &Value) -> Result<Value, Error> {
    match (Number::of(left), Number::of(right)) {
        (Some(left), Some(right)) => Ok(left.calculate(operator, right)?.value()),
        _ => Err(refuse(format!(
            "`{operator}` does not take {} and {}{}",
            kind(left),
            kind(right),
            match (operator, left.as_str().or(right.as_str())) {
                ("+", Some(_)) => "; `~` joins anything as text",
                _ => "",
            }
        ))),
    }
}

/// `left + right`, and `-` of numbers.
pub fn sum(state: &State, left: &Value, operator: &str, right: &Value) -> Result<Value, Error> {
    if operator != "+" {
        return numbers(left, operator, right);
    }
    if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
        afford(state, a.len() + b.len())?;
        return Ok(match (left.is_safe(), right.is_safe()) {
            (false, false) => Value::from(format!("{a}{b}")),
            (true, true) => Value::from_safe_string(format!("{a}{b}")),
            (true, false) => Value::from_safe_string(format!("{a}{}", escape(b))),
            (false, true) => Value::from_safe_string(format!("{}{b}", escape(a))),
        });
    }
    let both = |left: Option<Vec<Value>>, right: Option<Vec<Value>>| {
        let (mut left, right) = left.zip(right)?;
        left.extend(right);
        Some(left)
    };
    if let Some(items) = both(list_items(left), list_items(right)) {
        afford_items(state, items.len())?;
        return Ok(List::value(items));
    }
    if let Some(items) = both(tuple_items(left), tuple_items(right)) {
        afford_items(state, items.len())?;
        return valid(tuple(items));
    }
    numbers(left, operator, right)
}

fn product(state: &State, left: &Value, operator: &str, right: &Value) -> Result<Value, Error> {
    match (operator, left.as_str()) {
        ("%", Some(pattern)) => Ok(Value::from(format_percent(state, pattern, right)?)),
        ("*", _) => match repeated(state, left, right)? {
            Some(value) => Ok(value),
            None => match repeated(state, right, left)? {
                Some(value) => Ok(value),
                None => numbers(left, operator, right),
            },
        },
        _ => numbers(left, operator, right),
    }
}

/// A string, a list or a tuple so many times.
fn repeated(state: &State, value: &Value, times: &Value) -> Result<Option<Value>, Error> {
    let times = match Number::of(times) {
        Some(Number::Integer(times)) => usize::try_from(times.max(0)).unwrap_or(usize::MAX),
        _ => return Ok(None),
    };
    if let Some(text) = value.as_str() {
        afford(state, text.len().saturating_mul(times))?;
        return Ok(Some(Value::from(text.repeat(times))));
    }
    let again = |items: Vec<Value>| {
        afford_items(state, items.len().saturating_mul(times))?;
        let length = items.len() * times;
        Ok::<_, Error>(items.into_iter().cycle().take(length).collect())
    };
    if let Some(items) = list_items(value) {
        return Ok(Some(List::value(again(items)?)));
    }
    match tuple_items(value) {
        Some(items) => Ok(Some(valid(tuple(again(items)?))?)),
        None => Ok(None),
    }
}

/// `a ~ b`. Where escaping is on, a safe string makes the others safe.
fn join(state: &State, args: &[Value]) -> Result<Value, Error> {
    let escaping = !matches!(state.auto_escape(), AutoEscape::None);
    let safe = escaping && args.iter().any(Value::is_safe);
    let mut out = String::new();
    for value in args {
        let text = text(value)?;
        match safe && !value.is_safe() {
            true => put(state, &mut out, &escape(&text))?,
            false => put(state, &mut out, &text)?,
        }
    }
    Ok(match safe {
        true => Value::from_safe_string(out),
        false => Value::from(out),
    })
}

/// `a < b <= c` and its like.
fn compare(state: &State, args: &[Value]) -> Result<Value, Error> {
    let (first, rest) = args.split_first().ok_or_else(nothing)?;
    let mut left = first;
    for pair in rest.chunks_exact(2) {
        let right = &pair[1];
        if !compared(state, left, pair[0].as_str().unwrap_or(""), right)? {
            return Ok(Value::from(false));
        }
        left = right;
    }
    Ok(Value::from(true))
}

/// One comparison.
pub fn compared(state: &State, left: &Value, operator: &str, right: &Value) -> Result<bool, Error> {
    Ok(match operator {
        "==" => left == right,
        "!=" => left != right,
        "in" => contains(state, right, left)?,
        "not in" => !contains(state, right, left)?,
        _ => match order(left, right)? {
            None => false,
            Some(ordering) => match operator {
                "<" => ordering == Ordering::Less,
                "<=" => ordering != Ordering::Greater,
                ">" => ordering == Ordering::Greater,
                _ => ordering != Ordering::Less,
            },
        },
    })
}

/// A macro that takes any arguments: what it has no name for comes to it as `varargs` and `kwargs`.
#[derive(Debug)]
struct Variadic {
    inner: Value,
    names: Vec<String>,
}

impl Drop for Variadic {
    fn drop(&mut self) {
        bury([std::mem::take(&mut self.inner)]);
    }
}

impl Object for Variadic {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "arguments" => Some(tuple(self.names.iter().map(Value::from).collect())),
            _ => self.inner.get_item(key).ok(),
        }
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let (positional, named) = match args.split_last() {
            Some((last, positional)) if last.is_kwargs() => (positional, Some(last)),
            _ => (args, None),
        };
        let own = positional.len().min(self.names.len());
        let (own, more) = positional.split_at(own);
        let mut given: Vec<(String, Value)> = Vec::new();
        let mut others = IndexMap::new();
        if let Some(named) = named {
            let named = Kwargs::try_from(named.clone())?;
            for name in named.args() {
                let value: Value = named.peek(name)?;
                match name == "caller" || self.names.iter().any(|own| own == name) {
                    true => given.push((name.to_owned(), value)),
                    false => {
                        others.insert(Value::from(name), value);
                    }
                }
            }
        }
        given.push(("varargs".to_owned(), tuple(more.to_vec())));
        given.push(("kwargs".to_owned(), Dict::value(others)));
        let mut args = own.to_vec();
        args.push(Value::from(Kwargs::from_iter(given)));
        self.inner.call(state, &args)
    }

    fn render(self: &Arc<Self>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.inner)
    }
}
