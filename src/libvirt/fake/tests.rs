use super::*;
use crate::libvirt::Unwatched;
use crate::step::{NetworkSection, Side, UpdateVerb};
use crate::xml::merge::merge;

fn xml(text: &str) -> Element {
    Element::parse(text).unwrap()
}

fn perform(fake: &Fake, step: Step) -> Result<Outcome, HypervisorError> {
    fake.perform(&step, &Unwatched)
}

fn named(xml: &Element) -> Named {
    Named::of(xml).unwrap()
}

fn start_network() -> Step {
    let name = named(&front());
    Step::StartNetwork { name }
}

fn start_pool() -> Step {
    let name = named(&pool());
    Step::StartPool { name }
}

fn start_guest() -> Step {
    let name = named(&web());
    Step::StartGuest { name }
}

fn create_disk() -> Step {
    Step::CreateVolume {
        pool: named(&pool()),
        xml: disk().into(),
    }
}

fn front() -> Element {
    xml("<network><name>front</name><uuid>6d696e69-6173-5361-8070-650000000001</uuid><forward mode='nat'/>
        <ip address='10.0.0.1' netmask='255.255.255.0'><dhcp><host mac='52:54:00:00:00:0A' ip='10.0.0.5' name='a'/></dhcp></ip>
        </network>")
}

fn web() -> Element {
    xml("<domain type='qemu'><name>web</name><uuid>6d696e69-6173-5361-8070-650000000002</uuid>
        <memory unit='MiB'>512</memory><vcpu>2</vcpu><os><type machine='q35'>hvm</type></os><devices>
        <disk type='file' device='disk'><source file='/p/web.qcow2'/><target dev='vda' bus='virtio'/><alias name='ua-root'/></disk>
        <interface type='network'><mac address='52:54:00:00:00:01'/><source network='front'/><model type='virtio'/></interface>
        <serial type='pty'><target port='0'/></serial><channel type='unix'><target type='virtio' name='a.0'/></channel>
        </devices></domain>")
}

fn pool() -> Element {
    xml(
        "<pool type='dir'><name>p</name><uuid>6d696e69-6173-5361-8070-650000000003</uuid><target><path>/p</path></target></pool>",
    )
}

fn disk() -> Element {
    xml(
        "<volume><name>web.qcow2</name><capacity unit='GiB'>1</capacity><target><format type='qcow2'/></target></volume>",
    )
}

fn ready() -> Fake {
    let fake = Fake::new();
    for step in [
        Step::DefineNetwork {
            xml: front().into(),
        },
        Step::DefinePool { xml: pool().into() },
        start_pool(),
        create_disk(),
        Step::DefineGuest { xml: web().into() },
    ] {
        perform(&fake, step).unwrap();
    }
    fake
}

fn observe(fake: &Fake) -> Observed {
    let volumes = [("p".to_owned(), "web.qcow2".to_owned())].into();
    let scope = Scope {
        volumes,
        ..Scope::default()
    };
    fake.observe(&scope).unwrap()
}

#[test]
fn what_is_filled_in_is_no_difference() {
    let fake = ready();
    let observed = observe(&fake);
    let volume = &observed.volumes[&("p".to_owned(), "web.qcow2".to_owned())];
    assert_eq!(volume.path, "/p/web.qcow2");
    for (there, wanted) in [
        (&observed.networks["front"].xml, front()),
        (&observed.pools["p"].xml, pool()),
        (&volume.xml, disk()),
        (&observed.guests["web"].xml, web()),
    ] {
        let merged = merge(&[], &there.tree(), &wanted);
        assert!(!merged.is_change(), "{:#?}", merged.differences);
    }
    perform(&fake, start_network()).unwrap();
    perform(&fake, start_guest()).unwrap();
    let observed = observe(&fake);
    let live = observed.guests["web"].live_xml.as_ref().unwrap();
    let merged = merge(&[], &live.tree(), &web());
    assert!(!merged.is_change(), "{:#?}", merged.differences);
    // A definition that comes back is not filled in again.
    let again = observed.guests["web"].xml.clone();
    perform(&fake, Step::DefineGuest { xml: again.clone() }).unwrap();
    assert_eq!(observe(&fake).guests["web"].xml, again);
}

#[test]
fn a_guest_starts_only_with_its_network_and_files() {
    let fake = ready();
    let start = || perform(&fake, start_guest());
    assert!(start().unwrap_err().message.contains("not active"));
    perform(&fake, start_network()).unwrap();
    fake.remove(Kind::Volume, "p/web.qcow2");
    assert!(start().unwrap_err().message.contains("storage file"));
    perform(&fake, create_disk()).unwrap();
    start().unwrap();
    start().unwrap();
    let undefine = || {
        perform(
            &fake,
            Step::UndefineGuest {
                name: named(&web()),
            },
        )
    };
    assert!(undefine().is_err());
    perform(
        &fake,
        Step::ShutdownGuest {
            name: named(&web()),
            timeout: 1,
        },
    )
    .unwrap();
    undefine().unwrap();
    undefine().unwrap();
}

#[test]
fn name_and_uuid_belong_together() {
    let fake = ready();
    let mut other = front();
    other.child_or_insert("uuid").text = "6d696e69-6173-5361-8070-650000000009".into();
    let refused = perform(&fake, Step::DefineNetwork { xml: other.into() }).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Exists);
    let mut other = front();
    other.child_or_insert("name").text = "back".into();
    let refused = perform(&fake, Step::DefineNetwork { xml: other.into() }).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Exists);
}

#[test]
fn entries_are_added_once_and_deleted_once() {
    let fake = ready();
    perform(&fake, start_network()).unwrap();
    let host = xml("<host mac='52:54:00:00:00:0b' ip='10.0.0.6' name='b'/>");
    let update = |verb| {
        let step = Step::UpdateNetwork {
            name: named(&front()),
            side: Side::Running,
            verb,
            section: NetworkSection::IpDhcpHost,
            parent: 0,
            xml: host.clone(),
        };
        perform(&fake, step)
    };
    update(UpdateVerb::Add).unwrap();
    assert!(update(UpdateVerb::Add).is_err());
    update(UpdateVerb::Delete).unwrap();
    assert!(update(UpdateVerb::Delete).is_err());
}

#[test]
fn a_pool_makes_its_directory_and_takes_it_away() {
    let fake = Fake::new();
    let before = fake.snapshot();
    perform(&fake, Step::DefinePool { xml: pool().into() }).unwrap();
    perform(&fake, start_pool()).unwrap();
    assert_ne!(fake.snapshot(), before);
    for step in [
        Step::StopPool {
            name: named(&pool()),
        },
        Step::DeletePoolDirectory {
            name: named(&pool()),
        },
        Step::UndefinePool {
            name: named(&pool()),
        },
    ] {
        perform(&fake, step).unwrap();
    }
    assert_eq!(fake.snapshot(), before);
}

#[test]
fn a_failing_step_does_nothing() {
    let fake = Fake::new();
    fake.fail_at(2);
    perform(&fake, Step::DefinePool { xml: pool().into() }).unwrap();
    let before = fake.snapshot();
    assert!(perform(&fake, start_pool()).is_err());
    assert_eq!(fake.snapshot(), before);
    perform(&fake, start_pool()).unwrap();
    assert_eq!(fake.performed(), ["define pool p", "start pool p"]);
}
