//! The `host` section as written.

use std::net::{IpAddr, SocketAddr};

use super::Named;
use super::install::{self, FileSpec, TemplateSpec};
use crate::address::Name;
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::decode::{Decoder, Given, Spanned};
use crate::lab::model::host::{Listen, Resolver, WebServer};
use crate::lab::yaml::{Key, Node, Value};

/// `host`
#[derive(Debug, Clone, Default)]
pub struct HostSpec {
    /// `isos`
    pub isos: Vec<Named<IsoSpec>>,
    /// `serve`
    pub serve: Option<ServeSpec>,
    /// `nfs.exports`, by path.
    pub exports: Vec<(Spanned<String>, ExportSpec)>,
    /// `autofs`
    pub autofs: AutofsSpec,
    /// `iscsi.targets`, by IQN.
    pub targets: Vec<(Spanned<String>, TargetSpec)>,
    /// `nested_kvm`
    pub nested_kvm: Given<bool>,
    /// `hosts`
    pub hosts: Given<bool>,
    /// `resolver`
    pub resolver: Given<Resolver>,
    /// `files`
    pub files: Vec<Named<FileSpec>>,
    /// `templates`
    pub templates: Vec<Named<TemplateSpec>>,
}

/// An ISO image as written.
#[derive(Debug, Clone, Default)]
pub struct IsoSpec {
    /// `path`
    pub path: Given<String>,
    /// `mount`
    pub mount: Given<String>,
    /// `fstype`
    pub fstype: Given<String>,
    /// `options`
    pub options: Option<Vec<Spanned<String>>>,
}

/// `serve`
#[derive(Debug, Clone, Default)]
pub struct ServeSpec {
    /// Where it is given.
    pub span: Option<Span>,
    /// `with`
    pub with: Given<WebServer>,
    /// `listen`
    pub listen: Vec<Spanned<Listen>>,
    /// `listen` is given, if wrongly.
    pub listen_given: bool,
    /// `server_name`
    pub server_names: Vec<Spanned<String>>,
    /// `paths`
    pub paths: Vec<(Spanned<Name>, Spanned<String>)>,
}

/// A client of an export, with the options that are its own.
pub type ClientSpec = (Spanned<String>, Option<Vec<Spanned<String>>>);

/// An export as written.
#[derive(Debug, Clone, Default)]
pub struct ExportSpec {
    /// `clients`: each with options of its own, if it has some.
    pub clients: Vec<ClientSpec>,
    /// `clients` is given, if wrongly.
    pub clients_given: bool,
    /// `options`
    pub options: Option<Vec<Spanned<String>>>,
}

/// `autofs`
#[derive(Debug, Clone, Default)]
pub struct AutofsSpec {
    /// `isos`, or `autofs: true`
    pub isos: Given<bool>,
    /// `timeout`
    pub timeout: Given<u64>,
    /// `maps`, by mount point.
    pub maps: Vec<(Spanned<String>, MapSpec)>,
}

/// A map of autofs's as written.
#[derive(Debug, Clone, Default)]
pub struct MapSpec {
    /// `options`
    pub options: Vec<Spanned<String>>,
    /// `timeout`
    pub timeout: Given<u64>,
    /// `entries`, by key.
    pub entries: Vec<(Spanned<String>, EntrySpec)>,
}

/// An entry of a map of autofs's as written.
#[derive(Debug, Clone, Default)]
pub struct EntrySpec {
    /// `options`
    pub options: Vec<Spanned<String>>,
    /// `location`
    pub location: Given<String>,
}

/// An iSCSI target as written.
#[derive(Debug, Clone, Default)]
pub struct TargetSpec {
    /// Something in it could not be decoded, and was reported.
    pub flawed: bool,
    /// `luns`
    pub luns: Vec<Named<LunSpec>>,
    /// `initiators`
    pub initiators: Option<InitiatorsSpec>,
    /// `portals`
    pub portals: Vec<Spanned<SocketAddr>>,
    /// `chap`
    pub chap: Option<(Spanned<String>, Spanned<String>)>,
}

/// `initiators` of a target.
#[derive(Debug, Clone)]
pub enum InitiatorsSpec {
    /// `any`
    Any,
    /// Their names.
    Only(Vec<Spanned<String>>),
}

/// A logical unit as written.
#[derive(Debug, Clone, Default)]
pub struct LunSpec {
    /// `lun`
    pub lun: Given<u16>,
    /// `path`
    pub path: Given<String>,
    /// `size`
    pub size: Given<u64>,
    /// `readonly`
    pub readonly: Given<bool>,
}

const WEB_SERVERS: [(&str, WebServer); 2] =
    [("nginx", WebServer::Nginx), ("httpd", WebServer::Httpd)];

const RESOLVERS: [(&str, Resolver); 3] = [
    ("systemd-resolved", Resolver::SystemdResolved),
    ("NetworkManager", Resolver::NetworkManager),
    ("dnsmasq", Resolver::Dnsmasq),
];

/// The port of iSCSI (RFC 7143).
const ISCSI_PORT: u16 = 3260;

/// Decodes `host`.
pub(super) fn host(d: &mut Decoder<'_>, node: &Node) -> Option<HostSpec> {
    let mut fields = d.fields(node, "the set-up of a host")?;
    let mut spec = HostSpec::default();
    if let Some(node) = fields.take("isos") {
        spec.isos = super::named(d, node, "a map of ISO images", iso);
    }
    spec.serve = fields.take("serve").and_then(|n| serve(d, n));
    if let Some(node) = fields.take("nfs") {
        spec.exports = nfs(d, node).unwrap_or_default();
    }
    if let Some(node) = fields.take("autofs") {
        spec.autofs = autofs(d, node).unwrap_or_default();
    }
    if let Some(node) = fields.take("iscsi") {
        spec.targets = iscsi(d, node).unwrap_or_default();
    }
    spec.nested_kvm = fields.take("nested_kvm").and_then(|n| d.boolean(n));
    spec.hosts = fields.take("hosts").and_then(|n| d.boolean(n));
    spec.resolver = fields
        .take("resolver")
        .and_then(|n| d.choice(n, &RESOLVERS));
    if let Some(node) = fields.take("files") {
        spec.files = super::named(d, node, "a map of files", install::file);
    }
    if let Some(node) = fields.take("templates") {
        spec.templates = super::named(d, node, "a map of templates", install::template);
    }
    fields.finish(d, "`host`");
    Some(spec)
}

fn iso(d: &mut Decoder<'_>, node: &Node, key: Span) -> Option<IsoSpec> {
    let mut fields = d.fields(node, "the settings of an ISO image")?;
    let path = fields.take("path");
    if path.is_none() {
        d.report(
            Diagnostic::error("an ISO image needs `path`")
                .at(key)
                .hint("write `{path: /srv/iso/FILE.iso}`"),
        );
    }
    let spec = IsoSpec {
        path: path.and_then(|n| d.text(n)),
        mount: fields.take("mount").and_then(|n| d.text(n)),
        fstype: fields.take("fstype").and_then(|n| d.text(n)),
        options: fields.take("options").map(|n| options(d, n)),
    };
    fields.finish(d, "an ISO image");
    Some(spec)
}

/// Options of a mount or an export: a list, or a text with commas as in fstab(5).
fn options(d: &mut Decoder<'_>, node: &Node) -> Vec<Spanned<String>> {
    let written = d.one_or_list(node, Decoder::text);
    let split = written.iter().flat_map(|text| {
        text.value.split(',').map(|option| Spanned {
            value: option.trim().to_owned(),
            span: text.span,
        })
    });
    split.collect()
}

fn key_text(key: &Key) -> Spanned<String> {
    Spanned {
        value: key.text.clone(),
        span: key.span,
    }
}

fn serve(d: &mut Decoder<'_>, node: &Node) -> Option<ServeSpec> {
    let mut fields = d.fields(node, "the settings of a web server")?;
    let mut spec = ServeSpec {
        span: Some(node.span),
        with: fields.take("with").and_then(|n| d.choice(n, &WEB_SERVERS)),
        ..ServeSpec::default()
    };
    if let Some(node) = fields.take("listen") {
        spec.listen_given = true;
        spec.listen = d.one_or_list(node, listen);
    }
    if let Some(node) = fields.take("server_name") {
        spec.server_names = d.one_or_list(node, Decoder::text);
    }
    if let Some(node) = fields.take("paths") {
        for (key, node) in d.entries(node, "a map of names and directories") {
            if let (Some(name), Some(path)) = (d.key(key), d.text(node)) {
                spec.paths.push((name, path));
            }
        }
    }
    fields.finish(d, "`serve`");
    Some(spec)
}

/// `ADDRESS:PORT`, or a port alone.
fn listen(d: &mut Decoder<'_>, node: &Node) -> Given<Listen> {
    let text = d.text(node)?;
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let value = match (port(&text.value), text.value.parse::<SocketAddr>()) {
        (Some(port), _) => Some(Listen {
            address: None,
            port,
        }),
        (None, Ok(socket)) if socket.port() > 0 => Some(Listen {
            address: Some(socket.ip()).filter(|ip| !ip.is_unspecified() || ip.is_ipv6()),
            port: socket.port(),
        }),
        (None, _) => None,
    };
    if value.is_none() {
        d.report(
            Diagnostic::error(format!(
                "`{}` is not an address and port to listen on",
                text.value
            ))
            .at(text.span)
            .hint("write `192.168.122.1:8080`, \"[fd00::1]:8080\", or a port alone"),
        );
    }
    value.map(|value| Spanned {
        value,
        span: text.span,
    })
}

fn nfs(d: &mut Decoder<'_>, node: &Node) -> Option<Vec<(Spanned<String>, ExportSpec)>> {
    let mut fields = d.fields(node, "`{exports: {PATH: …}}`")?;
    let mut exports = Vec::new();
    if let Some(node) = fields.take("exports") {
        for (key, node) in d.entries(node, "a map of directories and their clients") {
            let spec = export(d, node, key.span).unwrap_or_default();
            exports.push((key_text(key), spec));
        }
    }
    fields.finish(d, "`nfs`");
    Some(exports)
}

fn export(d: &mut Decoder<'_>, node: &Node, key: Span) -> Option<ExportSpec> {
    let mut fields = d.fields(node, "the settings of an export")?;
    let mut spec = ExportSpec::default();
    match fields.take("clients") {
        Some(node) => {
            spec.clients_given = true;
            spec.clients = clients(d, node);
        }
        None => d.report(Diagnostic::error("an export needs `clients`").at(key).hint(
            "write who may mount it, `clients: [192.168.155.0/24]`, or `\"*\"` for everyone",
        )),
    }
    spec.options = fields.take("options").map(|n| options(d, n));
    fields.finish(d, "an export");
    Some(spec)
}

/// A client, a list of them, or a map of clients and their options.
fn clients(d: &mut Decoder<'_>, node: &Node) -> Vec<ClientSpec> {
    match &node.value {
        Value::Mapping(_) => {
            let entries = d.entries(node, "a map of clients and options");
            let clients = entries.into_iter();
            clients
                .map(|(key, node)| (key_text(key), Some(options(d, node))))
                .collect()
        }
        Value::Scalar(..) | Value::Sequence(_) => {
            let clients = d.one_or_list(node, Decoder::text).into_iter();
            clients.map(|client| (client, None)).collect()
        }
    }
}

fn autofs(d: &mut Decoder<'_>, node: &Node) -> Option<AutofsSpec> {
    if let Value::Scalar(..) = node.value {
        return Some(AutofsSpec {
            isos: d.boolean(node),
            ..AutofsSpec::default()
        });
    }
    let mut fields = d.fields(node, "`true`, or `{isos: true, maps: …}`")?;
    let mut spec = AutofsSpec {
        isos: fields.take("isos").and_then(|n| d.boolean(n)),
        timeout: fields.take("timeout").and_then(|n| d.duration(n)),
        maps: Vec::new(),
    };
    if let Some(node) = fields.take("maps") {
        for (key, node) in d.entries(node, "a map of mount points") {
            if let Some(map) = map(d, node) {
                spec.maps.push((key_text(key), map));
            }
        }
    }
    fields.finish(d, "`autofs`");
    Some(spec)
}

fn map(d: &mut Decoder<'_>, node: &Node) -> Option<MapSpec> {
    let mut fields = d.fields(node, "the settings of an autofs map")?;
    let mut spec = MapSpec {
        timeout: fields.take("timeout").and_then(|n| d.duration(n)),
        ..MapSpec::default()
    };
    if let Some(node) = fields.take("options") {
        spec.options = options(d, node);
    }
    if let Some(node) = fields.take("entries") {
        for (key, node) in d.entries(node, "a map of keys and locations") {
            if let Some(entry) = entry(d, node, key.span) {
                spec.entries.push((key_text(key), entry));
            }
        }
    }
    fields.finish(d, "an autofs map");
    Some(spec)
}

/// A location, or `{location: …, options: …}`.
fn entry(d: &mut Decoder<'_>, node: &Node, key: Span) -> Option<EntrySpec> {
    if let Value::Scalar(..) = node.value {
        return Some(EntrySpec {
            options: Vec::new(),
            location: d.text(node),
        });
    }
    let mut fields = d.fields(node, "a location, or `{location: …, options: …}`")?;
    let location = fields.take("location");
    if location.is_none() {
        d.report(
            Diagnostic::error("an entry of an autofs map needs `location`")
                .at(key)
                .hint("write `location: \"server:/path\"`, or `:/dev/sdb1` for what is local"),
        );
    }
    let mut spec = EntrySpec {
        options: Vec::new(),
        location: location.and_then(|n| d.text(n)),
    };
    if let Some(node) = fields.take("options") {
        spec.options = options(d, node);
    }
    fields.finish(d, "an entry of an autofs map");
    Some(spec)
}

fn iscsi(d: &mut Decoder<'_>, node: &Node) -> Option<Vec<(Spanned<String>, TargetSpec)>> {
    let mut fields = d.fields(node, "`{targets: {IQN: …}}`")?;
    let mut targets = Vec::new();
    if let Some(node) = fields.take("targets") {
        for (key, node) in d.entries(node, "a map of iSCSI targets") {
            let before = d.count();
            let mut spec = target(d, node).unwrap_or_default();
            spec.flawed = d.count() > before;
            targets.push((key_text(key), spec));
        }
    }
    fields.finish(d, "`iscsi`");
    Some(targets)
}

fn target(d: &mut Decoder<'_>, node: &Node) -> Option<TargetSpec> {
    let mut fields = d.fields(node, "the settings of an iSCSI target")?;
    let mut spec = TargetSpec::default();
    if let Some(node) = fields.take("luns") {
        spec.luns = super::named(d, node, "a map of logical units", lun);
    }
    if let Some(node) = fields.take("initiators") {
        spec.initiators = Some(initiators(d, node));
    }
    if let Some(node) = fields.take("portals") {
        spec.portals = d.one_or_list(node, portal);
    }
    spec.chap = fields.take("chap").and_then(|n| chap(d, n));
    fields.finish(d, "an iSCSI target");
    Some(spec)
}

fn lun(d: &mut Decoder<'_>, node: &Node, key: Span) -> Option<LunSpec> {
    let mut fields = d.fields(node, "the settings of a logical unit")?;
    let path = fields.take("path");
    if path.is_none() {
        d.report(
            Diagnostic::error("a logical unit needs `path`")
                .at(key)
                .hint("write the path of a block device, or of a file and its `size`"),
        );
    }
    let spec = LunSpec {
        lun: fields.take("lun").and_then(|n| d.integer(n, 0, 255)),
        path: path.and_then(|n| d.text(n)),
        size: fields.take("size").and_then(|n| d.size(n)),
        readonly: fields.take("readonly").and_then(|n| d.boolean(n)),
    };
    fields.finish(d, "a logical unit");
    Some(spec)
}

fn initiators(d: &mut Decoder<'_>, node: &Node) -> InitiatorsSpec {
    match &node.value {
        Value::Scalar(text, _) if text == "any" => InitiatorsSpec::Any,
        Value::Scalar(..) | Value::Sequence(_) | Value::Mapping(_) => {
            InitiatorsSpec::Only(d.one_or_list(node, Decoder::text))
        }
    }
}

/// `ADDRESS`, or `ADDRESS:PORT`.
fn portal(d: &mut Decoder<'_>, node: &Node) -> Given<SocketAddr> {
    let text = d.text(node)?;
    let socket = text.value.parse::<SocketAddr>();
    let address = text.value.parse::<IpAddr>();
    let value = match (socket, address) {
        (Ok(socket), _) if socket.port() > 0 => Some(socket),
        (_, Ok(address)) => Some(SocketAddr::new(address, ISCSI_PORT)),
        (_, Err(_)) => None,
    };
    if value.is_none() {
        d.report(
            Diagnostic::error(format!("`{}` is not the address of a portal", text.value))
                .at(text.span)
                .hint("write `192.168.122.1`, or with a port `192.168.122.1:3260`"),
        );
    }
    value.map(|value| Spanned {
        value,
        span: text.span,
    })
}

fn chap(d: &mut Decoder<'_>, node: &Node) -> Option<(Spanned<String>, Spanned<String>)> {
    let mut fields = d.fields(node, "`{userid: …, password_file: …}`")?;
    let (userid, file) = (fields.take("userid"), fields.take("password_file"));
    if userid.is_none() || file.is_none() {
        d.report(
            Diagnostic::error("CHAP needs `userid` and `password_file`")
                .at(node.span)
                .hint("the password is the first line of a file on the host, so that no definition holds it"),
        );
    }
    let userid = userid.and_then(|n| d.text(n));
    let file = file.and_then(|n| d.text(n));
    fields.finish(d, "`chap`");
    Some((userid?, file?))
}
