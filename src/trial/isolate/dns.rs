//! DNS names of Services in plain text: `etcd.kubeflow.svc.cluster.local`, `etcd.kubeflow.svc`, `etcd.kubeflow`.
//!
//! Source of the forms: <https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/>.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// Names with at least one dot, as they may be found in arguments, URLs and scripts.
#[expect(clippy::expect_used, reason = "a test compiles the pattern")]
static NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[a-z0-9][-a-z0-9]*(?:\.[a-z0-9][-a-z0-9]*)+").expect("a valid pattern"));

/// A DNS name that may be a Service's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host<'a> {
    /// The Service.
    pub service: &'a str,
    /// The namespace.
    pub namespace: &'a str,
    /// Where the namespace stands in the text.
    pub range: Range<usize>,
    /// Whether `.svc` follows, so that it can be nothing else.
    pub certain: bool,
}

/// The names in `text` that may be Services', from left to right.
pub(super) fn hosts(text: &str) -> impl Iterator<Item = Host<'_>> {
    NAME.find_iter(text).filter_map(move |found| {
        let mut offset = found.start();
        let labels: Vec<(usize, &str)> = found
            .as_str()
            .split('.')
            .map(|label| {
                let at = offset;
                offset += label.len() + 1;
                (at, label)
            })
            .collect();
        let suffix = labels.iter().position(|(_, label)| *label == "svc");
        let (service, (at, namespace), certain) = match suffix {
            Some(at) if at >= 2 => (labels[at - 2].1, labels[at - 1], true),
            None if labels.len() == 2 => (labels[0].1, labels[1], false),
            _ => return None,
        };
        Some(Host { service, namespace, range: at..at + namespace.len(), certain })
    })
}

/// The short name (`etcd.kubeflow`) that a text is, but for a port.
pub(super) fn whole(text: &str) -> Option<Host<'_>> {
    let is_port = |port: &str| !port.is_empty() && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    let name = match text.split_once(':') {
        Some((name, port)) => Some(name).filter(|_| is_port(port))?,
        None => text,
    };
    hosts(name).next().filter(|host| !host.certain && host.service.len() + 1 + host.namespace.len() == name.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(&str, &str, bool)> {
        hosts(text)
            .map(|host| {
                assert_eq!(&text[host.range.clone()], host.namespace);
                (host.service, host.namespace, host.certain)
            })
            .collect()
    }

    #[test]
    fn service_names_are_found_in_urls_and_scripts() {
        assert_eq!(found("--url=http://etcd.kubeflow.svc.cluster.local:2379/x"), [("etcd", "kubeflow", true)]);
        assert_eq!(
            found("nc -z db.prod.svc 5432 && web-0.web.prod.svc"),
            [("db", "prod", true), ("web", "prod", true)]
        );
        assert_eq!(found("etcd-client.kubeflow:2379"), [("etcd-client", "kubeflow", false)]);
    }

    #[test]
    fn a_short_name_is_known_where_it_is_all_of_a_text() {
        let found = |text| whole(text).map(|host| (host.service, host.namespace));
        assert_eq!(found("etcd.kubeflow"), Some(("etcd", "kubeflow")));
        assert_eq!(found("etcd.kubeflow:2379"), Some(("etcd", "kubeflow")));
        for text in [
            "etcd.kubeflow:",
            "etcd.kubeflow:x",
            "etcd.kubeflow/x",
            " etcd.kubeflow",
            "a.etcd.kubeflow",
            "etcd.kubeflow.svc",
            "etcd",
            "",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[test]
    fn other_names_with_dots_are_not_taken_for_certain() {
        assert_eq!(found("python train.py --lr 0.01"), [("train", "py", false), ("0", "01", false)]);
        assert_eq!(found("https://www.example.com/svc and x.svc"), []);
    }
}
