//! Jobs of QEMU's on the disks of running guests, as backup tools and people begin them: `virsh blockcopy`, `blockcommit`,
//! `blockpull`, `backup-begin`. They end with the guest.

use std::collections::{BTreeMap, BTreeSet};

use virt::domain::Domain;
use virt::sys;

use super::connection::{Connection, if_there};
use super::error::Trouble;
use super::observed::Observed;
use super::raw;
use super::{HypervisorError, ahead};
use crate::xml::tree::Element;

/// What is under way on a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlockJob {
    /// It is copied, and what the guest writes goes to the copy, too. To which file, where it has a path.
    Copy(Option<String>),
    /// Its overlay is written into a file beneath, and so is what the guest writes. Into which, where it has a path.
    ActiveCommit(Option<String>),
    /// Files beneath it are made one.
    Commit,
    /// What it is based on is written into it.
    Pull,
    /// It is backed up.
    Backup,
    /// Something that this version does not know.
    Other,
}

/// The jobs that a guest's live XML tells of, by the disk's device name: those that write to two files.
pub fn told_by(live_xml: &Element) -> BTreeMap<String, BlockJob> {
    let devices = live_xml.child("devices").into_iter();
    let disks = devices.flat_map(|devices| devices.children_named("disk"));
    let jobs = disks.filter_map(|disk| {
        let mirror = disk.child("mirror")?;
        let path = |name| mirror.attribute_at("source", name).map(str::to_owned);
        let path = ["file", "dev", "name"].into_iter().find_map(path);
        let job = match mirror.attribute("job") {
            Some("active-commit") => BlockJob::ActiveCommit(path),
            Some(_) | None => BlockJob::Copy(path),
        };
        Some((disk.attribute_at("target", "dev")?.to_owned(), job))
    });
    jobs.collect()
}

impl Connection {
    /// Asks what is under way on the disks of these guests, which costs a call for each disk. Gives whether anything is that was
    /// not known.
    pub fn ask_for_jobs(
        &self,
        observed: &mut Observed,
        guests: &BTreeSet<String>,
    ) -> Result<bool, HypervisorError> {
        let asked = guests.iter().try_fold(false, |found, guest| {
            Ok(self.jobs_of(observed, guest)? || found)
        });
        asked.map_err(ahead::reading)
    }

    fn jobs_of(&self, observed: &mut Observed, guest: &str) -> Result<bool, Trouble> {
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
