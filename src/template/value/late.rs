//! Parts of a context that are copied when they are first looked at.
//!
//! A template sees a whole lab and looks at little of it: to copy all of it for each of many guests would take longer than
//! all else.

use std::sync::{PoisonError, RwLock};

use minijinja::Value;

/// A container's content: its own already, or still somebody else's.
pub struct Late<T>(RwLock<Content<T>>);

enum Content<T> {
    /// To be copied from here.
    Elsewhere(Value),
    Own(T),
}

/// What can be copied from a value.
pub trait Copied: Default {
    /// Copies one level of a value.
    fn of(value: &Value) -> Self;
}

impl<T: Copied> Late<T> {
    /// What is there already.
    pub fn new(content: T) -> Self {
        Self(RwLock::new(Content::Own(content)))
    }

    /// What is copied at the first look.
    pub fn from(value: Value) -> Self {
        Self(RwLock::new(Content::Elsewhere(value)))
    }

    /// Looks at the content.
    pub fn read<R>(&self, what: impl FnOnce(&T) -> R) -> R {
        let content = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Content::Own(content) = &*content {
            return what(content);
        }
        drop(content);
        self.change(|content| what(content))
    }

    /// Changes the content.
    pub fn change<R>(&self, what: impl FnOnce(&mut T) -> R) -> R {
        let mut content = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Content::Elsewhere(value) = &*content {
            let copied = T::of(value);
            *content = Content::Own(copied);
        }
        match &mut *content {
            Content::Own(content) => what(content),
            // It was made its own just now.
            Content::Elsewhere(_) => what(&mut T::default()),
        }
    }

    /// Takes the content out, if it was ever looked at.
    pub fn take(&mut self) -> T {
        let content = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        match content {
            Content::Own(content) => std::mem::take(content),
            Content::Elsewhere(_) => T::default(),
        }
    }
}

impl<T: Copied> Default for Late<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}
