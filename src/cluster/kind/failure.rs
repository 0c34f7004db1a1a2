//! What kind says when it fails, and what that means. Pure.

use std::sync::LazyLock;

use regex::Regex;

use crate::model::{Cause, CauseClass};

/// The reason of a cluster whose name is taken: it is not ours.
pub(super) const EXISTS: &str = "ClusterExists";

/// A failure that is known by its text.
struct Known {
    /// In what kind wrote; its first group, where there is one, stands for `$1` in the message and the hint.
    text: &'static str,
    reason: &'static str,
    /// Empty: the line itself.
    message: &'static str,
    hint: &'static str,
    /// Whether a second try may end otherwise.
    again: bool,
}

/// In the order in which they are looked for: what is said in passing stands behind what decides.
const KNOWN: &[Known] = &[
    Known {
        text: r#"exec: "docker": executable file not found in \$PATH"#,
        reason: "DockerNotFound",
        message: "kind finds no `docker` on the PATH",
        hint: "install Docker, or judge the examples on a cluster that is there (`--cluster existing`)",
        again: false,
    },
    Known {
        text: r"permission denied while trying to connect to the (?:Docker|docker)",
        reason: "DockerDenied",
        message: "this user may not talk to the Docker engine",
        hint: "add the user to the group `docker`, or mount a socket that it may use",
        again: false,
    },
    Known {
        text: r"[Cc]annot connect to the Docker daemon at ([^\s]+?)\.? |[Ff]ailed to get docker info",
        reason: "DockerUnavailable",
        message: "no Docker engine answers",
        hint: "is the Docker engine running, and is its socket mounted where this runs in a container?",
        again: false,
    },
    Known {
        text: r"'([^']*)' is not a valid cluster name",
        reason: "BadName",
        message: "`$1` is no name for a kind cluster",
        hint: "this is a mistake of example-validator: please report it",
        again: false,
    },
    Known {
        text: r#"node\(s\) already exist for a cluster with the name "([^"]*)""#,
        reason: EXISTS,
        message: "a kind cluster named `$1` is there already",
        hint: "another run of the same id uses it, or a killed run left it: `example-validator clean` deletes it",
        again: false,
    },
    Known {
        text: r"(?s)unable to decode config: (?:yaml: unmarshal errors:\s*)?([^\n]+)|invalid configuration: ([^\n]+)",
        reason: "BadKindConfig",
        message: "kind refuses its config: $1$2",
        hint: "correct the file that `kind.config` names",
        again: false,
    },
    Known {
        text: r"(?:no space left on device)",
        reason: "DiskFull",
        message: "the disk of the Docker engine is full",
        hint: "a cluster needs about 1.5 GB, and its images: free some with `docker system prune`",
        again: false,
    },
    Known {
        text: r"toomanyrequests|429 Too Many Requests",
        reason: "NodeImageRateLimited",
        message: "the registry of the node image answers that there were too many requests",
        hint: "log in to the registry (`docker login`), or name a node image of another registry or mirror",
        again: true,
    },
    Known {
        text: r#"(?s)failed to pull image "([^"]+)".*(?:manifest unknown|not found: manifest|manifest for \S+ not found|pull access denied|repository does not exist|failed to resolve reference \S+ not found)"#,
        reason: "NodeImageNotFound",
        message: "there is no node image `$1`",
        hint: "name a version of Kubernetes that kind has an image of, or an image that can be pulled",
        again: false,
    },
    Known {
        text: r#"failed to pull image "([^"]+)""#,
        reason: "NodeImagePull",
        message: "the node image `$1` could not be pulled",
        hint: "does it exist, and can the Docker engine reach its registry?",
        again: true,
    },
    Known {
        text: "no command specified",
        reason: "NotANodeImage",
        message: "what should be the node image has nothing to start",
        hint: "name a node image of kind (`kindest/node`), or one that was built like it",
        again: false,
    },
    Known {
        text: "could not find a log line that matches|could not find a line that matches",
        reason: "NodeDidNotStart",
        message: "a node did not start within kind's 30 s",
        hint: "is it a node image of kind (`kindest/node`), and is the machine not overloaded?",
        again: true,
    },
    Known {
        text: r"Bind for (\S+) failed: port is already allocated|listen tcp\d? (\S+): bind: address already in use",
        reason: "PortTaken",
        message: "the port $1$2 of the machine is taken",
        hint: "free it, or leave `hostPort` and `apiServerPort` out of kind's config; with them no two clusters can run at once",
        again: true,
    },
    Known {
        text: "unable to apply caps: operation not permitted",
        reason: "NotPrivileged",
        message: "the Docker engine can't start privileged containers here, which every node is",
        hint: "use a newer Docker (26.1 is known to work), or a machine that allows privileged containers",
        again: false,
    },
    Known {
        text: "failed to lock config file: open ([^:]+): file exists",
        reason: "StaleLock",
        message: "the lock `$1` was left behind",
        hint: "delete that file",
        again: true,
    },
    Known {
        text: "failed to init node with kubeadm",
        reason: "KubeadmFailed",
        message: "kubeadm could not start the control plane",
        hint: "the cluster's logs are in the evidence: see kubelet.log",
        again: true,
    },
    Known {
        text: "failed to join node with kubeadm",
        reason: "KubeadmFailed",
        message: "kubeadm could not join a node",
        hint: "the cluster's logs are in the evidence: see kubelet.log",
        again: true,
    },
    Known {
        text: "could not locate any control plane nodes for cluster named '([^']*)'|unknown cluster \"([^\"]*)\"|no nodes found for cluster \"([^\"]*)\"",
        reason: "ClusterGone",
        message: "the cluster `$1$2$3` is not there any more",
        hint: "something else deleted it: does another job use the same Docker engine?",
        again: true,
    },
];

/// What the kubelet says when it can't run, and what to do about it.
const KUBELET: &[(&str, &str)] = &[
    (
        "cgroup v1",
        "Kubernetes 1.35 and later want a machine with cgroup v2; or set `failCgroupV1: false` for the kubelet in `kind.config`",
    ),
    ("too many open files", "raise the limit: `sudo sysctl fs.inotify.max_user_instances=512`"),
    ("inotify", "raise the limit: `sudo sysctl fs.inotify.max_user_instances=512`"),
    ("swap", "turn swap off, or set `failSwapOn: false` for the kubelet in `kind.config`"),
    ("no space left", "the disk of the Docker engine is full: free some with `docker system prune`"),
];

/// A failed create.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) cause: Cause,
    /// Whether a second try may end otherwise.
    pub(super) again: bool,
}

/// What it means that kind failed with these words.
pub(super) fn judge(said: &str) -> Judged {
    static TABLE: LazyLock<Vec<(Regex, &Known)>> =
        LazyLock::new(|| KNOWN.iter().filter_map(|known| Some((Regex::new(known.text).ok()?, known))).collect());
    let Some((found, known)) = TABLE.iter().find_map(|(text, known)| Some((text.captures(said)?, known))) else {
        return Judged { cause: unknown(said), again: true };
    };
    let mut message = String::new();
    found.expand(known.message, &mut message);
    let cause = Cause::new(CauseClass::Cluster, known.reason, format!("no cluster could be made: {message}"));
    let mut hint = String::new();
    found.expand(known.hint, &mut hint);
    Judged { cause: Cause { hint, ..cause }, again: known.again }
}

/// The same cause with what the kubelet said, which alone knows why kubeadm waited in vain.
pub(super) fn with_kubelet(cause: Cause, kubelet_log: &str) -> Cause {
    let Some(said) = kubelet_cause(kubelet_log) else { return cause };
    let known = KUBELET.iter().find(|(text, _)| said.contains(text));
    Cause {
        message: format!("{}; the kubelet says: {said}", cause.message),
        hint: known.map_or(cause.hint, |(_, hint)| (*hint).to_owned()),
        ..cause
    }
}

/// The line of a kubelet's log that tells why it does not run: the last one with which it gave up, else its last error.
fn kubelet_cause(log: &str) -> Option<String> {
    let gave_up = |line: &&str| line.contains("command failed") || line.contains("failed to run Kubelet");
    let is_error = |line: &&str| {
        let word = line.split_once("]: ").map_or(*line, |(_, rest)| rest);
        word.len() > 5 && word.starts_with('E') && word[1..].starts_with(|c: char| c.is_ascii_digit())
    };
    let line = log.lines().rev().find(gave_up).or_else(|| log.lines().rev().find(is_error))?;
    let said = match line.split_once("err=\"") {
        Some((_, quoted)) => quoted.trim_end().trim_end_matches('"').replace("\\\"", "\""),
        None => line.split_once("] ").map_or(line, |(_, rest)| rest).trim().to_owned(),
    };
    Some(one_line(&said))
}

/// A failure that nobody described: its first line that says `ERROR`, with what the command that failed wrote last.
fn unknown(said: &str) -> Cause {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let error = lines.iter().find(|line| line.starts_with("ERROR")).or(lines.last());
    let first = error.map_or("it gave no reason", |line| line.trim_start_matches("ERROR: "));
    let last = lines.last().filter(|last| Some(last) != error.as_ref()).filter(|last| !last.starts_with("Stack Trace"));
    let message = last
        .map_or_else(|| first.to_owned(), |last| format!("{first}: {}", last.trim_start_matches("Command Output: ")));
    let cause =
        Cause::new(CauseClass::Cluster, "CreateFailed", format!("no cluster could be made: {}", one_line(&message)));
    Cause { hint: "kind's own words and the cluster's logs are in the evidence".to_owned(), ..cause }
}

/// The text in one line that is not too long to read.
fn one_line(text: &str) -> String {
    const MOST: usize = 400;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_can_be_read() {
        for known in KNOWN {
            Regex::new(known.text).unwrap();
        }
    }

    #[test]
    fn every_text_of_the_facts_has_its_cause() {
        let create = "ERROR: failed to create cluster: ";
        for (said, reason, expected, again) in [
            ("node(s) already exist for a cluster with the name \"one\"", "ClusterExists", "`one`", false),
            (
                "failed to get docker info: command \"docker info --format '{{json .}}'\" failed with error: exit status 1\n\
                 Command Output: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
                "DockerUnavailable",
                "no Docker engine answers",
                false,
            ),
            (
                "failed to get docker info: permission denied while trying to connect to the Docker daemon socket at unix:///x",
                "DockerDenied",
                "may not",
                false,
            ),
            (
                "failed to get docker info: command \"docker info --format '{{json .}}'\" failed with error: exec: \"docker\": \
                 executable file not found in $PATH",
                "DockerNotFound",
                "no `docker`",
                false,
            ),
            (
                "failed to pull image \"nope/node:v1\": command \"docker pull nope/node:v1\" failed with error: exit status 1\n\
                 Command Output: Error response from daemon: pull access denied for nope/node, repository does not exist",
                "NodeImageNotFound",
                "`nope/node:v1`",
                false,
            ),
            (
                "failed to pull image \"nope/node:v1\": command \"docker pull nope/node:v1\" failed with error: exit status 1\n\
                 Command Output: Error response from daemon: Get \"https://registry-1.docker.io/v2/\": net/http: TLS handshake timeout",
                "NodeImagePull",
                "`nope/node:v1`",
                true,
            ),
            (
                "command \"docker run --name x debian:trixie-slim\" failed with error: exit status 125\n\nCommand Output: docker: Error \
                 response from daemon: no command specified.\nSee 'docker run --help'.",
                "NotANodeImage",
                "nothing to start",
                false,
            ),
            (
                "could not find a log line that matches \"Reached target .*Multi-User System.*|detected cgroup v1\"",
                "NodeDidNotStart",
                "did not start",
                true,
            ),
            (
                "command \"docker run --name x-control-plane\" failed with error: exit status 125\nCommand Output: docker: Error response \
                 from daemon: driver failed programming external connectivity on endpoint x: Bind for 127.0.0.1:44521 failed: port is \
                 already allocated.",
                "PortTaken",
                "127.0.0.1:44521",
                true,
            ),
            ("'X_Y' is not a valid cluster name, cluster names must match `^[a-z0-9.-]+$`", "BadName", "`X_Y`", false),
            (
                "unable to decode config: yaml: unmarshal errors:\n  line 3: field foo not found in type v1alpha4.Cluster",
                "BadKindConfig",
                "line 3: field foo not found in type v1alpha4.Cluster",
                false,
            ),
            (
                "failed to init node with kubeadm: command \"docker exec --privileged x kubeadm init\" failed with error: exit status 1\n\
                 Command Output: I1128\n[kubelet-check]",
                "KubeadmFailed",
                "kubeadm could not start",
                true,
            ),
            (
                "docker: Error response from daemon: OCI runtime create failed: unable to apply caps: operation not permitted",
                "NotPrivileged",
                "privileged",
                false,
            ),
            (
                "failed to lock config file: open /x/kubeconfig.lock: file exists",
                "StaleLock",
                "`/x/kubeconfig.lock`",
                true,
            ),
            ("could not locate any control plane nodes for cluster named 'nosuch'", "ClusterGone", "`nosuch`", true),
            ("unknown cluster \"nosuch\"", "ClusterGone", "`nosuch`", true),
            ("write /x: no space left on device", "DiskFull", "full", false),
            (
                "failed to pull image \"kindest/node:v1\": exit status 1\nCommand Output: toomanyrequests: You have reached your limit",
                "NodeImageRateLimited",
                "too many requests",
                true,
            ),
        ] {
            let judged = judge(&format!("Creating cluster \"x\" ...\n{create}{said}\n"));
            let Cause { class, reason: found, message, hint, .. } = judged.cause;
            assert_eq!((class, found.as_str(), judged.again), (CauseClass::Cluster, reason, again), "{said}");
            assert!(message.contains(expected) && !message.contains('\n') && !message.contains('$'), "{message}");
            assert!(!hint.is_empty() && !hint.contains("$1"), "{hint}");
        }
    }

    #[test]
    fn what_nobody_described_is_quoted_in_one_line() {
        let said = "Creating cluster ...\nERROR: failed to create cluster: command \"docker x\" failed with error: exit status 7\n\n\
            Command Output: something\n odd happened\n";
        let cause = judge(said).cause;
        assert_eq!(cause.reason, "CreateFailed");
        assert_eq!(
            cause.message,
            "no cluster could be made: failed to create cluster: command \"docker x\" failed with error: exit status 7: odd happened"
        );
        assert!(judge("").cause.message.ends_with("it gave no reason"));
        assert!(judge(&"x".repeat(9_000)).cause.message.len() < 500);
    }

    #[test]
    fn the_kubelet_s_reason_is_quoted_with_what_to_do() {
        let log = "Nov 28 10:00:00 x kubelet[77]: I1128 10:00:00.000001      77 server.go:1] \"Starting\"\n\
            Nov 28 10:00:01 x kubelet[77]: E1128 10:00:01.000001      77 run.go:72] \"command failed\" err=\"failed to validate kubelet \
            configuration, error: kubelet is configured to not run on a host using cgroup v1\"\n\
            Nov 28 10:00:01 x systemd[1]: kubelet.service: Main process exited, code=exited, status=1/FAILURE\n";
        let cause = with_kubelet(judge("failed to init node with kubeadm").cause, log);
        assert!(
            cause.message.ends_with("kubelet is configured to not run on a host using cgroup v1"),
            "{}",
            cause.message
        );
        assert!(cause.hint.contains("cgroup v2"), "{}", cause.hint);
        let other = "x kubelet[1]: E1128 10:00:00.000001 1 a.go:1] something is wrong\nx kubelet[1]: I1128 fine\n";
        let cause = with_kubelet(judge("failed to init node with kubeadm").cause, other);
        assert!(cause.message.ends_with("the kubelet says: something is wrong"), "{}", cause.message);
        assert!(cause.hint.contains("kubelet.log"));
        assert_eq!(kubelet_cause("nothing here\n"), None);
    }
}
