//! What `groupby` gives: a pair whose parts have names.

use std::fmt;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr};

use super::nesting;
use crate::template::python;

/// A tuple of the value that a group has in common, `grouper`, and its items, `list`.
#[derive(Debug)]
pub struct Group([Value; 2]);

impl Group {
    /// A group as a value.
    pub fn value(grouper: Value, list: Value) -> Value {
        let parts = [grouper, list];
        match nesting::is_bounded(&parts) {
            true => Value::from_object(Self(parts)),
            false => Value::from(super::too_deep()),
        }
    }

    /// Both parts.
    pub fn items(&self) -> &[Value; 2] {
        &self.0
    }
}

impl Object for Group {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str() {
            Some("grouper") => Some(self.0[0].clone()),
            Some("list") => Some(self.0[1].clone()),
            Some(_) => None,
            None => self.0.get(key.as_usize()?).cloned(),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(2)
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        python::print(f, &Value::from_dyn_object(self.clone()))
    }
}
