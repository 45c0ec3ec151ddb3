//! `miniascape render`

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use clap::Args;
use minijinja::Value;
use minijinja::value::Serde;

use super::generate::{assumed, guest_named, root};
use super::output::{Failure, result};
use super::session::{Session, Warnings, settings, templates, var_file};
use super::{Common, Exit};
use crate::address::Address;
use crate::desired::Formats;
use crate::desired::answers::whole_lines;
use crate::diagnostic::Diagnostics;
use crate::generate::{self, Request, Selection};
use crate::lab::HOST;
use crate::lab::load::to_yaml;
use crate::lab::model::{Guest, Lab};
use crate::template::{TemplateError, Templates};
use crate::view::Color;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A file, or a path in the search path such as guest/vmbuild.sh.j2
    #[arg(value_name = "TEMPLATE", required_unless_present = "context")]
    template: Option<String>,
    /// Give it what templates of this guest see; without it, what those of the host see
    #[arg(long, value_name = "GUEST", conflicts_with = "context_file")]
    guest: Option<String>,
    /// Give it the values of this YAML or JSON file, and read no definition
    #[arg(long, value_name = "FILE")]
    context_file: Option<PathBuf>,
    /// Print as YAML what templates of this guest see
    #[arg(
        long,
        value_name = "GUEST",
        conflicts_with_all = ["template", "guest", "context_file"]
    )]
    context: Option<String>,
}

pub(super) fn run(common: &Common, arguments: &Arguments, color: Color) -> Result<Exit, Failure> {
    let name = name(arguments);
    let mut common = common.clone();
    if let Some(directory) = Path::new(&name).parent().filter(|path| path.is_absolute()) {
        // The user named it.
        common.include_path.push(directory.to_owned());
    }
    let common = &common;
    let text = match (&arguments.context, &arguments.context_file) {
        (Some(guest), _) => context(common, guest, color)?,
        (None, Some(file)) => with_file(common, name, file)?,
        (None, None) => with_lab(common, name, arguments.guest.as_deref(), color)?,
    };
    result(&text)?;
    Ok(Exit::Success)
}

/// The template's name: an absolute path where there is such a file, else a path in the search path.
fn name(arguments: &Arguments) -> String {
    let written = arguments.template.clone().unwrap_or_default();
    let path = Path::new(&written);
    match std::path::absolute(path) {
        Ok(whole) if path.is_file() => whole.to_string_lossy().into_owned(),
        Ok(_) | Err(_) => written,
    }
}

fn with_file(common: &Common, name: String, file: &Path) -> Result<String, Failure> {
    let templates = templates(common, &settings(common)?);
    let problem = |problem| {
        let mut problems = Diagnostics::default();
        problems.push(problem);
        Failure::Problems(problems, Box::default())
    };
    let values = var_file(file)?;
    rendered(&templates, &name, &Value::from(Serde(values)))
        .map_err(|error| problem(error.diagnostic("with the values of that file")))
}

fn with_lab(
    common: &Common,
    name: String,
    guest: Option<&str>,
    color: Color,
) -> Result<String, Failure> {
    let session = Session::open(common, Warnings::Told, color)?;
    let guest = guest
        .map(|guest| guest_named(&session.lab, guest))
        .transpose()?;
    let context = see(
        common,
        &session,
        guest,
        &goes_to(&name, &session.lab, guest),
    )?;
    rendered(&session.templates, &name, &context).map_err(|error| {
        let address = guest.map(|guest| Address::guest(&guest.key));
        let place = address
            .as_ref()
            .and_then(|address| session.lab.places.get(address));
        let whom = address
            .as_ref()
            .map_or("the host".to_owned(), Address::to_string);
        let mut problems = Diagnostics::default();
        problems.push(error.diagnostic(&format!("for {whom}")).at(place.copied()));
        Failure::Problems(problems, Box::new(session.sources.clone()))
    })
}

fn context(common: &Common, guest: &str, color: Color) -> Result<String, Failure> {
    let session = Session::open(common, Warnings::Told, color)?;
    let guest = guest_named(&session.lab, guest)?;
    let context = see(
        common,
        &session,
        Some(guest),
        &goes_to("FILE", &session.lab, Some(guest)),
    )?;
    to_yaml(&context).map_err(|problem| Failure::Message(problem.summary, problem.hint))
}

fn see(
    common: &Common,
    session: &Session,
    guest: Option<&Guest>,
    dst: &str,
) -> Result<Value, Failure> {
    let request = Request {
        lab: &session.lab,
        templates: &session.templates,
        assumed: &assumed(&session.lab, Formats::Open)?,
        root: &root(common),
        selection: Selection::All,
    };
    let (context, problems) = generate::context(&request, guest, dst);
    session.check(&problems)?;
    Ok(context)
}

/// Where a template's text would go: where the `templates` of the guest or the host say, else into its directory.
fn goes_to(name: &str, lab: &Lab, guest: Option<&Guest>) -> String {
    let file = name.rsplit('/').next().unwrap_or(name);
    let file = file.strip_suffix(".j2").unwrap_or(file);
    let (directory, templates) = match guest {
        None => (HOST, &lab.host.templates),
        Some(guest) => (guest.key.as_str(), &guest.templates),
    };
    let own = templates.iter().find(|template| template.src == name);
    let dst = own.map_or(file, |template| &template.dst);
    format!("{directory}/{dst}")
}

/// What a template gives, and not a byte more; but on a terminal the prompt comes on a line of its own.
fn rendered(templates: &Templates, name: &str, context: &Value) -> Result<String, TemplateError> {
    let text = templates.render(name, context)?;
    Ok(match std::io::stdout().is_terminal() {
        true => whole_lines(text),
        false => text,
    })
}
