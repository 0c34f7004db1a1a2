//! Which requests are tried again, and when.
