//! Networks that change under running guests, in place and by a restart.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::guests::{answers, get, resolve, uptime};
use crate::lab::{Lab, inventory, tiny, virsh, virsh_xml};

/// How long a guest may be out of reach while its network restarts.
const OUTAGE: Duration = Duration::from_secs(10);

const LAB: &str = "lab: relink
networks:
  front:
    address: 192.168.175.1/24
    domain: front.test
    dhcp: {start: 192.168.175.200, end: 192.168.175.250}
    xml: |
      <network><ip address='192.168.175.1'><dhcp>
        <host mac='52:54:00:17:50:21' name='named' ip='192.168.175.21'/>
        <host mac='52:54:00:17:50:22' name='bridged' ip='192.168.175.22'/>
      </dhcp></ip></network>
guests:
  web:
    memory: 128MiB
    shutdown_timeout: 1s
    boot: {kernel: @TINY@/vmlinuz, initrd: @TINY@/initrd.img, cmdline: console=ttyS0 hostname=web}
    interfaces: {eth0: {network: front, ip: 192.168.175.11}}
";

/// Starts a guest that no lab knows.
fn stranger(name: &str, nic: &str) {
    let tiny = tiny();
    virsh_xml(
        "create",
        &format!(
            "<domain type='qemu'><name>{name}</name><memory unit='MiB'>128</memory><vcpu>1</vcpu><os>\
             <type arch='x86_64' machine='q35'>hvm</type><kernel>{0}/vmlinuz</kernel><initrd>{0}/initrd.img</initrd>\
             <cmdline>console=ttyS0 hostname={name}</cmdline></os><features><acpi/></features><devices>{nic}\
             <serial type='null'/></devices></domain>",
            tiny.display()
        ),
    );
}

/// What a guest tells that changes when it restarts or loses its NIC.
fn identity(ip: &str) -> (String, String) {
    let page = |path: &str| get(ip.parse().unwrap(), path).expect(path);
    let nics = page("/nics");
    assert!(nics.starts_with("eth0 "), "{nics}");
    (page("/boot"), nics)
}

/// The same once it stays: a guest looks at its links once a second, and serves its pages before they have all come up.
fn lasting_identity(ip: &str) -> (String, String) {
    let mut before = identity(ip);
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(2500));
        let now = identity(ip);
        if now == before {
            return now;
        }
        before = now;
    }
    panic!("the links of {ip} come and go: {before:?}");
}

/// Whether a guest serves its page, asked with little patience.
fn is_there(ip: &str) -> bool {
    let short = Duration::from_millis(400);
    let ask = || -> std::io::Result<bool> {
        let address = SocketAddr::new(ip.parse().unwrap(), 80);
        let mut stream = TcpStream::connect_timeout(&address, short)?;
        stream.set_read_timeout(Some(short))?;
        write!(stream, "GET / HTTP/1.0\r\n\r\n")?;
        let mut response = String::new();
        stream.read_to_string(&mut response)?;
        Ok(response.contains(" 200 "))
    };
    ask().unwrap_or(false)
}

/// The longest time that a guest did not answer while something was done, and until it answered again.
fn outage(ip: &str, work: impl FnOnce()) -> Duration {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut last = Instant::now();
            let mut longest = Duration::ZERO;
            loop {
                let ended = done.load(Ordering::SeqCst);
                if is_there(ip) {
                    longest = longest.max(last.elapsed());
                    last = Instant::now();
                    if ended {
                        return longest;
                    }
                }
                if ended && last.elapsed() > Duration::from_secs(60) {
                    return last.elapsed();
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        work();
        done.store(true, Ordering::SeqCst);
        watcher.join().unwrap()
    })
}

/// The bridge of a network, with its MAC.
fn bridge(network: &str) -> (String, String) {
    let xml = virsh(&["net-dumpxml", network]);
    let xml = miniascape::xml::tree::Element::parse(&xml).unwrap();
    let of = |path: &str, name: &str| xml.attribute_at(path, name).unwrap().to_owned();
    (of("bridge", "name"), of("mac", "address"))
}

/// The process that serves a network's DHCP and DNS.
fn dnsmasq(network: &str) -> String {
    let path = Path::new("/run/libvirt/network").join(format!("{network}.pid"));
    std::fs::read_to_string(path).unwrap().trim().to_owned()
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn guests_keep_running_while_their_network_restarts() {
    let before = inventory();
    let lab = Lab::new(LAB);
    lab.apply(&[]);
    let (bridge_before, mac_before) = bridge("front");
    let nic = |mac: &str, kind: &str, source: &str| {
        format!(
            "<interface type='{kind}'><mac address='52:54:00:17:50:{mac}'/><source {kind}='{source}'/>\
             <model type='virtio'/></interface>"
        )
    };
    stranger("named", &nic("21", "network", "front"));
    stranger("bridged", &nic("22", "bridge", &bridge_before));
    let all = ["192.168.175.11", "192.168.175.21", "192.168.175.22"];
    for ip in all {
        answers(ip);
    }
    assert!(resolve("192.168.175.1", "web.front.test").is_some());
    let was = all.map(lasting_identity);
    let was_up = all.map(uptime);

    let changed = LAB
        .replace("domain: front.test", "domain: rear.test\n    mtu: 1400")
        .replace("192.168.175.200", "192.168.175.180");
    lab.define(&changed);
    let plan = lab.ok(&["plan"]);
    for part in ["relink", "NICs plugged in again: bridged, named, web"] {
        assert!(plan.contains(part), "{plan}");
    }
    let refusal = lab.fails(&["apply", "-y", "--max-disruption", "live"]);
    assert!(refusal.contains("relink"), "{refusal}");
    let begun = Instant::now();
    let out = outage(all[0], || drop(lab.apply(&[])));
    println!(
        "relink: the guest's page was away for {:.1} s, apply took {:.1} s",
        out.as_secs_f64(),
        begun.elapsed().as_secs_f64()
    );
    assert!(out < OUTAGE, "out for {out:?}");

    for ip in all {
        answers(ip);
    }
    assert_eq!(all.map(identity), was, "a guest restarted or lost its NIC");
    for (ip, was_up) in all.into_iter().zip(was_up) {
        assert!(uptime(ip) > was_up, "{ip} was restarted");
    }
    assert_eq!(bridge("front"), (bridge_before.clone(), mac_before));
    let mtu = std::fs::read_to_string(format!("/sys/class/net/{bridge_before}/mtu")).unwrap();
    assert_eq!(mtu.trim(), "1400");
    let found = resolve("192.168.175.1", "web.rear.test");
    assert_eq!(found.unwrap().to_string(), all[0]);
    assert!(!virsh(&["net-list", "--all", "--name"]).contains("parking"));

    virsh(&["destroy", "named"]);
    virsh(&["destroy", "bridged"]);
    lab.destroy();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn a_restart_that_was_broken_off_is_finished() {
    let lab = Lab::new(LAB);
    lab.apply(&[]);
    answers("192.168.175.11");
    let was = lasting_identity("192.168.175.11");
    // What a run leaves that was killed after it had parked the NIC.
    virsh_xml(
        "net-create",
        "<network><name>miniascape-parking-front</name><bridge stp='off' delay='0'/><dns enable='no'/></network>",
    );
    let nic = virsh(&["domiflist", "web"]);
    let mac = nic
        .split_whitespace()
        .find(|word| word.contains(':'))
        .unwrap();
    let parked = tempfile::NamedTempFile::new().unwrap();
    let xml = virsh(&["dumpxml", "web"]);
    let xml = miniascape::xml::tree::Element::parse(&xml).unwrap();
    let live = xml.find("devices/interface").unwrap().to_string();
    assert!(live.contains(mac));
    let text: String = live
        .replace("network=\"front\"", "network=\"miniascape-parking-front\"")
        .replace("network='front'", "network='miniascape-parking-front'")
        .lines()
        .map(|line| {
            let line = line.to_owned();
            match line.contains("<source") {
                true => "<source network='miniascape-parking-front'/>".to_owned(),
                false => line,
            }
        })
        .filter(|line| !line.contains("<target"))
        .collect();
    std::fs::write(parked.path(), text).unwrap();
    virsh(&[
        "update-device",
        "web",
        &parked.path().display().to_string(),
        "--live",
    ]);
    assert!(!is_there("192.168.175.11"));

    let plan = lab.ok(&["plan"]);
    assert!(plan.contains("relink (unfinished)"), "{plan}");
    lab.apply(&[]);
    answers("192.168.175.11");
    assert_eq!(identity("192.168.175.11"), was);
    assert!(!virsh(&["net-list", "--all", "--name"]).contains("parking"));
    lab.destroy();
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn reservations_and_names_change_in_place() {
    let text = |guests: &[u8], more: &str| {
        let guests: String = guests
            .iter()
            .map(|n| {
                format!(
                    "  g{n}: {{running: false, memory: 64MiB, interfaces: {{eth0: {{network: live, ip: 192.168.176.{n}}}}}}}\n"
                )
            })
            .collect();
        format!(
            "lab: live\nnetworks:\n  live: {{address: 192.168.176.1/24, domain: live.test, dhcp: true{more}}}\nguests:\n{guests}"
        )
    };
    let before = inventory();
    let lab = Lab::new(&text(&[11], ""));
    lab.apply(&[]);
    let pid = dnsmasq("live");
    lab.define(&text(&[11, 12], ", dns: {hosts: {ntp: 192.168.176.5}}"));
    lab.apply(&["--max-disruption", "live"]);
    let name = |name: &str| resolve("192.168.176.1", name).map(|ip| ip.to_string());
    assert_eq!(name("ntp.live.test").as_deref(), Some("192.168.176.5"));
    assert_eq!(name("g12.live.test").as_deref(), Some("192.168.176.12"));
    // Another address for one, none for the other.
    lab.define(&text(&[12], "").replace("176.12}", "176.13}"));
    lab.apply(&["--max-disruption", "live"]);
    assert_eq!(name("g12.live.test").as_deref(), Some("192.168.176.13"));
    assert_eq!(name("g11.live.test"), None);
    assert_eq!(dnsmasq("live"), pid, "dnsmasq was restarted");

    // Many where no guest runs: one restart is faster.
    let many: Vec<u8> = (20..40).collect();
    lab.define(&text(&many, ""));
    let plan = lab.ok(&["plan"]);
    assert!(
        plan.contains("reservations by one restart: no guest runs on it"),
        "{plan}"
    );
    let begun = Instant::now();
    lab.apply(&["--max-disruption", "live"]);
    println!(
        "20 reservations by a restart: {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    assert_eq!(name("g39.live.test").as_deref(), Some("192.168.176.39"));
    assert_ne!(dnsmasq("live"), pid);

    // Under a running guest one by one.
    let pid = dnsmasq("live");
    stranger(
        "runs",
        "<interface type='network'><source network='live'/><model type='virtio'/></interface>",
    );
    let more: Vec<u8> = (20..44).collect();
    lab.define(&text(&more, ""));
    let plan = lab.ok(&["plan"]);
    assert!(
        plan.contains("4 reservations one by one, some 2 s: guests run on it"),
        "{plan}"
    );
    let begun = Instant::now();
    lab.apply(&["--max-disruption", "live"]);
    println!(
        "4 reservations one by one: {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    assert_eq!(dnsmasq("live"), pid, "dnsmasq was restarted");
    assert_eq!(name("g43.live.test").as_deref(), Some("192.168.176.43"));
    virsh(&["destroy", "runs"]);

    // Ranges, TXT and SRV records and port groups without a restart of the network.
    let index = || std::fs::read_to_string(format!("/sys/class/net/{}/ifindex", bridge("live").0));
    let was = index().unwrap();
    let xml =
        ", xml: \"<network><portgroup name='a' default='yes'/><portgroup name='b'/></network>\"";
    let records = ", dns: {txt: {info: hello}, srv: [{service: ldap, protocol: tcp, target: g20.live.test, port: 389}]}";
    for more in [
        records,
        &format!("{records}{xml}"),
        &xml.replace(" default='yes'", ""),
        "",
    ] {
        lab.define(&text(&more_than(&[20]), more));
        lab.apply(&["--max-disruption", "live"]);
        assert_eq!(index().unwrap(), was, "{more}");
    }
    lab.destroy();
    assert_eq!(inventory(), before);
}

/// The guests of the last part, where one reservation after the other would only take time.
fn more_than(guests: &[u8]) -> Vec<u8> {
    guests.iter().copied().chain(21..44).collect()
}
