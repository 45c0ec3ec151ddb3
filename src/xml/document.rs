//! A definition as text, of which a tree is made when someone looks into it.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::tree::{Element, XmlError};
use crate::fingerprint::fingerprint;

/// A definition. A tree takes ten times the memory of its text, and of a large lab's definitions few are looked into, and those
/// one after the other: so a tree is let go when nobody holds it, and made again when it is asked for again.
/// [`Document::fingerprint`] tells without a look whether a definition is as it was.
#[derive(Clone)]
pub struct Document {
    fingerprint: u64,
    source: Source,
    tree: Arc<Mutex<Weak<Element>>>,
}

/// What a tree is made of.
#[derive(Clone)]
enum Source {
    /// Its text, which has been read before.
    Text(Arc<String>),
    /// Something else.
    Made(Arc<dyn Fn() -> Option<Element> + Send + Sync>),
}

/// The trees that were looked into last: who looks into one mostly does so again at once.
static RECENT: Mutex<VecDeque<Arc<Element>>> = Mutex::new(VecDeque::new());
const RECENT_TREES: usize = 32;

impl Document {
    fn new(fingerprint: u64, source: Source) -> Self {
        Self {
            fingerprint,
            source,
            tree: Arc::default(),
        }
    }

    /// A document whose tree is made by a function, always the same. Where that gives none any more, its tree is an element
    /// without a name, which no step takes for a definition.
    pub fn made(
        fingerprint: u64,
        make: impl Fn() -> Option<Element> + Send + Sync + 'static,
    ) -> Self {
        Self::new(fingerprint, Source::Made(Arc::new(make)))
    }

    /// A document with a fingerprint that does not come from its tree.
    pub fn read(fingerprint: u64, tree: &Element) -> Self {
        Self::new(fingerprint, Source::Text(Arc::new(tree.to_string())))
    }

    /// Takes a text. It is read, unless one of its fingerprint has been read before.
    pub fn parse(text: String, was_read: impl FnOnce(u64) -> bool) -> Result<Self, XmlError> {
        let fingerprint = fingerprint(&text);
        if !was_read(fingerprint) {
            Element::parse(&text)?;
        }
        Ok(Self::new(fingerprint, Source::Text(Arc::new(text))))
    }

    /// The fingerprint of the text that it came from.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// The text, or one that says the same.
    pub fn text(&self) -> Cow<'_, str> {
        match &self.source {
            Source::Text(text) => Cow::Borrowed(text.as_str()),
            Source::Made(make) => Cow::Owned(make().unwrap_or_default().to_string()),
        }
    }

    /// The tree.
    pub fn tree(&self) -> Arc<Element> {
        let mut kept = self.tree.lock();
        if let Some(tree) = kept.upgrade() {
            return tree;
        }
        let tree = Arc::new(match &self.source {
            // It was read, so it can be read.
            Source::Text(text) => Element::parse(text).unwrap_or_default(),
            Source::Made(make) => make().unwrap_or_default(),
        });
        *kept = Arc::downgrade(&tree);
        let mut recent = RECENT.lock();
        if recent.len() == RECENT_TREES {
            recent.pop_front();
        }
        recent.push_back(tree.clone());
        tree
    }
}

impl From<Element> for Document {
    fn from(tree: Element) -> Self {
        Self::from(&tree)
    }
}

impl From<&Element> for Document {
    fn from(tree: &Element) -> Self {
        Self::read(fingerprint(tree), tree)
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tree().fmt(f)
    }
}

/// Two are the same if their trees are.
impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint || self.tree() == other.tree()
    }
}

impl Eq for Document {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_before_is_read_when_it_is_looked_into() {
        let text = "<a b='c'/>";
        let first = Document::parse(text.to_owned(), |_| false).unwrap();
        let again = Document::parse(text.to_owned(), |fingerprint| {
            fingerprint == first.fingerprint()
        })
        .unwrap();
        assert_eq!(again.fingerprint(), first.fingerprint());
        assert_eq!(again.tree().attribute("b"), Some("c"));
        assert_eq!(again, first);
        assert!(Document::parse("<a>".to_owned(), |_| false).is_err());
    }

    #[test]
    fn a_tree_is_let_go_and_made_again() {
        let document = Document::from(Element::parse("<a><b>c</b></a>").unwrap());
        let held = document.tree();
        for _ in 0..RECENT_TREES {
            drop(Document::from(Element::new("other")).tree());
        }
        assert!(Arc::ptr_eq(&held, &document.tree()));
        drop(held);
        for _ in 0..RECENT_TREES {
            drop(Document::from(Element::new("other")).tree());
        }
        assert!(document.tree.lock().upgrade().is_none());
        assert_eq!(document.tree().text_at("b"), Some("c"));
    }
}
