//! `miniascape explain`

use clap::Args;

use super::Exit;
use super::output::{Failure, result};
use crate::lab::explain::{Explained, explain};
use crate::lab::written::LAB;
use crate::view::{self, Color};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Path of a key, `guests.*.disks.*.cache`; `*` is any name [default: all keys of a lab]
    #[arg(value_name = "KEY")]
    path: Option<String>,
}

pub(super) fn run(arguments: &Arguments, color: Color) -> Result<Exit, Failure> {
    let Some(path) = &arguments.path else {
        let lab = Explained::Named(&LAB);
        result(&view::explain::text("", lab, color))?;
        return Ok(Exit::Success);
    };
    let explained = explain(path).map_err(|unknown| {
        let place = match unknown.known.as_str() {
            "" => "a lab".to_owned(),
            known => format!("`{known}`"),
        };
        let near = unknown
            .hint
            .unwrap_or_else(|| match unknown.known.as_str() {
                "" => "`miniascape explain` has all keys".to_owned(),
                known => format!("`miniascape explain '{known}'` has what is there"),
            });
        Failure::new(format!("{place} has no key `{}`", unknown.part), near)
    })?;
    result(&view::explain::text(path, explained, color))?;
    Ok(Exit::Success)
}
