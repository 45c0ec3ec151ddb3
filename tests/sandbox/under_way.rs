//! A run of miniascape that a test watches and disturbs.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

use crate::daemon::restart_if_it_hangs;
use crate::lab::{Lab, inventory, success};

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

/// Runs a command, and looks at the lab in every way until it ends: nothing of the lab's may look like somebody else's.
fn look_during(lab: &Lab, command: &str) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_miniascape"))
        .args([command, "-y", "--quiet"])
        .current_dir(lab.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut told = 0;
    for _ in 0..1000 {
        if child.try_wait().unwrap().is_some() {
            break;
        }
        for arguments in [
            &["plan"][..],
            &["status"],
            &["plan", "--refresh-only", "--detailed-exitcode"],
        ] {
            let output = lab.run(arguments);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(
                output.status.code(),
                Some(0),
                "{arguments:?} during {command}: {}{errors}",
                String::from_utf8_lossy(&output.stdout)
            );
            assert!(!errors.contains("warning"), "{arguments:?}: {errors}");
            let who = format!("note: another miniascape (pid {} on ", child.id());
            told += usize::from(errors.contains(&who));
        }
    }
    assert!(child.wait().unwrap().success());
    assert_ne!(told, 0, "nobody looked during {command}");
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn who_looks_during_a_run_sees_nobody_elses_things() {
    let before = inventory();
    let mut definition = "lab: under
pools: {under: {path: @DIR@/pool}}
common: {memory: 16MiB, running: false}
networks:
"
    .to_owned();
    for number in 0..10 {
        definition += &format!("  n{number}: {{mode: isolated, bridge: under{number}}}\n");
    }
    definition += "guests:\n";
    for number in 0..60 {
        definition += &format!(
            "  g{number}: {{disks: {{root: {{pool: under, size: 1MiB}}}}, interfaces: {{eth0: {{network: n{}}}}}}}\n",
            number % 10
        );
    }
    let lab = Lab::new(&definition);
    look_during(&lab, "apply");
    lab.is_settled();
    look_during(&lab, "destroy");
    assert_eq!(inventory(), before);
}

/// The end of a FIFO to write to, as soon as somebody reads it.
fn read_by_somebody(fifo: &std::path::Path) -> File {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    for _ in 0..500 {
        match OpenOptions::new()
            .write(true)
            .custom_flags(flags)
            .open(fifo)
        {
            Ok(file) => return file,
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    panic!("nobody reads {}", fifo.display());
}

#[test]
#[ignore = "needs scripts/sandbox"]
fn what_was_seen_before_a_run_ended_is_looked_at_again() {
    for (arguments, told) in [
        (&["plan"][..], "Nothing to do: 4 resources"),
        (&["apply", "-y"], "Nothing to do: 4 resources"),
        (&["import", "--all"], "4 were this lab's already"),
    ] {
        let lab = Lab::new(
            "lab: ended
pools: {ended: {path: @DIR@/pool}}
networks: {ended: {mode: isolated}}
guests:
  one: {memory: 16MiB, running: false, disks: {root: {pool: ended, size: 1MiB}}, interfaces: {eth0: {network: ended}}}
",
        );
        let fifo = lab.path().join("fifo");
        success(
            &Command::new("mkfifo").arg(&fifo).output().unwrap(),
            &["mkfifo"],
        );
        // It looks while it reads the definition, and waits for the variables of that.
        let late = Command::new(env!("CARGO_BIN_EXE_miniascape"))
            .args(arguments)
            .args(["--var-file", "fifo"])
            .current_dir(lab.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut variables = read_by_somebody(&fifo);
        lab.apply(&[]);
        variables.write_all(b"unused: 1\n").unwrap();
        drop(variables);
        let output = success(&late.wait_with_output().unwrap(), arguments);
        assert!(output.contains(told), "{arguments:?}: {output}");
        lab.destroy();
    }
}
