//! What a message about an image that could not be pulled means. Texts are those of containerd, CRI-O, Docker and registries.

use std::sync::LazyLock;

use regex::Regex;

/// Whose fault it is that an image is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    /// The reference is wrong: trying again does not help.
    Never,
    /// The registry, or the way to it: it may help.
    Transient,
    /// The message does not say.
    Unknown,
}

/// Texts of troubles that pass; they go before [`NEVER`], since what follows from them is told in the same message.
const TRANSIENT: [&str; 42] = [
    "429 too many requests",
    "toomanyrequests",
    "too many requests",
    "rate limit",
    "status code 429",
    "500 internal server error",
    "502 bad gateway",
    "503 service unavailable",
    "504 gateway time",
    "status code 5",
    "internal server error",
    "bad gateway",
    "service unavailable",
    "gateway timeout",
    "gateway time-out",
    "connection refused",
    "connection reset",
    "connection timed out",
    "connection closed",
    "broken pipe",
    "i/o timeout",
    "timed out",
    "timeout exceeded",
    "timeout awaiting",
    "handshake timeout",
    "deadline exceeded",
    "context canceled",
    "unexpected eof",
    ": eof",
    "tls:",
    "x509:",
    "server gave http response to https client",
    "certificate",
    "server misbehaving",
    "temporary failure in name resolution",
    "try again",
    "no route to host",
    "network is unreachable",
    "no space left on device",
    "failed commit on ref",
    "pull qps exceeded",
    "registryunavailable",
];

/// Texts of references that no registry will ever serve.
const NEVER: [&str; 24] = [
    "not found",
    "no such host",
    "manifest unknown",
    "name unknown",
    "repository unknown",
    "repository does not exist",
    "no such image",
    "no such manifest",
    "denied",
    "unauthorized",
    "forbidden",
    "authentication required",
    "authorization failed",
    "no basic auth credentials",
    "invalid username",
    "incorrect username",
    "invalid reference",
    "couldn't parse image",
    "could not parse",
    "no matching manifest",
    "no match for platform",
    "unsupported manifest",
    "unsupported media type",
    "short name mode is enforcing",
];

/// What a message means, whatever the image is called.
pub fn classify(message: &str) -> Pull {
    let message = without_names(message).to_lowercase();
    let says = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
    if says(&TRANSIENT) {
        Pull::Transient
    } else if says(&NEVER) {
        Pull::Never
    } else {
        Pull::Unknown
    }
}

/// What to do about it.
pub fn hint(message: &str, pull: Pull) -> &'static str {
    const HINTS: [(&str, &str); 8] = [
        ("no such host", "the registry's name does not resolve: check the image's reference for a typing error"),
        ("denied", "the registry refuses access: check the name, or give the credentials with `pull-secrets`"),
        ("unauthorized", "the registry refuses access: check the name, or give the credentials with `pull-secrets`"),
        ("401", "the registry refuses access: check the name, or give the credentials with `pull-secrets`"),
        ("forbidden", "the registry refuses access: check the name, or give the credentials with `pull-secrets`"),
        ("platform", "the image has no variant for the architecture of the nodes"),
        ("no matching manifest", "the image has no variant for the architecture of the nodes"),
        ("not found", "check the image's name and tag, and that it was published"),
    ];
    match pull {
        Pull::Transient => {
            "the registry, not the example, is at fault: try again, or set a mirror with `registries.mirrors`"
        }
        Pull::Never | Pull::Unknown => {
            let message = without_names(message).to_lowercase();
            let known = HINTS.iter().find(|(text, _)| message.contains(text));
            known.map_or("check the image's name and tag, and that the cluster may pull it", |(_, hint)| hint)
        }
    }
}

/// The message without what is quoted, and without addresses and references: names must not be read as diagnoses
/// (`registry.example/denied/x:1`).
fn without_names(message: &str) -> String {
    static NAMES: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#""[^"]*"|https?://\S+|[^\s"]*[.:][^\s"]*/\S+|\S+/[^\s"]*[:@]\S+"#).ok());
    NAMES.as_ref().map_or_else(|| message.to_owned(), |names| names.replace_all(message, " ").into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_registries_are_told_apart() {
        for (message, expected) in [
            (
                "failed to resolve reference \"127.0.0.1:5055/absent/x:1\": 127.0.0.1:5055/absent/x:1: not found",
                Pull::Never,
            ),
            ("dial tcp: lookup registry.invalid on 172.19.0.1:53: no such host", Pull::Never),
            (
                "pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials",
                Pull::Never,
            ),
            (
                "unexpected status from HEAD request to http://127.0.0.1:5055/v2/denied/x/manifests/1: 403 Forbidden",
                Pull::Never,
            ),
            (
                "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://auth.docker.io/token?scope=repository%3Ax: 401 Unauthorized",
                Pull::Never,
            ),
            (
                "Error response from daemon: manifest for alpine:nope not found: manifest unknown: manifest unknown",
                Pull::Never,
            ),
            ("Error response from daemon: unauthorized: incorrect username or password", Pull::Never),
            ("no match for platform in manifest: not found", Pull::Never),
            (
                "unexpected status from HEAD request to http://127.0.0.1:5055/v2/limited/x/manifests/1: 429 Too Many Requests",
                Pull::Transient,
            ),
            (
                "toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating",
                Pull::Transient,
            ),
            (
                "unexpected status from HEAD request to http://127.0.0.1:5055/v2/denied/x/manifests/1: 503 Service Unavailable",
                Pull::Transient,
            ),
            (
                "failed to copy: httpReadSeeker: failed open: unexpected status code https://a.b/v2/x/blobs/sha256:0: 500 Internal Server Error",
                Pull::Transient,
            ),
            (
                "Head \"http://127.0.0.1:5999/v2/x/x/manifests/1\": dial tcp 127.0.0.1:5999: connect: connection refused",
                Pull::Transient,
            ),
            (
                "Head \"https://172.19.0.1:5055/v2/x/x/manifests/1\": tls: first record does not look like a TLS handshake",
                Pull::Transient,
            ),
            ("Get \"https://r.example/v2/\": x509: certificate signed by unknown authority", Pull::Transient),
            ("Get \"https://r.example/v2/\": http: server gave HTTP response to HTTPS client", Pull::Transient),
            ("dial tcp: lookup registry-1.docker.io on 10.0.0.1:53: server misbehaving", Pull::Transient),
            ("dial tcp: lookup registry-1.docker.io: i/o timeout", Pull::Transient),
            ("lookup quay.io: Temporary failure in name resolution", Pull::Transient),
            ("Get \"https://ghcr.io/v2/\": net/http: TLS handshake timeout", Pull::Transient),
            (
                "Get \"https://ghcr.io/v2/\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
                Pull::Transient,
            ),
            ("failed to copy: read tcp 10.0.0.2:44->1.2.3.4:443: read: connection reset by peer", Pull::Transient),
            ("rpc error: code = Unknown desc = something odd", Pull::Unknown),
            ("Back-off pulling image \"example.com/denied/not-found:1\"", Pull::Unknown),
        ] {
            assert_eq!(classify(message), expected, "{message}");
        }
    }

    #[test]
    fn the_image_s_name_is_no_diagnosis() {
        assert_eq!(classify("failed to pull docker.io/unauthorized/forbidden:denied: boom"), Pull::Unknown);
        assert_eq!(classify("example/timeout@sha256:00: 404 Not Found"), Pull::Never);
    }
}
