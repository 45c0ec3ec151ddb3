//! `miniascape generate`

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;

use super::named::its_guests;
use super::output::{Failure, result, say};
use super::session::{Session, Warnings};
use super::{Common, Exit};
use crate::address::Name;
use crate::desired::{self, Formats};
use crate::diagnostic::did_you_mean_of;
use crate::generate::workdir::{Access, WorkDir, WorkDirError};
use crate::generate::{self, Files, Request, Selection};
use crate::lab::model::{Guest, Lab};
use crate::libvirt::connection::domain_type_asked_for;
use crate::libvirt::observed::Observed;
use crate::view::Color;
use crate::view::generate::{Mood, diff, lines, summary};

/// The work directory where none is named.
const WORKDIR: &str = "miniascape-workdir";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only these guests; without any, the host and all guests
    #[arg(value_name = "GUEST")]
    guests: Vec<String>,
    /// Directory to write into [default: miniascape-workdir in the lab's]
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<PathBuf>,
    /// Write nothing; exit with 2 if something is not as it would be written
    #[arg(long)]
    check: bool,
    /// Write nothing; show what would change in the files
    #[arg(long)]
    diff: bool,
}

pub(super) fn run(common: &Common, arguments: &Arguments, color: Color) -> Result<Exit, Failure> {
    let session = Session::open(common, Warnings::Told, color)?;
    let root = root(common);
    let assumed = assumed(&session.lab, Formats::Needed)?;
    let request = Request {
        lab: &session.lab,
        templates: &session.templates,
        assumed: &assumed,
        root: &root,
        selection: selection(&session.lab, &arguments.guests)?,
    };
    let (files, problems) = generate::files(&request);
    session.check(&problems)?;

    let path = match &arguments.workdir {
        Some(path) => path.clone(),
        None if common.chdir == Path::new(".") => PathBuf::from(WORKDIR),
        None => common.chdir.join(WORKDIR),
    };
    let (access, mood) = match arguments.check || arguments.diff {
        true => (Access::Read, Mood::Would),
        false => (Access::Write, Mood::Done),
    };
    let work = WorkDir::open(&path, &session.lab.name, access)?;
    let comparison = work.compare(&files, &request.selection.scope())?;
    if mood == Mood::Done {
        work.write(&files, &comparison)?;
        tell_lab_directory(common, &files, &path, &root);
    }
    if arguments.diff {
        result(&diff(&comparison, &files, color, common.secrets()))?;
    } else if !common.quiet {
        result(&lines(&comparison, color))?;
    }
    if !(arguments.diff && common.quiet) {
        result(&summary(&comparison, &path, mood))?;
    }
    Ok(match arguments.check && !comparison.is_up_to_date() {
        true => Exit::Changes,
        false => Exit::Success,
    })
}

/// The lab's directory as an absolute path.
pub(super) fn root(common: &Common) -> PathBuf {
    std::path::absolute(&common.chdir).unwrap_or_else(|_| common.chdir.clone())
}

/// What is assumed of a hypervisor that is not asked.
pub(super) fn assumed(lab: &Lab, need: Formats) -> Result<Observed, Failure> {
    let mut assumed = desired::assumed(lab, need);
    if let Some(kind) = domain_type_asked_for()? {
        assumed.facts.domain_type = Some(kind);
    }
    Ok(assumed)
}

fn selection(lab: &Lab, named: &[String]) -> Result<Selection, Failure> {
    if named.is_empty() {
        return Ok(Selection::All);
    }
    let guests: Result<BTreeSet<Name>, Failure> = named
        .iter()
        .map(|name| Ok(guest_named(lab, name)?.key.clone()))
        .collect();
    Ok(Selection::Guests(guests?))
}

/// The guest of a lab that an argument names.
pub(super) fn guest_named<'a>(lab: &'a Lab, name: &str) -> Result<&'a Guest, Failure> {
    lab.guests.get(name).ok_or_else(|| {
        let told = format!("there is no guest `{name}` in lab {}", lab.name);
        Failure::Message(told, guest_meant(lab, name))
    })
}

/// What is meant by the name of a guest that there is not.
fn guest_meant(lab: &Lab, name: &str) -> Option<String> {
    let name = name.strip_prefix("guest.").unwrap_or(name);
    let is_in = |guest: &&Guest| guest.groups.iter().any(|group| group.as_str() == name);
    let group = lab.guests.values().filter(is_in);
    let group: Vec<&str> = group.map(|guest| guest.key.as_str()).collect();
    if !group.is_empty() && !lab.guests.contains_key(name) {
        return Some(its_guests(name, &group));
    }
    let guests = lab.guests.keys().map(Name::as_str);
    did_you_mean_of(name, guests, "`miniascape status` shows all")
}

/// Says how scripts find the lab's files where the work directory is not in the lab's.
fn tell_lab_directory(common: &Common, files: &Files, work: &Path, root: &Path) {
    let uses = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains("${LAB_DIR:-");
    let real = |path: &Path| path.canonicalize().ok();
    let above = real(work).and_then(|work| work.parent().map(Path::to_owned));
    if !common.quiet && above != real(root) && files.values().any(|file| uses(&file.bytes)) {
        say(&format!(
            "note: scripts need files of the lab's: run them with LAB_DIR={}",
            root.display()
        ));
    }
}

impl From<WorkDirError> for Failure {
    fn from(error: WorkDirError) -> Self {
        Self::Message(error.to_string(), Some(error.hint))
    }
}
