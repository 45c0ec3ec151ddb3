//! What filters like `map` give in Jinja2: items that come once, and no length.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr};

use super::nesting;

/// Items that are taken one by one, and then are gone. It is true even when it is empty.
#[derive(Debug)]
pub struct Generator {
    name: &'static str,
    items: Mutex<VecDeque<Value>>,
}

impl Generator {
    /// A generator as a value; `name` is what Python calls it.
    pub fn value(name: &'static str, items: Vec<Value>) -> Value {
        Value::from_object(Self {
            name,
            items: Mutex::new(items.into()),
        })
    }

    /// Takes the next item.
    pub fn take(&self) -> Option<Value> {
        self.items
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }

    /// Takes all that is left.
    pub fn take_all(&self) -> Vec<Value> {
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *items).into()
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        nesting::bury(self.take_all());
    }
}

impl Object for Generator {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let generator = self.clone();
        Enumerator::Iter(Box::new(std::iter::from_fn(move || generator.take())))
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        None
    }

    fn is_true(self: &Arc<Self>) -> bool {
        true
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<generator object {}>", self.name)
    }
}
