//! Points at which the process can be made to die, so that a test can see what each of them leaves behind.
//!
//! Two environment variables, which nobody needs but that test, and which are documented here only:
//! `MINIASCAPE_CRASH_AT` names the point at which the process kills itself with SIGKILL, and `MINIASCAPE_CRASH_POINTS` a
//! file to which the name of each point that is passed is appended, a line each, so that a run lists its points. The
//! program that is tested is the one that is shipped: without the variables a point costs the look at one value.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::OnceLock;

use parking_lot::Mutex;
use signal_hook::consts::SIGKILL;

/// What the environment asks for.
struct Armed {
    at: Option<String>,
    list: Option<OsString>,
    /// How often each name was passed: the second time a point is called `NAME #2`.
    passed: Mutex<BTreeMap<String, usize>>,
}

/// Passes a point, or dies there.
pub fn point(name: fmt::Arguments<'_>) {
    torn(name, || {});
}

/// Passes a point in the middle of something: `half` is done only to die after it.
pub fn torn(name: fmt::Arguments<'_>, half: impl FnOnce()) {
    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
    if let Some(armed) = ARMED.get_or_init(Armed::from_environment)
        && armed.is_last(name.to_string())
    {
        half();
        die();
    }
}

impl Armed {
    fn from_environment() -> Option<Self> {
        let at = std::env::var("MINIASCAPE_CRASH_AT").ok();
        let list = std::env::var_os("MINIASCAPE_CRASH_POINTS");
        (at.is_some() || list.is_some()).then(|| Self {
            at,
            list,
            passed: Mutex::new(BTreeMap::new()),
        })
    }

    /// Takes note of a point, and says whether it is the one to die at.
    fn is_last(&self, name: String) -> bool {
        let mut passed = self.passed.lock();
        let count = passed.entry(name.clone()).or_default();
        *count += 1;
        let name = match *count {
            1 => name,
            count => format!("{name} #{count}"),
        };
        if let Some(list) = &self.list {
            let file = OpenOptions::new().append(true).create(true).open(list);
            // A list that cannot be written is short, and the test sees that.
            let _ = file.and_then(|mut file| writeln!(file, "{name}"));
        }
        self.at.as_deref() == Some(name.as_str())
    }
}

/// Ends the process as the kernel would: no clean-up of any kind.
fn die() -> ! {
    let _ = signal_hook::low_level::raise(SIGKILL);
    std::process::abort()
}
