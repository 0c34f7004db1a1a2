//! What the Docker engine says when it can't pull an image, as data.

use std::time::Duration;

use super::{ScriptEnd, ScriptError};
use crate::model::CauseClass;

/// How long a pull may take; images for machine learning have several gigabytes.
pub(super) const TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// Words of a registry, a network or a disk that may be well again in a minute. They go first: a message that has both is of this kind.
const TRANSIENT: [&str; 18] = [
    "toomanyrequests",
    "too many requests",
    "500 internal server error",
    "502 bad gateway",
    "503 service unavailable",
    "504 gateway time",
    "timeout",
    "timed out",
    "deadline exceeded",
    "connection refused",
    "connection reset",
    "network is unreachable",
    "eof",
    "x509:",
    "tls:",
    "server gave http response to https client",
    "server misbehaving",
    "temporary failure in name resolution",
];

/// What to do where a registry asks who we are. The home folder of the action's container is another than that of the steps before.
const LOG_IN: &str = "log in to the registry before this step (`docker login`); the action sees a login only in the folder that DOCKER_CONFIG names";

/// Words that no second try changes, with the reason to search for and what to do.
const PERMANENT: [(&str, &str, &str); 10] = [
    ("invalid reference format", "InvalidImageName", "correct `image:` in the example's `run:`"),
    ("must be lowercase", "InvalidImageName", "correct `image:` in the example's `run:`"),
    ("no matching manifest for", "ErrImagePull", "the image is not built for this machine's platform"),
    ("manifest unknown", "ErrImagePull", "the registry does not have this tag: correct it, or push the image"),
    ("no such host", "ErrImagePull", "the registry's host does not exist: correct the image's name"),
    (
        "pull access denied",
        "ErrImagePull",
        "correct the image's name, add it to `images:` if the project builds it, or log in before this step (`docker login`; the action sees \
         a login only in the folder that DOCKER_CONFIG names)",
    ),
    ("denied", "ErrImagePull", LOG_IN),
    ("unauthorized", "ErrImagePull", LOG_IN),
    ("403 forbidden", "ErrImagePull", LOG_IN),
    ("not found", "ErrImagePull", "the registry does not have this image: correct its name, or push it"),
];

/// Whose fault a failed pull is: the example's, or, where nothing says so, the registry's.
pub(super) fn judged(image: &str, said: &str) -> Result<ScriptEnd, ScriptError> {
    let said = said.trim_start_matches("Error response from daemon: ").to_owned();
    if is_no_engine(&said) {
        return Err(ScriptError::EngineNotFound(said));
    }
    // The image's own name must not decide.
    let words = said.replace(image, "").to_lowercase();
    let is_transient = TRANSIENT.iter().any(|word| words.contains(word));
    let permanent = PERMANENT.into_iter().find(|(word, ..)| words.contains(word)).filter(|_| !is_transient);
    let Some((_, reason, hint)) = permanent else {
        return Err(ScriptError::ImageUnavailable { image: image.to_owned(), message: said });
    };
    let message = format!("{image} could not be pulled: {said}");
    Ok(ScriptEnd::NotStarted { class: CauseClass::Image, reason, message, hint })
}

/// Whether the CLI says that there is no engine.
pub(super) fn is_no_engine(said: &str) -> bool {
    ["cannot connect to the docker daemon", "is the docker daemon running", "error during connect"]
        .iter()
        .any(|words| said.to_lowercase().contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_does_not_exist_is_the_examples_fault() {
        for (said, expected) in [
            (
                "Error response from daemon: manifest for a/b:c not found: manifest unknown: manifest unknown",
                "ErrImagePull",
            ),
            (
                "Error response from daemon: pull access denied for a/b, repository does not exist or may require 'docker \
                 login': denied: requested access to the resource is denied",
                "ErrImagePull",
            ),
            (
                "Error response from daemon: Get \"https://nope.example/v2/\": dial tcp: lookup nope.example: no such host",
                "ErrImagePull",
            ),
            ("Error response from daemon: unauthorized: authentication required", "ErrImagePull"),
            ("Error response from daemon: failed to resolve reference \"a/b:c\": a/b:c: not found", "ErrImagePull"),
            (
                "Error response from daemon: no matching manifest for linux/arm64/v8 in the manifest list entries",
                "ErrImagePull",
            ),
            (
                "unexpected status from HEAD request to https://ghcr.io/v2/a/b/manifests/c: 403 Forbidden",
                "ErrImagePull",
            ),
            ("invalid reference format: repository name (a/B) must be lowercase", "InvalidImageName"),
        ] {
            let end = judged("a/b:c", said).unwrap();
            let ScriptEnd::NotStarted { class, reason, message, hint } = end else { panic!("{said}") };
            assert_eq!((class, reason), (CauseClass::Image, expected), "{said}");
            assert!(
                message.starts_with("a/b:c could not be pulled: ") && !message.contains("daemon:") && !hint.is_empty()
            );
        }
    }

    #[test]
    fn who_is_not_logged_in_is_told_where_a_login_is_seen() {
        for said in
            ["pull access denied for a/b, repository does not exist", "unauthorized: x", "denied: x", "403 Forbidden"]
        {
            let ScriptEnd::NotStarted { hint, .. } = judged("a/b:c", said).unwrap() else { panic!("{said}") };
            assert!(hint.contains("DOCKER_CONFIG"), "{said}: {hint}");
        }
    }

    #[test]
    fn a_registry_that_is_unwell_could_not_be_judged() {
        for said in [
            "Error response from daemon: toomanyrequests: You have reached your pull rate limit. denied",
            "Error response from daemon: Get \"https://r/v2/\": net/http: TLS handshake timeout",
            "Error response from daemon: received unexpected HTTP status: 503 Service Unavailable",
            "Error response from daemon: Get \"https://r/v2/\": dial tcp 10.0.0.1:443: connect: connection refused",
            "Error response from daemon: Get \"https://r/v2/\": x509: certificate signed by unknown authority",
            "Error response from daemon: Get \"https://r/v2/\": dial tcp: lookup r: Temporary failure in name resolution",
            "write /var/lib/docker/tmp/x: no space left on device",
            "it gave no reason",
        ] {
            let error = judged("a/b:c", said).unwrap_err();
            assert!(matches!(&error, ScriptError::ImageUnavailable { image, .. } if image == "a/b:c"), "{error:?}");
        }
    }

    #[test]
    fn the_images_own_name_does_not_decide() {
        let said = "Error response from daemon: manifest for a/timeout:eof not found: manifest unknown";
        assert!(judged("a/timeout:eof", said).is_ok());
    }

    #[test]
    fn an_engine_that_went_away_is_no_registry() {
        let said = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";
        assert!(matches!(judged("a", said), Err(ScriptError::EngineNotFound(_))));
    }
}
