//! A program on a terminal of its own.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

pub struct Terminal {
    child: Child,
    master: File,
    told: String,
}

impl Terminal {
    /// Starts a command there.
    pub fn start(command: &mut Command) -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let end: OwnedFd = open(name, flags, Mode::empty()).unwrap();
        let stream = || Stdio::from(end.try_clone().unwrap());
        let child = command
            .stdin(stream())
            .stdout(stream())
            .stderr(stream())
            .spawn()
            .unwrap();
        // It holds the other side, which would never be closed.
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self {
            child,
            master: master.into(),
            told: String::new(),
        }
    }

    pub fn says(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Reads until a text is there, or to the end.
    pub fn until(&mut self, text: &str) -> &mut Self {
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

    /// Reads to the end, and gives the exit code and all that was told.
    pub fn ends(mut self) -> (Option<i32>, String) {
        self.until("\0");
        let code = self.child.wait().unwrap().code();
        for text in ["panicked", "bug in miniascape"] {
            assert!(!self.told.contains(text), "{}", self.told);
        }
        (code, self.told)
    }
}
