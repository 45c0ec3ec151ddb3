//! What images' files hold, so that one which was built anew is noticed, whatever its size.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::model::Lab;
use crate::address::Address;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::hash::sha256_of;
use crate::stamp::Stamp;

/// The hash of a file, and the file as it was before it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The file.
    pub stamp: Stamp,
    /// Its SHA-256, in lower-case hex.
    pub sha256: String,
}

/// Digests by the files' paths.
pub type Digests = BTreeMap<PathBuf, Digest>;

/// Hashes the images whose hash is not written, but for files that are still as they were when they were hashed last. What is
/// known now is to be kept for the next time.
pub fn fill(lab: &mut Lab, known: &Digests) -> (Digests, Diagnostics) {
    let mut digests = Digests::new();
    let mut problems = Diagnostics::default();
    for image in lab
        .images
        .values_mut()
        .filter(|image| image.sha256.is_none())
    {
        let stamp = Stamp::of(&image.source);
        let before = known.get(&image.source);
        let before = before.filter(|digest| Some(digest.stamp) == stamp);
        let sha256 = match before {
            Some(digest) => Ok(digest.sha256.clone()),
            None => sha256_of(&image.source),
        };
        match sha256 {
            Ok(sha256) => {
                if let Some(stamp) = stamp {
                    let sha256 = sha256.clone();
                    digests.insert(image.source.clone(), Digest { stamp, sha256 });
                }
                image.digest = Some(sha256);
            }
            Err(error) => problems.push(
                Diagnostic::error(format!("cannot read {}: {error}", image.source.display()))
                    .at(lab.places.get(&Address::image(&image.key)).copied()),
            ),
        }
    }
    (digests, problems)
}
