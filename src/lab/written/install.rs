//! `install`, `cloud_init`, `files` and `templates` of a guest as written.

use crate::address::Name as ResourceName;
use crate::diagnostic::Span;
use crate::install::os::Installer;
use crate::lab::attributes::{Duration, Keys as _, Kind, Name, Text, Type, Word, object, words};
use crate::lab::decode::{Decoder, Given, Spanned};
use crate::lab::yaml::{Node, Value};

words! {
    /// Installers by whose answers they take.
    Installers: Installer = ["kickstart" => Installer::Kickstart, "preseed" => Installer::Preseed, "autoinstall" => Installer::Autoinstall, "autoyast" => Installer::Autoyast, "other" => Installer::Other];
}

object! {
    /// `install` as written.
    InstallSpec: "`install`" / "installs", "`{os: …, location: …}`", after place_of_install {
        /// What is installed: libosinfo's short ids, or nearly so. Needed.
        os: Text,
        /// Where the installer is. Needed.
        location: Location,
        /// Where packages come from.
        url: Text [default: "`location`, or for Debian a mirror"],
        /// The answers: a file beside the definition or in the search path for templates.
        template: Text [default: "that of the installer"],
        /// Whose answers a template of your own has, where `os` does not tell.
        installer: Word<Installers> [default: "as `os` tells"],
        /// More for the installer's kernel.
        cmdline: Text,
        /// How long it may take.
        timeout: Duration [default: "`45m`"],
    } with {
        /// Where it is given.
        span: Option<Span>,
    }
}

fn place_of_install(spec: &mut InstallSpec, _: &mut Decoder<'_>, node: &Node, _: Span) {
    spec.span = Some(node.span);
}

/// `location` of an install as written.
#[derive(Debug, Clone)]
pub enum LocationSpec {
    /// A URL, an ISO or a tree.
    Text(Spanned<String>),
    /// `{pool: …, volume: …}` or `{kernel: …, initrd: …}`
    Parts(PartsSpec),
}

/// `location` as a map.
#[derive(Debug, Clone)]
pub struct PartsSpec {
    /// Where it is given.
    pub span: Span,
    /// `pool`
    pub pool: Given<ResourceName>,
    /// `volume`
    pub volume: Given<String>,
    /// `kernel`
    pub kernel: Given<String>,
    /// `initrd`
    pub initrd: Given<String>,
}

impl LocationSpec {
    /// Where it is given.
    pub fn span(&self) -> Span {
        match self {
            Self::Text(text) => text.span,
            Self::Parts(parts) => parts.span,
        }
    }
}

object! {
    /// `location` as a map.
    LocationKeys: "`location`" / "locations",
        "a URL, a path, `{pool: …, volume: …}` or `{kernel: …, initrd: …}`" {
        /// The pool of a volume with the image of a CD.
        pool: Name,
        /// That volume.
        volume: Text,
        /// A kernel: a path or URL.
        kernel: Text,
        /// Its initrd.
        initrd: Text,
    }
}

/// Where an installer is.
#[derive(Debug)]
pub struct Location;

impl Kind for Location {
    type Field = Option<LocationSpec>;
    const TYPE: Type = Type::OneOf(&[Type::Text, LocationKeys::TYPE]);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        if let Value::Scalar(..) = node.value {
            return d.text(node).map(LocationSpec::Text);
        }
        let LocationKeys {
            pool,
            volume,
            kernel,
            initrd,
        } = LocationKeys::decode(d, node, node.span)?;
        Some(LocationSpec::Parts(PartsSpec {
            span: node.span,
            pool,
            volume,
            kernel,
            initrd,
        }))
    }
}

object! {
    /// `cloud_init` as written.
    SeedSpec: "`cloud_init`" / "seeds", "`true`, `false`, or `{pool: …, template: …}`",
        before switched, after place_of_seed {
        /// The pool of its seed.
        pool: Name [default: "that of the guest's first volume"],
        /// The user-data: a file beside the definition or in the search path for templates.
        template: Text [default: "`cloud-init/user-data.j2`"],
    } with {
        /// Where it is given.
        span: Option<Span>,
        /// It is said that there is none.
        off: bool,
    }
}

/// Reads `true` and `false`.
fn switched(d: &mut Decoder<'_>, node: &Node, _: Span) -> Option<SeedSpec> {
    let Value::Scalar(..) = node.value else {
        return None;
    };
    let on = d.boolean(node);
    Some(SeedSpec {
        span: Some(node.span),
        off: !on.is_some_and(|on| on.value),
        ..SeedSpec::default()
    })
}

fn place_of_seed(spec: &mut SeedSpec, _: &mut Decoder<'_>, node: &Node, _: Span) {
    spec.span = Some(node.span);
}

/// The seed for cloud-init; none where it says so.
#[derive(Debug)]
pub struct Seed;

impl Kind for Seed {
    type Field = Option<SeedSpec>;
    const TYPE: Type = Type::OneOf(&[Type::Boolean, SeedSpec::TYPE]);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        SeedSpec::decode(d, node, node.span).filter(|spec| !spec.off)
    }
}

object! {
    /// A file for a guest or the host as written.
    FileSpec: "a file" / "files", "the settings of a file" {
        /// A template beside the definition, which gives it. This or `content` is needed.
        src: Text,
        /// The text of such a template, in its place.
        content: Text,
        /// Its path there. Needed.
        dst: Text,
        /// Its permissions, three or four octal digits.
        mode: Text [default: "`0644`"],
        /// `USER` or `USER:GROUP`, which the system has to have.
        owner: Text [default: "`root:root`"],
    }
}

object! {
    /// A template for `generate` as written.
    TemplateSpec: "a template" / "templates", "`{src: …, dst: …}`" {
        /// A file beside the definition or in the search path for templates. Needed.
        src: Text,
        /// Where it is rendered to, relative to the directory. Needed.
        dst: Text,
    }
}
