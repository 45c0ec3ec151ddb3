//! Unattended installs on libvirt: the volumes that an installer is booted from, and waiting for its end.

use std::io::Read;
use std::time::{Duration, Instant};

use virt::domain::Domain;
use virt::stream::Stream;
use virt::sys;

use super::connection::Connection;
use super::error::StepError;
use super::observe::{parse, power_of};
use super::observed::{InstallMark, InstallPhase, Power, install_mark};
use super::port::{ErrorKind, Monitor};
use super::ranges::VolumeReader;
use super::raw::{self, Held};
use crate::install::initrd::{self, InitrdFile, InitrdWith};
use crate::install::media::{Arch, BootFile, BootFiles, Media, Medium};
use crate::lab::model::install::Location;
use crate::step::{Named, Stage, StagePart};
use crate::xml::merge::merge;
use crate::xml::tree::Element;

/// How often an installer is looked at.
const POLL: Duration = Duration::from_secs(1);
/// More of a console's log than this is not read at once.
const MOST_LOG: usize = 16 << 20;
/// Lines of the console that an error tells.
const LAST_LINES: usize = 8;

impl Connection {
    /// Makes the volumes of an install. Those of an earlier attempt are removed: what is in them may be half of something.
    pub(super) fn stage_install(
        &self,
        pool: &Named,
        stage: &Stage,
        monitor: &dyn Monitor,
    ) -> Result<(), StepError> {
        let BootFiles { kernel, initrd } = self.boot_files(stage)?;
        let files: Vec<InitrdFile> = stage
            .inject
            .iter()
            .map(|(name, text)| InitrdFile::new(name, text.as_bytes()))
            .collect();
        let archive =
            initrd::archive(&files).map_err(|error| StepError::ours(error.to_string()))?;
        let initrd = InitrdWith::new(initrd.content, initrd.length, archive);
        let initrd_length = initrd.total_len();
        for part in StagePart::ALL {
            self.delete_volume(pool, &part.volume(&stage.guest), None)?;
        }
        self.put(
            pool,
            stage,
            StagePart::Kernel,
            kernel.content,
            kernel.length,
            monitor,
        )?;
        self.put(
            pool,
            stage,
            StagePart::Initrd,
            initrd,
            initrd_length,
            monitor,
        )?;
        if let Some(seed) = &stage.seed {
            self.put(
                pool,
                stage,
                StagePart::Seed,
                &seed[..],
                seed.len() as u64,
                monitor,
            )?;
        }
        // QEMU's log is made here, empty, so that the pool knows it, and it can be read as any volume.
        self.create_volume(pool, &volume(stage, StagePart::Log, 0).into())
    }

    /// Finds the installer's kernel and initrd.
    fn boot_files(&self, stage: &Stage) -> Result<BootFiles, StepError> {
        let medium = match &stage.location {
            Location::Kernel { kernel, initrd } => {
                return Ok(BootFiles {
                    kernel: BootFile::open(kernel)?,
                    initrd: BootFile::open(initrd)?,
                });
            }
            Location::Url { url } => Medium::Url(url.clone()),
            Location::Tree { path } => Medium::Tree(path.clone()),
            Location::Iso { path } => Medium::Iso(path.clone()),
            Location::Volume { pool, volume } => {
                let pool = stage.location_pool.as_deref().unwrap_or(pool.as_str());
                Medium::Reader {
                    name: format!("volume {volume} of pool {pool}"),
                    source: Box::new(VolumeReader::open(self, pool, volume)?),
                }
            }
        };
        let arch: Arch = stage.arch.parse()?;
        Ok(Media::open(medium)?.kernel_and_initrd(&stage.os, arch)?)
    }

    fn put(
        &self,
        pool: &Named,
        stage: &Stage,
        part: StagePart,
        content: impl Read,
        length: u64,
        monitor: &dyn Monitor,
    ) -> Result<(), StepError> {
        let name = part.volume(&stage.guest);
        self.create_volume(pool, &volume(stage, part, length).into())?;
        self.fill(pool, &name, content, length, &name, monitor)
    }

    /// Waits until a guest that is being installed is off.
    pub(super) fn await_install(
        &self,
        name: &Named,
        pool: &Named,
        done: Option<&str>,
        timeout: Duration,
        monitor: &dyn Monitor,
    ) -> Result<(), StepError> {
        let guest = self.guest(name)?;
        let log = StagePart::Log.volume(&name.name);
        let mut console = Console::default();
        let begin = Instant::now();
        loop {
            let power = power_of(&guest)?;
            if let Ok(more) = self.download(&pool.name, &log, console.read)
                && let Some(line) = console.take(&more)
            {
                monitor.says(line);
            }
            let stopped = |why: &str| StepError::Ours {
                kind: ErrorKind::Failed,
                message: format!("{why}{}", console.tail()),
                hint: Some(format!(
                    "its console is in the volume {log} of pool {pool}{}; the guest is left as it is, the next apply starts the install over",
                    self.volume(pool, &log, None)
                        .and_then(|volume| Ok(volume.path()?))
                        .map(|path| format!(" ({path})"))
                        .unwrap_or_default(),
                )),
            };
            match power {
                Power::Running | Power::Paused => {}
                Power::Crashed => return Err(stopped("the installer crashed")),
                Power::Off if is_done(&guest, &console.text, done)? => return Ok(()),
                Power::Off => {
                    return Err(stopped(
                        "the installer stopped before it said that it was done",
                    ));
                }
            }
            if monitor.is_interrupted() {
                return Err(StepError::Ours {
                    kind: ErrorKind::Interrupted,
                    message: "the install goes on by itself".to_owned(),
                    hint: Some("apply again to wait for its end".to_owned()),
                });
            }
            if begin.elapsed() >= timeout {
                return Err(StepError::Ours {
                    kind: ErrorKind::Failed,
                    message: format!(
                        "the installer was not done within {}{}",
                        duration(timeout),
                        console.tail()
                    ),
                    hint: Some(format!(
                        "look at it with `virsh console {name}`; its console's log is the volume {log} of pool {pool}; apply again to wait on, with a longer `install.timeout` if it is only slow, or start it over with `--replace`"
                    )),
                });
            }
            std::thread::sleep(POLL);
        }
    }

    /// Takes the installer out of a guest's definition as it is now: what libvirt and others put in stays.
    pub(super) fn settle_guest(
        &self,
        install: &Element,
        wanted: &Element,
    ) -> Result<(), StepError> {
        let guest = Named::of(wanted).ok_or_else(|| StepError::ours("the guest has no UUID"))?;
        let flags = sys::VIR_DOMAIN_XML_INACTIVE | sys::VIR_DOMAIN_XML_SECURE;
        let live = parse(&self.guest(&guest)?.xml_desc(flags)?)?;
        let merged = merge(std::slice::from_ref(install), &live, wanted);
        self.define_guest(&merged.target.into())
    }

    /// How far the install of a guest is, by its mark, its power and the installer's last words.
    pub(super) fn install_phase(
        &self,
        guest: &Domain,
        xml: &Element,
        power: Power,
    ) -> Result<Option<InstallPhase>, StepError> {
        let Some(InstallMark { pool, done }) = install_mark(xml) else {
            return Ok(None);
        };
        if power.is_active() {
            return Ok(Some(InstallPhase::Running));
        }
        let log = StagePart::Log.volume(&guest.name()?);
        let mut console = Console::default();
        // Without a log nothing says that it was done.
        if let Ok(text) = self.download(&pool, &log, 0) {
            console.take(&text);
        }
        Ok(Some(
            match is_done(guest, &console.text, done.as_deref())? {
                true => InstallPhase::Done,
                false => InstallPhase::Stopped,
            },
        ))
    }

    /// The bytes of a volume from an offset on, as far as they are there now.
    fn download(&self, pool: &str, name: &str, offset: u64) -> Result<Vec<u8>, StepError> {
        let volume = self.volume_to_read(pool, name)?;
        let stream = Held::new(Stream::new(&self.connect, 0)?);
        // A length of 0 is all that is there.
        volume.download(&stream, offset, 0, 0)?;
        let mut all = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        let received = loop {
            match stream.recv(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(count) => all.extend_from_slice(&buffer[..usize::try_from(count).unwrap_or(0)]),
                Err(error) => break Err(error),
            }
            if all.len() > MOST_LOG {
                break Ok(());
            }
        };
        match received {
            Ok(()) if all.len() <= MOST_LOG => raw::finish(&stream)?,
            Ok(()) => raw::abort(&stream),
            Err(error) => {
                raw::abort(&stream);
                return Err(error.into());
            }
        }
        Ok(all)
    }
}

/// `90 s`, `45 min`
fn duration(of: Duration) -> String {
    match of.as_secs() {
        seconds if seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

/// Whether an installer that is off was done: it said so, or, where nothing says so, the guest powered itself off.
fn is_done(guest: &Domain, console: &str, done: Option<&str>) -> Result<bool, StepError> {
    match done {
        Some(done) => Ok(console.contains(done)),
        None => {
            let (state, reason) = raw::state(guest)?;
            let shutdown = (
                sys::VIR_DOMAIN_SHUTOFF,
                sys::VIR_DOMAIN_SHUTOFF_SHUTDOWN as i32,
            );
            Ok((state, reason) == shutdown)
        }
    }
}

/// The definition of a volume of an install.
fn volume(stage: &Stage, part: StagePart, capacity: u64) -> Element {
    let format = Element::new("format").with("type", "raw");
    Element::new("volume")
        .with_child(Element::new("name").with_text(part.volume(&stage.guest)))
        .with_child(
            Element::new("capacity")
                .with("unit", "bytes")
                .with_text(capacity.to_string()),
        )
        .with_child(Element::new("target").with_child(format))
}

/// What an installer printed, as text without the terminal's control sequences.
#[derive(Debug, Default)]
struct Console {
    /// How many bytes of the log are read.
    read: u64,
    text: String,
    last: String,
}

impl Console {
    /// Takes in more of the log, and gives the last line if it is another one.
    fn take(&mut self, more: &[u8]) -> Option<&str> {
        self.read += more.len() as u64;
        self.text.push_str(&plain(&String::from_utf8_lossy(more)));
        let line = self
            .text
            .lines()
            .rev()
            .map(str::trim)
            .find(|line| !line.is_empty())?;
        if line == self.last {
            return None;
        }
        self.last = line.to_owned();
        Some(&self.last)
    }

    /// The last lines, for an error.
    fn tail(&self) -> String {
        let lines: Vec<&str> = self
            .text
            .lines()
            .map(str::trim_end)
            .filter(|line| !line.is_empty())
            .collect();
        let from = lines.len().saturating_sub(LAST_LINES);
        match lines.is_empty() {
            true => "; it printed nothing to the serial console".to_owned(),
            false => format!("; it printed last:\n  {}", lines[from..].join("\n  ")),
        }
    }
}

/// Takes the control sequences of a terminal (ECMA-48) out of a text.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => match chars.next() {
                Some('[') => {
                    // Parameters, then one final character.
                    for c in chars.by_ref() {
                        if ('\u{40}'..='\u{7e}').contains(&c) {
                            // Moving the cursor is how full-screen installers begin a line.
                            if matches!(c, 'H' | 'f' | 'd' | 'E') {
                                out.push('\n');
                            }
                            break;
                        }
                    }
                }
                Some('(' | ')') => drop(chars.next()),
                Some(_) | None => {}
            },
            '\r' => out.push('\n'),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_is_read_as_lines() {
        let mut console = Console::default();
        assert_eq!(
            console.take(b"\x1b[2J\x1b[1;1HLoading\r\n"),
            Some("Loading")
        );
        assert_eq!(console.take(b"\r\n"), None);
        assert_eq!(console.take(b"\x1b(0q\x1b[31m50%\x1b[0m"), Some("q50%"));
        assert!(
            console.tail().ends_with("Loading\n  q50%"),
            "{}",
            console.tail()
        );
        assert_eq!(console.read, 19 + 2 + 16);
    }

    #[test]
    fn a_torn_sequence_is_no_panic() {
        for text in ["\u{1b}", "\u{1b}[", "\u{1b}[12", "\u{1b}("] {
            assert_eq!(plain(text), "");
        }
    }
}
