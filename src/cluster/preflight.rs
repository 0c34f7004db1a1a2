//! What must be true of the machine before clusters are created on it, looked at all at once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value as Json;

use super::tools::{Foreseen, Found, ToolError, Toolbox, Wanted};
use crate::child::{ChildError, Tool, Variable, environment};
use crate::diagnostic::{Diagnostic, Severity};
use crate::trial::apply::request::text;

/// Memory of a cluster without examples.
const CLUSTER_MEMORY: u64 = 470 << 20;
/// Disk of a cluster without images of examples.
const CLUSTER_DISK: u64 = 1_500_000_000;
/// With less than so many bytes of disk, or of memory, no node starts.
const HOPELESS: u64 = 100 << 20;
/// What several clusters need of inotify, by kind's own documentation.
const INSTANCES: u64 = 512;
const WATCHES: u64 = 524_288;
/// How long Docker may take to answer; one that is well takes a tenth of a second.
const ANSWER: Duration = Duration::from_secs(10);

/// What was found.
#[derive(Debug)]
pub struct Facts {
    /// The Docker engine; else why it can't be used.
    pub docker: Result<Docker, Diagnostic>,
    /// Free bytes where the engine keeps images and nodes, as far as we see.
    pub disk: Option<u64>,
    /// Bytes of memory that can be had without swapping.
    pub memory: Option<u64>,
    /// `fs.inotify.max_user_instances`.
    pub inotify_instances: Option<u64>,
    /// `fs.inotify.max_user_watches`.
    pub inotify_watches: Option<u64>,
    /// kind, and where it will come from.
    pub kind: Result<Foreseen, ToolError>,
    /// kubectl, likewise.
    pub kubectl: Result<Foreseen, ToolError>,
}

/// A Docker engine that answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Docker {
    /// Its version.
    pub version: String,
    /// Where it keeps its data, on its own machine.
    pub root: PathBuf,
    /// Whether its machine still has cgroup v1.
    pub has_cgroup_v1: bool,
}

/// What the plan needs.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Clusters at once.
    pub clusters: usize,
    /// Memory that the largest example requests, in bytes.
    pub example_memory: u64,
    /// The Kubernetes versions that the plan names, by minor number: `(1, 34)`.
    pub minors: Vec<(u32, u32)>,
}

impl Facts {
    /// Looks, at everything at once.
    pub async fn look(environment: &[Variable], toolbox: &Toolbox, kind_version: Option<&str>) -> Self {
        let (docker, kind, kubectl) = tokio::join!(
            docker(environment),
            toolbox.foresee(Wanted::Kind, kind_version),
            toolbox.foresee(Wanted::Kubectl, None),
        );
        let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse().ok();
        // The engine's folder is not seen from a container, whose own root lies on the same disk mostly.
        let root = docker.as_ref().ok().map(|docker| docker.root.as_path()).filter(|root| root.is_dir());
        Self {
            disk: free(root.unwrap_or(Path::new("/"))),
            memory: std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| available(&text)),
            inotify_instances: number("/proc/sys/fs/inotify/max_user_instances"),
            inotify_watches: number("/proc/sys/fs/inotify/max_user_watches"),
            docker,
            kind,
            kubectl,
        }
    }

    /// What is wrong with it, errors first. An error means that no cluster can come of it. Pure.
    #[must_use]
    pub fn problems(self, needs: &Needs) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        let cgroup_v1 = self.docker.as_ref().is_ok_and(|docker| docker.has_cgroup_v1);
        found.extend(self.docker.err());
        found.extend(self.kind.err().map(|error| missing(&error)));
        // Only what is rendered needs it, and says so.
        found.extend(self.kubectl.err().map(|error| missing(&error).with_severity(Severity::Warning)));
        found.extend(self.disk.and_then(|free| disk(free, needs)));
        found.extend(self.memory.and_then(|free| memory(free, needs)));
        found.extend(inotify("max_user_instances", self.inotify_instances, INSTANCES));
        found.extend(inotify("max_user_watches", self.inotify_watches, WATCHES));
        found.extend(cgroup_v1.then(|| cgroup(needs)).flatten());
        found.sort_by_key(|diagnostic| diagnostic.severity);
        found
    }

    /// How many clusters this machine carries at once, of `versions` that are wanted; at least one. Pure.
    #[must_use]
    pub fn cluster_parallel(&self, versions: usize, example_memory: u64) -> usize {
        let fit = |have: Option<u64>, each: u64| {
            have.map_or(usize::MAX, |have| usize::try_from(have / each.max(1)).unwrap_or(usize::MAX))
        };
        let memory = fit(self.memory, CLUSTER_MEMORY.saturating_add(example_memory));
        versions.min(memory).min(fit(self.disk, CLUSTER_DISK)).max(1)
    }

    /// What it found, in a line for the log: versions and where tools come from. Pure.
    #[must_use]
    pub fn summary(&self) -> String {
        let tool = |tool: &Result<Foreseen, ToolError>| match tool {
            Ok(Foreseen::OnPath(Found { version, path, .. })) => format!("{version} ({})", path.display()),
            Ok(Foreseen::Release(version)) => format!("{version} (official release)"),
            Err(_) => "missing".to_owned(),
        };
        let docker = self.docker.as_ref().map_or("missing", |docker| docker.version.as_str());
        format!("Docker {docker}, kind {}, kubectl {}", tool(&self.kind), tool(&self.kubectl))
    }
}

async fn docker(environment: &[Variable]) -> Result<Docker, Diagnostic> {
    let docker = Tool::new("docker", environment::for_docker(environment), "/");
    match docker.ask(&["info", "--format", "{{json .}}"], ANSWER).await {
        Ok(answer) if answer.succeeded => read_docker(&answer.out),
        Ok(answer) => Err(silent(answer.last_line())),
        Err(error @ ChildError::NotFound(_)) => Err(Diagnostic::error(format!("no cluster can be made: {error}"))
            .with_help("install Docker, or judge the examples on a cluster that is there (`--cluster existing`)")),
        Err(error) => Err(silent(&error.to_string())),
    }
}

/// What `docker info` says. Old ones succeed without an engine.
fn read_docker(info: &str) -> Result<Docker, Diagnostic> {
    let info: Json = serde_json::from_str(info).unwrap_or_default();
    let version = text(&info, "/ServerVersion");
    if version.is_empty() {
        return Err(silent(info.pointer("/ServerErrors/0").and_then(Json::as_str).unwrap_or("it says no version")));
    }
    Ok(Docker {
        version: version.to_owned(),
        root: text(&info, "/DockerRootDir").into(),
        has_cgroup_v1: text(&info, "/CgroupVersion") == "1",
    })
}

fn silent(why: &str) -> Diagnostic {
    let denied = why.contains("permission denied");
    let help = if denied {
        "add this user to the group `docker`, or mount a socket that it may use"
    } else {
        "start the Docker engine; in a container mount its socket (`--volume /var/run/docker.sock:/var/run/docker.sock`, as GitHub's \
         runner does for actions); or judge on a cluster that is there (`--cluster existing`)"
    };
    Diagnostic::error(format!("no cluster can be made: no Docker engine answers: {why}")).with_help(help)
}

fn missing(error: &ToolError) -> Diagnostic {
    Diagnostic::error(error.to_string()).with_help(error.hint())
}

fn disk(free: u64, needs: &Needs) -> Option<Diagnostic> {
    let wanted = CLUSTER_DISK.saturating_mul(needs.clusters.max(1) as u64);
    // What can't work at all is an error; a tight machine may do, and the disk that is seen here may not be the engine's.
    let severity = if free < HOPELESS { Severity::Error } else { Severity::Warning };
    (free < wanted).then(|| {
        let (free, wanted) = (gigabytes(free), gigabytes(wanted));
        let clusters = count(needs.clusters);
        let message = format!("{free} of disk are free for Docker; {clusters} need {wanted}, and images more");
        Diagnostic::error(message)
            .with_severity(severity)
            .with_help("free some with `docker system prune`, or use --cluster-parallel 1")
    })
}

fn memory(free: u64, needs: &Needs) -> Option<Diagnostic> {
    let clusters = CLUSTER_MEMORY.saturating_mul(needs.clusters.max(1) as u64);
    let wanted = clusters.saturating_add(needs.example_memory);
    let severity = if free < HOPELESS { Severity::Error } else { Severity::Warning };
    (free < wanted).then(|| {
        let (free, wanted) = (gigabytes(free), gigabytes(wanted));
        let clusters = count(needs.clusters);
        let message = format!("{free} of memory are available; {clusters} with the largest example need {wanted}");
        Diagnostic::error(message)
            .with_severity(severity)
            .with_help("use a larger machine or --cluster-parallel 1, or request less in the example")
    })
}

fn inotify(limit: &str, have: Option<u64>, wanted: u64) -> Option<Diagnostic> {
    let have = have.filter(|have| *have < wanted)?;
    let message = format!("fs.inotify.{limit} is {have}; nodes may fail with \"too many open files\" below {wanted}");
    let found = Diagnostic::error(message).with_severity(Severity::Warning);
    Some(found.with_help(format!("raise it: sudo sysctl fs.inotify.{limit}={wanted}")))
}

/// From Kubernetes 1.35 on the kubelet refuses cgroup v1.
fn cgroup(needs: &Needs) -> Option<Diagnostic> {
    let (major, minor) = needs.minors.iter().filter(|minor| **minor >= (1, 35)).max()?;
    let message = format!("the Docker engine's machine has cgroup v1, which the kubelet of v{major}.{minor} refuses");
    let found = Diagnostic::error(message).with_severity(Severity::Warning);
    Some(found.with_help("use a machine with cgroup v2, or set `failCgroupV1: false` for the kubelet in `kind.config`"))
}

fn count(clusters: usize) -> String {
    if clusters <= 1 { "a cluster".to_owned() } else { format!("{clusters} clusters") }
}

fn gigabytes(bytes: u64) -> String {
    format!("{}.{} GB", bytes / 1_000_000_000, bytes % 1_000_000_000 / 100_000_000)
}

/// Free bytes of the disk that a folder is on.
fn free(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}

/// `MemAvailable` of `/proc/meminfo`, in bytes.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Facts {
        Facts {
            docker: Ok(Docker { version: "26.1.5".to_owned(), ..Docker::default() }),
            disk: Some(50_000_000_000),
            memory: Some(8 << 30),
            inotify_instances: Some(8_192),
            inotify_watches: Some(524_288),
            kind: Ok(Foreseen::Release("v0.33.0".to_owned())),
            kubectl: Ok(Foreseen::Release("v1.37.1".to_owned())),
        }
    }

    fn problems(facts: Facts, clusters: usize) -> Vec<(Severity, String)> {
        let needs = Needs { clusters, example_memory: 1 << 30, minors: vec![(1, 34), (1, 35)] };
        let found = facts.problems(&needs);
        assert!(found.iter().all(|problem| problem.help.as_ref().is_some_and(|help| !help.is_empty())), "{found:?}");
        found.into_iter().map(|problem| (problem.severity, problem.message)).collect()
    }

    #[test]
    fn a_good_machine_has_no_problems() {
        assert_eq!(problems(good(), 3), []);
        assert_eq!(
            good().summary(),
            "Docker 26.1.5, kind v0.33.0 (official release), kubectl v1.37.1 (official release)"
        );
    }

    #[test]
    fn all_problems_are_told_at_once_errors_first() {
        let no_sum = || ToolError::NoSum { tool: "kind", version: "v0.1.0".to_owned(), arch: "amd64", known: None };
        let facts = Facts {
            docker: Err(silent("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.")),
            disk: Some(1_000_000_000),
            memory: Some(1 << 30),
            inotify_instances: Some(128),
            inotify_watches: Some(8_192),
            kind: Err(no_sum()),
            ..good()
        };
        let found = problems(facts, 2);
        let errors = found.iter().take_while(|(severity, _)| *severity == Severity::Error).count();
        assert_eq!((errors, found.len()), (2, 6), "{found:?}");
        assert_eq!(found[2].1, "1.0 GB of disk are free for Docker; 2 clusters need 3.0 GB, and images more");
        assert_eq!(found[3].1, "1.0 GB of memory are available; 2 clusters with the largest example need 2.0 GB");
        assert!(found[4].1.starts_with("fs.inotify.max_user_instances is 128"), "{}", found[4].1);
    }

    #[test]
    fn what_is_enough_for_one_cluster_only_warns() {
        let found = problems(Facts { disk: Some(2_000_000_000), ..good() }, 2);
        assert_eq!(found.iter().map(|(severity, _)| *severity).collect::<Vec<_>>(), [Severity::Warning]);
    }

    #[test]
    fn a_tight_machine_is_tried_and_only_a_hopeless_one_is_refused() {
        let severities = |bytes: u64| {
            let facts = Facts { disk: Some(bytes), memory: Some(bytes), ..good() };
            problems(facts, 1).into_iter().map(|(severity, _)| severity).collect::<Vec<_>>()
        };
        assert_eq!(severities(400 << 20), [Severity::Warning; 2]);
        assert_eq!(severities(50 << 20), [Severity::Error; 2]);
    }

    #[test]
    fn what_is_not_known_is_no_problem() {
        let facts = Facts { disk: None, memory: None, inotify_instances: None, inotify_watches: None, ..good() };
        assert_eq!(facts.cluster_parallel(3, 1), 3);
        assert_eq!(problems(facts, 9), []);
    }

    #[test]
    fn cgroup_v1_is_told_for_the_versions_that_refuse_it() {
        let docker = Docker { has_cgroup_v1: true, ..Docker::default() };
        let found = problems(Facts { docker: Ok(docker), ..good() }, 1);
        assert!(found[0].1.contains("v1.35 refuses"), "{found:?}");
    }

    #[test]
    fn memory_and_disk_bound_the_clusters_at_once() {
        let parallel = |memory: u64, disk: u64, versions: usize| {
            Facts { memory: Some(memory), disk: Some(disk), ..good() }.cluster_parallel(versions, 1 << 30)
        };
        let (much, each) = (u64::MAX, (470 << 20) + (1 << 30));
        assert_eq!(parallel(much, much, 4), 4);
        assert_eq!(parallel(3 * each - 1, much, 4), 2);
        assert_eq!(parallel(much, 3_100_000_000, 4), 2);
        assert_eq!(parallel(0, 0, 4), 1);
        assert_eq!(parallel(much, much, 0), 1);
    }

    #[test]
    fn an_engine_that_does_not_answer_is_known_by_what_it_lacks() {
        let info = r#"{"ServerVersion":"26.1.5","DockerRootDir":"/var/lib/docker","CgroupVersion":"2"}"#;
        let docker = read_docker(info).unwrap();
        assert_eq!((docker.version.as_str(), docker.has_cgroup_v1), ("26.1.5", false));
        let found = read_docker(r#"{"ServerVersion":"","ServerErrors":["permission denied while trying to connect"]}"#);
        let found = found.unwrap_err();
        assert!(found.message.ends_with("permission denied while trying to connect"), "{}", found.message);
        assert!(found.help.unwrap().contains("group `docker`"));
        assert!(read_docker("").is_err());
    }

    #[test]
    fn memory_that_is_available_is_read() {
        assert_eq!(available("MemTotal: 9 kB\nMemAvailable:   24105 kB\n"), Some(24_105 << 10));
        assert_eq!(available("MemTotal: 9 kB\n"), None);
    }
}
