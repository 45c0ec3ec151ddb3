//! A definition that is made a tree of when someone first looks into it.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::LazyLock;

use super::tree::{Element, XmlError};

/// Makes a tree, once.
type Make = Box<dyn FnOnce() -> Element + Send>;

/// A definition with its tree, which is made when it is first asked for: most definitions of a lab are as they were, and
/// [`Document::print`] tells that without looking into them.
pub struct Document {
    print: u64,
    tree: LazyLock<Element, Make>,
}

/// What tells a value from others: two with the same print are taken to be the same. It is the same for the same value with
/// this program only.
pub fn print(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl Document {
    /// A document whose tree is made later.
    pub fn later(print: u64, make: impl FnOnce() -> Element + Send + 'static) -> Self {
        Self {
            print,
            tree: LazyLock::new(Box::new(make)),
        }
    }

    /// A document whose tree is there.
    pub fn read(print: u64, tree: Element) -> Self {
        Self {
            print,
            tree: LazyLock::new(Box::new(|| tree)),
        }
    }

    /// Reads a text: later, where one of its print has been read before.
    pub fn parse(text: String, was_read: impl FnOnce(u64) -> bool) -> Result<Self, XmlError> {
        let print = print(&text);
        if !was_read(print) {
            return Ok(Self::read(print, Element::parse(&text)?));
        }
        // It was read, so it can be read.
        let make = move || Element::parse(&text).unwrap_or_default();
        Ok(Self::later(print, make))
    }

    /// The print of the text that it came from.
    pub fn print(&self) -> u64 {
        self.print
    }

    /// The tree.
    pub fn tree(&self) -> &Element {
        &self.tree
    }
}

impl Deref for Document {
    type Target = Element;

    fn deref(&self) -> &Element {
        self.tree()
    }
}

impl From<Element> for Document {
    fn from(tree: Element) -> Self {
        Self::read(print(&tree), tree)
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tree().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_before_is_read_when_it_is_looked_into() {
        let text = "<a b='c'/>";
        let first = Document::parse(text.to_owned(), |_| false).unwrap();
        let again = Document::parse(text.to_owned(), |print| print == first.print()).unwrap();
        assert_eq!(again.print(), first.print());
        assert_eq!(again.attribute("b"), Some("c"));
        assert_eq!(again.tree(), first.tree());
        assert!(Document::parse("<a>".to_owned(), |_| false).is_err());
    }
}
