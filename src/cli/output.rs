//! What commands print: results to standard output, everything else to standard error.

use std::io::{self, Write};

use crate::diagnostic::{Diagnostic, Diagnostics, SourceMap};
use crate::execute::ExecuteError;
use crate::libvirt::HypervisorError;
use crate::state::store::StoreError;
use crate::view::plain::plain;
use crate::view::{Color, diagnostic};

/// Prints a result. A reader that has gone away, as `head` does, wants no more of it.
pub fn result(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    printed(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Whether it was, or need not be, printed.
pub fn printed(done: io::Result<()>) -> Result<(), Failure> {
    match done {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(
            format!("failed to write to standard output: {error}"),
            "make room where it goes, or send it elsewhere",
        )),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Says something that is no result. It may have names and libvirt's words in it, and no colours.
pub fn say(text: &str) {
    show(&plain(text));
}

/// Shows what a view made, on standard error.
pub fn show(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// Problems with their places.
    Problems(Diagnostics, Box<SourceMap>),
    /// A single failure and how to mend it.
    Message(String, Option<String>),
    /// All has been said already.
    Said,
}

impl Failure {
    /// A failure with a way to mend it.
    pub fn new(text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Message(text.into(), Some(hint.into()))
    }

    /// Prints it to standard error.
    pub fn print(&self, color: Color) {
        match self {
            Self::Problems(problems, sources) => problems_to_stderr(problems, sources, color),
            Self::Message(text, hint) => {
                let mut problems = Diagnostics::default();
                let problem = Diagnostic::error(text.as_str());
                problems.push(match hint {
                    Some(hint) => problem.hint(hint.as_str()),
                    None => problem,
                });
                problems_to_stderr(&problems, &SourceMap::default(), color);
            }
            Self::Said => {}
        }
    }
}

/// Prints problems to standard error.
pub fn problems_to_stderr(problems: &Diagnostics, sources: &SourceMap, color: Color) {
    if !problems.is_empty() {
        show(diagnostic::render(problems, sources, color).trim_end());
    }
}

impl From<HypervisorError> for Failure {
    fn from(error: HypervisorError) -> Self {
        Self::Message(format!("failed to {}", error.message), error.hint)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Message(error.to_string(), error.hint)
    }
}

impl From<ExecuteError> for Failure {
    fn from(error: ExecuteError) -> Self {
        match error {
            ExecuteError::Cycle(cycle) => Self::Message(cycle.to_string(), None),
            ExecuteError::Store { source, .. } => source.into(),
        }
    }
}
