//! The parts by themselves: `value`.

use minijinja::Value;
use minijinja::value::Tuple;

use crate::template::value::*;

#[test]
fn the_deepest_list_is_dropped_without_recursion() {
    let mut value = List::value(Vec::new());
    for _ in 0..200_000 {
        value = List::value(vec![Value::from(Tuple::from(vec![value]))]);
    }
    drop(value);
}

#[test]
fn lists_that_hold_themselves_can_be_compared() {
    let ring = || {
        let list = List::value(Vec::new());
        let inner = list.clone();
        if let Some(list) = list.downcast_object_ref::<List>() {
            list.change(|items| items.push(inner));
        }
        list
    };
    assert_eq!(ring(), ring());
    assert_ne!(ring(), List::value(vec![Value::from(1)]));
}
