//! A small web server on the loopback, in this process, and what servers do.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use super::super::tests::read;
use super::super::{Arch, BootFile, Media, MediaErrorKind, Medium};
use super::*;
use crate::install::os::Os;

/// What the server answers: status line and headers, and the body.
struct Answer(String, Vec<u8>);

impl Answer {
    fn ok(body: &str) -> Self {
        Self(
            format!("200 OK\r\nContent-Length: {}", body.len()),
            body.as_bytes().to_vec(),
        )
    }

    fn status(status: &str) -> Self {
        Self(format!("{status}\r\nContent-Length: 0"), Vec::new())
    }
}

/// One request after another is answered, each on its own connection, until the server is dropped.
struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    requests: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves with a function of method and path. `None` keeps silent.
    fn new(answer: impl Fn(&str, &str) -> Option<Answer> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (stopped, seen) = (Arc::clone(&stop), Arc::clone(&requests));
        let thread = std::thread::spawn(move || {
            // Those that get no answer stay open until the end.
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let stream = stream.unwrap();
                if let Some(request) = request(&stream) {
                    seen.lock().unwrap().push(request.clone());
                    let (method, path) = request.split_once(' ').unwrap();
                    match answer(method, path) {
                        Some(answer) => silent.extend(respond(stream, method, &answer)),
                        None => silent.push(stream),
                    }
                }
            }
        });
        Self {
            address,
            stop,
            requests,
            thread: Some(thread),
        }
    }

    /// Serves files whose content is their path.
    fn with_files(paths: &'static [&'static str]) -> Self {
        Self::new(move |_, path| {
            let path = path.strip_prefix("/tree/").unwrap_or_default();
            Some(match paths.contains(&path) {
                true => Answer::ok(path),
                false => Answer::status("404 Not Found"),
            })
        })
    }

    fn url(&self) -> String {
        format!("http://{}/tree", self.address)
    }

    fn files(&self, name: &str) -> Result<super::super::BootFiles, MediaError> {
        Media::open(Medium::Url(self.url()))?
            .kernel_and_initrd(&Os::parse(name).unwrap(), Arch::X86_64)
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Reads a request: `GET /path`.
fn request(stream: &TcpStream) -> Option<String> {
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    for line in lines {
        if line.ok()?.is_empty() {
            break;
        }
    }
    let mut words = first.split(' ');
    Some(format!("{} {}", words.next()?, words.next()?))
}

/// Sends an answer; gives the connection back where it is to stay open.
fn respond(mut stream: TcpStream, method: &str, Answer(head, body): &Answer) -> Option<TcpStream> {
    let sent = stream.write_all(format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes());
    // The client may have gone: it does not read what it does not want.
    if sent.is_ok() && method != "HEAD" {
        drop(stream.write_all(body));
    }
    head.contains(STALLS).then_some(stream)
}

/// A header by which an answer says that nothing follows for a long time.
const STALLS: &str = "X-Stalls: yes";

const ANACONDA: [&str; 2] = ["images/pxeboot/vmlinuz", "images/pxeboot/initrd.img"];
const TREEINFO: &str = "[images-x86_64]\nkernel = a b/vmlinuz\ninitrd = a b/initrd.img\n";

#[test]
fn a_tree_is_looked_at_and_only_what_is_wanted_is_fetched() {
    let server = Server::with_files(&["images/pxeboot/vmlinuz", "images/pxeboot/initrd.img"]);
    let files = server.files("fedora42").unwrap();
    assert_eq!(
        server.requests(),
        [
            "GET /tree/.treeinfo",
            "GET /tree/treeinfo",
            "HEAD /tree/images/pxeboot/vmlinuz",
            "HEAD /tree/images/pxeboot/initrd.img",
        ]
    );
    assert_eq!(read(files), ANACONDA);
    assert_eq!(
        server.requests()[4..],
        [
            "GET /tree/images/pxeboot/vmlinuz",
            "GET /tree/images/pxeboot/initrd.img"
        ]
    );
}

#[test]
fn treeinfo_is_read_under_either_name() {
    for (name, absent) in [
        (".treeinfo", "404 Not Found"),
        ("treeinfo", "403 Forbidden"),
    ] {
        let server = Server::new(move |_, path| {
            Some(match path.strip_prefix("/tree/").unwrap_or_default() {
                found if found == name => Answer::ok(TREEINFO),
                "a%20b/vmlinuz" => Answer::ok("a b/vmlinuz"),
                "a%20b/initrd.img" => Answer::ok("a b/initrd.img"),
                _ => Answer::status(absent),
            })
        });
        assert_eq!(
            read(server.files("rhel9").unwrap()),
            ["a b/vmlinuz", "a b/initrd.img"]
        );
    }
}

#[test]
fn kernel_and_initrd_are_those_that_the_treeinfo_speaks_of() {
    use sha2::{Digest, Sha256, Sha512};
    let sum = |path: &str| crate::fingerprint::hex(&Sha256::digest(path));
    let [kernel, initrd] = ANACONDA.map(sum);
    let long = crate::fingerprint::hex(&Sha512::digest(ANACONDA[0]));
    let both = |kernel: &str, initrd: &str| {
        format!("{} = {kernel}\n{}: {initrd}\n", ANACONDA[0], ANACONDA[1])
    };
    let wrong = "0".repeat(64);
    for (checksums, damaged) in [
        (
            both(&format!("sha256:{kernel}"), &format!("sha256:{initrd}")),
            None,
        ),
        (
            both(&format!("SHA256: {}", kernel.to_uppercase()), "md5:00"),
            None,
        ),
        (both(&format!("sha512:{long}"), "sha1:00"), None),
        (
            both(&format!("sha256:{wrong}"), &format!("sha256:{initrd}")),
            Some(0),
        ),
        (
            both(&format!("sha256:{kernel}"), &format!("sha256:{wrong}")),
            Some(1),
        ),
        (both(&format!("sha512:{kernel}"), ""), Some(0)),
        (both("sha256:", ""), Some(0)),
        (format!("{} = sha256:{wrong}\n", "images/boot.iso"), None),
        (String::new(), None),
    ] {
        // Whether `.treeinfo` names the pair, or only its checksums.
        for pair in [
            "",
            "[images-x86_64]\nkernel = images/pxeboot/vmlinuz\ninitrd = images/pxeboot/initrd.img\n",
        ] {
            let info = format!("[checksums]\n{checksums}\n[general]\narch = x86_64\n{pair}");
            let server = Server::new(move |_, path| {
                let path = path.strip_prefix("/tree/").unwrap_or_default();
                Some(match path {
                    ".treeinfo" => Answer::ok(&info),
                    _ if ANACONDA.contains(&path) => Answer::ok(path),
                    _ => Answer::status("404 Not Found"),
                })
            });
            let files = server.files("fedora42").unwrap();
            for (index, mut file) in [files.kernel, files.initrd].into_iter().enumerate() {
                // No more is read than there is.
                let mut bytes = vec![0; usize::try_from(file.length).unwrap()];
                let read = file.content.read_exact(&mut bytes);
                match damaged == Some(index) {
                    false => assert_eq!(
                        (read.unwrap(), bytes.as_slice()),
                        ((), ANACONDA[index].as_bytes())
                    ),
                    true => {
                        let error = read.unwrap_err().to_string();
                        let says = format!(
                            "{} in {} is another file than its .treeinfo says",
                            ANACONDA[index],
                            server.url()
                        );
                        assert!(error.starts_with(&says), "{error}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_mirrors_root_is_enough_for_debian() {
    const NET: [&str; 2] = [
        "dists/trixie/main/installer-amd64/current/images/netboot/debian-installer/amd64/linux",
        "dists/trixie/main/installer-amd64/current/images/netboot/debian-installer/amd64/initrd.gz",
    ];
    assert_eq!(
        read(Server::with_files(&NET).files("debian13").unwrap()),
        NET
    );
}

#[test]
fn servers_that_know_no_head_or_no_length_will_do() {
    for no_head in ["405 Method Not Allowed", "501 Not Implemented"] {
        let server = Server::new(move |method, path| {
            let path = path.strip_prefix("/tree/").unwrap_or_default();
            Some(match method {
                "HEAD" => Answer::status(no_head),
                _ if !ANACONDA.contains(&path) => Answer::status("404 Not Found"),
                // Ends where the connection does.
                _ => Answer("200 OK".into(), path.into()),
            })
        });
        assert_eq!(read(server.files("fedora42").unwrap()), ANACONDA);
    }
}

#[test]
fn redirects_are_followed_but_not_for_ever() {
    let server = Server::new(|_, path| {
        Some(match path.strip_prefix("/mirror") {
            Some(path) if ANACONDA.contains(&path.trim_start_matches('/')) => {
                Answer::ok(path.trim_start_matches('/'))
            }
            Some(_) => Answer::status("404 Not Found"),
            None => {
                let path = path.strip_prefix("/tree").unwrap();
                Answer::status(&format!("302 Found\r\nLocation: /mirror{path}"))
            }
        })
    });
    assert_eq!(read(server.files("fedora42").unwrap()), ANACONDA);

    let server =
        Server::new(|_, path| Some(Answer::status(&format!("302 Found\r\nLocation: {path}"))));
    let error = server.files("fedora42").unwrap_err();
    assert_eq!(error.kind, MediaErrorKind::Unreachable);
    assert!(
        error.message.contains("leads on more than 8 times"),
        "{error}"
    );
    assert_eq!(server.requests().len(), 9);
}

#[test]
fn nothing_there_is_told_apart_from_no_answer() {
    // The server runs, and has nothing of the kind.
    let server = Server::new(|_, path| {
        Some(match path {
            "/tree/" => Answer::ok("an index"),
            _ => Answer::status("404 Not Found"),
        })
    });
    let error = server.files("fedora42").unwrap_err();
    assert_eq!(error.kind, MediaErrorKind::NothingFound);
    assert!(
        error
            .message
            .contains("/tree: looked for .treeinfo, images/pxeboot/{vmlinuz,"),
        "{error}"
    );

    for (status, kind, message) in [
        (
            "404 Not Found",
            MediaErrorKind::NothingFound,
            "the server has no such directory; looked for",
        ),
        (
            "403 Forbidden",
            MediaErrorKind::NothingFound,
            "the server forbids some of it (403); looked for",
        ),
        (
            "401 Unauthorized",
            MediaErrorKind::Refused,
            "/tree/.treeinfo cannot be had: the server answers 401",
        ),
        (
            "503 Service Unavailable",
            MediaErrorKind::Refused,
            "the server answers 503 Service Unavailable",
        ),
    ] {
        let server = Server::new(move |_, _| Some(Answer::status(status)));
        let error = server.files("fedora42").unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(message), "{error}");
    }

    // Nobody listens any more.
    let server = Server::with_files(&[]);
    let url = server.url();
    drop(server);
    let error = Media::open(Medium::Url(url))
        .unwrap()
        .kernel_and_initrd(&Os::parse("fedora42").unwrap(), Arch::X86_64)
        .unwrap_err();
    assert_eq!(error.kind, MediaErrorKind::Unreachable);
    assert!(
        error
            .message
            .ends_with("cannot be reached: the connection is refused"),
        "{error}"
    );
}

#[test]
fn pages_about_missing_files_are_not_taken_for_files() {
    let server = Server::new(|_, _| {
        let page = "<html>not found</html>";
        let head = format!(
            "200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}",
            page.len()
        );
        Some(Answer(head, page.into()))
    });
    assert_eq!(
        server.files("fedora42").unwrap_err().kind,
        MediaErrorKind::NothingFound
    );
}

#[test]
fn what_is_no_web_server_is_unreachable() {
    let server = Server::new(|_, _| Some(Answer("garbage\0\r\n\r\n".into(), Vec::new())));
    let error = server.files("fedora42").unwrap_err();
    assert_eq!(error.kind, MediaErrorKind::Unreachable, "{error}");
    // Nor is one without TLS where TLS is wanted.
    let url = server.url().replace("http:", "https:");
    let error = BootFile::open(&format!("{url}/vmlinuz")).unwrap_err();
    assert_eq!(error.kind, MediaErrorKind::Unreachable, "{error}");
}

#[test]
fn lengths_are_held_to() {
    let server = Server::new(|method, path| {
        Some(match (method, path) {
            ("HEAD", "/tree/large") => Answer(
                format!("200 OK\r\nContent-Length: {}", (512 << 20) + 1),
                Vec::new(),
            ),
            ("HEAD", "/tree/changes") => Answer::ok("1234567"),
            ("GET", "/tree/changes") => Answer::ok("123456"),
            ("HEAD", "/tree/goes") => Answer::ok("1234567"),
            ("GET", "/tree/goes") => Answer::status("404 Not Found"),
            (_, "/tree/breaks") => Answer("200 OK\r\nContent-Length: 7".into(), b"123".to_vec()),
            _ => Answer::ok(""),
        })
    });
    let open = |name: &str| BootFile::open(&format!("{}/{name}", server.url()));
    assert_eq!(open("large").unwrap_err().kind, MediaErrorKind::TooLarge);
    assert_eq!(open("empty").unwrap_err().kind, MediaErrorKind::Damaged);
    for (name, message) in [
        ("changes", "changed on the server"),
        ("goes", "changed on the server"),
        ("breaks", "broke off"),
    ] {
        let error = open(name)
            .unwrap()
            .content
            .read_to_end(&mut Vec::new())
            .unwrap_err();
        assert!(error.to_string().contains(message), "{name}: {error}");
    }
}

#[test]
fn a_silent_server_is_not_waited_for_without_end() {
    let server = Server::new(|_, path| {
        (path == "/tree/stalls").then(|| {
            let head = format!("200 OK\r\nContent-Length: 7\r\n{STALLS}");
            Answer(head, b"123".to_vec())
        })
    });
    let short = Duration::from_millis(200);
    let patience = Patience {
        answer: short,
        stall: short,
        whole: Duration::from_secs(8),
        ..Patience::default()
    };
    let web = Web::with(&server.url(), patience).unwrap();
    let began = Instant::now();
    let error = web.find("silent").unwrap_err();
    assert_eq!(error.kind, Kind::Unreachable);
    assert!(error.message.contains("no answer in time"), "{error}");

    let (length, mut content) = web.open(web.find("stalls").unwrap().unwrap()).unwrap();
    let mut bytes = Vec::new();
    let error = content.read_to_end(&mut bytes).unwrap_err();
    assert_eq!((length, bytes.as_slice()), (7, &b"123"[..]));
    assert!(
        error.to_string().contains("/tree/stalls broke off"),
        "{error}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn each_reason_has_its_own_way_out() {
    use std::io::{Error, ErrorKind};
    for (error, message, hint) in [
        (
            ureq::Error::HostNotFound,
            "there is no host of that name",
            "can be resolved",
        ),
        (
            ureq::Error::Io(Error::other(
                "failed to lookup address information: Name or service not known",
            )),
            "the host's name cannot be resolved (failed to",
            "can be resolved",
        ),
        (
            ureq::Error::Io(Error::from(ErrorKind::ConnectionRefused)),
            "the connection is refused",
            "a web server listens",
        ),
        (
            ureq::Error::Io(Error::from(ErrorKind::ConnectionReset)),
            "connection reset",
            "curl -I",
        ),
        (
            ureq::Error::Io(Error::other("invalid peer certificate: UnknownIssuer")),
            "invalid peer certificate: UnknownIssuer",
            "certificate of the server's authority",
        ),
        (
            ureq::Error::Timeout(ureq::Timeout::Connect),
            "no answer in time",
            "curl -I",
        ),
    ] {
        let error = unreachable("https://mirror/tree/.treeinfo", &error);
        let expected = format!("https://mirror/tree/.treeinfo cannot be reached: {message}");
        assert!(error.message.starts_with(&expected), "{error}");
        assert!(error.hint.contains(hint), "{}", error.hint);
    }
}
