//! Plans and events for programs. The forms are versioned and stand in docs/json.md.

use serde_json::{Value, json};

use super::plain;
use super::plan::Totals;
use crate::diagnostic::Severity;
use crate::execute::Event;
use crate::plan::drift::{Drift, Drifted};
use crate::plan::{AttributeChange, Change, Plan};
use crate::secret::hide;

/// Name and version of a plan's form. The version goes up when a key changes its meaning or goes; new keys may come any time.
pub const PLAN_FORMAT: &str = "miniascape.plan/1";
/// Name and version of the form in which others' changes are told.
pub const DRIFT_FORMAT: &str = "miniascape.drift/1";
/// Name and version of an event's form.
pub const EVENT_FORMAT: &str = "miniascape.event/1";

/// JSON as it is printed: over many lines for one object, in one line where there are more. Keys are sorted.
pub fn text(value: &Value, form: Form) -> String {
    let mut value = value.clone();
    value.sort_all_objects();
    plain::json(&match form {
        Form::Lines => format!("{value:#}\n"),
        Form::Line => format!("{value}\n"),
    })
}

/// How JSON is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Over many lines.
    Lines,
    /// In one.
    Line,
}

/// A plan with all its changes, those that do nothing too.
pub fn plan(plan: &Plan) -> Value {
    let totals = Totals::of(plan);
    let problems: Vec<Value> = plan
        .problems
        .sorted()
        .into_iter()
        .map(|problem| {
            json!({
                "severity": match problem.severity {
                    Severity::Error => "error",
                    Severity::Warning => "warning",
                },
                "summary": problem.summary,
                "note": problem.note,
                "hint": problem.hint,
            })
        })
        .collect();
    json!({
        "format": PLAN_FORMAT,
        "lab": plan.lab,
        "hypervisor": plan.uri,
        "changes": plan.changes.values().map(change).collect::<Vec<_>>(),
        "totals": {
            "create": totals.create,
            "change": totals.change,
            "start": totals.start,
            "stop": totals.stop,
            "replace": totals.replace,
            "delete": totals.delete,
            "forget": totals.forget,
            "unchanged": totals.unchanged,
            "data_loss_bytes": totals.replace_loss + totals.delete_loss,
        },
        "problems": problems,
    })
}

fn change(change: &Change) -> Value {
    let attributes = |all: &[AttributeChange]| -> Vec<Value> {
        let told = all.iter().map(|attribute| {
            json!({
                "name": attribute.name,
                "before": attribute.before,
                "after": attribute.after,
                "disruption": attribute.disruption,
                "note": attribute.note.as_ref().map(ToString::to_string),
                "cause": attribute.cause,
                "last_applied": attribute.last,
            })
        });
        told.collect()
    };
    let steps = change.quiesce.iter().chain(&change.steps);
    json!({
        "address": change.address,
        "moved_from": change.moved_from,
        "action": change.action,
        "reason": change.reason,
        "disruption": change.disruption,
        "power": change.power,
        "data_loss_bytes": change.data_loss,
        "summary": change.summary,
        "attributes": attributes(&change.attributes),
        "notes": change.notes,
        "pending_restart": attributes(&change.pending),
        "foreign": attributes(&change.foreign),
        "steps": steps.map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// What others changed.
pub fn drift(drift: &Drift) -> Value {
    let resources = drift.resources.iter().filter_map(|(address, drifted)| {
        let (change, attributes) = match drifted {
            Drifted::No => return None,
            Drifted::Changed(attributes) => ("changed", attributes.as_slice()),
            Drifted::Gone => ("gone", &[][..]),
            Drifted::Unfinished => ("unfinished", &[][..]),
        };
        let attributes = attributes.iter().map(|attribute| {
            json!({
                "name": attribute.name,
                "before": attribute.before,
                "after": attribute.after,
            })
        });
        Some(json!({
            "address": address,
            "change": change,
            "attributes": attributes.collect::<Vec<_>>(),
        }))
    });
    let totals = super::drift::Totals::of(drift);
    json!({
        "format": DRIFT_FORMAT,
        "lab": drift.lab,
        "hypervisor": drift.uri,
        "resources": resources.collect::<Vec<_>>(),
        "totals": {
            "as_applied": totals.as_applied,
            "changed": totals.changed,
            "gone": totals.gone,
            "unfinished": totals.unfinished,
        },
    })
}

/// One event of a run.
pub fn event(event: &Event) -> Value {
    let of = |kind: &str, address: &crate::address::Address, more: Value| {
        let mut value = json!({"format": EVENT_FORMAT, "event": kind, "address": address});
        if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
            value.extend(more);
        }
        value
    };
    match event {
        Event::Started { address } => of("started", address, json!({})),
        Event::Step {
            address,
            description,
        } => of("step", address, json!({"step": description})),
        Event::Progress {
            address,
            done,
            total,
        } => of("progress", address, json!({"done": done, "total": total})),
        Event::Says { address, line } => of("says", address, json!({"line": hide(line)})),
        Event::Note { address, text } => of("note", address, json!({"text": hide(text)})),
        Event::Finished { address, elapsed } => of(
            "finished",
            address,
            json!({"seconds": elapsed.as_secs_f64()}),
        ),
        Event::Failed {
            address,
            description,
            error,
        } => of(
            "failed",
            address,
            json!({"step": description, "message": error.message, "hint": error.hint}),
        ),
        Event::Skipped { address, because } => of("skipped", address, json!({"because": because})),
    }
}
