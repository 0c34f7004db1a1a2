//! Names of clusters, by which `clean` knows them: kind lets nobody put labels on its containers. Pure.

use sha2::{Digest, Sha256};

/// Longest name of a cluster: the longest hostname that kind makes of one is `<name>-external-load-balancer`.
const NAME: usize = 63 - "-external-load-balancer".len();
/// Most of a version that is shown; the run has the rest.
const VERSION: usize = 12;
/// Hexadecimal digits by which runs differ, whatever was cut from their names.
const RUN: usize = 6;
/// Hexadecimal digits by which the clusters of a run differ.
const UNIQUE: usize = 4;
/// Hexadecimal digits that follow from the rest of the name: a cluster that a user called `ev-...` has others.
const CHECK: usize = 4;

/// The cluster's name, `ev-<run>-<version>-<hash>`, of letters, digits and single dashes. No other run or version has it.
#[must_use]
pub fn cluster_name(run: &str, kubernetes: &str) -> String {
    // No dots: the name is part of a hostname, which would be cut at the first one.
    let version = slug(kubernetes, VERSION);
    let shown = slug(run, NAME - "ev---".len() - version.len() - RUN - UNIQUE - CHECK);
    let unique = format!("{}{}", &hash(&[run])[..RUN], &hash(&[run, kubernetes])[..UNIQUE]);
    let words = ["ev", &shown, &version, &unique];
    let name = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    let check = check(&name);
    name + &check
}

/// Whether a cluster of this name was made by this program.
#[must_use]
pub fn is_ours(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let Some(split) = name.len().checked_sub(CHECK).filter(|_| name.bytes().all(allowed)) else { return false };
    name.starts_with("ev-") && check(&name[..split]) == name[split..]
}

/// Whether a cluster of this name was made by this run.
#[must_use]
pub fn is_of(name: &str, run: &str) -> bool {
    let end = name.len().saturating_sub(UNIQUE + CHECK);
    is_ours(name) && name.get(end.saturating_sub(RUN)..end) == Some(&hash(&[run])[..RUN])
}

/// The last digits of a name of ours, which follow from what stands before them.
fn check(name: &str) -> String {
    hash(&["example-validator", name])[..CHECK].to_owned()
}

/// The last `most` characters of a text as words of lower-case letters and digits.
fn slug(text: &str, most: usize) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let dashed: String = text.chars().map(plain).collect();
    let whole = dashed.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    whole[whole.len().saturating_sub(most)..].trim_matches('-').to_owned()
}

/// A hash over parts that can't be mistaken for other parts, in hexadecimal digits.
fn hash(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_good(name: &str) -> bool {
        let node = format!("{name}-external-load-balancer");
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let kinds = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        kinds && node.len() <= 63 && edge(name.chars().next()) && edge(name.chars().last())
    }

    #[test]
    fn a_name_tells_run_and_version() {
        let name = cluster_name("18923412345-1", "v1.34.0");
        assert!(name.starts_with("ev-18923412345-1-v1-34-0-"), "{name}");
        assert!(cluster_name("1", "localhost:5000/node@sha256:0123").contains("sha256-0123"));
    }

    #[test]
    fn clusters_of_users_are_not_ours() {
        for name in ["ev-1-v1-34-0-0123456789", "ev-", "ev", "", "kind", "ev-demo", "ev-grün", "ev-a-0000000000"] {
            assert!(!is_ours(name), "{name}");
        }
        let ours = cluster_name("1", "v1.34.0");
        assert!(is_ours(&ours) && !is_ours(&format!("{ours}2")) && !is_ours(&ours[1..]));
    }

    proptest! {
        #[test]
        fn every_name_is_a_hostname_of_ours(run in ".{0,60}", version in ".{0,60}") {
            let name = cluster_name(&run, &version);
            prop_assert!(is_good(&name), "{}", name);
            prop_assert!(is_ours(&name), "{}", name);
            prop_assert!(is_of(&name, &run) && !is_of(&name, &format!("{run}1")), "{}", name);
        }

        #[test]
        fn runs_and_versions_never_share_a_name(a in "[a-z0-9.-]{0,60}", b in "[a-z0-9.-]{0,60}") {
            prop_assert_eq!(cluster_name(&a, &b) == cluster_name(&b, &a), a == b);
        }
    }
}
