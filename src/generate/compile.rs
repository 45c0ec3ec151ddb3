//! Compiles a lab into files.

use minijinja::Value;

use super::files::Files;
use super::guest;
use super::host::{self, HostError};
use super::output::Output;
use super::request::{Request, Selection};
use crate::address::{Address, Kind};
use crate::desired::contexts::Contexts;
use crate::desired::{self, Desired};
use crate::diagnostic::Diagnostics;
use crate::lab::HOST;
use crate::lab::model::Guest;
use crate::plan::unfit;

/// Compiles. The files are whole only where there is no error among the problems; they come all at once.
pub fn files(request: &Request<'_>) -> (Files, Diagnostics) {
    let (desired, mut problems) = desired::build(request.lab, request.assumed, request.templates);
    problems.extend(unfit::anywhere(&desired, &request.lab.places));
    let mut output = Output {
        lab: request.lab,
        files: Files::new(),
        problems,
    };
    if output.problems.has_errors() {
        return (output.files, output.problems);
    }
    let contexts = Contexts::new(request.lab);
    match request.selection {
        Selection::All => {
            definitions(&desired, &mut output);
            match host::files(&contexts, request.templates) {
                Ok(files) => {
                    let twice = output.host(files).into_iter().map(HostError::Twice);
                    twice.for_each(|twice| output.problems.push(twice.into()));
                }
                Err(error) => output.problems.push(error.into()),
            }
        }
        Selection::Guests(_) => {}
    }
    for guest in request.lab.guests.values() {
        if request.selection.has(&guest.key) {
            guest::files(request, &desired, &contexts, guest, &mut output);
        }
    }
    output.check();
    (output.files, output.problems)
}

/// What templates see: for a guest all that any template of its sees, without one what the host's see. `dst` is where the
/// text goes.
pub fn context(request: &Request<'_>, guest: Option<&Guest>, dst: &str) -> (Value, Diagnostics) {
    let contexts = Contexts::new(request.lab);
    let Some(guest) = guest else {
        return (contexts.host(dst, Vec::new()), Diagnostics::default());
    };
    let (desired, mut problems) = desired::build(request.lab, request.assumed, request.templates);
    let context = guest::context(request, &desired, &contexts, guest, dst);
    let context = context.unwrap_or_else(|problem| {
        let place = request.lab.places.get(&Address::guest(&guest.key));
        problems.push(problem.at(place.copied()));
        Value::default()
    });
    (context, problems)
}

/// The definitions of networks and pools.
fn definitions(desired: &Desired, output: &mut Output<'_>) {
    for (address, resource) in &desired.resources {
        let directory = match address.kind {
            Kind::Network => "networks",
            Kind::Pool => "pools",
            Kind::Reservations | Kind::Image | Kind::Volume | Kind::Guest => continue,
        };
        let path = format!("{HOST}/{directory}/{}.xml", address.name);
        output.text(address, path, resource.xml.tree().to_string());
    }
}
