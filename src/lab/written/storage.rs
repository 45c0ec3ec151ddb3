//! Pools and images as written.

use super::network::refuse_more;
use super::{LifecycleSpec, Xml};
use crate::diagnostic::Span;
use crate::lab::attributes::{Name, Nested, Switch, Text, Way, Word, at, object, words};
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
        /// Where it is on the hypervisor; needed for dir, and for fs and netfs: where it is mounted. Of an external one it is for
        /// `generate`, which asks no hypervisor.
        path: Text [xml: [
            at("pool/target/path")
                .by(Way::RestartPool)
                .more("files stay where they are. Refused while the lab has volumes in it"),
        ]],
        /// What it is; all but dir need `xml` with their source.
        kind = "type": Word<PoolTypes> [default: "`dir`"],
        /// It starts with the host.
        autostart: Switch [default: "`true`"],
        /// What may become of it.
        lifecycle: Nested<LifecycleSpec>,
        /// Merged into libvirt's XML.
        xml: Xml,
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
