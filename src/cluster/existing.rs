//! A cluster that is there.
