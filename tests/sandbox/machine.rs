//! The machine of a guest: how it boots, its TPM, clock and features, and what looks after it, set, changed and taken away again on guests
//! that run and on some that are off.

use std::path::{Path, PathBuf};

use crate::lab::{Lab, domain, inventory, virsh};

/// Two guests, one that runs and one that is off, with settings.
fn lab(settings: &str) -> String {
    format!(
        "
lab: machine
common: {{memory: 64MiB, shutdown_timeout: 0s}}
groups: {{all: {{{settings}}}}}
guests:
  on: {{group: all}}
  off: {{group: all, running: false}}
"
    )
}

/// What a guest's TPM holds.
fn held(guest: &str) -> PathBuf {
    let uuid = domain(guest).text_at("uuid").unwrap().to_owned();
    Path::new("/var/lib/libvirt/swtpm").join(uuid)
}

fn variables(guest: &str) -> PathBuf {
    format!("/var/lib/libvirt/qemu/nvram/{guest}_VARS.fd").into()
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_machine_is_as_the_definition_says() {
    let before = inventory();
    let plain = lab("");
    let windows = "secure_boot: true, tpm: true, clock: localtime, panic: hyperv, watchdog: poweroff, \
                   features: {hyperv: true, vmport: false, kvm: {hidden: true}}";
    let other = "secure_boot: false, tpm: {version: 1.2}, clock: {offset: Europe/Berlin, timers: {hpet: false, rtc: catchup, pit: delay}}, \
                 panic: true, watchdog: {model: i6300esb, action: none}, \
                 features: {acpi: false, apic: false, pae: true, pmu: false, hap: true, smm: true, hyperv: {spinlocks: false, reset: true}}";
    let bare = Lab::new(&plain);
    bare.apply(&[]);
    let first = domain("on");
    for settings in [windows, other, windows, ""] {
        bare.define(&lab(settings));
        bare.apply(&[]);
        if settings == windows {
            let on = domain("on");
            let feature = |name| on.find(&format!("features/hyperv/{name}")).is_some();
            assert!(feature("relaxed") && !feature("vpindex"), "{on}");
            assert_eq!(on.attribute_at("devices/tpm", "model"), Some("tpm-crb"));
            let hypervclock = on.find("clock/timer").unwrap();
            assert_eq!(hypervclock.attribute("name"), Some("hypervclock"));
            assert!(held("on").join("tpm2").exists());
        }
    }
    let last = domain("on");
    for part in ["os", "features", "clock"] {
        assert_eq!(last.child(part), first.child(part));
    }
    for device in ["tpm", "panic", "watchdog"] {
        // Newer versions of libvirt tell of the machine's own.
        let path = format!("devices/{device}");
        assert_eq!(last.find(&path), first.find(&path));
    }
    // It stays, for a TPM that comes again.
    assert!(held("on").join("tpm2").exists());
    bare.destroy();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn firmware_with_other_keys_begins_with_other_variables() {
    let lab = |settings: &str| {
        format!("lab: keys\nguests:\n  on: {{memory: 64MiB, shutdown_timeout: 0s, {settings}}}\n")
    };
    let keys = Lab::new(&lab("firmware: uefi, secure_boot: false"));
    keys.apply(&[]);
    for settings in [
        "secure_boot: true",
        "secure_boot: {keys: false}",
        "firmware: uefi, secure_boot: false",
        "secure_boot: true",
        // What libvirt chooses then goes by its version.
        "firmware: uefi",
    ] {
        keys.define(&lab(settings));
        let plan = keys.ok(&["plan"]);
        let is_chosen = settings == "firmware: uefi";
        let is_told = plan.contains("UEFI variables are deleted");
        assert!(is_chosen || is_told, "{settings}: {plan}");
        keys.apply(&[]);
        assert!(variables("on").exists());
    }
    keys.define(&lab("secure_boot: true"));
    keys.apply(&[]);
    let running = virsh(&["dumpxml", "on"]);
    assert!(running.contains("secure='yes'"), "{running}");
    keys.destroy();
    assert!(!variables("on").exists());
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn what_a_tpm_holds_goes_with_the_guest_and_is_told() {
    let definition = "lab: held
common: {memory: 64MiB, shutdown_timeout: 0s, tpm: true}
guests:
  one: {}
  kept: {tpm: {keep: true}}
";
    let lab = Lab::new(definition);
    lab.apply(&[]);
    let (one, kept) = (held("one"), held("kept"));
    let mark = |dir: &Path| std::fs::write(dir.join("tpm2/mark"), "").unwrap();
    let is_same = |dir: &Path| dir.join("tpm2/mark").exists();
    mark(&one);
    mark(&kept);

    // Another name is the same TPM, and so is another model.
    let renamed = format!("{definition}moved: [{{from: guest.one, to: guest.other}}]\n");
    lab.define(&renamed.replace("  one: {}", "  other: {tpm: {model: tis}}"));
    lab.apply(&[]);
    assert_eq!(held("other"), one);
    assert!(is_same(&one));

    // Without it all stays, and is there again with it.
    lab.define(&renamed.replace("  one: {}", "  other: {tpm: false}"));
    let plan = lab.ok(&["plan"]);
    assert!(plan.contains("what its TPM 2.0 holds stays"), "{plan}");
    lab.apply(&[]);
    assert!(is_same(&one));
    lab.define(&renamed.replace("  one: {}", "  other: {}"));
    lab.apply(&[]);
    assert!(is_same(&one));

    // A guest that is made anew has another, but for what is kept.
    let plan = lab.ok(&[
        "plan",
        "--replace",
        "guest.other",
        "--replace",
        "guest.kept",
    ]);
    assert!(plan.contains("what its TPM holds is deleted"), "{plan}");
    assert!(plan.contains("what its TPM holds stays"), "{plan}");
    lab.apply(&["--replace", "guest.other", "--replace", "guest.kept"]);
    assert!(!is_same(&one) && one.exists());
    assert!(is_same(&kept));
    lab.destroy();
    assert!(!one.exists());
    assert!(is_same(&kept));
}
