//! Trees in another order, and an order to compare them in.

use miniascape::xml::merge::{Difference, Value};
use miniascape::xml::tree::Element;

use crate::names::{called, names};

/// Numbers that look random and are the same for the same seed.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        // Splitmix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        items.sort_by_cached_key(|_| self.roll());
    }
}

/// What tells an element from its siblings: its name, and its keys where it has some. Where two have the same, their
/// order is what tells them apart.
fn identity(path: &str, element: &Element) -> (String, Vec<Option<String>>) {
    let at = format!("{path}/{}", element.name);
    let names = names(&at).iter().map(|name| called(name, element));
    (element.name.clone(), names.collect())
}

/// The same tree with attributes and children in another order, but for those that only their order tells apart.
pub fn shuffled(tree: &Element, dice: &mut Dice) -> Element {
    let mut tree = tree.clone();
    let root = tree.name.clone();
    shuffle(&root, &mut tree, dice);
    tree
}

fn shuffle(path: &str, element: &mut Element, dice: &mut Dice) {
    dice.shuffle(&mut element.attributes);
    for child in &mut element.children {
        let at = format!("{path}/{}", child.name);
        shuffle(&at, child, dice);
    }
    let before = element.children.clone();
    dice.shuffle(&mut element.children);
    for place in 0..element.children.len() {
        let is = identity(path, &element.children[place]);
        let ordinal = element.children[..place]
            .iter()
            .filter(|other| identity(path, other) == is)
            .count();
        let alike = before
            .iter()
            .filter(|other| identity(path, other) == is)
            .nth(ordinal);
        element.children[place] = alike.unwrap().clone();
    }
}

/// The same tree in the one order in which trees are compared.
pub fn sorted(tree: &Element) -> Element {
    let mut tree = tree.clone();
    let root = tree.name.clone();
    sort(&root, &mut tree);
    tree
}

fn sort(path: &str, element: &mut Element) {
    element.attributes.sort();
    for child in &mut element.children {
        let at = format!("{path}/{}", child.name);
        sort(&at, child);
    }
    element
        .children
        .sort_by_cached_key(|child| identity(path, child));
}

/// Differences as texts, whatever their order and that of what they hold.
pub fn told(differences: &[Difference]) -> Vec<String> {
    let mut told: Vec<String> = differences.iter().map(tell).collect();
    told.sort();
    told
}

fn tell(difference: &Difference) -> String {
    let Difference {
        path,
        within,
        nth: _,
        before,
        after,
        cause,
        last,
    } = difference;
    let names: Vec<&str> = path.split('@').next().unwrap().split('/').collect();
    let within: Vec<String> = within
        .iter()
        .enumerate()
        .map(|(depth, element)| {
            let mut element = element.clone();
            sort(&names[..depth + 2].join("/"), &mut element);
            element.to_string()
        })
        .collect();
    let value = |value: &Option<Value>| match value {
        None => String::new(),
        Some(Value::Text(text)) => text.clone(),
        Some(Value::Tree(tree)) => {
            let mut tree = tree.clone();
            sort(path, &mut tree);
            tree.to_string()
        }
    };
    format!(
        "{path}: {} -> {} ({cause:?} of {}) in {within:?}",
        value(before),
        value(after),
        value(last)
    )
}
