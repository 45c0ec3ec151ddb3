//! The set-up of the host: ISO images, the web server, NFS, names. autofs and iSCSI have files of their own.

mod autofs;
mod iscsi;

use std::collections::BTreeMap;

use super::files::On;
use super::storage::clean;
use super::{Resolver, is_absolute, value, value_or};
use crate::address::{Address, Name};
use crate::diagnostic::{Diagnostic, Span, did_you_mean};
use crate::lab::decode::Spanned;
use crate::lab::model::Network;
use crate::lab::model::host::{Export, ExportClient, Host, Iso, Listen, Nfs, Serve, WebServer};
use crate::lab::written::host::{ExportSpec, HostSpec, ServeSpec};

/// Where web servers listen if nobody says: both have a site of their own at port 80.
const DEFAULT_LISTEN: Listen = Listen {
    address: None,
    port: 8080,
};

/// The options of exports(5), those that take a value with their `=`.
const EXPORT_OPTIONS: [&str; 35] = [
    "ro",
    "rw",
    "sync",
    "async",
    "secure",
    "insecure",
    "wdelay",
    "no_wdelay",
    "hide",
    "nohide",
    "crossmnt",
    "subtree_check",
    "no_subtree_check",
    "auth_nlm",
    "no_auth_nlm",
    "secure_locks",
    "insecure_locks",
    "acl",
    "no_acl",
    "root_squash",
    "no_root_squash",
    "all_squash",
    "no_all_squash",
    "security_label",
    "pnfs",
    "no_pnfs",
    "mp",
    "mp=",
    "mountpoint",
    "mountpoint=",
    "fsid=",
    "anonuid=",
    "anongid=",
    "sec=",
    "refer=",
];

impl Resolver<'_> {
    /// Resolves the set-up of the host.
    pub(super) fn host(&mut self, spec: &HostSpec) {
        self.isos(spec);
        let serve = spec.serve.as_ref().map(|serve| self.serve(serve, spec));
        let nfs = self.nfs(&spec.nfs.exports);
        let autofs = self.autofs(&spec.autofs);
        let iscsi = self.iscsi(&spec.iscsi.targets);
        if let Some(resolver) = &spec.resolver {
            let asked = self.lab.networks.values().any(|network| {
                network.domain.is_some()
                    && !network.addresses.is_empty()
                    && network.dns.enabled != Some(false)
            });
            if !asked && self.flawed_networks.is_empty() {
                self.report(
                    Diagnostic::error("there is no name server that a resolver could ask")
                        .at(resolver.span)
                        .hint("give a network an `address` and a `domain`, or write `hosts: true`"),
                );
            }
        }
        self.circles(spec);
        let files = self.files(&spec.files, On::Host);
        if let Some(hosts) = spec.hosts.as_ref().filter(|hosts| hosts.value) {
            let dst = spec.files.iter().filter_map(|file| file.spec.dst.as_ref());
            for dst in dst.filter(|dst| dst.value == "/etc/hosts") {
                self.report(
                    Diagnostic::error("`/etc/hosts` is written by two")
                        .at(dst.span)
                        .related(Some(hosts.span), "the guests' names go there")
                        .hint("remove one of them"),
                );
            }
        }
        let templates = self.templates(&spec.templates, On::Host);
        self.lab.host = Host {
            isos: std::mem::take(&mut self.lab.host.isos),
            serve,
            nfs,
            autofs,
            iscsi,
            nested_kvm: value_or(&spec.nested_kvm, false),
            hosts: value_or(&spec.hosts, false),
            resolver: value(&spec.resolver),
            files,
            templates,
        };
    }

    /// Where the host asks a network's name server, that one cannot ask the host about the same domain.
    fn circles(&mut self, spec: &HostSpec) {
        let asks_back = |network: &&Network| {
            let elsewhere = network.dns.forwarders.iter().any(|forwarder| {
                let domain = forwarder.domain.as_ref();
                forwarder.address.is_some()
                    && domain.is_none_or(|domain| Some(domain) == network.domain.as_ref())
            });
            let is_asked = network.answers() && !network.addresses.is_empty();
            is_asked && !network.dns.local_only && !elsewhere
        };
        let networks = self.lab.networks.values();
        let circles: Vec<(Name, String)> = networks
            .filter(asks_back)
            .filter_map(|network| Some((network.key.clone(), network.domain.clone()?)))
            .collect();
        let Some(resolver) = &spec.resolver else {
            return;
        };
        for (key, domain) in circles {
            let place = self.lab.places.get(&Address::network(&key)).copied();
            self.report(
                Diagnostic::error(format!(
                    "questions about `{domain}` would go round in circles between the host and `{key}`"
                ))
                .at(resolver.span)
                .related(place, "the network, whose `dns.local_only` is `false`")
                .hint(format!(
                    "write `dns: {{forwarders: [{{domain: {domain}, address: …}}]}}` in the network with the domain's own name server"
                )),
            );
        }
    }

    /// A path that ends up in the configuration of several programs; it is reported where one of them could not take it.
    fn host_path(&mut self, path: &Spanned<String>) -> String {
        let text = &path.value;
        let hint = if !is_absolute(text) {
            "it is on the hypervisor's host: write it from `/` on"
        } else if text.split('/').any(|part| part == "..") {
            "write it without `..`"
        } else if text.trim() != text || text.ends_with('\\') || text.contains(char::is_control) {
            "it has no line break, and neither a space nor a backslash at its end"
        } else {
            return clean(text);
        };
        self.report(
            Diagnostic::error(format!("`{}` cannot be a path here", text.escape_debug()))
                .at(path.span)
                .hint(hint),
        );
        clean(text)
    }

    /// An option of a mount, one word without commas.
    fn mount_options(&mut self, options: &[Spanned<String>]) -> Vec<String> {
        for option in options {
            let odd = |c: char| c.is_whitespace() || c.is_control() || c == '"' || c == '\\';
            if option.value.is_empty() || option.value.contains(odd) {
                self.report(
                    Diagnostic::error(format!("`{}` is not an option of a mount", option.value))
                        .at(option.span)
                        .hint("write options as a list, `[ro, nodev]`, each without spaces"),
                );
            }
        }
        options.iter().map(|option| option.value.clone()).collect()
    }

    fn isos(&mut self, host: &HostSpec) {
        let by_autofs = value_or(&host.autofs.isos, false);
        let mut mounts: BTreeMap<String, Span> = BTreeMap::new();
        for named in &host.isos {
            let key = &named.key.value;
            let path = named.spec.path.as_ref().map(|path| self.host_path(path));
            let (mount, span) = match &named.spec.mount {
                Some(mount) => (self.host_path(mount), mount.span),
                None => (
                    format!("/srv/miniascape/{}/{key}", self.lab.name),
                    named.key.span,
                ),
            };
            let unit = mount_unit(&mount);
            if by_autofs {
                for path in [&named.spec.path, &named.spec.mount].into_iter().flatten() {
                    self.check_autofs_path(path);
                }
            } else if unit.len() > 255 {
                self.report(
                    Diagnostic::error(format!("{mount} is too long a path for a mount unit"))
                        .at(span)
                        .hint("write a shorter one: its unit's name, `systemd-escape --path` prints it, has at most 255 characters"),
                );
            }
            if mount == "/" {
                self.report(
                    Diagnostic::error("an ISO image cannot be mounted at `/`")
                        .at(span)
                        .hint("write a directory of its own, such as `/srv/content/NAME`"),
                );
            } else if let Some((other, first)) = around(&mounts, &mount).or(below(&mounts, &mount))
            {
                let problem = Diagnostic::error(format!(
                    "two ISO images cannot be mounted at {other} and {mount}"
                ))
                .at(span)
                .related(Some(*first), "the other one")
                .hint("one would hide the other: give each a directory of its own");
                self.problems.push(problem);
            }
            mounts.insert(mount.clone(), span);
            let options = named.spec.options.as_ref();
            let options = options.map(|options| self.mount_options(options));
            let fstype = named.spec.fstype.clone();
            let word = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            if let Some(fstype) = &fstype
                && (fstype.value.is_empty() || !fstype.value.chars().all(word))
            {
                self.report(
                    Diagnostic::error(format!(
                        "`{}` is not the type of a file system",
                        fstype.value
                    ))
                    .at(fstype.span)
                    .hint("write `iso9660` or `udf`, or leave it out"),
                );
            }
            let Some(path) = path else { continue };
            let iso = Iso {
                key: key.clone(),
                path,
                mount,
                unit,
                fstype: value(&fstype),
                options: options
                    .unwrap_or_else(|| ["ro", "loop", "nosuid", "nodev"].map(str::to_owned).into()),
            };
            self.lab.host.isos.insert(key.clone(), iso);
        }
    }

    fn serve(&mut self, spec: &ServeSpec, host: &HostSpec) -> Serve {
        let with = value_or(&spec.with, WebServer::Nginx);
        if host.isos.is_empty() && spec.paths.is_empty() {
            self.report(
                Diagnostic::error("the web server has nothing to serve")
                    .at(spec.span)
                    .hint("name ISO images under `isos`, or directories under `paths`"),
            );
        }
        if spec.listen_given && spec.listen.is_empty() {
            self.report(
                Diagnostic::error("the web server has nowhere to listen")
                    .at(spec.span)
                    .hint("write `listen: 192.168.122.1:8080`, or leave it out for port 8080"),
            );
        }
        for (i, listen) in spec.listen.iter().enumerate() {
            let same = |other: &&Spanned<Listen>| overlap(other.value, listen.value);
            if let Some(other) = spec.listen[..i].iter().find(same) {
                let problem = Diagnostic::error(format!(
                    "`{}` listens where `{}` does already",
                    listen.value, other.value
                ))
                .at(listen.span)
                .related(Some(other.span), "the other one")
                .hint("remove one of them; a port alone is that port of every address");
                self.problems.push(problem);
            }
        }
        for name in &spec.server_name {
            self.check_domain(name, "a host name");
        }
        let mut paths = BTreeMap::new();
        let isos = host
            .isos
            .iter()
            .map(|iso| (iso.key.value.as_str(), iso.key.span));
        let isos: BTreeMap<&str, Span> = isos.collect();
        for (key, path) in &spec.paths {
            if let Some(iso) = isos.get(key.value.as_str()) {
                let problem = Diagnostic::error(format!(
                    "the web server would have two directories at `/{}/`",
                    key.value
                ))
                .at(key.span)
                .related(Some(*iso), "the ISO image")
                .hint("rename one of them");
                self.problems.push(problem);
            }
            paths.insert(key.value.clone(), self.host_path(path));
        }
        let mounts = host.isos.iter().filter_map(|iso| iso.spec.mount.as_ref());
        for path in mounts.chain(spec.paths.iter().map(|(_, path)| path)) {
            if path.value.contains('$') {
                self.report(
                    Diagnostic::error(format!("`{}` cannot be served", path.value))
                        .at(path.span)
                        .hint("web servers take `$` for a variable: use a path without it"),
                );
            }
        }
        let mut listen: Vec<Listen> = spec.listen.iter().map(|listen| listen.value).collect();
        if listen.is_empty() {
            listen.push(DEFAULT_LISTEN);
        }
        let names = spec.server_name.iter();
        Serve {
            with,
            listen,
            server_names: names.map(|name| name.value.clone()).collect(),
            paths,
        }
    }

    fn nfs(&mut self, specs: &[(Spanned<String>, ExportSpec)]) -> Nfs {
        let isos = self.lab.host.isos.values();
        let mounts: BTreeMap<String, ()> = isos.map(|iso| (iso.mount.clone(), ())).collect();
        let mut exports: BTreeMap<String, (Span, Export)> = BTreeMap::new();
        for (written, spec) in specs {
            let path = self.host_path(written);
            if let Some((first, _)) = exports.get(&path) {
                let problem = Diagnostic::error(format!("{path} is exported twice"))
                    .at(written.span)
                    .related(Some(*first), "first exported here")
                    .hint("write one export with all its clients");
                self.problems.push(problem);
            }
            if spec.clients.is_empty() && spec.clients_given {
                self.report(
                    Diagnostic::error(format!("{path} is exported to nobody"))
                        .at(written.span)
                        .hint("write clients, or remove the export"),
                );
            }
            let common = match &spec.options {
                Some(options) => self.export_options(options),
                None => default_export_options(&path, &mounts),
            };
            let mut clients = Vec::new();
            for (client, options) in &spec.clients {
                self.check_client(client);
                clients.push(ExportClient {
                    client: client.value.clone(),
                    options: match options {
                        Some(options) => self.export_options(options),
                        None => common.clone(),
                    },
                });
            }
            let export = Export {
                path: path.clone(),
                clients,
            };
            exports.insert(path, (written.span, export));
        }
        let exports = exports.into_values().map(|(_, export)| export);
        Nfs {
            exports: exports.collect(),
        }
    }

    fn export_options(&mut self, options: &[Spanned<String>]) -> Vec<String> {
        for option in options {
            let name = option.value.split_inclusive('=').next().unwrap_or_default();
            let odd = |c: char| c.is_whitespace() || c.is_control() || "()\"\\#".contains(c);
            let rest = &option.value[name.len()..];
            if !EXPORT_OPTIONS.contains(&name)
                || rest.contains(odd)
                || (name.ends_with('=') && rest.is_empty())
            {
                let mut problem =
                    Diagnostic::error(format!("`{}` is not an option of exports", option.value))
                        .at(option.span);
                problem.hint = match EXPORT_OPTIONS.contains(&name) {
                    true => Some("after `=` there is a value without spaces".to_owned()),
                    false => did_you_mean(name, EXPORT_OPTIONS)
                        .filter(|hint| hint.starts_with("did"))
                        .or_else(|| Some("exports(5) lists them".to_owned())),
                };
                self.report(problem);
            }
        }
        options.iter().map(|option| option.value.clone()).collect()
    }

    /// Checks whom a directory is exported to. exports(5), "Machine Name Formats"
    fn check_client(&mut self, client: &Spanned<String>) {
        let ok = |c: char| c.is_ascii_alphanumeric() || "@*?[]./:_-".contains(c);
        if client.value.is_empty() || client.value.starts_with('-') || !client.value.chars().all(ok)
        {
            self.report(
                Diagnostic::error(format!("`{}` is not a client of exports", client.value))
                    .at(client.span)
                    .hint("write a host name, an address, a subnet `192.168.155.0/24`, a wildcard `*.shop.test` or a netgroup `@name`"),
            );
        }
    }
}

/// The name of the unit of a mount point, as `systemd-escape --path --suffix=mount` has it. systemd.unit(5)
fn mount_unit(path: &str) -> String {
    let mut name = String::new();
    for (at, byte) in path.trim_matches('/').bytes().enumerate() {
        match byte {
            b'/' => name.push('-'),
            b'.' if at == 0 => name.push_str("\\x2e"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b':' | b'_' | b'.' => name.push(byte.into()),
            _ => name.push_str(&format!("\\x{byte:02x}")),
        }
    }
    if name.is_empty() {
        name.push('-');
    }
    name + ".mount"
}

/// Whether two sockets of one server cannot be there at once.
/// The first of these paths that the path is, or is below.
fn around<'m, T>(paths: &'m BTreeMap<String, T>, path: &str) -> Option<(&'m String, &'m T)> {
    let ends = path.match_indices('/').map(|(at, _)| at);
    let mut outer = ends.chain([path.len()]).map(|end| &path[..end]);
    outer.find_map(|outer| paths.get_key_value(outer))
}

/// The first of these paths that is below the path.
fn below<'m, T>(paths: &'m BTreeMap<String, T>, path: &str) -> Option<(&'m String, &'m T)> {
    let start = format!("{}/", path.trim_end_matches('/'));
    let mut behind = paths.range(start.clone()..);
    behind.next().filter(|(inner, _)| inner.starts_with(&start))
}

/// What an export has if nobody says: read-only, with what is mounted below it if that is the lab's.
fn default_export_options(path: &str, mounts: &BTreeMap<String, ()>) -> Vec<String> {
    let mut options = vec!["ro".to_owned(), "no_subtree_check".to_owned()];
    options.extend(below(mounts, path).map(|_| "crossmnt".to_owned()));
    options
}

fn overlap(a: Listen, b: Listen) -> bool {
    let everywhere_and_v4 = |a: Listen, b: Listen| {
        a.address.is_none() && b.address.is_none_or(|address| address.is_ipv4())
    };
    a.port == b.port
        && (a.address == b.address || everywhere_and_v4(a, b) || everywhere_and_v4(b, a))
}

#[cfg(test)]
mod tests {
    use super::mount_unit;

    /// What systemd-escape of systemd 252 prints.
    #[test]
    fn units_are_named_as_systemd_names_them() {
        for (path, unit) in [
            ("/", "-.mount"),
            ("/srv/content/rhel-9", r"srv-content-rhel\x2d9.mount"),
            ("/.hidden/.file", r"\x2ehidden-.file.mount"),
            (
                "/srv/my \"iso\" it's/é%-x\\",
                r"srv-my\x20\x22iso\x22\x20it\x27s-\xc3\xa9\x25\x2dx\x5c.mount",
            ),
            ("/a:b_c.d@e", r"a:b_c.d\x40e.mount"),
        ] {
            assert_eq!(mount_unit(path), unit);
        }
    }
}
