//! The processor and memory of a guest, and what it may have of the host's.

use std::collections::BTreeMap;

use super::machine::is_x86;
use super::{Resolver, value, value_or};
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::decode::{Given, Spanned};
use crate::lab::model::processor::{
    Cell, Cpu, Feature, Hugepages, MemoryPin, Pin, Pinned, Topology, Tuning,
};
use crate::lab::written::guest::GuestSpec;
use crate::lab::written::processor::{
    CellSpec, CpuSpec, HugepagesSpec, PinSpec, PinsSpec, TopologySpec, TuningSpec,
};
use crate::number_set::NumberSet;
use crate::units;

const MIB: u64 = 1 << 20;

/// What a guest can have at most, and where that is said. What could not be read is unknown.
#[derive(Clone, Copy)]
pub(super) struct Most {
    vcpus: Option<u32>,
    memory: Option<u64>,
    vcpus_given: Option<Span>,
    memory_given: Option<Span>,
}

impl Most {
    /// `vcpus` and `memory` are what comes out of the definition, if all of it could be read.
    pub(super) fn of(spec: &GuestSpec, is_read: bool, vcpus: u32, memory: u64) -> Self {
        fn place<T>(most: &Given<T>, now: &Given<T>) -> Option<Span> {
            most.as_ref().or(now.as_ref()).map(|given| given.span)
        }
        Self {
            vcpus: is_read.then_some(vcpus),
            memory: is_read.then_some(memory),
            vcpus_given: place(&spec.max_vcpus, &spec.vcpus),
            memory_given: place(&spec.max_memory, &spec.memory),
        }
    }
}

impl Resolver<'_> {
    /// The processor.
    pub(super) fn cpu(&mut self, spec: &GuestSpec, most: Most) -> Cpu {
        let CpuSpec {
            mode,
            model,
            topology,
            features,
        } = &spec.cpu;
        if let Some(model) = model
            && let Some(mode) = mode.as_ref().filter(|mode| mode.value != "custom")
        {
            self.report(
                Diagnostic::error(format!("a CPU of mode `{}` has no model", mode.value))
                    .at(model.span)
                    .related(Some(mode.span), "the mode")
                    .hint("write `mode: custom`, or remove `model`"),
            );
        }
        if let Some(mode) = mode
            .as_ref()
            .filter(|mode| mode.value == "custom" && model.is_none())
        {
            self.report(
                Diagnostic::error("a CPU of mode `custom` needs `model`")
                    .at(mode.span)
                    .hint("`virsh cpu-models x86_64` lists the models"),
            );
        }
        // A model alone says that the mode is custom.
        let implied = model.is_some().then(|| "custom".to_owned());
        Cpu {
            mode: mode.as_ref().map(|mode| mode.value.to_owned()).or(implied),
            model: value(model),
            topology: topology.as_ref().and_then(|topology| {
                self.check_topology_of_arch(spec, topology);
                self.topology(topology, most)
            }),
            features: self.cpu_features(features),
        }
    }

    /// A topology with what is left out.
    fn topology(&mut self, spec: &TopologySpec, most: Most) -> Option<Topology> {
        let vcpus = most.vcpus?;
        let given = [&spec.sockets, &spec.dies, &spec.cores, &spec.threads];
        let mut counts = given.map(|count| value_or(count, 1));
        let product = |counts: [u32; 4]| counts.iter().map(|count| u64::from(*count)).product();
        let said: u64 = product(counts);
        let left_out = [(0, &spec.sockets), (2, &spec.cores), (3, &spec.threads)];
        let left_out = left_out.iter().find(|(_, count)| count.is_none());
        if let Some((at, _)) = left_out
            && u64::from(vcpus) % said == 0
        {
            counts[*at] = u32::try_from(u64::from(vcpus) / said).ok()?;
        }
        if product(counts) != u64::from(vcpus) {
            let problem = match left_out {
                Some(_) => format!(
                    "the topology has a multiple of {said} processors, and the guest {vcpus}"
                ),
                None => format!("the topology has {said} processors, and the guest {vcpus}"),
            };
            self.report(
                Diagnostic::error(problem)
                    .at(spec.span)
                    .related(most.vcpus_given, "so many it has at most")
                    .hint("`sockets`, `dies`, `cores` and `threads` multiplied are `max_vcpus`, or `vcpus` where there is none; leave `sockets` out, and it follows"),
            );
        }
        let [sockets, dies, cores, threads] = counts;
        Some(Topology {
            sockets,
            dies,
            cores,
            threads,
        })
    }

    /// What machines of an architecture do not have QEMU refuses when it starts.
    fn check_topology_of_arch(&mut self, spec: &GuestSpec, topology: &TopologySpec) {
        let Some(arch) = &spec.arch else {
            return;
        };
        let lacks = [
            ("dies", &topology.dies, !is_x86(spec)),
            ("threads", &topology.threads, arch.value == "s390x"),
        ];
        for (key, count, is_lacking) in lacks {
            if let Some(count) = count.as_ref().filter(|it| is_lacking && it.value > 1) {
                self.report(
                    Diagnostic::error(format!("processors of {} have no `{key}`", arch.value))
                        .at(count.span)
                        .related(Some(arch.span), "the architecture")
                        .hint(format!("remove `{key}`")),
                );
            }
        }
    }

    fn cpu_features(&mut self, given: &[(Spanned<String>, &'static str)]) -> Vec<Feature> {
        let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        for (name, _) in given {
            if name.value.is_empty() || !name.value.chars().all(plain) {
                self.report(
                    Diagnostic::error(format!(
                        "`{}` is not a feature of processors",
                        name.value
                    ))
                    .at(name.span)
                    .hint("they are called as in libvirt: `vmx`, `svm`, `avx2`; `/usr/share/libvirt/cpu_map` has them all"),
                );
            }
            if let Some(first) = seen.insert(&name.value, name.span) {
                self.report(
                    Diagnostic::error(format!("the feature `{}` is given twice", name.value))
                        .at(name.span)
                        .related(Some(first), "first given here")
                        .hint("remove one"),
                );
            }
        }
        let features = given.iter().map(|(name, policy)| Feature {
            name: name.value.clone(),
            policy,
        });
        features.collect()
    }

    /// Huge pages, of which memory is a whole number.
    pub(super) fn hugepages(&mut self, spec: &GuestSpec, most: Most) -> Option<Hugepages> {
        let given = spec.hugepages.as_ref()?;
        let size = match given.value {
            HugepagesSpec::Off => return None,
            HugepagesSpec::Usual => None,
            HugepagesSpec::Of(size) if size.is_power_of_two() && size >= 64 << 10 => Some(size),
            HugepagesSpec::Of(size) => {
                self.report(
                    Diagnostic::error(format!("no huge page is of {}", units::size(size)))
                        .at(given.span)
                        .hint("write `2MiB` or `1GiB`; `virsh freepages --all` tells what the host has"),
                );
                return None;
            }
        };
        // The usual one is larger still on some hosts, and smaller on one architecture.
        let usual = match spec.arch.as_ref().map(|arch| arch.value.as_str()) {
            Some("s390x") => MIB,
            Some(_) | None => 2 * MIB,
        };
        let page = size.unwrap_or(usual);
        let is_whole = |memory: u64| memory.is_multiple_of(page);
        let problem = |what: &str, memory: u64| {
            Diagnostic::error(format!(
                "{what} is {}, which is no whole number of huge pages of {}",
                units::size(memory),
                units::size(page)
            ))
            .hint("give it some more, or less")
        };
        if let Some(memory) = most.memory.filter(|memory| !is_whole(*memory)) {
            let what = match spec.max_memory {
                Some(_) => "`max_memory`",
                None => "`memory`",
            };
            self.report(
                problem(what, memory)
                    .at(most.memory_given.or(Some(given.span)))
                    .related(Some(given.span), "the huge pages"),
            );
        }
        for cell in spec.numa.iter().flat_map(|numa| &numa.value) {
            if let Some(memory) = cell.memory.as_ref().filter(|it| !is_whole(it.value)) {
                self.report(
                    problem("the memory of this NUMA node", memory.value)
                        .at(memory.span)
                        .related(Some(given.span), "the huge pages"),
                );
            }
        }
        Some(Hugepages { size })
    }

    /// NUMA nodes, which together have all that the guest has.
    pub(super) fn numa(&mut self, spec: &GuestSpec, most: Most) -> Vec<Cell> {
        let Some(numa) = spec.numa.as_ref().filter(|numa| !numa.value.is_empty()) else {
            return Vec::new();
        };
        if let Some(arch) = spec.arch.as_ref().filter(|arch| arch.value == "s390x") {
            self.report(
                Diagnostic::error("machines of s390x have no NUMA nodes")
                    .at(numa.span)
                    .related(Some(arch.span), "the architecture")
                    .hint("remove `numa`"),
            );
        }
        let cells = &numa.value;
        for memory in cells.iter().filter_map(|cell| cell.memory.as_ref()) {
            if memory.value == 0 || memory.value % MIB != 0 {
                self.report(
                    Diagnostic::error("a NUMA node has memory in whole MiB, at least one")
                        .at(memory.span)
                        .hint("write it in MiB or GiB: `512MiB`, `2GiB`"),
                );
            }
        }
        if let Some(all) = most.memory {
            self.check_memory_of(numa, all, most.memory_given);
        }
        if let Some(all) = most.vcpus {
            self.check_vcpus_of(numa, all, most.vcpus_given);
        }
        let cells = cells.iter().map(|cell| Cell {
            vcpus: value(&cell.vcpus),
            memory: value_or(&cell.memory, 0),
            on: self.memory_pin(&cell.node, &cell.mode, ["node", "mode"]),
        });
        cells.collect()
    }

    /// libvirt would give the guest what its nodes have.
    fn check_memory_of(&mut self, numa: &Spanned<Vec<CellSpec>>, all: u64, given: Option<Span>) {
        let sizes = numa.value.iter().filter_map(|cell| cell.memory.as_ref());
        let sum = sizes.fold(0_u64, |sum, size| sum.saturating_add(size.value));
        if sum != all {
            let (sum, all) = units::apart(sum, all);
            self.report(
                Diagnostic::error(format!(
                    "the NUMA nodes have {sum} of memory together, and the guest has {all}"
                ))
                .at(numa.span)
                .related(given, "so much it has at most")
                .hint("share out `max_memory`, or `memory` where there is none, among them"),
            );
        }
    }

    /// QEMU puts processors that are nowhere somewhere, and will refuse that one day.
    fn check_vcpus_of(&mut self, numa: &Spanned<Vec<CellSpec>>, all: u32, given: Option<Span>) {
        let mut places: BTreeMap<u32, Span> = BTreeMap::new();
        for vcpus in numa.value.iter().filter_map(|cell| cell.vcpus.as_ref()) {
            let (mut twice, mut beyond) = (None, None);
            for id in vcpus.value.iter() {
                if id >= all {
                    beyond = beyond.or(Some(id));
                } else if let Some(first) = places.insert(id, vcpus.span) {
                    twice = twice.or(Some((id, first)));
                }
            }
            if let Some(id) = beyond {
                self.no_such("processor", id, (0, all), vcpus.span, given);
            }
            if let Some((id, first)) = twice {
                self.report(
                    Diagnostic::error(format!("the processor {id} is in two NUMA nodes"))
                        .at(vcpus.span)
                        .related(Some(first), "the other one")
                        .hint("each of the guest's processors is in one node: `0-1` in the first, `2-3` in the second"),
                );
            }
        }
        let missing: NumberSet = (0..all).filter(|id| !places.contains_key(id)).collect();
        let count = missing.iter().count();
        if count > 0 {
            let what = match count {
                1 => format!("the processor {missing} is in no NUMA node"),
                _ => format!("the processors {missing} are in no NUMA node"),
            };
            self.report(
                Diagnostic::error(what)
                    .at(numa.span)
                    .related(given, "so many it has at most")
                    .hint("add them to the `vcpus` of one"),
            );
        }
    }

    /// Says of a processor or I/O thread that the guest does not have it. `ids` are the first and the number of those it has.
    fn no_such(&mut self, what: &str, id: u32, ids: (u32, u32), at: Span, given: Option<Span>) {
        let (first, count) = ids;
        let hint = match count {
            0 => "the guest has none: write `iothreads: 1`, or another number".to_owned(),
            1 => format!("it has one, and that is {first}"),
            _ => format!("it has those from {first} to {}", first + count - 1),
        };
        self.report(
            Diagnostic::error(format!("the guest has no {what} {id}"))
                .at(at)
                .related(given, "so many it has at most")
                .hint(hint),
        );
    }

    /// Where memory is; `keys` are what the nodes and the mode are called.
    fn memory_pin(
        &mut self,
        nodes: &Given<NumberSet>,
        mode: &Given<&'static str>,
        keys: [&str; 2],
    ) -> Option<MemoryPin> {
        let [key, mode_key] = keys;
        let Some(nodes) = nodes else {
            if let Some(mode) = mode {
                self.report(
                    Diagnostic::error(format!("`{mode_key}` needs `{key}`"))
                        .at(mode.span)
                        .hint(format!(
                            "write `{key}: 0`, a node of the host, or remove `{mode_key}`"
                        )),
                );
            }
            return None;
        };
        let pin = MemoryPin {
            nodes: nodes.value.clone(),
            mode: value_or(mode, "strict"),
        };
        if pin.mode == "preferred" && pin.nodes.iter().nth(1).is_some() {
            self.report(
                Diagnostic::error("one node is preferred, and not several")
                    .at(nodes.span)
                    .related(mode.as_ref().map(|mode| mode.span), "the mode")
                    .hint(format!(
                        "write one, or `{mode_key}: interleave` or `{mode_key}: strict`"
                    )),
            );
        }
        Some(pin)
    }

    /// Where on the host it runs. libvirt forgets processors that a guest does not have.
    pub(super) fn pin(&mut self, spec: &GuestSpec, most: Most) -> Pin {
        let PinSpec {
            vcpus,
            emulator,
            iothreads,
            memory,
            memory_mode,
        } = &spec.pin;
        let threads = spec.iothreads.as_ref();
        let threads_given = threads.map(|given| given.span);
        let threads = threads.map_or(0, |given| given.value);
        Pin {
            vcpus: match most.vcpus {
                Some(all) => self.pinned("processor", vcpus, (0, all), most.vcpus_given),
                None => Vec::new(),
            },
            emulator: value(emulator),
            iothreads: self.pinned("I/O thread", iothreads, (1, threads), threads_given),
            memory: self.memory_pin(memory, memory_mode, ["memory", "memory_mode"]),
        }
    }

    /// Where each of several runs. `ids` are the first and the number of those that there are.
    fn pinned(
        &mut self,
        what: &str,
        pins: &PinsSpec,
        ids: (u32, u32),
        given: Option<Span>,
    ) -> Vec<Pinned> {
        let all = ids.0..ids.0 + ids.1;
        let each: Vec<(u32, Option<Span>, &NumberSet)> = match pins {
            PinsSpec::None => Vec::new(),
            // Of none that there are, the first is missed.
            PinsSpec::All(cpus) if all.is_empty() => vec![(ids.0, Some(cpus.span), &cpus.value)],
            PinsSpec::All(cpus) => all.clone().map(|id| (id, None, &cpus.value)).collect(),
            PinsSpec::InOrder(list) => {
                let each = (ids.0..).zip(list);
                each.map(|(id, cpus)| (id, Some(cpus.span), &cpus.value))
                    .collect()
            }
            PinsSpec::Each(map) => {
                let each = map.iter();
                each.map(|(id, cpus)| (id.value, Some(id.span), cpus))
                    .collect()
            }
        };
        let mut pinned = BTreeMap::new();
        for (id, span, cpus) in each {
            if let Some(span) = span.filter(|_| !all.contains(&id)) {
                self.no_such(what, id, ids, span, given);
            }
            pinned.insert(id, cpus.clone());
        }
        let pinned = pinned.into_iter();
        pinned.map(|(id, cpus)| Pinned { id, cpus }).collect()
    }

    /// How much it may have of the host. Of limits that contradict each other libvirt tells when the guest starts.
    pub(super) fn tuning(&mut self, spec: &TuningSpec, most: Most) -> Tuning {
        match (&spec.swap_limit, &spec.memory_limit) {
            (Some(swap), None) => self.report(
                Diagnostic::error("`swap_limit` needs `memory_limit`")
                    .at(swap.span)
                    .hint("it is of memory and swap together: say how much of that is memory"),
            ),
            (Some(swap), Some(memory)) if swap.value < memory.value => self.report(
                Diagnostic::error("`swap_limit` is less than `memory_limit`")
                    .at(swap.span)
                    .related(Some(memory.span), "how much of it may be memory")
                    .hint("it is of memory and swap together: make it as much or more"),
            ),
            (Some(_) | None, _) => {}
        }
        for (key, limit) in [
            ("memory_limit", &spec.memory_limit),
            ("memory_soft_limit", &spec.memory_soft_limit),
            ("swap_limit", &spec.swap_limit),
        ] {
            if let Some(limit) = limit.as_ref().filter(|limit| limit.value == 0) {
                self.report(
                    Diagnostic::error(format!("`{key}` leaves the guest nothing"))
                        .at(limit.span)
                        .hint("remove it where there is to be no limit"),
                );
            }
        }
        if let Some(limit) = &spec.memory_limit
            && let Some(memory) = most.memory.filter(|memory| *memory >= limit.value)
            && limit.value > 0
        {
            let (limited, memory) = units::apart(limit.value, memory);
            self.report(
                Diagnostic::warning(format!(
                    "`memory_limit` is {limited}, and the guest has {memory} of memory"
                ))
                .at(limit.span)
                .related(most.memory_given, "its memory")
                .hint("QEMU needs some of its own, too, some 300 MiB and more: at the limit the host swaps the guest out or kills it"),
            );
        }
        // libvirt counts in KiB.
        let whole = |limit: &Given<u64>| value(limit).map(|bytes| bytes.div_ceil(1024) * 1024);
        Tuning {
            cpu_shares: value(&spec.cpu_shares),
            cpu_quota: value(&spec.cpu_limit),
            io_weight: value(&spec.io_weight),
            memory_limit: whole(&spec.memory_limit),
            memory_soft_limit: whole(&spec.memory_soft_limit),
            swap_limit: whole(&spec.swap_limit),
        }
    }
}
