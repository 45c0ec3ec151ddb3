//! What guests have of processors and memory, in one line each.

use crate::lab::written::processor::PERIOD;
use crate::units;
use crate::xml::spelling;
use crate::xml::tree::Element;

/// An element of a guest; `None` where a pattern of its place says more.
pub(super) fn element(path: &str, tree: &Element) -> Option<String> {
    match path {
        "domain/memoryBacking/hugepages" => {
            let pages: Vec<String> = tree.children_named("page").filter_map(page).collect();
            Some(match pages.is_empty() {
                true => "true".to_owned(),
                false => pages.join(", "),
            })
        }
        "domain/memoryBacking/hugepages/page" => page(tree),
        "domain/cpu/numa" => {
            let cells = tree.children_named("cell").map(cell);
            Some(cells.collect::<Vec<_>>().join("; "))
        }
        "domain/cpu/numa/cell" => Some(cell(tree)),
        "domain/cputune/global_quota" => text(path, &tree.text),
        _ => None,
    }
}

/// A text of a guest's, where it is not to be told as it is.
pub(super) fn text(path: &str, text: &str) -> Option<String> {
    if path != "domain/cputune/global_quota" {
        return None;
    }
    // With another period than the usual one it is not that, which is told beside.
    let quota: u64 = text.parse().ok()?;
    let digits = format!("{}.{:05}", quota / PERIOD, quota % PERIOD);
    Some(
        digits
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned(),
    )
}

fn page(page: &Element) -> Option<String> {
    let bytes = spelling::bytes(
        "domain/memoryBacking/hugepages/page@size",
        page.attribute("size")?,
    );
    Some(units::size(bytes?))
}

/// `0-1, 1 GiB`
fn cell(cell: &Element) -> String {
    let memory = cell.attribute("memory");
    let memory = memory.and_then(|it| spelling::bytes("domain/cpu/numa/cell@memory", it));
    let cpus = cell.attribute("cpus").map(str::to_owned);
    let parts = cpus.into_iter().chain(memory.map(units::size));
    parts.collect::<Vec<_>>().join(", ")
}
