//! The rules for pods as a whole.

use super::{accepts, check, refuses};

const POD: &str = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, image: b}], @}}";
const VOLUME: &str = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, image: b}], volumes: [{name: v, @}]}}";

#[test]
fn fields_of_a_pod_are_in_range_and_among_the_known() {
    refuses(
        POD,
        &[
            ("restartPolicy: Sometimes", "EV108", "spec.restartPolicy"),
            ("dnsPolicy: X", "EV108", "spec.dnsPolicy"),
            ("preemptionPolicy: ''", "EV108", "spec.preemptionPolicy"),
            ("activeDeadlineSeconds: 0", "EV110", "spec.activeDeadlineSeconds"),
            ("serviceAccountName: A", "EV111", "spec.serviceAccountName"),
            ("runtimeClassName: ''", "EV111", "spec.runtimeClassName"),
            ("hostname: a.b", "EV111", "spec.hostname"),
            ("subdomain: A", "EV111", "spec.subdomain"),
            ("nodeSelector: {a: -b}", "EV111", "spec.nodeSelector.a"),
            ("readinessGates: [{}]", "EV107", "spec.readinessGates[0]"),
            ("schedulingGates: [{name: a/b}, {name: a/b}]", "EV113", "spec.schedulingGates[1]"),
            ("schedulingGates: [{name: a/b}], nodeName: n", "EV115", "spec.nodeName"),
            ("ephemeralContainers: [{name: e, image: b}]", "EV115", "spec.ephemeralContainers"),
            ("hostAliases: [{ip: a}]", "EV109", "spec.hostAliases[0].ip"),
            ("hostnameOverride: a, hostNetwork: true", "EV115", "spec.hostnameOverride"),
            ("overhead: {cpu: -1}", "EV112", "spec.overhead.cpu"),
            ("resourceClaims: [{name: a}]", "EV115", "spec.resourceClaims[0]"),
            ("resourceClaims: [{name: a, resourceClaimName: ''}]", "EV111", "spec.resourceClaims[0].resourceClaimName"),
            ("hostnameOverride: ''", "EV111", "spec.hostnameOverride"),
            ("priority: 5", "EV115", "spec.priority"),
            ("preemptionPolicy: Never", "EV115", "spec.preemptionPolicy"),
            ("os: {name: beos}", "EV108", "spec.os.name"),
            ("os: {name: windows}, securityContext: {runAsUser: 1}", "EV115", "spec.securityContext.runAsUser"),
            (
                "os: {name: linux}, securityContext: {windowsOptions: {}}",
                "EV115",
                "spec.securityContext.windowsOptions",
            ),
        ],
    );
    accepts(
        POD,
        &[
            "restartPolicy: '', dnsPolicy: '', terminationGracePeriodSeconds: -1",
            "hostAliases: [{ip: 127.0.0.1, hostnames: [a.b]}], hostname: a, nodeSelector: {a: ''}",
            "os: {name: linux}, securityContext: {runAsUser: 1}",
            "priority: 0, preemptionPolicy: PreemptLowerPriority",
            "priorityClassName: a, priority: 5, preemptionPolicy: Never",
        ],
    );
}

#[test]
fn dns_settings_have_bounds() {
    refuses(
        POD,
        &[
            ("dnsPolicy: None", "EV107", "spec: `dnsConfig`"),
            ("dnsPolicy: None, dnsConfig: {searches: [a]}", "EV107", "spec.dnsConfig: `nameservers`"),
            ("dnsConfig: {nameservers: [a]}", "EV109", "spec.dnsConfig.nameservers[0]"),
            ("dnsConfig: {nameservers: [1.1.1.1, 1.1.1.2, 1.1.1.3, 1.1.1.4]}", "EV110", "spec.dnsConfig.nameservers"),
            ("dnsConfig: {searches: ['-']}", "EV109", "spec.dnsConfig.searches[0]"),
            ("dnsConfig: {options: [{value: a}]}", "EV107", "spec.dnsConfig.options[0]"),
        ],
    );
    accepts(POD, &["dnsPolicy: None, dnsConfig: {nameservers: [1.1.1.1], searches: [a_b.c., '.']}"]);
}

#[test]
fn namespaces_of_the_node_exclude_some_fields() {
    refuses(
        POD,
        &[
            ("hostUsers: false, hostNetwork: true", "EV115", "spec.hostNetwork"),
            ("hostPID: true, shareProcessNamespace: true", "EV115", "spec.shareProcessNamespace"),
            (
                "hostNetwork: true, securityContext: {sysctls: [{name: net.a, value: x}]}",
                "EV115",
                "spec.securityContext",
            ),
        ],
    );
    accepts(POD, &["hostNetwork: true, hostPID: true, securityContext: {sysctls: [{name: kernel.a, value: x}]}"]);
    let ports = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {hostNetwork: true, containers: [{name: a, image: \
                 b, ports: [{containerPort: 1, @}]}]}}";
    refuses(ports, &[("hostPort: 2", "EV119", "spec.containers[0].ports[0].hostPort")]);
    accepts(ports, &["", "hostPort: 1"]);
}

#[test]
fn security_contexts_of_pods_are_checked() {
    refuses(
        POD,
        &[
            ("securityContext: {fsGroup: -1}", "EV110", "spec.securityContext.fsGroup"),
            ("securityContext: {supplementalGroups: [-1]}", "EV110", "spec.securityContext.supplementalGroups[0]"),
            ("securityContext: {fsGroupChangePolicy: X}", "EV108", "spec.securityContext.fsGroupChangePolicy"),
            ("securityContext: {sysctls: [{name: A}]}", "EV109", "spec.securityContext.sysctls[0].name"),
            ("securityContext: {windowsOptions: {hostProcess: true}}", "EV107", "spec: `hostNetwork`"),
        ],
    );
    accepts(POD, &["securityContext: {fsGroup: 0, fsGroupChangePolicy: Always, supplementalGroups: [1]}"]);
}

#[test]
fn affinities_are_well_formed() {
    let node = "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {@}}}";
    let node = POD.replace('@', node);
    refuses(
        &node,
        &[
            ("", "EV107", "spec.affinity.nodeAffinity"),
            ("nodeSelectorTerms: [{matchExpressions: [{key: a, operator: X}]}]", "EV108", "spec.affinity"),
            ("nodeSelectorTerms: [{matchExpressions: [{key: a, operator: In}]}]", "EV107", "spec.affinity"),
            (
                "nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Gt, values: ['1', '2']}]}]",
                "EV107",
                "spec.aff",
            ),
            (
                "nodeSelectorTerms: [{matchExpressions: [{key: a, operator: In, values: [-b]}]}]",
                "EV111",
                "spec.affinity",
            ),
            ("nodeSelectorTerms: [{matchFields: [{key: a, operator: In, values: [b]}]}]", "EV108", "spec.affinity"),
        ],
    );
    accepts(&node, &["nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists}]}, {}]"]);
    let pods =
        POD.replace('@', "affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{@}]}}");
    refuses(
        &pods,
        &[
            ("podAffinityTerm: {topologyKey: a}", "EV107", "spec.affinity.podAntiAffinity"),
            ("weight: 101, podAffinityTerm: {topologyKey: a}", "EV110", "spec.affinity.podAntiAffinity"),
            ("weight: 1, podAffinityTerm: {}", "EV107", "spec.affinity.podAntiAffinity"),
            ("weight: 1, podAffinityTerm: {topologyKey: a, matchLabelKeys: [b]}", "EV115", "spec.affinity"),
        ],
    );
    accepts(&pods, &["weight: 100, podAffinityTerm: {topologyKey: a, labelSelector: {matchLabels: {a: b}}}"]);
}

#[test]
fn tolerations_and_spreads_are_well_formed() {
    refuses(
        POD,
        &[
            ("tolerations: [{operator: Equal}]", "EV119", "spec.tolerations[0].operator"),
            ("tolerations: [{key: a, operator: Lt}]", "EV108", "spec.tolerations[0].operator"),
            ("tolerations: [{key: a, operator: Exists, value: b}]", "EV115", "spec.tolerations[0].value"),
            ("tolerations: [{key: a, effect: Never}]", "EV108", "spec.tolerations[0].effect"),
            ("tolerations: [{key: a, tolerationSeconds: 1}]", "EV115", "spec.tolerations[0].tolerationSeconds"),
            (
                "topologySpreadConstraints: [{topologyKey: a, whenUnsatisfiable: DoNotSchedule}]",
                "EV107",
                "spec.topology",
            ),
            (
                "topologySpreadConstraints: [{maxSkew: 0, topologyKey: a, whenUnsatisfiable: X}]",
                "EV110",
                "spec.topology",
            ),
            (
                "topologySpreadConstraints: [{maxSkew: 1, topologyKey: a, whenUnsatisfiable: ScheduleAnyway, minDomains: 1}]",
                "EV115",
                "spec.topologySpreadConstraints[0].minDomains",
            ),
        ],
    );
    accepts(
        POD,
        &[
            "tolerations: [{operator: Exists}, {key: a, value: b, effect: NoExecute, tolerationSeconds: -1}]",
            "topologySpreadConstraints: [{maxSkew: 1, topologyKey: a, whenUnsatisfiable: DoNotSchedule, minDomains: 1}]",
        ],
    );
}

#[test]
fn volumes_have_one_source_with_what_it_needs() {
    refuses(
        VOLUME,
        &[
            ("emptyDir: {}, secret: {secretName: a}", "EV115", "spec.volumes[0].secret"),
            ("emptyDir: {sizeLimit: -1}", "EV112", "spec.volumes[0].emptyDir.sizeLimit"),
            ("secret: {}", "EV107", "spec.volumes[0].secret: `secretName`"),
            ("configMap: {defaultMode: 420}", "EV107", "spec.volumes[0].configMap: `name`"),
            ("configMap: {name: a, defaultMode: 512}", "EV110", "spec.volumes[0].configMap.defaultMode"),
            ("configMap: {name: a, items: [{key: k, path: ../x}]}", "EV109", "spec.volumes[0].configMap.items[0].path"),
            ("hostPath: {}", "EV107", "spec.volumes[0].hostPath"),
            ("hostPath: {path: /a, type: X}", "EV108", "spec.volumes[0].hostPath.type"),
            ("nfs: {server: a, path: b}", "EV109", "spec.volumes[0].nfs.path"),
            ("persistentVolumeClaim: {}", "EV107", "spec.volumes[0].persistentVolumeClaim"),
            ("csi: {}", "EV107", "spec.volumes[0].csi"),
            ("iscsi: {targetPortal: a, iqn: b, lun: 0}", "EV109", "spec.volumes[0].iscsi.iqn"),
            ("downwardAPI: {items: [{path: a}]}", "EV107", "spec.volumes[0].downwardAPI.items[0]"),
            ("ephemeral: {}", "EV107", "spec.volumes[0].ephemeral"),
            (
                "ephemeral: {volumeClaimTemplate: {spec: {}}}",
                "EV107",
                "spec.volumes[0].ephemeral.volumeClaimTemplate.spec",
            ),
            ("image: {}", "EV107", "spec.volumes[0].image"),
            ("projected: {sources: [{secret: {}}]}", "EV107", "spec.volumes[0].projected.sources[0].secret"),
            (
                "projected: {sources: [{serviceAccountToken: {path: a, expirationSeconds: 60}}]}",
                "EV110",
                "spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds",
            ),
            ("projected: {sources: [{secret: {name: a}, configMap: {name: b}}]}", "EV115", "spec.volumes[0].projected"),
        ],
    );
    accepts(
        VOLUME,
        &[
            "",
            "emptyDir: null",
            "emptyDir: {medium: Memory, sizeLimit: 1Gi}",
            "iscsi: {targetPortal: a, iqn: 'iqn.2001-04.com.example:disk', lun: 0}",
            "downwardAPI: {items: [{path: a, fieldRef: {fieldPath: metadata.labels}}]}",
            "projected: {sources: [{serviceAccountToken: {path: a}}, {configMap: {name: b}}]}",
        ],
    );
    refuses(POD, &[("volumes: [{name: v}, {name: v}]", "EV113", "spec.volumes[1].name")]);
    refuses(POD, &[("volumes: [{emptyDir: {}}]", "EV107", "spec.volumes[0]: `name`")]);
}

#[test]
fn resources_of_a_pod_cover_those_of_its_containers() {
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {resources: {@}, containers: [{name: a, image: b, \
               resources: {requests: {cpu: 1}, limits: {cpu: 2}}}]}}";
    refuses(
        pod,
        &[
            ("requests: {cpu: 500m}", "EV112", "spec.resources.requests.cpu"),
            ("limits: {cpu: 1}", "EV112", "spec.containers[0].resources.limits.cpu"),
            ("requests: {example.com/a: 1}", "EV111", "spec.resources.requests"),
            ("claims: [{name: a}]", "EV115", "spec.resources.claims"),
        ],
    );
    accepts(pod, &["requests: {cpu: 1}, limits: {cpu: 2, memory: 1Gi}"]);
}

#[test]
fn annotations_of_pods_are_checked() {
    let pod =
        "{apiVersion: v1, kind: Pod, metadata: {name: a, annotations: {@}}, spec: {containers: [{name: a, image: b}]}}";
    refuses(
        pod,
        &[
            ("controller.kubernetes.io/pod-deletion-cost: high", "EV109", "metadata.annotations"),
            ("container.apparmor.security.beta.kubernetes.io/b: unconfined", "EV117", "metadata.annotations"),
            ("container.apparmor.security.beta.kubernetes.io/a: x", "EV109", "metadata.annotations"),
        ],
    );
    accepts(pod, &["controller.kubernetes.io/pod-deletion-cost: '-10'"]);
    accepts(pod, &["container.apparmor.security.beta.kubernetes.io/a: runtime/default"]);
}

#[test]
fn templates_in_custom_resources_can_be_checked_apart() {
    let text = "{kind: PyTorchJob, spec: {template: {metadata: {labels: {a: -b}}, spec: {containers: [{name: a}]}}}}";
    let root = crate::yaml::parse(text).documents.remove(0).root;
    let source = crate::diagnostic::Source::new("a.yaml", text);
    let mut findings = crate::lint::findings::Findings::new(&source, &root);
    let template = root.at(&["spec", "template"]).expect("a template");
    let spec = template.get("spec").expect("a spec");
    super::super::check_pod_template_spec(template.get("metadata"), spec, &mut findings);
    let codes: Vec<_> = findings.diagnostics.iter().filter_map(|diagnostic| diagnostic.code).collect();
    assert_eq!(codes, ["EV111", "EV107"]);
    assert_eq!(check("{apiVersion: kubeflow.org/v1, kind: PyTorchJob, metadata: {name: a}, spec: {}}"), []);
}
