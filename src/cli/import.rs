//! `miniascape import`

use clap::Args;

use super::output::{Failure, result, say};
use super::session::{Session, Warnings, hypervisor_id};
use super::{Common, Exit};
use crate::desired::moved::view;
use crate::diagnostic::Diagnostics;
use crate::plan::{self, Adoption};
use crate::state::store::Access;
use crate::view::Color;
use crate::view::plain::one_line;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// What to take over, such as network.front or volume.web1.root
    #[arg(required_unless_present = "all", value_name = "ADDRESS")]
    addresses: Vec<String>,
    /// Take over all that the definition names and that is there
    #[arg(long, conflicts_with = "addresses")]
    all: bool,
}

pub(super) fn run(common: &Common, arguments: &Arguments, color: Color) -> Result<Exit, Failure> {
    let (session, mut live) = Session::open_live(common, Access::Write, Warnings::Left, color)?;
    let addresses = session
        .known(&live.state)
        .read(&arguments.addresses, "take over")?;
    let (observed, desired) = session.refresh(&mut live)?;
    let view = view(&session.lab.name, &session.lab.moves, None, &live.state);
    // All or none: half an import would have to be found out by looking.
    let (adoption, problems) = if arguments.all {
        plan::import_all(&desired, &observed, &view.state)
    } else {
        let mut problems = Diagnostics::default();
        let mut adoption = Adoption::default();
        for address in &addresses {
            match plan::import(&desired, &observed, &view.state, address) {
                Ok(entry) => adoption.entries.push((address.clone(), entry)),
                Err(problem) => problems.push(problem),
            }
        }
        (adoption, problems)
    };
    session.check(&problems)?;
    live.store.begin(&hypervisor_id(&observed.facts))?;
    for (address, entry) in &adoption.entries {
        live.store.settle(address, Some(entry))?;
    }
    live.store.finish()?;
    for (address, entry) in &adoption.entries {
        let name = one_line(&entry.name);
        result(&format!("{address} is `{name}` now.\n"))?;
    }
    if arguments.all {
        result(&format!(
            "Taken over: {}; {} were this lab's already, {} are not there.\n",
            adoption.entries.len(),
            adoption.known.len(),
            adoption.absent.len()
        ))?;
        for address in &adoption.absent {
            say(&format!("not there: {address}"));
        }
    }
    result("`miniascape plan` shows what differs from the definition.\n")?;
    Ok(Exit::Success)
}
