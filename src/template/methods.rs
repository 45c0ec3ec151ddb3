//! Python's methods of strings, lists, tuples and dictionaries: those that minijinja-contrib's pycompat lacks or has
//! otherwise than Python. The others are left to it.

use minijinja::value::{Tuple, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat;

use super::arguments::{Arguments, split};
use super::percent::braces;
use super::value::{Dict, List, afford, afford_items, hashable, items, kept, kind, own, refuse};
use crate::diagnostic::nearest;

const OF_STRINGS: &str = "capitalize center count endswith find format index isalnum isalpha isascii isdecimal isdigit \
    isidentifier islower isnumeric isprintable isspace istitle isupper join ljust lower lstrip partition removeprefix \
    removesuffix replace rfind rindex rjust rpartition rsplit rstrip split splitlines startswith strip swapcase title upper \
    zfill";
const OF_LISTS: &str = "append clear copy count extend index insert pop remove reverse sort";
const OF_DICTS: &str = "clear copy get items iteritems keys pop popitem setdefault update values";

/// Calls a method of a value that minijinja has none of.
pub fn call(state: &mut State, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    let (list, dict) = (value.downcast_object_ref(), value.downcast_object_ref());
    let (known, result) = match (value.as_str(), list, dict) {
        (Some(text), _, _) => (OF_STRINGS, string(state, text, name, args)?),
        (_, Some(list), _) => (OF_LISTS, self::list(state, value, list, name, args)?),
        (_, _, Some(dict)) => (OF_DICTS, self::dict(state, value, dict, name, args)?),
        _ if value.kind() == ValueKind::Seq && name == "index" => {
            ("", index(&items(state, value)?, args)?)
        }
        _ => ("", None),
    };
    if let Some(result) = result {
        return Ok(result);
    }
    match pycompat::unknown_method_callback(state, value, name, args) {
        Err(error) if error.kind() == ErrorKind::UnknownMethod && !known.is_empty() => {
            let near = nearest(name, known.split(' '));
            let near = near.map(|near| format!("; {near}")).unwrap_or_default();
            let message = format!("{} has no method `{name}`{near}", kind(value));
            Err(Error::new(ErrorKind::UnknownMethod, message))
        }
        Ok(list) if list.kind() == ValueKind::Seq => Ok(own(&list)),
        result => result,
    }
}

type Called = Result<Option<Value>, Error>;

/// `None` where pycompat is to do it, here and below.
fn string(state: &mut State, s: &str, method: &str, args: &[Value]) -> Called {
    let bind = |names: &'static [&'static str]| Arguments::bind(method, names, args);
    let three = |parts: [&str; 3]| Value::from(Tuple::from(parts.map(Value::from)));
    let all = |is: fn(char) -> bool| Value::from(!s.is_empty() && s.chars().all(is));
    Ok(Some(match method {
        "split" | "rsplit" => {
            let arguments = bind(&["sep", "maxsplit"])?;
            let most = arguments.most(1)?;
            afford_items(state, s.len())?;
            let separator = arguments.some(0).map(|_| arguments.string(0)).transpose()?;
            let mut parts: Vec<&str> = match (separator, method) {
                (Some(""), _) => return Err(refuse("a string is not split at nothing")),
                (Some(at), "split") => s.splitn(most.saturating_add(1), at).collect(),
                (Some(at), _) => s.rsplitn(most.saturating_add(1), at).collect(),
                (None, _) => words(s, most, method),
            };
            if method == "rsplit" {
                parts.reverse();
            }
            List::value(parts.into_iter().map(Value::from).collect())
        }
        "splitlines" => {
            afford_items(state, s.len())?;
            let lines = lines(s, bind(&["keepends"])?.flag(0));
            List::value(lines.into_iter().map(Value::from).collect())
        }
        "partition" | "rpartition" => {
            let arguments = bind(&["sep"])?;
            let at = arguments.string(0)?;
            match (s.split_once(at), s.rsplit_once(at), method) {
                _ if at.is_empty() => return Err(refuse("a string is not parted at nothing")),
                (Some((before, after)), _, "partition") => three([before, at, after]),
                (_, Some((before, after)), "rpartition") => three([before, at, after]),
                (_, _, "partition") => three([s, "", ""]),
                _ => three(["", "", s]),
            }
        }
        "find" | "rfind" | "index" | "rindex" | "count" | "startswith" | "endswith"
            if args.len() > 1 || method.ends_with("index") =>
        {
            let arguments = bind(&["sub", "start", "end"])?;
            let (start, end) = bounds(s.chars().count(), &arguments)?;
            let place = |index: usize| s.char_indices().nth(index).map_or(s.len(), |(at, _)| at);
            let part = s.get(place(start)..place(end)).unwrap_or("");
            let wanted = arguments.string(0)?;
            let found = match method.starts_with('r') {
                true => part.rfind(wanted),
                false => part.find(wanted),
            };
            match (method, found) {
                ("count", _) => Value::from(part.matches(wanted).count()),
                ("startswith", _) => Value::from(part.starts_with(wanted)),
                ("endswith", _) => Value::from(part.ends_with(wanted)),
                (_, Some(at)) => Value::from(part[..at].chars().count() + start),
                ("find" | "rfind", None) => Value::from(-1),
                _ => return Err(refuse(format!("`{wanted}` is not in the string"))),
            }
        }
        "replace" => {
            let arguments = bind(&["old", "new", "count"])?;
            let (old, new) = (arguments.string(0)?, arguments.string(1)?);
            replace(state, s, old, new, arguments.most(2)?)?.into()
        }
        "join" => {
            let mut out = String::new();
            let parts = items(state, bind(&["iterable"])?.required(0)?)?;
            for (index, item) in parts.iter().enumerate() {
                let kind = kind(item);
                let part = item.as_str().ok_or_else(|| {
                    let what = format!("strings, and item {index} is {kind}");
                    refuse(format!("`join` takes {what}; `|join` takes anything"))
                })?;
                out.push_str(if index > 0 { s } else { "" });
                out.push_str(part);
                afford(state, out.len())?;
            }
            out.into()
        }
        "format" => braces(state, s, args)?.into(),
        "ljust" | "rjust" | "center" | "zfill" => {
            let arguments = bind(&["width", "fillchar"])?;
            arguments.required(0)?;
            let fill = arguments.optional(1).map(|_| arguments.string(1));
            let fill = fill.unwrap_or(Ok(" "))?;
            if fill.chars().count() != 1 {
                return Err(refuse(format!("`{method}` fills with one character")));
            }
            pad(state, s, (method, arguments.size_or(0, 0)?, fill))?.into()
        }
        "removeprefix" => {
            let arguments = bind(&["prefix"])?;
            s.strip_prefix(arguments.string(0)?).unwrap_or(s).into()
        }
        "removesuffix" => {
            let arguments = bind(&["suffix"])?;
            s.strip_suffix(arguments.string(0)?).unwrap_or(s).into()
        }
        "title" => title(s).into(),
        "swapcase" => {
            let swap = |c: char| match c.is_uppercase() {
                true => c.to_lowercase().to_string(),
                false => c.to_uppercase().to_string(),
            };
            s.chars().map(swap).collect::<String>().into()
        }
        "istitle" => Value::from(s.chars().any(char::is_alphabetic) && title(s) == s),
        "isdecimal" => all(|c| c.is_ascii_digit()),
        "isprintable" => Value::from(!s.chars().any(char::is_control)),
        "isidentifier" if s.starts_with(char::is_numeric) => Value::from(false),
        "isidentifier" => all(|c| c.is_alphanumeric() || c == '_'),
        _ => return Ok(None),
    }))
}

/// Words, of which all but so many stay together at the end; or at the beginning, and then in reverse.
fn words<'s>(s: &'s str, most: usize, method: &str) -> Vec<&'s str> {
    let mut words: Vec<&str> = s.split_whitespace().collect();
    let at = |word: &str| word.as_ptr() as usize - s.as_ptr() as usize;
    let from_end = method == "rsplit";
    if from_end {
        words.reverse();
    }
    if let Some(next) = words.get(most) {
        let rest = if from_end {
            &s[..at(next) + next.len()]
        } else {
            &s[at(next)..]
        };
        words.truncate(most);
        words.push(rest);
    }
    words
}

/// Lines as Python ends them: also at a carriage return, a form feed and their like.
pub fn lines(s: &str, keep: bool) -> Vec<&str> {
    const ENDS: [char; 10] = [
        '\n', '\r', '\x0b', '\x0c', '\x1c', '\x1d', '\x1e', '\u{85}', '\u{2028}', '\u{2029}',
    ];
    let mut lines = Vec::new();
    let mut rest = s;
    while let Some(at) = rest.find(ENDS) {
        let length = match rest[at..].starts_with("\r\n") {
            true => 2,
            false => rest[at..].chars().next().map_or(1, char::len_utf8),
        };
        lines.push(&rest[..if keep { at + length } else { at }]);
        rest = &rest[at + length..];
    }
    lines.extend((!rest.is_empty()).then_some(rest));
    lines
}

/// Where an index is, of which a negative one counts from the end.
fn place(index: i64, length: usize) -> Option<usize> {
    match usize::try_from(index) {
        Ok(index) => Some(index),
        Err(_) => length.checked_sub(index.unsigned_abs() as usize),
    }
}

/// Where the second and third argument are, `start` and `end`.
fn bounds(length: usize, arguments: &Arguments) -> Result<(usize, usize), Error> {
    let place = |index: i64| place(index, length).unwrap_or(0).min(length);
    let start = arguments.integer(1)?.map_or(0, place);
    Ok((start, arguments.integer(2)?.map_or(length, place)))
}

/// Replaces at most so many.
pub fn replace(state: &State, s: &str, old: &str, new: &str, most: usize) -> Result<String, Error> {
    let found = s.matches(old).count().min(most);
    let more = found.saturating_mul(new.len());
    afford(state, more.saturating_add(s.len()))?;
    Ok(s.replacen(old, new, most))
}

/// Fills up a text to a width.
pub fn pad(state: &State, s: &str, how: (&str, usize, &str)) -> Result<String, Error> {
    let (method, width, fill) = how;
    let missing = width.saturating_sub(s.chars().count());
    afford(state, missing.saturating_mul(fill.len()))?;
    let fill = |count: usize| fill.repeat(count);
    Ok(match method {
        "ljust" => format!("{s}{}", fill(missing)),
        "rjust" => format!("{}{s}", fill(missing)),
        "zfill" => {
            let (sign, digits) = s.split_at(usize::from(s.starts_with(['+', '-'])));
            format!("{sign}{}{digits}", "0".repeat(missing))
        }
        _ => {
            // Python puts the odd one to the left where the width is odd.
            let left = missing / 2 + (missing & width & 1);
            format!("{}{s}{}", fill(left), fill(missing - left))
        }
    })
}

/// A capital at the beginning of each run of letters.
fn title(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    let mut inside = false;
    for c in s.chars() {
        match inside {
            true => out.extend(c.to_lowercase()),
            false => out.extend(c.to_uppercase()),
        }
        inside = c.is_alphabetic();
    }
    out
}

fn list(state: &mut State, value: &Value, list: &List, method: &str, args: &[Value]) -> Called {
    let bind = |names: &'static [&'static str]| Arguments::bind(method, names, args);
    let mut result = Value::from(());
    match method {
        "append" => {
            let item = kept(state, bind(&["object"])?.required(0)?.clone())?;
            list.change(|items| items.push(item));
        }
        "clear" => drop(list.change(std::mem::take)),
        "copy" => result = List::value(items(state, value)?),
        "extend" => {
            let more = items(state, bind(&["iterable"])?.required(0)?)?;
            afford_items(state, list.read(Vec::len) + more.len())?;
            list.change(|items| items.extend(more));
        }
        "insert" => {
            let arguments = bind(&["index", "object"])?;
            let item = kept(state, arguments.required(1)?.clone())?;
            let index = arguments.integer(0)?.unwrap_or(0);
            list.change(|items| {
                let at = place(index, items.len()).unwrap_or(0).min(items.len());
                items.insert(at, item);
            });
        }
        "pop" => {
            let index = bind(&["index"])?.integer(0)?.unwrap_or(-1);
            let taken = list.change(|items| {
                let at = place(index, items.len()).filter(|at| *at < items.len());
                at.map(|at| items.remove(at))
            });
            let length = list.read(Vec::len);
            let none = || refuse(format!("there is no item {index} to pop out of {length}"));
            result = taken.ok_or_else(none)?;
        }
        "remove" => {
            let item = bind(&["value"])?.required(0)?.clone();
            let at = list.now().iter().position(|other| *other == item);
            let at = at.ok_or_else(|| refuse(format!("{item:?} is not in the list")))?;
            drop(list.change(|items| (at < items.len()).then(|| items.remove(at))));
        }
        "reverse" => list.change(|items| items.reverse()),
        "sort" => {
            let reverse = bind(&["reverse"])?.flag(0);
            let sorted = sort(items(state, value)?, reverse, |item| Ok(item.clone()))?;
            drop(list.change(|old| std::mem::replace(old, sorted)));
        }
        "index" => return index(&list.now(), args),
        _ => return Ok(None),
    }
    Ok(Some(result))
}

/// The method that tuples have as well.
fn index(items: &[Value], args: &[Value]) -> Called {
    let arguments = Arguments::bind("index", &["value", "start", "stop"], args)?;
    let wanted = arguments.required(0)?;
    let (start, stop) = bounds(items.len(), &arguments)?;
    let at = (start..stop).find(|at| items[*at] == *wanted);
    let at = at.ok_or_else(|| refuse(format!("{wanted:?} is not in the list")))?;
    Ok(Some(Value::from(at)))
}

/// Sorts by a key, and keeps the order of what is equal. Python refuses keys of different kinds.
pub fn sort(
    items: Vec<Value>,
    reverse: bool,
    key: impl Fn(&Value) -> Result<Value, Error>,
) -> Result<Vec<Value>, Error> {
    let mut keyed = Vec::with_capacity(items.len());
    for item in items {
        keyed.push((key(&item)?, item));
    }
    let mut checked = Ok(());
    keyed.sort_by(|(left, _), (right, _)| {
        if checked.is_ok() {
            checked = have_order(left, right);
        }
        // Python reverses the comparison, not the result: equal items keep their order.
        if reverse {
            right.cmp(left)
        } else {
            left.cmp(right)
        }
    });
    checked.map(|()| keyed.into_iter().map(|(_, item)| item).collect())
}

/// Refuses two values that are not of one kind.
fn have_order(left: &Value, right: &Value) -> Result<(), Error> {
    use ValueKind::{Bool, Number, Seq, String};
    match (left.kind(), right.kind()) {
        (Bool | Number, Bool | Number) | (String, String) => Ok(()),
        (Seq, Seq) if left.is_tuple() == right.is_tuple() => {
            let mut pairs = left.try_iter()?.zip(right.try_iter()?);
            match pairs.find(|(left, right)| left != right) {
                // Lists in lists may hold themselves.
                Some((left, right)) if left.kind() != Seq => have_order(&left, &right),
                _ => Ok(()),
            }
        }
        _ => {
            let (left, right) = (kind(left), kind(right));
            Err(refuse(format!("{left} and {right} have no order")))
        }
    }
}

fn dict(state: &mut State, value: &Value, dict: &Dict, method: &str, args: &[Value]) -> Called {
    let arguments = Arguments::bind(method, &["key", "default"], args);
    let none = || Value::from(());
    let key = |arguments: &Arguments| {
        let key = arguments.required(0)?;
        hashable(key).map(|()| key.clone())
    };
    Ok(Some(match method {
        // Python 2 has these, and templates that are old enough use them.
        "iterkeys" | "viewkeys" => return call(state, value, "keys", args).map(Some),
        "itervalues" | "viewvalues" => return call(state, value, "values", args).map(Some),
        "iteritems" | "viewitems" => return call(state, value, "items", args).map(Some),
        "has_key" => Value::from(dict.get(&key(&arguments?)?).is_some()),
        "get" => {
            let arguments = arguments?;
            super::percent::defined(state, arguments.required(0)?)?;
            let found = dict.get(&key(&arguments)?);
            let found = found.or_else(|| arguments.optional(1).cloned());
            found.unwrap_or_else(none)
        }
        "setdefault" => {
            let arguments = arguments?;
            let default = arguments.optional(1).cloned().unwrap_or_else(none);
            let (key, default) = (key(&arguments)?, kept(state, default)?);
            dict.change(|map| map.entry(key).or_insert(default).clone())
        }
        "pop" => {
            let arguments = arguments?;
            let key = key(&arguments)?;
            let taken = dict.change(|map| map.shift_remove(&key));
            let taken = taken.or_else(|| arguments.optional(1).cloned());
            taken.ok_or_else(|| refuse(format!("there is no {key:?} to pop")))?
        }
        "popitem" => {
            let pair = dict.change(|map| map.pop()).map(<[Value; 2]>::from);
            let empty = || refuse("there is nothing to pop: the dictionary is empty");
            Value::from(Tuple::from(pair.ok_or_else(empty)?))
        }
        "update" => update(state, dict, args).map(|()| none())?,
        "copy" => Dict::value(dict.now()),
        "clear" => {
            drop(dict.change(std::mem::take));
            none()
        }
        _ => return Ok(None),
    }))
}

/// Takes over another dictionary, or pairs, and named arguments.
pub fn update(state: &mut State, dict: &Dict, args: &[Value]) -> Result<(), Error> {
    let (positional, named) = split(args)?;
    let mut more = Vec::new();
    match positional {
        [] => {}
        [one] if one.kind() == ValueKind::Map => {
            let pairs = one.as_object().and_then(|object| object.try_iter_pairs());
            more.extend(pairs.into_iter().flatten());
        }
        [one] => {
            for pair in items(state, one)? {
                let pair = <[Value; 2]>::try_from(items(state, &pair)?);
                let [key, value] = pair.map_err(|_| refuse("a dictionary is made of pairs"))?;
                more.push((key, value));
            }
        }
        _ => return Err(refuse("a dictionary takes one other, and named values")),
    }
    let named = named.into_iter();
    more.extend(named.map(|(name, value)| (Value::from(name), value)));
    afford_items(state, more.len().saturating_mul(2))?;
    for (key, value) in more {
        hashable(&key)?;
        let value = kept(state, value)?;
        dict.change(|map| map.insert(key, value));
    }
    Ok(())
}
