//! What only one attempt at a time can have on a cluster, though each has a namespace of its own.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::{Scopes, is_namespace};
use crate::catalog::{Example, Object};

/// Groups of `Ingress`: the second is long gone, and still in manifests.
const INGRESS_GROUPS: [&str; 2] = ["networking.k8s.io", "extensions"];

/// What an example and its needs take of the cluster for themselves: objects of the whole cluster as `Kind.group/name`, ports of the
/// nodes, addresses and hosts that Services and Ingresses ask for. Two examples that share one must not be tried at the same time,
/// nor one of them while the other is still being deleted.
#[must_use]
pub fn lock_keys(example: &Example, needs: &[&Example], scopes: &Scopes) -> BTreeSet<String> {
    let objects = || needs.iter().copied().chain([example]).flat_map(|part| &part.objects);
    let scopes = scopes.clone().with_definitions(objects());
    let shared = |object: &&Object| {
        let named = object.root.at(&["metadata", "name"]).is_some();
        named && !is_namespace(object) && scopes.is_cluster_scoped(object)
    };
    let whole = objects().filter(shared).map(|object| format!("{}.{}/{}", object.kind, object.group(), object.name));
    whole.chain(objects().flat_map(taken)).collect()
}

/// Whether an object asks for a port or an address that one before it of the same attempt has.
#[must_use]
pub(in crate::trial) fn clashes<'o>(object: &Object, mut before: impl Iterator<Item = &'o Object>) -> bool {
    let wanted = taken(object);
    !wanted.is_empty() && before.any(|other| taken(other).iter().any(|key| wanted.contains(key)))
}

/// What an object takes by its fields.
fn taken(object: &Object) -> Vec<String> {
    match (object.group(), object.kind.as_str()) {
        ("", "Service") => of_service(&object.root.to_json()["spec"]),
        (group, "Ingress") if INGRESS_GROUPS.contains(&group) => of_ingress(&object.root.to_json()["spec"]),
        _ => Vec::new(),
    }
}

/// Ports of the nodes come out of one pool, whatever their protocol and use.
fn of_service(spec: &Json) -> Vec<String> {
    let ports = items(&spec["ports"]).map(|port| &port["nodePort"]).chain([&spec["healthCheckNodePort"]]);
    let ports = ports.filter_map(Json::as_u64).filter(|port| *port > 0).map(|port| format!("nodePort/{port}"));
    let addresses = [&spec["clusterIP"]].into_iter().chain(items(&spec["clusterIPs"])).filter_map(Json::as_str);
    let addresses = addresses.filter(|address| !["", "None"].contains(address));
    let addresses = addresses.map(|address| format!("clusterIP/{address}"));
    let balanced = spec["loadBalancerIP"].as_str().filter(|address| !address.is_empty());
    ports.chain(addresses).chain(balanced.map(|address| format!("loadBalancerIP/{address}"))).collect()
}

/// Controllers refuse a second Ingress for a host and path; rules without a host are for all (`*`).
fn of_ingress(spec: &Json) -> Vec<String> {
    let of_rule = |rule: &Json| {
        let host = rule["host"].as_str().filter(|host| !host.is_empty()).unwrap_or("*").to_owned();
        let paths = items(&rule["http"]["paths"]).map(|path| path["path"].as_str().unwrap_or("/"));
        paths.map(|path| format!("Ingress/{host}/{}", path.trim_start_matches('/'))).collect::<Vec<_>>()
    };
    items(&spec["rules"]).flat_map(of_rule).collect()
}

fn items(list: &Json) -> impl Iterator<Item = &Json> {
    list.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{example, scopes};
    use super::*;

    fn keys(text: &str) -> Vec<String> {
        lock_keys(&example("a.yaml", text), &[], &scopes()).into_iter().collect()
    }

    #[test]
    fn ports_of_nodes_and_addresses_are_taken_by_one_at_a_time() {
        let text = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  type: LoadBalancer\n  clusterIP: 10.96.0.10\n  \
            clusterIPs: [10.96.0.10, 'fd00::a']\n  loadBalancerIP: 192.0.2.1\n  healthCheckNodePort: 30090\n  \
            ports: [{port: 80, nodePort: 30080}, {port: 53, protocol: UDP, nodePort: 30053}, {port: 81}]\n";
        let expected = [
            "clusterIP/10.96.0.10",
            "clusterIP/fd00::a",
            "loadBalancerIP/192.0.2.1",
            "nodePort/30053",
            "nodePort/30080",
            "nodePort/30090",
        ];
        assert_eq!(keys(text), expected);
    }

    #[test]
    fn an_example_may_be_in_its_own_way() {
        let service = |name: &str, port: u32| {
            format!(
                "{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, spec: {{ports: [{{port: 80, nodePort: {port}}}]}}}}\n---\n"
            )
        };
        let objects = example("a.yaml", &(service("a", 30080) + &service("b", 30081) + &service("c", 30080))).objects;
        let clash = |index: usize| clashes(&objects[index], objects[..index].iter());
        assert_eq!([clash(0), clash(1), clash(2)], [false, false, true]);
    }

    #[test]
    fn what_the_cluster_chooses_is_not_locked() {
        let none: [&str; 0] = [];
        let text = "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterIP: None, ports: [{port: 80, nodePort: 0}]}}\n---\n\
            {apiVersion: v1, kind: Service, metadata: {name: b}, spec: {clusterIP: '', ports: x}}\n---\n\
            {apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: c}, spec: {ports: [{nodePort: 30080}]}}\n---\n\
            {apiVersion: v1, kind: Service, metadata: {name: d}, spec: 7}\n";
        assert_eq!(keys(text), none);
    }

    #[test]
    fn hosts_and_paths_of_ingresses_are_taken_by_one_at_a_time() {
        let text = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: a}\nspec:\n  rules:\n  - host: a.example\n    \
            http: {paths: [{path: /, pathType: Prefix}, {path: /api, pathType: Prefix}]}\n  - http: {paths: [{pathType: Exact}]}\n  \
            - {host: b.example}\n";
        assert_eq!(keys(text), ["Ingress/*/", "Ingress/a.example/", "Ingress/a.example/api"]);
    }

    #[test]
    fn what_an_example_needs_is_taken_too() {
        let need = example(
            "need.yaml",
            "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{nodePort: 30001}]}}\n",
        );
        let found = lock_keys(&example("a.yaml", ""), &[&need], &scopes());
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["nodePort/30001"]);
    }

    #[test]
    fn a_kind_that_the_example_defines_is_locked_by_its_definition_s_scope() {
        let text = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: queues.a.b}\n\
            spec: {group: a.b, scope: Cluster, names: {kind: Queue, plural: queues}, versions: [{name: v1}]}\n---\n\
            {apiVersion: a.b/v1, kind: Queue, metadata: {name: q}}\n---\n{apiVersion: a.b/v2, kind: ClusterThing, metadata: {generateName: g-}}\n";
        assert_eq!(keys(text), ["CustomResourceDefinition.apiextensions.k8s.io/queues.a.b", "Queue.a.b/q"]);
    }
}
