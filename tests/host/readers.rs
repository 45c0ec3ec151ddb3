//! The programs that read what is generated understand it as it is meant.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use walkdir::WalkDir;

use crate::{CASES, Generated, run, text};

#[test]
fn scripts_have_no_findings() {
    let mut count = 0;
    for name in CASES {
        let generated = Generated::new(name);
        let scripts: Vec<String> = WalkDir::new(generated.path("host"))
            .into_iter()
            .map(|entry| entry.unwrap().into_path())
            .filter(|path| path.is_file() && fs::read(path).unwrap().starts_with(b"#!"))
            .map(|path| path.display().to_string())
            .collect();
        count += scripts.len();
        let scripts: Vec<&str> = scripts.iter().map(String::as_str).collect();
        let output = run("shellcheck", &scripts);
        assert!(output.status.success(), "{name}:\n{}", text(&output));
    }
    assert_eq!(count, 15);
}

#[test]
fn systemd_takes_the_units() {
    for (name, count) in [("everything", 3), ("names", 1)] {
        let generated = Generated::new(name);
        let directory = generated.path("host/etc/systemd/system");
        let units: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "mount"))
            .collect();
        assert_eq!(units.len(), count, "{units:?}");
        for unit in units {
            // It says so where `Where=` does not belong to the unit's name.
            let unit = unit.display().to_string();
            let output = run("systemd-analyze", &["verify", "--man=no", &unit]);
            assert!(output.status.success(), "{unit}: {}", text(&output));
            assert_eq!(text(&output), "", "{unit}");
        }
    }
}

/// A server that is stopped in the end.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that is free.
fn port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The status and body of what a server answers.
fn get(port: u16, path: &str) -> (u16, Vec<u8>) {
    let end = Instant::now() + Duration::from_secs(20);
    let mut stream = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < end, "port {port}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    };
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
    let status = String::from_utf8_lossy(&answer[9..12]).parse().unwrap();
    (status, answer[head + 4..].to_vec())
}

/// Makes directories with a file each in place of those that a site serves, and has it listen where the test can.
fn local(site: &Path, root: &Path, port: u16, trees: &[&str]) -> String {
    for tree in trees {
        let directory = root.join(tree.trim_start_matches('/'));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("file"), format!("the file of {tree}")).unwrap();
    }
    let site = fs::read_to_string(site).unwrap();
    let mut lines: Vec<String> = Vec::new();
    let mut listens = false;
    for line in site.lines() {
        let first = line.split_whitespace().next().unwrap_or_default();
        if matches!(first, "listen" | "Listen") {
            if !listens {
                let end = if first == "listen" { ";" } else { "" };
                lines.push(format!("{first} 127.0.0.1:{port}{end}"));
            }
            listens = true;
        } else if first == "<VirtualHost" {
            lines.push(format!("<VirtualHost 127.0.0.1:{port}>"));
        } else {
            lines.push(line.replace("\"/srv/", &format!("\"{}/srv/", root.display())));
        }
    }
    assert!(listens);
    lines.join("\n") + "\n"
}

#[test]
fn nginx_serves_the_trees() {
    let generated = Generated::new("everything");
    let site = generated.path("host/etc/nginx/conf.d/miniascape-shop.conf");
    let root = tempfile::tempdir().unwrap();
    // Its workers are of another user when it is root that starts it.
    fs::set_permissions(
        root.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let port = port();
    let trees = [
        "/srv/content/rhel-9",
        "/srv/content/it's \"100%\" odd",
        "/srv/kick [1]",
        "/srv/miniascape/shop/derived",
    ];
    let site = local(&site, root.path(), port, &trees);
    let at = |name: &str| root.path().join(name).display().to_string();
    fs::write(at("site.conf"), site).unwrap();
    let wrapped = format!(
        "daemon off;\nmaster_process off;\npid {};\nerror_log stderr;\nevents {{}}\nhttp {{\n    access_log off;\n    \
         client_body_temp_path {};\n    include {};\n}}\n",
        at("pid"),
        at("bodies"),
        at("site.conf")
    );
    fs::write(at("nginx.conf"), wrapped).unwrap();
    let output = run("nginx", &["-t", "-q", "-c", &at("nginx.conf")]);
    assert!(output.status.success(), "{}", text(&output));

    let child = Command::new("nginx")
        .args(["-c", &at("nginx.conf")])
        .stderr(Stdio::null())
        .spawn();
    let _server = Server(child.unwrap());
    serves(
        port,
        &[
            ("rhel-9", trees[0]),
            ("odd", trees[1]),
            ("ks", trees[2]),
            ("derived", trees[3]),
        ],
    );
}

#[test]
fn httpd_serves_the_trees() {
    let generated = Generated::new("names");
    let site = generated.path("host/etc/httpd/conf.d/miniascape-a+b.conf");
    let root = tempfile::tempdir().unwrap();
    let port = port();
    let trees = ["/srv/miniascape/a+b/plus+", "/srv/\"it's\" 100% [odd]"];
    let site = local(&site, root.path(), port, &trees);
    std::os::unix::fs::symlink("file", root.path().join("srv/\"it's\" 100% [odd]/link")).unwrap();
    let at = |name: &str| root.path().join(name).display().to_string();
    let (program, modules) = [
        ("apache2", "/usr/lib/apache2/modules"),
        ("httpd", "/usr/lib64/httpd/modules"),
    ]
    .into_iter()
    .find(|(_, modules)| Path::new(modules).exists())
    .expect("Apache's modules; scripts/setup installs them");
    let mut wrapped = format!(
        "ServerRoot {0}\nServerName localhost\nPidFile {0}/pid\nErrorLog {0}/log\nDefaultRuntimeDir {0}\n\
         <Directory />\nRequire all denied\n</Directory>\n",
        root.path().display()
    );
    // What Debian and Fedora load by themselves.
    for module in [
        "mpm_event",
        "authz_core",
        "alias",
        "autoindex",
        "dir",
        "unixd",
    ] {
        let file = format!("{modules}/mod_{module}.so");
        if Path::new(&file).exists() {
            wrapped += &format!("LoadModule {module}_module {file}\n");
        }
    }
    fs::write(at("httpd.conf"), wrapped + &site).unwrap();
    let output = run(program, &["-t", "-f", &at("httpd.conf")]);
    assert!(output.status.success(), "{}", text(&output));

    let child = Command::new(program)
        .args(["-X", "-f", &at("httpd.conf")])
        .stderr(Stdio::null())
        .spawn();
    let _server = Server(child.unwrap());
    serves(port, &[("plus+", trees[0]), ("odd", trees[1])]);
    assert_eq!(
        get(port, "/odd/link").0,
        200,
        "links of the trees are followed"
    );
}

/// Wants each tree's file and listing, and nothing else.
fn serves(port: u16, trees: &[(&str, &str)]) {
    for (name, tree) in trees {
        let body = format!("the file of {tree}").into_bytes();
        assert_eq!(get(port, &format!("/{name}/file")), (200, body), "{name}");
        let (status, listing) = get(port, &format!("/{name}/"));
        assert_eq!(status, 200, "{name}");
        let listing = String::from_utf8(listing).unwrap();
        assert!(listing.contains("href=\"file\""), "{listing}");
        assert_eq!(get(port, &format!("/{name}/none")).0, 404);
    }
    for path in ["/", "/none/", "/rhel-9/../../../etc/passwd"] {
        let status = get(port, path).0;
        assert!((400..500).contains(&status), "{path}: {status}");
    }
}

/// Binds each command to the parameters of the method that targetcli runs for it.
const TARGETCLI: &str = r##"
import inspect, os, sys, tempfile
os.environ["HOME"] = tempfile.mkdtemp()
from configshell_fb import ConfigShell
from targetcli import ui_backstore, ui_target
shell = ConfigShell(os.environ["HOME"])

def owner(path):
    parts = path.strip("/").split("/")
    if parts[0] == "backstores":
        return {"fileio": ui_backstore.UIFileIOBackstore, "block": ui_backstore.UIBlockBackstore}[parts[1]]
    return {1: ui_target.UIFabricModule, 3: ui_target.UITPG}.get(len(parts)) or {
        ("luns", 4): ui_target.UILUNs, ("acls", 4): ui_target.UINodeACLs, ("acls", 5): ui_target.UINodeACL,
        ("portals", 4): ui_target.UIPortals}[(parts[3], len(parts))]

count = 0
for name in sys.argv[1:]:
    for line in open(name):
        if line.startswith("#"):
            continue
        path, command, positional, named = shell._parse_cmdline(line.strip())[1:]
        method = getattr(owner(path), "ui_command_" + command)
        if command == "set":
            assert positional == ["attribute"] and set(named) <= {
                "generate_node_acls", "authentication", "cache_dynamic_acls", "demo_mode_write_protect"}, line
        else:
            inspect.signature(method).bind(None, *positional, **named)
            assert not positional, line
        # What it read is what was written.
        words = line.split()
        assert [path, command] == words[:2] and set(words[2:]) - {"attribute"} == {f"{k}={v}" for k, v in named.items()}, line
        count += 1
print(count)
"##;

#[test]
fn targetcli_takes_the_commands() {
    let generated = Generated::new("everything");
    let directory = generated.path("host/iscsi");
    let files = fs::read_dir(directory).unwrap();
    let files: Vec<String> = files
        .map(|entry| entry.unwrap().path().display().to_string())
        .collect();
    assert_eq!(files.len(), 2);
    // The distribution's, which has its modules.
    let mut arguments = vec!["-c", TARGETCLI];
    arguments.extend(files.iter().map(String::as_str));
    let output = run("/usr/bin/python3", &arguments);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(
        text(&output).lines().last(),
        Some("23"),
        "{}",
        text(&output)
    );
}

#[test]
fn the_hook_tells_systemd_resolved_of_each_network() {
    let generated = Generated::new("everything");
    let hook = generated.path("host/etc/libvirt/hooks/network.d/miniascape-shop");
    let stubs = tempfile::tempdir().unwrap();
    let stub = stubs.path().join("resolvectl");
    fs::write(&stub, "#!/bin/sh\necho \"$*\"\nexit 1\n").unwrap();
    fs::set_permissions(&stub, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!(
        "{}:{}",
        stubs.path().display(),
        std::env::var("PATH").unwrap()
    );
    let told = |arguments: &[&str], xml: &str| {
        let mut child = Command::new(&hook)
            .args(arguments)
            .env("PATH", &path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // A hook that does not care does not read.
        let _ = child.stdin.take().unwrap().write_all(xml.as_bytes());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "libvirt would stop the network");
        text(&output)
    };
    let xml = "<hookData>\n  <network>\n    <name>x</name>\n    <bridge name='virbr7' stp='on' delay='0'/>\n  </network>\n</hookData>\n";
    let front = told(&["front", "started", "begin", "-"], xml);
    assert_eq!(
        front,
        "dns virbr7 192.168.155.1 fd00:155::1\n\
         domain virbr7 ~shop.test ~155.168.192.in-addr.arpa ~0.0.0.0.0.0.0.0.5.5.1.0.0.0.d.f.ip6.arpa\n\
         default-route virbr7 false\n"
    );
    let back = told(&["the back's network", "started", "begin", "-"], xml);
    assert!(
        back.starts_with("dns virbr7 192.168.156.1\ndomain virbr7 ~back.test"),
        "{back}"
    );
    assert_eq!(told(&["front", "stopped", "end", "-"], xml), "");
    assert_eq!(told(&["other", "started", "begin", "-"], xml), "");
    assert_eq!(told(&["front", "started", "begin", "-"], "<network/>"), "");
}
