//! The `host` section as written.

use std::net::{IpAddr, SocketAddr};

use super::install::{FileSpec, TemplateSpec};
use crate::address::Name as ResourceName;
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::attributes::{
    ByText, Duration, Keys as _, Kind, Map, Nested, OneOrList, Optional, Size, Switch, Text,
    TextMap, Type, Whole, Word, has, kinds, object, text_of, words,
};
use crate::lab::decode::{Decoder, Given, Spanned};
use crate::lab::model::host::{Listen, Resolver, WebServer};
use crate::lab::yaml::{Node, Value};

object! {
    /// `host` as written.
    HostSpec: "`host`" / "hosts", "the set-up of a host" {
        /// ISO images, by name.
        isos: Map<IsoSpec>,
        /// A site that serves each ISO image's files at /NAME/.
        serve: Optional<ServeSpec>,
        /// The NFS server.
        nfs: Nested<NfsSpec>,
        /// autofs: what it mounts, or `true` for the ISO images.
        autofs: Nested<AutofsSpec>,
        /// The iSCSI target.
        iscsi: Nested<IscsiSpec>,
        /// Guests can be hypervisors.
        nested_kvm: Switch,
        /// Guests with an `ip` are in a block of /etc/hosts.
        hosts: Switch,
        /// Asks the networks' name servers for their domains.
        resolver: Word<Resolvers>,
        /// Files of your own that `setup.sh` installs, by name.
        files: Map<FileSpec>,
        /// Templates that `generate` renders into the host's directory, by name.
        templates: Map<TemplateSpec>,
    }
}

words! {
    /// What asks name servers on the host.
    Resolvers: Resolver = ["systemd-resolved" => Resolver::SystemdResolved, "NetworkManager" => Resolver::NetworkManager, "dnsmasq" => Resolver::Dnsmasq];
}

/// Options of a mount or an export: a list, or a text with commas as in fstab(5).
#[derive(Debug)]
pub struct Options;

impl Kind for Options {
    type Field = Option<Vec<Spanned<String>>>;
    const TYPE: Type = Type::OneOrList(&Type::Text);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        Some(options(d, node))
    }
}

object! {
    /// An ISO image as written.
    IsoSpec: "an ISO image" / "ISO images", "the settings of an ISO image" {
        /// Its file on the host.
        path: Text [needed: "write `{path: /srv/iso/FILE.iso}`"],
        /// Where it is mounted.
        mount: Text [default: "`/srv/miniascape/LAB/NAME`"],
        /// The type of its file system; fuse.fuseiso where the kernel knows no ISO images.
        fstype: Text [default: "the kernel finds it out"],
        /// Options of the mount.
        options: Options [default: "`[ro, loop, nosuid, nodev]`"],
    }
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

words! {
    /// Web servers.
    WebServers: WebServer = ["nginx" => WebServer::Nginx, "httpd" => WebServer::Httpd];
}

kinds! {
    /// Where a server listens.
    ListenAt: Listen = Type::Text, listen;
    /// The address of a portal.
    Portal: SocketAddr = Type::Text, portal;
}

object! {
    /// `serve` as written.
    ServeSpec: "`serve`" / "sites", "the settings of a web server", after place_of_site {
        /// The web server.
        with: Word<WebServers> [default: "`nginx`"],
        /// Where it listens: `ADDRESS:PORT`, or a port alone.
        listen: OneOrList<ListenAt> [default: "port 8080 of every address"],
        /// Its names.
        server_name: OneOrList<Text>,
        /// More directories, by the name in the URL.
        paths: Paths,
    } with {
        /// Where it is given.
        span: Option<Span>,
        /// `listen` is given, if wrongly.
        listen_given: bool,
    }
}

fn place_of_site(spec: &mut ServeSpec, _: &mut Decoder<'_>, node: &Node, _: Span) {
    spec.span = Some(node.span);
    spec.listen_given = has(node, "listen");
}

/// Directories by name.
#[derive(Debug)]
pub struct Paths;

impl Kind for Paths {
    type Field = Vec<(Spanned<ResourceName>, Spanned<String>)>;
    const TYPE: Type = Type::Map(&Type::Text);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        let entries = d
            .entries(node, "a map of names and directories")
            .into_iter();
        let paths = entries.filter_map(|(key, node)| {
            let (name, path) = (d.key(key), d.text(node));
            Some((name?, path?))
        });
        paths.collect()
    }
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

object! {
    /// `nfs` as written.
    NfsSpec: "`nfs`" / "servers", "`{exports: {PATH: …}}`" {
        /// Directories that others may mount, by path.
        exports: Exports,
    }
}

/// Exports by path.
#[derive(Debug)]
pub struct Exports;

impl Kind for Exports {
    type Field = ByText<ExportSpec>;
    const TYPE: Type = TextMap::<ExportSpec>::TYPE;

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        let entries = d.entries(node, "a map of directories and their clients");
        let exports = entries.into_iter().map(|(key, node)| {
            let spec = ExportSpec::decode(d, node, key.span).unwrap_or_default();
            (text_of(key), spec)
        });
        exports.collect()
    }
}

object! {
    /// An export as written.
    ExportSpec: "an export" / "exports", "the settings of an export", after clients_are_given {
        /// Who may mount it: hosts, subnets, wildcards, @netgroups; a map gives each options of its own.
        clients: Clients [needed: "write who may mount it, `clients: [192.168.155.0/24]`, or `\"*\"` for everyone"],
        /// Options for all of them.
        options: Options [default: "`[ro, no_subtree_check]`, and `crossmnt` where ISO images are mounted below"],
    } with {
        /// `clients` is given, if wrongly.
        clients_given: bool,
    }
}

fn clients_are_given(spec: &mut ExportSpec, _: &mut Decoder<'_>, node: &Node, _: Span) {
    spec.clients_given = has(node, "clients");
}

/// A client of an export, with the options that are its own.
pub type ClientSpec = (Spanned<String>, Option<Vec<Spanned<String>>>);

/// A client, a list of them, or a map of clients and their options.
#[derive(Debug)]
pub struct Clients;

impl Kind for Clients {
    type Field = Vec<ClientSpec>;
    const TYPE: Type = Type::OneOf(&[Type::OneOrList(&Type::Text), Type::Map(&Options::TYPE)]);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        match &node.value {
            Value::Mapping(_) => {
                let entries = d.entries(node, "a map of clients and options");
                let clients = entries.into_iter();
                clients
                    .map(|(key, node)| (text_of(key), Some(options(d, node))))
                    .collect()
            }
            Value::Scalar(..) | Value::Sequence(_) => {
                let clients = d.one_or_list(node, Decoder::text).into_iter();
                clients.map(|client| (client, None)).collect()
            }
        }
    }
}

object! {
    /// `autofs` as written.
    AutofsSpec: "`autofs`" / "automounters", "`true`, or `{isos: true, maps: …}`", scalar isos(Switch) {
        /// It mounts the ISO images when they are used; else mount units do.
        isos: Switch [default: "`false`"],
        /// How long an unused file system stays mounted.
        timeout: Duration [default: "autofs's own"],
        /// Maps, by mount point; `/-` is a direct one.
        maps: TextMap<MapSpec>,
    }
}

object! {
    /// A map of autofs's as written.
    MapSpec: "an autofs map" / "mount points", "the settings of an autofs map" {
        /// Options of all its entries.
        options: Options,
        /// How long an unused file system stays mounted.
        timeout: Duration,
        /// What is mounted, by key.
        entries: TextMap<EntrySpec>,
    }
}

object! {
    /// An entry of a map of autofs's as written.
    EntrySpec: "an entry of an autofs map" / "keys and locations", "a location, or `{location: …, options: …}`",
        scalar location(Text) {
        /// Where it is: `server:/path`.
        location: Text [needed: "write `location: \"server:/path\"`, or `:/dev/sdb1` for what is local"],
        /// Options of the mount.
        options: Options,
    }
}

object! {
    /// `iscsi` as written.
    IscsiSpec: "`iscsi`" / "servers", "`{targets: {IQN: …}}`" {
        /// Targets, by IQN.
        targets: Targets,
    }
}

/// Targets by IQN.
#[derive(Debug)]
pub struct Targets;

impl Kind for Targets {
    type Field = ByText<TargetSpec>;
    const TYPE: Type = TextMap::<TargetSpec>::TYPE;

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        let entries = d.entries(node, "a map of iSCSI targets").into_iter();
        let targets = entries.map(|(key, node)| {
            let before = d.count();
            let mut spec = TargetSpec::decode(d, node, key.span).unwrap_or_default();
            spec.flawed = d.count() > before;
            (text_of(key), spec)
        });
        targets.collect()
    }
}

object! {
    /// An iSCSI target as written.
    TargetSpec: "an iSCSI target" / "iSCSI targets", "the settings of an iSCSI target" {
        /// Logical units, by name. Needed.
        luns: Map<LunSpec>,
        /// Who may log in: names, or `any`. Needed.
        initiators: Initiators,
        /// Where it listens.
        portals: OneOrList<Portal> [default: "`0.0.0.0:3260`"],
        /// The account that initiators log in with.
        chap: Chap,
    } with {
        /// Something in it could not be decoded, and was reported.
        flawed: bool,
    }
}

object! {
    /// A logical unit as written.
    LunSpec: "a logical unit" / "logical units", "the settings of a logical unit" {
        /// Its number.
        lun: Whole<u16, 0, 255> [default: "the first free one"],
        /// A block device, or a file, which is made if it is not there.
        path: Text [needed: "write the path of a block device, or of a file and its `size`"],
        /// The size of the file.
        size: Size,
        /// Nobody may write to it.
        readonly: Switch [default: "`false`"],
    }
}

/// `initiators` of a target.
#[derive(Debug, Clone)]
pub enum InitiatorsSpec {
    /// `any`
    Any,
    /// Their names.
    Only(Vec<Spanned<String>>),
}

/// Who may log in.
#[derive(Debug)]
pub struct Initiators;

impl Kind for Initiators {
    type Field = Option<InitiatorsSpec>;
    const TYPE: Type = Type::OneOrList(&Type::Text);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        Some(match &node.value {
            Value::Scalar(text, _) if text == "any" => InitiatorsSpec::Any,
            Value::Scalar(..) | Value::Sequence(_) | Value::Mapping(_) => {
                InitiatorsSpec::Only(d.one_or_list(node, Decoder::text))
            }
        })
    }
}

/// The port of iSCSI (RFC 7143).
const ISCSI_PORT: u16 = 3260;

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

object! {
    /// `chap` as written.
    ChapSpec: "`chap`" / "accounts", "`{userid: …, password_file: …}`", after chap_is_whole {
        /// The name of the account. Needed.
        userid: Text,
        /// A file of the host whose first line is the password. Needed.
        password_file: Text,
    }
}

fn chap_is_whole(_: &mut ChapSpec, d: &mut Decoder<'_>, node: &Node, _: Span) {
    if !has(node, "userid") || !has(node, "password_file") {
        d.report(
            Diagnostic::error("CHAP needs `userid` and `password_file`")
                .at(node.span)
                .hint("the password is the first line of a file on the host, so that no definition holds it"),
        );
    }
}

/// An account: its name, and the file with its password.
#[derive(Debug)]
pub struct Chap;

impl Kind for Chap {
    type Field = Option<(Spanned<String>, Spanned<String>)>;
    const TYPE: Type = ChapSpec::TYPE;

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        let ChapSpec {
            userid,
            password_file,
        } = ChapSpec::decode(d, node, node.span)?;
        Some((userid?, password_file?))
    }
}
