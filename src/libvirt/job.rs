//! Jobs of QEMU's on the disks of running guests, as backup tools and people begin them: `virsh blockcopy`, `blockcommit`,
//! `blockpull`, `backup-begin`. They end with the guest.

use virt::domain::Domain;
use virt::sys;

use super::connection::{Connection, if_there};
use super::error::StepError;
use super::observed::{BlockJob, Observed};
use super::raw;

impl Connection {
    /// Asks what is under way on the disks of a guest. Gives whether anything is that was not known.
    pub(super) fn jobs_of(&self, observed: &mut Observed, guest: &str) -> Result<bool, StepError> {
        let Some(live) = observed.guests.get_mut(guest) else {
            return Ok(false);
        };
        let Some(xml) = live.live_xml.as_ref().map(|xml| xml.tree()) else {
            return Ok(false);
        };
        let Some(domain) = if_there(self.connect.lookup_domain_by_uuid(live.uuid))? else {
            return Ok(false);
        };
        let mut found = false;
        let devices = xml.child("devices").into_iter();
        let disks = devices.flat_map(|devices| devices.children_named("disk"));
        for disk in disks.filter_map(|disk| disk.attribute_at("target", "dev")) {
            if live.jobs.contains_key(disk) {
                continue;
            }
            if let Some(job) = job_on(&domain, disk) {
                live.jobs.insert(disk.to_owned(), job);
                found = true;
            }
        }
        Ok(found)
    }
}

/// What is under way on a disk: nothing in a guest that stopped meanwhile, or where the driver knows no jobs.
fn job_on(domain: &Domain, disk: &str) -> Option<BlockJob> {
    Some(match raw::block_job(domain, disk).ok()?? {
        sys::VIR_DOMAIN_BLOCK_JOB_TYPE_PULL => BlockJob::Pull,
        sys::VIR_DOMAIN_BLOCK_JOB_TYPE_COPY => BlockJob::Copy(None),
        sys::VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT => BlockJob::Commit,
        sys::VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT => BlockJob::ActiveCommit(None),
        sys::VIR_DOMAIN_BLOCK_JOB_TYPE_BACKUP => BlockJob::Backup,
        _ => BlockJob::Other,
    })
}
