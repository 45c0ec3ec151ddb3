//! Files that are put into guests and onto the host, and templates that `generate` renders beside them.

use std::collections::{BTreeMap, BTreeSet};

use super::words::{is_login_name, shown};
use super::{Resolver, is_absolute};
use crate::diagnostic::{Diagnostic, Span};
use crate::lab::decode::{Given, Spanned};
use crate::lab::load;
use crate::lab::model::install::{FileSource, UserFile, UserTemplate};
use crate::lab::written::Named;
use crate::lab::written::install::{FileSpec, TemplateSpec};

/// Whose files and templates they are.
#[derive(Debug, Clone, Copy)]
pub(super) enum On {
    /// A guest's.
    Guest,
    /// The host's.
    Host,
}

impl On {
    fn place(self) -> &'static str {
        match self {
            Self::Guest => "in the guest",
            Self::Host => "on the host",
        }
    }

    /// In the work directory of `generate`.
    fn directory(self) -> &'static str {
        match self {
            Self::Guest => "the guest's directory",
            Self::Host => "the host's directory",
        }
    }
}

impl Resolver<'_> {
    /// Resolves the files that are put into a guest, or onto the host.
    pub(super) fn files(&mut self, specs: &[Named<FileSpec>], on: On) -> Vec<UserFile> {
        let mut places: BTreeMap<&str, Span> = BTreeMap::new();
        for dst in specs.iter().filter_map(|named| named.spec.dst.as_ref()) {
            match places.get(dst.value.as_str()) {
                Some(first) => self.report(
                    Diagnostic::error(format!("two files are put at `{}`", dst.value))
                        .at(dst.span)
                        .related(Some(*first), "the other one")
                        .hint("give one of them another `dst`"),
                ),
                None => {
                    places.insert(&dst.value, dst.span);
                }
            }
        }
        let files = specs.iter().filter_map(|named| self.file(named, on));
        files.collect()
    }

    fn file(&mut self, named: &Named<FileSpec>, on: On) -> Option<UserFile> {
        let spec = &named.spec;
        let source = match (&spec.src, &spec.content) {
            (Some(src), None) => {
                let path = load::absolute(self.sources, src.span, &src.value);
                if !path.is_file() {
                    self.report(
                        Diagnostic::error(format!("there is no file {}", src.value))
                            .at(src.span)
                            .hint(format!("it is looked for at {}", path.display())),
                    );
                }
                Some(FileSource::File { path })
            }
            (None, Some(content)) => Some(FileSource::Inline {
                content: content.value.clone(),
            }),
            (None, None) if named.flawed => None,
            (Some(_), Some(_)) | (None, None) => {
                self.report(
                    Diagnostic::error(format!(
                        "the file `{}` comes from `src` or from `content`",
                        named.key.value
                    ))
                    .at(named.key.span)
                    .hint("give one of them"),
                );
                None
            }
        };
        let mode = match &spec.mode {
            None => "0644".to_owned(),
            Some(given) => self.mode(given),
        };
        let dst = match &spec.dst {
            Some(dst) => {
                if !is_file_path(&dst.value) {
                    self.report(
                        Diagnostic::error(format!(
                            "`{}` is not the path of a file {}",
                            shown(&dst.value),
                            on.place()
                        ))
                        .at(dst.span)
                        .hint(
                            "write it from `/` on, without `..`, `//`, quotes, `$` and backslashes",
                        ),
                    );
                }
                Some(dst.value.clone())
            }
            None => {
                if !named.flawed {
                    self.report(
                        Diagnostic::error(format!("the file `{}` needs `dst`", named.key.value))
                            .at(named.key.span)
                            .hint(format!(
                                "write where it goes {}: `dst: /etc/motd`",
                                on.place()
                            )),
                    );
                }
                None
            }
        };
        let owner = self.owner(&spec.owner);
        Some(UserFile {
            key: named.key.value.clone(),
            source: source?,
            dst: dst?,
            mode,
            owner,
        })
    }

    fn mode(&mut self, given: &Spanned<String>) -> String {
        let octal = given.value.chars().all(|c| ('0'..='7').contains(&c));
        if !octal || !(3..=4).contains(&given.value.len()) {
            self.report(
                Diagnostic::error(format!(
                    "`{}` is not the mode of a file",
                    shown(&given.value)
                ))
                .at(given.span)
                .hint("write three or four octal digits: `0644`"),
            );
        }
        format!("{:0>4}", given.value)
    }

    /// Resolves the templates that `generate` renders for a guest, or for the host.
    pub(super) fn templates(&mut self, specs: &[Named<TemplateSpec>], on: On) -> Vec<UserTemplate> {
        let mut templates: Vec<UserTemplate> = Vec::new();
        let mut written = BTreeSet::new();
        for named in specs {
            let (Some(src), Some(dst)) = (&named.spec.src, &named.spec.dst) else {
                if !named.flawed {
                    self.report(
                        Diagnostic::error(format!(
                            "the template `{}` needs `src` and `dst`",
                            named.key.value
                        ))
                        .at(named.key.span)
                        .hint("write `{src: TEMPLATE, dst: FILE}`"),
                    );
                }
                continue;
            };
            let inside = !dst.value.is_empty()
                && dst
                    .value
                    .split('/')
                    .all(|part| !matches!(part, "" | "." | ".."))
                && !dst.value.contains(char::is_control);
            if !inside {
                self.report(
                    Diagnostic::error(format!(
                        "`{}` is not inside {}",
                        shown(&dst.value),
                        on.directory()
                    ))
                    .at(dst.span)
                    .hint("write a relative path without `..`"),
                );
            }
            if !written.insert(dst.value.clone()) {
                self.report(
                    Diagnostic::error(format!("two templates are written to `{}`", dst.value))
                        .at(dst.span)
                        .hint("give one of them another `dst`"),
                );
            }
            templates.push(UserTemplate {
                key: named.key.value.clone(),
                src: self.template(src),
                dst: dst.value.clone(),
            });
        }
        templates
    }

    /// Checks the name of a file's owner, `user` or `user:group`, and completes it.
    fn owner(&mut self, given: &Given<String>) -> String {
        let Some(given) = given else {
            return "root:root".to_owned();
        };
        let (user, group) = given
            .value
            .split_once(':')
            .unwrap_or((&given.value, &given.value));
        if !is_login_name(user) || !is_login_name(group) {
            self.report(
                Diagnostic::error(format!(
                    "`{}` is not the owner of a file",
                    shown(&given.value)
                ))
                .at(given.span)
                .hint("write `USER` or `USER:GROUP`, by their names"),
            );
        }
        format!("{user}:{group}")
    }
}

/// Whether a text is the path of a file, that can be quoted by every shell.
fn is_file_path(text: &str) -> bool {
    let odd = |c: char| c.is_control() || "'\"\\$`".contains(c);
    let mut parts = text.split('/').skip(1);
    is_absolute(text) && !text.contains(odd) && parts.all(|part| !matches!(part, "" | "." | ".."))
}
