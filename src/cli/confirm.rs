//! Asks before anything is changed, and does only what still holds after the answer.

use std::io::{self, IsTerminal, Write};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, read};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::{pipe, unregister};

use super::Exit;
use super::output::{Failure, say};
use crate::plan::Plan;

/// Asks a question on standard error and takes `y` or `yes` for consent. Without it, gives how the command ends. Without a
/// terminal there is nobody to ask.
fn refused(question: &str) -> Result<Option<Exit>, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::new(
            "there is no terminal to ask on, and nothing was changed",
            "look at the plan, and say `--yes` if it is right",
        ));
    }
    let answer = answer(question)
        .map_err(|error| Failure::Message(format!("the answer cannot be read: {error}"), None))?;
    Ok(match answer.as_deref().map(str::trim) {
        Some("y" | "Y" | "yes") => None,
        Some(_) => {
            say("Nothing was changed.");
            Some(Exit::Failure)
        }
        None => {
            say("\nNothing was changed.");
            Some(Exit::Interrupted)
        }
    })
}

/// Asks, and waits for a line on standard input; `None` where a signal comes first. So the lock on the lab is let go of as always.
fn answer(question: &str) -> io::Result<Option<String>> {
    let (signals, sender) = UnixStream::pair()?;
    let mut registered = Vec::new();
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        registered.push(pipe::register(signal, sender.try_clone()?)?);
    }
    let mut errors = io::stderr();
    drop(write!(errors, "{question} [y/N] ").and_then(|()| errors.flush()));
    let line = line(&signals);
    registered.into_iter().for_each(|id| {
        unregister(id);
    });
    line
}

fn line(signals: &UnixStream) -> io::Result<Option<String>> {
    let input = io::stdin();
    let mut line = Vec::new();
    loop {
        let mut ready = [
            PollFd::new(signals, PollFlags::IN),
            PollFd::new(&input, PollFlags::IN),
        ];
        match poll(&mut ready, None) {
            Ok(_) if !ready[0].revents().is_empty() => return Ok(None),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let mut bytes = [0; 256];
        match read(&input, &mut bytes) {
            Ok(0) => break,
            Ok(count) => line.extend_from_slice(&bytes[..count]),
            // What hung up the terminal sends a signal, too.
            Err(Errno::INTR | Errno::AGAIN) => continue,
            Err(Errno::IO) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        if line.contains(&b'\n') {
            break;
        }
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

/// Shows a plan and asks, where `asks` says so of it. A question can stand open for hours: after the answer all is looked at again,
/// and a plan that does not hold any more is shown anew instead of done. Where the answer is no, gives how the command ends.
pub(super) fn agree<T: AsRef<Plan>>(
    question: &str,
    asks: impl Fn(&Plan) -> bool,
    mut look: impl FnMut() -> Result<T, Failure>,
    show: impl Fn(&T) -> Result<(), Failure>,
) -> Result<Result<T, Exit>, Failure> {
    let shown = look()?;
    show(&shown)?;
    if !asks(shown.as_ref()) {
        return Ok(Ok(shown));
    }
    if let Some(exit) = refused(question)? {
        return Ok(Err(exit));
    }
    let now = look()?;
    if now.as_ref().does_as(shown.as_ref()) {
        return Ok(Ok(now));
    }
    say("\nSomething changed while the question stood open. The plan would be this now:\n");
    show(&now)?;
    Err(Failure::new(
        "what was agreed to does not hold any more, and nothing was changed",
        "look at the plan, and run the same command again",
    ))
}
