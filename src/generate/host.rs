//! The files that set a host up: what goes to its `/etc`, and the scripts that put it there and take it away.
//!
//! Each file is a template under `templates/host/`. What differs from one kind of file to the next is how a value is
//! quoted there; that is done here ([`escape`]), so that templates only place values.

mod escape;
mod names;

use std::collections::{BTreeMap, BTreeSet};

use minijinja::Value;
use minijinja::value::Serde;
use serde::Serialize;

use super::files::{Files, GeneratedFile, OWNERS, PLAIN, SECRET, mode_of};
use super::path::InvalidPath;
use super::path::RelativePath;
use crate::desired::answers::{user_file, whole_lines};
use crate::desired::contexts::Contexts;
use crate::desired::reserved;
use crate::diagnostic::Diagnostic;
use crate::lab::model::host::{
    AutofsMap, ExportClient, Host, IscsiTarget, Iso, Resolver, Serve, WebServer,
};
use crate::lab::model::{Lab, is_of_files};
use crate::secret;
use crate::template::{TemplateError, Templates};

/// Why there are no files.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A template gave nothing.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// One of the user's own gave nothing.
    #[error("{error}, for {what}")]
    Own {
        /// Which it is: `host.files.NAME`.
        what: String,
        /// Why.
        error: TemplateError,
    },
    /// A file would lie outside the work directory.
    #[error(transparent)]
    Path(#[from] InvalidPath),
    /// A file of the user's would lie where another one is.
    #[error("two files are written to {0}")]
    Twice(RelativePath),
}

impl From<HostError> for Diagnostic {
    fn from(error: HostError) -> Self {
        let mut problem = Diagnostic::error(format!(
            "the set-up of the host cannot be generated: {error}"
        ));
        problem.hint = match error {
            HostError::Template(error) | HostError::Own { error, .. } => error.hint,
            HostError::Path(_) => None,
            HostError::Twice(_) => Some("give the one in `host` another `dst`".to_owned()),
        };
        problem
    }
}

/// Compiles what sets the host up: `host/setup.sh`, `host/teardown.sh`, and what they install.
///
/// `host/networks/KEY.xml` and `host/pools/KEY.xml`, which `setup.sh` defines, are not among the files.
pub fn files(contexts: &Contexts<'_>, templates: &Templates) -> Result<Files, HostError> {
    let lab = contexts.lab();
    let mut output = Output {
        contexts,
        templates,
        host: Value::from(Serde(&lab.host)),
        files: Files::new(),
    };
    mounts(&lab.host, &mut output)?;
    autofs(lab, &mut output)?;
    if let Some(serve) = &lab.host.serve {
        web(lab, serve, &mut output)?;
    }
    exports(lab, &mut output)?;
    for target in &lab.host.iscsi.targets {
        let path = format!("host/iscsi/{}.targetcli", target.iqn);
        output.render(
            "host/target.targetcli.j2",
            path,
            vec![("target", value(target))],
        )?;
    }
    if lab.host.nested_kvm {
        let path = format!(
            "host/etc/modprobe.d/miniascape-{}-nested-kvm.conf",
            lab.name
        );
        output.render("host/nested-kvm.conf.j2", path, Vec::new())?;
    }
    if lab.host.hosts {
        let more = vec![("addresses", value(&names::addresses(lab)))];
        output.render("host/hosts.j2", "host/hosts".to_owned(), more)?;
    }
    if let Some(resolver) = lab.host.resolver {
        self::resolver(lab, resolver, &mut output)?;
    }
    let mut installed: Vec<String> = output
        .files
        .keys()
        .filter_map(|path| path.as_str().strip_prefix("host/"))
        .filter(|path| path.starts_with("etc/"))
        .map(str::to_owned)
        .collect();
    installed.extend(own_files(lab, &mut output)?);
    scripts(lab, &installed, &mut output)?;
    own_templates(lab, &mut output)?;
    Ok(output.files)
}

/// The user's own files, at the place below `host/` that they have on the host; gives these places.
fn own_files(lab: &Lab, output: &mut Output<'_>) -> Result<Vec<String>, HostError> {
    let mut places = Vec::new();
    for file in &lab.host.files {
        let context = output.contexts.host(&file.dst, Vec::new());
        let text = user_file(output.templates, file, &context);
        let text = text.map_err(|error| HostError::Own {
            what: format!("host.files.{}", file.key),
            error,
        })?;
        let given = u32::from_str_radix(&file.mode, 8).unwrap_or(PLAIN);
        let mode = match secret::is_in(&text) {
            true => given & OWNERS,
            false => given & 0o777,
        };
        // Whoever generates writes it again.
        output.add(format!("host{}", file.dst), text, mode | SECRET)?;
        places.push(file.dst.trim_start_matches('/').to_owned());
    }
    Ok(places)
}

/// What the user's own templates for the host give.
fn own_templates(lab: &Lab, output: &mut Output<'_>) -> Result<(), HostError> {
    for template in &lab.host.templates {
        let path = format!("host/{}", template.dst);
        let context = output.contexts.host(&path, Vec::new());
        let text = output.templates.render(&template.src, &context);
        let text = text.map(whole_lines).map_err(|error| HostError::Own {
            what: format!("host.templates.{}", template.key),
            error,
        })?;
        let mode = mode_of(&text);
        output.add(path, text, mode)?;
    }
    Ok(())
}

/// The files so far, and what they are made of.
struct Output<'a> {
    contexts: &'a Contexts<'a>,
    templates: &'a Templates,
    host: Value,
    files: Files,
}

impl Output<'_> {
    /// Renders a template to a place in the work directory. What begins with `#!` can be run.
    fn render(
        &mut self,
        template: &str,
        path: String,
        mut more: Vec<(&'static str, Value)>,
    ) -> Result<(), HostError> {
        more.push(("host", self.host.clone()));
        let context = self.contexts.host(&path, more);
        let mut text = self.templates.render(template, &context)?;
        if !text.ends_with('\n') {
            text.push('\n');
        }
        let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
        self.add(path, text, mode)
    }

    /// Adds a file, once.
    fn add(&mut self, path: String, text: String, mode: u32) -> Result<(), HostError> {
        let path = RelativePath::new(path)?;
        if self.files.contains_key(&path) {
            return Err(HostError::Twice(path));
        }
        let bytes = text.into_bytes();
        self.files.insert(path, GeneratedFile { bytes, mode });
        Ok(())
    }
}

fn value<T: Serialize>(of: &T) -> Value {
    Value::from(Serde(of))
}

/// Mount units, where autofs does not mount the ISO images.
fn mounts(host: &Host, output: &mut Output<'_>) -> Result<(), HostError> {
    for iso in host.isos.values().filter(|_| !host.autofs.isos) {
        let more = vec![
            ("iso", value(iso)),
            ("what", Value::from(escape::unit(&iso.path))),
            ("where", Value::from(escape::unit(&iso.mount))),
            ("options", Value::from(escape::unit(&iso.options.join(",")))),
        ];
        let path = format!("host/etc/systemd/system/{}", iso.unit);
        output.render("host/iso.mount.j2", path, more)?;
    }
    Ok(())
}

/// A line of a map of autofs's.
#[derive(Serialize)]
struct MapLine {
    key: String,
    options: Vec<String>,
    location: String,
}

/// A map of autofs's as the master map names it.
#[derive(Serialize)]
struct MasterLine {
    mount: String,
    map: String,
    timeout: Option<u64>,
}

fn autofs(lab: &Lab, output: &mut Output<'_>) -> Result<(), HostError> {
    let autofs = &lab.host.autofs;
    let mut master = Vec::new();
    let mut names = BTreeSet::new();
    if autofs.isos && !lab.host.isos.is_empty() {
        let map = map_name(lab, "isos", &mut names);
        let lines = lab.host.isos.values().map(iso_line).collect();
        autofs_map(&map, lines, output)?;
        master.push(MasterLine {
            mount: "/-".to_owned(),
            map,
            timeout: autofs.timeout,
        });
    }
    for own in &autofs.maps {
        let name = match own.mount.as_str() {
            "/-" => "direct".to_owned(),
            mount => mount
                .trim_matches('/')
                .replace(|c: char| !c.is_ascii_alphanumeric(), "_"),
        };
        let map = map_name(lab, &name, &mut names);
        autofs_map(&map, own_lines(own), output)?;
        master.push(MasterLine {
            mount: escape::autofs(&own.mount),
            map,
            timeout: own.timeout.or(autofs.timeout),
        });
    }
    if master.is_empty() {
        return Ok(());
    }
    let path = format!("host/etc/auto.master.d/miniascape-{}.autofs", lab.name);
    output.render(
        "host/master.autofs.j2",
        path,
        vec![("maps", value(&master))],
    )
}

fn autofs_map(map: &str, lines: Vec<MapLine>, output: &mut Output<'_>) -> Result<(), HostError> {
    let path = format!("host{map}");
    output.render("host/map.autofs.j2", path, vec![("entries", value(&lines))])
}

/// A file for a map that no other map of the lab has.
fn map_name(lab: &Lab, name: &str, taken: &mut BTreeSet<String>) -> String {
    let name: String = name.chars().take(100).collect();
    let path = |suffix: String| format!("/etc/auto.miniascape-{}.{name}{suffix}", lab.name);
    let mut map = path(String::new());
    let mut number = 2;
    while !taken.insert(map.clone()) {
        map = path(format!(".{number}"));
        number += 1;
    }
    map
}

fn iso_line(iso: &Iso) -> MapLine {
    let fstype = iso.fstype.as_deref().unwrap_or("auto");
    let mut options = vec![format!("fstype={fstype}")];
    options.extend(iso.options.iter().cloned());
    MapLine {
        key: escape::autofs(&iso.mount),
        options,
        location: format!(":{}", escape::autofs(&iso.path)),
    }
}

/// The user's own entries: `*`, `&` and `$` mean to autofs what they mean to the user.
fn own_lines(map: &AutofsMap) -> Vec<MapLine> {
    let entries = map.entries.iter();
    entries
        .map(|(key, entry)| MapLine {
            key: match map.mount.as_str() {
                "/-" => escape::autofs(key),
                _ => key.clone(),
            },
            options: map.options.iter().chain(&entry.options).cloned().collect(),
            location: entry.location.replace(' ', "\\ "),
        })
        .collect()
}

/// A directory of the web server's.
#[derive(Serialize)]
struct Tree {
    /// Its path in the URL, without slashes.
    name: String,
    /// The directory, for a quoted string of the web server's.
    path: String,
    /// The same where the web server takes patterns.
    pattern: String,
}

fn web(lab: &Lab, serve: &Serve, output: &mut Output<'_>) -> Result<(), HostError> {
    let isos = lab.host.isos.values().map(|iso| (&iso.key, &iso.mount));
    let trees: BTreeMap<_, _> = isos.chain(&serve.paths).collect();
    let trees: Vec<Tree> = trees
        .into_iter()
        .map(|(name, path)| Tree {
            name: name.to_string(),
            path: escape::quoted(path),
            pattern: escape::quoted(&escape::pattern(path)),
        })
        .collect();
    // The server can be started before libvirt has given the host the address.
    let late = serve.listen.iter().any(|listen| {
        let address = listen.address.map(|address| address.to_canonical());
        address.is_some_and(|address| !address.is_loopback() && !address.is_unspecified())
    });
    let (template, directory, service) = match serve.with {
        WebServer::Nginx => ("host/nginx.conf.j2", "nginx", "nginx"),
        WebServer::Httpd => ("host/httpd.conf.j2", "httpd", "httpd"),
    };
    let path = format!("host/etc/{directory}/conf.d/miniascape-{}.conf", lab.name);
    output.render(template, path, vec![("trees", value(&trees))])?;
    if late {
        let path = format!(
            "host/etc/systemd/system/{service}.service.d/miniascape-{}.conf",
            lab.name
        );
        output.render("host/web.service.conf.j2", path, Vec::new())?;
    }
    Ok(())
}

/// An export as a line of exports(5).
#[derive(Serialize)]
struct ExportLine {
    path: String,
    clients: Vec<String>,
}

fn exports(lab: &Lab, output: &mut Output<'_>) -> Result<(), HostError> {
    let exports = lab.host.nfs.exports.iter();
    let lines: Vec<ExportLine> = exports
        .map(|export| ExportLine {
            path: escape::exports(&export.path),
            clients: export
                .clients
                .iter()
                .map(|client| format!("{}({})", client.client, export_options(client)))
                .collect(),
        })
        .collect();
    if lines.is_empty() {
        return Ok(());
    }
    let path = format!("host/etc/exports.d/miniascape-{}.exports", lab.name);
    output.render(
        "host/nfs.exports.j2",
        path,
        vec![("exports", value(&lines))],
    )
}

/// The options of a client. exportfs complains where one of these two is not said, though it is clear.
fn export_options(client: &ExportClient) -> String {
    let said = ["subtree_check", "no_subtree_check"];
    let mut options: Vec<&str> = client.options.iter().map(String::as_str).collect();
    if !options.iter().any(|option| said.contains(option)) {
        options.push("no_subtree_check");
    }
    options.join(",")
}

fn resolver(lab: &Lab, resolver: Resolver, output: &mut Output<'_>) -> Result<(), HostError> {
    let more = || vec![("servers", value(&names::servers(lab)))];
    let name = format!("miniascape-{}", lab.name);
    match resolver {
        Resolver::SystemdResolved => {
            let path = format!("host/etc/libvirt/hooks/network.d/{name}");
            output.render("host/network-hook.j2", path, more())
        }
        Resolver::NetworkManager => {
            let path = format!("host/etc/NetworkManager/conf.d/{name}.conf");
            output.render("host/networkmanager.conf.j2", path, Vec::new())?;
            let path = format!("host/etc/NetworkManager/dnsmasq.d/{name}.conf");
            output.render("host/dnsmasq.conf.j2", path, more())
        }
        Resolver::Dnsmasq => {
            let path = format!("host/etc/dnsmasq.d/{name}.conf");
            output.render("host/dnsmasq.conf.j2", path, more())
        }
    }
}

/// A network or pool, as the scripts see to it.
#[derive(Serialize)]
struct Defined<'a> {
    key: &'a str,
    name: &'a str,
    uuid: String,
    autostart: bool,
    /// The directory that libvirt may make for a pool.
    path: Option<&'a str>,
}

/// An iSCSI target, as the scripts see to it.
#[derive(Serialize)]
struct Offered<'a> {
    target: &'a IscsiTarget,
    file: String,
}

fn scripts(lab: &Lab, installed: &[String], output: &mut Output<'_>) -> Result<(), HostError> {
    let networks = lab.networks.values().filter(|network| !network.external);
    let networks: Vec<Defined<'_>> = networks
        .map(|network| Defined {
            key: network.key.as_str(),
            name: &network.name,
            uuid: network.uuid.to_string(),
            autostart: network.autostart,
            path: None,
        })
        .collect();
    let others = lab.networks.values().filter(|network| network.external);
    // As the scripts remember them: the network, and what it reserves.
    let reservations: Vec<String> = others
        .flat_map(|network| {
            let hosts = reserved(network).into_iter();
            hosts.map(|host| format!("{}\t{}", network.name, host.to_string().trim()))
        })
        .collect();
    let pools = lab.pools.values().filter(|pool| !pool.external);
    let pools: Vec<Defined<'_>> = pools
        .map(|pool| Defined {
            key: pool.key.as_str(),
            name: &pool.name,
            uuid: pool.uuid.to_string(),
            autostart: pool.autostart,
            path: pool.path.as_deref().filter(|_| is_of_files(&pool.kind)),
        })
        .collect();
    let targets: Vec<Offered<'_>> = lab
        .host
        .iscsi
        .targets
        .iter()
        .map(|target| Offered {
            target,
            file: format!("iscsi/{}.targetcli", target.iqn),
        })
        .collect();
    for script in ["setup", "teardown"] {
        let more = vec![
            ("networks", value(&networks)),
            ("reservations", value(&reservations)),
            ("pools", value(&pools)),
            ("targets", value(&targets)),
            ("files", value(&installed)),
        ];
        let template = format!("host/{script}.sh.j2");
        output.render(&template, format!("host/{script}.sh"), more)?;
    }
    Ok(())
}
