//! Install trees on a web server.

use std::cell::Cell;
use std::io::{self, Read, Seek};
use std::time::Duration;

use ureq::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use ureq::http::{Response, StatusCode};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, BodyReader};

use super::error::{Kind, MediaError};
use super::{LARGEST, SMALL};

const MOST_REDIRECTS: u32 = 8;

/// How long to wait.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// For a name server.
    resolve: Duration,
    /// For a connection.
    connect: Duration,
    /// For an answer.
    answer: Duration,
    /// For the next bytes.
    stall: Duration,
    /// For a whole file.
    whole: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            resolve: Duration::from_secs(20),
            connect: Duration::from_secs(20),
            answer: Duration::from_secs(60),
            stall: Duration::from_secs(60),
            whole: Duration::from_secs(3600),
        }
    }
}

/// A tree below a URL.
pub(super) struct Web {
    agent: Agent,
    /// Ends in a slash.
    base: String,
    /// Whether anything was refused with 403.
    forbidden: Cell<bool>,
}

/// A file of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WebEntry {
    url: String,
    /// `None` where the server does not say.
    pub(super) length: Option<u64>,
}

/// Whether a location is a URL at all, of whatever protocol.
pub(super) fn is_url(location: &str) -> bool {
    location.split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty()
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
    })
}

impl Web {
    /// A tree below that URL. Nothing is fetched yet.
    pub(super) fn new(url: &str) -> Result<Self, MediaError> {
        Self::with(url, Patience::default())
    }

    fn with(url: &str, patience: Patience) -> Result<Self, MediaError> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let unsupported = |what: &str, hint: &str| {
            Err(MediaError::new(
                Kind::Unsupported,
                format!("{} {what}", without_password(url)),
                hint,
            ))
        };
        if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
            return unsupported(
                "is neither http nor https",
                "name a tree that a web server serves, a directory or an ISO image",
            );
        }
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if host.contains('@') {
            return unsupported(
                "has a user name in it, which would stand in plans and logs",
                "serve the tree without a password, or mirror it",
            );
        }
        if host.is_empty() || rest.contains(['?', '#']) {
            return unsupported(
                "is no URL of a directory",
                "write it as in http://host/path/",
            );
        }
        // Not through a proxy to ourselves, whatever the environment says.
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let local = name == "localhost" || name == "[::1]" || name.starts_with("127.");
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(MOST_REDIRECTS)
            .user_agent(concat!("miniascape/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(patience.resolve))
            .timeout_connect(Some(patience.connect))
            .timeout_recv_response(Some(patience.answer))
            .timeout_per_read(Some(patience.stall))
            .timeout_per_write(Some(patience.stall))
            .timeout_recv_body(Some(patience.whole))
            // The certificates that this machine trusts: a lab's mirror may have its own authority.
            .tls_config(
                TlsConfig::builder()
                    .root_certs(RootCerts::PlatformVerifier)
                    .build(),
            );
        if local {
            config = config.proxy(None);
        }
        let slash = if url.ends_with('/') { "" } else { "/" };
        Ok(Self {
            agent: config.build().into(),
            base: format!("{url}{slash}"),
            forbidden: Cell::new(false),
        })
    }

    /// Looks for a file, without fetching it.
    pub(super) fn find(&self, path: &str) -> Result<Option<WebEntry>, MediaError> {
        self.probe(self.url(path))
    }

    /// What the server says of the location itself, where nothing was found below it.
    pub(super) fn verdict(&self) -> Verdict {
        match self
            .agent
            .head(&self.base)
            .call()
            .map(|answer| answer.status())
        {
            Ok(StatusCode::NOT_FOUND | StatusCode::GONE) => Verdict::Missing,
            Ok(_) | Err(_) if self.forbidden.get() => Verdict::Forbidden,
            Ok(_) | Err(_) => Verdict::There,
        }
    }

    fn probe(&self, url: String) -> Result<Option<WebEntry>, MediaError> {
        let head = self
            .agent
            .head(&url)
            .call()
            .map_err(|error| unreachable(&url, &error))?;
        let answer = match head.status() {
            // Some servers know only GET. The body is dropped unread.
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => self.get(&url)?,
            _ => head,
        };
        Ok(self.is_there(&url, &answer)?.then(|| WebEntry {
            length: length(&answer),
            url,
        }))
    }

    /// Fetches a small file, if it is there; at most [`SMALL`] bytes of it.
    pub(super) fn small(&self, path: &str) -> Result<Option<String>, MediaError> {
        let url = self.url(path);
        let answer = self.get(&url)?;
        if !self.is_there(&url, &answer)? {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        answer
            .into_body()
            .into_reader()
            .take(SMALL)
            .read_to_end(&mut bytes)
            .map_err(|error| broken(&url, &error))?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Opens a file that was found: its length, and its bytes. Where the server has told the length, the request is made at
    /// the first read, so that no connection idles; else the file is fetched now, to count it.
    pub(super) fn open(&self, found: WebEntry) -> Result<(u64, Box<dyn Read + Send>), MediaError> {
        if let Some(length) = found.length {
            let file = WebFile {
                agent: self.agent.clone(),
                url: found.url,
                length,
                body: None,
            };
            return Ok((length, Box::new(file)));
        }
        let answer = self.get(&found.url)?;
        let failed = |error: io::Error| broken(&found.url, &error);
        if !self.is_there(&found.url, &answer)? {
            return Err(failed(io::Error::other("it is no longer there")));
        }
        let mut spool = tempfile::tempfile().map_err(failed)?;
        let mut body = answer.into_body().into_reader().take(LARGEST + 1);
        let length = io::copy(&mut body, &mut spool).map_err(failed)?;
        spool.rewind().map_err(failed)?;
        Ok((length, Box::new(spool)))
    }

    fn get(&self, url: &str) -> Result<Response<Body>, MediaError> {
        self.agent
            .get(url)
            .call()
            .map_err(|error| unreachable(url, &error))
    }

    /// Whether an answer is the file that was asked for. A page about a missing file is not.
    fn is_there(&self, url: &str, answer: &Response<Body>) -> Result<bool, MediaError> {
        let status = answer.status();
        match status {
            StatusCode::OK => Ok(!answer
                .headers()
                .get(CONTENT_TYPE)
                .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))),
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(false),
            // What some stores say of files that they do not have.
            StatusCode::FORBIDDEN => {
                self.forbidden.set(true);
                Ok(false)
            }
            _ => Err(MediaError::new(
                Kind::Refused,
                format!("{url} cannot be had: the server answers {status}"),
                match status {
                    StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                        "serve the tree without a password, or mirror it"
                    }
                    _ => "try again later, or name another mirror",
                },
            )),
        }
    }

    fn url(&self, path: &str) -> String {
        let mut url = self.base.clone();
        for byte in path.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                    url.push(char::from(byte));
                }
                _ => url.push_str(&format!("%{byte:02X}")),
            }
        }
        url
    }
}

/// What became of a location below which nothing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The server knows it, or does not say.
    There,
    /// The server has no such place.
    Missing,
    /// The server refused what was looked for.
    Forbidden,
}

/// A file on a server, read as a stream.
struct WebFile {
    agent: Agent,
    url: String,
    length: u64,
    body: Option<BodyReader<'static>>,
}

impl WebFile {
    fn request(&self) -> io::Result<BodyReader<'static>> {
        let answer = self
            .agent
            .get(&self.url)
            .call()
            .map_err(|error| io::Error::other(unreachable(&self.url, &error)))?;
        if answer.status() != StatusCode::OK || length(&answer).is_some_and(|n| n != self.length) {
            return Err(io::Error::other(format!(
                "{} changed on the server since it was looked for",
                self.url
            )));
        }
        Ok(answer.into_body().into_reader())
    }
}

impl Read for WebFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let body = match &mut self.body {
            Some(body) => body,
            None => {
                let body = self.request()?;
                self.body.insert(body)
            }
        };
        body.read(buffer)
            .map_err(|error| io::Error::new(error.kind(), broken(&self.url, &error)))
    }
}

fn length(answer: &Response<Body>) -> Option<u64> {
    answer
        .headers()
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// A server that gives no answer.
fn unreachable(url: &str, error: &ureq::Error) -> MediaError {
    let try_it = "see that the address is right and the server runs: curl -I shows what it answers";
    let name = "see that the name is right and can be resolved here";
    let (what, hint) = match error {
        ureq::Error::HostNotFound => ("there is no host of that name".to_owned(), name),
        // The standard library has no kind of its own for it.
        ureq::Error::Io(error) if error.to_string().contains("lookup address") => (
            format!("the host's name cannot be resolved ({error})"),
            name,
        ),
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => (
            "the connection is refused".to_owned(),
            "see that the port is right and a web server listens there",
        ),
        ureq::Error::Timeout(during) => (format!("no answer in time ({during})"), try_it),
        ureq::Error::TooManyRedirects => (
            format!("it leads on more than {MOST_REDIRECTS} times"),
            "name the address where it ends",
        ),
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => (
            error.to_string(),
            "install the certificate of the server's authority on this machine, or use http",
        ),
        // ureq wraps what its TLS finds.
        ureq::Error::Io(inner) if inner.to_string().contains("certificate") => (
            inner.to_string(),
            "install the certificate of the server's authority on this machine, or use http",
        ),
        ureq::Error::Io(error) => (error.to_string(), try_it),
        other => (other.to_string(), try_it),
    };
    MediaError::new(
        Kind::Unreachable,
        format!("{url} cannot be reached: {what}"),
        hint,
    )
}

/// A transfer that broke off.
fn broken(url: &str, error: &io::Error) -> MediaError {
    MediaError::new(
        Kind::Unreachable,
        format!("{url} broke off: {error}"),
        "try again",
    )
}

/// A URL as it may be shown.
fn without_password(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let host_ends = rest.find('/').unwrap_or(rest.len());
            match rest[..host_ends].rfind('@') {
                Some(at) => format!("{scheme}://***@{}", &rest[at + 1..]),
                None => url.to_owned(),
            }
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests;
