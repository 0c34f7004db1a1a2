//! The Actions cache, by both versions of its protocol.
