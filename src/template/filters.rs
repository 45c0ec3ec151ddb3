//! Filters and tests, where minijinja has them otherwise than Jinja2.
//! <https://jinja.palletsprojects.com/en/stable/templates/#builtin-filters>

use minijinja::value::{Kwargs, Rest, Tuple, ValueKind, ValueOrKwargs};
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior, Value, filters, tests,
};
use minijinja_contrib::filters as contrib;

use super::arguments::Arguments;
use super::functions::Args;
use super::methods::{lines, pad, replace, sort};
use super::percent::{ascii, defined, percent, printf};
use super::quote::quote;
use super::value::{self, Dict, List, afford, items, kept, kind, refuse, text};

/// Names of filters, for hints.
pub const NAMES: &str = "abs attr batch bool capitalize center chain count d default dictsort e escape filesizeformat first \
    float forceescape format groupby indent int items join last length lines list lower map max min pprint quote reject \
    rejectattr replace reverse round safe select selectattr slice sort split string striptags sum title tojson trim \
    truncate unique upper urlencode wordcount zip";

/// Names of tests, for hints.
pub const TESTS: &str = "boolean callable defined divisibleby eq equalto escaped even false filter float ge gt greaterthan in \
    integer iterable le lessthan lower lt mapping ne none number odd sameas sequence string test true undefined upper";

/// A filter of minijinja's, the names that Jinja2 has for its arguments, and how many of them minijinja takes by their
/// places; the others it takes by their names.
type Named = (&'static str, &'static str, usize, Value);

fn named() -> [Named; 12] {
    macro_rules! of {
        ($filter:path) => {
            Value::from_function($filter)
        };
    }
    let default = "default_value boolean";
    let of_case = "case_sensitive attribute";
    let dictsort = "case_sensitive by reverse";
    let groupby = "attribute default case_sensitive";
    let truncate = "length killwords end leeway";
    [
        ("batch", "linecount fill_with", 2, of!(filters::batch)),
        ("d", default, 2, of!(filters::default)),
        ("default", default, 2, of!(filters::default)),
        ("dictsort", dictsort, 0, of!(filters::dictsort)),
        ("groupby", groupby, 1, of!(filters::groupby)),
        ("max", of_case, 0, of!(filters::max)),
        ("min", of_case, 0, of!(filters::min)),
        ("round", "precision method", 2, of!(filters::round)),
        ("slice", "slices fill_with", 2, of!(filters::slice)),
        ("sum", "attribute start", 2, of!(filters::sum)),
        ("truncate", truncate, 0, of!(contrib::truncate)),
        ("unique", of_case, 0, of!(filters::unique)),
    ]
}

/// Calls a filter of minijinja's; a list that it gives can be changed.
fn call(state: &mut State, args: &[Value], called: &Named) -> Result<Value, Error> {
    let (name, names, places, filter) = called;
    let names: Vec<&str> = names.split(' ').collect();
    let (value, args) = args.split_first().ok_or_else(nothing)?;
    if !name.starts_with('d') {
        defined(state, value)?;
    }
    let arguments = Arguments::bind(name, &names, args)?;
    let mut call = vec![value.clone()];
    let given = (0..*places).rfind(|at| arguments.optional(*at).is_some());
    for at in 0..given.map_or(0, |last| last + 1) {
        call.push(arguments.optional(at).cloned().unwrap_or(Value::from(())));
    }
    let named = |at: usize| Some((names[at], arguments.optional(at)?.clone()));
    let named: Vec<_> = (*places..names.len()).filter_map(named).collect();
    if !named.is_empty() {
        call.push(Value::from(Kwargs::from_iter(named)));
    }
    let result = filter.call(state, &call)?;
    match result.kind() {
        ValueKind::Seq if !result.is_tuple() => Ok(List::value(items(state, &result)?)),
        _ => Ok(result),
    }
}

fn nothing() -> Error {
    refuse("there is nothing to filter")
}

/// A filter: the value and then the arguments.
type Filter = fn(&mut State, &Value, &[Value]) -> Result<Value, Error>;

/// Those that minijinja has not, or not like this.
const FILTERS: &[(&str, Filter)] = &[
    ("py__percent", |state, value, args| {
        percent(state, value, args.first().ok_or_else(nothing)?)
    }),
    ("py__kept", |state, value, _| kept(state, value.clone())),
    ("center", |state, value, args| {
        let width = Arguments::bind("center", &["width"], args)?.size_or(0, 80)?;
        Ok(pad(state, &text(value)?, ("center", width, " "))?.into())
    }),
    ("e", |_, value, _| Ok(escaped(value))),
    ("escape", |_, value, _| Ok(escaped(value))),
    ("filesizeformat", |state, value, args| {
        let binary = Arguments::bind("filesizeformat", &["binary"], args)?.flag(0);
        let size = filters::float(state, value, None, no_names())?;
        Ok(contrib::filesizeformat(f64::try_from(size)?, Some(binary)).into())
    }),
    ("float", |state, value, args| {
        let arguments = Arguments::bind("float", &["default"], args)?;
        let default = arguments.optional(0).cloned().unwrap_or(0.0.into());
        filters::float(state, value, Some(default), no_names())
    }),
    ("forceescape", |_, value, _| {
        Ok(Value::from_safe_string(escape(&text(value)?)))
    }),
    ("format", |state, value, args| {
        let values = match args {
            [named] if named.is_kwargs() => value::own(named),
            args => Value::from(Tuple::from(args)),
        };
        Ok(printf(state, &text(value)?, &values)?.into())
    }),
    ("indent", indent),
    ("int", |state, value, args| {
        let arguments = Arguments::bind("int", &["default", "base"], args)?;
        // As Python reads a number: with blanks around it, and underscores in it.
        let text = value.as_str().map(|text| text.trim().replace('_', ""));
        let value = &text.map_or(value.clone(), Value::from);
        let default = arguments.optional(0).cloned().unwrap_or(0.into());
        let base = u32::try_from(arguments.size_or(1, 10)?).ok();
        filters::int(state, value, Some(default), base, no_names())
    }),
    ("join", join),
    ("list", |state, value, _| {
        Ok(List::value(items(state, value)?))
    }),
    ("map", map),
    ("pprint", |_, value, _| match text(value)?.len() < 80 {
        true => Ok(format!("{:?}", sorted(value)).into()),
        false => Ok(filters::pprint(&sorted(value)).into()),
    }),
    ("replace", |state, value, args| {
        let arguments = Arguments::bind("replace", &["old", "new", "count"], args)?;
        let (old, new) = (arguments.required(0)?, arguments.required(1)?);
        let (old, new) = (shown(state, old)?, shown(state, new)?);
        Ok(replace(state, &text(value)?, &old, &new, arguments.most(2)?)?.into())
    }),
    ("sort", |state, value, args| {
        let arguments = Arguments::bind("sort", &["reverse", "case_sensitive", "attribute"], args)?;
        let name = arguments.some(2).cloned().unwrap_or_default();
        let names: Vec<Value> = match name.as_str() {
            Some(names) => names.split(',').map(Value::from).collect(),
            None => vec![name],
        };
        let key = |item: &Value, name: &Value| {
            let key = attribute(state, item, name)?;
            let text = key.as_str().filter(|_| !arguments.flag(1));
            Ok(text.map(str::to_lowercase).map_or(key.clone(), Value::from))
        };
        let sorted = sort(items(state, value)?, arguments.flag(0), |item| {
            let keys: Result<Vec<_>, Error> = names.iter().map(|name| key(item, name)).collect();
            Ok(Value::from(Tuple::from(keys?)))
        });
        Ok(List::value(sorted?))
    }),
    ("striptags", |_, value, _| {
        Ok(contrib::striptags(text(value)?).into())
    }),
    ("tojson", |_, value, args| {
        let arguments = Arguments::bind("tojson", &["indent"], args)?;
        // What is nested without end cannot be printed either.
        text(value)?;
        let json = filters::tojson(&sorted(value), arguments.some(0).cloned(), no_names())?;
        Ok(Value::from_safe_string(ascii(json.as_str().unwrap_or(""))))
    }),
    ("urlencode", urlencode),
    ("wordcount", |_, value, _| {
        let text = text(value)?;
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        Ok(words.filter(|word| !word.is_empty()).count().into())
    }),
];

/// Adds the filters and tests.
pub fn add_to(environment: &mut Environment<'static>) {
    for filter in named() {
        environment.add_filter(filter.0, move |state: &mut State, args: Args| {
            call(state, &args.into_values(), &filter)
        });
    }
    for (name, filter) in FILTERS {
        environment.add_filter(*name, move |state: &mut State, args: Args| {
            let args = args.into_values();
            let (value, args) = args.split_first().ok_or_else(nothing)?;
            if !matches!(*name, "py__kept" | "pprint") {
                defined(state, value)?;
            }
            filter(state, value, args)
        });
    }
    environment.add_filter("quote", |text: &str| quote(text));
    let strict = [
        ("divisibleby", Value::from_function(tests::is_divisibleby)),
        ("eq", Value::from_function(tests::is_eq)),
        ("even", Value::from_function(tests::is_even)),
        ("in", Value::from_function(tests::is_in)),
        ("iterable", Value::from_function(tests::is_iterable)),
        ("lower", Value::from_function(tests::is_lower)),
        ("odd", Value::from_function(tests::is_odd)),
        ("upper", Value::from_function(tests::is_upper)),
    ];
    for (name, test) in strict {
        environment.add_test(name, move |state: &mut State, args: Rest<Value>| {
            defined(state, args.first().ok_or_else(nothing)?)?;
            test.call(state, &args).map(|passes| passes.is_true())
        });
    }
    let parts = [ValueKind::Map, ValueKind::Seq, ValueKind::String];
    environment.add_test("sequence", move |v: &Value| parts.contains(&v.kind()));
    environment.add_test("callable", |value: &Value| match value.kind() {
        ValueKind::Plain | ValueKind::Undefined => true,
        ValueKind::Map => value.to_string().starts_with("<macro "),
        _ => false,
    });
}

fn no_names() -> Kwargs {
    Kwargs::from_iter([("", Value::UNDEFINED); 0])
}

/// A value as text, which an undefined one is only where the template is lenient.
fn shown(state: &State, value: &Value) -> Result<String, Error> {
    defined(state, value)?;
    text(value)
}

/// What an item has under a name, or under several with points between them; it must have it where the template is strict.
/// Without a name, the item.
fn attribute(state: &State, item: &Value, name: &Value) -> Result<Value, Error> {
    let mut value = item.clone();
    let steps: Vec<Value> = match name.as_str() {
        Some(path) => path.split('.').map(Value::from).collect(),
        None if name.is_undefined() => Vec::new(),
        None => vec![name.clone()],
    };
    for step in steps {
        let index = step.as_str().and_then(|step| step.parse::<usize>().ok());
        value = value.get_item(&index.map_or(step, Value::from))?;
    }
    match value.is_undefined() && state.undefined_behavior() == UndefinedBehavior::Strict {
        true => Err(Error::new(
            ErrorKind::UndefinedError,
            format!("`item.{name}` is undefined"),
        )),
        false => Ok(value),
    }
}

/// Text with what XML and HTML would read written otherwise, as MarkupSafe writes it.
pub fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let text = text.replace('>', "&gt;").replace('"', "&#34;");
    text.replace('\'', "&#39;")
}

fn escaped(value: &Value) -> Value {
    match value.is_safe() {
        true => value.clone(),
        false => Value::from_safe_string(escape(&value.to_string())),
    }
}

/// A value whose dictionaries are in the order of their keys.
fn sorted(value: &Value) -> Value {
    let pairs = value.downcast_object_ref::<Dict>().map(Dict::now);
    match (pairs, value.downcast_object_ref::<List>()) {
        (Some(mut pairs), _) => {
            pairs.sort_keys();
            Value::from_pairs(pairs.into_iter().map(|(key, value)| (key, sorted(&value))))
        }
        (None, Some(list)) => list.now().iter().map(sorted).collect(),
        (None, None) => value.clone(),
    }
}

/// With a filter's name, whose arguments may have names, which minijinja drops; it does the rest.
fn map(state: &mut State, value: &Value, args: &[Value]) -> Result<Value, Error> {
    let Some(name) = args.first().and_then(Value::as_str) else {
        let args = args.iter().cloned().map(ValueOrKwargs::from);
        return filters::map(state, value.clone(), Rest(args.collect())).map(Value::from);
    };
    let mut mapped = items(state, value)?;
    for item in &mut mapped {
        let mut args = args.to_vec();
        args[0] = item.clone();
        let changed = state.apply_filter(name, &args);
        *item = changed.map_err(|error| match error.kind() {
            ErrorKind::UnknownFilter => refuse_filter(name),
            _ => error,
        })?;
    }
    Ok(Value::from(mapped))
}

fn refuse_filter(name: &str) -> Error {
    Error::new(
        ErrorKind::UnknownFilter,
        format!("filter {name} is unknown"),
    )
}

/// Where escaping is on, a safe part makes the others safe.
fn join(state: &mut State, value: &Value, args: &[Value]) -> Result<Value, Error> {
    let arguments = Arguments::bind("join", &["d", "attribute"], args)?;
    let separator = arguments.optional(0).cloned().unwrap_or(Value::from(""));
    let mut parts = items(state, value)?;
    if let Some(name) = arguments.some(1) {
        let found = parts.iter().map(|item| attribute(state, item, name));
        parts = found.collect::<Result<_, _>>()?;
    }
    let escaping = !matches!(state.auto_escape(), AutoEscape::None);
    let safe = escaping && (separator.is_safe() || parts.iter().any(Value::is_safe));
    let mut out = String::new();
    for (index, part) in parts.iter().enumerate() {
        for part in [&separator, part].into_iter().skip(usize::from(index == 0)) {
            let text = shown(state, part)?;
            let escapes = safe && !part.is_safe();
            out += &if escapes { escape(&text) } else { text };
        }
        afford(state, out.len())?;
    }
    Ok(match safe {
        true => Value::from_safe_string(out),
        false => Value::from(out),
    })
}

fn indent(state: &mut State, value: &Value, args: &[Value]) -> Result<Value, Error> {
    let arguments = Arguments::bind("indent", &["width", "first", "blank"], args)?;
    let wrong = || refuse(format!("`indent` takes a string, not {}", kind(value)));
    let text = value.as_str().ok_or_else(wrong)?;
    let by = match arguments.some(0).and_then(Value::as_str) {
        Some(by) => by.to_owned(),
        None => pad(state, "", ("ljust", arguments.size_or(0, 4)?, " "))?,
    };
    afford(
        state,
        (text.matches('\n').count() + 1).saturating_mul(by.len()),
    )?;
    // As in Jinja2, a newline at the end is a last line that is empty.
    let mut out = String::new();
    for (index, line) in lines(&format!("{text}\n"), false).into_iter().enumerate() {
        let wanted = if index == 0 {
            arguments.flag(1)
        } else {
            arguments.flag(2) || !line.is_empty()
        };
        out.push_str(if index > 0 { "\n" } else { "" });
        out.push_str(if wanted { &by } else { "" });
        out.push_str(line);
    }
    Ok(Value::from(out))
}

fn urlencode(state: &mut State, value: &Value, args: &[Value]) -> Result<Value, Error> {
    Arguments::bind("urlencode", &[], args)?;
    let encoded = |text: &str, safe: &str| {
        let mut out = String::with_capacity(text.len());
        for byte in text.bytes() {
            let c = char::from(byte);
            match c.is_ascii_alphanumeric() || "_.-~".contains(c) || safe.contains(c) {
                true => out.push(c),
                false => out.push_str(&format!("%{byte:02X}")),
            }
        }
        out
    };
    let pairs = match value.kind() {
        ValueKind::Map => items(state, &filters::items(value)?)?,
        ValueKind::Seq => items(state, value)?,
        _ => return Ok(Value::from(encoded(&text(value)?, "/"))),
    };
    let mut parts = Vec::new();
    for pair in pairs {
        let of = |at| {
            Ok::<_, Error>(encoded(&text(&pair.get_item_by_index(at)?)?, "").replace("%20", "+"))
        };
        parts.push(format!("{}={}", of(0)?, of(1)?));
    }
    Ok(Value::from(parts.join("&")))
}
