//! A lab in a directory of its own, and libvirt as `virsh` sees it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use miniascape::xml::tree::Element;

use crate::daemon::output;

/// A lab in a temporary directory.
pub struct Lab {
    directory: tempfile::TempDir,
}

/// Where `scripts/tiny-guest` put the kernel, the initramfs and the disk image.
pub fn tiny() -> PathBuf {
    assert_eq!(
        std::env::var("MINIASCAPE_SANDBOX").as_deref(),
        Ok("1"),
        "this test starts guests: run it by scripts/test, inside scripts/sandbox"
    );
    PathBuf::from(std::env::var_os("TINY_GUEST").expect("TINY_GUEST names tiny-guest's directory"))
}

impl Lab {
    /// A lab with this definition; `@TINY@` stands for tiny-guest's directory, `@DIR@` for the lab's.
    pub fn new(definition: &str) -> Self {
        let lab = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        lab.define(definition);
        lab
    }

    /// Replaces the definition.
    pub fn define(&self, definition: &str) {
        let text = definition
            .replace("@TINY@", &tiny().display().to_string())
            .replace("@DIR@", &self.path().display().to_string());
        std::fs::write(self.path().join("lab.yaml"), text).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Runs miniascape in the lab's directory.
    pub fn run(&self, arguments: &[&str]) -> Output {
        run_in(self.path(), arguments)
    }

    /// Runs miniascape and wants it to succeed; gives what it printed.
    pub fn ok(&self, arguments: &[&str]) -> String {
        success(&self.run(arguments), arguments)
    }

    /// Runs miniascape and wants it to fail with exit code 1; gives its standard error.
    pub fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
        assert!(!errors.contains("panicked"), "{errors}");
        errors
    }

    /// The plan as JSON.
    pub fn plan(&self) -> serde_json::Value {
        serde_json::from_str(&self.ok(&["plan", "--json"])).unwrap()
    }

    /// The actions of the plan, but for what does not change.
    pub fn actions(&self) -> BTreeMap<String, String> {
        let plan = self.plan();
        let changes = plan["changes"].as_array().unwrap().iter();
        changes
            .filter(|change| change["action"] != "none")
            .map(|change| {
                let text = |key: &str| change[key].as_str().unwrap().to_owned();
                (text("address"), text("action"))
            })
            .collect()
    }

    /// The names of the attributes that the plan changes on a resource.
    pub fn attributes(&self, address: &str) -> Vec<String> {
        let plan = self.plan();
        let change = plan["changes"]
            .as_array()
            .unwrap()
            .iter()
            .find(|change| change["address"] == address)
            .unwrap_or_else(|| panic!("{address} is not in {plan:#}"))
            .clone();
        let attributes = change["attributes"].as_array().unwrap().iter();
        attributes
            .map(|attribute| attribute["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Applies, and wants the next plan to be empty.
    pub fn apply(&self, more: &[&str]) -> String {
        let mut arguments = vec!["apply", "-y"];
        arguments.extend(more);
        let output = self.ok(&arguments);
        self.is_settled();
        output
    }

    /// Wants the plan to be empty.
    pub fn is_settled(&self) {
        let output = self.run(&["plan", "--detailed-exitcode"]);
        assert_eq!(
            output.status.code(),
            Some(0),
            "the plan is not empty:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    pub fn destroy(&self) {
        self.ok(&["destroy", "-y"]);
    }
}

impl Drop for Lab {
    /// A test that fails leaves no guests to the next one.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let output = self.run(&["destroy", "-y"]);
            eprintln!(
                "cleaned up: {}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
}

pub fn run_in(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_miniascape"));
    output(command.args(arguments).current_dir(directory))
}

pub fn success(output: &Output, what: &[&str]) -> String {
    assert!(
        output.status.success(),
        "{what:?} failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs virsh and gives what it printed.
pub fn virsh(arguments: &[&str]) -> String {
    success(&output(Command::new("virsh").args(arguments)), arguments)
}

/// Gives virsh a file with XML: `virsh_xml("net-define", "<network>…")`.
pub fn virsh_xml(command: &str, xml: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), xml).unwrap();
    virsh(&[command, &file.path().display().to_string()]);
}

/// Changes the sandbox's own network: `ip("link add br-lab type bridge")`.
pub fn ip(arguments: &str) {
    let done = Command::new("ip").args(arguments.split(' ')).status();
    assert!(done.unwrap().success(), "ip {arguments}");
}

/// A guest's inactive definition.
pub fn domain(name: &str) -> Element {
    Element::parse(&virsh(&["dumpxml", "--inactive", name])).unwrap()
}

/// What a guest runs with.
pub fn running(name: &str) -> Element {
    Element::parse(&virsh(&["dumpxml", name])).unwrap()
}

/// The id that a guest has from its start to its end.
pub fn id(name: &str) -> u32 {
    virsh(&["domid", name]).trim().parse().unwrap()
}

/// A guest's device, by its key in the definition.
pub fn device(guest: &Element, key: &str) -> Option<Element> {
    let mut devices = guest.child("devices").unwrap().children.iter();
    let name = format!("ua-{key}");
    devices
        .find(|it| it.attribute_at("alias", "name") == Some(&name))
        .cloned()
}

/// Everything that libvirt holds, each object with its definition, for comparing before and after.
pub fn inventory() -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut add = |kind: &str, list: &[&str], dump: &[&str]| {
        for name in virsh(list).lines().map(str::trim).filter(|n| !n.is_empty()) {
            let arguments: Vec<&str> = dump.iter().copied().chain([name]).collect();
            let xml = Element::parse(&virsh(&arguments)).unwrap();
            all.insert(format!("{kind} {name}"), settled(xml).to_string());
        }
    };
    add(
        "network",
        &["net-list", "--all", "--name"],
        &["net-dumpxml", "--inactive"],
    );
    add(
        "pool",
        &["pool-list", "--all", "--name"],
        &["pool-dumpxml", "--inactive"],
    );
    add(
        "guest",
        &["list", "--all", "--name"],
        &["dumpxml", "--inactive"],
    );
    let pools = virsh(&["pool-list", "--name"]);
    for pool in pools.lines().map(str::trim).filter(|n| !n.is_empty()) {
        for volume in virsh(&["vol-list", pool]).lines().skip(2) {
            if let Some(name) = volume.split_whitespace().next() {
                all.insert(format!("volume {pool}/{name}"), String::new());
            }
        }
    }
    all
}

/// Without how full a pool's disk is, which others change, and with devices sorted: libvirt keeps them in an order that
/// means nothing.
fn settled(mut xml: Element) -> Element {
    xml.children
        .retain(|child| !matches!(child.name.as_str(), "capacity" | "allocation" | "available"));
    if let Some(devices) = xml.child_mut("devices") {
        devices.children.sort_by_key(Element::to_string);
    }
    xml
}

/// What tells a guest's devices from one another and has to survive an update: UUID, and for each device its MAC and PCI
/// address.
pub fn fixtures(name: &str) -> BTreeMap<String, String> {
    let xml = domain(name);
    let mut all = BTreeMap::new();
    all.insert("uuid".to_owned(), xml.text_at("uuid").unwrap().to_owned());
    for device in &xml.find("devices").unwrap().children {
        let identity = device
            .attribute_at("alias", "name")
            .map(str::to_owned)
            .unwrap_or_else(|| {
                let of = |name: &str| device.attribute(name).unwrap_or_default().to_owned();
                format!("{} {} {}", of("type"), of("index"), of("model"))
            });
        let address = device
            .child("address")
            .map(Element::to_string)
            .unwrap_or_default();
        let mac = device.attribute_at("mac", "address").unwrap_or_default();
        all.insert(
            format!("{} {identity}", device.name),
            format!("{mac} {}", address.trim()),
        );
    }
    all
}

/// Wants every device that was there before, but for those named, to be as it was.
pub fn kept(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>, but: &[&str]) {
    for (device, was) in before {
        if but.contains(&device.as_str()) {
            continue;
        }
        assert_eq!(after.get(device), Some(was), "{device}");
    }
}
