//! Bounds for values that hold each other: however deep or tangled a template makes them, nothing overflows.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;

use minijinja::Value;

use super::tuple_items;

/// How deep two values are compared.
const DEPTH: usize = 60;

/// How many lists and dictionaries one comparison looks into.
const STEPS: usize = 200_000;

/// How many tuples a tuple holds, counted again wherever they stand.
const TUPLES: usize = 1000;

thread_local! {
    static COMPARING: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
    static BURIED: RefCell<Vec<Value>> = const { RefCell::new(Vec::new()) };
    static BURYING: Cell<bool> = const { Cell::new(false) };
}

/// Compares what two containers hold. Past the bounds they count as different.
pub fn compare(what: impl FnOnce() -> Ordering) -> Ordering {
    let (depth, steps) = COMPARING.get();
    let steps = if depth == 0 { 0 } else { steps };
    if depth >= DEPTH || steps >= STEPS {
        return Ordering::Less;
    }
    COMPARING.set((depth + 1, steps + 1));
    let ordering = what();
    let (_, steps) = COMPARING.get();
    COMPARING.set((depth, steps));
    ordering
}

/// Whether what a tuple is to hold is small and flat enough: minijinja looks into tuples without any bound.
pub fn is_bounded(items: &[Value]) -> bool {
    fn walk(items: &[Value], depth: usize, left: &mut usize) -> bool {
        items.iter().all(|item| match tuple_items(item) {
            None => true,
            Some(_) if depth == 0 || *left == 0 => false,
            Some(inner) => {
                *left -= 1;
                walk(&inner, depth - 1, left)
            }
        })
    }
    let mut left = TUPLES;
    walk(items, DEPTH, &mut left)
}

/// Drops what a container held, one after the other and not one inside the other.
pub fn bury(items: impl IntoIterator<Item = Value>) {
    let taken = BURIED.try_with(|buried| {
        let containers = items.into_iter().filter(|item| item.as_object().is_some());
        buried.borrow_mut().extend(containers);
    });
    // The thread ends: what was not taken has been dropped.
    if taken.is_err() || BURYING.replace(true) {
        return;
    }
    while let Some(item) = BURIED.with(|buried| buried.borrow_mut().pop()) {
        drop(item);
    }
    BURYING.set(false);
}
