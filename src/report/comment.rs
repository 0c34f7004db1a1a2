//! The comment on a pull request: what a reviewer reads.
