//! `miniascape apply`

use std::collections::BTreeSet;

use clap::{Args, ValueEnum};
use globset::{Glob, GlobMatcher};

use super::confirm::agree;
use super::named::Known;
use super::output::{Failure, problems_to_stderr, result, say, show};
use super::plan::{Anew, Targets, diff};
use super::run::{self, Telling};
use super::session::{Aim, Planned, Session, Warnings};
use super::{Common, Exit};
use crate::address::{Address, Kind};
use crate::plan::{Action, Disruption, Plan};
use crate::settled;
use crate::state::store::Access;
use crate::view::{self, Color};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Show the XML that changes, too
    #[arg(long)]
    diff: bool,
    /// Print what happens as JSON, an event in a line
    #[arg(long, requires = "yes")]
    json: bool,
    #[command(flatten)]
    targets: Targets,
    #[command(flatten)]
    anew: Anew,
    /// How many resources are worked on at once [default: 10]
    #[arg(long, value_name = "N", value_parser = super::run::parallel)]
    parallel: Option<usize>,
    /// Refuse a plan that is felt more than this: live (by no one), relink (a network restarts), restart (guests do) or recreate (made anew) [default: recreate]
    #[arg(long, value_name = "CLASS", hide_possible_values = true)]
    max_disruption: Option<MaxDisruption>,
    /// Let this volume lose its data, or this guest that of all its disks and its saved memory: an address, or a pattern such as volume.*.cache; may be repeated [default: none]
    #[arg(long, value_name = "GLOB")]
    allow_data_loss: Vec<Glob>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MaxDisruption {
    /// No one notices
    Live,
    /// A network restarts: seconds of packet loss
    Relink,
    /// Guests stop and start
    Restart,
    /// Objects are deleted and made anew
    Recreate,
}

impl From<MaxDisruption> for Disruption {
    fn from(class: MaxDisruption) -> Self {
        match class {
            MaxDisruption::Live => Disruption::Live,
            MaxDisruption::Relink => Disruption::Relink,
            MaxDisruption::Restart => Disruption::Restart,
            MaxDisruption::Recreate => Disruption::Recreate,
        }
    }
}

pub(super) fn run(common: &Common, arguments: &Arguments, color: Color) -> Result<Exit, Failure> {
    let (session, mut live) = Session::open_live(common, Access::Write, Warnings::Told, color)?;
    let known = session.known(&live.state);
    let options = arguments.targets.options(&live.store, &known)?;
    let options = arguments.anew.with(options, &known)?;
    check_consent(&arguments.allow_data_loss, &known)?;
    let view = view::plan::Options {
        color,
        diff: diff(arguments.diff),
    };
    let telling = if arguments.json {
        Telling::Json
    } else {
        Telling::People
    };
    let asks = |plan: &Plan| !plan.is_empty() && !arguments.yes;
    let show_plan = |planned: &Planned| {
        let plan = &planned.plan;
        // Nobody agrees to what he does not see.
        if telling == Telling::People && (!common.quiet || asks(plan)) {
            result(&view::plan::text(plan, &view))?;
        }
        problems_to_stderr(&plan.problems, &session.sources, color);
        if plan.problems.has_errors() {
            say("\nNothing was changed.");
            return Err(Failure::Said);
        }
        refuse_disruption(plan, arguments)?;
        refuse_data_loss(plan, arguments)
    };
    let look = || session.refresh_and_plan(&mut live, &options);
    let Planned {
        observed,
        desired,
        plan,
    } = match agree("\nApply this plan?", asks, look, show_plan)? {
        Ok(agreed) => agreed,
        Err(exit) => return Ok(exit),
    };
    let work = !plan.is_empty();

    let parallel = arguments.parallel.or(session.settings.parallel);
    let facts = observed.facts.clone();
    let (mut live, ended) = run::run(common, live, &facts, &plan, parallel, telling)?;
    if ended.exit == Exit::Success && !work {
        live.remember(settled::keep(&desired, &observed, &live.state, &plan));
    }
    if ended.exit != Exit::Success || !work {
        return Ok(ended.exit);
    }
    let done = run::summary(&plan);
    let touched = plan.touched();
    drop(plan);
    let looked_at = session.refresh_after(&mut live, (observed, desired), &touched)?;
    let Planned {
        observed,
        desired,
        plan: again,
    } = session.plan_closely(&mut live, looked_at, Aim::Verify(&options.targets))?;
    if !again.is_empty() {
        say("error: all steps were done, and this still differs:\n");
        show(view::plan::text(&again, &view).trim_end());
        say(
            "\nlibvirt did not keep it, or someone changed it meanwhile. If a second apply does not help, take what\nlibvirt will not keep out of the definition.",
        );
        return Ok(Exit::Failure);
    }
    live.state = live.store.learn(again.entries())?;
    live.remember(settled::keep(&desired, &observed, &live.state, &again));
    if telling == Telling::People {
        result(&format!("\nApplied in {:.1} s: {done}.\n", ended.seconds))?;
    }
    Ok(Exit::Success)
}

fn refuse_disruption(plan: &Plan, arguments: &Arguments) -> Result<(), Failure> {
    let Some(limit) = arguments.max_disruption.map(Disruption::from) else {
        return Ok(());
    };
    let over: Vec<String> = plan
        .changes
        .values()
        .filter_map(|change| {
            let class = change.disruption.filter(|class| *class > limit)?;
            Some(format!("{} ({class})", change.address))
        })
        .collect();
    if over.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        format!(
            "the plan costs more than `{limit}`, and nothing was changed: {}",
            over.join(", ")
        ),
        "allow more with `--max-disruption`, or leave these out with `--target`",
    ))
}

/// Checks that consent is given to addresses, or to patterns of such.
fn check_consent(given: &[Glob], known: &Known) -> Result<(), Failure> {
    let names_a_kind = |glob: &&Glob| {
        let kind = glob.glob().split_once('.');
        let kind = kind.and_then(|(kind, _)| Glob::new(kind).ok());
        let kind = kind.map(|kind| kind.compile_matcher());
        kind.is_some_and(|it| Kind::ALL.iter().any(|known| it.is_match(known.as_str())))
    };
    match given.iter().find(|glob| !names_a_kind(glob)) {
        None => Ok(()),
        Some(glob) => Err(Failure::Message(
            format!("`{glob}` is no address, and no pattern such as `volume.*.cache`"),
            match glob.glob().contains(['*', '?', '[', '{']) {
                true => Some("write the kind, too: `volume.*`".to_owned()),
                false => known.hint(glob.glob()),
            },
        )),
    }
}

fn refuse_data_loss(plan: &Plan, arguments: &Arguments) -> Result<(), Failure> {
    let allowed: Vec<(&Glob, GlobMatcher)> = arguments
        .allow_data_loss
        .iter()
        .map(|glob| (glob, glob.compile_matcher()))
        .collect();
    // A guest's consent is one for all of its disks.
    let guest = |address: &Address| address.disk().map(|(guest, _)| Address::guest(&guest));
    let covers = |matcher: &GlobMatcher, address: &Address| {
        let guest = guest(address);
        std::iter::once(address)
            .chain(&guest)
            .any(|it| matcher.is_match(it.to_string()))
    };
    // A run that was broken off may have deleted it: the same command goes on. A typo allows nothing, and so is seen.
    for (glob, matcher) in &allowed {
        if !plan.changes.keys().any(|address| covers(matcher, address)) {
            say(&format!(
                "note: there is no {} that could lose data",
                glob.glob()
            ));
        }
    }
    let lost: Vec<&Address> = plan
        .changes
        .values()
        .filter(|change| change.data_loss.is_some())
        .map(|change| &change.address)
        .filter(|address| !allowed.iter().any(|(_, matcher)| covers(matcher, address)))
        .collect();
    if lost.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = lost.iter().map(ToString::to_string).collect();
    let is_replaced = |guest: &Address| {
        plan.changes
            .get(guest)
            .is_some_and(|change| change.action == Action::Replace)
    };
    let named: BTreeSet<Address> = lost
        .into_iter()
        .map(|address| {
            guest(address)
                .filter(is_replaced)
                .unwrap_or_else(|| address.clone())
        })
        .collect();
    let flags: Vec<String> = named
        .iter()
        .map(|name| format!("--allow-data-loss {name}"))
        .collect();
    let is_memory = |address: &Address| address.kind == Kind::Guest && !is_replaced(address);
    let (memory, data) = (named.iter().any(is_memory), !named.iter().all(is_memory));
    let ways_out = [
        (data, "; to keep a volume, give its disk `keep: true`"),
        (memory, "; to keep a guest's saved memory, start it first"),
    ];
    let ways_out = ways_out.iter().filter(|(counts, _)| *counts);
    Err(Failure::new(
        format!(
            "data would be lost, and nothing was changed: {}",
            names.join(", ")
        ),
        format!(
            "if that is right, add {}{}",
            flags.join(" "),
            ways_out.map(|(_, way)| *way).collect::<String>()
        ),
    ))
}
