//! The port on real libvirt with real QEMU: what only the host shows. What a port does is in `contract`.
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

fn make_pool(connection: &Connection, pool: &Named, path: &std::path::Path) {
    let (Named { name, uuid }, path) = (pool, path.display());
    let text = format!(
        "<pool type='dir'><name>{name}</name><uuid>{uuid}</uuid><target><path>{path}</path></target></pool>"
    );
    done(
        connection,
        Step::DefinePool {
            xml: xml(&text).into(),
        },
    );
    let name = pool.clone();
    done(connection, Step::StartPool { name });
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
fn an_uploaded_image_is_the_file() {
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
    let path = directory.path().join("pool");
    let pool = || Named::new("upload", UUID);
    let name = || "image.qcow2".to_owned();
    make_pool(&connection, &pool(), &path);
    let text = "<volume><name>image.qcow2</name><capacity>33554432</capacity>\
        <target><format type='qcow2'/></target></volume>";
    let (pool_name, xml) = (pool(), xml(text).into());
    done(
        &connection,
        Step::CreateVolume {
            pool: pool_name,
            xml,
        },
    );
    let outcome = done(
        &connection,
        Step::UploadVolume {
            pool: pool(),
            name: name(),
            seen: None,
            content: Content::File {
                path: source.clone(),
                expected: None,
            },
        },
    );
    assert!(outcome.filled.is_some());
    assert_eq!(
        std::fs::read(path.join(name())).unwrap(),
        std::fs::read(&source).unwrap()
    );
    let scope = Scope {
        volumes: [(pool().name, name())].into(),
        ..Scope::default()
    };
    let seen = connection.observe(&scope).unwrap();
    let volume = seen.volumes[&(pool().name, name())].xml.tree();
    assert_eq!(volume.text_at("capacity"), Some("33554432"));
    let format = volume.attribute_at("target/format", "type");
    assert_eq!(format, Some("qcow2"));
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn another_file_in_the_place_of_a_volume_is_left_alone() {
    let connection = Connection::open(None).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let pool = || Named::new("p", UUID);
    make_pool(&connection, &pool(), directory.path());
    let text = "<volume><name>v</name><capacity>1048576</capacity><target/></volume>";
    let (pool_name, xml) = (pool(), xml(text).into());
    done(
        &connection,
        Step::CreateVolume {
            pool: pool_name,
            xml,
        },
    );
    let path = directory.path().join("v");
    let seen = SeenFile {
        path: path.display().to_string(),
        id: FileId::of(&path),
    };
    let steps = || {
        let (pool, name, seen) = (pool(), "v".to_owned(), seen.clone());
        let file = Step::DeleteFile { seen: seen.clone() };
        let seen = Some(seen);
        [file, Step::DeleteVolume { pool, name, seen }]
    };
    let away = directory.path().join("away");
    std::fs::rename(&path, &away).unwrap();
    std::fs::write(&path, "precious").unwrap();
    for step in steps() {
        let error = connection.perform(&step, &Unwatched).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Exists, "{step}: {error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }
    std::fs::rename(&away, &path).unwrap();
    let [_, delete] = steps();
    done(&connection, delete);
    assert!(!path.exists());
}
