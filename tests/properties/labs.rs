//! Labs, and labs of which something was edited.

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

/// A definition in parts, so that an edit can replace one and leave the others.
///
/// A part refers to others by name whether they are there or not; [`Lab::definition`] leaves out what is not.
#[derive(Debug, Clone)]
pub struct Lab {
    parts: [Option<Value>; PARTS],
}

/// `front`, `back`, `more`, `base`, and the guests.
const PARTS: usize = 4 + GUESTS.len();
const GUESTS: [&str; 3] = ["db", "web", "app"];

fn any_of(values: &[Value]) -> BoxedStrategy<Value> {
    select(values.to_vec()).boxed()
}

/// A map of some of these keys; of those with the weight 1, always.
fn map(keys: Vec<(&'static str, f64, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let keys: Vec<_> = keys
        .into_iter()
        .map(|(key, weight, value)| match weight {
            1.0 => value.prop_map(move |value| Some((key, value))).boxed(),
            _ => option::weighted(weight, value)
                .prop_map(move |value| value.map(|value| (key, value)))
                .boxed(),
        })
        .collect();
    keys.prop_map(|keys| {
        let there = keys
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.to_owned(), value));
        Value::Object(there.collect())
    })
    .boxed()
}

fn network(number: u8) -> BoxedStrategy<Value> {
    let subnet = (0..2u8).prop_map(move |n| 10 * number + n);
    let more = map(vec![
        (
            "mode",
            0.4,
            any_of(&[json!("nat"), json!("route"), json!("isolated")]),
        ),
        (
            "domain",
            0.6,
            any_of(&[json!("shop.test"), json!("store.test")]),
        ),
        ("mtu", 0.3, any_of(&[json!(1400), json!(9000)])),
        ("autostart", 0.3, any_of(&[json!(true), json!(false)])),
    ]);
    let hosts = map(vec![
        ("ntp", 0.5, any_of(&[json!(5), json!(6)])),
        ("mail", 0.5, any_of(&[json!(6), json!(7)])),
    ]);
    let dhcp = option::of(select(vec![(200, 250), (200, 240), (100, 150)]));
    (subnet, more, hosts, dhcp)
        .prop_map(|(subnet, mut network, hosts, dhcp)| {
            let ip = |host: &Value| json!(format!("192.168.{subnet}.{host}"));
            network["address"] = json!(format!("192.168.{subnet}.1/24"));
            if let Some((start, end)) = dhcp {
                network["dhcp"] = json!({"start": ip(&json!(start)), "end": ip(&json!(end))});
            }
            let hosts: Map<String, Value> = hosts
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, host)| (name.clone(), ip(host)))
                .collect();
            if !hosts.is_empty() {
                network["dns"] = json!({"hosts": hosts});
            }
            network
        })
        .boxed()
}

/// A guest. None has a `name` of its own: a guest that gets another one keeps its volumes as they are, on purpose.
fn guest() -> BoxedStrategy<Value> {
    let disk = || {
        map(vec![
            ("pool", 0.4, any_of(&[json!("more")])),
            ("image", 0.3, any_of(&[json!("base")])),
            (
                "size",
                1.0,
                any_of(&[json!("1GiB"), json!("2GiB"), json!("3GiB")]),
            ),
            ("keep", 0.1, any_of(&[json!(true)])),
        ])
    };
    let nic = || {
        map(vec![
            ("network", 0.4, any_of(&[json!("back")])),
            ("ip", 0.7, any_of(&[json!(11), json!(12)])),
            ("model", 0.2, any_of(&[json!("e1000e"), json!("virtio")])),
        ])
    };
    let disks = map(vec![("root", 0.9, disk()), ("data", 0.4, disk())]);
    let interfaces = map(vec![("eth0", 0.9, nic()), ("eth1", 0.3, nic())]);
    let xml = any_of(&[
        json!("<domain><devices><watchdog model='i6300esb' action='reset'/></devices></domain>"),
        json!("<domain><devices><watchdog model='i6300esb' action='none'/></devices></domain>"),
        json!("<domain><memory unit='MiB'>768</memory><features><pae/></features></domain>"),
        json!("<domain><cpu><feature policy='disable' name='vmx'/></cpu></domain>"),
    ]);
    let lifecycle = any_of(&[json!({"prevent_destroy": true})]);
    map(vec![
        ("memory", 0.7, any_of(&[json!("512MiB"), json!("1GiB")])),
        ("vcpus", 0.5, any_of(&[json!(1), json!(2)])),
        ("running", 0.5, any_of(&[json!(true), json!(false)])),
        ("autostart", 0.4, any_of(&[json!(true), json!(false)])),
        ("title", 0.3, any_of(&[json!("A title"), json!("<&>")])),
        ("lifecycle", 0.05, lifecycle),
        ("depends", 0.4, any_of(&[json!(true)])),
        ("xml", 0.3, xml),
        ("disks", 0.9, disks),
        ("interfaces", 0.9, interfaces),
    ])
}

/// Any lab.
pub fn lab() -> impl Strategy<Value = Lab> {
    let more = any_of(&[
        json!({"path": "/srv/more"}),
        json!({"path": "/srv/elsewhere"}),
    ]);
    let image = json!(format!(
        "{}/tests/cases/images/tiny.raw",
        env!("CARGO_MANIFEST_DIR")
    ));
    let image = |pool: &str| json!({"pool": pool, "source": image.clone(), "format": "raw"});
    let base = any_of(&[image("shop"), image("more")]);
    let some = |value: BoxedStrategy<Value>| option::weighted(0.7, value);
    (
        network(15).prop_map(Some),
        some(network(16)),
        some(more),
        some(base),
        [some(guest()), some(guest()), some(guest())],
    )
        .prop_map(|(front, back, more, base, [a, b, c])| Lab {
            parts: [front, back, more, base, a, b, c],
        })
}

/// Labs, each of which has some parts of the one before and some of its own.
pub fn edited(labs: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<Lab>> {
    let own = proptest::array::uniform7(proptest::bool::weighted(0.4));
    proptest::collection::vec((lab(), own), labs).prop_map(|drawn| {
        let mut labs: Vec<Lab> = Vec::new();
        for (mut lab, own) in drawn {
            if let Some(before) = labs.last() {
                for (part, own) in own.into_iter().enumerate() {
                    if !own {
                        lab.parts[part] = before.parts[part].clone();
                    }
                }
            }
            labs.push(lab);
        }
        labs
    })
}

impl Lab {
    /// The definition as YAML (JSON is YAML, too).
    pub fn definition(&self) -> String {
        let [front, back, more, base, guests @ ..] = &self.parts;
        let mut networks = json!({"front": front});
        if let Some(back) = back {
            networks["back"] = back.clone();
        }
        let mut pools = json!({"shop": {"path": "/srv/shop"}});
        if let Some(more) = more {
            pools["more"] = more.clone();
        }
        let mut lab = json!({"lab": "shop", "networks": networks, "pools": pools, "guests": {}});
        if let Some(base) = base {
            lab["images"]["base"] = base.clone();
            resort(&mut lab["images"]["base"], "pool", &pools, Some("shop"));
        }
        let images = lab["images"].clone();
        let mut before: Option<&str> = None;
        for ((number, name), guest) in GUESTS.iter().enumerate().zip(guests) {
            let Some(mut guest) = guest.clone() else {
                continue;
            };
            let map = guest.as_object_mut().unwrap();
            if let (Some(_), Some(before)) = (map.remove("depends"), before) {
                map.insert("depends_on".into(), json!([before]));
            }
            for disk in entries(map, "disks") {
                resort(disk, "pool", &pools, Some("shop"));
                resort(disk, "image", &images, None);
            }
            for (n, nic) in entries(map, "interfaces").enumerate() {
                resort(nic, "network", &networks, Some("front"));
                let address = networks[nic["network"].as_str().unwrap()]["address"]
                    .as_str()
                    .unwrap();
                let subnet = address.strip_suffix("1/24").unwrap();
                let has_dhcp = networks[nic["network"].as_str().unwrap()]["dhcp"].is_object();
                let ip = nic.as_object_mut().unwrap().remove("ip");
                if let Some(host) = ip.and_then(|ip| ip.as_u64()).filter(|_| has_dhcp) {
                    let host = host as usize + 10 * (number + 1) + 2 * n;
                    nic["ip"] = json!(format!("{subnet}{host}"));
                }
            }
            lab["guests"][name] = guest;
            before = Some(name);
        }
        format!("{lab:#}")
    }
}

fn entries<'a>(
    guest: &'a mut Map<String, Value>,
    key: &str,
) -> impl Iterator<Item = &'a mut Value> {
    let map = guest.get_mut(key).and_then(Value::as_object_mut);
    map.into_iter().flat_map(|map| map.values_mut())
}

/// Lets a reference to what is not there, or none, be one to something else, or none.
fn resort(holder: &mut Value, key: &str, known: &Value, other: Option<&str>) {
    let is_known = holder[key]
        .as_str()
        .is_some_and(|name| known.get(name).is_some());
    if is_known {
        return;
    }
    let holder = holder.as_object_mut().unwrap();
    holder.remove(key);
    if let Some(other) = other {
        holder.insert(key.to_owned(), json!(other));
    }
}
