//! What is meant by commands and options that there are not: those of other tools, and those of other commands.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};

use super::help;
use crate::address::Address;
use crate::diagnostic::names;

/// Commands of other tools, and what does here what they do there.
const COMMANDS: [(&str, &str); 22] = [
    (
        "list ls show ps info domstate dominfo inspect inventory get describe",
        "`miniascape status` shows what there is, and how it is",
    ),
    (
        "up create deploy run define launch make converge provision sync update upgrade build install",
        "`miniascape apply` makes what is defined",
    ),
    (
        "start boot resume",
        "`miniascape apply` starts guests, but for those with `running: false`",
    ),
    (
        "down delete del rm remove undefine teardown clean purge nuke",
        "`miniascape destroy` takes the lab away; one guest: `--target guest.NAME`",
    ),
    (
        "stop shutdown halt poweroff off suspend pause",
        "`running: false` and `miniascape apply` stop a guest; or virsh",
    ),
    (
        "restart reboot reset reload",
        "`virsh reboot NAME` does it; `apply --restart-pending` after a change",
    ),
    (
        "diff preview dry-run dryrun changes whatif",
        "`miniascape plan` shows what would change, with `--diff` the XML too",
    ),
    (
        "drift refresh detect",
        "`miniascape plan --refresh-only` shows what others changed",
    ),
    (
        "check lint test verify fmt format",
        "`miniascape validate` checks the definition",
    ),
    (
        "init new setup",
        "nothing is to be prepared: write a lab.yaml, as in examples/hello",
    ),
    (
        "taint recreate reinstall rebuild replace redeploy",
        "`miniascape apply --replace guest.NAME` makes a guest anew",
    ),
    (
        "adopt attach",
        "`miniascape import` takes over what is there",
    ),
    (
        "ssh console shell exec login connect",
        "`virsh console NAME`, or ssh: the lab's name server knows guests by name",
    ),
    ("vnc viewer display", "`virt-viewer NAME` shows a guest"),
    (
        "snapshot snapshots save clone migrate dump",
        "miniascape has none: `virsh` does it, and plans heed what it makes",
    ),
    (
        "compile gen export output scripts",
        "`miniascape generate` writes files that work without miniascape",
    ),
    (
        "template templates context",
        "`miniascape render` prints what a template gives",
    ),
    ("version", "`miniascape --version`"),
    ("completion complete", "`miniascape completions SHELL`"),
    (
        "rename mv move",
        "`moved: [{from: guest.OLD, to: guest.NEW}]` in the definition",
    ),
    (
        "edit set config",
        "change lab.yaml; `miniascape plan`, then `apply`",
    ),
    (
        "unlock force-unlock",
        "the lock goes with the process that holds it: nothing is to be unlocked",
    ),
];

/// The same below `state`.
const STATE: [(&str, &str); 4] = [
    (
        "list ls show status",
        "`miniascape status` shows what the lab has; the state is text",
    ),
    (
        "mv move rename",
        "`moved: [{from: guest.OLD, to: guest.NEW}]` in the definition",
    ),
    (
        "rm remove delete forget edit set",
        "the state is text: change it, then `miniascape state check --accept`",
    ),
    (
        "import adopt",
        "`miniascape import` takes over what is there",
    ),
];

/// Options of other tools, and what does here what they do there.
const OPTIONS: [(&str, &str); 20] = [
    (
        "--dry-run --dryrun -n --noop --simulate --what-if --no-act --preview",
        "`miniascape plan` shows what would be done",
    ),
    (
        "--force --auto-approve --assume-yes --assumeyes --approve --no-confirm --noconfirm --confirm --no-prompt --non-interactive --batch",
        "apply and destroy have `--yes`, which does not ask",
    ),
    (
        "-f --file --definition",
        "`-C PATH` names a definition; `--yes` does not ask",
    ),
    (
        "--dir --directory -d --cwd --lab-dir --root --path --project-dir",
        "`--chdir DIR` names the directory of a lab",
    ),
    (
        "--uri --hypervisor --host --url -H --libvirt",
        "`--connect URI` names the hypervisor",
    ),
    (
        "--verbose -v --debug --trace",
        "there is no more to say: `--diff` shows the XML, `--version` the version",
    ),
    ("--silent -s", "`--quiet` says less"),
    (
        "--output -o --format --out",
        "plan and apply have `--json`, generate has `--workdir DIR`",
    ),
    (
        "--no-color --no-colour --nocolor --colour --no-colors",
        "`--color never`; or set NO_COLOR",
    ),
    (
        "-j --jobs --parallelism --threads --concurrency --workers",
        "apply and destroy have `--parallel N`",
    ),
    (
        "--only --limit --guest --guests --resource --filter --vm --domain --include",
        "plan, apply and destroy have `--target guest.NAME`",
    ),
    (
        "--exclude --skip",
        "name what is to be done instead: `--target guest.NAME`",
    ),
    (
        "--recreate --reinstall --taint --rebuild",
        "plan and apply have `--replace guest.NAME`",
    ),
    (
        "--exit-code --detailed-exit-code",
        "plan has `--detailed-exitcode`",
    ),
    ("--refresh --drift", "plan has `--refresh-only`"),
    (
        "--delete-data --data-loss --allow-destroy --wipe --purge --remove-all-storage --undefine",
        "apply has `--allow-data-loss ADDRESS`; destroy takes disks anyway",
    ),
    (
        "--set -e --extra-vars --variable --define -D",
        "`--var NAME=VALUE` sets a variable, `--var-file FILE` many",
    ),
    (
        "--vars-file --values --vars",
        "`--var-file FILE` has variables, `--var NAME=VALUE` is one",
    ),
    (
        "--state-file --state-dir",
        "`--state DIR` is where the state is kept",
    ),
    (
        "--name -N",
        "destroy and state check have `--lab NAME`; else the definition has it",
    ),
];

/// Says with an error what is meant by a word of another tool's.
pub fn advised(mut error: clap::Error) -> clap::Error {
    let (what, told) = match error.kind() {
        ErrorKind::InvalidSubcommand => (
            ContextKind::InvalidSubcommand,
            ContextKind::SuggestedSubcommand,
        ),
        ErrorKind::UnknownArgument => (ContextKind::InvalidArg, ContextKind::SuggestedArg),
        _ => return error,
    };
    let Some(ContextValue::String(word)) = error.get(what) else {
        return error;
    };
    let below = below(&error);
    let is_command = what == ContextKind::InvalidSubcommand;
    let meant = match is_command {
        true => command_meant(word, below.as_deref()),
        false => option_meant(word, below.as_deref()),
    };
    let meant = meant.or_else(|| match (is_command, error.get(told)) {
        (true, None) => Some(all(below.as_deref())),
        (_, _) => None,
    });
    if let Some(meant) = meant {
        error.remove(told);
        let meant = ContextValue::StyledStrs(vec![StyledStr::from(meant)]);
        error.insert(ContextKind::Suggested, meant);
    }
    error
}

/// The command that an error is of, by the usage that it shows.
fn below(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::StyledStr(usage)) = error.get(ContextKind::Usage) else {
        return None;
    };
    let usage = usage.to_string();
    let command = usage.split_whitespace().nth(2)?;
    let is_one = command.starts_with(|c: char| c.is_ascii_alphabetic());
    is_one.then(|| command.to_owned())
}

fn command_meant(word: &str, below: Option<&str>) -> Option<String> {
    let table: &[(&str, &str)] = match below {
        None => &COMMANDS,
        Some("state") => &STATE,
        Some(_) => return None,
    };
    answer(table, &word.to_lowercase().replace('_', "-"))
}

fn option_meant(word: &str, below: Option<&str>) -> Option<String> {
    let name = word.split('=').next().unwrap_or(word);
    if !name.starts_with('-') {
        let takes = matches!(below, Some("plan" | "apply" | "destroy"));
        let target = match name.parse::<Address>() {
            Ok(address) => format!("`--target {address}` is about that alone"),
            Err(_) => format!("`--target guest.{name}` is about one guest"),
        };
        return takes.then_some(target);
    }
    if let Some(answer) = answer(&OPTIONS, &name.replace('_', "-")) {
        return Some(answer);
    }
    let others = having(name, below);
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    match others.as_slice() {
        [] => None,
        [one] => Some(format!("`{one}` has `{name}`")),
        _ => Some(format!("{} have `{name}`", names(&others))),
    }
}

fn answer(table: &[(&str, &str)], word: &str) -> Option<String> {
    let mut table = table.iter();
    let found = table.find(|(words, _)| words.split_whitespace().any(|it| it == word));
    found.map(|(_, answer)| (*answer).to_owned())
}

/// The other commands that show an option.
fn having(option: &str, below: Option<&str>) -> Vec<String> {
    let mut command = help::read();
    command.build();
    let is_it = |it: &Arg| match option.strip_prefix("--") {
        Some(long) => it.get_long() == Some(long),
        None => it
            .get_short()
            .is_some_and(|short| option == format!("-{short}")),
    };
    let shows = |command: &&Command| {
        let mut shown = command.get_arguments();
        shown.any(|it| !it.is_hide_set() && is_it(it))
    };
    let subs = command.get_subcommands().filter(shows);
    let names = subs.map(|command| command.get_name().to_owned());
    names
        .filter(|name| name != "help" && Some(name.as_str()) != below)
        .collect()
}

/// The commands that there are.
fn all(below: Option<&str>) -> String {
    let command = help::read();
    let above = below.and_then(|name| command.find_subcommand(name));
    let commands = above.unwrap_or(&command).get_subcommands();
    let commands: Vec<&str> = commands.map(Command::get_name).collect();
    format!("there is {}", names(&commands))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_word_has_one_answer_that_fits_and_is_no_command_of_ours() {
        let command = help::read();
        let names = |command: &Command| -> BTreeSet<String> {
            let subs = command.get_subcommands();
            subs.map(|sub| sub.get_name().to_owned()).collect()
        };
        let state = names(command.find_subcommand("state").unwrap());
        let tables = [
            (&COMMANDS[..], names(&command)),
            (&STATE[..], state),
            (&OPTIONS[..], BTreeSet::new()),
        ];
        for (table, ours) in tables {
            let mut seen = BTreeSet::new();
            for (words, answer) in table {
                assert!(answer.chars().count() <= 73, "{answer}");
                for word in words.split_whitespace() {
                    assert!(seen.insert(word), "{word} has two answers");
                    assert!(!ours.contains(word), "{word} is a command");
                }
            }
        }
    }
}
