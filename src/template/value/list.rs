//! A list that can change.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use minijinja::value::{DynObject, Enumerator, Object, ObjectRepr};
use minijinja::{Error, State, Value};

use super::late::{Copied, Late};
use super::{nesting, own};
use crate::template::python::{self, methods};

/// A list. All values that hold it see its changes.
#[derive(Default)]
pub struct List(Late<Vec<Value>>);

impl Copied for Vec<Value> {
    fn of(value: &Value) -> Self {
        let object = value.as_object();
        let items = object.and_then(|object| object.try_iter());
        items.into_iter().flatten().map(|item| own(&item)).collect()
    }
}

impl List {
    /// A new list as a value.
    pub fn value(items: Vec<Value>) -> Value {
        Value::from_object(Self(Late::new(items)))
    }

    /// A list of the items of another's.
    pub fn copy(of: Value) -> Value {
        Value::from_object(Self(Late::from(of)))
    }

    /// The items as they are now.
    pub fn items(&self) -> Vec<Value> {
        self.read(Vec::clone)
    }

    /// Looks at the items. Nothing that looks at other values may be done meanwhile.
    pub fn read<T>(&self, what: impl FnOnce(&Vec<Value>) -> T) -> T {
        self.0.read(what)
    }

    /// Changes the items. Nothing that looks at other values may be done meanwhile.
    pub fn change<T>(&self, what: impl FnOnce(&mut Vec<Value>) -> T) -> T {
        self.0.change(what)
    }

    fn len(&self) -> usize {
        self.read(Vec::len)
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "List({})", self.len())
    }
}

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let index = key.as_usize()?;
        self.read(|items| items.get(index).cloned())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Iter(Box::new(Items {
            list: self.clone(),
            at: 0,
        }))
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.len())
    }

    fn call_method(
        self: &Arc<Self>,
        state: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        methods::list(state, self, method, args)
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        let other = other.downcast_ref::<Self>()?;
        Some(nesting::compare(|| self.items().cmp(&other.items())))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        python::print(f, &Value::from_dyn_object(self.clone()))
    }
}

impl Drop for List {
    fn drop(&mut self) {
        let items = self.0.take();
        nesting::bury(items);
    }
}

/// Goes over a list as Python does: what is appended meanwhile comes as well.
struct Items {
    list: Arc<List>,
    at: usize,
}

impl Iterator for Items {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        let item = self.list.read(|items| items.get(self.at).cloned());
        self.at += 1;
        item
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.list.len().saturating_sub(self.at);
        (left, Some(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_list_is_dropped_without_recursion() {
        let mut value = List::value(Vec::new());
        for _ in 0..200_000 {
            value = List::value(vec![super::super::tuple(vec![value])]);
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
        assert_ne!(ring(), ring());
    }
}
