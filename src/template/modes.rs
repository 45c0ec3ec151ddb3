//! Which of the loaded files are lenient about undefined values.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::Object;
use minijinja::{State, Value};

use super::Undefined;

/// The global that holds them.
pub const NAME: &str = "py__modes";

/// The files by name.
#[derive(Debug, Default)]
pub struct Modes(Mutex<HashMap<String, Undefined>>);

impl Object for Modes {}

impl Modes {
    /// Remembers what a file asks for.
    pub fn set(&self, template: &str, undefined: Undefined) {
        let mut modes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        modes.insert(template.to_owned(), undefined);
    }

    fn get(&self, template: &str) -> Undefined {
        let modes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        modes.get(template).copied().unwrap_or_default()
    }
}

/// As a global.
pub fn value(modes: &Arc<Modes>) -> Value {
    Value::from_dyn_object(modes.clone())
}

/// What the file asks for whose code runs.
pub fn of(state: &State) -> Undefined {
    state
        .lookup(NAME)
        .and_then(|value| Some(value.downcast_object_ref::<Modes>()?.get(state.name())))
        .unwrap_or_default()
}
