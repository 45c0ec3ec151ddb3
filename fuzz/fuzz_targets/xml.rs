//! XML: what is written reads the same, and merging again finds nothing.
#![no_main]

#[allow(dead_code, reason = "only the definitions' targets need all of it")]
mod input;

use miniascape::xml::merge::{merge, overlay};
use miniascape::xml::schema;
use miniascape::xml::tree::Element;

/// Whether all elements of lists that have keys are told apart by the best of them, as libvirt demands.
fn is_told_apart(path: &str, element: &Element) -> bool {
    let children = &element.children;
    children.iter().enumerate().all(|(n, child)| {
        let at = format!("{path}/{}", child.name);
        let keys = schema::keys(&at);
        let has_key = || keys.iter().any(|key| key.of(child).is_some());
        let is_same = |other: &Element| {
            let mut both = keys
                .iter()
                .filter_map(|key| Some(key.of(child)? == key.of(other)?));
            other.name == child.name && both.next() == Some(true)
        };
        (keys.is_empty() || has_key())
            && !children[..n].iter().any(is_same)
            && is_told_apart(&at, child)
    })
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let trees: Vec<Element> = input::texts(data, 4)
        .into_iter()
        .filter_map(|text| Element::parse(std::str::from_utf8(text).ok()?).ok())
        .collect();
    for tree in &trees {
        assert_eq!(Element::parse(&tree.to_string()).as_ref(), Ok(tree));
        let canonical = schema::canonical(tree);
        assert_eq!(schema::canonical(&canonical), canonical);
    }
    let [live, wanted, last @ ..] = &trees[..] else {
        return;
    };
    let mut base = live.clone();
    overlay(&mut base, wanted);
    let merged = merge(last, live, wanted);
    let sound = |tree: &Element| is_told_apart(&tree.name, &schema::canonical(tree));
    if live.name == wanted.name && trees.iter().all(sound) {
        let again = merge(std::slice::from_ref(wanted), &merged.target, wanted);
        assert_eq!(again.differences, [], "{}", merged.target);
        assert_eq!(again.target, schema::canonical(&merged.target));
    }
});
