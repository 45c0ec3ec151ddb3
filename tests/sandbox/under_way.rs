//! A run of miniascape that a test watches and disturbs.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::daemon::restart_if_it_hangs;
use crate::lab::Lab;

/// An apply that goes on while a test looks at its events.
pub struct UnderWay {
    child: Child,
    events: BufReader<ChildStdout>,
}

/// How an apply ended.
pub struct Ended {
    pub code: Option<i32>,
    /// Its standard error.
    pub told: String,
    /// How long it took from the last disturbance.
    pub after: Duration,
}

impl UnderWay {
    /// Begins `apply -y --json` with more arguments.
    pub fn apply(lab: &Lab, more: &[&str]) -> Self {
        // The run before may have been ended in the middle of its calls.
        restart_if_it_hangs();
        let mut child = Command::new(env!("CARGO_BIN_EXE_miniascape"))
            .args(["apply", "-y", "--json"])
            .args(more)
            .current_dir(lab.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let events = BufReader::new(child.stdout.take().unwrap());
        Self { child, events }
    }

    /// Waits for an event whose line has this.
    pub fn until(&mut self, part: &str) {
        let mut seen = String::new();
        loop {
            let from = seen.len();
            let count = self.events.read_line(&mut seen).unwrap();
            assert_ne!(count, 0, "no event has {part}:\n{seen}");
            if seen[from..].contains(part) {
                return;
            }
        }
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal: `INT`, `TERM`.
    pub fn signal(&self, name: &str) {
        let pid = self.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end, and wants it not to panic.
    pub fn end(mut self) -> Ended {
        let begin = Instant::now();
        let mut told = String::new();
        let mut errors = self.child.stderr.take().unwrap();
        // Events that nobody reads would stop it once the pipe is full.
        let mut events = self.events;
        let reader = std::thread::spawn(move || std::io::copy(&mut events, &mut std::io::sink()));
        errors.read_to_string(&mut told).unwrap();
        reader.join().unwrap().unwrap();
        let code = self.child.wait().unwrap().code();
        assert!(
            !told.contains("panicked") && !told.contains("bug in"),
            "{told}"
        );
        let after = begin.elapsed();
        Ended { code, told, after }
    }
}
