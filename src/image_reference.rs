//! References to container images: `[registry[:port]/]path[:tag][@digest]`.
//!
//! Source of the grammar and of the normalisation: `reference.go`, `regexp.go` and `normalize.go` of
//! <https://github.com/distribution/reference>, which the kubelet uses too.

use std::fmt;
use std::sync::LazyLock;

use regex::Regex;

/// The registry of references that name none.
pub const DEFAULT_REGISTRY: &str = "docker.io";
/// The folder of names without one on the default registry.
const DEFAULT_NAMESPACE: &str = "library";
/// Longest repository name.
const MAX_NAME: usize = 255;
/// Longest tag.
const MAX_TAG: usize = 128;

/// An image reference, normalised: `ubuntu` is `docker.io/library/ubuntu`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageReference {
    /// The registry's host with its port: `docker.io`, `localhost:5000`.
    pub registry: String,
    /// The path on the registry: `library/ubuntu`.
    pub repository: String,
    /// The tag, if the reference has one.
    pub tag: Option<String>,
    /// The digest with its algorithm, if the reference has one: `sha256:...`.
    pub digest: Option<String>,
}

/// Why a text is not an image reference: what was found and what was expected, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ImageReferenceError(String);

impl ImageReference {
    /// Reads and normalises a reference.
    ///
    /// # Errors
    ///
    /// The text does not follow the grammar; the message says which part of it and what that part must look like.
    pub fn parse(text: &str) -> Result<Self, ImageReferenceError> {
        if text.trim() != text || text.is_empty() {
            return Err(error("it is empty or has spaces around it"));
        }
        if let Some(space) = text.chars().find(|character| character.is_whitespace()) {
            return Err(error(format!("it holds {space:?}; an image reference has no white space")));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(check_digest(digest)?)),
            None => (text, None),
        };
        let (name, tag) = split_tag(rest);
        let tag = tag.map(check_tag).transpose()?;
        let (registry, path) = split_registry(name);
        check_registry(registry)?;
        let repository = match registry {
            DEFAULT_REGISTRY if !path.contains('/') => format!("{DEFAULT_NAMESPACE}/{path}"),
            _ => path.to_owned(),
        };
        check_path(path, &repository)?;
        Ok(Self { registry: registry.to_owned(), repository, tag, digest })
    }

    /// Registry and path, without tag and digest: `docker.io/library/ubuntu`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// What a registry is asked for: the digest, else the tag, else `latest`.
    #[must_use]
    pub fn manifest(&self) -> &str {
        self.digest.as_deref().or(self.tag.as_deref()).unwrap_or("latest")
    }

    /// Whether what it means may change from one pull to the next without the manifest changing: no digest, and no tag
    /// or `latest`. Kubernetes pulls such an image every time unless told otherwise.
    #[must_use]
    pub fn is_latest(&self) -> bool {
        self.digest.is_none() && self.tag.as_deref().is_none_or(|tag| tag == "latest")
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

/// The normalised name that a reference has, without tag and digest, even where these are a template that somebody fills in
/// (`example/mnist:{{tag}}`); `None` if the name itself is malformed.
#[must_use]
pub fn normalised_name(text: &str) -> Option<String> {
    let template = ["{{", "$"].into_iter().filter_map(|start| text.find(start)).min();
    let written = match template.map(|start| &text[..start]) {
        Some(before) => before.strip_suffix([':', '@'])?,
        None => text,
    };
    ImageReference::parse(written).ok().map(|reference| reference.name())
}

fn error(message: impl Into<String>) -> ImageReferenceError {
    ImageReferenceError(message.into())
}

/// The tag is what follows the last colon, if no slash comes after it.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') && !name.is_empty() => (name, Some(tag)),
        _ => (text, None),
    }
}

/// The first component is a registry if it looks like a host: it has a dot, a port or an upper-case letter, or is
/// `localhost`.
fn split_registry(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some(("index.docker.io", path)) => (DEFAULT_REGISTRY, path),
        Some((host, path))
            if host.contains(['.', ':'])
                || host == "localhost"
                || host.chars().any(|character| character.is_ascii_uppercase()) =>
        {
            (host, path)
        }
        _ => (DEFAULT_REGISTRY, name),
    }
}

fn check_registry(registry: &str) -> Result<(), ImageReferenceError> {
    static REGISTRY: LazyLock<Regex> = LazyLock::new(|| {
        let label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";
        pattern(&format!(r"^(?:{label}(?:\.{label})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?$"))
    });
    if REGISTRY.is_match(registry) {
        return Ok(());
    }
    Err(error(format!("`{registry}` is not a registry: expected a host such as `ghcr.io` or `localhost:5000`")))
}

/// `path` is what was written, `repository` what it means.
fn check_path(path: &str, repository: &str) -> Result<(), ImageReferenceError> {
    static COMPONENT: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$"));
    if path.is_empty() {
        return Err(error("the image's name is missing"));
    }
    if repository.len() > MAX_NAME {
        return Err(error(format!("the name has {} characters; at most {MAX_NAME} are allowed", repository.len())));
    }
    for component in path.split('/') {
        if COMPONENT.is_match(component) {
            continue;
        }
        return Err(error(match component {
            "" => "a part of the name between two `/` is empty".to_owned(),
            upper if COMPONENT.is_match(&upper.to_lowercase()) => {
                format!("`{component}` has upper-case letters; the name must be lower case")
            }
            _ => format!(
                "`{component}` is not a name: expected lower-case letters and digits, separated by `.`, `_`, `__` or `-`"
            ),
        }));
    }
    if path.len() == 64 && path.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
        return Err(error("64 hexadecimal digits are an image's id, not its name"));
    }
    Ok(())
}

fn check_tag(tag: &str) -> Result<String, ImageReferenceError> {
    static TAG: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"));
    if tag.is_empty() {
        return Err(error("nothing follows the `:`; expected a tag"));
    }
    if tag.len() > MAX_TAG {
        return Err(error(format!("the tag has {} characters; at most {MAX_TAG} are allowed", tag.len())));
    }
    if !TAG.is_match(tag) {
        return Err(error(format!(
            "`{tag}` is not a tag: expected letters, digits, `_`, `.` and `-`, not starting with `.` or `-`"
        )));
    }
    Ok(tag.to_owned())
}

fn check_digest(digest: &str) -> Result<String, ImageReferenceError> {
    let Some((algorithm, hex)) = digest.split_once(':') else {
        return Err(error(format!("`{digest}` is not a digest: expected `sha256:` and 64 hexadecimal digits")));
    };
    let expected = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => {
            return Err(error(format!("`{algorithm}` is not a digest's algorithm: expected sha256, sha384 or sha512")));
        }
    };
    if hex.len() != expected || !hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
        return Err(error(format!(
            "the digest has {} characters after `{algorithm}:`; expected {expected} lower-case hexadecimal digits",
            hex.chars().count()
        )));
    }
    Ok(digest.to_owned())
}

#[expect(clippy::expect_used, reason = "the patterns of this file are literals")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a literal pattern compiles, as the tests of this file show")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> String {
        ImageReference::parse(text).unwrap().to_string()
    }

    fn refusal(text: &str) -> String {
        ImageReference::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn short_names_are_completed_as_docker_completes_them() {
        for (text, expected) in [
            ("ubuntu", "docker.io/library/ubuntu"),
            ("ubuntu:22.04", "docker.io/library/ubuntu:22.04"),
            ("kubeflowkatib/pytorch-mnist:v1", "docker.io/kubeflowkatib/pytorch-mnist:v1"),
            ("docker.io/ubuntu", "docker.io/library/ubuntu"),
            ("index.docker.io/ubuntu", "docker.io/library/ubuntu"),
            ("localhost/x", "localhost/x"),
            ("localhost:5000/x:1", "localhost:5000/x:1"),
            ("ghcr.io/a/b-c__d.e:latest", "ghcr.io/a/b-c__d.e:latest"),
            ("[::1]:5000/x", "[::1]:5000/x"),
            ("Registry/x", "Registry/x"),
        ] {
            assert_eq!(name(text), expected, "{text}");
        }
    }

    #[test]
    fn tag_and_digest_are_told_apart_from_a_port() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let reference = ImageReference::parse(&format!("reg.example:5000/a/b:v1@{digest}")).unwrap();
        assert_eq!((reference.registry.as_str(), reference.repository.as_str()), ("reg.example:5000", "a/b"));
        assert_eq!((reference.tag.as_deref(), reference.digest.as_deref()), (Some("v1"), Some(digest.as_str())));
        assert_eq!(reference.manifest(), digest);
        assert_eq!(ImageReference::parse("reg.example:5000/a").unwrap().tag, None);
    }

    #[test]
    fn a_name_is_read_where_its_tag_is_a_template() {
        for (text, expected) in [
            ("mnist:v1", Some("docker.io/library/mnist")),
            ("ghcr.io/a/mnist:{{inputs.parameters.tag}}", Some("ghcr.io/a/mnist")),
            ("localhost:5000/mnist:${TAG}", Some("localhost:5000/mnist")),
            ("a/mnist@$(DIGEST)", Some("docker.io/a/mnist")),
            ("a/mnist-{{arch}}:v1", None),
            ("${REGISTRY}/mnist:v1", None),
            ("a/Mnist", None),
        ] {
            assert_eq!(normalised_name(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn only_a_missing_tag_or_latest_without_a_digest_is_latest() {
        assert!(ImageReference::parse("a").unwrap().is_latest());
        assert!(ImageReference::parse("a:latest").unwrap().is_latest());
        assert!(!ImageReference::parse("a:v1").unwrap().is_latest());
        assert!(!ImageReference::parse(&format!("a@sha256:{}", "0".repeat(64))).unwrap().is_latest());
    }

    #[test]
    fn a_malformed_reference_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", "empty"),
            (" ubuntu", "spaces"),
            ("my image", "white space"),
            ("Ubuntu", "upper-case"),
            ("ghcr.io/Kubeflow/x", "upper-case"),
            ("ubuntu:", "expected a tag"),
            ("ubuntu:-1", "not a tag"),
            ("a//b", "is empty"),
            ("a/", "is empty"),
            ("ghcr.io/", "missing"),
            ("https://ghcr.io/a", "not a registry"),
            ("-bad-.io/a", "not a registry"),
            ("a_-b", "not a name"),
            ("a@sha256:12", "64 lower-case"),
            ("a@md5:12", "algorithm"),
            ("a@latest", "not a digest"),
            ("{{ .Values.image }}", "white space"),
            ("${IMAGE}", "not a name"),
            (":v1", "not a name"),
        ] {
            assert!(refusal(text).contains(reason), "{text}: {}", refusal(text));
        }
        assert!(refusal(&format!("a:{}", "x".repeat(129))).contains("128"));
        assert!(refusal(&"a".repeat(300)).contains("255"));
        assert!(refusal(&"a".repeat(64)).contains("id"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}") {
            let _ = ImageReference::parse(&text);
        }

        #[test]
        fn what_follows_the_grammar_is_read_and_written_back(
            host in "([a-z]{1,8}\\.[a-z]{2,3}|localhost)(:[0-9]{1,5})?",
            path in "[a-z0-9]{1,6}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}(/[a-z0-9]{1,6}){0,2}",
            tag in proptest::option::of("[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}"),
            digest in proptest::option::of("sha256:[0-9a-f]{64}"),
        ) {
            let tag = tag.map(|tag| format!(":{tag}")).unwrap_or_default();
            let digest = digest.map(|digest| format!("@{digest}")).unwrap_or_default();
            let text = format!("{host}/{path}{tag}{digest}");
            prop_assert_eq!(ImageReference::parse(&text).map(|reference| reference.to_string()), Ok(text));
        }

        #[test]
        fn a_normalised_reference_means_itself(text in "[a-zA-Z0-9./:@_-]{1,40}") {
            if let Ok(reference) = ImageReference::parse(&text) {
                prop_assert_eq!(ImageReference::parse(&reference.to_string()), Ok(reference));
            }
        }
    }
}
