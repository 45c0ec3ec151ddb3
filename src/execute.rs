//! Runs a plan over its graph on a bounded number of threads, and tells what happens as events.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::address::Address;
use crate::crash;
use crate::graph::{Graph, Id};
use crate::libvirt::{ErrorKind, Filled, HypervisorError, Monitor, Perform};
use crate::plan::{Change, Checkpoint, Cycle, Node, Phase, Plan};
use crate::state::Entry;
use crate::state::store::{Store, StoreError};
use crate::step::Step;

/// What happens while a plan runs. Views print it.
#[derive(Debug, Clone)]
pub enum Event {
    /// The steps of a resource begin.
    Started {
        /// The resource.
        address: Address,
    },
    /// A step begins.
    Step {
        /// The resource.
        address: Address,
        /// What is done: `start network front`.
        description: String,
    },
    /// A step moves data.
    Progress {
        /// The resource.
        address: Address,
        /// Bytes done.
        done: u64,
        /// All bytes.
        total: u64,
    },
    /// A guest that is waited for printed this line last.
    Says {
        /// The resource.
        address: Address,
        /// The line.
        line: String,
    },
    /// A step said something worth telling.
    Note {
        /// The resource.
        address: Address,
        /// What it said.
        text: String,
    },
    /// All steps of a resource are done.
    Finished {
        /// The resource.
        address: Address,
        /// How long they took.
        elapsed: Duration,
    },
    /// A step failed; the rest of its resource is not done.
    Failed {
        /// The resource.
        address: Address,
        /// The step.
        description: String,
        /// Why.
        error: HypervisorError,
    },
    /// A resource is not touched since something it needs failed.
    Skipped {
        /// The resource.
        address: Address,
        /// What failed.
        because: Address,
    },
}

/// How a plan is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How many resources are worked on at once; 0 is taken as 1.
    pub parallel: usize,
}

/// What became of the changes of a plan: each that does something is in exactly one of the lists,
/// and each list is in the order of addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// All steps were done.
    pub done: Vec<Address>,
    /// A step failed.
    pub failed: Vec<Failure>,
    /// Not done since what it needs failed, with what failed.
    pub skipped: Vec<(Address, Address)>,
    /// Not begun or not ended since the run was interrupted or the connection lost.
    pub not_started: Vec<Address>,
    /// What volumes were filled with from files.
    pub filled: Vec<Filled>,
}

/// A step that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The resource.
    pub address: Address,
    /// What was to be done: `start network front`.
    pub step: String,
    /// Why it was not.
    pub error: HypervisorError,
}

/// Why a run could not go on. Steps that were under way were ended first.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// The plan has no order.
    #[error(transparent)]
    Cycle(#[from] Cycle),
    /// The state could not be written; to go on without it could lose objects.
    #[error("{source}")]
    Store {
        /// What the state said.
        source: StoreError,
        /// What became of the changes.
        report: Box<Report>,
    },
}

/// Runs a plan on `options.parallel` threads.
///
/// The state is told before a resource is touched and after; the caller begins and finishes the run there.
/// A failing step stops its resource and what depends on it; a lost connection, an error of the state,
/// and `interrupted` let nothing new begin. With one thread the order is that of [`Plan::order`].
pub fn run(
    plan: &Plan,
    hypervisor: &dyn Perform,
    store: &mut Store,
    options: &Options,
    interrupted: &AtomicBool,
    events: &(dyn Fn(Event) + Sync),
) -> Result<Report, ExecuteError> {
    let graph = plan.graph()?;
    // In one, and before anything is touched: should the run die, what moved is not taken for an orphan.
    store
        .readdress(&plan.moves)
        .map_err(|source| ExecuteError::Store {
            source,
            report: Box::new(report(plan, &graph, &Board::default())),
        })?;
    let waiting = graph.waiting();
    let ready = graph.ids().filter(|id| waiting[id.index()] == 0).collect();
    let run = Run {
        plan,
        hypervisor,
        graph: &graph,
        store: Mutex::new(store),
        interrupted,
        events,
        board: Mutex::new(Board {
            waiting,
            ready,
            ..Board::default()
        }),
        changed: Condvar::new(),
    };
    let threads = options.parallel.clamp(1, graph.ids().count().max(1));
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| run.work());
        }
        run.work();
    });
    let board = run.board.into_inner();
    let report = report(plan, &graph, &board);
    match board.store_error {
        None => Ok(report),
        Some(source) => Err(ExecuteError::Store {
            source,
            report: Box::new(report),
        }),
    }
}

struct Run<'a> {
    plan: &'a Plan,
    hypervisor: &'a dyn Perform,
    graph: &'a Graph<Node>,
    store: Mutex<&'a mut Store>,
    interrupted: &'a AtomicBool,
    events: &'a (dyn Fn(Event) + Sync),
    board: Mutex<Board>,
    changed: Condvar,
}

/// What the threads know together.
#[derive(Default)]
struct Board {
    /// For each node, how many it still waits for.
    waiting: Vec<usize>,
    ready: BTreeSet<Id>,
    running: usize,
    begun: BTreeSet<Id>,
    done: BTreeSet<Id>,
    /// With the address that failed.
    skipped: BTreeMap<Id, Address>,
    failed: BTreeMap<Address, Failure>,
    /// Nothing new begins.
    stopped: bool,
    store_error: Option<StoreError>,
    filled: Vec<Filled>,
}

/// What steps brought about beside what they were to.
#[derive(Default)]
struct Done {
    /// One made a pool's directory.
    made_directory: bool,
    /// What a volume was filled with.
    filled: Option<Filled>,
}

/// Why a part of a change was not done.
enum Stop {
    Failed(Failure),
    /// A step that only waited was broken off.
    Interrupted,
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Stop::Store(error)
    }
}

impl Run<'_> {
    fn work(&self) {
        while let Some(id) = self.next() {
            let result = catch_unwind(AssertUnwindSafe(|| self.part(id)));
            let result = result.unwrap_or_else(|_| Err(Stop::Failed(self.panicked(id))));
            let told = self.end(id, result);
            for event in told {
                // A view that panics must not leave the other threads waiting.
                let _ = catch_unwind(AssertUnwindSafe(|| (self.events)(event)));
            }
        }
    }

    /// The next part to work on; waits for one, and is `None` once there will be none.
    fn next(&self) -> Option<Id> {
        let mut board = self.board.lock();
        loop {
            if board.stopped || self.interrupted.load(Ordering::Relaxed) {
                return None;
            }
            if let Some(id) = board.ready.pop_first() {
                board.running += 1;
                board.begun.insert(id);
                return Some(id);
            }
            if board.running == 0 {
                return None;
            }
            self.changed.wait(&mut board);
        }
    }

    fn panicked(&self, id: Id) -> Failure {
        Failure {
            address: self.graph.node(id).address.clone(),
            step: "go on".into(),
            error: HypervisorError {
                kind: ErrorKind::Failed,
                message: "a thread panicked".into(),
                hint: Some("this is a bug in miniascape; run apply again to go on".into()),
            },
        }
    }

    /// Takes note of what became of a part, and gives the events that follow from it.
    fn end(&self, id: Id, result: Result<(), Stop>) -> Vec<Event> {
        let mut board = self.board.lock();
        board.running -= 1;
        let mut told = Vec::new();
        match result {
            Ok(()) => {
                board.done.insert(id);
                for after in self.graph.after(id) {
                    board.waiting[after.index()] -= 1;
                    if board.waiting[after.index()] == 0 && !board.skipped.contains_key(&after) {
                        board.ready.insert(after);
                    }
                }
            }
            Err(Stop::Failed(failure)) => {
                board.stopped |= failure.error.kind == ErrorKind::Connection;
                told.push(Event::Failed {
                    address: failure.address.clone(),
                    description: failure.step.clone(),
                    error: failure.error.clone(),
                });
                let because = failure.address.clone();
                board.failed.insert(because.clone(), failure);
                told.extend(self.skip_after(&mut board, id, &because));
            }
            Err(Stop::Interrupted) => board.stopped = true,
            Err(Stop::Store(error)) => {
                board.stopped = true;
                board.store_error.get_or_insert(error);
            }
        }
        self.changed.notify_all();
        told
    }

    fn skip_after(&self, board: &mut Board, failed: Id, because: &Address) -> Vec<Event> {
        let mut told = Vec::new();
        let mut queue: BTreeSet<Id> = self.graph.after(failed).collect();
        while let Some(id) = queue.pop_first() {
            if board.begun.contains(&id) || board.skipped.contains_key(&id) {
                continue;
            }
            board.skipped.insert(id, because.clone());
            board.ready.remove(&id);
            queue.extend(self.graph.after(id));
            let node = self.graph.node(id);
            if node.phase == Phase::Quiesce {
                continue;
            }
            // A guest is not shut down for a change that will not come.
            queue.extend(self.graph.find(&Node::new(&node.address, Phase::Quiesce)));
            let Some(change) = self.plan.changes.get(&node.address) else {
                continue;
            };
            if !change.is_visible() || board.failed.contains_key(&node.address) {
                continue;
            }
            told.push(Event::Skipped {
                address: node.address.clone(),
                because: because.clone(),
            });
            let quiesced = self
                .graph
                .find(&Node::new(&node.address, Phase::Quiesce))
                .is_some_and(|id| board.begun.contains(&id));
            if let (true, Some(step)) = (quiesced, change.quiesce.last()) {
                told.push(Event::Note {
                    address: node.address.clone(),
                    text: format!("stays as it is after `{step}`: apply again to go on"),
                });
            }
        }
        told
    }

    /// Does one part of one change.
    fn part(&self, id: Id) -> Result<(), Stop> {
        let node = self.graph.node(id);
        let Some(change) = self.plan.changes.get(&node.address) else {
            return Ok(());
        };
        match node.phase {
            Phase::Quiesce if change.quiesce.is_empty() => Ok(()),
            Phase::Quiesce => {
                self.begin(change)?;
                self.steps(change, Phase::Quiesce).map(drop)
            }
            Phase::Main => self.main(change),
        }
    }

    fn begin(&self, change: &Change) -> Result<(), Stop> {
        if let Some(intent) = &change.intent {
            self.store.lock().intend(&change.address, intent)?;
        }
        (self.events)(Event::Started {
            address: change.address.clone(),
        });
        Ok(())
    }

    fn main(&self, change: &Change) -> Result<(), Stop> {
        let clock = Instant::now();
        // What was quiesced has its intent recorded, and has begun.
        if change.quiesce.is_empty() && change.is_visible() {
            self.begin(change)?;
        }
        let done = self.steps(change, Phase::Main)?;
        let settled = change.entry.clone().map(|entry| Entry {
            made_directory: entry.made_directory || done.made_directory,
            content: entry
                .content
                .or_else(|| done.filled.as_ref().map(|filled| filled.content.clone())),
            ..entry
        });
        self.board.lock().filled.extend(done.filled);
        let mut store = self.store.lock();
        if store.state().resources.get(&change.address) != settled.as_ref() {
            store.settle(&change.address, settled.as_ref())?;
        }
        drop(store);
        if change.is_visible() {
            (self.events)(Event::Finished {
                address: change.address.clone(),
                elapsed: clock.elapsed(),
            });
        }
        Ok(())
    }

    /// Does steps in order.
    fn steps(&self, change: &Change, phase: Phase) -> Result<Done, Stop> {
        let address = &change.address;
        let steps = match phase {
            Phase::Quiesce => &change.quiesce,
            Phase::Main => &change.steps,
        };
        let mut done = Done::default();
        for (at, step) in steps.iter().enumerate() {
            (self.events)(Event::Step {
                address: address.clone(),
                description: step.describe(),
            });
            let watch = Watch {
                run: self,
                address,
                directory: Mutex::default(),
            };
            crash::point(format_args!("{address}, {step}: before"));
            let performed =
                catch_unwind(AssertUnwindSafe(|| self.hypervisor.perform(step, &watch)))
                    .unwrap_or_else(|_| Err(self.panic_in(step)));
            let directory = watch.directory.into_inner();
            done.made_directory |= directory.made;
            if let Some(error) = directory.unrecorded {
                return Err(Stop::Store(error));
            }
            let outcome = match performed {
                Ok(outcome) => outcome,
                Err(error) if error.kind == ErrorKind::Interrupted => {
                    return Err(Stop::Interrupted);
                }
                // The terminal interrupts the ssh of a connection, too.
                Err(error)
                    if error.kind == ErrorKind::Connection
                        && self.interrupted.load(Ordering::Relaxed) =>
                {
                    return Err(Stop::Interrupted);
                }
                Err(error) => {
                    if at == 0 && change.forgets_strangers && error.kind == ErrorKind::Exists {
                        self.store.lock().settle(address, None)?;
                    }
                    return Err(Stop::Failed(Failure {
                        address: address.clone(),
                        step: step.describe(),
                        error,
                    }));
                }
            };
            crash::point(format_args!("{address}, {step}: after"));
            let is_here = |it: &&Checkpoint| (it.phase, it.step) == (phase, at);
            if let Some(checkpoint) = change.checkpoints.iter().find(is_here) {
                let entry = Entry {
                    made_directory: checkpoint.entry.made_directory || done.made_directory,
                    ..checkpoint.entry.clone()
                };
                self.store.lock().intend(address, &entry)?;
            }
            done.filled = outcome.filled.or(done.filled);
            if let Some(text) = outcome.note {
                (self.events)(Event::Note {
                    address: address.clone(),
                    text,
                });
            }
        }
        Ok(done)
    }

    fn panic_in(&self, step: &Step) -> HypervisorError {
        HypervisorError {
            kind: ErrorKind::Failed,
            message: format!("{step}: the step panicked"),
            hint: Some("this is a bug in miniascape; run apply again to go on".into()),
        }
    }
}

/// Tells of a step of a resource.
struct Watch<'a, 'r> {
    run: &'a Run<'r>,
    address: &'a Address,
    directory: Mutex<Directory>,
}

/// Whether a pool's directory is made.
#[derive(Default)]
struct Directory {
    made: bool,
    /// It could not be recorded.
    unrecorded: Option<StoreError>,
}

impl Monitor for Watch<'_, '_> {
    fn moved(&self, done: u64, total: u64) {
        (self.run.events)(Event::Progress {
            address: self.address.clone(),
            done,
            total,
        });
    }

    fn says(&self, line: &str) {
        (self.run.events)(Event::Says {
            address: self.address.clone(),
            line: line.to_owned(),
        });
    }

    fn is_interrupted(&self) -> bool {
        // Another thread's lost connection or state ends the waiting, too.
        self.run.interrupted.load(Ordering::Relaxed) || self.run.board.lock().stopped
    }

    fn makes_directory(&self) -> Result<(), HypervisorError> {
        let mut directory = self.directory.lock();
        let mut store = self.run.store.lock();
        let recorded = store.state().resources.get(self.address);
        if let Some(entry) = recorded.filter(|entry| !entry.made_directory) {
            let entry = Entry {
                made_directory: true,
                ..entry.clone()
            };
            if let Err(error) = store.intend(self.address, &entry) {
                let message = error.to_string();
                directory.unrecorded = Some(error);
                return Err(HypervisorError {
                    kind: ErrorKind::Failed,
                    message,
                    hint: None,
                });
            }
        }
        directory.made = true;
        Ok(())
    }
}

fn report(plan: &Plan, graph: &Graph<Node>, board: &Board) -> Report {
    let mut report = Report {
        filled: board.filled.clone(),
        ..Report::default()
    };
    for address in plan
        .changes
        .values()
        .filter(|change| change.is_visible())
        .map(|c| &c.address)
    {
        let main = graph.find(&Node::new(address, Phase::Main));
        let skipped = main.and_then(|id| board.skipped.get(&id));
        if let Some(failure) = board.failed.get(address) {
            report.failed.push(failure.clone());
        } else if main.is_some_and(|id| board.done.contains(&id)) {
            report.done.push(address.clone());
        } else if let Some(because) = skipped {
            report.skipped.push((address.clone(), because.clone()));
        } else {
            report.not_started.push(address.clone());
        }
    }
    report
}

#[cfg(test)]
mod tests;
