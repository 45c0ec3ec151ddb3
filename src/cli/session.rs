//! The way that commands have in common: settings, definition, state, hypervisor, plan.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::named::Known;
use super::output::{Failure, problems_to_stderr, say};
use super::run::kind;
use super::waiting::{Waiting, Whom};
use super::{Common, Exit, terminal};
use crate::address::{Address, Kind, Name};
use crate::cli::settings::Settings;
use crate::desired::{self, Desired, Site, Sources};
use crate::diagnostic::{Diagnostic, Diagnostics, SourceMap, did_you_mean};
use crate::file::confined::Confined;
use crate::lab;
use crate::lab::digest::{Digest, Digests};
use crate::lab::model::Lab;
use crate::libvirt::connection::Connection;
use crate::libvirt::keepalive::Patience;
use crate::libvirt::observed::{Facts, Observed};
use crate::libvirt::{Addresses, Filled, Hypervisor, Observe as _, Others, Scope};
use crate::plan::{self, Plan};
use crate::secret::Secrets;
use crate::settled;
use crate::state::cache::Cache;
use crate::state::store::{Access, Holder, Store};
use crate::state::{HypervisorId, State};
use crate::template::Templates;
use crate::view::Color;

/// Where definitions are looked for when the lab's directory has none.
const SYSTEM_DEFINITIONS: &str = "/etc/miniascape/config";
/// How long libvirt may leave everything unanswered, in seconds, where nothing is said.
const TIMEOUT: u64 = 30;
/// Templates of the machine's.
const SYSTEM_TEMPLATES: [&str; 2] = [
    "/etc/miniascape/templates",
    "/usr/share/miniascape/templates",
];
/// How often a lab is looked at, at most, until its state is the same after a look as before.
const LOOKS: usize = 4;
/// Where the state of such a lab is kept.
const SYSTEM_STATE: &str = "/var/lib/miniascape";

/// A lab's definition with its settings.
#[derive(Debug)]
pub struct Session {
    /// The definition, without errors.
    pub lab: Arc<Lab>,
    /// The texts that it came from.
    pub sources: SourceMap,
    /// The settings.
    pub settings: Settings,
    /// The templates.
    pub templates: Arc<Templates>,
    color: Color,
    warnings: Warnings,
    secrets: Secrets,
}

/// Whether a command repeats what is to be warned of in a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warnings {
    /// It goes by the definition, and says so.
    Told,
    /// It is about what is there: `validate`, `plan` and `apply` say so.
    Left,
}

/// What is planned for.
#[derive(Debug, Clone, Copy)]
pub enum Aim<'a> {
    /// To make it so.
    Make(&'a plan::Options),
    /// To see that it is so, of these resources, or of all.
    Verify(&'a BTreeSet<Address>),
}

/// A plan, and what it was made of.
pub struct Planned {
    /// What was looked at.
    pub observed: Observed,
    /// What should be there.
    pub desired: Desired,
    /// The plan.
    pub plan: Plan,
}

impl AsRef<Plan> for Planned {
    fn as_ref(&self) -> &Plan {
        &self.plan
    }
}

/// A hypervisor and the lab's state.
pub struct Live {
    /// The hypervisor.
    pub hypervisor: Arc<dyn Hypervisor>,
    /// How it is called where it is waited for.
    whom: Whom,
    /// The state's files.
    pub store: Store,
    /// The state as it is now.
    pub state: State,
    /// What the images are made of now.
    digests: Digests,
    /// It was said that somebody else changes the lab.
    said_so: bool,
}

impl Live {
    /// Looks until what was seen and the state belong together. Where a run of somebody else's goes on, what was known before the
    /// look or is known after it is the lab's; then what that run left alone meanwhile is given, too.
    fn refresh_together<T>(
        &mut self,
        scope: impl Fn(&State) -> Scope,
        mut look: impl FnMut(&mut Self, &Scope) -> Result<T, Failure>,
    ) -> Result<(T, Option<State>), Failure> {
        let mut left = LOOKS;
        loop {
            let within = scope(&self.state);
            let seen = look(self, &within)?;
            left -= 1;
            let Some(now) = self.store.reread()? else {
                return Ok((seen, None));
            };
            let runner = self.store.runner();
            let left_alone = now.left_alone_since(&self.state);
            if now.owns_as(&self.state) {
                let runner = runner.filter(Holder::is_here);
                return Ok(match runner {
                    Some(_) => {
                        self.say_who_runs(runner.as_ref());
                        (seen, Some(left_alone))
                    }
                    None => (seen, None),
                });
            }
            let goes_on = runner.is_some() || left == 0;
            let now = match goes_on {
                true => now.with_earlier(&self.state),
                false => now,
            };
            let before = std::mem::replace(&mut self.state, now);
            // Volumes of a pool that was not seen as it is would look lost, and a network's bridge like somebody else's.
            let is_enough = self.state.same_grounds(&before) && scope(&self.state) == within;
            if left == 0 || (goes_on && is_enough) {
                self.say_who_runs(runner.as_ref());
                return Ok((seen, Some(left_alone)));
            }
        }
    }

    /// Says, once, that the lab is being changed.
    fn say_who_runs(&mut self, runner: Option<&Holder>) {
        if std::mem::replace(&mut self.said_so, true) {
            return;
        }
        let who = runner.map(|runner| format!(" ({runner})"));
        say(&format!(
            "note: another miniascape{} is changing this lab; what follows is how far it is",
            who.unwrap_or_default()
        ));
    }

    /// Asks the guests that a plan disturbs what is under way on their disks; gives whether that is more than was known.
    pub fn learn_jobs(&self, plan: &Plan, observed: &mut Observed) -> Result<bool, Failure> {
        let guests = plan.disturbs(observed);
        if guests.is_empty() {
            return Ok(false);
        }
        let _waiting = self.whom.wait();
        Ok(self.hypervisor.observe_jobs(observed, &guests)?)
    }

    /// The addresses that are known of these guests.
    pub fn addresses(
        &self,
        observed: &Observed,
        guests: &BTreeSet<&str>,
    ) -> BTreeMap<String, Addresses> {
        let _waiting = self.whom.wait();
        self.hypervisor.addresses(observed, guests)
    }

    /// Takes note of what images were made of by a run.
    pub fn learn_digests(&mut self, filled: Vec<Filled>) {
        let known = filled.into_iter().filter_map(|filled| {
            let Filled {
                source,
                stamp,
                content,
            } = filled;
            let stamp = stamp?;
            Some((source, Digest { stamp, content }))
        });
        self.digests.extend(known);
    }

    /// Keeps what was seen when there was nothing to do, so that the next look is a short one.
    pub fn remember(&mut self, seen: Cache) {
        let seen = Cache {
            digests: self.digests.clone(),
            ..seen
        };
        if self.state.cache.is_other(&seen) {
            self.store.remember(seen);
        }
    }
}

impl Session {
    /// Reads settings and definition. All problems come at once.
    pub fn open(common: &Common, warnings: Warnings, color: Color) -> Result<Self, Failure> {
        Self::read(common, settings(common)?, warnings, color)
    }

    /// The same for a lab on a hypervisor, which is looked at meanwhile.
    pub fn open_live(
        common: &Common,
        access: Access,
        warnings: Warnings,
        color: Color,
    ) -> Result<(Self, Live), Failure> {
        let settings = settings(common)?;
        let uri = uri(common, &settings);
        let whom = Whom::new(common, uri.as_deref());
        let connect = Connection::begin(uri, patience(common, &settings));
        let mut session = Self::read(common, settings, warnings, color)?;
        let waiting = whom.wait();
        let connection = Arc::new(connect()?);
        drop(waiting);
        let mut live = open_state(
            common,
            &session.settings,
            &session.lab.name,
            access,
            connection,
        )?;
        let lab = Arc::make_mut(&mut session.lab);
        let reading = Waiting::begin(kind(common.quiet), "reading images…".to_owned());
        let (digests, problems) = desired::hash_images(lab, &live.state);
        drop(reading);
        session.check(&problems)?;
        live.digests = digests;
        Ok((session, live))
    }

    fn read(
        common: &Common,
        settings: Settings,
        warnings: Warnings,
        color: Color,
    ) -> Result<Self, Failure> {
        let source = lab::Source {
            dir: common.chdir.clone(),
            config: common.config.clone(),
            vars: variables(common, &settings)?,
            system_dir: PathBuf::from(SYSTEM_DEFINITIONS),
            confined: confined(common),
        };
        let definition = lab::read(&source);
        let Some(lab) = definition.lab else {
            return Err(Failure::Problems(
                definition.diagnostics,
                Box::new(definition.sources),
            ));
        };
        let session = Self {
            templates: Arc::new(templates(common, &settings)),
            lab: Arc::new(lab),
            sources: definition.sources,
            settings,
            color,
            warnings,
            secrets: common.secrets(),
        };
        session.check(&definition.diagnostics)?;
        Ok(session)
    }

    /// What arguments can name: what is defined, and what the state has.
    pub fn known(&self, state: &State) -> Known {
        let defined = self.lab.places.keys();
        Known::new(defined.chain(state.resources.keys())).with_groups(&self.lab)
    }

    /// What the hypervisor should hold; problems are printed, errors end the command.
    pub fn desired(&self, observed: &Observed, state: &State) -> Result<Desired, Failure> {
        let lab = desired::adopted(&self.lab, Some(observed), state);
        let (desired, problems) = desired::build(&lab, observed, &self.templates);
        self.check(&problems)?;
        Ok(desired)
    }

    /// What was seen before, unless that is switched off.
    fn cache(&self, state: &State) -> Arc<Cache> {
        match self.settings.is_cached() {
            true => state.cache.clone(),
            false => Arc::default(),
        }
    }

    /// Plans from what was looked at. The plan's problems are not checked yet.
    fn plan(
        &self,
        desired: &Desired,
        observed: &mut Observed,
        state: &State,
        aim: Aim<'_>,
    ) -> Result<Plan, Failure> {
        observed.settled = settled::settled(desired, observed, state, &self.cache(state));
        let mut plan = match aim {
            Aim::Make(options) => {
                if !options.targets.is_empty() || !options.replace.is_empty() {
                    let known = desired.resources.keys().chain(state.resources.keys());
                    let known = Known::new(known).with_groups(&self.lab);
                    known.check(&options.targets, "aim at")?;
                    known.check(&options.replace, "replace")?;
                }
                plan::make(desired, observed, state, options)
            }
            Aim::Verify(targets) => plan::verify(desired, observed, state, targets),
        };
        match self.secrets {
            Secrets::Hidden => plan.hide_secrets(),
            Secrets::Shown => {}
        }
        Ok(plan)
    }

    /// Looks at the hypervisor, and puts the lab through its templates meanwhile.
    pub fn refresh(&self, live: &mut Live) -> Result<(Observed, Desired), Failure> {
        let scope = |state: &State| desired::scope(Some(&self.lab), state);
        let ((observed, desired, problems), left_alone) =
            live.refresh_together(scope, |live, scope| self.refresh_once(live, scope))?;
        if left_alone.is_some() {
            let desired = self.desired(&observed, &live.state)?;
            return Ok((observed, desired));
        }
        self.check(&problems)?;
        Ok((observed, desired))
    }

    fn refresh_once(
        &self,
        live: &mut Live,
        scope: &Scope,
    ) -> Result<(Observed, Desired, Diagnostics), Failure> {
        let seen = self.cache(&live.state);
        let waiting = live.whom.wait();
        let observed = live.hypervisor.observe(scope)?;
        check_host(&live.state, &observed)?;
        drop(waiting);
        let sources = Arc::new(Sources {
            lab: match desired::adopted(&self.lab, Some(&observed), &live.state) {
                Cow::Borrowed(_) => self.lab.clone(),
                Cow::Owned(lab) => Arc::new(lab),
            },
            site: Site::from(&observed),
            templates: self.templates.clone(),
        });
        let (desired, problems) = desired::build_uncached(&sources, &seen);
        Ok((observed, desired, problems))
    }

    /// Looks again after a run: at all of it, or where a few networks and guests were touched, only at those.
    pub fn refresh_after(
        &self,
        live: &mut Live,
        before: (Observed, Desired),
        touched: &BTreeSet<Address>,
    ) -> Result<(Observed, Desired), Failure> {
        let (mut observed, desired) = before;
        // What pools and volumes there are can change what the templates give; and what came, went, or has another name is
        // found by looking at all.
        let names: Option<BTreeSet<String>> = touched
            .iter()
            .filter(|address| address.kind != Kind::Network)
            .map(|address| {
                let name = &desired.resources.get(address)?.name;
                let stays = address.kind == Kind::Guest && observed.guests.contains_key(name);
                stays.then(|| name.clone())
            })
            .collect();
        let is_cached = self.settings.is_cached();
        let is_worth = |names: &BTreeSet<String>| names.len() * 4 <= observed.guests.len();
        let Some(names) = names.filter(|names| is_cached && is_worth(names)) else {
            // Of a large lab these are megabytes.
            drop((observed, desired));
            return self.refresh(live);
        };
        let _waiting = live.whom.wait();
        live.hypervisor.observe_again(&mut observed, &names)?;
        Ok((observed, desired))
    }

    /// Looks at the hypervisor and plans.
    pub fn refresh_and_plan(
        &self,
        live: &mut Live,
        options: &plan::Options,
    ) -> Result<Planned, Failure> {
        let (observed, desired) = self.refresh(live)?;
        self.plan_closely(live, (observed, desired), Aim::Make(options))
    }

    /// Plans from what was looked at. A plan that deletes a volume, or gives a disk another, is made again after a second look that
    /// takes in all volumes there; one that stops guests, after they were asked what is under way on their disks.
    pub fn plan_closely(
        &self,
        live: &mut Live,
        (mut observed, desired): (Observed, Desired),
        aim: Aim<'_>,
    ) -> Result<Planned, Failure> {
        let plan = self.plan(&desired, &mut observed, &live.state, aim)?;
        let planned = Planned {
            observed,
            desired,
            plan,
        };
        let mut planned = match planned.plan.touches_volumes() {
            true => self.plan_from_all(live, planned.desired, aim)?,
            false => planned,
        };
        if live.learn_jobs(&planned.plan, &mut planned.observed)? {
            let Planned {
                observed, desired, ..
            } = &mut planned;
            planned.plan = self.plan(desired, observed, &live.state, aim)?;
        }
        self.ask_for_unfit(live, &mut planned)?;
        Ok(planned)
    }

    /// Asks libvirt about what is to be defined, and notes what it would refuse.
    fn ask_for_unfit(&self, live: &Live, planned: &mut Planned) -> Result<(), Failure> {
        let Planned { observed, plan, .. } = planned;
        let questions = plan::unfit::questions(plan, observed);
        if questions.is_empty() {
            return Ok(());
        }
        let _waiting = live.whom.wait();
        let offers = live.hypervisor.offers(&observed.facts, &questions)?;
        plan::unfit::check(plan, observed, &self.lab.places, (&questions, &offers));
        Ok(())
    }

    /// Plans after a look that takes in all volumes there.
    fn plan_from_all(
        &self,
        live: &mut Live,
        desired: Desired,
        aim: Aim<'_>,
    ) -> Result<Planned, Failure> {
        let scope = |state: &State| Scope {
            others: Others::Read,
            ..desired::scope(Some(&self.lab), state)
        };
        let (mut observed, left_alone) = observe(live, scope)?;
        let desired = match left_alone {
            Some(_) => self.desired(&observed, &live.state)?,
            None => desired,
        };
        let plan = self.plan(&desired, &mut observed, &live.state, aim)?;
        Ok(Planned {
            observed,
            desired,
            plan,
        })
    }

    /// Tells problems; errors end the command.
    pub fn check(&self, problems: &Diagnostics) -> Result<(), Failure> {
        if problems.has_errors() {
            return Err(Failure::Problems(
                problems.clone(),
                Box::new(self.sources.clone()),
            ));
        }
        match self.warnings {
            Warnings::Told => problems_to_stderr(problems, &self.sources, self.color),
            Warnings::Left => {}
        }
        Ok(())
    }
}

/// Reads `miniascape.toml`.
pub fn settings(common: &Common) -> Result<Settings, Failure> {
    let mut sources = SourceMap::default();
    if !common.chdir.is_dir() {
        return Err(Failure::new(
            format!("there is no directory {}", common.chdir.display()),
            "`--chdir` names the directory of a lab",
        ));
    }
    Settings::read(&common.chdir, &confined(common), &mut sources)
        .map_err(|problem| one(problem, sources))
}

/// The name of a lab, its settings, and its definition, which is not needed where the name is given.
pub fn name_and_settings(
    common: &Common,
    named: Option<&Name>,
    command: &str,
    color: Color,
) -> Result<(Name, Settings, Option<Arc<Lab>>), Failure> {
    match named {
        Some(lab) => Ok((lab.clone(), settings(common)?, None)),
        None => {
            let session = Session::open(common, Warnings::Left, color).inspect_err(|_| {
                say(&format!(
                    "note: `{command} --lab NAME` works without a definition\n"
                ));
            })?;
            Ok((
                session.lab.name.clone(),
                session.settings,
                Some(session.lab),
            ))
        }
    }
}

/// What is meant by the name of a lab that has no state in a directory, where others have.
pub fn lab_meant(directory: &Path, lab: &Name) -> Option<String> {
    let labs = Store::labs(directory);
    match Store::exists(directory, lab) {
        true => None,
        false => did_you_mean(lab.as_str(), labs.iter().map(String::as_str)),
    }
}

/// Connects, and opens the state of a lab.
pub fn connect(
    common: &Common,
    settings: &Settings,
    lab: &Name,
    access: Access,
) -> Result<Live, Failure> {
    let uri = uri(common, settings);
    let waiting = Whom::new(common, uri.as_deref()).wait();
    let connection = Connection::open_within(uri.as_deref(), patience(common, settings))?;
    let connection = Arc::new(connection);
    drop(waiting);
    open_state(common, settings, lab, access, connection)
}

fn uri(common: &Common, settings: &Settings) -> Option<String> {
    common.connect.clone().or_else(|| settings.connect.clone())
}

/// How long libvirt may leave everything unanswered; `None` is for ever.
fn patience(common: &Common, settings: &Settings) -> Option<Patience> {
    let seconds = common.timeout.or(settings.timeout).unwrap_or(TIMEOUT);
    (seconds > 0).then(|| Patience {
        limit: Duration::from_secs(seconds),
        stuck: Arc::new(|error| {
            terminal::restore();
            // What changes in place on a terminal stays above.
            if std::io::stderr().is_terminal() {
                say("");
            }
            Failure::from(error.clone()).print(Color::Never);
            // As after a kill: the state goes by its journal. Whoever waits for libvirt would keep a normal end waiting, too.
            signal_hook::low_level::exit(Exit::Failure.code());
        }),
    })
}

fn open_state(
    common: &Common,
    settings: &Settings,
    lab: &Name,
    access: Access,
    connection: Arc<Connection>,
) -> Result<Live, Failure> {
    let (store, mut state) = if connection.uri()?.starts_with("test:") {
        if !common.quiet {
            say("note: nothing on test:// outlives this process, so no state is kept");
        }
        Store::in_memory(lab)
    } else {
        Store::open(&state_directory(common, settings), lab, access)?
    };
    if !settings.is_cached() {
        state.cache = Arc::default();
    }
    connection.set_cache(state.cache.clone());
    Ok(Live {
        hypervisor: connection,
        whom: Whom::new(common, uri(common, settings).as_deref()),
        store,
        state,
        digests: Digests::new(),
        said_so: false,
    })
}

/// Looks at the hypervisor; one that the state does not speak of ends the command. Where a run of somebody else's goes on, gives
/// what it left alone meanwhile, too.
pub fn observe(
    live: &mut Live,
    scope: impl Fn(&State) -> Scope,
) -> Result<(Observed, Option<State>), Failure> {
    live.refresh_together(scope, |live, scope| {
        let _waiting = live.whom.wait();
        let observed = live.hypervisor.observe(scope)?;
        check_host(&live.state, &observed)?;
        Ok(observed)
    })
}

fn check_host(state: &State, observed: &Observed) -> Result<(), Failure> {
    if let Some(known) = &state.hypervisor
        && known.host_uuid != observed.facts.host_uuid
    {
        return Err(Failure::new(
            format!(
                "the state of lab {} is of {} ({}), which is another host than {} ({})",
                state.lab,
                known.uri,
                host(known.host_uuid),
                observed.facts.uri,
                host(observed.facts.host_uuid),
            ),
            "connect to that one with `-c`, or keep the state of this one elsewhere with `--state`; if it is the same machine, libvirt makes up a UUID at each start: set `host_uuid` in /etc/libvirt/libvirtd.conf to the first one",
        ));
    }
    Ok(())
}

fn host(uuid: Option<uuid::Uuid>) -> String {
    uuid.map_or_else(
        || "host without UUID".to_owned(),
        |uuid| format!("host {uuid}"),
    )
}

/// What the state records of a hypervisor.
pub fn hypervisor_id(facts: &Facts) -> HypervisorId {
    HypervisorId {
        uri: facts.uri.clone(),
        host_uuid: facts.host_uuid,
    }
}

/// The variables of definitions that are templates: settings, then files, then the command line.
fn variables(
    common: &Common,
    settings: &Settings,
) -> Result<serde_json::Map<String, serde_json::Value>, Failure> {
    let mut vars = settings.vars.clone();
    for path in &common.var_file {
        vars.extend(var_file(path)?);
    }
    for (name, value) in &common.var {
        vars.insert(name.clone(), value.clone().into());
    }
    Ok(vars)
}

/// The variables of a file.
pub fn var_file(path: &Path) -> Result<serde_json::Map<String, serde_json::Value>, Failure> {
    let (mut sources, mut problems) = (SourceMap::default(), Diagnostics::default());
    lab::load::read_var_file(path, &mut sources, &mut problems)
        .ok_or_else(|| Failure::Problems(problems, Box::new(sources)))
}

fn one(problem: Diagnostic, sources: SourceMap) -> Failure {
    let mut problems = Diagnostics::default();
    problems.push(problem);
    Failure::Problems(problems, Box::new(sources))
}

/// The templates of a lab's directory and of the machine.
pub fn templates(common: &Common, settings: &Settings) -> Templates {
    let mut directories = common.templates.clone();
    directories.extend(settings.templates.path.clone());
    directories.push(common.chdir.join("templates"));
    directories.extend(SYSTEM_TEMPLATES.map(PathBuf::from));
    Templates::new(directories)
        .confined(confined(common))
        .undefined(settings.templates.undefined)
}

/// Where a lab may have files read. What comes with it, as its settings do, says nothing about that: the user and the
/// machine do.
fn confined(common: &Common) -> Confined {
    let mut confined = Confined::to([&common.chdir]);
    confined.extend(SYSTEM_TEMPLATES);
    confined.extend(&common.templates);
    confined.extend(&common.include_path);
    confined
}

/// Where the state is kept.
pub fn state_directory(common: &Common, settings: &Settings) -> PathBuf {
    let named = common.state.clone().or_else(|| settings.state.clone());
    named.unwrap_or_else(|| {
        let own = common.config.is_empty()
            && !["lab.yaml", "lab.yaml.j2", "lab.d"]
                .iter()
                .any(|name| common.chdir.join(name).exists());
        if own && Path::new(SYSTEM_DEFINITIONS).is_dir() {
            PathBuf::from(SYSTEM_STATE)
        } else {
            // Without `./` in front, as one would write it.
            let directory = common.chdir.join("state");
            directory
                .strip_prefix(".")
                .map_or(directory.clone(), Path::to_owned)
        }
    })
}
