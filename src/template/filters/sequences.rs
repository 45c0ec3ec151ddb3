//! Filters of lists and their like.

use indexmap::IndexSet;
use minijinja::{Error, State, Value};

use super::{Attribute, Call, Filter, text, without_case};
use crate::template::python::methods::sort;
use crate::template::python::{self, afford_items, hashable, items, order, pairs, put, refuse};
use crate::template::value::{Generator, Group, List, Range, kind, tuple, valid};

pub const FILTERS: &[(&str, Filter)] = &[
    ("first", first),
    ("last", last),
    ("length", length),
    ("count", length),
    ("list", list),
    ("reverse", reverse),
    ("sort", sorted),
    ("unique", unique),
    ("min", smallest),
    ("max", largest),
    ("sum", sum),
    ("join", join),
    ("batch", batch),
    ("slice", slice),
    ("items", pairs_of),
    ("dictsort", dictsort),
    ("groupby", groupby),
];

fn first(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    call.bind(&[])?;
    if let Some(generator) = value.downcast_object_ref::<Generator>() {
        return Ok(generator.take().unwrap_or(Value::UNDEFINED));
    }
    if let Some(range) = value.downcast_object_ref::<Range>() {
        return Ok(range.at(0).map_or(Value::UNDEFINED, Value::from));
    }
    let items = items(state, value)?;
    Ok(items.into_iter().next().unwrap_or(Value::UNDEFINED))
}

fn last(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    call.bind(&[])?;
    if value.downcast_object_ref::<Generator>().is_some() {
        return Err(refuse("an iterator has no last item; put `|list` before"));
    }
    if let Some(range) = value.downcast_object_ref::<Range>() {
        let last = range.len().checked_sub(1).and_then(|at| range.at(at));
        return Ok(last.map_or(Value::UNDEFINED, Value::from));
    }
    let items = items(state, value)?;
    Ok(items.into_iter().next_back().unwrap_or(Value::UNDEFINED))
}

fn length(_: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    call.bind(&[])?;
    match python::length(value) {
        Some(length) => Ok(Value::from(length)),
        None if value.is_undefined() => Ok(Value::from(0)),
        None => Err(refuse(format!(
            "{} has no length{}",
            kind(value),
            match value.downcast_object_ref::<Generator>() {
                Some(_) => "; put `|list` before",
                None => "",
            }
        ))),
    }
}

fn list(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    call.bind(&[])?;
    Ok(List::value(items(state, value)?))
}

fn reverse(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    call.bind(&[])?;
    if let Some(text) = value.as_str() {
        return Ok(Value::from(text.chars().rev().collect::<String>()));
    }
    let is_generator = value.downcast_object_ref::<Generator>().is_some();
    let mut items = items(state, value)?;
    items.reverse();
    Ok(match is_generator {
        true => List::value(items),
        false => Generator::value("list_reverseiterator", items),
    })
}

fn sorted(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    let arguments = call.bind(&["reverse", "case_sensitive", "attribute"])?;
    let (reverse, case) = (arguments.flag(0), arguments.flag(1));
    let attributes = Attribute::several(arguments.some(2))?;
    let mut items = items(state, value)?;
    sort(state, &mut items, reverse, |state, item| {
        let mut keys = Vec::with_capacity(attributes.len());
        for attribute in &attributes {
            let key = attribute.used(state, item)?;
            keys.push(if case { key } else { without_case(key) });
        }
        Ok(List::value(keys))
    })?;
    Ok(List::value(items))
}

fn unique(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    let arguments = call.bind(&["case_sensitive", "attribute"])?;
    let attribute = Attribute::new(arguments.some(1), None)?;
    let mut seen = IndexSet::new();
    let mut kept = Vec::new();
    for item in items(state, value)? {
        let key = attribute.used(state, &item)?;
        let key = if arguments.flag(0) {
            key
        } else {
            without_case(key)
        };
        hashable(&key)?;
        if seen.insert(key) {
            kept.push(item);
        }
    }
    Ok(Generator::value("do_unique", kept))
}

fn smallest(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    extreme(state, value, call, std::cmp::Ordering::Less)
}

fn largest(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    extreme(state, value, call, std::cmp::Ordering::Greater)
}

fn extreme(
    state: &mut State,
    value: &Value,
    call: &Call,
    wanted: std::cmp::Ordering,
) -> Result<Value, Error> {
    let arguments = call.bind(&["case_sensitive", "attribute"])?;
    let attribute = Attribute::new(arguments.some(1), None)?;
    let mut best: Option<(Value, Value)> = None;
    for item in items(state, value)? {
        let key = attribute.of(&item)?;
        let key = if arguments.flag(0) {
            key
        } else {
            without_case(key)
        };
        let better = match &best {
            None => true,
            Some((_, other)) => order(&key, other)? == Some(wanted),
        };
        if better {
            best = Some((item, key));
        }
    }
    Ok(best.map_or(Value::UNDEFINED, |(item, _)| item))
}

fn sum(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    let arguments = call.bind(&["attribute", "start"])?;
    let attribute = Attribute::new(arguments.some(0), None)?;
    let mut total = arguments.optional(1).cloned().unwrap_or(Value::from(0));
    if total.as_str().is_some() {
        return Err(refuse("`sum` adds numbers and lists; `join` joins strings"));
    }
    for item in items(state, value)? {
        let item = attribute.of(&item)?;
        total = crate::template::operators::sum(state, &total, "+", &item)?;
    }
    Ok(total)
}

fn join(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    let arguments = call.bind(&["d", "attribute"])?;
    let separator = arguments.optional(0).cloned().unwrap_or(Value::from(""));
    let attribute = Attribute::new(arguments.some(1), None)?;
    let mut parts = Vec::new();
    for item in items(state, value)? {
        parts.push(attribute.used(state, &item)?);
    }
    let escaping = !matches!(state.auto_escape(), minijinja::AutoEscape::None);
    let safe = escaping && (separator.is_safe() || parts.iter().any(Value::is_safe));
    let mut out = String::new();
    let put_part = |out: &mut String, part: &Value| -> Result<(), Error> {
        let text = text(state, part)?;
        match safe && !part.is_safe() {
            true => put(state, out, &super::escape(&text)),
            false => put(state, out, &text),
        }
    };
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            put_part(&mut out, &separator)?;
        }
        put_part(&mut out, part)?;
    }
    Ok(match safe {
        true => Value::from_safe_string(out),
        false => Value::from(out),
    })
}

fn batch(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    let arguments = call.bind(&["linecount", "fill_with"])?;
    arguments.required(0)?;
    let size = arguments.size_or(0, 0)?;
    if size == 0 {
        return Err(refuse("`batch` needs at least one item in a batch"));
    }
    let items = items(state, value)?;
    let mut batches = Vec::new();
    for chunk in items.chunks(size) {
        let mut chunk = chunk.to_vec();
        if let Some(fill) = arguments.some(1) {
            afford_items(state, size)?;
            chunk.resize(size, fill.clone());
        }
        batches.push(List::value(chunk));
    }
    Ok(Generator::value("do_batch", batches))
}

fn slice(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    let arguments = call.bind(&["slices", "fill_with"])?;
    arguments.required(0)?;
    let slices = arguments.size_or(0, 0)?;
    if slices == 0 {
        return Err(refuse("`slice` needs at least one slice"));
    }
    afford_items(state, slices)?;
    let items = items(state, value)?;
    let (size, longer) = (items.len() / slices, items.len() % slices);
    let mut parts = Vec::with_capacity(slices);
    let mut at = 0;
    for number in 0..slices {
        let end = at + size + usize::from(number < longer);
        let mut part = items[at..end].to_vec();
        at = end;
        if let Some(fill) = arguments.some(1)
            && number >= longer
        {
            part.push(fill.clone());
        }
        parts.push(List::value(part));
    }
    Ok(Generator::value("do_slice", parts))
}

fn pairs_of(_: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    call.bind(&[])?;
    let pairs = match pairs(value) {
        Some(pairs) => pairs,
        None if value.is_undefined() => Vec::new(),
        None => {
            return Err(refuse(format!(
                "`items` takes a dictionary, not {}",
                kind(value)
            )));
        }
    };
    let pairs = pairs
        .into_iter()
        .map(|(key, value)| valid(tuple(vec![key, value])));
    Ok(Generator::value(
        "do_items",
        pairs.collect::<Result<_, _>>()?,
    ))
}

fn dictsort(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    let arguments = call.bind(&["case_sensitive", "by", "reverse"])?;
    let case = arguments.flag(0);
    let at = match arguments.text_or(1, "key")?.as_str() {
        "key" => 0,
        "value" => 1,
        other => {
            return Err(refuse(format!(
                "`dictsort` sorts by `key` or `value`, not by `{other}`"
            )));
        }
    };
    let pairs = pairs(value).ok_or_else(|| {
        refuse(format!(
            "`dictsort` takes a dictionary, not {}",
            kind(value)
        ))
    })?;
    let mut items = pairs
        .into_iter()
        .map(|(key, value)| valid(tuple(vec![key, value])))
        .collect::<Result<Vec<_>, _>>()?;
    sort(state, &mut items, arguments.flag(2), |_, item| {
        let key = item.get_item_by_index(at)?;
        Ok(if case { key } else { without_case(key) })
    })?;
    Ok(List::value(items))
}

fn groupby(state: &mut State, value: &Value, call: &Call) -> Result<Value, Error> {
    let arguments = call.bind(&["attribute", "default", "case_sensitive"])?;
    let attribute = Attribute::new(Some(arguments.required(0)?), arguments.some(1))?;
    let case = arguments.flag(2);
    let key = |state: &State, item: &Value| {
        let key = attribute.used(state, item)?;
        Ok(if case { key } else { without_case(key) })
    };
    let mut items = items(state, value)?;
    sort(state, &mut items, false, key)?;
    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
    for item in items {
        let of_item = key(state, &item)?;
        match groups.last_mut() {
            Some((other, group)) if *other == of_item => group.push(item),
            _ => groups.push((of_item, vec![item])),
        }
    }
    let mut out = Vec::with_capacity(groups.len());
    for (key, group) in groups {
        let shown = match group.first() {
            Some(first) if !case => attribute.of(first)?,
            _ => key,
        };
        out.push(valid(Group::value(shown, List::value(group)))?);
    }
    Ok(List::value(out))
}
