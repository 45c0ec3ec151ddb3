//! What a plan is: changes of resources, and of their attributes, in the reader's words.

use std::collections::{BTreeMap, BTreeSet};

use crate::address::{Address, Kind, Name};
use crate::diagnostic::Diagnostics;
use crate::state::Entry;
use crate::step::Step;
use crate::units::exact;
use crate::xml::document::Document;
use crate::xml::merge::Cause;

/// What is to be done to make a hypervisor hold what is desired.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The lab.
    pub lab: Name,
    /// The hypervisor's URI.
    pub uri: String,
    /// One for each resource of the lab, of its state, and of what carries its mark; unchanged ones too.
    pub changes: BTreeMap<Address, Change>,
    /// Resources that the state is to know by another address, before anything else: each before and after.
    pub moves: Vec<(Address, Address)>,
    /// Which node of the graph waits for which: `(before, after)`.
    pub edges: BTreeSet<(Node, Node)>,
    /// What forbids the plan or should be said: conflicts, protected resources, overlapping subnets.
    pub problems: Diagnostics,
}

/// A part of a change that is executed as one: its quiescing or its main part.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// The resource.
    pub address: Address,
    /// Which part of its change.
    pub phase: Phase,
}

impl Node {
    /// One part of the change of a resource.
    pub fn new(address: &Address, phase: Phase) -> Self {
        Self {
            address: address.clone(),
            phase,
        }
    }
}

/// The parts of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// [`Change::quiesce`]
    Quiesce,
    /// [`Change::steps`]
    Main,
}

/// What happens to one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The resource.
    pub address: Address,
    /// What is done.
    pub action: Action,
    /// The address that it had before, where the definition says that it moved.
    pub moved_from: Option<Address>,
    /// For creations and deletions, what it is in one line: `2 vcpus, 2 GiB, front 192.168.155.12`; for what moved, where
    /// from.
    pub summary: String,
    /// The attributes that change, in the order of the definition.
    pub attributes: Vec<AttributeChange>,
    /// Remarks about how it is done, each a line for the reader.
    pub notes: Vec<String>,
    /// The guest is started, stopped or restarted.
    pub power: Option<PowerChange>,
    /// What it costs; `None` for creations, deletions and no change.
    pub disruption: Option<Disruption>,
    /// Bytes of data that are lost, as the volume's capacity.
    pub data_loss: Option<u64>,
    /// Why, where the definition alone does not say it. For the reader only: it never drives anything.
    pub reason: Option<Reason>,
    /// The XML now and after, for `--diff`; the same where nothing changes.
    pub before_xml: Option<Document>,
    /// See [`Change::before_xml`].
    pub after_xml: Option<Document>,
    /// Steps that come before anything a dependency undergoes: a guest is shut down before its disk is replaced.
    pub quiesce: Vec<Step>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// What the running guest does not have yet of its definition, and gets with its next restart. Nothing is done about it.
    pub pending: Vec<AttributeChange>,
    /// What others changed since the last apply and the definition says nothing of: how it was, and how it is. It is left so.
    pub foreign: Vec<AttributeChange>,
    /// What the state records once all steps are done; `None` where the resource leaves the state.
    pub entry: Option<Entry>,
    /// What the state records before the first step. `None` where there is no step, or where neither plan nor state can describe
    /// it, as with the deletion of an object that only its mark makes ours: it keeps the mark until it is gone.
    pub intent: Option<Entry>,
    /// What the state records between two steps.
    pub checkpoints: Vec<Checkpoint>,
    /// Where its first step finds an object of its name, somebody else made that since it was looked: it is not ours, and the
    /// state forgets it.
    pub forgets_strangers: bool,
}

/// What the state records after a step and before the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The part of the change that the step is in.
    pub phase: Phase,
    /// Its place there.
    pub step: usize,
    /// What is recorded.
    pub entry: Entry,
}

/// What is done with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Nothing; the state may still learn something.
    None,
    /// It is made.
    Create,
    /// It is changed, or only started or stopped.
    Update,
    /// It is deleted and made anew.
    Replace,
    /// It is deleted.
    Delete,
    /// The state forgets it: it is no longer defined, and it is not there.
    Forget,
}

pub use crate::lab::attributes::Disruption;

/// What happens to a guest's power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PowerChange {
    /// Off before, running after.
    Start,
    /// Paused before, running after.
    Resume,
    /// Running before, off after.
    Stop,
    /// The same, without being asked to shut down.
    SwitchOff,
    /// Running before and after, off in between.
    Restart,
}

/// Why a change is made, where the definition alone does not say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The definition no longer has it.
    Orphan,
    /// The state has it and the hypervisor does not.
    Missing,
    /// Someone else changed the object: the definition is as last applied.
    Drift,
    /// The definition changed, and someone else changed the object, in the same place or in another.
    Both,
    /// An earlier run did not finish it.
    Unfinished,
    /// It was asked for, with `--replace`.
    Requested,
}

/// One attribute before and after, in the user's words and units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeChange {
    /// The attribute as a path in the definition, `memory`, `dns.hosts.ntp`; of other XML its own path.
    pub name: String,
    /// Its value now; `None` where it is not there.
    pub before: Option<Said>,
    /// Its value after; `None` where it goes.
    pub after: Option<Said>,
    /// What it costs.
    pub disruption: Disruption,
    /// A remark.
    pub note: Option<Remark>,
    /// What beside the definition it is of, where the state records that.
    pub beside: Option<Beside>,
    /// Who is behind it; `None` where nothing tells.
    pub cause: Option<Cause>,
    /// What was applied last, where both sides have something else now.
    pub last: Option<Said>,
}

impl AttributeChange {
    /// A change of an attribute from one value to another, of which there is nothing more to say.
    pub fn new(
        name: impl Into<String>,
        before: impl Into<Said>,
        after: impl Into<Said>,
        disruption: Disruption,
    ) -> Self {
        Self {
            name: name.into(),
            before: Some(before.into()),
            after: Some(after.into()),
            disruption,
            note: None,
            beside: None,
            cause: None,
            last: None,
        }
    }
}

/// A remark on a change of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remark {
    /// It waits for the guest's next restart.
    Deferred,
    /// Why it costs what it costs, or what else is to be said: `live maximum is 2 GiB`.
    Said(String),
}

impl std::fmt::Display for Remark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Remark::Deferred => "restart deferred",
            Remark::Said(text) => text,
        })
    }
}

impl From<&str> for Remark {
    fn from(text: &str) -> Self {
        Remark::Said(text.to_owned())
    }
}

/// What an object has beside its definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// Whether it starts with the host.
    Autostart,
    /// Whether it runs.
    Active,
    /// Whether it is defined, and not only there while it runs.
    Persistent,
    /// Its name in libvirt.
    Name,
}

impl Beside {
    /// What it is called in plans.
    pub fn as_str(self) -> &'static str {
        match self {
            Beside::Autostart => "autostart",
            Beside::Active => "active",
            Beside::Persistent => "persistent",
            Beside::Name => "name",
        }
    }
}

/// A value of an attribute. Written out, it is exact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// As it is.
    Text(String),
    /// So many bytes.
    Bytes(u64),
}

impl<T: Into<String>> From<T> for Said {
    fn from(text: T) -> Self {
        Self::Text(text.into())
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.pad(text),
            Self::Bytes(bytes) => f.pad(&exact(*bytes)),
        }
    }
}

impl serde::Serialize for Said {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Plan {
    /// The resources for which there are steps.
    pub fn touched(&self) -> BTreeSet<Address> {
        let changes = self.changes.values();
        changes
            .filter(|change| !change.steps.is_empty() || !change.quiesce.is_empty())
            .map(|change| change.address.clone())
            .collect()
    }

    /// What the state records of each resource once all is done.
    pub fn entries(&self) -> impl Iterator<Item = (&Address, &Entry)> {
        let changes = self.changes.values();
        changes.filter_map(|change| Some((&change.address, change.entry.as_ref()?)))
    }

    /// Whether another plan does and says the same. What stays, such as how much of a disk is written by now, may differ.
    pub fn does_as(&self, other: &Self) -> bool {
        let told = |change: &Change| Change {
            before_xml: None,
            after_xml: None,
            ..change.clone()
        };
        let changes = |plan: &Self| -> Vec<Change> { plan.changes.values().map(told).collect() };
        self.problems.has_errors() == other.problems.has_errors()
            && self.moves == other.moves
            && changes(self) == changes(other)
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.values().all(|change| !change.is_shown())
    }

    /// Whether a volume is changed or deleted, or a disk gets another file. Whoever plans that has to have seen all volumes of the hypervisor:
    /// any may be based on it, and what the disk has now may be an overlay of it ([`Others::Read`](crate::libvirt::Others::Read)).
    pub fn touches_volumes(&self) -> bool {
        let moves_disk = |attribute: &AttributeChange| {
            attribute.name.starts_with("disks.") && attribute.before.is_some()
        };
        self.changes.values().any(|change| {
            let is_volume = change.address.kind == Kind::Volume && change.action != Action::Create;
            is_volume && !change.steps.is_empty()
                || change.deleted_volumes().next().is_some()
                || change.attributes.iter().any(moves_disk)
        })
    }
}

impl Change {
    /// A resource that is as it should be; the state records `entry`.
    pub fn unchanged(address: Address, entry: Option<Entry>) -> Self {
        Self {
            address,
            action: Action::None,
            moved_from: None,
            summary: String::new(),
            attributes: Vec::new(),
            notes: Vec::new(),
            power: None,
            disruption: None,
            data_loss: None,
            reason: None,
            before_xml: None,
            after_xml: None,
            quiesce: Vec::new(),
            steps: Vec::new(),
            pending: Vec::new(),
            foreign: Vec::new(),
            entry,
            intent: None,
            checkpoints: Vec::new(),
            forgets_strangers: false,
        }
    }

    /// The same for an object that is made anew, in place of the one that is there.
    pub(crate) fn replacing(self, before: &Document, reason: Option<Reason>) -> Self {
        Self {
            action: Action::Replace,
            reason,
            disruption: Some(Disruption::Recreate),
            before_xml: Some(before.clone()),
            ..self
        }
    }

    /// A resource that the state forgets, since it is not there any more.
    pub fn forgotten(address: Address) -> Self {
        Self {
            action: Action::Forget,
            ..Self::unchanged(address, None)
        }
    }

    /// Whether it does more than to tell the state something.
    pub fn is_visible(&self) -> bool {
        self.is_shown() || !self.steps.is_empty() || !self.quiesce.is_empty()
    }

    /// Whether it does anything to the hypervisor or to what we say we own.
    pub fn is_shown(&self) -> bool {
        self.action != Action::None
    }

    /// The volumes that it deletes, by pool and name.
    pub(super) fn deleted_volumes(&self) -> impl Iterator<Item = (&str, &str)> {
        let is_volume = matches!(self.address.kind, Kind::Image | Kind::Volume);
        let steps = self.steps.iter().filter(move |_| is_volume);
        steps.filter_map(|step| match step {
            Step::DeleteVolume { pool, name, .. } => Some((pool.name.as_str(), name.as_str())),
            _ => None,
        })
    }
}
