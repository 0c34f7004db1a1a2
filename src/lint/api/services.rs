//! Services.
//!
//! Source: `ValidateService` in `pkg/apis/core/validation/validation.go` of Kubernetes, after its defaults and the
//! allocation of `pkg/registry/core/service/storage`.

use std::collections::HashSet;
use std::net::IpAddr;

use super::read::{IntOrString, get, int, is_missing, list, strings, structs, text};
use super::report::{
    PROTOCOLS, allowed_value, duplicate, duplicates, expect, forbid, has_form, has_form_if_set, in_range, one_of,
    one_of_if_set, port_or_name, repeated, require_map, require_port, required, within,
};
use super::{forms, meta};
use crate::lint::code;
use crate::lint::findings::Findings;
use crate::yaml::Node;

/// The ports of nodes that the server gives to Services, unless it is told otherwise.
const NODE_PORTS: (i64, i64) = (30_000, 32_767);
/// Longest time, in seconds, that a client stays with its pod: a day.
const MAX_AFFINITY: i64 = 86_400;

/// A Service.
pub(super) fn check(root: &Node, out: &mut Findings<'_>) {
    let Some(spec) = require_map(out, root, "spec") else { return };
    one_of(out, spec, "type", &["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]);
    let kind = Some(text(spec, "type")).filter(|kind| !kind.is_empty()).unwrap_or("ClusterIP");
    if is_missing(spec, "ports") && !is_headless(spec) && kind != "ExternalName" {
        required(out, spec, "ports", " unless the Service is headless (`clusterIP: None`)");
    }
    ports(spec, kind, out);
    meta::labels(spec, "selector", out);
    if kind == "ExternalName" {
        external_name(spec, out);
    } else {
        cluster_ips(spec, kind, out);
    }
    session_affinity(spec, out);
    for (value, address) in strings(spec, "externalIPs") {
        if expect(out, value, address, forms::ip) {
            not_special(value, address, out);
        }
    }
    load_balancer(root, spec, kind, out);
    traffic(spec, kind, out);
}

fn is_headless(spec: &Node) -> bool {
    let mut all = strings(spec, "clusterIPs").map(|(_, address)| address);
    match all.next() {
        Some(first) => first == "None" && all.next().is_none(),
        None => text(spec, "clusterIP") == "None",
    }
}

fn ports(spec: &Node, kind: &str, out: &mut Findings<'_>) {
    let several = list(spec, "ports").len() > 1;
    let (mut names, mut pairs, mut on_nodes) = (HashSet::new(), HashSet::new(), HashSet::new());
    for port in structs(spec, "ports") {
        let name = text(port, "name");
        if is_missing(port, "name") {
            if several {
                required(out, port, "name", " when a Service has several ports");
            }
        } else {
            has_form(out, port, "name", forms::dns_label);
            if !name.is_empty() && !names.insert(name) {
                repeated(out, port, "name", "name");
            }
        }
        require_port(out, port, "port");
        one_of(out, port, "protocol", &PROTOCOLS);
        target_port(port, out);
        has_form_if_set(out, port, "appProtocol", forms::qualified_name);
        let protocol = Some(text(port, "protocol")).filter(|name| !name.is_empty()).unwrap_or("TCP");
        if let Some(number) = int(port, "port")
            && !pairs.insert((protocol, number))
        {
            duplicate(out, port, "port", &format!("{number}/{protocol}"));
        }
        let Some((value, number)) = port.get("nodePort").zip(int(port, "nodePort").filter(|number| *number != 0))
        else {
            continue;
        };
        match kind {
            "ClusterIP" => forbid(out, port, "nodePort", "when `type` is `ClusterIP`"),
            "NodePort" | "LoadBalancer" => within(out, value, number, NODE_PORTS),
            _ => {}
        }
        if !on_nodes.insert((protocol, number)) {
            duplicate(out, value, "port of the node", &format!("{number}/{protocol}"));
        }
    }
}

/// A target that is not set, 0 or empty is the port itself.
fn target_port(port: &Node, out: &mut Findings<'_>) {
    if let Some(value) = get(port, "targetPort")
        && !matches!(IntOrString::of(value), Some(IntOrString::Int(0) | IntOrString::Text("")))
    {
        port_or_name(out, value);
    }
}

fn external_name(spec: &Node, out: &mut Findings<'_>) {
    for key in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        if !is_missing(spec, key) {
            forbid(out, spec, key, "when `type` is `ExternalName`");
        }
    }
    let name = text(spec, "externalName");
    let host = name.strip_suffix('.').unwrap_or(name);
    match get(spec, "externalName") {
        Some(value) if !host.is_empty() => drop(expect(out, value, host, forms::dns_subdomain)),
        Some(value) if value.as_str().is_none() => {}
        _ => required(out, spec, "externalName", " when `type` is `ExternalName`"),
    }
}

fn cluster_ips(spec: &Node, kind: &str, out: &mut Findings<'_>) {
    let first = text(spec, "clusterIP");
    if is_headless(spec) && matches!(kind, "NodePort" | "LoadBalancer") {
        let value = spec.get("clusterIP").or_else(|| spec.get("clusterIPs")).unwrap_or(spec);
        out.error(code::INVALID, value, format!("must not be `None` when `type` is `{kind}`"));
    }
    if let Some(value) = get(spec, "clusterIP").filter(|_| !matches!(first, "" | "None")) {
        expect(out, value, first, forms::ip);
    }
    let all: Vec<(&Node, &str)> = strings(spec, "clusterIPs").collect();
    if let Some((value, address)) = all.first()
        && *address != first
    {
        out.error(code::INVALID, *value, "the first of `clusterIPs` must be the same as `clusterIP`");
    }
    for (value, address) in &all {
        if *address != "None" {
            expect(out, *value, address, forms::ip);
        } else if all.len() > 1 {
            out.error(code::INVALID, *value, "`None` must be the only value");
        }
    }
    let families: Vec<bool> =
        all.iter().filter_map(|(_, address)| Some(address.parse::<IpAddr>().ok()?.is_ipv4())).collect();
    if let Some(value) =
        spec.get("clusterIPs").filter(|_| all.len() > 2 || families.len() == 2 && families[0] == families[1])
    {
        out.error(code::INVALID, value, "at most one address of each IP family is allowed");
    }
    ip_families(spec, &families, out);
}

fn ip_families(spec: &Node, of_addresses: &[bool], out: &mut Findings<'_>) {
    for (index, (value, family)) in strings(spec, "ipFamilies").enumerate() {
        allowed_value(out, value, family, &["IPv4", "IPv6"]);
        if of_addresses.get(index).is_some_and(|is_v4| *is_v4 != (family == "IPv4")) {
            out.error(code::INVALID, value, "does not fit the address in `clusterIPs`");
        }
    }
    for (value, family) in duplicates(spec, "ipFamilies") {
        duplicate(out, value, "family", family);
    }
    one_of_if_set(out, spec, "ipFamilyPolicy", &["SingleStack", "PreferDualStack", "RequireDualStack"]);
}

fn session_affinity(spec: &Node, out: &mut Findings<'_>) {
    one_of(out, spec, "sessionAffinity", &["ClientIP", "None"]);
    // The server drops the configuration of an affinity that is not asked for.
    if text(spec, "sessionAffinity") == "ClientIP"
        && let Some(client) = get(spec, "sessionAffinityConfig").and_then(|config| get(config, "clientIP"))
    {
        in_range(out, client, "timeoutSeconds", (1, MAX_AFFINITY));
    }
}

fn load_balancer(root: &Node, spec: &Node, kind: &str, out: &mut Findings<'_>) {
    const RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
    const WHY: &str = "unless `type` is `LoadBalancer`";
    for (value, range) in strings(spec, "loadBalancerSourceRanges") {
        expect(out, value, range.trim(), forms::cidr);
    }
    let ranges = root.get("metadata").and_then(|metadata| meta::annotation(metadata, RANGES));
    if let Some(value) = ranges.filter(|_| is_missing(spec, "loadBalancerSourceRanges")) {
        if kind != "LoadBalancer" {
            out.error(code::FORBIDDEN, value, format!("must not be set {WHY}"));
        }
        for range in value.as_str().unwrap_or_default().split(',').filter(|range| !range.trim().is_empty()) {
            expect(out, value, range.trim(), forms::cidr);
        }
    }
    if kind == "LoadBalancer" {
        return has_form_if_set(out, spec, "loadBalancerClass", forms::qualified_name);
    }
    if !is_missing(spec, "loadBalancerSourceRanges") {
        forbid(out, spec, "loadBalancerSourceRanges", WHY);
    }
    forbid(out, spec, "allocateLoadBalancerNodePorts", WHY);
    forbid(out, spec, "loadBalancerClass", WHY);
}

fn traffic(spec: &Node, kind: &str, out: &mut Findings<'_>) {
    let external =
        matches!(kind, "NodePort" | "LoadBalancer") || kind == "ClusterIP" && !is_missing(spec, "externalIPs");
    if external {
        one_of(out, spec, "externalTrafficPolicy", &["Cluster", "Local"]);
    } else if !is_missing(spec, "externalTrafficPolicy") {
        forbid(out, spec, "externalTrafficPolicy", "for a Service that can't be reached from outside");
    }
    one_of_if_set(out, spec, "internalTrafficPolicy", &["Cluster", "Local"]);
    one_of_if_set(out, spec, "trafficDistribution", &["PreferClose", "PreferSameZone", "PreferSameNode"]);
    let health_check = kind == "LoadBalancer" && text(spec, "externalTrafficPolicy") == "Local";
    if let Some((value, port)) =
        spec.get("healthCheckNodePort").zip(int(spec, "healthCheckNodePort").filter(|port| *port != 0))
    {
        if health_check {
            within(out, value, port, NODE_PORTS);
        } else {
            let why = "unless `type` is `LoadBalancer` and `externalTrafficPolicy` is `Local`";
            forbid(out, spec, "healthCheckNodePort", why);
        }
    }
}

/// Reports an address that is none of a machine on the network: unspecified, loopback, link-local.
pub(super) fn not_special(value: &Node, address: &str, out: &mut Findings<'_>) {
    let Ok(parsed) = address.parse::<IpAddr>() else { return };
    let link_local = match parsed {
        IpAddr::V4(v4) => v4.is_link_local() || v4.octets()[..3] == [224, 0, 0],
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.segments()[0] & 0xff0f == 0xff02,
    };
    if parsed.is_unspecified() || parsed.is_loopback() || link_local {
        out.error(code::INVALID, value, format!("`{address}` must not be unspecified, loopback or link-local"));
    }
}
