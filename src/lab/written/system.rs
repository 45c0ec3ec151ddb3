//! `system` of a guest as written.

use std::net::IpAddr;

use super::{Named, named};
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::decode::{Decoder, Given, Spanned};
use crate::lab::model::system::{Finish, Missing, Selinux};
use crate::lab::yaml::{Node, Value};

/// `system` as written.
#[derive(Debug, Clone, Default)]
pub struct SystemSpec {
    /// Where it is given.
    pub span: Option<Span>,
    /// `lang`
    pub lang: Given<String>,
    /// `keyboard`, or its `layout`
    pub keyboard: Given<String>,
    /// `keyboard.variant`
    pub keyboard_variant: Given<String>,
    /// `timezone`
    pub timezone: Given<String>,
    /// `ntp`
    pub ntp: Vec<Spanned<String>>,
    /// `root`
    pub root: RootSpec,
    /// `users`
    pub users: Vec<Named<UserSpec>>,
    /// `packages`, or their `add`
    pub packages_add: Vec<Spanned<String>>,
    /// `packages.remove`
    pub packages_remove: Vec<Spanned<String>>,
    /// `packages.missing`
    pub packages_missing: Given<Missing>,
    /// `services.enable`
    pub services_enable: Vec<Spanned<String>>,
    /// `services.disable`
    pub services_disable: Vec<Spanned<String>>,
    /// `firewall`
    pub firewall: Option<FirewallSpec>,
    /// `selinux`
    pub selinux: Given<Selinux>,
    /// `storage`
    pub storage: Given<StorageSpec>,
    /// `repositories`
    pub repositories: Vec<Named<RepositorySpec>>,
    /// `proxy`
    pub proxy: Given<String>,
    /// `network`
    pub network: SystemNetworkSpec,
    /// `scripts.pre`
    pub pre: Vec<Spanned<String>>,
    /// `scripts.post`
    pub post: Vec<Spanned<String>>,
    /// `kdump`
    pub kdump: Given<bool>,
    /// `serial_console`
    pub serial_console: Given<bool>,
    /// `finish`
    pub finish: Given<Finish>,
}

/// `root` as written.
#[derive(Debug, Clone, Default)]
pub struct RootSpec {
    /// `password`
    pub password: Given<String>,
    /// `ssh_keys`
    pub ssh_keys: Vec<Spanned<String>>,
}

/// A user as written.
#[derive(Debug, Clone, Default)]
pub struct UserSpec {
    /// `gecos`
    pub gecos: Given<String>,
    /// `uid`
    pub uid: Given<u32>,
    /// `shell`
    pub shell: Given<String>,
    /// `password`
    pub password: Given<String>,
    /// `groups`
    pub groups: Vec<Spanned<String>>,
    /// `ssh_keys`
    pub ssh_keys: Vec<Spanned<String>>,
    /// `sudo`
    pub sudo: Given<String>,
}

/// `firewall` as written.
#[derive(Debug, Clone, Default)]
pub struct FirewallSpec {
    /// `firewall`, or its `enabled`
    pub enabled: Given<bool>,
    /// `services`
    pub services: Vec<Spanned<String>>,
    /// `ports`
    pub ports: Vec<Spanned<String>>,
}

/// `storage` as written.
#[derive(Debug, Clone)]
pub enum StorageSpec {
    /// `auto`
    Auto,
    /// `lvm`
    Lvm,
    /// `{custom: …}`
    Custom(Spanned<String>),
}

/// A package repository as written.
#[derive(Debug, Clone, Default)]
pub struct RepositorySpec {
    /// `url`
    pub url: Given<String>,
    /// `key`
    pub key: Given<String>,
    /// `suite`
    pub suite: Given<String>,
    /// `components`
    pub components: Vec<Spanned<String>>,
}

/// `network` of `system` as written.
#[derive(Debug, Clone, Default)]
pub struct SystemNetworkSpec {
    /// `network`, or its `method`
    pub method: Given<AddressMethod>,
    /// `gateway`
    pub gateways: Vec<Spanned<IpAddr>>,
    /// `nameservers`
    pub nameservers: Vec<Spanned<IpAddr>>,
    /// `prefix`
    pub prefix: Given<u8>,
}

/// How the system gets the addresses of its NICs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressMethod {
    /// By DHCP.
    Dhcp,
    /// Those that NICs have by `ip` are written down in the system.
    Static,
}

/// A user who may do everything, without a password: accounts have none unless one is given.
const SUDO_ALL: &str = "ALL=(ALL) NOPASSWD: ALL";

pub(super) fn system(d: &mut Decoder<'_>, node: &Node) -> Option<SystemSpec> {
    let mut fields = d.fields(node, "the settings of a system")?;
    let mut spec = SystemSpec {
        span: Some(node.span),
        lang: fields.take("lang").and_then(|n| d.text(n)),
        timezone: fields.take("timezone").and_then(|n| d.text(n)),
        ntp: texts(d, fields.take("ntp")),
        proxy: fields.take("proxy").and_then(|n| d.text(n)),
        kdump: fields.take("kdump").and_then(|n| d.boolean(n)),
        serial_console: fields.take("serial_console").and_then(|n| d.boolean(n)),
        ..SystemSpec::default()
    };
    if let Some(node) = fields.take("keyboard") {
        keyboard(d, node, &mut spec);
    }
    if let Some(node) = fields.take("root") {
        spec.root = root(d, node).unwrap_or_default();
    }
    if let Some(node) = fields.take("users") {
        spec.users = named(d, node, "a map of users", user);
    }
    if let Some(node) = fields.take("packages") {
        packages(d, node, &mut spec);
    }
    if let Some(node) = fields.take("services") {
        services(d, node, &mut spec);
    }
    spec.firewall = fields.take("firewall").and_then(|n| firewall(d, n));
    let modes = [
        ("enforcing", Selinux::Enforcing),
        ("permissive", Selinux::Permissive),
        ("disabled", Selinux::Disabled),
    ];
    spec.selinux = fields.take("selinux").and_then(|n| d.choice(n, &modes));
    spec.storage = fields.take("storage").and_then(|n| storage(d, n));
    if let Some(node) = fields.take("repositories") {
        spec.repositories = named(d, node, "a map of package repositories", repository);
    }
    if let Some(node) = fields.take("network") {
        spec.network = network(d, node).unwrap_or_default();
    }
    if let Some(node) = fields.take("scripts") {
        scripts(d, node, &mut spec);
    }
    let finishes = [
        ("reboot", Finish::Reboot),
        ("poweroff", Finish::Poweroff),
        ("halt", Finish::Halt),
    ];
    spec.finish = fields.take("finish").and_then(|n| d.choice(n, &finishes));
    fields.finish(d, "`system`");
    Some(spec)
}

/// One text or a list of them.
pub(super) fn texts(d: &mut Decoder<'_>, node: Option<&Node>) -> Vec<Spanned<String>> {
    match node {
        Some(node) => d.one_or_list(node, Decoder::text),
        None => Vec::new(),
    }
}

fn keyboard(d: &mut Decoder<'_>, node: &Node, spec: &mut SystemSpec) {
    if let Value::Scalar(..) = node.value {
        spec.keyboard = d.text(node);
        return;
    }
    let Some(mut fields) = d.fields(node, "a layout, or `{layout: …, variant: …}`") else {
        return;
    };
    spec.keyboard = fields.take("layout").and_then(|n| d.text(n));
    spec.keyboard_variant = fields.take("variant").and_then(|n| d.text(n));
    fields.finish(d, "`keyboard`");
}

fn root(d: &mut Decoder<'_>, node: &Node) -> Option<RootSpec> {
    let mut fields = d.fields(node, "`{password: HASH}` or `{ssh_keys: […]}`")?;
    let spec = RootSpec {
        password: fields.take("password").and_then(|n| d.text(n)),
        ssh_keys: texts(d, fields.take("ssh_keys")),
    };
    fields.finish(d, "`root`");
    Some(spec)
}

fn user(d: &mut Decoder<'_>, node: &Node, _: Span) -> Option<UserSpec> {
    let mut fields = d.fields(node, "the settings of a user")?;
    let spec = UserSpec {
        gecos: fields.take("gecos").and_then(|n| d.text(n)),
        uid: fields
            .take("uid")
            .and_then(|n| d.integer(n, 1, 4_294_967_294)),
        shell: fields.take("shell").and_then(|n| d.text(n)),
        password: fields.take("password").and_then(|n| d.text(n)),
        groups: texts(d, fields.take("groups")),
        ssh_keys: texts(d, fields.take("ssh_keys")),
        sudo: fields.take("sudo").and_then(|n| sudo(d, n)),
    };
    fields.finish(d, "a user");
    Some(spec)
}

/// `true`, or a rule of sudoers(5).
fn sudo(d: &mut Decoder<'_>, node: &Node) -> Given<String> {
    match &node.value {
        Value::Scalar(text, _) if !matches!(text.as_str(), "true" | "false") => d.text(node),
        Value::Scalar(..) | Value::Sequence(_) | Value::Mapping(_) => {
            let given = d.boolean(node)?;
            given.value.then(|| Spanned {
                value: SUDO_ALL.to_owned(),
                span: given.span,
            })
        }
    }
}

fn packages(d: &mut Decoder<'_>, node: &Node, spec: &mut SystemSpec) {
    if !matches!(node.value, Value::Mapping(_)) {
        spec.packages_add = texts(d, Some(node));
        return;
    }
    let what = "a list, or `{add: […], remove: […], missing: …}`";
    let Some(mut fields) = d.fields(node, what) else {
        return;
    };
    spec.packages_add = texts(d, fields.take("add"));
    spec.packages_remove = texts(d, fields.take("remove"));
    let words = [("fail", Missing::Fail), ("ignore", Missing::Ignore)];
    let missing = fields.take("missing");
    spec.packages_missing = missing.and_then(|n| d.choice(n, &words));
    fields.finish(d, "`packages`");
}

fn services(d: &mut Decoder<'_>, node: &Node, spec: &mut SystemSpec) {
    let Some(mut fields) = d.fields(node, "`{enable: […], disable: […]}`") else {
        return;
    };
    spec.services_enable = texts(d, fields.take("enable"));
    spec.services_disable = texts(d, fields.take("disable"));
    fields.finish(d, "`services`");
}

fn firewall(d: &mut Decoder<'_>, node: &Node) -> Option<FirewallSpec> {
    if let Value::Scalar(..) = node.value {
        let enabled = Some(d.boolean(node)?);
        return Some(FirewallSpec {
            enabled,
            ..FirewallSpec::default()
        });
    }
    let mut fields = d.fields(node, "`true`, `false`, or `{services: […], ports: […]}`")?;
    let spec = FirewallSpec {
        enabled: fields.take("enabled").and_then(|n| d.boolean(n)),
        services: texts(d, fields.take("services")),
        ports: texts(d, fields.take("ports")),
    };
    fields.finish(d, "`firewall`");
    Some(spec)
}

fn storage(d: &mut Decoder<'_>, node: &Node) -> Given<StorageSpec> {
    if let Value::Scalar(..) = node.value {
        let words = [("auto", &StorageSpec::Auto), ("lvm", &StorageSpec::Lvm)];
        return d.choice(node, &words).map(|given| Spanned {
            value: given.value.clone(),
            span: given.span,
        });
    }
    let mut fields = d.fields(node, "`auto`, `lvm`, or `{custom: TEXT}`")?;
    let custom = fields.take("custom");
    if custom.is_none() {
        d.report(
            Diagnostic::error("`storage` as a map needs `custom`")
                .at(node.span)
                .hint("write `custom: |` and on the lines below what the installer is to read"),
        );
    }
    let text = custom.and_then(|n| d.text(n));
    fields.finish(d, "`storage`");
    text.map(|text| Spanned {
        span: text.span,
        value: StorageSpec::Custom(text),
    })
}

fn repository(d: &mut Decoder<'_>, node: &Node, _: Span) -> Option<RepositorySpec> {
    let mut fields = d.fields(node, "the settings of a package repository")?;
    let spec = RepositorySpec {
        url: fields.take("url").and_then(|n| d.text(n)),
        key: fields.take("key").and_then(|n| d.text(n)),
        suite: fields.take("suite").and_then(|n| d.text(n)),
        components: texts(d, fields.take("components")),
    };
    fields.finish(d, "a package repository");
    Some(spec)
}

fn network(d: &mut Decoder<'_>, node: &Node) -> Option<SystemNetworkSpec> {
    let methods = [
        ("dhcp", AddressMethod::Dhcp),
        ("static", AddressMethod::Static),
    ];
    if let Value::Scalar(..) = node.value {
        let method = Some(d.choice(node, &methods)?);
        return Some(SystemNetworkSpec {
            method,
            ..SystemNetworkSpec::default()
        });
    }
    let mut fields = d.fields(node, "`dhcp`, `static`, or `{method: …, gateway: …}`")?;
    let mut ips = |key| match fields.take(key) {
        Some(node) => d.one_or_list(node, Decoder::ip),
        None => Vec::new(),
    };
    let spec = SystemNetworkSpec {
        gateways: ips("gateway"),
        nameservers: ips("nameservers"),
        method: fields.take("method").and_then(|n| d.choice(n, &methods)),
        prefix: fields.take("prefix").and_then(|n| d.integer(n, 1, 128)),
    };
    fields.finish(d, "`network` of a system");
    Some(spec)
}

fn scripts(d: &mut Decoder<'_>, node: &Node, spec: &mut SystemSpec) {
    let Some(mut fields) = d.fields(node, "`{pre: …, post: …}`") else {
        return;
    };
    spec.pre = texts(d, fields.take("pre"));
    spec.post = texts(d, fields.take("post"));
    fields.finish(d, "`scripts`");
}
