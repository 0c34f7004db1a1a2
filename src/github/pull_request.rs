//! Which pull request a run belongs to.
