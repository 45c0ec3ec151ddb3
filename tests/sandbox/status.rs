//! What `status` tells of guests that have addresses, and of what a run left half done.

use std::time::{Duration, Instant};

use crate::guests::answers;
use crate::lab::{Lab, inventory, virsh};

/// How long a guest may take to ask for an address.
const PATIENCE: Duration = Duration::from_secs(120);

const LAB: &str = "lab: status
networks:
  front: {address: 192.168.165.1/24, bridge: stbr0, dhcp: {start: 192.168.165.100, end: 192.168.165.200}}
pools: {status: {path: @DIR@/pool}}
images: {tiny: {pool: status, source: @TINY@/tiny.qcow2}}
common:
  memory: 128MiB
  boot: {kernel: @TINY@/vmlinuz, initrd: @TINY@/initrd.img, cmdline: console=ttyS0}
  interfaces: {eth0: {network: front}}
guests:
  any: {}
  beside: {depends_on: [fixed], interfaces: {eth0: {network: null, bridge: stbr0}}}
  fixed: {interfaces: {eth0: {ip: 192.168.165.11}}}
  off: {running: false, interfaces: {eth0: {ip: 192.168.165.12}}}
";

/// The row of a resource, its lines in one.
fn row(status: &str, address: &str) -> String {
    let mut lines = status.lines().skip_while(|line| !line.starts_with(address));
    let first = lines.next().unwrap_or_default().to_owned();
    let more = lines.take_while(|line| line.starts_with(' '));
    let words = std::iter::once(first.as_str()).chain(more);
    let words = words.flat_map(str::split_whitespace);
    words.collect::<Vec<_>>().join(" ")
}

/// The row of a guest as soon as something is known of its address.
fn known(lab: &Lab, guest: &str) -> String {
    let until = Instant::now() + PATIENCE;
    loop {
        let row = row(&lab.ok(&["status"]), guest);
        if !row.contains("no address known") && !row.contains("not seen") {
            return row;
        }
        assert!(Instant::now() < until, "{row}");
        std::thread::sleep(Duration::from_millis(300));
    }
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn addresses_are_those_that_guests_have() {
    let before = inventory();
    let lab = Lab::new(LAB);
    lab.apply(&[]);
    let off = row(&lab.ok(&["status"]), "guest.off");
    assert_eq!(
        off,
        "guest.off off 1 vcpu, 128 MiB; eth0 192.168.165.12 (defined)"
    );

    let fixed = known(&lab, "guest.fixed");
    assert_eq!(
        fixed,
        "guest.fixed running 1 vcpu, 128 MiB; eth0 192.168.165.11"
    );
    let any = known(&lab, "guest.any");
    assert!(
        any.contains("; eth0 192.168.165.1") && !any.contains('('),
        "{any}"
    );

    // No network leases to a NIC on a bridge, but the host meets it.
    let beside = virsh(&["domiflist", "beside"]);
    let mac = beside
        .split_whitespace()
        .find(|word| word.starts_with("52:54:00"));
    let mac = mac.unwrap();
    let until = Instant::now() + PATIENCE;
    let ip = loop {
        let leases = virsh(&["net-dhcp-leases", "front"]);
        let line = leases.lines().find(|line| line.contains(mac));
        let ip = line.and_then(|line| line.split_whitespace().find(|word| word.contains("/24")));
        if let Some((ip, _)) = ip.and_then(|ip| ip.split_once('/')) {
            break ip.to_owned();
        }
        assert!(Instant::now() < until, "{leases}");
        std::thread::sleep(Duration::from_millis(300));
    };
    answers(&ip);
    let beside = known(&lab, "guest.beside");
    assert!(beside.ends_with(&format!("; eth0 {ip}")), "{beside}");

    for line in lab.ok(&["status"]).lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    lab.destroy();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_half_upload_is_not_present() {
    let lab = Lab::new(LAB);
    lab.ok(&["apply", "-y", "--target", "image.tiny"]);
    let image = || row(&lab.ok(&["status"]), "image.tiny");
    assert!(image().starts_with("image.tiny present "), "{}", image());

    let state = lab.path().join("state/status.toml");
    let text = std::fs::read_to_string(&state).unwrap();
    let at = text.find("image.tiny").unwrap();
    for (status, unfinished) in [("creating", "creation"), ("changing", "change")] {
        let half = text[at..].replacen("\"applied\"", &format!("\"{status}\""), 1);
        std::fs::write(&state, format!("{}{half}", &text[..at])).unwrap();
        lab.ok(&["state", "check", "--accept"]);
        let image = image();
        assert!(image.starts_with("image.tiny incomplete "), "{image}");
        assert!(
            image.ends_with(&format!("its {unfinished} is not finished")),
            "{image}"
        );
    }
    lab.destroy();
}
