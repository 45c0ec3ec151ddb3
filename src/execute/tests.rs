//! Plans run against a scripted hypervisor.

use uuid::Uuid;

use super::*;
use crate::address::Name;
use crate::diagnostic::Diagnostics;
use crate::libvirt::Outcome;
use crate::plan::{Action, Node, while_made};
use crate::state::Status;
use crate::step::Named;

/// Records steps; the one at `fails` fails.
#[derive(Default)]
struct Scripted {
    seen: Mutex<Vec<String>>,
    fails: Option<(usize, ErrorKind)>,
    panics: bool,
}

impl Perform for Scripted {
    fn perform(&self, step: &Step, monitor: &dyn Monitor) -> Result<Outcome, HypervisorError> {
        let mut seen = self.seen.lock();
        seen.push(step.describe());
        let at = seen.len() - 1;
        drop(seen);
        match self.fails {
            Some((n, _)) if n == at && self.panics => panic!("scripted"),
            Some((n, kind)) if n == at => Err(HypervisorError {
                kind,
                message: "scripted".into(),
                hint: None,
            }),
            Some(_) | None => {
                if matches!(step, Step::StartPool { .. }) {
                    monitor.makes_directory()?;
                }
                Ok(Outcome::default())
            }
        }
    }
}

fn at(text: &str) -> Address {
    text.parse().unwrap()
}

fn entry(name: &str) -> Entry {
    Entry {
        name: name.into(),
        uuid: None,
        pool: None,
        pool_uuid: None,
        status: Status::Applied,
        keep: false,
        content: None,
        prevent_destroy: false,
        made_directory: false,
        place: None,
        shutdown_timeout: None,
        depends_on: BTreeSet::new(),
        applied: Some(format!("<{name}/>").into()),
        attempted: Vec::new(),
        beside: None,
        pending: BTreeSet::new(),
        written: BTreeSet::new(),
        staged: None,
        kept_name: false,
        active: None,
        autostart: None,
    }
}

fn change(address: &str, action: Action, quiesce: Vec<Step>, steps: Vec<Step>) -> Change {
    Change {
        notes: Vec::new(),
        address: at(address),
        action,
        moved_from: None,
        summary: String::new(),
        attributes: Vec::new(),
        power: None,
        disruption: None,
        data_loss: None,
        reason: None,
        before_xml: None,
        after_xml: None,
        quiesce,
        steps,
        pending: Vec::new(),
        foreign: Vec::new(),
        entry: (action != Action::Delete).then(|| entry(&at(address).name)),
        intent: None,
        checkpoints: Vec::new(),
        forgets_strangers: false,
    }
}

fn named(name: &str) -> Named {
    Named::new(name, Uuid::nil())
}

fn start(name: &str) -> Step {
    Step::StartGuest { name: named(name) }
}

/// A network, a pool, a guest that is shut down for its volume, one that needs the first, one alone, one deleted.
fn plan() -> Plan {
    let main = |text: &str| Node {
        address: at(text),
        phase: Phase::Main,
    };
    let quiesce = |text: &str| Node {
        address: at(text),
        phase: Phase::Quiesce,
    };
    let shut = Step::ShutdownGuest {
        name: named("a"),
        timeout: 1,
    };
    let changes = [
        change(
            "network.n",
            Action::Create,
            vec![],
            vec![Step::StartNetwork { name: named("n") }],
        ),
        change(
            "pool.p",
            Action::Create,
            vec![],
            vec![
                Step::StartPool { name: named("p") },
                Step::AutostartPool {
                    name: named("p"),
                    on: true,
                },
            ],
        ),
        change(
            "volume.a.root",
            Action::Replace,
            vec![],
            vec![Step::DeleteVolume {
                pool: named("p"),
                name: "v".into(),
                seen: None,
            }],
        ),
        change("guest.a", Action::Update, vec![shut], vec![start("a")]),
        change("guest.b", Action::Create, vec![], vec![start("b")]),
        change("guest.c", Action::Create, vec![], vec![start("c")]),
        change("guest.old", Action::Delete, vec![], vec![start("old")]),
        change("guest.same", Action::None, vec![], vec![]),
    ];
    let recorded = |mut change: Change| {
        let known = KNOWN.contains(&change.address.to_string().as_str());
        let before = known.then(|| entry("before"));
        while_made(&mut change, before.as_ref());
        (change.address.clone(), change)
    };
    Plan {
        lab: Name::new("shop").unwrap(),
        uri: String::new(),
        changes: changes.into_iter().map(recorded).collect(),
        moves: Vec::new(),
        edges: BTreeSet::from([
            (quiesce("guest.a"), main("volume.a.root")),
            (main("pool.p"), main("volume.a.root")),
            (main("volume.a.root"), main("guest.a")),
            (main("network.n"), main("guest.a")),
            (main("guest.a"), main("guest.b")),
        ]),
        problems: Diagnostics::default(),
    }
}

/// What the state has before.
const KNOWN: [&str; 3] = ["volume.a.root", "guest.a", "guest.old"];

fn go(hypervisor: &Scripted, parallel: usize, interrupted: bool) -> (Report, Store, Vec<Event>) {
    let (mut store, _) = Store::in_memory(&Name::new("shop").unwrap());
    for address in KNOWN {
        store.settle(&at(address), Some(&entry("before"))).unwrap();
    }
    let told = Mutex::new(Vec::new());
    let report = run(
        &plan(),
        hypervisor,
        &mut store,
        &Options { parallel },
        &AtomicBool::new(interrupted),
        &|event| told.lock().push(event),
    )
    .unwrap();
    (report, store, told.into_inner())
}

#[test]
fn one_thread_follows_the_order_and_the_state_learns_all() {
    let hypervisor = Scripted::default();
    let (report, store, _) = go(&hypervisor, 1, false);
    assert_eq!(
        *hypervisor.seen.lock(),
        [
            "start network n",
            "start pool p",
            "turn autostart of pool p on",
            "shut down guest a",
            "delete volume v of pool p",
            "start guest a",
            "start guest b",
            "start guest c",
            "start guest old",
        ]
    );
    assert_eq!(report.done.len(), 7);
    let resources = &store.state().resources;
    assert!(
        resources
            .values()
            .all(|entry| entry.status == Status::Applied)
    );
    assert!(resources[&at("pool.p")].made_directory);
    assert!(resources.contains_key(&at("guest.same")) && !resources.contains_key(&at("guest.old")));
}

#[test]
fn whatever_step_fails_every_change_is_accounted_for() {
    for parallel in [1, 4] {
        for panics in [false, true] {
            for n in 0..9 {
                let hypervisor = Scripted {
                    fails: Some((n, ErrorKind::Failed)),
                    panics,
                    ..Scripted::default()
                };
                let (report, store, events) = go(&hypervisor, parallel, false);
                assert_eq!(report.failed.len(), 1);
                assert!(report.not_started.is_empty());
                assert_eq!(
                    report.done.len() + report.skipped.len() + 1,
                    7,
                    "step {n}: {report:?}"
                );
                let skipped = events
                    .iter()
                    .filter(|e| matches!(e, Event::Skipped { .. }))
                    .count();
                assert_eq!(skipped, report.skipped.len());
                let failed = &store.state().resources[&report.failed[0].address];
                assert_ne!(failed.status, Status::Applied, "its intent stays");
                for address in report.done.iter().filter(|a| **a != at("guest.old")) {
                    assert_eq!(store.state().resources[address].status, Status::Applied);
                }
            }
        }
    }
}

#[test]
fn a_guest_is_not_shut_down_for_a_change_that_will_not_come() {
    let hypervisor = Scripted {
        fails: Some((0, ErrorKind::Failed)),
        ..Scripted::default()
    };
    let (report, ..) = go(&hypervisor, 1, false);
    let because = at("network.n");
    let skipped: Vec<_> = ["volume.a.root", "guest.a", "guest.b"]
        .map(|a| (at(a), because.clone()))
        .into();
    assert_eq!(report.skipped, skipped);
    assert!(
        !hypervisor
            .seen
            .lock()
            .contains(&"shut down guest a".to_owned())
    );
}

#[test]
fn a_guest_that_stays_off_is_told_of() {
    let hypervisor = Scripted {
        fails: Some((4, ErrorKind::Failed)),
        ..Scripted::default()
    };
    let (.., events) = go(&hypervisor, 1, false);
    let noted = |e: &Event| matches!(e, Event::Note { address, .. } if *address == at("guest.a"));
    assert!(events.iter().any(noted));
}

#[test]
fn what_someone_else_made_is_not_ours() {
    let hypervisor = Scripted {
        fails: Some((0, ErrorKind::Exists)),
        ..Scripted::default()
    };
    let (_, store, _) = go(&hypervisor, 1, false);
    assert!(!store.state().resources.contains_key(&at("network.n")));
}

#[test]
fn nothing_begins_after_an_interruption_or_a_lost_connection() {
    let (report, ..) = go(&Scripted::default(), 4, true);
    assert_eq!(report.not_started.len(), 7);
    let hypervisor = Scripted {
        fails: Some((0, ErrorKind::Connection)),
        ..Scripted::default()
    };
    let (report, ..) = go(&hypervisor, 1, false);
    assert_eq!(
        (
            report.failed.len(),
            report.skipped.len(),
            report.not_started.len()
        ),
        (1, 3, 3)
    );
    assert_eq!(hypervisor.seen.lock().len(), 1);
}

#[test]
fn an_error_of_the_state_stops_the_run() {
    use crate::state::store::Access;
    let dir = tempfile::tempdir().unwrap();
    let lab = Name::new("shop").unwrap();
    let (mut store, _) = Store::open(dir.path(), &lab, Access::Read).unwrap();
    let hypervisor = Scripted::default();
    let options = Options { parallel: 4 };
    let never = AtomicBool::new(false);
    let error = run(&plan(), &hypervisor, &mut store, &options, &never, &|_| {}).unwrap_err();
    let ExecuteError::Store { report, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(report.not_started.len(), 7);
    assert!(
        hypervisor
            .seen
            .lock()
            .iter()
            .all(|step| step == "start guest old")
    );
}

#[test]
fn an_attempt_that_is_taken_back_is_known_until_it_is_gone() {
    let mut update = change("guest.a", Action::Update, vec![], vec![start("a")]);
    let before = Entry {
        status: Status::Changing,
        attempted: vec!["<attempt/>".into()],
        ..entry("a")
    };
    while_made(&mut update, Some(&before));
    let intent = update.intent.unwrap();
    assert_eq!(intent.status, Status::Changing);
    assert_eq!(intent.applied.as_deref(), Some("<a/>"));
    assert_eq!(
        intent.attempted,
        ["<attempt/>", "<a/>"].map(std::sync::Arc::from)
    );
}
