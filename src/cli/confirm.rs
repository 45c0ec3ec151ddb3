//! Asks before anything is changed.

use std::io::{BufRead, IsTerminal, Write};

use super::output::Failure;

/// Asks a question on standard error and takes `y` or `yes` for consent. Without a terminal there is nobody to ask.
pub(super) fn confirm(question: &str) -> Result<bool, Failure> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        return Err(Failure::new(
            "there is no terminal to ask on, and nothing was changed",
            "look at the plan, and say `--yes` if it is right",
        ));
    }
    let mut errors = std::io::stderr().lock();
    drop(write!(errors, "{question} [y/N] ").and_then(|()| errors.flush()));
    let mut answer = String::new();
    drop(input.lock().read_line(&mut answer));
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
