//! `miniascape state`

use clap::{Args, Subcommand};

use super::destroy::name;
use super::output::{Failure, result};
use super::session::{lab_meant, name_and_settings, state_directory};
use super::{Common, Exit, help};
use crate::address::Name;
use crate::state::store::{Access, Store};
use crate::view::Color;
use crate::view::plain::one_line;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say whether the state is as miniascape wrote it
    #[command(after_help = help::closing(
        &["miniascape state check --accept"],
        "README.md in the source, under Ownership and state",
    ))]
    Check(Check),
}

#[derive(Debug, Args)]
struct Check {
    /// Take it as it is, after a change by hand
    #[arg(long)]
    accept: bool,
    /// The lab's name, where its definition is gone or broken
    #[arg(long, value_name = "NAME", value_parser = name)]
    lab: Option<Name>,
}

pub(super) fn run(common: &Common, arguments: &Arguments, color: Color) -> Result<Exit, Failure> {
    let Command::Check(check) = &arguments.command;
    let (lab, settings, _) = name_and_settings(common, check.lab.as_ref(), "state check", color)?;
    let directory = state_directory(common, &settings);
    if !Store::exists(&directory, &lab) {
        return Err(Failure::new(
            format!("lab {lab} has no state in {}", directory.display()),
            lab_meant(&directory, &lab).unwrap_or_else(|| {
                "before the first apply there is none; look elsewhere with `--chdir` or `--state`"
                    .to_owned()
            }),
        ));
    }
    let (state, how) = match check.accept {
        true => (Store::accept(&directory, &lab)?, "is taken as it is"),
        false => {
            let (_, state) = Store::open(&directory, &lab, Access::Read)?;
            (state, "is as miniascape wrote it")
        }
    };
    let resources = match state.resources.len() {
        0 => "no resources".to_owned(),
        1 => "1 resource".to_owned(),
        number => format!("{number} resources"),
    };
    let directory = directory.to_string_lossy();
    let directory = one_line(&directory);
    result(&format!(
        "The state of lab {lab} in {directory} {how}: {resources}.\n"
    ))?;
    Ok(Exit::Success)
}
