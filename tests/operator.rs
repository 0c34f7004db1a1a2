//! Operators, deployed onto a simulated cluster as a run deploys them.

#![expect(clippy::unwrap_used, reason = "what can't be set up is a failure of the test")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use example_validator::cluster::simulated;
use example_validator::config::{Graces, OperatorReady, OperatorStep};
use example_validator::evidence::{Evidence, Limits, Redactor};
use example_validator::image::replace::{Replacements, Target as Image};
use example_validator::model::{Cause, CauseClass};
use example_validator::operator::{Deployment, Helm, Operator, deploy};
use example_validator::simulator::Simulator;
use example_validator::simulator::store::Key;
use example_validator::trial::apply::Target;
use serde_json::Value as Json;
use tokio_util::sync::CancellationToken;

/// A small operator: its Deployment stands before its custom resource and its CRD, which is what kubectl would trip over.
const OPERATOR: &str = "
apiVersion: k.test/v1
kind: Widget
metadata: {name: first, namespace: system}
spec: {size: 1}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: op, namespace: system}
spec:
  replicas: 1
  selector: {matchLabels: {app: op}}
  template:
    metadata: {labels: {app: op}, annotations: {example-validator.dev/simulate: SCRIPT}}
    spec:
      containers: [{name: manager, image: 'example.test/op:v1'}]
      volumes: [{name: cert, secret: {secretName: cert}}]
---
apiVersion: v1
kind: Service
metadata: {name: op, namespace: system}
spec: {selector: {app: op}, ports: [{port: 443, targetPort: 9443}]}
---
apiVersion: v1
kind: Secret
metadata: {name: cert, namespace: system}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: op}
webhooks:
- name: v.k.test
  admissionReviewVersions: [v1]
  sideEffects: None
  clientConfig: {service: {name: op, namespace: system, path: /v}}
  rules: [{apiGroups: [k.test], apiVersions: [v1], operations: [CREATE], resources: [widgets]}]
---
apiVersion: v1
kind: Namespace
metadata: {name: system}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.k.test}
spec:
  group: k.test
  scope: Namespaced
  names: {kind: Widget, plural: widgets}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        required: [spec]
        properties: {spec: {type: object, required: [size], properties: {size: {type: integer}}}}
";

const WIDGET: &str = "
apiVersion: k.test/v1
kind: Widget
metadata: {name: first, namespace: system}
spec: {size: 1}
";

struct Scene {
    simulator: Simulator,
    target: Target,
    kubeconfig: PathBuf,
    helm: PathBuf,
    environment: Vec<(OsString, OsString)>,
    folder: tempfile::TempDir,
    evidence: Evidence,
    ready: OperatorReady,
    graces: Graces,
    built: Replacements,
    own_cluster: bool,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (simulator, cluster) = simulated::start("v1.34.0", &[], folder.path()).await.unwrap();
        let evidence = Evidence::new(&folder.path().join("evidence"), Limits::default(), Redactor::new());
        let ready = OperatorReady { timeout: Duration::from_secs(60), ..OperatorReady::default() };
        let (target, kubeconfig) = (Target::new(cluster.client), cluster.kubeconfig);
        let (helm, environment) = (PathBuf::from("helm"), std::env::vars_os().collect());
        let (graces, built) = (Graces::default(), Replacements::default());
        Self {
            simulator,
            target,
            kubeconfig,
            helm,
            environment,
            folder,
            evidence,
            ready,
            graces,
            built,
            own_cluster: true,
        }
    }

    fn manifests(&self, text: &str) -> OperatorStep {
        self.file("operator.yaml", text)
    }

    fn file(&self, name: &str, text: &str) -> OperatorStep {
        std::fs::write(self.folder.path().join(name), text).unwrap();
        OperatorStep::Manifests { paths: vec![PathBuf::from(name)], images: BTreeMap::new() }
    }

    fn helm(&self) -> Helm<'_> {
        Helm {
            program: &self.helm,
            kubeconfig: &self.kubeconfig,
            scratch: self.folder.path(),
            environment: &self.environment,
            renderer: Path::new(env!("CARGO_BIN_EXE_example-validator")),
        }
    }

    async fn deploy(&self, root: &Path, steps: &[OperatorStep]) -> Result<Operator, Box<Cause>> {
        let folder = self.evidence.other("operator");
        let deployment = Deployment {
            steps,
            ready: &self.ready,
            graces: &self.graces,
            root,
            built: &self.built,
            own_cluster: self.own_cluster,
            helm: self.helm(),
            folder: &folder,
        };
        deploy(&self.target, &deployment, &CancellationToken::new()).await
    }

    async fn deploy_text(&self, text: &str) -> Result<Operator, Box<Cause>> {
        let step = self.manifests(text);
        self.deploy(self.folder.path(), &[step]).await
    }

    async fn refused(&self, text: &str) -> Cause {
        match self.deploy_text(text).await {
            Ok(_) => panic!("the operator is ready"),
            Err(cause) => *cause,
        }
    }

    fn pods(&self) -> Vec<std::sync::Arc<Json>> {
        self.simulator.store().list("", "pods", Some("system")).0
    }

    /// What the evidence of the operator holds, by file.
    fn evidence(&self) -> BTreeMap<String, String> {
        fn walk(folder: &Path, root: &Path, found: &mut BTreeMap<String, String>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, root, found);
                } else {
                    let name = path.strip_prefix(root).unwrap().display().to_string();
                    found.insert(name, std::fs::read_to_string(&path).unwrap());
                }
            }
        }
        let root = self.folder.path().join("evidence/operator");
        let mut found = BTreeMap::new();
        walk(&root, &root, &mut found);
        found
    }
}

fn operator(script: &str) -> String {
    OPERATOR.replace("SCRIPT", script)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_depends_on_something_that_comes_later_is_installed_all_the_same() {
    let scene = Scene::new().await;
    let operator = scene.deploy_text(&operator("hang")).await.unwrap();
    let installed: Vec<_> = operator.installed().objects.iter().map(ToString::to_string).collect();
    assert_eq!(installed.len(), 7, "{installed:?}");
    assert_eq!(installed[..2], ["CustomResourceDefinition widgets.k.test", "Namespace system"]);
    assert_eq!(installed.last().unwrap(), "ValidatingWebhookConfiguration op");
    assert_eq!(operator.restarts().since(tokio::time::Instant::now()), None);
    operator.finish(Duration::from_secs(5)).await;
    assert!(scene.evidence().keys().any(|name| name.ends_with(".manager.log")), "{:?}", scene.evidence().keys());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_a_later_step_waits_for_the_webhook_of_an_earlier_one() {
    let scene = Scene::new().await;
    let (operator, widget) = (scene.manifests(&operator("hang")), WIDGET.replace("first", "second"));
    let steps = [operator, scene.file("widget.yaml", &widget)];
    let deployed = scene.deploy(scene.folder.path(), &steps).await.unwrap();
    assert_eq!(deployed.installed().objects.last().unwrap().to_string(), "Widget system/second");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_whose_secret_changed_after_its_start_is_synced_once() {
    let mut scene = Scene::new().await;
    scene.ready.timeout = Duration::from_secs(600);
    // Of an operator that is ready nothing is synced any more: another workload keeps this one from that.
    let slow = operator("hang")
        .split("---")
        .nth(1)
        .unwrap()
        .replace("name: op,", "name: slow,")
        .replace("hang", "never-ready");
    let text = format!("{}---{}", operator("hang"), slow.replace("app: op", "app: slow"));
    let synced =
        |pod: &Json| pod["metadata"]["annotations"]["example-validator.dev/synced"].as_str().map(str::to_owned);
    let mark = async {
        loop {
            let pods = scene.pods();
            if let Some(mark) = pods.iter().find_map(|pod| synced(pod)) {
                return mark;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let mark = tokio::select! {
        deployed = scene.deploy_text(&text) => panic!("{:?}", deployed.err()),
        mark = tokio::time::timeout(Duration::from_secs(300), mark) => mark.unwrap(),
    };
    let secret = scene.simulator.store().get(&Key::namespaced("", "secrets", "system", "cert")).unwrap();
    assert!(secret["data"].is_object(), "the operator has filled it");
    assert_eq!(mark, format!("cert.{}", secret["metadata"]["resourceVersion"].as_str().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_whose_webhook_gets_no_server_says_so_when_the_time_is_up() {
    let mut scene = Scene::new().await;
    scene.ready.timeout = Duration::from_secs(15);
    let cause = scene.refused(&operator("hang").replace("selector: {app: op}", "selector: {app: other}")).await;
    assert_eq!((cause.class, cause.reason.as_str()), (CauseClass::Operator, "OperatorNotReady"));
    assert_eq!(cause.object, "ValidatingWebhookConfiguration/op");
    let expected = "the operator is not ready after 15 s: ValidatingWebhookConfiguration op: webhook v.k.test: Service system/op has no ready endpoints";
    assert_eq!(cause.message, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_never_becomes_available_says_what_its_containers_lack() {
    let scene = Scene::new().await;
    let cause = scene.refused(&operator("never-ready")).await;
    assert_eq!((cause.class, cause.object.as_str()), (CauseClass::Operator, "Deployment/op"));
    for part in ["Deployment/op", "container `manager` of Pod/op-", "Readiness probe failed: simulated"] {
        assert!(cause.message.contains(part), "{part}: {}", cause.message);
    }
    let evidence = scene.evidence();
    assert!(evidence["events.json"].contains("Unhealthy"), "{:?}", evidence.keys());
    assert!(evidence.keys().any(|name| name.starts_with("objects/Pod-op-")), "{:?}", evidence.keys());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_crash_loops_is_told_long_before_its_time_is_up() {
    let mut scene = Scene::new().await;
    scene.ready.timeout = Duration::from_secs(600);
    let start = Instant::now();
    let cause = scene.refused(&operator("crash-loop")).await;
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    assert_eq!((cause.class, cause.reason.as_str()), (CauseClass::Operator, "OperatorNotReady"));
    assert!(cause.message.contains("manager") && cause.message.contains("restart"), "{}", cause.message);
    assert!(cause.object.starts_with("Pod/op-"), "{}", cause.object);
    let logs: Vec<_> = scene.evidence().into_iter().filter(|(name, _)| name.contains(".manager.")).collect();
    assert!(logs.iter().any(|(_, text)| text.contains("it crashes")), "{logs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_and_not_ours_is_not_touched_on_a_cluster_of_others() {
    let mut scene = Scene::new().await;
    scene.own_cluster = false;
    scene.deploy_text(&operator("hang")).await.unwrap();
    // It is ours now.
    scene.deploy_text(&operator("hang")).await.unwrap();
    let store = scene.simulator.store();
    let given_away = |object: &mut Json| object["metadata"]["managedFields"][0]["manager"] = "kubectl".into();
    let definition = Key::cluster("apiextensions.k8s.io", "customresourcedefinitions", "widgets.k.test");
    store.update(&definition, given_away).unwrap();
    scene.deploy_text(&operator("hang")).await.unwrap();
    store.update(&Key::namespaced("", "services", "system", "op"), given_away).unwrap();
    let cause = scene.refused(&operator("hang")).await;
    assert_eq!((cause.class, cause.reason.as_str()), (CauseClass::Operator, "NotOurs"));
    assert!(cause.message.contains("Service system/op") && cause.object == "Service/op", "{}", cause.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_may_exit_until_the_last_step_is_installed() {
    let mut scene = Scene::new().await;
    scene.ready.timeout = Duration::from_secs(20);
    let steps = [
        scene.manifests(&operator("crash-loop")),
        scene.file("late.yaml", &WIDGET.replace("kind: Widget", "kind: Gadget")),
    ];
    let cause = scene.deploy(scene.folder.path(), &steps).await.err().unwrap();
    assert_eq!(cause.reason, "NoKindMatch", "{}", cause.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_does_not_exist_is_told_with_its_name() {
    let mut scene = Scene::new().await;
    scene.graces.image_not_found = Duration::from_secs(1);
    let cause = scene.refused(&operator("image-absent")).await;
    assert!(cause.message.contains("example.test/op:v1"), "{}", cause.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_can_t_be_right_fails_at_once_with_its_place() {
    let scene = Scene::new().await;
    let start = Instant::now();
    let cause = scene.refused(&operator("hang").replace("replicas: 1", "replicaz: 1")).await;
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!((cause.class, cause.file.as_str(), cause.line), (CauseClass::Operator, "operator.yaml", 11));
    assert!(cause.message.contains("Deployment/op is refused"), "{}", cause.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_never_comes_is_named_when_the_time_is_up() {
    let mut scene = Scene::new().await;
    scene.ready.timeout = Duration::from_secs(10);
    let cause = scene.refused(&operator("hang").replace("kind: Widget\n", "kind: Gadget\n")).await;
    assert_eq!((cause.class, cause.reason.as_str()), (CauseClass::Operator, "NoKindMatch"));
    assert!(cause.message.contains("Gadget/first"), "{}", cause.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn built_images_take_the_place_of_what_an_override_leads_to() {
    let mut scene = Scene::new().await;
    scene.built.insert("example/op", Image { reference: "example/op:ev-1".to_owned(), loaded: true });
    let OperatorStep::Manifests { paths, .. } = scene.manifests(&operator("hang")) else { panic!("no manifests") };
    let images = BTreeMap::from([("example.test/op".to_owned(), "example/op".to_owned())]);
    scene.deploy(scene.folder.path(), &[OperatorStep::Manifests { paths, images }]).await.unwrap();
    let container = &scene.pods()[0]["spec"]["containers"][0];
    assert_eq!(
        (container["image"].as_str(), container["imagePullPolicy"].as_str()),
        (Some("example/op:ev-1"), Some("IfNotPresent"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_while_cells_run_is_told() {
    let scene = Scene::new().await;
    let operator = scene.deploy_text(&operator("hang")).await.unwrap();
    let (restarts, began) = (operator.restarts(), tokio::time::Instant::now());
    let pod = scene.pods()[0]["metadata"]["name"].as_str().unwrap().to_owned();
    let killed = scene.simulator.store().update(&Key::namespaced("", "pods", "system", &pod), |pod| {
        let status = &mut pod["status"]["containerStatuses"][0];
        status["restartCount"] = 1.into();
        status["lastState"] = serde_json::json!({"terminated": {"reason": "OOMKilled", "exitCode": 137}});
    });
    killed.unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while restarts.since(began).is_none() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let cause = restarts.since(began).unwrap();
    assert_eq!((cause.class, cause.reason.as_str()), (CauseClass::Operator, "OperatorRestarted"));
    assert!(cause.message.contains("container `manager`") && cause.message.contains("OOMKilled"), "{}", cause.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_deployment_ends_at_once() {
    let scene = Scene::new().await;
    let step = scene.manifests(&operator("never-ready"));
    let folder = scene.evidence.other("operator");
    let (ready, graces, built) = (&scene.ready, &scene.graces, &scene.built);
    let deployment = Deployment {
        steps: &[step],
        ready,
        graces,
        root: scene.folder.path(),
        built,
        own_cluster: true,
        helm: scene.helm(),
        folder: &folder,
    };
    let cancel = CancellationToken::new();
    let start = Instant::now();
    let (deployed, ()) = tokio::join!(deploy(&scene.target, &deployment, &cancel), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        cancel.cancel();
    });
    assert_eq!(deployed.err().unwrap().reason, "Cancelled");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

/// Kubeflow's Training Operator, as its project ships it; told where it is not there.
#[tokio::test(flavor = "multi_thread")]
async fn kubeflow_s_overlay_of_3_7_mb_goes_through() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("shared/kubeflow-v1"));
    let Some(root) = root.into_iter().find(|root| root.is_dir()) else {
        eprintln!("skipped: Kubeflow's manifests are not beside the repository");
        return;
    };
    let scene = Scene::new().await;
    let step = OperatorStep::Kustomize { path: "manifests/overlays/standalone".into(), images: BTreeMap::new() };
    let start = Instant::now();
    let operator = scene.deploy(&root, &[step]).await.unwrap();
    eprintln!("ready after {:?}", start.elapsed());
    assert_eq!(operator.installed().definitions().count(), 6);
    let workloads: Vec<_> = operator.installed().workloads().map(ToString::to_string).collect();
    assert_eq!(workloads, ["Deployment kubeflow/training-operator"]);
    assert_eq!(operator.installed().webhook_configurations().count(), 1);
}

/// Helm, where `.ci/helm` has put it; told where it is not there.
fn real_helm() -> Option<PathBuf> {
    let helm = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/helm");
    let found = helm.is_file().then_some(helm);
    if found.is_none() {
        eprintln!("skipped: there is no target/tools/helm (.ci/helm installs it)");
    }
    found
}

/// The same operator as a chart, with a CRD, a hook, and a chart beside it that it needs.
fn write_chart(root: &Path) {
    let write = |name: &str, text: &str| {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let documents: Vec<_> = OPERATOR.split("---\n").map(str::trim).collect();
    let of_kind = |kind: &str| *documents.iter().find(|text| text.contains(&format!("kind: {kind}\n"))).unwrap();
    let namespace = "{{ .Release.Namespace }}";
    let template = |kind: &str| {
        of_kind(kind)
            .replace("namespace: system", &format!("namespace: {namespace}"))
            .replace("SCRIPT", "{{ .Values.script }}")
    };
    let dependency = "dependencies: [{name: lib, version: 0.1.0, repository: 'file://../lib'}]\n";
    write("charts/op/Chart.yaml", &format!("apiVersion: v2\nname: op\nversion: 0.1.0\n{dependency}"));
    write("charts/op/values.yaml", "script: crash-loop\n");
    write("charts/op/crds/widgets.yaml", of_kind("CustomResourceDefinition"));
    for kind in ["Deployment", "Service", "Secret", "ValidatingWebhookConfiguration"] {
        write(&format!("charts/op/templates/{kind}.yaml"), &template(kind));
    }
    write("charts/lib/Chart.yaml", "apiVersion: v2\nname: lib\nversion: 0.1.0\n");
    write(
        "charts/lib/templates/config.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: lib}\ndata: {a: '{{ .Release.Name }}'}\n",
    );
    write("values.yaml", "script: hang\n");
}

fn chart(images: &[(&str, &str)]) -> OperatorStep {
    OperatorStep::Helm {
        chart: "charts/op".to_owned(),
        release: "op".to_owned(),
        namespace: "system".to_owned(),
        values: vec![PathBuf::from("values.yaml")],
        set: BTreeMap::from([("lib.note".to_owned(), "a,b".to_owned())]),
        images: images.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_helm_installs_a_chart_with_a_dependency_and_images_of_the_run() {
    let Some(helm) = real_helm() else { return };
    let mut scene = Scene::new().await;
    scene.helm = helm;
    scene.built.insert("example/op", Image { reference: "example/op:ev-1".to_owned(), loaded: true });
    write_chart(scene.folder.path());
    let steps = [chart(&[("example.test/op", "example/op")])];
    let operator = scene.deploy(scene.folder.path(), &steps).await.unwrap();
    let installed: Vec<_> = operator.installed().objects.iter().map(ToString::to_string).collect();
    for object in ["Deployment system/op", "ConfigMap system/lib", "ValidatingWebhookConfiguration op"] {
        assert!(installed.iter().any(|found| found == object), "{object}: {installed:?}");
    }
    let container = &scene.pods()[0]["spec"]["containers"][0];
    assert_eq!(
        (container["image"].as_str(), container["imagePullPolicy"].as_str()),
        (Some("example/op:ev-1"), Some("IfNotPresent"))
    );
    let widgets = scene.simulator.store().get(&Key::cluster(
        "apiextensions.k8s.io",
        "customresourcedefinitions",
        "widgets.k.test",
    ));
    assert!(widgets.is_some());
    // Once more, as on a cluster that is there.
    scene.deploy(scene.folder.path(), &[chart(&[])]).await.unwrap();
    assert!(!scene.folder.path().join("charts/op/charts").exists(), "the user's chart stays as it was");
    // On a cluster that is not the run's own, it would be somebody else's.
    scene.own_cluster = false;
    let cause = scene.deploy(scene.folder.path(), &[chart(&[])]).await.err().unwrap();
    assert_eq!((cause.class, cause.reason.as_str()), (CauseClass::Operator, "NotOurs"));
    let other = match chart(&[]) {
        OperatorStep::Helm { chart, values, set, images, .. } => {
            let (release, namespace) = ("lone".to_owned(), "lone".to_owned());
            OperatorStep::Helm { chart: chart.replace("op", "lib"), release, namespace, values, set, images }
        }
        other => other,
    };
    for _ in 0..2 {
        scene.deploy(scene.folder.path(), std::slice::from_ref(&other)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_that_helm_refuses_says_why() {
    let Some(helm) = real_helm() else { return };
    let mut scene = Scene::new().await;
    scene.helm = helm;
    write_chart(scene.folder.path());
    std::fs::write(scene.folder.path().join("charts/op/templates/broken.yaml"), "a: {{ .Values.x.y }}").unwrap();
    let cause = scene.deploy(scene.folder.path(), &[chart(&[])]).await.err().unwrap();
    assert_eq!(
        (cause.class, cause.reason.as_str(), cause.file.as_str()),
        (CauseClass::Operator, "HelmFailed", "charts/op")
    );
    assert!(cause.message.contains("broken.yaml"), "{}", cause.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_helm_is_told_so() {
    let mut scene = Scene::new().await;
    scene.helm = scene.folder.path().join("no-helm-here");
    let cause = scene.deploy(scene.folder.path(), &[chart(&[])]).await.err().unwrap();
    assert_eq!((cause.class, cause.reason.as_str()), (CauseClass::Cluster, "HelmMissing"));
}

/// Helm 3 in short: it renders nothing, calls its post-renderer, and fails twice with what may still come.
const HELM_3: &str = r#"#!/bin/sh
case "$1" in
version) echo v3.19.0 ;;
get) [ "$2" = manifest ] && cat "$SCRATCH/rendered"; exit 0 ;;
upgrade)
  echo x >> "$SCRATCH/tries"
  if [ "$(wc -l < "$SCRATCH/tries")" -lt 3 ]; then
    echo 'Error: failed calling webhook "v.k.test": connect: connection refused' >&2
    exit 1
  fi
  shift
  args=
  while [ $# -gt 0 ]; do
    case "$1" in
    --post-renderer) renderer=$2 ;;
    --post-renderer-args) args="$args $2" ;;
    esac
    shift
  done
  printf 'kind: Pod\napiVersion: v1\nmetadata: {name: a}\nspec: {containers: [{name: a, image: example.test/op:1}]}\n' | "$renderer" $args > "$SCRATCH/rendered"
  ;;
esac
"#;

#[tokio::test(flavor = "multi_thread")]
async fn helm_3_gets_a_program_to_render_with_and_is_asked_again_for_what_may_come() {
    let mut scene = Scene::new().await;
    scene.helm = scene.folder.path().join("helm3");
    let root = scene.folder.path().to_owned();
    // Another process writes it: a child of another test would inherit the open file, and then nobody can execute it (`ETXTBSY`).
    let write = "printf '%s' \"$1\" >\"$2\" && chmod 755 \"$2\"";
    let text = HELM_3.replace("$SCRATCH", &root.display().to_string());
    let status = std::process::Command::new("sh").args(["-c", write, "sh", &text]).arg(&scene.helm).status().unwrap();
    assert!(status.success());
    let operator = scene.deploy(&root, &[chart(&[("example.test/op", "example/op:ci")])]).await.unwrap();
    assert_eq!(operator.installed().objects[0].to_string(), "Pod system/a");
    assert_eq!(std::fs::read_to_string(root.join("tries")).unwrap().lines().count(), 3);
    let rendered = std::fs::read_to_string(root.join("rendered")).unwrap();
    assert!(rendered.contains("example/op:ci"), "{rendered}");
}
