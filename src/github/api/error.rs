//! What can go wrong with a request, as callers must tell it apart.

use std::error::Error as _;

use jiff::Timestamp;

/// Why GitHub did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// 404: it is not there, or the token may not see it.
    #[error("GitHub finds no {route}, or the token may not see it")]
    NotFound {
        /// What was asked for.
        route: String,
    },
    /// 401, or 403 for another reason than a limit: the token of a fork's pull request can't write, a job lacks a permission.
    #[error("GitHub denies it: {message}")]
    Denied {
        /// GitHub's words.
        message: String,
    },
    /// 410: it was there, and is gone (an expired artifact), or its feature is switched off.
    #[error("it is gone: {message}")]
    Gone {
        /// GitHub's words.
        message: String,
    },
    /// 429, or 403 by a limit: too many requests, and the end of the pause is too far away to wait for it.
    #[error("GitHub's rate limit is met until {until:.0}: {message}")]
    Limited {
        /// When requests are welcome again.
        until: Timestamp,
        /// GitHub's words.
        message: String,
    },
    /// No answer.
    #[error("GitHub can't be reached: {message}")]
    Unreachable {
        /// Why.
        message: String,
        /// Whether the request may have arrived nevertheless.
        sent: bool,
    },
    /// Any other answer that is no success.
    #[error("GitHub answers {status}: {message}")]
    Answered {
        /// The HTTP status.
        status: u16,
        /// GitHub's words.
        message: String,
    },
    /// A success that is not in the form which GitHub documents.
    #[error("can't read GitHub's answer for {route}: {message}")]
    Unreadable {
        /// What was asked for.
        route: String,
        /// What is wrong with it.
        message: String,
    },
    /// More than what was allowed for.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What is.
        what: String,
        /// What was allowed, in bytes.
        limit: u64,
    },
    /// A file of ours.
    #[error("can't write {path}: {message}")]
    Disk {
        /// The file.
        path: String,
        /// What the system says.
        message: String,
    },
    /// It can't even be asked.
    #[error("GitHub's API can't be used: {0}")]
    Unusable(String),
}

/// What came of a request.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether GitHub may have carried the request out all the same.
    pub fn may_have_been_done(&self) -> bool {
        match self {
            Self::Unreachable { sent, .. } => *sent,
            Self::Answered { status, .. } => *status >= 500,
            Self::Unreadable { .. } | Self::TooLarge { .. } => true,
            _ => false,
        }
    }

    pub(super) fn timeout() -> Self {
        Self::Unreachable { message: "no answer in time".to_owned(), sent: true }
    }

    /// An error of the line, which octocrab wraps several times.
    pub(super) fn unreachable(error: &octocrab::Error) -> Self {
        let mut cause = error.source();
        while let Some(current) = cause {
            if let Some(line) = current.downcast_ref::<reqwest::Error>() {
                return Self::line(line);
            }
            cause = current.source();
        }
        Self::Unreachable { message: crate::error::chain(error), sent: true }
    }

    /// An error of the line. Its address is left out: it may be a signed one.
    pub(super) fn line(error: &reqwest::Error) -> Self {
        Self::Unreachable { message: crate::registry::chain(error), sent: !error.is_connect() }
    }
}
