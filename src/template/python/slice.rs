//! Slices: `value[start:stop:step]`.

use minijinja::{Error, State, Value};

use super::{Number, refuse, work};
use crate::template::value::{List, Range, kind, list_items, tuple, tuple_items, valid};

/// The indices that a slice takes out of so many items, as Python's `slice.indices`.
fn indices(length: usize, start: Option<i128>, stop: Option<i128>, step: i128) -> Vec<usize> {
    let length = length as i128;
    let (lowest, highest) = match step > 0 {
        true => (0, length),
        false => (-1, length - 1),
    };
    let place = |given: Option<i128>, default: i128| match given {
        None => default,
        Some(index) if index < 0 => (index + length).clamp(lowest, highest),
        Some(index) => index.clamp(lowest, highest),
    };
    let (first, last) = match step > 0 {
        true => (lowest, highest),
        false => (highest, lowest),
    };
    let (mut at, stop) = (place(start, first), place(stop, last));
    let mut indices = Vec::new();
    while (step > 0 && at < stop) || (step < 0 && at > stop) {
        indices.extend(usize::try_from(at));
        at += step;
    }
    indices
}

fn bound(value: &Value) -> Result<Option<i128>, Error> {
    match Number::of(value) {
        _ if value.is_none() => Ok(None),
        // Further out than any list.
        Some(Number::Integer(number)) => Ok(Some(number.clamp(i64::MIN.into(), i64::MAX.into()))),
        _ => Err(refuse(format!(
            "a slice goes from one integer to another, not {}",
            kind(value)
        ))),
    }
}

/// The bounds of a part of a string, as its methods take them: `find('x', start, end)`.
pub fn bounds(length: usize, start: Option<i64>, stop: Option<i64>) -> Option<(usize, usize)> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let place = |index: i64| match index < 0 {
        true => (index + length).max(0),
        false => index,
    };
    let start = place(start.unwrap_or(0));
    let stop = place(stop.unwrap_or(length)).min(length);
    match start > stop {
        true => None,
        false => Some((usize::try_from(start).ok()?, usize::try_from(stop).ok()?)),
    }
}

/// Takes a slice.
pub fn slice(state: &State, value: &Value, parts: &[Value; 3]) -> Result<Value, Error> {
    let (start, stop) = (bound(&parts[0])?, bound(&parts[1])?);
    let step = bound(&parts[2])?.unwrap_or(1);
    if step == 0 {
        return Err(refuse("the step of a slice cannot be 0"));
    }
    if let Some(text) = value.as_str() {
        let characters: Vec<char> = text.chars().collect();
        work(state, characters.len())?;
        let taken = indices(characters.len(), start, stop, step);
        let taken = taken.into_iter().map(|at| characters[at]);
        return Ok(Value::from(taken.collect::<String>()));
    }
    if let Some(range) = value.downcast_object_ref::<Range>() {
        return slice_range(range, start, stop, step);
    }
    let pick = |items: Vec<Value>| -> Result<Vec<Value>, Error> {
        work(state, items.len().saturating_mul(16))?;
        let taken = indices(items.len(), start, stop, step);
        Ok(taken.into_iter().map(|at| items[at].clone()).collect())
    };
    if let Some(items) = tuple_items(value) {
        return valid(tuple(pick(items)?));
    }
    match list_items(value) {
        Some(items) => Ok(List::value(pick(items)?)),
        None => Err(refuse(format!("{} cannot be sliced", kind(value)))),
    }
}

fn slice_range(
    range: &Range,
    start: Option<i128>,
    stop: Option<i128>,
    step: i128,
) -> Result<Value, Error> {
    let too_large = || refuse("this range is too large to be sliced");
    if range.len() > super::LONGEST {
        return Err(too_large());
    }
    let taken = indices(range.len(), start, stop, step);
    let step = i128::from(range.step) * step;
    let begin = match taken.first().and_then(|at| range.at(*at)) {
        Some(begin) => begin,
        None => range.start,
    };
    let end = i128::from(begin) + step * taken.len() as i128;
    let small = |number: i128| i64::try_from(number).map_err(|_| too_large());
    Ok(Value::from_object(Range {
        start: begin,
        stop: small(end)?,
        step: small(step)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_pythons() {
        assert_eq!(indices(5, None, None, 2), [0, 2, 4]);
        assert_eq!(indices(5, None, None, -2), [4, 2, 0]);
        assert_eq!(indices(5, Some(-2), None, 1), [3, 4]);
        assert_eq!(indices(5, Some(10), Some(-10), -1), [4, 3, 2, 1, 0]);
        assert_eq!(indices(5, Some(3), Some(1), 1), Vec::<usize>::new());
        assert_eq!(indices(0, None, None, -1), Vec::<usize>::new());
    }
}
