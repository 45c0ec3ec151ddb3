//! Where templates are found: by name in the search path, or by path.

use std::path::{Component, Path, PathBuf};

use walkdir::WalkDir;

use super::BUILT_IN;
use crate::file::confined::{Confined, Refusal, shortened};

/// Stands before the path of a template that was not found by its name.
const FILE: &str = "file:";

/// Stands before the name of a template that others extend, as often as there are some in a row.
const PARENT: char = '\u{2}';

/// Stands before a name that is joined already. minijinja takes it for a circle where a template and what it includes extend
/// the same one, if the name as it is asked for is that by which the template is known.
const JOINED: &str = "\u{3}";

/// How many templates may extend each other in a row.
const GENERATIONS: usize = 50;

/// More files than these in a directory are not named.
const MOST_FILES: usize = 1000;

/// The directories, and then what is compiled in.
#[derive(Debug, Clone)]
pub struct Search {
    /// Searched in this order.
    pub directories: Vec<PathBuf>,
    /// Where files may be read, of the search path too: a lab's own directories may be links.
    pub confined: Confined,
}

/// A template's name for minijinja, of a file by its path.
pub fn name_of_file(path: &Path) -> String {
    format!("{FILE}{}", path.display())
}

/// Whether a name is that of a file by its path.
pub fn is_file(name: &str) -> bool {
    shown(name).len() < bare(name).len()
}

/// The name without marks.
fn bare(name: &str) -> &str {
    name.trim_start_matches(PARENT)
}

/// The name without what is only ours: a path or a name in the search path.
pub fn shown(name: &str) -> &str {
    let name = bare(name);
    name.strip_prefix(FILE).unwrap_or(name)
}

/// A text of minijinja's with the names in it as they are shown.
pub fn cleaned(text: &str) -> String {
    let marks = [FILE, "\u{2}", "\u{3}", "\\u{2}", "\\u{3}", "\\x02", "\\x03"];
    let cleaned = |text: String, mark: &&str| text.replace(mark, "");
    marks.iter().fold(text.to_owned(), cleaned)
}

impl Search {
    /// The text of a template.
    pub fn read(&self, name: &str) -> Result<Option<String>, Refusal> {
        let name = bare(name);
        if let Some(path) = name.strip_prefix(FILE) {
            return self.text(Path::new(path));
        }
        if !is_inside(name) {
            return Ok(None);
        }
        for directory in &self.directories {
            if let Some(text) = self.text(&directory.join(name))? {
                return Ok(Some(text));
            }
        }
        let built_in = BUILT_IN.iter().find(|(known, _)| *known == name);
        Ok(built_in.map(|(_, text)| (*text).to_owned()))
    }

    fn text(&self, path: &Path) -> Result<Option<String>, Refusal> {
        match self.confined.read(path) {
            Ok(text) => Ok(Some(text)),
            Err(refusal) if refusal.is_missing() => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    fn has(&self, name: &str) -> bool {
        is_inside(name)
            && (self.directories.iter().any(|d| is_there(&d.join(name)))
                || BUILT_IN.iter().any(|(known, _)| *known == name))
    }

    /// The template that another one means by a name: beside itself, or else in the search path.
    pub fn join(&self, name: &str, parent: &str) -> String {
        if let Some(name) = name.strip_prefix(JOINED) {
            return name.to_owned();
        }
        let found = self.beside(name, bare(parent));
        found.unwrap_or_else(|| name.to_owned())
    }

    /// The template that another one extends, as it asks for it; `None` where there is no end of them.
    pub fn parent(&self, name: &str, child: &str) -> Option<String> {
        let generation = child.chars().take_while(|c| *c == PARENT).count() + 1;
        let marks = PARENT.to_string().repeat(generation);
        let parent = self.join(name, child);
        (generation <= GENERATIONS).then(|| format!("{JOINED}{marks}{parent}"))
    }

    fn beside(&self, name: &str, parent: &str) -> Option<String> {
        let folder = |path: &str| Path::new(path).parent().map(Path::to_owned);
        if Path::new(name).is_absolute() {
            return Some(name_of_file(Path::new(name)));
        }
        match parent.strip_prefix(FILE) {
            Some(path) => {
                let near = shortened(&folder(path)?.join(name));
                is_there(&near).then(|| name_of_file(&near))
            }
            None => {
                let near = normal(&folder(parent)?.join(name))?;
                self.has(&near).then_some(near)
            }
        }
    }

    /// The names in the search path, for hints.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = BUILT_IN.iter().map(|(name, _)| name.to_string()).collect();
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

/// Whether there is something at a path that is no directory: what is no file either is refused by what reads it.
fn is_there(path: &Path) -> bool {
    path.exists() && !path.is_dir()
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
