//! Evidence: logs, events and objects of an attempt on disk, redacted; the archive of a run; the journal of its finished cells.

pub mod redact;

pub use redact::Redactor;
