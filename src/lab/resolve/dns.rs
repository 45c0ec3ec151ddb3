//! What a network's name server answers, as far as the network itself says it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Resolver, is_label, value, value_or};
use crate::diagnostic::Diagnostic;
use crate::lab::decode::{Given, Spanned};
use crate::lab::model::{Dns, DnsForwarder, DnsHost, DnsSrv};
use crate::lab::written::network::DnsSpec;

impl Resolver<'_> {
    /// Checks what the name server is to answer, without what the guests bring.
    pub(super) fn dns(&mut self, spec: &DnsSpec, has_domain: bool) -> Dns {
        if let Some(enabled) = spec.enabled.as_ref().filter(|enabled| !enabled.value) {
            let others = !spec.hosts.is_empty()
                || spec.local_only.is_some()
                || !spec.forwarders.is_empty()
                || !spec.srv.is_empty()
                || !spec.txt.is_empty();
            if others {
                self.report(
                    Diagnostic::error("a name server that is off answers nothing")
                        .at(enabled.span)
                        .hint("remove `enabled: false`, or what else stands under `dns`"),
                );
            }
        }
        if let Some(local_only) = spec.local_only.as_ref().filter(|_| !has_domain) {
            self.report(
                Diagnostic::error("`local_only` is about the network's `domain`, and it has none")
                    .at(local_only.span)
                    .hint("write `domain: shop.test` in the network, or remove `local_only`"),
            );
        }
        let mut by_ip: BTreeMap<IpAddr, Vec<String>> = BTreeMap::new();
        for (name, ips) in &spec.hosts {
            self.check_domain(name, "a host name");
            for ip in ips {
                let names = by_ip.entry(ip.value).or_default();
                if !names.contains(&name.value) {
                    names.push(name.value.clone());
                }
            }
        }
        for forwarder in &spec.forwarders {
            if let Some(domain) = &forwarder.domain {
                self.check_domain(domain, "a domain");
            }
        }
        for srv in &spec.srv {
            if let Some(service) = &srv.service {
                self.check_srv(service, &srv.domain, &srv.target);
            }
        }
        for (name, _) in &spec.txt {
            let bad = name.value.is_empty() || name.value.contains(|c: char| c.is_whitespace());
            if bad || name.value.contains(',') {
                self.report(
                    Diagnostic::error(format!("`{}` is not a name for a TXT record", name.value))
                        .at(name.span)
                        .hint("it has no space and no comma"),
                );
            }
        }
        Dns {
            enabled: value(&spec.enabled),
            local_only: value_or(&spec.local_only, true),
            hosts: by_ip
                .into_iter()
                .map(|(ip, names)| DnsHost { ip, names })
                .collect(),
            forwarders: spec
                .forwarders
                .iter()
                .map(|forwarder| DnsForwarder {
                    address: value(&forwarder.address),
                    domain: value(&forwarder.domain),
                })
                .collect(),
            srv: spec
                .srv
                .iter()
                .map(|srv| DnsSrv {
                    service: value(&srv.service).unwrap_or_default(),
                    protocol: value(&srv.protocol).unwrap_or_default().to_owned(),
                    domain: value(&srv.domain),
                    target: value(&srv.target),
                    port: value(&srv.port),
                    priority: value(&srv.priority),
                    weight: value(&srv.weight),
                })
                .collect(),
            txt: spec
                .txt
                .iter()
                .map(|(name, text)| (name.value.clone(), text.clone()))
                .collect(),
        }
    }

    fn check_srv(
        &mut self,
        service: &Spanned<String>,
        domain: &Given<String>,
        target: &Given<String>,
    ) {
        if !is_label(&service.value) {
            self.report(
                Diagnostic::error(format!("`{}` is not a service", service.value))
                    .at(service.span)
                    .hint("write it without the underscore: `ldap`"),
            );
        }
        for name in [domain, target].into_iter().flatten() {
            self.check_domain(name, "a host name");
        }
    }
}
