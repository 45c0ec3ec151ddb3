//! Runs a plan over its graph on a bounded number of threads, and tells what happens as events.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::address::Address;
use crate::crash;
use crate::graph::{Graph, Id};
use crate::libvirt::{ErrorKind, Filled, Hypervisor, HypervisorError, Monitor};
use crate::plan::{Action, Change, Cycle, Node, Phase, Plan};
use crate::state::store::{Store, StoreError};
use crate::state::{Entry, Status};
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
    hypervisor: &dyn Hypervisor,
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
    let board = run
        .board
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
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
    hypervisor: &'a dyn Hypervisor,
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

/// Nothing that can unwind runs while a lock is held and the data is half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut board = lock(&self.board);
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
            board = self
                .changed
                .wait(board)
                .unwrap_or_else(PoisonError::into_inner);
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
        let mut board = lock(&self.board);
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
            if !is_visible(change) || board.failed.contains_key(&node.address) {
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
        let address = &change.address;
        let before = lock(&self.store).state().resources.get(address).cloned();
        match node.phase {
            Phase::Quiesce if change.quiesce.is_empty() => Ok(()),
            Phase::Quiesce => {
                self.begin(change, before.as_ref())?;
                let mut intent = intent(change, before.as_ref());
                self.steps(change, &change.quiesce, &mut intent)?;
                Ok(())
            }
            Phase::Main => self.main(change, before.as_ref()),
        }
    }

    fn begin(&self, change: &Change, before: Option<&Entry>) -> Result<(), Stop> {
        if let Some(intent) = intent(change, before) {
            lock(&self.store).intend(&change.address, &intent)?;
        }
        (self.events)(Event::Started {
            address: change.address.clone(),
        });
        Ok(())
    }

    fn main(&self, change: &Change, before: Option<&Entry>) -> Result<(), Stop> {
        let clock = Instant::now();
        // What was quiesced has its intent recorded, and has begun.
        let mut intent = if change.quiesce.is_empty() {
            intent(change, before)
        } else {
            before.cloned()
        };
        if change.quiesce.is_empty() && is_visible(change) {
            if change.steps.is_empty() {
                (self.events)(Event::Started {
                    address: change.address.clone(),
                });
            } else {
                self.begin(change, before)?;
            }
        }
        let done = self.steps(change, &change.steps, &mut intent)?;
        let keeps_directory = match change.action {
            // What is made anew is in a directory of its own.
            Action::Replace => false,
            Action::Update if change.steps.iter().any(removes_directory) => false,
            Action::None | Action::Create | Action::Update | Action::Delete | Action::Forget => {
                before.is_some_and(|entry| entry.made_directory)
            }
        };
        let settled = change.entry.clone().map(|mut entry| {
            entry.made_directory |= done.made_directory || keeps_directory;
            let content = done.filled.as_ref().map(|filled| filled.content.clone());
            entry.content = entry.content.or(content);
            entry
        });
        lock(&self.board).filled.extend(done.filled);
        let mut store = lock(&self.store);
        if store.state().resources.get(&change.address) != settled.as_ref() {
            store.settle(&change.address, settled.as_ref())?;
        }
        drop(store);
        if is_visible(change) {
            (self.events)(Event::Finished {
                address: change.address.clone(),
                elapsed: clock.elapsed(),
            });
        }
        Ok(())
    }

    /// Does steps in order.
    fn steps(
        &self,
        change: &Change,
        steps: &[Step],
        intent: &mut Option<Entry>,
    ) -> Result<Done, Stop> {
        let address = &change.address;
        let mut done = Done::default();
        for (at, step) in steps.iter().enumerate() {
            (self.events)(Event::Step {
                address: address.clone(),
                description: step.describe(),
            });
            let watch = Watch {
                run: self,
                address,
                directory: Mutex::new(Directory {
                    intent,
                    made: false,
                    unrecorded: None,
                }),
            };
            crash::point(format_args!("{address}, {step}: before"));
            let performed =
                catch_unwind(AssertUnwindSafe(|| self.hypervisor.perform(step, &watch)))
                    .unwrap_or_else(|_| Err(self.panic_in(step)));
            let directory = watch
                .directory
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner);
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
                    let first = at == 0 && change.quiesce.is_empty();
                    if first && change.action == Action::Create && error.kind == ErrorKind::Exists {
                        // Someone else made it since we looked: it is not ours.
                        lock(&self.store).settle(address, None)?;
                    }
                    return Err(Stop::Failed(Failure {
                        address: address.clone(),
                        step: step.describe(),
                        error,
                    }));
                }
            };
            crash::point(format_args!("{address}, {step}: after"));
            if let (true, Some(entry), Some(intent)) =
                (is_end_of_old(change, step), &change.entry, intent.as_mut())
                && (&intent.name, &intent.pool) != (&entry.name, &entry.pool)
            {
                intent.name.clone_from(&entry.name);
                intent.pool.clone_from(&entry.pool);
                lock(&self.store).intend(address, intent)?;
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
    directory: Mutex<Directory<'a>>,
}

/// Whether a pool's directory is made, and what the state says of that.
struct Directory<'a> {
    intent: &'a mut Option<Entry>,
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
        self.run.interrupted.load(Ordering::Relaxed) || lock(&self.run.board).stopped
    }

    fn makes_directory(&self) -> Result<(), HypervisorError> {
        let mut directory = lock(&self.directory);
        if let Some(entry) = directory
            .intent
            .as_mut()
            .filter(|entry| !entry.made_directory)
        {
            entry.made_directory = true;
            if let Err(error) = lock(&self.run.store).intend(self.address, entry) {
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

/// Whether a change does more than to tell the state something.
fn is_visible(change: &Change) -> bool {
    change.is_shown() || !change.steps.is_empty() || !change.quiesce.is_empty()
}

/// What is known of a resource if the process dies while it is worked on.
///
/// `None` where neither plan nor state can describe it, as with the deletion of an object that only its mark
/// makes ours: it keeps the mark until it is gone.
fn intent(change: &Change, before: Option<&Entry>) -> Option<Entry> {
    let deleting = |entry: Entry| Entry {
        status: Status::Deleting,
        ..entry
    };
    let Some(after) = &change.entry else {
        return before.cloned().map(deleting);
    };
    let mut entry = after.clone();
    entry.made_directory = before.is_some_and(|entry| entry.made_directory);
    entry.applied = before.and_then(|entry| entry.applied.clone());
    // Earlier attempts may have left parts of themselves in the object; they are known until a run has removed them.
    entry.attempted = before.map_or_else(Vec::new, |entry| entry.attempted.clone());
    entry.attempted.extend(
        after
            .applied
            .clone()
            .filter(|attempt| !entry.attempted.contains(attempt)),
    );
    // What is replaced is known by its old name and pool until it is gone.
    let ends = change.steps.iter().any(|step| is_end_of_old(change, step));
    if let Some(before) = before.filter(|_| ends) {
        entry.name.clone_from(&before.name);
        entry.pool.clone_from(&before.pool);
    }
    let mut steps = change.quiesce.iter().chain(&change.steps);
    let stages = steps.find_map(|step| match step {
        Step::StageInstall { pool, .. } => Some(pool.name.clone()),
        _ => None,
    });
    entry.staged = stages.or_else(|| before.and_then(|entry| entry.staged.clone()));
    match change.action {
        Action::Create => {
            entry.status = Status::Creating;
            entry.applied = None;
        }
        Action::None | Action::Update | Action::Replace => entry.status = Status::Changing,
        Action::Delete | Action::Forget => {
            return Some(deleting(before.cloned().unwrap_or_else(|| after.clone())));
        }
    }
    Some(entry)
}

/// Whether a step removes the directory that a pool leaves.
fn removes_directory(step: &Step) -> bool {
    matches!(step, Step::DeletePoolDirectory { .. })
}

/// Whether a step ends what the state knows by another name: it removes what a replacement replaces, or renames.
fn is_end_of_old(change: &Change, step: &Step) -> bool {
    let removes = matches!(
        step,
        Step::DeleteVolume { .. }
            | Step::UndefineGuest { .. }
            | Step::UndefineNetwork { .. }
            | Step::UndefinePool { .. }
    );
    let renames = matches!(step, Step::RenameGuest { .. });
    (removes && change.action == Action::Replace) || renames
}

fn report(plan: &Plan, graph: &Graph<Node>, board: &Board) -> Report {
    let mut report = Report {
        filled: board.filled.clone(),
        ..Report::default()
    };
    for address in plan
        .changes
        .values()
        .filter(|change| is_visible(change))
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
