//! Runs a plan for `apply` and `destroy`, and says how it ended.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::output::{Failure, result, say};
use super::session::{Live, hypervisor_id};
use super::{Common, Exit, is_dumb, terminal};
use crate::address::Address;
use crate::cli::settings;
use crate::diagnostic::listed;
use crate::execute::{self, Event, ExecuteError, Report};
use crate::libvirt::observed::Facts;
use crate::plan::{Action, Change, Plan};
use crate::view;
use crate::view::json::{self, Form};
use crate::view::progress::{Kind, Progress};

/// How many resources are worked on at once where nothing is said: measured, see docs/performance.md.
const PARALLEL: usize = 10;

/// Reads the number of `--parallel`.
pub(super) fn parallel(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if settings::PARALLEL.contains(&number) => Ok(number),
        _ => Err(format!(
            "a whole number from {} to {}",
            settings::PARALLEL.start(),
            settings::PARALLEL.end()
        )),
    }
}

/// How a run is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Telling {
    /// Progress for people.
    People,
    /// An event in a line.
    Json,
}

/// What became of a run.
#[derive(Debug)]
pub(super) struct Ended {
    /// How the command ends.
    pub exit: Exit,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// Executes a plan and leaves the state whole, whatever happens.
pub(super) fn run(
    common: &Common,
    mut live: Live,
    facts: &Facts,
    plan: &Plan,
    parallel: Option<usize>,
    telling: Telling,
) -> Result<(Live, Ended), Failure> {
    let work = plan
        .changes
        .values()
        .filter(|change| change.is_shown())
        .count();
    let is_quiet = common.quiet || telling == Telling::Json || work == 0;
    let progress = Arc::new(Progress::new(kind(is_quiet), work));
    let interrupted = on_signals(&progress)?;
    let started = Instant::now();
    live.store.begin(&hypervisor_id(facts))?;
    if progress.kind() == Kind::Terminal {
        terminal::hush();
    }

    let options = execute::Options {
        parallel: parallel.unwrap_or(PARALLEL).max(1),
    };
    let shown = |event: &Event| -> bool {
        plan.changes
            .get(address_of(event))
            .is_some_and(Change::is_shown)
    };
    // What cannot be printed does not stop a run; it is told in the end.
    let unsaid = Mutex::new(Ok(()));
    let tell = |event: &Event| {
        let mut unsaid = unsaid.lock();
        if unsaid.is_ok() {
            *unsaid = result(&json::text(&json::event(event), Form::Line));
        }
    };
    let outcome = execute::run(
        plan,
        &*live.hypervisor,
        &mut live.store,
        &options,
        &interrupted,
        &|event: Event| match telling {
            Telling::People if shown(&event) => progress.event(&event),
            Telling::People => {}
            Telling::Json => {
                tell(&event);
                // What failed is for people, too.
                if matches!(event, Event::Failed { .. }) {
                    progress.event(&event);
                }
            }
        },
    );
    progress.finish();
    terminal::restore();
    let finished = live.store.finish();
    let (report, state) = match outcome {
        Ok(report) => (report, finished),
        Err(ExecuteError::Store { source, report }) => (*report, Err(source)),
        Err(cycle @ ExecuteError::Cycle(_)) => return Err(cycle.into()),
    };

    live.learn_digests(report.filled.clone());
    let exit = if interrupted.load(Ordering::SeqCst) {
        Exit::Interrupted
    } else if report.failed.is_empty() && report.skipped.is_empty() && report.not_started.is_empty()
    {
        Exit::Success
    } else {
        Exit::Failure
    };
    if exit != Exit::Success {
        tell_end(plan, &report, exit);
    }
    // Nothing is under way any more: what comes now, a signal ends at once.
    interrupted.store(true, Ordering::SeqCst);
    live.state = state?;
    unsaid.into_inner()?;
    let ended = Ended {
        exit,
        seconds: started.elapsed().as_secs_f64(),
    };
    Ok((live, ended))
}

/// How progress can be shown on standard error.
pub(super) fn kind(quiet: bool) -> Kind {
    match quiet {
        true => Kind::Silent,
        false if std::io::stderr().is_terminal() && !is_dumb() => Kind::Terminal,
        false => Kind::Lines,
    }
}

fn address_of(event: &Event) -> &Address {
    match event {
        Event::Started { address }
        | Event::Step { address, .. }
        | Event::Progress { address, .. }
        | Event::Says { address, .. }
        | Event::Note { address, .. }
        | Event::Finished { address, .. }
        | Event::Failed { address, .. }
        | Event::Skipped { address, .. } => address,
    }
}

/// The first SIGINT or SIGTERM, or the end of the terminal, lets what is under way finish, and says so; the second ends the process at once. The thread
/// that waits for them ends with the process.
fn on_signals(progress: &Arc<Progress>) -> Result<Arc<AtomicBool>, Failure> {
    let cannot = |error: std::io::Error| {
        Failure::Message(format!("signals cannot be caught: {error}"), None)
    };
    // Under nohup(1) standard input is no terminal, and the end of one means nothing.
    let ends = [SIGINT, SIGTERM, SIGHUP];
    let ends = match std::io::stdin().is_terminal() {
        true => &ends[..],
        false => &ends[..2],
    };
    let mut signals = Signals::new(ends).map_err(cannot)?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let (flag, progress) = (Arc::clone(&interrupted), Arc::clone(progress));
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for _ in signals.forever() {
                if flag.swap(true, Ordering::SeqCst) {
                    terminal::restore();
                    progress.last_word(
                        "stopped at once; the same command goes on from what was under way",
                    );
                    // Without what a normal end does: whatever holds a lock may be what does not end.
                    signal_hook::low_level::exit(130);
                }
                progress.say(
                    "finishing what is under way but uploads and waits; once more to stop at once",
                );
            }
        })
        .map_err(cannot)?;
    Ok(interrupted)
}

/// What was done, what failed, what is left. Why was said where it happened.
fn tell_end(plan: &Plan, report: &Report, exit: Exit) {
    let shown = |address: &&Address| plan.changes.get(address).is_some_and(Change::is_shown);
    let failed = report.failed.iter().map(|failure| &failure.address);
    let skipped = report.skipped.iter().map(|(address, _)| address);
    let left = skipped.chain(&report.not_started);
    let done = report.done.iter().filter(shown).count();
    let failed: Vec<&Address> = failed.collect();
    let left: Vec<&Address> = left.filter(shown).collect();
    let counts = [
        (done, "done"),
        (failed.len(), "failed"),
        (left.len(), "not done"),
    ];
    let counts = counts
        .iter()
        .filter(|(count, what)| *count > 0 || *what == "done");
    let counts: Vec<String> = counts
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    say(&format!("\n{}.", counts.join(", ")));
    for (what, addresses) in [("failed:", &failed), ("not done:", &left)] {
        if !addresses.is_empty() {
            say(&listed(&format!("{what:<9}"), addresses, 10, view::WIDTH));
        }
    }
    let is_over = failed.is_empty() && left.is_empty();
    say(match exit {
        Exit::Interrupted if is_over => "Interrupted, when all was done.",
        Exit::Interrupted => "Interrupted. The same command goes on from here.",
        Exit::Success | Exit::Failure | Exit::Changes => {
            "Mend the cause and run the same command again: it goes on from here."
        }
    });
}

/// `2 created, 1 changed`: what a plan did, for the closing line.
pub(super) fn summary(plan: &Plan) -> String {
    let count = |action: Action| {
        plan.changes
            .values()
            .filter(|change| change.action == action)
            .count()
    };
    [
        (count(Action::Create), "created"),
        (count(Action::Update), "changed"),
        (count(Action::Replace), "replaced"),
        (count(Action::Delete), "deleted"),
        (count(Action::Forget), "forgotten"),
    ]
    .iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect::<Vec<_>>()
    .join(", ")
}
