//! `miniascape destroy`

use clap::Args;

use super::confirm::agree;
use super::named::Known;
use super::output::{Failure, problems_to_stderr, result, say, show};
use super::plan::Targets;
use super::run::{self, Telling};
use super::session::{connect, lab_meant, name_and_settings, observe, state_directory};
use super::{Common, Exit};
use crate::address::Name;
use crate::desired;
use crate::diagnostic::SourceMap;
use crate::libvirt::observed::Observed;
use crate::libvirt::{Others, Scope};
use crate::plan::{self, Farewell, Plan};
use crate::state::State;
use crate::state::cache::Cache;
use crate::state::store::Access;
use crate::view::plan::Diff;
use crate::view::{self, Color};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    targets: Targets,
    /// Ask every guest to shut down, also those whose disks all go with them, which are switched off at once else
    #[arg(long)]
    graceful: bool,
    /// How many resources are worked on at once [default: 10]
    #[arg(long, value_name = "N", value_parser = super::run::parallel)]
    parallel: Option<usize>,
    /// The lab's name, where its definition is gone or broken
    #[arg(long, value_name = "NAME", value_parser = name)]
    lab: Option<Name>,
}

/// The plan of a deletion, and what it was made of.
struct Planned {
    observed: Observed,
    plan: Plan,
}

impl AsRef<Plan> for Planned {
    fn as_ref(&self) -> &Plan {
        &self.plan
    }
}

/// Reads the name of a lab.
pub(super) fn name(text: &str) -> Result<Name, String> {
    Name::new(text).map_err(|error| error.to_string())
}

pub(super) fn run(common: &Common, arguments: &Arguments, color: Color) -> Result<Exit, Failure> {
    // The state alone says what is to go; of the definition only the lab's name is needed, and its groups for hints.
    let (lab, settings, defined) =
        name_and_settings(common, arguments.lab.as_ref(), "destroy", color)?;
    let states = state_directory(common, &settings);
    if arguments.lab.is_some()
        && let Some(meant) = lab_meant(&states, &lab)
    {
        let states = states.display();
        say(&format!(
            "note: lab {lab} has no state in {states}; {meant}"
        ));
    }
    let mut live = connect(common, &settings, &lab, Access::Write)?;
    let known = Known::new(live.state.resources.keys());
    let known = match &defined {
        Some(lab) => known.with_groups(lab),
        None => known,
    };
    let options = plan::Options {
        farewell: match arguments.graceful {
            true => Farewell::Graceful,
            false => Farewell::ByWhatStays,
        },
        ..arguments.targets.options(&live.store, &known)?
    };
    known.check(&options.targets, "destroy")?;
    let scope = |state: &State| {
        let scope = desired::scope(None, state);
        let others = match scope.volumes.is_empty() {
            true => Others::Unread,
            false => Others::Read,
        };
        Scope { others, ..scope }
    };
    let view = view::plan::Options {
        color,
        diff: Diff::Hidden,
    };
    let asks = |plan: &Plan| !plan.is_empty() && !arguments.yes;
    let show_plan = |found: &Planned| {
        let plan = &found.plan;
        // Nobody agrees to what he does not see.
        if asks(plan) || !(plan.is_empty() || common.quiet) {
            result(&view::plan::text(plan, &view))?;
        }
        problems_to_stderr(&plan.problems, &SourceMap::default(), color);
        match plan.problems.has_errors() {
            true => {
                say("\nNothing was changed.");
                Err(Failure::Said)
            }
            false => Ok(()),
        }
    };
    let look = || {
        let (mut observed, _) = observe(&mut live, scope)?;
        let mut plan = plan::destroy(&lab, &observed, &live.state, &options);
        if live.learn_jobs(&plan, &mut observed)? {
            plan = plan::destroy(&lab, &observed, &live.state, &options);
        }
        Ok(Planned { observed, plan })
    };
    let Planned { observed, plan } = match agree("\nDestroy all this?", asks, look, show_plan)? {
        Ok(agreed) => agreed,
        Err(exit) => return Ok(exit),
    };
    let kept = kept(&plan);
    if plan.is_empty() && !plan.problems.has_errors() {
        result(&format!(
            "Nothing to do: lab {lab} has nothing here{kept}.\n"
        ))?;
        return Ok(Exit::Success);
    }

    let parallel = arguments.parallel.or(settings.parallel);
    // Before anything goes: if this run dies, the last of those that follow has nothing to do.
    live.remember(Cache::default());
    let (mut live, ended) = run::run(
        common,
        live,
        &observed.facts,
        &plan,
        parallel,
        Telling::People,
    )?;
    if ended.exit != Exit::Success {
        return Ok(ended.exit);
    }
    let (observed, _) = observe(&mut live, |state| desired::scope(None, state))?;
    let again = plan::destroy(&lab, &observed, &live.state, &options);
    if !again.is_empty() {
        say("error: all steps were done, and this is still there:\n");
        show(view::plan::text(&again, &view).trim_end());
        return Ok(Exit::Failure);
    }
    result(&format!(
        "\nDestroyed in {:.1} s: {}{kept}.\n",
        ended.seconds,
        run::summary(&plan)
    ))?;
    Ok(Exit::Success)
}

/// What stays of the lab, for the closing line.
fn kept(plan: &Plan) -> String {
    let kept: Vec<String> = plan
        .changes
        .values()
        .filter(|change| !change.is_shown())
        .map(|change| change.address.to_string())
        .collect();
    if kept.is_empty() {
        String::new()
    } else {
        format!("; kept: {}", kept.join(", "))
    }
}
