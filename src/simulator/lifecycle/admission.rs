//! What keeps a pod out of its namespace: ServiceAccount, PodSecurity, ResourceQuota. Texts as a real server's (recordings).

use serde_json::{Value as Json, json};

use super::defaults;
use super::object::{has_ended, is_true, list, name, namespace, text};
use super::scheduler::{amounts, requests};
use crate::quantity::Quantity;
use crate::simulator::store::{Key, Store};

/// Fills in what an API server adds to a new object: defaults, and what admission adds to a pod.
pub fn complete(object: &mut Json) {
    if text(object, "/kind") == "Pod" && text(object, "/apiVersion") == "v1" {
        complete_pod(object);
    } else {
        defaults::complete(object);
    }
}

fn complete_pod(pod: &mut Json) {
    defaults::complete_pod_spec(&mut pod["spec"]);
    let account = match text(pod, "/spec/serviceAccountName") {
        "" => "default".to_owned(),
        account => account.to_owned(),
    };
    for field in ["serviceAccountName", "serviceAccount"] {
        pod["spec"][field] = account.clone().into();
    }
    if pod.pointer("/spec/tolerations").is_none() {
        let stays = |condition: &str| {
            json!({"key": format!("node.kubernetes.io/{condition}"), "operator": "Exists", "effect": "NoExecute",
                "tolerationSeconds": 300})
        };
        pod["spec"]["tolerations"] = json!([stays("not-ready"), stays("unreachable")]);
    }
    if pod.pointer("/status/phase").is_none() {
        pod["status"] = json!({"phase": "Pending", "qosClass": quality(pod)});
    }
}

/// A pod's class of service.
fn quality(pod: &Json) -> &'static str {
    let containers = list(pod, "/spec/containers");
    let is_plain = |container: &Json| amounts(container, &["limits", "requests"]).is_empty();
    let is_fixed = |container: &Json| {
        let (limits, wanted) = (amounts(container, &["limits"]), amounts(container, &["limits", "requests"]));
        ["cpu", "memory"].iter().all(|what| limits.contains_key(*what)) && limits == wanted
    };
    match containers {
        _ if containers.iter().all(is_plain) => "BestEffort",
        _ if containers.iter().all(is_fixed) => "Guaranteed",
        _ => "Burstable",
    }
}

/// Why a pod is refused, as the whole message of the server's answer; `None` if it is let in.
#[must_use]
pub fn refusal(pod: &Json, store: &Store) -> Option<String> {
    let place = namespace(pod);
    let generated = text(pod, "/metadata/generateName");
    let account = match text(pod, "/spec/serviceAccountName") {
        "" => "default",
        account => account,
    };
    if store.get(&Key::namespaced("", "serviceaccounts", place, account)).is_none() {
        // This comes before a name is generated.
        let shown = if generated.is_empty() { name(pod) } else { generated };
        return Some(format!(
            "pods \"{shown}\" is forbidden: error looking up service account {place}/{account}: serviceaccount \"{account}\" not found"
        ));
    }
    let why = insecurities(pod, store).or_else(|| quota(pod, store))?;
    Some(format!("pods \"{}\" is forbidden: {why}", name(pod)))
}

/// What violates the PodSecurity profile of the namespace (`k8s.io/pod-security-admission`).
fn insecurities(pod: &Json, store: &Store) -> Option<String> {
    let namespace = store.get(&Key::cluster("", "namespaces", namespace(pod)))?;
    let label = |what: &str| {
        let labels = namespace.pointer("/metadata/labels")?;
        labels.get(format!("pod-security.kubernetes.io/{what}"))?.as_str()
    };
    let level = label("enforce")?;
    let version = label("enforce-version").unwrap_or("latest");
    let mut found = Vec::new();
    if matches!(level, "baseline" | "restricted") {
        baseline(pod, &mut found);
    }
    if level == "restricted" {
        restricted(pod, &mut found);
    }
    (!found.is_empty()).then(|| format!("violates PodSecurity \"{level}:{version}\": {}", found.join(", ")))
}

/// The containers of which something holds, as messages list them.
fn those(pod: &Json, is_bad: impl Fn(&Json) -> bool) -> Option<String> {
    let all = list(pod, "/spec/initContainers").iter().chain(list(pod, "/spec/containers"));
    let bad: Vec<_> = all
        .filter(|container| is_bad(container))
        .map(|container| format!("\"{}\"", text(container, "/name")))
        .collect();
    match bad.len() {
        0 => None,
        1 => Some(format!("container {}", bad[0])),
        _ => Some(format!("containers {}", bad.join(", "))),
    }
}

fn baseline(pod: &Json, found: &mut Vec<String>) {
    let hosts: Vec<_> = ["hostNetwork", "hostPID", "hostIPC"]
        .into_iter()
        .filter(|field| is_true(pod, &format!("/spec/{field}")))
        .collect();
    if !hosts.is_empty() {
        let told: Vec<_> = hosts.iter().map(|field| format!("{field}=true")).collect();
        found.push(format!("host namespaces ({})", told.join(", ")));
    }
    if let Some(who) = those(pod, |container| is_true(container, "/securityContext/privileged")) {
        found.push(format!("privileged ({who} must not set securityContext.privileged=true)"));
    }
    let paths: Vec<_> = list(pod, "/spec/volumes").iter().filter(|volume| volume.get("hostPath").is_some()).collect();
    if !paths.is_empty() {
        let names: Vec<_> = paths.iter().map(|volume| format!("\"{}\"", text(volume, "/name"))).collect();
        let what = if names.len() == 1 { "volume" } else { "volumes" };
        found.push(format!("hostPath volumes ({what} {})", names.join(", ")));
    }
    if let Some(who) = those(pod, |container| {
        list(container, "/ports").iter().any(|port| port.get("hostPort").is_some_and(|port| port.as_i64() != Some(0)))
    }) {
        found.push(format!("hostPort ({who} uses hostPort)"));
    }
}

fn restricted(pod: &Json, found: &mut Vec<String>) {
    let escalates =
        |container: &Json| container.pointer("/securityContext/allowPrivilegeEscalation") != Some(&Json::Bool(false));
    if let Some(who) = those(pod, escalates) {
        found.push(format!(
            "allowPrivilegeEscalation != false ({who} must set securityContext.allowPrivilegeEscalation=false)"
        ));
    }
    let keeps = |container: &Json| {
        !list(container, "/securityContext/capabilities/drop").iter().any(|dropped| dropped == "ALL")
    };
    if let Some(who) = those(pod, keeps) {
        found.push(format!("unrestricted capabilities ({who} must set securityContext.capabilities.drop=[\"ALL\"])"));
    }
    let pod_user = is_true(pod, "/spec/securityContext/runAsNonRoot");
    let may_be_root =
        |container: &Json| match container.pointer("/securityContext/runAsNonRoot").and_then(Json::as_bool) {
            Some(own) => !own,
            None => !pod_user,
        };
    if let Some(who) = those(pod, may_be_root) {
        found.push(format!("runAsNonRoot != true (pod or {who} must set securityContext.runAsNonRoot=true)"));
    }
    let is_set = |object: &Json, place: &str| matches!(text(object, place), "RuntimeDefault" | "Localhost");
    let pod_profile = is_set(pod, "/spec/securityContext/seccompProfile/type");
    let unconfined = |container: &Json| !pod_profile && !is_set(container, "/securityContext/seccompProfile/type");
    if let Some(who) = those(pod, unconfined) {
        found.push(format!("seccompProfile (pod or {who} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")"));
    }
}

/// Which quota of the namespace the pod would exceed (`pkg/quota`).
fn quota(pod: &Json, store: &Store) -> Option<String> {
    let (quotas, _) = store.list("", "resourcequotas", Some(namespace(pod)));
    if quotas.is_empty() {
        return None;
    }
    let (pods, _) = store.list("", "pods", Some(namespace(pod)));
    let alive: Vec<_> = pods.iter().filter(|other| !has_ended(other)).collect();
    quotas.iter().find_map(|quota| {
        let (mut requested, mut used, mut limited, mut missing) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (what, hard) in quota.pointer("/spec/hard").and_then(Json::as_object).into_iter().flatten() {
            let hard = hard.as_str().map_or_else(|| hard.to_string(), str::to_owned);
            let Some(own) = charge(pod, what) else {
                if matches!(
                    what.as_str(),
                    "cpu" | "memory" | "requests.cpu" | "requests.memory" | "limits.cpu" | "limits.memory"
                ) {
                    missing.push(what.clone());
                }
                continue;
            };
            let before = alive.iter().filter_map(|other| charge(other, what)).fold(Quantity::default(), Quantity::plus);
            if before.plus(own) > Quantity::parse(&hard).unwrap_or_default() {
                requested.push(format!("{what}={}", shown(what, own)));
                used.push(format!("{what}={}", shown(what, before)));
                limited.push(format!("{what}={hard}"));
            }
        }
        let quota = name(quota);
        if !missing.is_empty() {
            let containers: Vec<_> =
                list(pod, "/spec/containers").iter().map(|container| text(container, "/name")).collect();
            let told: Vec<_> = missing.iter().map(|what| format!("{what} for: {}", containers.join(","))).collect();
            return Some(format!("failed quota: {quota}: must specify {}", told.join("; ")));
        }
        (!requested.is_empty()).then(|| {
            format!(
                "exceeded quota: {quota}, requested: {}, used: {}, limited: {}",
                requested.join(","),
                used.join(","),
                limited.join(",")
            )
        })
    })
}

/// How much of a quota's resource a pod takes; `None` if it does not say, or the quota is not about pods.
fn charge(pod: &Json, what: &str) -> Option<Quantity> {
    match what {
        "pods" | "count/pods" => Some(Quantity::from_units(1)),
        _ => match what.split_once('.') {
            Some(("limits", resource)) => limits(pod).remove(resource),
            Some(("requests", resource)) => requests(pod).remove(resource),
            _ => requests(pod).remove(what),
        },
    }
}

fn limits(pod: &Json) -> std::collections::BTreeMap<String, Quantity> {
    let mut only = pod.clone();
    for container in only["spec"]["containers"].as_array_mut().into_iter().flatten() {
        if let Some(resources) = container["resources"].as_object_mut() {
            resources.remove("requests");
        }
    }
    requests(&only)
}

fn shown(what: &str, amount: Quantity) -> String {
    if what.ends_with("cpu") && amount.milli() % 1000 != 0 {
        return format!("{}m", amount.milli());
    }
    let units = amount.units();
    for (suffix, size) in [("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)] {
        if what.ends_with("memory") && units > 0 && units % size == 0 {
            return format!("{}{suffix}", units / size);
        }
    }
    units.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(objects: &[Json]) -> Store {
        let store = Store::new();
        store
            .create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n",
            "labels": {"pod-security.kubernetes.io/enforce": "baseline"}}}))
            .unwrap();
        for object in objects {
            store.create(object.clone()).unwrap();
        }
        store
    }

    fn account() -> Json {
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "n"}})
    }

    #[test]
    fn refusals_are_told_in_the_servers_words() {
        let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": "n"},
            "spec": {"hard": {"requests.cpu": "100m"}}});
        let pod = |context: Json| {
            json!({"metadata": {"name": "p", "namespace": "n"}, "spec": {"containers": [
            {"name": "main", "securityContext": context, "resources": {"requests": {"cpu": "500m"}}}]}})
        };
        let plain = pod(json!({}));
        assert_eq!(refusal(&plain, &world(&[account()])), None);
        assert_eq!(
            refusal(&plain, &world(&[])).unwrap(),
            "pods \"p\" is forbidden: error looking up service account n/default: serviceaccount \"default\" not found"
        );
        assert_eq!(
            refusal(&plain, &world(&[account(), quota])).unwrap(),
            "pods \"p\" is forbidden: exceeded quota: q, requested: requests.cpu=500m, used: requests.cpu=0, limited: requests.cpu=100m"
        );
        assert_eq!(
            refusal(&pod(json!({"privileged": true})), &world(&[account()])).unwrap(),
            "pods \"p\" is forbidden: violates PodSecurity \"baseline:latest\": privileged (container \"main\" must not set securityContext.privileged=true)"
        );
    }
}
