//! The state's files.

use std::collections::BTreeSet;
use std::fs;

use miniascape::address::{Address, Name};
use miniascape::state::store::{Access, Store, StoreErrorKind};
use miniascape::state::{Entry, HypervisorId, State, Status};
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use uuid::Uuid;

use crate::cases;

/// What a run records.
#[derive(Debug, Clone)]
enum Record {
    Begin(HypervisorId),
    Intend(Address, Entry),
    Settle(Address, Option<Entry>),
}

fn text() -> BoxedStrategy<String> {
    prop_oneof![
        select(
            &[
                "",
                "\n",
                "'''",
                "a\"\"\"b\n",
                "\r\n",
                "\\",
                "# end",
                "\u{0}\u{7f}",
                "<a>\n  <b/>\n</a>\n"
            ][..]
        )
        .prop_map(str::to_owned),
        any::<String>(),
    ]
    .boxed()
}

fn address() -> BoxedStrategy<Address> {
    let addresses = [
        "network.front",
        "pool.shop",
        "image.base",
        "volume.web.root",
        "guest.web",
        "guest.a.b+c_d-1",
    ];
    let known = addresses.into_iter().filter_map(|text| text.parse().ok());
    select(known.collect::<Vec<Address>>()).boxed()
}

fn entry() -> BoxedStrategy<Entry> {
    let status = select(
        &[
            Status::Creating,
            Status::Changing,
            Status::Deleting,
            Status::Applied,
        ][..],
    );
    let uuid = || option::of(any::<u128>().prop_map(Uuid::from_u128));
    let marks = any::<[bool; 4]>();
    let power = any::<[Option<bool>; 2]>();
    let names = (
        text(),
        uuid(),
        option::of(text()),
        option::of(text()),
        option::of(text()),
    );
    let trees = (
        option::of(text()),
        vec(text(), 0..=2),
        btree_set(text(), 0..=2),
        btree_set(address(), 0..=3),
    );
    // TOML has no larger numbers.
    let timeout = option::of(0..=u64::try_from(i64::MAX).unwrap());
    (names, status, marks, power, trees, timeout)
        .prop_map(|(names, status, marks, power, trees, shutdown_timeout)| {
            let (name, uuid, pool, content, staged) = names;
            let [keep, prevent_destroy, made_directory, kept_name] = marks;
            let [active, autostart] = power;
            let (applied, attempted, pending, depends_on) = trees;
            Entry {
                name,
                uuid,
                pool,
                pool_uuid: uuid,
                status,
                keep,
                prevent_destroy,
                place: content.clone(),
                content,
                made_directory,
                shutdown_timeout,
                depends_on,
                beside: applied.clone().map(Into::into),
                written: pending.clone(),
                pending,
                applied: applied.map(Into::into),
                attempted: attempted.into_iter().map(Into::into).collect(),
                kept_name,
                active,
                autostart,
                staged,
            }
        })
        .boxed()
}

fn record() -> BoxedStrategy<Record> {
    let place = (text(), option::of(any::<u128>().prop_map(Uuid::from_u128)));
    prop_oneof![
        1 => place.prop_map(|(uri, host_uuid)| Record::Begin(HypervisorId { uri, host_uuid })),
        3 => (address(), entry()).prop_map(|(address, entry)| Record::Intend(address, entry)),
        3 => (address(), option::of(entry())).prop_map(|(address, entry)| Record::Settle(address, entry)),
    ]
    .boxed()
}

fn write(store: &mut Store, record: &Record) {
    match record {
        Record::Begin(place) => store.begin(place),
        Record::Intend(address, entry) => store.intend(address, entry),
        Record::Settle(address, entry) => store.settle(address, entry.as_ref()),
    }
    .unwrap();
}

/// A state as it is read: a lab that owns nothing is nowhere.
fn settled(mut state: State) -> State {
    if state.resources.is_empty() {
        state.hypervisor = None;
    }
    state
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn what_was_recorded_is_read(before in vec(record(), 0..=4), records in vec(record(), 0..=6), cut: Index) {
        let lab = Name::new("shop").unwrap();
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let read = || Store::open(at, &lab, Access::Read).map(|(_, state)| state);

        let (mut store, _) = Store::open(at, &lab, Access::Write).unwrap();
        for record in &before {
            write(&mut store, record);
        }
        let finished = store.finish().unwrap();
        prop_assert_eq!(&read().unwrap(), &finished);

        // The journal holds every record as soon as it is written, and after a crash.
        let mut states = vec![finished.clone()];
        for record in &records {
            write(&mut store, record);
            let state = settled(store.state().clone());
            prop_assert_eq!(&read().unwrap(), &state);
            states.push(state);
        }
        drop(store);
        let last = states.last().unwrap().clone();
        prop_assert_eq!(&read().unwrap(), &last);

        // Cut anywhere, it holds what its whole lines say, and a line is whole without its line break.
        let journal = at.join("shop.journal");
        if let Ok(bytes) = fs::read(&journal) {
            let cut = cut.index(bytes.len());
            fs::write(&journal, &bytes[..cut]).unwrap();
            let lines = bytes[..=cut].iter().filter(|byte| **byte == b'\n').count();
            prop_assert_eq!(&read().unwrap(), &states[lines.saturating_sub(1)]);
            fs::write(&journal, &bytes).unwrap();
        }

        // Whoever writes next folds it in, and nothing changes by that.
        let (store, state) = Store::open(at, &lab, Access::Write).unwrap();
        prop_assert_eq!(&state, &last);
        prop_assert!(!journal.exists());
        drop(store);
        prop_assert_eq!(&read().unwrap(), &last);

        // A document that is cut is never taken for a smaller one.
        let document = at.join("shop.toml");
        if let Ok(text) = fs::read_to_string(&document) {
            let cut = cut.index(text.trim_end().len());
            fs::write(&document, &text.as_bytes()[..cut]).unwrap();
            prop_assert_eq!(read().unwrap_err().kind, StoreErrorKind::Damaged);
        }
        let left: BTreeSet<_> = fs::read_dir(at).unwrap().map(|file| file.unwrap().file_name()).collect();
        prop_assert!(left.len() <= 1, "{left:?}");
    }
}
