//! XML as a tree of plain values, as far as libvirt's documents need it: an element has either
//! children or text. Reading ignores comments and the white space between elements.

use std::fmt;

use quick_xml::escape::{escape, resolve_predefined_entity};
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// An element with its attributes and what is inside.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Element {
    /// Its name, with the prefix as written.
    pub name: String,
    /// Attributes in the order written.
    pub attributes: Vec<(String, String)>,
    /// Child elements in order.
    pub children: Vec<Element>,
    /// The text inside, without the white space around it; empty where there are children.
    pub text: String,
}

/// Why a text is not XML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct XmlError {
    /// What is wrong, in one line.
    pub message: String,
    /// The byte of the text where it shows.
    pub offset: usize,
}

/// Nesting beyond this is refused: libvirt has nothing near it, and recursion must end.
const MAX_DEPTH: usize = 128;

impl Element {
    /// An empty element.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// Reads a document with one root element.
    pub fn parse(text: &str) -> Result<Self, XmlError> {
        let is_control = |byte: u8| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r');
        if let Some(offset) = text.bytes().position(is_control) {
            return Err(XmlError {
                message: "there is a control character".into(),
                offset,
            });
        }
        let mut reader = Reader::from_str(text);
        reader.config_mut().trim_text(false);
        let mut open: Vec<Element> = Vec::new();
        let mut root: Option<Element> = None;
        loop {
            let offset = usize::try_from(reader.buffer_position()).unwrap_or(text.len());
            let fail = |message: String| XmlError { message, offset };
            let event = reader.read_event().map_err(|error| XmlError {
                message: error.to_string(),
                offset: usize::try_from(reader.error_position()).unwrap_or(text.len()),
            })?;
            match event {
                Event::Start(start) => {
                    if root.is_some() && open.is_empty() {
                        return Err(fail("there is a second root element".into()));
                    }
                    if open.len() >= MAX_DEPTH {
                        return Err(fail("elements are nested too deeply".into()));
                    }
                    open.push(Self::from_start(&start, offset)?);
                }
                Event::Empty(start) => {
                    if root.is_some() && open.is_empty() {
                        return Err(fail("there is a second root element".into()));
                    }
                    let element = Self::from_start(&start, offset)?;
                    Self::close(element, &mut open, &mut root);
                }
                Event::End(_) => {
                    if let Some(element) = open.pop() {
                        Self::close(element, &mut open, &mut root);
                    }
                }
                Event::Text(part) => match open.last_mut() {
                    Some(element) => element.text.push_str(&part.xml10_content()),
                    None if part.trim().is_empty() => {}
                    None => return Err(fail("there is text outside the root element".into())),
                },
                Event::CData(part) => match open.last_mut() {
                    Some(element) => element.text.push_str(&part.xml10_content()),
                    None => return Err(fail("there is text outside the root element".into())),
                },
                Event::GeneralRef(reference) => {
                    let Some(element) = open.last_mut() else {
                        return Err(fail("there is text outside the root element".into()));
                    };
                    let character = reference
                        .resolve_char_ref()
                        .map_err(|error| fail(error.to_string()))?;
                    match character {
                        Some(character) => {
                            check_characters(character.encode_utf8(&mut [0; 4])).map_err(fail)?;
                            element.text.push(character);
                        }
                        None => match resolve_predefined_entity(&reference) {
                            Some(value) => element.text.push_str(value),
                            None => {
                                return Err(fail(format!("unknown entity `&{};`", &*reference)));
                            }
                        },
                    }
                }
                Event::DocType(_) => {
                    return Err(fail("a document type declaration is not allowed".into()));
                }
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
                Event::Eof => break,
            }
        }
        let end = |message: &str| XmlError {
            message: message.into(),
            offset: text.len(),
        };
        match (root, open.last()) {
            (_, Some(element)) => Err(end(&format!("`<{}>` is never closed", element.name))),
            (None, None) => Err(end("there is no element")),
            (Some(root), None) => Ok(root),
        }
    }

    fn from_start(start: &BytesStart<'_>, offset: usize) -> Result<Self, XmlError> {
        let fail = |message: String| XmlError { message, offset };
        let mut element = Self::new(start.name().as_ref());
        check_name(&element.name).map_err(fail)?;
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| fail(error.to_string()))?;
            let value = attribute
                .normalized_value(XmlVersion::Explicit1_0)
                .map_err(|error| fail(error.to_string()))?;
            check_name(attribute.key.as_ref()).map_err(fail)?;
            check_characters(&value).map_err(fail)?;
            element
                .attributes
                .push((attribute.key.as_ref().to_owned(), value.into_owned()));
        }
        Ok(element)
    }

    fn close(mut element: Self, open: &mut [Self], root: &mut Option<Self>) {
        element.text = if element.children.is_empty() {
            element.text.trim().to_owned()
        } else {
            String::new()
        };
        match open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => *root = Some(element),
        }
    }

    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Sets an attribute, in its place if it is there.
    pub fn set_attribute(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        match self.attributes.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = value,
            None => self.attributes.push((name.to_owned(), value)),
        }
    }

    /// Takes an attribute away and gives its value.
    pub fn remove_attribute(&mut self, name: &str) -> Option<String> {
        let at = self.attributes.iter().position(|(key, _)| key == name)?;
        Some(self.attributes.remove(at).1)
    }

    /// The first child of that name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The first child of that name, to be changed.
    pub fn child_mut(&mut self, name: &str) -> Option<&mut Element> {
        self.children.iter_mut().find(|child| child.name == name)
    }

    /// The first child of that name, made at the end if there is none.
    pub fn child_or_insert(&mut self, name: &str) -> &mut Element {
        let at = match self.children.iter().position(|child| child.name == name) {
            Some(at) => at,
            None => {
                self.children.push(Self::new(name));
                self.children.len() - 1
            }
        };
        &mut self.children[at]
    }

    /// All children of that name.
    pub fn children_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The element at a path of names below this one, `devices/disk`: the first of each.
    pub fn find(&self, path: &str) -> Option<&Element> {
        path.split('/')
            .try_fold(self, |element, name| element.child(name))
    }

    /// The text of the element at a path below this one; `None` also where it is empty.
    pub fn text_at(&self, path: &str) -> Option<&str> {
        self.find(path)
            .map(|element| element.text.as_str())
            .filter(|text| !text.is_empty())
    }

    /// An attribute of the element at a path below this one.
    pub fn attribute_at(&self, path: &str, attribute: &str) -> Option<&str> {
        self.find(path)?.attribute(attribute)
    }

    /// The same element with an attribute more.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.set_attribute(name, value);
        self
    }

    /// The same element with a text.
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// The same element with a child more.
    pub fn with_child(mut self, child: Element) -> Self {
        self.children.push(child);
        self
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        write!(f, "{:width$}<{}", "", self.name, width = depth * 2)?;
        for (key, value) in &self.attributes {
            write!(f, " {key}='{}'", attribute_text(value))?;
        }
        if self.children.is_empty() && self.text.is_empty() {
            return writeln!(f, "/>");
        }
        write!(f, ">{}", escape(self.text.as_str()).replace('\r', "&#13;"))?;
        if !self.children.is_empty() {
            writeln!(f)?;
            for child in &self.children {
                child.write(f, depth + 1)?;
            }
            write!(f, "{:width$}", "", width = depth * 2)?;
        }
        writeln!(f, "</{}>", self.name)
    }
}

/// An attribute's value as it is written. Line breaks and tabs would be read as spaces.
fn attribute_text(value: &str) -> String {
    escape(value)
        .replace('\t', "&#9;")
        .replace('\n', "&#10;")
        .replace('\r', "&#13;")
}

/// Refuses what libvirt's parser does not take for a name, and quick-xml does.
fn check_name(name: &str) -> Result<(), String> {
    let is_letter = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | ':') || !c.is_ascii();
    let may_follow = |c: char| is_letter(c) || c.is_ascii_digit() || matches!(c, '-' | '.');
    if name.starts_with(is_letter) && name.chars().all(may_follow) {
        return Ok(());
    }
    Err(format!("`{name}` is not a name"))
}

/// Refuses characters that XML cannot hold in any form.
fn check_characters(text: &str) -> Result<(), String> {
    let is_bad = |c: &char| matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}');
    match text.chars().find(is_bad) {
        Some(bad) => Err(format!(
            "XML cannot hold the character {:#x}",
            u32::from(bad)
        )),
        None => Ok(()),
    }
}

/// Writes the tree indented by two spaces, as libvirt does; reading it again gives the same tree.
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_the_same() {
        let text = "<?xml version='1.0'?>\n<a x='1 &amp; &quot;2'><!-- c --><b>t &lt; &#x41;</b>\n <c/>\n</a>";
        let tree = Element::parse(text).unwrap();
        assert_eq!(tree.text_at("b"), Some("t < A"));
        assert_eq!(tree.attribute("x"), Some("1 & \"2"));
        assert_eq!(Element::parse(&tree.to_string()).unwrap(), tree);
    }

    #[test]
    fn line_breaks_and_tabs_of_attributes_are_kept() {
        let tree = Element::new("a").with("b", "1\n2\t3\r4").with_text("5\r6");
        assert_eq!(Element::parse(&tree.to_string()).unwrap(), tree);
        // Written as they are, they mean spaces.
        let tree = Element::parse("<a b='1\n2'/>").unwrap();
        assert_eq!(tree.attribute("b"), Some("1 2"));
    }

    #[test]
    fn what_is_not_xml_is_refused() {
        for bad in [
            "",
            "text",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<a x='1' x='2'/>",
            "<a>&nope;</a>",
            "<!DOCTYPE a><a/>",
            "<a b=1/>",
            "<1/>",
            "<a'b/>",
            "<a b'='1'/>",
            "<a>\u{1}</a>",
            "<a>&#1;</a>",
            "<a b='&#1;'/>",
        ] {
            assert!(Element::parse(bad).is_err(), "{bad}");
        }
        let deep = "<a>".repeat(200) + &"</a>".repeat(200);
        assert!(Element::parse(&deep).is_err());
    }
}
