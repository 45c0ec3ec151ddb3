//! `install`, `cloud_init`, `files` and `templates` of a guest as written.

use super::super::decode::{Decoder, Given, Spanned};
use crate::address::Name;
use crate::diagnostic::Span;
use crate::install::os::Installer;
use crate::lab::yaml::{Node, Value};

/// `install` as written.
#[derive(Debug, Clone, Default)]
pub struct InstallSpec {
    /// Where it is given.
    pub span: Option<Span>,
    /// `os`
    pub os: Given<String>,
    /// `location`
    pub location: Option<LocationSpec>,
    /// `url`
    pub url: Given<String>,
    /// `template`
    pub template: Given<String>,
    /// `installer`
    pub installer: Given<Installer>,
    /// `cmdline`
    pub cmdline: Given<String>,
    /// `timeout` in seconds
    pub timeout: Given<u64>,
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
    pub pool: Given<Name>,
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

/// `cloud_init` as written.
#[derive(Debug, Clone, Default)]
pub struct SeedSpec {
    /// Where it is given.
    pub span: Option<Span>,
    /// `pool`
    pub pool: Given<Name>,
    /// `template`
    pub template: Given<String>,
}

/// A file for a guest as written.
#[derive(Debug, Clone, Default)]
pub struct FileSpec {
    /// `src`
    pub src: Given<String>,
    /// `content`
    pub content: Given<String>,
    /// `dst`
    pub dst: Given<String>,
    /// `mode`
    pub mode: Given<String>,
    /// `owner`
    pub owner: Given<String>,
}

/// A template for `generate` as written.
#[derive(Debug, Clone, Default)]
pub struct TemplateSpec {
    /// `src`
    pub src: Given<String>,
    /// `dst`
    pub dst: Given<String>,
}

const INSTALLERS: [(&str, Installer); 5] = [
    ("kickstart", Installer::Kickstart),
    ("preseed", Installer::Preseed),
    ("autoinstall", Installer::Autoinstall),
    ("autoyast", Installer::Autoyast),
    ("other", Installer::Other),
];

pub(super) fn install(d: &mut Decoder<'_>, node: &Node) -> Option<InstallSpec> {
    let mut fields = d.fields(node, "`{os: …, location: …}`")?;
    let spec = InstallSpec {
        span: Some(node.span),
        os: fields.take("os").and_then(|n| d.text(n)),
        location: fields.take("location").and_then(|n| location(d, n)),
        url: fields.take("url").and_then(|n| d.text(n)),
        template: fields.take("template").and_then(|n| d.text(n)),
        installer: fields
            .take("installer")
            .and_then(|n| d.choice(n, &INSTALLERS)),
        cmdline: fields.take("cmdline").and_then(|n| d.text(n)),
        timeout: fields.take("timeout").and_then(|n| d.duration(n)),
    };
    fields.finish(d, "`install`");
    Some(spec)
}

fn location(d: &mut Decoder<'_>, node: &Node) -> Option<LocationSpec> {
    if let Value::Scalar(..) = node.value {
        return d.text(node).map(LocationSpec::Text);
    }
    let what = "a URL, a path, `{pool: …, volume: …}` or `{kernel: …, initrd: …}`";
    let mut fields = d.fields(node, what)?;
    let pool = fields.take("pool").and_then(|n| d.name(n));
    let [volume, kernel, initrd] =
        ["volume", "kernel", "initrd"].map(|key| fields.take(key).and_then(|n| d.text(n)));
    fields.finish(d, "`location`");
    Some(LocationSpec::Parts(PartsSpec {
        span: node.span,
        pool,
        volume,
        kernel,
        initrd,
    }))
}

/// `true`, `false`, or a map.
pub(super) fn seed(d: &mut Decoder<'_>, node: &Node) -> Option<SeedSpec> {
    let mut spec = SeedSpec {
        span: Some(node.span),
        ..SeedSpec::default()
    };
    if let Value::Scalar(..) = node.value {
        return d.boolean(node)?.value.then_some(spec);
    }
    let mut fields = d.fields(node, "`true`, `false`, or `{pool: …, template: …}`")?;
    spec.pool = fields.take("pool").and_then(|n| d.name(n));
    spec.template = fields.take("template").and_then(|n| d.text(n));
    fields.finish(d, "`cloud_init`");
    Some(spec)
}

pub(super) fn file(d: &mut Decoder<'_>, node: &Node, _: Span) -> Option<FileSpec> {
    let mut fields = d.fields(node, "the settings of a file")?;
    let [src, content, dst, mode, owner] = ["src", "content", "dst", "mode", "owner"]
        .map(|key| fields.take(key).and_then(|n| d.text(n)));
    fields.finish(d, "a file");
    Some(FileSpec {
        src,
        content,
        dst,
        mode,
        owner,
    })
}

pub(super) fn template(d: &mut Decoder<'_>, node: &Node, _: Span) -> Option<TemplateSpec> {
    let mut fields = d.fields(node, "`{src: …, dst: …}`")?;
    let [src, dst] = ["src", "dst"].map(|key| fields.take(key).and_then(|n| d.text(n)));
    fields.finish(d, "a template");
    Some(TemplateSpec { src, dst })
}
