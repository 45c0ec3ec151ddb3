//! What each change costs and how it is made, as tables. Plans go by them, and docs/changes.md is made of them.

mod guest;
mod network;
mod storage;

pub use guest::GUEST;
pub use network::NETWORK;
pub use storage::{CONTENT, GROWS, IMAGE, LASTING, PASSING, POOL, SEED, SHRINKS, VOLUME};

use std::fmt::Write as _;

use super::Disruption;
use crate::xml::merge::Difference;

/// What a change of one part of a definition costs while the object is in use.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Where it is in libvirt's XML, `network/ip/dhcp/host`; all below it is meant, too.
    pub path: &'static str,
    /// What it is in the definition, `dhcp.hosts`.
    pub attribute: &'static str,
    /// What it costs.
    pub class: Disruption,
    /// How it is made, and under which condition it costs so little.
    pub how: &'static str,
}

impl Row {
    const fn new(
        attribute: &'static str,
        path: &'static str,
        class: Disruption,
        how: &'static str,
    ) -> Self {
        Self {
            path,
            attribute,
            class,
            how,
        }
    }
}

/// The row of the longest path that a path of XML lies at or below.
pub fn row(table: &'static [Row], path: &str) -> Option<&'static Row> {
    let holds = |row: &&Row| {
        path.strip_prefix(row.path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '@']))
    };
    table.iter().filter(holds).max_by_key(|row| row.path.len())
}

/// Differences so that each is in one place of a table: an element that comes or goes as a whole is taken apart where the table
/// tells its parts apart. A network's first DNS host brings `<dns>` along, and is a DNS host all the same.
pub(super) fn taken_apart(table: &[Row], differences: Vec<Difference>) -> Vec<Difference> {
    let has_below = |path: &str| {
        table.iter().any(|row| {
            let rest = row.path.strip_prefix(path);
            rest.is_some_and(|rest| rest.starts_with('/'))
        })
    };
    let apart = differences.into_iter();
    apart.flat_map(|it| it.taken_apart(&has_below)).collect()
}

/// A table as Markdown.
pub fn markdown(table: &[Row]) -> String {
    let mut text = String::from("| what | in libvirt's XML | class | how |\n|---|---|---|---|\n");
    for row in table {
        let _ = writeln!(
            text,
            "| {} | `{}` | {} | {} |",
            row.attribute, row.path, row.class, row.how
        );
    }
    text
}
