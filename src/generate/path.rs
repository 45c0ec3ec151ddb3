//! Places in a work directory: paths that cannot lead out of it.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The longest name of a file that Linux's file systems take (`NAME_MAX`), in bytes.
const NAME_MAX: usize = 255;

/// Names that begin with this are miniascape's own at the top of a work directory.
const RESERVED: &str = ".miniascape";

/// A path below a work directory: names with `/` between them, none of them empty, `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelativePath(String);

/// Says why a text is not a [`RelativePath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` {why}", .path.escape_debug())]
pub struct InvalidPath {
    path: String,
    why: &'static str,
}

impl RelativePath {
    /// Checks a text and makes it a path.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidPath> {
        let path = text.into();
        let why = if path.is_empty() {
            Some("is empty, and a file needs a name")
        } else if path.starts_with('/') {
            Some("begins with `/`, and a place in the work directory does not")
        } else if path
            .split('/')
            .any(|name| matches!(name, "" | "." | "..") || name.len() > NAME_MAX)
        {
            Some("has a name in it that is empty, `.`, `..` or longer than 255 bytes")
        } else if path.chars().any(char::is_control) {
            Some("has a control character in it")
        } else if path.starts_with(RESERVED) {
            Some("begins with `.miniascape`, which names miniascape's own files")
        } else {
            None
        };
        match why {
            Some(why) => Err(InvalidPath { path, why }),
            None => Ok(Self(path)),
        }
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first name: the guest's directory, or `host`.
    pub fn top(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// The directories above it, the outermost first.
    pub fn parents(&self) -> impl Iterator<Item = RelativePath> {
        self.0
            .match_indices('/')
            .map(|(at, _)| RelativePath(self.0[..at].to_owned()))
    }

    /// The path with its last name taken off; `None` at the top.
    pub fn parent(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(parent, _)| parent)
    }

    /// The last name.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for RelativePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for RelativePath {
    type Error = InvalidPath;

    fn try_from(text: String) -> Result<Self, InvalidPath> {
        Self::new(text)
    }
}

impl From<RelativePath> for String {
    fn from(path: RelativePath) -> Self {
        path.0
    }
}

/// A file of the machine that compiles.
#[derive(Debug, Serialize)]
pub(super) struct LocalPath {
    pub path: String,
    /// Whether the path begins at the lab's directory.
    pub in_lab: bool,
}

impl LocalPath {
    /// A file beside the script.
    pub fn beside(name: &str) -> Self {
        Self {
            path: name.to_owned(),
            in_lab: false,
        }
    }

    /// Names a file relative to the lab's directory where it is in there.
    pub fn new(path: &Path, root: &Path) -> Self {
        match path.strip_prefix(root) {
            Ok(inside) => Self {
                path: inside.to_string_lossy().into_owned(),
                in_lab: true,
            },
            Err(_) => Self {
                path: path.to_string_lossy().into_owned(),
                in_lab: false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below() {
        for good in [
            "a",
            "web1/ks.cfg",
            "a/b/c",
            "a/..b",
            "ä/ö ü",
            "a/.miniascape",
        ] {
            assert_eq!(RelativePath::new(good).unwrap().as_str(), good);
        }
        let long = "x".repeat(256);
        for bad in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "../a",
            "a/../b",
            "a/./b",
            "a\nb",
            "a\0",
            ".miniascape-manifest.toml",
            &long,
        ] {
            assert!(RelativePath::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_know_what_is_above() {
        let path = RelativePath::new("a/b/c").unwrap();
        let parents: Vec<String> = path.parents().map(String::from).collect();
        assert_eq!(parents, ["a", "a/b"]);
        assert_eq!(
            (path.top(), path.parent(), path.name()),
            ("a", Some("a/b"), "c")
        );
    }
}
