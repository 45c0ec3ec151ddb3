//! The arguments of a call, by the names that Python's function has for them.

use minijinja::value::Kwargs;
use minijinja::{Error, Value};

use super::{Number, refuse, text};
use crate::diagnostic::did_you_mean;
use crate::template::value::kind;

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
            return Err(refuse(match names.len() {
                0 => format!("`{function}` takes no arguments"),
                1 => format!("`{function}` takes one argument, not {}", positional.len()),
                n => format!("`{function}` takes {n} arguments, not {}", positional.len()),
            }));
        }
        let mut values: Vec<Option<Value>> = positional.iter().cloned().map(Some).collect();
        values.resize(names.len(), None);
        for (name, value) in named {
            let Some(at) = names.iter().position(|known| *known == name) else {
                let near = did_you_mean(&name, names.iter().copied());
                let near = near.map(|near| format!("; {near}")).unwrap_or_default();
                return Err(refuse(format!(
                    "`{function}` has no argument `{name}`{near}"
                )));
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
        self.optional(at).ok_or_else(|| {
            refuse(format!(
                "`{}` needs its argument `{}`",
                self.function, self.names[at]
            ))
        })
    }

    fn wrong(&self, at: usize, wanted: &str, value: &Value) -> Error {
        refuse(format!(
            "`{}` takes {wanted} as its `{}`, not {}",
            self.function,
            self.names[at],
            kind(value)
        ))
    }

    /// A string, which must be given.
    pub fn string(&self, at: usize) -> Result<String, Error> {
        let value = self.required(at)?;
        match value.as_str() {
            Some(text) => Ok(text.to_owned()),
            None => Err(self.wrong(at, "a string", value)),
        }
    }

    /// A string if it is given and not none.
    pub fn string_or_none(&self, at: usize) -> Result<Option<String>, Error> {
        self.some(at).map(|_| self.string(at)).transpose()
    }

    /// Anything as text, or the default.
    pub fn text_or(&self, at: usize, default: &str) -> Result<String, Error> {
        self.optional(at).map_or(Ok(default.to_owned()), text)
    }

    /// A whole number if it is given and not none.
    pub fn integer(&self, at: usize) -> Result<Option<i64>, Error> {
        let Some(value) = self.some(at) else {
            return Ok(None);
        };
        match Number::of(value) {
            Some(Number::Integer(number)) => {
                Ok(Some(i64::try_from(number).unwrap_or(if number < 0 {
                    i64::MIN
                } else {
                    i64::MAX
                })))
            }
            _ => Err(self.wrong(at, "an integer", value)),
        }
    }

    /// A size: a whole number of which the negative ones count as 0, or the default.
    pub fn size_or(&self, at: usize, default: usize) -> Result<usize, Error> {
        Ok(match self.integer(at)? {
            Some(number) => usize::try_from(number.max(0)).unwrap_or(usize::MAX),
            None => default,
        })
    }

    /// Whether it is given and true.
    pub fn flag(&self, at: usize) -> bool {
        self.optional(at).is_some_and(Value::is_true)
    }
}

/// Arguments with their names.
pub type Named = Vec<(String, Value)>;

/// The positional and the named ones.
pub fn split(args: &[Value]) -> Result<(&[Value], Named), Error> {
    let Some((last, positional)) = args.split_last() else {
        return Ok((args, Vec::new()));
    };
    if !last.is_kwargs() {
        return Ok((args, Vec::new()));
    }
    let kwargs = Kwargs::try_from(last.clone())?;
    let mut named = Vec::new();
    for name in kwargs.args() {
        named.push((name.to_owned(), kwargs.peek::<Value>(name)?));
    }
    Ok((positional, named))
}
