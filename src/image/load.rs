//! An archive into the nodes of a cluster, straight from the file.
//!
//! What `kind load image-archive` does, with two differences: the archive is unpacked here, so that every version of containerd
//! takes it (before 2.0 it reads no zstd), and no copy of it is written to a temporary folder. The engine does not need to have
//! the image either.
//!
//! Source: `pkg/cluster/nodeutils/util.go` of <https://github.com/kubernetes-sigs/kind>, from 0.27 to 0.33.

use std::path::Path;
use std::time::Duration;

use futures::future::join_all;

use super::engine::Engine;
use crate::image_reference::ImageReference;
use crate::model::{Cause, CauseClass};

/// Loads the archive of the image `tag` into all nodes (names of containers) at once, each within `bound`. The image is pinned there,
/// so that no pruning (the kubelet's, or ours) takes it away: a container that must not pull it would never start.
///
/// # Errors
/// The cause of an `errored`, of class `cluster`: a node did not take it.
pub async fn load(
    engine: &Engine,
    nodes: &[String],
    archive: &Path,
    tag: &str,
    bound: Duration,
) -> Result<(), Box<Cause>> {
    let loads = join_all(nodes.iter().map(|node| load_into(engine, node, archive, tag, bound))).await;
    loads.into_iter().collect()
}

async fn load_into(engine: &Engine, node: &str, archive: &Path, tag: &str, bound: Duration) -> Result<(), Box<Cause>> {
    let failed = |said: &str| {
        let message = format!("the node {node} did not take {}: {said}", archive.display());
        let hint = "look at the node's disk (`docker exec NODE df`) and at its containerd".to_owned();
        Box::new(Cause { hint, ..Cause::new(CauseClass::Cluster, "ImageLoadFailed", message) })
    };
    let dump = engine.ask(&["exec", "--privileged", node, "containerd", "config", "dump"]).await;
    let dump = dump.map_err(|error| failed(&error.to_string()))?;
    if !dump.succeeded {
        return Err(failed(dump.last_line()));
    }
    let snapshotter = format!("--snapshotter={}", snapshotter(&dump.out).unwrap_or("overlayfs"));
    let import = ["exec", "--privileged", "-i", node, "ctr", "--namespace=k8s.io", "images", "import"];
    let arguments = [&import[..], &["--all-platforms", "--digests", &snapshotter, "-"]].concat();
    engine.feed(archive, &arguments, bound).await.map_err(|said| failed(&said))?;
    if let Ok(name) = ImageReference::parse(tag) {
        let pin = ["images", "label", &name.to_string(), "io.cri-containerd.pinned=pinned"];
        // A node that can't pin has the image all the same.
        let _ = engine.ask(&[&["exec", node, "ctr", "--namespace=k8s.io"], &pin[..]].concat()).await;
    }
    Ok(())
}

/// The snapshotter that containerd's configuration names, in the forms of its versions 2 and 3 on.
fn snapshotter(dump: &str) -> Option<&str> {
    let mut is_here = false;
    for line in dump.lines().map(str::trim) {
        if let Some(table) = line.strip_prefix('[') {
            let table = table.trim_end_matches(']').replace(['"', '\''], "");
            is_here = ["plugins.io.containerd.grpc.v1.cri.containerd", "plugins.io.containerd.cri.v1.images"]
                .contains(&table.as_str());
        } else if let Some((key, value)) = line.split_once('=').filter(|_| is_here)
            && key.trim() == "snapshotter"
        {
            let value = value.trim().trim_matches(['"', '\'']);
            return Some(value).filter(|value| !value.is_empty());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::archive::compress;
    use super::*;

    /// An engine whose CLI is a script; its file `calls` has the arguments of each call.
    fn engine(folder: &Path, script: &str) -> Engine {
        let text = format!("#!/bin/sh\necho \"$@\" >> {}/calls\n{script}\n", folder.display());
        crate::child::testing::program(&folder.join("docker"), &text);
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        Engine::new(&[("PATH".into(), path.into())], folder)
    }

    const BOUND: Duration = Duration::from_secs(60);

    fn archive(folder: &Path) -> std::path::PathBuf {
        let target = folder.join("x.tar.zst");
        compress(&b"an image".repeat(100_000)[..], &target).unwrap().keep(&target).unwrap().path
    }

    #[test]
    fn the_snapshotter_is_read_in_both_forms() {
        let two = "version = 2\n[plugins]\n  [plugins.\"io.containerd.grpc.v1.cri\".containerd]\n    snapshotter = \"fuse-overlayfs\"\n";
        let three = "version = 3\n[plugins.'io.containerd.cri.v1.runtime']\nsnapshotter = 'no'\n[plugins.'io.containerd.cri.v1.images']\n  snapshotter = 'native'\n";
        assert_eq!((snapshotter(two), snapshotter(three)), (Some("fuse-overlayfs"), Some("native")));
        assert_eq!(snapshotter("version = 3\nsnapshotter = 'x'\n"), None);
    }

    #[tokio::test]
    async fn every_node_is_fed_the_unpacked_archive_as_kind_does_it() {
        let folder = tempfile::tempdir().unwrap();
        let script = "for last; do :; done; [ \"$last\" = - ] && cat > \"$(dirname \"$0\")/got-$4\"; exit 0";
        let engine = engine(folder.path(), script);
        let nodes = ["a-control-plane".to_owned(), "a-worker".to_owned()];
        load(&engine, &nodes, &archive(folder.path()), "example/x:ev-1", BOUND).await.unwrap();
        for node in &nodes {
            assert_eq!(std::fs::read(folder.path().join(format!("got-{node}"))).unwrap(), b"an image".repeat(100_000));
            let calls = std::fs::read_to_string(folder.path().join("calls")).unwrap();
            let import = format!(
                "exec --privileged -i {node} ctr --namespace=k8s.io images import --all-platforms --digests --snapshotter=overlayfs -\n"
            );
            assert!(calls.contains(&import), "{calls}");
            let pin = format!(
                "exec {node} ctr --namespace=k8s.io images label docker.io/example/x:ev-1 io.cri-containerd.pinned=pinned\n"
            );
            assert!(calls.contains(&pin), "{calls}");
        }
    }

    #[tokio::test]
    async fn a_node_that_refuses_is_the_clusters_fault_in_its_own_words() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path(), "case \"$*\" in *import*) echo 'ctr: unexpected EOF' >&2; exit 1;; esac");
        let cause =
            load(&engine, &["n".to_owned()], &archive(folder.path()), "example/x:ev-1", BOUND).await.unwrap_err();
        assert_eq!((cause.class, cause.reason.as_str()), (CauseClass::Cluster, "ImageLoadFailed"));
        assert!(cause.message.ends_with("x.tar.zst: ctr: unexpected EOF"), "{}", cause.message);
    }

    #[tokio::test]
    async fn a_broken_archive_and_a_node_that_hangs_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive(folder.path());
        let hanging = engine(folder.path(), "case \"$*\" in *import*) sleep 1000;; esac");
        let cause = load(&hanging, &["n".to_owned()], &archive, "example/x:ev-1", Duration::from_millis(200))
            .await
            .unwrap_err();
        assert!(cause.message.contains("not done after"), "{}", cause.message);
        std::fs::write(&archive, "no archive").unwrap();
        let reading = engine(folder.path(), "case \"$*\" in *import*) cat > /dev/null;; esac");
        let cause = load(&reading, &["n".to_owned()], &archive, "example/x:ev-1", BOUND).await.unwrap_err();
        assert!(cause.message.contains("Unknown frame descriptor"), "{}", cause.message);
    }
}
