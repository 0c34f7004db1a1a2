//! Why the cache could not be used.

/// Why the cache could not be used. None of it fails a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CacheError {
    /// There is no such service: what asked falls back to the other version.
    #[error("there is no cache service")]
    Absent,
    /// This run may not: its token only reads, as that of a fork's pull request does.
    #[error("this run may not do that: {0}")]
    Denied(String),
    /// The storage of the account is used up.
    #[error("the storage is used up: {0}")]
    Quota(String),
    /// Too many requests, and it asks us to wait for longer than we do.
    #[error("it has had too many requests: {0}")]
    Busy(String),
    /// It could not be reached, or answered with something else than was expected.
    #[error("{0}")]
    Failed(String),
    /// An entry is not what it should be, or can't be kept.
    #[error("the entry can't be read: {0}")]
    Broken(String),
    /// An entry is larger than what is ever read.
    #[error("the entry has {size} bytes, which is more than {most}")]
    TooLarge {
        /// Its size.
        size: u64,
        /// The most.
        most: u64,
    },
}

/// The kinds of errors, each of which is worth one warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// [`CacheError::Absent`].
    Absent,
    /// [`CacheError::Denied`].
    Denied,
    /// [`CacheError::Quota`].
    Quota,
    /// [`CacheError::Busy`].
    Busy,
    /// [`CacheError::Failed`].
    Failed,
    /// [`CacheError::Broken`].
    Broken,
    /// [`CacheError::TooLarge`].
    TooLarge,
}

impl CacheError {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Absent => Kind::Absent,
            Self::Denied(_) => Kind::Denied,
            Self::Quota(_) => Kind::Quota,
            Self::Busy(_) => Kind::Busy,
            Self::Failed(_) => Kind::Failed,
            Self::Broken(_) => Kind::Broken,
            Self::TooLarge { .. } => Kind::TooLarge,
        }
    }

    /// Whether that is how it should be: nobody has to be told.
    #[must_use]
    pub fn is_expected(&self) -> bool {
        matches!(self, Self::Absent | Self::Denied(_))
    }
}
