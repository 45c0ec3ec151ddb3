//! The definition's keys, each in one place: a row of [`object!`] says what a key is called, what it takes, its default and what it
//! does. The decoder comes from that, and so do [`schema`](super::schema) and the tables of docs/definition.md.

mod place;

use std::fmt::Display;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::decode::{Decoder, Given, Spanned};
use super::yaml::Node;
use crate::address::Name as ResourceName;
use crate::diagnostic::{Diagnostic, Span};
pub use place::{Disruption, Place, Way, at};

/// A key of the definition.
#[derive(Debug, Clone, Copy)]
pub struct Attribute {
    /// Its name.
    pub key: &'static str,
    /// What it does, in a sentence, each line with a blank before it.
    pub doc: &'static [&'static str],
    /// What it takes.
    pub takes: Type,
    /// What there is without it, in words or as it would be written; empty where that is nothing.
    pub default: &'static str,
    /// It has to be given; how to write it.
    pub needed: Option<&'static str>,
    /// Where it is in libvirt's XML, if it is there.
    pub xml: &'static [Place],
    /// Paths there of what goes along with it.
    pub follows: &'static [&'static str],
}

impl Attribute {
    /// One that may be left out, without a default.
    pub const PLAIN: Self = Self {
        key: "",
        doc: &[],
        takes: Type::Any,
        default: "",
        needed: None,
        xml: &[],
        follows: &[],
    };

    /// What it does.
    pub fn sentence(&self) -> String {
        self.doc.concat().trim().to_owned()
    }
}

/// What a key takes.
#[derive(Debug, Clone, Copy)]
pub enum Type {
    /// Whatever there is in YAML.
    Any,
    /// A text.
    Text,
    /// Lines of text.
    Xml,
    /// `true` or `false`.
    Boolean,
    /// A whole number from one to another.
    Integer(i64, i64),
    /// A number of bytes with its unit.
    Size,
    /// A span of time.
    Duration,
    /// The name of something in the lab.
    Name,
    /// An IP address.
    Address,
    /// An IP address with the length of its prefix.
    Subnet,
    /// One of these words.
    Word(fn() -> Vec<&'static str>),
    /// One of several.
    OneOf(&'static [Type]),
    /// One, or a list of them.
    OneOrList(&'static Type),
    /// A list.
    List(&'static Type),
    /// A map whose keys are the user's own.
    Map(&'static Type),
    /// A map of known keys.
    Object(&'static Object),
}

/// A map of known keys.
#[derive(Debug)]
pub struct Object {
    /// What it is: `a disk`.
    pub what: &'static str,
    /// Its keys.
    pub keys: &'static [Attribute],
}

/// A kind of value that keys take.
pub trait Kind {
    /// What becomes of it; its default is what there is where it is not given.
    type Field: Default;

    /// What it is.
    const TYPE: Type;

    /// Reads it. What cannot be read is reported, and counts as not given.
    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field;
}

/// A map of known keys that is read into a structure.
pub trait Keys: Default + 'static {
    /// The keys.
    const OBJECT: Object;

    /// What several of it are: `disks`.
    const MANY: &'static str;

    /// What is written: the map, or what stands for it.
    const TYPE: Type;

    /// What is expected, for whom wrote something else.
    const EXPECTED: &'static str;

    /// Reads it; `None` where it is no map. `place` is where something that is missing is missed.
    fn decode(d: &mut Decoder<'_>, node: &Node, place: Span) -> Option<Self>;
}

/// Whether a map has a key.
pub fn has(node: &Node, key: &str) -> bool {
    node.given(key).is_some()
}

/// Says of a map which keys it lacks.
pub fn needed(d: &mut Decoder<'_>, node: &Node, place: Span, object: &Object) {
    for attribute in object.keys.iter().filter(|it| !has(node, it.key)) {
        if let Some(hint) = attribute.needed {
            let problem = format!("{} needs `{}`", object.what, attribute.key);
            d.report(Diagnostic::error(problem).at(place).hint(hint));
        }
    }
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident: $of:ty = $type:expr, $decode:expr;)+) => {$(
        $(#[doc = $doc])+
        #[derive(Debug)]
        pub struct $name;

        impl Kind for $name {
            type Field = Given<$of>;
            const TYPE: Type = $type;

            fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
                ($decode)(d, node)
            }
        }
    )+};
}
pub(super) use kinds;

kinds! {
    /// A text.
    Text: String = Type::Text, Decoder::text;
    /// A switch.
    Switch: bool = Type::Boolean, Decoder::boolean;
    /// A size in bytes.
    Size: u64 = Type::Size, Decoder::size;
    /// Seconds.
    Duration: u64 = Type::Duration, Decoder::duration;
    /// The name of something in the lab.
    Name: ResourceName = Type::Name, Decoder::name;
    /// An IP address.
    Address: IpAddr = Type::Address, Decoder::ip;
    /// An IP address with the length of its prefix.
    Subnet: IpNet = Type::Subnet, Decoder::subnet;
}

/// A whole number from one to another.
#[derive(Debug)]
pub struct Whole<T, const LEAST: i64, const MOST: i64>(std::marker::PhantomData<T>);

impl<T, const LEAST: i64, const MOST: i64> Kind for Whole<T, LEAST, MOST>
where
    T: TryFrom<i64> + FromStr + PartialOrd + Display,
{
    type Field = Given<T>;
    const TYPE: Type = Type::Integer(LEAST, MOST);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        let (least, most) = (T::try_from(LEAST).ok()?, T::try_from(MOST).ok()?);
        d.integer(node, least, most)
    }
}

/// The words that a key takes, and what each means.
pub trait Words {
    /// What they mean.
    type Meaning: Copy + 'static;

    /// The words.
    const WORDS: &'static [(&'static str, Self::Meaning)];

    /// The words alone.
    fn words() -> Vec<&'static str> {
        Self::WORDS.iter().map(|(word, _)| *word).collect()
    }
}

/// Lists of words, each word alone or with what it means.
macro_rules! words {
    ($($(#[doc = $doc:literal])+ $name:ident: $meaning:ty = [$($word:literal $(=> $means:expr)?),+ $(,)?];)+) => {$(
        $(#[doc = $doc])+
        #[derive(Debug)]
        pub struct $name;

        impl $crate::lab::attributes::Words for $name {
            type Meaning = $meaning;
            const WORDS: &'static [(&'static str, $meaning)] =
                &[$(($word, $crate::lab::attributes::words!(@ $word $($means)?))),+];
        }
    )+};
    (@ $word:literal) => { $word };
    (@ $word:literal $means:expr) => { $means };
}
pub(super) use words;

/// One of a few words.
#[derive(Debug)]
pub struct Word<W>(std::marker::PhantomData<W>);

impl<W: Words> Kind for Word<W> {
    type Field = Given<W::Meaning>;
    const TYPE: Type = Type::Word(W::words);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        d.choice(node, W::WORDS)
    }
}

/// One, or a list of them.
#[derive(Debug)]
pub struct OneOrList<K>(std::marker::PhantomData<K>);

impl<T, K: Kind<Field = Given<T>>> Kind for OneOrList<K> {
    type Field = Vec<Spanned<T>>;
    const TYPE: Type = Type::OneOrList(&K::TYPE);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        d.one_or_list(node, K::decode)
    }
}

/// A thing and the key it stands under.
#[derive(Debug, Clone)]
pub struct Named<T> {
    /// The key.
    pub key: Spanned<ResourceName>,
    /// Something in it could not be decoded, and was reported.
    pub flawed: bool,
    /// The thing.
    pub spec: T,
}

/// Reads a map of things under names.
pub fn named<T: Default>(
    d: &mut Decoder<'_>,
    node: &Node,
    what: &str,
    mut decode: impl FnMut(&mut Decoder<'_>, &Node, Span) -> Option<T>,
) -> Vec<Named<T>> {
    let entries = d.entries(node, what);
    // A guest's settings are large: they are not to be moved each time that there are twice as many.
    let mut all = Vec::with_capacity(entries.len());
    for (key, node) in entries {
        let before = d.count();
        let name = d.key(key);
        let spec = decode(d, node, key.span).unwrap_or_default();
        if let Some(name) = name {
            all.push(Named {
                key: name,
                flawed: d.count() > before,
                spec,
            });
        }
    }
    all
}

/// Things under names, in the order written.
#[derive(Debug)]
pub struct Map<T>(std::marker::PhantomData<T>);

impl<T: Keys> Kind for Map<T> {
    type Field = Vec<Named<T>>;
    const TYPE: Type = Type::Map(&T::TYPE);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        named(d, node, &format!("a map of {}", T::MANY), T::decode)
    }
}

/// Texts under texts, in the order written.
pub type ByText<T> = Vec<(Spanned<String>, T)>;

/// Things under any texts, in the order written; what cannot be read is left out.
#[derive(Debug)]
pub struct TextMap<T>(std::marker::PhantomData<T>);

impl<T: Keys> Kind for TextMap<T> {
    type Field = ByText<T>;
    const TYPE: Type = Type::Map(&T::TYPE);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        let entries = d.entries(node, &format!("a map of {}", T::MANY));
        let read = entries.into_iter().filter_map(|(key, node)| {
            let spec = T::decode(d, node, key.span)?;
            Some((text_of(key), spec))
        });
        read.collect()
    }
}

/// A key as a text with its place.
pub fn text_of(key: &super::yaml::Key) -> Spanned<String> {
    Spanned {
        value: key.text.clone(),
        span: key.span,
    }
}

/// A map of known keys that is the same as an empty one where it is not given.
#[derive(Debug)]
pub struct Nested<T>(std::marker::PhantomData<T>);

impl<T: Keys> Kind for Nested<T> {
    type Field = T;
    const TYPE: Type = T::TYPE;

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        T::decode(d, node, node.span).unwrap_or_default()
    }
}

/// A map of known keys that makes a difference where it is given.
#[derive(Debug)]
pub struct Optional<T>(std::marker::PhantomData<T>);

impl<T: Keys> Kind for Optional<T> {
    type Field = Option<T>;
    const TYPE: Type = T::TYPE;

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        T::decode(d, node, node.span)
    }
}

/// Rows of keys: makes a structure of what was written, and its decoder.
///
/// ```text
/// object! {
///     /// A disk as written.
///     DiskSpec: "a disk" / "disks", "the settings of a disk", CLAUSE … {
///         /// What it does.
///         size: DiskSize [default: "that of the image"],
///         kind = "type": Word<Kinds>,
///     } with { span: Option<Span> }
/// }
/// ```
///
/// Clauses: `scalar KEY(KIND)` reads a scalar as the value of that key, `short KEY(KIND)` all that is no map; `before FN` may read
/// all by itself; `after FN` looks at what was read. Fields behind `with` have no key.
macro_rules! object {
    (
        $(#[doc = $doc:literal])+
        $name:ident: $what:literal / $many:literal, $expected:literal
        $(, $clause:ident $argument:ident $(($kind_of:ty))?)* {
            $(
                $(#[doc = $sentence:literal])+
                $field:ident $(= $key:literal)?: $kind:ty $([$($property:ident: $value:expr),+])?
            ),* $(,)?
        }
        $(with { $($(#[doc = $more_doc:literal])+ $more:ident: $more_type:ty),+ $(,)? })?
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Default)]
        pub struct $name {
            $(
                $(#[doc = $sentence])+
                pub $field: <$kind as $crate::lab::attributes::Kind>::Field,
            )*
            $($($(#[doc = $more_doc])+ pub $more: $more_type,)+)?
        }

        impl $crate::lab::attributes::Keys for $name {
            const OBJECT: $crate::lab::attributes::Object = $crate::lab::attributes::Object {
                what: $what,
                keys: &[$($crate::lab::attributes::Attribute {
                    key: $crate::lab::attributes::object!(@key $field $($key)?),
                    doc: &[$($sentence),+],
                    takes: <$kind as $crate::lab::attributes::Kind>::TYPE,
                    $($($property: $crate::lab::attributes::object!(@property $property $value),)+)?
                    ..$crate::lab::attributes::Attribute::PLAIN
                }),*],
            };
            const MANY: &'static str = $many;
            const EXPECTED: &'static str = $expected;
            const TYPE: $crate::lab::attributes::Type =
                $crate::lab::attributes::object!(@type $($($kind_of,)?)*);

            fn decode(
                d: &mut $crate::lab::decode::Decoder<'_>,
                node: &$crate::lab::yaml::Node,
                place: $crate::diagnostic::Span,
            ) -> Option<Self> {
                $($crate::lab::attributes::object!(@before $clause $argument $($kind_of)?; d, node, place);)*
                let mut fields = d.fields(node, Self::EXPECTED)?;
                let mut spec = Self::default();
                $(
                    if let Some(node) = fields.take($crate::lab::attributes::object!(@key $field $($key)?)) {
                        spec.$field = <$kind as $crate::lab::attributes::Kind>::decode(d, node);
                    }
                )*
                $crate::lab::attributes::needed(d, node, place, &Self::OBJECT);
                fields.finish(d, $what);
                $($crate::lab::attributes::object!(@after $clause $argument; spec, d, node, place);)*
                Some(spec)
            }
        }
    };
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
    (@property needed $value:expr) => { Some($value) };
    (@property xml $value:expr) => { &$value };
    (@property follows $value:expr) => { &$value };
    (@property $property:ident $value:expr) => { $value };
    (@type) => { $crate::lab::attributes::Type::Object(&Self::OBJECT) };
    (@type $kind:ty,) => {
        $crate::lab::attributes::Type::OneOf(&[
            <$kind as $crate::lab::attributes::Kind>::TYPE,
            $crate::lab::attributes::Type::Object(&Self::OBJECT),
        ])
    };
    (@before scalar $field:ident $kind:ty; $d:ident, $node:ident, $place:ident) => {
        if let $crate::lab::yaml::Value::Scalar(..) = $node.value {
            let mut spec = Self::default();
            spec.$field = <$kind as $crate::lab::attributes::Kind>::decode($d, $node);
            return Some(spec);
        }
    };
    (@before short $field:ident $kind:ty; $d:ident, $node:ident, $place:ident) => {
        if !matches!($node.value, $crate::lab::yaml::Value::Mapping(_)) {
            let mut spec = Self::default();
            spec.$field = <$kind as $crate::lab::attributes::Kind>::decode($d, $node);
            return Some(spec);
        }
    };
    (@before before $function:ident; $d:ident, $node:ident, $place:ident) => {
        if let Some(spec) = $function($d, $node, $place) {
            return Some(spec);
        }
    };
    (@before after $function:ident; $d:ident, $node:ident, $place:ident) => {};
    (@after after $function:ident; $spec:ident, $d:ident, $node:ident, $place:ident) => {
        $function(&mut $spec, $d, $node, $place);
    };
    (@after $clause:ident $argument:ident; $spec:ident, $d:ident, $node:ident, $place:ident) => {};
}
pub(super) use object;
