//! Storage that goes away and comes back, behind libvirt's back and the lab's.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::lab::{Lab, inventory, virsh};

const LAB: &str = "lab: away
pools: {away: {path: @DIR@/mnt/pool}}
guests:
  one:
    running: false
    memory: 64MiB
    disks: {root: {pool: away, size: 8MiB}, data: {pool: away, size: 8MiB}}
";

fn root(lab: &Lab) -> PathBuf {
    lab.path().join("mnt/pool/one.root.qcow2")
}

fn inode(path: &Path) -> u64 {
    std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).unwrap())
}

fn lab() -> Lab {
    let lab = Lab::new(LAB);
    std::fs::create_dir(lab.path().join("mnt")).unwrap();
    lab
}

fn without_data() -> String {
    LAB.replace(", data: {pool: away, size: 8MiB}", "")
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn what_is_gone_is_made_again_by_one_apply() {
    let before = inventory();
    let lab = lab();
    lab.apply(&[]);
    let pool = lab.path().join("mnt/pool");
    let data = pool.join("one.data.qcow2");
    let kept = inode(&data);

    // A file that libvirt still lists, and one that it does not list any more.
    std::fs::remove_file(root(&lab)).unwrap();
    let aside = lab.path().join("aside");
    std::fs::hard_link(&data, &aside).unwrap();
    virsh(&["vol-delete", "--pool", "away", "one.data.qcow2"]);
    std::fs::rename(&aside, &data).unwrap();
    let plan = lab.ok(&["plan"]);
    assert!(
        plan.contains("+ volume.one.root") && plan.contains("(missing)"),
        "{plan}"
    );
    assert!(!plan.contains("volume.one.data"), "{plan}");
    lab.apply(&[]);
    assert_eq!(inode(&data), kept);

    // The directory with all that is in it; the pool as well; the pool alone.
    std::fs::remove_dir_all(&pool).unwrap();
    let plan = lab.ok(&["plan"]);
    assert!(
        plan.contains("directory          gone -> made anew"),
        "{plan}"
    );
    lab.apply(&[]);
    assert!(root(&lab).exists());
    for gone in [true, false] {
        virsh(&["pool-destroy", "away"]);
        virsh(&["pool-undefine", "away"]);
        let made = inode(&root(&lab));
        if gone {
            std::fs::remove_dir_all(&pool).unwrap();
        }
        lab.apply(&[]);
        assert_eq!(inode(&root(&lab)) == made, !gone);
    }
    lab.destroy();
    assert!(!pool.exists());
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn what_is_out_of_sight_stays_the_labs() {
    let before = inventory();
    let lab = lab();
    let (pool, moved) = (lab.path().join("mnt/pool"), lab.path().join("mnt/moved"));
    let data = pool.join("one.data.qcow2");
    for stopped in [false, true] {
        lab.define(LAB);
        lab.apply(&[]);
        // Of the disk that is in the definition no more, nobody can see whether it is there.
        lab.define(&without_data());
        if stopped {
            virsh(&["pool-destroy", "away"]);
        }
        std::fs::rename(&pool, &moved).unwrap();
        let refusal = lab.fails(&["destroy", "-y"]);
        for part in [
            "volume.one.data cannot be deleted: the directory of its pool `away` is not there",
            "volume.one.root cannot be deleted",
            "Nothing was changed",
        ] {
            assert!(refusal.contains(part), "{part}: {refusal}");
        }
        let told = String::from_utf8_lossy(&lab.run(&["plan"]).stderr).into_owned();
        assert!(told.contains("it stays the lab's"), "{told}");
        assert!(!pool.exists());
        std::fs::rename(&moved, &pool).unwrap();
        lab.apply(&["--allow-data-loss", "volume.one.data"]);
        assert!(!data.exists() && root(&lab).exists());
    }
    // A pool that others took away.
    virsh(&["pool-destroy", "away"]);
    virsh(&["pool-undefine", "away"]);
    let refusal = lab.fails(&["destroy", "-y"]);
    assert!(
        refusal.contains("its pool `away` is not there"),
        "{refusal}"
    );
    lab.apply(&[]);
    // Where nothing else is left, that is said as well.
    virsh(&["undefine", "one"]);
    std::fs::rename(&pool, &moved).unwrap();
    let refusal = lab.fails(&["destroy", "-y"]);
    assert!(
        refusal.contains("volume.one.root cannot be deleted"),
        "{refusal}"
    );
    std::fs::rename(&moved, &pool).unwrap();
    // What is seen to be gone is forgotten, and a pool that is only stopped is started for the rest.
    std::fs::remove_file(root(&lab)).unwrap();
    virsh(&["pool-destroy", "away"]);
    lab.destroy();
    assert!(!pool.exists());
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_pool_that_is_not_mounted_is_not_filled() {
    let before = inventory();
    let lab = lab();
    let (mnt, disk) = (lab.path().join("mnt"), lab.path().join("disk"));
    std::fs::create_dir(&disk).unwrap();
    let run = |program: &str, arguments: &[&Path]| {
        let done = Command::new(program).args(arguments).status().unwrap();
        assert!(done.success(), "{program} {arguments:?}");
    };
    run(
        "mount",
        &["-t", "tmpfs", "none"]
            .map(Path::new)
            .into_iter()
            .chain([&*disk])
            .collect::<Vec<_>>(),
    );
    let mount = || run("mount", &[Path::new("--bind"), &disk, &mnt]);
    let unmount = || run("umount", &[&mnt]);
    mount();
    lab.apply(&[]);
    let made = inode(&root(&lab));
    for stopped in [false, true] {
        if stopped {
            virsh(&["pool-destroy", "away"]);
        }
        unmount();
        // As it may well be below a mount point, too.
        if stopped {
            std::fs::create_dir(mnt.join("pool")).unwrap();
        }
        for command in [&["plan"][..], &["apply", "-y"]] {
            let refusal = lab.fails(command);
            assert!(
                refusal.contains("pool.away is not where it was: it was on tmpfs"),
                "{refusal}"
            );
            assert!(
                refusal.contains("--replace volume.one.data --replace volume.one.root"),
                "{refusal}"
            );
        }
        let refusal = lab.fails(&["destroy", "-y"]);
        assert!(
            refusal.contains("is on another file system than it was"),
            "{refusal}"
        );
        let given_up = lab.ok(&[
            "plan",
            "--replace",
            "volume.one.data",
            "--replace",
            "volume.one.root",
        ]);
        assert!(given_up.contains("+ volume.one.root"), "{given_up}");
        assert!(!root(&lab).exists());
        if stopped {
            std::fs::remove_dir(mnt.join("pool")).unwrap();
        }
        mount();
        lab.apply(&[]);
        assert_eq!(inode(&root(&lab)), made);
    }
    // What was copied elsewhere is where it is now.
    std::fs::create_dir(lab.path().join("copy")).unwrap();
    run(
        "cp",
        &[
            Path::new("-a"),
            &disk.join("pool"),
            &lab.path().join("copy"),
        ],
    );
    unmount();
    std::fs::rename(lab.path().join("copy/pool"), mnt.join("pool")).unwrap();
    std::fs::remove_dir_all(disk.join("pool")).unwrap();
    virsh(&["pool-refresh", "away"]);
    lab.apply(&[]);
    lab.destroy();
    // A pool without volumes is not filled either.
    mount();
    let empty = "lab: away\npools: {away: {path: @DIR@/mnt/pool}}\n";
    lab.define(empty);
    lab.apply(&[]);
    unmount();
    lab.define(LAB);
    let refusal = lab.fails(&["plan"]);
    assert!(
        refusal.contains("pool.away is not where it was"),
        "{refusal}"
    );
    mount();
    lab.apply(&[]);
    lab.destroy();
    unmount();
    run("umount", &[&disk]);
    assert_eq!(inventory(), before);
}
