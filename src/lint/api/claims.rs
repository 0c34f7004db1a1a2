//! Storage: claims, volumes and classes.
//!
//! Source: `ValidatePersistentVolumeClaimSpec` and `ValidatePersistentVolumeSpec` in
//! `pkg/apis/core/validation/validation.go`, and `pkg/apis/storage/validation/validation.go` of Kubernetes.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::pod::{scheduling, sources};
use super::read::{entries, get, is_missing, list, quantity, strings, structs, text};
use super::report::{
    allowed_value, duplicate, duplicates, forbid, has_form, one_of, one_of_if_set, repeated, require, require_form,
    require_map, required,
};
use super::{forms, meta};
use crate::lint::code;
use crate::lint::findings::Findings;
use crate::yaml::Node;

const ACCESS_MODES: [&str; 4] = ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"];
const VOLUME_MODES: [&str; 2] = ["Filesystem", "Block"];
/// Most parameters of a storage class, and most bytes of them.
const MAX_PARAMETERS: usize = 512;
const MAX_PARAMETER_BYTES: usize = 256 * 1024;

/// What a term of a storage class asks for: values by key.
type TopologyTerm<'n> = BTreeMap<&'n str, BTreeSet<&'n str>>;

/// A PersistentVolumeClaim.
pub(super) fn claim(root: &Node, out: &mut Findings<'_>) {
    if let Some(spec) = require_map(out, root, "spec") {
        check_spec(spec, out);
    }
}

/// The spec of a claim, or of a template of claims.
pub(super) fn check_spec(spec: &Node, out: &mut Findings<'_>) {
    access_modes(spec, out);
    meta::selector(spec, "selector", out);
    let requests = get(spec, "resources").and_then(|resources| get(resources, "requests"));
    if let Some(storage) = requests.and_then(|requests| requests.entry("storage")) {
        if quantity(&storage.value).is_some_and(|size| size.is_negative() || size.is_zero()) {
            out.error(code::QUANTITY, &storage.value, "must be greater than zero");
        }
    } else {
        let anchor = requests.or_else(|| get(spec, "resources")).unwrap_or(spec);
        out.error(code::REQUIRED, anchor, "a claim needs `resources.requests.storage`");
    }
    has_form(out, spec, "storageClassName", forms::dns_subdomain);
    has_form(out, spec, "volumeAttributesClassName", forms::dns_subdomain);
    one_of_if_set(out, spec, "volumeMode", &VOLUME_MODES);
    data_sources(spec, out);
}

fn access_modes(spec: &Node, out: &mut Findings<'_>) {
    if is_missing(spec, "accessModes") {
        required(out, spec, "accessModes", ": at least one");
    }
    for (value, mode) in strings(spec, "accessModes") {
        allowed_value(out, value, mode, &ACCESS_MODES);
    }
    let alone = |wanted: bool| {
        strings(spec, "accessModes")
            .any(|(_, mode)| ACCESS_MODES.contains(&mode) && (mode == "ReadWriteOncePod") == wanted)
    };
    if let Some(modes) = spec.get("accessModes").filter(|_| alone(true) && alone(false)) {
        out.error(code::FORBIDDEN, modes, "`ReadWriteOncePod` must be the only mode");
    }
}

/// What a claim is filled with. The server drops a `dataSource` that is neither a claim nor a snapshot.
fn data_sources(spec: &Node, out: &mut Findings<'_>) {
    let is_known = |source: &&Node| {
        matches!(
            (text(source, "apiGroup"), text(source, "kind")),
            ("", "PersistentVolumeClaim") | ("snapshot.storage.k8s.io", "VolumeSnapshot")
        )
    };
    let source = get(spec, "dataSource").filter(is_known);
    let reference = get(spec, "dataSourceRef");
    if let Some(source) = source {
        require(out, source, "name");
    }
    let Some(reference) = reference else { return };
    require(out, reference, "name");
    let group = text(reference, "apiGroup");
    if require(out, reference, "kind") && group.is_empty() && text(reference, "kind") != "PersistentVolumeClaim" {
        out.error(code::INVALID, reference, "`kind` must be `PersistentVolumeClaim` without an `apiGroup`");
    }
    has_form(out, reference, "apiGroup", forms::dns_subdomain);
    let differs =
        |source: &Node| ["apiGroup", "kind", "name"].iter().any(|key| text(source, key) != text(reference, key));
    if source.is_some_and(differs) {
        out.error(code::INVALID, reference, "must be the same as `dataSource`");
    }
}

/// A PersistentVolume.
pub(super) fn volume(root: &Node, out: &mut Findings<'_>) {
    let Some(spec) = require_map(out, root, "spec") else { return };
    access_modes(spec, out);
    if let Some(capacity) = require_map(out, spec, "capacity") {
        require(out, capacity, "storage");
        for entry in capacity.entries() {
            if &*entry.key != "storage" {
                out.error(code::NOT_ALLOWED, entry, "only `storage` is a capacity of volumes");
            } else if quantity(&entry.value).is_some_and(|size| size.is_negative() || size.is_zero()) {
                out.error(code::QUANTITY, &entry.value, "must be greater than zero");
            }
        }
    }
    one_of(out, spec, "persistentVolumeReclaimPolicy", &["Delete", "Recycle", "Retain"]);
    one_of_if_set(out, spec, "volumeMode", &VOLUME_MODES);
    has_form(out, spec, "storageClassName", forms::dns_subdomain);
    if let Some(affinity) = get(spec, "nodeAffinity")
        && let Some(selector) = require_map(out, affinity, "required")
    {
        scheduling::node_selector(selector, out);
    }
    volume_source(spec, out);
}

fn volume_source(spec: &Node, out: &mut Findings<'_>) {
    let mut found = sources::PERSISTENT.iter().map(|source| source.key).filter(|key| get(spec, key).is_some());
    let Some(first) = found.next() else {
        if get(spec, "storageos").is_none() {
            out.error(code::REQUIRED, spec, "a source of the volume is required, as `csi`, `nfs` or `hostPath`");
        }
        return;
    };
    for other in found {
        forbid(out, spec, other, &format!("together with `{first}`: a volume has one source"));
    }
    sources::check(&sources::PERSISTENT, spec, out);
    if first == "local" && get(spec, "nodeAffinity").is_none() {
        required(out, spec, "nodeAffinity", " for a local volume");
    }
    let root = get(spec, "hostPath").is_some_and(|source| text(source, "path").trim_end_matches('/').is_empty());
    if root && text(spec, "persistentVolumeReclaimPolicy") == "Recycle" {
        forbid(out, spec, "persistentVolumeReclaimPolicy", "to `Recycle` for the node's whole disk");
    }
    if let Some(class) = get(spec, "volumeAttributesClassName") {
        if require(out, spec, "volumeAttributesClassName") {
            has_form(out, spec, "volumeAttributesClassName", forms::dns_subdomain);
        }
        if first != "csi" {
            out.error(code::FORBIDDEN, class, "is allowed only for a `csi` volume");
        }
    }
}

/// A StorageClass.
pub(super) fn storage_class(root: &Node, out: &mut Findings<'_>) {
    require_form(out, root, "provisioner", forms::annotation_key);
    one_of(out, root, "reclaimPolicy", &["Delete", "Retain"]);
    one_of_if_set(out, root, "volumeBindingMode", &["Immediate", "WaitForFirstConsumer"]);
    let bytes: usize =
        entries(root, "parameters").map(|entry| entry.key.len() + entry.value.as_str().map_or(0, str::len)).sum();
    if let Some(parameters) = root.get("parameters")
        && (bytes > MAX_PARAMETER_BYTES || entries(root, "parameters").count() > MAX_PARAMETERS)
    {
        let message = format!("at most {MAX_PARAMETERS} parameters of {MAX_PARAMETER_BYTES} bytes in all are allowed");
        out.error(code::RANGE, parameters, message);
    }
    for entry in entries(root, "parameters").filter(|entry| entry.key.is_empty()) {
        out.error(code::FORMAT, entry, "the name of a parameter must not be empty");
    }
    let mut terms: Vec<TopologyTerm<'_>> = Vec::new();
    for term in structs(root, "allowedTopologies") {
        let expressions = structs(term, "matchLabelExpressions");
        let raw: TopologyTerm<'_> = expressions
            .map(|expression| {
                (text(expression, "key"), strings(expression, "values").map(|(_, value)| value).collect())
            })
            .collect();
        if terms.contains(&raw) {
            out.error(code::DUPLICATE, term, "is the same as an earlier one");
        }
        terms.push(raw);
        let mut keys = HashSet::new();
        for expression in structs(term, "matchLabelExpressions") {
            require_form(out, expression, "key", forms::qualified_name);
            if !keys.insert(text(expression, "key")) {
                repeated(out, expression, "key", "key");
            }
            if list(expression, "values").is_empty() {
                required(out, expression, "values", "");
            }
            for (value, found) in duplicates(expression, "values") {
                duplicate(out, value, "value", found);
            }
        }
    }
}
