//! Environment variables and where their values come from.

use super::super::forms;
use super::super::read::{get, is_missing, quantity, structs, text};
use super::super::report::{allowed_value, expect, has_form, require, require_form, required};
use crate::lint::code;
use crate::lint::findings::Findings;
use crate::quantity::Quantity;
use crate::yaml::Node;

const ENV_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// The fields of a pod that a file of a downward API volume can hold.
const FILE_FIELDS: [&str; 5] =
    ["metadata.name", "metadata.namespace", "metadata.labels", "metadata.annotations", "metadata.uid"];
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
];
const CPU_UNITS: [&str; 2] = ["1m", "1"];
const BYTE_UNITS: [&str; 13] = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];
const SOURCES: [&str; 5] = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];

/// `env` and `envFrom` of a container.
pub(super) fn check(container: &Node, out: &mut Findings<'_>) {
    for variable in structs(container, "env") {
        require_form(out, variable, "name", forms::env_name);
        if let Some(source) = get(variable, "valueFrom") {
            value_from(variable, source, out);
        }
    }
    for source in structs(container, "envFrom") {
        has_form(out, source, "prefix", forms::env_name);
        let found: Vec<&Node> = ["configMapRef", "secretRef"].iter().filter_map(|key| get(source, key)).collect();
        if found.len() != 1 {
            let message = "exactly one of `configMapRef` and `secretRef` must be set";
            out.error(if found.is_empty() { code::REQUIRED } else { code::FORBIDDEN }, source, message);
        }
        for reference in found {
            require_form(out, reference, "name", forms::dns_subdomain);
        }
    }
}

fn value_from(variable: &Node, source: &Node, out: &mut Findings<'_>) {
    let found: Vec<&str> = SOURCES.into_iter().filter(|key| get(source, key).is_some()).collect();
    match found.len() {
        0 => {
            let message = "one of `fieldRef`, `resourceFieldRef`, `configMapKeyRef` and `secretKeyRef` is required";
            out.error(code::REQUIRED, source, message);
        }
        _ if !text(variable, "value").is_empty() => {
            out.error(code::FORBIDDEN, source, "must not be set together with `value`");
        }
        1 => {}
        _ => {
            let message = format!("only one of {} may be set", found.join(", "));
            out.error(code::FORBIDDEN, source, message);
        }
    }
    if let Some(field) = get(source, "fieldRef") {
        field_ref(field, &ENV_FIELDS, out);
    }
    if let Some(resource) = get(source, "resourceFieldRef") {
        resource_ref(resource, false, out);
    }
    for key in ["configMapKeyRef", "secretKeyRef"] {
        if let Some(reference) = get(source, key) {
            require_form(out, reference, "name", forms::dns_subdomain);
            require_form(out, reference, "key", forms::config_key);
        }
    }
    if let Some(file) = get(source, "fileKeyRef") {
        require_form(out, file, "key", forms::env_name);
        require(out, file, "volumeName");
        require_form(out, file, "path", forms::volume_path);
    }
}

/// A file of a downward API volume.
pub(super) fn downward_file(file: &Node, out: &mut Findings<'_>) {
    require_form(out, file, "path", forms::volume_path);
    match (get(file, "fieldRef"), get(file, "resourceFieldRef")) {
        (Some(_), Some(_)) => {
            out.error(code::FORBIDDEN, file, "`fieldRef` and `resourceFieldRef` must not both be set");
        }
        (Some(field), None) => field_ref(field, &FILE_FIELDS, out),
        (None, Some(resource)) => resource_ref(resource, true, out),
        (None, None) => {
            out.error(code::REQUIRED, file, "one of `fieldRef` and `resourceFieldRef` is required");
        }
    }
}

fn field_ref(reference: &Node, allowed: &[&str], out: &mut Findings<'_>) {
    if let Some(version) = get(reference, "apiVersion")
        && !matches!(text(reference, "apiVersion"), "" | "v1")
    {
        out.error(code::NOT_ALLOWED, version, "must be `v1`");
    }
    if !require(out, reference, "fieldPath") {
        return;
    }
    let Some(value) = get(reference, "fieldPath") else { return };
    let Some(path) = value.as_str() else { return };
    match path.strip_suffix("']").and_then(|path| path.split_once("['")) {
        Some(("metadata.labels", key)) => drop(expect(out, value, key, forms::qualified_name)),
        Some(("metadata.annotations", key)) => drop(expect(out, value, key, forms::annotation_key)),
        Some((path, _)) => drop(out.error(code::FORMAT, value, format!("`{path}` has no parts that can be picked"))),
        None if path == "spec.host" => allowed_value(out, value, "spec.nodeName", allowed),
        None => allowed_value(out, value, path, allowed),
    }
}

fn resource_ref(reference: &Node, in_volume: bool, out: &mut Findings<'_>) {
    if in_volume && is_missing(reference, "containerName") {
        required(out, reference, "containerName", " in a volume");
    }
    if !require(out, reference, "resource") {
        return;
    }
    let resource = text(reference, "resource");
    let huge_pages = resource.starts_with("limits.hugepages-") || resource.starts_with("requests.hugepages-");
    if let Some(value) = get(reference, "resource").filter(|_| !huge_pages && !resource.is_empty()) {
        allowed_value(out, value, resource, &RESOURCES);
    }
    let units: &[&str] = if resource.strip_suffix(".cpu").is_some() { &CPU_UNITS } else { &BYTE_UNITS };
    if let Some(divisor) = get(reference, "divisor")
        && let Some(amount) = quantity(divisor).filter(|amount| !amount.is_zero())
        && (huge_pages || RESOURCES.contains(&resource))
        && !units.iter().any(|unit| Quantity::parse(unit) == Some(amount))
    {
        let message = format!("must be one of {}", units.join(", "));
        out.error(code::QUANTITY, divisor, message);
    }
}
