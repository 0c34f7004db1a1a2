//! API versions of Kubernetes itself: which minor version serves which. The table is data, `removed_apis.yaml`.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::code;
use super::findings::Findings;
use crate::catalog::Object;
use crate::diagnostic::Severity;
use crate::yaml::parse;

/// A minor version of Kubernetes: `(1, 34)`.
pub type Minor = (u32, u32);

/// The fate of one kind in one API version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifecycle {
    /// The first minor version that serves it, where the table knows it.
    pub introduced: Option<Minor>,
    /// The first one that warns of it.
    pub deprecated: Option<Minor>,
    /// The first one that does not serve it.
    pub removed: Option<Minor>,
    /// What to write instead.
    pub replacement: Option<String>,
}

/// The table: fates by API version and kind, and the newest minor version that it knows.
struct Table {
    newest: Minor,
    fates: HashMap<(String, String), Lifecycle>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    newest: String,
    apis: Vec<RawApi>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawApi {
    api: String,
    kinds: Vec<String>,
    introduced: Option<String>,
    deprecated: Option<String>,
    removed: Option<String>,
    #[serde(rename = "use")]
    replacement: Option<String>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| read(include_str!("removed_apis.yaml")));

#[expect(clippy::expect_used, reason = "the table is compiled in")]
fn read(text: &str) -> Table {
    let parsed = parse(text);
    let json = parsed.documents.first().map(|document| document.root.to_json()).unwrap_or_default();
    let raw: RawTable =
        serde_json::from_value(json).expect("removed_apis.yaml has the form of RawTable, as a test shows");
    let mut fates = HashMap::new();
    for api in &raw.apis {
        for kind in &api.kinds {
            let fate = Lifecycle {
                introduced: api.introduced.as_deref().and_then(parse_minor),
                deprecated: api.deprecated.as_deref().and_then(parse_minor),
                removed: api.removed.as_deref().and_then(parse_minor),
                replacement: api.replacement.clone(),
            };
            fates.insert((api.api.clone(), kind.clone()), fate);
        }
    }
    Table { newest: parse_minor(&raw.newest).unwrap_or_default(), fates }
}

fn parse_minor(text: &str) -> Option<Minor> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The groups that Kubernetes itself serves; everything else is a custom resource.
const BUILTIN_GROUPS: [&str; 28] = [
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "auditregistration.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "extensions",
    "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io",
    "lifecycle.k8s.io",
    "metrics.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "settings.k8s.io",
    "storage.k8s.io",
    "storagemigration.k8s.io",
];

/// Whether Kubernetes itself serves (or served) the group.
#[must_use]
pub fn is_builtin_group(group: &str) -> bool {
    BUILTIN_GROUPS.binary_search(&group).is_ok()
}

/// The newest minor version that the table knows.
#[must_use]
pub fn newest() -> Minor {
    TABLE.newest
}

/// What the table says of a kind.
#[must_use]
pub fn lifecycle(api_version: &str, kind: &str) -> Option<&'static Lifecycle> {
    TABLE.fates.get(&(api_version.to_owned(), kind.to_owned()))
}

/// Whether some Kubernetes version has stopped serving the kind in this API version: then `EV401` and `EV402` speak of it, and
/// that no schema is known for it is no news.
#[must_use]
pub fn is_known_removed(api_version: &str, kind: &str) -> bool {
    lifecycle(api_version, kind).is_some_and(|fate| fate.removed.is_some())
}

/// Checks an object's API version against the minor versions of the plan: `EV401`, `EV402`, `EV403`. Without any, it is
/// judged against the newest one that the table knows, and nothing is worse than a warning.
pub fn check(object: &Object, planned: &[Minor], findings: &mut Findings<'_>) {
    let Some(fate) = lifecycle(&object.api_version, &object.kind) else { return };
    let anchor = object.root.get("apiVersion").unwrap_or(&object.root);
    let newest = [newest()];
    let (versions, worst) =
        if planned.is_empty() { (newest.as_slice(), Severity::Warning) } else { (planned, Severity::Error) };
    let affected = |holds: &dyn Fn(Minor) -> bool| list(versions.iter().copied().filter(|version| holds(*version)));
    if let Some(removed) = fate.removed
        && let Some(gone) = affected(&|version| version >= removed)
    {
        let message = format!("{} is not served by Kubernetes {gone}: {} removed it", subject(object), text(removed));
        findings.add(code::API_REMOVED, worst, anchor, message).help = help(fate);
        return;
    }
    if let Some(introduced) = fate.introduced
        && let Some(early) = affected(&|version| version < introduced)
    {
        let message =
            format!("{} is not served by Kubernetes {early}: {} brings it", subject(object), text(introduced));
        findings.add(code::API_NOT_YET, worst, anchor, message).help = Some(format!(
            "leave these versions out of `kubernetes`, or the example out of them; {} is the first",
            text(introduced)
        ));
        return;
    }
    if let Some(deprecated) = fate.deprecated
        && affected(&|version| version >= deprecated).is_some()
    {
        let end = fate.removed.map_or("no version to remove it is set".to_owned(), |removed| {
            format!("Kubernetes {} no longer serves it", text(removed))
        });
        let message = format!("{} is deprecated since Kubernetes {}; {end}", subject(object), text(deprecated));
        findings.warning(code::API_DEPRECATED, anchor, message).help = help(fate);
    }
}

fn subject(object: &Object) -> String {
    format!("{} {}", object.api_version, object.kind)
}

fn help(fate: &Lifecycle) -> Option<String> {
    fate.replacement.as_ref().map(|replacement| format!("use {replacement}"))
}

fn text((major, minor): Minor) -> String {
    format!("v{major}.{minor}")
}

/// `v1.25, v1.26`; `None` for none.
fn list(versions: impl Iterator<Item = Minor>) -> Option<String> {
    let versions: Vec<_> = versions.map(text).collect();
    (!versions.is_empty()).then(|| versions.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::fixture;

    fn found(api_version: &str, kind: &str, planned: &[Minor]) -> Vec<String> {
        let text = format!("apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: a}}\n");
        fixture::lines(&fixture::example("a.yaml", &text), |object, findings| check(object, planned, findings))
    }

    #[test]
    fn a_removed_version_is_an_error_that_names_the_versions_and_the_replacement() {
        assert_eq!(
            found("batch/v1beta1", "CronJob", &[(1, 24), (1, 25), (1, 34)]),
            [
                "EV401 error 1 apiVersion: batch/v1beta1 CronJob is not served by Kubernetes v1.25, v1.34: v1.25 removed it"
            ]
        );
        let example = fixture::example("a.yaml", "apiVersion: policy/v1beta1\nkind: PodDisruptionBudget\n");
        let diagnostics = fixture::diagnostics(&example, |object, findings| check(object, &[(1, 30)], findings));
        assert_eq!(diagnostics[0].help.as_deref(), Some("use policy/v1"));
    }

    #[test]
    fn without_planned_versions_the_newest_is_meant_and_it_is_a_warning() {
        let lines = found("extensions/v1beta1", "Deployment", &[]);
        assert!(lines[0].starts_with("EV401 warning"), "{lines:?}");
        assert!(found("apps/v1", "Deployment", &[]).is_empty());
        assert!(found("resource.k8s.io/v1", "ResourceClaim", &[]).is_empty());
    }

    #[test]
    fn a_deprecated_version_is_a_warning_while_it_is_served() {
        let lines = found("networking.k8s.io/v1beta1", "ServiceCIDR", &[(1, 34), (1, 36)]);
        assert!(lines.len() == 1 && lines[0].starts_with("EV402 warning") && lines[0].contains("v1.37"), "{lines:?}");
        assert!(found("networking.k8s.io/v1beta1", "ServiceCIDR", &[(1, 33)]).is_empty());
    }

    #[test]
    fn a_version_that_came_later_is_told() {
        let lines = found("resource.k8s.io/v1", "DeviceClass", &[(1, 33), (1, 34)]);
        assert!(lines.len() == 1 && lines[0].starts_with("EV403 error") && lines[0].contains("v1.33:"), "{lines:?}");
        assert!(found("resource.k8s.io/v1", "DeviceClass", &[(1, 34)]).is_empty());
    }

    #[test]
    fn what_is_gone_is_known_as_such_and_what_is_served_is_not() {
        assert!(is_known_removed("policy/v1beta1", "PodSecurityPolicy"));
        assert!(!is_known_removed("batch/v1", "CronJob"));
        assert!(!is_known_removed("v1", "Endpoints"));
        assert!(!is_known_removed("kubeflow.org/v1", "PyTorchJob"));
    }

    #[test]
    fn the_table_is_whole_and_in_order() {
        let text = include_str!("removed_apis.yaml");
        assert_eq!(parse(text).errors, []);
        let table = read(text);
        assert_eq!(table.newest, (1, 37));
        assert!(table.fates.len() > 100);
        for ((api, kind), fate) in &table.fates {
            let group = api.split_once('/').map_or("", |(group, _)| group);
            assert!(is_builtin_group(group), "{api}");
            let steps: Vec<_> = [fate.introduced, fate.deprecated, fate.removed].into_iter().flatten().collect();
            assert!(!steps.is_empty() && steps.is_sorted(), "{api} {kind}: {steps:?}");
            assert_eq!(fate.deprecated.is_some(), fate.replacement.is_some(), "{api} {kind}");
            assert!(fate.removed.is_none_or(|removed| removed <= table.newest), "{api} {kind}");
        }
    }

    #[test]
    fn the_built_in_groups_are_sorted_for_the_search() {
        assert!(BUILTIN_GROUPS.is_sorted());
    }
}
