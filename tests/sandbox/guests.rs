//! Talking to guests: names by DNS (RFC 1035), pages by HTTP, with nothing between the test and the network.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// How long a guest may take from its start to its first page, without hardware virtualization and beside others.
const PATIENCE: Duration = Duration::from_secs(120);

/// Asks a network's name server for the address of a name.
pub fn resolve(server: &str, name: &str) -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    let mut question = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        question.push(u8::try_from(label.len()).unwrap());
        question.extend(label.as_bytes());
    }
    question.extend([0, 0, 1, 0, 1]);
    socket.send_to(&question, (server, 53)).ok()?;
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer).ok()?;
    let answer = &answer[..length];
    let answers = u16::from_be_bytes([*answer.get(6)?, *answer.get(7)?]);
    // Of an answer with one A record, the last four bytes are the address.
    (answers > 0).then(|| {
        let bytes: [u8; 4] = answer[length - 4..].try_into().unwrap();
        Ipv4Addr::from(bytes)
    })
}

/// The body of a page.
pub fn get(ip: IpAddr, path: &str) -> Option<String> {
    let address = SocketAddr::new(ip, 80);
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
    let mut response = String::new();
    stream.read_to_string(&mut response).ok()?;
    let (head, body) = response.split_once("\r\n\r\n")?;
    head.contains(" 200 ").then(|| body.trim().to_owned())
}

/// Waits until a guest, found by its name through its network's name server, has the address it should have and serves
/// its own name.
pub fn serves(server: &str, fqdn: &str, ip: &str) {
    let until = Instant::now() + PATIENCE;
    let hostname = fqdn.split('.').next().unwrap();
    loop {
        let resolved = resolve(server, fqdn);
        let page = resolved.and_then(|ip| get(IpAddr::V4(ip), "/"));
        if page.as_deref() == Some(hostname) {
            assert_eq!(resolved.unwrap().to_string(), ip, "{fqdn}");
            return;
        }
        assert!(
            Instant::now() < until,
            "{fqdn} does not answer: resolved to {resolved:?}, page {page:?}"
        );
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// Waits until an address answers.
pub fn answers(ip: &str) {
    let until = Instant::now() + PATIENCE;
    while get(ip.parse().unwrap(), "/").is_none() {
        assert!(Instant::now() < until, "{ip} does not answer");
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// Seconds since a guest booted, as it says itself.
pub fn uptime(ip: &str) -> f64 {
    let page = get(ip.parse().unwrap(), "/uptime").expect("the guest tells its uptime");
    page.split_whitespace().next().unwrap().parse().unwrap()
}
