//! libvirtd dies in the middle of a run and is started again: an error that says so, and the next run goes on.

use std::os::unix::fs::FileExt;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use crate::fake_installer::{self, Ends};
use crate::lab::{Lab, inventory, ip};
use crate::under_way::UnderWay;

/// The process id of this sandbox's libvirtd.
pub fn pid() -> String {
    std::fs::read_to_string("/run/libvirtd.pid").unwrap()
}

/// Starts libvirtd again if it is not there; with `-d` it listens when the command ends.
pub fn revive() {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap();
    if !std::path::Path::new("/proc").join(pid().trim()).exists() {
        let started = Command::new("libvirtd").arg("-d").status();
        assert!(started.unwrap().success());
    }
}

/// Runs a command to its end. Where libvirtd answers nobody any more, it is killed and started again, and so is the command: a
/// client that vanishes with calls under way lets libvirt 11.3 wait once in some hundred times, with its event loop and all that
/// comes later, for a lock that nobody holds (`virNetServerClientClose`, in several threads for one client).
pub fn output(command: &mut Command) -> Output {
    for _ in 0..5 {
        command.stdin(Stdio::null());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = child.spawn().unwrap();
        let (send, ended) = mpsc::channel();
        std::thread::spawn(move || send.send(child.wait_with_output().unwrap()));
        let mut restarted = false;
        let output = loop {
            match ended.recv_timeout(Duration::from_secs(30)) {
                Ok(output) => break output,
                Err(_) => restarted |= restart_if_it_hangs(),
            }
        };
        if !restarted {
            return output;
        }
    }
    panic!("libvirtd hangs again and again");
}

/// Starts libvirtd again if it hangs, and gives whether it did.
pub fn restart_if_it_hangs() -> bool {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap();
    let asked = Command::new("timeout")
        .args(["20", "virsh", "version"])
        .output();
    // What ended the question tells a daemon that hangs from one that is not there.
    if asked.unwrap().status.code() != Some(124) {
        return false;
    }
    kill();
    revive();
    println!("note: libvirtd hung, and was started again");
    true
}

/// Kills this sandbox's libvirtd.
fn kill() {
    let pid = pid();
    let killed = Command::new("kill").args(["-KILL", pid.trim()]).status();
    assert!(killed.unwrap().success());
    let gone = || !std::path::Path::new(&format!("/proc/{}", pid.trim())).exists();
    let begin = Instant::now();
    while !gone() {
        assert!(begin.elapsed() < Duration::from_secs(30), "libvirtd stays");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A process that stands still until this is dropped.
pub struct Stopped(String);

impl Stopped {
    pub fn new(pid: &str) -> Self {
        signal("STOP", pid);
        Self(pid.to_owned())
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        signal("CONT", &self.0);
    }
}

/// Sends a signal; the process may be gone.
fn signal(name: &str, pid: &str) {
    let sent = Command::new("kill").args(["-s", name, pid.trim()]).status();
    sent.unwrap();
}

/// Starts it again when it is dropped, so that a test that fails leaves it to the next.
struct Away;

impl Drop for Away {
    fn drop(&mut self) {
        revive();
    }
}

/// A lab in which something goes on for a while wherever libvirtd may die.
const LAB: &str = "lab: daemon
networks:
  daemon: {address: 192.168.171.1/24, dhcp: {start: 192.168.171.100, end: 192.168.171.200}}
pools: {daemon: {path: @DIR@/pool}}
images: {big: {pool: daemon, source: big.raw}}
common: {memory: 16MiB, shutdown_timeout: 5s}
guests:
  deaf:
    disks: {root: {pool: daemon, image: big}}
    interfaces: {eth0: {network: daemon, ip: 192.168.171.11}}
  new:
    running: false
    disks: {root: {pool: daemon, size: 1MiB}}
    install:
      os: debian-12
      location: {kernel: @DIR@/done.kernel, initrd: @DIR@/done.initrd}
      template: preseed.cfg.j2
      timeout: 2m
";

fn lab() -> Lab {
    let lab = Lab::new(LAB);
    fake_installer::write(
        lab.path(),
        "done",
        Ends::Saying("\r\nminiascape: new is installed\r\n"),
    );
    std::fs::write(lab.path().join("preseed.cfg.j2"), "# {{ done }}\n").unwrap();
    // So big that its upload takes a while; it takes no room.
    let file = std::fs::File::create(lab.path().join("big.raw")).unwrap();
    file.write_all_at(b"something", 0).unwrap();
    file.set_len(48 << 20).unwrap();
    lab
}

/// Lets libvirtd die when an apply is there, and wants to be told.
fn dies_at(lab: &Lab, event: &str) {
    let mut apply = UnderWay::apply(lab, &[]);
    apply.until(event);
    kill();
    let away = Away;
    let ended = apply.end();
    assert_eq!(ended.code, Some(1), "{event}: {}", ended.told);
    let hint = "the connection to libvirt was lost: see that its daemon runs, then apply again";
    assert!(ended.told.contains(hint), "{event}: {}", ended.told);
    println!("libvirtd died at `{event}`:\n{}", ended.told);
    // While it is away.
    let told = lab.fails(&["plan"]);
    assert!(told.contains("Failed to connect"), "{told}");
    drop(away);
}

/// Applies to the end. A bridge and a dnsmasq that libvirtd had started and not yet taken note of are nobody's after its death.
/// No client can remove them: then the error says how, all at once, and that helps.
fn goes_on(lab: &Lab) {
    let output = lab.run(&["apply", "-y"]);
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        println!("libvirtd left something behind:\n{told}");
        let commands = told.split('`').filter(|quoted| {
            quoted.starts_with("ip link delete ") || quoted.starts_with("pkill -f ")
        });
        for command in commands {
            let mut words = command.split(' ');
            let ran = Command::new(words.next().unwrap()).args(words).status();
            println!("`{command}`: {}", ran.unwrap());
        }
    }
    lab.apply(&[]);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn libvirtd_dies_and_the_next_apply_goes_on() {
    let before = inventory();
    for event in [
        "start network daemon",
        "\"event\":\"progress\"",
        "wait for the install of guest new",
        "start guest deaf",
    ] {
        let lab = lab();
        dies_at(&lab, event);
        goes_on(&lab);
        lab.destroy();
        assert_eq!(inventory(), before, "{event}");
        assert!(!lab.path().join("pool").exists(), "{event}");
    }
}

/// Nothing else tells the one that waits that libvirtd is gone.
#[test]
#[ignore = "needs scripts/sandbox"]
fn libvirtd_dies_while_only_an_install_is_waited_for() {
    let before = inventory();
    let lab = lab();
    fake_installer::write(lab.path(), "done", Ends::Never);
    dies_at(&lab, r#""address":"guest.deaf","event":"finished""#);
    lab.destroy();
    assert_eq!(inventory(), before);
}

/// As libvirtd leaves it that dies while it starts the network on which NICs are parked.
#[test]
#[ignore = "needs scripts/sandbox"]
fn a_bridge_left_of_a_restart_is_no_lasting_trouble() {
    let before = inventory();
    let lab = lab();
    lab.apply(&[]);
    let bridge = format!("park-{}", &miniascape::fingerprint::sha256(b"daemon")[..10]);
    ip(&format!("link add {bridge} type bridge"));
    lab.define(&LAB.replace("address: 192", "mtu: 1400, address: 192"));
    goes_on(&lab);
    lab.destroy();
    assert_eq!(inventory(), before);
}

/// As libvirtd leaves it that dies when a network is up, and not yet noted as such.
#[test]
#[ignore = "needs scripts/sandbox"]
fn a_network_that_libvirtd_forgot_is_no_lasting_trouble() {
    let before = inventory();
    let lab = lab();
    let only = lab.run(&["apply", "-y", "--target", "network.daemon"]);
    assert!(only.status.success());
    kill();
    std::fs::remove_file("/run/libvirt/network/daemon.xml").unwrap();
    revive();
    goes_on(&lab);
    lab.destroy();
    assert_eq!(inventory(), before);
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn libvirtd_dies_while_a_guest_shuts_down_or_a_network_is_replugged() {
    let before = inventory();
    let lab = lab();
    lab.apply(&[]);
    lab.define(&LAB.replace("common: {memory: 16MiB", "common: {memory: 20MiB"));
    dies_at(&lab, "shut down guest deaf");
    goes_on(&lab);
    lab.define(
        &LAB.replace("common: {memory: 16MiB", "common: {memory: 20MiB")
            .replace(
                "address: 192.168.171.1/24",
                "mtu: 1400, address: 192.168.171.1/24",
            ),
    );
    dies_at(&lab, "restart network daemon");
    goes_on(&lab);
    lab.destroy();
    assert_eq!(inventory(), before);
}

/// It is there, takes connections, and says nothing: before a run and in the middle of one.
#[test]
#[ignore = "needs scripts/sandbox"]
fn libvirtd_stands_still_and_is_not_waited_for_for_ever() {
    let before = inventory();
    let lab = lab();
    let stopped = Stopped::new(&pid());
    let told = lab.fails(&["plan", "--timeout", "4s"]);
    assert!(told.contains("waiting for libvirt to answer"), "{told}");
    assert!(told.contains("no answer within 4 s"), "{told}");
    drop(stopped);
    for event in ["start network daemon", "\"event\":\"progress\""] {
        let mut apply = UnderWay::apply(&lab, &["--timeout", "4s"]);
        apply.until(event);
        let stopped = Stopped::new(&pid());
        let ended = apply.end();
        assert_eq!(ended.code, Some(1), "{event}: {}", ended.told);
        assert!(
            ended.told.contains("see that its daemon runs"),
            "{event}: {}",
            ended.told
        );
        println!("libvirtd stood still at `{event}`:\n{}", ended.told);
        drop(stopped);
    }
    goes_on(&lab);
    lab.destroy();
    assert_eq!(inventory(), before);
}
