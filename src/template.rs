//! Templates: Jinja2's language, on minijinja. Template files are read here, and nowhere else.
//!
//! Users bring templates that were written for Jinja2, and get the same bytes for them. minijinja reads and runs their
//! statements: scopes, loops, macros, inheritance, includes. What else Jinja2 takes from Python is done here:
//!
//! - [`syntax`] rewrites expressions before minijinja sees them. That is how `%` formats strings with the precedence it
//!   has in Python: minijinja has no hook for operators, a value type of ours cannot be on the left of `%` (it would have to
//!   stand for every string), and a filter binds tighter. It is also how list literals become lists that change, how a
//!   strict file is strict beside a lenient one, and how an error can say what is there instead.
//! - [`value`] has lists and dictionaries that change in place, [`python`] their methods and the methods of strings, printing,
//!   comparing, arithmetic and formatting; [`filters`], [`predicates`] and [`globals`] have what templates call by name.
//! - [`search`] finds templates: beside the one that asks, or in the search path; [`error`] explains what went wrong.
//!
//! What differs from Jinja2 stands in `docs/templates.md`. Most of it is minijinja's: its blocks and includes see all
//! variables around them, its macros take an undefined argument for one that is not given, its recursive loops leave out
//! `else`. To change that would mean a virtual machine of our own.

mod error;
mod filters;
mod globals;
mod lookup;
mod modes;
mod operators;
mod predicates;
mod python;
mod quote;
mod search;
mod syntax;
mod value;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use minijinja::{AutoEscape, Environment, ErrorKind, State, UndefinedBehavior, Value};
use serde::{Deserialize, Serialize};

pub use error::TemplateError;

use error::Unreadable;
use lookup::Hint;
use modes::Modes;
use operators::ISOLATED;
use search::Search;
use syntax::{Context, SyntaxError};

use crate::file::confined::Confined;
use crate::fingerprint::fingerprint;

/// The templates that are compiled in, by their path in the search path: all of `templates/`, sorted by path.
pub const BUILT_IN: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/built_in.rs"));

/// Instructions that one rendering may take: a loop without end stops here.
const FUEL: u64 = 20_000_000;

/// The stack that one rendering may take.
const STACK: usize = 32 << 20;

/// What becomes of a variable, an attribute or an item that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Undefined {
    /// Using it is an error, as with Jinja2's `StrictUndefined`.
    #[default]
    Strict,
    /// It prints as nothing and is gone over as nothing, as with Jinja2's `Undefined`.
    Lenient,
}

/// The templates of a lab: its own, then the machine's, then those that are compiled in.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
    search: Search,
    modes: Arc<Modes>,
    undefined: Undefined,
    print: OnceLock<Option<u64>>,
    reads_elsewhere: Arc<AtomicBool>,
}

impl Templates {
    /// Templates that are looked for in these directories, in order, and then among those compiled in. They are strict
    /// about undefined values.
    pub fn new(directories: Vec<PathBuf>) -> Self {
        let confined = Confined::to(&directories);
        let search = Search {
            directories,
            confined,
        };
        Self::with(search, Undefined::Strict)
    }

    /// The same, with what becomes of undefined values in files that do not say it themselves, in a comment
    /// `{# miniascape: undefined=lenient #}` among their first lines.
    pub fn undefined(self, undefined: Undefined) -> Self {
        Self::with(self.search, undefined)
    }

    /// The same, with the directories that files may be read in. Without, it is those of the search path.
    pub fn confined(self, confined: Confined) -> Self {
        let search = Search {
            confined,
            ..self.search
        };
        Self::with(search, self.undefined)
    }

    fn with(search: Search, undefined: Undefined) -> Self {
        let modes = Arc::new(Modes::default());
        let reads_elsewhere = Arc::default();
        Self {
            environment: environment(&search, &modes, undefined, &reads_elsewhere),
            search,
            modes,
            undefined,
            print: OnceLock::new(),
            reads_elsewhere,
        }
    }

    /// What tells whether the templates of the search path are as they were; what is compiled in is the program's own. `None`
    /// where that cannot be told.
    pub fn print(&self) -> Option<u64> {
        let made = || {
            Some(fingerprint(&(
                self.undefined == Undefined::Strict,
                self.search.stamps()?,
            )))
        };
        *self.print.get_or_init(made)
    }

    /// Whether a template took in a file that is not of the search path.
    pub fn reads_elsewhere(&self) -> bool {
        self.reads_elsewhere.load(Ordering::Relaxed)
    }

    /// Renders a template by its path in the search path, or a file by its absolute path.
    pub fn render<C: Serialize>(&self, name: &str, context: &C) -> Result<String, TemplateError> {
        let path = Path::new(name);
        if path.is_absolute() {
            return self.render_file(path, context);
        }
        let rendered = with_stack(|| {
            self.environment
                .get_template(name)
                .and_then(|template| template.render(value_of(context)))
        });
        rendered.map_err(|error| error::explain(&error, name, None, &self.search))
    }

    /// Renders a file by its path. What it includes is looked for beside it, and then in the search path.
    pub fn render_file<C: Serialize>(
        &self,
        path: &Path,
        context: &C,
    ) -> Result<String, TemplateError> {
        let read = self.search.confined.read(path);
        let text = read.map_err(|why| TemplateError {
            template: path.display().to_string(),
            line: None,
            source_line: None,
            message: format!("the template cannot be read: {why}"),
            hint: why.hint().map(str::to_owned),
        })?;
        self.render_named(&search::name_of_file(path), &text, context)
    }

    /// Renders a text. Its name is for errors; what it includes is looked for in the search path.
    pub fn render_text<C: Serialize>(
        &self,
        name: &str,
        text: &str,
        context: &C,
    ) -> Result<String, TemplateError> {
        self.render_named(name, text, context)
    }

    fn render_named<C: Serialize>(
        &self,
        name: &str,
        text: &str,
        context: &C,
    ) -> Result<String, TemplateError> {
        let rendered = with_stack(|| {
            let source = prepare(name, text, self.undefined, &self.modes)?;
            self.environment
                .render_named_str(name, &source, value_of(context))
        });
        rendered.map_err(|error| error::explain(&error, name, Some(text), &self.search))
    }
}

/// Runs what recurses through templates. minijinja's parser and machine, our functions and what is dropped at the end
/// stay within this stack, whatever the template: their depths are limited, and a test goes to all the limits.
fn with_stack<T>(render: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(STACK, STACK, render)
}

/// Renders a file of a definition, whose text is read already. Other files are included by their path relative to the
/// including one.
pub fn render_file(
    path: &Path,
    text: &str,
    vars: &serde_json::Map<String, serde_json::Value>,
    confined: &Confined,
) -> Result<String, TemplateError> {
    let templates = Templates::new(Vec::new()).confined(confined.clone());
    let rendered = templates.render_named(&search::name_of_file(path), text, vars);
    rendered.map_err(|mut error| {
        let name = error
            .message
            .strip_suffix("` is not set")
            .and_then(|start| start.strip_prefix('`'));
        if let Some(name) = name {
            let near = error.hint.filter(|hint| hint.starts_with("did you mean"));
            error.hint = Some(near.unwrap_or(format!("give it with `--var {name}=…`")));
        }
        error
    })
}

/// A context as lists and dictionaries that a template may change without anybody else seeing it.
fn value_of<C: Serialize>(context: &C) -> Value {
    value::own(&Value::from(minijinja::value::Serde(context)))
}

/// Writes a template for minijinja, and remembers what it asks for.
fn prepare(
    name: &str,
    text: &str,
    undefined: Undefined,
    modes: &Modes,
) -> Result<String, Unreadable> {
    let unreadable = |error: SyntaxError| Unreadable {
        template: name.to_owned(),
        error,
    };
    let undefined = syntax::pragma(text)
        .map_err(unreadable)?
        .unwrap_or(undefined);
    modes.set(name, undefined);
    let context = match name.ends_with(ISOLATED) {
        true => Context::Isolated,
        false => Context::Shared,
    };
    syntax::translate(text, undefined, context).map_err(unreadable)
}

fn environment(
    search: &Search,
    modes: &Arc<Modes>,
    undefined: Undefined,
    reads_elsewhere: &Arc<AtomicBool>,
) -> Environment<'static> {
    let mut environment = Environment::new();
    // Strictness is the files' own: what they use is checked by what their expressions are rewritten to.
    environment.set_undefined_behavior(UndefinedBehavior::Lenient);
    environment.set_fuel(Some(FUEL));
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.set_auto_escape_callback(|name| match is_escaped(search::shown(name)) {
        true => AutoEscape::Html,
        false => AutoEscape::None,
    });
    environment.set_formatter(|out, state, value| {
        let text = python::text(value)?;
        let escapes = !matches!(state.auto_escape(), AutoEscape::None) && !value.is_safe();
        let text = if escapes {
            filters::escape(&text)
        } else {
            text
        };
        out.write_str(&text).map_err(minijinja::Error::from)
    });
    environment.set_loader({
        let (search, modes) = (search.clone(), modes.clone());
        let reads_elsewhere = reads_elsewhere.clone();
        move |name| {
            if search::is_file(name) {
                reads_elsewhere.store(true, Ordering::Relaxed);
            }
            match search.read(name) {
                Ok(Some(text)) => Ok(Some(prepare(name, &text, undefined, &modes)?)),
                Ok(None) => Ok(None),
                Err(why) => {
                    let message = format!("{} cannot be read: {why}", search::shown(name));
                    let error = minijinja::Error::new(ErrorKind::InvalidOperation, message);
                    Err(match why.hint() {
                        Some(hint) => error.with_source(Hint(hint.to_owned())),
                        None => error,
                    })
                }
            }
        }
    });
    environment.set_path_join_callback({
        let search = search.clone();
        move |name, parent| search.join(name, parent).into()
    });
    environment.add_function("py__parent", {
        let search = search.clone();
        move |state: &State, name: Value| match name.as_str() {
            None => Ok(name),
            Some(name) => match search.parent(name, state.name()) {
                Some(parent) => Ok(parent.into()),
                None => Err(minijinja::Error::new(
                    ErrorKind::InvalidOperation,
                    "templates extend each other without end",
                )
                .with_source(Hint("does a template extend itself?".to_owned()))),
            },
        }
    });
    environment.add_global(modes::NAME, modes::value(modes));
    globals::add_to(&mut environment);
    operators::add_to(&mut environment);
    lookup::add_to(&mut environment);
    filters::add_to(&mut environment);
    predicates::add_to(&mut environment);
    environment.add_filter("quote", |text: &str| quote::quote(text));
    environment
}

/// Whether a template's values are escaped: XML in a folder where there is XML among what is compiled in. Users' templates
/// elsewhere are as Jinja2 has them by default.
fn is_escaped(name: &str) -> bool {
    let folder = |name: &str| Path::new(name).parent().map(Path::to_owned);
    name.ends_with(".xml.j2")
        && BUILT_IN
            .iter()
            .any(|(known, _)| known.ends_with(".xml.j2") && folder(known) == folder(name))
}

#[cfg(test)]
mod tests;
