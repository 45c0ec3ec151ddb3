//! In which format a guest is given a disk that the lab does not make.
//!
//! A disk that is taken for raw and is not loses what is in it with the guest's first write. One that is raw, and that a guest
//! has written to, can begin with whatever that guest likes, and must not be opened as anything else.

use crate::diagnostic::Diagnostic;
use crate::file::header::Format;
use crate::lab::model::{Disk, DiskDevice, DiskSource, Lab, VolumeFormat};
use crate::lab::resolve::not_shared;
use crate::libvirt::DiskFile;

use VolumeFormat::{Qcow2, Raw};

/// The format of a disk, and what is wrong with it. `seen` is what its file says: `None` where nobody looked, `Some(None)` where
/// nobody could tell.
pub(super) fn format(
    disk: &Disk,
    seen: Option<Option<&Format>>,
) -> (Option<VolumeFormat>, Option<Diagnostic>) {
    let what = match &disk.source {
        DiskSource::Path { path } => path.as_str(),
        DiskSource::Existing { volume, .. } => volume,
        DiskSource::Volume(volume) => &volume.name,
        DiskSource::Seed { volume, .. } => volume,
        DiskSource::Empty => "",
    };
    let told = seen.flatten();
    let found = match (disk.format, disk.attached, told) {
        // Whether the guest wrote there what the file begins with, nobody knows.
        (Some(Raw), Some(Raw), _) => Ok((Raw, None)),
        (None, Some(Raw), told) => Ok((Raw, told.and_then(|told| looks_otherwise(what, told)))),
        (Some(Raw), _, Some(told)) if *told != Format::Known(Raw) && !disk.readonly => {
            Err(Diagnostic::error(format!(
                "`{what}` is in {told} format: what a guest writes to it as raw ruins it"
            ))
            .hint("remove `format`: it is found out; or write `readonly: true`"))
        }
        (Some(Qcow2), attached, Some(told))
            if *told != Format::Known(Qcow2) && attached != Some(Qcow2) =>
        {
            Err(
                Diagnostic::error(format!("`{what}` is not in qcow2 format, but {told}"))
                    .hint("remove `format`: it is found out"),
            )
        }
        (Some(written), _, _) => Ok((written, None)),
        (None, _, Some(Format::Known(format))) => Ok((*format, None)),
        (None, _, Some(Format::Other(name))) => Err(Diagnostic::error(format!(
            "`{what}` is in {name} format, which guests are not given here"
        ))
        .hint(format!(
            "convert it: `qemu-img convert -f {name} -O qcow2 FILE NEW.qcow2`"
        ))),
        (None, Some(attached), None) => Ok((attached, None)),
        (None, None, None) if seen.is_none() || disk.device == DiskDevice::Cdrom => Ok((Raw, None)),
        (None, None, None) => Err(Diagnostic::error(format!(
            "whether `{what}` is raw or qcow2 cannot be found out: it cannot be looked into from here"
        ))
        .hint("write `format: raw` or `format: qcow2`")),
    };
    match found {
        Ok((Qcow2, _)) if disk.shareable && disk.format.is_none() => (None, Some(not_shared(None))),
        Ok((format, problem)) => (Some(format), problem),
        Err(problem) => (None, Some(problem)),
    }
}

fn looks_otherwise(what: &str, told: &Format) -> Option<Diagnostic> {
    (*told != Format::Known(Raw)).then(|| {
        Diagnostic::warning(format!(
            "`{what}` begins like a file in {told} format, and a guest has had it as raw: it stays raw"
        ))
        .hint(
            "write `format: raw` where the guest itself wrote that; if it is a disk in that format, it was attached in the wrong \
             one: write `format: qcow2`",
        )
    })
}

/// The file of a disk that the lab does not make.
pub(super) fn disk_file(lab: &Lab, disk: &Disk) -> Option<DiskFile> {
    match &disk.source {
        DiskSource::Path { path } => Some(DiskFile::Path(path.clone())),
        DiskSource::Existing {
            pool,
            volume,
            owner: None,
        } => {
            let pool = &lab.pools.get(pool)?.name;
            Some(DiskFile::Volume(pool.clone(), volume.clone()))
        }
        DiskSource::Existing { owner: Some(_), .. }
        | DiskSource::Volume(_)
        | DiskSource::Seed { .. }
        | DiskSource::Empty => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Name;
    use crate::diagnostic::Severity;
    use crate::lab::model::{Discard, Drive};

    #[test]
    fn nothing_is_attached_in_a_format_that_ruins_it() {
        let known = |format| Some(Format::Known(format));
        let vmdk = || Some(Format::Other("vmdk".into()));
        let disk = |format, attached, readonly| Disk {
            key: Name::new("root").unwrap(),
            device: DiskDevice::Disk,
            source: DiskSource::Path {
                path: "/x".to_owned(),
            },
            dev: "vda".to_owned(),
            dev_is_given: false,
            bus: "virtio".to_owned(),
            cache: None,
            format,
            attached,
            readonly,
            shareable: false,
            discard: Discard::Unmap,
            drive: Drive::default(),
        };
        for (written, attached, told, result) in [
            (None, None, known(Raw), Ok(Raw)),
            (None, None, known(Qcow2), Ok(Qcow2)),
            (None, None, vmdk(), Err("in vmdk format")),
            (None, None, None, Err("cannot be found out")),
            (None, Some(Qcow2), None, Ok(Qcow2)),
            (None, Some(Qcow2), known(Raw), Ok(Raw)),
            // The guest may have written the header.
            (None, Some(Raw), known(Qcow2), Ok(Raw)),
            (Some(Raw), Some(Raw), known(Qcow2), Ok(Raw)),
            (Some(Raw), Some(Qcow2), known(Qcow2), Err("ruins it")),
            (Some(Raw), None, known(Qcow2), Err("ruins it")),
            (Some(Raw), None, vmdk(), Err("ruins it")),
            (Some(Raw), None, None, Ok(Raw)),
            (Some(Qcow2), None, known(Raw), Err("not in qcow2 format")),
            (Some(Qcow2), Some(Raw), known(Qcow2), Ok(Qcow2)),
            (Some(Qcow2), None, None, Ok(Qcow2)),
        ] {
            let disk = disk(written, attached, false);
            let (format, problem) = super::format(&disk, Some(told.as_ref()));
            let case = format!("{written:?} {attached:?} {told:?}");
            match result {
                Ok(expected) => assert_eq!(format, Some(expected), "{case}"),
                Err(part) => {
                    assert_eq!(format, None, "{case}");
                    assert!(problem.unwrap().summary.contains(part), "{case}");
                }
            }
        }
        let header = Format::Known(Qcow2);
        let readonly = disk(Some(Raw), None, true);
        assert_eq!(super::format(&readonly, Some(Some(&header))).0, Some(Raw));
        let warned = super::format(&disk(None, Some(Raw), false), Some(Some(&header))).1;
        assert!(warned.unwrap().severity == Severity::Warning);
        assert_eq!(
            super::format(&disk(None, None, false), None),
            (Some(Raw), None)
        );
    }
}
