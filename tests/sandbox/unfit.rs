//! What libvirt or QEMU refuses is told before anything is made; and what is told is what they refuse.

use std::path::Path;
use std::process::Command;

use miniascape::desired;
use miniascape::file::confined::Confined;
use miniascape::lab as definition;
use miniascape::lab::model::DomainType;
use miniascape::template::Templates;

use crate::daemon::output;
use crate::lab::{Lab, inventory, virsh};

/// A guest, what is told of it, and whether it is told by `validate`, too.
const UNFIT: &[(&str, &str, Known)] = &[
    (
        "{disks: {cd: {device: cdrom, bus: ide}}}",
        "a machine of type `q35` has no IDE bus",
        Known::Anywhere,
    ),
    (
        "{disks: {cd: {device: cdrom, bus: usb}}}",
        "QEMU has no empty drive on the USB bus",
        Known::Anywhere,
    ),
    (
        "{machine: pc, disks: {a: {device: cdrom, bus: ide}, b: {device: cdrom, bus: ide}, c: {device: cdrom, bus: ide}, d: {device: cdrom, bus: ide}, e: {device: cdrom, bus: ide}}}",
        "4 IDE drives at most",
        Known::Anywhere,
    ),
    (
        "{machine: pc, xml: \"<domain><devices><disk device='floppy'><target dev='fda' bus='fdc'/></disk><disk device='floppy'><target dev='fdb' bus='fdc'/></disk><disk device='floppy'><target dev='fdc' bus='fdc'/></disk></devices></domain>\"}",
        "2 floppy drives at most",
        Known::Anywhere,
    ),
    (
        "{firmware: uefi, xml: \"<domain><os><loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader></os></domain>\"}",
        "has a `<loader>`",
        Known::Ours,
    ),
    (
        "{vcpus: 3, xml: \"<domain><cpu><topology sockets='1' cores='2' threads='2'/></cpu></domain>\"}",
        "is one of 4 processors, and it has 3",
        Known::Anywhere,
    ),
    (
        "{boot: {order: [cdrom]}, disks: {cd: {device: cdrom}}, xml: \"<domain><devices><disk device='cdrom'><alias name='ua-cd'/><boot order='1'/></disk></devices></domain>\"}",
        "has both `boot.order` and devices",
        Known::Anywhere,
    ),
    (
        "{disks: {a: {device: cdrom}, b: {device: cdrom}}, xml: \"<domain><devices><disk device='cdrom'><alias name='ua-a'/><boot order='1'/></disk><disk device='cdrom'><alias name='ua-b'/><boot order='1'/></disk></devices></domain>\"}",
        "have `<boot order='1'/>`",
        Known::Anywhere,
    ),
    (
        "{interfaces: {eth0: {user: true, model: e1000x}}}",
        "QEMU is not known to have a NIC of model `e1000x`",
        Known::Maybe,
    ),
    ("{arch: aarch64}", "whose `arch` is `aarch64`", Known::Here),
    ("{machine: q36}", "no machine `q36`", Known::Here),
    ("{cpu: {model: Opteron}}", "no CPU `Opteron`", Known::Here),
    (
        "{cpu: {mode: host-passthrough}}",
        "no CPU of mode `host-passthrough`",
        Known::Here,
    ),
    (
        "{machine: pc, vcpus: 300}",
        "its machine takes 255",
        Known::Here,
    ),
    (
        "{memory: 8192GiB}",
        "of memory, and the host has",
        Known::Here,
    ),
    (
        "{graphics: vnc, xml: \"<domain><devices><video><model type='vbox'/></video></devices></domain>\"}",
        "no video card `vbox`",
        Known::Here,
    ),
    (
        "{xml: \"<domain><devices><watchdog model='diag288' action='reset'/></devices></domain>\"}",
        "diag288 model of watchdog is allowed for s390",
        Known::Here,
    ),
    (
        "{xml: \"<domain><devices><disk type='block' device='disk'><source dev='/dev/null'/><target dev='vda' bus='virtio'/><driver name='qemu' type='raw' io='native'/></disk></devices></domain>\"}",
        "io='native' needs either no disk cache",
        Known::Here,
    ),
    (
        "{xml: \"<domain><devices><filesystem type='mount'><driver type='virtiofs'/><source dir='/srv'/><target dir='x'/></filesystem></devices></domain>\"}",
        "'virtiofs' requires shared memory",
        Known::Here,
    ),
];

/// Where something is told.
#[derive(Clone, Copy, PartialEq)]
enum Known {
    /// By `validate`.
    Anywhere,
    /// By `validate`, as a warning.
    Maybe,
    /// By `validate`, though newer versions of libvirt choose between the two by themselves.
    Ours,
    /// By `plan`.
    Here,
}

fn lab_of(guests: &[&str]) -> String {
    let mut text = "lab: unfit\npools: {unfit: {path: @DIR@/pool}}\ncommon: {memory: 64MiB, type: qemu, shutdown_timeout: 0s}\nguests:\n".to_owned();
    for (at, guest) in guests.iter().enumerate() {
        text += &format!("  unfit{at}: {guest}\n");
    }
    text
}

/// The definitions that a lab's guests would get.
fn definitions(directory: &Path) -> Vec<String> {
    let read = definition::read(&definition::Source {
        dir: directory.to_owned(),
        config: Vec::new(),
        vars: serde_json::Map::new(),
        system_dir: "/nowhere".into(),
        confined: Confined::default(),
    });
    let lab = read.lab.unwrap();
    let mut assumed = desired::assumed(&lab, desired::Formats::Needed);
    assumed.facts.domain_type = Some(DomainType::Qemu);
    let (desired, _) = desired::build(&lab, &assumed, &Templates::new(Vec::new()));
    let guests = desired.resources.values();
    let guests = guests.filter(|it| it.address.to_string().starts_with("guest."));
    guests.map(|it| it.xml.text().into_owned()).collect()
}

/// Whether libvirt takes a definition and starts it.
fn runs(definition: &str) -> bool {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), definition).unwrap();
    let path = file.path().display().to_string();
    let done = output(Command::new("virsh").args(["create", "--validate", &path]));
    if done.status.success() {
        virsh(&["destroy", "unfit0"]);
    }
    done.status.success()
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn what_would_be_refused_is_told_before_anything_is_made() {
    let before = inventory();
    let guests: Vec<&str> = UNFIT.iter().map(|(guest, ..)| *guest).collect();
    let lab = Lab::new(&lab_of(&guests));
    let validated = lab.fails(&["validate"]);
    let planned = lab.fails(&["apply", "-y"]);
    for (guest, told, known) in UNFIT {
        assert!(planned.contains(told), "{guest}: {told}: {planned}");
        let by_validate = *known != Known::Here;
        assert_eq!(
            validated.contains(told),
            by_validate,
            "{guest}: {validated}"
        );
    }
    assert!(planned.contains("Nothing was changed"), "{planned}");
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn what_is_told_is_what_libvirt_refuses() {
    let lab = Lab::new(&lab_of(&["{}"]));
    for definition in definitions(lab.path()) {
        assert!(runs(&definition), "{definition}");
    }
    let refused = UNFIT.iter().filter(|(.., known)| *known != Known::Ours);
    for (guest, told, _) in refused {
        lab.define(&lab_of(&[guest]));
        for definition in definitions(lab.path()) {
            assert!(!runs(&definition), "{told}: {definition}");
        }
    }
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn guests_that_stay_as_they_are_are_left_alone() {
    let lab = Lab::new(&lab_of(&[
        "{cpu: {model: Opteron}, running: false}",
        "{running: false}",
    ]));
    let definitions = definitions(lab.path());
    let file = tempfile::NamedTempFile::new().unwrap();
    // libvirt takes a model that QEMU has not, and refuses it when the guest starts.
    std::fs::write(file.path(), &definitions[0]).unwrap();
    virsh(&["define", &file.path().display().to_string()]);
    lab.ok(&["import", "guest.unfit0"]);
    lab.apply(&[]);
    lab.define(&lab_of(&[
        "{cpu: {model: Opteron}, running: false, description: new}",
        "{running: false}",
    ]));
    lab.apply(&[]);
    lab.define(&lab_of(&[
        "{cpu: {model: Opterom}, running: false, description: new}",
        "{running: false}",
    ]));
    let told = lab.fails(&["plan"]);
    assert!(told.contains("no CPU `Opterom`"), "{told}");
    lab.destroy();
}

/// Of guests and volumes of one template only the first is checked against libvirt's schema. What one of them has besides is checked, too.
#[test]
#[ignore = "needs scripts/sandbox"]
fn a_misspelt_element_of_one_guest_among_many_is_found() {
    let with = |more: &str, disk: &str| {
        let mut text = lab_of(&["{}"; 12]).replace(
            "common: {",
            "common: {running: false, disks: {root: {pool: unfit, size: 1MiB}}, ",
        );
        text += &format!("  odd: {{disks: {{root: {{{disk}}}}}, {more}}}\n");
        text
    };
    let lab = Lab::new(&with(
        "xml: \"<domain><devices><wachdog model='i6300esb'/></devices></domain>\"",
        "",
    ));
    let failed = lab.fails(&["apply", "-y"]);
    assert!(failed.contains("Nothing was changed"), "{failed}");
    let schema = "libvirt refuses guest.odd: by its schema";
    assert!(failed.contains(schema), "{failed}");
    assert_eq!(failed.matches("libvirt refuses").count(), 1, "{failed}");
    let is_of_odd = |failed: &str| {
        let mut lines = failed
            .lines()
            .filter(|line| line.contains("failed to create"));
        lines.all(|line| line.contains("odd"))
    };
    lab.define(&with("running: false", ""));
    lab.apply(&[]);
    let described =
        with("running: false", "").replace("running: false,", "running: false, description: new,");
    lab.define(&described);
    lab.apply(&[]);
    lab.define(&described.replace(
        "odd: {",
        "odd: {xml: <domain><clok offset='utc'/></domain>, ",
    ));
    let failed = lab.fails(&["apply", "-y"]);
    assert!(failed.contains(schema), "{failed}");
    lab.define(&described);
    lab.destroy();

    lab.define(&with(
        "running: false",
        "xml: <volume><target><nocov/></target></volume>",
    ));
    let failed = lab.fails(&["apply", "-y"]);
    assert!(failed.contains("volume.odd.root"), "{failed}");
    assert!(failed.contains("validate against schema"), "{failed}");
    assert!(is_of_odd(&failed), "{failed}");
    lab.define(&with("running: false", ""));
    lab.destroy();
}
