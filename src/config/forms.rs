//! The forms of single texts in config, flags and inputs. An error says what was found and what was expected.

use std::time::Duration;

use globset::{Glob, GlobBuilder};

use super::KubernetesVersion;
use crate::duration;
use crate::image_reference::ImageReference;
use crate::metric_selector::{NAMESPACE, Selector};

impl std::str::FromStr for KubernetesVersion {
    type Err = String;

    /// Reads `v1.34`, `v1.34.0`, or a node image, whose version is its tag's.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_version(text) {
            return Ok(Self { version: text.to_owned(), image: None });
        }
        let expected = || format!("`{text}` is not a Kubernetes version: expected v1.34, v1.34.0 or a node image");
        if is_version(&format!("v{text}")) {
            return Err(format!("{} (did you mean `v{text}`?)", expected()));
        }
        if !text.contains(['/', ':', '@']) {
            return Err(expected());
        }
        let reference = image(text).map_err(|_| expected())?;
        let version = reference.tag.filter(|tag| is_version(tag)).unwrap_or_else(|| text.to_owned());
        Ok(Self { version, image: Some(text.to_owned()) })
    }
}

/// `v1.34`, `v1.34.0`, `v1.35.0-beta.1`.
fn is_version(text: &str) -> bool {
    let Some(numbers) = text.strip_prefix('v') else { return false };
    let (numbers, suffix) =
        numbers.split_once('-').map_or((numbers, None), |(numbers, suffix)| (numbers, Some(suffix)));
    let count = numbers.split('.').count();
    let is_number = |part: &str| !part.is_empty() && part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
    let suffix_is_right = suffix.is_none_or(|suffix| {
        let is_right = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
        count == 3 && !suffix.is_empty() && suffix.bytes().all(is_right)
    });
    (2..=3).contains(&count) && numbers.split('.').all(is_number) && suffix_is_right
}

/// The version of a release, all three numbers: `v0.30.0`.
pub(super) fn release(text: &str) -> Result<String, String> {
    if is_version(text) && text.split('.').count() >= 3 {
        return Ok(text.to_owned());
    }
    Err(format!("`{text}` is not the version of a release: expected a form like v0.30.0"))
}

/// Reads an image reference.
pub(super) fn image(text: &str) -> Result<ImageReference, String> {
    ImageReference::parse(text).map_err(|reason| format!("`{text}` is not an image: {reason}"))
}

/// The name of an image, without tag and digest.
pub(super) fn image_name(text: &str) -> Result<String, String> {
    match image(text)? {
        ImageReference { tag: None, digest: None, .. } => Ok(text.to_owned()),
        _ => Err(format!("`{text}` has a tag or a digest: expected the name alone, every tag of it is meant")),
    }
}

/// A duration of at least a second.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    match duration::parse(text)? {
        Duration::ZERO => Err(format!("`{text}` is no time at all: expected at least 1s")),
        time => Ok(time),
    }
}

/// A glob over paths from the root: `*` stays in its folder, `**` stands for any folders, `{a,b}` for one of them.
///
/// # Errors
/// Says what is wrong with it.
pub fn glob(pattern: &str) -> Result<Glob, String> {
    if pattern.trim().is_empty() {
        return Err("is empty: expected a glob, like examples/**/*.yaml".to_owned());
    }
    let glob = GlobBuilder::new(pattern).literal_separator(true).backslash_escape(true).build();
    glob.map_err(|error| format!("`{pattern}` is not a glob: {}", error.kind()))
}

/// The name of a git branch. Source of the rules: `git help check-ref-format`.
pub(crate) fn branch_name(name: &str) -> Result<String, String> {
    if let Some(short) = name.strip_prefix("refs/") {
        let short = short.strip_prefix("heads/").unwrap_or("main");
        return Err(format!("`{name}` is a reference: expected the name of a branch alone, like `{short}`"));
    }
    let refused =
        |character: char| character.is_whitespace() || character.is_control() || "~^:?*[\\".contains(character);
    let refused_part = |part: &str| {
        part.is_empty() || part.starts_with('.') || part.rsplit_once('.').is_some_and(|(_, end)| end == "lock")
    };
    let bad = name.chars().any(refused)
        || name.split('/').any(refused_part)
        || name.starts_with('-')
        || name.ends_with('.')
        || name.contains("..")
        || name.contains("@{");
    if bad { Err(format!("`{name}` is not the name of a branch")) } else { Ok(name.to_owned()) }
}

/// The address of a web server.
pub(crate) fn http_url(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match host {
        Some(host) if !host.is_empty() && !host.starts_with('/') && !host.contains(char::is_whitespace) => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err(format!("`{text}` is not an address: expected https://...")),
    }
}

/// A name of a Kubernetes object (DNS-1123 subdomain).
pub(super) fn object_name(text: &str) -> Result<String, String> {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_label = |label: &str| {
        let ends = label.bytes().next().is_some_and(alphanumeric) && label.bytes().last().is_some_and(alphanumeric);
        ends && label.bytes().all(|byte| alphanumeric(byte) || byte == b'-')
    };
    if text.len() <= 253 && text.split('.').all(is_label) {
        return Ok(text.to_owned());
    }
    Err(format!("`{text}` is not a name of a Kubernetes object: expected lower-case letters, digits, `-` and `.`"))
}

/// An object in a namespace, `namespace/name`.
pub(super) fn namespaced(text: &str) -> Result<String, String> {
    let expected = || format!("`{text}`: expected namespace/name");
    let (namespace, name) = text.split_once('/').ok_or_else(expected)?;
    object_name(namespace).and_then(|_| object_name(name)).map_err(|_| expected())?;
    Ok(text.to_owned())
}

/// A Service's port, `namespace/name:port`.
pub(super) fn service(text: &str) -> Result<String, String> {
    let expected = || format!("`{text}`: expected namespace/name:port");
    let (service, port) = text.rsplit_once(':').ok_or_else(expected)?;
    namespaced(service).map_err(|_| expected())?;
    // The name of a port: IANA_SVC_NAME.
    let is_name = port.len() <= 15 && !port.contains("--") && port.bytes().any(|byte| byte.is_ascii_lowercase());
    match port.parse::<u16>() {
        Ok(1..) => Ok(text.to_owned()),
        Err(_) if is_name && !port.contains('.') && object_name(port).is_ok() => Ok(text.to_owned()),
        _ => Err(format!("{}, the port from 1 to 65535 or a port's name", expected())),
    }
}

/// The name of an environment variable.
pub(super) fn variable(text: &str) -> Result<String, String> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if text.bytes().all(word) && text.bytes().next().is_some_and(|byte| !byte.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    Err(format!("`{text}` is not the name of an environment variable, like DOCKER_CONFIG"))
}

/// A text that is not empty.
pub(super) fn text(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("is empty: expected a text".to_owned()) } else { Ok(text.to_owned()) }
}

/// Whether a metrics query is the selector of a metric, for which the metrics endpoint itself is enough; anything more is PromQL.
pub(super) fn is_plain_metric(query: &str) -> bool {
    // Filled in it can't stand outside of quotes.
    Selector::parse(&query.replace(NAMESPACE, "-")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn kubernetes_versions_have_three_forms() {
        let read =
            |text: &str| text.parse::<KubernetesVersion>().map(|version| (version.minor(), version.image.is_some()));
        assert_eq!(read("v1.34"), Ok((Some((1, 34)), false)));
        assert_eq!(read("v1.34.0"), Ok((Some((1, 34)), false)));
        assert_eq!(read("v1.35.0-beta.1"), Ok((Some((1, 35)), false)));
        assert_eq!(read("kindest/node:v1.33.4"), Ok((Some((1, 33)), true)));
        let digest = "0".repeat(64);
        assert_eq!(read(&format!("localhost:5000/node:v1.33.4@sha256:{digest}")), Ok((Some((1, 33)), true)));
        assert_eq!(read(&format!("my/node@sha256:{digest}")), Ok((None, true)));
    }

    #[test]
    fn anything_else_is_no_kubernetes_version() {
        for text in ["", "v1", "latest", "v1.x", "v1.34.0.1", "v1.34-beta", "v", "a b/c:v1", "Kind/Node:v1.34.0"] {
            assert!(text.parse::<KubernetesVersion>().unwrap_err().contains("v1.34.0"), "{text}");
        }
        assert!("1.34".parse::<KubernetesVersion>().unwrap_err().contains("did you mean `v1.34`?"));
    }

    #[test]
    fn image_references_follow_their_grammar() {
        for right in ["busybox", "a/b:1", "ghcr.io/a/b", "localhost:5000/a:v1", "a/b__c/d-e.f:Tag_1"] {
            assert!(image(right).is_ok(), "{right}");
        }
        for wrong in ["", "a/B", "a//b", "a:", "a/b:-x", "a@sha256:12", "a b", "a/.b", "a_.b"] {
            assert!(image(wrong).is_err(), "{wrong}");
        }
        assert!(image_name("a/b:1").unwrap_err().contains("has a tag"));
        assert_eq!(image_name("localhost:5000/a"), Ok("localhost:5000/a".to_owned()));
    }

    #[test]
    fn a_service_has_a_namespace_a_name_and_a_port() {
        assert!(service("kubeflow/training-operator:8080").is_ok());
        assert!(service("kubeflow/training-operator:monitoring-port").is_ok());
        for wrong in [
            "a/b:Https",
            "a/b:a--b",
            "a/b:a.b",
            "a/b:-a",
            "a/b:sixteen-letters-x",
            "training-operator:8080",
            "a/b",
            "a/b:0",
            "a/b:99999",
            "A/b:1",
            "a/b/c:1",
            "a/:1",
        ] {
            assert!(service(wrong).unwrap_err().contains("namespace/name:port"), "{wrong}");
        }
    }

    #[test]
    fn a_metric_with_label_values_needs_no_promql() {
        for plain in
            ["up", "jobs_total{}", r#"jobs_total{job_namespace="{namespace}", framework="a\"b"}"#, r#"x{a="1",}"#]
        {
            assert!(is_plain_metric(plain), "{plain}");
        }
        assert!(is_plain_metric(r#"up{a=~"b.*",n!~"{namespace}"}"#));
        for promql in ["sum(up)", "rate(up[5m])", r#"{a=~"b.*"}"#, "up > 1", "", "a b", "up{namespace}"] {
            assert!(!is_plain_metric(promql), "{promql}");
        }
    }

    #[test]
    fn names_of_branches_follow_git() {
        for right in ["main", "example-validator-history", "a/b.c"] {
            assert!(branch_name(right).is_ok(), "{right}");
        }
        for wrong in ["", "-x", "a..b", "a b", "a/", "/a", "x.lock", ".a", "a~1", "@{"] {
            assert!(branch_name(wrong).is_err(), "{wrong}");
        }
        let reference = branch_name("refs/heads/kept").unwrap_err();
        assert_eq!(reference, "`refs/heads/kept` is a reference: expected the name of a branch alone, like `kept`");
        assert!(branch_name("refs/tags/v1").is_err() && branch_name("refs/").is_err() && branch_name("refs").is_ok());
    }

    #[test]
    fn a_star_stays_in_its_folder() {
        let matcher = glob("examples/*/*.{yaml,yml}").unwrap().compile_matcher();
        assert!(matcher.is_match("examples/a/b.yml") && !matcher.is_match("examples/a/b/c.yml"));
        assert!(glob("a/[b").unwrap_err().contains("is not a glob"));
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange_to_be_judged(text in "\\PC{0,40}") {
            let _ = (text.parse::<KubernetesVersion>(), image(&text), service(&text), glob(&text), branch_name(&text));
            let _ = (http_url(&text), object_name(&text), variable(&text), is_plain_metric(&text));
        }

        #[test]
        fn every_release_is_read_back(major in 0_u16..100, minor in 0_u16..100, patch in 0_u16..100) {
            let text = format!("v{major}.{minor}.{patch}");
            prop_assert_eq!(text.parse::<KubernetesVersion>().unwrap().minor(), Some((u32::from(major), u32::from(minor))));
        }
    }
}
