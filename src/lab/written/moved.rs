//! `moved` as written: what has another name now.

use crate::address::Address;
use crate::diagnostic::Diagnostic;
use crate::lab::decode::{Decoder, Given, Spanned};
use crate::lab::yaml::Node;

/// One resource that has another address now.
#[derive(Debug, Clone)]
pub struct MoveSpec {
    /// `from`
    pub from: Spanned<Address>,
    /// `to`
    pub to: Spanned<Address>,
}

/// Decodes the list.
pub(super) fn moves(d: &mut Decoder<'_>, node: &Node) -> Vec<MoveSpec> {
    let items = d.list(node, "a list of `{from: …, to: …}`");
    items.iter().filter_map(|item| one(d, item)).collect()
}

fn one(d: &mut Decoder<'_>, node: &Node) -> Option<MoveSpec> {
    let mut fields = d.fields(node, "`{from: guest.web1, to: guest.app1}`")?;
    let (from, to) = (fields.take("from"), fields.take("to"));
    let addresses = (
        from.map(|node| address(d, node)),
        to.map(|node| address(d, node)),
    );
    fields.finish(d, "a move");
    match addresses {
        (Some(from), Some(to)) => Some(MoveSpec {
            from: from?,
            to: to?,
        }),
        (from, _) => {
            let (missing, what) = match from {
                Some(_) => ("to", "what it is called now"),
                None => ("from", "what it was called"),
            };
            d.report(
                Diagnostic::error(format!("a move without `{missing}`"))
                    .at(node.span)
                    .hint(format!("say {what}: `{missing}: guest.NAME`")),
            );
            None
        }
    }
}

fn address(d: &mut Decoder<'_>, node: &Node) -> Given<Address> {
    let text = d.text(node)?;
    match text.value.parse::<Address>() {
        Ok(value) => Some(Spanned {
            value,
            span: text.span,
        }),
        Err(error) => {
            d.report(Diagnostic::error(error.to_string()).at(text.span));
            None
        }
    }
}
