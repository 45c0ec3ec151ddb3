//! What images' files hold, so that one which was built anew is noticed, whatever its size.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::model::Lab;
use crate::address::Address;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::file::content::{Method, content_of};
use crate::file::stamp::Stamp;

/// The hash of a file, and the file as it was before it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The file.
    pub stamp: Stamp,
    /// What it holds, as [`Hashing::end`](crate::file::content::Hashing::end) tells it.
    pub content: String,
}

/// Digests by the files' paths.
pub type Digests = BTreeMap<PathBuf, Digest>;

/// What a lab's state tells of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded<'a> {
    /// Nothing, or that it was not finished: it is hashed when it is uploaded.
    Not,
    /// That it is there; of its content nothing, or only the size.
    Unhashed,
    /// What it was filled with.
    Content(&'a str),
}

/// Hashes the images that are there, as the state has them, but for files that are still as they were when they were hashed last.
/// Those whose SHA-256 is written need it only where the state has another hash. What is known now is to be kept for the next time.
pub fn fill<'a>(
    lab: &mut Lab,
    known: &Digests,
    recorded: impl Fn(&Address) -> Recorded<'a>,
) -> (Digests, Diagnostics) {
    let mut digests = Digests::new();
    let mut problems = Diagnostics::default();
    for image in lab.images.values_mut() {
        let address = Address::image(&image.key);
        let method = match recorded(&address) {
            Recorded::Not => {
                // Another lab on the same file, or the next run, may still go by it.
                digests.extend(
                    known
                        .get_key_value(&image.source)
                        .map(|(path, digest)| (path.clone(), digest.clone())),
                );
                continue;
            }
            Recorded::Unhashed => Method::Blocks,
            Recorded::Content(content) => Method::of(content).unwrap_or(Method::Blocks),
        };
        let mut hash = |method| digest(&image.source, method, known, &mut digests);
        let hashed = match &image.sha256 {
            None => hash(method).map(Some),
            Some(_) if method == Method::Sha256 => Ok(None),
            // The same by both is the same, and has the one that is written from now on.
            Some(written) if matches!(recorded(&address), Recorded::Content(_)) => {
                let is_written = |it: String| it.strip_prefix("sha256:") == Some(written);
                match content_of(&image.source, Method::Sha256).map(is_written) {
                    Ok(true) => hash(method).map(Some),
                    Ok(false) => Ok(None),
                    Err(error) => Err(error),
                }
            }
            Some(_) => Ok(None),
        };
        match hashed {
            Ok(digest) => image.digest = digest,
            Err(error) => problems.push(
                Diagnostic::error(format!("cannot read {}: {error}", image.source.display()))
                    .at(lab.places.get(&address).copied()),
            ),
        }
    }
    (digests, problems)
}

fn digest(
    source: &Path,
    method: Method,
    known: &Digests,
    digests: &mut Digests,
) -> std::io::Result<String> {
    let stamp = Stamp::of(source);
    let is_still = |digest: &&Digest| {
        Some(digest.stamp) == stamp && Method::of(&digest.content) == Some(method)
    };
    let mut before = digests.get(source).into_iter().chain(known.get(source));
    let content = match before.find(is_still) {
        Some(digest) => digest.content.clone(),
        None => content_of(source, method)?,
    };
    if let Some(stamp) = stamp {
        let content = content.clone();
        digests.insert(source.to_owned(), Digest { stamp, content });
    }
    Ok(content)
}
