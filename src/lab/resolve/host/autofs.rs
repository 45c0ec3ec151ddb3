//! What autofs mounts: the ISO images, and the user's own maps.

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostic, Span};
use crate::lab::decode::Spanned;
use crate::lab::model::host::{Autofs, AutofsEntry, AutofsMap};
use crate::lab::resolve::{Resolver, value, value_or};
use crate::lab::written::host::{AutofsSpec, EntrySpec};

/// The mount point that makes a map a direct one: its keys are whole paths. auto.master(5)
const DIRECT: &str = "/-";

impl Resolver<'_> {
    /// Resolves what autofs mounts.
    pub(super) fn autofs(&mut self, spec: &AutofsSpec) -> Autofs {
        let mut seen: BTreeMap<String, Span> = BTreeMap::new();
        let mut maps = Vec::new();
        for (written, map) in &spec.maps {
            let direct = written.value == DIRECT;
            let mount = match direct {
                true => DIRECT.to_owned(),
                false => {
                    self.check_autofs_path(written);
                    self.host_path(written)
                }
            };
            if let Some(first) = seen.insert(mount.clone(), written.span) {
                let problem = Diagnostic::error(format!("two autofs maps are mounted at {mount}"))
                    .at(written.span)
                    .related(Some(first), "the other one")
                    .hint("write one map with the entries of both");
                self.problems.push(problem);
            }
            if map.entries.is_empty() {
                self.report(
                    Diagnostic::error(format!("the autofs map at {mount} has no entries"))
                        .at(written.span)
                        .hint("write `entries: {KEY: \"server:/path\"}`"),
                );
            }
            let mut entries = BTreeMap::new();
            for (key, entry) in &map.entries {
                let key = match direct {
                    true => {
                        self.check_autofs_path(key);
                        self.host_path(key)
                    }
                    false => self.entry_key(key),
                };
                entries.extend(self.entry(entry).map(|entry| (key, entry)));
            }
            maps.push(AutofsMap {
                mount,
                options: self.mount_options(map.options.as_deref().unwrap_or_default()),
                timeout: value(&map.timeout),
                entries,
            });
        }
        maps.sort_by(|a, b| a.mount.cmp(&b.mount));
        Autofs {
            isos: value_or(&spec.isos, false),
            timeout: value(&spec.timeout),
            maps,
        }
    }

    /// Checks a path that autofs reads: a backslash saves most characters from it, but not these.
    pub(super) fn check_autofs_path(&mut self, path: &Spanned<String>) {
        let text = &path.value;
        if !text.is_ascii() || text.contains(['"', '\\', '%']) || text.contains("  ") {
            self.report(
                Diagnostic::error(format!("autofs does not find `{}`", text.escape_debug()))
                    .at(path.span)
                    .hint("write a path in ASCII, without `\"`, `\\`, `%` and doubled spaces"),
            );
        }
    }

    /// The key of an indirect map: the name of a directory, or `*`.
    fn entry_key(&mut self, key: &Spanned<String>) -> String {
        let odd = |c: char| c == '/' || c == '"' || c == '\\' || c.is_whitespace();
        if key.value.is_empty() || key.value.contains(odd) || key.value.contains(char::is_control) {
            self.report(
                Diagnostic::error(format!("`{}` is not a key of an autofs map", key.value))
                    .at(key.span)
                    .hint("it is the name of a directory below the mount point, or `*`; whole paths are the keys of the map at `/-`"),
            );
        }
        key.value.clone()
    }

    fn entry(&mut self, spec: &EntrySpec) -> Option<AutofsEntry> {
        let options = self.mount_options(spec.options.as_deref().unwrap_or_default());
        let location = spec.location.as_ref()?;
        let text = &location.value;
        let odd = |c: char| c.is_control() || c == '"' || c == '\\';
        if !text.contains(':') || text.trim() != text || text.contains(odd) {
            self.report(
                Diagnostic::error(format!("`{text}` is not a location for autofs"))
                    .at(location.span)
                    .hint("write `server:/path`, or `:/path` for what is local"),
            );
        }
        Some(AutofsEntry {
            options,
            location: text.clone(),
        })
    }
}
