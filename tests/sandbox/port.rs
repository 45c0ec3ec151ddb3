//! The port on real libvirt with real QEMU: `run with the rest of this suite`.
#![allow(
    clippy::unwrap_used,
    reason = "clippy lets only functions marked as tests unwrap, not what they call"
)]

use miniascape::file::stamp::FileId;
use miniascape::libvirt::connection::Connection;
use miniascape::libvirt::observed::Power;
use miniascape::libvirt::{ErrorKind, Observe, Outcome, Perform, Scope, Unwatched};
use miniascape::step::{Content, Named, SeenFile, Step};
use miniascape::xml::tree::Element;
use uuid::Uuid;

/// Of the one network or pool that a test makes.
const UUID: Uuid = uuid::uuid!("6d696e69-6173-5361-8070-650000000001");

fn xml(text: &str) -> Element {
    Element::parse(text).unwrap()
}

fn done(connection: &Connection, step: Step) -> Outcome {
    connection.perform(&step, &Unwatched).unwrap()
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_network_restarts_under_a_running_guest() {
    let connection = Connection::open(None).unwrap();
    let network = |address: &str| {
        xml(&format!(
            "<network><name>relink</name><uuid>6d696e69-6173-5361-8070-650000000001</uuid><forward mode='nat'/>\
             <bridge name='relink0'/><ip address='{address}' netmask='255.255.255.0'/></network>"
        ))
    };
    let uuid = uuid::uuid!("6d696e69-6173-5361-8070-650000000002");
    let name = || Named::new("relinked", uuid);
    let guest = xml(&format!(
        "<domain type='qemu'><name>relinked</name><uuid>{uuid}</uuid><memory unit='MiB'>64</memory>\
         <os><type arch='x86_64' machine='q35'>hvm</type></os><devices>\
         <interface type='network'><mac address='52:54:00:00:00:07'/><source network='relink'/>\
         <model type='virtio'/><alias name='ua-eth0'/></interface></devices></domain>"
    ));
    done(
        &connection,
        Step::DefineNetwork {
            xml: network("192.168.155.1").into(),
        },
    );
    done(
        &connection,
        Step::StartNetwork {
            name: Named::new("relink", UUID),
        },
    );
    done(&connection, Step::DefineGuest { xml: guest.into() });
    done(&connection, Step::StartGuest { name: name() });
    let tap = || {
        let seen = connection.observe(&Scope::default()).unwrap();
        let live = seen.guests["relinked"].live_xml.as_ref().unwrap();
        live.tree()
            .attribute_at("devices/interface/target", "dev")
            .unwrap()
            .to_owned()
    };
    let on_bridge = |tap: &str| {
        std::path::Path::new("/sys/class/net/relink0/brif")
            .join(tap)
            .exists()
            || String::from_utf8_lossy(
                &std::process::Command::new("ip")
                    .args(["-o", "link", "show", "master", "relink0"])
                    .output()
                    .unwrap()
                    .stdout,
            )
            .contains(tap)
    };
    assert!(on_bridge(&tap()));
    let outcome = done(
        &connection,
        Step::RestartNetwork {
            name: Named::new("relink", UUID),
            xml: network("192.168.156.1").into(),
        },
    );
    assert_eq!(outcome.note, None);
    assert!(on_bridge(&tap()), "{} is on no bridge", tap());
    let seen = connection.observe(&Scope::default()).unwrap();
    assert_eq!(
        seen.networks["relink"]
            .xml
            .tree()
            .attribute_at("ip", "address"),
        Some("192.168.156.1")
    );
    assert!(seen.networks.keys().all(|name| !name.contains("parking")));
    assert_eq!(seen.guests["relinked"].power, Power::Running);

    let outcome = done(
        &connection,
        Step::ShutdownGuest {
            name: name(),
            timeout: 1,
        },
    );
    assert!(outcome.note.unwrap().contains("by force"));
    done(&connection, Step::UndefineGuest { name: name() });
    done(
        &connection,
        Step::StopNetwork {
            name: Named::new("relink", UUID),
        },
    );
    done(
        &connection,
        Step::UndefineNetwork {
            name: Named::new("relink", UUID),
        },
    );
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn an_image_is_uploaded_whole_or_not_at_all() {
    let connection = Connection::open(None).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("image.qcow2");
    let made = std::process::Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2"])
        .arg(&source)
        .arg("32M")
        .status()
        .unwrap();
    assert!(made.success());
    let target = directory.path().join("pool");
    let pool = || Named::new("upload", UUID);
    let name = || "image.qcow2".to_owned();
    let scope = Scope {
        volumes: [(pool().name, name()), (pool().name, "over.qcow2".into())].into(),
        ..Scope::default()
    };
    done(
        &connection,
        Step::DefinePool {
            xml: xml(&format!(
                "<pool type='dir'><name>upload</name><uuid>{UUID}</uuid><target><path>{}</path></target></pool>",
                target.display()
            ))
            .into(),
        },
    );
    done(&connection, Step::StartPool { name: pool() });
    assert!(target.is_dir());
    let create = || {
        Step::CreateVolume {
        pool: pool(),
        xml: xml(
            "<volume><name>image.qcow2</name><capacity>33554432</capacity><target><format type='qcow2'/></target></volume>",
        )
        .into(),
    }
    };
    let upload = |sha256: Option<&str>| Step::UploadVolume {
        pool: pool(),
        name: name(),
        seen: None,
        content: Content::File {
            path: source.clone(),
            expected: sha256.map(|hash| format!("sha256:{hash}")),
        },
    };
    done(&connection, create());
    let error = connection
        .perform(&upload(Some("00")), &Unwatched)
        .unwrap_err();
    assert!(error.message.contains("SHA-256"), "{error}");
    assert!(connection.observe(&scope).unwrap().volumes.is_empty());
    done(&connection, create());
    done(&connection, upload(None));
    let seen = connection.observe(&scope).unwrap();
    let volume = &seen.volumes[&(pool().name, name())];
    assert_eq!(volume.xml.tree().text_at("capacity"), Some("33554432"));
    assert_eq!(
        volume.xml.tree().attribute_at("target/format", "type"),
        Some("qcow2")
    );
    done(
        &connection,
        Step::CreateVolume {
            pool: pool(),
            xml: xml(&format!(
                "<volume><name>over.qcow2</name><capacity>67108864</capacity><target><format type='qcow2'/></target>\
                 <backingStore><path>{}</path><format type='qcow2'/></backingStore></volume>",
                volume.path
            ))
            .into(),
        },
    );
    let grow = Step::GrowVolume {
        pool: pool(),
        name: "over.qcow2".into(),
        seen: None,
        capacity: 134_217_728,
        guest: None,
    };
    done(&connection, grow.clone());
    done(&connection, grow);
    let seen = connection.observe(&scope).unwrap();
    let over = &seen.volumes[&(pool().name, "over.qcow2".into())];
    assert_eq!(over.xml.tree().text_at("capacity"), Some("134217728"));
    done(
        &connection,
        Step::DeleteVolume {
            pool: pool(),
            name: "over.qcow2".into(),
            seen: None,
        },
    );
    std::fs::write(target.join("foreign"), "x").unwrap();
    done(&connection, Step::StopPool { name: pool() });
    let kept = done(&connection, Step::DeletePoolDirectory { name: pool() });
    assert!(kept.note.unwrap().contains("not empty"));
    std::fs::remove_file(target.join("foreign")).unwrap();
    std::fs::remove_file(target.join("image.qcow2")).unwrap();
    for _ in 0..2 {
        done(&connection, Step::DeletePoolDirectory { name: pool() });
    }
    assert!(!target.exists());
    done(&connection, Step::UndefinePool { name: pool() });
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn what_has_the_name_and_is_something_else_is_left_alone() {
    let connection = Connection::open(None).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().display();
    let pool = format!(
        "<pool type='dir'><name>p</name><uuid>{UUID}</uuid><target><path>{target}</path></target></pool>"
    );
    let guest = format!(
        "<domain type='qemu'><name>g</name><uuid>{UUID}</uuid><memory unit='MiB'>64</memory><os><type>hvm</type></os></domain>"
    );
    let network = format!("<network><name>n</name><uuid>{UUID}</uuid></network>");
    done(
        &connection,
        Step::DefineNetwork {
            xml: xml(&network).into(),
        },
    );
    done(
        &connection,
        Step::DefinePool {
            xml: xml(&pool).into(),
        },
    );
    done(
        &connection,
        Step::DefineGuest {
            xml: xml(&guest).into(),
        },
    );
    done(
        &connection,
        Step::StartPool {
            name: Named::new("p", UUID),
        },
    );

    let other = |name: &str| Named::new(name, Uuid::from_u128(7));
    let volume = |pool: Named, seen| Step::DeleteVolume {
        pool,
        name: "v".into(),
        seen,
    };
    let refused = |step: Step| {
        let error = connection.perform(&step, &Unwatched).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Exists, "{step}: {error}");
        error.message
    };
    let strangers = [
        Step::StopNetwork { name: other("n") },
        Step::UndefineNetwork { name: other("n") },
        Step::StopPool { name: other("p") },
        Step::UndefinePool { name: other("p") },
        Step::DeletePoolDirectory { name: other("p") },
        volume(other("p"), None),
        Step::ShutdownGuest {
            name: other("g"),
            timeout: 0,
        },
        Step::StartGuest { name: other("g") },
        Step::UndefineGuest { name: other("g") },
        Step::AutostartGuest {
            name: other("g"),
            on: true,
        },
    ];
    for step in strangers {
        let told = refused(step);
        assert!(told.contains(&UUID.to_string()), "{told}");
    }

    // What was meant has another name now.
    let rename = std::process::Command::new("virsh")
        .args(["-q", "domrename", "g", "h"])
        .status();
    assert!(rename.unwrap().success());
    let told = refused(Step::UndefineGuest {
        name: Named::new("g", UUID),
    });
    assert!(told.contains("is called h now"), "{told}");

    // Another file has a volume's place.
    let create = || {
        let text = "<volume><name>v</name><capacity>1048576</capacity><target/></volume>";
        Step::CreateVolume {
            pool: Named::new("p", UUID),
            xml: xml(text).into(),
        }
    };
    done(&connection, create());
    let path = directory.path().join("v");
    let seen = SeenFile {
        path: path.display().to_string(),
        id: FileId::of(&path),
    };
    std::fs::rename(&path, directory.path().join("away")).unwrap();
    std::fs::write(&path, "precious").unwrap();
    refused(volume(Named::new("p", UUID), Some(seen.clone())));
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    std::fs::rename(directory.path().join("away"), &path).unwrap();
    done(&connection, volume(Named::new("p", UUID), Some(seen)));
    assert!(!path.exists());

    done(
        &connection,
        Step::UndefineGuest {
            name: Named::new("h", UUID),
        },
    );
    done(
        &connection,
        Step::StopPool {
            name: Named::new("p", UUID),
        },
    );
    done(
        &connection,
        Step::UndefinePool {
            name: Named::new("p", UUID),
        },
    );
    done(
        &connection,
        Step::UndefineNetwork {
            name: Named::new("n", UUID),
        },
    );
}
