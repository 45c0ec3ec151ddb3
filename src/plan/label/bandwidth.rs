//! How fast things may be.

use crate::units::kilobytes;
use crate::xml::tree::Element;

/// All rates of a bandwidth.
pub(super) fn all(tree: &Element) -> String {
    let rates: Vec<String> = tree.children.iter().map(rate).collect();
    rates.join(", ")
}

/// `inbound 10 MB/s, peak 20 MB/s, burst 1 MB`
pub(super) fn rate(tree: &Element) -> String {
    let told = |name: &str| limit(name, tree.attribute(name)?);
    let average = told("average").unwrap_or_default();
    let more = ["peak", "burst"]
        .into_iter()
        .filter_map(|name| Some(format!(", {name} {}", told(name)?)));
    format!("{} {average}{}", tree.name, more.collect::<String>())
}

/// One of the limits of a bandwidth.
fn limit(name: &str, text: &str) -> Option<String> {
    let amount = kilobytes(text.parse().ok()?);
    Some(match name {
        "burst" => amount,
        _ => amount + "/s",
    })
}

/// The same, where a path is that of one.
pub(super) fn text(path: &str, text: &str) -> Option<String> {
    let (holder, name) = path.split_once('@')?;
    let is_limit =
        holder.ends_with("/bandwidth/inbound") || holder.ends_with("/bandwidth/outbound");
    limit(name, text).filter(|_| is_limit)
}
