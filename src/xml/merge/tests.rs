//! Rules of merging.

use super::*;

fn xml(text: &str) -> Element {
    Element::parse(text).unwrap()
}

fn paths(merged: &Merged) -> Vec<&str> {
    merged.differences.iter().map(|d| d.path.as_str()).collect()
}

const LIVE: &str = "<domain type='kvm'>
    <name>web1</name>
    <memory unit='KiB'>1048576</memory>
    <vcpu placement='static'>1</vcpu>
    <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type><boot dev='hd'/></os>
    <devices>
      <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/a'/><target dev='vda' bus='virtio'/><alias name='ua-root'/><address type='pci' slot='0x04'/></disk>
      <controller type='usb' index='0' model='qemu-xhci'/>
      <controller type='pci' index='0' model='pcie-root'/>
      <interface type='network'><mac address='52:54:00:aa:bb:cc'/><source network='front'/><model type='virtio'/><alias name='ua-eth0'/></interface>
      <memballoon model='virtio'/>
    </devices>
  </domain>";
const WANTED: &str = "<domain type='kvm'>
    <name>web1</name>
    <memory unit='GiB'>1</memory>
    <vcpu>1</vcpu>
    <os><type arch='x86_64' machine='q35'>hvm</type></os>
    <devices>
      <interface type='network'><mac address='52:54:00:AA:BB:CC'/><source network='front'/><model type='virtio'/><alias name='ua-eth0'/></interface>
      <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/a'/><target dev='vda' bus='virtio'/><alias name='ua-root'/></disk>
    </devices>
  </domain>";

#[test]
fn what_libvirt_fills_in_is_no_difference() {
    for last in [vec![], vec![xml(WANTED)]] {
        let merged = merge(&last, &xml(LIVE), &xml(WANTED));
        assert_eq!(paths(&merged), [""; 0]);
        assert_eq!(merged.target, spelling::canonical(&xml(LIVE)));
    }
}

#[test]
fn what_is_wanted_is_changed_in_place() {
    let wanted = WANTED
        .replace("unit='GiB'>1<", "unit='GiB'>2<")
        .replace("type='qcow2'/>", "type='qcow2' cache='none'/>");
    let merged = merge(&[xml(WANTED)], &xml(LIVE), &xml(&wanted));
    assert_eq!(
        paths(&merged),
        ["domain/memory", "domain/devices/disk/driver@cache"]
    );
    assert!(
        merged
            .differences
            .iter()
            .all(|d| d.cause == Cause::Definition)
    );
    let disk = merged.target.find("devices/disk").unwrap();
    assert_eq!(disk.attribute_at("address", "slot"), Some("0x04"));
    assert_eq!(disk.attribute_at("driver", "cache"), Some("none"));
    let again = merge(&[xml(&wanted)], &merged.target, &xml(&wanted));
    assert!(again.differences.is_empty());
}

#[test]
fn what_was_applied_and_is_not_wanted_goes() {
    let last = WANTED.replace(
        "</devices>",
        "<watchdog model='i6300esb' action='reset'/></devices>",
    );
    let live = LIVE.replace(
        "</devices>",
        "<watchdog model='i6300esb' action='reset'/></devices>",
    );
    let merged = merge(&[xml(&last)], &xml(&live), &xml(WANTED));
    assert_eq!(paths(&merged), ["domain/devices/watchdog"]);
    assert!(merged.target.find("devices/watchdog").is_none());
    assert!(
        merge(&[xml(WANTED)], &xml(&live), &xml(WANTED))
            .differences
            .is_empty(),
        "what someone else added outside of the user's lists stays"
    );
}

#[test]
fn strangers_in_the_users_lists_are_drift() {
    let live = LIVE.replace(
        "</devices>",
        "<disk type='file' device='disk'><source file='/b'/><target dev='vdb' bus='virtio'/></disk></devices>",
    );
    let merged = merge(&[xml(WANTED)], &xml(&live), &xml(WANTED));
    assert_eq!(paths(&merged), ["domain/devices/disk"]);
    assert_eq!(merged.differences[0].cause, Cause::Drift);
    assert_eq!(merged.target, spelling::canonical(&xml(LIVE)));
}

#[test]
fn strangers_are_found_in_elements_that_the_definition_has_not() {
    let live =
        xml("<network><dns><host ip='10.0.0.9'><hostname>x</hostname></host></dns></network>");
    let merged = merge(&[], &live, &xml("<network/>"));
    assert_eq!(paths(&merged), ["network/dns/host"]);
}

#[test]
fn drift_of_a_value_is_told_from_a_change_of_the_definition() {
    let live = LIVE.replace(">1048576<", ">2097152<");
    let merged = merge(&[xml(WANTED)], &xml(&live), &xml(WANTED));
    assert_eq!(merged.differences[0].cause, Cause::Drift);
}

#[test]
fn a_change_by_both_is_told_with_what_was_applied() {
    let live = LIVE.replace(">1048576<", ">2097152<");
    let wanted = WANTED.replace("unit='GiB'>1<", "unit='GiB'>4<");
    let merged = merge(&[xml(WANTED)], &xml(&live), &xml(&wanted));
    assert_eq!(merged.differences[0].cause, Cause::Both);
    assert_eq!(
        merged.differences[0].last,
        Some(Value::Text("1048576".into()))
    );

    // Elements that were changed or removed by someone, and then by the definition.
    let host = |ip: &str| {
        format!("<network><dns><host ip='{ip}'><hostname>x</hostname></host></dns></network>")
    };
    let none = "<network><dns/></network>";
    let cause = |last: &str, live: &str, wanted: &str| {
        let merged = merge(&[xml(last)], &xml(live), &xml(wanted));
        let causes = merged.differences.iter().map(|difference| difference.cause);
        causes.reduce(Cause::and).unwrap()
    };
    let txt =
        |value: &str| format!("<network><dns><txt name='a' value='{value}'/></dns></network>");
    assert_eq!(cause(&txt("1"), none, &txt("1")), Cause::Drift);
    assert_eq!(cause(&txt("1"), none, &txt("2")), Cause::Both);
    assert_eq!(cause(&txt("1"), &txt("2"), none), Cause::Both);
    assert_eq!(cause(&txt("1"), &txt("1"), none), Cause::Definition);
    assert_eq!(
        cause(&host("10.0.0.1"), none, &host("10.0.0.1")),
        Cause::Drift
    );
}

#[test]
fn reservations_match_by_any_of_their_keys() {
    let net = |host: &str| {
        xml(&format!(
            "<network><ip address='10.0.0.1' prefix='24'><dhcp>{host}</dhcp></ip></network>"
        ))
    };
    let live = net("<host mac='52:54:00:00:00:01' name='a' ip='10.0.0.5'/>");
    let wanted = net("<host mac='52:54:00:00:00:02' name='a' ip='10.0.0.5'/>");
    let merged = merge(&[], &live, &wanted);
    assert_eq!(paths(&merged), ["network/ip/dhcp/host@mac"]);
}

#[test]
fn what_is_added_to_a_guest_stands_where_libvirt_has_it() {
    let mut base = xml(WANTED);
    overlay(
        &mut base,
        &xml("<domain><iothreads>2</iothreads><memoryBacking/><x/><cputune/></domain>"),
    );
    let names: Vec<&str> = base.children.iter().map(|c| c.name.as_str()).collect();
    let order = [
        "name",
        "memory",
        "memoryBacking",
        "vcpu",
        "iothreads",
        "cputune",
        "os",
        "devices",
        "x",
    ];
    assert_eq!(names, order);
    assert_eq!(
        merge(&[], &xml(WANTED), &base).target,
        spelling::canonical(&base)
    );
}

#[test]
fn what_an_overlay_adds_does_not_shift_what_it_changes() {
    let mut base = xml(
        "<domain><devices><disk><target dev='vda'/></disk><interface><alias name='ua-e'/></interface></devices></domain>",
    );
    let text = "<domain><devices><disk><target dev='vdb'/></disk><interface><alias name='ua-e'/><boot order='1'/></interface></devices></domain>";
    overlay(&mut base, &xml(text));
    let expected = "<domain><devices><disk><target dev='vda'/></disk><disk><target dev='vdb'/></disk><interface><alias name='ua-e'/><boot order='1'/></interface></devices></domain>";
    assert_eq!(base, xml(expected));
}

#[test]
fn overlays_are_merged_by_identity_and_never_remove() {
    let mut base = xml(WANTED);
    overlay(
        &mut base,
        &xml(
            "<domain><memory unit='MiB'>64</memory><devices><disk><target dev='vda'/><iotune><read_iops_sec>5</read_iops_sec></iotune></disk><watchdog model='i6300esb'/></devices></domain>",
        ),
    );
    assert_eq!(base.text_at("memory"), Some("65536"));
    assert_eq!(base.text_at("devices/disk/iotune/read_iops_sec"), Some("5"));
    assert_eq!(
        base.find("devices").unwrap().children_named("disk").count(),
        1
    );
    assert!(base.find("devices/watchdog").is_some());
    assert!(base.find("devices/interface").is_some());
}

#[test]
fn what_an_overlay_adds_does_not_move_what_it_changes() {
    let mut base = xml(
        "<domain><devices><disk><target dev='vda'/></disk><serial type='pty'/><rng/></devices></domain>",
    );
    let more =
        "<domain><devices><disk><target dev='vdb'/></disk><serial type='file'/></devices></domain>";
    overlay(&mut base, &xml(more));
    let merged = "<domain><devices><disk><target dev='vda'/></disk><disk><target dev='vdb'/></disk>\
                  <serial type='file'/><rng/></devices></domain>";
    assert_eq!(base, xml(merged));
}

#[test]
fn what_is_put_in_stands_where_libvirt_has_it() {
    let mut base =
        xml("<domain><name>a</name><memory>1</memory><vcpu>1</vcpu><os/><devices/></domain>");
    let more =
        "<domain><genid/><numatune/><memoryBacking/><x:y/><on_crash>destroy</on_crash></domain>";
    overlay(&mut base, &xml(more));
    let merged = "<domain><name>a</name><genid/><memory unit='KiB'>1</memory><memoryBacking/><vcpu>1</vcpu>\
                  <numatune/><os/><on_crash>destroy</on_crash><devices/><x:y/></domain>";
    assert_eq!(base, xml(merged));
}

#[test]
fn consoles_and_ports_are_not_taken_for_libvirts_own() {
    let mut base =
        xml("<domain><devices><serial type='pty'><target port='0'/></serial></devices></domain>");
    let more = "<domain><devices><serial type='unix'><target port='1'/></serial>\
                <console type='pty'><target type='virtio' port='0'/></console></devices></domain>";
    overlay(&mut base, &xml(more));
    let ports = base.find("devices").unwrap().children_named("serial");
    assert_eq!(ports.count(), 2);
    let live = xml("<domain><devices>\
         <serial type='pty'><target type='isa-serial' port='0'/></serial>\
         <serial type='unix'><target type='isa-serial' port='1'/></serial>\
         <console type='pty'><target type='serial' port='0'/></console>\
         <console type='pty'><target type='virtio' port='0'/></console></devices></domain>");
    assert_eq!(paths(&merge(&[], &live, &base)), Vec::<&str>::new());
    let panic = xml("<domain><devices><panic/></devices></domain>");
    let live = xml("<domain><devices><panic model='isa'/></devices></domain>");
    assert_eq!(paths(&merge(&[], &live, &panic)), Vec::<&str>::new());
}

#[test]
fn what_libvirt_takes_for_granted_is_still_the_users_word() {
    let vcpu = |text: &str| xml(&format!("<domain>{text}</domain>"));
    let wanted = vcpu("<vcpu current='4'>4</vcpu>");
    let merged = merge(
        std::slice::from_ref(&wanted),
        &vcpu("<vcpu>4</vcpu>"),
        &wanted,
    );
    assert_eq!(paths(&merged), [""; 0]);
    let merged = merge(
        std::slice::from_ref(&wanted),
        &vcpu("<vcpu current='2'>4</vcpu>"),
        &wanted,
    );
    assert_eq!(paths(&merged), ["domain/vcpu@current"]);
    assert_eq!(merged.differences[0].cause, Cause::Drift);

    let srv = |port: &str| {
        xml(&format!(
            "<network><dns><srv service='a' protocol='tcp' {port}/></dns></network>"
        ))
    };
    let merged = merge(&[], &srv("port='389'"), &srv("port='0'"));
    assert_eq!(paths(&merged), ["network/dns/srv@port"]);
    assert_eq!(paths(&merge(&[], &srv(""), &srv("port='0'"))), [""; 0]);
}

#[test]
fn an_element_has_a_text_or_children_but_never_both() {
    let (text, children) = (xml("<a><b>t</b></a>"), xml("<a><b><c/></b></a>"));
    for (live, wanted) in [(&text, &children), (&children, &text)] {
        assert_eq!(&merge(&[], live, wanted).target, wanted);
        let mut base = live.clone();
        overlay(&mut base, wanted);
        assert_eq!(&base, wanted);
    }
}

#[test]
fn a_number_of_an_overlay_does_not_get_the_units_of_what_was_there() {
    let mut base = xml("<domain><memory unit='GiB'>1</memory></domain>");
    overlay(&mut base, &xml("<domain><memory>65536</memory></domain>"));
    assert_eq!(
        base,
        xml("<domain><memory unit='KiB'>65536</memory></domain>")
    );
    let mut base = xml("<network><ip address='10.0.0.1' prefix='24'/></network>");
    overlay(
        &mut base,
        &xml("<network><ip address='10.0.0.1' netmask='255.255.0.0'/></network>"),
    );
    assert_eq!(base.attribute_at("ip", "prefix"), Some("16"));
}

#[test]
fn what_has_none_of_its_keys_is_found_again() {
    for device in [
        "<disk type='file'><source file='/a'/></disk>",
        "<hostdev type='scsi'><source><adapter name='scsi_host0'/><address bus='0' target='0' unit='1'/></source></hostdev>",
    ] {
        let wanted = xml(&format!("<domain><devices>{device}</devices></domain>"));
        assert_eq!(paths(&merge(&[], &wanted, &wanted)), [""; 0]);
    }
}

#[test]
fn devices_are_told_whoever_named_them() {
    // libvirt names devices of a running guest, other tools do, too.
    let devices = [
        "<disk><source file='/a'/><target dev='vda'/><alias name='virtio-disk0'/></disk>",
        "<disk><source file='/a'/><target dev='sdb'/><alias name='ua-box-volume-0'/></disk>",
        "<interface><mac address='52:54:00:aa:bb:cc'/><alias name='net0'/></interface>",
        "<interface><mac address='52:54:00:aa:bb:cc'/><alias name='ua-net-0'/></interface>",
    ];
    let ours = xml("<domain><devices>\
         <disk><source file='/a'/><target dev='vda'/><alias name='ua-root'/></disk>\
         <interface><mac address='52:54:00:AA:BB:CC'/><alias name='ua-eth0'/></interface></devices></domain>");
    for device in devices {
        let live = xml(&format!("<domain><devices>{device}</devices></domain>"));
        let devices = |tree: &Element| tree.child("devices").unwrap().children.clone();
        let live = devices(&spelling::canonical(&live));
        let ours = devices(&spelling::canonical(&ours));
        let same = ours.iter().find(|it| it.name == live[0].name).unwrap();
        assert!(like("domain/devices", same, &live).is_some(), "{device}");
    }
    // A disk of another file in the same place is another, where both have a name.
    let other = "<disk><source file='/b'/><target dev='vda'/><alias name='ua-data'/></disk>";
    let other = [Element::parse(other).unwrap()];
    let root = &ours.child("devices").unwrap().children[0];
    assert!(like("domain/devices", root, &other).is_none());
}

#[test]
fn the_file_tells_a_disk_before_its_place() {
    let disk = |file: &str, dev: &str, more: &str| {
        format!("<disk><source file='{file}'/><target dev='{dev}'/>{more}</disk>")
    };
    let guest = |disks: &[String]| {
        xml(&format!(
            "<domain><devices>{}</devices></domain>",
            disks.concat()
        ))
    };
    let live = guest(&[disk("/b", "vda", ""), disk("/a", "vdb", "")]);
    let wanted = guest(&[
        disk("/a", "vda", "<alias name='ua-root'/>"),
        disk("/b", "vdb", ""),
    ]);
    let merged = merge(&[], &live, &wanted);
    let told: Vec<&str> = paths(&merged);
    let dev = "domain/devices/disk/target@dev";
    assert_eq!(told, [dev, "domain/devices/disk/alias", dev]);
}

#[test]
fn names_that_differ_in_case_are_two() {
    let groups = |names: [&str; 2]| {
        let [a, b] = names.map(|name| format!("<portgroup name='{name}'/>"));
        xml(&format!("<network>{a}{b}</network>"))
    };
    let merged = merge(&[], &groups(["a", "A"]), &groups(["A", "a"]));
    assert_eq!(paths(&merged), [""; 0]);
}

#[test]
fn what_was_applied_in_another_order_was_applied() {
    let net = |inside: &str| xml(&format!("<network>{inside}</network>"));
    let last = net("<route address='10.2.0.0' prefix='24'/>");
    let wanted = net("<route prefix='24' address='10.2.0.0'/>");
    let merged = merge(&[last], &net(""), &wanted);
    assert_eq!(merged.differences[0].cause, Cause::Drift);
}

#[test]
fn what_is_there_for_what_it_holds_comes_and_goes_in_parts() {
    let guest = |tune: &str| xml(&format!("<domain>{tune}<os/></domain>"));
    let tuned = |inside: &str| guest(&format!("<cputune>{inside}</cputune>"));
    let shares = "<shares>512</shares>";
    let (none, ours) = (guest(""), tuned(shares));
    let path = ["domain/cputune/shares"];

    let comes = merge(std::slice::from_ref(&none), &none, &ours);
    assert_eq!((paths(&comes), &comes.target), (path.into(), &ours));
    let goes = merge(std::slice::from_ref(&ours), &ours, &none);
    assert_eq!((paths(&goes), &goes.target), (path.into(), &none));
    // What others put beside it stays.
    let both = tuned(&format!("{shares}<period>9</period>"));
    let goes = merge(std::slice::from_ref(&ours), &both, &none);
    let theirs = tuned("<period>9</period>");
    assert_eq!((paths(&goes), &goes.target), (path.into(), &theirs));
    assert!(merge(&[ours], &theirs, &none).differences.is_empty());

    let mut back = none.clone();
    let difference = &comes.differences[0];
    difference.put(&mut back, difference.after.as_ref());
    assert_eq!(back, tuned(shares));
}
