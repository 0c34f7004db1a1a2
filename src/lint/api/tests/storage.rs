//! The rules for storage, configuration, quotas and services.

use super::{accepts, check, refuses};

const SERVICE: &str = "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {@}}";

#[test]
fn claims_have_modes_and_a_size() {
    let claim = "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: {@}}";
    let rest = "accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}";
    let with = |more: &str| format!("{rest}, {more}");
    refuses(
        claim,
        &[
            ("resources: {requests: {storage: 1Gi}}", "EV107", "spec: `accessModes`"),
            ("accessModes: [ReadWriteOnce]", "EV107", "spec"),
            (
                "accessModes: [ReadWriteOnce], resources: {requests: {storage: 0}}",
                "EV112",
                "spec.resources.requests.storage",
            ),
            ("accessModes: [X], resources: {requests: {storage: 1}}", "EV108", "spec.accessModes[0]"),
            (
                "accessModes: [ReadWriteOnce, ReadWriteOncePod], resources: {requests: {storage: 1}}",
                "EV115",
                "spec.accessModes",
            ),
            (&with("storageClassName: 'Your class'"), "EV111", "spec.storageClassName"),
            (&with("volumeMode: X"), "EV108", "spec.volumeMode"),
            (&with("dataSource: {kind: PersistentVolumeClaim}"), "EV107", "spec.dataSource"),
            (&with("dataSourceRef: {kind: X, name: a}"), "EV119", "spec.dataSourceRef"),
        ],
    );
    accepts(claim, &[rest, &with("storageClassName: ''"), &with("dataSource: {kind: X, name: a}")]);
}

#[test]
fn volumes_have_a_capacity_and_one_source() {
    let volume =
        "{apiVersion: v1, kind: PersistentVolume, metadata: {name: a}, spec: {accessModes: [ReadWriteOnce], @}}";
    refuses(
        volume,
        &[
            ("hostPath: {path: /a}", "EV107", "spec: `capacity`"),
            ("capacity: {storage: 0}, hostPath: {path: /a}", "EV112", "spec.capacity.storage"),
            ("capacity: {storage: 1, cpu: 1}, hostPath: {path: /a}", "EV108", "spec.capacity.cpu"),
            ("capacity: {storage: 1}", "EV107", "spec"),
            ("capacity: {storage: 1}, hostPath: {path: /a}, nfs: {server: a, path: /b}", "EV115", "spec.nfs"),
            ("capacity: {storage: 1}, local: {path: /a}", "EV107", "spec: `nodeAffinity`"),
            ("capacity: {storage: 1}, csi: {driver: a}", "EV107", "spec.csi: `volumeHandle`"),
            (
                "capacity: {storage: 1}, hostPath: {path: /a}, persistentVolumeReclaimPolicy: X",
                "EV108",
                "spec.persistent",
            ),
            (
                "capacity: {storage: 1}, hostPath: {path: /}, persistentVolumeReclaimPolicy: Recycle",
                "EV115",
                "spec.pers",
            ),
        ],
    );
    accepts(
        volume,
        &[
            "capacity: {storage: 1Gi}, hostPath: {path: /a}",
            "capacity: {storage: 1}, csi: {driver: A.b, volumeHandle: x}",
        ],
    );
}

#[test]
fn storage_classes_have_a_provisioner() {
    let class = "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: a}, @}";
    refuses(
        class,
        &[
            ("parameters: {a: b}", "EV107", "`provisioner`"),
            ("provisioner: 'a b'", "EV111", "provisioner"),
            ("provisioner: a, reclaimPolicy: Recycle", "EV108", "reclaimPolicy"),
            ("provisioner: a, volumeBindingMode: ''", "EV108", "volumeBindingMode"),
            (
                "provisioner: a, allowedTopologies: [{matchLabelExpressions: [{key: a}]}]",
                "EV107",
                "allowedTopologies[0]",
            ),
            (
                "provisioner: a, allowedTopologies: [{matchLabelExpressions: [{key: a, values: [b, c]}]}, \
                 {matchLabelExpressions: [{key: a, values: [c, b]}]}]",
                "EV113",
                "allowedTopologies[1]",
            ),
        ],
    );
    accepts(class, &["provisioner: kubernetes.io/no-provisioner, reclaimPolicy: '', volumeBindingMode: Immediate"]);
}

#[test]
fn config_maps_have_keys_and_a_bound() {
    let map = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, @}";
    refuses(map, &[("data: {'a b': c}", "EV109", "data"), ("data: {a: b}, binaryData: {a: aGk=}", "EV113", "data.a")]);
    accepts(map, &["", "data: {a.b: null}", "data: {a: b}, binaryData: {c: aGk=}"]);
    let large =
        format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: a}}, data: {{a: {}}}}}", "x".repeat(1 << 20 | 1));
    assert_eq!(check(&large)[0].code, Some("EV110"));
}

#[test]
fn secrets_hold_what_their_type_asks_for() {
    let secret = "{apiVersion: v1, kind: Secret, metadata: {name: a}, @}";
    refuses(
        secret,
        &[
            ("type: kubernetes.io/tls, data: {tls.crt: ''}", "EV107", "data"),
            ("type: kubernetes.io/basic-auth", "EV107", "a Secret"),
            ("type: kubernetes.io/ssh-auth, data: {ssh-privatekey: ''}", "EV107", "data.ssh-privatekey"),
            ("type: kubernetes.io/dockerconfigjson, stringData: {.dockerconfigjson: x}", "EV109", "stringData"),
            ("type: kubernetes.io/service-account-token", "EV107", "metadata"),
            ("stringData: {a/b: x}", "EV109", "stringData"),
        ],
    );
    accepts(
        secret,
        &[
            "type: kubernetes.io/tls, data: {tls.crt: ''}, stringData: {tls.key: ''}",
            "type: kubernetes.io/basic-auth, stringData: {password: x}",
            "type: kubernetes.io/dockerconfigjson, data: {.dockerconfigjson: e30=}",
            "type: example.com/mine",
        ],
    );
}

#[test]
fn services_have_ports_with_names() {
    refuses(
        SERVICE,
        &[
            ("selector: {a: b}", "EV107", "spec: `ports`"),
            ("ports: [{name: a}]", "EV107", "spec.ports[0]: `port`"),
            ("ports: [{port: 0}]", "EV110", "spec.ports[0].port"),
            ("ports: [{port: 1}, {port: 2}]", "EV107", "spec.ports[0]: `name`"),
            ("ports: [{port: 1, name: a}, {port: 1, name: b}]", "EV113", "spec.ports[1]"),
            ("ports: [{port: 1, name: a}, {port: 2, name: a}]", "EV113", "spec.ports[1].name"),
            ("ports: [{port: 1, targetPort: -1}]", "EV110", "spec.ports[0].targetPort"),
            ("ports: [{port: 1, targetPort: '80'}]", "EV109", "spec.ports[0].targetPort"),
            ("ports: [{port: 1, protocol: X}]", "EV108", "spec.ports[0].protocol"),
            ("ports: [{port: 1, appProtocol: ''}]", "EV111", "spec.ports[0].appProtocol"),
            ("ports: [{port: 1, nodePort: 30000}]", "EV115", "spec.ports[0].nodePort"),
            ("type: NodePort, ports: [{port: 1, nodePort: 80}]", "EV110", "spec.ports[0].nodePort"),
        ],
    );
    accepts(
        SERVICE,
        &[
            "clusterIP: None",
            "ports: [{port: 1, targetPort: ''}]",
            "type: NodePort, ports: [{port: 1, nodePort: 30080}]",
            "ports: [{port: 1, name: a}, {port: 1, name: b, protocol: UDP}]",
        ],
    );
}

#[test]
fn fields_of_services_fit_their_type() {
    refuses(
        SERVICE,
        &[
            ("type: Sometimes, ports: [{port: 1}]", "EV108", "spec.type"),
            ("type: ExternalName", "EV107", "spec: `externalName`"),
            ("type: ExternalName, externalName: a, clusterIP: None", "EV115", "spec.clusterIP"),
            ("type: NodePort, clusterIP: None, ports: [{port: 1}]", "EV119", "spec.clusterIP"),
            ("clusterIP: x, ports: [{port: 1}]", "EV109", "spec.clusterIP"),
            ("clusterIPs: [10.0.0.1], ports: [{port: 1}]", "EV119", "spec.clusterIPs[0]"),
            ("ipFamilies: [IPv5], ports: [{port: 1}]", "EV108", "spec.ipFamilies[0]"),
            ("ipFamilyPolicy: '', ports: [{port: 1}]", "EV108", "spec.ipFamilyPolicy"),
            ("sessionAffinity: X, ports: [{port: 1}]", "EV108", "spec.sessionAffinity"),
            (
                "sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 0}}, ports: [{port: 1}]",
                "EV110",
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
            ),
            ("externalIPs: [127.0.0.1], ports: [{port: 1}]", "EV119", "spec.externalIPs[0]"),
            ("externalTrafficPolicy: Local, ports: [{port: 1}]", "EV115", "spec.externalTrafficPolicy"),
            ("internalTrafficPolicy: X, ports: [{port: 1}]", "EV108", "spec.internalTrafficPolicy"),
            ("loadBalancerClass: a, ports: [{port: 1}]", "EV115", "spec.loadBalancerClass"),
            ("type: LoadBalancer, loadBalancerClass: '', ports: [{port: 1}]", "EV111", "spec.loadBalancerClass"),
            (
                "type: LoadBalancer, loadBalancerSourceRanges: [a], ports: [{port: 1}]",
                "EV109",
                "spec.loadBalancerSource",
            ),
            ("healthCheckNodePort: 30000, ports: [{port: 1}]", "EV115", "spec.healthCheckNodePort"),
        ],
    );
    accepts(
        SERVICE,
        &[
            "type: ExternalName, externalName: example.com.",
            "type: LoadBalancer, externalTrafficPolicy: Local, ports: [{port: 1}]",
            "sessionAffinity: ClientIP, ports: [{port: 1}]",
            "clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], ipFamilies: [IPv4], ports: [{port: 1}]",
        ],
    );
}

#[test]
fn quotas_and_limits_count_known_resources() {
    let quota = "{apiVersion: v1, kind: ResourceQuota, metadata: {name: a}, spec: {@}}";
    refuses(
        quota,
        &[
            ("hard: {gpu: 1}", "EV111", "spec.hard.gpu"),
            ("hard: {pods: -1}", "EV112", "spec.hard.pods"),
            ("hard: {pods: 500m}", "EV112", "spec.hard.pods"),
            ("scopes: [X]", "EV108", "spec.scopes[0]"),
            ("scopes: [BestEffort], hard: {cpu: 1}", "EV119", "spec.scopes[0]"),
            ("scopes: [BestEffort, NotBestEffort]", "EV115", "spec.scopes[1]"),
            (
                "scopeSelector: {matchExpressions: [{scopeName: PriorityClass, operator: In}]}",
                "EV107",
                "spec.scopeSelector",
            ),
        ],
    );
    accepts(quota, &["", "hard: {count/jobs.batch: 5, requests.nvidia.com/gpu: 1, pods: 2}", "hard: {limits.cpu: 1}"]);
    let limit = "{apiVersion: v1, kind: LimitRange, metadata: {name: a}, spec: {limits: [{@}]}}";
    refuses(
        limit,
        &[
            ("max: {cpu: 1}", "EV107", "spec.limits[0]: `type`"),
            ("type: X", "EV108", "spec.limits[0].type"),
            ("type: Container, max: {cpu: 1}, min: {cpu: 2}", "EV112", "spec.limits[0].min.cpu"),
            (
                "type: Container, default: {cpu: 1}, defaultRequest: {cpu: 2}",
                "EV112",
                "spec.limits[0].defaultRequest.cpu",
            ),
            ("type: Pod, default: {cpu: 1}", "EV115", "spec.limits[0].default"),
            ("type: Container, max: {disk: 1}", "EV111", "spec.limits[0].max.disk"),
            ("type: PersistentVolumeClaim, max: {cpu: 1}", "EV107", "spec.limits[0]"),
            ("type: Container, maxLimitRequestRatio: {cpu: 500m}", "EV112", "spec.limits[0].maxLimitRequestRatio.cpu"),
        ],
    );
    accepts(
        limit,
        &["type: Container, max: {cpu: 2}, min: {cpu: 1}", "type: PersistentVolumeClaim, max: {storage: 1Gi}"],
    );
}
