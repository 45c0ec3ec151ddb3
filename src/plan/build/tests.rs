//! Plans of labs that went through something: pools that stand still or move, networks that stopped.

use crate::xml::tree::Element;
use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::lab::model::Lifecycle;
use crate::libvirt::observed::ObservedPool;

fn xml(text: &str) -> Element {
    Element::parse(text).unwrap()
}

fn lab() -> Name {
    Name::new("lab").unwrap()
}

fn resource(address: &Address, text: &str, detail: Detail) -> Desired {
    let resource = Resource {
        address: address.clone(),
        name: "a".into(),
        xml: xml(text).into(),
        depends_on: BTreeSet::new(),
        lifecycle: Lifecycle {
            prevent_destroy: false,
        },
        span: None,
        detail,
    };
    Desired {
        lab: lab(),
        resources: BTreeMap::from([(address.clone(), resource)]),
        external: BTreeMap::new(),
        moves: crate::lab::moves::Moves::default(),
        answers: BTreeMap::new(),
    }
}

/// A pool `a` at `/old`, and a state with a volume of 5 bytes in it.
fn pool_with_volume(active: bool) -> (Address, Address, Observed, State) {
    let pool: Address = "pool.a".parse().unwrap();
    let volume: Address = "volume.g.root".parse().unwrap();
    let uuid = pool.uuid(&lab());
    let mut observed = Observed::default();
    let live = ObservedPool {
        uuid,
        active,
        autostart: true,
        persistent: true,
        xml: xml("<pool type='dir'><name>a</name><target><path>/old</path></target></pool>").into(),
    };
    observed.pools.insert("a".into(), live);
    let mut state = State::new(lab());
    let entry = Entry {
        pool: Some("a".into()),
        uuid: None,
        applied: Some("<volume><capacity unit='bytes'>5</capacity></volume>".into()),
        ..Entry::found("g.root", uuid)
    };
    state.resources.insert(volume.clone(), entry);
    (pool, volume, observed, state)
}

#[test]
fn a_pool_that_holds_volumes_does_not_move() {
    let (pool, _, observed, mut state) = pool_with_volume(true);
    let detail = Detail::Pool {
        uuid: pool.uuid(&lab()),
        autostart: true,
    };
    let text = "<pool type='dir'><name>a</name><target><path>/new</path></target></pool>";
    let desired = resource(&pool, text, detail);
    let plan = make(&desired, &observed, &state, &Options::default());
    assert!(plan.problems.has_errors());
    let known = Entry::found("a", pool.uuid(&lab()));
    state.resources = BTreeMap::from([(pool, known)]);
    let plan = make(&desired, &observed, &state, &Options::default());
    assert!(!plan.problems.has_errors());
}

#[test]
fn a_volume_out_of_sight_is_data_too() {
    let (_, volume, observed, state) = pool_with_volume(false);
    let plan = destroy(&lab(), &observed, &state, &Options::default());
    assert_eq!(plan.changes[&volume].action, Action::Delete);
    assert_eq!(plan.changes[&volume].data_loss, Some(5));
}
