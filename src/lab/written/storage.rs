//! Pools and images as written.

use super::network::refuse_more;
use super::{LifecycleSpec, Xml};
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::attributes::{
    Keys as _, Kind, Name, Nested, OneOrList, Optional, Switch, Text, Type, Way, Whole, Word, at,
    object, words,
};
use crate::lab::decode::Decoder;
use crate::lab::model::VolumeFormat;
use crate::lab::yaml::{Node, Value};

words! {
    /// libvirt's types of pools. <https://libvirt.org/storage.html>
    PoolTypes: &'static str = [
        "dir", "fs", "netfs", "logical", "disk", "iscsi", "iscsi-direct", "scsi", "mpath", "rbd", "gluster",
        "zfs", "vstorage",
    ];
    /// The formats of volumes.
    Formats: VolumeFormat = ["qcow2" => VolumeFormat::Qcow2, "raw" => VolumeFormat::Raw];
}

object! {
    /// A pool as written.
    PoolSpec: "a pool" / "pools", "the settings of a pool", before if_external {
        /// Its name in libvirt.
        name: Text [default: "its key", xml: [at("pool/name").by(Way::ReplacePool)]],
        /// It exists: it is referred to, and never created, changed or deleted.
        external: Switch [default: "`false`"],
        /// Where it is on the hypervisor; needed for dir, and for fs, netfs and vstorage: where it is mounted. Of an external one it is
        /// for `generate`, which asks no hypervisor.
        path: Text [default: "where devices are, for types with them", xml: [
            at("pool/target/path")
                .by(Way::RestartPool)
                .more("files stay where they are. Refused while the lab has volumes in it"),
        ]],
        /// What it is. All but dir have a `source`; scsi needs `xml` with its adapter.
        kind = "type": Word<PoolTypes> [default: "`dir`"],
        /// What it is made of; which keys depends on its type.
        source: Optional<SourceSpec> [xml: [at("pool/source")]],
        /// It starts with the host.
        autostart: Switch [default: "`true`"],
        /// What may become of it.
        lifecycle: Nested<LifecycleSpec>,
        /// Merged into libvirt's XML.
        xml: Xml,
    }
}

object! {
    /// `source` of a pool as written.
    SourceSpec: "`source`" / "sources", "what the pool is made of, `{host: …, dir: …}`" {
        /// The server, or several of rbd; needed for netfs, iscsi, iscsi-direct, gluster and rbd.
        host: Hosts [xml: [
            at("pool/source/host").says("{@name} {@port}"),
            at("pool/source/host@name"),
            at("pool/source/host@port").named("source.host.port"),
        ]],
        /// The partition of fs, the disk of disk, the target of iscsi and iscsi-direct (`iqn.…`), each needed; the disks of logical and
        /// zfs.
        device: OneOrList<Text> [xml: [
            at("pool/source/device").says("{@path}"),
            at("pool/source/device@path"),
        ]],
        /// The directory that the server gives; needed for netfs. Of gluster one within the volume.
        dir: Text [xml: [at("pool/source/dir").says("{@path}"), at("pool/source/dir@path")]],
        /// What it is called where it is: the volume group of logical, the pool of rbd or zfs, the volume of gluster, the cluster of
        /// vstorage. Needed but for logical.
        name: Text [default: "its name in libvirt, for logical", xml: [at("pool/source/name")]],
        /// The file system of fs, the protocol of netfs, the partition table of disk, as libvirt calls them.
        format: Text [default: "found by libvirt", xml: [
            at("pool/source/format").says("{@type}"),
            at("pool/source/format@type"),
        ]],
        /// As whom an iSCSI target is asked (`iqn.…`); needed for iscsi-direct.
        initiator: Text [default: "the host's, for iscsi", xml: [
            at("pool/source/initiator").says("{iqn@name}"),
            at("pool/source/initiator/iqn@name"),
        ]],
        /// How iscsi, iscsi-direct and rbd log in.
        auth: Optional<AuthSpec> [xml: [
            at("pool/source/auth").says("{@username}"),
        ]],
    }
}

object! {
    /// A server as written.
    HostSpec: "a server" / "servers", "a server's name or address, or `{name: …, port: …}`", scalar name(Text) {
        /// Its name or address.
        name: Text [needed: "write `name: HOST`"],
        /// Its port.
        port: Whole<u16, 1, 65535> [default: "that of the protocol"],
    }
}

/// A server, or several.
#[derive(Debug)]
pub struct Hosts;

impl Kind for Hosts {
    type Field = Vec<HostSpec>;
    const TYPE: Type = Type::OneOrList(&HostSpec::TYPE);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        let items = match &node.value {
            Value::Sequence(items) => items.as_slice(),
            Value::Scalar(..) | Value::Mapping(_) => std::slice::from_ref(node),
        };
        let hosts = items.iter();
        let hosts = hosts.filter_map(|item| HostSpec::decode(d, item, item.span));
        hosts.collect()
    }
}

object! {
    /// `auth` of a pool's source as written.
    AuthSpec: "`auth`" / "logins", "`{username: …, secret: {usage: …}}`" {
        /// As whom.
        username: Text [needed: "write `username: NAME`", xml: [at("pool/source/auth@username")]],
        /// libvirt's secret with the password or key; `virsh secret-define` makes one.
        secret: Optional<SecretSpec> [needed: "write `secret: {usage: NAME}`, of a secret that libvirt has", xml: [
            at("pool/source/auth/secret").says("{@usage} {@uuid}"),
        ]],
    }
}

object! {
    /// A secret of libvirt's as written.
    SecretSpec: "`secret`" / "secrets", "`{usage: …}` or `{uuid: …}`", after secret_is_one {
        /// What it is for, by which it is found.
        usage: Text [xml: [at("pool/source/auth/secret@usage")]],
        /// Its UUID.
        uuid: Text [xml: [at("pool/source/auth/secret@uuid")]],
    }
}

fn secret_is_one(spec: &mut SecretSpec, d: &mut Decoder<'_>, node: &Node, _: Span) {
    if spec.usage.is_some() == spec.uuid.is_some() {
        d.report(
            Diagnostic::error("a secret is found by its `usage` or by its `uuid`")
                .at(node.span)
                .hint("write one of them; `virsh secret-list` shows both"),
        );
    }
    if let Some(uuid) = spec
        .uuid
        .as_ref()
        .filter(|it| uuid::Uuid::try_parse(&it.value).is_err())
    {
        d.report(
            Diagnostic::error(format!("`{}` is no UUID", uuid.value))
                .at(uuid.span)
                .hint("`virsh secret-list` shows it"),
        );
    }
}

/// Reads a pool that exists: all else has no effect, but for where it is, for what is compiled without asking a hypervisor.
fn if_external(d: &mut Decoder<'_>, node: &Node, _: Span) -> Option<PoolSpec> {
    let is_meant = |value: &Node| matches!(&value.value, Value::Scalar(text, _) if text.eq_ignore_ascii_case("true"));
    let external = node.given("external").filter(|value| is_meant(value))?;
    let external = d.boolean(external)?;
    let name = node.given("name").and_then(|name| d.text(name));
    let path = node.given("path").and_then(|path| d.text(path));
    refuse_more(d, node, "pool", &["path"]);
    Some(PoolSpec {
        name,
        external: Some(external),
        path,
        ..PoolSpec::default()
    })
}

object! {
    /// An image as written.
    ImageSpec: "an image" / "images", "the settings of an image" {
        /// The pool that it is uploaded to.
        pool: Name [needed: "write `{pool: POOL, source: FILE}`"],
        /// A local file, uploaded once, to a remote hypervisor too.
        source: Text [needed: "write `{pool: POOL, source: FILE}`", xml: [at("volume").by(Way::Upload)]],
        /// How its bytes are laid out.
        format: Word<Formats> [default: "read from the file", xml: [at("volume/target/format").by(Way::Upload)]],
        /// The SHA-256 that the file has to have.
        sha256: Text,
        /// What may become of it.
        lifecycle: Nested<LifecycleSpec>,
    }
}
