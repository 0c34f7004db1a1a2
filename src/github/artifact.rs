//! Artifacts, by version 4 of their protocol.
