//! A guest as written: `common`, then its groups in order, then its own settings, merged as trees.
//!
//! A later layer's `xml` replaces an earlier one's, as every text does.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::install::{self, FileSpec, InstallSpec, SeedSpec, TemplateSpec};
use super::system::{self, SystemSpec};
use super::{BlockText, FORMATS, Named, block_text, lifecycle, mtu, named};
use crate::address::Name;
use crate::diagnostic::{Diagnostic, Span, did_you_mean_of};
use crate::lab::decode::{Decoder, Given, Spanned};
use crate::lab::load;
use crate::lab::model::{
    Allocation, DiskDevice, DomainType, Firmware, Link, OnChange, Serial, VolumeFormat,
};
use crate::lab::yaml::{Entries, Key, Node, Value};

/// A guest as written.
#[derive(Debug, Clone, Default)]
pub struct GuestSpec {
    /// `name`
    pub name: Given<String>,
    /// `group`
    pub groups: Vec<Spanned<Name>>,
    /// `title`
    pub title: Given<String>,
    /// `description`
    pub description: Given<String>,
    /// `hostname`
    pub hostname: Given<String>,
    /// `fqdn`
    pub fqdn: Given<String>,
    /// `type`
    pub domain_type: Given<DomainType>,
    /// `arch`
    pub arch: Given<String>,
    /// `machine`
    pub machine: Given<String>,
    /// `cpu.mode`
    pub cpu_mode: Given<&'static str>,
    /// `cpu.model`
    pub cpu_model: Given<String>,
    /// `vcpus`
    pub vcpus: Given<u32>,
    /// `memory`
    pub memory: Given<u64>,
    /// `max_vcpus`
    pub max_vcpus: Given<u32>,
    /// `max_memory`
    pub max_memory: Given<u64>,
    /// `firmware`
    pub firmware: Given<Firmware>,
    /// `boot.kernel`
    pub kernel: Given<String>,
    /// `boot.initrd`
    pub initrd: Given<String>,
    /// `boot.cmdline`
    pub cmdline: Given<String>,
    /// `boot.order`
    pub order: Vec<String>,
    /// `disks`
    pub disks: Vec<Named<DiskSpec>>,
    /// `interfaces`
    pub interfaces: Vec<Named<InterfaceSpec>>,
    /// `graphics` with the address to listen on.
    pub graphics: Option<(&'static str, Given<IpAddr>)>,
    /// `serial`
    pub serial: Given<Serial>,
    /// `running`
    pub running: Given<bool>,
    /// `autostart`
    pub autostart: Given<bool>,
    /// `depends_on`
    pub depends_on: Vec<Spanned<Name>>,
    /// `lifecycle.prevent_destroy`
    pub prevent_destroy: Given<bool>,
    /// `shutdown_timeout`
    pub shutdown_timeout: Given<u64>,
    /// `on_change`
    pub on_change: Given<OnChange>,
    /// `system`
    pub system: SystemSpec,
    /// `install`
    pub install: Option<InstallSpec>,
    /// `cloud_init`
    pub cloud_init: Option<SeedSpec>,
    /// `files`
    pub files: Vec<Named<FileSpec>>,
    /// `templates`
    pub templates: Vec<Named<TemplateSpec>>,
    /// `vars`
    pub vars: serde_json::Map<String, serde_json::Value>,
    /// `xml`
    pub xml: Given<BlockText>,
}

/// A disk as written.
#[derive(Debug, Clone, Default)]
pub struct DiskSpec {
    /// `pool`
    pub pool: Given<Name>,
    /// `image`
    pub image: Given<Name>,
    /// `size`
    pub size: Given<u64>,
    /// `format`
    pub format: Given<VolumeFormat>,
    /// `allocation`
    pub allocation: Given<Allocation>,
    /// `volume`
    pub volume: Given<String>,
    /// `path`
    pub path: Given<String>,
    /// `device`
    pub device: Given<DiskDevice>,
    /// `bus`
    pub bus: Given<&'static str>,
    /// `cache`
    pub cache: Given<&'static str>,
    /// `shareable`
    pub shareable: Given<bool>,
    /// `readonly`
    pub readonly: Given<bool>,
    /// `keep`
    pub keep: Given<bool>,
    /// `dev`
    pub dev: Given<String>,
    /// `lifecycle.prevent_destroy`
    pub prevent_destroy: Given<bool>,
    /// `xml`
    pub xml: Given<BlockText>,
}

/// A NIC as written.
#[derive(Debug, Clone, Default)]
pub struct InterfaceSpec {
    /// `network`
    pub network: Given<Name>,
    /// `bridge`
    pub bridge: Given<String>,
    /// `user`
    pub user: Given<bool>,
    /// `model`
    pub model: Given<String>,
    /// `mac`
    pub mac: Given<String>,
    /// `ip`
    pub ips: Vec<Spanned<IpAddr>>,
    /// `hostname`
    pub hostname: Given<String>,
    /// `dns`
    pub dns: Given<bool>,
    /// `mtu`
    pub mtu: Given<u32>,
    /// `link`
    pub link: Given<Link>,
    /// `bandwidth.inbound`
    pub inbound: Given<RateSpec>,
    /// `bandwidth.outbound`
    pub outbound: Given<RateSpec>,
}

/// How fast a NIC may be in one direction, as written: bytes a second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateSpec {
    /// `average`
    pub average: Spanned<u64>,
    /// `peak`
    pub peak: Given<u64>,
    /// `burst`
    pub burst: Given<u64>,
}

const CPU_MODES: [(&str, &str); 4] = [
    ("host-passthrough", "host-passthrough"),
    ("host-model", "host-model"),
    ("maximum", "maximum"),
    ("custom", "custom"),
];

const BUSES: [(&str, &str); 5] = [
    ("virtio", "virtio"),
    ("scsi", "scsi"),
    ("sata", "sata"),
    ("ide", "ide"),
    ("usb", "usb"),
];

const ALLOCATIONS: [(&str, Allocation); 2] =
    [("sparse", Allocation::Sparse), ("full", Allocation::Full)];

/// QEMU's cache modes. <https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms>
const CACHES: [(&str, &str); 6] = [
    ("default", "default"),
    ("none", "none"),
    ("writethrough", "writethrough"),
    ("writeback", "writeback"),
    ("directsync", "directsync"),
    ("unsafe", "unsafe"),
];

/// Decodes the guests over their groups and `common`. These are decoded by themselves too, so that
/// a problem is found in what no guest uses or every guest overrides.
pub fn guests(
    d: &mut Decoder<'_>,
    common: Option<&Node>,
    groups: Option<&Node>,
    guests: Option<&Node>,
) -> Vec<Named<GuestSpec>> {
    if let Some(node) = common {
        guest(d, node, Layer::Shared);
    }
    let mut group_nodes: BTreeMap<String, &Node> = BTreeMap::new();
    if let Some(node) = groups {
        for (key, node) in d.entries(node, "a map of groups") {
            d.key(key);
            guest(d, node, Layer::Shared);
            group_nodes.insert(key.text.clone(), node);
        }
    }
    let Some(node) = guests else {
        return Vec::new();
    };
    named(d, node, "a map of guests", |d, own, _| {
        let groups = own.get("group").filter(|node| !node.is_null());
        let groups = groups.map(|node| d.one_or_list(node, Decoder::name));
        let mut merged = Node {
            value: Value::Mapping(Entries::new()),
            span: own.span,
        };
        if let Some(common) = common.filter(|node| is_map(node)) {
            merged.overlay(shared(common));
        }
        for group in groups.iter().flatten() {
            match group_nodes.get(group.value.as_str()) {
                Some(node) if is_map(node) => merged.overlay(shared(node)),
                Some(_) => {}
                None => {
                    let mut problem =
                        Diagnostic::error(format!("there is no group `{}`", group.value))
                            .at(group.span);
                    let known = group_nodes.keys().map(String::as_str);
                    let all = "all are under `groups`";
                    problem.hint = did_you_mean_of(group.value.as_str(), known, all)
                        .or(Some("define it under `groups`".into()));
                    d.report(problem);
                }
            }
        }
        merged.overlay(own.clone());
        guest(d, &merged, Layer::Guest)
    })
}

/// What a guest cannot take from its group or from `common`.
const OWN_KEYS: [&str; 4] = ["name", "group", "hostname", "fqdn"];

/// A shared layer as far as a guest can take it.
fn shared(node: &Node) -> Node {
    let mut node = node.clone();
    if let Value::Mapping(entries) = &mut node.value {
        entries.retain(|key, _| !OWN_KEYS.contains(&key.text.as_str()));
    }
    node
}

fn is_map(node: &Node) -> bool {
    matches!(node.value, Value::Mapping(_))
}

/// Whose settings are decoded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layer {
    /// `common` or a group.
    Shared,
    /// A guest.
    Guest,
}

fn guest(d: &mut Decoder<'_>, node: &Node, layer: Layer) -> Option<GuestSpec> {
    let what = match layer {
        Layer::Shared => "settings for guests",
        Layer::Guest => "the settings of a guest",
    };
    let mut fields = d.fields(node, what)?;
    let mut spec = GuestSpec::default();
    if layer == Layer::Guest {
        spec.name = fields.take("name").and_then(|n| d.text(n));
        if let Some(node) = fields.take("group") {
            spec.groups = d.one_or_list(node, Decoder::name);
        }
        spec.hostname = fields.take("hostname").and_then(|n| d.text(n));
        spec.fqdn = fields.take("fqdn").and_then(|n| d.text(n));
    }
    spec.title = fields.take("title").and_then(|n| d.text(n));
    spec.description = fields.take("description").and_then(|n| d.text(n));
    let types = [("kvm", DomainType::Kvm), ("qemu", DomainType::Qemu)];
    spec.domain_type = fields.take("type").and_then(|n| d.choice(n, &types));
    spec.arch = fields.take("arch").and_then(|n| d.text(n));
    spec.machine = fields.take("machine").and_then(|n| d.text(n));
    if let Some(node) = fields.take("cpu") {
        cpu(d, node, &mut spec);
    }
    spec.vcpus = fields.take("vcpus").and_then(|n| d.integer(n, 1, 4096));
    spec.memory = fields.take("memory").and_then(|n| memory(d, n));
    spec.max_vcpus = fields.take("max_vcpus").and_then(|n| d.integer(n, 1, 4096));
    spec.max_memory = fields.take("max_memory").and_then(|n| memory(d, n));
    let firmwares = [("bios", Firmware::Bios), ("uefi", Firmware::Uefi)];
    spec.firmware = fields
        .take("firmware")
        .and_then(|n| d.choice(n, &firmwares));
    if let Some(node) = fields.take("boot") {
        boot(d, node, &mut spec);
    }
    if let Some(node) = fields.take("disks") {
        spec.disks = named(d, node, "a map of disks", disk);
    }
    if let Some(node) = fields.take("interfaces") {
        spec.interfaces = named(d, node, "a map of NICs", interface);
    }
    spec.graphics = fields.take("graphics").and_then(|n| graphics(d, n));
    spec.serial = fields.take("serial").and_then(|n| serial(d, n));
    spec.running = fields.take("running").and_then(|n| d.boolean(n));
    spec.autostart = fields.take("autostart").and_then(|n| d.boolean(n));
    if let Some(node) = fields.take("depends_on") {
        spec.depends_on = d.one_or_list(node, Decoder::name);
    }
    spec.prevent_destroy = fields.take("lifecycle").and_then(|n| lifecycle(d, n));
    spec.shutdown_timeout = fields.take("shutdown_timeout").and_then(|n| d.duration(n));
    let on_change = [("restart", OnChange::Restart), ("defer", OnChange::Defer)];
    spec.on_change = fields
        .take("on_change")
        .and_then(|n| d.choice(n, &on_change));
    if let Some(node) = fields.take("system") {
        spec.system = system::system(d, node).unwrap_or_default();
    }
    spec.install = fields.take("install").and_then(|n| install::install(d, n));
    spec.cloud_init = fields.take("cloud_init").and_then(|n| install::seed(d, n));
    if let Some(node) = fields.take("files") {
        spec.files = named(d, node, "a map of files", install::file);
    }
    if let Some(node) = fields.take("templates") {
        spec.templates = named(d, node, "a map of templates", install::template);
    }
    if let Some(node) = fields.take("vars") {
        match load::free_form(node) {
            serde_json::Value::Object(vars) => spec.vars = vars,
            _ => {
                d.entries(node, "a map of variables");
            }
        }
    }
    spec.xml = fields.take("xml").and_then(|n| block_text(d, n));
    match layer {
        Layer::Shared => refuse_own_keys(d, node, &mut fields),
        Layer::Guest => {}
    }
    fields.finish(d, "a guest");
    Some(spec)
}

/// Says of what is a guest's own that it cannot be shared.
fn refuse_own_keys(
    d: &mut Decoder<'_>,
    node: &Node,
    fields: &mut super::super::decode::Fields<'_>,
) {
    let Value::Mapping(entries) = &node.value else {
        return;
    };
    for own in OWN_KEYS {
        fields.take(own);
        if let Some((Key { span, .. }, _)) = entries.get_key_value(own) {
            d.report(
                Diagnostic::error(format!("`{own}` is a guest's own and cannot be shared"))
                    .at(*span)
                    .hint("give it to the guest"),
            );
        }
    }
}

fn memory(d: &mut Decoder<'_>, node: &Node) -> Given<u64> {
    const LEAST: u64 = 16 << 20;
    let size = d.size(node)?;
    let problem = if size.value < LEAST {
        "a guest needs at least 16 MiB of memory"
    } else if size.value % (1 << 20) != 0 {
        "memory is given in whole MiB"
    } else {
        return Some(size);
    };
    d.report(
        Diagnostic::error(problem)
            .at(size.span)
            .hint("write it in MiB or GiB: `512MiB`, `2GiB`"),
    );
    None
}

fn cpu(d: &mut Decoder<'_>, node: &Node, spec: &mut GuestSpec) {
    if let Value::Scalar(..) = node.value {
        spec.cpu_mode = d.choice(node, &CPU_MODES);
        return;
    }
    let Some(mut fields) = d.fields(node, "a mode, or `{mode: …, model: …}`") else {
        return;
    };
    spec.cpu_mode = fields.take("mode").and_then(|n| d.choice(n, &CPU_MODES));
    spec.cpu_model = fields.take("model").and_then(|n| d.text(n));
    fields.finish(d, "`cpu`");
}

fn boot(d: &mut Decoder<'_>, node: &Node, spec: &mut GuestSpec) {
    let Some(mut fields) = d.fields(node, "`{kernel: …}` or `{order: […]}`") else {
        return;
    };
    spec.kernel = fields.take("kernel").and_then(|n| d.text(n));
    spec.initrd = fields.take("initrd").and_then(|n| d.text(n));
    spec.cmdline = fields.take("cmdline").and_then(|n| d.text(n));
    if let Some(node) = fields.take("order") {
        let devices = [
            ("hd", "hd"),
            ("cdrom", "cdrom"),
            ("network", "network"),
            ("fd", "fd"),
        ];
        let order = d.one_or_list(node, |d, item| d.choice(item, &devices));
        spec.order = order
            .into_iter()
            .map(|item| item.value.to_owned())
            .collect();
    }
    fields.finish(d, "`boot`");
}

fn disk(d: &mut Decoder<'_>, node: &Node, _: Span) -> Option<DiskSpec> {
    let mut fields = d.fields(node, "the settings of a disk")?;
    let devices = [("disk", DiskDevice::Disk), ("cdrom", DiskDevice::Cdrom)];
    let spec = DiskSpec {
        pool: fields.take("pool").and_then(|n| d.name(n)),
        image: fields.take("image").and_then(|n| d.name(n)),
        size: fields.take("size").and_then(|n| disk_size(d, n)),
        format: fields.take("format").and_then(|n| d.choice(n, &FORMATS)),
        allocation: fields
            .take("allocation")
            .and_then(|n| d.choice(n, &ALLOCATIONS)),
        volume: fields.take("volume").and_then(|n| d.text(n)),
        path: fields.take("path").and_then(|n| d.text(n)),
        device: fields.take("device").and_then(|n| d.choice(n, &devices)),
        bus: fields.take("bus").and_then(|n| d.choice(n, &BUSES)),
        cache: fields.take("cache").and_then(|n| d.choice(n, &CACHES)),
        shareable: fields.take("shareable").and_then(|n| d.boolean(n)),
        readonly: fields.take("readonly").and_then(|n| d.boolean(n)),
        keep: fields.take("keep").and_then(|n| d.boolean(n)),
        dev: fields.take("dev").and_then(|n| d.text(n)),
        prevent_destroy: fields.take("lifecycle").and_then(|n| lifecycle(d, n)),
        xml: fields.take("xml").and_then(|n| block_text(d, n)),
    };
    fields.finish(d, "a disk");
    Some(spec)
}

/// A disk is a whole number of sectors: `qemu-img` would round, and the plan would never be empty.
fn disk_size(d: &mut Decoder<'_>, node: &Node) -> Given<u64> {
    let size = d.size(node)?;
    if size.value != 0 && size.value % 512 == 0 {
        return Some(size);
    }
    d.report(
        Diagnostic::error("a disk is a whole number of 512-byte sectors, at least one")
            .at(size.span)
            .hint("write it in MiB or GiB"),
    );
    None
}

fn interface(d: &mut Decoder<'_>, node: &Node, _: Span) -> Option<InterfaceSpec> {
    let mut fields = d.fields(node, "the settings of a NIC")?;
    let links = [("up", Link::Up), ("down", Link::Down)];
    let (inbound, outbound) = match fields.take("bandwidth") {
        Some(node) => bandwidth(d, node),
        None => (None, None),
    };
    let spec = InterfaceSpec {
        inbound,
        outbound,
        network: fields.take("network").and_then(|n| d.name(n)),
        bridge: fields.take("bridge").and_then(|n| d.text(n)),
        user: fields
            .take("user")
            .and_then(|n| d.boolean(n))
            .filter(|u| u.value),
        model: fields.take("model").and_then(|n| d.text(n)),
        mac: fields.take("mac").and_then(|n| d.text(n)),
        ips: match fields.take("ip") {
            Some(node) => d.one_or_list(node, Decoder::ip),
            None => Vec::new(),
        },
        hostname: fields.take("hostname").and_then(|n| d.text(n)),
        dns: fields.take("dns").and_then(|n| d.boolean(n)),
        mtu: fields.take("mtu").and_then(|n| mtu(d, n)),
        link: fields.take("link").and_then(|n| d.choice(n, &links)),
    };
    fields.finish(d, "a NIC");
    Some(spec)
}

/// `{inbound: 10MB, outbound: {average: 5MB, peak: 10MB, burst: 1MB}}`
fn bandwidth(d: &mut Decoder<'_>, node: &Node) -> (Given<RateSpec>, Given<RateSpec>) {
    let Some(mut fields) = d.fields(node, "`{inbound: …, outbound: …}`") else {
        return (None, None);
    };
    let given = ["inbound", "outbound"].map(|key| fields.take(key));
    if given.iter().all(Option::is_none) {
        d.report(
            Diagnostic::error("`bandwidth` limits nothing")
                .at(node.span)
                .hint("write `inbound: 10MB`, `outbound: 10MB` or both: bytes a second"),
        );
    }
    let [inbound, outbound] = given.map(|node| node.and_then(|node| rate(d, node)));
    fields.finish(d, "`bandwidth`");
    (inbound, outbound)
}

fn rate(d: &mut Decoder<'_>, node: &Node) -> Given<RateSpec> {
    let spec = if let Value::Scalar(..) = node.value {
        RateSpec {
            average: bytes_per_second(d, node)?,
            peak: None,
            burst: None,
        }
    } else {
        let mut fields = d.fields(
            node,
            "a rate such as `10MB`, or `{average: …, peak: …, burst: …}`",
        )?;
        let average = fields.take("average");
        let mut given = |key| fields.take(key).and_then(|n| bytes_per_second(d, n));
        let (peak, burst) = (given("peak"), given("burst"));
        fields.finish(d, "a rate");
        let Some(average) = average else {
            d.report(
                Diagnostic::error("a rate needs `average`")
                    .at(node.span)
                    .hint("`peak` and `burst` say how far it may be exceeded for a moment"),
            );
            return None;
        };
        RateSpec {
            average: bytes_per_second(d, average)?,
            peak,
            burst,
        }
    };
    Some(Spanned {
        value: spec,
        span: node.span,
    })
}

/// libvirt counts in kilobytes, in 32 bits where it hands them on to the kernel.
fn bytes_per_second(d: &mut Decoder<'_>, node: &Node) -> Given<u64> {
    let size = d.size(node)?;
    if (1000..=u64::from(u32::MAX) * 1000).contains(&size.value) {
        return Some(size);
    }
    d.report(
        Diagnostic::error("a rate is 1 kB to 4 TB")
            .at(size.span)
            .hint("write it in KB, MB or GB: `500KB`, `10MB`"),
    );
    None
}

fn graphics(d: &mut Decoder<'_>, node: &Node) -> Option<(&'static str, Given<IpAddr>)> {
    let kinds = [
        ("vnc", Some("vnc")),
        ("spice", Some("spice")),
        ("none", None),
    ];
    if let Value::Scalar(..) = node.value {
        return d.choice(node, &kinds)?.value.map(|kind| (kind, None));
    }
    let mut fields = d.fields(node, "`vnc`, `spice`, `none` or `{type: …, listen: …}`")?;
    let kind = fields.take("type");
    if kind.is_none() {
        d.report(
            Diagnostic::error("`graphics` needs `type`")
                .at(node.span)
                .hint("write `type: vnc` or `type: spice`"),
        );
    }
    let kind = kind.and_then(|n| d.choice(n, &kinds)).and_then(|k| k.value);
    let listen = fields.take("listen").and_then(|n| d.ip(n));
    fields.finish(d, "`graphics`");
    kind.map(|kind| (kind, listen))
}

fn serial(d: &mut Decoder<'_>, node: &Node) -> Given<Serial> {
    if let Value::Scalar(..) = node.value {
        let kind = d.choice(node, &[("pty", ())])?;
        return Some(Spanned {
            value: Serial::Pty,
            span: kind.span,
        });
    }
    let mut fields = d.fields(node, "`pty` or `{file: PATH}`")?;
    let file = fields.take("file").and_then(|n| d.text(n));
    fields.finish(d, "`serial`");
    file.map(|file| Spanned {
        span: file.span,
        value: Serial::File { path: file.value },
    })
}
