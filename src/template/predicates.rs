//! Jinja2's tests, as `is odd`, where minijinja's differ.
//! <https://jinja.palletsprojects.com/en/stable/templates/#builtin-tests>

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, State, Value};

use super::lookup::is_strict;
use super::operators::compared;
use super::python::{Number, refuse, text};
use super::value::{Namespace, kind};

/// The comparisons by all their names.
const COMPARISONS: [(&str, &str); 15] = [
    ("eq", "=="),
    ("equalto", "=="),
    ("==", "=="),
    ("ne", "!="),
    ("!=", "!="),
    ("lt", "<"),
    ("lessthan", "<"),
    ("<", "<"),
    ("le", "<="),
    ("<=", "<="),
    ("gt", ">"),
    ("greaterthan", ">"),
    (">", ">"),
    ("ge", ">="),
    (">=", ">="),
];

/// The tests by their names, but for the comparisons.
const NAMES: [&str; 27] = [
    "boolean",
    "callable",
    "defined",
    "divisibleby",
    "endingwith",
    "escaped",
    "even",
    "false",
    "filter",
    "float",
    "in",
    "integer",
    "iterable",
    "lower",
    "mapping",
    "none",
    "number",
    "odd",
    "safe",
    "sameas",
    "sequence",
    "startingwith",
    "string",
    "test",
    "true",
    "undefined",
    "upper",
];

/// All names.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES
        .into_iter()
        .chain(COMPARISONS.into_iter().map(|(name, _)| name))
}

/// Adds the tests.
pub fn add_to(environment: &mut Environment<'static>) {
    for (name, operator) in COMPARISONS {
        environment.add_test(name, move |state: &State, left: Value, right: Value| {
            compared(state, &left, operator, &right)
        });
    }
    environment.add_test("in", |state: &State, item: Value, container: Value| {
        compared(state, &item, "in", &container)
    });
    environment.add_test("number", |value: &Value| Number::of(value).is_some());
    environment.add_test("integer", |value: &Value| value.is_integer());
    environment.add_test("sequence", |state: &State, value: &Value| {
        match value.kind() {
            ValueKind::String | ValueKind::Seq | ValueKind::Map => true,
            ValueKind::Undefined => !is_strict(state),
            _ => false,
        }
    });
    environment.add_test("iterable", |value: &Value| {
        use ValueKind::{Bool, None, Number, Plain};
        !matches!(value.kind(), None | Bool | Number | Plain)
    });
    environment.add_test("callable", |value: &Value| match value.kind() {
        ValueKind::Plain => value.downcast_object_ref::<Namespace>().is_none(),
        ValueKind::Map => value.to_string().starts_with("<macro "),
        // Python's class for it can be called, if only to raise an error.
        ValueKind::Undefined => true,
        _ => false,
    });
    environment.add_test("lower", |value: &Value| {
        let text = text(value)?;
        Ok::<_, Error>(
            text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase),
        )
    });
    environment.add_test("upper", |value: &Value| {
        let text = text(value)?;
        Ok::<_, Error>(
            text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase),
        )
    });
    environment.add_test("odd", |value: Value| parity(&value, 1));
    environment.add_test("even", |value: Value| parity(&value, 0));
    environment.add_test("divisibleby", |value: Value, by: Value| {
        match remainder(&value, &by)? {
            Number::Integer(rest) => Ok::<_, Error>(rest == 0),
            Number::Float(rest) => Ok(rest == 0.0),
        }
    });
}

fn remainder(value: &Value, by: &Value) -> Result<Number, Error> {
    match (Number::of(value), Number::of(by)) {
        (Some(value), Some(by)) => value.calculate("%", by),
        _ => Err(refuse(format!(
            "{} is not divided by {}",
            kind(value),
            kind(by)
        ))),
    }
}

fn parity(value: &Value, wanted: i128) -> Result<bool, Error> {
    Ok(match remainder(value, &Value::from(2))? {
        Number::Integer(rest) => rest == wanted,
        Number::Float(rest) => rest == wanted as f64,
    })
}
