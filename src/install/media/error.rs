//! What can go wrong with an installation medium, told apart.

use thiserror::Error;

/// An error of a medium: what, where, how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct MediaError {
    /// Which kind of trouble it is.
    pub kind: Kind,
    /// What is wrong, with the medium's name: lower case, no full stop.
    pub message: String,
    /// How to mend it.
    pub hint: String,
}

/// The kinds of trouble that callers and tests tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A location of a sort that cannot be read: another protocol, a socket, a file split over extents.
    Unsupported,
    /// The server cannot be talked to: no such host, connection refused, timeout, bad certificate.
    Unreachable,
    /// The server answers, but refuses: 401, 403, 5xx.
    Refused,
    /// There is nothing at that place.
    Missing,
    /// The medium is there, but no kernel and initrd on it.
    NothingFound,
    /// A file that should be an ISO 9660 image is none.
    NotIso,
    /// An image or a tree that contradicts itself.
    Damaged,
    /// A file larger than any kernel or initrd.
    TooLarge,
    /// The system does not let us read it.
    Unreadable,
}

impl MediaError {
    pub(super) fn new(kind: Kind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: hint.into(),
        }
    }
}
