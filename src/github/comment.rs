//! The one comment that a pull request gets: found, created, kept up to date.
