//! Asks before anything is changed, and does only what still holds after the answer.

use std::io::{BufRead, IsTerminal, Write};

use super::output::{Failure, say};
use crate::plan::Plan;

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

/// Shows a plan and asks, where `asks` says so of it. A question can stand open for hours: after the answer all is looked at again,
/// and a plan that does not hold any more is shown anew instead of done. `None` where nothing is to be done.
pub(super) fn agree<T: AsRef<Plan>>(
    question: &str,
    asks: impl Fn(&Plan) -> bool,
    mut look: impl FnMut() -> Result<T, Failure>,
    show: impl Fn(&T) -> Result<(), Failure>,
) -> Result<Option<T>, Failure> {
    let shown = look()?;
    show(&shown)?;
    if !asks(shown.as_ref()) {
        return Ok(Some(shown));
    }
    if !confirm(question)? {
        say("Nothing was changed.");
        return Ok(None);
    }
    let now = look()?;
    if now.as_ref().does_as(shown.as_ref()) {
        return Ok(Some(now));
    }
    say("\nSomething changed while the question stood open. The plan would be this now:\n");
    show(&now)?;
    Err(Failure::new(
        "what was agreed to does not hold any more, and nothing was changed",
        "look at the plan, and run the same command again",
    ))
}
