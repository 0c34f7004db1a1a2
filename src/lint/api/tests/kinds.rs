//! The rules for access, autoscaling, policies, networks and definitions.

use super::{accepts, refuses};

#[test]
fn roles_allow_verbs_on_resources() {
    let role = "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: a}, rules: [{@}]}";
    refuses(
        role,
        &[
            ("apiGroups: [''], resources: [pods]", "EV107", "rules[0]: `verbs`"),
            ("verbs: [get], resources: [pods]", "EV107", "rules[0]: `apiGroups`"),
            ("verbs: [get], apiGroups: ['']", "EV107", "rules[0]: `resources`"),
            ("verbs: [get], nonResourceURLs: [/a]", "EV115", "rules[0].nonResourceURLs"),
        ],
    );
    accepts(role, &["verbs: [get], apiGroups: [''], resources: [pods]"]);
    let cluster = "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: a}, @}";
    refuses(
        cluster,
        &[
            ("rules: [{verbs: [get], nonResourceURLs: [/a], resources: [a]}]", "EV115", "rules[0]"),
            ("aggregationRule: {}", "EV107", "aggregationRule"),
            ("aggregationRule: {clusterRoleSelectors: [{matchLabels: {a: -b}}]}", "EV111", "aggregationRule"),
        ],
    );
    accepts(cluster, &["", "rules: [{verbs: [get], nonResourceURLs: [/a]}]"]);
}

#[test]
fn bindings_name_a_role_and_subjects() {
    let head = "{apiVersion: rbac.authorization.k8s.io/v1, metadata: {name: a}, ";
    let binding = format!("{head}kind: RoleBinding, roleRef: {{kind: Role, name: a}}, @}}");
    refuses(
        &binding,
        &[
            ("subjects: [{kind: User}]", "EV107", "subjects[0]: `name`"),
            ("subjects: [{kind: Robot, name: a}]", "EV108", "subjects[0].kind"),
            (
                "subjects: [{kind: ServiceAccount, name: a, apiGroup: rbac.authorization.k8s.io}]",
                "EV108",
                "subjects[0]",
            ),
            ("subjects: [{kind: User, name: a, apiGroup: v1}]", "EV108", "subjects[0].apiGroup"),
        ],
    );
    accepts(&binding, &["", "subjects: [{kind: ServiceAccount, name: a}, {kind: User, name: 'A B'}]"]);
    let cluster = format!("{head}kind: ClusterRoleBinding, @}}");
    let role = "roleRef: {kind: ClusterRole, name: a}";
    refuses(
        &cluster,
        &[
            ("", "EV107", "`roleRef`"),
            ("roleRef: {kind: Role, name: a}", "EV108", "roleRef.kind"),
            ("roleRef: {kind: ClusterRole, name: a, apiGroup: x}", "EV108", "roleRef.apiGroup"),
            (&format!("{role}, subjects: [{{kind: ServiceAccount, name: a}}]"), "EV107", "subjects[0]: `namespace`"),
        ],
    );
    accepts(&cluster, &[role]);
}

#[test]
fn autoscalers_have_bounds_and_metrics() {
    let scaler = "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: a}, spec: {scaleTargetRef: \
                  {apiVersion: apps/v1, kind: Deployment, name: a}, @}}";
    let metric = |metric: &str| format!("maxReplicas: 1, metrics: [{{{metric}}}]");
    refuses(
        scaler,
        &[
            ("minReplicas: 1", "EV107", "spec: `maxReplicas`"),
            ("maxReplicas: 0", "EV110", "spec.maxReplicas"),
            ("maxReplicas: 1, minReplicas: 2", "EV110", "spec.maxReplicas"),
            ("maxReplicas: 1, minReplicas: 0", "EV110", "spec.minReplicas"),
            (&metric("resource: {name: cpu}"), "EV107", "spec.metrics[0]: `type`"),
            (&metric("type: X"), "EV108", "spec.metrics[0].type"),
            (&metric("type: Resource"), "EV107", "spec.metrics[0]: `resource`"),
            (&metric("type: Resource, resource: {name: cpu, target: {type: Utilization}}"), "EV107", "spec.metrics[0]"),
            (
                &metric("type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 0}}"),
                "EV110",
                "spec.metrics[0].resource.target.averageUtilization",
            ),
            (
                &metric("type: Pods, pods: {metric: {name: a}, target: {type: AverageValue, averageValue: -1}}"),
                "EV112",
                "spec.metrics[0].pods.target.averageValue",
            ),
            (
                &metric(
                    "type: ContainerResource, containerResource: {name: disk, container: a, target: {type: \
                     Utilization, averageUtilization: 50}}",
                ),
                "EV111",
                "spec.metrics[0].containerResource.name",
            ),
            ("maxReplicas: 1, behavior: {scaleUp: {policies: []}}", "EV107", "spec.behavior.scaleUp.policies"),
            ("maxReplicas: 1, behavior: {scaleUp: {selectPolicy: X}}", "EV108", "spec.behavior.scaleUp.selectPolicy"),
            (
                "maxReplicas: 1, behavior: {scaleDown: {policies: [{type: Pods, value: 1, periodSeconds: 1801}]}}",
                "EV110",
                "spec.behavior.scaleDown.policies[0].periodSeconds",
            ),
        ],
    );
    accepts(
        scaler,
        &[
            "maxReplicas: 2, minReplicas: 1, behavior: {scaleUp: {stabilizationWindowSeconds: 0}}",
            &metric("type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}"),
            &metric("type: Resource, resource: {name: disk, target: {type: Utilization, averageUtilization: 50}}"),
            &metric("type: External, external: {metric: {name: a}, target: {type: Value, value: 1}}"),
        ],
    );
    let target = "{apiVersion: autoscaling/v1, kind: HorizontalPodAutoscaler, metadata: {name: a}, spec: {maxReplicas: 1, \
                  scaleTargetRef: {@}}}";
    refuses(target, &[("apiVersion: apps/v1, name: a", "EV107", "spec.scaleTargetRef: `kind`")]);
    refuses(target, &[("kind: Deployment, name: a", "EV107", "spec.scaleTargetRef: `apiVersion`")]);
    accepts(target, &["apiVersion: v1, kind: ReplicationController, name: a"]);
}

#[test]
fn budgets_priorities_and_leases_have_sound_values() {
    let budget = "{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: A}, spec: {@}}";
    refuses(
        budget,
        &[
            ("minAvailable: 1, maxUnavailable: 1", "EV115", "spec.maxUnavailable"),
            ("minAvailable: 101%", "EV110", "spec.minAvailable"),
            ("maxUnavailable: -1", "EV110", "spec.maxUnavailable"),
            ("maxUnavailable: ''", "EV109", "spec.maxUnavailable"),
            ("unhealthyPodEvictionPolicy: X", "EV108", "spec.unhealthyPodEvictionPolicy"),
        ],
    );
    accepts(budget, &["", "minAvailable: 50%, selector: {matchLabels: {a: b}}"]);
    let priority = "{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: a}, @}";
    refuses(priority, &[("value: 1000000001", "EV110", "value"), ("preemptionPolicy: X", "EV108", "preemptionPolicy")]);
    accepts(priority, &["", "value: 1000000000, preemptionPolicy: Never"]);
    let runtime = "{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: a}, @}";
    refuses(runtime, &[("", "EV107", "`handler`"), ("handler: A", "EV111", "handler")]);
    refuses(runtime, &[("handler: a, scheduling: {tolerations: [{}]}", "EV119", "scheduling.tolerations[0]")]);
    accepts(runtime, &["handler: a, overhead: {podFixed: {cpu: 1}}"]);
    let lease = "{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: a}, spec: {@}}";
    refuses(lease, &[("leaseDurationSeconds: 0", "EV110", "spec.leaseDurationSeconds")]);
    accepts(lease, &["leaseDurationSeconds: 1, leaseTransitions: 0, holderIdentity: a"]);
}

#[test]
fn network_policies_name_peers_and_ports() {
    let policy = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a}, spec: {@}}";
    refuses(
        policy,
        &[
            ("policyTypes: [Both]", "EV108", "spec.policyTypes[0]"),
            ("ingress: [{from: [{}]}]", "EV107", "spec.ingress[0].from[0]"),
            ("ingress: [{from: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}]", "EV115", "spec.ingress[0].from[0]"),
            ("egress: [{to: [{ipBlock: {cidr: x}}]}]", "EV109", "spec.egress[0].to[0].ipBlock.cidr"),
            ("egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/9]}}]}]", "EV119", "spec.egress[0].to[0]"),
            ("egress: [{ports: [{protocol: X}]}]", "EV108", "spec.egress[0].ports[0].protocol"),
            ("egress: [{ports: [{port: 0}]}]", "EV110", "spec.egress[0].ports[0].port"),
            ("egress: [{ports: [{port: 5, endPort: 4}]}]", "EV110", "spec.egress[0].ports[0].endPort"),
            ("egress: [{ports: [{port: a, endPort: 4}]}]", "EV115", "spec.egress[0].ports[0].endPort"),
        ],
    );
    accepts(
        policy,
        &["podSelector: {}", "egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]}]", "ingress: [{}]"],
    );
}

#[test]
fn ingresses_route_paths_to_backends() {
    let ingress = "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: a}, spec: {@}}";
    let path = |path: &str| format!("rules: [{{http: {{paths: [{{{path}}}]}}}}]");
    let backend = "backend: {service: {name: a, port: {number: 80}}}";
    refuses(
        ingress,
        &[
            ("ingressClassName: a", "EV107", "spec: `rules`"),
            (&path(backend), "EV107", "spec.rules[0].http.paths[0]: `pathType`"),
            (&path(&format!("pathType: X, {backend}")), "EV108", "spec.rules[0].http.paths[0].pathType"),
            (&path(&format!("pathType: Prefix, path: a, {backend}")), "EV109", "spec.rules[0].http.paths[0].path"),
            (&path(&format!("pathType: Exact, path: /a//b, {backend}")), "EV109", "spec.rules[0].http.paths[0].path"),
            (&path("pathType: Prefix, path: /"), "EV107", "spec.rules[0].http.paths[0]: `backend`"),
            ("rules: [{http: {}}]", "EV107", "spec.rules[0].http"),
            ("rules: [{host: 1.2.3.4}]", "EV109", "spec.rules[0].host"),
            ("rules: [{host: a.*.b}]", "EV109", "spec.rules[0].host"),
            ("defaultBackend: {}", "EV107", "spec.defaultBackend"),
            ("defaultBackend: {service: {name: a}}", "EV107", "spec.defaultBackend.service"),
            ("defaultBackend: {service: {name: a, port: {number: 0}}}", "EV107", "spec.defaultBackend.service"),
            (
                "defaultBackend: {service: {name: a, port: {name: a, number: 1}}}",
                "EV115",
                "spec.defaultBackend.service",
            ),
            ("rules: [{}], tls: [{hosts: [A]}]", "EV111", "spec.tls[0].hosts[0]"),
            (
                "defaultBackend: {resource: {apiGroup: '', kind: A, name: a}}",
                "EV111",
                "spec.defaultBackend.resource.apiGroup",
            ),
        ],
    );
    accepts(
        ingress,
        &[
            &path(&format!("pathType: Prefix, path: /, {backend}")),
            &path(&format!("pathType: ImplementationSpecific, {backend}")),
            "rules: [{host: '*.example.com'}], tls: [{hosts: [a.b], secretName: c}]",
        ],
    );
    let class = "{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: a}, spec: {@}}";
    refuses(class, &[("", "EV107", "spec: `controller`"), ("controller: a", "EV109", "spec.controller")]);
    refuses(
        class,
        &[("controller: a.b/c, parameters: {kind: A, name: a, scope: X}", "EV108", "spec.parameters.scope")],
    );
    accepts(class, &["controller: a.b/c, parameters: {kind: A, name: a}"]);
}

#[test]
fn endpoints_are_addresses_on_the_network() {
    let endpoints = "{apiVersion: v1, kind: Endpoints, metadata: {name: a}, subsets: [{@}]}";
    refuses(
        endpoints,
        &[
            ("ports: [{port: 1}]", "EV107", "subsets[0]: `addresses`"),
            ("addresses: [{ip: x}]", "EV109", "subsets[0].addresses[0].ip"),
            ("addresses: [{ip: 127.0.0.1}]", "EV119", "subsets[0].addresses[0].ip"),
            ("addresses: [{ip: 10.0.0.1}], ports: [{port: 0}]", "EV110", "subsets[0].ports[0].port"),
            ("addresses: [{ip: 10.0.0.1}], ports: [{port: 1, appProtocol: 'a b'}]", "EV111", "subsets[0].ports[0].app"),
        ],
    );
    accepts(endpoints, &["addresses: [{ip: 10.0.0.1}], ports: [{port: 1}]"]);
    let slice = "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a}, @}";
    refuses(
        slice,
        &[
            ("endpoints: []", "EV107", "`addressType`"),
            ("addressType: IPv4, endpoints: [{addresses: []}]", "EV107", "endpoints[0]"),
            ("addressType: IPv6, endpoints: [{addresses: [10.0.0.1]}]", "EV119", "endpoints[0].addresses[0]"),
            ("addressType: IPv4, endpoints: [], ports: [{port: 1}, {port: 2}]", "EV113", "ports[1]"),
            ("addressType: IPv4, endpoints: [], ports: [{port: 1, appProtocol: ''}]", "EV111", "ports[0].appProtocol"),
            ("addressType: FQDN, endpoints: [{addresses: [a.b], hostname: ''}]", "EV111", "endpoints[0].hostname"),
            ("addressType: FQDN, endpoints: [{addresses: [a.b], nodeName: ''}]", "EV111", "endpoints[0].nodeName"),
            (
                "addressType: FQDN, endpoints: [{addresses: [a.b], deprecatedTopology: {a: -b}}]",
                "EV111",
                "endpoints[0].deprecatedTopology.a",
            ),
            (
                "addressType: FQDN, endpoints: [{addresses: [a.b], hints: {forZones: [{name: a}, {name: a}]}}]",
                "EV113",
                "endpoints[0].hints.forZones[1].name",
            ),
        ],
    );
    accepts(slice, &["addressType: FQDN, endpoints: [{addresses: [a.b], hints: {forZones: [{name: a}, {name: b}]}}]"]);
    accepts(slice, &["addressType: FQDN, endpoints: [{addresses: [a.b]}]"]);
}

#[test]
fn definitions_have_one_stored_version() {
    let crd = "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: as.example.com}, \
               spec: {group: example.com, scope: Namespaced, names: {plural: as, kind: A}, versions: [@]}}";
    let version = "{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}";
    refuses(
        crd,
        &[
            ("", "EV107", "spec.versions"),
            (&version.replace("true, schema", "false, schema"), "EV119", "spec.versions"),
            (&format!("{version}, {version}"), "EV113", "spec.versions[1].name"),
            ("{name: v1, storage: true}", "EV107", "spec.versions[0]: `schema`"),
        ],
    );
    accepts(crd, &[version]);
    let named = crd.replace('@', version).replace("as.example.com}", "b.example.com}");
    refuses(&named, &[("", "EV111", "metadata.name")]);
}
