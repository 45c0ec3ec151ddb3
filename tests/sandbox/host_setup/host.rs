//! A host to set up: a mount namespace of its own with writable copies of what the scripts change, and ISO images for it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use crate::lab::{Lab, tiny};

/// A mount namespace whose /etc, /srv and /var/lib can be written to and are gone in the end.
pub struct Host {
    namespace: Child,
    /// Where stand-ins for programs are found first.
    stubs: PathBuf,
    /// What the stand-ins keep.
    fake: tempfile::TempDir,
}

/// Makes the namespace, and waits to be killed.
const NAMESPACE: &str = r#"
set -eu
scratch=$1
mkdir -p "$scratch"
mount -t tmpfs host "$scratch"
mkdir "$scratch/keep" "$scratch/libvirt" "$scratch/varlibvirt"
touch "$scratch/hosts"
mount --bind /etc/libvirt "$scratch/libvirt"
mount --bind /var/lib/libvirt "$scratch/varlibvirt"
cp /etc/hosts "$scratch/hosts"
for directory in etc var/lib; do
    mkdir -p "$scratch/upper/$directory" "$scratch/work/$directory"
    mount -t overlay host -o "lowerdir=/$directory,upperdir=$scratch/upper/$directory,workdir=$scratch/work/$directory" "/$directory"
done
# Whatever the machine itself serves and mounts, this host is one on which the packages were just installed.
awk '$3 == "autofs" {print $2}' /proc/mounts | tac | xargs -r -d '\n' umount --recursive --lazy
rm -rf /etc/exports /etc/exports.d /etc/auto.master.d /etc/nginx/conf.d /etc/nginx/sites-enabled
mkdir /etc/auto.master.d /etc/nginx/conf.d /etc/nginx/sites-enabled
echo '+dir:/etc/auto.master.d' >/etc/auto.master
mkdir -p /var/lib/nfs
touch /etc/exports
: >/var/lib/nfs/etab
mount --bind "$scratch/libvirt" /etc/libvirt
mount --bind "$scratch/varlibvirt" /var/lib/libvirt
mount --bind "$scratch/hosts" /etc/hosts
mount -t tmpfs srv /srv
mount -t tmpfs host /sys/kernel
mkdir -p /sys/kernel/config/target/iscsi /sys/kernel/config/target/core
echo ready
exec sleep 600
"#;

impl Host {
    pub fn new() -> Self {
        tiny();
        let fake = tempfile::tempdir().unwrap();
        let scratch = fake.path().join("scratch").display().to_string();
        let mut namespace = Command::new("unshare")
            .args([
                "--mount",
                "--propagation",
                "private",
                "bash",
                "-c",
                NAMESPACE,
                "namespace",
                &scratch,
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 6];
        let read = namespace.stdout.as_mut().unwrap().read_exact(&mut ready);
        assert!(
            read.is_ok() && &ready == b"ready\n",
            "the namespace is not there"
        );
        Self {
            namespace,
            stubs: PathBuf::new(),
            fake,
        }
    }

    /// The same, with stand-ins for programs that cannot run here.
    pub fn with_stubs() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut host = Self::new();
        host.stubs = root.join("tests/sandbox/host_setup/bin");
        host
    }

    /// Where programs are looked for.
    fn path(&self) -> String {
        let path = std::env::var("PATH").unwrap();
        match self.stubs.as_os_str().is_empty() {
            true => path,
            false => format!("{}:{path}", self.stubs.display()),
        }
    }

    /// Runs a command on the host.
    pub fn run(&self, command: &[&str]) -> Output {
        Command::new("timeout")
            .args([
                "-k",
                "5",
                "120",
                "nsenter",
                "--mount",
                "--target",
                &self.namespace.id().to_string(),
            ])
            .arg("--wd=/")
            .args(command)
            .env("PATH", self.path())
            .env("FAKE", self.fake.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    #[track_caller]
    pub fn ok(&self, command: &[&str]) -> String {
        let output = self.run(command);
        assert!(output.status.success(), "{command:?}:\n{}", both(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a script of the lab's, which has to succeed without complaints.
    #[track_caller]
    pub fn script(&self, lab: &Lab, name: &str, more: &[&str]) -> String {
        let output = self.try_script(lab, name, more);
        assert!(
            output.status.success(),
            "{name} {more:?}:\n{}",
            both(&output)
        );
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            "",
            "{name} {more:?}"
        );
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn try_script(&self, lab: &Lab, name: &str, more: &[&str]) -> Output {
        let script = format!("{}/work/host/{name}.sh", lab.path().display());
        let mut command = vec!["bash", &script];
        command.extend(more);
        self.run(&command)
    }

    /// All files that the scripts may change, and all mounts, a line each.
    pub fn state(&self) -> BTreeSet<String> {
        let text = self.ok(&[
            "bash",
            "-c",
            "cd / && find etc srv -path etc/libvirt/qemu -prune -o -path etc/libvirt/storage -prune \
             -o -type f -printf '%M %p ' -exec sha256sum {} ';' -o -printf '%M %p %l\\n'; \
             find var/lib -maxdepth 1 -o -path 'var/lib/miniascape*'; cut -d' ' -f 4-5 /proc/self/mountinfo",
        ]);
        text.lines().map(str::to_owned).collect()
    }

    pub fn log(&self) -> String {
        let log = self.fake.path().join("log");
        let text = fs::read_to_string(&log).unwrap_or_default();
        let _ = fs::remove_file(log);
        text
    }
}

impl Drop for Host {
    /// The mounts go with the last process in them.
    fn drop(&mut self) {
        // Only where a test has failed is there still one.
        self.run(&[
            "bash",
            "-c",
            "kill $(cat /run/nginx.pid) $(pidof automount)",
        ]);
        let _ = self.namespace.kill();
        let _ = self.namespace.wait();
    }
}

pub fn both(output: &Output) -> String {
    let bytes = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Wants a host to be in a state.
#[track_caller]
pub fn same(now: &BTreeSet<String>, then: &BTreeSet<String>) {
    let differences: Vec<&String> = now.symmetric_difference(then).collect();
    assert!(differences.is_empty(), "{differences:#?}");
}

/// Makes an ISO image with a file in it, and gives the file's bytes.
pub fn iso(path: &Path, name: &str) -> Vec<u8> {
    let tree = tempfile::tempdir().unwrap();
    let bytes = format!("the kernel of {name}\n").repeat(1000).into_bytes();
    fs::create_dir(tree.path().join("images")).unwrap();
    fs::write(tree.path().join("images/vmlinuz"), &bytes).unwrap();
    let output = Command::new("genisoimage")
        .args(["-quiet", "-R", "-J", "-o"])
        .arg(path)
        .arg(tree.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", both(&output));
    bytes
}

/// What mounts ISO images here.
pub fn how() -> &'static str {
    let known = fs::read_to_string("/proc/filesystems").unwrap();
    match known.contains("iso9660")
        || Command::new("modprobe")
            .arg("isofs")
            .output()
            .is_ok_and(|output| output.status.success())
    {
        true => "fstype: iso9660",
        false => "fstype: fuse.fuseiso, options: [ro, nosuid, nodev, allow_other]",
    }
}

/// A lab, and its work directory.
pub fn lab(definition: &str) -> Lab {
    let lab = Lab::new(&definition.replace("@HOW@", how()));
    generate(&lab);
    lab
}

fn generate(lab: &Lab) {
    lab.ok(&["generate", "-w", "work"]);
}

pub fn define(lab: &Lab, definition: &str) {
    lab.define(&definition.replace("@HOW@", how()));
    generate(lab);
}

pub fn get(address: &str, path: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let head = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let status = String::from_utf8_lossy(&answer[9..12]).into_owned();
    (status, answer[head + 4..].to_vec())
}

/// Waits until a server answers with a status: reloading takes a moment.
pub fn get_until(status: &str, address: &str, path: &str) -> Vec<u8> {
    for _ in 0..100 {
        let answer = get(address, path);
        if answer.0 == status {
            return answer.1;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{path} is not answered with {status}");
}

/// Starts libvirt anew, with the stand-ins of a host or without.
pub fn restart_libvirt(with: Option<&Host>) {
    let pid_file = "/run/libvirtd.pid";
    let pid = fs::read_to_string(pid_file).unwrap();
    let stopped = Command::new("kill").arg(pid.trim()).status().unwrap();
    assert!(stopped.success());
    let process = Path::new("/proc").join(pid.trim());
    for _ in 0..1200 {
        if !process.exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!process.exists(), "libvirtd goes on");
    let mut start = Command::new("timeout");
    start.args(["60", "libvirtd", "-d"]).stdin(Stdio::null());
    if let Some(host) = with {
        start
            .env("PATH", host.path())
            .env("TMPDIR", host.fake.path());
    }
    assert!(start.status().unwrap().success());
}

/// The directory that says that systemd manages this machine, while this value lives.
pub struct Systemd;

impl Systemd {
    pub fn pretend() -> Self {
        fs::create_dir_all("/run/systemd/system").unwrap();
        Self
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        let _ = fs::remove_dir("/run/systemd/system");
    }
}
