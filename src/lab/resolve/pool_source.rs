//! What pools are made of, and what each type of libvirt's needs of it.

use uuid::Uuid;

use super::{Resolver, value, value_or};
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::model::{PoolAuth, PoolHost, PoolSource};
use crate::lab::written::Named;
use crate::lab::written::storage::{AuthSpec, PoolSpec, SourceSpec};

/// What a type of pools has. <https://libvirt.org/storage.html>
struct Needs {
    /// The types.
    kinds: &'static [&'static str],
    /// What they cannot be without, each as it is written.
    needed: &'static [(&'static str, &'static str)],
    /// What they may have besides.
    allowed: &'static [&'static str],
    /// The formats that there are.
    formats: &'static [&'static str],
}

const TARGET: (&str, &str) = ("device", "device: iqn.2026-01.test:disks");
const SERVER: (&str, &str) = ("host", "host: nas.test");

const NEEDS: &[Needs] = &[
    Needs {
        kinds: &["fs"],
        needed: &[("device", "device: /dev/vdb1")],
        allowed: &["format"],
        formats: &[
            "auto", "ext2", "ext3", "ext4", "ufs", "iso9660", "udf", "gfs", "gfs2", "vfat", "hfs+",
            "xfs", "ocfs2", "vmfs",
        ],
    },
    Needs {
        kinds: &["netfs"],
        needed: &[SERVER, ("dir", "dir: /srv/images")],
        allowed: &["format"],
        formats: &["auto", "nfs", "glusterfs", "cifs"],
    },
    Needs {
        kinds: &["logical"],
        needed: &[],
        allowed: &["name", "device", "format"],
        formats: &["lvm2"],
    },
    Needs {
        kinds: &["disk"],
        needed: &[("device", "device: /dev/vdb")],
        allowed: &["format"],
        formats: &["dos", "dvh", "gpt", "mac", "bsd", "pc98", "sun", "lvm2"],
    },
    Needs {
        kinds: &["iscsi"],
        needed: &[SERVER, TARGET],
        allowed: &["initiator", "auth"],
        formats: &[],
    },
    Needs {
        kinds: &["iscsi-direct"],
        needed: &[
            SERVER,
            TARGET,
            ("initiator", "initiator: iqn.2026-01.test:host"),
        ],
        allowed: &["auth"],
        formats: &[],
    },
    Needs {
        kinds: &["rbd"],
        needed: &[
            ("name", "name: rbd"),
            ("host", "host: [mon1.test, mon2.test]"),
        ],
        allowed: &["auth"],
        formats: &[],
    },
    Needs {
        kinds: &["gluster"],
        needed: &[SERVER, ("name", "name: VOLUME")],
        allowed: &["dir"],
        formats: &[],
    },
    Needs {
        kinds: &["zfs"],
        needed: &[("name", "name: tank")],
        allowed: &["device"],
        formats: &[],
    },
    Needs {
        kinds: &["vstorage"],
        needed: &[("name", "name: CLUSTER")],
        allowed: &[],
        formats: &[],
    },
];

/// Where the volumes of a type are, if it says nothing else: as libvirt's pages have it, and of a volume group as libvirt does.
pub(super) fn place_of(kind: &str, group: Option<&str>) -> Option<String> {
    match kind {
        "disk" => Some("/dev".to_owned()),
        "iscsi" | "scsi" => Some("/dev/disk/by-path".to_owned()),
        "mpath" => Some("/dev/mapper".to_owned()),
        "logical" => group.map(|group| format!("/dev/{group}")),
        _ => None,
    }
}

impl Resolver<'_> {
    /// What a pool is made of. `is_said` where its own XML may say what is needed, or something else is wrong with it already.
    pub(super) fn pool_source(
        &mut self,
        named: &Named<PoolSpec>,
        kind: &str,
        is_said: bool,
    ) -> Option<PoolSource> {
        let spec = named.spec.source.as_ref();
        if value_or(&named.spec.external, false) {
            return None;
        }
        let place = named.spec.kind.as_ref().map(|kind| kind.span);
        let needs = NEEDS.iter().find(|it| it.kinds.contains(&kind));
        if kind == "scsi" && !is_said {
            self.report(
                Diagnostic::error("a pool of type `scsi` needs `xml`")
                    .at(place)
                    .hint("say its adapter: `<pool><source><adapter type='scsi_host' name='scsi_host1'/></source></pool>`"),
            );
        }
        let given = spec.map(given).unwrap_or_default();
        let (needed, allowed) = needs.map_or((&[][..], &[][..]), |it| (it.needed, it.allowed));
        for (key, span) in &given {
            if !allowed.contains(key) && !needed.iter().any(|(needed, _)| needed == key) {
                self.report(
                    Diagnostic::error(format!("`{key}` has no effect in a pool of type `{kind}`"))
                        .at(*span)
                        .related(place, "its type")
                        .hint("remove it"),
                );
            }
        }
        for (key, example) in needed {
            if !is_said && !given.iter().any(|(given, _)| given == key) {
                self.report(
                    Diagnostic::error(format!("a pool of type `{kind}` needs `source.{key}`"))
                        .at(place)
                        .hint(format!("write `source: {{{example}}}`")),
                );
            }
        }
        let spec = spec?;
        self.check_source(spec, kind, needs);
        Some(PoolSource {
            hosts: spec
                .host
                .iter()
                .filter_map(|host| {
                    Some(PoolHost {
                        name: value(&host.name)?,
                        port: value(&host.port),
                    })
                })
                .collect(),
            devices: spec.device.iter().map(|it| it.value.clone()).collect(),
            dir: value(&spec.dir),
            name: value(&spec.name),
            format: value(&spec.format),
            initiator: value(&spec.initiator),
            auth: spec.auth.as_ref().and_then(|auth| login(auth, kind)),
        })
    }

    fn check_source(&mut self, spec: &SourceSpec, kind: &str, needs: Option<&Needs>) {
        if let (Some(format), Some(needs)) = (&spec.format, needs)
            && !needs.formats.is_empty()
            && !needs.formats.contains(&format.value.as_str())
        {
            self.report(
                Diagnostic::error(format!(
                    "a pool of type `{kind}` has no format `{}`",
                    format.value
                ))
                .at(format.span)
                .hint(format!("there is {}", needs.formats.join(", "))),
            );
        }
        let single = [
            (
                "host",
                spec.host.get(1).and_then(|it| it.name.as_ref()),
                kind != "rbd",
            ),
            ("device", spec.device.get(1), kind != "logical"),
        ];
        for (key, second, is_one) in single {
            if let Some(second) = second.filter(|_| is_one) {
                self.report(
                    Diagnostic::error(format!("a pool of type `{kind}` has one `{key}`"))
                        .at(second.span)
                        .hint("remove the others, or make a pool of each"),
                );
            }
        }
        let is_target = kind.starts_with("iscsi");
        let devices = spec.device.iter().filter(|_| !is_target);
        for path in devices.chain(spec.dir.as_ref().filter(|_| kind == "netfs")) {
            // A share of CIFS is no path.
            let is_share = value(&spec.format).as_deref() == Some("cifs");
            if !super::is_absolute(&path.value) && !is_share {
                self.report(
                    Diagnostic::error(format!("`{}` is not an absolute path", path.value))
                        .at(path.span)
                        .hint("write it from `/` on"),
                );
            }
        }
    }
}

/// What is given of a source, each with its place.
fn given(spec: &SourceSpec) -> Vec<(&'static str, Span)> {
    let host = spec.host.first().and_then(|it| it.name.as_ref());
    let auth = spec.auth.as_ref().and_then(|it| it.username.as_ref());
    let all = [
        ("host", host),
        ("device", spec.device.first()),
        ("dir", spec.dir.as_ref()),
        ("name", spec.name.as_ref()),
        ("format", spec.format.as_ref()),
        ("initiator", spec.initiator.as_ref()),
        ("auth", auth),
    ];
    let given = all.into_iter();
    given
        .filter_map(|(key, text)| Some((key, text.filter(|it| !it.value.is_empty())?.span)))
        .collect()
}

fn login(auth: &AuthSpec, kind: &str) -> Option<PoolAuth> {
    let secret = auth.secret.as_ref()?;
    let usage = value(&secret.usage).map(|usage| ("usage", usage));
    Some(PoolAuth {
        kind: if kind == "rbd" { "ceph" } else { "chap" },
        username: value(&auth.username)?,
        secret: usage.or_else(|| {
            // As libvirt writes it.
            let uuid = Uuid::try_parse(&value(&secret.uuid)?).ok()?;
            Some(("uuid", uuid.to_string()))
        })?,
    })
}
