//! `miniascape plan`

use std::collections::BTreeSet;

use clap::Args;

use super::named::Known;
use super::output::{Failure, problems_to_stderr, result};
use super::session::{Live, Session, Warnings, observe};
use super::{Common, Exit};
use crate::desired;
use crate::plan::drift::drift;
use crate::plan::{Farewell, Marked, Options, PendingRestarts};
use crate::secret::Secrets;
use crate::state::store::{Access, Store};
use crate::view::json::{self, Form};
use crate::view::plan::Diff;
use crate::view::{self, Color};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Show the XML that changes, too
    #[arg(long)]
    diff: bool,
    /// Print the plan as JSON
    #[arg(long)]
    json: bool,
    /// Exit with 2 where there are changes, 0 where there are none
    #[arg(long)]
    detailed_exitcode: bool,
    /// Show only what others changed since the last apply, whatever the definition says now
    #[arg(long, conflicts_with_all = ["diff", "replace"])]
    refresh_only: bool,
    #[command(flatten)]
    targets: Targets,
    #[command(flatten)]
    anew: Anew,
}

/// What a plan is about.
#[derive(Debug, Args)]
pub(super) struct Targets {
    /// Only this resource and what it takes, such as guest.web1; may be repeated [default: all]
    #[arg(long = "target", value_name = "ADDRESS")]
    targets: Vec<String>,
    /// Count in what carries this lab's mark and its state does not know, as after the state was lost
    #[arg(long)]
    take_over: bool,
}

impl Targets {
    /// What a plan is about, with the place of its state.
    pub(super) fn options(&self, store: &Store, known: &Known) -> Result<Options, Failure> {
        let targets = known.read(&self.targets, "aim at")?;
        Ok(Options {
            state_file: store.file(),
            farewell: Farewell::default(),
            targets: BTreeSet::from_iter(targets),
            replace: BTreeSet::new(),
            pending: PendingRestarts::Wait,
            marked: match self.take_over {
                true => Marked::TakenOver,
                false => Marked::Shown,
            },
        })
    }
}

/// What is done though the definition has not changed.
#[derive(Debug, Args)]
pub(super) struct Anew {
    /// Make this anew, changed or not: a guest with `install` is installed once more; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    replace: Vec<String>,
    /// Restart the guests that do not run with all of their definition yet
    #[arg(long)]
    restart_pending: bool,
}

impl Anew {
    /// Options with this, too.
    pub(super) fn with(&self, options: Options, known: &Known) -> Result<Options, Failure> {
        let replace = known.read(&self.replace, "replace")?;
        Ok(Options {
            replace: BTreeSet::from_iter(replace),
            pending: match self.restart_pending {
                true => PendingRestarts::Make,
                false => PendingRestarts::Wait,
            },
            ..options
        })
    }
}

/// Whether XML is shown, from the flag.
pub(super) fn diff(wanted: bool) -> Diff {
    if wanted { Diff::Shown } else { Diff::Hidden }
}

pub(super) fn run(common: &Common, arguments: &Arguments, color: Color) -> Result<Exit, Failure> {
    // What others changed has nothing to do with what the definition says.
    let warnings = match arguments.refresh_only {
        true => Warnings::Left,
        false => Warnings::Told,
    };
    let (session, mut live) = Session::open_live(common, Access::Read, warnings, color)?;
    if arguments.refresh_only {
        let known = session.known(&live.state);
        return refresh(common, arguments, &mut live, &known, color);
    }
    let known = session.known(&live.state);
    let options = arguments.targets.options(&live.store, &known)?;
    let options = arguments.anew.with(options, &known)?;
    let plan = session.refresh_and_plan(&mut live, &options)?.plan;
    let options = view::plan::Options {
        color,
        diff: diff(arguments.diff),
    };
    result(&match (arguments.json, common.quiet) {
        (true, _) => json::text(&json::plan(&plan), Form::Lines),
        (false, true) if !plan.problems.has_errors() => view::plan::totals(&plan) + "\n",
        (false, true) => String::new(),
        (false, false) => view::plan::text(&plan, &options),
    })?;
    problems_to_stderr(&plan.problems, &session.sources, color);
    if plan.problems.has_errors() {
        return Err(Failure::Said);
    }
    Ok(if arguments.detailed_exitcode && !plan.is_empty() {
        Exit::Changes
    } else {
        Exit::Success
    })
}

/// Shows what others changed. The definition gives no more than the lab's name.
fn refresh(
    common: &Common,
    arguments: &Arguments,
    live: &mut Live,
    known: &Known,
    color: Color,
) -> Result<Exit, Failure> {
    let targets = arguments.targets.options(&live.store, known)?.targets;
    Known::new(live.state.resources.keys()).check(&targets, "aim at")?;
    let (observed, left_alone) = observe(live, |state| desired::scope(None, state))?;
    // What a run does meanwhile is no change of others.
    let state = left_alone.as_ref().unwrap_or(&live.state);
    let mut drift = drift(&observed, state, &targets);
    match common.secrets() {
        Secrets::Hidden => drift.hide_secrets(),
        Secrets::Shown => {}
    }
    result(&match arguments.json {
        true => json::text(&json::drift(&drift), Form::Lines),
        false => view::drift::text(&drift, color),
    })?;
    Ok(match arguments.detailed_exitcode && !drift.is_empty() {
        true => Exit::Changes,
        false => Exit::Success,
    })
}
