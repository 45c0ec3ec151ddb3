//! The definition: read ([`load`], [`yaml`]), as written ([`written`]), made whole ([`resolve`]), as meant ([`model`]).

pub mod attributes;
pub mod decode;
pub mod device_name;
pub mod digest;
pub mod explain;
mod jinja;
pub mod load;
pub mod model;
pub mod moves;
pub mod places;
pub mod resolve;
pub mod schema;
mod synonyms;
pub mod written;

pub mod yaml;

use std::path::PathBuf;

use crate::diagnostic::{Diagnostics, SourceMap};
use crate::file::confined::Confined;
use model::Lab;

/// The directory of generated files that are the host's; no guest can be called so.
pub const HOST: &str = "host";

/// Where a definition comes from.
#[derive(Debug, Clone)]
pub struct Source {
    /// The lab's directory.
    pub dir: PathBuf,
    /// What `-C` names, relative to the directory; empty where it is not given.
    pub config: Vec<String>,
    /// The variables of files that are templates.
    pub vars: serde_json::Map<String, serde_json::Value>,
    /// What is read where the directory holds no definition: `/etc/miniascape/config`.
    pub system_dir: PathBuf,
    /// Where else files may be read.
    pub confined: Confined,
}

/// A definition, or why it is none.
#[derive(Debug)]
pub struct Definition {
    /// The lab; `None` where there are errors.
    pub lab: Option<Lab>,
    /// The texts that it was read from.
    pub sources: SourceMap,
    /// All problems that were found, warnings too.
    pub diagnostics: Diagnostics,
}

/// Reads a definition. It does not stop at the first problem but collects them all.
pub fn read(source: &Source) -> Definition {
    let mut sources = SourceMap::default();
    let mut diagnostics = Diagnostics::default();
    let lab = load::load(source, &mut sources, &mut diagnostics).and_then(|tree| {
        let spec = written::decode(&tree, &mut diagnostics);
        resolve::resolve(&spec, &sources, &mut diagnostics)
    });
    jinja::explain(&mut diagnostics, &sources);
    Definition {
        lab: lab.filter(|_| !diagnostics.has_errors()),
        sources,
        diagnostics,
    }
}
