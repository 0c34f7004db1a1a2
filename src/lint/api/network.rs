//! Endpoints, NetworkPolicies, Ingresses and their classes.
//!
//! Source: `pkg/apis/networking/validation/validation.go`, `pkg/apis/discovery/validation/validation.go` and
//! `pkg/apis/core/validation/validation.go` of Kubernetes.

use std::collections::HashSet;
use std::net::IpAddr;

use super::read::{IntOrString, get, int, is_missing, list, strings, structs, text};
use super::report::{
    PORTS, PROTOCOLS, allowed_value, each_has_form, expect, forbid, has_form, has_form_if_set, in_range, one_of,
    one_of_if_set, port_or_name, repeated, require, require_form, require_map, require_one_of, require_port, required,
};
use super::services::not_special;
use super::{forms, meta};
use crate::lint::code;
use crate::lint::findings::Findings;
use crate::yaml::Node;

const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";
const BAD_PATH_PARTS: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];

/// Endpoints.
pub(super) fn endpoints(root: &Node, out: &mut Findings<'_>) {
    for subset in structs(root, "subsets") {
        if is_missing(subset, "addresses") && is_missing(subset, "notReadyAddresses") {
            required(out, subset, "addresses", " (or `notReadyAddresses`)");
        }
        for address in ["addresses", "notReadyAddresses"].iter().flat_map(|key| structs(subset, key)) {
            require_form(out, address, "ip", forms::ip);
            if let Some(ip) = get(address, "ip") {
                not_special(ip, ip.as_str().unwrap_or_default(), out);
            }
            has_form(out, address, "hostname", forms::dns_label);
            has_form(out, address, "nodeName", forms::dns_subdomain);
        }
        let several = list(subset, "ports").len() > 1;
        for port in structs(subset, "ports") {
            if several {
                require(out, port, "name");
            }
            has_form(out, port, "name", forms::dns_label);
            require_port(out, port, "port");
            one_of(out, port, "protocol", &PROTOCOLS);
            has_form_if_set(out, port, "appProtocol", forms::qualified_name);
        }
    }
}

/// An EndpointSlice.
pub(super) fn endpoint_slice(root: &Node, out: &mut Findings<'_>) {
    require_one_of(out, root, "addressType", &["IPv4", "IPv6", "FQDN"]);
    let kind = text(root, "addressType");
    for endpoint in structs(root, "endpoints") {
        require(out, endpoint, "addresses");
        for (value, address) in strings(endpoint, "addresses") {
            if kind == "FQDN" {
                expect(out, value, address, forms::dns_subdomain);
            } else if expect(out, value, address, forms::ip) {
                not_special(value, address, out);
                if address.parse::<IpAddr>().is_ok_and(|address| address.is_ipv4() != (kind == "IPv4")) {
                    out.error(code::INVALID, value, format!("is not an address of the type `{kind}`"));
                }
            }
        }
        has_form_if_set(out, endpoint, "hostname", forms::dns_label);
        has_form_if_set(out, endpoint, "nodeName", forms::dns_subdomain);
        meta::labels(endpoint, "deprecatedTopology", out);
        if let Some(hints) = get(endpoint, "hints") {
            zone_hints(hints, out);
        }
    }
    let mut names = HashSet::new();
    for port in structs(root, "ports") {
        has_form(out, port, "name", forms::dns_label);
        if !names.insert(text(port, "name")) {
            repeated(out, port, "name", "name");
        }
        in_range(out, port, "port", PORTS);
        one_of_if_set(out, port, "protocol", &PROTOCOLS);
        has_form_if_set(out, port, "appProtocol", forms::qualified_name);
    }
}

/// The zones that should use an endpoint.
fn zone_hints(hints: &Node, out: &mut Findings<'_>) {
    let mut zones = HashSet::new();
    for zone in structs(hints, "forZones") {
        has_form(out, zone, "name", forms::label_value);
        if !zones.insert(text(zone, "name")) {
            repeated(out, zone, "name", "zone");
        }
    }
}

/// A NetworkPolicy.
pub(super) fn network_policy(root: &Node, out: &mut Findings<'_>) {
    let Some(spec) = get(root, "spec") else { return };
    meta::selector(spec, "podSelector", out);
    for (key, peers) in [("ingress", "from"), ("egress", "to")] {
        for rule in structs(spec, key) {
            for port in structs(rule, "ports") {
                policy_port(port, out);
            }
            for peer in structs(rule, peers) {
                policy_peer(peer, out);
            }
        }
    }
    if let Some(types) = spec.get("policyTypes").filter(|_| list(spec, "policyTypes").len() > 2) {
        out.error(code::RANGE, types, "at most two types are allowed");
    }
    for (value, kind) in strings(spec, "policyTypes") {
        allowed_value(out, value, kind, &["Ingress", "Egress"]);
    }
}

fn policy_port(port: &Node, out: &mut Findings<'_>) {
    one_of_if_set(out, port, "protocol", &PROTOCOLS);
    let start = get(port, "port");
    if let Some(start) = start {
        port_or_name(out, start);
    }
    if get(port, "endPort").is_none() {
        return;
    }
    match start.and_then(IntOrString::of) {
        Some(IntOrString::Int(first)) => in_range(out, port, "endPort", (first.max(1), PORTS.1)),
        _ => forbid(out, port, "endPort", "unless `port` is a number"),
    }
}

fn policy_peer(peer: &Node, out: &mut Findings<'_>) {
    let selectors = ["podSelector", "namespaceSelector"];
    for key in selectors {
        meta::selector(peer, key, out);
    }
    let selects = selectors.iter().any(|key| get(peer, key).is_some());
    let Some(block) = get(peer, "ipBlock") else {
        if !selects {
            out.error(code::REQUIRED, peer, "one of `podSelector`, `namespaceSelector` and `ipBlock` is required");
        }
        return;
    };
    if selects {
        forbid(out, peer, "ipBlock", "together with a selector");
    }
    require_form(out, block, "cidr", forms::cidr);
    each_has_form(out, block, "except", forms::cidr);
    let Some((address, length)) = forms::parse_cidr(text(block, "cidr")) else { return };
    for (value, range) in strings(block, "except") {
        let inside = forms::parse_cidr(range)
            .is_none_or(|(other, longer)| longer > length && prefix(other, length) == prefix(address, length));
        if !inside {
            out.error(code::INVALID, value, "must be a smaller range within `cidr`");
        }
    }
}

/// The first `length` bits of an address, with its family.
fn prefix(address: IpAddr, length: u8) -> (bool, u128) {
    match address {
        IpAddr::V4(v4) => (true, u128::from(u64::from(v4.to_bits()) >> (32 - length.min(32)))),
        IpAddr::V6(v6) => (false, v6.to_bits().checked_shr(u32::from(128 - length)).unwrap_or(0)),
    }
}

/// An Ingress.
pub(super) fn ingress(root: &Node, out: &mut Findings<'_>) {
    let Some(spec) = require_map(out, root, "spec") else { return };
    if is_missing(spec, "rules") && get(spec, "defaultBackend").is_none() {
        required(out, spec, "rules", " (or `defaultBackend`)");
    }
    if let Some(backend) = get(spec, "defaultBackend") {
        ingress_backend(backend, out);
    }
    for rule in structs(spec, "rules") {
        if let Some(value) = get(rule, "host") {
            host(value, out);
        }
        let Some(http) = get(rule, "http") else { continue };
        require(out, http, "paths");
        for path in structs(http, "paths") {
            ingress_path(path, out);
        }
    }
    for tls in structs(spec, "tls") {
        for (value, name) in strings(tls, "hosts") {
            let form = if name.contains('*') { forms::wildcard_subdomain } else { forms::dns_subdomain };
            expect(out, value, name, form);
        }
        has_form(out, tls, "secretName", forms::dns_subdomain);
    }
    if let Some(class) = get(spec, "ingressClassName") {
        expect(out, class, class.as_str().unwrap_or("a"), forms::dns_subdomain);
        let annotation = root.get("metadata").and_then(|metadata| meta::annotation(metadata, CLASS_ANNOTATION));
        if let Some(annotation) = annotation {
            out.error(code::FORBIDDEN, annotation, "must not be set together with `spec.ingressClassName`");
        }
    }
}

fn host(value: &Node, out: &mut Findings<'_>) {
    let Some(name) = value.as_str().filter(|name| !name.is_empty()) else { return };
    if name.parse::<IpAddr>().is_ok() {
        out.error(code::FORMAT, value, "must be a DNS name, not an IP address");
    } else {
        expect(out, value, name, if name.contains('*') { forms::wildcard_subdomain } else { forms::dns_subdomain });
    }
}

fn ingress_path(path: &Node, out: &mut Findings<'_>) {
    if get(path, "pathType").is_none() {
        return required(out, path, "pathType", ": `Exact`, `Prefix` or `ImplementationSpecific`");
    }
    one_of_if_set(out, path, "pathType", &["Exact", "Prefix", "ImplementationSpecific"]);
    let found = text(path, "path");
    let strict = matches!(text(path, "pathType"), "Exact" | "Prefix");
    if strict && is_missing(path, "path") {
        required(out, path, "path", ": it starts with `/`");
    }
    if let Some(value) = path.get("path").filter(|_| !found.is_empty()) {
        if !found.starts_with('/') {
            out.error(code::FORMAT, value, "must start with `/`");
        }
        let bad = BAD_PATH_PARTS.iter().find(|part| found.contains(**part));
        let bad = bad.or_else(|| ["/..", "/."].iter().find(|end| found.ends_with(**end)));
        if let Some(bad) = bad.filter(|_| strict) {
            out.error(code::FORMAT, value, format!("must not contain `{bad}`"));
        }
    }
    if let Some(backend) = require_map(out, path, "backend") {
        ingress_backend(backend, out);
    }
}

fn ingress_backend(backend: &Node, out: &mut Findings<'_>) {
    let (service, resource) = (get(backend, "service"), get(backend, "resource"));
    if service.is_some() == resource.is_some() {
        let code = if service.is_some() { code::FORBIDDEN } else { code::REQUIRED };
        out.error(code, backend, "exactly one of `service` and `resource` must be set");
        return;
    }
    if let Some(resource) = resource {
        parameters(resource, out);
    }
    let Some(service) = service else { return };
    require_form(out, service, "name", forms::dns_label);
    let port = get(service, "port");
    let named = port.is_some_and(|port| !is_missing(port, "name"));
    let numbered = port.is_some_and(|port| int(port, "number").is_some_and(|number| number != 0));
    match port {
        Some(port) if named && numbered => forbid(out, port, "number", "together with `name`"),
        Some(port) if named => has_form(out, port, "name", forms::port_name),
        Some(port) if numbered => in_range(out, port, "number", PORTS),
        _ => required(out, service, "port", ": its `name` or `number`"),
    }
}

/// A reference to an object of any kind.
fn parameters(reference: &Node, out: &mut Findings<'_>) {
    has_form_if_set(out, reference, "apiGroup", forms::dns_subdomain);
    require_form(out, reference, "kind", forms::path_segment);
    require_form(out, reference, "name", forms::path_segment);
}

/// An IngressClass.
pub(super) fn ingress_class(root: &Node, out: &mut Findings<'_>) {
    let Some(spec) = require_map(out, root, "spec") else { return };
    require_form(out, spec, "controller", forms::domain_prefixed_path);
    if let Some(value) = get(spec, "controller").filter(|_| text(spec, "controller").len() > 250) {
        out.error(code::FORMAT, value, "is longer than 250 characters");
    }
    let Some(reference) = get(spec, "parameters") else { return };
    parameters(reference, out);
    one_of_if_set(out, reference, "scope", &["Cluster", "Namespace"]);
    if text(reference, "scope") == "Namespace" {
        require_form(out, reference, "namespace", forms::dns_label);
    } else {
        forbid(out, reference, "namespace", "unless `scope` is `Namespace`");
    }
}
