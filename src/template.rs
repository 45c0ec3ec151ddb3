//! Templates: Jinja2's language, on minijinja. Template files are read here, and nowhere else.
//!
//! Users bring templates that were written for Jinja2, and get the same bytes for them. minijinja reads and runs them; what
//! Jinja2 takes from Python beside that is done here, by callbacks where minijinja has them:
//!
//! - [`rewrite`] writes the little anew that no callback reaches: `%`, literals of lists and dictionaries, names of templates.
//! - [`value`] has lists and dictionaries that change in place, [`methods`] their methods and those of strings, [`percent`]
//!   formats; [`filters`] and [`functions`] have what templates call by name.
//! - [`search`] finds templates: beside the one that asks, or in the search path; [`error`] explains what went wrong, and
//!   [`missing`] what is there instead.
//!
//! What differs from Jinja2 stands in `docs/templates.md`. Most of it is minijinja's.

mod arguments;
mod error;
mod filters;
mod functions;
mod methods;
mod missing;
mod percent;
mod quote;
mod rewrite;
mod search;
mod value;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use minijinja::{AutoEscape, Environment, State, UndefinedBehavior, Value};
use serde::{Deserialize, Serialize};

pub use error::TemplateError;

use error::{Hint, Problem, Unreadable};
use search::Search;
use value::refuse;

use crate::file::confined::Confined;
use crate::file::stamp::Stamp;
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
    /// For templates that ask to be otherwise strict.
    other: OnceLock<Environment<'static>>,
    search: Search,
    undefined: Undefined,
    fingerprint: OnceLock<Option<u64>>,
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
    /// `{# miniascape: undefined=lenient #}` among their first lines. What is rendered decides for all that it takes in.
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
        let reads_elsewhere = Arc::default();
        Self {
            environment: environment(&search, undefined, &reads_elsewhere),
            other: OnceLock::new(),
            search,
            undefined,
            fingerprint: OnceLock::new(),
            reads_elsewhere,
        }
    }

    /// What tells whether the templates of the search path are as they were; what is compiled in is the program's own. `None`
    /// where that cannot be told.
    pub fn fingerprint(&self) -> Option<u64> {
        let (strict, files) = (
            self.undefined == Undefined::Strict,
            &self.search.directories,
        );
        let made = || Some(fingerprint(&(strict, Stamp::below(files)?)));
        *self.fingerprint.get_or_init(made)
    }

    /// Whether a template took in a file that is not of the search path.
    pub fn reads_elsewhere(&self) -> bool {
        self.reads_elsewhere.load(Ordering::Relaxed)
    }

    /// Renders a template by its path in the search path, or a file by its absolute path.
    pub fn render<C: Serialize>(&self, name: &str, context: &C) -> Result<String, TemplateError> {
        match Path::new(name) {
            path if path.is_absolute() => self.render_file(path, context),
            _ => self.run(name, None, value_of(context)),
        }
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
        self.run(&search::name_of_file(path), Some(&text), value_of(context))
    }

    /// Renders a text. Its name is for errors; what it includes is looked for in the search path.
    pub fn render_text<C: Serialize>(
        &self,
        name: &str,
        text: &str,
        context: &C,
    ) -> Result<String, TemplateError> {
        self.run(name, Some(text), value_of(context))
    }

    /// Renders a text, or the template of this name.
    fn run(&self, name: &str, text: Option<&str>, context: Value) -> Result<String, TemplateError> {
        let rendered = with_stack(|| {
            let Some(text) = text else {
                let template = self.environment.get_template(name)?;
                let environment = self.environment(name, template.source())?;
                return environment.get_template(name)?.render(context.clone());
            };
            let environment = self.environment(name, text)?;
            environment.render_named_str(name, &prepare(name, text)?, context.clone())
        });
        let rendered = match value::was_cut() {
            true => rendered.and(Err(value::too_much())),
            false => rendered,
        };
        let explained = rendered.map_err(|error| {
            let source = error::Source {
                search: &self.search,
                name,
                text,
            };
            error::explain(&error, &source, &context)
        });
        missing::forget();
        explained
    }

    /// The environment that is as strict as a template asks for.
    fn environment(&self, name: &str, text: &str) -> Result<&Environment<'static>, Unreadable> {
        let asked = pragma(text).map_err(|problem| unreadable(name, problem))?;
        Ok(match asked.filter(|asked| *asked != self.undefined) {
            None => &self.environment,
            Some(other) => self
                .other
                .get_or_init(|| environment(&self.search, other, &self.reads_elsewhere)),
        })
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
    let rendered = templates.run(&search::name_of_file(path), Some(text), value_of(vars));
    rendered.map_err(|mut error| {
        let name = error.message.strip_suffix("` is not set");
        if let Some(name) = name.and_then(|start| start.strip_prefix('`')) {
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

fn unreadable(name: &str, problem: Problem) -> Unreadable {
    let template = name.to_owned();
    Unreadable { template, problem }
}

/// Writes a template for minijinja.
fn prepare(name: &str, text: &str) -> Result<String, Unreadable> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let written = pragma(&text).and_then(|_| rewrite::rewrite(&text));
    written.map_err(|problem| unreadable(name, problem))
}

/// Refuses a text that minijinja cannot read, while it is still known who asks for it.
fn readable(name: &str, source: String) -> Result<String, Unreadable> {
    let read = Environment::empty()
        .template_from_named_str(name, &source)
        .map(drop);
    read.map(|()| source).map_err(|error| {
        let message = error.detail().unwrap_or_default().to_owned();
        unreadable(name, (error.line().unwrap_or(1), message))
    })
}

/// How many of the first lines may hold `{# miniascape: … #}`.
const PRAGMA_LINES: usize = 5;

/// What a file asks for in a comment among its first lines: `{# miniascape: undefined=lenient #}`.
fn pragma(source: &str) -> Result<Option<Undefined>, Problem> {
    for (index, line) in source.lines().take(PRAGMA_LINES).enumerate() {
        let comment = line
            .split_once("{#")
            .and_then(|(_, rest)| rest.split_once("#}"));
        let comment = comment.map_or("", |(comment, _)| comment);
        let comment = comment.trim_matches(|c: char| c == '-' || c == '+' || c.is_whitespace());
        let Some(wish) = comment.strip_prefix("miniascape:") else {
            continue;
        };
        let known = "`undefined=lenient` or `undefined=strict`";
        return match wish.replace(char::is_whitespace, "").as_str() {
            "undefined=lenient" => Ok(Some(Undefined::Lenient)),
            "undefined=strict" => Ok(Some(Undefined::Strict)),
            _ => Err((
                index + 1,
                format!("`{}` is not known: write {known}", wish.trim()),
            )),
        };
    }
    Ok(None)
}

fn environment(
    search: &Search,
    undefined: Undefined,
    reads_elsewhere: &Arc<AtomicBool>,
) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(match undefined {
        Undefined::Strict => UndefinedBehavior::Strict,
        Undefined::Lenient => UndefinedBehavior::Lenient,
    });
    // Errors then say which expression it was that gave nothing.
    environment.set_debug(true);
    environment.set_fuel(Some(FUEL));
    environment.set_unknown_method_callback(methods::call);
    environment.set_auto_escape_callback(|name| match is_escaped(search::shown(name)) {
        true => AutoEscape::Html,
        false => AutoEscape::None,
    });
    environment.set_formatter(|out, state, value| {
        let text = value::text(value)?;
        match !value.is_safe() && *state.auto_escape() == AutoEscape::Html {
            true => Ok(out.write_str(&filters::escape(&text))?),
            false => Ok(out.write_str(&text)?),
        }
    });
    environment.set_loader({
        let (search, reads_elsewhere) = (search.clone(), reads_elsewhere.clone());
        move |name| {
            if search::is_file(name) {
                reads_elsewhere.store(true, Ordering::Relaxed);
            }
            let text = search.read(name).map_err(|why| {
                let error = refuse(format!("{} cannot be read: {why}", search::shown(name)));
                match why.hint() {
                    Some(hint) => error.with_source(Hint(hint.to_owned())),
                    None => error,
                }
            });
            let source = text?.map(|text| readable(name, prepare(name, &text)?));
            Ok(source.transpose()?)
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
                None => Err(refuse("templates extend each other without end")
                    .with_source(Hint("does a template extend itself?".to_owned()))),
            },
        }
    });
    functions::add_to(&mut environment);
    filters::add_to(&mut environment);
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
