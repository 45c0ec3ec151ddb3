//! A lab on the hypervisor in memory, from its definition on, without any command.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use miniascape::address::Name;
use miniascape::desired::{self, Desired, Site, Sources};
use miniascape::diagnostic::SourceMap;
use miniascape::execute::{self, Report};
use miniascape::file::confined::Confined;
use miniascape::lab::{self, Definition, Source};
use miniascape::libvirt::fake::Fake;
use miniascape::libvirt::observed::Observed;
use miniascape::libvirt::{Observe, Others, Scope};
use miniascape::plan::{self, Action, Change, Options, Plan};
use miniascape::settled;
use miniascape::state::cache::Cache;
use miniascape::state::store::Store;
use miniascape::state::{HypervisorId, State};
use miniascape::template::Templates;
use miniascape::view::Color;
use miniascape::view::diagnostic::render;

/// The hypervisor and the state. The lab's name is `shop`.
pub struct Laboratory {
    pub fake: Fake,
    pub store: Store,
    /// What was seen at every plan until now.
    fingerprints: Mutex<HashSet<u64>>,
}

/// What a plan is for.
#[derive(Clone, Copy)]
enum Aim<'a> {
    Make(&'a Options),
    Verify,
}

impl Aim<'_> {
    fn plan(self, desired: &Desired, observed: &Observed, state: &State) -> Plan {
        match self {
            Aim::Make(options) => plan::make(desired, observed, state, options),
            Aim::Verify => plan::verify(desired, observed, state, &BTreeSet::new()),
        }
    }
}

pub fn read(path: &Path) -> Definition {
    lab::read(&Source {
        dir: path.parent().unwrap().to_owned(),
        config: vec![path.file_name().unwrap().to_string_lossy().into_owned()],
        vars: serde_json::Map::new(),
        system_dir: "/nowhere".into(),
        confined: Confined::default(),
    })
}

impl Laboratory {
    pub fn new() -> Self {
        let (store, _) = Store::in_memory(&Name::new("shop").unwrap());
        Self {
            fake: Fake::new(),
            store,
            fingerprints: Mutex::default(),
        }
    }

    /// Plans a definition, or without one the deletion of everything.
    pub fn plan(&self, definition: Option<&Path>) -> (Plan, SourceMap) {
        self.plan_with(definition, &Options::default())
    }

    /// The same, limited or widened.
    pub fn plan_with(&self, definition: Option<&Path>, options: &Options) -> (Plan, SourceMap) {
        self.planned(definition, Aim::Make(options))
    }

    /// Plans what is left of a plan that was carried out, as `apply` does in the end.
    pub fn verify(&self, definition: Option<&Path>) -> (Plan, SourceMap) {
        self.planned(definition, Aim::Verify)
    }

    fn planned(&self, definition: Option<&Path>, aim: Aim<'_>) -> (Plan, SourceMap) {
        let state = self.store.state();
        let wide = |scope: Scope| Scope {
            others: Others::Read,
            ..scope
        };
        let Some(path) = definition else {
            let scope = wide(desired::scope(None, state));
            let observed = self.fake.observe(&scope).unwrap();
            let plan = match aim {
                Aim::Make(options) => plan::destroy(&state.lab, &observed, state, options),
                Aim::Verify => plan::destroy(&state.lab, &observed, state, &Options::default()),
            };
            return (plan, SourceMap::default());
        };
        let Definition {
            lab,
            sources,
            diagnostics,
        } = read(path);
        let complain = |problems| render(problems, &sources, Color::Never);
        let mut lab = lab.unwrap_or_else(|| panic!("{}", complain(&diagnostics)));
        desired::hash_images(&mut lab, state);
        let beside = Confined::to(path.parent());
        let templates = Arc::new(Templates::new(Vec::new()).confined(beside));
        let make = |scope: &Scope| {
            let mut observed = self.fake.observe(scope).unwrap();
            let sources = Arc::new(Sources {
                lab: Arc::new(desired::adopted(&lab, Some(&observed), state).into_owned()),
                site: Site::from(&observed),
                templates: templates.clone(),
            });
            let (desired, problems) = desired::build_uncached(&sources, &Cache::default());
            let mut plan = aim.plan(&desired, &observed, state);
            self.plan_from_memory(&sources, &mut observed, aim, (&desired, &plan));
            let seen = settled::keep(&desired, &observed, state, &plan);
            self.fingerprints.lock().unwrap().extend(seen.fingerprints);
            plan.problems.extend(problems);
            plan
        };
        let scope = desired::scope(Some(&lab), state);
        let mut plan = make(&scope);
        if plan.touches_volumes() {
            plan = make(&wide(scope));
        }
        let observed = self.fake.observe(&wide(desired::scope(Some(&lab), state)));
        let observed = observed.unwrap();
        let questions = plan::unfit::questions(&plan, &observed);
        let offers = self.fake.offers(&observed.facts, &questions).unwrap();
        plan::unfit::check(&mut plan, &observed, &lab.places, (&questions, &offers));
        (plan, sources)
    }

    /// What was seen at any time before makes a plan faster, never another one.
    fn plan_from_memory(
        &self,
        sources: &Arc<Sources>,
        observed: &mut Observed,
        aim: Aim<'_>,
        (fresh, plan): (&Desired, &Plan),
    ) {
        let seen = Cache {
            // Taken for a while, since there come to be many.
            fingerprints: std::mem::take(&mut *self.fingerprints.lock().unwrap()),
            ..Cache::default()
        };
        let (desired, _) = desired::build_uncached(sources, &seen);
        for (address, resource) in &desired.resources {
            // Looked into: two definitions of the same print are taken for the same.
            let fresh = &fresh.resources[address];
            assert_eq!(resource.xml.tree(), fresh.xml.tree(), "{address}");
        }
        let state = State {
            cache: Arc::new(seen),
            ..self.store.state().clone()
        };
        observed.settled = settled::settled(&desired, observed, &state, &state.cache);
        let remembered = aim.plan(&desired, observed, &state);
        observed.settled.clear();
        assert_eq!(but_spelling(&remembered), but_spelling(plan));
        assert_eq!(remembered.edges, plan.edges);
        let seen = Arc::into_inner(state.cache).unwrap();
        self.fingerprints.lock().unwrap().extend(seen.fingerprints);
    }

    /// Runs a plan on one thread.
    pub fn run(&mut self, plan: &Plan) -> Report {
        let facts = self.fake.observe(&Default::default()).unwrap().facts;
        let id = HypervisorId {
            uri: facts.uri,
            host_uuid: facts.host_uuid,
        };
        self.store.begin(&id).unwrap();
        let report = execute::run(
            plan,
            &self.fake,
            &mut self.store,
            &execute::Options { parallel: 1 },
            &AtomicBool::new(false),
            &|_| {},
        )
        .unwrap();
        self.store.finish().unwrap();
        report
    }

    /// Plans and runs, and wants it to succeed.
    pub fn apply(&mut self, definition: &Path) {
        let (plan, sources) = self.plan(Some(definition));
        let problems = render(&plan.problems, &sources, Color::Never);
        assert!(!plan.problems.has_errors(), "{problems}");
        let report = self.run(&plan);
        assert_eq!(report.failed, [], "{}", definition.display());
        assert_eq!(report.skipped, [], "{}", definition.display());
        let (again, _) = self.verify(Some(definition));
        if again.is_empty() {
            self.store.learn(again.entries()).unwrap();
        }
    }
}

/// The changes of a plan, but for how libvirt spells what was applied: the state learns that where it looks.
fn but_spelling(plan: &Plan) -> Vec<Change> {
    let mut changes: Vec<Change> = plan.changes.values().cloned().collect();
    for change in &mut changes {
        // A guest may also only be stopped and started, for its disk's sake.
        let is_as_it_is = match change.action {
            Action::None => true,
            Action::Update => change.attributes.is_empty(),
            Action::Create | Action::Replace | Action::Delete | Action::Forget => false,
        };
        if let (true, Some(entry)) = (is_as_it_is, &mut change.entry) {
            entry.applied = None;
        }
    }
    changes
}
