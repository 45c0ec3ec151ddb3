//! The processor and memory of a guest as written: what they are like, where on the host they are, and how much they may have of it.

use crate::diagnostic::{Diagnostic, Span};
use crate::lab::attributes::{
    Keys as _, Kind, Optional, Size, Text, Type, Whole, Word, Words as _, at, kinds, object,
    text_of, words,
};
use crate::lab::decode::{Decoder, Given, Spanned};
use crate::lab::yaml::{Node, Value};
use crate::number_set::NumberSet;

words! {
    /// How the processor of a guest is chosen.
    CpuModes: &'static str = ["host-passthrough", "host-model", "maximum", "custom"];
    /// What becomes of a feature of the processor.
    Policies: &'static str = ["force", "require", "optional", "disable", "forbid"];
    /// How memory is spread over nodes of the host.
    MemoryModes: &'static str = ["strict", "preferred", "interleave"];
}

kinds! {
    /// Some processors.
    Processors: NumberSet = NUMBERS, processors;
    /// Some nodes of the host.
    Nodes: NumberSet = NUMBERS, nodes;
    /// Huge pages: whether memory is on them, or of which size they are.
    Hugepages: HugepagesSpec = Type::OneOf(&[Type::Boolean, Type::Size]), hugepages;
    /// The microseconds that a guest may compute in each [`PERIOD`].
    CpuLimit: u64 = Type::Text, cpu_limit;
}

/// Numbers and ranges.
const NUMBERS: Type = Type::OneOrList(&Type::Text);

object! {
    /// `cpu` as written.
    CpuSpec: "`cpu`" / "processors", "a mode, or `{mode: …, model: …}`", scalar mode(Word<CpuModes>) {
        /// How it is chosen.
        mode: Word<CpuModes> [xml: [at("domain/cpu@mode")]],
        /// libvirt's name of a model, for mode custom.
        model: Text [xml: [at("domain/cpu/model")]],
        /// How the guest sees its `max_vcpus` processors. One of `sockets`, `cores` and `threads` that is left out follows.
        topology: Optional<TopologySpec> [xml: [
            at("domain/cpu/topology").put_back().says("sockets={@sockets} cores={@cores} threads={@threads}"),
        ]],
        /// Features, by libvirt's names: `true` and `false`, or a policy of libvirt's. A list is of those that it has.
        features: Features [default: "those of mode and model", xml: [
            at("domain/cpu/feature").put_back().says("{@policy}"),
            at("domain/cpu/feature@policy"),
        ]],
    }
}

object! {
    /// `topology` of a processor as written.
    TopologySpec: "`topology`" / "topologies", "`{sockets: …, cores: …, threads: …}`", after place_of_topology {
        /// How many processors are on the board.
        sockets: Whole<u32, 1, 4096> [default: "what `max_vcpus` leaves", xml: [at("domain/cpu/topology@sockets")]],
        /// How many dies each socket has; x86 only.
        dies: Whole<u32, 1, 4096> [default: "`1`", xml: [at("domain/cpu/topology@dies")]],
        /// How many cores each die has.
        cores: Whole<u32, 1, 4096> [default: "`1`; with `sockets`, what `max_vcpus` leaves", xml: [at("domain/cpu/topology@cores")]],
        /// How many threads each core has.
        threads: Whole<u32, 1, 4096> [default: "`1`; with `sockets` and `cores`, what `max_vcpus` leaves", xml: [
            at("domain/cpu/topology@threads"),
        ]],
    } with {
        /// Where it is given.
        span: Option<Span>,
    }
}

fn place_of_topology(spec: &mut TopologySpec, _: &mut Decoder<'_>, node: &Node, _: Span) {
    spec.span = Some(node.span);
}

/// Features of a processor, each with libvirt's policy.
#[derive(Debug)]
pub struct Features;

impl Kind for Features {
    type Field = Vec<(Spanned<String>, &'static str)>;
    const TYPE: Type = Type::OneOf(&[
        Type::List(&Type::Text),
        Type::Map(&Type::OneOf(&[Type::Boolean, Type::Word(Policies::words)])),
    ]);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        if let Value::Sequence(names) = &node.value {
            let names = names.iter().filter_map(|name| d.text(name));
            return names.map(|name| (name, "require")).collect();
        }
        let what = "a map of features, `{vmx: false}`, or a list of them";
        let entries = d.entries(node, what).into_iter();
        let read = entries.filter_map(|(key, node)| Some((text_of(key), policy(d, node)?)));
        read.collect()
    }
}

fn policy(d: &mut Decoder<'_>, node: &Node) -> Option<&'static str> {
    match node.switch() {
        Some(true) => Some("require"),
        Some(false) => Some("disable"),
        None => Some(Word::<Policies>::decode(d, node)?.value),
    }
}

/// Huge pages as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HugepagesSpec {
    /// None.
    Off,
    /// Those that are usual on the host.
    Usual,
    /// Those of so many bytes.
    Of(u64),
}

fn hugepages(d: &mut Decoder<'_>, node: &Node) -> Given<HugepagesSpec> {
    let span = node.span;
    let value = match node.switch() {
        Some(true) => HugepagesSpec::Usual,
        Some(false) => HugepagesSpec::Off,
        None => HugepagesSpec::Of(d.size(node)?.value),
    };
    Some(Spanned { value, span })
}

object! {
    /// A NUMA node of a guest as written.
    CellSpec: "a NUMA node" / "NUMA nodes", "`{vcpus: 0-1, memory: 1GiB}`" {
        /// Its processors: `0-3`, or a list. Every one of the guest's is in one node.
        vcpus: Processors [default: "none", xml: [at("domain/cpu/numa/cell@cpus").named("numa.*.vcpus")]],
        /// Its memory, in whole MiB: all of them together have the guest's.
        memory: Size [needed: "write `memory: 1GiB`, its part of the guest's", xml: [
            at("domain/cpu/numa/cell@memory").named("numa.*.memory"),
        ]],
        /// The node of the host that its memory is on, or several.
        node: Nodes [xml: [
            at("domain/numatune/memnode").named("numa.*.node").says("{@nodeset}"),
            at("domain/numatune/memnode@nodeset").named("numa.*.node"),
        ]],
        /// `strict`: nowhere else; `preferred`: there, if there is room; `interleave`: spread over several.
        mode: Word<MemoryModes> [default: "`strict` for a `node`", xml: [at("domain/numatune/memnode@mode").named("numa.*.mode")]],
    }
}

/// A list of NUMA nodes.
#[derive(Debug)]
pub struct Numa;

impl Kind for Numa {
    type Field = Given<Vec<CellSpec>>;
    const TYPE: Type = Type::List(&CellSpec::TYPE);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        let items = d.list(node, "a list of NUMA nodes").iter();
        let cells = items.filter_map(|item| CellSpec::decode(d, item, item.span));
        Some(Spanned {
            value: cells.collect(),
            span: node.span,
        })
    }
}

object! {
    /// `pin` as written.
    PinSpec: "`pin`" / "pins", "processors of the host for all of its own, or `{vcpus: …, emulator: …}`", scalar vcpus(PinsOfAll) {
        /// Those that its processors run on: for all of them, a list in their order, or a map by their numbers.
        vcpus: Pins [xml: [
            at("domain/cputune/vcpupin").put_back().says("{@cpuset}"),
            at("domain/cputune/vcpupin@cpuset"),
        ]],
        /// Those that QEMU itself runs on.
        emulator: Processors [xml: [
            at("domain/cputune/emulatorpin").put_back().says("{@cpuset}"),
            at("domain/cputune/emulatorpin@cpuset"),
        ]],
        /// Those that its I/O threads run on, as with `vcpus`; they are numbered from 1.
        iothreads: Pins [xml: [
            at("domain/cputune/iothreadpin").put_back().says("{@cpuset}"),
            at("domain/cputune/iothreadpin@cpuset"),
        ]],
        /// The nodes of the host that its memory is on.
        memory: Nodes [xml: [
            at("domain/numatune/memory").put_back().says("{@nodeset}"),
            at("domain/numatune/memory@nodeset"),
        ]],
        /// `strict`: nowhere else; `preferred`: there, if there is room; `interleave`: spread over several.
        memory_mode: Word<MemoryModes> [default: "`strict` for `memory`", xml: [at("domain/numatune/memory@mode")]],
    }
}

/// Which processors of the host something runs on.
#[derive(Debug, Clone, Default)]
pub enum PinsSpec {
    /// All alike, anywhere.
    #[default]
    None,
    /// All alike.
    All(Spanned<NumberSet>),
    /// One after the other.
    InOrder(Vec<Spanned<NumberSet>>),
    /// Each by its number.
    Each(Vec<(Spanned<u32>, NumberSet)>),
}

/// Processors of the host for all of a guest's own.
#[derive(Debug)]
pub struct PinsOfAll;

impl Kind for PinsOfAll {
    type Field = PinsSpec;
    const TYPE: Type = Type::Text;

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        Pins::decode(d, node)
    }
}

/// Which processors of the host something runs on.
#[derive(Debug)]
pub struct Pins;

impl Kind for Pins {
    type Field = PinsSpec;
    const TYPE: Type = Type::OneOf(&[
        Type::OneOrList(&Type::Text),
        Type::Map(&Type::OneOrList(&Type::Text)),
    ]);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        match &node.value {
            Value::Scalar(..) => match processors(d, node) {
                Some(set) => PinsSpec::All(set),
                None => PinsSpec::None,
            },
            Value::Sequence(items) => {
                PinsSpec::InOrder(items.iter().filter_map(|it| processors(d, it)).collect())
            }
            Value::Mapping(_) => {
                let entries = d.entries(node, "a map of processors").into_iter();
                let read = entries.filter_map(|(key, node)| {
                    let set = processors(d, node)?.value;
                    let span = key.span;
                    let Ok(value) = key.text.parse() else {
                        d.report(
                            Diagnostic::error(format!("`{}` is not a number", key.text))
                                .at(span)
                                .hint("write a number for each, `{0: 2, 1: 3-4}`; or a list, in their order"),
                        );
                        return None;
                    };
                    Some((Spanned { value, span }, set))
                });
                PinsSpec::Each(read.collect())
            }
        }
    }
}

object! {
    /// `tuning` as written.
    TuningSpec: "`tuning`" / "tunings", "`{cpu_limit: …, io_weight: …}`" {
        /// How much it gets of busy processors, compared with other guests, which have 1024; on hosts with cgroups v2, where they have
        /// 100, at most 10000.
        cpu_shares: Whole<u32, 2, 262_144> [xml: [at("domain/cputune/shares").put_back()]],
        /// How much it may compute, QEMU itself included: `1.5` or `150%` is one processor and a half.
        cpu_limit: CpuLimit [xml: [at("domain/cputune/global_quota").put_back()], follows: ["domain/cputune/global_period"]],
        /// How much it gets of busy disks, compared with other guests.
        io_weight: Whole<u32, 100, 1000> [xml: [at("domain/blkiotune/weight").put_back()]],
        /// How much memory it may have of the host, QEMU's own included; beyond that it is killed or swapped out.
        memory_limit: Size [xml: [at("domain/memtune/hard_limit").put_back()]],
        /// How much memory it may keep where the host has too little.
        memory_soft_limit: Size [xml: [at("domain/memtune/soft_limit").put_back()]],
        /// How much memory and swap it may have together; at least `memory_limit`.
        swap_limit: Size [xml: [at("domain/memtune/swap_hard_limit").put_back()]],
    }
}

/// How many processors and nodes libvirt has a set for (`VIR_DOMAIN_CPUMASK_LEN`).
const PROCESSORS: u32 = 16384;

fn processors(d: &mut Decoder<'_>, node: &Node) -> Given<NumberSet> {
    numbers(d, node, "processors")
}

fn nodes(d: &mut Decoder<'_>, node: &Node) -> Given<NumberSet> {
    numbers(d, node, "nodes")
}

fn numbers(d: &mut Decoder<'_>, node: &Node, what: &str) -> Given<NumberSet> {
    let before = d.count();
    let parts = d.one_or_list(node, Decoder::text);
    if d.count() > before {
        return None;
    }
    let parts: Vec<&str> = parts.iter().map(|part| part.value.as_str()).collect();
    let text = parts.join(",");
    let set = NumberSet::parse(&text);
    let last = set.as_ref().and_then(|set| set.iter().last());
    if let (Some(value), Some(_)) = (set, last.filter(|last| *last < PROCESSORS)) {
        let span = node.span;
        return Some(Spanned { value, span });
    }
    d.report(
        Diagnostic::error(format!("`{text}` is not a set of {what}"))
            .at(node.span)
            .hint("write numbers and ranges: `0`, `0-3`, `0-3,^2`"),
    );
    None
}

/// The microseconds in which libvirt counts what a guest may compute, where nobody says otherwise.
pub const PERIOD: u64 = 100_000;

/// The least that the kernel takes.
const LEAST: u64 = 1_000;

fn cpu_limit(d: &mut Decoder<'_>, node: &Node) -> Given<u64> {
    let text = d.text(node)?;
    let limit = match text.value.trim().strip_suffix('%') {
        Some(percent) => times(percent.trim(), PERIOD / 100),
        None => times(text.value.trim(), PERIOD),
    };
    let most = u64::from(PROCESSORS) * PERIOD;
    if let Some(value) = limit.filter(|limit| (LEAST..=most).contains(limit)) {
        let span = text.span;
        return Some(Spanned { value, span });
    }
    d.report(
        Diagnostic::error(format!("`{}` is no share of processors", text.value))
            .at(text.span)
            .hint("write `1.5` or `150%` for one and a half; the least is `1%`"),
    );
    None
}

/// A decimal number times another, where that is whole.
fn times(text: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let scale = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let parts = fraction.parse::<u64>().ok()?.checked_mul(factor)?;
    let whole = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    (parts % scale == 0).then(|| whole.checked_add(parts / scale))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_or_none() {
        for (text, factor, product) in [
            ("1", 100_000, Some(100_000)),
            ("1.5", 100_000, Some(150_000)),
            ("0.333", 100_000, Some(33_300)),
            ("150", 1_000, Some(150_000)),
            ("12.5", 1_000, Some(12_500)),
            ("0.0000001", 1_000, None),
            ("-1", 1_000, None),
            (".5", 1_000, None),
            ("1.", 1_000, None),
            ("", 1_000, None),
            ("99999999999999999999", 1_000, None),
        ] {
            assert_eq!(times(text, factor), product, "{text}");
        }
    }
}
