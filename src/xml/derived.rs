//! What libvirt fills in goes by what it was told: an address by the bus, a listener by the address, the memory of a video card by
//! its model. Where that changes, what was filled in for the old is taken out, and libvirt derives it anew.

use std::fmt::Write as _;

use super::merge::children_of;
use super::spelling;
use super::tree::Element;

/// What of an element is derived from what.
struct Rule {
    /// The element; `*` is any.
    holder: &'static str,
    /// Places in it that the rest goes by: `child@attribute`, or `child/child` for that text.
    by: &'static [&'static str],
    /// Places that libvirt fills in: `child@attribute`, or `child` for the whole of it; `*` is any, and `[attribute=value]` or
    /// `[child@attribute=value]` behind a child chooses.
    derived: &'static [&'static str],
}

const fn rule(
    holder: &'static str,
    by: &'static [&'static str],
    derived: &'static [&'static str],
) -> Rule {
    Rule {
        holder,
        by,
        derived,
    }
}

/// What goes by what, of all kinds of objects. Newer versions of libvirt fill in more, so that some is there which none did when
/// this was written: what only such a version would know of belongs here, too.
///
/// Sources: <https://libvirt.org/formatdomain.html>, <https://libvirt.org/formatnetwork.html>,
/// <https://libvirt.org/formatstorage.html>.
const RULES: &[Rule] = &[
    rule(
        "domain",
        &["os/type@machine", "os/type@arch"],
        &[
            "devices/controller",
            "devices/*/address",
            "devices/watchdog[model=itco]",
            "devices/panic[model=isa]",
            "devices/input[bus=ps2]",
        ],
    ),
    rule(
        "domain",
        &["os/type@arch"],
        &[
            "devices/emulator",
            "devices/serial/target@type",
            "devices/serial/target/model",
            "features/gic",
        ],
    ),
    rule("domain", &["@type"], &["devices/emulator"]),
    // Loader, variables and features are libvirt's for the firmware that was asked for.
    rule(
        "domain/os",
        &["@firmware", "firmware/feature@enabled", "loader@secure"],
        &["firmware", "loader", "nvram"],
    ),
    // Newer versions tell the firmware of a loader, too.
    rule(
        "domain/os",
        &["loader", "loader@type"],
        &["@firmware", "firmware", "loader", "nvram"],
    ),
    rule(
        "domain",
        &["os@firmware", "os/loader@secure"],
        &["features/smm"],
    ),
    // The processor's model, and what is spelled out of it.
    rule(
        "domain/cpu",
        &["@mode"],
        &[
            "@check",
            "@match",
            "@migratable",
            "model",
            "vendor",
            "feature",
            "maxphysaddr",
        ],
    ),
    rule(
        "domain/cpu",
        &["model"],
        &["model@fallback", "model@vendor_id", "vendor", "feature"],
    ),
    rule("domain/numatune/memory", &["@nodeset"], &["@placement"]),
    rule(
        "domain/clock",
        &["@offset"],
        &["@adjustment", "@basis", "@timezone", "@start"],
    ),
    rule(
        "domain/seclabel",
        &["@type", "@model"],
        &["@relabel", "label", "imagelabel", "baselabel"],
    ),
    // Where a device is goes by what it is.
    rule(
        "domain/devices/*",
        &["@bus", "@model", "model@type", "target@bus", "target@type"],
        &["address"],
    ),
    rule("domain/devices/hostdev", &["@type"], &["address"]),
    // The place of a disk on its controller goes by its name.
    rule(
        "domain/devices/disk",
        &["target@dev"],
        &["address[type=drive]"],
    ),
    rule("domain/devices/disk", &["@device"], &["readonly"]),
    rule(
        "domain/devices/disk",
        &["target@bus"],
        &["target@removable", "target@rotation_rate"],
    ),
    rule(
        "domain/devices/interface",
        &["@type"],
        &["backend", "virtualport", "target@managed"],
    ),
    rule("domain/devices/interface", &["model@type"], &["driver"]),
    rule(
        "domain/devices/graphics",
        &["@listen", "@socket"],
        &["listen"],
    ),
    rule(
        "domain/devices/graphics",
        &[
            "listen@type",
            "listen@address",
            "listen@network",
            "listen@socket",
        ],
        &["@listen", "@socket", "listen"],
    ),
    rule(
        "domain/devices/graphics",
        &["@autoport", "@port"],
        &["@autoport", "@port", "@tlsPort", "@websocket"],
    ),
    // Sound goes with the display, and a display has a card.
    rule(
        "domain/devices",
        &["graphics@type", "sound@model"],
        &["audio"],
    ),
    rule("domain/devices", &["graphics@type"], &["video"]),
    // The first serial port is the console, too, and a console is a serial port where there is none.
    rule(
        "domain/devices",
        &["serial/target@port"],
        &["console[target@type=serial]"],
    ),
    // All watchdogs of a guest do the same, those that newer versions put into a machine, too.
    rule(
        "domain/devices",
        &["watchdog@action"],
        &["watchdog[model=itco]"],
    ),
    rule("domain/devices/audio", &["@type"], &["@*", "*"]),
    rule(
        "domain/devices/video",
        &["model@type"],
        &["model@*", "model/*", "driver"],
    ),
    rule(
        "domain/devices/controller",
        &["@model"],
        &["model", "target", "master", "driver", "@ports", "@vectors"],
    ),
    rule(
        "domain/devices/*",
        &["@type"],
        &["source", "protocol", "@tty", "log"],
    ),
    rule(
        "domain/devices/*",
        &["target@type"],
        &["target/model", "target@port"],
    ),
    rule(
        "domain/devices/filesystem",
        &["@type", "driver@type"],
        &["@accessmode", "driver", "binary"],
    ),
    rule("domain/devices/tpm", &["@model"], &["backend@version"]),
    rule(
        "domain/devices/tpm",
        &["backend@version"],
        &["backend/profile"],
    ),
    rule(
        "domain/devices/tpm",
        &["backend@type"],
        &["backend@*", "backend/*"],
    ),
    rule("domain/devices/rng", &["backend@model"], &["backend"]),
    rule("domain/devices/vsock", &["cid@auto"], &["cid@address"]),
    rule("domain/devices/memballoon", &["@model"], &["@*", "*"]),
    rule(
        "domain/devices/memory",
        &["@model"],
        &["target/address", "target/current"],
    ),
    rule("domain/devices/shmem", &["model@type"], &["msi"]),
    rule("domain/devices/iommu", &["@model"], &["driver"]),
    rule(
        "domain/devices/smartcard",
        &["@mode"],
        &["source", "protocol"],
    ),
    // Cards of the host that a network leaves by.
    rule("network/forward", &["@dev"], &["interface"]),
    rule("network/forward", &["interface@dev"], &["@dev"]),
    rule(
        "network/forward",
        &["@mode"],
        &["@dev", "@managed", "interface", "nat", "pf", "address"],
    ),
    rule("network", &["forward@mode"], &["bridge@zone"]),
    rule("pool", &["@type"], &["source", "target/permissions"]),
    rule("pool", &["source/format@type"], &["source/format"]),
];

/// Buses of devices whose controllers libvirt puts in as they are needed.
const BUSES: &[&str] = &["scsi", "virtio-serial", "ccid", "sata", "ide", "fdc"];

/// The table as Markdown.
pub fn markdown() -> String {
    let mut text =
        String::from("| in | where this changes | this is derived anew |\n|---|---|---|\n");
    let list = |places: &[&str]| {
        let places: Vec<String> = places.iter().map(|place| format!("`{place}`")).collect();
        places.join(", ")
    };
    for rule in RULES {
        let (by, derived) = (list(rule.by), list(rule.derived));
        let _ = writeln!(text, "| `{}` | {by} | {derived} |", rule.holder);
    }
    text
}

/// What an element says of what others go by, before it changes.
pub(super) struct Before {
    values: Vec<(&'static Rule, Vec<String>)>,
    /// The controllers that something is plugged into.
    used: Vec<String>,
}

impl Before {
    pub fn of(path: &str, element: &Element) -> Self {
        let rules = RULES.iter().filter(|rule| is_at(rule.holder, path));
        let values = rules.map(|rule| (rule, values(rule, element)));
        let used = || controllers(element).filter(|it| is_used(it, element));
        Self {
            values: values.collect(),
            used: match path {
                "domain/devices" => used().filter_map(index).collect(),
                _ => Vec::new(),
            },
        }
    }

    /// Takes out what was derived from what has changed. What is wanted of the element is said, and stays.
    pub fn renew(self, path: &str, now: &mut Element, wanted: &Element) {
        for (rule, was) in self.values {
            if values(rule, now) != was {
                for place in rule.derived {
                    clear(path, now, Some(wanted), place);
                }
            }
        }
        if self.used.is_empty() {
            return;
        }
        // What nothing is plugged into any more.
        let is_left = |(child, said): (&Element, Option<&Element>)| {
            let was_used = child.name == "controller"
                && index(child).is_some_and(|index| self.used.contains(&index));
            said.is_none() && was_used && !is_used(child, now)
        };
        let said = children_of(path, now, wanted);
        let left: Vec<bool> = now.children.iter().zip(said).map(is_left).collect();
        let mut left = left.into_iter();
        now.children.retain(|_| left.next() != Some(true));
    }
}

/// Whether a path is that of a holder.
fn is_at(holder: &str, path: &str) -> bool {
    match holder.strip_suffix("/*") {
        None => holder == path,
        Some(above) => path
            .strip_prefix(above)
            .and_then(|rest| rest.strip_prefix('/'))
            .is_some_and(|name| !name.contains('/')),
    }
}

fn values(rule: &Rule, element: &Element) -> Vec<String> {
    let mut all = Vec::new();
    for place in rule.by {
        let of_place = all.len();
        collect(element, place, &mut all);
        for value in &mut all[of_place..] {
            if *place == "os/type@machine" {
                *value = spelling::machine_family(value).to_owned();
            }
        }
        // What one place says is not what the next does.
        all.push(String::new());
    }
    all
}

fn collect(element: &Element, place: &str, all: &mut Vec<String>) {
    if let Some((name, rest)) = place.split_once('/') {
        for child in element.children_named(name) {
            collect(child, rest, all);
        }
    } else if let Some((name, attribute)) = place.split_once('@') {
        let own = std::slice::from_ref(element).iter();
        let holders: Vec<&Element> = match name {
            "" => own.collect(),
            _ => element.children_named(name).collect(),
        };
        let found = holders.iter().filter_map(|it| it.attribute(attribute));
        all.extend(found.map(str::to_owned));
    } else {
        let texts = element.children_named(place).map(|it| it.text.clone());
        all.extend(texts);
    }
}

/// Has a place in an element hold what is said of it and nothing else.
fn clear(path: &str, element: &mut Element, said: Option<&Element>, place: &str) {
    if let Some(attribute) = place.strip_prefix('@') {
        element.attributes.retain(|(name, _)| {
            let is_said = said.is_some_and(|said| said.attribute(name).is_some());
            is_said || attribute != "*" && attribute != name
        });
        return;
    }
    // What chooses among children has places of its own.
    let mut in_condition = false;
    let end = place.find(|c| match c {
        '[' | ']' => {
            in_condition = c == '[';
            false
        }
        '/' | '@' => !in_condition,
        _ => false,
    });
    let end = end.unwrap_or(place.len());
    let (child, rest) = place.split_at(end);
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    let said = said.map(|said| children_of(path, element, said));
    let mut said = said.unwrap_or_default().into_iter();
    element.children.retain_mut(|it| {
        let said = said.next().flatten();
        if !is_chosen(it, child) {
            return true;
        }
        if !rest.is_empty() {
            clear(&format!("{path}/{}", it.name), it, said, rest);
            return true;
        }
        said.map(|said| it.clone_from(said)).is_some()
    });
}

/// Whether an element is one of those that a part of a place names.
fn is_chosen(element: &Element, part: &str) -> bool {
    let (name, condition) = match part.strip_suffix(']').and_then(|it| it.split_once('[')) {
        Some((name, condition)) => (name, condition.split_once('=')),
        None => (part, None),
    };
    let holds = |(place, value): (&str, &str)| match place.split_once('@') {
        Some((child, attribute)) => element.attribute_at(child, attribute) == Some(value),
        None => element.attribute(place) == Some(value),
    };
    (name == "*" || name == element.name) && condition.is_none_or(holds)
}

fn controllers(devices: &Element) -> impl Iterator<Item = &Element> {
    let all = devices.children_named("controller");
    all.filter(|it| it.attribute("type").is_some_and(|bus| BUSES.contains(&bus)))
}

fn index(controller: &Element) -> Option<String> {
    let index = controller.attribute("index").unwrap_or("0");
    Some(format!("{} {index}", controller.attribute("type")?))
}

/// Whether something is plugged into a controller.
fn is_used(controller: &Element, devices: &Element) -> bool {
    let number = controller.attribute("index").unwrap_or("0");
    devices.children.iter().any(|device| {
        let address = device.attribute_at("address", "type");
        let bus = match device.name.as_str() {
            "disk" => device.attribute_at("target", "bus"),
            "hostdev" => device.attribute("type"),
            "channel" | "console" if device.attribute_at("target", "type") == Some("virtio") => {
                Some("virtio-serial")
            }
            "smartcard" => Some("ccid"),
            _ => address.filter(|it| *it != "drive"),
        };
        let there = device.attribute_at("address", "controller");
        bus == controller.attribute("type") && there == Some(number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::merge::{merge, overlay};

    fn xml(text: &str) -> Element {
        Element::parse(text).unwrap()
    }

    fn merged(last: &str, live: &str, wanted: &str) -> Element {
        merge(&[xml(last)], &xml(live), &xml(wanted)).target
    }

    fn device(text: &str) -> String {
        format!("<domain><devices>{text}</devices></domain>")
    }

    #[test]
    fn what_was_derived_from_another_value_goes() {
        for (last, live, wanted, target) in [
            // A listener is by its address.
            (
                "<graphics type='vnc' listen='0.0.0.0'/>",
                "<graphics type='vnc' listen='0.0.0.0'><listen type='address' address='0.0.0.0'/></graphics>",
                "<graphics type='vnc'/>",
                "<graphics type='vnc'/>",
            ),
            (
                "<disk><target dev='sda' bus='scsi'/><alias name='ua-a'/></disk>",
                "<controller type='scsi' index='0' model='lsilogic'/>\
                 <disk><target dev='sda' bus='scsi'/><alias name='ua-a'/><address type='drive' unit='0' controller='0'/></disk>",
                "<disk><target dev='vda' bus='virtio'/><alias name='ua-a'/></disk>",
                "<disk><target dev='vda' bus='virtio'/><alias name='ua-a'/></disk>",
            ),
            // What others need stays, and so does what is said.
            (
                "<disk><target dev='sda' bus='scsi'/></disk><disk><target dev='sdb' bus='scsi'/></disk>",
                "<controller type='scsi' index='0'/>\
                 <disk><target dev='sda' bus='scsi'/><address type='drive' unit='0' controller='0'/></disk>\
                 <disk><target dev='sdb' bus='scsi'/><address type='drive' unit='1' controller='0'/></disk>",
                "<disk><target dev='sda' bus='scsi'/></disk>",
                "<controller type='scsi' index='0'/>\
                 <disk><target dev='sda' bus='scsi'/><address type='drive' unit='0' controller='0'/></disk>",
            ),
            (
                "<video><model type='qxl' vram='1'/></video>",
                "<video><model type='qxl' vram='1' vgamem='2'/><address slot='1'/></video>",
                "<video><model type='vga' vram='3'/></video>",
                "<video><model type='vga' vram='3'/></video>",
            ),
        ] {
            let [last, live, wanted, target] = [last, live, wanted, target].map(device);
            assert_eq!(merged(&last, &live, &wanted), xml(&target));
            assert_eq!(merged(&wanted, &target, &wanted), xml(&target));
        }
    }

    #[test]
    fn what_libvirt_tells_of_a_loader_goes_with_it() {
        let said = |os: &str| format!("<domain><os>{os}</os></domain>");
        let live = "<domain><os firmware='efi'><firmware><feature enabled='no' name='secure-boot'/></firmware>\
                    <loader type='pflash'>/a</loader><nvram template='/vars'>/one_VARS.fd</nvram></os></domain>";
        let last = said("<loader type='pflash'>/a</loader>");
        for wanted in [said(""), said("<loader type='rom'>/b</loader>")] {
            assert_eq!(merged(&last, live, &wanted), xml(&wanted));
        }
        assert_eq!(merged(&last, live, &last), xml(live));
    }

    #[test]
    fn a_network_leaves_by_the_card_that_is_said() {
        let net = |forward: &str| format!("<network>{forward}</network>");
        let live = net(
            "<forward mode='nat' dev='a'><nat><port start='1' end='2'/></nat><interface dev='a'/></forward>",
        );
        let last = net("<forward mode='nat' dev='a'/>");
        for (wanted, target) in [
            (
                "<forward mode='nat' dev='b'/>",
                "<forward mode='nat' dev='b'><nat><port start='1' end='2'/></nat></forward>",
            ),
            ("<forward mode='route'/>", "<forward mode='route'/>"),
        ] {
            assert_eq!(merged(&last, &live, &net(wanted)), xml(&net(target)));
        }
    }

    #[test]
    fn machines_of_one_kind_have_their_devices_in_the_same_places() {
        let domain = |machine: &str| {
            format!(
                "<domain><os><type machine='{machine}'>hvm</type></os><devices><rng><address slot='1'/></rng></devices></domain>"
            )
        };
        let wanted = |machine: &str| domain(machine).replace("<address slot='1'/>", "");
        let to = |machine: &str| merged(&wanted("q35"), &domain("pc-q35-7.2"), &wanted(machine));
        assert_eq!(to("pc-q35-8.0"), xml(&domain("pc-q35-8.0")));
        assert_eq!(to("pc"), xml(&wanted("pc")));
    }

    #[test]
    fn what_an_overlay_changes_takes_along_what_went_by_it() {
        let mut base = xml(&device(
            "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>",
        ));
        let builtin = device("<rng><backend model='builtin'/></rng>");
        overlay(&mut base, &xml(&builtin));
        assert_eq!(
            base,
            xml(&device(
                "<rng model='virtio'><backend model='builtin'/></rng>"
            ))
        );
    }

    #[test]
    fn what_libvirt_chose_for_a_firmware_goes_with_it() {
        let with = "<domain><os firmware='efi'><type>hvm</type></os></domain>";
        let without = "<domain><os><type>hvm</type></os></domain>";
        let live = "<domain><os firmware='efi'><type>hvm</type><firmware><feature enabled='no' name='secure-boot'/></firmware>\
                    <loader readonly='yes' type='pflash'>/code</loader><nvram template='/vars'>/one_VARS.fd</nvram></os></domain>";
        assert_eq!(merged(with, live, without), xml(without));
        assert_eq!(merged(with, live, with), xml(live));
        // What someone else gave it stays.
        assert_eq!(merged(without, live, without), xml(live));
    }

    #[test]
    fn a_machines_own_watchdog_goes_with_it() {
        let machine = |machine: &str, devices: &str| {
            format!(
                "<domain><os><type machine='{machine}'>hvm</type></os><devices>{devices}</devices></domain>"
            )
        };
        let (q35, pc) = (machine("q35", ""), machine("pc", ""));
        let live = machine("pc-q35-10.0", "<watchdog model='itco' action='reset'/>");
        assert_eq!(merged(&q35, &live, &pc), xml(&pc));
        assert_eq!(merged(&q35, &live, &q35), xml(&live));
    }

    #[test]
    fn a_console_goes_with_its_serial_port() {
        let with = device("<serial type='pty'><target port='0'/></serial>");
        let virtio = "<console type='pty'><target type='virtio' port='1'/></console>";
        let live = device(&format!(
            "<serial type='pty'><target type='isa-serial' port='0'/></serial>\
             <console type='pty'><target type='serial' port='0'/></console>{virtio}"
        ));
        let without = device("");
        assert_eq!(merged(&with, &live, &without), xml(&device(virtio)));
        assert_eq!(merged(&with, &live, &with), xml(&live));
    }

    #[test]
    fn sound_over_spice_goes_with_its_display() {
        let with = "<domain><devices><graphics type='spice'/></devices></domain>";
        let live = "<domain><devices><graphics type='spice'/><audio id='1' type='spice'/></devices></domain>";
        let without = "<domain><devices/></domain>";
        let empty = xml(without);
        assert_eq!(merged(with, live, without), empty);
        assert!(merged(with, live, with).find("devices/audio").is_some());
        // A display that someone else put in stays, with its sound.
        assert_eq!(merged(without, live, without), xml(live));
    }
}
