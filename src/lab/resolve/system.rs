//! The system inside a guest: defaults, and checks that all installers share.

use std::collections::BTreeMap;

use super::words::{
    COMPONENT, FIREWALL_SERVICE, GROUP, LAYOUT, LOCALE, PACKAGE, PACKAGES, REPOSITORY, SERVICE,
    SHELL, SUITE, TIME_SERVER, VARIANT, is_login_name, shown,
};
use super::{Resolver, value, value_or};
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::decode::Spanned;
use crate::lab::model::system::{
    Firewall, Keyboard, Packages, Port, Repository, Root, Scripts, Services, Storage, System, User,
};
use crate::lab::written::Named;
use crate::lab::written::system::{
    FirewallSpec, RepositorySpec, StorageSpec, SystemSpec, UserSpec,
};

/// The locale of a system that is given none: every distribution has it.
const LANG: &str = "en_US.UTF-8";

impl Resolver<'_> {
    /// Resolves a guest's `system`, but for its network.
    pub(super) fn system(&mut self, spec: &SystemSpec) -> System {
        self.check_all(&LOCALE, &spec.lang);
        self.check_all(&LAYOUT, &spec.keyboard.layout);
        self.check_all(&VARIANT, &spec.keyboard.variant);
        if let (Some(variant), None) = (&spec.keyboard.variant, &spec.keyboard.layout) {
            self.report(
                Diagnostic::error("the variant of a keyboard needs its layout")
                    .at(variant.span)
                    .hint(format!(
                        "write `{{layout: us, variant: {}}}`, with the layout that it is of",
                        variant.value
                    )),
            );
        }
        if let Some(zone) = &spec.timezone {
            self.check_zone(zone);
        }
        self.check_all(&TIME_SERVER, &spec.ntp);
        self.check_all(&PACKAGE, &spec.packages.add);
        self.check_all(&PACKAGES, &spec.packages.remove);
        self.check_all(
            &SERVICE,
            spec.services.enable.iter().chain(&spec.services.disable),
        );
        self.check_both(
            &spec.packages.add,
            &spec.packages.remove,
            "added and removed",
        );
        self.check_both(
            &spec.services.enable,
            &spec.services.disable,
            "enabled and disabled",
        );
        self.check_url("a proxy", spec.proxy.as_ref());
        self.check_password(&spec.root.password);
        self.check_user_ids(&spec.users);
        System {
            lang: value_or(&spec.lang, LANG.to_owned()),
            keyboard: Keyboard {
                layout: value_or(&spec.keyboard.layout, "us".to_owned()),
                variant: value(&spec.keyboard.variant),
            },
            timezone: value_or(&spec.timezone, "UTC".to_owned()),
            ntp: values(&spec.ntp),
            root: Root {
                password: value(&spec.root.password),
                ssh_keys: self.ssh_keys(&spec.root.ssh_keys),
            },
            users: spec.users.iter().map(|user| self.user(user)).collect(),
            packages: Packages {
                add: values(&spec.packages.add),
                remove: values(&spec.packages.remove),
                missing: value(&spec.packages.missing).unwrap_or_default(),
            },
            services: Services {
                enable: values(&spec.services.enable),
                disable: values(&spec.services.disable),
            },
            firewall: spec.firewall.as_ref().map(|spec| self.firewall(spec)),
            selinux: value(&spec.selinux),
            storage: match spec.storage.as_ref().map(|given| &given.value) {
                None | Some(StorageSpec::Auto) => Storage::Auto,
                Some(StorageSpec::Lvm) => Storage::Lvm,
                Some(StorageSpec::Custom(text)) => Storage::Custom {
                    text: text.value.clone(),
                },
            },
            repositories: spec
                .repositories
                .iter()
                .filter_map(|repository| self.repository(repository))
                .collect(),
            proxy: value(&spec.proxy),
            network: Vec::new(),
            scripts: Scripts {
                pre: values(&spec.scripts.pre),
                post: values(&spec.scripts.post),
            },
            kdump: value(&spec.kdump),
            serial_console: value_or(&spec.serial_console, true),
            finish: value(&spec.finish).unwrap_or_default(),
        }
    }

    /// What is wanted there and not there cannot be had.
    fn check_both(&mut self, yes: &[Spanned<String>], no: &[Spanned<String>], what: &str) {
        let yes: BTreeMap<&str, &Spanned<String>> = yes
            .iter()
            .rev()
            .map(|item| (item.value.as_str(), item))
            .collect();
        for item in no {
            if let Some(other) = yes.get(item.value.as_str()) {
                self.report(
                    Diagnostic::error(format!("`{}` is both {what}", item.value))
                        .at(item.span)
                        .related(Some(other.span), "the other one")
                        .hint("remove one"),
                );
            }
        }
    }

    fn check_user_ids(&mut self, users: &[Named<UserSpec>]) {
        let mut seen: BTreeMap<u32, Span> = BTreeMap::new();
        for uid in users.iter().filter_map(|user| user.spec.uid.as_ref()) {
            match seen.get(&uid.value) {
                Some(first) => self.report(
                    Diagnostic::error(format!("two users have the uid {}", uid.value))
                        .at(uid.span)
                        .related(Some(*first), "the other one")
                        .hint("give one of them another, or none"),
                ),
                None => {
                    seen.insert(uid.value, uid.span);
                }
            }
        }
    }

    fn user(&mut self, named: &Named<UserSpec>) -> User {
        let (name, spec) = (&named.key.value, &named.spec);
        if !is_login_name(name.as_str()) {
            self.report(
                Diagnostic::error(format!("`{name}` is not a login name"))
                    .at(named.key.span)
                    .hint("it has up to 32 lower-case letters, digits, `_` and `-`, and begins with a letter or `_`"),
            );
        }
        if name.as_str() == "root" {
            self.report(
                Diagnostic::error("root is not one of the users")
                    .at(named.key.span)
                    .hint("give `password` and `ssh_keys` under `root`, beside `users`"),
            );
        }
        self.check_password(&spec.password);
        self.check_all(&GROUP, &spec.groups);
        self.check_all(&SHELL, &spec.shell);
        if let Some(gecos) = &spec.gecos
            && gecos
                .value
                .contains(|c: char| c.is_control() || ":,\"\\`$".contains(c))
        {
            self.report(
                Diagnostic::error(format!("`{}` is not the name of a person", shown(&gecos.value)))
                    .at(gecos.span)
                    .hint("write it in one line, without comma, colon, quotes, `$` and backslash (passwd(5))"),
            );
        }
        if let Some(sudo) = &spec.sudo
            && (!sudo.value.contains('=')
                || sudo
                    .value
                    .contains(|c: char| c.is_control() || "'\"`$".contains(c)))
        {
            self.report(
                Diagnostic::error(format!("`{}` is not a rule of sudo", shown(&sudo.value)))
                    .at(sudo.span)
                    .hint("write `true`, or a rule such as `ALL=(ALL) ALL` (sudoers(5))"),
            );
        }
        User {
            name: name.clone(),
            gecos: value(&spec.gecos),
            uid: value(&spec.uid),
            shell: value(&spec.shell),
            password: value(&spec.password),
            groups: values(&spec.groups),
            ssh_keys: self.ssh_keys(&spec.ssh_keys),
            sudo: value(&spec.sudo),
        }
    }

    fn firewall(&mut self, spec: &FirewallSpec) -> Firewall {
        self.check_all(&FIREWALL_SERVICE, &spec.services);
        let mut ports = Vec::new();
        for given in &spec.ports {
            let (number, protocol) = given.value.split_once('/').unwrap_or((&given.value, "tcp"));
            let protocol = ["tcp", "udp"].into_iter().find(|known| *known == protocol);
            let number = number.parse().ok().filter(|number| *number > 0);
            match (number, protocol) {
                (Some(number), Some(protocol)) => ports.push(Port { number, protocol }),
                _ => self.report(
                    Diagnostic::error(format!("`{}` is not a port", shown(&given.value)))
                        .at(given.span)
                        .hint("write `80`, `80/tcp` or `53/udp`, each port by itself"),
                ),
            }
        }
        Firewall {
            enabled: value_or(&spec.enabled, true),
            services: values(&spec.services),
            ports,
        }
    }

    fn repository(&mut self, named: &Named<RepositorySpec>) -> Option<Repository> {
        let spec = &named.spec;
        self.check(
            &REPOSITORY,
            &Spanned {
                value: named.key.value.to_string(),
                span: named.key.span,
            },
        );
        if spec.url.is_none() && !named.flawed {
            self.report(
                Diagnostic::error(format!("the repository `{}` needs `url`", named.key.value))
                    .at(named.key.span)
                    .hint("write `{url: https://…}`"),
            );
        }
        self.check_url("a package repository", spec.url.as_ref());
        self.check_url("a key", spec.key.as_ref());
        self.check_all(&SUITE, &spec.suite);
        self.check_all(&COMPONENT, &spec.components);
        if let (Some(suite), Some(component)) = (&spec.suite, spec.components.first())
            && suite.value.ends_with('/')
        {
            self.report(
                Diagnostic::error("a repository without suites has no components")
                    .at(component.span)
                    .related(Some(suite.span), "a path, not a suite")
                    .hint("remove `components`"),
            );
        }
        Some(Repository {
            name: named.key.value.clone(),
            url: value(&spec.url)?,
            key: value(&spec.key),
            suite: value(&spec.suite),
            components: values(&spec.components),
        })
    }
}

fn values(given: &[Spanned<String>]) -> Vec<String> {
    given.iter().map(|item| item.value.clone()).collect()
}
