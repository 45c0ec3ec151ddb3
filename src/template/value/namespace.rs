//! Jinja2's namespace: the only thing that `{% set a.b = … %}` can change.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use indexmap::IndexMap;
use minijinja::Value;
use minijinja::value::{Object, ObjectRepr};

use super::nesting;
use crate::template::python;

/// Values by name. minijinja has its own, which overflows the stack where one holds itself.
#[derive(Default)]
pub struct Namespace(RwLock<IndexMap<String, Value>>);

impl Namespace {
    /// A namespace as a value.
    pub fn value(values: IndexMap<String, Value>) -> Value {
        Value::from_object(Self(RwLock::new(values)))
    }

    /// Sets a value.
    pub fn set(&self, name: &str, value: Value) {
        let mut values = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let old = values.insert(name.to_owned(), value);
        // What is dropped may be another namespace's last hold on this one.
        drop(values);
        drop(old);
    }

    /// The values as they are now.
    pub fn pairs(&self) -> Vec<(Value, Value)> {
        let values = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let pairs = values.iter();
        pairs
            .map(|(name, value)| (Value::from(name), value.clone()))
            .collect()
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Namespace({})", self.pairs().len())
    }
}

impl Object for Namespace {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let values = self.0.read().unwrap_or_else(PoisonError::into_inner);
        values.get(key.as_str()?).cloned()
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        python::print(f, &Value::from_dyn_object(self.clone()))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let values = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        nesting::bury(std::mem::take(values).into_values());
    }
}
