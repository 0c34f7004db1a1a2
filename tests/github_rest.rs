//! GitHub's REST API: what we send, and what becomes of what it answers, against a strict server on this machine.
//!
//! Where GitHub's own description of its API is at hand (`@octokit/openapi`, which `.ci/npm` installs), every request of every test must
//! be one that it describes.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

#[path = "github/node.rs"]
#[expect(dead_code, reason = "nothing is run here: files of packages are read")]
mod node;
#[path = "github/rest_answers.rs"]
mod rest_answers;
#[path = "github/rest_api.rs"]
mod rest_api;
#[path = "github/rest_branch.rs"]
mod rest_branch;
#[path = "github/rest_branches.rs"]
mod rest_branches;
#[path = "github/rest_changed.rs"]
mod rest_changed;
#[path = "github/rest_comment.rs"]
mod rest_comment;
#[path = "github/rest_description.rs"]
mod rest_description;
#[path = "github/rest_pull_request.rs"]
mod rest_pull_request;
#[path = "github/rest_server.rs"]
mod rest_server;
#[path = "github/rest_webhooks.rs"]
mod rest_webhooks;
