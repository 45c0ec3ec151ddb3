//! The user's own XML: read, and its problems shown where they stand in the definition.

use super::Resolver;
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::decode::{Given, Spanned};
use crate::lab::model::Overlay;
use crate::lab::written::BlockText;
use crate::lab::yaml::Style;
use crate::xml::tree::Element;

impl Resolver<'_> {
    /// Reads an overlay whose root element has to be `root`.
    pub(super) fn overlay(&mut self, given: &Given<BlockText>, root: &str) -> Option<Overlay> {
        let text = given.as_ref()?;
        let tree = match Element::parse(&text.value.text) {
            Ok(tree) => tree,
            Err(error) => {
                self.report(
                    Diagnostic::error(format!("the XML is not well-formed: {}", error.message))
                        .at(self.place(text, error.offset))
                        .hint(format!("close every element; the outermost is `<{root}>`")),
                );
                return None;
            }
        };
        let offset = |name: &str| text.value.text.find(&format!("<{name}")).unwrap_or(0);
        if tree.name != root {
            self.report(
                Diagnostic::error(format!("expected `<{root}>`, found `<{}>`", tree.name))
                    .at(self.place(text, offset(&tree.name)))
                    .hint(format!(
                        "the XML here is merged into a `<{root}>`: begin with that element"
                    )),
            );
        }
        for identity in ["name", "uuid"] {
            if tree.child(identity).is_some() {
                let hint = match (identity, root) {
                    ("name", "volume") => "remove it: it follows from the guest and the disk",
                    ("name", _) => "remove it, and give `name` beside `xml`",
                    _ => "remove it: it is derived from the lab's name",
                };
                self.report(
                    Diagnostic::error(format!("`<{identity}>` cannot be set by XML"))
                        .at(self.place(text, offset(identity)))
                        .hint(hint),
                );
            }
        }
        Some(Overlay {
            tree,
            span: Some(text.span),
        })
    }

    /// The place of a byte of the XML in the file: in a block or a one-line text it can be found;
    /// elsewhere (folded, escaped) the whole text is pointed at.
    fn place(&self, xml: &Spanned<BlockText>, offset: usize) -> Span {
        let source = &self.sources.file(xml.span.file).text;
        let text = &xml.value.text;
        let offset = offset.min(text.trim_end().len());
        let found = match xml.value.style {
            Style::Block => place_in_block(source, xml.span, text, offset),
            Style::Plain | Style::Quoted => source
                .get(xml.span.start..xml.span.end)
                .and_then(|written| written.find(text.as_str()))
                .map(|start| xml.span.start + start + offset),
        };
        match found {
            Some(start) => {
                let rest = source.get(start..).unwrap_or_default();
                let line = rest.lines().next().unwrap_or_default();
                let tag = line.starts_with('<').then(|| line.find('>')).flatten();
                let width = tag.map_or(line.chars().next().map_or(0, char::len_utf8), |at| at + 1);
                Span {
                    start,
                    end: start + width,
                    ..xml.span
                }
            }
            None => xml.span,
        }
    }
}

/// The byte of the file that a byte of a block's text is at; `None` where the lines are not the file's.
fn place_in_block(source: &str, span: Span, text: &str, offset: usize) -> Option<usize> {
    let before = text.get(..offset)?;
    let line = before.matches('\n').count();
    let column = offset - before.rfind('\n').map_or(0, |at| at + 1);
    let (first, wanted) = (text.lines().next()?, text.lines().nth(line)?);
    // The place of a block begins at its `|` or at its first line.
    let begin = source.get(..span.start)?.rfind('\n').map_or(0, |at| at + 1);
    [0, 1].into_iter().find_map(|skip| {
        indented(source, begin, skip, first)?;
        Some(indented(source, begin, skip + line, wanted)? + column)
    })
}

/// Where a text begins in the file, if it is, indented, the line that comes `skip` lines after `begin`.
fn indented(source: &str, begin: usize, skip: usize, wanted: &str) -> Option<usize> {
    let lines = source.get(begin..)?.split_inclusive('\n');
    let start = begin + lines.take(skip).map(str::len).sum::<usize>();
    let written = source.get(start..)?.lines().next()?;
    let indent = written.len().checked_sub(wanted.len())?;
    let blank = written.get(..indent)?.chars().all(|c| c == ' ');
    (blank && written.get(indent..)? == wanted).then_some(start + indent)
}
