//! Who is behind a change: the definition, someone who changed libvirt's side, or both.

use super::{Action, AttributeChange, Beside, Change, PowerChange, Reason, Said};
use crate::state::Entry;
use crate::xml::merge::Cause;

/// Says of a change who is behind it, as far as the state tells what was applied last.
pub(super) fn find(change: &mut Change, entry: Option<&Entry>) {
    match change.action {
        Action::Update | Action::Replace => {}
        Action::None | Action::Create | Action::Delete | Action::Forget => return,
    }
    for attribute in &mut change.attributes {
        if attribute.cause.is_none() {
            attribute.cause = recorded(attribute, entry);
        }
    }
    match change.reason {
        None | Some(Reason::Drift | Reason::Both) => {}
        Some(Reason::Orphan | Reason::Missing | Reason::Unfinished | Reason::Requested) => return,
    }
    let causes = change.attributes.iter().filter_map(|a| a.cause);
    let all = causes.chain(powered(change, entry)).reduce(Cause::and);
    change.reason = match all {
        Some(Cause::Drift) => Some(Reason::Drift),
        Some(Cause::Both) => Some(Reason::Both),
        Some(Cause::Definition) | None => None,
    };
}

/// Who changed what the state records beside the definition.
fn recorded(attribute: &AttributeChange, entry: Option<&Entry>) -> Option<Cause> {
    let entry = entry?;
    let applied = match attribute.beside? {
        Beside::Autostart => entry.autostart?.to_string(),
        Beside::Active => entry.active?.to_string(),
        // Whatever is made is made so.
        Beside::Persistent => true.to_string(),
        Beside::Name => entry.name.clone(),
    };
    let applied = Said::from(applied);
    let is = |value: &Option<Said>| value.as_ref() == Some(&applied);
    match (is(&attribute.before), is(&attribute.after)) {
        (true, true) => None,
        (true, false) => Some(Cause::Definition),
        (false, true) => Some(Cause::Drift),
        (false, false) => Some(Cause::Both),
    }
}

/// Who is behind a guest's start or stop, where it is for its own sake.
fn powered(change: &Change, entry: Option<&Entry>) -> Option<Cause> {
    let wanted = match change.power? {
        PowerChange::Start | PowerChange::Resume => true,
        PowerChange::Stop | PowerChange::SwitchOff => false,
        PowerChange::Restart => return None,
    };
    Some(cause(entry?.active? == wanted))
}

fn cause(as_applied: bool) -> Cause {
    match as_applied {
        true => Cause::Drift,
        false => Cause::Definition,
    }
}
