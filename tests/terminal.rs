//! What the program does on a terminal: colours, the question before a change, and signals while it stands.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

const HELLO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/hello");

/// The program on a terminal of its own.
struct Terminal {
    child: Child,
    master: File,
    told: String,
}

impl Terminal {
    fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let end: OwnedFd = open(name, flags, Mode::empty()).unwrap();
        let stream = || Stdio::from(end.try_clone().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_miniascape"));
        command
            .args(arguments)
            .args(["-C", HELLO, "-c", "test:///default"])
            .current_dir(std::env::temp_dir());
        for variable in [
            "CLICOLOR",
            "CLICOLOR_FORCE",
            "NO_COLOR",
            "TERM",
            "RUST_BACKTRACE",
        ] {
            command.env_remove(variable);
        }
        let child = command
            .envs(environment.iter().copied())
            .stdin(stream())
            .stdout(stream())
            .stderr(stream())
            .spawn()
            .unwrap();
        Self {
            child,
            master: master.into(),
            told: String::new(),
        }
    }

    /// Reads until a text is there, or to the end.
    fn until(&mut self, text: &str) -> &mut Self {
        let mut bytes = [0; 4096];
        while !self.told.contains(text) {
            let mut ready = [PollFd::new(&self.master, PollFlags::IN)];
            let patience = Timespec::try_from(Duration::from_secs(60)).unwrap();
            assert_ne!(
                poll(&mut ready, Some(&patience)).unwrap(),
                0,
                "it hangs: {}",
                self.told
            );
            // Once the other side is closed, there is an error to read.
            match self.master.read(&mut bytes) {
                Ok(count) if count > 0 => {
                    self.told += &String::from_utf8_lossy(&bytes[..count]);
                }
                Ok(_) | Err(_) => break,
            }
        }
        self
    }

    fn ends(mut self) -> (Option<i32>, String) {
        self.until("\0");
        let code = self.child.wait().unwrap().code();
        for text in ["panicked", "bug in miniascape"] {
            assert!(!self.told.contains(text), "{}", self.told);
        }
        (code, self.told)
    }
}

const XTERM: (&str, &str) = ("TERM", "xterm-256color");

#[test]
fn a_signal_at_the_question_is_no_consent() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut terminal = Terminal::run(&["apply"], &[XTERM]);
        terminal.until("[y/N] ");
        let pid = Pid::from_child(&terminal.child);
        kill_process(pid, signal).unwrap();
        let (code, told) = terminal.ends();
        assert_eq!(code, Some(130), "{signal:?}: {told}");
        assert!(
            told.ends_with("[y/N] \r\nNothing was changed.\r\n"),
            "{told}"
        );
    }
}

#[test]
fn half_an_answer_does_not_hold_a_signal_up() {
    let mut terminal = Terminal::run(&["apply"], &[XTERM]);
    terminal.until("[y/N] ").master.write_all(b"ye").unwrap();
    kill_process(Pid::from_child(&terminal.child), Signal::TERM).unwrap();
    let (code, told) = terminal.ends();
    assert_eq!(code, Some(130), "{told}");
}

#[test]
fn only_yes_is_consent() {
    for (answer, code, last) in [
        ("y\n", 0, "Applied in"),
        ("yes\n", 0, "Applied in"),
        ("\n", 1, "Nothing was changed."),
        ("no\n", 1, "Nothing was changed."),
        ("yesterday\n", 1, "Nothing was changed."),
        // The end of input.
        ("\u{4}", 1, "Nothing was changed."),
    ] {
        let mut terminal = Terminal::run(&["apply"], &[XTERM]);
        terminal
            .until("[y/N] ")
            .master
            .write_all(answer.as_bytes())
            .unwrap();
        let (ended, told) = terminal.ends();
        assert_eq!(ended, Some(code), "{answer:?}: {told}");
        assert!(told.contains(last), "{answer:?}: {told}");
    }
}

#[test]
fn colours_are_for_terminals_that_can_and_people_who_want_them() {
    let coloured = |environment: &[(&str, &str)], arguments: &[&str]| {
        let (code, told) = Terminal::run(&[&["plan"], arguments].concat(), environment).ends();
        assert_eq!(code, Some(0), "{told}");
        told.contains('\u{1b}')
    };
    let dumb = ("TERM", "dumb");
    assert!(coloured(&[XTERM], &[]));
    assert!(coloured(&[XTERM, ("NO_COLOR", "")], &[]));
    assert!(coloured(&[dumb, ("CLICOLOR_FORCE", "1")], &[]));
    assert!(coloured(&[dumb], &["--color", "always"]));
    for environment in [
        &[][..],
        &[dumb],
        &[dumb, ("CLICOLOR", "1")],
        &[dumb, ("CI", "true")],
        &[("TERM", "")],
        &[XTERM, ("NO_COLOR", "1")],
        &[XTERM, ("CLICOLOR", "0")],
    ] {
        assert!(!coloured(environment, &[]), "{environment:?}");
    }
    assert!(!coloured(&[XTERM], &["--color", "never"]));
    // Nor does anything move on a terminal that cannot, whatever the command.
    for command in [
        &["apply", "-y"][..],
        &["destroy", "-y"],
        &["status"],
        &["--help"],
        &["plan", "--frobnicate"],
    ] {
        let (_, told) = Terminal::run(command, &[dumb]).ends();
        assert!(!told.contains('\u{1b}'), "{told:?}");
    }
}
