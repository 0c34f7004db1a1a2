//! The sums of releases, by tool, version and architecture. Pure.

use super::Wanted;
use crate::cluster::kind::node_image::numbers;
use crate::yaml::{self, Node};

/// SHA-256 sums of the files that releases are downloaded as.
#[derive(Clone, Debug)]
pub struct Sums {
    root: Option<Node>,
}

impl Sums {
    /// The sums of official releases, as this version of the program knows them.
    #[must_use]
    pub fn official() -> Self {
        Self::read(include_str!("sums.yaml"))
    }

    /// A table in YAML: `kind: [{version: v0.33.0, amd64: <hex>, arm64: <hex>}]`.
    #[must_use]
    pub fn read(text: &str) -> Self {
        Self { root: yaml::parse(text).documents.into_iter().next().map(|document| document.root) }
    }

    /// The sum of a release, in hexadecimal digits.
    pub(super) fn of<'a>(&'a self, wanted: Wanted, version: &str, arch: &'a str) -> Option<&'a str> {
        self.releases(wanted, arch).find(|(known, _)| *known == version).map(|(_, sum)| sum)
    }

    /// The newest release that there is for an architecture.
    pub(super) fn newest<'a>(&'a self, wanted: Wanted, arch: &'a str) -> Option<&'a str> {
        self.releases(wanted, arch).map(|(version, _)| version).max_by_key(|version| numbers(version))
    }

    fn releases<'a>(&'a self, wanted: Wanted, arch: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let releases = self.root.as_ref().and_then(|root| root.get(wanted.name())).into_iter().flat_map(Node::items);
        releases.filter_map(move |release| Some((release.get("version")?.as_str()?, release.get(arch)?.as_str()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sum_is_one_and_every_tool_has_some_for_both_architectures() {
        let sums = Sums::official();
        for wanted in [Wanted::Kind, Wanted::Kubectl, Wanted::Helm] {
            for arch in ["amd64", "arm64"] {
                let all: Vec<_> = sums.releases(wanted, arch).collect();
                assert!(all.len() > 5, "{wanted:?} {arch}");
                for (version, sum) in all {
                    assert!(numbers(version).len() == 3, "{version}");
                    assert!(sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit()), "{version}: {sum}");
                }
            }
        }
        assert_eq!(sums.newest(Wanted::Kind, "amd64"), Some("v0.33.0"));
        assert_eq!(sums.newest(Wanted::Kind, "riscv64"), None);
        assert_eq!(sums.of(Wanted::Kind, "v0.1.0", "amd64"), None);
    }
}
