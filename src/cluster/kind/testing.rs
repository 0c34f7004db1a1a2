//! Fake `kind` and `docker` programs, with an engine that is a folder: a file for each container.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::delete::Patience;
use super::{ClusterConfig, Kind, Spec};
use crate::child::{Variable, testing};
use crate::cluster::own::Own;

/// What both programs know: where the engine is, what they were asked, and how a cluster comes up.
const COMMON: &str = r#"
name= kubeconfig= last=
for word in "$@"; do
  case $last in
    --name) name=$word ;;
    --kubeconfig) kubeconfig=$word ;;
    --filter) case $word in label=io.x-k8s.kind.cluster=*) name=${word#label=io.x-k8s.kind.cluster=} ;; esac ;;
  esac
  last=$word
done
up() { mkdir -p "$state/containers/$name"; : >"$state/containers/$name/$name-control-plane"; }
ready() { up; cp "$state/kubeconfig" "$kubeconfig"; }
down() { rm -rf "$state/containers/$name"; }
fail() { echo "ERROR: failed to create cluster: $1" >&2; exit 1; }
nth() { echo x >>"$state/$1"; wc -l <"$state/$1"; }
"#;

const KIND: &str = r#"
case "$1 $2" in
  "create cluster") . "$state/create" ;;
  "delete cluster") . "$state/delete" ;;
  "export logs")
    [ -d "$state/containers/$name" ] || { echo "ERROR: unknown cluster \"$name\"" >&2; exit 1; }
    mkdir -p "$3/$name-control-plane"; cp "$state/kubelet.log" "$3/$name-control-plane/" ;;
  "get kubeconfig") cat "$state/kubeconfig" ;;
esac
"#;

const DOCKER: &str = r#"
case $1 in
  ps) . "$state/ps" ;;
  rm) rm -rf "$state/containers"/* ;;
  inspect | network) . "$state/$1" ;;
esac
"#;

/// A machine with the fakes, and a scratch folder.
pub(crate) struct World {
    folder: tempfile::TempDir,
    environment: Vec<Variable>,
}

impl World {
    /// Clusters come up, and go away when they are told to.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for inside in ["bin", "state/containers", "scratch", "logs"] {
            std::fs::create_dir_all(folder.path().join(inside)).unwrap();
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(folder.path().join("bin")).chain(std::env::split_paths(&path));
        let environment = vec![
            ("PATH".into(), std::env::join_paths(folders).unwrap()),
            ("GITHUB_TOKEN".into(), OsString::from("secret")),
            ("KUBECONFIG".into(), "/home/me/.kube/config".into()),
        ];
        let world = Self { folder, environment };
        world.program("kind", KIND);
        world.program("docker", DOCKER);
        world.says("create", "ready");
        world.says("delete", "down");
        world.says("ps", "ls \"$state/containers/$name\" 2>/dev/null || :");
        world.says("kubelet.log", "");
        world.says("kubeconfig", "");
        world
    }

    fn program(&self, name: &str, body: &str) {
        let state = self.path("state");
        let text = format!(
            "#!/bin/sh\nstate='{}'\nprintf '%s\\n' \"{name} $*\" >>\"$state/calls\"\n{COMMON}\n{body}",
            state.display()
        );
        testing::program(&self.path("bin").join(name), &text);
    }

    /// What a step of a fake does, in `sh`; or what a file of the engine holds.
    pub(crate) fn says(&self, step: &str, text: &str) {
        std::fs::write(self.path("state").join(step), text).unwrap();
    }

    /// We are the container `abc` on Docker's default network, and may join and leave others.
    pub(crate) fn says_we_are_in_a_container(&self) {
        self.says("inspect", r#"echo '[{"Id":"abc","HostConfig":{"NetworkMode":"bridge"}}]'"#);
        self.says("network", ":");
    }

    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    pub(crate) fn environment(&self) -> &[Variable] {
        &self.environment
    }

    /// kind, driven without the patience that a real engine needs.
    pub(crate) async fn kind(&self) -> Kind {
        self.kind_at(Own::find_as(self.environment(), &self.path("scratch"), None, "").await)
    }

    pub(crate) fn kind_at(&self, own: Own) -> Kind {
        let mut kind = Kind::new(Path::new("kind"), &self.environment, &self.path("scratch"), own);
        let milli = Duration::from_millis;
        kind.patience =
            Patience { quiet: milli(100), look: milli(5), silence: milli(200), bound: Duration::from_secs(10) };
        kind
    }

    /// A kind that gives up soon.
    pub(crate) async fn hasty_kind(&self) -> Kind {
        let mut kind = self.kind().await;
        kind.patience.bound = Duration::from_millis(50);
        kind
    }

    pub(crate) fn spec<'a>(config: &'a ClusterConfig, logs: &'a Path) -> Spec<'a> {
        Spec { name: "ev-1", kubernetes: "default", image: None, config, logs, within: Duration::from_secs(60) }
    }

    /// What the fakes were asked, a line each.
    pub(crate) fn calls(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("state/calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// How often a program was asked something that begins so.
    pub(crate) fn count(&self, start: &str) -> usize {
        self.calls().iter().filter(|call| call.starts_with(start)).count()
    }

    pub(crate) fn is_empty(&self) -> bool {
        std::fs::read_dir(self.path("state/containers")).unwrap().next().is_none()
    }
}
