//! `miniascape.toml`: how miniascape works in a lab's directory. It holds settings, never definitions.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::diagnostic::{Diagnostic, SourceFile, SourceMap, Span};
use crate::file::confined::Confined;
use crate::template::Undefined;
use crate::units::parse_duration;

/// The file's name.
pub const FILE: &str = "miniascape.toml";

/// How many resources can be worked on at once.
pub const PARALLEL: RangeInclusive<usize> = 1..=64;

/// What the file may say. The command line wins over each of it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The hypervisor's URI.
    #[serde(deserialize_with = "connect")]
    pub connect: Option<String>,
    /// Templates: a list of directories, or a table.
    pub templates: TemplateSettings,
    /// Where the state is kept.
    #[serde(deserialize_with = "state")]
    pub state: Option<PathBuf>,
    /// How many resources are worked on at once.
    #[serde(deserialize_with = "parallel")]
    pub parallel: Option<usize>,
    /// How long libvirt may leave everything unanswered, in seconds.
    #[serde(deserialize_with = "optional_timeout")]
    pub timeout: Option<u64>,
    /// Whether what was seen before spares looking at it again. On, unless it is switched off.
    pub cache: Option<bool>,
    /// Variables of definitions that are templates.
    #[serde(deserialize_with = "vars")]
    pub vars: serde_json::Map<String, serde_json::Value>,
}

impl Settings {
    /// Whether what was seen before spares looking at it again.
    pub fn is_cached(&self) -> bool {
        self.cache != Some(false)
    }
}

fn connect<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    written(deserializer, "qemu:///system").map(Some)
}

fn state<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    written(deserializer, "state").map(|path| Some(path.into()))
}

fn directories<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PathBuf>, D::Error> {
    let paths = Vec::<PathBuf>::deserialize(deserializer)?;
    match paths.iter().any(|path| path.as_os_str().is_empty()) {
        true => Err(D::Error::custom("a directory of `templates` is empty")),
        false => Ok(paths),
    }
}

/// A text that says something.
fn written<'de, D: Deserializer<'de>>(deserializer: D, such_as: &str) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.trim().is_empty() {
        true => Err(D::Error::custom(format!(
            "this is empty; leave it out, or write it as `{such_as}`"
        ))),
        false => Ok(text),
    }
}

fn parallel<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    let number = i64::deserialize(deserializer)?;
    let number = usize::try_from(number).ok();
    match number.filter(|number| PARALLEL.contains(number)) {
        Some(number) => Ok(Some(number)),
        None => Err(D::Error::custom(format!(
            "`parallel` is a whole number from {} to {}",
            PARALLEL.start(),
            PARALLEL.end()
        ))),
    }
}

fn vars<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<serde_json::Map<String, serde_json::Value>, D::Error> {
    let vars = toml::Table::deserialize(deserializer)?;
    let pairs = vars.into_iter().map(|(name, value)| match json(value) {
        Some(value) => Ok((name, value)),
        None => Err(D::Error::custom(format!(
            "the variable `{name}` has a number that is none (`nan` or `inf`)"
        ))),
    });
    pairs.collect()
}

/// A variable's value as templates see it; a date is its text. `None` where a number is none.
fn json(value: toml::Value) -> Option<serde_json::Value> {
    use serde_json::Value;
    Some(match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => serde_json::Number::from_f64(number)?.into(),
        toml::Value::Boolean(yes) => Value::Bool(yes),
        toml::Value::Datetime(time) => Value::String(time.to_string()),
        toml::Value::Array(values) => values.into_iter().map(json).collect::<Option<_>>()?,
        toml::Value::Table(table) => table
            .into_iter()
            .map(|(name, value)| Some((name, json(value)?)))
            .collect::<Option<serde_json::Map<_, _>>>()?
            .into(),
    })
}

fn optional_timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    timeout(&text).map(Some).map_err(serde::de::Error::custom)
}

/// Reads how long libvirt may leave everything unanswered, in seconds.
pub fn timeout(text: &str) -> Result<u64, String> {
    parse_duration(text).map_err(|_| format!("`{text}` is no duration such as 30s or 2m"))
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
            path: directories(SeqAccessDeserializer::new(seq))?,
            undefined: Undefined::default(),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            #[serde(default, deserialize_with = "directories")]
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
    ///
    /// The file comes with the lab, so it and the directories of templates that it names are confined as the lab is.
    pub fn read(
        directory: &Path,
        confined: &Confined,
        sources: &mut SourceMap,
    ) -> Result<Self, Diagnostic> {
        let path = directory.join(FILE);
        let text = match confined.read(&path) {
            Ok(text) => text,
            Err(refusal) if refusal.is_missing() => return Ok(Self::default()),
            Err(refusal) => {
                let mut problem =
                    Diagnostic::error(format!("{} cannot be read: {refusal}", path.display()));
                problem.hint = refusal.hint().map(str::to_owned);
                return Err(problem);
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
            Diagnostic::error(message.replace("i64", "a whole number"))
                .at(Span {
                    file,
                    start: range.start,
                    end: range.end,
                })
                .hint("settings are `connect`, `templates`, `state`, `parallel`, `timeout`, `cache` and `[vars]`")
        })?;
        settings.templates.path = settings
            .templates
            .path
            .iter()
            .map(|path| directory.join(path))
            .collect();
        let leads_out = |path: &&PathBuf| matches!(confined.holds(path), Ok(false));
        if let Some(out) = settings.templates.path.iter().find(leads_out) {
            let out = out.display();
            return Err(Diagnostic::error(format!(
                "{}: the templates in {out} lie outside of the lab's directory",
                path.display()
            ))
            .hint(format!(
                "what comes with a lab may not lead out of it: name them on the command line, `--templates {out}`"
            )));
        }
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
        (
            Settings::read(
                directory.path(),
                &Confined::to([directory.path()]),
                &mut sources,
            ),
            sources,
        )
    }

    #[test]
    fn settings_are_read_and_their_paths_made_whole() {
        let (settings, _) = read("state = 'st'\nparallel = 2\ntimeout = '2m'\n[vars]\na = 1\n");
        let settings = settings.unwrap();
        assert!(settings.state.unwrap().is_absolute());
        assert_eq!(settings.parallel, Some(2));
        assert_eq!(settings.timeout, Some(120));
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
    fn values_that_make_no_sense_are_shown_where_they_stand() {
        for (line, told) in [
            ("parallel = 0", "a whole number from 1 to 64"),
            ("parallel = 65", "a whole number from 1 to 64"),
            ("parallel = -1", "a whole number from 1 to 64"),
            ("parallel = 1.5", "a whole number"),
            ("parallel = '2'", "a whole number"),
            ("connect = ''", "this is empty"),
            ("state = ' '", "this is empty"),
            ("templates = ['a', '']", "is empty"),
            ("templates = {path = ['']}", "is empty"),
            ("vars = {a = {b = [nan]}}", "`a` has a number that is none"),
            ("vars = {a = -inf}", "`a` has a number that is none"),
        ] {
            let (settings, sources) = read(&format!("# one\n{line}\n"));
            let problem = settings.unwrap_err();
            assert!(
                problem.summary.contains(told),
                "{line}: {}",
                problem.summary
            );
            assert_eq!(sources.position(problem.span.unwrap()).0, 2, "{line}");
        }
        let (settings, _) = read("[vars]\nday = 2026-01-31\nsome = [1, 'b', {c = true}]\n");
        assert_eq!(
            serde_json::Value::from(settings.unwrap().vars),
            serde_json::json!({"day": "2026-01-31", "some": [1, "b", {"c": true}]})
        );
    }

    #[test]
    fn an_unknown_setting_is_shown_where_it_stands() {
        let (settings, sources) = read("parallel = 2\nconect = 'x'\n");
        let problem = settings.unwrap_err();
        assert_eq!(sources.position(problem.span.unwrap()), (2, 1));
        assert!(problem.summary.contains("conect"), "{}", problem.summary);
    }
}
