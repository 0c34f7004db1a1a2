//! Helm's arguments, and what it says when it fails. Pure.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use super::Release;
use super::post_renderer::Rendering;
use crate::trial::judge::one_line;

/// Parts of what Helm says of things that may still come.
const EARLY: [&str; 14] = [
    "failed calling webhook",
    "conversion webhook for",
    "no matches for kind",
    "could not find the requested resource",
    "connection refused",
    "connection reset",
    "i/o timeout",
    "TLS handshake timeout",
    "the server is currently unable to handle the request",
    "the object has been modified",
    "etcdserver:",
    "too many requests",
    "because it is being terminated",
    "error looking up service account",
];

/// Parts of what Helm says, and what to do about it.
const HINTS: [(&str, &str); 6] = [
    ("path \"", "the chart is a folder below the root, or a reference: oci://..., a URL, or repo/name"),
    ("no repository definition", "run `helm repo add` for the chart's repositories before"),
    ("repo ", "run `helm repo add` for that repository before"),
    ("failed to authorize", "log in to the registry (`helm registry login`) before"),
    ("invalid ownership metadata", "it was installed without Helm: uninstall it, or use a fresh cluster"),
    (
        "failed calling webhook",
        "the webhook of an earlier step does not answer: is it ready, and its certificate there?",
    ),
];

/// `helm upgrade --install ...`; hooks have `left` to end.
pub(super) fn upgrade(release: &Release, chart: &OsStr, rendering: &Rendering, left: Duration) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = ["upgrade", "--install"].map(OsString::from).into();
    arguments.extend([release.name.clone().into(), chart.to_owned()]);
    arguments.extend(["--namespace".into(), release.namespace.clone().into(), "--create-namespace".into()]);
    arguments.extend(["--timeout".into(), format!("{}s", left.as_secs().max(1)).into()]);
    if release.labelled {
        arguments.extend(["--labels".into(), super::LABEL.into()]);
    }
    for file in &release.values {
        arguments.extend(["--values".into(), file.clone().into_os_string()]);
    }
    for (key, value) in &release.set {
        arguments.extend(["--set".into(), format!("{key}={}", escaped(value)).into()]);
    }
    arguments.extend(rendering.arguments.iter().cloned());
    arguments
}

/// A value as `--set` reads it: a comma would begin the next pair. A list (`{a,b}`) stays one.
fn escaped(value: &str) -> String {
    if value.starts_with('{') && value.ends_with('}') {
        return value.to_owned();
    }
    value.replace('\\', "\\\\").replace(',', "\\,")
}

/// Whether what Helm said may be different soon.
pub(super) fn may_come(stderr: &str) -> bool {
    EARLY.iter().any(|text| stderr.contains(text))
}

/// Why Helm failed, on one line: from its last `Error:` on.
pub(super) fn reason(stderr: &str) -> String {
    let from = stderr.rfind("Error: ").map_or(0, |at| at + "Error: ".len());
    match one_line(&stderr[from..]) {
        empty if empty.is_empty() => "it gave no reason".to_owned(),
        line => line,
    }
}

/// What to do about it.
pub(super) fn hint(stderr: &str) -> &'static str {
    HINTS.iter().find(|(text, _)| stderr.contains(text)).map_or("", |(_, hint)| hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_what_comes_after_the_last_error() {
        let stderr = "level=WARN msg=x\nError: UPGRADE FAILED: failed to create resource:\n  Deployment is invalid\n";
        assert_eq!(reason(stderr), "UPGRADE FAILED: failed to create resource: Deployment is invalid");
        assert_eq!(reason("\n"), "it gave no reason");
    }

    #[test]
    fn only_what_may_still_come_is_tried_again() {
        assert!(may_come("Error: no matches for kind \"Widget\" in version \"k.test/v1\""));
        assert!(may_come("Error: failed calling webhook \"v\": connection refused"));
        assert!(!may_come("Error: Deployment.apps \"a\" is invalid: spec.replicas"));
    }

    #[test]
    fn a_value_is_one_value_whatever_it_holds() {
        assert_eq!(escaped("a,b\\c"), "a\\,b\\\\c");
        assert_eq!(escaped("{a,b}"), "{a,b}");
    }
}
