//! The rules for containers.

use super::{accepts, refuses};

const CONTAINER: &str = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, image: b, @}], \
                         volumes: [{name: v}, {name: p, persistentVolumeClaim: {claimName: p}}], resourceClaims: [{name: \
                         gpu, resourceClaimName: g}]}}";
const LIST: &str = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {@}}";

#[test]
fn a_container_needs_a_name_and_an_image() {
    refuses(
        LIST,
        &[
            ("", "EV107", "spec: `containers`"),
            ("containers: []", "EV107", "spec.containers"),
            ("containers: [{image: b}]", "EV107", "spec.containers[0]: `name`"),
            ("containers: [{name: a}]", "EV107", "spec.containers[0]: `image`"),
            ("containers: [null]", "EV107", "spec.containers[0]"),
            ("containers: [{name: A, image: b}]", "EV111", "spec.containers[0].name"),
            ("containers: [{name: a, image: ' b'}]", "EV109", "spec.containers[0].image"),
            ("containers: [{name: a, image: b}, {name: a, image: b}]", "EV113", "spec.containers[1].name"),
            (
                "containers: [{name: a, image: b}], initContainers: [{name: a, image: b}]",
                "EV113",
                "spec.initContainers[0]",
            ),
        ],
    );
    accepts(LIST, &["containers: [{name: a, image: b}, {name: c, image: b}], initContainers: [{name: d, image: b}]"]);
}

#[test]
fn policies_of_containers_are_among_the_known() {
    refuses(
        CONTAINER,
        &[
            ("imagePullPolicy: Sometimes", "EV108", "spec.containers[0].imagePullPolicy"),
            ("terminationMessagePolicy: X", "EV108", "spec.containers[0].terminationMessagePolicy"),
            ("restartPolicy: X", "EV108", "spec.containers[0].restartPolicy"),
            (
                "restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [1]}}]",
                "EV107",
                "spec.containers[0]",
            ),
            (
                "resizePolicy: [{resourceName: disk, restartPolicy: NotRequired}]",
                "EV108",
                "spec.containers[0].resizePolicy[0]",
            ),
            ("resizePolicy: [{resourceName: cpu}]", "EV107", "spec.containers[0].resizePolicy[0]: `restartPolicy`"),
        ],
    );
    accepts(CONTAINER, &["imagePullPolicy: ''", "imagePullPolicy: Never", "restartPolicy: Always"]);
}

#[test]
fn ports_are_in_range_and_unique() {
    refuses(
        CONTAINER,
        &[
            ("ports: [{name: a}]", "EV107", "spec.containers[0].ports[0]: `containerPort`"),
            ("ports: [{containerPort: 0}]", "EV107", "spec.containers[0].ports[0].containerPort"),
            ("ports: [{containerPort: 70000}]", "EV110", "spec.containers[0].ports[0].containerPort"),
            ("ports: [{containerPort: 1, hostPort: -1}]", "EV110", "spec.containers[0].ports[0].hostPort"),
            ("ports: [{containerPort: 1, protocol: X}]", "EV108", "spec.containers[0].ports[0].protocol"),
            ("ports: [{containerPort: 1, name: '80'}]", "EV109", "spec.containers[0].ports[0].name"),
            (
                "ports: [{containerPort: 1, name: a}, {containerPort: 2, name: a}]",
                "EV113",
                "spec.containers[0].ports[1].name",
            ),
            (
                "ports: [{containerPort: 1, hostPort: 9}, {containerPort: 2, hostPort: 9}]",
                "EV113",
                "spec.containers[0].ports[1]",
            ),
        ],
    );
    accepts(CONTAINER, &["ports: [{containerPort: 1}, {containerPort: 1, protocol: UDP, hostPort: 0}]"]);
}

#[test]
fn environment_variables_have_one_source() {
    refuses(
        CONTAINER,
        &[
            ("env: [{value: x}]", "EV107", "spec.containers[0].env[0]: `name`"),
            ("env: [{name: a=b}]", "EV109", "spec.containers[0].env[0].name"),
            ("env: [{name: a, valueFrom: {}}]", "EV107", "spec.containers[0].env[0].valueFrom"),
            (
                "env: [{name: a, value: x, valueFrom: {secretKeyRef: {name: s, key: k}}}]",
                "EV115",
                "spec.containers[0].env[0]",
            ),
            ("env: [{name: a, valueFrom: {secretKeyRef: {key: k}}}]", "EV107", "spec.containers[0].env[0].valueFrom"),
            (
                "env: [{name: a, valueFrom: {configMapKeyRef: {name: s, key: 'a b'}}}]",
                "EV109",
                "spec.containers[0].env[0]",
            ),
            (
                "env: [{name: a, valueFrom: {fieldRef: {fieldPath: spec.x}}}]",
                "EV108",
                "spec.containers[0].env[0].valueFrom",
            ),
            ("env: [{name: a, valueFrom: {fieldRef: {}}}]", "EV107", "spec.containers[0].env[0].valueFrom.fieldRef"),
            (
                "env: [{name: a, valueFrom: {resourceFieldRef: {resource: limits.gpu}}}]",
                "EV108",
                "spec.containers[0].env[0]",
            ),
            (
                "env: [{name: a, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 2}}}]",
                "EV112",
                "spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor",
            ),
            ("envFrom: [{prefix: A}]", "EV107", "spec.containers[0].envFrom[0]"),
            ("envFrom: [{secretRef: {}}]", "EV107", "spec.containers[0].envFrom[0].secretRef"),
        ],
    );
    accepts(
        CONTAINER,
        &[
            "env: [{name: 'a b', value: x}, {name: a}, {name: a}]",
            "env: [{name: a, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['x/y']\"}}}]",
            "env: [{name: a, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}]",
            "envFrom: [{configMapRef: {name: a}, prefix: A_}]",
        ],
    );
}

#[test]
fn mounts_need_a_volume_and_a_path_of_their_own() {
    refuses(
        CONTAINER,
        &[
            ("volumeMounts: [{name: other, mountPath: /a}]", "EV117", "spec.containers[0].volumeMounts[0].name"),
            ("volumeMounts: [{mountPath: /a}]", "EV107", "spec.containers[0].volumeMounts[0]: `name`"),
            ("volumeMounts: [{name: v}]", "EV107", "spec.containers[0].volumeMounts[0]: `mountPath`"),
            (
                "volumeMounts: [{name: v, mountPath: /a}, {name: p, mountPath: /a}]",
                "EV113",
                "spec.containers[0].volumeMounts[1]",
            ),
            (
                "volumeMounts: [{name: v, mountPath: /a, subPath: ../b}]",
                "EV109",
                "spec.containers[0].volumeMounts[0].subPath",
            ),
            (
                "volumeMounts: [{name: v, mountPath: /a, subPath: b, subPathExpr: c}]",
                "EV115",
                "spec.containers[0].volumeMounts",
            ),
            (
                "volumeMounts: [{name: v, mountPath: /a, mountPropagation: Up}]",
                "EV108",
                "spec.containers[0].volumeMounts[0]",
            ),
            (
                "volumeMounts: [{name: v, mountPath: /a, mountPropagation: Bidirectional}]",
                "EV115",
                "spec.containers[0].volumeMounts[0].mountPropagation",
            ),
            (
                "volumeMounts: [{name: v, mountPath: /a, recursiveReadOnly: Enabled}]",
                "EV107",
                "spec.containers[0].volumeMounts[0]: `readOnly`",
            ),
            ("volumeDevices: [{name: v, devicePath: /dev/a}]", "EV119", "spec.containers[0].volumeDevices[0].name"),
            ("volumeDevices: [{name: p}]", "EV107", "spec.containers[0].volumeDevices[0]: `devicePath`"),
        ],
    );
    accepts(CONTAINER, &["volumeMounts: [{name: v, mountPath: /a}, {name: v, mountPath: /b, subPath: c/d}]"]);
    accepts(CONTAINER, &["volumeDevices: [{name: p, devicePath: /dev/a}]"]);
}

#[test]
fn resources_have_known_names_and_sound_amounts() {
    refuses(
        CONTAINER,
        &[
            ("resources: {requests: {meomry: 1Gi}}", "EV111", "spec.containers[0].resources.requests.meomry"),
            ("resources: {requests: {cpu: -1}}", "EV112", "spec.containers[0].resources.requests.cpu"),
            ("resources: {requests: {cpu: 2}, limits: {cpu: 1}}", "EV112", "spec.containers[0].resources.requests.cpu"),
            (
                "resources: {limits: {nvidia.com/gpu: 500m}}",
                "EV112",
                "spec.containers[0].resources.limits[nvidia.com/gpu]",
            ),
            (
                "resources: {requests: {nvidia.com/gpu: 1}}",
                "EV107",
                "spec.containers[0].resources.requests[nvidia.com/gpu]",
            ),
            (
                "resources: {requests: {nvidia.com/gpu: 1}, limits: {nvidia.com/gpu: 2}}",
                "EV112",
                "spec.containers[0].resources.requests[nvidia.com/gpu]",
            ),
            ("resources: {limits: {hugepages-2Mi: 4Mi}}", "EV115", "spec.containers[0].resources.limits.hugepages-2Mi"),
            (
                "resources: {limits: {hugepages-2Mi: 3Mi, cpu: 1}}",
                "EV112",
                "spec.containers[0].resources.limits.hugepages-2Mi",
            ),
            ("resources: {claims: [{name: other}]}", "EV117", "spec.containers[0].resources.claims[0]"),
        ],
    );
    accepts(
        CONTAINER,
        &[
            "resources: {requests: {cpu: 500m, memory: 1Gi}, limits: {cpu: 1, nvidia.com/gpu: 1}}",
            "resources: {limits: {hugepages-2Mi: 4Mi, memory: 1Gi}}",
            "resources: {claims: [{name: gpu}]}",
            "resources: {requests: {cpu: null}}",
        ],
    );
}

#[test]
fn probes_and_hooks_have_one_handler() {
    refuses(
        CONTAINER,
        &[
            ("livenessProbe: {}", "EV107", "spec.containers[0].livenessProbe"),
            ("livenessProbe: {exec: {}}", "EV107", "spec.containers[0].livenessProbe.exec"),
            (
                "livenessProbe: {exec: {command: [a]}, grpc: {port: 1}}",
                "EV115",
                "spec.containers[0].livenessProbe.grpc",
            ),
            ("livenessProbe: {tcpSocket: {port: 0}}", "EV110", "spec.containers[0].livenessProbe.tcpSocket.port"),
            ("livenessProbe: {tcpSocket: {}}", "EV107", "spec.containers[0].livenessProbe.tcpSocket"),
            (
                "livenessProbe: {httpGet: {port: http, scheme: FTP}}",
                "EV108",
                "spec.containers[0].livenessProbe.httpGet.scheme",
            ),
            (
                "livenessProbe: {httpGet: {port: 1, httpHeaders: [{name: 'a b'}]}}",
                "EV109",
                "spec.containers[0].livenessProbe",
            ),
            (
                "livenessProbe: {grpc: {port: 1}, successThreshold: 2}",
                "EV110",
                "spec.containers[0].livenessProbe.success",
            ),
            (
                "readinessProbe: {grpc: {port: 1}, periodSeconds: -1}",
                "EV110",
                "spec.containers[0].readinessProbe.period",
            ),
            (
                "readinessProbe: {grpc: {port: 1}, terminationGracePeriodSeconds: 5}",
                "EV115",
                "spec.containers[0].readinessProbe.terminationGracePeriodSeconds",
            ),
            ("lifecycle: {preStop: {}}", "EV107", "spec.containers[0].lifecycle.preStop"),
            (
                "lifecycle: {preStop: {sleep: {seconds: 31}}}",
                "EV110",
                "spec.containers[0].lifecycle.preStop.sleep.seconds",
            ),
        ],
    );
    accepts(
        CONTAINER,
        &[
            "readinessProbe: {httpGet: {port: http}, successThreshold: 2, timeoutSeconds: 0}",
            "lifecycle: {preStop: {sleep: {seconds: 30}}, postStart: {exec: {command: [a]}}}",
            "livenessProbe: null",
        ],
    );
}

#[test]
fn a_signal_to_stop_is_one_of_the_named_operating_system() {
    let on = |os: &str| {
        let container = "{name: a, image: b, lifecycle: {stopSignal: @}}";
        LIST.replace('@', &format!("{os} containers: [{container}]"))
    };
    let path = "spec.containers[0].lifecycle.stopSignal";
    refuses(&on(""), &[("SIGTERM", "EV115", path)]);
    refuses(&on("os: {name: windows},"), &[("SIGHUP", "EV108", path)]);
    refuses(
        &on("os: {name: linux},"),
        &[("TERM", "EV108", path), ("SIGRTMIN+16", "EV108", path), ("SIGRTMAX-014", "EV108", path)],
    );
    accepts(&on("os: {name: linux},"), &["SIGHUP", "SIGRTMIN+15", "SIGRTMAX-1"]);
    accepts(&on("os: {name: windows},"), &["SIGKILL"]);
}

#[test]
fn only_sidecars_among_init_containers_have_probes() {
    let init =
        "containers: [{name: a, image: b}], initContainers: [{name: c, image: d, readinessProbe: {grpc: {port: 1}}@}]";
    let manifest = LIST.replace('@', init);
    refuses(&manifest, &[("", "EV115", "spec.initContainers[0].readinessProbe")]);
    accepts(&manifest, &[", restartPolicy: Always"]);
}

#[test]
fn security_contexts_are_consistent() {
    refuses(
        CONTAINER,
        &[
            ("securityContext: {runAsUser: -1}", "EV110", "spec.containers[0].securityContext.runAsUser"),
            ("securityContext: {procMount: X}", "EV108", "spec.containers[0].securityContext.procMount"),
            ("securityContext: {procMount: Unmasked}", "EV115", "spec.containers[0].securityContext.procMount"),
            (
                "securityContext: {privileged: true, allowPrivilegeEscalation: false}",
                "EV115",
                "spec.containers[0].securityContext.allowPrivilegeEscalation",
            ),
            ("securityContext: {seccompProfile: {}}", "EV107", "spec.containers[0].securityContext.seccompProfile"),
            ("securityContext: {seccompProfile: {type: Localhost}}", "EV107", "spec.containers[0].securityContext"),
            (
                "securityContext: {appArmorProfile: {type: X}}",
                "EV108",
                "spec.containers[0].securityContext.appArmorProfile",
            ),
            (
                "securityContext: {windowsOptions: {runAsUserName: 'a\\b\\c'}}",
                "EV109",
                "spec.containers[0].securityContext",
            ),
        ],
    );
    accepts(
        CONTAINER,
        &[
            "securityContext: {runAsUser: 0, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}",
            "securityContext: {seccompProfile: {type: Localhost, localhostProfile: a/b.json}}",
            "securityContext: {windowsOptions: {runAsUserName: 'NT AUTHORITY\\SYSTEM'}}",
        ],
    );
}
