//! `moved` as written: what has another name now.

use crate::address::Address;
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::attributes::{Keys as _, Kind, Type, has, kinds, object};
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

kinds! {
    /// The address of a resource.
    ResourceAddress: Address = Type::Text, address;
}

object! {
    /// A move as written.
    MoveKeys: "a move" / "moves", "`{from: guest.web1, to: guest.app1}`", after move_is_whole {
        /// The address that it had: `guest.web1`. Needed.
        from: ResourceAddress,
        /// The address that it has. Needed.
        to: ResourceAddress,
    }
}

fn move_is_whole(_: &mut MoveKeys, d: &mut Decoder<'_>, node: &Node, _: Span) {
    let (missing, what) = match (has(node, "from"), has(node, "to")) {
        (true, true) => return,
        (true, false) => ("to", "what it is called now"),
        (false, _) => ("from", "what it was called"),
    };
    d.report(
        Diagnostic::error(format!("a move without `{missing}`"))
            .at(node.span)
            .hint(format!("say {what}: `{missing}: guest.NAME`")),
    );
}

/// The list of moves.
#[derive(Debug)]
pub struct Moves;

impl Kind for Moves {
    type Field = Vec<MoveSpec>;
    const TYPE: Type = Type::List(&MoveKeys::TYPE);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        let items = d.list(node, "a list of `{from: …, to: …}`").iter();
        let moves = items.filter_map(|item| {
            let MoveKeys { from, to } = MoveKeys::decode(d, item, item.span)?;
            Some(MoveSpec {
                from: from?,
                to: to?,
            })
        });
        moves.collect()
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
