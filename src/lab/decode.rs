//! Takes values out of the YAML tree: each says what was expected and what was found, and goes on.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::synonyms;
use super::yaml::{self, Entries, Key, Node, Style, Value};
use crate::address::Name;
use crate::diagnostic::{Diagnostic, Diagnostics, Span, did_you_mean_all, near, one_of};
use crate::units::{self, UnitError};

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub span: Span,
}

/// A setting that may be left out.
pub type Given<T> = Option<Spanned<T>>;

/// Collects the problems of decoding, and counts them so that a thing can be known as flawed.
#[derive(Debug)]
pub struct Decoder<'a> {
    problems: &'a mut Diagnostics,
    count: usize,
}

impl<'a> Decoder<'a> {
    /// Reports into `problems`.
    pub fn new(problems: &'a mut Diagnostics) -> Self {
        Self { problems, count: 0 }
    }

    /// Adds a problem.
    pub fn report(&mut self, problem: Diagnostic) {
        self.count += 1;
        self.problems.push(problem);
    }

    /// How many problems were reported, repeated ones too: two equal counts mean that all was well in between.
    pub fn count(&self) -> usize {
        self.count
    }

    fn expected<T>(&mut self, what: &str, node: &Node, hint: Option<&str>) -> Option<T> {
        let mut problem =
            Diagnostic::error(format!("expected {what}, found {}", node.describe())).at(node.span);
        problem.hint = hint.map(str::to_owned);
        self.report(problem);
        None
    }

    /// A text. A bare number is taken as it was written; a bare `true` is not a text.
    pub fn text(&mut self, node: &Node) -> Given<String> {
        match &node.value {
            Value::Scalar(text, Style::Plain) if yaml::boolean(text).is_some() => {
                let hint = format!("write \"{text}\" if the text is meant");
                self.expected("a text", node, Some(&hint))
            }
            Value::Scalar(text, _) => Some(Spanned {
                value: text.clone(),
                span: node.span,
            }),
            Value::Sequence(_) | Value::Mapping(_) => self.expected("a text", node, None),
        }
    }

    /// `true` or `false`: the only booleans of YAML 1.2. What YAML 1.1 had besides is refused.
    pub fn boolean(&mut self, node: &Node) -> Given<bool> {
        let Value::Scalar(text, style) = &node.value else {
            return self.expected("`true` or `false`", node, None);
        };
        if *style == Style::Plain
            && let Some(value) = yaml::boolean(text)
        {
            return Some(Spanned {
                value,
                span: node.span,
            });
        }
        let hint = match text.to_ascii_lowercase().as_str() {
            "true" | "false" if *style != Style::Plain => Some("remove the quotes"),
            "yes" | "on" | "y" | "true" => Some("write `true`"),
            "no" | "off" | "n" | "false" => Some("write `false`"),
            _ => None,
        };
        self.expected("`true` or `false`", node, hint)
    }

    /// A whole number between `least` and `most`.
    pub fn integer<T>(&mut self, node: &Node, least: T, most: T) -> Given<T>
    where
        T: FromStr + PartialOrd + std::fmt::Display,
    {
        let what = format!("a whole number from {least} to {most}");
        match &node.value {
            Value::Scalar(text, Style::Plain) => match text.parse::<T>() {
                Ok(value) if value >= least && value <= most => Some(Spanned {
                    value,
                    span: node.span,
                }),
                Ok(_) | Err(_) => self.expected(&what, node, None),
            },
            Value::Scalar(text, _) if text.parse::<T>().is_ok() => {
                self.expected(&what, node, Some("remove the quotes"))
            }
            Value::Scalar(..) | Value::Sequence(_) | Value::Mapping(_) => {
                self.expected(&what, node, None)
            }
        }
    }

    /// A size in bytes.
    pub fn size(&mut self, node: &Node) -> Given<u64> {
        let what = "a size such as `2GiB`";
        let Value::Scalar(text, _) = &node.value else {
            return self.expected(what, node, None);
        };
        let hint = match units::parse_size(text) {
            Ok(value) => {
                return Some(Spanned {
                    value,
                    span: node.span,
                });
            }
            Err(UnitError::NoUnit) => format!("write a unit: `{}MiB` or `{0}GiB`", text.trim()),
            Err(UnitError::UnknownUnit) => {
                "the units are KiB, MiB, GiB and TiB (K, M, G and T are the same), and KB, MB, GB and TB".into()
            }
            Err(UnitError::NoNumber) => "write a number and a unit".into(),
            Err(UnitError::OutOfRange) => "write a whole number of bytes that fits 63 bits".into(),
        };
        self.expected(what, node, Some(&hint))
    }

    /// A duration in seconds.
    pub fn duration(&mut self, node: &Node) -> Given<u64> {
        let what = "a duration such as `90s`, `5m` or `1h`";
        let Value::Scalar(text, _) = &node.value else {
            return self.expected(what, node, None);
        };
        match units::parse_duration(text) {
            Ok(value) => Some(Spanned {
                value,
                span: node.span,
            }),
            Err(UnitError::OutOfRange) => {
                self.expected(what, node, Some("write a whole number of seconds"))
            }
            Err(UnitError::UnknownUnit | UnitError::NoNumber | UnitError::NoUnit) => {
                self.expected(what, node, Some("the units are s, m and h"))
            }
        }
    }

    /// A name as the lab uses them.
    pub fn name(&mut self, node: &Node) -> Given<Name> {
        let text = self.text(node)?;
        self.check_name(text)
    }

    /// A key that is a name.
    pub fn key(&mut self, key: &Key) -> Given<Name> {
        self.check_name(Spanned {
            value: key.text.clone(),
            span: key.span,
        })
    }

    fn check_name(&mut self, text: Spanned<String>) -> Given<Name> {
        match Name::new(text.value.clone()) {
            Ok(value) => Some(Spanned {
                value,
                span: text.span,
            }),
            Err(error) => {
                self.report(
                    Diagnostic::error(format!("`{}` is not a name", text.value))
                        .at(text.span)
                        .hint(error.to_string()),
                );
                None
            }
        }
    }

    /// An IP address.
    pub fn ip(&mut self, node: &Node) -> Given<IpAddr> {
        let text = self.text(node)?;
        match text.value.parse() {
            Ok(value) => Some(Spanned {
                value,
                span: text.span,
            }),
            Err(_) => {
                let hint = text
                    .value
                    .contains('/')
                    .then_some("write it without the prefix length");
                self.expected("an IP address", node, hint)
            }
        }
    }

    /// An IP address with the length of its network's prefix.
    pub fn subnet(&mut self, node: &Node) -> Given<IpNet> {
        let text = self.text(node)?;
        match text.value.parse() {
            Ok(value) => Some(Spanned {
                value,
                span: text.span,
            }),
            Err(_) => {
                let hint = match text.value.parse::<IpAddr>() {
                    Ok(IpAddr::V4(_)) => format!("write `{}/24` if that is the prefix", text.value),
                    Ok(IpAddr::V6(_)) => format!("write `{}/64` if that is the prefix", text.value),
                    Err(_) => "write it as `192.168.155.1/24`".into(),
                };
                self.expected("an address with its prefix length", node, Some(&hint))
            }
        }
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&mut self, node: &Node, words: &[(&str, T)]) -> Given<T> {
        let text = match &node.value {
            // One of the words, by whoever is used to switches.
            Value::Scalar(text, _) => Spanned {
                value: text.clone(),
                span: node.span,
            },
            Value::Sequence(_) | Value::Mapping(_) => self.text(node)?,
        };
        match words.iter().find(|(word, _)| *word == text.value) {
            Some((_, value)) => Some(Spanned {
                value: *value,
                span: text.span,
            }),
            None => {
                let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                let what = match names.split_last() {
                    Some((last, [])) => format!("`{last}`"),
                    Some((last, others)) => format!("`{}` or `{last}`", others.join("`, `")),
                    None => "nothing".into(),
                };
                let meant = match synonyms::values(&text.value, &names) {
                    meant if meant.is_empty() => near(&text.value, names).into_iter().collect(),
                    meant => meant,
                };
                let hint = (!meant.is_empty()).then(|| format!("did you mean {}?", one_of(&meant)));
                self.expected(&what, node, hint.as_deref())
            }
        }
    }

    /// One value or a list of them.
    pub fn one_or_list<T>(
        &mut self,
        node: &Node,
        mut decode: impl FnMut(&mut Self, &Node) -> Given<T>,
    ) -> Vec<Spanned<T>> {
        match &node.value {
            Value::Sequence(items) => items.iter().filter_map(|i| decode(self, i)).collect(),
            Value::Scalar(..) | Value::Mapping(_) => decode(self, node).into_iter().collect(),
        }
    }

    /// The items of a list.
    pub fn list<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        match &node.value {
            Value::Sequence(items) => items,
            Value::Scalar(..) | Value::Mapping(_) => {
                self.expected::<()>(what, node, Some("a list is written `[one, two]`"));
                &[]
            }
        }
    }

    /// The entries of a map whose keys are the user's own. Those that are null are not there; a null
    /// that is written as nothing is a problem, since `web1:` looks like a guest that is all defaults.
    pub fn entries<'n>(&mut self, node: &'n Node, what: &str) -> Vec<(&'n Key, &'n Node)> {
        match &node.value {
            Value::Mapping(entries) => {
                for (key, value) in entries {
                    if matches!(&value.value, Value::Scalar(text, _) if text.is_empty() && value.is_null())
                    {
                        self.report(
                            Diagnostic::error(format!("`{}` has no value", key.text))
                                .at(key.span)
                                .hint("write `{}` where there is nothing to set, or `null` to remove it"),
                        );
                    }
                }
                let there = entries.iter().filter(|(_, value)| !value.is_null());
                there.collect()
            }
            Value::Scalar(..) | Value::Sequence(_) => {
                let hint = format!(
                    "a map is written `{{{}: …}}` or on lines of its own",
                    "name"
                );
                self.expected::<()>(what, node, Some(&hint));
                Vec::new()
            }
        }
    }

    /// The settings of a map whose keys miniascape knows; `None` where it is no map.
    pub fn fields<'n>(&mut self, node: &'n Node, what: &str) -> Option<Fields<'n>> {
        match &node.value {
            Value::Mapping(entries) => Some(Fields {
                entries,
                known: Vec::new(),
            }),
            Value::Scalar(..) | Value::Sequence(_) => self.expected(what, node, None),
        }
    }
}

/// The settings of a map, taken one by one; what is left in the end is unknown.
#[derive(Debug)]
pub struct Fields<'n> {
    entries: &'n Entries,
    known: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// The value of a key; `None` where it is not given or null.
    pub fn take(&mut self, key: &'static str) -> Option<&'n Node> {
        self.known.push(key);
        self.entries.get(key).filter(|value| !value.is_null())
    }

    /// The keys that are given, in the order written.
    pub fn given(&self) -> impl Iterator<Item = &'n Key> {
        self.entries
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, _)| key)
    }

    /// What to write for a key that nobody asked for.
    fn instead(&self, written: &str, what: &str) -> Option<String> {
        let answer = synonyms::key(what, written).map(str::to_owned);
        answer.or_else(|| did_you_mean_all(written, self.known.iter().copied()))
    }

    /// Reports the keys that nobody asked for. `what` says whose settings these are: `a network`.
    pub fn finish(self, decoder: &mut Decoder<'_>, what: &str) {
        for (key, _) in self.entries {
            if !self.known.contains(&key.text.as_str()) {
                let mut problem =
                    Diagnostic::error(format!("unknown key `{}` in {what}", key.text)).at(key.span);
                problem.hint = self.instead(&key.text, what);
                decoder.report(problem);
            }
        }
    }
}
