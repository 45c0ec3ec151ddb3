//! The arguments of a call, by the names that Python's function has for them.

use minijinja::value::Kwargs;
use minijinja::{Error, Value};

use super::value::{kind, refuse};
use crate::diagnostic::did_you_mean;

/// Arguments in the order of a function's parameters.
#[derive(Debug)]
pub struct Arguments<'a> {
    function: &'a str,
    names: &'a [&'a str],
    values: Vec<Option<Value>>,
}

impl<'a> Arguments<'a> {
    /// Puts arguments into their places. Too many, unknown and double ones are refused.
    pub fn bind(function: &'a str, names: &'a [&'a str], args: &[Value]) -> Result<Self, Error> {
        let (positional, named) = split(args)?;
        if positional.len() > names.len() {
            let (given, most) = (positional.len(), names.len());
            let message = format!("`{function}` takes at most {most} arguments, not {given}");
            return Err(refuse(message));
        }
        let mut values: Vec<Option<Value>> = positional.iter().cloned().map(Some).collect();
        values.resize(names.len(), None);
        for (name, value) in named {
            let Some(at) = names.iter().position(|known| *known == name) else {
                let near = did_you_mean(&name, names.iter().copied()).unwrap_or_default();
                let message = format!("`{function}` has no argument `{name}`; {near}");
                return Err(refuse(message));
            };
            if values[at].replace(value).is_some() {
                return Err(refuse(format!("`{function}` is given `{name}` twice")));
            }
        }
        Ok(Self {
            function,
            names,
            values,
        })
    }

    /// The argument, if it is given.
    pub fn optional(&self, at: usize) -> Option<&Value> {
        self.values.get(at)?.as_ref()
    }

    /// The argument, unless it is not given or none.
    pub fn some(&self, at: usize) -> Option<&Value> {
        self.optional(at).filter(|value| !value.is_none())
    }

    /// The argument, which must be given.
    pub fn required(&self, at: usize) -> Result<&Value, Error> {
        let needs = || {
            format!(
                "`{}` needs its argument `{}`",
                self.function, self.names[at]
            )
        };
        self.optional(at).ok_or_else(|| refuse(needs()))
    }

    fn wrong(&self, at: usize, wanted: &str) -> Error {
        let (function, name) = (self.function, self.names[at]);
        let kind = self.optional(at).map_or("nothing", kind);
        refuse(format!(
            "`{function}` takes {wanted} as its `{name}`, not {kind}"
        ))
    }

    /// A string, which must be given.
    pub fn string(&self, at: usize) -> Result<&str, Error> {
        let text = self.required(at)?.as_str();
        text.ok_or_else(|| self.wrong(at, "a string"))
    }

    /// A whole number if it is given and not none.
    pub fn integer(&self, at: usize) -> Result<Option<i64>, Error> {
        let number = |value: &Value| match value.as_str() {
            None => i64::try_from(value.clone()).map_err(|_| self.wrong(at, "an integer")),
            Some(_) => Err(self.wrong(at, "an integer")),
        };
        self.some(at).map(number).transpose()
    }

    /// A size: a whole number of which the negative ones count as 0, or the default.
    pub fn size_or(&self, at: usize, default: usize) -> Result<usize, Error> {
        let size = |number: i64| usize::try_from(number.max(0)).unwrap_or(usize::MAX);
        Ok(self.integer(at)?.map_or(default, size))
    }

    /// How often at most, where a negative number or none is no bound.
    pub fn most(&self, at: usize) -> Result<usize, Error> {
        let most = self.integer(at)?.and_then(|n| usize::try_from(n).ok());
        Ok(most.unwrap_or(usize::MAX))
    }

    /// Whether it is given and true.
    pub fn flag(&self, at: usize) -> bool {
        self.optional(at).is_some_and(Value::is_true)
    }
}

/// Arguments with their names.
type Named = Vec<(String, Value)>;

/// The positional arguments, and those with names.
pub fn split(args: &[Value]) -> Result<(&[Value], Named), Error> {
    let Some((last, positional)) = args.split_last().filter(|(last, _)| last.is_kwargs()) else {
        return Ok((args, Vec::new()));
    };
    let kwargs = Kwargs::try_from(last.clone())?;
    let named = kwargs
        .args()
        .map(|name| Ok((name.to_owned(), kwargs.peek(name)?)));
    Ok((positional, named.collect::<Result<_, Error>>()?))
}
