//! The commands: arguments and wiring, one file each. Decisions are made in the library's other modules.

mod apply;
mod completions;
mod confirm;
mod destroy;
mod generate;
mod import;
mod output;
mod plan;
mod render;
mod run;
mod session;
mod state;
mod status;
mod terminal;
mod validate;
mod waiting;

use std::borrow::Cow;
use std::io::Write;
use std::path::PathBuf;

use anstream::{AutoStream, ColorChoice};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::secret::Secrets;
use crate::view::Color;
use crate::view::plain::plain;

/// Keeps a virtualization lab as text: networks, storage pools, images and guests in YAML, made real on libvirt
#[derive(Debug, Parser)]
#[command(
    name = "miniascape",
    version,
    propagate_version = true,
    max_term_width = 80,
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command has.
#[derive(Debug, Clone, Args)]
struct Common {
    /// Directory of the lab
    #[arg(
        long,
        global = true,
        help_heading = "Common options",
        value_name = "DIR",
        default_value = "."
    )]
    chdir: PathBuf,
    /// File, directory or glob of the definition, instead of lab.yaml and lab.d; may be repeated, later ones win
    #[arg(
        short = 'C',
        long = "config",
        global = true,
        help_heading = "Common options",
        value_name = "PATH"
    )]
    config: Vec<String>,
    /// Hypervisor to work on, as a libvirt URI
    #[arg(
        short,
        long,
        global = true,
        help_heading = "Common options",
        value_name = "URI"
    )]
    connect: Option<String>,
    /// How long libvirt may leave all unanswered, 30s if not given, 0 for ever
    #[arg(
        long,
        global = true,
        help_heading = "Common options",
        value_name = "TIME",
        value_parser = crate::settings::timeout
    )]
    timeout: Option<u64>,
    /// Directory that the state is kept in
    #[arg(
        long,
        global = true,
        help_heading = "Common options",
        value_name = "DIR"
    )]
    state: Option<PathBuf>,
    /// Directory of templates, searched first; may be repeated
    #[arg(
        short,
        long,
        global = true,
        help_heading = "Common options",
        value_name = "DIR"
    )]
    templates: Vec<PathBuf>,
    /// Variable for definitions that are templates; may be repeated
    #[arg(long, global = true, help_heading = "Common options", value_name = "NAME=VALUE", value_parser = variable)]
    var: Vec<(String, String)>,
    /// YAML or JSON file with variables; may be repeated
    #[arg(
        long,
        global = true,
        help_heading = "Common options",
        value_name = "FILE"
    )]
    var_file: Vec<PathBuf>,
    /// Show passwords where they would be hidden
    #[arg(long, global = true, help_heading = "Common options")]
    show_secrets: bool,
    /// Directory that definitions and templates may take files from, beside the lab's own; may be repeated
    #[arg(
        long,
        global = true,
        help_heading = "Common options",
        value_name = "DIR"
    )]
    include_path: Vec<PathBuf>,
    /// Say less: only results and failures
    #[arg(short, long, global = true, help_heading = "Common options")]
    quiet: bool,
    /// When to use colours
    #[arg(
        long,
        global = true,
        help_heading = "Common options",
        value_name = "WHEN",
        default_value = "auto"
    )]
    color: When,
}

impl Common {
    fn secrets(&self) -> Secrets {
        match self.show_secrets {
            true => Secrets::Shown,
            false => Secrets::Hidden,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum When {
    /// On a terminal that can, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what differs between the definition and libvirt
    Plan(plan::Arguments),
    /// Make libvirt hold what is defined
    Apply(apply::Arguments),
    /// Take the lab away, and nothing else
    Destroy(destroy::Arguments),
    /// Compile the definition into files that work without miniascape
    #[command(visible_alias = "ge")]
    Generate(generate::Arguments),
    /// Print what a template gives, or what it is given
    Render(render::Arguments),
    /// Check the definition, without a hypervisor
    Validate,
    /// Take over objects that are there
    Import(import::Arguments),
    /// Show the lab's resources and how they are
    Status,
    /// Look after the lab's state
    State(state::Arguments),
    /// Print a completion script for a shell
    Completions(completions::Arguments),
}

/// What a command ends with. Usage errors are failures too, so that 2 means one thing only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// 0: done, or nothing to do.
    Success,
    /// 1: something failed.
    Failure,
    /// 2: `plan --detailed-exitcode` or `generate --check` found changes.
    Changes,
    /// 130: a signal stopped the run, or came instead of an answer.
    Interrupted,
}

impl Exit {
    fn code(self) -> i32 {
        match self {
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::Changes => 2,
            Exit::Interrupted => 130,
        }
    }
}

/// Runs the program with the process's arguments, and says with which code to end.
pub fn main() -> i32 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() {
                Exit::Failure
            } else {
                Exit::Success
            };
            return match output::printed(print(&error)) {
                Err(failure) if exit == Exit::Success => {
                    failure.print(Color::Never);
                    Exit::Failure.code()
                }
                Ok(()) | Err(_) => exit.code(),
            };
        }
    };
    let color = color(cli.common.color);
    let result = match &cli.command {
        Command::Plan(arguments) => plan::run(&cli.common, arguments, color),
        Command::Apply(arguments) => apply::run(&cli.common, arguments, color),
        Command::Destroy(arguments) => destroy::run(&cli.common, arguments, color),
        Command::Generate(arguments) => generate::run(&cli.common, arguments, color),
        Command::Render(arguments) => render::run(&cli.common, arguments, color),
        Command::Validate => validate::run(&cli.common, color),
        Command::Import(arguments) => import::run(&cli.common, arguments, color),
        Command::Status => status::run(&cli.common, color),
        Command::State(arguments) => state::run(&cli.common, arguments, color),
        Command::Completions(arguments) => completions::run(arguments),
    };
    match result {
        Ok(exit) => exit.code(),
        Err(failure) => {
            failure.print(color);
            Exit::Failure.code()
        }
    }
}

fn color(when: When) -> Color {
    let wanted = match when {
        When::Always => true,
        When::Never => false,
        When::Auto => {
            let choices = [
                AutoStream::choice(&std::io::stdout()),
                AutoStream::choice(&std::io::stderr()),
            ];
            may_colour() && choices.iter().all(|choice| *choice != ColorChoice::Never)
        }
    };
    if wanted { Color::Always } else { Color::Never }
}

/// Whether a terminal may be given colours. On that of a CI it would go by that it is one alone.
fn may_colour() -> bool {
    !is_dumb() || std::env::var_os("CLICOLOR_FORCE").is_some()
}

/// Prints help, or what is wrong with the arguments. Those are repeated in it, and may be what someone else gave.
fn print(error: &clap::Error) -> std::io::Result<()> {
    let text = error.render().to_string();
    let told = plain(&text);
    let has_commands = matches!(told, Cow::Owned(_)) && error.use_stderr();
    if may_colour() && !has_commands {
        return error.print().and_then(|()| std::io::stdout().flush());
    }
    match error.use_stderr() {
        true => write!(std::io::stderr(), "{told}"),
        false => write!(std::io::stdout(), "{told}").and_then(|()| std::io::stdout().flush()),
    }
}

/// Whether the terminal takes no commands.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_fits_80_columns() {
        let mut command = Cli::command();
        command.clone().debug_assert();
        let mut pages = vec![command.render_long_help().to_string()];
        for sub in command.get_subcommands_mut() {
            pages.push(sub.render_long_help().to_string());
        }
        for line in pages.iter().flat_map(|page| page.lines()) {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
