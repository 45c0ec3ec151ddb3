//! `miniascape completions`

use clap::Args;

use super::output::{Failure, result};
use super::{Exit, help};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The shell
    shell: clap_complete::Shell,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut help::completed(),
        "miniascape",
        &mut script,
    );
    result(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Success)
}
