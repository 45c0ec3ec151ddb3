//! Finds out that a libvirt which is connected says nothing any more, however long calls take: libvirt's own questions whether the
//! other side is alive. They need its event loop. <https://libvirt.org/html/libvirt-libvirt-host.html#virConnectSetKeepAlive>
//!
//! Of several calls that are under way libvirt (9.0) then ends only one, and the others wait for ever. So what is left of a
//! connection that broke off is told after a while, for the process to be ended.

use std::sync::{Arc, Once};
use std::time::Duration;

use virt::connect::Connect;
use virt::event::{event_register_default_impl, event_run_default_impl};

use super::port::{ErrorKind, HypervisorError};
use super::raw::Held;

/// How often it is asked until the connection is given up, if there is time.
const QUESTIONS: u64 = 5;
/// When the event loop begins to run, at the latest.
const LATER: Duration = Duration::from_secs(5);
/// How often a connection is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How long calls have to end by themselves after their connection broke off.
const GRACE: Duration = Duration::from_secs(10);

/// How long libvirt may leave everything unanswered, and who is told where calls do not even end after that.
#[derive(Clone)]
pub struct Patience {
    /// That long.
    pub limit: Duration,
    /// Is to end the process.
    pub stuck: Arc<dyn Fn(&HypervisorError) + Send + Sync>,
}

/// Starts the event loop. It has to be known before a connection is opened. It begins to run after a tenth of the time that libvirt has,
/// and does until the process ends: while it runs every call wakes its thread twice, which doubles what a plan of a hundred guests costs.
pub(super) fn start(patience: &Patience) {
    static STARTED: Once = Once::new();
    // A daemon asks such questions, too, of who says nothing for 5 s, and gives up after 30.
    let later = (patience.limit / 10).min(LATER);
    STARTED.call_once(|| {
        if event_register_default_impl().is_ok() {
            std::thread::spawn(move || {
                std::thread::sleep(later);
                while event_run_default_impl().is_ok() {}
            });
        }
    });
}

/// Lets a connection break off that is silent for so long.
pub(super) fn watch(connect: &Connect, patience: &Patience) {
    let seconds = patience.limit.as_secs();
    let interval = (seconds / (QUESTIONS + 1)).max(1);
    let count = (seconds / interval).saturating_sub(1).max(1);
    let interval = i32::try_from(interval).unwrap_or(i32::MAX);
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    // The test driver is never away, and an old libvirt does not know such questions.
    if connect.set_keep_alive(interval, count).is_err() {
        return;
    }
    let (connect, stuck) = (Held::new(connect.clone()), patience.stuck.clone());
    std::thread::spawn(move || {
        // This asks nobody.
        while connect.is_alive().unwrap_or(false) {
            std::thread::sleep(LOOK);
        }
        std::thread::sleep(GRACE);
        stuck(&HypervisorError {
            kind: ErrorKind::Connection,
            message: "wait for libvirt, which is gone or says nothing any more".to_owned(),
            hint: Some(
                "see that its daemon runs and is well; the same command goes on from here"
                    .to_owned(),
            ),
        });
    });
}
