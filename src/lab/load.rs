//! Finds, reads and merges the files of a definition. The only part of `lab` that touches files besides
//! the look at images, and the only user of serde_yaml, which is archived upstream and only writes.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use globset::GlobBuilder;
use serde::Serialize;
use walkdir::WalkDir;

use super::yaml::{self, Node, Style, Value};
use super::{Source, jinja};
use crate::diagnostic::{Diagnostic, Diagnostics, FileId, SourceFile, SourceMap, Span};
use crate::file::confined::{Confined, shortened};
use crate::template;

/// The endings of definition files, without the `.j2` of templates.
const ENDINGS: [&str; 2] = ["yaml", "yml"];

/// What makes a `-C` a glob.
const WILDCARDS: [char; 4] = ['*', '?', '[', '{'];

/// Reads and merges all files of a definition; `None` where none could be read.
pub fn load(source: &Source, sources: &mut SourceMap, problems: &mut Diagnostics) -> Option<Node> {
    let mut merged: Option<Node> = None;
    let mut unread = false;
    let confined = source.confined();
    for path in files(source, problems) {
        let Some(file) = read(&path, source, &confined, sources, problems) else {
            unread = true;
            continue;
        };
        let text = sources.file(file).text.clone();
        let mut found = Diagnostics::default();
        let node = yaml::parse(file, &text, &mut found);
        if let Some(place) = jinja::among(&found, sources, file) {
            let problem = Diagnostic::error("this is Jinja, and the file is read as it stands");
            problems.push(problem.at(place).hint(jinja::hint(&path)));
            unread = true;
            continue;
        }
        problems.extend(found);
        let Some(node) = node else {
            unread = true;
            continue;
        };
        if !matches!(node.value, Value::Mapping(_)) {
            problems.push(
                Diagnostic::error(format!(
                    "expected a map with `lab`, `networks`, `guests` and so on, found {}",
                    node.describe()
                ))
                .at(node.span),
            );
            unread = true;
            continue;
        }
        match &mut merged {
            Some(base) => base.overlay(node),
            None => merged = Some(node),
        }
    }
    // With a file missing, all that it defines would be reported as unknown.
    merged.filter(|_| !unread)
}

/// The files of a definition in the order in which they are merged.
fn files(source: &Source, problems: &mut Diagnostics) -> Vec<PathBuf> {
    if !source.config.is_empty() {
        let mut seen = BTreeSet::new();
        return source
            .config
            .iter()
            .flat_map(|written| named_files(&source.dir, written, problems))
            .filter(|path| seen.insert(path.clone()))
            .collect();
    }
    let mut found = Vec::new();
    for name in ["lab.yaml", "lab.yaml.j2"] {
        let path = below(&source.dir, name);
        if path.is_file() {
            found.push(path);
        }
    }
    let parts = below(&source.dir, "lab.d");
    if parts.is_dir() {
        found.extend(directory(&parts, &ENDINGS, problems));
    } else if found.is_empty() {
        found = match source.system_dir.is_dir() {
            true => directory(&source.system_dir, &["yml"], problems),
            false => Vec::new(),
        };
    }
    if found.is_empty() {
        let hint = match below(&source.dir, "lab.yml").is_file() {
            true => "rename lab.yml to lab.yaml, or name it with `-C lab.yml`",
            false => {
                "write a lab.yaml here, name the directory of a lab with `--chdir DIR`, or its files with `-C PATH`"
            }
        };
        problems.push(
            Diagnostic::error(format!("there is no lab in {}", source.dir.display())).hint(hint),
        );
    }
    found
}

impl Source {
    /// Where files of the definition may be read: besides what is allowed anyway below the lab's directory and below what `-C`
    /// names, since the user chose both.
    fn confined(&self) -> Confined {
        let mut confined = self.confined.clone();
        confined.extend([&self.dir, &self.system_dir]);
        confined.extend(self.config.iter().map(|written| {
            let path = fixed(&below(&self.dir, written));
            match path.is_dir() {
                true => path,
                false => path.parent().unwrap_or(&path).to_owned(),
            }
        }));
        confined
    }
}

/// The part of a glob before its wildcards.
fn fixed(glob: &Path) -> PathBuf {
    let wild = |part: &Component| part.as_os_str().to_string_lossy().contains(WILDCARDS);
    glob.components().take_while(|part| !wild(part)).collect()
}

/// What one `-C` names: a file, the definitions below a directory, or what a glob matches.
fn named_files(dir: &Path, written: &str, problems: &mut Diagnostics) -> Vec<PathBuf> {
    let path = below(dir, written);
    if path.is_file() {
        return vec![path];
    }
    let found = if path.is_dir() {
        directory(&path, &ENDINGS, problems)
    } else if written.contains(WILDCARDS) {
        match matching(&path) {
            Ok(found) => found,
            Err(error) => {
                problems.push(
                    Diagnostic::error(format!("`-C {written}` is not a valid glob"))
                        .hint(error.to_string()),
                );
                return Vec::new();
            }
        }
    } else {
        problems.push(
            Diagnostic::error(format!(
                "`-C {written}`: there is no such file or directory"
            ))
            .hint("the path is relative to the current directory, or to that of `--chdir`"),
        );
        return Vec::new();
    };
    if found.is_empty() {
        problems.push(
            Diagnostic::error(format!("`-C {written}` names no definition"))
                .hint("definitions end in .yaml, .yml, .yaml.j2 or .yml.j2"),
        );
    }
    found
}

/// The files that match a glob; `*` stays within a directory, `**` does not.
fn matching(glob: &Path) -> Result<Vec<PathBuf>, globset::Error> {
    let matcher = GlobBuilder::new(&glob.to_string_lossy())
        .literal_separator(true)
        .build()?
        .compile_matcher();
    let base = fixed(glob);
    let relative = base.as_os_str().is_empty();
    let start = if relative { Path::new(".") } else { &base };
    let mut found: Vec<PathBuf> = WalkDir::new(start)
        .follow_links(true)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| match relative {
            true => without_dot(entry.path()).to_owned(),
            false => entry.into_path(),
        })
        .filter(|path| matcher.is_match(path))
        .collect();
    found.sort();
    Ok(found)
}

/// The definitions below a directory in path order. Hidden files are left out: editors make them.
fn directory(dir: &Path, endings: &[&str], problems: &mut Diagnostics) -> Vec<PathBuf> {
    let hidden = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with('.');
    let mut found = Vec::new();
    let walk = WalkDir::new(dir)
        .min_depth(1)
        .follow_links(true)
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !hidden(entry.file_name()));
    for entry in walk {
        match entry {
            Ok(entry) => {
                let name = entry.file_name().to_string_lossy();
                let name = name.strip_suffix(".j2").unwrap_or(&name);
                let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
                if entry.file_type().is_file() && endings.contains(&ending) {
                    found.push(without_dot(entry.path()).to_owned());
                }
            }
            Err(error) => problems.push(
                Diagnostic::error(format!("cannot list {}", dir.display())).hint(error.to_string()),
            ),
        }
    }
    found.sort();
    found
}

/// A path below the lab's directory as the user would write it: without `./`.
fn below(dir: &Path, path: impl AsRef<Path>) -> PathBuf {
    let path = without_dot(path.as_ref());
    match dir == Path::new(".") || dir.as_os_str().is_empty() {
        // `-C .` itself
        true if path.as_os_str().is_empty() => PathBuf::from("."),
        true => path.to_owned(),
        false => dir.join(path),
    }
}

fn without_dot(path: &Path) -> &Path {
    path.strip_prefix(".").unwrap_or(path)
}

fn read(
    path: &Path,
    source: &Source,
    confined: &Confined,
    sources: &mut SourceMap,
    problems: &mut Diagnostics,
) -> Option<FileId> {
    let text = match confined.read(path) {
        Ok(text) => text,
        Err(why) => {
            let mut problem = Diagnostic::error(format!("cannot read {}: {why}", path.display()));
            problem.hint = why.hint().map(str::to_owned);
            problems.push(problem);
            return None;
        }
    };
    if path.extension().is_none_or(|ending| ending != "j2") {
        return Some(sources.add(SourceFile {
            path: path.to_owned(),
            text,
            rendered: false,
        }));
    }
    match template::render_file(path, &text, &source.vars, confined) {
        Ok(rendered) => Some(sources.add(SourceFile {
            path: path.to_owned(),
            text: rendered,
            rendered: true,
        })),
        Err(error) => {
            let template = Path::new(&error.template);
            let span = place_in_template(path, &text, template, error.line, confined, sources);
            let mut problem = Diagnostic::error(format!(
                "failed to render {}: {}",
                path.display(),
                error.message
            ))
            .at(span);
            if span.is_none()
                && let Some(line) = error.line
            {
                problem.summary =
                    format!("{} (line {line} of {})", problem.summary, error.template);
            }
            problem.hint = error.hint;
            problems.push(problem);
            None
        }
    }
}

/// The line that a template's error is at: in the file itself, or in one that it includes.
fn place_in_template(
    path: &Path,
    text: &str,
    template: &Path,
    line: Option<usize>,
    confined: &Confined,
    sources: &mut SourceMap,
) -> Option<Span> {
    let line = line?.checked_sub(1)?;
    let beside = path.parent().unwrap_or(Path::new("")).join(template);
    let (shown, text) = if template == path || path.ends_with(template) {
        (path.to_owned(), text.to_owned())
    } else if let Ok(text) = confined.read(&beside) {
        (beside, text)
    } else {
        (template.to_owned(), confined.read(template).ok()?)
    };
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let found = text[start..].lines().next()?;
    let indent = found.len() - found.trim_start().len();
    let (start, end) = (start + indent, start + found.trim_end().len());
    let file = sources.add(SourceFile {
        path: shown,
        text,
        rendered: false,
    });
    Some(Span {
        file,
        start,
        end: end.max(start),
    })
}

/// Reads a `--var-file`, which may be a pipe: a YAML map of variables for templates, whose order stays. `None` where there is a
/// problem, which is reported.
pub fn read_var_file(
    path: &Path,
    sources: &mut SourceMap,
    problems: &mut Diagnostics,
) -> Option<serde_json::Map<String, serde_json::Value>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let shown = path.display();
            let problem = format!("cannot read variables from {shown}: {error}");
            problems.push(Diagnostic::error(problem));
            return None;
        }
    };
    let before = problems.len();
    let file = sources.add(SourceFile {
        path: path.to_owned(),
        text: text.clone(),
        rendered: false,
    });
    let node = yaml::parse(file, &text, problems);
    let Some(node) = node.filter(|node| !node.is_null()) else {
        return (problems.len() == before).then(Default::default);
    };
    if let Value::Mapping(entries) = &node.value {
        report_no_numbers(entries, problems);
        let vars = entries
            .iter()
            .map(|(key, value)| (key.text.clone(), free_form(value)));
        return (problems.len() == before).then(|| vars.collect());
    }
    let problem = format!("variables are a map, found {}", node.describe());
    let problem = Diagnostic::error(problem).at(node.span);
    problems.push(problem.hint("write `NAME: VALUE` on each line"));
    None
}

/// Says of numbers that YAML knows and templates do not reckon with that they are none.
fn report_no_numbers(entries: &yaml::Entries, problems: &mut Diagnostics) {
    let mut open: Vec<&Node> = entries.values().collect();
    let mut told = BTreeSet::new();
    while let Some(node) = open.pop() {
        match &node.value {
            Value::Sequence(items) => open.extend(items),
            Value::Mapping(entries) => open.extend(entries.values()),
            Value::Scalar(text, Style::Plain)
                if yaml::is_no_number(text) && told.insert(node.span) =>
            {
                let problem = format!("`{text}` is not a number to reckon with");
                let problem = Diagnostic::error(problem).at(node.span);
                problems.push(problem.hint("write it in quotes, where it is a text"));
            }
            Value::Scalar(..) => {}
        }
    }
}

/// Writes a value as YAML.
pub fn to_yaml<T: Serialize>(value: &T) -> Result<String, Diagnostic> {
    serde_yaml::to_string(value)
        .map_err(|error| Diagnostic::error(format!("cannot write this as YAML: {error}")))
}

/// A free-form value, for `vars`: bare scalars are what YAML 1.2 takes them for, and null is a value as any other.
pub fn free_form(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Scalar(..) if node.is_null() => serde_json::Value::Null,
        Value::Scalar(text, Style::Plain) => match (yaml::boolean(text), yaml::number(text)) {
            (Some(is), _) => is.into(),
            (None, Some(number)) => number.into(),
            // What JSON has no number for, as `.inf`, stays a text.
            (None, None) => text.clone().into(),
        },
        Value::Scalar(text, Style::Quoted | Style::Block) => text.clone().into(),
        Value::Sequence(items) => items.iter().map(free_form).collect(),
        Value::Mapping(entries) => entries
            .iter()
            .map(|(key, value)| (key.text.clone(), free_form(value)))
            .collect(),
    }
}

/// The absolute path of a file that is named relative to the file of the definition which names it.
pub fn absolute(sources: &SourceMap, span: Span, written: &str) -> PathBuf {
    let beside = sources.path(span).parent().unwrap_or(Path::new(""));
    let path = beside.join(written);
    shortened(&std::path::absolute(&path).unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_shown_as_the_user_would_write_them() {
        let shown = |dir: &str, path: &str| below(Path::new(dir), path).display().to_string();
        assert_eq!(shown(".", "lab.yaml"), "lab.yaml");
        assert_eq!(shown("", "./a/b.yaml"), "a/b.yaml");
        assert_eq!(shown(".", "."), ".");
        assert_eq!(shown("labs/shop", "./lab.yaml"), "labs/shop/lab.yaml");
        assert_eq!(shown("labs", "/etc/lab.yaml"), "/etc/lab.yaml");
    }
}
