//! Deletes are checked against all that is there, and pools change without touching what is in them.

use std::process::Command;

use miniascape::file::content::{Hashing, Method};

use crate::lab::{Lab, inventory, virsh, virsh_xml};

const LAB: &str = "lab: store
pools: {store: {path: @DIR@/pool}}
images: {base: {pool: store, source: @TINY@/tiny.qcow2}}
guests:
  one:
    running: false
    memory: 64MiB
    disks: {root: {pool: store, image: base}, data: {pool: store, size: 8MiB}}
";

fn overlay(backing: &str, file: &str) {
    let made = Command::new("qemu-img")
        .args([
            "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", backing, file,
        ])
        .status()
        .unwrap();
    assert!(made.success());
}

fn stranger(name: &str, disk: &str) {
    virsh_xml(
        "define",
        &format!(
            "<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory>\
             <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>{disk}</devices></domain>"
        ),
    );
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn nothing_is_deleted_that_others_use() {
    let before = inventory();
    let lab = Lab::new(LAB);
    lab.apply(&[]);
    let ours = inventory();
    let dir = lab.path().display().to_string();
    let base = format!("{dir}/pool/base.qcow2");
    let data = format!("{dir}/pool/one.data.qcow2");
    let elsewhere = tempfile::tempdir().unwrap();
    let other = elsewhere.path().display().to_string();

    // Beside the image, unknown to libvirt until the pool is refreshed; and in a pool that is not the lab's.
    overlay(&base, &format!("{dir}/pool/unseen.qcow2"));
    overlay(&base, &format!("{other}/over.qcow2"));
    virsh(&["pool-create-as", "other", "dir", "--target", &other]);
    stranger(
        "named",
        "<disk type='volume' device='disk'><driver name='qemu' type='qcow2'/>\
         <source pool='store' volume='one.data.qcow2'/><target dev='vda' bus='virtio'/></disk>",
    );
    // One that runs on an overlay of the disk, which only its chain tells.
    overlay(&data, &format!("{other}/chain.img"));
    virsh_xml(
        "create",
        &format!(
            "<domain type='qemu'><name>chained</name><memory unit='MiB'>64</memory>\
             <os><type arch='x86_64' machine='q35'>hvm</type></os><devices><disk type='file' device='disk'>\
             <driver name='qemu' type='qcow2'/><source file='{other}/chain.img'/>\
             <target dev='vda' bus='virtio'/></disk></devices></domain>"
        ),
    );
    virsh(&["pool-destroy", "other"]);
    std::fs::rename(format!("{other}/chain.img"), format!("{other}/.chain.img")).unwrap();
    virsh(&["pool-create-as", "other", "dir", "--target", &other]);

    let refusal = lab.fails(&["destroy", "-y"]);
    for part in [
        "image.base cannot be deleted: volume other/over.qcow2, volume store/unseen.qcow2 use it",
        "volume.one.data cannot be deleted: guest chained, guest named",
        "pool.store cannot be deleted: guest named uses it",
        "Nothing was changed",
    ] {
        assert!(refusal.contains(part), "{part}: {refusal}");
    }
    // The same where only a part of the definition goes.
    lab.define(&LAB.replace(", data: {pool: store, size: 8MiB}", ""));
    let refusal = lab.fails(&["apply", "-y", "--allow-data-loss", "volume.one.data"]);
    assert!(
        refusal.contains("volume.one.data cannot be deleted: guest chained, guest named"),
        "{refusal}"
    );
    lab.define(&LAB.replace("size: 8MiB", "size: 4MiB"));
    let refusal = lab.fails(&["apply", "-y", "--allow-data-loss", "volume.one.data"]);
    assert!(
        refusal.contains("volume.one.data cannot be replaced: guest chained, guest named"),
        "{refusal}"
    );
    assert!(std::path::Path::new(&data).exists() && std::path::Path::new(&base).exists());

    virsh(&["destroy", "chained"]);
    virsh(&["undefine", "named"]);
    virsh(&["pool-destroy", "other"]);
    virsh(&["vol-delete", "--pool", "store", "unseen.qcow2"]);
    lab.define(LAB);
    lab.is_settled();
    assert_eq!(inventory(), ours);
    lab.destroy();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_pool_changes_and_its_files_stay() {
    let text = |path: &str, more: &str| {
        format!("lab: moves\npools: {{moves: {{path: '@DIR@/{path}'{more}}}}}\n")
    };
    let before = inventory();
    let lab = Lab::new(&text("old", ""));
    lab.apply(&[]);
    let kept = lab.path().join("old/kept.raw");
    std::fs::write(&kept, "data").unwrap();
    // Who may enter the directory counts when it is made, and is nobody's business later.
    let xml =
        ", xml: \"<pool><target><permissions><mode>0750</mode></permissions></target></pool>\"";
    lab.define(&text("old", xml));
    lab.is_settled();
    for path in ["new", "old"] {
        lab.define(&text(path, xml));
        let plan = lab.ok(&["plan"]);
        assert!(plan.contains("~ pool.moves"), "{plan}");
        lab.apply(&["--max-disruption", "live"]);
        assert_eq!(std::fs::read_to_string(&kept).unwrap(), "data");
    }
    assert!(virsh(&["vol-list", "moves"]).contains("kept.raw"));
    std::fs::remove_file(&kept).unwrap();
    lab.destroy();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_volume_grows_with_and_without_its_guest() {
    let text = |size: &str, running: bool| {
        format!(
            "lab: grows\npools: {{grows: {{path: @DIR@/pool}}}}\nguests:\n  one:\n    running: {running}\n    memory: 64MiB\n    \
             shutdown_timeout: 0s\n    disks: {{data: {{pool: grows, size: {size}}}}}\n"
        )
    };
    let lab = Lab::new(&text("8MiB", false));
    lab.apply(&[]);
    let capacity = || virsh(&["vol-info", "--bytes", "--pool", "grows", "one.data.qcow2"]);
    for (size, running, bytes) in [
        ("16MiB", false, "16777216"),
        ("16MiB", true, "16777216"),
        ("24MiB", true, "25165824"),
    ] {
        lab.define(&text(size, running));
        lab.apply(&["--max-disruption", "live"]);
        assert!(capacity().contains(bytes), "{}", capacity());
    }
    // A guest that names the volume by its pool runs on it just as well.
    lab.define(&text("24MiB", false));
    lab.apply(&[]);
    virsh_xml(
        "create",
        "<domain type='qemu'><name>stranger</name><memory unit='MiB'>64</memory>\
         <os><type arch='x86_64' machine='q35'>hvm</type></os><devices><disk type='volume' device='disk'>\
         <driver name='qemu' type='qcow2'/><source pool='grows' volume='one.data.qcow2'/>\
         <target dev='vda' bus='virtio'/></disk></devices></domain>",
    );
    lab.define(&text("32MiB", false));
    lab.apply(&["--max-disruption", "live"]);
    assert!(capacity().contains("33554432"), "{}", capacity());
    virsh(&["destroy", "stranger"]);
    lab.destroy();
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn disks_of_others_are_attached_in_the_format_that_they_have() {
    let text = |more: &str| {
        format!(
            "lab: fmt
pools: {{fmt: {{path: @DIR@/pool}}, ext: {{external: true}}}}
images:
  q: {{pool: fmt, source: q.img}}
  r: {{pool: fmt, source: r.qcow2}}
common: {{memory: 64MiB, running: false}}
guests:
  onq: {{disks: {{root: {{pool: fmt, image: q}}}}}}
  onr: {{disks: {{root: {{pool: fmt, image: r}}}}}}
  vol: {{disks: {{root: {{pool: ext, volume: there.img}}}}}}
  path:
    disks:
      q: {{path: @DIR@/q.img}}
      r: {{path: @DIR@/grown.qcow2}}
      cd: {{device: cdrom, path: @DIR@/cd.iso}}
      none: {{device: cdrom, path: @DIR@/none.iso}}
{more}"
        )
    };
    let before = inventory();
    let lab = Lab::new(&text(""));
    let made = |format: &str, name: &str| {
        let file = lab.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let mut command = Command::new("qemu-img");
        let made = command
            .args(["create", "-q", "-f", format])
            .arg(&file)
            .arg("4M");
        assert!(made.status().unwrap().success());
        file.display().to_string()
    };
    made("qcow2", "q.img");
    made("raw", "r.qcow2");
    let raw = made("raw", "grown.qcow2");
    made("qcow2", "cd.iso");
    let other = made("vmdk", "other.qcow2");
    made("qcow2", "ext/there.img");
    let external = lab.path().join("ext").display().to_string();
    virsh(&["pool-create-as", "ext", "dir", "--target", &external]);
    // What is only known there waits.
    lab.ok(&["validate"]);
    lab.apply(&[]);
    let formats = |guest: &str| -> String {
        let xml = virsh(&["dumpxml", "--inactive", guest]);
        let formats = xml.split("<driver name='qemu' type='").skip(1);
        let formats: Vec<&str> = formats.filter_map(|rest| rest.split('\'').next()).collect();
        formats.join(" ")
    };
    assert_eq!(formats("vol"), "qcow2");
    assert_eq!(formats("path"), "qcow2 raw qcow2 raw");
    for (name, format) in [("onq", "qcow2"), ("onr", "raw")] {
        let xml = virsh(&[
            "vol-dumpxml",
            "--pool",
            "fmt",
            &format!("{name}.root.qcow2"),
        ]);
        let (_, backing) = xml.split_once("<backingStore>").unwrap();
        assert!(
            backing.contains(&format!("<format type='{format}'/>")),
            "{xml}"
        );
    }

    // A guest writes what looks like a header: its disk stays raw, for others as well, with and without its word for it.
    let header = std::fs::read(lab.path().join("q.img")).unwrap();
    std::fs::write(&raw, header).unwrap();
    for more in [
        "",
        "  late: {disks: {r: {path: @DIR@/grown.qcow2, readonly: true}}}\n",
        "  late: {disks: {r: {path: @DIR@/grown.qcow2, format: raw, readonly: true}}}\n",
    ] {
        lab.define(&text(more));
        lab.apply(&[]);
        assert_eq!(formats("path"), "qcow2 raw qcow2 raw");
    }
    assert_eq!(formats("late"), "raw");
    lab.define(&text(""));
    lab.apply(&[]);
    // What cannot be seen for a while is what it was.
    virsh(&["pool-destroy", "ext"]);
    virsh(&["pool-create-as", "ext", "dir", "--target", &external]);
    std::fs::rename(lab.path().join("q.img"), lab.path().join("gone")).unwrap();
    std::fs::copy(lab.path().join("gone"), lab.path().join("copy.img")).unwrap();
    lab.define(&text("").replace("source: q.img", "source: copy.img"));
    lab.is_settled();
    std::fs::rename(lab.path().join("gone"), lab.path().join("q.img")).unwrap();

    // The guest's first write would ruin it.
    for (disk, problem) in [
        (
            "{path: @DIR@/q.img, format: raw}",
            "in qcow2 format: what a guest writes to it as raw ruins it",
        ),
        (
            "{pool: ext, volume: there.img, format: raw}",
            "in qcow2 format: what a guest writes",
        ),
        (
            "{path: @DIR@/ext/none.qcow2}",
            "is raw or qcow2 cannot be found out",
        ),
        (
            "{path: @DIR@/other.qcow2}",
            "is in vmdk format, which guests are not given here",
        ),
        (
            "{path: @DIR@/other.qcow2, format: qcow2}",
            "is not in qcow2 format, but vmdk",
        ),
        (
            "{path: @DIR@/q.img, shareable: true}",
            "a qcow2 disk cannot be shared",
        ),
    ] {
        lab.define(&format!(
            "lab: new\npools: {{ext: {{external: true}}}}\nguests:\n  new:\n    disks:\n      root: {disk}\n"
        ));
        let refusal = lab.fails(&["plan"]);
        assert!(
            refusal.contains(problem) && refusal.contains("lab.yaml:6:7"),
            "{refusal}"
        );
        let needs_libvirt = disk.contains("none") || disk.contains("there");
        assert_eq!(
            lab.run(&["validate"]).status.success(),
            needs_libvirt,
            "{disk}"
        );
        assert!(
            !lab.run(&["generate"]).status.success() || disk.contains("there"),
            "{disk}"
        );
    }
    assert!(std::path::Path::new(&other).exists());
    lab.define(&text(""));
    lab.destroy();
    virsh(&["pool-destroy", "ext"]);
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn an_image_that_is_built_anew_is_noticed_whatever_its_size() {
    let lab = Lab::new(
        "lab: built
pools: {built: {path: @DIR@/pool}}
images: {base: {pool: built, source: base.img}}
",
    );
    let source = lab.path().join("base.img");
    let fill = |byte: u8| std::fs::write(&source, vec![byte; 1 << 20]).unwrap();
    let uploaded = || std::fs::read(lab.path().join("pool/base.raw")).unwrap()[0];
    fill(1);
    lab.apply(&[]);
    fill(2);
    let plan = lab.ok(&["plan"]);
    assert!(plan.contains("source             blocks:"), "{plan}");
    lab.apply(&[]);
    assert_eq!(uploaded(), 2);
    // Touched and copied it is the same; a state of old, which has sizes, is believed and learns.
    fill(2);
    lab.is_settled();
    let state = lab.path().join("state/built.toml");
    let text = std::fs::read_to_string(&state).unwrap();
    let content = text
        .lines()
        .find(|line| line.starts_with("content = "))
        .unwrap();
    std::fs::write(&state, text.replace(content, "content = \"size:1048576\"")).unwrap();
    lab.ok(&["state", "check", "--accept"]);
    lab.apply(&[]);
    assert_eq!(std::fs::read_to_string(&state).unwrap(), text);
    fill(3);
    lab.apply(&[]);
    assert_eq!(uploaded(), 3);

    // What has not changed is not read again.
    std::thread::sleep(std::time::Duration::from_millis(100));
    lab.apply(&[]);
    let seen = std::fs::read_to_string(lab.path().join("state/.built.seen")).unwrap();
    let mut hashing = Hashing::new(Method::Blocks);
    hashing.data(&vec![3; 1 << 20]);
    let digest = hashing.end().split_off("blocks:".len());
    assert!(seen.contains(&digest), "{seen}");
    // It begins with a checksum of the rest.
    let lie = seen[64..].replace(&digest, &"0".repeat(64));
    let lie = miniascape::fingerprint::sha256(lie.as_bytes()) + &lie;
    std::fs::write(lab.path().join("state/.built.seen"), lie).unwrap();
    let plan = lab.ok(&["plan"]);
    assert!(plan.contains("-> blocks:000"), "{plan}");
    // Nothing of it is believed where that is switched off.
    let settings = lab.path().join("miniascape.toml");
    std::fs::write(&settings, "cache = false\n").unwrap();
    lab.is_settled();
    std::fs::remove_file(settings).unwrap();
    std::fs::write(lab.path().join("state/.built.seen"), seen).unwrap();
    lab.is_settled();
    lab.destroy();
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn how_a_volume_was_made_is_no_difference_for_ever() {
    let text = |xml: &str, more: &str| {
        format!(
            "lab: made
pools: {{made: {{path: @DIR@/pool}}}}
guests:
  one:
    running: false
    memory: 64MiB
    disks:
      root: {{pool: made, size: 8MiB, xml: \"<volume>{xml}</volume>\"}}
      data: {{pool: made, size: 8MiB, format: raw}}
{more}"
        )
    };
    let lab = Lab::new(&text("", ""));
    lab.apply(&[]);
    let inode = || {
        let file = std::fs::metadata(lab.path().join("pool/one.root.qcow2"));
        std::os::unix::fs::MetadataExt::ino(&file.unwrap())
    };
    let made = inode();
    let parts = [
        "<target><nocow/></target>",
        "<target><compat>0.10</compat></target>",
        "<target><features><lazy_refcounts/></features></target>",
        "<target><clusterSize unit='KiB'>128</clusterSize></target>",
        "<target><permissions><mode>0640</mode><label>x</label></permissions></target>",
        "<allocation>4194304</allocation>",
        "<key>other</key>",
        "<physical unit='bytes'>1</physical>",
        "<target><path>/elsewhere</path></target>",
    ];
    // What is asked for afterwards is told, and deletes nothing.
    for part in parts {
        lab.define(&text(part, ""));
        lab.apply(&[]);
        assert_eq!(inode(), made, "{part}");
    }
    lab.define(&text(parts[0], ""));
    for _ in 0..2 {
        let told = lab.ok(&["apply", "-y"]);
        assert!(told.contains("target.nocow       + <nocow/>"), "{told}");
    }
    // A guest writes what looks like something else on a raw disk.
    let raw = lab.path().join("pool/one.data.raw");
    let header = std::fs::read(lab.path().join("pool/one.root.qcow2")).unwrap();
    let mut disk = std::fs::read(&raw).unwrap();
    disk[..512].copy_from_slice(&header[..512]);
    std::fs::write(&raw, disk).unwrap();
    virsh(&["pool-refresh", "made"]);
    lab.is_settled();
    let told = lab.ok(&["plan"]);
    assert!(told.contains("format             raw -> qcow2"), "{told}");
    lab.destroy();
    // What is asked for from the beginning is no difference ever.
    for part in parts {
        lab.define(&text(part, ""));
        lab.apply(&[]);
        lab.apply(&[]);
        let told = lab.ok(&["plan"]);
        assert!(!told.contains("Pending"), "{part}: {told}");
        lab.destroy();
    }
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_new_disk_takes_the_room_that_the_definition_says() {
    let text = |allocation: &str| {
        format!(
            "lab: room
pools: {{room: {{path: @DIR@/pool}}}}
guests:
  one:
    running: false
    memory: 64MiB
    disks:
      raw: {{pool: room, size: 8MiB, format: raw{allocation}}}
      qcow2: {{pool: room, size: 8MiB{allocation}}}
"
        )
    };
    let lab = Lab::new(&text(""));
    let kib = |name: &str| {
        let file = std::fs::metadata(lab.path().join("pool").join(name)).unwrap();
        std::os::unix::fs::MetadataExt::blocks(&file) / 2
    };
    let (raw, qcow2) = ("one.raw.raw", "one.qcow2.qcow2");
    let version = || {
        let file = std::fs::read(lab.path().join("pool").join(qcow2)).unwrap();
        file[7]
    };
    lab.apply(&[]);
    assert!(kib(raw) == 0 && kib(qcow2) < 1024 && version() == 3);
    lab.destroy();
    lab.define(&text(", allocation: full"));
    lab.apply(&[]);
    assert!(kib(raw) >= 8192 && kib(qcow2) >= 8192);
    lab.destroy();

    // As volumes were made before: neither of the defaults is told of them.
    let old = lab.path().join("templates/libvirt");
    std::fs::create_dir_all(&old).unwrap();
    let template = "<volume type='file'><name>{{ volume.name }}</name><capacity>{{ volume.capacity }}</capacity>\
                    <target><format type='{{ volume.format }}'/></target></volume>";
    std::fs::write(old.join("volume.xml.j2"), template).unwrap();
    lab.define(&text(""));
    lab.apply(&[]);
    assert!(kib(raw) >= 8192);
    std::fs::remove_dir_all(lab.path().join("templates")).unwrap();
    for definition in [text(""), text(", allocation: full")] {
        lab.define(&definition);
        let told = lab.apply(&[]);
        let is_qcow2 = definition.contains("full");
        assert_eq!(told.contains("allocation"), is_qcow2, "{told}");
        assert!(!told.contains("compat"), "{told}");
    }
    lab.destroy();
}

/// A loop device over a file; the machine's own, so it is let go of whatever happens.
struct LoopDevice(String);

impl LoopDevice {
    fn over(file: &std::path::Path) -> Self {
        let made = Command::new("losetup")
            .args(["--find", "--show"])
            .arg(file)
            .output()
            .unwrap();
        let name = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        assert!(
            made.status.success() && name.starts_with("/dev/loop"),
            "{name}"
        );
        Self(name)
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["-d", &self.0]).status();
    }
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_pool_is_mounted_where_no_directory_was() {
    let before = inventory();
    let elsewhere = tempfile::tempdir().unwrap();
    let disk = elsewhere.path().join("disk.ext4");
    let files = elsewhere.path().join("files");
    std::fs::create_dir(&files).unwrap();
    std::fs::write(files.join("theirs"), "data").unwrap();
    let made = Command::new("mkfs.ext4")
        .arg("-q")
        .arg("-d")
        .args([&files, &disk])
        .arg("16M")
        .status();
    assert!(made.unwrap().success());
    let device = LoopDevice::over(&disk);
    let lab = Lab::new(&format!(
        "lab: mounted
pools:
  mounted:
    type: fs
    path: @DIR@/mnt
    xml: <pool><source><device path='{}'/><format type='ext4'/></source></pool>
guests:
  one: {{running: false, memory: 64MiB, disks: {{root: {{pool: mounted, size: 1MiB, format: raw}}}}}}
",
        device.0
    ));
    let target = lab.path().join("mnt");
    let has = |name: &str| target.join(name).exists();
    lab.apply(&[]);
    assert!(has("theirs") && has("one.root.raw"));
    lab.is_settled();
    virsh(&["pool-destroy", "mounted"]);
    assert!(target.is_dir() && !has("theirs"));
    lab.apply(&[]);
    assert!(has("theirs") && has("one.root.raw"));
    lab.destroy();
    assert!(!target.exists());

    // A directory that was there stays, and so does what is on the device.
    std::fs::create_dir(&target).unwrap();
    lab.apply(&[]);
    assert!(has("theirs"));
    lab.destroy();
    assert!(target.is_dir() && !has("theirs"));

    // What fails for another reason leaves no directory.
    std::fs::remove_dir(&target).unwrap();
    std::fs::write(&disk, vec![0; 1 << 20]).unwrap();
    lab.fails(&["apply", "-y"]);
    assert!(!target.exists());
    lab.destroy();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn an_image_comes_whole_with_its_holes_from_near_and_far() {
    let definition = "lab: sent
pools: {sent: {path: @DIR@/pool}}
images:
  raw: {pool: sent, source: sparse.img}
  qcow2: {pool: sent, source: sparse.qcow2}
  short: {pool: sent, source: short.img}
";
    let lab = Lab::new(definition);
    let path = |name: &str| lab.path().join(name);
    // Holes at the beginning, in the middle and at the end, and data that no block begins or ends with.
    let raw = std::fs::File::create(path("sparse.img")).unwrap();
    raw.set_len(64 << 20).unwrap();
    let noise: Vec<u8> = (0..3 << 20)
        .map(|at: u32| (at.wrapping_mul(2654435761) >> 13) as u8)
        .collect();
    for at in [5 << 20, (40 << 20) + 4096] {
        std::os::unix::fs::FileExt::write_all_at(&raw, &noise, at).unwrap();
    }
    std::fs::write(path("short.img"), &noise[..10_240]).unwrap();
    let converted = Command::new("qemu-img")
        .args(["convert", "-O", "qcow2"])
        .args([path("sparse.img"), path("sparse.qcow2")])
        .status();
    assert!(converted.unwrap().success());
    let files = [
        ("sparse.img", "raw.raw"),
        ("sparse.qcow2", "qcow2.qcow2"),
        ("short.img", "short.raw"),
    ];
    let check = |how: &str| {
        for (source, volume) in files {
            let is_same = Command::new("cmp")
                .args([path(source), path("pool").join(volume)])
                .status();
            assert!(is_same.unwrap().success(), "{source} {how}");
        }
        let about = std::fs::metadata(path("pool/raw.raw")).unwrap();
        use std::os::unix::fs::MetadataExt;
        assert!(about.blocks() * 512 < 12 << 20, "{how}: {}", about.blocks());
        assert_eq!((about.mode() & 0o777, about.uid()), (0o600, 0), "{how}");
        let info = virsh(&["vol-info", "--pool", "sent", "qcow2.qcow2"]);
        assert!(info.contains("64.00 MiB"), "{info}");
    };
    let contents = || {
        let state = std::fs::read_to_string(path("state/sent.toml")).unwrap();
        let lines = state.lines().filter(|line| line.starts_with("content = "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    lab.apply(&[]);
    check("from near");
    let near = contents();
    assert_eq!(near.len(), 3);
    assert!(near.iter().all(|line| line.contains("blocks:")), "{near:?}");
    // The hash was made on the way, and goes with the file.
    let seen = std::fs::read_to_string(path("state/.sent.seen")).unwrap();
    assert!(seen.contains("sparse.img"), "{seen}");
    lab.destroy();
    // A connection that is not known to be to this machine: libvirt reaches its daemon through a command.
    let command = path("command");
    std::fs::write(&command, "#!/bin/sh\nexec virt-ssh-helper qemu:///system\n").unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&command, executable).unwrap();
    let uri = format!("qemu+ext:///system?command={}", command.display());
    let away = ["-c", &uri];
    lab.ok(&[&away[..], &["apply", "-y"]].concat());
    check("from far");
    assert_eq!(contents(), near);
    lab.ok(&[&away[..], &["plan", "--detailed-exitcode"]].concat());
    lab.ok(&[&away[..], &["destroy", "-y"]].concat());

    // A hash that is written later of the same file makes nothing anew; one of another file does not pass.
    lab.apply(&[]);
    let sum = miniascape::file::content::content_of(&path("sparse.img"), Method::Sha256).unwrap();
    let sum = sum.strip_prefix("sha256:").unwrap();
    let written = |sum: &str| {
        lab.define(&definition.replace("sparse.img", &format!("sparse.img, sha256: {sum}")));
    };
    written(sum);
    lab.is_settled();
    lab.apply(&[]);
    assert!(contents().iter().any(|line| line.contains(sum)));
    written(&"0".repeat(64));
    let refused = lab.fails(&["apply", "-y"]);
    assert!(refused.contains("has the SHA-256"), "{refused}");
    assert!(!path("pool/raw.raw").exists());
    written(sum);
    lab.apply(&[]);
    check("with a hash");
    lab.destroy();
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_file_that_only_has_the_path_of_a_volume_is_left_alone() {
    let pool = "lab: decoy\npools: {decoy: {path: @DIR@/pool}}\n";
    let lab = Lab::new(pool);
    lab.apply(&[]);
    lab.define(&format!(
        "{pool}images: {{base: {{pool: decoy, source: base.img}}}}\n"
    ));
    let source = lab.path().join("base.img");
    std::fs::write(&source, vec![7; 4 << 20]).unwrap();
    // Another directory is mounted there for this command alone, with a file of that name in it.
    let script = "mount -t tmpfs none pool && truncate -s 4M pool/base.raw && \"$1\" apply -y &&
        test \"$(tr -d '\\0' <pool/base.raw | wc -c)\" = 0";
    let status = Command::new("unshare")
        .args([
            "-m",
            "sh",
            "-ec",
            script,
            "sh",
            env!("CARGO_BIN_EXE_miniascape"),
        ])
        .current_dir(lab.path())
        .status();
    assert!(status.unwrap().success());
    let is_same = Command::new("cmp")
        .args([&source, &lab.path().join("pool/base.raw")])
        .status();
    assert!(is_same.unwrap().success());
    lab.is_settled();
    lab.destroy();
}
