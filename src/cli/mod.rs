//! The commands: arguments and wiring, one file each. Decisions are made in the library's other modules.

mod apply;
mod completions;
mod confirm;
mod destroy;
mod explain;
mod generate;
mod help;
mod import;
mod named;
mod output;
mod plan;
mod render;
mod run;
mod schema;
mod session;
pub mod settings;
mod state;
mod status;
mod terminal;
mod validate;
mod waiting;
mod words;

use std::borrow::Cow;
use std::io::Write;
use std::path::PathBuf;

use anstream::{AutoStream, ColorChoice};
use clap::{Args, FromArgMatches, Parser, Subcommand, ValueEnum};

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
    arg_required_else_help = true,
    after_help = help::closing(
        &["miniascape apply -c test:///default -C examples/hello"],
        "README.md in the source; miniascape COMMAND --help",
    )
)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command takes. Which of them a command heeds, and shows, is in [`help`].
#[derive(Debug, Clone, Args)]
struct Common {
    /// Directory of the lab
    #[arg(
        long,
        global = true,
        help_heading = DEFINITION,
        value_name = "DIR",
        default_value = "."
    )]
    chdir: PathBuf,
    /// File, directory or glob of the definition; may be repeated, later ones win [default: lab.yaml and lab.d]
    #[arg(
        short = 'C',
        long = "config",
        global = true,
        help_heading = DEFINITION,
        value_name = "PATH"
    )]
    config: Vec<String>,
    /// Variable for definitions that are templates; may be repeated
    #[arg(
        long,
        global = true,
        help_heading = DEFINITION,
        value_name = "NAME=VALUE",
        value_parser = variable
    )]
    var: Vec<(String, String)>,
    /// YAML or JSON file with variables; may be repeated
    #[arg(
        long,
        global = true,
        help_heading = DEFINITION,
        value_name = "FILE"
    )]
    var_file: Vec<PathBuf>,
    /// Directory of templates, searched before the lab's own, DIR/templates; may be repeated
    #[arg(
        short,
        long,
        global = true,
        help_heading = DEFINITION,
        value_name = "DIR"
    )]
    templates: Vec<PathBuf>,
    /// Directory that definitions and templates may take files from, beside the lab's own; may be repeated
    #[arg(
        long,
        global = true,
        help_heading = DEFINITION,
        value_name = "DIR"
    )]
    include_path: Vec<PathBuf>,
    /// Hypervisor to work on, as a libvirt URI [default: libvirt's own choice, LIBVIRT_DEFAULT_URI if set]
    #[arg(
        short,
        long,
        global = true,
        help_heading = HYPERVISOR,
        value_name = "URI"
    )]
    connect: Option<String>,
    /// How long libvirt may leave all unanswered, 0 for ever [default: 30s]
    #[arg(
        long,
        global = true,
        help_heading = HYPERVISOR,
        value_name = "TIME",
        value_parser = crate::cli::settings::timeout
    )]
    timeout: Option<u64>,
    /// Directory that the state is kept in [default: state in the lab's]
    #[arg(
        long,
        global = true,
        help_heading = HYPERVISOR,
        value_name = "DIR"
    )]
    state: Option<PathBuf>,
    /// Say less: only results and failures
    #[arg(short, long, global = true, help_heading = OUTPUT)]
    quiet: bool,
    /// Show passwords where they would be hidden
    #[arg(long, global = true, help_heading = OUTPUT)]
    show_secrets: bool,
    /// When to use colours: auto (on a terminal that can, unless NO_COLOR is set), always or never
    #[arg(
        long,
        global = true,
        help_heading = OUTPUT,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true
    )]
    color: When,
}

/// Options about what is defined.
const DEFINITION: &str = "Definition";
/// Options about what is there.
const HYPERVISOR: &str = "Hypervisor and state";
/// Options about what is printed.
const OUTPUT: &str = "Output";

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
    #[command(after_help = help::closing(
        &["miniascape plan --diff", "miniascape plan --target guest.web --json"],
        "docs/changes.md, docs/drift.md and docs/json.md in the source",
    ))]
    Plan(plan::Arguments),
    /// Make libvirt hold what is defined
    #[command(after_help = help::closing(
        &["miniascape apply", "miniascape apply --yes --max-disruption live"],
        "docs/changes.md and docs/json.md in the source",
    ))]
    Apply(apply::Arguments),
    /// Take the lab away, and nothing else
    #[command(after_help = help::closing(
        &["miniascape destroy", "miniascape destroy --target guest.web"],
        "README.md in the source, under Ownership and state",
    ))]
    Destroy(destroy::Arguments),
    /// Compile the definition into files that work without miniascape
    #[command(visible_alias = "ge", after_help = help::closing(
        &["miniascape generate", "miniascape generate web --diff"],
        "docs/generate.md in the source",
    ))]
    Generate(generate::Arguments),
    /// Print what a template gives, or what it is given
    #[command(after_help = help::closing(
        &["miniascape render motd.j2 --guest web", "miniascape render --context web"],
        "docs/templates.md in the source",
    ))]
    Render(render::Arguments),
    /// Check the definition, without a hypervisor
    #[command(after_help = help::closing(
        &["miniascape validate --chdir labs/shop"],
        "docs/definition.md in the source",
    ))]
    Validate,
    /// Take over objects that are there
    #[command(after_help = help::closing(
        &["miniascape import guest.web volume.web.root", "miniascape import --all"],
        "README.md in the source, under Ownership and state",
    ))]
    Import(import::Arguments),
    /// Show the lab's resources and how they are
    #[command(after_help = help::closing(
        &["miniascape status -c qemu:///system"],
        "README.md in the source",
    ))]
    Status,
    /// Look after the lab's state
    #[command(after_help = help::closing(
        &["miniascape state check"],
        "README.md in the source, under Ownership and state",
    ))]
    State(state::Arguments),
    /// Say what a key of the definition does
    #[command(after_help = help::closing(
        &["miniascape explain", "miniascape explain 'guests.*.disks.*.cache'"],
        "docs/definition.md in the source",
    ))]
    Explain(explain::Arguments),
    /// Print the definition's JSON Schema, for editors
    #[command(after_help = help::closing(
        &["miniascape schema"],
        "docs/definition.md in the source, under In an editor",
    ))]
    Schema,
    /// Print a completion script for a shell
    #[command(after_help = help::closing(
        &["source <(miniascape completions bash)"],
        "README.md in the source, under Set up",
    ))]
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

/// Reads the process's arguments.
fn read() -> Result<Cli, clap::Error> {
    let mut command = help::read();
    let matches = command.try_get_matches_from_mut(std::env::args_os());
    matches.and_then(|matches| {
        Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    })
}

/// Runs the program with the process's arguments, and says with which code to end.
pub fn main() -> i32 {
    let cli = match read() {
        Ok(cli) => cli,
        Err(error) => {
            let error = words::advised(error);
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
        Command::Explain(arguments) => explain::run(arguments, color),
        Command::Schema => schema::run(),
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
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        help::read().debug_assert();
        help::completed().debug_assert();
    }
}
