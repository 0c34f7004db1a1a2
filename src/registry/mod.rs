//! What everyone needs to know who asks a registry: where it answers, what it is asked for, how it asks for a token.
//!
//! Protocol: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>.

pub(crate) mod challenge;

use std::collections::BTreeMap;
use std::net::IpAddr;

use reqwest::Url;

use crate::image_reference::DEFAULT_REGISTRY;

/// Where Docker Hub's registry answers.
const DOCKER_HUB: &str = "https://registry-1.docker.io";
/// The forms of a manifest and of an index; a registry that has only a form which is not listed says that there is none.
pub(crate) const FORMS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.v1+prettyjws, application/vnd.docker.distribution.manifest.v1+json";

/// The URL under which a registry, or the mirror that stands for it, answers. `Err` is a reason in one line.
pub(crate) fn base(registry: &str, mirrors: &BTreeMap<String, String>) -> Result<String, String> {
    match mirrors.get(registry) {
        Some(mirror) => base_of_mirror(mirror),
        None => Ok(own_base(registry)),
    }
}

/// The URL of a mirror.
pub(crate) fn base_of_mirror(mirror: &str) -> Result<String, String> {
    let url = Url::parse(mirror).map_err(|error| format!("the mirror `{mirror}` is not a URL: {error}"))?;
    require_safe(&url)?;
    Ok(mirror.trim_end_matches('/').to_owned())
}

/// The URL under which a registry itself answers.
pub(crate) fn own_base(registry: &str) -> String {
    if registry == DEFAULT_REGISTRY {
        return DOCKER_HUB.to_owned();
    }
    // As Docker does: a registry on this machine needs no certificate.
    let plain = Url::parse(&format!("http://{registry}")).is_ok_and(|url| is_loopback(&url));
    format!("{}://{registry}", if plain { "http" } else { "https" })
}

/// Nothing is asked over an open line, but on this machine.
pub(crate) fn require_safe(url: &Url) -> Result<(), String> {
    if url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url)) {
        return Ok(());
    }
    Err(format!("`{url}` is not safe to ask: expected `https://`"))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// An error with its causes, in one line and without the URL, which holds nothing new.
pub(crate) fn chain(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut text = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(current) = cause {
        text = current.to_string();
        cause = current.source();
    }
    if text.is_empty() { "the connection failed".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_registry_has_its_own_address() {
        let mirrors = BTreeMap::from([("quay.io".to_owned(), "https://mirror.example/quay/".to_owned())]);
        for (registry, expected) in [
            ("docker.io", "https://registry-1.docker.io"),
            ("ghcr.io", "https://ghcr.io"),
            ("localhost:5000", "http://localhost:5000"),
            ("[::1]:5000", "http://[::1]:5000"),
            ("quay.io", "https://mirror.example/quay"),
        ] {
            assert_eq!(base(registry, &mirrors).as_deref(), Ok(expected));
        }
        assert!(base_of_mirror("http://mirror.example").unwrap_err().contains("https"));
    }
}
