//! What others changed, as text.

use std::fmt::Write as _;

use super::WIDTH;
use super::plain::one_line;
use super::plan::{GAP, NAME_INDENT, VALUE_COLUMN, write_attribute};
use super::{Color, Role};
use crate::plan::Change;
use crate::plan::drift::{Drift, Drifted};

/// All that others changed; one line where that is nothing.
pub fn text(drift: &Drift, color: Color) -> String {
    let totals = Totals::of(drift);
    if drift.is_empty() && totals.unfinished == 0 {
        return format!(
            "Nothing was changed by others: {}, as applied last.\n",
            count(totals.as_applied, "resource")
        );
    }
    let mut out = String::new();
    let _ = writeln!(
        out,
        "lab {} on {}: {}, {} as applied last\n",
        color.paint(Role::Strong, &drift.lab),
        one_line(&drift.uri),
        count(drift.resources.len(), "resource"),
        totals.as_applied,
    );
    let names = drift.resources.values().flat_map(|drifted| match drifted {
        Drifted::Changed(attributes) => attributes.as_slice(),
        Drifted::No | Drifted::Gone | Drifted::Unfinished => &[],
    });
    let widest =
        names.map(|attribute| NAME_INDENT + one_line(&attribute.name).chars().count() + GAP);
    let column = widest
        .max()
        .unwrap_or_default()
        .clamp(VALUE_COLUMN, WIDTH / 2);
    for (address, drifted) in &drift.resources {
        let (symbol, role, word) = match drifted {
            Drifted::No => continue,
            Drifted::Changed(_) => ("~", Role::Changed, ""),
            Drifted::Gone => ("-", Role::Removed, "gone"),
            Drifted::Unfinished => ("?", Role::Quiet, "unfinished: apply goes on with it"),
        };
        let symbol = color.paint(role, format!("{symbol:>3}"));
        let head = format!("{address:<width$}", width = column - 4);
        let _ = writeln!(out, "{}", format!("{symbol} {head}{word}").trim_end());
        if let Drifted::Changed(attributes) = drifted {
            let change = Change {
                disruption: Some(crate::plan::Disruption::Live),
                ..Change::unchanged(address.clone(), None)
            };
            for attribute in attributes {
                write_attribute(&mut out, attribute, column, &change, color);
            }
        }
    }
    let parts = [
        (totals.changed, "changed"),
        (totals.gone, "gone"),
        (totals.unfinished, "unfinished"),
    ];
    let said: Vec<String> = parts
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{number} {what}"))
        .collect();
    let _ = writeln!(out, "\nSince the last apply: {}.", said.join(", "));
    out
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// How many of what.
pub(super) struct Totals {
    pub as_applied: usize,
    pub changed: usize,
    pub gone: usize,
    pub unfinished: usize,
}

impl Totals {
    pub fn of(drift: &Drift) -> Self {
        let number = |is: &dyn Fn(&Drifted) -> bool| {
            drift
                .resources
                .values()
                .filter(|drifted| is(drifted))
                .count()
        };
        Self {
            as_applied: number(&|drifted| *drifted == Drifted::No),
            changed: number(&|drifted| matches!(drifted, Drifted::Changed(_))),
            gone: number(&|drifted| *drifted == Drifted::Gone),
            unfinished: number(&|drifted| *drifted == Drifted::Unfinished),
        }
    }
}
