//! The pages of help: which of the common options each command shows, examples, and where to read on.

use clap::builder::{StyledStr, Styles};
use clap::{Arg, Command, CommandFactory};

use super::Cli;

/// Commands that read a definition, or may.
const DEFINED: &[&str] = &[
    "plan", "apply", "destroy", "generate", "render", "validate", "import", "status", "state",
];
/// Commands that put a definition through templates.
const MADE: &[&str] = &[
    "plan", "apply", "generate", "render", "validate", "import", "status",
];
/// Commands that ask a hypervisor.
const LIVE: &[&str] = &["plan", "apply", "destroy", "import", "status"];

/// Commands whose output has colours.
const COLOURED: &[&str] = &[
    "plan", "apply", "destroy", "generate", "render", "validate", "import", "status", "state",
    "explain",
];

/// Which commands heed each of the common options. Every command takes all of them, so that an alias or a script may put them
/// before any; a command's help and its completions have those alone that it heeds.
const HEEDED: [(&str, &[&str]); 12] = [
    ("chdir", DEFINED),
    ("config", DEFINED),
    ("var", DEFINED),
    ("var_file", DEFINED),
    ("templates", MADE),
    ("include_path", DEFINED),
    ("connect", LIVE),
    ("timeout", LIVE),
    (
        "state",
        &["plan", "apply", "destroy", "import", "status", "state"],
    ),
    (
        "quiet",
        &["plan", "apply", "destroy", "generate", "import", "status"],
    ),
    ("show_secrets", &["plan", "apply", "generate"]),
    ("color", COLOURED),
];

fn heeds(command: &str, option: &Arg) -> bool {
    let mut table = HEEDED.iter();
    table.any(|(name, commands)| option.get_id() == name && commands.contains(&command))
}

/// What becomes of options that a command does not heed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unheeded {
    /// They are taken, and not shown.
    Hidden,
    /// They are not there.
    Gone,
}

/// The command line as it is read.
pub(super) fn read() -> Command {
    with_common(Unheeded::Hidden)
}

/// The command line as shells complete it, which show what is hidden, too.
pub(super) fn completed() -> Command {
    with_common(Unheeded::Gone)
}

fn with_common(unheeded: Unheeded) -> Command {
    let command = Cli::command();
    let common: Vec<Arg> = common(&command).cloned().collect();
    let command = match unheeded {
        Unheeded::Hidden => command,
        Unheeded::Gone => command.mut_args(|option| option.global(false)),
    };
    command.mut_subcommands(|sub| {
        let name = sub.get_name().to_owned();
        let options = common.iter().filter_map(|option| {
            let option = option.clone();
            match (heeds(&name, &option), unheeded) {
                (true, Unheeded::Hidden) => Some(option),
                (true, Unheeded::Gone) => Some(option.global(false)),
                (false, Unheeded::Hidden) => Some(option.hide(true)),
                (false, Unheeded::Gone) => None,
            }
        });
        give(sub, &options.collect::<Vec<_>>())
    })
}

fn common(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|it| it.is_global_set())
}

/// Gives a command options, and to what is below it.
fn give(command: Command, options: &[Arg]) -> Command {
    let command = command.args(options);
    command.mut_subcommands(|sub| give(sub, options))
}

/// The end of a page: how the command is used, and where its documentation is.
pub(super) fn closing(examples: &[&str], pages: &str) -> StyledStr {
    let styles = Styles::styled();
    let header = styles.get_header();
    let heading = match examples {
        [_] => "Example",
        _ => "Examples",
    };
    let examples: String = examples.iter().map(|it| format!("\n  {it}")).collect();
    StyledStr::from(format!(
        "{header}{heading}:{header:#}{examples}\n\n{header}Documentation:{header:#} {pages}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_common_option_and_no_others() {
        let command = Cli::command();
        let named: Vec<&str> = common(&command).map(|it| it.get_id().as_str()).collect();
        assert_eq!(HEEDED.map(|(name, _)| name).to_vec(), named);
        let known: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
        for name in HEEDED.iter().flat_map(|(_, commands)| *commands) {
            assert!(known.contains(name), "{name}");
        }
    }

    #[test]
    fn completions_have_no_more_than_the_pages() {
        let (mut read, mut completed) = (read(), completed());
        read.build();
        completed.build();
        let options = |command: &Command, name: &str| -> Vec<String> {
            let sub = command.find_subcommand(name).unwrap();
            let shown = sub.get_arguments().filter(|it| !it.is_hide_set());
            shown.map(ToString::to_string).collect()
        };
        for name in ["plan", "validate", "completions"] {
            let [mut shown, mut completed] = [&read, &completed].map(|it| options(it, name));
            shown.sort();
            completed.sort();
            assert_eq!(shown, completed, "{name}");
        }
        let check = completed.find_subcommand("state").unwrap();
        let check = check.find_subcommand("check").unwrap();
        let has = |name: &str| check.get_arguments().any(|it| it.get_id() == name);
        assert!(has("state") && !has("connect"));
    }
}
