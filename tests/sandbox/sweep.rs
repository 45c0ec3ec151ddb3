//! Every key of the definition, and libvirt's own XML beside it: made, changed, changed back and taken out again, in guests that are
//! off, in guests that run, and in networks, pools and volumes. Each time libvirt has to hold what it holds of a lab that was made so
//! at once.

mod rows;

use std::collections::{BTreeMap, BTreeSet};

use miniascape::xml::spelling;
use miniascape::xml::tree::Element;

use crate::lab::{Lab, inventory, ip, virsh, virsh_xml};
use rows::{DOMAIN, GUESTS, NETWORKS, OFF, POOLS, Row, VOLUMES};

/// How many guests run at a time: a laptop with 2 GiB is a host.
const BATCH: usize = 12;

/// What is set of an object: nothing, the one value, the other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Value {
    None,
    One,
    Other,
}

/// What is done, from one value to the next.
const PHASES: [Value; 5] = [
    Value::None,
    Value::One,
    Value::Other,
    Value::One,
    Value::None,
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Guest,
    RunningGuest,
    Network,
    Pool,
    Volume,
}

/// What a row is about.
struct Object {
    kind: Kind,
    row: &'static str,
    name: String,
    one: String,
    other: String,
}

impl Object {
    fn new(kind: Kind, number: usize, (row, one, other): (&'static str, String, String)) -> Self {
        let letter = match kind {
            Kind::Guest | Kind::RunningGuest => 'g',
            Kind::Network => 'n',
            Kind::Pool => 'p',
            Kind::Volume => 'v',
        };
        let filled = |text: String| text.replace("@N@", &(10 + number).to_string());
        Self {
            kind,
            row,
            name: format!("{letter}{}", 10 + number),
            one: filled(one),
            other: filled(other),
        }
    }

    fn address(&self) -> String {
        match self.kind {
            Kind::Guest | Kind::RunningGuest => format!("guest.{}", self.name),
            Kind::Network => format!("network.{}", self.name),
            Kind::Pool => format!("pool.{}", self.name),
            Kind::Volume => format!("volume.{}.root", self.name),
        }
    }

    /// Its entry in the definition.
    fn entry(&self, value: Value) -> String {
        let said = match value {
            Value::None => "",
            Value::One => &self.one,
            Value::Other => &self.other,
        };
        let number = &self.name[1..];
        let base = match self.kind {
            Kind::Guest => "running: false, ",
            Kind::RunningGuest => "",
            Kind::Network if said.starts_with("address: ") => "",
            Kind::Network => &format!("address: 10.{number}.0.1/24, "),
            Kind::Pool if said.starts_with("path: ") => "",
            Kind::Pool => &format!("path: @DIR@/p{number}, "),
            Kind::Volume => {
                let size = if said.starts_with("size: ") {
                    ""
                } else {
                    "size: 1MiB, "
                };
                return format!(
                    "  {}: {{running: false, disks: {{cd: null, root: {{{size}{said}}}}}}}\n",
                    self.name
                );
            }
        };
        format!("  {}: {{{base}{said}}}\n", self.name)
    }

    /// What libvirt holds of it, as defined and as it runs, without what tells it from another one that is the same.
    fn look(&self) -> Vec<String> {
        let name = self.name.as_str();
        let has = |list: &[&str]| virsh(list).lines().any(|line| line.trim() == name);
        let (list, dumps): (&[&str], &[&[&str]]) = match self.kind {
            Kind::Guest => (
                &["list", "--all", "--name"],
                &[&["dumpxml", "--inactive", name]],
            ),
            Kind::RunningGuest => (
                &["list", "--all", "--name"],
                &[&["dumpxml", "--inactive", name], &["dumpxml", name]],
            ),
            Kind::Network => (
                &["net-list", "--all", "--name"],
                &[&["net-dumpxml", "--inactive", name], &["net-dumpxml", name]],
            ),
            Kind::Pool => (
                &["pool-list", "--all", "--name"],
                &[&["pool-dumpxml", "--inactive", name]],
            ),
            Kind::Volume => {
                // Some of it shows only once libvirt has looked at the file.
                virsh(&["pool-refresh", "store"]);
                let all = virsh(&["vol-list", "store"]);
                let of = |line: &&str| line.trim().starts_with(&format!("{name}.root."));
                let Some(line) = all.lines().find(of) else {
                    return vec!["it is not there".to_owned()];
                };
                let file = line.split_whitespace().next().unwrap();
                return vec![settled(&virsh(&["vol-dumpxml", file, "store"]), self.row)];
            }
        };
        if !has(list) {
            return vec!["it is not there".to_owned()];
        }
        dumps
            .iter()
            .map(|dump| settled(&virsh(dump), self.row))
            .collect()
    }
}

/// The definition of a lab with these objects.
fn lab(objects: &[Object], value: Value) -> String {
    let section = |kinds: &[Kind]| {
        let all = objects.iter().filter(|object| kinds.contains(&object.kind));
        all.map(|object| object.entry(value)).collect::<String>()
    };
    let (networks, pools) = (section(&[Kind::Network]), section(&[Kind::Pool]));
    let guests = section(&[Kind::Guest, Kind::RunningGuest, Kind::Volume]);
    format!(
        "lab: sweep
networks:
  front: {{mode: isolated, address: 192.168.161.1/24, domain: sweep.test, dhcp: true, bridge: sweep-front}}
  back: {{mode: isolated, address: 192.168.162.1/24, bridge: sweep-back}}
{networks}pools:
  store: {{path: @DIR@/pool}}
{pools}images:
  one: {{pool: store, source: @DIR@/one, format: raw}}
  other: {{pool: store, source: @DIR@/other, format: raw}}
common:
  memory: 32MiB
  shutdown_timeout: 0s
  disks: {{root: {{pool: store, size: 1MiB}}, cd: {{device: cdrom}}}}
  interfaces: {{eth0: {{network: front}}}}
guests:
{guests}"
    )
}

/// An object's XML without where a device is on the bus, and without what libvirt counts.
fn settled(text: &str, row: &str) -> String {
    let mut xml = spelling::canonical(&Element::parse(text).unwrap());
    let runs = xml.remove_attribute("id").is_some();
    match xml.name.as_str() {
        "volume" => {
            let counted = ["key", "allocation", "physical"];
            xml.children
                .retain(|part| !counted.contains(&part.name.as_str()));
            let late = ["timestamps", "permissions"];
            for part in &mut xml.children {
                part.children
                    .retain(|part| !late.contains(&part.name.as_str()));
            }
        }
        "pool" => xml
            .children
            .retain(|part| !matches!(part.name.as_str(), "capacity" | "allocation" | "available")),
        // libvirt counts bridges, and rolls the dice for their addresses.
        "network" => {
            // Only the definition has what it is labelled with.
            xml.children.retain(|part| part.name != "metadata");
            if !text.contains("52:55:") {
                xml.children.retain(|part| part.name != "mac");
            }
            sort_hosts(&mut xml);
            if let Some(bridge) = xml.child_mut("bridge")
                && bridge
                    .attribute("name")
                    .is_some_and(|name| name.starts_with("virbr"))
            {
                bridge.remove_attribute("name");
            }
        }
        _ => {}
    }
    if let Some(metadata) = xml.child_mut("metadata") {
        metadata.children.sort_by_key(Element::to_string);
    }
    if let Some(devices) = xml.child_mut("devices") {
        settle(devices, row.contains("dev"));
        // A controller that nothing is on goes with the next start.
        let on_scsi = |disk: &Element| disk.attribute_at("target", "bus") == Some("scsi");
        if runs && !devices.children_named("disk").any(on_scsi) {
            let is_scsi =
                |it: &Element| it.name == "controller" && it.attribute("type") == Some("scsi");
            devices.children.retain(|device| !is_scsi(device));
        }
    }
    xml.to_string()
}

/// Reservations and names come in the order in which they were made.
fn sort_hosts(xml: &mut Element) {
    xml.children.iter_mut().for_each(sort_hosts);
    if matches!(xml.name.as_str(), "dhcp" | "dns") {
        xml.children.sort_by_key(Element::to_string);
    }
}

fn settle(devices: &mut Element, with_names: bool) {
    devices
        .children
        .retain(|device| !(device.name == "controller" && device.attribute("type") == Some("pci")));
    for device in &mut devices.children {
        let given = |alias: &Element| {
            let name = alias.attribute("name");
            name.is_some_and(|name| name.starts_with("ua-"))
        };
        // A disk keeps the name that it has where others come or go before it.
        let is_disk = device.name == "disk" && !with_names;
        if is_disk && let Some(target) = device.child_mut("target") {
            target.remove_attribute("dev");
        }
        if device.name == "console"
            && let Some(target) = device.child_mut("target")
        {
            target.remove_attribute("port");
        }
        device.children.retain(|part| match part.name.as_str() {
            "address" => part.attribute("type") != Some("pci") && !is_disk,
            "alias" => given(part),
            _ => true,
        });
        if device.attribute("device") == Some("cdrom")
            && let Some(driver) = device.child_mut("driver")
        {
            driver.remove_attribute("type");
        }
        device.remove_attribute("tty");
        for part in &mut device.children {
            for counted in ["index", "portid", "tray"] {
                part.remove_attribute(counted);
            }
            let path = part.attribute("path").unwrap_or_default();
            if path.starts_with("/dev/pts")
                || path.contains("/target/domain")
                || path.contains("/channel/")
            {
                part.remove_attribute("path");
            }
        }
        // What a drive keeps of the medium that was taken out of it.
        let is_empty = |part: &Element| part.attributes.is_empty() && part.children.is_empty();
        device
            .children
            .retain(|part| part.name != "source" || !is_empty(part));
        if device.name == "graphics" && device.attribute("autoport") == Some("yes") {
            device.remove_attribute("port");
        }
    }
    devices.children.sort_by_key(Element::to_string);
}

#[derive(Default)]
struct Sweep {
    keys: usize,
    elements: usize,
    changes: usize,
    converged: usize,
    told: usize,
    failures: Vec<String>,
}

impl Sweep {
    /// What is refused for a reason is told, and done once that is consented to.
    fn apply(&mut self, lab: &Lab, what: &str) {
        let mut options = vec!["apply".to_owned(), "-y".to_owned()];
        loop {
            let arguments: Vec<&str> = options.iter().map(String::as_str).collect();
            let output = lab.run(&arguments);
            if output.status.success() {
                return;
            }
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            let known = options.len();
            let words = told.split_whitespace();
            let consents = words
                .skip_while(|word| *word != "--allow-data-loss")
                .take_while(|word| *word != "to")
                .map(|word| word.trim_end_matches(';').to_owned());
            options.extend(consents);
            self.told += (options.len() - known) / 2;
            // Without a system inside, a guest lets go of nothing.
            let restart = "--restart-pending".to_owned();
            if told.contains("did not let go") && !options.contains(&restart) {
                self.told += 1;
                options.push(restart);
            }
            if options.len() == known {
                let errors = told.find("\nerror").map_or(told.as_str(), |at| &told[at..]);
                self.failures.push(format!("{what}: {errors}"));
                return;
            }
        }
    }

    fn run(&mut self, objects: &[Object]) {
        let directory = Lab::new("lab: sweep");
        for name in ["one", "other", "more"] {
            std::fs::write(directory.path().join(name), vec![0; 1 << 20]).unwrap();
        }
        // What guests are on changes with them.
        let networks = ["front", "back"].map(|name| Object {
            kind: Kind::Network,
            row: name,
            name: name.to_owned(),
            one: String::new(),
            other: String::new(),
        });
        let looked = || objects.iter().chain(&networks);
        let mut fresh: BTreeMap<(Value, &str), Vec<String>> = BTreeMap::new();
        for value in [Value::None, Value::One, Value::Other] {
            directory.define(&lab(objects, value));
            self.apply(&directory, &format!("{value:?} at once"));
            for object in looked() {
                fresh.insert((value, &object.name), object.look());
            }
            directory.destroy();
        }
        for (at, value) in PHASES.into_iter().enumerate() {
            directory.define(&lab(objects, value));
            let what = format!("{at}, to {value:?}");
            self.apply(&directory, &what);
            let plan = directory.run(&["plan", "--detailed-exitcode"]);
            if plan.status.code() != Some(0) {
                let told = String::from_utf8_lossy(&plan.stdout).into_owned();
                self.failures.push(format!("{what}: not settled: {told}"));
            }
            let plan = directory.run(&["plan", "--json"]);
            let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
            let changes = plan["changes"].clone();
            for object in looked() {
                let (is, was) = (object.look(), &fresh[&(value, object.name.as_str())]);
                self.changes += 1;
                self.converged += usize::from(is == *was);
                let pending = |change: &&serde_json::Value| {
                    change["address"] == object.address()
                        && change["pending_restart"] != serde_json::json!([])
                };
                if is != *was && changes.as_array().unwrap().iter().any(|it| pending(&it)) {
                    self.told += 1;
                    continue;
                }
                for (is, was) in is.iter().zip(was).filter(|(is, was)| is != was) {
                    let differences = similar::TextDiff::from_lines(was.as_str(), is.as_str());
                    let differences = differences.unified_diff().context_radius(1).to_string();
                    let (row, name) = (object.row, &object.name);
                    self.failures
                        .push(format!("{what}: {row} ({name}):\n{differences}"));
                }
            }
        }
        directory.destroy();
    }

    fn end(self) {
        println!(
            "keys: {}, elements: {}, changes: {}, converged: {}, told: {}",
            self.keys, self.elements, self.changes, self.converged, self.told
        );
        for failure in &self.failures {
            println!("{failure}");
        }
        assert!(self.failures.is_empty());
    }
}

/// Objects of the keys, and then of the elements, from rows.
fn objects(kind: Kind, keys: &[Row], elements: &[Row]) -> (Sweep, Vec<Object>) {
    let is_left = |row: &&Row| kind == Kind::RunningGuest && OFF.contains(&row.0);
    let key = |&(row, one, other): &Row| (row, one.to_owned(), other.to_owned());
    let element = |&(row, one, other): &Row| {
        let xml = |inside: &str| format!("xml: \"<domain>{inside}</domain>\"");
        (row, xml(one), xml(other))
    };
    let keys = keys.iter().filter(|row| !is_left(row)).map(key);
    let elements = elements.iter().filter(|row| !is_left(row)).map(element);
    let keys: Vec<_> = keys.collect();
    let elements: Vec<_> = elements.collect();
    let sweep = Sweep {
        keys: keys.len(),
        elements: elements.len(),
        ..Sweep::default()
    };
    let all = keys.into_iter().chain(elements).enumerate();
    let objects = all.map(|(number, row)| Object::new(kind, number, row));
    (sweep, objects.collect())
}

/// Bridges that networks leave by, and guests join.
fn with_bridges() {
    for bridge in ["sweep-br", "sweep-up0", "sweep-up1"] {
        ip(&format!("link add {bridge} type bridge"));
        ip(&format!("link set {bridge} up"));
    }
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn guests_that_are_off_end_as_if_they_were_made_so() {
    let before = inventory();
    let (mut sweep, objects) = objects(Kind::Guest, GUESTS, DOMAIN);
    with_bridges();
    sweep.run(&objects);
    sweep.end();
    assert_eq!(inventory(), before);
}

fn running(keys: &[Row], elements: &[Row]) {
    let before = inventory();
    let (mut sweep, objects) = objects(Kind::RunningGuest, keys, elements);
    with_bridges();
    virsh_xml("nwfilter-define", "<filter name='sweep' chain='root'/>");
    for batch in objects.chunks(BATCH) {
        sweep.run(batch);
    }
    sweep.end();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn guests_that_run_end_as_if_they_were_made_so() {
    running(GUESTS, &[]);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn guests_that_run_with_xml_end_as_if_they_were_made_so() {
    running(&[], DOMAIN);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn networks_pools_and_volumes_end_as_if_they_were_made_so() {
    let before = inventory();
    with_bridges();
    let mut all = Vec::new();
    let mut sweep = Sweep::default();
    for (kind, rows) in [
        (Kind::Network, NETWORKS),
        (Kind::Pool, POOLS),
        (Kind::Volume, VOLUMES),
    ] {
        let is_element = |row: &Row| row.1.starts_with("xml:");
        sweep.elements += rows.iter().filter(|row| is_element(row)).count();
        sweep.keys += rows.iter().filter(|row| !is_element(row)).count();
        all.extend(objects(kind, rows, &[]).1);
    }
    sweep.run(&all);
    sweep.end();
    assert_eq!(inventory(), before);
}

/// Keys that are tried elsewhere, or say nothing of what libvirt holds.
const ELSEWHERE: &[(&str, &str)] = &[
    ("networks.external", "it is somebody else's"),
    ("networks.lifecycle", "it holds back what a plan does"),
    ("networks.name", "`moved::`"),
    ("networks.xml", "rows of XML"),
    (
        "networks.bandwidth",
        "`features::networks_keep_how_they_are_connected`",
    ),
    (
        "networks.bootp",
        "`features::networks_keep_how_they_are_connected`",
    ),
    (
        "networks.nat",
        "`features::networks_keep_how_they_are_connected`",
    ),
    (
        "networks.openvswitch",
        "`features::networks_keep_how_they_are_connected`",
    ),
    (
        "networks.portgroups",
        "`features::networks_keep_how_they_are_connected`",
    ),
    (
        "networks.routes",
        "`features::networks_keep_how_they_are_connected`",
    ),
    (
        "networks.tftp",
        "`features::networks_keep_how_they_are_connected`",
    ),
    (
        "networks.vlan",
        "`features::networks_keep_how_they_are_connected`",
    ),
    (
        "pools.source",
        "`features::pools_keep_what_they_are_made_of`",
    ),
    ("pools.type", "other types need what few machines have"),
    ("pools.external", "it is somebody else's"),
    ("pools.lifecycle", "it holds back what a plan does"),
    ("pools.name", "`moved::`"),
    ("images", "an image is made anew: `storage::`, `trial::`"),
    ("guests.secure_boot", "`machine::`"),
    ("guests.tpm", "`machine::`"),
    ("guests.clock", "`machine::`"),
    ("guests.features", "`machine::`"),
    ("guests.panic", "`machine::`"),
    ("guests.watchdog", "`machine::`"),
    ("guests.group", "it is another way to write keys"),
    ("guests.running", "`power::`"),
    ("guests.iothreads", "`devices::`"),
    ("guests.cpu.features", "`processor::`"),
    ("guests.cpu.topology", "`processor::`"),
    ("guests.hugepages", "`processor::`"),
    ("guests.numa", "`processor::`"),
    ("guests.pin", "`processor::`"),
    ("guests.tuning", "`processor::`"),
    ("guests.disks.boot", "`devices::`"),
    ("guests.disks.discard", "`devices::`"),
    ("guests.disks.io", "`devices::`"),
    ("guests.disks.iothread", "`devices::`"),
    ("guests.disks.limit", "`devices::`"),
    ("guests.disks.serial", "`devices::`"),
    ("guests.interfaces.boot", "`devices::`"),
    ("guests.interfaces.direct", "`devices::`"),
    ("guests.interfaces.filter", "`devices::`"),
    ("guests.interfaces.ovs", "`devices::`"),
    ("guests.interfaces.portgroup", "`devices::`"),
    ("guests.interfaces.queues", "`devices::`"),
    ("guests.interfaces.trust_guest_rx_filters", "`devices::`"),
    ("guests.interfaces.vlan", "`devices::`"),
    ("guests.depends_on", "it is the order of what is done"),
    ("guests.shutdown_timeout", "it is how long is waited"),
    ("guests.on_change", "it is when things are done: `live::`"),
    ("guests.lifecycle", "it holds back what a plan does"),
    ("guests.vars", "templates alone read them"),
    ("guests.name", "`moved::`"),
    ("guests.type", "KVM runs on few test machines"),
    (
        "guests.arch",
        "other processors' emulators are on few machines",
    ),
    ("guests.xml", "rows of XML"),
    ("guests.disks.keep", "it holds back what a plan does"),
    ("guests.disks.lifecycle", "it holds back what a plan does"),
    ("guests.disks.volume", "`storage::`"),
    ("guests.hostdevs", "`passed::`"),
];

/// The keys in a YAML map of networks, pools, images or guests: `guests.disks.bus`.
fn keys_of(kind: &str, object: &serde_yaml::Value, keys: &mut BTreeSet<String>) {
    for (key, value) in object.as_mapping().into_iter().flatten() {
        let path = format!("{kind}.{}", key.as_str().unwrap());
        let named = matches!(path.as_str(), "guests.disks" | "guests.interfaces");
        let nested = matches!(path.as_str(), "networks.dns" | "guests.boot");
        match value.as_mapping() {
            Some(all) if named => all.values().for_each(|it| keys_of(&path, it, keys)),
            Some(_) if nested => keys_of(&path, value, keys),
            Some(_) | None => drop(keys.insert(path)),
        }
    }
}

#[test]
fn every_key_of_the_page_is_tried() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/definition.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, page) = page.split_once("### Networks").unwrap();
    let (page, _) = page.split_once("### The host").unwrap();
    let blocks = page.split("```yaml\n").skip(1);
    let mut written = BTreeSet::new();
    for block in blocks.map(|block| block.split("```").next().unwrap()) {
        let definition: serde_yaml::Value = serde_yaml::from_str(block).unwrap();
        for kind in ["networks", "pools", "images", "guests", "groups"] {
            let objects = definition.get(kind).and_then(|it| it.as_mapping());
            for object in objects.into_iter().flat_map(|all| all.values()) {
                keys_of(&kind.replace("groups", "guests"), object, &mut written);
            }
        }
    }
    let mut tried = BTreeSet::new();
    for (kind, rows) in [
        ("networks", NETWORKS),
        ("pools", POOLS),
        ("guests", GUESTS),
        ("guests.disks", VOLUMES),
    ] {
        for (_, one, other) in rows {
            for said in [one, other] {
                let said = serde_yaml::from_str(&format!("{{{}}}", said.replace("@", ""))).unwrap();
                keys_of(kind, &said, &mut tried);
            }
        }
    }
    let elsewhere = |key: &&String| {
        ELSEWHERE.iter().any(|(other, _)| {
            key.strip_prefix(other)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    let missing: Vec<&String> = written
        .difference(&tried)
        .filter(|key| !elsewhere(key))
        .collect();
    assert_eq!(missing, [""; 0]);
    assert!(written.len() > 60, "{written:?}");
}
