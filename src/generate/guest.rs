//! The files of one guest.

use minijinja::Value;
use minijinja::value::Serde;

use super::files::SECRET;
use super::output::Output;
use super::request::Request;
use super::vmbuild::{self, Build};
use crate::address::Address;
use crate::desired::answers::{self, whole_lines};
use crate::desired::contexts::Contexts;
use crate::desired::{Desired, Resource};
use crate::diagnostic::Diagnostic;
use crate::lab::model::Guest;

/// The template of the script that builds a guest.
pub(super) const SCRIPT: &str = "guest/vmbuild.sh.j2";

/// What a template for a guest sees that is shown on its own: all that any template of the guest's sees.
pub(super) fn context(
    request: &Request<'_>,
    desired: &Desired,
    contexts: &Contexts<'_>,
    guest: &Guest,
    dst: &str,
) -> Result<Value, Diagnostic> {
    let mut more = answers::answers(contexts, request.templates, guest)?;
    if let Some(resource) = desired.resources.get(&Address::guest(&guest.key)) {
        let build = Build::new(request, desired, guest, resource);
        more.push(("build", Value::from(Serde(&build))));
    }
    Ok(contexts.guest(guest, dst, more))
}

/// Compiles the files of a guest.
pub(super) fn files(
    request: &Request<'_>,
    desired: &Desired,
    contexts: &Contexts<'_>,
    guest: &Guest,
    output: &mut Output<'_>,
) {
    let address = Address::guest(&guest.key);
    let Some(resource) = desired.resources.get(&address) else {
        return;
    };
    let result = compile(request, desired, contexts, guest, resource, output);
    if let Err(problem) = result {
        output.report(&address, problem);
    }
}

fn compile(
    request: &Request<'_>,
    desired: &Desired,
    contexts: &Contexts<'_>,
    guest: &Guest,
    resource: &Resource,
    output: &mut Output<'_>,
) -> Result<(), Diagnostic> {
    let address = &resource.address;
    let at = |name: &str| format!("{}/{name}", guest.key);
    output.text(address, at("domain.xml"), resource.xml.tree().to_string());

    let answers = desired.answers.get(&guest.key);
    for file in answers.iter().flat_map(|answers| &answers.files) {
        let text = file.text.clone().into_bytes();
        output.add(address, at(&file.name), text, SECRET);
    }

    if let Some(bytes) = vmbuild::seed(desired, guest, resource) {
        output.add(address, at(vmbuild::SEED), bytes.to_vec(), SECRET);
    }

    let build = Build::new(request, desired, guest, resource);
    for (path, xml) in build.definitions(desired) {
        output.text(address, at(&path), xml.to_string());
    }
    for problem in vmbuild::warnings(request, guest) {
        output.report(address, problem);
    }
    let script = "vmbuild.sh";
    let context = contexts.guest(
        guest,
        &at(script),
        vec![("build", Value::from(Serde(&build)))],
    );
    let text = request
        .templates
        .render(SCRIPT, &context)
        .map_err(|error| error.diagnostic(&format!("for {script} of {address}")))?;
    output.text(address, at(script), text + "\n");

    for template in &guest.templates {
        let path = at(&template.dst);
        let context = contexts.guest(guest, &path, Vec::new());
        let text = request
            .templates
            .render(&template.src, &context)
            .map_err(|error| {
                error.diagnostic(&format!("for templates.{} of {address}", template.key))
            })?;
        output.text(address, path, whole_lines(text));
    }
    Ok(())
}
