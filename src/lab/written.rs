//! A definition as written: every setting an option, every value with its place.
//!
//! Decoding goes on after a problem; what could not be decoded counts as not given, and the thing it
//! belongs to as flawed, so that `resolve` does not complain of its absence.

pub mod devices;
pub mod guest;
pub mod host;
pub mod install;
pub mod machine;
pub mod moved;
pub mod network;
pub mod passed;
pub mod processor;
pub mod storage;
pub mod system;

pub use super::attributes::Named;
use super::attributes::{
    Attribute, Keys as _, Kind, Map, Name, Nested, Object, Switch, Type, kinds, object,
};
use super::decode::{Decoder, Given, Spanned};
use super::yaml::{Node, Style, Value};
use crate::address::Name as ResourceName;
use crate::diagnostic::{Diagnostic, Diagnostics, Span};
use guest::{Groups, GuestSpec, Shared};
use host::HostSpec;
use moved::Moves;
use network::NetworkSpec;
use storage::{ImageSpec, PoolSpec};

/// A definition as written, its layers merged.
#[derive(Debug, Clone, Default)]
pub struct Spec {
    /// Name of the lab.
    pub lab: Given<ResourceName>,
    /// The lab's name is given, if wrongly.
    pub lab_given: bool,
    /// Where the definition begins, or where its name is missing.
    pub begins: Option<Span>,
    /// Networks in the order written.
    pub networks: Vec<Named<NetworkSpec>>,
    /// Pools in the order written.
    pub pools: Vec<Named<PoolSpec>>,
    /// Images in the order written.
    pub images: Vec<Named<ImageSpec>>,
    /// Guests in the order written, each with what `common` and its groups give it.
    pub guests: Vec<Named<GuestSpec>>,
    /// What has another name now, in the order written.
    pub moved: Vec<moved::MoveSpec>,
    /// What the host is to have besides.
    pub host: HostSpec,
}

/// The keys of a definition.
pub const LAB: Object = Object {
    what: "a lab",
    keys: &[
        Attribute {
            key: "lab",
            doc: &["The lab's name: objects carry it, and the state's file."],
            takes: Name::TYPE,
            needed: Some("write `lab: NAME`"),
            ..Attribute::PLAIN
        },
        Attribute {
            key: "networks",
            doc: &["Networks, by name."],
            takes: Map::<NetworkSpec>::TYPE,
            ..Attribute::PLAIN
        },
        Attribute {
            key: "pools",
            doc: &["Storage pools, by name."],
            takes: Map::<PoolSpec>::TYPE,
            ..Attribute::PLAIN
        },
        Attribute {
            key: "images",
            doc: &["Disk images, by name."],
            takes: Map::<ImageSpec>::TYPE,
            ..Attribute::PLAIN
        },
        Attribute {
            key: "common",
            doc: &["What all guests begin with."],
            takes: Shared::TYPE,
            ..Attribute::PLAIN
        },
        Attribute {
            key: "groups",
            doc: &["What guests of a group have after that, by the group's name."],
            takes: Groups::TYPE,
            ..Attribute::PLAIN
        },
        Attribute {
            key: "guests",
            doc: &["Guests, by name."],
            takes: Map::<GuestSpec>::TYPE,
            ..Attribute::PLAIN
        },
        Attribute {
            key: "moved",
            doc: &["What has another name now, and is the same."],
            takes: Moves::TYPE,
            ..Attribute::PLAIN
        },
        Attribute {
            key: "host",
            doc: &["What the hypervisor's host is to have besides; `generate` writes it."],
            takes: HostSpec::TYPE,
            ..Attribute::PLAIN
        },
    ],
};

/// Decodes a merged definition. Every problem is collected.
pub fn decode(root: &Node, problems: &mut Diagnostics) -> Spec {
    let mut d = Decoder::new(problems);
    let mut spec = Spec::default();
    let Some(mut fields) = d.fields(root, "a map with `lab`, `networks`, `guests` and so on")
    else {
        spec.lab_given = true;
        return spec;
    };
    spec.begins = Some(begins(root));
    let mut nodes = LAB.keys.iter().map(|it| fields.take(it.key));
    let [
        lab,
        networks,
        pools,
        images,
        common,
        groups,
        guests,
        moved,
        host,
    ] = std::array::from_fn(|_| nodes.next().flatten());
    let d = &mut d;
    if let Some(node) = lab {
        spec.lab_given = true;
        spec.lab = Name::decode(d, node);
    }
    spec.networks = networks.map_or_else(Vec::new, |node| Map::decode(d, node));
    spec.pools = pools.map_or_else(Vec::new, |node| Map::decode(d, node));
    spec.images = images.map_or_else(Vec::new, |node| Map::decode(d, node));
    spec.guests = guest::guests(d, common, groups, guests);
    spec.moved = moved.map_or_else(Vec::new, |node| Moves::decode(d, node));
    spec.host = host.map_or_else(HostSpec::default, |node| Nested::decode(d, node));
    fields.finish(d, LAB.what);
    spec
}

/// Where a definition says, or should say, how it is called.
fn begins(root: &Node) -> Span {
    let Value::Mapping(entries) = &root.value else {
        return root.span;
    };
    let null = entries.get_key_value("lab");
    let place = null.or_else(|| entries.first());
    place.map_or(root.span, |(key, _)| key.span)
}

object! {
    /// `lifecycle` as written.
    LifecycleSpec: "`lifecycle`" / "lifecycles", "`{prevent_destroy: true}`" {
        /// Nothing may delete or replace it.
        prevent_destroy: Switch [default: "`false`"],
    }
}

/// A text in which places matter: an XML overlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockText {
    /// The text.
    pub text: String,
    /// How it was written.
    pub style: Style,
}

kinds! {
    /// libvirt's XML.
    Xml: BlockText = Type::Xml, block_text;
}

fn block_text(d: &mut Decoder<'_>, node: &Node) -> Given<BlockText> {
    match &node.value {
        Value::Scalar(text, style) => Some(Spanned {
            value: BlockText {
                text: text.clone(),
                style: *style,
            },
            span: node.span,
        }),
        Value::Sequence(_) | Value::Mapping(_) => {
            d.report(
                Diagnostic::error(format!("expected XML as text, found {}", node.describe()))
                    .at(node.span)
                    .hint("write `xml: |` and the XML on the lines below"),
            );
            None
        }
    }
}
