//! Where templates are found: by name in the search path, or by path.

use std::io;
use std::path::{Component, Path, PathBuf};

use walkdir::WalkDir;

use super::BUILT_IN;
use super::operators::ISOLATED;
use crate::stamp::Stamp;

/// Stands before the path of a template that was not found by its name.
const FILE: &str = "file:";

/// More files than these in a directory are not gone over.
const MOST_FILES: usize = 1000;

/// The directories, and then what is compiled in.
#[derive(Debug, Clone)]
pub struct Search {
    /// Searched in this order.
    pub directories: Vec<PathBuf>,
}

/// A template's name for minijinja, of a file by its path.
pub fn name_of_file(path: &Path) -> String {
    format!("{FILE}{}", path.display())
}

/// Whether a name is that of a file by its path.
pub fn is_file(name: &str) -> bool {
    name.starts_with(FILE)
}

/// The name without what is only ours: a path or a name in the search path.
pub fn shown(name: &str) -> &str {
    let name = name.strip_suffix(ISOLATED).unwrap_or(name);
    name.strip_prefix(FILE).unwrap_or(name)
}

/// A text of minijinja's with the names in it as they are shown.
pub fn cleaned(text: &str) -> String {
    text.replace(FILE, "")
        .replace(ISOLATED, "")
        .replace("\\u{1}", "")
}

impl Search {
    /// The text of a template.
    pub fn read(&self, name: &str) -> io::Result<Option<String>> {
        let name = name.strip_suffix(ISOLATED).unwrap_or(name);
        if let Some(path) = name.strip_prefix(FILE) {
            return read(Path::new(path));
        }
        if !is_inside(name) {
            return Ok(None);
        }
        for directory in &self.directories {
            if let Some(text) = read(&directory.join(name))? {
                return Ok(Some(text));
            }
        }
        let built_in = BUILT_IN.iter().find(|(known, _)| *known == name);
        Ok(built_in.map(|(_, text)| (*text).to_owned()))
    }

    fn has(&self, name: &str) -> bool {
        is_inside(name)
            && (self.directories.iter().any(|d| d.join(name).is_file())
                || BUILT_IN.iter().any(|(known, _)| *known == name))
    }

    /// The template that another one means by a name: beside itself, or else in the search path.
    pub fn join(&self, name: &str, parent: &str) -> String {
        let (name, end) = match name.strip_suffix(ISOLATED) {
            Some(name) => (name, ISOLATED),
            None => (name, ""),
        };
        let parent = parent.strip_suffix(ISOLATED).unwrap_or(parent);
        let found = self.beside(name, parent);
        format!("{}{end}", found.as_deref().unwrap_or(name))
    }

    fn beside(&self, name: &str, parent: &str) -> Option<String> {
        let folder = |path: &str| Path::new(path).parent().map(Path::to_owned);
        if Path::new(name).is_absolute() {
            return Some(name_of_file(Path::new(name)));
        }
        match parent.strip_prefix(FILE) {
            Some(path) => {
                let near = folder(path)?.join(name);
                near.is_file().then(|| name_of_file(&near))
            }
            None => {
                let near = normal(&folder(parent)?.join(name))?;
                self.has(&near).then_some(near)
            }
        }
    }

    /// The files of each directory with what changes when they do; `None` where that cannot be told of one, or where there are
    /// too many.
    pub fn stamps(&self) -> Option<Vec<(PathBuf, Stamp)>> {
        let mut stamps = Vec::new();
        for directory in self
            .directories
            .iter()
            .filter(|directory| directory.exists())
        {
            for entry in WalkDir::new(directory)
                .follow_links(true)
                .sort_by_file_name()
            {
                let entry = entry.ok()?;
                if entry.file_type().is_dir() {
                    continue;
                }
                stamps.push((entry.path().to_owned(), Stamp::of(entry.path())?));
                if stamps.len() > MOST_FILES {
                    return None;
                }
            }
        }
        Some(stamps)
    }

    /// The names in the search path, for hints.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = BUILT_IN
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect();
        for directory in &self.directories {
            let files = WalkDir::new(directory).max_depth(6).sort_by_file_name();
            for entry in files.into_iter().flatten().take(MOST_FILES) {
                if entry.file_type().is_file()
                    && let Ok(name) = entry.path().strip_prefix(directory)
                {
                    names.push(name.to_string_lossy().into_owned());
                }
            }
        }
        names.sort();
        names.dedup();
        names
    }
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a name stays in the directory that it is looked for in.
fn is_inside(name: &str) -> bool {
    let mut components = Path::new(name).components().peekable();
    components.peek().is_some() && components.all(|part| matches!(part, Component::Normal(_)))
}

/// The path without `.` and `..`, if it does not leave where it begins.
fn normal(path: &Path) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            Component::ParentDir => {
                parts.pop()?;
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_leave_their_directory() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("in")).unwrap();
        std::fs::write(directory.path().join("out.j2"), "out").unwrap();
        let search = Search {
            directories: vec![directory.path().join("in")],
        };
        assert_eq!(search.read("../out.j2").unwrap(), None);
        assert_eq!(search.read("/etc/passwd").unwrap(), None);
        assert_eq!(search.join("../../out.j2", "a/b.j2"), "../../out.j2");
    }
}
