//! Which node image a Kubernetes version means: a table of what kind's releases were made with. Pure.

use std::sync::LazyLock;

use crate::diagnostic::Diagnostic;
use crate::plan::DEFAULT_KUBERNETES;
use crate::yaml;

/// Where kind's own node images are.
const REPOSITORY: &str = "kindest/node";

/// A node image that the tool knows.
struct Known {
    kind: String,
    kubernetes: String,
    digest: String,
}

/// The table, the newest kind first.
static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let table = yaml::parse(include_str!("node_images.yaml"));
    let releases = table.documents.iter().flat_map(|document| document.root.entries());
    releases
        .flat_map(|release| {
            let text = |image: &yaml::Node, key: &str| {
                image.get(key).and_then(yaml::Node::as_str).unwrap_or_default().to_owned()
            };
            release.value.items().map(move |image| Known {
                kind: release.key.to_string(),
                kubernetes: text(image, "kubernetes"),
                digest: text(image, "digest"),
            })
        })
        .collect()
});

/// What `kind create` is told as `--image`; `None` leaves it to kind. `image` is the user's own, for this version; `kind` is the
/// version of the kind at hand, whose own image is taken where two releases have one of the same version.
///
/// # Errors
/// `v1.34` without a patch, of which the tool knows none.
pub fn node_image(kubernetes: &str, image: Option<&str>, kind: &str) -> Result<Option<String>, Diagnostic> {
    if image.is_some() || kubernetes == DEFAULT_KUBERNETES {
        return Ok(image.map(str::to_owned));
    }
    if kubernetes.contains(['/', ':', '@']) {
        return Ok(Some(kubernetes.to_owned()));
    }
    let is_meant = |known: &&Known| match kubernetes.matches('.').count() {
        1 => known.kubernetes.strip_prefix(kubernetes).is_some_and(|rest| rest.starts_with('.')),
        _ => known.kubernetes == kubernetes,
    };
    // The newest patch; of two images of it the one of this kind, else that of the newest.
    let found =
        KNOWN.iter().rev().filter(is_meant).max_by_key(|known| (numbers(&known.kubernetes), known.kind == kind));
    match found {
        Some(Known { kubernetes, digest, .. }) => Ok(Some(format!("{REPOSITORY}:{kubernetes}@{digest}"))),
        None if kubernetes.matches('.').count() == 1 => Err(unknown(kubernetes)),
        // kind says so if there is no such image.
        None => Ok(Some(format!("{REPOSITORY}:{kubernetes}"))),
    }
}

/// The version that a release of kind takes where it is told none: the newest of its images. `None` for one that is not known.
#[must_use]
pub fn default_of(kind: &str) -> Option<&'static str> {
    KNOWN.iter().find(|known| known.kind == kind).map(|known| known.kubernetes.as_str())
}

fn unknown(kubernetes: &str) -> Diagnostic {
    let minor = |known: &Known| numbers(&known.kubernetes)[..2].to_vec();
    let mut minors: Vec<_> = KNOWN.iter().map(minor).collect();
    minors.sort();
    minors.dedup();
    let known: Vec<_> = minors.iter().map(|numbers| format!("v{}.{}", numbers[0], numbers[1])).collect();
    Diagnostic::error(format!("no node image of Kubernetes {kubernetes} is known")).with_help(format!(
        "known are {}; any other version needs its patch ({kubernetes}.0) or a node image",
        known.join(", ")
    ))
}

/// `[1, 34, 0]` of `v1.34.0`.
pub(crate) fn numbers(version: &str) -> Vec<u32> {
    let numbers = version.trim_start_matches('v').split(['-', '+']).next().unwrap_or_default();
    numbers.split('.').map_while(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(kubernetes: &str) -> String {
        node_image(kubernetes, None, "v0.33.0").unwrap().unwrap_or_default()
    }

    #[test]
    fn the_table_is_whole() {
        assert!(KNOWN.len() >= 30);
        for Known { kind, kubernetes, digest } in KNOWN.iter() {
            assert!(numbers(kind).len() == 3 && numbers(kubernetes).len() == 3, "{kind} {kubernetes}");
            assert!(digest.starts_with("sha256:") && digest.len() == 71, "{digest}");
        }
    }

    #[test]
    fn a_version_without_a_patch_is_the_newest_one_that_is_known() {
        assert!(image("v1.34").starts_with("kindest/node:v1.34.11@sha256:44e222ee"), "{}", image("v1.34"));
        assert!(image("v1.30").starts_with("kindest/node:v1.30.13@sha256:"), "{}", image("v1.30"));
    }

    #[test]
    fn a_known_version_is_pinned_by_digest_and_an_unknown_one_is_left_to_kind() {
        assert!(image("v1.34.0").starts_with("kindest/node:v1.34.0@sha256:7416a61b"), "{}", image("v1.34.0"));
        assert_eq!(image("v1.34.99"), "kindest/node:v1.34.99");
        assert_eq!(image("v1.38.0-beta.1"), "kindest/node:v1.38.0-beta.1");
    }

    #[test]
    fn two_releases_with_one_version_have_images_of_their_own() {
        let of = |kind: &str| node_image("v1.33.1", None, kind).unwrap().unwrap();
        assert!(of("v0.28.0").contains("sha256:8d866994") && of("v0.29.0").contains("sha256:05007225"));
        assert_eq!(of("v0.33.0"), of("v0.29.0"));
    }

    #[test]
    fn images_of_the_user_are_taken_as_they_are_and_the_default_is_kinds() {
        assert_eq!(node_image("v1.34.0", Some("my/node:v1.34.0"), "").unwrap().unwrap(), "my/node:v1.34.0");
        assert_eq!(image("my/node@sha256:00"), "my/node@sha256:00");
        assert_eq!(node_image("default", None, "v0.33.0"), Ok(None));
    }

    #[test]
    fn an_unknown_minor_lists_the_known_ones() {
        let found = node_image("v1.99", None, "").unwrap_err();
        assert_eq!(found.message, "no node image of Kubernetes v1.99 is known");
        assert!(found.help.unwrap().starts_with("known are v1.29, v1.30, v1.31"));
    }
}
