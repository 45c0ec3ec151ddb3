//! A dictionary that can change, and the views of it.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use minijinja::value::{DynObject, Enumerator, Object, ObjectRepr};
use minijinja::{Error, State, Value};

use super::late::{Copied, Late};
use super::{nesting, own, tuple};
use crate::template::python::{self, methods};

/// A dictionary, in the order of insertion. All values that hold it see its changes.
#[derive(Default)]
pub struct Dict(Late<IndexMap<Value, Value>>);

impl Copied for IndexMap<Value, Value> {
    fn of(value: &Value) -> Self {
        let object = value.as_object();
        let pairs = object.and_then(|object| object.try_iter_pairs());
        pairs
            .into_iter()
            .flatten()
            .map(|(key, value)| (key, own(&value)))
            .collect()
    }
}

impl Dict {
    /// A new dictionary as a value.
    pub fn value(pairs: IndexMap<Value, Value>) -> Value {
        Value::from_object(Self(Late::new(pairs)))
    }

    /// A dictionary of the pairs of another's.
    pub fn copy(of: Value) -> Value {
        Value::from_object(Self(Late::from(of)))
    }

    /// Looks at the pairs. Nothing that looks at other values may be done meanwhile.
    pub fn read<T>(&self, what: impl FnOnce(&IndexMap<Value, Value>) -> T) -> T {
        self.0.read(what)
    }

    /// Changes the pairs. Nothing that looks at other values may be done meanwhile.
    pub fn change<T>(&self, what: impl FnOnce(&mut IndexMap<Value, Value>) -> T) -> T {
        self.0.change(what)
    }

    /// The pairs as they are now.
    pub fn pairs(&self) -> Vec<(Value, Value)> {
        self.read(|map| map.iter().map(|(k, v)| (k.clone(), v.clone())).collect())
    }

    /// The value of a key.
    pub fn get(&self, key: &Value) -> Option<Value> {
        self.read(|map| map.get(key).cloned())
    }

    fn len(&self) -> usize {
        self.read(IndexMap::len)
    }
}

impl fmt::Debug for Dict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dict({})", self.len())
    }
}

impl Object for Dict {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get(key)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::KeyValueIter(Box::new(self.pairs().into_iter()))
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
        methods::dict(state, self, method, args)
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        let other = other.downcast_ref::<Self>()?;
        Some(nesting::compare(|| {
            let own = self.pairs();
            let same = own.len() == other.len()
                && own
                    .iter()
                    .all(|(key, value)| other.get(key).as_ref() == Some(value));
            match same {
                true => Ordering::Equal,
                false => own.cmp(&other.pairs()).then(Ordering::Less),
            }
        }))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        python::print(f, &Value::from_dyn_object(self.clone()))
    }
}

impl Drop for Dict {
    fn drop(&mut self) {
        let pairs = self.0.take();
        nesting::bury(pairs.into_iter().flat_map(|(key, value)| [key, value]));
    }
}

/// Which of its parts a view shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViewKind {
    /// `keys()`.
    Keys,
    /// `values()`.
    Values,
    /// `items()`.
    Items,
}

/// What `keys()`, `values()` and `items()` give: it follows the dictionary.
#[derive(Debug)]
pub struct View {
    dict: Arc<Dict>,
    /// What it shows.
    pub kind: ViewKind,
}

impl View {
    /// A view of a dictionary as a value.
    pub fn value(dict: &Arc<Dict>, kind: ViewKind) -> Value {
        Value::from_object(Self {
            dict: dict.clone(),
            kind,
        })
    }

    /// What it shows now.
    pub fn items(&self) -> Vec<Value> {
        let pairs = self.dict.pairs().into_iter();
        match self.kind {
            ViewKind::Keys => pairs.map(|(key, _)| key).collect(),
            ViewKind::Values => pairs.map(|(_, value)| value).collect(),
            ViewKind::Items => pairs.map(|(key, value)| tuple(vec![key, value])).collect(),
        }
    }
}

impl Object for View {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.items())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.dict.len())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        python::print(f, &Value::from_dyn_object(self.clone()))
    }
}
