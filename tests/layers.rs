//! Imports look down: which room of `src` may use which, and no circle between the files of one.
//!
//! A room is a file or folder at the top of `src`. Read are the paths in the text of each file, `crate::…` and `super::…`, up to its
//! unit tests; a name that a module only passes on (`pub use`) counts as an import of the file that it stands in.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use regex::Regex;

/// The rooms from the lowest on; those in one row do not know each other. Each may use those in the rows above it.
const LAYERS: &[&[&str]] = &[
    &[
        "crash",
        "diagnostic",
        "fingerprint",
        "number_set",
        "secret",
        "units",
    ],
    &["address", "file", "graph"],
    &["install", "template", "xml"],
    &["lab"],
    &["state", "step"],
    &["libvirt"],
    &["desired"],
    &["plan"],
    &["execute", "generate", "settled"],
    &["view"],
    &["cli"],
];

/// Rooms whose files have no circles between them.
const WITHOUT_CIRCLES: &[&str] = &["desired", "generate", "graph", "libvirt", "plan"];

/// A module's path, `plan::guest::live`.
type Module = String;

struct Source {
    modules: BTreeMap<Module, String>,
}

impl Source {
    fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let files = walkdir::WalkDir::new(&root).into_iter().map(Result::unwrap);
        let files = files.filter(|file| file.path().extension().is_some_and(|end| end == "rs"));
        let module = |path: &Path| {
            let path = path.strip_prefix(&root).unwrap().with_extension("");
            let parts: Vec<&str> = path.iter().map(|part| part.to_str().unwrap()).collect();
            let module = parts.join("::");
            module.trim_end_matches("::mod").to_owned()
        };
        let text = |path: &Path| {
            let text = fs::read_to_string(path).unwrap();
            let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
            let lines = code.lines().filter(|it| !it.trim_start().starts_with("//"));
            lines.collect::<Vec<_>>().join("\n")
        };
        let modules = files.map(|file| (module(file.path()), text(file.path())));
        let modules = modules.filter(|(name, _)| {
            let is_test = name.split("::").any(|part| part == "tests");
            !is_test && name != "main" && name != "lib"
        });
        Self {
            modules: modules.collect(),
        }
    }

    /// Which modules each uses.
    fn imports(&self) -> BTreeMap<&Module, BTreeSet<Module>> {
        let passed_on: BTreeMap<&Module, BTreeMap<String, String>> = self
            .modules
            .iter()
            .map(|(module, text)| (module, self.passed_on(module, text)))
            .collect();
        let used = |module: &Module, text: &str| -> BTreeSet<Module> {
            let without = Regex::new(r"(?m)^pub(\([a-z]+\))? use [^;]+;")
                .unwrap()
                .replace_all(text, "");
            let paths = self.paths(module, &without);
            let found = paths.iter().filter_map(|path| self.home(path, &passed_on));
            found.filter(|found| found != module).collect()
        };
        let modules = self.modules.iter();
        modules
            .map(|(module, text)| (module, used(module, text)))
            .collect()
    }

    /// The names that a module passes on, each with its path.
    fn passed_on(&self, module: &str, text: &str) -> BTreeMap<String, String> {
        let uses = Regex::new(r"(?m)^pub(?:\([a-z]+\))? use ([^;]+);").unwrap();
        let trees = uses.captures_iter(text).flat_map(|it| expand(&it[1]));
        let paths = trees.filter_map(|path| {
            let (path, name) = match path.split_once(" as ") {
                Some((path, name)) => (path.to_owned(), name.to_owned()),
                None => (path.clone(), path.rsplit("::").next()?.to_owned()),
            };
            Some((name, self.absolute(module, &path)?))
        });
        paths.collect()
    }

    /// All paths within the crate that a text names. A module that is imported is used by what is called of it.
    fn paths(&self, module: &str, text: &str) -> BTreeSet<String> {
        let uses = Regex::new(r"(?m)^\s*use ([^;]+);").unwrap();
        let imported = uses.captures_iter(text).flat_map(|it| expand(&it[1]));
        let imported = imported.filter_map(|path| self.absolute(module, &path));
        let (modules, mut paths): (BTreeSet<_>, BTreeSet<_>) =
            imported.partition(|path| self.modules.contains_key(path));
        let by_name: BTreeMap<&str, &String> = modules
            .iter()
            .map(|path| (path.rsplit("::").next().unwrap(), path))
            .collect();
        let rest = uses.replace_all(text, "");
        let inline = Regex::new(r"\b\w+(?:::\w+)+").unwrap();
        for path in inline.find_iter(&rest).map(|it| it.as_str()) {
            let (first, below) = path.split_once("::").unwrap();
            match by_name.get(first) {
                Some(module) => paths.insert(format!("{module}::{below}")),
                None => self
                    .absolute(module, path)
                    .is_some_and(|path| paths.insert(path)),
            };
        }
        paths
    }

    /// A path from the crate's root on; `None` for what is of other crates.
    fn absolute(&self, module: &str, path: &str) -> Option<String> {
        let path = path.split(" as ").next()?;
        if let Some(rest) = path.strip_prefix("crate::") {
            return Some(rest.to_owned());
        }
        let mut at = module;
        let mut rest = path;
        while let Some(below) = rest.strip_prefix("super::") {
            at = at.rsplit_once("::").map_or("", |(parent, _)| parent);
            rest = below;
        }
        rest = rest.strip_prefix("self::").unwrap_or(rest);
        let whole = match at {
            "" => rest.to_owned(),
            at => format!("{at}::{rest}"),
        };
        let first = rest.split("::").next()?;
        let is_child = self.modules.contains_key(&format!("{at}::{first}"));
        (at != module || is_child).then_some(whole)
    }

    /// The module that a path leads to, through those that pass it on.
    fn home(
        &self,
        path: &str,
        passed_on: &BTreeMap<&Module, BTreeMap<String, String>>,
    ) -> Option<Module> {
        let mut path = path.to_owned();
        for _ in 0..8 {
            let mut module = path.as_str();
            while !self.modules.contains_key(module) {
                module = module.rsplit_once("::")?.0;
            }
            let rest = path.strip_prefix(module).unwrap();
            let Some(name) = rest.strip_prefix("::").and_then(|it| it.split("::").next()) else {
                return Some(module.to_owned());
            };
            match passed_on
                .get(&module.to_owned())
                .and_then(|names| names.get(name))
            {
                Some(home) => path = home.clone(),
                None => return Some(module.to_owned()),
            }
        }
        panic!("{path} is passed on without end")
    }
}

/// The paths of a use tree: `a::{b, c::{self, d}}` are `a::b`, `a::c`, `a::c::d`.
fn expand(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((prefix, rest)) = tree.split_once('{') else {
        return vec![tree.trim_end_matches("::self").to_owned()];
    };
    let inner = rest.trim_end().strip_suffix('}').unwrap();
    let mut depth = 0;
    let parts = inner.split(|c| {
        depth += match c {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        c == ',' && depth == 0
    });
    let parts = parts.filter(|part| !part.trim().is_empty());
    parts
        .flat_map(|part| expand(&format!("{prefix}{}", part.trim())))
        .collect()
}

fn room(module: &str) -> &str {
    module.split("::").next().unwrap()
}

#[test]
fn rooms_look_down() {
    let source = Source::read();
    let layer = |room: &str| LAYERS.iter().position(|rooms| rooms.contains(&room));
    let mut wrong = BTreeSet::new();
    for (module, used) in source.imports() {
        let Some(own) = layer(room(module)) else {
            wrong.insert(format!("{module} stands in no layer"));
            continue;
        };
        for other in used.iter().filter(|other| room(other) != room(module)) {
            if layer(room(other)).is_none_or(|other| other >= own) {
                wrong.insert(format!("{module} uses {other}"));
            }
        }
    }
    let known: BTreeSet<&str> = source.modules.keys().map(|module| room(module)).collect();
    let listed: BTreeSet<&str> = LAYERS.iter().copied().flatten().copied().collect();
    assert_eq!(known, listed);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_of_a_room_use_each_other_in_no_circle() {
    let source = Source::read();
    let imports = source.imports();
    let mut circles = Vec::new();
    for here in WITHOUT_CIRCLES {
        let mut graph = petgraph::graphmap::DiGraphMap::<&str, ()>::new();
        for (module, used) in imports.iter().filter(|(module, _)| room(module) == *here) {
            for other in used.iter().filter(|other| room(other) == *here) {
                graph.add_edge(module, other, ());
            }
        }
        let parts = petgraph::algo::tarjan_scc(&graph);
        let circle = |part: &&Vec<&str>| part.len() > 1;
        for part in parts.iter().filter(circle) {
            let edges = graph.all_edges();
            let within = edges.filter(|(from, to, ())| part.contains(from) && part.contains(to));
            circles.extend(within.map(|(from, to, ())| format!("{from} uses {to}")));
        }
    }
    assert!(circles.is_empty(), "{circles:#?}");
}
