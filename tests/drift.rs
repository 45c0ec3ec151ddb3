//! What others changed since the last apply, whatever the definition says now.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "common/laboratory.rs"]
mod laboratory;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use laboratory::Laboratory;
use miniascape::address::{Address, Kind};
use miniascape::desired;
use miniascape::libvirt::Observe;
use miniascape::libvirt::fake::Activity;
use miniascape::plan::drift::{Drift, drift};
use miniascape::view::{Color, drift::text, json};

fn definition(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases/failures")
        .join(name)
}

fn look(laboratory: &Laboratory, targets: &[&str]) -> Drift {
    let state = laboratory.store.state();
    let observed = laboratory.fake.observe(&desired::scope(None, state));
    let targets: BTreeSet<Address> = targets.iter().map(|t| t.parse().unwrap()).collect();
    drift(&observed.unwrap(), state, &targets)
}

fn applied() -> Laboratory {
    let mut laboratory = Laboratory::new();
    laboratory.apply(&definition("one.yaml"));
    laboratory
}

#[test]
fn what_was_applied_is_no_change_of_others() {
    let laboratory = applied();
    assert!(look(&laboratory, &[]).is_empty());
    // Another definition changes nothing of that.
    let (plan, _) = laboratory.plan(Some(&definition("two.yaml")));
    assert!(!plan.is_empty());
    assert_eq!(
        text(&look(&laboratory, &[]), Color::Never),
        "Nothing was changed by others: 15 resources, as applied last.\n"
    );
}

#[test]
fn what_others_changed_is_shown_in_their_direction() {
    let laboratory = applied();
    let fake = &laboratory.fake;
    fake.edit(Kind::Guest, "web1", |xml| {
        for name in ["memory", "currentMemory"] {
            xml.child_mut(name).unwrap().text = "2097152".to_owned();
        }
    });
    fake.switch(Kind::Guest, "web1", Activity::Inactive);
    fake.remove(Kind::Guest, "old1");
    fake.remove(Kind::Volume, "shop/old1.root.qcow2");
    fake.edit(Kind::Network, "front", |xml| {
        let dns = xml.child_mut("dns").unwrap();
        dns.children
            .retain(|host| host.attribute("ip") != Some("192.168.155.5"));
    });
    let seen = look(&laboratory, &[]);
    assert_eq!(
        text(&seen, Color::Never),
        "lab shop on fake:///system: 15 resources, 11 as applied last

  ~ network.front
      dns.hosts.ntp      - 192.168.155.5
  - volume.old1.root     gone
  - guest.old1           gone
  ~ guest.web1
      memory             1 GiB -> 2 GiB
      power              running -> off

Since the last apply: 2 changed, 2 gone.
"
    );
    let told = json::drift(&look(&laboratory, &["guest.web1", "guest.db1"]));
    assert_eq!(
        told,
        serde_json::json!({
            "format": "miniascape.drift/1",
            "lab": "shop",
            "hypervisor": "fake:///system",
            "resources": [{
                "address": "guest.web1",
                "change": "changed",
                "attributes": [
                    {"name": "memory", "before": "1 GiB", "after": "2 GiB"},
                    {"name": "power", "before": "running", "after": "off"},
                ],
            }],
            "totals": {"as_applied": 1, "changed": 1, "gone": 0, "unfinished": 0},
        })
    );
}

#[test]
fn what_an_unfinished_run_left_is_not_taken_for_others_work() {
    let mut laboratory = applied();
    let (plan, _) = laboratory.plan(Some(&definition("moved.yaml")));
    laboratory.fake.fail_after(1);
    laboratory.run(&plan);
    let seen = look(&laboratory, &["network.lan"]);
    assert!(seen.is_empty());
    let told = text(&seen, Color::Never);
    assert!(told.contains("? network.lan          unfinished"), "{told}");
}
