//! The files that a pull request or a push changes, as the API tells them.
