//! What is said while a plan runs, on standard error: a live view on a terminal, plain lines elsewhere.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::{Mutex, MutexGuard};

use super::diagnostic::alike::{self, Texts};
use super::plain::one_line;
use crate::address::Address;
use crate::diagnostic::Diagnostic;
use crate::execute::Event;
use crate::libvirt::HypervisorError;
use crate::secret::hide;

/// The width of addresses.
const ADDRESS_WIDTH: usize = 24;
/// How often a second the terminal is drawn anew at the most.
const REDRAWS: u8 = 10;
/// What goes without a word until then.
const SHORT: Duration = Duration::from_secs(3);
/// How often what changes in place is drawn anew at the least.
const TICK: Duration = Duration::from_millis(500);
/// How often a guest that is waited for is told of where lines cannot change in place.
const EACH: Duration = Duration::from_secs(60);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Lines that change in place, with elapsed times.
    Terminal,
    /// A line for each resource that is done.
    Lines,
    /// Only failures.
    Silent,
}

/// Tells of something that is waited for, until whoever holds the other end of the channel lets go of it; nothing where that is soon.
pub fn waiting(kind: Kind, text: &str, end: &Receiver<()>) {
    let goes_on = |time| end.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
    if !goes_on(SHORT) {
        return;
    }
    match kind {
        Kind::Terminal => {
            let bar = ProgressBar::new_spinner().with_elapsed(SHORT);
            bar.set_style(style("{msg} {elapsed}"));
            bar.set_message(shown(text));
            while goes_on(TICK) {
                bar.tick();
            }
            bar.finish_and_clear();
        }
        Kind::Lines => loop {
            drop(writeln!(std::io::stderr().lock(), "{}", shown(text)));
            if !goes_on(EACH) {
                break;
            }
        },
        Kind::Silent => {}
    }
}

/// Tells of a run as it goes on.
#[derive(Debug)]
pub struct Progress {
    kind: Kind,
    bars: MultiProgress,
    running: Mutex<BTreeMap<Address, ProgressBar>>,
    /// When something was last said of a guest that is waited for.
    said: Mutex<BTreeMap<Address, Instant>>,
    /// Since when data is moved, and when that was last said.
    moving: Mutex<BTreeMap<Address, (Instant, Instant)>>,
    /// What failed first of each failure that was told.
    failed: Mutex<HashMap<Texts, Address>>,
    total: ProgressBar,
}

impl Progress {
    /// The view of a run over so many resources.
    pub fn new(kind: Kind, total: usize) -> Self {
        let target = match kind {
            Kind::Terminal => ProgressDrawTarget::stderr_with_hz(REDRAWS),
            Kind::Lines | Kind::Silent => ProgressDrawTarget::hidden(),
        };
        let bars = MultiProgress::with_draw_target(target);
        let total = bars.add(ProgressBar::new(total as u64));
        total.set_style(style("      {pos} of {len} done, {elapsed}"));
        if kind == Kind::Terminal {
            total.enable_steady_tick(TICK);
        }
        Self {
            kind,
            bars,
            running: Mutex::new(BTreeMap::new()),
            said: Mutex::new(BTreeMap::new()),
            moving: Mutex::new(BTreeMap::new()),
            failed: Mutex::new(HashMap::new()),
            total,
        }
    }

    /// How it is shown.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Tells of an event.
    pub fn event(&self, event: &Event) {
        match event {
            Event::Started { address } => {
                let bar = self
                    .bars
                    .insert_before(&self.total, ProgressBar::new_spinner());
                bar.set_style(style("      {prefix} {wide_msg} {elapsed}"));
                bar.set_prefix(format!("{address:<ADDRESS_WIDTH$}"));
                bar.enable_steady_tick(TICK);
                self.running().insert(address.clone(), bar);
            }
            Event::Step {
                address,
                description,
            } => {
                if let Some(bar) = self.running().get(address) {
                    bar.set_message(shown(description));
                }
            }
            Event::Progress {
                address,
                done,
                total,
            } => self.moved(address, *done, *total),
            Event::Says { address, line } => self.says(address, line),
            Event::Note { address, text } if self.kind != Kind::Silent => self.line(address, text),
            Event::Note { .. } => {}
            Event::Finished { address, elapsed } => {
                self.ended(address);
                if self.kind != Kind::Silent {
                    self.line(address, &format!("done in {:.1} s", elapsed.as_secs_f64()));
                }
            }
            Event::Failed {
                address,
                description,
                error,
            } => {
                self.ended(address);
                self.failure(address, description, error);
            }
            Event::Skipped { address, because } => {
                self.ended(address);
                if self.kind != Kind::Silent {
                    self.line(address, &format!("not done, since {because} failed"));
                }
            }
        }
    }

    /// Tells why something failed, and how to mend it; of more that fail alike no more than that.
    fn failure(&self, address: &Address, step: &str, error: &HypervisorError) {
        let problem = Diagnostic {
            hint: error.hint.clone(),
            ..Diagnostic::error(format!("{address} failed to {}", error.message))
        };
        let mut failed = self.failed.lock();
        // Held until it is told: those that are as it come after it.
        let first = failed
            .entry(alike::texts(&problem))
            .or_insert_with(|| address.clone());
        if first != address {
            self.line(address, &format!("failed to {step}, as {first}"));
            return;
        }
        let hint = error.hint.iter().map(|hint| format!("hint: {hint}"));
        let told = std::iter::once(format!("failed to {}", error.message)).chain(hint);
        let lines: Vec<String> = told
            .flat_map(|text| text.lines().map(shown).collect::<Vec<_>>())
            .collect();
        // In one, so that no other thread's lines come between.
        let indent = format!("\n{:ADDRESS_WIDTH$} ", "");
        self.say(&format!(
            "{address:<ADDRESS_WIDTH$} {}",
            lines.join(&indent)
        ));
    }

    /// Tells how far data is that is moved; where lines cannot change in place, once a minute.
    fn moved(&self, address: &Address, done: u64, total: u64) {
        let now = Instant::now();
        let mut moving = self.moving.lock();
        let (begun, said) = moving.entry(address.clone()).or_insert((now, now));
        if done == 0 {
            (*begun, *said) = (now, now);
        }
        let is_due = self.kind == Kind::Lines && now.duration_since(*said) >= EACH;
        let told = moved(done, total, now.duration_since(*begun));
        if is_due {
            *said = now;
        }
        drop(moving);
        if let Some(bar) = self.running().get(address) {
            bar.set_message(told.clone());
        }
        if is_due {
            self.line(address, &told);
        }
    }

    /// Tells what a guest that is waited for printed last; where lines cannot change in place, one a minute.
    fn says(&self, address: &Address, line: &str) {
        if let Some(bar) = self.running().get(address) {
            bar.set_message(shown(line));
        }
        if self.kind == Kind::Lines {
            let mut said = self.said.lock();
            let now = Instant::now();
            let due = |last: &Instant| now.duration_since(*last) >= EACH;
            if said.get(address).is_none_or(due) {
                said.insert(address.clone(), now);
                self.line(address, line);
            }
        }
    }

    /// Says something as the process ends, whoever holds the terminal.
    pub fn last_word(&self, line: &str) {
        // What changes in place stays where it is: below it, and over nothing.
        let begin = match self.kind {
            Kind::Terminal => "\r\n\u{1b}[J",
            Kind::Lines | Kind::Silent => "",
        };
        let _ = rustix::io::write(std::io::stderr(), format!("{begin}{line}\n").as_bytes());
    }

    /// Clears what changes in place.
    pub fn finish(&self) {
        for (_, bar) in std::mem::take(&mut *self.running()) {
            bar.finish_and_clear();
        }
        self.total.finish_and_clear();
    }

    fn ended(&self, address: &Address) {
        if let Some(bar) = self.running().remove(address) {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
        self.total.inc(1);
    }

    fn line(&self, address: &Address, text: &str) {
        self.say(&format!("{address:<ADDRESS_WIDTH$} {}", shown(text)));
    }

    /// Says something that is about no single resource.
    pub fn say(&self, line: &str) {
        // A line that cannot be written is no reason to stop the run; `eprintln!` would panic.
        match self.kind {
            Kind::Terminal => drop(self.bars.println(line)),
            Kind::Lines | Kind::Silent => drop(writeln!(std::io::stderr().lock(), "{line}")),
        }
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<Address, ProgressBar>> {
        self.running.lock()
    }
}

/// What libvirt or a guest said, as it may be shown.
fn shown(text: &str) -> String {
    one_line(&hide(text)).into_owned()
}

/// How far data is that is moved: `512 of 2048 MiB, 25 %, 410 MiB/s, 4 s left`. Whole MiB, as exact bytes would flicker; what is left
/// is told once there is a second to go by.
fn moved(done: u64, total: u64, elapsed: Duration) -> String {
    let mib = |bytes: u64| bytes >> 20;
    let mut told = format!("{} of {} MiB", mib(done), mib(total));
    if let Some(percent) = (u128::from(done) * 100).checked_div(u128::from(total)) {
        let _ = write!(told, ", {} %", percent.min(100));
    }
    let rate = u128::from(done) * 1000 / elapsed.as_millis().max(1);
    if elapsed >= Duration::from_secs(1) && rate > 0 {
        let left = u128::from(total.saturating_sub(done)).div_ceil(rate);
        let _ = write!(told, ", {} MiB/s, ", rate >> 20);
        let _ = match left {
            0..120 => write!(told, "{left} s left"),
            _ => write!(told, "{} min left", left / 60),
        };
    }
    told
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::libvirt::{ErrorKind, HypervisorError};

    /// Every event there is, also for resources that never began and with sizes that make no sense.
    fn events() -> Vec<Event> {
        let address = |text: &str| text.parse::<Address>().unwrap();
        let web = address("guest.web");
        vec![
            Event::Started {
                address: web.clone(),
            },
            Event::Step {
                address: web.clone(),
                description: "start guest web {with braces}".to_owned(),
            },
            Event::Progress {
                address: web.clone(),
                done: u64::MAX,
                total: 0,
            },
            Event::Progress {
                address: address("image.never-begun"),
                done: 0,
                total: u64::MAX,
            },
            Event::Note {
                address: web.clone(),
                text: "stays as it is".to_owned(),
            },
            Event::Finished {
                address: web.clone(),
                elapsed: Duration::MAX,
            },
            Event::Finished {
                address: web.clone(),
                elapsed: Duration::ZERO,
            },
            Event::Failed {
                address: address("guest.db"),
                description: "start guest db".to_owned(),
                error: HypervisorError {
                    kind: ErrorKind::Failed,
                    message: "start guest db: no memory".to_owned(),
                    hint: None,
                },
            },
            Event::Skipped {
                address: address("guest.front"),
                because: address("guest.db"),
            },
        ]
    }

    #[test]
    fn every_event_is_taken_in_any_order() {
        for kind in [Kind::Terminal, Kind::Lines, Kind::Silent] {
            let progress = Progress::new(kind, 1);
            for event in events().iter().chain(events().iter().rev()) {
                progress.event(event);
            }
            progress.finish();
            progress.finish();
            assert!(progress.running().is_empty());
        }
    }

    #[test]
    fn what_is_moved_is_told_with_rate_and_time_left() {
        let told = |done: u64, total: u64, seconds| {
            moved(done << 20, total << 20, Duration::from_secs(seconds))
        };
        assert_eq!(told(0, 2048, 0), "0 of 2048 MiB, 0 %");
        assert_eq!(
            told(512, 2048, 2),
            "512 of 2048 MiB, 25 %, 256 MiB/s, 6 s left"
        );
        assert_eq!(told(1, 2048, 1), "1 of 2048 MiB, 0 %, 1 MiB/s, 34 min left");
        assert_eq!(
            told(2048, 2048, 8),
            "2048 of 2048 MiB, 100 %, 256 MiB/s, 0 s left"
        );
        assert_eq!(told(0, 0, 9), "0 of 0 MiB");
        assert_eq!(told(0, 5, 9), "0 of 5 MiB, 0 %");
        moved(u64::MAX, 1, Duration::MAX);
        moved(1, u64::MAX, Duration::from_secs(1));
    }

    #[test]
    fn what_was_said_elsewhere_is_shown_as_it_may_be() {
        let said = "two\nlines \u{1b}[2J password=x";
        assert_eq!(shown(said), "two\\nlines \\u{1b}[2J password=(hidden)");
    }

    #[test]
    fn without_a_terminal_nothing_is_drawn() {
        for kind in [Kind::Lines, Kind::Silent] {
            assert!(Progress::new(kind, 3).bars.is_hidden(), "{kind:?}");
        }
    }
}
