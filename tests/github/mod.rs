//! Stand-ins for GitHub's services that are as strict as they are, or stricter.
#![allow(dead_code, reason = "each suite uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

pub mod node;
pub mod results_server;
