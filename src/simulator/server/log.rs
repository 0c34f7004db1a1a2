//! `pods/NAME/log`.
//!
//! Source: `pkg/registry/core/pod/strategy.go` (`LogLocation`), `pkg/kubelet/kubelet_pods.go` (`validateContainerLogStatus`).

use axum::body::{Body, Bytes};
use axum::http::Response;
use futures::stream;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value as Json;

use super::read::absent;
use super::request::{Request, Target};
use super::{Server, answer};
use crate::simulator::store::{Line, LogReader, Status, text};

/// What of a log was asked for.
#[derive(Clone, Debug)]
struct Wanted {
    timestamps: bool,
    since: Option<Timestamp>,
    tail: Option<usize>,
    /// How many bytes may still be sent.
    left: Option<usize>,
}

impl Server {
    /// Answers a GET of a pod's log.
    ///
    /// # Errors
    /// 404 without the pod, 400 if the container has none (yet).
    pub fn log(&self, request: &Request, target: &Target) -> Result<Response<Body>, Status> {
        let pod = self.store.get(&target.key()).ok_or_else(|| absent(target))?;
        let name = target.key().name;
        let container = container_of(&pod, request.param("container"), &name)?;
        let previous = request.flag("previous");
        if text(&pod, "/spec/nodeName").is_empty() {
            // Without a node there is no kubelet to ask.
            return Ok(answer::plain(204, ""));
        }
        let restart = run_of(&pod, &container, previous, &name)?;
        let namespace = target.namespace.as_deref().unwrap_or_default();
        let reader = self.store.logs().read(namespace, &name, &container, restart).ok_or_else(|| absent(target))?;
        let wanted = Wanted::of(request)?;
        Ok(if request.flag("follow") && !previous { self.follow(reader, wanted) } else { whole(reader, wanted) })
    }

    fn follow(&self, reader: LogReader, wanted: Wanted) -> Response<Body> {
        let closing = self.closing.clone();
        let chunks = stream::unfold((reader, wanted, true), move |(mut reader, mut wanted, is_first)| {
            let closing = closing.clone();
            async move {
                loop {
                    let lines = tokio::select! {
                        lines = reader.next() => lines?,
                        () = closing.cancelled() => return None,
                    };
                    if !is_first {
                        wanted.tail = None;
                    }
                    if wanted.left == Some(0) {
                        return None;
                    }
                    let chunk = wanted.cut(&lines);
                    if !chunk.is_empty() {
                        return Some((Ok::<_, std::convert::Infallible>(chunk), (reader, wanted, false)));
                    }
                }
            }
        });
        answer::plain(200, Body::from_stream(chunks))
    }
}

fn whole(mut reader: LogReader, mut wanted: Wanted) -> Response<Body> {
    let lines = reader.lines();
    answer::plain(200, Body::from(wanted.cut(&lines)))
}

impl Wanted {
    fn of(request: &Request) -> Result<Self, Status> {
        let count = |name| request.number(name).map(|number| usize::try_from(number).unwrap_or(0));
        let since = match (request.number("sinceSeconds"), request.param("sinceTime")) {
            (Some(seconds), _) => Timestamp::now().saturating_sub(SignedDuration::from_secs(seconds)).ok(),
            (None, "") => None,
            (None, time) => {
                Some(time.parse().map_err(|_| Status::bad_request(format!("sinceTime: invalid time {time:?}")))?)
            }
        };
        Ok(Self { timestamps: request.flag("timestamps"), since, tail: count("tailLines"), left: count("limitBytes") })
    }

    /// The bytes of these lines that are wanted.
    fn cut(&mut self, lines: &[Line]) -> Bytes {
        let recent: Vec<_> = lines.iter().filter(|line| self.since.is_none_or(|since| line.at >= since)).collect();
        let skipped = self.tail.map_or(0, |tail| recent.len().saturating_sub(tail));
        let mut bytes = Vec::new();
        for line in &recent[skipped..] {
            if self.timestamps {
                bytes.extend_from_slice(format!("{:.9} ", line.at).as_bytes());
            }
            bytes.extend_from_slice(&line.text);
        }
        if let Some(left) = &mut self.left {
            bytes.truncate(*left);
            *left -= bytes.len();
        }
        bytes.into()
    }
}

/// The containers of a pod, by the fields of its spec and status.
const CONTAINERS: [(&str, &str); 3] = [
    ("containers", "containerStatuses"),
    ("initContainers", "initContainerStatuses"),
    ("ephemeralContainers", "ephemeralContainerStatuses"),
];

fn names<'a>(pod: &'a Json, field: &str) -> Vec<&'a str> {
    let list = pod["spec"][field].as_array();
    list.into_iter().flatten().map(|container| text(container, "/name")).collect()
}

/// The container whose log is meant: the one that was named, else the only one, else the default one.
fn container_of(pod: &Json, named: &str, name: &str) -> Result<String, Status> {
    let own = names(pod, "containers");
    let all: Vec<_> = CONTAINERS.iter().flat_map(|(field, _)| names(pod, field)).collect();
    if !named.is_empty() {
        let unknown = || Status::bad_request(format!("container {named} is not valid for pod {name}"));
        return all.contains(&named).then(|| named.to_owned()).ok_or_else(unknown);
    }
    let default = pod["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"].as_str();
    if let Some(default) = default.filter(|default| own.contains(default)) {
        return Ok(default.to_owned());
    }
    match own.as_slice() {
        [only] => Ok((*only).to_owned()),
        several => {
            let mut list =
                format!("a container name must be specified for pod {name}, choose one of: [{}]", several.join(" "));
            let inits = names(pod, "initContainers");
            if !inits.is_empty() {
                list.push_str(&format!(" or one of the init containers: [{}]", inits.join(" ")));
            }
            Err(Status::bad_request(list))
        }
    }
}

/// The run of a container whose log is meant, by the restarts before it.
fn run_of(pod: &Json, container: &str, previous: bool, name: &str) -> Result<u32, Status> {
    let statuses = CONTAINERS.iter().flat_map(|(_, field)| pod["status"][*field].as_array().into_iter().flatten());
    let status = statuses.into_iter().find(|status| text(status, "/name") == container).cloned().unwrap_or_default();
    let restarts = status["restartCount"].as_u64().and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
    let has = |pointer: &str| status.pointer(pointer).is_some_and(|state| !state.is_null());
    let has_run_before = has("/lastState/terminated");
    let refused = |why: &str| Status::bad_request(why);
    if previous {
        let absent = || refused(&format!("previous terminated container \"{container}\" in pod \"{name}\" not found"));
        // While it waits to be started again, the last run that ended is the one that the count of restarts tells.
        let back = u32::from(!has("/state/waiting"));
        return has_run_before.then(|| restarts.saturating_sub(back)).ok_or_else(absent);
    }
    if has("/state/running") || has("/state/terminated") || has_run_before {
        return Ok(restarts);
    }
    let reason = text(&status, "/state/waiting/reason");
    let waiting = format!("container \"{container}\" in pod \"{name}\" is waiting to start");
    Err(match reason {
        "" => refused(&format!("{waiting}: ContainerCreating")),
        "ErrImagePull" => refused(&format!("{waiting}: image can't be pulled")),
        "ImagePullBackOff" => refused(&format!("{waiting}: trying and failing to pull image")),
        other => refused(&format!("{waiting}: {other}")),
    })
}
