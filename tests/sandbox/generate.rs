//! What `generate` compiles, used on a real libvirt without miniascape: two ways, one result.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::lab::{Lab, inventory, success, tiny, virsh};

/// Defines and starts what is the host's.
fn set_up_host(lab: &Lab) {
    let script = lab.path().join("miniascape-workdir/host/setup.sh");
    let output = Command::new(script).current_dir("/").output().unwrap();
    success(&output, &["host/setup.sh"]);
}

/// What libvirt holds, without the MACs that it makes up for bridges.
fn made() -> BTreeMap<String, String> {
    let mut all = inventory();
    for (name, xml) in &mut all {
        if name.starts_with("network ") {
            let lines = xml.lines().filter(|line| !line.starts_with("  <mac "));
            *xml = lines.collect::<Vec<_>>().join("\n");
        }
    }
    all
}

/// Runs a guest's script from the root directory.
fn vmbuild(lab: &Lab, guest: &str, arguments: &[&str]) -> Output {
    let script = lab
        .path()
        .join("miniascape-workdir")
        .join(guest)
        .join("vmbuild.sh");
    Command::new(script)
        .args(arguments)
        .current_dir("/")
        .output()
        .unwrap()
}

fn build(lab: &Lab, guest: &str) -> String {
    success(&vmbuild(lab, guest, &[]), &[guest, "vmbuild.sh"])
}

const LAB: &str = "lab: ways
networks:
  ways:
    address: 192.168.164.1/24
    domain: ways.test
    dhcp: {start: 192.168.164.200, end: 192.168.164.250}
    dns: {hosts: {ntp: 192.168.164.5}}
pools: {ways: {path: @DIR@/pool}}
images: {tiny: {pool: ways, source: @TINY@/tiny.qcow2}}
common:
  memory: 192MiB
  disks: {root: {pool: ways, image: tiny}}
guests:
  web1:
    autostart: true
    disks: {data: {pool: ways, size: 64MiB}, both: {pool: ways, size: 16MiB, format: raw, shareable: true}}
    interfaces: {eth0: {network: ways, ip: 192.168.164.11}, eth1: {user: true}}
  db1:
    name: it's $(not) a, \"test\"
    running: false
    depends_on: web1
    disks: {both: {pool: ways, volume: web1.both.raw, format: raw, shareable: true}}
    interfaces: {eth0: {network: ways, ip: 192.168.164.21}}
";

#[test]
#[ignore = "needs scripts/sandbox"]
fn scripts_make_what_apply_makes() {
    let before = inventory();
    let lab = Lab::new(LAB);
    lab.apply(&[]);
    let applied = made();
    lab.destroy();
    fs::remove_dir_all(lab.path().join("state")).unwrap();
    assert_eq!(inventory(), before);

    lab.ok(&["generate"]);
    // Before the host is set up nothing is made, and a dry run only says so.
    let early = vmbuild(&lab, "web1", &[]);
    let errors = String::from_utf8_lossy(&early.stderr).into_owned();
    assert_eq!(early.status.code(), Some(1));
    assert!(
        errors.contains("the network ways is not active: run host/setup.sh first"),
        "{errors}"
    );
    success(&vmbuild(&lab, "web1", &["--dry-run"]), &["dry run"]);
    assert_eq!(inventory(), before);

    set_up_host(&lab);
    let host_only = inventory();
    let shown = success(&vmbuild(&lab, "web1", &["--dry-run"]), &["dry run"]);
    assert!(
        shown.contains("would run: virsh vol-upload") && shown.contains("would run: virsh start"),
        "{shown}"
    );
    let early = vmbuild(&lab, "db1", &[]);
    let errors = String::from_utf8_lossy(&early.stderr).into_owned();
    assert!(errors.contains("run web1/vmbuild.sh first"), "{errors}");
    let uploaded = "volume ways/tiny.qcow2";
    assert!(!host_only.contains_key(uploaded) && inventory().contains_key(uploaded));

    let first = build(&lab, "web1");
    assert!(!first.contains("uploading"), "once for all guests: {first}");
    build(&lab, "db1");
    let built = made();
    for (object, xml) in &applied {
        assert_eq!(
            built.get(object),
            Some(xml),
            "two ways, one result: {object}"
        );
    }
    assert_eq!(built.len(), applied.len());
    for guest in ["web1", "db1"] {
        let again = build(&lab, guest);
        assert_eq!(again, format!("{guest}: it is there already\n"));
    }
    assert!(made() == built, "the second time nothing changes");

    let report = lab.ok(&["import", "--all"]);
    assert!(
        report.contains("Taken over: 9; 0 were this lab's already, 0 are not there."),
        "{report}"
    );
    lab.is_settled();
    let report = lab.ok(&["import", "--all"]);
    assert!(report.contains("Taken over: 0; 9 were"), "{report}");
    lab.destroy();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn scripts_mend_what_was_interrupted_and_refuse_what_is_foreign() {
    let before = inventory();
    let lab = Lab::new(LAB);
    lab.ok(&["generate"]);
    set_up_host(&lab);
    // As an upload leaves it that was killed.
    virsh(&[
        "vol-create-as",
        "ways",
        "tiny.qcow2.uploading",
        "1",
        "--format",
        "raw",
    ]);
    virsh(&[
        "vol-create-as",
        "ways",
        "tiny.qcow2",
        "1048576",
        "--format",
        "raw",
    ]);
    let told = build(&lab, "web1");
    assert!(
        told.contains("the upload of tiny.qcow2 was not finished and is done again"),
        "{told}"
    );
    let format = virsh(&["vol-dumpxml", "--pool", "ways", "tiny.qcow2"]);
    assert!(format.contains("<format type='qcow2'/>"), "{format}");
    assert!(!virsh(&["vol-list", "ways"]).contains("uploading"));

    // A guest of the same name that is somebody else's.
    virsh(&["destroy", "web1"]);
    virsh(&["undefine", "web1"]);
    let definition = lab.path().join("miniascape-workdir/web1/domain.xml");
    let text = fs::read_to_string(&definition).unwrap();
    let foreign = lab.path().join("foreign.xml");
    let (start, rest) = text.split_once("<uuid>").unwrap();
    fs::write(
        &foreign,
        start.to_owned() + rest.split_once("</uuid>").unwrap().1,
    )
    .unwrap();
    virsh(&["define", foreign.to_str().unwrap()]);
    let refused = vmbuild(&lab, "web1", &[]);
    let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        errors.contains("there is a guest web1 that is not of lab ways"),
        "{errors}"
    );
    virsh(&["undefine", "web1"]);

    // What is wrong with the image's file is said.
    for volume in ["web1.root.qcow2", "tiny.qcow2"] {
        virsh(&["vol-delete", "--pool", "ways", volume]);
    }
    let script = lab.path().join("miniascape-workdir/web1/vmbuild.sh");
    let text = fs::read_to_string(&script).unwrap();
    let tiny = tiny().join("tiny.qcow2").display().to_string();
    fs::write(&script, text.replace(&tiny, "/nowhere/tiny.qcow2")).unwrap();
    let refused = vmbuild(&lab, "web1", &[]);
    let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        errors.contains("made of /nowhere/tiny.qcow2, and there is no such file"),
        "{errors}"
    );
    fs::write(&script, text).unwrap();
    build(&lab, "web1");
    lab.ok(&["import", "--all"]);
    lab.destroy();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn several_scripts_at_once_upload_an_image_once() {
    let before = inventory();
    let lab = Lab::new(
        "lab: many
pools: {many: {path: @DIR@/pool}}
images: {tiny: {pool: many, source: @TINY@/tiny.qcow2}}
common:
  running: false
  disks: {root: {pool: many, image: tiny}}
  interfaces: {eth0: {user: true}}
guests: {one: {}, two: {}, three: {}, four: {}}
",
    );
    lab.ok(&["generate"]);
    set_up_host(&lab);
    let told: Vec<String> = std::thread::scope(|scope| {
        let lab = &lab;
        let run = |guest: &'static str| scope.spawn(move || build(lab, guest));
        let running = ["one", "two", "three", "four"].map(run);
        running.map(|thread| thread.join().unwrap()).into()
    });
    let uploads = told.iter().filter(|told| told.contains("uploading"));
    assert_eq!(uploads.count(), 1, "{told:?}");
    lab.ok(&["import", "--all"]);
    lab.is_settled();
    lab.destroy();
    assert_eq!(inventory(), before);
}

/// An initrd that installs: it writes the answers that it was given, in its initrd or on a second disk, and its command line
/// to the first disk, and ends with a command.
fn installer(lab: &Path, end: &str) {
    let root = lab.join("installer");
    fs::create_dir_all(&root).unwrap();
    let init = format!(
        "#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for module in /modules/*.ko; do insmod \"$module\"; done
for answers in /ks.cfg /preseed.cfg /autoinst.xml /dev/vdb; do
    [ ! -e $answers ] || break
done
cat /proc/cmdline $answers >/dev/vda
sync
{end}
"
    );
    fs::write(root.join("init"), init).unwrap();
    fs::set_permissions(root.join("init"), fs::Permissions::from_mode(0o755)).unwrap();
    shell(&format!(
        "cd '{}' && (cat '{}/initrd.img'; echo init | cpio -o -H newc --quiet | gzip) > '{}/installer.img'",
        root.display(),
        tiny().display(),
        lab.display()
    ));
}

fn shell(script: &str) {
    let done = Command::new("sh").args(["-c", script]).status().unwrap();
    assert!(done.success(), "{script}");
}

/// What an installer wrote to a disk.
fn written(lab: &Lab, pool: &str, volume: &str) -> String {
    let disk = lab.path().join("disk");
    virsh(&[
        "vol-download",
        "--pool",
        pool,
        volume,
        disk.to_str().unwrap(),
    ]);
    let bytes = fs::read(disk).unwrap();
    String::from_utf8_lossy(&bytes[..128 << 10]).into_owned()
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn an_install_by_script_ends_as_defined() {
    let before = inventory();
    let lab = Lab::new(
        "lab: inst
networks: {inst: {address: 192.168.165.1/24, domain: inst.test, dhcp: true}}
pools: {inst: {path: @DIR@/pool}}
guests:
  new1:
    memory: 256MiB
    running: false
    vars: {role: test}
    disks: {root: {pool: inst, size: 16MiB, format: raw}}
    interfaces: {eth0: {network: inst, ip: 192.168.165.11}}
    install:
      os: fedora-42
      location: {kernel: @TINY@/vmlinuz, initrd: installer.img}
      url: http://nowhere
      template: ks.j2
      cmdline: answer=42
      timeout: 5m
",
    );
    installer(lab.path(), "reboot -f");
    fs::write(
        lab.path().join("ks.j2"),
        "# {{ guest.fqdn }} is a {{ vars.role }}, {{ networks.inst.domain }}\n",
    )
    .unwrap();
    lab.ok(&["generate"]);
    let dry = success(&vmbuild(&lab, "new1", &["--dry-run"]), &["dry run"]);
    assert!(dry.contains("Dry run completed successfully"), "{dry}");
    set_up_host(&lab);
    let dry = success(&vmbuild(&lab, "new1", &["--dry-run"]), &["dry run"]);
    assert!(dry.contains("Dry run completed successfully"), "{dry}");
    assert!(!inventory().contains_key("guest new1"));

    build(&lab, "new1");
    let disk = written(&lab, "inst", "new1.root.raw");
    assert!(
        disk.contains("\n# new1.inst.test is a test, inst.test\n"),
        "{disk}"
    );
    assert!(disk.contains("answer=42"), "{disk}");

    lab.ok(&["import", "--all"]);
    lab.is_settled();
    let built = inventory();
    assert_eq!(build(&lab, "new1"), "new1: it is there already\n");
    assert_eq!(inventory(), built);

    // As virt-install leaves it that was killed: the guest is there, without the lab's mark, and is off.
    let installing = lab.path().join("installing.xml");
    let xml = virsh(&["dumpxml", "--inactive", "new1"]);
    let (start, rest) = xml.split_once("<metadata>").unwrap();
    fs::write(
        &installing,
        start.to_owned() + rest.split_once("</metadata>").unwrap().1,
    )
    .unwrap();
    virsh(&["undefine", "new1"]);
    virsh(&["define", installing.to_str().unwrap()]);
    let again = build(&lab, "new1");
    assert!(
        again.contains("an install was not finished and is done again"),
        "{again}"
    );
    assert_eq!(inventory(), built);
    lab.is_settled();
    lab.destroy();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn each_installer_is_given_its_answers_by_scripts() {
    let before = inventory();
    let lab = Lab::new(
        "lab: kinds
networks: {kinds: {address: 192.168.166.1/24, dhcp: true}}
pools: {kinds: {path: @DIR@/pool}}
common:
  memory: 512MiB
  running: false
  disks: {root: {pool: kinds, size: 16MiB, format: raw}}
  interfaces: {eth0: {network: kinds}}
  install:
    location: {kernel: @TINY@/vmlinuz, initrd: installer.img}
    url: http://nowhere
    template: answers.j2
guests:
  debian: {install: {os: debian-12}}
  suse: {install: {os: opensuse-15.6}}
",
    );
    installer(lab.path(), "reboot -f");
    fs::write(
        lab.path().join("answers.j2"),
        "# answers for {{ guest.key }}\n",
    )
    .unwrap();
    lab.ok(&["generate"]);
    set_up_host(&lab);
    for guest in ["debian", "suse"] {
        build(&lab, guest);
        let disk = written(&lab, "kinds", &format!("{guest}.root.raw"));
        assert!(
            disk.contains(&format!("\n# answers for {guest}\n")),
            "{disk}"
        );
    }
    lab.ok(&["import", "--all"]);
    lab.is_settled();
    lab.destroy();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn seeds_are_made_by_scripts_as_by_apply() {
    let before = inventory();
    let lab = Lab::new(
        "lab: seed
networks: {seed: {address: 192.168.168.1/24, dhcp: true}}
pools: {seed: {path: @DIR@/pool}}
images: {tiny: {pool: seed, source: @TINY@/tiny.qcow2}}
common: {memory: 256MiB, running: false, interfaces: {eth0: {network: seed}}}
guests:
  cloud1:
    disks: {root: {pool: seed, image: tiny}}
    cloud_init: {template: user-data.j2}
  ubuntu1:
    disks: {root: {pool: seed, size: 16MiB, format: raw}}
    install:
      os: ubuntu-24.04
      location: {kernel: @TINY@/vmlinuz, initrd: installer.img}
      url: http://nowhere/ubuntu.iso
      template: user-data.j2
",
    );
    installer(lab.path(), "poweroff -f");
    let answers = "#cloud-config\n# for {{ guest.key }}\n";
    fs::write(lab.path().join("user-data.j2"), answers).unwrap();
    lab.ok(&["generate"]);
    set_up_host(&lab);
    build(&lab, "cloud1");
    let seed = fs::read(lab.path().join("pool/cloud1.seed.img")).unwrap();
    let generated = fs::read(lab.path().join("miniascape-workdir/cloud1/seed.img")).unwrap();
    assert!(seed == generated);

    build(&lab, "ubuntu1");
    let disk = written(&lab, "seed", "ubuntu1.root.raw");
    assert!(disk.contains("autoinstall ds=nocloud"), "{disk}");
    assert!(disk.contains("#cloud-config\n# for ubuntu1\n"), "{disk}");
    let volumes = virsh(&["vol-list", "seed"]);
    assert!(!volumes.contains("install.seed"), "{volumes}");
    lab.ok(&["import", "--all"]);
    lab.is_settled();
    lab.destroy();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn an_install_that_fails_is_not_taken_for_done() {
    let lab = Lab::new(
        "lab: fail
pools: {fail: {path: @DIR@/pool}}
guests:
  new1:
    memory: 256MiB
    disks: {root: {pool: fail, size: 16MiB, format: raw}}
    interfaces: {eth0: {user: true}}
    install: {os: fedora-42, location: {kernel: @TINY@/vmlinuz, initrd: installer.img}, url: http://nowhere, template: ks.j2}
",
    );
    fs::write(lab.path().join("ks.j2"), "text\n").unwrap();
    installer(lab.path(), "sleep 1000");
    lab.ok(&["generate"]);
    set_up_host(&lab);
    // An install that is killed, with what it runs.
    let killed = || {
        let script = lab.path().join("miniascape-workdir/new1/vmbuild.sh");
        let output = Command::new("timeout").arg("12").arg(script).output();
        String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
    };
    killed();
    assert_eq!(virsh(&["domstate", "new1"]).trim(), "running");
    let busy = vmbuild(&lab, "new1", &[]);
    let errors = String::from_utf8_lossy(&busy.stderr).into_owned();
    assert_eq!(busy.status.code(), Some(1));
    assert!(
        errors.contains("it is being installed; if not, end it with 'virsh destroy"),
        "{errors}"
    );
    virsh(&["destroy", "new1"]);
    let told = killed();
    assert!(
        told.contains("an install was not finished and is done again"),
        "{told}"
    );
    virsh(&["destroy", "new1"]);
    virsh(&["undefine", "new1"]);
    lab.ok(&["import", "--all"]);
    lab.destroy();
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn virt_install_takes_every_kind_of_install() {
    let before = inventory();
    let lab = Lab::new(
        "lab: kinds
networks: {kinds: {address: 192.168.169.1/24, dhcp: true}}
pools:
  kinds: {path: @DIR@/pool}
  isos: {external: true, path: @DIR@/isos}
common:
  memory: 4GiB
  disks: {root: {pool: kinds, size: 10GiB}, second: {pool: kinds, size: 1GiB, bus: sata, cache: none}}
  interfaces: {eth0: {network: kinds}, eth1: {user: true}}
guests:
  fedora: {install: {os: fedora-42, location: fedora, url: http://nowhere, template: answers.j2}}
  rhel: {firmware: uefi, install: {os: rhel-9.4, location: rhel.iso, template: answers.j2}}
  rocky: {graphics: vnc, install: {os: rocky-8, location: {pool: isos, volume: rhel.iso}, template: answers.j2}}
  debian: {install: {os: debian-12, location: debian, url: http://nowhere, template: answers.j2}}
  ubuntu: {cpu: {model: Nehalem}, install: {os: ubuntu-24.04, location: 'ubuntu 24,04.iso', template: answers.j2}}
  suse: {serial: {file: /tmp/suse.log}, install: {os: opensuse-15.6, location: suse, url: http://nowhere, template: answers.j2}}
",
    );
    fs::write(lab.path().join("answers.j2"), "# answers\n").unwrap();
    let dir = lab.path().display();
    shell(&format!(
        "cd '{dir}' && mkdir -p isos fedora/images/pxeboot suse/boot/x86_64/loader ubuntu/casper \
         debian/main/installer-amd64/current/images/netboot/debian-installer/amd64 &&
         for place in fedora/images/pxeboot:vmlinuz:initrd.img suse/boot/x86_64/loader:linux:initrd ubuntu/casper:vmlinuz:initrd \
             debian/main/installer-amd64/current/images/netboot/debian-installer/amd64:linux:initrd.gz; do
             files=${{place#*:}}
             cp '{tiny}/vmlinuz' \"${{place%%:*}}/${{files%:*}}\" && cp '{tiny}/initrd.img' \"${{place%%:*}}/${{files#*:}}\"
         done &&
         genisoimage -quiet -R -J -o rhel.iso fedora && cp rhel.iso isos && genisoimage -quiet -R -J -o 'ubuntu 24,04.iso' ubuntu",
        tiny = tiny().display()
    ));
    virsh(&[
        "pool-define-as",
        "isos",
        "dir",
        "--target",
        &format!("{dir}/isos"),
    ]);
    virsh(&["pool-start", "isos"]);
    lab.ok(&["generate"]);
    for host in [false, true] {
        if host {
            set_up_host(&lab);
        }
        for guest in ["fedora", "rhel", "rocky", "debian", "ubuntu", "suse"] {
            let output = vmbuild(&lab, guest, &["--dry-run"]);
            let told = success(&output, &[guest, "--dry-run"]);
            assert!(told.contains("Dry run completed successfully"), "{told}");
        }
    }
    assert!(virsh(&["list", "--all", "--name"]).trim().is_empty());
    assert!(
        virsh(&["vol-list", "kinds"]).lines().count() <= 3,
        "nothing was made"
    );
    // virt-install makes a pool of the directory that an image is in, in a dry run too, and leaves it.
    let of_images = lab.path().file_name().unwrap().to_str().unwrap();
    for pool in ["isos", of_images] {
        virsh(&["pool-destroy", pool]);
        virsh(&["pool-undefine", pool]);
    }
    lab.ok(&["import", "--all"]);
    lab.destroy();
    assert_eq!(inventory(), before);
}
