//! What people and programs read: plans, progress, problems. Pure but for [`progress`], which writes to a terminal.

pub mod diagnostic;
pub mod drift;
pub mod explain;
pub mod generate;
pub mod json;
pub mod plain;
pub mod plan;
pub mod progress;
pub mod status;

use std::fmt;

use anstyle::{AnsiColor, Style};

/// The width that lines keep to where their parts allow it.
pub const WIDTH: usize = 80;
/// Whether text carries colours. They add nothing that the text lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// With colours.
    Always,
    /// Plain.
    Never,
}

/// What a piece of text is, to be given a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Added,
    Changed,
    Removed,
    Strong,
    Quiet,
}

impl Color {
    /// The text in the colour of its role.
    pub(crate) fn paint(self, role: Role, text: impl fmt::Display) -> String {
        let style = match role {
            Role::Added => AnsiColor::Green.on_default(),
            Role::Changed => AnsiColor::Yellow.on_default(),
            Role::Removed => AnsiColor::Red.on_default(),
            Role::Strong => Style::new().bold(),
            Role::Quiet => Style::new().dimmed(),
        };
        match self {
            Color::Always => format!("{style}{text}{style:#}"),
            Color::Never => text.to_string(),
        }
    }
}
