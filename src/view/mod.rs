//! What people and programs read: plans, progress, problems. Pure but for [`progress`], which writes to a terminal.

pub mod diagnostic;
pub mod drift;
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
/// How many of a list are named at most.
const NAMED: usize = 100;

/// A list after its heading, in lines of no more than so many columns; all but the first are indented.
pub fn listed(heading: &str, items: &[impl fmt::Display], indent: usize, columns: usize) -> String {
    let mut words: Vec<String> = items.iter().take(NAMED).map(ToString::to_string).collect();
    let last = words.len().saturating_sub(1);
    for word in &mut words[..last] {
        word.push(',');
    }
    if let more @ 1.. = items.len() - words.len() {
        words.push(format!("and {more} more"));
    }
    let mut text = heading.to_owned();
    let mut column = heading.chars().count();
    for word in words {
        let width = word.chars().count();
        match column + 1 + width <= columns {
            true => {
                text.push(' ');
                column += 1 + width;
            }
            false => {
                text.push('\n');
                text.extend(std::iter::repeat_n(' ', indent));
                column = indent + width;
            }
        }
        text.push_str(&word);
    }
    text
}

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
