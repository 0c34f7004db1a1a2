//! Names and label values that the API server takes, whatever an example is called.

use sha2::{Digest, Sha256};

use crate::model::ExampleId;

/// Longest slug; with `ev-`, a dash and the hash a namespace stays below the 63 characters of a DNS label.
const SLUG: usize = 40;
/// Hexadecimal digits of the hash: 48 bits, so that two of 20,000 attempts meet once in a million runs.
const HASH: usize = 12;

/// The namespace of an attempt, `ev-<slug>-<hash>`: a DNS label that no other attempt of any run has.
#[must_use]
pub fn namespace_name(example: &ExampleId, kubernetes: Option<&str>, run: &str, attempt: u32) -> String {
    let hash = hash(&[run, example.as_str(), kubernetes.unwrap_or_default(), &attempt.to_string()]);
    format!("ev-{}-{hash}", slug(example.as_str()))
}

/// The end of an example's path without its extension, in lower-case letters, digits and single dashes; a word of its own if
/// nothing is left. It is a DNS label, and a label's value.
pub(super) fn slug(path: &str) -> String {
    let stem = path.rsplit_once('.').filter(|(_, extension)| !extension.contains('/')).map_or(path, |(stem, _)| stem);
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let dashed: String = stem.chars().map(plain).collect();
    let words: Vec<_> = dashed.split('-').filter(|word| !word.is_empty() && *word != "examples").collect();
    let whole = words.join("-");
    // A path is cut between words where that leaves something of it.
    let tail = &whole[whole.len().saturating_sub(SLUG)..];
    let slug = if tail.len() < whole.len() { tail.split_once('-').map_or(tail, |(_, rest)| rest) } else { tail };
    if slug.is_empty() { "example".to_owned() } else { slug.to_owned() }
}

/// A text as the value of a label: itself where it is one, else its letters and digits with a hash.
#[must_use]
pub fn label_value(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let ends_well = |end: Option<char>| end.is_some_and(|c| c.is_ascii_alphanumeric());
    let ends_well = ends_well(text.chars().next()) && ends_well(text.chars().next_back());
    if text.len() <= 63 && text.chars().all(allowed) && ends_well {
        return text.to_owned();
    }
    format!("{}-{}", slug(text), hash(&[text]))
}

/// A hash over parts that can't be mistaken for other parts.
fn hash(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_le_bytes());
        hasher.update(part);
    }
    let digest = hasher.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()[..HASH].to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(path: &str) -> String {
        namespace_name(&ExampleId::new(path), Some("v1.34.0"), "42", 1)
    }

    #[test]
    fn a_namespace_says_which_example_it_is_for() {
        assert!(name("examples/pytorch/simple.yaml").starts_with("ev-pytorch-simple-"));
        assert!(name("../Grüße/Ünïcode.yaml").starts_with("ev-gr-e-n-code-"));
        assert!(name("....").starts_with("ev-example-"));
        assert!(name("examples/a.b/kustomize").starts_with("ev-a-b-kustomize-"));
        let long = name("examples/tensorflow/distribution_strategy/keras-API/multi_worker_tfjob.yaml");
        assert!(long.starts_with("ev-strategy-keras-api-multi-worker-tfjob-") && long.len() <= 63, "{long}");
    }

    #[test]
    fn every_attempt_has_a_namespace_of_its_own() {
        let id = ExampleId::new("examples/a.yaml");
        let other = ExampleId::new("examples/a.yml");
        let names = [
            namespace_name(&id, None, "1", 1),
            namespace_name(&id, None, "1", 2),
            namespace_name(&id, None, "11", 1),
            namespace_name(&id, Some("v1"), "1", 1),
            namespace_name(&other, None, "1", 1),
        ];
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
    }

    #[test]
    fn a_good_label_value_stays() {
        assert_eq!(label_value("12345-1"), "12345-1");
        assert!(label_value("a b").starts_with("a-b-"));
        assert!(label_value("").starts_with("example-"));
        assert!(label_value("-a").starts_with("a-"));
    }

    proptest! {
        #[test]
        fn names_are_dns_labels_and_values_are_label_values(path in ".{0,120}") {
            let namespace = name(&path);
            prop_assert!(namespace.len() <= 63);
            prop_assert!(namespace.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
            prop_assert!(!namespace.ends_with('-'));
            let value = label_value(&path);
            prop_assert!(value.len() <= 63 && !value.is_empty());
            prop_assert!(value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)));
            prop_assert!(value.starts_with(|c: char| c.is_ascii_alphanumeric()) && value.ends_with(|c: char| c.is_ascii_alphanumeric()));
        }
    }
}
