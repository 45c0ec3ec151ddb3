//! What is offered by iSCSI.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use crate::diagnostic::{Diagnostic, Span};
use crate::lab::decode::Spanned;
use crate::lab::model::host::{Chap, Initiators, Iscsi, IscsiTarget, Lun, LunKind, Portal};
use crate::lab::resolve::{Resolver, value, value_or};
use crate::lab::written::Named;
use crate::lab::written::host::{InitiatorsSpec, LunSpec, TargetSpec};

/// Where a target listens if nobody says.
const DEFAULT_PORTAL: Portal = Portal {
    ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    port: 3260,
};

/// What several logical units may not share: names of backstores, and what they are made of.
#[derive(Default)]
struct Taken {
    names: BTreeMap<String, Span>,
    paths: BTreeMap<String, Span>,
}

impl Resolver<'_> {
    /// Resolves the targets.
    pub(super) fn iscsi(&mut self, specs: &[(Spanned<String>, TargetSpec)]) -> Iscsi {
        let mut taken = Taken::default();
        let mut targets: Vec<IscsiTarget> = specs
            .iter()
            .map(|(iqn, spec)| self.target(iqn, spec, &mut taken))
            .collect();
        targets.sort_by(|a, b| a.iqn.cmp(&b.iqn));
        Iscsi { targets }
    }

    fn target(
        &mut self,
        iqn: &Spanned<String>,
        spec: &TargetSpec,
        taken: &mut Taken,
    ) -> IscsiTarget {
        self.check_iscsi_name(iqn);
        if !spec.flawed && spec.luns.is_empty() {
            self.report(
                Diagnostic::error("an iSCSI target needs `luns`")
                    .at(iqn.span)
                    .hint("write `luns: {data: {path: /srv/iscsi/data.img, size: 10GiB}}`"),
            );
        }
        let initiators = match &spec.initiators {
            Some(InitiatorsSpec::Any) => Initiators::Any,
            Some(InitiatorsSpec::Only(names)) => {
                for name in names {
                    self.check_iscsi_name(name);
                }
                Initiators::Only(names.iter().map(|name| name.value.clone()).collect())
            }
            None => Initiators::Only(Vec::new()),
        };
        if !spec.flawed && matches!(&initiators, Initiators::Only(names) if names.is_empty()) {
            self.report(
                Diagnostic::error("an iSCSI target needs `initiators`")
                    .at(iqn.span)
                    .hint("write the names of those who may log in (/etc/iscsi/initiatorname.iscsi), or `initiators: any`"),
            );
        }
        let luns = self.luns(&spec.luns, taken);
        if initiators == Initiators::Any
            && let Some(lun) = luns.iter().find(|lun| lun.readonly)
            && luns.iter().any(|lun| !lun.readonly)
        {
            let place = spec.luns.iter().find(|named| named.key.value == lun.key);
            self.report(
                Diagnostic::error(
                    "the logical units of a target for any initiator are all read-only, or none is",
                )
                .at(place.map(|named| named.key.span))
                .hint("name the `initiators`, or move this one to a target of its own"),
            );
        }
        let written = spec.portals.iter().map(|portal| portal.value);
        let mut portals: Vec<Portal> = written
            .map(|socket| Portal {
                ip: socket.ip(),
                port: socket.port(),
            })
            .collect();
        if portals.is_empty() {
            portals.push(DEFAULT_PORTAL);
        }
        let chap = spec.chap.as_ref().map(|(userid, file)| {
            self.check_targetcli_word(userid);
            Chap {
                userid: userid.value.clone(),
                password_file: self.host_path(file),
            }
        });
        IscsiTarget {
            iqn: iqn.value.clone(),
            luns,
            initiators,
            portals,
            chap,
        }
    }

    fn luns(&mut self, specs: &[Named<LunSpec>], taken: &mut Taken) -> Vec<Lun> {
        let mut numbers: BTreeMap<u16, Span> = BTreeMap::new();
        for lun in specs.iter().filter_map(|named| named.spec.lun.as_ref()) {
            if let Some(first) = numbers.insert(lun.value, lun.span) {
                let problem =
                    Diagnostic::error(format!("two logical units have the number {}", lun.value))
                        .at(lun.span)
                        .related(Some(first), "the other one")
                        .hint("give one another `lun`, or leave it out");
                self.problems.push(problem);
            }
        }
        let used: BTreeSet<u16> = numbers.into_keys().collect();
        let mut luns = Vec::new();
        let mut free = (0..=u16::MAX).filter(|number| !used.contains(number));
        for named in specs {
            let number = value(&named.spec.lun).or_else(|| free.next());
            if let (Some(number), Some(path)) = (number, &named.spec.path) {
                luns.push(self.lun(named, path, number, taken));
            }
        }
        luns.sort_by_key(|lun| lun.lun);
        luns
    }

    fn lun(
        &mut self,
        named: &Named<LunSpec>,
        written: &Spanned<String>,
        number: u16,
        taken: &mut Taken,
    ) -> Lun {
        let key = &named.key.value;
        if let Some(first) = taken.names.insert(key.to_string(), named.key.span) {
            let problem = Diagnostic::error(format!("two logical units are named `{key}`"))
                .at(named.key.span)
                .related(Some(first), "the other one")
                .hint("rename one of them: the names of backstores are the lab's");
            self.problems.push(problem);
        }
        let path = self.host_path(written);
        self.check_targetcli_word(written);
        if let Some(first) = taken.paths.insert(path.clone(), written.span) {
            let problem = Diagnostic::error(format!("two logical units are made of {path}"))
                .at(written.span)
                .related(Some(first), "the other one")
                .hint("give one of them another file or device");
            self.problems.push(problem);
        }
        let kind = match path.starts_with("/dev/") {
            true => LunKind::Block,
            false => LunKind::Fileio,
        };
        if let (LunKind::Block, Some(size)) = (kind, &named.spec.size) {
            self.report(
                Diagnostic::error("a block device has the size that it has")
                    .at(size.span)
                    .hint("remove `size`, or write the path of a file"),
            );
        }
        Lun {
            key: key.clone(),
            lun: number,
            backstore: format!("{}-{key}", self.lab.name),
            kind,
            path,
            size: value(&named.spec.size),
            readonly: value_or(&named.spec.readonly, false),
        }
    }

    /// Checks what targetcli takes as one word.
    fn check_targetcli_word(&mut self, text: &Spanned<String>) {
        let ok = |c: char| c.is_ascii_alphanumeric() || "/._+:@%-".contains(c);
        if text.value.is_empty() || !text.value.chars().all(ok) {
            self.report(
                Diagnostic::error(format!("targetcli does not take `{}`", text.value))
                    .at(text.span)
                    .hint("it knows no quoting: write letters, digits and `/ . _ + : @ % -`"),
            );
        }
    }

    /// Checks the name of a target or an initiator (RFC 7143, section 4.2.7).
    fn check_iscsi_name(&mut self, name: &Spanned<String>) {
        let text = &name.value;
        let hex = |text: &str, lengths: &[usize]| {
            lengths.contains(&text.len()) && text.chars().all(|c| c.is_ascii_hexdigit())
        };
        let good = if let Some(rest) = text.strip_prefix("iqn.") {
            let digits = |text: &str, length: usize| {
                text.len() == length && text.chars().all(|c| c.is_ascii_digit())
            };
            let ok = |c: char| {
                c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | ':' | '-')
            };
            let mut parts = rest.splitn(2, '.');
            let date = parts.next().and_then(|date| date.split_once('-'));
            let authority = parts.next().unwrap_or_default();
            date.is_some_and(|(year, month)| digits(year, 4) && digits(month, 2))
                && authority.starts_with(|c: char| c.is_ascii_alphanumeric())
                && authority.chars().all(ok)
                && text.len() <= 223
        } else if let Some(rest) = text.strip_prefix("eui.") {
            hex(rest, &[16])
        } else if let Some(rest) = text.strip_prefix("naa.") {
            hex(rest, &[16, 32])
        } else {
            false
        };
        if !good {
            self.report(
                Diagnostic::error(format!("`{text}` is not an iSCSI name"))
                    .at(name.span)
                    .hint("write `iqn.YYYY-MM.DOMAIN:NAME` in lower case, the domain's labels the other way round: `iqn.2024-01.test.shop:data`"),
            );
        }
    }
}
