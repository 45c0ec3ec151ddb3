//! `miniascape.toml`: how miniascape works in a lab's directory. It holds settings, never definitions.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::diagnostic::{Diagnostic, SourceFile, SourceMap, Span};
use crate::template::Undefined;

/// The file's name.
pub const FILE: &str = "miniascape.toml";

/// What the file may say. The command line wins over each of it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The hypervisor's URI.
    pub connect: Option<String>,
    /// Templates: a list of directories, or a table.
    pub templates: TemplateSettings,
    /// Where the state is kept.
    pub state: Option<PathBuf>,
    /// How many resources are worked on at once.
    pub parallel: Option<usize>,
    /// Variables of definitions that are templates.
    pub vars: serde_json::Map<String, serde_json::Value>,
}

/// `templates = ["DIR"]`, or `[templates]` with `path` and `undefined`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TemplateSettings {
    /// Directories with templates, searched in this order before the lab's own `templates`.
    pub path: Vec<PathBuf>,
    /// What becomes of undefined values in templates that do not say it themselves.
    pub undefined: Undefined,
}

impl<'de> Deserialize<'de> for TemplateSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListOrTable)
    }
}

struct ListOrTable;

impl<'de> Visitor<'de> for ListOrTable {
    type Value = TemplateSettings;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list of directories, or a table with `path` and `undefined`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        Ok(TemplateSettings {
            path: Vec::deserialize(SeqAccessDeserializer::new(seq))?,
            undefined: Undefined::default(),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            #[serde(default)]
            path: Vec<PathBuf>,
            #[serde(default)]
            undefined: Undefined,
        }
        let table = Table::deserialize(MapAccessDeserializer::new(map))?;
        Ok(TemplateSettings {
            path: table.path,
            undefined: table.undefined,
        })
    }
}

impl Settings {
    /// Reads the settings of a lab's directory; none where there is no file. Relative paths are the directory's.
    pub fn read(directory: &Path, sources: &mut SourceMap) -> Result<Self, Diagnostic> {
        let path = directory.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => {
                return Err(Diagnostic::error(format!(
                    "{} cannot be read: {error}",
                    path.display()
                )));
            }
        };
        let parsed: Result<Self, toml::de::Error> = toml::from_str(&text);
        let mut settings = parsed.map_err(|error| {
            let file = sources.add(SourceFile {
                path: path.clone(),
                text,
                rendered: false,
            });
            let range = error.span().unwrap_or(0..0);
            let message = error.message().lines().next().unwrap_or("not valid TOML");
            Diagnostic::error(message.replace("usize", "a whole number"))
                .at(Span {
                    file,
                    start: range.start,
                    end: range.end,
                })
                .hint("settings are `connect`, `templates`, `state`, `parallel` and `[vars]`")
        })?;
        settings.templates.path = settings
            .templates
            .path
            .iter()
            .map(|path| directory.join(path))
            .collect();
        settings.state = settings.state.map(|path| directory.join(path));
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Result<Settings, Diagnostic>, SourceMap) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE), text).unwrap();
        let mut sources = SourceMap::default();
        (Settings::read(directory.path(), &mut sources), sources)
    }

    #[test]
    fn settings_are_read_and_their_paths_made_whole() {
        let (settings, _) = read("state = 'st'\nparallel = 2\n[vars]\na = 1\n");
        let settings = settings.unwrap();
        assert!(settings.state.unwrap().is_absolute());
        assert_eq!(settings.parallel, Some(2));
        assert_eq!(settings.vars["a"], 1);
    }

    #[test]
    fn templates_are_a_list_of_directories_or_a_table() {
        let templates = |text| read(text).0.map(|settings| settings.templates);
        let list = templates("templates = ['a']").unwrap();
        assert!(list.path[0].ends_with("a"));
        assert_eq!(list.undefined, Undefined::Strict);
        let table = templates("[templates]\npath = ['a']\nundefined = 'lenient'\n").unwrap();
        assert!(table.path[0].ends_with("a"));
        assert_eq!(table.undefined, Undefined::Lenient);
        assert_eq!(templates("").unwrap(), TemplateSettings::default());
        for wrong in [
            "templates = 1",
            "[templates]\npaths = []",
            "[templates]\nundefined = 'lax'",
        ] {
            assert!(templates(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_unknown_setting_is_shown_where_it_stands() {
        let (settings, sources) = read("parallel = 2\nconect = 'x'\n");
        let problem = settings.unwrap_err();
        assert_eq!(sources.position(problem.span.unwrap()), (2, 1));
        assert!(problem.summary.contains("conect"), "{}", problem.summary);
    }
}
