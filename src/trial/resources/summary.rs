//! What kubelets and metrics servers answer, as far as it is of interest here.
//!
//! Sources: `k8s.io/kubelet/pkg/apis/stats/v1alpha1` (the summary API), `k8s.io/metrics/pkg/apis/metrics/v1beta1`. Both tell times in
//! whole seconds. A kubelet repeats a container's last sample until it has a new one (every 10 to 15 seconds, where cAdvisor takes
//! them), and leaves `usageNanoCores` out before the second. A list that it does not fill may be `null`.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use crate::quantity::Quantity;

/// The containers of a pod, as an answer has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSamples {
    pub namespace: String,
    pub name: String,
    /// Empty where the source does not tell it.
    pub uid: String,
    /// By the name of the container.
    pub containers: Vec<(String, Sample)>,
}

/// What a container used, as it was told at one time. What was not told is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// When it was taken, by the node's clock.
    pub time: Option<Timestamp>,
    /// When the container's present run started.
    pub started: Option<Timestamp>,
    /// Nanocores, as an average over a time that the source chose.
    pub cpu: Option<u64>,
    /// Core-nanoseconds since it started.
    pub cpu_total: Option<u64>,
    /// Working set, in bytes.
    pub memory: Option<u64>,
}

impl Sample {
    /// Whether both CPU and memory were told.
    pub fn is_whole(&self) -> bool {
        (self.cpu.is_some() || self.cpu_total.is_some()) && self.memory.is_some()
    }
}

/// What a kubelet's summary says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KubeletSamples {
    /// Of the wanted namespaces.
    pub pods: Vec<PodSamples>,
    /// It names containers, if only of other namespaces.
    pub has_containers: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Summary<'a> {
    #[serde(borrow, default, deserialize_with = "or_nothing")]
    pods: Vec<Pod<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pod<'a> {
    #[serde(borrow)]
    pod_ref: PodRef<'a>,
    #[serde(borrow, default, deserialize_with = "or_nothing")]
    containers: Vec<Container<'a>>,
}

#[derive(Deserialize)]
struct PodRef<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    namespace: Cow<'a, str>,
    #[serde(borrow, default)]
    uid: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    start_time: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    cpu: Option<Cpu<'a>>,
    #[serde(borrow, default)]
    memory: Option<Memory<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cpu<'a> {
    #[serde(borrow, default)]
    time: Option<Cow<'a, str>>,
    #[serde(default)]
    usage_nano_cores: Option<u64>,
    #[serde(default)]
    usage_core_nano_seconds: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Memory<'a> {
    #[serde(borrow, default)]
    time: Option<Cow<'a, str>>,
    #[serde(default)]
    working_set_bytes: Option<u64>,
}

/// Go writes a list that was never filled as `null`, where the field is not left out when empty.
fn or_nothing<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(input: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(input)?.unwrap_or_default())
}

/// The samples in a kubelet's summary, of the namespaces that `wanted` takes.
///
/// # Errors
/// It is no summary: what is wrong with it.
pub fn of_kubelet(answer: &[u8], wanted: impl Fn(&str) -> bool) -> Result<KubeletSamples, String> {
    let summary: Summary<'_> = serde_json::from_slice(answer).map_err(|error| error.to_string())?;
    let has_containers = summary.pods.iter().any(|pod| !pod.containers.is_empty());
    let pods = summary.pods.into_iter().filter(|pod| wanted(&pod.pod_ref.namespace));
    let samples = pods.map(|pod| PodSamples {
        namespace: pod.pod_ref.namespace.into_owned(),
        name: pod.pod_ref.name.into_owned(),
        uid: pod.pod_ref.uid.into_owned(),
        containers: pod.containers.into_iter().map(named).collect(),
    });
    Ok(KubeletSamples { pods: samples.collect(), has_containers })
}

fn named(container: Container<'_>) -> (String, Sample) {
    let sample = sample(&container);
    (container.name.into_owned(), sample)
}

fn sample(container: &Container<'_>) -> Sample {
    let moment = |text: Option<&Cow<'_, str>>| text.and_then(|text| text.parse().ok());
    let (cpu, memory) = (container.cpu.as_ref(), container.memory.as_ref());
    let is_zero = |used: Option<u64>| used.is_none_or(|used| used == 0);
    let (total, held) =
        (cpu.and_then(|cpu| cpu.usage_core_nano_seconds), memory.and_then(|memory| memory.working_set_bytes));
    // What runs holds some memory and has used some CPU: before its first reading cAdvisor fills both in with 0.
    if is_zero(total) && is_zero(held) && is_zero(cpu.and_then(|cpu| cpu.usage_nano_cores)) {
        return Sample::default();
    }
    let time = cpu.and_then(|cpu| cpu.time.as_ref()).or_else(|| memory.and_then(|memory| memory.time.as_ref()));
    Sample {
        time: moment(time),
        started: moment(container.start_time.as_ref()),
        cpu: cpu.and_then(|cpu| cpu.usage_nano_cores),
        cpu_total: total,
        memory: held,
    }
}

#[derive(Deserialize)]
struct PodMetricsList<'a> {
    #[serde(borrow, default, deserialize_with = "or_nothing")]
    items: Vec<PodMetrics<'a>>,
}

#[derive(Deserialize)]
struct PodMetrics<'a> {
    #[serde(borrow)]
    metadata: PodRef<'a>,
    #[serde(borrow, default)]
    timestamp: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "or_nothing")]
    containers: Vec<Measured<'a>>,
}

#[derive(Deserialize)]
struct Measured<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "or_nothing")]
    usage: Usage<'a>,
}

#[derive(Default, Deserialize)]
struct Usage<'a> {
    #[serde(borrow, default)]
    cpu: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    memory: Option<Cow<'a, str>>,
}

/// The samples in a `PodMetricsList`, which knows neither uids nor counters.
///
/// # Errors
/// It is no such list: what is wrong with it.
pub fn of_metrics_server(answer: &[u8]) -> Result<Vec<PodSamples>, String> {
    let list: PodMetricsList<'_> = serde_json::from_slice(answer).map_err(|error| error.to_string())?;
    let amount = |text: Option<&Cow<'_, str>>| text.and_then(|text| Quantity::parse(text));
    let whole = |units: i64| u64::try_from(units).unwrap_or(0);
    let pods = list.items.into_iter().map(|pod| {
        let time = pod.timestamp.and_then(|time| time.parse().ok());
        let containers = pod.containers.into_iter().map(|container| {
            let sample = Sample {
                time,
                cpu: amount(container.usage.cpu.as_ref()).map(|cpu| whole(cpu.nano())),
                memory: amount(container.usage.memory.as_ref()).map(|memory| whole(memory.units())),
                ..Sample::default()
            };
            (container.name.into_owned(), sample)
        });
        PodSamples {
            namespace: pod.metadata.namespace.into_owned(),
            name: pod.metadata.name.into_owned(),
            uid: String::new(),
            containers: containers.collect(),
        }
    });
    Ok(pods.collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SUMMARY: &str = r#"{"node": {"nodeName": "n", "cpu": {"time": "2026-01-01T00:00:10Z", "usageNanoCores": 900}},
        "pods": [
          {"podRef": {"name": "a", "namespace": "ev-1", "uid": "u"}, "startTime": "2026-01-01T00:00:00Z",
           "containers": [
             {"name": "main", "startTime": "2026-01-01T00:00:01Z",
              "cpu": {"time": "2026-01-01T00:00:10Z", "usageNanoCores": 250000000, "usageCoreNanoSeconds": 2000000000, "psi": {"full": {"total": 0}}},
              "memory": {"time": "2026-01-01T00:00:10Z", "availableBytes": 1, "usageBytes": 9, "workingSetBytes": 8, "rssBytes": 7},
              "rootfs": {"time": "2026-01-01T00:00:10Z", "usedBytes": 5}, "userDefinedMetrics": null},
             {"name": "new", "startTime": "2026-01-01T00:00:10Z", "cpu": {"time": "2026-01-01T00:00:10Z", "usageCoreNanoSeconds": 1}, "memory": null},
             {"name": "silent", "startTime": null}],
           "volume": [{"name": "x", "usedBytes": 3}]},
          {"podRef": {"name": "b", "namespace": "kube-system", "uid": "v"}, "containers": [{"name": "x"}]}]}"#;

    #[test]
    fn of_a_summary_the_containers_of_the_wanted_namespaces_are_taken() {
        let KubeletSamples { pods, has_containers } =
            of_kubelet(SUMMARY.as_bytes(), |namespace| namespace == "ev-1").unwrap();
        assert!(has_containers);
        assert_eq!((pods.len(), pods[0].name.as_str(), pods[0].uid.as_str()), (1, "a", "u"));
        let at = |text: &str| Some(text.parse().unwrap());
        assert_eq!(
            pods[0].containers[0],
            (
                "main".to_owned(),
                Sample {
                    time: at("2026-01-01T00:00:10Z"),
                    started: at("2026-01-01T00:00:01Z"),
                    cpu: Some(250_000_000),
                    cpu_total: Some(2_000_000_000),
                    memory: Some(8),
                }
            )
        );
        let new = pods[0].containers[1].1;
        assert_eq!((new.cpu, new.cpu_total, new.memory), (None, Some(1), None));
        assert_eq!(pods[0].containers[2], ("silent".to_owned(), Sample::default()));
    }

    #[test]
    fn of_a_metrics_server_quantities_are_read() {
        let list = r#"{"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": [
            {"metadata": {"name": "a", "namespace": "ev-1", "creationTimestamp": "2026-01-01T00:00:20Z"}, "timestamp": "2026-01-01T00:00:10Z",
             "window": "15s", "containers": [{"name": "main", "usage": {"cpu": "12345678n", "memory": "64Mi"}}, {"name": "x", "usage": {"cpu": "-1", "memory": "?"}}]}]}"#;
        let pods = of_metrics_server(list.as_bytes()).unwrap();
        let main = pods[0].containers[0].1;
        assert_eq!((main.cpu, main.cpu_total, main.memory), (Some(12_345_678), None, Some(64 << 20)));
        let odd = pods[0].containers[1].1;
        assert_eq!((odd.cpu, odd.memory), (Some(0), None));
    }

    #[test]
    fn what_is_no_summary_says_so() {
        assert!(of_kubelet(b"404 page not found", |_| true).is_err());
        assert!(of_kubelet(br#"{"pods": [{"podRef": {}}]}"#, |_| true).unwrap_err().contains("name"));
        assert!(of_metrics_server(br#"{"items": {}}"#).is_err());
        assert_eq!(of_kubelet(b"{}", |_| true), Ok(KubeletSamples::default()));
    }

    #[test]
    fn a_list_that_go_never_filled_is_empty() {
        // A pod that has only its pause container yet, beside one that runs.
        let summary = SUMMARY.replacen(
            r#""pods": ["#,
            r#""pods": [{"podRef": {"name": "early", "namespace": "ev-1", "uid": "w"}, "containers": null}, "#,
            1,
        );
        let told = of_kubelet(summary.as_bytes(), |namespace| namespace == "ev-1").unwrap();
        assert_eq!(told.pods.iter().map(|pod| pod.containers.len()).collect::<Vec<_>>(), [0, 3]);
        assert_eq!(of_kubelet(br#"{"pods": null}"#, |_| true), Ok(KubeletSamples::default()));
        let bare = br#"{"pods": [{"podRef": {"name": "a", "namespace": "ev-1"}, "containers": null}]}"#;
        assert!(!of_kubelet(bare, |_| true).unwrap().has_containers);
        assert_eq!(of_metrics_server(br#"{"items": null}"#), Ok(Vec::new()));
        let list = br#"{"items": [{"metadata": {"name": "a", "namespace": "ev-1"}, "containers": null},
            {"metadata": {"name": "b", "namespace": "ev-1"}, "containers": [{"name": "x", "usage": null}]}]}"#;
        let pods = of_metrics_server(list).unwrap();
        assert_eq!((pods[0].containers.len(), pods[1].containers[0].1), (0, Sample::default()));
    }

    #[test]
    fn placeholders_of_zero_are_no_sample() {
        let told = |cpu: &str, memory: &str| {
            let summary = format!(
                r#"{{"pods": [{{"podRef": {{"name": "a", "namespace": "n"}}, "containers": [{{"name": "c", "startTime": "2026-01-01T00:00:00Z",
                    "cpu": {{"time": "2026-01-01T00:00:01Z", {cpu}}}, "memory": {{"time": "2026-01-01T00:00:01Z", "workingSetBytes": {memory}}}}}]}}]}}"#
            );
            of_kubelet(summary.as_bytes(), |_| true).unwrap().pods[0].containers[0].1
        };
        assert_eq!(told(r#""usageNanoCores": 0, "usageCoreNanoSeconds": 0"#, "0"), Sample::default());
        assert_eq!(told(r#""usageCoreNanoSeconds": 0"#, "4096").memory, Some(4096));
        assert_eq!(told(r#""usageNanoCores": 0, "usageCoreNanoSeconds": 5"#, "0").cpu_total, Some(5));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(cut in 0..SUMMARY.len(), byte in any::<u8>(), at in 0..SUMMARY.len()) {
            let mut bytes = SUMMARY.as_bytes()[..cut].to_vec();
            if let Some(found) = bytes.get_mut(at) {
                *found = byte;
            }
            let _ = of_kubelet(&bytes, |_| true);
            let _ = of_metrics_server(&bytes);
        }
    }
}
