//! One object's definition: its template's text, the user's own XML over it, and to whom it belongs.

use serde::Serialize;

use super::Detail;
use super::build::{Builder, Part};
use super::ownership::Owner;
use crate::address::{Address, Kind};
use crate::diagnostic::Diagnostic;
use crate::fingerprint::fingerprint;
use crate::lab::model::Overlay;
use crate::xml::document::Document;
use crate::xml::merge;
use crate::xml::tree::Element;

impl Builder<'_> {
    /// Renders a template. What it gives is read where that is needed.
    pub(super) fn render<C: Serialize>(
        &self,
        address: &Address,
        template: &'static str,
        context: &C,
        overlay: Option<&Overlay>,
    ) -> Result<Draft, Diagnostic> {
        let text = self
            .templates
            .render(&file(template), context)
            .map_err(|error| error.diagnostic(&format!("for {address}")))?;
        Ok(Draft {
            template,
            text,
            overlay: overlay.map(|overlay| overlay.tree.clone()),
        })
    }

    pub(super) fn owner(&self, address: &Address, name: &str, detail: &Detail) -> Owner {
        Owner::new(&self.lab.name, address, name, detail)
    }

    /// Makes a definition, with name, UUID and mark. One that comes of the same as when it was seen is made when it is looked into.
    pub(super) fn definition<C: Serialize>(
        &self,
        part: Part,
        owner: Owner,
        template: &'static str,
        context: &C,
        overlay: Option<&Overlay>,
    ) -> Result<Document, Diagnostic> {
        let inputs = || {
            let (sources, seen) = self.memory?;
            // There are few pools and images, and they are looked into in any case.
            if matches!(owner.address.kind, Kind::Pool | Kind::Image) {
                return None;
            }
            let templates = self.templates.fingerprint()?;
            let context = serde_json::to_vec(context).ok()?;
            let overlay = overlay.map(|overlay| &overlay.tree);
            let fingerprint = fingerprint(&(templates, template, &context, overlay, &owner));
            Some((sources, seen, fingerprint))
        };
        let inputs = inputs();
        if let Some((sources, seen, fingerprint)) = inputs
            && seen.has(fingerprint)
        {
            let (sources, address) = (sources.clone(), owner.address);
            let again = move || sources.definition(&part, &address);
            return Ok(Document::made(fingerprint, again));
        }
        let draft = self.render(&owner.address, template, context, overlay)?;
        let mut xml = draft.read(&owner.address)?;
        if let Some(problem) = owner.renamed_by_overlay(&xml) {
            return Err(problem);
        }
        owner.stamp(&mut xml);
        let fingerprint = match inputs {
            Some((_, _, fingerprint)) if !self.templates.reads_elsewhere() => fingerprint,
            // A file from elsewhere may be another one the next time.
            Some(_) | None => fingerprint(&(&draft, &owner)),
        };
        Ok(Document::read(fingerprint, &xml))
    }
}

/// What a template gave, and what the user lays over it.
#[derive(Debug, Hash)]
pub(super) struct Draft {
    template: &'static str,
    text: String,
    overlay: Option<Element>,
}

impl Draft {
    /// Reads and overlays.
    pub(super) fn read(&self, address: &Address) -> Result<Element, Diagnostic> {
        let Self { template, text, .. } = self;
        let name = file(template);
        let mut xml = Element::parse(text).map_err(|error| {
            let line = text[..error.offset.min(text.len())].matches('\n').count();
            let shown = text.lines().nth(line).unwrap_or_default().trim();
            Diagnostic::error(format!(
                "template {name} gives XML that cannot be read: {error}"
            ))
            .label(format!("for {address}"))
            .hint(format!("line {} of what it gives is `{shown}`", line + 1))
        })?;
        if xml.name != *template {
            return Err(Diagnostic::error(format!(
                "template {name} gives `<{}>` where `<{template}>` belongs",
                xml.name
            ))
            .label(format!("for {address}"))
            .hint("the copy of it that is found first in the template path counts"));
        }
        if let Some(overlay) = &self.overlay {
            merge::overlay(&mut xml, overlay);
        }
        Ok(xml)
    }
}

fn file(template: &str) -> String {
    format!("libvirt/{template}.xml.j2")
}
