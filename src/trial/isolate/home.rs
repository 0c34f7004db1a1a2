//! The namespace for which an example was written, and what it may have given to it.

use super::{Isolated, Note, Origin};
use crate::catalog::Example;

/// The labels of everything's own name, which the API server sets.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// Domains of labels by which those who deploy a namespace know it as theirs, some with all below them.
const BOOKKEEPING: [&str; 4] = ["app.kubernetes.io", "helm.sh", "argocd.argoproj.io", "example-validator.dev"];
const BOOKKEEPING_BELOW: [&str; 2] = ["toolkit.fluxcd.io", "hnc.x-k8s.io"];
const BOOKKEEPING_PREFIXES: [&str; 2] = ["olm.", "kustomize."];

/// A namespace that manifests name, and where.
#[derive(Clone, Debug)]
pub(super) struct Home {
    name: String,
    file: String,
    line: u32,
}

impl Home {
    /// That of what is judged, else of the example's first object that names one.
    pub fn of<'a, 'b: 'a>(example: &Example, objects: impl Iterator<Item = &'a Origin<'b>> + Clone) -> Option<Self> {
        let own = objects.filter(|origin| origin.index.is_some());
        let judged = own.clone().filter(|origin| origin.index.is_some_and(|index| example.judged.contains(&index)));
        judged.chain(own).find_map(|origin| {
            let node = origin.object.root.at(&["metadata", "namespace"])?;
            let is_plain = |name: &&str| {
                !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            };
            let name = node.as_str().filter(is_plain)?;
            let Note { file, line, .. } = Note::new(String::new(), origin.source, node.span);
            Some(Self { name: name.to_owned(), file, line })
        })
    }
}

impl Isolated<'_> {
    /// The namespace for which the example was written, if its manifests name one that can be.
    #[must_use]
    pub fn home(&self) -> Option<&str> {
        self.home.as_ref().map(|home| home.name.as_str())
    }

    /// Has the attempt's namespace take labels of the one for which the example was written: webhooks, sidecar injection and queues
    /// choose namespaces by them. What is there already stays; what others keep their books by is left out.
    pub fn adopt<'l>(&mut self, labels: impl Iterator<Item = (&'l str, &'l str)>) {
        let Some(home) = &self.home else { return };
        let mut taken = Vec::new();
        for (key, value) in labels.filter(|(key, _)| !is_bookkeeping(key)) {
            if !self.namespace_labels.contains_key(key) {
                self.namespace_labels.insert(key.to_owned(), value.to_owned());
                taken.push(key);
            }
        }
        if !taken.is_empty() {
            let message = format!(
                "{} takes the labels that the namespace `{}` has on this cluster: {}",
                self.namespace,
                home.name,
                taken.join(", ")
            );
            self.notes.push(Note { message, file: home.file.clone(), line: home.line });
        }
    }
}

fn is_bookkeeping(key: &str) -> bool {
    let domain = key.split_once('/').map_or("", |(domain, _)| domain);
    let is_below = |above: &str| domain.strip_suffix(above).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    key == NAME_LABEL
        || BOOKKEEPING.contains(&domain)
        || BOOKKEEPING_BELOW.iter().any(|above| is_below(above))
        || BOOKKEEPING_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::super::isolate;
    use super::super::tests::{example, identity, scopes};
    use super::*;

    fn adopted(text: &str, labels: &[(&str, &str)]) -> (Option<String>, Vec<String>, Vec<String>) {
        let example = example("a.yaml", text);
        let mut isolated = isolate(&example, &[], &identity(&example), &scopes()).unwrap();
        let ours = isolated.labels.clone();
        isolated.adopt(labels.iter().copied());
        let home = isolated.home().map(str::to_owned);
        let labels = isolated.namespace_labels.iter().filter(|(key, _)| !ours.contains_key(*key));
        let labels = labels.map(|(key, value)| format!("{key}={value}")).collect();
        let notes = isolated.notes.iter().filter(|note| note.message.contains(" takes the labels that "));
        (home, labels, notes.map(|note| format!("{}:{} {}", note.file, note.line, note.message)).collect())
    }

    #[test]
    fn labels_that_webhooks_go_by_are_taken_and_bookkeeping_is_not() {
        let text =
            "apiVersion: kubeflow.org/v1beta1\nkind: Experiment\nmetadata:\n  name: random\n  namespace: kubeflow\n";
        let (home, labels, notes) = adopted(
            text,
            &[
                ("katib.kubeflow.org/metrics-collector-injection", "enabled"),
                ("istio-injection", "enabled"),
                ("kubernetes.io/metadata.name", "kubeflow"),
                ("app.kubernetes.io/part-of", "kubeflow"),
                ("helm.sh/chart", "x"),
                ("argocd.argoproj.io/instance", "x"),
                ("kustomize.toolkit.fluxcd.io/name", "x"),
                ("nottoolkit.fluxcd.io/name", "kept"),
                ("olm.operatorgroup.uid/1", ""),
                ("kubeflow.tree.hnc.x-k8s.io/depth", "0"),
                ("example-validator.dev/run", "other"),
            ],
        );
        assert_eq!(home.as_deref(), Some("kubeflow"));
        let expected = [
            "istio-injection=enabled",
            "katib.kubeflow.org/metrics-collector-injection=enabled",
            "nottoolkit.fluxcd.io/name=kept",
        ];
        assert_eq!(labels, expected);
        assert!(notes[0].starts_with("a.yaml:5 ev-a-") && notes[0].contains("`kubeflow`"), "{notes:?}");
    }

    #[test]
    fn the_example_s_own_namespace_is_stronger() {
        let text = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: x\n  labels: {istio-injection: disabled}\n---\n\
            {apiVersion: v1, kind: Pod, metadata: {name: a, namespace: x}}\n";
        let (_, labels, notes) = adopted(text, &[("istio-injection", "enabled")]);
        assert_eq!((labels, notes), (vec!["istio-injection=disabled".to_owned()], Vec::new()));
    }

    #[test]
    fn the_home_is_that_of_what_is_judged_and_one_that_can_be() {
        let text = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: other}}\n---\n\
            {apiVersion: v1, kind: Pod, metadata: {name: a, namespace: x}}\n";
        let mut two = example("a.yaml", text);
        let home = |example: &Example| {
            let isolated = isolate(example, &[], &identity(example), &scopes()).unwrap();
            isolated.home().map(str::to_owned)
        };
        assert_eq!(home(&two).as_deref(), Some("other"));
        two.judged = vec![1];
        assert_eq!(home(&two).as_deref(), Some("x"));
        assert_eq!(
            home(&example("b.yaml", "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: ../x}}\n")),
            None
        );
        assert_eq!(home(&example("c.yaml", "{apiVersion: v1, kind: Pod, metadata: {name: a}}\n")), None);
    }
}
