//! When an operator is ready: a pure function of what the watches show ([`missing`]), and what may make it so sooner or shows that
//! it really answers.

pub(super) mod probe;
pub(super) mod secrets;
mod webhooks;
mod workloads;
mod world;

pub(super) use world::World;

use serde_json::Value as Json;

use super::installed::Reference;

/// What has to be ready.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    /// The workloads that have to be available.
    pub workloads: Vec<Reference>,
    /// The webhook configurations whose servers have to be there.
    pub webhooks: Vec<Reference>,
    /// Whether every step is installed: nothing that its pods may lack comes later.
    pub installed: bool,
}

/// What is still missing, each in one line and with the object that is meant; nothing if the operator is ready.
pub(super) fn missing(world: &World, expected: &Expected) -> Vec<(Reference, String)> {
    let workloads = expected.workloads.iter().filter_map(|reference| {
        let why = workloads::missing(world.get(reference).map(|object| &**object))?;
        Some((reference.clone(), format!("{reference}{why}")))
    });
    let webhooks = expected.webhooks.iter().filter_map(|reference| {
        let why = match world.get(reference) {
            None => "is not there yet".to_owned(),
            Some(configuration) => webhooks::missing(configuration, world)?,
        };
        Some((reference.clone(), format!("{reference}: {why}")))
    });
    workloads.chain(webhooks).collect()
}

/// Whether every container of the expected workloads says itself when it is ready: without a readiness probe it is so as soon as it runs.
pub(super) fn is_probed(world: &World, expected: &Expected) -> bool {
    let pods = expected.workloads.iter().filter_map(|reference| world.get(reference)?.pointer("/spec/template/spec"));
    let mut containers = pods.flat_map(|pod| pod["containers"].as_array().into_iter().flatten());
    containers.all(|container: &Json| container["readinessProbe"].is_object())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::trial::Change;
    use crate::yaml::parse;

    /// A world of these objects, as YAML.
    pub fn world(text: &str) -> World {
        let mut world = World::default();
        for object in objects(text) {
            world.take(&Change::Seen(object.into()));
        }
        world
    }

    pub fn objects(text: &str) -> Vec<Json> {
        let parsed = parse(text);
        assert!(parsed.errors.is_empty(), "{:?}", parsed.errors);
        parsed.documents.iter().map(|document| document.root.to_json()).collect()
    }

    const OPERATOR: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: op, namespace: system, generation: 2}
spec: {replicas: 1}
status: {observedGeneration: 2, replicas: 1, updatedReplicas: 1, availableReplicas: 1, conditions: [{type: Available, status: 'True'}]}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: hooks}
webhooks:
- {name: a.op, clientConfig: {caBundle: QUJD, service: {name: op, namespace: system}}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: op-1, namespace: system, labels: {kubernetes.io/service-name: op}}
endpoints: [{addresses: [10.0.0.1], conditions: {ready: true}}]
";

    fn why(text: &str) -> Vec<String> {
        let reference = |api_version: &str, kind: &str, namespace: Option<&str>, name: &str| Reference {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        };
        let expected = Expected {
            workloads: vec![reference("apps/v1", "Deployment", Some("system"), "op")],
            webhooks: vec![reference(
                "admissionregistration.k8s.io/v1",
                "ValidatingWebhookConfiguration",
                None,
                "hooks",
            )],
            installed: true,
        };
        missing(&world(text), &expected).into_iter().map(|(_, why)| why).collect()
    }

    #[test]
    fn an_operator_is_ready_when_its_deployment_is_available_and_its_webhooks_have_servers() {
        assert_eq!(why(OPERATOR), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_there_is_named() {
        let found = why("kind: X");
        assert_eq!(
            found,
            ["Deployment system/op is not there yet", "ValidatingWebhookConfiguration hooks: is not there yet"]
        );
    }

    #[test]
    fn a_status_of_an_older_generation_says_nothing() {
        let found = why(&OPERATOR.replace("observedGeneration: 2", "observedGeneration: 1"));
        assert_eq!(found, ["Deployment system/op has not been looked at by its controller"]);
    }

    #[test]
    fn pods_of_the_version_before_do_not_count() {
        let found = why(&OPERATOR.replace("updatedReplicas: 1", "updatedReplicas: 0"));
        assert_eq!(found, ["Deployment system/op: 0 of 1 pods are of its newest version"]);
    }

    #[test]
    fn pods_that_are_about_to_be_replaced_are_waited_for() {
        let found = why(&OPERATOR.replace("replicas: 1, updatedReplicas", "replicas: 2, updatedReplicas"));
        assert_eq!(found, ["Deployment system/op: 1 pods of the version before are still there"]);
    }

    #[test]
    fn a_deployment_that_is_not_available_says_how_far_it_is() {
        let found = why(&OPERATOR.replace("status: 'True'", "status: 'False'").replace("availableReplicas: 1", "x: 1"));
        assert_eq!(found, ["Deployment system/op: 0 of 1 available"]);
    }

    #[test]
    fn a_webhook_without_ready_endpoints_or_certificate_is_not_ready() {
        let found = why(&OPERATOR.replace("ready: true", "ready: false"));
        assert_eq!(
            found,
            ["ValidatingWebhookConfiguration hooks: webhook a.op: Service system/op has no ready endpoints"]
        );
        for placeholder in ["''", "Cg=="] {
            let found = why(&OPERATOR.replace("QUJD", placeholder));
            assert_eq!(found, ["ValidatingWebhookConfiguration hooks: webhook a.op: no caBundle has been injected"]);
        }
    }

    #[test]
    fn a_webhook_that_may_be_passed_over_is_not_waited_for() {
        let ignored = OPERATOR
            .replace("{name: a.op,", "{name: a.op, failurePolicy: Ignore,")
            .replace("ready: true", "ready: false");
        assert_eq!(why(&ignored.replace("QUJD", "''")), Vec::<String>::new());
    }

    #[test]
    fn a_webhook_that_is_called_by_its_address_needs_no_service() {
        let found = why(&OPERATOR.replace("service: {name: op, namespace: system}", "url: 'https://x.test'"));
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn a_daemon_set_is_ready_when_every_node_that_it_wants_has_a_pod() {
        let set = "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: a, namespace: b, generation: 1}, \
                   status: {observedGeneration: 1, desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: @}}";
        let object = |available: &str| objects(&set.replace('@', available)).remove(0);
        assert_eq!(workloads::missing(Some(&object("2"))), None);
        assert_eq!(workloads::missing(Some(&object("1"))).as_deref(), Some(": 1 of 2 available"));
    }
}
