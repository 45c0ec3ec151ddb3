//! What is shown of a plan, without the passwords that are in it. Its steps keep them.

use super::drift::{Drift, Drifted};
use super::{AttributeChange, Plan, Said};
use crate::secret::{hide_both, hide_values};
use crate::xml::document::Document;
use crate::xml::tree::Element;

impl Plan {
    /// Hides passwords in all that is there to be shown; a change of one is still seen.
    pub fn hide_secrets(&mut self) {
        for change in self.changes.values_mut() {
            let waiting = change.pending.iter_mut().chain(&mut change.foreign);
            let attributes = change.attributes.iter_mut().chain(waiting);
            attributes.for_each(attribute);
            let (before, after) = (change.before_xml.take(), change.after_xml.take());
            change.before_xml =
                document(before.as_ref(), (before.as_ref(), after.as_ref()), |both| {
                    both.0
                });
            change.after_xml =
                document(after.as_ref(), (before.as_ref(), after.as_ref()), |both| {
                    both.1
                });
        }
    }
}

impl Drift {
    /// Hides passwords; a change of one is still seen.
    pub fn hide_secrets(&mut self) {
        for drifted in self.resources.values_mut() {
            match drifted {
                Drifted::Changed(attributes) => attributes.iter_mut().for_each(attribute),
                Drifted::No | Drifted::Gone | Drifted::Unfinished => {}
            }
        }
    }
}

fn attribute(change: &mut AttributeChange) {
    let name = change.name.clone();
    // Sizes are no secrets.
    let text = |said: &Option<Said>| match said {
        Some(Said::Text(text)) => Some(text.clone()),
        Some(Said::Bytes(_)) | None => None,
    };
    let hide = |before: &mut Option<Said>, after: &mut Option<Said>| {
        let (mut hidden_before, mut hidden_after) = (text(before), text(after));
        hide_values(&name, &mut hidden_before, &mut hidden_after);
        for (said, hidden) in [(before, hidden_before), (after, hidden_after)] {
            if let Some(hidden) = hidden {
                *said = Some(hidden.into());
            }
        }
    };
    hide(&mut change.before, &mut change.after);
    hide(&mut change.last, &mut None);
}

/// One of the definitions before and after a change. They are looked into only where they are shown.
fn document(
    one: Option<&Document>,
    (before, after): (Option<&Document>, Option<&Document>),
    which: impl Fn((String, String)) -> String + Send + Sync + 'static,
) -> Option<Document> {
    let (before, after) = (before.cloned(), after.cloned());
    Some(Document::made(one?.fingerprint(), move || {
        let text = |document: &Option<Document>| {
            let tree = document.as_ref().map(Document::tree);
            tree.map(|tree| tree.to_string()).unwrap_or_default()
        };
        let hidden = which(hide_both(&text(&before), &text(&after)));
        // What stands for a password is as good in XML.
        Element::parse(&hidden).ok()
    }))
}
