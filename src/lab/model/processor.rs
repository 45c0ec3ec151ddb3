//! The processor and memory of a guest: what they are like, where on the host they are, and how much they may have of it.

use serde::Serialize;

use crate::number_set::NumberSet;

/// The processor. <https://libvirt.org/formatdomain.html#cpu-model-and-topology>
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Cpu {
    /// `host-passthrough`, `host-model`, `maximum` or `custom`; `None` leaves it to the template.
    pub mode: Option<String>,
    /// The model of mode `custom`.
    pub model: Option<String>,
    /// How the guest sees its processors; `None` leaves it to libvirt.
    pub topology: Option<Topology>,
    /// Features that it has or lacks, in the order written.
    pub features: Vec<Feature>,
}

/// How processors are arranged: the product of all is how many there can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Topology {
    /// Processors on the board.
    pub sockets: u32,
    /// Dies of each.
    pub dies: u32,
    /// Cores of each of these.
    pub cores: u32,
    /// Threads of each of these.
    pub threads: u32,
}

/// A feature of the processor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Feature {
    /// libvirt's name of it.
    pub name: String,
    /// `force`, `require`, `optional`, `disable` or `forbid`.
    pub policy: &'static str,
}

/// Memory on huge pages. <https://libvirt.org/formatdomain.html#memory-backing>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Hugepages {
    /// Their size in bytes; `None` is what is usual on the host.
    pub size: Option<u64>,
}

/// A NUMA node of a guest. <https://libvirt.org/formatdomain.html#guest-numa-topology>
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// Its processors, if it has any.
    pub vcpus: Option<NumberSet>,
    /// Its memory in bytes.
    pub memory: u64,
    /// Where on the host its memory is.
    pub on: Option<MemoryPin>,
}

/// Where memory is. <https://libvirt.org/formatdomain.html#numa-node-tuning>
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemoryPin {
    /// Nodes of the host.
    pub nodes: NumberSet,
    /// `strict`, `preferred` or `interleave`.
    pub mode: &'static str,
}

/// Where a guest runs. <https://libvirt.org/formatdomain.html#cpu-tuning>
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Pin {
    /// Its processors.
    pub vcpus: Vec<Pinned>,
    /// QEMU itself.
    pub emulator: Option<NumberSet>,
    /// Its I/O threads.
    pub iothreads: Vec<Pinned>,
    /// Its memory.
    pub memory: Option<MemoryPin>,
}

/// One of several, and where it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pinned {
    /// Its number.
    pub id: u32,
    /// Processors of the host.
    pub cpus: NumberSet,
}

/// How much a guest may have of the host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tuning {
    /// Its weight among guests that compute.
    pub cpu_shares: Option<u32>,
    /// The microseconds that it may compute in each 100 ms: 150000 are those of one processor and a half.
    pub cpu_quota: Option<u64>,
    /// Its weight among guests that read and write.
    pub io_weight: Option<u32>,
    /// Bytes of memory, a whole number of KiB, as below.
    pub memory_limit: Option<u64>,
    /// Bytes of memory that it may keep where the host has too little.
    pub memory_soft_limit: Option<u64>,
    /// Bytes of memory and swap together.
    pub swap_limit: Option<u64>,
}
